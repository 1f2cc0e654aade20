//! Who gave a command, and which registered session it runs in: told by the processes above it, not by what it says.

use std::path::Path;

use super::{Action as _, Actor, Context, Epilogue};
use crate::{
    base::Result,
    model::session::{Registration, Role, Session},
    ports::{env::STEP_MARK, machine, process::ProcessId},
    store::{self, Store},
};

/// Who gave a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    /// No Codex is above it: a person, or a script of theirs.
    Operator,
    /// A registered session.
    Session(Box<Session>),
    /// Some Codex is above it, and nothing tells which session of its; or a closing step, which runs a worker's code.
    Hidden,
}

impl Origin {
    /// Who acts, for the audit trail. Of a hidden session the trail says that it is one (`origin`): only managers are
    /// given the ledger's folder.
    pub(super) fn actor(&self, cx: &Context) -> Actor {
        match self {
            Self::Operator => cx.actor(),
            Self::Session(session) if session.role == Role::Worker => Actor::Worker,
            Self::Session(_) | Self::Hidden => Actor::Manager,
        }
    }

    /// It is a worker, or hides, and nothing tells that it is none: by hiding a worker gains nothing.
    pub(super) fn may_be_worker(&self) -> bool {
        match self {
            Self::Operator => false,
            Self::Session(session) => session.role == Role::Worker,
            Self::Hidden => true,
        }
    }

    /// Why it does no manager's work, in words.
    pub(super) fn as_worker(&self) -> &'static str {
        if *self == Self::Hidden { "may be a worker" } else { "is a worker" }
    }

    /// Which session it is, as the audit trail names it; none for the operator.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Operator => None,
            Self::Session(session) => Some(session.name.clone()),
            Self::Hidden => Some(self.words()),
        }
    }

    /// It in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Operator => "the operator".to_owned(),
            Self::Session(session) => format!("{} {}", session.role, session.name),
            Self::Hidden => "a session of Codex's that cannot be told from here".to_owned(),
        }
    }
}

/// Who gave this command. Below Codex's server and in its sandbox the processes above do not say which session it is;
/// there the thread that Codex names counts, and only there: a shell elsewhere may have inherited the name.
/// What a tool of a closing step gives is a worker's code as likely as not, and nobody's word, whoever runs the step.
pub(super) fn origin(cx: &Context, store: &Store) -> Result<Origin> {
    if is_below_step(cx) {
        return Ok(Origin::Hidden);
    }
    if let Some(session) = session(cx, store)? {
        return Ok(Origin::Session(Box::new(session)));
    }
    // Who cannot be told apart from a Codex is not called a person.
    let is_below_codex = || cx.processes().any_codex(&ancestors(cx)).unwrap_or(true);
    if !cx.processes().in_sandbox() && !is_below_codex() {
        return Ok(Origin::Operator);
    }
    let Some(thread) = cx.env().codex_thread.as_deref() else { return Ok(Origin::Hidden) };
    let sessions = store.read(store::sessions::list)?;
    let named = sessions
        .into_iter()
        .find(|session| session.state == Registration::Active && session.codex_session_id.as_deref() == Some(thread));
    Ok(named.map_or(Origin::Hidden, |session| Origin::Session(Box::new(session))))
}

/// A closing step runs this command, or something above it, as a tool. A tool can take the mark out of the environment
/// of what it begins, and not out of its own, nor can it leave the process that runs the step without leaving the tree.
fn is_below_step(cx: &Context) -> bool {
    let is_marked = |pid| cx.processes().environment(pid, STEP_MARK).is_ok_and(|mark| mark.is_some());
    let is_step = |pid| cx.processes().info(pid).is_ok_and(|info| runs_step(&info.argv));
    cx.env().in_step || ancestors(cx).into_iter().skip(1).any(|pid| is_step(pid) || is_marked(pid))
}

/// Our own program, by its names.
const PROGRAMS: [&str; 2] = ["conveyor", "workerctl"];

/// It is our own program, and runs a closing step.
fn runs_step(argv: &[String]) -> bool {
    let Some((program, words)) = argv.split_first() else { return false };
    let own = machine::own_program();
    let name = Path::new(program).file_name();
    let is_ours = name.is_some_and(|name| {
        PROGRAMS.iter().any(|ours| name == *ours) || own.is_some_and(|own| own.file_name() == Some(name))
    });
    is_ours && words.iter().any(|word| word == Epilogue::NAME)
}

/// How far up the process tree is looked.
const MAX_ANCESTORS: usize = 64;

/// The pids of this process and those above it, its own first.
pub(super) fn ancestors(cx: &Context) -> Vec<u32> {
    let mut found = vec![machine::own_pid()];
    while let Some(pid) = found.last().copied().filter(|pid| *pid > 1)
        && found.len() < MAX_ANCESTORS
        && let Ok(info) = cx.processes().info(pid)
    {
        found.push(info.parent);
    }
    found
}

/// The session below whose process this command runs. None is a person's shell, a script, or a sandbox and a server of
/// Codex's that hide it.
pub(super) fn session(cx: &Context, store: &Store) -> Result<Option<Session>> {
    let mut sessions = store.read(store::sessions::list)?;
    sessions.retain(|session| session.state == Registration::Active && !processes(session).is_empty());
    if sessions.is_empty() {
        return Ok(None);
    }
    let above = ancestors(cx);
    let is_above = |process: &ProcessId| {
        above.contains(&process.pid) && cx.processes().identify(process.pid).is_ok_and(|now| now == *process)
    };
    // The nearest one: sessions can start others.
    let place = |session: &Session| {
        let found = processes(session).into_iter().filter(is_above);
        found.filter_map(|process| above.iter().position(|pid| *pid == process.pid)).min()
    };
    let mut found: Vec<(usize, Session)> =
        sessions.into_iter().filter_map(|session| Some((place(&session)?, session))).collect();
    found.sort_by_key(|(distance, _)| *distance);
    Ok(found.into_iter().next().map(|(_, session)| session))
}

/// The processes that are the session's own: its Codex, and the first one of its pane.
fn processes(session: &Session) -> Vec<ProcessId> {
    [(session.pid, session.pid_start), (session.pane_pid, session.pane_pid_start)]
        .into_iter()
        .filter_map(|(pid, start)| ProcessId::from_stored(pid?, start?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_step_is_known_by_program_and_command() {
        let runs = |line: &str| runs_step(&shell_words::split(line).unwrap());
        assert!(runs("/usr/bin/conveyor --path l epilogue t --step run-tools") && runs("workerctl epilogue t"));
        assert!(
            !runs("conveyor finish-task t") && !runs("bash run.sh epilogue") && !runs("bash -c 'conveyor epilogue'")
        );
    }
}
