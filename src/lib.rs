//! Conveyor supervises Codex CLI sessions.
//!
//! The layers, lowest first; each uses only what stands above it in this list (a test holds them to it):
//!
//! - [`base`]: errors, time, ids, text, JSON
//! - [`model`]: types and pure decisions
//! - `store`: the SQLite ledger; `ports`: files, processes, tmux, Codex
//! - `actions`: every verb, once
//! - `engine`: background tasks
//! - `cli` and `tui`: the two faces
//!
//! `sim` plays a Codex session for demos and tests; `app` puts everything together.

pub mod actions;
pub mod app;
pub mod base;
pub mod cli;
pub mod engine;
pub mod model;
pub mod ports;
pub mod sim;
pub mod store;
pub mod tui;
