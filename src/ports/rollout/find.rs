//! Finding rollouts below a `CODEX_HOME`.
//!
//! The tree is walked by names, the newest day first, and never through links. A session that is old but still
//! in use stands in the folder of the day it began.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::file::RolloutError;

/// How many directory entries one search looks at before it gives up.
const MAX_ENTRIES: usize = 200_000;

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

/// Rollouts below `codex_home`, compressed ones too, the newest first by name and archived ones last; at most `limit`.
///
/// # Errors
/// When `sessions` exists and cannot be read; folders below it that cannot are passed over.
pub fn find_rollouts(codex_home: &Path, limit: usize) -> Result<Vec<PathBuf>, RolloutError> {
    search(codex_home, limit, |_, _| true)
}

/// The rollout that a thread writes now, by its id or the beginning of it. A thread may go on in another file: the
/// newest that is not compressed counts, and an archived one only without any other.
///
/// None as well when `sessions` cannot be read.
#[must_use]
pub fn rollout_of_thread(codex_home: &Path, id: &str) -> Option<PathBuf> {
    let id = id.to_ascii_lowercase();
    let is_its = |path: &Path, thread_id: &str| !id.is_empty() && thread_id.starts_with(&id) && !is_compressed(path);
    search(codex_home, 1, is_its).ok()?.pop()
}

fn search(codex_home: &Path, limit: usize, wants: impl Fn(&Path, &str) -> bool) -> Result<Vec<PathBuf>, RolloutError> {
    let mut walk = Walk { limit, wants, room: MAX_ENTRIES, found: Vec::new() };
    let sessions = codex_home.join("sessions");
    for year in list(&sessions).or_else(|error| missing_is_empty(&sessions, error))? {
        for month in walk.folders(&year) {
            for day in walk.folders(&month) {
                walk.files(&day);
            }
        }
    }
    walk.files(&codex_home.join("archived_sessions"));
    Ok(walk.found)
}

struct Walk<W> {
    limit: usize,
    /// Asked with the path and the thread id in it, in lower case.
    wants: W,
    room: usize,
    found: Vec<PathBuf>,
}

impl<W: Fn(&Path, &str) -> bool> Walk<W> {
    fn folders(&mut self, folder: &Path) -> Vec<PathBuf> {
        if self.is_full() {
            return Vec::new();
        }
        let entries = list(folder).unwrap_or_default();
        self.room = self.room.saturating_sub(entries.len());
        entries
    }

    fn files(&mut self, folder: &Path) {
        for path in self.folders(folder) {
            if self.is_full() {
                return;
            }
            let Some(thread_id) = thread_id_of(&path).map(str::to_ascii_lowercase) else { continue };
            // Beside its plain form the compressed one is a leftover.
            let is_leftover = || is_compressed(&path) && path.with_extension("").symlink_metadata().is_ok();
            let is_file = || path.symlink_metadata().is_ok_and(|about| about.is_file());
            if (self.wants)(&path, &thread_id) && !is_leftover() && is_file() {
                self.found.push(path);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.room == 0 || self.found.len() >= self.limit
    }
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
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
