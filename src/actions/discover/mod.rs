//! `discover` (alias `search`): find tasks, sessions and bindings, and the Codex sessions that run unregistered.

pub(super) mod running;

pub use running::KnownBy;

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{
    Action, Adoptable, Argv, Context, Format, Outcome, ingest, live, sense,
    session::{Known, SessionView, ThreadNews, known_sessions, record},
};
use crate::{
    base::{Error, Kind, Name, Result, Timestamp, text},
    model::{
        session::{Registration, Role, Session},
        task::{Binding, BindingState, Task},
    },
    ports::process::ProcessId,
    store::{self, Store},
};
use running::{Running, RunningView};

/// Find tasks, sessions and bindings, and Codex sessions that run unregistered
///
/// A query is looked for in names, goals, folders and ids. With `--adopt` the unregistered sessions that match are
/// registered as workers; a session whose thread nobody can tell, or that is merely loaded in Codex's server, is left
/// alone.
///
/// Example: `conveyor discover --adopt`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Discover {
    /// What to look for; nothing means everything
    #[arg(value_name = "QUERY")]
    pub query: Option<String>,
    /// Also tasks that have ended and sessions that are gone
    #[arg(long)]
    pub all: bool,
    /// At most so many of each kind; 0 means all
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
    /// Register what runs unregistered and matches
    #[arg(long)]
    pub adopt: bool,
    /// Role of the adopted sessions
    #[arg(long, value_name = "ROLE", default_value = "worker", requires = "adopt")]
    pub role: Role,
    /// Name of the adopted session, when exactly one matches
    #[arg(long, value_name = "NAME", requires = "adopt")]
    pub name: Option<Name>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Discovered {
    adopted: Vec<String>,
    bindings: Vec<BindingHit>,
    dry_run: bool,
    query: Option<String>,
    running: Vec<RunningView>,
    sessions: Vec<SessionView>,
    suggestions: Vec<Suggestion>,
    tasks: Vec<Task>,
}

#[derive(Debug, Serialize)]
struct BindingHit {
    created_at: Timestamp,
    id: String,
    manager_name: Option<String>,
    state: BindingState,
    task_goal: String,
    task_name: String,
    worker_name: Option<String>,
}

/// A next step that what was found allows.
#[derive(Debug, Serialize)]
struct Suggestion {
    command: String,
    kind: &'static str,
}

impl Action for Discover {
    const NAME: &'static str = "discover";
    const FORMAT: Format = Format::Json;
    type Output = Discovered;

    fn run(self, cx: &Context) -> Result<Discovered> {
        let query = self.query.as_ref().map(|query| query.to_lowercase());
        let limit = self.at_most();
        let found = running::scan(cx);
        let adopted = if self.adopt { adopt(cx, &self, query.as_deref(), &found)? } else { Vec::new() };
        let (tasks, sessions, bindings) = match cx.ledger() {
            Ok(store) => records(&store)?,
            // Before the first registration there is nothing but what runs.
            Err(error) if error.kind() == Kind::NotFound => (Vec::new(), Vec::new(), Vec::new()),
            Err(error) => return Err(error),
        };
        let matches = |texts: &[&str]| {
            query.as_ref().is_none_or(|query| texts.iter().any(|text| text.to_lowercase().contains(query)))
        };
        let running: Vec<RunningView> = found
            .iter()
            .filter(|running| fits(running, query.as_deref()))
            .map(|running| RunningView::of(running, registered_as(running, &sessions)))
            .take(limit)
            .collect();
        let suggestions = suggestions(&tasks, &sessions, &bindings, &running);
        let binding_hits = bindings
            .iter()
            .filter(|binding| binding.is_in_force())
            .map(|binding| hit(binding, &tasks, &sessions))
            .filter(|hit| {
                let names = [&hit.worker_name, &hit.manager_name].map(|name| name.as_deref().unwrap_or_default());
                matches(&[&hit.task_name, &hit.task_goal, names[0], names[1], hit.state.as_str()])
            })
            .take(limit)
            .collect();
        Ok(Discovered {
            adopted,
            bindings: binding_hits,
            dry_run: cx.dry_run(),
            running,
            sessions: sessions
                .iter()
                .filter(|session| self.all || session.state == Registration::Active)
                .filter(|session| {
                    matches(&[
                        &session.name,
                        session.role.as_str(),
                        session.state.as_str(),
                        &session.cwd,
                        session.tmux_session.as_deref().unwrap_or_default(),
                        session.codex_session_id.as_deref().unwrap_or_default(),
                    ])
                })
                .take(limit)
                .map(|session| SessionView::of(session.clone(), /*show_token*/ false))
                .collect(),
            suggestions,
            tasks: tasks
                .into_iter()
                .filter(|task| self.all || task.state.is_open())
                .filter(|task| {
                    let summary = task.summary.as_deref().unwrap_or_default();
                    matches(&[&task.name, &task.goal, summary, task.state.as_str()])
                })
                .take(limit)
                .collect(),
            query: self.query,
        })
    }

    fn argv(&self) -> Argv {
        let Self { query, all, limit, adopt, role, name } = self;
        let argv = Argv::new(Self::NAME).switch("--all", *all).option("--limit", Some(limit)).switch("--adopt", *adopt);
        let argv = if *adopt { argv.option("--role", Some(role)).option("--name", name.as_ref()) } else { argv };
        match query {
            Some(query) => argv.end_of_options().word(query),
            None => argv,
        }
    }
}

/// What runs here unregistered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unregistered {
    /// What can be adopted.
    pub sessions: Vec<Found>,
    /// How many more run whose thread nobody tells.
    pub unknown: usize,
}

/// A session that runs unregistered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its thread.
    pub thread_id: String,
    /// The folder it works in.
    pub cwd: Option<String>,
    /// What told which thread it is.
    pub known_by: Vec<KnownBy>,
    /// Name of the tmux session that it runs in.
    pub tmux_session: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Its name, or the beginning of its first message.
    pub about: Option<String>,
}

/// What runs here unregistered and can be adopted.
///
/// # Errors
/// When the ledger cannot be read.
pub fn unregistered(cx: &Context) -> Result<Unregistered> {
    let sessions = known_sessions(cx)?;
    let mut answer = Unregistered::default();
    for running in running::scan(cx) {
        if registered_as(&running, &sessions).is_some() || running.unattended {
            continue;
        }
        let Some(thread_id) = running.thread_id else {
            answer.unknown += 1;
            continue;
        };
        answer.sessions.push(Found {
            thread_id,
            cwd: running.cwd.map(|cwd| cwd.display().to_string()),
            known_by: running.ways.into_iter().collect(),
            tmux_session: running.pane.map(|pane| pane.session_name),
            pid: running.process.map(|process| process.pid),
            about: running.name.or(running.preview),
        });
    }
    Ok(answer)
}

impl Discover {
    fn at_most(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }
}

fn records(store: &Store) -> Result<(Vec<Task>, Vec<Session>, Vec<Binding>)> {
    Ok(store.read(|r| {
        Ok::<_, store::Error>((store::tasks::list(r)?, store::sessions::list(r)?, store::bindings::list(r)?))
    })?)
}

fn fits(running: &Running, query: Option<&str>) -> bool {
    let Some(query) = query else { return true };
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    [
        running.thread_id.clone(),
        path(&running.cwd),
        running.name.clone(),
        running.preview.clone(),
        running.pane.as_ref().map(|pane| pane.session_name.clone()),
    ]
    .into_iter()
    .flatten()
    .any(|text| text.to_lowercase().contains(query))
}

/// The registration of a running session: by its thread, or by its pane while it has none.
pub(super) fn registered_as(running: &Running, sessions: &[Session]) -> Option<String> {
    let same = |session: &&Session| {
        let by_thread = running.thread_id.is_some() && session.codex_session_id == running.thread_id;
        let by_pane = running.pane.as_ref().is_some_and(|pane| {
            session.tmux_pane_id.as_deref() == Some(pane.id.to_string().as_str())
                && session.tmux_socket.as_deref() == Some(pane.socket.as_str())
                && session.pane_pid == Some(i64::from(pane.process.pid))
        });
        session.state == Registration::Active && (by_thread || by_pane)
    };
    sessions.iter().find(same).map(|session| session.name.clone())
}

/// The sessions that run here, are shown in a terminal and are not registered. Without a ledger that can be read nobody
/// can tell what is registered; then there is none.
pub(super) fn adoptable(cx: &Context) -> Vec<Adoptable> {
    let sessions = match cx.ledger() {
        Ok(store) => store.read(store::sessions::list),
        Err(error) if error.kind() == Kind::NotFound => Ok(Vec::new()),
        Err(_) => return Vec::new(),
    };
    let Ok(sessions) = sessions else { return Vec::new() };
    let running = running::scan(cx).into_iter().filter(|running| !running.unattended);
    running
        .filter(|running| registered_as(running, &sessions).is_none())
        .map(|running| Adoptable {
            thread_id: running.thread_id,
            cwd: running.cwd.map(|cwd| text::clean(&cwd.display().to_string())),
            tmux_session: running.pane.map(|pane| text::clean(&pane.session_name)),
            preview: running.preview.map(|preview| text::bounded(&text::one_line(&text::clean(&preview)), 120)),
        })
        .collect()
}

/// Registers the matching unregistered sessions; their names.
fn adopt(cx: &Context, request: &Discover, query: Option<&str>, found: &[Running]) -> Result<Vec<String>> {
    let sessions = known_sessions(cx)?;
    let wanted: Vec<&Running> = found
        .iter()
        .filter(|running| fits(running, query) && running.thread_id.is_some() && !running.unattended)
        .filter(|running| registered_as(running, &sessions).is_none())
        .take(request.at_most())
        .collect();
    if request.name.is_some() && wanted.len() != 1 {
        return Err(Error::refused(format!("--name needs exactly one unregistered session, found {}", wanted.len()))
            .hint("narrow the search with a part of its id, folder or tmux session"));
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let store = cx.ledger_or_create()?;
    let mut taken: BTreeSet<String> = sessions.into_iter().map(|session| session.name).collect();
    let mut adopted = Vec::new();
    for running in wanted {
        let name = match &request.name {
            Some(name) => name.to_string(),
            None => free_name(running, &taken),
        };
        let session = register(cx, &store, running, request.role, &name)?;
        if !cx.dry_run() {
            // A first look, so that the board does not begin with a row of unknowns. What fails is noted there.
            let _ = ingest::ingest_while(cx, &store, &session, &|| true);
            let look = sense::Observer::default().look(cx, &session);
            live::record(cx, &store, &look)?;
        }
        taken.insert(name.clone());
        adopted.push(name);
    }
    Ok(adopted)
}

/// A name for a session: its own, else its folder's, with a number when that is taken.
fn free_name(running: &Running, taken: &BTreeSet<String>) -> String {
    let folder = running.cwd.as_ref().and_then(|cwd| cwd.file_name()?.to_str());
    let base = running.name.as_deref().or(folder).unwrap_or("session");
    let mut stem: String = base
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c.to_ascii_lowercase() } else { '-' })
        .collect();
    stem = text::bounded(stem.trim_matches(['-', '.']), 40).trim_end_matches('…').to_owned();
    if stem.is_empty() {
        "session".clone_into(&mut stem);
    }
    (1..)
        .map(|number| if number == 1 { stem.clone() } else { format!("{stem}-{number}") })
        .find(|name| !taken.contains(name))
        .unwrap_or(stem)
}

/// Registers a running session.
pub(super) fn register(cx: &Context, store: &Store, running: &Running, role: Role, name: &str) -> Result<Session> {
    let now = cx.now();
    let fresh = (cx.fresh_id("session"), cx.fresh_id("session-token"));
    store.write(|w| {
        let rollout = running.rollout.clone().zip(running.head.clone());
        let pane = running.pane.as_ref();
        let found = store::sessions::find(w.read(), name)?;
        let known = Known {
            name: name.to_owned(),
            role,
            thread: match &running.thread_id {
                None if !found.is_some_and(|found| is_elsewhere(&found, running)) => ThreadNews::Same,
                thread => ThreadNews::Shows(thread.clone()),
            },
            rollout,
            process: running.process,
            pane: running.pane.clone(),
            cwd: running.cwd.as_ref().map(|cwd| cwd.display().to_string()),
            tmux_session: None,
            codex_app_thread_id: if pane.is_none() { running.thread_id.clone() } else { None },
            codex_app_thread_title: None,
        };
        let mut session = record(cx, w, known, fresh, now)?;
        session.codex_home = running.codex_home.as_ref().map(|home| home.display().to_string());
        session.codex_version = running.version.clone().or(session.codex_version);
        store::sessions::save(w, &session)?;
        Ok(session)
    })
}

/// Whether the record is of another pane or process than this.
fn is_elsewhere(session: &Session, running: &Running) -> bool {
    let (pid, start, now) = match &running.pane {
        Some(pane) => (session.pane_pid, session.pane_pid_start, Some(pane.process)),
        None => (session.pid, session.pid_start, running.process),
    };
    pid.zip(now).is_some_and(|(pid, now)| start.and_then(|start| ProcessId::from_stored(pid, start)) != Some(now))
}

fn hit(binding: &Binding, tasks: &[Task], sessions: &[Session]) -> BindingHit {
    let task = tasks.iter().find(|task| task.id == binding.task_id);
    let name = |id: &str| sessions.iter().find(|session| session.id == id).map(|session| session.name.clone());
    BindingHit {
        created_at: binding.created_at,
        id: binding.id.clone(),
        manager_name: name(&binding.manager_session_id),
        state: binding.state,
        task_goal: task.map(|task| task.goal.clone()).unwrap_or_default(),
        task_name: task.map(|task| task.name.clone()).unwrap_or_default(),
        worker_name: name(&binding.worker_session_id),
    }
}

/// What could be done next with what is free.
fn suggestions(tasks: &[Task], sessions: &[Session], bindings: &[Binding], running: &[RunningView]) -> Vec<Suggestion> {
    let bound = |session: &Session| {
        bindings.iter().any(|binding| {
            binding.is_in_force() && [&binding.worker_session_id, &binding.manager_session_id].contains(&&session.id)
        })
    };
    let free = |role: Role| {
        sessions.iter().find(|session| session.role == role && session.state == Registration::Active && !bound(session))
    };
    let task = tasks.iter().find(|task| {
        task.state.is_open() && !bindings.iter().any(|binding| binding.is_in_force() && binding.task_id == task.id)
    });
    let mut found = Vec::new();
    if running.iter().any(|running| running.registered_as.is_none() && !running.unattended) {
        found.push(Suggestion { command: "conveyor discover --adopt".to_owned(), kind: "adopt" });
    }
    if let (Some(task), Some(worker), Some(manager)) = (task, free(Role::Worker), free(Role::Manager)) {
        let command = format!("conveyor bind --task {} --worker {} --manager {}", task.name, worker.name, manager.name);
        found.push(Suggestion { command, kind: "bind" });
    }
    found
}

impl Outcome for Discovered {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for name in &self.adopted {
            writeln!(out, "{} {name}", if self.dry_run { "would adopt" } else { "adopted" })?;
        }
        for task in &self.tasks {
            writeln!(out, "task     {}  {}  {}", task.name, task.state, text::one_line(&task.goal))?;
        }
        for session in &self.sessions {
            writeln!(out, "session  {}", session.line())?;
        }
        for binding in &self.bindings {
            let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
            writeln!(
                out,
                "binding  {}: {} <-> {}",
                binding.task_name,
                name(&binding.worker_name),
                name(&binding.manager_name)
            )?;
        }
        for running in &self.running {
            writeln!(out, "running  {}", running.line())?;
        }
        for suggestion in &self.suggestions {
            writeln!(out, "next: {}", suggestion.command)?;
        }
        Ok(())
    }
}
