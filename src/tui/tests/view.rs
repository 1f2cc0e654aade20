//! Frames as text, at the sizes that people use and at those that break programs.

use std::time::{Duration, Instant};

use ratatui::{Terminal, backend::TestBackend, layout::Size};

use super::fake::{
    app, app_with_messages, board, busy, conversation, crowd, empty, entry, events, explanation, finish, pane, pause,
    press, run, said, screen, settings, unregistered, write,
};
use crate::{
    actions::Report,
    base::{Error, Kind},
    model::{
        conversation::{Said, Sender},
        session::Registration,
    },
    tui::{
        app::{App, update},
        keymap,
        message::Msg,
        screen::draw,
        theme::ThemeName,
    },
};

const SIZES: [(u16, u16); 3] = [(80, 24), (50, 20), (160, 50)];

/// Compares the frame of `make` at each of the usual sizes.
fn at_sizes(name: &str, make: impl Fn(u16, u16) -> App) {
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), screen(&make(width, height)));
    }
}

fn with_events(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "3");
    let query = app.events.query(None);
    update(&mut app, Msg::Events("session-w1".into(), query, Ok(events(40))));
    app
}

#[test]
fn fleet() {
    at_sizes("fleet", app);
}

#[test]
fn fleet_in_ascii_is_ascii() {
    let mut ascii = app(80, 24);
    ascii.settings = settings(ThemeName::Mono, true);
    let frame = screen(&ascii);
    insta::assert_snapshot!("fleet_ascii", frame);
    // The conversation is the worker's own text; everything that is ours has to be plain.
    update(&mut ascii, said("session-w1", Vec::new()));
    assert!(screen(&ascii).is_ascii(), "{}", screen(&ascii));
}

#[test]
fn fleet_in_mono_says_the_same() {
    let mut mono = app(80, 24);
    mono.settings = settings(ThemeName::Mono, false);
    assert_eq!(screen(&mono), screen(&app(80, 24)), "no theme changes what is said");
}

#[test]
fn list_only_below_fifty_columns() {
    let mut narrow = app(40, 16);
    insta::assert_snapshot!("fleet_40x16", screen(&narrow));
    press(&mut narrow, "Enter");
    insta::assert_snapshot!("fleet_40x16_peek", screen(&narrow));
}

#[test]
fn peek_and_full() {
    let mut app = app(80, 24);
    press(&mut app, "Enter");
    insta::assert_snapshot!("peek", screen(&app));
    press(&mut app, "Enter");
    insta::assert_snapshot!("full", screen(&app));
}

#[test]
fn raw_pane() {
    let mut app = app(80, 24);
    press(&mut app, "p");
    update(&mut app, Msg::Pane("session-w1".into(), Ok(Some(pane()))));
    insta::assert_snapshot!(screen(&app));
}

#[test]
fn task() {
    at_sizes("task", |width, height| {
        let mut app = app(width, height);
        press(&mut app, "2");
        app
    });
}

#[test]
fn event_list() {
    at_sizes("events", with_events);
}

#[test]
fn one_event() {
    let mut app = with_events(80, 24);
    press(&mut app, "k k Enter");
    insta::assert_snapshot!(screen(&app));
}

#[test]
fn help() {
    at_sizes("help", |width, height| {
        let mut app = app(width, height);
        press(&mut app, "?");
        app
    });
    let mut app = app(80, 24);
    press(&mut app, "?");
    write(&mut app, "scroll");
    insta::assert_snapshot!("help_searched", screen(&app));
    let mut app = self::app(160, 300);
    press(&mut app, "?");
    let all = screen(&app);
    for row in keymap::BINDINGS {
        let keys: Vec<String> = row.keys.iter().map(|key| key.name()).collect();
        assert!(all.contains(&format!("  {} ", keys.join(" "))), "{keys:?} stand apart from their sentence\n{all}");
    }
}

#[test]
fn filter() {
    at_sizes("filter", |width, height| {
        let mut app = app(width, height);
        press(&mut app, "/");
        write(&mut app, "role:worker age>1m");
        app
    });
}

#[test]
fn inbox() {
    at_sizes("inbox", |width, height| {
        let mut app = app_with_messages(width, height);
        press(&mut app, "4");
        app
    });
}

#[test]
fn task_with_messages() {
    at_sizes("task_messages", |width, height| {
        let mut app = app_with_messages(width, height);
        press(&mut app, "2");
        app
    });
}

#[test]
fn unread_messages_stand_in_the_fleet() {
    insta::assert_snapshot!("fleet_unread", screen(&app_with_messages(80, 24)));
}

fn written(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "n");
    write(&mut app, "Run the tests again; it's");
    press(&mut app, "Ctrl-J");
    write(&mut app, "the parser's that fail.");
    app
}

#[test]
fn a_message_that_is_written() {
    at_sizes("nudge", written);
}

/// A form with something in every sort of field.
fn filled_in(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "+");
    write(&mut app, "w9");
    press(&mut app, "Tab");
    write(&mut app, "Read the docs, then say");
    press(&mut app, "Ctrl-J");
    write(&mut app, "what is missing.");
    press(&mut app, "Tab Tab Space");
    app
}

fn adopting(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "D");
    update(&mut app, Msg::Unregistered(Ok(unregistered())));
    press(&mut app, "Down Space");
    app
}

fn picking(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "$ Shift-Tab Ctrl-U Down");
    app
}

fn finding(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, ":");
    write(&mut app, "w1");
    app
}

/// A command that runs, one that failed, and a message under way.
fn with_receipts(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "n");
    write(&mut app, "Run the tests again");
    press(&mut app, "Enter");
    let json = serde_json::json!({"command_id": "command-5", "phase": "submitted"});
    finish(&mut app, Ok(Report { json, prose: "sent".into(), exit_code: 0, handover: None }));
    press(&mut app, "Esc c");
    finish(&mut app, Err(Error::refused("the rollout is gone")));
    press(&mut app, "Esc c L");
    app
}

fn to_several(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "Space j Space");
    let mut now = board();
    now.sessions.iter_mut().find(|row| row.name == "w2").unwrap().registration = Registration::Gone;
    update(&mut app, Msg::Board(Ok(now)));
    press(&mut app, "k k n");
    write(&mut app, "Stop for today.");
    app
}

#[test]
fn forms_palette_and_receipts() {
    at_sizes("form", filled_in);
    at_sizes("form_adopt", adopting);
    at_sizes("form_pick", picking);
    at_sizes("palette", finding);
    at_sizes("receipts", with_receipts);
    at_sizes("nudge_several", to_several);
}

#[test]
fn forms_palette_and_receipts_in_ascii_are_ascii() {
    for make in [filled_in, adopting, picking, finding, with_receipts, to_several] {
        let mut ascii = make(80, 24);
        ascii.settings = settings(ThemeName::Mono, true);
        update(&mut ascii, said("session-w1", Vec::new()));
        update(&mut ascii, said("session-w2", Vec::new()));
        assert!(screen(&ascii).is_ascii(), "{}", screen(&ascii));
        let mut mono = make(80, 24);
        mono.settings = settings(ThemeName::Mono, false);
        assert_eq!(screen(&mono), screen(&make(80, 24)), "no theme changes what is said");
    }
}

#[test]
fn messages_in_ascii_are_ascii() {
    for keys in ["n", "4", "2"] {
        let mut ascii = app_with_messages(80, 24);
        ascii.settings = settings(ThemeName::Mono, true);
        update(&mut ascii, said("session-w1", Vec::new()));
        let mut unicode = app_with_messages(80, 24);
        update(&mut unicode, said("session-w1", Vec::new()));
        press(&mut ascii, keys);
        press(&mut unicode, keys);
        assert!(screen(&ascii).is_ascii(), "{}", screen(&ascii));
        let mono = {
            unicode.settings = settings(ThemeName::Mono, false);
            screen(&unicode)
        };
        unicode.settings = settings(ThemeName::Dark, false);
        assert_eq!(mono, screen(&unicode), "no theme changes what is said");
    }
}

#[test]
fn deliveries_that_are_stopped_are_said_loudly() {
    at_sizes("paused", |width, height| {
        let mut app = app(width, height);
        let mut paused = busy();
        paused.health.paused = true;
        paused.health.pauses = vec![pause(None)];
        update(&mut app, Msg::Deliveries(Ok(paused)));
        app
    });
}

#[test]
fn explain() {
    at_sizes("explain", |width, height| {
        let mut app = app(width, height);
        press(&mut app, "x");
        update(&mut app, Msg::Explained("session-w1".into(), Ok(explanation())));
        app
    });
}

#[test]
fn a_ledger_that_cannot_be_used() {
    at_sizes("error", |width, height| {
        let mut app = empty(width, height);
        let error = Error::new(Kind::Ledger, "the ledger has schema version 120, newer than this program's 100")
            .hint("use the newer conveyor; this one leaves the ledger untouched");
        update(&mut app, Msg::Board(Err(error)));
        app
    });
}

#[test]
fn first_start() {
    at_sizes("first_start", |width, height| {
        let mut app = empty(width, height);
        update(&mut app, Msg::Board(Err(Error::not_found("there is no ledger at .codex-workers/workerctl.db"))));
        app
    });
    let mut app = empty(80, 24);
    let mut nobody = board();
    nobody.sessions.clear();
    nobody.tasks.clear();
    update(&mut app, Msg::Board(Ok(nobody)));
    assert!(screen(&app).contains("conveyor demo"));
}

#[test]
fn a_receipt() {
    use crate::actions::Report;
    let mut app = app(80, 24);
    press(&mut app, "c");
    let report = Report {
        json: serde_json::Value::Null,
        prose: "parser: blocked (approval)\n".into(),
        exit_code: 0,
        handover: None,
    };
    finish(&mut app, Ok(report));
    insta::assert_snapshot!(screen(&app));
}

#[test]
fn a_question() {
    let mut app = app(80, 24);
    press(&mut app, "c q");
    insta::assert_snapshot!(screen(&app));
}

/// Every state of the cockpit that draws differently.
fn every_state(width: u16, height: u16) -> Vec<App> {
    let keys = ["", "Enter", "Enter Enter", "p", "2", "2 Tab", "?", "/ w", "x", "c q", "3", "3 @ 1", "3 /"];
    let mut apps: Vec<App> = keys
        .iter()
        .map(|keys| {
            let mut app = app(width, height);
            press(&mut app, keys);
            app
        })
        .collect();
    let mut explained = app(width, height);
    press(&mut explained, "x");
    update(&mut explained, Msg::Explained("session-w1".into(), Ok(explanation())));
    let mut failed = empty(width, height);
    update(&mut failed, Msg::Board(Err(Error::new(Kind::Ledger, "broken"))));
    let mut listed = with_events(width, height);
    press(&mut listed, "Enter");
    let mut messages = app_with_messages(width, height);
    press(&mut messages, "4");
    let mut detail = app_with_messages(width, height);
    press(&mut detail, "4 Tab");
    let mut stopped = app_with_messages(width, height);
    press(&mut stopped, "4 j j R");
    apps.extend([messages, detail, stopped, written(width, height)]);
    apps.extend([explained, failed, listed, with_events(width, height), empty(width, height)]);
    apps
}

#[test]
fn no_size_breaks_a_frame() {
    for (width, height) in [(0, 0), (1, 1), (20, 5), (30, 8), (31, 200), (49, 10), (79, 8), (300, 8), (300, 100)] {
        for mut app in every_state(width, height) {
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
        for app in every_state(width, height) {
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
