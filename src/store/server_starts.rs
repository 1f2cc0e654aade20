//! Rows of `codex_server_failures`: Codex homes whose background server could not be started the last time.

use rusqlite::{OptionalExtension as _, named_params};

use super::{Read, Result, Write};
use crate::base::Timestamp;

/// A start that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// When.
    pub at: Timestamp,
    /// Why, in Codex's words.
    pub why: String,
}

/// Writes down how a start of the server of this home ended: `failed` says why it did not start. One that started takes
/// an earlier failure away.
///
/// # Errors
/// SQLite's own error.
pub fn note(w: &Write<'_>, home: &str, failed: Option<&str>, now: Timestamp) -> Result<()> {
    match failed {
        Some(why) => w
            .connection
            .prepare_cached(
                "insert into codex_server_failures (codex_home, failed_at, error) values (:home, :now, :why)
                 on conflict (codex_home) do update set failed_at = excluded.failed_at, error = excluded.error",
            )?
            .execute(named_params! { ":home": home, ":now": now, ":why": why })?,
        None => w
            .connection
            .prepare_cached("delete from codex_server_failures where codex_home = :home")?
            .execute(named_params! { ":home": home })?,
    };
    Ok(())
}

/// The last start of the server of this home, if it failed.
///
/// # Errors
/// SQLite's own error.
pub fn failed(r: Read<'_>, home: &str) -> Result<Option<Failed>> {
    let mut statement =
        r.connection.prepare_cached("select failed_at, error from codex_server_failures where codex_home = :home")?;
    let failed = |row: &rusqlite::Row<'_>| Ok(Failed { at: row.get("failed_at")?, why: row.get("error")? });
    Ok(statement.query_row(named_params! { ":home": home }, failed).optional()?)
}
