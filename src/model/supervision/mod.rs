//! The written contract of a manager: what it may do, how it supervises, what has to be proven.

mod closing;
mod config;
mod continuation;
mod criteria;
mod deciding;
mod deed;
pub mod evidence;
mod permission;
mod proposal;
mod recipe;

pub use closing::{Gate, GateCheck, Standing, Wants, acknowledgement_fault, acknowledgement_stands};
pub use config::{Epilogue, ManagerConfig, Mode, NudgeOnCompletion, Terms};
pub use continuation::{
    Agreement, Judgement, OperatorQuestion, Proposer, ReviewSource, ReviewVerdict, WhenReady, asks_operator, goes_on,
    when_ready,
};
pub use criteria::{CriteriaSummary, CriterionMove, CriterionSource, CriterionStatus};
pub use deciding::{Deciding, DecisionFault, MAX_DECISION_AGE};
pub use deed::{Deed, GateReason};
pub use permission::{Category, LEGACY_NAMES, Permission, Permissions, PermissionsFault, UnknownPermission};
pub use proposal::{Proposal, Suggestion, proposal};
pub use recipe::{CUSTOM, Recipe, UnknownRecipe};
