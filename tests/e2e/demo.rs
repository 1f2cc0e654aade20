//! `conveyor demo` as a person runs it after cloning: it lives, it ends, and nothing of it stays.

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    terminal::Terminal,
    world::{World, files, finish, processes_with, wait_for},
};

/// A temporary directory of a demo's own.
fn temporary(world: &World, name: &str) -> PathBuf {
    let folder = world.server().folder().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn command(world: &World, temporary: &Path) -> Command {
    let mut command = world.command();
    command.env("TMPDIR", temporary).env_remove("CONVEYOR_TMUX_SOCKET").arg("demo");
    command
}

/// What is left of a demo.
#[track_caller]
fn assert_nothing_left(world: &World, temporary: &Path) {
    let marker = temporary.display().to_string();
    wait_for(
        "every process of the demo to end",
        || processes_with(&marker).is_empty().then_some(()),
        || processes_with(&marker).join("\n"),
    );
    // The demo itself does not name the folder, and removes it last.
    wait_for(
        "the demo's folder to go",
        || (fs::read_dir(temporary).unwrap().count() == 0).then_some(()),
        || format!("{:#?}", files(temporary)),
    );
    assert_eq!(files(&world.cwd()), Vec::<PathBuf>::new(), "the demo leaves the folder alone");
    assert_eq!(files(&world.codex_home()), Vec::<PathBuf>::new());
}

#[test]
fn the_demo_lives_in_a_terminal_and_leaves_nothing() {
    let Some(world) = World::start() else { return };
    for (width, height, options) in [(80, 24, "--speed 2"), (160, 50, "--speed 2 --no-tmux")] {
        let folder = temporary(&world, &format!("tmp-{width}"));
        let mut environment = world.shell_environment();
        environment.push(format!("TMPDIR={}", folder.display()));
        let terminal = Terminal::open(&world, &environment, width, height);
        terminal.conveyor(&format!("demo {options}"));
        terminal.wait_until("both sessions", |screen| screen.contains("w1") && screen.contains("m1"));
        // The worker works, then waits for an approval, then goes on.
        if !options.contains("--no-tmux") {
            terminal.wait_for("1 needs you");
            terminal.wait_for("nobody needs you");
        }
        terminal.press(&["3"]);
        terminal.wait_for("task_complete");
        terminal.press(&["1"]);
        terminal.wait_until("both to be done", |screen| screen.matches('✓').count() == 2);
        terminal.press(&["q"]);
        // A word to the manager may be on its way just then, and the cockpit asks whether to leave it.
        let asks = |screen: &str| screen.contains("are you sure");
        if asks(&terminal.wait_until("its end", |screen| asks(screen) || terminal.is_left())) {
            terminal.press(&["y"]);
        }
        assert_eq!(terminal.wait_for_shell(), 0);
        assert_nothing_left(&world, &folder);
    }
}

#[test]
fn a_session_adopted_in_the_demo_outlives_it() {
    let Some(world) = World::start() else { return };
    let folder = temporary(&world, "tmp");
    // Discovery knows a Codex by its program's name.
    let program = temporary(&world, "program").join("codex");
    symlink(env!("CARGO_BIN_EXE_conveyor"), &program).unwrap();
    world.script("codex", &format!("exec {} sim codex --no-daemon \"$@\"", program.display()));
    world.start_worker("real", "stay {{say Here.}}");
    let mut environment = world.shell_environment();
    environment.push(format!("TMPDIR={}", folder.display()));
    // The server in which the real session lives, as it is for whoever tries the demo inside tmux.
    environment.push(format!("TMUX={},1,0", world.server().socket()));
    let terminal = Terminal::open(&world, &environment, 160, 50);
    terminal.conveyor("demo");
    terminal.wait_until("both sessions", |screen| screen.contains("w1") && screen.contains("m1"));
    terminal.press(&["D"]);
    // Others may run Codex on this machine too.
    let screen = terminal.wait_until("what runs", |screen| screen.contains("[ ] ") && screen.contains("codex-real"));
    let lines: Vec<&str> = screen.lines().collect();
    let mut rows = lines.windows(2).filter(|pair| pair[0].contains("[ ] "));
    let index = rows.position(|pair| pair[1].contains("tmux codex-real")).expect("a row with its pane");
    (0..index).for_each(|_| terminal.press(&["Down"]));
    terminal.press(&["Space"]);
    terminal.wait_for("[x] ");
    terminal.press(&["C-s"]);
    terminal.wait_until("the receipt", |screen| screen.contains("adopted") && screen.contains("codex-real"));
    terminal.press(&["Escape"]);
    terminal.wait_gone("adopted");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
    assert_eq!(world.tmux_sessions(), ["codex-real"]);
}

#[test]
fn a_demo_whose_terminal_is_closed_cleans_up() {
    let Some(world) = World::start() else { return };
    let folder = temporary(&world, "tmp");
    let mut environment = world.shell_environment();
    environment.push(format!("TMPDIR={}", folder.display()));
    let terminal = Terminal::open(&world, &environment, 100, 30);
    terminal.conveyor("demo");
    terminal.wait_until("both sessions", |screen| screen.contains("w1") && screen.contains("m1"));
    drop(terminal);
    assert_nothing_left(&world, &folder);
}

#[test]
fn a_demo_that_is_left_early_or_killed_cleans_up() {
    let Some(world) = World::start() else { return };
    let folder = temporary(&world, "tmp");
    let mut environment = world.shell_environment();
    environment.push(format!("TMPDIR={}", folder.display()));
    let terminal = Terminal::open(&world, &environment, 100, 30);
    for (way, code) in [("C-c", 0), ("TERM", 130)] {
        terminal.conveyor("demo");
        terminal.wait_until("both sessions", |screen| screen.contains("w1") && screen.contains("m1"));
        if way == "TERM" {
            let own = format!("{} demo", env!("CARGO_BIN_EXE_conveyor"));
            let pid = processes_with(&own).into_iter().find_map(|line| {
                let (pid, command) = line.trim().split_once(' ')?;
                // Other tests run demos too; ours is the one in this world's folder.
                let here = fs::read_link(format!("/proc/{pid}/cwd")).map_or(true, |cwd| cwd == world.cwd());
                (command.trim() == own && here).then(|| pid.parse().ok()).flatten()
            });
            kill_process(Pid::from_raw(pid.expect("the demo runs")).unwrap(), Signal::TERM).unwrap();
        } else {
            terminal.press(&[way]);
        }
        assert_eq!(terminal.wait_for_shell(), code, "{way}");
        assert_nothing_left(&world, &folder);
    }
}

/// A demo without a terminal, whose output goes to files.
struct Background {
    child: Child,
    said: PathBuf,
}

impl Background {
    fn start(mut command: Command, folder: &Path) -> Self {
        let said = folder.with_extension("said");
        let file = fs::File::create(&said).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).process_group(0);
        Self { child: command.spawn().unwrap(), said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }
}

#[test]
fn without_a_terminal_the_final_board_is_printed() {
    let Some(world) = World::start() else { return };
    let bare = world.bin_with("bare", &[]);
    let long = temporary(&world, &format!("{}/{}", "long".repeat(20), "path".repeat(20)));
    let short = temporary(&world, "tmp");
    for (what, folder, path) in
        [("with tmux", &short, None), ("without tmux", &short, Some(&bare)), ("a long TMPDIR", &long, None)]
    {
        let mut command = command(&world, folder);
        command.args(["--speed", "6", "--json"]);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let ended = finish(&mut command);
        assert_eq!(ended.code, 0, "{what}: {ended}");
        let board = ended.json();
        let sessions = board["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 2, "{what}: {board:#}");
        let worker = sessions.iter().find(|row| row["name"] == "w1").unwrap();
        assert_eq!(worker["judgement"]["condition"], "done", "{what}: {ended}");
        assert!(ended.out.contains("1,203 of 1,204"), "{what}: {ended}");
        assert_eq!(worker["tmux_pane_id"].is_null(), path.is_some(), "{what}: {worker:#}");
        for word in ["busy", "done"] {
            assert!(ended.err.contains(word), "{what}: {ended}");
        }
        assert_nothing_left(&world, folder);
    }
}

#[test]
fn a_signal_ends_a_demo_without_a_terminal_at_any_moment() {
    let Some(world) = World::start() else { return };
    for (number, (signal, moment)) in
        [(Signal::TERM, "w1: "), (Signal::HUP, "m1: "), (Signal::INT, "w1: "), (Signal::TERM, "")]
            .into_iter()
            .enumerate()
    {
        let folder = temporary(&world, &format!("tmp-{number}"));
        let mut demo = Background::start(command(&world, &folder), &folder);
        if moment.is_empty() {
            // In the middle of its preparations.
            wait_for("a simulated session", || (!files(&folder.clone()).is_empty()).then_some(()), || demo.said());
        } else {
            wait_for("the first word", || demo.said().contains(moment).then_some(()), || demo.said());
        }
        kill_process(Pid::from_raw(demo.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
        let said = demo.said.clone();
        wait_for("its end", || demo.child.try_wait().unwrap(), || fs::read_to_string(said).unwrap());
        assert_nothing_left(&world, &folder);
    }
}
