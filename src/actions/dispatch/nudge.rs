//! `session-nudge`: a message to one session, delivered now if it can be, with the proof.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::Value;

use super::{
    Dispatcher, dispatch_health,
    enqueue::Request,
    servers::{Next, Servers},
    ways,
};
use crate::{
    actions::{Action, Argv, Context, Format, Outcome, TextArg, caller, lookup},
    base::{Error, Kind, Result, Timestamp},
    model::{
        delivery::{Command, CommandKind, CommandState, Lane, Phase},
        session::Session,
    },
    store::{self, Store},
};

/// Between two passes while it is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// Send a message to a session and wait for the proof that it has it
///
/// It is queued like any other message and delivered at once when the session can take it. Exit code 0 means that the
/// session's own rollout shows it; 4 that it is on its way, and a dispatcher goes on.
///
/// Example: `conveyor session-nudge w1 "run the tests again"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct SessionNudge {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// The message; `-` reads standard input
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub message: TextArg,
    /// Wait so many seconds for the proof
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub wait: u64,
    /// Do not wait: the message is accepted, and one try is made
    #[arg(long, conflicts_with = "wait")]
    pub no_wait: bool,
    /// The same key with the same message is accepted once, however often it is sent
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Give up when it was not delivered within so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = super::enqueue::TIME_TO_LIVE, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub expires: u64,
}

/// How far the message has come.
#[derive(Debug, Serialize)]
pub struct Nudged {
    /// The command.
    command_id: String,
    /// Ties together what belongs to it.
    correlation_id: String,
    /// Nothing was stored or sent.
    dry_run: bool,
    /// The way it takes, and why.
    lane: Option<Lane>,
    /// Why that way.
    lane_reason: Option<String>,
    /// How far it has come.
    phase: Phase,
    /// Why it stands there.
    reason: Option<String>,
    /// Where the session's rollout shows it.
    receipt: Option<Value>,
    /// The key had been accepted before with the same message.
    repeated: bool,
    /// The session.
    session: String,
    /// The session was told to take it.
    side_effect_completed: bool,
    /// Something may have happened outside the ledger.
    side_effect_started: bool,
    /// The contract's word for the phase.
    state: CommandState,
    /// The thread or pane it goes to; none for an inbox.
    target: Option<String>,
    /// The message.
    text: String,
    /// When it was accepted.
    time: Timestamp,
    /// What an operator should know about delivery; none when the message has arrived.
    warning: Option<String>,
    #[serde(skip)]
    waited: bool,
}

impl Action for SessionNudge {
    const NAME: &'static str = "session-nudge";
    const FORMAT: Format = Format::Json;
    type Output = Nudged;

    fn run(self, cx: &Context) -> Result<Nudged> {
        let request = self.request()?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        let (session, command, repeated) = store.write_durably(|w| {
            let session = lookup::session(w.read(), &self.session)?;
            let (command, repeated) = request.for_session(cx, w, &origin, &session)?;
            Ok::<_, Error>((session, command, repeated))
        })?;
        if command.phase == Phase::Blocked {
            return Ok(Nudged { dry_run: cx.dry_run(), ..Nudged::of(&command, &session, repeated, !self.no_wait) });
        }
        if cx.dry_run() {
            return Ok(planned(cx, &session, &command));
        }
        let patience = Duration::from_secs(if self.no_wait { 0 } else { self.wait });
        let (now, trouble) = hand_over(cx, &store, &session.id, command, patience);
        let mut nudged = Nudged::of(&now, &session, repeated, !self.no_wait);
        if now.phase != Phase::Done {
            nudged.warning = trouble.or_else(|| dispatch_health(cx).ok().and_then(|health| health.warning));
        }
        Ok(nudged)
    }

    fn argv(&self) -> Argv {
        let Self { session, message, wait, no_wait, idempotency_key, expires } = self;
        let argv = Argv::new(Self::NAME)
            .option("--wait", (!no_wait).then_some(wait))
            .switch("--no-wait", *no_wait)
            .option("--idempotency-key", idempotency_key.as_ref())
            .option("--expires", Some(expires));
        argv.end_of_options().word(session).text_word(message)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        vec![&mut self.message]
    }
}

impl SessionNudge {
    /// What is asked for, when it is one that can be sent.
    fn request(&self) -> Result<Request<'_>> {
        let request = Request {
            kind: CommandKind::SessionNudge,
            message: self.message.get()?,
            correlation_id: None,
            idempotency_key: self.idempotency_key.as_deref(),
            expires: self.expires,
        };
        request.check()?;
        Ok(request)
    }

    /// Refuses what cannot be sent, without sending anything.
    pub(in crate::actions) fn check(&self) -> Result<()> {
        self.request().map(drop)
    }
}

/// Tries to deliver what was accepted: how far it has come, and what went wrong. Whatever that is, the message was
/// accepted and waits for the next dispatcher; a failure would have somebody send it once more.
pub(super) fn hand_over(
    cx: &Context,
    store: &Store,
    session_id: &str,
    command: Command,
    patience: Duration,
) -> (Command, Option<String>) {
    let tried = Dispatcher::for_session(cx, session_id).and_then(|mut dispatcher| {
        let delivered = deliver(cx, &mut dispatcher, &command.id, patience);
        let ended = dispatcher.end();
        delivered.and(ended)
    });
    match store.read(|r| store::commands::by_id(r, &command.id)) {
        Ok(now) => (now.unwrap_or(command), tried.err().map(|error| error.in_full())),
        Err(error) => (command, Some(tried.err().unwrap_or_else(|| error.into()).in_full())),
    }
}

/// Passes over the session's line until the command is settled or the patience is at its end; at least one.
pub(super) fn deliver(cx: &Context, dispatcher: &mut Dispatcher, id: &str, patience: Duration) -> Result<()> {
    let store = cx.ledger_to_change()?;
    let clock = cx.clock();
    let end = clock.uptime_millis().saturating_add(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX));
    loop {
        let passed = dispatcher.pass(&mut drop, &|| true);
        let is_open =
            store.read(|r| store::commands::by_id(r, id))?.is_some_and(|command| command.phase.holds_the_line());
        match passed {
            // Somebody else holds the ledger, or delivers just now.
            Err(error) if error.kind() != Kind::Busy => return Err(error),
            _ if !is_open || clock.uptime_millis() >= end => return Ok(()),
            _ => clock.sleep(PAUSE),
        }
    }
}

/// What a rehearsal says: the way the message would take now.
fn planned(cx: &Context, session: &Session, command: &Command) -> Nudged {
    let way = ways::choose(cx, &mut Servers::default(), session, command.kind);
    let (lane, why) = match way.next(command.kind) {
        Next::Inbox(why) | Next::Never(why) => (Some(Lane::Inbox), why.to_owned()),
        Next::Push(how) => (Some(how.lane()), how.why().to_owned()),
        // Which way is there when it can go is not known before.
        Next::Later(why) => (None, format!("it would wait: {why}")),
    };
    let mut nudged = Nudged::of(command, session, false, false);
    nudged.dry_run = true;
    nudged.target = lane.and_then(|lane| target_of(session, lane));
    (nudged.lane, nudged.lane_reason) = (lane, Some(why));
    nudged
}

/// The thread or pane of a session that a lane pushes to.
fn target_of(session: &Session, lane: Lane) -> Option<String> {
    match lane {
        Lane::Server | Lane::Queue => session.codex_session_id.clone(),
        Lane::Tmux => session.tmux_pane_id.clone(),
        Lane::Inbox => None,
    }
}

impl Nudged {
    fn of(command: &Command, session: &Session, repeated: bool, waited: bool) -> Self {
        let receipt = command.result.as_ref().and_then(|result| result.get("receipt")).cloned();
        let is_pushed = command.lane.is_some_and(|lane| lane != Lane::Inbox);
        Self {
            command_id: command.id.clone(),
            correlation_id: command.correlation_id.clone(),
            dry_run: false,
            lane: command.lane,
            lane_reason: command.lane_reason.clone(),
            phase: command.phase,
            reason: command.reason.clone(),
            receipt,
            repeated,
            session: session.name.clone(),
            side_effect_completed: is_pushed && matches!(command.phase, Phase::Submitted | Phase::Done),
            side_effect_started: is_pushed && !matches!(command.phase, Phase::Queued),
            state: command.phase.state(),
            target: command.lane.and_then(|lane| target_of(session, lane)),
            text: command.message().unwrap_or_default().to_owned(),
            time: command.created_at,
            warning: None,
            waited,
        }
    }
}

impl Outcome for Nudged {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Self { session, command_id, phase, .. } = self;
        match (&self.receipt, phase) {
            _ if self.dry_run && *phase != Phase::Blocked => {
                writeln!(out, "would send it to {session}: {}", self.way())?
            }
            (Some(receipt), Phase::Done) if receipt["byte_offset"].is_u64() => {
                writeln!(out, "{session} has it: its rollout shows it at byte {}", receipt["byte_offset"])?;
            }
            (_, Phase::Done) => writeln!(out, "{session} has it")?,
            (_, Phase::Delivered) => writeln!(out, "it lies in the inbox of {session} ({})", self.way())?,
            (_, phase) => {
                let why = self.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
                writeln!(out, "{command_id} to {session} is {phase}{why}")?;
            }
        }
        self.warning.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }

    fn exit_code(&self) -> u8 {
        if self.dry_run && self.phase != Phase::Blocked { 0 } else { exit_code(self.phase, self.waited) }
    }
}

/// What a phase comes to for whoever asked; `waited` says whether a proof was asked for.
pub(super) fn exit_code(phase: Phase, waited: bool) -> u8 {
    match phase {
        Phase::Done => 0,
        Phase::Ambiguous => Kind::Ambiguous.exit_code(),
        Phase::Blocked => Kind::Blocked.exit_code(),
        Phase::Failed | Phase::Cancelled | Phase::Expired | Phase::Dead => Kind::Refused.exit_code(),
        // Who does not wait asks no more than that it is accepted.
        _ if !waited => 0,
        Phase::Queued | Phase::Claimed | Phase::Started | Phase::Staged | Phase::Submitted | Phase::Delivered => {
            Kind::Unconfirmed.exit_code()
        }
    }
}

impl Nudged {
    fn way(&self) -> String {
        let lane = self.lane.map_or("no way yet", Lane::as_str);
        self.lane_reason.as_deref().map_or_else(|| lane.to_owned(), |why| format!("{lane}: {why}"))
    }
}
