//! What the terms of a task ask for, as criteria.

use serde_json::json;

use super::{criteria, evidence};
use crate::{
    actions::{Context, caller::Origin},
    base::{Error, Result, Timestamp},
    model::{
        supervision::{CriterionSource, CriterionStatus},
        task::Task,
    },
    store::{
        self, Read, Write, audit,
        criteria::{Criterion, NewCriterion},
    },
};

/// Makes accepted criteria of the acceptance texts of a task's terms which it does not have yet, from any source. What an
/// operator asks for is accepted, too, when it is there and was proposed, put off or rejected; unless the terms asked for
/// it `before`, and an operator has settled it since. What is older than `asked_at` shows nothing of them. How many were added.
pub(in crate::actions) fn seed(
    cx: &Context,
    w: &Write<'_>,
    origin: &Origin,
    task: &Task,
    before: &[String],
    acceptance: &[String],
    asked_at: Timestamp,
) -> Result<usize> {
    let from_terms = json!({"source": "manager_config"});
    let mut added = Vec::new();
    let all = store::criteria::of_task(w.read(), &task.id)?;
    for text in acceptance {
        let of_text = || all.iter().filter(|one| one.criterion == *text);
        let Some(known) = of_text().next() else {
            let new = NewCriterion {
                task_id: &task.id,
                criterion: text,
                source: CriterionSource::ManagerInferred,
                status: CriterionStatus::Accepted,
                proof: None,
                rationale: None,
                evidence: &from_terms,
            };
            added.push(criteria::add(cx, w, origin, &new, asked_at)?.id);
            continue;
        };
        let binds = |one: &Criterion| matches!(one.status, CriterionStatus::Accepted | CriterionStatus::Satisfied);
        if *origin != Origin::Operator
            || of_text().any(binds)
            || (before.contains(text) && is_settled(w.read(), of_text())?)
        {
            continue;
        }
        let is_new_round = known.status != CriterionStatus::Proposed;
        let changed = Criterion {
            status: CriterionStatus::Accepted,
            rationale: Some("the operator's terms ask for it".to_owned()),
            evidence: if is_new_round { from_terms.clone() } else { known.evidence.clone() },
            ..known.clone()
        };
        criteria::record_change(cx, w, origin, known, &changed, asked_at)?
            .ok_or_else(|| Error::conflict(format!("criterion {} was changed meanwhile", known.id)))?;
    }
    if !added.is_empty() {
        let about = audit::About { task_id: Some(&task.id), session_id: None };
        let payload = json!({"criterion_ids": added, "source": "manager_config"});
        audit::append(w, cx.now(), origin.actor(cx), "manager_acceptance_criteria_seeded", about, &payload)?;
    }
    Ok(added.len())
}

/// Whether an operator has put off or rejected one of these, as the last word about it.
pub(super) fn is_settled<'a>(r: Read<'_>, those: impl Iterator<Item = &'a Criterion>) -> Result<bool> {
    for one in those.filter(|one| matches!(one.status, CriterionStatus::Deferred | CriterionStatus::Rejected)) {
        if evidence::is_settled_by_operator(r, one)? {
            return Ok(true);
        }
    }
    Ok(false)
}
