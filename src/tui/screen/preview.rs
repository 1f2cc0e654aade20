//! A closer look at the selected session: its state in words, then its conversation or its pane.

use ratatui::{Frame, layout::Rect};

use super::{ago, fleet, heading, put, styled};
use crate::{
    base::text::{age, clean},
    model::{
        board::{Entry, SessionRow, Speaker, TaskRow},
        state::{Agreement, Judgement},
    },
    tui::{
        app::{App, Look},
        theme::Part,
        wrap::{cut, wrap},
    },
};

/// The most lines that one conversation entry takes in the preview.
const ENTRY_LINES: usize = 60;

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
    let what = if app.fleet.raw { "pane" } else { "conversation" };
    put(frame, area, 0, heading(app, &format!("{} {}: {what}", row.role, row.name), focused, area.width));
    let state = state_lines(app, row, usize::from(area.width));
    for (index, (part, line)) in state.iter().enumerate() {
        put(frame, area, index + 1, styled(app, *part, format!(" {line}")));
    }
    let used = u16::try_from(state.len() + 1).unwrap_or(u16::MAX).min(area.height);
    let text = Rect { y: area.y + used, height: area.height - used, ..area };
    let height = usize::from(text.height);
    let lines = lines(app, row, usize::from(area.width).saturating_sub(1), height + app.fleet.scroll);
    // The newest stands at the bottom; scrolling counts from there.
    let hidden = lines.len().saturating_sub(height);
    let first = hidden - app.fleet.scroll.min(hidden);
    for (index, (part, line)) in lines.iter().skip(first).take(height).enumerate() {
        put(frame, text, index, styled(app, *part, format!(" {line}")));
    }
}

/// How far one can scroll back, at most as far as one does now.
#[must_use]
pub fn overflow(app: &App) -> usize {
    let area = fleet::areas(app).preview;
    let Some(row) = app.session() else { return 0 };
    let used = state_lines(app, row, usize::from(area.width)).len() + 1;
    let height = usize::from(area.height).saturating_sub(used);
    let lines = lines(app, row, usize::from(area.width).saturating_sub(1), height + app.fleet.scroll);
    lines.len().saturating_sub(height).min(app.fleet.scroll)
}

fn selected_task(app: &App) -> Option<&TaskRow> {
    let id = app.fleet.list.id.as_deref()?;
    app.board()?.tasks.iter().find(|row| row.task.id == id)
}

fn task_goal(app: &App, frame: &mut Frame<'_>, area: Rect, row: &TaskRow, focused: bool) {
    put(frame, area, 0, heading(app, &format!("task {}", row.task.name), focused, area.width));
    let text =
        format!("{}\n\nbind a worker and a manager to it with\nbind --task {} ...", row.task.goal, row.task.name);
    for (index, line) in wrap(&text, usize::from(area.width).saturating_sub(1), 100).into_iter().enumerate() {
        put(frame, area, index + 1, styled(app, Part::Text, format!(" {line}")));
    }
}

/// What the session does, how that is known, and how sure that is.
fn state_lines(app: &App, row: &SessionRow, width: usize) -> Vec<(Part, String)> {
    let glyphs = app.settings.glyphs;
    let width = width.saturating_sub(2);
    let stale = fleet::is_stale(row, app.now);
    let reason = crate::base::text::one_line(&row.judgement.reason);
    let part = if stale { Part::Stale } else { Part::Text };
    let mut lines: Vec<_> = wrap(&reason, width, REASON_LINES).into_iter().map(|line| (part, line)).collect();
    lines.push((Part::Dim, provenance(app, &row.judgement)));
    if row.judgement.agreement == Agreement::Disagree {
        let words: Vec<String> =
            row.judgement.readings.iter().map(|reading| format!("{} {}", reading.source, reading.condition)).collect();
        lines.push((Part::Warning, format!("{} sensors disagree: {}", glyphs.disagree(), words.join(", "))));
    }
    lines.extend(row.ingest_error.iter().map(|error| (Part::Error, format!("rollout unreadable: {error}"))));
    lines.into_iter().map(|(part, line)| (part, cut(&crate::base::text::one_line(&line), width, glyphs))).collect()
}

/// The state, its source, rule and age.
pub(super) fn provenance(app: &App, judgement: &Judgement) -> String {
    let source = judgement.source.map_or("no sensor", |source| source.as_str());
    let since =
        judgement.since.map_or_else(|| "since unknown".to_owned(), |at| format!("since {}", ago(Some(at), app.now)));
    let separator = app.settings.glyphs.separator();
    format!("{}{separator}{source}: {}{separator}{since}", judgement.condition, judgement.rule)
}

/// The conversation or the pane in lines of `width` columns; of a long one the last `need` lines or some more.
fn lines(app: &App, row: &SessionRow, width: usize, need: usize) -> Vec<(Part, String)> {
    if app.fleet.raw { pane(app, row, width) } else { conversation(app, row, width, need) }
}

fn conversation(app: &App, row: &SessionRow, width: usize, need: usize) -> Vec<(Part, String)> {
    let entries = match &app.conversation {
        Some(loaded) if loaded.session == row.id => match &loaded.value {
            Ok(entries) => entries,
            Err(failure) => return wrap_as(Part::Error, &failure.message, width),
        },
        _ => return vec![(Part::Dim, "reading the conversation".to_owned())],
    };
    if entries.is_empty() {
        let text = if row.judgement.awaiting_first_prompt {
            "Codex writes its record with the first prompt, and nobody has said anything yet"
        } else {
            "nothing was said yet"
        };
        return wrap_as(Part::Dim, text, width);
    }
    // Wrapping is the dearest part of a frame: what stands above the window is left alone.
    let mut blocks = Vec::new();
    let mut count = 0;
    for entry in entries.iter().rev() {
        let block = entry_lines(app, entry, width);
        count += block.len();
        blocks.push(block);
        if count >= need {
            break;
        }
    }
    blocks.into_iter().rev().flatten().collect()
}

fn entry_lines(app: &App, entry: &Entry, width: usize) -> Vec<(Part, String)> {
    let (part, word) = match entry.speaker {
        Speaker::User => (Part::User, "user"),
        Speaker::Agent => (Part::Agent, "agent"),
        Speaker::Note => (Part::Dim, "note"),
        Speaker::Tool => (Part::Tool, "tool"),
        Speaker::Codex => (Part::Codex, "codex"),
    };
    let label = match entry.at {
        Some(at) => format!("{word}, {} ago", age(at.age_seconds(app.now))),
        None => format!("{word}, when unknown"),
    };
    let mut lines = vec![(Part::Dim, label)];
    lines.extend(
        wrap(&entry.text, width.saturating_sub(2), ENTRY_LINES).into_iter().map(|line| (part, format!("  {line}"))),
    );
    lines
}

fn pane(app: &App, row: &SessionRow, width: usize) -> Vec<(Part, String)> {
    let pane = match &app.pane {
        Some(loaded) if loaded.session == row.id => match &loaded.value {
            Ok(Some(pane)) => pane,
            Ok(None) => return wrap_as(Part::Dim, "this session has no pane", width),
            Err(failure) => return wrap_as(Part::Error, &failure.message, width),
        },
        _ => return vec![(Part::Dim, "looking at the pane".to_owned())],
    };
    let glyphs = app.settings.glyphs;
    let mut lines: Vec<_> =
        pane.lines.iter().map(|line| (Part::Text, cut(&clean(line).replace('\t', "    "), width, glyphs))).collect();
    // The screen's empty rest says nothing and would push the text out of view.
    while lines.last().is_some_and(|(_, line)| line.trim().is_empty()) {
        lines.pop();
    }
    let mut note = format!("captured {} ago", age(pane.captured_at.age_seconds(app.now)));
    if let Some(more) = &pane.note {
        note = format!("{note}{}{more}", glyphs.separator());
    }
    lines.push((Part::Dim, cut(&note, width, glyphs)));
    lines
}

fn wrap_as(part: Part, text: &str, width: usize) -> Vec<(Part, String)> {
    wrap(text, width, 50).into_iter().map(|line| (part, line)).collect()
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
        (Part::Text, format!("state     {}", row.judgement.condition)),
        (Part::Text, format!("ready     {}", row.judgement.ready_for_text.as_str().replace('_', " "))),
        (Part::Text, format!("prompt    {}", row.judgement.prompt.as_deref().unwrap_or("none seen"))),
        (Part::Text, format!("context   {context}")),
        (Part::Text, format!("task      {}", row.task.as_deref().unwrap_or("none"))),
        (Part::Text, format!("partner   {}", row.partner.as_deref().unwrap_or("none"))),
        (Part::Text, format!("inbox     {} unread", row.unread)),
        (Part::Text, format!("place     {}", row.kind)),
        (Part::Text, format!("pane      {}", row.tmux_pane_id.as_deref().unwrap_or("none"))),
        (Part::Text, format!("codex     {}", row.codex_version.clone().unwrap_or_else(unknown))),
        (Part::Text, format!("thread    {}", row.codex_session_id.clone().unwrap_or_else(unknown))),
        (Part::Text, format!("folder    {}", if row.cwd.is_empty() { "unknown" } else { &row.cwd })),
        (Part::Text, format!("ingested  {} bytes, {} unfinished", row.ingested_bytes, row.pending_bytes)),
        (Part::Text, format!("seen      {} ago", ago(row.last_heartbeat_at, app.now))),
        (Part::Dim, String::new()),
        (Part::Dim, "what each sensor says".to_owned()),
    ];
    for reading in &row.judgement.readings {
        let since = ago(reading.at, app.now);
        lines.push((Part::Text, format!("{:8} {} ({since})", reading.source.as_str(), reading.condition)));
        lines.push((Part::Dim, format!("         {}", reading.rule)));
    }
    let width = usize::from(area.width).saturating_sub(2);
    for (index, (part, line)) in lines.into_iter().enumerate() {
        put(frame, area, index + 1, styled(app, part, format!(" {}", cut(&line, width, app.settings.glyphs))));
    }
}
