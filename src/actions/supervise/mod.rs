//! The written contract of a manager: its terms, what they allow, and what both sides say about the work.

pub(super) mod acks;
mod closing;
pub(super) mod config;
pub(super) mod criteria;
pub(super) mod decisions;
mod epilogue;
mod evidence;
pub(super) mod gate;
mod handoff;
pub(super) mod negotiation;
mod permission;
mod plan;
mod questions;
mod recipes;
mod terms;
mod texts;

pub use acks::{ManagerAck, WorkerAck};
pub use closing::{FinishTask, ShownCriterion, StopTask, TaskReview, task_criteria, task_review};
pub(super) use config::ManagerSettings;
pub use config::{Limit, ManagerConfig};
pub use criteria::Criteria;
pub use decisions::RecordDecision;
pub use epilogue::Epilogue;
pub use handoff::Handoff;
pub use permission::ManagerPermission;
pub use plan::CriteriaPlan;
pub use recipes::ManagerRecipes;
pub use terms::{Setting, TermArgs};
