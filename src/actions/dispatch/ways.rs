//! Which way a message takes to a session now, in one place: the first that is there wins, and the reason goes with it.

use std::collections::BTreeMap;

use super::{
    clear,
    codex_queue::Usable,
    panes::{Panes, Ready},
    pass::{self, Orders, Paused},
    servers::{NO_THREAD, Servers, Way},
};
use crate::{
    actions::{Context, live},
    base::{Moment, Result, Timestamp},
    model::{
        delivery::{CommandKind, Phase},
        session::{Registration, Session},
    },
    store::{self, Store, commands::InLine},
};

/// The ways to the sessions whose messages are due, looked at before the transaction: in it nobody is asked anything.
#[derive(Default)]
pub(super) struct Ways(BTreeMap<String, Seen>);

/// One look at a session.
struct Seen {
    looked_for: CommandKind,
    way: Way,
    place: Place,
}

/// Where a session was when it was looked at: a look takes seconds when others' tmux servers hang, and meanwhile it may be
/// brought back elsewhere.
#[derive(PartialEq, Eq)]
struct Place {
    state: Registration,
    pane: (Option<String>, Option<String>, Option<i64>),
    process: (Option<i64>, Option<i64>),
    resumed_at: Option<Timestamp>,
}

impl Place {
    fn of(session: &Session) -> Self {
        Self {
            state: session.state,
            pane: (session.tmux_socket.clone(), session.tmux_pane_id.clone(), session.pane_pid),
            process: (session.pid, session.pid_start),
            resumed_at: session.resumed_at,
        }
    }
}

impl Ways {
    /// None when nothing is queued, or `go_on` says no.
    pub(super) fn look(
        cx: &Context,
        store: &Store,
        servers: &mut Servers,
        orders: &Orders,
        now: &Moment,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<Self>> {
        // Only the first in a session's line can move now, or holds it.
        let (rows, paused) =
            store.read(|r| Ok::<_, store::Error>((store::commands::in_line(r, now, 1)?, Paused::of(r)?)))?;
        let in_flight = pass::in_flight(&rows);
        let mut ways = Self::default();
        let any = rows.iter().any(|row| row.phase == Phase::Queued);
        for row in rows {
            // Each look may take seconds.
            if !go_on() {
                return Ok(None);
            }
            if !in_flight.contains(&row.target_session_id)
                && !ways.0.contains_key(&row.target_session_id)
                && pass::is_wanted(orders, &row)
                && !pass::waits(&row, &paused)
                && let Some(session) = store.read(|r| store::sessions::by_id(r, &row.target_session_id))?
            {
                let (session, way) = way(cx, store, servers, session, row.kind);
                ways.note(&session, row.kind, way);
            }
        }
        Ok(any.then_some(ways))
    }

    /// Takes down what was seen of a session for a command of this kind.
    pub(super) fn note(&mut self, session: &Session, looked_for: CommandKind, way: Way) {
        self.0.insert(session.id.clone(), Seen { looked_for, way, place: Place::of(session) });
    }

    /// The way that was seen for a command like this one, if its target is still where it was seen: a command of Codex and
    /// a message may take different ones.
    pub(super) fn to(&self, row: &InLine, target: Option<&Session>) -> Option<&Way> {
        let seen = self.0.get(&row.target_session_id)?;
        let is_there = target.is_some_and(|target| Place::of(target) == seen.place);
        (is_there && seen.looked_for.control() == row.kind.control()).then_some(&seen.way)
    }
}

/// The way to a session, and the session as it was seen: whose pane shows another thread by now is followed first.
fn way(cx: &Context, store: &Store, servers: &mut Servers, session: Session, kind: CommandKind) -> (Session, Way) {
    if session.state != Registration::Active {
        return (session, Way::Inbox("it is gone"));
    }
    let session = if session.tmux_pane_id.is_some() && !cx.dry_run() {
        // Others wait: a tmux server that does not answer is not asked at length.
        if let Some(why) = servers.panes.is_slow(cx, session.tmux_socket.as_deref()) {
            return (session, Way::Later(why));
        }
        match live::refresh(cx, store, session.clone()) {
            Ok((session, _)) => session,
            // It may show another thread than the one on record.
            Err(error) => return (session, Way::Later(error.to_string())),
        }
    } else {
        session
    };
    let way = choose(cx, servers, &session, kind);
    (session, way)
}

/// A session after a fresh look; as it is on record when that cannot be had, or its tmux server keeps others waiting.
pub(super) fn refreshed(cx: &Context, store: &Store, panes: &mut Panes, session: Session) -> Session {
    if session.tmux_pane_id.is_some() && panes.is_slow(cx, session.tmux_socket.as_deref()).is_some() {
        return session;
    }
    live::refresh(cx, store, session.clone()).map_or(session, |(now, _)| now)
}

/// The order of the ways: Codex's server where it has the thread; else Codex's own queue, if the session takes from it;
/// else the session's pane, if it can be typed into; else the inbox, which is always there. A compaction is never put
/// into the queue, from which it would come as a message. `/clear` is typed: only a terminal moves on to another thread.
pub(super) fn choose(cx: &Context, servers: &mut Servers, session: &Session, kind: CommandKind) -> Way {
    if session.codex_session_id.is_none() {
        // Nothing would prove whose record a message is in.
        return Way::Inbox(NO_THREAD);
    }
    if kind == CommandKind::RequestWorkerClear {
        return servers.panes.way(cx, session).unwrap_or(Way::Inbox(clear::NO_PANE));
    }
    match servers.way(cx, session) {
        Way::Inbox(why) => {
            let is_message = kind != CommandKind::RequestWorkerCompact;
            match is_message.then(|| servers.queues.usable(cx, session)).flatten() {
                Some(Usable { is_busy }) => Way::Queue { is_busy },
                None => match servers.panes.way(cx, session).unwrap_or(Way::Inbox(why)) {
                    Way::Typed(ready) if is_message => {
                        let not_queued = servers.queues.out_of_reach(cx, session).map(str::to_owned);
                        Way::Typed(Box::new(Ready { not_queued, ..*ready }))
                    }
                    way => way,
                },
            }
        }
        way @ (Way::Server { .. } | Way::Queue { .. } | Way::Later(_) | Way::Typed(_)) => way,
    }
}
