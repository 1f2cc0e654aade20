//! What is put to the operator: questions of tasks that nobody else may answer. They stand in the Inbox, and each row
//! of their task in the Fleet needs the operator as long as they are open.

use super::{
    app::{App, Screen},
    form,
    screen::inbox,
};
use crate::{
    actions::{Command, PutToOperator},
    base::{
        Timestamp,
        text::{age, one_line},
    },
    model::{
        board::{Attention, SessionRow},
        state::Condition,
        supervision::OperatorQuestion,
    },
};

/// All that are open, the oldest first.
#[must_use]
pub fn questions(app: &App) -> &[PutToOperator] {
    app.deliveries().map_or(&[], |deliveries| &deliveries.questions)
}

/// The oldest one of a task.
#[must_use]
pub fn of_task<'a>(app: &'a App, task_id: &str) -> Option<&'a PutToOperator> {
    questions(app).iter().find(|question| question.task_id == task_id)
}

/// The oldest one of the task that a session is bound to.
#[must_use]
pub fn of_session<'a>(app: &'a App, row: &SessionRow) -> Option<&'a PutToOperator> {
    of_task(app, row.task_id.as_deref()?)
}

/// How much the row of a session asks for: by itself, or for its task.
#[must_use]
pub fn attention(app: &App, row: &SessionRow) -> Attention {
    match row.attention {
        Attention::Gone => Attention::Gone,
        _ if of_session(app, row).is_some() => Attention::NeedsYou,
        own => own,
    }
}

/// The one that is selected in the Inbox.
#[must_use]
pub fn selected(app: &App) -> Option<&PutToOperator> {
    inbox::selected_question(app).filter(|_| app.screen == Screen::Inbox)
}

/// Whether the key that answers is about one: the selected one, or that of the selected session, which asks nothing itself.
#[must_use]
pub fn is_answerable(app: &App) -> bool {
    let of_session = || {
        let row = app.session().filter(|row| row.judgement.condition != Condition::Blocked)?;
        of_session(app, row)
    };
    selected(app).is_some() || (app.screen != Screen::Inbox && of_session().is_some())
}

/// The one that an answer would be about: the selected one, that of the selected task, the oldest.
#[must_use]
pub fn meant(app: &App) -> Option<&PutToOperator> {
    let of_selected = || of_task(app, &form::selected_task(app)?.task.id);
    selected(app).or_else(of_selected).or_else(|| questions(app).first())
}

/// Why it is put, in plain words.
#[must_use]
pub fn kind(kind: OperatorQuestion) -> &'static str {
    match kind {
        OperatorQuestion::ContinuationReady => "what comes next is yours to decide",
        OperatorQuestion::ContinuationDivergent => "worker and manager do not agree",
        OperatorQuestion::ContinuationStopped => "the verdict is to stop",
        OperatorQuestion::ReviewFailed => "there is no verdict that counts",
    }
}

/// One in a row of the Fleet: what is asked, and since when.
#[must_use]
pub fn brief(question: &PutToOperator, now: Timestamp) -> (String, String) {
    let since = age(question.asked_at.age_seconds(now));
    (format!("{}: {}", kind(question.kind), one_line(&question.reason)), format!("needs you {since}"))
}

/// What is asked before an answer is given; none for another command.
pub(super) fn question(app: &App, command: &Command) -> Option<String> {
    let Command::OperatorInbox(action) = command else { return None };
    let (id, answer) = (action.settle?, action.answer?);
    let about = questions(app).iter().find(|question| question.id == id);
    let about = about.map_or_else(String::new, |question| {
        format!(" of {}, {}: {}", question.task, kind(question.kind), one_line(&question.reason))
    });
    let told = match questions(app).iter().find(|question| question.id == id) {
        Some(question) if question.task_has_ended => {
            "The task has ended: its manager is told nothing, the answer stays on record."
        }
        _ => "The task's manager is told, as your message.",
    };
    Some(format!("Answer \"{answer}\"? {told}\n\nQuestion {id}{about}"))
}
