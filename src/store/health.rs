//! What can be said about the soundness of a ledger: its settings, its schema, its references, its pages.
//!
//! Everything here reads. A damaged ledger makes single questions fail, so each is a function of its own.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use super::{Read, Result, open, schema};

pub use super::schema::SCHEMA_VERSION;

/// "CVYR" as a number: what `pragma application_id` must say.
pub const APPLICATION_ID: i64 = schema::APPLICATION_ID;

/// The SQLite library that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library {
    /// Its version.
    pub version: &'static str,
    /// It is recent enough for the write-ahead log to be safe.
    pub is_safe: bool,
}

/// The SQLite library that is built in.
#[must_use]
pub fn library() -> Library {
    Library { version: rusqlite::version(), is_safe: rusqlite::version_number() >= open::SQLITE_FLOOR }
}

/// Refuses a file system on which a ledger does not work. `path` must exist.
///
/// # Errors
/// [`super::Error::UnsafePlace`], which says why.
pub fn check_file_system(path: &Path) -> Result<()> {
    open::check_file_system(path)
}

/// Settings of the connection and numbers of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// References are enforced when 1.
    pub foreign_keys: i64,
    /// `wal` when readers do not wait for writers.
    pub journal_mode: String,
    /// How long a lock is waited for, in milliseconds.
    pub busy_timeout: i64,
    /// The schema version in the file's header.
    pub user_version: i64,
    /// Which program the file belongs to.
    pub application_id: i64,
}

/// Settings of the connection and numbers of the file.
///
/// # Errors
/// SQLite's own error.
pub fn settings(r: Read<'_>) -> Result<Settings> {
    let number = |sql: &str| r.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(Settings {
        foreign_keys: number("pragma foreign_keys")?,
        journal_mode: r.connection.query_row("pragma journal_mode", [], |row| row.get(0))?,
        busy_timeout: number("pragma busy_timeout")?,
        user_version: number("pragma user_version")?,
        application_id: number("pragma application_id")?,
    })
}

/// The newest version on record in `schema_migrations`.
///
/// # Errors
/// SQLite's own error, also when the table is missing.
pub fn recorded_version(r: Read<'_>) -> Result<Option<i64>> {
    Ok(r.connection.query_row("select max(version) from schema_migrations", [], |row| row.get(0))?)
}

/// A kind of thing in a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Tables.
    Table,
    /// Indexes.
    Index,
    /// Triggers.
    Trigger,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Part::Table => "table",
            Part::Index => "index",
            Part::Trigger => "trigger",
        }
    }
}

/// How the schema of a ledger differs from the one this program makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    missing: Vec<(String, String)>,
    changed: Vec<(String, String)>,
    /// Names of things that this program did not make, sorted.
    pub unknown: Vec<String>,
}

impl Differences {
    /// Names of what is not there, sorted.
    #[must_use]
    pub fn missing(&self, part: Part) -> Vec<&str> {
        names(&self.missing, part)
    }

    /// Names of what is defined otherwise, sorted.
    #[must_use]
    pub fn changed(&self, part: Part) -> Vec<&str> {
        names(&self.changed, part)
    }
}

fn names(of: &[(String, String)], part: Part) -> Vec<&str> {
    of.iter().filter(|(kind, _)| kind == part.word()).map(|(_, name)| name.as_str()).collect()
}

/// Compares names and definitions with a fresh schema.
///
/// # Errors
/// SQLite's own error.
pub fn schema_differences(r: Read<'_>) -> Result<Differences> {
    let fresh = open::in_memory()?;
    let expected = definitions(&fresh)?;
    let found = definitions(r.connection)?;
    let mut differences = Differences::default();
    for (key, sql) in &expected {
        match found.get(key) {
            None => differences.missing.push(key.clone()),
            Some(other) if other != sql => differences.changed.push(key.clone()),
            Some(_) => {}
        }
    }
    differences.unknown =
        found.keys().filter(|key| !expected.contains_key(*key)).map(|(_, name)| name.clone()).collect();
    differences.unknown.sort_unstable();
    Ok(differences)
}

/// Definitions by kind and name, white space aside.
fn definitions(connection: &rusqlite::Connection) -> Result<BTreeMap<(String, String), String>> {
    let mut statement = connection.prepare(
        "select type, name, sql
         from sqlite_master
         where name not like 'sqlite\\_%' escape '\\'",
    )?;
    let rows = statement.query_map([], |row| {
        let sql: Option<String> = row.get("sql")?;
        let plain = sql.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(((row.get("type")?, row.get("name")?), plain))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A row that refers to a row that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenReference {
    /// The table of the row.
    pub table: String,
    /// The row; none in a table without row ids.
    pub rowid: Option<i64>,
    /// The table it refers to.
    pub parent: String,
    /// Number of the reference in the table's definition.
    pub fkid: i64,
}

/// Rows that refer to rows that do not exist, at most `limit`.
///
/// # Errors
/// SQLite's own error.
pub fn broken_references(r: Read<'_>, limit: u32) -> Result<Vec<BrokenReference>> {
    let mut statement = r.connection.prepare(
        "select \"table\", rowid, parent, fkid
         from pragma_foreign_key_check
         limit ?1",
    )?;
    let rows = statement.query_map([limit], |row| {
        Ok(BrokenReference { table: row.get(0)?, rowid: row.get(1)?, parent: row.get(2)?, fkid: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Damage of the file's pages, in SQLite's words and at most `limit` of them; empty when it is sound.
///
/// Reads the whole file.
///
/// # Errors
/// SQLite's own error, when the damage keeps it from looking.
pub fn damage(r: Read<'_>, limit: u32) -> Result<Vec<String>> {
    let mut statement = r.connection.prepare(&format!("pragma quick_check({limit})"))?;
    let rows = statement.query_map([], |row| row.get(0))?;
    let lines: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(if lines == ["ok"] { Vec::new() } else { lines })
}
