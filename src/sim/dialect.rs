//! Which Codex is played: its version, and what that version writes, shows and reacts to.
//!
//! Everything that differs between versions is asked here, so that no other file of the simulator compares version
//! numbers. The figures are those of the recorded versions; a version between two of them behaves like the older one.

use std::{fmt, str::FromStr};

/// A version of the Codex CLI, `0.<minor>.<patch>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    minor: u16,
    patch: u16,
}

/// Why a text is no version that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no Codex version from 0.25 on; write it as 0.169 or v0.47.0")]
pub struct UnknownDialect(String);

/// The full numbers of the versions that were recorded, used when only `0.<minor>` is given.
const RECORDED: &[(u16, u16)] =
    &[(25, 0), (47, 0), (98, 0), (107, 0), (125, 0), (137, 0), (144, 6), (150, 1), (156, 1), (162, 1), (169, 0)];

/// What Enter does while a turn runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusyEnter {
    /// The message waits for the end of the turn.
    AfterTurn,
    /// The message goes into the running turn.
    Steer,
}

impl Dialect {
    /// The newest version that is known here, and the default.
    pub const NEWEST: Dialect = Dialect { minor: 169, patch: 0 };

    fn since(self, minor: u16) -> bool {
        self.minor >= minor
    }

    /// The text of the line book of this version (see [`super::lines`]).
    pub(super) fn line_book(self) -> &'static str {
        match self.minor {
            0..47 => include_str!("lines/v0.25.txt"),
            47..98 => include_str!("lines/v0.47.txt"),
            98..107 => include_str!("lines/v0.98.txt"),
            107..125 => include_str!("lines/v0.107.txt"),
            125..137 => include_str!("lines/v0.125.txt"),
            137..150 => include_str!("lines/v0.144.txt"),
            150..162 => include_str!("lines/v0.150.txt"),
            _ => include_str!("lines/v0.169.txt"),
        }
    }

    /// The version number as `codex --version` prints it.
    #[must_use]
    pub fn version(self) -> String {
        format!("0.{}.{}", self.minor, self.patch)
    }

    /// The rollout is created with the first user input (older: at start).
    #[must_use]
    pub fn creates_with_first_input(self) -> bool {
        self.since(107)
    }

    /// A flock-ed file in `thread-writer-locks` shows who writes the thread.
    #[must_use]
    pub fn locks_thread(self) -> bool {
        self.since(162)
    }

    /// The version 7 form of thread ids is in use (older: version 4).
    #[must_use]
    pub fn time_ordered_ids(self) -> bool {
        self.since(47)
    }

    /// The session lives in a shared server unless that is switched off.
    #[must_use]
    pub fn has_server(self) -> bool {
        self.since(162)
    }

    /// The terminal uses the alternate screen.
    #[must_use]
    pub fn alternate_screen(self) -> bool {
        self.since(162)
    }

    /// The pane title shows a spinner while a turn runs.
    #[must_use]
    pub fn titles(self) -> bool {
        self.since(125)
    }

    /// The pane title says `Action Required` while a dialog of a turn is open.
    #[must_use]
    pub fn titles_action(self) -> bool {
        self.since(137)
    }

    /// The pane title begins with a name made from the first message.
    #[must_use]
    pub fn titles_name(self) -> bool {
        self.since(156)
    }

    /// `tui.status_line` and `tui.terminal_title` can be set.
    #[must_use]
    pub fn configurable_lines(self) -> bool {
        self.since(107)
    }

    /// What Enter does while a turn runs.
    #[must_use]
    pub fn busy_enter(self) -> BusyEnter {
        if self.since(98) { BusyEnter::Steer } else { BusyEnter::AfterTurn }
    }

    /// Tab submits while no turn runs.
    #[must_use]
    pub fn tab_submits(self) -> bool {
        self.since(125)
    }

    /// Tab queues a message for after the turn while one runs.
    #[must_use]
    pub fn tab_queues(self) -> bool {
        self.since(169)
    }

    /// A pasted `/command` is taken as a command (0.25 sends it to the model).
    #[must_use]
    pub fn runs_pasted_commands(self) -> bool {
        self.since(47)
    }

    /// Esc before any output puts the message back into the composer.
    #[must_use]
    pub fn restores_interrupted(self) -> bool {
        (137..150).contains(&self.minor)
    }

    /// Approval options show the keys y and p.
    #[must_use]
    pub fn approval_keys_shown(self) -> bool {
        self.since(98)
    }

    /// The three-word approval bar of 0.25 instead of a numbered list.
    #[must_use]
    pub fn approval_bar(self) -> bool {
        !self.since(47)
    }

    /// Approvals name the environment.
    #[must_use]
    pub fn approval_environment(self) -> bool {
        self.since(150)
    }

    /// "No" to the trust question leaves Codex (older: goes on with more questions).
    #[must_use]
    pub fn distrust_leaves(self) -> bool {
        self.since(107)
    }

    /// The goodbye names the session in a line of its own.
    #[must_use]
    pub fn long_goodbye(self) -> bool {
        self.since(162)
    }

    /// The goodbye names the session at all.
    #[must_use]
    pub fn goodbye_names_thread(self) -> bool {
        self.since(47)
    }

    /// Which family of screens is drawn.
    #[must_use]
    pub fn screen(self) -> ScreenStyle {
        match self.minor {
            0..47 => ScreenStyle::First,
            47..98 => ScreenStyle::Boxed { context_left: true },
            98..125 => ScreenStyle::Boxed { context_left: false },
            125..162 => ScreenStyle::Model,
            _ => ScreenStyle::Full,
        }
    }

    /// The text of an empty composer.
    #[must_use]
    pub fn placeholder(self) -> &'static str {
        match self.minor {
            0..98 => "Improve documentation in @filename",
            98..125 => "Write tests for @filename",
            125..150 => "Use /skills to list available skills",
            _ => "Ask Codex to do anything",
        }
    }

    /// The model that is played when none is named.
    #[must_use]
    pub fn model(self) -> &'static str {
        match self.minor {
            0..47 => "gpt-5",
            47..98 => "gpt-5-codex",
            98..125 => "gpt-5.2-codex",
            125..162 => "gpt-5.5",
            _ => "gpt-6.1-sol",
        }
    }
}

/// Families of screens that look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreenStyle {
    /// 0.25: glyph `▌`, `user` and `codex` headings, a line of key hints.
    First,
    /// 0.47 to 0.107: a box with model and directory, hints and context left below the composer.
    Boxed {
        /// The context comes first in the line (0.47) instead of at its right end.
        context_left: bool,
    },
    /// 0.125 to 0.156: one status line with model and directory.
    Model,
    /// 0.162 on: alternate screen, composer at the bottom, two lines below it.
    Full,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v0.{}", self.minor)
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let unknown = || UnknownDialect(text.to_owned());
        let rest = text.trim_start_matches('v').strip_prefix("0.").ok_or_else(unknown)?;
        let (minor, patch) = match rest.split_once('.') {
            Some((minor, patch)) => (minor, Some(patch.parse().map_err(|_| unknown())?)),
            None => (rest, None),
        };
        let minor: u16 = minor.parse().map_err(|_| unknown())?;
        if minor < 25 {
            return Err(unknown());
        }
        let recorded = RECORDED.iter().find(|(known, _)| *known == minor).map_or(0, |(_, patch)| *patch);
        Ok(Self { minor, patch: patch.unwrap_or(recorded) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_every_usual_form() {
        for (text, version) in
            [("v0.25", "0.25.0"), ("0.144", "0.144.6"), ("v0.169.0", "0.169.0"), ("0.163.2", "0.163.2")]
        {
            assert_eq!(text.parse::<Dialect>().unwrap().version(), version);
        }
        for text in ["", "169", "0.x", "0.24", "1.0.0", "0.169.x"] {
            assert!(text.parse::<Dialect>().is_err(), "{text}");
        }
    }
}
