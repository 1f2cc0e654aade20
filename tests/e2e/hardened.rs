//! Real Codex's server that is killed with messages in flight, and other clients that begin turns of their own: no
//! message is lost, none arrives twice.

use std::{
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use conveyor::ports::codex_server::{CodexServer, Delivery, Outcome, Timeouts};
use rustix::process::Signal;
use serde_json::Value;

use super::{bound::Bound, deliver::Live, world::wait_for};
use crate::support::{codex_lab::CodexLab, rounds, say};

/// A busy machine is no reason for an unknown outcome.
const LIMITS: Timeouts = Timeouts { connect: Duration::from_secs(20), call: Duration::from_secs(20) };

/// Numbers that look thrown, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

impl Live<'_> {
    fn dispatcher(&self) -> Child {
        let mut command = self.world.command();
        command.args(["dispatch", "--watch", "--type", "nudge_worker", "--interval", "0.05"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    fn thread_id(&self) -> String {
        self.world.session("w1")["codex_session_id"].as_str().expect("a thread").to_owned()
    }

    /// Starts the server unless it runs, and has it hold the worker's thread.
    fn serve(&self, thread: &str) -> CodexServer {
        self.lab.cli().ensure_server(Duration::from_secs(60)).expect("the server starts");
        let mut client = CodexServer::connect(&self.lab.home(), LIMITS).expect("it listens");
        wait_for("the thread to be loaded", || client.subscribe(thread).ok(), || self.world.screen("w1"));
        client
    }

    /// Waits until all messages are settled, and gives them.
    fn settled(&self, ids: &[String]) -> Vec<Value> {
        let open = |phase: &Value| ["queued", "started", "submitted"].contains(&phase.as_str().unwrap_or(""));
        let begun = Instant::now();
        loop {
            let all = self.world.run(&["commands", "--json", "--limit", "0"]).ok().json();
            let all = all.as_array().expect("commands").clone();
            let ours: Vec<_> = all.into_iter().filter(|one| ids.iter().any(|id| one["id"] == id.as_str())).collect();
            if ours.len() == ids.len() && !ours.iter().any(|one| open(&one["phase"])) {
                return ours;
            }
            assert!(begun.elapsed() < Duration::from_secs(240), "not settled: {:#}", Value::from(ours));
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_and_doubles_no_message() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start(&lab) else { return };
    lab.rule("note", "{{pace 0.01}} {{say Noted, and this takes a moment to say.}}");
    let thread = live.thread_id();
    let mut dispatcher = live.dispatcher();
    let (mut dice, mut ids) = (Dice(42), Vec::new());
    live.world.run(&["dispatch", "pause"]).ok();
    let started = Instant::now();
    let (most, limit) = rounds((8, Duration::from_secs(45)), (50, Duration::from_secs(600)));
    let mut kills = 0;
    while kills < most && started.elapsed() < limit {
        let client = live.serve(&thread);
        ids.push(live.nudge(&format!("note {}", ids.len())));
        // Without a server they would go into the inbox.
        live.world.run(&["dispatch", "resume"]).ok();
        thread::sleep(Duration::from_millis(dice.roll(300)));
        lab.signal_server(Signal::KILL);
        kills += 1;
        live.world.run(&["dispatch", "pause"]).ok();
        drop(client);
    }
    live.world.run(&["dispatch", "resume"]).ok();
    let client = live.serve(&thread);
    let settled = live.settled(&ids);
    drop(client);
    dispatcher.kill().expect("it is killed");
    dispatcher.wait().expect("it ends");
    let of = |phase: &str| settled.iter().filter(|one| one["phase"] == phase).count();
    let again = settled.iter().filter(|one| one["attempts"].as_i64() > Some(1)).count();
    say(&format!(
        "{kills} kills, {} messages: {} done, {} in the inbox, {again} given again, {:?}",
        ids.len(),
        of("done"),
        of("delivered"),
        started.elapsed()
    ));
    for one in &settled {
        let id = one["id"].as_str().expect("an id");
        match one["phase"].as_str() {
            Some("done") if one["lane"] == "server" => live.assert_received(one),
            Some("delivered") => assert!(live.arrived(id).is_empty(), "{one:#}"),
            _ => panic!("{one:#}"),
        }
    }
    assert!(of("done") > 0 && kills >= 4, "the test proves nothing");
}

#[test]
fn another_client_that_begins_turns_costs_and_doubles_no_message() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start(&lab) else { return };
    lab.rule("note", "{{say Noted.}}");
    let thread = live.thread_id();
    let count = rounds(20, 200);
    let mut dispatcher = live.dispatcher();
    let is_over = AtomicBool::new(false);
    let started = Instant::now();
    let (theirs, settled) = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut client = CodexServer::connect(&lab.home(), LIMITS).expect("it listens");
            let mut dice = Dice(7);
            let mut taken = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let id = format!("other-{}", taken.len());
                let message = Delivery { thread: &thread, text: "note of another client", client_id: &id };
                assert!(matches!(client.start_turn(&message), Outcome::Accepted(_)), "{id}");
                taken.push(id);
                thread::sleep(Duration::from_millis(dice.roll(120)));
            }
            taken
        });
        let mut dice = Dice(99);
        let mut ids = Vec::new();
        for number in 0..count {
            ids.push(live.nudge(&format!("note {number}")));
            thread::sleep(Duration::from_millis(dice.roll(150)));
        }
        let settled = live.settled(&ids);
        is_over.store(true, Ordering::Relaxed);
        (other.join().expect("the other client ends"), settled)
    });
    dispatcher.kill().expect("it is killed");
    dispatcher.wait().expect("it ends");
    let steered = settled.iter().filter(|one| one["result"]["into_open_turn"] == true).count();
    say(&format!(
        "{count} messages, {steered} into open turns, against {} of another client, {:?}",
        theirs.len(),
        started.elapsed()
    ));
    for one in &settled {
        assert_eq!(one["phase"], "done", "{one:#}");
        live.assert_received(one);
    }
    wait_for(
        "the last message of the other client",
        || (!live.arrived(theirs.last().expect("one")).is_empty()).then_some(()),
        || live.world.screen("w1"),
    );
    for id in &theirs {
        assert_eq!(live.arrived(id).len(), 1, "{id}");
    }
    let text = live.rollout();
    let places: Vec<_> = settled.iter().map(|one| text.find(one["id"].as_str().expect("an id"))).collect();
    assert!(places.is_sorted(), "in the order in which they were accepted");
    live.world.run(&["stop", "w1"]).ok();
}
