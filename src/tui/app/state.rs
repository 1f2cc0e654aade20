//! The pieces that the cockpit's state is made of.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    base::Timestamp,
    model::board::Board,
    text_enum,
    tui::{
        app::App,
        columns::Column,
        keymap::{Intent, Keymap},
        listing::Listing,
        message::Failure,
        theme::{Glyphs, Part, Theme},
    },
};

text_enum! {
    /// The screens.
    pub enum Screen {
        /// Who needs you.
        Fleet => "fleet",
        /// Tasks, bindings, cycles.
        Task => "task",
        /// Rollout events.
        Events => "events",
        /// Messages on their way and in inboxes.
        Inbox => "inbox",
        /// Who delivers, queues, tries and proofs.
        Dispatch => "dispatch",
        /// What is wrong with installation and ledger.
        Doctor => "doctor",
    }
}

impl Screen {
    /// What the key that shows it means.
    #[must_use]
    pub fn intent(self) -> Intent {
        match self {
            Self::Fleet => Intent::Fleet,
            Self::Task => Intent::Task,
            Self::Events => Intent::Events,
            Self::Inbox => Intent::Inbox,
            Self::Dispatch => Intent::Dispatch,
            Self::Doctor => Intent::Doctor,
        }
    }
}

/// How closely the selection is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// The list has the keyboard.
    #[default]
    List,
    /// The preview has the keyboard.
    Peek,
    /// The preview has the whole screen.
    Full,
}

/// The Fleet screen's own state.
#[derive(Debug, Clone, Default)]
pub struct FleetState {
    /// The attention list.
    pub list: Listing,
    /// How closely its selection is looked at.
    pub look: Look,
    /// The preview shows the pane instead of the conversation.
    pub raw: bool,
    /// Ids of the sessions chosen for a nudge to all of them.
    pub chosen: BTreeSet<String>,
}

/// What is known of the board.
#[derive(Debug, Clone)]
pub enum BoardState {
    /// Nothing yet.
    Loading,
    /// The newest snapshot.
    Ready(Arc<Board>),
    /// There is no ledger yet.
    Missing(Failure),
    /// The ledger cannot be used.
    Failed(Failure),
}

/// A line that goes away by itself.
#[derive(Debug, Clone)]
pub struct Notice {
    /// How it is meant.
    pub part: Part,
    /// What it says.
    pub text: String,
    /// When it was said.
    pub at: Timestamp,
    /// Whether it still holds; one that always does goes with time alone.
    pub holds: Option<fn(&App) -> bool>,
}

/// What stays the same for the whole run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The styles.
    pub theme: Theme,
    /// The signs.
    pub glyphs: Glyphs,
    /// The words before a command word in a copied command line.
    pub prefix: Vec<String>,
    /// Whether ledger changes are announced; if not, the board is loaded every second.
    pub announced: bool,
    /// The keys.
    pub keymap: Arc<Keymap>,
    /// What stands at the right end of a row of the fleet.
    pub columns: Vec<Column>,
    /// For how many seconds something has to last before it calls the operator.
    pub dwell: i64,
}
