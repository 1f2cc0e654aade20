//! The one error type that reaches a person or a manager session.
//!
//! Layers below `actions` have error enums of their own; `actions` decides once what they mean and builds
//! an [`Error`] from them. The exit codes are a published contract (`docs/cli.md`) with a test.

use std::fmt;

use serde::Serialize;

/// A `Result` whose error is ready to be shown.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a caller has to react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The named thing is not in the ledger or not on this machine.
    NotFound,
    /// The thing exists already, or the same key was used for something else.
    Conflict,
    /// The state of the ledger or the world does not allow it.
    Refused,
    /// The command line or its input cannot be understood.
    Usage,
    /// A gate, policy or permission says no.
    Blocked,
    /// Accepted, but the proof did not arrive within the wait.
    Unconfirmed,
    /// It may have happened; only an operator can tell.
    Ambiguous,
    /// A program that is needed (tmux, codex) is not installed.
    MissingTool,
    /// A file or another program did not do what it should.
    Io,
    /// The ledger cannot be used: missing, foreign, damaged, of another version.
    Ledger,
    /// A fault in this program.
    Bug,
    /// The ledger is in use; trying again is right.
    Busy,
    /// A signal ended the command.
    Interrupted,
}

impl Kind {
    /// The process exit code of this kind.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::NotFound | Kind::Conflict | Kind::Refused | Kind::Io | Kind::Ledger => 1,
            Kind::Usage => 2,
            Kind::Blocked => 3,
            Kind::Unconfirmed => 4,
            Kind::Ambiguous => 5,
            Kind::MissingTool => 69,
            Kind::Bug => 70,
            Kind::Busy => 75,
            Kind::Interrupted => 130,
        }
    }
}

/// What failed, with which thing, and what to do next.
///
/// Messages are lower case and without a full stop, so that they read well after `conveyor: `.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` that says `message`.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None }
    }

    /// Something named by the caller does not exist.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// The state of things does not allow it.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// The thing exists already.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// The command line or its input cannot be understood.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// A file or another program failed.
    #[must_use]
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(Kind::Io, message)
    }

    /// What to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The cause, kept for the report.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The kind, which decides the exit code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message without causes and hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The hint, if there is one.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The messages of the causes, outermost first.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.source.as_deref().map(|source| source as &dyn std::error::Error);
        while let Some(error) = next {
            let cause = error.to_string();
            // A wrapping layer often has the words of what it wraps.
            if cause != self.message && causes.last() != Some(&cause) {
                causes.push(cause);
            }
            next = error.source();
        }
        causes
    }

    /// The message with those of its causes that it does not name itself, in one line.
    #[must_use]
    pub fn in_full(&self) -> String {
        self.causes().into_iter().fold(self.message.clone(), |message, cause| {
            if message.contains(&cause) { message } else { format!("{message}: {cause}") }
        })
    }

    /// The JSON form, printed on stderr under `--json`.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        ErrorReport {
            error: ErrorBody {
                causes: self.causes(),
                exit_code: self.kind.exit_code(),
                hint: self.hint.clone(),
                kind: self.kind,
                message: self.message.clone(),
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// One failure as a JSON object: `{"error": {...}}`.
#[derive(Debug, Serialize)]
pub struct ErrorReport {
    error: ErrorBody,
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    causes: Vec<String>,
    exit_code: u8,
    hint: Option<String>,
    kind: Kind,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_published_ones() {
        let all = [
            (Kind::NotFound, 1),
            (Kind::Conflict, 1),
            (Kind::Refused, 1),
            (Kind::Io, 1),
            (Kind::Ledger, 1),
            (Kind::Usage, 2),
            (Kind::Blocked, 3),
            (Kind::Unconfirmed, 4),
            (Kind::Ambiguous, 5),
            (Kind::MissingTool, 69),
            (Kind::Bug, 70),
            (Kind::Busy, 75),
            (Kind::Interrupted, 130),
        ];
        for (kind, code) in all {
            assert_eq!(kind.exit_code(), code, "{kind:?}");
        }
    }

    #[test]
    fn causes_are_listed_outermost_first() {
        let inner = Error::io("disk is full");
        let outer = Error::refused("cannot write the ledger").caused_by(inner);
        assert_eq!(outer.causes(), ["disk is full"]);
    }
}
