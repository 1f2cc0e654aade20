//! The predecessor's two classifiers of pane text, `startup` and `busy_wait`, with its ids and actions.
//!
//! The predecessor searched the whole capture, so an answered prompt kept matching. Here only the live region
//! counts; where no live region of Codex is found (a bare sentence, an old log), the last twelve rows that are not
//! blank stand in for it.

use serde::Serialize;

use super::{
    PaneReading, PaneState, Prompt, classify, composer, dialog,
    screen::{self, Screen},
    wording,
};
use crate::text_enum;

text_enum! {
    /// How far a session has come after its start.
    pub enum StartupState {
        /// The question whether the folder is trusted is open.
        NeedsTrust => "needs_trust",
        /// The composer has the keyboard.
        Ready => "ready",
        /// A turn runs.
        Working => "working",
        /// It failed or left.
        Error => "error",
        /// Nothing yet, or nothing recognised.
        Starting => "starting",
    }
}

/// The start-up classifier's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Startup {
    /// The state.
    #[serde(rename = "startup")]
    pub state: StartupState,
    /// One sentence for people.
    #[serde(rename = "startup_reason")]
    pub reason: String,
}

text_enum! {
    /// What a session that looks busy may be waiting for.
    pub enum BusyPattern {
        /// Tool servers are starting.
        McpStartup => "mcp_startup",
        /// The menu about rate limits is open.
        RateLimitPrompt => "rate_limit_prompt",
        /// A menu waits for Enter.
        EnterToConfirm => "enter_to_confirm",
        /// The question whether the folder is trusted is open.
        TrustPrompt => "trust_prompt",
        /// A plan waits for an answer.
        PlanPrompt => "plan_prompt",
        /// An approval is open.
        ApprovalPrompt => "approval_prompt",
        /// A turn has been running for long without a sign of progress.
        LongRunningInterruptible => "long_running_interruptible",
    }
}

impl BusyPattern {
    /// What the contract recommends.
    #[must_use]
    pub const fn recommended_action(self) -> &'static str {
        match self {
            Self::McpStartup | Self::RateLimitPrompt | Self::LongRunningInterruptible => "inspect_or_interrupt",
            Self::EnterToConfirm | Self::PlanPrompt => "inspect_or_confirm",
            Self::TrustPrompt => "inspect_or_accept_trust",
            Self::ApprovalPrompt => "inspect_or_approve",
        }
    }

    /// One fixed sentence for people.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::McpStartup => "Codex is still starting MCP servers.",
            Self::RateLimitPrompt => "Codex asks whether to switch the model because rate limits are near.",
            Self::EnterToConfirm => "A menu waits for a choice to be confirmed.",
            Self::TrustPrompt => "Codex asks whether this folder is trusted.",
            Self::PlanPrompt => "A plan waits for an answer.",
            Self::ApprovalPrompt => "An approval waits for an answer.",
            Self::LongRunningInterruptible => "A turn can be interrupted and has shown no progress for long.",
        }
    }
}

/// The busy-wait classifier's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BusyWait {
    /// The pattern's id.
    pub pattern: BusyPattern,
    /// One fixed sentence for people.
    pub reason: &'static str,
    /// What the contract recommends.
    pub recommended_action: &'static str,
}

impl From<BusyPattern> for BusyWait {
    fn from(pattern: BusyPattern) -> Self {
        Self { pattern, reason: pattern.reason(), recommended_action: pattern.recommended_action() }
    }
}

/// So many new events show that a long turn is healthy.
const HEALTHY_EVENTS: u64 = 10;
/// So many rows stand in for a live region that is not found.
const TAIL_ROWS: usize = 12;
/// Our own printed results, which must not be taken for a prompt.
const OWN_WORDS: [&str; 3] = ["approval_prompt", "inspect_or_approve", "notable_pane_pattern"];
/// Words of an approval, one of which must stand beside `approval` or `approve`.
const APPROVAL_WORDS: [&str; 6] =
    ["allow", "deny", "permission", "requires approval", "needs approval", "approve command"];
const TRUST_WORDS: [&str; 3] =
    ["do you trust the contents of this directory", "trust this folder?", "you are running codex in"];

/// How far a session has come after its start, from the text of its pane.
#[must_use]
pub fn startup_state(text: &str) -> Startup {
    let clean = screen::cleaned(text);
    let screen = Screen::new(&clean);
    let (state, reason) = startup(&screen, &classify::read_screen(&screen, None));
    Startup { state, reason }
}

fn startup(screen: &Screen<'_>, pane: &PaneReading) -> (StartupState, String) {
    let state = match (pane.state, pane.prompt) {
        (PaneState::Waiting, Some(Prompt::Trust)) => StartupState::NeedsTrust,
        (PaneState::Waiting, Some(prompt)) if prompt.belongs_to_a_turn() => StartupState::Working,
        (PaneState::Waiting, _) => StartupState::Starting,
        (PaneState::Idle, _) => StartupState::Ready,
        (PaneState::Busy, _) => StartupState::Working,
        (PaneState::Exited, _) => StartupState::Error,
        // A frozen screen still holds the words of what it was.
        (PaneState::Unknown, _) if pane.rule == "screen_torn" => StartupState::Error,
        (PaneState::Unknown, _) => return startup_of_tail(&tail(screen)),
    };
    (state, format!("{} ({}).", sentence_start(&pane.reason), pane.rule))
}

fn startup_of_tail(tail: &[String]) -> (StartupState, String) {
    let has = |words: &str| tail.iter().any(|row| row.contains(words));
    let (state, reason) = if tail.is_empty() {
        (StartupState::Starting, "The screen is empty.")
    } else if TRUST_WORDS.iter().any(|words| has(words)) {
        (StartupState::NeedsTrust, "The text asks whether this folder is trusted.")
    } else if has("openai codex") && has(wording::COMPOSER) {
        (StartupState::Ready, "The text shows Codex's header and its composer.")
    } else if has("working") && has("esc to interrupt") {
        (StartupState::Working, "The text shows a turn that can be interrupted.")
    } else if has("error") || has("failed") {
        (StartupState::Error, "The text speaks of an error or a failure.")
    } else {
        (StartupState::Starting, "Nothing on the screen is recognised.")
    };
    (state, reason.to_owned())
}

/// What a session that looks busy may be waiting for, from the text of its pane.
///
/// `status_age_seconds` is the age of its last sign of life, none when unknown; below `threshold_seconds` nothing
/// is reported at all. `recent_events` are the events ingested at the same time: ten or more show that a long turn
/// is healthy.
#[must_use]
pub fn busy_wait(
    text: &str,
    status_age_seconds: Option<i64>,
    threshold_seconds: i64,
    recent_events: u64,
) -> Option<BusyWait> {
    if status_age_seconds.is_some_and(|age| age < threshold_seconds) {
        return None;
    }
    let clean = screen::cleaned(text);
    let screen = Screen::new(&clean);
    let pane = classify::read_screen(&screen, None);
    let pattern = match pane.state {
        PaneState::Waiting => Some(pattern_of_dialog(&screen, &pane)),
        PaneState::Busy if live_status_row(&screen).contains(wording::MCP_STARTUP) => Some(BusyPattern::McpStartup),
        PaneState::Busy if pane.rule == "status_row" => Some(BusyPattern::LongRunningInterruptible),
        PaneState::Busy | PaneState::Idle | PaneState::Exited => None,
        PaneState::Unknown if pane.rule == "screen_torn" => None,
        PaneState::Unknown => pattern_of_tail(&tail(&screen)),
    }?;
    // The age was compared with the threshold above; here it only has to be known.
    let quiet_for_long = status_age_seconds.is_some() && recent_events < HEALTHY_EVENTS;
    (pattern != BusyPattern::LongRunningInterruptible || quiet_for_long).then(|| pattern.into())
}

fn pattern_of_dialog(screen: &Screen<'_>, pane: &PaneReading) -> BusyPattern {
    let confirm = || dialog::find(screen).is_some_and(|dialog| dialog.hint.starts_with("press enter to confirm"));
    match pane.prompt {
        Some(Prompt::RateLimitChoice) => BusyPattern::RateLimitPrompt,
        Some(Prompt::Trust) => BusyPattern::TrustPrompt,
        Some(Prompt::PlanChoice) => BusyPattern::PlanPrompt,
        // The contract asks for the footer before it asks for an approval.
        Some(prompt) if prompt.is_approval() && !confirm() => BusyPattern::ApprovalPrompt,
        Some(_) | None => BusyPattern::EnterToConfirm,
    }
}

fn live_status_row(screen: &Screen<'_>) -> String {
    composer::find(screen)
        .and_then(|composer| composer.status_row())
        .map(|row| screen.row(row).to_lowercase())
        .unwrap_or_default()
}

fn pattern_of_tail(tail: &[String]) -> Option<BusyPattern> {
    let has = |words: &str| tail.iter().any(|row| row.contains(words));
    if has(wording::MCP_STARTUP) {
        Some(BusyPattern::McpStartup)
    } else if has("approaching rate limits") {
        Some(BusyPattern::RateLimitPrompt)
    } else if has("press enter to confirm") {
        Some(BusyPattern::EnterToConfirm)
    } else if TRUST_WORDS.iter().any(|words| has(words)) {
        Some(BusyPattern::TrustPrompt)
    } else if has("create a plan?") || has("implement this plan?") {
        Some(BusyPattern::PlanPrompt)
    } else if asks_for_approval(tail) {
        Some(BusyPattern::ApprovalPrompt)
    } else if has("esc to interrupt") {
        Some(BusyPattern::LongRunningInterruptible)
    } else {
        None
    }
}

fn asks_for_approval(tail: &[String]) -> bool {
    let foreign: Vec<&String> = tail.iter().filter(|row| !OWN_WORDS.iter().any(|own| row.contains(own))).collect();
    let has = |words: &str| foreign.iter().any(|row| row.contains(words));
    (has("approval") || has("approve")) && APPROVAL_WORDS.iter().any(|words| has(words))
}

/// The last rows that are not blank, trimmed and in lower case, top to bottom.
fn tail(screen: &Screen<'_>) -> Vec<String> {
    let rows = screen.rows().iter().rev().map(|row| row.trim()).filter(|row| !row.is_empty());
    let mut tail: Vec<String> = rows.take(TAIL_ROWS).map(str::to_lowercase).collect();
    tail.reverse();
    tail
}

fn sentence_start(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
