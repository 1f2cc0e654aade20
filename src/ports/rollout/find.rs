//! Finding rollouts below a `CODEX_HOME`.
//!
//! The tree is walked by names, the newest day first, and never through links. A session that is old but still
//! in use stands in the folder of the day it began.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::file::RolloutError;
use crate::base::Timestamp;

/// How many directory entries one search looks at before it gives up.
const MAX_ENTRIES: usize = 200_000;

/// A rollout that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path; the compressed file's when it is dormant.
    pub path: PathBuf,
    /// The thread, by the file's name.
    pub thread_id: String,
    /// Last change.
    pub modified_at: Timestamp,
    /// Length in bytes.
    pub size: u64,
    /// It lies in `archived_sessions`.
    pub is_archived: bool,
    /// Only its compressed form is there.
    pub is_dormant: bool,
}

/// The thread id in a rollout's file name: `rollout-2026-11-21T02-14-36-<id>.jsonl` (or `.jsonl.zst`).
#[must_use]
pub fn thread_id_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".zst").unwrap_or(name).strip_suffix(".jsonl")?;
    let rest = stem.strip_prefix("rollout-")?;
    let (date, id) = (rest.get(..19)?, rest.get(19..)?.strip_prefix('-')?);
    let is_date = date.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'T');
    let is_id = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    (is_date && is_id).then_some(id)
}

/// Rollouts below `codex_home`, the newest first by name, archived ones last; at most `limit`, and only those
/// changed at or after `since`.
///
/// # Errors
/// When `sessions` exists and cannot be read; folders below it that cannot are passed over.
pub fn find_rollouts(codex_home: &Path, since: Option<Timestamp>, limit: usize) -> Result<Vec<Found>, RolloutError> {
    search(codex_home, limit, |found| since.is_none_or(|since| found.modified_at >= since), |_| true)
}

/// Rollouts of the thread whose id is or begins with `id`, in the same order. There can be several: a thread
/// may go on in another file.
///
/// # Errors
/// As [`find_rollouts`].
pub fn find_by_thread(codex_home: &Path, id: &str) -> Result<Vec<Found>, RolloutError> {
    let id = id.to_ascii_lowercase();
    search(codex_home, usize::MAX, |_| true, |thread_id| !id.is_empty() && thread_id.starts_with(&id))
}

fn search(
    codex_home: &Path,
    limit: usize,
    wants: impl Fn(&Found) -> bool,
    wants_id: impl Fn(&str) -> bool,
) -> Result<Vec<Found>, RolloutError> {
    let mut walk = Walk { limit, wants, wants_id, room: MAX_ENTRIES, found: Vec::new() };
    let sessions = codex_home.join("sessions");
    for year in list(&sessions).or_else(|error| missing_is_empty(&sessions, error))? {
        for month in walk.folders(&year) {
            for day in walk.folders(&month) {
                walk.files(&day, /*is_archived*/ false);
            }
        }
    }
    walk.files(&codex_home.join("archived_sessions"), /*is_archived*/ true);
    Ok(walk.found)
}

struct Walk<W, I> {
    limit: usize,
    wants: W,
    wants_id: I,
    room: usize,
    found: Vec<Found>,
}

impl<W: Fn(&Found) -> bool, I: Fn(&str) -> bool> Walk<W, I> {
    fn folders(&mut self, folder: &Path) -> Vec<PathBuf> {
        if self.is_full() {
            return Vec::new();
        }
        let entries = list(folder).unwrap_or_default();
        self.room = self.room.saturating_sub(entries.len());
        entries
    }

    fn files(&mut self, folder: &Path, is_archived: bool) {
        for path in self.folders(folder) {
            if self.is_full() {
                return;
            }
            let Some(thread_id) = thread_id_of(&path).map(str::to_ascii_lowercase) else { continue };
            if !(self.wants_id)(&thread_id) {
                continue;
            }
            let is_dormant = path.extension().is_some_and(|extension| extension == "zst");
            // Beside its plain form the compressed one is a leftover.
            if is_dormant && path.with_extension("").symlink_metadata().is_ok() {
                continue;
            }
            let Ok(about) = path.symlink_metadata() else { continue };
            if !about.is_file() {
                continue;
            }
            let found =
                Found { thread_id, modified_at: modified_at(&about), size: about.len(), is_archived, is_dormant, path };
            if (self.wants)(&found) {
                self.found.push(found);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.room == 0 || self.found.len() >= self.limit
    }
}

/// The entries of a folder that are no links, the highest name first.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| entry.path())
        .collect();
    entries.sort_unstable_by(|a, b| b.cmp(a));
    Ok(entries)
}

fn missing_is_empty(path: &Path, error: io::Error) -> Result<Vec<PathBuf>, RolloutError> {
    match RolloutError::io(path, error) {
        RolloutError::Missing { .. } => Ok(Vec::new()),
        other => Err(other),
    }
}

fn modified_at(about: &fs::Metadata) -> Timestamp {
    use std::os::unix::fs::MetadataExt;
    Timestamp::from_millis(about.mtime().saturating_mul(1_000).saturating_add(about.mtime_nsec() / 1_000_000))
}
