//! Drawing the criteria of a task in a box: each with what shows it, the selected one marked, and what can be done to it.

use ratatui::text::Line;

use super::{finish, layers, styled};
use crate::{
    actions::{Action as _, Argv, Criteria},
    tui::{
        app::App,
        criteria::{Asked, adding, known, meant},
        finish::can_finish,
        keymap::{Intent, Place},
        submitting::command_line,
        theme::Part,
        works::works,
    },
};

/// What can be done, in the order of the keys below the box.
const ACTS: [(Intent, &str); 5] = [
    (Intent::AddCriterion, "add"),
    (Intent::AcceptCriterion, "accept"),
    (Intent::SatisfyCriterion, "satisfy"),
    (Intent::DeferCriterion, "defer"),
    (Intent::RejectCriterion, "reject"),
];

/// The lines of the box.
pub(super) fn lines(app: &App, asked: &Asked, width: usize) -> Vec<Line<'static>> {
    let (mut lines, _) = criteria(app, asked, width);
    lines.push(Line::default());
    let list = Argv { words: vec![Criteria::NAME.to_owned(), asked.name.clone(), "--list".to_owned()], stdin: None };
    let text = format!("the same in a shell: {}", command_line(app, &list));
    lines.extend(layers::wrapped(app, Part::Dim, &text, width));
    lines
}

/// The criteria, and which lines are those of the selected one.
fn criteria(app: &App, asked: &Asked, width: usize) -> (Vec<Line<'static>>, std::ops::Range<usize>) {
    let criteria = match (app.proofs.of(&asked.task), known(app)) {
        (Some(Err(failure)), _) => return (layers::wrapped(app, Part::Error, &failure.message, width), 0..1),
        (_, None) => return (layers::wrapped(app, Part::Dim, "looking", width), 0..1),
        (_, Some([])) => {
            let mut lines = layers::wrapped(
                app,
                Part::Warning,
                "nothing is asked for yet: nothing says when the task is done",
                width,
            );
            if can_finish(app) {
                let key = app.key_in(Place::Criteria, Intent::AddCriterion);
                let text = format!("{key} adds the first one, as {}", command_line(app, &adding(&asked.name)));
                lines.extend(layers::wrapped(app, Part::Text, &text, width));
            }
            return (lines, 0..1);
        }
        (_, Some(criteria)) => criteria,
    };
    let selected = meant(app).map(|one| one.id);
    let mut lines = Vec::new();
    let mut range = 0..1;
    for one in criteria {
        let is_selected = selected == Some(one.id);
        let start = lines.len();
        for (row, (part, text)) in
            finish::proofs(std::slice::from_ref(one), width.saturating_sub(2)).into_iter().enumerate()
        {
            let (mark, part) = match (is_selected, row) {
                (true, 0) => ("> ", Part::Title),
                _ => ("  ", part),
            };
            lines.push(styled(app, part, format!("{mark}{text}")));
        }
        if is_selected {
            range = start..lines.len();
        }
    }
    (lines, range)
}

/// First and last line of the selected criterion, and how many lines the box shows.
#[must_use]
pub fn selected_lines(app: &App) -> (usize, usize, usize) {
    let Some(crate::tui::layer::Layer::Criteria(asked)) = app.layers.last() else { return (0, 0, 0) };
    let (_, range) = criteria(app, asked, layers::text_width(app));
    (range.start, range.end.saturating_sub(1), layers::room(app))
}

/// The keys below the box: what can be done now.
pub(super) fn keys(app: &App, width: usize) -> Vec<Line<'static>> {
    let acts = ACTS.iter().filter(|(intent, _)| works(app, *intent)).copied();
    layers::key_lines(app, Place::Criteria, acts.chain([(Intent::Back, "close")]), width)
}

/// What stands in the task's detail when nothing is asked for.
pub(super) fn how_to_add(app: &App) -> Option<String> {
    let key = app.key_that(Intent::Criteria, "opens them")?;
    let adds = app.key_in(Place::Criteria, Intent::AddCriterion);
    Some(format!("{key}, {adds} adds one there"))
}
