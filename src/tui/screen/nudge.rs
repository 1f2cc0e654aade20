//! Drawing a message that is written: to whom, the text with its cursor, and the command line that will run.

use ratatui::{Frame, layout::Position, text::Line};
use unicode_width::UnicodeWidthChar;

use super::{
    layers::{boxed, boxes, wrapped},
    put, styled,
};
use crate::{
    actions::{Action, not_typed_because},
    tui::{app::App, field::Field, layer::Nudge, messages, submitting::command_line, theme::Part},
};

/// The most lines that the command line takes.
const COMMAND_LINES: usize = 3;

/// The most lines of the message that are shown at once.
const TEXT_LINES: usize = 12;

/// Draws the box.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, nudge: &Nudge) {
    let glyphs = app.settings.glyphs;
    let room = boxes(app, usize::from(app.size.height)).1;
    let width = usize::from(room.width);
    if width == 0 || room.height == 0 {
        return;
    }
    let (text, row, column) = layout(&nudge.field, width);
    let mut below: Vec<Line<'static>> = vec![Line::default()];
    let names: Vec<&str> = nudge.to.iter().map(|(_, name)| name.as_str()).collect();
    match &nudge.error {
        Some(error) => below.extend(wrapped(app, Part::Error, error, width)),
        None => {
            let about = format!("To {}, from the operator; the receipt says how it goes.", names.join(", "));
            below.extend(wrapped(app, Part::Dim, &about, width));
        }
    }
    if let Some(why) = not_typed_because(nudge.field.text()) {
        let text = format!(
            "Where it would be typed, it goes into the inbox instead, and a line that points to it is typed: {why}."
        );
        below.extend(wrapped(app, Part::Warning, &text, width));
    }
    for (name, why) in &nudge.left_out {
        below.extend(wrapped(app, Part::Warning, &format!("not to {name}: it {why}"), width));
    }
    let first = nudge.to.first().map_or("", |(_, name)| name);
    let line = command_line(app, &messages::send_to(first, nudge.field.text()).argv());
    let more = match nudge.to.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more, one for each)", count - 1),
    };
    let mut command = wrapped(app, Part::Dim, &format!("runs{more}: {line}"), width);
    if command.len() > COMMAND_LINES {
        command.truncate(COMMAND_LINES);
        command.pop();
        command.push(styled(app, Part::Dim, format!("{} (the whole text goes along)", glyphs.cut())));
    }
    below.extend(command);
    // On a low screen the text comes first, then what is wrong with it.
    let height = usize::from(room.height);
    if below.len() + 1 > height {
        below.remove(0);
    }
    below.truncate(height.saturating_sub(1));
    let shown = text.len().min(TEXT_LINES).min((height - below.len()).max(1));
    let first = (row + 1).saturating_sub(shown).min(text.len() - shown);

    let title = match names.as_slice() {
        [name] => format!("nudge {name}"),
        names => format!("nudge {} sessions", names.len()),
    };
    let inner = boxed(app, frame, &title, shown + below.len());
    for (index, line) in text.into_iter().skip(first).take(shown).enumerate() {
        put(frame, inner, index, styled(app, Part::Text, line));
    }
    for (index, line) in below.into_iter().enumerate() {
        put(frame, inner, shown + index, line);
    }
    let at = |offset: usize, from: u16| from.saturating_add(u16::try_from(offset).unwrap_or(u16::MAX));
    let cursor = Position::new(at(column, inner.x), at(row - first, inner.y));
    if inner.contains(cursor) {
        frame.set_cursor_position(cursor);
    }
}

/// The text broken into lines, with the line and the column of the cursor. The last column stays free for it.
pub(super) fn layout(field: &Field, width: usize) -> (Vec<String>, usize, usize) {
    let width = width.saturating_sub(1).max(1);
    let cursor = field.before().len();
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    let mut at = (0, 0);
    for (index, c) in field.text().char_indices() {
        let columns = c.width().unwrap_or(0);
        if c != '\n' && used + columns > width && used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if index == cursor {
            at = (lines.len(), used);
        }
        if c == '\n' {
            lines.push(std::mem::take(&mut line));
            used = 0;
        } else {
            line.push(c);
            used += columns;
        }
    }
    if cursor == field.text().len() {
        at = (lines.len(), used);
    }
    lines.push(line);
    (lines, at.0, at.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str, back: usize, width: usize) -> (Vec<String>, usize, usize) {
        let mut field = Field::default();
        assert!(field.insert(text, 1_000));
        (0..back).for_each(|_| field.left());
        layout(&field, width)
    }

    #[test]
    fn the_cursor_is_where_the_next_character_comes() {
        assert_eq!(laid_out("", 0, 10), (vec![String::new()], 0, 0));
        assert_eq!(laid_out("abc", 1, 10), (vec!["abc".into()], 0, 2));
        assert_eq!(laid_out("ab\n", 0, 10), (vec!["ab".into(), String::new()], 1, 0));
        assert_eq!(laid_out("abcdef", 0, 4), (vec!["abc".into(), "def".into()], 1, 3));
        assert_eq!(laid_out("abcdef", 3, 4), (vec!["abc".into(), "def".into()], 1, 0));
        assert_eq!(laid_out("漢字x", 1, 4), (vec!["漢".into(), "字x".into()], 1, 2));
    }
}
