//! A blocking client of Codex's background server, the process that owns the sessions since Codex 0.162.
//!
//! It reads what the server says about its threads, starts and names threads, and collects what the server tells
//! on its own. It never starts the server (see [`super::codex_cli`]) and never answers what the server asks:
//! an approval is a person's to give.

mod client;
mod connection;
mod error;
mod notification;
mod thread;

#[cfg(test)]
mod tests;

pub use client::{ApprovalPolicy, CodexServer, NewThread, Sandbox, ThreadFilter, Timeouts, socket_path};
pub use error::ServerError;
pub use notification::{Notification, RequestId, StatusChange};
pub use thread::{ThreadInfo, ThreadStatus};
