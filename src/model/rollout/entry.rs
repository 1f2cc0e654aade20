//! A session's conversation, told by single lines of its rollout.
//!
//! Only lines that a person would want to read are told, and each thing by one kind of line only; calls and their
//! outputs are put together later, by [`joined`](crate::model::conversation::joined).

use super::{
    detail::{self, Body},
    envelope::Record,
    fact::{Fact, Phase},
};
use crate::model::conversation::{Outcome, Run, Said, Sender, typed_body};

/// Whether [`said`] tells anything about such a line.
#[must_use]
pub fn is_spoken(record: &Record) -> bool {
    match &record.fact {
        Fact::UserMessage { injected, text, .. } => !injected && !text.trim().is_empty(),
        Fact::AgentMessage { text, .. } | Fact::Plan { text } => !text.trim().is_empty(),
        Fact::Command { .. }
        | Fact::FileChange { .. }
        | Fact::ToolCall { .. }
        | Fact::SubAgent { .. }
        | Fact::CallStarted { .. }
        | Fact::CallFinished { .. }
        | Fact::TurnStarted { .. }
        | Fact::TurnEnded { .. }
        | Fact::TurnAborted { .. }
        | Fact::RolledBack { .. }
        | Fact::Error(_)
        | Fact::Goal { .. }
        | Fact::Other { known: false } => true,
        // A thought stands in a raw copy as well; the flat dialect has nothing else.
        Fact::Reasoning => record.kind != "response_item" && !record.brief.is_empty(),
        // A compaction is told by two lines.
        Fact::Compacted => record.kind == "compacted",
        // What agents say to one another; the raw copies of other messages are told elsewhere.
        Fact::RawMessage { .. } => record.subtype.as_deref() == Some("agent_message") && !record.brief.is_empty(),
        Fact::Other { known: true } => reports(record).is_some(),
        Fact::SessionHead(_) | Fact::Tokens(_) | Fact::StateRecord => false,
    }
}

/// What `record` says in the conversation, if anything; `line` is the line that it was read from.
#[must_use]
pub fn said(record: &Record, line: &[u8]) -> Option<Said> {
    if !is_spoken(record) {
        return None;
    }
    let text = String::from_utf8_lossy(line);
    let body = Body::of(&text);
    let brief = || record.brief.clone();
    Some(match &record.fact {
        Fact::UserMessage { text, .. } => {
            let text = body.whole(text);
            match typed_body(&text) {
                Some((typed, _)) => Said::User { text: typed.to_owned(), sender: Sender::Conveyor(None) },
                None => Said::User { text, sender: Sender::Unsaid },
            }
        }
        Fact::AgentMessage { text, phase: Phase::Final } => Said::Agent(body.whole(text)),
        Fact::AgentMessage { text, phase: Phase::Commentary } => Said::Note(body.whole(text)),
        Fact::Plan { text } => Said::Plan(body.whole(text)),
        Fact::Reasoning => Said::Thought(body.thought().unwrap_or_else(brief)),
        Fact::Command { command, exit_code, source } => Said::Command(Run {
            command: body.whole_command(command),
            source: *source,
            call_id: body.call_id(),
            outcome: Outcome { exit_code: *exit_code, ..body.outcome() },
        }),
        Fact::FileChange { status, .. } => {
            let status = status.clone().filter(|status| status != "completed");
            Said::Change { files: body.changes(), status, call_id: body.call_id() }
        }
        Fact::ToolCall { name, status } => {
            let status = status.clone().filter(|status| status != "completed");
            let (arguments, output) = body.tool();
            let millis = body.millis();
            Said::Tool { name: name.clone(), status, arguments, output, millis, call_id: body.call_id() }
        }
        Fact::SubAgent { kind, .. } => {
            let who = record.brief.strip_suffix(kind.as_str()).unwrap_or(&record.brief).trim().to_owned();
            Said::SubAgent { who, kind: kind.clone() }
        }
        Fact::CallStarted { call_id, name } => {
            Said::Call { id: call_id.clone(), name: name.clone(), arguments: body.arguments(name) }
        }
        // Codex gives the model something of its own accord, as if it had asked for it.
        Fact::CallFinished { call_id: None } if body.name().is_some() => Said::Tool {
            name: body.name()?,
            status: None,
            arguments: String::new(),
            output: body.output().output,
            millis: None,
            call_id: None,
        },
        Fact::CallFinished { call_id } => Said::Output { call_id: call_id.clone(), outcome: body.output() },
        Fact::TurnStarted { trigger, .. } => Said::TurnStarted { trigger: trigger.clone() },
        Fact::TurnEnded { error, .. } => {
            Said::TurnEnded { millis: body.millis(), error: error.as_ref().map(|error| error.message.clone()) }
        }
        Fact::TurnAborted { reason, .. } => Said::TurnAborted { reason: reason.clone(), millis: body.millis() },
        Fact::Error(error) => Said::Error(error.message.clone()),
        Fact::Compacted | Fact::RolledBack { .. } | Fact::Goal { .. } => Said::Codex(brief()),
        Fact::RawMessage { .. } => Said::SubAgent { who: brief(), kind: "message".to_owned() },
        Fact::Other { known: true } => reports(record)?(&body, record),
        Fact::Other { known: false } => Said::Unknown { label: record.label(), text: detail::names(&record.payload) },
        Fact::SessionHead(_) | Fact::Tokens(_) | Fact::StateRecord => return None,
    })
}

/// How a line is told whose type is known and of which the record holds nothing; none for mere bookkeeping.
fn reports(record: &Record) -> Option<fn(&Body<'_>, &Record) -> Said> {
    match record.short_label() {
        "warning" | "stream_error" => Some(|body, record| Said::Error(body.message(record.short_label()))),
        "entered_review_mode"
        | "exited_review_mode"
        | "EnteredReviewMode"
        | "ExitedReviewMode"
        | "HookPrompt"
        | "plan_update" => Some(|body, record| Said::Codex(body.message(record.short_label()))),
        "web_search_end" | "WebSearch" | "view_image_tool_call" | "ImageView" => Some(as_tool),
        // In the wrapped dialects an event tells of it.
        "web_search_call" | "image_generation_call" if record.subtype.is_none() => Some(as_tool),
        _ => None,
    }
}

fn as_tool(body: &Body<'_>, record: &Record) -> Said {
    Said::Tool {
        name: record.short_label().to_owned(),
        status: None,
        arguments: body.message(""),
        output: String::new(),
        millis: body.millis(),
        call_id: body.call_id(),
    }
}
