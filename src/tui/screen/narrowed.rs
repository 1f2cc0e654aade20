//! The line below the header while a filter hides rows: how many, what brings them back, and the filter itself. It has
//! the whole width, since the headings of lists are too narrow for it.

use ratatui::text::Line;

use super::{dispatch, events, fleet, inbox, styled};
use crate::{
    base::text::counted,
    tui::{
        app::{App, Look, Screen},
        keymap::Intent,
        layer::Layer,
        pair,
        theme::Part,
        wrap::cut,
    },
};

/// Whether rows of the screen may be hidden by what the operator has asked for.
pub(super) fn is_narrowed(app: &App) -> bool {
    match app.screen {
        Screen::Fleet | Screen::Task | Screen::Inbox | Screen::Dispatch => {
            app.board().is_some() && !app.filter_text.is_empty()
        }
        Screen::Events => app.session().is_some() && app.events.is_narrowed(),
        Screen::Doctor => false,
    }
}

/// The line.
pub(super) fn line(app: &App) -> Line<'static> {
    let glyphs = app.settings.glyphs;
    let pieces = match app.screen {
        Screen::Events => events::narrowed(app),
        _ => {
            let what = match hidden(app) {
                (0, 0) => "no row hidden".to_owned(),
                (rows, 0) => format!("{} hidden", counted(rows, "row")),
                (0, gone) => format!("{gone} gone hidden"),
                (rows, gone) => format!("{} and {gone} gone hidden", counted(rows, "row")),
            };
            vec![what, format!("{} {}", clears(app), app.filter_text)]
        }
    };
    styled(
        app,
        Part::Warning,
        format!(" {}", cut(&pieces.join(glyphs.separator()), usize::from(app.size.width).saturating_sub(1), glyphs)),
    )
}

/// How many rows the filter hides, and how many sessions of those that the fleet folds into its last line.
fn hidden(app: &App) -> (usize, usize) {
    let rows = match app.screen {
        Screen::Fleet => return fleet::hidden(app),
        Screen::Task => app.board().map_or(0, |board| board.tasks.len()).saturating_sub(app.tasks().len()),
        Screen::Inbox => inbox::hidden(app),
        Screen::Dispatch => dispatch::hidden(app),
        Screen::Events | Screen::Doctor => 0,
    };
    (rows, 0)
}

/// The key that clears the filter; with what it does before, where that is not the next thing it does.
fn clears(app: &App) -> String {
    // An input line on top has its own keys.
    if matches!(app.layers.last(), Some(Layer::Input(_))) {
        return "filter".to_owned();
    }
    let backs_out = match app.screen {
        Screen::Fleet => app.fleet.look != Look::List || !app.fleet.chosen.is_empty(),
        Screen::Task if pair::focus(app).is_some() => true,
        screen => super::list::of(screen).is_some_and(|list| list.view(app).detail),
    };
    let does = if backs_out { "backs out, then clears filter" } else { "clears filter" };
    app.key_that(Intent::Back, does)
        .or_else(|| app.key_that(Intent::Filter, "changes filter"))
        .unwrap_or_else(|| "filter".to_owned())
}
