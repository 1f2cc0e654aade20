//! What tmux things are called: ids parsed at the edge, names of a small alphabet, and what a listing shows.

use std::{fmt, path::PathBuf, str::FromStr};

use super::TmuxError;
use crate::{base::Timestamp, ports::process::ProcessId};

/// Declares an id of tmux: a sign and a number, unique for the life of the server.
macro_rules! tmux_id {
    ($(#[$meta:meta])* $name:ident, $sign:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The id with this number.
            #[must_use]
            pub const fn new(number: u32) -> Self {
                Self(number)
            }
        }

        impl FromStr for $name {
            type Err = TmuxError;

            fn from_str(text: &str) -> Result<Self, TmuxError> {
                text.strip_prefix($sign)
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .map(Self)
                    .ok_or_else(|| TmuxError::Invalid(format!("`{text}` is no tmux {} id", $what)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $sign, self.0)
            }
        }
    };
}

tmux_id! {
    /// A pane, `%7`: the only way a pane is ever addressed.
    PaneId, '%', "pane"
}

tmux_id! {
    /// A session, `$3`.
    SessionId, '$', "session"
}

/// A name that we give to a session or window: ASCII letters, digits, `_` and `-`, not first a `-`, at most 80.
///
/// tmux itself would take more, but rewrites `.` and `:` and expands `#(...)` as a shell command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TmuxName(String);

impl TmuxName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TmuxName {
    type Err = TmuxError;

    fn from_str(text: &str) -> Result<Self, TmuxError> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if text.is_empty() || text.len() > 80 || text.starts_with('-') || !text.bytes().all(inner) {
            return Err(TmuxError::Invalid(format!("`{text}` cannot be the name of a tmux session or window")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TmuxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An option of a pane: one of ours (`@cvy_...`), or one of the few of tmux that we set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaneOption(String);

impl PaneOption {
    /// The user option `@<name>`.
    ///
    /// # Errors
    /// When `name` is empty or holds more than ASCII letters, digits and `_`.
    pub fn user(name: &str) -> Result<Self, TmuxError> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(TmuxError::Invalid(format!("`{name}` cannot be the name of a tmux option")));
        }
        Ok(Self(format!("@{name}")))
    }

    /// Keeps the pane, with its last screen, when its program ends.
    #[must_use]
    pub fn remain_on_exit() -> Self {
        Self("remain-on-exit".to_owned())
    }

    /// The name as tmux knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A release of tmux, such as 3.3a.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TmuxVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// What follows the numbers: `a`, `-rc2`; `next` for a build before the release.
    pub suffix: String,
}

/// How far a tmux can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Lacks what the guards need.
    TooOld,
    /// Works, but a paste into a dead pane kills the whole server.
    Fragile,
    /// Nothing is known against it.
    Good,
}

impl TmuxVersion {
    /// How far this release can be relied on: at least 3.2, better 3.4.
    #[must_use]
    pub fn support(&self) -> Support {
        match (self.major, self.minor) {
            (major, minor) if (major, minor) < (3, 2) => Support::TooOld,
            (major, minor) if (major, minor) < (3, 4) => Support::Fragile,
            _ => Support::Good,
        }
    }
}

impl fmt::Display for TmuxVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.suffix == "next" {
            return write!(f, "next-{}.{}", self.major, self.minor);
        }
        write!(f, "{}.{}{}", self.major, self.minor, self.suffix)
    }
}

/// A running tmux server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its process id.
    pub pid: u32,
    /// When it was started, to the second; with the pid it tells one server from its successor, whose pane ids
    /// mean other panes.
    pub started_at: Timestamp,
    /// Absolute path of its socket.
    pub socket: String,
    /// Version of the server, which can be older than the installed program.
    pub version: Option<TmuxVersion>,
}

/// Settings of a server that decide how well a full-screen program works in it. None: it names no such setting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSettings {
    /// How long it waits after an escape character before it passes it on, in milliseconds.
    pub escape_time: Option<u32>,
    /// Programs are told when their pane gets and loses the focus.
    pub focus_events: Option<bool>,
    /// Panes stay when their program ends, unless a window says otherwise.
    pub remain_on_exit: Option<bool>,
    /// Programs may send sequences through to the terminal; none before tmux 3.3, which asked nobody.
    pub passthrough: Option<bool>,
    /// The key in front of every key of tmux, by tmux's name (`C-b`); none when there is none.
    pub prefix: Option<String>,
}

/// A tmux session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Its name, exactly; untrusted when it is not ours.
    pub name: String,
    /// How many clients show it.
    pub attached: u32,
}

/// A pane that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneRef {
    /// Absolute path of the server's socket.
    pub socket: String,
    /// Name of the session.
    pub session_name: String,
    /// Id of the session.
    pub session: SessionId,
    /// The pane.
    pub pane: PaneId,
    /// Pid of the pane's first process.
    pub pid: u32,
    /// That process with its start time; none when it had ended already, so the start failed.
    pub process: Option<ProcessId>,
}

/// A pane as tmux lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneInfo {
    /// The pane.
    pub id: PaneId,
    /// Its session; the first in tmux's order when its window is linked into several.
    pub session: SessionId,
    /// Name of that session, exactly; untrusted when it is not ours.
    pub session_name: String,
    /// Pid of its first process, also when that is dead.
    pub pid: u32,
    /// The process has ended and the pane was kept.
    pub dead: bool,
    /// Exit status of a dead process; none when it lives, was killed by a signal, or when tmux has not noticed its
    /// end yet (3.3a can take until another child ends).
    pub dead_status: Option<i32>,
    /// It is in copy mode or another mode that takes the keys.
    pub in_mode: bool,
    /// Columns and rows.
    pub size: Size,
    /// The program uses the alternate screen, so there is no history to capture.
    pub alternate_on: bool,
    /// The second in which a pane of its window printed last, by the clock of the wall; none when tmux does not tell.
    pub output_at: Option<i64>,
    /// The active pane of its window.
    pub active: bool,
    /// Its window is the current one of its session.
    pub window_active: bool,
    /// How many clients show the session.
    pub session_attached: u32,
    /// Name of the foreground program, cleaned; a hint only.
    pub current_command: String,
    /// Title set by the program, cleaned and untrusted.
    pub title: String,
    /// Working directory of the foreground program; none when it is hidden or unprintable.
    pub current_path: Option<PathBuf>,
}

/// Columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A program to run in a new pane. It is started without a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Working directory; must exist.
    pub cwd: PathBuf,
    /// Variables in addition to those of the tmux server. They are visible in process lists: no secrets.
    pub env: Vec<(String, String)>,
    /// The words; at least one. tmux takes about 16 KB in all.
    pub argv: Vec<String>,
}

/// A session to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its name.
    pub name: TmuxName,
    /// Name of its first window; none leaves it to tmux, which then follows the program.
    pub window_name: Option<TmuxName>,
    /// Size as long as nobody attaches.
    pub size: Size,
    /// What runs in it.
    pub program: Program,
}

/// A window to open in a session that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWindow {
    /// The session.
    pub session: SessionId,
    /// Name of the window; none leaves it to tmux.
    pub name: Option<TmuxName>,
    /// What runs in it.
    pub program: Program,
}

/// Where the new half of a split goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitDirection {
    /// To the right.
    Right,
    /// Below.
    Below,
}

/// A pane to be split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The pane that gives up room.
    pub pane: PaneId,
    /// Where the new pane goes.
    pub direction: SplitDirection,
    /// Columns (to the right) or rows (below) of the new pane; none gives it half.
    pub cells: Option<u16>,
    /// What runs in it.
    pub program: Program,
}

/// What a capture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureOptions {
    /// Lines of history before the visible screen; none are there on the alternate screen.
    pub history_lines: u32,
    /// With the escape sequences for colours and attributes; otherwise plain text.
    pub escapes: bool,
    /// Wrapped lines are joined, and trailing blanks kept.
    pub join: bool,
}

/// A pane's screen at one moment, as tmux prints it: with the sequences for colours and attributes, and untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    /// The lines.
    pub text: String,
    /// Columns and rows of the pane.
    pub size: Size,
    /// Column and row of the cursor, from 0; none when the program hides it.
    pub cursor: Option<(u16, u16)>,
    /// Pid of the pane's first process, also when that is dead.
    pub pid: u32,
    /// The process has ended and the pane was kept.
    pub dead: bool,
    /// It is in copy mode or another mode that takes the keys.
    pub in_mode: bool,
}

/// What became of a request to close something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillOutcome {
    /// It was closed.
    Killed,
    /// It did not exist any more.
    Gone,
    /// It holds another process or belongs to another session now, so it was left alone.
    Changed,
}
