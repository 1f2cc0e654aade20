//! Turns what a caller typed into records, with an error that helps when nothing is found.

use crate::{
    base::{Error, Kind, Result},
    model::{
        session::{Registration, Role, Session},
        task::{Binding, Task},
    },
    store::{self, Read},
};

/// The session with this name.
pub(super) fn session(r: Read<'_>, name: &str) -> Result<Session> {
    store::sessions::find(r, name)?.ok_or_else(|| {
        Error::not_found(format!("no session registered with name \"{name}\""))
            .hint("`conveyor sessions --state all` lists the names")
    })
}

/// The session with this name, which must have this role.
pub(super) fn session_with_role(r: Read<'_>, name: &str, role: Role) -> Result<Session> {
    let session = session(r, name)?;
    if session.role == role {
        Ok(session)
    } else {
        Err(Error::refused(format!("session \"{name}\" has role \"{}\", expected \"{role}\"", session.role)).hint(
            format!(
                "register a {role} under a name of its own: `conveyor register-{role} --name NAME --tmux-pane PANE`"
            ),
        ))
    }
}

/// Refuses a session that is gone, with the command that brings it back.
pub(super) fn check_active(r: Read<'_>, session: &Session) -> Result<()> {
    if session.state == Registration::Active {
        return Ok(());
    }
    let hint = match store::audit::way_back(r, session)? {
        Some(command) => format!("`{command}` brings it back"),
        None => format!("register it again with `conveyor register-{}`", session.role),
    };
    Err(Error::refused(format!("session \"{}\" is gone", session.name)).hint(hint))
}

/// The task with this name or id.
pub(super) fn task(r: Read<'_>, reference: &str) -> Result<Task> {
    store::tasks::find(r, reference)?
        .ok_or_else(|| Error::not_found(format!("unknown task: {reference}")).hint("`conveyor tasks` lists them"))
}

/// Refuses a task that has ended.
pub(super) fn check_open(task: &Task) -> Result<()> {
    if task.state.is_open() { Ok(()) } else { Err(has_ended(task)) }
}

/// The task has ended, and what was asked for needs an open one.
pub(super) fn has_ended(task: &Task) -> Error {
    Error::refused(format!("task \"{}\" is already {}", task.name, task.word()))
}

/// The name of the task that is bound.
pub(super) fn task_name(r: Read<'_>, binding: &Binding) -> Result<String> {
    Ok(store::tasks::find(r, &binding.task_id)?.map_or_else(|| binding.task_id.clone(), |task| task.name))
}

/// The binding of the task that is in force.
pub(super) fn active_binding(r: Read<'_>, task: &Task) -> Result<Binding> {
    store::bindings::active_of_task(r, &task.id)?.ok_or_else(|| {
        Error::refused(format!("no active session-based binding for task \"{}\"", task.name))
            .hint(format!("bind it with `conveyor bind --task {} --worker NAME --manager NAME`", task.name))
    })
}

/// The binding of the task that is in force, else the one that was last: what was sent through it can still be read.
pub(super) fn newest_binding(r: Read<'_>, task: &Task) -> Result<Binding> {
    store::bindings::newest_of_task(r, &task.id)?.ok_or_else(|| {
        Error::refused(format!("task \"{}\" was never bound to sessions", task.name))
            .hint(format!("bind it with `conveyor bind --task {} --worker NAME --manager NAME`", task.name))
    })
}

/// The session that a row of the ledger names.
pub(super) fn bound_session(r: Read<'_>, id: &str) -> Result<Session> {
    store::sessions::by_id(r, id)?
        .ok_or_else(|| Error::new(Kind::Bug, format!("the ledger names the unknown session {id}")))
}
