//! Rows of `bindings`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Read, Result, Write};
use crate::base::Timestamp;
use crate::model::task::{Binding, BindingState};

const COLUMNS: &str = "id, task_id, state, worker_session_id, manager_session_id, created_at, ended_at";

fn binding(row: &Row<'_>) -> rusqlite::Result<Binding> {
    Ok(Binding {
        id: row.get("id")?,
        task_id: row.get("task_id")?,
        state: row.get("state")?,
        worker_session_id: row.get("worker_session_id")?,
        manager_session_id: row.get("manager_session_id")?,
        created_at: row.get("created_at")?,
        ended_at: row.get("ended_at")?,
    })
}

/// Adds a binding.
///
/// # Errors
/// [`super::Error::Unique`] when the task or one of the sessions is bound already.
pub fn insert(w: &Write<'_>, new: &Binding) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into bindings (id, task_id, worker_session_id, manager_session_id, state, created_at, ended_at)
             values (:id, :task_id, :worker, :manager, :state, :created_at, :ended_at)",
        )?
        .execute(named_params! {
            ":id": new.id,
            ":task_id": new.task_id,
            ":worker": new.worker_session_id,
            ":manager": new.manager_session_id,
            ":state": new.state,
            ":created_at": new.created_at,
            ":ended_at": new.ended_at,
        })?;
    Ok(())
}

/// The task's binding that is in force.
///
/// # Errors
/// SQLite's own error.
pub fn active_of_task(r: Read<'_>, task_id: &str) -> Result<Option<Binding>> {
    let sql = format!("select {COLUMNS} from bindings where task_id = :id and state in ('active', 'ending')");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": task_id }, binding).optional()?)
}

/// The task's binding that is in force, else the one that was last.
///
/// # Errors
/// SQLite's own error.
pub fn newest_of_task(r: Read<'_>, task_id: &str) -> Result<Option<Binding>> {
    let sql = format!(
        "select {COLUMNS} from bindings
         where task_id = :id
         order by state in ('active', 'ending') desc, created_at desc, rowid desc limit 1"
    );
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": task_id }, binding).optional()?)
}

/// The session's binding that is in force, whichever end it is.
///
/// # Errors
/// SQLite's own error.
pub fn active_of_session(r: Read<'_>, session_id: &str) -> Result<Option<Binding>> {
    let sql = format!(
        "select {COLUMNS} from bindings
         where state in ('active', 'ending') and :id in (worker_session_id, manager_session_id)
         order by created_at desc limit 1"
    );
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": session_id }, binding).optional()?)
}

/// Every binding, the newest first.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>) -> Result<Vec<Binding>> {
    let sql = format!("select {COLUMNS} from bindings order by created_at desc, rowid desc");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], binding)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Ends a binding; how many rows changed.
///
/// # Errors
/// SQLite's own error.
pub fn end(w: &Write<'_>, id: &str, state: BindingState, now: Timestamp) -> Result<usize> {
    Ok(w.connection
        .prepare_cached(
            "update bindings set state = :state, ended_at = :now where id = :id and state in ('active', 'ending')",
        )?
        .execute(named_params! { ":id": id, ":state": state, ":now": now })?)
}
