//! The steps of a command: from phase to phase, ended by its target's own record, or back into its line.

use rusqlite::named_params;
use serde_json::Value;

use super::{Result, Write, by_id};
use crate::{
    base::{Moment, Timestamp},
    model::delivery::{AttemptState, Command, Lane, Phase},
    store::{Error, attempts, budgets, convert},
};

/// What the target's own record of a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// It ends the command.
    Done,
    /// The same record, read again.
    Known,
    /// A second record of one message: the session got it twice.
    Twice,
    /// No command of this id was for this session.
    NotOurs,
}

/// Ends a command by the target's own record of it, however far it had come.
///
/// # Errors
/// SQLite's own error.
pub fn confirm(w: &Write<'_>, id: &str, session_id: &str, receipt: &Value, now: Timestamp) -> Result<Confirmed> {
    let Some(command) = by_id(w.read(), id)?.filter(|command| command.target_session_id == session_id) else {
        return Ok(Confirmed::NotOurs);
    };
    let mut result = command.result.clone().filter(Value::is_object).unwrap_or_else(|| serde_json::json!({}));
    if command.phase == Phase::Done && result["receipt"]["kind"] == "operator" {
        // It was done by somebody's word; now it is proven.
        result["operator"] = result["receipt"].take();
        result["receipt"] = receipt.clone();
        w.connection
            .prepare_cached(
                "update commands set result_json = :result, reason = null, updated_at = :now where id = :id",
            )?
            .execute(named_params! { ":id": id, ":result": convert::json_text(&result)?, ":now": now })?;
        return Ok(Confirmed::Done);
    }
    if command.phase == Phase::Done {
        let is_same = result["receipt"]["record_hash"] == receipt["record_hash"];
        return Ok(if is_same { Confirmed::Known } else { Confirmed::Twice });
    }
    if !command.phase.leads_to(Phase::Done) {
        return Ok(Confirmed::NotOurs);
    }
    result["receipt"] = receipt.clone();
    attempts::end(w, id, AttemptState::Succeeded, true, Some(&result), None, now)?;
    advance(w, &command, Phase::Done, Step { result: Some(&result), ..Step::default() }, now)?;
    Ok(Confirmed::Done)
}

/// What a step writes beside the phase. What is none stays as it is, but the reason, which belongs to the phase.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step<'a> {
    /// Why it stands there now.
    pub reason: Option<&'a str>,
    /// The way it takes, and why.
    pub lane: Option<(Lane, &'a str)>,
    /// What the try came to.
    pub result: Option<&'a Value>,
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// Moves a command on, unless it has moved since it was read: false, and nothing is changed.
///
/// # Errors
/// SQLite's own error. A step that [`Phase::leads_to`] does not know is a fault of ours and is refused.
pub fn advance(w: &Write<'_>, command: &Command, to: Phase, step: Step<'_>, now: Timestamp) -> Result<bool> {
    if !command.phase.leads_to(to) {
        return Err(Error::Step { from: command.phase.as_str(), to: to.as_str() });
    }
    let result = step.result.map(convert::json_text).transpose()?;
    let changed = w
        .connection
        .prepare_cached(
            "update commands set
                phase = :to, state = :state, reason = :reason, updated_at = :now,
                lane = coalesce(:lane, lane), lane_reason = coalesce(:lane_reason, lane_reason),
                result_json = coalesce(:result, result_json), error = :error,
                claimed_by = case when :holds then claimed_by end,
                claimed_at = case when :holds then claimed_at end,
                claim_expires_at = case when :holds then claim_expires_at end,
                lease_uptime = case when :holds then lease_uptime end,
                crash_count = case when :is_further then 0 else crash_count end
             where id = :id and fence = :fence and phase = :from",
        )?
        .execute(named_params! {
            ":id": command.id,
            ":fence": command.fence,
            ":from": command.phase,
            ":to": to,
            ":state": to.state(),
            ":reason": step.reason,
            ":now": now,
            ":lane": step.lane.map(|(lane, _)| lane),
            ":lane_reason": step.lane.map(|(_, why)| why),
            ":result": result,
            ":error": step.error,
            ":holds": to.holds_the_line() && to != Phase::Queued,
            // Whoever vanishes from here on has brought it further than those before.
            ":is_further": matches!(to, Phase::Staged | Phase::Submitted),
        })?;
    if changed == 1 {
        settle_budget(w, command, to)?;
    }
    Ok(changed == 1)
}

/// What a step means for the budget: laying a message into an inbox is its delivery; what came back from a try, or was
/// decided not to have arrived, was none; and what turns up in the rollout after all was one.
fn settle_budget(w: &Write<'_>, command: &Command, to: Phase) -> Result<()> {
    match (command.phase, to) {
        (Phase::Queued, Phase::Delivered)
        | (Phase::Queued | Phase::Failed | Phase::Cancelled | Phase::Expired | Phase::Blocked, Phase::Done) => {
            budgets::spend(w, &command.id)
        }
        (Phase::Started | Phase::Staged | Phase::Submitted, Phase::Claimed | Phase::Queued | Phase::Failed)
        | (Phase::Delivered, Phase::Queued)
        | (Phase::Ambiguous, Phase::Failed) => budgets::refund(w, &command.id),
        _ => Ok(()),
    }
}

/// Puts a command that was given up, that nobody has fetched, or whose fate an operator decided, back into its line: tries,
/// fence, way and what it came to begin anew, at the end of the line; what nobody has fetched keeps its place. Its time to
/// live is `time_to_live` milliseconds from now.
///
/// # Errors
/// As [`advance`].
pub fn requeue(
    w: &Write<'_>,
    command: &Command,
    time_to_live: Option<i64>,
    reason: &str,
    now: &Moment,
) -> Result<bool> {
    if !advance(w, command, Phase::Queued, Step { reason: Some(reason), ..Step::default() }, now.wall)? {
        return Ok(false);
    }
    let expires = time_to_live.map(|millis| Timestamp::from_millis(now.wall.as_millis().saturating_add(millis)));
    w.connection
        .prepare_cached(
            "update commands set
                seq = case when :keeps_place then seq else (select max(seq) + 1 from commands) end,
                lane = null, lane_reason = null,
                fence = fence + 1, attempts = 0, crash_count = 0, defer_count = 0, error = null, result_json = null,
                budget_spent = 0,
                boot_id = :boot_id, available_at = null, available_uptime = 0,
                expires_at = :expires_at, expires_uptime = :expires_uptime
             where id = :id",
        )?
        .execute(named_params! {
            ":id": command.id,
            // What came later, and waits, comes after it.
            ":keeps_place": command.phase == Phase::Delivered,
            ":boot_id": now.boot_id,
            ":expires_at": expires,
            ":expires_uptime": time_to_live.map(|millis| now.uptime.saturating_add(millis)),
        })?;
    Ok(true)
}
