//! A blocking client of Codex's background server, the process that owns the sessions since Codex 0.162, and of a
//! server of our own that reaches the queue of every session since 0.150.
//!
//! It reads what the server says about its threads, starts and names threads, delivers messages, and collects what
//! the server tells on its own. Every call that changes a session has an [`Outcome`], which says whether it is proven
//! to have had no effect. It never starts the background server (see [`super::codex_cli`]), never repeats a call, and
//! answers an approval only when told to.

mod approval;
mod client;
mod connection;
mod delivery;
mod error;
mod link;
mod notification;
mod outcome;
mod pipes;
mod questions;
mod socket;
mod thread;

#[cfg(test)]
mod tests;

pub use approval::{Action, Approval, Decision};
pub use client::{ApprovalPolicy, CodexServer, NewThread, Sandbox, ThreadFilter, Timeouts, socket_path};
pub use delivery::{Delivery, QueuedMessage, TakenBy};
pub use error::ServerError;
pub use link::{CodexServers, RunningServers, ServerLink};
pub use notification::{Notification, RequestId, StatusChange};
pub use outcome::{Outcome, Refusal};
pub use questions::{OpenQuestions, OtherQuestion};
pub use thread::{ThreadInfo, ThreadStatus};
