//! What a git repository holds. Only read.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

/// The full name of a commit in the repository of this folder; none when it has no such commit, or there is none.
///
/// # Errors
/// When git cannot be run.
pub fn commit(folder: &Path, name: &str) -> io::Result<Option<String>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Some(found).filter(|name| output.status.success() && !name.is_empty()))
}
