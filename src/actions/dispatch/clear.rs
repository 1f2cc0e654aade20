//! `/clear`: a worker's Codex begins an empty thread in the same pane.
//!
//! The command is typed like `/compact`, and its proof is the thread that the pane shows after its key was pressed: a
//! fresh one has no rollout that could say so. A request names the thread that it is to end. Where another one is found,
//! nothing is typed: what that one holds, nobody has asked to forget.

use std::path::Path;

use serde_json::json;

use super::{
    around::Around,
    compact::NotYet,
    pass::Orders,
    push::{self, PROOF_PATIENCE},
};
use crate::{
    actions::{Context, ingest, live, sense},
    base::{Error, Result},
    model::{
        delivery::{Command, Phase},
        session::Session,
    },
    ports::rollout::read_head,
    store::{self, Store, typed::TypedMessage},
};

/// Why this lane: it is the only one.
pub(super) const TYPED: &str = "a terminal alone begins another thread; it is typed into the session's pane";
/// Why a session without a pane is refused.
pub(super) const NO_PANE: &str = "it has no pane into which it could be typed";
/// Why a pane is refused that does not tell its thread.
const UNTOLD: &str = "its pane does not tell which thread it shows, and nothing would prove another one";
const OTHER_THREAD: &str = "its session has another thread than when it was asked for: nothing was typed";
const NOTHING_YET: &str = "its Codex has written no rollout yet: there is nothing to clear";
const TOLD_OF: &str = "a message lies unread in the session's inbox of which it was told: it would forget that";

/// Where it stands once its key was pressed.
pub(super) const SUBMITTED: &str = "it was submitted; another thread in its pane is awaited";

/// Between two looks at the pane for another thread.
const LOOKS: std::time::Duration = std::time::Duration::from_millis(60);

/// Why nothing would prove that the session has another thread; none when its pane tells which it has.
pub(super) fn untold(cx: &Context, session: &Session) -> Option<&'static str> {
    shown(cx, session).is_none().then_some(UNTOLD)
}

/// The thread that the session's pane shows, by the pane's own word. The open files and locks of its processes tell
/// nothing of that: Codex keeps those of a thread that it has left, and a new one has no file before its first message.
fn shown(cx: &Context, session: &Session) -> Option<String> {
    sense::Observer::default().look(cx, session).thread_id
}

/// Whether the session still has the thread that the request is about.
pub(super) fn is_about(command: &Command, session: &Session) -> bool {
    session.codex_session_id.is_some() && command.payload["thread_id"].as_str() == session.codex_session_id.as_deref()
}

/// Looks at what a key would end, right before a request begins. None when it may.
pub(super) fn not_yet(cx: &Context, store: &Store, orders: &Orders, command: &Command) -> Result<Option<NotYet>> {
    let Some(session) = store.read(|r| store::sessions::by_id(r, &command.target_session_id))? else {
        return Ok(Some(NotYet::Waits));
    };
    let ended = |why: &str| {
        push::give_up(store, command, why, &cx.moment())?;
        let around = store.read(|r| Around::of(r, command))?;
        Ok(Some(NotYet::Ended(Box::new(push::told(store, orders, &around, command)?))))
    };
    let waits = |why: &str| {
        let wait = push::delay(command.defer_count);
        store.write(|w| store::commands::put_off(w, command, wait, why, &cx.moment()))?;
        Ok(Some(NotYet::Waits))
    };
    if !is_about(command, &session) {
        return ended(OTHER_THREAD);
    }
    // The last lines of the thread that is left are taken while it still is the session's.
    match ingest::ingest_while(cx, store, &session, &|| true) {
        Ok(taken) if taken.awaiting_first_prompt => return ended(NOTHING_YET),
        Ok(_) => {}
        Err(error) => return waits(&format!("its rollout cannot be read: {error}")),
    }
    if store.read(|r| store::typed::has_unread_pointer(r, &session.id))? {
        return waits(TOLD_OF);
    }
    match shown(cx, &session) {
        None => ended(UNTOLD),
        // The next look follows it there.
        Some(thread) if session.codex_session_id.as_deref() != Some(&*thread) => waits(OTHER_THREAD),
        Some(_) => Ok(None),
    }
}

/// Why the key is not pressed: what stands in the composer would end another thread than it was typed for.
pub(super) fn in_the_way(cx: &Context, store: &Store, row: &TypedMessage) -> Result<Option<&'static str>> {
    let session = store.read(|r| store::sessions::by_id(r, &row.session_id))?;
    let thread = session.and_then(|session| shown(cx, &session));
    Ok((thread.is_none() || thread != row.thread_id)
        .then_some("its pane does not show the thread for which it was typed"))
}

/// Looks at the pane until it shows another thread, at most for a moment: its key was just pressed.
pub(super) fn await_thread(cx: &Context, store: &Store, command: &Command, row: &TypedMessage) -> Result<()> {
    let clock = cx.clock();
    let patience = i64::try_from(PROOF_PATIENCE.as_millis()).unwrap_or(i64::MAX);
    let end = clock.uptime_millis().saturating_add(patience);
    loop {
        let Some(session) = store.read(|r| store::sessions::by_id(r, &command.target_session_id))? else {
            return Ok(());
        };
        // What cannot be seen now is seen by the next pass.
        if let Ok((session, _)) = live::refresh(cx, store, session)
            && confirm(cx, store, command, row, &session)?
        {
            return Ok(());
        }
        if clock.uptime_millis() >= end {
            return Ok(());
        }
        clock.sleep(LOOKS);
    }
}

/// Ends a request whose key this program has pressed, once the session has another thread; false when it has not.
pub(super) fn confirm(
    cx: &Context,
    store: &Store,
    command: &Command,
    row: &TypedMessage,
    session: &Session,
) -> Result<bool> {
    let (Some(left), Some(fresh)) = (row.thread_id.as_deref(), session.codex_session_id.as_deref()) else {
        return Ok(false);
    };
    // Ids grow with time: an older one is a thread that was brought back, with all that it holds.
    if fresh <= left || command.phase != Phase::Submitted || has_seen_turn(command) {
        return Ok(false);
    }
    if is_inherited(cx, store, session) {
        return Ok(false);
    }
    let receipt = json!({"kind": "thread", "left_thread_id": left, "thread_id": fresh});
    store.write_durably(|w| {
        // Only under this fence: somebody may have decided about it meanwhile.
        let is_ours = is_held(w.read(), command)?;
        if is_ours {
            store::commands::confirm(w, &command.id, &session.id, &receipt, cx.now())?;
        }
        Ok(is_ours)
    })
}

/// Whether the request still stands as it was read, under the same fence.
fn is_held(r: store::Read<'_>, command: &Command) -> Result<bool, store::Error> {
    let now = store::commands::by_id(r, &command.id)?;
    Ok(now.is_some_and(|now| (now.phase, now.fence) == (command.phase, command.fence)))
}

/// Whether the session's thread began with what another one holds, as a fork does: it is not empty.
fn is_inherited(cx: &Context, store: &Store, session: &Session) -> bool {
    // An empty thread has no rollout yet, or one that nobody else has written in.
    let Some(path) = session.codex_session_path.as_deref() else { return false };
    let is_own = || -> Result<bool> {
        ingest::ingest_while(cx, store, session, &|| true)?;
        let cursor = store.read(|r| store::rollouts::current(r, &session.id))?;
        Ok(cursor.is_none_or(|cursor| cursor.progress.counts.inherited == 0))
    };
    // What cannot be read proves nothing.
    let is_forked = read_head(Path::new(path)).map_or(true, |head| head.forked_from.is_some());
    is_forked || !is_own().unwrap_or(false)
}

/// Where a request's result says that a turn ran in the old thread after the key.
const TURN_SEEN: &str = "turn_ran_after_key";

fn has_seen_turn(command: &Command) -> bool {
    command.result.as_ref().is_some_and(|result| result[TURN_SEEN] == true)
}

/// Notes that a turn runs in the thread that was to be left, and nothing of the command stands in the composer any more:
/// Codex refuses it while a turn runs, and whoever begins another thread after that is somebody else.
pub(super) fn note_turn(store: &Store, command: &Command) -> Result<()> {
    if has_seen_turn(command) {
        return Ok(());
    }
    let mut result = command.result.clone().unwrap_or_else(|| json!({}));
    result[TURN_SEEN] = json!(true);
    store.write_durably(|w| {
        if is_held(w.read(), command)? {
            store::typed::note(w, &command.id, &result)?;
        }
        Ok::<_, Error>(())
    })
}

/// What a submitted request came to when its session is idle and has no other thread. None when that cannot be seen.
pub(super) fn came_to_nothing(cx: &Context, session: &Session, row: &TypedMessage) -> Option<String> {
    let is_still_there = shown(cx, session).is_some_and(|thread| row.thread_id.as_deref() == Some(&*thread));
    is_still_there.then(|| "its pane shows the thread that it had before: nothing was cleared".to_owned())
}
