//! What was laid into the inbox of a session because its Codex had ended: it goes back into its line when the session is
//! resumed.
//!
//! Nothing of it was typed, or its rollout shows that it did not arrive, and nobody has seen it: it is taken out of the
//! inbox in the same transaction, so that it is in one place only. What somebody has seen there stays with its reader.

use serde_json::json;

use super::{
    control::{RETRY_TIME_TO_LIVE, has_lost_binding},
    panes, typed_after,
};
use crate::{
    base::{Moment, Result},
    model::{
        delivery::{Command, Lane, Phase},
        session::Session,
    },
    store::{self, Read, Write, audit},
};

/// Why it is taken out of the inbox.
const WHY: &str = "its session was resumed, and it is sent there";
/// Why it lies there again.
pub(super) const BACK: &str = "its session was resumed, and its time ran out before it could be sent there";

/// What is to be queued again for a session that is brought back, in its order, with its number in the inbox.
fn waiting_for(r: Read<'_>, session: &Session) -> Result<Vec<(Command, i64)>> {
    let mut waiting: Vec<(Command, i64)> = Vec::new();
    for (item, command_id) in store::inbox::unseen_of_commands(r, &session.id)? {
        let Some(command) = store::commands::by_id(r, &command_id)?.filter(is_for_its_pane) else { continue };
        // Through a binding that has ended nothing is sent any more.
        if !has_lost_binding(r, &command)? {
            waiting.push((command, item));
        }
    }
    waiting.sort_by_key(|(command, _)| command.seq);
    Ok(waiting)
}

/// The commands that a resume would queue again.
///
/// # Errors
/// When the ledger fails.
pub(in crate::actions) fn would_queue_again(r: Read<'_>, session: &Session) -> Result<Vec<String>> {
    Ok(waiting_for(r, session)?.into_iter().map(|(command, _)| command.id).collect())
}

/// Queues again, in their places, what could not be typed into a session that is back; the commands.
///
/// # Errors
/// When the ledger fails.
pub(in crate::actions) fn queue_again(
    w: &Write<'_>,
    session: &Session,
    actor: audit::Actor,
    now: &Moment,
) -> Result<Vec<String>> {
    let mut queued = Vec::new();
    for (command, item) in waiting_for(w.read(), session)? {
        if !store::inbox::settle_unseen(w, item, WHY)? {
            continue;
        }
        // What had longer keeps it, and what never runs out never does.
        let left = command.expires_at.map(|at| at.as_millis().saturating_sub(now.wall.as_millis()));
        let time_to_live = left.map(|left| left.max(RETRY_TIME_TO_LIVE));
        store::commands::requeue(w, &command, time_to_live, WHY, now)?;
        let about = audit::About { task_id: command.task_id.as_deref(), session_id: Some(&session.id) };
        let payload = json!({"command_id": command.id, "from": command.phase, "reason": WHY});
        audit::append(w, now.wall, actor, "command_requeued", about, &payload)?;
        queued.push(command.id);
    }
    Ok(queued)
}

/// Whether a queued command lay in the inbox until its session was resumed.
pub(super) fn has_left_inbox(r: Read<'_>, command: &Command) -> Result<bool> {
    Ok(store::inbox::was_settled(r, &command.correlation_id, &command.id, WHY)?)
}

/// Whether it would have been typed if a Codex had been there.
fn is_for_its_pane(command: &Command) -> bool {
    let has_ended = |why: &Option<String>| why.as_deref().is_some_and(panes::is_over);
    command.phase == Phase::Delivered
        && match command.lane {
            Some(Lane::Inbox) => has_ended(&command.lane_reason),
            // The pointer to it went down with its Codex.
            Some(Lane::Tmux) => {
                let was_told = command.result.as_ref().is_some_and(|result| result["pointer"].is_object());
                let is_missing = command.reason.as_deref().is_some_and(|why| why.contains(typed_after::NOT_SHOWN));
                !was_told && is_missing && has_ended(&command.reason)
            }
            _ => false,
        }
}
