//! The pane beside the queues: who delivers, a target, or a message with its tries, its lease, its proof and the whole
//! exchange.

use super::{Row, counts, dispatcher};
use crate::{
    actions::{Deliveries, DispatcherView, Exchange, Link, StepKind},
    base::text::{age, one_line},
    model::deliveries::{CommandRow, Preview},
    tui::{
        app::App,
        screen::{ago, delivery},
        theme::Part,
        wrap::indented,
    },
};

/// The most lines of one step of an exchange.
const STEP_LINES: usize = 20;

/// The row in lines of this width.
pub(super) fn of(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
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
            if app.dispatch.view.whole {
                lines.extend(message(&row.message));
            }
            lines.extend(of_exchange(app, &row.id.to_string(), None));
            lines
        }
    };
    let is_whole = app.dispatch.view.whole;
    lines
        .into_iter()
        .flat_map(|(part, text)| {
            // Where there is room, what belongs together stands together.
            let lines = if is_whole && text.is_empty() { vec![text] } else { indented(&text, width, STEP_LINES) };
            lines.into_iter().map(move |line| (part, line))
        })
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
        let ready = row.judgement.ready_for_text.word();
        lines.push((
            Part::Text,
            format!("{:10} {}: {}", "it is", row.judgement.word(), one_line(&row.judgement.reason)),
        ));
        lines.push((Part::Dim, format!("{:10} {ready}", "for text")));
    }
    lines.push((
        Part::Dim,
        "Each target gets its messages in the order in which they were sent; the first holds the others back."
            .to_owned(),
    ));
    lines.push((Part::Dim, format!("the same in a shell: conveyor commands --session {name} --attempts")));
    lines
}

fn of_command(app: &App, deliveries: &Deliveries, row: &CommandRow) -> Vec<(Part, String)> {
    let mut lines = delivery::way(app, deliveries, row);
    lines.extend(delivery::keys(app, row.phase).map(|keys| (Part::Key, keys)));
    lines.push((Part::Text, String::new()));
    if app.dispatch.view.whole {
        lines.extend(message(&row.message));
        lines.extend(facts(app, row));
    }
    lines.extend(of_exchange(app, &row.id, Some(&row.id)));
    lines
}

/// What it says, as far as a screen holds it.
fn message(message: &Preview) -> Vec<(Part, String)> {
    let mut lines = vec![(Part::Title, "message".to_owned())];
    match message {
        Preview::Text(text) => lines.extend(text.lines().map(|line| (Part::Text, format!("  {line}")))),
        Preview::Long(bytes) => {
            lines.push((Part::Dim, format!("  {bytes} bytes, too long to be shown here: `conveyor commands --json`")));
        }
    }
    lines.push((Part::Text, String::new()));
    lines
}

/// What is on record of it beside its way.
fn facts(app: &App, row: &CommandRow) -> Vec<(Part, String)> {
    let tries = match row.attempts {
        1 => "1 try".to_owned(),
        count => format!("{count} tries"),
    };
    let mut lines = vec![(
        Part::Text,
        format!(
            "sent       {} ago by {}, moved {} ago, {tries}",
            ago(Some(row.created_at), app.now),
            row.created_by,
            ago(Some(row.updated_at), app.now)
        ),
    )];
    lines.extend(row.task.as_deref().map(|task| (Part::Text, format!("task       {task}"))));
    lines.push((Part::Dim, format!("id         {}", row.id)));
    lines.push((Part::Text, String::new()));
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
    for (number, attempt) in (1..).zip(&link.attempts) {
        let way = attempt.lane.map_or("?", |lane| lane.as_str());
        let error = attempt.error.as_deref().map(|error| format!(": {}", one_line(error))).unwrap_or_default();
        let took = attempt.finished_at.map_or_else(String::new, |at| {
            let millis = (at.as_millis() - attempt.started_at.as_millis()).max(0);
            if millis < 1000 { format!(" in {millis} ms") } else { format!(" in {}", age(millis / 1000)) }
        });
        let text = format!(
            "try {number:<6} {} ago by {way}: {}{took}{error}",
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
    if !lines.is_empty() {
        lines.push((Part::Text, String::new()));
    }
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
