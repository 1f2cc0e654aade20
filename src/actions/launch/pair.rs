//! `pair`: a task with a worker and a manager, started and bound at once.
//!
//! Both sessions are opened first; then task, registrations and binding are one transaction. Whatever fails on the
//! way, both sessions are closed again and the ledger is as it was.

use std::fmt;

use serde::Serialize;

use super::{
    LaunchArgs, prompt,
    prompt::Supervision,
    registering::{self, Before, check_free},
    spawn::{self, Plan, Prepared, Spawned},
    start::first_look,
    started::Started,
    terms::ManagerTermArgs,
    writable,
};
use crate::{
    actions::{
        Action, Argv, Context, DispatcherHost, Format, Outcome, TermArgs, TextArg, binding, caller,
        dispatch::{self, Dispatch, DispatcherView, dispatch_health},
        session::known_sessions,
        supervise::{config, gate},
        task,
    },
    base::{Error, Name, Result, Timestamp},
    model::{
        session::{Role, Session},
        task::Task,
    },
    store::{self, Read, Write, audit},
};

/// Start a worker and a manager and bind them to a task
///
/// The task is taken when it is on record and open, else it is created. Both sessions are started as `start-worker`
/// and `start-manager` do it, with the same options; then everything is recorded at once. When anything fails, what
/// was started is closed again and nothing is recorded. When nobody delivers messages yet, a dispatcher is started in
/// the background; `conveyor dispatch stop --all` ends it. The `--manager-...` flags set the manager's terms as
/// `manager-config` does; a task without terms gets the plain ones, which allow nothing.
///
/// Example: `conveyor pair --task parser --worker-name w1 --manager-name m1 --task-goal "Parse it"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Pair {
    /// Name of the task; it is created when there is none
    #[arg(long, value_name = "NAME")]
    pub task: Name,
    /// Name of the worker
    #[arg(long, value_name = "NAME")]
    pub worker_name: Name,
    /// Name of the manager
    #[arg(long, value_name = "NAME")]
    pub manager_name: Name,
    /// What is to be achieved, when the task is created; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub task_goal: Option<TextArg>,
    /// A longer description, when the task is created; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub task_summary: Option<TextArg>,
    /// The worker's first message; without it the worker waits. `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub task_prompt: Option<TextArg>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub launch: Box<LaunchArgs>,
    /// A name for the dispatcher that is started in the background
    #[arg(long, value_name = "ID", conflicts_with = "no_dispatch")]
    pub dispatcher_id: Option<Name>,
    /// Do not see to it that somebody delivers
    #[arg(long)]
    pub no_dispatch: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub terms: Box<ManagerTermArgs>,
}

/// The pair.
#[derive(Debug, Serialize)]
pub struct Paired {
    /// Null in a rehearsal.
    binding_id: Option<String>,
    dispatch: Dispatching,
    /// The command that sees to it that somebody delivers; null when nobody asked for it.
    dispatch_command: Option<Vec<String>>,
    dry_run: bool,
    ensure_dispatch: bool,
    manager: Started,
    manager_acceptance_criteria_seeded: usize,
    manager_config_seeded: bool,
    manager_config_seeded_by_pair: bool,
    /// Runs come later; the field is part of the contract.
    run_id: Option<String>,
    task: TaskView,
    /// What an operator should know about delivery.
    warning: Option<String>,
    worker: Started,
}

/// Who delivers.
#[derive(Debug, Serialize)]
struct Dispatching {
    /// The command that sees to it.
    command: Option<Vec<String>>,
    /// Who delivers; null when nobody does, or nobody looked.
    dispatcher_id: Option<String>,
    ensure: bool,
    /// The process that delivers; null when none does, or nobody looked.
    pid: Option<i64>,
    /// This command has started it.
    started: bool,
}

#[derive(Debug, Serialize)]
struct TaskView {
    created: bool,
    id: String,
    name: String,
}

impl Action for Pair {
    const NAME: &'static str = "pair";
    const FORMAT: Format = Format::Json;
    const OPENS_SESSIONS: bool = true;
    type Output = Paired;

    fn run(self, cx: &Context) -> Result<Paired> {
        let began = cx.now();
        self.terms.check()?;
        let wanted = self.wanted(cx)?;
        let task = look(cx, &wanted)?;
        let seed = config::seed_planned(cx, &task.task, &wanted.terms)?;
        let plans =
            [(Role::Worker, self.worker_plan(cx, seed.requires_acks)?), (Role::Manager, self.manager_plan(cx, &task)?)];
        let [worker, manager] = plans.map(|(_, plan)| {
            let prepared = spawn::prepare(cx, plan)?;
            spawn::check_name_free(cx, &prepared)?;
            Ok::<_, Error>(prepared)
        });
        let (worker, manager) = (worker?, manager?);
        if cx.dry_run() {
            let started = [Started::planned(&worker, Role::Worker), Started::planned(&manager, Role::Manager)];
            return self.paired(cx, None, &task, (seed.is_written, 0), started);
        }
        // The manager's sandbox opens the ledger's folder to it, which has to be there.
        cx.ledger_or_create()?;
        let (opened, recorded) = both(cx, &wanted, &worker, &manager, began)?;
        let [mut working, mut managing] = opened;
        working.keep_prompt()?;
        managing.keep_prompt()?;
        let Recorded { binding_id, task, worker: first, manager: second, is_seeded, criteria } = recorded;
        let first = first_look(cx, &worker, &working, first);
        let second = first_look(cx, &manager, &managing, second);
        let started = [Started::of(&worker, &working, first), Started::of(&manager, &managing, second)];
        self.paired(cx, Some(binding_id), &task, (is_seeded, criteria), started)
    }

    fn argv(&self) -> Argv {
        let Self {
            task,
            worker_name,
            manager_name,
            task_goal,
            task_summary,
            task_prompt,
            launch,
            dispatcher_id,
            no_dispatch,
            terms,
        } = self;
        let argv = launch
            .argv(
                Argv::new(Self::NAME)
                    .option("--task", Some(task))
                    .option("--worker-name", Some(worker_name))
                    .option("--manager-name", Some(manager_name))
                    .text("--task-goal", task_goal.as_ref())
                    .text("--task-summary", task_summary.as_ref())
                    .text("--task-prompt", task_prompt.as_ref()),
            )
            .option("--dispatcher-id", dispatcher_id.as_ref())
            .switch("--no-dispatch", *no_dispatch);
        terms.words(argv)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        let Self { task_goal, task_summary, task_prompt, .. } = self;
        [task_goal, task_summary, task_prompt].into_iter().flatten().collect()
    }
}

/// What is to be there afterwards.
struct Wanted {
    worker: String,
    manager: String,
    task_name: String,
    /// The task, when it has to be created; none without a goal.
    new_task: Option<Task>,
    /// What is set of the manager's terms.
    terms: TermArgs,
}

/// The task, and whether it has to be created.
struct TaskFound {
    task: Task,
    is_new: bool,
}

impl Pair {
    fn wanted(&self, cx: &Context) -> Result<Wanted> {
        if self.worker_name == self.manager_name {
            return Err(Error::usage(format!("worker and manager are both named {}", self.worker_name)));
        }
        let summary = self.task_summary.as_ref().map(TextArg::get).transpose()?;
        let goal = self.task_goal.as_ref().map(TextArg::get).transpose()?;
        if goal.is_none() && summary.is_some() {
            return Err(Error::usage("--task-summary belongs to a task that is created with --task-goal"));
        }
        let new_task = goal.map(|goal| task::new(cx, &self.task, goal, summary)).transpose()?;
        Ok(Wanted {
            worker: self.worker_name.to_string(),
            manager: self.manager_name.to_string(),
            task_name: self.task.to_string(),
            new_task,
            terms: self.terms.plain(),
        })
    }

    fn worker_plan(&self, cx: &Context, requires_acks: bool) -> Result<Plan> {
        let mut plan = self.launch.plan(cx, self.worker_name.as_str());
        let message = self.task_prompt.as_ref().map(prompt::first_message).transpose()?;
        plan.prompt =
            message.map(|message| prompt::supervised(self.task.as_str(), self.manager_name.as_str(), &message));
        if requires_acks {
            let how = prompt::acknowledge(cx, self.task.as_str());
            plan.prompt = Some(plan.prompt.map_or_else(|| how.clone(), |prompt| format!("{prompt}\n\n{how}")));
            // It says so with a command of its own.
            writable::grant_ledger(cx, &mut plan);
        }
        Ok(plan)
    }

    fn manager_plan(&self, cx: &Context, found: &TaskFound) -> Result<Plan> {
        let mut plan = self.launch.plan(cx, self.manager_name.as_str());
        plan.prompt = Some(prompt::supervision(
            cx,
            &Supervision {
                name: self.manager_name.as_str(),
                task: Some(self.task.as_str()),
                goal: Some(&found.task.goal),
                worker: Some(self.worker_name.as_str()),
                cwd: &plan.cwd,
            },
        ));
        writable::grant_ledger(cx, &mut plan);
        Ok(plan)
    }

    fn paired(
        &self,
        cx: &Context,
        binding_id: Option<String>,
        found: &TaskFound,
        (is_seeded, criteria): (bool, usize),
        [worker, manager]: [Started; 2],
    ) -> Result<Paired> {
        let dispatch = self.dispatching(cx);
        let health = if cx.env().ledger.exists() { dispatch_health(cx).ok() } else { None };
        let (dispatch, trouble) = match dispatch {
            Ok(dispatch) => (dispatch, None),
            // The pair is there and works; that nobody delivers can be mended.
            Err(error) => (self.wanted_dispatch(cx), Some(format!("no dispatcher could be started: {error}"))),
        };
        Ok(Paired {
            binding_id,
            dispatch_command: dispatch.command.clone(),
            ensure_dispatch: dispatch.ensure,
            dispatch,
            dry_run: cx.dry_run(),
            manager,
            manager_acceptance_criteria_seeded: criteria,
            manager_config_seeded: true,
            manager_config_seeded_by_pair: is_seeded,
            run_id: None,
            task: TaskView { created: found.is_new, id: found.task.id.clone(), name: found.task.name.clone() },
            warning: trouble.or_else(|| health.and_then(|health| health.warning)).filter(|_| !cx.dry_run()),
            worker,
        })
    }
}

impl Pair {
    /// Sees to it that somebody delivers: whoever does so for everything already, else a dispatcher in the background.
    fn dispatching(&self, cx: &Context) -> Result<Dispatching> {
        if self.no_dispatch {
            return Ok(Dispatching { command: None, dispatcher_id: None, ensure: false, pid: None, started: false });
        }
        let wanted = self.wanted_dispatch(cx);
        if cx.dry_run() {
            return Ok(wanted);
        }
        if self.dispatcher_id.is_none()
            && let Some(one) = dispatch_health(cx)?.dispatchers.into_iter().find(delivers_everything)
        {
            return Ok(Dispatching { dispatcher_id: Some(one.id), pid: Some(one.pid), ..wanted });
        }
        let detached = dispatch::detach(cx, &Dispatch::in_background(self.dispatcher_id.clone()))?;
        Ok(Dispatching {
            dispatcher_id: Some(detached.dispatcher_id),
            pid: detached.pid,
            started: detached.started,
            ..wanted
        })
    }
}

impl Pair {
    /// What is to be there, before anybody looked.
    fn wanted_dispatch(&self, cx: &Context) -> Dispatching {
        let ledger = cx.env().ledger.display().to_string();
        let mut command =
            ["conveyor", "dispatch", "--watch", "--detach", "--path", &ledger].map(str::to_owned).to_vec();
        command.extend(self.dispatcher_id.iter().map(|id| format!("--dispatcher-id={id}")));
        Dispatching { command: Some(command), dispatcher_id: None, ensure: true, pid: None, started: false }
    }
}

fn delivers_everything(one: &DispatcherView) -> bool {
    one.alive && one.host != DispatcherHost::Once && one.task_id.is_none() && one.wanted.is_none()
}

/// Whether all of it can be done as things stand; what cannot is said before a session is opened.
fn look(cx: &Context, wanted: &Wanted) -> Result<TaskFound> {
    let known = known_sessions(cx)?;
    for (name, role) in [(&wanted.worker, Role::Worker), (&wanted.manager, Role::Manager)] {
        if let Some(known) = known.iter().find(|session| session.name == *name) {
            check_free(known, role)?;
        }
    }
    if !cx.env().ledger.exists() {
        return fresh(wanted);
    }
    let ledger = cx.ledger_or_create()?;
    let origin = caller::origin(cx, &ledger)?;
    ledger.read(|r| {
        for name in [&wanted.worker, &wanted.manager] {
            if let Some(known) = known.iter().find(|session| session.name == *name) {
                check_unbound(r, known)?;
            }
        }
        let found = find_task(r, wanted)?;
        gate::check_bind(r, &origin, &found.task)?;
        Ok(found)
    })
}

/// A stopped session keeps its binding, which stands in the way of another.
fn check_unbound(r: Read<'_>, session: &Session) -> Result<()> {
    let Some(binding) = store::bindings::active_of_session(r, &session.id)? else { return Ok(()) };
    let task = crate::actions::lookup::task_name(r, &binding)?;
    Err(Error::conflict(format!(
        "{} session \"{}\" is already bound to task \"{task}\" (binding \"{}\")",
        session.role, session.name, binding.id
    ))
    .hint(match store::audit::way_back(r, session)? {
        Some(back) => format!("`{back}` brings it back to that task; `conveyor unbind --task {task}` frees the name"),
        None => format!("`conveyor unbind --task {task}` frees the name"),
    }))
}

/// The open task of this name, which nobody works on, or the one that is to be created.
fn find_task(r: Read<'_>, wanted: &Wanted) -> Result<TaskFound> {
    let Some(task) = store::tasks::find(r, &wanted.task_name)?.filter(|task| task.state.is_open()) else {
        return fresh(wanted);
    };
    if let Some(binding) = store::bindings::active_of_task(r, &task.id)? {
        return Err(Error::conflict(format!(
            "task \"{}\" already has an active binding \"{}\"",
            task.name, binding.id
        ))
        .hint(format!("end it with `conveyor unbind --task {}`, or choose another task", task.name)));
    }
    if let Some(new) = &wanted.new_task
        && (new.goal != task.goal || (new.summary.is_some() && new.summary != task.summary))
    {
        return Err(Error::conflict(format!("task \"{}\" is on record with another goal or summary", task.name))
            .hint("leave out --task-goal and --task-summary to take it as it is, or choose another name"));
    }
    Ok(TaskFound { task, is_new: false })
}

fn fresh(wanted: &Wanted) -> Result<TaskFound> {
    let task = wanted.new_task.clone().ok_or_else(|| {
        Error::not_found(format!("there is no open task named \"{}\"", wanted.task_name))
            .hint("create it with --task-goal TEXT; `conveyor tasks --active` lists those on record")
    })?;
    Ok(TaskFound { task, is_new: true })
}

/// Opens both sessions and records everything; on failure neither stays.
fn both(
    cx: &Context,
    wanted: &Wanted,
    worker: &Prepared,
    manager: &Prepared,
    began: Timestamp,
) -> Result<([Spawned; 2], Recorded)> {
    let working = spawn::spawn(cx, worker)?;
    let failed = |error: Error| taken_back(cx, worker, &working, error);
    let managing = match spawn::spawn(cx, manager) {
        Ok(managing) => managing,
        Err(error) => return Err(failed(error)),
    };
    let opened = [(worker, &working), (manager, &managing)];
    match record(cx, wanted, opened, began) {
        Ok(recorded) => Ok(([working, managing], recorded)),
        Err(error) => Err(failed(spawn::undo(cx, manager, &managing, error))),
    }
}

/// Closes the worker again, and says so.
fn taken_back(cx: &Context, worker: &Prepared, working: &Spawned, error: Error) -> Error {
    let error = spawn::undo(cx, worker, working, error);
    let kind = error.kind();
    let hint = error.hint_text().map(str::to_owned);
    let said = Error::new(kind, format!("{}; worker \"{}\" has been closed again", error.message(), worker.plan.name));
    let said = match hint {
        Some(hint) => said.hint(hint),
        None => said,
    };
    said.caused_by(error)
}

/// What was recorded.
struct Recorded {
    binding_id: String,
    task: TaskFound,
    worker: Session,
    manager: Session,
    /// Terms were written.
    is_seeded: bool,
    /// Criteria were added.
    criteria: usize,
}

fn record(
    cx: &Context,
    wanted: &Wanted,
    [working, managing]: [(&Prepared, &Spawned); 2],
    began: Timestamp,
) -> Result<Recorded> {
    if cx.interrupted() {
        return Err(super::interrupted());
    }
    let now = cx.now();
    let ledger = cx.ledger_or_create()?;
    let origin = caller::origin(cx, &ledger)?;
    ledger.write(|w| {
        let found = find_task(w.read(), wanted)?;
        gate::check_bind(w.read(), &origin, &found.task)?;
        if found.is_new {
            task::record(cx, w, &found.task)?;
        }
        // The worker is at work already: what it has done since it was started is done for these terms, and belongs to the
        // binding.
        let (is_seeded, criteria) = config::seed(cx, w, &origin, &found.task, &wanted.terms, began)?;
        let worker = write_down(cx, w, working, Role::Worker, now)?;
        let manager = write_down(cx, w, managing, Role::Manager, now)?;
        let worker = binding::bindable(w.read(), &worker.name, Role::Worker)?;
        let manager = binding::bindable(w.read(), &manager.name, Role::Manager)?;
        let binding = binding::tie(cx, w, &origin, &found.task, [&worker, &manager], began, now)?;
        let about = audit::About { task_id: Some(&found.task.id), session_id: None };
        let payload = serde_json::json!({
            "binding_id": binding.id,
            "manager": manager.name,
            "task_created": found.is_new,
            "worker": worker.name,
        });
        audit::append(w, now, origin.actor(cx), "pair_started", about, &payload)?;
        Ok(Recorded { binding_id: binding.id, task: found, worker, manager, is_seeded, criteria })
    })
}

fn write_down(
    cx: &Context,
    w: &Write<'_>,
    (prepared, spawned): (&Prepared, &Spawned),
    role: Role,
    now: Timestamp,
) -> Result<Session> {
    let started = registering::Started { prepared, spawned, role, via: Pair::NAME, before: &Before::Free };
    Ok(registering::write_down(cx, w, started, now)?.session)
}

impl Outcome for Paired {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.worker.human(out)?;
        self.manager.human(out)?;
        let (bound, created) = if self.dry_run { ("would bind", "would create") } else { ("bound", "created") };
        if self.task.created {
            writeln!(out, "{created} task {}", self.task.name)?;
        }
        writeln!(out, "{bound} {} and {} to {}", self.worker.name(), self.manager.name(), self.task.name)?;
        if let (Some(id), Some(pid)) = (&self.dispatch.dispatcher_id, self.dispatch.pid) {
            if self.dispatch.started {
                writeln!(
                    out,
                    "messages are delivered in the background now (process {pid}); `conveyor dispatch stop {id}` ends that"
                )?;
            } else {
                // Whoever runs it has not asked for an end of it here.
                writeln!(out, "messages are delivered already, by process {pid} ({id})")?;
            }
        }
        self.warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}
