//! `worker-ack` and `manager-ack`: what both sides say that they have understood, and whether it still holds.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{record, texts};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome, TextArg,
        caller::{self, Origin},
        lookup,
    },
    base::{Error, Kind, Result},
    model::{session::Role, task::Task},
    store::{
        self, Read, Store,
        acknowledgements::{NewTaskAck, TaskAck},
        audit,
    },
};

/// What both commands take.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct AckArgs {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// What is understood, as a JSON object from standard input; `--from-stdin={...}` takes it from the command line
    #[arg(long, value_name = "JSON", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub from_stdin: Option<TextArg>,
    /// Ties together what belongs to it
    #[arg(long, value_name = "ID", requires = "from_stdin")]
    pub correlation_id: Option<String>,
    /// Say it only when the terms are still of this revision; 0: there are none
    #[arg(long, value_name = "REVISION", requires = "from_stdin")]
    pub expect_version: Option<u64>,
}

/// Say what the worker of a task has understood, or show what it said
///
/// Without `--from-stdin` the newest one is shown. It holds for the binding and the terms under which it was said.
/// Usual keys: goal_restatement, proposed_criteria (must_have, follow_up), expected_tools, open_questions,
/// ready_to_start.
///
/// Example: `conveyor worker-ack parser --from-stdin='{"goal_restatement": "every file parses", "ready_to_start": true}'`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct WorkerAck {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub ack: AckArgs,
}

/// Say what the manager of a task has understood, or show what it said
///
/// As `worker-ack`. Usual keys: task, manager_session, supervision_contract, will_not_edit_project_files.
///
/// Example: `conveyor manager-ack parser --from-stdin='{"will_not_edit_project_files": true}'`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ManagerAck {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub ack: AckArgs,
}

/// The newest acknowledgement; null when nothing was said.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Acknowledged(Option<AckView>);

/// An acknowledgement as printed.
#[derive(Debug, Serialize)]
pub struct AckView {
    #[serde(flatten)]
    ack: TaskAck,
    dry_run: bool,
    /// It holds for the binding and the terms that are in force.
    fresh: bool,
    /// Why it does not.
    stale_reasons: Vec<&'static str>,
    #[serde(skip)]
    task: String,
}

impl Action for WorkerAck {
    const NAME: &'static str = "worker-ack";
    const FORMAT: Format = Format::Json;
    type Output = Acknowledged;

    fn run(self, cx: &Context) -> Result<Acknowledged> {
        self.ack.run(cx, Role::Worker)
    }

    fn argv(&self) -> Argv {
        self.ack.words(Argv::new(Self::NAME))
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.ack.from_stdin.iter_mut().collect()
    }
}

impl Action for ManagerAck {
    const NAME: &'static str = "manager-ack";
    const FORMAT: Format = Format::Json;
    type Output = Acknowledged;

    fn run(self, cx: &Context) -> Result<Acknowledged> {
        self.ack.run(cx, Role::Manager)
    }

    fn argv(&self) -> Argv {
        self.ack.words(Argv::new(Self::NAME))
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        self.ack.from_stdin.iter_mut().collect()
    }
}

impl AckArgs {
    fn words(&self, argv: Argv) -> Argv {
        let Self { task, from_stdin, correlation_id, expect_version } = self;
        argv.option("--correlation-id", correlation_id.as_ref())
            .option("--expect-version", expect_version.as_ref())
            .text("--from-stdin", from_stdin.as_ref())
            .end_of_options()
            .word(task)
    }

    fn run(self, cx: &Context, role: Role) -> Result<Acknowledged> {
        let Some(given) = &self.from_stdin else {
            return cx.ledger()?.read(|r| {
                let task = lookup::task(r, &self.task)?;
                let newest = store::acknowledgements::newest(r, &task.id, role)?;
                Ok(Acknowledged(newest.map(|ack| AckView::of(r, cx, &task, ack)).transpose()?))
            });
        };
        let payload = texts::object("--from-stdin", Some(given.get()?))?;
        let correlation_id = texts::correlation(self.correlation_id.as_deref())?;
        let store = cx.ledger_to_change()?;
        let origin = caller::origin(cx, &store)?;
        store.write_durably(|w| {
            let task = lookup::task(w.read(), &self.task)?;
            lookup::check_open(&task)?;
            let binding = store::bindings::active_of_task(w.read(), &task.id)?;
            let speaker = binding.as_ref().map(|binding| match role {
                Role::Worker => &binding.worker_session_id,
                Role::Manager => &binding.manager_session_id,
            });
            let may = match &origin {
                Origin::Operator => true,
                Origin::Session(session) => speaker == Some(&session.id),
                Origin::Hidden => false,
            };
            if !may {
                let who = origin.words();
                let words = format!("{who} is not the {role} of the task \"{}\"", task.name);
                return Err(Error::new(Kind::Blocked, words).hint(format!("only the {role} itself can say it")));
            }
            let config = store::manager_configs::of_task(w.read(), &task.id)?;
            let revision = config.as_ref().map_or(0, |config| config.revision);
            if self.expect_version.is_some_and(|expected| expected != revision) {
                let words = format!(
                    "the terms of the task \"{}\" were changed meanwhile: they are of revision {revision}",
                    task.name
                );
                return Err(Error::conflict(words)
                    .hint(format!("read `conveyor manager-config {}`, then say it again", task.name)));
            }
            let new = NewTaskAck {
                task_id: &task.id,
                role,
                binding_id: binding.as_ref().map(|binding| &*binding.id),
                manager_config_revision: config.map(|config| config.revision),
                payload: &payload,
                correlation_id: correlation_id.as_deref(),
            };
            let now = cx.now();
            let mut ack = store::acknowledgements::record(w, &new, now)?;
            ack.origin = Some(origin.words());
            let about = audit::About { task_id: Some(&task.id), session_id: speaker.map(String::as_str) };
            let told = json!({
                "ack_id": ack.id,
                "binding_id": ack.binding_id,
                "correlation_id": ack.correlation_id,
                "origin": origin.words(),
                "payload_keys": payload.as_object().map(|object| object.keys().collect::<Vec<_>>()),
                "revision": ack.revision,
                "role": role,
            });
            audit::append(w, now, origin.actor(cx), &format!("{role}_ack_recorded"), about, &told)?;
            Ok(Acknowledged(Some(AckView::of(w.read(), cx, &task, ack)?)))
        })
    }
}

impl AckView {
    pub(in crate::actions) fn of(r: Read<'_>, cx: &Context, task: &Task, ack: TaskAck) -> Result<Self> {
        let stale_reasons = stale(r, task, &ack)?;
        Ok(Self { ack, dry_run: cx.dry_run(), fresh: stale_reasons.is_empty(), stale_reasons, task: task.name.clone() })
    }
}

/// Why an acknowledgement does not hold any more.
fn stale(r: Read<'_>, task: &Task, ack: &TaskAck) -> Result<Vec<&'static str>> {
    let binding = store::bindings::active_of_task(r, &task.id)?.map(|binding| binding.id);
    let revision = store::manager_configs::of_task(r, &task.id)?.map(|config| config.revision);
    Ok(ack.stale_reasons(binding.as_deref(), revision))
}

/// The newest acknowledgement of a role, and why it does not hold; nothing is wrong with one that does.
pub(super) fn standing(r: Read<'_>, task: &Task, role: Role) -> Result<(Option<TaskAck>, Vec<&'static str>)> {
    let newest = store::acknowledgements::newest(r, &task.id, role)?;
    let reasons = match &newest {
        Some(ack) => stale(r, task, ack)?,
        None => vec!["missing"],
    };
    Ok((newest, reasons))
}

/// The roles that still have to acknowledge the terms of a task; none unless the terms require it.
pub(in crate::actions) fn missing(r: Read<'_>, task: &Task) -> Result<Vec<Role>> {
    let config = store::manager_configs::of_task(r, &task.id)?;
    if !config.is_some_and(|config| config.terms.require_acks) {
        return Ok(Vec::new());
    }
    let mut missing = Vec::new();
    for role in [Role::Worker, Role::Manager] {
        if !standing(r, task, role)?.1.is_empty() {
            missing.push(role);
        }
    }
    Ok(missing)
}

/// Refuses to observe before both sides have acknowledged what is in force.
///
/// # Errors
/// With the roles that have not.
pub(in crate::actions) fn require(store: &Store, task: &Task) -> Result<()> {
    let missing = store.read(|r| missing(r, task))?;
    if missing.is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = missing.iter().map(|role| role.as_str()).collect();
    let words = format!("cycle requires current acknowledgement(s) before first observation: {}", roles.join(", "));
    let commands: Vec<String> =
        roles.iter().map(|role| format!("`conveyor {role}-ack {} --from-stdin`", task.name)).collect();
    Err(Error::new(Kind::Blocked, words).hint(format!("each says it with {}", commands.join(" and "))))
}

impl Outcome for Acknowledged {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let Some(view) = &self.0 else { return writeln!(out, "nothing was acknowledged yet") };
        let AckView { ack, fresh, stale_reasons, task, dry_run, .. } = view;
        let holds =
            if *fresh { "it holds".to_owned() } else { format!("it does not hold: {}", stale_reasons.join(", ")) };
        let would = if *dry_run { "would be " } else { "" };
        let by = record::on_behalf(ack.origin.as_deref(), ack.role.as_str());
        let by = by.map(|by| format!(", said by {by} for it")).unwrap_or_default();
        writeln!(out, "{task}: {would}acknowledgement {} of the {}{by}; {holds}", ack.revision, ack.role)?;
        writeln!(out, "{}", ack.payload)
    }
}
