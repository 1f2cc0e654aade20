//! What a configuration answers: as a schema for whoever asks a person, and asked at a terminal.

use std::{collections::BTreeMap, fmt, io};

use serde::Serialize;
use serde_json::{Value, json};

use super::terms;
use crate::{
    base::{Error, Kind, Result, text},
    model::{
        supervision::{Category, Mode, Permission, Permissions, PermissionsFault, Recipe, Terms},
        task::Task,
    },
    ports::terminal,
};

/// Where the answers are best collected.
const RECOMMENDED: &str = "manager_codex_chat";
/// Where else.
const FALLBACK: &str = "terminal: conveyor manager-config TASK --interactive";

/// The questions of a task.
#[derive(Debug, Serialize)]
pub struct Questions {
    fallback_collection: &'static str,
    questions: Vec<Question>,
    recommended_collection: &'static str,
    task: Brief,
}

#[derive(Debug, Serialize)]
struct Brief {
    id: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct Question {
    #[serde(skip_serializing_if = "Option::is_none")]
    choices: Option<Value>,
    default: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'static str>,
    id: &'static str,
    kind: &'static str,
    question: &'static str,
}

const MODE: &str = "How closely should the manager supervise?";
const OBJECTIVE: &str = "What is the supervision for?";
const GUIDELINES: &str = "How should the manager work?";
const ACCEPTANCE: &str = "What has the worker to deliver?";
const PERMISSIONS: &str = "What may the manager do by itself?";

impl Questions {
    /// The questions, with the present terms as their defaults.
    pub(super) fn of(task: &Task, terms: &Terms) -> Self {
        let actions: BTreeMap<Category, Vec<&str>> = Category::ALL
            .iter()
            .map(|category| (*category, names(Permission::ALL.iter().filter(|one| one.category() == *category))))
            .collect();
        let question =
            |id, kind, question, default, help, choices| Question { choices, default, help, id, kind, question };
        let list = Some("One entry for each line.");
        Self {
            fallback_collection: FALLBACK,
            questions: vec![
                question(
                    "supervision_mode",
                    "choice",
                    MODE,
                    json!(terms.supervision_mode),
                    Some("light watches, guided helps, strict holds the worker to every term."),
                    Some(json!([Mode::Guided, Mode::Light, Mode::Strict])),
                ),
                question("objective", "text", OBJECTIVE, json!(terms.objective), Some("One or two sentences."), None),
                question("guidelines", "list", GUIDELINES, json!(terms.guidelines), list, None),
                question("acceptance_criteria", "list", ACCEPTANCE, json!(terms.acceptance_criteria), list, None),
                question(
                    "permissions",
                    "categorized_permissions",
                    PERMISSIONS,
                    json!(terms.permissions),
                    None,
                    Some(json!(actions)),
                ),
            ],
            recommended_collection: RECOMMENDED,
            task: Brief { id: task.id.clone(), name: task.name.clone() },
        }
    }

    pub(super) fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        for question in &self.questions {
            writeln!(out, "{} ({}): {}", question.id, question.kind, question.question)?;
        }
        Ok(())
    }
}

fn names<'a>(permissions: impl Iterator<Item = &'a Permission>) -> Vec<&'static str> {
    permissions.map(|one| one.action()).collect()
}

/// Whoever can be asked.
pub(super) trait Asked {
    /// Shows a text.
    fn show(&mut self, text: &str) -> io::Result<()>;
    /// The next line; none when there is no more.
    fn line(&mut self) -> io::Result<Option<String>>;
}

impl Asked for terminal::Terminal {
    fn show(&mut self, text: &str) -> io::Result<()> {
        Self::show(self, text)
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        Self::line(self)
    }
}

/// The terminal of this process.
///
/// # Errors
/// When there is none.
pub(super) fn terminal() -> Result<terminal::Terminal> {
    terminal::Terminal::open().map_err(|error| {
        Error::usage("--interactive needs a terminal")
            .hint("give the terms as flags; `--questions` lists what is asked")
            .caused_by(error)
    })
}

/// The terms that somebody wants, asked one after another; an empty answer keeps what is shown.
///
/// # Errors
/// When nobody answers any more.
pub(super) fn ask(asked: &mut dyn Asked, task: &Task, now: &Terms) -> Result<Terms> {
    let mut terms = now.clone();
    say(asked, &format!("Terms of {}. Enter keeps what is in brackets, - empties it.\n\n", task.name))?;
    terms.supervision_mode = until_right(asked, MODE, now.supervision_mode.as_str(), |answer| {
        if answer == "-" { Ok(Mode::Guided) } else { answer.parse().map_err(|error| Error::usage(format!("{error}"))) }
    })?
    .unwrap_or(now.supervision_mode);
    let objective = until_right(asked, OBJECTIVE, now.objective.as_deref().unwrap_or("none"), |answer| {
        terms::entries("the objective", &given(answer)).map(|list| list.into_iter().next())
    })?;
    terms.objective = objective.unwrap_or_else(|| now.objective.clone());
    terms.guidelines = list(asked, GUIDELINES, &now.guidelines)?;
    terms.acceptance_criteria = list(asked, ACCEPTANCE, &now.acceptance_criteria)?;
    let all = Permission::ALL.iter().copied().collect::<Permissions>();
    let question = format!("{PERMISSIONS} Names with spaces between them, of: {all}\n");
    let permissions = until_right(asked, &question, &now.permissions.to_string(), |answer| {
        let words = answer.split([' ', ',']).filter(|word| !word.is_empty() && *word != "-");
        let named = words.map(|word| Permission::named(word).map_err(PermissionsFault::from));
        let named = named.collect::<std::result::Result<Vec<_>, _>>().map_err(terms::refused)?;
        Ok(named.into_iter().flatten().collect::<Permissions>())
    })?;
    terms.permissions = permissions.unwrap_or_else(|| now.permissions.clone());
    Ok(terms)
}

/// Whether somebody says yes to this.
///
/// # Errors
/// When nobody answers any more.
pub(super) fn confirmed(asked: &mut dyn Asked, summary: &str) -> Result<bool> {
    say(asked, &format!("\n{summary}\nStore this? yes/no: "))?;
    Ok(matches!(answer(asked)?.to_lowercase().as_str(), "y" | "yes"))
}

/// The terms in words, before they are stored.
pub(super) fn summary(terms: &Terms, max_nudges: Option<u64>, recipe: Option<&Recipe>) -> String {
    if let Some(recipe) = recipe {
        return recipe.locked_summary(terms, max_nudges, "not yet");
    }
    let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join("; ") };
    format!(
        "Mode: {}\nObjective: {}\nGuidelines: {}\nAcceptance: {}\nPermissions: {}",
        terms.supervision_mode,
        terms.objective.as_deref().unwrap_or("none"),
        list(&terms.guidelines),
        list(&terms.acceptance_criteria),
        terms.permissions,
    )
}

/// A list, one entry for each line, ended by an empty one.
fn list(asked: &mut dyn Asked, question: &str, now: &[String]) -> Result<Vec<String>> {
    let shown = if now.is_empty() { "none".to_owned() } else { now.join("; ") };
    say(asked, &format!("{question} One entry for each line, then an empty line. [{}]\n", text::visible(&shown)))?;
    let mut lines = Vec::new();
    loop {
        let line = answer(asked)?;
        match line.as_str() {
            "" if lines.is_empty() => return Ok(now.to_vec()),
            "" => return terms::entries("a line", &lines),
            "-" if lines.is_empty() => return Ok(Vec::new()),
            _ => lines.push(line),
        }
    }
}

/// Asks until the answer is one; none when it is empty.
fn until_right<T>(
    asked: &mut dyn Asked,
    question: &str,
    now: &str,
    read: impl Fn(&str) -> Result<T>,
) -> Result<Option<T>> {
    loop {
        say(asked, &format!("{question} [{}]: ", text::visible(now)))?;
        let answer = answer(asked)?;
        if answer.is_empty() {
            return Ok(None);
        }
        match read(&answer) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => {
                let hint = error.hint_text().map(|hint| format!("; {hint}")).unwrap_or_default();
                say(asked, &format!("{}{hint}\n", text::visible(&error.to_string())))?;
            }
        }
    }
}

fn given(answer: &str) -> Vec<String> {
    if answer == "-" { Vec::new() } else { vec![answer.to_owned()] }
}

fn say(asked: &mut dyn Asked, text: &str) -> Result<()> {
    asked.show(text).map_err(|error| Error::io("cannot write to the terminal").caused_by(error))
}

fn answer(asked: &mut dyn Asked) -> Result<String> {
    let line = asked.line().map_err(|error| Error::io("cannot read from the terminal").caused_by(error))?;
    let line = line.ok_or_else(|| Error::new(Kind::Blocked, "nothing was stored: the answers ended"))?;
    Ok(text::clean(line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Timestamp, model::task::TaskState};

    struct Scripted {
        lines: Vec<&'static str>,
        shown: String,
    }

    impl Asked for Scripted {
        fn show(&mut self, text: &str) -> io::Result<()> {
            self.shown.push_str(text);
            Ok(())
        }

        fn line(&mut self) -> io::Result<Option<String>> {
            Ok((!self.lines.is_empty()).then(|| self.lines.remove(0).to_owned()))
        }
    }

    fn asked(now: &Terms, lines: &[&'static str]) -> (Result<Terms>, String) {
        let at = Timestamp::from_millis(0);
        let task = Task {
            id: "task-1".to_owned(),
            name: "parser".to_owned(),
            goal: String::new(),
            summary: None,
            state: TaskState::Candidate,
            created_at: at,
            updated_at: at,
            end: None,
        };
        let mut person = Scripted { lines: lines.to_vec(), shown: String::new() };
        let terms = ask(&mut person, &task, now);
        (terms, person.shown)
    }

    #[test]
    fn answers_become_terms_and_wrong_ones_are_asked_again() {
        let lines = ["sloppy", "strict", "ship it", "one", "two", "", "", "open_prs", "repo.open_pr, create_pr"];
        let (terms, shown) = asked(&Terms::default(), &lines);
        let terms = terms.unwrap();
        assert_eq!((terms.supervision_mode, terms.objective.as_deref()), (Mode::Strict, Some("ship it")));
        assert_eq!((terms.guidelines, terms.acceptance_criteria), (vec!["one".to_owned(), "two".to_owned()], vec![]));
        assert_eq!(terms.permissions.to_string(), "repo.open_pr");
        assert!(shown.contains("did you mean repo.open_pr?"), "{shown}");
    }

    #[test]
    fn an_empty_answer_keeps_and_a_dash_empties() {
        let now = Terms {
            guidelines: vec!["kept".to_owned()],
            acceptance_criteria: vec!["gone".to_owned()],
            objective: Some("gone".to_owned()),
            permissions: [Permission::Stop].into_iter().collect(),
            ..Terms::default()
        };
        let (terms, _) = asked(&now, &["", "-", "", "-", "-"]);
        let wanted = Terms { guidelines: now.guidelines.clone(), ..Terms::default() };
        assert_eq!(terms.unwrap(), wanted);
        assert_eq!(asked(&now, &["", ""]).0.unwrap_err().kind(), Kind::Blocked, "who goes away has said nothing");
    }
}
