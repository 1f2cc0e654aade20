//! `stop`: end a session's Codex properly, then close its tmux session.
//!
//! Closing a pane does not end a turn that Codex's server runs, so Codex is asked to leave: a running turn is
//! interrupted, a dialog is cancelled (which never approves anything), and Ctrl-C on the empty composer ends it.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::json;

use crate::{
    actions::{
        Action, Argv, Context, Outcome,
        caller::{self, Origin},
        fail, lookup,
        sense::Observer,
        supervise::gate,
    },
    base::{Error, Result},
    model::{
        pane::{self, PaneState, Prompt},
        session::{Registration, Session},
        state::{Condition, Source},
        supervision::Deed,
    },
    ports::{
        process::{CodexScope, Liveness, ProcessId, ProcessSignal, Processes},
        tmux::{CaptureOptions, Guard, Key, KeyOutcome, KillOutcome, PaneId, PaneInfo, Tmux, TmuxError},
    },
    store::{self, Store, audit},
    text_enum,
};

/// How long Codex gets to leave by itself.
const PATIENCE: Duration = Duration::from_secs(8);
/// Codex needs a moment to react to a key; a second one in between could mean something else.
const BETWEEN_KEYS: Duration = Duration::from_millis(700);
/// How long a process may take to end after its pane was closed, or after a signal.
const HANG_UP: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// End a session: Codex first, then its tmux session
///
/// A running turn is interrupted. What `start-worker` or `resume` opened is closed; a pane that was only registered stays,
/// with everything else in its tmux session. The record, the history and a binding stay; `resume` brings the session back.
///
/// Example: `conveyor stop w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Stop {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
}

text_enum! {
    /// How the Codex in the pane ended.
    pub enum Ending {
        /// It left when asked.
        Left => "left",
        /// It had ended already.
        AlreadyGone => "already_gone",
        /// It did not leave in time; its pane was closed.
        Closed => "closed",
        /// It did not leave in time, and its pane is not ours to close: nothing was closed, and it stays registered.
        StillThere => "still_there",
        /// The session has no pane; only its record changed.
        NoPane => "no_pane",
    }
}

/// What `stop` did.
#[derive(Debug, Serialize)]
pub struct Stopped {
    /// The approval or question that was open and was cancelled with Esc; its worker did not get what it asked for.
    cancelled: Option<Prompt>,
    dry_run: bool,
    /// None in a rehearsal, which presses no key.
    ending: Option<Ending>,
    killed_session: bool,
    name: String,
    state: Registration,
    /// What Codex's server says about the thread afterwards; a turn may go on there.
    still_running: Option<bool>,
}

impl Action for Stop {
    const NAME: &'static str = "stop";
    type Output = Stopped;

    fn run(self, cx: &Context) -> Result<Stopped> {
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        let origin = caller::origin(cx, &store)?;
        gate::hold(cx, &store, &origin, Deed::Stop, &session)?;
        stop(cx, &store, &origin, session)
    }

    fn argv(&self) -> Argv {
        let Self { session } = self;
        Argv::new(Self::NAME).end_of_options().word(session)
    }
}

/// Stops a session that `origin` may stop, and says so in the audit trail.
///
/// # Errors
/// When tmux fails, or nothing proves that the pane is that of the session.
pub(in crate::actions) fn stop(cx: &Context, store: &Store, origin: &Origin, session: Session) -> Result<Stopped> {
    let mut cancelled = None;
    let (ending, killed_session) = match cx.dry_run() {
        true => (None, false),
        false => end(cx, &session, &mut cancelled).map(|(ending, killed)| (Some(ending), killed))?,
    };
    let still_running = if cx.dry_run() { None } else { server_says_active(cx, &session) };
    let now = cx.now();
    let state = if ending == Some(Ending::StillThere) { session.state } else { Registration::Gone };
    store.write(|w| {
        store::sessions::set_state(w, &session.id, state, now)?;
        let about = audit::About { task_id: None, session_id: Some(&session.id) };
        let payload = json!({
            "cancelled": cancelled,
            "ending": ending,
            "killed_session": killed_session,
            "name": session.name,
            "still_running": still_running,
        });
        audit::append(w, now, origin.actor(cx), "session_stopped", about, &payload)?;
        Ok::<_, Error>(())
    })?;
    Ok(Stopped { cancelled, dry_run: cx.dry_run(), ending, killed_session, name: session.name, state, still_running })
}

impl Stopped {
    /// The session runs no more, or was closed.
    pub(in crate::actions) fn is_over(&self) -> bool {
        self.ending != Some(Ending::StillThere)
    }

    /// It ran, and ended because it was asked to.
    pub(in crate::actions) fn was_ended(&self) -> bool {
        matches!(self.ending, Some(Ending::Left | Ending::Closed))
    }
}

/// Ends the session's Codex, and closes what was opened for it alone; notes what was `cancelled` on the way.
fn end(cx: &Context, session: &Session, cancelled: &mut Option<Prompt>) -> Result<(Ending, bool)> {
    let Some(pane) = session.tmux_pane_id.as_deref().and_then(|pane| pane.parse::<PaneId>().ok()) else {
        return Ok((Ending::NoPane, false));
    };
    let stored = |pid: Option<i64>, start: Option<i64>| {
        pid.zip(start).and_then(|(pid, start)| ProcessId::from_stored(pid, start))
    };
    let Some(process) = stored(session.pane_pid, session.pane_pid_start) else {
        return Err(Error::refused(format!("nothing proves that the pane {pane} is that of \"{}\"", session.name))
            .hint(format!(
                "register it again: `conveyor register-{} --name {} --tmux-pane {pane}`",
                session.role, session.name
            )));
    };
    let tmux = cx.tmux(session.tmux_socket.as_deref());
    let Some(info) = present(&*tmux, pane, process)? else {
        return Ok((Ending::AlreadyGone, false));
    };
    // In a pane of ours Codex is the first process; in an adopted one it may have left a shell behind.
    let recorded = stored(session.pid, session.pid_start);
    let codex = recorded.unwrap_or(process);
    // Where nothing tells that it is Codex that has the keyboard, only a screen of Codex does.
    let unread = if recorded.is_some() || session.tmux_owned { Unread::IsCodex } else { Unread::MayBeAnything };
    let runs = || cx.processes().liveness(codex) == Liveness::Alive;
    let programs = programs_of(cx.processes(), process);
    let ending =
        if runs() { leave_while(&*tmux, pane, process, unread, &runs, cancelled)? } else { Ending::AlreadyGone };
    if !session.tmux_owned {
        return Ok((if ending == Ending::Closed { Ending::StillThere } else { ending }, false));
    }
    if ending == Ending::Left {
        // It has said goodbye, which is a moment before its end.
        cx.processes().wait_gone(process, HANG_UP);
    }
    let panes = match tmux.panes() {
        Ok(panes) => panes,
        // Codex was the last one there and took the server along.
        Err(TmuxError::NoServer(_)) => Vec::new(),
        Err(error) => return Err(fail::tmux(error)),
    };
    let alone = panes.iter().filter(|other| other.session == info.session).count() <= 1;
    let closed = if alone { tmux.kill_session(info.session, pane, process) } else { tmux.kill_pane(pane, process) };
    let killed = match closed {
        Ok(KillOutcome::Killed) => true,
        Ok(KillOutcome::Gone | KillOutcome::Changed) | Err(TmuxError::NoServer(_)) => false,
        Err(error) => return Err(fail::tmux(error)),
    };
    make_sure(cx.processes(), &programs);
    Ok((ending, killed && alone))
}

/// The first process of a pane, and below it the programs of Codex that stand for the session. The background server,
/// which the first terminal starts as its child, is none of them.
pub(super) fn programs_of(processes: &dyn Processes, first: ProcessId) -> Vec<ProcessId> {
    let codex = processes.codex_processes(CodexScope::Sessions).unwrap_or_default();
    let tree = processes.tree(first.pid).unwrap_or_default();
    let below = tree.iter().map(|process| process.id).filter(|id| codex.iter().any(|codex| codex.id == *id));
    std::iter::once(first).chain(below.filter(|id| *id != first)).collect()
}

/// Ends programs whose pane is closed: the hangup that this sends can be ignored or come too late.
pub(super) fn make_sure(processes: &dyn Processes, programs: &[ProcessId]) {
    for signal in [ProcessSignal::Terminate, ProcessSignal::Kill] {
        let left = programs.iter().filter(|program| !processes.wait_gone(**program, HANG_UP));
        for program in left.collect::<Vec<_>>() {
            // It may end this moment; a stranger with its pid gets nothing.
            let _ = processes.signal(*program, signal);
        }
    }
}

/// The pane, if it still holds the recorded process, running or dead.
fn present(tmux: &dyn Tmux, pane: PaneId, process: ProcessId) -> Result<Option<PaneInfo>> {
    match tmux.pane(pane) {
        Ok(info) => Ok(info.filter(|info| info.pid == process.pid)),
        Err(TmuxError::NoServer(_)) => Ok(None),
        Err(error) => Err(fail::tmux(error)),
    }
}

/// What stands behind a screen that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// Codex, for its process is known.
    IsCodex,
    /// Perhaps another program.
    MayBeAnything,
}

/// Asks Codex to leave, looking at the screen before each key; no key is pressed once `runs` says no, for what has the
/// keyboard then is somebody else's.
fn leave_while(
    tmux: &dyn Tmux,
    pane: PaneId,
    process: ProcessId,
    unread: Unread,
    runs: &dyn Fn() -> bool,
    cancelled: &mut Option<Prompt>,
) -> Result<Ending> {
    let deadline = Instant::now() + PATIENCE;
    let guard = Guard::process_only(pane, process);
    let mut next_key = Instant::now();
    let mut asked = false;
    while Instant::now() < deadline {
        let gone = if asked { Ending::Left } else { Ending::AlreadyGone };
        if !runs() {
            return Ok(gone);
        }
        let Some(info) = present(tmux, pane, process)?.filter(|info| !info.dead) else {
            return Ok(gone);
        };
        let screen = match tmux.capture(pane, CaptureOptions::default()) {
            Ok(screen) => screen,
            Err(TmuxError::NotFound(_) | TmuxError::NoServer(_)) => return Ok(gone),
            Err(error) => return Err(fail::tmux(error)),
        };
        let seen = pane::read_pane(&screen, Some(&info.title));
        let key = match (seen.state, seen.prompt) {
            (PaneState::Exited, _) => return Ok(gone),
            // Escape interrupts a turn and cancels what belongs to one; it can approve nothing.
            (PaneState::Busy, _) => Some(Key::Escape),
            (PaneState::Waiting, Some(prompt)) if prompt.belongs_to_a_turn() => Some(Key::Escape),
            // Other dialogs are left by Ctrl-C. It clears a draft, and on an empty composer it ends Codex.
            (PaneState::Waiting | PaneState::Idle, _) => Some(Key::CtrlC),
            (PaneState::Unknown, _) => (unread == Unread::IsCodex).then_some(Key::CtrlC),
        };
        if let Some(key) = key
            && Instant::now() >= next_key
        {
            let sent = tmux.guarded_key(&guard, key).map_err(fail::tmux)? == KeyOutcome::Sent;
            // `TaskRunning` is Codex's own answer to our key.
            let open = seen.prompt.filter(|prompt| prompt.belongs_to_a_turn() && *prompt != Prompt::TaskRunning);
            if sent && cancelled.is_none() {
                *cancelled = open;
            }
            asked |= sent;
            next_key = Instant::now() + BETWEEN_KEYS;
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(Ending::Closed)
}

/// Whether Codex's server still runs a turn of the session; none when it does not say.
fn server_says_active(cx: &Context, session: &Session) -> Option<bool> {
    let look = Observer::default().look(cx, session);
    let reading = look.rows.into_iter().find(|row| row.source == Source::Server)?.reading?;
    Some(matches!(reading.condition, Condition::Busy | Condition::Blocked))
}

impl Outcome for Stopped {
    fn exit_code(&self) -> u8 {
        u8::from(self.ending == Some(Ending::StillThere))
    }

    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Some(ending) = self.ending else {
            return writeln!(out, "would stop {}", self.name);
        };
        match ending {
            Ending::Left => writeln!(out, "stopped {}", self.name)?,
            Ending::AlreadyGone => writeln!(out, "{} was not running", self.name)?,
            Ending::Closed => writeln!(out, "stopped {}; it did not leave by itself, its pane was closed", self.name)?,
            Ending::StillThere => {
                writeln!(out, "{} did not leave, and its pane was not opened for it: nothing was closed", self.name)?;
            }
            Ending::NoPane => writeln!(out, "{} has no pane here; it is marked gone", self.name)?,
        }
        if let Some(prompt) = self.cancelled {
            writeln!(out, "it waited for an answer ({prompt}), which was cancelled")?;
        }
        if self.still_running == Some(true) {
            writeln!(out, "Codex's server still runs a turn of it")?;
        }
        Ok(())
    }
}
