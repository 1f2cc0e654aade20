//! The one integration binary: every file under `tests/` is a module of it, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod codex_server;
mod diff;
mod dispatch;
mod doctor;
mod e2e;
mod inbox;
mod ingest;
mod lane;
mod layers;
mod ledger;
mod observe;
mod panes;
mod process;
mod rollouts;
mod sim;
mod supervision;
mod support;
mod tmux;
mod truth;
