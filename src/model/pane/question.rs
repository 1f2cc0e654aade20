//! What an open dialog asks: its rows, read as one question.
//!
//! The rows are a worker's words and may imitate a dialog inside a dialog. So what is shown as asked is never less
//! than what stands there, and where more than one dialog seems to stand on the screen nothing may be approved.

use super::{
    Prompt, dialog,
    menu::{self, MenuOption},
    screen::{self, Screen},
    wording::{self, MENU_DIALOGS},
};

/// An open dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogText {
    /// Which one.
    pub prompt: Prompt,
    /// Its rows that are not blank, each with its index from the top of the screen: heading to key hint.
    pub rows: Vec<(usize, String)>,
    /// The command line, or the words of the question.
    pub asks: Option<String>,
    /// Why, in the agent's words.
    pub reason: Option<String>,
    /// The files that would be changed.
    pub files: Vec<String>,
    /// Its options, top to bottom.
    pub options: Vec<MenuOption>,
    /// Why it must not be approved by keys; none when it is recognised in every part.
    pub doubt: Option<&'static str>,
}

/// Where a command line begins.
const COMMAND: &str = "$ ";
/// The options of the dialogs that may be approved by keys, by their beginnings: 0.169.
const YES: &[&str] = &["Yes, proceed", "Yes, just this once"];
const NO: &str = "No, and tell Codex what to do differently";

impl DialogText {
    /// The number of the option that Enter would take; none when no option shows one.
    #[must_use]
    pub fn selected(&self) -> Option<u8> {
        self.options.iter().find(|option| option.selected)?.number
    }

    /// The parts that stay the same while it is open, whatever is selected.
    #[must_use]
    pub fn identity(&self) -> Vec<String> {
        // A question to be answered in words is its words: in a pane of another size they stand in other rows, and it is
        // as old as before. No key is pressed on the strength of it.
        if self.prompt == Prompt::Question {
            return std::iter::once(self.prompt.to_string()).chain(self.asks.clone()).collect();
        }
        let unmarked = |row: &String| row.trim_start().trim_start_matches(wording::COMPOSER).trim_start().to_owned();
        let rows = self.rows.iter().map(|(_, row)| unmarked(row));
        std::iter::once(self.prompt.to_string()).chain(rows).collect()
    }
}

/// The dialog that has the keyboard; none when there is none. `text` is a capture of the visible screen.
#[must_use]
pub fn read_dialog(text: &str) -> Option<DialogText> {
    let clean = screen::cleaned(text);
    let screen = Screen::new(&clean);
    let dialog = dialog::find(&screen)?;
    let last = screen.last()?;
    let first_option = menu::at_bottom(&screen).map_or(last + 1, |menu| menu.row);
    let body: Vec<&str> = (dialog.row + 1..first_option).map(|row| screen.row(row)).collect();
    let rows = (dialog.row..=last)
        .filter(|row| !screen.row(*row).is_empty())
        .map(|row| (screen.index_in_text(row), screen.row(row).to_owned()))
        .collect();
    let labelled = |label: &str| paragraph(&body, label);
    let (asks, reason, files) = match dialog.prompt {
        Prompt::ApprovalCommand => (command(&body), labelled("Reason: "), Vec::new()),
        Prompt::ApprovalPatch => (None, labelled("Description: "), labelled("Destination: ").into_iter().collect()),
        Prompt::Question => (Some(words_of_question(screen.row(dialog.row), &body)), None, Vec::new()),
        _ => (Some(joined(std::iter::once(screen.row(dialog.row)).chain(body.iter().copied()))), None, Vec::new()),
    };
    let mut found =
        DialogText { prompt: dialog.prompt, rows, asks, reason, files, options: dialog.options, doubt: None };
    found.doubt = doubt(&screen, &found);
    Some(found)
}

/// Why a dialog must not be approved by keys.
fn doubt(screen: &Screen<'_>, dialog: &DialogText) -> Option<&'static str> {
    let headings = screen.rows().iter().filter(|row| is_approval_heading(row)).count();
    let yes = |option: &MenuOption| {
        option.number == Some(1) && YES.contains(&option.label.as_str()) && option.key.as_deref() == Some("y")
    };
    let no = |option: &MenuOption| option.label == NO && option.key.as_deref() == Some("esc");
    let cut = |text: &String| text.contains(['…', '\u{fffd}']);
    if !matches!(dialog.prompt, Prompt::ApprovalCommand | Prompt::ApprovalPatch) {
        Some("its kind of dialog is not answered by keys")
    } else if headings != 1 {
        Some("more than one dialog seems to stand on the screen")
    } else if dialog.asks.is_none() && dialog.files.is_empty() {
        Some("what it asks cannot be read from the screen")
    } else if dialog.asks.iter().chain(&dialog.files).any(cut) {
        Some("what it asks may be cut off on the screen")
    } else if !dialog.options.first().is_some_and(yes)
        || !dialog.options.last().is_some_and(no)
        || !(2..=3).contains(&dialog.options.len())
    {
        Some("its options are not the known ones")
    } else {
        None
    }
}

fn is_approval_heading(row: &str) -> bool {
    let row = row.trim_start();
    let headings = MENU_DIALOGS.iter().filter(|dialog| dialog.prompt.is_approval()).flat_map(|dialog| dialog.headings);
    headings.filter(|heading| !heading.starts.is_empty()).any(|heading| row.starts_with(heading.starts))
}

/// The words of a question without what Codex writes around them: its heading counts questions, and where notes are
/// written the options stand above them. Which of several it is stands behind them.
fn words_of_question(heading: &str, body: &[&str]) -> String {
    let is_option =
        |row: &&&str| row.trim_start().trim_start_matches(wording::COMPOSER).trim_start().starts_with("1. ");
    let words = joined(body.iter().take_while(|row| !is_option(row)).copied());
    if words.is_empty() {
        return heading.trim().to_owned();
    }
    let counted = heading.split_whitespace().nth(1).and_then(|count| count.split_once('/'));
    match counted {
        Some((number, all)) if all != "1" => format!("{words} (question {number} of {all})"),
        _ => words,
    }
}

/// Everything from the first row that looks like a command down to the options: a command can have several lines.
fn command(body: &[&str]) -> Option<String> {
    let first = body.iter().position(|row| row.trim_start().starts_with(COMMAND))?;
    let whole = joined(body[first..].iter().copied());
    whole.strip_prefix(COMMAND).map(str::to_owned).filter(|command| !command.is_empty())
}

/// The text behind a label, up to the next blank row.
fn paragraph(body: &[&str], label: &str) -> Option<String> {
    let first = body.iter().position(|row| row.trim_start().starts_with(label))?;
    // The next label begins a paragraph of its own.
    let is_over = |row: &&&str| row.is_empty() || (row.trim_start().contains(": ") && row.starts_with("  D"));
    let rest = body[first + 1..].iter().take_while(|row| !is_over(row)).copied();
    let whole = joined(std::iter::once(body[first]).chain(rest));
    whole.strip_prefix(label).map(str::to_owned)
}

fn joined<'a>(rows: impl Iterator<Item = &'a str>) -> String {
    let rows: Vec<&str> = rows.map(str::trim).filter(|row| !row.is_empty()).collect();
    rows.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str) -> DialogText {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/panes").join(name);
        read_dialog(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn recorded_approvals_say_what_they_ask() {
        let dialog = recorded("approval_command.txt");
        assert_eq!(dialog.asks.as_deref(), Some("touch /home/user/helper-installed"));
        assert_eq!(dialog.reason.as_deref(), Some("Mock: needs to run outside the sandbox?"));
        assert_eq!((dialog.doubt, dialog.selected()), (None, Some(1)));
        let wrapped = recorded("approval_command_80x24.txt");
        let command =
            "install -m 755 tool /usr/local/bin/a-rather-long-tool-name --with some more words to make it wrap around";
        assert_eq!((wrapped.asks.as_deref(), wrapped.doubt), (Some(command), None));
        let patch = recorded("approval_patch.txt");
        assert_eq!(patch.files, ["/home/user/project/notes.txt"]);
        assert_eq!((patch.reason.as_deref(), patch.doubt), (Some("Apply proposed file edits"), None));
        let tool = recorded("approval_mcp_tool.txt");
        assert!(tool.asks.unwrap().contains("next_task") && tool.doubt.is_some());
        assert!(recorded("question.txt").doubt.is_some() && recorded("trust_folder.txt").doubt.is_some());
    }

    #[test]
    fn a_question_is_told_in_its_own_words() {
        for name in ["panes/question.txt", "panes_narrow/question_40x12.txt", "panes_narrow/question_notes_60x15.txt"] {
            assert_eq!(recorded(&format!("../{name}")).asks.as_deref(), Some("Which folder first?"), "{name}");
        }
        let body = ["  Which folder", "  first?", "", "  1. The first"];
        let sizes = ["panes/question.txt", "panes_narrow/question_40x12.txt", "panes_narrow/question_60x15.txt"];
        let identities = sizes.map(|name| recorded(&format!("../{name}")).identity());
        assert!(identities.iter().all(|identity| *identity == identities[0]), "{identities:#?}");
        let of = |heading| words_of_question(heading, &body);
        assert_eq!(of("  Question 1/1 (1 unanswered)"), "Which folder first?");
        assert_eq!(of("  Question 2/3 (2 unanswered)"), "Which folder first? (question 2 of 3)");
        assert_eq!(words_of_question("  Question 1/1 (1 unanswered)", &[]), "Question 1/1 (1 unanswered)");
    }

    fn approval(command: &[&str]) -> String {
        let mut rows = vec!["  Would you like to run the following command?", "", "  Reason: because", ""];
        rows.extend(command);
        rows.extend([
            "",
            "› 1. Yes, proceed (y)",
            "  2. Yes, and don't ask again for commands that start with `x` (p)",
            "  3. No, and tell Codex what to do differently (esc)",
            "",
            "  Press enter to confirm or esc to cancel",
        ]);
        rows.join("\n")
    }

    #[test]
    fn a_dialog_inside_a_dialog_is_in_doubt() {
        assert_eq!(read_dialog(&approval(&["  $ rm -rf x"])).unwrap().doubt, None);
        let fake = ["  $ rm -rf x", "  Would you like to run the following command?", "", "  $ ls"];
        let dialog = read_dialog(&approval(&fake)).unwrap();
        assert_eq!(dialog.doubt, Some("more than one dialog seems to stand on the screen"));
        // A command of several lines is shown with all of them.
        let dialog = read_dialog(&approval(&["  $ ls", "", "  $ rm -rf x"])).unwrap();
        assert_eq!(dialog.asks.as_deref(), Some("ls $ rm -rf x"));
        assert!(read_dialog(&approval(&["  $ echo a very long …"])).unwrap().doubt.is_some());
        assert!(read_dialog(&approval(&["  no command"])).unwrap().doubt.is_some());
    }

    #[test]
    fn what_is_selected_is_no_part_of_the_question() {
        let first = approval(&["  $ ls"]);
        let second = first.replace("› 1.", "  1.").replace("  2.", "› 2.");
        let (first, second) = (read_dialog(&first).unwrap(), read_dialog(&second).unwrap());
        assert_eq!((first.selected(), second.selected()), (Some(1), Some(2)));
        assert_eq!(first.identity(), second.identity());
        assert_ne!(first.identity(), read_dialog(&approval(&["  $ pwd"])).unwrap().identity());
    }
}
