//! What `status`, `cycle` and `explain` say while turns run, wait for a person, die, and move to other threads.

use std::{fs, path::PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::world::{World, wait_for};

fn hold(path: &std::path::Path) -> String {
    format!("{{{{hold {}}}}}", path.display())
}

/// Sends SIGKILL to the process of a session's pane.
fn kill(world: &World, name: &str) {
    let pane = world.pane(name).to_string();
    let pid = world.server().plain(&["display-message", "-p", "-t", &pane, "#{pane_pid}"]);
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn looking_at_an_approval_approves_nothing() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Change it {{shell-esc rm -rf build}} {{say Changed.}}");
    world.bind("t", "w1");
    world.wait_for_screen("w1", "Would you like to run the following command?");
    let status = world.wait_for_condition("w1", "blocked");
    assert_eq!(status["judgement"]["prompt"], "approval_command", "{status:#}");
    for round in 0..20 {
        let out = match round % 4 {
            0 => world.run(&["cycle", "t", "--json"]),
            1 => world.run(&["status", "w1", "--json"]),
            2 => world.run(&["explain", "w1", "--json"]),
            _ => world.run(&["capture", "w1", "--json"]),
        };
        let out = out.ok().json();
        let judged = if round % 4 == 3 { &Value::Null } else { &out["judgement"] };
        if !judged.is_null() {
            assert_eq!((&judged["condition"], &judged["prompt"]), (&"blocked".into(), &"approval_command".into()));
            assert_eq!(judged["ready_for_text"], "not_ready");
        }
    }
    let cycle = world.cycle("t");
    assert_eq!((&cycle["state"], &cycle["notable_pane_pattern"]), (&"busy".into(), &"approval_command".into()));
    assert!(world.screen("w1").contains("Would you like to run the following command?"), "{}", world.screen("w1"));
    assert!(!fs::read_to_string(&world.rollouts_of("w1")[0]).unwrap().contains("CommandExecution"));

    // The person says yes.
    world.press("w1", &["y"]);
    world.wait_for_condition("w1", "done");
    assert!(fs::read_to_string(&world.rollouts_of("w1")[0]).unwrap().contains("CommandExecution"));
}

#[test]
fn the_first_look_knows_what_has_happened_since_the_start() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {} {{{{say Ended.}}}}", hold(&go)));
    world.bind("t", "w1");
    world.wait_for_screen("w1", "esc to interrupt");
    let cycle = world.cycle("t");
    assert_eq!((&cycle["condition"], &cycle["judgement"]["awaiting_first_prompt"]), (&"busy".into(), &false.into()));
    // The start itself may have read it already.
    assert!(cycle["ingest"]["new_offset"].as_u64().unwrap() > 0, "{cycle:#}");
    assert!(!cycle["last_event_subtype"].is_null(), "{cycle:#}");

    for (name, words) in [("w2", ["status", "w2", "--json"]), ("w3", ["explain", "w3", "--json"])] {
        world.start_worker(name, &format!("Begin {} {{{{say Ended.}}}}", hold(&go)));
        world.wait_for_screen(name, "esc to interrupt");
        let judged = world.run(&words).ok().json()["judgement"].clone();
        assert_eq!(
            (&judged["condition"], &judged["awaiting_first_prompt"]),
            (&"busy".into(), &false.into()),
            "{judged:#}"
        );
        assert!(
            judged["readings"].as_array().unwrap().iter().any(|reading| reading["source"] == "rollout"),
            "{judged:#}"
        );
    }
}

#[test]
fn a_refusal_and_an_interruption_are_no_completion() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {} {{{{say Never said.}}}}", hold(&go)));
    world.bind("t", "w1");
    world.wait_for_condition("w1", "busy");
    world.press("w1", &["Escape"]);
    let aborted = world.wait_for_condition("w1", "aborted");
    assert_eq!(aborted["judgement"]["rule"], "turn_aborted", "{aborted:#}");
    let cycle = world.cycle("t");
    assert_eq!((&cycle["task_completed"], &cycle["state"]), (&false.into(), &"idle".into()));
    assert_eq!(cycle["manager_context"]["worker_receipt"]["outcome"], "aborted", "{cycle:#}");

    world.say("w1", "fail now {{fail usage_limit_exceeded}}");
    let failed = wait_for(
        "a failed turn",
        || Some(world.status("w1")).filter(|status| status["judgement"]["rule"] == "turn_failed"),
        || format!("{:#}", world.status("w1")),
    );
    assert_eq!(failed["condition"], "aborted", "{failed:#}");
    assert_eq!(world.cycle("t")["task_completed"], false);
}

#[test]
fn a_worker_that_dies_silently_is_told_and_brought_back() {
    let Some(world) = World::start() else { return };
    world.codex(&["--fault", "silent-death"]);
    let started = world.start_worker("w1", "Begin {{sleep 60}} {{say Never.}}");
    world.bind("t", "w1");
    let dead = world.wait_for_condition("w1", "aborted");
    assert_eq!((&dead["judgement"]["rule"], &dead["running"]), (&"died_mid_turn".into(), &false.into()), "{dead:#}");
    let cycle = world.cycle("t");
    assert_eq!((&cycle["worker_alive"], &cycle["task_completed"]), (&false.into(), &false.into()), "{cycle:#}");
    assert_eq!(cycle["degraded"][0], "capture_pane_signal");
    assert_eq!(cycle["notable_pane_pattern"], "tmux_session_missing");

    world.codex(&[]);
    let resumed = world.run(&["resume", "w1", "--no-server"]).ok().json();
    assert_eq!(resumed["codex_session_id"], started["codex_session_id"], "{resumed:#}");
    assert_ne!(resumed["tmux_pane_id"], started["tmux_pane_id"]);
    let back = world.status("w1");
    assert_eq!((&back["running"], &back["work_state"]), (&true.into(), &"idle".into()), "{back:#}");
    wait_for(
        "its composer",
        || (world.status("w1")["judgement"]["ready_for_text"] == "ready").then_some(()),
        || format!("{:#}\n{}", world.status("w1"), world.screen("w1")),
    );
    let twice = world.run(&["resume", "w1", "--no-server", "--json"]);
    assert_eq!((twice.code, &twice.error()["kind"]), (1, &"refused".into()), "{twice}");
    world.say("w1", "Go on {{say Back again.}}");
    world.wait_for_condition("w1", "done");
    assert_eq!(world.cycle("t")["manager_context"]["worker_receipt"]["last_agent_message"], "Back again.");
}

#[test]
fn a_killed_pane_process_and_a_killed_server_are_degraded_not_failures() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {} {{{{say Never.}}}}", hold(&go)));
    world.bind("t", "w1");
    world.wait_for_condition("w1", "busy");
    kill(&world, "w1");
    let dead = world.wait_for_condition("w1", "aborted");
    assert_eq!(dead["judgement"]["rule"], "died_mid_turn", "{dead:#}");
    world.run(&["resume", "w1", "--no-server"]).ok();
    assert_eq!(world.status("w1")["running"], true);

    world.say("w1", &format!("Again {} {{{{say Never.}}}}", hold(&go)));
    world.wait_for_condition("w1", "busy");
    world.server().plain(&["kill-server"]);
    let cycle = wait_for(
        "the end of the server to be seen",
        || Some(world.cycle("t")).filter(|cycle| cycle["worker_alive"] == false),
        || format!("{:#}", world.cycle("t")),
    );
    assert_eq!((&cycle["degraded"][0], &cycle["condition"]), (&"capture_pane_signal".into(), &"aborted".into()));
    assert_eq!(cycle["judgement"]["rule"], "died_mid_turn", "{cycle:#}");
    let stopped = world.run(&["stop", "w1", "--json"]).ok().json();
    assert_eq!(stopped["ending"], "already_gone", "{stopped:#}");
}

#[test]
fn a_pane_id_with_another_process_in_it_is_not_the_session() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    world.start_worker("w1", &format!("Begin {} {{{{say Never.}}}}", hold(&go)));
    world.wait_for_condition("w1", "busy");
    let pane = world.pane("w1").to_string();
    world.server().plain(&["respawn-pane", "-k", "-t", &pane, "echo 'esc to interrupt'; exec cat"]);
    let status = world.wait_for_condition("w1", "aborted");
    assert_eq!((&status["judgement"]["rule"], &status["running"]), (&"died_mid_turn".into(), &false.into()));
    assert!(
        status["judgement"]["reason"].as_str().unwrap().contains("another process")
            || status["judgement"]["reason"].as_str().unwrap().contains("has ended"),
        "{status:#}"
    );
    let opened = world.run(&["open", "w1", "--json"]);
    assert_eq!((opened.code, &opened.error()["kind"]), (1, &"refused".into()), "{opened}");
    let stopped = world.run(&["stop", "w1", "--json"]).ok().json();
    assert_eq!((&stopped["ending"], &stopped["killed_session"]), (&"already_gone".into(), &false.into()));
    assert_eq!(world.tmux_sessions(), ["codex-w1"], "the stranger lives on");
}

#[test]
fn a_new_thread_in_the_same_pane_is_followed() {
    let Some(world) = World::start() else { return };
    let first = world.start_worker("w1", "First {{say One.}}");
    world.wait_for_condition("w1", "done");
    let mut known = first["codex_session_id"].clone();
    for (command, answer) in [("/new", "Two."), ("/clear", "Three.")] {
        world.say("w1", command);
        let session = wait_for(
            &format!("{command} to be followed"),
            || {
                world.status("w1");
                Some(world.session("w1")).filter(|session| session["codex_session_id"] != known)
            },
            || format!("{:#}\n{}", world.status("w1"), world.screen("w1")),
        );
        assert_eq!(session["codex_session_path"], Value::Null, "{session:#}");
        let status = world.status("w1");
        assert_eq!(
            (&status["awaiting_first_prompt"], &status["condition"]),
            (&true.into(), &"idle".into()),
            "{status:#}"
        );
        known = session["codex_session_id"].clone();

        world.say("w1", &format!("Next {{{{say {answer}}}}}"));
        let done = world.wait_for_condition("w1", "done");
        assert_eq!(done["awaiting_first_prompt"], false, "{done:#}");
        let path = PathBuf::from(world.session("w1")["codex_session_path"].as_str().unwrap());
        assert!(path.to_str().unwrap().contains(known.as_str().unwrap()));
        assert!(fs::read_to_string(path).unwrap().contains(answer));
    }
}
