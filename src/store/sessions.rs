//! Rows of `sessions`.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, named_params};

use super::{Read, Result, Write, convert};
use crate::base::Timestamp;
use crate::model::session::{Registration, Session};

const COLUMNS: &str =
    "id, name, role, identity_token, tmux_session, tmux_pane_id, tmux_socket, tmux_owned, pane_pid, pane_pid_start,
    codex_session_path, codex_session_id, codex_app_thread_id, codex_app_thread_title, codex_version, codex_home,
    sandbox, approval, model, pid, pid_start, cwd, registered_at, resumed_at, last_heartbeat_at, state, last_ingest_offset";

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let mut columns = convert::Columns::of(row);
    Ok(Session {
        id: columns.next("id")?,
        name: columns.next("name")?,
        role: columns.next("role")?,
        identity_token: columns.next("identity_token")?,
        tmux_session: columns.next("tmux_session")?,
        tmux_pane_id: columns.next("tmux_pane_id")?,
        tmux_socket: columns.next("tmux_socket")?,
        tmux_owned: columns.next("tmux_owned")?,
        pane_pid: columns.next("pane_pid")?,
        pane_pid_start: columns.next("pane_pid_start")?,
        codex_session_path: columns.next("codex_session_path")?,
        codex_session_id: columns.next("codex_session_id")?,
        codex_app_thread_id: columns.next("codex_app_thread_id")?,
        codex_app_thread_title: columns.next("codex_app_thread_title")?,
        codex_version: columns.next("codex_version")?,
        codex_home: columns.next("codex_home")?,
        sandbox: columns.next("sandbox")?,
        approval: columns.next("approval")?,
        model: columns.next("model")?,
        pid: columns.next("pid")?,
        pid_start: columns.next("pid_start")?,
        cwd: columns.next("cwd")?,
        registered_at: columns.next("registered_at")?,
        resumed_at: columns.next("resumed_at")?,
        last_heartbeat_at: columns.next("last_heartbeat_at")?,
        state: columns.next("state")?,
        last_ingest_offset: columns.next("last_ingest_offset")?,
    })
}

/// The session with this name.
///
/// # Errors
/// SQLite's own error.
pub fn find(r: Read<'_>, name: &str) -> Result<Option<Session>> {
    let sql = format!("select {COLUMNS} from sessions where name = :name");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":name": name }, session).optional()?)
}

/// The session with this id.
///
/// # Errors
/// SQLite's own error.
pub fn by_id(r: Read<'_>, id: &str) -> Result<Option<Session>> {
    let sql = format!("select {COLUMNS} from sessions where id = :id");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": id }, session).optional()?)
}

/// The active session that holds this Codex thread.
///
/// # Errors
/// SQLite's own error.
pub fn by_thread(r: Read<'_>, thread_id: &str) -> Result<Option<Session>> {
    let sql = format!("select {COLUMNS} from sessions where codex_session_id = :id and state = 'active'");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": thread_id }, session).optional()?)
}

/// All sessions in the order of their registration.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>) -> Result<Vec<Session>> {
    let sql = format!("select {COLUMNS} from sessions order by registered_at, rowid");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], session)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Ids of the sessions in force, in the order of their registration.
///
/// # Errors
/// SQLite's own error.
pub fn active_ids(r: Read<'_>) -> Result<Vec<String>> {
    let mut statement =
        r.connection.prepare_cached("select id from sessions where state = :active order by registered_at, rowid")?;
    let rows = statement.query_map(named_params! { ":active": Registration::Active }, |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Why rollouts could not be read at the last try, by session id.
///
/// # Errors
/// SQLite's own error.
pub fn ingest_errors(r: Read<'_>) -> Result<HashMap<String, String>> {
    let mut statement = r
        .connection
        .prepare_cached("select id, last_ingest_error from sessions where last_ingest_error is not null")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds the session, or replaces the record of the one with the same id.
///
/// # Errors
/// [`super::Error::Unique`] when another session has the name.
pub fn save(w: &Write<'_>, s: &Session) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into sessions (id, name, role, identity_token, tmux_session, tmux_pane_id, tmux_socket, tmux_owned,
                pane_pid, pane_pid_start, codex_session_path, codex_session_id, codex_app_thread_id, codex_app_thread_title,
                codex_version, codex_home, sandbox, approval, model, pid, pid_start, cwd, registered_at, resumed_at, last_heartbeat_at, state,
                last_ingest_offset)
             values (:id, :name, :role, :identity_token, :tmux_session, :tmux_pane_id, :tmux_socket, :tmux_owned, :pane_pid,
                :pane_pid_start, :codex_session_path, :codex_session_id, :codex_app_thread_id,
                :codex_app_thread_title, :codex_version, :codex_home, :sandbox, :approval, :model, :pid, :pid_start, :cwd, :registered_at,
                :resumed_at, :last_heartbeat_at, :state, :last_ingest_offset)
             on conflict (id) do update set
                name = excluded.name,
                role = excluded.role,
                tmux_session = excluded.tmux_session,
                tmux_pane_id = excluded.tmux_pane_id,
                tmux_socket = excluded.tmux_socket,
                tmux_owned = excluded.tmux_owned,
                pane_pid = excluded.pane_pid,
                pane_pid_start = excluded.pane_pid_start,
                codex_session_path = excluded.codex_session_path,
                codex_session_id = excluded.codex_session_id,
                codex_app_thread_id = excluded.codex_app_thread_id,
                codex_app_thread_title = excluded.codex_app_thread_title,
                codex_version = excluded.codex_version,
                codex_home = excluded.codex_home,
                sandbox = excluded.sandbox,
                approval = excluded.approval,
                model = excluded.model,
                pid = excluded.pid,
                pid_start = excluded.pid_start,
                cwd = excluded.cwd,
                resumed_at = excluded.resumed_at,
                last_heartbeat_at = excluded.last_heartbeat_at,
                state = excluded.state,
                last_ingest_offset = excluded.last_ingest_offset",
        )?
        .execute(named_params! {
            ":id": s.id,
            ":name": s.name,
            ":role": s.role,
            ":identity_token": s.identity_token,
            ":tmux_session": s.tmux_session,
            ":tmux_pane_id": s.tmux_pane_id,
            ":tmux_socket": s.tmux_socket,
            ":tmux_owned": s.tmux_owned,
            ":pane_pid": s.pane_pid,
            ":pane_pid_start": s.pane_pid_start,
            ":codex_session_path": s.codex_session_path,
            ":codex_session_id": s.codex_session_id,
            ":codex_app_thread_id": s.codex_app_thread_id,
            ":codex_app_thread_title": s.codex_app_thread_title,
            ":codex_version": s.codex_version,
            ":codex_home": s.codex_home,
            ":sandbox": s.sandbox,
            ":approval": s.approval,
            ":model": s.model,
            ":pid": s.pid,
            ":pid_start": s.pid_start,
            ":cwd": s.cwd,
            ":registered_at": s.registered_at,
            ":resumed_at": s.resumed_at,
            ":last_heartbeat_at": s.last_heartbeat_at,
            ":state": s.state,
            ":last_ingest_offset": s.last_ingest_offset,
        })?;
    Ok(())
}

/// Forgets which pane a session had: the pane's number belongs to another pane now.
///
/// # Errors
/// SQLite's own error.
pub fn leave_pane(w: &Write<'_>, id: &str) -> Result<()> {
    w.connection
        .prepare_cached(
            "update sessions set tmux_pane_id = null, pane_pid = null, pane_pid_start = null, tmux_owned = 0
             where id = :id",
        )?
        .execute(named_params! { ":id": id })?;
    Ok(())
}

/// Marks a session active or gone.
///
/// # Errors
/// SQLite's own error.
pub fn set_state(w: &Write<'_>, id: &str, state: Registration, now: Timestamp) -> Result<()> {
    w.connection
        .prepare_cached("update sessions set state = :state, last_heartbeat_at = :now where id = :id")?
        .execute(named_params! { ":id": id, ":state": state, ":now": now })?;
    Ok(())
}
