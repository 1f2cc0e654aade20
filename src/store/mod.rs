//! The SQLite ledger: the only layer that knows SQL.
//!
//! [`Store::read`] and [`Store::write`] hand out [`Read`] and [`Write`]; every function that changes rows takes a
//! `&Write`, so nothing can be changed outside an immediate transaction. One file per aggregate holds all SQL for
//! its tables.

pub mod acknowledgements;
pub mod attempts;
pub mod audit;
pub mod bindings;
pub mod board;
pub mod budgets;
pub mod claims;
pub mod codex_state;
pub mod commands;
pub mod continuations;
mod convert;
pub mod criteria;
pub mod cycles;
pub mod decisions;
pub mod deliveries;
pub mod dispatchers;
pub mod epilogues;
mod error;
pub mod events;
pub mod handoffs;
pub mod health;
pub mod inbox;
pub mod manager_configs;
pub mod marks;
mod open;
pub mod questions;
pub mod rollouts;
mod schema;
pub mod sensors;
pub mod server_starts;
pub mod sessions;
pub mod signals;
pub mod statuses;
pub mod tasks;
pub mod typed;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use error::Error;
pub use open::{Access, Opening, Safety};
pub use schema::SCHEMA_VERSION;

type Result<T, E = Error> = std::result::Result<T, E>;

/// An open ledger. Shared between threads; one transaction of this process writes at a time.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// The file that was opened; none for a ledger in memory.
    file: Option<FileId>,
    connection: Mutex<Connection>,
    /// Reads of a process that also watches (the cockpit) do not wait behind its own writes.
    reader: Option<Mutex<Connection>>,
    rehearsal: bool,
}

/// A read transaction: one consistent snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Read<'c> {
    connection: &'c Connection,
}

#[cfg(test)]
impl Read<'_> {
    /// How SQLite goes about a statement, step by step. What no value was given to is null.
    fn plan(self, sql: &str) -> Vec<String> {
        let mut statement = self.connection.prepare(&format!("explain query plan {sql}")).unwrap();
        let mut rows = statement.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get("detail").unwrap());
        }
        steps
    }
}

#[cfg(test)]
impl Store {
    /// A ledger with one session, worker `w1` with the id `s`, in this state.
    fn with_session(state: crate::model::session::Registration) -> Self {
        use crate::{
            base::Timestamp,
            model::session::{Role, Session},
        };
        let store = Self::memory().unwrap();
        let at = Timestamp::from_millis(0);
        let (id, name, token) = ("s".to_owned(), "w1".to_owned(), "t".to_owned());
        let session = Session { state, ..Session::new(id, name, Role::Worker, token, at) };
        store.write(|w| sessions::save(w, &session)).unwrap();
        store
    }

    /// [`Read::plan`] of a statement that stands alone.
    fn plan(&self, sql: &str) -> Vec<String> {
        self.read(|r| Ok::<_, Error>(r.plan(sql))).unwrap()
    }
}

/// A write transaction, `BEGIN IMMEDIATE`.
#[derive(Debug)]
pub struct Write<'c> {
    connection: &'c Connection,
}

impl<'c> Write<'c> {
    /// Reads inside this transaction.
    #[must_use]
    pub fn read(&self) -> Read<'c> {
        Read { connection: self.connection }
    }
}

impl Store {
    /// Opens the ledger at `path`.
    ///
    /// # Errors
    /// [`Error::Missing`] unless the access allows creating it; [`Error::Newer`], [`Error::Predecessor`] and
    /// [`Error::Foreign`] leave the file untouched.
    pub fn open(path: &Path, opening: Opening) -> Result<Self> {
        let connection = open::connect(path, opening)?;
        let file = FileId::of(path);
        Ok(Self { path: path.to_owned(), file, connection: Mutex::new(connection), reader: None, rehearsal: false })
    }

    /// Whether the file that was opened still lies where it was opened.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.file.is_none() || self.file == FileId::of(&self.path)
    }

    /// A ledger in memory, for tests.
    ///
    /// # Errors
    /// Only when SQLite itself fails.
    pub fn memory() -> Result<Self> {
        let connection = open::in_memory()?;
        let (path, connection) = (PathBuf::from(":memory:"), Mutex::new(connection));
        Ok(Self { path, file: None, connection, reader: None, rehearsal: false })
    }

    /// Takes everything out of a ledger in memory but what its schema has put there: as good as a new one, and its
    /// statements stay prepared. What keeps rows from being removed is gone from then on.
    #[cfg(test)]
    pub(crate) fn clear(&self) -> Result<()> {
        let connection = lock(&self.connection);
        let names = |what: &str| -> Result<Vec<String>> {
            let mut names = connection.prepare_cached(what)?;
            let names = names.query_map([], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        for trigger in names("select name from sqlite_schema where type = 'trigger' and sql like '%before delete%'")? {
            connection.execute_batch(&format!("drop trigger {trigger}"))?;
        }
        let mut tables = names("select name from sqlite_schema where type = 'table' and name <> 'schema_migrations'")?;
        // What others refer to goes after them; these two refer to each other.
        connection.prepare_cached("update session_signals set notification_id = null")?.execute([])?;
        while !tables.is_empty() {
            let before = tables.len();
            let mut failure = None;
            tables.retain(|table| {
                let deleted =
                    connection.prepare_cached(&format!("delete from {table}")).and_then(|mut all| all.execute([]));
                deleted.map_err(|error| failure = Some(error)).is_err()
            });
            if let Some(error) = failure.filter(|_| tables.len() == before) {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// How many rows this connection has changed so far.
    #[cfg(test)]
    pub(crate) fn changes(&self) -> u64 {
        lock(&self.connection).total_changes()
    }

    /// Gives reads a connection of their own, for whoever watches while it writes. The ledger must lie in a file.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with_reader(mut self, opening: Opening) -> Result<Self> {
        let opening = Opening { access: Access::Read, ..opening };
        self.reader = Some(Mutex::new(open::connect(&self.path, opening)?));
        Ok(self)
    }

    /// Makes every write transaction end in a rollback: all checks run, nothing stays (`--dry-run`).
    #[must_use]
    pub fn rehearse(mut self) -> Self {
        self.rehearsal = true;
        self
    }

    /// The ledger file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on one consistent snapshot; waits at most a second for it. Keep it short: a snapshot holds back the log's checkpoint.
    ///
    /// # Errors
    /// What `work` returns, or SQLite's own error.
    pub fn read<T, E: From<Error>>(&self, work: impl FnOnce(Read<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = lock(self.reader.as_ref().unwrap_or(&self.connection));
        let transaction = snapshot(&mut connection)?;
        work(Read { connection: &transaction })
    }

    /// Runs `work` in an immediate transaction, waiting at most ten seconds for other writers; commits when it returns `Ok`, else nothing has happened.
    ///
    /// # Errors
    /// What `work` returns, or SQLite's own error.
    pub fn write<T, E: From<Error>>(&self, work: impl FnOnce(&Write<'_>) -> Result<T, E>) -> Result<T, E> {
        self.write_on(&mut lock(&self.connection), work)
    }

    fn write_on<T, E: From<Error>>(
        &self,
        connection: &mut MutexGuard<'_, Connection>,
        work: impl FnOnce(&Write<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        connection.busy_timeout(open::WRITE_PATIENCE).map_err(Error::from)?;
        let transaction = begin(connection, TransactionBehavior::Immediate)?;
        let value = work(&Write { connection: &transaction })?;
        if self.rehearsal {
            transaction.rollback().map_err(Error::from)?;
        } else {
            transaction.commit().map_err(Error::from)?;
        }
        Ok(value)
    }

    /// As [`Store::write`], and what was committed is on the disk when this returns: it survives a power loss. For what
    /// was promised to somebody; what can be read again elsewhere does without.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_durably<T, E: From<Error>>(&self, work: impl FnOnce(&Write<'_>) -> Result<T, E>) -> Result<T, E> {
        // There is no disk below a ledger in memory.
        if self.file.is_none() {
            return self.write(work);
        }
        // Held throughout: another thread that ends a write of its own would lower the level before this one commits.
        let mut connection = lock(&self.connection);
        connection.pragma_update(None, "synchronous", "full").map_err(Error::from)?;
        let done = self.write_on(&mut connection, work);
        // What was committed stays committed, also when the connection has failed since.
        let _ = connection.pragma_update(None, "synchronous", "normal");
        done
    }

    /// A mark that moves whenever another connection, in this or any process, has committed, and with the file.
    ///
    /// # Errors
    /// SQLite's own error.
    pub fn change_mark(&self) -> Result<ChangeMark> {
        let connection = lock(self.reader.as_ref().unwrap_or(&self.connection));
        let mut statement = connection.prepare_cached("pragma data_version")?;
        let version = statement.query_row([], |row| row.get(0))?;
        Ok(ChangeMark { file: self.file, version })
    }
}

/// What [`Store::change_mark`] gives, to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeMark {
    file: Option<FileId>,
    version: i64,
}

impl ChangeMark {
    /// Whether the two marks come from different files: the ledger was replaced between them.
    #[must_use]
    pub fn is_of_another_file(self, other: Self) -> bool {
        self.file != other.file
    }
}

/// What tells one file from another at the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// None when there is no file.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Begins a read transaction and takes its snapshot at once. Whoever opened the ledger first does not decide how long
/// others wait: only the snapshot is waited for, and that shortly.
fn snapshot<'c>(connection: &'c mut MutexGuard<'_, Connection>) -> Result<Transaction<'c>> {
    connection.busy_timeout(open::READ_PATIENCE)?;
    let transaction = begin(connection, TransactionBehavior::Deferred)?;
    transaction.prepare_cached("pragma user_version")?.query_row([], |_| Ok(()))?;
    transaction.busy_timeout(open::WRITE_PATIENCE)?;
    Ok(transaction)
}

fn begin<'c>(connection: &'c mut MutexGuard<'_, Connection>, behavior: TransactionBehavior) -> Result<Transaction<'c>> {
    Ok(connection.transaction_with_behavior(behavior)?)
}

/// A poisoned lock only says that another thread panicked; its transaction was rolled back when it unwound.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::base::Timestamp;

    fn opening(access: Access) -> Opening {
        Opening { access, safety: Safety::Forced, now: Timestamp::from_millis(0) }
    }

    #[test]
    fn a_write_is_patient_whoever_opened_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.db");
        drop(Store::open(&path, opening(Access::Create)).unwrap());
        let store = Store::open(&path, opening(Access::Read)).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("begin immediate").unwrap();
        let (held, holder) = (Duration::from_millis(1_500), Instant::now());
        let release = std::thread::spawn(move || {
            std::thread::sleep(held);
            other.execute_batch("rollback").unwrap();
        });
        store.write(|_| Ok::<_, Error>(())).unwrap();
        assert!(holder.elapsed() >= held, "the write has waited");
        release.join().unwrap();
    }

    #[test]
    fn what_is_written_durably_is_on_the_disk_whoever_else_writes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("l.db"), opening(Access::Create)).unwrap();
        let level =
            |w: &Write<'_>| Ok::<i64, Error>(w.connection.query_row("pragma synchronous", [], |row| row.get(0))?);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        assert_eq!(store.write_durably(level).unwrap(), 2);
                    }
                });
            }
        });
        assert_eq!(store.write(level).unwrap(), 1);
    }

    /// Whoever closes a ledger that nobody else has locked moves its log and removes it.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_ledger_that_is_opened_again_stays_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.db");
        let store = Store::open(&path, opening(Access::Create)).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let is_locked = || {
            store.change_mark().unwrap();
            let locks = fs::read_to_string("/proc/locks").unwrap();
            let (own, place) = (format!(" READ {} ", std::process::id()), format!(":{inode} "));
            locks.lines().any(|lock| lock.contains("POSIX") && lock.contains(&own) && lock.contains(&place))
        };
        assert!(is_locked(), "as soon as it is open");
        let again = Store::open(&path, opening(Access::Write)).unwrap().with_reader(opening(Access::Read)).unwrap();
        assert!(is_locked(), "when it was opened twice more");
        drop(again);
        assert!(is_locked(), "when the others were closed");
    }

    #[test]
    fn a_reader_of_its_own_goes_on_during_a_write_and_notices_its_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.db");
        let store = Store::open(&path, opening(Access::Create)).unwrap().with_reader(opening(Access::Write)).unwrap();
        let before = store.change_mark().unwrap();
        store
            .write(|w| {
                w.connection.execute("insert into schema_migrations (version, applied_at) values (7, 'x')", [])?;
                let count = |r: Read<'_>| {
                    r.connection.query_row("select count(*) from schema_migrations", [], |row| row.get(0))
                };
                let (inside, outside): (i64, i64) = (count(w.read())?, store.read(|r| Ok::<_, Error>(count(r)?))?);
                assert_eq!(inside, outside + 1);
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_ne!(store.change_mark().unwrap(), before);
    }
}
