//! Messages in Codex's own queue whose session has not shown them yet: who waits, who is taken back, who arrived.
//!
//! The rollout ends everything. A message stays in the queue while its turn may still come. When that is over (its time
//! ran out, its binding or task ended, its session's process is gone or shows another thread, or an idle session does
//! not take it) it is taken back, which proves that the session does not get it. What the queue does not have any more
//! was taken: then the rollout has it soon, or the process died with it.

use serde_json::{Value, json};

use super::{
    around::{Around, Verdict},
    codex_queue::{Holder, Queues, Recalled, holder},
    pass::{Handled, Orders},
    push::{self, ABSENT, LOOK_AGAIN, SURE_AFTER},
    servers::Servers,
    ways,
};
use crate::{
    actions::{Context, ingest},
    base::{Error, Result, crash},
    model::{
        delivery::{AttemptState, Command, Lane, Phase},
        progress::EndKind,
        session::{Registration, Session},
    },
    ports::codex_server::ServerError,
    store::{
        self, Store,
        commands::{InLine, Step},
        rollouts::Cursor,
    },
};

/// Where a message stands that the queue has.
pub(super) const WAITS: &str = "it waits in Codex's queue; the session takes it when no turn runs";
/// The same once the session was seen idle.
const IDLE: &str = "it waits in Codex's queue; its session is idle, and looks about every ten seconds";
/// The same when its last turn was cut off: Codex leaves the queue alone until another one has ended.
const RESTS: &str = "its last turn was cut off, and its queue rests until another has ended";
/// How long that may be, in milliseconds, before another way is taken.
const RESTS_FOR: i64 = 3_000;
/// How often the queue is looked into behind an open turn that began after the message was put there, in milliseconds:
/// that turn may have begun with it, and its process may have died before it wrote that down.
const BEHIND_YOUNGER: i64 = 60_000;
/// The same behind a turn that was open before: it is likely to go on, and the message to lie where it was put.
const BEHIND_OLDER: i64 = 600_000;
/// Its time is over for so long, in milliseconds, that a queue that cannot be reached is not waited for any more.
const OVER: i64 = 300_000;
const MAY_COME: &str = "the session may still take it; look there, then decide with `conveyor dispatch resolve`";
const TAKEN: &str = "Codex's queue does not have it any more; the session's rollout is awaited";

/// Looks after one message; none while its fate is open.
///
/// # Errors
/// When the ledger fails.
pub(super) fn look_after(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    orders: &Orders,
    row: &InLine,
    around: &Around,
    command: &Command,
) -> Result<Option<Handled>> {
    let told = |command: &Command| push::told(store, orders, around, command).map(Some);
    let Some(target) = around.target.clone() else {
        push::conclude(store, command, "its target is not registered any more", true, &cx.moment())?;
        return told(command);
    };
    let is_active = target.state == Registration::Active;
    // The pane may show another thread now.
    let session = if is_active { ways::refreshed(cx, store, &mut servers.panes, target) } else { target };
    let queues = &mut servers.queues;
    let unread = read(cx, store, &session);
    let fence = command.fence;
    let Some(command) = still_open(store, command)? else { return told(command) };
    // Somebody has begun another try meanwhile, and what was seen here is about the former one.
    if command.fence != fence {
        return Ok(None);
    }
    let thread = given_to(&command, &session);
    let held = holder(cx, &session, &thread);
    let cursor = store.read(|r| store::rollouts::current(r, &session.id))?.filter(|cursor| cursor.thread_id == thread);
    let is_older = cursor.as_ref().is_some_and(|cursor| is_older_than_try(&command, cursor));
    let progress = cursor.map(|cursor| cursor.progress).unwrap_or_default();
    // A process that was killed never ends its turn.
    let is_busy = held != Holder::Nobody && progress.open_turn.is_some();
    // A turn that was open before the message came is not the one that would have begun with it, and one that a killed
    // process has left open never ends.
    let may_have_begun_one = is_busy && !is_older;
    let rests = !is_busy && progress.last_end.is_some_and(|end| end.kind == EndKind::Aborted);
    let every = if is_older { BEHIND_OLDER } else { BEHIND_YOUNGER };
    // Where each look is a process of its own, the ledger knows for how long nobody has looked.
    let is_to_be_looked_for = is_busy && (queues.is_to_be_looked_for(cx, &command.id, every) || row.is_overdue);
    let over = what_is_over(held, &session, &thread, row, around, &command);
    let in_vain = queues.waits_in_vain(cx, &command.id, !is_busy)
        || (row.is_overdue && !is_busy && command.reason.as_deref() == Some(IDLE));
    let why = match over {
        Some(why) => why,
        // Who cut it off may be about to say something.
        None if rests && command.reason.as_deref() == Some(RESTS) => "its queue rests since its last turn was cut off",
        None if in_vain => "its session is idle and does not take it from the queue",
        None if command.phase == Phase::Submitted
            && !row.is_of_earlier_boot
            && !is_to_be_looked_for
            && !matches!(command.reason.as_deref(), Some(ABSENT | TAKEN)) =>
        {
            let (wait, reason) = match (is_busy, rests) {
                (true, _) => (LOOK_AGAIN, WAITS),
                (false, false) => (LOOK_AGAIN, IDLE),
                (false, true) => (RESTS_FOR, RESTS),
            };
            store.write(|w| store::claims::rest(w, &command, wait, reason, &cx.moment()))?;
            return Ok(None);
        }
        // Whether the call that was being made had its effect.
        None => match queues.find(cx, &session, &thread, &command.id) {
            Ok(Some(entry)) => {
                let mut result = with_entry(&command, &entry.entry_id);
                result["thread_id"] = json!(thread);
                stands_in_queue(cx, store, &command, &result)?;
                return Ok(None);
            }
            Ok(None) => {
                let unread = unread.as_ref();
                let turn = awaited(queues, cx, &command, may_have_begun_one);
                return absent(cx, store, orders, row, around, &session, &command, turn, unread);
            }
            Err(error) if row.is_of_earlier_boot => {
                unreachable_after_boot(cx, store, queues, &session, &command, &error)?;
                return told_if(store, orders, around, &command);
            }
            Err(error) if row.over_for.is_some_and(|over_for| over_for >= OVER) => {
                let reason = format!(
                    "its time ran out, and whether it lies in Codex's queue cannot be seen: {error}; {MAY_COME}"
                );
                push::conclude(store, &command, &reason, true, &cx.moment())?;
                return told(&command);
            }
            Err(error) => {
                store.write(|w| store::claims::rest(w, &command, LOOK_AGAIN, &error.to_string(), &cx.moment()))?;
                return Ok(None);
            }
        },
    };
    match queues.recall(cx, &session, &thread, &command.id) {
        Recalled::Back => {
            crash::point("recalled");
            if in_vain {
                queues.rest(cx, &session);
            }
            push::give_back(store, &command, why, false, &cx.moment())?;
            told(&command)
        }
        Recalled::NotThere => {
            let turn = awaited(queues, cx, &command, may_have_begun_one);
            absent(cx, store, orders, row, around, &session, &command, turn, unread.as_ref())
        }
        Recalled::Unsure(error) if row.is_of_earlier_boot => {
            unreachable_after_boot(cx, store, queues, &session, &command, &error)?;
            told_if(store, orders, around, &command)
        }
        Recalled::Unsure(error) if row.over_for.is_some_and(|over_for| over_for >= OVER) => {
            let reason = format!("{why}, and it cannot be taken back: {error}; {MAY_COME}");
            push::conclude(store, &command, &reason, true, &cx.moment())?;
            told(&command)
        }
        Recalled::Unsure(error) => {
            let reason = format!("{why}, but whether it can be taken back is not known: {error}");
            store.write(|w| store::claims::rest(w, &command, SURE_AFTER, &reason, &cx.moment()))?;
            Ok(None)
        }
    }
}

/// What is on record of a try, with the name under which its message lies in the queue.
pub(super) fn with_entry(command: &Command, entry_id: &str) -> Value {
    let mut result = command.result.clone().filter(Value::is_object).unwrap_or_else(|| json!({}));
    result["queue_entry_id"] = json!(entry_id);
    result
}

/// Whether the turn that is open in a rollout was so already when the try began. Unknown when lines have come since that
/// look like copies, the wall clock having been set back: they are not followed, and one may have begun another turn.
fn is_older_than_try(command: &Command, cursor: &Cursor) -> bool {
    let Some(begun) = &command.result else { return false };
    let same_file = begun["rollout"] == json!({"generation": cursor.generation, "path": cursor.path});
    let all_followed = begun["inherited_lines"] == json!(cursor.progress.counts.inherited);
    let turn = cursor.progress.open_turn.as_ref().filter(|_| same_file && all_followed);
    turn.zip(begun["from_offset"].as_u64()).is_some_and(|(turn, from)| turn.byte_offset < from)
}

/// What lies in a queue that cannot be reached stays on record as from before the boot, until nobody hopes any more.
fn unreachable_after_boot(
    cx: &Context,
    store: &Store,
    queues: &Queues,
    session: &Session,
    command: &Command,
    error: &ServerError,
) -> Result<()> {
    if queues.is_given_up(cx, session) {
        let reason = format!("the machine was booted anew, and its queue cannot be reached: {error}; {MAY_COME}");
        push::conclude(store, command, &reason, true, &cx.moment())?;
    }
    Ok(())
}

/// Tells of a command if it was settled.
fn told_if(store: &Store, orders: &Orders, around: &Around, command: &Command) -> Result<Option<Handled>> {
    match still_open(store, command)? {
        Some(_) => Ok(None),
        None => push::told(store, orders, around, command).map(Some),
    }
}

/// Why a message may not stay in the queue any longer.
fn what_is_over(
    held: Holder,
    session: &Session,
    thread: &str,
    row: &InLine,
    around: &Around,
    command: &Command,
) -> Option<&'static str> {
    if row.is_expired {
        return Some("its time ran out in Codex's queue");
    }
    if let Verdict::Over(_, why) = around.verdict(command) {
        return Some(why);
    }
    if session.codex_session_id.as_deref() != Some(thread) {
        // The process goes on taking messages for the thread that it does not show any more.
        return Some("the session has another thread now");
    }
    // It would come up whenever somebody resumes the thread.
    (held == Holder::Nobody).then_some("no process works on its thread any more")
}

/// Whether a turn may have begun with a message that the queue does not have any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    None,
    /// It is open, and may show the message yet.
    Open,
    /// It is open, and should have shown the message long ago.
    Mute,
}

fn awaited(queues: &mut Queues, cx: &Context, command: &Command, is_open: bool) -> Turn {
    match is_open {
        false => Turn::None,
        true if queues.is_awaited_in_vain(cx, &command.id) => Turn::Mute,
        true => Turn::Open,
    }
}

/// A message that the queue does not have: it was taken, and the rollout has it soon, or nobody has it.
#[expect(clippy::too_many_arguments, reason = "all of it is about one command")]
fn absent(
    cx: &Context,
    store: &Store,
    orders: &Orders,
    row: &InLine,
    around: &Around,
    session: &Session,
    command: &Command,
    turn: Turn,
    unread: Option<&Error>,
) -> Result<Option<Handled>> {
    // It may have been taken between the last look at the rollout and the one at the queue.
    let unread = read(cx, store, session).or(unread.map(|error| Error::io(error.message())));
    let told = |command: &Command| push::told(store, orders, around, command).map(Some);
    let fence = command.fence;
    let Some(command) = still_open(store, command)? else { return told(command) };
    // Somebody has begun another try meanwhile, and what was seen here is about the former one.
    if command.fence != fence {
        return Ok(None);
    }
    let now = cx.moment();
    let ended = |why: &str, is_ambiguous: bool| push::conclude(store, &command, why, is_ambiguous, &now);
    if session.state != Registration::Active {
        ended("its target was deregistered when the queue did not have it any more", true)?;
        return told(&command);
    }
    if push::was_given_to_another_thread(&command, session) {
        ended("the queue of the thread that it was given to does not have it, and that thread is read no more", true)?;
        return told(&command);
    }
    if row.is_of_earlier_boot {
        // The end of a rollout may be lost with the machine, so what it does not show proves nothing any more.
        ended("the machine was booted anew before the session's rollout showed it", true)?;
        return told(&command);
    }
    if command.reason.as_deref() == Some(ABSENT) && turn == Turn::None && unread.is_none() {
        ended("neither the queue nor the session has it", false)?;
        return told(&command);
    }
    if turn == Turn::Mute && unread.is_none() {
        ended("the queue does not have it any more, and the turn that is open has not shown it for ten minutes", true)?;
        return told(&command);
    }
    // Where each pass is a process of its own, nobody counts the minutes.
    if turn == Turn::Open && unread.is_none() && row.over_for.is_some_and(|over_for| over_for >= OVER) {
        let why =
            "the queue does not have it any more, and the turn that is open has not shown it until its time ran out";
        ended(why, true)?;
        return told(&command);
    }
    let (wait, why) = match unread {
        Some(error) => (LOOK_AGAIN, format!("its rollout cannot be read: {error}")),
        // The turn that it began may have to compact the context before it takes the message.
        None if turn != Turn::None => (LOOK_AGAIN, TAKEN.to_owned()),
        None => (SURE_AFTER, ABSENT.to_owned()),
    };
    store.write(|w| store::claims::rest(w, &command, wait, &why, &now))?;
    Ok(None)
}

/// Takes a message back from its session's queue, for `dispatch cancel`.
///
/// # Errors
/// When it is proven that the session has it, or nothing is proven.
pub(super) fn recall(cx: &Context, store: &Store, command: &Command) -> Result<()> {
    let session = store
        .read(|r| store::sessions::by_id(r, &command.target_session_id))?
        .ok_or_else(|| Error::refused("the session it is for is not registered"))?;
    let thread = given_to(command, &session);
    match Queues::default().recall(cx, &session, &thread, &command.id) {
        Recalled::Back => {
            crash::point("recalled");
            Ok(())
        }
        Recalled::NotThere => {
            let _ = read(cx, store, &session);
            Err(Error::refused(format!(
                "command {} is not in Codex's queue any more: the session has taken it",
                command.id
            ))
            .hint("`conveyor commands` tells when its rollout shows it"))
        }
        Recalled::Unsure(error) => Err(Error::new(
            crate::base::Kind::Unconfirmed,
            format!("whether command {} could be taken back from Codex's queue is not known: {error}", command.id),
        )
        .hint("nothing was written; try again")),
    }
}

/// Ends a command that was just taken back: within one transaction it is nobody's, and then cancelled.
///
/// # Errors
/// SQLite's own error.
pub(super) fn cancelled(
    w: &store::Write<'_>,
    command: &Command,
    step: Step<'_>,
    now: crate::base::Timestamp,
) -> Result<bool, store::Error> {
    if !store::commands::advance(w, command, Phase::Queued, Step { reason: step.reason, ..Step::default() }, now)? {
        return Ok(false);
    }
    store::attempts::end(w, &command.id, AttemptState::Abandoned, false, None, step.reason, now)?;
    match store::commands::by_id(w.read(), &command.id)? {
        Some(queued) => store::commands::advance(w, &queued, Phase::Cancelled, step, now),
        None => Ok(false),
    }
}

/// A message that may be taken back from Codex's queue.
pub(super) fn lies_in_queue(command: &Command) -> bool {
    command.lane == Some(Lane::Queue) && command.phase == Phase::Submitted
}

fn stands_in_queue(cx: &Context, store: &Store, command: &Command, result: &serde_json::Value) -> Result<()> {
    let now = cx.moment();
    store.write_durably(|w| {
        if command.phase == Phase::Started {
            let step = Step { reason: Some(WAITS), result: Some(result), ..Step::default() };
            store::commands::advance(w, command, Phase::Submitted, step, now.wall)?;
        }
        if let Some(submitted) = store::commands::by_id(w.read(), &command.id)?
            && submitted.phase == Phase::Submitted
        {
            store::commands::put_off(w, &submitted, LOOK_AGAIN, WAITS, &now)?;
        }
        Ok::<_, store::Error>(())
    })?;
    Ok(())
}

/// Takes the session's new lines; what stands in the way of it.
fn read(cx: &Context, store: &Store, session: &Session) -> Option<Error> {
    if session.state != Registration::Active {
        return None;
    }
    ingest::ingest_while(cx, store, session, &|| true).err()
}

/// The command as it stands, while its fate is open.
fn still_open(store: &Store, command: &Command) -> Result<Option<Command>> {
    let now = store.read(|r| store::commands::by_id(r, &command.id))?;
    Ok(now.filter(|now| matches!(now.phase, Phase::Started | Phase::Submitted)))
}

/// The thread whose queue a command was put into.
fn given_to(command: &Command, session: &Session) -> String {
    let thread = command.result.as_ref().and_then(|result| result["thread_id"].as_str());
    thread.or(session.codex_session_id.as_deref()).unwrap_or_default().to_owned()
}
