//! The read models that screens and listings show: one consistent snapshot each, filled by `store`.
//!
//! They hold values ready to be shown, but no layout: `tui` and `cli` decide how a row looks.

use serde::Serialize;

use super::{
    family::{Parent, SubAgent},
    marks::MarksView,
    session::{Registration, Role, SessionKind},
    state::{Judgement, PANE_GONE},
    supervision::CriteriaSummary,
    task::{BindingState, Task},
    usage::{ContextUse, TokenUse},
};
use crate::base::Timestamp;
use crate::text_enum;

text_enum! {
    /// How much a row asks for the operator, the most urgent first.
    pub enum Attention {
        /// A person has to answer.
        NeedsYou => "needs_you",
        /// Its last turn failed, was aborted and nobody on record did it, or its process died.
        Failed => "failed",
        /// Finished with an answer that the operator has not looked at.
        DoneUnseen => "done_unseen",
        /// A turn is open.
        Working => "working",
        /// Nothing to do.
        Idle => "idle",
        /// Nothing is known.
        Unknown => "unknown",
        /// Deregistered or lost.
        Gone => "gone",
    }
}

/// Everything the Fleet screen and `list` show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Board {
    /// When the snapshot was taken.
    pub taken_at: Timestamp,
    /// The ledger file.
    pub ledger: String,
    /// Sessions, the ones that need the operator first.
    pub sessions: Vec<SessionRow>,
    /// Tasks, open ones first, then the newest.
    pub tasks: Vec<TaskRow>,
}

/// One session of the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// `session-<uuid>`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Worker or manager.
    pub role: Role,
    /// Whether the registration is in force.
    pub registration: Registration,
    /// How much it asks for the operator.
    pub attention: Attention,
    /// What it is doing, and how we know.
    pub judgement: Judgement,
    /// Id of the task it is bound to.
    pub task_id: Option<String>,
    /// Name of that task.
    pub task: Option<String>,
    /// The session at the other end of the binding.
    pub partner: Option<String>,
    /// The kind of place it lives in.
    pub kind: SessionKind,
    /// tmux session name.
    pub tmux_session: Option<String>,
    /// tmux pane id.
    pub tmux_pane_id: Option<String>,
    /// Working directory.
    pub cwd: String,
    /// Codex's thread id.
    pub codex_session_id: Option<String>,
    /// Version of the Codex that wrote the rollout.
    pub codex_version: Option<String>,
    /// The newest rollout line worth naming.
    pub last_event: Option<EventBrief>,
    /// How full the model's context is.
    pub context: Option<ContextUse>,
    /// Tokens and account limits, as the rollout told last.
    pub tokens: Option<TokenUse>,
    /// The thread that started this one, when it is a sub-agent's.
    pub parent: Option<Parent>,
    /// The sub-agents that it has started, the oldest first.
    pub agents: Vec<SubAgent>,
    /// Bytes ingested so far.
    pub ingested_bytes: u64,
    /// Bytes of an unfinished last line.
    pub pending_bytes: u64,
    /// Why the rollout could not be read at the last try.
    pub ingest_error: Option<String>,
    /// When anything of it was last observed.
    pub last_heartbeat_at: Option<Timestamp>,
    /// Messages in its inbox that nobody has seen.
    pub unread: u64,
    /// What the operator has put on it.
    pub marks: MarksView,
    /// What it asks a person now, in a few words: the question that was put first. None when no question is open, or when
    /// nobody has seen what it is about.
    pub asks: Option<String>,
    /// How the criteria of its task stand; none while it is bound to no task.
    pub criteria: Option<CriteriaSummary>,
}

/// How urgent a row is: the smaller, the nearer to the top. Its tier first; within it what is pinned, then what has
/// stood longest; at the end what is put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urgency {
    attention: Attention,
    is_snoozed: bool,
    is_unpinned: bool,
    since: i64,
}

impl Urgency {
    fn of(attention: Attention, marks: &MarksView, since: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            attention,
            is_snoozed: marks.is_snoozed(now),
            is_unpinned: !marks.pinned,
            since: since.map_or(i64::MAX, Timestamp::as_millis),
        }
    }
}

impl SessionRow {
    /// How urgent it is at the moment `now`.
    #[must_use]
    pub fn urgency(&self, now: Timestamp) -> Urgency {
        self.urgency_as(self.attention, now)
    }

    /// The same when something beside it asks for as much attention as this.
    #[must_use]
    pub fn urgency_as(&self, attention: Attention, now: Timestamp) -> Urgency {
        Urgency::of(attention, &self.marks, self.judgement.since, now)
    }

    /// Its pane; none when the session is gone, or the pane was seen to be.
    #[must_use]
    pub fn pane(&self) -> Option<&str> {
        let is_seen_gone = || self.judgement.readings.iter().any(|reading| reading.rule == PANE_GONE);
        self.tmux_pane_id.as_deref().filter(|_| self.registration == Registration::Active && !is_seen_gone())
    }

    /// Whether the operator should look at it: it needs an answer, or its turn ended and nobody has looked, or the
    /// operator wanted to come back to it. What is put aside can wait.
    #[must_use]
    pub fn wants_look(&self, now: Timestamp) -> bool {
        let wants = match self.attention {
            Attention::NeedsYou => true,
            Attention::Gone => false,
            Attention::Failed | Attention::DoneUnseen | Attention::Working | Attention::Idle | Attention::Unknown => {
                self.marks.unread
            }
        };
        wants && !self.marks.is_snoozed(now)
    }
}

/// The newest event of a session in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventBrief {
    /// What it was (`task_complete`, `CommandExecution`, ...).
    pub label: String,
    /// A short text of it.
    pub text: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// One task of the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskRow {
    /// The task.
    #[serde(flatten)]
    pub task: Task,
    /// What the operator has put on it.
    pub marks: MarksView,
    /// How its criteria stand.
    pub criteria: CriteriaSummary,
    /// Its bindings, the newest first.
    pub bindings: Vec<BindingRow>,
    /// Its newest observation cycles, the newest first, at most ten.
    pub cycles: Vec<CycleRow>,
    /// What was decided and done about it last, the newest first, at most eight.
    pub decisions: Vec<DecisionRow>,
}

impl TaskRow {
    /// How urgent it is at the moment `now`, while nobody works on it.
    #[must_use]
    pub fn urgency(&self, now: Timestamp) -> Urgency {
        self.urgency_as(Attention::Idle, now)
    }

    /// The same when it asks for as much attention as this.
    #[must_use]
    pub fn urgency_as(&self, attention: Attention, now: Timestamp) -> Urgency {
        Urgency::of(attention, &self.marks, Some(self.task.created_at), now)
    }
}

/// A binding with the names of its sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BindingRow {
    /// `binding-<uuid>`.
    pub id: String,
    /// Where it stands.
    pub state: BindingState,
    /// Name of the worker session.
    pub worker: String,
    /// Name of the manager session.
    pub manager: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Something that was decided or done, as the audit trail has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionRow {
    /// When.
    pub at: Timestamp,
    /// Who: `operator`, `manager`, `worker`, `conveyor`.
    pub actor: String,
    /// What, in the word of the trail.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One observation cycle in brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CycleRow {
    /// The cycle's number.
    pub id: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// `started`, `succeeded` or `failed`.
    pub outcome: String,
    /// What it found (`busy`, ...), when it succeeded.
    pub condition: Option<String>,
    /// A notable pane pattern, when it saw one.
    pub notable: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// One stored rollout event, as the Events screen and `tail` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Number in the ledger.
    pub id: i64,
    /// First byte of its line.
    pub byte_offset: u64,
    /// Length of its line in bytes, without the line feed.
    pub byte_length: u64,
    /// The rollout's own time stamp.
    pub timestamp: Option<Timestamp>,
    /// Line type (`event_msg`, `response_item`, ...).
    pub kind: String,
    /// Payload type (`task_complete`, `message`, ...).
    pub subtype: Option<String>,
    /// Item type of `item_completed` (`AgentMessage`, ...).
    pub item: Option<String>,
    /// A short text of it.
    pub text: String,
    /// Marks: `inherited`, `lossy`, `torn_prefix`, `bad_line`, `huge`, `ordinal_conflict`.
    pub flags: Vec<String>,
}
