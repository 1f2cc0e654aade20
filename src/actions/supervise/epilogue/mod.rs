//! `epilogue`: the closing steps of a task. Each does its work, and one that fails has failed.

mod draft;
mod review;
mod status;
mod tools;

use std::{fmt, path::PathBuf, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

pub(super) use status::{Folder, Status};

use super::{evidence::STEP_EVENT, gate, programs::Programs, texts};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome,
        caller::{self, Origin},
        lookup,
    },
    base::{Error, Result},
    model::{
        session::Session,
        supervision::{Epilogue as Step, ManagerConfig},
        task::{Binding, Task},
    },
    store::{
        self, Read, Store, audit,
        epilogues::{Ended, EpilogueRun, NewRun, StepState},
    },
};

/// Runs that are shown at most.
const SHOWN: u32 = 200;
/// How long a tool may take unless the caller says otherwise, in seconds.
const TOOL_SECONDS: u64 = 600;

/// Run a closing step of a task, or show how they stand
///
/// Which steps there are is told by the task's terms. `run-tools` runs the tools of the terms as command lines, without
/// a shell, in the worker's folder; each has to end with exit code 0. `draft-pr` writes the text of a pull request
/// from the commits, and with `--open` has the user's `gh` open it. `subagent-review` wants a reviewer's yes.
/// `record-handoff` wants a handoff of the worker that still holds. A step that fails ends with exit code 1, and is on
/// record as failed. A manager needs the permission for what a step does.
///
/// Example: `conveyor epilogue parser --step run-tools`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["list", "status", "step"]))]
pub struct Epilogue {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Show the steps and how each stands
    #[arg(long, conflicts_with = "step")]
    pub list: bool,
    /// The same as --list
    #[arg(long, conflicts_with = "step")]
    pub status: bool,
    /// Run this step: run-tools, draft-pr, subagent-review or record-handoff
    #[arg(long, value_name = "STEP")]
    pub step: Option<Step>,
    /// Ties together what belongs to it
    #[arg(long, value_name = "ID", requires = "step")]
    pub correlation_id: Option<String>,
    /// How long each tool may take
    #[arg(long, value_name = "SECONDS", requires = "step", default_value_t = TOOL_SECONDS,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout_seconds: u64,
    /// With draft-pr: compare with this branch [default: the remote's own, main or master]
    #[arg(long, value_name = "BRANCH", requires = "step")]
    pub base: Option<String>,
    /// With draft-pr: have `gh` open the pull request, as a draft
    #[arg(long, requires = "step")]
    pub open: bool,
}

/// How the closing steps of a task stand.
#[derive(Debug, Serialize)]
pub struct Epilogues {
    configured_steps: Vec<Step>,
    dry_run: bool,
    /// The run that was asked for; none with --list and in a rehearsal, which runs nothing.
    ran: Option<EpilogueRun>,
    runs: Vec<EpilogueRun>,
    status: Status,
    task: Brief,
}

#[derive(Debug, Serialize)]
struct Brief {
    id: String,
    name: String,
}

/// What a step works on.
struct Work<'a> {
    cx: &'a Context,
    store: &'a Store,
    origin: &'a Origin,
    args: &'a Epilogue,
    task: Task,
    binding: Binding,
    worker: Session,
    config: ManagerConfig,
    programs: Programs,
}

/// What came of a step: whether it did what it is for, and what there is to tell.
struct Done {
    result: Value,
    failure: Option<String>,
}

impl Done {
    fn well(result: Value) -> Self {
        Self { result, failure: None }
    }

    fn failed(result: Value, why: impl Into<String>) -> Self {
        Self { result, failure: Some(why.into()) }
    }
}

impl Work<'_> {
    fn folder(&self) -> PathBuf {
        PathBuf::from(&self.worker.cwd)
    }

    fn permitted(&self, what: &str, needed: &[crate::model::supervision::Permission]) -> Result<()> {
        self.store.read(|r| gate::permitted(r, self.origin, &self.task, needed, what))
    }

    /// Refuses what the terms do not let its origin do, before anything is on record or run.
    fn check(&self, step: Step) -> Result<()> {
        match step {
            Step::RunTools => tools::check(self),
            Step::DraftPr => draft::check(self),
            Step::SubagentReview => review::check(self),
            Step::RecordHandoff => Ok(()),
        }
    }

    fn run(&self, step: Step) -> Done {
        let done = match step {
            Step::RunTools => tools::run(self),
            Step::DraftPr => draft::run(self),
            Step::SubagentReview => review::run(self),
            Step::RecordHandoff => self.handoff(),
        };
        done.unwrap_or_else(|error| Done::failed(json!({}), error.to_string()))
    }

    fn handoff(&self) -> Result<Done> {
        self.store.read(|r| {
            let (handoff_id, reason) = gate::handoff(r, Some(&self.task.id))?;
            let summary = store::handoffs::newest(r, &self.task.id)?.map(|handoff| handoff.summary);
            let result = json!({"handoff_id": handoff_id, "summary": summary});
            Ok(match reason {
                None => Done::well(result),
                Some(reason) => {
                    Done::failed(result, format!("{reason}: the worker records one with `conveyor handoff`"))
                }
            })
        })
    }
}

impl Action for Epilogue {
    const NAME: &'static str = "epilogue";
    const FORMAT: Format = Format::Json;
    type Output = Epilogues;

    fn run(self, cx: &Context) -> Result<Epilogues> {
        let Some(step) = self.step else {
            let store = cx.ledger()?;
            let origin = caller::origin(cx, &store)?;
            let (folder, programs) = store.read(|r| {
                let task = lookup::task(r, &self.task)?;
                Ok::<_, Error>((Folder::worker_of(r, &task)?, Programs::of(cx, r, &origin, &task.id)?))
            })?;
            let folder = Folder::look(cx, &programs, folder.as_deref());
            return store.read(|r| told(r, cx, &lookup::task(r, &self.task)?, &folder, None));
        };
        if step != Step::DraftPr && (self.open || self.base.is_some()) {
            return Err(Error::usage("--open and --base go with --step draft-pr"));
        }
        let correlation_id = texts::correlation(self.correlation_id.as_deref())?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        let work = store.read(|r| work(r, cx, &store, &origin, &self, step))?;
        if let Err(error) = work.check(step) {
            store.write_durably(|w| {
                let payload = json!({"origin": origin.words(), "reason": error.to_string(), "step": step});
                let about = audit::About { task_id: Some(&work.task.id), session_id: None };
                audit::append(w, cx.now(), origin.actor(cx), "epilogue_step_refused", about, &payload)?;
                Ok::<_, Error>(())
            })?;
            return Err(error);
        }
        let ran = if cx.dry_run() { None } else { Some(run(&work, step, correlation_id.as_deref())?) };
        let folder = Folder::look(cx, &work.programs, Some(&work.folder()));
        store.read(|r| told(r, cx, &work.task, &folder, ran))
    }

    fn argv(&self) -> Argv {
        let Self { task, list, status, step, correlation_id, timeout_seconds, base, open } = self;
        let is_plain = *timeout_seconds == TOOL_SECONDS;
        Argv::new(Self::NAME)
            .switch("--list", *list)
            .switch("--status", *status)
            .option("--step", *step)
            .option("--correlation-id", correlation_id.as_ref())
            .option("--timeout-seconds", (!is_plain).then_some(timeout_seconds))
            .option("--base", base.as_ref())
            .switch("--open", *open)
            .end_of_options()
            .word(task)
    }
}

fn work<'a>(
    r: Read<'_>,
    cx: &'a Context,
    store: &'a Store,
    origin: &'a Origin,
    args: &'a Epilogue,
    step: Step,
) -> Result<Work<'a>> {
    let task = lookup::task(r, &args.task)?;
    lookup::check_open(&task)?;
    gate::supervises(r, origin, &task, "run its closing steps")?;
    let config = store::manager_configs::of_task(r, &task.id)?
        .filter(|config| config.terms.epilogues.contains(&step))
        .ok_or_else(|| {
            Error::refused(format!("epilogue step \"{step}\" is not configured for task {}", task.name))
                .hint(format!("`conveyor manager-config {} --epilogue {step}` configures it", task.name))
        })?;
    let binding = lookup::active_binding(r, &task)?;
    let worker = lookup::bound_session(r, &binding.worker_session_id)?;
    let programs = Programs::of(cx, r, origin, &task.id)?;
    Ok(Work { cx, store, origin, args, task, binding, worker, config, programs })
}

/// Runs a step, on record from its beginning on.
fn run(work: &Work<'_>, step: Step, correlation_id: Option<&str>) -> Result<EpilogueRun> {
    let Work { cx, store, origin, task, binding, config, .. } = work;
    let actor = origin.actor(cx);
    let words = origin.words();
    let id = store.write_durably(|w| {
        let new = NewRun {
            task_id: &task.id,
            binding_id: Some(&binding.id),
            step,
            actor: actor.as_str(),
            origin: &words,
            manager_config_revision: Some(config.revision),
            correlation_id,
        };
        store::epilogues::begin(w, &new, cx.now())
    })?;
    let before = Folder::look(cx, &work.programs, Some(&work.folder()));
    let mut done = work.run(step);
    let after = Folder::look(cx, &work.programs, Some(&work.folder()));
    if done.failure.is_none() && step != Step::RecordHandoff {
        done.failure = after.differs_from(&before);
    }
    let state = if done.failure.is_none() { StepState::Succeeded } else { StepState::Failed };
    store.write_durably(|w| {
        let ended =
            Ended { state, tree: after.tree.as_deref(), result: Some(&done.result), error: done.failure.as_deref() };
        let now = cx.now();
        let run = store::epilogues::end(w, id, ended, now)?
            .ok_or_else(|| Error::conflict(format!("run {id} of {step} was ended by somebody else")))?;
        let payload = json!({
            "correlation_id": correlation_id,
            "error": done.failure,
            "origin": words,
            "run_id": id,
            "state": state,
            "step": step,
            "tree": after.tree,
        });
        let about = audit::About { task_id: Some(&task.id), session_id: Some(&binding.worker_session_id) };
        audit::append(w, now, actor, STEP_EVENT, about, &payload)?;
        Ok(run)
    })
}

fn told(r: Read<'_>, cx: &Context, task: &Task, folder: &Folder, ran: Option<EpilogueRun>) -> Result<Epilogues> {
    let config = store::manager_configs::of_task(r, &task.id)?;
    let status = Status::of(r, task, config.as_ref(), folder)?;
    Ok(Epilogues {
        configured_steps: status.required_steps.clone(),
        dry_run: cx.dry_run(),
        ran,
        runs: store::epilogues::of_task(r, &task.id, SHOWN)?,
        status,
        task: Brief { id: task.id.clone(), name: task.name.clone() },
    })
}

impl Epilogue {
    fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl Outcome for Epilogues {
    fn exit_code(&self) -> u8 {
        u8::from(self.ran.as_ref().is_some_and(|run| run.state != StepState::Succeeded))
    }

    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if let Some(run) = &self.ran {
            write!(out, "{} {}", run.step_name, run.state)?;
            return match &run.error {
                Some(error) => writeln!(out, ": {error}"),
                None => writeln!(out),
            };
        }
        if self.configured_steps.is_empty() {
            return writeln!(out, "{}: no closing steps", self.task.name);
        }
        self.status.steps.iter().try_for_each(|step| {
            let why = step.reasons.join("; ");
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            writeln!(out, "{}\t{}{why}", step.step_name, if step.ok { "ok" } else { "open" })
        })
    }
}
