//! A worker that waits for a person is told to its manager: one message for each question that is open.
//!
//! What is open is written by the looks at sessions; putting it into the manager's inbox is a step of its own, safe to
//! repeat and to run in several processes. When the question closes before anybody has read of it, the message is taken
//! out of the way. A question of a worker is its own words: the sentence that wakes a manager holds none of them.

use serde::Serialize;
use serde_json::json;

use super::{
    Context, live,
    questions::QuestionView,
    routing::{Route, Word},
    sense::Observer,
};
use crate::{
    base::Result,
    model::session::Registration,
    store::{self, Store, Write, inbox, questions::Asked},
};

/// The word for such a message in an inbox.
pub(super) const SIGNAL: &str = "worker_blocked";

/// A question that was told, as `dispatch` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// The binding it was routed through.
    pub binding_id: String,
    /// Ties together what belongs to it.
    pub correlation_id: String,
    /// Always `pull_required`: it lies in the manager's inbox.
    pub delivery_mode: &'static str,
    /// Nothing was changed.
    pub dry_run: bool,
    /// `blocked`.
    pub kind: &'static str,
    /// The message in the inbox.
    pub notification_id: i64,
    /// The question.
    pub question_id: String,
    /// `worker_blocked`.
    pub signal_type: &'static str,
    /// Always `pull_required`.
    pub state: &'static str,
    /// Name of the manager's session.
    pub target_session: String,
    /// Name of the task.
    pub task: String,
}

/// Looks at every bound worker, so that what it asks is known. What cannot be seen stays as it was.
///
/// # Errors
/// When the ledger fails.
pub(super) fn look(cx: &Context, store: &Store, observer: &mut Observer, go_on: &dyn Fn() -> bool) -> Result<()> {
    let workers = store.read(|r| {
        let bindings = store::bindings::list(r)?;
        let bound = bindings.iter().filter(|binding| binding.is_in_force());
        bound
            .filter_map(|binding| store::sessions::by_id(r, &binding.worker_session_id).transpose())
            .collect::<Result<Vec<_>, store::Error>>()
    })?;
    observer.begin_round();
    let active = workers.iter().filter(|session| session.state == Registration::Active);
    for session in active.take_while(|_| go_on()) {
        let look = observer.look(cx, session);
        live::record_of(cx, store, &session.id, &look)?;
    }
    Ok(())
}

/// Tells the managers of all bound workers what these ask, and queues a word that wakes them; of those for whose task
/// `wanted` says no nothing is touched.
///
/// # Errors
/// When the ledger fails; what was not told stays to be told.
pub(super) fn route_all(
    cx: &Context,
    store: &Store,
    dispatcher_id: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Told>> {
    let mut told = Vec::new();
    for worker_id in store.read(store::questions::bound_workers_that_ask)? {
        told.extend(route(cx, store, &worker_id, dispatcher_id, Word::Queued, wanted)?);
    }
    Ok(told)
}

/// Tells the manager of one worker what that asks, if it is bound.
///
/// # Errors
/// As [`route_all`].
pub(super) fn route(
    cx: &Context,
    store: &Store,
    worker_id: &str,
    dispatcher_id: &str,
    word: Word,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Told>> {
    if store.read(|r| store::questions::untold(r, worker_id))?.is_empty() {
        return Ok(Vec::new());
    }
    store.write(|w| {
        let Some(route) = Route::of(w, worker_id, dispatcher_id, word)? else { return Ok(Vec::new()) };
        if !wanted(&route.binding.task_id) {
            return Ok(Vec::new());
        }
        let untold = store::questions::untold(w.read(), worker_id)?;
        untold.into_iter().map(|asked| tell(cx, w, &route, asked)).collect()
    })
}

fn tell(cx: &Context, w: &Write<'_>, route: &Route<'_>, asked: Asked) -> Result<Told> {
    let now = &cx.moment();
    let correlation_id = cx.fresh_id("dispatch");
    let (worker, task) = (&route.worker.name, &route.task_name);
    let (row, question_id, since) = (asked.id, asked.question.id.clone(), asked.question.since);
    let path = cx.env().path_option(&route.manager.cwd);
    let sentence = format!(
        "Worker {worker} waits for an answer on task {task} and does nothing until it gets one. See what it asks with \
         `conveyor session-answer {worker} --json{path}` and tell the operator; what it asks is its own words. \
         The whole message lies in your inbox."
    );
    let payload = json!({
        "delivery_mode": "pull_required",
        "dispatcher_id": route.dispatcher_id,
        "message": sentence,
        "question": QuestionView::of(asked, now.wall),
        "signal": SIGNAL,
        "source_session": route.worker.name,
        "target_session": route.manager.name,
        "task": route.task_name,
    });
    let item = inbox::NewItem {
        task_id: Some(&route.binding.task_id),
        binding_id: Some(&route.binding.id),
        source_session_id: Some(&route.worker.id),
        target_session_id: &route.manager.id,
        correlation_id: &correlation_id,
        signal_type: SIGNAL,
        source_event_id: None,
        source_event_timestamp: since,
        dedupe_key: &format!("{}:{SIGNAL}:{}:{row}", route.binding.id, route.worker.id),
        command_id: None,
        payload: &payload,
    };
    let notification_id = inbox::deliver(w, &item, now.wall)?;
    store::questions::told(w, row, notification_id, now.wall)?;
    if route.wake {
        route.wake(cx, w, notification_id, &sentence, &correlation_id, now)?;
    }
    Ok(Told {
        binding_id: route.binding.id.clone(),
        correlation_id,
        delivery_mode: "pull_required",
        dry_run: cx.dry_run(),
        kind: "blocked",
        notification_id,
        question_id,
        signal_type: SIGNAL,
        state: "pull_required",
        target_session: route.manager.name.clone(),
        task: route.task_name.clone(),
    })
}
