//! Creates and upgrades the schema, and says what a ledger file is before anything touches it.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, TransactionBehavior, named_params};

use super::{Error, Result};

/// The schema version this program writes. Versions of ours start at 100; the predecessor's end at 26.
pub const SCHEMA_VERSION: i64 = 101;

/// "CVYR", so that `file` and other tools can tell a ledger from any other database.
pub(super) const APPLICATION_ID: i64 = 0x4356_5952;

const FIRST_VERSION: i64 = 100;

/// What makes up the schema: `(version it leads to, SQL)`, in order, each from the version before it. A fresh ledger
/// takes them all. A step that was released is never changed.
const STEPS: &[(i64, &str)] = &[(FIRST_VERSION, include_str!("sql/100.sql")), (101, include_str!("sql/101.sql"))];

/// What stands in a database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Empty,
    /// A ledger of ours that needs steps.
    Old(i64),
    /// A ledger of this version.
    Current,
}

/// Refuses foreign files by their header alone, before SQLite opens them: opening may already move a log.
pub(super) fn check_header(path: &Path) -> Result<()> {
    let read_error = |source| Error::Io { action: "read", path: path.to_owned(), source };
    // What was read decides, not the length a moment later: another process may be creating it just now.
    let header = read_header(path).map_err(read_error)?;
    if header.is_empty() {
        return Ok(());
    }
    let Ok(header) = <[u8; 100]>::try_from(header) else { return Err(foreign(path, "it is no database")) };
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(foreign(path, "it is no database"));
    }
    let number =
        |at: usize| i64::from(i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    // Zero means that the first write may still be in the log; SQLite will tell after opening.
    match number(60) {
        0 => Ok(()),
        version => check_version(path, version, number(68)).map(|_| ()),
    }
}

/// The files whose headers were read. A process loses its locks on a file when it closes any descriptor of it, also
/// those of its open connections; other programs would then take the ledger for unused, and remove its log on closing.
/// So these stay open until their file is gone.
static HEADERS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// The first hundred bytes of a file, or what it has of them.
fn read_header(path: &Path) -> io::Result<Vec<u8>> {
    let mut files = HEADERS.lock().unwrap_or_else(PoisonError::into_inner);
    files.retain(|file| file.metadata().is_ok_and(|about| about.nlink() > 0));
    let wanted = fs::metadata(path)?;
    let is_wanted = |about: Metadata| (about.dev(), about.ino()) == (wanted.dev(), wanted.ino());
    let known = files.iter().position(|file| file.metadata().is_ok_and(is_wanted));
    let place = match known {
        Some(place) => place,
        None => {
            files.push(File::open(path)?);
            files.len() - 1
        }
    };
    let mut file = &files[place];
    file.seek(SeekFrom::Start(0))?;
    let mut header = Vec::with_capacity(100);
    file.take(100).read_to_end(&mut header)?;
    Ok(header)
}

fn foreign(path: &Path, reason: &str) -> Error {
    Error::Foreign { path: path.to_owned(), reason: reason.to_owned() }
}

fn check_version(path: &Path, version: i64, application_id: i64) -> Result<Found> {
    match version {
        FIRST_VERSION.. if application_id != APPLICATION_ID => Err(foreign(path, "another program made it")),
        SCHEMA_VERSION => Ok(Found::Current),
        version if version > SCHEMA_VERSION => Err(Error::Newer { found: version }),
        version if version >= FIRST_VERSION => Ok(Found::Old(version)),
        version if version > 0 => Err(Error::Predecessor { found: version }),
        _ => Err(foreign(path, "its schema version makes no sense")),
    }
}

/// Says what an open connection holds, from one snapshot: another process may be creating it just now.
pub(super) fn look(connection: &mut Connection, path: &Path) -> Result<Found> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    inspect(&transaction, path)
}

/// The same inside a transaction.
fn inspect(connection: &Connection, path: &Path) -> Result<Found> {
    let version: i64 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
    if version != 0 {
        let application_id: i64 = connection.query_row("pragma application_id", [], |row| row.get(0))?;
        return check_version(path, version, application_id);
    }
    let tables: i64 =
        connection
            .query_row("select count(*) from sqlite_master where name not like 'sqlite_%'", [], |row| row.get(0))?;
    if tables == 0 { Ok(Found::Empty) } else { Err(foreign(path, "it holds tables of another program")) }
}

/// Creates the schema or runs the missing steps, all or nothing. The version is read again inside the
/// transaction, because another process may have been faster.
pub(super) fn bring_up(connection: &mut Connection, path: &Path, now: &str) -> Result<()> {
    without_foreign_keys(connection, |transaction| {
        match inspect(transaction, path)? {
            Found::Current => {}
            Found::Empty => {
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                run_steps(transaction, STEPS, 0, now)?;
            }
            Found::Old(found) => run_steps(transaction, STEPS, found, now)?,
        }
        Ok(())
    })
}

/// Runs `work` in one transaction in which a step may rebuild a table that others refer to. The switch has no effect
/// inside a transaction; while it is on, dropping the old table would take the rows along that refer to it.
fn without_foreign_keys(connection: &mut Connection, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let done = in_transaction(connection, work);
    connection.pragma_update(None, "foreign_keys", true)?;
    done
}

fn in_transaction(connection: &mut Connection, work: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    work(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn run_steps(transaction: &Connection, steps: &[(i64, &str)], found: i64, now: &str) -> Result<()> {
    for (version, sql) in steps.iter().filter(|(version, _)| *version > found) {
        transaction.execute_batch(sql)?;
        record(transaction, *version, now)?;
    }
    let broken: i64 = transaction.query_row("select count(*) from pragma_foreign_key_check", [], |row| row.get(0))?;
    if broken > 0 {
        return Err(Error::Corrupt(format!("{broken} rows refer to rows that do not exist")));
    }
    Ok(())
}

fn record(transaction: &Connection, version: i64, now: &str) -> Result<()> {
    transaction.execute(
        "insert into schema_migrations (version, applied_at) values (:version, :now)",
        named_params! { ":version": version, ":now": now },
    )?;
    transaction.pragma_update(None, "user_version", version)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_once_in_order_and_all_or_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("create table schema_migrations (version integer primary key, applied_at text)")
            .unwrap();
        let steps = [(101, "create table a (x)"), (102, "create table b (x)")];
        run_steps(&connection, &steps, 101, "now").unwrap();
        let tables: Vec<String> = connection
            .prepare("select name from sqlite_master where name in ('a', 'b')")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(tables, ["b"], "the step behind us is not run again");
        assert!(run_steps(&connection, &[(103, "create table b (x)")], 102, "now").is_err());
    }

    #[test]
    fn a_step_may_rebuild_a_table_that_others_refer_to() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "pragma foreign_keys = on;
                 create table schema_migrations (version integer primary key, applied_at text);
                 create table parent (id integer primary key);
                 create table child (parent_id integer not null references parent (id) on delete cascade);
                 insert into parent values (1);
                 insert into child values (1);",
            )
            .unwrap();
        let rebuild = "create table parent_new (id integer primary key, note text);
                       insert into parent_new (id) select id from parent;
                       drop table parent;
                       alter table parent_new rename to parent;";
        let count = |connection: &Connection| -> i64 {
            connection.query_row("select count(*) from child", [], |row| row.get(0)).unwrap()
        };
        without_foreign_keys(&mut connection, |tx| run_steps(tx, &[(101, rebuild)], 100, "now")).unwrap();
        assert_eq!(count(&connection), 1, "the rows that refer to it are still there");
        let broken = "delete from parent;";
        assert!(without_foreign_keys(&mut connection, |tx| run_steps(tx, &[(102, broken)], 101, "now")).is_err());
        assert!(connection.execute("insert into child values (9)", []).is_err(), "the keys are checked again");
        let (parents, version): (i64, i64) = connection
            .query_row("select count(*), (select max(version) from schema_migrations) from parent", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!((parents, version), (1, 101), "a step that breaks keys has not happened");
    }

    #[test]
    fn steps_lead_to_the_version_of_the_schema() {
        let versions: Vec<i64> = STEPS.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, (FIRST_VERSION..=SCHEMA_VERSION).collect::<Vec<_>>());
    }
}
