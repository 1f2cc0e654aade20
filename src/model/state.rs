//! What a session is doing, and how we know.
//!
//! Each sensor (Codex's server, the pane title, the rollout, the screen, the process) gives a [`Reading`]; a
//! [`Judgement`] is what they add up to. A judgement always names the rule, the source and the moment behind
//! it, and says `unknown` where nothing is known.

use serde::{Deserialize, Serialize};

use super::{board::Attention, interruption, session::Parting};
use crate::base::Timestamp;
use crate::text_enum;

text_enum! {
    /// What a session is doing.
    pub enum Condition {
        /// A turn is open.
        Busy => "busy",
        /// No turn is open, and the last one gave no answer that waits to be looked at.
        Idle => "idle",
        /// A person has to answer: an approval, a question, a dialog.
        Blocked => "blocked",
        /// The last turn ended with an answer.
        Done => "done",
        /// The last turn was interrupted, refused, failed, or its process died.
        Aborted => "aborted",
        /// Nothing reliable is known.
        Unknown => "unknown",
    }
}

impl Condition {
    /// The word for it on screens and in texts, where every place says the same.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Busy => "working",
            Self::Idle => "idle",
            Self::Blocked => "needs you",
            Self::Done => "done",
            Self::Aborted => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The predecessor's three-valued `state`.
    ///
    /// A session that waits for a person has an open turn, so it is `busy` there.
    #[must_use]
    pub fn coarse(self) -> CoarseState {
        match self {
            Self::Busy | Self::Blocked => CoarseState::Busy,
            Self::Idle | Self::Done | Self::Aborted => CoarseState::Idle,
            Self::Unknown => CoarseState::Unknown,
        }
    }
}

text_enum! {
    /// The contract's `state`.
    pub enum CoarseState {
        /// A turn is open.
        Busy => "busy",
        /// No turn is open.
        Idle => "idle",
        /// Nothing reliable is known.
        Unknown => "unknown",
    }
}

text_enum! {
    /// Where a reading comes from, the most trusted first.
    pub enum Source {
        /// Codex's background server.
        Server => "server",
        /// The pane's title.
        Title => "title",
        /// The rollout file, which is the record.
        Rollout => "rollout",
        /// The pane's screen.
        Screen => "screen",
        /// The operating system's process table.
        Process => "process",
        /// The ledger's own record of the session.
        Registry => "registry",
    }
}

impl Source {
    /// True for sensors that look at the running session, false for records of it.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Server | Self::Title | Self::Screen | Self::Process => true,
            Self::Rollout | Self::Registry => false,
        }
    }
}

/// What one sensor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The sensor.
    pub source: Source,
    /// What it says.
    pub condition: Condition,
    /// The rule that led there, a stable id (`turn_open`, `approval_command`, ...).
    pub rule: String,
    /// One sentence for people.
    pub reason: String,
    /// Since when it is so, by the sensor's own time; none when the sensor cannot tell.
    pub at: Option<Timestamp>,
    /// First byte of the rollout line behind it.
    pub byte_offset: Option<u64>,
}

/// The word for what a rule has led to: an end that somebody wanted is no failure.
fn word(condition: Condition, rule: &str) -> &'static str {
    match condition {
        Condition::Aborted if interruption::is_on_purpose(rule) => INTERRUPTED,
        Condition::Unknown if rule == DEREGISTERED => Attention::Gone.as_str(),
        condition => condition.word(),
    }
}

/// A word for a session as the rest of a sentence about it: `is working`, `needs you`.
#[must_use]
pub fn predicate(word: &str) -> String {
    match word {
        "needs you" => word.to_owned(),
        "failed" => "has failed".to_owned(),
        word => format!("is {word}"),
    }
}

/// The same of a moment that is over: `was working`, `needed you`.
#[must_use]
pub fn past_predicate(word: &str) -> String {
    match word {
        "needs you" => "needed you".to_owned(),
        "failed" => "had failed".to_owned(),
        word => format!("was {word}"),
    }
}

/// Said of a session whose turn was ended on purpose.
const INTERRUPTED: &str = "interrupted";

/// The rule of a session that was stopped or deregistered.
pub const DEREGISTERED: &str = "deregistered";

/// Every word that screens and texts have for a session, the most urgent first.
pub const WORDS: [&str; 8] = ["needs you", "failed", INTERRUPTED, "done", "working", "idle", "unknown", "gone"];

impl Reading {
    /// The word for what it says.
    #[must_use]
    pub fn word(&self) -> &'static str {
        word(self.condition, &self.rule)
    }

    /// The sensor saw the session itself. Records do not, and a server that has not loaded the thread has nothing to
    /// see: whoever writes it, if anybody does, is another process.
    #[must_use]
    pub fn shows_life(&self) -> bool {
        self.source.is_live() && self.rule != "server_not_loaded" && !self.says_gone()
    }

    /// The sensor saw that no Codex runs there any more.
    #[must_use]
    pub fn says_gone(&self) -> bool {
        matches!(self.rule.as_str(), "process_gone" | PANE_GONE | "codex_exited")
    }
}

/// The rule of a pane that was looked for and is not there, or holds another process.
pub const PANE_GONE: &str = "pane_gone";

text_enum! {
    /// Whether the sensors agree.
    pub enum Agreement {
        /// At least two say the same.
        Agree => "agree",
        /// Only one said anything.
        Single => "single",
        /// They contradict each other; the most trusted one was taken.
        Disagree => "disagree",
        /// None said anything.
        Silent => "silent",
    }
}

impl Readiness {
    /// The same for a reader.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "yes",
            Self::NotReady => "no",
            Self::Unknown => "unknown",
        }
    }
}

text_enum! {
    /// Whether a message could be submitted now without hitting a dialog, a draft or a running turn.
    pub enum Readiness {
        /// An empty composer has the keyboard.
        Ready => "ready",
        /// Something is in the way.
        NotReady => "not_ready",
        /// The screen was not seen.
        Unknown => "unknown",
    }
}

/// What the sensors add up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// What the session is doing.
    pub condition: Condition,
    /// The contract's three values.
    pub state: CoarseState,
    /// One sentence for people.
    pub reason: String,
    /// The rule that decided, a stable id.
    pub rule: String,
    /// The sensor that decided.
    pub source: Option<Source>,
    /// Since when it is so.
    pub since: Option<Timestamp>,
    /// Seconds from `since` until the observation.
    pub age_seconds: Option<i64>,
    /// Whether the sensors agree.
    pub agreement: Agreement,
    /// Whether text could be submitted now.
    pub ready_for_text: Readiness,
    /// Codex has written no rollout yet because nobody has said anything.
    pub awaiting_first_prompt: bool,
    /// Which dialog is open (`approval_command`, `question`, `trust`, ...).
    pub prompt: Option<String>,
    /// What each sensor said, the most trusted first.
    pub readings: Vec<Reading>,
}

impl Judgement {
    /// The same of a session that is gone, with how and when it was left, where that is on record.
    #[must_use]
    pub fn left(self, left: Option<(Parting, Timestamp)>, now: Timestamp) -> Self {
        let Some((how, at)) = left else { return self };
        let reason = match how {
            Parting::Stopped => "it was stopped",
            Parting::GivenUp => "it was deregistered",
        };
        Self { reason: reason.to_owned(), since: Some(at), age_seconds: Some(at.age_seconds(now)), ..self }
    }

    /// The word for what it says.
    #[must_use]
    pub fn word(&self) -> &'static str {
        word(self.condition, &self.rule)
    }

    /// Whether something looks at the running session and nothing says that it has ended.
    #[must_use]
    pub fn is_still_there(&self) -> bool {
        let live = || self.readings.iter().filter(|reading| reading.source.is_live());
        live().next().is_some() && !live().any(Reading::says_gone)
    }

    /// Whether a Codex runs there: none when no sensor could tell. Behind Codex's server a session runs on without
    /// its terminal.
    #[must_use]
    pub fn runs(&self) -> Option<bool> {
        let serves = |reading: &Reading| reading.source == Source::Server && reading.condition != Condition::Unknown;
        if self.readings.iter().any(serves) {
            Some(true)
        } else if self.readings.iter().any(Reading::says_gone) {
            Some(false)
        } else if self.readings.iter().any(Reading::shows_life) {
            Some(true)
        } else {
            None
        }
    }

    /// Nothing is known, because of `reason`.
    #[must_use]
    pub fn unknown(rule: &str, reason: impl Into<String>) -> Self {
        Self {
            condition: Condition::Unknown,
            state: CoarseState::Unknown,
            reason: reason.into(),
            rule: rule.to_owned(),
            source: None,
            since: None,
            age_seconds: None,
            agreement: Agreement::Silent,
            ready_for_text: Readiness::Unknown,
            awaiting_first_prompt: false,
            prompt: None,
            readings: Vec::new(),
        }
    }
}
