//! Whether worker and manager still have to agree on what the worker delivers now. Advice only: nothing is sent.

use serde::Serialize;

use super::criteria::{Criteria, CriterionView};
use crate::{
    actions::Action as _,
    base::Result,
    model::{
        supervision::{CriteriaSummary, CriterionStatus},
        task::Task,
    },
    store::{self, Read},
};

/// What the manager asks the worker.
const PROMPT: &str = "Propose two to four acceptance criteria for the slice of work that you do now, each with how it \
    will be verified. Split them into must-have (needed before this slice is done) and follow-up (worth doing later). \
    Begin each list with its name as a heading.";

/// Whether criteria are to be agreed on.
#[derive(Debug, Serialize)]
pub struct Negotiation {
    needed: bool,
    prompt: Option<&'static str>,
    reason: &'static str,
    suggested_actions: Vec<String>,
    task: String,
}

impl Negotiation {
    /// What follows from how the criteria of a task stand.
    pub(in crate::actions) fn of(task: &Task, summary: &CriteriaSummary) -> Self {
        let reason = summary.negotiation();
        let add = |status: CriterionStatus| {
            let words = Criteria::adding(&task.name, "TEXT", status, None).argv().words;
            shell_words::join(std::iter::once("conveyor").chain(words.iter().map(String::as_str)))
        };
        let suggested_actions = match reason {
            None => Vec::new(),
            Some(_) => vec![
                "ask the worker for the split with the prompt, and read its answer with `conveyor criteria-plan`"
                    .to_owned(),
                add(CriterionStatus::Accepted),
                add(CriterionStatus::Proposed),
                add(CriterionStatus::Deferred),
            ],
        };
        Self {
            needed: reason.is_some(),
            prompt: reason.map(|_| PROMPT),
            reason: reason.unwrap_or("active_criteria_present"),
            suggested_actions,
            task: task.name.clone(),
        }
    }
}

/// The criteria of a task by where they stand. `open` is what it is held to and has not shown yet.
#[derive(Debug, Serialize)]
pub struct CriteriaByStatus {
    accepted: Vec<CriterionView>,
    deferred: Vec<CriterionView>,
    open: Vec<CriterionView>,
    proposed: Vec<CriterionView>,
    rejected: Vec<CriterionView>,
    satisfied: Vec<CriterionView>,
    pub(in crate::actions) summary: CriteriaSummary,
}

impl CriteriaByStatus {
    /// Those of a task.
    pub(in crate::actions) fn load(r: Read<'_>, task: &Task) -> Result<Self> {
        let all: Vec<_> = store::criteria::of_task(r, &task.id)?
            .into_iter()
            .map(|one| CriterionView::plain(r, one))
            .collect::<Result<_>>()?;
        let of = |status| all.iter().filter(|one| one.status() == status).cloned().collect::<Vec<_>>();
        Ok(Self {
            accepted: of(CriterionStatus::Accepted),
            deferred: of(CriterionStatus::Deferred),
            open: of(CriterionStatus::Accepted),
            proposed: of(CriterionStatus::Proposed),
            rejected: of(CriterionStatus::Rejected),
            satisfied: of(CriterionStatus::Satisfied),
            summary: store::criteria::summary(r, &task.id)?,
        })
    }
}
