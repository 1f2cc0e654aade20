//! What a session may do to another one: told by where the command comes from and by the terms that are stored, never
//! by what the sender says. A person is not held back.

use serde::Serialize;
use serde_json::json;

use crate::{
    actions::{
        Context,
        caller::{self, Origin},
    },
    base::{Error, Kind, Result},
    model::{
        delivery::CommandKind,
        session::{Role, Session},
        supervision::{Deed, GateReason as Reason, ManagerConfig, Permission},
        task::Task,
    },
    store::{self, Read, Store, Write, audit},
};

/// What a command does to its target.
pub(in crate::actions) fn deed_of(kind: CommandKind) -> Deed {
    match kind {
        CommandKind::NotifyManager
        | CommandKind::NudgeWorker
        | CommandKind::SessionNudge
        | CommandKind::WorkerTaskComplete => Deed::Nudge,
        CommandKind::RequestWorkerCompact => Deed::Compact,
        CommandKind::RequestWorkerClear => Deed::Clear,
    }
}

/// What the terms say about a deed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What is to be done.
    pub action: Deed,
    /// It may be done.
    pub allowed: bool,
    /// It comes from a session, which the terms bind.
    pub gated: bool,
    /// The worker's handoff that counts.
    pub handoff_id: Option<i64>,
    /// Where it comes from.
    pub origin: String,
    /// Why not.
    pub reasons: Vec<Reason>,
    /// What it needs.
    pub required_permission: Option<Permission>,
    #[serde(skip)]
    task: Option<String>,
}

impl Check {
    /// What the command needs when it is delivered: nothing when a person sends it.
    pub(in crate::actions) fn to_be_checked_again(&self) -> Option<&'static str> {
        self.required_permission.filter(|_| self.gated).map(Permission::as_str)
    }

    /// Whether the audit trail should hold it: what is refused, and what a permission has allowed.
    pub(in crate::actions) fn needs_record(&self) -> bool {
        !self.allowed || self.to_be_checked_again().is_some()
    }

    /// Why it is not allowed, in words.
    pub(in crate::actions) fn refusal(&self, target: &Session) -> String {
        let reasons: Vec<&str> = self.reasons.iter().map(|reason| reason.as_str()).collect();
        format!("{} may not {} {}: {}", self.origin, self.action, target.name, reasons.join(", "))
    }

    fn error(&self, target: &Session) -> Error {
        let error = Error::new(Kind::Blocked, self.refusal(target));
        match (&self.task, self.required_permission) {
            (Some(task), Some(permission)) if !self.reasons.contains(&Reason::NotItsWorker) => {
                error.hint(format!("an operator allows it with `conveyor manager-config {task} --permit {permission}`"))
            }
            _ => error.hint("tell the operator what is wanted, and why"),
        }
    }

    /// Writes into the audit trail what was asked, and what the answer was.
    pub(in crate::actions) fn record(
        &self,
        cx: &Context,
        w: &Write<'_>,
        origin: &Origin,
        target: &Session,
        task_id: Option<&str>,
    ) -> Result<()> {
        let about = audit::About { task_id, session_id: Some(&target.id) };
        let payload = json!({
            "action": self.action,
            "allowed": self.allowed,
            "handoff_id": self.handoff_id,
            "origin": self.origin,
            "reasons": self.reasons,
            "required_permission": self.required_permission,
            "session": target.name,
        });
        audit::append(w, cx.now(), origin.actor(cx), "manager_permission_checked", about, &payload)?;
        Ok(())
    }
}

/// Whether what comes from `origin` may be done to `target`.
pub(in crate::actions) fn check(r: Read<'_>, origin: &Origin, action: Deed, target: &Session) -> Result<Check> {
    let mut check = Check {
        action,
        allowed: true,
        gated: *origin != Origin::Operator,
        handoff_id: None,
        origin: origin.words(),
        reasons: Vec::new(),
        required_permission: action.needs(),
        task: None,
    };
    if !check.gated {
        return Ok(check);
    }
    let binding = store::bindings::active_of_session(r, &target.id)?;
    if let Origin::Session(session) = origin {
        let is_bound = binding
            .as_ref()
            .is_some_and(|binding| session.id != target.id && binding.other_end(&target.id) == session.id);
        if session.role == Role::Worker && action != Deed::Nudge {
            check.reasons.push(Reason::WorkersMayNot);
        } else if !is_bound {
            check.reasons.push(Reason::NotItsWorker);
        }
    }
    if action != Deed::Nudge
        && !check.reasons.contains(&Reason::NotItsWorker)
        && binding.as_ref().is_none_or(|binding| binding.worker_session_id != target.id)
    {
        check.reasons.push(Reason::NotItsWorker);
    }
    if action == Deed::Approve {
        check.reasons.push(Reason::OnlyAnOperator);
    }
    // Which session it is that hides, nobody can tell: the terms of the task that it reaches into bind it.
    if let Some(permission) = action.needs() {
        let config = match &binding {
            Some(binding) => store::manager_configs::of_task(r, &binding.task_id)?,
            None => None,
        };
        if let Some(binding) = &binding {
            check.task = store::tasks::find(r, &binding.task_id)?.map(|task| task.name);
        }
        if config.is_none() {
            check.reasons.push(Reason::MissingManagerConfig);
        } else if !ManagerConfig::missing(config.as_ref(), &[permission]).is_empty() {
            check.reasons.push(Reason::PermissionNotEnabled);
        }
        if action.needs_handoff() {
            let (handoff_id, reason) = handoff(r, binding.as_ref().map(|binding| &*binding.task_id))?;
            check.handoff_id = handoff_id;
            check.reasons.extend(reason);
        }
    }
    check.allowed = check.reasons.is_empty();
    Ok(check)
}

/// The handoff of a task, and what is wrong with it.
pub(super) fn handoff(r: Read<'_>, task_id: Option<&str>) -> Result<(Option<i64>, Option<Reason>)> {
    let newest = match task_id {
        Some(task_id) => store::handoffs::newest(r, task_id)?,
        None => None,
    };
    let Some(newest) = newest else { return Ok((None, Some(Reason::MissingWorkerHandoff))) };
    let is_fresh = store::handoffs::is_fresh(r, &newest)?;
    Ok((Some(newest.id), (!is_fresh).then_some(Reason::StaleWorkerHandoff)))
}

/// Refuses whoever does not supervise a task what only an operator and its manager do: who may be a worker does not.
///
/// # Errors
/// When `origin` is a session, and not the manager that is bound to the task.
pub(in crate::actions) fn supervises(r: Read<'_>, origin: &Origin, task: &Task, what: &str) -> Result<()> {
    let who = origin.words();
    let refused = |why: &str| {
        Err(Error::new(Kind::Blocked, format!("{who} {why} \"{}\", and does not {what}", task.name))
            .hint("its manager or an operator does that"))
    };
    match origin {
        Origin::Operator => Ok(()),
        Origin::Hidden => refused("may be a worker of the task"),
        Origin::Session(session) => {
            let binding = store::bindings::active_of_task(r, &task.id)?;
            let is_manager = binding.is_some_and(|binding| binding.manager_session_id == session.id);
            if session.role == Role::Manager && is_manager {
                return Ok(());
            }
            refused("does not supervise the task")
        }
    }
}

/// Refuses a session that supervises a task what its terms do not permit.
///
/// # Errors
/// With the permissions that are missing.
pub(in crate::actions) fn permitted(
    r: Read<'_>,
    origin: &Origin,
    task: &Task,
    needed: &[Permission],
    what: &str,
) -> Result<()> {
    if *origin == Origin::Operator {
        return Ok(());
    }
    let config = store::manager_configs::of_task(r, &task.id)?;
    let missing = ManagerConfig::missing(config.as_ref(), needed);
    if config.is_some() && missing.is_empty() {
        return Ok(());
    }
    let who = origin.words();
    let reason = if config.is_none() { Reason::MissingManagerConfig } else { Reason::PermissionNotEnabled };
    let names: Vec<&str> = missing.iter().map(|one| one.as_str()).collect();
    let permits: String = names.iter().map(|name| format!(" --permit {name}")).collect();
    let error = Error::new(Kind::Blocked, format!("{who} may not {what}: {reason}"));
    Err(error.hint(format!("an operator allows it with `conveyor manager-config {}{permits}`", task.name)))
}

/// Refuses a session what would take it out of the terms that it is held to, or let it name itself anew.
///
/// # Errors
/// When the command does not come from a person.
pub(in crate::actions) fn no_session(cx: &Context, store: &Store, what: &str) -> Result<()> {
    let origin = caller::origin(cx, store)?;
    if origin == Origin::Operator {
        return Ok(());
    }
    Err(Error::new(Kind::Blocked, format!("{} may not {what}", origin.words()))
        .hint("an operator does that, in a shell outside of every session"))
}

/// Refuses a session to tie itself to a task whose terms give permissions: an operator has given them to somebody.
///
/// # Errors
/// When `origin` is a session, and the task has such terms.
pub(in crate::actions) fn check_bind(r: Read<'_>, origin: &Origin, task: &Task) -> Result<()> {
    let config = store::manager_configs::of_task(r, &task.id)?;
    let gives = config.is_some_and(|config| config.terms.permissions.iter().next().is_some());
    if *origin == Origin::Operator || !gives {
        return Ok(());
    }
    let who = origin.words();
    Err(Error::new(
        Kind::Blocked,
        format!("{who} may not bind sessions to \"{}\", whose terms give permissions", task.name),
    )
    .hint("an operator does that, in a shell outside of every session"))
}

/// Holds back what its origin may not do, on record. What is allowed to a session is on record too.
///
/// # Errors
/// With the reasons, when it is not allowed.
pub(in crate::actions) fn hold(
    cx: &Context,
    store: &Store,
    origin: &Origin,
    action: Deed,
    target: &Session,
) -> Result<Check> {
    let check = store.read(|r| check(r, origin, action, target))?;
    if check.gated {
        store.write_durably(|w| {
            let task_id = store::bindings::active_of_session(w.read(), &target.id)?.map(|binding| binding.task_id);
            check.record(cx, w, origin, target, task_id.as_deref())
        })?;
    }
    if check.allowed { Ok(check) } else { Err(check.error(target)) }
}
