//! Rows of `epilogue_runs`: closing steps of a task, each time that one was run.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{base::Timestamp, model::supervision::Epilogue, text_enum};

text_enum! {
    /// How far a run of a step has come.
    pub enum StepState {
        /// It runs, or what ran it vanished.
        Running => "running",
        /// It did what it is for.
        Succeeded => "succeeded",
        /// It did not.
        Failed => "failed",
    }
}

/// One run of a closing step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpilogueRun {
    /// The binding under which it was run.
    pub binding_id: Option<String>,
    /// Ties together what belongs to it.
    pub correlation_id: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its number.
    pub id: i64,
    /// The revision of the terms under which it was run.
    pub manager_config_revision: Option<u64>,
    /// Who ran it, in words.
    pub origin: String,
    /// What came of it.
    pub result: Option<Value>,
    /// When it was begun.
    pub started_at: Timestamp,
    /// How far it has come.
    pub state: StepState,
    /// The step.
    pub step_name: Epilogue,
    /// The task.
    pub task_id: String,
    /// What the worker's folder held then; none when it is in no git repository.
    pub tree: Option<String>,
}

/// A run to be begun.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of a run")]
pub struct NewRun<'a> {
    pub task_id: &'a str,
    pub binding_id: Option<&'a str>,
    pub step: Epilogue,
    pub actor: &'a str,
    pub origin: &'a str,
    pub manager_config_revision: Option<u64>,
    pub correlation_id: Option<&'a str>,
}

const COLUMNS: &str = "id, task_id, binding_id, step, state, origin, manager_config_revision, tree, correlation_id,
    started_at, finished_at, result_json, error";

fn run(row: &Row<'_>) -> rusqlite::Result<EpilogueRun> {
    let revision: Option<i64> = row.get("manager_config_revision")?;
    let has_result: bool = row.get::<_, Option<String>>("result_json")?.is_some();
    Ok(EpilogueRun {
        binding_id: row.get("binding_id")?,
        correlation_id: row.get("correlation_id")?,
        error: row.get("error")?,
        finished_at: row.get("finished_at")?,
        id: row.get("id")?,
        manager_config_revision: revision.and_then(|revision| u64::try_from(revision).ok()),
        origin: row.get("origin")?,
        result: has_result.then(|| convert::json(row, "result_json")).transpose()?,
        started_at: row.get("started_at")?,
        state: row.get("state")?,
        step_name: row.get("step")?,
        task_id: row.get("task_id")?,
        tree: row.get("tree")?,
    })
}

/// Records a run that begins.
///
/// # Errors
/// SQLite's own error.
pub fn begin(w: &Write<'_>, new: &NewRun<'_>, now: Timestamp) -> Result<i64> {
    let revision = new.manager_config_revision.map(convert::stored).transpose()?;
    w.connection
        .prepare_cached(
            "insert into epilogue_runs (task_id, binding_id, step, state, actor, origin, manager_config_revision,
                correlation_id, started_at)
             values (:task_id, :binding_id, :step, 'running', :actor, :origin, :revision, :correlation_id, :now)",
        )?
        .execute(named_params! {
            ":task_id": new.task_id,
            ":binding_id": new.binding_id,
            ":step": new.step,
            ":actor": new.actor,
            ":origin": new.origin,
            ":revision": revision,
            ":correlation_id": new.correlation_id,
            ":now": now,
        })?;
    Ok(w.connection.last_insert_rowid())
}

/// What came of a run.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are those of a run")]
pub struct Ended<'a> {
    pub state: StepState,
    pub tree: Option<&'a str>,
    pub result: Option<&'a Value>,
    pub error: Option<&'a str>,
}

/// Records how a run ended; none when it is not running.
///
/// # Errors
/// SQLite's own error.
pub fn end(w: &Write<'_>, id: i64, ended: Ended<'_>, now: Timestamp) -> Result<Option<EpilogueRun>> {
    let sql = format!(
        "update epilogue_runs
         set state = :state, tree = :tree, result_json = :result, error = :error, finished_at = :now
         where id = :id and state = 'running'
         returning {COLUMNS}"
    );
    let values = named_params! {
        ":id": id,
        ":state": ended.state,
        ":tree": ended.tree,
        ":result": ended.result.map(convert::json_text).transpose()?,
        ":error": ended.error,
        ":now": now,
    };
    Ok(w.connection.prepare_cached(&sql)?.query_row(values, run).optional()?)
}

/// The newest run of a step.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, task_id: &str, step: Epilogue) -> Result<Option<EpilogueRun>> {
    let sql = format!(
        "select {COLUMNS} from epilogue_runs where task_id = :task_id and step = :step order by id desc limit 1"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    Ok(statement.query_row(named_params! { ":task_id": task_id, ":step": step }, run).optional()?)
}

/// The newest `limit` runs of a task's steps, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn of_task(r: Read<'_>, task_id: &str, limit: u32) -> Result<Vec<EpilogueRun>> {
    let sql = format!("select {COLUMNS} from epilogue_runs where task_id = :task_id order by id desc limit :limit");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":task_id": task_id, ":limit": limit }, run)?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.reverse();
    Ok(rows)
}
