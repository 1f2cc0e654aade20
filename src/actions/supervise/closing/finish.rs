//! `finish-task`: a task whose gates are met is done.

use super::{
    end::{Orders, close},
    ending::EndArgs,
    report::Closed,
};
use crate::{
    actions::{Action, Argv, Context, Format},
    base::Result,
};

/// Lines of history that are captured unless the caller says otherwise.
const LINES: u32 = 200;

/// Finish a task whose gates are met
///
/// The gates come from the task's terms, and flags only add to them: nothing open among its criteria, the evidence
/// that its terms name, acknowledgements, closing steps on the work as it is now, and for a session under strict terms
/// a decision. Whatever is in the way is listed, on record, and ends with exit code 3; `--dry-run` shows each gate. Its
/// binding ends, what is queued for it is cancelled, and messages that nobody has seen are taken out of the way.
/// Sessions go on unless they are to be stopped. A task that is done already can have its sessions stopped.
///
/// Example: `conveyor finish-task parser --reason "every recorded file parses" --stop-worker`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(mut_arg("reason", |arg| arg.help("Why it is done")))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct FinishTask {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub end: EndArgs,
    /// Ask for criteria that are all decided, with at least one satisfied
    #[arg(long)]
    pub require_criteria_audit: bool,
    /// Ask for acknowledgements of worker and manager that hold
    #[arg(long)]
    pub require_acks: bool,
    /// Ask for the configured closing steps, at least one
    #[arg(long)]
    pub require_epilogue: bool,
    /// Ask for a satisfied criterion whose evidence tells of a try to break the work
    #[arg(long)]
    pub require_adversarial_proof: bool,
    /// Capture what the sessions to be stopped show, before they are; kept by its hash
    #[arg(long)]
    pub capture_transcript_before_stop: bool,
    /// Lines of history before the visible screen
    #[arg(long, value_name = "N", default_value_t = LINES, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub capture_transcript_lines: u32,
    /// Ask that the capture holds something
    #[arg(long, requires = "capture_transcript_before_stop")]
    pub require_transcript_segment: bool,
    /// Print what was captured, cleaned of control characters; it is stored nowhere
    #[arg(long, requires = "capture_transcript_before_stop")]
    pub include_content: bool,
}

impl FinishTask {
    /// The task is finished, and nothing more.
    #[must_use]
    pub fn plain(task: &str) -> Self {
        Self {
            task: task.to_owned(),
            end: EndArgs::default(),
            require_criteria_audit: false,
            require_acks: false,
            require_epilogue: false,
            require_adversarial_proof: false,
            capture_transcript_before_stop: false,
            capture_transcript_lines: LINES,
            require_transcript_segment: false,
            include_content: false,
        }
    }
}

impl Action for FinishTask {
    const NAME: &'static str = "finish-task";
    const FORMAT: Format = Format::Json;
    type Output = Closed;

    fn run(self, cx: &Context) -> Result<Closed> {
        close(cx, &self.task, &Orders::of_finish(&self))
    }

    fn argv(&self) -> Argv {
        let Self {
            task,
            end,
            require_criteria_audit,
            require_acks,
            require_epilogue,
            require_adversarial_proof,
            capture_transcript_before_stop,
            capture_transcript_lines,
            require_transcript_segment,
            include_content,
        } = self;
        end.words(Argv::new(Self::NAME))
            .switch("--require-criteria-audit", *require_criteria_audit)
            .switch("--require-acks", *require_acks)
            .switch("--require-epilogue", *require_epilogue)
            .switch("--require-adversarial-proof", *require_adversarial_proof)
            .switch("--capture-transcript-before-stop", *capture_transcript_before_stop)
            .option(
                "--capture-transcript-lines",
                (*capture_transcript_lines != LINES).then_some(capture_transcript_lines),
            )
            .switch("--require-transcript-segment", *require_transcript_segment)
            .switch("--include-content", *include_content)
            .end_of_options()
            .word(task)
    }
}
