//! tmux as it is installed: builds argument lists with typed builders, runs one client per call, reads the answer.
//!
//! Every argument list is made in one place, which names the server, asks for UTF-8 and protects a final `;`, that
//! tmux would take for the end of the command.

use std::{
    borrow::Cow,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tmux_interface::{
    AttachSession, CapturePane, DisplayMessage, DisplayPopup, IfShell, ListPanes, ListSessions,
    NewSession as NewSessionCommand, NewWindow as NewWindowCommand, ResizeWindow, SetOption, ShowOptions, SplitWindow,
    SwitchClient, Tmux as Client, TmuxCommand,
};

use uuid::Uuid;

use super::{
    Answering, BufferName, CaptureOptions, Guard, Install, Key, KeyOutcome, KillOutcome, NewSession, NewWindow, PaneId,
    PaneInfo, PaneOption, PaneRef, Program, Receipt, Refusal, Result, SendOutcome, ServerInfo, ServerSettings,
    SessionId, SessionInfo, Shot, Size, Split, SplitDirection, Staging, Submission, Target, Tmux, TmuxError,
    TmuxVersion,
    lane::{self, Checks},
    parse,
};
use crate::{
    base::text,
    model::typing::Sign,
    ports::{
        process::{Liveness, ProcessId, Processes, SystemProcesses},
        run::{Above, Finished, Limits, RunError, run},
    },
};

/// How long a call may take.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(5);

/// The most that tmux may print; a capture of a full history stays far below.
const MAX_OUTPUT: usize = 64 << 20;

/// Screens that one client is asked for: tmux takes some 16 kB of words.
const CAPTURES: usize = 100;

/// Printed by the server when a guard let an effect through.
const DONE: &str = "conveyor-done";

/// Which tmux server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TmuxServer {
    /// The one that plain `tmux` would talk to: the one we run in, else the user's default.
    Default,
    /// The one with this socket (`-S`).
    Socket(String),
    /// The one with this name in the user's socket directory (`-L`).
    Name(String),
}

/// A tmux server behind the installed program.
#[derive(Debug, Clone)]
pub struct RealTmux {
    server: TmuxServer,
    config: Option<String>,
    program: PathBuf,
    limit: Duration,
    env: Vec<(OsString, Option<OsString>)>,
}

impl RealTmux {
    /// Talks to `server` with the `tmux` on `PATH` and [`DEFAULT_LIMIT`].
    #[must_use]
    pub fn new(server: TmuxServer) -> Self {
        Self { server, config: None, program: PathBuf::from("tmux"), limit: DEFAULT_LIMIT, env: Vec::new() }
    }

    /// Uses this configuration file when a call starts the server.
    #[must_use]
    pub fn with_config(mut self, path: impl Into<String>) -> Self {
        self.config = Some(path.into());
        self
    }

    /// Uses this program.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Allows each call this much time.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets a variable of the tmux client, or with none removes it.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: Option<OsString>) -> Self {
        self.env.push((name.into(), value));
        self
    }

    /// The whole argument list of one client that does `commands` one after the other.
    fn words(&self, commands: &[TmuxCommand<'_>]) -> Vec<String> {
        let mut client = Client::new().force_utf8();
        if let Some(config) = &self.config {
            client = client.file(config.as_str());
        }
        client = match &self.server {
            TmuxServer::Default => client,
            TmuxServer::Socket(path) => client.socket_path(path.as_str()),
            TmuxServer::Name(name) => client.socket_name(name.as_str()),
        };
        let mut words: Vec<String> = client.build().to_vec().into_iter().skip(1).map(Cow::into_owned).collect();
        for (index, command) in commands.iter().enumerate() {
            if index > 0 {
                words.push(";".to_owned());
            }
            words.extend(command.to_vec().iter().map(|word| protect(word)));
        }
        words
    }

    fn command(&self, words: &[String], cwd: Option<&Path>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words);
        if let Some(cwd) = cwd {
            command.current_dir(cwd);
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn call(&self, commands: &[TmuxCommand<'_>]) -> Result<Vec<u8>> {
        self.call_in(commands, None)
    }

    fn call_in(&self, commands: &[TmuxCommand<'_>], cwd: Option<&Path>) -> Result<Vec<u8>> {
        let name = commands.first().and_then(|command| command.name.as_deref()).unwrap_or("tmux");
        self.finish(name, self.command(&self.words(commands), cwd), b"")
    }

    /// Runs a client and turns every way of failing into an error.
    fn finish(&self, name: &str, mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: &io::Error| TmuxError::Failed { command: name.to_owned(), stderr: error.to_string() };
        match run(&mut command, input, Limits { time: self.limit, bytes: MAX_OUTPUT, above: Above::Fail }) {
            Ok(Finished { status, stdout, .. }) if status.success() => Ok(stdout),
            Ok(Finished { status, stdout, stderr, .. }) => {
                let said = [stderr, stdout].into_iter().find(|text| !text.is_empty());
                let said = said.map_or_else(|| status.to_string(), |text| String::from_utf8_lossy(&text).into_owned());
                Err(parse::failure(name, &said))
            }
            Err(RunError::Timeout) => Err(TmuxError::Timeout(name.to_owned())),
            Err(RunError::Start(error)) => Err(match error.kind() {
                io::ErrorKind::NotFound => TmuxError::Missing,
                io::ErrorKind::PermissionDenied => TmuxError::PermissionDenied(error.to_string()),
                io::ErrorKind::InvalidInput => TmuxError::Invalid("a word for tmux holds a NUL byte".to_owned()),
                _ => failed(&error),
            }),
            Err(RunError::Output(error)) => Err(failed(&error)),
        }
    }

    fn list_panes(&self, only: Option<PaneId>) -> Result<Vec<PaneInfo>> {
        let filter = only.map(|pane| format!("#{{==:#{{pane_id}},{pane}}}"));
        // One client, so the four lists show the same moment.
        let commands = parse::pane_formats().map(|format| {
            let list = ListPanes::new().all().format(format);
            match &filter {
                Some(filter) => list.filter(filter.clone()).build(),
                None => list.build(),
            }
        });
        parse::panes(&self.call(&commands)?)
    }

    /// Does what makes a pane, and finds out what it has become.
    fn make<'a>(&self, mut command: TmuxCommand<'a>, program: &'a Program) -> Result<PaneRef> {
        let words = program_words(&program.argv)?;
        if !program.cwd.is_dir() {
            return Err(TmuxError::Invalid(format!("`{}` is no directory", program.cwd.display())));
        }
        for (name, value) in &program.env {
            if name.is_empty() || name.contains('=') {
                return Err(TmuxError::Invalid(format!("`{name}` cannot be the name of a variable")));
            }
            command.push_option("-e", format!("{name}={value}"));
        }
        command.push_param("--");
        for word in words {
            command.push_param(word);
        }
        let name = command.name.clone().unwrap_or_default().into_owned();
        // The client's own directory becomes the pane's. `-c` would expand `#(...)` in it as a shell command.
        let output = self.call_in(&[command, show(parse::SOCKET_FORMAT)], Some(&program.cwd))?;
        let made = parse::made(&name, &output)?;
        Ok(PaneRef {
            socket: made.socket,
            session_name: made.session_name,
            session: made.session,
            pane: made.pane,
            pid: made.pid,
            process: SystemProcesses.identify(made.pid).ok(),
        })
    }

    /// Runs `effect` when `condition` holds for the pane at that moment; else returns what `state` shows of it.
    fn guarded(&self, pane: PaneId, condition: String, effect: &str, state: &str) -> Result<Option<String>> {
        let target = pane.to_string();
        // The answer is printed first: closing the last pane ends the server.
        let mut command = IfShell::new()
            .not_execute()
            .target_pane(target)
            .shell_command(condition)
            .command(format!("display-message -p {DONE} ; {effect}"))
            .build();
        command.push_param(format!("display-message -p -t {pane} \"state {state}\""));
        let output = self.call(&[command])?;
        let answer = String::from_utf8_lossy(&output);
        match answer.trim_end_matches('\n') {
            DONE => Ok(None),
            other => match other.strip_prefix("state ") {
                Some(state) => Ok(Some(state.to_owned())),
                None => Err(parse::unreadable("if-shell", &output)),
            },
        }
    }

    /// Does a step of typing: `effect` when all checks hold, else `otherwise`; the step before it may carry `input`.
    fn type_step(&self, step: Step<'_>) -> Result<SendOutcome> {
        if let Some(refusal) = refused_process(step.target.process) {
            return Ok(SendOutcome::Refused(refusal));
        }
        let pane = step.target.pane;
        let show = format!("display-message -p -t {pane} \"state {}\"", step.checks.state_format());
        let mut command = IfShell::new()
            .not_execute()
            .target_pane(pane.to_string())
            .shell_command(step.checks.condition())
            // The answer comes last here: it says that the effect has happened.
            .command(format!("{} ; display-message -p {DONE}", step.effect))
            .build();
        command.push_param(match step.otherwise {
            Some(otherwise) => format!("{show} ; {otherwise}"),
            None => show,
        });
        let commands: Vec<TmuxCommand<'_>> = step.before.into_iter().chain([command]).collect();
        let output = match self.finish("if-shell", self.command(&self.words(&commands), None), step.input) {
            Ok(output) => output,
            Err(error) => return in_doubt(error),
        };
        let answer = String::from_utf8_lossy(&output);
        match answer.trim_end_matches('\n') {
            DONE => Ok(SendOutcome::Done),
            other => match other.strip_prefix("state ").and_then(|state| step.checks.refusal(state)) {
                Some(refusal) => Ok(SendOutcome::Refused(refusal)),
                None => Ok(SendOutcome::Unknown(parse::unreadable("if-shell", &output).to_string())),
            },
        }
    }

    fn kill(&self, pane: PaneId, process: ProcessId, place: Option<SessionId>, effect: &str) -> Result<KillOutcome> {
        let session = if place.is_some() { "#{session_id}" } else { "" };
        let wanted_session = place.map(|session| session.to_string()).unwrap_or_default();
        let pid = process.pid;
        let condition = match SystemProcesses.liveness(process) {
            // The pid belongs to a stranger: only a dead pane can still be the recorded one.
            Liveness::Reused => {
                format!("#{{==:{session}/#{{pane_pid}}/#{{pane_dead}},{wanted_session}/{pid}/1}}")
            }
            Liveness::Alive | Liveness::Dead | Liveness::Unknown => {
                format!("#{{==:{session}/#{{pane_pid}},{wanted_session}/{pid}}}")
            }
        };
        match self.guarded(pane, condition, effect, "#{pane_pid}") {
            Ok(None) => Ok(KillOutcome::Killed),
            Ok(Some(state)) if state.is_empty() => Ok(KillOutcome::Gone),
            Ok(Some(_)) => Ok(KillOutcome::Changed),
            Err(TmuxError::NoServer(_) | TmuxError::NotFound(_)) => Ok(KillOutcome::Gone),
            Err(other) => Err(other),
        }
    }
}

impl Tmux for RealTmux {
    fn version(&self) -> Result<TmuxVersion> {
        let output = self.finish("-V", self.command(&["-V".to_owned()], None), b"")?;
        let text = String::from_utf8_lossy(&output);
        let version = text.trim().strip_prefix("tmux ").and_then(parse::version);
        version.ok_or_else(|| parse::unreadable("-V", &output))
    }

    fn server_info(&self) -> Result<ServerInfo> {
        parse::server(&self.call(&[show(parse::SERVER_FORMAT), show(parse::SOCKET_FORMAT)])?)
    }

    fn server_settings(&self) -> Result<ServerSettings> {
        parse::settings(&self.call(&[show(parse::SETTINGS_FORMAT)])?)
    }

    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        parse::sessions(&self.call(&[ListSessions::new().format(parse::SESSION_FORMAT).build()])?)
    }

    fn new_session(&self, new: &NewSession) -> Result<PaneRef> {
        let mut command = NewSessionCommand::new()
            .detached()
            .print()
            .format(parse::MADE_FORMAT)
            .session_name(new.name.as_str())
            .width(usize::from(new.size.width))
            .height(usize::from(new.size.height));
        if let Some(name) = &new.window_name {
            command = command.window_name(name.as_str());
        }
        self.make(command.build(), &new.program)
    }

    fn new_window(&self, new: &NewWindow) -> Result<PaneRef> {
        let mut command = NewWindowCommand::new()
            .detached()
            .print()
            .format(parse::MADE_FORMAT)
            .target_window(format!("{}:", new.session));
        if let Some(name) = &new.name {
            command = command.window_name(name.as_str());
        }
        self.make(command.build(), &new.program)
    }

    fn split_window(&self, split: &Split) -> Result<PaneRef> {
        let command =
            SplitWindow::new().detached().print().format(parse::MADE_FORMAT).target_pane(split.pane.to_string());
        let mut command = match split.direction {
            SplitDirection::Right => command.horizontal().build(),
            SplitDirection::Below => command.vertical().build(),
        };
        if let Some(cells) = split.cells {
            command.push_option("-l", cells.to_string());
        }
        self.make(command, &split.program)
    }

    fn panes(&self) -> Result<Vec<PaneInfo>> {
        self.list_panes(None)
    }

    fn pane(&self, pane: PaneId) -> Result<Option<PaneInfo>> {
        Ok(self.list_panes(Some(pane))?.into_iter().find(|info| info.id == pane))
    }

    fn capture(&self, pane: PaneId, options: CaptureOptions) -> Result<String> {
        let mut command = CapturePane::new().stdout().target_pane(pane.to_string());
        if options.history_lines > 0 {
            command = command.start_line(format!("-{}", options.history_lines));
        }
        if options.escapes {
            command = command.escape_sequences();
        }
        if options.join {
            command = command.join();
        }
        Ok(String::from_utf8_lossy(&self.call(&[command.build()])?).into_owned())
    }

    fn captures(&self, panes: &[PaneId]) -> Result<Vec<String>> {
        let mut screens = Vec::with_capacity(panes.len());
        for panes in panes.chunks(CAPTURES) {
            // What a screen shows cannot be taken for its end.
            let end = Uuid::new_v4().to_string();
            let commands = panes
                .iter()
                .flat_map(|pane| [CapturePane::new().stdout().target_pane(pane.to_string()).build(), show(&end)]);
            let output = self.call(&commands.collect::<Vec<_>>())?;
            screens.extend(parse::screens(&output, &end, panes.len())?);
        }
        Ok(screens)
    }

    fn shot(&self, pane: PaneId) -> Result<Shot> {
        let target = pane.to_string();
        let about = DisplayMessage::new().print().target_pane(&target).message(parse::SHOT_FORMAT).build();
        let screen = CapturePane::new().stdout().escape_sequences().trailing_spaces().target_pane(&target).build();
        parse::shot(&self.call(&[about, screen])?)
    }

    fn guarded_key(&self, guard: &Guard, key: Key) -> Result<KeyOutcome> {
        if let Some(refusal) = guard.refuses(key) {
            return Ok(KeyOutcome::Refused(refusal));
        }
        if let Some(refusal) = refused_process(guard.process) {
            return Ok(KeyOutcome::Refused(refusal));
        }
        let state = guard.state_format();
        let condition = format!("#{{==:{state},{}}}", guard.wanted_state());
        let effect = format!("send-keys -t {} {}", guard.pane, key.tmux_name());
        match self.guarded(guard.pane, condition, &effect, &state)? {
            None => Ok(KeyOutcome::Sent),
            Some(state) => match guard.refusal(&state) {
                Some(refusal) => Ok(KeyOutcome::Refused(refusal)),
                None => Err(parse::unreadable("if-shell", state.as_bytes())),
            },
        }
    }

    fn stage(&self, target: &Target, staging: &Staging<'_>) -> Result<SendOutcome> {
        let mut load = TmuxCommand::with_name("load-buffer");
        load.push_option("-b", staging.buffer.as_str());
        load.push_param("-");
        self.type_step(Step {
            target,
            checks: Checks::staging(target, staging)?,
            before: Some(load),
            input: staging.text.as_str().as_bytes(),
            effect: staging.effect(target),
            otherwise: Some(staging.clean_up()),
        })
    }

    fn submit(&self, target: &Target, submission: &Submission<'_>) -> Result<SendOutcome> {
        self.type_step(Step {
            target,
            checks: Checks::submission(target, submission)?,
            before: None,
            input: b"",
            effect: submission.effect(target),
            otherwise: None,
        })
    }

    fn hold(&self, target: &Target, seq: u64, fence: u64) -> Result<SendOutcome> {
        self.type_step(Step {
            target,
            checks: Checks::holding(target, seq, fence)?,
            before: None,
            input: b"",
            effect: lane::hold(target, seq, fence),
            otherwise: None,
        })
    }

    fn forgo(&self, target: &Target, seq: u64) -> Result<SendOutcome> {
        self.type_step(Step {
            target,
            checks: Checks::forgoing(target, seq)?,
            before: None,
            input: b"",
            effect: lane::forgo(target, seq),
            otherwise: None,
        })
    }

    fn interrupt(&self, target: &Target) -> Result<SendOutcome> {
        self.type_step(Step {
            target,
            checks: Checks::interruption(target),
            before: None,
            input: b"",
            effect: format!("send-keys -t {} {}", target.pane, Key::Escape.tmux_name()),
            otherwise: None,
        })
    }

    fn answer_dialog(&self, target: &Target, answering: &Answering<'_>) -> Result<SendOutcome> {
        self.type_step(Step {
            target,
            checks: Checks::answering(target, answering)?,
            before: None,
            input: b"",
            effect: answering.effect(target),
            otherwise: None,
        })
    }

    fn receipt(&self, pane: PaneId, install: &Install, sign: &Sign) -> Result<Option<Receipt>> {
        let command = DisplayMessage::new().print().target_pane(pane.to_string());
        let output = match self.call(&[command.message(lane::receipt_format(install, sign)).build()]) {
            Err(TmuxError::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let answer = String::from_utf8_lossy(&output);
        lane::receipt(answer.trim_end_matches('\n')).ok_or_else(|| parse::unreadable("display-message", &output))
    }

    fn sweep_buffers(&self, install: &Install, keep: &[BufferName]) -> Result<Vec<String>> {
        let mut list = TmuxCommand::with_name("list-buffers");
        list.push_option("-F", "#{buffer_name}");
        let output = match self.call(&[list]) {
            Err(TmuxError::NoServer(_)) => return Ok(Vec::new()),
            other => other?,
        };
        let mut removed = Vec::new();
        for name in String::from_utf8_lossy(&output).lines() {
            if !name.starts_with(&install.buffer_prefix()) || keep.iter().any(|kept| kept.as_str() == name) {
                continue;
            }
            let mut delete = TmuxCommand::with_name("delete-buffer");
            delete.push_option("-b", name);
            match self.call(&[delete]) {
                Ok(_) => removed.push(name.to_owned()),
                // Somebody else was faster.
                Err(TmuxError::Failed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(removed)
    }

    fn kill_pane(&self, pane: PaneId, process: ProcessId) -> Result<KillOutcome> {
        self.kill(pane, process, None, &format!("kill-pane -t {pane}"))
    }

    fn kill_session(&self, session: SessionId, pane: PaneId, process: ProcessId) -> Result<KillOutcome> {
        // Quoted: a bare `$` begins a variable in a command string.
        self.kill(pane, process, Some(session), &format!("kill-session -t '{session}'"))
    }

    fn set_pane_option(&self, pane: PaneId, option: &PaneOption, value: &str) -> Result<()> {
        let mut command = SetOption::new().pane().target_pane(pane.to_string()).build();
        for word in ["--", option.as_str(), value] {
            command.push_param(word);
        }
        self.call(&[command]).map(drop)
    }

    fn pane_option(&self, pane: PaneId, option: &PaneOption) -> Result<Option<String>> {
        // Not quiet: then a pane that is gone would read as an option that is not set.
        let mut command = ShowOptions::new().pane().value().target_pane(pane.to_string()).build();
        for word in ["--", option.as_str()] {
            command.push_param(word);
        }
        let output = match self.call(&[command]) {
            Err(TmuxError::Failed { stderr, .. }) if stderr.starts_with("invalid option") => return Ok(None),
            other => other?,
        };
        let value = String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned();
        Ok((!value.is_empty()).then_some(value))
    }

    fn resize(&self, pane: PaneId, size: Size) -> Result<()> {
        let command = ResizeWindow::new()
            .target_window(pane.to_string())
            .width(usize::from(size.width))
            .height(usize::from(size.height));
        self.call(&[command.build()]).map(drop)
    }

    fn switch_client(&self, pane: PaneId) -> Result<()> {
        self.call(&[SwitchClient::new().target_session(pane.to_string()).build()]).map(drop)
    }

    fn attach_argv(&self, pane: PaneId) -> Vec<String> {
        self.argv(AttachSession::new().target_session(pane.to_string()).build())
    }

    fn popup_argv(&self, cwd: &Path, argv: &[String]) -> Result<Vec<String>> {
        let mut command = DisplayPopup::new().close_on_exit().build();
        command.push_option("-d", format_literal(cwd));
        command.push_option("-w", "90%");
        command.push_option("-h", "90%");
        command.push_param("--");
        for word in program_words(argv)? {
            command.push_param(word);
        }
        Ok(self.argv(command))
    }
}

impl RealTmux {
    /// A command line for somebody else to run.
    fn argv(&self, command: TmuxCommand<'_>) -> Vec<String> {
        let mut argv = vec![self.program.to_string_lossy().into_owned()];
        argv.extend(self.words(&[command]));
        argv
    }
}

/// One step of typing.
struct Step<'a> {
    target: &'a Target,
    checks: Checks,
    before: Option<TmuxCommand<'a>>,
    input: &'a [u8],
    effect: String,
    otherwise: Option<String>,
}

/// Why a key or a text may not go to a process whatever tmux would say.
fn refused_process(process: ProcessId) -> Option<Refusal> {
    match SystemProcesses.liveness(process) {
        // When the system hides start times the pid in the guard has to do.
        Liveness::Alive | Liveness::Unknown => None,
        Liveness::Dead => Some(Refusal::Dead),
        Liveness::Reused => Some(Refusal::ProcessChanged),
    }
}

/// What a failed step of typing means: an error when it proves that the server was not reached, else doubt.
fn in_doubt(error: TmuxError) -> Result<SendOutcome> {
    let unreached = match &error {
        TmuxError::Missing | TmuxError::PermissionDenied(_) | TmuxError::Invalid(_) => true,
        // A server that went away meanwhile may have done it before.
        TmuxError::NoServer(said) => said.starts_with("no server running") || said.starts_with("error connecting"),
        TmuxError::NotFound(_)
        | TmuxError::Exists(_)
        | TmuxError::Timeout(_)
        | TmuxError::Unreadable { .. }
        | TmuxError::Failed { .. } => false,
    };
    if unreached { Err(error) } else { Ok(SendOutcome::Unknown(error.to_string())) }
}

/// A folder as an option that tmux expands as a format.
fn format_literal(path: &Path) -> String {
    path.display().to_string().replace('#', "##")
}

/// A command that prints a format of the server.
fn show(format: &str) -> TmuxCommand<'_> {
    DisplayMessage::new().print().message(format).build()
}

/// The words of a program such that tmux starts it without a shell: it hands a single word to one.
fn program_words(argv: &[String]) -> Result<Vec<&str>> {
    match argv {
        [] => Err(TmuxError::Invalid("no program to run".to_owned())),
        [word] if word.is_empty() || word.contains('=') => {
            Err(TmuxError::Invalid(format!("`{}` cannot be run", text::bounded(word, 80))))
        }
        [word] => Ok(vec!["env", "--", word]),
        words => Ok(words.iter().map(String::as_str).collect()),
    }
}

/// `word` such that tmux takes a final `;` as part of it.
fn protect(word: &str) -> String {
    match word.strip_suffix(';') {
        Some(rest) => format!("{rest}\\;"),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(tmux: &RealTmux, command: TmuxCommand<'_>) -> Vec<String> {
        tmux.argv(command)
    }

    #[test]
    fn every_client_names_its_server_and_speaks_utf8() {
        let cases = [
            (TmuxServer::Default, vec!["tmux", "-u", "-f", "/dev/null", "x"]),
            (TmuxServer::Socket("/a b".into()), vec!["tmux", "-u", "-f", "/dev/null", "-S", "/a b", "x"]),
            (TmuxServer::Name("n".into()), vec!["tmux", "-u", "-f", "/dev/null", "-L", "n", "x"]),
        ];
        for (server, expected) in cases {
            let tmux = RealTmux::new(server).with_config("/dev/null");
            assert_eq!(words(&tmux, TmuxCommand::with_name("x")), expected);
        }
    }

    #[test]
    fn a_final_semicolon_stays_in_its_word() {
        assert_eq!(["a;", ";", "a\\;", "a;b", ""].map(protect), ["a\\;", "\\;", "a\\\\;", "a;b", ""]);
    }

    #[test]
    fn no_program_goes_through_a_shell() {
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(program_words(&argv(&["$(id)"])).unwrap(), ["env", "--", "$(id)"]);
        assert_eq!(program_words(&argv(&["codex", "-c", "x;"])).unwrap(), ["codex", "-c", "x;"]);
        for bad in [&[][..], &[""], &["A=b"]] {
            assert!(program_words(&argv(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_attach_command_targets_the_pane_only() {
        let tmux = RealTmux::new(TmuxServer::Socket("/s".into()));
        assert_eq!(tmux.attach_argv(PaneId::new(7)), ["tmux", "-u", "-S", "/s", "attach-session", "-t", "%7"]);
    }
}
