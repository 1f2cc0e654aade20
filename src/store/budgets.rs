//! Rows of `budgets`: how many messages a task's worker may be given.
//!
//! A message is paid for in the transaction that begins to deliver it, once, and `commands.budget_spent` says that it
//! was. It is paid back only with proof that it was not delivered.

use rusqlite::{OptionalExtension, named_params};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{Read, Result, Write, convert};
use crate::model::delivery::Command;

/// A task's limit, and what was used since it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Messages that its worker may be given.
    pub max_nudges: u64,
    /// Messages that it was given.
    pub nudges_used: u64,
}

impl Budget {
    /// Messages that it may still be given.
    #[must_use]
    pub fn nudges_remaining(&self) -> u64 {
        self.max_nudges.saturating_sub(self.nudges_used)
    }
}

impl Serialize for Budget {
    /// In the words of the contract. A budget never runs out by time.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Budget", 4)?;
        object.serialize_field("expires_at", &None::<()>)?;
        object.serialize_field("max_nudges", &self.max_nudges)?;
        object.serialize_field("nudges_remaining", &self.nudges_remaining())?;
        object.serialize_field("nudges_used", &self.nudges_used)?;
        object.end()
    }
}

/// The budget of a task; none is no limit.
///
/// # Errors
/// SQLite's own error.
pub fn of_task(r: Read<'_>, task_id: &str) -> Result<Option<Budget>> {
    let mut statement =
        r.connection.prepare_cached("select max_nudges, nudges_used from budgets where task_id = :task_id")?;
    let found = statement.query_row(named_params! { ":task_id": task_id }, |row| {
        Ok(Budget { max_nudges: convert::count(row, "max_nudges")?, nudges_used: convert::count(row, "nudges_used")? })
    });
    Ok(found.optional()?)
}

/// Sets the limit of a task, or with none lifts it. What was used stays, unless the limit is lifted.
///
/// # Errors
/// SQLite's own error.
pub fn limit(w: &Write<'_>, task_id: &str, max_nudges: Option<u64>) -> Result<()> {
    match max_nudges {
        Some(most) => w
            .connection
            .prepare_cached(
                "insert into budgets (task_id, max_nudges) values (:task_id, :most)
                 on conflict (task_id) do update set max_nudges = excluded.max_nudges",
            )?
            .execute(named_params! { ":task_id": task_id, ":most": convert::stored(most)? })?,
        None => w
            .connection
            .prepare_cached("delete from budgets where task_id = :task_id")?
            .execute(named_params! { ":task_id": task_id })?,
    };
    Ok(())
}

/// The condition under which the command `c` is a message to its task's worker.
const COUNTS: &str = "c.task_id is not null and c.type in ('nudge_worker', 'session_nudge')
    and exists (select 1 from sessions as s where s.id = c.target_session_id and s.role = 'worker')";

/// The task's budget when nothing of it is left for this command; none while it may go.
///
/// # Errors
/// SQLite's own error.
pub fn exhausted(r: Read<'_>, command: &Command) -> Result<Option<Budget>> {
    let sql = format!(
        "select b.max_nudges, b.nudges_used
         from commands as c join budgets as b on b.task_id = c.task_id
         where c.id = :id and c.budget_spent = 0 and b.nudges_used >= b.max_nudges and {COUNTS}"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let found = statement.query_row(named_params! { ":id": command.id }, |row| {
        Ok(Budget { max_nudges: convert::count(row, "max_nudges")?, nudges_used: convert::count(row, "nudges_used")? })
    });
    Ok(found.optional()?)
}

/// Pays for a command whose delivery begins, once; nothing for what does not count or has no limit.
pub(super) fn spend(w: &Write<'_>, command_id: &str) -> Result<()> {
    let sql = format!(
        "update budgets set nudges_used = nudges_used + 1
         where task_id = (select c.task_id from commands as c where c.id = :id and c.budget_spent = 0 and {COUNTS})"
    );
    if w.connection.prepare_cached(&sql)?.execute(named_params! { ":id": command_id })? == 1 {
        w.connection
            .prepare_cached("update commands set budget_spent = 1 where id = :id")?
            .execute(named_params! { ":id": command_id })?;
    }
    Ok(())
}

/// Pays back what was paid for a command: its target does not have it.
pub(super) fn refund(w: &Write<'_>, command_id: &str) -> Result<()> {
    let changed = w
        .connection
        .prepare_cached("update commands set budget_spent = 0 where id = :id and budget_spent = 1")?
        .execute(named_params! { ":id": command_id })?;
    if changed == 1 {
        w.connection
            .prepare_cached(
                "update budgets set nudges_used = max(nudges_used - 1, 0)
                 where task_id = (select task_id from commands where id = :id)",
            )?
            .execute(named_params! { ":id": command_id })?;
    }
    Ok(())
}
