//! The Fleet screen: who needs the operator, and a look at the selected one.

mod words;

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{ago, criteria, divider, frames, heading, mark, preview, put, span};
use crate::{
    base::{Timestamp, text::one_line},
    model::{
        board::{Attention, SessionRow, TaskRow, Urgency},
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

/// Columns that the heading of the list keeps beside the labels of columns.
const HEADING_COLUMNS: usize = 14;

/// Lines that a row takes: its name, and what it says.
const ROW_LINES: u16 = 2;

/// In a list lower than this, a row that needs the operator has no second line for what is asked.
const ROOMY: u16 = 12;

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

    /// The task that it is about.
    #[must_use]
    pub fn task_id(&self) -> Option<&str> {
        match self {
            Self::Session(row) => row.task_id.as_deref(),
            Self::Task(row) => Some(&row.task.id),
        }
    }

    /// How much it asks for.
    #[must_use]
    pub fn attention(&self, app: &App) -> Attention {
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

/// Whether a session has a row: it passes the filter, and when it is gone, those are asked for. One that is selected
/// keeps its row when it goes, until another one is selected: the next key is about it, and not about a neighbour.
#[must_use]
pub fn shows(app: &App, row: &SessionRow) -> bool {
    let is_folded = folds(app) && row.attention == Attention::Gone && app.fleet.list.id.as_deref() != Some(&row.id);
    !is_folded && app.filter.matches_session(row, app.now)
}

/// Whether sessions that are gone are folded into the line below the rows.
fn folds(app: &App) -> bool {
    !app.attending.shows_gone && !app.filter.asks_for_gone()
}

/// How many sessions that pass the filter are gone.
#[must_use]
pub fn gone(app: &App) -> usize {
    let sessions = app.board().map_or(&[][..], |board| &board.sessions);
    sessions.iter().filter(|row| row.attention == Attention::Gone && app.filter.matches_session(row, app.now)).count()
}

/// The rows that the filter hides, those of sessions that are gone among them.
#[must_use]
pub fn filtered(app: &App) -> Vec<Row<'_>> {
    let sessions = app.board().map_or(&[][..], |board| &board.sessions).iter();
    let sessions = sessions.filter(|row| !app.filter.matches_session(row, app.now)).map(Row::Session);
    sessions.chain(orphans(app).filter(|row| !app.filter.matches_task(row, app.now)).map(Row::Task)).collect()
}

/// How many rows there would be besides without the filter, and how many sessions besides among those that are gone and
/// folded.
pub(super) fn hidden(app: &App) -> (usize, usize) {
    let is_folded = |row: &Row<'_>| row.attention(app) == Attention::Gone && !app.attending.shows_gone;
    let (folded, rows): (Vec<_>, Vec<_>) = filtered(app).into_iter().partition(is_folded);
    (rows.len(), folded.len())
}

/// The open tasks that nobody works on: they have rows of their own.
fn orphans(app: &App) -> impl Iterator<Item = &TaskRow> {
    app.board().map_or(&[][..], |board| &board.tasks).iter().filter(|row| {
        let bound = row.bindings.iter().any(|binding| binding.state == BindingState::Active);
        row.task.state.is_open() && !bound
    })
}

/// How many sessions that pass the filter are gone, and folded into the line below the rows.
fn folded(app: &App) -> usize {
    let Some(board) = app.board().filter(|_| folds(app)) else { return 0 };
    let is_folded = |row: &&SessionRow| {
        row.attention == Attention::Gone && app.filter.matches_session(row, app.now) && !shows(app, row)
    };
    board.sessions.iter().filter(is_folded).count()
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
    let orphans = orphans(app).filter(|row| app.filter.matches_task(row, app.now));
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
    let body = frames(app).body;
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
    let list = areas(app).list;
    fit(&heights(app, &rows(app), list), app.fleet.list.top, room(app, list))
}

/// The ids of the rows in their order, and for each how many rows fit when it stands first.
#[must_use]
pub fn layout(app: &App) -> (Vec<String>, Vec<usize>) {
    let (rows, list) = (rows(app), areas(app).list);
    let (heights, room) = (heights(app, &rows, list), room(app, list));
    let fits = (0..rows.len()).map(|top| fit(&heights, top, room)).collect();
    (rows.iter().map(|row| row.id().to_owned()).collect(), fits)
}

/// The lines for rows: below the heading, and above the line of those that are gone.
fn room(app: &App, list: Rect) -> u16 {
    list.height.saturating_sub(1 + u16::from(folded(app) > 0))
}

/// How many lines each row takes: one more where what is asked does not fit into one.
fn heights(app: &App, rows: &[Row<'_>], list: Rect) -> Vec<u16> {
    let height = |row: &Row<'_>| match most_lines(app, row, list) {
        1 => ROW_LINES,
        _ => ROW_LINES - 1 + u16::try_from(said(app, row, list).len()).unwrap_or(1),
    };
    rows.iter().map(height).collect()
}

/// How many rows fit from `top` on.
fn fit(heights: &[u16], top: usize, room: u16) -> usize {
    let used = heights.iter().skip(top).scan(0_u16, |used, height| {
        *used = used.saturating_add(*height);
        Some(*used)
    });
    used.take_while(|used| *used <= room).count()
}

/// What stands below the name of a row.
fn said(app: &App, row: &Row<'_>, list: Rect) -> Vec<String> {
    let width = usize::from(list.width).saturating_sub(2);
    words::of(app, row).lines(width, most_lines(app, row, list), app.settings.glyphs)
}

/// How many lines that may take.
fn most_lines(app: &App, row: &Row<'_>, list: Rect) -> usize {
    let needs = list.height >= ROOMY && row.attention(app) == Attention::NeedsYou;
    1 + usize::from(needs)
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
        let (rows, top) = (rows(app), app.fleet.list.top);
        let heights = heights(app, &rows, areas.list);
        let mut below = areas.list.y + 1;
        for (row, height) in rows.iter().zip(heights).skip(top).take(visible_rows(app)) {
            below += height;
            if at.y < below {
                return Hit::Row(row.id().to_owned());
            }
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
    let mut title = "who needs you".to_owned();
    if !app.fleet.chosen.is_empty() {
        title = format!("{} chosen, {title}", app.fleet.chosen.len());
    }
    let labels = labels(app, usize::from(area.width));
    let titled = area.width.saturating_sub(u16::try_from(labels.width()).unwrap_or(0));
    let mut head = heading(app, &title, app.fleet.look == Look::List, titled);
    head.push_span(span(app, Part::Dim, labels));
    put(frame, area, 0, head);
    let folded = folded(app);
    if rows.is_empty() {
        let text = if app.filter_text.is_empty() {
            let begins = app.key_that(Intent::StartWorker, "starts a worker").map(|key| format!("; {key}"));
            format!("every session is gone{}", begins.unwrap_or_default())
        } else if folded > 0 {
            "only sessions that are gone pass the filter".to_owned()
        } else {
            super::nothing::passes(app)
        };
        super::nothing::in_list(app, frame, area, Part::Dim, &text);
    }
    let heights = heights(app, &rows, area);
    let top = app.fleet.list.top;
    let visible = fit(&heights, top, room(app, area));
    let used: u16 = heights.iter().skip(top).take(visible).sum();
    if folded > 0 {
        let shows = app.key_that(Intent::Gone, "shows").map(|key| format!(" ({key})")).unwrap_or_default();
        // Told apart from those that the filter hides: this line shows no others.
        let pass = if app.filter_text.is_empty() { "" } else { " that pass" };
        let text = format!(" {} {folded} gone{pass}{shows}", app.settings.glyphs.attention(Attention::Gone));
        let below = 1 + if rows.is_empty() { ROW_LINES + 1 } else { used };
        let last = area.height.saturating_sub(1);
        put(frame, area, usize::from(below.min(last)), super::styled(app, Part::Dim, text));
    }
    let mut line = 1;
    for (row, height) in rows.iter().zip(&heights).skip(top).take(visible) {
        let lines = match row {
            Row::Session(session) => self::session(app, session, said(app, row, area), usize::from(area.width)),
            Row::Task(task) => orphan(app, task, said(app, row, area), usize::from(area.width)),
        };
        for (index, said) in lines.into_iter().enumerate() {
            put(frame, area, line + index, said);
        }
        if app.fleet.list.id.as_deref() == Some(row.id())
            && let Ok(line) = u16::try_from(line)
        {
            let marked = Rect::new(area.x, area.y + line, area.width, 1);
            mark(app, frame, marked, app.fleet.look == Look::List);
        }
        line += usize::from(*height);
    }
}

/// What the columns at the right end of the rows are, above them; nothing where the list is too narrow for it.
fn labels(app: &App, width: usize) -> String {
    let labels = columns(app, |column| match column {
        Column::Criteria => match criteria::cell(app, None).width() {
            width @ 0..3 => " ".repeat(width),
            width => format!("{:>width$}", "met"),
        },
        Column::Age => " last".to_owned(),
        Column::Context => " ctx".to_owned(),
        Column::Unread => " ".repeat(unread_width(app)),
    });
    // Without criteria their column is not there.
    let labels = if labels.trim().is_empty() { String::new() } else { format!(" {labels}") };
    if labels.width() + HEADING_COLUMNS <= width { labels } else { String::new() }
}

/// A session: sign, who with whom, task, last event's age, context; below that what it says, and its last event.
fn session(app: &App, row: &SessionRow, said: Vec<String>, width: usize) -> Vec<Line<'static>> {
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
            // Nothing is known before the first answer of the model.
            row.context.map_or_else(|| " ".repeat(4), |context| format!("{:>3}%", context.percent()))
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
    let style = if stale { app.settings.theme.style(Part::Stale) } else { sign };
    let mut lines = vec![first];
    let last = said.len().saturating_sub(1);
    for (index, text) in said.into_iter().enumerate() {
        // The last event gets what is left: whoever is asked has to see what is asked.
        let left = width.saturating_sub(text.width() + 3).min(width / 2);
        let event = row.last_event.as_ref().filter(|_| index == last && left >= EVENT_COLUMNS).map(|event| {
            let text = format!("{}: {}", event.label, one_line(&event.text));
            cut(&text, left, glyphs)
        });
        let left = width.saturating_sub(2 + event.as_ref().map_or(0, |event| event.width() + 1));
        let mut spans = vec![Span::raw("  "), Span::styled(pad(&text, left, glyphs), style)];
        spans.extend(event.map(|event| span(app, Part::Dim, format!(" {event}"))));
        lines.push(Line::from(spans));
    }
    lines
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
/// has a sign already, unless the operator has marked it: then that shows.
fn marks(app: &App, attention: Attention, marks: &MarksView) -> String {
    let Some(board) = app.board() else { return String::new() };
    let is_told = |attention: Attention, marks: &MarksView| {
        marks.unread_by_hand || (marks.unread && attention != Attention::DoneUnseen)
    };
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
    match (unread_width(app), row.unread) {
        (0, _) => String::new(),
        (width, 0) => " ".repeat(width),
        (_, unread @ 1..=99) => format!("{unread:>2} new"),
        _ => "99+new".to_owned(),
    }
}

/// Columns of unread messages.
fn unread_width(app: &App) -> usize {
    let is_shown = app.board().is_some_and(|board| board.sessions.iter().any(|row| row.unread > 0));
    if is_shown { "99+new".len() } else { 0 }
}

/// The right end of a row: its columns, those that are empty left out.
fn columns(app: &App, cell: impl Fn(Column) -> String) -> String {
    let cells = app.settings.columns.iter().map(|column| cell(*column)).filter(|cell| !cell.is_empty());
    cells.collect::<Vec<_>>().join(" ")
}

fn orphan(app: &App, row: &TaskRow, said: Vec<String>, width: usize) -> Vec<Line<'static>> {
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
    let said = said.into_iter().map(|text| Line::from(vec![Span::raw("  "), Span::styled(text, sign)]));
    std::iter::once(first).chain(said).collect()
}
