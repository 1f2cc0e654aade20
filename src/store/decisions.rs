//! Rows of `manager_decisions`: what was decided about a task, by whom and why.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{base::Timestamp, model::supervision::Deciding};

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Who decided: operator or manager.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
    /// What.
    pub decision: Deciding,
    /// Its number.
    pub id: i64,
    /// The cycle that led to it.
    pub manager_cycle_id: Option<i64>,
    /// Always none; the session is in `manager_session_id`.
    pub manager_id: Option<()>,
    /// The session that decided, when it is known.
    pub manager_session_id: Option<String>,
    /// Whatever else belongs to it.
    pub payload: Value,
    /// Why.
    pub reason: String,
    /// The task.
    pub task_id: String,
}

/// A decision to be recorded.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of a decision")]
pub struct NewDecision<'a> {
    pub task_id: &'a str,
    pub actor: &'a str,
    pub manager_session_id: Option<&'a str>,
    pub manager_cycle_id: Option<i64>,
    pub decision: Deciding,
    pub reason: &'a str,
    pub payload: &'a Value,
}

const COLUMNS: &str =
    "id, task_id, actor, manager_session_id, manager_cycle_id, decision, reason, payload_json, created_at";

fn decision(row: &Row<'_>) -> rusqlite::Result<Decision> {
    Ok(Decision {
        actor: row.get("actor")?,
        created_at: row.get("created_at")?,
        decision: row.get("decision")?,
        id: row.get("id")?,
        manager_cycle_id: row.get("manager_cycle_id")?,
        manager_id: None,
        manager_session_id: row.get("manager_session_id")?,
        payload: convert::json(row, "payload_json")?,
        reason: row.get("reason")?,
        task_id: row.get("task_id")?,
    })
}

/// Records a decision.
///
/// # Errors
/// SQLite's own error.
pub fn record(w: &Write<'_>, new: &NewDecision<'_>, now: Timestamp) -> Result<Decision> {
    let sql = format!(
        "insert into manager_decisions
            (task_id, actor, manager_session_id, manager_cycle_id, decision, reason, payload_json, created_at)
         values (:task_id, :actor, :manager_session_id, :manager_cycle_id, :decision, :reason, :payload, :now)
         returning {COLUMNS}"
    );
    let mut statement = w.connection.prepare_cached(&sql)?;
    let row = statement.query_row(
        named_params! {
            ":task_id": new.task_id,
            ":actor": new.actor,
            ":manager_session_id": new.manager_session_id,
            ":manager_cycle_id": new.manager_cycle_id,
            ":decision": new.decision,
            ":reason": new.reason,
            ":payload": convert::json_text(new.payload)?,
            ":now": now,
        },
        decision,
    )?;
    Ok(row)
}

/// The decision of this number.
///
/// # Errors
/// SQLite's own error.
pub fn by_id(r: Read<'_>, id: i64) -> Result<Option<Decision>> {
    let sql = format!("select {COLUMNS} from manager_decisions where id = :id");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": id }, decision).optional()?)
}

/// The newest decisions about a task, the newest first.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, task_id: &str, limit: u32) -> Result<Vec<Decision>> {
    let sql = format!("select {COLUMNS} from manager_decisions where task_id = :task_id order by id desc limit :limit");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":task_id": task_id, ":limit": limit }, decision)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
