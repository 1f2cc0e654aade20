//! The outside world: environment, files, processes, tmux, Codex, each behind a type with time limits and typed errors.
//!
//! Ports observe and act; what that means is decided above, and they know neither ledger nor screen.

pub mod background;
pub mod codex_cli;
pub mod codex_server;
pub mod confine;
pub mod env;
pub mod git;
pub mod machine;
pub mod own;
pub mod process;
pub mod rollout;
mod run;
pub mod terminal;
pub mod tmux;
pub mod tools;
