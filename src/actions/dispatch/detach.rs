//! `dispatch --watch --detach`: a dispatcher in the background, one for each scope, on record with its process and log.
//!
//! The dispatcher is this program once more. It leaves the terminal before it puts itself on record, and this process
//! waits for the record: what is told as started, dispatches.

use std::{
    ffi::OsString,
    fmt, io, thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Dispatch, health};
use crate::{
    actions::{Action as _, Argv, Context, lookup},
    base::{Error, Name, Result},
    ports::{background, machine},
    store::{
        self, Read, Safety,
        dispatchers::{Dispatcher, Host, Scope},
    },
};

/// How long the dispatcher may take to put itself on record: somebody may hold the ledger.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOKS: Duration = Duration::from_millis(20);

/// A dispatcher in the background.
#[derive(Debug, Clone, Serialize)]
pub struct Detached {
    /// Its command line.
    pub(in crate::actions) command: Vec<String>,
    /// Who dispatches.
    pub(in crate::actions) dispatcher_id: String,
    /// Nothing was started.
    dry_run: bool,
    /// Where it writes what it does; none when the one that runs is no background dispatcher.
    log_path: Option<String>,
    /// Its process.
    pub(in crate::actions) pid: Option<i64>,
    /// False when one for the same scope ran already.
    pub(in crate::actions) started: bool,
}

/// Starts one, unless one for the same scope runs.
pub(in crate::actions) fn detach(cx: &Context, args: &Dispatch) -> Result<Detached> {
    let store = cx.ledger_to_change()?;
    let scope = scope(cx, args)?;
    if let Some(known) = store.read(|r| running(cx, r, &scope))? {
        return Ok(Detached::known(cx, args, &known));
    }
    let id = match &args.dispatcher_id {
        Some(id) => id.clone(),
        None => name(cx, &scope)?,
    };
    let log = cx.env().state_root.join(format!("dispatch-{id}.log"));
    if log.to_str().is_none() {
        return Err(Error::refused(format!("the path {} is no UTF-8 text", log.display()))
            .hint("set WORKERCTL_STATE_ROOT to a folder whose path is"));
    }
    let child =
        Dispatch { detach: false, background_log: Some(log.clone()), dispatcher_id: Some(id.clone()), ..args.clone() };
    let program = machine::own_program().ok_or_else(|| Error::io("cannot tell where this program lies"))?;
    let words = command_line(cx, &child);
    let command = std::iter::once(program.as_os_str()).chain(words.iter().map(OsString::as_os_str));
    let mut detached = Detached {
        command: command.map(|word| word.to_string_lossy().into_owned()).collect(),
        dispatcher_id: id.to_string(),
        dry_run: cx.dry_run(),
        log_path: Some(log.display().to_string()),
        pid: None,
        started: false,
    };
    if cx.dry_run() {
        return Ok(detached);
    }
    let cannot = |error: io::Error| {
        Error::io(format!("cannot start a dispatcher with the log {}", log.display())).caused_by(error)
    };
    let mut started = background::start(&program, &words, &log).map_err(cannot)?;
    let pid = i64::from(started.pid());
    let deadline = Instant::now() + PATIENCE;
    let on_record = |known: &Dispatcher| known.pid == pid && known.id == detached.dispatcher_id;
    loop {
        // Whether it has ended is asked first: what it wrote before its end counts.
        let has_ended = started.has_ended().map_err(cannot)?;
        match store.read(store::dispatchers::list) {
            Ok(known) if known.iter().any(on_record) => break,
            // Another process holds the ledger.
            Ok(_) | Err(_) => {}
        }
        if has_ended {
            // Another one may have been faster.
            if let Some(known) = store.read(|r| running(cx, r, &scope))? {
                return Ok(Detached::known(cx, args, &known));
            }
            return Err(Error::io("the dispatcher ended at once").hint(format!("its log says why: {}", log.display())));
        }
        if Instant::now() >= deadline {
            started.abandon();
            return Err(Error::io("the dispatcher did not put itself on record in time and was ended")
                .hint(format!("its log may say why: {}", log.display())));
        }
        thread::sleep(LOOKS);
    }
    (detached.pid, detached.started) = (Some(pid), true);
    Ok(detached)
}

/// What a dispatcher with these arguments is for.
pub(super) fn scope(cx: &Context, args: &Dispatch) -> Result<Scope> {
    let task_id = match &args.task {
        Some(task) => Some(cx.ledger()?.read(|r| lookup::task(r, task))?.id),
        None => None,
    };
    Ok(Scope { task_id, wanted: args.wanted.map(|wanted| wanted.as_str().to_owned()) })
}

/// The background dispatcher of this scope, as long as its process lives.
pub(super) fn running(cx: &Context, r: Read<'_>, scope: &Scope) -> Result<Option<Dispatcher>> {
    let now = cx.moment();
    Ok(store::dispatchers::list(r)?.into_iter().find(|one| {
        one.host == Host::Watch && one.log_path.is_some() && one.scope == *scope && health::may_act(cx, one, &now)
    }))
}

/// Its id unless one is given: the same for the same scope, so that its log is the same too.
fn name(cx: &Context, scope: &Scope) -> Result<Name> {
    let task = match &scope.task_id {
        Some(id) => cx.ledger()?.read(|r| store::tasks::find(r, id))?.map(|task| task.name),
        None => None,
    };
    let parts = ["background"].into_iter().chain(task.as_deref()).chain(scope.wanted.as_deref());
    let name = parts.collect::<Vec<_>>().join("-");
    // A long name of a task leaves no room for more.
    let name = name.parse().or_else(|_| cx.fresh_id("background").parse());
    name.map_err(|error: crate::base::name::NameError| Error::new(crate::base::Kind::Bug, error.to_string()))
}

/// The arguments of the dispatcher's process.
fn command_line(cx: &Context, child: &Dispatch) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["--path".into(), cx.env().ledger.clone().into()];
    if cx.safety() == Safety::Forced {
        words.push("--allow-unsafe-file-system".into());
    }
    let Argv { words: own, .. } = child.argv();
    words.push("--json".into());
    words.extend(own.into_iter().map(OsString::from));
    words
}

impl Detached {
    fn known(cx: &Context, args: &Dispatch, known: &Dispatcher) -> Self {
        let child = Dispatch { detach: false, ..args.clone() };
        Self {
            command: child.argv().words,
            dispatcher_id: known.id.clone(),
            dry_run: cx.dry_run(),
            log_path: known.log_path.clone(),
            pid: Some(known.pid),
            started: false,
        }
    }

    pub(super) fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Self { dispatcher_id: id, .. } = self;
        match self.pid {
            Some(pid) if self.started => writeln!(out, "{id} dispatches in the background, as process {pid}")?,
            Some(pid) => writeln!(out, "{id} runs already, as process {pid}")?,
            None => writeln!(out, "would start {id} in the background")?,
        }
        if let Some(log) = &self.log_path {
            writeln!(out, "log: {log}")?;
        }
        writeln!(out, "stop it with `conveyor dispatch stop {id}`")
    }
}
