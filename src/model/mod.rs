//! Types and pure decisions: what a session is, what its rollout and pane say, what state that adds up to.
//!
//! Nothing here touches a file, a process, a clock or the ledger.

pub mod board;
pub mod cells;
pub mod codex;
pub mod conversation;
pub mod counts;
pub mod deliveries;
pub mod delivery;
pub mod family;
pub mod filter;
pub mod interruption;
pub mod judge;
pub mod marks;
pub mod pane;
pub mod progress;
pub mod question;
pub mod rollout;
pub mod session;
pub mod state;
pub mod supervision;
pub mod task;
pub mod typing;
pub mod usage;
