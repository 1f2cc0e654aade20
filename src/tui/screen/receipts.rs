//! Drawing the receipts: all of them in a list, and one in full. A receipt says how it stands at the moment.

use ratatui::{Frame, text::Line};

use super::{
    ago, delivery,
    layers::{boxed, boxes, wrapped},
    put, span, styled,
};
use crate::{
    base::text::one_line,
    model::state::{Condition, predicate},
    tui::{
        app::App,
        receipts::{Outcome, Receipt, Sent},
        theme::Part,
        wrap::{cut, indented, pad},
    },
};

/// Lines of a receipt.
const LINES: usize = 2;

/// The most lines of one step of a message's way.
const WAY_LINES: usize = 50;

/// The heading of one receipt: what it came to, as far as that is known now.
pub(super) fn title(app: &App, number: u64) -> String {
    let Some(receipt) = app.receipts.get(number) else { return "a receipt".to_owned() };
    match (&receipt.outcome, receipt.sent.as_slice()) {
        (Outcome::Done { .. }, [sent]) if receipt.is_message => heading(app, sent),
        (Outcome::Done { .. }, [_, ..]) => format!("done: {}", one_line(&receipt.status())),
        _ => receipt.word(),
    }
}

/// One receipt in full: what the command says, and how far the messages have come that it queued.
pub(super) fn lines(app: &App, number: u64, width: usize) -> Vec<Line<'static>> {
    let Some(receipt) = app.receipts.get(number) else {
        return wrapped(app, Part::Dim, "newer receipts have taken its place", width);
    };
    let mut lines = match &receipt.outcome {
        Outcome::Running => wrapped(app, Part::Dim, "its result appears here when it is there", width),
        Outcome::Failed(failure) => {
            failure.told().iter().flat_map(|(part, text)| wrapped(app, *part, text, width)).collect()
        }
        // How the message stood when the command returned is told below by how it stands now.
        Outcome::Done { .. } if receipt.is_message => Vec::new(),
        Outcome::Done { prose, .. } => wrapped(app, Part::Text, prose, width),
    };
    if let Some(text) = now(app, receipt) {
        lines.extend(wrapped(app, Part::Text, &text, width));
    }
    for sent in &receipt.sent {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        if receipt.sent.len() > 1 {
            lines.extend(wrapped(app, Part::Title, &heading(app, sent), width));
        }
        for (part, text) in way(app, receipt, sent) {
            lines.extend(indented(&text, width, WAY_LINES).into_iter().map(|line| styled(app, part, line)));
        }
    }
    lines
}

/// What the session does now whose question was answered; none when that is not known since.
fn now(app: &App, receipt: &Receipt) -> Option<String> {
    let session = receipt.answered.as_deref()?;
    let board = app.board().filter(|board| receipt.ended_at.is_none_or(|at| board.taken_at >= at))?;
    let row = board.sessions.iter().find(|row| row.name == session)?;
    let judgement = &row.judgement;
    // A title, for one, that tells of the question for a while after it was answered.
    let is_outdated = judgement.since.is_none_or(|since| since <= receipt.begun_at) && row.asks.is_none();
    if judgement.condition == Condition::Blocked && is_outdated {
        return None;
    }
    let since = judgement.since.map(|since| format!(" since {}", ago(Some(since), app.now))).unwrap_or_default();
    Some(format!("now: {session} {}{since}: {}", predicate(judgement.word()), one_line(&judgement.reason)))
}

/// A message and how it stands.
fn heading(app: &App, sent: &Sent) -> String {
    let row = app.deliveries().and_then(|deliveries| deliveries.command(&sent.id));
    let about = row.map_or_else(|| "message".to_owned(), delivery::name);
    let phase = row.map(|row| row.phase).or(sent.phases.last().copied());
    format!("{about}: {}", phase.map_or_else(|| "accepted".to_owned(), delivery::word))
}

/// What a receipt is about: its messages by their names, else its command in short.
fn about(app: &App, receipt: &Receipt) -> String {
    let row = |sent: &Sent| app.deliveries().and_then(|deliveries| deliveries.command(&sent.id)).map(delivery::name);
    let names: Option<Vec<String>> = receipt.sent.iter().map(row).collect();
    match names {
        Some(names) if !names.is_empty() => names.join(", "),
        _ => receipt.about.clone(),
    }
}

/// How far a message has come; what the command said of it, while the ledger has not been asked.
fn way(app: &App, receipt: &Receipt, sent: &Sent) -> Vec<(Part, String)> {
    match &receipt.outcome {
        Outcome::Done { prose, .. }
            if receipt.is_message && app.deliveries().is_none_or(|it| it.command(&sent.id).is_none()) =>
        {
            let mut lines = vec![(Part::Text, prose.clone())];
            lines.extend(delivery::way_of(app, &sent.id));
            lines
        }
        _ => delivery::way_of(app, &sent.id),
    }
}

/// Draws the box: for each command how it stands and since when, below it its command line.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, selected: u64) {
    let list = app.receipts.list();
    let room = usize::from(boxes(app, usize::from(app.size.height)).1.height);
    let visible = (room / LINES).max(1).min(list.len());
    let at = list.iter().position(|receipt| receipt.number == selected).unwrap_or(0);
    let first = (at + 1).saturating_sub(visible);
    let title = format!("receipts: {} of {}", at + 1, list.len());
    let inner = boxed(app, frame, &title, visible * LINES);
    let width = usize::from(inner.width);
    for (index, receipt) in list.iter().enumerate().skip(first).take(visible) {
        let row = (index - first) * LINES;
        put(frame, inner, row, head(app, receipt, index == at, width));
        // What it is about comes first: a line gives way at its end.
        let about = about(app, receipt);
        let line = if about.is_empty() { receipt.line.clone() } else { format!("{about}: {}", receipt.line) };
        let line = cut(&line, width.saturating_sub(4), app.settings.glyphs);
        put(frame, inner, row + 1, Line::from(vec![span(app, Part::Dim, format!("    {line}"))]));
    }
}

fn head(app: &App, receipt: &Receipt, selected: bool, width: usize) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let failing = receipt.is_failing();
    let (sign, part) = match &receipt.outcome {
        _ if failing => ("x", Part::Failed),
        Outcome::Running => ("*", Part::Working),
        Outcome::Done { .. } | Outcome::Failed(_) => (" ", Part::Text),
    };
    let when = format!("{:>5}", ago(Some(receipt.ended_at.unwrap_or(receipt.begun_at)), app.now));
    let mark = if selected { ">" } else { " " };
    let status = pad(&one_line(&receipt.status()), width.saturating_sub(4 + when.len()), glyphs);
    Line::from(vec![
        span(app, if selected { Part::Selected } else { Part::Text }, mark),
        span(app, part, format!("{sign} ")),
        span(app, if selected { Part::Selected } else { part }, status),
        span(app, Part::Dim, format!(" {when}")),
    ])
}
