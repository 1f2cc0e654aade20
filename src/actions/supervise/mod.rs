//! The written contract of a manager: its terms, what they allow, and what both sides say about the work.

pub(super) mod acks;
mod config;
pub(super) mod decisions;
pub(super) mod gate;
mod handoff;
mod permission;
mod questions;
mod recipes;
mod terms;
mod texts;

pub use acks::{ManagerAck, WorkerAck};
pub(super) use config::ManagerSettings;
pub use config::{Limit, ManagerConfig};
pub use decisions::RecordDecision;
pub use handoff::Handoff;
pub use permission::ManagerPermission;
pub use recipes::ManagerRecipes;
pub use terms::{Setting, TermArgs};
