//! `pair` with real Codex: the worker's turn wakes the manager, whose commands work in Codex's own sandbox; and a start
//! that fails leaves nothing in Codex's server.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::world::{World, files, wait_for};
use crate::support::codex_lab::CodexLab;

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = (self.0.kill(), self.0.wait());
    }
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

#[test]
fn real_codex_wakes_its_manager_who_answers_from_its_sandbox() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    if !lab.cli().has_server().unwrap() {
        return;
    }
    let Some(world) = World::in_lab(&lab) else { return };
    // Neither below the project nor below the folder for temporary files, which a sandbox may write anyway.
    let folder = lab.home().parent().unwrap().join("ledger");
    let ledger = folder.join("workerctl.db").display().to_string();
    let run = |words: &[&str]| world.run(&[words, &["--path", &ledger]].concat());
    let (program, project) = (env!("CARGO_BIN_EXE_conveyor"), lab.project());
    let inside = |command: &str| format!("{program} {command} --path {ledger} --json");
    lab.rule(
        "start-prompts/m1",
        &format!(
            "{{{{shell until {} >{p}/cycle.json 2>&1; do sleep 0.5; done; touch {}/elsewhere || echo kept out}}}} \
             {{{{say I watch.}}}}",
            inside("cycle parser"),
            lab.home().display(),
            p = project.display()
        ),
    );
    // It is woken again by the answer to its own message; what is kept is what it saw first.
    lab.rule(
        "has answered on task parser",
        &format!(
            "{{{{shell test -e {p}/inbox.json || {} >{p}/inbox.json 2>&1; {} >{p}/nudge.json 2>&1}}}} \
             {{{{say Answered.}}}}",
            inside("manager-inbox parser --receive"),
            inside("enqueue-nudge-worker parser --idempotency-key once --message 'now the tests'"),
            p = project.display()
        ),
    );
    lab.rule("^mend it", "{{hold mend}} {{say Mended.}}");
    lab.rule("now the tests", "{{say Tested.}}");

    let pair = ["pair", "--task", "parser", "--worker-name", "w1", "--manager-name", "m1", "--timeout-seconds", "120"];
    let paired = run(&[&pair[..], &["--task-goal", "prove it", "--task-prompt", "mend it", "--no-dispatch"]].concat())
        .ok()
        .json();
    for key in ["worker", "manager"] {
        assert_eq!(paired[key]["without_server"], Value::Null, "{paired:#}");
    }
    assert_eq!(paired["manager"]["writable_roots"], json!([folder.display().to_string()]), "{paired:#}");
    let dispatcher = world
        .command()
        .args(["dispatch", "--watch", "--path", &ledger])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut dispatcher = Ended(dispatcher);

    let rollout = |name: &str| {
        let sessions = run(&["sessions", "--state", "all", "--json"]).ok().json();
        let row = super::world::rows(&sessions).into_iter().find(|row| row["name"] == name).unwrap();
        fs::read_to_string(row["codex_session_path"].as_str().unwrap()).unwrap()
    };
    // What a manager has read by itself is no reason to wake it, so the worker ends after that.
    wait_for("the manager's first turn", || rollout("m1").contains("I watch.").then_some(()), || world.all_screens());
    lab.release("mend");
    wait_for("the manager's answer", || rollout("m1").contains("Answered.").then_some(()), || world.all_screens());
    wait_for("the worker's tests", || rollout("w1").contains("Tested.").then_some(()), || world.all_screens());
    let commands = run(&["commands", "--json"]).ok().json();
    let nudge = commands.as_array().unwrap().iter().find(|one| one["type"] == "nudge_worker").unwrap().clone();
    assert_eq!((&nudge["phase"], &nudge["lane"]), (&"done".into(), &"server".into()), "{nudge:#}");
    run(&["dispatch", "stop", "--all"]).ok();
    assert!(dispatcher.0.wait().unwrap().success());

    // The message that woke the manager is in its own rollout, under our id.
    let wake = commands.as_array().unwrap().iter().find(|one| one["type"] == "worker_task_complete").unwrap().clone();
    let line = format!("\"client_id\":\"{}\"", wake["id"].as_str().unwrap());
    assert_eq!(rollout("m1").matches(&line).count(), 1, "{wake:#}");
    assert!(rollout("w1").contains(&format!("\"client_id\":\"{}\"", nudge["id"].as_str().unwrap())));

    // What it saw from its sandbox: the ledger's facts, and no death of what it cannot see.
    let cycle = wait_for(
        "its cycle",
        || read_json(&project.join("cycle.json")),
        || fs::read_to_string(project.join("cycle.json")).unwrap_or_default(),
    );
    assert_eq!((&cycle["worker_session"], &cycle["manager_session"]), (&"w1".into(), &"m1".into()), "{cycle:#}");
    assert_ne!(cycle["worker_alive"], false, "{cycle:#}");
    assert_ne!(cycle["manager_alive"], false, "{cycle:#}");
    assert!(!cycle.to_string().contains("process_gone"), "{cycle:#}");
    let inbox = read_json(&project.join("inbox.json")).unwrap();
    assert_eq!(inbox["received"]["payload"]["worker_receipt"]["last_agent_message"], "Mended.", "{inbox:#}");
    let queued = read_json(&project.join("nudge.json")).unwrap();
    assert_eq!(queued["command_id"], nudge["id"], "{queued:#}");
    // The sandbox is one: nothing else was opened to it.
    assert!(!lab.home().join("elsewhere").exists() && rollout("m1").contains("kept out"));
    for name in ["w1", "m1"] {
        run(&["stop", name]).ok();
    }
}

#[test]
fn real_codex_opens_the_ledger_to_its_managers_in_its_server_and_without() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(world) = World::in_lab(&lab) else { return };
    let root = lab.home().parent().unwrap().to_owned();
    // What the configuration opens stays open.
    let (folder, configured) = (root.join("ledger"), root.join("configured"));
    fs::create_dir(&configured).unwrap();
    let config = lab.home().join("config.toml");
    let roots = format!("\n[sandbox_workspace_write]\nwritable_roots = [{}]\n", json!(configured));
    fs::write(&config, fs::read_to_string(&config).unwrap() + &roots).unwrap();
    let ledger = folder.join("workerctl.db").display().to_string();
    let run = |words: &[&str]| world.run(&[words, &["--path", &ledger]].concat());
    let touches = |pattern: &str, file: &str| {
        let paths = [&folder, &configured].map(|folder| folder.join(file).display().to_string()).join(" ");
        lab.rule(pattern, &format!("{{{{shell touch {paths}}}}} {{{{say Touched.}}}}"));
    };
    let touched = |file: &str| {
        let both = || [&folder, &configured].iter().all(|folder| folder.join(file).exists()).then_some(());
        wait_for(file, both, || world.all_screens());
    };
    for (name, options) in [("m1", &[][..]), ("m2", &["--no-server"])] {
        touches(&format!("start-prompts/{name}"), name);
        let start = ["start-manager", "--name", name, "--timeout-seconds", "120"];
        let started = run(&[&start[..], options].concat()).ok().json();
        assert_eq!(started["writable_roots"], json!([folder.display().to_string()]), "{started:#}");
        touched(name);
        run(&["stop", name]).ok();
        // Brought back, through the server when that holds the thread, it may do the same.
        let resumed = run(&[&["resume", name, "--timeout-seconds", "120"], options].concat()).ok().json();
        let expected =
            if started["without_server"].is_null() { Value::Null } else { started["writable_roots"].clone() };
        assert_eq!(resumed["writable_roots"], expected, "{resumed:#}");
        let again = format!("again-{name}");
        touches(&again, &again);
        let pane = resumed["tmux_pane_id"].as_str().unwrap();
        world.server().plain(&["send-keys", "-t", pane, "-l", &again]);
        let drawn = || world.server().screen(pane.parse().unwrap()).contains(&again).then_some(());
        wait_for("the text in the composer", drawn, || world.all_screens());
        // A key that follows typed text at once is taken for a part of a paste.
        std::thread::sleep(std::time::Duration::from_millis(500));
        world.server().plain(&["send-keys", "-t", pane, "Enter"]);
        touched(&again);
        run(&["stop", name]).ok();
    }
}

#[test]
fn real_codex_keeps_nothing_of_a_start_that_a_signal_ended() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    if !lab.cli().has_server().unwrap() {
        return;
    }
    let Some(world) = World::in_lab(&lab) else { return };
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    // The terminal never shows anything, so the start waits.
    let program = lab.cli().program.display().to_string();
    world.script("codex", &format!("case \"$1\" in resume) exec sleep 60;; esac\nexec {program} \"$@\""));
    let codex = world.bin().join("codex").display().to_string();
    let mut command = world.command();
    command.args(["start-worker", "--name", "w1", "--task", "hold the line", "--codex", &codex, "--json"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("its terminal", || (!world.tmux_sessions().is_empty()).then_some(()), String::new);
    let rollouts = || files(&lab.home().join("sessions")).len();
    assert_eq!(rollouts(), 1, "the thread is there");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((rollouts(), world.tmux_sessions()), (0, Vec::new()), "its thread is archived");
}
