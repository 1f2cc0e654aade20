//! A captured pane, cell by cell and in its own colours, with a line below that says how old it is and what of it is
//! out of sight.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use super::{put, styled};
use crate::{
    base::text::age,
    model::cells::{Cell, Picture},
    tui::{
        app::App,
        backend::PaneText,
        theme::Part,
        views::{PaneView, rows_for},
        wrap::{cut, wrap},
    },
};

/// Draws the pane into `area`.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect, view: Option<&PaneView>) {
    let say = |frame: &mut Frame<'_>, part: Part, text: &str| {
        for (index, line) in wrap(text, usize::from(area.width), 50).into_iter().enumerate() {
            put(frame, area, index, styled(app, part, line));
        }
    };
    match view.and_then(|view| view.seen.as_ref().map(|seen| (view, seen))) {
        None => say(frame, Part::Dim, "looking at the pane"),
        Some((_, Ok(None))) => say(frame, Part::Dim, "this session has no pane"),
        Some((_, Err(failure))) => say(frame, Part::Error, &failure.message),
        Some((view, Ok(Some(pane)))) => picture(app, frame, area, view, pane),
    }
}

fn picture(app: &App, frame: &mut Frame<'_>, area: Rect, view: &PaneView, pane: &PaneText) {
    let rows = rows_for(usize::from(area.height));
    let Picture { rows: lines, width, .. } = &pane.picture;
    let count = lines.len();
    let first = count.saturating_sub(rows + view.up);
    let shown = lines.iter().enumerate().skip(first).take(rows);
    let mut below = area.y;
    for ((index, line), y) in shown.zip(area.y..area.bottom()) {
        let right = u16::try_from(view.right).unwrap_or(u16::MAX);
        row(app, frame.buffer_mut(), Rect { y, height: 1, ..area }, line, right);
        let cursor = pane.picture.cursor.filter(|cursor| usize::from(cursor.row) == index);
        if let Some(column) = cursor.and_then(|cursor| cursor.column.checked_sub(right))
            && column < area.width
        {
            let place = Rect::new(area.x + column, y, 1, 1);
            let mark = Style::new().add_modifier(Modifier::REVERSED);
            frame.buffer_mut().set_style(place, mark);
        }
        below = y + 1;
    }
    let mut note = vec![format!("as of {} ago", age(pane.captured_at.age_seconds(app.now)))];
    note.extend(pane.note.clone());
    if count > rows {
        note.push(format!("rows {}-{}/{count}", first + 1, (first + rows).min(count)));
    }
    if *width > area.width {
        note.push(format!("columns {}-{}/{width}", view.right + 1, view.right + usize::from(area.width)));
    }
    let part = if pane.note.is_some() { Part::Warning } else { Part::Dim };
    let text = cut(&note.join(app.settings.glyphs.separator()), area.width.into(), app.settings.glyphs);
    if below < area.bottom() {
        put(frame, Rect { y: below, height: 1, ..area }, 0, styled(app, part, text));
    }
}

/// Draws the cells of a row from column `right` on. Each is put into its place, so that a character that terminals
/// measure differently moves no other.
fn row(app: &App, buffer: &mut Buffer, area: Rect, cells: &[Cell], right: u16) {
    let ascii = app.settings.glyphs.is_ascii();
    let mut column: u16 = 0;
    for cell in cells {
        let from = column;
        column = column.saturating_add(u16::from(cell.width));
        if column <= right {
            continue;
        }
        let style = app.settings.theme.cell(cell.look);
        let is_whole = from >= right && column - right <= area.width;
        let start = from.max(right) - right;
        if start >= area.width {
            return;
        }
        for place in start..(column - right).min(area.width) {
            if let Some(target) = buffer.cell_mut((area.x + place, area.y)) {
                target.set_symbol(" ").set_style(style);
            }
        }
        // Half of a wide character is a blank.
        if is_whole
            && !cell.text.is_empty()
            && let Some(target) = buffer.cell_mut((area.x + start, area.y))
        {
            target.set_symbol(if ascii { in_ascii(&cell.text) } else { &cell.text });
        }
    }
}

/// What stands for a character where only ASCII may be drawn.
fn in_ascii(text: &str) -> &str {
    if text.is_ascii() {
        return text;
    }
    match text {
        "─" | "━" | "╌" | "┄" | "–" | "—" | "╶" | "╴" => "-",
        "│" | "┃" | "╎" | "┆" | "▌" | "▏" | "▎" => "|",
        "╭" | "╮" | "╰" | "╯" | "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" => "+",
        "•" | "●" | "◦" | "∙" | "⏺" => "*",
        "›" | "❯" | "▸" | "→" => ">",
        "‹" | "❮" | "←" => "<",
        "·" | "…" => ".",
        "✓" | "✔" => "v",
        "✗" | "✘" | "×" => "x",
        _ => "?",
    }
}
