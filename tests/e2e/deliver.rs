//! Messages to real Codex through its background server: believed only when the session's own rollout shows them.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    bound::Bound,
    chaos::{Chaos, Result},
    world::{World, wait_for},
};
use crate::support::{codex_lab::CodexLab, rounds};

/// A worker of real Codex in its server, bound to `parser`, after its first turn.
pub struct Live<'l> {
    pub lab: &'l CodexLab,
    pub world: World,
}

impl Live<'_> {
    pub fn start(lab: &CodexLab) -> Option<Live<'_>> {
        Live::start_with(lab, &[])
    }

    /// The same with further options of `start-worker`.
    pub fn start_with<'l>(lab: &'l CodexLab, options: &[&str]) -> Option<Live<'l>> {
        let world = World::in_lab(lab)?;
        lab.rule("^hello", "{{say Hello.}}");
        let start = ["start-worker", "--name", "w1", "--timeout-seconds", "120", "--task", "hello"];
        let started = world.run(&[&start[..], options].concat()).ok();
        assert_eq!(started.json()["without_server"].is_null(), options.is_empty(), "{started}");
        world.bind("parser", "w1");
        world.wait_for_condition("w1", "done");
        Some(Live { lab, world })
    }

    /// Passes that deliver everything, until the command has reached the phase.
    #[track_caller]
    pub fn until_any(&self, id: &str, phase: &str) -> Value {
        wait_for(
            &format!("{id} to be {phase}"),
            || {
                self.world.run(&["dispatch"]).ok();
                Some(self.command(id)).filter(|command| command["phase"] == phase)
            },
            || format!("{:#}\n{}", self.command(id), self.world.screen("w1")),
        )
    }

    pub fn rollout(&self) -> String {
        let session = self.world.session("w1");
        fs::read_to_string(session["codex_session_path"].as_str().expect("a rollout")).expect("the rollout")
    }

    /// The lines of the worker's rollout that tell a message under this id.
    pub fn arrived(&self, id: &str) -> Vec<Value> {
        arrived_in(&self.rollout(), id)
    }

    /// A message that was received is one line, and the receipt names it.
    #[track_caller]
    pub fn assert_received(&self, command: &Value) {
        assert_received_in(&self.rollout(), command);
    }
}

fn arrived_in(rollout: &str, id: &str) -> Vec<Value> {
    let lines = rollout.lines().filter(|line| line.contains(&format!("\"client_id\":\"{id}\"")));
    lines.map(|line| serde_json::from_str(line).expect("a record")).collect()
}

#[track_caller]
fn assert_received_in(rollout: &str, command: &Value) {
    let id = command["id"].as_str().expect("an id");
    assert_eq!(arrived_in(rollout, id).len(), 1, "{command:#}");
    let at = usize::try_from(command["result"]["receipt"]["byte_offset"].as_u64().expect("a byte")).expect("it fits");
    let line = rollout.get(at..).and_then(|rest| rest.lines().next()).expect("a line begins there");
    assert!(line.contains(id), "the receipt names the very line: {command:#}");
}

impl Bound for Live<'_> {
    fn world(&self) -> &World {
        &self.world
    }
}

#[test]
fn real_codex_gets_each_message_once_and_nothing_is_approved() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start(&lab) else { return };
    let world = &live.world;

    // An idle session begins a turn with it, and the proof is there before the pass ends.
    lab.rule("status please", "{{say All is well.}}");
    let id = live.nudge("status please, and do not run !anything");
    let item = live.dispatch().remove(0);
    assert_eq!(
        (&item["lane"], &item["phase"], &item["state"], &item["delivery_mode"]),
        (&"server".into(), &"done".into(), &"delivered".into(), &"push".into()),
        "{item:#}"
    );
    live.assert_received(&live.command(&id));
    world.wait_for_condition("w1", "done");
    assert_eq!(world.cycle("parser")["manager_context"]["worker_receipt"]["last_agent_message"], "All is well.");
    assert!(world.screen("w1").contains("From the operator on task parser"), "{}", world.screen("w1"));

    // What would be a shell command or a slash command when typed is a message like any other.
    let canary = lab.project().join("canary");
    let id = live.nudge(&format!("!touch {}", canary.display()));
    live.until(&id, "done");
    live.assert_received(&live.command(&id));
    let id = live.nudge("/quit");
    live.until(&id, "done");
    assert!(!canary.exists());

    // A busy session takes it into its turn.
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    world.wait_for_condition("w1", "done");
    world.say("w1", "hold the line");
    world.wait_for_condition("w1", "busy");
    let id = live.nudge("and one more thing");
    let item = live.dispatch().remove(0);
    assert_eq!(item["lane"], "server", "{item:#}");
    assert!(["submitted", "done"].contains(&item["phase"].as_str().expect("a phase")), "{item:#}");
    lab.release("line");
    live.until(&id, "done");
    live.assert_received(&live.command(&id));
    world.wait_for_condition("w1", "done");

    // An open approval stays open, and the message waits.
    let proof = lab.project().join("proof");
    lab.rule("^touch it", &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", proof.display()));
    world.say("w1", "touch it");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let id = live.nudge("yes, please do approve it");
    for _ in 0..10 {
        live.dispatch();
        thread::sleep(Duration::from_millis(100));
    }
    let waiting = live.command(&id);
    assert_eq!((&waiting["phase"], &waiting["attempts"]), (&"queued".into(), &0.into()), "{waiting:#}");
    assert_eq!(waiting["reason"], "an approval is open in it");
    assert!(!proof.exists() && live.arrived(&id).is_empty());
    world.press("w1", &["y"]);
    live.until(&id, "done");
    live.assert_received(&live.command(&id));
    assert!(proof.exists());
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn real_codex_gets_each_message_once_from_racing_dispatchers_that_are_killed() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start(&lab) else { return };
    lab.rule("number", "{{say Noted.}}");
    let chaos = Chaos {
        texts: (0..rounds(12, 300)).map(|number| format!("number {number}.")).collect(),
        dispatchers: 3,
        longest_life: Duration::from_millis(900),
        limit: Duration::from_secs(rounds(60, 1_800)),
    };
    let Result { ids, kills } = chaos.run(&live.world);
    let done = live.until_all_done(&ids);
    let text = live.rollout();
    done.iter().for_each(|command| assert_received_in(&text, command));
    assert!(kills >= 5, "the test proves nothing: {kills} kills");
    let places: Vec<_> = ids.iter().map(|id| text.find(id.as_str()).expect("it is there")).collect();
    assert!(places.is_sorted(), "in the order in which they were accepted");
    live.world.run(&["stop", "w1"]).ok();
}

#[test]
fn a_nudge_to_real_codex_comes_back_with_its_proof() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start(&lab) else { return };
    let world = &live.world;
    lab.rule("nudge", "{{say Noted.}}");
    let mut taken = Vec::new();
    for number in 0..15 {
        world.wait_for_condition("w1", "done");
        let started = Instant::now();
        let run = world.run(&["session-nudge", "w1", &format!("nudge {number}"), "--json"]);
        taken.push(started.elapsed());
        let nudged = run.json();
        assert_eq!((run.code, &nudged["phase"], &nudged["lane"]), (0, &"done".into(), &"server".into()), "{run}");
        assert_eq!(nudged["target"], world.session("w1")["codex_session_id"]);
        live.assert_received(&live.command(nudged["command_id"].as_str().expect("an id")));
    }
    taken.sort();
    crate::support::say(&format!("session-nudge with its proof: median {:?}, slowest {:?}", taken[7], taken[14]));

    // While an approval is open, nothing is given and nothing is approved.
    let proof = lab.project().join("proof");
    lab.rule("^touch it", &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", proof.display()));
    world.wait_for_condition("w1", "done");
    world.say("w1", "touch it");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let run = world.run(&["session-nudge", "w1", "yes, nudge", "--wait", "1", "--json"]);
    let waiting = run.json();
    assert_eq!((run.code, &waiting["phase"]), (4, &"queued".into()), "{run}");
    assert_eq!(
        (&waiting["reason"], &waiting["side_effect_started"]),
        (&"an approval is open in it".into(), &false.into())
    );
    assert!(!proof.exists());
    world.run(&["dispatch", "cancel", waiting["command_id"].as_str().expect("an id")]).ok();
    world.press("w1", &["Escape"]);
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn real_codex_gets_a_message_once_wherever_its_dispatcher_dies() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start(&lab) else { return };
    lab.rule("point", "{{say Noted.}}");
    for point in ["started", "called", "submitted"] {
        let id = live.nudge(&format!("point {point}"));
        let mut command = live.world.command();
        command.args(["dispatch", "--once", "--type", "nudge_worker"]).env("CONVEYOR_TEST_CRASH", point);
        let died = command.stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(died.status.code(), None, "it died at the point {point}");
        let phase = if point == "submitted" { "submitted" } else { "started" };
        assert_eq!(live.command(&id)["phase"], phase, "{point}");
        let done = live.until(&id, "done");
        live.assert_received(&done);
        let tries = done["attempt_history"].as_array().expect("tries").len();
        assert_eq!(tries, if point == "started" { 2 } else { 1 }, "{done:#}");
    }
    live.world.run(&["stop", "w1"]).ok();
}

#[test]
fn a_message_to_real_codex_survives_the_end_of_its_server() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start(&lab) else { return };
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    live.world.say("w1", "hold the line");
    live.world.wait_for_condition("w1", "busy");
    let id = live.nudge("into a turn that dies");
    live.dispatch();
    let taken = live.command(&id);
    assert!(["submitted", "done"].contains(&taken["phase"].as_str().expect("a phase")), "{taken:#}");
    live.lab.signal_server(Signal::KILL);
    // Whatever became of the turn: the message is in the rollout once, or it waits, or it lies in the inbox. Never
    // twice, never gone.
    let settled = wait_for(
        "the message to be settled",
        || {
            live.dispatch();
            Some(live.command(&id))
                .filter(|one| !["started", "submitted", "queued"].contains(&one["phase"].as_str().unwrap_or("")))
        },
        || format!("{:#}\n{}", live.command(&id), live.world.screen("w1")),
    );
    assert!(live.arrived(&id).len() <= 1, "{settled:#}");
    match settled["phase"].as_str() {
        Some("done") => live.assert_received(&settled),
        Some("delivered") => assert_eq!(settled["lane"], "inbox", "{settled:#}"),
        _ => panic!("{settled:#}"),
    }
}
