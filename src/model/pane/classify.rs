//! From a captured screen and a title to one [`PaneReading`]: the order in which the rules are asked.
//!
//! A dialog at the very bottom comes first, then the composer, then the traces of a program that has ended. What
//! fits none of them is unknown, and nothing unknown is safe to paste into.

use super::{
    Evidence, PaneReading, PaneState, Prompt, TitleSign,
    composer::{self, Composer, Content},
    dialog::{self, Dialog},
    read_title,
    screen::{self, Screen, at_margin},
    title::is_id,
    wording,
};
use crate::{base::text, model::state::Source};

/// What the visible screen of a pane says.
///
/// `text` is the output of `tmux capture-pane -p` without history, `title` the pane's title at the same moment;
/// without a title a turn that streams its answer cannot be told from an idle session. Total: any text gives a
/// reading, and what is not recognised is `unknown`.
#[must_use]
pub fn read_pane(text: &str, title: Option<&str>) -> PaneReading {
    let clean = screen::cleaned(text);
    read_screen(&Screen::new(&clean), title)
}

/// As [`read_pane`], for a screen that is split already.
pub(super) fn read_screen(screen: &Screen<'_>, title: Option<&str>) -> PaneReading {
    let Some(last) = screen.last() else {
        return reading(PaneState::Unknown, "screen_empty", "the screen is empty");
    };
    if let Some(dialog) = dialog::find(screen) {
        return waiting(screen, dialog);
    }
    if let Some(row) = composer::killed(screen) {
        let reason = "a shell reports over the frozen screen that Codex was killed";
        return PaneReading { evidence: evidence(screen, row), ..reading(PaneState::Exited, "killed", reason) };
    }
    if let Some(composer) = composer::find(screen) {
        let sign = title.and_then(read_title).map(|title| title.sign);
        return with_composer(screen, &composer, sign);
    }
    if let Some(dialog) = dialog::by_last_row(screen) {
        return waiting(screen, dialog);
    }
    if let Some(gone) = exited(screen, last) {
        return gone;
    }
    match composer::prompt_over_composer(screen) {
        Some(row) => torn(screen, row),
        None => reading(PaneState::Unknown, "unrecognised", "the screen shows nothing that is known of Codex"),
    }
}

fn torn(screen: &Screen<'_>, row: usize) -> PaneReading {
    let reason = "a shell prompt stands inside the live region, so the screen may be frozen";
    PaneReading { evidence: evidence(screen, row), ..reading(PaneState::Unknown, "screen_torn", reason) }
}

fn reading(state: PaneState, rule: &'static str, reason: impl Into<String>) -> PaneReading {
    PaneReading {
        state,
        prompt: None,
        safe_to_paste: false,
        rule,
        reason: reason.into(),
        source: Source::Screen,
        evidence: None,
        thread_id: None,
        notice: None,
        draft: false,
        options: Vec::new(),
    }
}

fn evidence(screen: &Screen<'_>, row: usize) -> Option<Evidence> {
    Some(Evidence { row: screen.index_in_text(row), text: text::bounded(&text::one_line(screen.row(row)), 200) })
}

fn waiting(screen: &Screen<'_>, dialog: Dialog) -> PaneReading {
    let reason = match dialog.prompt {
        Prompt::Unrecognised => "a menu that is not known has the keyboard".to_owned(),
        Prompt::Approval => "an approval whose kind cannot be told has the keyboard".to_owned(),
        known => format!("the dialog `{known}` has the keyboard"),
    };
    PaneReading {
        prompt: Some(dialog.prompt),
        evidence: evidence(screen, dialog.row),
        options: dialog.options,
        ..reading(PaneState::Waiting, dialog.prompt.as_str(), reason)
    }
}

fn with_composer(screen: &Screen<'_>, composer: &Composer<'_>, sign: Option<TitleSign>) -> PaneReading {
    let at = |row: usize| evidence(screen, row);
    if let Some(row) = composer.prompt_in_footer() {
        return torn(screen, row);
    }
    let base = PaneReading {
        draft: composer.content == Content::Text,
        thread_id: composer.thread_id(),
        ..reading(PaneState::Busy, "", "")
    };
    if sign == Some(TitleSign::ActionRequired) {
        return PaneReading {
            state: PaneState::Waiting,
            rule: "title_action_required",
            reason: "the title says that an action is required, though the screen shows the composer".to_owned(),
            source: Source::Title,
            ..base
        };
    }
    if let Some(row) = composer.status_row() {
        let reason = if sign == Some(TitleSign::Quiet) {
            "a status row with a running clock stands above the composer, though the title has no spinner"
        } else {
            "a status row with a running clock stands above the composer"
        };
        return PaneReading { rule: "status_row", reason: reason.to_owned(), evidence: at(row), ..base };
    }
    if let Some((rule, row)) = composer.running_row() {
        let reason = "the row below the composer says that work goes on".to_owned();
        return PaneReading { rule, reason, evidence: at(row), ..base };
    }
    if sign == Some(TitleSign::Busy) {
        return PaneReading {
            rule: "title_spinner",
            reason: "the pane's title shows a spinner".to_owned(),
            source: Source::Title,
            ..base
        };
    }
    let popup = composer.popup_row();
    let (rule, reason) = match (composer.content, popup, composer.odd_footer()) {
        (_, Some(_), _) => ("popup_open", "a completion popup is open above the composer"),
        (Content::Text, None, _) => ("composer_draft", "the composer holds text that a message would be joined with"),
        (Content::Blank, None, _) => ("composer_blank", "the composer shows neither text nor its placeholder"),
        (Content::Placeholder, None, Some(odd)) => ("composer_footer", odd),
        (Content::Placeholder, None, None) => ("composer_empty", "an empty composer has the keyboard"),
    };
    PaneReading {
        state: PaneState::Idle,
        safe_to_paste: rule == "composer_empty",
        rule,
        reason: reason.to_owned(),
        evidence: at(popup.unwrap_or(composer.row)),
        notice: composer.notice(),
        ..base
    }
}

/// How many rows above the bottom the words of a program's end are looked for.
const EXIT_ROWS: usize = 40;
/// The most rows that Codex prints when it leaves.
const EXIT_BLOCK: usize = 8;

fn exited(screen: &Screen<'_>, last: usize) -> Option<PaneReading> {
    let bottom = screen.row(last);
    let is_mark = |row: &usize| wording::EXITS.iter().any(|words| screen.row(*row).starts_with(words));
    let lowest = (last.saturating_sub(EXIT_ROWS)..=last).rev().find(is_mark);
    // The words differ in order between versions; the block begins with the first of them.
    let mark = lowest.and_then(|lowest| (lowest.saturating_sub(EXIT_BLOCK)..=lowest).find(is_mark));
    let (rule, row, reason) = if bottom.starts_with(wording::PANE_DEAD) {
        ("pane_dead", last, "tmux says that the pane's program has ended")
    } else {
        match mark {
            Some(row) if last - row <= EXIT_BLOCK || is_shell_row(bottom) => {
                ("exit_text", row, "Codex has said goodbye, and what stands below is a shell's")
            }
            _ if is_bare_prompt(bottom) => ("shell_prompt", last, "the screen ends in a shell prompt"),
            _ => return None,
        }
    };
    // `codex resume <id>` stands in the same row or below.
    let words = (row..=last).flat_map(|row| screen.row(row).split([' ', '(', ')']));
    let thread_id = mark.and_then(|_| words.into_iter().find(|word| is_id(word))).map(str::to_owned);
    Some(PaneReading { evidence: evidence(screen, row), thread_id, ..reading(PaneState::Exited, rule, reason) })
}

/// A shell prompt, with or without a command behind it. Only asked below Codex's own last words.
fn is_shell_row(row: &str) -> bool {
    at_margin(row)
        && (is_bare_prompt(row) || row.split_whitespace().take(3).any(|word| word.ends_with(['$', '#', '%', '❯', '➜'])))
}

/// A shell prompt with nothing behind it, strict enough to stand alone.
fn is_bare_prompt(row: &str) -> bool {
    let alone = !row.contains(' ') || row.contains('@') || row.starts_with(['[', '➜', '❯']);
    at_margin(row) && row.ends_with(['$', '#', '%', '❯', '✗', '➜']) && alone
}
