//! The Fleet screen: who needs the operator, and a look at the selected one.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{ago, criteria, divider, frames, heading, legend, mark, preview, put, span};
use crate::{
    base::{
        Timestamp,
        text::{age, one_line},
    },
    model::{
        board::{Attention, SessionRow, TaskRow, Urgency},
        interruption,
        marks::MarksView,
        session::Role,
        state::Agreement,
        task::BindingState,
    },
    tui::{
        app::{App, Look, Screen},
        columns::Column,
        keymap::Intent,
        operator,
        theme::Part,
        wrap::{cut, pad},
    },
};

/// Live sensors are asked every second or two; what was last seen longer ago than this is stale.
const STALE_SECONDS: i64 = 10;

/// The narrowest piece of a last event that is worth showing.
const EVENT_COLUMNS: usize = 16;

/// Lines that a row takes.
const ROW_LINES: u16 = 2;

/// A row of the attention list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// A session.
    Session(&'a SessionRow),
    /// A task that nobody works on.
    Task(&'a TaskRow),
}

impl Row<'_> {
    /// The id that is selected.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Session(row) => &row.id,
            Self::Task(row) => &row.task.id,
        }
    }

    /// What the operator has put on it.
    #[must_use]
    pub fn marks(&self) -> &MarksView {
        match self {
            Self::Session(row) => &row.marks,
            Self::Task(row) => &row.marks,
        }
    }

    /// Whether the operator should look at it.
    #[must_use]
    pub fn wants_look(&self, app: &App) -> bool {
        let is_asked = self.attention(app) == Attention::NeedsYou && !self.marks().is_snoozed(app.now);
        match self {
            Self::Session(row) => is_asked || row.wants_look(app.now),
            Self::Task(_) => is_asked,
        }
    }

    fn attention(&self, app: &App) -> Attention {
        match self {
            Self::Session(row) => operator::attention(app, row),
            Self::Task(row) if operator::of_task(app, &row.task.id).is_some() => Attention::NeedsYou,
            Self::Task(_) => Attention::Idle,
        }
    }

    fn urgency(&self, app: &App) -> Urgency {
        match self {
            Self::Session(row) => row.urgency_as(self.attention(app), app.now),
            Self::Task(row) => row.urgency_as(self.attention(app), app.now),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Session(row) => &row.name,
            Self::Task(row) => &row.task.name,
        }
    }
}

/// Whether a session has a row: it passes the filter, and when it is gone, those are asked for.
#[must_use]
pub fn shows(app: &App, row: &SessionRow) -> bool {
    let is_folded = row.attention == Attention::Gone && !app.attending.shows_gone && !app.filter.asks_for_gone();
    !is_folded && app.filter.matches_session(row, app.now)
}

/// How many sessions that pass the filter are gone.
#[must_use]
pub fn gone(app: &App) -> usize {
    let sessions = app.board().map_or(&[][..], |board| &board.sessions);
    sessions.iter().filter(|row| row.attention == Attention::Gone && app.filter.matches_session(row, app.now)).count()
}

/// How many of them are folded into the line below the rows.
fn folded(app: &App) -> usize {
    if app.attending.shows_gone || app.filter.asks_for_gone() { 0 } else { gone(app) }
}

/// The selected row.
#[must_use]
pub fn selected(app: &App) -> Option<Row<'_>> {
    let id = app.fleet.list.id.as_deref().filter(|_| app.screen == Screen::Fleet)?;
    rows(app).into_iter().find(|row| row.id() == id)
}

/// The rows that pass the filter: the most urgent first, then the one that waits longest.
#[must_use]
pub fn rows(app: &App) -> Vec<Row<'_>> {
    let Some(board) = app.board() else { return Vec::new() };
    let sessions = board.sessions.iter().filter(|row| shows(app, row)).map(Row::Session);
    let orphans = board.tasks.iter().filter(|row| {
        let bound = row.bindings.iter().any(|binding| binding.state == BindingState::Active);
        row.task.state.is_open() && !bound && app.filter.matches_task(row, app.now)
    });
    let mut rows: Vec<Row<'_>> = sessions.chain(orphans.map(Row::Task)).collect();
    rows.sort_by_cached_key(|row| (row.urgency(app), row.name().to_owned()));
    rows
}

/// The ids of the rows, in their order.
#[must_use]
pub fn ids(app: &App) -> Vec<String> {
    rows(app).iter().map(|row| row.id().to_owned()).collect()
}

/// Whether what is shown of a session is too old to be relied on.
#[must_use]
pub fn is_stale(row: &SessionRow, now: Timestamp) -> bool {
    let live = row.judgement.source.is_some_and(crate::model::state::Source::is_live);
    let seen_lately = row.last_heartbeat_at.is_some_and(|at| at.age_seconds(now) <= STALE_SECONDS);
    row.ingest_error.is_some() || (live && !seen_lately)
}

/// Where the panes are; one that is not shown is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Areas {
    pub(super) list: Rect,
    pub(super) preview: Rect,
    pub(super) facts: Rect,
}

/// Divides the body: under 50 columns one pane, under 80 stacked, from 160 on three columns.
pub(super) fn areas(app: &App) -> Areas {
    let body = frames(app.size).body;
    let Rect { x, y, width, height } = body;
    let column = |from: u16, to: u16| Rect::new(x + from, y, to.saturating_sub(from), height);
    match app.fleet.look {
        Look::Full => Areas { preview: body, ..Areas::default() },
        Look::Peek if width < 50 => Areas { preview: body, ..Areas::default() },
        Look::List if width < 50 => Areas { list: body, ..Areas::default() },
        Look::List | Look::Peek if width < 80 => {
            let list = if app.fleet.look == Look::Peek { height / 3 } else { height / 2 };
            Areas {
                list: Rect::new(x, y, width, list),
                preview: Rect::new(x, y + list, width, height - list),
                ..Areas::default()
            }
        }
        Look::List | Look::Peek if width < 160 => {
            let split = if app.fleet.look == Look::Peek { width * 2 / 5 } else { width / 2 };
            Areas { list: column(0, split), preview: column(split + 1, width), ..Areas::default() }
        }
        Look::List | Look::Peek => {
            let (left, right) = (width * 2 / 5, width - width / 4);
            Areas { list: column(0, left), preview: column(left + 1, right), facts: column(right + 1, width) }
        }
    }
}

/// How many rows the list shows.
#[must_use]
pub fn visible_rows(app: &App) -> usize {
    rows_in(app, areas(app).list)
}

/// How many rows fit below the heading, and above the line of those that are gone.
fn rows_in(app: &App, list: Rect) -> usize {
    let taken = 1 + u16::from(folded(app) > 0);
    usize::from(list.height.saturating_sub(taken) / ROW_LINES)
}

/// What lies under a click.
pub enum Hit {
    /// This row.
    Row(String),
    /// The preview.
    Preview,
    /// Nothing that can be chosen.
    Nothing,
}

/// What lies at `at`.
#[must_use]
pub fn hit(app: &App, at: Position) -> Hit {
    let areas = areas(app);
    if areas.preview.contains(at) {
        return Hit::Preview;
    }
    if areas.list.contains(at) && at.y > areas.list.y {
        let line = usize::from((at.y - areas.list.y - 1) / ROW_LINES);
        if let Some(row) = rows(app).get(app.fleet.list.top + line).filter(|_| line < visible_rows(app)) {
            return Hit::Row(row.id().to_owned());
        }
    }
    Hit::Nothing
}

/// Draws the screen.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>) {
    let areas = areas(app);
    if !areas.list.is_empty() {
        list(app, frame, areas.list);
    }
    if !areas.preview.is_empty() {
        if areas.preview.x > 0 {
            divider(app, frame, Rect { x: areas.preview.x - 1, width: 1, ..areas.preview });
        }
        preview::draw(app, frame, areas.preview);
    }
    if !areas.facts.is_empty() {
        divider(app, frame, Rect { x: areas.facts.x - 1, width: 1, ..areas.facts });
        preview::facts(app, frame, areas.facts);
    }
}

fn list(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let rows = rows(app);
    let total = app.board().map_or(0, |board| board.sessions.len());
    let mut title = if app.filter_text.is_empty() {
        "who needs you".to_owned()
    } else {
        format!("{} ({} of {total})", app.filter_text, rows.len())
    };
    if !app.fleet.chosen.is_empty() {
        title = format!("{title}, {} chosen", app.fleet.chosen.len());
    }
    put(frame, area, 0, heading(app, &title, app.fleet.look == Look::List, area.width));
    let folded = folded(app);
    if rows.is_empty() {
        let text = if app.filter_text.is_empty() {
            let begins = app.key_that(Intent::StartWorker, "starts a worker").map(|key| format!("; {key}"));
            format!("every session is gone{}", begins.unwrap_or_default())
        } else {
            super::nothing::passes(app)
        };
        super::nothing::in_list(app, frame, area, Part::Dim, &text);
    }
    let visible = rows_in(app, area);
    if folded > 0 {
        let shows = app.key_that(Intent::Gone, "shows").map(|key| format!(" ({key})")).unwrap_or_default();
        let text = format!(" {} {folded} gone{shows}", app.settings.glyphs.attention(Attention::Gone));
        let below = 1 + rows.len().max(1).min(visible) * usize::from(ROW_LINES);
        let last = usize::from(area.height.saturating_sub(1));
        put(frame, area, (below + usize::from(rows.is_empty())).min(last), super::styled(app, Part::Dim, text));
    }
    for (index, row) in rows.iter().enumerate().skip(app.fleet.list.top).take(visible) {
        let line = 1 + (index - app.fleet.list.top) * usize::from(ROW_LINES);
        let (first, second) = match row {
            Row::Session(row) => session(app, row, usize::from(area.width)),
            Row::Task(row) => orphan(app, row, usize::from(area.width)),
        };
        put(frame, area, line, first);
        put(frame, area, line + 1, second);
        if app.fleet.list.id.as_deref() == Some(row.id())
            && let Ok(line) = u16::try_from(line)
        {
            let marked = Rect::new(area.x, area.y + line, area.width, 1);
            mark(app, frame, marked, app.fleet.look == Look::List);
        }
    }
}

/// A session in two lines: sign, who with whom, task, last event's age, context; then why, since when, last event.
fn session(app: &App, row: &SessionRow, width: usize) -> (Line<'static>, Line<'static>) {
    let glyphs = app.settings.glyphs;
    let stale = is_stale(row, app.now);
    let attention = operator::attention(app, row);
    let (glyph, sign) = sign(app, attention, &row.marks);
    let aside = row.marks.is_snoozed(app.now);
    let right = columns(app, |column| match column {
        Column::Criteria => criteria::cell(app, row.criteria.as_ref()),
        Column::Age => match &row.last_event {
            Some(event) => format!("{:>5}", ago(event.at, app.now)),
            None => "    -".to_owned(),
        },
        Column::Context => {
            row.context.map_or_else(|| "  ?%".to_owned(), |context| format!("{:>3}%", context.percent()))
        }
        Column::Unread => unread(app, row),
    });
    let marks = marks(app, row.attention, &row.marks);
    let room = width.saturating_sub(right.width() + 3 + marks.width());
    let pair = match (&row.partner, row.role) {
        (Some(partner), _) => format!("{} {} {partner}", row.name, glyphs.pair()),
        (None, Role::Worker) => row.name.clone(),
        (None, Role::Manager) => format!("{} (manager)", row.name),
    };
    let who = match &row.task {
        Some(task) => format!("{pair}{}{task}", glyphs.separator()),
        None => pair,
    };
    let who = match app.fleet.chosen.contains(&row.id) {
        _ if app.fleet.chosen.is_empty() => who,
        true => format!("+ {who}"),
        false => format!("  {who}"),
    };
    let disagree = row.judgement.agreement == Agreement::Disagree;
    let first = Line::from(vec![
        Span::styled(glyph, sign),
        span(app, Part::Warning, if disagree { glyphs.disagree() } else { " " }),
        span(app, Part::Title, marks),
        span(app, if aside { Part::Dim } else { Part::Title }, pad(&who, room, glyphs)),
        span(app, Part::Dim, format!(" {right}")),
    ]);
    let why = why(app, row);
    // The last event gets what the reason leaves: whoever is asked has to see what is asked.
    let left = width.saturating_sub(why.width() + 3).min(width / 2);
    let event = row.last_event.as_ref().filter(|_| left >= EVENT_COLUMNS).map(|event| {
        let text = format!("{}: {}", event.label, one_line(&event.text));
        cut(&text, left, glyphs)
    });
    let left = width.saturating_sub(2 + event.as_ref().map_or(0, |event| event.width() + 1));
    let mut second = vec![
        Span::raw("  "),
        Span::styled(pad(&why, left, glyphs), if stale { app.settings.theme.style(Part::Stale) } else { sign }),
    ];
    second.extend(event.map(|event| span(app, Part::Dim, format!(" {event}"))));
    (first, Line::from(second))
}

/// The sign of a row and its style. What is put aside is dim.
fn sign(app: &App, attention: Attention, marks: &MarksView) -> (&'static str, Style) {
    if marks.is_snoozed(app.now) {
        (app.settings.glyphs.snoozed(), app.settings.theme.style(Part::Dim))
    } else {
        (app.settings.glyphs.attention(attention), app.settings.theme.attention(attention))
    }
}

/// Pins and what is unread, each in a column of its own as soon as any row has it. An answer that nobody has looked at
/// has a sign already.
fn marks(app: &App, attention: Attention, marks: &MarksView) -> String {
    let Some(board) = app.board() else { return String::new() };
    let is_told = |attention: Attention, marks: &MarksView| marks.unread && attention != Attention::DoneUnseen;
    let glyphs = app.settings.glyphs;
    let mut text = String::new();
    let all = || board.sessions.iter().map(|row| &row.marks).chain(board.tasks.iter().map(|row| &row.marks));
    if all().any(|marks| marks.pinned) {
        text.push_str(if marks.pinned { glyphs.pinned() } else { " " });
    }
    if board.sessions.iter().any(|row| is_told(row.attention, &row.marks)) {
        text.push_str(if is_told(attention, marks) { glyphs.unread() } else { " " });
    }
    text
}

/// Unread messages in a column of their own, as soon as any session has some.
fn unread(app: &App, row: &SessionRow) -> String {
    let is_shown = app.board().is_some_and(|board| board.sessions.iter().any(|row| row.unread > 0));
    match row.unread {
        _ if !is_shown => String::new(),
        0 => " ".repeat(6),
        1..=99 => format!("{:>2} new", row.unread),
        _ => "99+new".to_owned(),
    }
}

/// State, since when, and what is asked, or else the reason, in one line.
fn why(app: &App, row: &SessionRow) -> String {
    let now = app.now;
    let word = legend::word(row.attention);
    let since = row.judgement.since.map_or_else(String::new, |at| format!(" {}", ago(Some(at), now)));
    let seen = match row.last_heartbeat_at {
        Some(at) if is_stale(row, now) => format!(" (seen {} ago)", ago(Some(at), now)),
        None if is_stale(row, now) => " (not seen)".to_owned(),
        _ => String::new(),
    };
    // What a session asks by itself comes first: it stands still until that is answered.
    if !matches!(row.attention, Attention::NeedsYou | Attention::Gone)
        && let Some(question) = operator::of_session(app, row)
    {
        return format!("{}{} ({word}{since}{seen})", aside(&row.marks, now), operator::brief(question, now));
    }
    if let Some(by) = interrupter(row) {
        return format!("{}interrupted{since}{seen} by {by}", aside(&row.marks, now));
    }
    let reason = match &row.asks {
        Some(asks) if row.attention == Attention::NeedsYou => asks,
        _ => &row.judgement.reason,
    };
    format!("{}{word}{since}{seen}: {}", aside(&row.marks, now), one_line(reason))
}

/// Who ended its last turn on purpose, as it is said to the operator; none when no one on record did, or when more has to
/// be said.
fn interrupter(row: &SessionRow) -> Option<&str> {
    let judgement = &row.judgement;
    let is_told = interruption::is_on_purpose(&judgement.rule) && row.attention == Attention::Idle;
    let who = judgement.reason.strip_prefix("interrupted by ").filter(|_| is_told)?;
    Some(if judgement.rule == interruption::BY_OPERATOR && who == "the operator" { "you" } else { who })
}

/// For how long a row is still put aside.
fn aside(marks: &MarksView, now: Timestamp) -> String {
    match marks.snoozed_until.filter(|_| marks.is_snoozed(now)) {
        Some(until) => format!("snoozed for {}, ", age(now.age_seconds(until))),
        None => String::new(),
    }
}

/// The right end of a row: its columns, those that are empty left out.
fn columns(app: &App, cell: impl Fn(Column) -> String) -> String {
    let cells = app.settings.columns.iter().map(|column| cell(*column)).filter(|cell| !cell.is_empty());
    cells.collect::<Vec<_>>().join(" ")
}

fn orphan(app: &App, row: &TaskRow, width: usize) -> (Line<'static>, Line<'static>) {
    let glyphs = app.settings.glyphs;
    let attention = Row::Task(row).attention(app);
    let (glyph, sign) = sign(app, attention, &row.marks);
    let marks = marks(app, attention, &row.marks);
    let right = columns(app, |column| match column {
        Column::Criteria => criteria::cell(app, Some(&row.criteria)),
        Column::Age => format!("{:>5}", ago(Some(row.task.updated_at), app.now)),
        Column::Context => " ".repeat(4),
        Column::Unread => String::new(),
    });
    let room = width.saturating_sub(right.width() + 3 + marks.width());
    let title = if row.marks.is_snoozed(app.now) { Part::Dim } else { Part::Title };
    let first = Line::from(vec![
        Span::styled(glyph, sign),
        Span::raw(" "),
        span(app, Part::Title, marks),
        span(app, title, pad(&format!("task {}", row.task.name), room, glyphs)),
        span(app, Part::Dim, format!(" {right}")),
    ]);
    let aside = aside(&row.marks, app.now);
    let asked = operator::of_task(app, &row.task.id).map(|question| operator::brief(question, app.now));
    let asked = asked.map(|asked| format!("{asked}; ")).unwrap_or_default();
    let text = format!("{aside}{asked}{}, nobody works on it: {}", row.task.state, one_line(&row.task.goal));
    let second = Line::from(vec![Span::raw("  "), Span::styled(cut(&text, width.saturating_sub(2), glyphs), sign)]);
    (first, second)
}
