//! Going from one that wants a look to the next, and what the filter keeps from view of them.

use super::{
    app::{App, Screen},
    message::Effect,
    moving::show,
    operator,
    screen::{
        fleet::{self, Row},
        inbox,
    },
    theme::Part,
};
use crate::model::board::Attention;

/// Which way to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// On.
    Next,
    /// Back.
    Previous,
}

/// What the filter hides and who looks for work wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Hidden {
    /// So many need the operator.
    needing: usize,
    /// So many do not, and were not looked at.
    unread: usize,
}

impl Hidden {
    fn of(app: &App) -> Self {
        let rows = fleet::filtered(app);
        let asks = |row: &&Row<'_>| row.attention(app) == Attention::NeedsYou;
        let (needing, unread): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
            rows.iter().filter(|row| row.wants_look(app)).partition(asks);
        // A question whose task has ended may have no row in the fleet.
        let has_row = |task: &str| needing.iter().any(|row| row.task_id() == Some(task));
        let shown: Vec<i64> = inbox::questions(app).map(|question| question.id).collect();
        let questions = operator::questions(app)
            .iter()
            .filter(|question| !has_row(&question.task_id) && !shown.contains(&question.id));
        Self { needing: needing.len() + questions.count(), unread: unread.len() }
    }

    /// What is said of it; none when nothing is hidden.
    fn words(self) -> Option<String> {
        let needing = match self.needing {
            0 => None,
            1 => Some("1 that needs you".to_owned()),
            count => Some(format!("{count} that need you")),
        };
        let unread = (self.unread > 0).then(|| format!("{} unread", self.unread));
        let hidden: Vec<String> = needing.into_iter().chain(unread).collect();
        (!hidden.is_empty()).then(|| format!("the filter hides {}", hidden.join(" and ")))
    }
}

/// Goes to the next row that needs the operator, or that was not looked at.
pub(super) fn next(app: &mut App, step: Step, effects: &mut Vec<Effect>) {
    let rows = fleet::rows(app);
    let ids: Vec<(String, bool)> = rows.iter().map(|row| (row.id().to_owned(), row.wants_look(app))).collect();
    if !ids.iter().any(|(_, wants)| *wants) {
        // What no row of the fleet stands for is in the Inbox.
        let question = inbox::questions(app).next().map(|question| question.id);
        if let Some(id) = question {
            app.inbox_view.select(inbox::question_id(id));
            return show(app, Screen::Inbox, effects);
        }
        return match Hidden::of(app).words() {
            Some(text) => app.say_while(Part::Dim, text, |app| Hidden::of(app) != Hidden::default()),
            None => app.say_while(Part::Dim, "nobody needs you, and nothing is unread", |app| {
                !fleet::rows(app).iter().any(|row| row.wants_look(app)) && operator::questions(app).is_empty()
            }),
        };
    }
    let from = ids.iter().position(|(id, _)| Some(id) == app.fleet.list.id.as_ref()).unwrap_or(0);
    let next = (1..=ids.len()).map(|distance| match step {
        Step::Next => (from + distance) % ids.len(),
        Step::Previous => (from + ids.len() - distance) % ids.len(),
    });
    let found = next.map(|index| &ids[index]).find(|(_, wants)| *wants).map(|(id, _)| id.clone());
    if matches!(app.screen, Screen::Task | Screen::Inbox | Screen::Dispatch | Screen::Doctor) {
        // Also when the row is selected already: what it shows was loaded before the Task screen was opened.
        app.screen = Screen::Fleet;
        app.fleet.list.id = found;
        app.selection_changed(effects);
        return;
    }
    app.select(found, effects);
}
