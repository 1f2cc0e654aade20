//! `cycle`: one supervision observation, stored; `divergences`: the cycles worth a second look.
//!
//! A cycle observes and consumes nothing: the manager's messages are shown and stay where they are. What cannot be seen makes it degraded, not failed: a manager has to
//! learn that a pane is gone.

use std::{fmt, time::Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Action, Argv, Context, Format, Outcome, dispatch, follow, inbox, ingest, live, lookup,
    sense::{Look, Observer},
    supervise::{
        ManagerSettings,
        acks::{self, AckView},
        blind::{self, Round},
        negotiation::{CriteriaByStatus, Negotiation},
    },
};
use crate::{
    base::{Error, Kind, Result, Timestamp, text},
    model::{
        interruption::OnPurpose,
        judge,
        pane::{self, BusyWait},
        progress::{EndKind, Progress},
        session::{Role, Session},
        state::{CoarseState, Condition, Judgement, PANE_GONE},
        task::{Binding, Task},
    },
    store::{
        self, Read, Store, audit,
        cycles::{CycleRecord, Span, SpanState},
        handoffs::Handoff,
    },
};

/// Observe a bound worker once and store what was found
///
/// Takes new rollout lines, looks at the pane, the process and Codex's server, and says what the worker is doing
/// and how that is known. Shows the messages that wait for the manager and consumes none.
///
/// Example: `conveyor cycle parser`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Cycle {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// After how many seconds without a state change a busy screen counts as notable
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(i64).range(0..))]
    pub busy_wait_seconds: i64,
}

/// Messages of the manager that a cycle shows at most.
const SHOWN_MESSAGES: u32 = 10;

/// What a cycle found.
#[derive(Debug, Serialize)]
pub struct CycleReport {
    binding_id: String,
    condition: Condition,
    consumed_dispatch_notifications: u32,
    cycle_completed_at: Timestamp,
    cycle_id: i64,
    cycle_started_at: Timestamp,
    /// Phases that could not see what they should.
    degraded: Vec<&'static str>,
    ingest: CycleIngest,
    judgement: Judgement,
    kind: &'static str,
    last_event_subtype: Option<String>,
    last_state_event_at: Option<Timestamp>,
    manager_alive: Option<bool>,
    manager_context: ManagerContext,
    /// What waits for the manager.
    manager_inbox: inbox::Mail,
    manager_session: String,
    notable_pane_pattern: Option<String>,
    pane_signal: PaneSignal,
    staleness_seconds: Option<i64>,
    state: CoarseState,
    task: String,
    task_completed: bool,
    /// What an operator should know about delivery.
    warnings: Vec<String>,
    worker_alive: Option<bool>,
    worker_session: String,
}

#[derive(Debug, Default, Serialize)]
struct CycleIngest {
    error: Option<String>,
    new_events: u64,
    new_offset: u64,
    pending_bytes: u64,
    skipped_lines: u64,
}

#[derive(Debug, Serialize)]
struct PaneSignal {
    captured: bool,
    classifier: Option<BusyWait>,
    degraded: bool,
    notable_pattern: Option<String>,
    reason: String,
    status_age_seconds: Option<i64>,
}

/// What a manager needs besides the state.
#[derive(Debug, Serialize)]
struct ManagerContext {
    acceptance_criteria: CriteriaByStatus,
    /// Whether worker and manager still have to agree on criteria.
    criteria_negotiation: Negotiation,
    manager_ack: Option<AckView>,
    /// The terms; none when nothing was ever set.
    manager_config: Option<ManagerSettings>,
    worker_ack: Option<AckView>,
    /// The worker's newest handoff.
    worker_handoff: Option<Handoff>,
    worker_receipt: Option<WorkerReceipt>,
}

impl ManagerContext {
    /// What is on record of it.
    fn load(r: Read<'_>, cx: &Context, task: &Task) -> Result<Self> {
        let ack = |role| {
            let newest = store::acknowledgements::newest(r, &task.id, role)?;
            newest.map(|ack| AckView::of(r, cx, task, ack)).transpose()
        };
        let config = ManagerSettings::of(r, cx, task)?;
        let criteria = CriteriaByStatus::load(r, task)?;
        Ok(Self {
            criteria_negotiation: Negotiation::of(task, &criteria.summary),
            acceptance_criteria: criteria,
            manager_ack: ack(Role::Manager)?,
            manager_config: Some(config).filter(ManagerSettings::is_configured),
            worker_ack: ack(Role::Worker)?,
            worker_handoff: store::handoffs::newest(r, &task.id)?,
            worker_receipt: None,
        })
    }
}

/// How the worker's last turn ended, when it did so within the binding.
#[derive(Debug, Serialize)]
struct WorkerReceipt {
    binding_id: String,
    byte_offset: u64,
    completed_at: Option<Timestamp>,
    /// Who ended it on purpose, and how; none when no one on record did.
    ended_on_purpose: Option<String>,
    last_agent_message: Option<String>,
    outcome: EndKind,
    source_session_id: String,
    source_session_name: String,
    turn_id: Option<String>,
}

impl Action for Cycle {
    const NAME: &'static str = "cycle";
    const FORMAT: Format = Format::Json;
    type Output = CycleReport;

    fn run(self, cx: &Context) -> Result<CycleReport> {
        let store = cx.ledger_to_change()?;
        let (task, binding, worker, manager) = store.read(|r| {
            let task = lookup::task(r, &self.task)?;
            let binding = lookup::active_binding(r, &task)?;
            let session = |id: &str| {
                store::sessions::by_id(r, id)?
                    .ok_or_else(|| Error::new(Kind::Bug, format!("the binding names the unknown session {id}")))
            };
            let (worker, manager) = (session(&binding.worker_session_id)?, session(&binding.manager_session_id)?);
            Ok::<_, Error>((task, binding, worker, manager))
        })?;
        let blind = blind::holds(cx, &store, &worker.id)?;
        let started_at = cx.now();
        // A rehearsed cycle has no row, so there is nothing that its end could belong to.
        let id = match cx.dry_run() {
            true => 0,
            false => store.write(|w| store::cycles::begin(w, &task.id, &binding.id, started_at))?,
        };
        let mut run =
            Run { cx, store: &store, task, binding, worker, manager, blind, id, started_at, spans: Vec::new() };
        run.observe(self.busy_wait_seconds).or_else(|error| run.fail(error))
    }

    fn argv(&self) -> Argv {
        let Self { task, busy_wait_seconds } = self;
        Argv::new(Self::NAME).option("--busy-wait-seconds", Some(busy_wait_seconds)).end_of_options().word(task)
    }
}

/// What is told about the manager.
struct ManagerSide {
    context: ManagerContext,
    judgement: Judgement,
    inbox: inbox::Mail,
    /// What stands in the way of messages.
    warnings: Vec<String>,
}

/// A cycle in the making.
struct Run<'c> {
    cx: &'c Context,
    store: &'c Store,
    task: Task,
    binding: Binding,
    worker: Session,
    manager: Session,
    /// Whoever asks must not see what the worker says.
    blind: Option<Round>,
    id: i64,
    started_at: Timestamp,
    spans: Vec<Span>,
}

impl Run<'_> {
    fn observe(&mut self, busy_wait_seconds: i64) -> Result<CycleReport> {
        let context = self.phase("load_manager_context", |run| {
            acks::require(run.store, &run.task)?;
            let context = run.store.read(|r| ManagerContext::load(r, run.cx, &run.task))?;
            let attributes = json!({
                "accepted_criteria": context.acceptance_criteria.summary.accepted,
                "manager_ack_present": context.manager_ack.is_some(),
                "manager_config_present": context.manager_config.is_some(),
                "worker_ack_present": context.worker_ack.is_some(),
                "worker_handoff_present": context.worker_handoff.is_some(),
            });
            Ok((context, SpanState::Succeeded, attributes))
        })?;
        let mut ingested = self.ingest()?;
        let (look, moved) = self.phase("look_at_sensors", |run| {
            let mut observer = Observer::default();
            let worker = observer.look(run.cx, &run.worker);
            let manager = observer.look(run.cx, &run.manager);
            live::record_of(run.cx, run.store, &run.manager.id, &manager)?;
            follow::follow(run.cx, run.store, &run.manager, &manager)?;
            live::record_of(run.cx, run.store, &run.worker.id, &worker)?;
            let moved = follow::follow(run.cx, run.store, &run.worker, &worker)?;
            // What it asks was seen just now.
            inbox::tell_manager(run.cx, run.store, &run.worker.id)?;
            let captured = worker.screen.is_some();
            let state =
                if captured || run.worker.tmux_pane_id.is_none() { SpanState::Succeeded } else { SpanState::Degraded };
            Ok(((worker, moved), state, json!({"captured": captured, "moved": moved})))
        })?;
        if moved {
            // Its rollout was found just now, and nobody has read it yet.
            if let Some(worker) = self.store.read(|r| store::sessions::by_id(r, &self.worker.id))? {
                self.worker = worker;
            }
            ingested = self.ingest()?;
        }
        let (judgement, progress, manager_judgement) = self.phase("infer_worker_state", |run| {
            let now = run.cx.now();
            let (judgement, cursor, manager) = run.store.read(|r| {
                Ok::<_, store::Error>((
                    store::board::judgement(r, &run.worker, now)?,
                    store::rollouts::current(r, &run.worker.id)?,
                    store::board::judgement(r, &run.manager, now)?,
                ))
            })?;
            let attributes =
                json!({"condition": judgement.condition, "rule": judgement.rule, "state": judgement.state});
            let progress = cursor.map(|cursor| cursor.progress).unwrap_or_default();
            Ok(((judgement, progress, manager), SpanState::Succeeded, attributes))
        })?;
        let mail = self.phase("read_inbox", |run| {
            let mail = inbox::show(run.cx, run.store, &run.manager, SHOWN_MESSAGES)?;
            let attributes = mail.in_short();
            Ok((mail, SpanState::Succeeded, attributes))
        })?;
        let warnings = self.store.read(|r| dispatch::health_of(self.cx, r))?.warning.into_iter().collect();
        let manager = ManagerSide { context, judgement: manager_judgement, inbox: mail, warnings };
        let report = self.report(busy_wait_seconds, ingested, &look, judgement, &progress, manager)?;
        let mut status = serde_json::to_value(&report)
            .map_err(|error| Error::new(Kind::Bug, "the cycle cannot be written as JSON").caused_by(error))?;
        // The messages are kept where they lie, not once more with each cycle.
        status["manager_inbox"] = report.manager_inbox.in_short();
        let criteria = &mut status["manager_context"]["acceptance_criteria"];
        *criteria = json!({"summary": criteria["summary"].take()});
        for kept in ["manager_ack", "manager_config", "worker_ack", "worker_handoff"] {
            let whole = status["manager_context"][kept].take();
            let number = if kept == "manager_config" { "revision" } else { "id" };
            status["manager_context"][kept] = json!({number: whole[number]});
        }
        if !self.cx.dry_run() {
            let at = report.cycle_completed_at;
            self.store.write(|w| store::cycles::complete(w, self.id, &self.task.id, &status, None, &self.spans, at))?;
        }
        Ok(report)
    }

    /// Takes the worker's new rollout lines.
    fn ingest(&mut self) -> Result<CycleIngest> {
        self.phase("ingest_rollout", |run| {
            let taken = match ingest::ingest_while(run.cx, run.store, &run.worker, &|| true) {
                Ok(taken) => CycleIngest {
                    error: None,
                    new_events: taken.new_events,
                    new_offset: taken.new_offset,
                    pending_bytes: taken.pending_bytes,
                    skipped_lines: taken.skipped_lines,
                },
                Err(error) if error.kind() == Kind::Busy => return Err(error),
                Err(error) => CycleIngest { error: Some(error.to_string()), ..CycleIngest::default() },
            };
            inbox::tell_manager(run.cx, run.store, &run.worker.id)?;
            let state = if taken.error.is_some() { SpanState::Degraded } else { SpanState::Succeeded };
            let attributes = json!({"new_events": taken.new_events, "new_offset": taken.new_offset, "worker_session": run.worker.name});
            Ok((taken, state, attributes))
        })
    }

    /// Runs one phase and notes how long it took.
    fn phase<T>(
        &mut self,
        phase: &'static str,
        work: impl FnOnce(&Self) -> Result<(T, SpanState, Value)>,
    ) -> Result<T> {
        let (started_at, clock) = (self.cx.now(), Instant::now());
        let result = work(self);
        let (value, state, attributes, error_type) = match result {
            Ok((value, state, attributes)) => (Ok(value), state, attributes, None),
            Err(error) => {
                let kind = format!("{:?}", error.kind());
                (Err(error), SpanState::Failed, json!({}), Some(kind))
            }
        };
        self.spans.push(Span {
            phase,
            started_at,
            completed_at: self.cx.now(),
            duration_ms: clock.elapsed().as_secs_f64() * 1000.0,
            state,
            attributes,
            error_type,
        });
        value
    }

    fn report(
        &self,
        busy_wait_seconds: i64,
        ingest: CycleIngest,
        look: &Look,
        judgement: Judgement,
        progress: &Progress,
        manager: ManagerSide,
    ) -> Result<CycleReport> {
        let completed_at = self.cx.now();
        let rollout = progress.reading();
        let last_state_event_at = rollout.at;
        let staleness_seconds = last_state_event_at.map(|at| at.age_seconds(self.started_at));
        let pane_signal = self.pane_signal(busy_wait_seconds, look, staleness_seconds, ingest.new_events);
        let mut degraded = Vec::new();
        if ingest.error.is_some() {
            degraded.push("ingest_rollout");
        }
        if pane_signal.degraded {
            degraded.push("capture_pane_signal");
        }
        Ok(CycleReport {
            binding_id: self.binding.id.clone(),
            condition: judgement.condition,
            consumed_dispatch_notifications: 0,
            cycle_completed_at: completed_at,
            cycle_id: self.id,
            cycle_started_at: self.started_at,
            degraded,
            ingest,
            kind: "session_cycle",
            last_event_subtype: progress.last_event.as_ref().map(|event| event.label.clone()),
            last_state_event_at,
            manager_alive: manager.judgement.runs(),
            manager_context: ManagerContext { worker_receipt: self.receipt(progress)?, ..manager.context },
            manager_inbox: manager.inbox,
            manager_session: self.manager.name.clone(),
            notable_pane_pattern: pane_signal.notable_pattern.clone(),
            pane_signal,
            staleness_seconds,
            state: judgement.state,
            task: self.task.name.clone(),
            task_completed: judgement.rule == "turn_complete",
            warnings: manager.warnings,
            worker_alive: judgement.runs(),
            worker_session: self.worker.name.clone(),
            judgement,
        })
    }

    fn pane_signal(
        &self,
        busy_wait_seconds: i64,
        look: &Look,
        status_age_seconds: Option<i64>,
        new_events: u64,
    ) -> PaneSignal {
        let unseen = |degraded: bool, pattern: Option<&str>, reason: String| PaneSignal {
            captured: false,
            classifier: None,
            degraded,
            notable_pattern: pattern.map(str::to_owned),
            reason,
            status_age_seconds,
        };
        let Some(screen) = &look.screen else {
            if self.worker.tmux_pane_id.is_none() {
                return unseen(false, None, "session has no tmux pane".to_owned());
            }
            let gone =
                look.rows.iter().filter_map(|row| row.reading.as_ref()).find(|reading| reading.rule == PANE_GONE);
            return match gone {
                Some(reading) => unseen(true, Some("tmux_session_missing"), reading.reason.clone()),
                None => {
                    let why = look.rows.iter().find_map(|row| row.error.clone());
                    unseen(
                        true,
                        Some("pane_signal_error"),
                        why.unwrap_or_else(|| "the pane could not be seen".to_owned()),
                    )
                }
            };
        };
        let classifier = pane::busy_wait(screen, status_age_seconds, busy_wait_seconds, new_events);
        let dialog = look.pane.as_ref().and_then(|pane| pane.prompt);
        PaneSignal {
            captured: true,
            notable_pattern: classifier
                .as_ref()
                .map(|found| found.pattern.to_string())
                .or_else(|| dialog.map(|prompt| prompt.to_string())),
            reason: classifier.as_ref().map_or_else(
                || look.pane.as_ref().map_or_else(|| "pane captured".to_owned(), |pane| pane.reason.clone()),
                |found| found.reason.to_string(),
            ),
            classifier,
            degraded: false,
            status_age_seconds,
        }
    }

    /// The end of the worker's last turn, when it is known to lie within the binding.
    fn receipt(&self, progress: &Progress) -> Result<Option<WorkerReceipt>> {
        let Some(end) = progress.last_end.as_ref().filter(|end| self.binding.covers(end.at)) else { return Ok(None) };
        let on_purpose = if end.kind == EndKind::Aborted {
            self.store.read(|r| audit::on_purpose(r, &self.worker.id, end.into()))?
        } else {
            None
        };
        Ok(Some(WorkerReceipt {
            binding_id: self.binding.id.clone(),
            byte_offset: end.byte_offset,
            completed_at: end.at,
            ended_on_purpose: on_purpose.as_ref().map(OnPurpose::words),
            last_agent_message: match &self.blind {
                Some(round) => end.last_message.as_ref().map(|_| round.words()),
                None => end.last_message.clone(),
            },
            outcome: end.kind,
            source_session_id: self.worker.id.clone(),
            source_session_name: self.worker.name.clone(),
            turn_id: end.turn_id.clone(),
        }))
    }

    /// Completes the cycle as failed; the error travels on unchanged.
    fn fail(&self, error: Error) -> Result<CycleReport> {
        let status = json!({
            "binding_id": self.binding.id,
            "error_type": error.kind(),
            "failure_phase": self.spans.last().map(|span| span.phase),
            "kind": "session_cycle",
            "manager_session": self.manager.name,
            "task": self.task.name,
            "worker_session": self.worker.name,
        });
        let message = error.to_string();
        if self.cx.dry_run() {
            return Err(error);
        }
        // When the ledger itself is the trouble, the first error is the one to show.
        let _ = self.store.write(|w| {
            store::cycles::complete(w, self.id, &self.task.id, &status, Some(&message), &self.spans, self.cx.now())?;
            let about = audit::About { task_id: Some(&self.task.id), session_id: None };
            audit::append(w, self.cx.now(), self.cx.actor(), "cycle_failed", about, &json!({"error": message}))
        });
        Err(error)
    }
}

impl Outcome for CycleReport {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}: {}", self.worker_session, judge::summary(&self.judgement))?;
        if let Some(pattern) = &self.notable_pane_pattern {
            writeln!(out, "notable: {pattern}: {}", self.pane_signal.reason)?;
        }
        for phase in &self.degraded {
            writeln!(out, "degraded: {phase}")?;
        }
        if let Some(message) = self.manager_context.worker_receipt.as_ref().and_then(|r| r.last_agent_message.as_ref())
        {
            writeln!(out, "last answer: {}", text::bounded(&text::one_line(message), 200))?;
        }
        self.manager_inbox.human(out)?;
        self.warnings.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}

/// List cycles that saw a notable pane or sensors that disagree
///
/// Newest first.
///
/// Example: `conveyor divergences parser --limit 5`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Divergences {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    /// How many cycles at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
}

/// A notable cycle as printed.
#[derive(Debug, Serialize)]
pub struct Divergence {
    completed_at: Option<Timestamp>,
    id: i64,
    notable_pane_pattern: Option<String>,
    started_at: Timestamp,
    state: String,
    status: Option<Value>,
    task_id: String,
}

/// The notable cycles, newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct DivergenceList(Vec<Divergence>);

impl Action for Divergences {
    const NAME: &'static str = "divergences";
    const FORMAT: Format = Format::Json;
    type Output = DivergenceList;

    fn run(self, cx: &Context) -> Result<DivergenceList> {
        let store = cx.ledger()?;
        let (mut cycles, binding) = store.read(|r| {
            let task = lookup::task(r, &self.task)?;
            let cycles = store::cycles::newest(r, &task.id, /*notable*/ true, self.limit)?;
            Ok::<_, Error>((cycles, store::bindings::newest_of_task(r, &task.id)?))
        })?;
        if let Some(binding) = binding
            && let Some(round) = blind::holds(cx, &store, &binding.worker_session_id)?
        {
            cycles.iter_mut().filter_map(|cycle| cycle.status.as_mut()).for_each(|status| round.veil(status));
        }
        Ok(DivergenceList(cycles.into_iter().map(Divergence::of).collect()))
    }

    fn argv(&self) -> Argv {
        let Self { task, limit } = self;
        Argv::new(Self::NAME).option("--limit", Some(limit)).end_of_options().word(task)
    }
}

impl Divergence {
    fn of(cycle: CycleRecord) -> Self {
        let pattern = cycle.status.as_ref().and_then(|status| status.get("notable_pane_pattern")?.as_str());
        Self {
            completed_at: cycle.completed_at,
            id: cycle.id,
            notable_pane_pattern: pattern.map(str::to_owned),
            started_at: cycle.started_at,
            state: cycle.state,
            status: cycle.status,
            task_id: cycle.task_id,
        }
    }
}

impl Outcome for DivergenceList {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for cycle in &self.0 {
            let what = cycle.notable_pane_pattern.as_deref().unwrap_or("sensors disagree");
            writeln!(out, "#{}  {}  {what}", cycle.id, cycle.started_at)?;
        }
        Ok(())
    }
}
