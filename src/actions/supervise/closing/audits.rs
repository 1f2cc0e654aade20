//! How criteria and acknowledgements stand when a task is to end.

use serde::Serialize;

use crate::{
    actions::supervise::{acks, evidence},
    base::Result,
    model::{
        session::Role,
        supervision::{CriteriaSummary, CriterionStatus, acknowledgement_fault, evidence::Backing},
        task::Task,
    },
    store::{self, Read, acknowledgements::TaskAck, criteria::Criterion},
};

/// How the criteria stand.
#[derive(Debug, Serialize)]
pub(super) struct CriteriaAudit {
    /// Those that are satisfied, and nothing but an operator's word shows it.
    pub(super) on_operators_word: Vec<OpenCriterion>,
    /// Those that are accepted and not satisfied.
    pub(super) open_criteria: Vec<OpenCriterion>,
    /// Those that nobody has decided about.
    pub(super) proposed_criteria: Vec<OpenCriterion>,
    pub(super) require_criteria_audit: bool,
    pub(super) summary: CriteriaSummary,
    pub(super) total: usize,
}

/// A criterion in short.
#[derive(Debug, Serialize)]
pub(super) struct OpenCriterion {
    pub(super) criterion: String,
    pub(super) id: i64,
}

impl CriteriaAudit {
    pub(super) fn of(r: Read<'_>, task: &Task, all: &[Criterion], is_required: bool) -> Result<Self> {
        let brief = |one: &Criterion| OpenCriterion { criterion: one.criterion.clone(), id: one.id };
        let of = |status: CriterionStatus| all.iter().filter(|one| one.status == status).map(brief).collect();
        let mut on_operators_word = Vec::new();
        for one in all {
            if evidence::backing(r, one)? == Some(Backing::Operator) {
                on_operators_word.push(brief(one));
            }
        }
        Ok(Self {
            on_operators_word,
            open_criteria: of(CriterionStatus::Accepted),
            proposed_criteria: of(CriterionStatus::Proposed),
            require_criteria_audit: is_required,
            summary: store::criteria::summary(r, &task.id)?,
            total: all.len(),
        })
    }
}

/// How the acknowledgements stand.
#[derive(Debug, Serialize)]
pub(super) struct AckAudit {
    pub(super) manager_ack_id: Option<i64>,
    /// The roles whose acknowledgement is missing or does not hold.
    pub(super) missing: Vec<Role>,
    pub(super) ok: bool,
    pub(super) require_acks: bool,
    /// Why, each role by itself.
    pub(super) stale_reasons: Vec<String>,
    /// The same for a reader.
    #[serde(skip)]
    pub(super) told: Vec<String>,
    pub(super) worker_ack_id: Option<i64>,
}

impl AckAudit {
    pub(super) fn of(r: Read<'_>, task: &Task, is_required: bool) -> Result<Self> {
        let mut audit = Self {
            manager_ack_id: None,
            missing: Vec::new(),
            ok: true,
            require_acks: is_required,
            stale_reasons: Vec::new(),
            told: Vec::new(),
            worker_ack_id: None,
        };
        for role in [Role::Worker, Role::Manager] {
            let (newest, reasons) = acks::standing(r, task, role)?;
            let id = newest.map(|TaskAck { id, .. }| id);
            match role {
                Role::Worker => audit.worker_ack_id = id,
                Role::Manager => audit.manager_ack_id = id,
            }
            if !reasons.is_empty() {
                audit.missing.push(role);
                audit.stale_reasons.push(format!("{role}: {}", reasons.join(", ")));
                let words: Vec<&str> = reasons.into_iter().map(acknowledgement_fault).collect();
                audit.told.push(format!("{role}: {}", words.join(", ")));
            }
        }
        audit.ok = audit.missing.is_empty();
        Ok(audit)
    }
}
