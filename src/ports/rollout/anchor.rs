//! Proof that a file is still the one that was read up to an offset.
//!
//! Inodes are reused and files rewritten in place, so the proof is content: a hash of the beginning and one of
//! the bytes just before the offset.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::ReadAt;

/// How much of the beginning is hashed, once the offset is that far.
pub const PREFIX_BYTES: usize = 4096;
/// How much before the offset is hashed.
pub const TAIL_BYTES: usize = 256;

/// What a file looked like when it had been read up to `offset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The first byte that was not consumed.
    pub offset: u64,
    /// How many bytes of the beginning are hashed, at most [`PREFIX_BYTES`].
    pub prefix_len: u32,
    /// Their SHA-256, in hex.
    pub prefix_sha256: String,
    /// How many bytes before `offset` are hashed, at most [`TAIL_BYTES`].
    pub tail_len: u32,
    /// Their SHA-256, in hex.
    pub tail_sha256: String,
}

/// What became of the bytes before an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are the same; go on at the anchor's offset.
    Same,
    /// The file is shorter than the offset.
    Truncated,
    /// It begins differently: another file.
    PrefixChanged,
    /// It begins the same, but the bytes before the offset differ: it was cut and grew again.
    AnchorLost,
}

impl Anchor {
    /// The anchor at `offset`, given the beginning of the file and the bytes before the offset; both slices may
    /// be longer than needed.
    pub(super) fn of(offset: u64, beginning: &[u8], before: &[u8]) -> Self {
        let whole = usize::try_from(offset).unwrap_or(usize::MAX);
        let prefix = &beginning[..beginning.len().min(PREFIX_BYTES).min(whole)];
        let tail = &before[before.len() - before.len().min(TAIL_BYTES).min(whole)..];
        Self {
            offset,
            prefix_len: u32::try_from(prefix.len()).unwrap_or(u32::MAX),
            prefix_sha256: hex(&Sha256::digest(prefix)),
            tail_len: u32::try_from(tail.len()).unwrap_or(u32::MAX),
            tail_sha256: hex(&Sha256::digest(tail)),
        }
    }

    pub(super) fn verify<S: ReadAt>(&self, mut source: S, size: u64) -> io::Result<Verdict> {
        if size < self.offset {
            return Ok(Verdict::Truncated);
        }
        let mut same = |from: u64, len: u32, sha256: &str| -> io::Result<Option<bool>> {
            let len = (len as usize).min(PREFIX_BYTES);
            let bytes = read_up_to(&mut source, from, len)?;
            Ok((bytes.len() == len).then(|| hex(&Sha256::digest(&bytes)) == sha256))
        };
        let tail_from = self.offset.saturating_sub(u64::from(self.tail_len));
        // A file that shrinks while it is looked at gives fewer bytes than its size promised.
        Ok(match same(0, self.prefix_len, &self.prefix_sha256)? {
            None => Verdict::Truncated,
            Some(false) => Verdict::PrefixChanged,
            Some(true) => match same(tail_from, self.tail_len, &self.tail_sha256)? {
                None => Verdict::Truncated,
                Some(false) => Verdict::AnchorLost,
                Some(true) => Verdict::Same,
            },
        })
    }
}

/// `len` bytes at `from`, fewer when the file ends before.
pub(super) fn read_up_to<S: ReadAt>(source: &mut S, from: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match source.read_at(&mut bytes[filled..], from + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
