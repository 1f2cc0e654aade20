//! What a folder's repository holds now, in a few words, and what its branch has beyond another one.

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt as _, path::Path};

use sha2::{Digest as _, Sha256};

use super::{Git, GitError, LIST_BYTES, Result, UNTRACKED, working_tree_diff};
use crate::{base::text, ports::own::OwnFiles};

/// The most that is read of changes, and of a file, to tell whether anything has changed.
const MARK_BYTES: usize = 16 << 20;

/// The most files that git was never told of which are compared.
const MARK_FILES: usize = 5_000;

/// When a commit was made, as its committer says, in milliseconds; none when the repository has no such commit.
///
/// # Errors
/// As [`GitError`] tells.
pub fn committed_at(program: &Path, folder: &Path, commit: &str) -> Result<Option<i64>> {
    let git = Git::at(program, folder);
    let words = ["-s", "--format=%ct", "--no-show-signature", "--end-of-options", commit].map(str::to_owned);
    let answer = git.run("show", &words, LIST_BYTES)?;
    let seconds = String::from_utf8_lossy(&answer.stdout).trim().parse::<i64>().ok();
    Ok(seconds.filter(|_| answer.status.success()).map(|seconds| seconds.saturating_mul(1_000)))
}

/// What a working tree holds, in a few words that change when anything of it does: commit, changes, and the files that
/// git was never told of; what is `own` is no part of it and is not opened. None when the folder is in no repository.
///
/// # Errors
/// As [`GitError`] tells; also when there is too much to be compared.
pub fn tree_mark(program: &Path, folder: &Path, own: &OwnFiles) -> Result<Option<String>> {
    let diff = match working_tree_diff(program, folder, Some(own), None, MARK_BYTES) {
        Err(GitError::NoRepository { .. }) => return Ok(None),
        diff => diff?,
    };
    let too_much = || GitError::Failed { command: "diff", said: "too much has changed to be compared".to_owned() };
    if diff.truncated {
        return Err(too_much());
    }
    let mut digest = Sha256::new();
    digest.update(diff.patch.as_bytes());
    let mut git = Git::at(program, &diff.root);
    git.leave_out(Some(own));
    let words: Vec<String> = UNTRACKED.iter().chain(&["--"]).map(|word| (*word).to_owned()).collect();
    let answer = git.ask("ls-files", &words, LIST_BYTES)?;
    let files: Vec<&[u8]> = answer.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    if answer.cut || files.len() > MARK_FILES {
        return Err(too_much());
    }
    for name in files {
        let path = diff.root.join(OsString::from_vec(name.to_vec()));
        digest.update(name);
        // A link is what it points to; what cannot be read has no content.
        let content = match fs::symlink_metadata(&path) {
            Ok(data) if data.is_symlink() => fs::read_link(&path).map(|to| to.into_os_string().into_vec()),
            // It is here under another name.
            Ok(data) if data.is_file() && own.hold(&diff.root, &path) => Ok(Vec::new()),
            Ok(data) if data.is_file() && data.len() <= MARK_BYTES as u64 => fs::read(&path),
            Ok(data) if data.is_file() => return Err(too_much()),
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        digest.update([0, u8::from(content.is_ok())]);
        digest.update(Sha256::digest(content.unwrap_or_default()));
    }
    let hash: String = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(format!("{}+{hash}", diff.base.as_deref().unwrap_or("none"))))
}

/// What a branch has beyond another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its name; none when no branch is checked out.
    pub name: Option<String>,
    /// What it is compared with.
    pub base: String,
    /// Its newest commit.
    pub head: String,
    /// The first lines of its commits beyond the base, the newest first.
    pub commits: Vec<String>,
}

/// What the branch of a folder has beyond `base`, else beyond the remote's own branch, `main` or `master`; at most a
/// hundred commits. None when nothing can be said of a base.
///
/// # Errors
/// As [`GitError`] tells.
pub fn branch(program: &Path, folder: &Path, base: Option<&str>) -> Result<Option<Branch>> {
    let mut git = Git::at(program, folder);
    git.folder = git.root()?;
    let Some(head) = git.commit(None)? else { return Ok(None) };
    let known = |name: &str| git.commit(Some(name)).map(|_| name.to_owned());
    let base = match base {
        Some(base) => Some(known(base)?),
        None => ["refs/remotes/origin/HEAD", "refs/heads/main", "refs/heads/master"]
            .into_iter()
            .find_map(|name| known(name).ok()),
    };
    let Some(base) = base else { return Ok(None) };
    let name = git.run("symbolic-ref", &["--quiet", "--short", "HEAD"].map(str::to_owned), LIST_BYTES)?;
    let name = name.status.success().then(|| String::from_utf8_lossy(&name.stdout).trim().to_owned());
    let words =
        ["--max-count=100", "--format=%h %s", "--no-show-signature", "--end-of-options", &format!("{base}..HEAD")];
    let log = git.ask("log", &words.map(str::to_owned), LIST_BYTES)?;
    let commits = String::from_utf8_lossy(&log.stdout).lines().map(text::clean).collect();
    let base = base.trim_start_matches("refs/heads/").trim_start_matches("refs/remotes/").to_owned();
    Ok(Some(Branch { name, base, head, commits }))
}
