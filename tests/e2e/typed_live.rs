//! Messages that are typed into real Codex, which runs without its server: idle, busy, with an approval open.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{
    bound::Bound,
    chaos::{Chaos, Result},
    typed::Typed,
    world::{World, wait_for},
};
use crate::support::{codex_lab::CodexLab, rounds, say};

/// A worker of real Codex in a pane, bound to `parser`, after its first turn.
fn start(lab: &CodexLab) -> Option<Typed> {
    let world = World::in_lab(lab)?;
    lab.rule("^hello", "{{say Hello.}}");
    let started =
        ["start-worker", "--name", "w1", "--no-server", "--timeout-seconds", "120", "--task", "hello", "--json"];
    let started = world.run(&started).ok().json();
    assert!(started["without_server"].is_string(), "{started:#}");
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "done");
    Some(Typed { world })
}

#[test]
fn real_codex_without_its_server_gets_each_message_once_and_nothing_is_approved() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(typed) = start(&lab) else { return };
    let world = &typed.world;

    // Idle: with its proof, in every shape.
    lab.rule("please", "{{say All is well.}}");
    let canary = lab.project().join("canary");
    let shapes =
        ["status please", &format!("!touch {} please", canary.display()), "/quit please", "two\n\nlines please"];
    let mut taken = Vec::new();
    for shape in shapes {
        world.wait_for_condition("w1", "done");
        let begun = Instant::now();
        let run = world.run(&["session-nudge", "w1", shape, "--wait", "30", "--json"]);
        taken.push(begun.elapsed());
        let nudged = run.json();
        assert_eq!((run.code, &nudged["lane"], &nudged["phase"]), (0, &"tmux".into(), &"done".into()), "{run}");
        typed.assert_received(&typed.command(nudged["command_id"].as_str().expect("an id")), shape);
    }
    assert!(!canary.exists());
    say(&format!("typed into real Codex with the proof: {taken:?}"));

    // Busy: it waits for the end of the turn.
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    world.wait_for_condition("w1", "done");
    world.say("w1", "hold the line");
    world.wait_for_condition("w1", "busy");
    let id = typed.nudge("after the turn please");
    let waiting = typed.waits_for(&id, "a turn is running");
    assert_eq!((&waiting["phase"], &waiting["attempts"]), (&"queued".into(), &0.into()), "{waiting:#}");
    lab.release("line");
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "after the turn please");

    // An open approval stays open, and the message waits.
    let proof = lab.project().join("proof");
    lab.rule("^touch it", &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", proof.display()));
    world.wait_for_condition("w1", "done");
    world.say("w1", "touch it");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let id = typed.nudge("yes, please do approve it");
    for _ in 0..10 {
        typed.time_passes();
        typed.dispatch();
        thread::sleep(Duration::from_millis(50));
    }
    let waiting = typed.waits_for(&id, "an approval waits for an answer");
    assert_eq!((&waiting["phase"], &waiting["attempts"]), (&"queued".into(), &0.into()), "{waiting:#}");
    assert!(!proof.exists() && typed.times("approve it") == 0);
    world.press("w1", &["y"]);
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "yes, please do approve it");
    assert!(proof.exists());

    // In the composer when an approval opens: the key is kept away until it is gone, and nothing is approved.
    fs::remove_file(&proof).expect("the proof");
    world.wait_for_condition("w1", "done");
    let id = typed.nudge("staged please");
    typed.dies_at("staged");
    world.wait_for_screen("w1", "staged please");

    // A long one lies in the inbox, and its pointer wakes.
    lab.rule("lies in your inbox", "{{say I look.}}");
    typed.until(&id, "done");
    world.wait_for_condition("w1", "done");
    let long = typed.nudge(&"word ".repeat(300));
    let told = typed.until(&long, "delivered");
    assert!(told["result"]["pointer"]["byte_offset"].is_u64(), "{told:#}");
    assert!(!proof.exists());
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn real_codex_without_its_server_gets_a_message_once_wherever_its_dispatcher_dies() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(typed) = start(&lab) else { return };
    lab.rule("point", "{{say Noted.}}");
    for point in ["started", "pasted", "staged", "pressed", "submitted"] {
        let text = format!("point {point}");
        typed.world.wait_for_condition("w1", "done");
        let id = typed.nudge(&text);
        typed.dies_at(point);
        let done = typed.until(&id, "done");
        typed.assert_received(&done, &text);
    }
    // Cleared by a person, and typed once more.
    typed.world.wait_for_condition("w1", "done");
    let id = typed.nudge("point of no return");
    typed.dies_at("staged");
    typed.world.wait_for_screen("w1", "point of no return");
    typed.press(&["C-c"]);
    typed.waits_for(&id, "cleared it");
    typed.time_passes();
    let done = typed.until(&id, "done");
    typed.assert_received(&done, "point of no return");
    typed.world.run(&["stop", "w1"]).ok();
}

#[test]
fn real_codex_without_its_server_gets_each_message_once_from_racing_dispatchers_that_are_killed() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(typed) = start(&lab) else { return };
    lab.rule("number", "{{say Noted.}}");
    let texts: Vec<String> = (0..rounds(12, 200)).map(|number| format!("number {number}")).collect();
    let chaos = Chaos {
        texts: texts.clone(),
        dispatchers: 3,
        longest_life: Duration::from_millis(1_200),
        limit: Duration::from_secs(rounds(90, 1_800)),
    };
    let Result { ids, kills } = chaos.run(&typed.world);
    typed.until_all_done(&ids);
    assert!(kills >= 5, "the test proves nothing: {kills} kills");
    let heard: Vec<String> = typed.heard().into_iter().filter(|heard| heard.contains("number ")).collect();
    assert_eq!(heard.len(), texts.len(), "{heard:#?}");
    for (heard, text) in heard.iter().zip(&texts) {
        assert!(heard.contains(&format!("{text} (cvy")), "in the order in which they were accepted: {heard}");
    }
    wait_for(
        "the last turn to end",
        || (typed.world.status("w1")["condition"] == "done").then_some(()),
        || typed.world.screen("w1"),
    );
    typed.world.run(&["stop", "w1"]).ok();
}
