//! Drawing the gates of a task that is to be finished, and the proofs of its criteria.

use ratatui::text::Line;

use super::{layers::wrapped, span, styled};
use crate::{
    actions::{Action as _, ShownCriterion},
    base::text::one_line,
    model::supervision::{CriterionStatus, evidence::Grade},
    tui::{
        app::App,
        finish::Finishing,
        keymap::{Intent, Place},
        submitting::command_line,
        theme::Part,
        wrap::wrap,
    },
};

/// The lines of the box.
pub(super) fn lines(app: &App, finishing: &Finishing, width: usize) -> Vec<Line<'static>> {
    let mut lines = match &finishing.review {
        None => wrapped(app, Part::Dim, "looking at every gate", width),
        Some(Err(failure)) => wrapped(app, Part::Error, &failure.message, width),
        Some(Ok(review)) => {
            let mut lines = Vec::new();
            for gate in &review.gates {
                let (part, sign) = if gate.ok { (Part::DoneUnseen, "ok  ") } else { (Part::Warning, "open") };
                let name = gate.gate.as_str().replace('_', " ");
                lines.push(Line::from(vec![
                    span(app, part, format!("{sign} ")),
                    span(app, Part::Text, name),
                    span(app, Part::Dim, format!("  wanted by {}", wanted_by(gate.wanted_by.as_str()))),
                ]));
                let reasons = gate.reasons.iter().map(|reason| (Part::Text, reason));
                let notes = gate.notes.iter().map(|note| (Part::Warning, note));
                for (part, told) in reasons.chain(notes) {
                    let texts = wrap(&one_line(told), width.saturating_sub(5), 200);
                    lines.extend(texts.into_iter().map(|text| styled(app, part, format!("     {text}"))));
                }
            }
            lines
        }
    };
    lines.push(Line::default());
    let word = |stops: bool| if stops { "is stopped" } else { "goes on" };
    let sessions = format!(
        "Its binding ends and what waits for it is taken back. The worker {}, the manager {}.",
        word(finishing.stop_worker),
        word(finishing.stop_manager)
    );
    lines.extend(wrapped(app, Part::Text, &sessions, width));
    let line = command_line(app, &finishing.action().argv());
    lines.extend(wrapped(app, Part::Dim, &format!("runs: {line}"), width));
    lines
}

fn wanted_by(word: &str) -> &str {
    match word {
        "always" => "every task",
        "terms" => "its terms",
        other => other,
    }
}

/// The keys below the box.
pub(super) fn keys(app: &App, finishing: &Finishing) -> Line<'static> {
    let mut parts = Vec::new();
    let mut key = |intent: Intent, text: &'static str| {
        parts.push(span(app, Part::Key, app.key_in(Place::Finish, intent)));
        parts.push(span(app, Part::Text, format!(" {text}  ")));
    };
    if finishing.is_open() {
        key(Intent::Yes, "finish");
    }
    key(Intent::WithWorker, "stop worker");
    key(Intent::WithManager, "stop manager");
    key(Intent::Back, "leave");
    Line::from(parts)
}

/// What was asked for, and what shows it.
pub(super) fn proofs(criteria: &[ShownCriterion], width: usize) -> Vec<(Part, String)> {
    let mut lines = Vec::new();
    let mut text = |part: Part, first: &str, text: &str| {
        let indent = " ".repeat(first.chars().count());
        for (index, line) in wrap(&one_line(text), width.saturating_sub(indent.len()), 20).into_iter().enumerate() {
            lines.push((part, format!("{}{line}", if index == 0 { first } else { &indent })));
        }
    };
    for one in criteria {
        let part = match one.status {
            CriterionStatus::Satisfied => Part::DoneUnseen,
            CriterionStatus::Accepted => Part::Text,
            CriterionStatus::Proposed => Part::Warning,
            CriterionStatus::Deferred | CriterionStatus::Rejected => Part::Dim,
        };
        text(part, &format!("#{} {} ", one.id, one.status), &one.text);
        if let Some(proof) = &one.proof {
            text(Part::Dim, "   said: ", proof);
        }
        for (grade, link) in &one.links {
            let (part, first) = match grade {
                Grade::Verified => (Part::Text, "   proof: "),
                Grade::Claimed => (Part::Dim, "   claim: "),
            };
            text(part, first, link);
        }
        if one.links.is_empty() && one.status == CriterionStatus::Satisfied {
            text(Part::Warning, "   ", "nothing was shown");
        }
    }
    lines
}
