//! The one table of keys: it feeds the dispatcher, the footer, the help and the documentation.
//!
//! A row says where a key works, what it means and in which words that is told. Keys of capabilities that have not
//! landed do not stand here.

mod table;

use std::{borrow::Cow, str::FromStr};

use crossterm::event::{
    KeyCode::{self, Backspace, Delete, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up},
    KeyEvent, KeyModifiers,
};
use serde::Serialize;

pub use self::table::BINDINGS;
use crate::text_enum;

text_enum! {
    /// Where a key works. A layer on top hides the screens below it.
    pub enum Place {
        /// Everywhere.
        Always => "always",
        /// On every screen, while no layer is open.
        Screen => "screen",
        /// On the Fleet screen.
        Fleet => "fleet",
        /// On the Task screen.
        Task => "task",
        /// On the Events screen.
        Events => "events",
        /// On the Inbox screen.
        Inbox => "inbox",
        /// On the Dispatch screen.
        Dispatch => "dispatch",
        /// On the Doctor screen.
        Doctor => "doctor",
        /// In an input line.
        Input => "input",
        /// In a message that is written.
        Message => "message",
        /// In the help.
        Help => "help",
        /// In a text that is only read: messages, explanations.
        Reader => "reader",
        /// In a question.
        Confirm => "confirm",
        /// Over what a session asks.
        Answer => "answer",
        /// In a form.
        Form => "form",
        /// In the palette.
        Palette => "palette",
        /// In the list of receipts.
        Receipts => "receipts",
        /// Over the lengths of a snooze.
        Snooze => "snooze",
    }
}

text_enum! {
    /// What a key means.
    pub enum Intent {
        /// Next row or line.
        Down => "down",
        /// Previous row or line.
        Up => "up",
        /// First row.
        Top => "top",
        /// Last row.
        Bottom => "bottom",
        /// One page on.
        PageDown => "page_down",
        /// One page back.
        PageUp => "page_up",
        /// Look closer.
        Open => "open",
        /// Show a long entry in full.
        Unfold => "unfold",
        /// Choose the next entry.
        NextEntry => "next_entry",
        /// Choose the previous entry.
        PreviousEntry => "previous_entry",
        /// See more of the left.
        PanLeft => "pan_left",
        /// See more of the right.
        PanRight => "pan_right",
        /// The next pane gets the keyboard.
        NextPane => "next_pane",
        /// Back out one level.
        Back => "back",
        /// Show the Fleet screen.
        Fleet => "show_fleet",
        /// Show the Task screen.
        Task => "show_task",
        /// Show the Events screen.
        Events => "show_events",
        /// Show the Inbox screen.
        Inbox => "show_inbox",
        /// Show the Dispatch screen.
        Dispatch => "show_dispatch",
        /// Show the Doctor screen.
        Doctor => "show_doctor",
        /// The next row that needs the operator.
        NextNeed => "next_need",
        /// The previous row that needs the operator.
        PreviousNeed => "previous_need",
        /// Edit the filter.
        Filter => "filter",
        /// Take what was typed.
        Accept => "accept",
        /// Delete the last character.
        Erase => "erase",
        /// Delete the character under the cursor.
        EraseNext => "erase_next",
        /// Delete back to the beginning of a word.
        EraseWord => "erase_word",
        /// Begin a new line.
        LineBreak => "line_break",
        /// One character back.
        Left => "left",
        /// One character on.
        Right => "right",
        /// One word back.
        WordLeft => "word_left",
        /// One word on.
        WordRight => "word_right",
        /// To the beginning of the line.
        LineStart => "line_start",
        /// To the end of the line.
        LineEnd => "line_end",
        /// Delete the whole input.
        EraseAll => "erase_all",
        /// Show the keys.
        Help => "help",
        /// Show why a session is in its state.
        Explain => "explain",
        /// Hand the terminal to the session's pane.
        Attach => "attach",
        /// Show the pane instead of the conversation.
        RawPane => "raw_pane",
        /// Observe the task's worker once.
        Cycle => "cycle",
        /// Write a message to the worker.
        Nudge => "nudge",
        /// End the running turn.
        Interrupt => "interrupt",
        /// Show what the session asks.
        Answer => "answer",
        /// Say yes to what it asks, this once.
        Approve => "approve",
        /// Say no to what it asks.
        Decline => "decline",
        /// Say no to what it asks, and end the turn.
        CancelTurn => "cancel_turn",
        /// Stop every delivery, or let deliveries go on.
        Pause => "pause",
        /// Queue what was given up again.
        Retry => "retry",
        /// Take back what waits.
        TakeBack => "take_back",
        /// Say that an uncertain message arrived.
        Arrived => "arrived",
        /// Show what a session has changed in its working tree.
        Diff => "diff",
        /// Put the row aside for a while.
        Snooze => "snooze",
        /// Pin the row, or let it go.
        Pin => "pin",
        /// Mark the session unread.
        Unread => "unread",
        /// Show the sessions that are gone, or fold them.
        Gone => "gone",
        /// Register the sessions that run unregistered.
        Adopt => "adopt",
        /// Choose a row for what goes to several, or let it go.
        Choose => "choose",
        /// Record a task.
        NewTask => "new_task",
        /// Start a worker.
        StartWorker => "start_worker",
        /// Bind worker and manager to a task.
        Bind => "bind",
        /// End a binding.
        Unbind => "unbind",
        /// Have a worker compact its context.
        Compact => "compact",
        /// Limit a task's nudges.
        Budget => "budget",
        /// End a session.
        Stop => "stop",
        /// Bring a session back.
        Resume => "resume",
        /// Everything that can be done now, by name.
        Palette => "palette",
        /// What was submitted from here.
        Receipts => "receipts",
        /// The next field of a form.
        NextField => "next_field",
        /// The previous field of a form.
        PreviousField => "previous_field",
        /// Do what the form says.
        Submit => "submit",
        /// The next value, or check and uncheck.
        Toggle => "toggle",
        /// Empty the form.
        StartOver => "start_over",
        /// Follow new events.
        Follow => "follow",
        /// Show only one kind of events.
        Kinds => "kinds",
        /// Go to a byte offset.
        Jump => "jump",
        /// Load everything again.
        Reload => "reload",
        /// Copy the command line.
        Copy => "copy",
        /// Give the mouse back to the terminal, or take it.
        Mouse => "mouse",
        /// Call the operator in another way, or not at all.
        Ringing => "ringing",
        /// Draw everything anew.
        Repaint => "repaint",
        /// Put the program into the background.
        Suspend => "suspend",
        /// Leave.
        Quit => "quit",
        /// Do it.
        Yes => "yes",
        /// Leave it.
        No => "no",
    }
}

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    control: bool,
}

impl Key {
    /// What was pressed. Shift is part of a character already, and no other modifier is used.
    #[must_use]
    pub fn pressed(event: KeyEvent) -> Option<Self> {
        if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return None;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            KeyCode::Char(c) if control => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        Some(Self { code, control })
    }

    /// The character it types, if it types one.
    #[must_use]
    pub fn character(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.control => Some(c),
            _ => None,
        }
    }

    /// The key as people write it: `j`, `PgDn`, `Ctrl-L`.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.control => c.to_ascii_uppercase().to_string(),
            KeyCode::Char(c) => c.to_string(),
            // The library's names differ from system to system.
            KeyCode::Enter => "Enter".to_owned(),
            KeyCode::Backspace => "Backspace".to_owned(),
            KeyCode::Delete => "Del".to_owned(),
            KeyCode::Insert => "Ins".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            code => code.to_string(),
        };
        if self.control { format!("Ctrl-{name}") } else { name }
    }
}

/// A text that names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no key; keys are a character, Ctrl- and a letter, F1 to F12, or Enter, Tab, Esc, Space, PgDn, PgUp, \
         Home, End, Up, Down, Left, Right, Ins, Del, Backspace"
)]
pub struct UnknownKey(String);

impl FromStr for Key {
    type Err = UnknownKey;

    /// Reads what [`Key::name`] writes.
    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let unknown = || UnknownKey(crate::base::text::bounded(&crate::base::text::clean(text), 40));
        let (rest, control) = match text.strip_prefix("Ctrl-") {
            Some(rest) if !rest.is_empty() => (rest, true),
            _ => (text, false),
        };
        let mut characters = rest.chars();
        let code = match (characters.next(), characters.next()) {
            (Some(c), None) if control => KeyCode::Char(c.to_ascii_lowercase()),
            (Some(c), None) if !c.is_control() && c != ' ' => KeyCode::Char(c),
            _ => match rest {
                "Enter" => Enter,
                "Tab" => Tab,
                "Shift-Tab" => KeyCode::BackTab,
                "Esc" => Esc,
                "Space" => KeyCode::Char(' '),
                "PgDn" => PageDown,
                "PgUp" => PageUp,
                "Home" => Home,
                "End" => End,
                "Up" => Up,
                "Down" => Down,
                "Left" => Left,
                "Right" => Right,
                "Del" => Delete,
                "Ins" => KeyCode::Insert,
                "Backspace" => Backspace,
                _ => {
                    let number = rest.strip_prefix('F').and_then(|number| number.parse::<u8>().ok());
                    KeyCode::F(number.filter(|number| (1..=12).contains(number)).ok_or_else(unknown)?)
                }
            },
        };
        Ok(Self { code, control })
    }
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Where it works.
    pub place: Place,
    /// The keys that mean it.
    pub keys: Cow<'static, [Key]>,
    /// What they mean.
    pub intent: Intent,
    /// The footer's word.
    pub short: &'static str,
    /// The help's sentence.
    pub help: &'static str,
    /// The command word that does the same without the cockpit; none for moving about.
    pub verb: Option<&'static str>,
}

/// The keys in force: the table, with what the operator has put in place of it.
#[derive(Debug, Clone)]
pub struct Keymap {
    rows: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { rows: BINDINGS.to_vec() }
    }
}

/// Keys that take the place of those in the table, for one meaning in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebinding {
    /// Where.
    pub place: Place,
    /// What the keys are to mean.
    pub intent: Intent,
    /// The keys; none takes the meaning off the keyboard.
    pub keys: Vec<Key>,
}

/// Why keys cannot be as somebody wants them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// Questions, messages and texts keep their keys: an answer must never depend on a file.
    #[error("the keys {0} are fixed; only those of screens can be changed")]
    Fixed(Place),
    /// Nothing of this meaning is there.
    #[error("nothing in {0} means {1}; `conveyor keys` lists what can be changed")]
    Unknown(Place, Intent),
    /// One key would mean two things.
    #[error("{key} would mean both {first} and {second} in {place}")]
    Conflict {
        /// The key.
        key: String,
        /// Where.
        place: Place,
        /// What it means already.
        first: Intent,
        /// What it would mean too.
        second: Intent,
    },
    /// Without it there is no way out.
    #[error("{0} needs at least one key")]
    Needed(Intent),
}

impl Keymap {
    /// The table with other keys for some meanings.
    ///
    /// # Errors
    /// When a place or meaning cannot be changed, or a key would mean two things where both hold.
    pub fn with(rebindings: &[Rebinding]) -> Result<Self, KeymapError> {
        let mut rows = BINDINGS.to_vec();
        for Rebinding { place, intent, keys } in rebindings {
            if !place.is_on_screen() {
                return Err(KeymapError::Fixed(*place));
            }
            if keys.is_empty() && matches!(intent, Intent::Quit | Intent::Back | Intent::Help) {
                return Err(KeymapError::Needed(*intent));
            }
            let row = rows.iter_mut().find(|row| row.place == *place && row.intent == *intent);
            let row = row.ok_or(KeymapError::Unknown(*place, *intent))?;
            row.keys = Cow::Owned(keys.clone());
        }
        let keymap = Self { rows };
        match keymap.conflict() {
            None => Ok(keymap),
            Some(conflict) => Err(conflict),
        }
    }

    /// The first key that means two things where both hold.
    fn conflict(&self) -> Option<KeymapError> {
        // Layers hide the screens, but `Always` holds everywhere, and a screen's own keys meet the general ones.
        for place in Place::ALL {
            let with = if place.is_on_screen() && *place != Place::Screen {
                vec![*place, Place::Screen, Place::Always]
            } else {
                vec![*place, Place::Always]
            };
            let mut seen: Vec<(&Key, Intent)> = Vec::new();
            for row in self.rows(&with) {
                for key in row.keys.iter() {
                    if let Some((_, first)) = seen.iter().find(|(other, _)| *other == key) {
                        let (first, second) = (*first, row.intent);
                        return Some(KeymapError::Conflict { key: key.name(), place: *place, first, second });
                    }
                    seen.push((key, row.intent));
                }
            }
        }
        None
    }

    /// What a key means in the first of `places` that knows it.
    #[must_use]
    pub fn lookup(&self, places: &[Place], key: Key) -> Option<Intent> {
        let row = |place: &Place| self.rows.iter().find(|row| row.place == *place && row.keys.contains(&key));
        places.iter().find_map(row).map(|row| row.intent)
    }

    /// The rows of `places`, in the order of the table.
    pub fn rows(&self, places: &[Place]) -> impl Iterator<Item = &Binding> {
        self.rows.iter().filter(move |row| places.contains(&row.place))
    }

    /// The first key of a meaning in the first of `places` that has one, as people write it.
    #[must_use]
    pub fn key_of(&self, places: &[Place], intent: Intent) -> Option<String> {
        let row = |place: &Place| self.rows.iter().find(|row| row.place == *place && row.intent == intent);
        places.iter().find_map(row)?.keys.first().map(|key| key.name())
    }

    /// The whole table, ready to be printed.
    #[must_use]
    pub fn table(&self) -> Vec<KeyRow> {
        let row = |row: &Binding| KeyRow {
            place: row.place,
            keys: row.keys.iter().map(|key| key.name()).collect(),
            intent: row.intent,
            short: row.short,
            help: row.help,
            command: row.verb,
        };
        self.rows.iter().map(row).collect()
    }
}

impl Place {
    /// Whether it is a screen, whose keys can be changed.
    #[must_use]
    pub fn is_on_screen(self) -> bool {
        match self {
            Self::Screen | Self::Fleet | Self::Task | Self::Events | Self::Inbox | Self::Dispatch | Self::Doctor => {
                true
            }
            Self::Form
            | Self::Palette
            | Self::Receipts
            | Self::Always
            | Self::Input
            | Self::Message
            | Self::Help
            | Self::Reader
            | Self::Confirm
            | Self::Answer
            | Self::Snooze => false,
        }
    }
}

/// One row as documentation and `keys --json` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// Where it works.
    pub place: Place,
    /// The keys.
    pub keys: Vec<String>,
    /// What they mean, a stable id.
    pub intent: Intent,
    /// The footer's word.
    pub short: &'static str,
    /// The help's sentence.
    pub help: &'static str,
    /// The command word that does the same.
    pub command: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::{
        table::{c, ctrl, k},
        *,
    };
    use crate::actions::COMMANDS;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        assert_eq!(Keymap::default().conflict(), None);
    }

    #[test]
    fn every_key_is_read_back_from_its_name() {
        for key in BINDINGS.iter().flat_map(|row| row.keys.iter()) {
            assert_eq!(key.name().parse(), Ok(*key));
        }
        assert_eq!("F5".parse::<Key>().map(Key::name), Ok("F5".to_owned()));
        for wrong in ["", "Ctrl-", "jj", "F0", "F13", "Alt-x", " ", "\u{1b}"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn keys_of_screens_can_be_changed_and_conflicts_are_refused() {
        let change = |place, intent, keys: &[Key]| Keymap::with(&[Rebinding { place, intent, keys: keys.to_vec() }]);
        let keymap = change(Place::Screen, Intent::Nudge, &[c('z'), k(KeyCode::F(2))]).unwrap();
        let places = [Place::Fleet, Place::Screen, Place::Always];
        assert_eq!(keymap.lookup(&places, c('z')), Some(Intent::Nudge));
        assert_eq!(keymap.lookup(&places, c('n')), None);
        assert_eq!(keymap.key_of(&places, Intent::Nudge).as_deref(), Some("z"));
        let conflict = change(Place::Fleet, Intent::RawPane, &[c('n')]).unwrap_err();
        assert_eq!(conflict.to_string(), "n would mean both nudge and raw_pane in fleet");
        assert_eq!(
            change(Place::Screen, Intent::Nudge, &[ctrl('c')]).unwrap_err().to_string(),
            "Ctrl-C would mean both nudge and quit in screen"
        );
        assert_eq!(change(Place::Confirm, Intent::Yes, &[c('q')]).unwrap_err(), KeymapError::Fixed(Place::Confirm));
        assert_eq!(change(Place::Answer, Intent::Approve, &[]).unwrap_err(), KeymapError::Fixed(Place::Answer));
        assert_eq!(
            change(Place::Fleet, Intent::Nudge, &[c('z')]).unwrap_err(),
            KeymapError::Unknown(Place::Fleet, Intent::Nudge)
        );
        assert_eq!(change(Place::Screen, Intent::Quit, &[]).unwrap_err(), KeymapError::Needed(Intent::Quit));
        // Two that change places are no conflict.
        let swapped = Keymap::with(&[
            Rebinding { place: Place::Screen, intent: Intent::Nudge, keys: vec![c('x')] },
            Rebinding { place: Place::Screen, intent: Intent::Explain, keys: vec![c('n')] },
        ]);
        assert_eq!(swapped.unwrap().lookup(&places, c('x')), Some(Intent::Nudge));
    }

    #[test]
    fn every_act_is_a_command_of_the_catalogue() {
        for row in BINDINGS {
            let Some(verb) = row.verb else { continue };
            let landed = COMMANDS.iter().any(|entry| entry.name == verb);
            assert!(landed, "`{verb}` is no command");
        }
    }

    #[test]
    fn words_are_short_and_help_is_a_phrase() {
        for row in BINDINGS {
            assert!(row.short.len() <= 10 && !row.short.is_empty(), "{}", row.short);
            assert!(!row.help.ends_with('.') && row.help.len() <= 60, "{}", row.help);
        }
    }

    #[test]
    fn shift_is_in_the_letter_and_alt_is_nothing() {
        let event = |code, modifiers| Key::pressed(KeyEvent::new(code, modifiers));
        assert_eq!(event(KeyCode::Char('G'), KeyModifiers::SHIFT), Some(c('G')));
        assert_eq!(event(KeyCode::Char('L'), KeyModifiers::CONTROL), Some(ctrl('l')));
        assert_eq!(event(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(ctrl('l').name(), "Ctrl-L");
        assert_eq!(k(PageDown).name(), "PgDn");
    }
}
