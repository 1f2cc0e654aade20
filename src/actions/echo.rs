//! What a line of a rollout says about messages that were sent to its session: the one proof that they arrived.
//! Written in the transaction that stores the line.

use serde_json::{Value, json};

use crate::{
    base::{Result, Timestamp},
    model::{
        delivery::{AttemptState, Command, Phase},
        typing::{Echo, Marker, matches_echo},
    },
    store::{
        self, Write, audit,
        commands::{self, Confirmed, Step},
        inbox,
        rollouts::Cursor,
        typed::TypedMessage,
    },
};

/// Where a line stands.
pub(super) struct Place<'a> {
    /// The file, as it was when the line was read.
    pub cursor: &'a Cursor,
    /// Its first byte.
    pub byte_offset: u64,
    /// Hash of the line.
    pub hash: i64,
    /// It looks like a copy from another thread: it is older than this one, or the wall clock was set back.
    pub is_inherited: bool,
}

impl Place<'_> {
    fn receipt(&self) -> Value {
        json!({
            "byte_offset": self.byte_offset,
            "kind": "rollout",
            "path": self.cursor.path,
            "record_hash": format!("{:016x}", self.hash),
        })
    }

    /// Whether it is a record of something that was given to this thread. What names the thread counts here whatever the
    /// time of the line says: only by being given to it can the message have come into it.
    fn is_of(&self, thread: Option<&str>) -> bool {
        thread.map_or(!self.is_inherited, |thread| thread == self.cursor.thread_id)
    }

    /// Whether an echo of this text counts here: in the thread and from the byte on that were recorded before it was
    /// typed.
    fn counts_for(&self, typed: &TypedMessage) -> bool {
        typed.session_id == self.cursor.session_id
            && self.is_of(typed.thread_id.as_deref())
            && (typed.rollout_path.as_deref() != Some(&*self.cursor.path) || self.byte_offset >= typed.echo_from_offset)
    }
}

/// A message under an id that may be ours: the session has it.
pub(super) fn confirm(w: &Write<'_>, place: &Place<'_>, id: &str, now: Timestamp) -> Result<()> {
    let (session_id, receipt) = (&place.cursor.session_id, place.receipt());
    if place.is_inherited {
        let result = commands::by_id(w.read(), id)?.and_then(|command| command.result);
        let thread = result.as_ref().and_then(|result| result["thread_id"].as_str());
        if thread != Some(&*place.cursor.thread_id) {
            return Ok(());
        }
    }
    if commands::confirm(w, id, session_id, &receipt, now)? == Confirmed::Twice {
        let about = audit::About { task_id: None, session_id: Some(session_id) };
        let payload = json!({"command_id": id, "receipt": receipt});
        audit::append(w, now, audit::Actor::Conveyor, "message_arrived_twice", about, &payload)?;
    }
    Ok(())
}

/// A message that may be the echo of what was typed. One that holds more than was typed is no proof of the message: a
/// person has to decide.
pub(super) fn of_typed(w: &Write<'_>, place: &Place<'_>, text: &str, now: Timestamp) -> Result<()> {
    for marker in Marker::all_in(text) {
        let Some(typed) = store::typed::by_marker(w.read(), marker.as_str())?.filter(|typed| place.counts_for(typed))
        else {
            continue;
        };
        match (matches_echo(text, &marker, &typed.text_sha256), typed.notification_id) {
            (Echo::Ours, None) => confirm(w, place, &typed.command_id, now)?,
            // Whatever stands around a pointer, its session was told.
            (Echo::Ours | Echo::Altered, Some(notification_id)) => told(w, place, &typed, notification_id, now)?,
            (Echo::Altered, None) => altered(w, place, &typed, now)?,
            (Echo::None, _) => {}
        }
    }
    Ok(())
}

/// The pointer has arrived: the message itself lies in the inbox, or was taken from there in the meantime.
fn told(w: &Write<'_>, place: &Place<'_>, typed: &TypedMessage, notification_id: i64, now: Timestamp) -> Result<()> {
    let Some(command) = commands::by_id(w.read(), &typed.command_id)? else { return Ok(()) };
    let mut result = command.result.clone().filter(Value::is_object).unwrap_or_else(|| json!({}));
    if result["pointer"].is_object() {
        return Ok(());
    }
    result["pointer"] = place.receipt();
    if command.phase != Phase::Done && confirm_had(w, &command, notification_id, &result, now)? {
        return Ok(());
    }
    if command.phase == Phase::Delivered || !command.phase.leads_to(Phase::Delivered) {
        store::typed::note(w, &command.id, &result)?;
        return Ok(());
    }
    store::attempts::end(w, &command.id, AttemptState::Succeeded, true, Some(&result), None, now)?;
    let reason = format!("its session was told of it at byte {} of its rollout", place.byte_offset);
    let step = Step { reason: Some(&reason), result: Some(&result), ..Step::default() };
    commands::advance(w, &command, Phase::Delivered, step, now)?;
    Ok(())
}

/// Ends a command whose message was taken from the inbox and confirmed before its pointer was; false when it was not.
pub(super) fn confirm_had(
    w: &Write<'_>,
    command: &Command,
    notification_id: i64,
    result: &Value,
    now: Timestamp,
) -> Result<bool> {
    let Some(at) = inbox::consumed_at(w.read(), notification_id)? else { return Ok(false) };
    let mut result = result.clone();
    result["receipt"] = json!({"at": at, "kind": "inbox_ack", "notification_id": notification_id});
    store::attempts::end(w, &command.id, AttemptState::Succeeded, true, Some(&result), None, now)?;
    Ok(commands::advance(w, command, Phase::Done, Step { result: Some(&result), ..Step::default() }, now)?)
}

/// The message has arrived with other text around it.
fn altered(w: &Write<'_>, place: &Place<'_>, typed: &TypedMessage, now: Timestamp) -> Result<()> {
    let Some(command) = commands::by_id(w.read(), &typed.command_id)? else { return Ok(()) };
    if !matches!(command.phase, Phase::Started | Phase::Staged | Phase::Submitted) {
        return Ok(());
    }
    let mut result = command.result.clone().filter(Value::is_object).unwrap_or_else(|| json!({}));
    result["altered"] = place.receipt();
    let why = "it arrived joined with other text, or changed";
    store::attempts::end(w, &command.id, AttemptState::Failed, true, Some(&result), Some(why), now)?;
    let step = Step { reason: Some(why), error: Some(why), result: Some(&result), ..Step::default() };
    commands::advance(w, &command, Phase::Ambiguous, step, now)?;
    Ok(())
}
