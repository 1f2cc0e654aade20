//! What the tests share: a hermetic home for the program, and helpers for real tools.

pub mod codex_lab;
mod program;

pub use program::{Finished, TestEnv};
