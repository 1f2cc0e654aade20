//! The items as the model sends and gets them: `response_item` lines, and the lines of the flat dialect.
//!
//! In the flat dialect they are all there is; in the others each message stands in an event as well.

use super::{
    dialect::{
        EXCERPT_CHARS, MESSAGE_CHARS, Meaning, agent_message, content_text, opaque, reasoning, user_message, word,
    },
    fact::{Fact, MessageRole},
    scan::Json,
    summary::{Summary, brief},
};

/// Reads an item of type `kind`.
pub(super) fn read(kind: &str, body: Json<'_>, is_flat: bool, known: bool) -> Meaning {
    let meaning = match kind {
        "message" => return message(body, is_flat),
        "reasoning" => {
            let first = body.get("summary").and_then(|parts| parts.elements().next());
            reasoning(first.and_then(|part| part.get("text")).and_then(|text| text.excerpt(EXCERPT_CHARS)))
        }
        "function_call" | "custom_tool_call" | "local_shell_call" => call(kind, body),
        "function_call_output" | "custom_tool_call_output" => {
            let call_id = word(body.get("call_id"));
            let summary = Summary::new().size("bytes", body.len()).text("call_id", call_id.as_deref());
            Meaning::new(Fact::CallFinished { call_id }, String::new(), summary)
        }
        "agent_message" => {
            let [author, recipient] = body.pick(["author", "recipient"]);
            let (author, recipient) = (word(author), word(recipient));
            let line = match (&author, &recipient) {
                (Some(author), Some(recipient)) => brief(&format!("{author} to {recipient}")),
                _ => String::new(),
            };
            let summary = Summary::new()
                .text("author", author.as_deref())
                .size("bytes", body.len())
                .text("recipient", recipient.as_deref());
            Meaning::new(Fact::RawMessage { role: MessageRole::Other }, line, summary)
        }
        _ => return opaque(body, known),
    };
    meaning.in_turn(passed_turn_id(body))
}

fn call(kind: &str, body: Json<'_>) -> Meaning {
    let [call_id, name, arguments, input] = body.pick(["call_id", "name", "arguments", "input"]);
    let call_id = word(call_id);
    let name = word(name).unwrap_or_else(|| kind.to_owned());
    let arguments = arguments.or(input).and_then(|text| text.excerpt(EXCERPT_CHARS)).unwrap_or_default();
    let line = brief(&format!("{name} {arguments}"));
    let summary = Summary::new()
        .text("arguments", Some(&arguments))
        .text("call_id", call_id.as_deref())
        .text("name", Some(&name));
    Meaning::new(Fact::CallStarted { call_id, name }, line, summary)
}

/// A message item. In the flat dialect it is the message; in the others it is a copy of what an event tells.
fn message(body: Json<'_>, is_flat: bool) -> Meaning {
    let [said_role, content] = body.pick(["role", "content"]);
    let role = match said_role.and_then(Json::plain) {
        Some("user") => MessageRole::User,
        Some("assistant") => MessageRole::Assistant,
        Some("developer" | "system") => MessageRole::Developer,
        _ => MessageRole::Other,
    };
    match (is_flat, role) {
        (true, MessageRole::User) => {
            let text = content_text(content, MESSAGE_CHARS);
            let injected = is_injected(&text);
            user_message(text, None, injected)
        }
        (true, MessageRole::Assistant) => agent_message(content_text(content, MESSAGE_CHARS), None),
        (true, MessageRole::Developer | MessageRole::Other) | (false, _) => {
            let text = content_text(content, EXCERPT_CHARS);
            let summary =
                Summary::new().size("bytes", body.len()).text("role", Some(role.as_str())).text("text", Some(&text));
            Meaning::new(Fact::RawMessage { role }, brief(&text), summary).in_turn(passed_turn_id(body))
        }
    }
}

/// True for what Codex says in the user's name.
fn is_injected(text: &str) -> bool {
    [
        "<environment_context>",
        "<user_instructions>",
        "# AGENTS.md instructions",
        "<turn_aborted>",
        "<user_shell_command>",
    ]
    .iter()
    .any(|mark| text.starts_with(mark))
}

fn passed_turn_id(body: Json<'_>) -> Option<String> {
    word(body.get("internal_chat_message_metadata_passthrough")?.get("turn_id"))
}
