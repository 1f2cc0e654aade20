//! What decides whether a command may go: its target, task, binding and budget as they are now, not as they were when it
//! was accepted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    ending::{BINDING_ENDED, TARGET_GONE},
    pass::{Handled, Orders},
};
use crate::{
    base::Result,
    model::{
        delivery::{Command, Phase},
        session::{Registration, Session},
        supervision::{ManagerConfig, Permission},
        task::{Task, TaskState},
    },
    store::{self, Read, inbox},
};

/// Why a message is refused whose task has a limit that is reached.
const OVER_BUDGET: &str = "its task's budget of nudges is spent";
/// Why what a session has asked for is refused when the terms do not allow it any more.
const NOT_PERMITTED: &str = "its task's terms do not allow its manager to do this";

/// Dispatchers that may vanish one after the other with a command in hand, without bringing it any further.
pub(super) const MOST_CRASHES: i64 = 20;
/// So many of them are followed at once; then each lease is waited for, so that what kills its dispatchers does not kill
/// all there are within a minute, and dispatchers that are killed for another reason use up no command.
pub(super) const QUICKLY_FOLLOWED: i64 = 5;
/// What is said of it then.
pub(super) const CRASHES: &str = "twenty dispatchers vanished with it in hand, one after the other";

/// Sessions, tasks and bindings in force, each read once in a transaction.
#[derive(Default)]
pub(super) struct Known {
    sessions: BTreeMap<String, Option<Session>>,
    tasks: BTreeMap<String, (Option<Task>, Option<String>)>,
}

/// What decides about a command.
pub(super) struct Around {
    pub(super) target: Option<Session>,
    pub(super) source: Option<Session>,
    pub(super) task: Option<Task>,
    binding_in_force: Option<String>,
    /// Why nobody has to be told of what the command tells about any more.
    moot: Option<&'static str>,
    /// Nothing of its task's budget is left for it.
    is_over_budget: bool,
    /// What the terms of its task say about the permission that it needs.
    permission: Option<PermissionCheck>,
}

/// Whether the terms of a task allow a command that a session has sent, as they are now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct PermissionCheck {
    allowed: bool,
    /// The task has terms.
    configured: bool,
    required_permission: String,
}

impl PermissionCheck {
    fn of(r: Read<'_>, command: &Command) -> Result<Option<Self>> {
        let Some(name) = &command.required_permission else { return Ok(None) };
        let config = match &command.task_id {
            Some(task_id) => store::manager_configs::of_task(r, task_id)?,
            None => None,
        };
        // A name that nobody knows is allowed to nobody.
        let needed = name.parse::<Permission>().ok();
        let allowed = needed.is_some_and(|needed| ManagerConfig::missing(config.as_ref(), &[needed]).is_empty());
        Ok(Some(Self { allowed, configured: config.is_some(), required_permission: name.clone() }))
    }
}

/// Whether a command may go now.
pub(super) enum Verdict {
    /// It may go.
    Deliver,
    /// Not now.
    Waits,
    /// It is closed, for this reason.
    Over(Phase, &'static str),
}

impl Known {
    fn session(&mut self, r: Read<'_>, id: &str) -> Result<Option<Session>> {
        if let Some(known) = self.sessions.get(id) {
            return Ok(known.clone());
        }
        let found = store::sessions::by_id(r, id)?;
        self.sessions.insert(id.to_owned(), found.clone());
        Ok(found)
    }

    /// What decides about a command.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn of(&mut self, r: Read<'_>, command: &Command) -> Result<Around> {
        let (task, binding_in_force) = match command.task_id.as_deref() {
            None => (None, None),
            Some(id) => match self.tasks.get(id) {
                Some(known) => known.clone(),
                None => {
                    let found =
                        (store::tasks::find(r, id)?, store::bindings::active_of_task(r, id)?.map(|binding| binding.id));
                    self.tasks.insert(id.to_owned(), found.clone());
                    found
                }
            },
        };
        let target = self.session(r, &command.target_session_id)?;
        let source = match command.source_session_id.as_deref() {
            Some(id) => self.session(r, id)?,
            None => None,
        };
        let moot = match command.payload["notification_id"].as_i64() {
            Some(id) => inbox::moot(r, id)?,
            None => None,
        };
        let is_over_budget = store::budgets::exhausted(r, command)?.is_some();
        let permission = PermissionCheck::of(r, command)?;
        Ok(Around { target, source, task, binding_in_force, moot, is_over_budget, permission })
    }
}

impl Around {
    /// What decides about one command alone.
    pub(super) fn of(r: Read<'_>, command: &Command) -> Result<Self> {
        Known::default().of(r, command)
    }

    /// What was true when the command was accepted is looked at again now.
    pub(super) fn verdict(&self, command: &Command) -> Verdict {
        if let Some(why) = self.moot {
            return Verdict::Over(Phase::Cancelled, why);
        }
        if self.target.as_ref().is_none_or(|target| target.state == Registration::Gone) {
            return Verdict::Over(Phase::Failed, TARGET_GONE);
        }
        if command.crash_count >= MOST_CRASHES {
            return Verdict::Over(Phase::Dead, CRASHES);
        }
        match &self.task {
            Some(task) if task.state == TaskState::Done => {
                return Verdict::Over(Phase::Failed, "its task was finished");
            }
            Some(task) if !task.state.is_open() => return Verdict::Over(Phase::Failed, "its task was stopped"),
            Some(task) if task.state == TaskState::Paused => return Verdict::Waits,
            _ => {}
        }
        if command.binding_id.is_some() && self.binding_in_force != command.binding_id {
            return Verdict::Over(Phase::Failed, BINDING_ENDED);
        }
        if self.permission.as_ref().is_some_and(|check| !check.allowed) {
            return Verdict::Over(Phase::Blocked, NOT_PERMITTED);
        }
        if self.is_over_budget {
            return Verdict::Over(Phase::Blocked, OVER_BUDGET);
        }
        Verdict::Deliver
    }

    /// What there is to tell of the command, in this phase.
    pub(super) fn handled(&self, orders: &Orders, command: &Command, phase: Phase, dry_run: bool) -> Handled {
        Handled {
            attempt_id: None,
            command_id: command.id.clone(),
            command_type: command.kind,
            correlation_id: command.correlation_id.clone(),
            delivery_mode: None,
            dispatcher_id: orders.dispatcher_id.clone(),
            dry_run,
            error: None,
            kind: "command",
            lane: None,
            lane_reason: None,
            notification_id: None,
            permission_check: self.permission.clone(),
            phase,
            receipt: None,
            side_effect_completed: false,
            side_effect_started: false,
            state: if dry_run { "planned" } else { "failed" },
            target_session: self.target.as_ref().map(|target| target.name.clone()).unwrap_or_default(),
            task: self.task.as_ref().map(|task| task.name.clone()),
        }
    }
}
