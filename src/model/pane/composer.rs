//! The composer at the bottom of the screen, the footer below it and the status rows above it.
//!
//! The composer is the lowest row at the margin: Codex draws nothing but indented rows below it, and a transcript
//! cannot get below it.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    screen::{Screen, at_margin, indent},
    title::is_id,
    wording,
};
use crate::base::text;

/// The composer with what belongs to it.
#[derive(Debug)]
pub(super) struct Composer<'a> {
    screen: &'a Screen<'a>,
    /// The row of the glyph.
    pub(super) row: usize,
    /// What is in it.
    pub(super) content: Content,
    /// The rows of status line and hints at the bottom.
    footer: Range<usize>,
}

/// What the composer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// The placeholder of an empty composer.
    Placeholder,
    /// Nothing visible, not even the placeholder.
    Blank,
    /// Text, or something in its place.
    Text,
}

/// More blank rows than this stand neither between composer and footer nor between composer and status row.
const MAX_GAP: usize = 2;
/// Status line, hints, and one spare.
const MAX_FOOTER: usize = 3;
/// How far up a failure may begin that reaches down to the composer.
const MAX_NOTICE_ROWS: usize = 12;

/// `• Working (1m 05s • esc to interrupt) · 1 background terminal running`, also cut off by a narrow pane; 0.25
/// has no bullet. The heading may be the model's.
static STATUS_ROW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:[•◦] ?| )\S.*\((?:\d+h ?)?(?:\d+m ?)?\d+s • (?:[\w+-]+ to interrupt\)(?: · .*)?|[^)]*…)$")
        .expect("the pattern is a constant")
});

/// The composer, if the lowest row at the margin is one.
pub(super) fn find<'a>(screen: &'a Screen<'a>) -> Option<Composer<'a>> {
    let last = screen.last()?;
    let lowest = (0..=last).rev().find(|row| at_margin(screen.row(*row)))?;
    let glyph = [wording::COMPOSER, wording::BAR, wording::SHELL_MODE].into_iter().find(|glyph| {
        screen.row(lowest).strip_prefix(glyph).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })?;
    let bar = glyph == wording::BAR;
    let row = if bar {
        (0..=lowest).rev().take_while(|row| screen.row(*row).starts_with(glyph)).last().unwrap_or(lowest)
    } else {
        lowest
    };
    let text_end = if bar { lowest } else { block_end(screen, row) };
    let footer = footer_below(screen, text_end)?;
    let typed = screen.row(row).trim_start_matches(glyph).trim();
    let content = if text_end > row || footer.start > text_end + 1 + MAX_GAP || glyph == wording::SHELL_MODE {
        Content::Text
    } else if typed.is_empty() {
        Content::Blank
    } else if wording::PLACEHOLDERS.contains(&typed) {
        Content::Placeholder
    } else {
        Content::Text
    };
    Some(Composer { screen, row, content, footer })
}

/// The rows from the composer down without the glyph in front of the first, and how many of them stand above what
/// looks like the footer; none when no composer is found.
pub(super) fn rows_down<'a>(screen: &'a Screen<'a>) -> Option<(Vec<&'a str>, usize)> {
    let composer = find(screen)?;
    let rows = &screen.rows()[composer.row..];
    // In shell mode the glyph is what was typed, and in 0.25 each row has one.
    let bare = |row: &'a str| row.strip_prefix(wording::COMPOSER).or(row.strip_prefix(wording::BAR)).unwrap_or(row);
    let above_footer = composer.footer.start.saturating_sub(composer.row).clamp(1, rows.len());
    Some((rows.iter().copied().map(bare).collect(), above_footer))
}

/// The last row of the block of rows without a blank one that begins at `row`.
fn block_end(screen: &Screen<'_>, row: usize) -> usize {
    let last = screen.last().unwrap_or(row);
    (row..=last).take_while(|row| !screen.row(*row).is_empty()).last().unwrap_or(row)
}

/// The rows of the footer: the lowest block below the composer's text. None when the rows below are too far apart
/// to be a composer's (then the glyph belongs to an old message, and something unknown stands below).
fn footer_below(screen: &Screen<'_>, text_end: usize) -> Option<Range<usize>> {
    let last = screen.last()?;
    let mut blank = 0;
    for row in text_end + 1..=last {
        blank = if screen.row(row).is_empty() { blank + 1 } else { 0 };
        if blank > MAX_GAP {
            return None;
        }
    }
    let first = (text_end + 1..=last).rev().take_while(|row| !screen.row(*row).is_empty()).last();
    Some(first.unwrap_or(last + 1)..last + 1)
}

impl Composer<'_> {
    /// The row of the status line with the time that a turn has taken, when one stands above the composer.
    pub(super) fn status_row(&self) -> Option<usize> {
        let mut gap = 0;
        for row in (0..self.row).rev() {
            let text = self.screen.row(row);
            if text.is_empty() {
                gap += 1;
                if gap > MAX_GAP {
                    return None;
                }
                continue;
            }
            gap = 0;
            if STATUS_ROW.is_match(text) {
                return Some(row);
            }
            if !self.belongs_below_status(row) {
                return None;
            }
        }
        None
    }

    /// Queued messages, the reason of a retry, commands in the background, a notice at the right.
    fn belongs_below_status(&self, row: usize) -> bool {
        let text = self.screen.row(row);
        let trimmed = text.trim_start();
        if wording::BELOW_STATUS.iter().any(|start| trimmed.starts_with(start)) {
            // Transcripts have failures with the same sign at the margin.
            return !trimmed.starts_with('⚠') || indent(text) > 2;
        }
        let count = trimmed.chars().take_while(char::is_ascii_digit).count();
        if count > 0 && indent(text) > 0 && trimmed[count..].starts_with(wording::BACKGROUND_TERMINAL) {
            return true;
        }
        // The rest of a wrapped message that waits: its first row has the arrow.
        indent(text) >= 4
            && (0..row)
                .rev()
                .map(|row| self.screen.row(row))
                .find(|text| indent(text) < 4)
                .is_some_and(|text| text.trim_start().starts_with('↳'))
    }

    /// True when a completion popup stands directly above the composer.
    pub(super) fn popup_row(&self) -> Option<usize> {
        (self.row.saturating_sub(2)..self.row).find(|row| {
            let text = self.screen.row(*row);
            let hint = text.trim_start();
            text.starts_with("› /") || wording::POPUP_HINTS.iter().any(|start| hint.starts_with(start))
        })
    }

    /// The failure reported just above the composer, on one line.
    pub(super) fn notice(&self) -> Option<String> {
        let blank = |row: &usize| self.screen.row(*row).is_empty();
        let between =
            |row: &usize| blank(row) || self.screen.row(*row).starts_with('─') || self.belongs_below_status(*row);
        let bottom = (0..self.row).rev().find(|row| !between(row))?;
        let top = (0..=bottom)
            .rev()
            .take(MAX_NOTICE_ROWS)
            .take_while(|row| !blank(row))
            .find(|row| wording::NOTICES.iter().any(|sign| self.screen.row(*row).starts_with(sign)))?;
        let rows = &self.screen.rows()[top..=bottom];
        let joined = text::one_line(&rows.join(" "));
        let said = wording::NOTICES.iter().find_map(|sign| joined.strip_prefix(sign)).unwrap_or(&joined);
        Some(text::bounded(said.trim(), 500))
    }

    fn footer_rows(&self) -> &[&str] {
        &self.screen.rows()[self.footer.clone()]
    }

    /// The id of the thread, when the status line is set up to show it.
    ///
    /// Only the first two items count: later ones may be a name, which a conversation chooses.
    pub(super) fn thread_id(&self) -> Option<String> {
        let items = self.footer_rows().iter().flat_map(|row| row.trim().split(" · ").take(2));
        items.map(str::trim).find(|item| is_id(item)).map(str::to_owned)
    }

    /// The row of a footer that says a turn runs, with the rule: a run state beside a session id, or a goal.
    pub(super) fn running_row(&self) -> Option<(&'static str, usize)> {
        self.footer.clone().find_map(|row| {
            let text = self.screen.row(row).trim();
            let mut items = text.split(" · ");
            let state = items.next().is_some_and(|item| wording::RUNNING_STATES.contains(&item));
            if state && items.next().is_some_and(|item| is_id(item.trim())) {
                return Some(("status_line_running", row));
            }
            // The goal stands at the right, behind a gap; a name cannot get there.
            let goal =
                text.rsplit_once("   ").is_some_and(|(_, right)| right.trim().starts_with(wording::GOAL_RUNNING));
            goal.then_some(("goal_running", row))
        })
    }

    /// Why the footer does not look like the footer of a composer at rest, with its first row; none when it does.
    pub(super) fn odd_footer(&self) -> Option<&'static str> {
        let rows = self.footer_rows();
        let hint = |row: &&str| super::menu::is_dialog_hint(&row.trim().to_lowercase());
        if rows.is_empty() {
            Some("nothing stands below the composer")
        } else if rows.len() > MAX_FOOTER {
            Some("more rows than a footer has stand below the composer")
        } else if rows.iter().any(hint) {
            Some("the key hint of a dialog stands below the composer")
        } else if !rest_of_status_line(rows).iter().all(|row| is_footer_hint(row)) {
            Some("an unknown row stands below the status line")
        } else {
            None
        }
    }

    /// True while the footer is the one of the first screen, before the status line is known.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self.footer_rows(), [only] if only.trim() == wording::STARTING_FOOTER)
    }

    /// A row of the footer at whose end a shell prompt stands, so that the screen is frozen.
    pub(super) fn prompt_in_footer(&self) -> Option<usize> {
        let last = self.screen.last()?;
        (self.row + 1..=last).find(|row| ends_in_shell_prompt(self.screen.row(*row)))
    }
}

fn is_footer_hint(row: &str) -> bool {
    wording::FOOTER_HINTS.iter().any(|hint| row.trim().starts_with(hint))
}

/// The rows of a footer below its status line, which a long folder or name makes two rows long: then, and only then,
/// a row without a sign of its own stands between items and a hint.
fn rest_of_status_line<'a>(rows: &'a [&'a str]) -> &'a [&'a str] {
    match rows {
        [items, more, hint] if items.contains(" · ") && !is_footer_hint(more) && is_footer_hint(hint) => &rows[2..],
        [_, rest @ ..] => rest,
        [] => rows,
    }
}

/// The row of the composer over which a shell reports that Codex was killed, with a shell prompt below it.
///
/// A killed program leaves its screen and title as they were, so this has to be asked before anything is believed.
pub(super) fn killed(screen: &Screen<'_>) -> Option<usize> {
    let row = lowest_glyph(screen)?;
    let typed = screen.row(row).trim_start_matches(['›', '▌', '!', ' ']);
    let below = screen.rows().get(row + 1..)?;
    (killed_words(typed) && below.iter().any(|text| text.ends_with(['$', '#', '%', '❯']))).then_some(row)
}

/// A shell prompt at the margin below a composer, with more of the old screen below it.
pub(super) fn prompt_over_composer(screen: &Screen<'_>) -> Option<usize> {
    let glyph = lowest_glyph(screen)?;
    (glyph + 1..screen.last()?).find(|row| {
        let text = screen.row(*row);
        at_margin(text) && !text.contains(' ') && text.ends_with(['$', '#', '%', '❯'])
    })
}

fn lowest_glyph(screen: &Screen<'_>) -> Option<usize> {
    (0..=screen.last()?).rev().find(|row| screen.row(*row).starts_with(['›', '▌', '!']))
}

fn killed_words(typed: &str) -> bool {
    let starts = |text: &str| wording::KILLED.iter().any(|word| text.starts_with(word));
    // A script says `bash: line 1: 26695 Killed`, zsh `zsh: killed`, an interactive bash only `Killed`.
    let after_pid = typed.split_once(" line ").and_then(|(_, rest)| rest.split_once(": ")).map(|(_, rest)| rest);
    starts(typed)
        || after_pid.is_some_and(|rest| starts(rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')))
        || ["zsh: killed", "zsh: terminated", "fish: Job"].iter().any(|start| typed.starts_with(start))
}

/// A shell's prompt behind a gap, at the end of a row that was drawn before.
fn ends_in_shell_prompt(row: &str) -> bool {
    row.ends_with(['$', '#', '❯'])
        && row.rsplit_once("   ").is_some_and(|(_, prompt)| {
            let prompt = prompt.trim();
            prompt.len() > 1 && !prompt.contains(' ')
        })
}
