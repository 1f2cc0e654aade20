//! What can lie on top of a screen: help, an input line, a message that is written, a text to read, a question.

use super::{
    criteria,
    field::Field,
    finish::Finishing,
    form::Form,
    keymap::Place,
    machine::Mends,
    message::{Effect, Failure},
    palette::Palette,
    policy::Policy,
    record::Recorded,
    theme::Part,
};
use crate::{
    actions::{Mark, QuestionView},
    base::Timestamp,
};

/// One layer. The top one has the keyboard.
#[derive(Debug)]
pub enum Layer {
    /// The keys, those whose row holds the typed text.
    Help {
        /// What was typed.
        filter: String,
        /// First line shown.
        scroll: usize,
        /// Where the keys work that stand first.
        places: Vec<Place>,
    },
    /// An input line at the bottom.
    Input(Input),
    /// A message that is written.
    Nudge(Nudge),
    /// A text to read.
    Reader(Reader),
    /// A question with yes and no.
    Confirm {
        /// What is asked, with the thing's name in it.
        question: String,
        /// What yes does.
        then: Effect,
        /// When it came up by itself, or its words changed; none when a key has asked for it.
        came_at: Option<Timestamp>,
        /// The finding of doctor that it mends: a yes holds as long as that is found and mended so.
        mends: Option<Mends>,
        /// First line shown.
        scroll: usize,
    },
    /// What a session asks.
    Answer(Asked),
    /// A form that is filled in.
    Form(Form),
    /// Everything that can be done now.
    Palette(Palette),
    /// The receipts, the one of this number selected.
    Receipts(u64),
    /// For how long something is put aside.
    Snooze(Snoozing),
    /// A task that is to be finished.
    Finish(Box<Finishing>),
    /// The terms of a task.
    Policy(Box<Policy>),
    /// What was said about a task.
    Record(Box<Recorded>),
    /// The criteria of a task.
    Criteria(criteria::Asked),
}

impl Layer {
    /// Whose keys count while this layer is on top.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Help { .. } => Place::Help,
            Self::Input(_) => Place::Input,
            Self::Nudge(_) => Place::Message,
            Self::Reader(_) => Place::Reader,
            Self::Confirm { .. } => Place::Confirm,
            Self::Answer(_) => Place::Answer,
            Self::Form(_) => Place::Form,
            Self::Palette(_) => Place::Palette,
            Self::Receipts(_) => Place::Receipts,
            Self::Snooze(_) => Place::Snooze,
            Self::Finish(_) => Place::Finish,
            Self::Policy(_) => Place::Policy,
            Self::Record(_) => Place::Record,
            Self::Criteria(_) => Place::Criteria,
        }
    }

    /// Its first line shown, when it is a text that scrolls.
    pub fn scroll_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Help { scroll, .. } | Self::Confirm { scroll, .. } => Some(scroll),
            Self::Reader(reader) => Some(&mut reader.scroll),
            Self::Answer(asked) => Some(&mut asked.scroll),
            Self::Finish(finishing) => Some(&mut finishing.scroll),
            Self::Policy(policy) => Some(&mut policy.scroll),
            Self::Record(recorded) => Some(&mut recorded.scroll),
            Self::Criteria(asked) => Some(&mut asked.scroll),
            Self::Input(_)
            | Self::Nudge(_)
            | Self::Form(_)
            | Self::Palette(_)
            | Self::Receipts(_)
            | Self::Snooze(_) => None,
        }
    }

    /// The task that it names and that everything done in it is about.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Finish(finishing) => Some(&finishing.task),
            Self::Policy(policy) => Some(&policy.task),
            Self::Record(recorded) => Some(&recorded.task),
            Self::Criteria(asked) => Some(&asked.task),
            _ => None,
        }
    }
}

/// What an input line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The filter of sessions and tasks; works while it is typed.
    Filter,
    /// The text that shown events hold.
    Search,
    /// A byte offset of the rollout.
    Jump,
}

/// An input line.
#[derive(Debug)]
pub struct Input {
    /// What it is for.
    pub purpose: Purpose,
    /// What was typed.
    pub text: String,
    /// Why it cannot be taken.
    pub error: Option<String>,
    /// What was there before, for Esc.
    pub before: String,
    /// The row that was selected, kept as long as it passes.
    pub selected: Option<String>,
}

/// A message to one session or several.
#[derive(Debug)]
pub struct Nudge {
    /// Ids and names of the sessions that it goes to.
    pub to: Vec<(String, String)>,
    /// Names of chosen sessions that it does not go to, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// What was typed.
    pub field: Field,
    /// Why it cannot be taken.
    pub error: Option<String>,
    /// It was not accepted and came back by itself: the next Enter was meant for what lay above it.
    pub came_back: bool,
}

/// What a [`Reader`] shows, so that an answer finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// The state of this session.
    Explain(String),
    /// The working tree of this session.
    Diff(String),
    /// The receipt of this number: what it says is told when it is drawn, since it goes on.
    Receipt(u64),
    /// An event, an error.
    Message,
}

/// A text to read.
#[derive(Debug)]
pub struct Reader {
    /// What it shows.
    pub about: About,
    /// Its heading; a receipt has its own.
    pub title: String,
    /// The text, a part for each paragraph; a receipt and an explanation have their own.
    pub text: Vec<(Part, String)>,
    /// First line shown.
    pub scroll: usize,
    /// The command line that shows the same, or that was submitted.
    pub command: Option<String>,
}

/// For how long something is put aside.
#[derive(Debug)]
pub struct Snoozing {
    /// Its name.
    pub name: String,
    /// What can be done; never empty.
    pub choices: Vec<Mark>,
    /// Which of them is meant.
    pub selected: usize,
}

/// What a session asks, to be answered.
#[derive(Debug)]
pub struct Asked {
    /// The session.
    pub session: String,
    /// Its name.
    pub name: String,
    /// What it asks; none while it is looked at.
    pub questions: Option<Result<Vec<QuestionView>, Failure>>,
    /// When that was looked at: ages go on from there.
    pub looked_at: Timestamp,
    /// It is being looked at.
    pub is_asked: bool,
    /// Something may have changed since that was begun.
    pub is_stale: bool,
    /// The id of the one that is meant, also when it is not asked any more.
    pub selected: Option<String>,
    /// First line shown.
    pub scroll: usize,
}

impl Asked {
    /// What is asked, as far as that is known.
    #[must_use]
    pub fn views(&self) -> &[QuestionView] {
        self.questions.as_ref().and_then(|views| views.as_ref().ok()).map_or(&[], Vec::as_slice)
    }

    /// Where the question stands that a decision would be about.
    #[must_use]
    pub fn meant_at(&self) -> Option<usize> {
        let id = self.selected.as_ref()?;
        self.views().iter().position(|view| view.question.id == *id)
    }

    /// The question that a decision would be about.
    #[must_use]
    pub fn meant(&self) -> Option<&QuestionView> {
        self.views().get(self.meant_at()?)
    }

    /// The one that was meant is not asked any more, and no other one was chosen.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        matches!(self.questions, Some(Ok(_))) && self.selected.is_some() && self.meant_at().is_none()
    }
}
