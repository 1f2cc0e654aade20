//! `manager-config`: how a task's manager may supervise.

use std::{fmt, str::FromStr};

use serde::Serialize;
use serde_json::json;

use super::{Action, Argv, Context, Format, Outcome, lookup};
use crate::{
    base::{Error, Result},
    store::{self, audit, budgets::Budget},
};

/// Show or change how a task's manager may supervise
///
/// Without a flag nothing is changed. A task without a budget has no limit. Nudges count from the moment the limit is
/// set: when their delivery begins, and not when it is proven that they did not arrive.
///
/// Example: `conveyor manager-config parser --max-nudges 20`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ManagerConfig {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Messages that the task's worker may be given in all; `none` lifts the limit
    #[arg(long, value_name = "COUNT")]
    pub max_nudges: Option<Limit>,
}

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// At most so many.
    Most(u32),
    /// As many as are sent.
    None,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            number => number.parse().map(Self::Most).map_err(|_| "a number, or `none`".to_owned()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Most(number) => number.fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}

/// How the task's manager may supervise.
#[derive(Debug, Serialize)]
pub struct ManagerSettings {
    /// The limit of messages to the worker; none is no limit.
    budget: Option<Budget>,
    /// Something was changed.
    changed: bool,
    /// Nothing was stored.
    dry_run: bool,
    /// Name of the task.
    task: String,
    /// Its id.
    task_id: String,
}

impl Action for ManagerConfig {
    const NAME: &'static str = "manager-config";
    const FORMAT: Format = Format::Json;
    type Output = ManagerSettings;

    fn run(self, cx: &Context) -> Result<ManagerSettings> {
        let Some(wanted) = self.max_nudges else {
            return cx.ledger()?.read(|r| {
                let task = lookup::task(r, &self.task)?;
                let budget = store::budgets::of_task(r, &task.id)?;
                Ok(ManagerSettings { budget, changed: false, dry_run: cx.dry_run(), task: task.name, task_id: task.id })
            });
        };
        let wanted = match wanted {
            Limit::Most(number) => Some(u64::from(number)),
            Limit::None => None,
        };
        let now = cx.now();
        cx.ledger_to_change()?.write_durably(|w| {
            let task = lookup::task(w.read(), &self.task)?;
            if !task.state.is_open() {
                return Err(Error::refused(format!("task \"{}\" is already {}", task.name, task.state)));
            }
            let before = store::budgets::of_task(w.read(), &task.id)?.map(|budget| budget.max_nudges);
            let changed = before != wanted;
            if changed {
                store::budgets::limit(w, &task.id, wanted)?;
                let about = audit::About { task_id: Some(&task.id), session_id: None };
                let payload = json!({"max_nudges": wanted, "previous_max_nudges": before});
                audit::append(w, now, cx.actor(), "manager_config_recorded", about, &payload)?;
            }
            let budget = store::budgets::of_task(w.read(), &task.id)?;
            Ok(ManagerSettings { budget, changed, dry_run: cx.dry_run(), task: task.name, task_id: task.id })
        })
    }

    fn argv(&self) -> Argv {
        let Self { task, max_nudges } = self;
        Argv::new(Self::NAME).option("--max-nudges", max_nudges.as_ref()).end_of_options().word(task)
    }
}

impl Outcome for ManagerSettings {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let would = if self.dry_run && self.changed { "would have " } else { "" };
        match &self.budget {
            Some(budget) => writeln!(
                out,
                "{}: {would}{} of {} nudges used, {} left",
                self.task,
                budget.nudges_used,
                budget.max_nudges,
                budget.nudges_remaining()
            ),
            None => writeln!(out, "{}: {would}no limit of nudges", self.task),
        }
    }
}
