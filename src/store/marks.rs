//! Rows of `marks`: what the operator has put on sessions and tasks. Each row replaces the one before: nobody asks what
//! was pinned a week ago.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Read, Result, Write, convert};
use crate::{
    base::Timestamp,
    model::marks::{Marks, Seen, SeenTo, Snooze},
};

/// What marks are put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The session with this id.
    Session(&'a str),
    /// The task with this id.
    Task(&'a str),
}

impl<'a> Subject<'a> {
    /// The two columns, one of them filled.
    fn columns(self) -> (Option<&'a str>, Option<&'a str>) {
        match self {
            Self::Session(id) => (Some(id), None),
            Self::Task(id) => (None, Some(id)),
        }
    }
}

/// All marks of a ledger.
#[derive(Debug, Default)]
pub struct AllMarks {
    /// By session id.
    pub sessions: HashMap<String, Marks>,
    /// By task id.
    pub tasks: HashMap<String, Marks>,
}

const COLUMNS: &str = "session_id, task_id, pinned_at, snoozed_at, snoozed_until, seen_at, seen_path, seen_generation,
    seen_offset, unread_at";

fn marks(row: &Row<'_>) -> rusqlite::Result<Marks> {
    let snooze: (Option<Timestamp>, Option<Timestamp>) = (row.get("snoozed_at")?, row.get("snoozed_until")?);
    let seen_at: Option<Timestamp> = row.get("seen_at")?;
    let path: Option<String> = row.get("seen_path")?;
    let rollout = match path {
        Some(path) => {
            Some(SeenTo { path, generation: row.get("seen_generation")?, offset: convert::count(row, "seen_offset")? })
        }
        None => None,
    };
    Ok(Marks {
        pinned_at: row.get("pinned_at")?,
        snooze: snooze.0.zip(snooze.1).map(|(at, until)| Snooze { at, until }),
        seen: seen_at.map(|at| Seen { at, rollout }),
        unread_at: row.get("unread_at")?,
    })
}

/// The marks of a session or a task; those that were never set are empty.
///
/// # Errors
/// SQLite's own error.
pub fn of(r: Read<'_>, subject: Subject<'_>) -> Result<Marks> {
    let (session_id, task_id) = subject.columns();
    let sql = format!("select {COLUMNS} from marks where session_id = :session_id or task_id = :task_id");
    let found = r
        .connection
        .prepare_cached(&sql)?
        .query_row(named_params! { ":session_id": session_id, ":task_id": task_id }, marks)
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// All marks.
///
/// # Errors
/// SQLite's own error.
pub fn all(r: Read<'_>) -> Result<AllMarks> {
    let mut statement = r.connection.prepare_cached(&format!("select {COLUMNS} from marks"))?;
    let mut rows = statement.query([])?;
    let mut found = AllMarks::default();
    while let Some(row) = rows.next()? {
        let marks = marks(row)?;
        let ids: (Option<String>, Option<String>) = (row.get("session_id")?, row.get("task_id")?);
        match ids {
            (Some(id), _) => drop(found.sessions.insert(id, marks)),
            (None, Some(id)) => drop(found.tasks.insert(id, marks)),
            (None, None) => {}
        }
    }
    Ok(found)
}

/// Replaces the marks of a session or a task.
///
/// # Errors
/// SQLite's own error.
pub fn save(w: &Write<'_>, subject: Subject<'_>, marks: &Marks) -> Result<()> {
    let (session_id, task_id) = subject.columns();
    let to = marks.seen.as_ref().and_then(|seen| seen.rollout.as_ref());
    let offset = to.map(|to| convert::stored(to.offset)).transpose()?;
    w.connection
        .prepare_cached("delete from marks where session_id = :session_id or task_id = :task_id")?
        .execute(named_params! { ":session_id": session_id, ":task_id": task_id })?;
    w.connection
        .prepare_cached(
            "insert into marks (session_id, task_id, pinned_at, snoozed_at, snoozed_until, seen_at, seen_path,
                seen_generation, seen_offset, unread_at)
             values (:session_id, :task_id, :pinned_at, :snoozed_at, :snoozed_until, :seen_at, :seen_path,
                :seen_generation, :seen_offset, :unread_at)",
        )?
        .execute(named_params! {
            ":session_id": session_id,
            ":task_id": task_id,
            ":pinned_at": marks.pinned_at,
            ":snoozed_at": marks.snooze.map(|snooze| snooze.at),
            ":snoozed_until": marks.snooze.map(|snooze| snooze.until),
            ":seen_at": marks.seen.as_ref().map(|seen| seen.at),
            ":seen_path": to.map(|to| to.path.as_str()),
            ":seen_generation": to.map(|to| to.generation),
            ":seen_offset": offset,
            ":unread_at": marks.unread_at,
        })?;
    Ok(())
}
