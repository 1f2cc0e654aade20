//! The calls that change a session: messages, interrupts, compaction, the queue, answers to approvals.
//!
//! Each says with its [`Outcome`] whether it is proven to have had no effect. None is tried again here, and none
//! goes another way by itself.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    approval::{Approval, Decision},
    client::{CodexServer, Page},
    connection::{Limit, Reach},
    error::{CallFailure, ServerError},
    outcome::{Outcome, Refusal},
    thread::{ThreadInfo, ThreadStatus},
};
use crate::base::text;

/// The longest text of a queued message that is repeated, in characters.
const MAX_QUEUED_TEXT: usize = 200;

/// The most entries of a queue that are listed.
const MAX_QUEUED: usize = 1000;

/// Items per page when a message is looked for; an item can hold the whole output of a command.
const ITEMS_PAGE: usize = 50;

/// A message to a thread. The same one can be handed to each call that delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The thread's id.
    pub thread: &'a str,
    /// The text, sent as it is: no `!` and no `/word` means anything here. Codex refuses more than 1,048,576
    /// characters and takes an empty text.
    pub text: &'a str,
    /// Our id of the message. It comes back as `client_id` with the `UserMessage` of the rollout, which is the
    /// receipt. Codex does not look whether it has seen an id before: what is sent twice is delivered twice.
    pub client_id: &'a str,
}

/// The turn that has taken a message or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBy {
    /// The turn's id.
    pub turn_id: String,
}

/// A message that waits in a thread's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The entry's own id, by which it can be removed.
    pub entry_id: String,
    /// The sender's id of the message.
    pub client_id: String,
    /// The beginning of its text, cleaned.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireQueued {
    id: String,
    client_user_message_id: String,
    #[serde(default)]
    input: Vec<Value>,
}

impl From<WireQueued> for QueuedMessage {
    fn from(wire: WireQueued) -> Self {
        let texts = wire.input.iter().filter_map(|input| input["text"].as_str()).collect::<Vec<_>>().join("\n");
        Self {
            entry_id: wire.id,
            client_id: wire.client_user_message_id,
            text: text::bounded(&text::one_line(&text::clean(&texts)), MAX_QUEUED_TEXT),
        }
    }
}

impl CodexServer {
    /// Gives a message to a thread now: an idle one begins a turn, a busy one takes it into the open turn, also while
    /// it waits for an approval. Only for threads this server has loaded; see [`Self::subscribe`].
    ///
    /// The rollout has the message some milliseconds later when the thread was idle, else when the model takes it,
    /// which can be minutes. Until then it is in the server's memory only: an interrupt or the server's end loses it.
    pub fn start_turn(&mut self, message: &Delivery<'_>) -> Outcome<TakenBy> {
        #[derive(Deserialize)]
        struct Reply {
            turn: Turn,
        }

        #[derive(Deserialize)]
        struct Turn {
            id: String,
        }

        let reply: Outcome<Reply> = self.effect("turn/start", &message_params(message));
        reply.map(|reply| TakenBy { turn_id: reply.turn.id })
    }

    /// Gives a message to the turn `expected_turn` and to no other.
    ///
    /// Refused with [`Refusal::NoOpenTurn`], [`Refusal::OtherTurn`] or [`Refusal::NotSteerable`]. When the rollout has
    /// it: as in [`Self::start_turn`] for a busy thread.
    pub fn steer_turn(&mut self, message: &Delivery<'_>, expected_turn: &str) -> Outcome<TakenBy> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Reply {
            turn_id: String,
        }

        let mut params = message_params(message);
        params["expectedTurnId"] = expected_turn.into();
        let reply: Outcome<Reply> = self.effect("turn/steer", &params);
        reply.map(|reply| TakenBy { turn_id: reply.turn_id })
    }

    /// Interrupts the turn `expected_turn` of a thread and no other. The server answers when the turn has ended.
    ///
    /// Refused with [`Refusal::NoOpenTurn`] or [`Refusal::OtherTurn`].
    pub fn interrupt_expected_turn(&mut self, thread: &str, expected_turn: &str) -> Outcome<()> {
        let params = json!({ "threadId": thread, "turnId": expected_turn });
        let reply: Outcome<Value> = self.effect("turn/interrupt", &params);
        reply.map(|_| ())
    }

    /// Asks an idle thread to compact its context, in a turn of its own.
    ///
    /// Codex itself cuts off an open turn for it, so a busy thread is refused with [`Refusal::Busy`]. There is no way
    /// to ask for both at once: a turn that begins between our look and the call is cut off.
    pub fn compact_thread(&mut self, thread: &str) -> Outcome<()> {
        match self.read_thread(thread).map(|thread| thread.status) {
            Ok(ThreadStatus::Idle | ThreadStatus::SystemError) => {
                let reply: Outcome<Value> = self.effect("thread/compact/start", &json!({ "threadId": thread }));
                reply.map(|_| ())
            }
            Ok(ThreadStatus::NotLoaded) => Outcome::Refused(Refusal::NoThread),
            Ok(status @ (ThreadStatus::Active { .. } | ThreadStatus::Other(_))) => {
                Outcome::Refused(Refusal::Busy { status })
            }
            Err(error) => Outcome::Refused(Refusal::NotSent(error)),
        }
    }

    /// Puts a message into a thread's queue; it becomes a turn of its own when the thread is idle.
    ///
    /// This reaches threads of other processes as well; an idle one looks about every ten seconds. Accepted means
    /// stored, not delivered: the message waits while nobody has the thread, and after an interrupted turn until some
    /// other turn has ended. [`Self::queue_remove`] takes it back. A thread that has no rollout yet is refused with
    /// [`Refusal::NoThread`].
    pub fn queue_add(&mut self, message: &Delivery<'_>) -> Outcome<QueuedMessage> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Reply {
            queued_submission: WireQueued,
        }

        match self.effect("thread/queue/add", &message_params(message)) {
            // Said before anything is stored, although as an internal error.
            Outcome::Unknown(ServerError::Rpc { message, .. })
                if message.contains("no rollout found for thread id") =>
            {
                Outcome::Refused(Refusal::NoThread)
            }
            other => other.map(|reply: Reply| reply.queued_submission.into()),
        }
    }

    /// The messages that wait in a thread's queue, the next one first.
    ///
    /// # Errors
    /// When the server does not answer as it should in time.
    pub fn queue_list(&mut self, thread: &str) -> Result<Vec<QueuedMessage>, ServerError> {
        let waiting: Vec<WireQueued> = self.pages("thread/queue/list", MAX_QUEUED, &json!({ "threadId": thread }))?;
        Ok(waiting.into_iter().map(QueuedMessage::from).collect())
    }

    /// Takes an entry out of a thread's queue; whether it was still there. True proves that it is not delivered.
    pub fn queue_remove(&mut self, thread: &str, entry_id: &str) -> Outcome<bool> {
        #[derive(Deserialize)]
        struct Reply {
            deleted: bool,
        }

        let params = json!({ "threadId": thread, "queuedSubmissionId": entry_id });
        let reply: Outcome<Reply> = self.effect("thread/queue/delete", &params);
        reply.map(|reply| reply.deleted)
    }

    /// The turn that has taken the message with the id `client_id`, among the thread's `newest` items.
    ///
    /// A turn is proof. None proves nothing: a message that waits, in a queue or for the model to take it, is no item
    /// yet, and a call that was cut off may still arrive.
    ///
    /// # Errors
    /// When the server does not answer as it should in time.
    pub fn find_message(
        &mut self,
        thread: &str,
        client_id: &str,
        newest: usize,
    ) -> Result<Option<TakenBy>, ServerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Entry {
            turn_id: String,
            item: Item,
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Item {
            #[serde(rename = "type")]
            kind: String,
            client_id: Option<String>,
        }

        let mut params = json!({ "threadId": thread, "sortDirection": "desc" });
        let mut left = newest;
        while left > 0 {
            params["limit"] = left.min(ITEMS_PAGE).into();
            let page: Page<Entry> = self.request("thread/items/list", &params)?;
            left = left.saturating_sub(page.data.len().max(1));
            let ours =
                |entry: &Entry| entry.item.kind == "userMessage" && entry.item.client_id.as_deref() == Some(client_id);
            if let Some(entry) = page.data.into_iter().find(ours) {
                return Ok(Some(TakenBy { turn_id: entry.turn_id }));
            }
            match page.next_cursor {
                Some(cursor) => params["cursor"] = cursor.into(),
                None => break,
            }
        }
        Ok(None)
    }

    /// The id of a thread's open turn, when one is open and listed.
    ///
    /// # Errors
    /// [`ServerError::Rpc`] when the server does not know the thread.
    pub fn open_turn(&mut self, thread: &str) -> Result<Option<String>, ServerError> {
        if !matches!(self.read_thread(thread)?.status, ThreadStatus::Active { .. }) {
            return Ok(None);
        }
        self.listed_open_turn(thread)
    }

    /// From now on this connection hears everything of a thread, and is asked what the thread asks; approvals that
    /// are open already are asked again.
    ///
    /// A thread that the server has not loaded is loaded, and nobody else can write it then. So look at
    /// [`Self::read_thread`] first.
    ///
    /// # Errors
    /// [`ServerError::Rpc`] when there is no such thread or another process has it.
    pub fn subscribe(&mut self, thread: &str) -> Result<ThreadInfo, ServerError> {
        #[derive(Deserialize)]
        struct Reply {
            thread: ThreadInfo,
        }

        let reply: Reply = self.request("thread/resume", &json!({ "threadId": thread, "excludeTurns": true }))?;
        Ok(reply.thread)
    }

    /// The approvals this connection has been asked for and that nobody has answered, as far as heard.
    ///
    /// Questions arrive while calls are made and in [`Self::poll_notifications`].
    pub fn open_approvals(&self) -> impl Iterator<Item = &Approval> {
        self.approvals().iter()
    }

    /// Answers an approval, and waits until the server has put the question away.
    ///
    /// Refused with [`Refusal::NotOpen`] when another client was first, or when the question came over another
    /// connection. Accepted means that it is answered; should another client answer at the same moment, only what is
    /// done then tells whose answer it was.
    pub fn answer(&mut self, approval: &Approval, decision: Decision) -> Outcome<()> {
        const TO: &str = "the answer to an approval";
        if let Err(error) = self.hear_what_waits() {
            return Outcome::Refused(Refusal::NotSent(error));
        }
        if !self.approvals().is_open(approval) {
            return Outcome::Refused(Refusal::NotOpen);
        }
        let limit = Limit::starting_now(self.call_limit());
        let answer = json!({ "id": approval.id, "result": { "decision": decision } });
        if let Err(failure) = self.send(TO, &answer, limit) {
            return Outcome::of(Err(failure));
        }
        while self.approvals().is_open(approval) {
            if let Err(error) = self.step(TO, limit) {
                return Outcome::of(Err(CallFailure { error, reach: Reach::Sent }));
            }
        }
        Outcome::Accepted(())
    }

    /// A call that changes something.
    fn effect<R: serde::de::DeserializeOwned>(&mut self, method: &'static str, params: &impl Serialize) -> Outcome<R> {
        let limit = Limit::starting_now(self.call_limit());
        Outcome::of(self.call(method, params, limit))
    }
}

fn message_params(message: &Delivery<'_>) -> Value {
    json!({
        "threadId": message.thread,
        "input": [{ "type": "text", "text": message.text }],
        "clientUserMessageId": message.client_id,
    })
}
