//! Drawing the terms of a task in plain words.

use ratatui::text::Line;

use super::{ago, layers::wrapped, span};
use crate::{
    actions::{PolicyAck, TaskPolicy},
    base::text::visible_line,
    model::supervision::{Category, NudgeOnCompletion, Permission, Terms},
    tui::{
        app::App,
        keymap::{Intent, Place},
        policy::{Policy, shown},
        submitting::command_line,
        theme::Part,
        works::works,
    },
};

/// The lines of the box.
pub(super) fn lines(app: &App, policy: &Policy, width: usize) -> Vec<Line<'static>> {
    let said = match &policy.known {
        None => vec![(Part::Dim, "looking".to_owned())],
        Some(Err(failure)) => vec![(Part::Error, failure.message.clone())],
        Some(Ok(known)) => words(app, known),
    };
    let line = format!("the same headless: {}", command_line(app, &shown(&policy.name)));
    let said = said.into_iter().chain([(Part::Text, String::new()), (Part::Dim, line)]);
    said.flat_map(|(part, text)| wrapped(app, part, &visible_line(&text), width)).collect()
}

/// The keys below the box.
pub(super) fn keys(app: &App) -> Line<'static> {
    let mut parts = Vec::new();
    let known = [(Intent::Terms, "change"), (Intent::Copy, "copy"), (Intent::Back, "close")];
    for (intent, text) in known.into_iter().filter(|(intent, _)| works(app, *intent) || *intent == Intent::Back) {
        parts.push(span(app, Part::Key, app.key_in(Place::Policy, intent)));
        parts.push(span(app, Part::Text, format!(" {text}  ")));
    }
    Line::from(parts)
}

fn words(app: &App, policy: &TaskPolicy) -> Vec<(Part, String)> {
    let TaskPolicy { revision, terms, changed, nudges, has_reviewer, acks } = policy;
    let changed = changed.as_ref();
    let changed = changed.map(|(at, who)| format!(", changed {} ago by {who}", ago(Some(*at), app.now)));
    let changed = changed.unwrap_or_default();
    let mut said = Vec::new();
    let mut say = |part: Part, text: String| said.push((part, text));
    if *revision == 0 {
        say(Part::Warning, format!("no terms were set: its manager may do nothing that needs a permission{changed}"));
    } else {
        say(Part::Title, format!("terms of revision {revision}{changed}"));
        say(Part::Text, format!("mode: {}", terms.supervision_mode));
        say(Part::Text, format!("recipe: {}", terms.recipe_name.as_deref().unwrap_or("none")));
    }
    for category in Category::ALL {
        let (may, may_not): (Vec<Permission>, Vec<Permission>) = Permission::ALL
            .iter()
            .filter(|one| one.category() == *category)
            .partition(|one| terms.permissions.holds(**one));
        let names = |list: &[Permission]| list.iter().map(|one| one.action()).collect::<Vec<_>>().join(", ");
        let heading = category.as_str();
        if !may.is_empty() {
            say(Part::DoneUnseen, format!("may {heading}: {}", names(&may)));
        }
        if !may_not.is_empty() {
            say(Part::Dim, format!("may not {heading}: {}", names(&may_not)));
        }
    }
    match nudges {
        Some((used, most)) => {
            let left = most.saturating_sub(*used);
            say(Part::Text, format!("nudges: {used} of {most} used, {left} left"));
        }
        None => say(Part::Text, "nudges: no limit".to_owned()),
    }
    say(Part::Text, format!("when the worker has finished: {}", then(terms.nudge_on_completion, *has_reviewer)));
    let needed = if terms.require_acks { "required" } else { "not required" };
    say(Part::Text, format!("acknowledgements: {needed}"));
    for ack in acks {
        let part = if terms.require_acks && !ack.faults.is_empty() { Part::Warning } else { Part::Dim };
        say(part, format!("  {}: {}", ack.role, acknowledged(app, ack)));
    }
    lists(terms, &mut say);
    said
}

/// What was written down, each entry by itself; what is empty is said to be.
fn lists(terms: &Terms, say: &mut dyn FnMut(Part, String)) {
    let steps: Vec<String> = terms.epilogues.iter().map(ToString::to_string).collect();
    let lists: [(&str, &[String]); 6] = [
        ("closing steps", &steps),
        ("evidence gates", &terms.evidence_gates),
        ("tools", &terms.tools),
        ("acceptance", &terms.acceptance_criteria),
        ("guidelines", &terms.guidelines),
        ("references", &terms.reference_paths),
    ];
    for (name, list) in lists {
        match list {
            [] => say(Part::Dim, format!("{name}: none")),
            list => {
                say(Part::Title, format!("{name}:"));
                list.iter().for_each(|entry| say(Part::Text, format!("  {entry}")));
            }
        }
    }
    if let Some(objective) = &terms.objective {
        say(Part::Title, "objective:".to_owned());
        say(Part::Text, format!("  {objective}"));
    }
}

/// What follows when worker and manager have proposed, in words.
fn then(mode: NudgeOnCompletion, has_reviewer: bool) -> String {
    let words = match mode {
        NudgeOnCompletion::Off => "nothing follows",
        NudgeOnCompletion::AskOperator => "you are asked",
        NudgeOnCompletion::AutoReview => "a reviewer judges the proposals",
        NudgeOnCompletion::AutoProceed => "a reviewer judges the proposals, and the worker goes on when it agrees",
    };
    let is_missing = !has_reviewer && matches!(mode, NudgeOnCompletion::AutoReview | NudgeOnCompletion::AutoProceed);
    let missing = if is_missing { "; no reviewer is set, so you are asked" } else { "" };
    format!("{words}{missing} ({mode})")
}

fn acknowledged(app: &App, ack: &PolicyAck) -> String {
    let Some(at) = ack.said_at else { return "nothing was said".to_owned() };
    let faults: Vec<&str> = ack
        .faults
        .iter()
        .map(|fault| match *fault {
            "other_binding" => "said under another binding",
            "other_config_revision" => "said about other terms",
            other => other,
        })
        .collect();
    let stands = if faults.is_empty() { "holds".to_owned() } else { format!("does not hold: {}", faults.join(", ")) };
    format!("said {} ago, {stands}", ago(Some(at), app.now))
}
