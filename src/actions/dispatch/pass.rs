//! One pass of Dispatch: what is due is delivered, what is over is closed, what workers' turns came to is routed.
//!
//! Dispatch applies what is recorded. It never judges a worker's success, and what it cannot deliver now waits with
//! its reason. A pass is safe to run in any number of processes at once: every step is one immediate transaction that
//! looks again before it changes anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::super::{Context, ingest, routing};
use crate::{
    base::{Error, Moment, Result},
    model::{
        delivery::{AttemptState, Command, CommandKind, Lane, Phase},
        session::{Communication, Registration, Session},
        task::{Task, TaskState},
    },
    store::{
        self, Store, Write,
        commands::{InLine, Step, Tried},
        dispatchers::EVERYTHING,
        inbox,
    },
};

/// Commands of one transaction: some ten milliseconds of writing.
const BATCH: usize = 250;
/// Commands that one transaction looks at.
const LOOK: u32 = 10_000;
/// Why a command takes the inbox lane.
const NO_PANE: &str = "the target has no pane: it fetches its messages";
const NOT_TYPED: &str = "this version types nothing into panes: the target has to fetch it";

/// What a pass is to do.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Who dispatches.
    pub dispatcher_id: String,
    /// Only this task, by its id.
    pub task_id: Option<String>,
    /// Only commands of this kind; none is all.
    pub kind: Option<CommandKind>,
    /// Whether commands are delivered.
    pub commands: bool,
    /// Whether signals of workers are routed.
    pub signals: bool,
    /// At most so many commands and signals.
    pub limit: usize,
}

/// What became of one command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Handled {
    /// Number of the try; none when nothing was tried.
    pub attempt_id: Option<i64>,
    /// The command.
    pub command_id: String,
    /// What it is for.
    pub command_type: CommandKind,
    /// Ties together what belongs to it.
    pub correlation_id: String,
    /// Always `pull_required` when it was delivered.
    pub delivery_mode: Option<&'static str>,
    /// Who dispatched.
    pub dispatcher_id: String,
    /// Nothing was changed.
    pub dry_run: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// `command`.
    pub kind: &'static str,
    /// The way it took.
    pub lane: Option<Lane>,
    /// Why that way.
    pub lane_reason: Option<&'static str>,
    /// The message in the inbox.
    pub notification_id: Option<i64>,
    /// No permission is asked for yet.
    pub permission_check: Option<Value>,
    /// How far it has come.
    pub phase: Phase,
    /// Always false: the inbox lane does nothing outside the ledger.
    pub side_effect_completed: bool,
    /// As above.
    pub side_effect_started: bool,
    /// The contract's word: `pull_required`, `failed` or, in a rehearsal, `planned`.
    pub state: &'static str,
    /// Name of the session it is for.
    pub target_session: String,
    /// Name of its task.
    pub task: Option<String>,
}

/// What a pass moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// A command.
    Command(Box<Handled>),
    /// The end of a worker's turn.
    Completion(Box<routing::Routed>),
}

impl Item {
    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Command(done) => {
                let why = done.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
                format!("{} {} to {}: {}{why}", done.command_type, done.command_id, done.target_session, done.phase)
            }
            Self::Completion(routed) => {
                format!(
                    "{} of {} to {}: {}",
                    routed.signal_type, routed.task, routed.target_session, routed.disposition
                )
            }
        }
    }
}

/// Takes the new rollout lines of all bound workers, so that a pass sees what their turns came to. A rollout that
/// cannot be read is noted on its session and is no failure of the pass.
///
/// # Errors
/// When the ledger cannot be read.
pub(super) fn take_rollouts(cx: &Context, store: &Store) -> Result<()> {
    let sessions = store.read(|r| {
        let bindings = store::bindings::list(r)?;
        let workers = bindings.iter().filter(|binding| binding.is_in_force()).map(|binding| &binding.worker_session_id);
        workers.filter_map(|id| store::sessions::by_id(r, id).transpose()).collect::<Result<Vec<_>, store::Error>>()
    })?;
    for session in sessions.iter().filter(|session| session.state == Registration::Active) {
        let _ = ingest::ingest_while(cx, store, session, &|| true);
    }
    Ok(())
}

/// Runs one pass; every item is told as soon as it is committed.
///
/// # Errors
/// When the ledger fails; what was told has happened.
pub(super) fn run(cx: &Context, store: &Store, orders: &Orders, tell: &mut dyn FnMut(Item)) -> Result<usize> {
    let now = cx.moment();
    let mut moved = 0;
    if orders.commands {
        while moved < orders.limit {
            let room = BATCH.min(orders.limit - moved);
            let is_idle = store.read(|r| store::commands::in_line(r, &now, 1))?.is_empty();
            if is_idle {
                break;
            }
            let batch = store.write_durably(|w| deliver(w, orders, room, cx.dry_run(), &now))?;
            let count = batch.len();
            batch.into_iter().for_each(|done| tell(Item::Command(Box::new(done))));
            moved += count;
            // A rehearsal rolls back, so the next batch would be the same again.
            if count < room || cx.dry_run() {
                break;
            }
        }
    }
    if orders.signals && moved < orders.limit {
        let paused = Paused::read(store)?;
        let wanted =
            |task: &str| orders.task_id.as_deref().is_none_or(|only| only == task) && !paused.covers(Some(task));
        let routed = routing::route_all(store, &orders.dispatcher_id, &|prefix| cx.fresh_id(prefix), &now, &wanted)?;
        moved += routed.len();
        routed.into_iter().for_each(|routed| tell(Item::Completion(Box::new(routed))));
    }
    Ok(moved)
}

/// Where nothing may be delivered.
struct Paused(BTreeSet<String>);

impl Paused {
    fn read(store: &Store) -> Result<Self> {
        Ok(store.read(Self::of)?)
    }

    fn of(r: store::Read<'_>) -> Result<Self, store::Error> {
        Ok(Self(store::dispatchers::pauses(r)?.into_iter().map(|pause| pause.scope).collect()))
    }

    fn covers(&self, task_id: Option<&str>) -> bool {
        self.0.contains(EVERYTHING) || task_id.is_some_and(|task_id| self.0.contains(task_id))
    }
}

/// Moves at most `room` commands. Whatever holds its target's line is passed by together with all behind it; other
/// targets go on.
fn deliver(w: &Write<'_>, orders: &Orders, room: usize, dry_run: bool, now: &Moment) -> Result<Vec<Handled>> {
    store::commands::count_from_this_boot(w, now)?;
    let paused = Paused::of(w.read())?;
    let mut known = Known::default();
    let mut held = BTreeSet::new();
    let mut handled = Vec::new();
    for row in store::commands::in_line(w.read(), now, LOOK)? {
        if handled.len() == room {
            break;
        }
        if held.contains(&row.target_session_id) {
            continue;
        }
        if row.phase != Phase::Queued || !is_wanted(orders, &row) || (!row.is_expired && waits(&row, &paused)) {
            held.insert(row.target_session_id);
            continue;
        }
        let Some(command) = store::commands::by_id(w.read(), &row.id)? else { continue };
        let context = known.of(w, &command)?;
        let verdict =
            if row.is_expired { Verdict::Over(Phase::Expired, "its time ran out") } else { context.verdict() };
        match verdict {
            Verdict::Waits => {
                held.insert(row.target_session_id);
            }
            Verdict::Over(phase, why) => handled.push(close(w, orders, &command, &context, phase, why, dry_run, now)?),
            Verdict::Deliver => handled.push(put_into_inbox(w, orders, &command, &context, dry_run, now)?),
        }
    }
    Ok(handled)
}

fn is_wanted(orders: &Orders, row: &InLine) -> bool {
    orders.kind.is_none_or(|kind| kind == row.kind)
        && orders.task_id.as_deref().is_none_or(|task| row.task_id.as_deref() == Some(task))
}

fn waits(row: &InLine, paused: &Paused) -> bool {
    !row.is_due || paused.covers(row.task_id.as_deref())
}

/// Sessions, tasks and bindings in force, each read once in a transaction.
#[derive(Default)]
struct Known {
    sessions: BTreeMap<String, Option<Session>>,
    tasks: BTreeMap<String, (Option<Task>, Option<String>)>,
}

/// What decides about a command.
struct Around {
    target: Option<Session>,
    source: Option<Session>,
    task: Option<Task>,
    binding_in_force: Option<String>,
    binding_at_enqueue: Option<String>,
}

enum Verdict {
    Deliver,
    Waits,
    Over(Phase, &'static str),
}

impl Known {
    fn session(&mut self, w: &Write<'_>, id: &str) -> Result<Option<Session>> {
        if let Some(known) = self.sessions.get(id) {
            return Ok(known.clone());
        }
        let found = store::sessions::by_id(w.read(), id)?;
        self.sessions.insert(id.to_owned(), found.clone());
        Ok(found)
    }

    fn of(&mut self, w: &Write<'_>, command: &Command) -> Result<Around> {
        let (task, binding_in_force) = match command.task_id.as_deref() {
            None => (None, None),
            Some(id) => match self.tasks.get(id) {
                Some(known) => known.clone(),
                None => {
                    let found = (
                        store::tasks::find(w.read(), id)?,
                        store::bindings::active_of_task(w.read(), id)?.map(|binding| binding.id),
                    );
                    self.tasks.insert(id.to_owned(), found.clone());
                    found
                }
            },
        };
        let target = self.session(w, &command.target_session_id)?;
        let source = match command.source_session_id.as_deref() {
            Some(id) => self.session(w, id)?,
            None => None,
        };
        Ok(Around { target, source, task, binding_in_force, binding_at_enqueue: command.binding_id.clone() })
    }
}

impl Around {
    /// What was true when the command was accepted is looked at again now.
    fn verdict(&self) -> Verdict {
        if self.target.as_ref().is_none_or(|target| target.state == Registration::Gone) {
            return Verdict::Over(Phase::Failed, "its target is gone");
        }
        match &self.task {
            Some(task) if !task.state.is_open() => return Verdict::Over(Phase::Failed, "its task has ended"),
            Some(task) if task.state == TaskState::Paused => return Verdict::Waits,
            _ => {}
        }
        if self.binding_at_enqueue.is_some() && self.binding_in_force != self.binding_at_enqueue {
            return Verdict::Over(Phase::Failed, "the binding it was sent through has ended");
        }
        Verdict::Deliver
    }

    fn handled(&self, orders: &Orders, command: &Command, phase: Phase, dry_run: bool) -> Handled {
        Handled {
            attempt_id: None,
            command_id: command.id.clone(),
            command_type: command.kind,
            correlation_id: command.correlation_id.clone(),
            delivery_mode: None,
            dispatcher_id: orders.dispatcher_id.clone(),
            dry_run,
            error: None,
            kind: "command",
            lane: None,
            lane_reason: None,
            notification_id: None,
            permission_check: None,
            phase,
            side_effect_completed: false,
            side_effect_started: false,
            state: if dry_run { "planned" } else { "failed" },
            target_session: self.target.as_ref().map(|target| target.name.clone()).unwrap_or_default(),
            task: self.task.as_ref().map(|task| task.name.clone()),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "all of it is one command's end")]
fn close(
    w: &Write<'_>,
    orders: &Orders,
    command: &Command,
    around: &Around,
    phase: Phase,
    why: &str,
    dry_run: bool,
    now: &Moment,
) -> Result<Handled> {
    let mut handled = around.handled(orders, command, phase, dry_run);
    handled.error = Some(why.to_owned());
    // What expired was never tried.
    if phase != Phase::Expired {
        let tried = Tried {
            dispatcher_id: &orders.dispatcher_id,
            state: AttemptState::Failed,
            lane: None,
            result: None,
            error: Some(why),
        };
        handled.attempt_id = Some(store::commands::record_try(w, command, tried, now.wall)?);
    }
    let result = value(&handled)?;
    if let Some(attempt_id) = handled.attempt_id {
        store::commands::set_try_result(w, attempt_id, &result)?;
    }
    let step = Step { reason: Some(why), error: Some(why), result: Some(&result), ..Step::default() };
    moved(store::commands::advance(w, command, phase, step, now.wall)?)?;
    Ok(handled)
}

fn put_into_inbox(
    w: &Write<'_>,
    orders: &Orders,
    command: &Command,
    around: &Around,
    dry_run: bool,
    now: &Moment,
) -> Result<Handled> {
    let name = |session: &Option<Session>| session.as_ref().map(|session| session.name.clone());
    let payload = json!({
        "command_id": command.id,
        "command_type": command.kind,
        "delivery_mode": "pull_required",
        "dispatcher_id": orders.dispatcher_id,
        "message": command.message(),
        "permission_check": null,
        "source_session": name(&around.source),
        "target_session": name(&around.target),
        "task_id": command.task_id,
    });
    let item = inbox::NewItem {
        task_id: command.task_id.as_deref(),
        binding_id: command.binding_id.as_deref(),
        source_session_id: command.source_session_id.as_deref(),
        target_session_id: &command.target_session_id,
        correlation_id: &command.correlation_id,
        signal_type: command.kind.as_str(),
        source_event_id: None,
        source_event_timestamp: None,
        // A command that an operator put back is delivered anew under its new fence.
        dedupe_key: &format!("{}:{}:{}", command.kind, command.id, command.fence),
        command_id: Some(&command.id),
        payload: &payload,
    };
    let notification_id = inbox::deliver(w, &item, now.wall)?;
    let tried = Tried {
        dispatcher_id: &orders.dispatcher_id,
        state: AttemptState::Succeeded,
        lane: Some(Lane::Inbox),
        result: None,
        error: None,
    };
    let attempt_id = store::commands::record_try(w, command, tried, now.wall)?;
    let mut handled = around.handled(orders, command, Phase::Delivered, dry_run);
    handled.attempt_id = Some(attempt_id);
    handled.notification_id = Some(notification_id);
    handled.delivery_mode = Some("pull_required");
    handled.lane = Some(Lane::Inbox);
    let has_pane = around.target.as_ref().is_some_and(|target| Communication::of(target).can_receive_push);
    let lane_reason = if has_pane { NOT_TYPED } else { NO_PANE };
    handled.lane_reason = Some(lane_reason);
    handled.state = if dry_run { "planned" } else { "pull_required" };
    let result = value(&handled)?;
    store::commands::set_try_result(w, attempt_id, &result)?;
    let step = Step { lane: Some((Lane::Inbox, lane_reason)), result: Some(&result), ..Step::default() };
    moved(store::commands::advance(w, command, Phase::Delivered, step, now.wall)?)?;
    Ok(handled)
}

fn value(handled: &Handled) -> Result<Value> {
    crate::base::json::value(handled).map_err(|error| {
        Error::new(crate::base::Kind::Bug, "what became of a command cannot be written as JSON").caused_by(error)
    })
}

/// Within one transaction nobody else can have moved a command that was just read.
fn moved(done: bool) -> Result<()> {
    if done { Ok(()) } else { Err(Error::new(crate::base::Kind::Bug, "a command moved inside a transaction")) }
}
