//! Which way a message takes to a session now, in one place: the first that is there wins, and the reason goes with it.

use super::{
    clear,
    codex_queue::Usable,
    panes::{Panes, Ready},
    servers::{NO_THREAD, Servers, Way},
};
use crate::{
    actions::{Context, live},
    model::{
        delivery::CommandKind,
        session::{Registration, Session},
    },
    store::Store,
};

/// The way to a session: whose pane shows another thread by now is followed first.
pub(super) fn way(cx: &Context, store: &Store, servers: &mut Servers, session: Session, kind: CommandKind) -> Way {
    if session.state != Registration::Active {
        return Way::Inbox("it is gone");
    }
    let session = if session.tmux_pane_id.is_some() && !cx.dry_run() {
        // Others wait: a tmux server that does not answer is not asked at length.
        if let Some(why) = servers.panes.is_slow(cx, session.tmux_socket.as_deref()) {
            return Way::Later(why);
        }
        match live::refresh(cx, store, session) {
            Ok((session, _)) => session,
            // It may show another thread than the one on record.
            Err(error) => return Way::Later(error.to_string()),
        }
    } else {
        session
    };
    choose(cx, servers, &session, kind)
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
