//! What a form is filled in with: a line, a text, a choice, yes or no, a pick from names, check marks. A control knows
//! its value and nothing of what it is for.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};

use crate::tui::field::Field;

/// A name that can be picked, with what helps to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What is taken.
    pub name: String,
    /// What it is.
    pub about: String,
}

/// One of several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Value and how it is shown; an empty value is the command's own default.
    pub options: Vec<(&'static str, &'static str)>,
    /// Which one is chosen.
    pub at: usize,
}

impl Choice {
    /// The chosen value.
    #[must_use]
    pub fn value(&self) -> &'static str {
        self.options.get(self.at).map_or("", |(value, _)| value)
    }

    /// The next or previous option, round and round.
    pub fn step(&mut self, forwards: bool) {
        let count = self.options.len().max(1);
        self.at = if forwards { self.at + 1 } else { self.at + count - 1 } % count;
    }

    /// Whether this letter goes on with what was typed before.
    #[must_use]
    pub fn goes_on(&self, sought: &str, letter: char) -> bool {
        let typed = format!("{sought}{letter}").to_lowercase();
        !sought.is_empty()
            && self.options.get(self.at).is_some_and(|(_, shown)| shown.to_lowercase().starts_with(&typed))
    }

    /// Goes to the option that begins with what was typed: with `sought`, the letters before, and this one, or with this
    /// one alone; the same letter again goes on to the next. The letters that led there; none when no option begins so.
    pub fn seek(&mut self, sought: &str, letter: char) -> Option<String> {
        let count = self.options.len();
        let typed = format!("{sought}{letter}").to_lowercase();
        let alone = letter.to_lowercase().to_string();
        let find = |text: &str, from: usize| {
            (0..count)
                .map(|step| (from + step) % count)
                .find(|at| self.options.get(*at).is_some_and(|(_, shown)| shown.to_lowercase().starts_with(text)))
        };
        let first = if sought.is_empty() { None } else { find(&typed, self.at).map(|at| (at, typed)) };
        let (at, letters) = first.or_else(|| find(&alone, self.at + 1).map(|at| (at, alone.clone())))?;
        self.at = at;
        Some(letters)
    }
}

/// A name that is typed or picked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picker {
    /// What was typed.
    pub field: Field,
    /// What there is to pick.
    pub candidates: Vec<Candidate>,
    /// Another name than those may be typed.
    pub open: bool,
    /// A name alone says little: what it is stands beside it.
    pub tells: bool,
    /// The offered name that Enter takes; none before one was sought out.
    pub at: Option<usize>,
}

impl Picker {
    /// The names that fit what was typed, the best first; nothing once a whole name stands there.
    #[must_use]
    pub fn offered(&self) -> Vec<&Candidate> {
        let typed = self.field.text().trim();
        if self.candidates.iter().any(|candidate| candidate.name == typed) {
            return Vec::new();
        }
        best(typed, &self.candidates, |candidate| candidate.name.clone())
    }

    /// What the name is that stands there, when it tells.
    #[must_use]
    pub fn told(&self) -> Option<&str> {
        let typed = self.field.text().trim();
        let known = self.candidates.iter().find(|candidate| self.tells && candidate.name == typed)?;
        Some(&known.about)
    }

    /// Whether what stands there can be taken.
    #[must_use]
    pub fn is_known(&self) -> bool {
        let typed = self.field.text().trim();
        self.open || self.candidates.iter().any(|candidate| candidate.name == typed)
    }

    /// Seeks out the next or previous offered name.
    pub fn step(&mut self, forwards: bool) {
        let count = self.offered().len();
        self.at = match (self.at, forwards) {
            _ if count == 0 => None,
            (None, true) => Some(0),
            (None, false) => Some(count - 1),
            (Some(at), true) => Some((at + 1) % count),
            (Some(at), false) => Some((at + count - 1) % count),
        };
    }

    /// Puts the offered name there that was sought out; with something typed that is no name, the best one. Whether
    /// another text stands there now.
    pub fn complete(&mut self) -> bool {
        let best_fits = !self.open && !self.field.text().trim().is_empty();
        let at = self.at.or(best_fits.then_some(0));
        let Some(name) = at.and_then(|at| Some(self.offered().get(at)?.name.clone())) else { return false };
        let is_another = self.field.text().trim() != name;
        self.set(&name);
        is_another
    }

    /// Puts this text there.
    pub fn set(&mut self, text: &str) {
        self.field = Field::of(text);
        self.at = None;
    }
}

/// Something that can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it stands for in the command line.
    pub value: String,
    /// What it is, a line each.
    pub lines: Vec<String>,
    /// Whether it is checked.
    pub on: bool,
}

/// A list with check marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// Its rows; none while they are looked for.
    pub rows: Option<Vec<Check>>,
    /// The row with the cursor.
    pub at: usize,
}

impl Checks {
    /// The checked values.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flatten().filter(|row| row.on).map(|row| row.value.as_str())
    }

    /// Next or previous row; false at the end of the list.
    pub fn step(&mut self, forwards: bool) -> bool {
        let last = self.rows.as_ref().map_or(0, Vec::len).saturating_sub(1);
        let next = if forwards { (self.at + 1).min(last) } else { self.at.saturating_sub(1) };
        std::mem::replace(&mut self.at, next) != next
    }

    /// Checks the row with the cursor, or takes its check away.
    pub fn toggle(&mut self) {
        if let Some(row) = self.rows.as_mut().and_then(|rows| rows.get_mut(self.at)) {
            row.on = !row.on;
        }
    }

    /// Checks all; takes all away when all are checked.
    pub fn toggle_all(&mut self) {
        let all = self.rows.iter().flatten().all(|row| row.on);
        self.rows.iter_mut().flatten().for_each(|row| row.on = !all);
    }
}

/// A control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// A text of one line.
    Line(Field),
    /// A text of several lines.
    Text(Field),
    /// One of several values.
    Choice(Choice),
    /// Yes or no.
    Switch(bool),
    /// A name of something.
    Pick(Picker),
    /// Any of several things.
    Checks(Checks),
}

impl Control {
    /// The text with the cursor, where one types.
    pub fn field(&mut self) -> Option<&mut Field> {
        match self {
            Self::Line(field) | Self::Text(field) => Some(field),
            Self::Pick(picker) => Some(&mut picker.field),
            Self::Choice(_) | Self::Switch(_) | Self::Checks(_) => None,
        }
    }

    /// What stands there, as it goes into a command line; white space alone is nothing.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Line(field) => field.text().trim(),
            Self::Text(field) if field.text().trim().is_empty() => "",
            Self::Text(field) => field.text(),
            Self::Choice(choice) => choice.value(),
            Self::Pick(picker) => picker.field.text().trim(),
            Self::Switch(_) | Self::Checks(_) => "",
        }
    }

    /// Takes over what was filled in before. What there is to pick stays as it is now.
    pub fn refill(&mut self, before: &Self) {
        match (self, before) {
            (Self::Line(now), Self::Line(then)) | (Self::Text(now), Self::Text(then)) => now.clone_from(then),
            (Self::Choice(now), Self::Choice(then)) if now.options == then.options => now.at = then.at,
            (Self::Switch(now), Self::Switch(then)) => *now = *then,
            (Self::Pick(now), Self::Pick(then)) => now.field.clone_from(&then.field),
            (Self::Checks(now), Self::Checks(then)) => {
                for row in now.rows.iter_mut().flatten() {
                    row.on = then.rows.iter().flatten().find(|old| old.value == row.value).map_or(row.on, |old| old.on);
                }
            }
            _ => {}
        }
    }
}

/// The items that fit what was typed, the best first; all of them, in their order, when nothing was typed.
pub fn best<'a, T>(typed: &str, items: &'a [T], text: impl Fn(&T) -> String) -> Vec<&'a T> {
    let typed = typed.trim();
    if typed.is_empty() {
        return items.iter().collect();
    }
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut buffer = Vec::new();
    let mut found: Vec<(u32, &T)> = items
        .iter()
        .filter_map(|item| {
            let text = text(item);
            Some((pattern.score(Utf32Str::new(&text, &mut buffer), &mut matcher)?, item))
        })
        .collect();
    // Stable: what fits equally well keeps its order.
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(names: &[&str]) -> Picker {
        let candidates =
            names.iter().map(|name| Candidate { name: (*name).into(), about: String::new() }).collect::<Vec<_>>();
        Picker { candidates, ..Picker::default() }
    }

    fn names(picker: &Picker) -> Vec<String> {
        picker.offered().into_iter().map(|candidate| candidate.name.clone()).collect()
    }

    #[test]
    fn a_name_is_completed_from_what_was_typed_and_from_what_was_sought_out() {
        let mut picker = picker(&["parser", "lexer", "printer"]);
        assert_eq!(names(&picker), ["parser", "lexer", "printer"]);
        picker.complete();
        assert_eq!(picker.field.text(), "", "nothing typed, nothing sought out: nothing is taken");
        picker.set("lx");
        assert!(!picker.is_known());
        picker.complete();
        assert_eq!((picker.field.text(), picker.is_known(), picker.offered().len()), ("lexer", true, 0));
        picker.set("p");
        picker.step(true);
        picker.step(true);
        picker.complete();
        assert_eq!(picker.field.text(), "printer");
        picker.set("zzz");
        picker.step(true);
        picker.complete();
        assert_eq!((picker.field.text(), picker.is_known()), ("zzz", false));
    }

    #[test]
    fn letters_choose_the_option_that_begins_with_them() {
        let options = vec![("", "as it is"), ("off", "off: nothing"), ("ask", "ask-operator"), ("auto", "Auto-review")];
        let mut choice = Choice { options, at: 0 };
        let mut sought = String::new();
        let mut typed = |choice: &mut Choice, letter: char| {
            let found = choice.seek(&sought, letter);
            sought = found.clone().unwrap_or_default();
            found.map(|_| choice.at)
        };
        assert_eq!(typed(&mut choice, 'o'), Some(1));
        assert_eq!(typed(&mut choice, 'f'), Some(1), "what is typed on stays there");
        assert_eq!(typed(&mut choice, 'a'), Some(2), "a letter that does not go on begins anew");
        assert_eq!(typed(&mut choice, 'a'), Some(3), "the same one again: the next");
        assert_eq!(typed(&mut choice, 'z'), None);
        assert_eq!(choice.at, 3, "nothing begins so: nothing changes");
        for (letter, at) in [('a', 0), ('u', 3)] {
            assert_eq!(typed(&mut choice, letter), Some(at));
        }
        assert_eq!(Choice { options: Vec::new(), at: 0 }.seek("", 'a'), None);
    }

    #[test]
    fn an_open_picker_keeps_a_name_of_its_own() {
        let mut picker = Picker { open: true, ..picker(&["parser"]) };
        picker.set("pars");
        picker.complete();
        assert_eq!((picker.field.text(), picker.is_known()), ("pars", true));
        picker.step(true);
        picker.complete();
        assert_eq!(picker.field.text(), "parser");
    }

    #[test]
    fn checks_are_kept_by_what_they_stand_for() {
        let row = |value: &str, on| Check { value: value.into(), lines: Vec::new(), on };
        let before = Control::Checks(Checks { rows: Some(vec![row("a", false), row("b", true)]), at: 0 });
        let mut now =
            Control::Checks(Checks { rows: Some(vec![row("b", false), row("c", true), row("a", true)]), at: 0 });
        now.refill(&before);
        let Control::Checks(mut checks) = now else { panic!("checks") };
        assert_eq!(checks.values().collect::<Vec<_>>(), ["b", "c"]);
        checks.toggle_all();
        assert_eq!(checks.values().count(), 3);
        checks.toggle_all();
        assert_eq!(checks.values().count(), 0);
        assert!(checks.step(true) && checks.step(true) && !checks.step(true));
        checks.toggle();
        assert_eq!(checks.values().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn the_best_come_first_and_ties_keep_their_order() {
        let items = ["stop w1", "show the task", "start a worker", "stop w2"];
        let found = |typed: &str| best(typed, &items, |item| (*item).to_owned());
        assert_eq!(found("stop"), [&"stop w1", &"stop w2"]);
        assert_eq!(found("worker start"), [&"start a worker"]);
        assert_eq!(found("  ").len(), 4);
        assert!(found("qqq").is_empty());
    }
}
