//! Messages to real Codex without its background server, through Codex's own queue: given once, taken back with proof.

use std::{
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::{bound::Bound, deliver::Live};
use crate::support::{codex_lab::CodexLab, say};

/// A worker of real Codex that lives in its terminal.
fn start(lab: &CodexLab) -> Option<Live<'_>> {
    let mut live = Live::start_with(lab, &["--no-server"])?;
    live.world.use_the_queue();
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    lab.rule("note", "{{say Noted.}}");
    Some(live)
}

impl Live<'_> {
    /// Begins a turn that lasts until its hold is released.
    fn keep_busy(&self) {
        self.world.say("w1", "hold the line");
        self.world.wait_for_condition("w1", "busy");
    }

    /// As `until`, for what begins with the end of a lease: thirty seconds, two looks, and ten for an idle session.
    fn until_at_last(&self, id: &str, phase: &str) -> Value {
        let begun = Instant::now();
        loop {
            self.dispatch();
            let command = self.command(id);
            if command["phase"] == phase {
                return command;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{command:#}\n{}", self.world.screen("w1"));
            thread::sleep(Duration::from_millis(40));
        }
    }

    fn watch(&self) -> Child {
        let mut command = self.world.command();
        command.args(["dispatch", "--watch", "--type", "nudge_worker", "--interval", "0.05"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }
}

/// The servers of our own that `dispatcher` has started: each leads a group of its own.
fn own_servers(dispatcher: u32) -> Vec<Pid> {
    let Ok(all) = procfs::process::all_processes() else { return Vec::new() };
    let children = all
        .filter_map(|process| process.ok()?.stat().ok())
        .filter(|stat| u32::try_from(stat.ppid).is_ok_and(|parent| parent == dispatcher) && stat.pgrp == stat.pid);
    children.filter_map(|stat| Pid::from_raw(stat.pid)).collect()
}

#[test]
fn real_codex_takes_each_message_from_its_queue_once_and_nothing_is_approved() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = start(&lab) else { return };
    let world = &live.world;

    // Idle, with a draft that a person is typing: it is taken, and the draft stays.
    let pane = world.pane("w1").to_string();
    world.server().plain(&["send-keys", "-t", &pane, "-l", "a draft of mine"]);
    world.wait_for_screen("w1", "a draft of mine");
    let started = Instant::now();
    let id = live.nudge("note: !touch canary");
    let item = live.dispatch().remove(0);
    assert_eq!((&item["lane"], &item["delivery_mode"]), (&"queue".into(), &"push".into()), "{item:#}");
    let done = live.until(&id, "done");
    say(&format!("idle session: {:?}", started.elapsed()));
    live.assert_received(&done);
    assert_eq!((&done["lane"], &done["attempts"]), (&"queue".into(), &1.into()), "{done:#}");
    world.wait_for_condition("w1", "done");
    assert!(world.screen("w1").contains("a draft of mine"), "{}", world.screen("w1"));
    assert!(!lab.project().join("canary").exists());
    world.press("w1", &["C-u"]);

    // Busy: after the turn, in the order in which they were accepted.
    live.keep_busy();
    let ids: Vec<String> = (0..2).map(|number| live.nudge(&format!("note {number}"))).collect();
    for _ in 0..3 {
        live.dispatch();
    }
    let first = live.command(&ids[0]);
    assert_eq!(
        (&first["phase"], &live.command(&ids[1])["phase"]),
        (&"submitted".into(), &"queued".into()),
        "{first:#}"
    );
    assert!(first["reason"].as_str().is_some_and(|why| why.starts_with("it waits in Codex's queue")), "{first:#}");
    lab.release("line");
    for id in &ids {
        let done = live.until(id, "done");
        live.assert_received(&done);
    }
    let text = live.rollout();
    assert!(text.find(&ids[0]) < text.find(&ids[1]));
    world.wait_for_condition("w1", "done");

    // An open approval stays open, and the message waits behind it.
    let proof = lab.project().join("proof");
    lab.rule("^touch it", &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", proof.display()));
    world.say("w1", "touch it");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let id = live.nudge("note: yes, do approve it");
    for _ in 0..5 {
        live.dispatch();
        thread::sleep(Duration::from_millis(100));
    }
    assert!(live.arrived(&id).is_empty() && !proof.exists());
    assert!(world.screen("w1").contains("Would you like to run"), "{}", world.screen("w1"));
    world.press("w1", &["y"]);
    let done = live.until(&id, "done");
    live.assert_received(&done);
    assert!(proof.exists());
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn what_lies_in_the_queue_of_real_codex_is_taken_back_with_proof() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = start(&lab) else { return };
    let world = &live.world;
    live.keep_busy();

    // By hand.
    let cancelled = live.nudge("note: never");
    live.until(&cancelled, "submitted");
    world.run(&["dispatch", "cancel", &cancelled, "--dry-run"]).ok();
    assert_eq!(live.command(&cancelled)["phase"], "submitted");
    world.run(&["dispatch", "cancel", &cancelled]).ok();
    assert_eq!(live.command(&cancelled)["phase"], "cancelled");

    // By the clock.
    let late = ["enqueue-nudge-worker", "parser", "--json", "--message", "note: too late", "--expires", "8"];
    let late = world.run(&late).ok().json()["command_id"].as_str().expect("an id").to_owned();
    live.until(&late, "submitted");
    let expired = live.until(&late, "expired");
    assert_eq!(expired["attempts"], 0, "{expired:#}");

    lab.release("line");
    world.wait_for_condition("w1", "done");
    let proof = live.nudge("note: the queue goes on");
    live.until(&proof, "done");
    assert!(live.arrived(&cancelled).is_empty() && live.arrived(&late).is_empty());
    let taken = world.run(&["dispatch", "cancel", &proof]);
    assert_eq!(taken.code, 1, "{taken}");

    // An interrupted turn: nobody looks into the queue until another turn has ended.
    world.wait_for_condition("w1", "done");
    live.keep_busy();
    let waits = live.nudge("note: after an interrupt");
    live.until(&waits, "submitted");
    world.press("w1", &["Escape"]);
    world.wait_for_condition("w1", "aborted");
    let handed_over = live.until(&waits, "done");
    assert_eq!(handed_over["lane"], "tmux", "{handed_over:#}");
    assert!(live.arrived(&waits).is_empty(), "it was taken back before it was typed");
    let is_record = |line: &&str| line.contains("after an interrupt") && line.contains("\"UserMessage\"");
    assert_eq!(live.rollout().lines().filter(is_record).count(), 1);

    // The end of the session: what waits would come up at whoever resumes it.
    world.wait_for_condition("w1", "done");
    live.keep_busy();
    let left = live.nudge("note: left behind");
    live.until(&left, "submitted");
    let pane_pid = world.server().plain(&["display-message", "-p", "-t", &world.pane("w1").to_string(), "#{pane_pid}"]);
    let process = procfs::process::Process::new(pane_pid.trim().parse().expect("a pid")).expect("it runs");
    let group = Pid::from_raw(process.stat().expect("it runs").pgrp).expect("a group");
    kill_process_group(group, Signal::KILL).expect("the session is ours");
    let handed_over = live.until(&left, "delivered");
    assert_eq!(handed_over["lane"], "inbox", "{handed_over:#}");
    assert!(live.arrived(&left).is_empty());
}

#[test]
fn real_codex_takes_a_message_from_its_queue_once_wherever_its_dispatcher_dies() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = start(&lab) else { return };
    for point in ["started", "called", "submitted"] {
        live.keep_busy();
        let id = live.nudge(&format!("note the point {point}"));
        let mut command = live.world.command();
        command.args(["dispatch", "--once", "--type", "nudge_worker"]).env("CONVEYOR_TEST_CRASH", point);
        let died = command.stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(died.status.code(), None, "it died at the point {point}");
        let phase = if point == "submitted" { "submitted" } else { "started" };
        assert_eq!(live.command(&id)["phase"], phase, "{point}");
        lab.release("line");
        let done = live.until_at_last(&id, "done");
        live.assert_received(&done);
        let tries = done["attempt_history"].as_array().expect("tries").len();
        assert_eq!(tries, if point == "started" { 2 } else { 1 }, "{done:#}");
        live.world.wait_for_condition("w1", "done");
    }
    // Taken back, and dead before it was written down: it is not in the queue, so it is given again.
    live.keep_busy();
    let late = ["enqueue-nudge-worker", "parser", "--json", "--message", "note: too late", "--expires", "6"];
    let late = live.world.run(&late).ok().json()["command_id"].as_str().expect("an id").to_owned();
    live.until(&late, "submitted");
    thread::sleep(Duration::from_secs(6));
    let mut command = live.world.command();
    command.args(["dispatch", "--once", "--type", "nudge_worker"]).env("CONVEYOR_TEST_CRASH", "recalled");
    let died = command.stdin(Stdio::null()).output().expect("it runs");
    assert_eq!((died.status.code(), &live.command(&late)["phase"]), (None, &"submitted".into()));
    lab.release("line");
    live.until(&late, "expired");
    assert!(live.arrived(&late).is_empty());
    live.world.run(&["stop", "w1"]).ok();
}

#[test]
fn real_codex_takes_messages_from_its_queue_once_from_racing_dispatchers_that_are_killed() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = start(&lab) else { return };
    let ids: Vec<String> = (0..4).map(|number| live.nudge(&format!("note {number}"))).collect();
    let started = Instant::now();
    let (mut dice, mut kills, mut ends) = (4_711_u64, 0, 0);
    let mut roll = |below: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    let open = |live: &Live<'_>| {
        let commands = live.world.run(&["commands", "--json"]).ok().json();
        let is_open = |one: &&Value| one["phase"] != "done";
        commands.as_array().expect("commands").iter().filter(is_open).count()
    };
    while open(&live) > 0 && started.elapsed() < Duration::from_secs(50) {
        let mut racers = [live.watch(), live.watch()];
        thread::sleep(Duration::from_millis(300 + roll(2_500)));
        for racer in &mut racers {
            // Sometimes only its server of our own, so that it goes on with another.
            for server in own_servers(racer.id()) {
                if roll(2) == 0 && kill_process_group(server, Signal::KILL).is_ok() {
                    ends += 1;
                }
            }
        }
        thread::sleep(Duration::from_millis(roll(400)));
        for racer in &mut racers {
            // Its own process, by its handle.
            racer.kill().expect("it is killed");
            if racer.wait().expect("it ends").code().is_none() {
                kills += 1;
            }
        }
    }
    for id in &ids {
        let done = live.until(id, "done");
        live.assert_received(&done);
    }
    say(&format!("{kills} dispatchers and {ends} servers killed, {} messages, {:?}", ids.len(), started.elapsed()));
    assert!(kills >= 4, "the test proves nothing: {kills} kills");
    let text = live.rollout();
    let places: Vec<_> = ids.iter().map(|id| text.find(id.as_str()).expect("it is there")).collect();
    assert!(places.is_sorted(), "in the order in which they were accepted");
    live.world.run(&["stop", "w1"]).ok();
}
