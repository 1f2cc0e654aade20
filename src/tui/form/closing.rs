//! The forms of what a task has to deliver and of its end.

use super::{
    Entry, Flag,
    control::{Candidate, Control},
    entries::{self, choice, line, pick, required, switch, text},
    recording,
    subjects::selected_task,
};
use crate::{
    actions::ShownCriterion,
    model::{board::TaskRow, supervision::CriterionMove},
    tui::{app::App, criteria, field::Field, finish},
};

/// The flags of which a form of satisfying wants one.
pub const EVIDENCE: [&str; 4] = ["--artifact", "--commit", "--byte", "--event"];

/// The open task whose criteria are meant.
fn task(app: &App) -> Result<&TaskRow, String> {
    let row = selected_task(app).ok_or("no task is selected")?;
    if !finish::can_finish(app) {
        return Err(format!("{} has ended: it is {}", row.task.name, row.task.word()));
    }
    Ok(row)
}

/// The task as a field: it is named, and cannot be another one.
pub(super) fn this_task(row: &TaskRow) -> Entry {
    let candidate = Candidate { name: row.task.name.clone(), about: row.task.state.to_string() };
    pick("task", Flag::Word, "the task; another one is selected on the screen", vec![candidate], None)
}

/// Something is asked for.
pub(super) fn add(app: &App) -> Result<Vec<Entry>, String> {
    let status = [
        ("accepted", "accepted: the work is held to it"),
        ("proposed", "proposed: to be decided later"),
        ("deferred", "deferred: the task can be finished without it"),
    ];
    let source = [
        ("user_requested", "you ask for it"),
        ("manager_inferred", "the manager sees it as part of the goal"),
        ("worker_proposed", "the worker has proposed it"),
        ("final_audit", "it came up when the work was looked over"),
    ];
    Ok(vec![
        this_task(task(app)?),
        required(text("criterion", "--criterion", "what is to be delivered, so that one can tell when it is")),
        choice("stands", "--status", "how it begins", &status),
        choice("source", "--source", "where it comes from", &source),
        line("why", "--rationale", "why"),
    ])
}

/// Those of the task that lead where the step goes.
fn open_to(app: &App, step: CriterionMove) -> impl Iterator<Item = &ShownCriterion> {
    criteria::known(app).unwrap_or_default().iter().filter(move |one| one.status.allows(step))
}

/// Whether there is one.
pub(super) fn any(app: &App, step: CriterionMove) -> bool {
    finish::can_finish(app) && open_to(app, step).next().is_some()
}

/// A step of a criterion.
pub(super) fn step(app: &App, step: CriterionMove) -> Result<Vec<Entry>, String> {
    let row = task(app)?;
    let candidate =
        |one: &ShownCriterion| Candidate { name: one.id.to_string(), about: format!("{}: {}", one.status, one.text) };
    let candidates: Vec<Candidate> = open_to(app, step).map(candidate).collect();
    if candidates.is_empty() {
        return Err(format!("no criterion of {} can be {}", row.task.name, step.to()));
    }
    let meant = criteria::meant(app);
    let id = meant.map(|one| one.id.to_string());
    let (flag, hint) = match step {
        CriterionMove::Accept => ("--accept", "the work is held to it from now on, or again"),
        CriterionMove::Satisfy => ("--satisfy", "it is fulfilled"),
        CriterionMove::Defer => ("--defer", "it is deferred"),
        CriterionMove::Reject => ("--reject", "it does not count any more"),
    };
    let mut criterion = pick("criterion", Flag::Option(flag), hint, candidates, id.as_deref());
    if let Control::Pick(picker) = &mut criterion.control {
        picker.tells = true;
    }
    let mut entries = vec![this_task(row), criterion];
    if step == CriterionMove::Satisfy {
        entries.extend([
            line("file", "--artifact", "a file in the worker's folder; that it shows this is your word"),
            line("commit", "--commit", "or a commit there, by its hash; that it shows this is your word"),
            line("byte", "--byte", "or where a command of the worker's ended well: the byte that Events names"),
            line("event", "--event", "or a run-tools step that succeeded, by its number: conveyor events TASK"),
            text("said", "--proof", "what you have seen, in words"),
        ]);
        return Ok(entries);
    }
    let why = text("why", "--rationale", "why; what was satisfied or rejected is taken up again only with it");
    let why = if step == CriterionMove::Accept { why } else { text("why", "--rationale", "why; it stays on record") };
    let needs_it = meant.is_some_and(|one| one.status.is_reopened_by(step));
    entries.push(if needs_it { required(why) } else { why });
    Ok(entries)
}

fn ends(app: &App, hint: &'static str) -> Result<Entry, String> {
    entries::task(app, hint, "no task is open".to_owned(), |_| true)
}

/// A task is done. What is said here is looked at with its gates, and asked about there.
pub(super) fn finish(app: &App) -> Result<Vec<Entry>, String> {
    let mut entries = vec![
        ends(app, "nothing ends yet: each of its gates is shown first, with what you say here")?,
        line("why", "--reason", "why it is done; it stays on record"),
    ];
    entries.extend(recording::behind("the number of a decision to stop"));
    let Some(said) = finish::said(app) else { return Ok(entries) };
    let (why, decision) = (said.reason.clone(), said.decision_id.map(|id| id.to_string()));
    for entry in &mut entries {
        let text = match entry.flag {
            Flag::Option("--reason") => &why,
            Flag::Option(recording::DECISION) => &decision,
            _ => &None,
        };
        match (&mut entry.control, text) {
            (Control::Line(field), Some(text)) => *field = Field::of(text),
            (Control::Switch(on), _) => *on = said.strict_decisions,
            _ => {}
        }
    }
    Ok(entries)
}

/// A task ends without being done.
pub(super) fn stop(app: &App) -> Result<Vec<Entry>, String> {
    let mut entries = vec![
        ends(app, "it is recorded as stopped; its binding ends")?,
        required(line("why", "--reason", "why it ends without being done; it stays on record")),
        switch("worker", "--stop-worker", "stop the worker's session, too"),
        switch("manager", "--stop-manager", "stop the manager's session, too"),
    ];
    entries.extend(recording::behind("the number of a decision to stop"));
    Ok(entries)
}
