//! What the tests share: a hermetic home for the program, and helpers for real tools.

mod program;

pub use program::{Finished, TestEnv};
