//! `subagent-review`: somebody else looks at the work.

use serde_json::json;

use super::{Done, Work};
use crate::{base::Result, model::supervision::Permission};

pub(super) fn check(work: &Work<'_>) -> Result<()> {
    work.permitted("have somebody else review", &[Permission::SpawnReviewer])
}

pub(super) fn run(_: &Work<'_>) -> Result<Done> {
    Ok(Done::failed(json!({}), "not available: the reviewer is not configured"))
}
