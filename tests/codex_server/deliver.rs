//! Messages, interrupts, compaction and approvals through the real Codex, each with its receipt in the rollout.

use std::{path::PathBuf, time::Duration};

use conveyor::{
    model::rollout::{self, Fact},
    ports::{
        codex_server::{
            Action, Approval, ApprovalPolicy, CodexServer, Decision, Delivery, NewThread, Outcome, Refusal, Sandbox,
            ServerError, ThreadStatus, Timeouts,
        },
        rollout::{Body, Limits, RolloutFile},
    },
};
use rustix::process::Signal;

use super::pane::{PATIENCE, Pane};
use crate::support::codex_lab::{CodexLab, skipped, within};

/// A busy machine is no reason for an unknown outcome.
pub const LIMITS: Timeouts = Timeouts { connect: Duration::from_secs(20), call: Duration::from_secs(20) };

/// A turn that nobody has ever had.
const NO_TURN: &str = "01a1fc39-6e9e-7540-a0f0-843c7e6a0827";

/// A lab whose background server runs. None without a Codex that has one.
pub fn lab_with_server(also_needed: &[&str]) -> Option<CodexLab> {
    let lab = CodexLab::start(also_needed)?;
    if !lab.cli().has_server().unwrap() {
        skipped("codex 0.162 or later");
        return None;
    }
    lab.cli().ensure_server(Duration::from_secs(60)).unwrap();
    Some(lab)
}

/// What a rollout says about a message with some id: the turn that has it, and what began that turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    text: String,
    turn_id: String,
    trigger: Option<String>,
}

/// A thread and its rollout.
pub struct Session {
    thread: String,
    rollout: PathBuf,
}

impl Session {
    /// A new, named, idle thread in the lab's project.
    pub fn start(lab: &CodexLab, server: &mut CodexServer) -> Self {
        let project = lab.project();
        let new = NewThread {
            cwd: &project,
            sandbox: Sandbox::WorkspaceWrite,
            approval: ApprovalPolicy::OnRequest,
            model: None,
            writable: &[],
        };
        let thread = server.start_thread(&new).unwrap();
        server.name_thread(&thread.id, "lab worker").unwrap();
        Self { thread: thread.id, rollout: thread.rollout.unwrap() }
    }

    pub fn message<'a>(&'a self, client_id: &'a str, text: &'a str) -> Delivery<'a> {
        Delivery { thread: &self.thread, text, client_id }
    }

    /// The facts of the whole lines that the rollout has now.
    pub fn facts(&self) -> Vec<Fact> {
        let Ok(file) = RolloutFile::open(&self.rollout) else { return Vec::new() };
        let mut lines = file.lines(0, Limits::default()).unwrap();
        let mut facts = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            if let Body::Whole(bytes) = line.body {
                facts.push(rollout::parse(bytes).unwrap().fact);
            }
        }
        facts
    }

    /// Every receipt of the message with the id `wanted`.
    pub fn receipts(&self, wanted: &str) -> Vec<Receipt> {
        let mut turn = (String::new(), None);
        let mut receipts = Vec::new();
        for fact in self.facts() {
            match fact {
                Fact::TurnStarted { turn_id: Some(id), trigger, .. } => turn = (id, trigger),
                Fact::UserMessage { client_id: Some(id), text, injected: false } if id == wanted => {
                    receipts.push(Receipt { text, turn_id: turn.0.clone(), trigger: turn.1.clone() });
                }
                _ => {}
            }
        }
        receipts
    }

    /// Waits for the receipt of the message with the id `wanted`.
    #[track_caller]
    fn receipt(&self, wanted: &str) -> Receipt {
        assert!(within(PATIENCE, || !self.receipts(wanted).is_empty()), "no receipt {wanted}: {:#?}", self.facts());
        self.receipts(wanted).remove(0)
    }

    /// Whether `turn` was cut off.
    fn is_aborted(&self, turn: &str) -> bool {
        self.facts().iter().any(|fact| matches!(fact, Fact::TurnAborted { turn_id: Some(id), .. } if id == turn))
    }

    #[track_caller]
    pub fn wait_until_idle(&self, server: &mut CodexServer) {
        let busy = |server: &mut CodexServer| {
            matches!(server.read_thread(&self.thread).unwrap().status, ThreadStatus::Active { .. })
        };
        assert!(within(PATIENCE, || !busy(server)), "the turn goes on");
    }

    /// Begins a turn that lasts until its hold is released, and waits until the rollout has its message.
    #[track_caller]
    fn begin(&self, server: &mut CodexServer, client_id: &str, text: &str) -> String {
        let turn = accepted(server.start_turn(&self.message(client_id, text))).turn_id;
        assert_eq!(self.receipt(client_id).turn_id, turn);
        turn
    }
}

#[track_caller]
pub fn accepted<T: std::fmt::Debug>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Accepted(taken) => taken,
        other => panic!("not accepted: {other:?}"),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Outcome<T>) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn messages_through_the_server_have_their_receipts() {
    let Some(lab) = lab_with_server(&[]) else { return };
    let mut server = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    let session = Session::start(&lab, &mut server);
    // A steered message is asked about anew, and the turn is held for it too.
    lab.rule("^(hold|on top|this way)", "{{hold line}} {{say Held.}}");

    // An idle thread begins a turn, with text that would be a command in a terminal.
    assert!(matches!(refused(server.steer_turn(&session.message("m-0", "x"), NO_TURN)), Refusal::NoOpenTurn));
    assert!(matches!(refused(server.interrupt_expected_turn(&session.thread, NO_TURN)), Refusal::NoOpenTurn));
    let first = accepted(server.start_turn(&session.message("m-1", "!touch proof\n/clear $x @y"))).turn_id;
    let expected = Receipt { text: "!touch proof\n/clear $x @y".into(), turn_id: first.clone(), trigger: None };
    assert_eq!(session.receipt("m-1"), expected);
    session.wait_until_idle(&mut server);
    assert_eq!(server.find_message(&session.thread, "m-1", 100).unwrap().unwrap().turn_id, first);

    // The same id again is a second message: Codex keeps no list of ids.
    let second = accepted(server.start_turn(&session.message("m-1", "again"))).turn_id;
    assert!(
        within(PATIENCE, || session.receipts("m-1").len() == 2) && first != second,
        "{:?}",
        session.receipts("m-1")
    );
    session.wait_until_idle(&mut server);
    assert!(!lab.project().join("proof").exists());

    // A busy one takes it into the open turn; steering says which turn is meant, and another is refused.
    let turn = session.begin(&mut server, "m-2", "hold the line");
    assert_eq!(server.open_turn(&session.thread).unwrap().as_deref(), Some(turn.as_str()));
    assert_eq!(accepted(server.start_turn(&session.message("m-3", "on top"))).turn_id, turn);
    assert_eq!(accepted(server.steer_turn(&session.message("m-4", "this way"), &turn)).turn_id, turn);
    accepted(server.steer_turn(&session.message("m-4", "this way again"), &turn));
    let wrong = refused(server.steer_turn(&session.message("m-5", "no"), &first));
    assert!(matches!(&wrong, Refusal::OtherTurn { open: Some(open) } if *open == turn), "{wrong:?}");
    let wrong = refused(server.interrupt_expected_turn(&session.thread, &first));
    assert!(matches!(&wrong, Refusal::OtherTurn { open: Some(open) } if *open == turn), "{wrong:?}");
    assert_eq!((session.receipt("m-3").turn_id, session.receipt("m-4").turn_id), (turn.clone(), turn.clone()));
    assert!(within(PATIENCE, || session.receipts("m-4").len() == 2), "steering knows no ids either");

    // Compaction would cut the turn off, so it waits for an idle thread.
    let busy = refused(server.compact_thread(&session.thread));
    assert!(matches!(busy, Refusal::Busy { status: ThreadStatus::Active { .. } }), "{busy:?}");
    assert_eq!(server.open_turn(&session.thread).unwrap().as_deref(), Some(turn.as_str()));

    // The expected turn is interrupted, and then there is none.
    accepted(server.interrupt_expected_turn(&session.thread, &turn));
    assert!(within(PATIENCE, || session.is_aborted(&turn)), "{:#?}", session.facts());
    session.wait_until_idle(&mut server);
    assert!(matches!(refused(server.interrupt_expected_turn(&session.thread, &turn)), Refusal::NoOpenTurn));
    assert!(matches!(refused(server.steer_turn(&session.message("m-6", "x"), &turn)), Refusal::NoOpenTurn));
    assert_eq!(server.open_turn(&session.thread).unwrap(), None);
    accepted(server.compact_thread(&session.thread));
    assert!(within(PATIENCE, || session.facts().iter().any(|fact| matches!(fact, Fact::Compacted))), "no compaction");
    session.wait_until_idle(&mut server);

    // What Codex does not take has no effect.
    let long = "x".repeat(1024 * 1024 + 1);
    assert!(matches!(refused(server.start_turn(&session.message("m-7", &long))), Refusal::Said { code: -32602, .. }));
    let nobody = Delivery { thread: NO_TURN, text: "x", client_id: "m-8" };
    assert!(matches!(refused(server.start_turn(&nobody)), Refusal::NoThread));
    assert!(matches!(refused(server.queue_add(&nobody)), Refusal::NoThread));
    let last = accepted(server.start_turn(&session.message("m-9", "the last"))).turn_id;
    assert_eq!(session.receipt("m-9").turn_id, last);
    for never in ["m-0", "m-5", "m-6", "m-7"] {
        assert_eq!(session.receipts(never), []);
        assert_eq!(server.find_message(&session.thread, never, 200).unwrap(), None);
    }
}

#[test]
fn an_accepted_message_can_be_lost_before_its_receipt() {
    let Some(lab) = lab_with_server(&[]) else { return };
    let mut server = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    let session = Session::start(&lab, &mut server);

    // A message to a turn that waits for an approval is taken on, and gone with the turn.
    lab.rule(
        "^touch it",
        &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", lab.project().join("p").display()),
    );
    let turn = accepted(server.start_turn(&session.message("m-1", "touch it"))).turn_id;
    wait_for_approval(&mut server, "touch");
    assert_eq!(accepted(server.start_turn(&session.message("m-2", "and tell me"))).turn_id, turn);
    accepted(server.interrupt_expected_turn(&session.thread, &turn));
    assert!(within(PATIENCE, || session.is_aborted(&turn)), "{:#?}", session.facts());
    let withdrawn = within(PATIENCE, || {
        server.poll_notifications(Duration::from_millis(100)).unwrap();
        server.open_approvals().count() == 0
    });
    assert!(withdrawn, "an interrupt withdraws the question");
    let after = accepted(server.start_turn(&session.message("m-3", "say hello"))).turn_id;
    assert_eq!(session.receipt("m-3").turn_id, after);
    assert_eq!(session.receipts("m-2"), []);
}

/// Waits until an approval is open for a command that holds `part`.
#[track_caller]
fn wait_for_approval(server: &mut CodexServer, part: &str) -> Approval {
    let mut found = None;
    let asked = within(PATIENCE, || {
        server.poll_notifications(Duration::from_millis(100)).unwrap();
        let is_meant = |approval: &&Approval| matches!(&approval.action, Action::Command { command: Some(command), .. } if command.contains(part));
        found = server.open_approvals().find(is_meant).cloned();
        found.is_some()
    });
    assert!(asked, "nobody asked about {part}");
    found.unwrap()
}

#[test]
fn approvals_are_answered_as_requests_and_the_first_answer_counts() {
    let Some(lab) = lab_with_server(&[]) else { return };
    let mut owner = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    let session = Session::start(&lab, &mut owner);
    let proof = |name: &str| lab.project().join(name);
    for name in ["accept", "decline", "cancel"] {
        let script = format!("{{{{shell-esc touch {}}}}} {{{{say Over.}}}}", proof(name).display());
        lab.rule(&format!("^{name} it"), &script);
    }

    // Another client is asked as soon as it subscribes, although the question is older.
    let mut other = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    let turn = accepted(owner.start_turn(&session.message("m-1", "accept it"))).turn_id;
    let asked = wait_for_approval(&mut owner, "touch");
    assert_eq!((&asked.thread_id, &asked.turn_id), (&session.thread, &turn));
    other.poll_notifications(Duration::from_millis(200)).unwrap();
    assert_eq!(other.open_approvals().count(), 0);
    assert_eq!(other.subscribe(&session.thread).unwrap().id, session.thread);
    let same = wait_for_approval(&mut other, "touch");
    assert_eq!(same, asked);
    assert!(!proof("accept").exists());
    accepted(other.answer(&same, Decision::Accept));
    assert!(matches!(refused(owner.answer(&asked, Decision::Cancel)), Refusal::NotOpen));
    session.wait_until_idle(&mut owner);
    assert!(proof("accept").exists());
    assert!(!session.is_aborted(&turn));

    // A refusal lets the turn go on, a cancellation ends it.
    let declined = accepted(owner.start_turn(&session.message("m-2", "decline it"))).turn_id;
    let asked = wait_for_approval(&mut owner, "decline");
    accepted(owner.answer(&asked, Decision::Decline));
    session.wait_until_idle(&mut owner);
    let cancelled = accepted(owner.start_turn(&session.message("m-3", "cancel it"))).turn_id;
    let asked = wait_for_approval(&mut owner, "cancel");
    accepted(owner.answer(&asked, Decision::Cancel));
    assert!(within(PATIENCE, || session.is_aborted(&cancelled)), "{:#?}", session.facts());
    let answered = |turn: &str| {
        let ended = |fact: &Fact| matches!(fact, Fact::TurnEnded { turn_id: Some(id), last_message: Some(last), .. } if id == turn && last == "Over.");
        session.facts().iter().any(ended)
    };
    assert!(answered(&turn) && answered(&declined) && !answered(&cancelled), "{:#?}", session.facts());
    assert!(!proof("decline").exists() && !proof("cancel").exists());
    assert!(matches!(refused(owner.answer(&asked, Decision::Accept)), Refusal::NotOpen));
}

#[test]
fn the_queue_is_reached_through_a_server_of_our_own() {
    let Some(lab) = lab_with_server(&[]) else { return };
    let mut server = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    let session = Session::start(&lab, &mut server);
    lab.rule("^hold", "{{hold line}} {{say Held.}}");
    let mut own = CodexServer::start_own(&lab.cli(), LIMITS).unwrap();
    assert_eq!(own.version(), server.version());

    // To a busy thread of the background server: after the turn, under our id. The same id twice is two messages.
    let turn = session.begin(&mut server, "m-1", "hold the line");
    let first = accepted(own.queue_add(&session.message("q-1", "then this")));
    assert_eq!((first.client_id.as_str(), first.text.as_str()), ("q-1", "then this"));
    let taken_back = accepted(own.queue_add(&session.message("q-2", "never")));
    let twice = accepted(own.queue_add(&session.message("q-1", "then this again")));
    assert_ne!(first.entry_id, twice.entry_id);
    assert_eq!(server.queue_list(&session.thread).unwrap(), [first.clone(), taken_back.clone(), twice.clone()]);
    assert!(accepted(own.queue_remove(&session.thread, &taken_back.entry_id)));
    assert!(!accepted(own.queue_remove(&session.thread, &taken_back.entry_id)));
    assert_eq!(own.find_message(&session.thread, "q-1", 100).unwrap(), None);
    lab.release("line");
    assert!(within(PATIENCE, || session.receipts("q-1").len() == 2), "{:#?}", session.receipts("q-1"));
    for receipt in session.receipts("q-1") {
        assert!(receipt.trigger.as_deref() == Some("queue") && receipt.turn_id != turn, "{receipt:?}");
    }
    session.wait_until_idle(&mut server);
    assert!(!accepted(own.queue_remove(&session.thread, &first.entry_id)), "delivered, so not to be taken back");
    assert_eq!(own.queue_list(&session.thread).unwrap(), []);
    assert!(own.find_message(&session.thread, "q-1", 100).unwrap().is_some());

    // An idle thread takes it by itself.
    accepted(own.queue_add(&session.message("q-3", "say hello")));
    assert_eq!(session.receipt("q-3").trigger.as_deref(), Some("queue"));
    session.wait_until_idle(&mut server);

    // After an interrupt the queue rests until some turn has ended in order.
    let turn = session.begin(&mut server, "m-2", "hold on");
    accepted(server.interrupt_expected_turn(&session.thread, &turn));
    session.wait_until_idle(&mut server);
    let waits = accepted(own.queue_add(&session.message("q-4", "later")));
    // An idle session looks about every ten seconds.
    let taken = within(Duration::from_secs(12), || !session.receipts("q-4").is_empty());
    assert!(!taken, "the interrupt held nothing back");
    assert_eq!(own.queue_list(&session.thread).unwrap(), [waits]);
    accepted(server.start_turn(&session.message("m-3", "say go on")));
    assert_eq!(session.receipt("q-4").trigger.as_deref(), Some("queue"));
    assert_eq!(session.receipts("q-2"), []);

    // It is no way to give a thread of others anything but a place in its queue.
    assert!(matches!(refused(own.start_turn(&session.message("m-4", "x"))), Refusal::NoThread));
    assert!(matches!(own.subscribe(&session.thread), Err(ServerError::Rpc { .. })));
}

#[test]
fn a_session_without_the_server_is_reached_through_its_queue_only() {
    let Some(lab) = lab_with_server(&["tmux"]) else { return };
    lab.rule("^hold", "{{hold line}} {{say Held.}}");
    let pane = Pane::open(&lab.command_line(&["--no-daemon", "--", "hold the line"]), &lab.project());
    pane.wait_for("esc to interrupt");
    let mut server = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    let mut found = Vec::new();
    let filter = conveyor::ports::codex_server::ThreadFilter { most: 5, cwd: None };
    assert!(within(PATIENCE, || {
        found = server.list_threads(&filter).unwrap();
        !found.is_empty()
    }));
    let thread = found.remove(0);
    assert_eq!((&thread.status, thread.source.as_deref()), (&ThreadStatus::NotLoaded, Some("cli")));
    let session = Session { thread: thread.id, rollout: thread.rollout.unwrap() };

    assert!(matches!(refused(server.start_turn(&session.message("m-1", "x"))), Refusal::NoThread));
    assert!(matches!(refused(server.steer_turn(&session.message("m-1", "x"), NO_TURN)), Refusal::NoThread));
    assert!(matches!(refused(server.interrupt_expected_turn(&session.thread, NO_TURN)), Refusal::NoThread));
    assert!(matches!(refused(server.compact_thread(&session.thread)), Refusal::NoThread));
    assert!(matches!(server.subscribe(&session.thread), Err(ServerError::Rpc { .. })), "it has another writer");

    let mut own = CodexServer::start_own(&lab.cli(), LIMITS).unwrap();
    let entry = accepted(own.queue_add(&session.message("q-1", "say busy")));
    assert_eq!(own.queue_list(&session.thread).unwrap(), [entry]);
    lab.release("line");
    assert_eq!(session.receipt("q-1").trigger.as_deref(), Some("queue"));
    pane.wait_for("say busy");
    accepted(own.queue_add(&session.message("q-2", "say idle")));
    assert_eq!(session.receipt("q-2").trigger.as_deref(), Some("queue"));
    assert_eq!(session.receipts("m-1"), []);
}

#[test]
fn a_server_that_hangs_or_dies_is_told_truthfully() {
    let Some(lab) = lab_with_server(&[]) else { return };
    let quick = Timeouts { call: Duration::from_secs(1), ..LIMITS };
    let mut server = CodexServer::connect(&lab.home(), quick).unwrap();
    let session = Session::start(&lab, &mut server);
    accepted(server.start_turn(&session.message("m-1", "say hello")));
    session.receipt("m-1");
    session.wait_until_idle(&mut server);

    // It hangs, we give up, and later it does as it was told. (Had we hung up, it might or might not.)
    lab.signal_server(Signal::STOP);
    let outcome = server.start_turn(&session.message("m-2", "say late"));
    assert!(matches!(outcome, Outcome::Unknown(ServerError::Timeout { .. })), "{outcome:?}");
    assert_eq!(session.receipts("m-2"), []);
    lab.signal_server(Signal::CONT);
    session.receipt("m-2");
    drop(server);

    // It dies within a turn.
    let mut server = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    session.wait_until_idle(&mut server);
    lab.rule("^run it", "{{shell sleep 60}} {{say Never.}}");
    let turn = session.begin(&mut server, "m-3", "run it");
    let runs = |server: &mut CodexServer| {
        server.subscribe(&session.thread).unwrap();
        session.facts().iter().any(|fact| matches!(fact, Fact::CallStarted { .. }))
    };
    assert!(within(PATIENCE, || runs(&mut server)), "{:#?}", session.facts());
    accepted(server.queue_add(&session.message("q-1", "say survived")));
    lab.signal_server(Signal::STOP);
    lab.signal_server(Signal::KILL);
    assert!(within(PATIENCE, || matches!(server.poll_notifications(Duration::ZERO), Err(ServerError::Closed))));
    let gone = refused(server.steer_turn(&session.message("m-4", "x"), &turn));
    assert!(matches!(gone, Refusal::NotSent(ServerError::Closed)), "{gone:?}");

    // Its successor knows the thread, not the turn, and still has the queue.
    lab.cli().ensure_server(Duration::from_secs(60)).unwrap();
    let mut server = CodexServer::connect(&lab.home(), LIMITS).unwrap();
    assert!(matches!(refused(server.start_turn(&session.message("m-5", "x"))), Refusal::NoThread));
    assert_eq!(server.queue_list(&session.thread).unwrap().len(), 1);
    server.subscribe(&session.thread).unwrap();
    assert_eq!(session.receipt("q-1").trigger.as_deref(), Some("queue"));
    session.wait_until_idle(&mut server);
    accepted(server.start_turn(&session.message("m-6", "say back")));
    session.receipt("m-6");
    for never in ["m-4", "m-5"] {
        assert_eq!(session.receipts(never), []);
    }
}
