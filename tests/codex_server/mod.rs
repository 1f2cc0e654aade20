//! The client of Codex's server against the real one.

mod deliver;
mod follow;
mod pane;
mod races;
