//! `record-decision`, and whether a decision carries what is to be done because of it.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use super::texts;
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome,
        caller::{self, Origin},
        lookup,
    },
    base::{Error, Kind, Result, Timestamp},
    model::{
        session::Role,
        supervision::{Deciding, DecisionFault, MAX_DECISION_AGE},
        task::Task,
    },
    store::{self, Read, Write, audit, decisions::NewDecision},
};

/// Record what was decided about a task, and why
///
/// Decisions are those of an operator or of the task's manager. A command that asks for one (`--decision-id`,
/// `--strict-decisions`) takes it for 15 minutes.
///
/// Example: `conveyor record-decision parser nudge --reason "the tests were not run"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct RecordDecision {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// wait, nudge, interrupt, escalate, stop or inspect
    #[arg(value_name = "DECISION")]
    pub decision: Deciding,
    /// Why
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub reason: String,
    /// The cycle that led to it
    #[arg(long, value_name = "CYCLE")]
    pub cycle_id: Option<i64>,
    /// Whatever else belongs to it, as a JSON object
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub payload_json: Option<String>,
}

/// A decision as printed.
#[derive(Debug, Serialize)]
pub struct Decided {
    #[serde(flatten)]
    decision: store::decisions::Decision,
    dry_run: bool,
    task: Brief,
}

#[derive(Debug, Serialize)]
struct Brief {
    id: String,
    name: String,
}

impl Action for RecordDecision {
    const NAME: &'static str = "record-decision";
    const FORMAT: Format = Format::Json;
    type Output = Decided;

    fn run(self, cx: &Context) -> Result<Decided> {
        let reason = texts::one("--reason", &self.reason)?;
        let payload = texts::object("--payload-json", self.payload_json.as_deref())?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        store.write_durably(|w| {
            let task = lookup::task(w.read(), &self.task)?;
            let decision = record(cx, w, &origin, &task, self.decision, &reason, self.cycle_id, &payload)?;
            Ok(Decided { decision, dry_run: cx.dry_run(), task: Brief { id: task.id, name: task.name } })
        })
    }

    fn argv(&self) -> Argv {
        let Self { task, decision, reason, cycle_id, payload_json } = self;
        Argv::new(Self::NAME)
            .option("--reason", Some(reason))
            .option("--cycle-id", cycle_id.as_ref())
            .option("--payload-json", payload_json.as_ref())
            .end_of_options()
            .word(task)
            .word(decision)
    }
}

impl Outcome for Decided {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would record" } else { "recorded" };
        writeln!(out, "{verb} decision {} on {}: {}", self.decision.id, self.task.name, self.decision.decision)
    }
}

/// Records a decision of whoever may decide about the task.
#[expect(clippy::too_many_arguments, reason = "each is a column")]
pub(in crate::actions) fn record(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    task: &Task,
    decision: Deciding,
    reason: &str,
    cycle_id: Option<i64>,
    payload: &Value,
) -> Result<store::decisions::Decision> {
    lookup::check_open(task)?;
    let who = origin.words();
    let refused = |why: &str| Error::new(Kind::Blocked, format!("{who} {why} the task \"{}\"", task.name));
    match origin {
        Origin::Operator => {}
        Origin::Session(session) => {
            let binding = store::bindings::active_of_task(w.read(), &task.id)?;
            let is_manager = binding.is_some_and(|binding| binding.manager_session_id == session.id);
            if session.role != Role::Manager || !is_manager {
                return Err(refused("does not supervise"));
            }
        }
        Origin::Hidden => return Err(refused("may be a worker, and decides nothing about")),
    }
    if let Some(cycle) = cycle_id
        && store::cycles::task_of(w.read(), cycle)?.is_none_or(|id| id != task.id)
    {
        return Err(Error::not_found(format!("task \"{}\" has no cycle {cycle}", task.name)));
    }
    let actor = origin.actor(cx);
    let session = match origin {
        Origin::Session(session) => Some(&*session.id),
        Origin::Operator | Origin::Hidden => None,
    };
    let new = NewDecision {
        task_id: &task.id,
        actor: actor.as_str(),
        manager_session_id: session,
        manager_cycle_id: cycle_id,
        decision,
        reason,
        payload,
    };
    let now = cx.now();
    let stored = store::decisions::record(w, &new, now)?;
    let about = audit::About { task_id: Some(&task.id), session_id: session };
    let told = json!({
        "decision": decision,
        "decision_id": stored.id,
        "manager_cycle_id": cycle_id,
        "origin": origin.words(),
        "reason": reason,
    });
    audit::append(w, now, actor, "manager_decision_recorded", about, &told)?;
    Ok(stored)
}

/// Whether a decision carries what is to be done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionCheck {
    /// How old it is.
    pub age_seconds: Option<i64>,
    /// Decisions that carry it.
    pub allowed_decisions: Vec<Deciding>,
    /// The decision.
    pub decision: Option<store::decisions::Decision>,
    /// Its number, as it was given.
    pub decision_id: Option<i64>,
    /// How old it may be.
    pub max_age_seconds: i64,
    /// It carries it.
    pub ok: bool,
    /// Why not.
    pub warnings: Vec<DecisionFault>,
}

/// Looks whether the decision of this number carries something that needs one of `allowed`.
pub(in crate::actions) fn check(
    r: Read<'_>,
    task: &Task,
    decision_id: Option<i64>,
    allowed: &[Deciding],
    now: Timestamp,
) -> Result<DecisionCheck> {
    let mut warnings = Vec::new();
    let mut age_seconds = None;
    let decision = match decision_id {
        Some(id) => store::decisions::by_id(r, id)?,
        None => None,
    };
    match &decision {
        None => warnings.push(if decision_id.is_none() { DecisionFault::Missing } else { DecisionFault::NotFound }),
        Some(decision) => {
            let age = decision.created_at.age_seconds(now);
            age_seconds = Some(age);
            if decision.task_id != task.id {
                warnings.push(DecisionFault::OtherTask);
            }
            if !allowed.contains(&decision.decision) {
                warnings.push(DecisionFault::Mismatch);
            }
            if !(0..=MAX_DECISION_AGE).contains(&age) {
                warnings.push(DecisionFault::Stale);
            }
        }
    }
    // What was decided about another task is none of this one's business.
    let decision = decision.filter(|decision| decision.task_id == task.id);
    Ok(DecisionCheck {
        age_seconds,
        allowed_decisions: allowed.to_vec(),
        decision,
        decision_id,
        max_age_seconds: MAX_DECISION_AGE,
        ok: warnings.is_empty(),
        warnings,
    })
}
