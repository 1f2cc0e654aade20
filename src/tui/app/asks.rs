//! What the cockpit asks its backend, and when.

use super::{App, Screen};
use crate::tui::{
    layer::{About, Layer, Reader},
    message::{Effect, Load},
    screen::preview,
};

/// The board is a matter of milliseconds: after so many seconds without an answer that is said.
const BOARD_PATIENCE: i64 = 2;

impl App {
    pub(in crate::tui) fn ask_board(&mut self) -> Option<Effect> {
        self.board_asked_at = self.now;
        self.board_slot.ask(()).map(|()| self.send_board())
    }

    /// The command whose way is shown.
    fn watched(&self) -> Option<String> {
        self.layers.iter().rev().find_map(|layer| match layer {
            Layer::Reader(Reader { about: About::Receipt(number), .. }) => {
                self.receipts.get(*number)?.sent.first().map(|sent| sent.id.clone())
            }
            _ => None,
        })
    }

    pub(super) fn ask_deliveries(&mut self) -> Option<Effect> {
        let watched = self.watched();
        self.deliveries_slot.ask(watched).map(|watched| Effect::Load(Load::Deliveries(watched)))
    }

    pub(super) fn send_board(&mut self) -> Effect {
        self.board_sent_at = Some(self.now);
        Effect::Load(Load::Board)
    }

    /// For how many seconds the ledger has owed an answer, when that is longer than it should take.
    #[must_use]
    pub fn silent_seconds(&self) -> Option<i64> {
        let seconds = self.board_sent_at?.age_seconds(self.now);
        (seconds >= BOARD_PATIENCE).then_some(seconds)
    }

    /// The panes that are on screen, asked anew.
    pub(super) fn ask_panes(&mut self) -> Vec<Effect> {
        let spots = preview::spots(self).into_iter().filter(|spot| spot.raw);
        spots.filter_map(|spot| self.views.ask_pane(&spot.session)).collect()
    }

    /// Asks for a page of the selected session's events; `before` none means the newest.
    pub(in crate::tui) fn ask_events(&mut self, before: Option<i64>) -> Option<Effect> {
        let id = self.session()?.id.clone();
        if self.events.session.as_deref() != Some(&id) {
            self.events.forget(id.clone());
        }
        let query = self.events.query(before);
        self.events_slot.ask((id, query)).map(|(id, query)| Effect::Load(Load::Events(id, query)))
    }

    /// Everything that the screen shows of the selection, asked anew.
    pub(in crate::tui) fn ask_details(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        match self.screen {
            Screen::Fleet | Screen::Task => {
                for spot in preview::spots(self) {
                    effects.extend(self.views.ask_talk(&spot.session, None));
                    let board = self.board();
                    let row = board.and_then(|board| board.sessions.iter().find(|row| row.id == spot.session));
                    if row.is_some_and(|row| !row.agents.is_empty()) {
                        effects.extend(self.views.ask_agents(&spot.session));
                    }
                    if spot.raw {
                        effects.extend(self.views.ask_pane(&spot.session));
                    }
                }
            }
            Screen::Inbox => {}
            Screen::Events => effects.extend(self.ask_events(None)),
            Screen::Dispatch => effects.extend(self.ask_exchange()),
            Screen::Doctor => effects.extend(self.ask_first_checkup()),
        }
        effects
    }
}
