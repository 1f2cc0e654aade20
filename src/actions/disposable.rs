//! `create-disposable-binding`: a task with a worker and a manager that live without tmux and fetch their messages.
//!
//! The sessions are threads of the Codex app or any other program that can run commands. No process is recorded for
//! them: the one that runs this command is over in a moment. Each gets a rollout of its own with nothing but a head,
//! so that it can be addressed and observed like any other session.

mod told;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde_json::json;

pub use self::told::DisposableBinding;
use super::{
    Action, Argv, Context, Format, TextArg, binding,
    caller::{self, Origin},
    fail, lookup,
    session::{self, Known},
    supervise::gate,
    task,
};
use crate::{
    base::{Error, Name, Result, Timestamp, text},
    model::{
        rollout::{Head, SessionSource},
        session::{Registration, Role, Session},
        task::Task,
    },
    ports,
    store::{self, Read, Write, audit},
};

/// Goal of a task that is created without one.
const GOAL: &str = "Work that a manager session hands to a worker session, message by message";

/// Which threads of the Codex app the sessions are.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct AppThreads {
    /// Thread id of the worker in the Codex app
    #[arg(long, value_name = "ID")]
    pub worker_codex_app_thread_id: Option<String>,
    /// Thread title of the worker in the Codex app
    #[arg(long, value_name = "TEXT")]
    pub worker_codex_app_thread_title: Option<String>,
    /// Thread id of the manager in the Codex app
    #[arg(long, value_name = "ID")]
    pub manager_codex_app_thread_id: Option<String>,
    /// Thread title of the manager in the Codex app
    #[arg(long, value_name = "TEXT")]
    pub manager_codex_app_thread_title: Option<String>,
}

/// Create a task with a worker and a manager that poll for their messages
///
/// For sessions without tmux, such as threads of the Codex app. All of it is recorded, or nothing. The task is taken
/// if it is there and open. The result names the commands with which each session gets its messages, and a text to
/// hand to the worker. Existing sessions of these names are taken if they have no pane and are not bound.
///
/// Example: `conveyor create-disposable-binding parser --goal "The parser accepts every recorded file" --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct CreateDisposableBinding {
    /// Task name; it is created when there is none
    #[arg(value_name = "TASK")]
    pub task: Name,
    /// What is to be achieved, when the task is created; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub goal: Option<TextArg>,
    /// A longer description, when the task is created; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub summary: Option<TextArg>,
    /// Name of the worker session [default: TASK-worker]
    #[arg(long, value_name = "NAME")]
    pub worker: Option<Name>,
    /// Name of the manager session [default: TASK-manager]
    #[arg(long, value_name = "NAME")]
    pub manager: Option<Name>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub threads: Box<AppThreads>,
    /// Folder for the sessions' rollouts [default: disposable-sessions beside the ledger]
    #[arg(long, value_name = "DIR")]
    pub session_dir: Option<PathBuf>,
    /// Working directory of both sessions, instead of this one
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
}

impl Action for CreateDisposableBinding {
    const NAME: &'static str = "create-disposable-binding";
    const FORMAT: Format = Format::Json;
    type Output = DisposableBinding;

    fn run(self, cx: &Context) -> Result<DisposableBinding> {
        let plan = self.plan(cx)?;
        let store = cx.ledger_or_create()?;
        // What cannot be done is said before a file is written.
        let origin = caller::origin(cx, &store)?;
        store.read(|r| plan.check(r, &origin))?;
        let made = if cx.dry_run() { Vec::new() } else { plan.write_rollouts(cx.now())? };
        let recorded = store.write(|w| plan.record(cx, w, &origin));
        if recorded.is_err() {
            made.iter().for_each(|path| {
                // The failure that is reported is the first one.
                let _ = fs::remove_file(path);
            });
        }
        Ok(recorded?.described(&store.path().display().to_string(), cx.dry_run()))
    }

    fn argv(&self) -> Argv {
        let Self { task, goal, summary, worker, manager, threads, session_dir, cwd } = self;
        let AppThreads {
            worker_codex_app_thread_id,
            worker_codex_app_thread_title,
            manager_codex_app_thread_id,
            manager_codex_app_thread_title,
        } = &**threads;
        Argv::new(Self::NAME)
            .text("--goal", goal.as_ref())
            .text("--summary", summary.as_ref())
            .option("--worker", worker.as_ref())
            .option("--manager", manager.as_ref())
            .option("--worker-codex-app-thread-id", worker_codex_app_thread_id.as_ref())
            .option("--worker-codex-app-thread-title", worker_codex_app_thread_title.as_ref())
            .option("--manager-codex-app-thread-id", manager_codex_app_thread_id.as_ref())
            .option("--manager-codex-app-thread-title", manager_codex_app_thread_title.as_ref())
            .option("--session-dir", session_dir.as_ref().map(|path| path.display()))
            .option("--cwd", cwd.as_ref().map(|path| path.display()))
            .end_of_options()
            .word(task)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.goal.iter_mut().chain(self.summary.iter_mut()).collect()
    }
}

impl CreateDisposableBinding {
    fn plan(self, cx: &Context) -> Result<Plan> {
        let member = |role: Role, name: Option<Name>, thread: Option<String>, title: Option<String>| {
            let name = name.map_or_else(|| format!("{}-{role}", self.task).parse(), Ok).map_err(|error| {
                Error::usage(format!("the {role} cannot be named after the task: {error}"))
                    .hint(format!("name it with --{role}"))
            })?;
            Ok::<_, Error>(Wanted { role, name, thread: thread.map(clean), title: title.map(clean) })
        };
        let worker = member(
            Role::Worker,
            self.worker.clone(),
            self.threads.worker_codex_app_thread_id.clone(),
            self.threads.worker_codex_app_thread_title.clone(),
        )?;
        let manager = member(
            Role::Manager,
            self.manager.clone(),
            self.threads.manager_codex_app_thread_id.clone(),
            self.threads.manager_codex_app_thread_title.clone(),
        )?;
        if worker.name == manager.name {
            return Err(Error::usage(format!("worker and manager are both named {}", worker.name)));
        }
        let env = cx.env();
        let beside = || env.ledger.parent().unwrap_or(&env.cwd).join("disposable-sessions");
        let folder = self.session_dir.as_ref().map_or_else(beside, |folder| env.absolute(folder));
        let cwd = self.cwd.as_ref().map_or_else(|| env.cwd.clone(), |cwd| env.absolute(cwd));
        for path in [&folder, &cwd] {
            if path.to_str().is_none() {
                return Err(Error::usage(format!("the path is no UTF-8: {}", path.display()))
                    .hint("the ledger stores paths as text"));
            }
        }
        let goal = self.goal.as_ref().map(TextArg::get).transpose()?.unwrap_or(GOAL);
        let summary = self.summary.as_ref().map(TextArg::get).transpose()?;
        let new_task = task::new(cx, &self.task, goal, summary)?;
        Ok(Plan { new_task, worker, manager, folder, cwd: cwd.display().to_string() })
    }
}

fn clean(text: String) -> String {
    text::clean(text.trim())
}

/// A session that is wanted.
struct Wanted {
    role: Role,
    name: Name,
    thread: Option<String>,
    title: Option<String>,
}

impl Wanted {
    /// The thread id of its rollout: nobody else's, and the same each time.
    fn thread_id(&self) -> String {
        format!("codex-{}", self.slug())
    }

    fn slug(&self) -> &str {
        self.name.as_str().trim_matches(['.', '-'])
    }

    fn rollout(&self, folder: &Path) -> PathBuf {
        folder.join(format!("rollout-{}.jsonl", self.slug()))
    }

    fn head(&self, cwd: &str) -> Head {
        Head {
            thread_id: self.thread_id(),
            session_id: None,
            cwd: Some(cwd.to_owned()),
            version: None,
            originator: Some(ORIGINATOR.to_owned()),
            source: SessionSource::Unsaid,
            forked_from: None,
            started_at: None,
            history_mode: None,
        }
    }
}

/// Who wrote the heads.
const ORIGINATOR: &str = "conveyor create-disposable-binding";

/// All that is to be recorded.
struct Plan {
    new_task: Task,
    worker: Wanted,
    manager: Wanted,
    folder: PathBuf,
    cwd: String,
}

impl Plan {
    fn members(&self) -> [&Wanted; 2] {
        [&self.worker, &self.manager]
    }

    /// Whether all of it can be done as things stand.
    fn check(&self, r: Read<'_>, origin: &Origin) -> Result<()> {
        let known = self.known_task(r)?;
        if let Some(task) = &known {
            gate::check_bind(r, origin, task)?;
        }
        if let Some(task) = known
            && let Some(binding) = store::bindings::active_of_task(r, &task.id)?
        {
            return Err(Error::conflict(format!(
                "task \"{}\" already has an active binding \"{}\"",
                task.name, binding.id
            ))
            .hint(format!("end it with `conveyor unbind --task {}`", task.name)));
        }
        for wanted in self.members() {
            let Some(known) = store::sessions::find(r, wanted.name.as_str())? else { continue };
            if known.role == wanted.role && known.state == Registration::Gone {
                continue;
            }
            let known = binding::bindable(r, wanted.name.as_str(), wanted.role)?;
            let is_other = known.codex_session_id.as_ref().is_some_and(|id| *id != wanted.thread_id());
            if known.tmux_pane_id.is_some() || known.tmux_session.is_some() || known.pid.is_some() || is_other {
                return Err(Error::conflict(format!("session \"{}\" is a running Codex session", known.name))
                    .hint(format!("bind it with `conveyor bind`, or choose another name with --{}", wanted.role)));
            }
        }
        Ok(())
    }

    /// The open task of this name.
    fn known_task(&self, r: Read<'_>) -> Result<Option<Task>> {
        Ok(store::tasks::find(r, &self.new_task.name)?.filter(|task| task.state.is_open()))
    }

    /// Writes the rollouts that are not there; their paths, so that they can be removed again.
    fn write_rollouts(&self, now: Timestamp) -> Result<Vec<PathBuf>> {
        let cannot = |action: &str, path: &Path, error: io::Error| {
            Error::io(format!("cannot {action} {}", path.display())).caused_by(error)
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| cannot("create", &self.folder, error))?;
        let mut made = Vec::new();
        for wanted in self.members() {
            let path = wanted.rollout(&self.folder);
            match self.write_rollout(wanted, &path, now) {
                Ok(true) => made.push(path),
                Ok(false) => {}
                Err(error) => {
                    made.iter().for_each(|path: &PathBuf| {
                        let _ = fs::remove_file(path);
                    });
                    return Err(error);
                }
            }
        }
        Ok(made)
    }

    /// Writes one rollout; false when it is there already.
    fn write_rollout(&self, wanted: &Wanted, path: &Path, now: Timestamp) -> Result<bool> {
        let cannot = |error: io::Error| Error::io(format!("cannot write {}", path.display())).caused_by(error);
        let line = json!({
            "payload": {
                "cwd": self.cwd,
                "id": wanted.thread_id(),
                "originator": ORIGINATOR,
                "timestamp": now,
            },
            "timestamp": now,
            "type": "session_meta",
        });
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                let written = file.write_all(format!("{line}\n").as_bytes());
                if written.is_err() {
                    let _ = fs::remove_file(path);
                }
                written.map(|()| true).map_err(cannot)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let head = ports::rollout::read_head(path).map_err(|error| fail::head(path, error))?;
                if head.thread_id == wanted.thread_id() {
                    return Ok(false);
                }
                Err(Error::conflict(format!("{} is the rollout of another session", path.display()))
                    .hint("choose another folder with --session-dir"))
            }
            Err(error) => Err(cannot(error)),
        }
    }

    fn record(&self, cx: &Context, w: &Write<'_>, origin: &Origin) -> Result<Recorded> {
        self.check(w.read(), origin)?;
        let now = cx.now();
        let known = self.known_task(w.read())?;
        let created = known.is_none();
        let task = known.unwrap_or_else(|| self.new_task.clone());
        if created {
            task::record(cx, w, &task)?;
        }
        let worker = self.register(cx, w, &self.worker, now)?;
        let manager = self.register(cx, w, &self.manager, now)?;
        let binding = binding::tie(cx, w, origin, &task, [&worker, &manager], now, now)?;
        let about = audit::About { task_id: Some(&task.id), session_id: None };
        let payload = json!({
            "binding_id": binding.id,
            "manager": manager.name,
            "run": null,
            "worker": worker.name,
        });
        audit::append(w, now, cx.actor(), "disposable_binding_created", about, &payload)?;
        let task = lookup::task(w.read(), &task.id)?;
        Ok(Recorded { binding_id: binding.id, task, created, worker, manager })
    }

    fn register(&self, cx: &Context, w: &Write<'_>, wanted: &Wanted, now: Timestamp) -> Result<Session> {
        let known = Known {
            name: wanted.name.to_string(),
            role: wanted.role,
            rollout: Some((wanted.rollout(&self.folder), wanted.head(&self.cwd))),
            process: None,
            pane: None,
            thread: session::ThreadNews::Same,
            cwd: Some(self.cwd.clone()),
            tmux_session: None,
            codex_app_thread_id: wanted.thread.clone(),
            codex_app_thread_title: wanted.title.clone(),
        };
        let mut session = session::record(cx, w, known, (cx.fresh_id("session"), cx.fresh_id("session-token")), now)?;
        if session.pid.is_some() || session.tmux_pane_id.is_some() || session.tmux_session.is_some() {
            // A name that a stopped session had: its place is not this one's.
            (session.pid, session.pid_start) = (None, None);
            (session.tmux_session, session.tmux_pane_id, session.tmux_socket) = (None, None, None);
            (session.pane_pid, session.pane_pid_start, session.tmux_owned) = (None, None, false);
            store::sessions::save(w, &session)?;
        }
        Ok(session)
    }
}

/// What was recorded.
struct Recorded {
    binding_id: String,
    task: Task,
    created: bool,
    worker: Session,
    manager: Session,
}
