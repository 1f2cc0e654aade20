//! Plays a recorded rollout again: the same bytes, line by line, at the pace of its time stamps.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde::Deserialize;
use uuid::Uuid;

use super::rollout::{lock_thread, rollout_path};
use crate::base::{Error, Result, Timestamp};

/// Between two lines that carry no time (0.25).
const UNTIMED_GAP_MS: i64 = 200;

/// A rollout that was played again.
#[derive(Debug)]
pub struct Replayed {
    /// Where it was written.
    pub path: PathBuf,
    _file: File,
    _lock: File,
}

#[derive(Deserialize)]
struct Head {
    timestamp: Option<Timestamp>,
    id: Option<String>,
    payload: Option<HeadPayload>,
}

#[derive(Deserialize)]
struct HeadPayload {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Timed {
    timestamp: Option<Timestamp>,
}

/// Appends the lines of `recording` to a fresh file below `codex_home`, in time divided by `speed`; returns the file,
/// which stays open and locked as long as the result lives.
/// A last line without its end stays without it.
///
/// # Errors
/// When the recording cannot be read or has no session id, or the fresh file exists or cannot be written.
pub fn replay(recording: &Path, codex_home: &Path, now: Timestamp, speed: f64) -> Result<Replayed> {
    let shown = recording.display();
    let unreadable = |error| Error::io(format!("cannot read the recording {shown}")).caused_by(error);
    let mut reader = BufReader::new(File::open(recording).map_err(|error| {
        Error::usage(format!("cannot read the recording {shown}"))
            .caused_by(error)
            .hint("give a rollout file to --replay")
    })?);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).map_err(unreadable)?;
    let no_session = || Error::usage(format!("{shown} is no rollout: its first line names no session"));
    let head: Head = serde_json::from_slice(&line).map_err(|_| no_session())?;
    let id = head.payload.and_then(|payload| payload.id).or(head.id).ok_or_else(no_session)?;
    let thread_id: Uuid = id.parse().map_err(|_| no_session())?;

    let target = match recording.file_name().filter(|name| name.to_string_lossy().contains(&thread_id.to_string())) {
        Some(name) => rollout_path(codex_home, now, thread_id).with_file_name(name),
        None => rollout_path(codex_home, now, thread_id),
    };
    let failed = |error| Error::io(format!("cannot write {}", target.display())).caused_by(error);
    let lock = lock_thread(codex_home, thread_id).map_err(|error| Error::conflict(error.to_string()))?;
    fs::create_dir_all(target.parent().unwrap_or(codex_home)).map_err(failed)?;
    let mut file = OpenOptions::new().create_new(true).append(true).open(&target).map_err(failed)?;

    let mut before = head.timestamp;
    while !line.is_empty() {
        file.write_all(&line).map_err(failed)?;
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(unreadable)?;
        let moment = serde_json::from_slice::<Timed>(&line).ok().and_then(|timed| timed.timestamp);
        let gap = match (before, moment) {
            (Some(before), Some(moment)) => moment.as_millis() - before.as_millis(),
            _ => UNTIMED_GAP_MS,
        };
        before = moment.or(before);
        if !line.is_empty() && gap > 0 {
            thread::sleep(Duration::from_secs_f64(gap as f64 / 1000.0 / speed));
        }
    }
    Ok(Replayed { path: target, _file: file, _lock: lock })
}
