//! The Dispatch screen: who delivers, the queue of each target, and the selected command from end to end.
//!
//! The Inbox screen is about messages and what a person has to decide; this one shows the machine behind them: tries,
//! leases, and the byte of the rollout that proves an arrival.

use std::collections::BTreeMap;

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use super::{ago, delivery, divider, frames, heading, inbox, mark, put, sides, span, styled};
use crate::{
    actions::{Deliveries, DispatcherHost, DispatcherView, Exchange, Link, StepKind},
    base::{
        Timestamp,
        text::{age, one_line},
    },
    model::{
        deliveries::{CommandRow, ItemRow},
        delivery::{ItemState, Phase},
    },
    tui::{
        app::App,
        theme::Part,
        wrap::{cut, pad, wrap},
    },
};

/// The most lines of one step of an exchange.
const STEP_LINES: usize = 20;

/// A row of the list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// Nobody delivers.
    Nobody,
    /// Somebody who delivers, or did so lately.
    Dispatcher(&'a DispatcherView),
    /// A session that messages go to: its id and name.
    Target(&'a str, &'a str),
    /// A command.
    Command(&'a CommandRow),
    /// Something in an inbox that no command put there.
    Item(&'a ItemRow),
}

impl<'a> Row<'a> {
    /// The id that is selected.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::Dispatcher(row) => format!("dispatcher-{}", row.id),
            Self::Target(id, _) => format!("target-{id}"),
            Self::Command(row) => row.id.clone(),
            Self::Item(row) => format!("item-{}", row.id),
        }
    }

    /// The session it is about.
    #[must_use]
    pub fn target_id(self) -> Option<&'a str> {
        match self {
            Self::Nobody | Self::Dispatcher(_) => None,
            Self::Target(id, _) => Some(id),
            Self::Command(row) => Some(&row.target_id),
            Self::Item(row) => Some(&row.target_id),
        }
    }

    fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Command(row) => Some(row.updated_at),
            Self::Item(row) => Some(row.facts.delivered_at.unwrap_or(row.created_at)),
            Self::Nobody | Self::Dispatcher(_) | Self::Target(..) => None,
        }
    }

    /// What comes first below a target: in line, to be decided, given up, over.
    fn tier(&self) -> u8 {
        match self {
            Self::Command(row) if row.phase.holds_the_line() => 0,
            Self::Command(row) if row.phase == Phase::Ambiguous => 1,
            Self::Command(row) if row.phase.is_dead_letter() => 2,
            _ => 3,
        }
    }
}

/// Who delivers, then each target that passes the filter with its commands. The queue stands in its order, what is
/// over with the newest first; targets with something open come first.
#[must_use]
pub fn rows(app: &App) -> Vec<Row<'_>> {
    let Some(deliveries) = app.deliveries() else { return Vec::new() };
    let mut rows = Vec::new();
    if !deliveries.health.running {
        rows.push(Row::Nobody);
    }
    rows.extend(deliveries.health.dispatchers.iter().map(Row::Dispatcher));
    let mut targets: BTreeMap<&str, (&str, Vec<Row<'_>>)> = BTreeMap::new();
    let commands = deliveries.commands.iter().map(|row| (row.target.as_str(), Row::Command(row)));
    let items = deliveries.items.iter().filter(|row| row.command_id.is_none());
    let items = items.map(|row| (row.target.as_str(), Row::Item(row)));
    for (name, row) in commands.chain(items) {
        let Some(id) = row.target_id().filter(|id| inbox::passes(app, id)) else { continue };
        targets.entry(id).or_insert_with(|| (name, Vec::new())).1.push(row);
    }
    let mut targets: Vec<(&str, &str, Vec<Row<'_>>)> =
        targets.into_iter().map(|(id, (name, rows))| (id, name, rows)).collect();
    for (_, _, rows) in &mut targets {
        rows.sort_by(|a, b| match (a, b) {
            (Row::Command(a), Row::Command(b)) if a.phase.holds_the_line() && b.phase.holds_the_line() => {
                a.seq.cmp(&b.seq)
            }
            (a, b) => a.tier().cmp(&b.tier()).then(b.at().cmp(&a.at())),
        });
    }
    let newest = |rows: &[Row<'_>]| rows.iter().filter_map(Row::at).max();
    targets.sort_by(|(_, _, a), (_, _, b)| {
        let open = |rows: &[Row<'_>]| rows.first().map_or(3, Row::tier);
        open(a).min(2).cmp(&open(b).min(2)).then(newest(b).cmp(&newest(a)))
    });
    for (id, name, below) in targets {
        rows.push(Row::Target(id, name));
        rows.extend(below);
    }
    rows
}

/// The ids of the rows, in their order.
#[must_use]
pub fn ids(app: &App) -> Vec<String> {
    rows(app).iter().map(Row::id).collect()
}

/// The selected row.
#[must_use]
pub fn selected(app: &App) -> Option<Row<'_>> {
    let id = app.dispatch.view.list.id.as_deref()?;
    rows(app).into_iter().find(|row| row.id() == id)
}

/// The selected row, if it is a command.
#[must_use]
pub fn selected_command(app: &App) -> Option<&CommandRow> {
    match selected(app)? {
        Row::Command(row) => Some(row),
        _ => None,
    }
}

/// What `conveyor chain` is asked for about the selected row.
#[must_use]
pub fn exchange_of(app: &App) -> Option<String> {
    match selected(app)? {
        Row::Command(row) => Some(row.id.clone()),
        Row::Item(row) => Some(row.id.to_string()),
        Row::Nobody | Row::Dispatcher(_) | Row::Target(..) => None,
    }
}

fn areas(app: &App) -> (Rect, Rect) {
    sides(frames(app.size).body, app.dispatch.view.detail)
}

/// How many rows the list shows.
#[must_use]
pub fn visible_rows(app: &App) -> usize {
    usize::from(areas(app).0.height.saturating_sub(1))
}

/// How many lines of the detail do not fit.
#[must_use]
pub fn overflow(app: &App) -> usize {
    let area = areas(app).1;
    let lines = selected(app).map_or(0, |row| detail(app, row, usize::from(area.width)).len());
    lines.saturating_sub(usize::from(area.height).saturating_sub(1))
}

/// The row at `at`.
#[must_use]
pub fn hit(app: &App, at: Position) -> Option<String> {
    let list = areas(app).0;
    if !list.contains(at) || at.y == list.y {
        return None;
    }
    rows(app).get(app.dispatch.view.list.top + usize::from(at.y - list.y - 1)).map(Row::id)
}

/// Draws the screen.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>) {
    let (list_area, detail_area) = areas(app);
    let view = &app.dispatch.view;
    if !list_area.is_empty() {
        list(app, frame, list_area);
    }
    if detail_area.is_empty() {
        return;
    }
    if detail_area.x > 0 {
        divider(app, frame, Rect { x: detail_area.x - 1, width: 1, ..detail_area });
    }
    let Some(row) = selected(app) else {
        put(frame, detail_area, 0, heading(app, "nothing selected", view.detail, detail_area.width));
        return;
    };
    put(frame, detail_area, 0, heading(app, &title(row), view.detail, detail_area.width));
    let text = Rect { y: detail_area.y + 1, height: detail_area.height.saturating_sub(1), ..detail_area };
    let lines = detail(app, row, usize::from(text.width));
    for (index, (part, line)) in lines.into_iter().skip(view.scroll).enumerate().take(usize::from(text.height)) {
        put(frame, text, index, styled(app, part, format!(" {line}")));
    }
}

fn list(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let rows = rows(app);
    let view = &app.dispatch.view;
    let title = if app.filter_text.is_empty() {
        "who delivers, and the queues".to_owned()
    } else {
        format!("queues: {}", app.filter_text)
    };
    put(frame, area, 0, heading(app, &title, !view.detail, area.width));
    if rows.is_empty() {
        let text = match &app.deliveries {
            None => "looking",
            Some(Err(_)) => "what is under way is not known",
            Some(Ok(_)) => "nobody dispatches, and nothing was ever queued",
        };
        put(frame, area, 2, styled(app, Part::Dim, format!("  {text}")));
    }
    let visible = usize::from(area.height.saturating_sub(1));
    for (index, row) in rows.iter().enumerate().skip(view.list.top).take(visible) {
        let at = index - view.list.top + 1;
        put(frame, area, at, line(app, *row, usize::from(area.width)));
        if view.list.id.as_deref() == Some(row.id().as_str())
            && let Ok(at) = u16::try_from(at)
        {
            mark(app, frame, Rect::new(area.x, area.y + at, area.width, 1), !view.detail);
        }
    }
}

fn line(app: &App, row: Row<'_>, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    match row {
        Row::Nobody => {
            let text = "! nobody delivers: messages wait until somebody does";
            styled(app, Part::Warning, cut(text, width, glyphs))
        }
        Row::Dispatcher(row) => {
            let (sign, part, text) = dispatcher(app, row);
            styled(app, part, cut(&format!("{sign} {text}"), width, glyphs))
        }
        Row::Target(id, name) => target(app, id, name, width),
        Row::Command(row) => message(
            app,
            if matches!(row.phase, Phase::Ambiguous) || row.phase.is_dead_letter() { "!" } else { " " },
            (delivery::phase_part(row.phase), row.phase.as_str()),
            delivery::kind(row.kind),
            &delivery::first_line(&row.message),
            (row.updated_at, width),
        ),
        Row::Item(row) => message(
            app,
            if row.facts.state == ItemState::Failed { "!" } else { " " },
            (inbox::item_part(&row.facts), row.facts.word()),
            "inbox",
            &delivery::first_line(&row.message),
            (row.facts.delivered_at.unwrap_or(row.created_at), width),
        ),
    }
}

/// A dispatcher in one line.
fn dispatcher(app: &App, row: &DispatcherView) -> (&'static str, Part, String) {
    let own = app.deliveries().is_some_and(|deliveries| deliveries.own_pid == row.pid);
    let host = match row.host {
        DispatcherHost::Cockpit if own => "this cockpit",
        DispatcherHost::Cockpit => "another cockpit",
        DispatcherHost::Watch if row.log_path.is_some() => "background",
        DispatcherHost::Watch => "dispatch --watch",
        DispatcherHost::Once => "one pass",
    };
    let heard = ago(Some(row.heartbeat_at), app.now);
    let (sign, part, state) = match (row.alive, row.state) {
        (true, _) => ("*", Part::Working, "delivers".to_owned()),
        (false, "running") => ("!", Part::Warning, "SILENT".to_owned()),
        (false, state) => ("-", Part::Dim, state.to_owned()),
    };
    let part = if row.alive && row.last_error.is_some() { Part::Warning } else { part };
    let trouble = row.last_error.as_deref().map(|error| format!("  trouble: {}", one_line(error))).unwrap_or_default();
    let text = format!(
        "{host}, pid {}: {state}, heard {heard} ago, pass {}, {} moved{trouble}",
        row.pid, row.passes, row.processed
    );
    (sign, part, text)
}

/// How many commands of a target are in line, uncertain, given up.
fn counts(deliveries: &Deliveries, id: &str) -> [(usize, &'static str); 3] {
    let of =
        |is: fn(Phase) -> bool| deliveries.commands.iter().filter(|row| row.target_id == id && is(row.phase)).count();
    [
        (of(Phase::holds_the_line), "in line"),
        (of(|phase| phase == Phase::Ambiguous), "uncertain"),
        (of(Phase::is_dead_letter), "given up"),
    ]
}

fn target(app: &App, id: &str, name: &str, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let Some(deliveries) = app.deliveries() else { return Line::default() };
    let mut words: Vec<String> = counts(deliveries, id)
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    let inbox = deliveries.inbox(id);
    if inbox.waiting > 0 {
        words.push(format!("{} in its inbox", inbox.waiting));
    }
    if words.is_empty() {
        words.push("nothing open".to_owned());
    }
    let name = cut(&format!("to {name}"), width / 2, glyphs);
    let room = width.saturating_sub(name.width() + glyphs.separator().width());
    Line::from(vec![
        span(app, Part::Title, name),
        span(app, Part::Dim, format!("{}{}", glyphs.separator(), cut(&words.join(", "), room, glyphs))),
    ])
}

/// A message in one line: how it stands, what it is, its text, its age.
fn message(
    app: &App,
    sign: &'static str,
    (part, word): (Part, &str),
    kind: &str,
    text: &str,
    (at, width): (Timestamp, usize),
) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let age = format!("{:>5} ", ago(Some(at), app.now));
    let state = pad(word, 9, glyphs);
    let room = width.saturating_sub(sign.width() + 2 + state.width() + age.width() + 2);
    let kind = pad(kind, 7.min(room), glyphs);
    let text = pad(text, room.saturating_sub(kind.width() + 1), glyphs);
    Line::from(vec![
        Span::styled(format!("{sign}  "), app.settings.theme.style(part)),
        Span::styled(format!("{state} "), app.settings.theme.style(part)),
        span(app, Part::Title, kind),
        span(app, Part::Text, format!(" {text} ")),
        span(app, Part::Dim, age),
    ])
}

fn title(row: Row<'_>) -> String {
    match row {
        Row::Nobody => "nobody delivers".to_owned(),
        Row::Dispatcher(row) => format!("dispatcher {}", row.id),
        Row::Target(_, name) => format!("the queue of {name}"),
        Row::Command(row) => format!("{} to {}", delivery::kind(row.kind), row.target),
        Row::Item(row) => format!("message {} in the inbox of {}", row.id, row.target),
    }
}

fn detail(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
    let width = width.saturating_sub(2);
    let Some(deliveries) = app.deliveries() else { return Vec::new() };
    let lines = match row {
        Row::Nobody => nobody(deliveries),
        Row::Dispatcher(row) => of_dispatcher(app, row),
        Row::Target(id, name) => of_target(app, deliveries, id, name),
        Row::Command(row) => of_command(app, deliveries, row),
        Row::Item(row) => {
            let mut lines = delivery::facts(app, &row.facts);
            lines.push((Part::Text, String::new()));
            lines.extend(of_exchange(app, &row.id.to_string(), None));
            lines
        }
    };
    lines
        .into_iter()
        .flat_map(|(part, text)| wrap(&text, width, STEP_LINES).into_iter().map(move |line| (part, line)))
        .collect()
}

fn nobody(deliveries: &Deliveries) -> Vec<(Part, String)> {
    let waiting = deliveries.health.waiting;
    let wait = match waiting {
        0 => "Nothing waits at present.".to_owned(),
        1 => "1 message waits.".to_owned(),
        more => format!("{more} messages wait."),
    };
    vec![
        (
            Part::Warning,
            format!("No dispatcher is alive, so nothing is delivered and no manager hears of its worker. {wait}"),
        ),
        (Part::Text, String::new()),
        (Part::Text, "In the background, until it is stopped:".to_owned()),
        (Part::Key, "    conveyor dispatch --watch --detach".to_owned()),
        (Part::Text, "Once, now:".to_owned()),
        (Part::Key, "    conveyor dispatch --once".to_owned()),
        (Part::Dim, "A cockpit started without --no-dispatch delivers as long as it is open.".to_owned()),
    ]
}

fn of_dispatcher(app: &App, row: &DispatcherView) -> Vec<(Part, String)> {
    let when = |at| format!("{} ago", ago(Some(at), app.now));
    let (_, part, text) = dispatcher(app, row);
    let mut lines = vec![
        (part, text),
        (Part::Text, format!("started    {}", when(row.started_at))),
        (Part::Text, format!("heartbeat  {}", when(row.heartbeat_at))),
        (Part::Text, format!("passes     {}, {} moved", row.passes, row.processed)),
    ];
    let only = [("type", row.wanted.as_deref()), ("task", row.task_id.as_deref())];
    lines
        .extend(only.into_iter().filter_map(|(what, only)| Some((Part::Text, format!("only       {what} {}", only?)))));
    lines.extend(row.stop_requested_at.map(|at| (Part::Text, format!("asked to end {}", when(at)))));
    lines.extend(row.log_path.as_deref().map(|path| (Part::Dim, format!("log        {path}"))));
    lines.extend(row.last_error.as_deref().map(|error| (Part::Failed, format!("trouble    {}", one_line(error)))));
    if !row.alive && row.state == "running" {
        let text = "It has not been heard of for too long. What it holds is taken over when its lease runs out.";
        lines.push((Part::Warning, text.to_owned()));
    }
    if row.alive {
        lines.push((Part::Key, format!("to end it: conveyor dispatch stop {}", row.id)));
    }
    lines
}

fn of_target(app: &App, deliveries: &Deliveries, id: &str, name: &str) -> Vec<(Part, String)> {
    let mut lines: Vec<(Part, String)> = counts(deliveries, id)
        .into_iter()
        .map(|(count, word)| (if count > 0 { Part::Text } else { Part::Dim }, format!("{word:10} {count}")))
        .collect();
    let inbox = deliveries.inbox(id);
    lines.push((
        Part::Text,
        format!("{:10} {} to be fetched or confirmed, {} unread", "inbox", inbox.waiting, inbox.unread),
    ));
    if let Some(row) = app.board().and_then(|board| board.sessions.iter().find(|row| row.id == id)) {
        let ready = &row.judgement.ready_for_text;
        lines.push((
            Part::Text,
            format!("{:10} {}: {}", "it is", row.judgement.condition, one_line(&row.judgement.reason)),
        ));
        lines.push((Part::Dim, format!("{:10} {ready}", "for text")));
    }
    lines.push((
        Part::Dim,
        "Each target gets its messages in the order in which they were sent; the first holds the others back."
            .to_owned(),
    ));
    lines.push((Part::Dim, format!("the same headless: conveyor commands --session {name} --attempts")));
    lines
}

fn of_command(app: &App, deliveries: &Deliveries, row: &CommandRow) -> Vec<(Part, String)> {
    let mut lines = delivery::way(app, deliveries, row);
    lines.extend(delivery::keys(app, row.phase).map(|keys| (Part::Key, keys)));
    lines.push((Part::Text, String::new()));
    lines.extend(of_exchange(app, &row.id, Some(&row.id)));
    lines
}

/// The exchange with tries, lease and proof of the command, then everything in order.
fn of_exchange(app: &App, id: &str, command_id: Option<&str>) -> Vec<(Part, String)> {
    let exchange = match &app.dispatch.exchange {
        Some((asked, Ok(exchange))) if asked == id => exchange,
        Some((asked, Err(failure))) if asked == id => {
            return vec![(Part::Error, format!("its exchange is not known: {}", failure.message))];
        }
        _ => return vec![(Part::Dim, "looking for its tries".to_owned())],
    };
    let mut lines = Vec::new();
    let link = command_id.and_then(|id| exchange.commands.iter().find(|link| link.command_id == id));
    lines.extend(link.into_iter().flat_map(|link| of_link(app, link)));
    lines.extend(conversation(app, exchange));
    lines.push((Part::Dim, format!("correlation {}", exchange.correlation_id)));
    lines
}

fn of_link(app: &App, link: &Link) -> Vec<(Part, String)> {
    let mut lines = Vec::new();
    if let Some(lease) = &link.lease {
        let until = lease.expires_at.map_or_else(String::new, |at| {
            let left = (at.as_millis() - app.now.as_millis()) / 1000;
            if left > 0 { format!(", for {} more", age(left)) } else { ", run out".to_owned() }
        });
        lines.push((Part::Working, format!("lease      held by {}{until}", lease.by)));
    }
    if link.side_effect_risk {
        let text = "risk       a try has begun outside the ledger, and how it ended is not known yet";
        lines.push((Part::NeedsYou, text.to_owned()));
    }
    for attempt in &link.attempts {
        let way = attempt.lane.map_or("?", |lane| lane.as_str());
        let error = attempt.error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
        let took = attempt.finished_at.map_or_else(String::new, |at| {
            let millis = (at.as_millis() - attempt.started_at.as_millis()).max(0);
            if millis < 1000 { format!(" in {millis} ms") } else { format!(" in {}", age(millis / 1000)) }
        });
        let text = format!(
            "try {:<6} {} ago by {way}: {}{took}{error}",
            attempt.id,
            ago(Some(attempt.started_at), app.now),
            attempt.state
        );
        lines.push((Part::Text, text));
    }
    if let Some(receipt) = &link.receipt {
        let (offset, path) = (receipt["byte_offset"].as_u64(), receipt["path"].as_str());
        match (offset, path) {
            (Some(offset), Some(path)) => {
                lines.push((Part::DoneUnseen, format!("proof      byte {offset} of its rollout")));
                lines.push((Part::Dim, format!("           {path}")));
            }
            _ => {
                let kind = receipt["kind"].as_str().unwrap_or("?");
                lines.push((Part::DoneUnseen, format!("proof      {}", kind.replace('_', " "))));
            }
        }
    }
    lines.push((Part::Text, String::new()));
    lines
}

fn conversation(app: &App, exchange: &Exchange) -> Vec<(Part, String)> {
    let mut lines = vec![(Part::Title, "from end to end".to_owned())];
    for step in &exchange.conversation {
        let part = match step.kind {
            StepKind::WorkerReceipt => Part::Agent,
            StepKind::Proof | StepKind::Consumed => Part::DoneUnseen,
            StepKind::Stands => Part::Warning,
            StepKind::Command
            | StepKind::DispatchAttempt
            | StepKind::RoutedNotification
            | StepKind::Read
            | StepKind::Acknowledged => Part::Text,
        };
        lines.push((part, format!("{:>5} ago  {}", ago(step.at, app.now), step.label)));
        lines.extend(step.detail.as_deref().map(|detail| (Part::Dim, format!("           {}", one_line(detail)))));
    }
    lines
}
