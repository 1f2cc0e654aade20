//! Rows of `task_acknowledgements`: what worker and manager say that they have understood.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{base::Timestamp, model::session::Role};

/// An acknowledgement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskAck {
    /// The binding under which it was said.
    pub binding_id: Option<String>,
    /// Ties together what belongs to it.
    pub correlation_id: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// Its number.
    pub id: i64,
    /// The revision of the terms that it was said about; none while there were none.
    pub manager_config_revision: Option<u64>,
    /// Who said it, in words: an operator may do that for a side. The audit trail knows it.
    pub origin: Option<String>,
    /// What was said.
    pub payload: Value,
    /// Counts the acknowledgements of this role for this task.
    pub revision: u64,
    /// The side for which it was said.
    pub role: Role,
    /// The task.
    pub task_id: String,
}

impl TaskAck {
    /// Why it does not hold any more for this binding and this revision of the terms.
    #[must_use]
    pub fn stale_reasons(&self, binding_id: Option<&str>, revision: Option<u64>) -> Vec<&'static str> {
        let checks = [
            ("other_binding", self.binding_id.is_none() || self.binding_id.as_deref() != binding_id),
            ("other_config_revision", self.manager_config_revision != revision),
        ];
        checks.into_iter().filter(|(_, is_stale)| *is_stale).map(|(reason, _)| reason).collect()
    }
}

/// An acknowledgement to be recorded.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of an acknowledgement")]
pub struct NewTaskAck<'a> {
    pub task_id: &'a str,
    pub role: Role,
    pub binding_id: Option<&'a str>,
    pub manager_config_revision: Option<u64>,
    pub payload: &'a Value,
    pub correlation_id: Option<&'a str>,
}

const COLUMNS: &str =
    "id, task_id, binding_id, role, payload_json, revision, manager_config_revision, created_at, correlation_id";

/// Who said it, from the audit trail.
const ORIGIN: &str = "(select e.payload_json ->> '$.origin' from events as e
    where e.task_id = task_acknowledgements.task_id and e.type = task_acknowledgements.role || '_ack_recorded'
      and e.payload_json ->> '$.ack_id' = task_acknowledgements.id
    order by e.id desc limit 1)";

fn acknowledgement(row: &Row<'_>) -> rusqlite::Result<TaskAck> {
    let of_config: Option<i64> = row.get("manager_config_revision")?;
    Ok(TaskAck {
        binding_id: row.get("binding_id")?,
        correlation_id: row.get("correlation_id")?,
        created_at: row.get("created_at")?,
        id: row.get("id")?,
        manager_config_revision: of_config.and_then(|revision| u64::try_from(revision).ok()),
        origin: row.get("origin")?,
        payload: convert::json(row, "payload_json")?,
        revision: convert::count(row, "revision")?,
        role: row.get("role")?,
        task_id: row.get("task_id")?,
    })
}

/// Records an acknowledgement under the next revision of its role. The index keeps revisions apart, and the
/// transaction keeps others from taking the same one. Who said it is written into the audit trail, beside it.
///
/// # Errors
/// SQLite's own error.
pub fn record(w: &Write<'_>, new: &NewTaskAck<'_>, now: Timestamp) -> Result<TaskAck> {
    let sql = format!(
        "insert into task_acknowledgements
            (task_id, binding_id, role, payload_json, revision, manager_config_revision, created_at, correlation_id)
         select :task_id, :binding_id, :role, :payload, coalesce(max(revision), 0) + 1, :config, :now, :correlation_id
         from task_acknowledgements where task_id = :task_id and role = :role
         returning {COLUMNS}, null as origin"
    );
    let config = new.manager_config_revision.map(convert::stored).transpose()?;
    let mut statement = w.connection.prepare_cached(&sql)?;
    let row = statement.query_row(
        named_params! {
            ":task_id": new.task_id,
            ":binding_id": new.binding_id,
            ":role": new.role,
            ":payload": convert::json_text(new.payload)?,
            ":config": config,
            ":now": now,
            ":correlation_id": new.correlation_id,
        },
        acknowledgement,
    )?;
    Ok(row)
}

/// The newest acknowledgement of a role.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, task_id: &str, role: Role) -> Result<Option<TaskAck>> {
    let sql = format!(
        "select {COLUMNS}, {ORIGIN} as origin from task_acknowledgements
         where task_id = :task_id and role = :role order by revision desc limit 1"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    Ok(statement.query_row(named_params! { ":task_id": task_id, ":role": role }, acknowledgement).optional()?)
}
