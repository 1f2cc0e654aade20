//! `dispatch --watch`: goes on until it is told to end, and prints every item as it happens.

use std::{io, time::Duration};

use crate::{
    actions::{
        Action as _, BoundedLog, Context, Dispatch, DispatchItem, DispatchSummary, Dispatcher, dispatch_health,
        leave_terminal,
    },
    base::{Error, Kind, Result, Timestamp, json},
    engine::{self, Ended, Notice, Signals, Told},
};

use super::{Printer, Style};

/// Dispatches until a signal, `dispatch stop` or the last pass; the exit code.
///
/// # Errors
/// When the ledger cannot be used at the start, or stdout cannot be written.
pub(super) fn dispatch(cx: &Context, args: &Dispatch, style: Style, printer: &mut Printer<'_>) -> Result<u8> {
    let Some(path) = &args.background_log else { return watch(cx, args, style, printer) };
    let cannot = |error| Error::io(format!("cannot write the log {}", path.display())).caused_by(error);
    let (mut out, mut err) = (BoundedLog::open(path).map_err(cannot)?, io::sink());
    leave_terminal().map_err(|error| Error::io("cannot leave the terminal").caused_by(error))?;
    // Everything it has to say is a line in its log, its failure as well.
    let mut printer = Printer::new(&mut out, &mut err);
    let begun =
        Said { at: cx.now(), kind: "begun", message: format!("process {}", std::process::id()), task: "dispatch" };
    printer.out(&line(&begun)?)?;
    let ended = watch(cx, args, Style::Json, &mut printer);
    if let Err(error) = &ended {
        printer.out(&line(&error.report())?)?;
    }
    Ok(ended.unwrap_or_else(|error| error.kind().exit_code()))
}

/// A line of the log that is no item.
#[derive(serde::Serialize)]
struct Said {
    at: Timestamp,
    kind: &'static str,
    message: String,
    task: &'static str,
}

fn watch(cx: &Context, args: &Dispatch, style: Style, printer: &mut Printer<'_>) -> Result<u8> {
    if cx.dry_run() {
        return Err(Error::usage("--dry-run looks at one pass; use it without --watch"));
    }
    let signals = Signals::listen().map_err(|error| Error::io("cannot listen for signals").caused_by(error))?;
    let cx = cx.clone().with_reader();
    let dispatcher = Dispatcher::watching(&cx, args)?;
    let dispatcher_id = dispatcher.id().to_owned();
    if style == Style::Prose {
        printer.note(&format!("{}: {dispatcher_id} watches; stop it with Ctrl-C", Dispatch::NAME));
    }
    let mut count = 0;
    let mut failure = None;
    let mut tell = |told: Told| {
        let printed = match told {
            Told::Item(item) => {
                count += 1;
                print_item(printer, &item, style)
            }
            Told::Notice(notice) if args.background_log.is_some() => {
                let (Notice::Trouble { task, .. }
                | Notice::Recovered { task }
                | Notice::Replaced { task }
                | Notice::Died { task }) = notice;
                let said = Said { at: cx.now(), kind: "notice", message: words(&notice), task };
                line(&said).and_then(|line| printer.out(&line))
            }
            Told::Notice(notice) => {
                printer.note(&words(&notice));
                Ok(())
            }
        };
        printed.map_err(|error| {
            failure = Some(error);
            io::Error::other("the output failed")
        })
    };
    let interval = Duration::from_secs_f64(args.interval);
    let ended = engine::dispatch_until(&cx, dispatcher, interval, args.watch_iterations, &signals, &mut tell);
    if let Some(error) = failure {
        return Err(error);
    }
    let ended = ended.map_err(|error| Error::io("cannot start the background tasks").caused_by(error))?;
    if ended == Ended::Died {
        return Err(Error::new(Kind::Bug, "the dispatcher ended by a fault; nothing it had taken on is lost"));
    }
    let health = dispatch_health(&cx)?;
    let iterations = health.dispatchers.iter().find(|one| one.id == dispatcher_id).map_or(0, |one| one.passes);
    let summary = DispatchSummary {
        dispatcher_id,
        dry_run: false,
        iterations,
        kind: "summary",
        processed: Vec::new(),
        processed_count: count,
        warning: health.warning.filter(|_| health.paused || health.waiting > 0),
        watch: true,
    };
    match style {
        Style::Json => printer.out(&line(&summary)?)?,
        Style::Prose => printer.outcome(&summary, style)?,
    }
    Ok(0)
}

fn print_item(printer: &mut Printer<'_>, item: &DispatchItem, style: Style) -> Result<()> {
    match style {
        Style::Json => printer.out(&line(item)?),
        Style::Prose => printer.out(&format!("{}\n", item.line())),
    }
}

fn line(value: &impl serde::Serialize) -> Result<String> {
    json::line(value).map_err(|error| Error::new(Kind::Bug, "an item is no JSON").caused_by(error))
}

fn words(notice: &Notice) -> String {
    match notice {
        Notice::Trouble { task, message } => format!("{task}: {message}; it goes on trying"),
        Notice::Recovered { task } => format!("{task}: works again"),
        Notice::Replaced { task } => format!("{task}: another file lies at the ledger's path now"),
        Notice::Died { task } => format!("{task}: ended by a fault in conveyor"),
    }
}
