//! The first line of a rollout: whose it is.

use std::path::Path;

use super::{
    anchor::read_up_to,
    file::{RolloutError, RolloutFile},
};
use crate::model::rollout::{self, Fact, Head};

/// The longest first line that is read.
const MAX_HEAD_BYTES: usize = 4 * 1024 * 1024;
const FIRST_READ: usize = 64 * 1024;

/// Why a file is no rollout.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] RolloutError),
    /// It has no bytes.
    #[error("rollout file is empty")]
    Empty,
    /// Its first line is still being written.
    #[error("the first line of the rollout is not complete yet")]
    Unfinished,
    /// Its first line is longer than any head.
    #[error("the first line of the file is longer than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    /// Its first line is no JSON.
    #[error("the first line of the file is not JSON")]
    NotJson,
    /// Its first line says something else.
    #[error("the first record is not session_meta but {found}")]
    NotSessionMeta {
        /// The type it has.
        found: String,
    },
    /// It does not say whose it is.
    #[error("the session_meta payload has no id")]
    MissingId,
}

/// Reads who the thread is from the first line of the rollout at `path`; header lines of Codex 0.25 count.
///
/// # Errors
/// When the file cannot be read or does not begin as a rollout does.
pub fn read_head(path: &Path) -> Result<Head, HeadError> {
    RolloutFile::open(path)?.head()
}

fn head_of(file: &RolloutFile) -> Result<Head, HeadError> {
    let mut want = FIRST_READ;
    let mut bytes = file.first_bytes(want)?;
    let mut end = memchr::memchr(b'\n', &bytes);
    if end.is_none() && bytes.len() == want {
        want = MAX_HEAD_BYTES;
        bytes = file.first_bytes(want)?;
        end = memchr::memchr(b'\n', &bytes);
    }
    let line = match end {
        Some(end) => &bytes[..end],
        None if bytes.is_empty() => return Err(HeadError::Empty),
        None if bytes.len() == want => return Err(HeadError::TooLong),
        // A whole record without its line feed tells enough; less than one may still be growing.
        None => &bytes[..],
    };
    let record = match rollout::parse(line) {
        Ok(record) => record,
        Err(_) if end.is_none() && line.starts_with(b"{") => return Err(HeadError::Unfinished),
        Err(rollout::BadLine::Untyped | rollout::BadLine::NotAnObject) => {
            return Err(HeadError::NotSessionMeta { found: "a record without a type".to_owned() });
        }
        Err(rollout::BadLine::Empty | rollout::BadLine::Syntax(_)) => return Err(HeadError::NotJson),
    };
    match record.fact {
        Fact::SessionHead(head) => Ok(*head),
        _ if record.kind == "session_meta" => Err(HeadError::MissingId),
        _ => Err(HeadError::NotSessionMeta { found: record.label() }),
    }
}

impl RolloutFile {
    /// As [`read_head`], of the file that is open, whatever stands at its path by now.
    ///
    /// # Errors
    /// When the file cannot be read or does not begin as a rollout does.
    pub fn head(&self) -> Result<Head, HeadError> {
        head_of(self)
    }

    fn first_bytes(&self, len: usize) -> Result<Vec<u8>, RolloutError> {
        read_up_to(&mut self.handle(), 0, len).map_err(|error| self.io(error))
    }
}
