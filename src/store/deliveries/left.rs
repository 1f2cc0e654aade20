//! What the end of a task, of a binding or of a session takes back, counted exactly: never from what screens show.
//!
//! The conditions are those of the transactions that do it (`finish-task`, `stop-task`, `unbind`, `deregister`).

use std::collections::BTreeMap;

use rusqlite::{Row, named_params};

use super::{COMMAND, LONGEST_PAYLOAD, PREVIEW, Read, Result, command};
use crate::{
    model::deliveries::{Awaiting, LeftOver},
    store::convert,
};

/// Messages named of each task.
const EXAMPLES: usize = 3;

/// The message of a queued command lies in the inbox, where a pointer that was not typed has left it, and its reader has
/// taken it there: it is delivered, and not taken back. What a word tells of is a message of its own.
const IN_HAND: &str = "exists (
    select 1 from typed_messages as t
      join routed_notifications as p on p.id = t.notification_id
    where t.command_id = c.id and t.notification_id is not json_extract(c.payload_json, '$.notification_id')
      and p.state = 'delivered' and p.consumed_at is null
      and not (p.read_at is null and p.delivery_count = 0))";

const QUEUED: &str = "c.phase in ('queued', 'claimed')";

/// A word that something lies in an inbox is no message that waits.
const WORD: &str = "c.phase = 'queued' and c.type = 'worker_task_complete'";

/// Each statement repeats the whole condition of the index that it goes over.
const LIVE: &str = "commands as c indexed by commands_live
  where c.phase in ('queued', 'claimed', 'started', 'staged', 'submitted')";

/// What lies unseen in inboxes, as `store::inbox::settle_task` finds it, but for what goes with a queued command.
const UNSEEN: &str = "routed_notifications as n indexed by routed_notifications_waiting
    left join bindings as b on b.id = n.binding_id
    left join commands as c on c.id = n.command_id
  where n.state = 'delivered' and n.consumed_at is null and n.read_at is null and n.delivery_count = 0
    and c.phase is not 'started' and c.phase is not 'staged' and c.phase is not 'submitted'
    and c.phase is not 'ambiguous'
    and not exists (
      select 1 from typed_messages as t join commands as q on q.id = t.command_id
      where t.notification_id = n.id
        and (q.phase in ('started', 'staged', 'submitted', 'ambiguous')
          or (q.phase in ('queued', 'claimed') and json_extract(q.payload_json, '$.notification_id') is not n.id)))";

const IN_FORCE: &str = "b.state in ('active', 'ending')";

fn unseen_of_tasks() -> String {
    format!(
        "select coalesce(n.task_id, b.task_id) as task_id,
            count(*) filter (where c.phase = 'delivered') as messages,
            count(*) filter (where c.phase is not 'delivered') as reports,
            count(*) filter (where {IN_FORCE}) as bound
         from {UNSEEN} and coalesce(n.task_id, b.task_id) is not null
         group by 1"
    )
}

fn unseen_of_sessions() -> String {
    format!("select n.target_session_id, count(*) as unread from {UNSEEN} group by n.target_session_id")
}

fn through_binding() -> String {
    format!("exists (select 1 from bindings as b where b.id = c.binding_id and {IN_FORCE})")
}

fn waiting_of_tasks() -> String {
    let bound = through_binding();
    format!(
        "select c.task_id, count(*) filter (where {QUEUED} and not {IN_HAND}) as taken_back,
            count(*) filter (where not ({QUEUED} and not {IN_HAND})) as under_way,
            count(*) filter (where {QUEUED} and not ({WORD}) and not {IN_HAND} and {bound}) as bound,
            count(*) filter (where not ({QUEUED} and not {IN_HAND}) and {bound}) as bound_under_way
         from {LIVE} and c.task_id is not null
         group by c.task_id"
    )
}

/// What is uncertain may have arrived; it lies with what was given up.
const UNCERTAIN: &str = "commands as c indexed by commands_attention
  where c.phase in ('failed', 'ambiguous', 'expired', 'dead', 'blocked') and c.phase = 'ambiguous'";

fn uncertain_of_tasks() -> String {
    let bound = through_binding();
    format!(
        "select c.task_id, count(*) as under_way, count(*) filter (where {bound}) as bound_under_way
         from {UNCERTAIN} and c.task_id is not null
         group by c.task_id"
    )
}

fn waiting_for_sessions() -> String {
    format!(
        "select c.target_session_id, count(*) filter (where {QUEUED} and not ({WORD}) and not {IN_HAND}) as waiting,
            count(*) filter (where not ({QUEUED} and not {IN_HAND})) as under_way
         from {LIVE}
         group by c.target_session_id"
    )
}

fn uncertain_for_sessions() -> String {
    format!("select c.target_session_id, count(*) as under_way from {UNCERTAIN} group by c.target_session_id")
}

/// Each message that waits, with its task.
fn waiting_messages() -> String {
    format!(
        "select c.task_id, c.id from {LIVE} and {QUEUED} and c.task_id is not null and not {IN_HAND} order by c.seq"
    )
}

/// Each message that lies unseen in an inbox, with its task.
const UNSEEN_MESSAGES: &str = "select c.task_id, c.id
  from routed_notifications as w indexed by routed_notifications_waiting
    join commands as c on c.id = w.command_id
  where w.state = 'delivered' and w.consumed_at is null and w.read_at is null and w.delivery_count = 0
    and c.phase = 'delivered' and c.task_id is not null
  order by c.seq";

/// Each row of a statement without parameters.
fn each(r: Read<'_>, sql: &str, mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>) -> Result<()> {
    let mut statement = r.connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// What the end of each task would take back now, of the tasks of which something waits or is under way.
///
/// # Errors
/// SQLite's own error.
pub fn left_over(r: Read<'_>) -> Result<Vec<LeftOver>> {
    let mut found: BTreeMap<String, LeftOver> = BTreeMap::new();
    let mut of = |row: &Row<'_>, add: &dyn Fn(&mut LeftOver) -> rusqlite::Result<()>| {
        let task_id: String = row.get("task_id")?;
        add(found.entry(task_id.clone()).or_insert_with(|| LeftOver { task_id, ..LeftOver::default() }))
    };
    each(r, &waiting_of_tasks(), |row| {
        of(row, &|left| {
            left.taken_back += convert::count(row, "taken_back")?;
            left.under_way += convert::count(row, "under_way")?;
            left.bound += convert::count(row, "bound")?;
            left.bound_under_way += convert::count(row, "bound_under_way")?;
            Ok(())
        })
    })?;
    each(r, &uncertain_of_tasks(), |row| {
        of(row, &|left| {
            left.under_way += convert::count(row, "under_way")?;
            left.bound_under_way += convert::count(row, "bound_under_way")?;
            Ok(())
        })
    })?;
    each(r, &unseen_of_tasks(), |row| {
        of(row, &|left| {
            left.taken_back += convert::count(row, "messages")?;
            left.reports += convert::count(row, "reports")?;
            left.bound_unread += convert::count(row, "bound")?;
            Ok(())
        })
    })?;
    // The first of each task, in one go over all: a search for each would go through everything again.
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for sql in [waiting_messages().as_str(), UNSEEN_MESSAGES] {
        each(r, sql, |row| {
            let ids = named.entry(row.get("task_id")?).or_default();
            if ids.len() < EXAMPLES {
                ids.push(row.get("id")?);
            }
            Ok(())
        })?;
    }
    let mut statement = r.connection.prepare_cached(&format!("{COMMAND} where c.id = :id"))?;
    for left in found.values_mut().filter(|left| left.taken_back > 0) {
        for id in named.get(&left.task_id).into_iter().flatten() {
            let about = named_params! { ":id": id, ":longest": LONGEST_PAYLOAD, ":preview": PREVIEW };
            left.examples.push(statement.query_row(about, command)?);
        }
    }
    Ok(found.into_values().collect())
}

/// What the end of this task would take back now.
///
/// # Errors
/// SQLite's own error.
pub fn left_of(r: Read<'_>, task_id: &str) -> Result<LeftOver> {
    Ok(left_over(r)?.into_iter().find(|left| left.task_id == task_id).unwrap_or_default())
}

/// What is meant for each session and has not reached it, of those for which there is something.
///
/// # Errors
/// SQLite's own error.
pub fn awaiting(r: Read<'_>) -> Result<BTreeMap<String, Awaiting>> {
    let mut found: BTreeMap<String, Awaiting> = BTreeMap::new();
    each(r, &waiting_for_sessions(), |row| {
        let session = found.entry(row.get("target_session_id")?).or_default();
        session.waiting += convert::count(row, "waiting")?;
        session.under_way += convert::count(row, "under_way")?;
        Ok(())
    })?;
    each(r, &uncertain_for_sessions(), |row| {
        found.entry(row.get("target_session_id")?).or_default().under_way += convert::count(row, "under_way")?;
        Ok(())
    })?;
    each(r, &unseen_of_sessions(), |row| {
        found.entry(row.get("target_session_id")?).or_default().unread += convert::count(row, "unread")?;
        Ok(())
    })?;
    Ok(found)
}

/// Of whom something lies in inboxes.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// The session whose inbox it is.
    Session(&'a str),
    /// The binding through which it came.
    Binding(&'a str),
}

/// What lies unread, by number, as it is counted above.
///
/// # Errors
/// SQLite's own error.
pub fn unread(r: Read<'_>, of: Of<'_>) -> Result<Vec<i64>> {
    let (column, id) = match of {
        Of::Session(id) => ("n.target_session_id", id),
        Of::Binding(id) => ("n.binding_id", id),
    };
    let sql = format!("select n.id from {UNSEEN} and {column} = :id order by n.id");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":id": id }, |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn what_an_end_takes_back_is_counted_over_what_is_live_alone() {
        let store = Store::memory().unwrap();
        let statements = [
            (waiting_of_tasks(), "commands_live"),
            (uncertain_of_tasks(), "commands_attention"),
            (unseen_of_tasks(), "routed_notifications_waiting"),
            (waiting_for_sessions(), "commands_live"),
            (uncertain_for_sessions(), "commands_attention"),
            (unseen_of_sessions(), "routed_notifications_waiting"),
            (waiting_messages(), "commands_live"),
            (UNSEEN_MESSAGES.to_owned(), "routed_notifications_waiting"),
        ];
        for (sql, index) in statements {
            let steps = store.plan(&sql);
            assert!(steps.iter().any(|step| step.contains(index)), "{sql}\n{steps:#?}");
            let whole = steps.iter().find(|step| step.starts_with("SCAN") && !step.contains("USING INDEX"));
            assert!(whole.is_none(), "{sql}\n{steps:#?}");
        }
    }
}
