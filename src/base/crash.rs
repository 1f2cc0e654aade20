//! Points at which a test lets the program die, as if the machine had taken it away, or stand still.

/// What a test does at a point.
#[cfg(test)]
type Hook = Box<dyn Fn(&str)>;

#[cfg(test)]
thread_local! {
    /// What a test does at each point that this thread comes by.
    static HOOK: std::cell::RefCell<Option<Hook>> = const { std::cell::RefCell::new(None) };
}

/// From now on this thread calls `hook` with the name of each point that it comes by.
#[cfg(test)]
pub(crate) fn set_hook(hook: impl Fn(&str) + 'static) {
    HOOK.with(|known| *known.borrow_mut() = Some(Box::new(hook)));
}

/// Dies here when `CONVEYOR_TEST_CRASH` names this point, and stops here until it is told to go on when
/// `CONVEYOR_TEST_STOP` does. Builds without debug assertions hold no such switches.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    #[cfg(test)]
    HOOK.with(|hook| hook.borrow().iter().for_each(|hook| hook(name)));
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
