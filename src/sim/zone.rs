//! Local time, which Codex uses in the names of its files (everything inside them is UTC).
//!
//! Reads `TZ` and the system's zone files itself, because `jiff` is built without its own search for them.

use std::{env, fs, sync::LazyLock};

use jiff::tz::TimeZone;

use crate::base::Timestamp;

static ZONE: LazyLock<TimeZone> = LazyLock::new(|| find(env::var("TZ").ok().as_deref()));

/// `moment` in the machine's zone (UTC when that is unknown), in a `strftime` form.
pub(super) fn local(moment: Timestamp, format: &str) -> String {
    let moment = jiff::Timestamp::from_millisecond(moment.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.to_zoned(ZONE.clone()).strftime(format).to_string()
}

fn find(variable: Option<&str>) -> TimeZone {
    let from_file = |path: &str| fs::read(path).ok().and_then(|bytes| TimeZone::tzif("local", &bytes).ok());
    let found = match variable.map(|name| name.trim_start_matches(':')) {
        None => from_file("/etc/localtime"),
        Some("") => None,
        Some(path) if path.starts_with('/') => from_file(path),
        Some(name) if name.contains("..") => None,
        Some(name) => from_file(&format!("/usr/share/zoneinfo/{name}")).or_else(|| TimeZone::posix(name).ok()),
    };
    found.unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posix_rules_and_nonsense_are_understood() {
        let at = |zone: &TimeZone| jiff::Timestamp::UNIX_EPOCH.to_zoned(zone.clone()).strftime("%H:%M").to_string();
        assert_eq!(at(&find(Some("XST-2:30"))), "02:30");
        assert_eq!(at(&find(Some("../../etc/passwd"))), "00:00");
        assert_eq!(at(&find(Some(""))), "00:00");
    }
}
