//! Rows of `rollout_files`: how far each rollout has been taken, and what its lines add up to.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Error, Read, Result, Write, convert};
use crate::{base::Timestamp, model::progress::Progress};

/// Where reading a rollout goes on, and what was learned up to there.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// Row id.
    pub id: i64,
    /// The session that owns it.
    pub session_id: String,
    /// Codex's thread id.
    pub thread_id: String,
    /// Absolute path.
    pub path: String,
    /// Grows when the file turns out to be another one than before.
    pub generation: i64,
    /// First byte not yet taken.
    pub next_offset: u64,
    /// Number of the line that begins there, from 0.
    pub next_line: u64,
    /// Bytes of an unfinished last line at the last look.
    pub pending_bytes: u64,
    /// What proves that the file is still the same, as JSON; `ports::rollout` knows its form.
    pub anchor_json: String,
    /// What the lines add up to.
    pub progress: Progress,
}

const COLUMNS: &str = "id, session_id, thread_id, path, generation, next_offset, next_line, pending_bytes, anchor_json,
    progress_json";

fn cursor(row: &Row<'_>) -> rusqlite::Result<(Cursor, String)> {
    let text: String = row.get("progress_json")?;
    let cursor = Cursor {
        id: row.get("id")?,
        session_id: row.get("session_id")?,
        thread_id: row.get("thread_id")?,
        path: row.get("path")?,
        generation: row.get("generation")?,
        next_offset: convert::count(row, "next_offset")?,
        next_line: convert::count(row, "next_line")?,
        pending_bytes: convert::count(row, "pending_bytes")?,
        anchor_json: row.get("anchor_json")?,
        progress: Progress::default(),
    };
    Ok((cursor, text))
}

fn with_progress((mut cursor, text): (Cursor, String)) -> Result<Cursor> {
    cursor.progress = serde_json::from_str(&text).map_err(|source| Error::Json { table: "rollout_files", source })?;
    Ok(cursor)
}

/// The rollout that the session writes now.
///
/// # Errors
/// SQLite's own error.
pub fn current(r: Read<'_>, session_id: &str) -> Result<Option<Cursor>> {
    let sql = format!("select {COLUMNS} from rollout_files where session_id = :id and current = 1");
    let found = r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": session_id }, cursor).optional()?;
    found.map(with_progress).transpose()
}

/// The current rollouts of all sessions.
///
/// # Errors
/// SQLite's own error.
pub fn all_current(r: Read<'_>) -> Result<Vec<Cursor>> {
    let sql = format!("select {COLUMNS} from rollout_files where current = 1");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], cursor)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(with_progress).collect()
}

/// How far a rollout was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTo {
    /// The session.
    pub session_id: String,
    /// Absolute path.
    pub path: String,
    /// Bytes seen, those of an unfinished line included.
    pub seen_bytes: u64,
    /// The last try to read it failed.
    pub failed: bool,
}

/// How far the current rollouts of all sessions were seen.
///
/// # Errors
/// SQLite's own error.
pub fn positions(r: Read<'_>) -> Result<Vec<SeenTo>> {
    let mut statement = r.connection.prepare_cached(SEEN_TO)?;
    let rows = statement.query_map([], seen_to)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

const SEEN_TO: &str = "select f.session_id, f.path, f.next_offset + f.pending_bytes as seen_bytes,
    s.last_ingest_error is not null as failed
  from rollout_files f join sessions s on s.id = f.session_id
  where f.current = 1";

fn seen_to(row: &Row<'_>) -> rusqlite::Result<SeenTo> {
    Ok(SeenTo {
        session_id: row.get("session_id")?,
        path: row.get("path")?,
        seen_bytes: convert::count(row, "seen_bytes")?,
        failed: row.get("failed")?,
    })
}

/// How far the session's current rollout was seen.
///
/// # Errors
/// SQLite's own error.
pub fn position(r: Read<'_>, session_id: &str) -> Result<Option<SeenTo>> {
    let mut statement = r.connection.prepare_cached(&format!("{SEEN_TO} and f.session_id = :id"))?;
    Ok(statement.query_row(named_params! { ":id": session_id }, seen_to).optional()?)
}

/// Notes that the session writes no rollout yet: its pane shows a new thread.
///
/// # Errors
/// SQLite's own error.
pub fn leave(w: &Write<'_>, session_id: &str, now: Timestamp) -> Result<()> {
    w.connection
        .prepare_cached(
            "update rollout_files set current = 0, updated_at = :now where session_id = :id and current = 1",
        )?
        .execute(named_params! { ":id": session_id, ":now": now })?;
    Ok(())
}

/// Makes `path` the rollout that the session writes now; a file it wrote before is taken up where it was left.
///
/// # Errors
/// SQLite's own error.
pub fn adopt(w: &Write<'_>, session_id: &str, thread_id: &str, path: &str, now: Timestamp) -> Result<Cursor> {
    w.connection
        .prepare_cached(
            "update rollout_files set current = 0 where session_id = :session_id and current = 1 and path <> :path",
        )?
        .execute(named_params! { ":session_id": session_id, ":path": path })?;
    w.connection
        .prepare_cached(
            "insert into rollout_files
                (session_id, thread_id, path, current, anchor_json, progress_json, created_at, updated_at)
             values (:session_id, :thread_id, :path, 1, 'null', :progress, :now, :now)
             on conflict (session_id, path) do update set current = 1, updated_at = :now",
        )?
        .execute(named_params! {
            ":session_id": session_id,
            ":thread_id": thread_id,
            ":path": path,
            ":progress": json(&Progress::default())?,
            ":now": now,
        })?;
    let found = current(w.read(), session_id)?;
    found.ok_or_else(|| Error::Corrupt("a rollout row vanished inside its own transaction".to_owned()))
}

/// Moves the cursor on, if it still stands where `from` saw it; false when another reader was faster.
///
/// # Errors
/// SQLite's own error.
pub fn advance(w: &Write<'_>, from: &Cursor, to: &Cursor, now: Timestamp) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update rollout_files set
                generation = :generation,
                next_offset = :next_offset,
                next_line = :next_line,
                pending_bytes = :pending_bytes,
                anchor_json = :anchor_json,
                progress_json = :progress_json,
                updated_at = :now
             where id = :id and generation = :from_generation and next_offset = :from_offset",
        )?
        .execute(named_params! {
            ":id": from.id,
            ":from_generation": from.generation,
            ":from_offset": convert::stored(from.next_offset)?,
            ":generation": to.generation,
            ":next_offset": convert::stored(to.next_offset)?,
            ":next_line": convert::stored(to.next_line)?,
            ":pending_bytes": convert::stored(to.pending_bytes)?,
            ":anchor_json": to.anchor_json,
            ":progress_json": json(&to.progress)?,
            ":now": now,
        })?;
    if changed == 1 {
        w.connection
            .prepare_cached(
                "update sessions set last_ingest_offset = :offset, last_heartbeat_at = :now, last_ingest_error = null
                 where id = :id",
            )?
            .execute(named_params! {
                ":id": to.session_id,
                ":offset": convert::stored(to.next_offset)?,
                ":now": now,
            })?;
    }
    Ok(changed == 1)
}

/// Records why the rollout could not be read.
///
/// # Errors
/// SQLite's own error.
pub fn note_error(w: &Write<'_>, session_id: &str, message: &str) -> Result<()> {
    w.connection
        .prepare_cached(
            "update sessions set last_ingest_error = :message where id = :id and last_ingest_error is not :message",
        )?
        .execute(named_params! { ":id": session_id, ":message": message })?;
    Ok(())
}

fn json(progress: &Progress) -> Result<String> {
    serde_json::to_string(progress).map_err(|source| Error::Json { table: "rollout_files", source })
}
