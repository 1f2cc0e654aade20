//! What the fate of a message means for the command behind it; always in the message's own transaction.

use serde_json::{Value, json};

use super::super::{Context, caller::Origin};
use crate::{
    base::{Moment, Result, Timestamp},
    model::delivery::{Command, Phase},
    store::{
        Write, audit,
        commands::{self, Step},
        inbox::{self, Item},
    },
};

/// Who did it, for the audit trail.
#[derive(Debug)]
pub(super) struct By {
    pub(super) actor: audit::Actor,
    /// In words; none of the program itself.
    pub(super) origin: Option<String>,
}

impl By {
    pub(super) fn of(cx: &Context, caller: &Origin) -> Self {
        Self { actor: caller.actor(cx), origin: Some(caller.words()) }
    }

    const CONVEYOR: Self = Self { actor: audit::Actor::Conveyor, origin: None };
}

/// How a reader confirmed a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// By taking it for good.
    Consumed,
    /// By its token, once it had the message.
    Acked,
}

impl Confirmed {
    /// The kind of the receipt.
    fn receipt(self) -> &'static str {
        match self {
            Self::Consumed => "inbox_consumed",
            Self::Acked => "inbox_ack",
        }
    }
}

/// Confirms a message: it is consumed, and the command behind it is done.
pub(super) fn confirm(w: &Write<'_>, item: &Item, how: Confirmed, by: &By, now: Timestamp) -> Result<()> {
    if !inbox::consume(w, item, now)? {
        return Ok(());
    }
    if let Some(command) = command_of(w, item)?
        // A message that lies here while a pointer to it waits to be typed is had without the pointer.
        && matches!(command.phase, Phase::Delivered | Phase::Queued)
    {
        let receipt = json!({
            "at": now,
            "delivery_count": item.delivery_count,
            "kind": how.receipt(),
            "notification_id": item.id,
            "session": item.target_session_name,
        });
        let result = with_receipt(command.result.as_ref(), receipt);
        commands::advance(w, &command, Phase::Done, Step { result: Some(&result), ..Step::default() }, now)?;
    }
    note(w, item, by, "dispatch_inbox_consumed", json!({"receipt": how.receipt()}), now)
}

/// What became of the command, beside the receipt.
fn with_receipt(result: Option<&Value>, receipt: Value) -> Value {
    let mut whole = result.and_then(Value::as_object).cloned().unwrap_or_default();
    whole.insert("receipt".to_owned(), receipt);
    Value::Object(whole)
}

/// Gives up what was handed out too often, and the commands behind it.
pub(super) fn give_up(w: &Write<'_>, inbox: inbox::Inbox<'_>, now: &Moment) -> Result<()> {
    for item in inbox::give_up(w, inbox, now)? {
        let reason = item.error.clone().unwrap_or_default();
        if let Some(command) = command_of(w, &item)?
            && command.phase == Phase::Delivered
        {
            let step = Step { reason: Some("never_confirmed"), error: Some(&reason), ..Step::default() };
            commands::advance(w, &command, Phase::Dead, step, now.wall)?;
        }
        note(w, &item, &By::CONVEYOR, "dispatch_inbox_given_up", json!({"error": reason}), now.wall)?;
    }
    Ok(())
}

/// Puts what was given up back; their numbers.
pub(super) fn revive(w: &Write<'_>, inbox: inbox::Inbox<'_>, by: &By, now: &Moment) -> Result<Vec<i64>> {
    let mut revived = Vec::new();
    for item in inbox::revive(w, inbox, now)? {
        // A command that was given up goes through the queue again; this one lies where the queue would put it.
        for phase in [Phase::Queued, Phase::Delivered] {
            if let Some(command) = command_of(w, &item)?
                && matches!(command.phase, Phase::Dead | Phase::Queued)
            {
                let step = Step { reason: Some("put_back_into_the_inbox"), ..Step::default() };
                commands::advance(w, &command, phase, step, now.wall)?;
            }
        }
        note(w, &item, by, "dispatch_inbox_revived", json!({}), now.wall)?;
        revived.push(item.id);
    }
    Ok(revived)
}

fn command_of(w: &Write<'_>, item: &Item) -> Result<Option<Command>> {
    match &item.command_id {
        Some(id) => Ok(commands::by_id(w.read(), id)?),
        None => Ok(None),
    }
}

/// Notes in the audit trail what became of a message.
fn note(w: &Write<'_>, item: &Item, by: &By, kind: &str, mut details: Value, now: Timestamp) -> Result<()> {
    details["correlation_id"] = json!(item.correlation_id);
    details["delivery_count"] = json!(item.delivery_count);
    details["notification_id"] = json!(item.id);
    if let Some(origin) = &by.origin {
        details["origin"] = json!(origin);
    }
    details["signal_type"] = json!(item.signal_type);
    details["target_session"] = json!(item.target_session_name);
    let about = audit::About { task_id: item.task_id.as_deref(), session_id: Some(item.target_session_id.as_str()) };
    audit::append(w, now, by.actor, kind, about, &details)?;
    Ok(())
}
