//! First messages: what a person gave, and what the program adds to it. The texts lie in `assets`.

use std::path::Path;

use crate::{
    actions::{Context, TextArg},
    base::{Error, Name, Result, text},
    ports::machine,
    store,
};

/// The longest first message, in bytes.
const MAX_PROMPT: usize = 1 << 20;

/// A first message that can be sent: cleaned, not empty, bounded.
pub(super) fn first_message(text: &TextArg) -> Result<String> {
    let prompt = text::clean(text.get()?.trim());
    if prompt.is_empty() {
        return Err(Error::usage("the first message must not be empty"));
    }
    if prompt.len() > MAX_PROMPT {
        return Err(Error::usage(format!("the first message is longer than {MAX_PROMPT} bytes")));
    }
    Ok(prompt)
}

/// The first message of a supervised worker.
pub(super) fn contract(cx: &Context, name: &str, task: &str) -> String {
    let ledger = shell_words::quote(&cx.env().ledger.display().to_string()).into_owned();
    include_str!("../../../assets/worker-contract.md")
        .replace("{{name}}", name)
        .replace("{{ledger}}", &ledger)
        .replace("{{task}}", task)
}

/// What a manager is told of its work.
pub(super) struct Supervision<'a> {
    pub name: &'a str,
    /// Name or id of the task.
    pub task: Option<&'a str>,
    pub goal: Option<&'a str>,
    pub worker: Option<&'a str>,
    pub cwd: &'a Path,
}

/// The longest goal in a first message, in characters; the whole one is in the ledger.
const MAX_GOAL: usize = 2_000;

/// The first message of a manager.
pub(super) fn supervision(cx: &Context, about: &Supervision<'_>) -> String {
    let known = |what: Option<&str>| what.map_or_else(|| "not said".to_owned(), |text| text::bounded(text, MAX_GOAL));
    let named = about.task.unwrap_or("none yet: wait until you are told its name, which stands for TASK below");
    let word = shell_words::quote(about.task.unwrap_or("TASK"));
    let ledger = shell_words::quote(&cx.env().ledger.display().to_string()).into_owned();
    // A sandbox has another PATH, and another state root.
    let program = machine::own_program().map_or_else(|| "conveyor".to_owned(), |path| path.display().to_string());
    include_str!("../../../assets/manager-supervision.md")
        .trim()
        .replace("{{conveyor}}", &shell_words::quote(&program))
        .replace("{{path}}", &format!("--path {ledger}"))
        .replace("{{name}}", about.name)
        .replace("{{cwd}}", &about.cwd.display().to_string())
        .replace("{{worker}}", about.worker.unwrap_or("not said"))
        .replace("{{named}}", named)
        .replace("{{task}}", &word)
        // Last, for it is somebody's text.
        .replace("{{goal}}", &known(about.goal))
}

/// The goal of a task that is on record.
///
/// # Errors
/// When the ledger cannot be read; that there is none, or no such task, is none.
pub(super) fn recorded_goal(cx: &Context, task: Option<&Name>) -> Result<Option<String>> {
    let Some(task) = task.filter(|_| cx.env().ledger.exists()) else { return Ok(None) };
    let found = cx.ledger_or_create()?.read(|r| store::tasks::find(r, task.as_str()))?;
    Ok(found.filter(|task| task.state.is_open()).map(|task| task.goal))
}

/// What a worker is told that has to acknowledge its terms.
pub(super) fn acknowledge(cx: &Context, task: &str) -> String {
    let ledger = shell_words::quote(&cx.env().ledger.display().to_string()).into_owned();
    let program = machine::own_program().map_or_else(|| "conveyor".to_owned(), |path| path.display().to_string());
    include_str!("../../../assets/worker-acknowledge.md")
        .trim()
        .replace("{{conveyor}}", &shell_words::quote(&program))
        .replace("{{path}}", &format!("--path {ledger}"))
        .replace("{{task}}", &shell_words::quote(task))
}

/// The first message of a worker in a pair.
pub(super) fn supervised(task: &str, manager: &str, message: &str) -> String {
    include_str!("../../../assets/worker-supervised.md")
        .trim()
        .replace("{{task}}", task)
        .replace("{{manager}}", manager)
        .replace("{{message}}", message)
}
