//! Messages that are typed into a session's pane: put into the composer, submitted, and believed only by their echo.
//!
//! Before anything is typed the ledger says so (`started`), on disk, with the number that the pane will count, the hash
//! of the text, and from where on its echo counts. `staged` and `submitted` follow what the pane has counted. `done` is
//! written by ingest alone, with the line that shows the text. What was interrupted goes on in `typed_after`.
//!
//! Commands of Codex are typed too, alone: of `/compact` the compaction that the rollout records is the proof, of `/clear`
//! the thread that the pane shows then.
//!
//! What is too long, or cannot be typed as it is, lies in the inbox, and a pointer to it is typed: its echo makes the
//! command `delivered`, and only the reader's confirmation makes it `done`.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    around::Around,
    clear, compact, into_inbox,
    panes::{self, Ready},
    pass::{self, Handled, Orders, Paused, Push},
    push::{self, LEASE, LOOK_AGAIN, PROOF_PATIENCE, TOO_LATE},
    servers::{Servers, Way},
    ways,
};
use crate::{
    actions::{Context, echo},
    base::{Error, Result, Timestamp, crash},
    model::{
        codex::{CodexVersion, submit_key},
        delivery::{AttemptState, Command, CommandKind, Lane, Phase},
        pane::{EmptyComposer, Held, Steering, composer_holds},
        typing::{ControlCommand, Loss, Marker, Sign, TypedText, Typing, typed_message},
    },
    ports::env::Env,
    ports::tmux::{
        BufferName, CaptureOptions, Press, Receipt, Refusal, SendOutcome, Staging, Submission, Target, Tmux, TmuxError,
    },
    store::{self, Store, commands::Step, typed::TypedMessage},
};

/// How long Codex may take to show a pasted text in the pass itself, in milliseconds.
const TEXT_PATIENCE: i64 = 1_000;
const TEXT_LOOKS: Duration = Duration::from_millis(15);

pub(super) const IN_COMPOSER: &str = "it stands in the composer, not submitted yet";
pub(super) const SUBMITTED: &str = "it was submitted; the session's rollout is awaited";
const HELD_UP: &str = "its dispatcher was held up";

/// What is typed for a command.
struct Plan {
    text: TypedText,
    /// The text without header and marker.
    body: String,
    /// The message itself lies in the inbox, and why it is not typed.
    pointer: Option<String>,
}

/// Begins the try of a message whose turn it is, and brings it as far as it goes now. None when something has changed
/// since its turn came.
///
/// # Errors
/// When the ledger fails. What was begun is looked after by the next pass.
pub(super) fn deliver(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    orders: &Orders,
    push: Push,
    is_fresh: bool,
) -> Result<Option<Handled>> {
    let Push { command, way } = push;
    let way = if is_fresh {
        way
    } else {
        // Other sessions came in between.
        match store.read(|r| store::sessions::by_id(r, &command.target_session_id))? {
            Some(session) => ways::choose(cx, servers, &session, command.kind),
            None => return Ok(None),
        }
    };
    let Way::Typed(ready) = way else { return Ok(None) };
    let composer = ready.composer;
    let Tried { mut work, around, attempt_id, begun_at } = match begin(cx, store, orders, &command, *ready)? {
        Some(Beginning::Tried(tried)) => *tried,
        Some(Beginning::Laid(handled)) => return Ok(Some(*handled)),
        None => return Ok(None),
    };
    crash::point("started");
    if cx.moment().uptime - begun_at > TOO_LATE {
        work.give_back(HELD_UP)?;
    } else if work.stage(composer)? {
        work.submit_when_shown(Press::First)?;
    }
    let mut handled = around.handled(orders, &command, Phase::Started, false);
    handled.attempt_id = Some(attempt_id);
    work.tell(&mut handled)?;
    Ok(Some(handled))
}

/// A try on record, to be made.
struct Tried<'a> {
    work: Work<'a>,
    around: Around,
    attempt_id: i64,
    /// When it was recorded, in milliseconds since the boot.
    begun_at: i64,
}

/// What became of a message whose turn it was.
enum Beginning<'a> {
    /// Its try is on record.
    Tried(Box<Tried<'a>>),
    /// Neither it nor a pointer to it can be typed: it lies in the inbox.
    Laid(Box<Handled>),
}

/// Records the try with everything that is needed to go on with it, all or nothing.
fn begin<'a>(
    cx: &'a Context,
    store: &'a Store,
    orders: &Orders,
    command: &Command,
    ready: Ready,
) -> Result<Option<Beginning<'a>>> {
    let Ready { target, socket, version, composer: _, not_queued } = ready;
    let now = cx.moment();
    let begun = store.write_durably(|w| {
        let Some(around) = pass::may_begin(w, command)? else { return Ok(None) };
        let Some(session) = around.target.as_ref() else { return Ok(None) };
        let is_there = session.tmux_pane_id.as_deref() == Some(&*target.pane.to_string())
            && session.tmux_socket == socket
            && session.pane_pid == Some(i64::from(target.process.pid));
        if !is_there {
            return Ok(None);
        }
        let plan = match plan(cx.env(), command, &around) {
            Ok(plan) => plan,
            Err(why) => {
                let laid = into_inbox::put_into_inbox(w, orders, command, &around, &why, /*dry_run*/ false, &now)?;
                return Ok(Some(Err(laid)));
            }
        };
        let is_clear = command.kind == CommandKind::RequestWorkerClear;
        let mut why = if is_clear { clear::TYPED } else { panes::TYPED }.to_owned();
        if let Some(pointer) = &plan.pointer {
            why = format!("{why}, and it tells of the inbox: {pointer}");
        }
        let thread = session.codex_session_id.clone();
        let mut result = json!({"pane": target.pane.to_string(), "thread_id": thread});
        if let Some(not_queued) = &not_queued {
            // For whoever asks why the queue was no way; the message goes, so its receipt does not say it each time.
            result["not_queued"] = json!(not_queued);
        }
        if command.kind.control().is_some() && !compact::note_end(w.read(), session, &mut result)? {
            return Ok(None);
        }
        if is_clear && !clear::is_about(command, session) {
            return Ok(None);
        }
        let by = &orders.dispatcher_id;
        let Some(begun) = store::claims::begin_try(w, command, by, (Lane::Tmux, &why), &result, LEASE, &now)? else {
            return Ok(None);
        };
        let notification_id = match plan.pointer {
            Some(_) => Some(into_inbox::lay_into_inbox(w, orders, &begun.command, &around, &now)?),
            None => None,
        };
        let cursor = store::rollouts::current(w.read(), &session.id)?;
        let new = TypedMessage {
            command_id: command.id.clone(),
            session_id: session.id.clone(),
            number: 0,
            marker: Marker::of_command(&command.id).to_string(),
            text_sha256: plan.text.sha256(),
            body: plan.body,
            thread_id: thread,
            echo_from_offset: cursor.as_ref().map_or(0, |cursor| cursor.next_offset),
            rollout_path: cursor.map(|cursor| cursor.path),
            tmux_socket: socket.clone(),
            pane_id: target.pane.to_string(),
            pane_pid: i64::from(target.process.pid),
            pane_pid_start: i64::try_from(target.process.start_ticks).unwrap_or_default(),
            boot_id: now.boot_id.clone(),
            notification_id,
        };
        let row = store::typed::begin(w, &new, now.wall)?;
        Ok::<_, Error>(Some(Ok((begun, around, row, plan.text))))
    })?;
    let (begun, around, row, text) = match begun {
        Some(Ok(begun)) => begun,
        Some(Err(laid)) => return Ok(Some(Beginning::Laid(Box::new(laid)))),
        None => return Ok(None),
    };
    let work = Work {
        cx,
        store,
        command: begun.command,
        tmux: panes::server(cx, row.tmux_socket.as_deref()),
        row,
        text,
        target,
        version,
    };
    let tried = Tried { work, around, attempt_id: begun.attempt_id, begun_at: now.uptime };
    Ok(Some(Beginning::Tried(Box::new(tried))))
}

/// What is typed: a command of Codex, the message, or where it lies. Gives the reason when none of it can be typed.
fn plan(env: &Env, command: &Command, around: &Around) -> Result<Plan, String> {
    let marker = Marker::of_command(&command.id);
    if let Some(control) = command.kind.control() {
        let text = TypedText::command(control);
        return Ok(Plan { body: text.as_str().to_owned(), text, pointer: None });
    }
    let speaker = push::speaker(command, around);
    let message = command.message().unwrap_or_default();
    let body = format!("{speaker}:\n\n{message}");
    let why = match typed_message(body.as_bytes(), &marker, Loss::Refused) {
        Ok(Typing::Typed { text, .. }) => return Ok(Plan { text, body, pointer: None }),
        Ok(Typing::ThroughInbox(reason)) => reason.to_string(),
        Err(reason) => reason.to_string(),
    };
    let reader = around.target.as_ref().map_or("SESSION", |target| target.name.as_str());
    let path = around.target.as_ref().map(|target| env.path_option(&target.cwd)).unwrap_or_default();
    let body = format!(
        "{speaker}: a message of {} characters lies in your inbox ({}). Take it with `conveyor receive {reader} --json{path}`, \
         read it, and confirm it with `conveyor ack TOKEN{path}`.",
        message.chars().count(),
        command.id,
    );
    let text = typed(&body, &marker)?;
    Ok(Plan { text, body, pointer: Some(why) })
}

/// What was to be typed for a command, once more. Gives the reason when this program would not type it.
pub(super) fn retyped(command: &Command, row: &TypedMessage) -> Result<TypedText, String> {
    if let Some(control) = command.kind.control() {
        return Ok(TypedText::command(control));
    }
    typed(&row.body, &Marker::parse(&row.marker).map_err(|error| error.to_string())?)
}

/// Why a message of the operator's to a session would not be typed whole, but lie in its inbox with a pointer typed;
/// none when it would be typed, and while nothing is said in it.
#[must_use]
pub fn not_typed_because(message: &str) -> Option<String> {
    // Every marker is as long as another.
    let marker = Marker::of_command("");
    let body = format!("From {}:\n\n{message}", push::OPERATOR);
    match typed_message(body.as_bytes(), &marker, Loss::Refused) {
        _ if message.trim().is_empty() => None,
        Ok(Typing::Typed { .. }) => None,
        Ok(Typing::ThroughInbox(reason)) => Some(reason.to_string()),
        Err(reason) => Some(reason.to_string()),
    }
}

fn typed(body: &str, marker: &Marker) -> Result<TypedText, String> {
    match typed_message(body.as_bytes(), marker, Loss::Refused) {
        Ok(Typing::Typed { text, .. }) => Ok(text),
        Ok(Typing::ThroughInbox(reason)) => Err(reason.to_string()),
        Err(reason) => Err(reason.to_string()),
    }
}

/// A message on its way into a pane, under the fence of whoever brings it there.
pub(super) struct Work<'a> {
    pub(super) cx: &'a Context,
    pub(super) store: &'a Store,
    pub(super) command: Command,
    pub(super) row: TypedMessage,
    pub(super) text: TypedText,
    pub(super) tmux: Arc<dyn Tmux>,
    pub(super) target: Target,
    pub(super) version: CodexVersion,
}

impl Work<'_> {
    /// What its session's rollout is to show.
    pub(super) fn sought(&self) -> &'static str {
        match self.text.sign() {
            Sign::Marker(_) => "the message",
            Sign::Command(ControlCommand::Compact) => "a compaction for it",
            Sign::Command(ControlCommand::Clear) => "that it was left for another thread",
        }
    }

    /// Whether it has the session leave its thread.
    pub(super) fn is_clear(&self) -> bool {
        *self.text.sign() == Sign::Command(ControlCommand::Clear)
    }

    /// The last look before an effect: whether this dispatcher still has the message in hand. What comes between it and
    /// the effect is for the pane to refuse.
    fn is_ours(&self) -> Result<bool> {
        push::is_ours(self.store, &self.command)
    }

    fn fence(&self) -> u64 {
        u64::try_from(self.command.fence).unwrap_or_default()
    }

    /// Tells the pane that the message is in hand under this fence: its former dispatcher cannot submit it any more. Gives
    /// the reason when that is not known.
    pub(super) fn hold(&self) -> Option<String> {
        match self.tmux.hold(&self.target, self.row.number, self.fence()) {
            // Where another process or owner is, or nothing, nobody can submit it either.
            Ok(SendOutcome::Done | SendOutcome::Refused(_)) => None,
            Ok(SendOutcome::Unknown(why)) => Some(why),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Puts the text into the composer; true when it stands there.
    pub(super) fn stage(&mut self, composer: EmptyComposer) -> Result<bool> {
        let buffer = match BufferName::new(&self.target.install, &self.row.marker, self.fence()) {
            Ok(buffer) => buffer,
            // Under this number nothing was typed, and nothing will be.
            Err(error) => return self.end(Phase::Failed, &format!("its paste buffer cannot be named: {error}")),
        };
        if !self.is_ours()? {
            return Ok(false);
        }
        let staging = Staging { seq: self.row.number, text: &self.text, composer, buffer, steering: Steering::Waits };
        let outcome = self.tmux.stage(&self.target, &staging);
        crash::point("pasted");
        match outcome {
            Ok(SendOutcome::Done) => self.advance(Phase::Staged, IN_COMPOSER),
            Ok(SendOutcome::Refused(Refusal::AlreadyStaged)) => {
                // The pane tells more when it is looked at.
                self.rest(0, "its number was counted already")
            }
            Ok(SendOutcome::Refused(refusal)) => self.give_back(&refusal.to_string()),
            Err(error) => self.give_back(&format!("not typed: {error}")),
            Ok(SendOutcome::Unknown(why)) => match self.receipt() {
                Ok(Some(marks)) if marks.staged >= self.row.number => self.advance(Phase::Staged, IN_COMPOSER),
                Ok(Some(_)) => self.forgo(&why),
                Ok(None) | Err(_) => self.rest(LOOK_AGAIN, &why),
            },
        }
    }

    /// Presses the key once the composer shows the whole text and nothing else.
    pub(super) fn submit_when_shown(&mut self, press: Press) -> Result<()> {
        crash::point("staged");
        if Paused::read(self.store)?.covers(self.command.task_id.as_deref()) {
            self.rest(LOOK_AGAIN, "dispatch is paused; it stands in the composer")?;
            return Ok(());
        }
        let held = match self.shown() {
            Ok(held) => held,
            Err(error) => {
                self.rest(LOOK_AGAIN, &error.to_string())?;
                return Ok(());
            }
        };
        let in_the_way = match held {
            Held::Whole | Held::End if self.is_clear() => clear::in_the_way(self.cx, self.store, &self.row)?,
            Held::Whole | Held::End => None,
            Held::Changed => Some("the composer holds more than the message, or not all of it"),
            Held::Hidden => Some("something hides the composer in which it stands"),
        };
        if let Some(why) = in_the_way {
            self.put_off(why)?;
            return Ok(());
        }
        self.submit(press)
    }

    /// What the composer holds, once Codex has drawn the text or had its time for it.
    fn shown(&self) -> Result<Held, TmuxError> {
        let clock = self.cx.clock();
        let begun = clock.uptime_millis();
        loop {
            let screen = self.tmux.capture(self.target.pane, CaptureOptions::default())?;
            let held = composer_holds(&screen, &self.text);
            if matches!(held, Held::Whole | Held::End) || clock.uptime_millis() - begun >= TEXT_PATIENCE {
                return Ok(held);
            }
            clock.sleep(TEXT_LOOKS);
        }
    }

    fn submit(&mut self, press: Press) -> Result<()> {
        if !self.is_ours()? {
            return Ok(());
        }
        let submission = Submission {
            seq: self.row.number,
            fence: self.fence(),
            sign: self.text.sign(),
            key: submit_key(Some(self.version)),
            press,
            steering: Steering::Waits,
        };
        let outcome = self.tmux.submit(&self.target, &submission);
        crash::point("pressed");
        let was_pressed = match outcome {
            Ok(SendOutcome::Done | SendOutcome::Refused(Refusal::AlreadySubmitted)) => true,
            Ok(SendOutcome::Refused(refusal)) => {
                self.put_off(&refusal.to_string())?;
                false
            }
            Err(error) => {
                self.rest(LOOK_AGAIN, &format!("not submitted: {error}"))?;
                false
            }
            Ok(SendOutcome::Unknown(why)) => {
                let was_pressed = matches!(self.receipt(), Ok(Some(marks)) if marks.submitted >= self.row.number);
                if !was_pressed {
                    self.rest(LOOK_AGAIN, &why)?;
                }
                was_pressed
            }
        };
        if was_pressed { self.was_submitted() } else { Ok(()) }
    }

    /// The pane has counted the key: says so, and waits a moment for the echo.
    pub(super) fn was_submitted(&mut self) -> Result<()> {
        if self.command.phase != Phase::Submitted && !self.advance(Phase::Submitted, SUBMITTED)? {
            return Ok(());
        }
        crash::point("submitted");
        if self.is_clear() {
            clear::await_thread(self.cx, self.store, &self.command, &self.row)?;
            self.rest(LOOK_AGAIN, clear::SUBMITTED)?;
            return Ok(());
        }
        let session = self.store.read(|r| store::sessions::by_id(r, &self.command.target_session_id))?;
        if let Some(session) = session {
            push::await_proof(self.cx, self.store, &session, &self.command, PROOF_PATIENCE);
        }
        // Nothing is changed when the echo has come.
        self.rest(LOOK_AGAIN, SUBMITTED)?;
        Ok(())
    }

    /// Makes sure that the number is never staged, however late a step for it arrives; then the message waits again.
    pub(super) fn forgo(&mut self, why: &str) -> Result<bool> {
        match self.tmux.forgo(&self.target, self.row.number) {
            Ok(SendOutcome::Done) => {
                crash::point("forgone");
                self.sweep();
                self.give_back(why)
            }
            Ok(SendOutcome::Refused(Refusal::AlreadyStaged)) => self.rest(0, "it was put into the composer late"),
            // The process for which it was is gone, and every step for it is refused.
            Ok(SendOutcome::Refused(
                Refusal::PaneGone | Refusal::ProcessChanged | Refusal::Dead | Refusal::OwnedByOther,
            )) => self.give_back(why),
            Ok(other) => self.rest(LOOK_AGAIN, &other.to_string()),
            Err(error) => self.rest(LOOK_AGAIN, &error.to_string()),
        }
    }

    /// Removes paste buffers that dispatchers have left which died before their text was pasted.
    fn sweep(&self) {
        let install = &self.target.install;
        let Ok(under_way) = self.store.read(store::typed::under_way) else { return };
        let others = under_way.iter().filter(|(marker, _)| *marker != self.row.marker);
        let keep: Result<Vec<_>, _> = others.map(|(marker, fence)| BufferName::new(install, marker, *fence)).collect();
        // What stays behind is removed by the next one.
        let _ = keep.and_then(|keep| self.tmux.sweep_buffers(install, &keep));
    }

    /// The marks of the pane.
    pub(super) fn receipt(&self) -> Result<Option<Receipt>, TmuxError> {
        self.tmux.receipt(self.target.pane, &self.target.install, self.text.sign())
    }

    /// Moves the command on under its fence; false when somebody else has.
    pub(super) fn advance(&mut self, to: Phase, reason: &str) -> Result<bool> {
        let now = self.cx.now();
        let step = Step { reason: Some(reason), ..Step::default() };
        let moved = self.store.write_durably(|w| {
            if !store::commands::advance(w, &self.command, to, step, now)? {
                return Ok(None);
            }
            store::commands::by_id(w.read(), &self.command.id)
        })?;
        let is_ours = moved.is_some();
        if let Some(command) = moved {
            self.command = command;
        }
        Ok(is_ours)
    }

    /// Lets go of the message in its phase; it is looked at again. False, as it goes no further now.
    pub(super) fn rest(&self, wait: i64, reason: &str) -> Result<bool> {
        let now = self.cx.moment();
        self.store.write(|w| store::claims::rest(w, &self.command, wait, reason, &now))?;
        Ok(false)
    }

    /// The same for what a person or a turn stands in the way of: the waits grow.
    pub(super) fn put_off(&self, reason: &str) -> Result<bool> {
        self.rest(push::delay(self.command.defer_count), reason)
    }

    /// Nothing was typed: the message waits again, and no try is spent.
    pub(super) fn give_back(&self, why: &str) -> Result<bool> {
        push::give_back(self.store, &self.command, why, false, &self.cx.moment())?;
        Ok(false)
    }

    /// Ends the command.
    pub(super) fn end(&self, phase: Phase, why: &str) -> Result<bool> {
        end(self.store, &self.command, &self.row, phase, why, self.cx.now())?;
        Ok(false)
    }

    /// Writes how far it has come into what is told about it.
    pub(super) fn tell(&self, handled: &mut Handled) -> Result<()> {
        handled.delivery_mode = Some("push");
        handled.lane = self.command.lane;
        handled.lane_reason.clone_from(&self.command.lane_reason);
        handled.notification_id = self.row.notification_id;
        push::finish(self.store, handled, &self.command)
    }
}

/// Ends a command. A pointer that did not arrive leaves its message in the inbox, where it lies anyway.
pub(super) fn end(
    store: &Store,
    command: &Command,
    row: &TypedMessage,
    phase: Phase,
    why: &str,
    now: Timestamp,
) -> Result<()> {
    let lies_there = row.notification_id.is_some();
    let phase = if lies_there { Phase::Delivered } else { phase };
    let error = (!lies_there).then_some(why);
    store.write_durably(|w| {
        let result = command.result.clone().unwrap_or_else(|| json!({}));
        if let Some(id) = row.notification_id
            && echo::confirm_had(w, command, id, &result, now)?
        {
            return Ok(());
        }
        let step = Step { reason: Some(why), error, ..Step::default() };
        // Only if nobody else was faster: the try that runs would be theirs.
        if store::commands::advance(w, command, phase, step, now)? {
            let is_open = phase == Phase::Ambiguous;
            store::attempts::end(w, &command.id, AttemptState::Failed, is_open, None, Some(why), now)?;
        }
        Ok::<_, Error>(())
    })
}
