//! Finds the Codex sessions that run on this machine, registered or not.
//!
//! Every way of telling which session runs where is tried: open rollouts and writer locks of the processes, the
//! thread id that a pane shows, Codex's background server, and for names and previews Codex's own database. What
//! is not certain is not claimed: a terminal whose thread nobody tells has none.

mod servers;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use self::servers::{add_loaded_threads, made_at};
pub use self::view::RunningView;
use super::sharing::{share_a_pane, shown};
use crate::{
    actions::Context,
    base::{Error, Result, Timestamp, text},
    model::{
        pane,
        rollout::{Head, SessionSource},
        session::Session,
    },
    ports::{
        process::{CodexProcess, CodexProcessKind, CodexScope, LockState, ProcessId, ProcessInfo},
        rollout,
        tmux::{CaptureOptions, PaneId, PaneInfo},
    },
    store::{self, codex_state},
    text_enum,
};

/// How far up the process tree a pane is looked for.
const MAX_ANCESTORS: usize = 16;
/// How exactly the start of a process is known.
const START_SLACK_MILLIS: i64 = 1_500;

text_enum! {
    /// What told which thread it is.
    pub enum KnownBy {
        /// Its process holds the rollout open for writing.
        OpenRollout => "open_rollout",
        /// Its process holds the thread's writer lock.
        WriterLock => "writer_lock",
        /// Its pane shows the thread id.
        Screen => "screen",
        /// Codex's background server has it loaded.
        Server => "server",
        /// It is the only thread of the server in the directory of this terminal.
        OnlyInDirectory => "only_in_directory",
    }
}

/// A tmux pane that holds a Codex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::actions) struct PaneSeen {
    pub socket: String,
    pub session_name: String,
    pub id: PaneId,
    pub process: ProcessId,
}

/// A running session.
#[derive(Debug, Clone, Default)]
pub(in crate::actions) struct Running {
    pub thread_id: Option<String>,
    pub rollout: Option<PathBuf>,
    pub head: Option<Head>,
    pub cwd: Option<PathBuf>,
    pub codex_home: Option<PathBuf>,
    pub process: Option<ProcessId>,
    /// The script that began this process and waits for it, as npm installs one: a record may name it.
    pub wrapper: Option<ProcessId>,
    pub pane: Option<PaneSeen>,
    pub name: Option<String>,
    pub preview: Option<String>,
    pub version: Option<String>,
    pub ways: BTreeSet<KnownBy>,
    /// Codex's server has it loaded, but no turn is open and no terminal can show it.
    pub unattended: bool,
    /// When its process was started; none when that cannot be told.
    started_at: Option<Timestamp>,
    /// Which threads its command line took up again.
    takes_up: TakesUp,
}

/// Which threads a terminal may show that are older than itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum TakesUp {
    /// None: it began with a thread of its own.
    #[default]
    Nothing,
    /// `codex resume ID`.
    Thread(String),
    /// One that the person chose from a list.
    Chosen,
}

impl TakesUp {
    fn of(argv: &[String]) -> Self {
        let Some(place) = argv.iter().position(|word| word == "resume" || word == "fork") else {
            return Self::Nothing;
        };
        let id = argv[place + 1..].iter().find(|word| uuid::Uuid::parse_str(word).is_ok());
        id.map_or(Self::Chosen, |id| Self::Thread(id.clone()))
    }
}

impl Running {
    /// Whether its terminal can show this thread: one that is older than its process has to be taken up by name.
    pub fn can_show(&self, thread_id: &str) -> bool {
        let (Some(started_at), Some(made_at)) = (self.started_at, made_at(thread_id)) else { return true };
        made_at.as_millis() >= started_at.as_millis() - START_SLACK_MILLIS
            || match &self.takes_up {
                TakesUp::Nothing => false,
                TakesUp::Thread(taken) => taken == thread_id,
                TakesUp::Chosen => true,
            }
    }

    /// Whether it runs in the pane of this record, and the pane still holds the same process.
    pub fn is_in_pane_of(&self, session: &Session) -> bool {
        self.pane.as_ref().is_some_and(|pane| {
            session.tmux_pane_id.as_deref() == Some(pane.id.to_string().as_str())
                && session.tmux_socket.as_deref() == Some(pane.socket.as_str())
                && session.pane_pid == Some(i64::from(pane.process.pid))
        })
    }

    /// Whether its process is the one of this record, or was begun by it.
    pub fn is_process_of(&self, session: &Session) -> bool {
        let recorded = session.pid.zip(session.pid_start).and_then(|(pid, start)| ProcessId::from_stored(pid, start));
        recorded.is_some() && (recorded == self.process || recorded == self.wrapper)
    }

    /// Whether its terminal works in this thread's folder and can show it.
    pub fn fits(&self, thread: &Running) -> bool {
        self.cwd.is_some() && self.cwd == thread.cwd && thread.thread_id.as_deref().is_some_and(|id| self.can_show(id))
    }

    /// Started by another agent, not by a person.
    pub fn is_sub_agent(&self) -> bool {
        self.head.as_ref().is_some_and(|head| matches!(head.source, SessionSource::SubAgent { .. }))
    }
}

/// Every running session that can be seen.
pub(in crate::actions) fn scan(cx: &Context) -> Vec<Running> {
    scan_with(cx, &panes_of(cx, None, &recorded_sockets(cx)))
}

fn scan_with(cx: &Context, panes: &[(PaneInfo, PaneSeen)]) -> Vec<Running> {
    let mut found: Vec<Running> = terminals(cx).into_iter().map(|process| of_process(cx, &process, panes)).collect();
    let mut homes: BTreeSet<PathBuf> = cx.env().codex_home.iter().cloned().collect();
    homes.extend(found.iter().filter_map(|running| running.codex_home.clone()));
    for home in &homes {
        add_loaded_threads(home, &mut found);
        add_locked_threads(cx, home, &mut found);
    }
    for running in &mut found {
        complete(running);
    }
    found.retain(|running| !running.is_sub_agent());
    found.sort_by(|a, b| (&a.cwd, &a.thread_id).cmp(&(&b.cwd, &b.thread_id)));
    found
}

/// The session of a process: its own, or of a process below it.
///
/// # Errors
/// When several sessions run below it, none of them within another.
pub(in crate::actions) fn of_pid(cx: &Context, pid: u32) -> Result<Option<Running>> {
    let tree = own_tree(cx, pid);
    let own = |running: &Running| running.process.map(|process| process.pid).filter(|pid| tree.contains(pid));
    let found: Vec<Running> = scan(cx).into_iter().filter(|running| own(running).is_some()).collect();
    let mut found = outermost(cx, found);
    if found.len() > 1 {
        return Err(several(pid, &found));
    }
    // A process that is no Codex by name may still write a rollout.
    Ok(found.pop().or_else(|| {
        let mut running = Running { process: cx.processes().identify(pid).ok(), ..Running::default() };
        tree.iter().for_each(|pid| look_at_files(cx, *pid, &mut running));
        complete(&mut running);
        running.thread_id.is_some().then_some(running)
    }))
}

/// A Codex that another one runs belongs to that one.
fn outermost(cx: &Context, mut found: Vec<Running>) -> Vec<Running> {
    if found.len() > 1 {
        let pid = |running: &Running| running.process.map(|process| process.pid);
        let below: BTreeSet<u32> = found
            .iter()
            .filter_map(pid)
            .flat_map(|pid| own_tree(cx, pid).into_iter().filter(move |one| *one != pid))
            .collect();
        found.retain(|running| pid(running).is_some_and(|pid| !below.contains(&pid)));
    }
    found
}

/// How many sessions an error names.
const NAMED: usize = 8;

fn several(pid: u32, found: &[Running]) -> Error {
    Error::refused(format!("{} Codex sessions run below process {pid}: {}", found.len(), named(found)))
        .hint("give the --pid or the --tmux-pane of the one that is meant; `conveyor discover` tells more")
}

/// Refuses a pane in which nobody can tell who would read what is typed.
fn several_in_pane(pane: PaneId, found: &[Running]) -> Error {
    Error::refused(format!(
        "{} Codex sessions run in pane {pane}, and nothing tells which of them is in the foreground: {}",
        found.len(),
        named(found)
    ))
    .hint("bring the one that is meant to the foreground there, or give its --pid instead of --tmux-pane")
}

/// Sessions by their processes, in one line.
fn named(found: &[Running]) -> String {
    let one = |running: &Running| {
        let pid = running.process.map_or_else(|| "?".to_owned(), |process| process.pid.to_string());
        let place = running.pane.as_ref().map(|pane| format!(" in pane {}", pane.id));
        let cwd = running.cwd.as_ref().map(|cwd| format!(" at {}", cwd.display()));
        format!("{pid}{}{}", place.unwrap_or_default(), cwd.unwrap_or_default())
    };
    let mut named: Vec<String> = found.iter().take(NAMED).map(one).collect();
    if found.len() > NAMED {
        named.push(format!("{} more", found.len() - NAMED));
    }
    named.join(", ")
}

/// The session in a pane; none when there is no such pane.
///
/// # Errors
/// When several run there and nothing tells which of them the pane shows.
pub(in crate::actions) fn of_pane(cx: &Context, socket: Option<&str>, pane: PaneId) -> Result<Option<Running>> {
    let seen = panes(cx, socket);
    let is_meant = |seen: &PaneSeen| seen.id == pane && socket.is_none_or(|socket| seen.socket == socket);
    let Some((info, meant)) = seen.iter().find(|(_, seen)| is_meant(seen)).cloned() else { return Ok(None) };
    let here = |running: &Running| running.pane.as_ref() == Some(&meant);
    let found: Vec<Running> = scan_with(cx, &seen).into_iter().filter(here).collect();
    if let Some(first) = found.first() {
        let others: Vec<&Running> = found.iter().filter(|other| share_a_pane(first, other)).collect();
        let only = if others.is_empty() { Some(first) } else { shown(cx, first, &others) };
        if let Some(only) = only {
            return Ok(Some(only.clone()));
        }
        let mut left = outermost(cx, found);
        return if left.len() == 1 { Ok(left.pop()) } else { Err(several_in_pane(pane, &left)) };
    }
    let mut running = Running { cwd: info.current_path, pane: Some(meant.clone()), ..Running::default() };
    // A process that is no Codex by name may still be one.
    for pid in own_tree(cx, meant.process.pid) {
        look_at_files(cx, pid, &mut running);
        if running.thread_id.is_some() {
            running.process = cx.processes().identify(pid).ok();
            running.codex_home = cx.processes().codex_home(pid).ok().flatten().or(cx.env().codex_home.clone());
            break;
        }
    }
    complete(&mut running);
    Ok(Some(running))
}

/// A pane, whatever runs in it.
pub(in crate::actions) fn pane(cx: &Context, socket: Option<&str>, pane: PaneId) -> Option<PaneSeen> {
    let here = |seen: &PaneSeen| seen.id == pane && socket.is_none_or(|socket| seen.socket == socket);
    panes(cx, socket).into_iter().map(|(_, seen)| seen).find(here)
}

/// All panes of the servers that a pane's number can mean: `named`, the one new sessions are started in, and the default
/// one.
fn panes(cx: &Context, named: Option<&str>) -> Vec<(PaneInfo, PaneSeen)> {
    panes_of(cx, named, &[])
}

/// The same with those of the servers that sessions on record ran in.
fn panes_of(cx: &Context, named: Option<&str>, recorded: &[String]) -> Vec<(PaneInfo, PaneSeen)> {
    let configured = cx.env().tmux_socket.as_ref().map(|path| path.display().to_string());
    let mut found: Vec<(PaneInfo, PaneSeen)> = Vec::new();
    // A number stands for a pane in each server: the one that was named comes first, then the one that is set for new
    // sessions.
    let named_first = [named.map(str::to_owned), configured].into_iter().flatten().map(Some);
    for socket in named_first.chain([None]).chain(recorded.iter().cloned().map(Some)) {
        let tmux = cx.tmux(socket.as_deref());
        let (Ok(server), Ok(panes)) = (tmux.server_info(), tmux.panes()) else { continue };
        if found.iter().any(|(_, seen)| seen.socket == server.socket) {
            continue;
        }
        found.extend(panes.into_iter().filter(|info| !info.dead).filter_map(|info| {
            let seen = PaneSeen {
                socket: server.socket.clone(),
                session_name: info.session_name.clone(),
                id: info.id,
                process: cx.processes().identify(info.pid).ok()?,
            };
            Some((info, seen))
        }));
    }
    found
}

/// The most tmux servers that are asked because a session on record ran there.
const RECORDED_SERVERS: usize = 8;

/// The sockets of the tmux servers of sessions on record, the last registered first.
fn recorded_sockets(cx: &Context) -> Vec<String> {
    let sessions = cx.ledger().ok().and_then(|store| store.read(store::sessions::list).ok()).unwrap_or_default();
    let mut sockets: Vec<String> = Vec::new();
    for socket in sessions.into_iter().rev().filter_map(|session| session.tmux_socket) {
        if !sockets.contains(&socket) {
            sockets.push(socket);
        }
    }
    sockets.truncate(RECORDED_SERVERS);
    sockets
}

/// The Codex processes that stand for a session; a Node wrapper whose native child runs is left out.
fn terminals(cx: &Context) -> Vec<CodexProcess> {
    let all = cx.processes().codex_processes(CodexScope::Sessions).unwrap_or_default();
    let parents: BTreeSet<u32> = all.iter().map(|process| process.parent).collect();
    all.into_iter()
        .filter(|process| process.kind != CodexProcessKind::Wrapper || !parents.contains(&process.id.pid))
        .collect()
}

fn of_process(cx: &Context, process: &CodexProcess, panes: &[(PaneInfo, PaneSeen)]) -> Running {
    let pid = process.id.pid;
    let wrapper = cx.processes().info(process.parent).ok();
    let wrapper = wrapper.filter(|info| info.codex_kind() == Some(CodexProcessKind::Wrapper));
    let mut running = Running {
        process: Some(process.id),
        wrapper: wrapper.map(|info| info.id),
        cwd: cx.processes().cwd(pid).ok(),
        codex_home: cx.processes().codex_home(pid).ok().flatten().or_else(|| cx.env().codex_home.clone()),
        started_at: cx.processes().started_at(process.id),
        takes_up: TakesUp::of(&process.argv),
        ..Running::default()
    };
    look_at_files(cx, pid, &mut running);
    if let Some((info, seen)) = pane_of(cx, pid, panes) {
        if running.thread_id.is_none()
            && let Ok(screen) = cx.tmux(Some(&seen.socket)).capture(seen.id, CaptureOptions::default())
            && let Some(thread) = pane::read_pane(&screen, Some(&info.title)).thread_id
        {
            running.thread_id = Some(thread);
            running.ways.insert(KnownBy::Screen);
        }
        running.pane = Some(seen.clone());
    }
    running
}

/// The pane among whose processes this one is.
fn pane_of<'p>(cx: &Context, pid: u32, panes: &'p [(PaneInfo, PaneSeen)]) -> Option<&'p (PaneInfo, PaneSeen)> {
    let mut pid = pid;
    for _ in 0..MAX_ANCESTORS {
        if let Some(found) = panes.iter().find(|(info, _)| info.pid == pid) {
            return Some(found);
        }
        pid = cx.processes().info(pid).ok()?.parent;
    }
    None
}

/// Rollouts and writer locks that a process holds open.
fn look_at_files(cx: &Context, pid: u32, running: &mut Running) {
    let Some(held) = held_by(cx, pid) else { return };
    running.thread_id = Some(held.thread_id);
    running.rollout = held.rollout.or(running.rollout.take());
    running.ways.extend(held.ways);
}

/// A process and those below it, without Codex's background server and what that runs: the first terminal starts the
/// server as its child, and the server holds the threads of everybody.
pub(in crate::actions) fn own_tree(cx: &Context, pid: u32) -> Vec<u32> {
    without_server(cx.processes().tree(pid).unwrap_or_default())
}

/// The same out of a listing of the processes.
pub(in crate::actions) fn own_tree_among(cx: &Context, pid: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    without_server(cx.processes().tree_among(pid, parents))
}

fn without_server(tree: Vec<ProcessInfo>) -> Vec<u32> {
    let mut own = Vec::new();
    let mut left_out = BTreeSet::new();
    for process in tree {
        let pid = process.id.pid;
        // Breadth first: a parent comes before its children.
        if process.codex_kind() == Some(CodexProcessKind::Server) || left_out.contains(&process.parent) {
            left_out.insert(pid);
        } else {
            own.push(pid);
        }
    }
    own
}

/// What a process's open files say about its thread.
#[derive(Debug, Clone)]
pub(in crate::actions) struct Held {
    pub thread_id: String,
    pub rollout: Option<PathBuf>,
    pub ways: Vec<KnownBy>,
}

/// A lock whose thread has no rollout after this long belongs to a new conversation; before, it may be one of Codex's
/// short helpers, or a sub-agent whose rollout is about to appear.
const LOCK_SETTLES: Duration = Duration::from_secs(10);

/// The thread that a process works on, by its open files.
///
/// `/new`, `/clear` and `/fork` leave the old rollout open and its lock held, and take the lock of the new thread
/// before its rollout exists. Thread ids grow with time, so the newest one counts; sub-agents of the thread, which
/// run in the same process, do not.
pub(in crate::actions) fn held_by(cx: &Context, pid: u32) -> Option<Held> {
    let files = cx.processes().session_files(pid).ok()?;
    let is_held = |lock: &PathBuf| matches!(cx.processes().lock_state(lock), Ok(LockState::Held(owner)) if owner.is_none_or(|owner| owner == pid));
    let mut threads: BTreeMap<String, Held> = BTreeMap::new();
    for open in files.rollouts.into_iter().filter(|rollout| rollout.writable) {
        let Some(thread_id) = rollout::thread_id_of(&open.path).map(str::to_owned) else { continue };
        let held = Held { thread_id: thread_id.clone(), rollout: Some(open.path), ways: vec![KnownBy::OpenRollout] };
        threads.insert(thread_id, held);
    }
    for lock in files.writer_locks.iter().filter(|lock| is_held(lock)) {
        let Some(thread_id) = lock.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
        let rollout = || {
            let home = lock.parent()?.parent()?;
            rollout::rollout_of_thread(home, &thread_id)
        };
        let held = threads.entry(thread_id.clone()).or_insert_with(|| Held {
            rollout: rollout(),
            thread_id: thread_id.clone(),
            ways: Vec::new(),
        });
        held.ways.push(KnownBy::WriterLock);
        if held.rollout.is_none() && !has_settled(lock) {
            threads.remove(&thread_id);
        }
    }
    threads.retain(|_, held| !held.rollout.as_deref().is_some_and(is_sub_agents));
    threads.pop_last().map(|(_, held)| held)
}

fn has_settled(lock: &Path) -> bool {
    let age = std::fs::metadata(lock).and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age >= LOCK_SETTLES)
}

fn is_sub_agents(rollout: &Path) -> bool {
    rollout::read_head(rollout).is_ok_and(|head| matches!(head.source, SessionSource::SubAgent { .. }))
}

/// Threads whose writer lock somebody holds whom we could not look into.
fn add_locked_threads(cx: &Context, home: &Path, found: &mut Vec<Running>) {
    for lock in cx.processes().writer_locks(home).unwrap_or_default() {
        let LockState::Held(owner) = lock.state else { continue };
        if found.iter().any(|running| running.thread_id.as_deref() == Some(lock.thread_id.as_str())) {
            continue;
        }
        let process = owner.and_then(|pid| cx.processes().identify(pid).ok());
        // The lock tells the thread of a terminal that showed nothing else.
        let nameless = found
            .iter_mut()
            .find(|running| running.thread_id.is_none() && running.process.is_some() && running.process == process);
        match nameless {
            Some(running) => {
                running.thread_id = Some(lock.thread_id);
                running.ways.insert(KnownBy::WriterLock);
            }
            None => found.push(Running {
                thread_id: Some(lock.thread_id),
                codex_home: Some(home.to_owned()),
                process,
                ways: BTreeSet::from([KnownBy::WriterLock]),
                ..Running::default()
            }),
        }
    }
}

fn merge(known: &mut Running, more: Running) {
    known.rollout = known.rollout.take().or(more.rollout);
    known.cwd = more.cwd.or(known.cwd.take());
    known.name = known.name.take().or(more.name);
    known.preview = known.preview.take().or(more.preview);
    known.version = known.version.take().or(more.version);
    known.ways.extend(more.ways);
}

/// Adds what files and Codex's database know about the thread.
fn complete(running: &mut Running) {
    let (Some(thread), Some(home)) = (running.thread_id.clone(), running.codex_home.clone()) else {
        return;
    };
    if let Some(known) = codex_state::threads(&home, std::slice::from_ref(&thread)).pop() {
        let shown = |text: Option<String>| text.map(|text| text::bounded(&text::one_line(&text::clean(&text)), 200));
        let more = Running {
            rollout: known.rollout_path,
            cwd: running.cwd.clone().or(known.cwd),
            name: shown(known.name),
            preview: shown(known.preview),
            version: known.cli_version,
            ..Running::default()
        };
        merge(running, more);
    }
    running.rollout =
        running.rollout.take().filter(|path| path.exists()).or_else(|| rollout::rollout_of_thread(&home, &thread));
    running.head = running.rollout.as_ref().and_then(|path| rollout::read_head(path).ok());
    if let Some(head) = &running.head {
        running.cwd = running.cwd.take().or_else(|| head.cwd.as_ref().map(PathBuf::from));
        running.version = running.version.take().or_else(|| head.version.clone());
    }
}
