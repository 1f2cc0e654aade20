//! One finding, healthy or not, with its remedy, and how a list of findings reads on a terminal.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;

use crate::base::{Error, text};

/// Columns of the prose form.
const WIDTH: usize = 80;

/// Columns of the verdict in front of a line, its blanks included.
const VERDICT: usize = 4;

/// What a finding counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Without it the whole is not healthy.
    Required,
    /// Worth knowing; the exit code does not depend on it.
    Advice,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    pub(super) name: &'static str,
    pub(super) ok: bool,
    required: bool,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
    #[serde(flatten)]
    facts: BTreeMap<&'static str, Value>,
}

impl Check {
    /// All is well.
    pub(super) fn pass(weight: Weight, name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            ok: true,
            required: weight == Weight::Required,
            message: message.into(),
            remedy: None,
            facts: BTreeMap::new(),
        }
    }

    /// Something is wrong, and this is what to do.
    pub(super) fn fail(
        weight: Weight,
        name: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { ok: false, remedy: Some(remedy.into()), ..Self::pass(weight, name, message) }
    }

    /// Something could not be done; its own hint is the remedy, when it has one.
    pub(super) fn failed(weight: Weight, name: &'static str, error: &Error, otherwise: &str) -> Self {
        Self::fail(weight, name, error.in_full(), error.hint_text().unwrap_or(otherwise))
    }

    /// Adds a fact to the JSON form.
    pub(super) fn fact(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.insert(name, value.into());
        self
    }

    /// Whether the whole is not healthy without it.
    pub(super) fn is_required(&self) -> bool {
        self.required
    }

    fn verdict(&self) -> &'static str {
        match (self.ok, self.required) {
            (true, _) => "ok",
            (false, true) => "!!",
            (false, false) => "--",
        }
    }
}

/// Whether everything that is required is well.
pub(super) fn all_required(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.ok || !check.required)
}

/// One aligned line per finding, with the remedies below theirs.
pub(super) fn write(out: &mut dyn fmt::Write, checks: &[Check]) -> fmt::Result {
    let names = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let left = VERDICT + names + 2;
    for check in checks {
        let head = format!("{:VERDICT$}{:names$}  ", check.verdict(), check.name);
        paragraph(out, &head, left, &check.message)?;
        if let Some(remedy) = &check.remedy {
            paragraph(out, &format!("{:left$}-> ", ""), left + 3, remedy)?;
        }
    }
    Ok(())
}

/// `what` behind `head`, wrapped, each further line at column `left`.
pub(super) fn paragraph(out: &mut dyn fmt::Write, head: &str, left: usize, what: &str) -> fmt::Result {
    let mut line = head.to_owned();
    let mut is_empty = true;
    for word in words(what) {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{line}")?;
            line = " ".repeat(left);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(&word);
        is_empty = false;
    }
    writeln!(out, "{}", line.trim_end())
}

/// The words of a text. A command in backquotes is one word, so that it can be copied from one line.
fn words(what: &str) -> Vec<String> {
    // What a tool or a file name brought in stays on its line, and a terminal without UTF-8 shows our own words.
    let plain = text::one_line(&text::clean(what)).replace('…', "...");
    let mut words: Vec<String> = Vec::new();
    let mut in_command = false;
    for word in plain.split(' ') {
        match words.last_mut() {
            Some(last) if in_command => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        in_command ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// How many findings are problems, and how many are remarks.
pub(super) fn tally<'c>(checks: impl IntoIterator<Item = &'c Check>) -> (usize, usize) {
    let (wrong, remarks): (Vec<&Check>, Vec<&Check>) =
        checks.into_iter().filter(|check| !check.ok).partition(|check| check.required);
    (wrong.len(), remarks.len())
}

/// The last line: how it looks in all.
pub(super) fn verdict(out: &mut dyn fmt::Write, (wrong, remarks): (usize, usize)) -> fmt::Result {
    let count = |number: usize, thing: &str| format!("{number} {thing}{}", if number == 1 { "" } else { "s" });
    let remarks = if remarks > 0 { format!(", {}", count(remarks, "remark")) } else { String::new() };
    if wrong == 0 { writeln!(out, "healthy{remarks}") } else { writeln!(out, "{}{remarks}", count(wrong, "problem")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_aligned_wrapped_and_commands_stay_whole() {
        let checks = [
            Check::pass(Weight::Required, "tmux", "/usr/bin/tmux"),
            Check::fail(
                Weight::Required,
                "a_longer_name",
                "words that go on until the line is full and then some more of them, \u{1b}[31mcleaned\u{1b}[0m…",
                "say `conveyor a-command-that-is --not --broken 'at its blanks'`, then look again",
            ),
            Check::fail(Weight::Advice, "third", "a remark", "nothing"),
        ];
        let mut out = String::new();
        write(&mut out, &checks).unwrap();
        verdict(&mut out, tally(&checks)).unwrap();
        let expected = "\
ok  tmux           /usr/bin/tmux
!!  a_longer_name  words that go on until the line is full and then some more of
                   them, cleaned...
                   -> say
                      `conveyor a-command-that-is --not --broken 'at its blanks'`,
                      then look again
--  third          a remark
                   -> nothing
1 problem, 1 remark
";
        assert_eq!(out, expected);
    }

    #[test]
    fn only_what_is_required_decides() {
        let remark = Check::fail(Weight::Advice, "a", "b", "c");
        assert!(all_required(std::slice::from_ref(&remark)));
        assert!(!all_required(&[remark, Check::fail(Weight::Required, "a", "b", "c")]));
    }
}
