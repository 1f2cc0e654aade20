//! Opens the cockpit over the real ledger, with the background tasks beside it: in this terminal, or in a split or
//! popup of the tmux around it.

use std::{env, os::unix::process::CommandExt as _, process::Command as Process};

use super::config;
use crate::{
    actions::{self, Command, Context, Deliveries, Report, TalkQuery},
    base::{Error, Result},
    cli::Global,
    engine::{Dispatching, Engine},
    model::{
        board::{Board, EventRow},
        conversation::Entry,
        family::AgentView,
    },
    ports::{env::Terminal, machine},
    tui::{self, Backend, Desktop, EventQuery, Explanation, Options, PaneText, calls::Protocol, theme::ThemeName},
};

/// How the cockpit looks.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct CockpitArgs {
    /// Theme: dark, light, high-contrast, colour-blind or mono; without it the configuration or the terminal decides
    #[arg(long, value_name = "NAME", help_heading = "Cockpit")]
    pub theme: Option<ThemeName>,
    /// Draw with ASCII only
    #[arg(long, help_heading = "Cockpit")]
    pub ascii: bool,
    /// Leave the mouse to the terminal; `M` switches
    #[arg(long, help_heading = "Cockpit")]
    pub no_mouse: bool,
    /// Only watch: leave delivery to other dispatchers
    #[arg(long, help_heading = "Cockpit")]
    pub no_dispatch: bool,
    /// Inside tmux: in a popup over this window
    #[arg(long, help_heading = "Cockpit", conflicts_with = "split")]
    pub popup: bool,
    /// Inside tmux: in a split beside this pane, if both keep 60x15, else in a popup
    #[arg(long, help_heading = "Cockpit")]
    pub split: bool,
}

impl CockpitArgs {
    /// The words that mean the same in the place that was asked for.
    fn words(&self) -> Vec<String> {
        let Self { theme, ascii, no_mouse, no_dispatch, popup: _, split: _ } = self;
        let theme = theme.map(|theme| format!("--theme={theme}"));
        let switches = [(*ascii, "--ascii"), (*no_mouse, "--no-mouse"), (*no_dispatch, "--no-dispatch")];
        theme.into_iter().chain(switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.to_owned())).collect()
    }
}

/// What of the environment a cockpit beside this pane needs: tmux gives it its own.
const HANDED_ON: [&str; 8] = [
    "CODEX_HOME",
    "CONVEYOR_CODEX",
    "CONVEYOR_CODEX_QUEUE",
    "CONVEYOR_CONFIG",
    "CONVEYOR_TMUX_SOCKET",
    "HOME",
    "NO_COLOR",
    "PATH",
];

/// Opens the cockpit where it was asked for; `words` come before its own flags in the command line of a split or popup.
pub(super) fn open(cx: &Context, args: &CockpitArgs, global: &Global, show: Showing) -> Result<u8> {
    if !args.popup && !args.split {
        return run(cx, args, super::command_prefix(global), show);
    }
    // What is wrong with the configuration is said here, not in a popup that closes at once.
    config::load(cx.env())?;
    let program = machine::own_program().ok_or_else(|| Error::io("cannot tell where this program is"))?;
    let mut argv = vec!["env".to_owned()];
    let state_root = cx.env().state_root.display().to_string();
    argv.push(format!("WORKERCTL_STATE_ROOT={state_root}"));
    argv.extend(HANDED_ON.iter().filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?))));
    argv.push(program.display().to_string());
    argv.extend(["--path".to_owned(), cx.env().ledger.display().to_string()]);
    if global.allow_unsafe_file_system {
        argv.push("--allow-unsafe-file-system".to_owned());
    }
    argv.extend(show.words);
    argv.extend(args.words());
    let (words, note) = actions::beside(cx, args.split, &argv)?;
    if let Some(note) = note {
        tracing::info!("{note}");
    }
    let Some((tmux, rest)) = words.split_first() else { return Ok(0) };
    let error = Process::new(tmux).args(rest).exec();
    Err(Error::io(format!("cannot run {tmux}")).caused_by(error))
}

/// What the cockpit is opened on, and who delivers in it.
#[derive(Debug, Default)]
pub(super) struct Showing {
    /// The task that is shown first.
    pub(super) task: Option<String>,
    /// The id under which this cockpit delivers; none is a fresh one.
    pub(super) dispatcher_id: Option<String>,
    /// Somebody else delivers under this id already.
    pub(super) is_delivered: bool,
    /// The command word and flags that say the same.
    pub(super) words: Vec<String>,
}

/// Refuses a terminal that says of itself that it can only print lines: the screens would be a heap of escape sequences.
///
/// # Errors
/// When `$TERM` is `dumb`, or says nothing.
fn check_terminal(terminal: &Terminal) -> Result<()> {
    let why = match terminal.term.as_deref() {
        Some("dumb") => "this terminal cannot draw screens (TERM is dumb)",
        None | Some("") => "nothing tells what this terminal can draw (TERM is not set)",
        Some(_) => return Ok(()),
    };
    Err(Error::refused(why).hint(
        "without screens: `conveyor list` shows the sessions, `conveyor explain NAME` one of them, `conveyor commands` \
         the messages, `conveyor dispatch --watch` delivers; `conveyor --help` lists all. In a terminal that can draw, \
         set TERM, for example to xterm-256color",
    ))
}

/// Runs the cockpit in this terminal until the operator leaves.
pub(super) fn run(cx: &Context, args: &CockpitArgs, prefix: Vec<String>, show: Showing) -> Result<u8> {
    check_terminal(&cx.env().terminal)?;
    let config = config::load(cx.env())?;
    // The engine writes while the screens read.
    let cx = cx.clone().with_reader();
    let engine_context = cx.clone();
    let dispatching = (!args.no_dispatch && !show.is_delivered)
        .then(|| Dispatching { id: show.dispatcher_id.clone(), ..Dispatching::hosted() });
    let options = Options {
        theme: args.theme.or(config.theme),
        ascii: args.ascii || config.ascii,
        mouse: config.mouse && !args.no_mouse,
        desktop: desktop(&cx, config.protocol),
        keymap: config.keymap,
        columns: config.columns,
        ringing: config.ringing,
        dwell: i64::from(config.dwell),
        task: show.task,
        prefix,
        clock: cx.clock(),
        start: Some(Box::new(move |runtime| Engine::start(&engine_context, runtime, dispatching))),
    };
    tui::run(Live(cx), options)
}

/// How a notification of the desktop gets out; none when tmux stands between and lets nothing through.
fn desktop(cx: &Context, protocol: Option<Protocol>) -> Option<Desktop> {
    let terminal = &cx.env().terminal;
    let of_terminal = || Protocol::of(terminal.term.as_deref(), terminal.program.as_deref(), terminal.is_vte);
    let protocol = protocol.unwrap_or_else(of_terminal);
    if cx.env().tmux.is_none() {
        return Some(Desktop { protocol, inside_tmux: false });
    }
    let settings = cx.quick_tmux(None).server_settings().ok()?;
    (settings.passthrough == Some(true)).then_some(Desktop { protocol, inside_tmux: true })
}

/// The screens' questions, answered by the actions.
struct Live(Context);

impl Backend for Live {
    fn board(&self) -> Result<Board> {
        actions::board(&self.0)
    }

    fn deliveries(&self, watched: Option<&str>) -> Result<Deliveries> {
        actions::deliveries(&self.0, watched)
    }

    fn events(&self, session_id: &str, query: EventQuery) -> Result<Vec<EventRow>> {
        let EventQuery { before, text, kinds, limit } = query;
        actions::event_page(&self.0, session_id, &actions::EventQuery { before, text, kinds, limit })
    }

    fn conversation(&self, session_id: &str, query: TalkQuery) -> Result<Vec<Entry>> {
        actions::conversation(&self.0, session_id, query)
    }

    fn agents(&self, session_id: &str) -> Result<Vec<AgentView>> {
        actions::sub_agents(&self.0, session_id)
    }

    fn pane(&self, session_id: &str) -> Result<Option<PaneText>> {
        let seen = actions::pane_text(&self.0, session_id)?;
        Ok(seen.map(|actions::PaneText { picture, captured_at, note }| PaneText {
            picture,
            captured_at,
            note: note.map(str::to_owned),
        }))
    }

    fn explain(&self, session_id: &str) -> Result<Explanation> {
        let explained = actions::explanation(&self.0, session_id)?;
        let asks = explained.question_lines().into_iter().map(|line| format!("asks     {line}"));
        let lines = asks.chain(explained.proof_lines()).collect();
        Ok(Explanation { lines, judgement: explained.judgement })
    }

    fn diff(&self, session_id: &str) -> Result<actions::Differing> {
        actions::tree_diff(&self.0, session_id)
    }

    fn questions(&self, session_id: &str) -> Result<Vec<actions::QuestionView>> {
        actions::open_questions(&self.0, session_id)
    }

    fn criteria(&self, task_id: &str) -> Result<Vec<actions::ShownCriterion>> {
        actions::task_criteria(&self.0, task_id)
    }

    fn review(&self, task_id: &str, end: &actions::EndArgs) -> Result<actions::TaskReview> {
        actions::task_review(&self.0, task_id, end)
    }

    fn policy(&self, task_id: &str) -> Result<actions::TaskPolicy> {
        actions::task_policy(&self.0, task_id)
    }

    fn record(&self, task_id: &str) -> Result<actions::TaskRecord> {
        actions::task_record(&self.0, task_id)
    }

    fn unregistered(&self) -> Result<actions::Unregistered> {
        actions::unregistered(&self.0)
    }

    fn exchange(&self, id: &str) -> Result<actions::Exchange> {
        actions::exchange(&self.0, id)
    }

    fn checkup(&self) -> Result<actions::Checkup> {
        actions::checkup(&self.0)
    }

    fn attach(&self, session_id: &str) -> Result<actions::Visit> {
        actions::visit(&self.0, session_id)
    }

    fn submit(&self, command: Command) -> Result<Report> {
        command.run(&self.0)
    }
}
