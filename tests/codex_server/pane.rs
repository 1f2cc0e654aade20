//! A terminal beside the client.

use std::{
    path::Path,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::support::codex_lab::within;

/// How long the tests here wait for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// One pane on a tmux server of its own.
pub(super) struct Pane {
    server: String,
}

impl Pane {
    /// Runs a shell command line in a folder.
    pub(super) fn open(command: &str, folder: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let pane = Self { server: format!("conveyor-codex-server-{}-{number}", std::process::id()) };
        let folder = folder.display().to_string();
        pane.tmux(&["new-session", "-d", "-s", "s", "-x", "120", "-y", "40", "-c", &folder, command]);
        pane.tmux(&["set-option", "-g", "remain-on-exit", "on"]);
        pane
    }

    /// Runs a command of its tmux server.
    pub(super) fn tmux(&self, arguments: &[&str]) -> Output {
        let output = Command::new("tmux").args(["-L", &self.server, "-f", "/dev/null"]).args(arguments).output();
        output.expect("tmux can be run")
    }

    /// What the pane shows.
    pub(super) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-t", "s"]).stdout).into_owned()
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) {
        assert!(within(PATIENCE, || self.screen().contains(text)), "{text:?} never came:\n{}", self.screen());
    }

    /// Submits one line as a person does who pastes it. What is typed while the terminal still shows the turn before, which
    /// its server has ended, goes into a turn that is gone.
    #[track_caller]
    pub(super) fn say(&self, line: &str) {
        let is_idle = || !self.screen().contains("esc to interrupt");
        assert!(within(PATIENCE, is_idle), "a turn goes on:\n{}", self.screen());
        self.tmux(&["set-buffer", line]);
        self.tmux(&["paste-buffer", "-p", "-t", "s"]);
        self.wait_for(line);
        self.tmux(&["send-keys", "-t", "s", "Enter"]);
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
