//! Writes started sessions down.

use serde_json::json;

use super::spawn::{Prepared, Spawned};
use crate::{
    actions::{
        Context,
        discover::running::PaneSeen,
        dispatch,
        session::{Known, ThreadNews, record},
    },
    base::{Error, Result, Timestamp},
    model::session::{Registration, Role, Session},
    store::{self, Write, audit},
};

/// What was on record under the name when the start began.
pub(super) enum Before<'a> {
    /// Nobody, or a session that is gone.
    Free,
    /// This session, which is brought back.
    Resumed {
        session: &'a Session,
        /// Who brings it back.
        by: audit::Actor,
    },
}

/// What was written down.
pub(super) struct Registered {
    pub session: Session,
    /// The commands that a resume has queued again, which had come while its Codex was gone.
    pub requeued: Vec<String>,
}

/// Writes the session down. Starting took a while, so whether the name is free, or the session to resume still as it
/// was, is asked once more.
pub(super) fn register(
    cx: &Context,
    prepared: &Prepared,
    spawned: &Spawned,
    role: Role,
    via: &str,
    before: &Before<'_>,
) -> Result<Registered> {
    if cx.interrupted() {
        return Err(super::interrupted());
    }
    let now = cx.now();
    cx.ledger_or_create()?.write(|w| write_down(cx, w, Started { prepared, spawned, role, via, before }, now))
}

/// A started session that is to be written down.
pub(super) struct Started<'a> {
    pub prepared: &'a Prepared,
    pub spawned: &'a Spawned,
    pub role: Role,
    /// The command that started it.
    pub via: &'a str,
    pub before: &'a Before<'a>,
}

/// The same within a transaction.
pub(super) fn write_down(cx: &Context, w: &Write<'_>, started: Started<'_>, now: Timestamp) -> Result<Registered> {
    let Started { prepared, spawned, role, via, before } = started;
    let plan = &prepared.plan;
    let found = store::sessions::find(w.read(), &plan.name)?;
    match (&before, &found) {
        (Before::Resumed { session, .. }, now) => check_unchanged(now.as_ref(), session)?,
        (Before::Free, Some(known)) => check_free(known, role)?,
        (Before::Free, None) => {}
    }
    let known = Known {
        name: plan.name.clone(),
        role,
        thread: ThreadNews::Shows(spawned.thread_id.clone()),
        rollout: None,
        process: Some(spawned.process),
        pane: Some(PaneSeen {
            socket: spawned.pane.socket.clone(),
            session_name: spawned.pane.session_name.clone(),
            id: spawned.pane.pane,
            process: spawned.process,
        }),
        cwd: Some(plan.cwd.display().to_string()),
        tmux_session: None,
        codex_app_thread_id: None,
        codex_app_thread_title: None,
    };
    let mut session = record(cx, w, known, (cx.fresh_id("session"), cx.fresh_id("session-token")), now)?;
    session.tmux_owned = true;
    let rights = (plan.sandbox.map(|it| it.to_string()), plan.approval.map(|it| it.to_string()), plan.model.clone());
    if plan.resume.is_some() {
        // What is not set anew stays as the thread has it.
        session.sandbox = rights.0.or(session.sandbox);
        session.approval = rights.1.or(session.approval);
        session.model = rights.2.or(session.model);
    } else {
        (session.sandbox, session.approval, session.model) = rights;
    }
    session.codex_version = Some(spawned.codex_version.to_string());
    session.codex_home = spawned.codex_home.as_ref().map(|home| home.display().to_string());
    session.codex_session_path = None;
    session.last_ingest_offset = None;
    session.resumed_at = plan.resume.is_some().then_some(now);
    store::sessions::save(w, &session)?;
    store::sensors::forget(w, &session.id)?;
    match (&spawned.thread_id, &spawned.rollout) {
        (Some(thread), Some(rollout)) => {
            session.codex_session_path = Some(rollout.display().to_string());
            store::sessions::save(w, &session)?;
            store::rollouts::adopt(w, &session.id, thread, &rollout.display().to_string(), now)?;
        }
        _ => store::rollouts::leave(w, &session.id, now)?,
    }
    let requeued = match before {
        Before::Resumed { by, .. } => dispatch::queue_again(w, &session, *by, &cx.moment())?,
        Before::Free => Vec::new(),
    };
    if let (Some(start), Some(home)) = (&spawned.server_start, &session.codex_home) {
        store::server_starts::note(w, home, start.as_ref().err().map(String::as_str), now)?;
    }
    let about = audit::About { task_id: None, session_id: Some(&session.id) };
    let payload = json!({
        "approval": plan.approval,
        "cwd": session.cwd,
        "name": session.name,
        "sandbox": plan.sandbox,
        "tmux_pane_id": session.tmux_pane_id,
        "tmux_session": session.tmux_session,
        "trust_accepted": spawned.trust_accepted,
        "via": via,
        "without_server": spawned.without_server,
        "writable_roots": plan.writable,
    });
    audit::append(w, now, cx.actor(), "session_started", about, &payload)?;
    Ok(Registered { session, requeued })
}

/// A name can be used when nobody has it, or its session is gone.
pub(super) fn check_free(known: &Session, role: Role) -> Result<()> {
    if known.role != role {
        return Err(Error::conflict(format!(
            "session name \"{}\" already exists with role \"{}\"",
            known.name, known.role
        )));
    }
    if known.state == Registration::Active {
        return Err(Error::conflict(format!(
            "a session named \"{}\" is already registered; choose a different name",
            known.name
        ))
        .hint(format!(
            "`conveyor resume {0}` brings a dead one back, `conveyor stop {0}` ends a live one",
            known.name
        )));
    }
    Ok(())
}

/// Refuses a session that somebody else has brought back, moved or replaced since `seen`.
fn check_unchanged(now: Option<&Session>, seen: &Session) -> Result<()> {
    let place = |s: &Session| (s.id.clone(), s.tmux_pane_id.clone(), s.pane_pid, s.codex_session_id.clone());
    if now.is_some_and(|now| place(now) == place(seen)) {
        return Ok(());
    }
    Err(Error::conflict(format!("session \"{}\" was changed by somebody else meanwhile", seen.name)))
}
