//! The append-only audit trail (`events`): who did what, when.

use rusqlite::named_params;
use serde::Serialize;

use super::{Error, Result, Write};
use crate::base::{Timestamp, json};
use crate::text_enum;

text_enum! {
    /// Who acts.
    pub enum Actor {
        /// A person, by key or by command.
        Operator => "operator",
        /// A manager session.
        Manager => "manager",
        /// A worker session.
        Worker => "worker",
        /// This program by itself.
        Conveyor => "conveyor",
    }
}

/// What an audit event is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The task.
    pub task_id: Option<&'a str>,
    /// The session.
    pub session_id: Option<&'a str>,
}

/// Appends one event.
///
/// # Errors
/// SQLite's own error.
pub fn append(
    w: &Write<'_>,
    now: Timestamp,
    actor: Actor,
    kind: &str,
    about: About<'_>,
    payload: &impl Serialize,
) -> Result<i64> {
    let payload = json::compact(payload).map_err(|source| Error::Json { table: "events", source })?;
    w.connection
        .prepare_cached(
            "insert into events (created_at, actor, task_id, session_id, type, payload_json)
             values (:now, :actor, :task_id, :session_id, :type, :payload)",
        )?
        .execute(named_params! {
            ":now": now,
            ":actor": actor.as_str(),
            ":task_id": about.task_id,
            ":session_id": about.session_id,
            ":type": kind,
            ":payload": payload,
        })?;
    Ok(w.connection.last_insert_rowid())
}
