//! What a start or a resume may never do: widen rights, open a thread beside its owner, leave something behind, or
//! take something away from another start.

use std::{fs, process::Stdio};

use conveyor::ports::codex_server::{CodexServer, ThreadStatus, Timeouts};
use serde_json::Value;

use super::world::{World, files, finish, rows, wait_for};
use crate::support::codex_lab::CodexLab;

/// From now on `codex` notes its words in the returned file.
fn note_words(world: &World) -> std::path::PathBuf {
    let file = world.server().folder().join("words");
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    world.script("codex", &format!("echo \"$*\" >>{}\nexec {sim} \"$@\"", file.display()));
    file
}

fn last_resume(words: &std::path::Path) -> String {
    let all = fs::read_to_string(words).unwrap();
    all.lines().rfind(|line| line.starts_with("resume ")).unwrap_or_default().to_owned()
}

#[test]
fn a_resumed_session_has_the_rights_it_had() {
    let Some(world) = World::start() else { return };
    let words = note_words(&world);
    let rights = ["--sandbox", "read-only", "--ask-for-approval", "never", "--model", "m-1"];
    let start = ["start-worker", "--name", "w1", "--no-server", "--task", "Look {{say Seen.}}"];
    world.run(&[&start[..], &rights].concat()).ok();
    world.wait_for_condition("w1", "done");
    // Twice: what was not given the first time is not forgotten.
    for _ in 0..2 {
        world.run(&["stop", "w1"]).ok();
        let resumed = world.run(&["resume", "w1", "--no-server"]).ok().json();
        assert_eq!((&resumed["sandbox"], &resumed["approval"]), (&"read-only".into(), &"never".into()), "{resumed:#}");
        let words = last_resume(&words);
        assert!(words.contains(&rights.join(" ")), "{words}");
    }
    world.run(&["stop", "w1"]).ok();
    let asked = world.run(&["resume", "w1", "--no-server", "--sandbox", "workspace-write"]).ok().json();
    assert_eq!((&asked["sandbox"], &asked["approval"]), (&"workspace-write".into(), &"never".into()));
}

#[test]
fn a_session_of_somebody_else_is_resumed_with_its_own_rights() {
    let Some(world) = World::start() else { return };
    let words = note_words(&world);
    world.start_worker("w1", "Look {{say Seen.}}");
    world.wait_for_condition("w1", "done");
    world.run(&["stop", "w1"]).ok();
    let rollout = world.rollouts()[0].display().to_string();
    let ledger = world.server().folder().join("other.db").display().to_string();
    world.run(&["register-worker", "--name", "w2", "--codex-session", &rollout, "--path", &ledger]).ok();
    let resumed = world.run(&["resume", "w2", "--no-server", "--path", &ledger]).ok().json();
    assert_eq!((&resumed["sandbox"], &resumed["approval"]), (&Value::Null, &Value::Null), "{resumed:#}");
    let words = last_resume(&words);
    for flag in ["--sandbox", "--ask-for-approval", "--model"] {
        assert!(!words.contains(flag), "{words}");
    }
}

#[test]
fn a_dead_pane_that_tmux_keeps_does_not_stand_in_the_way() {
    let Some(world) = World::start() else { return };
    world.server().plain(&["set-option", "-g", "remain-on-exit", "on"]);
    let started = world.start_worker("w1", "Look {{say Seen.}}");
    world.wait_for_condition("w1", "done");
    let pid = i32::try_from(started["pid"].as_i64().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    let dead = || world.server().plain(&["list-panes", "-a", "-F", "#{pane_pid} #{pane_dead}"]);
    wait_for("the pane to be dead", || dead().contains(&format!("{pid} 1")).then_some(()), dead);
    world.run(&["resume", "w1", "--no-server", "--dry-run"]).ok();
    let resumed = world.run(&["resume", "w1", "--no-server"]).ok().json();
    assert_ne!(resumed["tmux_pane_id"], started["tmux_pane_id"]);
    assert_eq!(world.tmux_sessions(), ["codex-w1"]);
}

#[test]
fn a_thread_is_not_opened_beside_its_owner() {
    let Some(world) = World::start() else { return };
    let sim = [env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon", "--headless", "--hold", "Go {{say ok}}"];
    let mut owner = std::process::Command::new(sim[0])
        .args(&sim[1..])
        .env("CODEX_HOME", world.codex_home())
        .current_dir(world.cwd())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let rollout = wait_for("its rollout", || world.rollouts().first().cloned(), String::new);
    let register = ["register-worker", "--name", "w1", "--codex-session", &rollout.display().to_string()];
    wait_for("its first line", || (world.run(&register).code == 0).then_some(()), String::new);
    world.run(&["deregister", "w1"]).ok();
    let refused = world.run(&["resume", "w1", "--no-server", "--json"]);
    let _ = (owner.kill(), owner.wait());
    assert_eq!((refused.code, &refused.error()["kind"]), (1, &"refused".into()), "{refused}");
    let message = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("has the Codex thread"), "{message}");
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
    // With its owner gone it can be.
    world.run(&["resume", "w1", "--no-server"]).ok();
}

#[test]
fn the_loser_of_a_race_takes_nothing_from_the_winner() {
    let Some(world) = World::start() else { return };
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    world.broken_codex(&format!("sleep 2\nexec {sim} \"$@\""));
    let long = "word ".repeat(400);
    let start = ["start-worker", "--name", "w1", "--no-server", "--json", "--task", &long];
    let mut winner = world.command().args(start).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first start", || (!world.tmux_sessions().is_empty()).then_some(()), String::new);
    let lost = world.run(&start);
    assert_eq!((lost.code, &lost.error()["kind"]), (1, &"conflict".into()), "{lost}");
    assert!(winner.wait().unwrap().success());
    assert_eq!(files(&world.state_root().join("artifacts/start-prompts")).len(), 1);
    assert_eq!(world.tmux_sessions(), ["codex-w1"]);
}

#[test]
fn a_name_that_was_registered_meanwhile_is_not_overwritten() {
    let Some(world) = World::start() else { return };
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    let rollout = world.recorded_rollout();
    let register = ["register-worker", "--name", "w1", "--codex-session", &rollout, "--path"];
    let thief = shell_words::join([&[env!("CARGO_BIN_EXE_conveyor")], &register[..]].concat());
    world.broken_codex(&format!("{thief} {} >/dev/null\nexec {sim} \"$@\"", world.ledger().display()));
    let long = "word ".repeat(400);
    let robbed = world.run(&["start-worker", "--name", "w1", "--no-server", "--json", "--task", &long]);
    assert_eq!((robbed.code, &robbed.error()["kind"]), (1, &"conflict".into()), "{robbed}");
    assert_eq!(world.session("w1")["codex_session_path"], rollout);
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
    assert_eq!(files(&world.state_root().join("artifacts")), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_dot_and_an_underscore_are_two_names() {
    let Some(world) = World::start() else { return };
    world.start_worker("a.b", "Look {{say Seen.}}");
    world.start_worker("a_b", "Look {{say Seen.}}");
    assert_eq!(world.tmux_sessions(), ["codex-a-dot-b", "codex-a_b"]);
}

/// The real Codex behind `codex`, in the home of a lab.
fn real(world: &World, lab: &CodexLab, first: &str) {
    let home = format!("CODEX_HOME={}", lab.home().display());
    let words = shell_words::join(["env", &home, &lab.cli().program.display().to_string()]);
    world.script("codex", &format!("{first}\nexec {words} \"$@\""));
}

fn run_in(world: &World, lab: &CodexLab, words: &[&str]) -> crate::support::Finished {
    finish(world.command().env("CODEX_HOME", lab.home()).args(words))
}

#[test]
fn a_thread_that_the_server_holds_is_resumed_through_it() {
    let Some(world) = World::start() else { return };
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    if !lab.cli().has_server().unwrap() {
        return;
    }
    real(&world, &lab, "");
    let project = lab.project().display().to_string();
    let started =
        run_in(&world, &lab, &["start-worker", "--name", "w1", "--cwd", &project, "--sandbox", "read-only"]).ok();
    assert_eq!(started.json()["without_server"], Value::Null, "{started}");
    run_in(&world, &lab, &["stop", "w1"]).ok();
    let wider = run_in(&world, &lab, &["resume", "w1", "--json", "--sandbox", "danger-full-access"]);
    assert_eq!(wider.error()["kind"], "refused", "{wider}");
    let resumed = run_in(&world, &lab, &["resume", "w1"]).ok().json();
    assert_eq!(resumed["without_server"], Value::Null, "{resumed:#}");
    assert_eq!(resumed["startup"], "idle", "the spinner of its own start is no turn: {resumed:#}");
    assert_eq!(resumed["sandbox"], "read-only", "{resumed:#}");
    assert_eq!(resumed["codex_session_id"], started.json()["codex_session_id"]);
    run_in(&world, &lab, &["stop", "w1"]).ok();
}

/// A terminal that shows a thread of the server gives it the settings of its own command line, or the configured ones.
#[test]
fn turns_in_the_server_have_the_rights_that_were_asked_for() {
    let Some(world) = World::start() else { return };
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    if !lab.cli().has_server().unwrap() {
        return;
    }
    real(&world, &lab, "");
    let project = lab.project().display().to_string();
    for (name, sandbox, approval) in [("w1", "read-only", "on-request"), ("w2", "danger-full-access", "never")] {
        let rights = ["--sandbox", sandbox, "--ask-for-approval", approval];
        let start = ["start-worker", "--name", name, "--cwd", &project, "--task", "look {{say Seen.}}"];
        let started = run_in(&world, &lab, &[&start, &rights[..]].concat()).ok().json();
        assert_eq!((&started["without_server"], &started["sandbox"]), (&Value::Null, &sandbox.into()), "{started:#}");
        let nudge = ["session-nudge", name, "once more {{say Again.}}"];
        run_in(&world, &lab, &nudge).ok();
        let status = run_in(&world, &lab, &["sessions", "--name", name, "--json"]).ok().json();
        let path = rows(&status)[0]["codex_session_path"].as_str().expect("a rollout").to_owned();
        let lines = std::fs::read_to_string(path).unwrap();
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let turns: Vec<Value> =
            records.filter(|one| one["type"] == "turn_context").map(|one| one["payload"].clone()).collect();
        assert_eq!(turns.len(), 2, "{turns:#?}");
        for turn in turns {
            let had = (&turn["sandbox_policy"]["type"], &turn["approval_policy"]);
            assert_eq!(had, (&sandbox.into(), &approval.into()), "{turn:#}");
        }
        run_in(&world, &lab, &["stop", name]).ok();
    }
}

#[test]
fn a_failed_start_leaves_no_turn_in_the_server() {
    let Some(world) = World::start() else { return };
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    if !lab.cli().has_server().unwrap() {
        return;
    }
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    let rollout = world.recorded_rollout();
    let register = ["register-worker", "--name", "w1", "--codex-session", &rollout, "--path"];
    let thief = shell_words::join([&[env!("CARGO_BIN_EXE_conveyor")], &register[..]].concat());
    let thief = format!("case \"$1\" in resume) {thief} {} >/dev/null;; esac", world.ledger().display());
    real(&world, &lab, &thief);
    let project = lab.project().display().to_string();
    let start = ["start-worker", "--name", "w1", "--json", "--cwd", &project, "--task", "hold the line"];
    let failed = run_in(&world, &lab, &start);
    assert_eq!(failed.error()["kind"], "conflict", "{failed}");
    assert!(!failed.err.contains("may still run"), "{failed}");
    let mut server = CodexServer::connect(&lab.home(), Timeouts::default()).unwrap();
    for thread in server.loaded_threads().unwrap() {
        let status = server.read_thread(&thread).unwrap().status;
        assert!(!matches!(status, ThreadStatus::Active { .. }), "{thread}: {status:?}");
    }
    assert_eq!(files(&lab.home().join("sessions")), Vec::<std::path::PathBuf>::new(), "its rollout is archived");
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
}
