//! One pass of Dispatch: what is due is delivered, what is over is closed, what workers' turns came to is routed.
//!
//! Dispatch applies what is recorded. It never judges a worker's success, and what it cannot deliver now waits with
//! its reason. A pass is safe to run in any number of processes at once: every step is one immediate transaction that
//! looks again before it changes anything.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    after_resume,
    around::{Around, Known, PermissionCheck, Verdict},
    clear,
    compact::{self, NotYet},
    into_inbox::{IN_HAND, put_into_inbox, take_from_inbox},
    push::{self, Effect},
    servers::{How, Next, Servers, Way},
    typed, typed_after,
    ways::{self, Ways},
};
use crate::actions::{Context, blocked, ingest, routing, supervise::reviewer};
use crate::{
    base::{Error, Moment, Result},
    model::{
        delivery::{AttemptState, Command, CommandKind, Lane, Phase},
        session::Registration,
    },
    store::{
        self, Store, Write,
        attempts::Tried,
        commands::{InLine, Step},
        dispatchers::EVERYTHING,
    },
};

/// Commands of one transaction: some ten milliseconds of writing.
const BATCH: usize = 250;

/// Why a message is given up that nobody could be given.
const TIME_OVER: &str = "its time ran out";
/// Why a message stays in the inbox that could go another way, or nowhere, now.
/// Why it is taken out of the inbox.
const ANOTHER_WAY: &str = "no pointer to it is typed: it goes another way";
/// How long a word waits before it is looked again whether there is a way to its manager, in milliseconds.
const NO_WAY_YET: i64 = 10_000;

/// At most so many messages are pushed to a session within a minute; the others wait. An inbox takes as many as it can
/// hold.
const MOST_A_MINUTE: u64 = 60;
const MINUTE: i64 = 60_000;
const TOO_MANY: &str = "sixty messages were pushed to its session within the last minute: it waits for the next";

/// What a pass is to do.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Who dispatches.
    pub dispatcher_id: String,
    /// Only this task, by its id.
    pub task_id: Option<String>,
    /// Only to this session, by its id.
    pub target_session_id: Option<String>,
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
    /// `pull_required` in the inbox lane, `push` in the others.
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
    pub lane_reason: Option<String>,
    /// The message in the inbox.
    pub notification_id: Option<i64>,
    /// What its task's terms say about the permission that it needs; none when it needs none.
    pub(super) permission_check: Option<PermissionCheck>,
    /// How far it has come.
    pub phase: Phase,
    /// Where the target's rollout shows the message.
    pub receipt: Option<Value>,
    /// The target was told to take it.
    pub side_effect_completed: bool,
    /// Something may have happened outside the ledger; never in the inbox lane.
    pub side_effect_started: bool,
    /// The contract's word: `pull_required`, `delivered`, `failed`, `blocked`, and `suppressed` for what was not to be
    /// delivered any more; or `unconfirmed`, `deferred` and, in a rehearsal, `planned`.
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
    /// A question of a worker.
    Blocked(Box<blocked::Told>),
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
            Self::Blocked(told) => {
                format!("{} of {} to {}: {}", told.signal_type, told.task, told.target_session, told.question_id)
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

/// Runs one pass; every item is told as soon as it is committed. Once `go_on` says no, nothing new is begun.
///
/// # Errors
/// When the ledger fails; what was told has happened.
pub(super) fn run(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    sight: Option<&mut super::Sight>,
    orders: &Orders,
    tell: &mut dyn FnMut(Item),
    go_on: &dyn Fn() -> bool,
) -> Result<()> {
    let mut moved = 0;
    servers.queues.tidy(cx);
    let mut tell_command = |handled: Handled| tell(Item::Command(Box::new(handled)));
    if orders.commands && !cx.dry_run() {
        let mut settled = push::look_after(cx, store, servers, orders, go_on)?;
        settled.extend(typed_after::look_after(cx, store, servers, orders, go_on)?);
        moved += settled.len();
        settled.into_iter().for_each(&mut tell_command);
    }
    while orders.commands && moved < orders.limit && go_on() {
        let room = BATCH.min(orders.limit - moved);
        let now = cx.moment();
        let Some(ways) = Ways::look(cx, store, servers, orders, &now, go_on)? else { break };
        let batch = store.write_durably(|w| deliver(w, orders, &ways, room, cx.dry_run(), &now))?;
        let is_last = batch.handled.len() < room;
        moved += batch.handled.len();
        batch.handled.into_iter().for_each(&mut tell_command);
        for (place, push) in batch.pushes.into_iter().enumerate() {
            if !go_on() {
                break;
            }
            let is_fresh = place == 0;
            let not_yet = match push.command.kind {
                CommandKind::RequestWorkerCompact => compact::not_yet(cx, store, orders, &push.command)?,
                CommandKind::RequestWorkerClear => clear::not_yet(cx, store, orders, &push.command)?,
                _ => None,
            };
            let handled = match (not_yet, &push.way) {
                (Some(NotYet::Waits), _) => None,
                (Some(NotYet::Ended(handled)), _) => Some(*handled),
                (None, Way::Typed(_)) => typed::deliver(cx, store, servers, orders, push, is_fresh)?,
                (None, Way::Server { .. } | Way::Queue { .. } | Way::Inbox(_) | Way::Later(_)) => {
                    let begun = begin(cx, store, servers, orders, push, is_fresh)?;
                    begun.map(|effect| push::perform(cx, store, servers, orders, effect)).transpose()?
                }
            };
            if let Some(handled) = handled {
                moved += 1;
                tell_command(handled);
            }
        }
        // A rehearsal rolls back, so the next batch would be the same again.
        if is_last || cx.dry_run() {
            break;
        }
    }
    if orders.signals && moved < orders.limit && go_on() {
        let paused = Paused::read(store)?;
        let wanted =
            |task: &str| orders.task_id.as_deref().is_none_or(|only| only == task) && !paused.covers(Some(task));
        let routed = routing::route_all(cx, store, &orders.dispatcher_id, &wanted)?;
        routed.into_iter().for_each(|routed| tell(Item::Completion(Box::new(routed))));
        if let Some(sight) = sight {
            sight.look(cx, store, go_on)?;
        }
        let told = blocked::route_all(cx, store, &orders.dispatcher_id, &wanted)?;
        told.into_iter().for_each(|told| tell(Item::Blocked(Box::new(told))));
        reviewer::begin_due(cx, store, &wanted)?;
    }
    Ok(())
}

/// Where nothing may be delivered.
pub(super) struct Paused(BTreeSet<String>);

impl Paused {
    pub(super) fn read(store: &Store) -> Result<Self> {
        Ok(store.read(Self::of)?)
    }

    pub(super) fn of(r: store::Read<'_>) -> Result<Self, store::Error> {
        Ok(Self(store::dispatchers::pauses(r)?.into_iter().map(|pause| pause.scope).collect()))
    }

    pub(super) fn covers(&self, task_id: Option<&str>) -> bool {
        self.0.contains(EVERYTHING) || task_id.is_some_and(|task_id| self.0.contains(task_id))
    }
}

/// What one transaction did.
struct Batch {
    handled: Vec<Handled>,
    /// Messages whose turn it is, one for each target.
    pushes: Vec<Push>,
}

/// A message whose turn it is, and its way. Its try begins when it can be made at once.
pub(super) struct Push {
    pub(super) command: Command,
    pub(super) way: Way,
}

/// Records the try of a message whose call comes next, if nothing has changed since its turn came.
fn begin(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    orders: &Orders,
    push: Push,
    is_fresh: bool,
) -> Result<Option<Effect>> {
    let Push { command, way } = push;
    let Some(session) = store.read(|r| store::sessions::by_id(r, &command.target_session_id))? else {
        return Ok(None);
    };
    // Calls to other sessions came in between.
    let way = if is_fresh { way } else { ways::choose(cx, servers, &session, command.kind) };
    let how = match way.next(command.kind) {
        Next::Push(How::Types) | Next::Inbox(_) | Next::Later(_) | Next::Never(_) => return Ok(None),
        Next::Push(how) => how,
    };
    if how == How::ThroughQueue
        && let Err(error) = servers.queues.prepare(cx, &session)
    {
        let cause = std::error::Error::source(&error).map(|cause| format!(", {cause}")).unwrap_or_default();
        let why = format!(
            "its queue cannot be reached ({error}{cause}); if that stays so, it goes into its pane or its inbox instead"
        );
        store.write(|w| store::commands::put_off(w, &command, push::delay(0), &why, &cx.moment()))?;
        return Ok(None);
    }
    let now = cx.moment();
    store.write_durably(|w| {
        let Some(around) = may_begin(w, &command)? else { return Ok(None) };
        let thread = around.target.as_ref().and_then(|target| target.codex_session_id.as_deref());
        let (by, mut result) = (&orders.dispatcher_id, json!({"thread_id": thread}));
        if matches!(how, How::Compacts | How::ThroughQueue) {
            compact::note_end(w.read(), &session, &mut result)?;
        }
        let begun = store::claims::begin_try(w, &command, by, (how.lane(), how.why()), &result, push::LEASE, &now)?;
        Ok(begun.map(|begun| Effect { begun, around, how, begun_at: now.uptime }))
    })
}

/// What decides about a command whose effect is to begin in this transaction; none when it may not.
pub(super) fn may_begin(w: &Write<'_>, command: &Command) -> Result<Option<Around>> {
    if Paused::of(w.read())?.covers(command.task_id.as_deref()) {
        return Ok(None);
    }
    let around = Around::of(w.read(), command)?;
    Ok(matches!(around.verdict(command), Verdict::Deliver).then_some(around))
}

/// The sessions that have something in flight.
pub(super) fn in_flight(rows: &[InLine]) -> BTreeSet<String> {
    rows.iter().filter(|row| row.is_in_flight()).map(|row| row.target_session_id.clone()).collect()
}

/// Moves at most `room` commands. Whatever holds its target's line is passed by together with all behind it; other
/// targets go on.
fn deliver(w: &Write<'_>, orders: &Orders, ways: &Ways, room: usize, dry_run: bool, now: &Moment) -> Result<Batch> {
    store::commands::count_from_this_boot(w, now)?;
    let paused = Paused::of(w.read())?;
    let mut known = Known::default();
    let rows = store::commands::in_line(w.read(), now, BATCH)?;
    let mut held = in_flight(&rows);
    let mut handled = Vec::new();
    let mut pushes = Vec::new();
    for row in rows {
        if handled.len() + pushes.len() >= room {
            break;
        }
        // What has run out of time waits for nobody.
        let can_end = row.is_expired && row.phase == Phase::Queued && is_wanted(orders, &row);
        if held.contains(&row.target_session_id) && !can_end {
            continue;
        }
        if !is_wanted(orders, &row) || (!row.is_expired && waits(&row, &paused)) {
            if !row.yields() {
                held.insert(row.target_session_id);
            }
            continue;
        }
        let Some(command) = store::commands::by_id(w.read(), &row.id)? else { continue };
        let around = known.of(w.read(), &command)?;
        let verdict = match around.verdict(&command) {
            // It had lain in the inbox in safety: when its time is over it goes back there.
            verdict @ (Verdict::Deliver | Verdict::Waits)
                if row.is_expired && after_resume::has_left_inbox(w.read(), &command)? =>
            {
                if matches!(verdict, Verdict::Waits) || paused.covers(command.task_id.as_deref()) {
                    held.insert(row.target_session_id);
                } else {
                    handled.push(put_into_inbox(w, orders, &command, &around, after_resume::BACK, dry_run, now)?);
                }
                continue;
            }
            _ if row.is_expired => Verdict::Over(Phase::Expired, TIME_OVER),
            verdict => verdict,
        };
        let way = match verdict {
            Verdict::Waits => {
                held.insert(row.target_session_id);
                continue;
            }
            // What its reader has in hand already was delivered, whatever has ended since.
            Verdict::Over(_, why) if !take_from_inbox(w, &command, why)? => {
                handled.push(put_into_inbox(w, orders, &command, &around, IN_HAND, dry_run, now)?);
                continue;
            }
            Verdict::Over(phase, why) => {
                // What such a word tells of lies in the inbox: nothing is lost with it.
                let phase = if row.yields() { Phase::Cancelled } else { phase };
                let waited_for = command.reason.as_deref().filter(|_| row.is_expired);
                let why = waited_for.map_or_else(|| why.to_owned(), |reason| format!("{why}; it waited: {reason}"));
                handled.push(close(w, orders, &command, &around, phase, &why, dry_run, now)?);
                continue;
            }
            Verdict::Deliver => ways.to(&row, around.target.as_ref()),
        };
        match way.map(|way| way.next(command.kind)) {
            // It has come into line since the look, or its session was brought back since, and that look is about nothing.
            None => {
                held.insert(row.target_session_id);
            }
            // What the word tells of lies in the inbox already: the word itself waits until there is a way.
            Some(Next::Inbox(why)) if command.payload["notification_id"].is_i64() => {
                store::commands::put_off(w, &command, NO_WAY_YET, why, now)?;
            }
            Some(Next::Inbox(why)) => handled.push(put_into_inbox(w, orders, &command, &around, why, dry_run, now)?),
            Some(Next::Later(why)) => {
                store::commands::put_off(w, &command, push::delay(command.defer_count), why, now)?;
                if !row.yields() {
                    held.insert(row.target_session_id);
                }
            }
            Some(Next::Never(why)) => {
                handled.push(close(w, orders, &command, &around, Phase::Failed, why, dry_run, now)?);
            }
            // It goes one way only: what lies in the inbox for a pointer is not pushed as well.
            Some(Next::Push(how)) if how != How::Types && !take_from_inbox(w, &command, ANOTHER_WAY)? => {
                handled.push(put_into_inbox(w, orders, &command, &around, IN_HAND, dry_run, now)?);
            }
            Some(Next::Push(_))
                if store::claims::begun_of_late(w.read(), &row.target_session_id, MINUTE, now)? >= MOST_A_MINUTE =>
            {
                store::commands::put_off(w, &command, push::LOOK_AGAIN, TOO_MANY, now)?;
                held.insert(row.target_session_id);
            }
            Some(Next::Push(how)) => {
                held.insert(row.target_session_id);
                if dry_run {
                    let mut planned = around.handled(orders, &command, Phase::Submitted, true);
                    (planned.lane, planned.lane_reason) = (Some(how.lane()), Some(how.why().to_owned()));
                    planned.delivery_mode = Some("push");
                    handled.push(planned);
                } else if let Some(way) = way {
                    pushes.push(Push { command, way: way.clone() });
                }
            }
        }
    }
    Ok(Batch { handled, pushes })
}

pub(super) fn is_wanted(orders: &Orders, row: &InLine) -> bool {
    orders.kind.is_none_or(|kind| kind == row.kind)
        && orders.target_session_id.as_deref().is_none_or(|only| only == row.target_session_id)
        && orders.task_id.as_deref().is_none_or(|task| row.task_id.as_deref() == Some(task))
}

pub(super) fn waits(row: &InLine, paused: &Paused) -> bool {
    !row.is_due || paused.covers(row.task_id.as_deref())
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
    handled.state = match phase {
        _ if dry_run => handled.state,
        Phase::Cancelled | Phase::Expired => "suppressed",
        Phase::Blocked => "blocked",
        _ => handled.state,
    };
    // What expired or became moot was never tried.
    if phase == Phase::Failed {
        let tried = Tried {
            dispatcher_id: &orders.dispatcher_id,
            state: AttemptState::Failed,
            lane: None,
            result: None,
            error: Some(why),
        };
        handled.attempt_id = Some(store::attempts::record(w, command, tried, now.wall)?);
        store::commands::count_try(w, command, 1)?;
    }
    let result = value(&handled)?;
    if let Some(attempt_id) = handled.attempt_id {
        store::attempts::set_result(w, attempt_id, &result)?;
    }
    let step = Step { reason: Some(why), error: Some(why), result: Some(&result), ..Step::default() };
    moved(store::commands::advance(w, command, phase, step, now.wall)?)?;
    Ok(handled)
}

pub(super) fn value(handled: &Handled) -> Result<Value> {
    crate::base::json::value(handled).map_err(|error| {
        Error::new(crate::base::Kind::Bug, "what became of a command cannot be written as JSON").caused_by(error)
    })
}

/// Within one transaction nobody else can have moved a command that was just read.
pub(super) fn moved(done: bool) -> Result<()> {
    if done { Ok(()) } else { Err(Error::new(crate::base::Kind::Bug, "a command moved inside a transaction")) }
}

#[cfg(test)]
mod tests;
