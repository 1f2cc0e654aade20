//! What is loaded to show a session: its conversation and its pane. Of the few sessions that were looked at last.

use ratatui::layout::Rect;

use super::{
    backend::PaneText,
    loads::Queue,
    markdown::Paint,
    message::{Effect, Failure, Load},
    talk::Talk,
};
use crate::{
    actions::TalkQuery,
    model::{conversation::Entry, family::AgentView},
};

/// Sessions whose views are kept.
const KEPT: usize = 3;

/// What is loaded of one session.
#[derive(Debug)]
pub struct View {
    /// The session.
    pub session: String,
    /// What was said.
    pub talk: Talk,
    /// What its terminal shows.
    pub pane: PaneView,
    /// Its sub-agents, with what their own rollouts tell; empty while that is not known.
    pub agents: Vec<AgentView>,
}

/// A pane, or what of it was seen last.
#[derive(Debug, Default)]
pub struct PaneView {
    /// What came; none while nothing has.
    pub seen: Option<Result<Option<PaneText>, Failure>>,
    /// By how many rows it is scrolled up from its end.
    pub up: usize,
    /// By how many columns it is scrolled to the right.
    pub right: usize,
}

/// The views that are kept, the newest last.
#[derive(Debug, Default)]
pub struct Views {
    kept: Vec<View>,
    talks: Queue<TalkQuery>,
    panes: Queue<()>,
    agents: Queue<()>,
}

/// Where a session is shown, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The session.
    pub session: String,
    /// Its pane is shown, not its conversation.
    pub raw: bool,
    /// Columns for text.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// The whole of its place, heading included.
    pub area: Rect,
    /// Keys are about it.
    pub has_keyboard: bool,
}

impl Views {
    /// What is loaded of a session.
    #[must_use]
    pub fn of(&self, session: &str) -> Option<&View> {
        self.kept.iter().find(|view| view.session == session)
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, session: &str) -> Option<&mut View> {
        self.kept.iter_mut().find(|view| view.session == session)
    }

    /// The view of a session that is looked at now; the one not looked at for the longest time makes room.
    pub fn open(&mut self, session: &str) -> &mut View {
        let view = match self.kept.iter().position(|view| view.session == session) {
            Some(index) => self.kept.remove(index),
            None => View {
                session: session.to_owned(),
                talk: Talk::default(),
                pane: PaneView::default(),
                agents: Vec::new(),
            },
        };
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push(view);
        let last = self.kept.len() - 1;
        &mut self.kept[last]
    }

    /// Asks for the newest of a session's conversation, or for what stands before an entry.
    pub fn ask_talk(&mut self, session: &str, before: Option<i64>) -> Option<Effect> {
        self.open(session);
        let query = self.talks.ask(session, Talk::query(before))?;
        Some(Effect::Load(Load::Conversation(session.to_owned(), query)))
    }

    /// Asks for what a session's pane shows.
    pub fn ask_pane(&mut self, session: &str) -> Option<Effect> {
        self.open(session);
        self.panes.ask(session, ()).map(|()| Effect::Load(Load::Pane(session.to_owned())))
    }

    /// Asks for what the rollouts of a session's sub-agents tell.
    pub fn ask_agents(&mut self, session: &str) -> Option<Effect> {
        self.agents.ask(session, ()).map(|()| Effect::Load(Load::Agents(session.to_owned())))
    }

    /// Takes it; what is to be asked next.
    pub fn agents_arrived(&mut self, session: &str, agents: Vec<AgentView>, spots: &[Spot]) -> Option<Effect> {
        if let Some(view) = self.of_mut(session) {
            view.agents = agents;
        }
        let wanted = |what: &str| spots.iter().any(|spot| spot.session == what);
        self.agents.answered(wanted).map(|(session, ())| Effect::Load(Load::Agents(session)))
    }

    /// Whether the newest of a session is there to be seen, and no answer is out that may bring more.
    #[must_use]
    pub fn shows_all_of(&self, session: &str, raw: bool) -> bool {
        let Some(view) = self.of(session) else { return false };
        if raw { view.pane.text().is_some() } else { self.talks.is_idle() && view.talk.shows_the_end() }
    }

    /// Takes a page of a conversation; what is to be asked next, for what is on screen at `spots`.
    pub fn talk_arrived(
        &mut self,
        session: &str,
        query: TalkQuery,
        page: Result<Vec<Entry>, Failure>,
        spots: &[Spot],
    ) -> Option<Effect> {
        if let Some(view) = self.of_mut(session) {
            view.talk.arrived(query, page);
        }
        let wanted = |what: &str| spots.iter().any(|spot| spot.session == what);
        self.talks.answered(wanted).map(|(session, query)| Effect::Load(Load::Conversation(session, query)))
    }

    /// Takes what a pane shows; what is to be asked next.
    pub fn pane_arrived(
        &mut self,
        session: &str,
        seen: Result<Option<PaneText>, Failure>,
        spots: &[Spot],
    ) -> Option<Effect> {
        if let Some(view) = self.of_mut(session) {
            view.pane.seen = Some(seen);
        }
        let wanted = |what: &str| spots.iter().any(|spot| spot.raw && spot.session == what);
        self.panes.answered(wanted).map(|(session, ())| Effect::Load(Load::Pane(session)))
    }

    /// Brings what is laid out in line with where it is shown.
    pub fn settle(&mut self, spots: &[Spot], paint: Paint) {
        for spot in spots {
            let Some(view) = self.of_mut(&spot.session) else { continue };
            if spot.raw {
                view.pane.settle(spot.width, spot.height);
            } else {
                view.talk.settle(spot.height, Paint { width: spot.width, ..paint });
            }
        }
    }
}

impl PaneView {
    /// The picture, when there is one.
    #[must_use]
    pub fn text(&self) -> Option<&PaneText> {
        self.seen.as_ref()?.as_ref().ok()?.as_ref()
    }

    fn settle(&mut self, width: usize, height: usize) {
        let (most_up, most_right) = match self.text() {
            Some(pane) => (
                pane.picture.rows.len().saturating_sub(rows_for(height)),
                usize::from(pane.picture.width).saturating_sub(width),
            ),
            None => return,
        };
        self.up = self.up.min(most_up);
        self.right = self.right.min(most_right);
    }
}

/// Rows of the pane itself: the line below tells of its age.
#[must_use]
pub fn rows_for(height: usize) -> usize {
    height.saturating_sub(1)
}
