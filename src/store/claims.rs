//! Who has a command in hand: the claim with which a try begins, its taking over, and its letting go. What an older
//! claim writes is refused by its fence.

use rusqlite::named_params;
use serde_json::Value;

use super::{Read, Result, Write, attempts, budgets, commands, convert};
use crate::{
    base::{Moment, Timestamp},
    model::delivery::{Command, Lane},
};

/// Claims a queued command, pays for it from its task's budget, and says, on disk before anything is done, that
/// something may happen from here on: a new fence, a lease of `lease` milliseconds, and a try that runs. None when
/// somebody else was faster, when its time ran out, or while another command is in flight to its target.
///
/// # Errors
/// SQLite's own error.
pub fn begin_try(
    w: &Write<'_>,
    command: &Command,
    dispatcher_id: &str,
    lane: (Lane, &str),
    result: &Value,
    lease: i64,
    now: &Moment,
) -> Result<Option<Begun>> {
    let expires = Timestamp::from_millis(now.wall.as_millis().saturating_add(lease));
    let changed = w
        .connection
        .prepare_cached(
            "update commands set
                phase = 'started', state = 'attempted', reason = null, updated_at = :now, lane = :lane,
                lane_reason = :lane_reason, fence = fence + 1, attempts = attempts + 1, claimed_by = :by,
                claimed_at = :now, claim_expires_at = :expires, boot_id = :boot_id, lease_uptime = :until, error = null,
                begun_uptime = :uptime, available_uptime = :until, result_json = :result
             where id = :id and fence = :fence and phase = 'queued'
                and not (boot_id = :boot_id and coalesce(expires_uptime <= :uptime, 0))
                and not exists (
                    select 1 from commands as other
                    where other.target_session_id = commands.target_session_id
                        and other.phase in ('queued', 'claimed', 'started', 'staged', 'submitted')
                        and other.phase <> 'queued')",
        )?
        .execute(named_params! {
            ":id": command.id,
            ":fence": command.fence,
            ":now": now.wall,
            ":lane": lane.0,
            ":lane_reason": lane.1,
            ":by": dispatcher_id,
            ":expires": expires,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
            ":until": now.uptime.saturating_add(lease),
            ":result": convert::json_text(result)?,
        })?;
    if changed == 0 {
        return Ok(None);
    }
    budgets::spend(w, &command.id)?;
    let attempt_id = attempts::begin(w, command, dispatcher_id, lane.0, now.wall)?;
    let command = commands::by_id(w.read(), &command.id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Some(Begun { command, attempt_id }))
}

/// A try that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// The command under its new fence.
    pub command: Command,
    /// The try.
    pub attempt_id: i64,
}

/// Takes a command in flight over for `lease` milliseconds: under a new fence, so that whatever its former dispatcher
/// still writes is refused. None when somebody else was faster.
///
/// # Errors
/// SQLite's own error.
pub fn take_over(
    w: &Write<'_>,
    command: &Command,
    dispatcher_id: &str,
    lease: i64,
    now: &Moment,
) -> Result<Option<Command>> {
    let expires = Timestamp::from_millis(now.wall.as_millis().saturating_add(lease));
    let changed = w
        .connection
        .prepare_cached(
            "update commands set
                fence = fence + 1, crash_count = crash_count + (claimed_by is not null and claimed_by <> :by),
                claimed_by = :by, claimed_at = :now, claim_expires_at = :expires, boot_id = :boot_id,
                lease_uptime = :until, available_uptime = :until,
                expires_uptime = case when boot_id = :boot_id then expires_uptime else :expires_uptime end,
                begun_uptime = case when boot_id = :boot_id or begun_uptime is null then begun_uptime else :uptime end
             where id = :id and fence = :fence and phase = :phase",
        )?
        .execute(named_params! {
            ":id": command.id,
            ":fence": command.fence,
            ":phase": command.phase,
            ":by": dispatcher_id,
            ":now": now.wall,
            ":expires": expires,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
            ":until": now.uptime.saturating_add(lease),
            ":expires_uptime": commands::expiry(command.expires_at, now),
        })?;
    if changed == 0 {
        return Ok(None);
    }
    commands::by_id(w.read(), &command.id)
}

/// Lets go of a command in flight with the reason why it waits; whoever comes first looks at it in `wait` milliseconds.
/// False when it has moved since it was read.
///
/// # Errors
/// SQLite's own error.
pub fn rest(w: &Write<'_>, command: &Command, wait: i64, reason: &str, now: &Moment) -> Result<bool> {
    if !commands::put_off(w, command, wait, reason, now)? {
        return Ok(false);
    }
    w.connection
        .prepare_cached("update commands set claimed_by = null where id = :id")?
        .execute(named_params! { ":id": command.id })?;
    Ok(true)
}

/// How many commands for this session were begun within the last `span` milliseconds. What is only laid into its inbox
/// does not count.
///
/// # Errors
/// SQLite's own error.
pub fn begun_of_late(r: Read<'_>, target_session_id: &str, span: i64, now: &Moment) -> Result<u64> {
    let mut statement = r.connection.prepare_cached(
        "select count(*) as begun from commands
         where target_session_id = :target and begun_uptime > :since and begun_uptime <= :uptime
            and boot_id = :boot_id",
    )?;
    let parameters = named_params! {
        ":target": target_session_id,
        ":since": now.uptime.saturating_sub(span),
        ":uptime": now.uptime,
        ":boot_id": now.boot_id,
    };
    Ok(statement.query_row(parameters, |row| convert::count(row, "begun"))?)
}
