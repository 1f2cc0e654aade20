//! Which dialog has the keyboard.
//!
//! A dialog is known by three things together: the key hint at the very bottom, the first option above it, and a
//! heading above that. The command or question inside a dialog is a worker's text and may imitate a heading, so a
//! heading alone decides nothing.

use super::{
    Prompt,
    menu::{self, Menu, MenuOption},
    screen::{Screen, at_margin},
    wording::{self, Heading, MENU_DIALOGS, MenuDialog, PANELS},
};

/// A dialog that has the keyboard.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) prompt: Prompt,
    /// The row of the heading, or of the first option or hint when the heading is not known.
    pub(super) row: usize,
    pub(super) options: Vec<MenuOption>,
    /// The key hint, in lower case.
    pub(super) hint: String,
}

/// The dialog at the bottom of the screen, if one of the known shapes stands there.
pub(super) fn find(screen: &Screen<'_>) -> Option<Dialog> {
    bar_dialog(screen)
        .or_else(|| panel(screen))
        .or_else(|| menu::at_bottom(screen).map(|menu| menu_dialog(screen, menu)))
        .or_else(|| by_hint_alone(screen))
}

/// A list or a pager of which only the key hint is recognised. The footer of a composer begins otherwise.
fn by_hint_alone(screen: &Screen<'_>) -> Option<Dialog> {
    let (row, hint) = menu::hint_at_bottom(screen)?;
    menu::is_dialog_hint(&hint).then(|| Dialog { prompt: Prompt::Unrecognised, row, options: Vec::new(), hint })
}

/// As [`find`] by the lowest row alone, in a pane so low that the list touches its hint. Ask only when no composer
/// stands at the bottom, whose footer may hold a hint too.
pub(super) fn by_last_row(screen: &Screen<'_>) -> Option<Dialog> {
    let row = screen.last()?;
    let hint = screen.row(row).trim_start().to_lowercase();
    menu::is_dialog_hint(&hint).then(|| Dialog { prompt: Prompt::Unrecognised, row, options: Vec::new(), hint })
}

fn menu_dialog(screen: &Screen<'_>, menu: Menu) -> Dialog {
    let hinted = || MENU_DIALOGS.iter().filter(|dialog| dialog.hints.iter().any(|hint| menu.hint.starts_with(hint)));
    let mut found: Vec<(Prompt, usize)> = Vec::new();
    for dialog in hinted().filter(|dialog| first_option_fits(dialog, &menu)) {
        if let Some(row) = heading_above(screen, menu.row, dialog.headings)
            && !found.iter().any(|(prompt, _)| *prompt == dialog.prompt)
        {
            found.push((dialog.prompt, row));
        }
    }
    let (prompt, row) = match found.as_slice() {
        [only] => *only,
        // A heading is cut off at the top, or the command imitates the heading of another approval.
        [] if hinted().any(|dialog| dialog.prompt.is_approval() && first_option_fits(dialog, &menu)) => {
            (Prompt::Approval, menu.row)
        }
        [first, rest @ ..] if first.0.is_approval() && rest.iter().all(|(prompt, _)| prompt.is_approval()) => {
            (Prompt::Approval, menu.row)
        }
        _ => (Prompt::Unrecognised, menu.row),
    };
    Dialog { prompt, row, options: menu.options, hint: menu.hint }
}

fn first_option_fits(dialog: &MenuDialog, menu: &Menu) -> bool {
    dialog.first_options.is_empty()
        || menu.options.first().is_some_and(|option| {
            option.number == Some(1) && dialog.first_options.iter().any(|start| option.label.starts_with(start))
        })
}

/// The nearest row above `bottom` that reads like one of `headings`.
///
/// Dialogs are indented; the search ends with the first row at the margin, where the transcript begins.
fn heading_above(screen: &Screen<'_>, bottom: usize, headings: &[Heading]) -> Option<usize> {
    for row in (0..bottom).rev() {
        let text = screen.row(row);
        if text.is_empty() {
            continue;
        }
        let trimmed = text.trim_start();
        // Up to 0.150 the start-up screens have a `>` at the margin.
        let plain = trimmed.strip_prefix("> ").unwrap_or(trimmed);
        if headings.iter().any(|heading| reads_like(screen, row, plain, heading)) {
            return Some(row);
        }
        if at_margin(text) {
            return None;
        }
    }
    None
}

fn reads_like(screen: &Screen<'_>, row: usize, text: &str, heading: &Heading) -> bool {
    screen.starts_with_wrapped(row, text, heading.starts)
        && (heading.has.is_empty() || screen.joined(row).contains(heading.has))
}

/// A surface without numbered options. Its hint may be the second of two rows at the bottom.
fn panel(screen: &Screen<'_>) -> Option<Dialog> {
    let last = screen.last()?;
    for row in [last, last.saturating_sub(1)] {
        let text = screen.row(row);
        if at_margin(text) {
            return None;
        }
        let hint = text.trim_start().to_lowercase();
        for panel in PANELS.iter().filter(|panel| hint.starts_with(panel.hint)) {
            let heading = |row: &usize| reads_like(screen, *row, screen.row(*row).trim_start(), &panel.heading);
            if let Some(heading) = (0..=row).rev().find(heading)
                && menu::at_bottom(screen).is_none()
            {
                return Some(Dialog { prompt: panel.prompt, row: heading, options: Vec::new(), hint });
            }
        }
    }
    None
}

/// The dialogs of 0.25: rows behind a bar, the first without a space after it (the composer has one).
fn bar_dialog(screen: &Screen<'_>) -> Option<Dialog> {
    let last = screen.last()?;
    let top = (0..=last).rev().take_while(|row| screen.row(*row).starts_with(wording::BAR)).last()?;
    let heading = screen.row(top);
    if heading.strip_prefix(wording::BAR).is_none_or(|text| text.is_empty() || text.starts_with(' ')) {
        return None;
    }
    if !heading.starts_with(wording::BAR_APPROVAL) {
        return Some(Dialog { prompt: Prompt::Unrecognised, row: top, options: Vec::new(), hint: String::new() });
    }
    let answers = screen.row(top + 1).trim_start_matches(wording::BAR);
    let options = answers
        .split("  ")
        .map(str::trim)
        .filter(|label| !label.is_empty())
        // Which answer is selected is shown by colour only.
        .map(|label| MenuOption { number: None, label: label.to_owned(), key: None, selected: false })
        .collect();
    Some(Dialog { prompt: Prompt::ApprovalCommand, row: top, options, hint: String::new() })
}
