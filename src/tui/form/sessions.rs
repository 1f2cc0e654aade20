//! The forms about sessions and tasks: making them, tying them together, and what is done to a session.

use super::{
    Entry, Flag,
    control::{Checks, Choice, Control, Picker},
    entries::{choice, entry, line, open_tasks, pick, required, sessions, switch, task, text, with_new_task},
    subjects::{active, is_free, may_be_resumed, selected_task},
};
use crate::{
    model::session::{Registration, Role},
    tui::{answers, app::App},
};

fn name(flag: &'static str) -> Entry {
    required(line("name", flag, "letters, digits, `_`, `-` and `.`"))
}

/// What every start takes.
fn launch() -> Vec<Entry> {
    vec![
        line("folder", "--cwd", "where it works; empty: the folder of this cockpit"),
        choice(
            "sandbox",
            "--sandbox",
            "what its commands may touch",
            &[
                ("", "workspace-write (default)"),
                ("read-only", "read-only"),
                ("danger-full-access", "danger-full-access: everything"),
            ],
        ),
        choice(
            "asks",
            "--ask-for-approval",
            "when it asks before it acts",
            &[("", "on-request (default)"), ("untrusted", "untrusted: nearly always"), ("never", "never")],
        ),
        line("model", "--model", "empty: the configured one"),
        switch("trust", "--accept-trust", "trust this folder: Codex will not ask about it"),
    ]
}

pub(super) fn new_task() -> Vec<Entry> {
    vec![
        name("--create"),
        required(text("goal", "--goal", "what is to be achieved")),
        text("summary", "--summary", "a longer description"),
    ]
}

pub(super) fn start_worker() -> Vec<Entry> {
    let mut entries = vec![name("--name"), text("message", "--task", "its first message; empty: it waits for one")];
    entries.extend(launch());
    entries
}

pub(super) fn start_manager(app: &App) -> Vec<Entry> {
    let task = selected_task(app).map(|row| row.task.name.clone());
    let worker = app.session().filter(|session| session.role == Role::Worker).map(|session| session.name.clone());
    let mut of =
        pick("task", Flag::Option("--task"), "the task it supervises", open_tasks(app, |_| true), task.as_deref());
    of.required = false;
    let mut whom = pick(
        "worker",
        Flag::Option("--worker"),
        "the worker it supervises",
        sessions(app, |row| row.role == Role::Worker && row.registration == Registration::Active),
        worker.as_deref(),
    );
    whom.required = false;
    let mut entries = vec![name("--name"), of, whom];
    entries.extend(launch());
    entries
}

pub(super) fn pair(app: &App) -> Vec<Entry> {
    let unbound = selected_task(app).filter(|row| active(row).is_none()).map(|row| row.task.name.clone());
    let candidates = open_tasks(app, |row| active(row).is_none());
    let mut picker = Picker { candidates, open: true, ..Picker::default() };
    if let Some(task) = unbound {
        picker.set(&task);
    }
    let mut entries = vec![
        required(entry("task", Flag::Option("--task"), "an open task, or a new name", Control::Pick(picker))),
        text("goal", "--task-goal", "what is to be achieved, when the task is new"),
        required(line("worker", "--worker-name", "a name for the worker")),
        required(line("manager", "--manager-name", "a name for the manager")),
        text("message", "--task-prompt", "the worker's first message; empty: it waits for one"),
    ];
    entries.extend(launch());
    entries
}

pub(super) fn register() -> Vec<Entry> {
    vec![
        name("--name"),
        line("pane", "--tmux-pane", "the tmux pane it runs in, as `%7`"),
        line("process", "--pid", "or a process id of it, or of one above it"),
        line("rollout", "--codex-session", "or its rollout file"),
        line("folder", "--cwd", "empty: what its rollout says"),
    ]
}

pub(super) fn adopt() -> Vec<Entry> {
    vec![
        required(entry(
            "sessions",
            Flag::Each("--thread"),
            "each one that is checked is registered",
            Control::Checks(Checks::default()),
        )),
        choice("as", "--role", "what they are registered as", &[("worker", "workers"), ("manager", "managers")]),
    ]
}

pub(super) fn bind(app: &App) -> Result<Vec<Entry>, String> {
    let tasks = open_tasks(app, |row| active(row).is_none());
    if tasks.is_empty() {
        return Err(with_new_task(app, "no open task is without a binding"));
    }
    let free = |role: Role| sessions(app, move |row| is_free(row, role));
    let (workers, managers) = (free(Role::Worker), free(Role::Manager));
    if workers.is_empty() || managers.is_empty() {
        let what = if workers.is_empty() { "worker" } else { "manager" };
        return Err(format!("no {what} is free to be bound; start or register one"));
    }
    let selected = |role: Role| app.session().filter(|row| row.role == role).map(|row| row.name.as_str());
    let task = selected_task(app).map(|row| row.task.name.clone());
    Ok(vec![
        pick("task", Flag::Option("--task"), "an open task without a binding", tasks, task.as_deref()),
        pick("worker", Flag::Option("--worker"), "does the work", workers, selected(Role::Worker)),
        pick("manager", Flag::Option("--manager"), "supervises it", managers, selected(Role::Manager)),
    ])
}

pub(super) fn compact(app: &App) -> Result<Vec<Entry>, String> {
    let kinds =
        [("", "compact: a summary of it stays"), ("--prompt-only", "nothing yet: the worker is asked for a handoff")];
    Ok(vec![
        task(
            app,
            "the task whose worker compacts its context",
            "no task has a worker whose context could be compacted".to_owned(),
            |row| active(row).is_some(),
        )?,
        required(line("reason", "--reason", "why; it stands in the audit trail")),
        entry(
            "do",
            Flag::Whole,
            "what becomes of its context",
            Control::Choice(Choice { options: kinds.to_vec(), at: 0 }),
        ),
    ])
}

pub(super) fn clear(app: &App) -> Result<Vec<Entry>, String> {
    Ok(vec![
        task(
            app,
            "its worker begins an empty thread; nothing of its context is kept",
            "no task has a worker whose context could be cleared".to_owned(),
            |row| active(row).is_some(),
        )?,
        switch("ask first", "--prompt-only", "clear nothing yet: ask the worker to write down what must be kept"),
    ])
}

pub(super) fn interrupt(app: &App) -> Result<Vec<Entry>, String> {
    let session = app.session().filter(|_| answers::is_reachable(app));
    let name = session.ok_or("no session is selected that could be interrupted")?.name.clone();
    let reachable = sessions(app, |row| row.registration == Registration::Active);
    Ok(vec![
        pick("session", Flag::Word, "the turn that runs in it is ended", reachable, Some(&name)),
        text("then say", "--followup", "a message for it, sent once no turn runs any more"),
    ])
}

pub(super) fn resume(app: &App) -> Result<Vec<Entry>, String> {
    let ended = sessions(app, may_be_resumed);
    if ended.is_empty() {
        return Err("no session has ended that could be resumed".to_owned());
    }
    let selected = app.session().map(|session| session.name.clone());
    let mut entries = vec![pick("session", Flag::Word, "its thread opens in a new pane", ended, selected.as_deref())];
    let kept = [
        ("", "as before"),
        ("read-only", "read-only"),
        ("workspace-write", "workspace-write"),
        ("danger-full-access", "danger-full-access: everything"),
    ];
    entries.push(choice("sandbox", "--sandbox", "what its commands may touch", &kept));
    entries.push(line("model", "--model", "empty: the configured one"));
    entries.push(switch("trust", "--accept-trust", "trust its folder: Codex will not ask about it"));
    Ok(entries)
}

pub(super) fn deregister(app: &App) -> Result<Vec<Entry>, String> {
    let known = sessions(app, |row| row.registration == Registration::Active);
    if known.is_empty() {
        return Err("no session is registered".to_owned());
    }
    let selected = app.session().map(|session| session.name.clone());
    Ok(vec![pick("session", Flag::Word, "it runs on, unsupervised; its history stays", known, selected.as_deref())])
}

pub(super) fn budget(app: &App) -> Result<Vec<Entry>, String> {
    Ok(vec![
        task(app, "the task whose worker is nudged", with_new_task(app, "no task is open"), |_| true)?,
        required(line("nudges", "--max-nudges", "how many in all, or `none` for no limit")),
    ])
}
