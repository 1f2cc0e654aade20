//! The inbox as a way: a command's message is laid there, or taken back from there.

use serde_json::json;

use super::{
    around::Around,
    panes,
    pass::{Handled, Orders, moved, value},
};
use crate::{
    base::{Moment, Result},
    model::{
        delivery::{AttemptState, Command, Lane, Phase},
        session::Session,
    },
    store::{self, Read, Write, attempts::Tried, commands::Step, inbox},
};

/// Delivers a message into its target's inbox.
pub(super) fn put_into_inbox(
    w: &Write<'_>,
    orders: &Orders,
    command: &Command,
    around: &Around,
    why: &str,
    dry_run: bool,
    now: &Moment,
) -> Result<Handled> {
    let way_out = around.target.as_ref().filter(|target| panes::is_over(why) && target.codex_session_id.is_some());
    let why = &match way_out {
        Some(target) => format!("{why}; `conveyor resume {}` opens it again, and then this is sent to it", target.name),
        None => why.to_owned(),
    };
    let notification_id = lay_into_inbox(w, orders, command, around, now)?;
    let tried = Tried {
        dispatcher_id: &orders.dispatcher_id,
        state: AttemptState::Succeeded,
        lane: Some(Lane::Inbox),
        result: None,
        error: None,
    };
    let attempt_id = store::attempts::record(w, command, tried, now.wall)?;
    store::commands::count_try(w, command, 1)?;
    let mut handled = around.handled(orders, command, Phase::Delivered, dry_run);
    handled.attempt_id = Some(attempt_id);
    handled.notification_id = Some(notification_id);
    handled.delivery_mode = Some("pull_required");
    handled.lane = Some(Lane::Inbox);
    handled.lane_reason = Some(why.to_owned());
    handled.state = if dry_run { "planned" } else { "pull_required" };
    let result = value(&handled)?;
    store::attempts::set_result(w, attempt_id, &result)?;
    let step = Step { lane: Some((Lane::Inbox, why)), result: Some(&result), ..Step::default() };
    moved(store::commands::advance(w, command, Phase::Delivered, step, now.wall)?)?;
    Ok(handled)
}

/// Puts a command's message into its target's inbox, unless it lies there already; its number there.
pub(super) fn lay_into_inbox(
    w: &Write<'_>,
    orders: &Orders,
    command: &Command,
    around: &Around,
    now: &Moment,
) -> Result<i64> {
    let pointed_at = store::typed::of(w.read(), &command.id)?.and_then(|typed| typed.notification_id);
    if let Some(id) = command.payload["notification_id"].as_i64().or(pointed_at)
        && inbox::is_waiting(w.read(), id)?
    {
        // What it tells about, or what a pointer was to tell about, lies there already.
        return Ok(id);
    }
    let name = |session: &Option<Session>| session.as_ref().map(|session| session.name.clone());
    let payload = json!({
        "command_id": command.id,
        "command_type": command.kind,
        "created_by": command.created_by,
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
    Ok(inbox::deliver(w, &item, now.wall)?)
}

/// The message in the inbox that was laid there for a pointer to it to be typed.
pub(super) fn pointed_at(r: Read<'_>, command: &Command) -> Result<Option<i64>> {
    let pointed_at = store::typed::of(r, &command.id)?.and_then(|typed| typed.notification_id);
    // What a word tells of is a message of its own.
    Ok(pointed_at.filter(|id| command.payload["notification_id"].as_i64() != Some(*id)))
}

/// Why a command whose message somebody has is delivered.
pub(super) const IN_HAND: &str = "its reader has taken it from the inbox already";

/// Makes sure that a queued command's message does not lie in the inbox, where a pointer that was not typed has left
/// it; false when its reader has seen it there.
pub(super) fn take_from_inbox(w: &Write<'_>, command: &Command, why: &str) -> Result<bool> {
    match pointed_at(w.read(), command)? {
        Some(id) if inbox::is_waiting(w.read(), id)? => Ok(inbox::settle_unseen(w, id, why)?),
        Some(_) | None => Ok(true),
    }
}
