//! The result of reading a pane, and its form for the judgement of a session's state.
//!
//! Only types and conversions; the rules that fill them live beside this file.

use serde::Serialize;

use super::MenuOption;
use crate::{
    model::state::{Condition, Reading, Source},
    text_enum,
};

text_enum! {
    /// What the live region of the screen shows.
    pub enum PaneState {
        /// The composer has the keyboard and no sign of a turn is seen (a turn that streams its answer shows none).
        Idle => "idle",
        /// A turn runs.
        Busy => "busy",
        /// A menu or dialog has the keyboard.
        Waiting => "waiting",
        /// Codex is gone; the pane is a shell or dead.
        Exited => "exited",
        /// Nothing that is recognised.
        Unknown => "unknown",
    }
}

text_enum! {
    /// Which dialog has the keyboard.
    pub enum Prompt {
        /// A command waits for approval.
        ApprovalCommand => "approval_command",
        /// An edit waits for approval.
        ApprovalPatch => "approval_patch",
        /// A tool call of an MCP server waits for approval.
        ApprovalMcp => "approval_mcp",
        /// More permissions are asked for.
        ApprovalPermissions => "approval_permissions",
        /// Network access is asked for.
        ApprovalNetwork => "approval_network",
        /// Input for a running terminal waits for approval.
        ApprovalTerminalInput => "approval_terminal_input",
        /// Full access is about to be switched on.
        ApprovalFullAccess => "approval_full_access",
        /// An approval whose kind cannot be told (its heading is cut off, or more than one is seen).
        Approval => "approval",
        /// The model asks a question.
        Question => "question",
        /// A proposed plan waits.
        PlanChoice => "plan_choice",
        /// Start-up: is this folder trusted?
        Trust => "trust",
        /// Start-up: nobody is signed in.
        Login => "login",
        /// Start-up: a new model is offered.
        ModelChoice => "model_choice",
        /// Start-up: an update is offered.
        Update => "update",
        /// Start-up: new hooks wait for trust.
        HooksTrust => "hooks_trust",
        /// The list of hooks.
        HooksList => "hooks_list",
        /// Limits are near and another model is offered.
        RateLimitChoice => "rate_limit_choice",
        /// What shall become of the running task?
        TaskRunning => "task_running",
        /// Where shall a new conversation run?
        NewPlace => "new_place",
        /// The conversation is open in another program.
        Locked => "locked",
        /// The agent command center.
        Agents => "agents",
        /// The transcript browser, in which Enter rewinds the conversation.
        Backtrack => "backtrack",
        /// A menu that is not known.
        Unrecognised => "unrecognised",
    }
}

impl Prompt {
    /// True when answering lets the worker do something it may not do by itself.
    #[must_use]
    pub const fn is_approval(self) -> bool {
        match self {
            Self::ApprovalCommand
            | Self::ApprovalPatch
            | Self::ApprovalMcp
            | Self::ApprovalPermissions
            | Self::ApprovalNetwork
            | Self::ApprovalTerminalInput
            | Self::ApprovalFullAccess
            | Self::Approval => true,
            Self::Question
            | Self::PlanChoice
            | Self::Trust
            | Self::Login
            | Self::ModelChoice
            | Self::Update
            | Self::HooksTrust
            | Self::HooksList
            | Self::RateLimitChoice
            | Self::TaskRunning
            | Self::NewPlace
            | Self::Locked
            | Self::Agents
            | Self::Backtrack
            | Self::Unrecognised => false,
        }
    }
}

impl Prompt {
    /// True for dialogs that a turn has opened, or that stand at its end.
    #[must_use]
    pub fn belongs_to_a_turn(self) -> bool {
        self.is_approval() || matches!(self, Self::Question | Self::PlanChoice | Self::TaskRunning)
    }

    /// True for what stops a session until a person answers: approvals, questions, and the menus that Codex opens by
    /// itself. A proposed plan is told by the end of its turn, and other menus a person has opened.
    #[must_use]
    pub fn stops_the_session(self) -> bool {
        self.is_approval()
            || matches!(
                self,
                Self::Question
                    | Self::Trust
                    | Self::Login
                    | Self::ModelChoice
                    | Self::Update
                    | Self::HooksTrust
                    | Self::RateLimitChoice
            )
    }
}

/// The row that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Its index from the top of the captured text, the first row is 0.
    pub row: usize,
    /// Its text on one line, cut to 200 characters. It may hold a worker's words.
    pub text: String,
}

/// What the visible screen of a pane says, together with the title at the same moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaneReading {
    /// What the live region shows.
    pub state: PaneState,
    /// Which dialog has the keyboard; some exactly when the state is `waiting` and the dialog is on the screen.
    pub prompt: Option<Prompt>,
    /// True only when an empty composer has the keyboard, no dialog or popup is open and neither screen nor title
    /// shows a turn. Necessary for sending text, never enough: a turn that streams in a version without a title
    /// spinner looks the same.
    pub safe_to_paste: bool,
    /// The rule that decided, a stable id.
    pub rule: &'static str,
    /// One sentence for people.
    pub reason: String,
    /// Whether the screen or the title decided.
    pub source: Source,
    /// The row that decided; none when the title decided or nothing was recognised.
    pub evidence: Option<Evidence>,
    /// The thread id of a status line that shows one, or of the text printed at exit.
    pub thread_id: Option<String>,
    /// The failure reported just above the composer, on one line.
    pub notice: Option<String>,
    /// The composer holds text, or a paste, that a message would be joined with.
    pub draft: bool,
    /// The options of an open menu, top to bottom.
    pub options: Vec<MenuOption>,
}

impl PaneReading {
    /// The reading for the judgement of a session's state; never `done` or `aborted`, which no screen can tell.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let (condition, rule) = match self.state {
            PaneState::Idle => (Condition::Idle, self.rule),
            PaneState::Busy => (Condition::Busy, self.rule),
            PaneState::Waiting => (Condition::Blocked, self.prompt.map_or(self.rule, Prompt::as_str)),
            PaneState::Exited => (Condition::Unknown, "codex_exited"),
            PaneState::Unknown => (Condition::Unknown, self.rule),
        };
        Reading {
            source: self.source,
            condition,
            rule: rule.to_owned(),
            reason: self.reason.clone(),
            at: None,
            byte_offset: None,
        }
    }
}
