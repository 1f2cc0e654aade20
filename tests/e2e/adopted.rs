//! Sessions that were registered, not started: what else lives in their tmux session and process tree stays untouched.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::world::{World, wait_for};
use crate::support::fixture_path;

/// A tmux session of the operator's own, with this shell script in its first pane; the pane's id.
pub fn foreign_session(world: &World, script: &str) -> String {
    foreign_session_named(world, "mywork", script)
}

fn foreign_session_named(world: &World, name: &str, script: &str) -> String {
    let words =
        [vec!["new-session", "-d", "-P", "-F", "#{pane_id}", "-s", name, "-x", "120", "-y", "40"], vec!["env", "-i"]]
            .concat();
    let environment = world.shell_environment().split_off(2);
    let words: Vec<String> = words
        .into_iter()
        .map(str::to_owned)
        .chain(environment)
        .chain([format!("CODEX_HOME={}", world.codex_home().display())])
        .chain(["sh", "-c", script].map(str::to_owned))
        .collect();
    let pane = world.server().plain(&words).trim().to_owned();
    wait_for("the composer", || capture(world, &pane).contains("Ask Codex").then_some(()), || capture(world, &pane));
    pane
}

pub fn capture(world: &World, pane: &str) -> String {
    world.server().plain(&["capture-pane", "-p", "-t", pane])
}

pub fn register(world: &World, name: &str, pane: &str) -> crate::support::Finished {
    world.run(&["register-worker", "--name", name, "--tmux-pane", pane, "--json"])
}

/// Codex in the first window of the operator's own tmux session, and an editor in the second.
#[test]
fn stopping_an_adopted_session_leaves_its_tmux_session_alone() {
    let Some(world) = World::start() else { return };
    let pane = foreign_session(&world, "codex; exec sleep 1000");
    world.server().plain(&["new-window", "-d", "-t", "mywork", "-n", "editor", "sleep", "1000"]);
    register(&world, "a1", &pane).ok();
    let twice = register(&world, "a2", &pane);
    assert_eq!((twice.code, &twice.error()["kind"]), (1, &"conflict".into()), "one pane, one session: {twice}");

    let stopped = world.run(&["stop", "a1", "--json"]);
    assert_eq!(stopped.json()["killed_session"], false, "{stopped}");
    let windows = world.server().plain(&["list-windows", "-t", "mywork", "-F", "#{window_name}"]);
    assert!(windows.contains("editor"), "the editor's window is still there: {windows}");
}

/// Codex has left its shell, and another program has the keyboard of that pane now.
#[test]
fn no_key_is_pressed_into_a_program_that_took_the_pane_over() {
    let Some(world) = World::start() else { return };
    let script = "codex; exec sh -c 'trap \"echo INTERRUPTED\" INT; echo READY; while :; do sleep 0.2; done'";
    let pane = foreign_session(&world, script);
    register(&world, "b1", &pane).ok();
    world.server().plain(&["send-keys", "-t", &pane, "C-c"]);
    wait_for("the other program", || capture(&world, &pane).contains("READY").then_some(()), || capture(&world, &pane));

    let stopped = world.run(&["stop", "b1", "--json"]).ok().json();
    assert_eq!(
        (&stopped["ending"], &stopped["killed_session"]),
        (&"already_gone".into(), &false.into()),
        "{stopped:#}"
    );
    assert!(!capture(&world, &pane).contains("INTERRUPTED"), "{}", capture(&world, &pane));
    assert!(world.server().plain(&["list-panes", "-a", "-F", "#{pane_id}"]).contains(&pane), "its pane is still there");
}

/// A pid is worth nothing without its start time, and a pane nothing without its process.
#[test]
fn a_process_and_a_pane_are_recorded_whole_or_not_at_all() {
    let Some(world) = World::start() else { return };
    let fixture = fixture_path("rollouts/simple_turn.jsonl");
    let rollout = fixture.to_str().unwrap();
    let refused =
        world.run(&["register-worker", "--name", "c1", "--codex-session", rollout, "--tmux-pane", "%77", "--json"]);
    assert_eq!((refused.code, &refused.error()["kind"]), (1, &"not_found".into()), "{refused}");

    let mut first = Command::new("sleep").arg("1000").spawn().unwrap();
    let mut second = Command::new("sleep").arg("1000").spawn().unwrap();
    let register = |pid: u32| {
        world.run(&["register-worker", "--name", "c1", "--codex-session", rollout, "--pid", &pid.to_string()]).ok();
        world.status("c1")["judgement"]["readings"].to_string()
    };
    assert!(register(first.id()).contains("process_alive"));
    let readings = register(second.id());
    assert!(readings.contains("process_alive"), "the new process is alive: {readings}");
    for child in [&mut first, &mut second] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(world.status("c1")["judgement"]["readings"].to_string().contains("process_gone"));
}

/// Deregistered, a session runs on: each way that is told for taking it up again works, and a second Codex is not begun.
#[test]
fn a_deregistered_session_is_taken_up_again_as_it_is_told() {
    let Some(world) = World::start() else { return };
    codex_by_name(&world);
    let begin = format!("cd '{}' && codex 'stay {{{{say Here.}}}}'; exec sleep 1000", world.cwd().display());
    let pane = foreign_session(&world, &begin);
    wait_for("an answer", || capture(&world, &pane).contains("Here.").then_some(()), || capture(&world, &pane));
    world.run(&["register-manager", "--name", "m7", "--tmux-pane", &pane]).ok();
    let told = |wanted: &str| {
        let line = world.run(&["explain", "m7"]).ok().out;
        let command = line.split('`').nth(1).unwrap_or_else(|| panic!("no command: {line}")).to_owned();
        assert!(command.starts_with(wanted), "{line}");
        command
    };

    world.run(&["deregister", "m7"]).ok();
    let command = told("conveyor register-manager --name m7 --pid ");
    let refused = world.run(&["resume", "m7", "--json"]);
    assert_eq!(refused.error()["kind"], "refused", "{refused}");
    assert!(refused.error()["hint"].as_str().unwrap().contains(&command), "{refused}");
    assert_eq!(world.run(&["bind", "--task", "x", "--worker", "m7", "--manager", "m7"]).code, 1);
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    world.run(&words).ok();
    assert_eq!(world.run(&["sessions", "--name", "m7", "--json"]).ok().json()[0]["tmux_pane_id"], pane.as_str());

    world.run(&["deregister", "m7"]).ok();
    let found = world.run(&["discover", "--text"]).ok();
    let line = found.out.lines().find(|line| line.starts_with("running") && line.contains("m7"));
    let line = line.unwrap_or_else(|| panic!("{found}"));
    assert!(line.contains("was m7 (manager), deregistered") && line.contains(&pane), "{found}");
    let adopted = world.run(&["discover", "--adopt", "--json"]).ok().json();
    assert_eq!(adopted["adopted"], serde_json::json!(["m7"]), "its own name, not that of its folder");
    assert_eq!(world.run(&["sessions", "--name", "m7", "--json"]).ok().json()[0]["role"], "manager");

    world.run(&["stop", "m7"]).ok();
    assert_eq!(told("conveyor resume m7"), "conveyor resume m7");
    let ended = world.run(&[words.as_slice(), &["--json"]].concat());
    assert_eq!(ended.error()["hint"], "`conveyor resume m7` opens its Codex session in a new pane", "{ended}");
}

/// From now on `codex` is a program of that name: discovery knows a Codex by it.
fn codex_by_name(world: &World) {
    let folder = world.server().folder().join("program");
    fs::create_dir_all(&folder).unwrap();
    symlink(env!("CARGO_BIN_EXE_conveyor"), folder.join("codex")).unwrap();
    world.script("codex", &format!("exec {}/codex sim codex --no-daemon \"$@\"", folder.display()));
}

/// Another Codex in the shell of one that was deregistered is another session; the name goes where its thread is shown.
#[test]
fn a_former_name_goes_to_its_own_thread_and_to_nobody_else() {
    let Some(world) = World::start() else { return };
    codex_by_name(&world);
    let begin = format!(
        "cd '{}' && codex 'stay {{{{say Here.}}}}'; clear; codex 'stay {{{{say There.}}}}'; exec sleep 1000",
        world.cwd().display()
    );
    let pane = foreign_session(&world, &begin);
    let shows = |pane: &str, text: &str| {
        wait_for(text, || capture(&world, pane).contains(text).then_some(()), || capture(&world, pane));
    };
    shows(&pane, "Here.");
    world.run(&["register-manager", "--name", "boss", "--tmux-pane", &pane]).ok();
    let session = || world.run(&["sessions", "--name", "boss", "--state", "all", "--json"]).ok().json()[0].clone();
    let first = session();
    let thread = first["codex_session_id"].as_str().unwrap();
    world.run(&["deregister", "boss"]).ok();
    Command::new("kill").arg(first["pid"].to_string()).status().unwrap();
    shows(&pane, "There.");
    let found = world.run(&["discover", "--text"]).ok();
    assert!(found.out.contains(&pane) && !found.out.contains("was boss"), "{found}");

    let resumed = format!("cd '{}' && codex resume {thread}; exec sleep 1000", world.cwd().display());
    let other = foreign_session_named(&world, "other", &resumed);
    let line = |pane: &str| {
        let found = world.run(&["discover", "--text"]).ok();
        let line = found.out.lines().find(|line| line.starts_with("running") && line.contains(pane)).map(str::to_owned);
        line.unwrap_or_default()
    };
    wait_for("its thread", || line(&other).contains(thread).then_some(()), || line(&other));
    assert!(line(&other).contains("was boss (manager), deregistered"), "{}", line(&other));
    assert!(line(&pane).contains("not registered"), "{}", line(&pane));
    let adopted = world.run(&["discover", "--adopt", "--role", "worker", "--json"]).ok().json();
    let names: Vec<&str> = adopted["adopted"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!((names.len(), names.iter().filter(|name| **name == "boss").count()), (2, 1), "{adopted:#}");
    assert_eq!(adopted["kept_role"], serde_json::json!([{ "name": "boss", "role": "manager" }]));
    let now = session();
    assert_eq!((&now["codex_session_id"], &now["tmux_pane_id"]), (&first["codex_session_id"], &other.as_str().into()));

    // Its pid is that of another process by now.
    world.run(&["deregister", "boss"]).ok();
    let sql = rusqlite::Connection::open(world.ledger()).unwrap();
    sql.execute("update sessions set pid_start = pid_start - 1 where name = 'boss'", []).unwrap();
    let pid = now["pid"].to_string();
    let reused = world.run(&["register-manager", "--name", "boss", "--pid", &pid, "--json"]);
    assert_eq!(reused.error()["kind"], "refused", "{reused}");
    assert_eq!(reused.error()["hint"], "`conveyor resume boss` opens its Codex session in a new pane", "{reused}");
}

/// Two sessions that run unregistered: one in the folder where the commands run, one elsewhere.
#[test]
fn adopting_takes_the_sessions_of_this_folder_unless_more_is_asked_for() {
    let Some(world) = World::start() else { return };
    codex_by_name(&world);
    let (here, away) = (world.cwd().join("here"), world.server().folder().join("away"));
    for place in [&here, &away] {
        fs::create_dir_all(place).unwrap();
    }
    let begin = |place: &std::path::Path| {
        format!("cd '{}' && codex 'stay {{{{say Here.}}}}'; exec sleep 1000", place.display())
    };
    let pane = foreign_session(&world, &begin(&here));
    let second = foreign_session_named(&world, "other", &begin(&away));
    for pane in [&pane, &second] {
        wait_for("an answer", || capture(&world, pane).contains("Here.").then_some(()), || capture(&world, pane));
    }
    let names = |run: crate::support::Finished| run.ok().json();
    let rehearsed = names(world.run(&["discover", "--adopt", "--dry-run", "--json"]));
    // Others may run on this machine that are none of this test's business.
    let left_out = rehearsed["left_out"].as_u64();
    assert_eq!(rehearsed["adopted"], serde_json::json!(["here"]));
    assert!(left_out >= Some(1), "{rehearsed:#}");
    let said = world.run(&["discover", "--adopt", "--text"]).ok();
    assert!(said.out.contains("adopted here  ") && said.out.contains(&here.display().to_string()), "{said}");
    assert!(said.out.contains(" in other folders left alone; --cwd DIR or --all takes them"), "{said}");
    assert!(said.out.contains("next: conveyor discover --adopt --all"), "{said}");
    assert_eq!(said.out.matches(&here.display().to_string()).count(), 2, "once as adopted, once as a session: {said}");
    let away = away.display().to_string();
    let taken = names(world.run(&["discover", "--adopt", "--cwd", &away, "--json"]));
    assert_eq!((&taken["adopted"], &taken["left_out"]), (&serde_json::json!(["away"]), &0.into()));
    let unknown = world.run(&["discover", "--adopt", "--thread", "no-such-thread", "--json"]);
    assert_eq!(unknown.error()["kind"], "not_found", "{unknown}");
}

/// Two Codexes in one pane: the first was stopped there, and the second has the keyboard.
#[test]
fn of_two_sessions_in_one_pane_the_one_in_the_foreground_is_adopted() {
    let Some(world) = World::start() else { return };
    codex_by_name(&world);
    let begin = format!(
        "cd '{}' && exec bash -c 'set -m; codex \"stay {{{{say Here.}}}}\"; clear; codex \"stay {{{{say There.}}}}\"; exec sleep 1000'",
        world.cwd().display()
    );
    let pane = foreign_session(&world, &begin);
    let shows = |text: &str| {
        wait_for(text, || capture(&world, &pane).contains(text).then_some(()), || capture(&world, &pane));
    };
    shows("Here.");
    let in_pane = || {
        let found = world.run(&["discover", "--limit", "0", "--json"]).ok().json();
        let all = found["running"].as_array().unwrap().clone();
        all.into_iter().filter(|one| one["tmux_pane_id"] == pane.as_str()).collect::<Vec<_>>()
    };
    let first = in_pane().pop().unwrap();
    let pid = first["pid"].to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status().unwrap();
    signal("-STOP");
    shows("There.");
    let second = in_pane().into_iter().find(|one| one["pid"] != first["pid"]).unwrap();

    let rehearsed = world.run(&["register-worker", "--name", "x", "--tmux-pane", &pane, "--dry-run", "--json"]).ok();
    assert_eq!(rehearsed.json()["codex_session_id"], second["codex_session_id"], "the pane's own: {rehearsed}");
    let adopted = world.run(&["discover", "--adopt", "--json"]).ok().json();
    assert_eq!(adopted["adopted"].as_array().unwrap().len(), 1, "{adopted:#}");
    let name = adopted["adopted"][0].as_str().unwrap().to_owned();
    let left = &adopted["not_adopted"];
    assert_eq!((left.as_array().unwrap().len(), &left[0]["pid"]), (1, &first["pid"]), "{adopted:#}");
    let on_record = world.run(&["sessions", "--name", &name, "--json"]).ok().json()[0].clone();
    assert_eq!((&on_record["codex_session_id"], &on_record["pid"]), (&second["codex_session_id"], &second["pid"]));

    // Again: its pane belongs to a registered session now, and it is not told to be that one.
    let again = world.run(&["discover", "--adopt", "--text"]).ok();
    let line = again.out.lines().find(|line| line.starts_with("not adopted: ")).unwrap_or_default();
    assert!(line.contains(&pid) && line.contains(&format!("is registered as \"{name}\"")), "{again}");
    assert!(!again.out.contains("next: conveyor discover --adopt"), "nothing can be adopted: {again}");
    let told = in_pane().into_iter().find(|one| one["pid"] == first["pid"]).unwrap();
    assert_eq!(told["registered_as"], serde_json::Value::Null, "{told:#}");
    signal("-KILL");
}
