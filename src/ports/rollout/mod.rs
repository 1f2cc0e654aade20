//! Rollout files on disk: opening them safely, reading their lines with exact offsets, and finding them.
//!
//! A rollout is only ever read. What its lines mean is `model::rollout`; what is stored of them, and which
//! offset counts, is the ingest's.

mod anchor;
mod file;
mod find;
mod head;
mod lines;
#[cfg(test)]
mod tests;

pub use anchor::{Anchor, PREFIX_BYTES, TAIL_BYTES, Verdict};
pub use file::{FileKind, RolloutError, RolloutFile};
pub use find::{find_rollouts, rollout_of_thread, thread_id_of};
pub use head::{HeadError, read_head};
pub use lines::{Body, CHUNK_BYTES, HEAD_BYTES, Limits, Lines, MAX_LINE_BYTES, RawLine, ReadAt, Stop, record_hash};
