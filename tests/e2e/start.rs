//! `start-worker` with the simulator: what it says, what it leaves, and that a start which fails leaves nothing.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use super::world::{World, files, finish, processes_with, rows, wait_for};

/// A start goes on without the server; whoever asks why, long after, is told of the last one that failed.
#[test]
fn a_server_that_could_not_be_started_is_not_called_well() {
    let Some(world) = World::start() else { return };
    let server = || {
        let doctor = world.run(&["doctor", "--json"]).json();
        let checks = doctor["checks"].as_array().expect("checks").clone();
        checks.into_iter().find(|check| check["name"] == "codex_server").unwrap_or_else(|| panic!("{doctor:#}"))
    };
    let codex = |starts: &str| {
        let sim = env!("CARGO_BIN_EXE_conveyor");
        world.script(
            "codex",
            &format!(
                "case \"$1 $2\" in 'features list') echo 'daemon_auto_start stable true'; exit;; \
                 'app-server daemon') {starts};; esac\nexec '{sim}' sim codex --no-daemon \"$@\""
            ),
        );
    };
    let start = |name: &str| {
        let words = ["--task", "Begin {{say Ready.}}", "--timeout-seconds", "30", "--json"];
        world.run(&[&["start-worker", "--name", name], &words[..]].concat()).ok().json()
    };
    codex("echo 'no room for a server' >&2; exit 1");
    assert_eq!(server()["value"], "not_running", "nobody has tried");
    let started = start("w1");
    assert!(started["without_server"].as_str().unwrap().contains("no room for a server"), "{started:#}");
    let found = server();
    let message = found["message"].as_str().unwrap();
    assert_eq!((&found["ok"], &found["value"]), (&false.into(), &"start_failed".into()), "{found:#}");
    assert!(message.contains("it could not be started") && message.contains(" ago: "), "{message}");
    assert!(message.contains("no room for a server"), "{message}");
    assert!(found["remedy"].as_str().unwrap().contains("codex app-server daemon start"), "{found:#}");

    // It counts until one succeeds.
    codex("echo '{\"status\":\"started\"}'; exit 0");
    let started = start("w2");
    assert!(started["without_server"].is_string(), "it cannot be reached, but it was started: {started:#}");
    assert_eq!(server()["value"], "not_running");
}

#[test]
fn a_worker_is_started_named_and_watched_to_its_end() {
    let Some(world) = World::start() else { return };
    let go = world.hold();
    let task = format!("Mend the parser {{{{hold {}}}}} {{{{say All is mended.}}}}", go.display());
    let started = world.start_worker("w1", &task);
    assert_eq!(started["name"], "w1", "{started:#}");
    assert_eq!(started["role"], "worker");
    assert_eq!((&started["approval"], &started["sandbox"]), (&"on-request".into(), &"workspace-write".into()));
    assert_eq!(started["tmux_session"], "codex-w1");
    assert_eq!(started["tmux_pane_id"], world.pane("w1").to_string());
    assert_eq!(started["codex_version"], "0.169.0");
    assert_eq!(started["cwd"], world.cwd().display().to_string());
    assert_eq!((&started["dry_run"], &started["trust_accepted"]), (&false.into(), &false.into()));
    assert_eq!(started["awaiting_first_prompt"], false);
    assert_eq!(started["codex_session_id"].as_str().map(str::len), Some(36), "the status line shows it");
    assert!(started["attach_command"].as_str().unwrap().contains(world.server().socket()));
    assert!(started["pid"].as_i64().unwrap() > 0);
    assert!(["idle", "busy"].contains(&started["startup"].as_str().unwrap()), "{started:#}");

    world.bind("parser", "w1");
    let busy = world.wait_for_condition("w1", "busy");
    assert_eq!((&busy["work_state"], &busy["running"]), (&"busy".into(), &true.into()));
    assert_eq!(busy["awaiting_first_prompt"], false, "{busy:#}");
    let row = |world: &World| rows(&world.run(&["list", "--json"]).ok().json())[0].clone();
    assert_eq!(row(&world)["name"], "w1", "{:#}", row(&world));
    assert_eq!(row(&world)["judgement"]["condition"], "busy");
    let explained = world.run(&["explain", "w1", "--json"]).ok().json();
    assert_eq!(explained["judgement"]["condition"], "busy");
    assert!(explained["rollout"]["line"].as_str().is_some_and(|line| line.contains("task_started")), "{explained:#}");
    assert!(world.run(&["explain", "w1", "--text"]).ok().out.contains("w1 is working: "));

    fs::write(go, "").unwrap();
    world.wait_for_condition("w1", "done");
    let cycle = world.cycle("parser");
    assert_eq!((&cycle["condition"], &cycle["state"]), (&"done".into(), &"idle".into()), "{cycle:#}");
    assert_eq!(cycle["task_completed"], true);
    assert_eq!(cycle["degraded"], Value::Array(Vec::new()));
    assert_eq!(cycle["manager_context"]["worker_receipt"]["last_agent_message"], "All is mended.");
    assert_eq!(row(&world)["judgement"]["condition"], "done");
    let explained = world.run(&["explain", "w1", "--json"]).ok().json();
    assert!(explained["rollout"]["line"].as_str().is_some_and(|line| line.contains("task_complete")), "{explained:#}");

    let taken = world.run(&["start-worker", "--name", "w1", "--no-server", "--json"]);
    assert_eq!((taken.code, &taken.error()["kind"]), (1, &"conflict".into()), "{taken}");
    assert_eq!(world.tmux_sessions(), ["codex-w1"]);

    world.run(&["stop", "w1"]).ok();
    let again = world.start_worker("w1", "Once more {{say Done again.}}");
    assert_eq!(again["session_id"], started["session_id"], "a name keeps its record");
    assert_ne!(again["codex_session_id"], started["codex_session_id"]);
    let done = world.wait_for_condition("w1", "done");
    assert_eq!(done["judgement"]["rule"], "turn_complete");
    let cycle = world.cycle("parser");
    assert_eq!(cycle["manager_context"]["worker_receipt"]["last_agent_message"], "Done again.", "{cycle:#}");
}

#[test]
fn people_are_told_the_way_to_the_pane_inside_tmux_and_outside() {
    let Some(world) = World::start() else { return };
    let start = ["start-worker", "--name", "w1", "--no-server", "--task", "{{say Hi.}}", "--text"];
    let told = world.run(&start).ok().out;
    for words in ["attach: conveyor open w1", "outside tmux: tmux -S", "inside that tmux: tmux -S", "switch-client -t"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn a_long_prompt_goes_through_a_private_file() {
    let Some(world) = World::start() else { return };
    let secret = "needle-in-no-command-line";
    let task = format!("{secret}\n{}", "A long description of the task. ".repeat(100));
    world.start_worker("w1", &task);
    let files = files(&world.state_root().join("artifacts/start-prompts"));
    let [file] = files.as_slice() else { panic!("{files:#?}") };
    assert_eq!(fs::read_to_string(file).unwrap(), task.trim());
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    for folder in [file.parent().unwrap(), &world.state_root()] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
    }
    assert_eq!(processes_with(secret), Vec::<String>::new());
    world.wait_for_condition("w1", "done");
    assert!(fs::read_to_string(&world.rollouts()[0]).unwrap().contains(file.to_str().unwrap()));
}

#[test]
fn a_prompt_arrives_as_it_was_given() {
    let Some(world) = World::start() else { return };
    for (name, prompt) in [
        ("dashes", "--yolo -c x=y -- {{say ok}}"),
        ("quotes", r#"it's "quoted" $(id) `id` $HOME \n ; && {{say ok}};"#),
        ("lines", "first\n\n  second\twith a tab\n#{pane_id} %7 {{say ok}}"),
        ("letters", "naïve 日本語 🙂 {{say ok}}"),
    ] {
        let started = world.run(&["start-worker", "--name", name, "--no-server", &format!("--task={prompt}")]).ok();
        let done = world.wait_for_condition(name, "done");
        let thread = started.json()["codex_session_id"].as_str().unwrap().to_owned();
        let rollout = world.rollouts().into_iter().find(|path| path.to_str().unwrap().contains(&thread));
        let rollout = fs::read_to_string(rollout.unwrap()).unwrap();
        let sent = serde_json::to_string(prompt).unwrap();
        assert!(rollout.contains(&sent), "{sent} is not in\n{rollout}\n{done:#}");
    }
}

/// What a failed start must not leave.
#[track_caller]
fn assert_nothing_left(world: &World, name: &str) {
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
    if world.ledger().exists() {
        let listed = world.run(&["list", "--all", "--json"]).ok();
        assert!(!listed.out.contains(name), "{listed}");
    }
    assert_eq!(files(&world.state_root().join("artifacts")), Vec::<std::path::PathBuf>::new());
    let marker = world.bin().display().to_string();
    wait_for(
        "its processes to end",
        || processes_with(&marker).is_empty().then_some(()),
        || processes_with(&marker).join("\n"),
    );
}

#[test]
fn a_start_that_cannot_work_says_why_and_leaves_nothing() {
    let Some(world) = World::start() else { return };
    let start = ["start-worker", "--name", "w1", "--no-server", "--json", "--task"];
    let long = "word ".repeat(400);
    let with = |more: &[&str]| world.run(&[&start, &[long.as_str()][..], more].concat());

    let no_folder = with(&["--cwd", "/nowhere/at/all"]);
    assert_eq!(no_folder.code, 1, "{no_folder}");
    assert!(no_folder.error()["message"].as_str().unwrap().contains("/nowhere/at/all"));
    assert_nothing_left(&world, "w1");

    let without = |name: &str, tools: &[&str]| {
        let path = world.bin_with(name, tools);
        finish(world.command().env("PATH", path).args(start).arg("x"))
    };
    let no_codex = without("no-codex", &["tmux"]);
    assert_eq!((no_codex.code, &no_codex.error()["kind"]), (69, &"missing_tool".into()), "{no_codex}");
    assert!(no_codex.error()["hint"].as_str().unwrap().contains("npm install"));
    let given = with(&["--codex", "/nowhere/codex"]);
    assert_eq!(given.code, 69, "{given}");
    assert_nothing_left(&world, "w1");

    let path = world.bin_with("no-tmux", &[]);
    let codex = world.bin().join("codex").display().to_string();
    let no_tmux = finish(world.command().env("PATH", &path).args(start).args(["x", "--codex", &codex]));
    assert_eq!((no_tmux.code, &no_tmux.error()["kind"]), (69, &"missing_tool".into()), "{no_tmux}");
    assert!(no_tmux.error()["hint"].as_str().unwrap().contains("tmux"));

    let old = world.bin_with("old-tmux", &[]);
    fs::write(old.join("tmux"), "#!/bin/sh\necho tmux 2.9a\n").unwrap();
    fs::set_permissions(old.join("tmux"), fs::Permissions::from_mode(0o755)).unwrap();
    let old_tmux = finish(world.command().env("PATH", &old).args(start).args(["x", "--codex", &codex]));
    assert_eq!(old_tmux.code, 69, "{old_tmux}");
    assert!(old_tmux.error()["message"].as_str().unwrap().contains("2.9a"));
    assert_nothing_left(&world, "w1");

    world.broken_codex("echo 'error: no such option' >&2; exit 3");
    let ended = with(&[]);
    assert_eq!((ended.code, &ended.error()["kind"]), (1, &"refused".into()), "{ended}");
    assert!(ended.error()["message"].as_str().unwrap().contains("ended"), "{ended}");
    assert_nothing_left(&world, "w1");

    world.broken_codex("echo a riddle; exec cat");
    let silent = with(&["--timeout-seconds", "1"]);
    assert_eq!((silent.code, &silent.error()["kind"]), (4, &"unconfirmed".into()), "{silent}");
    assert!(silent.error()["message"].as_str().unwrap().contains("a riddle"), "{silent}");
    assert_nothing_left(&world, "w1");

    // Somebody else takes the name while Codex starts.
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    let rollout = world.recorded_rollout();
    let register = ["register-manager", "--name", "w2", "--codex-session", &rollout, "--path"];
    let thief = shell_words::join([&[env!("CARGO_BIN_EXE_conveyor")], &register[..]].concat());
    world.broken_codex(&format!("{thief} {} >/dev/null\nexec {sim} \"$@\"", world.ledger().display()));
    let robbed = world.run(&["start-worker", "--name", "w2", "--no-server", "--json", "--task", &long]);
    assert_eq!((robbed.code, &robbed.error()["kind"]), (1, &"conflict".into()), "{robbed}");
    assert_nothing_left(&world, "codex-w2");

    // The name is free after all that.
    world.codex(&[]);
    world.start_worker("w1", "Try {{say ok}}");
    world.wait_for_condition("w1", "done");
}

#[test]
fn a_dry_run_starts_nothing() {
    let Some(world) = World::start() else { return };
    let planned = world.run(&["start-worker", "--name", "w1", "--no-server", "--task", "x", "--dry-run"]).ok();
    assert_eq!(planned.json()["dry_run"], true);
    assert_eq!(world.tmux_sessions(), Vec::<String>::new());
    assert!(!world.ledger().exists());
}

#[test]
fn the_trust_question_is_a_persons_unless_told_otherwise() {
    let Some(world) = World::start() else { return };
    world.codex(&["--trust-prompt"]);
    let started = world.start_worker("w1", "Look around {{say Seen.}}");
    assert_eq!((&started["startup"], &started["trust_accepted"]), (&"waiting".into(), &false.into()), "{started:#}");
    let status = world.status("w1");
    assert_eq!((&status["condition"], &status["judgement"]["prompt"]), (&"blocked".into(), &"trust".into()));
    for _ in 0..3 {
        world.status("w1");
        world.run(&["capture", "w1"]).ok();
    }
    assert!(world.screen("w1").contains("Trust this folder?"), "{}", world.screen("w1"));
    assert_eq!(world.rollouts(), Vec::<std::path::PathBuf>::new());
    // The person says yes.
    world.press("w1", &["Enter"]);
    world.wait_for_condition("w1", "done");

    let accepted =
        world.run(&["start-worker", "--name", "w2", "--no-server", "--accept-trust", "--task", "Go {{say Gone.}}"]);
    let accepted = accepted.ok().json();
    assert_eq!(accepted["trust_accepted"], true, "{accepted:#}");
    assert_ne!(accepted["startup"], "waiting");
    world.wait_for_condition("w2", "done");
}

#[test]
fn a_policy_that_its_codex_does_not_know_is_refused_before_anything_is_opened() {
    let Some(world) = World::start() else { return };
    let start = ["start-worker", "--name", "w1", "--ask-for-approval", "untrusted", "--json"];
    let run = world.run(&start);
    assert_eq!((run.code, run.error()["kind"].as_str()), (1, Some("refused")), "{run}");
    assert!(run.error()["hint"].as_str().unwrap_or_default().contains("on-request"), "{run}");
    assert!(world.tmux_sessions().is_empty() && !world.ledger().exists());
}
