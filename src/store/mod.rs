//! The SQLite ledger: the only layer that knows SQL.
//!
//! [`Store::read`] and [`Store::write`] hand out [`Read`] and [`Write`]; every function that changes rows takes a
//! `&Write`, so nothing can be changed outside an immediate transaction. One file per aggregate holds all SQL for
//! its tables.

pub mod audit;
pub mod bindings;
pub mod board;
pub mod codex_state;
mod convert;
pub mod cycles;
mod error;
pub mod events;
pub mod health;
mod open;
pub mod rollouts;
mod schema;
pub mod sensors;
pub mod sessions;
pub mod statuses;
pub mod tasks;

use std::{
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
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection), reader: None, rehearsal: false })
    }

    /// A ledger in memory, for tests.
    ///
    /// # Errors
    /// Only when SQLite itself fails.
    pub fn memory() -> Result<Self> {
        let connection = open::in_memory()?;
        Ok(Self { path: PathBuf::from(":memory:"), connection: Mutex::new(connection), reader: None, rehearsal: false })
    }

    /// Gives reads a connection of their own.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with_reader(mut self, opening: Opening) -> Result<Self> {
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

    /// Runs `work` on one consistent snapshot. Keep it short: a snapshot holds back the log's checkpoint.
    ///
    /// # Errors
    /// What `work` returns, or SQLite's own error.
    pub fn read<T, E: From<Error>>(&self, work: impl FnOnce(Read<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = lock(self.reader.as_ref().unwrap_or(&self.connection));
        let transaction = begin(&mut connection, TransactionBehavior::Deferred)?;
        work(Read { connection: &transaction })
    }

    /// Runs `work` in an immediate transaction; commits when it returns `Ok`, else nothing has happened.
    ///
    /// # Errors
    /// What `work` returns, or SQLite's own error.
    pub fn write<T, E: From<Error>>(&self, work: impl FnOnce(&Write<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = lock(&self.connection);
        let transaction = begin(&mut connection, TransactionBehavior::Immediate)?;
        let value = work(&Write { connection: &transaction })?;
        if self.rehearsal {
            transaction.rollback().map_err(Error::from)?;
        } else {
            transaction.commit().map_err(Error::from)?;
        }
        Ok(value)
    }

    /// A number that moves whenever another connection, in this or any process, has committed.
    ///
    /// # Errors
    /// SQLite's own error.
    pub fn change_mark(&self) -> Result<i64> {
        let connection = lock(self.reader.as_ref().unwrap_or(&self.connection));
        Ok(connection.query_row("pragma data_version", [], |row| row.get(0))?)
    }
}

fn begin<'c>(connection: &'c mut MutexGuard<'_, Connection>, behavior: TransactionBehavior) -> Result<Transaction<'c>> {
    Ok(connection.transaction_with_behavior(behavior)?)
}

/// A poisoned lock only says that another thread panicked; its transaction was rolled back when it unwound.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
