//! Criteria that a worker has proposed in prose: headings and lists, read line by line.

use super::CriterionStatus;

/// A criterion that the text suggests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What is to be delivered.
    pub criterion: String,
    /// How it would begin: accepted or deferred.
    pub status: CriterionStatus,
    /// It tells how the manager ends the task, which is nothing that a worker delivers.
    pub is_closeout: bool,
}

/// What a text suggests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// The criteria, in their order.
    pub suggestions: Vec<Suggestion>,
    /// There was a heading.
    pub has_headings: bool,
}

/// Words of a heading: deferred first, for "deferred criteria that were accepted" are deferred.
const DEFERRED: &[&str] = &["follow-up", "follow-ups", "follow up", "follow ups", "followup", "followups", "deferred"];
const ACCEPTED: &[&str] = &[
    "must-have",
    "must-haves",
    "must have",
    "must haves",
    "musthave",
    "musthaves",
    "current-task",
    "current task",
    "currenttask",
    "accepted",
];
/// Entries that say that there is none.
const PLACEHOLDERS: &[&str] =
    &["n/a", "na", "none", "nothing", "no follow-ups", "no follow ups", "no deferred", "no deferred criteria"];
/// What tells of the end of the task.
const CLOSEOUT: &[&str] = &[
    "finish-task",
    "require-criteria-audit",
    "task done",
    "task is done",
    "task marked done",
    "task is marked done",
    "mark task done",
    "mark the task done",
    "marked the task done",
    "terminal closeout",
    "verified task closeout",
    "heartbeat teardown",
    "final manager report",
    "final manager decision",
    "manager final report",
    "manager final handoff",
    "closeout proof",
    "control-plane closeout",
];
/// A heading has no more words than these.
const HEADING_WORDS: usize = 8;

/// Reads a worker's proposal.
#[must_use]
pub fn proposal(text: &str) -> Proposal {
    let mut found = Proposal::default();
    let mut status = None;
    let mut open: Option<String> = None;
    let mut close = |open: &mut Option<String>, status: Option<CriterionStatus>| {
        if let (Some(item), Some(status)) = (open.take(), status)
            && let Some(criterion) = entry(&item)
        {
            let lower = criterion.to_lowercase();
            let is_closeout = CLOSEOUT.iter().any(|words| holds(&lower, words));
            found.suggestions.push(Suggestion { criterion, status, is_closeout });
        }
    };
    let mut has_headings = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            close(&mut open, status);
        } else if let Some(item) = list_item(trimmed).filter(|_| status.is_some()) {
            close(&mut open, status);
            open = Some(item.to_owned());
        } else if let Some(item) = open.as_mut().filter(|_| line.starts_with([' ', '\t'])) {
            item.push(' ');
            item.push_str(trimmed);
        } else {
            close(&mut open, status);
            if let Some(next) = heading(trimmed) {
                status = Some(next);
                has_headings = true;
            }
        }
    }
    close(&mut open, status);
    found.has_headings = has_headings;
    found
}

/// The text behind the sign of a list item.
fn list_item(line: &str) -> Option<&str> {
    let unmarked = |text: &'_ str| -> Option<usize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && text[digits..].starts_with(['.', ')']) {
            return Some(digits + 1);
        }
        text.starts_with(['-', '*', '+']).then_some(1)
    };
    let behind = |at: usize| line[at..].strip_prefix([' ', '\t']).map(str::trim_start);
    let rest = match unmarked(line) {
        Some(at) => behind(at)?,
        None => line,
    };
    let checkbox = ["[ ]", "[x]", "[X]"].iter().find_map(|sign| rest.strip_prefix(sign));
    match checkbox {
        Some(rest) => Some(rest.trim_start()),
        None if rest.len() < line.len() => Some(rest),
        None => None,
    }
}

/// The status that a heading opens. A sentence that happens to hold such a word is none.
fn heading(line: &str) -> Option<CriterionStatus> {
    let bare = line.trim_start_matches('#').trim().trim_matches('*').trim();
    let is_marked = line.starts_with('#') || line.ends_with(':') || line.ends_with(":**") || line.starts_with("**");
    let words = bare.split_whitespace().count();
    if words == 0 || words > HEADING_WORDS || (!is_marked && words > 3) {
        return None;
    }
    let lower = bare.trim_end_matches(':').to_lowercase();
    let holds_one = |list: &[&str]| list.iter().any(|words| holds(&lower, words));
    if holds_one(DEFERRED) {
        Some(CriterionStatus::Deferred)
    } else if holds_one(ACCEPTED) {
        Some(CriterionStatus::Accepted)
    } else {
        None
    }
}

/// Whether `text` holds `words`, not as part of longer ones.
fn holds(text: &str, words: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(words)
        .any(|(at, _)| !is_part(text[..at].chars().next_back()) && !is_part(text[at + words.len()..].chars().next()))
}

/// The text of an entry; none when it says that there is none.
fn entry(item: &str) -> Option<String> {
    let mut text = item.split_whitespace().collect::<Vec<_>>().join(" ");
    // Only a pair around the whole of it is a pair.
    if text.len() > 2 && text.starts_with('`') && text.ends_with('`') && text.matches('`').count() == 2 {
        text = text[1..text.len() - 1].to_owned();
    }
    let lower = text.to_lowercase();
    let plain = lower.trim_end_matches('.').trim();
    (!plain.is_empty() && !PLACEHOLDERS.contains(&plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(CriterionStatus, String)> {
        proposal(text).suggestions.into_iter().map(|one| (one.status, one.criterion)).collect()
    }

    fn accepted(text: &str) -> (CriterionStatus, String) {
        (CriterionStatus::Accepted, text.to_owned())
    }

    fn deferred(text: &str) -> (CriterionStatus, String) {
        (CriterionStatus::Deferred, text.to_owned())
    }

    #[test]
    fn lists_below_headings_become_criteria() {
        let text = "Here is my split.\n\n## Must-have\n- [ ] every file\n  parses\n* `cargo test` passes\n1. `docs`\n\n\
                    Follow-ups:\n- speed\n- none\n2) [x] fuzzing\n";
        let wanted = [
            accepted("every file parses"),
            accepted("`cargo test` passes"),
            accepted("docs"),
            deferred("speed"),
            deferred("fuzzing"),
        ];
        assert_eq!(read(text), wanted);
    }

    /// Weakness 65 of the predecessor: plurals were no headings, and sentences were.
    #[test]
    fn plurals_are_headings_and_sentences_are_not() {
        let text = "Must-haves\n- a\nThese were accepted by the reviewer in the last round, and none is deferred.\n- b\n\
                    **Follow-ups**\n- c\n";
        assert_eq!(read(text), [accepted("a"), accepted("b"), deferred("c")]);
        assert_eq!(read("- a\n- b\n"), [], "nothing says what they are");
        assert!(!proposal("- a\n").has_headings);
    }

    #[test]
    fn the_end_of_the_task_is_no_criterion_of_a_worker() {
        let found =
            proposal("Accepted:\n- run finish-task with the audit\n- the task is done well\n- mark the task done\n");
        let closeouts: Vec<bool> = found.suggestions.iter().map(|one| one.is_closeout).collect();
        assert_eq!(closeouts, [true, true, true]);
        let found = proposal("Accepted:\n- the report names the files\n");
        assert!(!found.suggestions[0].is_closeout);
    }
}
