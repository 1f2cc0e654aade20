//! Drawing: each screen is a pure function of the state. Nothing here changes anything.

mod bars;
mod criteria;
pub mod criteria_list;
pub mod delivery;
pub mod dispatch;
pub mod doctor;
pub mod events;
pub mod explain;
mod finish;
pub mod fleet;
mod form;
mod help;
pub mod inbox;
pub mod layers;
pub mod legend;
pub mod list;
mod narrowed;
mod nothing;
mod nudge;
pub mod palette;
mod pane;
mod policy;
pub mod preview;
mod receipts;
mod record;
pub mod talk;
pub mod task;
pub mod usage;
mod waiting;

use ratatui::{
    Frame,
    layout::{Rect, Size},
    style::Style,
    text::{Line, Span},
};
use unicode_width::UnicodeWidthStr;

use self::list::ListScreen as _;
use super::{
    app::{App, BoardState, Screen},
    layer::Layer,
    theme::Part,
    wrap::cut,
};
use crate::{
    base::{Timestamp, text::age},
    model::deliveries::CommandRow,
};

/// Smaller than this nothing can be shown.
const SMALLEST: Size = Size { width: 30, height: 8 };

/// Whether nothing but that can be shown.
#[must_use]
pub fn is_too_small(size: Size) -> bool {
    size.width < SMALLEST.width || size.height < SMALLEST.height
}

/// The lines of the screen.
pub(super) struct Frames {
    header: Rect,
    narrowed: Rect,
    pub(super) body: Rect,
    banner: Rect,
    footer: Rect,
}

/// Divides the terminal. While rows are hidden, the line that says so stands above the body.
pub(super) fn frames(app: &App) -> Frames {
    let size = app.size;
    let narrowed = u16::from(narrowed::is_narrowed(app));
    let line = |y: u16| Rect::new(0, y, size.width, 1.min(size.height.saturating_sub(y)));
    Frames {
        header: line(0),
        narrowed: Rect { height: narrowed, ..line(1) },
        body: Rect::new(0, 1 + narrowed, size.width, size.height.saturating_sub(3 + narrowed)),
        banner: line(size.height.saturating_sub(2)),
        footer: line(size.height.saturating_sub(1)),
    }
}

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let size = area.as_size();
    // The terminal has shrunk or grown this moment and the message is under way. What is laid out for the old size
    // could lie outside.
    if size != app.size || area.is_empty() {
        return;
    }
    if is_too_small(size) {
        let text = format!("too small: {}x{}, needs {}x{}", size.width, size.height, SMALLEST.width, SMALLEST.height);
        put(frame, area, 0, Line::raw(cut(&text, area.width.into(), app.settings.glyphs)));
        return;
    }
    let frames = frames(app);
    put(frame, frames.header, 0, bars::header(app));
    put(frame, frames.narrowed, 0, narrowed::line(app));
    match &app.board {
        // Drawn whatever is known of the board.
        _ if app.screen == Screen::Doctor => doctor::Findings.draw(app, frame),
        BoardState::Loading => nothing::paragraphs(app, frame, frames.body, &[nothing::reading_the_ledger(app)]),
        BoardState::Failed(failure) => nothing::failed(app, frame, frames.body, failure),
        BoardState::Missing(failure) => nothing::first_start(app, frame, frames.body, Some(failure)),
        BoardState::Ready(board) if board.sessions.is_empty() && board.tasks.is_empty() => {
            nothing::first_start(app, frame, frames.body, None);
        }
        BoardState::Ready(_) => match (app.screen, list::of(app.screen)) {
            (Screen::Fleet, _) => fleet::draw(app, frame),
            (Screen::Task, _) => task::draw(app, frame),
            (_, Some(list)) => list.draw(app, frame),
            (_, None) => events::draw(app, frame, frames.body),
        },
    }
    bars::draw_banner(app, frame, banner_at(app, frames.banner));
    put(frame, frames.footer, 0, bars::footer(app));
    if let Some(layer) = app.layers.last() {
        match layer {
            Layer::Input(input) => layers::input(app, frame, frames.footer, frames.banner, input),
            Layer::Nudge(nudge) => nudge::draw(app, frame, nudge),
            Layer::Form(form) => form::draw(app, frame, form),
            Layer::Palette(palette) => palette::draw(app, frame, palette),
            Layer::Receipts(selected) => receipts::draw(app, frame, *selected),
            Layer::Help { .. }
            | Layer::Reader(_)
            | Layer::Confirm { .. }
            | Layer::Answer(_)
            | Layer::Snooze(_)
            | Layer::Finish(_)
            | Layer::Criteria(_)
            | Layer::Policy(_)
            | Layer::Record(_) => {
                layers::draw(app, frame, layer);
            }
        }
    }
}

/// Where the banner is: above the input line's hint when it says something that must be seen now.
fn banner_at(app: &App, banner: Rect) -> Rect {
    let Some(Layer::Input(input)) = app.layers.last().filter(|_| bars::has_news(app)) else { return banner };
    let (_, hints) = layers::hints(app, input, banner.width.into());
    Rect { y: banner.y.saturating_sub(u16::try_from(hints.len()).unwrap_or(0)), ..banner }
}

/// Puts a line into the `index`th row of `area`.
pub(super) fn put(frame: &mut Frame<'_>, area: Rect, index: usize, line: Line<'_>) {
    if let Ok(index) = u16::try_from(index)
        && index < area.height
    {
        frame.render_widget(line, Rect::new(area.x, area.y + index, area.width, 1));
    }
}

/// A line in one style.
pub(super) fn styled(app: &App, part: Part, text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), app.settings.theme.style(part))
}

/// A piece in one style.
pub(super) fn span(app: &App, part: Part, text: impl Into<String>) -> Span<'static> {
    Span::styled(text.into(), app.settings.theme.style(part))
}

/// Marks a row as selected.
pub(super) fn mark(app: &App, frame: &mut Frame<'_>, row: Rect, focused: bool) {
    let part = if focused { Part::Selected } else { Part::SelectedAway };
    frame.buffer_mut().set_style(row, app.settings.theme.style(part));
}

/// Where a list and the pane beside it are: below 50 columns only one of them, from 100 on side by side.
pub(super) fn sides(body: Rect, detail: bool) -> (Rect, Rect) {
    let Rect { x, y, width, height } = body;
    match width {
        0..50 if detail => (Rect::default(), body),
        0..50 => (body, Rect::default()),
        50..100 => {
            let list = height / 2;
            (Rect::new(x, y, width, list), Rect::new(x, y + list, width, height - list))
        }
        _ => {
            let split = width / 2;
            (Rect::new(x, y, split, height), Rect::new(x + split + 1, y, width - split - 1, height))
        }
    }
}

/// The selected command of a screen that shows commands.
#[must_use]
pub fn selected_command(app: &App) -> Option<&CommandRow> {
    match app.screen {
        Screen::Inbox => inbox::selected_command(app),
        Screen::Dispatch => dispatch::selected_command(app),
        Screen::Fleet | Screen::Task | Screen::Events | Screen::Doctor => None,
    }
}

/// The line between two panes.
pub(super) fn divider(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let sign = if app.settings.glyphs.is_ascii() { "|" } else { "│" };
    let style = app.settings.theme.style(Part::Border);
    for y in area.y..area.bottom() {
        frame.buffer_mut().set_string(area.x, y, sign, style);
    }
}

/// The heading of a pane.
pub(super) fn heading(app: &App, text: &str, focused: bool, width: u16) -> Line<'static> {
    let part = if focused { Part::BorderFocus } else { Part::Border };
    let rule = if app.settings.glyphs.is_ascii() { "-" } else { "─" };
    let text = cut(text, usize::from(width).saturating_sub(4), app.settings.glyphs);
    let rest = usize::from(width).saturating_sub(text.width() + 4);
    let title = if focused { app.settings.theme.style(part).patch(bold(app)) } else { bold(app) };
    Line::from(vec![
        span(app, part, format!("{rule} ")),
        Span::styled(text, title),
        span(app, part, format!(" {}", rule.repeat(rest + 1))),
    ])
}

fn bold(app: &App) -> Style {
    app.settings.theme.style(Part::Title)
}

/// How long ago, or `?`.
pub(super) fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "?".to_owned(), |at| age(at.age_seconds(now)))
}
