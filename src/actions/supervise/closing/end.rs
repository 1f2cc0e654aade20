//! The end of a task: gates and end in one transaction, then the sessions.

use serde_json::{Value, json};

use super::{
    FinishTask,
    ending::EndArgs,
    gates::{self, Looked, Outside},
    next::Next,
    report::{Closed, Left},
    sessions::{self, Captures, Ends},
};
use crate::{
    actions::{
        Context,
        caller::{self, Origin},
        dispatch::{BEGUN, WAITING, close_waiting},
        expected, lookup,
        supervise::{decisions, epilogue::Folder, programs::Programs, texts},
    },
    base::{Error, Kind, Moment, Result},
    model::{
        delivery::Phase,
        supervision::Deciding,
        task::{Binding, BindingState, Task, TaskEnd, TaskState},
    },
    store::{self, Store, Write, audit, commands::Step},
};

/// How a task is to end.
pub(super) struct Orders<'a> {
    pub(super) end: &'a EndArgs,
    /// The gates that are added; none when the task is stopped and not finished.
    pub(super) finish: Option<&'a FinishTask>,
}

impl<'a> Orders<'a> {
    pub(super) fn of_finish(finish: &'a FinishTask) -> Self {
        Self { end: &finish.end, finish: Some(finish) }
    }

    pub(super) fn of_stop(end: &'a EndArgs) -> Self {
        Self { end, finish: None }
    }
}

impl Orders<'_> {
    pub(super) fn ends_as(&self) -> TaskState {
        if self.finish.is_some() { TaskState::Done } else { TaskState::Failed }
    }

    /// The beginning of the names of its events.
    fn verb(&self) -> &'static str {
        if self.finish.is_some() { "finish_task" } else { "stop_task" }
    }

    /// The reason that is recorded when none was given: what was seen, and no more.
    fn own_reason(&self, looked: &Looked) -> &'static str {
        let Some(audit) = looked.criteria.as_ref().filter(|_| self.finish.is_some()) else { return "it was stopped" };
        match (audit.summary.satisfied, u64::try_from(audit.on_operators_word.len())) {
            (0, _) => "nothing is in the way, and no criterion was satisfied",
            (satisfied, Ok(words)) if words >= satisfied => "its gates are met, on the operator's word",
            _ => "its gates are met",
        }
    }

    fn stops_something(&self) -> bool {
        self.end.stop_worker || self.end.stop_manager
    }
}

/// What the transaction came to.
enum Ended {
    /// Something is in the way.
    Refused,
    /// It had ended before, in the same way.
    Before,
    /// It ended now.
    Now(Box<Left>),
}

/// Ends a task, or says what is in the way.
pub(super) fn close(cx: &Context, reference: &str, orders: &Orders<'_>) -> Result<Closed> {
    let given = orders.end.reason.as_deref().map(|reason| texts::one("--reason", reason)).transpose()?;
    let store = cx.ledger_to_change()?;
    let origin = caller::origin(cx, &store)?;
    let (task, binding, ends, folder, criteria, programs) = store.read(|r| {
        let task = lookup::task(r, reference)?;
        let binding = store::bindings::newest_of_task(r, &task.id)?;
        let ends = Ends::of(r, &task, binding.as_ref(), orders)?;
        let folder = Folder::worker_of(r, &task)?;
        let criteria = store::criteria::of_task(r, &task.id)?;
        let programs = Programs::of(cx, r, &origin, &task.id)?;
        Ok::<_, Error>((task, binding, ends, folder, criteria, programs))
    })?;
    if !task.state.is_open() {
        check_again(&origin, &task, orders)?;
    }
    let mut outside = match orders.finish {
        Some(_) => {
            Outside::look(cx, &programs, Folder::look(cx, &programs, folder.as_deref()), binding.as_ref(), &criteria)
        }
        None => Outside::look(cx, &programs, Folder::default(), binding.as_ref(), &[]),
    };
    let captures = match orders.finish {
        Some(finish) if finish.capture_transcript_before_stop => Captures::of(cx, &ends, finish),
        _ => Captures::default(),
    };
    outside.uncaptured.clone_from(&captures.missing);
    let (looked, reason, ended) = store.write_durably(|w| {
        let task = lookup::task(w.read(), &task.id)?;
        let looked = gates::look(cx, w.read(), &origin, orders, &task, &outside)?;
        let reason = given.clone().unwrap_or_else(|| orders.own_reason(&looked).to_owned());
        let ending = Ending { cx, origin: &origin, orders, task: &task, reason: &reason, looked: &looked };
        let ended = if !task.state.is_open() {
            check_again(&origin, &task, orders)?;
            Ended::Before
        } else if looked.is_open() {
            Ended::Now(Box::new(ending.end(w, &captures)?))
        } else {
            ending.refuse(w)?;
            Ended::Refused
        };
        Ok::<_, Error>((looked, reason, ended))
    })?;
    let mut closed = Closed::new(cx, orders, &task, looked, captures, Next { origin: &origin, task: &task }.instead());
    match ended {
        Ended::Refused => return Ok(closed),
        Ended::Before => closed.follows_up(),
        Ended::Now(left) => closed.ended(*left, &reason),
    }
    // What was asked of sessions is done with those that were bound to it, and are bound to nothing else since.
    if orders.stops_something() && (binding.is_some() || !ends.is_empty()) {
        closed.stopped(sessions::stop(cx, &store, &origin, ends));
    }
    closed.reread(&store)
}

/// Only sessions can be stopped of a task that has ended, and only by a person: the terms that allowed it to a manager
/// went with the binding.
fn check_again(origin: &Origin, task: &Task, orders: &Orders<'_>) -> Result<()> {
    if task.state != orders.ends_as() {
        let how = if orders.finish.is_some() { "stop-task" } else { "finish-task" };
        return Err(lookup::has_ended(task)
            .hint(format!("`conveyor {how} {} --stop-worker` stops what it left running", task.name)));
    }
    if orders.stops_something() && *origin != Origin::Operator {
        let words = format!("task \"{}\" has ended, and {} stops no session of it", task.name, origin.words());
        return Err(Error::new(Kind::Blocked, words).hint("an operator does that"));
    }
    Ok(())
}

/// One end of one task, as it stands in the transaction that decides about it.
struct Ending<'a> {
    cx: &'a Context,
    origin: &'a Origin,
    orders: &'a Orders<'a>,
    task: &'a Task,
    reason: &'a str,
    looked: &'a Looked,
}

impl Ending<'_> {
    fn refuse(&self, w: &Write<'_>) -> Result<()> {
        self.tell(w, "refused", json!({}))
    }

    fn end(&self, w: &Write<'_>, captures: &Captures) -> Result<Left> {
        let Self { cx, origin, orders, task, reason, .. } = *self;
        let now = cx.moment();
        let asked = store::continuations::questions(w.read(), Some(&task.id), /*all*/ false)?;
        let counted = store::deliveries::left_of(w.read(), &task.id)?.with_the_task(asked.len() as u64);
        expected::check(orders.end.expect.as_ref(), &counted, &format!("task \"{}\"", task.name))?;
        let source = json!({"decision_id": orders.end.decision_id, "source": orders.verb()});
        let decision = decisions::record(cx, w, origin, task, Deciding::Stop, reason, None, &source)?;
        let mut left = Left { counted: Some(counted), final_decision_id: decision.id, ..Left::default() };
        let ended = if orders.finish.is_some() { "finished" } else { "stopped" };
        let why = format!("its task was {ended} by {}", origin.words());
        take_back(w, task, &why, &now, &mut left)?;
        if let Some(binding) = store::bindings::active_of_task(w.read(), &task.id)? {
            end_binding(w, &binding, &now, &mut left)?;
        }
        settle(w, task, &why, &now, &mut left)?;
        left.open_questions = asked.into_iter().map(|question| question.id).collect();
        store::dispatchers::resume(w, &task.id)?;
        left.stopping_dispatchers = store::dispatchers::request_stop_of_task(w, &task.id, now.wall)?;
        let end = TaskEnd { at: now.wall, by: origin.words(), reason: reason.to_owned() };
        store::tasks::end(w, &task.id, orders.ends_as(), &end)?;
        let more = json!({
            "cancelled_commands": left.cancelled_commands,
            "captures": captures.receipts(),
            "decision_id": orders.end.decision_id,
            "final_decision_id": left.final_decision_id,
            "in_flight_commands": left.in_flight_commands,
            "open_questions": left.open_questions,
            "previous_state": task.state,
            "settled_messages": left.settled_messages,
            "state": orders.ends_as(),
        });
        self.tell(w, "succeeded", more)?;
        Ok(left)
    }

    /// Writes into the audit trail what came of it, with what belongs to that alone.
    fn tell(&self, w: &Write<'_>, what: &str, mut payload: Value) -> Result<()> {
        let Self { cx, origin, orders, task, reason, looked } = *self;
        payload["gates"] = json!(looked.gates);
        payload["origin"] = json!(origin.words());
        payload["reason"] = json!(reason);
        payload["stop_manager"] = json!(orders.end.stop_manager);
        payload["stop_worker"] = json!(orders.end.stop_worker);
        let about = audit::About { task_id: Some(&task.id), session_id: None };
        audit::append(w, cx.now(), origin.actor(cx), &format!("{}_{what}", orders.verb()), about, &payload)?;
        Ok(())
    }
}

/// Takes back what nothing of has happened yet; what may have happened is left to be proven. What a reader has in hand
/// was delivered.
fn take_back(w: &Write<'_>, task: &Task, why: &str, now: &Moment, left: &mut Left) -> Result<()> {
    let filter = store::commands::Filter { task_id: Some(&task.id), phases: &WAITING, ..Default::default() };
    let waiting = store::commands::list(w.read(), &filter, 0)?;
    let closed = close_waiting(w, waiting, Phase::Cancelled, why, now)?;
    left.cancelled_commands = closed.commands;
    let filter = store::commands::Filter { phases: &BEGUN, ..filter };
    left.in_flight_commands = store::commands::list(w.read(), &filter, 0)?
        .into_iter()
        .map(|command| command.id)
        .chain(closed.in_hand)
        .collect();
    Ok(())
}

/// Ends the binding.
fn end_binding(w: &Write<'_>, binding: &Binding, now: &Moment, left: &mut Left) -> Result<()> {
    store::bindings::end(w, &binding.id, BindingState::Ended, now.wall)?;
    left.binding_id = Some(binding.id.clone());
    Ok(())
}

/// Takes out of the way what nobody has seen of the task, under whatever binding it came.
fn settle(w: &Write<'_>, task: &Task, why: &str, now: &Moment, left: &mut Left) -> Result<()> {
    let (commands, items) = store::inbox::settle_task(w, &task.id, why)?;
    left.settled_messages = items;
    left.settled_reports = items;
    for id in commands {
        let Some(command) = store::commands::by_id(w.read(), &id)?.filter(|one| one.phase == Phase::Delivered) else {
            continue;
        };
        if store::commands::advance(
            w,
            &command,
            Phase::Cancelled,
            Step { reason: Some(why), ..Step::default() },
            now.wall,
        )? {
            left.cancelled_commands.push(command.id);
            left.settled_reports -= 1;
        }
    }
    Ok(())
}

/// The task as it stands now.
pub(super) fn reread(store: &Store, id: &str) -> Result<Option<Task>> {
    Ok(store.read(|r| store::tasks::find(r, id))?)
}
