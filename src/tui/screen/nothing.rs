//! What stands in place of a screen while there is nothing to be shown on it, and why that is.

use ratatui::{Frame, layout::Rect};

use super::{doctor, put, styled};
use crate::{
    base::text::age,
    tui::{app::App, keymap::Intent, message::Failure, theme::Part, wrap::wrap},
};

/// That the filter hides every row, and what clears it.
pub(super) fn passes(app: &App) -> String {
    let clears = app.key_that(Intent::Back, "clears it").map(|key| format!("; {key}"));
    format!("no row passes the filter{}", clears.unwrap_or_default())
}

/// That there is no message yet, and how one is written.
pub(super) fn no_messages(app: &App, what: &str) -> String {
    let fleet = app.key(Intent::Fleet);
    let nudge = app.key(Intent::Nudge);
    format!("{what}; {fleet} and then {nudge} writes one to a session, as does `conveyor session-nudge SESSION TEXT`")
}

/// What stands in a list in place of rows.
pub(super) fn in_list(app: &App, frame: &mut Frame<'_>, area: Rect, part: Part, text: &str) {
    let width = usize::from(area.width).saturating_sub(3);
    for (index, line) in wrap(text, width, 10).into_iter().enumerate() {
        put(frame, area, index + 2, styled(app, part, format!("  {line}")));
    }
}

/// Paragraphs, wrapped, from the top of `area`.
pub(super) fn paragraphs(app: &App, frame: &mut Frame<'_>, area: Rect, text: &[(Part, String)]) {
    let width = usize::from(area.width).saturating_sub(4);
    let lines = text.iter().flat_map(|(part, text)| wrap(text, width, 50).into_iter().map(move |line| (*part, line)));
    for (index, (part, line)) in lines.enumerate() {
        put(frame, area, index + 1, styled(app, part, format!("  {line}")));
    }
}

pub(super) fn reading_the_ledger(app: &App) -> (Part, String) {
    match app.silent_seconds() {
        Some(seconds) => {
            let text = format!(
                "reading the ledger; no answer for {}: another program may hold it locked, or its disk is slow",
                age(seconds)
            );
            (Part::Warning, text)
        }
        None => (Part::Dim, "reading the ledger".to_owned()),
    }
}

pub(super) fn failed(app: &App, frame: &mut Frame<'_>, area: Rect, failure: &Failure) {
    let mut text = vec![
        (Part::Error, "the ledger cannot be shown".to_owned()),
        (Part::Text, " ".to_owned()),
        (Part::Text, failure.message.clone()),
    ];
    text.extend(failure.told_hint());
    text.push((Part::Text, " ".to_owned()));
    text.push((Part::Dim, "tried again every second; nothing is shown that may be wrong".to_owned()));
    paragraphs(app, frame, area, &text);
}

pub(super) fn first_start(app: &App, frame: &mut Frame<'_>, area: Rect, missing: Option<&Failure>) {
    let program = app.settings.prefix.first().map_or("conveyor", String::as_str);
    let what = match missing {
        Some(failure) => failure.message.clone(),
        None => "the ledger is empty: no session is registered".to_owned(),
    };
    let mut text = vec![
        (Part::Title, "Nothing to watch yet".to_owned()),
        (Part::Dim, what),
        (Part::Text, " ".to_owned()),
        (Part::Text, "See it work, without an account or network:".to_owned()),
        (Part::Key, format!("    {program} demo")),
        (Part::Text, "Start a Codex worker in this folder:".to_owned()),
        (Part::Key, format!("    {program} start-worker --name w1 --cwd . --task \"...\"")),
        (Part::Text, "Watch the Codex sessions that run here already:".to_owned()),
        (Part::Key, format!("    {}, or {program} discover --adopt", app.key(Intent::Adopt))),
        (Part::Text, " ".to_owned()),
    ];
    text.extend(doctor::in_brief(app));
    text.push((Part::Dim, "This screen shows a session as soon as it is there.".to_owned()));
    paragraphs(app, frame, area, &text);
}
