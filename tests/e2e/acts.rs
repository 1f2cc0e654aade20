//! Acting by keys: each form of the cockpit, from the keys to the ledger, with the simulator and with real Codex.

use rusqlite::Connection;

use super::{
    terminal::Terminal,
    world::{World, wait_for},
};
use crate::support::codex_lab::CodexLab;

fn number(world: &World, sql: &str) -> i64 {
    Connection::open(world.ledger()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[track_caller]
fn wait_for_number(world: &World, terminal: &Terminal, sql: &str, wanted: i64) {
    wait_for(sql, || (number(world, sql) == wanted).then_some(()), || terminal.screen());
}

fn cockpit(world: &World, width: u16, height: u16) -> Terminal {
    let terminal = Terminal::open(world, &world.shell_environment(), width, height);
    terminal.conveyor("");
    terminal.wait_for("1 Fleet");
    terminal
}

/// Waits for the box with a command's result and closes it.
#[track_caller]
fn read_and_close(terminal: &Terminal, text: &str) -> String {
    let screen = terminal.wait_until(text, |screen| screen.contains(text) && screen.contains("it ran ("));
    terminal.press(&["Escape"]);
    terminal.wait_gone("it ran (");
    screen
}

/// Opens what the palette finds under these words.
#[track_caller]
fn find(terminal: &Terminal, words: &str, title: &str) {
    terminal.press(&[":"]);
    terminal.wait_for("do anything");
    terminal.press(&[words]);
    terminal.wait_for(&format!("> {title}"));
    terminal.press(&["Enter"]);
    terminal.wait_gone("do anything");
}

#[test]
fn a_task_is_made_registered_bound_limited_and_unbound_by_keys() {
    let Some(world) = World::start() else { return };
    let terminal = cockpit(&world, 100, 34);
    terminal.wait_for("Nothing to watch yet");
    terminal.press(&["T"]);
    terminal.wait_for("not yet: name is missing");
    terminal.press(&["no name", "Tab", "prove it", "C-s"]);
    terminal.wait_for("a name starts with a letter");
    assert!(!world.state_root().exists(), "what is refused writes nothing");
    terminal.press(&["C-u", "parser", "C-s"]);
    read_and_close(&terminal, "parser");
    assert_eq!(number(&world, "select count(*) from tasks where name = 'parser' and goal = 'prove it'"), 1);

    // By their rollouts: no Codex is needed for these two.
    for (role, name, file) in [("worker", "w1", "tool_calls.jsonl"), ("manager", "m1", "simple_turn.jsonl")] {
        let rollout = crate::support::fixture_path(&format!("rollouts/{file}"));
        find(&terminal, &format!("register {role}"), &format!("register a running Codex as a {role}"));
        terminal.wait_for(&format!("conveyor register-{role}"));
        terminal.press(&[name, "Tab", "Tab", "Tab", &rollout.display().to_string(), "C-s"]);
        read_and_close(&terminal, name);
        let sql = format!("select count(*) from sessions where name = '{name}' and role = '{role}'");
        assert_eq!(number(&world, &sql), 1);
    }

    // An operator speaks to a worker that nobody supervises.
    find(&terminal, "go session w1", "go to session w1");
    terminal.press(&["n"]);
    terminal.wait_for("To w1, from the operator");
    terminal.press(&["hello", "Enter"]);
    read_and_close(&terminal, "into w1's inbox");
    let sql = "select count(*) from commands where created_by = 'operator' and source_session_id is null
        and task_id is null and phase = 'delivered'";
    assert_eq!(number(&world, sql), 1);

    terminal.press(&["b"]);
    terminal.wait_for("conveyor bind '--task=parser' '--worker=w1' '--manager=m1'");
    terminal.press(&["C-s"]);
    read_and_close(&terminal, "parser");
    assert_eq!(number(&world, "select count(*) from bindings where state = 'active'"), 1);

    terminal.press(&["B"]);
    terminal.wait_for("conveyor manager-config");
    terminal.press(&["3", "Enter"]);
    read_and_close(&terminal, "0 of 3 nudges used");
    assert_eq!(number(&world, "select max_nudges from budgets"), 3);

    terminal.press(&["U"]);
    let asked = terminal.wait_for("End the binding of w1 and m1 to parser?");
    assert!(asked.contains("conveyor unbind '--task=parser'"), "{asked}");
    assert_eq!(number(&world, "select count(*) from bindings where state = 'active'"), 1, "it asks first");
    terminal.press(&["y"]);
    read_and_close(&terminal, "parser");
    assert_eq!(number(&world, "select count(*) from bindings where state = 'active'"), 0);

    find(&terminal, "deregister", "deregister a session");
    terminal.wait_for("conveyor deregister '--expect=unread=1' -- w1");
    terminal.press(&["C-s"]);
    terminal.wait_for("Deregister w1? It runs on");
    assert_eq!(number(&world, "select count(*) from sessions where state = 'active'"), 2, "it asks first");
    terminal.press(&["y"]);
    read_and_close(&terminal, "w1");
    assert_eq!(number(&world, "select count(*) from sessions where state = 'active'"), 1);

    // What was done is still there to be read, the newest first.
    terminal.press(&["L"]);
    let list = terminal.wait_for("receipts: 1 of 8");
    let place = |text: &str| list.find(text).unwrap_or_else(|| panic!("no {text}: {list}"));
    assert!(place("conveyor deregister") < place("conveyor unbind"), "{list}");
    terminal.press(&["j", "Enter"]);
    read_and_close(&terminal, "conveyor unbind");
    terminal.press(&["Escape"]);
    terminal.wait_gone("receipts:");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_worker_is_started_nudged_compacted_stopped_and_resumed_by_keys() {
    let Some(world) = World::start() else { return };
    let terminal = cockpit(&world, 110, 34);
    terminal.wait_for("Nothing to watch yet");
    terminal.press(&["+"]);
    terminal.wait_for("conveyor start-worker");
    terminal.press(&["w1", "Tab", "Begin {{say Ready.}}", "Tab", "Tab", "Space"]);
    terminal.wait_for("'--sandbox=read-only'");
    terminal.press(&["C-s"]);
    terminal.wait_for("running: conveyor start-worker");
    // The screen goes on while it starts.
    terminal.press(&["?"]);
    terminal.wait_for("type to search");
    terminal.press(&["Escape"]);
    terminal.wait_gone("type to search");
    terminal.wait_for("done: conveyor start-worker");
    assert_eq!(world.tmux_sessions(), ["codex-w1"]);
    terminal.press(&["L"]);
    terminal.wait_for("receipts: 1 of 1");
    terminal.press(&["Escape"]);
    world.wait_for_condition("w1", "done");

    terminal.press(&["n"]);
    terminal.wait_for("To w1, from the operator");
    terminal.press(&["status please", "Enter"]);
    terminal.wait_for("status please");
    wait_for_number(&world, &terminal, "select count(*) from commands where phase = 'done'", 1);
    terminal.press(&["Escape"]);
    terminal.press(&["L"]);
    let screen = terminal.wait_for("confirmed at byte");
    assert!(screen.contains("queued -> "), "{screen}");
    terminal.press(&["Escape"]);
    terminal.wait_gone("confirmed at byte");
    let rollout = std::fs::read_to_string(&world.rollouts_of("w1")[0]).unwrap();
    assert!(rollout.contains("[conveyor] From the operator:"), "{rollout}");

    world.bind("parser", "w1");
    terminal.wait_for("parser");
    world.wait_for_condition("w1", "done");
    terminal.press(&["C"]);
    terminal.wait_for("conveyor compact-worker");
    terminal.press(&["it is full"]);
    terminal.press(&["C-s"]);
    wait_for_number(
        &world,
        &terminal,
        "select count(*) from commands where type = 'request_worker_compact' and created_by = 'operator'",
        1,
    );
    // Its receipt comes up by itself, as nothing else was pressed.
    terminal.wait_for("it ran (");
    terminal.press(&["Escape"]);
    terminal.wait_gone("it ran (");

    // To clear it is asked about, with what it costs; asking the worker for a handoff first is not.
    find(&terminal, "clear context", "clear a worker's context: it forgets all of it");
    terminal.wait_for("conveyor request-worker-compact --clear --no-wait '--expires=1800'");
    terminal.press(&["C-s"]);
    terminal.wait_for("It forgets everything");
    terminal.press(&["n"]);
    terminal.wait_gone("It forgets everything");
    terminal.press(&["Tab", "Space", "C-s"]);
    read_and_close(&terminal, "--prompt-only");
    let asked = "select count(*) from commands where created_by = 'operator' and payload_json like '%handoff%'";
    assert_eq!(number(&world, asked), 1);
    assert_eq!(number(&world, "select count(*) from commands where type = 'request_worker_clear'"), 0);

    find(&terminal, "go session w1", "go to session w1");
    terminal.press(&["K"]);
    terminal.wait_for("Stop w1?");
    terminal.press(&["n"]);
    terminal.wait_gone("Stop w1?");
    assert_eq!(world.tmux_sessions(), ["codex-w1"], "no means no");
    terminal.press(&["K"]);
    terminal.wait_for("Stop w1?");
    terminal.press(&["y"]);
    read_and_close(&terminal, "w1");
    assert!(world.tmux_sessions().is_empty());
    assert_eq!(number(&world, "select count(*) from sessions where name = 'w1' and state = 'gone'"), 1);

    // It stays selected, and is the one that the form is about.
    terminal.wait_for("gone");
    terminal.press(&["Z"]);
    terminal.wait_for("conveyor resume");
    terminal.wait_for("-- w1");
    terminal.press(&["C-s"]);
    wait_for_number(&world, &terminal, "select count(*) from sessions where name = 'w1' and state = 'active'", 1);
    read_and_close(&terminal, "conveyor resume");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn a_pair_is_started_from_the_palette_and_a_form_that_failed_comes_back() {
    let Some(world) = World::start() else { return };
    let terminal = cockpit(&world, 110, 34);
    terminal.wait_for("Nothing to watch yet");
    find(&terminal, "start pair", "start a pair: worker, manager and task");
    terminal.wait_for("conveyor pair");
    terminal.press(&["parser", "Tab", "prove it", "Tab", "w1", "Tab", "m1", "Tab", "Begin {{say Ready.}}", "C-s"]);
    let bound = "select count(*) from sqlite_master where name = 'bindings'";
    wait_for("a ledger", || world.ledger().exists().then_some(()), || terminal.screen());
    wait_for_number(&world, &terminal, bound, 1);
    wait_for_number(&world, &terminal, "select count(*) from bindings where state = 'active'", 1);
    read_and_close(&terminal, "conveyor pair");

    find(&terminal, "start manager", "start a manager");
    terminal.wait_for("conveyor start-manager");
    terminal.press(&["m1", "C-s"]);
    read_and_close(&terminal, "hint: `conveyor resume m1`");
    // Its form lies below, with what was typed and what was wrong with it.
    let screen = terminal.wait_for("'--name=m1'");
    assert!(screen.contains("a session named \"m1\" is already registered"), "{screen}");
    terminal.press(&["Escape"]);
    terminal.wait_gone("start a manager");
    terminal.press(&["L"]);
    terminal.wait_for("x failed: a session named \"m1\" is already registered");
    terminal.press(&["Escape"]);
    terminal.wait_gone("receipts:");
    // What was typed is still there.
    find(&terminal, "start manager", "start a manager");
    let screen = terminal.wait_for("'--name=m1'");
    assert!(screen.contains("start a manager"), "{screen}");
    terminal.press(&["Escape"]);
    terminal.wait_gone("start a manager");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
    world.run(&["stop", "w1"]).ok();
    world.run(&["stop", "m1"]).ok();
    world.run(&["dispatch", "stop", "--all"]).ok();
}

#[test]
fn a_manager_is_started_for_a_worker_and_deregistered_by_keys() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Begin {{say Ready.}}");
    world.run(&["tasks", "--create", "parser", "--goal", "prove it"]).ok();
    world.wait_for_condition("w1", "done");
    let terminal = cockpit(&world, 110, 34);
    terminal.wait_for("w1");
    find(&terminal, "start manager", "start a manager");
    terminal.wait_for("conveyor start-manager");
    terminal.press(&["m1"]);
    terminal.wait_for("'--name=m1'");
    terminal.press(&["C-s"]);
    let receipt = read_and_close(&terminal, "conveyor start-manager");
    assert!(receipt.contains("started manager m1"), "{receipt}");
    assert_eq!(world.tmux_sessions(), ["codex-m1", "codex-w1"]);
    let manager = "select count(*) from sessions where name = 'm1' and role = 'manager' and state = 'active'
        and tmux_pane_id is not null";
    assert_eq!(number(&world, manager), 1);
    terminal.wait_for("m1");
    // It is the one that was started: it answers in its pane, and the cockpit shows that.
    world.say("m1", "Who are you {{say The manager.}}");
    world.wait_for_condition("m1", "done");
    find(&terminal, "go session m1", "go to session m1");
    terminal.wait_for("The manager.");

    find(&terminal, "deregister", "deregister a session");
    terminal.wait_for("conveyor deregister '--expect=none' -- m1");
    terminal.press(&["C-s"]);
    terminal.wait_for("Deregister m1? It runs on");
    terminal.press(&["y"]);
    read_and_close(&terminal, "m1");
    assert_eq!(number(&world, "select count(*) from sessions where name = 'm1' and state = 'gone'"), 1);
    assert_eq!(number(&world, "select count(*) from events where type = 'session_deregistered'"), 1);
    assert_eq!(world.tmux_sessions(), ["codex-m1", "codex-w1"], "its program goes on");
    // It was selected, and stays so until another one is.
    find(&terminal, "go session w1", "go to session w1");
    terminal.wait_for("1 gone (H shows)");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
    world.server().plain(&["kill-session", "-t", "codex-m1"]);
    world.run(&["stop", "w1"]).ok();
}

#[test]
fn running_sessions_are_adopted_one_by_one() {
    let Some(world) = World::start() else { return };
    for name in ["mine", "other"] {
        let cwd = world.cwd().display().to_string();
        let mut words = vec!["new-session", "-d", "-c", &cwd, "-s", name, "-x", "120", "-y", "40", "env", "-i"];
        let environment = world.shell_environment().split_off(2);
        words.extend(environment.iter().map(String::as_str));
        let home = format!("CODEX_HOME={}", world.codex_home().display());
        words.extend([home.as_str(), "codex", "Begin {{say Ready.}}"]);
        world.server().plain(&words);
    }
    wait_for("two rollouts", || (world.rollouts().len() == 2).then_some(()), || world.all_screens());
    let terminal = cockpit(&world, 110, 34);
    terminal.press(&["D"]);
    // Others may run Codex on this machine too.
    let ours = format!("[ ] {}", world.cwd().display());
    let screen = terminal.wait_until("both", |screen| screen.matches(&ours).count() == 2);
    assert!(screen.contains("found by its writer lock; thread "), "{screen}");
    assert!(!world.state_root().exists(), "looking registers nothing");
    let rows: Vec<&str> = screen.lines().filter(|line| line.contains("[ ] ")).collect();
    let last = rows.iter().rposition(|line| line.contains(&ours)).expect("ours");
    (0..last).for_each(|_| terminal.press(&["Down"]));
    terminal.press(&["Space"]);
    let screen = terminal.wait_for("[x] ");
    let line = screen.lines().skip_while(|line| !line.contains("[x] ")).nth(1).unwrap_or_default();
    let pid = line.split("process ").nth(1).and_then(|rest| rest.split(';').next()).expect("a process");
    terminal.press(&["C-s"]);
    read_and_close(&terminal, "adopted");
    assert_eq!(number(&world, &format!("select count(*) from sessions where role = 'worker' and pid = {pid}")), 1);
    assert_eq!(number(&world, "select count(*) from sessions"), 1, "the other one was not checked");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn several_chosen_sessions_get_a_message_each() {
    let Some(world) = World::start() else { return };
    for name in ["w1", "w2", "w3"] {
        world.run(&["register-worker", "--name", name, "--codex-app-thread-id", name]).ok();
    }
    let terminal = cockpit(&world, 100, 30);
    terminal.wait_for("w3");
    terminal.press(&["Space", "j", "Space", "j", "Space"]);
    terminal.wait_for("3 chosen");
    terminal.press(&["Space"]);
    terminal.wait_for("2 chosen");
    terminal.press(&["n"]);
    terminal.wait_for("nudge 2 sessions");
    terminal.press(&["stop for today"]);
    terminal.wait_for("(and 1 more, one for each)");
    assert_eq!(number(&world, "select count(*) from commands"), 0);
    terminal.press(&["Enter"]);
    terminal.wait_until("both receipts", |screen| screen.matches("queued -> in the inbox").count() == 2);
    assert_eq!(number(&world, "select count(distinct target_session_id) from commands where phase = 'delivered'"), 2);
    terminal.press(&["Escape"]);
    terminal.wait_gone("receipts:");
    assert!(!terminal.screen().contains("chosen"), "{}", terminal.screen());
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn the_emergency_stop_works_while_one_types() {
    let Some(world) = World::start() else { return };
    world.run(&["tasks", "--create", "parser", "--goal", "g"]).ok();
    let terminal = cockpit(&world, 100, 30);
    terminal.wait_for("parser");
    terminal.press(&["T"]);
    terminal.wait_for("new task");
    terminal.press(&["half", "C-x"]);
    terminal.wait_for("DISPATCH PAUSED");
    terminal.press(&["way"]);
    terminal.wait_for("'--create=halfway'");
    wait_for_number(&world, &terminal, "select count(*) from dispatch_pauses", 1);
    terminal.press(&["Escape"]);
    terminal.wait_gone("new task");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

/// The whole way with real Codex: a worker from a form, a nudge by key, and its receipt from the worker's own rollout.
#[test]
fn real_codex_is_started_by_a_form_and_its_receipt_confirms() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(world) = World::in_lab(&lab) else { return };
    lab.rule("^begin", "{{say Ready.}}");
    lab.rule("status please", "{{say All is well.}}");
    let terminal = cockpit(&world, 120, 36);
    terminal.wait_for("Nothing to watch yet");
    terminal.press(&["+"]);
    terminal.wait_for("conveyor start-worker");
    terminal.press(&["w1", "Tab", "begin", "C-s"]);
    wait_for("a ledger", || world.ledger().exists().then_some(()), || terminal.screen());
    read_and_close(&terminal, "conveyor start-worker");
    world.wait_for_condition("w1", "done");
    terminal.press(&["n"]);
    terminal.wait_for("To w1, from the operator");
    terminal.press(&["status please", "Enter"]);
    wait_for_number(&world, &terminal, "select count(*) from commands where phase = 'done'", 1);
    terminal.wait_for("it ran (");
    terminal.press(&["Escape"]);
    terminal.press(&["L"]);
    let screen = terminal.wait_for("confirmed at byte");
    let byte: usize = screen
        .split("confirmed at byte ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .expect("a byte");
    let session = world.session("w1");
    let rollout = std::fs::read(session["codex_session_path"].as_str().unwrap()).unwrap();
    let line = rollout[byte..].split(|byte| *byte == b'\n').next().unwrap();
    let line = String::from_utf8_lossy(line);
    assert!(
        line.contains("From the operator") && line.contains("status please"),
        "the receipt names the very line: {line}"
    );
    terminal.press(&["Escape"]);
    world.wait_for_condition("w1", "done");
    terminal.press(&["K"]);
    terminal.wait_for("Stop w1?");
    terminal.press(&["y"]);
    read_and_close(&terminal, "w1");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn real_codex_that_a_person_runs_is_adopted_with_its_pane() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let Some(world) = World::in_lab(&lab) else { return };
    lab.rule("^begin", "{{say Ready.}}");
    let terminal = cockpit(&world, 120, 36);
    terminal.wait_for("Nothing to watch yet");
    let cwd = world.cwd().display().to_string();
    let mut words = vec!["new-session", "-d", "-c", &cwd, "-s", "mine", "-x", "120", "-y", "40", "env", "-i"];
    let environment = world.shell_environment().split_off(2);
    words.extend(environment.iter().map(String::as_str));
    let codex = lab.cli().program.display().to_string();
    words.extend([codex.as_str(), "begin"]);
    world.server().plain(&words);
    let done = || world.server().plain(&["capture-pane", "-p", "-t", "mine"]).contains("Ready.").then_some(());
    wait_for("its first answer", done, || world.all_screens());
    terminal.press(&["D"]);
    let screen = terminal.wait_for("tmux mine; found by");
    let rows: Vec<&str> = screen.lines().skip_while(|line| !line.contains("[ ] ")).collect();
    let above = rows.iter().take_while(|line| !line.contains("tmux mine")).filter(|line| line.contains("[ ] ")).count();
    (1..above).for_each(|_| terminal.press(&["Down"]));
    terminal.press(&["Space", "C-s"]);
    read_and_close(&terminal, "adopted");
    let sql =
        "select count(*) from sessions where tmux_session = 'mine' and tmux_pane_id is not null and state = 'active'";
    assert_eq!(number(&world, sql), 1);
    world.server().plain(&["kill-session", "-t", "mine"]);
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}
