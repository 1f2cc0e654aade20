//! The lines around every screen: the header with the screens, the health line, and the keys that work now.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Clear,
};
use unicode_width::UnicodeWidthStr;

use super::{delivery, doctor, put, span, styled};
use crate::{
    base::text::{age, counted},
    model::board::Attention,
    tui::{
        app::{App, Screen, count},
        form,
        keymap::{Binding, Intent},
        layer::Layer,
        messages, operator,
        theme::{Glyphs, Part},
        works::works,
        wrap::{cut, wrap},
    },
};

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
pub(super) fn header(app: &App) -> Line<'static> {
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
        let key = app.key(screen.intent());
        if words.program {
            spans.push(Span::raw(" "));
        }
        spans.push(span(app, part, if is_named { format!(" {key} {name} ") } else { format!(" {key} ") }));
    }
    if let Some(board) = app.board() {
        let needing = count(board, Attention::NeedsYou, app.now) + operator::questions(app).len();
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
pub(super) fn banner(app: &App) -> Line<'static> {
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
    let counts = format!("{}, {}", counted(board.sessions.len(), "session"), counted(board.tasks.len(), "task"));
    let running = match app.receipts.running() {
        0 => None,
        1 => Some(format!("1 command runs ({})", app.key(Intent::Receipts))),
        count => Some(format!("{count} commands run ({})", app.key(Intent::Receipts))),
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

/// Lines below every box: banner and footer.
pub(super) const BELOW: u16 = 2;

/// The most lines of a notice.
const NOTICE_LINES: usize = 4;

/// Lines that a box keeps beside a long notice, on a low screen.
const BOX_LINES: u16 = 8;

/// The lines of a notice that the banner would cut: it often says what to do, so it takes the lines that it needs, from
/// the banner upwards, until the next key.
fn long_notice(app: &App) -> Vec<String> {
    let Some(notice) = app.notice.as_ref() else { return Vec::new() };
    if banner(app).spans.iter().any(|span| span.content.ends_with(notice.text.as_str())) {
        return Vec::new();
    }
    let body = app.size.height.saturating_sub(BELOW + 1);
    let room = if app.layers.is_empty() { body } else { body.saturating_sub(BOX_LINES) };
    let own = usize::from(!has_more(app));
    wrap(&notice.text, usize::from(app.size.width).saturating_sub(1), NOTICE_LINES.min(usize::from(room) + own))
}

/// Whether an alarm or what failed stands in the banner beside a notice: a long one leaves it there.
fn has_more(app: &App) -> bool {
    failed_commands(app).is_some() || delivery::summary(app).is_some_and(|summary| summary.alarm.is_some())
}

/// Whether the banner says something that must be seen now.
pub(super) fn has_news(app: &App) -> bool {
    app.notice.is_some() || has_more(app)
}

/// How many lines a notice takes above the banner.
pub(super) fn above_banner(app: &App) -> u16 {
    let lines = long_notice(app).len();
    u16::try_from(if has_more(app) { lines } else { lines.saturating_sub(1) }).unwrap_or(0)
}

/// Draws the banner, and what a notice takes above it.
pub(super) fn draw_banner(app: &App, frame: &mut Frame<'_>, area: Rect) {
    frame.render_widget(Clear, area);
    put(frame, area, 0, banner(app));
    let Some(notice) = app.notice.as_ref() else { return };
    let lines = long_notice(app);
    let above = above_banner(app).min(area.y);
    let rows = u16::try_from(lines.len()).unwrap_or(1);
    let area = Rect { y: area.y - above, height: rows, ..area };
    frame.render_widget(Clear, area);
    for (index, text) in lines.into_iter().enumerate() {
        put(frame, area, index, styled(app, notice.part, format!(" {text}")));
    }
}

/// Submitted commands that came to nothing and were not looked at.
fn failed_commands(app: &App) -> Option<String> {
    let (text, does) = match app.receipts.unseen_failures(app.now) {
        0 => return None,
        1 => ("a command failed".to_owned(), "shows it"),
        count => (format!("{count} commands failed"), "shows them"),
    };
    let first = match app.layers.last() {
        None => "",
        // They are being looked at.
        Some(Layer::Receipts(_)) => return Some(text),
        // What lies over the screen has other keys.
        Some(_) => "close this first, then ",
    };
    Some(app.key_that(Intent::Receipts, does).map_or_else(|| text.clone(), |key| format!("{text}: {first}{key}")))
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
pub(super) fn footer(app: &App) -> Line<'static> {
    let places = app.places();
    let keymap = &app.settings.keymap;
    let mut rows: Vec<&Binding> = keymap
        .rows(&places[..places.len() - 1])
        // A meaning that was taken off the keyboard has no key to be shown.
        .filter(|row| !row.keys.is_empty() && is_offered(app, row.intent))
        .collect();
    let first = told_first(app);
    rows.sort_by_key(|row| first.iter().position(|intent| *intent == row.intent).unwrap_or(first.len()));
    let mut entries: Vec<Entry> = Vec::new();
    for row in rows {
        let (key, word) = (row.keys.first().map_or_else(String::new, |key| key.name()), word(app, row));
        // Two keys that do the same stand beside one word.
        let can_share = |intent| matches!(intent, Intent::Accept | Intent::NextField | Intent::Submit | Intent::Back);
        let same = entries.iter_mut().find(|entry| entry.word == word && can_share(entry.intent));
        match same.filter(|_| can_share(row.intent)) {
            Some(entry) => entry.key = format!("{}/{key}", entry.key),
            None => entries.push(Entry { key, word, intent: row.intent }),
        }
    }
    let help = entries.iter().position(|entry| entry.intent == Intent::Help);
    let mut room = usize::from(app.size.width).saturating_sub(help.map_or(0, |index| entries[index].width()));
    let mut spans = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if help != Some(index) {
            if room < entry.width() {
                match help {
                    Some(help) if help > index => spans.extend(entries[help].spans(app)),
                    _ => {}
                }
                break;
            }
            room -= entry.width();
        }
        spans.extend(entry.spans(app));
    }
    Line::from(spans)
}

/// Keys in the footer, and what they do in a word.
struct Entry {
    key: String,
    word: &'static str,
    intent: Intent,
}

impl Entry {
    /// What is said behind the key; nothing when that is its own name.
    fn says(&self) -> String {
        if self.key.eq_ignore_ascii_case(self.word) { " ".to_owned() } else { format!(" {} ", self.word) }
    }

    fn width(&self) -> usize {
        1 + self.key.width() + self.says().width()
    }

    fn spans(&self, app: &App) -> [Span<'static>; 3] {
        [Span::raw(" "), span(app, Part::Key, self.key.clone()), span(app, Part::Dim, self.says())]
    }
}

/// The keys that stand first: those that an empty place tells of, and those about the selected message.
fn told_first(app: &App) -> &'static [Intent] {
    match app.screen {
        _ if !app.layers.is_empty() => &[],
        Screen::Task => match app.selected_task() {
            None => &[Intent::NewTask, Intent::Bind],
            Some(row) if row.task.state.is_open() && form::active(row).is_none() => &[Intent::Bind],
            Some(_) => &[],
        },
        // What is decided about the selected message is not pushed out by what every screen has.
        Screen::Inbox | Screen::Dispatch => &[Intent::Settle, Intent::Retry, Intent::TakeBack, Intent::Arrived],
        Screen::Fleet if app.fleet.list.id.is_none() => {
            &[Intent::Adopt, Intent::StartWorker, Intent::NewTask, Intent::Bind]
        }
        // What brings a session back that has ended is what is looked for then.
        Screen::Fleet if app.session().is_some_and(form::may_be_resumed) => &[Intent::Resume],
        _ => &[],
    }
}

/// Whether a key does something now. What lies over a screen has keys that work as long as it lies there; those that are
/// about what it shows work when that takes them.
fn is_offered(app: &App, intent: Intent) -> bool {
    match (app.layers.last(), intent) {
        (Some(Layer::Form(form)), Intent::Toggle) => form.toggle_word().is_some(),
        (Some(Layer::Form(form)), Intent::LineBreak) => form.takes_lines(),
        (
            None | Some(_),
            Intent::Approve
            | Intent::Decline
            | Intent::CancelTurn
            | Intent::Attach
            | Intent::AddCriterion
            | Intent::AcceptCriterion
            | Intent::SatisfyCriterion
            | Intent::DeferCriterion
            | Intent::RejectCriterion
            | Intent::StopTask
            | Intent::EndSaid
            | Intent::Judge
            | Intent::HaveJudged
            | Intent::Propose
            | Intent::WorkerAck
            | Intent::ManagerAck
            | Intent::Handoff
            | Intent::Decide
            | Intent::Terms
            | Intent::Contract
            | Intent::Yes
            | Intent::Pause
            | Intent::WithWorker
            | Intent::WithManager,
        )
        | (None, _) => works(app, intent),
        (Some(_), _) => true,
    }
}

/// What a key does now, in a word: in a form that is a matter of the field with the keyboard.
fn word(app: &App, row: &Binding) -> &'static str {
    if row.intent == Intent::Pause && messages::is_paused(app) {
        return "deliver again";
    }
    if app.layers.is_empty() && app.screen == Screen::Doctor && row.intent == Intent::Open {
        return doctor::mending_word(app).unwrap_or(row.short);
    }
    let form = match app.layers.last() {
        Some(Layer::Form(form)) => form,
        Some(Layer::Nudge(nudge)) if nudge.came_back && row.intent == Intent::Accept => return "read on",
        _ => return row.short,
    };
    match row.intent {
        Intent::Accept => form.accept_word(),
        Intent::Submit => form.subject.act(),
        Intent::Toggle => form.toggle_word().unwrap_or(row.short),
        _ => row.short,
    }
}
