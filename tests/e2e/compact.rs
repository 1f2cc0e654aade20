//! Compaction of real Codex's context: believed only when the worker's own rollout records it.

use std::{fs, process::Stdio, time::Instant};

use serde_json::Value;

use super::deliver::Live;
use crate::support::{codex_lab::CodexLab, say};

impl Live<'_> {
    /// Compactions that the rollout records: each is told by one line of this kind.
    fn compactions(&self) -> usize {
        self.rollout().lines().filter(|line| line.contains("\"type\":\"ContextCompaction\"")).count()
    }

    #[track_caller]
    fn assert_recorded(&self, told: &Value) {
        let receipt = &told["receipt"];
        let bytes = fs::read(receipt["path"].as_str().unwrap_or_else(|| panic!("no receipt: {told:#}"))).expect("it");
        let at = usize::try_from(receipt["byte_offset"].as_u64().expect("a byte")).expect("it fits");
        let line = String::from_utf8_lossy(bytes[at..].split(|byte| *byte == b'\n').next().expect("a line"));
        assert!(line.contains("\"compacted\"") || line.contains("ContextCompaction"), "{line}");
    }
}

#[test]
fn real_codex_compacts_when_it_is_idle_and_its_rollout_says_so() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(live) = Live::start_with(&lab, &[]) else { return };
    let world = &live.world;

    let rehearsed = world.run(&["request-worker-compact", "parser", "--dry-run"]).ok().json();
    assert_eq!((&rehearsed["send_result"]["lane"], &rehearsed["dry_run"]), (&"server".into(), &true.into()));
    assert_eq!(live.compactions(), 0);
    let started = Instant::now();
    let done = world.run(&["compact-worker", "parser", "--reason", "it is nearly full"]).ok().json();
    say(&format!("compacted, with its record: {:?}", started.elapsed()));
    assert_eq!((&done["phase"], &done["slash_command"]), (&"done".into(), &"/compact".into()), "{done:#}");
    live.assert_recorded(&done);
    assert_eq!(live.compactions(), 1);

    // A turn that runs is not cut off; asked twice, it is one request.
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    world.wait_for_condition("w1", "idle");
    world.say("w1", "hold the line");
    world.wait_for_condition("w1", "busy");
    let waits = world.run(&["request-worker-compact", "parser", "--wait", "1"]);
    let first = waits.json();
    assert_eq!((waits.code, &first["phase"], &first["repeated"]), (4, &"queued".into(), &false.into()), "{waits}");
    assert_eq!(first["reason"], "its turn runs, and compacting would cut it off");
    let again = world.run(&["request-worker-compact", "parser", "--no-wait"]).ok().json();
    assert_eq!((&again["command_id"], &again["repeated"]), (&first["command_id"], &true.into()), "{again:#}");
    assert!(world.screen("w1").contains("esc to interrupt"), "{}", world.screen("w1"));
    lab.release("line");
    let done = live.until_any(first["command_id"].as_str().expect("an id"), "done");
    live.assert_recorded(&done["result"]);
    assert_eq!(live.compactions(), 2);
    assert!(live.rollout().contains("Held."), "the turn ended as it should");

    // Wherever its dispatcher dies, it is one compaction.
    for (point, compactions) in [("started", 3), ("called", 4), ("submitted", 5)] {
        world.wait_for_condition("w1", "idle");
        let mut command = world.command();
        command.args(["request-worker-compact", "parser"]).env("CONVEYOR_TEST_CRASH", point);
        let died = command.stdin(Stdio::null()).output().expect("it runs");
        assert_eq!(died.status.code(), None, "it died at the point {point}");
        let same = world.run(&["request-worker-compact", "parser", "--wait", "60"]);
        let told = same.json();
        // What was called already may be recorded before anybody asks again.
        if told["repeated"] == true {
            assert_eq!((same.code, &told["phase"]), (0, &"done".into()), "{point}: {same}");
            assert_eq!(live.compactions(), compactions, "{point}");
        }
    }
    world.run(&["stop", "w1"]).ok();
    let gone = world.run(&["request-worker-compact", "parser"]);
    assert_eq!(gone.code, 1, "{gone}");
}
