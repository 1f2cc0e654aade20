//! `diff`: what a session's working tree holds beyond its last commit.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Action, Argv, Context, Format, Outcome, fail, lookup};
use crate::{
    base::{Error, Kind, Result, text},
    model::session::Session,
    ports::{
        env::find_program,
        git::{self, ChangedFile, FileStatus, TreeDiff},
        own::OwnFiles,
    },
    store,
};

/// Bytes of a patch unless the caller says otherwise.
const PATCH_BYTES: usize = 1 << 20;

/// The most files that are listed.
const FILES: usize = 2_000;

/// Show what a session has changed in its working tree
///
/// The tree that holds the session's folder, staged or not, compared with its newest commit; files that git was never told
/// of are listed by name. git reads only: nothing is refreshed or locked, and no program runs that the repository's
/// configuration names. The session need not have made the changes itself.
///
/// Example: `conveyor diff w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Diff {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// Compare with this commit, branch or tag instead
    #[arg(long, value_name = "COMMIT")]
    pub base: Option<String>,
    /// Of the patch at most so many bytes; what is left out is said
    #[arg(long, value_name = "BYTES", default_value_t = PATCH_BYTES, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64 << 20))]
    pub max_bytes: usize,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// The commit that the tree is compared with; none when the repository has none yet.
    pub base: Option<String>,
    /// The session's folder.
    pub cwd: String,
    /// The files, those that git was told of first.
    pub files: Vec<FileView>,
    /// The changes as a patch, in whole lines.
    pub patch: String,
    /// The folder that holds the tree.
    pub root: String,
    /// The session.
    pub session: String,
    /// Files or lines are missing here.
    pub truncated: bool,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileView {
    /// Lines that came; none when it is no text or was not looked at.
    pub added: Option<u64>,
    /// Where it was, when it has another name now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// Where it is, from the root.
    pub path: String,
    /// Lines that went.
    pub removed: Option<u64>,
    /// What became of it.
    pub status: FileStatus,
}

impl Action for Diff {
    const NAME: &'static str = "diff";
    const FORMAT: Format = Format::Prose;
    type Output = Differing;

    fn run(self, cx: &Context) -> Result<Differing> {
        let session = cx.ledger()?.read(|r| lookup::session(r, &self.session))?;
        differing(own_git(cx), session, self.base.as_deref(), self.max_bytes, None)
    }

    fn argv(&self) -> Argv {
        let Self { session, base, max_bytes } = self;
        Argv::new(Self::NAME)
            .option("--base", base.as_ref())
            .option("--max-bytes", (*max_bytes != PATCH_BYTES).then_some(max_bytes))
            .end_of_options()
            .word(session)
    }
}

impl Diff {
    /// The changes of a session since its newest commit.
    #[must_use]
    pub fn of(session: String) -> Self {
        Self { session, base: None, max_bytes: PATCH_BYTES }
    }
}

/// What the working tree of the session with this id holds beyond its newest commit.
///
/// # Errors
/// As the command: when the session is unknown, its folder is in no repository, or git does not say.
pub fn tree_diff(cx: &Context, session_id: &str) -> Result<Differing> {
    differing(own_git(cx), known(cx, session_id)?, None, PATCH_BYTES, None)
}

/// The same of the session's work alone, told by this `git`, without this program's own files; of the patch at most
/// `bytes` bytes.
pub(super) fn work_of(cx: &Context, git: Option<PathBuf>, session_id: &str, bytes: usize) -> Result<Differing> {
    let session = known(cx, session_id)?;
    differing(git, session, None, bytes, Some(&cx.env().own_files()))
}

fn own_git(cx: &Context) -> Option<PathBuf> {
    find_program(cx.env().path.as_deref(), "git")
}

fn known(cx: &Context, session_id: &str) -> Result<Session> {
    cx.ledger()?.read(|r| {
        store::sessions::by_id(r, session_id)?
            .ok_or_else(|| Error::not_found(format!("no session with id {session_id}")))
    })
}

fn differing(
    git: Option<PathBuf>,
    session: Session,
    base: Option<&str>,
    bytes: usize,
    own: Option<&OwnFiles>,
) -> Result<Differing> {
    let Session { name: session, cwd, .. } = session;
    if cwd.is_empty() {
        return Err(Error::refused(format!("the folder of {session} is not known"))
            .hint("register it again with --cwd, or let it begin a turn"));
    }
    let program = git.ok_or_else(|| Error::new(Kind::MissingTool, "git is not installed").hint("install git"))?;
    let TreeDiff { root, base, mut files, patch, truncated } =
        git::working_tree_diff(&program, Path::new(&cwd), own, base, bytes).map_err(fail::git)?;
    let too_many = files.len() > FILES;
    files.truncate(FILES);
    let view =
        |ChangedFile { path, old_path, status, added, removed }| FileView { added, old_path, path, removed, status };
    Ok(Differing {
        base,
        cwd,
        files: files.into_iter().map(view).collect(),
        patch,
        root: root.display().to_string(),
        session,
        truncated: truncated || too_many,
    })
}

impl Differing {
    /// What differs from what, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let since = self.base.as_ref().map_or("before its first commit".to_owned(), |base| {
            format!("since commit {}", base.chars().take(10).collect::<String>())
        });
        let untracked = self.files.iter().filter(|file| file.status == FileStatus::Untracked).count();
        let changed = self.files.len() - untracked;
        let sum = |of: fn(&FileView) -> Option<u64>| self.files.iter().filter_map(of).sum::<u64>();
        let (added, removed) = (sum(|file| file.added), sum(|file| file.removed));
        let files = match (changed, untracked) {
            (0, 0) => return format!("{}: nothing has changed {since}", self.root),
            (changed, 0) => format!("{changed} changed"),
            (0, untracked) => format!("{untracked} untracked"),
            (changed, untracked) => format!("{changed} changed, {untracked} untracked"),
        };
        format!("{}: {files}, +{added} -{removed} {since}", self.root)
    }

    /// The files, one line each.
    #[must_use]
    pub fn file_lines(&self) -> Vec<String> {
        let count =
            |sign: char, count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| format!("{sign}{count}"));
        let line = |file: &FileView| {
            let from =
                file.old_path.as_ref().map(|old| format!(" (was {})", text::visible_line(old))).unwrap_or_default();
            let counts = match file.status {
                FileStatus::Untracked => String::new(),
                _ => format!("{} {}", count('+', file.added), count('-', file.removed)),
            };
            format!("{:12} {counts:10} {}{from}", file.status, text::visible_line(&file.path))
        };
        self.files.iter().map(line).collect()
    }
}

impl Outcome for Differing {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}", self.summary())?;
        for line in self.file_lines() {
            writeln!(out, "{line}")?;
        }
        if !self.patch.is_empty() {
            write!(out, "\n{}", self.patch)?;
        }
        if self.truncated {
            writeln!(out, "! not all is shown; --max-bytes shows more of the patch, `git diff` in {} all", self.root)?;
        }
        Ok(())
    }
}
