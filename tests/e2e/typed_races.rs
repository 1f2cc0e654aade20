//! Dispatchers that are stopped, killed and raced over one pane: each message is typed once, and in order.

use std::{
    collections::BTreeMap,
    fs,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use super::{
    bound::Bound,
    chaos::{Chaos, Result},
    typed::Typed,
    world::wait_for,
};
use crate::support::{rounds, say, tmux::TmuxServer};

/// Stops when it is dropped.
struct Stopped(Child);

impl Stopped {
    /// A dispatcher that has stopped at this point, as by SIGSTOP.
    fn at(typed: &Typed, point: &str) -> Self {
        wait_for(
            &format!("a pass to stop at {point}"),
            || {
                let mut command = typed.world.command();
                command.args(["dispatch", "--once", "--type", "nudge_worker"]).env("CONVEYOR_TEST_STOP", point);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                let mut child = Self(command.spawn().expect("it starts"));
                // It stops, or it ends because the session was not ready.
                loop {
                    let stat = fs::read_to_string(format!("/proc/{}/stat", child.0.id())).expect("it is there");
                    match stat.rsplit_once(") ").map(|(_, rest)| rest.starts_with('T')) {
                        Some(true) => return Some(child),
                        _ if child.0.try_wait().expect("its state").is_some() => return None,
                        _ => thread::sleep(Duration::from_millis(5)),
                    }
                }
            },
            || format!("{:#?}", typed.world.run(&["commands", "--json"])),
        )
    }

    fn goes_on(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).expect("it is ours");
        let ended = self.0.wait().expect("it ends");
        assert!(ended.success(), "{ended}");
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_dispatcher_that_was_stopped_past_its_lease_types_nothing_more() {
    let Some(typed) = Typed::start() else { return };
    for (point, phase) in
        [("started", "started"), ("staged", "staged"), ("pressed", "staged"), ("submitted", "submitted")]
    {
        let text = format!("held up at {point}");
        let id = typed.nudge(&text);
        let next = typed.nudge(&format!("behind {point}"));
        let stopped = Stopped::at(&typed, point);
        typed.dispatch();
        let held = typed.command(&id);
        // An echo that is there ends it, whoever reads it.
        assert!(held["phase"] == phase || (typed.times(&text) == 1 && held["phase"] == "done"), "{point}: {held:#}");
        typed.time_passes();
        typed.until(&id, "done");
        typed.until(&next, "done");
        stopped.goes_on();
        typed.dispatch();
        typed.assert_received(&typed.command(&id), &text);
        typed.assert_received(&typed.command(&next), &format!("behind {point}"));
        let settled = typed.command(&id);
        assert_eq!(settled["phase"], "done", "{settled:#}");
    }
    typed.world.wait_for_screen("w1", "› Ask Codex to do anything");
}

#[test]
fn a_number_that_was_given_up_is_not_typed_however_late_its_dispatcher_wakes() {
    let Some(typed) = Typed::start() else { return };
    let id = typed.nudge("taken back in time");
    let stopped = Stopped::at(&typed, "started");
    typed.time_passes();
    typed.world.run(&["dispatch", "pause"]).ok();
    typed.dispatch();
    assert_eq!(typed.command(&id)["phase"], "queued", "it was never typed, so it waits again");
    typed.world.run(&["dispatch", "cancel", &id]).ok();
    stopped.goes_on();
    typed.world.run(&["dispatch", "resume"]).ok();
    assert!(!typed.world.screen("w1").contains("taken back"), "{}", typed.world.screen("w1"));
    let next = typed.nudge("the next one");
    typed.until(&next, "done");
    assert_eq!((typed.times("taken back"), typed.times("the next one")), (0, 1));
}

#[test]
fn racing_dispatchers_that_are_killed_type_each_message_once_and_in_order() {
    let Some(typed) = Typed::with(&["--speed", "50"]) else { return };
    let texts: Vec<String> = (0..rounds(30, 1_000)).map(|number| format!("number {number} {{{{say ok}}}}")).collect();
    let chaos = Chaos {
        texts: texts.clone(),
        dispatchers: 3,
        longest_life: Duration::from_millis(900),
        limit: Duration::from_secs(rounds(100, 2_400)),
    };
    let Result { ids, kills } = chaos.run(&typed.world);
    typed.until_all_done(&ids);
    assert!(kills >= 20, "the test proves nothing: {kills} kills");
    let heard: Vec<String> = typed.heard().into_iter().filter(|heard| heard.contains("number ")).collect();
    assert_eq!(heard.len(), texts.len(), "{heard:#?}");
    for (heard, text) in heard.iter().zip(&texts) {
        assert!(heard.contains(text.as_str()), "in the order in which they were accepted: {heard}");
    }
}

#[test]
fn a_tmux_server_that_is_killed_while_a_message_is_typed_doubles_nothing() {
    let Some(typed) = Typed::with(&["--speed", "50"]) else { return };
    let Some(other) = TmuxServer::start() else { return };
    let world = &typed.world;
    let (mut dice, mut ends) = (4_711_u64, BTreeMap::<String, u64>::new());
    for number in 0..rounds(5, 200) {
        let text = format!("round {number} of it");
        let id = typed.nudge(&text);
        let server: i32 = world.server().plain(&["display-message", "-p", "#{pid}"]).parse().expect("a pid");
        let mut command = world.command();
        command.args(["dispatch", "--once", "--type", "nudge_worker"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("it starts");
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_millis((dice >> 33) % 400));
        let server = rustix::process::Pid::from_raw(server).expect("a pid");
        rustix::process::kill_process(server, rustix::process::Signal::KILL).expect("it is ours");
        child.wait().expect("it ends");
        let settled = wait_for(
            "the message to be settled",
            || {
                typed.time_passes();
                typed.dispatch();
                let open = ["queued", "started", "staged", "submitted"];
                Some(typed.command(&id)).filter(|one| !open.contains(&one["phase"].as_str().unwrap_or_default()))
            },
            || format!("{:#}", typed.command(&id)),
        );
        let phase = settled["phase"].as_str().expect("a phase").to_owned();
        assert_eq!(typed.times(&text), usize::from(phase == "done"), "{settled:#}");
        assert!(["done", "delivered", "failed", "ambiguous"].contains(&phase.as_str()), "{settled:#}");
        *ends.entry(phase.clone()).or_default() += 1;
        // Its session comes back in another server. What was never typed comes up there, once; nothing else does.
        world.run(&["resume", "w1"]).ok();
        wait_for(
            "the session to be at rest",
            || (world.status("w1")["judgement"]["ready_for_text"] == "ready").then_some(()),
            || format!("{:#}", world.status("w1")),
        );
        let waited = phase == "delivered";
        let after = if waited {
            typed.until(&id, "done")
        } else {
            typed.dispatch();
            typed.command(&id)
        };
        let phase = if waited { "done" } else { phase.as_str() };
        assert_eq!((after["phase"].as_str(), typed.times(&text)), (Some(phase), usize::from(phase == "done")));
    }
    other.plain(&["display-message", "-p", "#{pid}"]);
    say(&format!("tmux servers killed while a message was typed: {ends:?}"));
}
