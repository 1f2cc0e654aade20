//! What the cockpit shows before a task is ended: each gate as it stands now, and what was shown for each criterion.

use serde_json::Value;

use super::{
    EndArgs, FinishTask,
    end::Orders,
    gates::{self, Outside},
};
use crate::{
    actions::{
        Context, caller, lookup,
        supervise::{epilogue::Folder, evidence, programs::Programs},
    },
    base::{Error, Result},
    model::supervision::{
        CriterionSource, CriterionStatus, GateCheck,
        evidence::{Backing, link_backing, links},
    },
    store::{self, criteria::Criterion},
};

/// How a task stands that could be finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskReview {
    /// The gates, in their order.
    pub gates: Vec<GateCheck>,
}

/// A criterion and what was shown for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCriterion {
    /// Its number.
    pub id: i64,
    /// What is to be delivered.
    pub text: String,
    /// Where it stands.
    pub status: CriterionStatus,
    /// Where it comes from.
    pub source: CriterionSource,
    /// What is said to prove it.
    pub proof: Option<String>,
    /// Why it stands where it stands, in the words of whoever put it there.
    pub why: Option<String>,
    /// Who or what stands behind it; none while it is not satisfied.
    pub backing: Option<Backing>,
    /// What was looked up, each in words, and who or what stands behind it.
    pub links: Vec<(Backing, String)>,
}

/// How a task stands that is to end like this: its gates for whoever asks. Looks at the worker's folder and writes nothing.
///
/// # Errors
/// When there is no such task, or the ledger cannot be read.
pub fn task_review(cx: &Context, task_id: &str, end: &EndArgs) -> Result<TaskReview> {
    let store = cx.ledger()?;
    let origin = caller::origin(cx, &store)?;
    let (folder, binding, criteria, programs) = store.read(|r| {
        let task = lookup::task(r, task_id)?;
        let binding = store::bindings::newest_of_task(r, &task.id)?;
        let programs = Programs::of(cx, r, &origin, &task.id)?;
        Ok::<_, Error>((Folder::worker_of(r, &task)?, binding, store::criteria::of_task(r, &task.id)?, programs))
    })?;
    let outside =
        Outside::look(cx, &programs, Folder::look(cx, &programs, folder.as_deref()), binding.as_ref(), &criteria);
    let finish = FinishTask { end: end.clone(), ..FinishTask::plain(task_id) };
    let orders = Orders::of_finish(&finish);
    let gates = store.read(|r| {
        let task = lookup::task(r, task_id)?;
        Ok::<_, Error>(gates::look(cx, r, &origin, &orders, &task, &outside)?.gates)
    })?;
    Ok(TaskReview { gates })
}

/// What was asked for in a task, and what was shown for it.
///
/// # Errors
/// When there is no such task, or the ledger cannot be read.
pub fn task_criteria(cx: &Context, task_id: &str) -> Result<Vec<ShownCriterion>> {
    cx.ledger()?.read(|r| {
        let task = lookup::task(r, task_id)?;
        let shown = |one: Criterion| {
            let by_operator = evidence::is_settled_by_operator(r, &one)?;
            Ok(ShownCriterion {
                id: one.id,
                backing: evidence::backing(r, &one)?,
                links: links(&one.evidence).map(|link| (link_backing(link, by_operator), words(link))).collect(),
                text: one.criterion,
                status: one.status,
                source: one.source,
                proof: one.proof,
                why: one.rationale,
            })
        };
        store::criteria::of_task(r, &task.id)?.into_iter().map(shown).collect()
    })
}

/// A link in words.
fn words(link: &Value) -> String {
    let text = |key: &str| link[key].as_str().unwrap_or_default();
    let short = |key: &str| text(key).chars().take(12).collect::<String>();
    match text("kind") {
        "bytes" if !text("ran").is_empty() => {
            format!(
                "`{}` ended with exit code {}, byte {} of {}",
                text("ran"),
                link["exit_code"],
                link["byte_offset"],
                text("session")
            )
        }
        "bytes" => format!("byte {} of {}", link["byte_offset"], text("session")),
        "commit" => format!("commit {}", short("commit")),
        "artifact" => format!("file {}, sha256 {}", text("path"), short("sha256")),
        "event" => format!("event {} ({})", link["event"], text("type")),
        "command" => format!("command {} ({})", text("command"), text("type")),
        kind => kind.to_owned(),
    }
}
