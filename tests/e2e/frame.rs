//! What surrounds the screens: Dispatch and Doctor, calls, the title, the configuration, the predecessor's word for the
//! cockpit, splits, and a terminal that changes its size all the time.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::{
    messages::{number, pair},
    terminal::Terminal,
    world::{World, wait_for},
};

fn open(world: &World, words: &str, width: u16, height: u16) -> Terminal {
    let terminal = Terminal::open(world, &world.shell_environment(), width, height);
    terminal.conveyor(words);
    terminal.wait_until("the cockpit", |screen| screen.contains("1 Fleet") || screen.contains("2 Task"));
    terminal
}

/// Writes the configuration that the world's programs read.
fn configure(world: &World, text: &str) {
    let home = world.codex_home().parent().unwrap().to_owned();
    fs::create_dir_all(home.join(".config/conveyor")).unwrap();
    fs::write(home.join(".config/conveyor/config.toml"), text).unwrap();
}

#[test]
fn the_dispatch_screen_shows_a_command_from_end_to_end_and_takes_one_back() {
    let Some(world) = World::start() else { return };
    pair(&world);
    world.run(&["enqueue-nudge-worker", "parser", "--message", "run the tests"]).ok();
    let terminal = open(&world, "--no-dispatch", 110, 34);
    terminal.press(&["5"]);
    // It begins at the message, and says why it waits, what comes next and what to do.
    let screen = terminal.wait_for("X takes it back");
    assert!(screen.contains("nobody delivers: messages wait"), "{screen}");
    assert!(screen.contains("to w1") && screen.contains("1 in line"), "{screen}");
    assert!(screen.contains("waits      nobody dispatches"), "{screen}");
    assert!(screen.contains("to go on   `conveyor dispatch --watch --detach`"), "it says what to do\n{screen}");
    terminal.wait_for("nudge_worker from operator to w1");
    terminal.press(&["Enter"]);
    let screen = terminal.wait_gone("nobody delivers: messages wait");
    assert!(screen.contains("run the tests") && screen.contains("0 tries"), "the whole of it\n{screen}");
    // Together they would be Alt-g.
    terminal.press(&["Escape"]);
    terminal.wait_for("nobody delivers: messages wait");
    terminal.press(&["g"]);
    let screen = terminal.wait_for("No dispatcher is alive");
    assert!(screen.contains("conveyor dispatch --watch --detach"), "{screen}");
    terminal.press(&["j", "j"]);
    terminal.wait_for("X takes it back");
    terminal.press(&["X"]);
    let screen = terminal.wait_for("Take the nudge to w1 back?");
    assert!(screen.contains("dispatch cancel"), "the command line is shown\n{screen}");
    assert_eq!(number(&world, "select count(*) from commands where phase = 'queued'"), 1, "nothing happens unasked");
    terminal.press(&["y"]);
    let gone = || number(&world, "select count(*) from commands where phase = 'cancelled'") == 1;
    wait_for("the command to be taken back", || gone().then_some(()), || terminal.screen());
    terminal.press(&["Escape"]);
    terminal.wait_gone("it ran (");

    // Another one is delivered by somebody else, and confirmed by its reader: all of it stands there.
    world.run(&["enqueue-nudge-worker", "parser", "--message", "again"]).ok();
    world.run(&["dispatch", "--once", "--dispatcher-id", "d1"]).ok();
    terminal.wait_for("in inbox   nudge   again");
    terminal.press(&["g", "j", "j"]);
    terminal.wait_until("the newest command", |screen| {
        screen.contains("by inbox: succeeded") && screen.contains("nudge_worker into the inbox of w1")
    });
    world.run(&["worker-inbox", "parser", "--consume-next"]).ok();
    let screen = terminal.wait_for("w1 confirmed it");
    assert!(screen.contains("proof"), "{screen}");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn doctor_is_on_the_first_screen_and_on_its_own() {
    let Some(world) = World::start() else { return };
    let terminal = open(&world, "", 100, 40);
    terminal.wait_for("Nothing to watch yet");
    let screen = terminal.wait_until("what doctor found", |screen| screen.contains("looked "));
    assert!(screen.contains("Doctor (8): "), "{screen}");
    terminal.press(&["8"]);
    let screen = terminal.wait_for("doctor: ");
    assert!(screen.contains("tmux"), "{screen}");
    terminal.press(&["r"]);
    terminal.wait_for("looked 0s ago");
    // A pane that is gone shows up with the command that brings its session back.
    world.start_worker("w1", "Begin {{say Done.}}");
    world.server().plain(&["kill-session", "-t", "codex-w1"]);
    terminal.press(&["r"]);
    terminal.wait_for("problem w1");
    terminal.press(&["g"]);
    let screen = terminal.wait_for("drift: w1");
    assert!(screen.contains("`conveyor resume w1`"), "{screen}");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_worker_that_asks_calls_once_and_the_title_counts_it() {
    let Some(world) = World::start() else { return };
    configure(&world, "[notifications]\nhow = \"desktop\"\nprotocol = \"osc9\"\ndwell_seconds = 2\n");
    world.start_worker("w1", "Wait. {{say Ready.}}");
    world.wait_for_condition("w1", "done");
    let terminal = Terminal::open(&world, &world.shell_environment(), 100, 30);
    let before = terminal.ask("#{pane_title}");
    let written = world.cwd().join("written");
    terminal.record(&written);
    terminal.conveyor("");
    terminal.wait_for("w1");
    wait_for("the title", || (terminal.ask("#{pane_title}") == "conveyor").then_some(()), || terminal.screen());
    world.say("w1", "Change it {{shell-esc rm -rf build}} {{say All changed.}}");
    wait_for("the title", || (terminal.ask("#{pane_title}") == "!1 conveyor").then_some(()), || terminal.screen());
    let calls = || fs::read_to_string(&written).unwrap_or_default().matches("\u{1b}]9;w1 needs you").count();
    wait_for("the call", || (calls() > 0).then_some(()), || terminal.screen());
    world.press("w1", &["y"]);
    terminal.wait_for("nobody needs you");
    assert_eq!(calls(), 1);
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
    assert_eq!(terminal.ask("#{pane_title}"), before, "the title is given back");
}

#[test]
fn the_title_is_given_back_when_the_cockpit_is_killed_softly() {
    let Some(world) = World::start() else { return };
    world.run(&["tasks", "--create", "parser", "--goal", "g"]).ok();
    let marker = world.ledger().display().to_string();
    let terminal = Terminal::open(&world, &world.shell_environment(), 80, 24);
    let before = terminal.ask("#{pane_title}");
    terminal.conveyor(&format!("--path {marker}"));
    terminal.wait_for("parser");
    wait_for("the title", || (terminal.ask("#{pane_title}") == "conveyor").then_some(()), || terminal.screen());
    kill_process(Pid::from_raw(terminal.process(&marker)).unwrap(), Signal::TERM).unwrap();
    assert_eq!(terminal.wait_for_shell(), 130);
    assert_eq!(terminal.ask("#{pane_title}"), before);
}

#[test]
fn the_configuration_changes_keys_and_a_wrong_one_is_refused_with_its_place() {
    let Some(world) = World::start() else { return };
    pair(&world);
    configure(&world, "theme = \"mono\"\n[keys.screen]\nhelp = [\"F1\"]\n");
    let terminal = open(&world, "", 100, 30);
    terminal.wait_for("F1 help");
    terminal.press(&["?"]);
    terminal.press(&["F1"]);
    terminal.wait_for("type to search");
    terminal.press(&["Escape"]);
    // Both at once would be one key with Alt.
    terminal.wait_gone("type to search");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
    assert!(world.run(&["keys"]).ok().out.contains("F1"));

    configure(&world, "theme = \"mono\"\n[keys.screen]\nnudge = [\"q\"]\n");
    terminal.conveyor("");
    let screen = terminal.wait_for("q would mean both nudge and quit");
    assert!(screen.contains("config.toml:3:9"), "{screen}");
    assert_eq!(terminal.wait_for_shell(), 2);
    assert_eq!(world.run(&["config"]).code, 2);
    assert_eq!(world.run(&["list"]).code, 0, "no other command reads it");
}

#[test]
fn the_theme_follows_the_background_of_the_terminal() {
    let Some(world) = World::start() else { return };
    pair(&world);
    // The keys of the footer are bright blue on dark and blue on light.
    for (background, blue) in [("black", "\u{1b}[38;5;12m"), ("white", "\u{1b}[38;5;4m")] {
        let terminal = Terminal::open(&world, &world.shell_environment(), 100, 30);
        terminal.paint(background);
        terminal.conveyor("");
        terminal.wait_for("help");
        let coloured = terminal.coloured();
        assert!(coloured.contains(blue), "{background}: {coloured:?}");
        terminal.press(&["q"]);
        assert_eq!(terminal.wait_for_shell(), 0, "no answer of the terminal is left over");
    }
}

#[test]
fn dashboard_opens_the_cockpit_on_its_task_and_says_what_it_no_longer_has() {
    let Some(world) = World::start() else { return };
    pair(&world);
    world.run(&["tasks", "--create", "lexer", "--goal", "another one"]).ok();
    let run = world.run(&["dashboard", "--port", "8797"]);
    assert_eq!(run.code, 2, "{run}");
    assert!(run.err.contains("--port") && run.err.contains("no web server"), "{run}");
    assert_eq!(world.run(&["dashboard", "--task", "nothing", "--json"]).code, 1);
    let run = world.run(&["dashboard", "parser"]);
    assert_eq!(run.code, 2, "{run}");
    assert!(run.err.contains("`--task parser`") && run.err.contains("conveyor dashboard --task parser"), "{run}");
    assert_eq!(world.run(&["dashboard"]).code, 1, "no terminal");
    let plan = world.run(&["dashboard", "--ensure-dispatch", "--json"]).ok().json();
    assert_eq!((&plan["dispatcher_id"], &plan["dispatch_reused"]), (&"dispatch-dashboard".into(), &false.into()));

    let terminal = open(&world, "dashboard --task parser --ensure-dispatch", 100, 30);
    terminal.wait_for("prove it");
    let alive = "select count(*) from dispatchers where id = 'dispatch-dashboard' and host = 'cockpit'
        and state = 'running'";
    wait_for("the dispatcher", || (number(&world, alive) == 1).then_some(()), || terminal.screen());
    // A second one finds it, and leaves the delivery to it.
    let plan = world.run(&["dashboard", "--ensure-dispatch", "--json"]).ok().json();
    assert_eq!(plan["dispatch_reused"], true);
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
    assert_eq!(number(&world, "select count(*) from dispatchers where state = 'running'"), 0, "it ends with it");
}

#[test]
fn a_split_keeps_room_on_both_sides_and_needs_tmux() {
    let Some(world) = World::start() else { return };
    pair(&world);
    for words in [["--split"], ["--popup"]] {
        let run = world.run(&words);
        assert_eq!(run.code, 0, "without a terminal it is the help: {run}");
    }
    let terminal = Terminal::open(&world, &world.shell_environment(), 160, 40);
    terminal.conveyor("--split");
    terminal.wait_for("inside tmux only");
    assert_eq!(terminal.wait_for_shell(), 1);
    // As inside the tmux of this terminal.
    let inside = terminal.inside();
    terminal.type_line(&format!("export {}", inside.join(" ")));
    terminal.conveyor("--split --theme mono");
    let beside = || terminal.panes().into_iter().find(|(_, screen)| screen.contains("parser"));
    let (size, _) = wait_for("the split", beside, || terminal.screen());
    assert_eq!(terminal.panes().len(), 2);
    let (width, _) = size.split_once('x').unwrap();
    assert!(width.parse::<u16>().unwrap() >= 60, "{size}");
}

#[test]
fn a_terminal_that_changes_its_size_all_the_time_keeps_its_selection() {
    let Some(world) = World::start() else { return };
    pair(&world);
    world.run(&["tasks", "--create", "lexer", "--goal", "another one"]).ok();
    let terminal = open(&world, "", 100, 30);
    terminal.wait_for("lexer");
    terminal.press(&["j"]);
    for screen in ["1", "2", "4", "5", "8"] {
        terminal.press(&[screen]);
        for round in 0..12_u16 {
            for (width, height) in [(40, 10), (300, 100), (50, 15), (79 + round, 24), (31, 9), (160, 50)] {
                terminal.resize(width, height);
            }
        }
        terminal.resize(100, 30);
        terminal.wait_until("a whole frame", |screen| screen.contains("1 Fleet") && screen.contains("? help"));
    }
    for (width, height) in [(40, 10), (300, 100)] {
        terminal.press(&["1"]);
        terminal.resize(width, height);
        terminal.wait_until("a frame of this size", |screen| screen.contains("w1") && screen.contains("help"));
    }
    terminal.resize(20, 5);
    terminal.wait_for("too small");
    terminal.resize(100, 30);
    terminal.wait_for("1 Fleet");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_tmux_server_and_a_codex_that_vanish_are_said_and_the_cockpit_goes_on() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Begin {{say Done.}}");
    world.wait_for_condition("w1", "done");
    let terminal = open(&world, "", 120, 40);
    terminal.wait_for("w1");
    terminal.press(&["p"]);
    world.server().plain(&["kill-server"]);
    terminal.wait_until("that it is gone", |screen| {
        ["its pane", "tmux server", "no server", "gone", "ended"].iter().any(|word| screen.contains(word))
    });
    terminal.press(&["a"]);
    terminal.wait_for("\u{250c} attach");
    terminal.press(&["Escape"]);
    terminal.wait_gone("\u{250c} attach");
    terminal.press(&["8"]);
    let screen = terminal.wait_for("conveyor resume w1");
    assert!(screen.contains("problem"), "{screen}");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}
