//! What a failure of the layers below means to a caller: its kind, and what to do next.

use std::{io, path::Path};

use crate::{
    base::{Error, Kind},
    ports::{
        codex_cli::CodexCliError,
        git::GitError,
        process::ProcessError,
        rollout::{HeadError, RolloutError},
        tmux::TmuxError,
    },
    store,
};

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        let message = error.to_string();
        let (kind, hint) = match &error {
            E::Missing { .. } => (
                Kind::NotFound,
                Some(
                    "check --path and WORKERCTL_STATE_ROOT, or create one with `conveyor tasks --create`, `register-worker` or `start-worker`",
                ),
            ),
            E::Newer { .. } => (Kind::Ledger, Some("use the newer conveyor; this one leaves the ledger untouched")),
            E::Outdated { .. } => {
                (Kind::Ledger, Some("any command without --dry-run brings it up to date, after a backup beside it"))
            }
            E::Predecessor { .. } => (
                Kind::Ledger,
                Some(
                    "this version cannot take over older ledgers yet and leaves it untouched; use another --path or WORKERCTL_STATE_ROOT",
                ),
            ),
            E::Foreign { .. } => (Kind::Ledger, Some("check --path")),
            E::UnsafePlace { .. } => {
                (Kind::Ledger, Some("choose a private local folder with --path or WORKERCTL_STATE_ROOT"))
            }
            E::OldSqlite { .. } => (Kind::Bug, None),
            E::Busy => (Kind::Busy, Some("try again; `conveyor db-doctor` tells more")),
            E::Full => (Kind::Io, Some("free some space; nothing was changed")),
            E::ReadOnly => (Kind::Io, Some("check the permissions of the ledger and its folder")),
            E::Corrupt(_) => (Kind::Ledger, Some("run `conveyor db-doctor`; do not delete the file")),
            E::Unique(_) => (Kind::Conflict, None),
            E::Io { source, .. } => (
                Kind::Io,
                (source.kind() == io::ErrorKind::PermissionDenied).then_some(
                    "check the permissions of that place, or name another with --path or WORKERCTL_STATE_ROOT",
                ),
            ),
            E::Sqlite(_) | E::Json { .. } | E::Step { .. } => (Kind::Bug, Some("run `conveyor db-doctor`")),
        };
        hinted(Error::new(kind, message).caused_by(error), hint)
    }
}

/// A rollout that cannot be read.
pub(super) fn rollout(error: RolloutError) -> Error {
    let (kind, hint) = match &error {
        RolloutError::Missing { .. } => {
            (Kind::NotFound, "register the session again with its present --codex-session; what was ingested stays")
        }
        RolloutError::Dormant { .. } => (Kind::Refused, "`codex resume` brings the plain file back"),
        RolloutError::Symlink { .. } => (Kind::Refused, "give the file itself"),
        RolloutError::NotAFile { .. } => {
            (Kind::Refused, "give the rollout file, `…/sessions/YYYY/MM/DD/rollout-….jsonl`")
        }
        RolloutError::Permission { .. } => (Kind::Io, "check its permissions"),
        RolloutError::Io { .. } => (Kind::Io, "nothing was changed; try again"),
    };
    Error::new(kind, error.to_string()).hint(hint).caused_by(error)
}

/// A file that does not begin as a rollout does.
pub(super) fn head(path: &Path, error: HeadError) -> Error {
    match error {
        HeadError::File(error) => rollout(error),
        HeadError::Unfinished => {
            Error::new(Kind::Refused, format!("{error}: {}", path.display())).hint("try again in a moment")
        }
        HeadError::Empty
        | HeadError::TooLong
        | HeadError::NotJson
        | HeadError::NotSessionMeta { .. }
        | HeadError::MissingId => Error::refused(format!("{error}: {}", path.display()))
            .hint("give a rollout file that Codex wrote, `…/sessions/YYYY/MM/DD/rollout-….jsonl`"),
    }
}

/// tmux did not do it.
pub(super) fn tmux(error: TmuxError) -> Error {
    let (kind, hint) = match &error {
        TmuxError::Missing => (Kind::MissingTool, Some("install tmux 3.2 or newer")),
        TmuxError::NoServer(_) => (Kind::NotFound, None),
        TmuxError::PermissionDenied(_) => {
            (Kind::Io, Some("the operating system or a sandbox keeps this command from tmux's socket; run it outside"))
        }
        TmuxError::NotFound(_) => (Kind::NotFound, None),
        TmuxError::Exists(_) => (Kind::Conflict, Some("choose another name, or end that tmux session")),
        TmuxError::Timeout(_) => (Kind::Unconfirmed, Some("look with `tmux ls` before trying again")),
        TmuxError::Invalid(_) => (Kind::Usage, None),
        TmuxError::Unreadable { .. } => (Kind::Bug, None),
        TmuxError::Failed { .. } => (Kind::Io, None),
    };
    hinted(Error::new(kind, error.to_string()), hint)
}

/// codex did not do it.
pub(super) fn codex(error: CodexCliError) -> Error {
    let (kind, hint) = match &error {
        CodexCliError::Missing { .. } => (
            Kind::MissingTool,
            Some("install it with `npm install -g @openai/codex`, or name it with --codex or CONVEYOR_CODEX"),
        ),
        CodexCliError::Timeout { .. } => (Kind::Unconfirmed, None),
        CodexCliError::Failed { .. } | CodexCliError::UnexpectedOutput { .. } | CodexCliError::Io { .. } => {
            (Kind::Io, Some("is that program really codex?"))
        }
    };
    hinted(Error::new(kind, error.to_string()).caused_by(error), hint)
}

/// git did not say.
pub(super) fn git(error: GitError) -> Error {
    let (kind, hint) = match &error {
        GitError::Missing => (Kind::MissingTool, Some("install git")),
        GitError::NoFolder { .. } => {
            (Kind::NotFound, Some("the session's folder was removed or renamed since it began"))
        }
        GitError::NoRepository { .. } => {
            (Kind::Refused, Some("there is nothing to compare with; `conveyor tail` shows what the session did"))
        }
        GitError::NoCommit { .. } => (Kind::NotFound, Some("name a commit, a branch or a tag of that repository")),
        GitError::Filter { .. } => {
            (Kind::Refused, Some("programs of a repository are not run; look with `git diff` there"))
        }
        GitError::Unseen { .. } => (
            Kind::Refused,
            Some(
                "`git update-index --no-skip-worktree PATH` there, or `--no-assume-unchanged`, makes git look at it again",
            ),
        ),
        GitError::Timeout { .. } => {
            (Kind::Unconfirmed, Some("the tree is large or its disk is slow; look with `git diff` there"))
        }
        GitError::Failed { .. } => (Kind::Io, None),
    };
    hinted(Error::new(kind, error.to_string()), hint)
}

/// The process table did not say.
pub(super) fn process(error: ProcessError) -> Error {
    let (kind, hint) = match &error {
        ProcessError::Gone(_) => (Kind::NotFound, Some("`conveyor discover` lists the sessions that run")),
        ProcessError::Denied(_) => (Kind::Io, Some("run this as the user whose process it is")),
        ProcessError::Unsupported(_) | ProcessError::Io { .. } => (Kind::Io, None),
    };
    hinted(Error::new(kind, error.to_string()).caused_by(error), hint)
}

fn hinted(error: Error, hint: Option<&str>) -> Error {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
