//! What the tests share: a hermetic home for the program, and helpers for real tools.

pub mod codex_lab;
mod program;

pub use program::{Finished, TestEnv, fixture_path};

/// Tells something to whoever watches the tests, also when they pass.
pub fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
