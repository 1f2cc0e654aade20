//! What a worker's turn came to is told to its manager: ends of turns become messages in the manager's inbox.
//!
//! Ingest records the end of a turn together with the line that says so; routing it is a step of its own, safe to
//! repeat and to run in several processes: a signal is settled once. A manager has at most one unread message about
//! its worker's turns; what is new before it reads is added to that one.

use serde::Serialize;
use serde_json::{Value, json};

use super::Context;
use crate::{
    base::{Moment, Result},
    model::{
        delivery::{CommandKind, Disposition, Phase, SignalKind},
        interruption::{How, OnPurpose},
        session::{Registration, Session},
        task::Binding,
    },
    store::{
        self, Store, Write, audit,
        commands::{NewCommand, OWN_KEYS},
        inbox, signals,
    },
};

/// Signals of one worker that are routed in one transaction.
const BATCH: u32 = 200;
/// Tries at waking a manager.
const MAX_WAKES: i64 = 5;
/// Earlier ends of turns that a message tells in full; of more it tells the number.
const TOLD_IN_FULL: usize = 20;

/// What became of a signal, as `dispatch` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Routed {
    /// The binding it was routed through.
    pub binding_id: String,
    /// Ties together what belongs to it.
    pub correlation_id: String,
    /// Always `pull_required`: it lies in the manager's inbox.
    pub delivery_mode: &'static str,
    /// What became of it.
    pub disposition: Disposition,
    /// Nothing was changed.
    pub dry_run: bool,
    /// `completion`.
    pub kind: &'static str,
    /// The message in the inbox; none when there is none.
    pub notification_id: Option<i64>,
    /// How the turn ended.
    pub signal_type: SignalKind,
    /// Number of the signal.
    pub source_event_id: i64,
    /// The contract's word: `pull_required` or `suppressed`.
    pub state: &'static str,
    /// Name of the manager's session.
    pub target_session: String,
    /// Name of the task.
    pub task: String,
}

/// Routes what the turns of all bound workers came to. For each manager whose thread or pane is known a word is queued
/// that something lies in its inbox; it waits while there is no way to it. Of those for whose task `wanted` says no
/// nothing is touched.
///
/// # Errors
/// When the ledger fails; signals that were not settled stay as they are.
pub(super) fn route_all(
    cx: &Context,
    store: &Store,
    dispatcher_id: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Routed>> {
    let workers = store.read(signals::bound_workers_with_news)?;
    let mut routed = Vec::new();
    for worker_id in workers {
        routed.extend(route(cx, store, &worker_id, dispatcher_id, Word::Queued, wanted)?);
    }
    Ok(routed)
}

/// Whether the manager is told that something lies in its inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// A word to it is queued.
    Queued,
    /// It looks into its inbox just now.
    Spared,
}

/// Routes what the turns of one worker came to, if it is bound.
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
) -> Result<Vec<Routed>> {
    let mut routed = Vec::new();
    loop {
        let batch = store.write(|w| route_batch(cx, w, worker_id, dispatcher_id, word, wanted))?;
        let is_last = batch.len() < BATCH as usize || cx.dry_run();
        routed.extend(batch);
        if is_last {
            return Ok(routed);
        }
    }
}

fn route_batch(
    cx: &Context,
    w: &Write<'_>,
    worker_id: &str,
    dispatcher_id: &str,
    word: Word,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Routed>> {
    let signals = signals::unrouted(w.read(), worker_id, BATCH)?;
    let Some(route) = Route::of(w, worker_id, dispatcher_id, word)? else { return Ok(Vec::new()) };
    if signals.is_empty() || !wanted(&route.binding.task_id) {
        return Ok(Vec::new());
    }
    let mut routed = Vec::new();
    for signal in &signals {
        // Whoever answers what it asked is about to say whether this end is by that answer.
        let is_cut_off = signal.kind == SignalKind::TurnAborted;
        if is_cut_off && audit::is_answering(w.read(), worker_id, &cx.moment())? {
            break;
        }
        routed.push(route.settle(cx, w, signal)?);
    }
    Ok(routed)
}

/// The end of a turn, and who ended it on purpose.
struct Ended<'a> {
    signal: &'a signals::Signal,
    on_purpose: Option<OnPurpose>,
}

/// A worker, its manager, and who tells the one about the other.
pub(super) struct Route<'a> {
    pub(super) binding: Binding,
    pub(super) task_name: String,
    pub(super) worker: Session,
    pub(super) manager: Session,
    pub(super) dispatcher_id: &'a str,
    /// The manager is told that something lies in its inbox.
    pub(super) wake: bool,
}

impl<'a> Route<'a> {
    /// The route of a worker whose binding is in force and whose manager is registered.
    pub(super) fn of(w: &Write<'_>, worker_id: &str, dispatcher_id: &'a str, word: Word) -> Result<Option<Self>> {
        let r = w.read();
        let Some(binding) = store::bindings::active_of_session(r, worker_id)? else { return Ok(None) };
        if binding.worker_session_id != worker_id {
            return Ok(None);
        }
        let (worker, manager) =
            (store::sessions::by_id(r, worker_id)?, store::sessions::by_id(r, &binding.manager_session_id)?);
        let task = store::tasks::find(r, &binding.task_id)?;
        let (Some(worker), Some(manager), Some(task)) = (worker, manager, task) else { return Ok(None) };
        if manager.state == Registration::Gone {
            return Ok(None);
        }
        // A word needs a thread or a pane to go to; who has neither only ever fetches.
        let has_way = manager.codex_session_id.is_some() || manager.tmux_pane_id.is_some();
        let wake = word == Word::Queued && has_way;
        Ok(Some(Self { binding, task_name: task.name, worker, manager, dispatcher_id, wake }))
    }

    fn settle(&self, cx: &Context, w: &Write<'_>, signal: &signals::Signal) -> Result<Routed> {
        let now = &cx.moment();
        let ended = &Ended { signal, on_purpose: signals::on_purpose(w.read(), signal)? };
        let mut correlation_id = cx.fresh_id("dispatch");
        let (disposition, notification_id) = if self.binding.covers(signal.at) {
            match inbox::unseen_about_turns(w.read(), &self.binding.id, now)? {
                Some(unseen) => {
                    let payload = self.payload(cx, ended, Some(&unseen.payload));
                    let kind = signal.kind.as_str();
                    inbox::renew(w, unseen.id, kind, signal.id, signal.at, &payload, now.wall)?;
                    correlation_id = unseen.correlation_id;
                    if self.wake {
                        self.wake(cx, w, unseen.id, &self.sentence(cx, ended, 1), &correlation_id, now)?;
                    }
                    (Disposition::Merged, Some(unseen.id))
                }
                None => (Disposition::Routed, Some(self.deliver(cx, w, ended, &correlation_id, now)?)),
            }
        } else {
            (Disposition::OutsideBinding, None)
        };
        signals::settle(w, signal.id, disposition, notification_id)?;
        Ok(Routed {
            binding_id: self.binding.id.clone(),
            correlation_id,
            delivery_mode: "pull_required",
            disposition,
            dry_run: cx.dry_run(),
            kind: "completion",
            notification_id,
            signal_type: signal.kind,
            source_event_id: signal.id,
            state: if notification_id.is_some() { "pull_required" } else { "suppressed" },
            target_session: self.manager.name.clone(),
            task: self.task_name.clone(),
        })
    }

    fn deliver(
        &self,
        cx: &Context,
        w: &Write<'_>,
        ended: &Ended<'_>,
        correlation_id: &str,
        now: &Moment,
    ) -> Result<i64> {
        let signal = ended.signal;
        let item = inbox::NewItem {
            task_id: Some(&self.binding.task_id),
            binding_id: Some(&self.binding.id),
            source_session_id: Some(&self.worker.id),
            target_session_id: &self.manager.id,
            correlation_id,
            signal_type: signal.kind.as_str(),
            source_event_id: Some(signal.id),
            source_event_timestamp: signal.at,
            dedupe_key: &format!("{}:{}:{}:{}", self.binding.id, signal.kind, self.worker.id, signal.id),
            command_id: None,
            payload: &self.payload(cx, ended, None),
        };
        let notification_id = inbox::deliver(w, &item, now.wall)?;
        if self.wake {
            self.wake(cx, w, notification_id, &self.sentence(cx, ended, 1), correlation_id, now)?;
        }
        Ok(notification_id)
    }

    /// Queues a word to the manager that something lies in its inbox. One that waits tells of what is new in its place,
    /// one that is on its way is not doubled, and one that was given up begins anew. When one has come to any other
    /// end, and nothing was read since, what is new is worth another.
    pub(super) fn wake(
        &self,
        cx: &Context,
        w: &Write<'_>,
        notification_id: i64,
        sentence: &str,
        correlation_id: &str,
        now: &Moment,
    ) -> Result<()> {
        let payload = json!({"message": sentence, "notification_id": notification_id});
        let key = match store::commands::last_word(w.read(), correlation_id, notification_id)? {
            None => format!("{OWN_KEYS}wake:{notification_id}"),
            Some(word) => match word.phase {
                Phase::Queued | Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted => {
                    return Ok(store::commands::reword(w, &word.id, &payload)?);
                }
                Phase::Failed | Phase::Expired | Phase::Dead | Phase::Blocked => {
                    store::commands::requeue(w, &word, None, "another turn has ended since it was given up", now)?;
                    return Ok(store::commands::reword(w, &word.id, &payload)?);
                }
                Phase::Delivered | Phase::Done | Phase::Ambiguous | Phase::Cancelled => {
                    format!("{OWN_KEYS}wake:{notification_id}:after:{}", word.id)
                }
            },
        };
        let id = cx.fresh_id("command");
        let new = NewCommand {
            id: &id,
            idempotency_key: &key,
            request_sha256: &key,
            created_by: audit::Actor::Conveyor.as_str(),
            task_id: Some(&self.binding.task_id),
            binding_id: Some(&self.binding.id),
            source_session_id: Some(&self.worker.id),
            target_session_id: &self.manager.id,
            correlation_id,
            kind: CommandKind::WorkerTaskComplete,
            required_permission: None,
            time_to_live: None,
            max_attempts: MAX_WAKES,
            payload: &payload,
        };
        store::commands::enqueue(w, &new, u64::MAX, now)?;
        Ok(())
    }

    /// What the message says. What an unread one says moves to its earlier receipts.
    fn payload(&self, cx: &Context, ended: &Ended<'_>, unread: Option<&Value>) -> Value {
        let signal = ended.signal;
        let mut earlier = Vec::new();
        let mut turns = 1;
        if let Some(unread) = unread {
            earlier = unread["earlier_receipts"].as_array().cloned().unwrap_or_default();
            earlier.push(unread["worker_receipt"].clone());
            turns += unread["turns"].as_u64().unwrap_or(1);
            let surplus = earlier.len().saturating_sub(TOLD_IN_FULL);
            earlier.drain(..surplus);
        }
        json!({
            "delivery_mode": "pull_required",
            "dispatcher_id": self.dispatcher_id,
            "earlier_receipts": earlier,
            "message": self.sentence(cx, ended, turns),
            "signal": signal.kind,
            "source_event_id": signal.id,
            "source_session": self.worker.name,
            "target_session": self.manager.name,
            "task": self.task_name,
            "turns": turns,
            "worker_receipt": {
                "byte_offset": signal.byte_offset,
                "completed_at": signal.at,
                "detail": signal.detail,
                "ended_on_purpose": ended.on_purpose.as_ref().map(OnPurpose::words),
                "last_agent_message": signal.last_message,
                "outcome": signal.kind,
                "rollout_path": signal.path,
                "source_event_id": signal.id,
                "source_event_timestamp": signal.at,
                "source_session": self.worker.name,
                "turn_id": signal.turn_id,
            },
        })
    }

    fn sentence(&self, cx: &Context, ended: &Ended<'_>, turns: u64) -> String {
        let (worker, task) = (&self.worker.name, &self.task_name);
        let mut why = String::new();
        let end = match (ended.signal.kind, &ended.on_purpose) {
            (SignalKind::TaskComplete, _) => "has answered".to_owned(),
            (SignalKind::PlanWaits, _) => "has proposed a plan and waits for a decision".to_owned(),
            (SignalKind::TurnFailed, _) => "has ended its turn without an answer".to_owned(),
            (SignalKind::TurnAborted, None) => "was interrupted".to_owned(),
            (SignalKind::TurnAborted, Some(known)) if known.how == How::Interrupted => format!("was {}", known.words()),
            (SignalKind::TurnAborted, Some(known)) => {
                why = format!(": {}", known.words());
                "was interrupted".to_owned()
            }
        };
        let path = cx.env().path_option(&self.manager.cwd);
        let more = if turns > 1 { format!(" ({turns} turns since you last looked)") } else { String::new() };
        format!(
            "Worker {worker} {end} on task {task}{why}{more}. Inspect it with `conveyor cycle {task} --json{path}`, then decide; \
             an answer is a claim, not a proof. The whole message lies in your inbox."
        )
    }
}
