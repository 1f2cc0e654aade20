//! The command line of `conveyor sim`, and how a session is set up from it.

use std::{
    env, fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::{
    composer::Composer,
    dialect::Dialect,
    facts::Identity,
    headless::{Ending, play},
    replay::replay,
    rollout::{RolloutError, RolloutWriter},
    scenario::Script,
    session::Session,
    terminal::{self, Look},
    turn::{Faults, Setup},
};
use crate::base::{Clock, Error, Result, clock::SystemClock};

/// Play a program that Conveyor works with, for demos, tests and rehearsals
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Clone, Subcommand)]
enum Program {
    /// Play a Codex session: its screens, its keys and its rollout files
    ///
    /// Nothing is executed and nothing leaves the machine: the answers come from a script, from `{{...}}` directives in
    /// the message, or are a fixed sentence. The usual options of Codex are accepted, so that a shell script that runs
    /// `exec conveyor sim codex "$@"` can stand in for `codex`.
    ///
    /// Directives: {{say TEXT}} {{note TEXT}} {{think TEXT}} {{shell CMD}} {{shell-esc CMD}} {{ask QUESTION}}
    /// {{sleep SECONDS}} {{hold FILE}} {{patch FILE}} {{plan A|B}} {{fail KIND}} {{usage IN OUT}} {{limits PCT PCT}}
    /// {{compact}} {{exit}} {{crash}}
    ///
    /// Example: conveyor sim codex --codex-home /tmp/home 'check it {{shell make}} {{say Done.}}'
    #[command(disable_version_flag = true)]
    Codex(Box<CodexArgs>),
}

/// Things that go wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// A record is begun, and after a pause written whole on the same line.
    TornLine,
    /// A record of 9 MB.
    HugeLine,
    /// The process dies within the first turn, as by SIGKILL.
    SilentDeath,
    /// Screen and rollout come only after `--slow-start-seconds`.
    SlowStart,
    /// The first Enter in the composer does nothing.
    LostEnter,
}

#[derive(Debug, Clone, Args)]
struct CodexArgs {
    /// First message; or `resume ID [MESSAGE]` to go on with a thread of this CODEX_HOME
    words: Vec<String>,

    /// Version to play: 0.25 to 0.169, e.g. v0.47 or 0.144.6
    #[arg(long, default_value = "0.169.0", value_name = "VERSION")]
    dialect: String,
    /// Directory that holds `sessions/` [default: $CODEX_HOME, which must be set then]
    #[arg(long, value_name = "DIR")]
    codex_home: Option<PathBuf>,
    /// Script with the answers (JSON)
    ///
    /// `rules`: a list of {"match": TEXT, "steps": [...], "once": true}; the first rule whose text is in the message
    /// (with a leading ^: at its beginning) answers it. `autostart`: a list of {"message", "steps", "after_ms"}, turns
    /// that begin by themselves. Steps: {"say": TEXT}, {"note": TEXT}, {"think": TEXT}, {"plan": TEXT}, {"sleep": MS},
    /// {"hold": FILE}, {"run": {"command", "output", "exit", "ms"}}, {"approve": {"command", "reason", "ms",
    /// "answer_after_ms", "answer", "answer_note"}}, {"ask": {"question", "options", "answer_after_ms",
    /// "answer_note"}}, {"patch": {"path", "content"}}, {"error": {"kind", "message"}}, {"tokens": {"input", "output", "primary", "secondary"}},
    /// "compact", "exit", "crash".
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Divide all durations by this
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    speed: f64,
    /// Play without a terminal: write the rollout in real time, then end
    #[arg(long)]
    headless: bool,
    /// With --headless or --replay: stay, with the writer lock held, until a signal or the script ends it
    #[arg(long)]
    hold: bool,
    /// Append a recorded rollout, line by line at its own pace, to a fresh file, and end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["script", "words", "headless"])]
    replay: Option<PathBuf>,
    /// Let something go wrong; may be given several times
    #[arg(long, value_enum, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// How long `--fault slow-start` waits, before scaling
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    slow_start_seconds: f64,
    /// Ask for trust in the directory first
    #[arg(long)]
    trust_prompt: bool,
    /// Show `Ready · <thread id>` in the status line, as tui.status_line=["run-state","session-id"] does
    #[arg(long)]
    status_line: bool,
    /// Note `!` commands in this file (they are never run)
    #[arg(long, value_name = "FILE")]
    shell_canary: Option<PathBuf>,
    /// Use this id for the first thread
    #[arg(long, value_name = "UUID")]
    thread_id: Option<Uuid>,

    /// Print the version that is played
    #[arg(long, short = 'V')]
    version: bool,
    /// Directory of the session
    #[arg(long, short = 'C', value_name = "DIR")]
    cd: Option<PathBuf>,
    /// Name of the model
    #[arg(long, short = 'm', value_name = "NAME")]
    model: Option<String>,
    /// Approval policy; only recorded
    #[arg(long, short = 'a', value_name = "POLICY", default_value = "on-request")]
    ask_for_approval: String,
    /// Setting of Codex; tui.status_line, tui.terminal_title and model count
    #[arg(long = "config", short = 'c', value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Draw in place instead of on the alternate screen
    #[arg(long)]
    no_alt_screen: bool,
    /// Behave as a session of its own instead of a client of the shared server
    #[arg(long)]
    no_daemon: bool,
    /// Accepted and ignored
    #[arg(long, short = 's', value_name = "MODE", hide = true)]
    sandbox: Option<String>,
    /// Accepted and ignored
    #[arg(long, short = 'p', value_name = "NAME", hide = true)]
    profile: Option<String>,
    /// Accepted and ignored
    #[arg(long, value_name = "DIR", hide = true)]
    add_dir: Vec<PathBuf>,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    search: bool,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    full_auto: bool,
    /// Accepted and ignored
    #[arg(long, hide = true)]
    dangerously_bypass_approvals_and_sandbox: bool,
}

impl From<RolloutError> for Error {
    fn from(error: RolloutError) -> Self {
        match &error {
            RolloutError::Locked(_) => Error::conflict(error.to_string()),
            RolloutError::Write { .. } => Error::io(error.to_string()).caused_by(error),
            RolloutError::Line { .. } => Error::new(crate::base::Kind::Bug, error.to_string()),
        }
    }
}

/// Runs `conveyor sim` and returns the exit code.
///
/// # Errors
/// With kind `Usage` when options or the script cannot be understood; otherwise when files cannot be written.
pub fn run(args: SimArgs) -> Result<u8> {
    match args.program {
        Program::Codex(codex) => run_codex(*codex),
    }
}

fn run_codex(args: CodexArgs) -> Result<u8> {
    let dialect: Dialect = args.dialect.parse().map_err(|error: super::UnknownDialect| {
        Error::usage("unknown version to play")
            .caused_by(error)
            .hint("versions from 0.25 to 0.169 are known, e.g. --dialect 0.169")
    })?;
    if args.version {
        let printed = writeln!(io::stdout(), "codex-cli {}", dialect.version());
        return printed.map(|()| 0).map_err(|error| Error::io("cannot print the version").caused_by(error));
    }
    if !(args.speed.is_finite() && args.speed > 0.0) {
        return Err(Error::usage(format!("--speed {} is not above zero", args.speed))
            .hint("1 is real time, 10 is ten times as fast"));
    }
    // Whoever asks about the program must not begin a session with it.
    if args.words == ["login", "status"] || args.words == ["features", "list"] {
        return Ok(0);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let codex_home = codex_home(args.codex_home.clone())?;
    if let Some(recording) = &args.replay {
        let replayed = replay(recording, &codex_home, clock.now(), args.speed)?;
        if args.hold {
            loop {
                thread::park();
            }
        }
        drop(replayed);
        return Ok(0);
    }
    let settings = Settings::parse(&args.config)?;
    let script = args.script.as_deref().map(Script::load).transpose()?.unwrap_or_default();
    let cwd = directory(args.cd.as_deref())?;
    if args.fault.contains(&Fault::SlowStart) {
        let seconds = (args.slow_start_seconds / args.speed).clamp(0.0, 3600.0);
        thread::sleep(Duration::from_secs_f64(if seconds.is_finite() { seconds } else { 0.0 }));
    }

    let server = dialect.has_server() && !args.no_daemon;
    let (resumed, prompt) = split_words(&args.words)?;
    let headless = args.headless || !(io::stdin().is_terminal() && io::stdout().is_terminal());
    let model = args.model.clone().or(settings.model).unwrap_or_else(|| dialect.model().to_owned());
    let setup = Setup {
        dialect,
        identity: Identity {
            codex_home: codex_home.clone(),
            cwd,
            model,
            source: if server { "vscode" } else { "cli" },
            approval: args.ask_for_approval.clone(),
            thread: args.thread_id,
        },
        speed: args.speed,
        shell_canary: args.shell_canary.clone(),
        faults: Faults {
            torn_line: args.fault.contains(&Fault::TornLine),
            huge_line: args.fault.contains(&Fault::HugeLine),
            silent_death: args.fault.contains(&Fault::SilentDeath),
        },
        keep_history: !headless,
    };
    let mut session = match resumed {
        Some(thread) => {
            let path = find_rollout(&codex_home.join("sessions"), thread).ok_or_else(|| {
                Error::not_found(format!("no rollout of thread {thread} below {}", codex_home.display()))
                    .hint("look below its sessions/ for the ids that exist")
            })?;
            let writer = RolloutWriter::resume(dialect, setup.identity.clone(), Arc::clone(&clock), thread, path)?;
            Session::with_writer(setup, script, Arc::clone(&clock), writer)
        }
        None => Session::start(setup, script, Arc::clone(&clock))?,
    };

    let ending = if headless {
        if let Some(prompt) = &prompt {
            session.submit(prompt)?;
        }
        play(&mut session, args.hold)?
    } else {
        let mut composer = Composer::new(dialect, server);
        if args.trust_prompt {
            composer = composer.asking_for_trust();
        }
        if args.fault.contains(&Fault::LostEnter) {
            composer = composer.losing_first_enter();
        }
        let simple = || vec!["run-state".to_owned(), "session-id".to_owned()];
        let look = Look {
            inline: !dialect.alternate_screen() || args.no_alt_screen,
            status_items: settings.status_line.or_else(|| args.status_line.then(simple)),
            title_items: settings.terminal_title,
            prompt,
        };
        terminal::run(&mut session, composer, look, &*clock)?
    };
    match ending {
        Ending::Played | Ending::Left => Ok(0),
        Ending::Died => die(),
    }
}

/// Ends this process as a crash would: no unwinding, no goodbye.
fn die() -> Result<u8> {
    let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    killed.map(|()| 137).map_err(|error| Error::io("cannot end this process").caused_by(error))
}

/// The given directory or `CODEX_HOME`; never the person's own `~/.codex`.
fn codex_home(given: Option<PathBuf>) -> Result<PathBuf> {
    let named = given.or_else(|| env::var_os("CODEX_HOME").filter(|value| !value.is_empty()).map(PathBuf::from));
    let path = named.ok_or_else(|| {
        Error::usage("no CODEX_HOME to write to").hint("set CODEX_HOME or give --codex-home; ~/.codex is never used")
    })?;
    std::path::absolute(&path).map_err(|error| Error::io(format!("cannot use {}", path.display())).caused_by(error))
}

fn directory(given: Option<&Path>) -> Result<PathBuf> {
    let path = given.unwrap_or(Path::new("."));
    let real = fs::canonicalize(path).map_err(|error| {
        Error::usage(format!("cannot use the directory {}", path.display()))
            .caused_by(error)
            .hint("give an existing directory to -C")
    })?;
    if real.is_dir() {
        return Ok(real);
    }
    Err(Error::usage(format!("{} is not a directory", path.display())).hint("give an existing directory to -C"))
}

/// `resume ID [MESSAGE]` or `[MESSAGE]`.
fn split_words(words: &[String]) -> Result<(Option<Uuid>, Option<String>)> {
    let joined = |rest: &[String]| (!rest.is_empty()).then(|| rest.join(" "));
    match words {
        [first, id, rest @ ..] if first == "resume" => {
            let thread = id.parse().map_err(|error: uuid::Error| {
                Error::usage(format!("`{id}` is no thread id"))
                    .caused_by(error)
                    .hint("give the id from the end of the rollout's file name")
            })?;
            Ok((Some(thread), joined(rest)))
        }
        [only] if only == "resume" => {
            Err(Error::usage("resume needs a thread id").hint("the picker of the real program is not played"))
        }
        all => Ok((None, joined(all))),
    }
}

fn find_rollout(folder: &Path, thread: Uuid) -> Option<PathBuf> {
    let ending = format!("-{thread}.jsonl");
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let found = match entry.file_type() {
            Ok(kind) if kind.is_dir() => find_rollout(&path, thread),
            Ok(_) => path.to_string_lossy().ends_with(&ending).then_some(path),
            Err(_) => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// What counts of `-c key=value`.
#[derive(Debug, Default)]
struct Settings {
    model: Option<String>,
    status_line: Option<Vec<String>>,
    terminal_title: Option<Vec<String>>,
}

impl Settings {
    fn parse(pairs: &[String]) -> Result<Self> {
        let mut settings = Self::default();
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Error::usage(format!("`{pair}` is no setting")).hint("write -c key=value"))?;
            let list = || {
                serde_json::from_str::<Vec<String>>(value.trim()).map(Some).map_err(|error| {
                    Error::usage(format!("`{value}` is no list for {key}"))
                        .caused_by(error)
                        .hint(r#"write it as ["run-state","session-id"]"#)
                })
            };
            match key.trim() {
                "tui.status_line" => settings.status_line = list()?,
                "tui.terminal_title" => settings.terminal_title = list()?,
                "model" => settings.model = Some(value.trim().trim_matches('"').to_owned()),
                // The real program knows many more; none of them changes what is played.
                _ => {}
            }
        }
        Ok(settings)
    }
}
