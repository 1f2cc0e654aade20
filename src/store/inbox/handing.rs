//! Handing items out: leases, confirmations, what is given back, given up and put back.

use rusqlite::{OptionalExtension, named_params};

use super::{Inbox, Item, MINE, MOST_HANDOUTS, Result, WAITING, Write, by_id};
use crate::base::{Moment, Timestamp};

/// Gives up what was handed out [`MOST_HANDOUTS`] times, is in nobody's hands and was never confirmed.
///
/// # Errors
/// SQLite's own error.
pub fn give_up(w: &Write<'_>, inbox: Inbox<'_>, now: &Moment) -> Result<Vec<Item>> {
    let sql = format!(
        "update routed_notifications as n
         set state = 'failed', error = 'handed out ' || n.delivery_count || ' times and never confirmed'
         where {MINE} and {WAITING} and n.delivery_count >= :most
           and not coalesce(n.lease_boot_id = :boot_id and n.lease_uptime > :uptime, 0)
         returning id"
    );
    let ids = w
        .connection
        .prepare_cached(&sql)?
        .query_map(
            named_params! {
                ":session_id": inbox.session_id,
                ":task_id": inbox.task_id,
                ":most": MOST_HANDOUTS,
                ":boot_id": now.boot_id,
                ":uptime": now.uptime,
            },
            |row| row.get(0),
        )?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    ids.into_iter().filter_map(|id| by_id(w.read(), id, now).transpose()).collect()
}

/// Puts what was given up back, as if it had never been handed out.
///
/// # Errors
/// SQLite's own error.
pub fn revive(w: &Write<'_>, inbox: Inbox<'_>, now: &Moment) -> Result<Vec<Item>> {
    let sql = format!(
        "update routed_notifications as n
         set state = 'delivered', error = null, delivery_count = 0, lease_token = null, leased_at = null,
            lease_boot_id = null, lease_uptime = null, lease_expires_at = null
         where {MINE} and n.state = 'failed' and n.delivery_mode = 'pull_required' and n.consumed_at is null
         returning id"
    );
    let ids = w
        .connection
        .prepare_cached(&sql)?
        .query_map(named_params! { ":session_id": inbox.session_id, ":task_id": inbox.task_id }, |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    ids.into_iter().filter_map(|id| by_id(w.read(), id, now).transpose()).collect()
}

/// Withdraws what was given up of a command that is on its way again: it comes as an item of its own. How many.
///
/// # Errors
/// SQLite's own error.
pub fn withdraw(w: &Write<'_>, command_id: &str) -> Result<usize> {
    Ok(w.connection
        .prepare_cached(
            "update routed_notifications
             set state = 'suppressed', error = error || '; the command was queued again'
             where state = 'failed' and command_id = :command_id",
        )?
        .execute(named_params! { ":command_id": command_id })?)
}

/// Hands out the oldest item that nobody holds, for `visibility` milliseconds; until then it is nobody else's. Its
/// token is `token` and its number: `<token>-<id>`.
///
/// # Errors
/// SQLite's own error.
pub fn lease_next(w: &Write<'_>, inbox: Inbox<'_>, token: &str, visibility: i64, now: &Moment) -> Result<Option<Item>> {
    let expires = Timestamp::from_millis(now.wall.as_millis().saturating_add(visibility));
    let sql = format!(
        "update routed_notifications
         set lease_token = :token || '-' || id, leased_at = :now, lease_boot_id = :boot_id, lease_uptime = :until,
            lease_expires_at = :expires, delivery_count = delivery_count + 1, read_at = coalesce(read_at, :now)
         where id = (
            select n.id from routed_notifications as n
            where {MINE} and {WAITING} and n.delivery_count < :most
              and not coalesce(n.lease_boot_id = :boot_id and n.lease_uptime > :uptime, 0)
            order by n.id limit 1)
         returning id"
    );
    let id: Option<i64> = w
        .connection
        .prepare_cached(&sql)?
        .query_row(
            named_params! {
                ":session_id": inbox.session_id,
                ":task_id": inbox.task_id,
                ":most": MOST_HANDOUTS,
                ":token": token,
                ":boot_id": now.boot_id,
                ":uptime": now.uptime,
                ":until": now.uptime.saturating_add(visibility),
                ":expires": expires,
                ":now": now.wall,
            },
            |row| row.get("id"),
        )
        .optional()?;
    match id {
        Some(id) => by_id(w.read(), id, now),
        None => Ok(None),
    }
}

/// Marks an item consumed by the session it was for, unless it is already: false.
///
/// # Errors
/// SQLite's own error.
pub fn consume(w: &Write<'_>, item: &Item, now: Timestamp) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update routed_notifications set consumed_at = :now, consumed_by_session_id = target_session_id
             where id = :id and consumed_at is null and state = 'delivered'",
        )?
        .execute(named_params! { ":id": item.id, ":now": now })?;
    Ok(changed == 1)
}

/// Gives a held item back at once: the next reader gets it, and its token is void.
///
/// # Errors
/// SQLite's own error.
pub fn give_back(w: &Write<'_>, item: &Item) -> Result<()> {
    w.connection
        .prepare_cached(
            "update routed_notifications
             set lease_token = null, lease_boot_id = null, lease_uptime = null, lease_expires_at = null
             where id = :id and consumed_at is null",
        )?
        .execute(named_params! { ":id": item.id })?;
    Ok(())
}

/// Says that the bodies of these items were shown to their session.
///
/// # Errors
/// SQLite's own error.
pub fn mark_read(w: &Write<'_>, ids: &[i64], now: Timestamp) -> Result<()> {
    let mut statement = w
        .connection
        .prepare_cached("update routed_notifications set read_at = :now where id = :id and read_at is null")?;
    for id in ids {
        statement.execute(named_params! { ":id": id, ":now": now })?;
    }
    Ok(())
}
