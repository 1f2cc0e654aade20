//! `stop-task`: a task ends without being done.

use super::{
    end::{Orders, close},
    report::Closed,
};
use crate::{
    actions::{Action, Argv, Context, Format},
    base::Result,
};

/// End a task that is not done
///
/// It is recorded as failed, with the reason. Nothing has to be met; a manager needs worker_session.stop, and under
/// strict terms a decision. The rest is as with `finish-task`.
///
/// Example: `conveyor stop-task parser --reason "the format is dropped" --stop-worker`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StopTask {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Why it ends
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub reason: Option<String>,
    /// Then stop the worker's session
    #[arg(long)]
    pub stop_worker: bool,
    /// Then stop the manager's session
    #[arg(long)]
    pub stop_manager: bool,
    /// The decision to stop that it follows from
    #[arg(long, value_name = "ID")]
    pub decision_id: Option<i64>,
    /// Want a decision to stop of the last 15 minutes
    #[arg(long)]
    pub strict_decisions: bool,
}

impl Action for StopTask {
    const NAME: &'static str = "stop-task";
    const FORMAT: Format = Format::Json;
    type Output = Closed;

    fn run(self, cx: &Context) -> Result<Closed> {
        let orders = Orders {
            reason: self.reason.as_deref(),
            stop_worker: self.stop_worker,
            stop_manager: self.stop_manager,
            decision_id: self.decision_id,
            strict_decisions: self.strict_decisions,
            finish: None,
        };
        close(cx, &self.task, &orders)
    }

    fn argv(&self) -> Argv {
        let Self { task, reason, stop_worker, stop_manager, decision_id, strict_decisions } = self;
        Argv::new(Self::NAME)
            .option("--reason", reason.as_ref())
            .switch("--stop-worker", *stop_worker)
            .switch("--stop-manager", *stop_manager)
            .option("--decision-id", decision_id.as_ref())
            .switch("--strict-decisions", *strict_decisions)
            .end_of_options()
            .word(task)
    }
}
