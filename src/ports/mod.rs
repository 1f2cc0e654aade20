//! The places where Conveyor touches the machine: tmux, the process table, Codex and its files.
//!
//! Ports observe and act; they decide nothing and never write to the ledger.

pub mod process;
pub mod tmux;
