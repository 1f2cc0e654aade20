//! `stop-task`: a task ends without being done.

use super::{
    end::{Orders, close},
    ending::EndArgs,
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
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub end: EndArgs,
}

impl Action for StopTask {
    const NAME: &'static str = "stop-task";
    const FORMAT: Format = Format::Json;
    type Output = Closed;

    fn run(self, cx: &Context) -> Result<Closed> {
        close(cx, &self.task, &Orders::of_stop(&self.end))
    }

    fn argv(&self) -> Argv {
        let Self { task, end } = self;
        end.words(Argv::new(Self::NAME)).end_of_options().word(task)
    }
}
