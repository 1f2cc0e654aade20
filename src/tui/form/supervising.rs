//! The forms about what a manager is held to and how a task comes to its end.

use super::{
    Entry, Flag,
    control::{Candidate, Choice, Control, Picker},
    entries::{choice, entry, line, lines, pick, required, switch, task, text, with_new_task},
    subjects::{active, selected_task},
};
use crate::{
    actions::{Command, Epilogue, PutToOperator, TaskPolicy},
    model::supervision::{Permission, Recipe},
    tui::{app::App, operator, sheet},
};

pub(super) fn terms(app: &App) -> Result<Vec<Entry>, String> {
    let of = task(app, "the task whose terms are changed", with_new_task(app, "no task is open"), |_| true)?;
    let recipes: Vec<_> = std::iter::once(("", "as it is"))
        .chain(Recipe::by_allowance().into_iter().map(|recipe| (recipe.name.as_str(), recipe.display_name.as_str())))
        .chain([("custom", "none: custom terms")])
        .collect();
    let now = selected_task(app).and_then(|row| sheet::known::<TaskPolicy>(app, &row.task.name));
    // Of the task that was looked at: what it changes stands first.
    let permissions = |changes: bool| {
        let is_held = |one: &Permission| now.is_some_and(|now| now.terms.permissions.holds(*one));
        let (first, rest): (Vec<Permission>, Vec<Permission>) =
            Permission::ALL.iter().partition(|one| is_held(one) == changes);
        let candidate = |one: Permission| Candidate {
            name: one.to_string(),
            about: if is_held(&one) { "allowed now".to_owned() } else { String::new() },
        };
        let candidates = first.into_iter().chain(rest).map(candidate).collect();
        Control::Pick(Picker { candidates, ..Picker::default() })
    };
    let modes = [("", "as it is"), ("light", "light"), ("guided", "guided"), ("strict", "strict")];
    let policies = [
        ("", "as it is"),
        ("off", "off: nothing follows"),
        ("ask-operator", "ask-operator: you are asked"),
        ("auto-review", "auto-review: a reviewer judges"),
        ("auto-proceed", "auto-proceed: it goes on when a reviewer agrees"),
    ];
    let acks = [
        ("", "as it is"),
        ("--require-acks", "required before anything is observed"),
        ("--unset=require-acks", "not required"),
    ];
    let acks = Choice { options: acks.to_vec(), at: 0 };
    Ok(vec![
        of,
        choice(
            "recipe",
            "--recipe",
            "sets all terms at once, those first that allow least; what it comes to is shown, and asked about",
            &recipes,
        ),
        choice("mode", "--mode", "how closely it is supervised", &modes),
        entry("permit", Flag::Option("--permit"), "one more thing its manager may do from now on", permissions(false)),
        entry(
            "deny",
            Flag::Without("--permissions-json"),
            "one thing that is taken from its manager: it may not do it any more",
            permissions(true),
        ),
        line("nudges", "--max-nudges", "how many in all, or `none` for no limit"),
        choice("then", "--nudge-on-completion", "what follows when the worker has finished", &policies),
        entry("acks", Flag::Whole, "whether both have to acknowledge the terms", Control::Choice(acks)),
    ])
}

/// The lists of the terms. They are not filled in: a text that is set anew is asked for anew.
pub(super) fn contract(app: &App) -> Result<Vec<Entry>, String> {
    let lists = [
        ("", "nothing"),
        ("objective", "objective"),
        ("guideline", "guidelines"),
        ("acceptance", "what has to be delivered"),
        ("tool", "tools"),
        ("epilogue", "closing steps"),
        ("reference", "references"),
        ("recipe", "the recipe, with its evidence gates"),
        ("permit", "every permission"),
    ];
    Ok(vec![
        task(app, "the task whose terms are changed", with_new_task(app, "no task is open"), |_| true)?,
        text("objective", "--objective", "what the supervision is for; empty here and below: as it is"),
        lines("guidance", "--guideline", "how its manager works, one a line; takes the place of the list"),
        lines("deliver", "--acceptance", "what has to be delivered, one a line; each becomes an accepted criterion"),
        lines("tools", "--tool", "commands that run-tools runs, one a line; takes the place of the list"),
        lines("steps", "--epilogue", "run-tools, draft-pr, subagent-review or record-handoff, one a line"),
        lines("to read", "--reference", "what its manager should have read, one a line; takes the place of the list"),
        choice("take away", "--unset", "put back to how it is without any terms", &lists),
    ])
}

pub(super) fn settle(app: &App) -> Result<Vec<Entry>, String> {
    let questions = operator::questions(app);
    let meant = operator::meant(app).ok_or("no question is put to you")?;
    let candidate = |question: &PutToOperator| Candidate {
        name: question.id.to_string(),
        about: format!("{}: {}", question.task, operator::kind(question.kind)),
    };
    let numbers = questions.iter().map(candidate).collect();
    let answers = [
        ("", "not chosen yet"),
        ("proceed", "proceed: they go on"),
        ("amend", "amend: they go on with what the note says"),
        ("stop", "stop: they do not go on"),
    ];
    Ok(vec![
        pick("question", Flag::Option("--settle"), "its number", numbers, Some(&meant.id.to_string())),
        required(choice("answer", "--answer", "the task's manager is told, as your message", &answers)),
        text("note", "--note", "what the manager is told with it"),
    ])
}

pub(super) fn step(app: &App) -> Result<Vec<Entry>, String> {
    let steps = [
        ("", "not chosen yet"),
        ("run-tools", "run-tools: run the tools of the terms"),
        ("draft-pr", "draft-pr: write the text of a pull request"),
        ("subagent-review", "subagent-review: have the proposals reviewed"),
        ("record-handoff", "record-handoff: see whether the worker's handoff holds"),
    ];
    Ok(vec![
        task(
            app,
            "the task, whose terms name the step",
            with_new_task(app, "no task has a worker and a manager"),
            |row| active(row).is_some(),
        )?,
        required(choice(
            "step",
            "--step",
            "run in the worker's folder; a step that fails is on record as failed",
            &steps,
        )),
        line("base", "--base", "with draft-pr: the branch it is compared with; empty: the remote's own"),
        switch("open", "--open", "with draft-pr: have `gh` open the pull request, as a draft"),
    ])
}

pub(super) fn reviewer(app: &App) -> Result<Vec<Entry>, String> {
    Ok(vec![
        task(app, "the task whose proposals it judges", with_new_task(app, "no task is open"), |_| true)?,
        required(line("program", "--reviewer-command", "it and its arguments; it runs confined")),
        lines("reads", "--read", "files and folders that it may read, one a line; nothing else of yours is there"),
        lines(
            "reaches",
            "--relay",
            "servers that it may reach, one HOST:PORT a line; nothing else of the network is there",
        ),
        lines("variables", "--env", "names of variables of this cockpit's environment that it gets, one a line"),
        line("seconds", "--timeout", "until it is killed; empty: 300"),
    ])
}

/// What is asked before others see something.
pub(in crate::tui) fn question(command: &Command) -> Option<String> {
    match command {
        Command::Epilogue(Epilogue { task, open: true, .. }) => {
            Some(format!("Open a pull request for {task}? Others will see it."))
        }
        _ => None,
    }
}
