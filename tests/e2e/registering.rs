//! Sessions that were started by hand: registered by pane or pid, and what happens when that leads nowhere.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::world::{World, wait_for};
use crate::support::fixture_path;

/// Starts the stand-in for Codex by hand, without registering it; its pane.
fn by_hand(world: &World, name: &str, words: &[&str]) -> Value {
    world.run(&[&["start", name, "--no-server", "--json", "--"], words].concat()).ok().json()
}

/// Runs a command in the server that is the default one for this world, which is not the one it is set to.
fn in_default_server(world: &World, words: &[&str]) {
    let mut tmux = Command::new("tmux");
    tmux.args(["-f", "/dev/null"]).args(words).env("TMUX_TMPDIR", world.server().folder()).env_remove("TMUX");
    assert!(tmux.stdin(Stdio::null()).status().unwrap().success());
}

#[test]
fn a_number_of_a_pane_is_meant_in_the_server_that_is_set() {
    let Some(world) = World::start() else { return };
    for name in ["other-0", "other-1", "other-2"] {
        in_default_server(&world, &["new-session", "-d", "-s", name, "cat"]);
    }
    let started = by_hand(&world, "hand-1", &["Look around {{say Seen.}}"]);
    let pane = started["tmux_pane_id"].as_str().unwrap();
    let registered = world.run(&["register-worker", "--name", "w1", "--tmux-pane", pane, "--json"]).ok().json();
    in_default_server(&world, &["kill-server"]);
    assert_eq!(registered["tmux_session"], "hand-1", "{registered:#}");
    assert!(registered["codex_session_id"].is_string(), "{registered:#}");
}

#[test]
fn a_pane_and_a_pid_lead_to_their_session() {
    let Some(world) = World::start() else { return };
    let by_pane = by_hand(&world, "hand-1", &["Look around {{say Seen.}}"]);
    assert!(!world.ledger().exists(), "a plain start registers nothing");
    let pane = by_pane["tmux_pane_id"].as_str().unwrap();
    let template = by_pane["register_worker_command_template"].as_str().unwrap();
    let line = template.replace("<name>", "w1").replace("<pane>", pane);
    let words = shell_words::split(&line).unwrap();
    let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let registered = world.run(&words).ok().json();
    assert_eq!((&registered["tmux_pane_id"], &registered["tmux_session"]), (&pane.into(), &"hand-1".into()));
    let done = world.wait_for_condition("w1", "done");
    assert_eq!((&done["running"], &done["judgement"]["rule"]), (&true.into(), &"turn_complete".into()), "{done:#}");

    let by_pid = by_hand(&world, "hand-2", &["Look again {{say Seen again.}}"]);
    let pane = by_pid["tmux_pane_id"].as_str().unwrap();
    let pid = world.server().plain(&["display-message", "-p", "-t", pane, "#{pane_pid}"]);
    let registered = world.run(&["register-worker", "--name", "w2", "--pid", &pid]).ok().json();
    assert_eq!(registered["pid"].as_i64(), pid.parse().ok(), "{registered:#}");
    assert_eq!(registered["codex_session_id"].as_str().map(str::len), Some(36), "{registered:#}");
    world.wait_for_condition("w2", "done");
    assert_eq!(world.session("w2")["codex_session_id"], registered["codex_session_id"]);
    assert_ne!(world.session("w2")["codex_session_id"], world.session("w1")["codex_session_id"]);
}

#[test]
fn a_pane_or_pid_that_leads_nowhere_is_refused_with_a_hint() {
    let Some(world) = World::start() else { return };
    // A process that is no Codex and has none below it.
    let quiet = world.server().session("quiet", &["cat"]).pid.to_string();
    for words in [&["--tmux-pane", "%999"][..], &["--tmux-pane", "7"], &["--pid", &quiet], &["--pid", "4194303"]] {
        let refused = world.run(&[&["register-worker", "--name", "w1", "--json"], words].concat());
        assert!([1, 2].contains(&refused.code), "{words:?}: {refused}");
        assert!(!refused.error()["message"].as_str().unwrap().is_empty());
        assert!(!world.ledger().exists(), "{words:?} wrote a ledger");
    }
}

#[test]
fn a_socket_that_is_none_is_named() {
    let Some(world) = World::start() else { return };
    let notes = world.cwd().join("notes.txt");
    fs::write(&notes, "no socket").unwrap();
    let words = ["register-worker", "--name", "w1", "--tmux-pane", "%1", "--tmux-socket", "notes.txt", "--json"];
    let error = world.run(&words).error();
    assert!(error["message"].as_str().unwrap().contains("notes.txt"), "{error:#}");
    assert!(error["hint"].as_str().unwrap().contains("--tmux-socket"), "{error:#}");
}

/// What is typed into a pane reaches one of those in it: nobody guesses which.
#[test]
fn a_pane_in_which_nobody_tells_who_is_in_front_is_refused() {
    let Some(world) = World::start() else { return };
    let script = "for n in 1 2; do (exec -a codex sleep 1000) & echo codex-is $!; done; wait";
    let new = ["new-session", "-d", "-P", "-F", "#{pane_id}", "-s", "shared", "-x", "80", "-y", "24", "bash", "-c"];
    let pane = world.server().plain(&[&new[..], &[script]].concat()).trim().to_owned();
    let screen = || world.server().plain(&["capture-pane", "-p", "-t", &pane]);
    let refused = wait_for(
        "both to be Codex",
        || {
            let run = world.run(&["register-worker", "--name", "w1", "--tmux-pane", &pane, "--json"]);
            run.err.contains("2 Codex sessions").then_some(run)
        },
        || format!("{}\n{}", screen(), world.run(&["discover", "--json"]).out),
    );
    let text = screen();
    let codex: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("codex-is ")).map(str::trim).collect();
    assert_eq!((codex.len(), refused.code, &refused.error()["kind"]), (2, 1, &"refused".into()), "{refused}");
    assert!(codex.iter().all(|pid| refused.err.contains(pid)), "{codex:?} in {refused}");
    assert!(refused.error()["hint"].as_str().unwrap().contains("--pid instead of --tmux-pane"), "{refused}");
    let mut doctor = world.command();
    doctor.args(["doctor-self", "--json"]).env("TMUX", format!("{},1,0", world.server().socket()));
    let doctor = doctor.env("TMUX_PANE", &pane).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.code() == Some(1) && said.contains("nothing tells which"), "{said}");
    // The way out that it names is one.
    let chosen = world.run(&["register-worker", "--name", "w1", "--pid", codex[1], "--dry-run", "--json"]).ok().json();
    assert_eq!((&chosen["pid"].to_string(), &chosen["tmux_pane_id"]), (&codex[1].to_owned(), &pane.as_str().into()));
    // Whoever is left is meant.
    Command::new("kill").arg(codex[0]).status().unwrap();
    wait_for(
        "the other one alone",
        || {
            let run = world.run(&["register-worker", "--name", "w1", "--tmux-pane", &pane, "--dry-run", "--json"]);
            (run.code == 0 && format!("{}", run.json()["pid"]) == codex[1]).then_some(())
        },
        || world.run(&["discover", "--json"]).out,
    );
}

#[test]
fn a_pid_above_several_sessions_is_refused_and_names_them() {
    let Some(world) = World::start() else { return };
    let script = "for n in 1 2; do (exec -a codex sleep 1000) & echo $!; done; wait";
    let mut shell = Command::new("bash").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    let codex: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    let pid = shell.id().to_string();
    let refused = wait_for(
        "both to be Codex",
        || {
            let run = world.run(&["register-worker", "--name", "w1", "--pid", &pid, "--json"]);
            run.err.contains("2 Codex sessions").then_some(run)
        },
        || world.run(&["discover", "--json"]).out,
    );
    Command::new("kill").args(&codex).status().unwrap();
    shell.wait().unwrap();
    assert_eq!((refused.code, &refused.error()["kind"]), (1, &"refused".into()), "{refused}");
    assert!(codex.iter().all(|pid| refused.err.contains(pid)), "{codex:?} in {refused}");
    assert!(!world.ledger().exists());
}

/// A process that is Codex by its name and tells no thread.
fn silent_codex(world: &World) -> Child {
    Command::new("sleep").arg0("codex").arg("1000").current_dir(world.cwd()).spawn().unwrap()
}

#[test]
fn what_leads_to_no_session_leaves_no_ledger() {
    let Some(world) = World::start() else { return };
    let mut codex = silent_codex(&world);
    let pid = codex.id().to_string();
    let by_pid = world.run(&["register-worker", "--name", "w1", "--pid", &pid, "--json"]);
    let _ = (codex.kill(), codex.wait());
    assert_eq!((by_pid.code, &by_pid.error()["kind"]), (2, &"usage".into()), "{by_pid}");
    assert!(!world.ledger().exists(), "--pid wrote a ledger");
    let nothing = world.run(&["register-worker", "--name", "w1", "--json"]);
    assert_eq!((nothing.code, &nothing.error()["kind"]), (2, &"usage".into()), "{nothing}");
    assert!(!world.ledger().exists(), "a bare name wrote a ledger");

    let unmatched = ["discover", "no session has this in it", "--adopt", "--json"];
    world.run(&unmatched).ok();
    assert!(!world.ledger().exists(), "nothing was adopted, and a ledger written");
    let refused = world.run(&[&unmatched[..], &["--name", "w1"]].concat());
    assert_eq!(refused.error()["kind"], "refused", "{refused}");
    assert!(!world.ledger().exists(), "a refused --adopt wrote a ledger");
}

/// A recorded rollout, which can be registered as it lies there.
fn recorded(name: &str) -> String {
    fixture_path(&format!("rollouts/{name}.jsonl")).display().to_string()
}

#[test]
fn a_taken_pane_is_refused_and_a_reused_number_is_not() {
    let Some(world) = World::start() else { return };
    let pane = world.server().session("one", &["cat"]).pane.to_string();
    let register = |name: &str, rollout: &str| {
        world.run(&[
            "register-worker",
            "--name",
            name,
            "--codex-session",
            &recorded(rollout),
            "--tmux-pane",
            &pane,
            "--json",
        ])
    };
    register("w1", "simple_turn").ok();
    let taken = register("w2", "tool_calls");
    assert_eq!((taken.code, &taken.error()["kind"]), (1, &"conflict".into()), "{taken}");
    let message = taken.error()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("already registered as \"w1\""), "{message}");
    // The server that gave the number is gone, and another one has given it anew.
    world.server().plain(&["respawn-pane", "-k", "-t", &pane, "cat"]);
    register("w2", "tool_calls").ok();
    assert_eq!(world.session("w2")["tmux_pane_id"], *pane);
    assert_eq!(world.session("w1")["tmux_pane_id"], Value::Null);
}

#[test]
fn a_session_in_another_pane_is_not_claimed_to_show_its_old_thread() {
    let Some(world) = World::start() else { return };
    let [first, second] = ["one", "two"].map(|name| world.server().session(name, &["cat"]).pane.to_string());
    let register = |more: &[&str]| world.run(&[&["register-worker", "--name", "w1"], more].concat()).ok().json();
    let rollout = recorded("simple_turn");
    let known = register(&["--codex-session", &rollout, "--tmux-pane", &first]);
    let again = register(&["--tmux-pane", &first]);
    assert_eq!(again["codex_session_id"], known["codex_session_id"], "the same pane keeps it");
    let moved = register(&["--tmux-pane", &second]);
    assert_eq!((&moved["codex_session_id"], &moved["codex_session_path"]), (&Value::Null, &Value::Null), "{moved:#}");
    assert_eq!(world.status("w1")["judgement"]["rule"], "thread_unknown");
}

#[test]
fn a_name_that_is_taken_up_again_is_not_judged_by_what_has_died_since() {
    let Some(world) = World::start() else { return };
    let pane = world.server().session("one", &["cat"]);
    let id = pane.pane.to_string();
    let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = process.id().to_string();
    let register = |more: &[&str]| world.run(&[&["register-worker", "--name", "w1"], more].concat()).ok().json();
    register(&["--codex-session", &recorded("simple_turn"), "--tmux-pane", &id, "--pid", &pid]);
    world.run(&["deregister", "w1"]).ok();
    let alive = register(&["--codex-session", &recorded("simple_turn")]);
    assert_eq!(
        (&alive["pid"], &alive["tmux_pane_id"]),
        (&process.id().into(), &id.as_str().into()),
        "what lives is kept"
    );

    world.run(&["deregister", "w1"]).ok();
    let _ = (process.kill(), process.wait());
    world.server().plain(&["kill-pane", "-t", &id]);
    let again = register(&["--codex-session", &recorded("tool_calls")]);
    assert_eq!((&again["pid"], &again["tmux_pane_id"]), (&Value::Null, &Value::Null), "{again:#}");
    let status = world.status("w1");
    assert_eq!(status["running"], Value::Null, "nobody has looked at the new one: {status:#}");
}
