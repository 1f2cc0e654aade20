//! What was said and done, and its rows in the style of each version.

use super::{
    dialect::{Dialect, ScreenStyle},
    facts::{Command, Patch},
    screen::Row,
    wrap::wrap,
    zone,
};
use crate::base::{Timestamp, text};

/// One entry of the transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A message of the user.
    User(String),
    /// A message of the model.
    Agent(String),
    /// A command that ended.
    Ran(Command),
    /// A command that waits for its approval.
    Running(String),
    /// An edit.
    Edited(Patch),
    /// The user approved a command.
    Approved(String),
    /// The user refused a command.
    Canceled(String),
    /// The answer to a question.
    Answered { question: String, answer: String },
    /// A proposed plan.
    Plan(String),
    /// A failed turn.
    Failed(String),
    /// An interrupted turn.
    Interrupted,
    /// A compaction.
    Compacted,
    /// A command of the user.
    UserShell { command: String, output: String },
    /// The end of a turn.
    Worked { seconds: u64, at: Timestamp },
    /// A remark of the program itself.
    Info(String),
    /// The card of `/status`.
    Status(Vec<(String, String)>),
}

/// The rows of a transcript, beginning with a blank one; only what the last `height` rows need is laid out.
pub(super) fn rows(dialect: Dialect, entries: &[Entry], columns: usize, height: usize) -> Vec<Row> {
    // Some entries have no rows, but never two in succession.
    let entries = &entries[entries.len().saturating_sub(2 * height)..];
    let first = dialect.screen() == ScreenStyle::First;
    let mut rows = Vec::new();
    let mut after_user = false;
    for entry in entries {
        let lines = lines(dialect, entry, columns, columns * height);
        if lines.is_empty() {
            continue;
        }
        let is_user = matches!(entry, Entry::User(_));
        // The user's messages stand in a block with a margin of its own.
        if !first && (is_user || after_user) {
            rows.push(Row::default());
        }
        after_user = is_user;
        rows.push(Row::default());
        rows.extend(lines.into_iter().map(Row::plain));
    }
    if after_user && !first {
        rows.push(Row::default());
    }
    rows
}

fn lines(dialect: Dialect, entry: &Entry, columns: usize, most: usize) -> Vec<String> {
    let first = dialect.screen() == ScreenStyle::First;
    let rule = || "─".repeat(columns);
    let bullet = |text: &str| wrap(&format!("• {text}"), columns, "  ");
    match entry {
        Entry::User(text) if first => headed("user", tail(text, most), columns),
        Entry::User(text) => wrap(&format!("› {}", tail(text, most)), columns, "  "),
        Entry::Agent(text) if first => headed("codex", tail(text, most), columns),
        Entry::Agent(text) => bullet(tail(text, most)),
        Entry::Ran(command) if first => vec![">_".to_owned(), format!("  ✓ ⌨️ {}", command.line)],
        Entry::Ran(command) => ran(command, columns),
        Entry::Running(_) if matches!(dialect.screen(), ScreenStyle::First | ScreenStyle::Boxed { .. }) => Vec::new(),
        Entry::Running(command) => {
            let title = format!("• Running {command}");
            let shown = text::fit(&title, columns);
            if shown == title { vec![shown] } else { vec![shown, "    + Show details".to_owned()] }
        }
        Entry::Edited(patch) => {
            let mut lines = bullet(&format!("Added {} (+{} -0)", patch.path, patch.content.lines().count()));
            lines.extend(
                patch.content.lines().take(5).enumerate().map(|(index, line)| format!("    {} +{line}", index + 1)),
            );
            lines
        }
        Entry::Approved(command) => wrap(&format!("✔ You approved codex to run {command} this time"), columns, "  "),
        Entry::Canceled(command) => wrap(&format!("✗ You canceled the request to run {command}"), columns, "  "),
        Entry::Answered { question, answer } => {
            vec!["• Questions 1/1 answered".to_owned(), format!("  • {question}"), format!("    answer: {answer}")]
        }
        Entry::Plan(text) => {
            let mut lines = vec!["• Proposed Plan".to_owned(), String::new()];
            lines.extend(wrap(&format!("  {}", text.replace('\n', "\n  ")), columns, "  "));
            lines
        }
        Entry::Failed(text) if first => wrap(&format!("🖐  {text}"), columns, ""),
        Entry::Failed(text) => wrap(&format!("■ {text}"), columns, ""),
        Entry::Interrupted => wrap(interrupted(dialect), columns, ""),
        Entry::Compacted if dialect.screen() == ScreenStyle::Full => vec!["• Context compacted · 0s".to_owned()],
        Entry::Compacted => bullet("Context compacted"),
        Entry::UserShell { command, output } => {
            let program = command.split_whitespace().next().unwrap_or("");
            let rest: String = output.lines().next().unwrap_or("(no output)").to_owned();
            vec![format!("• You ran {program} {}", command[program.len()..].trim()), format!("  └ {rest}")]
        }
        Entry::Worked { seconds, at } => match dialect.screen() {
            ScreenStyle::First | ScreenStyle::Boxed { .. } => Vec::new(),
            ScreenStyle::Model => vec![rule()],
            ScreenStyle::Full => {
                let time = zone::local(*at, "%H:%M");
                let seconds = if *seconds == 0 { "<1".to_owned() } else { seconds.to_string() };
                vec![format!("  Worked for {seconds}s • {time}")]
            }
        },
        Entry::Info(text) => bullet(text),
        Entry::Status(card) => {
            let mut lines = vec!["/status".to_owned(), String::new()];
            lines.push(format!("  >_ OpenAI Codex (v{})", dialect.version()));
            lines.push(String::new());
            lines.extend(card.iter().map(|(name, value)| format!("  {:<20} {value}", format!("{name}:"))));
            lines
        }
    }
}

/// The last `most` characters.
fn tail(text: &str, most: usize) -> &str {
    let count = text.chars().count();
    let at = text.char_indices().nth(count.saturating_sub(most)).map_or(text.len(), |(at, _)| at);
    &text[at..]
}

fn headed(heading: &str, text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![heading.to_owned()];
    lines.extend(wrap(text, columns, ""));
    lines
}

fn ran(command: &Command, columns: usize) -> Vec<String> {
    let title = match command.exit {
        0 => format!("• Ran {}", command.line),
        code => format!("• Exited (status {code}) {}", command.line),
    };
    let mut lines = wrap(&title, columns, "  │ ");
    let output: Vec<&str> = command.output.lines().take(5).collect();
    if output.is_empty() {
        lines.push("  └ (no output)".to_owned());
    }
    for (index, line) in output.iter().enumerate() {
        lines.push(format!("  {} {}", if index == 0 { '└' } else { ' ' }, text::fit(line, columns.saturating_sub(4))));
    }
    lines
}

fn interrupted(dialect: Dialect) -> &'static str {
    match dialect.screen() {
        ScreenStyle::First => "🖐  Tell the model what to do differently",
        ScreenStyle::Boxed { context_left: true } => {
            "■ Conversation interrupted - tell the model what to do differently"
        }
        ScreenStyle::Boxed { context_left: false } | ScreenStyle::Model => {
            "■ Conversation interrupted - tell the model what to do differently. Something went wrong? Hit `/feedback` to report the issue."
        }
        ScreenStyle::Full => "■ Conversation interrupted - use /feedback if something went wrong",
    }
}
