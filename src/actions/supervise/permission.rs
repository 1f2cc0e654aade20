//! `manager-permission`: what the terms of a task allow. A look writes nothing.

use std::fmt;

use serde::Serialize;

use super::{config::ManagerSettings, gate, terms};
use crate::{
    actions::{Action, Argv, Context, Format, Outcome, lookup},
    base::{Error, Result},
    model::supervision::{Category, GateReason as Reason, ManagerConfig, Permission, PermissionsFault},
    store,
};

/// Tell whether the terms of a task allow something
///
/// A task without terms allows nothing. Older names are known; one that stands for two permissions needs both. Nothing
/// is written.
///
/// Example: `conveyor manager-permission parser repo.open_pr --require`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ManagerPermission {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// The permission, `category.action`; with `--list` a category
    #[arg(value_name = "PERMISSION")]
    pub action: String,
    /// List what is allowed of a category
    #[arg(long, conflicts_with_all = ["require", "require_handoff"])]
    pub list: bool,
    /// End with exit code 1 when it is not allowed
    #[arg(long)]
    pub require: bool,
    /// A handoff of the worker has to be on record too, one that still holds
    #[arg(long)]
    pub require_handoff: bool,
}

/// What is allowed.
#[derive(Debug, Serialize)]
pub struct Allowed {
    action: String,
    allowed: bool,
    /// The terms; none when nothing was ever set.
    config: Option<ManagerSettings>,
    handoff_id: Option<i64>,
    /// With `--list`: what is allowed of the category.
    listed_permissions: Option<Vec<&'static str>>,
    /// What the name stands for.
    permissions: Vec<Permission>,
    reasons: Vec<Reason>,
    require_handoff: bool,
    task: String,
    #[serde(skip)]
    is_required: bool,
}

impl Action for ManagerPermission {
    const NAME: &'static str = "manager-permission";
    const FORMAT: Format = Format::Json;
    type Output = Allowed;

    fn run(self, cx: &Context) -> Result<Allowed> {
        let (category, permissions) = self.asked()?;
        cx.ledger()?.read(|r| {
            let task = lookup::task(r, &self.task)?;
            let config = store::manager_configs::of_task(r, &task.id)?;
            let mut reasons = Vec::new();
            if config.is_none() {
                reasons.push(Reason::MissingManagerConfig);
            } else if !ManagerConfig::missing(config.as_ref(), &permissions).is_empty() {
                reasons.push(Reason::PermissionNotEnabled);
            }
            let mut handoff_id = None;
            if self.require_handoff {
                let (id, reason) = gate::handoff(r, Some(&task.id))?;
                handoff_id = id;
                reasons.extend(reason);
            }
            let listed = category.map(|category| {
                let given = config.iter().flat_map(|config| config.terms.permissions.of(category));
                given.map(Permission::action).collect()
            });
            Ok(Allowed {
                action: self.action.clone(),
                allowed: reasons.is_empty(),
                config: config.map(|_| ManagerSettings::of(r, cx, &task)).transpose()?,
                handoff_id,
                listed_permissions: listed,
                permissions: permissions.clone(),
                reasons,
                require_handoff: self.require_handoff,
                task: task.name,
                is_required: self.require,
            })
        })
    }

    fn argv(&self) -> Argv {
        let Self { task, action, list, require, require_handoff } = self;
        Argv::new(Self::NAME)
            .switch("--list", *list)
            .switch("--require", *require)
            .switch("--require-handoff", *require_handoff)
            .end_of_options()
            .word(task)
            .word(action)
    }
}

impl ManagerPermission {
    /// What is asked: a category to be listed, or permissions.
    fn asked(&self) -> Result<(Option<Category>, Vec<Permission>)> {
        let name = self.action.trim();
        match (name.parse::<Category>(), self.list) {
            (Ok(category), true) => Ok((Some(category), Vec::new())),
            (Err(unknown), true) => Err(Error::usage(format!("--list expects a permission category, got: {name}"))
                .hint(format!("there are: {}", unknown.expected.join(", ")))),
            (Ok(_), false) => Err(Error::usage(format!("\"{name}\" is a category of permissions"))
                .hint(format!("add --list to see what is allowed of it, or ask for one as `{name}.ACTION`"))),
            (Err(_), false) => {
                Ok((None, Permission::named(name).map_err(PermissionsFault::from).map_err(terms::refused)?))
            }
        }
    }
}

impl Outcome for Allowed {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if let Some(listed) = &self.listed_permissions {
            return listed.iter().try_for_each(|name| writeln!(out, "{}.{name}", self.action));
        }
        let reasons: Vec<&str> = self.reasons.iter().map(|reason| reason.as_str()).collect();
        match reasons.as_slice() {
            [] => writeln!(out, "{}: {} is allowed", self.task, self.action),
            reasons => writeln!(out, "{}: {} is not allowed: {}", self.task, self.action, reasons.join(", ")),
        }
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.is_required && !self.allowed)
    }
}
