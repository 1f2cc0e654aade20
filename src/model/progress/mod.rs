//! What a session is doing, folded from its rollout line by line.
//!
//! [`Progress`] is small and stored with the ingest offset, so that the state of a session needs no scan of its
//! events. It holds what the rollout says and nothing else; approvals, for one, never stand there.

mod fold;
mod inherit;
mod reading;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{
    family::SubAgent,
    rollout::{Head, RateLimits, TurnError},
};
use crate::base::Timestamp;
use crate::text_enum;

/// Longest message kept, in characters.
pub const SAID_CHARS: usize = 500;
/// Most open calls kept; the oldest go first.
pub const OPEN_ITEMS: usize = 32;
/// Most sub-agents kept; those that have ended go first.
pub const SUB_AGENTS: usize = 16;

/// Everything the lines so far add up to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Who the thread is, by the first head; later heads change nothing.
    pub head: Option<Head>,
    /// The turn that has begun and not ended.
    pub open_turn: Option<OpenTurn>,
    /// How the newest finished turn ended.
    pub last_end: Option<TurnEnd>,
    /// The newest message to the agent that Codex did not write itself.
    pub last_user: Option<Said>,
    /// The newest message of the agent, notes included.
    pub last_agent: Option<Said>,
    /// The newest plan.
    pub last_plan: Option<Said>,
    /// The newest compaction.
    pub last_compaction: Option<Mark>,
    /// Calls without output, the oldest first.
    pub open_calls: Vec<OpenCall>,
    /// Sub-agents, the oldest first.
    pub agents: Vec<SubAgent>,
    /// The goal, when one was set.
    pub goal: Option<Goal>,
    /// Tokens of the newest request.
    pub used_tokens: Option<u64>,
    /// Size of the model's window, in tokens.
    pub window_tokens: Option<u64>,
    /// Tokens of the whole thread.
    pub total_tokens: Option<u64>,
    /// The newest line that told of tokens.
    pub tokens_at: Option<Mark>,
    /// Account limits, as last told.
    pub limits: Option<RateLimits>,
    /// When that was.
    pub limits_at: Option<Timestamp>,
    /// What was counted.
    pub counts: Counts,
    /// The highest ordinal.
    pub max_ordinal: Option<u64>,
    /// Time stamp of the first line that has one.
    pub first_at: Option<Timestamp>,
    /// Time stamp of the newest line that has one.
    pub last_at: Option<Timestamp>,
    /// The newest line worth naming.
    pub last_event: Option<LastEvent>,
    /// What to guess in dialects that tell no turns.
    pub guess: Option<Guess>,
    /// Inside a block of lines copied from another thread: time stamp of its newest line.
    pub copying: Option<Timestamp>,
    /// A turn of this thread has begun. Copies stand in front of it.
    pub has_own_turn: bool,
}

/// A turn without an end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenTurn {
    /// Its id.
    pub turn_id: Option<String>,
    /// When it began.
    pub at: Option<Timestamp>,
    /// What made it begin.
    pub trigger: Option<String>,
    /// First byte of the line that began it.
    pub byte_offset: u64,
    /// Messages to the agent inside it.
    pub user_messages: u64,
    /// The agent proposed a plan.
    pub has_plan: bool,
    /// The context was compacted.
    pub has_compaction: bool,
    /// A person's own shell command ran.
    pub has_user_shell: bool,
    /// An error was reported.
    pub error: Option<TurnError>,
}

text_enum! {
    /// How a turn ended.
    pub enum EndKind {
        /// With an answer.
        Answered => "answered",
        /// With a plan that waits for a decision.
        Planned => "planned",
        /// It was a compaction.
        Compacted => "compacted",
        /// It was a person's own shell command.
        UserShell => "user_shell",
        /// With an error.
        Failed => "failed",
        /// It was cut off.
        Aborted => "aborted",
        /// With nothing; some versions end failed turns like that.
        NoAnswer => "no_answer",
    }
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnEnd {
    /// How.
    pub kind: EndKind,
    /// When.
    pub at: Option<Timestamp>,
    /// First byte of its line.
    pub byte_offset: u64,
    /// The turn.
    pub turn_id: Option<String>,
    /// The answer, at most [`SAID_CHARS`] characters.
    pub last_message: Option<String>,
    /// Why it failed.
    pub error: Option<TurnError>,
    /// Why it was cut off.
    pub reason: Option<String>,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// At most [`SAID_CHARS`] characters.
    pub text: String,
    /// When.
    pub at: Option<Timestamp>,
    /// First byte of its line.
    pub byte_offset: u64,
}

/// A line that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Option<Timestamp>,
    /// First byte of the line.
    pub byte_offset: u64,
}

/// A call without output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    /// Pairs it with its output.
    pub call_id: Option<String>,
    /// The tool.
    pub name: String,
    /// When and where.
    pub mark: Mark,
}

/// A goal that makes the session start turns on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    /// What is to be reached.
    pub objective: String,
    /// `active`, `paused`, ...
    pub status: String,
}

/// The newest line worth naming.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEvent {
    /// `task_complete`, `CommandExecution`, ...
    pub label: String,
    /// A short text of it.
    pub text: String,
    /// When.
    pub at: Option<Timestamp>,
    /// First byte of its line.
    pub byte_offset: u64,
}

/// Lines and turns so far. Inherited lines count in `lines` and `inherited` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// All lines, bad ones included.
    pub lines: u64,
    /// Lines that are no record.
    pub bad: u64,
    /// Lines copied from another thread.
    pub inherited: u64,
    /// Lines of types nobody knows.
    pub unknown: u64,
    /// Messages that a person or a supervisor sent.
    pub user_messages: u64,
    /// Turns that began.
    pub turns_started: u64,
    /// Turns that ended, failed ones included.
    pub turns_completed: u64,
    /// Turns that were cut off.
    pub turns_aborted: u64,
}

text_enum! {
    /// What a session without turn lines seems to be doing.
    pub enum GuessKind {
        /// A message, a call or a thought stands last.
        Working => "working",
        /// An answer stands last.
        Answered => "answered",
        /// A compaction stands last.
        Compacted => "compacted",
        /// An error stands last.
        Failed => "failed",
        /// An abort stands last; this one is told, not guessed.
        Aborted => "aborted",
    }
}

/// A guess and the line behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guess {
    /// What.
    pub kind: GuessKind,
    /// When and where.
    pub mark: Mark,
}
