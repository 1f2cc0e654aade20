//! The Events screen: following, looking back, jumping to an offset.

use super::fake::{app, board, empty, events, press, screen, write};
use crate::{
    base::{Error, Kind},
    tui::{
        app::{App, Screen, update},
        message::{Effect, Load, Msg},
    },
};

fn with_events(count: i64) -> App {
    let mut app = app(80, 24);
    press(&mut app, "3");
    let query = app.events.query(None);
    let mut page = events(count);
    let page = page.split_off(page.len().saturating_sub(query.limit));
    update(&mut app, Msg::Events("session-w1".into(), query, Ok(page)));
    app
}

fn answer(app: &mut App, count: i64, effects: &[Effect]) -> Vec<Effect> {
    let [Effect::Load(Load::Events(session, query))] = effects else { panic!("one page is asked for: {effects:?}") };
    let mut page = events(count);
    page.retain(|row| query.before.is_none_or(|before| row.id < before));
    let page = page.split_off(page.len().saturating_sub(query.limit));
    update(app, Msg::Events(session.clone(), query.clone(), Ok(page)))
}

#[test]
fn events_opened_before_the_board_is_known_are_shown_once_it_is() {
    let failed = || Msg::Board(Err(Error::new(Kind::Ledger, "broken")));
    for before in [None, Some(failed())] {
        let mut app = if before.is_some() { app(80, 24) } else { empty(80, 24) };
        before.map(|message| update(&mut app, message));
        press(&mut app, "3");
        let effects = update(&mut app, Msg::Board(Ok(board())));
        let asked = effects.into_iter().find(|effect| matches!(effect, Effect::Load(Load::Events(..))));
        answer(&mut app, 20, asked.as_slice());
        assert_eq!(app.events.selected_row().map(|row| row.id), Some(20), "{}", screen(&app));
    }
}

#[test]
fn events_follow_until_one_looks_back() {
    let mut app = with_events(20);
    let at = |app: &App| app.events.selected_row().map(|row| row.id);
    assert_eq!(at(&app), Some(20));
    let mut query = app.events.query(None);
    update(&mut app, Msg::Events("session-w1".into(), query.clone(), Ok(events(25))));
    assert_eq!(at(&app), Some(25));
    press(&mut app, "k k");
    assert_eq!(at(&app), Some(23));
    update(&mut app, Msg::Events("session-w1".into(), query.clone(), Ok(events(30))));
    assert_eq!(at(&app), Some(23), "the selection stays while new events arrive");
    press(&mut app, "F");
    assert_eq!(at(&app), Some(30));
    query.text = Some("other".into());
    update(&mut app, Msg::Events("session-w1".into(), query, Ok(events(1))));
    assert_eq!(at(&app), Some(30), "an answer to an old question is dropped");
}

#[test]
fn older_pages_are_loaded_at_the_top_and_for_a_jump() {
    let mut app = with_events(1_000);
    let effects = press(&mut app, "g");
    assert_eq!(app.events.selected_row().map(|row| row.id), Some(701));
    assert!(answer(&mut app, 1_000, &effects).is_empty());
    assert_eq!(app.events.selected_row().map(|row| row.id), Some(701));
    press(&mut app, "@");
    write(&mut app, "x");
    press(&mut app, "Enter");
    assert!(screen(&app).contains("`x` is no byte offset"));
    press(&mut app, "Backspace");
    write(&mut app, "50_250");
    let effects = press(&mut app, "Enter");
    assert_eq!(answer(&mut app, 1_000, &effects), []);
    assert_eq!(app.events.selected_row().map(|row| row.byte_offset), Some(50_000), "the line that holds the byte");
}

#[test]
fn an_offset_far_back_is_found_in_bounded_memory() {
    const MANY: i64 = 20_000;
    let mut app = with_events(MANY);
    press(&mut app, "@");
    write(&mut app, "1_000");
    let mut effects = press(&mut app, "Enter");
    let mut pages = 0;
    while !effects.is_empty() {
        assert!(screen(&app).contains("looking for byte 1000"));
        effects = answer(&mut app, MANY, &effects);
        pages += 1;
    }
    assert_eq!(app.events.selected_row().map(|row| row.byte_offset), Some(1_000));
    assert!(pages < 10 && screen(&app).contains("6000 loaded"), "{pages} pages\n{}", screen(&app));
    // News does not throw the reader out, and following brings the newest back.
    let query = app.events.query(None);
    let newest = || events(MANY).split_off(19_700);
    update(&mut app, Msg::Events("session-w1".into(), query, Ok(newest())));
    assert_eq!(app.events.selected_row().map(|row| row.byte_offset), Some(1_000));
    let effects = press(&mut app, "F");
    answer(&mut app, MANY, &effects);
    assert_eq!(app.events.selected_row().map(|row| row.id), Some(MANY));
}

#[test]
fn looking_for_an_offset_can_be_stopped() {
    let mut app = with_events(1_000);
    press(&mut app, "@");
    write(&mut app, "0");
    let effects = press(&mut app, "Enter");
    press(&mut app, "Esc");
    assert_eq!(app.screen, Screen::Events);
    assert!(answer(&mut app, 1_000, &effects).is_empty());
    assert_eq!(app.events.selected_row().map(|row| row.id), Some(1_000));
}

#[test]
fn event_kinds_and_text_are_part_of_the_question() {
    let mut app = with_events(20);
    let effects = press(&mut app, "t");
    let [Effect::Load(Load::Events(_, query))] = &effects[..] else { panic!("{effects:?}") };
    assert!(query.kinds.contains(&"user_message".to_owned()), "{query:?}");
    answer(&mut app, 20, &effects);
    press(&mut app, "/");
    write(&mut app, "cargo test");
    let effects = press(&mut app, "Enter");
    let [Effect::Load(Load::Events(_, query))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(query.text.as_deref(), Some("cargo test"));
}
