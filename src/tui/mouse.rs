//! What the mouse does: a click only selects, the wheel scrolls.

use ratatui::layout::Position;

use super::{
    app::{App, Look, Screen},
    layer::Layer,
    look,
    message::Effect,
    moving::step,
    screen::{self, fleet},
};

/// A click only ever selects.
pub fn click(app: &mut App, column: u16, row: u16, effects: &mut Vec<Effect>) {
    if !app.layers.is_empty() {
        return;
    }
    let at = Position::new(column, row);
    match app.screen {
        Screen::Fleet => match fleet::hit(app, at) {
            fleet::Hit::Row(id) => {
                app.fleet.look = Look::List;
                app.select(Some(id), effects);
            }
            fleet::Hit::Preview if app.fleet.look == Look::List => app.fleet.look = Look::Peek,
            fleet::Hit::Preview | fleet::Hit::Nothing => {}
        },
        Screen::Task if screen::task::hit_end(app, at).is_some() => app.pair.focus = screen::task::hit_end(app, at),
        Screen::Events => screen::events::click(app, at),
        Screen::Task | Screen::Inbox | Screen::Dispatch | Screen::Doctor => {
            let Some(list) = screen::list::of(app.screen) else { return };
            if let Some(id) = list.hit(app, at) {
                if app.screen == Screen::Task {
                    app.task_view.detail = false;
                    app.pair.focus = None;
                }
                list.view_mut(app).select(id);
                app.selection_changed(effects);
            }
        }
    }
}

/// The wheel scrolls what is under it.
pub fn wheel(app: &mut App, column: u16, row: u16, down: bool, effects: &mut Vec<Effect>) {
    let by: isize = if down { 3 } else { -3 };
    if app.layers.is_empty() {
        if !look::scroll_at(app, Position::new(column, row), by, effects) {
            step(app, by.signum(), effects);
        }
        return;
    }
    let limit = screen::layers::overflow(app);
    if let Some(scroll) = app.layers.last_mut().and_then(Layer::scroll_mut) {
        *scroll = scroll.saturating_add_signed(by).min(limit);
    }
}
