//! Rows of `command_attempts`: the tries at delivering commands.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::named_params;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{
    base::Timestamp,
    model::delivery::{Attempt, AttemptState, Command, Lane},
};

/// Records a try that runs, under the fence that the claim of the command has just got; its number.
pub(super) fn begin(w: &Write<'_>, command: &Command, dispatcher_id: &str, lane: Lane, now: Timestamp) -> Result<i64> {
    w.connection
        .prepare_cached(
            "insert into command_attempts (command_id, correlation_id, dispatcher_id, fence, lane, started_at, state,
                side_effect_started)
             values (:command_id, :correlation_id, :dispatcher_id, :fence, :lane, :now, 'running', 1)",
        )?
        .execute(named_params! {
            ":command_id": command.id,
            ":correlation_id": command.correlation_id,
            ":dispatcher_id": dispatcher_id,
            ":fence": command.fence + 1,
            ":lane": lane,
            ":now": now,
        })?;
    Ok(w.connection.last_insert_rowid())
}

/// Ends the newest try of a command that still runs.
///
/// # Errors
/// SQLite's own error.
pub fn end(
    w: &Write<'_>,
    command_id: &str,
    state: AttemptState,
    completed: bool,
    result: Option<&Value>,
    error: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let result = result.map(convert::json_text).transpose()?;
    w.connection
        .prepare_cached(
            "update command_attempts set
                state = :state, finished_at = :now, side_effect_completed = :completed,
                result_json = coalesce(:result, result_json), error = :error
             where command_id = :command_id and state = 'running'",
        )?
        .execute(named_params! {
            ":command_id": command_id,
            ":state": state,
            ":now": now,
            ":completed": completed,
            ":result": result,
            ":error": error,
        })?;
    Ok(())
}

/// A try that is over as soon as it is recorded: everything it does, it does in this transaction.
#[derive(Debug, Clone, Copy)]
pub struct Tried<'a> {
    /// Who tried.
    pub dispatcher_id: &'a str,
    /// How it went.
    pub state: AttemptState,
    /// The way it took.
    pub lane: Option<Lane>,
    /// What it came to.
    pub result: Option<&'a Value>,
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// Records a try that is over; its number. Counting it is [`super::commands::count_try`].
///
/// # Errors
/// SQLite's own error.
pub fn record(w: &Write<'_>, command: &Command, tried: Tried<'_>, now: Timestamp) -> Result<i64> {
    let result = tried.result.map(convert::json_text).transpose()?;
    w.connection
        .prepare_cached(
            "insert into command_attempts (command_id, correlation_id, dispatcher_id, fence, lane, started_at,
                finished_at, state, result_json, error)
             values (:command_id, :correlation_id, :dispatcher_id, :fence, :lane, :now, :now, :state, :result, :error)",
        )?
        .execute(named_params! {
            ":command_id": command.id,
            ":correlation_id": command.correlation_id,
            ":dispatcher_id": tried.dispatcher_id,
            ":fence": command.fence,
            ":lane": tried.lane,
            ":now": now,
            ":state": tried.state,
            ":result": result,
            ":error": tried.error,
        })?;
    Ok(w.connection.last_insert_rowid())
}

/// Writes what a recorded try came to, once its number is part of it.
///
/// # Errors
/// SQLite's own error.
pub fn set_result(w: &Write<'_>, attempt_id: i64, result: &Value) -> Result<()> {
    w.connection
        .prepare_cached("update command_attempts set result_json = :result where id = :id")?
        .execute(named_params! { ":id": attempt_id, ":result": convert::json_text(result)? })?;
    Ok(())
}

/// The tries of these commands, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn of(r: Read<'_>, command_ids: &BTreeSet<&str>) -> Result<BTreeMap<String, Vec<Attempt>>> {
    let mut statement = r.connection.prepare_cached(
        "select id, command_id, correlation_id, dispatcher_id, fence, lane, started_at, finished_at, state, result_json,
            error, side_effect_started, side_effect_completed
         from command_attempts
         where command_id = :command_id
         order by id",
    )?;
    let mut found = BTreeMap::new();
    for command_id in command_ids {
        let rows = statement.query_map(named_params! { ":command_id": command_id }, |row| {
            Ok(Attempt {
                command_id: row.get("command_id")?,
                correlation_id: row.get("correlation_id")?,
                dispatcher_id: row.get("dispatcher_id")?,
                error: row.get("error")?,
                fence: row.get("fence")?,
                finished_at: row.get("finished_at")?,
                id: row.get("id")?,
                lane: row.get("lane")?,
                result: convert::json_or_none(row, "result_json")?,
                side_effect_completed: row.get("side_effect_completed")?,
                side_effect_started: row.get("side_effect_started")?,
                started_at: row.get("started_at")?,
                state: row.get("state")?,
            })
        })?;
        found.insert((*command_id).to_owned(), rows.collect::<rusqlite::Result<_>>()?);
    }
    Ok(found)
}
