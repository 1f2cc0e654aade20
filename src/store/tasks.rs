//! Rows of `tasks`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Read, Result, Write};
use crate::base::Timestamp;
use crate::model::task::{Task, TaskEnd, TaskState};

const COLUMNS: &str = "id, name, goal, summary, state, created_at, updated_at, ended_at, ended_by, end_reason";

fn task(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        id: row.get("id")?,
        name: row.get("name")?,
        goal: row.get("goal")?,
        summary: row.get("summary")?,
        state: row.get("state")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        end: match row.get("ended_at")? {
            Some(at) => Some(TaskEnd { at, by: row.get("ended_by")?, reason: row.get("end_reason")? }),
            None => None,
        },
    })
}

/// Adds a task.
///
/// # Errors
/// [`super::Error::Unique`] when an open task has the same name.
pub fn insert(w: &Write<'_>, new: &Task) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into tasks (id, name, goal, summary, state, created_at, updated_at)
             values (:id, :name, :goal, :summary, :state, :created_at, :updated_at)",
        )?
        .execute(named_params! {
            ":id": new.id,
            ":name": new.name,
            ":goal": new.goal,
            ":summary": new.summary,
            ":state": new.state,
            ":created_at": new.created_at,
            ":updated_at": new.updated_at,
        })?;
    Ok(())
}

/// The task with this id or name. An open task wins over closed ones of the same name, then the newest.
///
/// # Errors
/// SQLite's own error.
pub fn find(r: Read<'_>, reference: &str) -> Result<Option<Task>> {
    let sql = format!(
        "select {COLUMNS} from tasks where id = :reference or name = :reference
         order by id = :reference desc, state in ('candidate', 'managed', 'paused') desc, created_at desc, rowid desc
         limit 1"
    );
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":reference": reference }, task).optional()?)
}

/// All tasks, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>) -> Result<Vec<Task>> {
    let sql = format!("select {COLUMNS} from tasks order by created_at, rowid");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], task)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Moves a task to another state.
///
/// # Errors
/// SQLite's own error.
pub fn set_state(w: &Write<'_>, id: &str, state: TaskState, now: Timestamp) -> Result<()> {
    w.connection
        .prepare_cached("update tasks set state = :state, updated_at = :now where id = :id")?
        .execute(named_params! { ":id": id, ":state": state, ":now": now })?;
    Ok(())
}

/// Ends a task that is open; false when it had ended already.
///
/// # Errors
/// SQLite's own error.
pub fn end(w: &Write<'_>, id: &str, state: TaskState, end: &TaskEnd) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update tasks set state = :state, updated_at = :at, ended_at = :at, ended_by = :by, end_reason = :reason
             where id = :id and state in ('candidate', 'managed', 'paused')",
        )?
        .execute(named_params! {
            ":id": id,
            ":state": state,
            ":at": end.at,
            ":by": end.by,
            ":reason": end.reason,
        })?;
    Ok(changed == 1)
}
