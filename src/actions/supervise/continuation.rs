//! `continuation`: what worker and manager each propose to do next, and how the two are judged.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    operator, record,
    review::{self, Standing},
    texts,
};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome, TextArg,
        caller::{self, Origin},
        lookup,
    },
    base::{Error, Kind, Result},
    model::{
        session::Role,
        supervision::{OperatorQuestion, Permission, Proposer, ReviewSource, Terms, WhenReady, when_ready},
        task::{Binding, Task},
    },
    store::{
        self, Read, Write, audit,
        continuations::{Continuation as Stored, Review},
    },
    text_enum,
};

text_enum! {
    /// Through whose eyes proposals are listed.
    pub enum Seen {
        /// Whoever asks.
        All => "all",
        /// The worker.
        Worker => "worker",
        /// The manager.
        Manager => "manager",
        /// The reviewer.
        Reviewer => "reviewer",
    }
}

/// Propose what comes next, judge proposals, or list them
///
/// The worker proposes first. The manager proposes without having seen it: until its own proposal is in, no command shows
/// a session other than the worker what the worker proposes or says. In a round each side's proposal is final once
/// the manager's is in. What follows then is in the terms (`manager-config --nudge-on-completion`): nothing (off), a
/// question to the operator (ask-operator), a review by the program that an operator has set, begun by a
/// dispatcher (auto-review), or that and a message to the worker to go on when the verdict is to proceed
/// (auto-proceed). `--review` records a person's own judgement, which answers what `operator-inbox` asks about that
/// round; sessions cannot give one.
///
/// Example: `conveyor continuation parser --submit worker --from-stdin='{"next": "quote handling"}'`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["submit", "review", "list"])))]
pub struct Continuation {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Propose, as the worker or the manager of the task
    #[arg(long, value_name = "ROLE", requires = "from_stdin")]
    pub submit: Option<Proposer>,
    /// Record a person's judgement: an object with agreement (match, compatible, divergent), verdict (proceed, amend,
    /// stop), rationale and perhaps addendum
    #[arg(long, requires_all = ["from_stdin", "correlation_id"])]
    pub review: bool,
    /// List proposals and reviews
    #[arg(long)]
    pub list: bool,
    /// A JSON object from standard input; `--from-stdin={...}` takes it from the command line
    #[arg(long, value_name = "JSON", num_args = 0..=1, require_equals = true, default_missing_value = "-", conflicts_with = "list")]
    pub from_stdin: Option<TextArg>,
    /// The round: given with the manager's proposal and a review, fresh for the worker's; lists only this one
    #[arg(long, value_name = "ID")]
    pub correlation_id: Option<String>,
    /// List as this one would see it: all, worker, manager or reviewer; never more than whoever asks may see
    #[arg(long, value_name = "ROLE", default_value = "all", requires = "list")]
    pub as_role: Seen,
    /// List what is proposed, too
    #[arg(long, requires = "list")]
    pub include_payload: bool,
}

/// What `continuation` prints.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Continued {
    /// A proposal.
    Submitted(Box<Submitted>),
    /// A judgement.
    Reviewed(Box<Reviewed>),
    /// What there is.
    Listed {
        /// Proposals.
        continuations: Vec<Listed>,
        /// Judgements.
        reviews: Vec<Review>,
        /// Whether the newest round was judged in a way that lets the work go on.
        standing: Box<Standing>,
        /// The task.
        task: String,
    },
}

/// A proposal as it was recorded.
#[derive(Debug, Serialize)]
pub struct Submitted {
    #[serde(flatten)]
    continuation: Stored,
    dry_run: bool,
    /// What follows by itself.
    next: &'static str,
    #[serde(skip)]
    task: String,
}

/// A judgement as it was recorded.
#[derive(Debug, Serialize)]
pub struct Reviewed {
    #[serde(flatten)]
    review: Review,
    /// The questions to the operator that it answers: those that were open about its round.
    answered_questions: Vec<i64>,
    dry_run: bool,
    #[serde(skip)]
    task: String,
    /// Why the manager was not told of that answer.
    warning: Option<String>,
}

/// A proposal in a list.
#[derive(Debug, Serialize)]
pub struct Listed {
    correlation_id: String,
    created_at: crate::base::Timestamp,
    id: i64,
    /// Who proposed it: an operator may do that for a side.
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
    #[serde(skip_serializing_if = "is_shown")]
    payload_redacted: bool,
    proposer: Proposer,
    revision: u64,
    task_id: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_shown(redacted: &bool) -> bool {
    !redacted
}

impl Reviewed {
    pub(super) fn new(cx: &Context, review: Review, task: &Task) -> Self {
        Self { review, answered_questions: Vec::new(), dry_run: cx.dry_run(), task: task.name.clone(), warning: None }
    }

    pub(super) fn lines(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let would = if self.dry_run { "would be " } else { "" };
        write!(out, "{}: {would}", self.task)?;
        review::lines(out, &self.review)?;
        for id in &self.answered_questions {
            writeln!(out, "question {id} to the operator {would}answered with it: {}", self.review.verdict)?;
        }
        self.warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}

impl Action for Continuation {
    const NAME: &'static str = "continuation";
    const FORMAT: Format = Format::Json;
    type Output = Continued;

    fn run(self, cx: &Context) -> Result<Continued> {
        let correlation_id = texts::correlation(self.correlation_id.as_deref())?;
        match self.submit {
            Some(proposer) => self.submit(cx, proposer, correlation_id),
            None if self.review => self.record(cx, correlation_id.as_deref().unwrap_or_default()),
            None => self.listed(cx, correlation_id.as_deref()),
        }
    }

    fn argv(&self) -> Argv {
        let Self { task, submit, review, list, from_stdin, correlation_id, as_role, include_payload } = self;
        Argv::new(Self::NAME)
            .option("--submit", submit.as_ref())
            .switch("--review", *review)
            .switch("--list", *list)
            .text("--from-stdin", from_stdin.as_ref())
            .option("--correlation-id", correlation_id.as_ref())
            .option("--as-role", (*as_role != Seen::All).then_some(as_role))
            .switch("--include-payload", *include_payload)
            .end_of_options()
            .word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.from_stdin.iter_mut().collect()
    }
}

impl Continuation {
    fn given(&self) -> Result<Value> {
        let text = self.from_stdin.as_ref().map(TextArg::get).transpose()?;
        texts::object("--from-stdin", text)
    }

    fn submit(&self, cx: &Context, proposer: Proposer, correlation_id: Option<String>) -> Result<Continued> {
        let payload = self.given()?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        store.write_durably(|w| {
            let r = w.read();
            let task = open_task(r, &self.task)?;
            let binding = lookup::active_binding(r, &task)?;
            check_speaker(&origin, &binding, proposer, &task)?;
            let correlation_id = match (proposer, &correlation_id) {
                (Proposer::Worker, None) => cx.fresh_id("continuation"),
                (_, Some(given)) => given.clone(),
                (Proposer::Manager, None) => {
                    return Err(Error::usage("--submit manager needs --correlation-id, the worker's")
                        .hint(format!("`conveyor continuation {} --list` shows it", task.name)));
                }
            };
            let of = |proposer| store::continuations::newest(r, &task.id, &correlation_id, proposer);
            if proposer == Proposer::Manager && of(Proposer::Worker)?.is_none() {
                return Err(Error::refused(
                    "manager continuation requires an existing worker continuation for the same correlation_id",
                )
                .hint(format!("`conveyor continuation {} --list` shows those of the worker", task.name)));
            }
            // Who has seen the other proposal does not write another one of the same round.
            if of(Proposer::Manager)?.is_some() {
                return Err(Error::refused(format!("both proposals of \"{correlation_id}\" are in, and final"))
                    .hint("the worker begins another round with `--submit worker` and a new --correlation-id"));
            }
            let now = cx.now();
            let stored =
                store::continuations::propose(w, &task.id, proposer, &origin.words(), &correlation_id, &payload, now)?;
            let session = match proposer {
                Proposer::Worker => &binding.worker_session_id,
                Proposer::Manager => &binding.manager_session_id,
            };
            let about = audit::About { task_id: Some(&task.id), session_id: Some(session) };
            // Neither what is proposed nor its keys: the manager reads this trail, too.
            let told = json!({
                "continuation_id": stored.id,
                "correlation_id": correlation_id,
                "origin": origin.words(),
                "proposer": proposer,
            });
            audit::append(w, now, origin.actor(cx), "task_continuation_recorded", about, &told)?;
            let next = match proposer {
                Proposer::Worker => "manager",
                Proposer::Manager => when_both_are_in(cx, w, &task, &correlation_id)?,
            };
            Ok(Continued::Submitted(Box::new(Submitted {
                continuation: stored,
                dry_run: cx.dry_run(),
                next,
                task: task.name,
            })))
        })
    }

    fn record(&self, cx: &Context, correlation_id: &str) -> Result<Continued> {
        let judgement = review::judgement(&self.given()?).map_err(Error::usage)?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        if origin != Origin::Operator {
            return Err(Error::new(Kind::Blocked, format!("{} may not judge proposals", origin.words()))
                .hint("a person does, or the program that an operator has set (`conveyor continuation-reviewer`)"));
        }
        let (mut reviewed, answered) = store.write_durably(|w| {
            let task = open_task(w.read(), &self.task)?;
            let pair = review::pair(w.read(), &task, correlation_id)?;
            let run = json!({ "status": "operator" });
            let stored = review::settle(cx, w, &origin, &task, &pair, ReviewSource::Operator, &judgement, &run)?;
            // What a person was asked about the round, they have answered now.
            let note = [Some(&*judgement.rationale), judgement.addendum.as_deref()].map(Option::unwrap_or_default);
            let note = note.join(" ");
            let (round, verdict) = (&stored.correlation_id, stored.verdict);
            let answered =
                store::continuations::answer_round(w, &task.id, round, verdict, Some(note.trim()), cx.now())?;
            answered.iter().try_for_each(|question| operator::on_record(cx, w, question))?;
            Ok::<_, Error>((Reviewed::new(cx, stored, &task), answered))
        })?;
        reviewed.answered_questions = answered.iter().map(|question| question.id).collect();
        reviewed.warning = answered.first().and_then(|question| operator::tell(cx, &store, question));
        Ok(Continued::Reviewed(Box::new(reviewed)))
    }

    fn listed(&self, cx: &Context, correlation_id: Option<&str>) -> Result<Continued> {
        let store = cx.ledger()?;
        let origin = caller::origin(cx, &store)?;
        store.read(|r| {
            let task = lookup::task(r, &self.task)?;
            let binding = store::bindings::active_of_task(r, &task.id)?;
            let eyes = Eyes::of(&origin, binding.as_ref());
            let all = store::continuations::of_task(r, &task.id, correlation_id)?;
            let is_complete =
                |id: &str| all.iter().any(|one| one.proposer == Proposer::Manager && one.correlation_id == id);
            let sees = |one: &Stored| {
                let complete = is_complete(&one.correlation_id);
                eyes.see(one.proposer, complete) && Eyes::named(self.as_role).see(one.proposer, complete)
            };
            if self.include_payload && correlation_id.is_some() && self.as_role != Seen::Reviewer {
                let blind = all.iter().any(|one| one.proposer == Proposer::Worker && !sees(one));
                if blind {
                    return Err(Error::new(
                        Kind::Blocked,
                        "manager cannot read worker continuation payload before submitting manager continuation",
                    )
                    .hint(format!("`conveyor continuation {} --submit manager`", task.name)));
                }
            }
            let view = |one: Stored| {
                let payload = (self.include_payload && sees(&one)).then(|| one.payload.clone());
                Listed {
                    correlation_id: one.correlation_id,
                    created_at: one.created_at,
                    id: one.id,
                    origin: one.origin,
                    payload_redacted: payload.is_none(),
                    payload,
                    proposer: one.proposer,
                    revision: one.revision,
                    task_id: one.task_id,
                }
            };
            let continuations = all.iter().cloned().map(view).collect();
            let reviews = store::continuations::reviews(r, &task.id, correlation_id)?;
            let standing = Box::new(review::standing(r, &task)?);
            Ok(Continued::Listed { continuations, reviews, standing, task: task.name })
        })
    }
}

/// Whose eyes look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eyes {
    /// A person.
    Everything,
    Worker,
    Manager,
    /// A session of something else, or one that hides and may be the manager.
    Stranger,
}

impl Eyes {
    fn of(origin: &Origin, binding: Option<&Binding>) -> Self {
        match origin {
            Origin::Operator => Self::Everything,
            Origin::Session(session) => match binding {
                Some(binding) if binding.worker_session_id == session.id => Self::Worker,
                Some(binding) if binding.manager_session_id == session.id => Self::Manager,
                _ => Self::Stranger,
            },
            Origin::Hidden => Self::Stranger,
        }
    }

    fn named(role: Seen) -> Self {
        match role {
            Seen::All => Self::Everything,
            Seen::Worker => Self::Worker,
            Seen::Manager => Self::Manager,
            Seen::Reviewer => Self::Stranger,
        }
    }

    /// Whether they see a proposal of `proposer` in a round in which both are in, or not.
    fn see(self, proposer: Proposer, complete: bool) -> bool {
        match self {
            Self::Everything => true,
            Self::Worker => complete || proposer == Proposer::Worker,
            Self::Manager => complete || proposer == Proposer::Manager,
            Self::Stranger => complete,
        }
    }
}

pub(super) fn open_task(r: Read<'_>, reference: &str) -> Result<Task> {
    let task = lookup::task(r, reference)?;
    lookup::check_open(&task)?;
    Ok(task)
}

/// Each proposal is its own session's word, or a person's.
fn check_speaker(origin: &Origin, binding: &Binding, proposer: Proposer, task: &Task) -> Result<()> {
    let (role, own) = match proposer {
        Proposer::Worker => (Role::Worker, &binding.worker_session_id),
        Proposer::Manager => (Role::Manager, &binding.manager_session_id),
    };
    let may = match origin {
        Origin::Operator => true,
        Origin::Session(session) => session.id == *own,
        Origin::Hidden => false,
    };
    if may {
        return Ok(());
    }
    Err(Error::new(Kind::Blocked, format!("{} is not the {role} of the task \"{}\"", origin.words(), task.name))
        .hint(format!("only the {role} itself proposes for the {role}")))
}

/// What follows when the terms change: rounds that nobody will judge by itself now are put to the operator.
pub(super) fn when_terms_change(cx: &Context, w: &Write<'_>, task: &Task, before: &Terms, after: &Terms) -> Result<()> {
    let said = |terms: &Terms| (terms.nudge_on_completion, terms.permissions.holds(Permission::SpawnReviewer));
    if said(before) == said(after) {
        return Ok(());
    }
    let mut rounds = store::continuations::waiting(w.read(), &task.id, &cx.moment())?;
    // What came before the newest round while nothing was to follow is over.
    if when_ready(before.nudge_on_completion) == WhenReady::Nothing {
        rounds = rounds.pop().into_iter().collect();
    }
    rounds.iter().try_for_each(|round| when_both_are_in(cx, w, task, round).map(drop))
}

/// What the terms say follows; its name.
fn when_both_are_in(cx: &Context, w: &Write<'_>, task: &Task, correlation_id: &str) -> Result<&'static str> {
    let mode = store::continuations::mode(w.read(), &task.id)?;
    let reason = match when_ready(mode) {
        WhenReady::Nothing => return Ok("nothing"),
        WhenReady::Ask => "worker and manager have proposed what comes next".to_owned(),
        WhenReady::Review => {
            let config = store::manager_configs::of_task(w.read(), &task.id)?;
            let permission = Permission::SpawnReviewer;
            let allowed = config.is_some_and(|config| config.terms.permissions.holds(permission));
            if !allowed {
                format!("no review was begun: the terms do not allow {permission}")
            } else if store::continuations::reviewer(w.read(), &task.id)?.is_none() {
                "no review was begun: no reviewer is set (`conveyor continuation-reviewer --set`)".to_owned()
            } else {
                return Ok("review");
            }
        }
    };
    let kind = OperatorQuestion::ContinuationReady;
    review::ask(cx, w, task, kind, correlation_id, None, &reason)?;
    Ok("operator")
}

impl Outcome for Continued {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Submitted(submitted) => {
                let Submitted { continuation, dry_run, next, task } = &**submitted;
                let would = if *dry_run { "would be " } else { "" };
                let Stored { proposer, revision, correlation_id, .. } = continuation;
                writeln!(out, "{task}: {would}proposal {revision} of the {proposer} in {correlation_id}; next: {next}")
            }
            Self::Reviewed(reviewed) => reviewed.lines(out),
            Self::Listed { continuations, reviews, standing, task } => {
                for one in continuations {
                    let Listed { proposer, revision, correlation_id, payload, origin, .. } = one;
                    let by = record::on_behalf(Some(origin), proposer.as_str());
                    let by = by.map(|by| format!(", made by {by} for it")).unwrap_or_default();
                    writeln!(out, "{task}: proposal {revision} of the {proposer} in {correlation_id}{by}")?;
                    if let Some(payload) = payload {
                        writeln!(out, "  | {payload}")?;
                    }
                }
                reviews.iter().try_for_each(|one| review::lines(out, one))?;
                match &standing.reason {
                    Some(reason) => writeln!(out, "not to proceed: {reason}"),
                    None => writeln!(out, "to proceed"),
                }
            }
        }
    }
}
