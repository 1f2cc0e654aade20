//! The Events screen: the rollout of the selected session, line by line, newest last.
//!
//! Pages are loaded as they are needed; what is held is bounded. Following means that the newest stays selected.

use std::collections::VecDeque;

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};

use unicode_width::UnicodeWidthStr as _;

use super::{ago, frames, heading, mark, put, span, styled, usage};
use crate::{
    base::text::one_line,
    model::board::EventRow,
    text_enum,
    tui::{
        app::App,
        backend::EventQuery,
        keymap::Intent,
        layer::{About, Layer, Reader},
        listing::follow,
        message::Failure,
        theme::Part,
        wrap::{cut, pad},
    },
};

/// Events of one page.
const PAGE: usize = 300;

/// Events of one page while an offset is looked for.
const LONG_PAGE: usize = 3_000;

/// Events held at most.
const HELD: usize = 6_000;

text_enum! {
    /// A choice of events.
    pub enum Kinds {
        /// Every line.
        All => "all",
        /// What was said.
        Messages => "messages",
        /// Commands, edits and other tools.
        Tools => "tools",
        /// Where turns begin and end.
        Turns => "turns",
        /// What went wrong.
        Errors => "errors",
    }
}

impl Kinds {
    /// The line, payload and item types it stands for; none means all.
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::All => &[],
            Self::Messages => &["user_message", "agent_message", "message", "AgentMessage", "UserMessage"],
            Self::Tools => &[
                "exec_command_begin",
                "exec_command_end",
                "patch_apply_begin",
                "patch_apply_end",
                "mcp_tool_call_begin",
                "mcp_tool_call_end",
                "web_search_end",
                "function_call",
                "function_call_output",
                "custom_tool_call",
                "custom_tool_call_output",
                "local_shell_call",
                "CommandExecution",
                "FileChange",
                "McpToolCall",
            ],
            Self::Turns => {
                &["task_started", "task_complete", "turn_started", "turn_complete", "turn_aborted", "turn_context"]
            }
            Self::Errors => &["error", "stream_error", "warning", "turn_aborted", "Error"],
        }
    }
}

/// What the Events screen holds.
#[derive(Debug)]
pub struct EventsState {
    /// The session whose events these are.
    pub(crate) session: Option<String>,
    /// The text that shown events hold.
    pub(crate) search: String,
    kinds: Kinds,
    rows: VecDeque<EventRow>,
    loaded: bool,
    failure: Option<Failure>,
    selected: Option<i64>,
    follow: bool,
    top: usize,
    /// The oldest event is held.
    complete: bool,
    /// The byte offset that is looked for in older pages.
    wanted: Option<u64>,
}

impl Default for EventsState {
    fn default() -> Self {
        Self {
            session: None,
            search: String::new(),
            kinds: Kinds::All,
            rows: VecDeque::new(),
            loaded: false,
            failure: None,
            selected: None,
            follow: true,
            top: 0,
            complete: false,
            wanted: None,
        }
    }
}

impl EventsState {
    /// Turns to another session.
    pub(crate) fn forget(&mut self, session: String) {
        let Self { search, kinds, .. } = std::mem::take(self);
        *self = Self { session: Some(session), search, kinds, ..Self::default() };
    }

    /// The question for a page.
    pub(crate) fn query(&self, before: Option<i64>) -> EventQuery {
        EventQuery {
            before,
            text: (!self.search.is_empty()).then(|| self.search.clone()),
            kinds: self.kinds.types().iter().map(|&kind| kind.to_owned()).collect(),
            limit: if self.wanted.is_some() && before.is_some() { LONG_PAGE } else { PAGE },
        }
    }

    /// Takes a page; the event before which the next page is to be asked for.
    pub(crate) fn arrived(
        &mut self,
        session: &str,
        query: &EventQuery,
        page: Result<Vec<EventRow>, Failure>,
    ) -> Option<i64> {
        if self.session.as_deref() != Some(session) || *query != self.query(query.before) {
            return None;
        }
        let mut page = match page {
            Ok(page) => page,
            Err(failure) => {
                self.failure = Some(failure);
                self.wanted = None;
                return None;
            }
        };
        self.failure = None;
        self.loaded = true;
        page.sort_unstable_by_key(|row| row.id);
        let short = page.len() < query.limit;
        if query.before.is_some() {
            self.complete = short;
            let oldest = self.rows.front().map(|row| row.id);
            for row in page.into_iter().rev().filter(|row| oldest.is_none_or(|oldest| row.id < oldest)) {
                self.rows.push_front(row);
            }
            while self.rows.len() > HELD {
                self.rows.pop_back();
            }
        } else {
            self.take_newest(page, short);
        }
        self.go_on_looking()
    }

    /// Joins the newest page to what is held. Where there is a gap between them, whoever follows gets the newest
    /// page, and whoever looks at older events keeps those.
    fn take_newest(&mut self, page: Vec<EventRow>, short: bool) {
        let newest = self.rows.back().map(|row| row.id);
        let joins = match (newest, page.first()) {
            (Some(newest), Some(first)) => first.id <= newest && page.iter().any(|row| row.id == newest),
            _ => false,
        };
        if joins {
            self.rows.extend(page.into_iter().filter(|row| newest.is_none_or(|newest| row.id > newest)));
            while self.rows.len() > HELD {
                self.rows.pop_front();
                self.complete = false;
            }
        } else if self.follow || self.rows.is_empty() {
            self.rows = page.into();
            self.complete = short;
        }
    }

    fn go_on_looking(&mut self) -> Option<i64> {
        let offset = self.wanted?;
        let first = self.rows.front()?;
        if first.byte_offset > offset && !self.complete {
            return Some(first.id);
        }
        self.wanted = None;
        // The line that holds the byte: the last one that begins at or before it.
        let found = self.rows.iter().rev().find(|row| row.byte_offset <= offset).or(self.rows.front());
        self.selected = found.map(|row| row.id);
        None
    }

    /// Gives up looking for an offset; true when one was looked for.
    pub(crate) fn stop_looking(&mut self) -> bool {
        self.wanted.take().is_some()
    }

    /// Goes to the line that holds a byte; the event before which older ones are needed for that.
    pub(crate) fn jump_to(&mut self, offset: u64) -> Option<i64> {
        self.selected = self.selected_row().map(|row| row.id);
        self.follow = false;
        self.wanted = Some(offset);
        self.go_on_looking()
    }

    /// Moves the selection; the event before which older ones are needed.
    pub(crate) fn step(&mut self, by: isize) -> Option<i64> {
        let last = self.rows.len().checked_sub(1)?;
        let next = self.position().saturating_add_signed(by).min(last);
        self.selected = Some(self.rows[next].id);
        self.follow = next == last && by > 0;
        (next == 0 && by < 0 && !self.complete).then(|| self.rows[0].id)
    }

    pub(crate) fn toggle_follow(&mut self) {
        self.selected = self.selected_row().map(|row| row.id);
        self.follow = !self.follow;
    }

    /// Whether the newest event stays selected.
    pub(crate) fn follows(&self) -> bool {
        self.follow
    }

    /// Whether only a choice of events is shown.
    pub(super) fn is_narrowed(&self) -> bool {
        !self.search.is_empty() || self.kinds != Kinds::All
    }

    /// Shows only events that hold `text`; all when it is empty.
    pub(crate) fn set_search(&mut self, text: &str) {
        text.clone_into(&mut self.search);
        self.start_again();
    }

    /// What is held answers another question than the one that is asked now.
    fn start_again(&mut self) {
        self.rows.clear();
        self.loaded = false;
        self.complete = false;
        self.wanted = None;
        self.follow = true;
    }

    pub(crate) fn next_kinds(&mut self) {
        let at = Kinds::ALL.iter().position(|kinds| *kinds == self.kinds).unwrap_or(0);
        self.kinds = Kinds::ALL[(at + 1) % Kinds::ALL.len()];
        self.start_again();
    }

    /// The selected event.
    #[must_use]
    pub fn selected_row(&self) -> Option<&EventRow> {
        self.rows.get(self.position())
    }

    fn position(&self) -> usize {
        let newest = self.rows.len().saturating_sub(1);
        if self.follow {
            return newest;
        }
        let Some(id) = self.selected else { return newest };
        // Rows are in the order of their numbers; a filtered-out one passes to its successor.
        self.rows.partition_point(|row| row.id < id).min(newest)
    }

    pub(crate) fn settle(&mut self, visible: usize) {
        self.top = follow(self.top, self.position(), self.rows.len(), visible);
    }
}

/// How many events the screen shows.
#[must_use]
pub fn visible_rows(app: &App) -> usize {
    usize::from(frames(app).body.height.saturating_sub(2))
}

/// Selects the event under a click.
pub fn click(app: &mut App, at: Position) {
    let body = frames(app).body;
    if body.contains(at) && at.y >= body.y + 2 {
        let index = app.events.top + usize::from(at.y - body.y - 2);
        if let Some(row) = app.events.rows.get(index) {
            app.events.selected = Some(row.id);
            app.events.follow = false;
        }
    }
}

/// An event to be read in full.
#[must_use]
pub fn whole(row: &EventRow) -> Reader {
    let mut text = vec![
        (Part::Dim, format!("bytes {} to {}", row.byte_offset, row.byte_offset + row.byte_length)),
        (Part::Dim, row.timestamp.map_or_else(|| "no time of its own".to_owned(), |at| at.to_string())),
    ];
    if !row.flags.is_empty() {
        text.push((Part::Warning, row.flags.join(", ")));
    }
    text.push((Part::Text, row.text.clone()));
    Reader { about: About::Message, title: label(row), text, scroll: 0, command: None }
}

/// The most telling of the three types.
fn label(row: &EventRow) -> String {
    match (&row.item, &row.subtype) {
        (Some(item), _) => item.clone(),
        (None, Some(subtype)) => subtype.clone(),
        (None, None) => row.kind.clone(),
    }
}

/// What hides events, and the keys that show them again. How many are hidden is not known: they are not read.
pub(super) fn narrowed(app: &App) -> Vec<String> {
    let state = &app.events;
    let has_input = matches!(app.layers.last(), Some(Layer::Input(_)));
    let key = |intent: Intent, does: &str| app.key_that(intent, does).filter(|_| !has_input);
    let shown = format!("{}{}", state.rows.len(), if state.complete || !state.loaded { "" } else { "+" });
    let mut pieces = vec![format!("{shown} shown, rest hidden")];
    if !state.search.is_empty() {
        let clears = key(Intent::Back, "clears text").unwrap_or_else(|| "text".to_owned());
        pieces.push(format!("{clears} {}", state.search));
    }
    if state.kinds != Kinds::All {
        let changes = key(Intent::Kinds, "changes").map(|key| format!(", {key}")).unwrap_or_default();
        pieces.push(format!("only {}{changes}", state.kinds));
    }
    pieces
}

/// Draws the screen.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, body: Rect) {
    let glyphs = app.settings.glyphs;
    let Some(session) = app.session() else {
        put(frame, body, 0, heading(app, "events", true, body.width));
        let text = format!("no session is selected; {} goes to the Fleet, where one is chosen", app.key(Intent::Fleet));
        super::nothing::in_list(app, frame, body, Part::Dim, &text);
        return;
    };
    let state = &app.events;
    let title = format!("events of {} {}", session.role, session.name);
    put(frame, body, 0, heading(app, &title, true, body.width));
    let mut facts: Vec<String> = state
        .wanted
        .iter()
        .map(|offset| format!("looking for byte {offset}, {} stops", app.key(Intent::Back)))
        .collect();
    facts.extend([
        if state.follow { "following".to_owned() } else { format!("not following ({})", app.key(Intent::Follow)) },
        format!("kinds: {}", state.kinds),
        format!("{}{} loaded", state.rows.len(), if state.complete { "" } else { "+" }),
    ]);
    let facts = facts.join(glyphs.separator());
    let half = usize::from(body.width) / 2;
    let left = usize::from(body.width).saturating_sub(facts.width() + 3);
    let (gauge_part, gauge) = usage::gauge(app, session, left.max(half));
    let room = usize::from(body.width).saturating_sub(gauge.width() + 2);
    put(
        frame,
        body,
        1,
        Line::from(vec![span(app, Part::Dim, format!(" {}", pad(&facts, room, glyphs))), span(app, gauge_part, gauge)]),
    );
    let list = Rect { y: body.y + 2, height: body.height.saturating_sub(2), ..body };
    if let Some(failure) = &state.failure {
        put(frame, list, 0, styled(app, Part::Error, format!(" {}", cut(&failure.message, body.width.into(), glyphs))));
        return;
    }
    if state.rows.is_empty() {
        let text = match (state.loaded, state.is_narrowed()) {
            (false, _) => " reading the events".to_owned(),
            (true, true) => {
                let (kinds, text) = (app.key(Intent::Kinds), app.key(Intent::Filter));
                format!(" no event passes; {kinds} shows other kinds, {text} looks for another text")
            }
            (true, false) => format!(" its rollout has no events yet; {} writes to it", app.key(Intent::Nudge)),
        };
        put(frame, list, 0, styled(app, Part::Dim, cut(&text, body.width.into(), glyphs)));
    }
    let position = state.position();
    for (line, (index, row)) in state.rows.iter().enumerate().skip(state.top).take(usize::from(list.height)).enumerate()
    {
        put(frame, list, line, event(app, row, usize::from(list.width)));
        if index == position
            && let Ok(line) = u16::try_from(line)
        {
            mark(app, frame, Rect::new(list.x, list.y + line, list.width, 1), true);
        }
    }
}

fn event(app: &App, row: &EventRow, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let label = label(row);
    let part = part(row);
    let age = ago(row.timestamp, app.now);
    let (wide, label_width) = (width >= 60, if width >= 60 { 22 } else { 14 });
    let mut spans = vec![span(app, Part::Dim, format!("{age:>6} "))];
    if wide {
        spans.push(span(app, Part::Dim, format!("{:>10} ", row.byte_offset)));
    }
    spans.push(span(app, part, pad(&label, label_width, glyphs)));
    let mut used = 7 + if wide { 11 } else { 0 } + label_width + 1;
    spans.push(Span::raw(" "));
    if !row.flags.is_empty() {
        let flags = format!("[{}] ", row.flags.join(","));
        used += flags.len();
        spans.push(span(app, Part::Warning, flags));
    }
    spans.push(span(app, Part::Text, cut(&one_line(&row.text), width.saturating_sub(used), glyphs)));
    Line::from(spans)
}

fn part(row: &EventRow) -> Part {
    let any = |kinds: Kinds| {
        let types = kinds.types();
        [row.subtype.as_deref(), row.item.as_deref()].into_iter().flatten().any(|word| types.contains(&word))
    };
    if any(Kinds::Errors) {
        Part::Failed
    } else if any(Kinds::Turns) {
        Part::Working
    } else if any(Kinds::Messages) {
        Part::User
    } else if any(Kinds::Tools) {
        Part::Tool
    } else {
        Part::Dim
    }
}
