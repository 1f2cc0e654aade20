//! What was laid into the inbox of a session because its Codex had ended: it goes back into its line when the session is
//! resumed.
//!
//! Nothing of it was typed, and nobody has seen it: it is taken out of the inbox in the same transaction, so that it is in
//! one place only. What somebody has seen there stays with its reader.

use serde_json::json;

use super::{
    control::{RETRY_TIME_TO_LIVE, check_target},
    panes,
};
use crate::{
    base::{Moment, Result},
    model::{
        delivery::{Command, Lane, Phase},
        session::Session,
    },
    store::{self, Write, audit},
};

/// Queues again, in their order, what could not be typed into a session that is back.
///
/// # Errors
/// When the ledger fails.
pub(in crate::actions) fn queue_again(
    w: &Write<'_>,
    session: &Session,
    actor: audit::Actor,
    now: &Moment,
) -> Result<()> {
    const WHY: &str = "its session was resumed";
    let mut waiting: Vec<(Command, i64)> = Vec::new();
    for (item, command_id) in store::inbox::unseen_of_commands(w.read(), &session.id)? {
        let command = store::commands::by_id(w.read(), &command_id)?;
        waiting.extend(command.filter(is_for_its_pane).map(|command| (command, item)));
    }
    waiting.sort_by_key(|(command, _)| command.seq);
    for (command, item) in waiting {
        // Through a binding that has ended nothing is sent any more.
        if check_target(w, &command).is_err() || !store::inbox::settle_unseen(w, item, WHY)? {
            continue;
        }
        store::commands::requeue(w, &command, Some(RETRY_TIME_TO_LIVE), WHY, now)?;
        let about = audit::About { task_id: command.task_id.as_deref(), session_id: Some(&session.id) };
        let payload = json!({"command_id": command.id, "from": command.phase, "reason": WHY});
        audit::append(w, now.wall, actor, "command_requeued", about, &payload)?;
    }
    Ok(())
}

/// Whether it would have been typed if a Codex had been there.
fn is_for_its_pane(command: &Command) -> bool {
    command.phase == Phase::Delivered
        && command.lane == Some(Lane::Inbox)
        && command.lane_reason.as_deref().is_some_and(panes::is_over)
}
