//! Writes the rollout file of one thread, line by line, as the real Codex of a dialect does.
//!
//! Owns the file, its place below `CODEX_HOME`, the writer lock, the turn ids and the token counts. It decides
//! nothing about what happens in the session: the player calls one method per happening. One `write(2)` per line,
//! appended, the file held open.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    dialect::Dialect,
    facts::{CONTEXT_WINDOW, Call, Command, Damage, Identity, Patch, Tokens, question_gaps, short_seconds, text_gap},
    lines::{Condition, Gaps, LineBook, fill},
    zone,
};
use crate::base::{Clock, Timestamp};

/// What cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// A file or folder cannot be made or written.
    #[error("cannot write {path}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process writes this thread.
    #[error("thread {0} already has an active writer")]
    Locked(Uuid),
    /// A line of the dialect's book has a gap nobody fills.
    #[error("a rollout line of dialect {dialect} cannot be built: {reason}")]
    Line {
        /// The dialect.
        dialect: Dialect,
        /// Which gap.
        reason: String,
    },
}

type Result<T = ()> = std::result::Result<T, RolloutError>;

#[derive(Debug)]
struct OpenTurn {
    id: Uuid,
    started: Timestamp,
    first_token: Option<Timestamp>,
    tokens: Tokens,
}

#[derive(Debug)]
struct OpenCall {
    id: String,
    exec_id: String,
    started: Timestamp,
}

/// The rollout of one thread.
pub struct RolloutWriter {
    dialect: Dialect,
    book: LineBook,
    identity: Identity,
    thread: Uuid,
    created: Timestamp,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    file: Option<File>,
    /// Held for its lock.
    _lock: Option<File>,
    turns: u64,
    turn: Option<OpenTurn>,
    call: Option<OpenCall>,
    ordinal: u64,
    sequence: u64,
    sampled: u64,
    input_order: u64,
    total: Tokens,
    last: Tokens,
    next_reply: Option<Tokens>,
    limits: [Value; 2],
    in_reply: bool,
    counted: bool,
    damage: Option<Damage>,
}

impl RolloutWriter {
    /// A writer for a new thread. Older dialects create the file here, newer ones with the first input.
    ///
    /// # Errors
    /// When the lock or the file cannot be made.
    pub fn create(dialect: Dialect, identity: Identity, clock: Arc<dyn Clock>) -> Result<Self> {
        let created = clock.now();
        let thread = identity.thread.unwrap_or_else(|| fresh_thread(dialect, created));
        let path = rollout_path(&identity.codex_home, created, thread);
        let mut writer = Self::at(dialect, identity, clock, thread, created, path)?;
        if !dialect.creates_with_first_input() {
            writer.ensure_open()?;
        }
        Ok(writer)
    }

    /// A writer that goes on with an existing file of this dialect.
    ///
    /// # Errors
    /// When the file cannot be read or opened, or another process holds its lock.
    pub fn resume(
        dialect: Dialect,
        identity: Identity,
        clock: Arc<dyn Clock>,
        thread: Uuid,
        path: PathBuf,
    ) -> Result<Self> {
        let text = fs::read(&path).map_err(|source| RolloutError::Write { path: path.clone(), source })?;
        let created = clock.now();
        let mut writer = Self::at(dialect, identity, clock, thread, created, path)?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
        (writer.ordinal, writer.sequence, writer.turns) = (lines, lines, 1);
        writer.open_file()?;
        // A process that died within a line left no line end; the next record must not be glued to it.
        if text.last().is_some_and(|byte| *byte != b'\n') {
            writer.put(b"\n")?;
        }
        Ok(writer)
    }

    fn at(
        dialect: Dialect,
        identity: Identity,
        clock: Arc<dyn Clock>,
        thread: Uuid,
        created: Timestamp,
        path: PathBuf,
    ) -> Result<Self> {
        let lock = if dialect.locks_thread() { Some(lock_thread(&identity.codex_home, thread)?) } else { None };
        Ok(Self {
            dialect,
            book: LineBook::parse(dialect.line_book()),
            identity,
            thread,
            created,
            clock,
            path,
            file: None,
            _lock: lock,
            turns: 0,
            turn: None,
            call: None,
            ordinal: 0,
            sequence: 0,
            sampled: 0,
            input_order: 0,
            total: Tokens::default(),
            last: Tokens::default(),
            next_reply: None,
            limits: [Value::Null, Value::Null],
            in_reply: false,
            counted: false,
            damage: None,
        })
    }

    /// The thread's id.
    #[must_use]
    pub fn thread(&self) -> Uuid {
        self.thread
    }

    /// Where the rollout is or will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the thread has used so far.
    #[must_use]
    pub fn total_tokens(&self) -> Tokens {
        self.total
    }

    /// Damages the next line that is written after a turn's user message.
    pub fn damage_next_reply(&mut self, damage: Damage) {
        self.damage = Some(damage);
    }

    /// Sets what the next model reply is said to have used.
    pub fn set_next_reply(&mut self, tokens: Tokens) {
        self.next_reply = Some(tokens);
    }

    /// Sets the rate limits that are reported from here on: used percent of the 5 hour and the weekly window.
    pub fn set_limits(&mut self, primary: Option<f64>, secondary: Option<f64>) {
        let now = self.clock.now().as_millis() / 1000;
        let limit = |percent: Option<f64>, minutes: i64| {
            percent.map_or(
                Value::Null,
                |used| json!({"used_percent": used, "window_minutes": minutes, "resets_at": now + minutes * 60}),
            )
        };
        self.limits = [limit(primary, 300), limit(secondary, 10_080)];
    }

    /// A turn begins.
    ///
    /// # Errors
    /// When a line cannot be written; so for every method below.
    pub fn turn_started(&mut self) -> Result {
        self.begin_turn();
        self.ensure_open()?;
        let section = if self.turns == 0 { "first_turn" } else { "next_turn" };
        self.turns += 1;
        self.play(section, Gaps::from([("trigger", "user".into())]))
    }

    /// A message of the user is taken into the open turn.
    pub fn user_message(&mut self, text: &str, client_id: &str) -> Result {
        self.in_reply = false;
        self.play("user_message", Gaps::from([("text", text.into()), ("client_id", client_id.into())]))?;
        self.input_order += 1;
        self.sampled = self.sequence;
        Ok(())
    }

    /// The model is asked (after the user's messages and after every tool output).
    pub fn request(&mut self) -> Result {
        self.in_reply = false;
        self.play("request", Gaps::new())
    }

    /// The model has thought.
    pub fn reasoning(&mut self, text: &str) -> Result {
        self.reply()?;
        self.play("reasoning", text_gap(text))
    }

    /// One record of `bytes` bytes, as a model reply can be.
    pub fn huge_record(&mut self, bytes: usize) -> Result {
        self.reply()?;
        let gaps = Gaps::from([("text", "x".repeat(bytes).into()), ("reasoning_id", "rs_huge".into())]);
        match self.book.section("reasoning").last() {
            Some((_, template)) => self.write_line(template, &gaps),
            None => Ok(()),
        }
    }

    /// The model has said something on the way.
    pub fn commentary(&mut self, text: &str) -> Result {
        self.reply()?;
        self.play("commentary", text_gap(text))
    }

    /// The model has answered.
    pub fn agent_message(&mut self, text: &str) -> Result {
        self.reply()?;
        self.play("message", text_gap(text))
    }

    /// The model has proposed a plan; a turn that ends with one has no last message. Returns whether this dialect
    /// knows plans (older ones get an ordinary answer).
    pub fn plan(&mut self, text: &str) -> Result<bool> {
        if !self.book.has("plan") {
            self.agent_message(text)?;
            return Ok(false);
        }
        self.reply()?;
        self.play("plan", text_gap(&format!("{}\n", text.trim_end())))?;
        Ok(true)
    }

    /// The model has called for a command.
    pub fn command_started(&mut self, command: &Command) -> Result {
        self.call_begins()?;
        self.play("command_started", command.gaps(self.ordinal))
    }

    /// The command has ended.
    pub fn command_finished(&mut self, command: &Command) -> Result {
        self.tool_ends("command_finished", command.gaps(self.ordinal))
    }

    /// The open call was broken off after `after`.
    pub fn call_aborted(&mut self, kind: Call, after: Duration) -> Result {
        let section = match kind {
            Call::Command => "command_aborted",
            Call::Patch => "patch_aborted",
            Call::Question => "question_aborted",
        };
        self.tool_ends(section, Gaps::from([("wall_short", short_seconds(after))]))
    }

    /// The model has called for a file edit.
    pub fn patch_started(&mut self, patch: &Patch) -> Result {
        self.call_begins()?;
        self.play("patch_started", patch.gaps(&self.identity.cwd))
    }

    /// The edit is made.
    pub fn patch_finished(&mut self, patch: &Patch) -> Result {
        self.tool_ends("patch_finished", patch.gaps(&self.identity.cwd))
    }

    /// The model asks the user.
    pub fn question_asked(&mut self, question: &str, options: &[String]) -> Result {
        self.call_begins()?;
        self.play("question_asked", question_gaps(question, options, ""))
    }

    /// The user has answered.
    pub fn question_answered(&mut self, question: &str, options: &[String], answer: &str) -> Result {
        self.input_order += 1;
        self.tool_ends("question_answered", question_gaps(question, options, answer))
    }

    /// The turn ends; `last` is the last answer, if there was one.
    pub fn turn_complete(&mut self, last: Option<&str>) -> Result {
        self.end_turn("turn_complete", Gaps::from([("last", last.map_or(Value::Null, Value::from))]), None)
    }

    /// The turn ends with an error. Many dialects write nothing of it.
    pub fn turn_failed(&mut self, kind: &Value, message: &str) -> Result {
        let gaps = Gaps::from([("last", Value::Null), ("kind", kind.clone()), ("message", message.into())]);
        self.end_turn("turn_failed", gaps, kind.as_str())
    }

    /// The turn was interrupted.
    pub fn turn_aborted(&mut self) -> Result {
        self.end_turn("turn_aborted", Gaps::new(), None)
    }

    /// The conversation was compacted, as a turn of its own.
    pub fn compacted(&mut self, summary: &str) -> Result {
        self.begin_turn();
        self.ensure_open()?;
        self.turns += 1;
        self.count_reply();
        let gaps = Gaps::from([("text", summary.into()), ("last", Value::Null), ("trigger", Value::Null)]);
        self.end_turn("compact", gaps, None)
    }

    /// A command the user ran with `!`, as a turn of its own.
    pub fn user_shell(&mut self, command: &Command) -> Result {
        self.begin_turn();
        self.ensure_open()?;
        self.turns += 1;
        let mut gaps = command.gaps(self.ordinal);
        gaps.extend([("last", Value::Null), ("trigger", Value::Null)]);
        self.end_turn("user_shell", gaps, None)
    }

    fn put(&mut self, bytes: &[u8]) -> Result {
        let path = &self.path;
        let fail = |source| RolloutError::Write { path: path.clone(), source };
        match &mut self.file {
            Some(file) => file.write_all(bytes).map_err(fail),
            None => Err(fail(io::Error::other("the file is not open"))),
        }
    }

    fn begin_turn(&mut self) {
        let now = self.clock.now();
        self.turn = Some(OpenTurn { id: time_id(now), started: now, first_token: None, tokens: Tokens::default() });
    }

    fn end_turn(&mut self, section: &str, gaps: Gaps, kind: Option<&str>) -> Result {
        let reason = kind == Some("usage_limit_exceeded");
        self.play_with(section, gaps, reason)?;
        self.turn = None;
        self.call = None;
        Ok(())
    }

    /// Counts a model reply that begins now.
    fn reply(&mut self) -> Result {
        let now = self.clock.now();
        if let Some(turn) = &mut self.turn {
            turn.first_token.get_or_insert(now);
        }
        if self.in_reply {
            return Ok(());
        }
        self.in_reply = true;
        self.counted = false;
        self.count_reply();
        if let Some(Damage::Torn(pause)) = self.damage.take() {
            return self.torn_line(pause);
        }
        self.play("reply_start", Gaps::new())
    }

    fn count_reply(&mut self) {
        let guess = Tokens { input: 1480 + 80 * self.sequence, output: 60 };
        self.last = self.next_reply.take().unwrap_or(guess);
        self.total.add(self.last);
        if let Some(turn) = &mut self.turn {
            turn.tokens.add(self.last);
        }
    }

    fn call_begins(&mut self) -> Result {
        self.reply()?;
        let number = self.ordinal;
        let exec_id = format!("exec-{}", Uuid::new_v4());
        self.call = Some(OpenCall { id: format!("call_{number:05}_0"), exec_id, started: self.clock.now() });
        Ok(())
    }

    fn tool_ends(&mut self, section: &str, gaps: Gaps) -> Result {
        self.play(section, gaps)?;
        self.in_reply = false;
        self.sampled = self.sequence;
        self.call = None;
        Ok(())
    }

    fn play(&mut self, section: &str, gaps: Gaps) -> Result {
        self.play_with(section, gaps, false)
    }

    fn play_with(&mut self, section: &str, mut gaps: Gaps, limit: bool) -> Result {
        let now = self.clock.now();
        let used = self.total != Tokens::default();
        let replied = self.turn.as_ref().is_some_and(|turn| turn.first_token.is_some());
        gaps.entry("item_id").or_insert_with(|| time_id(now).to_string().into());
        let number = self.ordinal;
        gaps.insert("reasoning_id", format!("rs_{number:05}").into());
        gaps.insert("message_id", format!("msg_{}", time_id(now)).into());
        for (condition, template) in self.book.section(section) {
            let wanted = match condition {
                Condition::Always => true,
                Condition::None => !used,
                Condition::Some => used,
                Condition::New => !self.counted,
                Condition::Reply => replied,
                Condition::Silent => !replied,
                Condition::Limit => limit,
            };
            if wanted {
                self.write_line(template, &gaps)?;
                self.counted |= condition == Condition::New;
            }
        }
        Ok(())
    }

    fn write_line(&mut self, template: &str, gaps: &Gaps) -> Result {
        let is_model_item = template.contains(r#""history_sequence""#);
        if is_model_item {
            self.sequence += 1;
        }
        let mut line = self.filled(template, gaps)?;
        line.push('\n');
        self.ordinal += 1;
        self.put(line.as_bytes())
    }

    fn filled(&self, template: &str, gaps: &Gaps) -> Result<String> {
        let now = self.clock.now();
        fill(template, &|name| gaps.get(name).cloned().or_else(|| self.standing_gap(name, now)))
            .map_err(|error| RolloutError::Line { dialect: self.dialect, reason: error.to_string() })
    }

    /// Gaps whose value does not depend on what happened.
    fn standing_gap(&self, name: &str, now: Timestamp) -> Option<Value> {
        let seconds = |moment: Timestamp| moment.as_millis().div_euclid(1000);
        let turn = self.turn.as_ref();
        let call = self.call.as_ref();
        Some(match name {
            "now" => now.to_string().into(),
            "now_s" => seconds(now).into(),
            "now_ms" => now.as_millis().into(),
            "now_float" => (now.as_millis() as f64 / 1000.0).into(),
            "created" => self.created.to_string().into(),
            "date" => zone::local(self.created, "%Y-%m-%d").into(),
            "zone" => "Etc/UTC".into(),
            "ordinal" => self.ordinal.into(),
            "sequence" => self.sequence.into(),
            "sampled" => self.sampled.into(),
            "input_order" => self.input_order.into(),
            "thread" => self.thread.to_string().into(),
            "window_id" => Uuid::from_u128(self.thread.as_u128() ^ 0xff).to_string().into(),
            "window" => CONTEXT_WINDOW.into(),
            "cwd" => self.identity.cwd.to_string_lossy().into_owned().into(),
            "version" => self.dialect.version().into(),
            "model" => self.identity.model.as_str().into(),
            "source" => self.identity.source.into(),
            "approval" => self.identity.approval.as_str().into(),
            "fresh" => time_id(now).to_string().into(),
            "turn" => turn?.id.to_string().into(),
            "started_s" => seconds(turn?.started).into(),
            "turn_ms" => (now.as_millis() - turn?.started.as_millis()).into(),
            "first_token_ms" => {
                let first = turn?.first_token.unwrap_or(now);
                (first.as_millis() - turn?.started.as_millis()).into()
            }
            "turn_input" => turn?.tokens.input.into(),
            "turn_output" => turn?.tokens.output.into(),
            "turn_all" => turn?.tokens.all().into(),
            "total_input" => self.total.input.into(),
            "total_output" => self.total.output.into(),
            "total_all" => self.total.all().into(),
            "last_input" => self.last.input.into(),
            "last_output" => self.last.output.into(),
            "last_all" => self.last.all().into(),
            "primary" => self.limits[0].clone(),
            "secondary" => self.limits[1].clone(),
            "call" => call?.id.as_str().into(),
            "exec_id" => call?.exec_id.as_str().into(),
            "item_started_ms" => call.map_or(now, |call| call.started).as_millis().into(),
            _ => return None,
        })
    }

    fn torn_line(&mut self, pause: Duration) -> Result {
        let Some(&(_, template)) = self.book.section("reasoning").last() else { return Ok(()) };
        let line = self.filled(
            template,
            &Gaps::from([("text", "This record was torn".into()), ("reasoning_id", "rs_torn".into())]),
        )?;
        let cut = line.len() / 2;
        let cut = (cut..line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(cut);
        self.put(&line.as_bytes()[..cut])?;
        thread::sleep(pause);
        self.ordinal += 1;
        self.put(format!("{line}\n").as_bytes())
    }

    fn ensure_open(&mut self) -> Result {
        if self.file.is_some() {
            return Ok(());
        }
        self.open_file()?;
        self.play("open", Gaps::new())
    }

    fn open_file(&mut self) -> Result {
        let fail = |path: &Path, source| RolloutError::Write { path: path.to_owned(), source };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(|source| fail(folder, source))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        self.file = Some(file.map_err(|source| fail(&self.path, source))?);
        Ok(())
    }
}

fn fresh_thread(dialect: Dialect, now: Timestamp) -> Uuid {
    if dialect.time_ordered_ids() { time_id(now) } else { Uuid::new_v4() }
}

/// A version 7 id of `now`.
fn time_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos))
}

/// Where the rollout of a thread lies; date and time in the name are local.
#[must_use]
pub fn rollout_path(codex_home: &Path, created: Timestamp, thread: Uuid) -> PathBuf {
    codex_home
        .join("sessions")
        .join(zone::local(created, "%Y/%m/%d"))
        .join(format!("rollout-{}-{thread}.jsonl", zone::local(created, "%Y-%m-%dT%H-%M-%S")))
}

/// Takes the writer lock of a thread; it is held as long as the file stays open.
pub(super) fn lock_thread(codex_home: &Path, thread: Uuid) -> Result<File> {
    let folder = codex_home.join("thread-writer-locks");
    let path = folder.join(format!("{thread}.lock"));
    let fail = |source| RolloutError::Write { path: path.clone(), source };
    fs::create_dir_all(&folder).map_err(fail)?;
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
        rustix::io::Errno::WOULDBLOCK => RolloutError::Locked(thread),
        other => fail(other.into()),
    })?;
    Ok(file)
}
