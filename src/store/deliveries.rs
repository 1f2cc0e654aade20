//! What screens show of commands and inboxes: bounded, newest first, every query over an index.

mod left;

use std::collections::BTreeMap;

use rusqlite::{Row, named_params};

use super::{Read, Result, convert};
use crate::{
    base::text,
    model::{
        deliveries::{CommandRow, InboxCount, ItemFacts, ItemRow, Preview},
        delivery::Phase,
    },
};

pub use left::{left_over, waiting_for};

/// Commands shown of each sort: those that an operator has to look at, those that wait, the newest ones.
const COMMANDS: u32 = 200;
/// Commands and inbox items shown with each open task, however old they are.
const PER_TASK: u32 = 10;
/// Inbox items shown of all sessions together.
const ITEMS: u32 = 200;
/// A payload of more bytes is not opened: a screen shows the beginning of a message.
const LONGEST_PAYLOAD: u32 = 16_384;
/// Characters of a message that a screen shows.
const PREVIEW: u32 = 2_000;

const COMMAND: &str = "select c.id, c.seq, c.type, c.created_by, c.task_id, t.name as task, c.target_session_id,
    s.name as target, c.phase, c.reason, c.lane_reason, c.created_at, c.updated_at, c.available_at,
    c.expires_at, c.attempts,
    json_extract(c.result_json, '$.receipt.byte_offset') as proof,
    octet_length(c.payload_json) as bytes,
    case when octet_length(c.payload_json) <= :longest
      then substr(json_extract(c.payload_json, '$.message'), 1, :preview) end as message,
    n.state as item_state, n.delivered_at, n.renewed_at, n.read_at, n.consumed_at,
    (select a.status from notification_acknowledgements as a where a.notification_id = n.id order by a.id desc limit 1)
      as acknowledged
  from commands as c
    join sessions as s on s.id = c.target_session_id
    left join tasks as t on t.id = c.task_id
    left join routed_notifications as n on n.dedupe_key = c.type || ':' || c.id || ':' || c.fence";

// The conditions repeat those of the partial indexes: SQLite takes such an index only for its own condition. `:key` is
// named in each, since a statement has to know every parameter.
const GIVEN_UP: &str =
    ":key is null and c.phase in ('failed', 'ambiguous', 'expired', 'dead', 'blocked') order by c.seq desc";
const IN_LINE: &str =
    ":key is null and c.phase in ('queued', 'claimed', 'started', 'staged', 'submitted') order by c.seq";
const NEWEST: &str = ":key is null order by c.seq desc";
const OF_TASK: &str = "c.task_id = :key order by c.created_at desc";
const ONE: &str = "c.id = :key";

fn preview(row: &Row<'_>) -> rusqlite::Result<Preview> {
    Ok(match row.get::<_, Option<String>>("message")? {
        Some(message) => Preview::Text(text::clean(&message)),
        None => Preview::Long(convert::count(row, "bytes")?),
    })
}

fn command(row: &Row<'_>) -> rusqlite::Result<CommandRow> {
    let item = match row.get("item_state")? {
        None => None,
        Some(state) => Some(ItemFacts {
            state,
            delivered_at: row.get("delivered_at")?,
            renewed_at: row.get("renewed_at")?,
            read_at: row.get("read_at")?,
            consumed_at: row.get("consumed_at")?,
            acknowledged: row.get("acknowledged")?,
        }),
    };
    Ok(CommandRow {
        id: row.get("id")?,
        seq: row.get("seq")?,
        kind: row.get("type")?,
        created_by: row.get("created_by")?,
        task_id: row.get("task_id")?,
        task: row.get("task")?,
        target_id: row.get("target_session_id")?,
        target: row.get("target")?,
        phase: row.get("phase")?,
        reason: row.get("reason")?,
        lane_reason: row.get("lane_reason")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        next_try_at: row.get("available_at")?,
        expires_at: row.get("expires_at")?,
        attempts: convert::count(row, "attempts")?,
        // Nothing but a whole number is a byte; a receipt that says something else proves nothing here.
        proof: row.get::<_, Option<i64>>("proof").ok().flatten().and_then(|byte| u64::try_from(byte).ok()),
        message: preview(row)?,
        item,
    })
}

/// The commands that screens show, the newest first: what an operator has to look at, what waits, the newest of all
/// and of each open task, and the one that is `watched`.
///
/// # Errors
/// SQLite's own error.
pub fn commands(r: Read<'_>, watched: Option<&str>) -> Result<Vec<CommandRow>> {
    let mut found: BTreeMap<i64, CommandRow> = BTreeMap::new();
    let mut take = |condition: &str, key: Option<&str>, limit: u32| -> Result<()> {
        let sql = format!("{COMMAND} where {condition} limit :limit");
        let mut statement = r.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            named_params! { ":key": key, ":limit": limit, ":longest": LONGEST_PAYLOAD, ":preview": PREVIEW },
            command,
        )?;
        for row in rows {
            let row = row?;
            found.insert(row.seq, row);
        }
        Ok(())
    };
    take(GIVEN_UP, None, COMMANDS)?;
    take(IN_LINE, None, COMMANDS)?;
    take(NEWEST, None, COMMANDS)?;
    for task in open_tasks(r)? {
        take(OF_TASK, Some(&task), PER_TASK)?;
    }
    if let Some(id) = watched {
        take(ONE, Some(id), 1)?;
    }
    Ok(found.into_values().rev().collect())
}

fn open_tasks(r: Read<'_>) -> Result<Vec<String>> {
    Ok(super::tasks::list(r)?.into_iter().filter(|task| task.state.is_open()).map(|task| task.id).collect())
}

const ITEM: &str = "select n.id, n.task_id, t.name as task, n.target_session_id, target.name as target,
    coalesce(source.name, case c.created_by when 'session' then 'some Codex' end) as source, n.signal_type, n.command_id, n.state, n.delivered_at, n.renewed_at, n.read_at, n.consumed_at,
    n.created_at, n.error, octet_length(n.payload_json) as bytes,
    case when octet_length(n.payload_json) <= :longest
      then substr(json_extract(n.payload_json, '$.message'), 1, :preview) end as message,
    (select a.status from notification_acknowledgements as a where a.notification_id = n.id order by a.id desc limit 1)
      as acknowledged
  from routed_notifications as n
    join sessions as target on target.id = n.target_session_id
    left join sessions as source on source.id = n.source_session_id
    left join commands as c on c.id = n.command_id
    left join tasks as t on t.id = n.task_id";

const NEWEST_ITEMS: &str = ":key is null order by n.id desc";
const OF_BINDING: &str = "n.binding_id = :key order by n.id desc";

fn item(row: &Row<'_>) -> rusqlite::Result<ItemRow> {
    Ok(ItemRow {
        id: row.get("id")?,
        task_id: row.get("task_id")?,
        task: row.get("task")?,
        target_id: row.get("target_session_id")?,
        target: row.get("target")?,
        source: row.get("source")?,
        signal: row.get("signal_type")?,
        command_id: row.get("command_id")?,
        facts: ItemFacts {
            state: row.get("state")?,
            delivered_at: row.get("delivered_at")?,
            renewed_at: row.get("renewed_at")?,
            read_at: row.get("read_at")?,
            consumed_at: row.get("consumed_at")?,
            acknowledged: row.get("acknowledged")?,
        },
        created_at: row.get("created_at")?,
        error: row.get("error")?,
        message: preview(row)?,
    })
}

/// The inbox items that screens show, the newest first: the newest of all, and of each binding in force.
///
/// # Errors
/// SQLite's own error.
pub fn items(r: Read<'_>) -> Result<Vec<ItemRow>> {
    let mut found: BTreeMap<i64, ItemRow> = BTreeMap::new();
    let mut take = |condition: &str, key: Option<&str>, limit: u32| -> Result<()> {
        let sql = format!("{ITEM} where {condition} limit :limit");
        let mut statement = r.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            named_params! { ":key": key, ":limit": limit, ":longest": LONGEST_PAYLOAD, ":preview": PREVIEW },
            item,
        )?;
        for row in rows {
            let row = row?;
            found.insert(row.id, row);
        }
        Ok(())
    };
    take(NEWEST_ITEMS, None, ITEMS)?;
    for binding in super::bindings::list(r)?.into_iter().filter(crate::model::task::Binding::is_in_force) {
        take(OF_BINDING, Some(&binding.id), PER_TASK)?;
    }
    Ok(found.into_values().rev().collect())
}

/// How much waits in each inbox that is not empty.
///
/// # Errors
/// SQLite's own error.
pub fn inboxes(r: Read<'_>) -> Result<Vec<InboxCount>> {
    let mut statement = r.connection.prepare_cached(
        "select target_session_id, count(*) as waiting, count(*) filter (where read_at is null) as unread
         from routed_notifications indexed by routed_notifications_waiting
         where state = 'delivered' and consumed_at is null
         group by target_session_id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(InboxCount {
            session_id: row.get("target_session_id")?,
            waiting: convert::count(row, "waiting")?,
            unread: convert::count(row, "unread")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many commands are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Open {
    /// Nobody has begun to deliver them.
    pub waiting: u64,
    /// They may have been delivered; an operator has to decide.
    pub ambiguous: u64,
    /// They were given up.
    pub dead_letters: u64,
}

// A word that something lies in an inbox is no message that waits: what it tells of was delivered.
const OPEN: &str = "select phase, count(*) as number from commands
  where phase in ('queued', 'claimed', 'started', 'staged', 'submitted')
    and not (phase = 'queued' and type = 'worker_task_complete')
  group by phase
  union all
  select phase, count(*) as number from commands
  where phase in ('failed', 'ambiguous', 'expired', 'dead', 'blocked')
  group by phase";

/// Counts the open commands.
///
/// # Errors
/// SQLite's own error.
pub fn open(r: Read<'_>) -> Result<Open> {
    let mut statement = r.connection.prepare_cached(OPEN)?;
    let rows = statement.query_map([], |row| Ok((row.get("phase")?, convert::count(row, "number")?)))?;
    let mut open = Open::default();
    for row in rows {
        let (phase, number): (Phase, u64) = row?;
        match phase {
            Phase::Queued => open.waiting += number,
            Phase::Ambiguous => open.ambiguous += number,
            phase if phase.is_dead_letter() => open.dead_letters += number,
            _ => {}
        }
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn nothing_is_counted_or_shown_by_reading_every_row() {
        let store = Store::memory().unwrap();
        store
            .read(|r| {
                let over = |sql: &str, index: &str| {
                    let plan = r.plan(sql).join("\n");
                    assert!(plan.contains(index), "{sql}\n{plan}");
                    assert!(!plan.contains("TEMP B-TREE FOR ORDER BY"), "{sql}\n{plan}");
                };
                let command = |condition: &str| format!("{COMMAND} where {condition} limit :limit");
                over(&command(GIVEN_UP), "commands_attention");
                over(&command(IN_LINE), "commands_live");
                over(&command(NEWEST), "commands_order");
                over(&command(OF_TASK), "commands_task");
                over(&format!("{ITEM} where {OF_BINDING} limit :limit"), "routed_notifications_binding");
                let newest = r.plan(&format!("{ITEM} where {NEWEST_ITEMS} limit :limit")).join("\n");
                assert!(newest.contains("SCAN n\n") && !newest.contains("TEMP B-TREE"), "by its number\n{newest}");
                let counts = r.plan(OPEN).join("\n");
                assert!(counts.contains("commands_attention") && counts.contains("commands_live"), "{counts}");
                Ok::<_, crate::store::Error>(())
            })
            .unwrap();
    }
}
