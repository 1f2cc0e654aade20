//! What a rollout tells of: commands, edits, questions, token counts, and who the thread is.
//!
//! Plain data with the gaps it fills in the lines of a book; writing them is `rollout`'s work.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::lines::{Gaps, quoted};

/// Who a thread is; fixed for its whole life.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Where `sessions/` lies.
    pub codex_home: PathBuf,
    /// The directory the session works in, absolute.
    pub cwd: PathBuf,
    /// The model's name.
    pub model: String,
    /// `session_meta.source`: `cli`, `vscode` or `exec`.
    pub source: &'static str,
    /// The approval policy, as `-a` takes it.
    pub approval: String,
    /// The id of the thread, or `None` for a fresh one.
    pub thread: Option<Uuid>,
}

/// Tokens of one count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens sent to the model.
    pub input: u64,
    /// Tokens the model produced.
    pub output: u64,
}

impl Tokens {
    pub(super) fn add(&mut self, other: Tokens) {
        self.input += other.input;
        self.output += other.output;
    }

    /// Input and output together.
    #[must_use]
    pub fn all(self) -> u64 {
        self.input + self.output
    }
}

/// A pretended command, for the lines of its call and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command line.
    pub line: String,
    /// Why it wants to run outside the sandbox, when it does.
    pub escalation: Option<String>,
    /// What it prints.
    pub output: String,
    /// How it ends.
    pub exit: i32,
    /// How long it takes.
    pub duration: Duration,
}

impl Command {
    /// The gaps of its lines; `number` makes ids.
    pub(super) fn gaps(&self, number: u64) -> Gaps {
        let seconds = self.duration.as_secs_f64();
        let escalation = self.escalation.as_ref().map_or(String::new(), |reason| {
            format!(r#", "sandbox_permissions": "require_escalated", "justification": {}"#, quoted(reason))
        });
        let parsed = match self.line.as_str() {
            "ls" => json!([{"type": "list_files", "cmd": "ls", "path": null}]),
            line => json!([{"type": "unknown", "cmd": line}]),
        };
        let process = 7000 + number;
        Gaps::from([
            ("command", self.line.as_str().into()),
            ("command_quoted", quoted(&self.line).into()),
            ("escalation", escalation.into()),
            ("parsed", parsed),
            ("out", self.output.as_str().into()),
            ("out_quoted", quoted(&self.output).into()),
            ("out_tokens", (self.output.len() / 4).into()),
            ("exit", self.exit.into()),
            ("status", if self.exit == 0 { "completed" } else { "failed" }.into()),
            ("secs", self.duration.as_secs().into()),
            ("nanos", self.duration.subsec_nanos().into()),
            ("wall", format!("{seconds:.4}").into()),
            ("wall_short", short_seconds(self.duration)),
            ("chunk", format!("{:06x}", process * 7919 % 0xff_ffff).into()),
            ("process", process.to_string().into()),
        ])
    }
}

/// A file edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The file, relative to the session's directory.
    pub path: String,
    /// What is added.
    pub content: String,
}

impl Patch {
    /// The gaps of its lines in a session that works in `cwd`.
    pub(super) fn gaps(&self, cwd: &Path) -> Gaps {
        let absolute = cwd.join(&self.path).to_string_lossy().into_owned();
        let mut changes = serde_json::Map::new();
        changes.insert(absolute, json!({"type": "add", "content": self.content}));
        Gaps::from([
            ("patch", self.text().into()),
            ("patch_quoted", quoted(&self.text()).into()),
            ("changes", changes.into()),
            ("file", self.path.as_str().into()),
            ("wall_short", short_seconds(Duration::from_millis(100))),
        ])
    }

    fn text(&self) -> String {
        let added: String = self.content.lines().map(|line| format!("+{line}\n")).collect();
        format!("*** Begin Patch\n*** Add File: {}\n{added}*** End Patch", self.path)
    }
}

/// A damaged line, to be written once instead of a sound one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A prefix, this pause, and the whole record again on the same line.
    Torn(Duration),
}

/// The context window that is reported.
pub const CONTEXT_WINDOW: u64 = 258_400;

/// Kinds of tool calls that can be broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A command.
    Command,
    /// A file edit.
    Patch,
    /// A question to the user.
    Question,
}

pub(super) fn text_gap(text: &str) -> Gaps {
    Gaps::from([("text", text.into())])
}

pub(super) fn question_gaps(question: &str, options: &[String], answer: &str) -> Gaps {
    let options: Vec<Value> =
        options.iter().map(|label| json!({"label": label, "description": format!("Choose {label}")})).collect();
    Gaps::from([
        ("question", question.into()),
        ("question_quoted", quoted(question).into()),
        ("options_json", Value::from(options).to_string().into()),
        ("answer", answer.into()),
        ("answer_quoted", quoted(answer).into()),
    ])
}

pub(super) fn short_seconds(duration: Duration) -> Value {
    format!("{:.1}", duration.as_secs_f64()).into()
}
