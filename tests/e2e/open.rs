//! `open` and the cockpit's `a`: show a session's pane from outside tmux, from inside the same server, and from inside
//! another one.

use serde_json::Value;

use super::{
    terminal::Terminal,
    world::{World, wait_for},
};
use crate::support::tmux::TmuxServer;

/// A person at a terminal: a client of the inner server inside a pane of an outer one, with a shell in it.
struct Desk {
    outer: TmuxServer,
    pane: conveyor::ports::tmux::PaneId,
    shell: String,
}

/// A shell in a session of this name inside the world's server; the id of its pane.
fn shell_inside(world: &World, session: &str, size: &[String; 2]) -> String {
    let words = world.shell_environment();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let cwd = world.cwd().display().to_string();
    let new = ["new-session", "-d", "-P", "-F", "#{pane_id}", "-s", session, "-c", &cwd];
    let new = [&new[..], &["-x", &size[0], "-y", &size[1], "--"]].concat();
    // Inside the server the shell has to know that it is: `env -i` would hide it.
    let inside = ["sh", "-c", "exec \"$@\" TMUX=\"$TMUX\" TMUX_PANE=\"$TMUX_PANE\" sh", "sh"];
    world.server().plain(&[&new[..], &inside, &words].concat())
}

impl Desk {
    fn sit_down(world: &World, width: u16, height: u16) -> Self {
        let outer = TmuxServer::start().expect("tmux is there");
        let size = [width.to_string(), height.to_string()];
        let shell = shell_inside(world, "desk", &size);
        world.server().plain(&["set-option", "-g", "status", "off"]);
        let attach = ["env", "-u", "TMUX", "tmux", "-S", world.server().socket(), "attach-session", "-t", "desk"];
        let new = ["new-session", "-d", "-P", "-F", "#{pane_id}", "-x", &size[0], "-y", &size[1], "--"];
        let pane = outer.plain(&[&new[..], &attach].concat()).parse().unwrap();
        outer.plain(&["set-option", "-g", "status", "off"]);
        let desk = Self { outer, pane, shell };
        wait_for("the client", || (desk.shows(world) == "desk").then_some(()), || desk.screen());
        desk
    }

    fn screen(&self) -> String {
        self.outer.screen(self.pane)
    }

    /// Which session the person looks at.
    fn shows(&self, world: &World) -> String {
        world.server().plain(&["list-clients", "-F", "#{client_session}"])
    }

    fn type_line(&self, world: &World, line: &str) {
        world.server().plain(&["send-keys", "-t", &self.shell, "-l", line]);
        world.server().plain(&["send-keys", "-t", &self.shell, "Enter"]);
    }

    /// Presses keys in the shell's pane, as a program in it gets them.
    fn press(&self, world: &World, keys: &[&str]) {
        world.server().plain(&[&["send-keys", "-t", &self.shell], keys].concat());
    }

    /// Presses keys at the keyboard, where tmux gets them first.
    fn hit(&self, keys: &[&str]) {
        self.outer.plain(&[&["send-keys", "-t", &self.pane.to_string()], keys].concat());
    }

    fn conveyor(&self, world: &World, words: &str) {
        self.type_line(world, &format!("{} {words}", env!("CARGO_BIN_EXE_conveyor")));
    }

    fn panes(&self, world: &World) -> usize {
        world.server().plain(&["list-panes", "-t", "desk"]).lines().count()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_for(&format!("{text:?}"), || self.screen().contains(text).then_some(()), || self.screen());
    }
}

#[test]
fn outside_tmux_the_attach_command_is_told_and_works() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    world.bind("t", "w1");
    let opened = world.run(&["open", "w1", "--json"]).ok().json();
    assert_eq!((&opened["way"], &opened["tmux_session"]), (&"attach".into(), &"codex-w1".into()), "{opened:#}");
    assert_eq!(opened["note"], Value::Null);
    // Without a terminal nothing is attached, and the words are the same.
    let command = opened["attach_command"].as_str().unwrap();
    assert!(world.run(&["open", "w1"]).ok().out.contains(command));
    assert_eq!(world.run(&["open-worker", "t", "--json"]).ok().json()["attach_command"], *command);
    let manager = world.run(&["open-manager", "t", "--json"]);
    assert_eq!((manager.code, &manager.error()["kind"]), (1, &"refused".into()), "{manager}");

    let outer = TmuxServer::start().expect("tmux is there");
    let words = shell_words::split(command).unwrap();
    let words: Vec<&str> = ["env", "-u", "TMUX"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let pane = outer.session("terminal", &words);
    wait_for(
        "the session",
        || outer.screen(pane.pane).contains("Here I am.").then_some(()),
        || outer.screen(pane.pane),
    );
}

#[test]
fn where_no_terminal_shows_the_server_that_is_said_with_what_works() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    let shell = shell_inside(&world, "alone", &["120".to_owned(), "40".to_owned()]);
    let line = format!("{} open w1 | cat", env!("CARGO_BIN_EXE_conveyor"));
    world.server().plain(&["send-keys", "-t", &shell, "-l", &line]);
    world.server().plain(&["send-keys", "-t", &shell, "Enter"]);
    let screen = || world.server().plain(&["capture-pane", "-p", "-J", "-t", &shell]);
    let told = || {
        let screen = screen();
        screen.contains("no terminal shows this tmux server now").then_some(screen)
    };
    let screen = wait_for("the way in", told, screen);
    assert!(screen.contains("in a terminal outside tmux: `") && screen.contains("attach-session"), "{screen}");
}

#[test]
fn inside_tmux_the_client_switches() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    let desk = Desk::sit_down(&world, 120, 40);
    // A program that asks must not lose its terminal.
    for words in ["open w1 --json", "open w1 --dry-run", "open w1 | cat"] {
        desk.type_line(&world, "clear");
        desk.conveyor(&world, words);
        desk.wait_for("switch-client");
        desk.conveyor(&world, "--version");
        desk.wait_for("conveyor 0");
        assert_eq!(desk.shows(&world), "desk", "{words}");
    }
    desk.conveyor(&world, "open w1");
    wait_for("the switch", || (desk.shows(&world) == "codex-w1").then_some(()), || desk.screen());
    desk.wait_for("Here I am.");
    assert_eq!(desk.panes(&world), 1);
}

#[test]
fn a_split_is_made_where_there_is_room_and_else_a_popup() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    let desk = Desk::sit_down(&world, 160, 40);
    desk.conveyor(&world, "open w1 --split --json");
    desk.wait_for("split-window");
    desk.wait_for("tmux_session");
    assert_eq!(desk.panes(&world), 1, "asking splits nothing");
    desk.conveyor(&world, "open w1 --split");
    wait_for("the split", || (desk.panes(&world) == 2).then_some(()), || desk.screen());
    desk.wait_for("Here I am.");
    let widths = world.server().plain(&["list-panes", "-t", "desk", "-F", "#{pane_width}"]);
    assert!(widths.lines().all(|width| width.parse::<u16>().unwrap() >= 60), "{widths}");
}

#[test]
fn a_small_terminal_gets_a_popup_and_is_told_why() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    let desk = Desk::sit_down(&world, 80, 24);
    desk.conveyor(&world, "open w1 --split --json");
    desk.wait_for("\"popup\"");
    desk.wait_for("less than 60x15");
    assert_eq!(desk.panes(&world), 1);

    desk.type_line(&world, "clear");
    desk.conveyor(&world, "open w1 --split");
    desk.wait_for("Here I am.");
    assert_eq!((desk.panes(&world), desk.shows(&world).lines().next()), (1, Some("desk")), "{}", desk.screen());
}

#[test]
fn a_popup_shows_the_session_and_closes_with_it() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    let desk = Desk::sit_down(&world, 100, 30);
    desk.conveyor(&world, "open w1 --popup");
    desk.wait_for("Here I am.");
    world.run(&["stop", "w1"]).ok();
    wait_for("the popup to close", || (!desk.screen().contains("Here I am.")).then_some(()), || desk.screen());
    desk.type_line(&world, "echo back-$((40+2))");
    desk.wait_for("back-42");
}

#[test]
fn the_cockpit_beside_its_workers_switches_the_client_and_says_how_to_come_back() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    let opened = world.run(&["open", "w1", "--json"]).ok().json();
    assert_eq!(opened["back"], "Ctrl-b d", "{opened:#}");
    let desk = Desk::sit_down(&world, 100, 30);
    desk.conveyor(&world, "");
    desk.wait_for("1 Fleet");
    desk.wait_for("w1");
    desk.press(&world, &["a"]);
    wait_for("the switch", || (desk.shows(&world) == "codex-w1").then_some(()), || desk.screen());
    desk.wait_for("Ctrl-b L comes back");
    desk.wait_for("Here I am.");
    // What was said does it, and the cockpit is still there.
    desk.hit(&["C-b"]);
    desk.hit(&["L"]);
    wait_for("the way back", || (desk.shows(&world) == "desk").then_some(()), || desk.screen());
    desk.wait_for("1 Fleet");
    desk.press(&world, &["?"]);
    desk.wait_for("type to search");
    desk.press(&world, &["Escape"]);
    wait_for("the help to go", || (!desk.screen().contains("type to search")).then_some(()), || desk.screen());
    desk.press(&world, &["q"]);
    wait_for("the end", || (!desk.screen().contains("1 Fleet")).then_some(()), || desk.screen());
}

#[test]
fn the_cockpit_inside_another_tmux_lends_its_terminal_and_says_how_to_come_back() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Hello {{say Here I am.}}");
    let terminal = Terminal::open(&world, &world.shell_environment(), 100, 30);
    terminal.type_line(&format!("export {}", terminal.inside().join(" ")));
    terminal.conveyor("");
    terminal.wait_for("1 Fleet");
    terminal.wait_for("w1");
    terminal.press(&["a"]);
    // The tmux around it takes the first prefix for itself.
    terminal.wait_for("Ctrl-b Ctrl-b d comes back");
    terminal.wait_for("Here I am.");
    terminal.press(&["C-b"]);
    terminal.press(&["d"]);
    terminal.wait_for("1 Fleet");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}

#[test]
fn a_plain_question_leads_from_its_box_to_its_pane_and_back() {
    let Some(world) = World::start() else { return };
    world.start_worker("w1", "Clean up {{ask Which folder shall I clean first?}} {{say Cleaned.}}");
    world.wait_for_condition("w1", "blocked");
    let terminal = Terminal::open(&world, &world.shell_environment(), 80, 24);
    terminal.conveyor("");
    // The row says what is asked, without what Codex writes around it.
    let fleet = terminal.wait_for("Which folder shall I clean first?");
    let row = fleet.lines().find(|line| line.contains("Which folder")).expect("the row");
    assert!(row.trim_start().starts_with("Which folder shall I clean first?"), "{fleet}");
    assert!(fleet.contains("needs you") && !fleet.contains("unanswered"), "{fleet}");
    terminal.press(&["y"]);
    terminal.wait_for("it asks you a question");
    let asked = terminal.wait_for("None of the above");
    assert!(asked.contains("a attach") && !asked.contains("approve"), "{asked}");
    terminal.press(&["1"]);
    terminal.press(&["a"]);
    terminal.wait_for("Ctrl-b d comes back");
    terminal.wait_for("enter to submit answer");
    assert!(world.screen("w1").contains("Which folder"), "nothing was answered on the way\n{}", world.screen("w1"));
    terminal.press(&["Enter"]);
    terminal.wait_for("Cleaned.");
    terminal.press(&["C-b"]);
    terminal.press(&["d"]);
    terminal.wait_for("nobody needs you");
    terminal.press(&["q"]);
    assert_eq!(terminal.wait_for_shell(), 0);
}
