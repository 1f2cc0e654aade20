//! Messages that Codex's server gives to a session: the call, its outcome, and the proof that the session has it.
//!
//! Before the call the ledger says that something may happen (`started`), on disk. An answer of the server makes it
//! `submitted`. `done` it is only when the session's own rollout shows the message under our id; ingest writes that in
//! the transaction that stores the line. What the rollout does not show is tried again only when it is proven that the
//! session does not have it: see [`look_after`].

use std::time::Duration;

use serde_json::json;

use super::{
    around::{Around, CRASHES, MOST_CRASHES, QUICKLY_FOLLOWED},
    compact,
    enqueue::SOME_SESSION,
    handover, health, in_queue, into_inbox,
    pass::{Handled, Orders},
    servers::{How, Message, Seen, Servers},
    ways,
};
use crate::{
    actions::{Context, echo, ingest, live},
    base::{Error, Moment, Result, crash, text},
    model::{
        delivery::{AttemptState, Command, CommandKind, Lane, Phase},
        session::{Registration, Session},
    },
    ports::codex_server::{Outcome, Refusal, ThreadStatus},
    store::{
        self, Store,
        claims::Begun,
        commands::{InLine, Step},
    },
};

/// How long a try may take from its record to its call's end, in milliseconds. Calls end sooner by their own limits.
pub(super) const LEASE: i64 = 30_000;
/// A dispatcher that was held up for so long since it recorded a try does not make the call any more.
pub(super) const TOO_LATE: i64 = 10_000;
/// How long the proof is waited for in the pass itself, idle sessions have it after some twenty milliseconds.
pub(super) const PROOF_PATIENCE: Duration = Duration::from_millis(1_500);
/// The same when the message went into an open turn, whose model takes it when it likes.
const BUSY_PROOF_PATIENCE: Duration = Duration::from_millis(200);
/// Between two looks for it: close together where it mostly comes, then further apart.
const PROOF_LOOKS: Duration = Duration::from_millis(15);
const LATER_PROOF_LOOKS: Duration = Duration::from_millis(60);
const MOSTLY_THERE: Duration = Duration::from_millis(150);
/// Between two looks at a message without a proof.
pub(super) const LOOK_AGAIN: i64 = 1_000;
/// A session that answers and does not have a message is asked once more after this long.
pub(super) const SURE_AFTER: i64 = 5_000;
/// What stands between the two looks.
pub(super) const ABSENT: &str = "the session does not have it; it is looked for once more";

/// A try on record, to be made.
pub(super) struct Effect {
    pub begun: Begun,
    pub around: Around,
    pub how: How,
    /// When it was recorded, in milliseconds since the boot.
    pub begun_at: i64,
}

/// The first delay of a message that cannot be given now, doubling up to five seconds.
pub(super) fn delay(put_off_so_far: i64) -> i64 {
    250_i64.saturating_mul(1 << put_off_so_far.clamp(0, 5)).min(5_000)
}

/// Makes the call of a recorded try and writes down what became of it.
///
/// # Errors
/// When the ledger fails. The try then stands as `started`, and [`look_after`] finds out.
pub(super) fn perform(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    orders: &Orders,
    effect: Effect,
) -> Result<Handled> {
    let Effect { begun, around, how, begun_at } = effect;
    let command = &begun.command;
    let mut handled = around.handled(orders, command, Phase::Started, false);
    handled.attempt_id = Some(begun.attempt_id);
    handled.delivery_mode = Some("push");
    handled.lane = command.lane;
    handled.lane_reason.clone_from(&command.lane_reason);
    handled.side_effect_started = true;
    let Some(target) = &around.target else { return Ok(handled) };
    crash::point("started");
    let text = spoken(command, &around);
    if cx.moment().uptime - begun_at > TOO_LATE {
        give_back(store, command, "its dispatcher was held up", false, &cx.moment())?;
        finish(store, &mut handled, command)?;
        return Ok(handled);
    }
    let go_on = || is_ours(store, command);
    let outcome = match how {
        How::BeginsATurn | How::IntoOpenTurn => {
            let is_busy = how == How::IntoOpenTurn;
            let message = Message { id: &command.id, text: &text, is_busy };
            let taken = servers.give(cx, target, &message, &go_on)?;
            taken.map(|taken| taken.map(|taken| json!({"into_open_turn": is_busy, "turn_id": taken.turn_id})))
        }
        How::Compacts => {
            let told = servers.compact(cx, target, &go_on)?;
            told.map(|told| told.map(|()| command.result.clone().unwrap_or_else(|| json!({}))))
        }
        How::Types => unreachable!("`typed` makes these tries itself"),
        How::ThroughQueue => {
            let taken = servers.queues.give(cx, target, &command.id, &text, &go_on)?;
            taken.map(|taken| taken.map(|entry| in_queue::with_entry(command, &entry.entry_id)))
        }
    };
    // Somebody else has it in hand, or nobody any more: nothing was done under this fence, and nothing is to be written.
    let Some(outcome) = outcome else {
        finish(store, &mut handled, command)?;
        return Ok(handled);
    };
    crash::point("called");
    let now = cx.moment();
    match outcome {
        Outcome::Accepted(mut result) => {
            result["thread_id"] = json!(target.codex_session_id);
            store.write_durably(|w| {
                let step = Step { reason: Some(how.taken()), result: Some(&result), ..Step::default() };
                if store::commands::advance(w, command, Phase::Submitted, step, now.wall)?
                    && let Some(submitted) = store::commands::by_id(w.read(), &command.id)?
                {
                    store::commands::look_again(w, &submitted, LOOK_AGAIN, &now)?;
                }
                Ok::<_, store::Error>(())
            })?;
            crash::point("submitted");
            await_proof(
                cx,
                store,
                target,
                command,
                if how == How::BeginsATurn { PROOF_PATIENCE } else { BUSY_PROOF_PATIENCE },
            );
        }
        Outcome::Refused(refusal) => {
            let (words, is_our_fault) = words(&refusal);
            let is_spent = is_our_fault && command.attempts >= command.max_attempts;
            if is_spent && command.kind == CommandKind::RequestWorkerCompact {
                // An inbox compacts nothing.
                give_up(store, command, &words, &now)?;
            } else if is_spent {
                handover::to_inbox(store, orders, command, &words, &now)?;
            } else {
                give_back(store, command, &words, is_our_fault, &now)?;
            }
        }
        Outcome::Unknown(error) => {
            let reason = format!("no usable answer: {error}");
            store.write_durably(|w| store::commands::put_off(w, command, LOOK_AGAIN, &reason, &now))?;
        }
    }
    finish(store, &mut handled, command)?;
    Ok(handled)
}

/// The last look before an effect, of whatever way: whether the command stands as this dispatcher has moved it. One that
/// was stopped since finds that it was taken over, given back or decided about, and leaves it alone.
pub(super) fn is_ours(store: &Store, command: &Command) -> Result<bool> {
    let now = store.read(|r| store::commands::standing(r, &command.id))?;
    let is_ours = now == Some((command.phase, command.fence));
    crash::point("looked");
    Ok(is_ours)
}

/// Writes how the command stands now into what is told about it.
pub(super) fn finish(store: &Store, handled: &mut Handled, command: &Command) -> Result<()> {
    if let Some(now) = store.read(|r| store::commands::by_id(r, &command.id))? {
        handled.phase = now.phase;
        handled.error = now.error.or(now.reason.filter(|_| now.phase != Phase::Done));
        handled.receipt = now.result.as_ref().and_then(|result| result.get("receipt")).cloned();
        handled.side_effect_started = now.phase != Phase::Queued;
        handled.side_effect_completed = matches!(now.phase, Phase::Submitted | Phase::Done);
        handled.state = match now.phase {
            Phase::Done => "delivered",
            Phase::Delivered => "pull_required",
            Phase::Queued => "deferred",
            Phase::Failed | Phase::Dead => "failed",
            Phase::Cancelled | Phase::Expired => "suppressed",
            Phase::Blocked => "blocked",
            _ => "unconfirmed",
        };
    }
    Ok(())
}

/// What the session reads: who speaks, then the message.
fn spoken(command: &Command, around: &Around) -> String {
    format!("[conveyor] {}:\n\n{}", speaker(command, around), text::clean(command.message().unwrap_or_default()))
}

/// The operator, in what sessions are told.
pub(super) const OPERATOR: &str = "the operator";

/// Who speaks.
pub(super) fn speaker(command: &Command, around: &Around) -> String {
    let task = around.task.as_ref().map(|task| format!(" on task {}", task.name)).unwrap_or_default();
    let from = match &around.source {
        Some(source) => format!("{} {}", source.role, source.name),
        None if command.created_by == SOME_SESSION => "some Codex session".to_owned(),
        None => OPERATOR.to_owned(),
    };
    format!("From {from}{task}")
}

/// A try that is proven to have had no effect: the message waits again.
pub(super) fn give_back(store: &Store, command: &Command, why: &str, is_our_fault: bool, now: &Moment) -> Result<()> {
    store.write_durably(|w| {
        // Read and confirmed in the inbox while a pointer to it was on its way.
        if let Some(id) = into_inbox::pointed_at(w.read(), command)?
            && echo::confirm_had(w, command, id, &command.result.clone().unwrap_or_else(|| json!({})), now.wall)?
        {
            return Ok(());
        }
        let step = Step { reason: Some(why), ..Step::default() };
        if !store::commands::advance(w, command, Phase::Queued, step, now.wall)? {
            // Somebody else has moved it since, and the try that runs may be theirs.
            return Ok(());
        }
        store::attempts::end(w, &command.id, AttemptState::Abandoned, false, None, Some(why), now.wall)?;
        if let Some(queued) = store::commands::by_id(w.read(), &command.id)? {
            if !is_our_fault {
                store::commands::count_try(w, &queued, -1)?;
            }
            store::commands::put_off(w, &queued, delay(queued.defer_count), why, now)?;
        }
        Ok::<_, Error>(())
    })?;
    Ok(())
}

/// What a refusal says, and whether trying again is likely to be refused again.
fn words(refusal: &Refusal) -> (String, bool) {
    match refusal {
        Refusal::NotSent(error) => (format!("not sent: {error}"), false),
        Refusal::TooOld { method } => (format!("its Codex server does not know `{method}`"), true),
        Refusal::NoThread => ("its Codex server has let go of the thread".to_owned(), false),
        Refusal::NoOpenTurn => ("its turn ended just then".to_owned(), false),
        Refusal::OtherTurn { .. } => ("another turn began just then".to_owned(), false),
        Refusal::Busy { .. } => ("it is busy".to_owned(), false),
        Refusal::NotSteerable => ("its turn takes no messages now".to_owned(), false),
        Refusal::NotOpen => ("the question is not open".to_owned(), false),
        Refusal::Said { message, .. } => (format!("its Codex server refused: {message}"), true),
    }
}

/// Takes the session's new lines until its record of the message is among them, or the patience is at its end.
pub(super) fn await_proof(cx: &Context, store: &Store, target: &Session, command: &Command, patience: Duration) {
    let mut waited = Duration::ZERO;
    while waited < patience {
        // What cannot be read now is read by the next pass, or by whoever tails it.
        let _ = live::take(cx, &target.id, &|| true);
        match store.read(|r| store::commands::by_id(r, &command.id)) {
            Ok(Some(now)) if now.phase == Phase::Submitted => {
                let pause = if waited < MOSTLY_THERE { PROOF_LOOKS } else { LATER_PROOF_LOOKS };
                cx.clock().sleep(pause);
                waited += pause;
            }
            _ => return,
        }
    }
}

/// Looks after messages whose fate is open: tries of dispatchers that vanished, calls without a usable answer, and
/// messages that a server took and no rollout shows. Gives those that were settled.
///
/// The order of proof: the rollout, which ends everything; a thread that runs, whose model may still take the message;
/// the server's own list of the thread's items. A session that is idle, whose server answers and does not have the
/// message, and that says so again five seconds later, does not have it: then the message waits again.
///
/// # Errors
/// When the ledger fails.
pub(super) fn look_after(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    orders: &Orders,
    go_on: &dyn Fn() -> bool,
) -> Result<Vec<Handled>> {
    let now = cx.moment();
    let open = store.read(|r| store::commands::in_line(r, &now, 1))?;
    let mut settled = Vec::new();
    let is_ours = |row: &&InLine| {
        is_open(row, row.phase)
            && row.lane != Some(Lane::Tmux)
            // Who has begun may be gone already.
            && (row.is_due || row.phase == Phase::Started)
            && orders.target_session_id.as_deref().is_none_or(|only| only == row.target_session_id)
    };
    for row in open.iter().filter(is_ours) {
        if !go_on() {
            break;
        }
        let Some((command, around)) = store
            .read(|r| {
                let command = store::commands::by_id(r, &row.id)?;
                command.map(|command| Ok::<_, crate::base::Error>((Around::of(r, &command)?, command))).transpose()
            })?
            .map(|(around, command)| (command, around))
        else {
            continue;
        };
        // Others look as well, and the rows before this one took their time.
        if !is_open(row, command.phase) || command.defer_count != row.defer_count {
            continue;
        }
        // No process has outlived the boot.
        let command = if command.phase != Phase::Started || row.is_of_earlier_boot {
            command
        } else {
            match abandoned(cx, store, orders, row, command, &now)? {
                Some(command) => command,
                None => continue,
            }
        };
        if command.crash_count >= MOST_CRASHES {
            let why = format!("{CRASHES}: look into its session, then decide with `conveyor dispatch resolve`");
            conclude(store, &command, &why, true, &now)?;
            settled.push(told(store, orders, &around, &command)?);
            continue;
        }
        if command.lane == Some(Lane::Queue) {
            settled.extend(in_queue::look_after(cx, store, servers, orders, row, &around, &command)?);
            continue;
        }
        let Some(target) = around.target.as_ref().filter(|target| target.state == Registration::Active) else {
            conclude(store, &command, "its target was deregistered before its rollout showed the message", true, &now)?;
            settled.push(told(store, orders, &around, &command)?);
            continue;
        };
        // The pane may show another thread now, and the rollout may have been found only since.
        let target = ways::refreshed(cx, store, &mut servers.panes, target.clone());
        // Read once more, for what stands in the way of reading it.
        let unread = ingest::ingest_while(cx, store, &target, &|| true).err();
        let fence = command.fence;
        let Some(command) = store.read(|r| store::commands::by_id(r, &command.id))? else { continue };
        if !is_open(row, command.phase) {
            settled.push(told(store, orders, &around, &command)?);
            continue;
        }
        // Somebody has begun another try meanwhile, and what was seen here is about the former one.
        if command.fence != fence {
            continue;
        }
        // Or has looked at this one meanwhile: what is to be seen twice is not seen twice at the same moment.
        if command.defer_count != row.defer_count {
            continue;
        }
        let fate = if row.is_of_earlier_boot {
            // The end of a rollout may be lost with the machine, so what it does not show proves nothing any more.
            Fate::Never("the machine was booted anew before the session's rollout showed it".to_owned())
        } else if was_given_to_another_thread(&command, &target) {
            Fate::Never("the session has another thread now, and the one it was given to is read no more".to_owned())
        } else {
            fate(cx, store, servers, &target, &command, unread.as_ref())?
        };
        let now = cx.moment();
        if let Fate::Failed(why) = &fate {
            give_up(store, &command, why, &now)?;
            settled.push(told(store, orders, &around, &command)?);
            continue;
        }
        let end = match &fate {
            Fate::Never(why) => Some((why.as_str(), true)),
            // Seen twice: its proof may have come between the look into the rollout and the question, and a dispatcher
            // that slept before it handed the message over has left no time for it.
            Fate::Unproven(why) if row.is_overdue && command.reason.as_ref() == Some(why) => Some((why.as_str(), true)),
            Fate::Absent if command.reason.as_deref() == Some(ABSENT) => Some(("the session never got it", false)),
            Fate::Absent | Fate::Open(_) | Fate::Unproven(_) | Fate::Failed(_) => None,
        };
        if let Some((why, is_ambiguous)) = end {
            conclude(store, &command, why, is_ambiguous, &now)?;
            settled.push(told(store, orders, &around, &command)?);
            continue;
        }
        let (wait, why) = match &fate {
            Fate::Absent => (SURE_AFTER, ABSENT),
            Fate::Open(why) | Fate::Unproven(why) | Fate::Never(why) | Fate::Failed(why) => (LOOK_AGAIN, why.as_str()),
        };
        store.write(|w| store::claims::rest(w, &command, wait, why, &now))?;
    }
    Ok(settled)
}

/// A try whose dispatcher cannot make its call any more, taken over under a new fence: at once, when that dispatcher is
/// gone, or after its lease, when several have gone before it; when it is due, after somebody has looked at it already. None while it may still be made.
fn abandoned(
    cx: &Context,
    store: &Store,
    orders: &Orders,
    row: &InLine,
    command: Command,
    now: &Moment,
) -> Result<Option<Command>> {
    let me = orders.dispatcher_id.as_str();
    match command.claimed_by.as_deref() {
        None => Ok(row.is_due.then_some(command)),
        Some(owner) if owner != me && !row.is_due && command.crash_count >= QUICKLY_FOLLOWED => Ok(None),
        Some(owner) if owner != me && health::id_may_act(cx, store, owner, now)? => Ok(None),
        Some(_) => Ok(store.write_durably(|w| store::claims::take_over(w, &command, me, LEASE, now))?),
    }
}

/// Whether the fate of a command is open. After a boot that is so for what was only staged too: its composer is gone.
fn is_open(row: &InLine, phase: Phase) -> bool {
    matches!(phase, Phase::Started | Phase::Submitted) || (row.is_of_earlier_boot && phase == Phase::Staged)
}

/// What can be told of a message that no rollout shows.
pub(super) enum Fate {
    /// It may still arrive.
    Open(String),
    /// The session does not have it.
    Absent,
    /// Whether the session has it cannot be seen now, or it has it and its rollout does not say so.
    Unproven(String),
    /// Nobody will be able to tell.
    Never(String),
    /// It came to nothing, and the same would come of another try.
    Failed(String),
}

fn fate(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    target: &Session,
    command: &Command,
    unread: Option<&Error>,
) -> Result<Fate> {
    let without_server = || match unread {
        // Whoever held the message in memory is gone, and its rollout was read to its end.
        None => Fate::Absent,
        Some(error) => Fate::Unproven(format!("its rollout cannot be read: {error}")),
    };
    Ok(match servers.look(cx, target) {
        Seen::Silent(why) => Fate::Open(why),
        Seen::Thread(ThreadStatus::Active { .. }) => {
            Fate::Open("its turn runs: the model has not taken it yet".to_owned())
        }
        Seen::Thread(ThreadStatus::Other(status)) => Fate::Open(format!("its server reports \"{status}\"")),
        Seen::NoServer | Seen::Thread(ThreadStatus::NotLoaded) => without_server(),
        Seen::Thread(ThreadStatus::Idle | ThreadStatus::SystemError)
            if command.kind == CommandKind::RequestWorkerCompact =>
        {
            compact::fate(store, target, command, unread)?
        }
        Seen::Thread(ThreadStatus::Idle | ThreadStatus::SystemError) => match servers.has(cx, target, &command.id) {
            Ok(false) => Fate::Absent,
            Ok(true) => Fate::Unproven("the session has it; its rollout is awaited".to_owned()),
            Err(error) => Fate::Open(error.to_string()),
        },
    })
}

pub(super) fn was_given_to_another_thread(command: &Command, target: &Session) -> bool {
    let thread = command.result.as_ref().and_then(|result| result["thread_id"].as_str());
    thread.is_some() && thread != target.codex_session_id.as_deref()
}

/// Ends a try that is proven to have brought nothing, or whose proof will never come.
pub(super) fn conclude(store: &Store, command: &Command, why: &str, ambiguous: bool, now: &Moment) -> Result<()> {
    let spent = command.attempts >= command.max_attempts;
    let phase = match (ambiguous, spent) {
        (true, _) => Phase::Ambiguous,
        (false, true) => Phase::Failed,
        (false, false) => Phase::Queued,
    };
    store.write_durably(|w| {
        let error = (phase != Phase::Queued).then_some(why);
        let step = Step { reason: Some(why), error, ..Step::default() };
        // Only if nobody else was faster: the try that runs would be theirs.
        if store::commands::advance(w, command, phase, step, now.wall)? {
            store::attempts::end(w, &command.id, AttemptState::Failed, ambiguous, None, Some(why), now.wall)?;
        }
        Ok::<_, store::Error>(())
    })?;
    Ok(())
}

/// Ends a command that came to nothing, for good.
pub(super) fn give_up(store: &Store, command: &Command, why: &str, now: &Moment) -> Result<()> {
    store.write_durably(|w| {
        let step = Step { reason: Some(why), error: Some(why), ..Step::default() };
        if store::commands::advance(w, command, Phase::Failed, step, now.wall)? {
            store::attempts::end(w, &command.id, AttemptState::Failed, true, None, Some(why), now.wall)?;
        }
        Ok::<_, store::Error>(())
    })?;
    Ok(())
}

pub(super) fn told(store: &Store, orders: &Orders, around: &Around, command: &Command) -> Result<Handled> {
    let mut handled = around.handled(orders, command, command.phase, false);
    handled.delivery_mode = Some("push");
    handled.lane = command.lane;
    handled.lane_reason.clone_from(&command.lane_reason);
    finish(store, &mut handled, command)?;
    Ok(handled)
}
