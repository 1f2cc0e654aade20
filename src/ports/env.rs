//! Where things are: read from the process environment once, then passed down.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::own::OwnFiles;

/// The places and settings that the environment decides.
#[derive(Debug, Clone)]
pub struct Env {
    /// The working directory of this command.
    pub cwd: PathBuf,
    /// The user's home; none in bare environments.
    pub home: Option<PathBuf>,
    /// The folder that holds the ledger, `$WORKERCTL_STATE_ROOT` or `.codex-workers` below the working directory.
    pub state_root: PathBuf,
    /// The ledger file.
    pub ledger: PathBuf,
    /// `$CODEX_HOME`, else `~/.codex`.
    pub codex_home: Option<PathBuf>,
    /// `$CONVEYOR_CODEX`: the codex program, instead of the one on `PATH`.
    pub codex: Option<PathBuf>,
    /// Messages may go through Codex's own queue, unless `$CONVEYOR_CODEX_QUEUE` is `off`.
    pub codex_queue: bool,
    /// `$CODEX_THREAD_ID`, which Codex sets for the commands it runs: the thread that runs this one.
    pub codex_thread: Option<String>,
    /// `$CONVEYOR_STEP` is set: a closing step runs this command, or what began it, as a tool.
    pub in_step: bool,
    /// `$PATH`.
    pub path: Option<std::ffi::OsString>,
    /// `$TMUX`, set inside tmux: socket path, server pid, session number.
    pub tmux: Option<String>,
    /// `$TMUX_PANE`, the pane this command runs in.
    pub tmux_pane: Option<String>,
    /// `$CONVEYOR_TMUX_SOCKET`: the tmux server that new sessions are started in.
    pub tmux_socket: Option<PathBuf>,
    /// What the environment says about the terminal.
    pub terminal: Terminal,
    /// The cockpit's configuration file; none when no place for one is known.
    pub config: Option<ConfigFile>,
}

/// Where the configuration is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The file.
    pub path: PathBuf,
    /// `$CONVEYOR_CONFIG` names it, so it has to be there.
    pub is_named: bool,
}

/// What the environment says about the terminal; nothing of it has been tried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terminal {
    /// `$TERM`.
    pub term: Option<String>,
    /// `$COLORTERM`.
    pub colorterm: Option<String>,
    /// `$TERM_PROGRAM`: the terminal's own name.
    pub program: Option<String>,
    /// `$VTE_VERSION` is set: a terminal of GNOME's kind.
    pub is_vte: bool,
    /// `$NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// The locale that decides about characters: the first of `$LC_ALL`, `$LC_CTYPE` and `$LANG`.
    pub locale: Option<String>,
}

/// The ledger's file name inside the state root.
pub const LEDGER_FILE: &str = "workerctl.db";
/// Set for the tools that a closing step runs, and so for all that they begin.
pub const STEP_MARK: &str = "CONVEYOR_STEP";
/// The state root below a working directory, unless the environment names another.
const STATE_FOLDER: &str = ".codex-workers";

impl Env {
    /// Reads the environment; `ledger` (from `--path`) replaces the ledger file, not the state root.
    ///
    /// # Errors
    /// When the working directory no longer exists.
    pub fn read(ledger: Option<&Path>) -> io::Result<Self> {
        let cwd = env::current_dir()?;
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let home = set("HOME").map(PathBuf::from);
        let state_root = set("WORKERCTL_STATE_ROOT").map_or_else(|| cwd.join(STATE_FOLDER), |root| cwd.join(root));
        let ledger = match ledger {
            Some(path) => cwd.join(expand_home(path, home.as_deref())),
            None => state_root.join(LEDGER_FILE),
        };
        let codex_home =
            set("CODEX_HOME").map(|path| cwd.join(path)).or_else(|| home.as_ref().map(|home| home.join(".codex")));
        let config = match set("CONVEYOR_CONFIG") {
            Some(path) => {
                Some(ConfigFile { path: cwd.join(expand_home(Path::new(&path), home.as_deref())), is_named: true })
            }
            // A path that is not absolute is invalid there and to be ignored.
            None => set("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
                .or_else(|| home.as_ref().map(|home| home.join(".config")))
                .map(|folder| ConfigFile { path: folder.join("conveyor/config.toml"), is_named: false }),
        };
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        Ok(Self {
            home,
            state_root,
            ledger,
            codex_home,
            codex: set("CONVEYOR_CODEX").map(|path| cwd.join(path)),
            codex_queue: text("CONVEYOR_CODEX_QUEUE").is_none_or(|word| word != "off"),
            codex_thread: text("CODEX_THREAD_ID"),
            in_step: env::var_os(STEP_MARK).is_some(),
            path: env::var_os("PATH"),
            tmux: text("TMUX"),
            tmux_pane: text("TMUX_PANE"),
            tmux_socket: set("CONVEYOR_TMUX_SOCKET").map(|path| cwd.join(path)),
            terminal: Terminal {
                term: text("TERM"),
                colorterm: text("COLORTERM"),
                program: text("TERM_PROGRAM"),
                is_vte: set("VTE_VERSION").is_some(),
                no_color: set("NO_COLOR").is_some(),
                locale: ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text),
            },
            config,
            cwd,
        })
    }

    /// What a command line of ours needs so that it finds this ledger where it is run in `cwd`: ` --path FILE`, or
    /// nothing when it finds it there by itself.
    #[must_use]
    pub fn path_option(&self, cwd: &str) -> String {
        if self.ledger == Path::new(cwd).join(STATE_FOLDER).join(LEDGER_FILE) {
            return String::new();
        }
        format!(" --path {}", shell_words::quote(&self.ledger.to_string_lossy()))
    }

    /// The files that are this program's own. Whoever works elsewhere names the ledger, and means what lies beside it.
    #[must_use]
    pub fn own_files(&self) -> OwnFiles {
        let beside = self.ledger.parent().filter(|folder| folder.ends_with(STATE_FOLDER));
        OwnFiles::of([Some(&*self.state_root), beside].into_iter().flatten(), &self.ledger)
    }

    /// `path` made absolute, with a leading `~` or `~/` replaced by the home folder.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.cwd.join(expand_home(path, self.home.as_deref()))
    }
}

/// The program of this name in the folders of `path`, the first executable one.
///
/// Folders that are not absolute are passed over: what runs must not depend on where we stand.
#[must_use]
pub fn find_program(path: Option<&OsStr>, name: &str) -> Option<PathBuf> {
    path.into_iter()
        .flat_map(env::split_paths)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| is_executable(program))
}

/// Whether a file can be run by somebody.
#[must_use]
pub fn is_executable(program: &Path) -> bool {
    program.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn expand_home(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}
