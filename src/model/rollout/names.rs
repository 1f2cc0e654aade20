//! The line, payload and item types that were seen in real rollouts or are documented by Codex's source.
//!
//! A known name costs no allocation; an unknown one is kept as it is and counts towards the warning that the
//! format has drifted.

use std::borrow::Cow;

const KINDS: &[&str] = &[
    "event_msg",
    "response_item",
    "token_usage_record",
    "turn_context",
    "session_meta",
    "world_state",
    "compacted",
    "retained_context",
    "inter_agent_communication_metadata",
    "record",
    "header",
];

const EVENTS: &[&str] = &[
    "item_completed",
    "token_count",
    "task_started",
    "task_complete",
    "turn_started",
    "turn_complete",
    "turn_aborted",
    "user_message",
    "agent_message",
    "agent_reasoning",
    "agent_reasoning_raw_content",
    "thread_settings_applied",
    "thread_goal_updated",
    "thread_name_updated",
    "thread_rolled_back",
    "context_compacted",
    "error",
    "warning",
    "stream_error",
    "exec_command_end",
    "patch_apply_end",
    "mcp_tool_call_end",
    "web_search_end",
    "view_image_tool_call",
    "entered_review_mode",
    "exited_review_mode",
    "plan_update",
    "turn_diff",
];

/// Types of `response_item`, which are the line types of the flat dialect.
const RESPONSE_ITEMS: &[&str] = &[
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "additional_tools",
    "agent_message",
    "local_shell_call",
    "web_search_call",
    "image_generation_call",
    "ghost_snapshot",
    "compaction",
    "compaction_summary",
];

const ITEMS: &[&str] = &[
    "UserMessage",
    "AgentMessage",
    "Reasoning",
    "CommandExecution",
    "FileChange",
    "McpToolCall",
    "Plan",
    "ContextCompaction",
    "SubAgentActivity",
    "CollabAgentToolCall",
    "HookPrompt",
    "WebSearch",
    "ImageView",
    "EnteredReviewMode",
    "ExitedReviewMode",
];

const RETAINED: &[&str] = &["verified_answer"];
const RECORDS: &[&str] = &["state"];

/// A type name and whether it is one of ours.
pub(super) struct Name {
    pub(super) text: Cow<'static, str>,
    pub(super) known: bool,
}

impl Name {
    fn among(list: &'static [&'static str], text: String) -> Self {
        match list.iter().find(|name| **name == text) {
            Some(name) => Self { text: Cow::Borrowed(name), known: true },
            None => Self { text: Cow::Owned(text), known: false },
        }
    }
}

/// The name of a wrapped line's type.
pub(super) fn kind(text: String) -> Name {
    Name::among(KINDS, text)
}

/// The name of a flat line's type.
pub(super) fn flat_kind(text: String) -> Name {
    Name::among(RESPONSE_ITEMS, text)
}

/// The name of a payload's type.
pub(super) fn subtype(kind: &str, text: String) -> Name {
    let list = match kind {
        "event_msg" => EVENTS,
        "response_item" => RESPONSE_ITEMS,
        "retained_context" => RETAINED,
        "record" => RECORDS,
        _ => &[],
    };
    Name::among(list, text)
}

/// The name of an item's type.
pub(super) fn item(text: String) -> Name {
    Name::among(ITEMS, text)
}
