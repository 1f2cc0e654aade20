//! What is done to the selection after one question: nothing has to be filled in, and the question names the target.

use super::{app::App, criteria, ending, form, operator, record, submitting::ask_command, theme::Part};
use crate::{
    actions::{Command, Dispatch, DispatchVerb, Listed as _, Stop, Unbind},
    model::session::Registration,
    text_enum,
};

text_enum! {
    /// What is done after a question.
    pub enum Deed {
        /// Ends a session.
        Stop => "stop",
        /// Ends the binding of a task.
        Unbind => "unbind",
        /// Holds the deliveries of a task back.
        PauseTask => "pause_task",
        /// Lets the deliveries of a task go on.
        ResumeTask => "resume_task",
    }
}

/// What is asked before a command is submitted, wherever it comes from; none for one that asks nothing.
pub(super) fn question_of(app: &App, command: &Command) -> Option<String> {
    operator::question(app, command)
        .or_else(|| ending::question(app, command))
        .or_else(|| criteria::question(command))
        .or_else(|| form::supervising::question(command))
        .or_else(|| record::question(app, command))
        .or_else(|| clearing(command))
}

fn clearing(command: &Command) -> Option<String> {
    match command {
        Command::RequestWorkerCompact(action) if action.what.clear && !action.what.prompt_only => {
            let task = &action.task;
            Some(format!(
                "Clear the context of the worker of {task}? It forgets everything it knows of its work: /clear begins an \
                 empty thread in its pane, nothing is summarised, and this cannot be undone. Have it write down first \
                 what is done and what is open. Files and its history stay."
            ))
        }
        _ => None,
    }
}

/// The question, and what yes does; or why there is nothing to do it to.
pub(super) fn question(app: &App, deed: Deed) -> Result<(String, Command), String> {
    match deed {
        Deed::Stop => {
            let session = app.session().ok_or("no session is selected")?;
            if session.registration != Registration::Active {
                return Err(format!("{} is gone: there is nothing to stop", session.name));
            }
            let command = Stop { session: session.name.clone() }.into_command();
            let words = ending::question(app, &command).ok_or("there is nothing to ask")?;
            Ok((words, command))
        }
        Deed::Unbind => {
            let row = form::selected_task(app).ok_or("no task is selected")?;
            let task = row.task.name.clone();
            form::active(row).ok_or(format!("nobody is bound to {task}"))?;
            let command = Unbind { task, expect: None }.into_command();
            let words = ending::question(app, &command).ok_or("there is nothing to ask")?;
            Ok((words, command))
        }
        Deed::PauseTask | Deed::ResumeTask => {
            let row = form::selected_task(app).ok_or("no task is selected")?;
            let deliveries = app.deliveries().ok_or("what is paused is not known")?;
            let is_paused = deliveries.health.pauses.iter().any(|pause| pause.scope == row.task.id);
            let task = row.task.name.clone();
            match (deed, is_paused) {
                (Deed::PauseTask, false) if row.task.state.is_open() => {
                    let verb = DispatchVerb::Pause { task: Some(task.clone()), all: false, reason: None };
                    let words = format!("Hold back what is to be delivered for {task}, until it is let go on?");
                    Ok((words, Dispatch::of(verb).into_command()))
                }
                (Deed::PauseTask, false) => Err(format!("{task} has ended")),
                (Deed::PauseTask, true) => Err(format!("deliveries of {task} are paused already")),
                (_, true) => {
                    let verb = DispatchVerb::Resume { task: Some(task.clone()), all: false };
                    Ok((format!("Deliver for {task} again?"), Dispatch::of(verb).into_command()))
                }
                (_, false) => Err(format!("deliveries of {task} are not paused")),
            }
        }
    }
}

/// Asks, or says why there is nothing to do.
pub(super) fn ask(app: &mut App, deed: Deed) {
    match question(app, deed) {
        Ok((words, command)) => ask_command(app, &words, command),
        Err(why) => app.say(Part::Warning, why),
    }
}

/// The title of a deed in the palette, with its target; none when there is nothing to do.
pub(super) fn title(app: &App, deed: Deed) -> Option<(String, Command)> {
    let (_, command) = question(app, deed).ok()?;
    let session = app.session().map_or("", |session| &session.name);
    let task = form::selected_task(app).map_or("", |row| &row.task.name);
    let title = match deed {
        Deed::Stop => format!("stop {session}"),
        Deed::Unbind => format!("unbind {task}"),
        Deed::PauseTask => format!("pause deliveries of {task}"),
        Deed::ResumeTask => format!("resume deliveries of {task}"),
    };
    Some((title, command))
}
