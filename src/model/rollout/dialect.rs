//! What each known type of line says, in every dialect.
//!
//! Three dialects are known: flat items (Codex 0.25), wrapped lines with `user_message` and `agent_message`
//! events, and wrapped lines with `item_completed`. A file can change dialect from one line to the next, so
//! there is no dialect to remember: the type of a line decides.

use std::borrow::Cow;

use super::{
    envelope::WORD_CHARS,
    fact::{CommandSource, Fact, LimitWindow, Phase, RateLimits, Tokens, TurnError},
    names, response_item,
    scan::Json,
    session_head,
    summary::{FIELD_CHARS, LIST_ITEMS, Summary, brief},
};
use crate::base::Timestamp;

/// Longest message, plan or answer that is kept in a fact, in characters.
pub(super) const MESSAGE_CHARS: usize = 4_000;
/// Longest excerpt of text that stands in full elsewhere, in characters.
pub(super) const EXCERPT_CHARS: usize = 160;

/// What a payload means.
pub(super) struct Meaning {
    pub(super) item: Option<Cow<'static, str>>,
    pub(super) turn_id: Option<String>,
    pub(super) fact: Fact,
    pub(super) brief: String,
    pub(super) summary: Summary,
}

impl Meaning {
    pub(super) fn new(fact: Fact, brief: String, summary: Summary) -> Self {
        Self { item: None, turn_id: None, fact, brief, summary }
    }

    pub(super) fn in_turn(mut self, turn_id: Option<String>) -> Self {
        self.turn_id = turn_id;
        self
    }
}

/// Reads the body of a line: the payload, or the line itself in the flat dialect.
pub(super) fn read(kind: &str, subtype: Option<&str>, body: Json<'_>, is_flat: bool, known: bool) -> Meaning {
    match (kind, subtype) {
        ("event_msg", Some("item_completed")) => item_completed(body),
        ("event_msg", Some(subtype)) => event(subtype, body, known),
        ("response_item", Some(subtype)) => response_item::read(subtype, body, is_flat, known),
        ("session_meta", _) => session_head::session_meta(body).unwrap_or_else(|| opaque(body, false)),
        ("header", _) => session_head::header(body).unwrap_or_else(|| opaque(body, false)),
        ("record", Some("state")) => Meaning::new(Fact::StateRecord, String::new(), Summary::new()),
        ("compacted", _) => compacted(body),
        ("turn_context", _) => turn_context(body),
        ("token_usage_record", _) => token_usage_record(body),
        (kind, None) if is_flat => response_item::read(kind, body, is_flat, known),
        _ => opaque(body, known),
    }
}

/// A line of no interest, or of no known type: its size and the names in it.
pub(super) fn opaque(body: Json<'_>, known: bool) -> Meaning {
    let summary = Summary::new().size("bytes", body.len());
    let summary = if known {
        summary
    } else {
        let keys: Vec<String> = body.members().take(LIST_ITEMS).map(|(key, _)| brief(&clean_word(&key))).collect();
        summary.list("keys", &keys)
    };
    let turn_id = if known { None } else { word(body.get("turn_id")) };
    Meaning::new(Fact::Other { known }, String::new(), summary).in_turn(turn_id)
}

fn event(subtype: &str, body: Json<'_>, known: bool) -> Meaning {
    match subtype {
        "task_started" | "turn_started" => task_started(body),
        "task_complete" | "turn_complete" => task_complete(body),
        "turn_aborted" => turn_aborted(body),
        "token_count" => token_count(body),
        "user_message" => {
            let [message, kind, client_id] = body.pick(["message", "kind", "client_id"]);
            // Versions around 0.3x told environment and instructions as events of another kind.
            let injected = kind.and_then(Json::plain).is_some_and(|kind| kind != "plain");
            user_message(excerpt(message, MESSAGE_CHARS), word(client_id), injected)
        }
        "agent_message" => {
            let [message, phase] = body.pick(["message", "phase"]);
            agent_message(excerpt(message, MESSAGE_CHARS), phase)
        }
        "agent_reasoning" | "agent_reasoning_raw_content" => {
            reasoning(body.get("text").and_then(|text| text.excerpt(EXCERPT_CHARS)))
        }
        "exec_command_end" => command(body).in_turn(word(body.get("turn_id"))),
        "patch_apply_end" => file_change(body).in_turn(word(body.get("turn_id"))),
        "mcp_tool_call_end" => {
            let name = body.get("invocation").map_or([None, None], |call| call.pick(["server", "tool"]));
            tool_call(name, None, body.len()).in_turn(word(body.get("turn_id")))
        }
        "context_compacted" => Meaning::new(Fact::Compacted, "context compacted".to_owned(), Summary::new()),
        "thread_rolled_back" => {
            let turns = body.get("num_turns").and_then(Json::unsigned).unwrap_or(1);
            let summary = Summary::new().unsigned("num_turns", Some(turns));
            Meaning::new(Fact::RolledBack { turns }, format!("{turns} turn(s) taken back"), summary)
        }
        "error" => {
            let error = turn_error(body);
            let line = brief(&error.message);
            let summary = error_fields(Summary::new(), Some(&error));
            Meaning::new(Fact::Error(error), line, summary)
        }
        "thread_goal_updated" => goal(body),
        _ => opaque(body, known),
    }
}

fn task_started(body: Json<'_>) -> Meaning {
    let [turn_id, attribution, started_at, window] =
        body.pick(["turn_id", "turn_attribution", "started_at", "model_context_window"]);
    let turn_id = word(turn_id);
    let trigger = attribution.and_then(|attribution| word(attribution.get("turn_trigger")));
    let context_window = window.and_then(Json::unsigned);
    let summary = Summary::new()
        .unsigned("model_context_window", context_window)
        .text("turn_id", turn_id.as_deref())
        .text("turn_trigger", trigger.as_deref());
    let line = trigger.as_ref().map_or_else(|| "turn started".to_owned(), |by| brief(&format!("turn started by {by}")));
    let fact = Fact::TurnStarted { turn_id: turn_id.clone(), trigger, context_window, started_at: seconds(started_at) };
    Meaning::new(fact, line, summary).in_turn(turn_id)
}

fn task_complete(body: Json<'_>) -> Meaning {
    let [turn_id, message, error, duration] = body.pick(["turn_id", "last_agent_message", "error", "duration_ms"]);
    let turn_id = word(turn_id);
    let last_message = message.and_then(|message| message.excerpt(MESSAGE_CHARS)).filter(|text| !text.is_empty());
    let error = error.map(turn_error);
    let line = match (&error, &last_message) {
        (Some(error), _) => brief(&format!("failed: {}", error.message)),
        (None, Some(message)) => brief(message),
        (None, None) => "ended without an answer".to_owned(),
    };
    let summary =
        error_fields(Summary::new().unsigned("duration_ms", duration.and_then(Json::unsigned)), error.as_ref())
            .text("last_agent_message", last_message.as_deref())
            .text("turn_id", turn_id.as_deref());
    Meaning::new(Fact::TurnEnded { turn_id: turn_id.clone(), last_message, error }, line, summary).in_turn(turn_id)
}

fn turn_aborted(body: Json<'_>) -> Meaning {
    let [turn_id, reason] = body.pick(["turn_id", "reason"]);
    let turn_id = word(turn_id);
    let reason = word(reason).unwrap_or_else(|| "unsaid".to_owned());
    let summary = Summary::new().text("reason", Some(&reason)).text("turn_id", turn_id.as_deref());
    let line = brief(&format!("turn aborted: {reason}"));
    Meaning::new(Fact::TurnAborted { turn_id: turn_id.clone(), reason }, line, summary).in_turn(turn_id)
}

/// Reads `{message, codex_error_info}`, where the information is a name or an object named after the error.
fn turn_error(body: Json<'_>) -> TurnError {
    let [message, info] = body.pick(["message", "codex_error_info"]);
    let (kind, http_status) = match info.and_then(|info| info.members().next()) {
        Some((key, detail)) => (Some(clean_word(&key)), detail.get("http_status_code").and_then(Json::unsigned)),
        None => (word(info), None),
    };
    let message = message.and_then(|message| message.excerpt(FIELD_CHARS)).filter(|text| !text.is_empty());
    TurnError { kind, http_status, message: message.unwrap_or_else(|| "no message".to_owned()) }
}

fn error_fields(summary: Summary, error: Option<&TurnError>) -> Summary {
    let Some(error) = error else { return summary };
    summary
        .text("error", Some(&error.message))
        .text("error_kind", error.kind.as_deref())
        .unsigned("http_status", error.http_status)
}

pub(super) fn user_message(text: String, client_id: Option<String>, injected: bool) -> Meaning {
    let summary = Summary::new().text("client_id", client_id.as_deref()).text("text", Some(&text));
    let line = brief(&text);
    Meaning::new(Fact::UserMessage { text, client_id, injected }, line, summary)
}

pub(super) fn agent_message(text: String, phase: Option<Json<'_>>) -> Meaning {
    let is_note = phase.and_then(Json::plain).is_some_and(|phase| phase == "commentary");
    let phase = if is_note { Phase::Commentary } else { Phase::Final };
    let summary = Summary::new().text("phase", is_note.then_some(phase.as_str())).text("text", Some(&text));
    let line = brief(&text);
    Meaning::new(Fact::AgentMessage { text, phase }, line, summary)
}

pub(super) fn reasoning(text: Option<String>) -> Meaning {
    let line = text.as_deref().map(brief).unwrap_or_default();
    Meaning::new(Fact::Reasoning, line, Summary::new().text("text", text.as_deref()))
}

fn goal(body: Json<'_>) -> Meaning {
    let [objective, status] = body.get("goal").map_or([None, None], |goal| goal.pick(["objective", "status"]));
    let objective = excerpt(objective, FIELD_CHARS);
    let status = word(status).unwrap_or_else(|| "unsaid".to_owned());
    let summary = Summary::new().text("objective", Some(&objective)).text("status", Some(&status));
    let line = brief(&format!("goal {status}: {objective}"));
    Meaning::new(Fact::Goal { objective, status }, line, summary)
}

fn token_count(body: Json<'_>) -> Meaning {
    let [info, limits] = body.pick(["info", "rate_limits"]);
    let [total, last, window] = info.map_or([None, None, None], |info| {
        info.pick(["total_token_usage", "last_token_usage", "model_context_window"])
    });
    let sum = |usage: Option<Json<'_>>| usage.and_then(|usage| usage.get("total_tokens")).and_then(Json::unsigned);
    let tokens = Tokens {
        last_total: sum(last),
        total: sum(total),
        window: window.and_then(Json::unsigned),
        limits: limits.and_then(rate_limits),
    };
    let line = match (tokens.last_total, tokens.window) {
        (Some(used), Some(window)) => format!("{used} of {window} tokens"),
        (Some(used), None) => format!("{used} tokens"),
        (None, _) => String::new(),
    };
    let used = |pick: fn(&RateLimits) -> &Option<LimitWindow>| {
        tokens.limits.as_ref().and_then(|limits| pick(limits).as_ref()).map(|limit| limit.used_percent)
    };
    let summary = Summary::new()
        .unsigned("last_total_tokens", tokens.last_total)
        .unsigned("model_context_window", tokens.window)
        .float("primary_used_percent", used(|limits| &limits.primary))
        .float("secondary_used_percent", used(|limits| &limits.secondary))
        .unsigned("total_tokens", tokens.total);
    Meaning::new(Fact::Tokens(Box::new(tokens)), line, summary)
}

fn rate_limits(limits: Json<'_>) -> Option<RateLimits> {
    let [primary, secondary, reached] = limits.pick(["primary", "secondary", "rate_limit_reached_type"]);
    let window = |limit: Option<Json<'_>>| {
        let [used, minutes, resets_at] = limit?.pick(["used_percent", "window_minutes", "resets_at"]);
        Some(LimitWindow {
            used_percent: used?.float()?,
            window_minutes: minutes.and_then(Json::unsigned),
            resets_at: seconds(resets_at),
        })
    };
    let limits = RateLimits { primary: window(primary), secondary: window(secondary), reached: word(reached) };
    (limits != RateLimits::default()).then_some(limits)
}

fn token_usage_record(body: Json<'_>) -> Meaning {
    let [turn_id, usage] = body.pick(["turn_id", "usage"]);
    let used = usage.and_then(|usage| usage.get("total_tokens")).and_then(Json::unsigned);
    let line = used.map(|used| format!("{used} tokens")).unwrap_or_default();
    Meaning::new(Fact::Other { known: true }, line, Summary::new().unsigned("total_tokens", used))
        .in_turn(word(turn_id))
}

fn turn_context(body: Json<'_>) -> Meaning {
    let [turn_id, approval, model] = body.pick(["turn_id", "approval_policy", "model"]);
    let (approval, model) = (word(approval), word(model));
    let summary = Summary::new().text("approval_policy", approval.as_deref()).text("model", model.as_deref());
    let line = model.map(|model| brief(&model)).unwrap_or_default();
    Meaning::new(Fact::Other { known: true }, line, summary).in_turn(word(turn_id))
}

fn compacted(body: Json<'_>) -> Meaning {
    let message = body.get("message").and_then(|message| message.excerpt(EXCERPT_CHARS));
    let summary = Summary::new().size("bytes", body.len()).text("message", message.as_deref());
    Meaning::new(Fact::Compacted, "context compacted".to_owned(), summary)
}

fn item_completed(body: Json<'_>) -> Meaning {
    let [turn_id, item] = body.pick(["turn_id", "item"]);
    let turn_id = word(turn_id);
    let Some(item) = item else { return opaque(body, false).in_turn(turn_id) };
    let Some(name) = word(item.get("type")).map(names::item) else { return opaque(body, false).in_turn(turn_id) };
    let mut meaning = match &*name.text {
        "UserMessage" => {
            let [content, client_id] = item.pick(["content", "client_id"]);
            user_message(content_text(content, MESSAGE_CHARS), word(client_id), false)
        }
        "AgentMessage" => {
            let [content, phase] = item.pick(["content", "phase"]);
            agent_message(content_text(content, MESSAGE_CHARS), phase)
        }
        "Reasoning" => {
            let first = item.get("summary_text").and_then(|texts| texts.elements().next());
            reasoning(first.and_then(|text| text.excerpt(EXCERPT_CHARS)))
        }
        "CommandExecution" => command(item),
        "FileChange" => file_change(item),
        "McpToolCall" => {
            let [server, tool, status] = item.pick(["server", "tool", "status"]);
            tool_call([server, tool], word(status), item.len())
        }
        "CollabAgentToolCall" => {
            let [tool, status] = item.pick(["tool", "status"]);
            tool_call([None, tool], word(status), item.len())
        }
        "Plan" => {
            let text = excerpt(item.get("text"), MESSAGE_CHARS);
            let line = brief(&text);
            let summary = Summary::new().text("text", Some(&text));
            Meaning::new(Fact::Plan { text }, line, summary)
        }
        "ContextCompaction" => Meaning::new(Fact::Compacted, "context compacted".to_owned(), Summary::new()),
        "SubAgentActivity" => sub_agent(item),
        _ => opaque(item, name.known),
    };
    meaning.item = Some(name.text);
    meaning.in_turn(turn_id)
}

/// A `CommandExecution` item or an `exec_command_end` event; they have the same members.
fn command(body: Json<'_>) -> Meaning {
    let [line, source, status, output, exit_code] =
        body.pick(["command", "source", "status", "aggregated_output", "exit_code"]);
    let command = command_line(line, FIELD_CHARS);
    let exit_code = exit_code.and_then(Json::signed);
    let is_users = source.and_then(Json::plain).is_some_and(|source| source == "user_shell");
    let source = if is_users { CommandSource::UserShell } else { CommandSource::Agent };
    let output = output.and_then(|output| output.excerpt(EXCERPT_CHARS)).filter(|output| !output.is_empty());
    let summary = Summary::new()
        .text("command", Some(&command))
        .signed("exit_code", exit_code)
        .text("output", output.as_deref())
        .text("source", is_users.then_some(source.as_str()))
        .text("status", word(status).as_deref());
    let brief = match exit_code {
        Some(0) => brief(&command),
        Some(code) => brief(&format!("(exit {code}) {command}")),
        None => brief(&format!("(did not run) {command}")),
    };
    Meaning::new(Fact::Command { command, exit_code, source }, brief, summary)
}

/// A command line without the shell around it: `["/bin/bash","-lc","ls"]` is `ls`.
pub(super) fn command_line(command: Option<Json<'_>>, max: usize) -> String {
    let Some(command) = command else { return String::new() };
    if let Some(text) = command.excerpt(max) {
        return text;
    }
    let words: Vec<Json<'_>> = command.elements().take(LIST_ITEMS * 4).collect();
    if let [_, flag, script] = words.as_slice()
        && flag.plain().is_some_and(|flag| flag == "-lc" || flag == "-c")
    {
        return script.excerpt(max).unwrap_or_default();
    }
    let words: Vec<String> = words.iter().filter_map(|word| word.excerpt(max)).collect();
    crate::base::text::bounded(&words.join(" "), max)
}

/// A `FileChange` item or a `patch_apply_end` event; the changes are keyed by path.
fn file_change(body: Json<'_>) -> Meaning {
    let [changes, status] = body.pick(["changes", "status"]);
    let paths: Vec<String> = changes
        .map(|changes| changes.members().take(LIST_ITEMS).map(|(path, _)| clean_line(&path)).collect())
        .unwrap_or_default();
    let status = word(status);
    let line = match status.as_deref() {
        Some("completed") | None => brief(&paths.join(", ")),
        Some(status) => brief(&format!("({status}) {}", paths.join(", "))),
    };
    let summary = Summary::new().list("paths", &paths).text("status", status.as_deref());
    Meaning::new(Fact::FileChange { paths, status }, line, summary)
}

fn tool_call([server, tool]: [Option<Json<'_>>; 2], status: Option<String>, bytes: usize) -> Meaning {
    let tool = word(tool).unwrap_or_else(|| "tool".to_owned());
    let name = word(server).map_or_else(|| tool.clone(), |server| format!("{server}.{tool}"));
    let line = match status.as_deref() {
        Some("completed") | None => brief(&name),
        Some(status) => brief(&format!("({status}) {name}")),
    };
    let summary = Summary::new().size("bytes", bytes).text("name", Some(&name)).text("status", status.as_deref());
    Meaning::new(Fact::ToolCall { name, status }, line, summary)
}

fn sub_agent(item: Json<'_>) -> Meaning {
    let [kind, child, path] = item.pick(["kind", "agent_thread_id", "agent_path"]);
    let kind = word(kind).unwrap_or_else(|| "unsaid".to_owned());
    let (child, path) = (word(child), word(path));
    let who = path.as_deref().or(child.as_deref()).unwrap_or("sub-agent");
    let line = brief(&format!("{who} {kind}"));
    let summary = Summary::new()
        .text("agent_path", path.as_deref())
        .text("agent_thread_id", child.as_deref())
        .text("kind", Some(&kind));
    Meaning::new(Fact::SubAgent { kind, child, path }, line, summary)
}

/// The texts of a message's parts, a line feed between them.
pub(super) fn content_text(content: Option<Json<'_>>, max: usize) -> String {
    let Some(content) = content else { return String::new() };
    if let Some(text) = content.excerpt(max) {
        return text;
    }
    let mut all = String::new();
    let mut room = max;
    for part in content.elements() {
        let Some(text) = part.get("text").and_then(|text| text.excerpt(room)) else { continue };
        if text.is_empty() {
            continue;
        }
        if !all.is_empty() {
            all.push('\n');
        }
        room = room.saturating_sub(text.chars().count() + 1);
        all.push_str(&text);
        if room == 0 {
            break;
        }
    }
    all
}

pub(super) fn word(value: Option<Json<'_>>) -> Option<String> {
    value.and_then(|value| value.word(WORD_CHARS)).filter(|word| !word.is_empty())
}

fn excerpt(value: Option<Json<'_>>, max: usize) -> String {
    value.and_then(|value| value.excerpt(max)).unwrap_or_default()
}

/// A moment given in whole seconds.
fn seconds(value: Option<Json<'_>>) -> Option<Timestamp> {
    let millis = value?.signed()?.checked_mul(1_000)?;
    Some(Timestamp::from_millis(millis))
}

pub(super) fn clean_word(text: &str) -> String {
    crate::base::text::bounded(&clean_line(text), WORD_CHARS)
}

fn clean_line(text: &str) -> String {
    brief(&crate::base::text::clean(text))
}
