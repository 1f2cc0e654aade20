//! The one table of keys: it feeds the dispatcher, the footer, the help and the documentation.
//!
//! A row says where a key works, what it means and in which words that is told. Keys of capabilities that have not
//! landed do not stand here.

mod group;
mod intent;
mod key;
mod table;

use std::borrow::Cow;

use serde::Serialize;

pub use self::{
    group::Group,
    intent::{Intent, Place},
    key::{Key, UnknownKey},
    table::BINDINGS,
};

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
        self.first_of(places, intent).map(Key::name)
    }

    /// The same as a key.
    #[must_use]
    pub fn first_of(&self, places: &[Place], intent: Intent) -> Option<Key> {
        let row = |place: &Place| self.rows.iter().find(|row| row.place == *place && row.intent == intent);
        places.iter().find_map(row)?.keys.first().copied()
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
    use crossterm::event::{
        KeyCode::{self, PageDown},
        KeyEvent, KeyModifiers,
    };

    use super::{
        key::{c, ctrl, k},
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
