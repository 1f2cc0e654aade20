//! Points at which a test lets the program die, as if the machine had taken it away.

/// Dies here when `CONVEYOR_TEST_CRASH` names this point. Builds without debug assertions hold no such switch.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    if std::env::var_os("CONVEYOR_TEST_CRASH").is_some_and(|wanted| wanted == name) {
        std::process::abort();
    }
}

/// Nothing: release builds do not die on request.
#[cfg(not(debug_assertions))]
pub fn point(_name: &str) {}
