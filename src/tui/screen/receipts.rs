//! Drawing the list of receipts.

use ratatui::{Frame, text::Line};

use super::{
    ago,
    layers::{boxed, boxes},
    put, span,
};
use crate::{
    base::text::one_line,
    tui::{
        app::App,
        receipts::{Outcome, Receipt},
        theme::Part,
        wrap::{cut, pad},
    },
};

/// Lines of a receipt.
const LINES: usize = 2;

/// Draws the box: for each command how it stands and since when, below it its command line.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>, selected: u64) {
    let list = app.receipts.list();
    let room = usize::from(boxes(app.size, usize::from(app.size.height)).1.height);
    let visible = (room / LINES).max(1).min(list.len());
    let at = list.iter().position(|receipt| receipt.number == selected).unwrap_or(0);
    let first = (at + 1).saturating_sub(visible);
    let title = format!("receipts: {} of {}", at + 1, list.len());
    let inner = boxed(app, frame, &title, visible * LINES);
    let width = usize::from(inner.width);
    for (index, receipt) in list.iter().enumerate().skip(first).take(visible) {
        let row = (index - first) * LINES;
        put(frame, inner, row, head(app, receipt, index == at, width));
        let line = cut(&receipt.line, width.saturating_sub(4), app.settings.glyphs);
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
