//! The headless face: runs one command and prints its result.
//!
//! stdout holds data only; everything said to a person or about a failure goes to stderr.

mod help;
mod output;
mod watch;

use std::{
    io::{self, IsTerminal as _, Read},
    os::unix::process::CommandExt as _,
    process::Command as Process,
};

pub use help::command_list;
pub use output::{Printer, Style};

use crate::actions::{Command, Context, Format, TextArg};
use crate::base::{Error, Result};
use crate::engine::Signals;

/// Flags that every command takes.
#[derive(Debug, Clone, PartialEq, Default, clap::Args)]
pub struct Global {
    /// Ledger file, instead of workerctl.db in the state root ($WORKERCTL_STATE_ROOT or ./.codex-workers)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub path: Option<std::path::PathBuf>,
    /// Print JSON; a failure is one JSON object on stderr
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Print prose, also where JSON is the default
    #[arg(long, global = true, conflicts_with = "json", help_heading = "Global options")]
    pub text: bool,
    /// Check everything, change nothing
    #[arg(long, global = true, help_heading = "Global options")]
    pub dry_run: bool,
    /// Use the ledger even on a network file system, where SQLite is not safe
    #[arg(long, global = true, help_heading = "Global options")]
    pub allow_unsafe_file_system: bool,
}

impl Global {
    /// The form in which a result is printed whose default is `format`.
    #[must_use]
    pub fn style(&self, format: Format) -> Style {
        match format {
            _ if self.json => Style::Json,
            _ if self.text => Style::Prose,
            Format::Prose => Style::Prose,
            Format::Json => Style::Json,
        }
    }
}

/// Runs `command` and prints what it returns; the exit code of the process.
///
/// # Errors
/// What the action returns, to be shown by [`Printer::failure`].
pub fn run(cx: &Context, mut command: Command, style: Style, printer: &mut Printer<'_>) -> Result<u8> {
    let mut texts = command.texts();
    if texts.iter().filter(|text| ***text == TextArg::Stdin).count() > 1 {
        return Err(Error::usage("`-` can be used for one argument only")
            .hint("standard input holds one text; give the others on the command line"));
    }
    for text in &mut texts {
        text.fill_from(&mut OnceInput)?;
    }
    if let Command::Dispatch(args) = &command
        && args.verb.is_none()
        && args.watch
        && !args.detach
    {
        return watch::dispatch(cx, args, style, printer);
    }
    let report = if command.opens_sessions() && !cx.dry_run() {
        let signals = Signals::listen().map_err(|error| Error::io("cannot listen for signals").caused_by(error))?;
        command.run(&cx.clone().until(move || signals.raised()))?
    } else {
        command.run(cx)?
    };
    if let Some(program) =
        report.handover.as_deref().filter(|_| style == Style::Prose && !cx.dry_run() && at_terminal())
    {
        return hand_over(program);
    }
    printer.result(&report, style)?;
    Ok(report.exit_code)
}

fn at_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Becomes another program.
fn hand_over(program: &[String]) -> Result<u8> {
    let Some((name, arguments)) = program.split_first() else { return Ok(0) };
    let error = Process::new(name).args(arguments).exec();
    Err(Error::io(format!("cannot run {name}")).caused_by(error))
}

/// Standard input, read to its end by the one argument that asks.
struct OnceInput;

impl Read for OnceInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::stdin().lock().read(buffer)
    }
}
