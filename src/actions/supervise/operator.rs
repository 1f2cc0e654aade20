//! `operator-inbox`: what waits for a person's decision, and the answer.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::{gate, record, texts};
use crate::{
    actions::{Action, Argv, Context, Format, Outcome, dispatch, lookup},
    base::{Error, Result, Timestamp},
    model::supervision::{Agreement, OperatorQuestion, Proposer, ReviewSource, ReviewVerdict},
    store::{
        self, Read, Store, Write, audit,
        continuations::{Question, Review},
    },
};

/// List what waits for your decision, or answer it
///
/// Continuations come here: both proposals are in and the terms ask you, a reviewer finds them divergent or says to stop, or
/// there was no review that counts; the last kind is closed without an answer, as superseded, when a later review of its
/// round does take place. An answer settles every open question of its round and is told to the task's manager, as your
/// message. Sessions can list, and not answer. The end of a task leaves its questions open; nobody is told an answer then.
///
/// Example: `conveyor operator-inbox --settle 3 --answer proceed --note "the worker's plan, but keep the old reader"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct OperatorInbox {
    /// Only those of this task
    #[arg(long, value_name = "TASK", conflicts_with = "settle")]
    pub task: Option<String>,
    /// The answered and the superseded ones, too
    #[arg(long, conflicts_with = "settle")]
    pub all: bool,
    /// Answer the question of this number
    #[arg(long, value_name = "ID", requires = "answer")]
    pub settle: Option<i64>,
    /// proceed, amend or stop
    #[arg(long, value_name = "ANSWER", requires = "settle")]
    pub answer: Option<ReviewVerdict>,
    /// What the manager is told with it
    #[arg(long, value_name = "TEXT", requires = "settle", allow_hyphen_values = true)]
    pub note: Option<String>,
}

/// What `operator-inbox` prints.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Waiting {
    /// What waits.
    Listed {
        /// The questions, the oldest first.
        questions: Vec<Question>,
    },
    /// What was answered.
    Answered(Box<Answered>),
}

/// An answer.
#[derive(Debug, Serialize)]
pub struct Answered {
    dry_run: bool,
    #[serde(flatten)]
    question: Question,
    /// The manager gets it as a message.
    told_manager: bool,
    /// Why it does not.
    warning: Option<String>,
}

/// A question that waits for a person, with what it is about, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutToOperator {
    /// Its number.
    pub id: i64,
    /// The task.
    pub task_id: String,
    /// Its name.
    pub task: String,
    /// The task has ended: nobody is told the answer.
    pub task_has_ended: bool,
    /// Why it is put.
    pub kind: OperatorQuestion,
    /// The same in words.
    pub reason: String,
    /// The round of proposals.
    pub round: String,
    /// When it was put.
    pub asked_at: Timestamp,
    /// What is proposed, in the words of whoever proposes it: both sides, or nothing while one is missing.
    pub proposals: Vec<(Proposer, Vec<String>)>,
    /// Who proposed for a side that did not do so itself.
    pub spoken_for: Vec<(Proposer, String)>,
    /// The judgement that led to it.
    pub judged: Option<Judged>,
}

/// A judgement in the words of whoever judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Who judged.
    pub source: ReviewSource,
    /// How far the proposals agree.
    pub agreement: Agreement,
    /// What is to be done.
    pub verdict: ReviewVerdict,
    /// Why.
    pub rationale: String,
    /// What has to be added.
    pub addendum: Option<String>,
}

impl From<Review> for Judged {
    fn from(review: Review) -> Self {
        let Review { source, agreement, verdict, rationale, addendum, .. } = review;
        Self { source, agreement, verdict, rationale, addendum }
    }
}

/// What waits for a person's decision, the oldest first.
pub(in crate::actions) fn put_to_operator(r: Read<'_>) -> Result<Vec<PutToOperator>> {
    store::continuations::questions(r, None, false)?.into_iter().map(|question| in_full(r, question)).collect()
}

fn in_full(r: Read<'_>, question: Question) -> Result<PutToOperator> {
    let Question { id, task_id, task, task_state, kind, reason, correlation_id, created_at, review_id, .. } = question;
    let of = |proposer| store::continuations::newest(r, &task_id, &correlation_id, proposer);
    // As long as one is missing, the other is nobody's to read.
    let both = match (of(Proposer::Worker)?, of(Proposer::Manager)?) {
        (Some(worker), Some(manager)) => vec![worker, manager],
        _ => Vec::new(),
    };
    let reviews = store::continuations::reviews(r, &task_id, Some(&correlation_id))?;
    let review = reviews.into_iter().rfind(|review| review_id.is_none_or(|id| review.id == id));
    let judged = review.map(Judged::from);
    Ok(PutToOperator {
        id,
        task_id,
        task,
        task_has_ended: !task_state.is_open(),
        kind,
        reason,
        round: correlation_id,
        asked_at: created_at,
        proposals: both.iter().map(|one| (one.proposer, words(&one.payload))).collect(),
        spoken_for: both.iter().filter_map(record::spoken_for).collect(),
        judged,
    })
}

/// Why a question cannot be answered.
fn not_open(r: Read<'_>, id: i64) -> Result<Error> {
    let review = store::continuations::question_of_id(r, id)?.and_then(|question| question.superseded_by);
    Ok(match review {
        Some(review) => Error::not_found(format!(
            "question {id} is closed: why there was no review needs no answer since review {review} took place"
        ))
        .hint("`conveyor operator-inbox` lists what still waits for you"),
        None => Error::not_found(format!("no question {id} is open")).hint("`conveyor operator-inbox` lists them"),
    })
}

/// Writes an answer into the audit trail.
pub(super) fn on_record(cx: &Context, w: &Write<'_>, answered: &Question) -> Result<()> {
    let Question { id, task_id, kind, correlation_id, answer, note, .. } = answered;
    let about = audit::About { task_id: Some(task_id), session_id: None };
    let told = json!({
        "answer": answer,
        "correlation_id": correlation_id,
        "kind": kind,
        "note": note,
        "question_id": id,
    });
    audit::append(w, cx.now(), cx.actor(), "operator_answered", about, &told)?;
    Ok(())
}

/// Tells the task's manager an answer, as the operator's message; why it could not be told.
pub(super) fn tell(cx: &Context, store: &Store, answered: &Question) -> Option<String> {
    let answer = answered.answer?;
    let note = answered.note.as_ref().map(|note| format!(" {note}")).unwrap_or_default();
    let words = format!("The operator's answer about continuation {}: {answer}.{note}", answered.correlation_id);
    let told = store.write_durably(|w| dispatch::tell_manager(cx, w, answered, &words));
    told.err().map(|error| format!("the manager was not told: {error}"))
}

/// What somebody says in an object, in lines: its fields by name.
pub(super) fn words(payload: &Value) -> Vec<String> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match payload {
        Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name}: {}", word(value))).collect(),
        other => vec![word(other)],
    }
}

impl Action for OperatorInbox {
    const NAME: &'static str = "operator-inbox";
    const FORMAT: Format = Format::Json;
    type Output = Waiting;

    fn run(self, cx: &Context) -> Result<Waiting> {
        let (Some(id), Some(answer)) = (self.settle, self.answer) else {
            let questions = cx.ledger()?.read(|r| {
                let task = self.task.as_deref().map(|task| lookup::task(r, task)).transpose()?;
                let task_id = task.as_ref().map(|task| &*task.id);
                Ok::<_, Error>(store::continuations::questions(r, task_id, self.all)?)
            })?;
            return Ok(Waiting::Listed { questions });
        };
        let note = self.note.as_deref().map(|note| texts::one("--note", note)).transpose()?;
        let store = cx.ledger_to_change()?;
        gate::no_session(cx, &store, "answer for the operator")?;
        let now = cx.now();
        let question = store.write_durably(|w| {
            let answered = store::continuations::answer(w, id, answer, note.as_deref(), now)?;
            let Some(question) = answered else { return Err(not_open(w.read(), id)?) };
            on_record(cx, w, &question)?;
            Ok::<_, Error>(question)
        })?;
        let warning = tell(cx, &store, &question);
        let answered = Answered { dry_run: cx.dry_run(), told_manager: warning.is_none(), question, warning };
        Ok(Waiting::Answered(Box::new(answered)))
    }

    fn argv(&self) -> Argv {
        let Self { task, all, settle, answer, note } = self;
        Argv::new(Self::NAME)
            .option("--task", task.as_ref())
            .switch("--all", *all)
            .option("--settle", settle.as_ref())
            .option("--answer", answer.as_ref())
            .option("--note", note.as_ref())
    }
}

impl Outcome for Waiting {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Listed { questions } if questions.is_empty() => writeln!(out, "nothing waits for you"),
            Self::Listed { questions } => questions.iter().try_for_each(|question| {
                let Question { id, task, kind, reason, correlation_id, answer, superseded_by, task_state, .. } =
                    question;
                let ended = if task_state.is_open() { "" } else { "; its task has ended, its manager is told nothing" };
                let answer = match (answer, superseded_by) {
                    (Some(answer), _) => format!("; answered: {answer}"),
                    (None, Some(review)) => format!("; superseded by review {review}, which took place"),
                    (None, None) => String::new(),
                };
                writeln!(out, "{id}  {task}  {kind}  {correlation_id}: {reason}{answer}{ended}")
            }),
            Self::Answered(answered) => {
                let Answered { dry_run, question, warning, .. } = &**answered;
                let would = if *dry_run { "would be " } else { "" };
                let answer = question.answer.map_or("nothing", ReviewVerdict::as_str);
                writeln!(out, "{}: {} {would}answered: {answer}", question.task, question.correlation_id)?;
                warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
            }
        }
    }
}
