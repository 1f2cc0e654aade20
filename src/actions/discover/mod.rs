//! `discover` (alias `search`): find tasks, sessions and bindings, and the Codex sessions that run unregistered.

pub(super) mod running;

pub use running::KnownBy;

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Action, Argv, Context, Format, Outcome, ingest, live, sense,
    session::{Known, SessionView, ThreadNews, known_sessions, record},
    supervise::gate,
};
use crate::{
    base::{Error, Kind, Name, Result, Timestamp, text},
    model::{
        session::{Registration, Role, Session},
        task::{Binding, BindingState, Task, TaskState},
    },
    ports::process::ProcessId,
    store::{self, Store, Write},
};
use running::{Running, RunningView};

/// Find tasks, sessions and bindings, and Codex sessions that run unregistered
///
/// A query is looked for in names, goals, folders and ids. With `--adopt` the unregistered sessions that match are
/// registered as workers; one that was deregistered gets its name and its role back. Without a query these are the sessions of this folder and those below it: `--cwd` names
/// another, `--all` takes every folder. A session whose thread nobody can tell, or that is merely loaded in Codex's
/// server, is left alone. `--dry-run` says what would be taken.
///
/// Example: `conveyor discover --adopt --cwd ~/project`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Discover {
    /// What to look for; nothing means everything
    #[arg(value_name = "QUERY")]
    pub query: Option<String>,
    /// Also tasks that have ended and sessions that are gone; with --adopt, sessions of every folder
    #[arg(long)]
    pub all: bool,
    /// Of what runs, only sessions of this folder and those below it
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// At most so many of each kind; 0 means all
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
    /// Register what runs unregistered and matches
    #[arg(long)]
    pub adopt: bool,
    /// Role of the adopted sessions; one that was registered before keeps its own [default: worker]
    #[arg(long, value_name = "ROLE", requires = "adopt")]
    pub role: Option<Role>,
    /// Register only the session of this thread; may be given several times
    #[arg(long, value_name = "ID", requires = "adopt")]
    pub thread: Vec<String>,
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
    /// With --role: those adopted that keep another role, which they had before.
    kept_role: Vec<KeptRole>,
    /// With --adopt and without --cwd: how many unregistered sessions match and run in other folders.
    left_out: usize,
    query: Option<String>,
    running: Vec<RunningView>,
    sessions: Vec<SessionView>,
    suggestions: Vec<Suggestion>,
    tasks: Vec<Task>,
}

/// An adopted session that keeps its former role.
#[derive(Debug, Serialize)]
struct KeptRole {
    name: String,
    role: Role,
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
        let scope = self.scope(cx, query.as_deref());
        let Adopted { names: adopted, kept_role, left_out } =
            if self.adopt { adopt(cx, &self, &scope, &found)? } else { Adopted::default() };
        let store = match cx.ledger() {
            Ok(store) => Some(store),
            // Before the first registration there is nothing but what runs.
            Err(error) if error.kind() == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (tasks, sessions, bindings) = store.as_ref().map(|store| records(store)).transpose()?.unwrap_or_default();
        let matches = |texts: &[&str]| {
            query.as_ref().is_none_or(|query| texts.iter().any(|text| text.to_lowercase().contains(query)))
        };
        let shown = found.iter().filter(|running| fits(running, query.as_deref()));
        let named = self.cwd.as_deref().map(|folder| whole(cx, folder));
        let shown = shown.filter(|running| named.as_deref().is_none_or(|folder| lies_in(running, folder)));
        let mut running = one_for_each(shown.map(|one| RunningView::of(one, registration_of(one, &sessions))));
        running.truncate(limit);
        for view in running.iter_mut().filter(|view| view.registered_as.is_none()) {
            let former = sessions.iter().find(|session| view.known_as.as_ref() == Some(&session.name));
            if let (Some(store), Some(former)) = (&store, former) {
                view.parting = Some(store.read(|r| store::audit::parting(r, &former.id))?);
            }
        }
        let suggestions = suggestions(cx, &tasks, &sessions, &bindings, &running);
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
            kept_role,
            left_out,
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
        let Self { query, all, cwd, limit, adopt, role, thread, name } = self;
        let argv = Argv::new(Self::NAME)
            .switch("--all", *all)
            .option("--cwd", cwd.as_ref().map(|folder| folder.display()))
            .option("--limit", Some(limit))
            .switch("--adopt", *adopt);
        let argv = thread.iter().fold(argv, |argv, thread| argv.option("--thread", Some(thread)));
        let argv = if *adopt { argv.option("--role", *role).option("--name", name.as_ref()) } else { argv };
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
    /// Those whose thread nobody tells.
    pub unknown: Vec<Place>,
}

/// Where a session runs whose thread nobody tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The folder it works in.
    pub cwd: Option<String>,
    /// Name of the tmux session that it runs in.
    pub tmux_session: Option<String>,
    /// Its name, or the beginning of its first message.
    pub about: Option<String>,
}

/// The most that is shown of what a session is about, in characters.
const MAX_ABOUT: usize = 120;

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
    let sessions = match cx.ledger() {
        Ok(store) => store.read(store::sessions::list)?,
        // Before the first registration nothing is registered.
        Err(error) if error.kind() == Kind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(free(running::scan(cx), &sessions))
}

/// What of that is not registered and has somebody who attends to it. Its texts are Codex's and its user's: cleaned.
fn free(found: Vec<Running>, sessions: &[Session]) -> Unregistered {
    let short = |text: String| text::bounded(&text::one_line(&text::clean(&text)), MAX_ABOUT);
    let mut answer = Unregistered::default();
    for running in found {
        if registered_as(&running, sessions).is_some() || running.unattended {
            continue;
        }
        let place = Place {
            cwd: running.cwd.map(|cwd| text::clean(&cwd.display().to_string())),
            tmux_session: running.pane.map(|pane| text::clean(&pane.session_name)),
            about: running.name.or(running.preview).map(short),
        };
        let Some(thread_id) = running.thread_id else {
            answer.unknown.push(place);
            continue;
        };
        let Place { cwd, tmux_session, about } = place;
        answer.sessions.push(Found {
            thread_id,
            cwd,
            known_by: running.ways.into_iter().collect(),
            tmux_session,
            pid: running.process.map(|process| process.pid),
            about,
        });
    }
    answer
}

impl Discover {
    fn at_most(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }

    /// Which sessions `--adopt` is about. Who says nothing means the folder where they stand: other folders hold other
    /// people's work, or other work of the same person.
    fn scope<'a>(&'a self, cx: &Context, query: Option<&'a str>) -> Scope<'a> {
        let is_open = query.is_none() && self.thread.is_empty() && !self.all;
        let folder = match &self.cwd {
            Some(folder) => Some(whole(cx, folder)),
            None => is_open.then(|| cx.env().cwd.clone()),
        };
        Scope { query, threads: &self.thread, folder }
    }
}

/// Which running sessions are meant.
struct Scope<'a> {
    query: Option<&'a str>,
    threads: &'a [String],
    folder: Option<PathBuf>,
}

impl Scope<'_> {
    /// Whether a session is meant, wherever it runs.
    fn means(&self, running: &Running) -> bool {
        let named = || running.thread_id.as_ref().is_some_and(|thread| self.threads.contains(thread));
        fits(running, self.query) && (self.threads.is_empty() || named())
    }

    fn is_here(&self, running: &Running) -> bool {
        self.folder.as_deref().is_none_or(|folder| lies_in(running, folder))
    }
}

/// A folder as processes name it: absolute, without links.
fn whole(cx: &Context, folder: &Path) -> PathBuf {
    let folder = cx.env().absolute(folder);
    folder.canonicalize().unwrap_or(folder)
}

/// Whether a session runs in this folder or below it.
fn lies_in(running: &Running, folder: &Path) -> bool {
    running.cwd.as_ref().is_some_and(|cwd| cwd.starts_with(folder))
}

/// One entry for each session: one of Codex's server and the terminal that shows it are found apart when nothing on the
/// screen ties them, and the registration does. Two threads, or two panes, are two sessions.
fn one_for_each(found: impl Iterator<Item = RunningView>) -> Vec<RunningView> {
    let mut all: Vec<RunningView> = Vec::new();
    for view in found {
        let same = all.iter_mut().find(|known| known.is_same(&view));
        match same {
            Some(known) => known.merge(view),
            None => all.push(view),
        }
    }
    all
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

/// The name under which a running session is registered.
pub(super) fn registered_as(running: &Running, sessions: &[Session]) -> Option<String> {
    let registration = registration_of(running, sessions).filter(|session| session.state == Registration::Active);
    registration.map(|session| session.name.clone())
}

/// The record of a running session. One in force goes before one that was given up, and of those the last one; among
/// each what has its thread goes before what has its pane.
fn registration_of<'s>(running: &Running, sessions: &'s [Session]) -> Option<&'s Session> {
    let has_thread = |session: &&Session| running.thread_id.is_some() && session.codex_session_id == running.thread_id;
    let in_pane = |session: &&Session| {
        running.pane.as_ref().is_some_and(|pane| {
            session.tmux_pane_id.as_deref() == Some(pane.id.to_string().as_str())
                && session.tmux_socket.as_deref() == Some(pane.socket.as_str())
                && session.pane_pid == Some(i64::from(pane.process.pid))
        })
    };
    let active = || sessions.iter().filter(|session| session.state == Registration::Active);
    let gone = || sessions.iter().rev().filter(|session| session.state == Registration::Gone);
    active()
        .find(has_thread)
        .or_else(|| active().find(in_pane))
        .or_else(|| gone().find(has_thread))
        .or_else(|| gone().find(|session| in_pane(session) && may_be(running, session)))
}

/// Whether a session in the pane of one that was given up may be that one. Its shell outlives it, and what runs there
/// next is another one.
fn may_be(running: &Running, gone: &Session) -> bool {
    let process = |pid: Option<i64>, start: Option<i64>| {
        pid.zip(start).and_then(|(pid, start)| ProcessId::from_stored(pid, start))
    };
    let shell = running.pane.as_ref().map(|pane| pane.process);
    let codex = process(gone.pid, gone.pid_start);
    (running.thread_id.is_none() || gone.codex_session_id.is_none())
        && shell.is_some()
        && process(gone.pane_pid, gone.pane_pid_start) == shell
        && (codex.is_none() || running.process.is_none() || codex == running.process)
}

fn is_adoptable(running: &Running, sessions: &[Session]) -> bool {
    running.thread_id.is_some() && !running.unattended && registered_as(running, sessions).is_none()
}

/// What `--adopt` has done.
#[derive(Debug, Default)]
struct Adopted {
    names: Vec<String>,
    kept_role: Vec<KeptRole>,
    /// How many are meant and run in other folders.
    left_out: usize,
}

/// Registers the unregistered sessions that are meant.
fn adopt(cx: &Context, request: &Discover, scope: &Scope<'_>, found: &[Running]) -> Result<Adopted> {
    let sessions = known_sessions(cx)?;
    if let Some(name) = &request.name
        && let Some(known) = sessions.iter().find(|session| session.name == name.as_str())
    {
        // What supervises and is supervised under this name is that session, and stays it.
        let store = cx.ledger_or_create()?;
        gate::no_session(cx, &store, "adopt a session under a name that is registered")?;
        check_free(Some(known), name.as_str())?;
    }
    let runs = |thread: &String| found.iter().any(|running| running.thread_id.as_ref() == Some(thread));
    if let Some(unknown) = request.thread.iter().find(|thread| !runs(thread)) {
        return Err(Error::not_found(format!("no Codex session runs here with the thread {unknown}"))
            .hint("`conveyor discover` lists what runs"));
    }
    let meant = found.iter().filter(|running| scope.means(running) && is_adoptable(running, &sessions));
    let (here, elsewhere): (Vec<&Running>, Vec<&Running>) = meant.partition(|running| scope.is_here(running));
    let wanted: Vec<&Running> = one_for_each_thread(here).into_iter().take(request.at_most()).collect();
    // Whoever names a folder knows that there are others.
    let left_out = if request.cwd.is_none() { elsewhere.len() } else { 0 };
    if request.name.is_some() && wanted.len() != 1 {
        return Err(Error::refused(format!("--name needs exactly one unregistered session, found {}", wanted.len()))
            .hint("narrow the search with a part of its id, folder or tmux session"));
    }
    if wanted.is_empty() {
        return Ok(Adopted { left_out, ..Adopted::default() });
    }
    let store = cx.ledger_or_create()?;
    let mut taken: BTreeSet<String> = sessions.iter().map(|session| session.name.clone()).collect();
    let mut adopted: Vec<String> = Vec::new();
    let mut kept_role = Vec::new();
    let new_role = request.role.unwrap_or(Role::Worker);
    // Who has the thread of a former session goes before who has its pane.
    let former = |running: &&Running| registration_of(running, &sessions);
    let mut wanted: Vec<(&Running, Option<&Session>)> = wanted.iter().map(|one| (*one, former(one))).collect();
    wanted.sort_by_key(|(running, before)| before.is_some_and(|before| before.codex_session_id != running.thread_id));
    for (running, before) in wanted {
        // Whoever was registered before gets its name back, and with it its role and its history; nobody else does.
        let before = before.filter(|before| !adopted.contains(&before.name));
        let (name, role) = match (&request.name, before) {
            (Some(name), _) => (name.to_string(), new_role),
            (None, Some(before)) => (before.name.clone(), before.role),
            (None, None) => (free_name(running, &taken), new_role),
        };
        if request.role.is_some_and(|asked| asked != role) {
            kept_role.push(KeptRole { name: name.clone(), role });
        }
        let session = store.write(|w| {
            // Somebody else may have taken it since.
            check_free(store::sessions::find(w.read(), &name)?.as_ref(), &name)?;
            write_down(cx, w, running, role, &name)
        })?;
        if !cx.dry_run() {
            // A first look, so that the board does not begin with a row of unknowns. What fails is noted there.
            let _ = ingest::ingest_while(cx, &store, &session, &|| true);
            let look = sense::Observer::default().look(cx, &session);
            live::record(cx, &store, &look)?;
        }
        taken.insert(name.clone());
        adopted.push(name);
    }
    Ok(Adopted { names: adopted, kept_role, left_out })
}

/// One of those that show the same thread: it belongs to one session.
fn one_for_each_thread(meant: Vec<&Running>) -> Vec<&Running> {
    let mut all: Vec<&Running> = Vec::new();
    for running in meant {
        match all.iter_mut().find(|known| known.thread_id == running.thread_id) {
            Some(known) if known.pane.is_none() => *known = running,
            Some(_) => {}
            None => all.push(running),
        }
    }
    all
}

/// Refuses a name that a session has.
fn check_free(known: Option<&Session>, name: &str) -> Result<()> {
    if known.is_none_or(|known| known.state != Registration::Active) {
        return Ok(());
    }
    Err(Error::conflict(format!("session \"{name}\" is registered already, as another session"))
        .hint(format!("choose another --name, or free this one with `conveyor deregister {name}`")))
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

/// Registers a running session: under a new name, or as news about the session of that name.
pub(super) fn register(cx: &Context, store: &Store, running: &Running, role: Role, name: &str) -> Result<Session> {
    store.write(|w| write_down(cx, w, running, role, name))
}

fn write_down(cx: &Context, w: &Write<'_>, running: &Running, role: Role, name: &str) -> Result<Session> {
    let fresh = (cx.fresh_id("session"), cx.fresh_id("session-token"));
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
    let mut session = record(cx, w, known, fresh, cx.now())?;
    session.codex_home = running.codex_home.as_ref().map(|home| home.display().to_string());
    session.codex_version = running.version.clone().or(session.codex_version);
    store::sessions::save(w, &session)?;
    Ok(session)
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
fn suggestions(
    cx: &Context,
    tasks: &[Task],
    sessions: &[Session],
    bindings: &[Binding],
    running: &[RunningView],
) -> Vec<Suggestion> {
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
    let free_ones = || running.iter().filter(|running| running.registered_as.is_none() && !running.unattended);
    if free_ones().any(|running| running.is_in(&cx.env().cwd)) {
        found.push(Suggestion { command: "conveyor discover --adopt".to_owned(), kind: "adopt" });
    } else if free_ones().next().is_some() {
        found.push(Suggestion { command: "conveyor discover --adopt --all".to_owned(), kind: "adopt" });
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
            let which = self.running.iter().find(|running| running.registered_as.as_ref() == Some(name));
            let which = which.map(|running| format!("  {}", running.place())).unwrap_or_default();
            writeln!(out, "{} {name}{which}", if self.dry_run { "would adopt" } else { "adopted" })?;
        }
        for KeptRole { name, role } in &self.kept_role {
            writeln!(out, "{name} keeps its role, {role}: --role is for sessions that were never registered")?;
        }
        if self.left_out > 0 {
            let count = self.left_out;
            writeln!(out, "{count} in other folders left alone; --cwd DIR or --all takes them")?;
        }
        for task in &self.tasks {
            writeln!(out, "task     {}  {}  {}", task.name, task.word(), text::one_line(&task.goal))?;
        }
        let states: BTreeSet<TaskState> = self.tasks.iter().map(|task| task.state).collect();
        for state in states {
            writeln!(out, "         {state}: {}", state.meaning())?;
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
        // A registered session has its line above.
        let is_told = |running: &&RunningView| {
            let told = |name: &String| self.sessions.iter().any(|session| session.is_named(name));
            running.registered_as.as_ref().is_some_and(told)
        };
        for running in self.running.iter().filter(|running| !is_told(running)) {
            writeln!(out, "running  {}", running.line())?;
        }
        for suggestion in &self.suggestions {
            writeln!(out, "next: {}", suggestion.command)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session in the pane %1, whose shell is process 10.
    fn in_pane(thread: Option<&str>, pid: u32) -> Running {
        let process = |pid| ProcessId { pid, start_ticks: 7 };
        let pane = running::PaneSeen {
            socket: "/tmp/tmux".to_owned(),
            session_name: "mywork".to_owned(),
            id: "%1".parse().unwrap(),
            process: process(10),
        };
        let mut running = Running::default();
        running.thread_id = thread.map(str::to_owned);
        (running.pane, running.process) = (Some(pane), Some(process(pid)));
        running
    }

    /// The record of it, given up.
    fn given_up(name: &str, thread: Option<&str>, pid: i64) -> Session {
        let mut session =
            Session::new(name.to_owned(), name.to_owned(), Role::Manager, "t".to_owned(), Timestamp::from_millis(0));
        session.state = Registration::Gone;
        session.codex_session_id = thread.map(str::to_owned);
        (session.tmux_pane_id, session.tmux_socket) = (Some("%1".to_owned()), Some("/tmp/tmux".to_owned()));
        (session.pane_pid, session.pane_pid_start) = (Some(10), Some(7));
        (session.pid, session.pid_start) = (Some(pid), Some(7));
        session
    }

    #[test]
    fn a_former_name_belongs_to_its_thread_and_to_a_pane_only_where_no_thread_tells() {
        let was = |running: &Running, sessions: &[Session]| {
            registration_of(running, sessions).map(|session| session.name.clone())
        };
        let (boss, other) = (given_up("boss", Some("a"), 20), given_up("other", Some("b"), 21));
        let both = [boss.clone(), other.clone()];
        assert_eq!(was(&in_pane(Some("a"), 20), &both).as_deref(), Some("boss"), "not the last one of its pane");
        assert_eq!(was(&in_pane(Some("c"), 22), &both), None, "another Codex in the same shell");
        assert_eq!(was(&in_pane(None, 20), std::slice::from_ref(&boss)).as_deref(), Some("boss"), "the same process");
        assert_eq!(was(&in_pane(None, 22), std::slice::from_ref(&boss)), None);
        let unknown = given_up("new", None, 23);
        assert_eq!(was(&in_pane(Some("c"), 23), &[unknown.clone(), other]).as_deref(), Some("new"));
        let mut rebooted = unknown;
        rebooted.pane_pid_start = Some(6);
        assert_eq!(was(&in_pane(Some("c"), 23), &[rebooted]), None, "the shell of another day");
        let mut active = boss;
        active.state = Registration::Active;
        assert_eq!(
            was(&in_pane(Some("c"), 22), &[active]).as_deref(),
            Some("boss"),
            "one in force may change its thread"
        );
    }

    #[test]
    fn what_was_stopped_is_not_called_deregistered() {
        let mut view = RunningView::of(&in_pane(Some("a"), 20), Some(&given_up("boss", Some("a"), 20)));
        view.parting = Some(crate::model::session::Parting::Stopped);
        assert!(view.line().contains("was boss (manager), stopped"), "{}", view.line());
        view.parting = Some(crate::model::session::Parting::GivenUp);
        assert!(view.line().contains("was boss (manager), deregistered"), "{}", view.line());
    }

    #[test]
    fn two_sessions_stay_two_entries_and_a_thread_is_adopted_once() {
        let w1 = given_up("w1", Some("a"), 20);
        let view = |running: &Running| RunningView::of(running, Some(&w1));
        let mut served = Running::default();
        served.thread_id = Some("a".to_owned());
        let count = |found: [&Running; 2]| one_for_each(found.into_iter().map(view)).len();
        assert_eq!(count([&served, &in_pane(None, 20)]), 1, "the server's and the terminal that shows it");
        assert_eq!(count([&served, &in_pane(Some("b"), 21)]), 2);
        let mut elsewhere = in_pane(Some("a"), 22);
        elsewhere.pane.as_mut().unwrap().id = "%2".parse().unwrap();
        assert_eq!(count([&elsewhere, &in_pane(None, 20)]), 2);
        let once = one_for_each_thread(vec![&served, &elsewhere]);
        assert_eq!((once.len(), once[0].pane.is_some()), (1, true));
    }

    #[test]
    fn what_is_free_is_told_cleaned_and_with_those_whose_thread_nobody_tells() {
        let running = |thread: Option<&str>, preview: &str| {
            let mut running = Running::default();
            running.thread_id = thread.map(str::to_owned);
            running.cwd = Some("/tmp/a\u{1b}[31mb".into());
            running.preview = Some(preview.to_owned());
            running
        };
        let mut idle = running(Some("idle"), "x");
        idle.unattended = true;
        let found = vec![running(Some("t"), "two\nlines\u{7}"), running(None, &"x".repeat(500)), idle];
        let free = free(found, &[]);
        let one = &free.sessions[0];
        assert_eq!((free.sessions.len(), one.thread_id.as_str(), one.about.as_deref()), (1, "t", Some("two lines")));
        assert!(!one.cwd.as_ref().unwrap().contains('\u{1b}'));
        let unknown = &free.unknown[..];
        assert_eq!((unknown.len(), &unknown[0].cwd), (1, &one.cwd));
        assert!(unknown[0].about.as_ref().unwrap().chars().count() <= MAX_ABOUT);
    }
}
