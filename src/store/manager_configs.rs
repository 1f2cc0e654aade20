//! Rows of `manager_configs`: what the manager of a task is held to.

use rusqlite::{OptionalExtension, Row, named_params, types::Type};
use serde::{Serialize, de::DeserializeOwned};

use super::{Read, Result, Write, convert};
use crate::{
    base::{Timestamp, json},
    model::supervision::{ManagerConfig, Terms},
};

const COLUMNS: &str = "task_id, recipe_name, supervision_mode, objective, guidelines_json, acceptance_criteria_json,
    reference_paths_json, permissions_json, tools_json, epilogues_json, evidence_gates_json, nudge_on_completion,
    require_acks, revision, created_at, updated_at";

fn config(row: &Row<'_>) -> rusqlite::Result<ManagerConfig> {
    Ok(ManagerConfig {
        task_id: row.get("task_id")?,
        terms: Terms {
            acceptance_criteria: held(row, "acceptance_criteria_json")?,
            epilogues: held(row, "epilogues_json")?,
            evidence_gates: held(row, "evidence_gates_json")?,
            guidelines: held(row, "guidelines_json")?,
            nudge_on_completion: row.get("nudge_on_completion")?,
            objective: row.get("objective")?,
            permissions: held(row, "permissions_json")?,
            recipe_name: row.get("recipe_name")?,
            reference_paths: held(row, "reference_paths_json")?,
            require_acks: row.get("require_acks")?,
            supervision_mode: row.get("supervision_mode")?,
            tools: held(row, "tools_json")?,
        },
        revision: convert::count(row, "revision")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn held<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let place = row.as_ref().column_index(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(place, Type::Text, Box::new(error)))
}

fn text(value: &impl Serialize) -> rusqlite::Result<String> {
    json::compact(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// What the manager of a task is held to; none when nothing was ever set.
///
/// # Errors
/// SQLite's own error.
pub fn of_task(r: Read<'_>, task_id: &str) -> Result<Option<ManagerConfig>> {
    let sql = format!("select {COLUMNS} from manager_configs where task_id = :task_id");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":task_id": task_id }, config).optional()?)
}

/// Where the operator who set the terms last looks for programs; none when that was never told.
///
/// # Errors
/// SQLite's own error.
pub fn search_path(r: Read<'_>, task_id: &str) -> Result<Option<String>> {
    let mut statement =
        r.connection.prepare_cached("select search_path from manager_configs where task_id = :task_id")?;
    let found = statement.query_row(named_params! { ":task_id": task_id }, |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

/// Keeps where the operator looks for programs beside terms that stay as they are; whether that is another place than
/// before. False without terms.
///
/// # Errors
/// SQLite's own error.
pub fn keep_search_path(w: &Write<'_>, task_id: &str, search_path: &str) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update manager_configs set search_path = :search_path
             where task_id = :task_id and search_path is not :search_path",
        )?
        .execute(named_params! { ":task_id": task_id, ":search_path": search_path })?;
    Ok(changed == 1)
}

/// Sets the terms of a task, with the next revision. Without a search path the one on record stays.
///
/// # Errors
/// SQLite's own error.
pub fn set(w: &Write<'_>, task_id: &str, terms: &Terms, search_path: Option<&str>, now: Timestamp) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into manager_configs (task_id, recipe_name, supervision_mode, objective, guidelines_json,
                acceptance_criteria_json, reference_paths_json, permissions_json, tools_json, epilogues_json,
                evidence_gates_json, nudge_on_completion, require_acks, search_path, revision, created_at, updated_at)
             values (:task_id, :recipe_name, :supervision_mode, :objective, :guidelines, :acceptance_criteria,
                :reference_paths, :permissions, :tools, :epilogues, :evidence_gates, :nudge_on_completion,
                :require_acks, :search_path, 1, :now, :now)
             on conflict (task_id) do update set
                recipe_name = excluded.recipe_name,
                supervision_mode = excluded.supervision_mode,
                objective = excluded.objective,
                guidelines_json = excluded.guidelines_json,
                acceptance_criteria_json = excluded.acceptance_criteria_json,
                reference_paths_json = excluded.reference_paths_json,
                permissions_json = excluded.permissions_json,
                tools_json = excluded.tools_json,
                epilogues_json = excluded.epilogues_json,
                evidence_gates_json = excluded.evidence_gates_json,
                nudge_on_completion = excluded.nudge_on_completion,
                require_acks = excluded.require_acks,
                search_path = coalesce(excluded.search_path, search_path),
                revision = revision + 1,
                updated_at = excluded.updated_at",
        )?
        .execute(named_params! {
            ":task_id": task_id,
            ":recipe_name": terms.recipe_name,
            ":supervision_mode": terms.supervision_mode,
            ":objective": terms.objective,
            ":guidelines": text(&terms.guidelines)?,
            ":acceptance_criteria": text(&terms.acceptance_criteria)?,
            ":reference_paths": text(&terms.reference_paths)?,
            ":permissions": text(&terms.permissions)?,
            ":tools": text(&terms.tools)?,
            ":epilogues": text(&terms.epilogues)?,
            ":evidence_gates": text(&terms.evidence_gates)?,
            ":nudge_on_completion": terms.nudge_on_completion,
            ":require_acks": terms.require_acks,
            ":search_path": search_path,
            ":now": now,
        })?;
    Ok(())
}
