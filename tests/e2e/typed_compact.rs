//! Compactions of sessions that no server holds: `/compact` is typed into their panes, and only a compaction that the
//! session's own rollout records after that ends the request.

use std::{
    fs,
    io::Write as _,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    bound::Bound,
    typed::{Typed, counted_as_submitted},
    world::{World, wait_for},
};
use crate::support::{Finished, codex_lab::CodexLab, say};

impl Typed {
    /// Asks for a compaction and makes one try.
    fn ask(&self) -> Finished {
        self.world.run(&["request-worker-compact", "parser", "--no-wait"])
    }

    /// The same, by a process that dies at this point; the id of the command.
    #[track_caller]
    fn asks_and_dies_at(&self, point: &str) -> String {
        wait_for(
            &format!("a request to die at {point}"),
            || {
                let mut command = self.world.command();
                command.args(["request-worker-compact", "parser", "--no-wait"]).env("CONVEYOR_TEST_CRASH", point);
                let died = command.stdin(Stdio::null()).output().expect("it runs");
                died.status.code().is_none().then_some(())
            },
            || format!("{:#?}\n{}", self.world.run(&["commands", "--json"]), self.world.screen("w1")),
        );
        let sql = "select id from commands order by seq desc limit 1";
        self.sql().query_row(sql, [], |row| row.get(0)).expect("the request")
    }

    /// Passes until the request has reached the phase.
    #[track_caller]
    pub(super) fn until_it_is(&self, id: &str, phase: &str) -> Value {
        self.until_one(id, phase, |command| command["phase"] == phase)
    }

    /// Passes until the request waits for a reason that holds these words.
    #[track_caller]
    pub(super) fn until_it_waits(&self, id: &str, words: &str) -> Value {
        self.until_one(id, words, |command| command["reason"].as_str().is_some_and(|why| why.contains(words)))
    }

    #[track_caller]
    fn until_one(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_for(
            &format!("{id}: {what}"),
            || {
                self.world.run(&["dispatch"]).ok();
                Some(self.command(id)).filter(&is_so)
            },
            || format!("{:#}\n{}", self.command(id), self.world.screen("w1")),
        )
    }

    fn rollout(&self) -> String {
        let session = self.world.session("w1");
        fs::read_to_string(session["codex_session_path"].as_str().expect("a rollout")).expect("the rollout")
    }

    fn compactions(&self) -> usize {
        self.rollout().lines().filter(|line| line.contains("\"type\":\"ContextCompaction\"")).count()
    }

    /// Lines that Codex might have written.
    fn written(&self, payloads: &[(&str, Value)]) {
        let session = self.world.session("w1");
        let path = session["codex_session_path"].as_str().expect("a rollout");
        let mut file = fs::OpenOptions::new().append(true).open(path).expect("the rollout");
        // What is older than the thread is taken for a copy.
        let rollout = self.rollout();
        let last: Value = serde_json::from_str(rollout.lines().last().expect("a line")).expect("a record");
        for (kind, payload) in payloads {
            let line = json!({"timestamp": last["timestamp"], "type": kind, "payload": payload});
            writeln!(file, "{line}").expect("a line");
        }
    }

    #[track_caller]
    fn assert_recorded(&self, told: &Value) {
        let receipt = &told["receipt"];
        let at =
            usize::try_from(receipt["byte_offset"].as_u64().unwrap_or_else(|| panic!("{told:#}"))).expect("it fits");
        let rollout = self.rollout();
        let line = rollout[at..].lines().next().expect("a line");
        assert!(line.contains("\"compacted\""), "the receipt names the very line: {line}");
    }

    fn nothing_stands_in_the_composer(&self) {
        assert!(!self.world.screen("w1").contains("› /compact"), "{}", self.world.screen("w1"));
        assert!(!self.heard().iter().any(|heard| heard.contains("/compact")), "{:#?}", self.heard());
    }
}

#[test]
fn a_session_in_a_pane_compacts_once_and_its_rollout_says_so() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let rehearsed = world.run(&["request-worker-compact", "parser", "--dry-run"]).ok().json();
    let plan = &rehearsed["send_result"];
    assert_eq!((&plan["lane"], &rehearsed["dry_run"]), (&"tmux".into(), &true.into()), "{rehearsed:#}");
    let pane = world.pane("w1").to_string();
    let marks = world.server().plain(&["show-options", "-p", "-t", &pane]);
    assert!(!marks.contains("@cvy") && typed.compactions() == 0, "{marks}");

    let done = world.run(&["compact-worker", "parser", "--reason", "it is nearly full"]).ok().json();
    assert_eq!((&done["phase"], &done["send_result"]["lane"]), (&"done".into(), &"tmux".into()), "{done:#}");
    typed.assert_recorded(&done);
    assert_eq!(typed.compactions(), 1);
    // Another one is another one, however soon it comes.
    let done = world.run(&["request-worker-compact", "parser"]).ok().json();
    assert_eq!(done["repeated"], false);
    typed.assert_recorded(&done);
    assert_eq!(typed.compactions(), 2);
    typed.nothing_stands_in_the_composer();
}

#[test]
fn a_compaction_waits_for_what_stands_in_the_way() {
    let Some(typed) = Typed::start() else { return };
    let world = &typed.world;
    let pane = world.pane("w1").to_string();
    let waits = |words: &str| {
        let asked = typed.ask();
        let told = asked.json();
        let reason = told["reason"].as_str().unwrap_or_default();
        assert!(told["phase"] == "queued" && reason.contains(words), "{asked}\n{}", world.screen("w1"));
        typed.time_passes();
        told["command_id"].as_str().expect("an id").to_owned()
    };
    // A person's draft, also one that reads like the command.
    world.server().plain(&["send-keys", "-l", "-t", &pane, "--", "/compact "]);
    world.wait_for_screen("w1", "› /compact");
    let id = waits("somebody has typed");
    typed.press(&["C-u"]);
    // A list of commands.
    world.server().plain(&["send-keys", "-l", "-t", &pane, "--", "/comp"]);
    world.wait_for_screen("w1", "summarize conversation");
    assert_eq!(waits("list of completions"), id, "it is one request");
    typed.press(&["C-u"]);
    // An Enter that follows typed text so soon is taken for a part of it.
    thread::sleep(Duration::from_millis(200));
    // An approval, which stays open.
    typed.sql().execute("update commands set available_uptime = 1 << 60", []).expect("the ledger");
    world.say("w1", "touch it {{shell-esc touch proof}} {{say Touched.}}");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    typed.time_passes();
    assert_eq!(waits("an approval waits"), id);
    assert!(world.screen("w1").contains("Would you like to run"), "{}", world.screen("w1"));
    typed.press(&["Escape"]);
    world.wait_for_condition("w1", "aborted");
    // A turn.
    let hold = world.hold();
    typed.sql().execute("update commands set available_uptime = 1 << 60", []).expect("the ledger");
    world.say("w1", &format!("work {{{{hold {}}}}} {{{{say Worked.}}}}", hold.display()));
    world.wait_for_condition("w1", "busy");
    typed.time_passes();
    assert_eq!(waits("a turn is running"), id);
    let waiting = typed.command(&id);
    assert_eq!((typed.compactions(), &waiting["attempts"]), (0, &0.into()), "{waiting:#}");
    fs::write(hold, "").expect("a file");
    let done = typed.until_it_is(&id, "done");
    typed.assert_recorded(&done["result"]);
    assert_eq!((typed.compactions(), &done["attempts"]), (1, &1.into()));
}

#[test]
fn it_is_one_compaction_wherever_its_dispatcher_dies() {
    let Some(typed) = Typed::start() else { return };
    let points = ["started", "pasted", "staged", "pressed", "submitted"];
    for (place, point) in points.into_iter().enumerate() {
        let id = typed.asks_and_dies_at(point);
        let done = typed.until_it_is(&id, "done");
        typed.assert_recorded(&done["result"]);
        assert_eq!(typed.compactions(), place + 1, "{point}: {done:#}");
        typed.nothing_stands_in_the_composer();
    }
}

#[test]
fn a_command_that_a_person_clears_or_sends_is_followed() {
    let Some(typed) = Typed::start() else { return };
    // Cleared: looked for once more, then typed again.
    let id = typed.asks_and_dies_at("staged");
    typed.world.wait_for_screen("w1", "› /compact");
    typed.press(&["C-c"]);
    typed.until_it_waits(&id, "cleared it");
    assert_eq!((typed.command(&id)["phase"].as_str(), typed.compactions()), (Some("staged"), 0));
    typed.time_passes();
    typed.until_it_is(&id, "done");
    assert_eq!(typed.compactions(), 1);
    // Sent by hand: what the rollout records counts.
    let id = typed.asks_and_dies_at("staged");
    typed.world.wait_for_screen("w1", "› /compact");
    typed.press(&["Enter"]);
    typed.until_it_is(&id, "done");
    assert_eq!(typed.compactions(), 2);
    // With words of the person behind it: the key is kept away.
    let id = typed.asks_and_dies_at("staged");
    typed.world.wait_for_screen("w1", "› /compact");
    let pane = typed.world.pane("w1").to_string();
    typed.world.server().plain(&["send-keys", "-l", "-t", &pane, "--", "now please"]);
    typed.world.wait_for_screen("w1", "› /compact now please");
    typed.until_it_waits(&id, "somebody has typed");
    assert_eq!(typed.compactions(), 2);
    assert!(typed.world.screen("w1").contains("› /compact now please"), "{}", typed.world.screen("w1"));
}

#[test]
fn a_command_without_a_record_is_submitted_again_only_from_the_composer() {
    let Some(typed) = Typed::start() else { return };
    // The key was lost.
    let id = typed.asks_and_dies_at("staged");
    typed.world.wait_for_screen("w1", "› /compact");
    counted_as_submitted(&typed);
    typed.until_it_waits(&id, "stands in the composer again");
    assert_eq!((typed.command(&id)["phase"].as_str(), typed.compactions()), (Some("submitted"), 0));
    typed.time_passes();
    typed.until_it_is(&id, "done");
    assert_eq!(typed.compactions(), 1);

    // It is nowhere, and what Codex compacts by itself proves nothing.
    let id = typed.asks_and_dies_at("staged");
    typed.world.wait_for_screen("w1", "› /compact");
    counted_as_submitted(&typed);
    typed.press(&["C-c"]);
    typed.until_it_waits(&id, "without a record of it");
    let turn = json!({"type": "task_started", "turn_id": "t9", "turn_attribution": {"turn_trigger": "user"}});
    let end = json!({"type": "task_complete", "turn_id": "t9", "last_agent_message": "Went on."});
    typed.written(&[("event_msg", turn), ("compacted", json!({"message": "all"})), ("event_msg", end)]);
    typed.time_passes();
    let open = typed.until_it_is(&id, "ambiguous");
    assert_eq!((&open["result"]["receipt"], open["attempts"].as_i64()), (&Value::Null, Some(1)), "{open:#}");
    assert_eq!(typed.compactions(), 1);

    // One that failed says so.
    let id = typed.asks_and_dies_at("staged");
    typed.world.wait_for_screen("w1", "› /compact");
    counted_as_submitted(&typed);
    typed.press(&["C-c"]);
    typed.until_it_waits(&id, "without a record of it");
    let turn = json!({"type": "task_started", "turn_id": "t10"});
    let error = json!({"message": "no capacity", "codex_error_info": "server_overloaded"});
    let end = json!({"type": "task_complete", "turn_id": "t10", "last_agent_message": null, "error": error});
    typed.written(&[("event_msg", turn), ("event_msg", end)]);
    typed.time_passes();
    let failed = typed.until_it_is(&id, "failed");
    assert!(failed["error"].as_str().is_some_and(|why| why.contains("no capacity")), "{failed:#}");
    // It holds nobody up.
    let next = typed.nudge("the next one");
    typed.until(&next, "done");
}

#[test]
fn what_was_compacted_before_the_command_was_typed_proves_nothing() {
    let Some(typed) = Typed::start() else { return };
    // Begun before the request, and recorded after it.
    typed.written(&[("event_msg", json!({"type": "task_started", "turn_id": "t7"}))]);
    let id = typed.asks_and_dies_at("staged");
    let end = json!({"type": "task_complete", "turn_id": "t7", "last_agent_message": null});
    typed.written(&[("compacted", json!({"message": "all"})), ("event_msg", end)]);
    typed.world.run(&["ingest", "w1"]).ok();
    assert_eq!(typed.command(&id)["phase"], "staged");
    let done = typed.until_it_is(&id, "done");
    typed.assert_recorded(&done["result"]);
    assert_eq!(typed.compactions(), 1);

    // One that came after the try had begun has done what was asked for, whoever typed it.
    let id = typed.asks_and_dies_at("started");
    let turn = json!({"type": "task_started", "turn_id": "t8"});
    let end = json!({"type": "task_complete", "turn_id": "t8", "last_agent_message": null});
    typed.written(&[("event_msg", turn), ("compacted", json!({"message": "all"})), ("event_msg", end)]);
    typed.world.run(&["ingest", "w1"]).ok();
    assert_eq!(typed.command(&id)["phase"], "done");
    assert_eq!(typed.compactions(), 1, "nothing more is typed for it");
}

#[test]
fn a_session_that_cannot_be_typed_into_is_refused_with_the_reason() {
    let Some(typed) = Typed::start() else { return };
    let old = "update sessions set codex_version = '0.124.9' where name = 'w1'";
    assert_eq!(typed.sql().execute(old, []).expect("the ledger"), 1);
    let refused = typed.world.run(&["request-worker-compact", "parser", "--no-wait", "--json"]);
    let message = refused.error()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (refused.code, message.contains("older than 0.125, into which nothing is typed")),
        (1, true),
        "{refused}"
    );
    assert!(!message.contains("messages"), "{message}");
    let commands = typed.world.run(&["commands", "--json"]).ok().json();
    assert_eq!(commands.as_array().map(Vec::len), Some(0), "{commands}");
}

/// A worker of real Codex in a pane, bound to `parser`, after its first turn.
pub(super) fn real(lab: &CodexLab, with_queue: bool) -> Option<Typed> {
    let mut world = World::in_lab(lab)?;
    if with_queue {
        world.use_the_queue();
    }
    lab.rule("^hello", "{{say Hello.}}");
    world.run(&["start-worker", "--name", "w1", "--no-server", "--timeout-seconds", "120", "--task", "hello"]).ok();
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "done");
    Some(Typed { world })
}

#[test]
fn real_codex_in_a_pane_compacts_once_wherever_its_dispatcher_dies() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(typed) = real(&lab, false) else { return };
    let world = &typed.world;
    let begun = Instant::now();
    let done = world.run(&["request-worker-compact", "parser"]).ok().json();
    say(&format!("/compact typed into real Codex, with its record: {:?}", begun.elapsed()));
    assert_eq!((&done["phase"], &done["send_result"]["lane"]), (&"done".into(), &"tmux".into()), "{done:#}");
    typed.assert_recorded(&done);
    let points = ["started", "pasted", "staged", "pressed", "submitted"];
    for (place, point) in points.into_iter().enumerate() {
        let id = typed.asks_and_dies_at(point);
        let done = typed.until_it_is(&id, "done");
        typed.assert_recorded(&done["result"]);
        assert_eq!(typed.compactions(), place + 2, "{point}: {done:#}");
    }
    typed.nothing_stands_in_the_composer();

    // A turn that runs is not cut off, and an approval stays open.
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    world.say("w1", "hold the line");
    world.wait_for_condition("w1", "busy");
    let waits = typed.ask().json();
    assert_eq!((&waits["phase"], &waits["reason"]), (&"queued".into(), &"a turn is running".into()), "{waits:#}");
    lab.release("line");
    let id = waits["command_id"].as_str().expect("an id").to_owned();
    typed.until_it_is(&id, "done");
    assert_eq!(typed.compactions(), 7);
    assert!(typed.rollout().contains("Held."), "the turn ended as it should");
    let proof = lab.project().join("proof");
    lab.rule("^touch it", &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", proof.display()));
    world.say("w1", "touch it");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let waits = typed.ask().json();
    let reason = waits["reason"].as_str().unwrap_or_default();
    assert!(waits["phase"] == "queued" && reason.contains("an approval waits"), "{waits:#}");
    thread::sleep(Duration::from_millis(300));
    assert!(!proof.exists() && world.screen("w1").contains("Would you like to run"), "{}", world.screen("w1"));
    world.press("w1", &["Escape"]);
    let id = waits["command_id"].as_str().expect("an id").to_owned();
    let done = typed.until_it_is(&id, "done");
    typed.assert_recorded(&done["result"]);
    assert_eq!((typed.compactions(), proof.exists()), (8, false));
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn real_codex_that_takes_messages_from_its_queue_has_its_compaction_typed() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(typed) = real(&lab, true) else { return };
    let world = &typed.world;
    lab.rule("^.*status please", "{{say All is well.}}");
    let nudged = world.run(&["session-nudge", "w1", "status please", "--wait", "60", "--json"]).ok().json();
    assert_eq!((&nudged["lane"], &nudged["phase"]), (&"queue".into(), &"done".into()), "{nudged:#}");
    world.wait_for_condition("w1", "done");
    let done = world.run(&["request-worker-compact", "parser"]).ok().json();
    assert_eq!((&done["phase"], &done["send_result"]["lane"]), (&"done".into(), &"tmux".into()), "{done:#}");
    typed.assert_recorded(&done);

    // Codex compacts by itself before the next turn: that is no answer to a request.
    let id = typed.asks_and_dies_at("staged");
    world.wait_for_screen("w1", "› /compact");
    world.press("w1", &["C-c"]);
    world.say("w1", "big {{usage 300000 10}} {{say Big.}}");
    world.wait_for_screen("w1", "• Big.");
    world.say("w1", "after {{say After.}}");
    world.wait_for_screen("w1", "• After.");
    world.run(&["ingest", "w1"]).ok();
    assert_eq!((typed.compactions(), &typed.command(&id)["phase"]), (2, &"staged".into()));
    typed.time_passes();
    typed.until_it_waits(&id, "cleared it");
    typed.time_passes();
    let done = typed.until_it_is(&id, "done");
    typed.assert_recorded(&done["result"]);
    assert_eq!(typed.compactions(), 3);
    world.run(&["stop", "w1"]).ok();
}
