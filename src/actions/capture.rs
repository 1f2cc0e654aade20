//! `capture`: what a session's pane shows now; `classify`: what such a text means.

use std::{fmt, fs, io, path::PathBuf, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Action, Argv, Context, Format, Outcome, TextArg, fail, lookup};
use crate::{
    base::{Error, Result, Timestamp, text},
    model::{
        cells::{Cursor, Picture},
        pane::{self, BusyWait, PaneReading},
        session::Session,
    },
    ports::tmux::{CaptureOptions, PaneId, Tmux, TmuxError},
    store,
};

/// The largest file that `classify` reads, in bytes.
const MAX_FILE: u64 = 8 << 20;

/// Capture a session's pane
///
/// Prints its size and hash; what it shows only with `--include-content`. The visible screen, and on an inline Codex
/// so many lines of history before it.
///
/// Example: `conveyor capture w1 --include-content --text`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Capture {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// Lines of history before the visible screen
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub lines: u32,
    /// Print what it shows, cleaned of control characters
    #[arg(long)]
    pub include_content: bool,
}

/// A captured pane.
#[derive(Debug, Serialize)]
pub struct Captured {
    byte_count: usize,
    captured_at: Timestamp,
    content: Option<String>,
    content_redacted: bool,
    history_lines: u32,
    line_count: usize,
    name: String,
    reading: PaneReading,
    sha256: String,
    tmux_pane_id: String,
}

impl Action for Capture {
    const NAME: &'static str = "capture";
    const FORMAT: Format = Format::Json;
    type Output = Captured;

    fn run(self, cx: &Context) -> Result<Captured> {
        let session = cx.ledger()?.read(|r| lookup::session(r, &self.session))?;
        let seen = see(cx, &session, self.lines)?;
        let reading = pane::read_pane(&seen.screen, Some(&seen.title));
        let content = seen.lines.join("\n");
        Ok(Captured {
            byte_count: content.len(),
            sha256: sha256(&content),
            captured_at: cx.now(),
            content_redacted: !self.include_content,
            history_lines: self.lines,
            line_count: seen.lines.len(),
            content: self.include_content.then_some(content),
            name: session.name,
            reading,
            tmux_pane_id: seen.pane.to_string(),
        })
    }

    fn argv(&self) -> Argv {
        let Self { session, lines, include_content } = self;
        Argv::new(Self::NAME)
            .option("--lines", Some(lines))
            .switch("--include-content", *include_content)
            .end_of_options()
            .word(session)
    }
}

impl Captured {
    /// Nothing was there to be captured.
    pub(super) fn is_empty(&self) -> bool {
        self.byte_count == 0
    }

    /// What may be kept of it for ever: how much it was, and its hash.
    pub(super) fn receipt(&self) -> Value {
        json!({
            "byte_count": self.byte_count,
            "captured_at": self.captured_at,
            "line_count": self.line_count,
            "name": self.name,
            "sha256": self.sha256,
        })
    }
}

impl Outcome for Captured {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match &self.content {
            Some(content) => writeln!(out, "{content}"),
            None => writeln!(
                out,
                "{}: {} lines, {}: {}",
                self.name, self.line_count, self.reading.state, self.reading.reason
            ),
        }
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Seen {
    pane: PaneId,
    title: String,
    screen: String,
    /// Cleaned, without the blank ones at the end.
    lines: Vec<String>,
}

fn gone(session: &Session, what: &str) -> Error {
    Error::refused(format!("{what} session \"{}\"", session.name))
        .hint(format!("`conveyor resume {}` opens its Codex session in a new pane", session.name))
}

/// The session's pane, and the server that has it.
fn pane_of(cx: &Context, session: &Session) -> Result<(PaneId, Arc<dyn Tmux>)> {
    let Some(pane) = session.tmux_pane_id.as_deref() else {
        return Err(Error::refused(format!("session \"{}\" has no tmux pane", session.name)));
    };
    Ok((pane.parse().map_err(fail::tmux)?, cx.tmux(session.tmux_socket.as_deref())))
}

fn is_its_own(session: &Session, pane: PaneId, pid: u32) -> Result<()> {
    if session.pane_pid.is_some_and(|own| own != i64::from(pid)) {
        return Err(gone(session, &format!("the pane {pane} holds another process now, not")));
    }
    Ok(())
}

/// What has to be known of a pane before its screen is believed.
fn note(dead: bool, in_mode: bool) -> Option<&'static str> {
    match (dead, in_mode) {
        (true, _) => Some("the program in it has ended; this is its last screen"),
        (false, true) => Some("somebody is in copy mode there"),
        (false, false) => None,
    }
}

fn see(cx: &Context, session: &Session, history_lines: u32) -> Result<Seen> {
    let (pane, tmux) = pane_of(cx, session)?;
    let Some(info) = tmux.pane(pane).map_err(fail::tmux)? else {
        return Err(gone(session, "there is no pane any more for"));
    };
    is_its_own(session, pane, info.pid)?;
    let screen =
        tmux.capture(pane, CaptureOptions { history_lines, ..CaptureOptions::default() }).map_err(fail::tmux)?;
    let cleaned = text::clean(&screen);
    let mut lines: Vec<String> = cleaned.lines().map(|line| line.trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    Ok(Seen { pane, title: info.title, screen, lines })
}

/// What a pane shows now, for screens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaneText {
    /// Its screen.
    pub picture: Picture,
    /// When it was looked at.
    pub captured_at: Timestamp,
    /// What has to be known about it (copy mode, a dead program).
    pub note: Option<&'static str>,
}

/// What a session's pane shows now; none when it has no pane.
///
/// # Errors
/// When tmux is missing or the pane is gone.
pub fn pane_text(cx: &Context, session_id: &str) -> Result<Option<PaneText>> {
    let session = cx.ledger()?.read(|r| store::sessions::by_id(r, session_id))?;
    let Some(session) = session.filter(|session| session.tmux_pane_id.is_some()) else {
        return Ok(None);
    };
    let (pane, tmux) = pane_of(cx, &session)?;
    let shot = match tmux.shot(pane) {
        Ok(shot) => shot,
        Err(TmuxError::NotFound(_)) => return Err(gone(&session, "there is no pane any more for")),
        Err(error) => return Err(fail::tmux(error)),
    };
    is_its_own(&session, pane, shot.pid)?;
    let cursor = shot.cursor.map(|(column, row)| Cursor { column, row });
    Ok(Some(PaneText {
        picture: Picture::of(&shot.text, shot.size.width, shot.size.height, cursor),
        captured_at: cx.now(),
        note: note(shot.dead, shot.in_mode),
    }))
}

/// Say what the text of a Codex pane means
///
/// For scripts that capture panes themselves; reads no ledger.
///
/// Example: `tmux capture-pane -p -t %7 | conveyor classify --text-input -`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Classify {
    /// The text; `-` reads standard input
    #[arg(long, value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    pub text_input: Option<TextArg>,
    /// A file that holds the text
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Title of the pane
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Seconds since the session last gave a sign of life
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(i64).range(0..))]
    pub status_age_seconds: i64,
    /// After how many of them a busy screen counts as notable
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(i64).range(0..))]
    pub busy_wait_seconds: i64,
}

/// What the text means.
#[derive(Debug, Serialize)]
pub struct Classified {
    busy_wait: Option<BusyWait>,
    busy_wait_seconds: i64,
    reading: PaneReading,
    startup: String,
    startup_reason: String,
    status_age_seconds: i64,
}

impl Action for Classify {
    const NAME: &'static str = "classify";
    const FORMAT: Format = Format::Json;
    type Output = Classified;

    fn run(self, cx: &Context) -> Result<Classified> {
        let content = match (&self.text_input, &self.file) {
            (Some(text), _) => text.get()?.to_owned(),
            (None, Some(file)) => read(&cx.env().absolute(file))?,
            (None, None) => return Err(Error::usage("give the text with --text-input or --file")),
        };
        let startup = pane::startup_state(&content);
        Ok(Classified {
            busy_wait: pane::busy_wait(&content, Some(self.status_age_seconds), self.busy_wait_seconds, 0),
            busy_wait_seconds: self.busy_wait_seconds,
            reading: pane::read_pane(&content, self.title.as_deref()),
            startup: startup.state.to_string(),
            startup_reason: startup.reason,
            status_age_seconds: self.status_age_seconds,
        })
    }

    fn argv(&self) -> Argv {
        let Self { text_input, file, title, status_age_seconds, busy_wait_seconds } = self;
        Argv::new(Self::NAME)
            .text("--text-input", text_input.as_ref())
            .option("--file", file.as_ref().map(|path| path.display()))
            .option("--title", title.as_ref())
            .option("--status-age-seconds", Some(status_age_seconds))
            .option("--busy-wait-seconds", Some(busy_wait_seconds))
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.text_input.iter_mut().collect()
    }
}

fn read(path: &std::path::Path) -> Result<String> {
    let unreadable = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "check --file; `--text-input -` reads standard input",
            _ => "check its permissions",
        };
        Error::io(format!("cannot read {}", path.display())).hint(hint).caused_by(error)
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::refused(format!("{} is not a regular file", path.display())));
    }
    if metadata.len() > MAX_FILE {
        return Err(Error::refused(format!("{} is larger than 8 MiB", path.display())));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Outcome for Classified {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}: {} ({})", self.reading.state, self.reading.reason, self.reading.rule)?;
        writeln!(out, "startup: {}: {}", self.startup, self.startup_reason)?;
        match &self.busy_wait {
            Some(found) => {
                writeln!(out, "notable: {}: {} (do: {})", found.pattern, found.reason, found.recommended_action)
            }
            None => Ok(()),
        }
    }
}
