//! A tmux server of a test's own, which ends with the test.

use std::{
    ffi::OsStr,
    process::{Command, Stdio},
};

use conveyor::ports::{
    process::ProcessId,
    tmux::{CaptureOptions, NewSession, PaneId, PaneRef, Program, RealTmux, Size, Tmux, TmuxServer as Address},
};
use tempfile::TempDir;

/// A private tmux server without configuration. A keep-alive session (`keep`) holds it open.
pub struct TmuxServer {
    folder: TempDir,
    socket: String,
    tmux: RealTmux,
}

impl TmuxServer {
    /// A server, or none when tmux is not installed and need not be.
    pub fn start() -> Option<Self> {
        if !super::require_tool("tmux") {
            return None;
        }
        // Socket paths are limited to about 100 bytes, so not below a long TMPDIR.
        let folder = tempfile::Builder::new().prefix("conveyor-test-").tempdir_in("/tmp").expect("a folder");
        let socket = folder.path().join("s").to_str().expect("a plain path").to_owned();
        let tmux = RealTmux::new(Address::Socket(socket.clone())).with_config("/dev/null").with_env("TMUX", None);
        let server = Self { folder, socket, tmux };
        server.session("keep", &["cat"]);
        Some(server)
    }

    /// The port, bound to this server.
    pub fn tmux(&self) -> &RealTmux {
        &self.tmux
    }

    /// Path of the socket.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// A folder that goes with the server.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Does with plain tmux what the port has no call for. Returns what it prints.
    pub fn plain<S: AsRef<OsStr>>(&self, words: &[S]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-f", "/dev/null", "-S", &self.socket])
            .args(words)
            .env_remove("TMUX")
            .stdin(Stdio::null())
            .output()
            .expect("tmux runs");
        assert!(output.status.success(), "tmux: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// A program in the test's folder.
    pub fn program(&self, argv: &[&str]) -> Program {
        Program {
            cwd: self.folder.path().to_owned(),
            env: Vec::new(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    /// Starts a session of 80 x 24.
    pub fn session(&self, name: &str, argv: &[&str]) -> PaneRef {
        let new = NewSession {
            name: name.parse().expect("a name"),
            window_name: None,
            size: Size { width: 80, height: 24 },
            program: self.program(argv),
        };
        self.tmux.new_session(&new).expect("a session")
    }

    /// The visible screen.
    pub fn screen(&self, pane: PaneId) -> String {
        self.tmux.capture(pane, CaptureOptions::default()).unwrap_or_else(|error| error.to_string())
    }

    /// Waits until a text stands on the screen.
    pub fn wait_for_text(&self, pane: PaneId, text: &str) {
        self.wait_until(text, pane, || self.screen(pane).contains(text));
    }

    /// Waits for a condition; on failure shows the pane.
    pub fn wait_until(&self, what: &str, pane: PaneId, mut condition: impl FnMut() -> bool) {
        super::wait_for(what, || condition().then_some(()), || self.screen(pane));
    }
}

impl Drop for TmuxServer {
    fn drop(&mut self) {
        // It may be gone already, which is fine.
        drop(
            Command::new("tmux")
                .args(["-S", &self.socket, "kill-server"])
                .env_remove("TMUX")
                .stdin(Stdio::null())
                .output(),
        );
    }
}

/// The process of a pane that was just made.
pub fn process_of(pane: &PaneRef) -> ProcessId {
    pane.process.expect("the program runs")
}
