//! The Inbox screen: messages that were given up, messages that wait, and what lies in the inboxes.

use ratatui::text::Line;

use super::{
    ago,
    delivery::{self, MessageLine},
    list::Rows,
    nothing,
};
use crate::{
    actions::{Deliveries, Judged, PutToOperator},
    base::{
        Timestamp,
        text::{one_line, visible_line},
    },
    model::{
        deliveries::{CommandRow, ItemFacts, ItemRow, Preview},
        delivery::{ItemState, Phase},
    },
    tui::{
        app::App,
        keymap::Intent,
        listing::Sides,
        operator,
        theme::Part,
        wrap::{cut, indented, wrap},
    },
};

/// The most lines of a message in the detail.
const MESSAGE_LINES: usize = 500;

/// The heading of what is no question.
const MESSAGES: &str = "messages";

/// Columns of who sends what to whom.
const WHO_COLUMNS: usize = 14;

/// A row of the list.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// What waits for the operator's own decision.
    Question(&'a PutToOperator),
    /// A command that does not lie in an inbox.
    Command(&'a CommandRow),
    /// Something in an inbox.
    Item(&'a ItemRow),
}

impl Row<'_> {
    /// The id that is selected.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Question(row) => question_id(row.id),
            Self::Command(row) => row.id.clone(),
            Self::Item(row) => format!("item-{}", row.id),
        }
    }

    /// The session it is for; none when it is for the operator.
    #[must_use]
    pub fn target_id(&self) -> Option<&str> {
        match self {
            Self::Question(_) => None,
            Self::Command(row) => Some(&row.target_id),
            Self::Item(row) => Some(&row.target_id),
        }
    }

    /// What comes first: to be decided, waiting, to be fetched, confirmed.
    fn tier(&self) -> u8 {
        match self {
            Self::Question(_) => 0,
            Self::Command(row) if row.phase.holds_the_line() => 1,
            Self::Command(_) => 0,
            Self::Item(row) if row.facts.state == ItemState::Failed => 0,
            Self::Item(row) if row.facts.consumed_at.is_none() => 2,
            Self::Item(_) => 3,
        }
    }

    fn at(&self) -> Timestamp {
        match self {
            Self::Question(row) => row.asked_at,
            Self::Command(row) => row.updated_at,
            Self::Item(row) => row.facts.said_at().unwrap_or(row.created_at),
        }
    }
}

/// How the row of the question with this number is known.
#[must_use]
pub fn question_id(number: i64) -> String {
    format!("question-{number}")
}

/// The messages of all sessions.
pub struct Inbox;

impl Rows for Inbox {
    type Row<'a> = Row<'a>;

    const NOTHING: &'static str = "no message";

    fn view(app: &App) -> &Sides {
        &app.inbox_view
    }

    fn view_mut(app: &mut App) -> &mut Sides {
        &mut app.inbox_view
    }

    /// The questions put to the operator, the oldest first, of tasks that pass the filter. Below them the messages whose
    /// session passes it: what has to be decided, what waits, what lies in inboxes; the newest
    /// first within each.
    fn rows(app: &App) -> Vec<(String, Row<'_>)> {
        let Some(deliveries) = app.deliveries() else { return Vec::new() };
        let mut rows: Vec<Row<'_>> =
            unfiltered(deliveries).filter(|row| row.target_id().is_some_and(|id| passes(app, id))).collect();
        rows.sort_by_key(Row::tier);
        questions(app).map(Row::Question).chain(rows).map(|row| (row.id(), row)).collect()
    }

    fn heading(app: &App) -> String {
        match questions(app).count() {
            // Scrolled beyond them, or none.
            count if count <= app.inbox_view.list.top => MESSAGES.to_owned(),
            1 => "1 question to you".to_owned(),
            count => format!("{count} questions to you"),
        }
    }

    fn section(app: &App) -> Option<(usize, String)> {
        let count = questions(app).count();
        (count > 0 && Self::rows(app).len() > count).then(|| (count, MESSAGES.to_owned()))
    }

    fn empty(app: &App) -> (Part, String) {
        let text = match (&app.deliveries, app.filter_text.is_empty()) {
            (None, _) => "looking".to_owned(),
            (Some(Err(_)), _) => "what is under way is not known".to_owned(),
            (Some(Ok(_)), true) => nothing::no_messages(app, "no message was ever queued or routed"),
            (Some(Ok(_)), false) => nothing::passes(app),
        };
        (Part::Dim, text)
    }

    fn line(app: &App, row: Row<'_>, width: usize) -> Line<'static> {
        let asked;
        let (sign, state, who, message) = match row {
            Row::Question(row) => {
                asked = Preview::Text(format!("{}: {}", operator::kind(row.kind), row.reason));
                ("!", (Part::NeedsYou, "asks you"), format!("task {}", row.task), &asked)
            }
            Row::Command(row) => (
                if row.phase.holds_the_line() { " " } else { "!" },
                (delivery::phase_part(row.phase), row.phase.word()),
                format!("{} to {}", delivery::kind(row.kind), row.target),
                &row.message,
            ),
            Row::Item(row) => (
                if row.facts.state == ItemState::Failed { "!" } else { " " },
                (item_part(&row.facts), row.facts.word()),
                format!("{} to {}", row.source.as_deref().unwrap_or("operator"), row.target),
                &row.message,
            ),
        };
        let age = match row {
            Row::Command(row) => delivery::age_of(row, app.now),
            _ => delivery::moved(row.at(), app.now),
        };
        MessageLine { sign, state, who: (&who, WHO_COLUMNS), message, age }.draw(app, width)
    }

    fn title(row: Row<'_>) -> String {
        title(row)
    }

    fn detail(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
        detail(app, row, width)
    }
}

/// The messages of all sessions. What was delivered is shown as what lies in the inbox; what was put away is nobody's
/// business any more.
fn unfiltered(deliveries: &Deliveries) -> impl Iterator<Item = Row<'_>> {
    let commands = deliveries
        .commands
        .iter()
        .filter(|row| row.phase.holds_the_line() || row.phase.is_dead_letter() || row.phase == Phase::Ambiguous);
    commands.map(Row::Command).chain(deliveries.items.iter().map(Row::Item))
}

/// How many rows there would be besides without the filter.
pub(super) fn hidden(app: &App) -> usize {
    let messages = app.deliveries().map_or(0, |deliveries| unfiltered(deliveries).count());
    (messages + operator::questions(app).len()).saturating_sub(Inbox::rows(app).len())
}

/// The questions whose task passes the filter.
pub fn questions(app: &App) -> impl Iterator<Item = &PutToOperator> {
    let tasks = app.board().map_or(&[][..], |board| &board.tasks);
    operator::questions(app).iter().filter(move |question| {
        app.filter_text.is_empty()
            || tasks.iter().any(|row| row.task.id == question.task_id && app.filter.matches_task(row, app.now))
    })
}

/// Whether what is for this session passes the filter.
pub(super) fn passes(app: &App, session_id: &str) -> bool {
    app.filter_text.is_empty()
        || app.board().is_some_and(|board| {
            board.sessions.iter().any(|row| row.id == session_id && app.filter.matches_session(row, app.now))
        })
}

/// The selected row, if it is a command.
#[must_use]
pub fn selected_command(app: &App) -> Option<&CommandRow> {
    match Inbox::selected(app)? {
        Row::Command(row) => Some(row),
        Row::Question(_) | Row::Item(_) => None,
    }
}

/// The selected row, if it is a question to the operator.
#[must_use]
pub fn selected_question(app: &App) -> Option<&PutToOperator> {
    match Inbox::selected(app)? {
        Row::Question(row) => Some(row),
        Row::Command(_) | Row::Item(_) => None,
    }
}

/// The style of something in an inbox.
pub(super) fn item_part(facts: &ItemFacts) -> Part {
    match facts.state {
        ItemState::Failed => Part::Failed,
        ItemState::Delivered if facts.is_unread() => Part::DoneUnseen,
        ItemState::Delivered if facts.consumed_at.is_none() => Part::Text,
        ItemState::Delivered | ItemState::Pending | ItemState::Suppressed => Part::Dim,
    }
}

/// A question with all that was said about it. What others wrote stands behind a mark.
fn question(app: &App, row: &PutToOperator, width: usize) -> Vec<(Part, String)> {
    let plain = |part: Part, text: &str| behind("", part, text, width);
    let quoted = |text: &str| behind("| ", Part::Text, text, width);
    let asked = format!("{}, asked {} ago", operator::kind(row.kind), ago(Some(row.asked_at), app.now));
    let mut lines = plain(Part::NeedsYou, &asked);
    lines.extend(plain(Part::Text, &row.reason));
    if row.task_has_ended {
        lines.extend(plain(Part::Warning, "its task has ended: its manager is told nothing any more"));
    }
    if let Some(keys) = app.key_that(Intent::Settle, "answers it: proceed, amend or stop") {
        lines.extend(plain(Part::Key, &keys));
    }
    lines.extend(plain(Part::Dim, &format!("round {}", row.round)));
    lines.push((Part::Text, String::new()));
    lines.extend(plain(
        Part::Dim,
        if row.proposals.is_empty() {
            "the proposals are not both in"
        } else {
            "What others wrote, to be judged by you; nothing of it is an instruction:"
        },
    ));
    for (proposer, words) in &row.proposals {
        let by = row.spoken_for.iter().find(|(side, _)| side == proposer).map(|(_, by)| by);
        let title = match by {
            None => format!("the {proposer} proposes"),
            Some(by) => format!("{by} proposes for the {proposer}"),
        };
        lines.extend(plain(Part::Title, &title));
        lines.extend(words.iter().flat_map(|line| quoted(line)));
    }
    match &row.judged {
        None => lines.extend(plain(Part::Dim, "nobody has judged them")),
        Some(Judged { source, agreement, verdict, rationale, addendum }) => {
            lines.extend(plain(Part::Title, &format!("the {source} judges: {agreement}, {verdict}")));
            lines.extend(quoted(rationale));
            if let Some(addendum) = addendum {
                lines.extend(plain(Part::Title, "and adds"));
                lines.extend(quoted(addendum));
            }
        }
    }
    lines
}

/// A text in lines behind a mark, with nothing in it that a terminal would obey.
fn behind(mark: &str, part: Part, text: &str, width: usize) -> Vec<(Part, String)> {
    let wrapped = |line| wrap(&visible_line(line), width.saturating_sub(mark.len()), MESSAGE_LINES);
    text.lines().flat_map(wrapped).map(|line| (part, format!("{mark}{line}"))).collect()
}

/// When the task of something in an inbox ended; nothing while it is open, or when it ended before that was there.
fn ended_at(app: &App, row: &ItemRow) -> String {
    let tasks = app.board().map_or(&[][..], |board| &board.tasks);
    let task = tasks.iter().find(|one| row.task_id.as_ref() == Some(&one.task.id));
    let at = task.and_then(|one| one.task.end.as_ref()).map(|end| end.at).filter(|at| *at >= row.created_at);
    at.map(|at| format!(" {} ago", ago(Some(at), app.now))).unwrap_or_default()
}

fn title(row: Row<'_>) -> String {
    let (what, task) = match row {
        Row::Question(row) => return format!("question {} to you, task {}", row.id, row.task),
        Row::Command(row) => (format!("{} to {}", delivery::kind(row.kind), row.target), &row.task),
        Row::Item(row) => (format!("in the inbox of {}", row.target), &row.task),
    };
    match task {
        Some(task) => format!("{what}, task {task}"),
        None => what,
    }
}

fn detail(app: &App, row: Row<'_>, width: usize) -> Vec<(Part, String)> {
    let width = width.saturating_sub(2);
    let fold = |lines: Vec<(Part, String)>| -> Vec<(Part, String)> {
        lines
            .into_iter()
            .flat_map(|(part, text)| wrap(&text, width, MESSAGE_LINES).into_iter().map(move |line| (part, line)))
            .collect()
    };
    let facts = |lines: Vec<(Part, String)>| -> Vec<(Part, String)> {
        lines
            .into_iter()
            .flat_map(|(part, text)| indented(&text, width, MESSAGE_LINES).into_iter().map(move |line| (part, line)))
            .collect()
    };
    let Some(deliveries) = app.deliveries() else { return Vec::new() };
    let (mut lines, message, id) = match row {
        Row::Question(row) => return question(app, row, width),
        Row::Command(row) => {
            let mut lines = facts(delivery::way(app, deliveries, row));
            let keys = delivery::keys(app, row.phase).map(|keys| (Part::Key, keys));
            lines.extend(fold(keys.into_iter().collect()));
            (lines, &row.message, row.id.clone())
        }
        Row::Item(row) => {
            let from = row.source.as_deref().unwrap_or("the operator");
            let mut lines = fold(vec![(Part::Text, format!("{} of {from}", one_line(&row.signal)))]);
            lines.extend(facts(delivery::facts(app, &row.facts)));
            let (part, word) = match row.facts.state {
                ItemState::Suppressed => (Part::Dim, format!("put away{}", ended_at(app, row))),
                _ => (Part::Failed, "given up".to_owned()),
            };
            let error = row.error.as_deref().map(|error| (part, format!("{word}: {}", one_line(error))));
            lines.extend(fold(error.into_iter().collect()));
            (lines, &row.message, row.command_id.clone().unwrap_or_else(|| format!("message {}", row.id)))
        }
    };
    lines.push((Part::Dim, cut(&id, width, app.settings.glyphs)));
    lines.push((Part::Text, String::new()));
    lines.extend(match message {
        Preview::Text(text) => fold(vec![(Part::Text, text.clone())]),
        Preview::Long(bytes) => {
            fold(vec![(Part::Dim, format!("{bytes} bytes, too long to be shown here: `conveyor commands --json`"))])
        }
    });
    lines
}
