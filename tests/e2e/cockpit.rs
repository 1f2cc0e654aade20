//! The cockpit in a real terminal: what it shows, that it follows, and how it leaves.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Instant};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use super::{terminal::Terminal, world::World};

fn cockpit(world: &World, width: u16, height: u16) -> Terminal {
    let terminal = Terminal::open(world, &world.shell_environment(), width, height);
    terminal.conveyor("");
    terminal.wait_until("the cockpit", |screen| screen.contains("1 Fleet"));
    terminal
}

/// The task has another name than anything else on the screen.
fn with_blocked_worker(world: &World) {
    world.start_worker("w1", "Change it {{shell-esc rm -rf build}} {{say All changed.}}");
    world.bind("parser", "w1");
    world.wait_for_condition("w1", "blocked");
}

#[test]
fn the_cockpit_shows_what_the_commands_say_and_follows_it() {
    let Some(world) = World::start() else { return };
    with_blocked_worker(&world);
    // As if no line of it had come for hours; it is looked at all the same.
    let ledger = Connection::open(world.ledger()).unwrap();
    ledger.execute("update sessions set last_heartbeat_at = '2026-01-01T00:00:00.000Z'", []).unwrap();
    drop(ledger);
    let terminal = cockpit(&world, 160, 50);
    assert!(terminal.modes().starts_with('1'));
    let screen = terminal.wait_for("1 needs you");
    assert!(screen.contains("w1") && screen.contains("approval_command"), "{screen}");
    terminal.wait_gone("(seen ");

    // A command of another process shows up by itself.
    let asked = Instant::now();
    world.run(&["tasks", "--create", "lexer", "--goal", "a second task"]).ok();
    terminal.wait_for("lexer");
    let took = asked.elapsed();
    assert!(took.as_secs() < 10, "{took:?}");

    // A person answers in the pane, and the turn ends.
    world.press("w1", &["y"]);
    terminal.wait_for("nobody needs you");
    terminal.wait_gone("approval_command");
    terminal.wait_for("All changed.");
    assert_eq!(world.status("w1")["condition"], "done");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn every_screen_and_layer_opens_and_closes_at_both_sizes() {
    let Some(world) = World::start() else { return };
    with_blocked_worker(&world);
    for (width, height) in [(80, 24), (160, 50)] {
        let terminal = cockpit(&world, width, height);
        terminal.wait_for("w1");
        terminal.press(&["?"]);
        terminal.wait_for("type to search");
        terminal.press(&["Escape"]);
        terminal.wait_gone("type to search");
        terminal.press(&["/"]);
        terminal.press(&["zzz", "Enter"]);
        terminal.wait_for("no row passes the filter");
        terminal.press(&["Escape"]);
        terminal.wait_gone("no row passes the filter");
        terminal.press(&["2"]);
        terminal.wait_for("prove it");
        terminal.press(&["3"]);
        terminal.wait_until("events", |screen| screen.contains("task_started") || screen.contains("turn started"));
        terminal.press(&["1"]);
        terminal.wait_for("w1");
        terminal.press(&["Enter"]);
        terminal.wait_for("Change it");
        terminal.press(&["x"]);
        terminal.wait_for("why is w1 in this state");
        terminal.press(&["G"]);
        terminal.wait_for("conveyor explain");
        terminal.press(&["Escape"]);
        terminal.wait_gone("why is w1 in this state");
        terminal.press(&["c"]);
        terminal.wait_for("it ran (");
        terminal.press(&["Escape"]);
        terminal.wait_gone("it ran (");
        terminal.press(&["q"]);
        assert_eq!(terminal.wait_for_shell(), 0);
    }
    let cycles = world.run(&["divergences", "parser", "--json"]).ok().json();
    assert!(cycles.as_array().is_some_and(|cycles| !cycles.is_empty()), "the cycle of the key was stored: {cycles:#}");
    assert!(world.screen("w1").contains("Would you like to run"), "no key of ours went to the worker");
}

#[test]
fn signals_and_job_control_give_the_terminal_back() {
    let Some(world) = World::start() else { return };
    world.run(&["tasks", "--create", "parser", "--goal", "g"]).ok();
    let marker = world.ledger().display().to_string();
    let terminal = Terminal::open(&world, &world.shell_environment(), 80, 24);
    let command = format!("--path {marker}");
    let begin = || {
        terminal.conveyor(&command);
        terminal.wait_for("parser");
    };

    begin();
    terminal.press(&["C-c"]);
    assert_eq!(terminal.wait_for_shell(), 0);

    begin();
    let pid = Pid::from_raw(terminal.process(&marker)).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(terminal.wait_for_shell(), 130);

    begin();
    terminal.press(&["C-z"]);
    assert!(terminal.wait_for_shell() > 128, "stopped, not ended");
    world.run(&["tasks", "--create", "lexer", "--goal", "made meanwhile"]).ok();
    terminal.type_line("fg");
    terminal.wait_until("the cockpit back", |screen| screen.contains("1 Fleet") && screen.contains("lexer"));
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn an_empty_folder_gets_the_first_screen_and_then_what_comes() {
    let Some(world) = World::start() else { return };
    let terminal = cockpit(&world, 80, 24);
    let screen = terminal.wait_for("Nothing to watch yet");
    assert!(screen.contains("demo") && screen.contains("start-worker"), "{screen}");
    assert!(!world.state_root().exists(), "looking creates nothing");
    world.run(&["tasks", "--create", "parser", "--goal", "g"]).ok();
    terminal.wait_for("parser");
    terminal.wait_gone("Nothing to watch yet");
    world.start_worker("w1", "Begin {{say Done.}}");
    terminal.wait_for("w1");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_ledger_that_is_removed_or_replaced_is_noticed() {
    let Some(world) = World::start() else { return };
    let add = |name: &str| drop(world.run(&["tasks", "--create", name, "--goal", "g"]).ok());
    let remove = || {
        for file in fs::read_dir(world.state_root()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    };
    add("first");
    let terminal = cockpit(&world, 80, 24);
    terminal.wait_for("first");
    remove();
    terminal.wait_for("there is no ledger");
    add("second");
    terminal.wait_for("second");
    remove();
    add("third");
    terminal.wait_for("third");
    terminal.wait_for("another file lies at the ledger's path");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_ledger_that_cannot_be_used_is_said_and_recovered_from() {
    let Some(world) = World::start() else { return };
    fs::create_dir(world.state_root()).unwrap();
    fs::set_permissions(world.state_root(), fs::Permissions::from_mode(0o700)).unwrap();
    let make = |sql: &str| {
        let connection = Connection::open(world.ledger()).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        fs::set_permissions(world.ledger(), fs::Permissions::from_mode(0o600)).unwrap();
    };
    make("pragma application_id = 1129732434; pragma user_version = 900; create table x (y);");
    let terminal = cockpit(&world, 100, 30);
    let screen = terminal.wait_for("the ledger cannot be shown");
    assert!(screen.contains("newer"), "{screen}");
    fs::remove_file(world.ledger()).unwrap();
    make("pragma user_version = 400; create table x (y);");
    terminal.wait_for("another program");
    fs::remove_file(world.ledger()).unwrap();
    world.run(&["tasks", "--create", "parser", "--goal", "g"]).ok();
    terminal.wait_for("parser");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);

    let lock = Connection::open(world.ledger()).unwrap();
    lock.execute_batch("pragma locking_mode = exclusive; begin exclusive; create table lock (x);").unwrap();
    terminal.conveyor("");
    let screen = terminal.wait_for("the ledger cannot be shown");
    assert!(screen.contains("in use by another process"), "{screen}");
    lock.execute_batch("rollback").unwrap();
    drop(lock);
    terminal.wait_for("parser");
    terminal.wait_gone("cannot be shown");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_terminal_that_only_prints_lines_is_refused_with_the_commands_that_do_without() {
    let Some(world) = World::start() else { return };
    for (term, why) in [("TERM=dumb", "TERM is dumb"), ("TERM=", "TERM is not set")] {
        let mut environment = world.shell_environment();
        environment[2] = term.to_owned();
        let terminal = Terminal::open(&world, &environment, 160, 30);
        terminal.conveyor("");
        let screen = terminal.wait_for(why);
        assert!(screen.contains("conveyor list") && screen.contains("dispatch --watch"), "{screen}");
        terminal.type_line("echo \"code\"=$?");
        terminal.wait_for("code=1");
        assert!(!world.state_root().exists(), "a refusal creates nothing");
    }
}
