//! Keys that are named in sentences are those in force.

use std::sync::Arc;

use super::{
    fake::{app, press, said, screen, settings, write},
    frames, talk,
};
use crate::tui::{
    app::{App, update},
    keymap::{BINDINGS, Key, Keymap, Rebinding},
    palette::found,
    theme::ThemeName,
};

/// A key map in which no screen has a key that it had before.
fn other_keys() -> Keymap {
    let mut letters = ('α'..='ω').chain('а'..='я').chain('А'..='Я').chain('ա'..='ֆ').filter(|c| c.is_alphabetic());
    let rebindings: Vec<Rebinding> = BINDINGS
        .iter()
        .filter(|row| row.place.is_on_screen())
        .map(|row| {
            let key: Key = letters.next().expect("enough letters").to_string().parse().expect("a letter is a key");
            Rebinding { place: row.place, intent: row.intent, keys: vec![key] }
        })
        .collect();
    Keymap::with(&rebindings).expect("every key means one thing")
}

/// Places where a frame says that a key of the old map does something: `H shows`, `(L)`.
fn named(frame: &str) -> Vec<String> {
    let old = |word: &str| {
        let on_screen = BINDINGS.iter().filter(|row| row.place.is_on_screen());
        on_screen.flat_map(|row| row.keys.iter()).any(|key| key.name() == word)
            // Other characters are signs of rows, too.
            && word.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    // What stays the same also over screens is not named wrongly.
    let fixed = |word: &str| {
        let fixed = BINDINGS.iter().filter(|row| !row.place.is_on_screen());
        fixed.flat_map(|row| row.keys.iter()).any(|key| key.name() == word && word.chars().count() > 1)
    };
    let words: Vec<&str> = frame.split_whitespace().collect();
    let mut found = Vec::new();
    for pair in words.windows(2) {
        let in_brackets = pair[0].strip_prefix('(').and_then(|word| word.strip_suffix(')'));
        let says = !pair[0].chars().all(char::is_numeric) && old(pair[0]) && !fixed(pair[0]);
        let does = pair[1].trim_end_matches(['.', ',', ';', ')']);
        let is_verb = does.len() > 3 && does.ends_with('s') && does.chars().all(char::is_lowercase);
        if says && is_verb || in_brackets.is_some_and(|word| old(word) && !word.chars().all(char::is_numeric)) {
            found.push(pair.join(" "));
        }
    }
    found
}

fn with_other_keys(mut app: App) -> App {
    app.settings = crate::tui::app::Settings { keymap: Arc::new(other_keys()), ..settings(ThemeName::Dark, false) };
    // What is laid out already was laid out with the keys of before; they never change while the cockpit runs.
    for entries in [Vec::new(), talk::everything()] {
        update(&mut app, said("session-w1", entries));
    }
    app
}

#[test]
fn no_sentence_names_a_key_that_was_given_another_meaning() {
    let mut seen = 0;
    // What stands in a pane are its program's own words.
    for (name, app) in frames::all(160, 50).filter(|(name, _)| *name != "fleet_pane") {
        // The help and the palette show keys beside their sentences; they read the map.
        seen += named(&screen(&app)).len();
        let frame = screen(&with_other_keys(app));
        assert_eq!(named(&frame), [""; 0], "{name}\n{frame}");
    }
    assert!(seen > 5, "the same sentences name keys of the old map: {seen}");
}

#[test]
fn what_has_keys_in_two_places_is_offered_once() {
    let mut app = app(80, 24);
    press(&mut app, ":");
    write(&mut app, "quit");
    let offered: Vec<_> = found(&app, "quit").into_iter().filter(|item| item.title == "quit").collect();
    assert_eq!(offered.len(), 1, "{offered:?}");
    assert_eq!(offered[0].key.as_deref(), Some("q"));
    let all = found(&app, "");
    for item in &all {
        let same = all.iter().filter(|other| other.does == item.does && other.title == item.title).count();
        assert_eq!(same, 1, "{item:?}");
    }
}
