//! `subagent-review`: somebody else looks at the work.

use serde_json::json;

use super::{Done, Work};
use crate::{
    actions::supervise::{review, reviewer},
    base::Result,
    model::supervision::Permission,
};

pub(super) fn check(work: &Work<'_>) -> Result<()> {
    work.permitted("have somebody else review", &[Permission::SpawnReviewer])
}

/// Has the newest round of proposals reviewed, with the worker's changes, by the confined program that is set for the
/// task. The step has succeeded when the work may go on to its end by that verdict, or by a person's word above it.
pub(super) fn run(work: &Work<'_>) -> Result<Done> {
    let Work { cx, store, origin, task, .. } = work;
    let judged = reviewer::judge(cx, store, origin, task, None, None)?;
    let standing = store.read(|r| review::standing(r, task))?;
    let result = json!({
        "agreement": judged.agreement,
        "continuation_review_id": judged.id,
        "correlation_id": judged.correlation_id,
        "operator_routing_required": judged.operator_routing_required,
        "verdict": judged.verdict,
    });
    Ok(match standing.reason {
        None => Done::well(result),
        Some(reason) => Done::failed(result, reason),
    })
}
