//! The only place that talks to tmux.
//!
//! Panes are addressed by their id and checked by the pid of their process, never by a name: tmux takes any
//! name for a prefix and would hit the wrong session. Whatever must hold at the moment of a side effect is
//! checked inside the tmux server, in the same command as the effect. Text is typed only as a [`Staging`], and
//! submitted only as a [`Submission`].

mod guard;
mod lane;
mod parse;
mod real;
mod scripted;
#[cfg(test)]
mod tests;
mod types;

pub use guard::{Guard, Key, KeyOutcome, Refusal, ScreenText};
pub use lane::{
    AnswerKeys, Answering, BufferName, Install, Press, Receipt, SendOutcome, SignPlace, Staging, Submission, Target,
};
pub use real::{DEFAULT_LIMIT, RealTmux, TmuxServer};
pub use scripted::{Call, ScriptedPane, ScriptedTmux};
pub use types::{
    CaptureOptions, KillOutcome, NewSession, NewWindow, PaneId, PaneInfo, PaneOption, PaneRef, Program, ServerInfo,
    ServerSettings, SessionId, SessionInfo, Shot, Size, Split, SplitDirection, Support, TmuxName, TmuxVersion,
};

use crate::{model::typing::Sign, ports::process::ProcessId};

/// Why tmux did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TmuxError {
    /// The program is not installed, or not on `PATH`.
    #[error("tmux is not installed or not on PATH")]
    Missing,
    /// No server listens on the socket, or it went away meanwhile.
    #[error("no tmux server is running ({0})")]
    NoServer(String),
    /// The operating system or a sandbox keeps us from the socket; the server may well run.
    #[error("no permission to talk to tmux ({0})")]
    PermissionDenied(String),
    /// The pane, window or session does not exist.
    #[error("tmux has no {0}")]
    NotFound(String),
    /// A session of this name exists already.
    #[error("a tmux session `{0}` exists already")]
    Exists(String),
    /// No answer within the limit; the client was killed. Whether the server did the work is not known.
    #[error("tmux did not answer in time ({0})")]
    Timeout(String),
    /// What was asked for cannot be expressed.
    #[error("{0}")]
    Invalid(String),
    /// tmux answered something this program does not understand.
    #[error("cannot read the answer of tmux {command}: {answer}")]
    Unreadable {
        /// The tmux command.
        command: String,
        /// The answer, shortened.
        answer: String,
    },
    /// tmux refused for another reason.
    #[error("tmux {command} failed: {stderr}")]
    Failed {
        /// The tmux command, without its arguments.
        command: String,
        /// What it said, shortened.
        stderr: String,
    },
}

/// The result of a call to tmux.
pub type Result<T, E = TmuxError> = std::result::Result<T, E>;

/// A tmux server, real or scripted. Every call blocks, for at most the limit of the implementation.
///
/// All methods fail with [`TmuxError::Missing`], [`TmuxError::NoServer`], [`TmuxError::PermissionDenied`] or
/// [`TmuxError::Timeout`] when tmux cannot be reached; further errors are named where they matter.
pub trait Tmux: Send + Sync {
    /// Version of the tmux program.
    ///
    /// # Errors
    /// [`TmuxError::Unreadable`] for builds that name no release.
    fn version(&self) -> Result<TmuxVersion>;

    /// Who the server is.
    ///
    /// # Errors
    /// As the trait says.
    fn server_info(&self) -> Result<ServerInfo>;

    /// How the server is set up.
    ///
    /// # Errors
    /// As the trait says.
    fn server_settings(&self) -> Result<ServerSettings>;

    /// Every session.
    ///
    /// # Errors
    /// As the trait says.
    fn sessions(&self) -> Result<Vec<SessionInfo>>;

    /// Starts a detached session that runs a program, and the server when there is none.
    ///
    /// # Errors
    /// [`TmuxError::Exists`] when the name is taken; [`TmuxError::Invalid`] for a program that cannot be passed.
    fn new_session(&self, new: &NewSession) -> Result<PaneRef>;

    /// Opens a window that runs a program, behind the last one and without switching to it.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the session is gone.
    fn new_window(&self, new: &NewWindow) -> Result<PaneRef>;

    /// Splits a pane. The caller has checked that both halves stay large enough.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the pane is gone.
    fn split_window(&self, split: &Split) -> Result<PaneRef>;

    /// Every pane of every session, each once.
    ///
    /// # Errors
    /// As the trait says.
    fn panes(&self) -> Result<Vec<PaneInfo>>;

    /// One pane; none when it does not exist.
    ///
    /// # Errors
    /// As the trait says.
    fn pane(&self, pane: PaneId) -> Result<Option<PaneInfo>>;

    /// The text of a pane, untrusted and as tmux prints it.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the pane is gone.
    fn capture(&self, pane: PaneId, options: CaptureOptions) -> Result<String>;

    /// The screens of several panes in their order, each as [`Tmux::capture`] gives it, for the price of one.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when any of the panes is gone.
    fn captures(&self, panes: &[PaneId]) -> Result<Vec<String>> {
        panes.iter().map(|pane| self.capture(*pane, CaptureOptions::default())).collect()
    }

    /// The screen of a pane with its colours, and what must be known to show it; all of one moment.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the pane is gone.
    fn shot(&self, pane: PaneId) -> Result<Shot>;

    /// Presses a key when, and only when, all that `guard` demands holds at that moment.
    ///
    /// # Errors
    /// As the trait says. After [`TmuxError::Timeout`] the key may have been pressed.
    fn guarded_key(&self, guard: &Guard, key: Key) -> Result<KeyOutcome>;

    /// Puts a text into the composer and counts it, when, and only when, at that moment the pane is the right one,
    /// its composer is empty and has the keyboard, and this number was not staged before.
    ///
    /// # Errors
    /// As the trait says, but for a time-out; then nothing was done. [`TmuxError::Invalid`] for a number outside 1 to
    /// 2^53. What may or may not have happened is [`SendOutcome::Unknown`], never an error.
    fn stage(&self, target: &Target, staging: &Staging<'_>) -> Result<SendOutcome>;

    /// Submits what was staged and counts it, when, and only when, at that moment the pane is the right one, the
    /// composer ends with the sign of the message, this number was staged and not submitted before (with
    /// [`Press::Again`]: was the last to be submitted), and nobody holds it under a later fence.
    ///
    /// # Errors
    /// As [`Self::stage`].
    fn submit(&self, target: &Target, submission: &Submission<'_>) -> Result<SendOutcome>;

    /// Notes in the pane under which fence a number that was staged is in hand: whoever had it under an older one cannot
    /// submit it any more, however late its key arrives.
    ///
    /// # Errors
    /// As [`Self::stage`].
    fn hold(&self, target: &Target, seq: u64, fence: u64) -> Result<SendOutcome>;

    /// Gives up a number that was not staged, so that nobody can stage it any more, however late its step arrives.
    /// [`SendOutcome::Done`] proves that it was never typed and never will be.
    ///
    /// # Errors
    /// As [`Self::stage`].
    fn forgo(&self, target: &Target, seq: u64) -> Result<SendOutcome>;

    /// Presses Esc when, and only when, at that moment the pane is the right one, shows that a turn runs, and no
    /// dialog that it would answer.
    ///
    /// # Errors
    /// As [`Self::stage`].
    fn interrupt(&self, target: &Target) -> Result<SendOutcome>;

    /// Presses keys into a dialog when, and only when, at that moment the pane is the right one and each row of the
    /// dialog stands where it was seen.
    ///
    /// # Errors
    /// As [`Self::stage`], and [`TmuxError::Invalid`] for a dialog that is too long to be compared.
    fn answer_dialog(&self, target: &Target, answering: &Answering<'_>) -> Result<SendOutcome>;

    /// The marks that a pane bears of `install`, and where `sign` stands; none when there is no such pane.
    ///
    /// # Errors
    /// [`TmuxError::Unreadable`] when somebody has changed the marks to what no number is.
    fn receipt(&self, pane: PaneId, install: &Install, sign: &Sign) -> Result<Option<Receipt>>;

    /// Removes the paste buffers of `install` but for those in `keep`: what dispatchers have left that were killed
    /// before their text was pasted. Returns the names of those removed.
    ///
    /// # Errors
    /// As the trait says, but for a missing server, which has no buffers.
    fn sweep_buffers(&self, install: &Install, keep: &[BufferName]) -> Result<Vec<String>>;

    /// Closes a pane if it still holds the given process (running or dead).
    ///
    /// # Errors
    /// As the trait says.
    fn kill_pane(&self, pane: PaneId, process: ProcessId) -> Result<KillOutcome>;

    /// Closes a session if it still holds `pane` with the given process (running or dead).
    ///
    /// # Errors
    /// As the trait says.
    fn kill_session(&self, session: SessionId, pane: PaneId, process: ProcessId) -> Result<KillOutcome>;

    /// Sets an option of a pane. The value is taken literally.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the pane is gone.
    fn set_pane_option(&self, pane: PaneId, option: &PaneOption, value: &str) -> Result<()>;

    /// Value of an option set on the pane itself; none when it is unset or empty.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the pane is gone.
    fn pane_option(&self, pane: PaneId, option: &PaneOption) -> Result<Option<String>>;

    /// Gives the pane's window this size and keeps it there.
    ///
    /// # Errors
    /// [`TmuxError::NotFound`] when the pane is gone.
    fn resize(&self, pane: PaneId, size: Size) -> Result<()>;

    /// Shows the pane in the tmux client this process runs in.
    ///
    /// # Errors
    /// [`TmuxError::Failed`] outside tmux; [`TmuxError::NotFound`] when the pane is gone.
    fn switch_client(&self, pane: PaneId) -> Result<()>;

    /// The command line that attaches a terminal to the pane's session with the pane in front. To be run with
    /// the caller's terminal, without a time limit.
    fn attach_argv(&self, pane: PaneId) -> Vec<String>;

    /// The command line that runs `argv` in a pop-up over the current tmux client; it returns when the pop-up is
    /// closed. To be run with the caller's terminal, without a time limit.
    ///
    /// # Errors
    /// [`TmuxError::Invalid`] for a program that cannot be passed.
    fn popup_argv(&self, cwd: &std::path::Path, argv: &[String]) -> Result<Vec<String>>;

    /// The session of exactly this name; none when there is none, or no server.
    ///
    /// # Errors
    /// As [`Self::sessions`], but for a missing server.
    fn session_named(&self, name: &TmuxName) -> Result<Option<SessionInfo>> {
        match self.sessions() {
            Ok(sessions) => Ok(sessions.into_iter().find(|session| session.name == name.as_str())),
            Err(TmuxError::NoServer(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}
