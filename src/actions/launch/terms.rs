//! The terms that `pair` gives its manager, as flags of their own.

use crate::{
    actions::{Argv, TermArgs},
    base::{Error, Kind, Result},
    model::supervision::{Epilogue, Mode, NudgeOnCompletion, Terms},
};

/// What is set; each as the flag of `manager-config` without `manager-`.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct ManagerTermArgs {
    /// How closely the manager supervises: light, guided or strict
    #[arg(long, value_name = "MODE")]
    pub manager_mode: Option<Mode>,
    /// The recipe whose terms it gets; other flags win over it. It has to be confirmed with --manager-confirm
    #[arg(long, value_name = "RECIPE", allow_hyphen_values = true)]
    pub manager_recipe: Option<String>,
    /// What the supervision is for
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub manager_objective: Option<String>,
    /// How the manager is to work; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub manager_guideline: Vec<String>,
    /// What the worker has to deliver; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub manager_acceptance: Vec<String>,
    /// What the manager should have read; may be given several times
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub manager_reference: Vec<String>,
    /// Allow something; may be given several times
    #[arg(long, value_name = "PERMISSION", allow_hyphen_values = true)]
    pub manager_permit: Vec<String>,
    /// Allow repo.open_pr
    #[arg(long)]
    pub manager_allow_pr: bool,
    /// Allow repo.merge_green_pr
    #[arg(long)]
    pub manager_allow_merge_green: bool,
    /// Allow worker_session.compact and worker_session.clear
    #[arg(long)]
    pub manager_allow_worker_compact_clear: bool,
    /// Permissions as an object
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub manager_permissions_json: Option<String>,
    /// What the manager works with; may be given several times
    #[arg(long, value_name = "TOOL", allow_hyphen_values = true)]
    pub manager_tool: Vec<String>,
    /// A closing step; may be given several times
    #[arg(long, value_name = "STEP")]
    pub manager_epilogue: Vec<Epilogue>,
    /// What follows when the worker has finished: off, ask-operator, auto-review or auto-proceed
    #[arg(long, value_name = "POLICY")]
    pub manager_nudge_on_completion: Option<NudgeOnCompletion>,
    /// Both sides have to acknowledge the terms; the worker is told how
    #[arg(long)]
    pub manager_require_acks: bool,
    /// Take the recipe's terms: somebody has read them (`manager-recipes --show`)
    #[arg(long, requires = "manager_recipe")]
    pub manager_confirm: bool,
}

/// The error of a flag under the name that it has here.
fn named(error: Error) -> Error {
    match error.message().strip_prefix("--") {
        Some(rest) => Error::new(error.kind(), format!("--manager-{rest}")),
        None => error,
    }
}

impl ManagerTermArgs {
    /// The same without the prefix.
    pub(super) fn plain(&self) -> TermArgs {
        let one = self.clone();
        TermArgs {
            mode: one.manager_mode,
            recipe: one.manager_recipe,
            objective: one.manager_objective,
            guideline: one.manager_guideline,
            acceptance: one.manager_acceptance,
            reference: one.manager_reference,
            permit: one.manager_permit,
            allow_pr: one.manager_allow_pr,
            allow_merge_green: one.manager_allow_merge_green,
            allow_worker_compact_clear: one.manager_allow_worker_compact_clear,
            permissions_json: one.manager_permissions_json,
            tool: one.manager_tool,
            epilogue: one.manager_epilogue,
            nudge_on_completion: one.manager_nudge_on_completion,
            require_acks: one.manager_require_acks,
        }
    }

    pub(super) fn words(&self, argv: Argv) -> Argv {
        self.plain().words(argv, "--manager-").switch("--manager-confirm", self.manager_confirm)
    }

    /// Refuses what is wrong in itself, and a recipe that nobody has confirmed.
    pub(super) fn check(&self) -> Result<()> {
        let args = self.plain();
        args.applied_to(&Terms::default(), &[]).map_err(named)?;
        if let Some(recipe) = args.recipe()?
            && !self.manager_confirm
        {
            let name = &recipe.name;
            return Err(Error::new(Kind::Blocked, format!("the recipe {name} is to be read before it is taken"))
                .hint(format!("`conveyor manager-recipes --show {name}` shows it; then add --manager-confirm")));
        }
        Ok(())
    }
}
