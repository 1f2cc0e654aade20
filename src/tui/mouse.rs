//! What the mouse does: a click only selects, the wheel scrolls.

use ratatui::layout::Position;

use super::{
    app::{App, Look, Screen},
    input::step,
    layer::{Asked, Layer},
    look,
    message::Effect,
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
        Screen::Task => {
            if let Some(id) = screen::task::hit(app, at) {
                app.task_view.select(id);
                app.task_view.detail = false;
                app.pair.focus = None;
            } else if let Some(end) = screen::task::hit_end(app, at) {
                app.pair.focus = Some(end);
            }
        }
        Screen::Inbox => {
            if let Some(id) = screen::inbox::hit(app, at) {
                app.inbox_view.select(id);
            }
        }
        Screen::Dispatch => {
            if let Some(id) = screen::dispatch::hit(app, at) {
                app.dispatch.view.select(id);
            }
        }
        Screen::Doctor => {
            if let Some(id) = screen::doctor::hit(app, at) {
                app.doctor.view.select(id);
            }
        }
        Screen::Events => screen::events::click(app, at),
    }
}

/// The wheel scrolls what is under it.
pub fn wheel(app: &mut App, column: u16, row: u16, down: bool, effects: &mut Vec<Effect>) {
    let by: isize = if down { 3 } else { -3 };
    match app.layers.last_mut() {
        Some(Layer::Reader(_)) => {
            let limit = screen::layers::overflow(app);
            if let Some(Layer::Reader(reader)) = app.layers.last_mut() {
                reader.scroll = reader.scroll.saturating_add_signed(by).min(limit);
            }
        }
        Some(Layer::Help { .. }) => {
            let limit = screen::layers::overflow(app);
            if let Some(Layer::Help { scroll, .. }) = app.layers.last_mut() {
                *scroll = scroll.saturating_add_signed(by).min(limit);
            }
        }
        Some(Layer::Confirm { .. } | Layer::Answer(_)) => {
            let limit = screen::layers::overflow(app);
            if let Some(Layer::Confirm { scroll, .. } | Layer::Answer(Asked { scroll, .. })) = app.layers.last_mut() {
                *scroll = scroll.saturating_add_signed(by).min(limit);
            }
        }
        Some(
            Layer::Input(_)
            | Layer::Nudge(_)
            | Layer::Snooze(_)
            | Layer::Form(_)
            | Layer::Palette(_)
            | Layer::Receipts(_),
        ) => {}
        None => {
            if !look::scroll_at(app, Position::new(column, row), by, effects) {
                step(app, by.signum(), effects);
            }
        }
    }
}
