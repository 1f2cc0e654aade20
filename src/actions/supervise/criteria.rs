//! `criteria`: what a worker has to deliver, how it stands, and on which evidence.
//!
//! Each criterion goes its way by moves that lead on from where it stands, each one on record with who made it. That
//! one is satisfied takes evidence that the program has looked up itself.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    evidence::{self, EvidenceArgs},
    programs::Programs,
    texts,
};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome,
        caller::{self, Origin},
        lookup,
    },
    base::{Error, Kind, Result, Timestamp},
    model::{
        session::Session,
        supervision::{
            CriteriaSummary, CriterionMove, CriterionSource, CriterionStatus,
            evidence::{Backing, backing, links},
        },
        task::{Binding, Task},
    },
    store::{
        self, Read, Write, audit,
        criteria::{By, Criterion, CriterionChange, NewCriterion},
    },
};

/// Show or change what the worker of a task has to deliver
///
/// A criterion is proposed, accepted, satisfied, deferred or rejected. Only an accepted one can be satisfied, and only
/// with evidence that the program finds: an event, a byte of the worker's rollout, a command, a commit or a file. What a
/// session names has to be newer than the criterion, and a receipt of a program has to be among it: a command of the
/// worker's that could have failed and did not, a commit, a file, or a run-tools step. `--accept` takes up again what
/// was deferred, satisfied or rejected, without its evidence; the last two with a --rationale. A worker only proposes.
/// A session neither defers nor rejects what the operator asked for.
///
/// What you name as an operator, a file or a commit among it, is your word that it shows what was asked for, and is
/// shown as that; a command that ended well and a run-tools step since are seen by the program itself.
///
/// Example: `conveyor criteria parser --add --criterion "every recorded file parses" --status accepted`
///
/// Example: `conveyor criteria parser --list --text`
///
/// Example: `conveyor criteria parser --satisfy 3 --commit 1f5bd2a --proof "cargo test: 212 passed"`
///
/// Example: `conveyor criteria parser --satisfy 3 --artifact target/report.txt`
///
/// Example: `conveyor criteria parser --reject 4 --rationale "the format is dropped"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(false)
    .args(["list", "add", "accept", "satisfy", "defer", "reject"]))]
pub struct Criteria {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// What is to be delivered, where it does not belong: it is only refused, with a word where it does
    #[arg(value_name = "TEXT", hide = true)]
    pub misplaced: Option<String>,
    /// List them
    #[arg(long)]
    pub list: bool,
    /// Add one, with --criterion
    #[arg(long)]
    pub add: bool,
    /// The work is held to it from now on, or again
    #[arg(long, value_name = "ID")]
    pub accept: Option<i64>,
    /// It is fulfilled
    #[arg(long, value_name = "ID")]
    pub satisfy: Option<i64>,
    /// It is put off
    #[arg(long, value_name = "ID")]
    pub defer: Option<i64>,
    /// It does not count
    #[arg(long, value_name = "ID")]
    pub reject: Option<i64>,
    /// What is to be delivered
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, requires = "add")]
    pub criterion: Option<String>,
    /// Where it comes from: user_requested, manager_inferred, worker_proposed or final_audit [default for an operator:
    /// user_requested; a session says it]
    #[arg(long, value_name = "SOURCE", requires = "add")]
    pub source: Option<CriterionSource>,
    /// With --list only those that stand so, may be given several times; with --add how it begins [default: proposed]
    #[arg(long, value_name = "STATUS", conflicts_with_all = ["accept", "satisfy", "defer", "reject"])]
    pub status: Vec<CriterionStatus>,
    /// What proves it, in words
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "list")]
    pub proof: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "list")]
    pub rationale: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub evidence: Box<EvidenceArgs>,
    /// Change it only when it is still of this version
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["list", "add"])]
    pub expect_version: Option<u64>,
    /// Add every change of each criterion
    #[arg(long)]
    pub history: bool,
}

/// The criteria of a task.
#[derive(Debug, Serialize)]
pub struct CriteriaList {
    #[serde(skip_serializing_if = "Option::is_none")]
    affected_criterion: Option<CriterionView>,
    criteria: Vec<CriterionView>,
    dry_run: bool,
    /// With --add: it was there already, and nothing was changed.
    repeated: bool,
    summary: CriteriaSummary,
    task: Brief,
}

/// A criterion as printed.
#[derive(Debug, Clone, Serialize)]
pub struct CriterionView {
    /// Who or what stands behind it when it is satisfied: the program, or only the word of an operator or a session.
    backed_by: Option<Backing>,
    #[serde(flatten)]
    criterion: Criterion,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<CriterionChange>>,
}

impl CriterionView {
    /// Without its history.
    pub(super) fn plain(r: Read<'_>, criterion: Criterion) -> Result<Self> {
        Ok(Self { backed_by: evidence::backing(r, &criterion)?, criterion, history: None })
    }

    /// Where it stands.
    pub(super) fn status(&self) -> CriterionStatus {
        self.criterion.status
    }
}

#[derive(Debug, Serialize)]
struct Brief {
    id: String,
    name: String,
}

impl Action for Criteria {
    const NAME: &'static str = "criteria";
    const FORMAT: Format = Format::Json;
    type Output = CriteriaList;

    fn run(self, cx: &Context) -> Result<CriteriaList> {
        if self.misplaced.is_some() {
            return Err(without_text("what is to be delivered goes with --criterion, and not behind the task"));
        }
        if self.list {
            if !self.evidence.is_empty() {
                return Err(Error::usage("evidence goes with a change, not with --list"));
            }
            return cx.ledger()?.read(|r| {
                let task = lookup::task(r, &self.task)?;
                self.told(r, cx, task, None, /*repeated*/ false)
            });
        }
        if self.add && self.criterion.is_none() {
            return Err(without_text(NO_TEXT));
        }
        let proof = self.proof.as_deref().map(|text| texts::one("--proof", text)).transpose()?;
        let rationale = self.rationale.as_deref().map(|text| texts::one("--rationale", text)).transpose()?;
        let said = Said { proof, rationale };
        let text = self.criterion.as_deref().map(|text| texts::one("--criterion", text)).transpose()?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        let (worker, programs) = store.read(|r| {
            let task = lookup::task(r, &self.task)?;
            Ok::<_, Error>((bound(r, &task)?.worker, Programs::of(cx, r, &origin, &task.id)?))
        })?;
        let evidence = self.evidence.prepared(cx, &programs, worker.as_ref())?;
        store.write_durably(|w| {
            let task = lookup::task(w.read(), &self.task)?;
            lookup::check_open(&task)?;
            let change = Change { cx, w, origin: &origin, bound: bound(w.read(), &task)?, task: &task };
            let found = |before: &Value, id: Option<i64>| {
                let since = match id {
                    Some(id) => store::criteria::counts_since(w.read(), id)?,
                    None => Some(cx.now()),
                };
                let about = evidence::For {
                    task: &task,
                    worker: change.bound.worker.as_ref(),
                    since,
                    by_operator: origin == Origin::Operator,
                    now: cx.now(),
                };
                evidence.after(w.read(), &about, before)
            };
            let (affected, repeated) = match (self.step(), &text) {
                (Some((step, id)), _) => {
                    (change.step(step, id, self.expect_version, &said, self.evidence.is_empty(), &found)?, false)
                }
                (None, Some(text)) => {
                    let source = self.source_from(&origin)?;
                    let ([] | [_]) = self.status.as_slice() else {
                        return Err(Error::usage("criteria --add accepts at most one --status"));
                    };
                    change.add(text, source, self.status.first().copied(), &said, &found(&json!({}), None)?)?
                }
                (None, None) => return Err(without_text(NO_TEXT)),
            };
            self.told(w.read(), cx, task.clone(), Some(affected), repeated)
        })
    }

    fn argv(&self) -> Argv {
        let Self {
            task,
            misplaced,
            list,
            add,
            accept,
            satisfy,
            defer,
            reject,
            criterion,
            source,
            status,
            proof,
            rationale,
            evidence,
            expect_version,
            history,
        } = self;
        let EvidenceArgs { evidence_json, event, byte, command, commit, artifact } = &**evidence;
        let mut argv = Argv::new(Self::NAME)
            .switch("--list", *list)
            .switch("--add", *add)
            .option("--accept", accept.as_ref())
            .option("--satisfy", satisfy.as_ref())
            .option("--defer", defer.as_ref())
            .option("--reject", reject.as_ref())
            .option("--criterion", criterion.as_ref())
            .option("--source", *source);
        argv = status.iter().fold(argv, |argv, status| argv.option("--status", Some(status)));
        argv = argv
            .option("--proof", proof.as_ref())
            .option("--rationale", rationale.as_ref())
            .option("--evidence-json", evidence_json.as_ref());
        argv = event.iter().fold(argv, |argv, event| argv.option("--event", Some(event)));
        argv = byte.iter().fold(argv, |argv, byte| argv.option("--byte", Some(byte)));
        argv = command.iter().fold(argv, |argv, command| argv.option("--command", Some(command)));
        argv = commit.iter().fold(argv, |argv, commit| argv.option("--commit", Some(commit)));
        argv = artifact.iter().fold(argv, |argv, path| argv.option("--artifact", Some(path.display())));
        let argv = argv
            .option("--expect-version", expect_version.as_ref())
            .switch("--history", *history)
            .end_of_options()
            .word(task);
        misplaced.iter().fold(argv, Argv::word)
    }
}

impl Criteria {
    /// The command that adds what a worker has proposed.
    pub(in crate::actions) fn adding(
        task: &str,
        criterion: &str,
        status: CriterionStatus,
        rationale: Option<&str>,
    ) -> Self {
        Self {
            task: task.to_owned(),
            misplaced: None,
            list: false,
            add: true,
            accept: None,
            satisfy: None,
            defer: None,
            reject: None,
            criterion: Some(criterion.to_owned()),
            source: Some(CriterionSource::WorkerProposed),
            status: vec![status],
            proof: None,
            rationale: rationale.map(str::to_owned),
            evidence: Box::default(),
            expect_version: None,
            history: false,
        }
    }

    /// What is to be done to which criterion.
    fn step(&self) -> Option<(CriterionMove, i64)> {
        let moves = [
            (CriterionMove::Accept, self.accept),
            (CriterionMove::Satisfy, self.satisfy),
            (CriterionMove::Defer, self.defer),
            (CriterionMove::Reject, self.reject),
        ];
        moves.into_iter().find_map(|(step, id)| Some((step, id?)))
    }

    /// Where an added one comes from. Who is an operator asks for it; a session says whose wish it is.
    fn source_from(&self, origin: &Origin) -> Result<CriterionSource> {
        match (self.source, origin) {
            (Some(source), _) => Ok(source),
            (None, Origin::Operator) => Ok(CriterionSource::UserRequested),
            (None, Origin::Session(_) | Origin::Hidden) => {
                Err(Error::usage("criteria --add needs --source: a session says where a criterion comes from").hint(
                    "--source worker_proposed for what the worker proposes, --source manager_inferred for what follows \
                     from the goal",
                ))
            }
        }
    }

    fn told(
        &self,
        r: Read<'_>,
        cx: &Context,
        task: Task,
        affected: Option<Criterion>,
        repeated: bool,
    ) -> Result<CriteriaList> {
        let view = |criterion: Criterion| {
            let history = self.history.then(|| store::criteria::history(r, criterion.id)).transpose()?;
            Ok::<_, Error>(CriterionView { history, ..CriterionView::plain(r, criterion)? })
        };
        let wanted = |one: &Criterion| !self.list || self.status.is_empty() || self.status.contains(&one.status);
        let all = store::criteria::of_task(r, &task.id)?;
        Ok(CriteriaList {
            affected_criterion: affected.map(view).transpose()?,
            criteria: all.into_iter().filter(wanted).map(view).collect::<Result<_>>()?,
            dry_run: cx.dry_run(),
            repeated,
            summary: store::criteria::summary(r, &task.id)?,
            task: Brief { id: task.id, name: task.name },
        })
    }
}

const NO_TEXT: &str = "criteria --add needs --criterion: what is to be delivered";

fn without_text(why: &str) -> Error {
    Error::usage(why)
        .hint("for example `conveyor criteria TASK --add --criterion \"every recorded file parses\" --status accepted`")
}

/// What was said with a change.
struct Said {
    proof: Option<String>,
    rationale: Option<String>,
}

/// The sessions that work on a task.
struct Bound {
    binding: Option<Binding>,
    worker: Option<Session>,
}

fn bound(r: Read<'_>, task: &Task) -> Result<Bound> {
    // What a worker did can still be shown when its binding has ended.
    let binding = store::bindings::newest_of_task(r, &task.id)?;
    let worker = match &binding {
        Some(binding) => store::sessions::by_id(r, &binding.worker_session_id)?,
        None => None,
    };
    Ok(Bound { binding: binding.filter(Binding::is_in_force), worker })
}

/// A change in the making.
struct Change<'a> {
    cx: &'a Context,
    w: &'a Write<'a>,
    origin: &'a Origin,
    bound: Bound,
    task: &'a Task,
}

impl Change<'_> {
    fn add(
        &self,
        text: &str,
        source: CriterionSource,
        status: Option<CriterionStatus>,
        said: &Said,
        evidence: &Value,
    ) -> Result<(Criterion, bool)> {
        let begins = status.unwrap_or(CriterionStatus::Proposed);
        self.check_add(source, begins)?;
        if begins == CriterionStatus::Satisfied {
            return Err(Error::refused("a criterion is not satisfied from its beginning")
                .hint("add it as accepted, then satisfy it with the evidence"));
        }
        if let Some(known) = store::criteria::by_text(self.w.read(), &self.task.id, text, Some(source))? {
            let says_more = said.proof.is_some() || said.rationale.is_some() || links(evidence).next().is_some();
            if says_more || status.is_some_and(|status| status != known.status) {
                return Err(Error::conflict(format!(
                    "criterion {} says that already, and is {}",
                    known.id, known.status
                ))
                .hint("change that one, with --accept, --satisfy, --defer or --reject"));
            }
            return Ok((known, true));
        }
        let new = NewCriterion {
            task_id: &self.task.id,
            criterion: text,
            source,
            status: begins,
            proof: said.proof.as_deref(),
            rationale: said.rationale.as_deref(),
            evidence,
        };
        add(self.cx, self.w, self.origin, &new, self.cx.now()).map(|added| (added, false))
    }

    fn step(
        &self,
        step: CriterionMove,
        id: i64,
        expect_version: Option<u64>,
        said: &Said,
        adds_no_evidence: bool,
        found: &dyn Fn(&Value, Option<i64>) -> Result<Value>,
    ) -> Result<Criterion> {
        let known = store::criteria::by_id(self.w.read(), id)?.filter(|known| known.task_id == self.task.id);
        let known = known.ok_or_else(|| {
            Error::not_found(format!("unknown acceptance criterion for task {}: {id}", self.task.name))
                .hint(format!("`conveyor criteria {} --list` shows them", self.task.name))
        })?;
        self.check_step(step, &known)?;
        let changed_meanwhile = |now: u64| {
            Error::conflict(format!("criterion {id} was changed meanwhile: it is of version {now}"))
                .hint("look at it again, then decide")
        };
        if expect_version.is_some_and(|expected| expected != known.version) {
            return Err(changed_meanwhile(known.version));
        }
        if !known.status.allows(step) {
            return Err(Error::refused(format!("criterion {id} is {}, and cannot be {}", known.status, step.to()))
                .hint("only an accepted criterion can be satisfied; --accept takes one up again"));
        }
        if known.status.is_reopened_by(step) && said.rationale.is_none() {
            return Err(Error::refused(format!(
                "criterion {id} is {}; to take it up again needs a reason",
                known.status
            ))
            .hint("add --rationale TEXT"));
        }
        // What showed it before it was taken up again is in its history, and shows nothing any more.
        let is_new_round = step == CriterionMove::Accept && known.status != CriterionStatus::Proposed;
        let before = if is_new_round { json!({}) } else { known.evidence.clone() };
        let evidence = if adds_no_evidence { before } else { found(&before, Some(id))? };
        if step == CriterionMove::Satisfy {
            self.check_evidence(id, &evidence)?;
        }
        let changed = Criterion {
            status: step.to(),
            proof: said.proof.clone().or_else(|| known.proof.clone()),
            rationale: said.rationale.clone().or_else(|| known.rationale.clone()),
            evidence,
            ..known.clone()
        };
        let stored = record_change(self.cx, self.w, self.origin, &known, &changed, self.cx.now())?;
        stored.ok_or_else(|| changed_meanwhile(known.version + 1))
    }

    /// A person says what shows it; of a session only receipts of programs count, and not its words.
    fn check_evidence(&self, id: i64, found: &Value) -> Result<()> {
        const HINT: &str = "name what shows it with --event, --byte, --command, --commit or --artifact";
        if links(found).next().is_none() {
            return Err(
                Error::new(Kind::Blocked, format!("criterion {id} has no evidence that can be looked up")).hint(HINT)
            );
        }
        if *self.origin != Origin::Operator && backing(found, /*by_operator*/ false) != Backing::Program {
            let words = format!("the evidence of criterion {id} is what somebody says, and no receipt");
            return Err(Error::new(Kind::Blocked, words).hint(
                "show a command of the worker's that ended well (--byte), a commit, a file (--artifact), or an event of \
                 a run-tools step",
            ));
        }
        Ok(())
    }

    /// A worker proposes; what the operator asks for the operator says.
    fn check_add(&self, source: CriterionSource, status: CriterionStatus) -> Result<()> {
        let refused = |why: &str| Err(Error::new(Kind::Blocked, format!("{} {why}", self.origin.words())));
        match self.origin {
            Origin::Operator => Ok(()),
            Origin::Session(session) if !self.works_here(session) => refused("does not work on this task"),
            _ if self.origin.may_be_worker()
                && (source != CriterionSource::WorkerProposed || status != CriterionStatus::Proposed) =>
            {
                let what = self.origin.as_worker();
                refused(&format!("{what}, and adds only proposals of its own (worker_proposed, proposed)"))
            }
            _ if source == CriterionSource::UserRequested => refused("cannot say what the operator asks for"),
            Origin::Session(_) | Origin::Hidden => Ok(()),
        }
    }

    fn check_step(&self, step: CriterionMove, known: &Criterion) -> Result<()> {
        let refused = |why: &str| Err(Error::new(Kind::Blocked, format!("{} {why}", self.origin.words())));
        match self.origin {
            Origin::Operator => return Ok(()),
            Origin::Session(session) if !self.works_here(session) => return refused("does not work on this task"),
            _ if self.origin.may_be_worker() => {
                return refused(&format!("{}, and settles no criterion", self.origin.as_worker()));
            }
            Origin::Session(_) | Origin::Hidden => {}
        }
        if !matches!(step, CriterionMove::Defer | CriterionMove::Reject) {
            return Ok(());
        }
        let config = store::manager_configs::of_task(self.w.read(), &self.task.id)?;
        let is_term = config.is_some_and(|config| config.terms.acceptance_criteria.contains(&known.criterion));
        if known.source == CriterionSource::UserRequested || is_term {
            return refused("neither defers nor rejects what the operator asked for");
        }
        Ok(())
    }

    fn works_here(&self, session: &Session) -> bool {
        let ends = |binding: &Binding| [&binding.worker_session_id, &binding.manager_session_id].contains(&&session.id);
        self.bound.binding.as_ref().is_some_and(ends)
    }
}

/// Adds a criterion that was asked for at this time, and says so in the audit trail.
pub(super) fn add(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    new: &NewCriterion<'_>,
    asked_at: Timestamp,
) -> Result<Criterion> {
    let by = By { actor: origin.actor(cx).as_str(), origin: &origin.words() };
    let added = store::criteria::add(w, new, by, asked_at)?;
    let about = audit::About { task_id: Some(new.task_id), session_id: None };
    let payload = json!({
        "created": true,
        "criterion": added.criterion,
        "criterion_id": added.id,
        "evidence": added.evidence,
        "origin": by.origin,
        "proof": added.proof,
        "rationale": added.rationale,
        "source": added.source,
        "status": added.status,
        "task_id": added.task_id,
    });
    audit::append(w, cx.now(), origin.actor(cx), "acceptance_criterion_added", about, &payload)?;
    Ok(added)
}

/// Stores a criterion as it is since this time, and says so in the audit trail; none when somebody else has changed it
/// meanwhile.
pub(super) fn record_change(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    known: &Criterion,
    changed: &Criterion,
    at: Timestamp,
) -> Result<Option<Criterion>> {
    let by = By { actor: origin.actor(cx).as_str(), origin: &origin.words() };
    let Some(stored) = store::criteria::change(w, known.status, changed, by, at)? else { return Ok(None) };
    let about = audit::About { task_id: Some(&stored.task_id), session_id: None };
    let payload = json!({
        "criterion": stored.criterion,
        "criterion_id": stored.id,
        "evidence": stored.evidence,
        "origin": by.origin,
        "previous_evidence": known.evidence,
        "previous_proof": known.proof,
        "previous_rationale": known.rationale,
        "previous_status": known.status,
        "proof": stored.proof,
        "rationale": stored.rationale,
        "source": stored.source,
        "status": stored.status,
        "task_id": stored.task_id,
        "version": stored.version,
    });
    audit::append(w, cx.now(), origin.actor(cx), "acceptance_criterion_updated", about, &payload)?;
    Ok(Some(stored))
}

impl Outcome for CriteriaList {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let would = if self.dry_run && self.affected_criterion.is_some() { "would be " } else { "" };
        let line = |out: &mut dyn fmt::Write, would: &str, one: &CriterionView| {
            let Criterion { id, status, source, criterion, evidence, .. } = &one.criterion;
            let word = match one.backed_by {
                Some(Backing::Operator) => " on the operator's word",
                Some(Backing::Session) => " on a session's word",
                Some(Backing::Program) | None => "",
            };
            let links = match links(evidence).count() {
                0 => String::new(),
                1 => ", 1 link to evidence".to_owned(),
                links => format!(", {links} links to evidence"),
            };
            writeln!(out, "#{id} {would}{status}{word} ({source}{links}): {criterion}")
        };
        match &self.affected_criterion {
            Some(one) => line(out, would, one)?,
            None => self.criteria.iter().try_for_each(|one| line(out, "", one))?,
        }
        let CriteriaSummary { accepted, deferred, proposed, rejected, satisfied } = self.summary;
        writeln!(
            out,
            "{}: {satisfied} of {} satisfied; {proposed} proposed, {deferred} deferred, {rejected} rejected",
            self.task.name,
            accepted + satisfied,
        )
    }
}
