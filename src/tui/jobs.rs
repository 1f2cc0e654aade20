//! Questions and commands on the blocking pool; each comes back as one typed message.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep_until},
};

use super::{
    backend::Backend,
    message::{Load, Msg},
    terminal::payload_text,
};
use crate::{
    actions::Command,
    base::{Error, Kind},
};

/// The shortest time from one board load to the next.
const BOARD_PACE: Duration = Duration::from_millis(100);

/// Starts jobs.
pub(super) struct Jobs {
    backend: Arc<dyn Backend>,
    inbox: mpsc::Sender<Msg>,
    board_from: Instant,
}

impl Jobs {
    pub(super) fn new(backend: Arc<dyn Backend>, inbox: mpsc::Sender<Msg>) -> Self {
        Self { backend, inbox, board_from: Instant::now() }
    }

    /// Asks the backend; the answer comes as a message, also when the backend panics.
    pub(super) fn load(&mut self, load: Load) {
        let not_before = match load {
            Load::Board => {
                let start = self.board_from.max(Instant::now());
                self.board_from = start + BOARD_PACE;
                Some(start)
            }
            _ => None,
        };
        let (backend, inbox) = (Arc::clone(&self.backend), self.inbox.clone());
        tokio::spawn(async move {
            if let Some(start) = not_before {
                sleep_until(start).await;
            }
            let twin = load.clone();
            let answer = match spawn_blocking(move || ask(&*backend, load)).await {
                Ok(answer) => answer,
                Err(error) => answer_of_fault(twin, error),
            };
            // Nobody listens any more: the cockpit is closing.
            let _ = inbox.send(answer).await;
        });
    }

    /// Runs a command; `line` comes back with its result.
    pub(super) fn submit(&self, command: Command, line: String) {
        let (backend, inbox) = (Arc::clone(&self.backend), self.inbox.clone());
        tokio::spawn(async move {
            let result =
                spawn_blocking(move || backend.submit(command)).await.unwrap_or_else(|error| Err(fault(error)));
            let _ = inbox.send(Msg::Done(line, result)).await;
        });
    }

    /// Runs a command whose receipt is a line.
    pub(super) fn note(&self, command: Command, line: String, by_key: bool) {
        let (backend, inbox) = (Arc::clone(&self.backend), self.inbox.clone());
        tokio::spawn(async move {
            let result =
                spawn_blocking(move || backend.submit(command)).await.unwrap_or_else(|error| Err(fault(error)));
            let _ = inbox.send(Msg::Noted { line, by_key, result }).await;
        });
    }
}

fn ask(backend: &dyn Backend, load: Load) -> Msg {
    match load {
        Load::Board => Msg::Board(backend.board()),
        Load::Deliveries(watched) => Msg::Deliveries(backend.deliveries(watched.as_deref())),
        Load::Conversation(id, query) => {
            let answer = backend.conversation(&id, query);
            Msg::Conversation(id, query, answer)
        }
        Load::Agents(id) => {
            let answer = backend.agents(&id);
            Msg::Agents(id, answer)
        }
        Load::Events(id, query) => {
            let answer = backend.events(&id, query.clone());
            Msg::Events(id, query, answer)
        }
        Load::Pane(id) => {
            let answer = backend.pane(&id);
            Msg::Pane(id, answer)
        }
        Load::Explain(id) => {
            let answer = backend.explain(&id);
            Msg::Explained(id, answer)
        }
        Load::Diff(id) => {
            let answer = backend.diff(&id);
            Msg::Diff(id, answer)
        }
        Load::Questions(id) => {
            let answer = backend.questions(&id);
            Msg::Questions(id, answer)
        }
        Load::Criteria(id) => {
            let answer = backend.criteria(&id);
            Msg::Criteria(id, answer)
        }
        Load::Review(request, id, end) => Msg::Review(request, backend.review(&id, &end)),
        Load::Policy(id) => {
            let answer = backend.policy(&id).map(Box::new);
            Msg::Policy(id, answer)
        }
        Load::Record(id) => {
            let answer = backend.record(&id).map(Box::new);
            Msg::Record(id, answer)
        }
        Load::Unregistered => Msg::Unregistered(backend.unregistered()),
        Load::Attach(id) => Msg::Attach(backend.attach(&id)),
        Load::Exchange(id) => {
            let answer = backend.exchange(&id);
            Msg::Exchange(id, answer)
        }
        Load::Checkup => Msg::Checkup(backend.checkup()),
    }
}

fn answer_of_fault(load: Load, error: JoinError) -> Msg {
    match load {
        Load::Board => Msg::Board(Err(fault(error))),
        Load::Deliveries(_) => Msg::Deliveries(Err(fault(error))),
        Load::Conversation(id, query) => Msg::Conversation(id, query, Err(fault(error))),
        Load::Agents(id) => Msg::Agents(id, Err(fault(error))),
        Load::Events(id, query) => Msg::Events(id, query, Err(fault(error))),
        Load::Pane(id) => Msg::Pane(id, Err(fault(error))),
        Load::Explain(id) => Msg::Explained(id, Err(fault(error))),
        Load::Diff(id) => Msg::Diff(id, Err(fault(error))),
        Load::Questions(id) => Msg::Questions(id, Err(fault(error))),
        Load::Criteria(id) => Msg::Criteria(id, Err(fault(error))),
        Load::Review(request, ..) => Msg::Review(request, Err(fault(error))),
        Load::Policy(id) => Msg::Policy(id, Err(fault(error))),
        Load::Record(id) => Msg::Record(id, Err(fault(error))),
        Load::Unregistered => Msg::Unregistered(Err(fault(error))),
        Load::Attach(_) => Msg::Attach(Err(fault(error))),
        Load::Exchange(id) => Msg::Exchange(id, Err(fault(error))),
        Load::Checkup => Msg::Checkup(Err(fault(error))),
    }
}

/// What a job that did not return says to the operator.
fn fault(error: JoinError) -> Error {
    let reason = match error.try_into_panic() {
        Ok(payload) => payload_text(&*payload).to_owned(),
        Err(error) => error.to_string(),
    };
    Error::new(Kind::Bug, format!("a background job failed: {reason}"))
        .hint("this is a fault in conveyor; the cockpit goes on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let error = spawn_blocking(|| panic!("seven")).await.unwrap_err();
        let Msg::Pane(id, Err(error)) = answer_of_fault(Load::Pane("s".into()), error) else { panic!("a pane") };
        assert_eq!((id.as_str(), error.kind()), ("s", Kind::Bug));
        assert_eq!(error.message(), "a background job failed: seven");
    }
}
