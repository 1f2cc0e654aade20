//! Rows of `dispatchers` and `dispatch_pauses`: who delivers, whether it lives, and where nothing may be delivered.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;

use super::{Read, Result, Write, audit::Actor, convert};
use crate::{
    base::{Moment, Timestamp},
    text_enum,
};

text_enum! {
    /// What a dispatcher runs in.
    pub enum Host {
        /// One pass.
        Once => "once",
        /// `dispatch --watch`.
        Watch => "watch",
        /// The cockpit.
        Cockpit => "cockpit",
    }
}

text_enum! {
    /// Whether a dispatcher has ended by itself.
    pub enum Running {
        /// It has not said that it ended; its heartbeat tells whether it lives.
        Running => "running",
        /// It ended.
        Stopped => "stopped",
    }
}

/// A dispatcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatcher {
    /// Its own id.
    pub id: String,
    /// What it runs in.
    pub host: Host,
    /// Its process.
    pub pid: i64,
    /// Start time of that process, against reused pids.
    pub pid_start: Option<i64>,
    /// The boot its numbers are counted from.
    pub boot_id: String,
    /// Since when.
    pub started_at: Timestamp,
    /// When it was heard of last.
    pub heartbeat_at: Timestamp,
    /// The same, in milliseconds since the boot.
    pub heartbeat_uptime: i64,
    /// Passes over the queue.
    pub passes: u64,
    /// Commands and signals it moved.
    pub processed: u64,
    /// Whether it has ended by itself.
    pub state: Running,
    /// When it was asked to end.
    pub stop_requested_at: Option<Timestamp>,
    /// Its last trouble.
    pub last_error: Option<String>,
    /// What it is for.
    pub scope: Scope,
    /// Where a background dispatcher writes what it does; none for others.
    pub log_path: Option<String>,
}

/// What a dispatcher is for; the default is everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Only this task.
    pub task_id: Option<String>,
    /// Only this type, in the words of `dispatch --type`.
    pub wanted: Option<String>,
}

impl Dispatcher {
    /// Milliseconds since it was heard of; none when that was before this boot, or it has ended.
    #[must_use]
    pub fn silent_for(&self, now: &Moment) -> Option<i64> {
        (self.state == Running::Running && self.boot_id == now.boot_id)
            .then(|| (now.uptime - self.heartbeat_uptime).max(0))
    }
}

fn dispatcher(row: &Row<'_>) -> rusqlite::Result<Dispatcher> {
    Ok(Dispatcher {
        id: row.get("id")?,
        host: row.get("host")?,
        pid: row.get("pid")?,
        pid_start: row.get("pid_start")?,
        boot_id: row.get("boot_id")?,
        started_at: row.get("started_at")?,
        heartbeat_at: row.get("heartbeat_at")?,
        heartbeat_uptime: row.get("heartbeat_uptime")?,
        passes: convert::count(row, "passes")?,
        processed: convert::count(row, "processed")?,
        state: row.get("state")?,
        stop_requested_at: row.get("stop_requested_at")?,
        last_error: row.get("last_error")?,
        scope: Scope { task_id: row.get("only_task_id")?, wanted: row.get("only_type")? },
        log_path: row.get("log_path")?,
    })
}

/// A dispatcher that begins.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Its own id.
    pub id: &'a str,
    /// What it runs in.
    pub host: Host,
    /// Its process.
    pub pid: i64,
    /// Start time of that process.
    pub pid_start: Option<i64>,
    /// What it is for.
    pub scope: &'a Scope,
    /// Where it writes what it does.
    pub log_path: Option<&'a str>,
}

/// Records a dispatcher that begins, or the same one again.
///
/// # Errors
/// SQLite's own error.
pub fn begin(w: &Write<'_>, new: &New<'_>, now: &Moment) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into dispatchers (id, host, pid, pid_start, boot_id, started_at, heartbeat_at, heartbeat_uptime, state,
                only_task_id, only_type, log_path)
             values (:id, :host, :pid, :pid_start, :boot_id, :now, :now, :uptime, 'running', :task_id, :wanted, :log_path)
             on conflict (id) do update set
                host = excluded.host, pid = excluded.pid, pid_start = excluded.pid_start, boot_id = excluded.boot_id,
                started_at = excluded.started_at, heartbeat_at = excluded.heartbeat_at,
                heartbeat_uptime = excluded.heartbeat_uptime, state = 'running', stop_requested_at = null,
                last_error = null, only_task_id = excluded.only_task_id, only_type = excluded.only_type,
                log_path = excluded.log_path",
        )?
        .execute(named_params! {
            ":id": new.id,
            ":host": new.host,
            ":pid": new.pid,
            ":pid_start": new.pid_start,
            ":boot_id": now.boot_id,
            ":now": now.wall,
            ":uptime": now.uptime,
            ":task_id": new.scope.task_id,
            ":wanted": new.scope.wanted,
            ":log_path": new.log_path,
        })?;
    Ok(())
}

/// What a dispatcher did since its last sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Passes over the queue.
    pub passes: u64,
    /// Commands and signals it moved.
    pub moved: u64,
}

/// A sign of life: whether the dispatcher was asked to end, or none when it is not on record.
///
/// # Errors
/// SQLite's own error.
pub fn beat(w: &Write<'_>, id: &str, done: Done, error: Option<&str>, now: &Moment) -> Result<Option<bool>> {
    Ok(w.connection
        .prepare_cached(
            "update dispatchers
             set heartbeat_at = :now, heartbeat_uptime = :uptime, boot_id = :boot_id, passes = passes + :passes,
                processed = processed + :moved, last_error = :error
             where id = :id
             returning stop_requested_at is not null as asked",
        )?
        .query_row(
            named_params! {
                ":id": id,
                ":now": now.wall,
                ":uptime": now.uptime,
                ":boot_id": now.boot_id,
                ":passes": convert::stored(done.passes)?,
                ":moved": convert::stored(done.moved)?,
                ":error": error,
            },
            |row| row.get("asked"),
        )
        .optional()?)
}

/// Records that a dispatcher has ended.
///
/// # Errors
/// SQLite's own error.
pub fn end(w: &Write<'_>, id: &str, done: Done, now: Timestamp) -> Result<()> {
    w.connection
        .prepare_cached(
            "update dispatchers
             set state = 'stopped', heartbeat_at = :now, passes = passes + :passes, processed = processed + :moved
             where id = :id",
        )?
        .execute(named_params! {
            ":id": id,
            ":now": now,
            ":passes": convert::stored(done.passes)?,
            ":moved": convert::stored(done.moved)?,
        })?;
    Ok(())
}

/// Takes a dispatcher off the record: it has ended, and what it left is anybody's.
///
/// # Errors
/// SQLite's own error.
pub fn remove(w: &Write<'_>, id: &str) -> Result<()> {
    w.connection.prepare_cached("delete from dispatchers where id = :id")?.execute(named_params! { ":id": id })?;
    Ok(())
}

/// Asks a dispatcher to end after its pass; false when there is none of this id that runs.
///
/// # Errors
/// SQLite's own error.
pub fn request_stop(w: &Write<'_>, id: &str, now: Timestamp) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update dispatchers set stop_requested_at = coalesce(stop_requested_at, :now)
             where id = :id and state = 'running'",
        )?
        .execute(named_params! { ":id": id, ":now": now })?;
    Ok(changed == 1)
}

/// Asks those to end that deliver for one task alone. Their ids.
///
/// # Errors
/// SQLite's own error.
pub fn request_stop_of_task(w: &Write<'_>, task_id: &str, now: Timestamp) -> Result<Vec<String>> {
    let mut statement = w.connection.prepare_cached(
        "update dispatchers set stop_requested_at = coalesce(stop_requested_at, :now)
         where only_task_id = :task_id and state = 'running' returning id",
    )?;
    let ids = statement.query_map(named_params! { ":task_id": task_id, ":now": now }, |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Dispatchers, the one heard of last first.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>) -> Result<Vec<Dispatcher>> {
    let mut statement = r.connection.prepare_cached(
        "select id, host, pid, pid_start, boot_id, started_at, heartbeat_at, heartbeat_uptime, passes, processed, state,
            stop_requested_at, last_error, only_task_id, only_type, log_path
         from dispatchers
         order by heartbeat_at desc, id",
    )?;
    let rows = statement.query_map([], dispatcher)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets dispatchers of this host that were last heard of more than `age` milliseconds ago and hold no command. Those of this boot
/// are judged by its clock: nobody makes a living one unknown by setting the other.
///
/// # Errors
/// SQLite's own error.
pub fn forget(w: &Write<'_>, host: Host, age: i64, now: &Moment) -> Result<()> {
    w.connection
        .prepare_cached(
            "delete from dispatchers
             where host = :host
                and case when boot_id = :boot_id then heartbeat_uptime < :uptime - :age else heartbeat_at < :before end
                and not exists (
                    select 1 from commands indexed by commands_live
                    where phase in ('queued', 'claimed', 'started', 'staged', 'submitted')
                        and claimed_by = dispatchers.id)",
        )?
        .execute(named_params! {
            ":host": host,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
            ":age": age,
            ":before": Timestamp::from_millis(now.wall.as_millis().saturating_sub(age)),
        })?;
    Ok(())
}

/// Everything is paused, or one task.
pub const EVERYTHING: &str = "all";

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Since when.
    pub paused_at: Timestamp,
    /// By whom.
    pub paused_by: String,
    /// Why.
    pub reason: Option<String>,
    /// [`EVERYTHING`], or a task id.
    pub scope: String,
}

/// Pauses a scope; false when it is paused already.
///
/// # Errors
/// SQLite's own error.
pub fn pause(w: &Write<'_>, scope: &str, by: Actor, reason: Option<&str>, now: Timestamp) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "insert into dispatch_pauses (scope, paused_at, paused_by, reason) values (:scope, :now, :by, :reason)
             on conflict (scope) do nothing",
        )?
        .execute(named_params! { ":scope": scope, ":now": now, ":by": by.as_str(), ":reason": reason })?;
    Ok(changed == 1)
}

/// Ends the pause of a scope; false when there was none.
///
/// # Errors
/// SQLite's own error.
pub fn resume(w: &Write<'_>, scope: &str) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached("delete from dispatch_pauses where scope = :scope")?
        .execute(named_params! { ":scope": scope })?;
    Ok(changed == 1)
}

/// The pauses in force, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn pauses(r: Read<'_>) -> Result<Vec<Pause>> {
    let mut statement = r
        .connection
        .prepare_cached("select scope, paused_at, paused_by, reason from dispatch_pauses order by paused_at, scope")?;
    let rows = statement.query_map([], |row| {
        Ok(Pause {
            paused_at: row.get("paused_at")?,
            paused_by: row.get("paused_by")?,
            reason: row.get("reason")?,
            scope: row.get("scope")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
