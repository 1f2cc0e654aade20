//! Drawing a form: its fields, what belongs into the one with the keyboard, what is wrong, and the command line.

use ratatui::{
    Frame,
    layout::Position,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{
    layers::{boxed, boxes, wrapped},
    nudge::layout,
    put, span, styled,
};
use crate::{
    actions::{Argv, Command},
    tui::{
        app::App,
        field::Field,
        finish,
        form::{
            Entry, Form, Subject,
            control::{Checks, Control, Picker},
        },
        keymap::{Intent, Place},
        submitting::command_line,
        theme::Part,
        wrap::{cut, pad},
    },
};

/// Columns of the names of fields.
const LABEL: usize = 11;

/// The most lines that the command line takes.
const COMMAND_LINES: usize = 4;

/// The most lines of a text that has the keyboard, and of one that has not.
const TEXT_LINES: (usize, usize) = (6, 2);

/// The most rows of check marks that are shown.
const CHECK_LINES: usize = 12;

/// Rows of names that can be picked, with the marks of those that are not shown, on a screen without room to spare.
const PICK_LINES: usize = 5;

/// The drawn fields.
struct Fields {
    lines: Vec<Line<'static>>,
    /// The lines of the field with the keyboard.
    focus: std::ops::Range<usize>,
    /// Where the cursor stands.
    cursor: Option<(usize, usize)>,
}

/// Draws the box.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, form: &Form) {
    let room = boxes(app, usize::from(app.size.height)).1;
    let width = usize::from(room.width);
    if width < LABEL + 8 || room.height == 0 {
        return;
    }
    let mut below = below(app, form, width);
    let height = usize::from(room.height);
    let mut fields = fields(app, form, width, PICK_LINES);
    // What is left of the screen goes to the names that can be picked.
    let spare = height.saturating_sub(fields.lines.len() + below.len());
    if spare > 0 {
        fields = self::fields(app, form, width, PICK_LINES + spare);
    }
    // On a low screen the field with the keyboard comes first, then what is wrong with it, then the command line.
    if fields.lines.len() + below.len() > height {
        below.retain(|line| line.width() > 0);
        below.truncate(height.saturating_sub(fields.focus.len().clamp(1, height / 2)));
    }
    let shown = fields.lines.len().min(height - below.len());
    let at = fields.cursor.map_or(fields.focus.end.saturating_sub(1), |(row, _)| row);
    let first = (at + 1).saturating_sub(shown).min(fields.lines.len() - shown);
    // What stands above the cursor in the same field is wanted more than what stands below it.
    let first = if fields.focus.start < first { first } else { fields.focus.start.min(first) };
    // The whole field, where it fits.
    let end = fields.focus.end.saturating_sub(shown);
    let first = if fields.focus.len() <= shown { first.max(end).min(fields.focus.start.max(first)) } else { first };

    let inner = boxed(app, frame, form.subject.title(), shown + below.len());
    for (index, line) in fields.lines.into_iter().skip(first).take(shown).enumerate() {
        put(frame, inner, index, line);
    }
    for (index, line) in below.into_iter().enumerate() {
        put(frame, inner, shown + index, line);
    }
    if let Some((row, column)) = fields.cursor {
        let at = |offset: usize, from: u16| from.saturating_add(u16::try_from(offset).unwrap_or(u16::MAX));
        let cursor = Position::new(at(column, inner.x), at(row.saturating_sub(first), inner.y));
        if inner.contains(cursor) {
            frame.set_cursor_position(cursor);
        }
    }
}

/// What belongs into the field or what is wrong with it, and the command line.
fn below(app: &App, form: &Form, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    if let Some(warning) = form.warning(app) {
        lines.extend(wrapped(app, Part::Warning, &warning, width));
    }
    match (&form.refused, form.entries.get(form.focus)) {
        (Some(fault), _) => lines.extend(wrapped(app, Part::Error, &fault.words, width)),
        (None, Some(entry)) => {
            let need = if entry.required { "" } else { " (may be left empty)" };
            let is_text = !matches!(entry.control, Control::Choice(_) | Control::Switch(_) | Control::Checks(_));
            let need = if is_text { need } else { "" };
            let keys = match entry.control {
                Control::Checks(_) => format!(
                    "; {} checks one, {} all",
                    app.key_in(Place::Form, Intent::Toggle),
                    app.key_in(Place::Form, Intent::LineStart)
                ),
                _ => String::new(),
            };
            let now = form.present(entry).map(|now| format!("; now: {now}")).unwrap_or_default();
            lines.extend(wrapped(app, Part::Dim, &format!("{}{need}{keys}{now}", entry.hint), width));
        }
        (None, None) => {}
    }
    let (part, word, written) = match form.commands() {
        // Nothing runs before its gates were seen.
        Ok(commands) if form.subject == Subject::FinishTask => {
            (Part::Text, "after its gates", submitted(app, commands))
        }
        Ok(commands) => (Part::Text, "runs", submitted(app, commands)),
        Err(fault) => {
            if form.refused.is_none() {
                lines.extend(wrapped(app, Part::Warning, &format!("not yet: {}", fault.words), width));
            }
            (Part::Dim, "so far", form.lines())
        }
    };
    for line in written {
        let text = command_line(app, &line);
        let mut command = wrapped(app, part, &format!("{word}: {text}"), width);
        if command.len() > COMMAND_LINES {
            command.truncate(COMMAND_LINES - 1);
            let rest = format!("{} (the whole text goes along)", app.settings.glyphs.cut());
            command.push(styled(app, Part::Dim, rest));
        }
        lines.extend(command);
    }
    lines
}

/// The command lines that run, to the letter: with what a command says besides what was filled in.
fn submitted(app: &App, commands: Vec<Command>) -> Vec<Argv> {
    commands.into_iter().map(|command| finish::as_submitted(app, command).argv()).collect()
}

fn fields(app: &App, form: &Form, width: usize, names: usize) -> Fields {
    let mut fields = Fields { lines: Vec::new(), focus: 0..0, cursor: None };
    for (index, entry) in form.entries.iter().enumerate() {
        let is_focused = index == form.focus;
        let start = fields.lines.len();
        let (lines, cursor) = entry_lines(app, entry, form.present(entry), is_focused, (width - LABEL, names));
        for (row, line) in lines.into_iter().enumerate() {
            let label = if row == 0 { label(app, entry, is_focused) } else { Span::raw(" ".repeat(LABEL)) };
            let mut spans = vec![label];
            spans.extend(line.spans);
            fields.lines.push(Line::from(spans));
        }
        if is_focused {
            fields.focus = start..fields.lines.len();
            fields.cursor = cursor.map(|(row, column)| (start + row, LABEL + column));
        }
    }
    fields
}

/// The name of a field; a sign says which one has the keyboard, and which must not stay empty.
fn label(app: &App, entry: &Entry, is_focused: bool) -> Span<'static> {
    let sign = if is_focused { ">" } else { " " };
    let part = if is_focused { Part::Key } else { Part::Dim };
    let must = if entry.required && entry.control.value().is_empty() { "*" } else { "" };
    let text = format!("{sign}{}{must}", entry.label);
    span(app, part, pad(&text, LABEL, app.settings.glyphs))
}

type Drawn = (Vec<Line<'static>>, Option<(usize, usize)>);

/// A field's lines and where its cursor stands.
fn entry_lines(
    app: &App,
    entry: &Entry,
    present: Option<&str>,
    is_focused: bool,
    (width, names): (usize, usize),
) -> Drawn {
    match &entry.control {
        Control::Line(_) | Control::Pick(_) if present.is_some() && !is_focused => {
            let text = entry.left_empty(present.unwrap_or_default());
            (vec![styled(app, Part::Dim, cut(&text, width, app.settings.glyphs))], None)
        }
        Control::Line(field) => one_line(app, field, width),
        Control::Text(field) => text(app, field, is_focused, width),
        Control::Choice(choice) => {
            let shown = choice.options.get(choice.at).map_or("", |(_, shown)| shown);
            let shown = present.map_or_else(|| shown.to_owned(), |now| format!("{shown}: {now}"));
            let text = if is_focused { format!("< {shown} >") } else { shown };
            (vec![styled(app, Part::Text, cut(&text, width, app.settings.glyphs))], None)
        }
        Control::Switch(on) => {
            let text = if *on { "[x] yes" } else { "[ ] no" };
            (vec![styled(app, Part::Text, text)], None)
        }
        Control::Pick(picker) => pick(app, picker, is_focused, width, names),
        Control::Checks(checks) => check_marks(app, checks, is_focused, width),
    }
}

/// A text of one line; of a long one the piece with the cursor.
fn one_line(app: &App, field: &Field, width: usize) -> Drawn {
    let room = width.saturating_sub(1).max(1);
    let before = field.before();
    let mut hidden = 0;
    for c in before.chars() {
        if before[hidden..].width() < room {
            break;
        }
        hidden += c.len_utf8();
    }
    let shown = cut(&field.text()[hidden..], room, app.settings.glyphs);
    (vec![styled(app, Part::Text, shown)], Some((0, before[hidden..].width())))
}

fn text(app: &App, field: &Field, is_focused: bool, width: usize) -> Drawn {
    let (lines, row, column) = layout(field, width);
    let most = if is_focused { TEXT_LINES.0 } else { TEXT_LINES.1 };
    let shown = lines.len().min(most);
    let first = if is_focused { (row + 1).saturating_sub(shown).min(lines.len() - shown) } else { 0 };
    let more = !is_focused && lines.len() > shown;
    let mut lines: Vec<Line<'static>> =
        lines.into_iter().skip(first).take(shown).map(|line| styled(app, Part::Text, line)).collect();
    if more && let Some(last) = lines.last_mut() {
        last.push_span(span(app, Part::Dim, format!(" {}", app.settings.glyphs.cut())));
    }
    (lines, Some((row.saturating_sub(first), column)))
}

/// A name, and while it is sought the names that fit: so many rows of them, around the one that was sought out, and how
/// many more there are.
fn pick(app: &App, picker: &Picker, is_focused: bool, width: usize, rows: usize) -> Drawn {
    let (mut lines, cursor) = one_line(app, &picker.field, width);
    if let (Some(about), Some(line)) = (picker.told(), lines.last_mut()) {
        let room = width.saturating_sub(line.width() + 2);
        line.push_span(span(app, Part::Dim, format!("  {}", cut(about, room, app.settings.glyphs))));
    }
    if is_focused {
        let offered = picker.offered();
        let shown = window(offered.len(), picker.at.unwrap_or(0), rows);
        let more = |count: usize, whence: &str| styled(app, Part::Warning, format!("  {count} more {whence}"));
        if shown.start > 0 {
            lines.push(more(shown.start, "above"));
        }
        let rest = offered.len() - shown.end;
        for (index, candidate) in offered.into_iter().enumerate().take(shown.end).skip(shown.start) {
            let chosen = picker.at == Some(index);
            let text = format!("{} {}  {}", if chosen { ">" } else { " " }, candidate.name, candidate.about);
            let part = if chosen { Part::Selected } else { Part::Dim };
            lines.push(styled(app, part, cut(&text, width, app.settings.glyphs)));
        }
        if rest > 0 {
            lines.push(more(rest, "below"));
        }
    }
    (lines, cursor)
}

/// Which of `count` names are shown in so many lines, so that the one at `at` is among them; a line goes to each mark of
/// those that are not.
fn window(count: usize, at: usize, lines: usize) -> std::ops::Range<usize> {
    let lines = lines.max(3);
    if count <= lines {
        0..count
    } else if at < lines - 1 {
        0..lines - 1
    } else if at + lines > count {
        count + 1 - lines..count
    } else {
        at + 3 - lines..at + 1
    }
}

fn check_marks(app: &App, checks: &Checks, is_focused: bool, width: usize) -> Drawn {
    let Some(rows) = &checks.rows else { return (vec![styled(app, Part::Dim, "looking")], None) };
    if rows.is_empty() {
        return (vec![styled(app, Part::Dim, "nothing")], None);
    }
    let mut lines = Vec::new();
    let mut at = 0;
    for (index, row) in rows.iter().enumerate() {
        let here = is_focused && index == checks.at;
        if here {
            at = lines.len();
        }
        let mark = if row.on { "[x]" } else { "[ ]" };
        let part = if here { Part::Selected } else { Part::Text };
        for (line, text) in row.lines.iter().enumerate() {
            let text = if line == 0 { format!("{mark} {text}") } else { format!("    {text}") };
            let part = if line == 0 { part } else { Part::Dim };
            lines.push(styled(app, part, cut(&text, width, app.settings.glyphs)));
        }
    }
    let shown = lines.len().min(CHECK_LINES);
    let first = (at + 2).saturating_sub(shown).min(lines.len() - shown);
    let more = lines.len() - shown;
    let mut lines: Vec<Line<'static>> = lines.into_iter().skip(first).take(shown).collect();
    if more > 0 {
        lines.push(styled(app, Part::Dim, format!("{} in all", rows.len())));
    }
    (lines, is_focused.then_some((at - first, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sought_name_is_among_those_shown_and_no_line_is_wasted() {
        proptest::proptest!(|(count in 0usize..40, at in 0usize..40, lines in 3usize..20)| {
            let at = at.min(count.saturating_sub(1));
            let shown = window(count, at, lines);
            proptest::prop_assert!(shown.end <= count && (count == 0 || shown.contains(&at)), "{shown:?}");
            let used = shown.len() + usize::from(shown.start > 0) + usize::from(shown.end < count);
            proptest::prop_assert_eq!(used, count.min(lines));
        });
    }
}
