//! The profile for macOS's `sandbox-exec`: everything is denied that is not named.

use std::path::{Path, PathBuf};

use super::SCRATCH;

/// Where the system's tool lies.
pub const TOOL: &str = "/usr/bin/sandbox-exec";

/// Folders that hold programs, libraries and what they need to start.
const SYSTEM: &[&str] = &[
    "/System",
    "/Library/Apple",
    "/bin",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/opt/homebrew",
    "/private/etc/ssl",
    "/private/var/db/timezone",
    "/sbin",
    "/usr",
];

/// A profile with which a program reads the system's folders and `read`, writes in `scratch`, and connects to `ports`
/// of this machine. Every path is its real one: a profile does not follow links.
#[must_use]
pub fn profile(read: &[PathBuf], scratch: &Path, ports: &[u16]) -> String {
    let mut lines = vec![
        "(version 1)".to_owned(),
        "(deny default)".to_owned(),
        "(allow process-fork)".to_owned(),
        "(allow process-exec)".to_owned(),
        "(allow signal (target same-sandbox))".to_owned(),
        "(allow sysctl-read)".to_owned(),
        "(allow file-read-metadata)".to_owned(),
        "(allow file-read* (literal \"/\"))".to_owned(),
    ];
    for folder in SYSTEM.iter().map(Path::new).chain(read.iter().map(PathBuf::as_path)) {
        lines.push(format!("(allow file-read* (subpath {}))", quoted(folder)));
    }
    lines.push(format!("(allow file-read* file-write* (subpath {}))", quoted(scratch)));
    lines.push("(allow file-write-data (literal \"/dev/null\"))".to_owned());
    for port in ports {
        lines.push(format!("(allow network-outbound (remote tcp \"localhost:{port}\"))"));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

/// The scratch folder as it is called where there is no tree of our own.
#[must_use]
pub fn in_scratch(scratch: &Path, text: &str) -> String {
    text.replace(SCRATCH, &scratch.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_denies_what_it_does_not_name() {
        let text = profile(&["/Users/a/b \"c\"".into()], Path::new("/private/var/x"), &[8080]);
        assert!(text.starts_with("(version 1)\n(deny default)\n"), "{text}");
        assert!(text.contains("(allow file-read* (subpath \"/Users/a/b \\\"c\\\"\"))\n"), "{text}");
        assert_eq!(text.matches("file-write*").count(), 1, "{text}");
        assert_eq!(text.matches("network").count(), 1, "{text}");
        assert!(!text.contains("(allow default)") && !text.contains("mach-lookup"), "{text}");
        assert!(!profile(&[], Path::new("/x"), &[]).contains("network"));
    }
}
