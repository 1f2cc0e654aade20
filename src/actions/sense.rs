//! One look at a session through every live sensor: its pane, its process, Codex's server.
//!
//! A look never fails: what cannot be seen becomes a reading that says so. Nothing is typed or pressed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Context,
    discover::running::{self, Held},
    questions,
    screens::{PaneSeen, Screens},
};
use crate::{
    base::Timestamp,
    model::{
        pane::PaneReading,
        question::Question,
        session::Session,
        state::{Condition, PANE_GONE, Readiness, Reading, Source},
    },
    ports::{
        codex_server::{ServerError, ServerLink, ThreadStatus, Timeouts},
        process::{Liveness, LockState, ProcessId},
        tmux::{PaneId, PaneInfo, TmuxError},
    },
    store::sensors::{Detail, SensorRow},
};

/// A server that did not answer is left alone this long.
const SERVER_PAUSE_MILLIS: i64 = 5_000;

/// Walking the process table costs milliseconds, so it is done this seldom for each session.
const FILES_EVERY_MILLIS: i64 = 3_000;

/// A list of panes that is older is asked for again: other sessions of the round have taken their time.
const LISTED: Duration = Duration::from_millis(500);

/// What was seen of one session.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// The sensors' words, to be stored.
    pub rows: Vec<SensorRow>,
    /// The thread id that the pane shows.
    pub thread_id: Option<String>,
    /// The visible screen, as tmux printed it.
    pub screen: Option<String>,
    /// What the screen says.
    pub pane: Option<PaneReading>,
    /// The rollout that Codex's server names for the thread.
    pub rollout: Option<PathBuf>,
    /// What the open files of its processes tell, when they were looked at.
    pub held: Option<Held>,
    /// What it asks of a person; none when that could not be seen.
    pub questions: Option<Vec<Question>>,
}

/// Looks at sessions, keeping connections and listings between them.
#[derive(Default)]
pub struct Observer {
    files_due: BTreeMap<String, Timestamp>,
    servers: BTreeMap<PathBuf, Server>,
    panes: BTreeMap<Option<String>, Listed>,
    screens: Screens,
    /// Who is whose child, as listed in this round.
    parents: Option<Vec<(u32, u32)>>,
}

/// The panes of a tmux server at one moment. What a kept screen says is as old as the list that confirms it.
struct Listed {
    at: Timestamp,
    taken: Instant,
    panes: Result<Vec<PaneInfo>, TmuxError>,
}

struct Server {
    link: Option<Box<dyn ServerLink>>,
    retry_at: Timestamp,
}

impl Observer {
    /// Forgets the listings of panes and processes, so that the next look asks again.
    pub(super) fn begin_round(&mut self) {
        self.panes.clear();
        self.parents = None;
        self.screens.begin_round();
    }

    /// One look.
    pub(super) fn look(&mut self, cx: &Context, session: &Session) -> Look {
        let mut look = Look::default();
        self.look_at_pane(cx, session, &mut look);
        look_at_process(cx, session, &mut look);
        self.look_at_files(cx, session, &mut look);
        let status = self.look_at_server(cx, session, &mut look);
        look.questions = questions::seen(cx, session, &look, status.as_ref());
        look
    }

    fn look_at_pane(&mut self, cx: &Context, session: &Session, look: &mut Look) {
        let Some(pane_id) = session.tmux_pane_id.as_deref().and_then(|id| id.parse::<PaneId>().ok()) else {
            return;
        };
        let tmux = cx.tmux(session.tmux_socket.as_deref());
        // A server that does not answer is not asked again in this round: others wait.
        let is_fresh = |listed: &Listed| listed.panes.is_err() || listed.taken.elapsed() <= LISTED;
        if !self.panes.get(&session.tmux_socket).is_some_and(is_fresh) {
            let listed = Listed { at: cx.now(), taken: Instant::now(), panes: tmux.panes() };
            if let Ok(panes) = &listed.panes {
                self.screens.renew(&*tmux, panes);
            }
            self.panes.insert(session.tmux_socket.clone(), listed);
        }
        let listed = &self.panes[&session.tmux_socket];
        let now = listed.at;
        let gone = |reason: String| {
            let reading = reading(Source::Screen, Condition::Unknown, PANE_GONE, reason);
            row(session, Source::Screen, now, Some(reading), not_ready())
        };
        let info = match &listed.panes {
            Ok(panes) => panes.iter().find(|info| info.id == pane_id),
            Err(TmuxError::NoServer(_)) => {
                look.rows.push(gone("its tmux server is gone".to_owned()));
                return;
            }
            Err(error) => {
                let mut unseen = row(session, Source::Screen, now, None, Detail::default());
                unseen.error = Some(error.to_string());
                look.rows.push(unseen);
                return;
            }
        };
        let Some(info) = info else {
            look.rows.push(gone(format!("its pane {pane_id} is gone")));
            return;
        };
        if session.pane_pid.is_some_and(|pid| pid != i64::from(info.pid)) {
            look.rows.push(gone(format!("its pane {pane_id} holds another process now")));
            return;
        }
        if info.dead {
            let status = info.dead_status.map_or(String::new(), |status| format!(" with status {status}"));
            look.rows.push(gone(format!("the program in its pane {pane_id} has ended{status}")));
            return;
        }
        let info = info.clone();
        match self.screens.look(&*tmux, &session.id, info) {
            Ok(PaneSeen { title, title_sha256, ready, screen, screen_sha256, pane }) => {
                // A title that says nothing replaces what an earlier one said.
                let detail = Detail { content_sha256: Some(title_sha256), ..Detail::default() };
                look.rows.push(row(session, Source::Title, now, title, detail));
                let detail = Detail {
                    ready: Some(ready),
                    prompt: pane.prompt.map(|prompt| prompt.to_string()),
                    notice: pane.notice.clone(),
                    content_sha256: Some(screen_sha256),
                };
                look.rows.push(row(session, Source::Screen, now, Some(pane.reading()), detail));
                look.thread_id.clone_from(&pane.thread_id);
                look.screen = Some(screen);
                look.pane = Some(pane);
            }
            Err(error) => {
                let mut unseen = row(session, Source::Screen, now, None, Detail::default());
                unseen.error = Some(error.to_string());
                look.rows.push(unseen);
            }
        }
    }

    /// The thread that the session's processes work on, when they let us see their files and the pane does not tell.
    fn look_at_files(&mut self, cx: &Context, session: &Session, look: &mut Look) {
        let now = cx.now();
        let due = self.files_due.get(&session.id).is_none_or(|due| *due <= now);
        let recorded = session.pid.zip(session.pid_start).or(session.pane_pid.zip(session.pane_pid_start));
        let Some(process) = recorded.and_then(|(pid, start)| ProcessId::from_stored(pid, start)) else { return };
        if look.thread_id.is_some() || !due || cx.processes().liveness(process) != Liveness::Alive {
            return;
        }
        // The same moment for all, so that one round walks the process table for them together.
        let due = (now.as_millis().div_euclid(FILES_EVERY_MILLIS) + 1) * FILES_EVERY_MILLIS;
        self.files_due.insert(session.id.clone(), Timestamp::from_millis(due));
        let parents = self.parents.get_or_insert_with(|| cx.processes().parents().unwrap_or_default());
        let tree = running::own_tree_among(cx, process.pid, parents);
        look.held = tree.into_iter().find_map(|pid| running::held_by(cx, pid));
    }

    fn look_at_server(&mut self, cx: &Context, session: &Session, look: &mut Look) -> Option<ThreadStatus> {
        let (Some(thread), Some(home)) = (session.codex_session_id.as_deref(), codex_home(cx, session)) else {
            return None;
        };
        let now = cx.now();
        let server = self.servers.entry(home.clone()).or_insert(Server { link: None, retry_at: now });
        if server.link.is_none() && server.retry_at <= now {
            server.link = cx.servers().connect(&home, limits()).ok();
            server.retry_at = Timestamp::from_millis(now.as_millis() + SERVER_PAUSE_MILLIS);
        }
        let link = server.link.as_mut()?;
        match link.read_thread(thread) {
            Ok(info) => {
                look.rollout.clone_from(&info.rollout);
                let reading = info.status.reading(None);
                let detail = Detail { content_sha256: Some(hash(&reading.rule)), ..Detail::default() };
                look.rows.push(row(session, Source::Server, now, Some(reading), detail));
                Some(info.status)
            }
            Err(error) => {
                if !matches!(error, ServerError::Rpc { .. }) {
                    server.link = None;
                }
                let mut unseen = row(session, Source::Server, now, None, Detail::default());
                unseen.error = Some(error.to_string());
                look.rows.push(unseen);
                None
            }
        }
    }
}

/// Without a recorded process, Codex's writer lock of the thread tells whether somebody works on it.
fn look_at_process(cx: &Context, session: &Session, look: &mut Look) {
    let recorded = session.pid.zip(session.pid_start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
    let seen = match recorded {
        Some(process) => process_seen(cx, process),
        None => writer_seen(cx, session, look),
    };
    let Some((rule, reason)) = seen else { return };
    let detail = Detail { content_sha256: Some(hash(rule)), ..Detail::default() };
    let reading = reading(Source::Process, Condition::Unknown, rule, reason);
    look.rows.push(row(session, Source::Process, cx.now(), Some(reading), detail));
}

fn process_seen(cx: &Context, process: ProcessId) -> Option<(&'static str, String)> {
    match cx.processes().liveness(process) {
        Liveness::Alive => Some(("process_alive", format!("its Codex process {} runs", process.pid))),
        Liveness::Dead => Some(("process_gone", format!("its Codex process {} has ended", process.pid))),
        Liveness::Reused => {
            Some(("process_gone", format!("its Codex process has ended; pid {} is another one", process.pid)))
        }
        Liveness::Unknown => None,
    }
}

/// What the thread's writer lock tells; nothing where Codex keeps none.
fn writer_seen(cx: &Context, session: &Session, look: &Look) -> Option<(&'static str, String)> {
    let thread = session.codex_session_id.as_deref().filter(|thread| Uuid::try_parse(thread).is_ok())?;
    let lock = codex_home(cx, session)?.join("thread-writer-locks").join(format!("{thread}.lock"));
    match cx.processes().lock_state(&lock) {
        Ok(LockState::Held(Some(pid))) => Some(("process_alive", format!("process {pid} holds its writer lock"))),
        Ok(LockState::Held(None)) => Some(("process_alive", "its writer lock is held".to_owned())),
        // A pane that was seen speaks for itself: its Codex may have moved on to another thread.
        Ok(LockState::Free) if look.screen.is_some() => None,
        Ok(LockState::Free) => Some(("process_gone", "nobody holds its writer lock".to_owned())),
        Ok(LockState::Missing) | Err(_) => None,
    }
}

/// `CODEX_HOME` of a session: as recorded, else the folder its rollout lies in, else the default.
pub(super) fn codex_home(cx: &Context, session: &Session) -> Option<PathBuf> {
    let of_rollout = |path: &String| {
        let sessions = Path::new(path).ancestors().find(|folder| folder.ends_with("sessions"))?;
        sessions.parent().map(Path::to_owned)
    };
    session
        .codex_home
        .as_ref()
        .map(PathBuf::from)
        .or_else(|| session.codex_session_path.as_ref().and_then(of_rollout))
        .or_else(|| cx.env().codex_home.clone())
}

fn limits() -> Timeouts {
    Timeouts { connect: Duration::from_millis(500), call: Duration::from_secs(1) }
}

fn not_ready() -> Detail {
    Detail { ready: Some(Readiness::NotReady), ..Detail::default() }
}

fn reading(source: Source, condition: Condition, rule: &str, reason: String) -> Reading {
    Reading { source, condition, rule: rule.to_owned(), reason, at: None, byte_offset: None }
}

/// A row whose reading gets the moment of the look; `store` keeps the earlier one while nothing changes.
fn row(session: &Session, source: Source, now: Timestamp, reading: Option<Reading>, detail: Detail) -> SensorRow {
    SensorRow {
        session_id: session.id.clone(),
        source,
        observed_at: now,
        changed_at: now,
        reading: reading.map(|reading| Reading { at: reading.at.or(Some(now)), ..reading }),
        detail,
        error: None,
    }
}

pub(super) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
