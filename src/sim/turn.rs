//! How a session is set up, and the state of its running turn. Data only; `session` plays it.

use std::{collections::VecDeque, path::PathBuf};

use uuid::Uuid;

use super::{
    dialect::Dialect,
    facts::{Command, Identity, Patch},
    scenario::{ApproveStep, AskStep, Step},
};

/// Things that go wrong on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first reply begins with a torn line.
    pub torn_line: bool,
    /// The first reply begins with a record of 9 MB.
    pub huge_line: bool,
    /// The process dies within the first turn.
    pub silent_death: bool,
}

/// How a session is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The version that is played.
    pub dialect: Dialect,
    /// The first thread.
    pub identity: Identity,
    /// Durations are divided by this.
    pub speed: f64,
    /// Where `!` commands are noted instead of being run.
    pub shell_canary: Option<PathBuf>,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// A message typed in a terminal is noted in `history.jsonl`.
    pub keep_history: bool,
}

/// A dialog that belongs to the turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asking {
    /// A command wants to be approved.
    Approval { command: String, reason: String },
    /// A question wants an answer.
    Question { question: String, options: Vec<String> },
}

/// What became of the session after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// Text that belongs into the composer again.
    Restore(String),
    /// The session ends properly.
    Exit,
    /// The process must die without a word.
    Die,
}

/// An answer to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// This time.
    Yes,
    /// Always for such commands.
    Always,
    /// No; the turn is aborted.
    No,
}

#[derive(Debug)]
pub(super) enum Phase {
    Ready,
    Pause { until: i64 },
    Hold(PathBuf),
    Stream { until: i64, step: Step },
    Command { until: i64, since: i64, command: Command },
    Patching { until: i64, since: i64, patch: Patch },
    Approval { since: i64, step: ApproveStep, auto: Option<i64> },
    Question { since: i64, step: AskStep, auto: Option<i64> },
}

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) since: i64,
    pub(super) message: String,
    pub(super) steps: VecDeque<Step>,
    pub(super) phase: Phase,
    pub(super) last: Option<String>,
    pub(super) planned: bool,
    pub(super) silent: bool,
    pub(super) compact_after: bool,
    pub(super) exit_after: bool,
    pub(super) steers: Vec<(String, Uuid)>,
}
