//! Frames at the sizes that break programs, and with what breaks them.

use std::time::{Duration, Instant};

use ratatui::{Terminal, backend::TestBackend, layout::Size};

use super::{
    fake::{NOW, app, board, conversation, crowd, empty, entry, press, run, said, screen, write},
    frames,
};
use crate::{
    base::Timestamp,
    model::{
        board::Attention,
        conversation::{Said, Sender},
        interruption,
    },
    tui::{
        app::{App, update},
        keymap::{self, Keymap, Place},
        message::Msg,
        screen::draw,
    },
};

#[test]
fn list_only_below_fifty_columns() {
    let mut narrow = app(40, 16);
    insta::assert_snapshot!("fleet_40x16", screen(&narrow));
    press(&mut narrow, "Enter");
    insta::assert_snapshot!("fleet_40x16_peek", screen(&narrow));
}

#[test]
fn the_help_tells_every_key_apart_from_its_sentence() {
    let mut app = app(160, 400);
    press(&mut app, "?");
    let all = screen(&app);
    for row in keymap::BINDINGS {
        let keys: Vec<String> = row.keys.iter().map(|key| key.name()).collect();
        assert!(all.contains(&format!("  {} ", keys.join(" "))), "{keys:?} stand apart from their sentence\n{all}");
    }
}

#[test]
fn the_help_begins_with_what_works_here_and_now_and_tells_every_sign() {
    let mut app = app(160, 400);
    press(&mut app, "?");
    let all = screen(&app);
    let at = |text: &str| all.find(text).unwrap_or_else(|| panic!("{text}: {all}"));
    assert!(at("here and now: act on w1") < at("here and now: look closer"));
    assert!(at("here and now: move") < at("signs and words: sessions"));
    assert!(at("signs and words: Doctor") < at("on every screen, not now"));
    // The queue has no keys here, and nothing is to be retried.
    assert!(at("queue again what was given up") > at("signs and words: Doctor"));
    let glyphs = app.settings.glyphs;
    for attention in Attention::ALL {
        let row = format!("  {:3} {}", glyphs.attention(*attention), crate::tui::screen::legend::word(*attention));
        assert!(all.contains(&row), "{row}: {all}");
    }
    for phase in crate::model::delivery::Phase::ALL {
        assert!(all.contains(&format!(" {} ", phase.word())), "{phase}: {all}");
    }
    // Signs are found like keys.
    write(&mut app, "uncertain");
    let found = screen(&app);
    assert!(found.contains("say that an uncertain message arrived"), "{found}");
    press(&mut app, "Ctrl-U");
    write(&mut app, "may have arrived");
    let found = screen(&app);
    assert!(found.contains("uncertain") && !found.contains("here and now"), "{found}");
}

#[test]
fn an_empty_ledger_says_how_to_begin() {
    let mut app = empty(80, 24);
    let mut nobody = board();
    nobody.sessions.clear();
    nobody.tasks.clear();
    update(&mut app, Msg::Board(Ok(nobody)));
    assert!(screen(&app).contains("conveyor demo"));
}

#[test]
fn a_turn_that_was_ended_on_purpose_is_no_failure() {
    let mut app = app(100, 30);
    let mut now = board();
    let row = now.sessions.iter_mut().find(|row| row.name == "w2").unwrap();
    row.attention = Attention::Idle;
    row.judgement.rule = interruption::Rule::InterruptedByOperator.as_str().into();
    row.judgement.reason = "interrupted by the operator".into();
    update(&mut app, Msg::Board(Ok(now.clone())));
    let frame = screen(&app);
    assert!(frame.contains("interrupted 1h06 by you") && !frame.contains("failed"), "{frame}");
    let row = now.sessions.iter_mut().find(|row| row.name == "w2").unwrap();
    row.judgement.rule = interruption::Rule::InterruptedBySession.as_str().into();
    row.judgement.reason = "interrupted by m2".into();
    update(&mut app, Msg::Board(Ok(now.clone())));
    assert!(screen(&app).contains("interrupted 1h06 by m2"), "{}", screen(&app));
    let row = now.sessions.iter_mut().find(|row| row.name == "w2").unwrap();
    row.judgement.rule = interruption::Rule::DeclinedByOperator.as_str().into();
    row.judgement.reason = "the operator declined what it asked".into();
    update(&mut app, Msg::Board(Ok(now)));
    assert!(screen(&app).contains("interrupted 1h06: you declined what it asked"), "{}", screen(&app));
}

#[test]
fn a_notice_goes_with_the_next_key_or_after_a_while() {
    let mut app = app(80, 24);
    let later = |seconds: i64| Timestamp::from_millis(NOW.as_millis() + seconds * 1_000);
    press(&mut app, "A");
    assert!(screen(&app).contains("the bell calls you"), "{}", screen(&app));
    update(&mut app, Msg::Tick(later(1)));
    assert!(screen(&app).contains("the bell calls you"));
    press(&mut app, "j");
    assert!(!screen(&app).contains("the bell calls you"), "{}", screen(&app));
    press(&mut app, "A");
    update(&mut app, Msg::Tick(later(9)));
    assert!(!screen(&app).contains("the desktop calls you"), "{}", screen(&app));
}

#[test]
fn who_waits_for_an_answer_says_what_it_asks() {
    let mut app = app(80, 24);
    let mut asking = board();
    let row = asking.sessions.iter_mut().find(|row| row.name == "w1").unwrap();
    row.asks = Some("asks to run: rm -rf build".into());
    update(&mut app, Msg::Board(Ok(asking.clone())));
    assert!(
        screen(&app).contains("asks to run: rm -rf build") && screen(&app).contains("(needs you 3m)"),
        "{}",
        screen(&app)
    );
    // It has been answered, and the question was not looked for again yet.
    asking.sessions.iter_mut().find(|row| row.name == "w1").unwrap().attention = Attention::Working;
    update(&mut app, Msg::Board(Ok(asking)));
    assert!(!screen(&app).contains("rm -rf"), "{}", screen(&app));
}

#[test]
fn no_size_breaks_a_frame() {
    for (width, height) in [(0, 0), (1, 1), (20, 5), (30, 8), (31, 200), (49, 10), (79, 8), (300, 8), (300, 100)] {
        // Large ones take long, and break less.
        let each = if width * height > 5_000 { 3 } else { 1 };
        for (_, mut app) in frames::all(width, height).step_by(each) {
            screen(&app);
            for keys in ["j", "G", "k", "PgDn", "PgUp", "g"] {
                press(&mut app, keys);
            }
            update(&mut app, Msg::Wheel(width / 2, height / 2, true));
            update(&mut app, Msg::Click(width / 2, height / 2));
            screen(&app);
        }
    }
}

/// The terminal is asked for its size at each frame, and the message about a new one may still be under way.
#[test]
fn a_terminal_that_shrinks_before_it_is_told_breaks_no_frame() {
    for (width, height) in [(160, 50), (79, 60)] {
        for (_, app) in frames::all(width, height) {
            for (width, height) in [(80, 24), (31, 9), (1, 1)] {
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                terminal.draw(|frame| draw(&app, frame)).unwrap();
            }
        }
    }
}

#[test]
fn hostile_text_stays_in_its_place() {
    let mut hostile = board();
    let evil = "\u{1b}[2J\u{202e}a\tb\u{0}漢字🙂\u{300}\u{300}".repeat(30);
    for row in &mut hostile.sessions {
        row.name = evil.clone();
        row.judgement.reason = evil.clone();
        row.task = Some(evil.clone());
        row.ingest_error = Some(evil.clone());
    }
    let mut entries = conversation();
    entries[1].said = Said::User { text: evil.clone(), sender: Sender::Conveyor(Some(evil.clone())) };
    entries[2].said = Said::Note(evil.clone());
    entries[3].said = run(&evil, 1, &evil);
    for (width, height) in [(20, 5), (40, 16), (80, 24), (160, 50)] {
        let mut app = app(width, height);
        update(&mut app, Msg::Board(Ok(hostile.clone())));
        update(&mut app, said("session-w1", entries.clone()));
        let frame = screen(&app);
        assert!(!frame.contains('\u{1b}') && !frame.contains('\u{0}'), "{frame}");
        assert_eq!(frame.lines().count(), usize::from(height));
    }
}

#[test]
fn too_small_is_said() {
    let mut app = app(80, 24);
    update(&mut app, Msg::Resized(Size::new(29, 7)));
    assert_eq!(screen(&app).lines().next(), Some("too small: 29x7, needs 30x8"));
}

/// A frame has 16 ms. Test builds are slower by an order of magnitude, and the machine may be busy: three times the
/// bar, for the quickest of several frames.
#[test]
fn a_crowded_frame_is_quick() {
    let mut app = app(160, 50);
    update(&mut app, Msg::Board(Ok(crowd(50))));
    let text = "a line of the conversation that is long enough to be wrapped\n".repeat(40);
    let long = (1..=200).map(|id| entry(id, 300, Said::Agent(text.clone()))).collect();
    let id = app.fleet.list.id.clone().expect("a selection");
    update(&mut app, said(&id, long));
    let quickest = (0..5)
        .map(|_| {
            let start = Instant::now();
            press(&mut app, "j");
            press(&mut app, "k");
            screen(&app);
            start.elapsed()
        })
        .min();
    assert!(quickest < Some(Duration::from_millis(48)), "{quickest:?}");
}

#[test]
fn a_notice_that_is_longer_than_the_line_is_not_cut() {
    let words =
        "w1 cannot be reached now: its pane %3 is gone; `conveyor resume w1` opens its Codex session in a new one";
    for (width, height) in [(80, 24), (50, 20)] {
        let mut app = app(width, height);
        app.say(crate::tui::theme::Part::Warning, words);
        let shown = screen(&app).lines().map(str::trim).collect::<Vec<_>>().join(" ");
        assert!(shown.contains(words), "{shown}");
    }
}

#[test]
fn a_footer_names_no_key_twice_and_nothing_twice() {
    let footer = |app: &App| screen(app).lines().last().unwrap_or_default().to_owned();
    let mut app = app(160, 24);
    press(&mut app, "?");
    assert!(footer(&app).contains("Esc/Enter close") && footer(&app).contains(" Down  Up "), "{}", footer(&app));
    press(&mut app, "Esc T");
    assert!(footer(&app).contains("Enter/Tab next") && footer(&app).contains("Ctrl-S create"), "{}", footer(&app));
    press(&mut app, "Tab Tab");
    assert!(footer(&app).contains("Enter/Ctrl-S create"), "{}", footer(&app));
    // On a screen each word means one thing.
    for own in [Place::Fleet, Place::Task, Place::Events, Place::Inbox, Place::Dispatch, Place::Doctor] {
        let keymap = Keymap::default();
        let mut words: Vec<&str> = keymap.rows(&[own, Place::Screen]).map(|row| row.short).collect();
        words.sort_unstable();
        let count = words.len();
        words.dedup();
        assert_eq!(words.len(), count, "{own}: {words:?}");
    }
}

#[test]
fn a_footer_begins_with_the_keys_that_its_empty_screen_tells_of() {
    let footer = |app: &App| screen(app).lines().last().unwrap_or_default().to_owned();
    let mut bare = board();
    bare.tasks.clear();
    bare.sessions.iter_mut().for_each(|row| (row.task, row.task_id) = (None, None));
    let mut app = app(50, 20);
    update(&mut app, Msg::Board(Ok(bare)));
    press(&mut app, "2");
    assert!(footer(&app).contains(" T new task"), "{}", screen(&app));
    assert!(!footer(&app).contains(" b bind"), "nothing could be bound\n{}", screen(&app));
    // A task that nobody works on, with a worker and a manager who are free.
    let mut loose = super::forms::loose(50, 20);
    loose.task_view.list.id = Some("task-docs".into());
    press(&mut loose, "2");
    loose.task_view.list.id = Some("task-docs".into());
    assert!(footer(&loose).starts_with(" b bind"), "{}", screen(&loose));
}
