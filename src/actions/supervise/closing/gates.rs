//! The gates of a task, looked at together.

use super::{
    audits::{AckAudit, CriteriaAudit},
    end::Orders,
    next::{Next, OpenCriteria},
};
use crate::{
    actions::{
        Context,
        caller::Origin,
        supervise::{
            acceptance,
            decisions::{self, DecisionCheck},
            epilogue::{Folder, Status},
            evidence, gate,
            programs::Programs,
        },
    },
    base::Result,
    model::{
        supervision::{
            CriterionStatus, Deciding, Gate, GateCheck, GateReason, ManagerConfig, Mode, Permission, Standing, Wants,
            evidence::{ADVERSARIAL, Backing, is_adversarial, is_of_type, plain_name},
        },
        task::{Binding, BindingState, Task},
    },
    store::{self, Read, criteria::Criterion},
};

/// What was looked up outside of the ledger, and what the ledger said then.
pub(super) struct Outside {
    pub(super) folder: Folder,
    /// The binding whose folder and sessions were looked at, and whether it was in force.
    binding: Option<(String, BindingState)>,
    /// The criteria, by number and version.
    criteria: Vec<(i64, u64)>,
    /// What is no longer as it was when it was shown, by the number of its criterion.
    broken: Vec<(i64, String)>,
    /// What is missing of the captures.
    pub(super) uncaptured: Vec<String>,
}

impl Outside {
    pub(super) fn look(
        cx: &Context,
        programs: &Programs,
        folder: Folder,
        binding: Option<&Binding>,
        criteria: &[Criterion],
    ) -> Self {
        let satisfied = criteria.iter().filter(|one| one.status == CriterionStatus::Satisfied);
        let broken = satisfied
            .flat_map(|one| evidence::broken(cx, programs, &one.evidence).into_iter().map(|why| (one.id, why)))
            .collect();
        Self { folder, binding: version(binding), criteria: versions(criteria), broken, uncaptured: Vec::new() }
    }
}

fn version(binding: Option<&Binding>) -> Option<(String, BindingState)> {
    binding.map(|binding| (binding.id.clone(), binding.state))
}

fn versions(criteria: &[Criterion]) -> Vec<(i64, u64)> {
    criteria.iter().map(|one| (one.id, one.version)).collect()
}

/// Everything that was looked at.
pub(super) struct Looked {
    pub(super) gates: Vec<GateCheck>,
    pub(super) criteria: Option<CriteriaAudit>,
    pub(super) acks: Option<AckAudit>,
    pub(super) epilogue: Option<Status>,
    pub(super) decision: DecisionCheck,
}

impl Looked {
    pub(super) fn is_open(&self) -> bool {
        self.gates.iter().all(|gate| gate.ok)
    }
}

struct Looking<'a> {
    r: Read<'a>,
    origin: &'a Origin,
    orders: &'a Orders<'a>,
    task: &'a Task,
    config: Option<ManagerConfig>,
    outside: &'a Outside,
    next: Next<'a>,
}

/// Looks at every gate that somebody wants. Nothing is written.
pub(super) fn look(
    cx: &Context,
    r: Read<'_>,
    origin: &Origin,
    orders: &Orders<'_>,
    task: &Task,
    outside: &Outside,
) -> Result<Looked> {
    let config = store::manager_configs::of_task(r, &task.id)?;
    let next = Next { origin, task };
    let looking = Looking { r, origin, orders, task, config, outside, next };
    let is_strict = looking.mode() == Some(Mode::Strict);
    let decision = decisions::check(r, task, orders.end.decision_id, &[Deciding::Stop], cx.now())?;
    let mut gates = vec![looking.permission()?];
    // What an operator does is the decision.
    let wants = wanted(orders.end.strict_decisions, is_strict && *origin != Origin::Operator);
    gates.extend(wants.map(|wants| {
        let faults = decision.warnings.iter().map(|fault| (fault.to_string(), fault.words().to_owned())).collect();
        GateCheck::worded(Gate::Decision, wants, faults).leading_to(|| next.decision())
    }));
    let Some(finish) = orders.finish else {
        return Ok(Looked { gates, criteria: None, acks: None, epilogue: None, decision });
    };
    let all = store::criteria::of_task(r, &task.id)?;
    let terms = looking.config.as_ref().map(|config| &config.terms);
    let audit = CriteriaAudit::of(r, task, &all, finish.require_criteria_audit || is_strict)?;
    gates.push(looking.criteria(&all, &audit)?);
    let proven = looking.proven(&all)?;
    let named: Vec<&String> = terms.into_iter().flat_map(|terms| &terms.evidence_gates).collect();
    let (adversarial, others): (Vec<&String>, Vec<&String>) =
        named.into_iter().partition(|name| plain_name(name) == ADVERSARIAL);
    if !others.is_empty() {
        let missing = others.iter().filter(|name| !proven.iter().any(|one| is_of_type(&one.evidence, name)));
        let missing: Vec<String> = missing.map(|name| plain_name(name)).collect();
        let reasons = missing.iter().map(|name| format!("no satisfied criterion has evidence of the type `{name}`"));
        let gate = GateCheck::new(Gate::Evidence, Wants::Terms, reasons.collect());
        gates.push(gate.leading_to(|| next.evidence(&missing)));
    }
    if let Some(wants) = wanted(finish.require_adversarial_proof, !adversarial.is_empty()) {
        let is_there = proven.iter().any(|one| is_adversarial(&one.evidence));
        let reasons = (!is_there).then(|| {
            "no satisfied criterion tells of a try to break the work (failure_mode, check, result)".to_owned()
        });
        let gate = GateCheck::new(Gate::AdversarialProof, wants, reasons.into_iter().collect());
        gates.push(gate.leading_to(|| next.adversarial_proof()));
    }
    let wants = wanted(finish.require_acks, terms.is_some_and(|terms| terms.require_acks));
    let acks = AckAudit::of(r, task, wants.is_some())?;
    gates.extend(wants.map(|wants| {
        let told = acks.stale_reasons.iter().cloned().zip(acks.told.iter().cloned()).collect();
        let gate = GateCheck::worded(Gate::Acknowledgements, wants, told);
        gate.leading_to(|| next.acknowledgements(&acks.missing))
    }));
    let epilogue = Status::of(r, task, looking.config.as_ref(), &outside.folder)?;
    let wants = wanted(finish.require_epilogue, !epilogue.required_steps.is_empty());
    gates.extend(wants.map(|wants| {
        let open = epilogue.steps.iter().filter(|step| !step.ok);
        let mut reasons: Vec<(String, String)> = open
            .map(|step| {
                let words = step.reasons.iter().map(|reason| in_words(reason)).collect::<Vec<_>>().join("; ");
                let name = step.step_name;
                (format!("{name}: {}", step.reasons.join("; ")), format!("{name}: {words}"))
            })
            .collect();
        if epilogue.required_steps.is_empty() {
            reasons.push(plainly("no closing step is configured".to_owned()));
        }
        GateCheck::worded(Gate::Epilogue, wants, reasons).leading_to(|| next.epilogue(&epilogue.missing_or_incomplete))
    }));
    if finish.require_transcript_segment {
        let gate = GateCheck::new(Gate::Transcript, Wants::Flag, outside.uncaptured.clone());
        gates.push(gate.leading_to(|| next.transcript()));
    }
    Ok(Looked { gates, criteria: Some(audit), acks: Some(acks), epilogue: Some(epilogue), decision })
}

/// What a step says is in its way, for a reader: a handoff's fault is a code.
fn in_words(reason: &str) -> &str {
    reason.parse().map_or(reason, |code: GateReason| code.words())
}

/// What is in words already.
fn plainly(words: String) -> (String, String) {
    (words.clone(), words)
}

/// A code behind what it is about.
fn about(what: &str, reason: GateReason) -> (String, String) {
    (format!("{what}: {reason}"), format!("{what}: {}", reason.words()))
}

/// Who wants a gate: the terms, whatever the command line says, else the command line.
fn wanted(by_flag: bool, by_terms: bool) -> Option<Wants> {
    match (by_terms, by_flag) {
        (true, _) => Some(Wants::Terms),
        (false, true) => Some(Wants::Flag),
        (false, false) => None,
    }
}

impl Looking<'_> {
    fn mode(&self) -> Option<Mode> {
        self.config.as_ref().map(|config| config.terms.supervision_mode)
    }

    fn permission(&self) -> Result<GateCheck> {
        let Self { r, origin, orders, task, .. } = self;
        let mut reasons = Vec::new();
        if let Err(error) = gate::supervises(*r, origin, task, "end it") {
            reasons.push(plainly(error.to_string()));
        } else if **origin != Origin::Operator {
            if self.config.is_none() {
                let reason = GateReason::MissingManagerConfig;
                reasons.push((reason.to_string(), reason.words().to_owned()));
            }
            let stops = orders.end.stop_worker || orders.finish.is_none();
            let missing = ManagerConfig::missing(self.config.as_ref(), &[Permission::Stop]);
            if stops && !missing.is_empty() {
                reasons.push(about(Permission::Stop.as_str(), GateReason::PermissionNotEnabled));
            }
            if orders.end.stop_manager {
                reasons.push(about("to stop the manager", GateReason::OnlyAnOperator));
            }
        }
        let may = reasons.is_empty();
        if version(store::bindings::newest_of_task(*r, &task.id)?.as_ref()) != self.outside.binding {
            reasons.push(plainly("the binding was changed while it was looked at: run it again".to_owned()));
        }
        let gate = GateCheck::worded(Gate::Permission, Wants::Always, reasons);
        Ok(gate.leading_to(|| if may { vec![self.next.again()] } else { self.next.permission() }))
    }

    fn criteria(&self, all: &[Criterion], audit: &CriteriaAudit) -> Result<GateCheck> {
        let mut reasons = Vec::new();
        let mut open = OpenCriteria {
            accepted: audit.open_criteria.iter().map(|one| one.id).collect(),
            moved: versions(all) != self.outside.criteria,
            ..OpenCriteria::default()
        };
        if open.moved {
            reasons.push("the criteria were changed while they were looked at: run it again".to_owned());
        }
        reasons.extend(audit.open_criteria.iter().map(|one| format!("#{} is open: {}", one.id, one.criterion)));
        if self.mode() != Some(Mode::Light) || audit.require_criteria_audit {
            let proposed = audit.proposed_criteria.iter();
            reasons.extend(proposed.map(|one| format!("#{} is only proposed: {}", one.id, one.criterion)));
            open.proposed = audit.proposed_criteria.iter().map(|one| one.id).collect();
        }
        for text in self.config.iter().flat_map(|config| &config.terms.acceptance_criteria) {
            let of_text = || all.iter().filter(|one| one.criterion == *text);
            // What is accepted is named above.
            let counts = |one: &Criterion| matches!(one.status, CriterionStatus::Accepted | CriterionStatus::Satisfied);
            if !of_text().any(counts) && !acceptance::is_settled(self.r, of_text())? {
                reasons.push(format!("the terms ask for it, and it is not satisfied: {text}"));
                let others = of_text().filter(|one| !open.proposed.contains(&one.id)).map(|one| (one.id, one.status));
                open.asked_by_terms.extend(others.collect::<Vec<_>>());
            }
        }
        for one in all.iter().filter(|one| one.status == CriterionStatus::Satisfied) {
            if !self.is_proven(one)? {
                reasons.push(format!("#{} is satisfied on somebody's word alone: {}", one.id, one.criterion));
            }
            let broken: Vec<_> = self.outside.broken.iter().filter(|(id, _)| *id == one.id).collect();
            if !broken.is_empty() || !self.is_proven(one)? {
                open.unproven.push(one.id);
            }
            reasons.extend(broken.iter().map(|(id, why)| format!("the evidence of #{id} does not hold: {why}")));
        }
        open.needs_one = audit.require_criteria_audit && audit.summary.satisfied == 0;
        if open.needs_one {
            reasons.push("no criterion is satisfied: nothing says that anything was delivered".to_owned());
        }
        let wants = match (self.mode(), audit.require_criteria_audit) {
            (Some(Mode::Strict), _) => Wants::Terms,
            (_, true) => Wants::Flag,
            (_, false) => Wants::Always,
        };
        // Nothing in the way is not the same as something shown.
        let (standing, note) = match audit.summary.satisfied {
            0 if all.is_empty() => {
                (Standing::NothingAsked, Some("nothing was asked for, so nothing is shown to be done"))
            }
            0 => (
                Standing::NothingShown,
                Some("none of what was asked for is satisfied, so nothing is shown to be done"),
            ),
            _ => (Standing::Met, None),
        };
        let words = audit.on_operators_word.iter();
        let words = words.map(|one| format!("#{} rests on the operator's word alone: {}", one.id, one.criterion));
        let gate = GateCheck::new(Gate::Criteria, wants, reasons).leading_to(|| self.next.criteria(&open));
        Ok(gate.unopposed(standing).noting(note.map(str::to_owned).into_iter().chain(words)))
    }

    /// Satisfied criteria on which something else can rest.
    fn proven<'a>(&self, all: &'a [Criterion]) -> Result<Vec<&'a Criterion>> {
        let mut proven = Vec::new();
        for one in all.iter().filter(|one| one.status == CriterionStatus::Satisfied) {
            if self.is_proven(one)? {
                proven.push(one);
            }
        }
        Ok(proven)
    }

    /// A receipt shows it, or an operator has said so.
    fn is_proven(&self, one: &Criterion) -> Result<bool> {
        Ok(matches!(evidence::backing(self.r, one)?, Some(Backing::Program | Backing::Operator)))
    }
}
