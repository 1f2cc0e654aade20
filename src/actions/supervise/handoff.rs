//! `handoff`: what a worker would tell whoever goes on with its work.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::texts;
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome, TextArg,
        caller::{self, Origin},
        lookup,
    },
    base::{Error, Kind, Result},
    store::{self, audit, handoffs::NewHandoff},
};

/// The most steps.
const MAX_STEPS: usize = 100;

/// Record what a worker would tell whoever goes on with its work
///
/// A worker's context is compacted or cleared for its manager only when one is on record that still holds: recorded
/// under the present binding, and after the last compaction.
///
/// Example: `conveyor handoff parser --summary "lexer done, 14 of 20 files parse" --next-step "nested quotes"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Handoff {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// What was done, and how it stands; `-` reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub summary: TextArg,
    /// What comes next; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub next_step: Vec<String>,
    /// Whatever else belongs to it, as a JSON object
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub payload_json: Option<String>,
}

/// A handoff as printed.
#[derive(Debug, Serialize)]
pub struct HandedOff {
    dry_run: bool,
    #[serde(flatten)]
    handoff: store::handoffs::Handoff,
    #[serde(skip)]
    task: String,
}

impl Action for Handoff {
    const NAME: &'static str = "handoff";
    const FORMAT: Format = Format::Json;
    type Output = HandedOff;

    fn run(self, cx: &Context) -> Result<HandedOff> {
        let summary = texts::one("--summary", self.summary.get()?)?;
        let payload = texts::object("--payload-json", self.payload_json.as_deref())?;
        if self.next_step.len() > MAX_STEPS {
            return Err(Error::usage(format!("--next-step was given more than {MAX_STEPS} times")));
        }
        let next_steps =
            self.next_step.iter().map(|step| texts::one("--next-step", step)).collect::<Result<Vec<_>>>()?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        store.write_durably(|w| {
            let task = lookup::task(w.read(), &self.task)?;
            lookup::check_open(&task)?;
            let binding = store::bindings::active_of_task(w.read(), &task.id)?;
            // A compaction needs it: who asks for one does not write what it needs.
            let may = match &origin {
                Origin::Operator => true,
                Origin::Session(session) => {
                    binding.as_ref().is_some_and(|binding| binding.worker_session_id == session.id)
                }
                Origin::Hidden => false,
            };
            if !may {
                let who = origin.words();
                let words = format!("{who} is not the worker of the task \"{}\"", task.name);
                return Err(Error::new(Kind::Blocked, words)
                    .hint("the worker itself says it; `conveyor request-worker-compact --prompt-only` asks it to"));
            }
            let new = NewHandoff {
                task_id: &task.id,
                binding_id: binding.as_ref().map(|binding| &*binding.id),
                worker_session_id: binding.as_ref().map(|binding| &*binding.worker_session_id),
                summary: &summary,
                next_steps: &next_steps,
                payload: &payload,
            };
            let now = cx.now();
            let mut handoff = store::handoffs::record(w, &new, now)?;
            handoff.origin = Some(origin.words());
            let about = audit::About { task_id: Some(&task.id), session_id: handoff.worker_session_id.as_deref() };
            let told = json!({
                "handoff_id": handoff.id,
                "next_step_count": next_steps.len(),
                "origin": origin.words(),
                "worker_session_id": handoff.worker_session_id,
            });
            audit::append(w, now, origin.actor(cx), "worker_handoff_recorded", about, &told)?;
            Ok(HandedOff { dry_run: cx.dry_run(), handoff, task: task.name })
        })
    }

    fn argv(&self) -> Argv {
        let Self { task, summary, next_step, payload_json } = self;
        let argv = Argv::new(Self::NAME).text("--summary", Some(summary));
        next_step
            .iter()
            .fold(argv, |argv, step| argv.option("--next-step", Some(step)))
            .option("--payload-json", payload_json.as_ref())
            .end_of_options()
            .word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        vec![&mut self.summary]
    }
}

impl Outcome for HandedOff {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would record" } else { "recorded" };
        writeln!(out, "{verb} handoff {} of {}", self.handoff.id, self.task)
    }
}
