//! The sessions of a task that ends: captured before they are stopped, and stopped only while they are its own.

use serde::Serialize;
use serde_json::Value;

use super::{FinishTask, end::Orders};
use crate::{
    actions::{Action as _, Capture, Context, caller::Origin, capture::Captured, launch},
    base::{Error, Result},
    model::{
        session::{Registration, Role, Session},
        task::{Binding, Task},
    },
    store::{self, Read, Store},
};

/// Why a session is left alone.
const ELSEWHERE: &str = "it works on another task now";

/// The sessions that are to be stopped.
#[derive(Default)]
pub(super) struct Ends {
    sessions: Vec<(Role, End)>,
}

enum End {
    /// It was bound to the task, and to nothing else since.
    Its(Box<Session>),
    /// It is not the task's to stop, and why.
    NotIts { name: String, why: String },
}

impl Ends {
    pub(super) fn of(r: Read<'_>, task: &Task, binding: Option<&Binding>, orders: &Orders<'_>) -> Result<Self> {
        let mut ends = Self::default();
        let wanted = [(Role::Worker, orders.end.stop_worker), (Role::Manager, orders.end.stop_manager)];
        for (role, _) in wanted.into_iter().filter(|(_, is_wanted)| *is_wanted) {
            let Some(binding) = binding else {
                ends.sessions
                    .push((role, End::NotIts { name: String::new(), why: "the task had no binding".to_owned() }));
                continue;
            };
            let id = match role {
                Role::Worker => &binding.worker_session_id,
                Role::Manager => &binding.manager_session_id,
            };
            let Some(session) = store::sessions::by_id(r, id)? else { continue };
            let other = store::bindings::active_of_session(r, id)?.filter(|other| other.task_id != task.id);
            let end = match other {
                Some(_) => End::NotIts { name: session.name, why: ELSEWHERE.to_owned() },
                None => End::Its(Box::new(session)),
            };
            ends.sessions.push((role, end));
        }
        Ok(ends)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

/// What became of a session.
#[derive(Debug, Serialize)]
pub(super) struct Stopping {
    /// Why it runs still.
    pub(super) error: Option<String>,
    /// It ran, and was ended.
    pub(super) killed: bool,
    pub(super) name: String,
    /// It is over: stopped now, or gone already.
    pub(super) ok: bool,
    pub(super) role: Role,
    /// What `stop` says.
    pub(super) stop: Option<Value>,
}

/// Stops sessions, each by itself: one that cannot be stopped keeps no other one running.
pub(super) fn stop(cx: &Context, store: &Store, origin: &Origin, ends: Ends) -> Vec<Stopping> {
    ends.sessions.into_iter().map(|(role, end)| stop_one(cx, store, origin, role, end)).collect()
}

fn stop_one(cx: &Context, store: &Store, origin: &Origin, role: Role, end: End) -> Stopping {
    let session = match end {
        End::NotIts { name, why } => {
            return Stopping { error: Some(why), killed: false, name, ok: false, role, stop: None };
        }
        End::Its(session) => *session,
    };
    let name = session.name.clone();
    let left =
        |error: String| Stopping { error: Some(error), killed: false, name: name.clone(), ok: false, role, stop: None };
    // Since it was looked up somebody may have registered it anew, or bound it: its own binding has ended by now.
    let now = store.read(|r| {
        Ok::<_, Error>((store::sessions::by_id(r, &session.id)?, store::bindings::active_of_session(r, &session.id)?))
    });
    let session = match now {
        Ok((_, Some(_))) if !cx.dry_run() => return left(ELSEWHERE.to_owned()),
        Ok((Some(session), _)) => session,
        Ok((None, _)) => return left("it is no longer registered".to_owned()),
        Err(error) => return left(error.to_string()),
    };
    // What is gone already is stopped.
    if session.state == Registration::Gone {
        return Stopping { error: None, killed: false, name, ok: true, role, stop: None };
    }
    match launch::stop_session(cx, store, origin, session) {
        Ok(stopped) => {
            let ok = stopped.is_over();
            let error = (!ok).then(|| "it did not leave, and its pane was not opened for it".to_owned());
            let stop = serde_json::to_value(&stopped).ok();
            Stopping { error, killed: stopped.was_ended(), name, ok, role, stop }
        }
        Err(error) => Stopping { error: Some(error.to_string()), killed: false, name, ok: false, role, stop: None },
    }
}

/// What the sessions showed before they were stopped. What is kept for ever is how much it was, and its hash.
#[derive(Default)]
pub(super) struct Captures {
    pub(super) captured: Vec<Captured>,
    /// What could not be captured, in words.
    pub(super) missing: Vec<String>,
}

impl Captures {
    pub(super) fn of(cx: &Context, ends: &Ends, finish: &FinishTask) -> Self {
        let mut captures = Self::default();
        if ends.is_empty() {
            captures.missing.push("no session is to be stopped".to_owned());
        }
        for (role, end) in &ends.sessions {
            let session = match end {
                End::Its(session) => session,
                End::NotIts { why, .. } => {
                    captures.missing.push(format!("{role}: {why}"));
                    continue;
                }
            };
            let capture = Capture {
                session: session.name.clone(),
                lines: finish.capture_transcript_lines,
                include_content: finish.include_content,
            };
            match capture.run(cx) {
                Ok(captured) if captured.is_empty() => captures.missing.push(format!("{role}: its pane is empty")),
                Ok(captured) => captures.captured.push(captured),
                Err(error) => captures.missing.push(format!("{role}: {error}")),
            }
        }
        captures
    }

    pub(super) fn receipts(&self) -> Vec<Value> {
        self.captured.iter().map(Captured::receipt).collect()
    }
}
