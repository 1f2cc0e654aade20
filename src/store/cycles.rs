//! Rows of `manager_cycles` and `manager_cycle_spans`: what each observation found, and how long its phases took.

use rusqlite::{OptionalExtension, Row, named_params};
use serde_json::Value;

use super::{Error, Read, Result, Write};
use crate::{base::Timestamp, model::board::CycleRow, text_enum};

text_enum! {
    /// How a phase of a cycle went.
    pub enum SpanState {
        /// As it should.
        Succeeded => "succeeded",
        /// It failed, and the cycle with it.
        Failed => "failed",
        /// Something was missing; the cycle went on.
        Degraded => "degraded",
    }
}

/// One timed phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its name.
    pub phase: &'static str,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// How it went.
    pub state: SpanState,
    /// What it found.
    pub attributes: Value,
    /// Kind of the error that ended it.
    pub error_type: Option<String>,
}

/// Begins a cycle; its number.
///
/// # Errors
/// SQLite's own error.
pub fn begin(w: &Write<'_>, task_id: &str, binding_id: &str, now: Timestamp) -> Result<i64> {
    w.connection
        .prepare_cached(
            "insert into manager_cycles (task_id, binding_id, started_at, state)
             values (:task_id, :binding_id, :now, 'started')",
        )?
        .execute(named_params! { ":task_id": task_id, ":binding_id": binding_id, ":now": now })?;
    Ok(w.connection.last_insert_rowid())
}

/// Completes a cycle with what it found, or with the reason why it failed.
///
/// # Errors
/// SQLite's own error.
pub fn complete(
    w: &Write<'_>,
    id: i64,
    task_id: &str,
    status: &Value,
    error: Option<&str>,
    spans: &[Span],
    now: Timestamp,
) -> Result<()> {
    w.connection
        .prepare_cached(
            "update manager_cycles set state = :state, completed_at = :now, status_json = :status, error = :error
             where id = :id and state = 'started'",
        )?
        .execute(named_params! {
            ":id": id,
            ":state": if error.is_some() { "failed" } else { "succeeded" },
            ":now": now,
            ":status": status.to_string(),
            ":error": error,
        })?;
    let mut statement = w.connection.prepare_cached(
        "insert into manager_cycle_spans
            (manager_cycle_id, task_id, phase, started_at, completed_at, duration_ms, state, attributes_json, error_type)
         values (:cycle, :task_id, :phase, :started_at, :completed_at, :duration_ms, :state, :attributes, :error_type)",
    )?;
    for span in spans {
        statement.execute(named_params! {
            ":cycle": id,
            ":task_id": task_id,
            ":phase": span.phase,
            ":started_at": span.started_at,
            ":completed_at": span.completed_at,
            ":duration_ms": span.duration_ms,
            ":state": span.state.as_str(),
            ":attributes": span.attributes.to_string(),
            ":error_type": span.error_type,
        })?;
    }
    Ok(())
}

/// A stored cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleRecord {
    /// Its number.
    pub id: i64,
    /// The task.
    pub task_id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// `started`, `succeeded` or `failed`.
    pub state: String,
    /// What it found.
    pub status: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
}

fn record(row: &Row<'_>) -> rusqlite::Result<(CycleRecord, Option<String>)> {
    let cycle = CycleRecord {
        id: row.get("id")?,
        task_id: row.get("task_id")?,
        started_at: row.get("started_at")?,
        completed_at: row.get("completed_at")?,
        state: row.get("state")?,
        status: None,
        error: row.get("error")?,
    };
    Ok((cycle, row.get("status_json")?))
}

fn parsed((mut cycle, status): (CycleRecord, Option<String>)) -> Result<CycleRecord> {
    cycle.status = status
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|source| Error::Json { table: "manager_cycles", source })?;
    Ok(cycle)
}

/// The task of a cycle; none when there is no such cycle.
///
/// # Errors
/// SQLite's own error.
pub fn task_of(r: Read<'_>, id: i64) -> Result<Option<String>> {
    let mut statement = r.connection.prepare_cached("select task_id from manager_cycles where id = :id")?;
    Ok(statement.query_row(named_params! { ":id": id }, |row| row.get("task_id")).optional()?)
}

/// The newest cycles of a task, the newest first; `notable` keeps those that saw a notable pane pattern.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, task_id: &str, notable: bool, limit: u32) -> Result<Vec<CycleRecord>> {
    let mut statement = r.connection.prepare_cached(
        "select id, task_id, started_at, completed_at, state, status_json, error
         from manager_cycles
         where task_id = :task_id
           and (not :notable or json_extract(status_json, '$.notable_pane_pattern') is not null
                or json_extract(status_json, '$.judgement.agreement') = 'disagree')
         order by id desc
         limit :limit",
    )?;
    let rows =
        statement.query_map(named_params! { ":task_id": task_id, ":notable": notable, ":limit": limit }, record)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(parsed).collect()
}

/// The newest cycles of a task as a screen shows them, the newest first; what they found stays in SQLite.
///
/// # Errors
/// SQLite's own error.
pub fn brief(r: Read<'_>, task_id: &str, limit: u32) -> Result<Vec<CycleRow>> {
    let mut statement = r.connection.prepare_cached(
        "select id, started_at, state, error,
                json_extract(status_json, '$.condition') as condition,
                json_extract(status_json, '$.notable_pane_pattern') as notable
         from manager_cycles
         where task_id = :task_id
         order by id desc
         limit :limit",
    )?;
    let rows = statement.query_map(named_params! { ":task_id": task_id, ":limit": limit }, |row| {
        Ok(CycleRow {
            id: row.get("id")?,
            started_at: row.get("started_at")?,
            outcome: row.get("state")?,
            condition: row.get("condition")?,
            notable: row.get("notable")?,
            error: row.get("error")?,
        })
    })?;
    rows.collect::<rusqlite::Result<Vec<_>>>().map_err(Error::from)
}
