//! Opens the ledger file: the place is checked first, then the file, then the schema.
//!
//! The order matters. A foreign or newer file is refused before SQLite may touch it, the busy timeout stands
//! before the switch to the write-ahead log, and only the process that holds the migration lock changes a schema.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, OpenFlags,
    config::DbConfig,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    Error, Result,
    schema::{self, Found},
};
use crate::base::Timestamp;

/// What a caller wants from the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It must exist and be set up, in the present schema: nothing is upgraded.
    Rehearse,
    /// It must exist and be set up; an old schema of ours is upgraded. Others are waited for shortly.
    Read,
    /// As for reading, but others are waited for patiently.
    Write,
    /// It is created when it does not exist.
    Create,
}

/// Whether an unsafe file system may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Network and synchronised file systems are refused.
    Checked,
    /// The operator takes the risk.
    Forced,
}

/// How a ledger is to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// What the caller wants.
    pub access: Access,
    /// Whether an unsafe file system may be used.
    pub safety: Safety,
    /// The present moment, recorded when the schema is created or upgraded.
    pub now: Timestamp,
}

/// The log is moved into the ledger when it has so many pages of 4 KiB.
const LOG_PAGES: u32 = 250;

/// Statements that stay prepared: a pass of Dispatch uses more than a hundred.
const STATEMENTS: usize = 256;

/// How long a look waits for a lock.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(1);
/// How long a change waits for a lock.
pub(super) const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two tries for the migration lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The SQLite release that mended the write-ahead log's reset race.
pub(super) const SQLITE_FLOOR: i32 = 3_051_003;

pub(super) fn connect(path: &Path, opening: Opening) -> Result<Connection> {
    let Opening { access, safety, now } = opening;
    if rusqlite::version_number() < SQLITE_FLOOR {
        return Err(Error::OldSqlite { found: rusqlite::version().to_owned() });
    }
    match fs::metadata(path) {
        Ok(metadata) => check_file(path, &metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if access != Access::Create {
                return Err(Error::Missing { path: path.to_owned() });
            }
            create_file(path)?;
        }
        Err(source) => return Err(Error::Io { action: "look at", path: path.to_owned(), source }),
    }
    check_folder(folder_of(path))?;
    if safety == Safety::Checked {
        check_file_system(path)?;
    }
    schema::check_header(path)?;

    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    // Closing must not move the log into the file: a foreign file stays untouched, and a short command does not pay
    // for two fsyncs. The log is moved by whoever commits when it has grown to [`LOG_PAGES`].
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(match access {
        Access::Rehearse | Access::Read => READ_PATIENCE,
        Access::Write | Access::Create => WRITE_PATIENCE,
    })?;
    let found = schema::look(&mut connection, path)?;
    if access == Access::Create || found != Found::Empty {
        // Only now is it known to be ours: the modes of foreign files are not our business.
        tighten(path)?;
    }
    match found {
        Found::Current => configure(&connection)?,
        Found::Empty if access != Access::Create => {
            return Err(Error::Foreign { path: path.to_owned(), reason: "it has not been set up yet".to_owned() });
        }
        Found::Old(found) if access == Access::Rehearse => return Err(Error::Outdated { found }),
        Found::Empty | Found::Old(_) => {
            let _lock = migration_lock(path, WRITE_PATIENCE)?;
            configure(&connection)?;
            if let Found::Old(version) = schema::look(&mut connection, path)? {
                back_up(&connection, path, version)?;
            }
            schema::bring_up(&mut connection, path, &now.to_string())?;
        }
    }
    Ok(connection)
}

pub(super) fn in_memory() -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    schema::bring_up(&mut connection, Path::new(":memory:"), "1970-01-01T00:00:00.000Z")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else some statements are planned anew for each value that they are given.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<()> {
    let mode: String = connection.query_row("pragma journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        let mode: String = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Error::Corrupt(format!("the write-ahead log cannot be used (journal mode {mode})")));
        }
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    // The first process to open a ledger reads the whole log, so it is kept short.
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else some statements are planned anew for each value that they are given.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Held while a schema is created or upgraded; released when the file is closed. Whoever holds it may be stopped, so the
/// wait for it ends like any other for the ledger.
fn migration_lock(path: &Path, patience: Duration) -> Result<File> {
    let lock_path = beside(path, "lock");
    let io_error = |source| Error::Io { action: "lock", path: lock_path.clone(), source };
    let lock =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path).map_err(io_error)?;
    let deadline = Instant::now() + patience;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(Error::Busy),
            Err(TryLockError::Error(source)) => return Err(io_error(source)),
        }
    }
}

/// Copies the ledger before its schema changes; an existing backup of the same version is kept. Only a whole copy gets
/// the backup's name.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<()> {
    let target = beside(path, &format!("v{version}.backup"));
    if target.exists() {
        return Ok(());
    }
    let partial = beside(path, &format!("v{version}.backup.partial"));
    let io_error = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    // The migration lock is held, so what lies there is left over from a copy that was cut short.
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &partial)(error)),
        _ => {}
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .map_err(io_error("create", &partial))?;
    // SQLite writes into an existing file when it is empty, so nobody else can read the copy at any time.
    // As bytes: a lossy form of a name that is not UTF-8 would be another file, and the backup stay empty.
    let into = ToSqlOutput::Borrowed(ValueRef::Text(partial.as_os_str().as_bytes()));
    connection.execute("vacuum into ?1", [into])?;
    file.sync_all().map_err(io_error("sync", &partial))?;
    fs::rename(&partial, &target).map_err(io_error("rename", &partial))?;
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

/// Takes the rights of others away from a ledger of ours and from the files that SQLite keeps beside it.
fn tighten(path: &Path) -> Result<()> {
    let log = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for file in [path.to_owned(), log("-wal"), log("-shm")] {
        let protect = |source| Error::Io { action: "protect", path: file.clone(), source };
        match fs::metadata(&file) {
            Ok(metadata) if metadata.mode() & 0o077 != 0 => {
                match fs::set_permissions(&file, fs::Permissions::from_mode(0o600)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(protect(error)),
                    _ => {}
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(protect(error)),
        }
    }
    Ok(())
}

/// `workerctl.db` -> `workerctl.db.<suffix>`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn create_file(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    let io_error = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error("create", folder))?;
    check_folder(folder)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            // The process umask can only take bits away, but an inherited default ACL can add some.
            file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io_error("protect", path))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(Error::Io { action: "create", path: path.to_owned(), source }),
    }
}

fn check_file(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let unsafe_place = |reason: &str| Err(Error::UnsafePlace { path: path.to_owned(), reason: reason.to_owned() });
    if !metadata.is_file() {
        return Err(Error::Foreign { path: path.to_owned(), reason: "it is not a regular file".to_owned() });
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return unsafe_place("it belongs to another user");
    }
    if metadata.mode() & 0o022 != 0 {
        return unsafe_place("others may write to it; `chmod 600` it if it is yours");
    }
    Ok(())
}

fn check_folder(folder: &Path) -> Result<()> {
    let unsafe_place = |reason: &str| Err(Error::UnsafePlace { path: folder.to_owned(), reason: reason.to_owned() });
    let metadata =
        fs::metadata(folder).map_err(|source| Error::Io { action: "look at", path: folder.to_owned(), source })?;
    let (us, root) = (rustix::process::geteuid().as_raw(), 0);
    let sticky = metadata.mode() & 0o1000 != 0;
    if metadata.uid() != us && metadata.uid() != root {
        return unsafe_place("its folder belongs to another user");
    }
    if metadata.mode() & 0o002 != 0 && !(sticky && metadata.uid() == root) {
        return unsafe_place("everybody may write to its folder");
    }
    Ok(())
}

/// SQLite's write-ahead log needs shared memory on one host: network file systems corrupt it.
#[cfg(target_os = "linux")]
pub(super) fn check_file_system(path: &Path) -> Result<()> {
    let Ok(info) = rustix::fs::statfs(path) else { return Ok(()) };
    let name = match u32::try_from(info.f_type).unwrap_or(0) {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE",
        0x0bd0_0bd0 => "Lustre",
        0x7461_636f => "OCFS2",
        _ => return Ok(()),
    };
    Err(Error::UnsafePlace { path: path.to_owned(), reason: format!("a ledger does not work on a {name} file system") })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn check_file_system(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn the_wait_for_whoever_upgrades_the_ledger_ends() {
        let folder = tempfile::tempdir().unwrap();
        let lock = |patience| migration_lock(&folder.path().join("l.db"), patience);
        let held = lock(Duration::ZERO).unwrap();
        assert!(matches!(lock(Duration::from_millis(30)), Err(Error::Busy)));
        drop(held);
        assert!(lock(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_half_written_backup_does_not_count_and_a_whole_one_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let opening = Opening { access: Access::Create, safety: Safety::Forced, now: Timestamp::from_millis(0) };
        let name = if cfg!(target_os = "linux") { OsStr::from_bytes(b"l\xff.db") } else { OsStr::new("l.db") };
        let path = folder.path().join(name);
        let connection = connect(&path, opening).unwrap();
        let partial = beside(&path, "v99.backup.partial");
        fs::write(&partial, b"SQLite format 3, cut sho").unwrap();
        back_up(&connection, &path, 99).unwrap();
        let backup = beside(&path, "v99.backup");
        assert!(!partial.exists());
        assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o777, 0o600);
        let copied: i64 = Connection::open(&backup)
            .unwrap()
            .query_row("select max(version) from schema_migrations", [], |row| row.get(0))
            .unwrap();
        assert_eq!(copied, crate::store::SCHEMA_VERSION);
    }
}
