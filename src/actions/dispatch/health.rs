//! Whether anybody delivers, and what waits because nobody does.

use std::fmt;

use serde::Serialize;

use super::{super::Context, push::LEASE};
use crate::{
    base::{Moment, Result, Timestamp, text},
    ports::process::{Liveness, ProcessId},
    store::{
        self, Read, Store,
        dispatchers::{Dispatcher, EVERYTHING, Host, Pause, Running},
    },
};

/// A dispatcher that was silent for so long, in milliseconds, does not deliver at present, whatever its process does.
const SILENT_TOO_LONG: i64 = 10_000;

/// A dispatcher, as printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DispatcherView {
    /// It delivers.
    pub alive: bool,
    /// When it was heard of last.
    pub heartbeat_at: Timestamp,
    /// What it runs in.
    pub host: Host,
    /// Its own id.
    pub id: String,
    /// Its last trouble.
    pub last_error: Option<String>,
    /// Where it writes what it does, when it runs in the background.
    pub log_path: Option<String>,
    /// Passes over the queue.
    pub passes: u64,
    /// Its process.
    pub pid: i64,
    /// Commands and signals it moved.
    pub processed: u64,
    /// Since when.
    pub started_at: Timestamp,
    /// `running`, `stopped`, or `vanished` when its process is gone without a word.
    pub state: &'static str,
    /// When it was asked to end.
    pub stop_requested_at: Option<Timestamp>,
    /// Id of the only task that it is for.
    pub task_id: Option<String>,
    /// The only type that it is for.
    #[serde(rename = "type")]
    pub wanted: Option<String>,
}

/// A pause, as printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PauseView {
    /// Since when.
    pub paused_at: Timestamp,
    /// By whom.
    pub paused_by: String,
    /// Why.
    pub reason: Option<String>,
    /// `all`, or a task id.
    pub scope: String,
    /// Name of the task; none when everything is paused.
    pub task: Option<String>,
}

/// Whether anybody delivers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DispatchHealth {
    /// Commands that may have been delivered; an operator has to decide.
    pub ambiguous: u64,
    /// Commands that were given up.
    pub dead_letters: u64,
    /// Who dispatches or did so lately, the one heard of last first.
    pub dispatchers: Vec<DispatcherView>,
    /// Everything is paused.
    pub paused: bool,
    /// Pauses in force, of everything or of tasks.
    pub pauses: Vec<PauseView>,
    /// Somebody dispatches.
    pub running: bool,
    /// What an operator should know; none when all is well.
    pub warning: Option<String>,
    /// Messages that nobody has begun to deliver; a word that something lies in an inbox is none.
    pub waiting: u64,
}

/// Reads it.
///
/// # Errors
/// When the ledger cannot be read.
pub fn dispatch_health(cx: &Context) -> Result<DispatchHealth> {
    cx.ledger()?.read(|r| of(cx, r))
}

/// The same from a snapshot at hand.
pub(in crate::actions) fn of(cx: &Context, r: Read<'_>) -> Result<DispatchHealth> {
    let now = cx.moment();
    let dispatchers: Vec<DispatcherView> = store::dispatchers::list(r)?
        .into_iter()
        .map(|dispatcher| {
            let state = state_of(cx, &dispatcher, &now);
            let silent = dispatcher.silent_for(&now);
            let alive = state == "running" && silent.is_some_and(|millis| millis < SILENT_TOO_LONG);
            view(dispatcher, state, alive)
        })
        .collect();
    let pauses = store::dispatchers::pauses(r)?;
    let open = store::deliveries::open(r)?;
    let mut health = DispatchHealth {
        ambiguous: open.ambiguous,
        dead_letters: open.dead_letters,
        running: dispatchers.iter().any(|dispatcher| dispatcher.alive && dispatcher.host != Host::Once),
        paused: pauses.iter().any(|pause| pause.scope == EVERYTHING),
        waiting: open.waiting,
        warning: None,
        dispatchers,
        pauses: pauses.into_iter().map(|pause| named(r, pause)).collect::<Result<_>>()?,
    };
    health.warning = health.trouble();
    Ok(health)
}

fn named(r: Read<'_>, pause: Pause) -> Result<PauseView> {
    let task = if pause.scope == EVERYTHING { None } else { store::tasks::find(r, &pause.scope)? };
    let Pause { paused_at, paused_by, reason, scope } = pause;
    Ok(PauseView { paused_at, paused_by, reason, scope, task: task.map(|task| task.name) })
}

/// `running`, `stopped`, or `vanished` when its process is gone without a word.
pub(super) fn state_of(cx: &Context, dispatcher: &Dispatcher, now: &Moment) -> &'static str {
    if dispatcher.state == Running::Stopped {
        return "stopped";
    }
    if dispatcher.boot_id != now.boot_id {
        return "vanished";
    }
    let process = dispatcher.pid_start.and_then(|start| ProcessId::from_stored(dispatcher.pid, start));
    match process.map(|process| cx.processes().liveness(process)) {
        Some(Liveness::Dead | Liveness::Reused) => "vanished",
        Some(Liveness::Alive | Liveness::Unknown) | None => "running",
    }
}

/// Whether a dispatcher may still do something outside the ledger. A stopped process may, and so may one that cannot be
/// seen; only one that has said that it ended, or whose process is gone, cannot.
pub(super) fn may_act(cx: &Context, dispatcher: &Dispatcher, now: &Moment) -> bool {
    if dispatcher.state == Running::Stopped || dispatcher.boot_id != now.boot_id {
        return false;
    }
    match dispatcher.pid_start.and_then(|start| ProcessId::from_stored(dispatcher.pid, start)) {
        Some(process) => !matches!(cx.processes().liveness(process), Liveness::Dead | Liveness::Reused),
        None => dispatcher.silent_for(now).is_some_and(|silent| silent < LEASE),
    }
}

/// The same of the dispatcher with this id. One that is not on record has ended.
pub(super) fn id_may_act(cx: &Context, store: &Store, id: &str, now: &Moment) -> Result<bool> {
    let known = store.read(store::dispatchers::list)?.into_iter().find(|dispatcher| dispatcher.id == id);
    Ok(known.is_some_and(|dispatcher| may_act(cx, &dispatcher, now)))
}

fn view(dispatcher: Dispatcher, state: &'static str, alive: bool) -> DispatcherView {
    DispatcherView {
        alive,
        heartbeat_at: dispatcher.heartbeat_at,
        host: dispatcher.host,
        id: dispatcher.id,
        last_error: dispatcher.last_error,
        log_path: dispatcher.log_path,
        passes: dispatcher.passes,
        pid: dispatcher.pid,
        processed: dispatcher.processed,
        started_at: dispatcher.started_at,
        state,
        stop_requested_at: dispatcher.stop_requested_at,
        task_id: dispatcher.scope.task_id,
        wanted: dispatcher.scope.wanted,
    }
}

impl DispatchHealth {
    fn trouble(&self) -> Option<String> {
        let waiting = match self.waiting {
            0 => String::new(),
            1 => "; 1 command waits".to_owned(),
            more => format!("; {more} commands wait"),
        };
        if self.paused {
            return Some(format!("dispatch is paused{waiting}: `conveyor dispatch resume` goes on"));
        }
        if !self.running {
            return Some(format!(
                "no dispatcher runs{waiting}: `conveyor dispatch --watch --detach` starts one; or keep `conveyor` open, \
                 or run `conveyor dispatch --once`"
            ));
        }
        None
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn human(&self, out: &mut dyn fmt::Write, now: Timestamp) -> fmt::Result {
        match &self.warning {
            Some(warning) => writeln!(out, "! {warning}")?,
            None => writeln!(out, "dispatch runs")?,
        }
        writeln!(out, "waiting {}  ambiguous {}  dead letters {}", self.waiting, self.ambiguous, self.dead_letters)?;
        for dispatcher in &self.dispatchers {
            writeln!(
                out,
                "{}  {} ({})  pid {}  heard {} ago  {} moved{}",
                dispatcher.id,
                if dispatcher.alive || dispatcher.state != "running" { dispatcher.state } else { "silent" },
                dispatcher.host,
                dispatcher.pid,
                text::age(dispatcher.heartbeat_at.age_seconds(now)),
                dispatcher.processed,
                dispatcher.last_error.as_deref().map(|error| format!("  last trouble: {error}")).unwrap_or_default(),
            )?;
            if let Some(log) = &dispatcher.log_path {
                writeln!(out, "  in the background, log: {log}")?;
            }
        }
        for pause in &self.pauses {
            writeln!(
                out,
                "paused {} since {} by {}{}",
                pause.task.as_deref().unwrap_or(&pause.scope),
                pause.paused_at,
                pause.paused_by,
                pause.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}
