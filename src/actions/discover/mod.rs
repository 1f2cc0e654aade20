//! `discover` (alias `search`): find tasks, sessions and bindings, and the Codex sessions that run unregistered.

mod adopting;
pub(super) mod running;
mod sharing;

pub(super) use adopting::{register, registered_as};
pub use running::KnownBy;

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Action, Argv, Context, Format, Outcome, session::SessionView};
use crate::{
    base::{Kind, Name, Result, Timestamp, text},
    model::{
        session::{Parting, Registration, Role, Session},
        task::{Binding, BindingState, Task, TaskState},
    },
    store::{self, Store},
};
use adopting::{Adopted, adopt, joined, registration_of};
use running::{Running, RunningView};
use sharing::{NotAdopted, holder_of_pane};

/// Find tasks, sessions and bindings, and Codex sessions that run unregistered
///
/// A query is looked for in names, goals, folders and ids. With `--adopt` the unregistered sessions that match are
/// registered as workers; one that was deregistered gets its name and its role back. Without a query these are the sessions of this folder and those below it: `--cwd` names
/// another, `--all` takes every folder. A session whose thread nobody can tell, or that is merely loaded in Codex's
/// server, is left alone. Of several in one pane the one in the foreground is taken, and each of the others is named with
/// the reason why it is not. `--dry-run` says what would be taken.
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
    /// With --adopt: those that match and share a pane with another session, each with the reason why it is left alone.
    not_adopted: Vec<NotAdopted>,
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
        let found = joined(running::scan(cx), &on_record(cx)?);
        let scope = self.scope(cx, query.as_deref());
        let Adopted { names: adopted, kept_role, left_out, not_adopted } =
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
        let mut running = one_for_each(shown.map(|one| RunningView::of(one, registration_of(one, &sessions, &found))));
        running.truncate(limit);
        for view in running.iter_mut().filter(|view| view.registered_as.is_none()) {
            let former = sessions.iter().find(|session| view.known_as.as_ref() == Some(&session.name));
            if let (Some(store), Some(former)) = (&store, former) {
                let left = store.read(|r| store::audit::parting(r, &former.id))?;
                view.parting = Some(left.map_or(Parting::Stopped, |(how, _)| how));
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
            not_adopted,
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
    let sessions = on_record(cx)?;
    Ok(free(joined(running::scan(cx), &sessions), &sessions))
}

/// The sessions on record; before the first registration there are none.
fn on_record(cx: &Context) -> Result<Vec<Session>> {
    match cx.ledger() {
        Ok(store) => Ok(store.read(store::sessions::list)?),
        Err(error) if error.kind() == Kind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What of that is not registered and has somebody who attends to it. Its texts are Codex's and its user's: cleaned.
fn free(found: Vec<Running>, sessions: &[Session]) -> Unregistered {
    let short = |text: String| text::bounded(&text::one_line(&text::clean(&text)), MAX_ABOUT);
    let mut answer = Unregistered::default();
    let is_free = |running: &&Running| {
        !running.unattended
            && registered_as(running, sessions, &found).is_none()
            // Another session has its pane, and one pane stands for one session.
            && holder_of_pane(running, sessions).is_none()
    };
    for running in found.iter().filter(is_free).cloned() {
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

/// One entry for each session. Two threads, or two panes, are two sessions.
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
    let is_taken =
        |one: &RunningView| running.iter().any(|other| other.registered_as.is_some() && other.is_beside(one));
    let is_free = |one: &&RunningView| one.registered_as.is_none() && !one.unattended && !is_taken(one);
    let free_ones = || running.iter().filter(is_free);
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
        for left in &self.not_adopted {
            writeln!(out, "{left}")?;
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
mod tests;
