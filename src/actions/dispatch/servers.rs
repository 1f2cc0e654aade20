//! The ways to sessions: what a session can take now, and the calls to Codex's background servers that give it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    clear,
    codex_queue::Queues,
    panes::{self, Panes, Ready},
};
use crate::{
    actions::{Context, sense},
    base::Result,
    model::{
        delivery::{CommandKind, Lane},
        session::Session,
    },
    ports::codex_server::{Delivery, Outcome, Refusal, ServerError, ServerLink, TakenBy, ThreadStatus, Timeouts},
};

/// Items among which a message is looked for that should have arrived.
const NEWEST_ITEMS: usize = 400;

/// A server that did not answer in time is left alone this long, in milliseconds.
const SILENCE: i64 = 10_000;
const LEFT_ALONE: &str = "its Codex server did not answer in time, and is left alone for some seconds";

/// Connections, kept between passes.
#[derive(Default)]
pub(super) struct Servers {
    links: BTreeMap<PathBuf, Box<dyn ServerLink>>,
    /// By Codex home: until when a server that did not answer in time is left alone, in milliseconds since the boot.
    silent: BTreeMap<PathBuf, i64>,
    /// Codex's own queues, for sessions that no such server holds.
    pub(super) queues: Queues,
    /// The tmux servers beside them.
    pub(super) panes: Panes,
}

/// The way to a session at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing can be pushed to it: it fetches its messages.
    Inbox(&'static str),
    /// Its server takes a message.
    Server {
        /// A turn is open, and the message goes into it.
        is_busy: bool,
    },
    /// It takes messages from its queue.
    Queue {
        /// A turn is open, and the message is taken when it has ended.
        is_busy: bool,
    },
    /// Its pane's composer takes a text.
    Typed(Box<Ready>),
    /// There is a way, but not now.
    Later(String),
}

/// How a message is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// The server begins a turn with it.
    BeginsATurn,
    /// The server gives it to the turn that is open.
    IntoOpenTurn,
    /// It is put into the session's queue.
    ThroughQueue,
    /// The server has the thread compact its context.
    Compacts,
    /// It is typed into the session's pane.
    Types,
}

impl How {
    /// The lane this is.
    pub(super) fn lane(self) -> Lane {
        match self {
            Self::BeginsATurn | Self::IntoOpenTurn | Self::Compacts => Lane::Server,
            Self::ThroughQueue => Lane::Queue,
            Self::Types => Lane::Tmux,
        }
    }

    /// Why this one is taken.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::BeginsATurn | Self::Compacts => "Codex's server has the session, and it is idle",
            Self::IntoOpenTurn => "Codex's server has the session; it goes into the turn that is open",
            Self::ThroughQueue => {
                "no Codex server holds the session; it takes messages from its queue when no turn runs"
            }
            Self::Types => panes::TYPED,
        }
    }

    /// Where it stands once the call has been answered.
    pub(super) fn taken(self) -> &'static str {
        match self {
            Self::BeginsATurn | Self::IntoOpenTurn => "the server has taken it; the session's rollout is awaited",
            Self::ThroughQueue => super::in_queue::WAITS,
            Self::Types => super::typed::SUBMITTED,
            Self::Compacts => "the server has taken it; a compaction in the session's rollout is awaited",
        }
    }
}

/// What is to be done with a command for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// Push it.
    Push(How),
    /// Put it into the inbox, for this reason.
    Inbox(&'static str),
    /// Wait, for this reason.
    Later(&'a str),
    /// It cannot be done, for this reason.
    Never(&'static str),
}

impl Way {
    /// What it means for a command of this kind.
    pub(super) fn next(&self, kind: CommandKind) -> Next<'_> {
        if kind == CommandKind::RequestWorkerClear {
            return match self {
                Self::Later(why) => Next::Later(why),
                Self::Typed(_) => Next::Push(How::Types),
                Self::Inbox(why) => Next::Never(why.strip_suffix(FETCHES).unwrap_or(why)),
                Self::Server { .. } | Self::Queue { .. } => Next::Never(clear::NO_PANE),
            };
        }
        if kind == CommandKind::RequestWorkerCompact {
            return match self {
                Self::Server { is_busy: false } => Next::Push(How::Compacts),
                Self::Server { is_busy: true } => Next::Later("its turn runs, and compacting would cut it off"),
                Self::Later(why) => Next::Later(why),
                Self::Typed(_) => Next::Push(How::Types),
                Self::Inbox(why) => Next::Never(why.strip_suffix(FETCHES).unwrap_or(why)),
                Self::Queue { .. } => Next::Never("nothing but messages is put into Codex's queue"),
            };
        }
        match self {
            Self::Inbox(why) => Next::Inbox(why),
            Self::Later(why) => Next::Later(why),
            // A word that something waits does not disturb a turn that runs, and is moot when the turn reads the inbox.
            Self::Server { is_busy: true } | Self::Queue { is_busy: true }
                if kind == CommandKind::WorkerTaskComplete =>
            {
                Next::Later("its turn runs")
            }
            Self::Server { is_busy: false } => Next::Push(How::BeginsATurn),
            Self::Server { is_busy: true } => Next::Push(How::IntoOpenTurn),
            Self::Queue { .. } => Next::Push(How::ThroughQueue),
            Self::Typed(_) => Next::Push(How::Types),
        }
    }
}

/// What a server says about a thread.
pub(super) enum Seen {
    /// There is no server.
    NoServer,
    /// There is one, and it does not say.
    Silent(String),
    /// This.
    Thread(ThreadStatus),
}

/// Codes of the answer about a thread that the server does not know.
const UNKNOWN_THREAD: &[i64] = &[-32600, -32602];

/// What the reasons end with for which messages go to the inbox.
const FETCHES: &str = ": it has to fetch its messages";
const NO_SERVER: &str = "no Codex server holds its thread: it has to fetch its messages";
pub(super) const NO_THREAD: &str = "it has no Codex thread yet: it has to fetch its messages";

impl Servers {
    /// Asks what the session's thread does.
    pub(super) fn look(&mut self, cx: &Context, session: &Session) -> Seen {
        let Some(thread) = session.codex_session_id.as_deref() else { return Seen::NoServer };
        let home = sense::codex_home(cx, session).unwrap_or_default();
        if self.silent.get(&home).is_some_and(|until| cx.moment().uptime < *until) {
            return Seen::Silent(LEFT_ALONE.to_owned());
        }
        let link = match self.link(cx, session) {
            Ok(link) => link,
            Err(ServerError::NotRunning { .. }) => return Seen::NoServer,
            Err(error) => return Seen::Silent(self.unanswered(cx, session, &error)),
        };
        match link.read_thread(thread) {
            Ok(info) => Seen::Thread(info.status),
            Err(ServerError::Rpc { code, .. }) if UNKNOWN_THREAD.contains(&code) => {
                Seen::Thread(ThreadStatus::NotLoaded)
            }
            // It has too much to do, or failed: that says nothing about the thread.
            Err(error @ ServerError::Rpc { .. }) => Seen::Silent(error.to_string()),
            Err(error) => {
                self.forget(cx, session);
                Seen::Silent(self.unanswered(cx, session, &error))
            }
        }
    }

    /// The way to a session now.
    pub(super) fn way(&mut self, cx: &Context, session: &Session) -> Way {
        if session.codex_session_id.is_none() {
            return Way::Inbox(NO_THREAD);
        }
        match self.look(cx, session) {
            Seen::NoServer | Seen::Thread(ThreadStatus::NotLoaded) => Way::Inbox(NO_SERVER),
            Seen::Silent(why) => Way::Later(why),
            Seen::Thread(ThreadStatus::Idle | ThreadStatus::SystemError) => Way::Server { is_busy: false },
            Seen::Thread(ThreadStatus::Active { waiting_on_approval: true, .. }) => {
                Way::Later("an approval is open in it".to_owned())
            }
            Seen::Thread(ThreadStatus::Active { waiting_on_user_input: true, .. }) => {
                Way::Later("a question is open in it".to_owned())
            }
            Seen::Thread(ThreadStatus::Active { .. }) => Way::Server { is_busy: true },
            Seen::Thread(ThreadStatus::Other(status)) => Way::Later(format!("its server reports \"{status}\"")),
        }
    }

    /// Gives a message: an idle session begins a turn with it, a busy one takes it into the turn that is open. None when
    /// `go_on`, which is asked right before that, says no.
    pub(super) fn give(
        &mut self,
        cx: &Context,
        session: &Session,
        message: &Message<'_>,
        go_on: &dyn Fn() -> Result<bool>,
    ) -> Result<Option<Outcome<TakenBy>>> {
        let link = match self.link(cx, session) {
            Ok(link) => link,
            Err(error) => return Ok(Some(Outcome::Refused(Refusal::NotSent(error)))),
        };
        let thread = session.codex_session_id.as_deref().unwrap_or_default();
        let delivery = Delivery { thread, text: message.text, client_id: message.id };
        let outcome = if message.is_busy {
            match link.open_turn(thread) {
                Ok(Some(_)) if !go_on()? => return Ok(None),
                Ok(Some(turn)) => link.steer_turn(&delivery, &turn),
                Ok(None) => Outcome::Refused(Refusal::NoOpenTurn),
                Err(error) => Outcome::Refused(Refusal::NotSent(error)),
            }
        } else if go_on()? {
            link.start_turn(&delivery)
        } else {
            return Ok(None);
        };
        if matches!(&outcome, Outcome::Unknown(_) | Outcome::Refused(Refusal::NotSent(_))) {
            self.forget(cx, session);
        }
        Ok(Some(outcome))
    }

    /// Has an idle session compact its context. None when `go_on`, which is asked right before that, says no.
    pub(super) fn compact(
        &mut self,
        cx: &Context,
        session: &Session,
        go_on: &dyn Fn() -> Result<bool>,
    ) -> Result<Option<Outcome<()>>> {
        let link = match self.link(cx, session) {
            Ok(link) => link,
            Err(error) => return Ok(Some(Outcome::Refused(Refusal::NotSent(error)))),
        };
        if !go_on()? {
            return Ok(None);
        }
        let outcome = link.compact_thread(session.codex_session_id.as_deref().unwrap_or_default());
        if matches!(&outcome, Outcome::Unknown(_) | Outcome::Refused(Refusal::NotSent(_))) {
            self.forget(cx, session);
        }
        Ok(Some(outcome))
    }

    /// Whether the session's thread has a message of this id.
    pub(super) fn has(&mut self, cx: &Context, session: &Session, id: &str) -> Result<bool, ServerError> {
        let thread = session.codex_session_id.clone().unwrap_or_default();
        let found = self.link(cx, session)?.find_message(&thread, id, NEWEST_ITEMS);
        if found.is_err() {
            self.forget(cx, session);
        }
        Ok(found?.is_some())
    }

    fn link(&mut self, cx: &Context, session: &Session) -> Result<&mut dyn ServerLink, ServerError> {
        let home = sense::codex_home(cx, session).unwrap_or_default();
        match self.links.entry(home) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(&mut **known.into_mut()),
            std::collections::btree_map::Entry::Vacant(free) => {
                let link = cx.servers().connect(free.key(), limits())?;
                Ok(&mut **free.insert(link))
            }
        }
    }

    /// What a failed call says; a server that did not answer in time is left alone for a while: others are waiting.
    fn unanswered(&mut self, cx: &Context, session: &Session, error: &ServerError) -> String {
        if let (ServerError::Timeout { .. }, Some(home)) = (error, sense::codex_home(cx, session)) {
            self.silent.insert(home, cx.moment().uptime.saturating_add(SILENCE));
        }
        error.to_string()
    }

    /// A connection that failed is made anew.
    fn forget(&mut self, cx: &Context, session: &Session) {
        if let Some(home) = sense::codex_home(cx, session) {
            self.links.remove(&home);
        }
    }
}

/// A message for [`Servers::give`].
pub(super) struct Message<'a> {
    /// Our id of it, which comes back in the rollout.
    pub id: &'a str,
    /// The text.
    pub text: &'a str,
    /// A turn was open when the way was chosen.
    pub is_busy: bool,
}

fn limits() -> Timeouts {
    Timeouts { connect: Duration::from_secs(1), call: Duration::from_secs(5) }
}
