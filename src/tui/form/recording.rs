//! The forms of what is said about a task: verdicts, proposals, acknowledgements, a handoff, decisions.

use super::{
    Entry, Fault, Flag, Form, closing,
    control::{Candidate, Control, Picker},
    entries::{self, choice, entry, line, lines, required, switch, text, with_new_task},
    subjects::{active, selected_task},
};
use crate::{
    actions::{RecordedRound, TaskPolicy, TaskRecord, object_fault},
    model::{board::TaskRow, supervision::Proposer},
    tui::{app::App, field::Field, operator, record, sheet},
};

/// The field for an open task that fits, the selected one filled in; over the record of a task it is that one.
fn task(app: &App, hint: &'static str, missing: &str, fits: fn(&TaskRow) -> bool) -> Result<Entry, String> {
    if let Some(row) = record::task(app) {
        let is_it = row.task.state.is_open() && fits(row);
        return if is_it { Ok(closing::this_task(row)) } else { Err(record::why_not(row)) };
    }
    entries::task(app, hint, with_new_task(app, missing), fits)
}

/// One whose worker and manager can say something.
fn bound(app: &App, hint: &'static str) -> Result<Entry, String> {
    task(app, hint, "no task has a worker and a manager", |row| active(row).is_some())
}

/// A member of the object that goes to standard input.
fn member(label: &'static str, key: &'static str, hint: &'static str) -> Entry {
    entry(label, Flag::Member(key), hint, Control::Text(Field::default()))
}

/// The same, a list: a text for each line.
fn members(label: &'static str, key: &'static str, hint: &'static str) -> Entry {
    entry(label, Flag::Members(key), hint, Control::Text(Field::default()))
}

fn chosen(label: &'static str, key: &'static str, hint: &'static str, of: &[(&'static str, &'static str)]) -> Entry {
    Entry { flag: Flag::Member(key), ..choice(label, "", hint, of) }
}

/// Rounds of the selected task, the newest first: those in which both have proposed (`are_ready`), or those in which the
/// manager has not. Of a task whose record is not shown only those are known that are put to the operator, which are ready.
fn rounds(app: &App, are_ready: bool) -> Vec<Candidate> {
    let Some(row) = selected_task(app) else { return Vec::new() };
    match sheet::known::<TaskRecord>(app, &row.task.name) {
        Some(known) => {
            let about = |round: &RecordedRound| match (&round.asked, round.judged.last()) {
                (Some((id, _)), _) => format!("question {id} to you is open"),
                (None, Some((_, judged))) => format!("judged by the {}: {}", judged.source, judged.verdict),
                (None, None) => String::new(),
            };
            let known = known.rounds.iter().filter(|round| round.is_ready() == are_ready);
            known.map(|round| Candidate { name: round.round.clone(), about: about(round) }).collect()
        }
        None if !are_ready => Vec::new(),
        None => {
            let asked =
                operator::questions(app).iter().filter(|one| one.task_id == row.task.id && !one.proposals.is_empty());
            let candidate = |one: &crate::actions::PutToOperator| Candidate {
                name: one.round.clone(),
                about: format!("question {} to you is open", one.id),
            };
            asked.rev().map(candidate).collect()
        }
    }
}

/// The round that a verdict is about, unless another one is named.
pub(super) fn meant(app: &App) -> Option<String> {
    Some(rounds(app, true).into_iter().next()?.name)
}

/// The round that a proposal of the manager's is about.
pub(super) fn begun(app: &App) -> Option<String> {
    Some(rounds(app, false).into_iter().next()?.name)
}

/// The side of a proposal was chosen. The manager's belongs to the round that the worker has begun. The worker's would
/// take the place there of what the worker itself has proposed: that round is not filled in for it.
pub(super) fn side_chosen(form: &mut Form) {
    let of = |flag| form.entries.iter().position(|entry| entry.flag == Flag::Option(flag));
    let (Some(side), Some(round)) = (of("--submit"), of("--correlation-id")) else { return };
    let is_manager = form.entries.get(side).is_some_and(|side| side.control.value() == Proposer::Manager.as_str());
    let Some(Control::Pick(picker)) = form.entries.get_mut(round).map(|entry| &mut entry.control) else { return };
    let Some(begun) = picker.candidates.first().map(|first| first.name.clone()) else { return };
    match (is_manager, picker.field.text().trim()) {
        (true, "") => picker.set(&begun),
        (false, stands) if stands == begun => picker.set(""),
        _ => {}
    }
}

/// A round, the newest that fits filled in; another one can be typed.
fn round(hint: &'static str, candidates: Vec<Candidate>) -> Entry {
    let mut picker = Picker { open: true, tells: true, ..Picker::default() };
    if let Some(first) = candidates.first() {
        picker.set(&first.name);
    }
    picker.candidates = candidates;
    entry("round", Flag::Option("--correlation-id"), hint, Control::Pick(picker))
}

pub(super) fn judge(app: &App) -> Result<Vec<Entry>, String> {
    let agreements = [
        ("", "not chosen yet"),
        ("match", "match: they say the same"),
        ("compatible", "compatible: both can be done"),
        ("divergent", "divergent: they cannot both be right"),
    ];
    let verdicts = [
        ("", "not chosen yet"),
        ("proceed", "proceed: they go on"),
        ("amend", "amend: they go on with what is to be added"),
        ("stop", "stop: they do not go on"),
    ];
    Ok(vec![
        task(app, "the task whose proposals you judge", "no task is open", |_| true)?,
        required(round("the round of proposals", rounds(app, true))),
        required(chosen("agree", "agreement", "how far the two proposals agree", &agreements)),
        required(chosen("verdict", "verdict", "what is to be done", &verdicts)),
        required(member("why", "rationale", "your reasons; they stay on record")),
        member("add", "addendum", "what has to be added to the proposals"),
    ])
}

pub(super) fn have_judged(app: &App) -> Result<Vec<Entry>, String> {
    Ok(vec![
        task(app, "the task whose set program judges, confined; a bad end asks you", "no task is open", |_| true)?,
        round("the round; empty: the newest in which both have proposed", rounds(app, true)),
    ])
}

pub(super) fn forget_reviewer(app: &App) -> Result<Vec<Entry>, String> {
    Ok(vec![task(app, "the task for which nothing judges any more", "no task is open", |_| true)?])
}

pub(super) fn propose(app: &App) -> Result<Vec<Entry>, String> {
    let sides = [
        ("", "not chosen yet"),
        ("worker", "the worker, which proposes first"),
        ("manager", "the manager, in the worker's round"),
    ];
    Ok(vec![
        bound(app, "the task, which has a worker and a manager")?,
        required(choice("for", "--submit", "it is on record as yours", &sides)),
        entry(
            "round",
            Flag::Option("--correlation-id"),
            "for the manager the worker's round; for the worker a new name",
            Control::Pick(Picker { candidates: rounds(app, false), open: true, tells: true, ..Picker::default() }),
        ),
        required(member("next", "next", "what comes next")),
        member("why", "why", "why"),
    ])
}

/// A yes or no that is on record only when somebody has said it: nothing is promised in anybody's name.
fn said(label: &'static str, key: &'static str, hint: &'static str) -> Entry {
    let answers = [("", "not said"), ("true", "yes"), ("false", "no")];
    Entry { flag: Flag::Truth(key), ..choice(label, "", hint, &answers) }
}

/// The flag of the revision that was looked at.
pub(super) const SEEN: &str = "--expect-version";

/// The terms that are acknowledged: those that were shown, not those that have taken their place meanwhile.
fn terms_seen(app: &App) -> Entry {
    let shown = selected_task(app).map(|row| row.task.name.as_str()).and_then(|name| {
        let on_record = sheet::known::<TaskRecord>(app, name).map(|known| known.terms);
        on_record.or_else(|| sheet::known::<TaskPolicy>(app, name).map(|known| known.revision))
    });
    let field = shown.map(|revision| Field::of(&revision.to_string())).unwrap_or_default();
    let hint = "the revision of the terms that you have seen; refused when they are others by now";
    required(entry("terms", Flag::Option(SEEN), hint, Control::Line(field)))
}

pub(super) fn worker_ack(app: &App) -> Result<Vec<Entry>, String> {
    Ok(vec![
        bound(app, "the task; it holds for the binding and the terms in force, and is on record as yours")?,
        terms_seen(app),
        required(member("goal", "goal_restatement", "the goal as the worker understands it")),
        members("must have", "proposed_criteria.must_have", "criteria that it proposes, one a line"),
        members("later", "proposed_criteria.follow_up", "what it proposes for later, one a line"),
        members("tools", "expected_tools", "what it expects to use, one a line"),
        members("open", "open_questions", "what it has to ask, one a line"),
        said("ready", "ready_to_start", "whether it can start; left out unless you say it"),
    ])
}

pub(super) fn manager_ack(app: &App) -> Result<Vec<Entry>, String> {
    let edits = "whether it leaves the project's files to its worker; left out unless you say it";
    Ok(vec![
        bound(app, "the task; it holds for the binding and the terms in force, and is on record as yours")?,
        terms_seen(app),
        required(member("contract", "supervision_contract", "the terms as the manager understands them")),
        said("no edits", "will_not_edit_project_files", edits),
    ])
}

pub(super) fn handoff(app: &App) -> Result<Vec<Entry>, String> {
    let steps = "what comes next, one step a line";
    Ok(vec![
        bound(app, "the task; it holds for its binding until the worker's context is compacted or cleared")?,
        required(text("done", "--summary", "what was done, and how it stands")),
        lines("next", "--next-step", steps),
        more(),
    ])
}

pub(super) fn decide(app: &App) -> Result<Vec<Entry>, String> {
    let decisions = [
        ("", "not chosen yet"),
        ("wait", "wait"),
        ("nudge", "nudge: a compaction can name it"),
        ("interrupt", "interrupt"),
        ("escalate", "escalate"),
        ("stop", "stop: the end of the task can name it"),
        ("inspect", "inspect"),
    ];
    let mut decision = required(choice(
        "decision",
        "",
        "what a command can name for 15 minutes, by the number that the receipt says",
        &decisions,
    ));
    decision.flag = Flag::Word;
    Ok(vec![
        task(app, "the task that it is about", "no task is open", |_| true)?,
        decision,
        required(text("why", "--reason", "why; it stays on record")),
        line("cycle", "--cycle-id", "the number of the cycle that led to it"),
        more(),
    ])
}

/// The flag of an object for programs.
const OBJECT: &str = "--payload-json";

/// Whatever else belongs to what is recorded.
fn more() -> Entry {
    text("more", OBJECT, "whatever else belongs to it, as a JSON object; kept as it is")
}

/// An object that is none: its field, and why.
pub(super) fn no_object(form: &Form) -> Option<Fault> {
    let entry = form.entries.iter().position(|entry| entry.flag == Flag::Option(OBJECT))?;
    let field = form.entries.get(entry)?;
    let given = field.control.value();
    let why = (!given.is_empty()).then(|| object_fault(given)).flatten()?;
    Some(Fault { entry: Some(entry), words: format!("{} {why}", field.label) })
}

/// The flag that names a decision.
pub(super) const DECISION: &str = "--decision-id";

/// The decision behind a command, and whether it is refused without one.
pub(super) fn behind(of: &'static str) -> [Entry; 2] {
    [
        line("decision", DECISION, of),
        switch("strict", "--strict-decisions", "refused without such a decision of the last 15 minutes"),
    ]
}

/// A proposal of the manager's belongs to a round of the worker's.
pub(super) fn without_round(form: &Form) -> Option<usize> {
    let is = |entry: &Entry, flag: &'static str| entry.flag == Flag::Option(flag);
    let of = |flag| form.entries.iter().position(|entry| is(entry, flag));
    let side = form.entries.get(of("--submit")?)?;
    let round = of("--correlation-id")?;
    let is_empty = form.entries.get(round)?.control.value().is_empty();
    (side.control.value() == Proposer::Manager.as_str() && is_empty).then_some(round)
}
