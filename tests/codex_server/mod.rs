//! The client of Codex's server against the real one.

mod follow;
mod pane;
