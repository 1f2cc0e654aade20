//! A screen that is a list with the selected row in full beside it: tasks, messages, queues, findings.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    text::Line,
};

use super::{dispatch, divider, doctor, frames, heading, inbox, mark, put, sides, styled, task};
use crate::tui::{
    app::{App, Screen},
    listing::Sides,
    theme::Part,
};

/// What such a screen is about. Selecting, scrolling, clicking and drawing are the same for all of them.
pub trait Rows {
    /// A row of the list.
    type Row<'a>: Copy;

    /// The heading of the pane beside the list while nothing is selected.
    const NOTHING: &'static str;

    /// Selection and scrolling.
    fn view(app: &App) -> &Sides;

    /// The same, to be changed.
    fn view_mut(app: &mut App) -> &mut Sides;

    /// The rows in their order, each with the id by which it is selected.
    fn rows(app: &App) -> Vec<(String, Self::Row<'_>)>;

    /// The heading of the list.
    fn heading(app: &App) -> String;

    /// The row from which on the list has another heading, and that heading.
    fn section(_: &App) -> Option<(usize, String)> {
        None
    }

    /// What stands in place of rows.
    fn empty(app: &App) -> (Part, String);

    /// A row of the list.
    fn line(app: &App, row: Self::Row<'_>, width: usize) -> Line<'static>;

    /// The heading of the pane beside the list.
    fn title(row: Self::Row<'_>) -> String;

    /// The row in full, in lines of this width.
    fn detail(app: &App, row: Self::Row<'_>, width: usize) -> Vec<(Part, String)>;

    /// The row that is selected before anybody has chosen one; none is the first.
    fn first(_: &App) -> Option<String> {
        None
    }

    /// Where the list and the pane beside it are.
    fn areas(app: &App) -> (Rect, Rect) {
        sides(frames(app).body, Self::view(app).detail)
    }

    /// Whether the list, and whether the pane beside it, has the keyboard.
    fn has_keyboard(app: &App) -> (bool, bool) {
        let detail = Self::view(app).detail;
        (!detail, detail)
    }

    /// The selected row.
    fn selected(app: &App) -> Option<Self::Row<'_>> {
        let id = Self::view(app).list.id.as_deref()?;
        Self::rows(app).into_iter().find_map(|(other, row)| (other == id).then_some(row))
    }
}

/// One such screen, whichever it is.
pub trait ListScreen {
    /// Selection and scrolling.
    fn view<'a>(&self, app: &'a App) -> &'a Sides;

    /// The same, to be changed.
    fn view_mut<'a>(&self, app: &'a mut App) -> &'a mut Sides;

    /// The ids of the rows, in their order.
    fn ids(&self, app: &App) -> Vec<String>;

    /// How many rows the list shows.
    fn visible_rows(&self, app: &App) -> usize;

    /// The row at `at`.
    fn hit(&self, app: &App, at: Position) -> Option<String>;

    /// Brings selection and scrolling in line with what is there now.
    fn settle(&self, app: &mut App);

    /// Draws list and pane.
    fn draw(&self, app: &App, frame: &mut Frame<'_>);
}

/// A screen as such a list; none for one that is something else.
#[must_use]
pub fn of(screen: Screen) -> Option<&'static dyn ListScreen> {
    match screen {
        Screen::Task => Some(&task::Tasks),
        Screen::Inbox => Some(&inbox::Inbox),
        Screen::Dispatch => Some(&dispatch::Queues),
        Screen::Doctor => Some(&doctor::Findings),
        Screen::Fleet | Screen::Events => None,
    }
}

impl<S: Rows> ListScreen for S {
    fn view<'a>(&self, app: &'a App) -> &'a Sides {
        S::view(app)
    }

    fn view_mut<'a>(&self, app: &'a mut App) -> &'a mut Sides {
        S::view_mut(app)
    }

    fn ids(&self, app: &App) -> Vec<String> {
        S::rows(app).into_iter().map(|(id, _)| id).collect()
    }

    fn visible_rows(&self, app: &App) -> usize {
        below_heading(S::areas(app).0).saturating_sub(usize::from(S::section(app).is_some()))
    }

    fn hit(&self, app: &App, at: Position) -> Option<String> {
        let list = S::areas(app).0;
        if !list.contains(at) || at.y == list.y {
            return None;
        }
        let line = usize::from(at.y - list.y - 1);
        let index = S::view(app).list.top + line;
        let index = match heading_line::<S>(app) {
            Some(heading) if line == heading => return None,
            Some(heading) if line > heading => index - 1,
            _ => index,
        };
        S::rows(app).into_iter().nth(index).map(|(id, _)| id)
    }

    fn settle(&self, app: &mut App) {
        let (ids, visible) = (self.ids(app), self.visible_rows(app));
        if S::view(app).list.id.is_none() && !ids.is_empty() {
            let first = S::first(app);
            S::view_mut(app).list.id = first;
        }
        S::view_mut(app).list.settle(&ids, visible);
        // Only what is scrolled has to be laid out to know how far it goes.
        if S::view(app).scroll > 0 {
            let overflow = overflow::<S>(app);
            let view = S::view_mut(app);
            view.scroll = view.scroll.min(overflow);
        }
    }

    fn draw(&self, app: &App, frame: &mut Frame<'_>) {
        let (list, detail) = S::areas(app);
        if !list.is_empty() {
            draw_list::<S>(app, frame, list);
        }
        if !detail.is_empty() {
            draw_detail::<S>(app, frame, detail);
        }
    }
}

fn below_heading(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

/// The line below the list's own heading at which the second one stands; none while it is scrolled away.
fn heading_line<S: Rows>(app: &App) -> Option<usize> {
    let (from, _) = S::section(app)?;
    from.checked_sub(S::view(app).list.top).filter(|line| *line > 0)
}

/// How many lines of the pane do not fit.
fn overflow<S: Rows>(app: &App) -> usize {
    let area = S::areas(app).1;
    let lines = S::selected(app).map_or(0, |row| S::detail(app, row, usize::from(area.width)).len());
    lines.saturating_sub(below_heading(area))
}

fn draw_list<S: Rows>(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let (focused, _) = S::has_keyboard(app);
    put(frame, area, 0, heading(app, &S::heading(app), focused, area.width));
    let rows = S::rows(app);
    if rows.is_empty() {
        let (part, text) = S::empty(app);
        super::nothing::in_list(app, frame, area, part, &text);
    }
    let list = &S::view(app).list;
    let second = heading_line::<S>(app);
    if let (Some(line), Some((_, text))) = (second.filter(|line| *line < below_heading(area)), S::section(app)) {
        put(frame, area, line + 1, heading(app, &text, focused, area.width));
    }
    let lines = (0..below_heading(area)).filter(|line| Some(*line) != second);
    for (index, (id, row)) in lines.zip(rows.into_iter().skip(list.top)) {
        put(frame, area, index + 1, S::line(app, row, usize::from(area.width)));
        if list.id.as_deref() == Some(&*id)
            && let Ok(index) = u16::try_from(index)
        {
            mark(app, frame, Rect::new(area.x, area.y + 1 + index, area.width, 1), focused);
        }
    }
}

fn draw_detail<S: Rows>(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let (_, focused) = S::has_keyboard(app);
    if area.x > 0 {
        divider(app, frame, Rect { x: area.x - 1, width: 1, ..area });
    }
    let selected = S::selected(app);
    let title = selected.map_or_else(|| S::NOTHING.to_owned(), S::title);
    put(frame, area, 0, heading(app, &title, focused, area.width));
    let Some(row) = selected else { return };
    let lines = S::detail(app, row, usize::from(area.width)).into_iter().skip(S::view(app).scroll);
    for (index, (part, line)) in lines.take(below_heading(area)).enumerate() {
        put(frame, area, index + 1, styled(app, part, format!(" {line}")));
    }
}
