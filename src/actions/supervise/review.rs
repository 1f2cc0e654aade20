//! A judgement on two proposals: read as data, recorded, and routed as the terms say.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    actions::{Actor, Context, caller::Origin, dispatch},
    base::{Error, Result, text},
    model::{
        supervision::{Judgement, OperatorQuestion, Proposer, ReviewSource, ReviewVerdict, asks_operator, goes_on},
        task::Task,
    },
    store::{
        self, Read, Store, Write, audit,
        continuations::{Continuation, NewReview, Review},
    },
};

/// The longest text of a judgement, in characters.
const MAX_TEXT: usize = 20_000;

/// The proposals of a round.
pub(super) struct Pair {
    pub(super) worker: Continuation,
    pub(super) manager: Continuation,
}

pub(super) fn pair(r: Read<'_>, task: &Task, correlation_id: &str) -> Result<Pair> {
    let of = |proposer| store::continuations::newest(r, &task.id, correlation_id, proposer);
    match (of(Proposer::Worker)?, of(Proposer::Manager)?) {
        (Some(worker), Some(manager)) => Ok(Pair { worker, manager }),
        (worker, manager) => {
            let missing = [("worker", worker.is_none()), ("manager", manager.is_none())];
            let missing: Vec<&str> = missing.iter().filter(|(_, missing)| *missing).map(|(role, _)| *role).collect();
            Err(Error::refused(format!(
                "continuation review requires {} proposal(s) for correlation_id {correlation_id}",
                missing.join(", ")
            ))
            .hint(format!("`conveyor continuation {} --list` shows which are in", task.name)))
        }
    }
}

/// Reads a judgement. Its texts are cleaned and bounded; nothing in them means anything to this program.
pub(super) fn judgement(given: &Value) -> Result<Judgement, String> {
    let missing: Vec<&str> = ["agreement", "rationale", "verdict"]
        .into_iter()
        .filter(|key| given.get(key).is_none_or(Value::is_null))
        .collect();
    if !missing.is_empty() {
        return Err(format!("continuation review payload missing required field(s): {}", missing.join(", ")));
    }
    let word = |key: &str| given[key].as_str().unwrap_or_default().to_owned();
    let said = |key: &str| -> Result<Option<String>, String> {
        match given.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(said)) if said.chars().count() <= MAX_TEXT => Ok(Some(text::clean(said.trim()))),
            Some(Value::String(_)) => Err(format!("continuation review {key} has more than {MAX_TEXT} characters")),
            Some(_) => Err(format!("continuation review {key} must be a text")),
        }
    };
    let rationale = said("rationale")?.filter(|said| !said.is_empty());
    Ok(Judgement {
        addendum: said("addendum")?.filter(|said| !said.is_empty()),
        agreement: word("agreement").parse().map_err(|error| format!("continuation review agreement: {error}"))?,
        rationale: rationale.ok_or("continuation review rationale must not be empty")?,
        verdict: word("verdict").parse().map_err(|error| format!("continuation review verdict: {error}"))?,
    })
}

/// Puts a question to the operator, on record.
pub(super) fn ask(
    cx: &Context,
    w: &Write<'_>,
    task: &Task,
    kind: OperatorQuestion,
    correlation_id: &str,
    review_id: Option<i64>,
    reason: &str,
) -> Result<()> {
    let now = cx.now();
    store::continuations::ask(w, &task.id, kind, correlation_id, review_id, reason, now)?;
    let about = audit::About { task_id: Some(&task.id), session_id: None };
    let told = json!({ "correlation_id": correlation_id, "kind": kind, "reason": reason, "review_id": review_id });
    audit::append(w, now, Actor::Conveyor, "operator_asked", about, &told)?;
    Ok(())
}

/// Records a judgement, and does what the terms say follows from it.
#[expect(clippy::too_many_arguments, reason = "each is a part of the record")]
pub(super) fn settle(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    task: &Task,
    pair: &Pair,
    source: ReviewSource,
    judgement: &Judgement,
    run: &Value,
) -> Result<Review> {
    let mode = store::continuations::mode(w.read(), &task.id)?;
    let failed = run["status"] == "failed";
    // A person who judges knows what came of it, and who has decided is not asked again.
    let is_open = source == ReviewSource::Reviewer && decided(w.read(), task, &pair.manager.correlation_id)?.is_none();
    let waits = store::continuations::questions(w.read(), Some(&task.id), /*all*/ false)?;
    // A question why there was no verdict says nothing of one that is there now.
    let waits = waits.iter().any(|one| {
        one.kind == OperatorQuestion::ContinuationReady && one.correlation_id == pair.manager.correlation_id
    });
    let asks = asks_operator(mode, judgement, failed).filter(|_| is_open);
    // That they decide was put to them when both had proposed, unless the terms came to it while the review was made.
    let question = asks.filter(|kind| *kind != OperatorQuestion::ContinuationReady || !waits);
    let now = cx.now();
    let mut run = run.clone();
    run["nudge_on_completion"] = json!(mode);
    let new = NewReview {
        worker: &pair.worker,
        manager: &pair.manager,
        source,
        judgement,
        subagent_run: &run,
        operator_routing_required: question.is_some(),
    };
    let review = store::continuations::record_review(w, &new, now)?;
    let about = audit::About { task_id: Some(&task.id), session_id: None };
    let told = json!({
        "agreement": review.agreement,
        "correlation_id": review.correlation_id,
        "enforced": run["sandbox"]["enforced"],
        "manager_continuation_id": review.manager_continuation_id,
        "operator_routing_required": review.operator_routing_required,
        "origin": origin.words(),
        "review_id": review.id,
        "source": source,
        "status": run["status"],
        "verdict": review.verdict,
        "worker_continuation_id": review.worker_continuation_id,
    });
    audit::append(w, now, origin.actor(cx), "continuation_review_recorded", about, &told)?;
    // Why there was no review needs no answer once there is one. A person who judges has answered it.
    if source == ReviewSource::Reviewer
        && !failed
        && let Some(id) = store::continuations::supersede(w, &task.id, &review.correlation_id, review.id, now)?
    {
        let told = json!({
            "correlation_id": review.correlation_id,
            "kind": OperatorQuestion::ReviewFailed,
            "question_id": id,
            "review_id": review.id,
        });
        audit::append(w, now, Actor::Conveyor, "operator_question_superseded", about, &told)?;
    }
    if let Some(kind) = question {
        let reason = match kind {
            OperatorQuestion::ReviewFailed => "the review did not take place",
            OperatorQuestion::ContinuationStopped => "the verdict is to stop",
            OperatorQuestion::ContinuationDivergent => "the proposals diverge",
            OperatorQuestion::ContinuationReady => "worker and manager have proposed what comes next",
        };
        // Whoever judges what it could not read says stop, and not because of what it read.
        let reason = match run["could_not_read"].as_str().filter(|_| !failed) {
            Some(closed) => format!("{reason}, but {closed}"),
            None => reason.to_owned(),
        };
        ask(cx, w, task, kind, &review.correlation_id, Some(review.id), &reason)?;
    }
    Ok(review)
}

/// Tells the worker to go on, when the terms want that after this judgement of the reviewer's. When it cannot be told, a
/// person is asked.
pub(super) fn follow(cx: &Context, store: &Store, task: &Task, review: &Review) -> Result<()> {
    let (mode, decided) = store.read(|r| {
        let mode = store::continuations::mode(r, &task.id)?;
        Ok::<_, Error>((mode, decided(r, task, &review.correlation_id)?))
    })?;
    // What a person has decided stands.
    if decided.is_some_and(|verdict| verdict != ReviewVerdict::Proceed) {
        return Ok(());
    }
    let failed = review.subagent_run["status"] == "failed";
    let judgement =
        Judgement { addendum: None, agreement: review.agreement, rationale: String::new(), verdict: review.verdict };
    if !goes_on(mode, &judgement, failed) {
        return Ok(());
    }
    // What a reviewer writes is no part of it.
    let words = format!(
        "Go on as you proposed in continuation {}: it was reviewed, and the verdict is to proceed.",
        review.correlation_id
    );
    let told = store.write_durably(|w| dispatch::tell_worker(cx, w, task, &words, &review.correlation_id, review.id));
    let Err(error) = told else { return Ok(()) };
    let reason = format!("the verdict is to proceed, but the worker could not be told: {error}");
    store.write_durably(|w| {
        let kind = OperatorQuestion::ContinuationReady;
        ask(cx, w, task, kind, &review.correlation_id, Some(review.id), &reason)
    })
}

/// Whether the newest round of a task was judged in a way that lets the work end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// It was.
    pub ok: bool,
    /// Why it was not.
    pub reason: Option<String>,
    /// The newest judgement of that round.
    #[serde(skip)]
    pub review: Option<Review>,
    /// The round; none when there is none in which both have proposed.
    #[serde(skip)]
    pub correlation_id: Option<String>,
    /// What a person has decided about it.
    #[serde(skip)]
    pub decided: Option<ReviewVerdict>,
}

/// The newest word of a person about a round: an answer, or a judgement of their own.
pub(super) fn decided(r: Read<'_>, task: &Task, correlation_id: &str) -> Result<Option<ReviewVerdict>> {
    let asked = store::continuations::questions(r, Some(&task.id), /*all*/ true)?;
    let answers = asked.iter().filter(|one| one.correlation_id == correlation_id);
    let answers = answers.filter_map(|one| Some((one.answered_at?, one.answer?)));
    let reviews = store::continuations::reviews(r, &task.id, Some(correlation_id))?;
    let own = reviews.iter().filter(|one| one.source == ReviewSource::Operator);
    let words = answers.chain(own.map(|one| (one.created_at, one.verdict)));
    Ok(words.max_by_key(|(at, _)| *at).map(|(_, verdict)| verdict))
}

/// Looks whether the newest round of a task was judged: by the reviewer while it was held, or by a person, to go on, and
/// with nothing left for a person to decide.
///
/// # Errors
/// SQLite's own error.
pub(in crate::actions) fn standing(r: Read<'_>, task: &Task) -> Result<Standing> {
    let open =
        |reason| Ok(Standing { ok: false, reason: Some(reason), review: None, correlation_id: None, decided: None });
    if let Some(round) = store::continuations::open_round(r, &task.id)? {
        return open(format!("the manager has not proposed in {round}"));
    }
    let Some(round) = store::continuations::newest_ready(r, &task.id)? else {
        return open("worker and manager have not proposed what comes next".to_owned());
    };
    let review = store::continuations::reviews(r, &task.id, Some(&round))?.pop();
    // A person's word stands above a reviewer's, whenever that one spoke.
    let decided = decided(r, task, &round)?;
    let asked = store::continuations::questions(r, Some(&task.id), /*all*/ false)?;
    let reason = match decided.or(review.as_ref().map(|review| review.verdict)) {
        _ if asked.iter().any(|one| one.correlation_id == round) => {
            Some(format!("{round} waits for the operator's answer"))
        }
        None => Some(format!("{round} was not reviewed")),
        Some(ReviewVerdict::Proceed) => None,
        Some(ReviewVerdict::Amend | ReviewVerdict::Stop) => Some(format!("the verdict on {round} is not to proceed")),
    };
    Ok(Standing { ok: reason.is_none(), reason, review, correlation_id: Some(round), decided })
}

/// A judgement in lines. What somebody else wrote stands behind a mark.
pub(super) fn lines(out: &mut dyn fmt::Write, review: &Review) -> fmt::Result {
    let Review { id, correlation_id, agreement, verdict, source, operator_routing_required, .. } = review;
    let asked = if *operator_routing_required { "; the operator is asked" } else { "" };
    writeln!(out, "review {id} of {correlation_id} by the {source}: {agreement}, {verdict}{asked}")?;
    let texts = [Some(&review.rationale), review.addendum.as_ref()];
    for line in texts.into_iter().flatten().flat_map(|text| text.lines()) {
        writeln!(out, "  | {}", text::visible_line(line))?;
    }
    Ok(())
}
