//! The outside world: files, processes, tmux and Codex, each behind a small API of its own.
//!
//! Ports observe and act; they decide nothing and know neither ledger nor screen.

pub mod rollout;
