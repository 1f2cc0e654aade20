//! The Fleet screen: who needs the operator, and a look at the selected one.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{ago, divider, frames, heading, mark, preview, put, span};
use crate::{
    base::{Timestamp, text::one_line},
    model::{
        board::{Attention, SessionRow, TaskRow},
        session::Role,
        state::Agreement,
        task::BindingState,
    },
    tui::{
        app::{App, Look},
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

    /// How much it asks for the operator.
    #[must_use]
    pub fn attention(&self) -> Attention {
        match self {
            Self::Session(row) => row.attention,
            Self::Task(_) => Attention::Idle,
        }
    }

    fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Session(row) => row.judgement.since,
            Self::Task(row) => Some(row.task.created_at),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Session(row) => &row.name,
            Self::Task(row) => &row.task.name,
        }
    }
}

/// The rows that pass the filter: the most urgent first, then the one that waits longest.
#[must_use]
pub fn rows(app: &App) -> Vec<Row<'_>> {
    let Some(board) = app.board() else { return Vec::new() };
    let sessions = board.sessions.iter().filter(|row| app.filter.matches_session(row, app.now)).map(Row::Session);
    let orphans = board.tasks.iter().filter(|row| {
        let bound = row.bindings.iter().any(|binding| binding.state == BindingState::Active);
        row.task.state.is_open() && !bound && app.filter.matches_task(row, app.now)
    });
    let mut rows: Vec<Row<'_>> = sessions.chain(orphans.map(Row::Task)).collect();
    rows.sort_by(|a, b| {
        let key = |row: &Row<'_>| (row.attention(), row.since().map_or(i64::MAX, Timestamp::as_millis));
        key(a).cmp(&key(b)).then_with(|| a.name().cmp(b.name()))
    });
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
    usize::from(areas(app).list.height.saturating_sub(1) / ROW_LINES)
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
    let title = if app.filter_text.is_empty() {
        "who needs you".to_owned()
    } else {
        format!("{} ({} of {total})", app.filter_text, rows.len())
    };
    put(frame, area, 0, heading(app, &title, app.fleet.look == Look::List, area.width));
    if rows.is_empty() {
        put(frame, area, 2, super::styled(app, Part::Dim, "  nothing passes the filter; Esc clears it"));
    }
    let visible = usize::from(area.height.saturating_sub(1) / ROW_LINES);
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
    let sign = app.settings.theme.attention(row.attention);
    let context = row.context.map_or_else(|| "  ?%".to_owned(), |context| format!("{:>3}%", context.percent()));
    let last = match &row.last_event {
        Some(event) => format!("{:>5}", ago(event.at, app.now)),
        None => "    -".to_owned(),
    };
    let right = format!("{last} {context}{}", unread(app, row));
    let room = width.saturating_sub(right.width() + 3);
    let pair = match (&row.partner, row.role) {
        (Some(partner), _) => format!("{} {} {partner}", row.name, glyphs.pair()),
        (None, Role::Worker) => row.name.clone(),
        (None, Role::Manager) => format!("{} (manager)", row.name),
    };
    let who = match &row.task {
        Some(task) => format!("{pair}{}{task}", glyphs.separator()),
        None => pair,
    };
    let disagree = row.judgement.agreement == Agreement::Disagree;
    let first = Line::from(vec![
        Span::styled(glyphs.attention(row.attention), sign),
        span(app, Part::Warning, if disagree { glyphs.disagree() } else { " " }),
        span(app, Part::Title, pad(&who, room, glyphs)),
        span(app, Part::Dim, format!(" {right}")),
    ]);
    let why = why(row, app.now);
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

/// Unread messages in a column of their own, as soon as any session has some.
fn unread(app: &App, row: &SessionRow) -> String {
    let is_shown = app.board().is_some_and(|board| board.sessions.iter().any(|row| row.unread > 0));
    match row.unread {
        _ if !is_shown => String::new(),
        0 => " ".repeat(7),
        1..=99 => format!(" {:>2} new", row.unread),
        _ => " 99+new".to_owned(),
    }
}

/// State, since when, and the reason in one line.
fn why(row: &SessionRow, now: Timestamp) -> String {
    let word = match row.attention {
        Attention::NeedsYou => "needs you",
        Attention::Failed => "failed",
        Attention::DoneUnseen => "done",
        Attention::Working => "working",
        Attention::Idle => "idle",
        Attention::Unknown => "unknown",
        Attention::Gone => "gone",
    };
    let since = row.judgement.since.map_or_else(String::new, |at| format!(" {}", ago(Some(at), now)));
    let seen = match row.last_heartbeat_at {
        Some(at) if is_stale(row, now) => format!(" (seen {} ago)", ago(Some(at), now)),
        None if is_stale(row, now) => " (not seen)".to_owned(),
        _ => String::new(),
    };
    format!("{word}{since}{seen}: {}", one_line(&row.judgement.reason))
}

fn orphan(app: &App, row: &TaskRow, width: usize) -> (Line<'static>, Line<'static>) {
    let glyphs = app.settings.glyphs;
    let sign = app.settings.theme.attention(Attention::Idle);
    let right = format!("{:>5}     ", ago(Some(row.task.updated_at), app.now));
    let room = width.saturating_sub(right.width() + 3);
    let first = Line::from(vec![
        Span::styled(glyphs.attention(Attention::Idle), sign),
        span(app, Part::Title, pad(&format!(" task {}", row.task.name), room + 1, glyphs)),
        span(app, Part::Dim, format!(" {right}")),
    ]);
    let text = format!("{}, nobody works on it: {}", row.task.state, one_line(&row.task.goal));
    let second = Line::from(vec![Span::raw("  "), Span::styled(cut(&text, width.saturating_sub(2), glyphs), sign)]);
    (first, second)
}
