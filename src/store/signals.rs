//! Rows of `session_signals`: how turns of workers ended, written together with the rollout line that says so.

use rusqlite::{Row, named_params};

use super::{Read, Result, Write, audit, convert};
use crate::{
    base::Timestamp,
    model::{
        delivery::{Disposition, SignalKind},
        interruption::{End, OnPurpose},
    },
};

/// The end of a turn, to be recorded.
#[derive(Debug, Clone)]
pub struct NewSignal<'a> {
    /// The session whose turn ended.
    pub session_id: &'a str,
    /// The same for the same end, wherever its line is read.
    pub dedupe_key: &'a str,
    /// How it ended.
    pub kind: SignalKind,
    /// The turn.
    pub turn_id: Option<&'a str>,
    /// When, as the line says.
    pub at: Option<Timestamp>,
    /// The rollout.
    pub path: &'a str,
    /// First byte of its line.
    pub byte_offset: u64,
    /// The last message of the agent.
    pub last_message: Option<&'a str>,
    /// Why it failed or was cut off.
    pub detail: Option<&'a str>,
}

/// Records the end of a turn, unless it is known.
///
/// # Errors
/// SQLite's own error.
pub fn record(w: &Write<'_>, new: &NewSignal<'_>, now: Timestamp) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into session_signals (session_id, dedupe_key, kind, turn_id, at, recorded_at, path, byte_offset,
                last_message, detail)
             values (:session_id, :key, :kind, :turn_id, :at, :now, :path, :byte_offset, :last_message, :detail)
             on conflict (dedupe_key) do nothing",
        )?
        .execute(named_params! {
            ":session_id": new.session_id,
            ":key": new.dedupe_key,
            ":kind": new.kind,
            ":turn_id": new.turn_id,
            ":at": new.at,
            ":now": now,
            ":path": new.path,
            ":byte_offset": convert::stored(new.byte_offset)?,
            ":last_message": new.last_message,
            ":detail": new.detail,
        })?;
    Ok(())
}

/// A recorded end of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub id: i64,
    /// The session whose turn ended.
    pub session_id: String,
    /// How it ended.
    pub kind: SignalKind,
    /// The turn.
    pub turn_id: Option<String>,
    /// When, as the line says.
    pub at: Option<Timestamp>,
    /// The rollout.
    pub path: String,
    /// First byte of its line.
    pub byte_offset: u64,
    /// The last message of the agent.
    pub last_message: Option<String>,
    /// Why it failed or was cut off.
    pub detail: Option<String>,
}

fn signal(row: &Row<'_>) -> rusqlite::Result<Signal> {
    Ok(Signal {
        id: row.get("id")?,
        session_id: row.get("session_id")?,
        kind: row.get("kind")?,
        turn_id: row.get("turn_id")?,
        at: row.get("at")?,
        path: row.get("path")?,
        byte_offset: convert::count(row, "byte_offset")?,
        last_message: row.get("last_message")?,
        detail: row.get("detail")?,
    })
}

/// Ends of turns of this worker that nobody has routed, the oldest first, at most `limit`.
///
/// # Errors
/// SQLite's own error.
pub fn unrouted(r: Read<'_>, session_id: &str, limit: u32) -> Result<Vec<Signal>> {
    let mut statement = r.connection.prepare_cached(
        "select id, session_id, kind, turn_id, at, path, byte_offset, last_message, detail
         from session_signals
         where session_id = :session_id and disposition is null
         order by id
         limit :limit",
    )?;
    let rows = statement.query_map(named_params! { ":session_id": session_id, ":limit": limit }, signal)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const TOLD: &str = "select id, session_id, kind, turn_id, at, path, byte_offset, last_message, detail
     from session_signals
     where notification_id = :id
     order by id desc
     limit :limit";

/// The ends of turns that a message tells, the oldest first; of more than `limit` the last ones.
///
/// # Errors
/// SQLite's own error.
pub fn told(r: Read<'_>, notification_id: i64, limit: u32) -> Result<Vec<Signal>> {
    let mut statement = r.connection.prepare_cached(TOLD)?;
    let rows = statement.query_map(named_params! { ":id": notification_id, ":limit": limit }, signal)?;
    let mut told = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    told.reverse();
    Ok(told)
}

/// Who ended this turn on purpose, and how; none when this program has no record of it.
///
/// # Errors
/// SQLite's own error.
pub fn on_purpose(r: Read<'_>, signal: &Signal) -> Result<Option<OnPurpose>> {
    if signal.kind != SignalKind::TurnAborted {
        return Ok(None);
    }
    let end = End { turn_id: signal.turn_id.as_deref(), at: signal.at, byte_offset: signal.byte_offset };
    audit::on_purpose(r, &signal.session_id, end)
}

/// Whether ends of turns of this worker wait to be routed.
///
/// # Errors
/// SQLite's own error.
pub fn has_unrouted(r: Read<'_>, session_id: &str) -> Result<bool> {
    let mut statement = r.connection.prepare_cached(
        "select exists (select 1 from session_signals where session_id = :session_id and disposition is null)",
    )?;
    Ok(statement.query_row(named_params! { ":session_id": session_id }, |row| row.get(0))?)
}

/// Workers in a binding in force with ends of turns that nobody has routed.
///
/// # Errors
/// SQLite's own error.
pub fn bound_workers_with_news(r: Read<'_>) -> Result<Vec<String>> {
    let mut statement = r.connection.prepare_cached(
        "select distinct worker_session_id from bindings
         where state in ('active', 'ending') and exists (
            select 1 from session_signals where session_id = worker_session_id and disposition is null)",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes what became of a signal, unless that is written already: false.
///
/// # Errors
/// SQLite's own error.
pub fn settle(w: &Write<'_>, id: i64, disposition: Disposition, notification_id: Option<i64>) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update session_signals set disposition = :disposition, notification_id = :notification_id
             where id = :id and disposition is null",
        )?
        .execute(named_params! { ":id": id, ":disposition": disposition, ":notification_id": notification_id })?;
    Ok(changed == 1)
}
