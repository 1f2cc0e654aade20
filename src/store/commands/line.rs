//! Which commands may move now, and when the others are looked at again.

use rusqlite::named_params;

use super::{Read, Result, Write};
use crate::{
    base::{Moment, Timestamp},
    model::delivery::{Command, CommandKind, Lane, Phase},
};

/// What is queued and was counted from an earlier boot. The whole condition of the index stands in it, or SQLite would
/// read every command.
const STALE: &str = "select id, expires_at from commands indexed by commands_live
     where phase in ('queued', 'claimed', 'started', 'staged', 'submitted') and phase in ('queued', 'claimed')
        and boot_id <> :boot_id";

/// A time to live that was counted from an earlier boot, counted from this one: what is left of it by the wall clock.
pub(in crate::store) fn expiry(expires_at: Option<Timestamp>, now: &Moment) -> Option<i64> {
    expires_at.map(|at| now.uptime + (at.as_millis() - now.wall.as_millis()).max(0))
}

/// After a boot of the machine, or the first time on another one: numbers of what is queued that were counted from an
/// earlier boot are counted anew. What was put off is due, and what was left of a time to live is taken from the wall
/// clock, the only one that both boots know. What was in flight keeps its boot: that tells that nobody knows its fate.
///
/// # Errors
/// SQLite's own error.
pub fn count_from_this_boot(w: &Write<'_>, now: &Moment) -> Result<usize> {
    let mut statement = w.connection.prepare_cached(STALE)?;
    let stale = statement
        .query_map(named_params! { ":boot_id": now.boot_id }, |row| Ok((row.get("id")?, row.get("expires_at")?)))?
        .collect::<rusqlite::Result<Vec<(String, Option<Timestamp>)>>>()?;
    for (id, expires_at) in &stale {
        let left = expiry(*expires_at, now);
        w.connection
            .prepare_cached(
                "update commands
                 set boot_id = :boot_id, available_uptime = 0, lease_uptime = 0, begun_uptime = null,
                    expires_uptime = :expires_uptime
                 where id = :id",
            )?
            .execute(named_params! { ":id": id, ":boot_id": now.boot_id, ":expires_uptime": left })?;
    }
    Ok(stale.len())
}

/// How long after a try's lease its proof may still come, in milliseconds.
const PROOF_PATIENCE: i64 = 30_000;

/// What is needed to decide which commands may move now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLine {
    /// The command.
    pub id: String,
    /// What it is for.
    pub kind: CommandKind,
    /// Its task.
    pub task_id: Option<String>,
    /// Whom it is for.
    pub target_session_id: String,
    /// How far it has come.
    pub phase: Phase,
    /// The way it took or takes.
    pub lane: Option<Lane>,
    /// It may be tried now.
    pub is_due: bool,
    /// Its time has run out.
    pub is_expired: bool,
    /// The lease of its last try has been over for so long that its proof should have come.
    pub is_overdue: bool,
    /// The machine was booted since it was moved.
    pub is_of_earlier_boot: bool,
    /// How often it has been put off: who finds another number has been overtaken by another look.
    pub defer_count: i64,
    /// For how long its time has been over, in milliseconds; none when it is not.
    pub over_for: Option<i64>,
}

/// How long a command without a time of its own may be under way, in milliseconds.
pub(in crate::store) const UNDER_WAY: i64 = 30 * 60_000;

impl InLine {
    /// A word that something waits in an inbox. While it is queued it holds nothing up: a message may pass it.
    #[must_use]
    pub fn yields(&self) -> bool {
        self.phase == Phase::Queued && self.kind == CommandKind::WorkerTaskComplete
    }

    /// Its target is to take it now, or has been told to: nothing else may be given to that target.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.phase != Phase::Queued
    }
}

/// The first `per_target` commands of each target's line and its first so many words that something waits, in the
/// order in which they were accepted, with everything that is in flight. A long line of one target hides no other's.
///
/// # Errors
/// SQLite's own error.
pub fn in_line(r: Read<'_>, now: &Moment, per_target: usize) -> Result<Vec<InLine>> {
    let mut statement = r.connection.prepare_cached(
        "select id, type, task_id, target_session_id, phase, lane, defer_count,
            (boot_id <> :boot_id or available_uptime <= :uptime) as is_due,
            (boot_id = :boot_id and coalesce(expires_uptime <= :uptime, 0)) as is_expired,
            (boot_id <> :boot_id or coalesce(lease_uptime + :patience <= :uptime, 1)) as is_overdue,
            boot_id <> :boot_id as is_of_earlier_boot,
            case when boot_id = :boot_id then :uptime - coalesce(expires_uptime, begun_uptime + :under_way) end as over_for
         from (
            select id, type, task_id, target_session_id, phase, lane, defer_count, seq, boot_id, available_uptime, expires_uptime,
                lease_uptime, begun_uptime, row_number() over (
                partition by target_session_id, phase = 'queued' and type = 'worker_task_complete' order by seq) as place
            from commands indexed by commands_live
            where phase in ('queued', 'claimed', 'started', 'staged', 'submitted'))
         where place <= :per_target or phase <> 'queued'
         order by seq",
    )?;
    let per_target = i64::try_from(per_target).unwrap_or(i64::MAX);
    let rows = statement.query_map(
        named_params! { ":boot_id": now.boot_id, ":uptime": now.uptime, ":per_target": per_target,
        ":patience": PROOF_PATIENCE, ":under_way": UNDER_WAY },
        |row| {
            Ok(InLine {
                id: row.get("id")?,
                kind: row.get("type")?,
                task_id: row.get("task_id")?,
                target_session_id: row.get("target_session_id")?,
                phase: row.get("phase")?,
                lane: row.get("lane")?,
                is_due: row.get("is_due")?,
                is_expired: row.get("is_expired")?,
                is_overdue: row.get("is_overdue")?,
                is_of_earlier_boot: row.get("is_of_earlier_boot")?,
                defer_count: row.get("defer_count")?,
                over_for: row.get::<_, Option<i64>>("over_for")?.filter(|over_for| *over_for >= 0),
            })
        },
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Puts a command off: it is looked at again in `wait` milliseconds. It stays in its phase, with this reason.
///
/// # Errors
/// SQLite's own error.
pub fn put_off(w: &Write<'_>, command: &Command, wait: i64, reason: &str, now: &Moment) -> Result<bool> {
    let available = Timestamp::from_millis(now.wall.as_millis().saturating_add(wait));
    let changed = w
        .connection
        .prepare_cached(
            "update commands set
                reason = :reason, updated_at = :now, available_at = :available_at, boot_id = :boot_id,
                available_uptime = :available_uptime, defer_count = defer_count + 1,
                expires_uptime = case when boot_id = :boot_id then expires_uptime else :expires_uptime end,
                begun_uptime = case when boot_id = :boot_id or begun_uptime is null then begun_uptime else :uptime end
             where id = :id and fence = :fence and phase = :phase",
        )?
        .execute(named_params! {
            ":id": command.id,
            ":fence": command.fence,
            ":phase": command.phase,
            ":reason": reason,
            ":now": now.wall,
            ":available_at": available,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
            ":available_uptime": now.uptime.saturating_add(wait),
            ":expires_uptime": expiry(command.expires_at, now),
        })?;
    Ok(changed == 1)
}

/// Says when a command is to be looked at again, `wait` milliseconds from now, without counting that it was put off.
///
/// # Errors
/// SQLite's own error.
pub fn look_again(w: &Write<'_>, command: &Command, wait: i64, now: &Moment) -> Result<()> {
    w.connection
        .prepare_cached(
            "update commands set
                boot_id = :boot_id, available_uptime = :available_uptime,
                expires_uptime = case when boot_id = :boot_id then expires_uptime else :expires_uptime end,
                begun_uptime = case when boot_id = :boot_id or begun_uptime is null then begun_uptime else :uptime end
             where id = :id",
        )?
        .execute(named_params! {
            ":id": command.id,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
            ":available_uptime": now.uptime.saturating_add(wait),
            ":expires_uptime": expiry(command.expires_at, now),
        })?;
    Ok(())
}

/// Counts a try, or with -1 takes back that one was counted: it is proven that it was none.
///
/// # Errors
/// SQLite's own error.
pub fn count_try(w: &Write<'_>, command: &Command, by: i64) -> Result<()> {
    w.connection
        .prepare_cached("update commands set attempts = max(attempts + :by, 0) where id = :id")?
        .execute(named_params! { ":id": command.id, ":by": by })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn no_pass_reads_every_command_that_ever_was() {
        let stale = Store::memory().expect("a ledger").plan(STALE).join("\n");
        assert!(stale.contains("USING INDEX commands_live"), "{stale}");
    }
}
