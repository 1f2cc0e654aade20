//! What reaches the cockpit and what it asks for: the messages of [`update`](super::app::update) and its effects.

use ratatui::layout::Size;

use super::{
    backend::{EventQuery, Explanation, PaneText},
    calls::{Call, Ringing},
    keymap::Key,
    theme::Part,
};
use crate::{
    actions::{
        Checkup, Command, Deliveries, Differing, EndArgs, Exchange, QuestionView, Report, ShownCriterion, TalkQuery,
        TaskPolicy, TaskRecord, TaskReview, Unregistered, Visit,
    },
    base::{Error, Kind, Result, Timestamp},
    engine,
    model::{
        board::{Board, EventRow},
        conversation::Entry,
        family::AgentView,
    },
};

/// A question to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// The board.
    Board,
    /// What is under way between sessions; with this command, however old it is.
    Deliveries(Option<String>),
    /// A page of the conversation of a session.
    Conversation(String, TalkQuery),
    /// The sub-agents of a session.
    Agents(String),
    /// Events of a session.
    Events(String, EventQuery),
    /// The pane of a session.
    Pane(String),
    /// Why a session is in its state.
    Explain(String),
    /// What a session has changed in its working tree.
    Diff(String),
    /// What a session asks.
    Questions(String),
    /// What was shown for the criteria of a task.
    Criteria(String),
    /// How a task stands that is to end like this; the questions are numbered.
    Review(u64, String, EndArgs),
    /// The terms of a task.
    Policy(String),
    /// What was said about a task.
    Record(String),
    /// What runs here unregistered.
    Unregistered,
    /// How to attach to a session.
    Attach(String),
    /// Everything that belongs to a command or message.
    Exchange(String),
    /// What is wrong with installation, ledger and records.
    Checkup,
}

/// Something that happened.
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The left button was pressed at this column and row.
    Click(u16, u16),
    /// The wheel was turned there; true means downwards.
    Wheel(u16, u16, bool),
    /// The terminal has this size.
    Resized(Size),
    /// Time passes.
    Tick(Timestamp),
    /// The ledger has changed.
    Changed,
    /// The answer to [`Load::Board`].
    Board(Result<Board>),
    /// The answer to [`Load::Deliveries`].
    Deliveries(Result<Deliveries>),
    /// The answer to [`Load::Conversation`].
    Conversation(String, TalkQuery, Result<Vec<Entry>>),
    /// The answer to [`Load::Agents`].
    Agents(String, Result<Vec<AgentView>>),
    /// The answer to [`Load::Events`].
    Events(String, EventQuery, Result<Vec<EventRow>>),
    /// The answer to [`Load::Pane`].
    Pane(String, Result<Option<PaneText>>),
    /// The answer to [`Load::Explain`].
    Explained(String, Result<Explanation>),
    /// The answer to [`Load::Diff`].
    Diff(String, Result<Differing>),
    /// The answer to [`Load::Questions`].
    Questions(String, Result<Vec<QuestionView>>),
    /// The answer to [`Load::Criteria`].
    Criteria(String, Result<Vec<ShownCriterion>>),
    /// The answer to the [`Load::Review`] of this number.
    Review(u64, Result<TaskReview>),
    /// The answer to [`Load::Policy`].
    Policy(String, Result<Box<TaskPolicy>>),
    /// The answer to [`Load::Record`].
    Record(String, Result<Box<TaskRecord>>),
    /// The answer to [`Load::Unregistered`].
    Unregistered(Result<Unregistered>),
    /// The answer to [`Load::Attach`].
    Attach(Result<Visit>),
    /// The answer to [`Load::Exchange`].
    Exchange(String, Result<Exchange>),
    /// The answer to [`Load::Checkup`].
    Checkup(Result<Checkup>),
    /// The program that had the terminal has ended.
    Returned(Result<()>),
    /// A submitted command is done: its command line and its result.
    Done(String, Result<Report>),
    /// A command whose receipt is a line is done.
    Noted {
        /// Its command line.
        line: String,
        /// The operator has pressed a key for it; otherwise it followed from a look.
        by_key: bool,
        /// What came of it.
        result: Result<Report>,
    },
    /// A background task has something to tell.
    Notice(engine::Notice),
    /// A background task has panicked: which one, and what it said.
    TaskPanicked(String, String),
}

/// Something to be done in the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the backend.
    Load(Load),
    /// Run an action of the catalogue.
    Submit(Command),
    /// Run an action of the catalogue whose receipt is a line.
    Note {
        /// The action.
        command: Command,
        /// The operator has pressed a key for it; otherwise it follows from a look, and is told only when it fails.
        by_key: bool,
    },
    /// Hand the terminal to a program.
    RunInTerminal(Vec<String>),
    /// Put text on the clipboard.
    Copy(String),
    /// Take the mouse, or give it back.
    Mouse(bool),
    /// Call the operator.
    Ring(Ringing, Call),
    /// Draw everything anew.
    Repaint,
    /// Go to the background.
    Suspend,
    /// Leave.
    Quit,
}

/// An error as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// Message and causes.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// The same as paragraphs: what it says, and what to do.
    #[must_use]
    pub fn told(&self) -> Vec<(Part, String)> {
        [(Part::Error, self.message.clone())].into_iter().chain(self.told_hint()).collect()
    }

    /// What to do, as a paragraph.
    #[must_use]
    pub fn told_hint(&self) -> Option<(Part, String)> {
        self.hint.as_ref().map(|hint| (Part::Text, format!("hint: {hint}")))
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind(), message: error.in_full(), hint: error.hint_text().map(str::to_owned) }
    }
}
