//! The Task screen: what is to be achieved, by whom, and what the last cycles found.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};

use super::{
    ago, criteria, criteria_list, delivery, divider, finish, fleet, frames, inbox,
    list::{ListScreen as _, Rows},
    nothing, preview, span,
};
use crate::{
    actions::Deliveries,
    base::text::one_line,
    model::{
        board::{CycleRow, DecisionRow, SessionRow, TaskRow},
        delivery::Phase,
        session::Registration,
        state::{Condition, Source},
        supervision::CriteriaSummary,
        task::{BindingState, Task, TaskState},
    },
    tui::{
        app::App,
        form::active,
        keymap::Intent,
        listing::Sides,
        pair::{self, End},
        theme::Part,
        wrap::{cut, pad, wrap},
    },
};

/// Lines, each in one style.
type Lines = Vec<(Part, String)>;

/// Lines of the goal that stand at the top; a longer one is shown whole below.
const GOAL_SHOWN: usize = 2;

/// Lines of each inbox.
const ITEMS_SHOWN: usize = 5;

/// Lines of the task's messages.
const COMMANDS_SHOWN: usize = 10;

/// In a body lower than this there is no room for both sessions beside the task.
const BOTH: u16 = 15;

/// Lines that are left to what has not the keyboard.
const SMALL: u16 = 5;

/// Where the panes are; one that is not shown is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Areas {
    list: Rect,
    detail: Rect,
    worker: Rect,
    manager: Rect,
}

/// Divides the body: under 50 columns one pane, under 160 the task above its sessions and the one that has the keyboard
/// larger, from 160 on three columns. Without a pair the task has all of it.
fn areas(app: &App) -> Areas {
    let body = frames(app).body;
    let Rect { x, y, width, height } = body;
    let focus = pair::focus(app);
    let whole = |focus: End| match focus {
        End::Worker => Areas { worker: body, ..Areas::default() },
        End::Manager => Areas { manager: body, ..Areas::default() },
    };
    if pair::sessions(app).is_none() {
        return of_task(app, body);
    }
    match (width, focus) {
        (0..50, Some(focus)) => whole(focus),
        (0..50, None) => of_task(app, body),
        (50..160, None) if height < BOTH => of_task(app, body),
        (50..160, Some(focus)) if height < BOTH => whole(focus),
        (50..160, focus) => {
            let top = if focus.is_none() { height - 2 * SMALL } else { SMALL };
            let manager = if focus == Some(End::Manager) { height - top - SMALL } else { SMALL };
            let worker = height - top - manager;
            Areas {
                worker: Rect::new(x, y + top, width, worker),
                manager: Rect::new(x, y + top + worker, width, manager),
                ..of_task(app, Rect::new(x, y, width, top))
            }
        }
        _ => {
            let third = width / 3;
            let column = |from: u16, to: u16| Rect::new(x + from, y, to - from, height);
            let left = column(0, third);
            let list = (height / 3).min(12);
            Areas {
                list: Rect { height: list, ..left },
                detail: Rect { y: y + list, height: height - list, ..left },
                worker: column(third + 1, 2 * third),
                manager: column(2 * third + 1, width),
            }
        }
    }
}

/// List and detail within `area`; the list is hidden on a narrow screen while the detail has the keyboard.
fn of_task(app: &App, area: Rect) -> Areas {
    let Rect { x, y, width, height } = area;
    let (list, detail) = match width {
        0..50 if app.task_view.detail => (Rect::default(), area),
        0..50 => (area, Rect::default()),
        50..80 if height < BOTH && app.task_view.detail => (Rect::default(), area),
        50..80 if height < BOTH => (area, Rect::default()),
        50..80 => {
            let list = height / 3;
            (Rect::new(x, y, width, list), Rect::new(x, y + list, width, height - list))
        }
        _ => {
            let split = width * 2 / 5;
            (Rect::new(x, y, split, height), Rect::new(x + split + 1, y, width - split - 1, height))
        }
    };
    Areas { list, detail, ..Areas::default() }
}

/// The sessions of the pair with their places, as what they are shown, and whether they have the keyboard.
#[must_use]
pub(super) fn shown(app: &App) -> Vec<(&SessionRow, Rect, bool, bool)> {
    let Some((worker, manager)) = pair::sessions(app) else { return Vec::new() };
    let areas = areas(app);
    let focus = pair::focus(app);
    let raw = |row: &SessionRow| app.pair.raw && row.pane().is_some();
    [(worker, areas.worker, End::Worker), (manager, areas.manager, End::Manager)]
        .into_iter()
        .filter(|(_, area, _)| !area.is_empty())
        .map(|(row, area, end)| (row, area, raw(row), focus == Some(end)))
        .collect()
}

/// The end of the pair that is shown at `at`.
#[must_use]
pub fn hit_end(app: &App, at: Position) -> Option<End> {
    let areas = areas(app);
    match (areas.worker.contains(at), areas.manager.contains(at)) {
        (true, _) => Some(End::Worker),
        (false, true) => Some(End::Manager),
        (false, false) => None,
    }
}

/// Draws the screen.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>) {
    for (row, area, raw, has_keyboard) in shown(app) {
        if area.x > 0 {
            divider(app, frame, Rect { x: area.x - 1, width: 1, ..area });
        }
        preview::session(app, frame, area, row, raw, has_keyboard);
    }
    Tasks.draw(app, frame);
}

/// The tasks.
pub struct Tasks;

impl Rows for Tasks {
    type Row<'a> = &'a TaskRow;

    const NOTHING: &'static str = "no task";

    fn view(app: &App) -> &Sides {
        &app.task_view
    }

    fn view_mut(app: &mut App) -> &mut Sides {
        &mut app.task_view
    }

    fn rows(app: &App) -> Vec<(String, &TaskRow)> {
        app.tasks().into_iter().map(|row| (row.task.id.clone(), row)).collect()
    }

    fn heading(_: &App) -> String {
        "tasks".to_owned()
    }

    fn empty(app: &App) -> (Part, String) {
        let text = if app.filter_text.is_empty() {
            let makes = app.key_that(Intent::NewTask, "records one").map(|key| format!("; {key}"));
            format!("no task is on record{}, as does `conveyor tasks --create NAME`", makes.unwrap_or_default())
        } else {
            nothing::passes(app)
        };
        (Part::Dim, text)
    }

    fn line(app: &App, row: &TaskRow, width: usize) -> Line<'static> {
        let (criteria, state) = (criteria::cell(app, Some(&row.criteria)), row.task.word());
        let right = format!("{criteria} {state:>9} {:>5} ", ago(Some(row.task.updated_at), app.now));
        let room = width.saturating_sub(right.len() + 1);
        Line::from(vec![
            Span::raw(" "),
            span(app, Part::Title, pad(&row.task.name, room, app.settings.glyphs)),
            span(app, state_part(&row.task), right),
        ])
    }

    fn title(row: &TaskRow) -> String {
        format!("task {}", row.task.name)
    }

    fn detail(app: &App, row: &TaskRow, width: usize) -> Vec<(Part, String)> {
        detail_lines(app, row, width)
    }

    fn areas(app: &App) -> (Rect, Rect) {
        let areas = areas(app);
        (areas.list, areas.detail)
    }

    fn has_keyboard(app: &App) -> (bool, bool) {
        let is_beside = pair::focus(app).is_none();
        let detail = app.task_view.detail;
        (!detail && is_beside, detail && is_beside)
    }

    /// Also when the filter hides it: what is shown beside the list stays.
    fn selected(app: &App) -> Option<&TaskRow> {
        app.selected_task()
    }
}

fn state_part(task: &Task) -> Part {
    match task.state {
        TaskState::Candidate | TaskState::Paused => Part::Idle,
        TaskState::Managed => Part::Working,
        TaskState::Done => Part::Dim,
        // It was stopped on purpose: nothing has gone wrong.
        TaskState::Failed if task.end.is_some() => Part::Dim,
        TaskState::Failed => Part::Failed,
    }
}

fn detail_lines(app: &App, row: &TaskRow, width: usize) -> Vec<(Part, String)> {
    let glyphs = app.settings.glyphs;
    let width = width.saturating_sub(2);
    let task = &row.task;
    let separator = glyphs.separator();
    let created = ago(Some(task.created_at), app.now);
    // Whatever was recorded about it, not only a change of its state.
    let acted = row.decisions.iter().map(|act| act.at).chain([task.updated_at]).max();
    let acted = ago(acted, app.now);
    let mut lines = vec![(
        state_part(task),
        format!("{}{separator}recorded {created} ago{separator}last act {acted} ago", task.word()),
    )];
    if let Some(end) = &task.end {
        let text = format!("ended {} ago by {}: {}", ago(Some(end.at), app.now), end.by, one_line(&end.reason));
        lines.extend(wrap(&text, width, 10).into_iter().map(|line| (state_part(task), line)));
    }
    // What is to be done and what it is held to come first: on a low screen nothing else may be seen.
    let goal = if task.goal.trim().is_empty() { "none on record" } else { &task.goal };
    let goal = wrap(&format!("goal: {goal}"), width.saturating_sub(2), GOAL_SHOWN + 1);
    let is_cut = goal.len() > GOAL_SHOWN;
    lines.extend(goal.into_iter().take(GOAL_SHOWN).map(|line| (Part::Text, line)));
    if is_cut && let Some((_, last)) = lines.last_mut() {
        last.extend([" ", glyphs.cut()]);
    }
    let (part, criteria) = criteria::line(&row.criteria);
    lines.extend(wrap(&format!("criteria: {criteria}"), width, 5).into_iter().map(|line| (part, line)));
    if row.criteria == CriteriaSummary::default()
        && task.state.is_open()
        && let Some(how) = criteria_list::how_to_add(app)
    {
        lines.extend(wrap(&how, width, 5).into_iter().map(|line| (Part::Dim, line)));
    }
    let mut section = |title: &str, body: Vec<(Part, String)>| {
        lines.push((Part::Text, String::new()));
        lines.push((Part::Title, title.to_owned()));
        lines.extend(body);
    };
    if is_cut {
        section("goal", wrap(&task.goal, width, 200).into_iter().map(|line| (Part::Text, line)).collect());
    }
    if let Some(summary) = &task.summary {
        section("summary", wrap(summary, width, 200).into_iter().map(|line| (Part::Text, line)).collect());
    }
    match app.proofs.of(&task.id) {
        Some(Ok(criteria)) if !criteria.is_empty() => section("criteria and proofs", finish::proofs(criteria, width)),
        Some(Err(failure)) => section("criteria and proofs", vec![(Part::Error, cut(&failure.message, width, glyphs))]),
        Some(Ok(_)) | None => {}
    }
    let sessions = app.board().map_or(&[][..], |board| &board.sessions);
    let bindings: Vec<_> = row
        .bindings
        .iter()
        .flat_map(|binding| {
            let part = if binding.state == BindingState::Active { Part::Text } else { Part::Dim };
            let when = match binding.ended_at {
                Some(at) => format!("ended {} ago", ago(Some(at), app.now)),
                None => format!("for {}", ago(Some(binding.created_at), app.now)),
            };
            let pair = format!("{} {} {}", binding.worker, glyphs.pair(), binding.manager);
            let mut lines =
                vec![(part, cut(&format!("{pair}{separator}{}{separator}{when}", binding.state), width, glyphs))];
            if binding.state == BindingState::Active {
                let ends = [&binding.worker, &binding.manager].into_iter();
                let ends = ends.filter_map(|name| sessions.iter().find(|session| session.name == *name));
                lines.extend(ends.map(|session| end_line(app, session, width)));
            }
            lines
        })
        .collect();
    let binds = app.key_that(Intent::Bind, "binds a worker and a manager to it").filter(|_| task.state.is_open());
    let binds = binds.map(|key| format!("; {key}"));
    section("bindings", or_none(bindings, &format!("none: nobody works on it{}", binds.unwrap_or_default())));
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
    let looks = app.key_that(Intent::Cycle, "observes its worker once").filter(|_| active(row).is_some());
    let looks = looks.map(|key| format!("; {key}"));
    section("cycles", or_none(cycles, &format!("none yet{}", looks.unwrap_or_default())));
    let decision = |row: &DecisionRow| {
        let text = format!("{} ago {}: {}", ago(Some(row.at), app.now), row.actor, row.kind.replace('_', " "));
        (Part::Text, cut(&one_line(&text), width, glyphs))
    };
    if !row.decisions.is_empty() {
        section("decisions and acts on record", row.decisions.iter().map(decision).collect());
    }
    lines
}

/// An end of a binding: over what it is reached, whether it lives, when it was seen.
fn end_line(app: &App, session: &SessionRow, width: usize) -> (Part, String) {
    let glyphs = app.settings.glyphs;
    let place = match &session.tmux_pane_id {
        Some(pane) => format!("{} pane {pane}", session.kind),
        None => session.kind.to_string(),
    };
    let stale = fleet::is_stale(session, app.now);
    let (part, life) = match session.registration {
        Registration::Gone => (Part::Dim, "gone".to_owned()),
        Registration::Active => {
            let seen = session
                .last_heartbeat_at
                .map_or_else(|| "never seen".to_owned(), |at| format!("seen {} ago", ago(Some(at), app.now)));
            // Only a look at the process itself says whether it lives.
            let process = session.judgement.readings.iter().find(|reading| reading.source == Source::Process);
            let life = process.map_or_else(|| "process not seen".to_owned(), |reading| reading.rule.replace('_', " "));
            (if stale { Part::Stale } else { Part::Text }, format!("{life}{}{seen}", glyphs.separator()))
        }
    };
    let text = format!("  {} {}: {place}{}{life}", session.role, session.name, glyphs.separator());
    (part, cut(&text, width, glyphs))
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
            let at = ago(item.facts.said_at(), app.now);
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
            let what = format!("{} {}", command.phase.word(), delivery::name(command));
            let at = match command.phase {
                Phase::Queued => ago(Some(command.created_at), app.now),
                _ => delivery::age_of(command, app.now),
            };
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
    let found = cycle.condition.as_deref().map(|word| word.parse().map_or(word, |found: Condition| found.word()));
    for (word, value) in [("", found), ("notable ", cycle.notable.as_deref()), ("", cycle.error.as_deref())] {
        if let Some(value) = value {
            text = format!("{text}{}{word}{value}", app.settings.glyphs.separator());
        }
    }
    let part = if cycle.error.is_some() { Part::Failed } else { Part::Text };
    (part, cut(&crate::base::text::one_line(&text), width, app.settings.glyphs))
}
