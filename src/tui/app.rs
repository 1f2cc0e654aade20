//! The state of the cockpit and the pure step from one state to the next.
//!
//! [`update`] takes a message and returns what has to be done in the world; it neither reads nor draws. Rows are
//! selected by id, so that they may move under the cursor.

use std::sync::Arc;

use ratatui::layout::Size;

use super::{
    backend::{EventQuery, Explanation, PaneText},
    keymap::{self, Key, Place},
    layer::{About, Layer, Reader},
    loads::Slot,
    screen::{events::EventsState, fleet, inbox, preview},
    theme::{Glyphs, Part, Theme},
};
use crate::{
    actions::{Command, Deliveries, QuestionView, Report},
    base::{Error, Kind, Result, Timestamp, text::one_line},
    engine,
    model::{
        board::{Attention, Board, Entry, EventRow, SessionRow, TaskRow},
        filter::Filter,
        state::Judgement,
        task::BindingState,
    },
    text_enum,
};

/// How many conversation entries are loaded.
pub const CONVERSATION: usize = 200;

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
    }
}

/// How closely the selection is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The list has the keyboard.
    List,
    /// The preview has the keyboard.
    Peek,
    /// The preview has the whole screen.
    Full,
}

/// A question to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// The board.
    Board,
    /// What is under way between sessions; with this command, however old it is.
    Deliveries(Option<String>),
    /// The conversation of a session.
    Conversation(String),
    /// Events of a session.
    Events(String, EventQuery),
    /// The pane of a session.
    Pane(String),
    /// Why a session is in its state.
    Explain(String),
    /// What a session asks.
    Questions(String),
    /// How to attach to a session.
    Attach(String),
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
    Conversation(String, Result<Vec<Entry>>),
    /// The answer to [`Load::Events`].
    Events(String, EventQuery, Result<Vec<EventRow>>),
    /// The answer to [`Load::Pane`].
    Pane(String, Result<Option<PaneText>>),
    /// The answer to [`Load::Explain`].
    Explained(String, Result<Explanation>),
    /// The answer to [`Load::Questions`].
    Questions(String, Result<Vec<QuestionView>>),
    /// The answer to [`Load::Attach`].
    Attach(Result<Vec<String>>),
    /// The program that had the terminal has ended.
    Returned(Result<()>),
    /// A submitted command is done: its command line and its result.
    Done(String, Result<Report>),
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
    /// Hand the terminal to a program.
    RunInTerminal(Vec<String>),
    /// Put text on the clipboard.
    Copy(String),
    /// Take the mouse, or give it back.
    Mouse(bool),
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

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut message = error.message().to_owned();
        for cause in error.causes() {
            if !message.contains(&cause) {
                message = format!("{message}: {cause}");
            }
        }
        Self { kind: error.kind(), message, hint: error.hint_text().map(str::to_owned) }
    }
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

/// Something loaded for a session.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The session.
    pub session: String,
    /// What came.
    pub value: Result<T, Failure>,
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
    pub(super) selected: Option<String>,
    pub(super) look: Look,
    pub(super) raw: bool,
    pub(super) scroll: usize,
    pub(super) top: usize,
    pub(super) task: Option<String>,
    pub(super) task_top: usize,
    pub(super) task_detail: bool,
    pub(super) task_scroll: usize,
    pub(super) inbox: Option<String>,
    pub(super) inbox_top: usize,
    pub(super) inbox_detail: bool,
    pub(super) inbox_scroll: usize,
    pub(super) events: EventsState,
    pub(super) conversation: Option<Loaded<Vec<Entry>>>,
    pub(super) pane: Option<Loaded<Option<PaneText>>>,
    pub(super) mouse: bool,
    pub(super) notice: Option<Notice>,
    pub(super) running: usize,
    /// Background tasks that cannot do their work, and why.
    pub(super) troubles: Vec<(&'static str, String)>,
    position: usize,
    task_position: usize,
    inbox_position: usize,
    board_asked_at: Timestamp,
    /// When the question was sent whose answer is still out.
    board_sent_at: Option<Timestamp>,
    board_slot: Slot<()>,
    deliveries_slot: Slot<Option<String>>,
    conversation_slot: Slot<String>,
    events_slot: Slot<(String, EventQuery)>,
    pane_slot: Slot<String>,
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
            selected: None,
            look: Look::List,
            raw: false,
            scroll: 0,
            top: 0,
            task: None,
            task_top: 0,
            task_detail: false,
            task_scroll: 0,
            inbox: None,
            inbox_top: 0,
            inbox_detail: false,
            inbox_scroll: 0,
            events: EventsState::default(),
            conversation: None,
            pane: None,
            mouse,
            notice: None,
            running: 0,
            troubles: Vec::new(),
            position: 0,
            task_position: 0,
            inbox_position: 0,
            board_asked_at: now,
            board_sent_at: None,
            board_slot: Slot::default(),
            deliveries_slot: Slot::default(),
            conversation_slot: Slot::default(),
            events_slot: Slot::default(),
            pane_slot: Slot::default(),
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
        let id = self.task.as_deref()?;
        self.board()?.tasks.iter().find(|row| row.task.id == id)
    }

    /// The session that an act on this screen is about.
    #[must_use]
    pub fn session(&self) -> Option<&SessionRow> {
        let board = self.board()?;
        match self.screen {
            // What the filter hides is not on screen, and no key is about it.
            Screen::Fleet => {
                let id = self.selected.as_deref()?;
                board.sessions.iter().find(|row| row.id == id && self.filter.matches_session(row, self.now))
            }
            Screen::Events => {
                let id = self.selected.as_deref()?;
                board.sessions.iter().find(|row| row.id == id)
            }
            Screen::Task => {
                let row = self.selected_task()?;
                let binding = row.bindings.iter().find(|binding| binding.state == BindingState::Active)?;
                board.sessions.iter().find(|session| session.name == binding.worker)
            }
            Screen::Inbox => {
                let id = inbox::selected(self)?.target_id().to_owned();
                board.sessions.iter().find(|session| session.id == id)
            }
        }
    }

    /// The name of the task that an act on this screen is about.
    #[must_use]
    pub fn task_name(&self) -> Option<&str> {
        match self.screen {
            Screen::Task => self.selected_task().map(|row| row.task.name.as_str()),
            Screen::Fleet | Screen::Events | Screen::Inbox => self.session()?.task.as_deref(),
        }
    }

    /// Whose keys count now, the nearest first.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        if let Some(layer) = self.layers.last() {
            return vec![layer.place(), Place::Always];
        }
        let own = match self.screen {
            Screen::Fleet => Place::Fleet,
            Screen::Task => Place::Task,
            Screen::Events => Place::Events,
            Screen::Inbox => Place::Inbox,
        };
        vec![own, Place::Screen, Place::Always]
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

    fn ask_conversation(&mut self) -> Option<Effect> {
        let id = self.session()?.id.clone();
        self.conversation_slot.ask(id).map(|id| Effect::Load(Load::Conversation(id)))
    }

    fn ask_pane(&mut self) -> Option<Effect> {
        let id = self.session()?.id.clone();
        self.pane_slot.ask(id).map(|id| Effect::Load(Load::Pane(id)))
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
            Screen::Fleet => {
                effects.extend(self.ask_conversation());
                if self.raw {
                    effects.extend(self.ask_pane());
                }
            }
            Screen::Task | Screen::Inbox => {}
            Screen::Events => effects.extend(self.ask_events(None)),
        }
        effects
    }

    /// Brings selection, scrolling and loaded things in line with what is there now.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let before = self.session().map(|row| row.id.clone());
        let ids: Vec<String> = fleet::rows(self).iter().map(|row| row.id().to_owned()).collect();
        keep(&mut self.selected, &mut self.position, &ids);
        let tasks: Vec<String> = self.tasks().iter().map(|row| row.task.id.clone()).collect();
        keep(&mut self.task, &mut self.task_position, &tasks);
        self.top = follow(self.top, self.position, ids.len(), fleet::visible_rows(self));
        let rows: Vec<String> = inbox::rows(self).iter().map(|row| row.id()).collect();
        if rows.is_empty() {
            self.inbox = None;
        }
        keep(&mut self.inbox, &mut self.inbox_position, &rows);
        self.inbox_top = follow(self.inbox_top, self.inbox_position, rows.len(), inbox::visible_rows(self));
        if self.inbox_scroll > 0 {
            self.inbox_scroll = self.inbox_scroll.min(inbox::overflow(self));
        }
        self.task_top = follow(self.task_top, self.task_position, tasks.len(), super::screen::task::visible_rows(self));
        if self.scroll > 0 {
            self.scroll = self.scroll.min(preview::overflow(self));
        }
        if self.task_scroll > 0 {
            self.task_scroll = self.task_scroll.min(super::screen::task::overflow(self));
        }
        self.events.settle(super::screen::events::visible_rows(self));
        let after = self.session().map(|row| row.id.clone());
        if after != before {
            self.selection_changed(effects);
        }
    }

    /// The selection is another one: what was loaded for the old one does not count.
    pub(super) fn selection_changed(&mut self, effects: &mut Vec<Effect>) {
        self.scroll = 0;
        effects.extend(self.ask_details());
    }

    /// Selects a row of the fleet.
    pub(super) fn select(&mut self, id: Option<String>, effects: &mut Vec<Effect>) {
        if id.is_some() && id != self.selected {
            self.selected = id;
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
                self.board = BoardState::Ready(Arc::new(board));
                if self.selected.is_none() {
                    self.selected = fleet::rows(self).first().map(|row| row.id().to_owned());
                }
                if !same {
                    effects.extend(self.ask_details());
                }
                effects.extend(self.ask_deliveries());
            }
            Err(error) => {
                let failure = Failure::from(&error);
                self.deliveries = None;
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
        if let Ok(new) = &result
            && moved
        {
            self.changed_at = Some(new.taken_at);
        }
        self.deliveries = Some(result.map(Arc::new).map_err(|error| Failure::from(&error)));
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
        if self.screen == Screen::Fleet && self.raw {
            effects.extend(self.ask_pane());
        }
    }

    fn noticed(&mut self, notice: engine::Notice) {
        let (task, trouble) = match notice {
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

    /// Shows what a command returned, or hands the terminal to the program it returned.
    fn done(&mut self, line: String, result: Result<Report>) -> Option<Effect> {
        self.running = self.running.saturating_sub(1);
        self.notice = None;
        match result {
            Ok(Report { handover: Some(argv), .. }) => return Some(Effect::RunInTerminal(argv)),
            Ok(report) => {
                let title =
                    if report.exit_code == 0 { "done".to_owned() } else { format!("exit {}", report.exit_code) };
                // How far a command has come moves on while one looks.
                let about = match report.json.get("command_id").and_then(serde_json::Value::as_str) {
                    Some(id) => About::Command(id.to_owned()),
                    None => About::Message,
                };
                self.layers.push(Layer::Reader(Reader {
                    about,
                    title,
                    text: vec![(Part::Text, report.prose.trim_end().to_owned())],
                    scroll: 0,
                    command: Some(line),
                }));
            }
            Err(error) => self.show_failure(&line, &Failure::from(&error)),
        }
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

/// Keeps a selection by id; a vanished one passes to the row that took its place.
fn keep(selected: &mut Option<String>, position: &mut usize, ids: &[String]) {
    let found = selected.as_ref().and_then(|id| ids.iter().position(|other| other == id));
    if let Some(index) = found {
        *position = index;
    } else if !ids.is_empty() {
        *position = (*position).min(ids.len() - 1);
        *selected = Some(ids[*position].clone());
    }
}

/// The first row to show so that `position` is visible.
pub(super) fn follow(top: usize, position: usize, count: usize, visible: usize) -> usize {
    if visible == 0 {
        return 0;
    }
    let lowest = position.saturating_sub(visible - 1);
    top.clamp(lowest, position.max(lowest)).min(count.saturating_sub(visible))
}

/// Takes a message; what has to be done in the world.
pub fn update(app: &mut App, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Key(key) => {
            let intent = keymap::lookup(&app.places(), key);
            super::input::key(app, key, intent, &mut effects);
        }
        Msg::Paste(text) => super::input::paste(app, &text, &mut effects),
        Msg::Click(column, row) => super::input::click(app, column, row, &mut effects),
        Msg::Wheel(column, row, down) => super::input::wheel(app, column, row, down, &mut effects),
        Msg::Resized(size) => app.size = size,
        Msg::Tick(now) => app.tick(now, &mut effects),
        Msg::Changed => effects.extend(app.ask_board()),
        Msg::Board(result) => app.board_arrived(result, &mut effects),
        Msg::Deliveries(result) => app.deliveries_arrived(result, &mut effects),
        Msg::Conversation(session, result) => {
            effects.extend(app.conversation_slot.answered().map(|id| Effect::Load(Load::Conversation(id))));
            let value = result.map_err(|error| Failure::from(&error));
            app.conversation = Some(Loaded { session, value });
        }
        Msg::Events(session, query, result) => {
            let next = app.events_slot.answered();
            effects.extend(next.map(|(id, query)| Effect::Load(Load::Events(id, query))));
            if let Some(before) = app.events.arrived(&session, &query, result.map_err(|error| Failure::from(&error))) {
                effects.extend(app.ask_events(Some(before)));
            }
        }
        Msg::Pane(session, result) => {
            effects.extend(app.pane_slot.answered().map(|id| Effect::Load(Load::Pane(id))));
            let value = result.map_err(|error| Failure::from(&error));
            app.pane = Some(Loaded { session, value });
        }
        Msg::Explained(session, result) => app.explained(&session, result),
        Msg::Questions(session, result) => super::answers::arrived(app, &session, result),
        Msg::Attach(Ok(argv)) => effects.push(Effect::RunInTerminal(argv)),
        Msg::Attach(Err(error)) => app.show_failure("attach", &Failure::from(&error)),
        Msg::Returned(result) => {
            if let Err(error) = result {
                app.show_failure("attach", &Failure::from(&error));
            }
            effects.extend(app.ask_board());
        }
        Msg::Done(line, result) => {
            effects.extend(app.done(line, result));
            effects.extend(app.ask_board());
        }
        Msg::Notice(notice) => app.noticed(notice),
        Msg::TaskPanicked(task, message) => {
            app.say(Part::Error, format!("fault in {task}: {message}; what it did is not known, the rest goes on"));
        }
    }
    app.settle(&mut effects);
    effects
}

/// How many sessions ask for this much.
#[must_use]
pub fn count(board: &Board, attention: Attention) -> usize {
    board.sessions.iter().filter(|row| row.attention == attention).count()
}

/// Whether a row is one that the operator should look at.
#[must_use]
pub fn wants_look(attention: Attention) -> bool {
    match attention {
        Attention::NeedsYou | Attention::Failed | Attention::DoneUnseen => true,
        Attention::Working | Attention::Idle | Attention::Unknown | Attention::Gone => false,
    }
}
