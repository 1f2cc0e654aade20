//! Typed messages whose fate is open: what the rollout and the pane tell of them, and where that lets them go on.
//!
//! The order of proof: the rollout, which ends everything; the process, with which the pane's marks end; the marks, which
//! say whether the text was put into the composer and whether it was submitted; the place of its marker on the screen.
//! What was counted is never typed again. Whoever looks takes the command over first, under a new fence: what its former
//! dispatcher still writes is refused by the ledger, and what it still types by the pane.

use super::{
    around::{Around, CRASHES, MOST_CRASHES, QUICKLY_FOLLOWED, Verdict},
    clear, compact, health,
    panes::{self, Held as Place},
    pass::{Handled, Orders, Paused},
    push::{self, Fate, LEASE, LOOK_AGAIN},
    servers::Servers,
    typed::{self, SUBMITTED, Work, end, retyped},
};
use crate::{
    actions::{Context, ingest, live},
    base::{Error, Moment, Result, crash},
    model::{
        codex::CodexVersion,
        delivery::{Command, Phase},
        pane::{DeferReason, Deferral, EmptyComposer, ready_for_text},
        session::{Registration, Session},
        typing::Sign,
    },
    ports::{
        process::ProcessId,
        tmux::{CaptureOptions, PaneId, PaneInfo, Press, Receipt, SignPlace, Target, TmuxError},
    },
    store::{self, Store, typed::TypedMessage},
};

/// An idle session that shows nothing of a message is looked at once more after this long.
const SURE_AFTER: i64 = 10_000;

/// What stands between the two looks, one for each conclusion.
const CLEARED: &str = "somebody has cleared it from the composer; it is looked for once more";
const STILL_THERE: &str = "it was submitted and stands in the composer again; it is looked at once more";
const UNSEEN: &str = "it was submitted, and its session is idle without a record of it; it is looked for once more";
/// Its time is over for so long, in milliseconds, that what hides its pane is not waited for any more.
const OVER: i64 = 60_000;
/// What an operator is told to do about a message that only a person can clear up.
const LOOK: &str = "look into its pane, then decide with `conveyor dispatch resolve`";
const SENT_BY_HAND: &str = "somebody has submitted it; the session's rollout is awaited";
const HAS_MOVED: &str = "the session has another thread now, and the one it was typed for is read no more";
const ENDED: &str = "its session has ended; its rollout is read once more";
/// What was submitted to a process that is gone did not arrive: its rollout was read to its end.
pub(super) const NOT_SHOWN: &str = "and its rollout does not show";

/// Looks after typed messages in flight, one after the other as long as `go_on` says yes. Gives those that were settled.
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
    let open = store.read(|r| store::typed::open(r, &now))?;
    let mut settled = Vec::new();
    for row in &open {
        if !go_on() {
            break;
        }
        let is_ours = orders.target_session_id.as_deref().is_none_or(|only| only == row.target_session_id);
        if is_ours && (row.is_due || is_orphan(cx, store, orders, row, &now)?) {
            settled.extend(look(cx, store, servers, orders, row)?);
        }
    }
    Ok(settled)
}

/// Whether a message is held by a dispatcher that is gone, or by this one, whose last pass broke off: nobody has to wait
/// for the end of the lease, but with a message that several have vanished with.
fn is_orphan(cx: &Context, store: &Store, orders: &Orders, row: &store::typed::Open, now: &Moment) -> Result<bool> {
    let Some(owner) = row.claimed_by.as_deref() else { return Ok(false) };
    if owner == orders.dispatcher_id {
        return Ok(true);
    }
    Ok(row.crash_count < QUICKLY_FOLLOWED && !health::id_may_act(cx, store, owner, now)?)
}

/// One look at one message. Gives what became of it, if it is settled.
fn look(
    cx: &Context,
    store: &Store,
    servers: &mut Servers,
    orders: &Orders,
    row: &store::typed::Open,
) -> Result<Option<Handled>> {
    let now = cx.moment();
    let read = |id: &str| store.read(|r| store::commands::by_id(r, id));
    let Some(command) = read(&row.command_id)?.filter(|command| command.phase == row.phase) else { return Ok(None) };
    let taken = store.write_durably(|w| store::claims::take_over(w, &command, &orders.dispatcher_id, LEASE, &now))?;
    let Some(command) = taken else { return Ok(None) };
    crash::point("taken_over");
    let (around, noted) =
        store.read(|r| Ok::<_, Error>((Around::of(r, &command)?, store::typed::of(r, &command.id)?)))?;
    if command.crash_count >= MOST_CRASHES {
        uncertain(store, &command, noted.as_ref(), &format!("{CRASHES}: {LOOK}"), &now)?;
        return push::told(store, orders, &around, &command).map(Some);
    }
    let session = around.target.clone().filter(|target| target.state == Registration::Active);
    let (Some(session), Some(noted)) = (session, noted.as_ref()) else {
        let why = "its target was deregistered before its rollout showed the message";
        uncertain(store, &command, noted.as_ref(), why, &now)?;
        return push::told(store, orders, &around, &command).map(Some);
    };
    // The rollout first: it settles everything.
    let slow = servers.panes.is_slow(cx, session.tmux_socket.as_deref());
    let session = match &slow {
        None => live::refresh(cx, store, session.clone()).map_or(session, |(session, _)| session),
        Some(_) => session,
    };
    let unread = ingest::ingest_while(cx, store, &session, &|| true).err();
    let fence = command.fence;
    let Some(command) = read(&command.id)? else { return Ok(None) };
    if in_flight(&command) {
        // Somebody has it in hand meanwhile, and what was seen here is about a former try.
        if command.fence != fence {
            return Ok(None);
        }
        let open =
            Open { cx, store, servers, around: &around, session, row: noted.clone(), over_for: row.over_for, unread };
        open.go_on(command.clone(), &now)?;
    }
    let after = read(&command.id)?;
    match after.filter(|after| !in_flight(after)) {
        Some(_) => push::told(store, orders, &around, &command).map(Some),
        None => Ok(None),
    }
}

/// Ends a message of which nobody will be able to tell whether it arrived.
fn uncertain(store: &Store, command: &Command, noted: Option<&TypedMessage>, why: &str, now: &Moment) -> Result<()> {
    match noted {
        Some(noted) => end(store, command, noted, Phase::Ambiguous, why, now.wall),
        None => push::conclude(store, command, why, true, now),
    }
}

/// Whether a former dispatcher may have been stopped before its key: that is pressed only for what stands in the ledger as
/// staged or submitted.
fn has_key_to_come(command: &Command) -> bool {
    matches!(command.phase, Phase::Staged | Phase::Submitted)
}

fn in_flight(command: &Command) -> bool {
    matches!(command.phase, Phase::Started | Phase::Staged | Phase::Submitted)
}

/// A message whose fate is open, with everything that can tell about it.
struct Open<'a> {
    cx: &'a Context,
    store: &'a Store,
    servers: &'a mut Servers,
    around: &'a Around,
    session: Session,
    row: TypedMessage,
    /// For how long its time has been over, in milliseconds.
    over_for: Option<i64>,
    /// Why its rollout could not be read to its end.
    unread: Option<Error>,
}

impl Open<'_> {
    fn go_on(self, command: Command, now: &Moment) -> Result<bool> {
        let pane: Option<PaneId> = self.row.pane_id.parse().ok();
        let process = ProcessId::from_stored(self.row.pane_pid, self.row.pane_pid_start);
        let socket = self.row.tmux_socket.clone();
        let place = match pane.zip(process) {
            // The marks and the process of another boot are gone, whatever has their names now.
            _ if self.row.boot_id != now.boot_id => Place::Gone("the machine was started anew"),
            None => Place::Gone(panes::PANE_GONE),
            Some(_) if panes::codex_has_ended(self.cx, &self.session) && !self.is_resumed() => {
                Place::Gone(panes::CODEX_ENDED)
            }
            Some((pane, process)) => self.servers.panes.held(self.cx, socket.as_deref(), pane, process),
        };
        let install = panes::install(self.cx)?;
        let target = Target {
            pane: pane.unwrap_or(PaneId::new(0)),
            process: process.unwrap_or(ProcessId { pid: 0, start_ticks: 0 }),
            install,
        };
        let version = self.session.codex_version.as_deref().and_then(|version| version.parse::<CodexVersion>().ok());
        let text = match retyped(&command, &self.row) {
            Ok(text) => text,
            Err(why) => {
                let why = format!("what was typed for it cannot be looked for any more, {why}: {LOOK}");
                end(self.store, &command, &self.row, Phase::Ambiguous, &why, now.wall)?;
                return Ok(false);
            }
        };
        let work = Work {
            cx: self.cx,
            store: self.store,
            text,
            row: self.row.clone(),
            command,
            tmux: panes::server(self.cx, socket.as_deref()),
            target,
            version: version.unwrap_or(CodexVersion::PUSH_FLOOR),
        };
        match place {
            // The pane is still there, and a person may start another Codex in it: a dispatcher that was stopped before it
            // pasted must not paste into that one.
            Place::Gone(panes::CODEX_ENDED)
                if work.command.phase == Phase::Started
                    && let Err(error @ TmuxError::Timeout(_)) = work.tmux.forgo(&work.target, work.row.number) =>
            {
                self.waits(&work, &format!("whether its former dispatcher still pastes it is not known: {error}"))
            }
            Place::Gone(why) => self.without_marks(&work, why, now),
            Place::Unseen(why) => self.waits(&work, &why),
            // Before anything is concluded from its marks: who had it before may be about to press the key.
            Place::Same(_)
                if has_key_to_come(&work.command)
                    && let Some(why) = work.hold() =>
            {
                let why = format!("whether its former dispatcher still submits it is not known: {why}");
                self.waits(&work, &why)
            }
            Place::Same(info) => match work.receipt() {
                Ok(Some(marks)) => self.by_marks(work, &info, &marks),
                Ok(None) => self.without_marks(&work, panes::PANE_GONE, now),
                Err(error) => {
                    let why = self.servers.panes.unseen(self.cx, socket.as_deref(), &error);
                    self.waits(&work, &why)
                }
            },
        }
    }

    /// Waits until its pane can be seen, as long as the message has time.
    fn waits(&self, work: &Work<'_>, why: &str) -> Result<bool> {
        if self.over_for.is_some_and(|over_for| over_for >= OVER) {
            return work.end(
                Phase::Ambiguous,
                &format!("its time ran out, and it is not seen whether it arrived ({why}): {LOOK}"),
            );
        }
        work.rest(LOOK_AGAIN, why)
    }

    /// The session was brought back in another pane: the one it was typed into is judged by its own process.
    fn is_resumed(&self) -> bool {
        self.session.tmux_pane_id.as_deref() != Some(&*self.row.pane_id)
            || self.session.pane_pid != Some(self.row.pane_pid)
    }

    /// The process that was typed into is gone, and the marks with it.
    fn without_marks(&self, work: &Work<'_>, why: &str, now: &Moment) -> Result<bool> {
        let command = &work.command;
        if command.phase == Phase::Started {
            // Only what stands in the ledger as staged is ever submitted.
            return work.give_back(why);
        }
        if work.is_clear() && self.was_cleared(work)? {
            return Ok(false);
        }
        if let Some(error) = &self.unread {
            return work.end(Phase::Ambiguous, &format!("{why}, and its rollout cannot be read: {error}"));
        }
        if self.row.boot_id != now.boot_id {
            let sought = work.sought();
            return work.end(Phase::Ambiguous, &format!("the machine went down before its rollout showed {sought}"));
        }
        if command.reason.as_deref() != Some(ENDED) {
            // What its writer was about to write is there by then.
            return work.rest(LOOK_AGAIN, ENDED);
        }
        if work.is_clear() && self.has_moved() {
            return work.end(Phase::Ambiguous, &format!("{why}, and {HAS_MOVED}"));
        }
        if work.is_clear() {
            return work.end(Phase::Failed, &format!("{why}, and no other thread was seen in it"));
        }
        work.end(Phase::Failed, &format!("{why}, {NOT_SHOWN} {}", work.sought()))
    }

    fn has_moved(&self) -> bool {
        self.row.thread_id.is_some() && self.row.thread_id != self.session.codex_session_id
    }

    /// Ends a request to clear when the session has another thread since.
    fn was_cleared(&self, work: &Work<'_>) -> Result<bool> {
        clear::confirm(self.cx, self.store, &work.command, &self.row, &self.session)
    }

    fn by_marks(&self, mut work: Work<'_>, info: &PaneInfo, marks: &Receipt) -> Result<bool> {
        let number = work.row.number;
        if marks.submitted >= number && work.command.phase != Phase::Submitted {
            // Its dispatcher did not live to say so.
            work.was_submitted()?;
            return Ok(false);
        }
        if work.command.phase == Phase::Started {
            if marks.staged < number {
                return work.forgo("its dispatcher vanished before it was typed");
            }
            if !work.advance(Phase::Staged, "it stands in the composer, where its dispatcher left it")? {
                return Ok(false);
            }
        }
        if work.is_clear() && self.was_cleared(&work)? {
            return Ok(false);
        }
        if self.has_moved() {
            let why = HAS_MOVED;
            if marks.submitted < number && marks.sign == SignPlace::InComposer {
                let why =
                    format!("{why}; its text stands in the composer, not submitted: clear it, or send it; {LOOK}");
                return work.end(Phase::Ambiguous, &why);
            }
            return work.end(Phase::Ambiguous, why);
        }
        if work.command.phase == Phase::Staged {
            self.staged(work, info, marks)
        } else {
            self.submitted(work, info, marks)
        }
    }

    /// It was put into the composer, and not submitted by us.
    fn staged(&self, mut work: Work<'_>, info: &PaneInfo, marks: &Receipt) -> Result<bool> {
        if self.over_for.is_some() {
            // Submitted now it would come later than it was meant to; a person can still send it or clear it.
            let last = work.command.reason.as_deref().unwrap_or(typed::IN_COMPOSER);
            let why =
                format!("its time ran out after it was put into the composer, and before the key ({last}): {LOOK}");
            return work.end(Phase::Ambiguous, &why);
        }
        if Paused::read(self.store)?.covers(work.command.task_id.as_deref()) {
            return work.rest(LOOK_AGAIN, "dispatch is paused; it stands in the composer");
        }
        match self.around.verdict(&work.command) {
            // A word that has become moot: it is better sent than left in the composer, where it would be in the way.
            Verdict::Deliver | Verdict::Over(Phase::Cancelled, _) => {}
            Verdict::Waits => return work.rest(LOOK_AGAIN, "its task is paused; it stands in the composer"),
            Verdict::Over(_, why) => {
                return work.end(Phase::Failed, &format!("{why}; its text was left in the composer, not submitted"));
            }
        }
        if marks.sign == SignPlace::InComposer {
            work.submit_when_shown(Press::First)?;
            return Ok(false);
        }
        match self.composer(&work, info) {
            Err(deferral) => work.put_off(&deferral.sentence),
            // A command leaves its own name nowhere: that one is somebody else's.
            Ok(_) if marks.sign == SignPlace::OnScreen && matches!(work.text.sign(), Sign::Marker(_)) => {
                if work.command.reason.as_deref() == Some(SENT_BY_HAND) && self.unread.is_none() {
                    let why = "its text stands on the screen, and the idle session's rollout does not show it";
                    return work.end(Phase::Ambiguous, &format!("{why}: {LOOK}"));
                }
                work.rest(SURE_AFTER, SENT_BY_HAND)
            }
            // The second look in a row at an idle session with an empty composer, and its rollout was read before it.
            Ok(composer) if work.command.reason.as_deref() == Some(CLEARED) && self.unread.is_none() => {
                restage(&mut work, composer)
            }
            Ok(_) => work.rest(SURE_AFTER, CLEARED),
        }
    }

    /// It was submitted, and its echo is missing.
    fn submitted(&self, mut work: Work<'_>, info: &PaneInfo, marks: &Receipt) -> Result<bool> {
        let reason = work.command.reason.clone();
        let was_seen_so = |what: &str| reason.as_deref() == Some(what);
        let idle = match self.composer(&work, info) {
            Ok(_) => true,
            // A text in the composer of a session that does nothing else.
            Err(deferral) if matches!(deferral.reason, DeferReason::Draft | DeferReason::Popup) => true,
            // Its turn comes when the one that runs has ended.
            Err(deferral) if matches!(deferral.reason, DeferReason::Busy | DeferReason::Modal) => {
                if work.is_clear() && marks.sign != SignPlace::InComposer {
                    clear::note_turn(self.store, &work.command)?;
                }
                return work.rest(LOOK_AGAIN, &format!("{SUBMITTED}: {}", deferral.sentence));
            }
            Err(deferral) => return self.waits(&work, &format!("{SUBMITTED}: {}", deferral.sentence)),
        };
        if let Some(error) = self.unread.as_ref().filter(|_| idle) {
            return self.waits(&work, &format!("its rollout cannot be read: {error}"));
        }
        match marks.sign {
            SignPlace::InComposer if was_seen_so(STILL_THERE) => {
                work.submit_when_shown(Press::Again)?;
                Ok(false)
            }
            SignPlace::InComposer => work.rest(SURE_AFTER, STILL_THERE),
            SignPlace::Absent | SignPlace::OnScreen if was_seen_so(UNSEEN) => {
                if let Some(why) = self.came_to_nothing(&work, marks)? {
                    return work.end(Phase::Failed, &why);
                }
                let why = match work.is_clear() {
                    true => "it was submitted, and which thread its pane shows is not seen",
                    false => "it was submitted, and the idle session's rollout does not show it",
                };
                work.end(Phase::Ambiguous, why)
            }
            SignPlace::Absent | SignPlace::OnScreen => work.rest(SURE_AFTER, UNSEEN),
        }
    }

    /// What is seen of a command of Codex that was submitted and came to nothing.
    fn came_to_nothing(&self, work: &Work<'_>, marks: &Receipt) -> Result<Option<String>> {
        if matches!(work.text.sign(), Sign::Marker(_)) || marks.sign != SignPlace::Absent {
            return Ok(None);
        }
        if work.is_clear() {
            return Ok(clear::came_to_nothing(self.cx, &self.session, &self.row));
        }
        match compact::fate(self.store, &self.session, &work.command, self.unread.as_ref())? {
            Fate::Failed(why) => Ok(Some(why)),
            Fate::Open(_) | Fate::Absent | Fate::Unproven(_) | Fate::Never(_) => Ok(None),
        }
    }

    fn composer(&self, work: &Work<'_>, info: &PaneInfo) -> Result<EmptyComposer, Deferral> {
        let options = CaptureOptions { escapes: true, ..CaptureOptions::default() };
        let unseen =
            |sentence: String| Deferral { reason: DeferReason::Unrecognised, sentence, prompt: None, evidence: None };
        let screen = work.tmux.capture(work.target.pane, options).map_err(|error| unseen(error.to_string()))?;
        ready_for_text(&panes::look(&screen, info))
    }
}

/// Puts a text once more into the composer from which somebody has cleared it, under a number of its own.
fn restage(work: &mut Work<'_>, composer: EmptyComposer) -> Result<bool> {
    let now = work.cx.now();
    let step = store::commands::Step { reason: Some("it is typed once more"), ..store::commands::Step::default() };
    let moved = work.store.write_durably(|w| {
        // Nothing is begun once a pause is in force, and one may have come since the last look.
        if Paused::of(w.read())?.covers(work.command.task_id.as_deref()) {
            return Ok(None);
        }
        if !store::commands::advance(w, &work.command, Phase::Started, step, now)? {
            return Ok(None);
        }
        let number = store::typed::renumber(w, &work.command.id)?;
        Ok::<_, store::Error>(store::commands::by_id(w.read(), &work.command.id)?.map(|command| (command, number)))
    })?;
    let Some((command, number)) = moved else { return Ok(false) };
    (work.command, work.row.number) = (command, number);
    crash::point("renumbered");
    if work.stage(composer)? {
        work.submit_when_shown(Press::First)?;
    }
    Ok(false)
}
