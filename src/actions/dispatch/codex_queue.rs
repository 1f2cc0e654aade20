//! Codex's own queue as a way to a session that lives in its terminal, without the background server.
//!
//! A message is put into the queue of the session's thread through a server of our own. The session takes it when its
//! turn has ended, an idle one within some ten seconds, and nothing is typed. What lies in the queue can be taken back
//! with proof, and has to be: it outlives the session, and whoever resumes the thread days later would get it at once.
//! See decision 0017.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    actions::{Context, ingest, sense},
    base,
    model::{codex::CodexVersion, progress::EndKind, session::Session},
    ports::{
        codex_cli::{CodexCli, find_codex},
        codex_server::{Delivery, Outcome, QueuedMessage, Refusal, ServerError, ServerLink, Timeouts},
        process::LockState,
    },
    store,
};

/// A server of our own that nobody needed for so long is ended, in milliseconds: it takes some 130 MB.
const UNUSED_AFTER: i64 = 20_000;
/// A session whose queue did not take a message, or did not hand it on, gets its messages another way for so long.
const RESTS: i64 = 60_000;
/// An idle session looks into its queue about every ten seconds.
const IDLE_LOOKS: i64 = 13_000;
/// A turn shows the message that it began with at once, or when it has compacted the context: within so long.
const AWAITED: i64 = 600_000;
/// Starts of our server that may fail, one after the other, before another way is taken.
const STARTS: u32 = 2;
/// Starts after which what only the queue can tell is not waited for any more.
const STARTS_IN_VAIN: u32 = 4;

/// The queues of sessions, and our own servers that reach them, kept between passes.
#[derive(Default)]
pub(super) struct Queues {
    links: BTreeMap<PathBuf, Link>,
    /// By Codex home: the starts that have failed since the last one that did not.
    failed_starts: BTreeMap<PathBuf, FailedStarts>,
    /// By session: until when it gets nothing through its queue, in milliseconds since the boot.
    resting: BTreeMap<String, i64>,
    /// By command: since when it waits although its session is idle.
    waiting_for_an_idle_one: BTreeMap<String, i64>,
    /// By command: since when the queue does not have it, and the turn that may have begun with it does not show it.
    awaited: BTreeMap<String, i64>,
    /// By command: when its queue was last looked into while a turn was open.
    looked_behind_turn: BTreeMap<String, i64>,
}

struct Link {
    server: Box<dyn ServerLink>,
    used_at: i64,
}

/// Starts that failed, one after the other. Each may take seconds in which nobody else is served.
struct FailedStarts {
    times: u32,
    /// No other is tried before, in milliseconds since the boot.
    until: i64,
    why: String,
}

impl FailedStarts {
    /// How long the next start waits: two seconds, a minute, then twice as long each time, up to ten minutes.
    fn pause(times: u32) -> i64 {
        match times {
            0 | 1 => 2_000,
            more => 60_000_i64.saturating_mul(1 << (more - 2).min(4)).min(600_000),
        }
    }
}

/// What a session's queue can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usable {
    /// A turn is open: the message is taken when it has ended.
    pub is_busy: bool,
}

/// What became of taking a message back.
#[derive(Debug)]
pub(super) enum Recalled {
    /// It was in the queue and is not any more: the session does not get it.
    Back,
    /// The queue does not have it: it was taken, or never came there.
    NotThere,
    /// Nobody can tell now.
    Unsure(ServerError),
}

/// Whether somebody works on a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// A process holds its writer lock.
    Somebody,
    /// Nobody does.
    Nobody,
    /// It cannot be seen.
    Unseen,
}

impl Queues {
    /// Whether the session takes messages from its queue: its Codex has one, a process holds its thread, it has a
    /// rollout, and its last turn was not cut off, after which Codex leaves the queue alone until another has ended.
    pub(super) fn usable(&self, cx: &Context, session: &Session) -> Option<Usable> {
        let thread = session.codex_session_id.as_deref()?;
        let version: CodexVersion = session.codex_version.as_deref()?.parse().ok()?;
        let now = cx.moment().uptime;
        let home = sense::codex_home(cx, session).unwrap_or_default();
        let is_out_of_reach =
            self.failed_starts.get(&home).is_some_and(|failed| failed.times >= STARTS && now < failed.until);
        let rests = is_out_of_reach || self.resting.get(&session.id).is_some_and(|until| now < *until);
        if rests || !cx.env().codex_queue || !version.has_queue() || holder(cx, session, thread) != Holder::Somebody {
            return None;
        }
        let ledger = cx.ledger().ok()?;
        // What was not read yet says nothing about its turns. One that cannot be read now is judged by what was.
        let _ = ingest::ingest_while(cx, &ledger, session, &|| true);
        let cursor = ledger.read(|r| store::rollouts::current(r, &session.id)).ok()??;
        if cursor.thread_id != thread || cursor.next_offset == 0 {
            return None;
        }
        let progress = cursor.progress;
        let was_cut_off = progress.last_end.is_some_and(|end| end.kind == EndKind::Aborted);
        match progress.open_turn {
            Some(_) => Some(Usable { is_busy: true }),
            None if was_cut_off => None,
            None => Some(Usable { is_busy: false }),
        }
    }

    /// Makes sure that our server is there, before a try is recorded that needs it.
    pub(super) fn prepare(&mut self, cx: &Context, session: &Session) -> Result<(), ServerError> {
        self.link(cx, session).map(drop)
    }

    /// Why no server of ours reaches the session's queue at present; none when nothing is known against it.
    pub(super) fn out_of_reach(&self, cx: &Context, session: &Session) -> Option<&str> {
        let home = sense::codex_home(cx, session).unwrap_or_default();
        self.failed_starts.get(&home).map(|failed| failed.why.as_str())
    }

    /// True when so many starts have failed that there is no hope of reaching the session's queue.
    pub(super) fn is_given_up(&self, cx: &Context, session: &Session) -> bool {
        let home = sense::codex_home(cx, session).unwrap_or_default();
        self.failed_starts.get(&home).is_some_and(|failed| failed.times >= STARTS_IN_VAIN)
    }

    /// Puts a message into the queue of the session's thread, unless it lies there already. None when `go_on`, which is
    /// asked right before that, says no.
    pub(super) fn give(
        &mut self,
        cx: &Context,
        session: &Session,
        id: &str,
        text: &str,
        go_on: &dyn Fn() -> base::Result<bool>,
    ) -> base::Result<Option<Outcome<QueuedMessage>>> {
        let thread = session.codex_session_id.clone().unwrap_or_default();
        let outcome = match self.find(cx, session, &thread, id) {
            Ok(Some(entry)) => Outcome::Accepted(entry),
            Ok(None) => match self.link(cx, session) {
                Ok(_) if !go_on()? => return Ok(None),
                Ok(link) => link.queue_add(&Delivery { thread: &thread, text, client_id: id }),
                Err(error) => Outcome::Refused(Refusal::NotSent(error)),
            },
            Err(error) => Outcome::Refused(Refusal::NotSent(error)),
        };
        match &outcome {
            // How long it waits counts from here on, also when it was here before.
            Outcome::Accepted(_) => drop(self.waiting_for_an_idle_one.remove(id)),
            Outcome::Refused(Refusal::NotSent(_)) => self.forget(cx, session),
            Outcome::Refused(_) => self.rest(cx, session),
            // Ending our server is what makes sure that it does nothing more.
            Outcome::Unknown(_) => self.forget(cx, session),
        }
        Ok(Some(outcome))
    }

    /// The entry of a message in a thread's queue.
    pub(super) fn find(
        &mut self,
        cx: &Context,
        session: &Session,
        thread: &str,
        id: &str,
    ) -> Result<Option<QueuedMessage>, ServerError> {
        let listed = self.link(cx, session)?.queue_list(thread);
        if listed.is_err() {
            self.forget(cx, session);
        }
        let found = listed?.into_iter().find(|entry| entry.client_id == id);
        if found.is_some() {
            self.awaited.remove(id);
        }
        Ok(found)
    }

    /// Takes a message back from a thread's queue.
    pub(super) fn recall(&mut self, cx: &Context, session: &Session, thread: &str, id: &str) -> Recalled {
        let mut recalled = Recalled::NotThere;
        loop {
            let entry = match self.find(cx, session, thread, id) {
                Ok(Some(entry)) => entry,
                Ok(None) => return recalled,
                Err(error) => return Recalled::Unsure(error),
            };
            let removed = match self.link(cx, session) {
                Ok(link) => link.queue_remove(thread, &entry.entry_id),
                Err(error) => return Recalled::Unsure(error),
            };
            match removed {
                Outcome::Accepted(true) => recalled = Recalled::Back,
                // Somebody else was faster: the session, or another dispatcher.
                Outcome::Accepted(false) => return Recalled::NotThere,
                Outcome::Refused(refusal) => return Recalled::Unsure(refused(refusal)),
                Outcome::Unknown(error) => {
                    self.forget(cx, session);
                    return Recalled::Unsure(error);
                }
            }
        }
    }

    /// From now on, for a while, the session gets its messages another way.
    pub(super) fn rest(&mut self, cx: &Context, session: &Session) {
        self.resting.insert(session.id.clone(), cx.moment().uptime.saturating_add(RESTS));
    }

    /// True when a message waits for longer than an idle session lets one wait. `is_idle` is what is seen now.
    pub(super) fn waits_in_vain(&mut self, cx: &Context, id: &str, is_idle: bool) -> bool {
        if !is_idle {
            self.waiting_for_an_idle_one.remove(id);
            return false;
        }
        let now = cx.moment().uptime;
        now - *self.waiting_for_an_idle_one.entry(id.to_owned()).or_insert(now) >= IDLE_LOOKS
    }

    /// Whether a message that the queue does not have was looked for in vain behind an open turn for so long that the turn
    /// will hardly show it any more.
    pub(super) fn is_awaited_in_vain(&mut self, cx: &Context, id: &str) -> bool {
        let now = cx.moment().uptime;
        now - *self.awaited.entry(id.to_owned()).or_insert(now) >= AWAITED
    }

    /// Whether a message's queue is to be looked into although a turn is open, which is done `every` so many milliseconds.
    pub(super) fn is_to_be_looked_for(&mut self, cx: &Context, id: &str, every: i64) -> bool {
        let now = cx.moment().uptime;
        let last = self.looked_behind_turn.entry(id.to_owned()).or_insert(now);
        let is_due = now - *last >= every;
        if is_due {
            *last = now;
        }
        is_due
    }

    /// Ends servers that nobody needed of late and forgets what is over.
    pub(super) fn tidy(&mut self, cx: &Context) {
        let now = cx.moment().uptime;
        self.links.retain(|_, link| now - link.used_at < UNUSED_AFTER);
        self.resting.retain(|_, until| now < *until);
        // Nobody waits in vain for an hour: by then it was taken back.
        self.waiting_for_an_idle_one.retain(|_, since| now - *since < 3_600_000);
        self.awaited.retain(|_, since| now - *since < 3_600_000);
        self.looked_behind_turn.retain(|_, at| now - *at < 3_600_000);
    }

    /// The server of our own for the session's Codex home, started when there is none. When that failed of late it is
    /// not tried again so soon: the answer is the failure.
    fn link(&mut self, cx: &Context, session: &Session) -> Result<&mut dyn ServerLink, ServerError> {
        let home = sense::codex_home(cx, session);
        let now = cx.moment().uptime;
        let key = home.clone().unwrap_or_default();
        let link = match self.links.entry(key.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                if let Some(failed) = self.failed_starts.get(&key).filter(|failed| now < failed.until) {
                    return Err(unusable(failed.why.clone()));
                }
                match start(cx, home) {
                    Ok(server) => {
                        self.failed_starts.remove(&key);
                        free.insert(Link { server, used_at: now })
                    }
                    Err(error) => {
                        let times = self.failed_starts.get(&key).map_or(1, |failed| failed.times.saturating_add(1));
                        let until = cx.moment().uptime.saturating_add(FailedStarts::pause(times));
                        self.failed_starts.insert(key, FailedStarts { times, until, why: error.to_string() });
                        return Err(error);
                    }
                }
            }
        };
        link.used_at = now;
        Ok(&mut *link.server)
    }

    /// Ends the server of the session's Codex home; the next call starts another.
    fn forget(&mut self, cx: &Context, session: &Session) {
        self.links.remove(&sense::codex_home(cx, session).unwrap_or_default());
    }
}

fn start(cx: &Context, codex_home: Option<PathBuf>) -> Result<Box<dyn ServerLink>, ServerError> {
    let program =
        find_codex(cx.env().path.as_deref(), cx.env().codex.as_deref()).map_err(|error| unusable(error.to_string()))?;
    let server = cx.servers().start_own(&CodexCli { program, codex_home }, limits())?;
    match server.version() {
        Some(version) if !version.has_queue() => Err(unusable(format!("codex {version} has no queue"))),
        _ => Ok(server),
    }
}

fn unusable(what: String) -> ServerError {
    ServerError::Io { doing: "starting `codex app-server`", source: io::Error::other(what) }
}

fn refused(refusal: Refusal) -> ServerError {
    match refusal {
        Refusal::NotSent(error) => error,
        Refusal::TooOld { method } => ServerError::TooOld { method },
        other => ServerError::Io { doing: "taking a message back", source: io::Error::other(format!("{other:?}")) },
    }
}

/// Whether a process holds the thread, by Codex's writer lock. Versions without such locks are not seen.
pub(super) fn holder(cx: &Context, session: &Session, thread: &str) -> Holder {
    let Some(home) = sense::codex_home(cx, session).filter(|_| uuid::Uuid::try_parse(thread).is_ok()) else {
        return Holder::Unseen;
    };
    match cx.processes().lock_state(&writer_lock(&home, thread)) {
        Ok(LockState::Held(_)) => Holder::Somebody,
        Ok(LockState::Free | LockState::Missing) => Holder::Nobody,
        Err(_) => Holder::Unseen,
    }
}

fn writer_lock(codex_home: &Path, thread: &str) -> PathBuf {
    codex_home.join("thread-writer-locks").join(format!("{thread}.lock"))
}

/// Starting takes some tenths of a second, on a busy machine seconds.
fn limits() -> Timeouts {
    Timeouts { connect: Duration::from_secs(8), call: Duration::from_secs(5) }
}
