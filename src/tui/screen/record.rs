//! Drawing what was said about a task. What somebody else wrote stands behind a mark.

use ratatui::text::Line;

use super::{ago, layers, styled};
use crate::{
    actions::{RecordedAck, RecordedDecision, RecordedHandoff, RecordedRound, TaskRecord},
    base::text::visible_line,
    model::supervision::{Proposer, acknowledgement_stands},
    tui::{
        app::App,
        keymap::{Intent, Place},
        record::{Recorded, shown},
        submitting::command_line,
        theme::Part,
        works::works,
        wrap::indented,
    },
};

/// The most lines of one entry.
const LINES: usize = 200;

/// The keys that add something, in the order in which they stand below the box.
const ACTS: [(Intent, &str); 7] = [
    (Intent::Judge, "judge"),
    (Intent::HaveJudged, "review"),
    (Intent::Propose, "propose"),
    (Intent::WorkerAck, "worker's ack"),
    (Intent::ManagerAck, "manager's ack"),
    (Intent::Handoff, "handoff"),
    (Intent::Decide, "decide"),
];

/// The lines that are said, each with its part.
type Said = Vec<(Part, String)>;

/// The lines of the box.
pub(super) fn lines(app: &App, recorded: &Recorded, width: usize) -> Vec<Line<'static>> {
    let mut said = match &recorded.known {
        None => vec![(Part::Dim, "looking".to_owned())],
        Some(Err(failure)) => failure.told(),
        Some(Ok(known)) => words(app, known),
    };
    let line = format!("the proposals headless: {}", command_line(app, &shown(&recorded.name)));
    said.extend([(Part::Text, String::new()), (Part::Dim, line)]);
    let lines = said.iter().flat_map(|(part, text)| {
        let lines = indented(&visible_line(text), width, LINES);
        lines.into_iter().map(|line| styled(app, *part, line))
    });
    lines.collect()
}

/// The keys below the box: what can be done now.
pub(super) fn keys(app: &App, width: usize) -> Vec<Line<'static>> {
    let acts = ACTS.iter().filter(|(intent, _)| works(app, *intent)).copied();
    layers::key_lines(app, Place::Record, acts.chain([(Intent::Back, "close")]), width)
}

fn words(app: &App, known: &TaskRecord) -> Said {
    let mut said = Said::new();
    rounds(app, known, &mut said);
    let needed = if known.acks_required { "required" } else { "not required" };
    let terms = if known.terms == 0 { String::new() } else { format!("; they are of revision {}", known.terms) };
    said.push((Part::Title, format!("acknowledgements of the terms: {needed}{terms}")));
    for ack in &known.acks {
        acknowledged(app, ack, known.acks_required, &mut said);
    }
    handoff(app, known.handoff.as_ref(), &mut said);
    decisions(app, &known.decisions, &mut said);
    said
}

/// What somebody has written, each line behind a mark.
fn quoted(indent: &str, text: &str, said: &mut Said) {
    said.extend(text.lines().map(|line| (Part::Text, format!("{indent}| {line}"))));
}

fn rounds(app: &App, known: &TaskRecord, said: &mut Said) {
    said.push((Part::Title, "what comes next:".to_owned()));
    if known.rounds.is_empty() {
        return said.push((Part::Dim, "  nobody has proposed anything".to_owned()));
    }
    match &known.not_to_proceed {
        Some(reason) => said.push((Part::Warning, format!("  not to proceed: {reason}"))),
        None => said.push((Part::DoneUnseen, "  the newest round is to proceed".to_owned())),
    }
    known.rounds.iter().for_each(|round| self::round(app, round, said));
    if known.older_rounds > 0 {
        said.push((Part::Dim, format!("  and {} older; the command below lists them", known.older_rounds)));
    }
}

fn round(app: &App, round: &RecordedRound, said: &mut Said) {
    said.push((Part::Key, format!("  round {}", round.round)));
    for (proposer, at) in &round.proposed {
        let by = round.spoken_for.iter().find(|(side, _)| side == proposer).map(|(_, by)| by);
        let when = ago(Some(*at), app.now);
        said.push(match by {
            None => (Part::Dim, format!("    the {proposer} proposed {when} ago")),
            Some(by) => (Part::Warning, format!("    proposed {when} ago by {by} for the {proposer}")),
        });
        let words = round.proposals.iter().filter(|(side, _)| side == proposer).flat_map(|(_, words)| words);
        words.for_each(|line| quoted("      ", line, said));
    }
    if !round.is_ready() {
        let missing =
            if round.proposed.iter().any(|(side, _)| *side == Proposer::Worker) { "manager" } else { "worker" };
        said.push((Part::Dim, format!("    the {missing} has not; until then nobody is shown what is proposed")));
    }
    for (at, judged) in &round.judged {
        let (agreement, verdict) = (judged.agreement, judged.verdict);
        let words = format!("    the {} judged {} ago: {agreement}, {verdict}", judged.source, ago(Some(*at), app.now));
        said.push((Part::Title, words));
        quoted("      ", &judged.rationale, said);
        judged.addendum.iter().for_each(|addendum| quoted("      ", addendum, said));
    }
    if let Some((id, why)) = &round.asked {
        said.push((Part::Warning, format!("    question {id} to you is open: {why}")));
    } else if round.is_ready() && round.judged.is_empty() {
        said.push((Part::Dim, "    nobody has judged it".to_owned()));
    }
}

fn acknowledged(app: &App, ack: &RecordedAck, is_required: bool, said: &mut Said) {
    let part = if is_required && !ack.faults.is_empty() { Part::Warning } else { Part::Dim };
    let Some(words) = &ack.said else {
        return said.push((part, format!("  {}: nothing was said", ack.role)));
    };
    let stands = acknowledgement_stands(&ack.faults);
    let terms = words.terms.map_or("before any terms".to_owned(), |revision| format!("about terms {revision}"));
    let when = ago(Some(words.at), app.now);
    let by = words.by.as_ref().map(|by| format!(" by {by} for the {}", ack.role)).unwrap_or_default();
    said.push((part, format!("  {}: revision {}, {terms}, said {when} ago{by}, {stands}", ack.role, words.revision)));
    words.words.iter().for_each(|line| quoted("    ", line, said));
}

fn handoff(app: &App, handoff: Option<&RecordedHandoff>, said: &mut Said) {
    said.push((Part::Title, "handoff:".to_owned()));
    let Some(RecordedHandoff { id, at, by, summary, next_steps, is_fresh }) = handoff else {
        return said.push((Part::Dim, "  none; a manager's compaction of the worker needs one".to_owned()));
    };
    let when = ago(Some(*at), app.now);
    let by = by.as_ref().map(|by| format!(" by {by} for the worker")).unwrap_or_default();
    if *is_fresh {
        said.push((Part::Dim, format!("  number {id}, {when} ago{by}, holds")));
    } else {
        let why = "does not hold: from before the last compaction, or from another binding";
        said.push((Part::Warning, format!("  number {id}, {when} ago{by}, {why}")));
    }
    quoted("    ", summary, said);
    next_steps.iter().for_each(|step| quoted("    ", &format!("next: {step}"), said));
}

fn decisions(app: &App, decisions: &[RecordedDecision], said: &mut Said) {
    said.push((Part::Title, "decisions, the newest first:".to_owned()));
    if decisions.is_empty() {
        said.push((Part::Dim, "  none".to_owned()));
    }
    for one in decisions {
        let RecordedDecision { id, at, decision, who, reason, carries_until } = one;
        let left = carries_until.as_millis() - app.now.as_millis();
        let (part, stands) = if left > 0 {
            (Part::Text, format!("can be named for {} more", crate::base::text::age(left / 1_000)))
        } else {
            (Part::Dim, "too old to be named".to_owned())
        };
        said.push((part, format!("  {id} {decision}, by {who} {} ago, {stands}", ago(Some(*at), app.now))));
        quoted("    ", reason, said);
    }
}
