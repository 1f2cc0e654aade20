//! The Task screen: what is to be achieved, by whom, and what the last cycles found.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};

use super::{ago, delivery, divider, frames, heading, inbox, mark, put, span, styled};
use crate::{
    actions::Deliveries,
    base::text::one_line,
    model::{
        board::{CycleRow, TaskRow},
        task::{BindingState, TaskState},
    },
    tui::{
        app::App,
        theme::Part,
        wrap::{cut, pad, wrap},
    },
};

/// Lines, each in one style.
type Lines = Vec<(Part, String)>;

/// Lines of each inbox.
const ITEMS_SHOWN: usize = 5;

/// Lines of the task's messages.
const COMMANDS_SHOWN: usize = 10;

/// Where list and detail are; the list is hidden on a narrow screen while the detail has the keyboard.
fn areas(app: &App) -> (Rect, Rect) {
    let body = frames(app.size).body;
    let Rect { x, y, width, height } = body;
    match width {
        0..50 if app.task_view.detail => (Rect::default(), body),
        0..50 => (body, Rect::default()),
        50..80 => {
            let list = height / 3;
            (Rect::new(x, y, width, list), Rect::new(x, y + list, width, height - list))
        }
        _ => {
            let split = width * 2 / 5;
            (Rect::new(x, y, split, height), Rect::new(x + split + 1, y, width - split - 1, height))
        }
    }
}

/// The ids of the rows, in their order.
#[must_use]
pub fn ids(app: &App) -> Vec<String> {
    app.tasks().iter().map(|row| row.task.id.clone()).collect()
}

/// How many tasks the list shows.
#[must_use]
pub fn visible_rows(app: &App) -> usize {
    usize::from(areas(app).0.height.saturating_sub(1))
}

/// How many lines of the detail do not fit.
#[must_use]
pub fn overflow(app: &App) -> usize {
    let area = areas(app).1;
    let lines = app.selected_task().map_or(0, |row| detail_lines(app, row, usize::from(area.width)).len());
    lines.saturating_sub(usize::from(area.height).saturating_sub(1))
}

/// The task at `at`.
#[must_use]
pub fn hit(app: &App, at: Position) -> Option<String> {
    let list = areas(app).0;
    if !list.contains(at) || at.y == list.y {
        return None;
    }
    let index = app.task_view.list.top + usize::from(at.y - list.y - 1);
    app.tasks().get(index).map(|row| row.task.id.clone())
}

/// Draws the screen.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, _body: Rect) {
    let (list_area, detail_area) = areas(app);
    if !list_area.is_empty() {
        list(app, frame, list_area);
    }
    if detail_area.is_empty() {
        return;
    }
    if detail_area.x > 0 {
        divider(app, frame, Rect { x: detail_area.x - 1, width: 1, ..detail_area });
    }
    let Some(row) = app.selected_task() else {
        put(frame, detail_area, 0, heading(app, "no task", app.task_view.detail, detail_area.width));
        return;
    };
    put(
        frame,
        detail_area,
        0,
        heading(app, &format!("task {}", row.task.name), app.task_view.detail, detail_area.width),
    );
    let text = Rect { y: detail_area.y + 1, height: detail_area.height.saturating_sub(1), ..detail_area };
    let lines = detail_lines(app, row, usize::from(text.width));
    for (index, (part, line)) in lines.into_iter().skip(app.task_view.scroll).enumerate().take(usize::from(text.height))
    {
        put(frame, text, index, styled(app, part, format!(" {line}")));
    }
}

fn list(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let tasks = app.tasks();
    let title = if app.filter_text.is_empty() { "tasks".to_owned() } else { format!("tasks: {}", app.filter_text) };
    put(frame, area, 0, heading(app, &title, !app.task_view.detail, area.width));
    if tasks.is_empty() {
        put(frame, area, 2, styled(app, Part::Dim, "  no task here"));
    }
    let glyphs = app.settings.glyphs;
    for (index, row) in
        tasks.iter().enumerate().skip(app.task_view.list.top).take(usize::from(area.height.saturating_sub(1)))
    {
        let right = format!("{:>9} {:>5} ", row.task.state.as_str(), ago(Some(row.task.updated_at), app.now));
        let room = usize::from(area.width).saturating_sub(right.len() + 1);
        let line = Line::from(vec![
            Span::raw(" "),
            span(app, Part::Title, pad(&row.task.name, room, glyphs)),
            span(app, state_part(row.task.state), right),
        ]);
        let at = index - app.task_view.list.top + 1;
        put(frame, area, at, line);
        if app.task_view.list.id.as_deref() == Some(row.task.id.as_str())
            && let Ok(at) = u16::try_from(at)
        {
            mark(app, frame, Rect::new(area.x, area.y + at, area.width, 1), !app.task_view.detail);
        }
    }
}

fn state_part(state: TaskState) -> Part {
    match state {
        TaskState::Candidate | TaskState::Paused => Part::Idle,
        TaskState::Managed => Part::Working,
        TaskState::Done => Part::Dim,
        TaskState::Failed => Part::Failed,
    }
}

fn detail_lines(app: &App, row: &TaskRow, width: usize) -> Vec<(Part, String)> {
    let glyphs = app.settings.glyphs;
    let width = width.saturating_sub(2);
    let task = &row.task;
    let separator = glyphs.separator();
    let created = ago(Some(task.created_at), app.now);
    let updated = ago(Some(task.updated_at), app.now);
    let mut lines = vec![(
        state_part(task.state),
        format!("{}{separator}recorded {created} ago{separator}changed {updated} ago", task.state),
    )];
    let mut section = |title: &str, body: Vec<(Part, String)>| {
        lines.push((Part::Text, String::new()));
        lines.push((Part::Title, title.to_owned()));
        lines.extend(body);
    };
    section("goal", wrap(&task.goal, width, 200).into_iter().map(|line| (Part::Text, line)).collect());
    if let Some(summary) = &task.summary {
        section("summary", wrap(summary, width, 200).into_iter().map(|line| (Part::Text, line)).collect());
    }
    let bindings: Vec<_> = row
        .bindings
        .iter()
        .map(|binding| {
            let part = if binding.state == BindingState::Active { Part::Text } else { Part::Dim };
            let when = match binding.ended_at {
                Some(at) => format!("ended {} ago", ago(Some(at), app.now)),
                None => format!("for {}", ago(Some(binding.created_at), app.now)),
            };
            let pair = format!("{} {} {}", binding.worker, glyphs.pair(), binding.manager);
            (part, cut(&format!("{pair}{separator}{}{separator}{when}", binding.state), width, glyphs))
        })
        .collect();
    section("bindings", or_none(bindings, "none: nobody works on it"));
    let sessions = app.board().map_or(&[][..], |board| &board.sessions);
    let bound: Vec<_> = sessions
        .iter()
        .filter(|session| session.task_id.as_deref() == Some(task.id.as_str()))
        .map(|session| {
            let sign = glyphs.attention(session.attention);
            let text = format!("{sign} {} {}: {}", session.role, session.name, session.judgement.reason);
            (Part::Text, cut(&crate::base::text::one_line(&text), width, glyphs))
        })
        .collect();
    if !bound.is_empty() {
        section("now", bound);
    }
    if let Some(deliveries) = app.deliveries() {
        let (inboxes, messages) = messages(app, deliveries, row, width);
        if !inboxes.is_empty() {
            section("inboxes", inboxes);
        }
        section("messages", or_none(messages, "none yet"));
    }
    let cycles = row.cycles.iter().map(|cycle| cycle_line(app, cycle, width)).collect();
    section("cycles", or_none(cycles, "none yet"));
    lines
}

/// What lies in the inboxes of both ends, and how far each of the task's messages has come, the newest first.
fn messages(app: &App, deliveries: &Deliveries, row: &TaskRow, width: usize) -> (Lines, Lines) {
    let glyphs = app.settings.glyphs;
    let separator = glyphs.separator();
    // Room for the indentation of what lies in an inbox.
    let line = |text: &str| cut(&one_line(text), width.saturating_sub(2), glyphs);
    let sessions = app.board().map_or(&[][..], |board| &board.sessions);
    let mut inboxes = Vec::new();
    for session in sessions.iter().filter(|session| session.task_id.as_deref() == Some(row.task.id.as_str())) {
        let count = deliveries.inbox(&session.id);
        let text = format!("{}: {} waiting, {} unread", session.name, count.waiting, count.unread);
        inboxes.push((if count.unread > 0 { Part::DoneUnseen } else { Part::Text }, line(&text)));
        let items = deliveries
            .items
            .iter()
            .filter(|item| item.target_id == session.id && item.task_id.as_deref() == Some(row.task.id.as_str()));
        inboxes.extend(items.take(ITEMS_SHOWN).map(|item| {
            let at = ago(item.facts.delivered_at, app.now);
            let what = delivery::first_line(&item.message);
            (
                inbox::item_part(&item.facts),
                format!("  {}", line(&format!("{} {at} ago{separator}{what}", item.facts.word()))),
            )
        }));
    }
    let commands =
        deliveries.commands.iter().filter(|command| command.task_id.as_deref() == Some(row.task.id.as_str()));
    let messages = commands
        .take(COMMANDS_SHOWN)
        .map(|command| {
            let what = format!("{} {} to {}", command.phase, delivery::kind(command.kind), command.target);
            let at = ago(Some(command.updated_at), app.now);
            let why = command.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let text = delivery::first_line(&command.message);
            (delivery::phase_part(command.phase), line(&format!("{what} {at} ago{why}{separator}{text}")))
        })
        .collect();
    (inboxes, messages)
}

fn or_none(lines: Vec<(Part, String)>, none: &str) -> Vec<(Part, String)> {
    if lines.is_empty() { vec![(Part::Dim, none.to_owned())] } else { lines }
}

fn cycle_line(app: &App, cycle: &CycleRow, width: usize) -> (Part, String) {
    let mut text = format!("#{} {} ago {}", cycle.id, ago(Some(cycle.started_at), app.now), cycle.outcome);
    for (word, value) in [("", &cycle.condition), ("notable ", &cycle.notable), ("", &cycle.error)] {
        if let Some(value) = value {
            text = format!("{text}{}{word}{value}", app.settings.glyphs.separator());
        }
    }
    let part = if cycle.error.is_some() { Part::Failed } else { Part::Text };
    (part, cut(&crate::base::text::one_line(&text), width, app.settings.glyphs))
}
