//! How well a row of the palette fits what was typed.
//!
//! What a row is called counts before what is said of it. Letters that are only scattered over a name fit when they
//! stand close together or at the beginnings of its words; scattered over a sentence they mean nothing.

use std::cmp::Reverse;

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{AtomKind, CaseMatching, Normalization, Pattern},
};

/// What a letter is worth that follows the one before it or begins a word; scattered ones are worth less.
const LETTER: u32 = 16;

/// A row in words.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Other names of the same: its command, the word of its key.
    pub also: &'a str,
    /// What is said of it.
    pub about: &'a str,
}

/// How it fits; the smaller, the nearer to the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    sort: Sort,
    score: Reverse<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    /// Its name begins with it.
    Beginning,
    /// Words of its name begin with what was typed.
    Name,
    /// Words of another name of it do.
    OtherName,
    /// It stands somewhere inside its name.
    Inside,
    /// Words of what is said of it begin with it.
    Said,
    /// Its letters stand in the name, close together.
    Letters,
}

/// Compares rows with what was typed; keeps what that takes.
pub struct Ranking {
    typed: String,
    pattern: Pattern,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl Ranking {
    /// For what was typed.
    #[must_use]
    pub fn new(typed: &str) -> Self {
        let typed = typed.trim().to_lowercase();
        let pattern = Pattern::new(&typed, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
        Self { typed, pattern, matcher: Matcher::new(Config::DEFAULT), buffer: Vec::new() }
    }

    /// How a row fits; none when it does not.
    pub fn fit(&mut self, words: Words<'_>) -> Option<Fit> {
        let lower = |text: &str| text.to_lowercase();
        let (name, also, about) = (lower(words.name), lower(words.also), lower(words.about));
        let typed = || self.typed.split_whitespace();
        let all_begin = |texts: &[&str]| {
            let begins = |typed: &str, word: &str| word.starts_with(typed);
            typed().all(|typed| texts.iter().any(|text| pieces(text).any(|word| begins(typed, word))))
        };
        let sort = if name.starts_with(&self.typed) {
            Sort::Beginning
        } else if all_begin(&[&name]) {
            Sort::Name
        } else if all_begin(&[&name, &also]) {
            Sort::OtherName
        } else if typed().all(|typed| name.contains(typed)) {
            Sort::Inside
        } else if all_begin(&[&name, &also, &about]) {
            Sort::Said
        } else {
            Sort::Letters
        };
        let score = self.pattern.score(Utf32Str::new(&name, &mut self.buffer), &mut self.matcher);
        let letters = self.typed.chars().filter(|c| !c.is_whitespace()).count();
        let is_close = score.is_some_and(|score| score >= LETTER * u32::try_from(letters).unwrap_or(u32::MAX / LETTER));
        let fits = sort != Sort::Letters || is_close;
        fits.then_some(Fit { sort, score: Reverse(score.unwrap_or(0)) })
    }
}

/// A text as its words, and from each place on at which one begins: `go-to` is found by `go-t` as well as by `to`.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |c: char| !c.is_alphanumeric();
    let begins =
        move |(at, c): &(usize, char)| !is_between(*c) && text[..*at].chars().next_back().is_none_or(is_between);
    text.char_indices().filter(begins).map(|(at, _)| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that fit, the best first.
    fn found<'a>(typed: &str, rows: &[Words<'a>]) -> Vec<&'a str> {
        let mut ranking = Ranking::new(typed);
        let mut found: Vec<(Fit, &str)> = rows.iter().filter_map(|row| Some((ranking.fit(*row)?, row.name))).collect();
        found.sort_by_key(|(fit, _)| *fit);
        found.into_iter().map(|(_, name)| name).collect()
    }

    fn row<'a>(name: &'a str, also: &'a str, about: &'a str) -> Words<'a> {
        Words { name, also, about }
    }

    const ROWS: [(&str, &str, &str); 6] = [
        ("nudge w1", "session-nudge", "write a message to the session, or to all chosen ones"),
        ("stop all deliveries", "dispatch pause", "emergency stop: deliver nothing anywhere; again: go on"),
        ("end w1", "stop", "asks before it does"),
        ("go to doctor", "", "a screen"),
        ("start a worker", "start-worker", "a form"),
        ("explain w1", "explain", "show which rule and bytes led to this state"),
    ];

    fn rows() -> Vec<Words<'static>> {
        ROWS.iter().map(|(name, also, about)| row(name, also, about)).collect()
    }

    #[test]
    fn names_come_before_other_names_and_these_before_sentences() {
        assert_eq!(found("stop", &rows()), ["stop all deliveries", "end w1"]);
        assert_eq!(found("message", &rows()), ["nudge w1"]);
        assert_eq!(found("worker start", &rows()), ["start a worker"]);
        assert_eq!(found("session-nudge", &rows()), ["nudge w1"]);
        assert_eq!(found("doc", &rows()), ["go to doctor"]);
        assert_eq!(found("", &rows()).len(), 6);
    }

    #[test]
    fn letters_fit_when_they_are_close_and_not_when_they_are_scattered_over_a_sentence() {
        assert_eq!(found("ndg", &rows()), ["nudge w1"]);
        assert_eq!(found("expln", &rows()), ["explain w1"]);
        // They stand in this order in what is said of some, and mean nothing there.
        assert!(found("wmes", &rows()).is_empty(), "{:?}", found("wmes", &rows()));
        assert!(found("esdt", &rows()).is_empty(), "{:?}", found("esdt", &rows()));
        assert!(found("qqq", &rows()).is_empty());
    }
}
