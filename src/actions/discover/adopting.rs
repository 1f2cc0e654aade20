//! Which record a running session belongs to, and registering those that have none.

use std::collections::BTreeSet;

use super::{
    Discover, KeptRole, Scope,
    running::Running,
    sharing::{NotAdopted, one_for_each_pane, share_a_pane},
};
use crate::{
    actions::{
        Context, ingest, live, sense,
        session::{Known, ThreadNews, known_sessions, record},
        supervise::gate,
    },
    base::{Error, Result, text},
    model::session::{Registration, Role, Session},
    ports::process::ProcessId,
    store::{self, Store, Write},
};

/// The name under which a running session is registered; `found` is what else runs.
pub(in crate::actions) fn registered_as(running: &Running, sessions: &[Session], found: &[Running]) -> Option<String> {
    let registration = registration_of(running, sessions, found);
    registration.filter(|session| session.state == Registration::Active).map(|session| session.name.clone())
}

/// The record of a running session. One in force goes before one that was given up, and of those the last one; among
/// each what has its thread goes before what has its pane. `found` is what else runs: a pane's record whose thread another
/// process shows there is of that one.
pub(super) fn registration_of<'s>(
    running: &Running,
    sessions: &'s [Session],
    found: &[Running],
) -> Option<&'s Session> {
    let has_thread = |session: &&Session| running.thread_id.is_some() && session.codex_session_id == running.thread_id;
    let in_pane = |session: &&Session| running.is_in_pane_of(session);
    let is_anothers = |session: &&Session| {
        let has_it = |other: &Running| other.thread_id.is_some() && other.thread_id == session.codex_session_id;
        found.iter().any(|other| has_it(other) && share_a_pane(running, other))
    };
    let active = || sessions.iter().filter(|session| session.state == Registration::Active);
    let gone = || sessions.iter().rev().filter(|session| session.state == Registration::Gone);
    active()
        .find(has_thread)
        .or_else(|| active().filter(in_pane).find(|session| !is_anothers(session)))
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
        && (codex.is_none() || running.process.is_none() || codex == running.process || codex == running.wrapper)
}

/// What runs, with each thread of Codex's server together with the terminal that shows it, where the record tells that
/// they were one and the terminal is still the same process: nothing on the screen of such a terminal ties them. Where it
/// may have gone on to another thread, or another Codex runs in the pane now, which thread it shows is not known.
pub(super) fn joined(mut found: Vec<Running>, sessions: &[Session]) -> Vec<Running> {
    let former = |running: &Running| registration_of(running, sessions, &[]);
    let is_nameless = |running: &Running| running.thread_id.is_none() && running.pane.is_some();
    let nameless: Vec<(Running, &Session)> = found
        .iter()
        .filter(|running| is_nameless(running))
        .filter_map(|running| Some((running.clone(), former(running)?)))
        .collect();
    // Threads without a terminal and without a record: the new ones of somebody.
    let has_no_terminal = |running: &Running| running.thread_id.is_some() && running.pane.is_none();
    let is_strange = |running: &&Running| has_no_terminal(running) && former(running).is_none();
    let strange: Vec<Running> = found.iter().filter(is_strange).cloned().collect();
    let mut shown = Vec::new();
    for thread in found.iter_mut().filter(|running| has_no_terminal(running)) {
        let Some(record) = former(thread) else { continue };
        // Two of one record are none's for certain.
        let mut terminals = nameless.iter().filter(|(_, of)| of.id == record.id).map(|(terminal, _)| terminal);
        let (Some(terminal), None) = (terminals.next(), terminals.next()) else { continue };
        let can_show_it = thread.thread_id.as_deref().is_some_and(|id| terminal.can_show(id));
        let may_show_another =
            || strange.iter().any(|other| terminal.codex_home == other.codex_home && terminal.fits(other));
        if !terminal.is_process_of(record) || !can_show_it || may_show_another() {
            continue;
        }
        thread.pane.clone_from(&terminal.pane);
        (thread.process, thread.wrapper) = (terminal.process, terminal.wrapper);
        thread.cwd = terminal.cwd.clone().or(thread.cwd.take());
        thread.unattended = false;
        shown.push(terminal.process);
    }
    found.retain(|running| !is_nameless(running) || !shown.contains(&running.process));
    found
}

fn is_adoptable(running: &Running, sessions: &[Session], found: &[Running]) -> bool {
    running.thread_id.is_some() && !running.unattended && registered_as(running, sessions, found).is_none()
}

/// What `--adopt` has done.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    pub names: Vec<String>,
    pub kept_role: Vec<KeptRole>,
    /// How many are meant and run in other folders.
    pub left_out: usize,
    /// Those that are meant and share a pane with another session, which has it.
    pub not_adopted: Vec<NotAdopted>,
}

/// Registers the unregistered sessions that are meant.
pub(super) fn adopt(cx: &Context, request: &Discover, scope: &Scope<'_>, found: &[Running]) -> Result<Adopted> {
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
    let meant = found.iter().filter(|running| scope.means(running) && is_adoptable(running, &sessions, found));
    let (here, elsewhere): (Vec<&Running>, Vec<&Running>) = meant.partition(|running| scope.is_here(running));
    let (mut wanted, not_adopted) = one_for_each_pane(cx, one_for_each_thread(here), found, &sessions);
    wanted.truncate(request.at_most());
    // Whoever names a folder knows that there are others.
    let left_out = if request.cwd.is_none() { elsewhere.len() } else { 0 };
    if request.name.is_some() && wanted.len() != 1 {
        let error = Error::refused(format!("--name needs exactly one unregistered session, found {}", wanted.len()));
        return Err(match (wanted.as_slice(), not_adopted.first()) {
            ([], Some(left)) => error.hint(left.to_string()),
            _ => error.hint("narrow the search with a part of its id, folder or tmux session"),
        });
    }
    if wanted.is_empty() {
        return Ok(Adopted { left_out, not_adopted, ..Adopted::default() });
    }
    let store = cx.ledger_or_create()?;
    let mut taken: BTreeSet<String> = sessions.iter().map(|session| session.name.clone()).collect();
    let mut adopted: Vec<String> = Vec::new();
    let mut kept_role = Vec::new();
    let new_role = request.role.unwrap_or(Role::Worker);
    // Who has the thread of a former session goes before who has its pane.
    let former = |running: &&Running| registration_of(running, &sessions, found);
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
    Ok(Adopted { names: adopted, kept_role, left_out, not_adopted })
}

/// One of those that show the same thread: it belongs to one session.
pub(super) fn one_for_each_thread(meant: Vec<&Running>) -> Vec<&Running> {
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
pub(in crate::actions) fn register(
    cx: &Context,
    store: &Store,
    running: &Running,
    role: Role,
    name: &str,
) -> Result<Session> {
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
