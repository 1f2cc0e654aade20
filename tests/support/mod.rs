//! What the tests share: a hermetic home for the program, and helpers for real tools.

pub mod codex_lab;
mod program;
pub mod tmux;

use std::{
    env,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub use program::{Finished, MANAGER, TestEnv, WORKER, fixture_path};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often a test does what it repeats: so often for a change, and more often in a night (`CONVEYOR_TEST_NIGHTLY=1`).
pub fn rounds<T>(change: T, night: T) -> T {
    if env::var_os("CONVEYOR_TEST_NIGHTLY").is_some_and(|value| value == "1") { night } else { change }
}

/// True when `tool` is installed. Otherwise says so and returns false, so that the test can end; with
/// `CONVEYOR_REQUIRE_LIVE=1` a missing tool is a failure.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub fn require_tool(tool: &str) -> bool {
    let found = Command::new(tool).arg("-V").stdin(Stdio::null()).output().is_ok();
    let required = env::var_os("CONVEYOR_REQUIRE_LIVE").is_some_and(|value| value == "1");
    assert!(found || !required, "{tool} is not installed, and CONVEYOR_REQUIRE_LIVE=1 demands it");
    if !found {
        println!("skipped: {tool} is not installed");
    }
    found
}

/// Waits until `condition` gives a value; on failure shows what `screen` says.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>, screen: impl FnOnce() -> String) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", screen());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Tells something to whoever watches the tests, also when they pass.
pub fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
