//! The state of the cockpit and the pure step from one state to the next.
//!
//! [`update`] takes a message and returns what has to be done in the world; it neither reads nor draws. Rows are
//! selected by id, so that they may move under the cursor.

use std::{collections::BTreeSet, sync::Arc};

use ratatui::layout::Size;

use super::{
    backend::{EventQuery, Explanation},
    calls::{Notifier, Ringing},
    columns::Column,
    form::Drafts,
    keymap::{Intent, Keymap, Place},
    layer::{About, Layer, Reader},
    listing::{Listing, Sides},
    loads::Slot,
    machine::{DispatchState, DoctorState},
    markdown::Paint,
    marks::Attending,
    message::{Effect, Failure, Load, Msg},
    pair::{self, End, PairState},
    receipts::{self, Receipts},
    screen::{dispatch, events::EventsState, fleet, inbox, preview, task},
    theme::{Glyphs, Part, Theme},
    views::Views,
};
use crate::{
    actions::{Deliveries, Report},
    base::{Kind, Result, Timestamp, text::one_line},
    engine,
    model::{
        board::{Attention, Board, SessionRow, TaskRow},
        filter::Filter,
        state::Judgement,
    },
    text_enum,
};

/// How long a notice stays, in seconds.
const NOTICE_SECONDS: i64 = 8;

/// Without news the board is loaded again after so many seconds: a process that died changes no ledger.
const RELOAD_SECONDS: i64 = 10;

/// The board is a matter of milliseconds: after so many seconds without an answer that is said.
const BOARD_PATIENCE: i64 = 2;

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
    /// The key that shows it. Some digits belong to screens of capabilities that have not landed.
    #[must_use]
    pub fn digit(self) -> char {
        match self {
            Self::Fleet => '1',
            Self::Task => '2',
            Self::Events => '3',
            Self::Inbox => '4',
            Self::Dispatch => '5',
            Self::Doctor => '8',
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How it is meant.
    pub part: Part,
    /// What it says.
    pub text: String,
    /// When it was said.
    pub at: Timestamp,
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

/// The cockpit.
pub struct App {
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    pub(super) size: Size,
    pub(super) board: BoardState,
    /// What is under way between sessions; none while that is not known.
    pub(super) deliveries: Option<Result<Arc<Deliveries>, Failure>>,
    pub(super) changed_at: Option<Timestamp>,
    pub(super) screen: Screen,
    pub(super) layers: Vec<Layer>,
    pub(super) filter_text: String,
    pub(super) filter: Filter,
    pub(super) fleet: FleetState,
    pub(super) attending: Attending,
    pub(super) task_view: Sides,
    pub(super) pair: PairState,
    pub(super) inbox_view: Sides,
    pub(super) dispatch: DispatchState,
    pub(super) doctor: DoctorState,
    pub(super) events: EventsState,
    /// What is loaded of the sessions that are shown.
    pub(super) views: Views,
    pub(super) mouse: bool,
    /// How the operator is called.
    pub(super) ringing: Ringing,
    notifier: Notifier,
    pub(super) notice: Option<Notice>,
    pub(super) receipts: Receipts,
    /// What was typed into forms and not done.
    pub(super) drafts: Drafts,
    /// Background tasks that cannot do their work, and why.
    pub(super) troubles: Vec<(&'static str, String)>,
    board_asked_at: Timestamp,
    /// When the question was sent whose answer is still out.
    board_sent_at: Option<Timestamp>,
    board_slot: Slot<()>,
    deliveries_slot: Slot<Option<String>>,
    events_slot: Slot<(String, EventQuery)>,
}

impl App {
    /// The cockpit before anything is known.
    #[must_use]
    pub fn new(settings: Settings, now: Timestamp, size: Size, mouse: bool) -> Self {
        Self {
            settings,
            now,
            size,
            board: BoardState::Loading,
            deliveries: None,
            changed_at: None,
            screen: Screen::Fleet,
            layers: Vec::new(),
            filter_text: String::new(),
            filter: Filter::default(),
            fleet: FleetState::default(),
            attending: Attending::default(),
            task_view: Sides::default(),
            pair: PairState::default(),
            inbox_view: Sides::default(),
            dispatch: DispatchState::default(),
            doctor: DoctorState::default(),
            events: EventsState::default(),
            views: Views::default(),
            mouse,
            ringing: Ringing::Off,
            notifier: Notifier::default(),
            notice: None,
            receipts: Receipts::default(),
            drafts: Drafts::default(),
            troubles: Vec::new(),
            board_asked_at: now,
            board_sent_at: None,
            board_slot: Slot::default(),
            deliveries_slot: Slot::default(),
            events_slot: Slot::default(),
        }
    }

    /// Shows this task as soon as the board is there.
    pub(super) fn open_on(&mut self, task: Option<String>) {
        if task.is_some() {
            self.screen = Screen::Task;
            self.task_view.list.id = task;
        }
    }

    /// What has to be done before the first message.
    pub fn begin(&mut self) -> Vec<Effect> {
        self.ask_board().into_iter().collect()
    }

    /// The newest snapshot, when there is one.
    #[must_use]
    pub fn board(&self) -> Option<&Board> {
        match &self.board {
            BoardState::Ready(board) => Some(board),
            BoardState::Loading | BoardState::Missing(_) | BoardState::Failed(_) => None,
        }
    }

    /// What is under way between sessions, when that is known.
    #[must_use]
    pub fn deliveries(&self) -> Option<&Deliveries> {
        self.deliveries.as_ref()?.as_deref().ok()
    }

    /// The tasks that pass the filter.
    #[must_use]
    pub fn tasks(&self) -> Vec<&TaskRow> {
        let tasks = self.board().map_or(&[][..], |board| &board.tasks);
        tasks.iter().filter(|row| self.filter.matches_task(row, self.now)).collect()
    }

    /// The selected task of the Task screen.
    #[must_use]
    pub fn selected_task(&self) -> Option<&TaskRow> {
        let id = self.task_view.list.id.as_deref()?;
        self.board()?.tasks.iter().find(|row| row.task.id == id)
    }

    /// The session that an act on this screen is about.
    #[must_use]
    pub fn session(&self) -> Option<&SessionRow> {
        let board = self.board()?;
        match self.screen {
            // What the filter hides is not on screen, and no key is about it.
            Screen::Fleet => {
                let id = self.fleet.list.id.as_deref()?;
                board.sessions.iter().find(|row| row.id == id && fleet::shows(self, row))
            }
            Screen::Events => {
                let id = self.fleet.list.id.as_deref()?;
                board.sessions.iter().find(|row| row.id == id)
            }
            Screen::Task => match (pair::sessions(self), pair::focus(self)) {
                (Some((_, manager)), Some(End::Manager)) => Some(manager),
                (Some((worker, _)), _) => Some(worker),
                (None, _) => None,
            },
            Screen::Inbox => {
                let id = inbox::selected(self)?.target_id().to_owned();
                board.sessions.iter().find(|session| session.id == id)
            }
            Screen::Dispatch => {
                let id = dispatch::selected(self)?.target_id()?.to_owned();
                board.sessions.iter().find(|session| session.id == id)
            }
            Screen::Doctor => None,
        }
    }

    /// The name of the task that an act on this screen is about.
    #[must_use]
    pub fn task_name(&self) -> Option<&str> {
        match self.screen {
            Screen::Task => self.selected_task().map(|row| row.task.name.as_str()),
            Screen::Fleet | Screen::Events | Screen::Inbox | Screen::Dispatch | Screen::Doctor => {
                self.session()?.task.as_deref()
            }
        }
    }

    /// Whose keys count now, the nearest first.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        if let Some(layer) = self.layers.last() {
            return vec![layer.place(), Place::Always];
        }
        let mut places = self.places_below();
        places.push(Place::Always);
        places
    }

    /// Whose keys count on the screen, whatever lies over it.
    #[must_use]
    pub fn places_below(&self) -> Vec<Place> {
        let own = match self.screen {
            Screen::Fleet => Place::Fleet,
            Screen::Task => Place::Task,
            Screen::Events => Place::Events,
            Screen::Inbox => Place::Inbox,
            Screen::Dispatch => Place::Dispatch,
            Screen::Doctor => Place::Doctor,
        };
        vec![own, Place::Screen]
    }

    /// The key of a meaning on this screen, to be named in a sentence.
    #[must_use]
    pub fn key(&self, intent: Intent) -> String {
        let mut places = self.places_below();
        places.push(Place::Always);
        self.settings.keymap.key_of(&places, intent).unwrap_or_else(|| "(no key)".to_owned())
    }

    pub(super) fn say(&mut self, part: Part, text: impl Into<String>) {
        self.notice = Some(Notice { part, text: text.into(), at: self.now });
    }

    /// Shows a failure in full.
    pub(super) fn show_failure(&mut self, title: &str, failure: &Failure) {
        let mut text = vec![(Part::Error, failure.message.clone())];
        text.extend(failure.hint.iter().map(|hint| (Part::Text, format!("hint: {hint}"))));
        self.layers.push(Layer::Reader(Reader {
            about: About::Message,
            title: title.to_owned(),
            text,
            scroll: 0,
            command: None,
        }));
    }

    pub(super) fn ask_board(&mut self) -> Option<Effect> {
        self.board_asked_at = self.now;
        self.board_slot.ask(()).map(|()| self.send_board())
    }

    /// The command whose way is shown.
    fn watched(&self) -> Option<String> {
        self.layers.iter().rev().find_map(|layer| match layer {
            Layer::Reader(Reader { about: About::Command(id), .. }) => Some(id.clone()),
            _ => None,
        })
    }

    fn ask_deliveries(&mut self) -> Option<Effect> {
        let watched = self.watched();
        self.deliveries_slot.ask(watched).map(|watched| Effect::Load(Load::Deliveries(watched)))
    }

    fn send_board(&mut self) -> Effect {
        self.board_sent_at = Some(self.now);
        Effect::Load(Load::Board)
    }

    /// For how many seconds the ledger has owed an answer, when that is longer than it should take.
    #[must_use]
    pub fn silent_seconds(&self) -> Option<i64> {
        let seconds = self.board_sent_at?.age_seconds(self.now);
        (seconds >= BOARD_PATIENCE).then_some(seconds)
    }

    /// How text is set; the width is that of the place.
    pub(super) fn paint(&self, width: usize) -> Paint {
        Paint { theme: self.settings.theme, glyphs: self.settings.glyphs, width }
    }

    /// Whether everything that the board knows of a session is on its preview.
    #[must_use]
    pub fn shows_all_of(&self, session_id: &str) -> bool {
        self.views.shows_all_of(session_id, self.fleet.raw)
    }

    /// The panes that are on screen, asked anew.
    fn ask_panes(&mut self) -> Vec<Effect> {
        let spots = preview::spots(self).into_iter().filter(|spot| spot.raw);
        spots.filter_map(|spot| self.views.ask_pane(&spot.session)).collect()
    }

    /// Asks for a page of the selected session's events; `before` none means the newest.
    pub(super) fn ask_events(&mut self, before: Option<i64>) -> Option<Effect> {
        let id = self.session()?.id.clone();
        if self.events.session.as_deref() != Some(&id) {
            self.events.forget(id.clone());
        }
        let query = self.events.query(before);
        self.events_slot.ask((id, query)).map(|(id, query)| Effect::Load(Load::Events(id, query)))
    }

    /// Everything that the screen shows of the selection, asked anew.
    pub(super) fn ask_details(&mut self) -> Vec<Effect> {
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

    /// Brings selection, scrolling and loaded things in line with what is there now.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let before = self.session().map(|row| row.id.clone());
        let ids = fleet::ids(self);
        let visible = fleet::visible_rows(self);
        self.fleet.list.settle(&ids, visible);
        let ids = task::ids(self);
        let visible = task::visible_rows(self);
        self.task_view.list.settle(&ids, visible);
        if self.task_view.scroll > 0 {
            self.task_view.scroll = self.task_view.scroll.min(task::overflow(self));
        }
        let ids = inbox::ids(self);
        let visible = inbox::visible_rows(self);
        if ids.is_empty() {
            self.inbox_view.list.id = None;
        }
        self.inbox_view.list.settle(&ids, visible);
        if self.inbox_view.scroll > 0 {
            self.inbox_view.scroll = self.inbox_view.scroll.min(inbox::overflow(self));
        }
        self.settle_machine(effects);
        self.events.settle(super::screen::events::visible_rows(self));
        let spots = preview::spots(self);
        let paint = self.paint(0);
        self.views.settle(&spots, paint);
        let after = self.session().map(|row| row.id.clone());
        if after != before {
            self.selection_changed(effects);
        }
    }

    /// The selection is another one: what was loaded for the old one does not count.
    pub(super) fn selection_changed(&mut self, effects: &mut Vec<Effect>) {
        effects.extend(self.ask_details());
    }

    /// Selects a row of the fleet.
    pub(super) fn select(&mut self, id: Option<String>, effects: &mut Vec<Effect>) {
        if id.is_some() && id != self.fleet.list.id {
            self.fleet.list.id = id;
            self.selection_changed(effects);
        }
    }

    fn board_arrived(&mut self, result: Result<Board>, effects: &mut Vec<Effect>) {
        self.board_sent_at = None;
        if self.board_slot.answered().is_some() {
            effects.push(self.send_board());
        }
        match result {
            Ok(board) => {
                let first = self.board().is_none();
                let same = self.board().is_some_and(|old| facts(old) == facts(&board) && old.tasks == board.tasks);
                if !same {
                    self.changed_at = if first { newest(&board) } else { Some(board.taken_at) };
                }
                self.notifier.saw(&board, self.now);
                self.board = BoardState::Ready(Arc::new(board));
                if self.fleet.list.id.is_none() {
                    self.fleet.list.id = fleet::rows(self).first().map(|row| row.id().to_owned());
                }
                if !same {
                    effects.extend(self.ask_details());
                }
                effects.extend(self.ask_deliveries());
                if self.board().is_some_and(|board| board.sessions.is_empty() && board.tasks.is_empty()) {
                    effects.extend(self.ask_first_checkup());
                }
            }
            Err(error) => {
                let failure = Failure::from(&error);
                self.deliveries = None;
                if failure.kind == Kind::NotFound {
                    effects.extend(self.ask_first_checkup());
                }
                self.board = match failure.kind {
                    Kind::NotFound => BoardState::Missing(failure),
                    _ => BoardState::Failed(failure),
                };
            }
        }
    }

    fn deliveries_arrived(&mut self, result: Result<Deliveries>, effects: &mut Vec<Effect>) {
        effects.extend(self.deliveries_slot.answered().map(|watched| Effect::Load(Load::Deliveries(watched))));
        let moved = match (self.deliveries(), &result) {
            (Some(old), Ok(new)) => old.commands != new.commands || old.items != new.items,
            _ => false,
        };
        if let Ok(new) = &result {
            self.receipts.learn(new);
            if moved {
                self.changed_at = Some(new.taken_at);
            }
        }
        self.deliveries = Some(result.map(Arc::new).map_err(|error| Failure::from(&error)));
        if self.screen == Screen::Dispatch {
            effects.extend(self.ask_exchange());
        }
    }

    fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.now = now;
        if self.notice.as_ref().is_some_and(|notice| notice.at.age_seconds(now) >= NOTICE_SECONDS) {
            self.notice = None;
        }
        let patience = match self.board {
            BoardState::Ready(_) if self.settings.announced => RELOAD_SECONDS,
            _ => 1,
        };
        if self.board_asked_at.age_seconds(now) >= patience {
            effects.extend(self.ask_board());
        }
        effects.extend(self.ask_panes());
        // Also when nobody is to be called: what is told is told, whatever is switched on later.
        if let Some(call) = self.notifier.due(now, self.settings.dwell)
            && self.ringing != Ringing::Off
        {
            effects.push(Effect::Ring(self.ringing, call));
        }
    }

    /// What the terminal's title is to say: how many need the operator.
    #[must_use]
    pub fn title(&self) -> String {
        let counted = |attention| self.board().map_or(0, |board| count(board, attention, self.now));
        match (counted(Attention::NeedsYou), counted(Attention::Failed)) {
            (0, 0) => "conveyor".to_owned(),
            (0, failed) => format!("x{failed} conveyor"),
            (needing, _) => format!("!{needing} conveyor"),
        }
    }

    fn noticed(&mut self, notice: engine::Notice) {
        let (task, trouble) = match notice {
            engine::Notice::Replaced { .. } => {
                // What stands in it is no news.
                self.notifier = Notifier::default();
                self.say(Part::Warning, "another file lies at the ledger's path now; what is shown comes from it");
                return;
            }
            engine::Notice::Trouble { task, message } => (task, Some(one_line(&message))),
            engine::Notice::Died { task } => (task, Some("ended by itself; start conveyor again".to_owned())),
            engine::Notice::Recovered { task } => (task, None),
        };
        self.troubles.retain(|(other, _)| *other != task);
        self.troubles.extend(trouble.map(|text| (task, text)));
    }

    fn explained(&mut self, session: &str, result: Result<Explanation>) {
        let reader = self.layers.iter_mut().find_map(|layer| match layer {
            Layer::Reader(reader) if reader.about == About::Explain(session.to_owned()) => Some(reader),
            _ => None,
        });
        // Closed in the meantime: nobody waits for the answer.
        let Some(reader) = reader else { return };
        reader.text = match result {
            Ok(explanation) => super::screen::explain::text(&explanation, self.now),
            Err(error) => {
                let failure = Failure::from(&error);
                let hint = failure.hint.map(|hint| (Part::Text, format!("hint: {hint}")));
                std::iter::once((Part::Error, failure.message)).chain(hint).collect()
            }
        };
    }

    /// Takes down what a command returned, or hands the terminal to the program it returned. It is shown at once when
    /// the operator does nothing else; otherwise its receipt waits.
    fn done(&mut self, line: &str, result: &Result<Report>) -> Option<Effect> {
        self.notice = None;
        self.drafts.ended(line, result.as_ref().is_ok_and(|report| report.exit_code == 0));
        self.drafts.message_ended(line, result.is_ok());
        let receipt = self.receipts.end(line, result.as_ref(), self.now);
        if let Ok(Report { handover: Some(argv), .. }) = result {
            return Some(Effect::RunInTerminal(argv.clone()));
        }
        let (number, awaited, reader) = (receipt.number, receipt.awaited, receipts::keys::reader(receipt));
        let open = self.layers.iter_mut().find_map(|layer| match layer {
            Layer::Reader(reader) if reader.about == About::Running(number) => Some(reader),
            _ => None,
        });
        if let Some(open) = open {
            *open = reader;
        } else if awaited && self.layers.is_empty() {
            self.layers.push(Layer::Reader(reader));
        } else {
            let part = if result.is_ok() { Part::Dim } else { Part::Failed };
            self.say(part, format!("{}: {line} (L shows it)", reader.title));
            return None;
        }
        self.receipts.see(|receipt| receipt.number == number);
        None
    }
}

/// The rows without what changes by the mere passing of time.
fn facts(board: &Board) -> Vec<SessionRow> {
    let timeless = |row: &SessionRow| {
        let judgement = Judgement { age_seconds: None, ..row.judgement.clone() };
        SessionRow { judgement, last_heartbeat_at: None, ..row.clone() }
    };
    board.sessions.iter().map(timeless).collect()
}

/// The newest moment that a board knows of.
fn newest(board: &Board) -> Option<Timestamp> {
    let sessions = board.sessions.iter().flat_map(|row| {
        [row.last_event.as_ref().and_then(|event| event.at), row.last_heartbeat_at].into_iter().flatten()
    });
    sessions.chain(board.tasks.iter().map(|row| row.task.updated_at)).max()
}

/// Takes a message; what has to be done in the world.
pub fn update(app: &mut App, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    if matches!(msg, Msg::Key(_) | Msg::Paste(_) | Msg::Click(..) | Msg::Wheel(..)) {
        app.attending.touched(app.now);
    }
    match msg {
        Msg::Key(key) => {
            app.receipts.key_pressed();
            let intent = app.settings.keymap.lookup(&app.places(), key);
            super::input::key(app, key, intent, &mut effects);
        }
        Msg::Paste(text) => super::over::paste(app, &text, &mut effects),
        Msg::Click(column, row) => super::mouse::click(app, column, row, &mut effects),
        Msg::Wheel(column, row, down) => super::mouse::wheel(app, column, row, down, &mut effects),
        Msg::Resized(size) => app.size = size,
        Msg::Tick(now) => app.tick(now, &mut effects),
        Msg::Changed => effects.extend(app.ask_board()),
        Msg::Board(result) => app.board_arrived(result, &mut effects),
        Msg::Deliveries(result) => app.deliveries_arrived(result, &mut effects),
        Msg::Conversation(session, query, result) => {
            let spots = preview::spots(app);
            let page = result.map_err(|error| Failure::from(&error));
            effects.extend(app.views.talk_arrived(&session, query, page, &spots));
        }
        Msg::Agents(session, result) => {
            let spots = preview::spots(app);
            // What cannot be found out is shown as unknown.
            effects.extend(app.views.agents_arrived(&session, result.unwrap_or_default(), &spots));
        }
        Msg::Events(session, query, result) => {
            let next = app.events_slot.answered();
            effects.extend(next.map(|(id, query)| Effect::Load(Load::Events(id, query))));
            if let Some(before) = app.events.arrived(&session, &query, result.map_err(|error| Failure::from(&error))) {
                effects.extend(app.ask_events(Some(before)));
            }
        }
        Msg::Pane(session, result) => {
            let spots = preview::spots(app);
            let seen = result.map_err(|error| Failure::from(&error));
            effects.extend(app.views.pane_arrived(&session, seen, &spots));
        }
        Msg::Exchange(id, result) => app.exchange_arrived(id, result, &mut effects),
        Msg::Checkup(result) => app.checkup_arrived(result, &mut effects),
        Msg::Explained(session, result) => app.explained(&session, result),
        Msg::Diff(session, result) => super::diff::arrived(app, &session, result),
        Msg::Questions(session, result) => super::answers::arrived(app, &session, result),
        Msg::Unregistered(result) => super::form::keys::unregistered_arrived(app, result),
        Msg::Attach(Ok(argv)) => effects.push(Effect::RunInTerminal(argv)),
        Msg::Attach(Err(error)) => {
            app.attending.stays();
            app.show_failure("attach", &Failure::from(&error));
        }
        Msg::Returned(result) => {
            match result {
                Ok(()) => super::marks::returned(app, &mut effects),
                Err(error) => {
                    app.attending.stays();
                    app.show_failure("attach", &Failure::from(&error));
                }
            }
            app.attending.touched(app.now);
            effects.extend(app.ask_board());
        }
        Msg::Noted { line, by_key, result } => {
            super::marks::noted(app, &line, by_key, result);
            effects.extend(app.ask_board());
        }
        Msg::Done(line, result) => {
            effects.extend(app.done(&line, &result));
            effects.extend(app.ask_board());
        }
        Msg::Notice(notice) => app.noticed(notice),
        Msg::TaskPanicked(task, message) => {
            app.say(Part::Error, format!("fault in {task}: {message}; what it did is not known, the rest goes on"));
        }
    }
    app.settle(&mut effects);
    super::marks::look(app, &mut effects);
    effects
}

/// How many sessions ask for this much and are not put aside.
#[must_use]
pub fn count(board: &Board, attention: Attention, now: Timestamp) -> usize {
    board.sessions.iter().filter(|row| row.attention == attention && !row.marks.is_snoozed(now)).count()
}
