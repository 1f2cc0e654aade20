//! Pins, snoozes, and what the operator has looked at: from the keyboard, and by looking.

use std::sync::Arc;

use super::{
    app::{App, BoardState, Look, Screen},
    keymap::Intent,
    layer::{Layer, Snoozing},
    message::Effect,
    screen::fleet::{self, Row},
    submitting::command_line,
    theme::Part,
};
use crate::{
    actions::{Action, Listed, Mark, Report, Visit, Way},
    base::{Result, Span, Timestamp},
    model::board::Attention,
};

/// Whoever has pressed no key for so many seconds may have left: what ends then was not seen.
const PRESENT_SECONDS: i64 = 60;

/// The offered lengths of a snooze.
pub const SPANS: &[Span] =
    &[Span::minutes(15), Span::minutes(60), Span::minutes(4 * 60), Span::minutes(24 * 60), Span::minutes(7 * 24 * 60)];

/// What the cockpit knows of the operator's attention.
#[derive(Debug, Clone, Default)]
pub struct Attending {
    /// Sessions that are gone are shown as rows.
    pub shows_gone: bool,
    /// When the operator did something last.
    input_at: Option<Timestamp>,
    /// The look that was reported last: a session, and the byte up to which it was seen.
    told: Option<(String, u64)>,
    /// The session that the terminal was lent to.
    attached: Option<String>,
    /// The client of tmux shows that session now, and this cockpit goes on: the keys that lead back.
    switched: Option<String>,
}

impl Attending {
    /// The operator has done something.
    pub fn touched(&mut self, now: Timestamp) {
        self.input_at = Some(now);
    }

    /// The terminal is about to be lent to this session.
    pub fn attaches(&mut self, name: String) {
        self.attached = Some(name);
    }

    /// How it is lent.
    pub fn goes(&mut self, visit: &Visit) {
        let keys = || visit.back.clone().unwrap_or_else(|| "`tmux switch-client -l`".to_owned());
        self.switched = (visit.way == Way::SwitchClient).then(keys);
    }

    /// The terminal was not lent.
    pub fn stays(&mut self) {
        (self.attached, self.switched) = (None, None);
    }
}

/// The selected row of the Fleet, named as a mark names it.
fn subject(app: &App) -> Option<Mark> {
    let id = app.fleet.list.id.as_deref()?;
    let row = fleet::rows(app).into_iter().find(|row| row.id() == id)?;
    Some(match row {
        Row::Session(row) => Mark::of(row.name.clone()),
        Row::Task(row) => Mark::of_task(row.task.id.clone()),
    })
}

/// Pins the selected row, or lets it go.
pub(super) fn pin(app: &mut App, effects: &mut Vec<Effect>) {
    match (subject(app), fleet::selected(app).map(|row| row.marks().pinned)) {
        (Some(mark), Some(pinned)) => note(app, Mark { pin: !pinned, unpin: pinned, ..mark }, effects),
        _ => app.say(Part::Warning, "nothing is selected"),
    }
}

/// Lets the operator choose for how long the selected row is put aside.
pub(super) fn snooze(app: &mut App) {
    let Some(mark) = subject(app) else {
        app.say(Part::Warning, "nothing is selected");
        return;
    };
    let Some(row) = fleet::selected(app) else { return };
    let (name, asleep) = (row.name().to_owned(), row.marks().is_snoozed(app.now));
    let wake = asleep.then(|| Mark { unsnooze: true, ..mark.clone() });
    let aside = SPANS.iter().map(|span| Mark { snooze: Some(*span), ..mark.clone() });
    let choices = wake.into_iter().chain(aside).collect();
    app.layers.push(Layer::Snooze(Snoozing { name, choices, selected: 0 }));
}

/// A key over the lengths of a snooze.
pub(super) fn snoozing(app: &mut App, intent: Option<Intent>, effects: &mut Vec<Effect>) {
    let Some(Layer::Snooze(asked)) = app.layers.last_mut() else { return };
    match intent {
        Some(Intent::Down) => asked.selected = (asked.selected + 1).min(asked.choices.len().saturating_sub(1)),
        Some(Intent::Up) => asked.selected = asked.selected.saturating_sub(1),
        Some(Intent::Accept) => {
            let chosen = asked.choices.get(asked.selected).cloned();
            app.layers.pop();
            if let Some(mark) = chosen {
                note(app, mark, effects);
            }
        }
        Some(Intent::Back) => {
            app.layers.pop();
        }
        _ => {}
    }
}

/// Marks the selected session unread. The list gets the keyboard back: a look would undo it at once.
pub(super) fn unread(app: &mut App, effects: &mut Vec<Effect>) {
    match app.session().map(|row| row.name.clone()) {
        Some(name) => {
            app.fleet.look = Look::List;
            note(app, Mark { unread: true, ..Mark::of(name) }, effects);
        }
        None => app.say(Part::Warning, "no session is selected"),
    }
}

/// Shows the sessions that are gone, or folds them into one line.
pub(super) fn toggle_gone(app: &mut App) {
    app.attending.shows_gone = !app.attending.shows_gone;
    // Who folds them wants the selected one folded as well.
    if !app.attending.shows_gone && app.session().is_some_and(|row| row.attention == Attention::Gone) {
        app.fleet.list.id = None;
    }
    let text =
        if app.attending.shows_gone { "sessions that are gone are shown" } else { "sessions that are gone are folded" };
    app.say(Part::Dim, text);
}

/// Runs a mark whose receipt is a line at the bottom.
fn note(app: &mut App, mark: Mark, effects: &mut Vec<Effect>) {
    app.say(Part::Dim, format!("running: {}", command_line(app, &mark.argv())));
    effects.push(Effect::Note { command: mark.into_command(), by_key: true });
}

/// What became of a mark.
pub(super) fn noted(app: &mut App, line: &str, by_key: bool, result: Result<Report>) {
    match result {
        Ok(report) if by_key => {
            let text = format!("{}  ({line})", report.prose.trim_end());
            match shown_unread(app, line, &report) {
                true => app.say(Part::DoneUnseen, format!("{} {text}", app.settings.glyphs.unread())),
                false => app.say(Part::Dim, text),
            }
        }
        Ok(_) => {}
        Err(error) => app.say(Part::Warning, format!("{line}: {}", error.message())),
    }
}

/// Shows a session as marked unread by hand before the board is read anew; false when the mark was another one.
fn shown_unread(app: &mut App, line: &str, report: &Report) -> bool {
    let is_by_hand = report.json["unread"] == true && line.split(' ').any(|word| word == "--unread");
    let Some(name) = report.json["session"].as_str().filter(|_| is_by_hand) else { return false };
    if let BoardState::Ready(board) = &mut app.board {
        let rows = Arc::make_mut(board).sessions.iter_mut();
        rows.filter(|row| row.name == name).for_each(|row| {
            (row.marks.unread, row.marks.unread_by_hand) = (true, true);
        });
    }
    true
}

/// The terminal is back from a session: what it showed was seen.
pub(super) fn returned(app: &mut App, effects: &mut Vec<Effect>) {
    let switched = app.attending.switched.take();
    if let Some(name) = app.attending.attached.take() {
        if let Some(keys) = switched {
            app.say(Part::Dim, format!("tmux shows {name}; {keys} comes back here"));
        }
        let mark = Mark { seen: true, ..Mark::of(name) };
        effects.push(Effect::Note { command: mark.into_command(), by_key: false });
    }
}

/// Reports what the operator looks at now, once.
pub(super) fn look(app: &mut App, effects: &mut Vec<Effect>) {
    let looks = app.screen == Screen::Fleet && app.fleet.look != Look::List && app.layers.is_empty();
    let Some(row) = app.session().filter(|_| looks) else {
        app.attending.told = None;
        return;
    };
    let present = app.attending.input_at.is_some_and(|at| at.age_seconds(app.now) < PRESENT_SECONDS);
    let look = (row.id.clone(), row.ingested_bytes);
    if !row.marks.unread || !present || !app.shows_all_of(&row.id) || app.attending.told.as_ref() == Some(&look) {
        return;
    }
    let mark = Mark { seen: true, upto: Some(row.ingested_bytes), ..Mark::of(row.name.clone()) };
    app.attending.told = Some(look);
    effects.push(Effect::Note { command: mark.into_command(), by_key: false });
}
