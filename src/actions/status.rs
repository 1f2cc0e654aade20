//! `status`, `idle-check`, `update-status`: what a session is doing, and what it says about itself.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::{
    Action, Argv, Context, Format, Outcome, TextArg, dispatch, live, lookup, questions::QuestionView, sense::Look,
};
use crate::{
    base::{Error, Result, Timestamp, text},
    model::{
        family::{AgentView, Parent},
        pane::{self, BusyWait},
        session::{Registration, Session},
        state::{CoarseState, Condition, Judgement, Source},
        usage::{ContextUse, TokenUse, tokens},
    },
    store::{
        self, audit,
        budgets::Budget,
        inbox::{Counts, Inbox},
        sensors::SensorRow,
        statuses::{Status as Statement, StatusState},
    },
    text_enum,
};

/// The longest text of a statement, in characters.
const MAX_STATEMENT: usize = 2_000;

/// Show what a session is doing, and how that is known
///
/// Takes new rollout lines and looks at the pane first, unless told not to.
///
/// Example: `conveyor status w1 --text`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Status {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// Use what the ledger knows, without a fresh look
    #[arg(long)]
    pub no_refresh: bool,
}

/// A session's status as printed.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    awaiting_first_prompt: bool,
    blocker: Option<String>,
    /// The limit of messages to it, when it is the worker of a task that has one.
    budget: Option<Budget>,
    condition: Condition,
    /// How full the model's context is, as the rollout told last.
    context: Option<ContextUse>,
    current_task: Option<String>,
    /// What waits for it.
    inbox: Counts,
    ingest_error: Option<String>,
    judgement: Judgement,
    name: String,
    next_action: Option<String>,
    /// What it asks of a person.
    questions: Vec<QuestionView>,
    /// The thread that started this one, when it is a sub-agent's.
    parent: Option<Parent>,
    running: Option<bool>,
    startup: Option<String>,
    startup_reason: Option<String>,
    /// What the worker said about itself last; a claim.
    state: StatusState,
    status_last_update: Option<Timestamp>,
    /// The sub-agents that it has started, the oldest first.
    sub_agents: Vec<AgentView>,
    terminal_capture_error: Option<String>,
    terminal_captured_at: Option<Timestamp>,
    terminal_changed_at: Option<Timestamp>,
    tmux_session: Option<String>,
    /// Tokens and account limits, as the rollout told last.
    tokens: Option<TokenUse>,
    /// What an operator should know about delivery.
    warnings: Vec<String>,
    work_state: CoarseState,
}

impl Action for Status {
    const NAME: &'static str = "status";
    const FORMAT: Format = Format::Json;
    type Output = StatusReport;

    fn run(self, cx: &Context) -> Result<StatusReport> {
        let mut seen = See::session(cx, &self.session, self.no_refresh)?;
        let questions = std::mem::take(&mut seen.questions);
        let startup = seen.look.screen.as_deref().map(pane::startup_state);
        let screen = seen.screen();
        let (budget, warning) = cx.ledger()?.read(|r| {
            let binding = store::bindings::active_of_session(r, &seen.session.id)?;
            let task = binding.filter(|binding| binding.worker_session_id == seen.session.id);
            let budget = task.map_or(Ok(None), |binding| store::budgets::of_task(r, &binding.task_id))?;
            Ok::<_, Error>((budget, dispatch::health_of(cx, r)?.warning))
        })?;
        let family = cx.ledger()?.read(|r| store::board::family(r, &seen.session))?;
        Ok(StatusReport {
            context: family.context,
            parent: family.parent,
            sub_agents: super::sub_agents(cx, &seen.session.id)?,
            tokens: family.tokens,
            budget,
            warnings: warning.into_iter().collect(),
            awaiting_first_prompt: seen.judgement.awaiting_first_prompt,
            blocker: seen.statement.as_ref().and_then(|said| said.blocker.clone()),
            condition: seen.judgement.condition,
            current_task: seen.statement.as_ref().and_then(|said| said.current_task.clone()),
            inbox: seen.inbox,
            ingest_error: seen.ingest_error.clone(),
            next_action: seen.statement.as_ref().and_then(|said| said.next_action.clone()),
            running: seen.running(),
            questions,
            startup: startup.as_ref().map(|startup| startup.state.to_string()),
            startup_reason: startup.map(|startup| startup.reason),
            state: seen.statement.as_ref().map_or(StatusState::Unknown, |said| said.state),
            status_last_update: seen.statement.as_ref().map(|said| said.created_at),
            terminal_capture_error: screen.and_then(|row| row.error.clone()),
            terminal_captured_at: screen.map(|row| row.observed_at),
            terminal_changed_at: screen.map(|row| row.changed_at),
            work_state: seen.judgement.state,
            judgement: seen.judgement,
            name: seen.session.name,
            tmux_session: seen.session.tmux_session,
        })
    }

    fn argv(&self) -> Argv {
        let Self { session, no_refresh } = self;
        Argv::new(Self::NAME).switch("--no-refresh", *no_refresh).end_of_options().word(session)
    }
}

impl Outcome for StatusReport {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let age = self.judgement.age_seconds.map_or_else(|| "unknown age".to_owned(), text::age);
        writeln!(out, "{}: {} ({age}): {}", self.name, self.judgement.word(), self.judgement.reason)?;
        for question in &self.questions {
            writeln!(out, "asks {}", question.line())?;
        }
        if let Some(task) = &self.current_task {
            writeln!(out, "says: {}: {task}", self.state)?;
        }
        if let Some(blocker) = &self.blocker {
            writeln!(out, "says it is blocked by: {blocker}")?;
        }
        let Counts { dead_letters, leased: _, unread, waiting } = self.inbox;
        if waiting > 0 {
            writeln!(
                out,
                "messages: {waiting} wait, {unread} unread; `conveyor session-inbox {}` shows them",
                self.name
            )?;
        }
        if dead_letters > 0 {
            writeln!(out, "dead letters: {dead_letters}")?;
        }
        if let Some(context) = self.context {
            let window = tokens(context.window_tokens);
            writeln!(out, "context: {}% of {window} tokens used", context.percent())?;
        }
        for agent in &self.sub_agents {
            let used = agent.used_tokens.map_or_else(|| "tokens unknown".to_owned(), |used| tokens(used) + " tokens");
            writeln!(out, "sub-agent {}: {}, {used}", agent.agent.name(), agent.agent.state)?;
        }
        if let Some(budget) = &self.budget {
            writeln!(out, "budget: {} of {} nudges used", budget.nudges_used, budget.max_nudges)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(out, "! {warning}"))
    }
}

/// A session and everything known about it.
struct See {
    session: Session,
    look: Look,
    judgement: Judgement,
    statement: Option<Statement>,
    sensors: Vec<SensorRow>,
    ingest_error: Option<String>,
    inbox: Counts,
    questions: Vec<QuestionView>,
}

impl See {
    fn session(cx: &Context, name: &str, no_refresh: bool) -> Result<Self> {
        let store = if no_refresh { cx.ledger()? } else { cx.ledger_to_change()? };
        let mut session = store.read(|r| lookup::session(r, name))?;
        let mut look = Look::default();
        if !no_refresh && session.state == Registration::Active {
            (session, look) = live::refresh(cx, &store, session)?;
        }
        let (now, moment) = (cx.now(), cx.moment());
        store.read(|r| {
            Ok(Self {
                judgement: store::board::judgement(r, &session, now)?,
                statement: store::statuses::newest(r, &session.id)?,
                inbox: store::inbox::count(r, Inbox { session_id: &session.id, task_id: None }, &moment)?,
                sensors: store::sensors::list(r, Some(&session.id))?,
                ingest_error: store::sessions::ingest_errors(r)?.remove(&session.id),
                questions: store::questions::open(r, &session.id)?
                    .into_iter()
                    .map(|asked| QuestionView::of(asked, now))
                    .collect(),
                session,
                look,
            })
        })
    }

    fn screen(&self) -> Option<&SensorRow> {
        self.sensors.iter().find(|row| row.source == Source::Screen)
    }

    /// Whether a Codex runs there; none when nothing is known.
    fn running(&self) -> Option<bool> {
        if self.session.state == Registration::Gone {
            return Some(false);
        }
        self.judgement.runs()
    }
}

text_enum! {
    /// Whether a session is still getting somewhere.
    pub enum Health {
        /// Nothing runs there.
        Stopped => "stopped",
        /// It waits for a person: with an open question, or after a turn that was interrupted or failed.
        Blocked => "blocked",
        /// It says it is done.
        Done => "done",
        /// It could not be looked at.
        Unknown => "unknown",
        /// Its screen waits in a notable way.
        BusyWait => "busy_wait",
        /// Neither screen nor statement changed lately.
        Stale => "stale",
        /// The screen has not changed lately.
        Quiet => "quiet",
        /// The statement is old, or was never made.
        StatusStale => "status_stale",
        /// Both are fresh.
        Active => "active",
    }
}

/// Check whether a session is still getting somewhere
///
/// The first verdict that fits: stopped, blocked, done, unknown, busy_wait, stale, quiet, status_stale, active. A
/// turn that was interrupted or failed counts as blocked: nothing goes on until somebody has looked.
///
/// Example: `conveyor idle-check w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct IdleCheck {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// After how many seconds without a statement a busy screen counts as notable
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(i64).range(0..))]
    pub busy_wait_seconds: i64,
    /// After how many seconds a statement is stale
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(i64).range(0..))]
    pub status_stale_seconds: i64,
    /// After how many seconds an unchanged screen is stale
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(i64).range(0..))]
    pub terminal_stale_seconds: i64,
    /// Use what the ledger knows, without a fresh look
    #[arg(long)]
    pub no_refresh: bool,
}

/// The verdict.
#[derive(Debug, Serialize)]
pub struct IdleVerdict {
    blocker: Option<String>,
    busy_wait_pattern: Option<String>,
    busy_wait_seconds: i64,
    capture_error: Option<String>,
    condition: Condition,
    current_task: Option<String>,
    health: Health,
    name: String,
    next_action: Option<String>,
    reason: String,
    recommended_action: String,
    running: Option<bool>,
    state: StatusState,
    status_age_seconds: Option<i64>,
    status_last_update: Option<Timestamp>,
    status_stale_seconds: i64,
    terminal_age_seconds: Option<i64>,
    terminal_changed_at: Option<Timestamp>,
    terminal_fresh: bool,
    terminal_stale_seconds: i64,
    tmux_session: Option<String>,
}

impl Action for IdleCheck {
    const NAME: &'static str = "idle-check";
    const FORMAT: Format = Format::Json;
    type Output = IdleVerdict;

    fn run(self, cx: &Context) -> Result<IdleVerdict> {
        let seen = See::session(cx, &self.session, self.no_refresh)?;
        let now = cx.now();
        let said_at = seen.statement.as_ref().map(|said| said.created_at);
        let status_age_seconds = said_at.map(|at| at.age_seconds(now));
        let screen = seen.screen();
        let terminal_age_seconds = screen.map(|row| row.changed_at.age_seconds(now));
        let busy_wait = seen
            .look
            .screen
            .as_deref()
            .and_then(|screen| pane::busy_wait(screen, status_age_seconds, self.busy_wait_seconds, 0));
        let terminal_fresh = terminal_age_seconds.is_some_and(|age| age < self.terminal_stale_seconds);
        let status_fresh = status_age_seconds.is_some_and(|age| age < self.status_stale_seconds);
        let verdict = verdict(&seen, busy_wait.as_ref(), terminal_fresh, status_fresh);
        Ok(IdleVerdict {
            blocker: seen.statement.as_ref().and_then(|said| said.blocker.clone()),
            busy_wait_pattern: busy_wait.map(|found| found.pattern.to_string()),
            busy_wait_seconds: self.busy_wait_seconds,
            capture_error: screen.and_then(|row| row.error.clone()),
            condition: seen.judgement.condition,
            current_task: seen.statement.as_ref().and_then(|said| said.current_task.clone()),
            health: verdict.0,
            next_action: seen.statement.as_ref().and_then(|said| said.next_action.clone()),
            reason: verdict.2,
            recommended_action: verdict.1,
            running: seen.running(),
            state: seen.statement.as_ref().map_or(StatusState::Unknown, |said| said.state),
            status_age_seconds,
            status_last_update: said_at,
            status_stale_seconds: self.status_stale_seconds,
            terminal_age_seconds,
            terminal_changed_at: screen.map(|row| row.changed_at),
            terminal_fresh,
            terminal_stale_seconds: self.terminal_stale_seconds,
            name: seen.session.name,
            tmux_session: seen.session.tmux_session,
        })
    }

    fn argv(&self) -> Argv {
        let Self { session, busy_wait_seconds, status_stale_seconds, terminal_stale_seconds, no_refresh } = self;
        Argv::new(Self::NAME)
            .option("--busy-wait-seconds", Some(busy_wait_seconds))
            .option("--status-stale-seconds", Some(status_stale_seconds))
            .option("--terminal-stale-seconds", Some(terminal_stale_seconds))
            .switch("--no-refresh", *no_refresh)
            .end_of_options()
            .word(session)
    }
}

/// Health, recommended action and reason; the first rule that fits.
fn verdict(
    seen: &See,
    busy_wait: Option<&BusyWait>,
    terminal_fresh: bool,
    status_fresh: bool,
) -> (Health, String, String) {
    let says = |state| seen.statement.as_ref().is_some_and(|said| said.state == state);
    let of = |health, action: &str, reason: &str| (health, action.to_owned(), reason.to_owned());
    let judged = || seen.judgement.reason.clone();
    if seen.running() == Some(false) {
        (Health::Stopped, "none".to_owned(), judged())
    } else if says(StatusState::Blocked) {
        of(Health::Blocked, "read_blocker", "the worker says it is blocked")
    } else if seen.judgement.condition == Condition::Blocked {
        (Health::Blocked, "inspect_or_answer".to_owned(), judged())
    } else if says(StatusState::Done) {
        of(Health::Done, "review_result", "the worker says it is done")
    } else if seen.judgement.condition == Condition::Aborted {
        // Nothing goes on there until somebody has looked.
        (Health::Blocked, "inspect".to_owned(), judged())
    } else if let Some(error) = seen.screen().and_then(|row| row.error.clone()) {
        (Health::Unknown, "inspect_terminal".to_owned(), error)
    } else if let Some(found) = busy_wait {
        (Health::BusyWait, found.recommended_action.to_string(), found.reason.to_string())
    } else {
        match (terminal_fresh, status_fresh) {
            (false, false) if seen.statement.is_none() => {
                of(Health::Stale, "ask_for_status", "its screen has not changed lately, and it never made a statement")
            }
            (true, false) if seen.statement.is_none() => {
                of(Health::StatusStale, "wait", "its screen is fresh, but it never made a statement")
            }
            (false, false) => of(Health::Stale, "ask_for_status", "neither screen nor statement changed lately"),
            (false, true) => of(Health::Quiet, "wait", "the screen has not changed lately"),
            (true, false) => of(Health::StatusStale, "wait", "the last statement is old"),
            (true, true) => of(Health::Active, "none", "screen and statement are fresh"),
        }
    }
}

impl Outcome for IdleVerdict {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}: {}: {} (do: {})", self.name, self.health, self.reason, self.recommended_action)
    }
}

/// Record what a worker says about itself
///
/// A statement is a claim: it is shown beside what was observed and proves nothing.
///
/// Example: `conveyor update-status w1 --state editing --current-task "the parser" --next-action "run the tests"`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct UpdateStatus {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// planning, editing, running_tests, blocked, waiting, done or unknown
    #[arg(long, value_name = "STATE")]
    pub state: StatusState,
    /// What it works on; `-` reads standard input
    #[arg(long, value_name = "TEXT")]
    pub current_task: TextArg,
    /// What it wants to do next
    #[arg(long, value_name = "TEXT")]
    pub next_action: TextArg,
    /// What is in its way
    #[arg(long, value_name = "TEXT")]
    pub blocker: Option<TextArg>,
}

/// The recorded statement.
#[derive(Debug, Serialize)]
pub struct StatementView {
    blocker: Option<String>,
    current_task: Option<String>,
    dry_run: bool,
    last_update: Timestamp,
    next_action: Option<String>,
    session: String,
    state: StatusState,
}

impl Action for UpdateStatus {
    const NAME: &'static str = "update-status";
    const FORMAT: Format = Format::Json;
    type Output = StatementView;

    fn run(self, cx: &Context) -> Result<StatementView> {
        let now = cx.now();
        let said = Statement {
            state: self.state,
            current_task: Some(statement("--current-task", &self.current_task)?),
            next_action: Some(statement("--next-action", &self.next_action)?),
            blocker: self.blocker.as_ref().map(|text| statement("--blocker", text)).transpose()?,
            created_at: now,
        };
        cx.ledger_to_change()?.write(|w| {
            let session = lookup::session(w.read(), &self.session)?;
            store::statuses::insert(w, &session.id, &said)?;
            let about = audit::About { task_id: None, session_id: Some(&session.id) };
            let payload = json!({
                "blocker": said.blocker,
                "current_task": said.current_task,
                "next_action": said.next_action,
                "state": said.state,
            });
            audit::append(w, now, audit::Actor::Worker, "status_updated", about, &payload)?;
            Ok::<_, Error>(())
        })?;
        Ok(StatementView {
            blocker: said.blocker,
            current_task: said.current_task,
            dry_run: cx.dry_run(),
            last_update: now,
            next_action: said.next_action,
            session: self.session,
            state: said.state,
        })
    }

    fn argv(&self) -> Argv {
        let Self { session, state, current_task, next_action, blocker } = self;
        Argv::new(Self::NAME)
            .option("--state", Some(state))
            .text("--current-task", Some(current_task))
            .text("--next-action", Some(next_action))
            .text("--blocker", blocker.as_ref())
            .end_of_options()
            .word(session)
    }

    fn texts(&mut self) -> Vec<&mut TextArg> {
        [&mut self.current_task, &mut self.next_action].into_iter().chain(self.blocker.iter_mut()).collect()
    }
}

fn statement(flag: &str, text: &TextArg) -> Result<String> {
    let text = text::clean(text.get()?.trim());
    if text.is_empty() {
        return Err(Error::usage(format!("{flag} must not be empty")));
    }
    if text.chars().count() > MAX_STATEMENT {
        return Err(Error::usage(format!("{flag} has more than {MAX_STATEMENT} characters")));
    }
    Ok(text)
}

impl Outcome for StatementView {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let verb = if self.dry_run { "would record" } else { "recorded" };
        writeln!(out, "{verb} that {} says {}", self.session, self.state)
    }
}
