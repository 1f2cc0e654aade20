//! Plays the turns of one terminal or headless session over time, without threads: `advance` is called with the time.
//!
//! Owns the running turn, what waits behind it, and the transcript a screen shows. It writes through
//! [`RolloutWriter`] and knows nothing of keys or screens.

use std::{
    collections::VecDeque,
    fs::{self, OpenOptions},
    io::Write,
    mem,
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use uuid::Uuid;

use super::{
    dialect::{BusyEnter, Dialect},
    facts::{Call, Command, Damage, Identity, Patch, Tokens},
    rollout::{RolloutError, RolloutWriter},
    scenario::{AskStep, Opening, RunStep, Script, Step},
    transcript::Entry,
    turn::{Asking, Decision, Faults, Happening, Phase, Setup, Turn},
};
use crate::base::{Clock, text};

type Result<T = ()> = std::result::Result<T, RolloutError>;

/// How long an answer streams at least, and per character, before scaling.
const STREAM_MS: u64 = 150;
const STREAM_MS_PER_CHAR: u64 = 3;
/// Between the end of a turn and the next one that waited (as measured with the real program).
const BETWEEN_TURNS_MS: u64 = 35;
/// Size of the record of the huge line fault.
const HUGE_BYTES: usize = 9 * 1024 * 1024;

/// A session and its current thread.
pub struct Session {
    setup: Setup,
    clock: Arc<dyn Clock>,
    script: Script,
    writer: RolloutWriter,
    openings: VecDeque<Opening>,
    next_opening_at: i64,
    turn: Option<Turn>,
    queue: VecDeque<String>,
    free_at: i64,
    name: Option<String>,
    transcript: Vec<Entry>,
    happenings: Vec<Happening>,
    faults: Faults,
    dead: bool,
}

impl Session {
    /// A session with a fresh thread.
    ///
    /// # Errors
    /// When the writer's lock or file cannot be made.
    pub fn start(setup: Setup, script: Script, clock: Arc<dyn Clock>) -> Result<Self> {
        let writer = RolloutWriter::create(setup.dialect, setup.identity.clone(), Arc::clone(&clock))?;
        Ok(Self::with_writer(setup, script, clock, writer))
    }

    /// A session that goes on with the thread of `writer`.
    #[must_use]
    pub fn with_writer(setup: Setup, script: Script, clock: Arc<dyn Clock>, writer: RolloutWriter) -> Self {
        let now = clock.now().as_millis();
        let openings: VecDeque<Opening> = script.openings().iter().cloned().collect();
        let mut session = Self {
            faults: setup.faults,
            setup,
            clock,
            script,
            writer,
            next_opening_at: now,
            openings,
            turn: None,
            queue: VecDeque::new(),
            free_at: now,
            name: None,
            transcript: Vec::new(),
            happenings: Vec::new(),
            dead: false,
        };
        session.schedule_opening();
        session
    }

    /// The version that is played.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.setup.dialect
    }

    /// Identity of the current thread and more.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.setup.identity
    }

    /// The current thread's id.
    #[must_use]
    pub fn thread(&self) -> Uuid {
        self.writer.thread()
    }

    /// The current thread's rollout.
    #[must_use]
    pub fn rollout(&self) -> &Path {
        self.writer.path()
    }

    /// Name of the session, made from its first message.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What the screen shows above the composer.
    #[must_use]
    pub fn transcript(&self) -> &[Entry] {
        &self.transcript
    }

    /// Tokens of the current thread.
    #[must_use]
    pub fn tokens(&self) -> Tokens {
        self.writer.total_tokens()
    }

    /// Since when a turn runs, in milliseconds.
    #[must_use]
    pub fn busy_since(&self) -> Option<i64> {
        self.turn.as_ref().map(|turn| turn.since)
    }

    /// True while an answer streams: the real screen then has no "Working" line.
    #[must_use]
    pub fn streaming(&self) -> Option<&str> {
        match self.turn.as_ref().map(|turn| &turn.phase) {
            Some(Phase::Stream { step: Step::Say(text) | Step::Note(text), .. }) => Some(text),
            _ => None,
        }
    }

    /// The command that runs.
    #[must_use]
    pub fn running_command(&self) -> Option<&str> {
        match self.turn.as_ref().map(|turn| &turn.phase) {
            Some(Phase::Command { command, .. }) => Some(&command.line),
            _ => None,
        }
    }

    /// The dialog of the turn, if one is open.
    #[must_use]
    pub fn asking(&self) -> Option<Asking> {
        match &self.turn.as_ref()?.phase {
            Phase::Approval { step, .. } => {
                Some(Asking::Approval { command: step.command.clone(), reason: step.reason.clone() })
            }
            Phase::Question { step, .. } => {
                Some(Asking::Question { question: step.question.clone(), options: step.options.clone() })
            }
            _ => None,
        }
    }

    /// Messages that wait to be taken into the running turn.
    #[must_use]
    pub fn pending_steers(&self) -> Vec<&str> {
        self.turn.iter().flat_map(|turn| turn.steers.iter().map(|(text, _)| text.as_str())).collect()
    }

    /// Messages that wait for the end of the turn.
    #[must_use]
    pub fn queued(&self) -> Vec<&str> {
        self.queue.iter().map(String::as_str).collect()
    }

    /// True when nothing runs, waits or will start by itself.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.turn.is_none() && self.queue.is_empty() && self.openings.is_empty()
    }

    /// What happened since the last call.
    pub fn happenings(&mut self) -> Vec<Happening> {
        mem::take(&mut self.happenings)
    }

    /// A message of the user: a new turn, or into the running one, as the dialect has it.
    ///
    /// # Errors
    /// When the rollout cannot be written; so for every method below.
    pub fn submit(&mut self, message: &str) -> Result {
        self.note_history(message)?;
        if self.turn.is_none() && self.queue.is_empty() && self.now() >= self.free_at {
            return self.begin(message, None);
        }
        match self.setup.dialect.busy_enter() {
            BusyEnter::Steer if self.turn.is_some() => {
                if let Some(turn) = &mut self.turn {
                    turn.steers.push((message.to_owned(), Uuid::new_v4()));
                }
                Ok(())
            }
            BusyEnter::Steer | BusyEnter::AfterTurn => {
                self.queue.push_back(message.to_owned());
                Ok(())
            }
        }
    }

    /// A message for after the running turn.
    pub fn queue_message(&mut self, message: &str) -> Result {
        self.note_history(message)?;
        self.queue.push_back(message.to_owned());
        Ok(())
    }

    /// Esc: the running turn is interrupted.
    pub fn interrupt(&mut self) -> Result {
        let Some(turn) = self.turn.take() else { return Ok(()) };
        let now = self.now();
        let after = |since: i64| Duration::from_millis(u64::try_from(now - since).unwrap_or(0));
        match &turn.phase {
            Phase::Command { since, .. } => self.writer.call_aborted(Call::Command, after(*since))?,
            Phase::Patching { since, .. } => self.writer.call_aborted(Call::Patch, after(*since))?,
            Phase::Approval { since, step, .. } => {
                self.writer.call_aborted(Call::Command, after(*since))?;
                self.transcript.retain(|entry| !matches!(entry, Entry::Running(_)));
                self.transcript.push(Entry::Canceled(step.command.clone()));
            }
            Phase::Question { since, .. } => self.writer.call_aborted(Call::Question, after(*since))?,
            Phase::Ready | Phase::Pause { .. } | Phase::Hold(_) | Phase::Stream { .. } => {}
        }
        self.writer.turn_aborted()?;
        self.transcript.push(Entry::Interrupted);
        self.after_turn();
        if !turn.steers.is_empty() {
            let joined: Vec<String> = turn.steers.into_iter().map(|(text, _)| text).collect();
            return self.begin(&joined.join("\n"), None);
        }
        if !self.queue.is_empty() {
            let joined: Vec<String> = self.queue.drain(..).collect();
            self.happenings.push(Happening::Restore(joined.join("\n")));
        } else if turn.silent && self.setup.dialect.restores_interrupted() {
            self.happenings.push(Happening::Restore(turn.message));
        }
        Ok(())
    }

    /// The answer to the open approval.
    pub fn decide(&mut self, decision: Decision) -> Result {
        let now = self.now();
        let Some(turn) = &mut self.turn else { return Ok(()) };
        let Phase::Approval { since, step, .. } = &turn.phase else { return Ok(()) };
        if decision == Decision::No {
            return self.interrupt();
        }
        let (since, step) = (*since, step.clone());
        let run = RunStep { command: step.command, output: step.output, exit: step.exit, ms: step.ms };
        let (output, ms) = run.outcome();
        let command = Command {
            line: run.command,
            escalation: Some(step.reason),
            output,
            exit: run.exit,
            duration: Duration::from_millis(ms),
        };
        self.transcript.retain(|entry| !matches!(entry, Entry::Running(_)));
        self.transcript.push(Entry::Approved(command.line.clone()));
        turn.phase = Phase::Command { until: now + scaled(ms, self.setup.speed), since, command };
        Ok(())
    }

    /// The answer to the open question: the index of an option.
    pub fn answer(&mut self, option: usize) -> Result {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        let Phase::Question { step, .. } = &turn.phase else { return Ok(()) };
        let answer = step.options.get(option).cloned().unwrap_or_else(|| "None of the above".to_owned());
        let AskStep { question, options, .. } = step.clone();
        turn.phase = Phase::Ready;
        self.transcript.push(Entry::Answered { question: question.clone(), answer: answer.clone() });
        self.writer.question_answered(&question, &options, &answer)?;
        self.writer.request()
    }

    /// `!command`: noted, never run.
    pub fn user_shell(&mut self, command: &str) -> Result {
        if let Some(path) = &self.setup.shell_canary {
            let fail = |source| RolloutError::Write { path: path.clone(), source };
            let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(fail)?;
            file.write_all(format!("{command}\n").as_bytes()).map_err(fail)?;
        }
        let run = RunStep { command: command.to_owned(), output: None, exit: 0, ms: Some(20) };
        let (output, ms) = run.outcome();
        let command =
            Command { line: run.command, escalation: None, output, exit: 0, duration: Duration::from_millis(ms) };
        self.transcript.push(Entry::UserShell { command: command.line.clone(), output: command.output.clone() });
        // Within a turn the real program adds the command to it; no recording shows how, so nothing is written.
        if self.turn.is_some() { Ok(()) } else { self.writer.user_shell(&command) }
    }

    /// `/compact`.
    pub fn compact(&mut self) -> Result {
        if self.turn.is_some() {
            self.transcript.push(Entry::Info("'/compact' is disabled while a task is in progress.".to_owned()));
            return Ok(());
        }
        self.writer.compacted("The work so far was looked at and is in order.")?;
        self.transcript.push(Entry::Compacted);
        Ok(())
    }

    /// `/new` and `/clear`: another thread takes the place of this one.
    pub fn another_thread(&mut self, clear_screen: bool) -> Result {
        if self.turn.is_some() {
            self.transcript.push(Entry::Info("'/new' is disabled while a task is in progress.".to_owned()));
            return Ok(());
        }
        self.setup.identity.thread = None;
        self.writer = RolloutWriter::create(self.setup.dialect, self.setup.identity.clone(), Arc::clone(&self.clock))?;
        self.name = None;
        if clear_screen {
            self.transcript.clear();
        }
        Ok(())
    }

    /// Adds a remark to the transcript.
    pub fn remark(&mut self, remark: impl Into<String>) {
        self.transcript.push(Entry::Info(remark.into()));
    }

    /// `/status`: the card goes into the transcript, nothing into the rollout.
    pub fn status_card(&mut self) {
        let tokens = self.tokens();
        let row = |name: &str, value: String| (name.to_owned(), value);
        let identity = &self.setup.identity;
        let card = vec![
            row("Model", identity.model.clone()),
            row("Directory", identity.cwd.display().to_string()),
            row("Permissions", format!("Workspace ({})", identity.approval)),
            row("Thread name", self.name.clone().unwrap_or_else(|| "<none>".to_owned())),
            row("Session", self.thread().to_string()),
            row("Token usage", format!("{} total  ({} input + {} output)", tokens.all(), tokens.input, tokens.output)),
        ];
        self.transcript.push(Entry::Status(card));
    }

    /// Plays what is due. Call it often; it never blocks (but for the torn line fault).
    pub fn advance(&mut self) -> Result {
        if self.dead {
            return Ok(());
        }
        let now = self.now();
        if self.turn.is_none() {
            if now < self.free_at {
                return Ok(());
            }
            if let Some(message) = self.queue.pop_front() {
                return self.begin(&message, None);
            }
            if now >= self.next_opening_at
                && let Some(opening) = self.openings.pop_front()
            {
                self.schedule_opening();
                return self.begin(&opening.message, opening.steps);
            }
            return Ok(());
        }
        // Several steps can be due at once; each call of `step` either waits or gets on.
        while self.turn.is_some() && !self.dead && self.step(now)? {}
        Ok(())
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    fn schedule_opening(&mut self) {
        if let Some(opening) = self.openings.front() {
            self.next_opening_at = self.free_at.max(self.now()) + scaled(opening.after_ms, self.setup.speed);
        }
    }

    fn begin(&mut self, message: &str, steps: Option<Vec<Step>>) -> Result {
        let steps = steps.unwrap_or_else(|| self.script.answer(message));
        self.writer.turn_started()?;
        self.writer.user_message(message, &Uuid::new_v4().to_string())?;
        self.writer.request()?;
        self.name.get_or_insert_with(|| name_from(message));
        self.transcript.push(Entry::User(message.to_owned()));
        self.turn = Some(Turn {
            since: self.now(),
            message: message.to_owned(),
            steps: steps.into(),
            phase: Phase::Pause { until: self.now() + scaled(STREAM_MS, self.setup.speed) },
            last: None,
            planned: false,
            silent: true,
            compact_after: false,
            exit_after: false,
            steers: Vec::new(),
        });
        Ok(())
    }

    /// One step; true when there may be more to do at once.
    fn step(&mut self, now: i64) -> Result<bool> {
        let Some(turn) = &mut self.turn else { return Ok(false) };
        let interruptible =
            matches!(turn.phase, Phase::Ready | Phase::Pause { .. } | Phase::Hold(_) | Phase::Stream { .. });
        if interruptible && !turn.steers.is_empty() {
            turn.phase = Phase::Ready;
            return self.take_steers();
        }
        let due = |until: i64| now >= until;
        match &turn.phase {
            Phase::Ready => return self.next_step(now),
            Phase::Pause { until } if due(*until) => turn.phase = Phase::Ready,
            Phase::Hold(path) if path.exists() => turn.phase = Phase::Ready,
            Phase::Approval { auto: Some(at), step, .. } if due(*at) => {
                let decision = if step.answer { Decision::Yes } else { Decision::No };
                let note = step.answer_note.clone();
                self.decide(decision)?;
                self.say_next(note);
            }
            Phase::Question { auto: Some(at), step, .. } if due(*at) => {
                let note = step.answer_note.clone();
                self.answer(0)?;
                self.say_next(note);
            }
            Phase::Stream { until, .. } if due(*until) => {
                let Phase::Stream { step, .. } = mem::replace(&mut turn.phase, Phase::Ready) else { return Ok(true) };
                turn.silent = false;
                self.finish_stream(step)?;
            }
            Phase::Command { until, .. } if due(*until) => {
                let Phase::Command { mut command, since, .. } = mem::replace(&mut turn.phase, Phase::Ready) else {
                    return Ok(true);
                };
                command.duration = Duration::from_millis(u64::try_from(now - since).unwrap_or(0));
                self.writer.command_finished(&command)?;
                self.transcript.push(Entry::Ran(command));
                self.ask_model()?;
            }
            Phase::Patching { until, .. } if due(*until) => {
                let Phase::Patching { patch, .. } = mem::replace(&mut turn.phase, Phase::Ready) else {
                    return Ok(true);
                };
                self.writer.patch_finished(&patch)?;
                self.transcript.push(Entry::Edited(patch));
                self.ask_model()?;
            }
            Phase::Pause { .. }
            | Phase::Hold(_)
            | Phase::Approval { .. }
            | Phase::Question { .. }
            | Phase::Stream { .. }
            | Phase::Command { .. }
            | Phase::Patching { .. } => return Ok(false),
        }
        Ok(true)
    }

    /// The turn, if it goes on, says this before anything else.
    fn say_next(&mut self, note: Option<String>) {
        if let Some(note) = note {
            self.with_turn(|turn| turn.steps.push_front(Step::Note(note)));
        }
    }

    /// After a tool: the model is asked again, unless messages wait (they bring a request of their own).
    fn ask_model(&mut self) -> Result {
        if self.turn.as_ref().is_some_and(|turn| turn.steers.is_empty()) {
            self.writer.request()?;
        }
        Ok(())
    }

    fn take_steers(&mut self) -> Result<bool> {
        let Some(turn) = &mut self.turn else { return Ok(false) };
        let steers = mem::take(&mut turn.steers);
        for (message, client_id) in &steers {
            self.writer.user_message(message, &client_id.to_string())?;
            self.transcript.push(Entry::User(message.clone()));
        }
        self.writer.request()?;
        if let (Some((message, _)), Some(turn)) = (steers.last(), &mut self.turn) {
            turn.steps = self.script.answer(message).into();
        }
        Ok(true)
    }

    fn finish_stream(&mut self, step: Step) -> Result {
        match step {
            Step::Say(text) => {
                self.writer.agent_message(&text)?;
                self.transcript.push(Entry::Agent(text.clone()));
                self.with_turn(|turn| turn.last = Some(text));
            }
            Step::Note(text) => {
                self.writer.commentary(&text)?;
                self.transcript.push(Entry::Agent(text));
            }
            Step::Think(text) => self.writer.reasoning(&text)?,
            Step::Plan(text) => {
                let known = self.writer.plan(&text)?;
                self.transcript.push(Entry::Plan(text.clone()));
                self.with_turn(|turn| {
                    turn.planned = known;
                    turn.last = (!known).then_some(text);
                });
            }
            other => self.with_turn(|turn| turn.steps.push_front(other)),
        }
        Ok(())
    }

    fn with_turn(&mut self, change: impl FnOnce(&mut Turn)) {
        if let Some(turn) = &mut self.turn {
            change(turn);
        }
    }

    fn next_step(&mut self, now: i64) -> Result<bool> {
        let speed = self.setup.speed;
        self.apply_faults()?;
        if self.dead {
            return Ok(false);
        }
        let Some(turn) = &mut self.turn else { return Ok(false) };
        let Some(step) = turn.steps.pop_front() else { return self.complete() };
        match step {
            Step::Say(_) | Step::Note(_) | Step::Think(_) | Step::Plan(_) => {
                let length = match &step {
                    Step::Say(text) | Step::Note(text) | Step::Think(text) | Step::Plan(text) => text.chars().count(),
                    _ => 0,
                };
                let ms = STREAM_MS + (STREAM_MS_PER_CHAR * length as u64).min(4000);
                turn.phase = Phase::Stream { until: now + scaled(ms, speed), step };
            }
            Step::Run(run) => {
                let (output, ms) = run.outcome();
                let command = Command {
                    line: run.command,
                    escalation: None,
                    output,
                    exit: run.exit,
                    duration: Duration::from_millis(ms),
                };
                turn.silent = false;
                self.writer.command_started(&command)?;
                let until = now + scaled(ms, speed);
                self.with_turn(|turn| turn.phase = Phase::Command { until, since: now, command });
            }
            Step::Approve(approve) => {
                let command = Command {
                    line: approve.command.clone(),
                    escalation: Some(approve.reason.clone()),
                    output: String::new(),
                    exit: approve.exit,
                    duration: Duration::ZERO,
                };
                turn.silent = false;
                let auto = approve.answer_after_ms.map(|ms| now + scaled(ms, speed));
                self.writer.command_started(&command)?;
                self.transcript.push(Entry::Running(command.line));
                self.with_turn(|turn| turn.phase = Phase::Approval { since: now, step: approve, auto });
            }
            Step::Ask(ask) => {
                turn.silent = false;
                let auto = ask.answer_after_ms.map(|ms| now + scaled(ms, speed));
                self.writer.question_asked(&ask.question, &ask.options)?;
                self.with_turn(|turn| turn.phase = Phase::Question { since: now, step: ask, auto });
            }
            Step::Patch(patch) => {
                let patch = Patch { path: patch.path, content: patch.content };
                turn.silent = false;
                self.writer.patch_started(&patch)?;
                let until = now + scaled(100, speed);
                self.with_turn(|turn| turn.phase = Phase::Patching { until, since: now, patch });
            }
            Step::Sleep(ms) => turn.phase = Phase::Pause { until: now + scaled(ms, speed) },
            Step::Hold(path) => turn.phase = Phase::Hold(path),
            Step::Error(error) => {
                let message = error.text();
                self.turn = None;
                self.writer.turn_failed(&error.kind, &message)?;
                self.transcript.push(Entry::Failed(message));
                self.after_turn();
            }
            Step::Tokens(tokens) => {
                if tokens.input.is_some() || tokens.output.is_some() {
                    let used = Tokens { input: tokens.input.unwrap_or(0), output: tokens.output.unwrap_or(0) };
                    self.writer.set_next_reply(used);
                }
                if tokens.primary.is_some() || tokens.secondary.is_some() {
                    self.writer.set_limits(tokens.primary, tokens.secondary);
                }
            }
            Step::Compact => turn.compact_after = true,
            Step::Exit => turn.exit_after = true,
            Step::Crash => self.die(),
        }
        Ok(true)
    }

    fn apply_faults(&mut self) -> Result {
        let faults = mem::take(&mut self.faults);
        if faults.torn_line {
            let pause = Duration::from_millis(u64::try_from(scaled(1000, self.setup.speed)).unwrap_or(0));
            self.writer.damage_next_reply(Damage::Torn(pause));
        }
        if faults.huge_line {
            self.writer.huge_record(HUGE_BYTES)?;
        }
        if faults.silent_death {
            self.writer.reasoning("Looking at the request")?;
            self.die();
        }
        Ok(())
    }

    fn die(&mut self) {
        self.dead = true;
        self.happenings.push(Happening::Die);
    }

    fn complete(&mut self) -> Result<bool> {
        let Some(turn) = self.turn.take() else { return Ok(false) };
        self.writer.turn_complete(turn.last.as_deref())?;
        let now = self.clock.now();
        let seconds = u64::try_from((now.as_millis() - turn.since) / 1000).unwrap_or(0);
        self.transcript.push(Entry::Worked { seconds, at: now });
        self.after_turn();
        if turn.compact_after {
            self.compact()?;
        }
        if turn.exit_after {
            self.happenings.push(Happening::Exit);
        }
        Ok(false)
    }

    fn after_turn(&mut self) {
        self.free_at = self.now() + scaled(BETWEEN_TURNS_MS, self.setup.speed);
        self.schedule_opening();
    }

    fn note_history(&self, message: &str) -> Result {
        if !self.setup.keep_history {
            return Ok(());
        }
        let path = self.setup.identity.codex_home.join("history.jsonl");
        let fail = |source| RolloutError::Write { path: path.clone(), source };
        // Written by hand for the key order of the real file.
        let (thread, seconds, text) = (self.thread(), self.now() / 1000, Value::from(message));
        let line = format!(r#"{{"session_id":"{thread}","ts":{seconds},"text":{text}}}"#);
        fs::create_dir_all(&self.setup.identity.codex_home).map_err(fail)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        file.write_all(format!("{line}\n").as_bytes()).map_err(fail)
    }
}

fn scaled(ms: u64, speed: f64) -> i64 {
    (ms as f64 / speed).round() as i64
}

/// The first four words of a message, as Codex names a session.
fn name_from(message: &str) -> String {
    // Directives are the simulator's own and no part of what a person wrote.
    let plain = message.split("{{").next().filter(|plain| !plain.trim().is_empty()).unwrap_or(message);
    let line = text::one_line(plain);
    let words: Vec<&str> = line.split(' ').take(4).collect();
    text::bounded(&words.join(" "), 40)
}
