//! A session's conversation, told by single lines of its rollout.
//!
//! Only lines that a person would want to read become entries, and each thing is told by one line only.

use super::{
    envelope::Record,
    fact::{CommandSource, Fact, Phase},
};
use crate::{
    base::text,
    model::board::{Entry, Speaker},
};

/// Longest entry, in characters.
pub const ENTRY_CHARS: usize = 4_000;

/// The entry that `record` makes in the conversation, if any; `byte_offset` is where its line begins.
#[must_use]
pub fn entry(record: &Record, byte_offset: u64) -> Option<Entry> {
    let (speaker, text) = match &record.fact {
        Fact::UserMessage { text, injected: false, .. } => (Speaker::User, text.clone()),
        Fact::AgentMessage { text, phase: Phase::Final } | Fact::Plan { text } => (Speaker::Agent, text.clone()),
        Fact::AgentMessage { text, phase: Phase::Commentary } => (Speaker::Note, text.clone()),
        Fact::Command { command, exit_code, source } => {
            let prompt = match source {
                CommandSource::Agent => '$',
                CommandSource::UserShell => '!',
            };
            let end = match exit_code {
                Some(0) => String::new(),
                Some(code) => format!(" (exit {code})"),
                None => " (did not run)".to_owned(),
            };
            (Speaker::Tool, format!("{prompt} {command}{end}"))
        }
        Fact::FileChange { .. } => (Speaker::Tool, format!("edit {}", record.brief)),
        Fact::ToolCall { .. } | Fact::SubAgent { .. } => (Speaker::Tool, record.brief.clone()),
        // The versions that call their tool `shell` tell a command nowhere else.
        Fact::CallStarted { name, .. } if name == "shell" => (Speaker::Tool, record.brief.clone()),
        Fact::TurnEnded { error: Some(error), .. } | Fact::Error(error) => (Speaker::Codex, error.message.clone()),
        // A compaction is told by two lines.
        Fact::Compacted if record.kind == "compacted" => (Speaker::Codex, record.brief.clone()),
        Fact::TurnAborted { .. } | Fact::RolledBack { .. } | Fact::Goal { .. } => {
            (Speaker::Codex, record.brief.clone())
        }
        Fact::UserMessage { injected: true, .. }
        | Fact::TurnEnded { error: None, .. }
        | Fact::SessionHead(_)
        | Fact::TurnStarted { .. }
        | Fact::Reasoning
        | Fact::CallStarted { .. }
        | Fact::CallFinished { .. }
        | Fact::Compacted
        | Fact::Tokens(_)
        | Fact::RawMessage { .. }
        | Fact::StateRecord
        | Fact::Other { .. } => return None,
    };
    let text = text::bounded(&text, ENTRY_CHARS);
    (!text.trim().is_empty()).then_some(Entry { speaker, at: record.timestamp, text, byte_offset })
}
