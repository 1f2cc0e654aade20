//! Moving about in what is shown of a session: its conversation and its pane.

use ratatui::layout::Position;

use super::{
    app::App,
    markdown::Paint,
    message::Effect,
    screen::preview,
    theme::Part,
    views::{Spot, View},
};

/// Columns that a pane moves by.
const PAN: usize = 8;

/// The session that has the keyboard, and where it is shown.
fn place(app: &App) -> Option<(Spot, Paint)> {
    let spot = preview::spots(app).into_iter().find(|spot| spot.has_keyboard)?;
    let paint = app.paint(spot.width);
    Some((spot, paint))
}

fn view<'a>(app: &'a mut App, spot: &Spot) -> Option<&'a mut View> {
    app.views.of_mut(&spot.session)
}

/// Scrolls what is shown at a place by so many lines; whether a session is shown there.
pub(super) fn scroll_at(app: &mut App, at: Position, by: isize, effects: &mut Vec<Effect>) -> bool {
    let Some(spot) = preview::spots(app).into_iter().find(|spot| spot.area.contains(at)) else { return false };
    let paint = app.paint(spot.width);
    scroll_in(app, &spot, paint, by, effects);
    true
}

/// Scrolls by so many lines; downwards when there are more than none.
pub(super) fn scroll(app: &mut App, by: isize, effects: &mut Vec<Effect>) {
    if let Some((spot, paint)) = place(app) {
        scroll_in(app, &spot, paint, by, effects);
    }
}

fn scroll_in(app: &mut App, spot: &Spot, paint: Paint, by: isize, effects: &mut Vec<Effect>) {
    let Some(view) = view(app, spot) else { return };
    if spot.raw {
        view.pane.up = view.pane.up.saturating_add_signed(by.saturating_neg());
        return;
    }
    let followed = view.talk.follows();
    let older = view.talk.scroll(by, paint);
    let at_end = view.talk.follows();
    if let Some(before) = older {
        effects.extend(app.views.ask_talk(&spot.session, Some(before)));
    } else if at_end && !followed {
        // What is held may have lost its newest end.
        effects.extend(app.views.ask_talk(&spot.session, None));
    }
}

/// Chooses the next or previous entry.
pub(super) fn choose(app: &mut App, by: isize, effects: &mut Vec<Effect>) {
    let Some((spot, paint)) = place(app).filter(|(spot, _)| !spot.raw) else {
        app.say(Part::Warning, "there are no entries here: `p` shows the conversation");
        return;
    };
    let Some(view) = view(app, &spot) else { return };
    if let Some(before) = view.talk.choose(by, spot.height, paint) {
        effects.extend(app.views.ask_talk(&spot.session, Some(before)));
    }
}

/// Gives up the chosen entry; whether there was one.
pub(super) fn choose_none(app: &mut App) -> bool {
    let Some((spot, _)) = place(app) else { return false };
    view(app, &spot).is_some_and(|view| view.talk.choose_none())
}

/// Shows the whole of a long entry, or folds it again.
pub(super) fn unfold(app: &mut App) {
    let done = place(app)
        .filter(|(spot, _)| !spot.raw)
        .is_some_and(|(spot, paint)| view(app, &spot).is_some_and(|view| view.talk.toggle(spot.height, paint)));
    if !done {
        app.say(Part::Dim, "nothing of what is shown here is hidden");
    }
}

/// Whether an entry can be chosen.
pub(super) fn can_choose(app: &App) -> bool {
    place(app).is_some_and(|(spot, _)| !spot.raw && app.views.of(&spot.session).is_some_and(|v| !v.talk.is_empty()))
}

/// Whether something can be unfolded or folded.
pub(super) fn can_unfold(app: &App) -> bool {
    place(app).is_some_and(|(spot, _)| !spot.raw && app.views.of(&spot.session).is_some_and(|v| v.talk.can_toggle()))
}

/// Whether a pane is shown that is wider than its place.
pub(super) fn can_pan(app: &App) -> bool {
    let width = |spot: &Spot| Some(usize::from(app.views.of(&spot.session)?.pane.text()?.picture.width));
    place(app).is_some_and(|(spot, _)| spot.raw && width(&spot).is_some_and(|width| width > spot.width))
}

/// Moves a wide pane to the left or right.
pub(super) fn pan(app: &mut App, by: isize) {
    if !can_pan(app) {
        return app.say(Part::Dim, "nothing is out of sight to the left or right");
    }
    let Some((spot, _)) = place(app) else { return };
    if let Some(view) = view(app, &spot) {
        let columns = isize::try_from(PAN).unwrap_or(1).saturating_mul(by);
        view.pane.right = view.pane.right.saturating_add_signed(columns);
    }
}
