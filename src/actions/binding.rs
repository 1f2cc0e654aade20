//! `bind` and `unbind`: tie a worker and a manager session to a task.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{
    Action, Argv, Context, Outcome,
    caller::{self, Origin},
    dispatch::{self, LeftBehind, Words},
    expected, lookup,
    supervise::gate,
};
use crate::{
    base::{Error, Result, Timestamp},
    model::{
        counts::Counts,
        session::{Role, Session},
        task::{Binding, BindingState, Task, TaskState},
    },
    store::{self, Read, Write, audit},
};

/// Bind a worker and a manager session to a task
///
/// A task has one binding in force, and a session is in one at a time.
///
/// Example: `conveyor bind --task parser --worker w1 --manager m1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Bind {
    /// Task name or id
    #[arg(long, value_name = "TASK")]
    pub task: String,
    /// Name of the session that does the work
    #[arg(long, value_name = "SESSION")]
    pub worker: String,
    /// Name of the session that supervises
    #[arg(long, value_name = "SESSION")]
    pub manager: String,
}

/// The new binding.
#[derive(Debug, Serialize)]
pub struct Bound {
    binding_id: String,
    dry_run: bool,
    manager: String,
    task: String,
    worker: String,
}

impl Action for Bind {
    const NAME: &'static str = "bind";
    const FORMAT: super::Format = super::Format::Json;
    type Output = Bound;

    fn run(self, cx: &Context) -> Result<Bound> {
        let now = cx.now();
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        let binding_id = store.write(|w| {
            let task = lookup::task(w.read(), &self.task)?;
            if !task.state.is_open() {
                return Err(has_ended(&task));
            }
            let worker = bindable(w.read(), &self.worker, Role::Worker)?;
            let manager = bindable(w.read(), &self.manager, Role::Manager)?;
            gate::check_bind(w.read(), &origin, &task)?;
            let binding = tie(cx, w, &origin, &task, [&worker, &manager], now, now)?;
            Ok::<_, Error>(binding.id)
        })?;
        Ok(Bound { binding_id, dry_run: cx.dry_run(), manager: self.manager, task: self.task, worker: self.worker })
    }

    fn argv(&self) -> Argv {
        let Self { task, worker, manager } = self;
        Argv::new(Self::NAME)
            .option("--task", Some(task))
            .option("--worker", Some(worker))
            .option("--manager", Some(manager))
    }
}

/// An ended task stays ended; what to do instead.
fn has_ended(task: &Task) -> Error {
    let Task { name, .. } = task;
    Error::refused(format!("task \"{name}\" has ended: it is {}, and is not opened again", task.word()))
        .hint(format!("make a new one, with the same name if you like: `conveyor tasks --create {name} --goal TEXT`"))
}

/// Binds a worker and a manager that are [`bindable`] to an open task. What the worker did from `since` on belongs to it.
pub(super) fn tie(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    task: &Task,
    [worker, manager]: [&Session; 2],
    since: Timestamp,
    now: Timestamp,
) -> Result<Binding> {
    if let Some(binding) = store::bindings::active_of_task(w.read(), &task.id)? {
        return Err(Error::conflict(format!(
            "task \"{}\" already has an active binding \"{}\"",
            task.name, binding.id
        ))
        .hint(format!("end it with `conveyor unbind --task {}`", task.name)));
    }
    let binding = Binding {
        id: cx.fresh_id("binding"),
        task_id: task.id.clone(),
        state: BindingState::Active,
        worker_session_id: worker.id.clone(),
        manager_session_id: manager.id.clone(),
        created_at: since,
        ended_at: None,
    };
    store::bindings::insert(w, &binding)?;
    if task.state != TaskState::Managed {
        store::tasks::set_state(w, &task.id, TaskState::Managed, now)?;
    }
    let about = audit::About { task_id: Some(&task.id), session_id: None };
    let payload = json!({
        "binding_id": binding.id,
        "manager": manager.name,
        "previous_task_state": task.state,
        "task": task.name,
        "worker": worker.name,
    });
    audit::append(w, now, origin.actor(cx), "binding_created", about, &payload)?;
    Ok(binding)
}

/// The session, if it has the role, is registered, and is not bound elsewhere.
pub(super) fn bindable(r: Read<'_>, name: &str, role: Role) -> Result<Session> {
    let session = lookup::session_with_role(r, name, role)?;
    lookup::check_active(r, &session)?;
    if let Some(binding) = store::bindings::active_of_session(r, &session.id)? {
        let task = lookup::task_name(r, &binding)?;
        return Err(Error::conflict(format!(
            "{role} session \"{name}\" is already bound to task \"{task}\" (binding \"{}\")",
            binding.id
        ))
        .hint(format!("`conveyor unbind --task {task}` frees it")));
    }
    Ok(session)
}

impl Outcome for Bound {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would bind" } else { "bound" };
        writeln!(out, "{verb} {} and {} to {} ({})", self.worker, self.manager, self.task, self.binding_id)
    }
}

/// End the binding of a task
///
/// The task and its sessions stay as they are. Messages that wait to go through it are given up, and counted. What is on
/// the way already may still arrive, and what lies unread in an inbox stays there.
///
/// Example: `conveyor unbind --task parser`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Unbind {
    /// Task name or id
    #[arg(long, value_name = "TASK")]
    pub task: String,
    /// Do it only if exactly this goes with it: `counted` of its `--dry-run`, as `given_up=2,under_way=1`, or `none`
    #[arg(long, value_name = "COUNTS")]
    pub expect: Option<Counts>,
}

/// The ended binding.
#[derive(Debug, Serialize)]
pub struct Unbound {
    binding_id: String,
    /// What goes with it, as `--expect` takes it.
    counted: Counts,
    dry_run: bool,
    #[serde(flatten)]
    left: LeftBehind,
    state: BindingState,
    task: String,
}

impl Action for Unbind {
    const NAME: &'static str = "unbind";
    const FORMAT: super::Format = super::Format::Json;
    type Output = Unbound;

    fn run(self, cx: &Context) -> Result<Unbound> {
        let now = cx.moment();
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        let (binding_id, counted, left) = store.write_durably(|w| {
            let task = lookup::task(w.read(), &self.task)?;
            let binding = store::bindings::active_of_task(w.read(), &task.id)?
                .ok_or_else(|| Error::refused(format!("no active binding for task \"{}\"", self.task)))?;
            let counted = store::deliveries::left_of(w.read(), &task.id)?.with_the_binding();
            expected::check(self.expect.as_ref(), &counted, &format!("the binding of task \"{}\"", task.name))?;
            store::bindings::end(w, &binding.id, BindingState::Ended, now.wall)?;
            let left = dispatch::give_up_of_binding(w, &task.id, &binding.id, &now)?;
            let about = audit::About { task_id: Some(&task.id), session_id: None };
            let mut payload = json!(left);
            (payload["binding_id"], payload["task"]) = (json!(binding.id), json!(task.name));
            audit::append(w, now.wall, origin.actor(cx), "binding_ended", about, &payload)?;
            Ok::<_, Error>((binding.id, counted, left))
        })?;
        let dry_run = cx.dry_run();
        Ok(Unbound { binding_id, counted, dry_run, left, state: BindingState::Ended, task: self.task })
    }

    fn argv(&self) -> Argv {
        let Self { task, expect } = self;
        Argv::new(Self::NAME).option("--task", Some(task)).option("--expect", expect.as_ref())
    }
}

impl Outcome for Unbound {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would end" } else { "ended" };
        writeln!(out, "{verb} binding {} of {}", self.binding_id, self.task)?;
        let words = Words {
            waited: "to go through it",
            in_flight: "they may still arrive",
            unread: "in inboxes: they stay there",
        };
        self.left.human(out, &words, self.dry_run)
    }
}
