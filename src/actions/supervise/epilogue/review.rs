//! `subagent-review`: somebody else looks at the work.

use serde_json::json;

use super::{Done, Folder, Work};
use crate::{
    actions::supervise::{
        review::{self, Standing},
        reviewer,
    },
    base::Result,
    model::supervision::Permission,
};

pub(super) fn check(work: &Work<'_>) -> Result<()> {
    work.permitted("have somebody else review", &[Permission::SpawnReviewer])
}

/// Has the newest round of proposals reviewed, with the worker's changes, by the confined program that is set for the
/// task. The step has succeeded when the work may go on to its end by that verdict, or by a person's word above it.
///
/// What a person has decided is not judged again, and neither is what was judged well on the work as it is now.
pub(super) fn run(work: &Work<'_>) -> Result<Done> {
    let Work { cx, store, origin, task, .. } = work;
    let mut standing = store.read(|r| review::standing(r, task))?;
    if standing.decided.is_none() && !is_reviewed(work, &standing) {
        reviewer::judge(cx, store, origin, task, None, None)?;
        standing = store.read(|r| review::standing(r, task))?;
    }
    let judged = standing.review.as_ref();
    let result = json!({
        "agreement": judged.map(|judged| judged.agreement),
        "continuation_review_id": judged.map(|judged| judged.id),
        "correlation_id": standing.correlation_id,
        "operator_decided": standing.decided,
        "operator_routing_required": judged.map(|judged| judged.operator_routing_required),
        "verdict": judged.map(|judged| judged.verdict),
    });
    Ok(match standing.reason {
        None => Done::well(result),
        Some(reason) => Done::failed(result, reason),
    })
}

/// Whether the review that lets the work go on was made on the work as it is now.
fn is_reviewed(work: &Work<'_>, standing: &Standing) -> bool {
    let mark = standing.review.as_ref().filter(|_| standing.ok).map(|review| &review.subagent_run["tree"]);
    mark.is_some_and(|mark| Folder::look(work.cx, &work.programs, Some(&work.folder())).is_as(mark))
}
