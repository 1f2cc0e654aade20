//! A person's terminal: a shell with job control in a pane of a tmux server that the program knows nothing of.

use std::{thread, time::Duration};

use conveyor::ports::tmux::PaneId;

use super::world::{World, wait_for};
use crate::support::tmux::TmuxServer;

/// The terminal.
pub struct Terminal {
    server: TmuxServer,
    pane: PaneId,
}

impl Terminal {
    /// A terminal with a shell in this environment (`env -i NAME=VALUE...`) and the world's working directory.
    pub fn open(world: &World, environment: &[String], width: u16, height: u16) -> Self {
        let server = TmuxServer::start().expect("tmux is there");
        let (width, height, cwd) = (width.to_string(), height.to_string(), world.cwd().display().to_string());
        let mut words =
            vec!["new-session", "-d", "-P", "-F", "#{pane_id}", "-c", &cwd, "-x", &width, "-y", &height, "--"];
        words.extend(environment.iter().map(String::as_str));
        words.push("sh");
        let pane = server.plain(&words).parse().expect("a pane id");
        let terminal = Self { server, pane };
        terminal.wait_for("$");
        terminal
    }

    /// Types a line into the shell.
    pub fn type_line(&self, line: &str) {
        let pane = self.pane.to_string();
        self.server.plain(&["send-keys", "-t", &pane, "-l", "--", line]);
        self.server.plain(&["send-keys", "-t", &pane, "Enter"]);
    }

    /// Runs the program with these words.
    pub fn conveyor(&self, words: &str) {
        self.type_line(&format!("{} {words}", env!("CARGO_BIN_EXE_conveyor")));
    }

    /// Presses keys, by tmux's names.
    pub fn press(&self, keys: &[&str]) {
        self.server.plain(&[&["send-keys", "-t", &self.pane.to_string()], keys].concat());
    }

    /// The screen.
    pub fn screen(&self) -> String {
        self.server.screen(self.pane)
    }

    /// The screen with its colours, as escape sequences.
    pub fn coloured(&self) -> String {
        self.server.plain(&["capture-pane", "-p", "-e", "-t", &self.pane.to_string()])
    }

    /// Waits until the screen is as wanted, and gives it whole: tmux shows a frame that is half drawn, too.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut(&str) -> bool) -> String {
        let mut seen = wait_for(what, || Some(self.screen()).filter(|screen| is_so(screen)), || self.screen());
        for _ in 0..8 {
            thread::sleep(Duration::from_millis(20));
            let next = self.screen();
            if next == seen || !is_so(&next) {
                break;
            }
            seen = next;
        }
        seen
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("{text:?} on the screen"), |screen| screen.contains(text))
    }

    /// Waits until a text is no longer on the screen.
    #[track_caller]
    pub fn wait_gone(&self, text: &str) -> String {
        self.wait_until(&format!("{text:?} to go"), |screen| !screen.contains(text))
    }

    /// Alternate screen, mouse and cursor, as `0 0 1` in a shell.
    pub fn modes(&self) -> String {
        let format = "#{alternate_on} #{mouse_any_flag} #{cursor_flag}";
        self.server.plain(&["display-message", "-p", "-t", &self.pane.to_string(), format])
    }

    /// What tmux says of the terminal's pane in this format.
    pub fn ask(&self, format: &str) -> String {
        self.server.plain(&["display-message", "-p", "-t", &self.pane.to_string(), format])
    }

    /// Makes the terminal larger or smaller.
    pub fn resize(&self, width: u16, height: u16) {
        let (pane, width, height) = (self.pane.to_string(), width.to_string(), height.to_string());
        self.server.plain(&["resize-window", "-t", &pane, "-x", &width, "-y", &height]);
    }

    /// Gives the terminal this background.
    pub fn paint(&self, colour: &str) {
        self.server.plain(&["select-pane", "-t", &self.pane.to_string(), "-P", &format!("bg={colour}")]);
    }

    /// From now on everything that programs write to the terminal goes into this file too.
    pub fn record(&self, file: &std::path::Path) {
        let command = format!("cat >> {}", shell_words::quote(&file.display().to_string()));
        self.server.plain(&["pipe-pane", "-O", "-t", &self.pane.to_string(), &command]);
    }

    /// What a program sees that runs inside the tmux of this terminal.
    pub fn inside(&self) -> [String; 2] {
        let pid = self.ask("#{pid}");
        [format!("TMUX={},{pid},0", self.server.socket()), format!("TMUX_PANE={}", self.pane)]
    }

    /// Every pane of the terminal's window with what it shows.
    pub fn panes(&self) -> Vec<(String, String)> {
        let panes = self.server.plain(&[
            "list-panes",
            "-t",
            &self.pane.to_string(),
            "-F",
            "#{pane_id} #{pane_width}x#{pane_height}",
        ]);
        let pane = |line: &str| {
            let (id, size) = line.split_once(' ').expect("an id and a size");
            (size.to_owned(), self.server.screen(id.parse().expect("a pane id")))
        };
        panes.lines().map(pane).collect()
    }

    /// Whether the shell has the terminal again.
    pub fn is_left(&self) -> bool {
        self.modes() == "0 0 1"
    }

    /// Waits until the shell has the terminal again, with every mode off, and gives the exit code of its last command.
    #[track_caller]
    pub fn wait_for_shell(&self) -> i32 {
        let what = "the shell to have the terminal";
        wait_for(what, || self.is_left().then_some(()), || format!("{}\n{}", self.modes(), self.screen()));
        // The question is in two pieces, so that its echo is not the answer.
        self.type_line("echo \"code\"=$? $(stty -a | grep -c ' -echo ')");
        let answer = |screen: &str| {
            let line = screen.lines().rev().find(|line| line.contains("code=") && !line.contains('"'))?;
            let (code, hidden) = line.trim_end().rsplit_once("code=")?.1.split_once(' ')?;
            Some((code.parse::<i32>().ok()?, hidden.to_owned()))
        };
        let screen = self.wait_until("the exit code", |screen| answer(screen).is_some());
        let (code, hidden) = answer(&screen).expect("just seen");
        assert_eq!(hidden, "0", "the terminal does not echo: {screen}");
        self.type_line("clear");
        self.wait_gone("code=");
        code
    }

    /// The process that runs in the foreground below the shell, by its command line.
    pub fn process(&self, part: &str) -> i32 {
        let found = super::world::processes_with(part);
        let [line] = found.as_slice() else { panic!("{part}: {found:#?}") };
        line.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a pid")
    }
}
