//! `session-interrupt`: end the turn that runs in a session, with the proof that it ended.
//!
//! Codex's server is told which turn is meant; without it one Esc goes to the pane, only while the screen shows that a
//! turn runs and no dialog stands there, in which Esc would mean no. Nothing is pressed twice.

mod asking;

use std::{
    cell::Cell,
    fmt, thread,
    time::{Duration, Instant},
};

use asking::Asked;
use serde::Serialize;
use serde_json::json;

use super::{
    Action, Argv, Context, Format, Outcome, SessionNudge, TIME_TO_LIVE, TextArg,
    caller::{self, Origin},
    live, lookup,
    questions::QuestionView,
    sense::Look,
    supervise::gate,
};
use crate::{
    base::{Error, Kind, Result, Timestamp},
    model::{interruption::InterruptOutcome, progress::EndKind, session::Session, state::Source, supervision::Deed},
    store::{self, Store, audit},
};

/// Between two looks at the rollout or the screen.
const PAUSE: Duration = Duration::from_millis(40);
/// Interrupt the turn that runs in a session, and wait for the proof
///
/// Through Codex's server when it has the session, else with one Esc into its pane. An open approval or question is
/// never touched: it is shown, and `session-answer` answers it. Exit code 0 means that no turn runs any more (the
/// rollout shows the interrupted one, or there was none), 1 that nothing was done, 4 that the proof is still out, 5 that
/// nobody can tell.
///
/// Example: `conveyor session-interrupt w1 --followup "stop the migration and report"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct SessionInterrupt {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// A message for the session, queued once no turn runs any more; `-` reads standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub followup: Option<TextArg>,
    /// Wait so many seconds for the proof
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub wait: u64,
    /// Do not wait for the proof
    #[arg(long, conflicts_with_all = ["wait", "followup"])]
    pub no_wait: bool,
}

/// Where the rollout shows the end of the turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TurnProof {
    byte_offset: u64,
    ended: EndKind,
    path: String,
    turn_id: Option<String>,
}

/// What became of an interruption.
#[derive(Debug, Serialize)]
pub struct Interrupted {
    dry_run: bool,
    /// What became of the message behind it; none when none was given.
    followup: Option<Followup>,
    /// The key that was pressed; none through the server, or when nothing was.
    key: Option<&'static str>,
    /// `server` or `screen`: the way it took.
    lane: Option<Source>,
    outcome: InterruptOutcome,
    proof: Option<TurnProof>,
    /// What is asked, when that is in the way.
    questions: Vec<QuestionView>,
    /// Why it ended so.
    reason: Option<String>,
    session: String,
    /// The thread or the pane.
    target: Option<String>,
    time: Timestamp,
    turn_id: Option<String>,
}

/// What became of the message behind an interruption.
#[derive(Debug, Serialize)]
pub struct Followup {
    /// It was queued; the command says how far it has come.
    queued: bool,
    /// The command, as `session-nudge` shows it.
    command: Option<serde_json::Value>,
    /// Why it was not queued.
    reason: Option<String>,
    text: String,
}

impl Action for SessionInterrupt {
    const NAME: &'static str = "session-interrupt";
    const FORMAT: Format = Format::Json;
    type Output = Interrupted;

    fn run(self, cx: &Context) -> Result<Interrupted> {
        let followup = self.followup.as_ref().map(TextArg::get).transpose()?.map(str::to_owned);
        if followup.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(Error::usage("--followup must not be empty"));
        }
        // A turn is not ended for a message that cannot be sent.
        if let Some(text) = &followup {
            message(&self.session, text.clone(), self.wait).check()?;
        }
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        store.read(|r| lookup::check_active(r, &session))?;
        let origin = caller::origin(cx, &store)?;
        gate::hold(cx, &store, &origin, Deed::Interrupt, &session)?;
        let (session, look) = live::refresh(cx, &store, session)?;
        let before = End::last(&store, &session)?;
        let mut done = Interrupted {
            dry_run: cx.dry_run(),
            followup: None,
            key: None,
            lane: None,
            outcome: InterruptOutcome::Refused,
            proof: None,
            questions: Vec::new(),
            reason: None,
            session: session.name.clone(),
            target: None,
            time: cx.now(),
            turn_id: None,
        };
        let patience = Duration::from_secs(if self.no_wait { 0 } else { self.wait });
        let run = Run {
            cx,
            store: &store,
            origin: &origin,
            session: &session,
            followup_length: followup.as_ref().map_or(0, |text| text.chars().count()),
            has_begun: Cell::new(false),
        };
        // What was pressed or sent is told, also when nobody can say or write down what came of it: an error would have
        // somebody press once more, perhaps into the next turn.
        match run.ask_and_conclude(&look, &before, patience, &mut done) {
            Ok(()) => run.note_end(&mut done)?,
            Err(error) => {
                run.note_failure(&error, &mut done);
                if !run.may_have_happened(&done) {
                    return Err(error);
                }
            }
        }
        if let Some(text) = followup {
            done.followup = Some(run.follow_up(text, done.outcome, self.wait)?);
        }
        Ok(done)
    }

    fn argv(&self) -> Argv {
        let Self { session, followup, wait, no_wait } = self;
        Argv::new(Self::NAME)
            .text("--followup", followup.as_ref())
            .option("--wait", (!no_wait).then_some(wait))
            .switch("--no-wait", *no_wait)
            .end_of_options()
            .word(session)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.followup.iter_mut().collect()
    }
}

/// The newest end of a turn in the rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    /// The open turn, when one is open.
    open: Option<Option<String>>,
    last: Option<TurnProof>,
}

impl End {
    fn last(store: &Store, session: &Session) -> Result<Self> {
        let cursor = store.read(|r| store::rollouts::current(r, &session.id))?;
        let Some(cursor) = cursor else { return Ok(Self { open: None, last: None }) };
        let path = cursor.path;
        let last = cursor.progress.last_end.map(|end| TurnProof {
            byte_offset: end.byte_offset,
            ended: end.kind,
            path,
            turn_id: end.turn_id,
        });
        Ok(Self { open: cursor.progress.open_turn.map(|turn| turn.turn_id), last })
    }
}

struct Run<'c> {
    cx: &'c Context,
    store: &'c Store,
    origin: &'c Origin,
    session: &'c Session,
    followup_length: usize,
    /// The audit trail says that it begins.
    has_begun: Cell<bool>,
}

impl Run<'_> {
    fn ask_and_conclude(&self, look: &Look, before: &End, patience: Duration, done: &mut Interrupted) -> Result<()> {
        let asked = self.ask(look, done)?;
        self.conclude(asked, before, patience, done)?;
        if done.outcome == InterruptOutcome::QuestionOpen {
            let now = self.cx.now();
            let open = self.store.read(|r| store::questions::open(r, &self.session.id))?;
            done.questions = open.into_iter().map(|asked| QuestionView::of(asked, now)).collect();
        }
        Ok(())
    }

    /// Says what became of one that has begun and failed. The error itself comes first: when this cannot be written
    /// either, the line that it begins stands alone, as after a crash.
    fn note_failure(&self, error: &Error, done: &mut Interrupted) {
        if !self.has_begun.get() {
            return;
        }
        let may_be_done = self.may_have_happened(done);
        done.outcome = if may_be_done { InterruptOutcome::Unknown } else { InterruptOutcome::Refused };
        done.reason = Some(error.in_full());
        self.note("session_interrupted", done).ok();
    }

    /// Whether something was pressed or sent, as far as one can tell: what goes through the server fails after it was sent.
    fn may_have_happened(&self, done: &Interrupted) -> bool {
        self.has_begun.get() && (done.key.is_some() || done.lane == Some(Source::Server))
    }

    /// Writes down what became of it. Where that fails after something was pressed, the result says so.
    fn note_end(&self, done: &mut Interrupted) -> Result<()> {
        match self.note("session_interrupted", done) {
            Err(error) if self.may_have_happened(done) => {
                let before = done.reason.take().map(|reason| format!("{reason}; ")).unwrap_or_default();
                done.reason = Some(format!("{before}its end is not in the audit trail: {}", error.in_full()));
                Ok(())
            }
            noted => noted,
        }
    }

    /// Writes once, before anything is pressed or sent, that it begins.
    fn note_begun(&self, done: &Interrupted) -> Result<()> {
        if !self.has_begun.get() {
            self.note("session_interrupt_begun", done)?;
            self.has_begun.set(true);
        }
        Ok(())
    }

    /// Waits for what the rollout says, and writes down how it ended.
    fn conclude(&self, asked: Asked, before: &End, patience: Duration, done: &mut Interrupted) -> Result<()> {
        let (doubt, ended) = match asked {
            Asked::Not(outcome, why) => {
                (done.outcome, done.reason) = (outcome, Some(why));
                return Ok(());
            }
            Asked::Done => (None, InterruptOutcome::Unconfirmed),
            Asked::Unknown(why) => (Some(why), InterruptOutcome::Unknown),
        };
        let begun = Instant::now();
        loop {
            let unread = live::take(self.cx, &self.session.id, &|| true).err();
            let now = End::last(self.store, self.session)?;
            let is_ours = |end: &TurnProof| match (&done.turn_id, &end.turn_id) {
                (Some(wanted), Some(turn)) => wanted == turn,
                _ => before
                    .last
                    .as_ref()
                    .is_none_or(|last| (&last.path, last.byte_offset) != (&end.path, end.byte_offset)),
            };
            if let Some(end) = now.last.filter(is_ours) {
                let aborted = end.ended == EndKind::Aborted;
                done.outcome = if aborted { InterruptOutcome::Interrupted } else { InterruptOutcome::EndedByItself };
                done.turn_id = done.turn_id.take().or_else(|| end.turn_id.clone());
                done.proof = Some(end);
                done.reason = doubt;
                return Ok(());
            }
            if begun.elapsed() >= patience {
                let unread = unread.map(|error| format!("its rollout cannot be read: {error}"));
                done.outcome = ended;
                done.reason =
                    doubt.or(unread).or_else(|| Some("its rollout does not show the end of the turn yet".to_owned()));
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
    }

    fn note(&self, kind: &str, done: &Interrupted) -> Result<()> {
        let now = self.cx.now();
        let actor = self.origin.actor(self.cx);
        let payload = json!({
            "caller": self.origin.name(),
            "followup_length": self.followup_length,
            "key": done.key,
            "lane": done.lane,
            "outcome": (kind == "session_interrupted").then_some(done.outcome),
            "proof": done.proof,
            "reason": done.reason,
            "session": self.session.name,
            "turn_id": done.turn_id,
        });
        let about = audit::About { task_id: None, session_id: Some(&self.session.id) };
        self.store.write_durably(|w| audit::append(w, now, actor, kind, about, &payload).map(drop))?;
        Ok(())
    }

    /// Queues the message behind it. While the turn may still run it would be lost with it, so then it is not accepted.
    fn follow_up(&self, text: String, outcome: InterruptOutcome, wait: u64) -> Result<Followup> {
        let is_over = match outcome {
            InterruptOutcome::Interrupted | InterruptOutcome::NothingToInterrupt | InterruptOutcome::EndedByItself => {
                true
            }
            InterruptOutcome::Planned => false,
            InterruptOutcome::QuestionOpen
            | InterruptOutcome::Refused
            | InterruptOutcome::Unconfirmed
            | InterruptOutcome::Unknown => false,
        };
        if !is_over {
            let reason = match outcome {
                InterruptOutcome::Planned => "it would be queued once the turn has ended",
                _ => "the turn may still run, and would take it along: send it with `session-nudge` when it has ended",
            };
            return Ok(Followup { queued: false, command: None, reason: Some(reason.to_owned()), text });
        }
        match message(&self.session.name, text.clone(), wait).run(self.cx) {
            Ok(nudged) => {
                let command = crate::base::json::value(&nudged).map_err(|error| {
                    Error::new(Kind::Bug, "the follow-up cannot be written as JSON").caused_by(error)
                })?;
                Ok(Followup { queued: !self.cx.dry_run(), command: Some(command), reason: None, text })
            }
            // The interruption has happened, and its result must not be lost with the message.
            Err(error) => Ok(Followup { queued: false, command: None, reason: Some(error.to_string()), text }),
        }
    }
}

/// The message behind an interruption.
fn message(session: &str, text: String, wait: u64) -> SessionNudge {
    SessionNudge {
        session: session.to_owned(),
        message: TextArg::Inline(text),
        wait,
        no_wait: false,
        idempotency_key: None,
        expires: TIME_TO_LIVE,
    }
}

impl Outcome for Interrupted {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Self { session, outcome, .. } = self;
        let why = self.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        match (outcome, &self.proof) {
            (InterruptOutcome::Interrupted, Some(proof)) => {
                writeln!(
                    out,
                    "the turn of {session} was interrupted: its rollout shows it at byte {}{}",
                    proof.byte_offset,
                    why.replacen(':', ";", 1)
                )?;
            }
            (InterruptOutcome::EndedByItself, Some(proof)) => {
                writeln!(out, "the turn of {session} ended by itself ({}) at byte {}", proof.ended, proof.byte_offset)?;
            }
            (InterruptOutcome::Planned, _) => writeln!(out, "would interrupt the turn of {session}")?,
            (InterruptOutcome::NothingToInterrupt, _) => writeln!(out, "nothing to interrupt in {session}{why}")?,
            _ => writeln!(out, "{session}: {outcome}{why}")?,
        }
        self.questions.iter().try_for_each(|view| writeln!(out, "open: {}", view.line()))?;
        if let Some(followup) = &self.followup {
            match (&followup.reason, &followup.command) {
                (Some(reason), _) => writeln!(out, "the follow-up was not queued: {reason}")?,
                (None, Some(command)) => {
                    let word = |key: &str| command[key].as_str().unwrap_or_default();
                    writeln!(out, "follow-up {}: {}", word("command_id"), word("phase"))?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        match self.outcome {
            // A message that was asked for and is not on its way is no success.
            InterruptOutcome::Interrupted | InterruptOutcome::NothingToInterrupt | InterruptOutcome::EndedByItself
                if self.followup.as_ref().is_some_and(|followup| !followup.queued && !self.dry_run) =>
            {
                Kind::Refused.exit_code()
            }
            InterruptOutcome::Planned
            | InterruptOutcome::Interrupted
            | InterruptOutcome::NothingToInterrupt
            | InterruptOutcome::EndedByItself => 0,
            InterruptOutcome::QuestionOpen | InterruptOutcome::Refused => Kind::Refused.exit_code(),
            InterruptOutcome::Unconfirmed => Kind::Unconfirmed.exit_code(),
            InterruptOutcome::Unknown => Kind::Ambiguous.exit_code(),
        }
    }
}
