//! What waits unseen or unconfirmed in an inbox: it can still be changed, or taken out of the way.

use rusqlite::{OptionalExtension, named_params};
use serde_json::Value;

use super::{ITEM, Item, Read, Result, Write, convert, item};
use crate::base::{Moment, Timestamp};

/// Why nobody has to be told of an item any more; none while it waits unseen.
///
/// # Errors
/// SQLite's own error.
pub fn moot(r: Read<'_>, id: i64) -> Result<Option<&'static str>> {
    let mut statement = r.connection.prepare_cached(
        "select state = 'delivered' as waits, read_at is not null or consumed_at is not null as seen
         from routed_notifications where id = :id",
    )?;
    let found = statement.query_row(named_params! { ":id": id }, |row| Ok((row.get("waits")?, row.get("seen")?)));
    Ok(match found.optional()? {
        Some((_, true)) => Some("its reader has seen it already"),
        Some((true, false)) => None,
        Some((false, false)) => Some("its message was taken back before anybody read it"),
        None => Some("its message is in no inbox"),
    })
}

/// Whether an item waits that its session has not confirmed.
///
/// # Errors
/// SQLite's own error.
pub fn is_waiting(r: Read<'_>, id: i64) -> Result<bool> {
    let mut statement = r.connection.prepare_cached(
        "select count(*) from routed_notifications where id = :id and state = 'delivered' and consumed_at is null",
    )?;
    Ok(statement.query_row(named_params! { ":id": id }, |row| row.get::<_, i64>(0))? == 1)
}

/// What lies unseen in a session's inbox for a command: its number, and the command.
///
/// # Errors
/// SQLite's own error.
pub fn unseen_of_commands(r: Read<'_>, session_id: &str) -> Result<Vec<(i64, String)>> {
    let mut statement = r.connection.prepare_cached(
        "select id, command_id from routed_notifications indexed by routed_notifications_waiting
         where target_session_id = :session_id and state = 'delivered' and consumed_at is null
           and read_at is null and delivery_count = 0 and command_id is not null
         order by id",
    )?;
    let rows = statement
        .query_map(named_params! { ":session_id": session_id }, |row| Ok((row.get("id")?, row.get("command_id")?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// When an item was confirmed by its reader; none when it was not.
///
/// # Errors
/// SQLite's own error.
pub fn consumed_at(r: Read<'_>, id: i64) -> Result<Option<Timestamp>> {
    let mut statement = r.connection.prepare_cached("select consumed_at from routed_notifications where id = :id")?;
    Ok(statement.query_row(named_params! { ":id": id }, |row| row.get("consumed_at")).optional()?.flatten())
}

/// The newest message about this worker's turns that its manager has not seen, so that what is new can be added to it.
///
/// # Errors
/// SQLite's own error.
pub fn unseen_about_turns(r: Read<'_>, binding_id: &str, now: &Moment) -> Result<Option<Item>> {
    let sql = format!(
        "{ITEM}
         where n.binding_id = :binding_id and n.source_event_id is not null and n.state = 'delivered'
           and n.read_at is null and n.consumed_at is null
         order by n.id desc limit 1"
    );
    Ok(r.connection
        .prepare_cached(&sql)?
        .query_row(named_params! { ":binding_id": binding_id, ":boot_id": now.boot_id, ":uptime": now.uptime }, item)
        .optional()?)
}

/// Renews an unseen item: from `now` on it says `payload`, about a later signal. False when it was seen in the meantime.
///
/// # Errors
/// SQLite's own error.
pub fn renew(
    w: &Write<'_>,
    id: i64,
    signal_type: &str,
    source_event_id: i64,
    source_event_timestamp: Option<Timestamp>,
    payload: &Value,
    now: Timestamp,
) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update routed_notifications
             set signal_type = :signal_type, source_event_id = :event_id, source_event_timestamp = :event_at,
                payload_json = :payload, renewed_at = :now
             where id = :id and read_at is null and consumed_at is null and state = 'delivered'",
        )?
        .execute(named_params! {
            ":id": id,
            ":signal_type": signal_type,
            ":event_id": source_event_id,
            ":event_at": source_event_timestamp,
            ":now": now,
            ":payload": convert::json_text(payload)?,
        })?;
    Ok(changed == 1)
}

/// Takes an item out of the way that nobody has seen and that is about nothing any more; false when it was seen.
///
/// # Errors
/// SQLite's own error.
pub fn settle_unseen(w: &Write<'_>, id: i64, why: &str) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update routed_notifications set state = 'suppressed', error = :why
             where id = :id and state = 'delivered' and read_at is null and consumed_at is null and delivery_count = 0",
        )?
        .execute(named_params! { ":id": id, ":why": why })?;
    Ok(changed == 1)
}

/// Whether an item of a command was taken out of the way for this reason.
///
/// # Errors
/// SQLite's own error.
pub fn was_settled(r: Read<'_>, correlation_id: &str, command_id: &str, why: &str) -> Result<bool> {
    let mut statement = r.connection.prepare_cached(
        "select exists (
            select 1 from routed_notifications
            where correlation_id = :correlation_id and command_id = :command_id and state = 'suppressed' and error = :why
         ) as was_settled",
    )?;
    let bound = named_params! { ":correlation_id": correlation_id, ":command_id": command_id, ":why": why };
    Ok(statement.query_row(bound, |row| row.get("was_settled"))?)
}

/// Takes out of the way what nobody has seen of a task that ends: nobody is to act on it any more. What a command is
/// under way for, which may tell its reader of it, stays. The commands that had laid it there, and how many items there
/// were.
///
/// # Errors
/// SQLite's own error.
pub fn settle_task(w: &Write<'_>, task_id: &str, why: &str) -> Result<(Vec<String>, usize)> {
    let mut statement = w.connection.prepare_cached(
        "update routed_notifications set state = 'suppressed', error = :why
         where (task_id = :task_id or binding_id in (select b.id from bindings as b where b.task_id = :task_id))
            and state = 'delivered' and read_at is null and consumed_at is null and delivery_count = 0
            and not exists (
                select 1 from commands as c
                left join typed_messages as t on t.command_id = c.id
                where c.phase in ('started', 'staged', 'submitted', 'ambiguous')
                    and (c.id = routed_notifications.command_id or t.notification_id = routed_notifications.id))
         returning command_id",
    )?;
    let values = named_params! { ":task_id": task_id, ":why": why };
    let rows = statement.query_map(values, |row| row.get::<_, Option<String>>(0))?;
    let commands = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let items = commands.len();
    Ok((commands.into_iter().flatten().collect(), items))
}
