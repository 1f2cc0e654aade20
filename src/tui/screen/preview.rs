//! A closer look at the selected session: its state in words, then its conversation or its pane.

use ratatui::{Frame, layout::Rect, text::Line};
use unicode_width::UnicodeWidthStr as _;

use super::{ago, criteria, fleet, heading, pane, put, span, styled, talk as talk_lines, task, usage};
use crate::{
    base::text::one_line,
    model::{
        board::{SessionRow, TaskRow},
        session::Registration,
        state::{Agreement, DEREGISTERED, Judgement},
    },
    tui::{
        app::{App, Look, Screen},
        keymap::Intent,
        talk::{self, Talk},
        theme::Part,
        views::Spot,
        works::works,
        wrap::{cut, wrap},
    },
};

/// A preview lower than this has room for the state and a few lines.
const LOW: u16 = 9;

/// In a preview lower than this, lines are dear.
const TALL: u16 = 20;

/// The most lines that sub-agents take there.
const FEW_AGENTS: usize = 2;

/// The most lines that they take elsewhere.
const MANY_AGENTS: usize = 6;

/// The most lines that the reason of a state takes.
const REASON_LINES: usize = 3;

/// Draws the preview.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let focused = app.fleet.look != Look::List;
    let Some(row) = app.session() else {
        match selected_task(app) {
            Some(task) => task_goal(app, frame, area, task, focused),
            None => put(frame, area, 0, heading(app, "nothing selected", focused, area.width)),
        }
        return;
    };
    session(app, frame, area, row, shows_pane(app, row), focused);
}

/// Whether the pane of the selected session is shown; one that is gone has none.
fn shows_pane(app: &App, row: &SessionRow) -> bool {
    app.fleet.raw && row.registration == Registration::Active
}

/// A session: its state in words, then its conversation or its pane.
pub(super) fn session(app: &App, frame: &mut Frame<'_>, area: Rect, row: &SessionRow, raw: bool, focused: bool) {
    let what = if raw { "pane" } else { "conversation" };
    let place = if raw { String::new() } else { reading_back(app, row, focused) };
    let title = format!("{} {}: {what}{place}", row.role, row.name);
    put(frame, area, 0, heading(app, &title, focused, area.width));
    for (index, line) in above(app, row, area).into_iter().enumerate() {
        put(frame, area, index + 1, line);
    }
    let text = text_area(app, row, area);
    let view = app.views.of(&row.id);
    if raw {
        pane::draw(app, frame, text, view.map(|view| &view.pane));
    } else {
        conversation(app, frame, text, row, view.map(|view| &view.talk));
    }
}

/// Said in the heading while older entries are read. The key is that of whoever has the keyboard.
fn reading_back(app: &App, row: &SessionRow, focused: bool) -> String {
    match app.views.of(&row.id) {
        Some(view) if !view.talk.follows() => {
            let to_end = app.key_that(Intent::Bottom, "goes to the end").filter(|_| focused);
            let to_end = to_end.map(|key| format!("; {key}"));
            format!(", further back{}", to_end.unwrap_or_default())
        }
        _ => String::new(),
    }
}

/// Where the sessions on screen are shown.
#[must_use]
pub fn spots(app: &App) -> Vec<Spot> {
    let shown = match app.screen {
        Screen::Fleet => {
            let area = fleet::areas(app).preview;
            app.session().map(|row| (row, area, shows_pane(app, row), true)).into_iter().collect()
        }
        Screen::Task => task::shown(app),
        Screen::Events | Screen::Inbox | Screen::Dispatch | Screen::Doctor => Vec::new(),
    };
    let spot = |(row, area, raw, has_keyboard): (&SessionRow, Rect, bool, bool)| {
        let text = text_area(app, row, area);
        let (width, height) = (text.width.into(), text.height.into());
        Spot { session: row.id.clone(), raw, width, height, area, has_keyboard }
    };
    shown.into_iter().map(spot).collect()
}

/// Where conversation or pane stand within the area of a session.
fn text_area(app: &App, row: &SessionRow, area: Rect) -> Rect {
    let used = above(app, row, area).len() + 1;
    let used = u16::try_from(used).unwrap_or(u16::MAX).min(area.height);
    let margin = 1.min(area.width);
    Rect::new(area.x + margin, area.y + used, area.width - margin, area.height - used)
}

/// What stands between the heading and the text: the state, how full context and limits are, the sub-agents.
fn above(app: &App, row: &SessionRow, area: Rect) -> Vec<Line<'static>> {
    let width = usize::from(area.width).saturating_sub(2);
    let reason_lines = if area.height < LOW { 1 } else { REASON_LINES };
    let mut lines: Vec<Line<'static>> = state_lines(app, row, usize::from(area.width), reason_lines)
        .into_iter()
        .map(|(part, line)| styled(app, part, format!(" {line}")))
        .collect();
    if area.height < LOW {
        lines.truncate(usize::from(area.height).saturating_sub(2).max(1));
        return lines;
    }
    if app.screen == Screen::Fleet {
        lines.extend(task_line(app, row, width));
    }
    let (part, gauge) = usage::gauge(app, row, width);
    lines.push(styled(app, part, format!(" {gauge}")));
    lines.extend(usage::tree(app, row, width, if area.height < TALL { FEW_AGENTS } else { MANY_AGENTS }));
    lines
}

/// What the session works on: the task, how its criteria stand, its goal.
fn task_line(app: &App, row: &SessionRow, width: usize) -> Option<Line<'static>> {
    let glyphs = app.settings.glyphs;
    let task = task_of(app, row)?;
    let head = format!("task {}{}", task.task.name, glyphs.separator());
    let goal = format!("{}{}", glyphs.separator(), one_line(&task.task.goal));
    let criteria = cut(&criteria::brief(&task.criteria), width.saturating_sub(head.width()), glyphs);
    let goal = cut(&goal, width.saturating_sub(head.width() + criteria.width()), glyphs);
    let head = cut(&head, width, glyphs);
    Some(Line::from(vec![
        span(app, Part::Title, format!(" {head}")),
        span(app, Part::Text, criteria),
        span(app, Part::Dim, goal),
    ]))
}

fn task_of<'a>(app: &'a App, row: &SessionRow) -> Option<&'a TaskRow> {
    let id = row.task_id.as_deref()?;
    app.board()?.tasks.iter().find(|task| task.task.id == id)
}

fn selected_task(app: &App) -> Option<&TaskRow> {
    let id = app.fleet.list.id.as_deref()?;
    app.board()?.tasks.iter().find(|row| row.task.id == id)
}

fn task_goal(app: &App, frame: &mut Frame<'_>, area: Rect, row: &TaskRow, focused: bool) {
    put(frame, area, 0, heading(app, &format!("task {}", row.task.name), focused, area.width));
    let (part, criteria) = criteria::line(&row.criteria);
    let mut text = vec![
        (Part::Text, row.task.goal.clone()),
        (Part::Text, " ".to_owned()),
        (part, format!("criteria: {criteria}")),
        (Part::Text, " ".to_owned()),
        (Part::Text, "Nobody works on it.".to_owned()),
    ];
    // The way there that works now.
    let ways = [
        (Intent::Bind, "binds a worker and a manager that are free"),
        (Intent::StartWorker, "starts a worker"),
        (Intent::Palette, "finds \"start a pair\": worker, manager and binding at once"),
    ];
    for (intent, does) in ways {
        text.extend(app.key_that(intent, does).filter(|_| works(app, intent)).map(|way| (Part::Key, way)));
    }
    let width = usize::from(area.width).saturating_sub(2);
    let lines = text.iter().flat_map(|(part, text)| wrap(text, width, 100).into_iter().map(move |line| (*part, line)));
    for (index, (part, line)) in lines.enumerate() {
        put(frame, area, index + 1, styled(app, part, format!(" {line}")));
    }
}

/// What the session does, how that is known, and how sure that is.
fn state_lines(app: &App, row: &SessionRow, width: usize, reason_lines: usize) -> Vec<(Part, String)> {
    let glyphs = app.settings.glyphs;
    let width = width.saturating_sub(2);
    let stale = fleet::is_stale(row, app.now);
    let reason = crate::base::text::one_line(&row.judgement.reason);
    let part = if stale { Part::Stale } else { Part::Text };
    let mut lines: Vec<_> = wrap(&reason, width, reason_lines).into_iter().map(|line| (part, line)).collect();
    lines.push((Part::Dim, provenance(app, &row.judgement, width)));
    if row.judgement.agreement == Agreement::Disagree {
        let words: Vec<String> =
            row.judgement.readings.iter().map(|reading| format!("{} {}", reading.source, reading.word())).collect();
        let words = words.join(", ");
        let whole = format!("{} sensors disagree: {words}", glyphs.disagree());
        let short = format!("{} {words}", glyphs.disagree());
        lines.push((Part::Warning, if whole.width() <= width { whole } else { short }));
    }
    lines.extend(row.ingest_error.iter().map(|error| (Part::Error, format!("rollout unreadable: {error}"))));
    lines.into_iter().map(|(part, line)| (part, cut(&crate::base::text::one_line(&line), width, glyphs))).collect()
}

/// The state, its source, rule and age; the rule, which `x` tells, gives way where there is no room.
fn provenance(app: &App, judgement: &Judgement, width: usize) -> String {
    let is_gone = judgement.rule == DEREGISTERED;
    let without = if is_gone { "on record" } else { "no sensor" };
    let source = judgement.source.map_or(without, |source| source.as_str());
    let since =
        judgement.since.map_or_else(|| "since unknown".to_owned(), |at| format!("since {}", ago(Some(at), app.now)));
    let separator = app.settings.glyphs.separator();
    let with = |known: &str| format!("{}{separator}{known}{separator}{since}", judgement.word());
    let whole = with(&format!("{source}: {}", judgement.rule));
    if whole.width() <= width && !is_gone { whole } else { with(source) }
}

fn conversation(app: &App, frame: &mut Frame<'_>, area: Rect, row: &SessionRow, talk: Option<&Talk>) {
    let say = |frame: &mut Frame<'_>, part: Part, text: &str| {
        for (index, line) in wrap(text, usize::from(area.width), 50).into_iter().enumerate() {
            put(frame, area, index, styled(app, part, line));
        }
    };
    let Some(talk) = talk.filter(|talk| talk.is_loaded() || talk.failure().is_some()) else {
        return say(frame, Part::Dim, "reading the conversation");
    };
    if let Some(failure) = talk.failure() {
        return say(frame, Part::Error, &failure.message);
    }
    if talk.is_empty() {
        let text = if row.judgement.awaiting_first_prompt {
            "Codex writes its record with the first prompt, and nobody has said anything yet"
        } else {
            "nothing was said yet"
        };
        return say(frame, Part::Dim, text);
    }
    let paint = app.paint(area.width.into());
    for (index, shown) in talk.rows(paint).into_iter().enumerate() {
        let line = match shown {
            talk::Row::Head(entry, is_chosen) => talk_lines::head(entry, app.now, is_chosen, paint),
            talk::Row::Line(line) => line,
        };
        put(frame, area, index, line);
    }
}

/// What the operator has seen of it.
fn seen(app: &App, row: &SessionRow) -> String {
    let what = if row.marks.unread { "unread" } else { "nothing unread" };
    match (row.marks.seen_at, row.marks.seen_offset) {
        (Some(at), Some(byte)) => {
            format!("{what}; looked at {} ago, to byte {byte}", ago(Some(at), app.now))
        }
        (Some(at), None) => format!("{what}; looked at {} ago", ago(Some(at), app.now)),
        (None, _) => format!("{what}; never looked at"),
    }
}

/// The third column: what is on record about the session.
pub(super) fn facts(app: &App, frame: &mut Frame<'_>, area: Rect) {
    put(frame, area, 0, heading(app, "on record", false, area.width));
    let Some(row) = app.session() else { return };
    let unknown = || "unknown".to_owned();
    let context = row
        .context
        .map_or_else(unknown, |context| format!("{}% of {} tokens", context.percent(), context.window_tokens));
    let mut lines: Vec<(Part, String)> = vec![
        (Part::Text, format!("state     {}", row.judgement.word())),
        (Part::Text, format!("for text  {}", row.judgement.ready_for_text.word())),
        (Part::Text, format!("prompt    {}", row.judgement.prompt.as_deref().unwrap_or("none seen"))),
        (Part::Text, format!("context   {context}")),
    ];
    lines.extend(usage::facts(app, row));
    lines.extend([(Part::Text, format!("task      {}", row.task.as_deref().unwrap_or("none")))]);
    if let Some(task) = task_of(app, row) {
        let (part, criteria) = criteria::line(&task.criteria);
        lines.push((part, format!("criteria  {}", criteria.split(';').next().unwrap_or_default())));
        lines.push((Part::Text, format!("goal      {}", one_line(&task.task.goal))));
    }
    lines.extend([
        (Part::Text, format!("partner   {}", row.partner.as_deref().unwrap_or("none"))),
        (Part::Text, format!("inbox     {} unread", row.unread)),
        (Part::Text, format!("place     {}", row.kind)),
        (Part::Text, format!("pane      {}", row.pane().unwrap_or("none"))),
        (Part::Text, format!("codex     {}", row.codex_version.clone().unwrap_or_else(unknown))),
        (Part::Text, format!("thread    {}", row.codex_session_id.clone().unwrap_or_else(unknown))),
        (Part::Text, format!("folder    {}", if row.cwd.is_empty() { "unknown" } else { &row.cwd })),
        (Part::Text, format!("ingested  {} bytes, {} unfinished", row.ingested_bytes, row.pending_bytes)),
        (Part::Text, format!("observed  {} ago", ago(row.last_heartbeat_at, app.now))),
        (Part::Text, format!("seen      {}", seen(app, row))),
        (Part::Dim, String::new()),
        (Part::Dim, "what each sensor says".to_owned()),
    ]);
    for reading in &row.judgement.readings {
        let since = ago(reading.at, app.now);
        lines.push((Part::Text, format!("{:8} {} ({since})", reading.source.as_str(), reading.word())));
        lines.push((Part::Dim, format!("         {}", reading.rule)));
    }
    let width = usize::from(area.width).saturating_sub(2);
    for (index, (part, line)) in lines.into_iter().enumerate() {
        put(frame, area, index + 1, styled(app, part, format!(" {}", cut(&line, width, app.settings.glyphs))));
    }
}
