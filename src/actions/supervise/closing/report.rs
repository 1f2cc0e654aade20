//! What `finish-task` and `stop-task` print.

use std::fmt;

use serde::Serialize;

use super::{
    audits::{AckAudit, CriteriaAudit},
    end::{self, Orders},
    gates::Looked,
    sessions::{Captures, Stopping},
};
use crate::{
    actions::{
        Context, Outcome,
        capture::Captured,
        supervise::{decisions::DecisionCheck, epilogue::Status},
    },
    base::{Kind, Result, text::counted},
    model::{
        counts::Counts,
        session::Role,
        supervision::GateCheck,
        task::{Task, TaskEnd, TaskState},
    },
    store::Store,
};

/// What the end of a task took back and left.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) binding_id: Option<String>,
    pub(super) cancelled_commands: Vec<String>,
    pub(super) counted: Option<Counts>,
    pub(super) final_decision_id: i64,
    pub(super) in_flight_commands: Vec<String>,
    pub(super) open_questions: Vec<i64>,
    pub(super) settled_messages: usize,
    /// Of these, how many no command stands behind.
    pub(super) settled_reports: usize,
    pub(super) stopping_dispatchers: Vec<String>,
}

/// How a task ended, or what is in the way.
#[derive(Debug, Serialize)]
pub struct Closed {
    /// It had ended before; sessions were stopped at most.
    already_done_followup: bool,
    /// The binding that ended.
    binding_id: Option<String>,
    /// Messages that were taken back.
    cancelled_commands: Vec<String>,
    /// What goes with it, as `--expect` takes it; none unless it ends now.
    counted: Option<Counts>,
    dry_run: bool,
    /// When and how the task ended; none while it is open.
    end: Option<TaskEnd>,
    final_ack_audit: Option<AckAudit>,
    final_audit: Option<CriteriaAudit>,
    /// The decision that the end is.
    final_decision_id: Option<i64>,
    final_epilogue_audit: Option<Status>,
    /// It is finished, and not stopped.
    finish: bool,
    /// Every gate that somebody wants.
    gates: Vec<GateCheck>,
    /// What ends a task whose gates are not met; none when it has ended, or is stopped anyway.
    instead: Option<String>,
    /// Messages that may have arrived; their fate is still looked for.
    in_flight_commands: Vec<String>,
    killed_manager: bool,
    killed_worker: bool,
    manager_decision: DecisionCheck,
    /// Everything that was asked for was done.
    ok: bool,
    /// Questions to the operator about the task that stay open, by number.
    open_questions: Vec<i64>,
    pre_stop_transcript_captures: Vec<Captured>,
    reason: Option<String>,
    /// What became of the sessions that were to be stopped.
    sessions: Vec<Stopping>,
    /// Messages in inboxes that nobody had seen.
    settled_messages: usize,
    state: TaskState,
    stop_manager: bool,
    stop_worker: bool,
    /// Dispatchers of this task alone, which end now.
    stopping_dispatchers: Vec<String>,
    task: Brief,
    #[serde(skip)]
    is_refused: bool,
    /// Reports in inboxes that nobody had seen.
    #[serde(skip)]
    reports: usize,
    /// Where the task stood, in a word for people.
    #[serde(skip)]
    word: &'static str,
}

#[derive(Debug, Serialize)]
struct Brief {
    id: String,
    name: String,
}

impl Closed {
    pub(super) fn new(
        cx: &Context,
        orders: &Orders<'_>,
        task: &Task,
        looked: Looked,
        captures: Captures,
        instead: String,
    ) -> Self {
        Self {
            already_done_followup: false,
            binding_id: None,
            cancelled_commands: Vec::new(),
            counted: None,
            dry_run: cx.dry_run(),
            end: task.end.clone(),
            final_ack_audit: looked.acks,
            final_audit: looked.criteria,
            final_decision_id: None,
            final_epilogue_audit: looked.epilogue,
            finish: orders.finish.is_some(),
            gates: looked.gates,
            instead: orders.finish.is_some().then_some(instead),
            in_flight_commands: Vec::new(),
            killed_manager: false,
            killed_worker: false,
            manager_decision: looked.decision,
            ok: false,
            open_questions: Vec::new(),
            pre_stop_transcript_captures: captures.captured,
            reason: None,
            sessions: Vec::new(),
            settled_messages: 0,
            state: task.state,
            stop_manager: orders.end.stop_manager,
            stop_worker: orders.end.stop_worker,
            stopping_dispatchers: Vec::new(),
            task: Brief { id: task.id.clone(), name: task.name.clone() },
            is_refused: true,
            reports: 0,
            word: task.word(),
        }
    }

    pub(super) fn follows_up(&mut self) {
        self.already_done_followup = true;
        self.gates.clear();
        self.instead = None;
        self.is_refused = false;
        self.ok = true;
    }

    pub(super) fn ended(&mut self, left: Left, reason: &str) {
        let Left { binding_id, cancelled_commands, final_decision_id, in_flight_commands, .. } = left;
        self.binding_id = binding_id;
        self.counted = left.counted;
        self.cancelled_commands = cancelled_commands;
        self.final_decision_id = Some(final_decision_id);
        self.in_flight_commands = in_flight_commands;
        self.open_questions = left.open_questions;
        self.settled_messages = left.settled_messages;
        self.reports = left.settled_reports;
        self.stopping_dispatchers = left.stopping_dispatchers;
        self.reason = Some(reason.to_owned());
        self.state = if self.finish { TaskState::Done } else { TaskState::Failed };
        self.instead = None;
        self.is_refused = false;
        self.ok = true;
    }

    pub(super) fn stopped(&mut self, sessions: Vec<Stopping>) {
        let killed = |role: Role| sessions.iter().any(|one| one.role == role && one.killed);
        (self.killed_worker, self.killed_manager) = (killed(Role::Worker), killed(Role::Manager));
        self.ok = sessions.iter().all(|one| one.ok);
        self.sessions = sessions;
    }

    /// The same with the end as it is on record.
    pub(super) fn reread(mut self, store: &Store) -> Result<Self> {
        if let Some(task) = end::reread(store, &self.task.id)?.filter(|task| task.end.is_some()) {
            self.end = task.end;
        }
        Ok(self)
    }
}

impl Outcome for Closed {
    fn exit_code(&self) -> u8 {
        match (self.is_refused, self.ok) {
            (true, _) => Kind::Blocked.exit_code(),
            (false, ok) => u8::from(!ok),
        }
    }

    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let name = &self.task.name;
        let what = if self.finish { "finished" } else { "stopped" };
        if self.is_refused {
            writeln!(out, "{name} is not {what}:")?;
        } else if self.already_done_followup {
            let is_stopped = self.sessions.iter().any(|one| one.killed);
            let nothing = if is_stopped { "" } else { ": nothing was changed" };
            writeln!(out, "{name} is {} already{nothing}; `conveyor tasks --active` lists what is open", self.word)?;
        } else {
            let would = if self.dry_run { "would be" } else { "is" };
            writeln!(out, "{name} {would} {what}")?;
        }
        for gate in &self.gates {
            let who = gate.asked_by().map(|who| format!(" (asked for by {who})")).unwrap_or_default();
            writeln!(out, "{}{who}", gate.words())?;
            gate.told.iter().chain(&gate.notes).try_for_each(|line| writeln!(out, "     {line}"))?;
            gate.next.iter().try_for_each(|line| writeln!(out, "     next: {line}"))?;
        }
        self.instead.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        self.left_behind(out)?;
        for one in &self.sessions {
            match &one.error {
                Some(error) => writeln!(out, "{} {} was not stopped: {error}", one.role, one.name)?,
                None => writeln!(out, "{} {} is stopped", one.role, one.name)?,
            }
        }
        Ok(())
    }
}

impl Closed {
    /// What the end took back and what it leaves, in words.
    fn left_behind(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let were = |count: usize| match (self.dry_run, count) {
            (true, _) => "would be",
            (false, 1) => "was",
            (false, _) => "were",
        };
        let taken = self.cancelled_commands.len();
        if taken > 0 {
            writeln!(out, "{} {} taken back", counted(taken, "message"), were(taken))?;
        }
        if self.reports > 0 {
            let reports = counted(self.reports, "report");
            writeln!(out, "{reports} that nobody has read {} put away", were(self.reports))?;
        }
        if !self.in_flight_commands.is_empty() {
            let under_way = counted(self.in_flight_commands.len(), "message");
            writeln!(out, "{under_way} may have arrived: {}", self.in_flight_commands.join(", "))?;
        }
        if !self.open_questions.is_empty() {
            let stay = if self.open_questions.len() == 1 { "stays" } else { "stay" };
            let questions = counted(self.open_questions.len(), "question");
            writeln!(out, "{questions} to the operator {stay} open; `conveyor operator-inbox` lists what is asked")?;
        }
        Ok(())
    }
}
