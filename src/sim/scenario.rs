//! What the pretended model answers: steps from a script file, from directives in a message, or a plain default.
//!
//! Pure but for [`Script::load`]. Steps say what happens and how long it takes; playing them is `session`'s work.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::{Error, Result, text};

/// One thing that happens in a turn. Times are milliseconds before scaling.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// A final answer.
    Say(String),
    /// A message on the way.
    Note(String),
    /// A reasoning summary.
    Think(String),
    /// A pretended command.
    Run(RunStep),
    /// A pretended command that asks for approval first.
    Approve(ApproveStep),
    /// A question with options.
    Ask(AskStep),
    /// Nothing for a while.
    Sleep(u64),
    /// Nothing until a file exists.
    Hold(PathBuf),
    /// A pretended file edit (no file is written).
    Patch(PatchStep),
    /// The turn fails.
    Error(ErrorStep),
    /// A proposed plan.
    Plan(String),
    /// What the next model reply is said to have used, and the rate limits from here on.
    Tokens(TokensStep),
    /// The conversation is compacted after this turn.
    Compact,
    /// The session ends properly after this turn.
    Exit,
    /// The process dies at once, as by SIGKILL.
    Crash,
}

/// A pretended command.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStep {
    /// The command line.
    pub command: String,
    /// What it prints; a guess from the command when missing.
    pub output: Option<String>,
    /// Its exit code.
    #[serde(default)]
    pub exit: i32,
    /// How long it runs; a guess from the command when missing.
    pub ms: Option<u64>,
}

/// A pretended command that asks first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveStep {
    /// The command line.
    pub command: String,
    /// Why it asks.
    #[serde(default = "default_reason")]
    pub reason: String,
    /// What it prints when it was approved.
    pub output: Option<String>,
    /// Its exit code.
    #[serde(default)]
    pub exit: i32,
    /// How long it runs.
    pub ms: Option<u64>,
    /// Answers by itself after this time; else it waits for a person.
    pub answer_after_ms: Option<u64>,
    /// The answer it then gives: yes unless `false`.
    #[serde(default = "yes")]
    pub answer: bool,
    /// What is said afterwards when it has answered by itself, and only then.
    pub answer_note: Option<String>,
}

/// A question with options.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskStep {
    /// The question.
    pub question: String,
    /// What can be chosen.
    #[serde(default = "default_options")]
    pub options: Vec<String>,
    /// Chooses the first option after this time; else it waits for a person.
    pub answer_after_ms: Option<u64>,
    /// What is said afterwards when it has answered by itself, and only then.
    pub answer_note: Option<String>,
}

/// A pretended file edit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchStep {
    /// The file, relative to the session's directory.
    pub path: String,
    /// What it holds afterwards.
    #[serde(default = "default_content")]
    pub content: String,
}

/// A failed turn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorStep {
    /// `codex_error_info`: a text such as `usage_limit_exceeded`, or an object.
    pub kind: Value,
    /// The text a person sees; the usual one of the kind when missing.
    pub message: Option<String>,
}

/// Token counts and rate limits.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensStep {
    /// Tokens sent with the next request.
    pub input: Option<u64>,
    /// Tokens the next reply has.
    pub output: Option<u64>,
    /// Used percent of the 5 hour window.
    pub primary: Option<f64>,
    /// Used percent of the weekly window.
    pub secondary: Option<f64>,
}

fn yes() -> bool {
    true
}

fn default_reason() -> String {
    "needs to run outside the sandbox?".to_owned()
}

fn default_options() -> Vec<String> {
    vec!["First (Recommended)".to_owned(), "Second".to_owned()]
}

fn default_content() -> String {
    "written by the simulation\n".to_owned()
}

impl ErrorStep {
    /// The text a person sees.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(message) = &self.message {
            return message.clone();
        }
        let known = match self.kind.as_str() {
            Some("usage_limit_exceeded") => {
                "You’ve hit your usage limit. Visit https://chatgpt.com/settings/usage to purchase more credits or try again at 4:18 AM."
            }
            Some("rate_limit_exceeded") => "rate limit exceeded: Rate limit reached. Please try again in 1s.",
            Some("context_window_exceeded") => {
                "Codex ran out of room in the model's context window. Start a new thread or clear earlier history before retrying."
            }
            Some("server_overloaded") => "Selected model is at capacity. Please try a different model.",
            Some("internal_server_error") => {
                "We’re currently experiencing high demand, which may cause temporary errors."
            }
            Some(_) | None => "stream disconnected before completion: stream closed before response.completed",
        };
        known.to_owned()
    }
}

impl RunStep {
    /// Output and duration, guessed from the command where the script does not say.
    #[must_use]
    pub fn outcome(&self) -> (String, u64) {
        let (output, ms) = guess(&self.command);
        (self.output.clone().unwrap_or(output), self.ms.unwrap_or(ms))
    }
}

/// What a command would plausibly print and how long it would take; it is never run.
fn guess(command: &str) -> (String, u64) {
    let mut output = String::new();
    let mut ms = 50;
    for part in command.split([';', '&', '|']).map(str::trim).filter(|part| !part.is_empty()) {
        let (program, rest) = part.split_once(' ').unwrap_or((part, ""));
        match program {
            "sleep" => {
                ms += rest.trim().parse::<f64>().map_or(0, |seconds| (seconds.clamp(0.0, 86_400.0) * 1000.0) as u64)
            }
            "echo" => output.push_str(&format!("{}\n", rest.trim_matches(['"', '\'']))),
            "ls" => output.push_str("README.md\n"),
            _ => {}
        }
    }
    (output, ms)
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// A text that the message must contain; with a leading `^`, begin with.
    #[serde(rename = "match")]
    pattern: String,
    steps: Vec<Step>,
    /// The rule is used up after one message.
    #[serde(default)]
    once: bool,
    #[serde(skip)]
    used: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    #[serde(default)]
    rules: Vec<Rule>,
    /// Messages the session gives itself at start, one turn each.
    #[serde(default)]
    autostart: Vec<Opening>,
}

/// A turn that starts by itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The message of the turn.
    pub message: String,
    /// What happens; chosen as for any message when missing.
    pub steps: Option<Vec<Step>>,
    /// How long after the turn before (or the start) it begins.
    #[serde(default)]
    pub after_ms: u64,
}

/// The answers of a session.
#[derive(Debug, Clone, Default)]
pub struct Script {
    file: ScriptFile,
}

impl Script {
    /// Reads a script file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a script.
    pub fn load(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| {
            Error::usage(format!("cannot read the script {shown}"))
                .caused_by(error)
                .hint("give a JSON file to --script")
        })?;
        Self::parse(&text).map_err(|error| {
            Error::usage(format!("{shown} is not a script: {error}")).hint(
                r#"a script looks like {"rules": [{"match": "^run", "steps": [{"run": {"command": "make"}}, {"say": "Done."}]}], "autostart": [{"message": "begin"}]}"#,
            )
        })
    }

    /// Reads the text of a script.
    ///
    /// # Errors
    /// When it is not JSON, or has unknown fields or steps.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        Ok(Self { file: serde_json::from_str(text)? })
    }

    /// Turns that start by themselves, in order.
    #[must_use]
    pub fn openings(&self) -> &[Opening] {
        &self.file.autostart
    }

    /// The steps that answer `message`: its directives, else the first rule that matches, else a default.
    pub fn answer(&mut self, message: &str) -> Vec<Step> {
        if let Some(steps) = directives(message) {
            return steps;
        }
        let matches = |rule: &Rule| match rule.pattern.strip_prefix('^') {
            Some(prefix) => message.starts_with(prefix),
            None => message.contains(&rule.pattern),
        };
        let rule = self.file.rules.iter_mut().find(|rule| !rule.used && matches(rule));
        if let Some(rule) = rule {
            rule.used = rule.once;
            // A rule may answer in directives too: its text is what the model says.
            return rule.steps.clone();
        }
        let subject = text::bounded(&text::one_line(message), 60);
        vec![
            Step::Think("Reading the request".to_owned()),
            Step::Sleep(600),
            Step::Say(format!("This session is simulated. I read: {subject}")),
        ]
    }
}

/// The steps named by `{{verb argument}}` in a message; `None` when it has none.
fn directives(message: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = message;
    while let Some((_, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else { break };
        let inside = inside.trim();
        let (verb, argument) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        steps.push(directive(verb, argument.trim()));
        rest = behind;
    }
    (!steps.is_empty()).then_some(steps)
}

fn directive(verb: &str, argument: &str) -> Step {
    let owned = || argument.to_owned();
    match verb {
        "say" => Step::Say(owned()),
        "note" => Step::Note(owned()),
        "think" => Step::Think(owned()),
        "shell" => Step::Run(RunStep { command: owned(), output: None, exit: 0, ms: None }),
        "shell-esc" => Step::Approve(ApproveStep {
            command: owned(),
            reason: default_reason(),
            output: None,
            exit: 0,
            ms: None,
            answer_after_ms: None,
            answer_note: None,
            answer: true,
        }),
        "ask" => Step::Ask(AskStep {
            question: owned(),
            options: default_options(),
            answer_after_ms: None,
            answer_note: None,
        }),
        "sleep" => {
            Step::Sleep(argument.parse::<f64>().map_or(0, |seconds| (seconds.clamp(0.0, 86_400.0) * 1000.0) as u64))
        }
        "hold" => Step::Hold(PathBuf::from(argument)),
        "patch" => Step::Patch(PatchStep { path: owned(), content: default_content() }),
        "plan" => Step::Plan(argument.split('|').map(|line| format!("- {}\n", line.trim())).collect()),
        "fail" => {
            let (kind, message) = argument.split_once(' ').unwrap_or((argument, ""));
            let message = (!message.is_empty()).then(|| message.to_owned());
            Step::Error(ErrorStep { kind: if kind.is_empty() { json!("other") } else { json!(kind) }, message })
        }
        "usage" => {
            let mut numbers = argument.split_whitespace().map(|word| word.parse().ok());
            let (input, output) = (numbers.next().flatten(), numbers.next().flatten());
            Step::Tokens(TokensStep { input, output, primary: None, secondary: None })
        }
        "limits" => {
            let mut numbers = argument.split_whitespace().map(|word| word.parse().ok());
            let (primary, secondary) = (numbers.next().flatten(), numbers.next().flatten());
            Step::Tokens(TokensStep { input: None, output: None, primary, secondary })
        }
        "compact" => Step::Compact,
        "exit" => Step::Exit,
        "crash" => Step::Crash,
        unknown => Step::Note(format!("There is no directive `{unknown}` in this simulation.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_go_before_rules_and_rules_before_the_default() {
        let mut script = Script::parse(
            r#"{"rules":[{"match":"^run","once":true,"steps":[{"say":"first"}]},{"match":"un","steps":["exit"]}]}"#,
        )
        .unwrap();
        assert_eq!(script.answer("run {{say now}} {{sleep 0.5}}"), [Step::Say("now".into()), Step::Sleep(500)]);
        assert_eq!(script.answer("run it"), [Step::Say("first".into())]);
        assert_eq!(script.answer("run it"), [Step::Exit]);
        assert!(matches!(script.answer("other").last(), Some(Step::Say(_))));
    }

    #[test]
    fn commands_are_guessed_at() {
        assert_eq!(guess("sleep 2; echo 'slow'"), ("slow\n".to_owned(), 2050));
        assert_eq!(guess("rm -rf /"), (String::new(), 50));
    }

    #[test]
    fn a_script_with_a_slip_is_refused_with_the_place() {
        let error = Script::parse(r#"{"rules":[{"match":"x","steps":[{"shout":"hi"}]}]}"#).unwrap_err();
        assert!(error.to_string().contains("shout"), "{error}");
    }
}
