//! Points at which a test lets the program die, as if the machine had taken it away, or stand still.

/// Dies here when `CONVEYOR_TEST_CRASH` names this point, and stops here until it is told to go on when
/// `CONVEYOR_TEST_STOP` does. Builds without debug assertions hold no such switches.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    let is_wanted = |variable: &str| std::env::var_os(variable).is_some_and(|wanted| wanted == name);
    if is_wanted("CONVEYOR_TEST_CRASH") {
        std::process::abort();
    }
    if is_wanted("CONVEYOR_TEST_STOP") {
        let pid = std::process::id().to_string();
        // A test that cannot stop it notices by itself.
        let _ = std::process::Command::new("kill").args(["-STOP", &pid]).status();
    }
}

/// Nothing: release builds do not die on request.
#[cfg(not(debug_assertions))]
pub fn point(_name: &str) {}
