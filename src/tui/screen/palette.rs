//! Drawing the palette: what was typed, the rows that fit, and the target and command line of the selected one.

use ratatui::{
    Frame,
    layout::Position,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{
    layers::{boxed, boxes, wrapped},
    put, span, styled,
};
use crate::tui::{
    app::App,
    palette::{self, Item, Palette},
    theme::Part,
    wrap::{cut, pad},
};

/// Lines below the rows: what the selected one does.
const BELOW: usize = 4;

/// Less than this is no room for a sentence.
const ABOUT_COLUMNS: usize = 20;

/// The most rows that are shown.
const MOST: usize = 14;

/// How many rows are shown.
#[must_use]
pub fn visible_rows(app: &App) -> usize {
    usize::from(boxes(app, usize::from(app.size.height)).1.height).saturating_sub(BELOW + 1).min(MOST)
}

/// Draws the box.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, palette: &Palette) {
    let rows = palette::found(app, palette.field.text());
    let visible = visible_rows(app);
    let at = palette.place(&rows);
    let first = (at.unwrap_or(0) + 1).saturating_sub(visible);
    let inner = boxed(app, frame, "do anything", 1 + visible + BELOW);
    let width = usize::from(inner.width);
    let glyphs = app.settings.glyphs;
    let typed = cut(palette.field.text(), width.saturating_sub(3), glyphs);
    put(frame, inner, 0, Line::from(vec![span(app, Part::Key, ": "), span(app, Part::Text, typed)]));
    if rows.is_empty() {
        put(frame, inner, 1, styled(app, Part::Dim, "nothing that works now has that name"));
    }
    for (index, item) in rows.iter().enumerate().skip(first).take(visible) {
        put(frame, inner, 1 + index - first, row(app, item, Some(index) == at, width));
    }
    let mut below = vec![Line::default()];
    if let Some(item) = at.and_then(|at| rows.get(at)) {
        below.extend(wrapped(app, Part::Dim, &item.about, width).into_iter().take(1));
        if let Some(line) = &item.line {
            below.extend(wrapped(app, Part::Text, &format!("runs: {line}"), width).into_iter().take(2));
        }
    }
    for (index, line) in below.into_iter().take(BELOW).enumerate() {
        put(frame, inner, 1 + visible + index, line);
    }
    let column = u16::try_from(palette.field.before().width() + 2).unwrap_or(u16::MAX);
    let cursor = Position::new(inner.x.saturating_add(column).min(inner.right().saturating_sub(1)), inner.y);
    if inner.contains(cursor) {
        frame.set_cursor_position(cursor);
    }
}

fn row(app: &App, item: &Item, selected: bool, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let key = item.key.clone().unwrap_or_default();
    let room = width.saturating_sub(key.width() + 3);
    let part = if selected { Part::Selected } else { Part::Text };
    let sign = if selected { "> " } else { "  " };
    let title = cut(&item.title, room, glyphs);
    // What a short title means, as far as there is room.
    let left = room.saturating_sub(title.width());
    let about = if left > ABOUT_COLUMNS { pad(&format!("  {}", item.about), left, glyphs) } else { " ".repeat(left) };
    Line::from(vec![
        span(app, part, format!("{sign}{title}")),
        span(app, if selected { part } else { Part::Dim }, about),
        Span::raw(" "),
        span(app, Part::Key, key),
    ])
}
