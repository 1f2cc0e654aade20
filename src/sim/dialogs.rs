//! The rows of the dialogs, word for word as each version shows them.

use std::path::Path;

use super::{
    composer::Dialog,
    dialect::{Dialect, ScreenStyle},
    screen::Row,
    turn::Asking,
    wrap::wrap,
};

/// The rows of a dialog at the bottom of the screen; it hides composer and status line.
pub(super) fn rows(dialect: Dialect, dialog: &Dialog, selected: usize, columns: usize) -> Vec<Row> {
    match dialog {
        Dialog::Trust => Vec::new(),
        Dialog::Turn(Asking::Approval { command, reason }) if dialect.approval_bar() => {
            bar(command, reason, selected, columns)
        }
        Dialog::Turn(Asking::Approval { command, reason }) => approval(dialect, command, reason, selected, columns),
        Dialog::Turn(Asking::Question { question, options }) => self::question(question, options, selected, columns),
        Dialog::TaskRunning => {
            let mut rows = vec![
                Row::plain("  Task is still running"),
                Row::plain("  Choose what happens to the current task."),
                Row::default(),
                Row::default(),
            ];
            let options = [
                "Cancel task        Stop the current task and stay in Codex",
                "Run in background  Exit Codex and leave the task running",
                "Exit               Stop the current task and exit Codex",
            ];
            rows.extend(menu(&options.map(str::to_owned), selected, columns));
            rows.extend([Row::default(), Row::dim("  enter select · esc back")]);
            rows
        }
    }
}

/// The trust question of a start, from the top of the screen.
pub(super) fn trust(dialect: Dialect, folder: &Path, selected: usize, columns: usize) -> Vec<Row> {
    let folder = folder.display();
    let (head, text, options, foot): (Vec<String>, &str, [&str; 2], &str) = match dialect.screen() {
        ScreenStyle::Full => (
            vec![String::new(), "  Folder access".to_owned(), format!("  {folder}"), String::new()],
            "Trust this folder? Codex can read, edit, and run files here, subject to your permission settings. Folder settings can run code automatically, even without a model request. Continue only if you trust these files. Your trust decision will be saved.",
            ["Trust and continue", "Back to Agent Command Center"],
            "  enter continue · esc back",
        ),
        ScreenStyle::Model => (
            vec![
                "  Welcome to Codex, OpenAI's command-line coding agent".to_owned(),
                String::new(),
                format!("> You are in {folder}"),
                String::new(),
            ],
            "Do you trust the contents of this directory? Working with untrusted contents comes with higher risk of prompt injection. Trusting the directory allows project-local config, hooks, and exec policies to load.",
            ["Yes, continue", "No, quit"],
            "  Press enter to continue",
        ),
        ScreenStyle::First | ScreenStyle::Boxed { .. } => (
            vec![
                "  Welcome to Codex, OpenAI's command-line coding agent".to_owned(),
                String::new(),
                format!("> You are running Codex in {folder}"),
                String::new(),
            ],
            "Since this folder is version controlled, you may wish to allow Codex to work in this folder without asking for approval.",
            [
                "Yes, allow Codex to work in this folder without asking for approval",
                "No, ask me to approve edits and commands",
            ],
            "  Press enter to continue",
        ),
    };
    let mut rows: Vec<Row> = head.into_iter().map(Row::plain).collect();
    rows.extend(wrap(&format!("  {text}"), columns, "  ").into_iter().map(Row::plain));
    rows.push(Row::default());
    let mut entries = menu(&options.map(str::to_owned), selected, columns);
    if dialect.screen() == ScreenStyle::First {
        entries.iter_mut().for_each(|row| row.text = row.text.replace('›', ">"));
    }
    rows.extend(entries);
    rows.extend([Row::default(), Row::dim(foot)]);
    rows
}

fn menu(options: &[String], selected: usize, columns: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, option) in options.iter().enumerate() {
        let mark = if index == selected { '›' } else { ' ' };
        rows.extend(wrap(&format!("{mark} {}. {option}", index + 1), columns, "     ").into_iter().map(Row::plain));
    }
    rows
}

fn approval(dialect: Dialect, command: &str, reason: &str, selected: usize, columns: usize) -> Vec<Row> {
    let mut rows = vec![Row::plain("  Would you like to run the following command?"), Row::default()];
    if dialect.approval_environment() {
        rows.extend([Row::plain("  Environment: local"), Row::default()]);
    }
    rows.extend(wrap(&format!("  Reason: {reason}"), columns, "  ").into_iter().map(Row::plain));
    rows.push(Row::default());
    rows.extend(wrap(&format!("  $ {command}"), columns, "  ").into_iter().map(Row::plain));
    rows.push(Row::default());
    if dialect.screen() == ScreenStyle::Full {
        rows.push(Row::default());
    }
    let options = if dialect.approval_keys_shown() {
        [
            "Yes, proceed (y)".to_owned(),
            format!("Yes, and don't ask again for commands that start with `{command}` (p)"),
            "No, and tell Codex what to do differently (esc)".to_owned(),
        ]
    } else {
        [
            "Yes, proceed".to_owned(),
            "Yes, and don't ask again for this command".to_owned(),
            "No, and tell Codex what to do differently esc".to_owned(),
        ]
    };
    rows.extend(menu(&options, selected, columns));
    rows.extend([Row::default(), Row::dim("  Press enter to confirm or esc to cancel")]);
    rows
}

fn bar(command: &str, reason: &str, selected: usize, columns: usize) -> Vec<Row> {
    let help =
        ["Approve and run the command", "Approve the command for the rest of the session", "Do not run the command"];
    let mut rows: Vec<Row> =
        wrap(&format!("? Codex wants to run {command}"), columns, "").into_iter().map(Row::plain).collect();
    rows.push(Row::default());
    rows.extend(wrap(reason, columns, "").into_iter().map(Row::plain));
    rows.push(Row::default());
    rows.push(Row::plain("▌Allow command?"));
    rows.push(Row::plain("▌ Yes   Always   No, provide feedback"));
    rows.push(Row::plain(format!("▌ {}", help[selected.min(2)])));
    rows
}

fn question(question: &str, options: &[String], selected: usize, columns: usize) -> Vec<Row> {
    let mut rows = vec![Row::plain("  Question 1/1 (1 unanswered)")];
    rows.extend(wrap(&format!("  {question}"), columns, "  ").into_iter().map(Row::plain));
    rows.push(Row::default());
    let width = options.iter().map(|option| option.chars().count()).max().unwrap_or(0).max("None of the above".len());
    let mut entries: Vec<String> = options.iter().map(|option| format!("{option:width$}  Choose this")).collect();
    entries.push(format!("{:width$}  Optionally, add details in notes (tab)", "None of the above"));
    for row in menu(&entries, selected, columns.saturating_sub(2)) {
        rows.push(Row::plain(format!("  {}", row.text)));
    }
    rows.extend([
        Row::default(),
        Row::dim("  tab to add notes | enter to submit answer | esc to interrupt"),
        Row::default(),
    ]);
    rows
}
