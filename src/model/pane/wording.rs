//! The words of Codex's screens, with the versions in which each was seen.
//!
//! Wording changes between versions and is data: when a release changes it, a row here changes and no code does.
//! Hints are compared in lower case, everything else as written.

use super::reading::Prompt;

/// What an empty composer shows.
///
/// 0.150 to 0.169 show the first; older versions pick one of the others per session.
pub(super) const PLACEHOLDERS: &[&str] = &[
    "Ask Codex to do anything",
    "Explain this codebase",
    "Summarize recent commits",
    "Implement {feature}",
    "Find and fix a bug in @filename",
    "Write tests for @filename",
    "Improve documentation in @filename",
    "Run /review on my current changes",
    "Use /skills to list available skills",
];

/// The glyph in front of the composer: 0.47 to 0.169.
pub(super) const COMPOSER: &str = "›";
/// The bar in front of the composer and of dialogs: 0.25.
pub(super) const BAR: &str = "▌";
/// The glyph of the composer in shell mode: 0.169.
pub(super) const SHELL_MODE: &str = "!";

/// A part of a dialog that says what it is about. An empty text matches everything.
#[derive(Debug)]
pub(super) struct Heading {
    /// The row begins with this.
    pub(super) starts: &'static str,
    /// The row (wrapped rows joined) holds this.
    pub(super) has: &'static str,
}

const fn starts(starts: &'static str) -> Heading {
    Heading { starts, has: "" }
}

/// A dialog with numbered options. All of heading, first option and key hint must be there.
#[derive(Debug)]
pub(super) struct MenuDialog {
    pub(super) prompt: Prompt,
    /// One of these stands above the options.
    pub(super) headings: &'static [Heading],
    /// Option 1 begins with one of these; an empty list stands for any text.
    pub(super) first_options: &'static [&'static str],
    /// The row below the options begins with one of these.
    pub(super) hints: &'static [&'static str],
}

const CONFIRM: &[&str] = &["press enter to confirm"];
const CONTINUE: &[&str] = &["enter continue", "press enter to continue"];
const SELECT: &[&str] = &["enter select", "press enter to confirm"];

/// Every dialog with numbered options.
pub(super) const MENU_DIALOGS: &[MenuDialog] = &[
    // 0.47 to 0.169; "just this once" stands in newer programs when other choices are offered.
    MenuDialog {
        prompt: Prompt::ApprovalCommand,
        headings: &[starts("Would you like to run the following command?")],
        first_options: &["Yes, proceed", "Yes, just this once"],
        hints: CONFIRM,
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::ApprovalPatch,
        headings: &[starts("Would you like to make the following edits?")],
        first_options: &["Yes, proceed"],
        hints: CONFIRM,
    },
    // In the program of 0.169, not provoked.
    MenuDialog {
        prompt: Prompt::ApprovalPermissions,
        headings: &[starts("Would you like to grant these permissions?")],
        first_options: &["Yes, grant"],
        hints: CONFIRM,
    },
    // In the program of 0.169, not provoked.
    MenuDialog {
        prompt: Prompt::ApprovalTerminalInput,
        headings: &[
            starts("Would you like to send input to the existing terminal?"),
            starts("Would you like to send input to terminal"),
        ],
        first_options: &["Yes, proceed", "Yes, just this once"],
        hints: CONFIRM,
    },
    // In the program of 0.169, not provoked.
    MenuDialog {
        prompt: Prompt::ApprovalNetwork,
        headings: &[starts("Do you want to approve network access to")],
        first_options: &["Yes, just this once"],
        hints: CONFIRM,
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::ApprovalMcp,
        headings: &[Heading { starts: "Allow the ", has: " MCP server to run tool" }],
        first_options: &["Allow"],
        hints: &["enter to submit |"],
    },
    // In older programs, not provoked.
    MenuDialog {
        prompt: Prompt::ApprovalMcp,
        headings: &[Heading { starts: "", has: "needs your approval." }],
        first_options: &["Yes, provide the requested info"],
        hints: CONFIRM,
    },
    // In the program of 0.169, not provoked.
    MenuDialog {
        prompt: Prompt::ApprovalFullAccess,
        headings: &[starts("Enable full access?")],
        first_options: &["Yes, continue anyway"],
        hints: SELECT,
    },
    // 0.169. The options are the model's words.
    MenuDialog {
        prompt: Prompt::Question,
        headings: &[starts("Question ")],
        first_options: &[],
        hints: &[
            "option ",
            "tab to add notes",
            "tab or esc to clear notes",
            "enter to submit answer",
            "enter to submit all",
        ],
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::PlanChoice,
        headings: &[starts("Implement this plan?")],
        first_options: &["Yes, implement this plan"],
        hints: SELECT,
    },
    // 0.25 to 0.98 the third pair, 0.125 and 0.150 the second, 0.169 the first.
    MenuDialog {
        prompt: Prompt::Trust,
        headings: &[
            starts("Trust this folder?"),
            starts("Do you trust the contents of this directory?"),
            starts("You are running Codex in"),
        ],
        first_options: &["Trust and continue", "Yes, continue", "Yes, allow Codex"],
        hints: CONTINUE,
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::Login,
        headings: &[starts("Choose how you want to use Codex"), starts("Welcome to Codex")],
        first_options: &["Sign in with ChatGPT"],
        hints: CONTINUE,
    },
    // 0.169. The heading names the model of the day.
    MenuDialog {
        prompt: Prompt::ModelChoice,
        headings: &[starts("")],
        first_options: &["Try new model"],
        hints: &["enter/esc confirm", "press enter to"],
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::Update,
        headings: &[Heading { starts: "", has: "Update available" }],
        first_options: &["Update now"],
        hints: CONTINUE,
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::HooksTrust,
        headings: &[starts("Hooks need review")],
        first_options: &["Review hooks"],
        hints: &["enter confirm", "press enter to confirm"],
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::RateLimitChoice,
        headings: &[starts("Approaching rate limits")],
        first_options: &["Switch to"],
        hints: SELECT,
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::TaskRunning,
        headings: &[starts("Task is still running")],
        first_options: &["Cancel task"],
        hints: SELECT,
    },
    // 0.169.
    MenuDialog {
        prompt: Prompt::NewPlace,
        headings: &[starts("Where should the new conversation run?")],
        first_options: &["Use current Git worktree"],
        hints: SELECT,
    },
];

/// A surface without numbered options, known by the key hint at the bottom and a heading.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) prompt: Prompt,
    /// A row at the very bottom begins with this.
    pub(super) hint: &'static str,
    /// A row above it reads like this.
    pub(super) heading: Heading,
}

/// Every surface without numbered options: all 0.169.
pub(super) const PANELS: &[Panel] = &[
    Panel { prompt: Prompt::HooksList, hint: "t trust all", heading: starts("Lifecycle hooks from config") },
    Panel {
        prompt: Prompt::Locked,
        hint: "r retry",
        heading: Heading { starts: "", has: "This conversation is open in another app" },
    },
    Panel { prompt: Prompt::Agents, hint: "? help", heading: starts("Agent command center") },
    Panel { prompt: Prompt::Backtrack, hint: "browsing ", heading: starts("") },
    Panel { prompt: Prompt::Question, hint: "enter to submit answer", heading: starts("Question ") },
    Panel { prompt: Prompt::Question, hint: "tab to add notes", heading: starts("Question ") },
    Panel { prompt: Prompt::Question, hint: "tab or esc to clear notes", heading: starts("Question ") },
];

/// The dialog of 0.25: a heading behind the bar, the answers in one row below it.
pub(super) const BAR_APPROVAL: &str = "▌Allow command?";

/// How the key hint below any menu begins, known or not: 0.25 to 0.169.
pub(super) const DIALOG_HINTS: &[&str] = &[
    "press enter",
    "enter ",
    "enter/",
    "tab ",
    "esc back",
    "esc cancel",
    "esc close",
    "esc skip",
    "esc to cancel",
    "esc to go back",
    "↑/↓ ",
    "space ",
    "t trust all",
    "r retry",
    "k keep",
    "option ",
    "? help",
    "? / esc close",
    "browsing ",
];

/// How the row of hints below a status line begins while the composer alone has the keyboard: 0.25 to 0.169.
///
/// Whatever else stands there (the transcript browser shortens its hint in a narrow pane) is not trusted.
pub(super) const FOOTER_HINTS: &[&str] = &[
    "← for agents",
    "? for shortcuts",
    "⚠ ",
    "esc again to edit previous message",
    "Plan mode",
    "Goal ",
    "Pursuing goal",
];

/// The only row below the composer while Codex starts: 0.169, where Tab is lost as long as it stands.
pub(super) const STARTING_FOOTER: &str = "? for shortcuts";

/// Hints of the composer itself that begin like the hint of a dialog: 0.144 to 0.169.
pub(super) const COMPOSER_HINTS: &[&str] = &["esc again to edit previous message", "tab to queue message"];

/// The row below an open completion popup begins with one of these: 0.169.
pub(super) const POPUP_HINTS: &[&str] = &["enter/tab insert", "enter insert"];

/// Rows that stand between the status row and the composer, by their beginning: 0.25 to 0.169.
pub(super) const BELOW_STATUS: &[&str] = &[
    "↳",
    "└",
    "⚠ ",
    "shift+← edit",
    "alt + ↑ edit",
    "Alt+↑ edit",
    "• Queued follow-up inputs",
    "• Messages to be submitted",
];
/// The row about commands in the background, which may stand alone or below the status row: 0.98 to 0.169.
pub(super) const BACKGROUND_TERMINAL: &str = " background terminal";

/// First item of a status line made of run state and session id while a turn runs: 0.107 to 0.169.
pub(super) const RUNNING_STATES: &[&str] = &["Working", "Thinking", "Starting", "Waiting"];

/// The sign of a goal that starts turns by itself, at the right of the hint row: 0.169.
pub(super) const GOAL_RUNNING: &str = "Pursuing goal";

/// What a line that reports a failure begins with: 0.47 to 0.169, and 0.25.
pub(super) const NOTICES: &[&str] = &["■ ", "🖐"];

/// What Codex prints when it leaves.
pub(super) const EXITS: &[&str] = &[
    // 0.162 to 0.169 with the background server.
    "Disconnected from this task.",
    // 0.47 to 0.169.
    "To continue this session, run",
    // 0.25 to 0.169.
    "Token usage: total=",
    "Token usage so far: total=",
    // 0.169, when the background server does not start.
    "Error: app server did not become ready",
];

/// What a shell prints over the frozen screen of a killed program.
pub(super) const KILLED: &[&str] = &["Killed", "Terminated", "Segmentation fault", "Aborted", "Hangup"];

/// What tmux draws in a pane whose program has ended and that was told to stay.
pub(super) const PANE_DEAD: &str = "Pane is dead";

/// The word in the status row while servers of tools are starting: 0.125 to 0.169.
pub(super) const MCP_STARTUP: &str = "starting mcp servers";

/// The title's sign of an open approval or question, behind a blinking `[ ! ]` or `[ . ]`: 0.137 to 0.169.
pub(super) const ACTION_REQUIRED: &str = "Action Required";

/// How a row begins that only a dialog or another surface with the keyboard shows, wherever on the screen it stands.
///
/// A second belt for the moment of typing, when a terminal can search its screen but not read it: kept long enough
/// that messages do not hold them by chance. The numbered options are no signs, since their numbers stand in front.
pub(super) const DIALOG_SIGNS: &[&str] = &[
    "Would you like to run the following command",
    "Would you like to make the following edits",
    "Would you like to grant these permissions",
    "Would you like to send input to",
    "Do you want to approve network access",
    "Enable full access?",
    "Implement this plan?",
    "Trust this folder?",
    "Do you trust the contents of this directory",
    "You are running Codex in",
    "Hooks need review",
    "Approaching rate limits",
    "Task is still running",
    "Where should the new conversation run",
    "Allow command?",
    "press enter to",
    "enter select",
    "enter continue",
    "enter confirm",
    "enter/esc confirm",
    "enter resume",
    "enter to submit",
    "tab to add notes",
    "tab or esc to clear notes",
    "t trust all",
    "r retry   f fork",
    "k keep & next",
    "space toggle",
    "q close",
    "Browsing transcript",
    "Browsing ·",
    "? help  esc back",
];

/// What follows the seconds of the clock in a status row, behind one character.
pub(super) const STATUS_HINT: &str = "esc to in";

/// The frames of the spinner that the title begins with while a turn runs: 0.125 to 0.169.
pub(super) const SPINNER: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
