//! What the cockpit shows of the terms that are in force for a task: what `manager-config` and the acknowledgements say.

use serde_json::Value;

use super::{acks, reviewer};
use crate::{
    actions::{Context, lookup},
    base::{Error, Result, Timestamp},
    model::{session::Role, supervision::Terms},
    store::{self, audit},
};

/// The terms of a task, and what stands beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPolicy {
    /// Grows with every change of the terms; 0 while none were ever set.
    pub revision: u64,
    /// The terms.
    pub terms: Terms,
    /// When they or the limit of nudges were changed last, and by whom.
    pub changed: Option<(Timestamp, String)>,
    /// Messages that the worker was given, and may be given in all; none is no limit.
    pub nudges: Option<(u64, u64)>,
    /// The program that judges proposals, or that what was set cannot be read.
    pub reviewer: Option<std::result::Result<PolicyReviewer, String>>,
    /// What worker and manager said of the terms.
    pub acks: Vec<PolicyAck>,
}

/// The program that judges proposals, and what it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyReviewer {
    /// Its command line.
    pub command: String,
    /// Files and folders that it reads.
    pub reads: Vec<String>,
    /// Servers that it reaches.
    pub reaches: Vec<String>,
    /// Names of the variables that it gets.
    pub variables: Vec<String>,
    /// Seconds until it is killed.
    pub seconds: u64,
}

/// The newest acknowledgement of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAck {
    /// Who says it.
    pub role: Role,
    /// When; none when nothing was said.
    pub said_at: Option<Timestamp>,
    /// Why it does not hold for what is in force; nothing when it holds.
    pub faults: Vec<&'static str>,
}

/// The terms in force of a task.
///
/// # Errors
/// When there is no such task, or the ledger cannot be read.
pub fn task_policy(cx: &Context, task_id: &str) -> Result<TaskPolicy> {
    cx.ledger()?.read(|r| {
        let task = lookup::task(r, task_id)?;
        let config = store::manager_configs::of_task(r, &task.id)?;
        let budget = store::budgets::of_task(r, &task.id)?;
        let trail = audit::list(r, &audit::Subject::Task(task.id.clone()), Some("manager_config_recorded"), 1)?;
        let ack = |role| {
            let (newest, faults) = acks::standing(r, &task, role)?;
            Ok::<_, Error>(PolicyAck { role, said_at: newest.map(|ack| ack.created_at), faults })
        };
        Ok(TaskPolicy {
            revision: config.as_ref().map_or(0, |config| config.revision),
            terms: config.map(|config| config.terms).unwrap_or_default(),
            changed: trail.last().map(|row| (row.created_at, who(row))),
            nudges: budget.map(|budget| (budget.nudges_used, budget.max_nudges)),
            reviewer: store::continuations::reviewer(r, &task.id)?.map(|stored| reviewer::told(&stored)),
            acks: vec![ack(Role::Worker)?, ack(Role::Manager)?],
        })
    })
}

/// Where the command ran, as the trail has it; else the actor.
fn who(row: &audit::AuditRow) -> String {
    let told: Option<Value> = serde_json::from_str(&row.payload_json).ok();
    let origin = told.as_ref().and_then(|told| told["origin"].as_str());
    origin.unwrap_or(&row.actor).to_owned()
}
