//! The filter language of the cockpit and the listings: `state:blocked task:parser is:unread age>10m text`.
//!
//! All terms have to hold; `-` before a term turns it round, a comma offers alternatives. Pure: parses and
//! compares, nothing else. `docs/cli.md` tells it to users.

use std::fmt;

use super::{
    board::{Attention, SessionRow, TaskRow},
    delivery::{CommandState, Phase},
    marks::MarksView,
    session::Role,
    state::{Condition, WORDS},
    task::{self, BindingState, TaskState},
};
use crate::{
    base::{Span, Timestamp},
    text_enum,
};

/// A parsed filter. The empty one lets everything through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Condition, attention, task state, command phase or command state, by name.
    State(Vec<String>),
    /// Part of the task's name, in lower case.
    Task(Vec<String>),
    /// Part of the name of a session, in lower case.
    Session(Vec<String>),
    Role(Vec<Role>),
    /// What the operator has put on it.
    Is(Vec<Mark>),
    /// In its state for longer than so long.
    Older(Span),
    /// In its state for less than so long.
    Younger(Span),
    /// Words anywhere in the row, in lower case.
    Text(String),
}

text_enum! {
    /// What `is:` takes.
    pub enum Mark {
        /// The operator has pinned it.
        Pinned => "pinned",
        /// The operator has put it aside.
        Snoozed => "snoozed",
        /// The operator has not looked at it.
        Unread => "unread",
    }
}

/// What a filter is asked about: its states are those that these can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Sessions.
    Sessions,
    /// Tasks.
    Tasks,
    /// Sessions, and tasks beside them.
    Board,
    /// Messages.
    Messages,
}

impl Rows {
    /// The states there are, each list with whose they are.
    fn states(self) -> Vec<(&'static str, Vec<&'static str>)> {
        let session = || ("session", session_states().collect());
        let task = || ("task", task_states().collect());
        match self {
            Self::Sessions => vec![session()],
            Self::Tasks => vec![task()],
            Self::Board => vec![session(), task()],
            Self::Messages => vec![("message", message_states().collect())],
        }
    }

    /// Whether one of these can be in this state.
    fn takes(self, word: &str) -> bool {
        let is = |known: &&str| *known == word || known.replace(' ', "_") == word;
        self.states().iter().any(|(_, states)| states.iter().any(is))
    }

    /// What `state:` takes, in words.
    fn told(self) -> String {
        let told = |(whose, states): (&str, Vec<&'static str>)| format!("a {whose} is {}", listed(states.into_iter()));
        self.states().into_iter().map(told).collect::<Vec<_>>().join("; ")
    }
}

/// The words before a value that mean something.
const KEYS: &str = "state:, task:, session:, role:, is:, age> and age<";

/// Why a filter cannot be understood, and at which of its characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {fault}")]
pub struct FilterError {
    /// The first character of the word that is wrong, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a word of a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A state that none of what is asked about is ever in.
    #[error("`{word}` is no state here; {}", rows.told())]
    State {
        /// What was given.
        word: String,
        /// What is asked about.
        rows: Rows,
    },
    /// A key that does not exist.
    #[error("`{key}:` is no key; the keys are {KEYS}; text with a colon stands in quotation marks: \"{word}\"")]
    Key {
        /// What stands before the colon.
        key: String,
        /// The whole word.
        word: String,
    },
    /// A role that does not exist.
    #[error("`{word}` is no role; roles are worker, manager")]
    Role {
        /// What was given.
        word: String,
    },
    /// A mark that does not exist.
    #[error("`is:{word}` means nothing; there are is:pinned, is:snoozed, is:unread")]
    Is {
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

/// Words as a filter takes them, each once.
fn listed(words: impl Iterator<Item = &'static str>) -> String {
    let mut all: Vec<String> = Vec::new();
    for word in words.map(|word| word.replace([' ', '_'], "-")) {
        if !all.contains(&word) {
            all.push(word);
        }
    }
    all.join(", ")
}

/// Whether a session is said to be in this state: by the words of the screens, or by those of the JSON.
fn is_said(row: &SessionRow, word: &str) -> bool {
    let judgement = &row.judgement;
    let on_screen = judgement.word();
    [judgement.condition.as_str(), row.attention.as_str()].contains(&word)
        || on_screen == word
        || on_screen.replace(' ', "_") == word
}

/// What `state:` takes for a session: the words of the screens, then those of the JSON.
fn session_states() -> impl Iterator<Item = &'static str> {
    let conditions = Condition::ALL.iter().map(|state| state.as_str());
    WORDS.into_iter().chain(conditions).chain(Attention::ALL.iter().map(|state| state.as_str()))
}

/// What it takes for a task.
fn task_states() -> impl Iterator<Item = &'static str> {
    TaskState::ALL.iter().map(|state| state.as_str()).chain([task::STOPPED])
}

/// What it takes for a message.
fn message_states() -> impl Iterator<Item = &'static str> {
    let states = CommandState::ALL.iter().map(|state| state.as_str());
    Phase::ALL.iter().map(|phase| phase.as_str()).chain(states)
}

/// What a filter asks about a command.
#[derive(Debug, Clone, Copy)]
pub struct CommandFacts<'a> {
    /// How far it has come.
    pub phase: Phase,
    /// Name of its task.
    pub task: Option<&'a str>,
    /// Names of the sessions that it goes between.
    pub sessions: [Option<&'a str>; 2],
    /// When it moved last.
    pub updated_at: Timestamp,
    /// What else stands in its row.
    pub texts: [Option<&'a str>; 4],
}

impl Filter {
    /// Reads a filter of what is listed.
    ///
    /// # Errors
    /// The first word that means nothing there.
    pub fn parse(text: &str, rows: Rows) -> Result<Self, FilterError> {
        let terms = words(text)?
            .into_iter()
            .map(|word| term(&word, rows).map_err(|fault| FilterError { column: word.column, fault }))
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), terms })
    }

    /// The same of sessions.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_sessions(text: &str) -> Result<Self, FilterError> {
        Self::parse(text, Rows::Sessions)
    }

    /// The same of tasks.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_tasks(text: &str) -> Result<Self, FilterError> {
        Self::parse(text, Rows::Tasks)
    }

    /// The same of sessions, and tasks beside them.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_board(text: &str) -> Result<Self, FilterError> {
        Self::parse(text, Rows::Board)
    }

    /// The same of messages.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_messages(text: &str) -> Result<Self, FilterError> {
        Self::parse(text, Rows::Messages)
    }

    /// True when everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether it asks for sessions that are gone; lists leave them out otherwise.
    #[must_use]
    pub fn asks_for_gone(&self) -> bool {
        let gone = |word: &String| word == Attention::Gone.as_str();
        self.terms
            .iter()
            .any(|term| !term.negated && matches!(&term.test, Test::State(words) if words.iter().any(gone)))
    }

    /// Whether a session passes, at the moment `now`.
    #[must_use]
    pub fn matches_session(&self, row: &SessionRow, now: Timestamp) -> bool {
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::State(words) => words.iter().any(|word| is_said(row, word)),
                Test::Task(parts) => holds_any(row.task.as_deref(), parts),
                Test::Session(parts) => holds_any(Some(&row.name), parts),
                Test::Role(roles) => roles.contains(&row.role),
                Test::Is(marks) => is_any(marks, &row.marks, now),
                Test::Older(span) => row.judgement.since.is_some_and(|since| since.age_seconds(now) > span.seconds()),
                Test::Younger(span) => row.judgement.since.is_some_and(|since| since.age_seconds(now) < span.seconds()),
                Test::Text(words) => session_texts(row).into_iter().any(|text| contains(text, words)),
            };
            holds != term.negated
        })
    }

    /// Whether a task passes, at the moment `now`. Roles are a matter of sessions: no task has one.
    #[must_use]
    pub fn matches_task(&self, row: &TaskRow, now: Timestamp) -> bool {
        let sessions = || row.bindings.iter().filter(|binding| binding.state == BindingState::Active);
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::State(words) => {
                    words.iter().any(|word| *word == row.task.state.as_str() || *word == row.task.word())
                }
                Test::Task(parts) => holds_any(Some(&row.task.name), parts),
                Test::Session(parts) => sessions()
                    .any(|bound| [&bound.worker, &bound.manager].iter().any(|name| holds_any(Some(name), parts))),
                Test::Role(_) => false,
                Test::Is(marks) => is_any(marks, &row.marks, now),
                Test::Older(span) => row.task.updated_at.age_seconds(now) > span.seconds(),
                Test::Younger(span) => row.task.updated_at.age_seconds(now) < span.seconds(),
                Test::Text(words) => contains(&row.task.name, words) || contains(&row.task.goal, words),
            };
            holds != term.negated
        })
    }

    /// Whether a command passes, at the moment `now`. It has neither a role nor marks.
    #[must_use]
    pub fn matches_command(&self, command: &CommandFacts<'_>, now: Timestamp) -> bool {
        let (phase, state) = (command.phase.as_str(), command.phase.state());
        self.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::State(words) => words.iter().any(|word| *word == phase || *word == state.as_str()),
                Test::Task(parts) => holds_any(command.task, parts),
                Test::Session(parts) => command.sessions.iter().any(|name| holds_any(*name, parts)),
                Test::Role(_) | Test::Is(_) => false,
                Test::Older(span) => command.updated_at.age_seconds(now) > span.seconds(),
                Test::Younger(span) => command.updated_at.age_seconds(now) < span.seconds(),
                Test::Text(words) => {
                    let names = command.sessions.iter().chain([&command.task]);
                    command.texts.iter().chain(names).flatten().any(|text| contains(text, words))
                }
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

fn is_any(marks: &[Mark], row: &MarksView, now: Timestamp) -> bool {
    marks.iter().any(|mark| match mark {
        Mark::Pinned => row.pinned,
        Mark::Snoozed => row.is_snoozed(now),
        Mark::Unread => row.unread,
    })
}

fn holds_any(text: Option<&str>, parts: &[String]) -> bool {
    text.is_some_and(|text| parts.iter().any(|part| contains(text, part)))
}

/// Whether `text` contains `part`, which is in lower case already.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(part)
}

/// As it was written.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One word of a filter.
#[derive(Debug, Default)]
struct Word {
    /// Its first character, from 1.
    column: usize,
    /// What it says, without quotation marks.
    text: String,
    /// Where it begins with a quotation mark, perhaps behind a `-`: from this byte on it is nothing but text.
    literal_from: Option<usize>,
}

/// Splits at white space; quotation marks hold words together.
fn words(text: &str) -> Result<Vec<Word>, FilterError> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    for (column, c) in (1..).zip(text.chars()) {
        if c.is_whitespace() && quote.is_none() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { column, ..Word::default() });
        if c != '"' {
            word.text.push(c);
            continue;
        }
        if ["", "-"].contains(&word.text.as_str()) && word.literal_from.is_none() {
            word.literal_from = Some(word.text.len());
        }
        quote = if quote.is_none() { Some(column) } else { None };
    }
    if let Some(column) = quote {
        return Err(FilterError { column, fault: Fault::Quote });
    }
    words.extend(word);
    Ok(words)
}

fn term(word: &Word, rows: Rows) -> Result<Term, Fault> {
    let (text, literal) = (word.text.as_str(), word.literal_from);
    let (negated, rest) = match text.strip_prefix('-') {
        Some(rest) if !rest.is_empty() && literal != Some(0) => (true, rest),
        _ => (false, text),
    };
    let test = match literal {
        Some(_) => Test::Text(rest.to_lowercase()),
        None => test(rest, rows)?,
    };
    Ok(Term { negated, test })
}

fn test(word: &str, rows: Rows) -> Result<Test, Fault> {
    Ok(if let Some(value) = word.strip_prefix("state:") {
        Test::State(alternatives(value).map(|word| state(word, rows)).collect::<Result<_, _>>()?)
    } else if let Some(value) = word.strip_prefix("task:") {
        Test::Task(alternatives(value).collect())
    } else if let Some(value) = word.strip_prefix("session:") {
        Test::Session(alternatives(value).collect())
    } else if let Some(value) = word.strip_prefix("role:") {
        Test::Role(alternatives(value).map(role).collect::<Result<_, _>>()?)
    } else if let Some(value) = word.strip_prefix("is:") {
        Test::Is(alternatives(value).map(mark).collect::<Result<_, _>>()?)
    } else if let Some(value) = word.strip_prefix("age>") {
        Test::Older(span(value)?)
    } else if let Some(value) = word.strip_prefix("age<") {
        Test::Younger(span(value)?)
    } else if let Some(key) = unknown_key(word) {
        return Err(Fault::Key { key: key.to_owned(), word: word.to_owned() });
    } else {
        Test::Text(word.to_lowercase())
    })
}

/// What stands before a colon and looks like a key. Paths, times and numbers of lines do not.
fn unknown_key(word: &str) -> Option<&str> {
    let (key, _) = word.split_once(':')?;
    let is_key = |c: char| c.is_alphabetic() || c == '-' || c == '_';
    (!key.is_empty() && key.chars().all(is_key)).then_some(key)
}

fn alternatives(value: &str) -> impl Iterator<Item = String> {
    value.split(',').map(str::to_lowercase)
}

fn state(word: String, rows: Rows) -> Result<String, Fault> {
    let word = word.replace('-', "_");
    if rows.takes(&word) { Ok(word) } else { Err(Fault::State { word, rows }) }
}

fn role(word: String) -> Result<Role, Fault> {
    word.parse().map_err(|_| Fault::Role { word })
}

fn mark(word: String) -> Result<Mark, Fault> {
    word.parse().map_err(|_| Fault::Is { word })
}

fn span(text: &str) -> Result<Span, Fault> {
    text.parse().map_err(|_| Fault::Age { word: text.to_owned() })
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
            tokens: None,
            parent: None,
            agents: Vec::new(),
            ingested_bytes: 0,
            pending_bytes: 0,
            ingest_error: None,
            last_heartbeat_at: None,
            unread: 0,
            marks: MarksView { pinned: true, unread: true, ..MarksView::default() },
            asks: None,
            criteria: None,
        }
    }

    fn passes(filter: &str) -> bool {
        Filter::of_board(filter).unwrap().matches_session(&row(), NOW)
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
            "session:w",
            "is:pinned",
            "is:snoozed,unread -is:snoozed",
            "state:blocked task:x,parser role:worker age>10m project",
        ] {
            assert!(passes(filter), "{filter}");
        }
        for filter in [
            "state:idle",
            "-state:blocked",
            "task:other",
            "session:m1",
            "role:manager",
            "is:snoozed",
            "-is:unread",
            "age>11m",
            "age<1m",
            "\"cargo run\"",
            "zz",
        ] {
            assert!(!passes(filter), "{filter}");
        }
    }

    #[test]
    fn a_state_goes_by_its_word_on_the_screen_and_by_that_of_the_json() {
        let with = |condition, rule: &str| {
            let mut row = row();
            (row.judgement.condition, row.judgement.rule) = (condition, rule.to_owned());
            row.attention = Attention::Idle;
            move |filter: &str| Filter::of_board(filter).unwrap().matches_session(&row, NOW)
        };
        let busy = with(Condition::Busy, "turn_open");
        assert!(busy("state:working") && busy("state:busy") && !busy("state:done"));
        let blocked = with(Condition::Blocked, "question");
        assert!(blocked("state:needs-you") && blocked("state:needs_you") && blocked("state:blocked"));
        let interrupted = with(Condition::Aborted, crate::model::interruption::Rule::InterruptedByOperator.as_str());
        assert!(interrupted("state:interrupted") && interrupted("state:aborted") && !interrupted("state:failed"));
    }

    #[test]
    fn the_states_that_are_told_are_those_of_what_is_listed() {
        let everything = || session_states().chain(task_states()).chain(message_states());
        for rows in [Rows::Sessions, Rows::Tasks, Rows::Board, Rows::Messages] {
            let refused = Filter::parse("state:angry", rows).unwrap_err().to_string();
            for word in everything() {
                let word = word.replace([' ', '_'], "-");
                let is_taken = Filter::parse(&format!("state:{word}"), rows).is_ok();
                let is_told = refused.split([' ', ',', ';']).any(|told| told == word);
                assert_eq!(is_told, is_taken, "{word} of {rows:?}: {refused}");
            }
        }
        let refused = Filter::of_sessions("state:queued").unwrap_err().to_string();
        assert!(refused.contains("`queued` is no state here; a session is needs-you"), "{refused}");
        assert!(!refused.contains("a message") && !refused.contains("a task"), "{refused}");
        assert!(Filter::of_tasks("state:angry").unwrap_err().to_string().contains(task::STOPPED));
        assert!(Filter::of_messages("state:idle").is_err() && Filter::of_board("state:idle,managed").is_ok());
    }

    #[test]
    fn a_key_that_does_not_exist_is_told_and_quotation_marks_make_text_of_it() {
        let refused = Filter::of_sessions("x colour:Foo").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "column 3: `colour:` is no key; the keys are state:, task:, session:, role:, is:, age> and age<; text with a \
             colon stands in quotation marks: \"colour:Foo\""
        );
        for filter in ["colour:", "-colour:x", "State:idle", "age:10m", "http://x"] {
            let fault = Filter::of_board(filter).unwrap_err().fault;
            assert!(matches!(fault, Fault::Key { .. }), "{filter}: {fault:?}");
        }
        let mut row = row();
        row.cwd = "C:\\state:angry -x".into();
        let passes = |filter: &str| Filter::of_board(filter).unwrap().matches_session(&row, NOW);
        assert!(passes("\"c:\\\"") && passes("\"state:angry\"") && passes("\"-x\"") && passes("-\"colour:x\""));
        assert!(!passes("\"colour:x\"") && !passes("-\"state:angry\"") && !passes("12:30") && !passes("src/main.rs:7"));
        assert!(passes("task:\"pars\" session:\"w\""), "a value may stand in quotation marks");
    }

    #[test]
    fn an_unknown_age_is_neither_old_nor_young() {
        let mut row = row();
        row.judgement.since = None;
        for filter in ["age>0s", "age<9d"] {
            assert!(!Filter::of_board(filter).unwrap().matches_session(&row, NOW), "{filter}");
        }
    }

    #[test]
    fn faults_name_the_word_and_its_place() {
        let message = |filter: &str| Filter::of_board(filter).unwrap_err().to_string();
        assert!(
            message("state:angry")
                .starts_with("column 1: `angry` is no state here; a session is needs-you, failed, interrupted, done")
        );
        assert_eq!(message("  \"é ü\" role:boss"), "column 9: `boss` is no role; roles are worker, manager");
        assert!(message("x -is:red").starts_with("column 3: `is:red` means nothing"));
        for age in ["age>", "age>10", "age>m", "age>1é", "age>-1m"] {
            assert!(message(age).contains("is no age"), "{age}");
        }
        assert_eq!(message("x task:\"a b"), "column 8: the quotation mark has no end");
    }

    #[test]
    fn commands_are_told_by_phase_and_state() {
        let command = CommandFacts {
            phase: Phase::Dead,
            task: Some("Parser"),
            sessions: [None, Some("w1")],
            updated_at: Timestamp::from_millis(10_000_000 - 11 * 60_000),
            texts: [Some("run the Tests"), None, None, None],
        };
        let passes = |filter: &str| Filter::of_messages(filter).unwrap().matches_command(&command, NOW);
        for filter in ["", "state:dead", "state:failed", "task:pars session:w1 age>10m", "tests", "-role:worker"] {
            assert!(passes(filter), "{filter}");
        }
        for filter in ["state:queued", "state:succeeded", "session:m1", "is:unread", "role:worker", "age<1m", "zz"] {
            assert!(!passes(filter), "{filter}");
        }
    }

    #[test]
    fn a_filter_is_written_as_it_was_given_and_tells_whether_it_means_the_gone() {
        let filter = Filter::of_board("state:idle,gone  x").unwrap();
        assert_eq!(filter.to_string(), "state:idle,gone  x");
        let asks = |text: &str| Filter::of_board(text).unwrap().asks_for_gone();
        assert!(asks("state:idle,gone x") && !asks("gone") && !asks("-state:gone") && !asks(""));
    }

    #[test]
    fn any_text_parses_or_fails_without_panic() {
        proptest::proptest!(|(text in ".*")| {
            if let Ok(filter) = Filter::of_board(&text) {
                let _ = filter.matches_session(&row(), NOW);
            }
        });
    }
}
