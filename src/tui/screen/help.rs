//! The help: first what works here and now, by purpose; then what the signs and words mean; then every other key. What
//! is typed narrows all of it.

use ratatui::text::{Line, Span};

use super::{legend, span, styled};
use crate::tui::{
    app::App,
    keymap::{Binding, Group, Place},
    theme::Part,
    works::works,
    wrap::{pad, wrap},
};

/// Columns of the keys.
const KEYS_COLUMNS: usize = 21;

/// The same of those that work now; on the screens the longest is `: Ctrl-P`, but for the keys that move.
const KEYS_COLUMNS_NOW: usize = 12;

/// Columns of a sign and its word.
const SIGN_COLUMNS: usize = 17;

/// The most lines that one sentence takes.
const MOST_LINES: usize = 10;

/// The text; `places` are those whose keys counted where the help was opened.
pub(super) fn lines(app: &App, filter: &str, places: &[Place], width: usize) -> Vec<Line<'static>> {
    let needle = filter.trim().to_lowercase();
    let keymap = &app.settings.keymap;
    let mut lines = Vec::new();
    let mut section = |title: String, body: Vec<Line<'static>>| {
        if body.is_empty() {
            return;
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(styled(app, Part::Title, title));
        lines.extend(body);
    };
    let shown = |rows: Vec<&Binding>, column: usize| {
        rows.into_iter().flat_map(|row| key_row(app, row, column.min(width / 2), width)).collect()
    };
    let fits = |row: &&Binding| !row.keys.is_empty() && holds(row, &needle);
    let is_now = |row: &&Binding| places.contains(&row.place) && works(app, row.intent);
    for group in Group::ALL {
        let rows = keymap.rows(places).filter(|row| row.intent.group() == *group);
        let rows: Vec<&Binding> = rows.filter(is_now).filter(fits).collect();
        let column = if *group == Group::Move { KEYS_COLUMNS } else { KEYS_COLUMNS_NOW };
        section(format!("here and now: {}", title(app, *group)), shown(rows, column));
    }
    for (title, entries) in legend::all(app.settings.glyphs) {
        let entries = entries.into_iter().filter(|entry| {
            [entry.sign, entry.word, entry.meaning, title].iter().any(|text| text.to_lowercase().contains(&needle))
        });
        section(title.to_owned(), entries.flat_map(|entry| legend_row(app, &entry, width)).collect());
    }
    let others = Place::ALL.iter().filter(|place| !places.contains(place));
    for place in places.iter().chain(others) {
        let rows = keymap.rows(std::slice::from_ref(place)).filter(|row| !is_now(row));
        let not_now = if places.contains(place) { ", not now" } else { "" };
        section(format!("{}{not_now}", heading(*place)), shown(rows.filter(fits).collect(), KEYS_COLUMNS));
    }
    if lines.is_empty() {
        lines.push(styled(app, Part::Dim, "no key does that, and no sign or word is called so"));
    }
    lines
}

/// The heading of a purpose: what is acted on is named.
fn title(app: &App, group: Group) -> String {
    match (group, app.session()) {
        (Group::Act, Some(session)) => format!("act on {}", session.name),
        _ => group.heading().to_owned(),
    }
}

/// A row of keys, beside them the whole sentence and the command.
fn key_row(app: &App, row: &Binding, column: usize, width: usize) -> Vec<Line<'static>> {
    let room = width - column;
    let mut text: Vec<Line<'static>> = wrap(row.help, room, MOST_LINES).into_iter().map(Line::raw).collect();
    if let Some(verb) = row.verb {
        let command = span(app, Part::Dim, format!("[{verb}]"));
        match text.last_mut() {
            Some(last) if last.width() + 1 + command.width() <= room => last.spans.extend([Span::raw(" "), command]),
            _ => text.push(Line::from(command)),
        }
    }
    beside(app, &format!("  {}", keys(row)), column, text)
}

fn legend_row(app: &App, entry: &legend::Entry, width: usize) -> Vec<Line<'static>> {
    let column = SIGN_COLUMNS.min(width / 2);
    let meaning = wrap(entry.meaning, width - column, MOST_LINES).into_iter().map(Line::raw).collect();
    beside(app, &format!("  {:3} {}", entry.sign, entry.word), column, meaning)
}

/// Lines with something before the first one, all of them standing in.
fn beside(app: &App, first: &str, column: usize, mut text: Vec<Line<'static>>) -> Vec<Line<'static>> {
    let mut first = first.to_owned();
    for line in &mut text {
        let before = std::mem::take(&mut first);
        line.spans.insert(0, span(app, Part::Key, pad(&before, column, app.settings.glyphs)));
    }
    text
}

fn keys(row: &Binding) -> String {
    row.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
}

fn holds(row: &Binding, needle: &str) -> bool {
    let words = [row.short, row.help, row.intent.as_str(), row.verb.unwrap_or("")];
    needle.is_empty()
        || words.iter().any(|word| word.to_lowercase().contains(needle))
        || keys(row).to_lowercase().contains(needle)
}

fn heading(place: Place) -> &'static str {
    match place {
        Place::Always => "everywhere",
        Place::Screen => "on every screen",
        Place::Fleet => "Fleet",
        Place::Task => "Task",
        Place::Events => "Events",
        Place::Inbox => "Inbox",
        Place::Dispatch => "Dispatch",
        Place::Doctor => "Doctor",
        Place::Message => "in a message",
        Place::Input => "in an input line",
        Place::Help => "in this help",
        Place::Reader => "in a text",
        Place::Confirm => "in a question",
        Place::Answer => "over what a session asks",
        Place::Form => "in a form",
        Place::Palette => "in the palette",
        Place::Receipts => "in the list of receipts",
        Place::Snooze => "over the lengths of a snooze",
        Place::Finish => "over the gates of a task",
        Place::Policy => "over the terms of a task",
        Place::Record => "over the record of a task",
        Place::Criteria => "over the criteria of a task",
    }
}
