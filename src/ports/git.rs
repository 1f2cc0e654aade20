//! What a folder's working tree holds beyond a commit, told by the user's own `git`.
//!
//! Reading only: nothing is refreshed, locked, fetched or written. The repository may be a worker's, and what its
//! configuration names is not run: no external diffs, text conversions, filters, hooks, monitors or pagers.

mod mark;

pub use mark::{Branch, branch, committed_at, tree_mark};

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    io,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    own::OwnFiles,
    run::{Above, Finished, Limits, RunError, run},
};
use crate::{base::text, text_enum};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The most that a list of files may take; a longer one is cut.
const LIST_BYTES: usize = 4 << 20;

/// The most that a list of all files may take.
const INDEX_BYTES: usize = 128 << 20;

/// What makes git list untracked files but for those that a `.gitignore` of the tree names, which is itself to be seen.
/// What `.git/info/exclude` or the configuration names is listed: neither is part of the tree.
const UNTRACKED: &[&str] = &["-z", "--others", "--exclude-per-directory=.gitignore"];

/// Settings that hold whatever the repository's configuration says.
const SETTINGS: &[&str] = &[
    "core.checkStat=default",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.ignoreStat=false",
    "core.quotePath=false",
    "core.trustctime=true",
    "diff.autoRefreshIndex=false",
    "protocol.allow=never",
    "safe.bareRepository=explicit",
];

text_enum! {
    /// What became of a file.
    pub enum FileStatus {
        /// It is new, and git was told of it.
        Added => "added",
        /// It has changed.
        Modified => "modified",
        /// It is gone.
        Deleted => "deleted",
        /// It has another name.
        Renamed => "renamed",
        /// It is a file in one place and a link or a module in the other.
        TypeChanged => "type_changed",
        /// A merge has left it undecided.
        Unmerged => "unmerged",
        /// git was never told of it.
        Untracked => "untracked",
    }
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Where it is, from the root of the tree. A folder of nothing but untracked files stands for them, with a `/`.
    pub path: String,
    /// Where it was.
    pub old_path: Option<String>,
    /// What became of it.
    pub status: FileStatus,
    /// Lines that came; none when it is no text, or was not looked at.
    pub added: Option<u64>,
    /// Lines that went.
    pub removed: Option<u64>,
}

/// What a working tree holds beyond a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeDiff {
    /// The folder that holds the tree.
    pub root: PathBuf,
    /// The commit; none when the repository has none yet.
    pub base: Option<String>,
    /// The files, those that git was told of first.
    pub files: Vec<ChangedFile>,
    /// The changes as a patch; whole lines, cleaned of nothing.
    pub patch: String,
    /// Files or lines are missing.
    pub truncated: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It is not installed.
    #[error("git is not installed")]
    Missing,
    /// There is no such folder.
    #[error("there is no folder {}", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// No repository holds the folder, or not one with a working tree.
    #[error("{} is in no git repository: {said}", folder.display())]
    NoRepository {
        /// The folder.
        folder: PathBuf,
        /// What git said.
        said: String,
    },
    /// There is no such commit.
    #[error("there is no commit `{base}` in the repository of {}", folder.display())]
    NoCommit {
        /// What was asked for.
        base: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The repository names programs in a way that cannot be switched off.
    #[error("the repository of {} has a filter whose name cannot be written on a command line", folder.display())]
    Filter {
        /// The folder.
        folder: PathBuf,
    },
    /// Files are marked in the index so that git does not look at them.
    #[error(
        "what the working tree holds cannot be told, because git is told not to look at {path} (`git update-index`)"
    )]
    Unseen {
        /// The first of them.
        path: String,
    },
    /// It took too long and was killed.
    #[error("`git {command}` did not finish within {} s", LIMIT.as_secs())]
    Timeout {
        /// The command.
        command: &'static str,
    },
    /// It failed.
    #[error("`git {command}` failed: {said}")]
    Failed {
        /// The command.
        command: &'static str,
        /// What it said.
        said: String,
    },
}

type Result<T> = std::result::Result<T, GitError>;

/// A question to `git` about one folder.
struct Git<'a> {
    program: &'a Path,
    folder: PathBuf,
    settings: Vec<OsString>,
    /// What `diff` and `ls-files` leave out, as pathspecs.
    without: Vec<OsString>,
}

/// What the working tree that holds `folder` has beyond `base`, else beyond its newest commit, but for what is `own`; of
/// the patch at most `bytes` bytes.
///
/// # Errors
/// As [`GitError`] tells.
pub fn working_tree_diff(
    program: &Path,
    folder: &Path,
    own: Option<&OwnFiles>,
    base: Option<&str>,
    bytes: usize,
) -> Result<TreeDiff> {
    if !folder.is_dir() {
        return Err(GitError::NoFolder { folder: folder.to_owned() });
    }
    let mut git = Git::at(program, folder);
    let root = git.root()?;
    git.folder.clone_from(&root);
    git.leave_out(own);
    git.switch_filters_off()?;
    git.sees_all()?;
    let commit = git.commit(base)?;
    let against = match &commit {
        Some(commit) => commit.clone(),
        None => git.line("hash-object", &["-t", "tree", "/dev/null"])?,
    };
    let (mut files, list_cut) = git.changed(&against)?;
    let (untracked, untracked_cut) = git.untracked()?;
    files.extend(untracked);
    let patch = git.ask("diff", &git.diff_words(&["--patch", "--unified=3"], &against), bytes)?;
    Ok(TreeDiff {
        root,
        base: commit,
        files,
        truncated: list_cut || untracked_cut || patch.cut,
        patch: whole_lines(&patch),
    })
}

/// The full name of a commit in the repository of this folder; none when it has no such commit, or there is none.
///
/// # Errors
/// As [`GitError`] tells.
pub fn commit(program: &Path, folder: &Path, name: &str) -> Result<Option<String>> {
    if !folder.is_dir() {
        return Err(GitError::NoFolder { folder: folder.to_owned() });
    }
    match Git::at(program, folder).commit(Some(name)) {
        Err(GitError::NoCommit { .. }) => Ok(None),
        found => found,
    }
}

impl<'a> Git<'a> {
    fn at(program: &'a Path, folder: &Path) -> Self {
        let settings = SETTINGS.iter().map(OsString::from).collect();
        Self { program, folder: folder.to_owned(), settings, without: Vec::new() }
    }
}

impl Git<'_> {
    fn root(&self) -> Result<PathBuf> {
        let answer = self.run("rev-parse", &["--show-toplevel".to_owned()], LIST_BYTES)?;
        if !answer.status.success() {
            return Err(GitError::NoRepository { folder: self.folder.clone(), said: said(&answer) });
        }
        let mut path = answer.stdout;
        path.pop_if(|byte| *byte == b'\n');
        Ok(PathBuf::from(OsString::from_vec(path)))
    }

    /// Leaves these files out of what the tree holds; `folder` is its root.
    fn leave_out(&mut self, own: Option<&OwnFiles>) {
        let pathspec = |path: PathBuf| {
            let mut spec = OsString::from(":(exclude,literal)");
            spec.push(path);
            spec
        };
        self.without = own.map(|own| own.below(&self.folder)).unwrap_or_default().into_iter().map(pathspec).collect();
    }

    /// Filters turn a file into what git stores, by a program that the configuration names. Without a program they
    /// leave it as it is.
    fn switch_filters_off(&mut self) -> Result<()> {
        let words = ["-z", "--name-only", "--get-regexp", r"^filter\..*"].map(str::to_owned);
        let answer = self.run("config", &words, LIST_BYTES)?;
        let mut names = BTreeSet::new();
        for key in fields(&answer.stdout) {
            let Some((name, _)) = key.strip_prefix("filter.").and_then(|rest| rest.rsplit_once('.')) else { continue };
            names.insert(name.to_owned());
        }
        if answer.cut || names.iter().any(|name| name.contains('=')) {
            return Err(GitError::Filter { folder: self.folder.clone() });
        }
        for name in names {
            let off = ["clean=", "smudge=", "process=", "required=false"];
            self.settings.extend(off.map(|setting| OsString::from(format!("filter.{name}.{setting}"))));
        }
        Ok(())
    }

    /// Refuses a tree of which git is told to take files for unchanged.
    fn sees_all(&self) -> Result<()> {
        let answer = self.ask("ls-files", &["-v", "-z", "--"].map(str::to_owned), INDEX_BYTES)?;
        // `S` is skip-worktree, and a small letter assume-unchanged.
        let is_unseen = |tag: char| tag == 'S' || tag.is_ascii_lowercase();
        if let Some(file) = fields(&answer.stdout).find(|file| file.starts_with(is_unseen)) {
            return Err(GitError::Unseen { path: text::visible_line(file.get(2..).unwrap_or_default()).into_owned() });
        }
        if answer.cut {
            return Err(GitError::Failed { command: "ls-files", said: "it holds too many files".to_owned() });
        }
        Ok(())
    }

    /// The commit to compare with; none when there is none yet and none was asked for.
    fn commit(&self, base: Option<&str>) -> Result<Option<String>> {
        let wanted = format!("{}^{{commit}}", base.unwrap_or("HEAD"));
        let words = ["--verify", "--quiet", "--end-of-options", &wanted].map(str::to_owned);
        let answer = self.run("rev-parse", &words, LIST_BYTES)?;
        match base {
            _ if answer.status.success() => Ok(Some(String::from_utf8_lossy(&answer.stdout).trim().to_owned())),
            Some(base) => Err(GitError::NoCommit { base: base.to_owned(), folder: self.folder.clone() }),
            None => Ok(None),
        }
    }

    fn diff_words(&self, form: &[&str], against: &str) -> Vec<String> {
        let fixed = [
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--no-relative",
            "--find-renames",
            "-l400",
            "--ignore-submodules=dirty",
            "--submodule=short",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        ];
        fixed.iter().chain(form).map(|word| (*word).to_owned()).chain([against.to_owned(), "--".to_owned()]).collect()
    }

    /// The files that git was told of, and whether there are more.
    fn changed(&self, against: &str) -> Result<(Vec<ChangedFile>, bool)> {
        let answer = self.ask("diff", &self.diff_words(&["-z", "--raw", "--numstat"], against), LIST_BYTES)?;
        Ok((changed_files(&answer.stdout), answer.cut))
    }

    fn untracked(&self) -> Result<(Vec<ChangedFile>, bool)> {
        let words =
            UNTRACKED.iter().chain(&["--directory", "--no-empty-directory", "--"]).map(|word| (*word).to_owned());
        let answer = self.ask("ls-files", &words.collect::<Vec<_>>(), LIST_BYTES)?;
        let file = |path: String| ChangedFile {
            path,
            old_path: None,
            status: FileStatus::Untracked,
            added: None,
            removed: None,
        };
        Ok((fields(&answer.stdout).map(file).collect(), answer.cut))
    }

    fn line(&self, command: &'static str, words: &[&str]) -> Result<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let answer = self.ask(command, &words, LIST_BYTES)?;
        Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }

    /// Runs a command that has to succeed.
    fn ask(&self, command: &'static str, words: &[String], bytes: usize) -> Result<Finished> {
        let answer = self.run(command, words, bytes)?;
        if answer.status.success() || answer.cut {
            Ok(answer)
        } else {
            Err(GitError::Failed { command, said: said(&answer) })
        }
    }

    fn run(&self, command: &'static str, words: &[String], bytes: usize) -> Result<Finished> {
        let mut process = Command::new(self.program);
        process.current_dir(&self.folder).arg("--no-pager");
        let without = if matches!(command, "diff" | "ls-files") { &self.without[..] } else { &[] };
        if without.is_empty() {
            process.arg("--literal-pathspecs");
        }
        for setting in &self.settings {
            process.arg("-c").arg(setting);
        }
        process.arg(command).args(words).args(without);
        // What this process was told about its own repository says nothing about this one.
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"GIT_") {
                process.env_remove(name);
            }
        }
        let fixed = [
            // Above what any configuration says of a protocol.
            ("GIT_ALLOW_PROTOCOL", "none"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ADVICE", "0"),
            ("LC_ALL", "C"),
        ];
        process.envs(fixed);
        let limits = Limits { time: LIMIT, bytes, above: Above::Cut };
        run(&mut process, b"", limits).map_err(|error| match error {
            RunError::Start(error) if error.kind() == io::ErrorKind::NotFound => GitError::Missing,
            RunError::Start(error) | RunError::Output(error) => GitError::Failed { command, said: error.to_string() },
            RunError::Timeout => GitError::Timeout { command },
        })
    }
}

/// The texts between NUL bytes.
fn fields(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty()).map(|field| String::from_utf8_lossy(field).into())
}

/// What git complained of, in one line.
fn said(answer: &Finished) -> String {
    let text = text::one_line(&text::clean(&String::from_utf8_lossy(&answer.stderr)));
    let text = text.trim_start_matches("fatal: ");
    if text.is_empty() { answer.status.to_string() } else { text::bounded(text, 300) }
}

/// The output without a last line that was cut.
fn whole_lines(answer: &Finished) -> String {
    let bytes = &answer.stdout[..];
    let end =
        if answer.cut { bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) } else { bytes.len() };
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Reads what `diff --raw --numstat -z` prints: first the files with their states, then the same with line counts.
///
/// A file that only its time stamp makes suspicious stands among the first and not among the second; it is left out.
fn changed_files(output: &[u8]) -> Vec<ChangedFile> {
    let mut rest = output.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let mut files: Vec<(ChangedFile, bool)> = Vec::new();
    let mut counts: BTreeMap<String, (Option<u64>, Option<u64>)> = BTreeMap::new();
    while let Some(field) = rest.next() {
        if let Some(raw) = field.strip_prefix(':') {
            let facts: Vec<&str> = raw.split(' ').collect();
            let [old_mode, new_mode, _, _, state] = facts[..] else { break };
            let Some(path) = rest.next() else { break };
            let (path, old_path) = match state.chars().next() {
                Some('R' | 'C') => {
                    let Some(new) = rest.next() else { break };
                    (new.into_owned(), Some(path.into_owned()))
                }
                _ => (path.into_owned(), None),
            };
            let status = match state.chars().next() {
                Some('A' | 'C') => FileStatus::Added,
                Some('D') => FileStatus::Deleted,
                Some('R') => FileStatus::Renamed,
                Some('T') => FileStatus::TypeChanged,
                Some('U') => FileStatus::Unmerged,
                _ => FileStatus::Modified,
            };
            let is_suspicion = status == FileStatus::Modified && old_mode == new_mode;
            files.push((ChangedFile { path, old_path, status, added: None, removed: None }, is_suspicion));
        } else {
            let mut columns = field.splitn(3, '\t');
            let (Some(added), Some(removed), Some(path)) = (columns.next(), columns.next(), columns.next()) else {
                continue;
            };
            // A rename names its two paths behind.
            let path = if path.is_empty() { rest.nth(1).map(|path| path.into_owned()) } else { Some(path.to_owned()) };
            counts.extend(path.map(|path| (path, (added.parse().ok(), removed.parse().ok()))));
        }
    }
    files.retain(|(file, is_suspicion)| !is_suspicion || counts.contains_key(&file.path));
    let counted = |(mut file, _): (ChangedFile, bool)| {
        if let Some((added, removed)) = counts.get(&file.path) {
            (file.added, file.removed) = (*added, *removed);
        }
        file
    };
    files.into_iter().map(counted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_renames_and_without_mere_suspicions() {
        let output = b":100644 100644 7898192 0000000 M\0a\0:100644 100644 87ae6b6 0000000 M\0b\0:100644 100644 f2ad6c7 \
            0000000 M\0c\0:000000 100644 0000000 d905d9d A\0:e\t\n\0:100644 100755 b478595 b478595 M\0x\0:100644 100644 \
            b478595 b478595 R100\0sub/s\0sub/t\0\
            1\t0\ta\0-\t-\tb\x002\t0\t:e\t\n\x000\t0\t\0sub/s\0sub/t\0";
        let files = changed_files(output);
        let lines: Vec<String> = files
            .iter()
            .map(|file| format!("{} {:?} {:?} {:?}", file.status, file.path, file.added, file.removed))
            .collect();
        assert_eq!(
            lines,
            [
                "modified \"a\" Some(1) Some(0)",
                "modified \"b\" None None",
                "added \":e\\t\\n\" Some(2) Some(0)",
                "modified \"x\" None None",
                "renamed \"sub/t\" Some(0) Some(0)",
            ]
        );
        assert_eq!(files[4].old_path.as_deref(), Some("sub/s"));
        assert!(changed_files(b":1 2").is_empty() && changed_files(b"\0\0x\0").is_empty());
    }
}
