//! The state of the cockpit and the pure step from one state to the next.
//!
//! [`update`] takes a message and returns what has to be done in the world; it neither reads nor draws. Rows are
//! selected by id, so that they may move under the cursor.

mod arrivals;
mod asks;
mod state;

use std::sync::Arc;

use ratatui::layout::Size;

pub use self::state::{BoardState, FleetState, Look, Notice, Screen, Settings};
use super::{
    backend::EventQuery,
    calls::{Notifier, Ringing},
    ending::Ends,
    explaining::Explaining,
    finish::{Proofs, Reviews},
    form::Drafts,
    keymap::{Intent, Place},
    layer::{About, Layer, Reader},
    listing::Sides,
    loads::Slot,
    machine::{DispatchState, DoctorState},
    markdown::Paint,
    marks::Attending,
    message::{Effect, Failure, Load, Msg},
    pair::{self, End, PairState},
    receipts::Receipts,
    screen::{
        dispatch::{self, Queues},
        events::{self, EventsState},
        fleet,
        inbox::Inbox,
        list::{self, Rows as _},
        preview,
    },
    theme::Part,
    views::Views,
};
use crate::{
    actions::Deliveries,
    base::{Result, Timestamp},
    model::{
        board::{Attention, Board, SessionRow, TaskRow},
        filter::Filter,
    },
};

/// How long a notice stays, in seconds.
const NOTICE_SECONDS: i64 = 8;

/// A key puts a notice away once it has stood for so many seconds: who presses one has read on.
const READ_SECONDS: i64 = 1;

/// Without news the board is loaded again after so many seconds: a process that died changes no ledger.
const RELOAD_SECONDS: i64 = 10;

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
    pub(super) explaining: Explaining,
    /// What was shown for the criteria of the selected task.
    pub(super) proofs: Proofs,
    pub(super) reviews: Reviews,
    pub(super) inbox_view: Sides,
    /// The row that was selected when the screen was come to.
    pub(super) came_upon: Option<String>,
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
    /// Ends whose outcome is awaited.
    pub(super) ends: Ends,
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
            explaining: Explaining::default(),
            proofs: Proofs::default(),
            reviews: Reviews::default(),
            inbox_view: Sides::default(),
            came_upon: None,
            dispatch: DispatchState::default(),
            doctor: DoctorState::default(),
            events: EventsState::default(),
            views: Views::default(),
            mouse,
            ringing: Ringing::Off,
            notifier: Notifier::default(),
            notice: None,
            receipts: Receipts::default(),
            ends: Ends::default(),
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
                let id = Inbox::selected(self)?.target_id()?.to_owned();
                board.sessions.iter().find(|session| session.id == id)
            }
            Screen::Dispatch => {
                let id = Queues::selected(self)?.target_id()?.to_owned();
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

    /// What a key does, as `H shows`; none when nothing on the keyboard means it.
    #[must_use]
    pub fn key_that(&self, intent: Intent, does: &str) -> Option<String> {
        let places = [self.places_below(), vec![Place::Always]].concat();
        Some(format!("{} {does}", self.settings.keymap.key_of(&places, intent)?))
    }

    /// The same for a key that counts over a screen.
    #[must_use]
    pub fn key_in(&self, place: Place, intent: Intent) -> String {
        self.settings.keymap.key_of(&[place], intent).unwrap_or_else(|| "(no key)".to_owned())
    }

    pub(super) fn say(&mut self, part: Part, text: impl Into<String>) {
        self.notice = Some(Notice { part, text: text.into(), at: self.now, holds: None });
    }

    /// The same for what is true only as long as `holds` says so: it goes when that is over.
    pub(super) fn say_while(&mut self, part: Part, text: impl Into<String>, holds: fn(&App) -> bool) {
        self.notice = Some(Notice { part, text: text.into(), at: self.now, holds: Some(holds) });
    }

    /// Shows a failure in full.
    pub(super) fn show_failure(&mut self, title: &str, failure: &Failure) {
        self.layers.push(Layer::Reader(Reader {
            about: About::Message,
            title: title.to_owned(),
            text: failure.told(),
            scroll: 0,
            command: None,
        }));
    }

    /// How text is set; the width is that of the place.
    pub(super) fn paint(&self, width: usize) -> Paint {
        let opens = self.settings.keymap.first_of(&self.places_below(), Intent::Unfold);
        Paint { theme: self.settings.theme, glyphs: self.settings.glyphs, width, opens }
    }

    /// Whether everything that the board knows of a session is on its preview.
    #[must_use]
    pub fn shows_all_of(&self, session_id: &str) -> bool {
        self.views.shows_all_of(session_id, self.fleet.raw)
    }

    /// Brings selection, scrolling and loaded things in line with what is there now.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        if self.notice.as_ref().and_then(|notice| notice.holds).is_some_and(|holds| !holds(self)) {
            self.notice = None;
        }
        let before = self.session().map(|row| row.id.clone());
        let (ids, fit) = fleet::layout(self);
        self.fleet.list.settle_by(&ids, |top| fit.get(top).copied().unwrap_or(0));
        let asked = dispatch::exchange_of(self);
        for list in Screen::ALL.iter().filter_map(|screen| list::of(*screen)) {
            list.settle(self);
        }
        if self.screen == Screen::Dispatch && dispatch::exchange_of(self) != asked {
            effects.extend(self.ask_exchange());
        }
        self.events.settle(events::visible_rows(self));
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
        super::answers::look_again(self, effects);
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
        let needing = counted(Attention::NeedsYou) + super::operator::questions(self).len();
        match (needing, counted(Attention::Failed)) {
            (0, 0) => "conveyor".to_owned(),
            (0, failed) => format!("x{failed} conveyor"),
            (needing, _) => format!("!{needing} conveyor"),
        }
    }
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
            if app.notice.as_ref().is_some_and(|notice| notice.at.age_seconds(app.now) >= READ_SECONDS) {
                app.notice = None;
            }
            let intent = app.settings.keymap.lookup(&app.places(), key);
            super::input::key(app, key, intent, &mut effects);
        }
        Msg::Paste(text) => super::over::paste(app, &text, &mut effects),
        Msg::Click(column, row) => super::mouse::click(app, column, row, &mut effects),
        Msg::Wheel(column, row, down) => super::mouse::wheel(app, column, row, down, &mut effects),
        Msg::Resized(size) => app.size = size,
        Msg::Tick(now) => app.tick(now, &mut effects),
        Msg::Changed => effects.extend(app.ask_board()),
        Msg::Board(result) => {
            app.board_arrived(result, &mut effects);
            super::sheet::reload_all(app, &mut effects);
            super::explaining::reload(app, &mut effects);
            super::answers::reload(app, &mut effects);
        }
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
        Msg::Explained(session, result) => super::explaining::arrived(app, session, result, &mut effects),
        Msg::Diff(session, result) => super::diff::arrived(app, &session, result),
        Msg::Review(request, result) => super::finish::arrived(app, request, result),
        Msg::Policy(task, result) => super::policy::arrived(app, &task, result, &mut effects),
        Msg::Record(task, result) => super::sheet::arrived(app, &task, result, &mut effects),
        Msg::Criteria(task, result) => super::finish::criteria_arrived(app, task, result),
        Msg::Questions(session, result) => super::answers::arrived(app, &session, result),
        Msg::Unregistered(result) => super::form::keys::unregistered_arrived(app, result),
        Msg::Attach(Ok(visit)) => {
            app.attending.goes(&visit);
            effects.push(Effect::RunInTerminal(visit.argv));
        }
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
            app.done(&line, &result, &mut effects);
            effects.extend(app.ask_board());
            // What was found wrong may be mended by it.
            if app.screen == Screen::Doctor {
                effects.extend(app.ask_checkup());
            }
            super::sheet::reload_all(app, &mut effects);
        }
        Msg::Notice(notice) => app.noticed(notice),
        Msg::TaskPanicked(task, message) => {
            app.say(Part::Error, format!("fault in {task}: {message}; what it did is not known, the rest goes on"));
        }
    }
    app.settle(&mut effects);
    super::finish::settle(app, &mut effects);
    super::ending::read_on(app);
    super::marks::look(app, &mut effects);
    effects
}

/// How many sessions ask for this much and are not put aside.
#[must_use]
pub fn count(board: &Board, attention: Attention, now: Timestamp) -> usize {
    board.sessions.iter().filter(|row| row.attention == attention && !row.marks.is_snoozed(now)).count()
}
