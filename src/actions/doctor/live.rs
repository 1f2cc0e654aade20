//! Where the records of sessions, bindings and rollouts and the world have drifted apart, with the command that
//! brings each back.
//!
//! It looks at processes, panes and files and changes none of them. What could not be looked at is said to be
//! unchecked, and is no drift.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use serde::Serialize;

use super::{
    check::{self, Check, Weight::Required},
    checkup::Verdict,
};
use crate::{
    actions::{Context, sense},
    base::{Result, Timestamp, text},
    model::{
        session::{Registration, Role, Session},
        task::{Binding, Task, TaskState},
    },
    ports::{
        process::{Liveness, ProcessError, ProcessId},
        rollout,
        tmux::{PaneInfo, TmuxError},
    },
    store::{self, Store, rollouts::SeenTo},
};

/// Name of the check that sums it up.
pub(super) const NAME: &str = "live_reconcile";

/// Everything that has drifted.
#[derive(Debug, Serialize)]
pub struct Drift {
    manager_liveness_warnings: Vec<Finding>,
    ok: bool,
    results: Vec<TaskDrift>,
    sessions: Vec<SessionDrift>,
}

/// One finding as others show it.
pub(super) struct Drifted<'a> {
    pub(super) about: &'a str,
    pub(super) message: &'a str,
    pub(super) repair: Option<&'a str>,
    pub(super) verdict: Verdict,
}

/// One thing that does not agree.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    drift: String,
    message: String,
    repair: String,
    /// It keeps the ledger from telling the truth; the rest is caught up with in passing.
    required: bool,
}

#[derive(Debug, Serialize)]
struct TaskDrift {
    /// The ids of all findings about the task and its two sessions.
    drift: Vec<String>,
    findings: Vec<Finding>,
    manager: Option<End>,
    task: TaskBrief,
    worker: Option<End>,
}

#[derive(Debug, Serialize)]
struct TaskBrief {
    id: String,
    name: String,
    state: TaskState,
}

/// A session at one end of a binding.
#[derive(Debug, Clone, Serialize)]
struct End {
    id: String,
    live: Option<bool>,
    name: String,
    pid: Option<i64>,
    recorded_pane_id: Option<String>,
    session: Option<String>,
    state: Registration,
}

#[derive(Debug, Serialize)]
struct SessionDrift {
    findings: Vec<Finding>,
    live: Option<bool>,
    name: String,
    role: Role,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unchecked: Vec<String>,
}

/// The records that are compared.
struct Records {
    tasks: Vec<Task>,
    sessions: Vec<Session>,
    bindings: Vec<Binding>,
    seen: Vec<SeenTo>,
    ingest_errors: std::collections::HashMap<String, String>,
    /// By session, the command that brings back one that is gone.
    ways_back: std::collections::HashMap<String, String>,
}

impl Records {
    /// The binding in force of a session, and the name of its task.
    fn bound_to(&self, session_id: &str) -> Option<&str> {
        let ends = |binding: &&Binding| {
            binding.is_in_force()
                && (binding.worker_session_id == session_id || binding.manager_session_id == session_id)
        };
        let binding = self.bindings.iter().find(ends)?;
        self.tasks.iter().find(|task| task.id == binding.task_id).map(|task| task.name.as_str())
    }
}

/// Compares the ledger with the world.
pub(super) fn drift(cx: &Context, store: &Store, manager_stale_seconds: i64) -> Result<Drift> {
    let records = store.read(|r| {
        let sessions = store::sessions::list(r)?;
        let mut ways_back = std::collections::HashMap::new();
        for session in &sessions {
            ways_back.extend(store::audit::way_back(r, session)?.map(|command| (session.id.clone(), command)));
        }
        Ok::<_, store::Error>(Records {
            tasks: store::tasks::list(r)?,
            sessions,
            ways_back,
            bindings: store::bindings::list(r)?,
            seen: store::rollouts::positions(r)?,
            ingest_errors: store::sessions::ingest_errors(r)?,
        })
    })?;
    let mut panes = Panes::default();
    let active = records.sessions.iter().filter(|session| session.state == Registration::Active);
    let sessions: Vec<SessionDrift> = active.map(|session| of_session(cx, &records, session, &mut panes)).collect();
    let warnings = stale_managers(&records, &sessions, cx.now(), manager_stale_seconds);
    let results: Vec<TaskDrift> = records.tasks.iter().filter_map(|task| of_task(&records, task, &sessions)).collect();
    let findings = sessions.iter().flat_map(|row| &row.findings).chain(results.iter().flat_map(|row| &row.findings));
    let ok = !findings.clone().any(|finding| finding.required);
    Ok(Drift { manager_liveness_warnings: warnings, ok, results, sessions })
}

/// The panes of each server that was asked.
#[derive(Default)]
struct Panes(BTreeMap<Option<String>, Result<Vec<PaneInfo>, TmuxError>>);

impl Panes {
    fn of(&mut self, cx: &Context, socket: Option<&str>) -> &Result<Vec<PaneInfo>, TmuxError> {
        self.0.entry(socket.map(str::to_owned)).or_insert_with(|| cx.tmux(socket).panes())
    }
}

/// What a look at a session's process and pane gave.
#[derive(Default)]
struct Look {
    alive: bool,
    gone: Vec<String>,
    mismatch: Option<String>,
    unchecked: Vec<String>,
}

fn of_session(cx: &Context, records: &Records, session: &Session, panes: &mut Panes) -> SessionDrift {
    let mut look = Look::default();
    look_at_process(cx, session, &mut look);
    look_at_pane(cx, session, panes, &mut look);
    let mut findings = Vec::new();
    let mut add = |drift: String, message: String, repair: String, required: bool| {
        findings.push(Finding { drift, message, repair, required });
    };
    let role = session.role;
    if let Some(mismatch) = &look.mismatch {
        add(format!("{role}_pane_mismatch"), mismatch.clone(), bring_back(records, session), true);
    } else if !look.gone.is_empty() {
        add(format!("{role}_missing"), look.gone.join("; "), bring_back(records, session), true);
    }
    if let Some((drift, message, repair, required)) = of_rollout(cx, records, session) {
        add(drift.to_owned(), message, repair, required);
    }
    if let Some(error) = records.ingest_errors.get(&session.id) {
        let message = format!("its rollout could not be read: {error}");
        add("ingest_failed".to_owned(), message, format!("conveyor ingest {}", session.name), true);
    }
    let gone = look.mismatch.is_some() || !look.gone.is_empty();
    SessionDrift {
        findings,
        live: if gone { Some(false) } else { look.alive.then_some(true) },
        name: session.name.clone(),
        role,
        unchecked: look.unchecked,
    }
}

fn look_at_process(cx: &Context, session: &Session, look: &mut Look) {
    let Some(pid) = session.pid else { return };
    match session.pid_start.and_then(|start| ProcessId::from_stored(pid, start)) {
        Some(process) => match cx.processes().liveness(process) {
            Liveness::Alive => look.alive = true,
            Liveness::Dead => look.gone.push(format!("its process {pid} has ended")),
            Liveness::Reused => look.gone.push(format!("its process has ended; pid {pid} is another one")),
            Liveness::Unknown => look.unchecked.push(format!("process {pid} cannot be looked at")),
        },
        // Without a start time a running process may be any.
        None => match u32::try_from(pid).map(|pid| cx.processes().identify(pid)) {
            Ok(Err(ProcessError::Gone(_))) => look.gone.push(format!("its process {pid} has ended")),
            Ok(_) | Err(_) => look.unchecked.push(format!("whether process {pid} is still the same is not known")),
        },
    }
}

fn look_at_pane(cx: &Context, session: &Session, panes: &mut Panes, look: &mut Look) {
    let pane = session.tmux_pane_id.as_deref().filter(|pane| !pane.is_empty());
    let name = session.tmux_session.as_deref().filter(|name| !name.is_empty());
    if pane.is_none() && name.is_none() {
        return;
    }
    let listed = match panes.of(cx, session.tmux_socket.as_deref()) {
        Ok(listed) => listed,
        Err(TmuxError::NoServer(_)) => return look.gone.push("its tmux server is gone".to_owned()),
        Err(error) => return look.unchecked.push(error.to_string()),
    };
    let Some(pane) = pane else {
        let name = name.unwrap_or_default();
        // Another program may have taken the name, so its presence proves nothing.
        if !listed.iter().any(|info| info.session_name == name) {
            look.gone.push(format!("there is no tmux session {name}"));
        }
        return;
    };
    let Some(info) = listed.iter().find(|info| info.id.to_string() == pane) else {
        return look.gone.push(format!("its pane {pane} is gone"));
    };
    if session.pane_pid.is_some_and(|pid| pid != i64::from(info.pid)) {
        let recorded = session.pane_pid.unwrap_or_default();
        look.mismatch = Some(format!("pane {pane} holds process {} now, {recorded} is on record", info.pid));
        return;
    }
    let recorded =
        session.pane_pid.zip(session.pane_pid_start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
    match recorded.map(|process| cx.processes().liveness(process)) {
        Some(Liveness::Reused) => {
            look.mismatch = Some(format!("pane {pane} holds another process of the same pid {}", info.pid));
        }
        _ if info.dead => look.gone.push(format!("the program in its pane {pane} has ended")),
        Some(Liveness::Alive) => look.alive = true,
        Some(Liveness::Dead) => look.gone.push(format!("the program in its pane {pane} has ended")),
        Some(Liveness::Unknown) | None => {
            look.unchecked.push(format!("whether pane {pane} still holds the same process is not known"));
        }
    }
}

/// The command that brings a session back, or gives it up when there is nothing to bring back.
fn bring_back(records: &Records, session: &Session) -> String {
    let name = &session.name;
    match (&session.codex_session_id, records.bound_to(&session.id)) {
        (Some(_), _) => format!("conveyor resume {name}"),
        (None, Some(task)) => format!("conveyor unbind --task {task} && conveyor deregister {name}"),
        (None, None) => format!("conveyor deregister {name}"),
    }
}

/// Whether the rollout is where it was, and how much of it was not read yet.
fn of_rollout(cx: &Context, records: &Records, session: &Session) -> Option<(&'static str, String, String, bool)> {
    let seen = records.seen.iter().find(|seen| seen.session_id == session.id);
    let path = seen.map(|seen| &seen.path).or(session.codex_session_path.as_ref())?;
    let name = &session.name;
    match fs::symlink_metadata(path) {
        Ok(about) => {
            let (size, read) = (about.len(), seen.map_or(0, |seen| seen.seen_bytes));
            let ingest = format!("conveyor ingest {name}");
            if size > read {
                return Some((
                    "rollout_behind",
                    format!("{} bytes of its rollout are unread", size - read),
                    ingest,
                    false,
                ));
            }
            (size < read).then(|| {
                let message = format!("its rollout has shrunk from {read} to {size} bytes: it was rewritten");
                ("rollout_rewritten", message, ingest, false)
            })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(missing(cx, session, path)),
        Err(error) => {
            let message = format!("its rollout cannot be looked at: {error}: {path}");
            Some(("rollout_unreadable", message, format!("chmod u+r {}", shell_words::quote(path)), true))
        }
    }
}

fn missing(cx: &Context, session: &Session, path: &str) -> (&'static str, String, String, bool) {
    let name = &session.name;
    if Path::new(&format!("{path}.zst")).exists() {
        let message = "its rollout is compressed: nobody has used the thread for long".to_owned();
        return ("rollout_dormant", message, format!("conveyor resume {name}"), true);
    }
    let message = format!("its rollout is gone: {path}");
    let thread = session.codex_session_id.as_deref();
    let elsewhere = thread
        .zip(sense::codex_home(cx, session))
        .and_then(|(thread, home)| rollout::rollout_of_thread(&home, thread).map(|path| path.display().to_string()));
    let repair = match elsewhere {
        Some(file) => {
            let role = session.role;
            format!("conveyor register-{role} --name {name} --codex-session {}", shell_words::quote(&file))
        }
        None => format!("conveyor deregister {name}"),
    };
    ("rollout_missing", message, repair, true)
}

/// A task that is open or still bound.
fn of_task(records: &Records, task: &Task, sessions: &[SessionDrift]) -> Option<TaskDrift> {
    let binding = records.bindings.iter().find(|binding| binding.is_in_force() && binding.task_id == task.id);
    if !task.state.is_open() && binding.is_none() {
        return None;
    }
    let name = &task.name;
    let mut findings = Vec::new();
    let mut add = |drift: &str, message: String, repair: String| {
        findings.push(Finding { drift: drift.to_owned(), message, repair, required: true });
    };
    if binding.is_none() && task.state == TaskState::Managed {
        let message = "it is managed, but no binding is in force".to_owned();
        add("task_without_binding", message, format!("conveyor bind --task {name} --worker WORKER --manager MANAGER"));
    }
    if binding.is_some() && !task.state.is_open() {
        let message = format!("it is {}, but its binding is still in force", task.word());
        add("binding_of_ended_task", message, format!("conveyor unbind --task {name}"));
    }
    let end = |id: &str| records.sessions.iter().find(|session| session.id == id);
    let worker = binding.and_then(|binding| end(&binding.worker_session_id));
    let manager = binding.and_then(|binding| end(&binding.manager_session_id));
    for session in [worker, manager].into_iter().flatten().filter(|session| session.state == Registration::Gone) {
        let message = format!("its {} {} was stopped or deregistered", session.role, session.name);
        let unbind = format!("conveyor unbind --task {name}");
        match records.ways_back.get(&session.id) {
            Some(command) => {
                add("binding_session_gone", format!("{message}; to do without it: `{unbind}`"), command.clone());
            }
            None => add("binding_session_gone", format!("{message}, but the binding is in force"), unbind),
        }
    }
    let row = |session: &Session| sessions.iter().find(|row| row.name == session.name);
    let of_ends = [worker, manager].into_iter().flatten().filter_map(row).flat_map(|row| &row.findings);
    let drift = findings.iter().chain(of_ends).map(|finding| finding.drift.clone()).collect();
    let brief = |session: &Session| End {
        id: session.id.clone(),
        live: row(session).and_then(|row| row.live),
        name: session.name.clone(),
        pid: session.pid,
        recorded_pane_id: session.tmux_pane_id.clone(),
        session: session.tmux_session.clone(),
        state: session.state,
    };
    Some(TaskDrift {
        drift,
        findings,
        manager: manager.map(brief),
        task: TaskBrief { id: task.id.clone(), name: name.clone(), state: task.state },
        worker: worker.map(brief),
    })
}

/// Managers that run, but were not observed for long.
fn stale_managers(records: &Records, sessions: &[SessionDrift], now: Timestamp, limit: i64) -> Vec<Finding> {
    let live = sessions.iter().filter(|row| row.role == Role::Manager && row.live == Some(true));
    let warn = |row: &SessionDrift| {
        let session = records.sessions.iter().find(|session| session.name == row.name)?;
        let (drift, message) = match session.last_heartbeat_at {
            None => ("manager_never_seen", format!("{} was never observed", row.name)),
            Some(at) => {
                let age = (now.as_millis() - at.as_millis()) / 1000;
                if age < limit {
                    return None;
                }
                ("manager_seen_stale", format!("{} was last observed {} ago", row.name, text::age(age)))
            }
        };
        let repair = format!("conveyor status {}", row.name);
        Some(Finding { drift: drift.to_owned(), message, repair, required: false })
    };
    live.filter_map(warn).collect()
}

impl Drift {
    /// The summary among the other checks.
    pub(super) fn check(&self) -> Check {
        let (count, _) = self.tally();
        let check = if self.ok {
            let live = self.sessions.iter().filter(|row| row.live == Some(true)).count();
            let message = format!("nothing has drifted; {live} of {} sessions are seen to run", self.sessions.len());
            Check::pass(Required, NAME, message)
        } else {
            Check::fail(
                Required,
                NAME,
                format!("{count} records do not agree with what runs"),
                "see below, each with its command",
            )
        };
        check
            .fact("drift_count", count)
            .fact("manager_liveness_warning_count", self.manager_liveness_warnings.len())
            .fact("task_count", self.results.len())
    }

    /// How many findings are problems, and how many are remarks.
    pub(super) fn tally(&self) -> (usize, usize) {
        let required = self.findings().filter(|(_, finding)| finding.required).count();
        (required, self.findings().count() - required + self.manager_liveness_warnings.len())
    }

    /// Every finding with the name of what it is about.
    fn findings(&self) -> impl Iterator<Item = (&str, &Finding)> {
        let sessions =
            self.sessions.iter().flat_map(|row| row.findings.iter().map(|finding| (row.name.as_str(), finding)));
        let tasks =
            self.results.iter().flat_map(|row| row.findings.iter().map(|finding| (row.task.name.as_str(), finding)));
        sessions.chain(tasks)
    }

    /// Every finding, and what could not be looked at.
    pub(super) fn drifted(&self) -> impl Iterator<Item = Drifted<'_>> {
        let verdict = |finding: &Finding| if finding.required { Verdict::Problem } else { Verdict::Remark };
        let found = self.findings().chain(self.manager_liveness_warnings.iter().map(|finding| ("managers", finding)));
        let found = found.map(move |(about, finding)| Drifted {
            about,
            message: &finding.message,
            repair: Some(&finding.repair),
            verdict: verdict(finding),
        });
        let unchecked = self.sessions.iter().flat_map(|row| {
            let about = row.name.as_str();
            row.unchecked.iter().map(move |message| Drifted {
                about,
                message,
                repair: None,
                verdict: Verdict::Unchecked,
            })
        });
        found.chain(unchecked)
    }

    /// One line per finding, with the command below it.
    pub(super) fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for (about, finding) in self.findings() {
            let verdict = if finding.required { "!!" } else { "--" };
            line(out, verdict, about, finding)?;
        }
        for warning in &self.manager_liveness_warnings {
            line(out, "--", "managers", warning)?;
        }
        for row in &self.sessions {
            for what in &row.unchecked {
                check::paragraph(out, &format!("??  {}: ", row.name), 6, what)?;
            }
        }
        Ok(())
    }
}

fn line(out: &mut dyn fmt::Write, verdict: &str, about: &str, finding: &Finding) -> fmt::Result {
    check::paragraph(out, &format!("{verdict}  {about}: "), 6, &format!("{} ({})", finding.message, finding.drift))?;
    check::paragraph(out, "      -> ", 9, &format!("`{}`", finding.repair))
}
