//! `stop`: Codex leaves properly from every state, nothing is approved on the way, and nobody else is hurt.

use std::fs;

use serde_json::Value;

use super::world::{World, processes_with, wait_for};

fn stop(world: &World, name: &str) -> Value {
    world.run(&["stop", name, "--json"]).ok().json()
}

/// Codex left by itself and took its tmux session along.
#[track_caller]
fn assert_left(world: &World, stopped: &Value, name: &str) {
    assert_eq!(stopped["ending"], "left", "{stopped:#}\n{}", world.all_screens());
    assert_eq!(stopped["state"], "gone");
    assert!(!world.tmux_sessions().contains(&format!("codex-{name}")), "{}", world.all_screens());
    let listed = world.run(&["list", "--json"]).ok();
    assert!(!listed.out.contains(&format!("\"{name}\"")), "{listed}");
}

#[test]
fn an_idle_a_busy_and_a_drafting_worker_leave_when_asked() {
    let Some(world) = World::start() else { return };
    world.start_worker("idle", "Begin {{say Done.}}");
    world.wait_for_condition("idle", "done");
    let stopped = stop(&world, "idle");
    assert_left(&world, &stopped, "idle");
    assert_eq!(stopped["cancelled"], Value::Null);
    let again = stop(&world, "idle");
    assert_eq!((&again["ending"], &again["killed_session"]), (&"already_gone".into(), &false.into()));
    assert_eq!(world.run(&["status", "idle"]).ok().json()["running"], false);

    let go = world.hold();
    world.start_worker("busy", &format!("Begin {{{{hold {}}}}} {{{{say Never.}}}}", go.display()));
    world.wait_for_condition("busy", "busy");
    let stopped = stop(&world, "busy");
    assert_left(&world, &stopped, "busy");
    assert_eq!(stopped["cancelled"], Value::Null);
    let rollout = fs::read_to_string(&world.rollouts_of("busy")[0]).unwrap();
    assert!(rollout.contains("turn_aborted"), "the turn was closed, not cut off");

    world.start_worker("draft", "Begin {{say Done.}}");
    world.wait_for_condition("draft", "done");
    world.press("draft", &["half a thought"]);
    world.wait_for_screen("draft", "half a thought");
    assert_left(&world, &stop(&world, "draft"), "draft");
    let rollout = fs::read_to_string(&world.rollouts_of("draft")[0]).unwrap();
    assert!(!rollout.contains("half a thought"), "a draft is never sent");
    let marker = world.bin().display().to_string();
    wait_for(
        "every process to end",
        || processes_with(&marker).is_empty().then_some(()),
        || processes_with(&marker).join("\n"),
    );
}

#[test]
fn an_open_approval_is_refused_not_given() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Change it {{shell-esc rm -rf build}} {{say Changed.}}");
    world.wait_for_condition("w1", "blocked");
    let stopped = stop(&world, "w1");
    assert_left(&world, &stopped, "w1");
    assert_eq!(stopped["cancelled"], "approval_command", "{stopped:#}");
    let trail = world.run(&["events", "w1", "--type", "session_stopped", "--json"]).ok().json();
    assert_eq!(trail[0]["payload"]["cancelled"], "approval_command", "{trail:#}");
    let rollout = fs::read_to_string(&world.rollouts_of("w1")[0]).unwrap();
    assert!(rollout.contains("turn_aborted") && !rollout.contains("AgentMessage"), "nothing was answered");
    assert!(!rollout.contains("CommandExecution"), "nothing ran");
}

#[test]
fn a_question_and_the_trust_prompt_are_left_unanswered() {
    let Some(world) = World::start() else { return };
    world.start_worker("asks", "Ask me {{ask Which one}} {{say Chosen.}}");
    world.wait_for_condition("asks", "blocked");
    let stopped = stop(&world, "asks");
    assert_left(&world, &stopped, "asks");
    assert_eq!(stopped["cancelled"], "question", "{stopped:#}");
    let rollout = fs::read_to_string(&world.rollouts_of("asks")[0]).unwrap();
    assert!(rollout.contains("turn_aborted") && !rollout.contains("AgentMessage"), "nothing was answered");

    world.codex(&["--trust-prompt"]);
    world.start_worker("fresh", "Begin {{say Begun.}}");
    let stopped = stop(&world, "fresh");
    assert_left(&world, &stopped, "fresh");
    assert!(world.rollouts_of("fresh").is_empty(), "nobody trusted anything");
}

#[test]
fn a_worker_that_does_not_listen_is_closed_after_a_while() {
    let Some(world) = World::start() else { return };
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    let deaf = world.server().folder().join("deaf");
    // A program behind it that ignores every key, and the hangup when its terminal goes.
    world.broken_codex(&format!("{sim} \"$@\"; trap '' INT HUP QUIT; stty -isig -echo; echo '› Ask Codex to do anything'; touch {deaf}; while :; do sleep 1; done", deaf = deaf.display()));
    world.start_worker("w1", "Begin {{say Done.}} {{exit}}");
    // Before that it is the simulator that is asked to leave, and it does.
    wait_for("the program that ignores keys", || deaf.exists().then_some(()), || world.screen("w1"));
    let stopped = stop(&world, "w1");
    assert!(["closed", "already_gone"].contains(&stopped["ending"].as_str().unwrap()), "{stopped:#}");
    assert_eq!(stopped["killed_session"], true);
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
    let marker = world.bin().display().to_string();
    assert_eq!(processes_with(&marker), Vec::<String>::new(), "it was ended all the same");
}

#[test]
fn the_last_session_takes_its_tmux_server_along() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Begin {{say Done.}}");
    world.wait_for_condition("w1", "done");
    world.server().plain(&["kill-session", "-t", "keep"]);
    let stopped = stop(&world, "w1");
    assert_eq!((&stopped["ending"], &stopped["state"]), (&"left".into(), &"gone".into()), "{stopped:#}");
}

#[test]
fn a_session_or_a_server_that_has_gone_is_no_error() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Begin {{say Done.}}");
    world.start_worker("w2", "Begin {{say Done.}}");
    world.server().plain(&["kill-session", "-t", "codex-w1"]);
    assert_eq!(stop(&world, "w1")["ending"], "already_gone");
    assert_eq!(world.tmux_sessions(), ["codex-w2"]);
    world.server().plain(&["kill-server"]);
    let stopped = stop(&world, "w2");
    assert_eq!((&stopped["ending"], &stopped["state"]), (&"already_gone".into(), &"gone".into()));
    let unknown = world.run(&["stop", "w3", "--json"]);
    assert_eq!((unknown.code, &unknown.error()["kind"]), (1, &"not_found".into()), "{unknown}");
}
