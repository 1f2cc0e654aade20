//! `start-worker` and `start-manager`: a Codex session in tmux, registered.

use std::{thread, time::Duration};

use super::{
    LaunchArgs, prompt,
    prompt::Supervision,
    registering::{Before, check_free, register},
    spawn::{self, Plan, Prepared, Spawned},
    started::Started,
    writable,
};
use crate::{
    actions::{Action, Argv, Context, Format, TextArg, live, session::known_session},
    base::{Name, Result},
    model::{
        pane::PaneState,
        session::{Role, Session},
    },
};

/// Start a Codex worker in tmux and register it
///
/// The worker asks before it leaves its sandbox (on-request, workspace-write), unless told otherwise. When the
/// installed Codex keeps a background server, the session is created there first, so that its id and rollout are
/// known at once. A start that fails closes what it opened.
///
/// Example: `conveyor start-worker --name w1 --cwd . --task "Make the parser accept every recorded file"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StartWorker {
    /// Name of the worker
    #[arg(long, value_name = "NAME")]
    pub name: Name,
    /// The first message; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub task: Option<TextArg>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for StartWorker {
    const NAME: &'static str = "start-worker";
    const FORMAT: Format = Format::Json;
    const OPENS_SESSIONS: bool = true;
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let mut plan = self.launch.plan(cx, self.name.as_str());
        plan.prompt = self.task.as_ref().map(prompt::first_message).transpose()?;
        start(cx, plan, Role::Worker, self.name.as_str(), Self::NAME)
    }

    fn argv(&self) -> Argv {
        let Self { name, task, launch } = self;
        launch.argv(Argv::new(Self::NAME).option("--name", Some(name)).text("--task", task.as_ref()))
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.task.iter_mut().collect()
    }
}

/// Start a Codex manager in tmux and register it
///
/// Started as `start-worker` does it. Its first message tells it how to supervise: which commands show it the worker
/// and its inbox, how it answers, and what it leaves to a person. Its commands may write the ledger's folder, which
/// its sandbox would else forbid (`writable_roots` in the result). Bind it with `conveyor bind`, or use
/// `conveyor pair`.
///
/// Example: `conveyor start-manager --name m1 --task parser --worker w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StartManager {
    /// Name of the manager
    #[arg(long, value_name = "NAME")]
    pub name: Name,
    /// The task it is to supervise, by name or id; it need not be recorded yet
    #[arg(long, value_name = "TASK")]
    pub task: Option<Name>,
    /// What the task is to achieve; without it what is recorded. `-` reads standard input
    #[arg(long, value_name = "TEXT", requires = "task")]
    pub task_goal: Option<TextArg>,
    /// Name of the worker that it is to supervise
    #[arg(long, value_name = "NAME")]
    pub worker: Option<Name>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: LaunchArgs,
}

impl Action for StartManager {
    const NAME: &'static str = "start-manager";
    const FORMAT: Format = Format::Json;
    const OPENS_SESSIONS: bool = true;
    type Output = Started;

    fn run(self, cx: &Context) -> Result<Started> {
        let mut plan = self.launch.plan(cx, self.name.as_str());
        let goal = self.task_goal.as_ref().map(prompt::first_message).transpose()?;
        let recorded = prompt::recorded_goal(cx, self.task.as_ref())?;
        plan.prompt = Some(prompt::supervision(
            cx,
            &Supervision {
                name: self.name.as_str(),
                task: self.task.as_ref().map(Name::as_str),
                goal: goal.or(recorded).as_deref(),
                worker: self.worker.as_ref().map(Name::as_str),
                cwd: &plan.cwd,
            },
        ));
        writable::grant_ledger(cx, &mut plan);
        start(cx, plan, Role::Manager, self.name.as_str(), Self::NAME)
    }

    fn argv(&self) -> Argv {
        let Self { name, task, task_goal, worker, launch } = self;
        launch.argv(
            Argv::new(Self::NAME)
                .option("--name", Some(name))
                .option("--task", task.as_ref())
                .text("--task-goal", task_goal.as_ref())
                .option("--worker", worker.as_ref()),
        )
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.task_goal.iter_mut().collect()
    }
}

/// Starts and registers a session of either role with a first message.
///
/// # Errors
/// As `start-worker`.
pub fn launch_session(cx: &Context, launch: &LaunchArgs, role: Role, name: &str, message: &str) -> Result<Started> {
    let mut plan = launch.plan(cx, name);
    plan.prompt = Some(message.to_owned());
    start(cx, plan, role, name, "start")
}

/// Starts and registers a session.
pub(super) fn start(cx: &Context, plan: Plan, role: Role, name: &str, via: &str) -> Result<Started> {
    if let Some(known) = known_session(cx, name)? {
        check_free(&known, role)?;
    }
    let prepared = spawn::prepare(cx, plan)?;
    spawn::check_name_free(cx, &prepared)?;
    if cx.dry_run() {
        return Ok(Started::planned(&prepared, role));
    }
    if role == Role::Manager {
        // Its sandbox opens the ledger's folder to it, which has to be there.
        cx.ledger_or_create()?;
    }
    let mut spawned = spawn::spawn(cx, &prepared)?;
    match register(cx, &prepared, &spawned, role, via, &Before::Free) {
        Ok(registered) => {
            spawned.keep_prompt()?;
            let session = first_look(cx, &prepared, &spawned, registered.session);
            Ok(Started::of(&prepared, &spawned, session))
        }
        Err(error) => Err(spawn::undo(cx, &prepared, &spawned, error)),
    }
}

/// Between looks for a rollout that is to come with the first message, and how many.
const ROLLOUT_LOOKS: (Duration, u32) = (Duration::from_millis(200), 10);

/// Looks at a session that is on record now: a dispatcher needs its rollout, which Codex writes with the first message.
/// Whatever cannot be seen yet, later looks will see.
pub(super) fn first_look(cx: &Context, prepared: &Prepared, spawned: &Spawned, session: Session) -> Session {
    let Ok(store) = cx.ledger_to_change() else { return session };
    let is_at_work = matches!(spawned.screen.state, PaneState::Idle | PaneState::Busy);
    let has_rollout = prepared.plan.prompt.is_some() && is_at_work && session.codex_session_id.is_some();
    let mut session = session;
    let (pause, most) = ROLLOUT_LOOKS;
    for look in 0..most {
        match live::refresh(cx, &store, session.clone()) {
            Ok((seen, _)) => session = seen,
            Err(_) => return session,
        }
        if session.codex_session_path.is_some() || !has_rollout || cx.interrupted() {
            break;
        }
        if look + 1 < most {
            thread::sleep(pause);
        }
    }
    session
}
