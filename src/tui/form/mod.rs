//! Forms: what a command of the catalogue needs, asked for field by field. A form is its command line being written:
//! each field is a flag, and what stands in them all is judged by the rules of the command line before anything runs.

mod beforehand;
mod closing;
pub mod control;
mod drafts;
mod entries;
pub mod keys;
mod present;
mod recording;
mod sessions;
mod subjects;
pub(super) mod supervising;

pub use drafts::{Drafts, Ending};
pub(super) use present::arrived as terms_arrived;
pub use subjects::{Subject, active, fresh, is_offered, may_be_resumed, selected_task};

use serde_json::{Map, Value};

use self::control::{Choice, Control};
use crate::actions::{Argv, Command};

/// The longest text of one field, in bytes.
pub const MAX_TEXT: usize = 32 * 1024;

/// How a field stands in the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `--flag=value`, left out while nothing stands there.
    Option(&'static str),
    /// `--flag`, when it is on.
    Switch(&'static str),
    /// The value is the word itself, with its flag.
    Whole,
    /// `--flag={"value":false}`: takes away what has this name.
    Without(&'static str),
    /// The value itself, behind all flags.
    Word,
    /// `--flag=line` for each line of the value.
    Lines(&'static str),
    /// A member of the JSON object that `--from-stdin` takes. A `.` leads into an object.
    Member(&'static str),
    /// The same, true or false; left out while neither was chosen.
    Truth(&'static str),
    /// The same, a list: a text for each line.
    Members(&'static str),
    /// A command of its own for each checked value, with this flag.
    Each(&'static str),
}

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub label: &'static str,
    /// What belongs there.
    pub hint: &'static str,
    /// How it stands in the command line.
    pub flag: Flag,
    /// Nothing runs while it is empty.
    pub required: bool,
    /// What it is filled in with.
    pub control: Control,
}

/// Why a form cannot be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field that it is about, when it is about one.
    pub entry: Option<usize>,
    /// What is wrong.
    pub words: String,
}

/// A form that is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What it does.
    pub subject: Subject,
    /// The session or task that was selected when it was opened.
    pub about: Option<String>,
    /// Words that stand in its command line anyway.
    pub fixed: &'static [&'static str],
    /// Its fields.
    pub entries: Vec<Entry>,
    /// Which of them has the keyboard.
    pub focus: usize,
    /// Why it was not submitted; gone with the next key.
    pub refused: Option<Fault>,
    /// It came back by itself, and no key was pressed in it yet.
    pub came_back: bool,
    /// The letters that were typed in the choice with the keyboard.
    pub sought: String,
    /// What it would change, as it is now.
    pub present: Option<present::Present>,
}

impl Form {
    /// The field that has the keyboard.
    pub fn focused(&mut self) -> Option<&mut Entry> {
        self.entries.get_mut(self.focus)
    }

    /// The next or previous field; false at the end of the form. Forwards a name is completed on the way.
    pub fn step(&mut self, forwards: bool) -> bool {
        if forwards && let Some(Entry { control: Control::Pick(picker), .. }) = self.focused() {
            picker.complete();
        }
        let last = self.entries.len().saturating_sub(1);
        let next = if forwards { (self.focus + 1).min(last) } else { self.focus.saturating_sub(1) };
        std::mem::replace(&mut self.focus, next) != next
    }

    /// What Enter does in the field with the keyboard, in a word.
    #[must_use]
    pub fn accept_word(&self) -> &'static str {
        if self.focus + 1 < self.entries.len() {
            return "next";
        }
        match self.entries.get(self.focus).map(|entry| &entry.control) {
            _ if self.came_back => "read on",
            // Shown first; the next key does it.
            Some(Control::Pick(picker)) if picker.clone().complete() => "complete",
            _ => self.subject.act(),
        }
    }

    /// What a blank does in the field with the keyboard, in a word; none where it is a blank.
    #[must_use]
    pub fn toggle_word(&self) -> Option<&'static str> {
        match self.entries.get(self.focus)?.control {
            Control::Choice(_) => Some("choose"),
            Control::Switch(_) => Some("yes or no"),
            Control::Checks(_) => Some("check"),
            Control::Line(_) | Control::Text(_) | Control::Pick(_) => None,
        }
    }

    /// Whether a new line can be begun in the field with the keyboard.
    #[must_use]
    pub fn takes_lines(&self) -> bool {
        matches!(self.entries.get(self.focus).map(|entry| &entry.control), Some(Control::Text(_)))
    }

    /// The command lines as they stand, whether or not they can run: one, or one for each checked value.
    #[must_use]
    pub fn lines(&self) -> Vec<Argv> {
        let mut words = vec![self.subject.verb().to_owned()];
        words.extend(self.fixed.iter().map(|word| (*word).to_owned()));
        let mut behind = Vec::new();
        let mut each = None;
        let mut object = None;
        for entry in &self.entries {
            let value = entry.control.value();
            match (entry.flag, &entry.control) {
                (Flag::Switch(flag), Control::Switch(true)) => words.push(flag.to_owned()),
                (Flag::Option(flag), _) if !value.is_empty() => words.push(format!("{flag}={value}")),
                (Flag::Whole, _) if !value.is_empty() => words.push(value.to_owned()),
                (Flag::Without(flag), _) if !value.is_empty() => words.push(format!("{flag}={{\"{value}\":false}}")),
                (Flag::Word, _) if !value.is_empty() => behind.push(value.to_owned()),
                (Flag::Lines(flag), _) => words.extend(lines_of(value).map(|line| format!("{flag}={line}"))),
                (Flag::Truth(key), _) => put(&mut object, key, value.parse().ok().map(Value::Bool)),
                (Flag::Member(key), _) => put(&mut object, key, (!value.is_empty()).then(|| Value::from(value))),
                (Flag::Members(key), _) => {
                    let list: Vec<&str> = lines_of(value).collect();
                    put(&mut object, key, (!list.is_empty()).then(|| Value::from(list)));
                }
                (Flag::Each(flag), Control::Checks(checks)) => each = Some((flag, checks)),
                _ => {}
            }
        }
        words.extend(object.map(|object| format!("--from-stdin={}", Value::Object(object))));
        let line = |one: Option<String>| {
            let mut words = words.clone();
            words.extend(one);
            if !behind.is_empty() {
                words.push("--".to_owned());
            }
            words.extend(behind.iter().cloned());
            Argv { words, stdin: None }
        };
        match each {
            Some((flag, checks)) => checks.values().map(|value| line(Some(format!("{flag}={value}")))).collect(),
            None => vec![line(None)],
        }
    }

    /// The commands that it stands for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn commands(&self) -> Result<Vec<Command>, Fault> {
        for (index, entry) in self.entries.iter().enumerate() {
            let fault = |words: String| Err(Fault { entry: Some(index), words });
            let value = entry.control.value();
            match &entry.control {
                Control::Checks(checks) if checks.rows.is_none() => return fault("still looking".to_owned()),
                Control::Checks(checks) if entry.required && checks.values().next().is_none() => {
                    return fault(format!("{}: nothing is checked", entry.label));
                }
                Control::Choice(choice) if entry.required && choice.value().is_empty() => {
                    return fault(format!("{} is missing", entry.label));
                }
                Control::Checks(_) | Control::Switch(_) | Control::Choice(Choice { .. }) => {}
                _ if entry.required && value.is_empty() => return fault(format!("{} is missing", entry.label)),
                Control::Pick(picker) if !value.is_empty() && !picker.is_known() => {
                    return fault(format!("{}: there is no \"{value}\" to choose here", entry.label));
                }
                _ if value == "-" => {
                    return fault(format!("{}: `-` alone means standard input, which a form has not", entry.label));
                }
                _ => {}
            }
        }
        if let Some(fault) = self.without_evidence() {
            return Err(fault);
        }
        if let Some(entry) = recording::without_round(self) {
            let words = "name the round in which the worker has proposed".to_owned();
            return Err(Fault { entry: Some(entry), words });
        }
        if let Some(fault) = recording::no_object(self).or_else(|| self.without_change()) {
            return Err(fault);
        }
        self.lines()
            .iter()
            .map(|line| {
                Command::parse(&line.words).map_err(|error| {
                    let words = error.message().to_owned();
                    let entry = self.named_in(&words);
                    let field = entry.and_then(|index| self.entries.get(index));
                    match field.filter(|_| words.starts_with("invalid value")) {
                        Some(field) => Fault { entry, words: format!("{}: {words}", field.label) },
                        None => Fault { entry, words },
                    }
                })
            })
            .collect()
    }

    /// What is satisfied names something that shows it.
    fn without_evidence(&self) -> Option<Fault> {
        let is_evidence = |entry: &Entry| matches!(entry.flag, Flag::Option(flag) if closing::EVIDENCE.contains(&flag));
        let first = self.entries.iter().position(is_evidence).filter(|_| self.subject == Subject::SatisfyCriterion)?;
        let is_empty =
            self.entries.iter().filter(|entry| is_evidence(entry)).all(|entry| entry.control.value().is_empty());
        let words = "name what shows it: a file, a commit, a byte or an event".to_owned();
        is_empty.then_some(Fault { entry: Some(first), words })
    }

    /// What is changed names something that changes.
    fn without_change(&self) -> Option<Fault> {
        let changes = |entry: &Entry| entry.flag != Flag::Word && !entry.control.value().is_empty();
        let is_change = matches!(self.subject, Subject::Terms | Subject::Contract);
        (is_change && !self.entries.iter().any(changes))
            .then(|| Fault { entry: None, words: "nothing is changed: nothing runs".to_owned() })
    }

    /// The field whose flag an error names.
    fn named_in(&self, words: &str) -> Option<usize> {
        self.entries.iter().position(|entry| match entry.flag {
            Flag::Option(flag) | Flag::Switch(flag) | Flag::Without(flag) | Flag::Each(flag) | Flag::Lines(flag) => {
                words
                    .match_indices(flag)
                    .any(|(at, _)| !words[at + flag.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '-'))
            }
            Flag::Word | Flag::Whole | Flag::Member(_) | Flag::Truth(_) | Flag::Members(_) => false,
        })
    }

    /// Its command came to nothing: says why, at the field that is named, if one is.
    pub fn refuse(&mut self, why: &str) {
        let entry = self.named_in(why);
        self.focus = entry.unwrap_or(self.focus);
        self.refused = Some(Fault { entry, words: why.to_owned() });
        self.came_back = true;
    }

    /// Takes over what was filled in before.
    pub fn refill(&mut self, before: &Self) {
        // Which criterion is meant is chosen in the box, each time anew.
        let is_step = self.subject.step().is_some();
        // What was looked at is what is shown now.
        let is_meant = |entry: &Entry| {
            is_step && matches!(entry.control, Control::Pick(_)) || entry.flag == Flag::Option(recording::SEEN)
        };
        for (entry, old) in self.entries.iter_mut().zip(&before.entries).filter(|(entry, _)| !is_meant(entry)) {
            entry.control.refill(&old.control);
        }
        self.focus = before.focus.min(self.entries.len().saturating_sub(1));
        self.refused.clone_from(&before.refused);
    }
}

/// The lines of a text that hold something.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Puts a member into an object, which stands there from its first member on, also while all are empty.
fn put(object: &mut Option<Map<String, Value>>, key: &str, value: Option<Value>) {
    let object = object.get_or_insert_default();
    let Some(value) = value else { return };
    match key.split_once('.') {
        None => drop(object.insert(key.to_owned(), value)),
        Some((outer, inner)) => {
            let within = object.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            within[inner] = value;
        }
    }
}
