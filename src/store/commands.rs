//! Rows of `commands`: the durable queue.
//!
//! Every change of a command names the phase and the fence it was read with; when neither fits any more, somebody
//! else was faster, nothing is changed, and the caller reads again.

use rusqlite::{OptionalExtension, Row, named_params};
use serde_json::Value;

use super::{Read, Result, Write, attempts, budgets, convert};
use crate::{
    base::{Moment, Timestamp},
    model::delivery::{AttemptState, Command, CommandKind, CommandState, Lane, Phase},
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

/// What is queued and was counted from an earlier boot. The whole condition of the index stands in it, or SQLite would
/// read every command.
const STALE: &str = "select id, expires_at from commands indexed by commands_live
     where phase in ('queued', 'claimed', 'started', 'staged', 'submitted') and phase in ('queued', 'claimed')
        and boot_id <> :boot_id";

/// A time to live that was counted from an earlier boot, counted from this one: what is left of it by the wall clock.
pub(super) fn expiry(expires_at: Option<Timestamp>, now: &Moment) -> Option<i64> {
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
    /// For how long its time has been over, in milliseconds; none when it is not.
    pub over_for: Option<i64>,
}

/// How long a command without a time of its own may be under way, in milliseconds.
pub(super) const UNDER_WAY: i64 = 30 * 60_000;

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
        "select id, type, task_id, target_session_id, phase, lane,
            (boot_id <> :boot_id or available_uptime <= :uptime) as is_due,
            (boot_id = :boot_id and coalesce(expires_uptime <= :uptime, 0)) as is_expired,
            (boot_id <> :boot_id or coalesce(lease_uptime + :patience <= :uptime, 1)) as is_overdue,
            boot_id <> :boot_id as is_of_earlier_boot,
            case when boot_id = :boot_id then :uptime - coalesce(expires_uptime, begun_uptime + :under_way) end as over_for
         from (
            select id, type, task_id, target_session_id, phase, lane, seq, boot_id, available_uptime, expires_uptime,
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
        return Err(super::Error::Step { from: command.phase.as_str(), to: to.as_str() });
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
        | (Phase::Ambiguous, Phase::Failed) => budgets::refund(w, &command.id),
        _ => Ok(()),
    }
}

/// Puts a command that was given up, or whose fate an operator decided, back into its line: tries, fence and what it
/// came to begin anew, at the end of the line. Its time to live is `time_to_live` milliseconds from now.
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
                seq = (select max(seq) + 1 from commands),
                fence = fence + 1, attempts = 0, crash_count = 0, defer_count = 0, error = null, result_json = null,
                budget_spent = 0,
                boot_id = :boot_id, available_at = null, available_uptime = 0,
                expires_at = :expires_at, expires_uptime = :expires_uptime
             where id = :id",
        )?
        .execute(named_params! {
            ":id": command.id,
            ":boot_id": now.boot_id,
            ":expires_at": expires,
            ":expires_uptime": time_to_live.map(|millis| now.uptime.saturating_add(millis)),
        })?;
    Ok(true)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn no_pass_reads_every_command_that_ever_was() {
        let plan = |r: Read<'_>, sql: &str| -> Result<String> {
            let mut statement = r.connection.prepare(&format!("explain query plan {sql}"))?;
            let mut rows = statement.raw_query();
            let mut steps = Vec::new();
            while let Some(row) = rows.next()? {
                steps.push(row.get::<_, String>("detail")?);
            }
            Ok(steps.join("\n"))
        };
        let store = Store::memory().expect("a ledger");
        let stale = store.read(|r| plan(r, STALE)).expect("a plan");
        assert!(stale.contains("USING INDEX commands_live"), "{stale}");
    }
}
