//! The read models of what is under way between sessions: commands with how far each has come, and what lies in
//! inboxes.

use super::{
    counts::{Counted, Counts},
    delivery::{AckStatus, CommandKind, ItemState, Phase},
};
use crate::base::Timestamp;

/// A command as screens show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// `command-<uuid>`.
    pub id: String,
    /// Its place in line.
    pub seq: i64,
    /// What it is for.
    pub kind: CommandKind,
    /// Who sent it, in the words of the audit trail.
    pub created_by: String,
    /// Id of its task.
    pub task_id: Option<String>,
    /// Name of its task.
    pub task: Option<String>,
    /// Id of the session it is for.
    pub target_id: String,
    /// Name of that session.
    pub target: String,
    /// How far it has come.
    pub phase: Phase,
    /// Why it stands there.
    pub reason: Option<String>,
    /// Why it was delivered the way it was.
    pub lane_reason: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it moved last.
    pub updated_at: Timestamp,
    /// When it is tried again; none when nothing was said about that.
    pub next_try_at: Option<Timestamp>,
    /// When its time runs out, unless it is delivered before.
    pub expires_at: Option<Timestamp>,
    /// Tries at delivering it.
    pub attempts: u64,
    /// The byte of its target's rollout that proves it arrived.
    pub proof: Option<u64>,
    /// What it says.
    pub message: Preview,
    /// What became of it in the inbox; none while it does not lie there.
    pub item: Option<ItemFacts>,
}

/// The beginning of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// Its first characters, cleaned.
    Text(String),
    /// It is so long that it was not looked at: so many bytes.
    Long(u64),
}

/// What became of something in an inbox: each its own fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemFacts {
    /// Where it stands.
    pub state: ItemState,
    /// Since when it lies there.
    pub delivered_at: Option<Timestamp>,
    /// When its words were renewed last, before anybody had read it.
    pub renewed_at: Option<Timestamp>,
    /// When its text was shown or handed out first.
    pub read_at: Option<Timestamp>,
    /// When its reader confirmed it.
    pub consumed_at: Option<Timestamp>,
    /// What its session said about it last.
    pub acknowledged: Option<AckStatus>,
}

impl ItemFacts {
    /// Since when it says what it says.
    #[must_use]
    pub fn said_at(&self) -> Option<Timestamp> {
        self.renewed_at.or(self.delivered_at)
    }

    /// It lies there and nobody has seen its text.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.state == ItemState::Delivered && self.read_at.is_none() && self.consumed_at.is_none()
    }

    /// The furthest it has come, in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.state {
            ItemState::Pending => "on its way",
            ItemState::Failed => "given up",
            ItemState::Suppressed => "put away",
            ItemState::Delivered if self.consumed_at.is_some() => "confirmed",
            ItemState::Delivered if self.read_at.is_some() => "read",
            ItemState::Delivered => "unread",
        }
    }
}

/// Something in an inbox as screens show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// Its number.
    pub id: i64,
    /// Id of its task.
    pub task_id: Option<String>,
    /// Name of its task.
    pub task: Option<String>,
    /// Id of the session it is for.
    pub target_id: String,
    /// Name of that session.
    pub target: String,
    /// Name of the session that speaks; none is the operator.
    pub source: Option<String>,
    /// What it is.
    pub signal: String,
    /// The command behind it.
    pub command_id: Option<String>,
    /// What became of it.
    pub facts: ItemFacts,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Why it was given up.
    pub error: Option<String>,
    /// What it says.
    pub message: Preview,
}

/// What the end of a task would take back, counted exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOver {
    /// The task.
    pub task_id: String,
    /// Messages that wait, or lie unread in an inbox.
    pub taken_back: u64,
    /// Other things in inboxes that nobody has read, as reports of turns.
    pub reports: u64,
    /// Messages that may still arrive, or that their reader has in hand.
    pub under_way: u64,
    /// Messages that wait to go through the binding in force; its end gives them up.
    pub bound: u64,
    /// Messages through it that may still arrive.
    pub bound_under_way: u64,
    /// What came through it and lies unread in an inbox.
    pub bound_unread: u64,
    /// The oldest of the messages that are taken back.
    pub examples: Vec<CommandRow>,
}

impl LeftOver {
    /// What goes with the end of the task, of which so many questions to the operator are open.
    #[must_use]
    pub fn with_the_task(&self, questions: u64) -> Counts {
        Counts::of([
            (Counted::TakenBack, self.taken_back),
            (Counted::Reports, self.reports),
            (Counted::UnderWay, self.under_way),
            (Counted::Questions, questions),
        ])
    }

    /// What goes with the end of its binding.
    #[must_use]
    pub fn with_the_binding(&self) -> Counts {
        let Self { bound, bound_under_way, bound_unread, .. } = self;
        Counts::of([
            (Counted::GivenUp, *bound),
            (Counted::UnderWay, *bound_under_way),
            (Counted::Unread, *bound_unread),
        ])
    }
}

/// What is meant for one session and has not reached it, counted exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Awaiting {
    /// Messages that wait to be delivered; given up when it is gone.
    pub waiting: u64,
    /// Messages that may still arrive, or that it has in hand.
    pub under_way: u64,
    /// What lies unread in its inbox.
    pub unread: u64,
}

impl Awaiting {
    /// What goes with the session.
    #[must_use]
    pub fn with_the_session(&self) -> Counts {
        Counts::of([
            (Counted::GivenUp, self.waiting),
            (Counted::UnderWay, self.under_way),
            (Counted::Unread, self.unread),
        ])
    }
}

/// How much lies in the inbox of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxCount {
    /// The session.
    pub session_id: String,
    /// To be fetched, or fetched and not confirmed yet.
    pub waiting: u64,
    /// Of these, how many nobody has seen.
    pub unread: u64,
}
