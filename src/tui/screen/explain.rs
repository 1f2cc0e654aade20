//! The explanation of a state, as text to be read.

use super::ago;
use crate::{
    base::Timestamp,
    model::state::{Agreement, Reading},
    tui::{app::App, backend::Explanation, theme::Part},
};

/// The paragraphs of what is known of this session's state.
#[must_use]
pub fn paragraphs(app: &App, session: &str) -> Vec<(Part, String)> {
    match app.explaining.of(session) {
        None => vec![(Part::Dim, "looking".to_owned())],
        Some(Ok(explanation)) => text(explanation, app.now),
        Some(Err(failure)) => failure.told(),
    }
}

/// The paragraphs of an explanation.
fn text(explanation: &Explanation, now: Timestamp) -> Vec<(Part, String)> {
    let judgement = &explanation.judgement;
    let source = judgement.source.map_or("no sensor", |source| source.as_str());
    let mut text = vec![
        (Part::Title, format!("{}: {}", judgement.word(), judgement.reason)),
        (Part::Text, format!("decided by {source}, rule {}, since {}", judgement.rule, since(judgement.since, now))),
        (agreement_part(judgement.agreement), agreement(judgement.agreement).to_owned()),
        (Part::Text, " ".to_owned()),
        (Part::Title, "readings, the most trusted first".to_owned()),
    ];
    if judgement.readings.is_empty() {
        text.push((Part::Dim, "none: no sensor said anything".to_owned()));
    }
    for reading in &judgement.readings {
        text.push((Part::Text, format!("{} says {}: {}", reading.source, reading.word(), reading.reason)));
        text.push((Part::Dim, details(reading, now)));
    }
    text.push((Part::Text, " ".to_owned()));
    text.push((Part::Title, "what stands behind it".to_owned()));
    if explanation.lines.is_empty() {
        text.push((Part::Dim, "no rollout line".to_owned()));
    }
    text.extend(explanation.lines.iter().map(|line| (Part::Text, line.clone())));
    text
}

fn since(at: Option<Timestamp>, now: Timestamp) -> String {
    match at {
        Some(at) => format!("{at} ({} ago)", ago(Some(at), now)),
        None => "unknown".to_owned(),
    }
}

fn details(reading: &Reading, now: Timestamp) -> String {
    let offset = reading.byte_offset.map_or_else(String::new, |offset| format!(", byte {offset}"));
    format!("  rule {}, since {}{offset}", reading.rule, since(reading.at, now))
}

fn agreement(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::Agree => "at least two sensors agree",
        Agreement::Single => "only one sensor said anything",
        Agreement::Disagree => "~ the sensors disagree; the most trusted one was taken",
        Agreement::Silent => "no sensor said anything",
    }
}

fn agreement_part(agreement: Agreement) -> Part {
    match agreement {
        Agreement::Agree | Agreement::Single => Part::Dim,
        Agreement::Disagree | Agreement::Silent => Part::Warning,
    }
}
