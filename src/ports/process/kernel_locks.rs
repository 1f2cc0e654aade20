//! Who holds the flock of a file, from the kernel's own table (`/proc/locks`), without taking the lock.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use super::{LockState, ProcessError, WRITER_LOCKS, WriterLock, is_writer_lock};

/// The most writer locks that are looked at; Codex keeps one per thread that was ever open.
const MAX_LOCKS: usize = 20_000;

/// What one call reads at most. The kernel hands out a page in each call and holds the table still only within a call:
/// between two it goes on by number, so that a lock is passed over when another one before it has gone. Every call
/// also makes the kernel wait for all processors, some milliseconds when much is locked.
const PIECE: usize = 64 * 1024;
/// Readings of a table that comes in several pieces: what stands in one of them is held.
const READINGS: usize = 3;

/// One flock of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flock {
    pid: Option<u32>,
    major: u32,
    minor: u32,
    inode: u64,
}

/// Whether somebody holds the flock of this file. The table is long on a busy machine, so it is read only for a file
/// that is there.
pub(super) fn state_of(path: &Path) -> Result<LockState, ProcessError> {
    if fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(LockState::Missing);
    }
    LockTable::read()?.state_of(path)
}

/// The flocks of the machine at one moment.
#[derive(Debug)]
struct LockTable(Vec<Flock>);

impl LockTable {
    fn read() -> Result<Self, ProcessError> {
        if !cfg!(target_os = "linux") {
            return Err(ProcessError::Unsupported("the table of file locks"));
        }
        Self::union(|| fs::File::open("/proc/locks"))
            .map_err(|source| ProcessError::Io { what: "/proc/locks".to_owned(), source })
    }

    /// All that stands in as many readings as it takes to trust that nothing is missing.
    fn union<R: Read>(mut open: impl FnMut() -> io::Result<R>) -> io::Result<Self> {
        let mut buffer = vec![0; PIECE];
        let mut flocks = Vec::new();
        for _ in 0..READINGS {
            let mut table = open()?;
            let (mut text, mut pieces) = (Vec::new(), 0);
            loop {
                let length = match table.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                };
                pieces += 1;
                text.extend_from_slice(&buffer[..length]);
            }
            let Self(found) = Self::parse(&String::from_utf8_lossy(&text));
            flocks.extend(found);
            if pieces <= 1 {
                break;
            }
        }
        Ok(Self(flocks))
    }

    fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    fn state_of(&self, path: &Path) -> Result<LockState, ProcessError> {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LockState::Missing),
            Err(source) => return Err(ProcessError::Io { what: path.display().to_string(), source }),
        };
        let (device, inode) = identity(&meta);
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let same_inode = || self.0.iter().filter(|lock| lock.inode == inode);
        if let Some(lock) = same_inode().find(|lock| (lock.major, lock.minor) == (major, minor)) {
            return Ok(LockState::Held(lock.pid));
        }
        // Some file systems (btrfs, overlays) show another device here than in the file's own metadata. Then
        // only a holder that has this very path open counts.
        let holder = same_inode().find(|lock| lock.pid.is_some_and(|pid| has_open(pid, path)));
        Ok(holder.map_or(LockState::Free, |lock| LockState::Held(lock.pid)))
    }
}

fn identity(meta: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

fn has_open(pid: u32, path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    entries.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == path))
}

/// `5: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`; a `->` behind the number marks a waiter.
fn parse_line(line: &str) -> Option<Flock> {
    let mut fields = line.split_whitespace();
    fields.next()?.strip_suffix(':')?;
    if fields.next()? != "FLOCK" {
        return None;
    }
    let pid = fields.nth(2)?.parse::<i64>().ok()?;
    let mut place = fields.next()?.split(':');
    Some(Flock {
        // 0 and -1 stand for a holder that this process may not see.
        pid: u32::try_from(pid).ok().filter(|pid| *pid > 0),
        major: u32::from_str_radix(place.next()?, 16).ok()?,
        minor: u32::from_str_radix(place.next()?, 16).ok()?,
        inode: place.next()?.parse().ok()?,
    })
}

/// Every writer lock below `codex_home`, judged against one reading of the table.
pub(super) fn writer_locks(codex_home: &Path) -> Result<Vec<WriterLock>, ProcessError> {
    let folder = codex_home.join(WRITER_LOCKS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ProcessError::Io { what: folder.display().to_string(), source }),
    };
    let table = LockTable::read()?;
    let mut locks = Vec::new();
    for entry in entries.flatten().take(MAX_LOCKS) {
        let path = entry.path();
        let Some(thread_id) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if is_writer_lock(&path) {
            let (thread_id, state) = (thread_id.to_owned(), table.state_of(&path)?);
            locks.push(WriterLock { thread_id, path, state });
        }
    }
    locks.sort_by(|a, b| a.thread_id.cmp(&b.thread_id));
    Ok(locks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that comes in the given pieces.
    struct Pieces(Vec<&'static str>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0).as_bytes();
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn a_lock_that_was_passed_over_between_two_pieces_is_found_in_another_reading() {
        let [first, second, third] = [
            "1: FLOCK  ADVISORY  WRITE 1 fd:01:1 0 EOF\n",
            "2: FLOCK  ADVISORY  WRITE 2 fd:01:2 0 EOF\n",
            "3: FLOCK  ADVISORY  WRITE 3 fd:01:3 0 EOF\n",
        ];
        let mut readings = vec![vec![first, third], vec![first, second, third], vec![first, third]].into_iter();
        let table = LockTable::union(|| Ok(Pieces(readings.next().unwrap()))).unwrap();
        assert!(table.0.iter().any(|lock| lock.pid == Some(2)), "{table:?}");

        let mut once = vec![vec![first]].into_iter();
        assert_eq!(LockTable::union(|| Ok(Pieces(once.next().unwrap()))).unwrap().0.len(), 1, "one piece is enough");
    }

    #[test]
    fn a_held_lock_is_seen_while_others_come_and_go() {
        use rustix::fs::{FlockOperation, flock};
        use std::sync::{
            Barrier,
            atomic::{AtomicBool, Ordering},
        };

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held.lock");
        let held = fs::File::create(&path).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        let (is_over, have_begun) = (AtomicBool::new(false), Barrier::new(3));
        let misses = std::thread::scope(|scope| {
            for thread in 0..2 {
                let (folder, is_over, have_begun) = (folder.path(), &is_over, &have_begun);
                scope.spawn(move || {
                    let open = |number| fs::File::create(folder.join(format!("{thread}-{number}"))).unwrap();
                    let others: Vec<fs::File> = (0..150).map(open).collect();
                    let mut are_held = [false; 150];
                    for round in 0_usize.. {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        if round == 150 {
                            have_begun.wait();
                        }
                        let is_held = &mut are_held[round * 7 % 150];
                        *is_held ^= round < 150 || round % 3 > 0;
                        let operation = if *is_held { FlockOperation::LockExclusive } else { FlockOperation::Unlock };
                        flock(&others[round * 7 % 150], operation).unwrap();
                    }
                });
            }
            let see = || LockTable::read().and_then(|table| table.state_of(&path)).unwrap();
            have_begun.wait();
            let misses = (0..200).filter(|_| !matches!(see(), LockState::Held(_))).count();
            is_over.store(true, Ordering::Relaxed);
            misses
        });
        assert_eq!(misses, 0, "of 200 looks");
    }

    #[test]
    fn only_held_flocks_count() {
        let table = LockTable::parse(
            "1: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF\n\
             1: -> FLOCK  ADVISORY  WRITE 99 fd:01:5678 0 EOF\n\
             2: POSIX  ADVISORY  WRITE 77 00:2f:42 0 EOF\n\
             3: OFDLCK ADVISORY  READ -1 00:06:1028 0 EOF\n\
             4: FLOCK  ADVISORY  READ 0 00:2f:43 0 EOF\n\
             5: LEASE  ACTIVE    READ 9 00:2f:44 0 EOF\n\
             junk\n",
        );
        let expected = [
            Flock { pid: Some(1234), major: 0xfd, minor: 1, inode: 5678 },
            Flock { pid: None, major: 0, minor: 0x2f, inode: 43 },
        ];
        assert_eq!(table.0, expected);
    }
}
