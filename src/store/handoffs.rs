//! Rows of `worker_handoffs`: what a worker would tell whoever goes on with its work.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::base::Timestamp;

/// A handoff.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Handoff {
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Its number.
    pub id: i64,
    /// What comes next.
    pub next_steps: Vec<String>,
    /// Who recorded it, in words: an operator may do that for the worker. The audit trail knows it.
    pub origin: Option<String>,
    /// Whatever else belongs to it.
    pub payload: Value,
    /// What was done.
    pub summary: String,
    /// The task.
    pub task_id: String,
    /// The worker that was bound.
    pub worker_session_id: Option<String>,
}

/// A handoff to be recorded.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of a handoff")]
pub struct NewHandoff<'a> {
    pub task_id: &'a str,
    pub binding_id: Option<&'a str>,
    pub worker_session_id: Option<&'a str>,
    pub summary: &'a str,
    pub next_steps: &'a [String],
    pub payload: &'a Value,
}

const COLUMNS: &str = "id, task_id, worker_session_id, summary, next_steps_json, payload_json, created_at";

/// Who recorded it, from the audit trail.
const ORIGIN: &str = "(select e.payload_json ->> '$.origin' from events as e
    where e.task_id = worker_handoffs.task_id and e.type = 'worker_handoff_recorded'
      and e.payload_json ->> '$.handoff_id' = worker_handoffs.id
    order by e.id desc limit 1)";

fn handoff(row: &Row<'_>) -> rusqlite::Result<Handoff> {
    let steps = convert::json(row, "next_steps_json")?;
    let steps = steps.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Ok(Handoff {
        created_at: row.get("created_at")?,
        id: row.get("id")?,
        next_steps: steps.collect(),
        origin: row.get("origin")?,
        payload: convert::json(row, "payload_json")?,
        summary: row.get("summary")?,
        task_id: row.get("task_id")?,
        worker_session_id: row.get("worker_session_id")?,
    })
}

/// Records a handoff.
///
/// # Errors
/// SQLite's own error.
pub fn record(w: &Write<'_>, new: &NewHandoff<'_>, now: Timestamp) -> Result<Handoff> {
    let sql = format!(
        "insert into worker_handoffs
            (task_id, binding_id, worker_session_id, summary, next_steps_json, payload_json, created_at)
         values (:task_id, :binding_id, :worker_session_id, :summary, :next_steps, :payload, :now)
         returning {COLUMNS}, null as origin"
    );
    let steps = Value::from(new.next_steps.to_vec());
    let mut statement = w.connection.prepare_cached(&sql)?;
    let row = statement.query_row(
        named_params! {
            ":task_id": new.task_id,
            ":binding_id": new.binding_id,
            ":worker_session_id": new.worker_session_id,
            ":summary": new.summary,
            ":next_steps": convert::json_text(&steps)?,
            ":payload": convert::json_text(new.payload)?,
            ":now": now,
        },
        handoff,
    )?;
    Ok(row)
}

/// The newest handoff of a task.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, task_id: &str) -> Result<Option<Handoff>> {
    let sql = format!(
        "select {COLUMNS}, {ORIGIN} as origin from worker_handoffs where task_id = :task_id order by id desc limit 1"
    );
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":task_id": task_id }, handoff).optional()?)
}

/// Whether a handoff still holds: it belongs to the binding in force, and the worker's context was not compacted or
/// cleared since.
///
/// # Errors
/// SQLite's own error.
pub fn is_fresh(r: Read<'_>, handoff: &Handoff) -> Result<bool> {
    let mut statement = r.connection.prepare_cached(
        "select exists (
            select 1 from worker_handoffs as h
            join bindings as b on b.id = h.binding_id and b.state in ('active', 'ending')
            where h.id = :id and not exists (
                select 1 from commands as c
                where c.target_session_id = b.worker_session_id and c.type in ('request_worker_compact', 'request_worker_clear')
                  and c.phase = 'done' and c.updated_at >= h.created_at))",
    )?;
    Ok(statement.query_row(named_params! { ":id": handoff.id }, |row| row.get(0))?)
}
