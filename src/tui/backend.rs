//! What the cockpit asks of the layers below: a handful of blocking questions and one way to act.
//!
//! The calls run on the blocking pool, never on the thread that draws.

use crate::{
    actions::{
        Checkup, Command, Deliveries, Differing, EndArgs, Exchange, QuestionView, Report, ShownCriterion, TalkQuery,
        TaskPolicy, TaskRecord, TaskReview, Unregistered, Visit,
    },
    base::{Result, Timestamp},
    model::{
        board::{Board, EventRow},
        cells::Picture,
        conversation::Entry,
        family::AgentView,
        state::Judgement,
    },
};

/// Answers the screens' questions and carries out commands.
pub trait Backend: Send + Sync + 'static {
    /// One consistent snapshot of everything.
    ///
    /// # Errors
    /// When the ledger cannot be read; [`NotFound`](crate::base::Kind::NotFound) when there is none yet.
    fn board(&self) -> Result<Board>;

    /// One consistent snapshot of what is under way between sessions; the command `watched` is in it.
    ///
    /// # Errors
    /// As [`Backend::board`].
    fn deliveries(&self, watched: Option<&str>) -> Result<Deliveries>;

    /// A page of a session's rollout events, in any order.
    ///
    /// # Errors
    /// When the session is unknown or the ledger cannot be read.
    fn events(&self, session_id: &str, query: EventQuery) -> Result<Vec<EventRow>>;

    /// A page of a session's conversation, oldest first.
    ///
    /// # Errors
    /// As [`Backend::events`].
    fn conversation(&self, session_id: &str, query: TalkQuery) -> Result<Vec<Entry>>;

    /// The sub-agents of a session, with what their own rollouts tell.
    ///
    /// # Errors
    /// As [`Backend::events`].
    fn agents(&self, session_id: &str) -> Result<Vec<AgentView>>;

    /// What a session's pane shows now; none when it has no pane.
    ///
    /// # Errors
    /// When tmux is missing or refuses.
    fn pane(&self, session_id: &str) -> Result<Option<PaneText>>;

    /// Which rule, sensor and bytes led to a session's state.
    ///
    /// # Errors
    /// As [`Backend::events`].
    fn explain(&self, session_id: &str) -> Result<Explanation>;

    /// What the working tree of a session holds beyond its newest commit.
    ///
    /// # Errors
    /// When its folder is in no git repository, or git does not say.
    fn diff(&self, session_id: &str) -> Result<Differing>;

    /// What a session asks now, after a fresh look.
    ///
    /// # Errors
    /// When the session is unknown or gone, or nothing tells.
    fn questions(&self, session_id: &str) -> Result<Vec<QuestionView>>;

    /// What was asked for in a task, and what was shown for it.
    ///
    /// # Errors
    /// When there is no such task, or the ledger cannot be read.
    fn criteria(&self, task_id: &str) -> Result<Vec<ShownCriterion>>;

    /// How a task stands: its gates, and what was shown for its criteria.
    ///
    /// # Errors
    /// When there is no such task, or the ledger cannot be read.
    fn review(&self, task_id: &str, end: &EndArgs) -> Result<TaskReview>;

    /// The terms that are in force for a task.
    ///
    /// # Errors
    /// When there is no such task, or the ledger cannot be read.
    fn policy(&self, task_id: &str) -> Result<TaskPolicy>;

    /// What was said about a task: proposals, judgements, acknowledgements, the handoff, decisions.
    ///
    /// # Errors
    /// When there is no such task, or the ledger cannot be read.
    fn record(&self, task_id: &str) -> Result<TaskRecord>;

    /// The Codex sessions that run on this machine unregistered.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn unregistered(&self) -> Result<Unregistered>;

    /// Everything that belongs to a command, or to the inbox item of this number.
    ///
    /// # Errors
    /// When there is none, or the ledger cannot be read.
    fn exchange(&self, id: &str) -> Result<Exchange>;

    /// What is wrong with installation, ledger and records. Takes as long as the tools it asks.
    ///
    /// # Errors
    /// When the machine does not let it look.
    fn checkup(&self) -> Result<Checkup>;

    /// The program that shows a session's pane, and the keys that lead back.
    ///
    /// # Errors
    /// When the session has no pane, or its pane is gone.
    fn attach(&self, session_id: &str) -> Result<Visit>;

    /// Runs an action of the catalogue.
    ///
    /// # Errors
    /// What the action returns.
    fn submit(&self, command: Command) -> Result<Report>;
}

/// Which events to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventQuery {
    /// Only events with a smaller number than this.
    pub before: Option<i64>,
    /// Only events whose text holds this, whatever the case.
    pub text: Option<String>,
    /// Only events whose line type, payload type or item type is one of these; empty means all.
    pub kinds: Vec<String>,
    /// At most so many, the newest ones.
    pub limit: usize,
}

/// The visible screen of a pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneText {
    /// Its screen, in cells.
    pub picture: Picture,
    /// When it was captured.
    pub captured_at: Timestamp,
    /// What has to be known about it (copy mode, a dead pane).
    pub note: Option<String>,
}

/// Why a session is in the state it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The judgement with its readings.
    pub judgement: Judgement,
    /// The rollout lines and sensor words behind it, ready to be shown.
    pub lines: Vec<String>,
}
