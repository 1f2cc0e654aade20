//! What `finish-task` and `stop-task` both take.

use crate::{actions::Argv, model::counts::Counts};

/// How a task ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
pub struct EndArgs {
    /// Why it ends
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub reason: Option<String>,
    /// Stop the worker's session afterwards
    #[arg(long)]
    pub stop_worker: bool,
    /// Stop the manager's session afterwards
    #[arg(long)]
    pub stop_manager: bool,
    /// The decision to stop that it follows from
    #[arg(long, value_name = "ID")]
    pub decision_id: Option<i64>,
    /// Ask for a decision to stop of the last 15 minutes
    #[arg(long)]
    pub strict_decisions: bool,
    /// End it only if exactly this goes with it: `counted` of its `--dry-run`, as `taken_back=2,questions=1`, or `none`
    #[arg(long, value_name = "COUNTS")]
    pub expect: Option<Counts>,
}

impl EndArgs {
    /// The command line with these.
    pub(super) fn words(&self, argv: Argv) -> Argv {
        let Self { reason, stop_worker, stop_manager, decision_id, strict_decisions, expect } = self;
        argv.option("--reason", reason.as_ref())
            .switch("--stop-worker", *stop_worker)
            .switch("--stop-manager", *stop_manager)
            .option("--decision-id", decision_id.as_ref())
            .switch("--strict-decisions", *strict_decisions)
            .option("--expect", expect.as_ref())
    }
}
