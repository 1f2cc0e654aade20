//! The blindness of a manager: from the moment at which its worker has proposed what comes next until it has proposed itself,
//! no command shows a session what the worker says.
//!
//! Who hides which session it is may be the manager. The worker itself and a person see everything.

use serde_json::{Value, json};

use crate::{
    actions::{
        Context,
        caller::{self, Origin},
    },
    base::{Error, Kind, Result},
    model::task::{Binding, Task},
    store::{self, Read, Store},
};

/// A round in which only the worker has proposed, and the task that it belongs to.
#[derive(Debug, Clone)]
pub(in crate::actions) struct Round {
    task: String,
    correlation_id: String,
}

/// The open round of whatever this session works at, or has worked at, for `asker`; none is anybody.
///
/// Who supervises the session in another task, and never did in the round's, is not the one who has to propose there.
fn of_worker(r: Read<'_>, session_id: &str, asker: Option<&str>) -> Result<Option<Round>> {
    let bindings = store::bindings::list(r)?;
    let of_this = |binding: &&Binding| binding.worker_session_id == session_id;
    for binding in bindings.iter().filter(of_this) {
        let Some(task) = store::tasks::find(r, &binding.task_id)?.filter(|task| task.state.is_open()) else { continue };
        let Some(round) = of_task(r, &task)? else { continue };
        let is_asker = |one: &&Binding| asker == Some(&*one.manager_session_id);
        let has_supervised = bindings.iter().filter(is_asker).any(|one| one.task_id == task.id);
        let elsewhere = bindings.iter().filter(is_asker).filter(of_this).any(|one| one.is_in_force());
        if has_supervised || !elsewhere {
            return Ok(Some(round));
        }
    }
    Ok(None)
}

fn of_task(r: Read<'_>, task: &Task) -> Result<Option<Round>> {
    let open = store::continuations::open_round(r, &task.id)?;
    Ok(open.map(|correlation_id| Round { task: task.name.clone(), correlation_id }))
}

/// The round that keeps whoever asks from seeing what this session says; none when nothing does.
pub(in crate::actions) fn holds(cx: &Context, store: &Store, session_id: &str) -> Result<Option<Round>> {
    // Rounds are rare, and telling who asks is not cheap.
    if store.read(|r| of_worker(r, session_id, None))?.is_none() {
        return Ok(None);
    }
    holds_for(store, &caller::origin(cx, store)?, session_id)
}

/// The same for somebody who is known.
pub(in crate::actions) fn holds_for(store: &Store, origin: &Origin, session_id: &str) -> Result<Option<Round>> {
    match origin {
        Origin::Operator => Ok(None),
        Origin::Session(session) if session.id == session_id => Ok(None),
        Origin::Session(session) => store.read(|r| of_worker(r, session_id, Some(&session.id))),
        Origin::Hidden => store.read(|r| of_worker(r, session_id, None)),
    }
}

/// Whether some worker's words must not be seen by whoever asks.
pub(in crate::actions) fn of_any(cx: &Context, store: &Store) -> Result<Option<Round>> {
    let open = store.read(|r| {
        for task in store::tasks::list(r)?.iter().filter(|task| task.state.is_open()) {
            if let Some(round) = of_task(r, task)? {
                return Ok::<_, Error>(Some(round));
            }
        }
        Ok(None)
    })?;
    let Some(round) = open else { return Ok(None) };
    Ok((caller::origin(cx, store)? != Origin::Operator).then_some(round))
}

/// Refuses to show what a session says to whoever is blind to it.
///
/// # Errors
/// With the command that ends the blindness.
pub(in crate::actions) fn check(cx: &Context, store: &Store, session_id: &str) -> Result<()> {
    match holds(cx, store, session_id)? {
        Some(round) => Err(round.error()),
        None => Ok(()),
    }
}

impl Round {
    fn error(&self) -> Error {
        let Self { task, correlation_id } = self;
        Error::new(
            Kind::Blocked,
            format!("what the worker of \"{task}\" says is not shown before its manager has proposed itself"),
        )
        .hint(format!("`conveyor continuation {task} --submit manager --correlation-id {correlation_id} --from-stdin`"))
    }

    /// What stands in the place of what the worker says.
    pub(in crate::actions) fn words(&self) -> String {
        format!("withheld until the manager's own proposal is in (continuation {})", self.correlation_id)
    }

    /// Takes what a worker says out of a message about its turns.
    pub(in crate::actions) fn veil(&self, payload: &mut Value) {
        match payload {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name == "last_agent_message" && !value.is_null() {
                        *value = json!(self.words());
                    } else {
                        self.veil(value);
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.veil(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
