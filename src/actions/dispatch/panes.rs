//! tmux panes as a way to sessions: whether a session's pane can be typed into, and whether its composer can take a
//! text now. Looks only; what types is in `typed`.

use std::{collections::BTreeMap, sync::Arc};

use super::servers::Way;
use crate::{
    actions::Context,
    base::Result,
    model::{
        codex::CodexVersion,
        pane::{DeferReason, EmptyComposer, Look, Steering, composer_text, ready_for_text},
        session::Session,
        typing::{Marker, Sign},
    },
    ports::{
        process::{Liveness, ProcessId},
        tmux::{CaptureOptions, Install, PaneId, PaneInfo, Support, Target, Tmux, TmuxError},
    },
    store,
};

/// A tmux server that did not answer in time is left alone this long, in milliseconds: others are waiting.
const LEFT_ALONE: i64 = 10_000;

/// Why a command takes this lane.
pub(super) const TYPED: &str = "no Codex server holds its thread; it is typed into the session's pane";

const NO_PROCESS: &str = "the process in its pane is not on record: it has to fetch its messages";
const NO_VERSION: &str = "which Codex runs in its pane is not known: it has to fetch its messages";
const OLD_CODEX: &str = "its Codex is older than 0.125, into which nothing is typed: it has to fetch its messages";
const OLD_TMUX: &str = "its tmux is older than 3.2, through which nothing is typed: it has to fetch its messages";
const COUNTED_ON: &str =
    "its pane has counted further than this ledger, which is an old copy then: it has to fetch its messages";
const OTHER_OWNER: &str = "another installation of conveyor types into its pane";
const UNANSWERED: &str = "its tmux server did not answer in time, and is left alone for some seconds";

pub(super) const PANE_GONE: &str = "its pane is gone";
pub(super) const SERVER_GONE: &str = "its tmux server is gone";
pub(super) const OTHER_PROCESS: &str = "its pane holds another process now";
pub(super) const PROGRAM_ENDED: &str = "the program in its pane has ended";
pub(super) const CODEX_ENDED: &str = "its Codex process has ended";
const CODEX_LEFT: &str = "Codex is not running in its pane any more";

/// Whether a message took the inbox because no Codex runs in its session's pane any more.
pub(super) fn is_over(lane_reason: &str) -> bool {
    [PANE_GONE, SERVER_GONE, OTHER_PROCESS, PROGRAM_ENDED, CODEX_ENDED, CODEX_LEFT]
        .iter()
        .any(|why| lane_reason.starts_with(why))
}

/// A pane whose composer can take a text now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ready {
    /// The pane, its process, and our marks.
    pub target: Target,
    /// The tmux server; none is the user's default.
    pub socket: Option<String>,
    /// The Codex in it.
    pub version: CodexVersion,
    /// The empty composer that was seen.
    pub composer: EmptyComposer,
    /// Why the message is not put into Codex's queue, which would be the better way.
    pub not_queued: Option<String>,
}

/// What is at the place where a process was.
pub(super) enum Held {
    /// That process.
    Same(Box<PaneInfo>),
    /// It is gone, and so are the marks of its pane.
    Gone(&'static str),
    /// Nobody can tell now.
    Unseen(String),
}

/// The tmux servers that were slow, each with the time until which it is left alone.
#[derive(Default)]
pub(super) struct Panes {
    slow: BTreeMap<Option<String>, i64>,
}

impl Panes {
    /// The way into a session's pane; none when it has no pane.
    pub(super) fn way(&mut self, cx: &Context, session: &Session) -> Option<Way> {
        let pane: PaneId = session.tmux_pane_id.as_deref()?.parse().ok()?;
        let recorded = session.pane_pid.zip(session.pane_pid_start);
        let Some(process) = recorded.and_then(|(pid, start)| ProcessId::from_stored(pid, start)) else {
            return Some(Way::Inbox(NO_PROCESS));
        };
        Some(match self.look(cx, session, pane, process) {
            Ok(Ok(ready)) => Way::Typed(Box::new(ready)),
            Ok(Err(way)) => way,
            Err(error) => Way::Later(error.to_string()),
        })
    }

    /// The pane with its empty composer, or the way that is left.
    fn look(
        &mut self,
        cx: &Context,
        session: &Session,
        pane: PaneId,
        process: ProcessId,
    ) -> Result<Result<Ready, Way>> {
        let inbox = |why| Ok(Err(Way::Inbox(why)));
        let later = |why: String| Ok(Err(Way::Later(why)));
        let Some(version) = session.codex_version.as_deref().and_then(|version| version.parse().ok()) else {
            return inbox(NO_VERSION);
        };
        if version < CodexVersion::PUSH_FLOOR {
            return inbox(OLD_CODEX);
        }
        let socket = session.tmux_socket.as_deref();
        let info = match self.held(cx, socket, pane, process) {
            Held::Same(info) => info,
            Held::Gone(why) => return inbox(why),
            Held::Unseen(why) => return later(why),
        };
        if codex_has_ended(cx, session) {
            return inbox(CODEX_ENDED);
        }
        let tmux = cx.quick_tmux(socket);
        let supported =
            tmux.server_info().map(|server| server.version.is_some_and(|version| version.support() != Support::TooOld));
        match supported {
            Ok(true) => {}
            Ok(false) => return inbox(OLD_TMUX),
            Err(error) => return later(self.unseen(cx, socket, &error)),
        }
        let screen = match tmux.capture(pane, CaptureOptions { escapes: true, ..CaptureOptions::default() }) {
            Ok(screen) => screen,
            Err(error) => return later(self.unseen(cx, socket, &error)),
        };
        let composer = match ready_for_text(&look(&screen, &info)) {
            Ok(composer) => composer,
            Err(deferral) if deferral.reason == DeferReason::Exited => return inbox(CODEX_LEFT),
            Err(deferral) if deferral.reason == DeferReason::Draft => {
                let left = left_in_composer(cx, &screen)?;
                return later(left.unwrap_or(deferral.sentence));
            }
            Err(deferral) => return later(deferral.sentence),
        };
        // The pane first: what it has counted by now, the ledger has given out before.
        let install = install(cx)?;
        let sign = Sign::Marker(Marker::of_command(""));
        let marks = match tmux.receipt(pane, &install, &sign) {
            Ok(Some(marks)) => marks,
            Ok(None) => return inbox(PANE_GONE),
            Err(error) => return later(self.unseen(cx, socket, &error)),
        };
        if marks.owner.as_deref().is_some_and(|owner| owner != install.as_str()) {
            return later(OTHER_OWNER.to_owned());
        }
        let known = cx.ledger()?.read(store::typed::known_installation)?.map_or(0, |known| known.last_number);
        if marks.staged.max(marks.submitted) > known {
            return inbox(COUNTED_ON);
        }
        let target = Target { pane, process, install };
        Ok(Ok(Ready { target, socket: socket.map(str::to_owned), version, composer, not_queued: None }))
    }

    /// Whether a pane still holds the process that was seen in it.
    pub(super) fn held(&mut self, cx: &Context, socket: Option<&str>, pane: PaneId, process: ProcessId) -> Held {
        let now = cx.moment().uptime;
        if self.slow.get(&socket.map(str::to_owned)).is_some_and(|until| *until > now) {
            return Held::Unseen(UNANSWERED.to_owned());
        }
        let info = match cx.quick_tmux(socket).pane(pane) {
            Ok(Some(info)) => info,
            Ok(None) => return Held::Gone(PANE_GONE),
            Err(TmuxError::NoServer(_)) => return Held::Gone(SERVER_GONE),
            Err(error) => return Held::Unseen(self.unseen(cx, socket, &error)),
        };
        if info.pid != process.pid {
            return Held::Gone(OTHER_PROCESS);
        }
        if info.dead {
            return Held::Gone(PROGRAM_ENDED);
        }
        match cx.processes().liveness(process) {
            Liveness::Dead => Held::Gone(PROGRAM_ENDED),
            Liveness::Reused => Held::Gone(OTHER_PROCESS),
            // Where start times are hidden, the pid in the guard has to do.
            Liveness::Alive | Liveness::Unknown => Held::Same(Box::new(info)),
        }
    }

    /// Whether a look at this server would be in vain, or cost others their time.
    pub(super) fn is_slow(&mut self, cx: &Context, socket: Option<&str>) -> Option<String> {
        let until = self.slow.get(&socket.map(str::to_owned)).copied();
        if until.is_some_and(|until| until > cx.moment().uptime) {
            return Some(UNANSWERED.to_owned());
        }
        match cx.quick_tmux(socket).server_info() {
            Err(error @ TmuxError::Timeout(_)) => Some(self.unseen(cx, socket, &error)),
            Ok(_) | Err(_) => None,
        }
    }

    /// What a failed call says; a server that did not answer is left alone for a while.
    pub(super) fn unseen(&mut self, cx: &Context, socket: Option<&str>, error: &TmuxError) -> String {
        if matches!(error, TmuxError::Timeout(_)) {
            self.slow.insert(socket.map(str::to_owned), cx.moment().uptime + LEFT_ALONE);
        }
        error.to_string()
    }
}

/// What is said of a text of ours that nobody will submit any more, and that is in the way now.
fn left_in_composer(cx: &Context, screen: &str) -> Result<Option<String>> {
    let text = composer_text(screen).unwrap_or_default();
    for marker in Marker::all_in(&text) {
        if let Some(left) = cx.ledger()?.read(|r| store::typed::by_marker(r, marker.as_str()))? {
            let id = left.command_id;
            return Ok(Some(format!(
                "the text of command {id} stands in its composer, not submitted: send it there, or clear it"
            )));
        }
    }
    Ok(None)
}

/// The pane as it is judged whether a text can be put into it. A message waits for the end of a turn.
pub(super) fn look<'a>(screen: &'a str, info: &'a PaneInfo) -> Look<'a> {
    Look {
        screen,
        title: Some(&info.title),
        width: info.size.width,
        height: info.size.height,
        in_mode: info.in_mode,
        dead: info.dead,
        steering: Steering::Waits,
    }
}

/// Whether the recorded Codex process is known to have ended, whatever stands in the pane.
pub(super) fn codex_has_ended(cx: &Context, session: &Session) -> bool {
    let recorded = session.pid.zip(session.pid_start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
    recorded.is_some_and(|codex| matches!(cx.processes().liveness(codex), Liveness::Dead | Liveness::Reused))
}

/// The marks of this ledger, which it gets when they are first asked for.
pub(super) fn install(cx: &Context) -> Result<Install> {
    let store = cx.ledger_to_change()?;
    let known = store.read(store::typed::known_installation)?;
    let installation = match known {
        Some(installation) => installation,
        None => {
            let fresh: String = cx.fresh_id("i").chars().filter(char::is_ascii_alphanumeric).take(32).collect();
            store.write_durably(|w| store::typed::installation(w, &fresh.to_ascii_lowercase()))?
        }
    };
    Install::new(&installation.name)
        .map_err(|error| crate::base::Error::refused(format!("the ledger's own name for panes is damaged: {error}")))
}

/// The tmux server of a socket, for a caller that has others to serve.
pub(super) fn server(cx: &Context, socket: Option<&str>) -> Arc<dyn Tmux> {
    cx.quick_tmux(socket)
}
