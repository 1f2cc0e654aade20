//! Rows of `routed_notifications` and `notification_acknowledgements`: what lies in the inboxes of sessions.
//!
//! Delivered (it lies there), read (its text was shown or handed out), consumed (the reader confirmed it) and
//! acknowledged (the session said what it makes of it) are four facts, each with its own time.
//!
//! Whoever is handed an item holds it for a while, by the clock of the machine's boot: nobody else gets it. The token
//! of the last hand-out proves who that is; with the next one, or when it is given back, the old token is void.

use rusqlite::{OptionalExtension, Row, named_params};
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{
    base::{Moment, Timestamp},
    model::{
        delivery::{AckStatus, ItemState},
        session::Role,
    },
};

mod handing;
mod unseen;

pub use handing::{consume, give_back, give_up, lease_next, mark_read, revive, withdraw};
pub use unseen::{
    consumed_at, is_waiting, moot, renew, settle_task, settle_unseen, unseen_about_turns, unseen_of_commands,
    was_settled,
};

/// How often an item is handed out without a confirmation before it is given up.
pub const MOST_HANDOUTS: i64 = 10;

/// Something for an inbox.
#[derive(Debug, Clone)]
pub struct NewItem<'a> {
    /// The task.
    pub task_id: Option<&'a str>,
    /// The binding it was routed through.
    pub binding_id: Option<&'a str>,
    /// The session that speaks; none is the operator.
    pub source_session_id: Option<&'a str>,
    /// The session it is for.
    pub target_session_id: &'a str,
    /// Ties together what belongs to it.
    pub correlation_id: &'a str,
    /// What it is.
    pub signal_type: &'a str,
    /// The signal behind it.
    pub source_event_id: Option<i64>,
    /// When that happened.
    pub source_event_timestamp: Option<Timestamp>,
    /// The same for the same thing.
    pub dedupe_key: &'a str,
    /// The command behind it.
    pub command_id: Option<&'a str>,
    /// What it says.
    pub payload: &'a Value,
}

/// Puts something into an inbox, to be fetched; its number.
///
/// # Errors
/// [`super::Error::Unique`] when it lies there already.
pub fn deliver(w: &Write<'_>, new: &NewItem<'_>, now: Timestamp) -> Result<i64> {
    w.connection
        .prepare_cached(
            "insert into routed_notifications (task_id, binding_id, source_session_id, target_session_id,
                correlation_id, signal_type, source_event_id, source_event_timestamp, dedupe_key, command_id,
                created_at, delivered_at, delivery_mode, state, payload_json)
             values (:task_id, :binding_id, :source, :target, :correlation_id, :signal_type, :event_id, :event_at,
                :dedupe_key, :command_id, :now, :now, 'pull_required', 'delivered', :payload)",
        )?
        .execute(named_params! {
            ":task_id": new.task_id,
            ":binding_id": new.binding_id,
            ":source": new.source_session_id,
            ":target": new.target_session_id,
            ":correlation_id": new.correlation_id,
            ":signal_type": new.signal_type,
            ":event_id": new.source_event_id,
            ":event_at": new.source_event_timestamp,
            ":dedupe_key": new.dedupe_key,
            ":command_id": new.command_id,
            ":now": now,
            ":payload": convert::json_text(new.payload)?,
        })?;
    Ok(w.connection.last_insert_rowid())
}

/// What lies in an inbox, or lay there.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its number.
    pub id: i64,
    /// The task, and its name.
    pub task_id: Option<String>,
    /// Name of the task.
    pub task_name: Option<String>,
    /// The binding it was routed through.
    pub binding_id: Option<String>,
    /// The session that speaks; none is the operator.
    pub source_session_id: Option<String>,
    /// Its name.
    pub source_session_name: Option<String>,
    /// Its role.
    pub source_session_role: Option<Role>,
    /// The session it is for.
    pub target_session_id: String,
    /// Its name.
    pub target_session_name: String,
    /// Its role.
    pub target_session_role: Role,
    /// Ties together what belongs to it.
    pub correlation_id: String,
    /// What it is.
    pub signal_type: String,
    /// The signal behind it.
    pub source_event_id: Option<i64>,
    /// When that happened.
    pub source_event_timestamp: Option<Timestamp>,
    /// The same for the same thing.
    pub dedupe_key: String,
    /// The command behind it.
    pub command_id: Option<String>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Since when it lies there.
    pub delivered_at: Option<Timestamp>,
    /// When its words were renewed last, because there was more to tell before anybody had read it.
    pub renewed_at: Option<Timestamp>,
    /// When its text was shown or handed out first.
    pub read_at: Option<Timestamp>,
    /// When its reader confirmed it.
    pub consumed_at: Option<Timestamp>,
    /// Who did.
    pub consumed_by_session_id: Option<String>,
    /// Where it stands.
    pub state: ItemState,
    /// How often it was handed out.
    pub delivery_count: i64,
    /// The token of the last hand-out.
    pub lease_token: Option<String>,
    /// When it was handed out last.
    pub leased_at: Option<Timestamp>,
    /// Until when it is held.
    pub lease_expires_at: Option<Timestamp>,
    /// Somebody holds it now.
    pub is_leased: bool,
    /// What it says.
    pub payload: Value,
    /// Why it was given up.
    pub error: Option<String>,
    /// What its session said about it last.
    pub acknowledgement: Option<Acknowledgement>,
}

const ITEM: &str = "select n.id, n.task_id, t.name as task_name, n.binding_id, n.source_session_id,
    source.name as source_session_name, source.role as source_session_role, n.target_session_id,
    target.name as target_session_name, target.role as target_session_role, n.correlation_id, n.signal_type,
    n.source_event_id, n.source_event_timestamp, n.dedupe_key, n.command_id, n.created_at, n.delivered_at, n.renewed_at, n.read_at,
    n.consumed_at, n.consumed_by_session_id, n.state, n.delivery_count, n.lease_token, n.leased_at, n.lease_expires_at,
    (n.lease_token is not null and n.consumed_at is null and n.lease_boot_id = :boot_id and n.lease_uptime > :uptime)
        as is_leased,
    n.payload_json, n.error
  from routed_notifications as n
    join sessions as target on target.id = n.target_session_id
    left join sessions as source on source.id = n.source_session_id
    left join tasks as t on t.id = n.task_id";

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    Ok(Item {
        id: row.get("id")?,
        task_id: row.get("task_id")?,
        task_name: row.get("task_name")?,
        binding_id: row.get("binding_id")?,
        source_session_id: row.get("source_session_id")?,
        source_session_name: row.get("source_session_name")?,
        source_session_role: row.get("source_session_role")?,
        target_session_id: row.get("target_session_id")?,
        target_session_name: row.get("target_session_name")?,
        target_session_role: row.get("target_session_role")?,
        correlation_id: row.get("correlation_id")?,
        signal_type: row.get("signal_type")?,
        source_event_id: row.get("source_event_id")?,
        source_event_timestamp: row.get("source_event_timestamp")?,
        dedupe_key: row.get("dedupe_key")?,
        command_id: row.get("command_id")?,
        created_at: row.get("created_at")?,
        delivered_at: row.get("delivered_at")?,
        renewed_at: row.get("renewed_at")?,
        read_at: row.get("read_at")?,
        consumed_at: row.get("consumed_at")?,
        consumed_by_session_id: row.get("consumed_by_session_id")?,
        state: row.get("state")?,
        delivery_count: row.get("delivery_count")?,
        lease_token: row.get("lease_token")?,
        leased_at: row.get("leased_at")?,
        lease_expires_at: row.get("lease_expires_at")?,
        is_leased: row.get("is_leased")?,
        payload: convert::json(row, "payload_json")?,
        error: row.get("error")?,
        acknowledgement: None,
    })
}

fn with_acknowledgement(r: Read<'_>, mut item: Item) -> Result<Item> {
    item.acknowledgement = acknowledgements(r, item.id)?.pop();
    Ok(item)
}

/// A session's inbox, or what of it belongs to one task.
#[derive(Debug, Clone, Copy)]
pub struct Inbox<'a> {
    /// Whose it is.
    pub session_id: &'a str,
    /// Only items of this task.
    pub task_id: Option<&'a str>,
}

const MINE: &str = "n.target_session_id = :session_id and (:task_id is null or n.task_id = :task_id)";

/// Which part of an inbox is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// To be fetched, or fetched and not confirmed yet.
    Waiting,
    /// Confirmed.
    Consumed,
    /// Given up.
    Dead,
}

const WAITING: &str = "n.state = 'delivered' and n.consumed_at is null and n.delivery_mode = 'pull_required'";

impl Shelf {
    fn condition(self) -> &'static str {
        match self {
            Self::Waiting => WAITING,
            Self::Consumed => "n.consumed_at is not null",
            Self::Dead => "n.state = 'failed' and n.delivery_mode = 'pull_required'",
        }
    }
}

/// Items on a shelf of an inbox, the oldest first, at most `limit`. Of what is confirmed, the last `limit`.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>, inbox: Inbox<'_>, shelf: Shelf, limit: u32, now: &Moment) -> Result<Vec<Item>> {
    let newest_first = if shelf == Shelf::Consumed { "desc" } else { "" };
    let sql = format!("{ITEM} where {MINE} and {} order by n.id {newest_first} limit :limit", shelf.condition());
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        named_params! {
            ":session_id": inbox.session_id,
            ":task_id": inbox.task_id,
            ":limit": limit,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
        },
        item,
    )?;
    let mut items = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    if shelf == Shelf::Consumed {
        items.reverse();
    }
    items.into_iter().map(|item| with_acknowledgement(r, item)).collect()
}

/// How much lies in an inbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Given up.
    pub dead_letters: u64,
    /// Handed out just now, and not confirmed yet.
    pub leased: u64,
    /// Waiting, and nobody has seen the text.
    pub unread: u64,
    /// To be fetched, or fetched and not confirmed yet.
    pub waiting: u64,
}

/// Counts what lies in an inbox.
///
/// # Errors
/// SQLite's own error.
pub fn count(r: Read<'_>, inbox: Inbox<'_>, now: &Moment) -> Result<Counts> {
    // One statement for each shelf: a condition that covers both would keep SQLite from using either index.
    let sql = format!(
        "select count(*) as waiting, count(*) filter (where n.read_at is null) as unread,
            count(*) filter (where n.lease_boot_id = :boot_id and n.lease_uptime > :uptime) as leased
         from routed_notifications as n
         where {MINE} and {WAITING}"
    );
    let waiting = r.connection.prepare_cached(&sql)?.query_row(
        named_params! {
            ":session_id": inbox.session_id,
            ":task_id": inbox.task_id,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
        },
        |row| {
            Ok(Counts {
                dead_letters: 0,
                leased: convert::count(row, "leased")?,
                unread: convert::count(row, "unread")?,
                waiting: convert::count(row, "waiting")?,
            })
        },
    )?;
    let sql = format!(
        "select count(*) as dead_letters from routed_notifications as n where {MINE} and {}",
        Shelf::Dead.condition()
    );
    let dead_letters = r
        .connection
        .prepare_cached(&sql)?
        .query_row(named_params! { ":session_id": inbox.session_id, ":task_id": inbox.task_id }, |row| {
            convert::count(row, "dead_letters")
        })?;
    Ok(Counts { dead_letters, ..waiting })
}

/// What can be fetched from an inbox now, or later without anybody's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Something lies there, if only in somebody's hands.
    pub any: bool,
    /// Something lies there that nobody holds.
    pub free: bool,
    /// Something was handed out so often that it has to be given up.
    pub worn_out: bool,
    /// When the next hand-out runs out, in milliseconds since the machine was booted.
    pub next_expiry: Option<i64>,
}

/// Looks at what can be fetched; changes nothing.
///
/// # Errors
/// SQLite's own error.
pub fn outlook(r: Read<'_>, inbox: Inbox<'_>, now: &Moment) -> Result<Outlook> {
    let held = "coalesce(n.lease_boot_id = :boot_id and n.lease_uptime > :uptime, 0)";
    let sql = format!(
        "select count(*) > 0 as any_item,
            coalesce(max(not {held} and n.delivery_count < :most), 0) as free,
            coalesce(max(not {held} and n.delivery_count >= :most), 0) as worn_out,
            min(case when {held} then n.lease_uptime end) as next_expiry
         from routed_notifications as n
         where {MINE} and {WAITING}"
    );
    Ok(r.connection.prepare_cached(&sql)?.query_row(
        named_params! {
            ":session_id": inbox.session_id,
            ":task_id": inbox.task_id,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
            ":most": MOST_HANDOUTS,
        },
        |row| {
            Ok(Outlook {
                any: row.get("any_item")?,
                free: row.get("free")?,
                worn_out: row.get("worn_out")?,
                next_expiry: row.get("next_expiry")?,
            })
        },
    )?)
}

/// The item with this number.
///
/// # Errors
/// SQLite's own error.
pub fn by_id(r: Read<'_>, id: i64, now: &Moment) -> Result<Option<Item>> {
    let sql = format!("{ITEM} where n.id = :id");
    let found = r
        .connection
        .prepare_cached(&sql)?
        .query_row(named_params! { ":id": id, ":boot_id": now.boot_id, ":uptime": now.uptime }, item)
        .optional()?;
    found.map(|item| with_acknowledgement(r, item)).transpose()
}

/// The items under this correlation id, the oldest first, at most `limit`.
///
/// # Errors
/// SQLite's own error.
pub fn of_correlation(r: Read<'_>, correlation_id: &str, limit: u32, now: &Moment) -> Result<Vec<Item>> {
    let sql = format!("{ITEM} where n.correlation_id = :id order by n.id limit :limit");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        named_params! {
            ":id": correlation_id,
            ":limit": limit,
            ":boot_id": now.boot_id,
            ":uptime": now.uptime,
        },
        item,
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The item that was handed out under this token.
///
/// # Errors
/// SQLite's own error.
pub fn by_token(r: Read<'_>, token: &str, now: &Moment) -> Result<Option<Item>> {
    let sql = format!("{ITEM} where n.lease_token = :token");
    let found = r
        .connection
        .prepare_cached(&sql)?
        .query_row(named_params! { ":token": token, ":boot_id": now.boot_id, ":uptime": now.uptime }, item)
        .optional()?;
    found.map(|item| with_acknowledgement(r, item)).transpose()
}

/// What a session said about something it got.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Acknowledgement {
    /// The binding of the item.
    pub binding_id: Option<String>,
    /// Ties together what belongs to it.
    pub correlation_id: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// Its number.
    pub id: i64,
    /// The item.
    pub notification_id: i64,
    /// Details.
    pub payload: Value,
    /// In which role.
    pub role: Role,
    /// What.
    pub status: AckStatus,
    /// The task.
    pub task_id: Option<String>,
}

/// Records what a session says about an item.
///
/// # Errors
/// SQLite's own error.
pub fn acknowledge(
    w: &Write<'_>,
    item: &Item,
    status: AckStatus,
    payload: &Value,
    correlation_id: Option<&str>,
    now: Timestamp,
) -> Result<Acknowledgement> {
    w.connection
        .prepare_cached(
            "insert into notification_acknowledgements (task_id, binding_id, notification_id, role, status, payload_json,
                created_at, correlation_id)
             values (:task_id, :binding_id, :notification_id, :role, :status, :payload, :now, :correlation_id)",
        )?
        .execute(named_params! {
            ":task_id": item.task_id,
            ":binding_id": item.binding_id,
            ":notification_id": item.id,
            ":role": item.target_session_role,
            ":status": status,
            ":payload": convert::json_text(payload)?,
            ":now": now,
            ":correlation_id": correlation_id,
        })?;
    Ok(Acknowledgement {
        binding_id: item.binding_id.clone(),
        correlation_id: correlation_id.map(str::to_owned),
        created_at: now,
        id: w.connection.last_insert_rowid(),
        notification_id: item.id,
        payload: payload.clone(),
        role: item.target_session_role,
        status,
        task_id: item.task_id.clone(),
    })
}

/// What was said about an item, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn acknowledgements(r: Read<'_>, notification_id: i64) -> Result<Vec<Acknowledgement>> {
    let mut statement = r.connection.prepare_cached(
        "select id, task_id, binding_id, notification_id, role, status, payload_json, created_at, correlation_id
         from notification_acknowledgements
         where notification_id = :id
         order by id",
    )?;
    let rows = statement.query_map(named_params! { ":id": notification_id }, |row| {
        Ok(Acknowledgement {
            binding_id: row.get("binding_id")?,
            correlation_id: row.get("correlation_id")?,
            created_at: row.get("created_at")?,
            id: row.get("id")?,
            notification_id: row.get("notification_id")?,
            payload: convert::json(row, "payload_json")?,
            role: row.get("role")?,
            status: row.get("status")?,
            task_id: row.get("task_id")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests;
