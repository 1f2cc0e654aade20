//! Lays out the screens of Codex: what it shows of a session, as lines of text. Pure; `terminal` puts them up.
//!
//! The wording and the place of every line that tells a state (composer, dialogs, status lines) are those of the
//! recorded captures of each version; the decoration above them is shorter.

use std::path::Path;

use uuid::Uuid;

use super::{
    composer::{Composer, Dialog, Popup},
    dialect::{Dialect, ScreenStyle},
    dialogs,
    transcript::{self, Entry},
    wrap::{padded, wrap},
};
use crate::base::text;

/// One row of the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// The text, without any escape sequence.
    pub text: String,
    /// From this byte on the text is dim.
    pub dim_from: Option<usize>,
}

impl Row {
    /// A plain row.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), dim_from: None }
    }

    /// A dim row.
    pub(super) fn dim(text: impl Into<String>) -> Self {
        Self { text: text.into(), dim_from: Some(0) }
    }
}

/// A screen and where its cursor stands (column, row).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Rows from the top; never more than the screen is high.
    pub rows: Vec<Row>,
    /// The cursor, when it shows.
    pub cursor: Option<(u16, u16)>,
}

/// What a turn shows while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity<'a> {
    /// Whole seconds since the turn began.
    pub seconds: u64,
    /// A command runs.
    pub command: Option<&'a str>,
    /// The beginning of an answer that streams; there is no "Working" line then.
    pub streaming: Option<&'a str>,
    /// The blink of the bullet.
    pub blink: bool,
}

/// Everything a screen is made from.
#[derive(Debug)]
pub struct View<'a> {
    /// The version.
    pub dialect: Dialect,
    /// The composer and its dialog.
    pub composer: &'a Composer,
    /// What was said.
    pub transcript: &'a [Entry],
    /// The running turn.
    pub activity: Option<Activity<'a>>,
    /// Messages that wait for the running turn.
    pub steers: Vec<&'a str>,
    /// Messages that wait for its end.
    pub queued: Vec<&'a str>,
    /// The session's directory.
    pub cwd: &'a Path,
    /// The model.
    pub model: &'a str,
    /// The session's name.
    pub name: Option<&'a str>,
    /// The thread.
    pub thread: Uuid,
    /// Tokens used.
    pub tokens: u64,
    /// Items of `tui.status_line`, when it was set.
    pub status_items: Option<&'a [String]>,
    /// The screen is drawn in place (`--no-alt-screen` and older versions).
    pub inline: bool,
}

/// The screen of `view` at a size.
#[must_use]
pub fn frame(view: &View<'_>, width: u16, height: u16) -> Frame {
    let (columns, height) = (usize::from(width.max(20)), usize::from(height.max(4)));
    if view.composer.dialog() == Some(&Dialog::Trust) {
        let mut rows = dialogs::trust(view.dialect, view.cwd, view.composer.selected(), columns);
        rows.truncate(height);
        return Frame { rows, cursor: None };
    }
    let mut above = header(view, columns);
    above.extend(transcript::rows(view.dialect, view.transcript, columns, height));
    let bottom = bottom(view, columns);
    let (mut rows, cursor_at) = (bottom.rows, bottom.cursor);

    let room = height.saturating_sub(rows.len());
    let mut screen: Vec<Row> = above.split_off(above.len().saturating_sub(room));
    if !view.inline {
        screen.resize(room, Row::default());
    }
    let offset = screen.len();
    if rows.len() > height {
        rows.drain(..rows.len() - height);
    }
    screen.append(&mut rows);
    let cursor = cursor_at.map(|(column, row)| {
        let column = u16::try_from(column).unwrap_or(0).min(width.saturating_sub(1));
        (column, u16::try_from(offset + row).unwrap_or(0).min(u16::try_from(height - 1).unwrap_or(0)))
    });
    Frame { rows: screen, cursor }
}

struct Bottom {
    rows: Vec<Row>,
    cursor: Option<(usize, usize)>,
}

fn bottom(view: &View<'_>, columns: usize) -> Bottom {
    let composer = view.composer;
    if let Some(dialog) = composer.dialog() {
        let mut rows = vec![Row::default(); if view.dialect.screen() == ScreenStyle::First { 1 } else { 2 }];
        rows.extend(dialogs::rows(view.dialect, dialog, composer.selected(), columns));
        return Bottom { rows, cursor: None };
    }
    let mut rows = activity(view, columns);
    let first = view.dialect.screen() == ScreenStyle::First;
    rows.push(Row::default());
    if !first {
        rows.push(Row::default());
    }
    if let Some(popup) = composer.popup() {
        rows.extend(popup_rows(&popup, composer.selected()));
        rows.push(Row::default());
    }
    let (written, column) = composed(view, columns);
    let row = rows.len() + written.len() - 1;
    rows.extend(written);
    if !first {
        rows.push(Row::default());
    }
    rows.extend(status(view, columns));
    Bottom { rows, cursor: Some((column, row)) }
}

fn activity(view: &View<'_>, columns: usize) -> Vec<Row> {
    let Some(activity) = view.activity else { return Vec::new() };
    let style = view.dialect.screen();
    let mut rows = vec![Row::default()];
    if style == (ScreenStyle::Boxed { context_left: false }) {
        // 0.98 shows a steered message in its place at once.
        for message in &view.steers {
            rows.extend(wrap(&format!("› {message}"), columns, "  ").into_iter().map(Row::plain));
            rows.extend([Row::default(), Row::default()]);
        }
    }
    if let Some(text) = activity.streaming {
        rows.extend(wrap(&format!("• {text}"), columns, "  ").into_iter().map(Row::plain));
        return rows;
    }
    let seconds = activity.seconds;
    let bullet = if activity.blink { '◦' } else { '•' };
    match style {
        ScreenStyle::First => rows.push(Row::plain(format!(" Working ({seconds}s • Esc to interrupt)"))),
        ScreenStyle::Boxed { context_left } => {
            if let Some(command) = activity.command.filter(|_| context_left) {
                rows.push(Row::plain(format!("{bullet} Running {command}")));
                rows.push(Row::default());
            }
            rows.push(Row::plain(format!("{bullet} Working ({seconds}s • esc to interrupt)")));
            if activity.command.is_some() && !context_left {
                rows.push(Row::dim("  1 background terminal running · /ps to view"));
            }
        }
        ScreenStyle::Model | ScreenStyle::Full => {
            let terminal = " · 1 background terminal running · /ps to view · /stop to close";
            let terminal = if activity.command.is_some() { terminal } else { "" };
            rows.push(Row::plain(format!("{bullet} Working ({seconds}s • esc to interrupt){terminal}")));
        }
    }
    waiting(view, &mut rows);
    rows.iter_mut().for_each(|row| row.text = text::fit(&row.text, columns));
    rows
}

fn waiting(view: &View<'_>, rows: &mut Vec<Row>) {
    let style = view.dialect.screen();
    if !view.steers.is_empty() && style != (ScreenStyle::Boxed { context_left: false }) {
        rows.push(Row::default());
        rows.push(Row::plain(
            "• Messages to be submitted after next tool call (press esc to interrupt and send immediately)",
        ));
        rows.extend(view.steers.iter().map(|message| Row::dim(format!("  ↳ {}", text::one_line(message)))));
    }
    if view.queued.is_empty() {
        return;
    }
    match style {
        ScreenStyle::First | ScreenStyle::Boxed { .. } => {
            if style != ScreenStyle::First {
                rows.push(Row::default());
            }
            rows.extend(view.queued.iter().map(|message| Row::dim(format!(" ↳ {}", text::one_line(message)))));
            rows.push(Row::dim(if style == ScreenStyle::First { "   Alt+↑ edit" } else { "   alt + ↑ edit" }));
        }
        ScreenStyle::Model | ScreenStyle::Full => {
            rows.push(Row::default());
            rows.push(Row::plain("• Queued follow-up inputs"));
            rows.extend(view.queued.iter().map(|message| Row::dim(format!("  ↳ {}", text::one_line(message)))));
            rows.push(Row::dim("    shift+← edit last queued message"));
        }
    }
}

fn popup_rows(popup: &Popup, selected: usize) -> Vec<Row> {
    let mark = |index: usize| if index == selected { '›' } else { ' ' };
    let mut rows: Vec<Row> = match popup {
        Popup::Commands(entries) => entries
            .iter()
            .enumerate()
            .map(|(index, (name, help))| Row::plain(format!("{} /{name}  {help}", mark(index))))
            .collect(),
        Popup::Files(entries) => entries
            .iter()
            .enumerate()
            .map(|(index, name)| Row::plain(format!("{} {name}  ./  File", mark(index))))
            .collect(),
        Popup::Skills(entries) => entries
            .iter()
            .enumerate()
            .map(|(index, name)| Row::plain(format!("{} {name}  a simulated skill", mark(index))))
            .collect(),
    };
    match popup {
        Popup::Commands(_) => {}
        Popup::Files(_) => {
            rows.push(Row::default());
            rows.push(Row::dim("  enter/tab insert · esc close · ↑/↓ select · ←/→ filter"));
        }
        Popup::Skills(_) => {
            rows.push(Row::default());
            rows.push(Row::dim("  enter insert · esc close"));
        }
    }
    rows
}

/// The rows of the composer and the column of its cursor in the last one.
fn composed(view: &View<'_>, columns: usize) -> (Vec<Row>, usize) {
    let glyph = if view.dialect.screen() == ScreenStyle::First { '▌' } else { '›' };
    let written = view.composer.text();
    if written.is_empty() {
        let text = format!("{glyph} {}", view.dialect.placeholder());
        let dim_from = Some(glyph.len_utf8() + 1);
        return (vec![Row { text, dim_from }], 2);
    }
    let (glyph, written) = match written.strip_prefix('!') {
        Some(command) if view.composer.shell_mode() => ('!', command.trim_start()),
        _ => (glyph, written),
    };
    let mut rows = Vec::new();
    for line in written.split('\n') {
        rows.extend(wrap(&format!("  {}", line.replace('\t', "    ")), columns, "  ").into_iter().map(Row::plain));
    }
    if let Some(first) = rows.first_mut() {
        first.text = format!("{glyph} {}", first.text.get(2..).unwrap_or(""));
    }
    // Blanks at the end are not drawn, and the cursor stands behind them.
    let blanks = written.len() - written.trim_end_matches(' ').len();
    let column = rows.last().map_or(2, |row| row.text.chars().count().max(2)) + blanks;
    (rows, column)
}

fn status(view: &View<'_>, columns: usize) -> Vec<Row> {
    let home = short(view.cwd);
    let model = view.model;
    let left = 100_u64.saturating_sub(view.tokens * 100 / 258_400);
    if let Some(items) = view.status_items {
        let line =
            format!("  {}", items.iter().filter_map(|item| status_item(view, item)).collect::<Vec<_>>().join(" · "));
        let mut rows = vec![Row::dim(text::fit(&line, columns))];
        if view.dialect.screen() == ScreenStyle::Full {
            rows.push(hints(view, columns));
        }
        return rows;
    }
    match view.dialect.screen() {
        ScreenStyle::First => {
            let used = if view.tokens == 0 {
                String::new()
            } else {
                format!("   {} tokens used   {left}% context left", view.tokens)
            };
            vec![Row::dim(format!(" ⏎ send   Ctrl+J newline   Ctrl+T transcript   Ctrl+C quit{used}"))]
        }
        ScreenStyle::Boxed { context_left: true } => {
            vec![Row::dim(format!("  {left}% context left · ? for shortcuts"))]
        }
        ScreenStyle::Boxed { context_left: false } => {
            let hint = if view.composer.text().is_empty() { "  ? for shortcuts" } else { "" };
            vec![Row::dim(padded(hint, &format!("{left}% context left"), columns))]
        }
        ScreenStyle::Model => vec![Row::dim(text::fit(&format!("  {model} default · {home}"), columns))],
        ScreenStyle::Full => {
            let name = view.name.map_or(String::new(), |name| format!(" · {name}"));
            let line = format!("  {} default · {home}{name}", model_title(model));
            vec![Row::dim(text::fit(&line, columns)), hints(view, columns)]
        }
    }
}

fn hints(view: &View<'_>, columns: usize) -> Row {
    let composer = view.composer;
    let left = match (composer.text().is_empty(), composer.esc_hint()) {
        (true, true) => "  esc again to edit previous message",
        (true, false) => "  ← for agents · ? for shortcuts",
        (false, _) => "",
    };
    Row::dim(padded(left, if composer.shell_mode() { "Shell mode" } else { "" }, columns))
}

fn status_item(view: &View<'_>, item: &str) -> Option<String> {
    Some(match item {
        "run-state" => run_state(view.activity.is_some()).to_owned(),
        "session-id" | "thread-id" => view.thread.to_string(),
        "model" | "model-name" => view.model.to_owned(),
        "current-dir" | "project" => short(view.cwd),
        _ => return None,
    })
}

/// The run state as status line and title say it.
#[must_use]
pub fn run_state(busy: bool) -> &'static str {
    if busy { "Working" } else { "Ready" }
}

fn header(view: &View<'_>, columns: usize) -> Vec<Row> {
    let version = view.dialect.version();
    let home = short(view.cwd);
    let lines: Vec<String> = match view.dialect.screen() {
        ScreenStyle::First => vec![
            String::new(),
            format!(">_ You are using OpenAI Codex in {home}"),
            String::new(),
            " To get started, describe a task or try one of these commands:".to_owned(),
            String::new(),
            " /init - create an AGENTS.md file with instructions for Codex".to_owned(),
            " /status - show current session configuration and token usage".to_owned(),
        ],
        ScreenStyle::Boxed { .. } | ScreenStyle::Model => {
            let inside = [
                format!(">_ OpenAI Codex (v{version})"),
                String::new(),
                format!("model:     {}   /model to change", view.model),
                format!("directory: {home}"),
            ];
            let width =
                inside.iter().map(|line| line.chars().count()).max().unwrap_or(0).min(columns.saturating_sub(4));
            let mut lines = vec![format!("╭{}╮", "─".repeat(width + 2))];
            lines.extend(inside.iter().map(|line| format!("│ {:width$} │", text::fit(line, width))));
            lines.push(format!("╰{}╯", "─".repeat(width + 2)));
            lines
        }
        ScreenStyle::Full => vec![String::new(), format!("  >_ OpenAI Codex (v{version})"), format!("     {home}")],
    };
    lines.into_iter().map(|line| Row::plain(text::fit(&line, columns))).collect()
}

/// A directory with the home directory as `~`.
fn short(path: &Path) -> String {
    let shown = path.to_string_lossy();
    match std::env::var("HOME").ok().and_then(|home| shown.strip_prefix(home.as_str()).map(str::to_owned)) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("~{rest}"),
        _ => shown.into_owned(),
    }
}

/// `gpt-6.1-sol` as `GPT-6.1-Sol`.
fn model_title(model: &str) -> String {
    let mut words = Vec::new();
    for word in model.split('-') {
        let mut chars = word.chars();
        words.push(match (word, chars.next()) {
            ("gpt", _) => "GPT".to_owned(),
            (_, Some(first)) => first.to_uppercase().chain(chars).collect(),
            (_, None) => String::new(),
        });
    }
    words.join("-")
}
