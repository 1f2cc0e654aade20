//! Rows of `statuses`: what a worker says about itself. It is a claim, never evidence.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Read, Result, Write};
use crate::{base::Timestamp, text_enum};

text_enum! {
    /// What a worker says it is doing.
    pub enum StatusState {
        /// Thinking about the way.
        Planning => "planning",
        /// Changing files.
        Editing => "editing",
        /// Running checks.
        RunningTests => "running_tests",
        /// It cannot go on.
        Blocked => "blocked",
        /// It waits for something to do.
        Waiting => "waiting",
        /// It says it is done.
        Done => "done",
        /// It said nothing usable.
        Unknown => "unknown",
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What it says it is doing.
    pub state: StatusState,
    /// On what.
    pub current_task: Option<String>,
    /// What it wants to do next.
    pub next_action: Option<String>,
    /// What is in its way.
    pub blocker: Option<String>,
    /// When it said so.
    pub created_at: Timestamp,
}

fn status(row: &Row<'_>) -> rusqlite::Result<Status> {
    let state: String = row.get("state")?;
    Ok(Status {
        state: state.parse().unwrap_or(StatusState::Unknown),
        current_task: row.get("current_task")?,
        next_action: row.get("next_action")?,
        blocker: row.get("blocker")?,
        created_at: row.get("created_at")?,
    })
}

/// Adds a statement.
///
/// # Errors
/// SQLite's own error.
pub fn insert(w: &Write<'_>, session_id: &str, new: &Status) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into statuses (session_id, state, current_task, next_action, blocker, created_at)
             values (:session_id, :state, :current_task, :next_action, :blocker, :created_at)",
        )?
        .execute(named_params! {
            ":session_id": session_id,
            ":state": new.state.as_str(),
            ":current_task": new.current_task,
            ":next_action": new.next_action,
            ":blocker": new.blocker,
            ":created_at": new.created_at,
        })?;
    Ok(())
}

/// The newest statement of a session.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, session_id: &str) -> Result<Option<Status>> {
    Ok(r.connection
        .prepare_cached(
            "select state, current_task, next_action, blocker, created_at from statuses
             where session_id = :session_id order by id desc limit 1",
        )?
        .query_row(named_params! { ":session_id": session_id }, status)
        .optional()?)
}
