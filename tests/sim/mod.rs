//! The simulator against what the real Codex wrote and did.

mod composer;
mod dialects;
mod faults;
mod screens;
