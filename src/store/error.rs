//! What can go wrong with the ledger file and its rows.

use std::{io, path::PathBuf};

use rusqlite::ErrorCode;

/// A failure of the ledger. `actions` decides what it means for a caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no ledger, and the caller may not create one.
    #[error("there is no ledger at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Written by a newer version of this program.
    #[error("the ledger has schema version {found}, newer than this program's {}", super::SCHEMA_VERSION)]
    Newer {
        /// Its version.
        found: i64,
    },
    /// Written by an earlier version of this program, and the caller may not upgrade it.
    #[error("the ledger has schema version {found}, older than this program's {}", super::SCHEMA_VERSION)]
    Outdated {
        /// Its version.
        found: i64,
    },
    /// Written by the predecessor.
    #[error("the ledger has schema version {found}: it was written by an older program")]
    Predecessor {
        /// Its version.
        found: i64,
    },
    /// Not a ledger at all.
    #[error("{} is not a Conveyor ledger: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The place is not safe for a private file.
    #[error("{} is not a safe place for a ledger: {reason}", path.display())]
    UnsafePlace {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The SQLite library has the log-reset fault.
    #[error("SQLite {found} is too old; 3.51.3 or newer is needed")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// Another process holds the ledger longer than we wait.
    #[error("the ledger is in use by another process")]
    Busy,
    /// No space is left for the ledger.
    #[error("the disk is full")]
    Full,
    /// The ledger cannot be written.
    #[error("the ledger is read-only")]
    ReadOnly,
    /// The ledger file is damaged.
    #[error("the ledger is damaged: {0}")]
    Corrupt(String),
    /// A unique value is taken.
    #[error("a unique value is taken: {0}")]
    Unique(String),
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Any other failure of SQLite.
    #[error("the ledger failed")]
    Sqlite(#[source] rusqlite::Error),
    /// A row holds JSON that is not what we wrote.
    #[error("a row of {table} holds unreadable JSON")]
    Json {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A fault of ours: a command cannot go this way.
    #[error("a command cannot go from {from} to {to}")]
    Step {
        /// Its phase.
        from: &'static str,
        /// The phase it was to get.
        to: &'static str,
    },
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(failure, message) = &error else {
            return Self::Sqlite(error);
        };
        let text = || message.clone().unwrap_or_else(|| failure.to_string());
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt => Self::Corrupt(text()),
            ErrorCode::NotADatabase => Self::Corrupt("it is not a database".to_owned()),
            ErrorCode::ConstraintViolation
                if matches!(
                    failure.extended_code,
                    rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                ) =>
            {
                Self::Unique(text())
            }
            _ => Self::Sqlite(error),
        }
    }
}
