//! Rows of `session_signals`: how turns of workers ended, written together with the rollout line that says so.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Read, Result, Write, convert};
use crate::{
    base::Timestamp,
    model::delivery::{Disposition, SignalKind},
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

/// The end of a turn with this number.
///
/// # Errors
/// SQLite's own error.
pub fn by_id(r: Read<'_>, id: i64) -> Result<Option<Signal>> {
    let mut statement = r.connection.prepare_cached(
        "select id, session_id, kind, turn_id, at, path, byte_offset, last_message, detail
         from session_signals
         where id = :id",
    )?;
    Ok(statement.query_row(named_params! { ":id": id }, signal).optional()?)
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
