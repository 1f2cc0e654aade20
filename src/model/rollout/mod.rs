//! One line of a Codex rollout: what it is and what it says.
//!
//! [`parse`] turns the bytes of a line into a [`Record`]; the dialect is decided for every line on its own,
//! because one file can hold lines of several Codex versions. Nothing here reads a file or remembers an
//! earlier line.

mod detail;
mod dialect;
mod entry;
mod envelope;
mod fact;
mod names;
mod response_item;
mod scan;
mod session_head;
mod summary;
#[cfg(test)]
mod tests;

pub use entry::{is_spoken, said};
pub use envelope::{BadLine, Record, parse, parse_huge, recover_torn};
pub use fact::{
    CommandSource, Fact, Head, LimitWindow, MessageRole, Phase, RateLimits, SessionSource, Tokens, TurnError,
};
