//! Rows of `typed_messages` and `installation`: what is typed into panes for commands, under which number, and from
//! where on its echo counts. Written before anything is typed.

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Read, Result, Write, commands, convert};
use crate::{
    base::{Moment, Timestamp},
    model::delivery::Phase,
};

/// How this ledger marks the panes that it types into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Its name.
    pub name: String,
    /// The last number that was given to a text; 0 when none was.
    pub last_number: u64,
}

/// This ledger's marks; the first one to ask gives them the name `fresh`.
///
/// # Errors
/// SQLite's own error.
pub fn installation(w: &Write<'_>, fresh: &str) -> Result<Installation> {
    w.connection
        .prepare_cached("insert into installation (id, name) values (1, :name) on conflict (id) do nothing")?
        .execute(named_params! { ":name": fresh })?;
    known_installation(w.read())?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

/// This ledger's marks; none when it never typed anything.
///
/// # Errors
/// SQLite's own error.
pub fn known_installation(r: Read<'_>) -> Result<Option<Installation>> {
    let mut statement = r.connection.prepare_cached("select name, last_number from installation where id = 1")?;
    let row =
        |row: &Row<'_>| Ok(Installation { name: row.get("name")?, last_number: convert::count(row, "last_number")? });
    Ok(statement.query_row([], row).optional()?)
}

fn next_number(w: &Write<'_>) -> Result<i64> {
    Ok(w.connection
        .prepare_cached("update installation set last_number = last_number + 1 where id = 1 returning last_number")?
        .query_row([], |row| row.get("last_number"))?)
}

/// A text that is or was to be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedMessage {
    /// The command.
    pub command_id: String,
    /// The session it is for.
    pub session_id: String,
    /// What the pane counts; a text that is put there once more gets another.
    pub number: u64,
    /// What it ends with.
    pub marker: String,
    /// SHA-256 of the whole text, as hex.
    pub text_sha256: String,
    /// The text without header and marker.
    pub body: String,
    /// The thread in which its echo counts; none when it was not known.
    pub thread_id: Option<String>,
    /// The rollout in which it counts from [`Self::echo_from_offset`] on; none when Codex had written none.
    pub rollout_path: Option<String>,
    /// The first byte that had not been taken when it was to be typed.
    pub echo_from_offset: u64,
    /// The tmux server; none is the user's default.
    pub tmux_socket: Option<String>,
    /// The pane.
    pub pane_id: String,
    /// The process in it.
    pub pane_pid: i64,
    /// Start time of that process.
    pub pane_pid_start: i64,
    /// The boot in which it was to be typed.
    pub boot_id: String,
    /// The message in the inbox to which the text is only a pointer.
    pub notification_id: Option<i64>,
}

const COLUMNS: &str = "command_id, session_id, number, marker, text_sha256, body, thread_id, rollout_path,
    echo_from_offset, tmux_socket, pane_id, pane_pid, pane_pid_start, boot_id, notification_id";

fn message(row: &Row<'_>) -> rusqlite::Result<TypedMessage> {
    Ok(TypedMessage {
        command_id: row.get("command_id")?,
        session_id: row.get("session_id")?,
        number: convert::count(row, "number")?,
        marker: row.get("marker")?,
        text_sha256: row.get("text_sha256")?,
        body: row.get("body")?,
        thread_id: row.get("thread_id")?,
        rollout_path: row.get("rollout_path")?,
        echo_from_offset: convert::count(row, "echo_from_offset")?,
        tmux_socket: row.get("tmux_socket")?,
        pane_id: row.get("pane_id")?,
        pane_pid: row.get("pane_pid")?,
        pane_pid_start: row.get("pane_pid_start")?,
        boot_id: row.get("boot_id")?,
        notification_id: row.get("notification_id")?,
    })
}

/// What is typed for a command; none when nothing ever was to be.
///
/// # Errors
/// SQLite's own error.
pub fn of(r: Read<'_>, command_id: &str) -> Result<Option<TypedMessage>> {
    let sql = format!("select {COLUMNS} from typed_messages where command_id = :id");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": command_id }, message).optional()?)
}

// From the few that wait to what was typed of them, never through every text ever typed. A pointer may tell of another
// command's message, so its command tells nothing here.
const UNREAD_POINTER: &str = "select exists (
    select 1 from routed_notifications as n
    join typed_messages as t on t.notification_id = n.id
    where n.target_session_id = :session and n.state = 'delivered' and n.consumed_at is null
      and t.session_id = :session)";

/// Whether a pointer was typed to a message that its session has not confirmed.
///
/// # Errors
/// SQLite's own error.
pub fn has_unread_pointer(r: Read<'_>, session_id: &str) -> Result<bool> {
    let mut statement = r.connection.prepare_cached(UNREAD_POINTER)?;
    Ok(statement.query_row(named_params! { ":session": session_id }, |row| row.get(0))?)
}

/// The text that ends with this marker.
///
/// # Errors
/// SQLite's own error.
pub fn by_marker(r: Read<'_>, marker: &str) -> Result<Option<TypedMessage>> {
    let sql = format!("select {COLUMNS} from typed_messages where marker = :marker");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":marker": marker }, message).optional()?)
}

/// Records a text that is to be typed now, in place of an earlier one for the same command, and gives it the next
/// number; whatever `number` says counts for nothing.
///
/// # Errors
/// SQLite's own error, also when [`installation`] was never asked for.
pub fn begin(w: &Write<'_>, new: &TypedMessage, now: Timestamp) -> Result<TypedMessage> {
    let number = next_number(w)?;
    w.connection
        .prepare_cached(
            "insert into typed_messages (command_id, session_id, number, marker, text_sha256, body, thread_id,
                rollout_path, echo_from_offset, tmux_socket, pane_id, pane_pid, pane_pid_start, boot_id,
                notification_id, created_at)
             values (:command_id, :session_id, :number, :marker, :text_sha256, :body, :thread_id,
                :rollout_path, :offset, :tmux_socket, :pane_id, :pane_pid, :pane_pid_start, :boot_id,
                :notification_id, :now)
             on conflict (command_id) do update set
                session_id = excluded.session_id, number = excluded.number, marker = excluded.marker,
                text_sha256 = excluded.text_sha256, body = excluded.body, thread_id = excluded.thread_id,
                rollout_path = excluded.rollout_path, echo_from_offset = excluded.echo_from_offset,
                tmux_socket = excluded.tmux_socket, pane_id = excluded.pane_id, pane_pid = excluded.pane_pid,
                pane_pid_start = excluded.pane_pid_start, boot_id = excluded.boot_id,
                notification_id = excluded.notification_id, created_at = excluded.created_at",
        )?
        .execute(named_params! {
            ":command_id": new.command_id,
            ":session_id": new.session_id,
            ":number": number,
            ":marker": new.marker,
            ":text_sha256": new.text_sha256,
            ":body": new.body,
            ":thread_id": new.thread_id,
            ":rollout_path": new.rollout_path,
            ":offset": convert::stored(new.echo_from_offset)?,
            ":tmux_socket": new.tmux_socket,
            ":pane_id": new.pane_id,
            ":pane_pid": new.pane_pid,
            ":pane_pid_start": new.pane_pid_start,
            ":boot_id": new.boot_id,
            ":notification_id": new.notification_id,
            ":now": now,
        })?;
    of(w.read(), &new.command_id)?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

/// Gives a text that was lost the next number, so that it can be put into the composer once more; that number.
///
/// # Errors
/// SQLite's own error.
pub fn renumber(w: &Write<'_>, command_id: &str) -> Result<u64> {
    let number = next_number(w)?;
    w.connection
        .prepare_cached("update typed_messages set number = :number where command_id = :id")?
        .execute(named_params! { ":id": command_id, ":number": number })?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// Notes in a command's result what became of its pointer, or of its altered text.
///
/// # Errors
/// SQLite's own error.
pub fn note(w: &Write<'_>, command_id: &str, result: &serde_json::Value) -> Result<()> {
    w.connection
        .prepare_cached("update commands set result_json = :result where id = :id")?
        .execute(named_params! { ":id": command_id, ":result": convert::json_text(result)? })?;
    Ok(())
}

/// A typed message whose fate is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The command.
    pub command_id: String,
    /// Whom it is for.
    pub target_session_id: String,
    /// How far it has come.
    pub phase: Phase,
    /// The dispatcher that holds it.
    pub claimed_by: Option<String>,
    /// How many have vanished with it in hand, one after the other.
    pub crash_count: i64,
    /// Nobody holds it, or the lease is over.
    pub is_due: bool,
    /// For how long its time has been over, in milliseconds; none when it is not.
    pub over_for: Option<i64>,
}

const OPEN: &str = "select id, target_session_id, phase, claimed_by, crash_count,
    (boot_id <> :boot_id or available_uptime <= :uptime) as is_due,
    case when boot_id = :boot_id then :uptime - coalesce(expires_uptime, begun_uptime + :under_way) end as over_for
  from commands indexed by commands_typed
  where lane = 'tmux' and phase in ('started', 'staged', 'submitted')
  order by seq";

/// Typed messages whose fate is open, in the order in which they were accepted.
///
/// # Errors
/// SQLite's own error.
pub fn open(r: Read<'_>, now: &Moment) -> Result<Vec<Open>> {
    let mut statement = r.connection.prepare_cached(OPEN)?;
    let rows = statement.query_map(
        named_params! { ":boot_id": now.boot_id, ":uptime": now.uptime, ":under_way": commands::UNDER_WAY },
        |row| {
            Ok(Open {
                command_id: row.get("id")?,
                target_session_id: row.get("target_session_id")?,
                phase: row.get("phase")?,
                claimed_by: row.get("claimed_by")?,
                crash_count: row.get("crash_count")?,
                is_due: row.get("is_due")?,
                over_for: row.get::<_, Option<i64>>("over_for")?.filter(|over_for| *over_for >= 0),
            })
        },
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Texts that may just be on their way into a composer: marker and fence, by which their paste buffers are named.
///
/// # Errors
/// SQLite's own error.
pub fn under_way(r: Read<'_>) -> Result<Vec<(String, u64)>> {
    let mut statement = r.connection.prepare_cached(
        "select t.marker, c.fence
         from commands as c indexed by commands_typed
         join typed_messages as t on t.command_id = c.id
         where c.lane = 'tmux' and c.phase in ('started', 'staged', 'submitted') and c.phase = 'started'",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get("marker")?, convert::count(row, "fence")?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn an_unread_pointer_is_found_from_what_waits_in_the_inbox() {
        let store = Store::memory().unwrap();
        let steps = store.plan(UNREAD_POINTER);
        let searches: Vec<&str> = steps.iter().map(String::as_str).filter(|step| step.contains("INDEX")).collect();
        let expected = [
            "SEARCH n USING INDEX routed_notifications_waiting (target_session_id=?)",
            "SEARCH t USING INDEX typed_messages_pointers (notification_id=?)",
        ];
        assert_eq!((searches.as_slice(), steps.iter().any(|step| step.starts_with("SCAN t"))), (&expected[..], false));
    }
}
