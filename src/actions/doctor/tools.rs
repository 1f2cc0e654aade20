//! The programs: where they are, which versions, and what that means for supervising sessions.

use std::{path::Path, path::PathBuf, time::Duration};

use super::check::{
    Check,
    Weight::{Advice, Required},
};
use crate::{
    actions::{Context, fail},
    base::{Error, text},
    ports::{
        codex_cli::{CodexCli, CodexCliError, CodexVersion, ServerUse, find_codex},
        codex_server::{CodexServer, ServerError, Timeouts},
        env::find_program,
        machine,
        tmux::{ServerSettings, Support, TmuxError, TmuxVersion},
    },
    store,
};

/// From this version on, text sent into a pane arrives as it was sent.
const PUSH_FLOOR: CodexVersion = CodexVersion { major: 0, minor: 125, patch: 0 };
const SERVER_LIMITS: Timeouts = Timeouts { connect: Duration::from_millis(500), call: Duration::from_secs(1) };
pub(super) const INSTALL_CODEX: &str = "`npm install -g @openai/codex`, or name it with CONVEYOR_CODEX";
const INSTALL_TMUX: &str = "install tmux 3.4 or newer: `apt install tmux`, `brew install tmux`";

/// Where the four programs are.
pub(super) struct Tools {
    pub(super) tmux: Option<PathBuf>,
    pub(super) codex: Result<PathBuf, Error>,
    pub(super) conveyor: Option<PathBuf>,
    pub(super) workerctl: Option<PathBuf>,
}

impl Tools {
    pub(super) fn find(cx: &Context) -> Self {
        let env = cx.env();
        let on_path = |name: &str| find_program(env.path.as_deref(), name);
        Self {
            tmux: on_path("tmux"),
            codex: find_codex(env.path.as_deref(), env.codex.as_deref()).map_err(fail::codex),
            conveyor: on_path("conveyor"),
            workerctl: on_path("workerctl"),
        }
    }

    /// Whether the programs can be found.
    pub(super) fn on_path(&self) -> Vec<Check> {
        let codex = match &self.codex {
            Ok(path) => Check::pass(Required, "codex", path.display().to_string()).fact("path", shown(path)),
            Err(error) => Check::fail(Required, "codex", error.message(), INSTALL_CODEX),
        };
        [self.tmux_on_path("tmux"), codex].into_iter().chain(self.ours()).collect()
    }

    /// Whether our own programs can be found by the sessions that are told to run them.
    pub(super) fn ours(&self) -> [Check; 2] {
        let (conveyor, workerctl) = (self.conveyor.as_deref(), self.workerctl.as_deref());
        [
            ours("conveyor_on_path", "conveyor", conveyor, workerctl),
            ours("workerctl_on_path", "workerctl", workerctl, conveyor),
        ]
    }

    /// Whether tmux can be found.
    pub(super) fn tmux_on_path(&self, name: &'static str) -> Check {
        match &self.tmux {
            Some(path) => Check::pass(Required, name, path.display().to_string()).fact("path", shown(path)),
            None => Check::fail(Required, name, "tmux is not on the PATH", INSTALL_TMUX),
        }
    }
}

/// Whether one of our own programs can be found. `twin` is the other one, which is the same program.
fn ours(check: &'static str, program: &str, path: Option<&Path>, twin: Option<&Path>) -> Check {
    match path {
        Some(path) => Check::pass(Advice, check, path.display().to_string()).fact("path", shown(path)),
        None => {
            let folder = machine::own_program().and_then(|program| program.parent().map(shown));
            let remedy = match (twin, folder) {
                (Some(twin), _) => {
                    let words = [shown(twin), shown(&twin.with_file_name(program))];
                    format!("it is the same program: `ln -s {}`", shell_words::join(words))
                }
                (None, Some(folder)) => {
                    format!("`export PATH={}:\"$PATH\"`, or `cargo install --path .`", shell_words::quote(&folder))
                }
                (None, None) => "`cargo install --path .`".to_owned(),
            };
            Check::fail(
                Advice,
                check,
                format!("{program} is not on the PATH; sessions that are told to run it will not find it"),
                remedy,
            )
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The version of tmux and its server; nothing when it is not installed.
pub(super) fn tmux(cx: &Context, tools: &Tools) -> Vec<Check> {
    if tools.tmux.is_none() {
        return Vec::new();
    }
    let socket = cx.env().tmux_socket.as_ref().map(|path| path.display().to_string());
    let tmux = cx.tmux(socket.as_deref());
    let version = match tmux.version() {
        Ok(version) => version,
        Err(error) => {
            let error = fail::tmux(error);
            return vec![Check::failed(Required, "tmux_version", &error, "see what `tmux -V` prints")];
        }
    };
    if version.support() == Support::TooOld {
        let message = format!("tmux {version} is too old; 3.2 is the least that will do");
        return vec![Check::fail(Required, "tmux_version", message, INSTALL_TMUX).fact("value", version.to_string())];
    }
    let known = Check::pass(Required, "tmux_version", version.to_string()).fact("value", version.to_string());
    let (server, settings, running) = match tmux.server_info() {
        Ok(server) => {
            let message = format!("running, pid {}, {}", server.pid, server.socket);
            let check = Check::pass(Required, "tmux_server", message).fact("socket", server.socket);
            (check, tmux.server_settings().ok(), server.version)
        }
        Err(TmuxError::NoServer(_)) => {
            let message = "none is running; the first session starts one";
            (Check::pass(Required, "tmux_server", message), None, None)
        }
        Err(error) => {
            let check = Check::failed(Required, "tmux_server", &fail::tmux(error), "see what `tmux ls` prints");
            (check, None, None)
        }
    };
    vec![known, paste(&version, running.as_ref(), settings.as_ref()), server]
}

/// Whether a paste into a pane whose program has ended can take the whole server down.
fn paste(program: &TmuxVersion, server: Option<&TmuxVersion>, settings: Option<&ServerSettings>) -> Check {
    const NAME: &str = "tmux_paste";
    // An update leaves the running server as it is.
    let (which, version) = match server {
        Some(server) if server.support() != Support::Good => ("the running tmux server", server),
        _ => ("tmux", program),
    };
    if version.support() == Support::Good {
        return Check::pass(Advice, NAME, "a paste into a dead pane does no harm");
    }
    let keeps = settings.and_then(|settings| settings.remain_on_exit) == Some(true);
    let today = if keeps { ", and remain-on-exit is on" } else { ", if remain-on-exit keeps such panes" };
    let message = format!(
        "{which} is {version}: before 3.4 a paste into a dead pane kills the server with all its sessions{today}; \
         Conveyor pastes only while the server itself sees the pane alive, but people do not"
    );
    let remedy = if keeps {
        "update tmux to 3.4 or newer; until then `tmux set -g remain-on-exit off`"
    } else {
        "update tmux to 3.4 or newer; until then leave remain-on-exit off"
    };
    Check::fail(Advice, NAME, message, remedy)
}

/// The version of Codex, how its sessions run, and its background server; nothing when it is not installed.
pub(super) fn codex(cx: &Context, tools: &Tools, codex_home: Option<&Path>) -> Vec<Check> {
    let Ok(program) = &tools.codex else { return Vec::new() };
    let cli = CodexCli { program: program.clone(), codex_home: codex_home.map(Path::to_owned) };
    let version = match cli.version() {
        Ok(version) => version,
        Err(error) => return vec![version_unknown(error)],
    };
    let mut checks =
        vec![Check::pass(Required, "codex_version", version.to_string()).fact("value", version.to_string())];
    checks.push(if version < PUSH_FLOOR {
        let message = format!(
            "sessions of codex {version} are only watched and poll for messages; pushing text into them is safe from \
             {PUSH_FLOOR} on"
        );
        Check::fail(Advice, "codex_push", message, "`npm install -g @openai/codex`")
    } else {
        Check::pass(Advice, "codex_push", "text can be pushed into its sessions")
    });
    // Where there is no home, nobody has signed in yet; that is told with the home.
    if codex_home.is_some_and(Path::is_dir) {
        checks.push(signed_in(&cli));
    }
    match cli.server_use() {
        Ok(server) => {
            checks.push(supervision(server));
            if server != ServerUse::None {
                checks.push(codex_server(cx, server, version, codex_home));
            }
        }
        Err(error) => checks.push(Check::failed(
            Advice,
            "codex_supervision",
            &fail::codex(error),
            "see what `codex features list` prints",
        )),
    }
    checks
}

fn version_unknown(error: CodexCliError) -> Check {
    let mut check = Check::failed(Required, "codex_version", &fail::codex(error), "see what `codex --version` prints");
    check.message = format!("its version cannot be told: {}", check.message);
    check
}

/// Whether Codex will ask for a sign-in before it works. A provider of one's own may need none, so it is a remark.
fn signed_in(cli: &CodexCli) -> Check {
    const NAME: &str = "codex_login";
    match cli.is_signed_in() {
        Ok(true) => Check::pass(Advice, NAME, "signed in; whether it still holds shows with the first request"),
        Ok(false) => {
            let message = "nobody is signed in: a session will ask, unless its model provider needs no sign-in";
            Check::fail(Advice, NAME, message, "`codex login`")
        }
        Err(error) => Check::failed(Advice, NAME, &fail::codex(error), "see what `codex login status` prints"),
    }
}

/// How sessions of this version are supervised.
fn supervision(server: ServerUse) -> Check {
    let message = match server {
        ServerUse::Default => "sessions run in codex's background server, which tells their state",
        ServerUse::Optional => "sessions run in their terminals; a background server is there but off by default",
        ServerUse::None => "sessions run in their terminals; this version has no background server for them",
    };
    Check::pass(Advice, "codex_supervision", message).fact("value", server.as_str())
}

/// Whether the background server of this home runs, and whether it is as new as the program.
fn codex_server(cx: &Context, server: ServerUse, installed: CodexVersion, codex_home: Option<&Path>) -> Check {
    const NAME: &str = "codex_server";
    let Some(home) = codex_home else {
        return Check::fail(Advice, NAME, "no CODEX_HOME to look in", "`export CODEX_HOME=~/.codex`");
    };
    match CodexServer::connect(home, SERVER_LIMITS) {
        Ok(link) => match link.version() {
            Some(running) if running < installed => Check::fail(
                Advice,
                NAME,
                format!("running, but still {running} while {installed} is installed"),
                "when no session works: `codex app-server daemon stop`; the next session starts the new one",
            ),
            Some(running) => Check::pass(Advice, NAME, format!("running, {running}")).fact("value", "running"),
            None => Check::pass(Advice, NAME, "running").fact("value", "running"),
        },
        Err(ServerError::NotRunning { .. }) => {
            if let Some(failed) = failed_start(cx, home) {
                let age = text::age(failed.at.age_seconds(cx.now()));
                return Check::fail(
                    Advice,
                    NAME,
                    format!("not running: it could not be started {age} ago: {}", failed.why),
                    "`codex app-server daemon start` shows whether it starts now; until then sessions run without it",
                )
                .fact("value", "start_failed");
            }
            let message = match server {
                ServerUse::Default => "not running; the first session starts it",
                ServerUse::Optional | ServerUse::None => "not running; this version does without",
            };
            Check::pass(Advice, NAME, message).fact("value", "not_running")
        }
        Err(error) => Check::fail(
            Advice,
            NAME,
            format!("it does not answer properly: {error}"),
            "when no session works: `codex app-server daemon stop`; the next session starts it again",
        ),
    }
}

/// The last start of the server of this home, if it failed. What is wrong with the ledger is the other doctor's.
fn failed_start(cx: &Context, home: &Path) -> Option<store::server_starts::Failed> {
    let home = home.display().to_string();
    cx.ledger().ok()?.read(|r| store::server_starts::failed(r, &home)).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_name_of_the_program_belongs_beside_the_first() {
        let missing = ours("workerctl_on_path", "workerctl", None, Some(Path::new("/opt/my bin/conveyor")));
        let remedy = missing.remedy.unwrap();
        assert!(remedy.contains("`ln -s '/opt/my bin/conveyor' '/opt/my bin/workerctl'`"), "{remedy}");
        let neither = ours("workerctl_on_path", "workerctl", None, None).remedy.unwrap();
        assert!(neither.contains("export PATH="), "{neither}");
    }
}
