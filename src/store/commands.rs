//! Rows of `commands`: the durable queue.
//!
//! Every change of a command names the phase and the fence it was read with; when neither fits any more, somebody
//! else was faster, nothing is changed, and the caller reads again.

mod line;
mod steps;

use rusqlite::{OptionalExtension, Row, named_params};
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{
    base::{Moment, Timestamp},
    model::delivery::{Command, CommandKind, CommandState, Phase},
};

pub(super) use self::line::{UNDER_WAY, expiry};
pub use self::{
    line::{InLine, count_from_this_boot, count_try, in_line, look_again, put_off},
    steps::{Confirmed, Step, advance, confirm, requeue},
};

const COLUMNS: &str = "id, idempotency_key, request_sha256, created_at, updated_at, created_by, task_id, binding_id,
    source_session_id, target_session_id, seq, correlation_id, type, phase, reason, lane, lane_reason,
    required_permission, available_at, expires_at, claimed_by, claimed_at, claim_expires_at, fence, attempts,
    max_attempts, crash_count, defer_count, budget_spent, payload_json, result_json, error";

fn command(row: &Row<'_>) -> rusqlite::Result<Command> {
    Ok(Command {
        id: row.get("id")?,
        idempotency_key: row.get("idempotency_key")?,
        request_sha256: row.get("request_sha256")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        created_by: row.get("created_by")?,
        task_id: row.get("task_id")?,
        binding_id: row.get("binding_id")?,
        source_session_id: row.get("source_session_id")?,
        target_session_id: row.get("target_session_id")?,
        seq: row.get("seq")?,
        correlation_id: row.get("correlation_id")?,
        kind: row.get("type")?,
        phase: row.get("phase")?,
        reason: row.get("reason")?,
        lane: row.get("lane")?,
        lane_reason: row.get("lane_reason")?,
        required_permission: row.get("required_permission")?,
        available_at: row.get("available_at")?,
        expires_at: row.get("expires_at")?,
        claimed_by: row.get("claimed_by")?,
        claimed_at: row.get("claimed_at")?,
        claim_expires_at: row.get("claim_expires_at")?,
        fence: row.get("fence")?,
        attempts: row.get("attempts")?,
        max_attempts: row.get("max_attempts")?,
        crash_count: row.get("crash_count")?,
        defer_count: row.get("defer_count")?,
        budget_spent: row.get("budget_spent")?,
        payload: convert::json(row, "payload_json")?,
        result: convert::json_or_none(row, "result_json")?,
        error: row.get("error")?,
    })
}

/// The command with this id.
///
/// # Errors
/// SQLite's own error.
pub fn by_id(r: Read<'_>, id: &str) -> Result<Option<Command>> {
    let sql = format!("select {COLUMNS} from commands where id = :id");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": id }, command).optional()?)
}

/// Where a command stands, and under which fence.
///
/// # Errors
/// SQLite's own error.
pub fn standing(r: Read<'_>, id: &str) -> Result<Option<(Phase, i64)>> {
    let mut statement = r.connection.prepare_cached("select phase, fence from commands where id = :id")?;
    Ok(statement.query_row(named_params! { ":id": id }, |row| Ok((row.get("phase")?, row.get("fence")?))).optional()?)
}

/// The commands under this correlation id, in line order, at most `limit`.
///
/// # Errors
/// SQLite's own error.
pub fn of_correlation(r: Read<'_>, correlation_id: &str, limit: u32) -> Result<Vec<Command>> {
    let sql = format!("select {COLUMNS} from commands where correlation_id = :id order by seq limit :limit");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":id": correlation_id, ":limit": limit }, command)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The last word under this correlation id that tells its target of this item in its inbox. Others may stand under the
/// same id: whoever queues a command may name one.
///
/// # Errors
/// SQLite's own error.
pub fn last_word(r: Read<'_>, correlation_id: &str, notification_id: i64) -> Result<Option<Command>> {
    let sql = format!(
        "select {COLUMNS} from commands
         where correlation_id = :id and type = :type and payload_json ->> '$.notification_id' = :notification_id
         order by seq desc limit 1"
    );
    let named = named_params! {
        ":id": correlation_id,
        ":type": CommandKind::WorkerTaskComplete,
        ":notification_id": notification_id,
    };
    Ok(r.connection.prepare_cached(&sql)?.query_row(named, command).optional()?)
}

/// Gives a command that waits in its line another payload; nothing when it waits no more.
///
/// # Errors
/// SQLite's own error.
pub fn reword(w: &Write<'_>, id: &str, payload: &Value) -> Result<()> {
    w.connection
        .prepare_cached("update commands set payload_json = :payload where id = :id and phase = 'queued'")?
        .execute(named_params! { ":id": id, ":payload": convert::json_text(payload)? })?;
    Ok(())
}

/// The command that was accepted under this key. Keys belong to a task, or to the target of a command without one.
///
/// # Errors
/// SQLite's own error.
pub fn by_key(r: Read<'_>, scope: &str, key: &str) -> Result<Option<Command>> {
    let sql = format!(
        "select {COLUMNS} from commands
         where coalesce(task_id, target_session_id) = :scope and idempotency_key = :key"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    Ok(statement.query_row(named_params! { ":scope": scope, ":key": key }, command).optional()?)
}

/// Keys that begin so are our own; no sender's key does.
pub const OWN_KEYS: &str = "conveyor:";

/// A command to be accepted.
#[derive(Debug, Clone)]
pub struct NewCommand<'a> {
    /// `command-<uuid>`.
    pub id: &'a str,
    /// The sender's key, or the id.
    pub idempotency_key: &'a str,
    /// SHA-256 of the request, as hex: what has to be the same when the key comes again.
    pub request_sha256: &'a str,
    /// Who sends it, in the words of the audit trail.
    pub created_by: &'a str,
    /// The task it belongs to.
    pub task_id: Option<&'a str>,
    /// The binding in force.
    pub binding_id: Option<&'a str>,
    /// The session that speaks; none is the operator.
    pub source_session_id: Option<&'a str>,
    /// The session it is for.
    pub target_session_id: &'a str,
    /// Ties together what belongs to it.
    pub correlation_id: &'a str,
    /// What it is for.
    pub kind: CommandKind,
    /// The permission it needs.
    pub required_permission: Option<&'a str>,
    /// How long it may wait, in milliseconds; none is for ever.
    pub time_to_live: Option<i64>,
    /// Tries allowed.
    pub max_attempts: i64,
    /// What is to be delivered.
    pub payload: &'a Value,
}

/// What became of a request to enqueue.
#[derive(Debug, Clone, PartialEq)]
pub enum Enqueued {
    /// It was accepted.
    Accepted(Box<Command>),
    /// The key came before with the same request: this is that command as it stands.
    Repeated(Box<Command>),
    /// The key came before with another request: this is that command.
    KeyTaken(Box<Command>),
    /// So many commands wait for the target already, as many as may.
    Full(u64),
}

/// Accepts a command, once for each key: the last one in line.
///
/// # Errors
/// SQLite's own error.
pub fn enqueue(w: &Write<'_>, new: &NewCommand<'_>, most_waiting: u64, now: &Moment) -> Result<Enqueued> {
    let scope = new.task_id.unwrap_or(new.target_session_id);
    if let Some(known) = by_key(w.read(), scope, new.idempotency_key)? {
        let is_same = known.request_sha256 == new.request_sha256;
        return Ok(if is_same { Enqueued::Repeated(Box::new(known)) } else { Enqueued::KeyTaken(Box::new(known)) });
    }
    let waiting = waiting(w.read(), new.target_session_id)?;
    if waiting >= most_waiting {
        return Ok(Enqueued::Full(waiting));
    }
    let expires = new.time_to_live.map(|millis| Timestamp::from_millis(now.wall.as_millis().saturating_add(millis)));
    w.connection
        .prepare_cached(
            "insert into commands (id, idempotency_key, request_sha256, created_at, updated_at, created_by, task_id,
                binding_id, source_session_id, target_session_id, seq, correlation_id, type, state, phase,
                required_permission, boot_id, expires_at, expires_uptime, max_attempts, payload_json)
             values (:id, :key, :sha256, :now, :now, :created_by, :task_id, :binding_id, :source, :target,
                (select coalesce(max(seq), 0) + 1 from commands),
                :correlation_id, :type, :state, :phase, :permission, :boot_id, :expires_at, :expires_uptime,
                :max_attempts, :payload)",
        )?
        .execute(named_params! {
            ":id": new.id,
            ":key": new.idempotency_key,
            ":sha256": new.request_sha256,
            ":now": now.wall,
            ":created_by": new.created_by,
            ":task_id": new.task_id,
            ":binding_id": new.binding_id,
            ":source": new.source_session_id,
            ":target": new.target_session_id,
            ":correlation_id": new.correlation_id,
            ":type": new.kind,
            ":state": Phase::Queued.state(),
            ":phase": Phase::Queued,
            ":permission": new.required_permission,
            ":boot_id": now.boot_id,
            ":expires_at": expires,
            ":expires_uptime": new.time_to_live.map(|millis| now.uptime.saturating_add(millis)),
            ":max_attempts": new.max_attempts,
            ":payload": convert::json_text(new.payload)?,
        })?;
    let stored = by_id(w.read(), new.id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Enqueued::Accepted(Box::new(stored)))
}

/// The first command of this kind that is on its way to this session.
///
/// # Errors
/// SQLite's own error.
pub fn on_its_way(r: Read<'_>, target_session_id: &str, kind: CommandKind) -> Result<Option<Command>> {
    let sql = format!(
        "select {COLUMNS} from commands
         where target_session_id = :target and type = :type
            and phase in ('queued', 'claimed', 'started', 'staged', 'submitted')
         order by seq limit 1"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    Ok(statement.query_row(named_params! { ":target": target_session_id, ":type": kind }, command).optional()?)
}

/// How many commands are on their way to this session.
///
/// # Errors
/// SQLite's own error.
pub fn waiting(r: Read<'_>, target_session_id: &str) -> Result<u64> {
    let mut statement = r.connection.prepare_cached(
        "select count(*) as waiting from commands
         where target_session_id = :target and phase in ('queued', 'claimed', 'started', 'staged', 'submitted')",
    )?;
    Ok(statement.query_row(named_params! { ":target": target_session_id }, |row| convert::count(row, "waiting"))?)
}

/// Which commands are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter<'a> {
    /// Of this task.
    pub task_id: Option<&'a str>,
    /// To or from this session.
    pub session_id: Option<&'a str>,
    /// For this purpose.
    pub kind: Option<CommandKind>,
    /// In this state.
    pub state: Option<CommandState>,
    /// In one of these phases; empty means all.
    pub phases: &'a [Phase],
    /// Before this place in line.
    pub before: Option<i64>,
}

/// The newest `limit` commands (0: all) in the order in which they were accepted.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>, filter: &Filter<'_>, limit: u32) -> Result<Vec<Command>> {
    let sql = format!(
        "select {COLUMNS} from commands
         where (:task_id is null or task_id = :task_id)
           and (:session_id is null or :session_id in (source_session_id, target_session_id))
           and (:type is null or type = :type)
           and (:state is null or state = :state)
           and (:phases = '' or instr(:phases, ' ' || phase || ' ') > 0)
           and seq < coalesce(:before, 9223372036854775807)
         order by seq desc
         limit case when :limit = 0 then -1 else :limit end"
    );
    let phases = filter.phases.iter().fold(String::new(), |all, phase| format!("{all} {phase} "));
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        named_params! {
            ":task_id": filter.task_id,
            ":session_id": filter.session_id,
            ":type": filter.kind,
            ":state": filter.state,
            ":phases": phases,
            ":before": filter.before,
            ":limit": limit,
        },
        command,
    )?;
    let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    found.reverse();
    Ok(found)
}

/// How far each command has come, with its fence, for a test that looks after every commit.
///
/// # Errors
/// SQLite's own error.
#[cfg(test)]
pub(crate) fn standings(r: Read<'_>) -> Result<Vec<(String, Phase, i64)>> {
    let mut statement = r.connection.prepare_cached("select id, phase, fence from commands")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
