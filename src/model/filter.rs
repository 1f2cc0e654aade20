//! The filter language of the cockpit and the listings: `state:blocked task:parser role:worker age>10m text`.
//!
//! All terms have to hold; `-` before a term turns it round, a comma offers alternatives. Pure: parses and
//! compares, nothing else.

use std::str::FromStr;

use super::{
    board::{Attention, SessionRow, TaskRow},
    session::Role,
    state::Condition,
    task::TaskState,
};
use crate::base::Timestamp;

/// A parsed filter. The empty one lets everything through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Condition, attention or task state, by name.
    State(Vec<String>),
    /// Part of the task's name, in lower case.
    Task(Vec<String>),
    Role(Vec<Role>),
    /// In its state for longer than so many seconds.
    Older(i64),
    /// In its state for less than so many seconds.
    Younger(i64),
    /// Words anywhere in the row, in lower case.
    Text(String),
}

/// Why a filter cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A state nobody is ever in.
    #[error("`{word}` is no state; states are {}", states().join(", "))]
    State {
        /// What was given.
        word: String,
    },
    /// A role that does not exist.
    #[error("`{word}` is no role; roles are worker, manager")]
    Role {
        /// What was given.
        word: String,
    },
    /// A duration without number or unit.
    #[error("`{word}` is no age; write 90s, 10m, 2h or 3d")]
    Age {
        /// What was given.
        word: String,
    },
    /// A quote without its end.
    #[error("the quotation mark has no end")]
    Quote,
}

/// Every word that `state:` takes.
fn states() -> Vec<&'static str> {
    let mut words: Vec<&'static str> = Vec::new();
    let all = Condition::ALL.iter().map(|state| state.as_str());
    let all = all.chain(Attention::ALL.iter().map(|state| state.as_str()));
    for word in all.chain(TaskState::ALL.iter().map(|state| state.as_str())) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

impl Filter {
    /// True when everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a session passes, at the moment `now`.
    #[must_use]
    pub fn matches_session(&self, row: &SessionRow, now: Timestamp) -> bool {
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::State(words) => words
                    .iter()
                    .any(|word| *word == row.judgement.condition.as_str() || *word == row.attention.as_str()),
                Test::Task(parts) => {
                    row.task.as_ref().is_some_and(|task| parts.iter().any(|part| contains(task, part)))
                }
                Test::Role(roles) => roles.contains(&row.role),
                Test::Older(seconds) => row.judgement.since.is_some_and(|since| since.age_seconds(now) > *seconds),
                Test::Younger(seconds) => row.judgement.since.is_some_and(|since| since.age_seconds(now) < *seconds),
                Test::Text(words) => session_texts(row).into_iter().any(|text| contains(text, words)),
            };
            holds != term.negated
        })
    }

    /// Whether a task passes, at the moment `now`. Roles are a matter of sessions: no task has one.
    #[must_use]
    pub fn matches_task(&self, row: &TaskRow, now: Timestamp) -> bool {
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::State(words) => words.iter().any(|word| *word == row.task.state.as_str()),
                Test::Task(parts) => parts.iter().any(|part| contains(&row.task.name, part)),
                Test::Role(_) => false,
                Test::Older(seconds) => row.task.updated_at.age_seconds(now) > *seconds,
                Test::Younger(seconds) => row.task.updated_at.age_seconds(now) < *seconds,
                Test::Text(words) => contains(&row.task.name, words) || contains(&row.task.goal, words),
            };
            holds != term.negated
        })
    }
}

fn session_texts(row: &SessionRow) -> Vec<&str> {
    let mut texts = vec![row.name.as_str(), &row.cwd, &row.judgement.reason];
    texts.extend(row.task.as_deref());
    texts.extend(row.partner.as_deref());
    texts.extend(row.last_event.as_ref().map(|event| event.text.as_str()));
    texts
}

/// Whether `text` contains `part`, which is in lower case already.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(part)
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let terms = words(text)?.iter().map(|word| term(word)).collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }
}

/// Splits at white space; quotation marks hold words together.
fn words(text: &str) -> Result<Vec<String>, FilterError> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if quoted {
        return Err(FilterError::Quote);
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

fn term(word: &str) -> Result<Term, FilterError> {
    let (negated, word) = match word.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, word),
    };
    let test = if let Some(value) = word.strip_prefix("state:") {
        Test::State(alternatives(value).map(state).collect::<Result<_, _>>()?)
    } else if let Some(value) = word.strip_prefix("task:") {
        Test::Task(alternatives(value).collect())
    } else if let Some(value) = word.strip_prefix("role:") {
        Test::Role(alternatives(value).map(role).collect::<Result<_, _>>()?)
    } else if let Some(value) = word.strip_prefix("age>") {
        Test::Older(seconds(value)?)
    } else if let Some(value) = word.strip_prefix("age<") {
        Test::Younger(seconds(value)?)
    } else {
        Test::Text(word.to_lowercase())
    };
    Ok(Term { negated, test })
}

fn alternatives(value: &str) -> impl Iterator<Item = String> {
    value.split(',').map(str::to_lowercase)
}

fn state(word: String) -> Result<String, FilterError> {
    let word = word.replace('-', "_");
    if states().contains(&word.as_str()) { Ok(word) } else { Err(FilterError::State { word }) }
}

fn role(word: String) -> Result<Role, FilterError> {
    word.parse().map_err(|_| FilterError::Role { word })
}

/// Reads `90s`, `10m`, `2h`, `3d`.
fn seconds(text: &str) -> Result<i64, FilterError> {
    let wrong = || FilterError::Age { word: text.to_owned() };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(i64::from(number) * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        session::{Registration, SessionKind},
        state::Judgement,
    };

    const NOW: Timestamp = Timestamp::from_millis(10_000_000);

    fn row() -> SessionRow {
        let mut judgement = Judgement::unknown("approval_command", "wants to run cargo test");
        judgement.condition = Condition::Blocked;
        judgement.since = Some(Timestamp::from_millis(10_000_000 - 11 * 60_000));
        SessionRow {
            id: "session-1".into(),
            name: "w1".into(),
            role: Role::Worker,
            registration: Registration::Active,
            attention: Attention::NeedsYou,
            judgement,
            task_id: Some("task-1".into()),
            task: Some("Parser".into()),
            partner: Some("m1".into()),
            kind: SessionKind::NoTmux,
            tmux_session: None,
            tmux_pane_id: None,
            cwd: "/home/me/project".into(),
            codex_session_id: None,
            codex_version: None,
            last_event: None,
            context: None,
            ingested_bytes: 0,
            pending_bytes: 0,
            ingest_error: None,
            last_heartbeat_at: None,
            unread: 0,
        }
    }

    fn passes(filter: &str) -> bool {
        filter.parse::<Filter>().unwrap().matches_session(&row(), NOW)
    }

    #[test]
    fn every_term_has_to_hold() {
        for filter in [
            "",
            "state:blocked",
            "state:needs-you",
            "state:idle,blocked",
            "-state:idle",
            "task:pars role:worker",
            "age>10m",
            "age<1h",
            "cargo",
            "\"run CARGO\"",
            "m1",
            "state:blocked task:x,parser role:worker age>10m project",
        ] {
            assert!(passes(filter), "{filter}");
        }
        for filter in
            ["state:idle", "-state:blocked", "task:other", "role:manager", "age>11m", "age<1m", "\"cargo run\"", "zz"]
        {
            assert!(!passes(filter), "{filter}");
        }
    }

    #[test]
    fn an_unknown_age_is_neither_old_nor_young() {
        let mut row = row();
        row.judgement.since = None;
        for filter in ["age>0s", "age<9d"] {
            assert!(!filter.parse::<Filter>().unwrap().matches_session(&row, NOW), "{filter}");
        }
    }

    #[test]
    fn faults_name_the_word() {
        let message = |filter: &str| filter.parse::<Filter>().unwrap_err().to_string();
        assert!(message("state:angry").starts_with("`angry` is no state; states are busy, idle, blocked"));
        assert_eq!(message("role:boss"), "`boss` is no role; roles are worker, manager");
        for age in ["age>", "age>10", "age>m", "age>1é", "age>-1m"] {
            assert!(message(age).contains("is no age"), "{age}");
        }
        assert_eq!(message("task:\"a b"), "the quotation mark has no end");
    }

    #[test]
    fn any_text_parses_or_fails_without_panic() {
        proptest::proptest!(|(text in ".*")| {
            if let Ok(filter) = text.parse::<Filter>() {
                let _ = filter.matches_session(&row(), NOW);
            }
        });
    }
}
