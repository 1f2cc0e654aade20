//! Drawing the terms of a task in plain words.

use ratatui::text::Line;

use super::{ago, span, styled};
use crate::{
    actions::{PolicyAck, PolicyReviewer, TaskPolicy},
    base::text::visible_line,
    model::supervision::{Category, Mode, NudgeOnCompletion, Permission, Terms, acknowledgement_stands},
    tui::{
        app::App,
        keymap::{Intent, Place},
        policy::{Policy, shown},
        submitting::command_line,
        theme::Part,
        works::works,
        wrap::indented,
    },
};

/// The most lines of one entry.
const LINES: usize = 200;

/// The lines of the box.
pub(super) fn lines(app: &App, policy: &Policy, width: usize) -> Vec<Line<'static>> {
    let mut said = match &policy.known {
        None => vec![(Part::Dim, "looking".to_owned())],
        Some(Err(failure)) => failure.told(),
        Some(Ok(known)) => words(app, known),
    };
    let line = format!("the same headless: {}", command_line(app, &shown(&policy.name)));
    said.extend([(Part::Text, String::new()), (Part::Dim, line)]);
    let lines = said.iter().flat_map(|(part, text)| {
        let lines = indented(&visible_line(text), width, LINES);
        lines.into_iter().map(|line| styled(app, *part, line))
    });
    lines.collect()
}

/// The keys below the box.
pub(super) fn keys(app: &App) -> Line<'static> {
    let mut parts = Vec::new();
    let known =
        [(Intent::Terms, "change"), (Intent::Contract, "write"), (Intent::Copy, "copy"), (Intent::Back, "close")];
    for (intent, text) in known.into_iter().filter(|(intent, _)| works(app, *intent) || *intent == Intent::Back) {
        parts.push(span(app, Part::Key, app.key_in(Place::Policy, intent)));
        parts.push(span(app, Part::Text, format!(" {text}  ")));
    }
    Line::from(parts)
}

/// The lines that are said, each with its part.
type Said = Vec<(Part, String)>;

fn words(app: &App, policy: &TaskPolicy) -> Said {
    let TaskPolicy { revision, terms, changed, nudges, reviewer, acks } = policy;
    let changed = changed.as_ref();
    let changed = changed.map(|(at, who)| format!(", changed {} ago by {who}", ago(Some(*at), app.now)));
    let changed = changed.unwrap_or_default();
    let mut said = Said::new();
    if *revision == 0 {
        said.push((Part::Warning, format!("no terms were set{changed}")));
    } else {
        said.push((Part::Title, format!("terms of revision {revision}{changed}")));
        said.push((Part::Text, format!("mode: {}", terms.supervision_mode)));
        said.push((Part::Text, format!("recipe: {}", terms.recipe_name.as_deref().unwrap_or("none"))));
    }
    permissions(terms, &mut said);
    said.push((
        Part::Text,
        match nudges {
            Some((used, most)) => {
                format!("nudges: {used} of {most} used, {} left", most.saturating_sub(*used))
            }
            None => "nudges: no limit".to_owned(),
        },
    ));
    said.push((Part::Text, format!("when the worker has finished: {}", then(terms, reviewer.is_some()))));
    self::reviewer(reviewer.as_ref(), &mut said);
    let needed = if terms.require_acks { "required" } else { "not required" };
    said.push((Part::Text, format!("acknowledgements: {needed}")));
    for ack in acks {
        let part = if terms.require_acks && !ack.faults.is_empty() { Part::Warning } else { Part::Dim };
        said.push((part, format!("  {}: {}", ack.role, acknowledged(app, ack))));
    }
    end(app, terms, &mut said);
    lists(terms, &mut said);
    said
}

/// What the manager may, each by itself and in words, and what it may not, by its heading.
fn permissions(terms: &Terms, said: &mut Said) {
    said.push((Part::Title, "its manager may:".to_owned()));
    said.push((Part::Text, "  speak with its worker, always".to_owned()));
    let (may, may_not): (Vec<Permission>, Vec<Permission>) =
        Permission::ALL.iter().partition(|one| terms.permissions.holds(**one));
    said.extend(may.into_iter().map(|one| (Part::DoneUnseen, format!("  {} ({one})", one.words()))));
    if may_not.is_empty() {
        return;
    }
    said.push((Part::Title, "its manager may not:".to_owned()));
    for category in Category::ALL {
        let names: Vec<&str> =
            may_not.iter().filter(|one| one.category() == *category).map(|one| one.action()).collect();
        if !names.is_empty() {
            said.push((Part::Dim, format!("  {category}: {}", names.join(", "))));
        }
    }
}

/// What follows when worker and manager have proposed, in words.
fn then(terms: &Terms, has_reviewer: bool) -> String {
    let mode = terms.nudge_on_completion;
    let words = match mode {
        NudgeOnCompletion::Off => "nothing follows",
        NudgeOnCompletion::AskOperator => "you are asked",
        NudgeOnCompletion::AutoReview => "a reviewer judges the proposals",
        NudgeOnCompletion::AutoProceed => "a reviewer judges the proposals, and the worker goes on when it agrees",
    };
    let missing = match mode {
        NudgeOnCompletion::Off | NudgeOnCompletion::AskOperator => "",
        _ if !terms.permissions.holds(Permission::SpawnReviewer) => {
            "; context.spawn_reviewer is not allowed, so you are asked"
        }
        _ if !has_reviewer => "; no reviewer is set, so you are asked",
        _ => "",
    };
    format!("{words}{missing} ({mode})")
}

fn reviewer(set: Option<&Result<PolicyReviewer, String>>, said: &mut Said) {
    let reviewer = match set {
        None => return said.push((Part::Dim, "reviewer: none".to_owned())),
        Some(Err(error)) => {
            let words = format!("reviewer: what was set cannot be read, so you are asked: {error}");
            return said.push((Part::Warning, words));
        }
        Some(Ok(reviewer)) => reviewer,
    };
    let PolicyReviewer { command, reads, reaches, variables, seconds } = reviewer;
    said.push((Part::Text, format!("reviewer: {command}, confined, for at most {seconds} s")));
    let list = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    said.push((
        Part::Dim,
        format!(
            "  it reads {}; reaches {}; is given {} of your variables",
            list(reads),
            list(reaches),
            if variables.is_empty() { "none".to_owned() } else { variables.join(", ") }
        ),
    ));
}

/// What the task's end takes.
fn end(app: &App, terms: &Terms, said: &mut Said) {
    let key = app.key_in(Place::Task, Intent::Finish);
    said.push((Part::Title, format!("to finish the task ({key} on the Task screen shows how each stands):")));
    let mut wants =
        vec!["each accepted criterion is satisfied, on a receipt that Conveyor saw itself or on your word".to_owned()];
    wants.extend(terms.acceptance_criteria.iter().map(|text| format!("satisfied: {text}")));
    wants.extend(terms.evidence_gates.iter().map(|name| format!("evidence: {name}")));
    wants.extend(terms.epilogues.iter().map(|step| format!("closing step: {step}")));
    if terms.require_acks {
        wants.push("both have acknowledged the terms in force".to_owned());
    }
    if terms.supervision_mode == Mode::Strict {
        wants.push("a session that finishes it has recorded the decision to stop".to_owned());
    }
    said.extend(wants.into_iter().map(|want| (Part::Text, format!("  {want}"))));
}

/// What was written down, each entry by itself; what is empty is said to be.
fn lists(terms: &Terms, said: &mut Said) {
    let objective: Vec<String> = terms.objective.iter().cloned().collect();
    let lists: [(&str, &[String]); 4] = [
        ("tools", &terms.tools),
        ("objective", &objective),
        ("guidelines", &terms.guidelines),
        ("references", &terms.reference_paths),
    ];
    for (name, list) in lists {
        match list {
            [] => said.push((Part::Dim, format!("{name}: none"))),
            list => {
                said.push((Part::Title, format!("{name}:")));
                let lines = list.iter().flat_map(|entry| entry.lines());
                said.extend(lines.map(|line| (Part::Text, format!("  {line}"))));
            }
        }
    }
}

fn acknowledged(app: &App, ack: &PolicyAck) -> String {
    let Some(at) = ack.said_at else { return "nothing was said".to_owned() };
    format!("said {} ago, {}", ago(Some(at), app.now), acknowledgement_stands(&ack.faults))
}
