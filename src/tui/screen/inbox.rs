//! The Inbox screen: messages that were given up, messages that wait, and what lies in the inboxes.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{ago, delivery, divider, frames, heading, mark, put, sides, span, styled};
use crate::{
    base::{Timestamp, text::one_line},
    model::{
        deliveries::{CommandRow, ItemFacts, ItemRow, Preview},
        delivery::{ItemState, Phase},
    },
    tui::{
        app::App,
        theme::Part,
        wrap::{cut, pad, wrap},
    },
};

/// The most lines of a message in the detail.
const MESSAGE_LINES: usize = 500;

/// A row of the list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// A command that does not lie in an inbox.
    Command(&'a CommandRow),
    /// Something in an inbox.
    Item(&'a ItemRow),
}

impl Row<'_> {
    /// The id that is selected.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Command(row) => row.id.clone(),
            Self::Item(row) => format!("item-{}", row.id),
        }
    }

    /// The session it is for.
    #[must_use]
    pub fn target_id(&self) -> &str {
        match self {
            Self::Command(row) => &row.target_id,
            Self::Item(row) => &row.target_id,
        }
    }

    /// What comes first: to be decided, waiting, to be fetched, confirmed.
    fn tier(&self) -> u8 {
        match self {
            Self::Command(row) if row.phase.holds_the_line() => 1,
            Self::Command(_) => 0,
            Self::Item(row) if row.facts.state == ItemState::Failed => 0,
            Self::Item(row) if row.facts.consumed_at.is_none() => 2,
            Self::Item(_) => 3,
        }
    }

    fn at(&self) -> Timestamp {
        match self {
            Self::Command(row) => row.updated_at,
            Self::Item(row) => row.facts.delivered_at.unwrap_or(row.created_at),
        }
    }
}

/// The rows whose session passes the filter: what has to be decided, what waits, what lies in inboxes; the newest
/// first within each.
#[must_use]
pub fn rows(app: &App) -> Vec<Row<'_>> {
    let Some(deliveries) = app.deliveries() else { return Vec::new() };
    // What was delivered is shown as what lies in the inbox; what was taken back is nobody's business any more.
    let commands = deliveries
        .commands
        .iter()
        .filter(|row| row.phase.holds_the_line() || row.phase.is_dead_letter() || row.phase == Phase::Ambiguous);
    let mut rows: Vec<Row<'_>> = commands.map(Row::Command).chain(deliveries.items.iter().map(Row::Item)).collect();
    rows.retain(|row| passes(app, row.target_id()));
    rows.sort_by_key(Row::tier);
    rows
}

/// Whether what is for this session passes the filter.
pub(super) fn passes(app: &App, session_id: &str) -> bool {
    app.filter_text.is_empty()
        || app.board().is_some_and(|board| {
            board.sessions.iter().any(|row| row.id == session_id && app.filter.matches_session(row, app.now))
        })
}

/// The selected row.
#[must_use]
pub fn selected(app: &App) -> Option<Row<'_>> {
    let id = app.inbox_view.list.id.as_deref()?;
    rows(app).into_iter().find(|row| row.id() == id)
}

/// The selected row, if it is a command and this screen is shown.
#[must_use]
pub fn selected_command(app: &App) -> Option<&CommandRow> {
    match selected(app)? {
        Row::Command(row) => Some(row),
        Row::Item(_) => None,
    }
}

fn areas(app: &App) -> (Rect, Rect) {
    sides(frames(app.size).body, app.inbox_view.detail)
}

/// The ids of the rows, in their order.
#[must_use]
pub fn ids(app: &App) -> Vec<String> {
    rows(app).iter().map(Row::id).collect()
}

/// How many rows the list shows.
#[must_use]
pub fn visible_rows(app: &App) -> usize {
    usize::from(areas(app).0.height.saturating_sub(1))
}

/// How many lines of the detail do not fit.
#[must_use]
pub fn overflow(app: &App) -> usize {
    let area = areas(app).1;
    let lines = selected(app).map_or(0, |row| detail(app, row, usize::from(area.width)).len());
    lines.saturating_sub(usize::from(area.height).saturating_sub(1))
}

/// The row at `at`.
#[must_use]
pub fn hit(app: &App, at: Position) -> Option<String> {
    let list = areas(app).0;
    if !list.contains(at) || at.y == list.y {
        return None;
    }
    rows(app).get(app.inbox_view.list.top + usize::from(at.y - list.y - 1)).map(Row::id)
}

/// Draws the screen.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>) {
    let (list_area, detail_area) = areas(app);
    if !list_area.is_empty() {
        list(app, frame, list_area);
    }
    if detail_area.is_empty() {
        return;
    }
    if detail_area.x > 0 {
        divider(app, frame, Rect { x: detail_area.x - 1, width: 1, ..detail_area });
    }
    let Some(row) = selected(app) else {
        put(frame, detail_area, 0, heading(app, "no message", app.inbox_view.detail, detail_area.width));
        return;
    };
    put(frame, detail_area, 0, heading(app, &title(row), app.inbox_view.detail, detail_area.width));
    let text = Rect { y: detail_area.y + 1, height: detail_area.height.saturating_sub(1), ..detail_area };
    let lines = detail(app, row, usize::from(text.width));
    for (index, (part, line)) in
        lines.into_iter().skip(app.inbox_view.scroll).enumerate().take(usize::from(text.height))
    {
        put(frame, text, index, styled(app, part, format!(" {line}")));
    }
}

fn list(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let rows = rows(app);
    let title =
        if app.filter_text.is_empty() { "messages".to_owned() } else { format!("messages: {}", app.filter_text) };
    put(frame, area, 0, heading(app, &title, !app.inbox_view.detail, area.width));
    if rows.is_empty() {
        let text = match (&app.deliveries, app.filter_text.is_empty()) {
            (None, _) => "looking",
            (Some(Err(_)), _) => "what is under way is not known",
            (Some(Ok(_)), true) => "no message was ever queued or routed",
            (Some(Ok(_)), false) => "nothing passes the filter; Esc clears it",
        };
        put(frame, area, 2, styled(app, Part::Dim, format!("  {text}")));
    }
    let visible = usize::from(area.height.saturating_sub(1));
    for (index, row) in rows.iter().enumerate().skip(app.inbox_view.list.top).take(visible) {
        let at = index - app.inbox_view.list.top + 1;
        put(frame, area, at, line(app, *row, usize::from(area.width)));
        if app.inbox_view.list.id.as_deref() == Some(row.id().as_str())
            && let Ok(at) = u16::try_from(at)
        {
            mark(app, frame, Rect::new(area.x, area.y + at, area.width, 1), !app.inbox_view.detail);
        }
    }
}

/// One row: how it stands, who to whom, its text, its age.
fn line(app: &App, row: Row<'_>, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let (sign, part, word, who, text) = match row {
        Row::Command(row) => (
            if row.phase.holds_the_line() { " " } else { "!" },
            delivery::phase_part(row.phase),
            row.phase.as_str(),
            format!("{} to {}", delivery::kind(row.kind), row.target),
            delivery::first_line(&row.message),
        ),
        Row::Item(row) => (
            if row.facts.state == ItemState::Failed { "!" } else { " " },
            item_part(&row.facts),
            row.facts.word(),
            format!("{} to {}", row.source.as_deref().unwrap_or("operator"), row.target),
            delivery::first_line(&row.message),
        ),
    };
    let age = format!("{:>5} ", ago(Some(row.at()), app.now));
    let state = pad(word, 9, glyphs);
    let room = width.saturating_sub(sign.width() + state.width() + age.width() + 2);
    let who = pad(&who, 14.min(room), glyphs);
    let text = pad(&text, room.saturating_sub(who.width() + 1), glyphs);
    Line::from(vec![
        Span::styled(sign, app.settings.theme.style(part)),
        Span::styled(format!("{state} "), app.settings.theme.style(part)),
        span(app, Part::Title, who),
        span(app, Part::Text, format!(" {text} ")),
        span(app, Part::Dim, age),
    ])
}

/// The style of something in an inbox.
pub(super) fn item_part(facts: &ItemFacts) -> Part {
    match facts.state {
        ItemState::Failed => Part::Failed,
        ItemState::Delivered if facts.is_unread() => Part::DoneUnseen,
        ItemState::Delivered if facts.consumed_at.is_none() => Part::Text,
        ItemState::Delivered | ItemState::Pending | ItemState::Suppressed => Part::Dim,
    }
}

fn title(row: Row<'_>) -> String {
    let (what, task) = match row {
        Row::Command(row) => (format!("{} to {}", delivery::kind(row.kind), row.target), &row.task),
        Row::Item(row) => (format!("in the inbox of {}", row.target), &row.task),
    };
    match task {
        Some(task) => format!("{what}, task {task}"),
        None => what,
    }
}

fn detail(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
    let width = width.saturating_sub(2);
    let fold = |lines: Vec<(Part, String)>| -> Vec<(Part, String)> {
        lines
            .into_iter()
            .flat_map(|(part, text)| wrap(&text, width, MESSAGE_LINES).into_iter().map(move |line| (part, line)))
            .collect()
    };
    let Some(deliveries) = app.deliveries() else { return Vec::new() };
    let (mut lines, message, id) = match row {
        Row::Command(row) => {
            let mut lines = fold(delivery::way(app, deliveries, row));
            let keys = delivery::keys(app, row.phase).map(|keys| (Part::Key, keys));
            lines.extend(fold(keys.into_iter().collect()));
            (lines, &row.message, row.id.clone())
        }
        Row::Item(row) => {
            let from = row.source.as_deref().unwrap_or("the operator");
            let mut lines = fold(vec![(Part::Text, format!("{} of {from}", one_line(&row.signal)))]);
            lines.extend(fold(delivery::facts(app, &row.facts)));
            let error = row.error.as_deref().map(|error| (Part::Failed, format!("given up: {}", one_line(error))));
            lines.extend(fold(error.into_iter().collect()));
            (lines, &row.message, row.command_id.clone().unwrap_or_else(|| format!("message {}", row.id)))
        }
    };
    lines.push((Part::Dim, cut(&id, width, app.settings.glyphs)));
    lines.push((Part::Text, String::new()));
    lines.extend(match message {
        Preview::Text(text) => fold(vec![(Part::Text, text.clone())]),
        Preview::Long(bytes) => {
            fold(vec![(Part::Dim, format!("{bytes} bytes, too long to be shown here: `conveyor commands --json`"))])
        }
    });
    lines
}
