//! Drawing: each screen is a pure function of the state. Nothing here changes anything.

pub mod delivery;
pub mod dispatch;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod fleet;
mod form;
pub mod inbox;
pub mod layers;
mod nudge;
pub mod palette;
mod pane;
pub mod preview;
mod receipts;
pub mod talk;
pub mod task;
pub mod usage;

use ratatui::{
    Frame,
    layout::{Rect, Size},
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{
    acts::{self, Deed},
    app::{App, BoardState, Look, Screen, count},
    form::{Subject, is_offered},
    keymap::{Binding, Intent},
    layer::Layer,
    look,
    message::Failure,
    theme::{Glyphs, Part},
    wrap::{cut, wrap},
};
use crate::{
    base::{Timestamp, text::age},
    model::{board::Attention, deliveries::CommandRow, delivery::Phase, state::Condition},
};

/// Smaller than this nothing can be shown.
const SMALLEST: Size = Size { width: 30, height: 8 };

/// Whether nothing but that can be shown.
#[must_use]
pub fn is_too_small(size: Size) -> bool {
    size.width < SMALLEST.width || size.height < SMALLEST.height
}

/// The lines of the screen.
pub(super) struct Frames {
    header: Rect,
    pub(super) body: Rect,
    banner: Rect,
    footer: Rect,
}

/// Divides the terminal.
pub(super) fn frames(size: Size) -> Frames {
    let line = |y: u16| Rect::new(0, y, size.width, 1.min(size.height.saturating_sub(y)));
    Frames {
        header: line(0),
        body: Rect::new(0, 1, size.width, size.height.saturating_sub(3)),
        banner: line(size.height.saturating_sub(2)),
        footer: line(size.height.saturating_sub(1)),
    }
}

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let size = area.as_size();
    // The terminal has shrunk or grown this moment and the message is under way. What is laid out for the old size
    // could lie outside.
    if size != app.size || area.is_empty() {
        return;
    }
    if is_too_small(size) {
        let text = format!("too small: {}x{}, needs {}x{}", size.width, size.height, SMALLEST.width, SMALLEST.height);
        put(frame, area, 0, Line::raw(cut(&text, area.width.into(), app.settings.glyphs)));
        return;
    }
    let frames = frames(size);
    put(frame, frames.header, 0, header(app));
    match &app.board {
        _ if app.screen == Screen::Doctor => doctor::draw(app, frame),
        BoardState::Loading => paragraphs(app, frame, frames.body, &[reading_the_ledger(app)]),
        BoardState::Failed(failure) => failed(app, frame, frames.body, failure),
        BoardState::Missing(failure) => first_start(app, frame, frames.body, Some(failure)),
        BoardState::Ready(board) if board.sessions.is_empty() && board.tasks.is_empty() => {
            first_start(app, frame, frames.body, None);
        }
        BoardState::Ready(_) => match app.screen {
            Screen::Fleet => fleet::draw(app, frame),
            Screen::Task => task::draw(app, frame, frames.body),
            Screen::Events => events::draw(app, frame, frames.body),
            Screen::Inbox => inbox::draw(app, frame),
            Screen::Dispatch => dispatch::draw(app, frame),
            // Drawn whatever is known of the board.
            Screen::Doctor => {}
        },
    }
    put(frame, frames.banner, 0, banner(app));
    put(frame, frames.footer, 0, footer(app));
    if let Some(layer) = app.layers.last() {
        match layer {
            Layer::Input(input) => layers::input(app, frame, frames.footer, frames.banner, input),
            Layer::Nudge(nudge) => nudge::draw(app, frame, nudge),
            Layer::Form(form) => form::draw(app, frame, form),
            Layer::Palette(palette) => palette::draw(app, frame, palette),
            Layer::Receipts(selected) => receipts::draw(app, frame, *selected),
            Layer::Help { .. } | Layer::Reader(_) | Layer::Confirm { .. } | Layer::Answer(_) | Layer::Snooze(_) => {
                layers::draw(app, frame, layer);
            }
        }
    }
}

/// Puts a line into the `index`th row of `area`.
pub(super) fn put(frame: &mut Frame<'_>, area: Rect, index: usize, line: Line<'_>) {
    if let Ok(index) = u16::try_from(index)
        && index < area.height
    {
        frame.render_widget(line, Rect::new(area.x, area.y + index, area.width, 1));
    }
}

/// A line in one style.
pub(super) fn styled(app: &App, part: Part, text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), app.settings.theme.style(part))
}

/// A piece in one style.
pub(super) fn span(app: &App, part: Part, text: impl Into<String>) -> Span<'static> {
    Span::styled(text.into(), app.settings.theme.style(part))
}

/// Marks a row as selected.
pub(super) fn mark(app: &App, frame: &mut Frame<'_>, row: Rect, focused: bool) {
    let part = if focused { Part::Selected } else { Part::SelectedAway };
    frame.buffer_mut().set_style(row, app.settings.theme.style(part));
}

/// Where a list and the pane beside it are: below 50 columns only one of them, from 100 on side by side.
pub(super) fn sides(body: Rect, detail: bool) -> (Rect, Rect) {
    let Rect { x, y, width, height } = body;
    match width {
        0..50 if detail => (Rect::default(), body),
        0..50 => (body, Rect::default()),
        50..100 => {
            let list = height / 2;
            (Rect::new(x, y, width, list), Rect::new(x, y + list, width, height - list))
        }
        _ => {
            let split = width / 2;
            (Rect::new(x, y, split, height), Rect::new(x + split + 1, y, width - split - 1, height))
        }
    }
}

/// The selected command of a screen that shows commands.
#[must_use]
pub fn selected_command(app: &App) -> Option<&CommandRow> {
    match app.screen {
        Screen::Inbox => inbox::selected_command(app),
        Screen::Dispatch => dispatch::selected_command(app),
        Screen::Fleet | Screen::Task | Screen::Events | Screen::Doctor => None,
    }
}

/// The line between two panes.
pub(super) fn divider(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let sign = if app.settings.glyphs.is_ascii() { "|" } else { "│" };
    let style = app.settings.theme.style(Part::Border);
    for y in area.y..area.bottom() {
        frame.buffer_mut().set_string(area.x, y, sign, style);
    }
}

/// The heading of a pane.
pub(super) fn heading(app: &App, text: &str, focused: bool, width: u16) -> Line<'static> {
    let part = if focused { Part::BorderFocus } else { Part::Border };
    let rule = if app.settings.glyphs.is_ascii() { "-" } else { "─" };
    let text = cut(text, usize::from(width).saturating_sub(4), app.settings.glyphs);
    let rest = usize::from(width).saturating_sub(text.width() + 4);
    let title = if focused { app.settings.theme.style(part).patch(bold(app)) } else { bold(app) };
    Line::from(vec![
        span(app, part, format!("{rule} ")),
        Span::styled(text, title),
        span(app, part, format!(" {}", rule.repeat(rest + 1))),
    ])
}

fn bold(app: &App) -> Style {
    app.settings.theme.style(Part::Title)
}

/// How long ago, or `?`.
pub(super) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "?".to_owned(), |at| age(at.age_seconds(now)))
}

/// How much the header says.
#[derive(Debug, Clone, Copy)]
struct Words {
    /// The program's name.
    program: bool,
    /// The names of all screens; else only of the one that is shown.
    screens: bool,
    /// Words beside the counts.
    counts: bool,
}

/// The header with as many words as fit.
fn header(app: &App) -> Line<'static> {
    let steps = [(true, true, true), (false, true, true), (false, true, false), (false, false, true)];
    let width = usize::from(app.size.width);
    let lines = steps.map(|(program, screens, counts)| header_with(app, Words { program, screens, counts }));
    let least = header_with(app, Words { program: false, screens: false, counts: false });
    lines.into_iter().find(|line| line.width() <= width).unwrap_or(least)
}

fn header_with(app: &App, words: Words) -> Line<'static> {
    let mut spans = Vec::new();
    if words.program {
        spans.push(span(app, Part::Title, "conveyor "));
    }
    for screen in Screen::ALL {
        let name = match screen {
            Screen::Fleet => "Fleet",
            Screen::Task => "Task",
            Screen::Events => "Events",
            Screen::Inbox => "Inbox",
            Screen::Dispatch => "Dispatch",
            Screen::Doctor => "Doctor",
        };
        let part = if *screen == app.screen { Part::Selected } else { Part::Dim };
        let is_named = words.screens || *screen == app.screen;
        let digit = screen.digit();
        if words.program {
            spans.push(Span::raw(" "));
        }
        spans.push(span(app, part, if is_named { format!(" {digit} {name} ") } else { format!(" {digit} ") }));
    }
    if let Some(board) = app.board() {
        let needing = count(board, Attention::NeedsYou, app.now);
        spans.push(Span::raw("  "));
        spans.push(if needing > 0 && !words.counts {
            span(app, Part::NeedsYou, format!("! {needing}"))
        } else if needing > 0 {
            span(app, Part::NeedsYou, format!("! {needing} need{} you", if needing == 1 { "s" } else { "" }))
        } else {
            let aside = board.sessions.iter().filter(|row| row.attention == Attention::NeedsYou).count();
            let aside = if aside > 0 { format!(" ({aside} snoozed)") } else { String::new() };
            let nobody = if words.counts { "nobody needs you" } else { "! 0" };
            span(app, Part::Dim, format!("{nobody}{aside}"))
        });
        let failed = count(board, Attention::Failed, app.now);
        if failed > 0 {
            let sign = app.settings.glyphs.attention(Attention::Failed);
            let word = if words.counts { " failed" } else { "" };
            spans.push(Span::raw("  "));
            spans.push(span(app, Part::Failed, format!("{sign} {failed}{word}")));
        }
    }
    Line::from(spans)
}

/// The health line: who delivers, where the ledger is, what is in it, whether ingest keeps up, when something changed.
fn banner(app: &App) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let width = usize::from(app.size.width);
    let dispatch = delivery::summary(app);
    // That nothing is delivered is said beside everything else.
    let beside = |first: Option<(Part, &str)>, part: Part, text: &str| {
        let mut spans = Vec::new();
        if let Some((part, text)) = first {
            spans.extend([Span::raw(" "), span(app, part, cut(text, width.saturating_sub(1), glyphs))]);
        }
        let used: usize = spans.iter().map(Span::width).sum();
        let before = if used > 0 { glyphs.separator() } else { " " };
        let room = width.saturating_sub(used + before.width());
        if room > 0 {
            spans.push(span(app, part, format!("{before}{}", cut(text, room, glyphs))));
        }
        Line::from(spans)
    };
    let alarm = dispatch.as_ref().and_then(|summary| Some((summary.part, summary.alarm.as_deref()?)));
    // What failed stands there until somebody has looked; beside an alarm, which nothing hides.
    if let Some(failed) = failed_commands(app) {
        let text = app
            .notice
            .as_ref()
            .map_or_else(|| failed.clone(), |notice| format!("{failed}{}{}", glyphs.separator(), notice.text));
        return beside(alarm, Part::Failed, &text);
    }
    if let Some(notice) = &app.notice {
        return beside(alarm, notice.part, &notice.text);
    }
    let Some(board) = app.board() else { return Line::default() };
    if let Some(seconds) = app.silent_seconds() {
        let text = format!(" the ledger has not answered for {}; what is shown is older than that", age(seconds));
        return styled(app, Part::Warning, cut(&text, width, glyphs));
    }
    if let Some((task, trouble)) = app.troubles.first() {
        let more = if app.troubles.len() > 1 { format!(" (+{})", app.troubles.len() - 1) } else { String::new() };
        return beside(alarm, Part::Warning, &format!("{task}{more}: {trouble}"));
    }
    let failing = board.sessions.iter().filter(|row| row.ingest_error.is_some()).count();
    let behind: u64 = board.sessions.iter().map(|row| row.pending_bytes).sum();
    let ingest = match (failing, behind) {
        (0, 0) => "ingest ok".to_owned(),
        (0, bytes) => format!("ingest ok, {bytes} bytes of unfinished lines"),
        (failing, _) => format!("ingest fails for {failing}"),
    };
    let change = match app.changed_at {
        Some(at) => format!("last change {} ago", age(at.age_seconds(app.now))),
        None => "last change unknown".to_owned(),
    };
    let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let counts = format!("{}, {}", counted(board.sessions.len(), "session"), counted(board.tasks.len(), "task"));
    let running = match app.receipts.running() {
        0 => None,
        1 => Some("1 command runs (L)".to_owned()),
        count => Some(format!("{count} commands run (L)")),
    };
    let tail = running.into_iter().chain([change, ingest, counts]).collect::<Vec<_>>().join(glyphs.separator());
    // The ledger's path is the longest fact and gives way first, from its front.
    let taken = dispatch.as_ref().map_or(0, |summary| summary.text.width() + glyphs.separator().width());
    let room = width.saturating_sub(taken + tail.width() + glyphs.separator().width() + 1);
    let ledger = shorten_front(&board.ledger, room, glyphs);
    let text = if ledger.is_empty() { tail } else { format!("{tail}{}{ledger}", glyphs.separator()) };
    let part = if failing > 0 { Part::Warning } else { Part::Dim };
    beside(dispatch.as_ref().map(|summary| (summary.part, summary.text.as_str())), part, &text)
}

/// Submitted commands that came to nothing and were not looked at.
fn failed_commands(app: &App) -> Option<String> {
    match app.receipts.unseen_failures() {
        0 => None,
        1 => Some("a command failed: L shows it".to_owned()),
        count => Some(format!("{count} commands failed: L shows them")),
    }
}

/// The end of `text`, since a path's end tells more; nothing when there is no room for a useful piece.
fn shorten_front(text: &str, width: usize, glyphs: Glyphs) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if width < 12 {
        return String::new();
    }
    let mut kept: Vec<char> = Vec::new();
    let mut used = 1;
    for c in text.chars().rev() {
        used += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push(glyphs.cut().chars().next().unwrap_or('~'));
    kept.iter().rev().collect()
}

/// The keys that work now, as many as fit; the one for help always does.
fn footer(app: &App) -> Line<'static> {
    let width = |row: &Binding| row.keys.first().map_or(0, |key| key.name().width()) + row.short.width() + 3;
    let places = app.places();
    let keymap = &app.settings.keymap;
    let rows: Vec<&Binding> = keymap
        .rows(&places[..places.len() - 1])
        // A meaning that was taken off the keyboard has no key to be shown.
        .filter(|row| !row.keys.is_empty() && (!app.layers.is_empty() || works(app, row.intent)))
        .collect();
    let help = rows.iter().position(|row| row.intent == Intent::Help);
    let mut room = usize::from(app.size.width).saturating_sub(help.map_or(0, |index| width(rows[index])));
    let mut spans = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if help != Some(index) {
            if room < width(row) {
                match help {
                    Some(help) if help > index => spans.extend(key_words(app, rows[help])),
                    _ => {}
                }
                break;
            }
            room -= width(row);
        }
        spans.extend(key_words(app, row));
    }
    Line::from(spans)
}

fn key_words(app: &App, row: &Binding) -> [Span<'static>; 3] {
    let key = row.keys.first().map_or_else(String::new, |key| key.name());
    [Span::raw(" "), span(app, Part::Key, key), span(app, Part::Dim, format!(" {} ", row.short))]
}

/// Whether a key would do anything on the screen now, whatever lies over it.
#[must_use]
pub fn works(app: &App, intent: Intent) -> bool {
    match intent {
        Intent::Explain | Intent::Diff | Intent::Events | Intent::Kinds | Intent::Follow | Intent::Jump => {
            app.session().is_some()
        }
        Intent::Unfold => look::can_unfold(app),
        Intent::NextEntry | Intent::PreviousEntry => look::can_choose(app),
        Intent::PanLeft | Intent::PanRight => look::can_pan(app),
        Intent::Attach | Intent::RawPane => app.session().is_some_and(|session| session.tmux_pane_id.is_some()),
        Intent::Cycle => app.task_name().is_some(),
        Intent::Nudge => super::messages::addressees(app).is_ok(),
        Intent::Choose => app.session().is_some(),
        Intent::NewTask => is_offered(app, Subject::CreateTask),
        Intent::StartWorker => is_offered(app, Subject::StartWorker),
        Intent::Bind => is_offered(app, Subject::Bind),
        Intent::Compact => is_offered(app, Subject::Compact),
        Intent::Budget => is_offered(app, Subject::Budget),
        Intent::Resume => is_offered(app, Subject::Resume),
        Intent::Stop => acts::question(app, Deed::Stop).is_ok(),
        Intent::Unbind => acts::question(app, Deed::Unbind).is_ok(),
        Intent::Receipts => !app.receipts.list().is_empty(),
        Intent::Snooze | Intent::Pin => fleet::selected(app).is_some(),
        Intent::Unread => app.session().is_some_and(|row| !row.marks.unread),
        Intent::Gone => fleet::gone(app) > 0,
        Intent::Interrupt => super::answers::is_in(app, Condition::Busy),
        Intent::Answer => super::answers::is_in(app, Condition::Blocked),
        Intent::Retry => {
            selected_command(app).is_some_and(|row| row.phase.is_dead_letter() || row.phase == Phase::Ambiguous)
        }
        Intent::TakeBack => {
            selected_command(app).is_some_and(|row| matches!(row.phase, Phase::Queued | Phase::Ambiguous))
        }
        Intent::Arrived => selected_command(app).is_some_and(|row| row.phase == Phase::Ambiguous),
        Intent::Inbox | Intent::Dispatch | Intent::Pause => app.board().is_some(),
        Intent::Doctor => true,
        Intent::Adopt => is_offered(app, Subject::Adopt),
        Intent::Open => match app.screen {
            Screen::Fleet => app.fleet.list.id.is_some() && app.fleet.look != Look::Full,
            Screen::Task | Screen::Inbox => app.session().is_some(),
            Screen::Dispatch => app.dispatch.view.list.id.is_some() && !app.dispatch.view.detail,
            Screen::Doctor => doctor::repair(app).is_some(),
            Screen::Events => app.events.selected_row().is_some(),
        },
        Intent::NextNeed | Intent::PreviousNeed => {
            app.board().is_some_and(|board| board.sessions.iter().any(|row| row.wants_look(app.now)))
        }
        Intent::Task => app.board().is_some_and(|board| !board.tasks.is_empty()),
        Intent::Back => match app.screen {
            Screen::Fleet => {
                app.fleet.look != Look::List || !app.filter_text.is_empty() || !app.fleet.chosen.is_empty()
            }
            Screen::Task | Screen::Events | Screen::Inbox | Screen::Dispatch | Screen::Doctor => true,
        },
        Intent::Filter => app.board().is_some() && app.screen != Screen::Doctor,
        Intent::Copy | Intent::Mouse | Intent::NextPane | Intent::Fleet => app.board().is_some(),
        Intent::Down
        | Intent::Up
        | Intent::Top
        | Intent::Bottom
        | Intent::PageDown
        | Intent::PageUp
        | Intent::Accept
        | Intent::Approve
        | Intent::Decline
        | Intent::CancelTurn
        | Intent::Erase
        | Intent::EraseAll
        | Intent::EraseNext
        | Intent::EraseWord
        | Intent::LineBreak
        | Intent::Left
        | Intent::Right
        | Intent::WordLeft
        | Intent::WordRight
        | Intent::LineStart
        | Intent::LineEnd
        | Intent::NextField
        | Intent::PreviousField
        | Intent::Submit
        | Intent::Toggle
        | Intent::StartOver
        | Intent::Palette
        | Intent::Help
        | Intent::Reload
        | Intent::Ringing
        | Intent::Repaint
        | Intent::Suspend
        | Intent::Quit
        | Intent::Yes
        | Intent::No => true,
    }
}

/// Paragraphs, wrapped, from the top of `area`.
fn paragraphs(app: &App, frame: &mut Frame<'_>, area: Rect, text: &[(Part, String)]) {
    let width = usize::from(area.width).saturating_sub(4);
    let lines = text.iter().flat_map(|(part, text)| wrap(text, width, 50).into_iter().map(move |line| (*part, line)));
    for (index, (part, line)) in lines.enumerate() {
        put(frame, area, index + 1, styled(app, part, format!("  {line}")));
    }
}

fn reading_the_ledger(app: &App) -> (Part, String) {
    match app.silent_seconds() {
        Some(seconds) => {
            let text = format!(
                "reading the ledger; no answer for {}: another program may hold it locked, or its disk is slow",
                age(seconds)
            );
            (Part::Warning, text)
        }
        None => (Part::Dim, "reading the ledger".to_owned()),
    }
}

fn failed(app: &App, frame: &mut Frame<'_>, area: Rect, failure: &Failure) {
    let mut text = vec![
        (Part::Error, "the ledger cannot be shown".to_owned()),
        (Part::Text, " ".to_owned()),
        (Part::Text, failure.message.clone()),
    ];
    text.extend(failure.hint.iter().map(|hint| (Part::Text, format!("hint: {hint}"))));
    text.push((Part::Text, " ".to_owned()));
    text.push((Part::Dim, "tried again every second; nothing is shown that may be wrong".to_owned()));
    paragraphs(app, frame, area, &text);
}

fn first_start(app: &App, frame: &mut Frame<'_>, area: Rect, missing: Option<&Failure>) {
    let program = app.settings.prefix.first().map_or("conveyor", String::as_str);
    let what = match missing {
        Some(failure) => failure.message.clone(),
        None => "the ledger is empty: no session is registered".to_owned(),
    };
    let mut text = vec![
        (Part::Title, "Nothing to watch yet".to_owned()),
        (Part::Dim, what),
        (Part::Text, " ".to_owned()),
        (Part::Text, "See it work, without an account or network:".to_owned()),
        (Part::Key, format!("    {program} demo")),
        (Part::Text, "Start a Codex worker in this folder:".to_owned()),
        (Part::Key, format!("    {program} start-worker --name w1 --cwd . --task \"...\"")),
        (Part::Text, "Watch the Codex sessions that run here already:".to_owned()),
        (Part::Key, format!("    {}, or {program} discover --adopt", app.key(Intent::Adopt))),
        (Part::Text, " ".to_owned()),
    ];
    text.extend(doctor::in_brief(app));
    text.push((Part::Dim, "This screen shows a session as soon as it is there.".to_owned()));
    paragraphs(app, frame, area, &text);
}
