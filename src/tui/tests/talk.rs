//! What a session shows: its conversation, its pane, its gauges and sub-agents.

use std::time::{Duration, Instant};

use ratatui::{
    Terminal,
    backend::TestBackend,
    layout::Size,
    style::{Color, Modifier},
};

use super::fake::{NOW, ago, app, board, entry, lines, pane, press, run, said, screen, settings};
use crate::{
    actions::TalkQuery,
    base::Timestamp,
    model::{
        cells::{Cursor, Picture},
        conversation::{ChangeKind, Entry, FileDiff, Said, Sender},
        family::{AgentView, Parent, SubAgent},
    },
    tui::{
        app::{App, update},
        backend::PaneText,
        message::Msg,
        screen::draw,
        talk::{HELD, Talk},
        theme::ThemeName,
    },
};

/// One of everything that a rollout tells.
pub fn everything() -> Vec<Entry> {
    let output: String = (1..=30).map(|number| format!("test case_{number} ... ok\n")).collect();
    let diff = FileDiff {
        path: "/home/me/project/src/parser.rs".into(),
        moved_to: None,
        lines: ["@@ -1,3 +1,3 @@", " fn parse() {", "-    old();", "+    new();", " }"].map(Into::into).to_vec(),
        cut: false,
        kind: ChangeKind::Updated,
    };
    let plan = "# Plan\n\n1. read `src`\n2. mend it\n   - tests first\n\n> slowly\n\n| file | lines |\n|-|-|\n| a.rs | 10 |\n\n\
        ```rust\nfn main() {}\n```\nSee [the notes](https://example.org/notes).";
    let said = [
        Said::TurnStarted { trigger: Some("queue".into()) },
        Said::User { text: "Run the tests.".into(), sender: Sender::Conveyor(Some("operator".into())) },
        Said::User { text: "And hurry.".into(), sender: Sender::Conveyor(None) },
        Said::Thought("The parser comes first".into()),
        Said::Plan(plan.into()),
        run("cargo test --lib", 101, &output),
        Said::Change { files: vec![diff], status: Some("declined".into()), call_id: None },
        Said::Tool {
            name: "sup.next_task".into(),
            status: None,
            arguments: "{}".into(),
            output: "task: tidy".into(),
            millis: Some(80),
            call_id: None,
        },
        Said::SubAgent { who: "/root/counter".into(), kind: "started".into() },
        Said::Unknown { label: "event_msg:new_thing".into(), text: "type, payload".into() },
        Said::Unreadable("item (a line of 2000000 bytes): cargo build".into()),
        Said::Codex("context compacted".into()),
        Said::Error("usage limit reached".into()),
        Said::TurnEnded { millis: Some(195_000), error: Some("usage limit reached".into()) },
    ];
    said.into_iter().zip(1..).map(|(said, id)| entry(id, 300 - id, said)).collect()
}

fn showing(width: u16, height: u16, entries: Vec<Entry>) -> App {
    let mut app = app(width, height);
    update(&mut app, said("session-w1", Vec::new()));
    update(&mut app, said("session-w1", entries));
    press(&mut app, "Enter Enter");
    app
}

#[test]
fn a_conversation_of_everything() {
    for (width, height) in [(80, 24), (50, 20), (160, 50)] {
        let mut app = showing(width, height, everything());
        insta::assert_snapshot!(format!("talk_end_{width}x{height}"), screen(&app));
        press(&mut app, "g");
        insta::assert_snapshot!(format!("talk_start_{width}x{height}"), screen(&app));
    }
}

#[test]
fn a_conversation_is_ascii_where_it_has_to_be_and_the_same_without_colours() {
    let mut ascii = app(80, 60);
    ascii.settings = settings(ThemeName::Mono, true);
    update(&mut ascii, said("session-w1", everything()));
    press(&mut ascii, "Enter Enter g");
    let frame = screen(&ascii);
    assert!(frame.is_ascii(), "{frame}");
    insta::assert_snapshot!("talk_ascii", frame);
    let mut mono = app(80, 60);
    mono.settings = settings(ThemeName::Mono, false);
    update(&mut mono, said("session-w1", everything()));
    press(&mut mono, "Enter Enter g");
    let mut dark = showing(80, 60, everything());
    press(&mut dark, "g");
    assert_eq!(screen(&mono), screen(&dark), "no theme changes what is said");
}

#[test]
fn a_long_output_is_folded_until_it_is_opened() {
    let mut app = showing(80, 24, everything());
    press(&mut app, "g ] ] ] ] ] ]");
    let folded = screen(&app);
    assert!(folded.contains("22 lines hidden, o opens") && !folded.contains("case_15"), "{folded}");
    assert!(folded.contains("▸ command exit 101"), "the chosen entry is marked: {folded}");
    press(&mut app, "o PgDn");
    let open = screen(&app);
    assert!(open.contains("case_20") && !open.contains("hidden"), "{open}");
    press(&mut app, "o");
    assert!(screen(&app).contains("22 lines hidden"), "{}", screen(&app));
    press(&mut app, "Esc");
    assert!(!screen(&app).contains('▸'), "Esc gives up the choice first");
    press(&mut app, "Esc Esc");
    assert!(screen(&app).contains("who needs you"));
}

#[test]
fn what_is_read_stays_where_it_is_when_more_is_said() {
    let long = |from: i64, to: i64| (from..=to).map(|id| entry(id, 300, Said::Agent(format!("answer {id}")))).collect();
    let mut app = showing(80, 24, long(1, 60));
    assert!(screen(&app).contains("answer 60"));
    press(&mut app, "PgUp PgUp");
    let before = screen(&app);
    assert!(before.contains("further back"), "{before}");
    update(&mut app, said("session-w1", long(40, 70)));
    assert_eq!(screen(&app), before);
    update(&mut app, Msg::Resized(Size::new(60, 24)));
    update(&mut app, Msg::Resized(Size::new(80, 24)));
    assert_eq!(screen(&app), before, "nor does another width lose the place");
    press(&mut app, "G");
    assert!(screen(&app).contains("answer 70") && !screen(&app).contains("further back"), "{}", screen(&app));
    update(&mut app, said("session-w1", long(60, 80)));
    assert!(screen(&app).contains("answer 80"), "the end is followed");
}

#[test]
fn older_entries_are_loaded_when_the_first_is_reached() {
    let page = |from: i64, to: i64| -> Vec<Entry> {
        (from..=to).map(|id| entry(id, 300, Said::Agent(format!("answer {id}")))).collect()
    };
    let mut app = showing(80, 24, page(2_001, 2_200));
    let effects = press(&mut app, "g");
    assert_eq!(lines(&effects), [format!("Conversation(\"session-w1\", {:?})", Talk::query(Some(2_001)))]);
    let answer = |before, entries| Msg::Conversation("session-w1".into(), Talk::query(Some(before)), Ok(entries));
    let before = screen(&app);
    update(&mut app, answer(2_001, page(1_001, 2_000)));
    assert_eq!(screen(&app), before, "what is read stays where it is");
    press(&mut app, "k k");
    assert!(screen(&app).contains("answer 2000"), "{}", screen(&app));
    // The answer to a question that was asked before does not come twice.
    update(&mut app, answer(2_001, page(1_001, 2_000)));
    let effects = press(&mut app, "g");
    assert_eq!(lines(&effects), [format!("Conversation(\"session-w1\", {:?})", Talk::query(Some(1_001)))]);
    update(&mut app, answer(1_001, page(1, 9)));
    assert!(press(&mut app, "g").is_empty(), "a short page is the last one");
    assert!(screen(&app).contains("answer 1\n"), "{}", screen(&app));
}

#[test]
fn no_more_is_held_than_fits() {
    let mut talk = Talk::default();
    let page = |from: i64| -> Vec<Entry> {
        (from..from + 200).map(|id| entry(id, 300, Said::Agent("x".repeat(20)))).collect()
    };
    let query = Talk::query(None);
    for from in (0..HELD as i64 + 2_000).step_by(150) {
        talk.arrived(query, Ok(page(from)));
    }
    let text = format!("{talk:?}").matches("Agent(").count();
    assert!(text <= HELD * 2 && text > HELD, "{text} in lines and entries together");
}

#[test]
fn a_gap_is_never_bridged() {
    let page = |from: i64, to: i64| -> Vec<Entry> {
        (from..=to).map(|id| entry(id, 300, Said::Agent(format!("answer {id}")))).collect()
    };
    let mut app = showing(80, 24, page(1, 60));
    press(&mut app, "PgUp");
    let before = screen(&app);
    update(&mut app, said("session-w1", page(100, 150)));
    assert_eq!(screen(&app), before, "who reads keeps what is read");
    let effects = press(&mut app, "G");
    assert_eq!(lines(&effects).len(), 1, "the end is asked for again: {effects:?}");
    update(&mut app, said("session-w1", page(100, 150)));
    let frame = screen(&app);
    assert!(frame.contains("answer 150") && !frame.contains("answer 60"), "{frame}");
}

/// The cell under a column and row of the drawn frame.
fn cell(app: &App, column: u16, row: u16) -> ratatui::buffer::Cell {
    let mut terminal = Terminal::new(TestBackend::new(app.size.width, app.size.height)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    terminal.backend().buffer()[(column, row)].clone()
}

fn with_pane(width: u16, height: u16, pane: PaneText) -> App {
    let mut app = app(width, height);
    press(&mut app, "p Enter Enter");
    update(&mut app, Msg::Pane("session-w1".into(), Ok(Some(pane))));
    app
}

fn row_of(app: &App, text: &str) -> u16 {
    let index = screen(app).lines().position(|line| line.contains(text)).expect("a row with it");
    u16::try_from(index).expect("a small screen")
}

#[test]
fn a_pane_has_its_colours_and_its_cursor() {
    let mut app = with_pane(80, 24, pane());
    let row = row_of(&app, "$ cargo test");
    let dollar = cell(&app, 1, row);
    assert_eq!((dollar.symbol(), dollar.fg), ("$", Color::Indexed(6)));
    assert!(dollar.modifier.contains(Modifier::BOLD));
    let row = row_of(&app, "> 1. Yes");
    assert!(cell(&app, 1, row).modifier.contains(Modifier::REVERSED));
    assert!(cell(&app, 3, row).modifier.contains(Modifier::REVERSED), "the cursor stands there");
    app.settings = settings(ThemeName::Mono, false);
    let row = row_of(&app, "$ cargo test");
    let dollar = cell(&app, 1, row);
    assert_eq!((dollar.fg, dollar.modifier.contains(Modifier::BOLD)), (Color::Reset, true), "attributes stay");
}

#[test]
fn a_pane_larger_than_its_place_is_shown_from_its_end_and_moves() {
    let text: String = (1..=50).map(|row| format!("row {row:02} {}|\n", "x".repeat(150))).collect();
    let picture = Picture::of(&text, 160, 50, Some(Cursor { column: 159, row: 49 }));
    let mut app = with_pane(80, 24, PaneText { picture, captured_at: ago(75), note: None });
    let frame = screen(&app);
    assert!(frame.contains("row 50") && !frame.contains("row 30"), "{frame}");
    assert!(frame.contains("as of 1m ago"), "{frame}");
    assert!(frame.contains("/50") && frame.contains("columns 1-79/160"), "{frame}");
    press(&mut app, "g");
    assert!(screen(&app).contains("row 01"), "{}", screen(&app));
    press(&mut app, "k j");
    assert!(screen(&app).contains("row 02") && !screen(&app).contains("row 01"), "one key takes one step");
    for _ in 0..30 {
        press(&mut app, "l");
    }
    assert!(screen(&app).contains("columns 82-160/160"), "{}", screen(&app));
    press(&mut app, "h");
    assert!(screen(&app).contains("columns 74-152/160"), "{}", screen(&app));
    insta::assert_snapshot!("pane_moved", screen(&app));
}

#[test]
fn half_of_a_wide_character_is_a_blank() {
    let picture = Picture::of(&"漢".repeat(60), 120, 2, None);
    let mut app = with_pane(80, 24, PaneText { picture, captured_at: NOW, note: None });
    press(&mut app, "l");
    let row = row_of(&app, "漢");
    assert_eq!((cell(&app, 1, row).symbol(), cell(&app, 79, row).symbol()), ("漢", " "));
}

#[test]
fn gauges_and_sub_agents_stand_above_the_text() {
    let agent = |name: &str, state: &str, seconds: i64| SubAgent {
        thread_id: format!("thread-{name}"),
        path: Some(format!("/root/{name}")),
        state: state.into(),
        started_at: Some(ago(400)),
        at: Some(ago(seconds)),
    };
    let agents = vec![
        agent("counter", "completed", 200),
        agent("reader", "started", 100),
        agent("reader/deep", "started", 50),
        agent("writer", "failed", 20),
    ];
    let make = |width, height| {
        let mut app = app(width, height);
        let mut board = board();
        let row = board.sessions.iter_mut().find(|row| row.name == "w1").expect("w1");
        row.agents = agents.clone();
        row.parent =
            Some(Parent { thread_id: "thread-root".into(), session: Some("m1".into()), path: Some("/root/w".into()) });
        let effects = update(&mut app, Msg::Board(Ok(board)));
        assert!(lines(&effects).contains(&"Agents(\"session-w1\")".to_owned()), "{effects:?}");
        let view = AgentView {
            agent: agents[1].clone(),
            session: Some("w7".into()),
            used_tokens: Some(12_345),
            total_tokens: Some(50_000),
            last_event_at: Some(ago(7)),
        };
        update(&mut app, Msg::Agents("session-w1".into(), Ok(vec![view])));
        press(&mut app, "Enter Enter");
        app
    };
    for (width, height) in [(80, 24), (50, 20), (160, 50)] {
        insta::assert_snapshot!(format!("usage_{width}x{height}"), screen(&make(width, height)));
    }
    let low = screen(&make(80, 18));
    assert!(low.contains("reader") && low.contains("more sub-agents"), "those that run stay: {low}");
}

#[test]
fn a_limit_that_has_started_anew_is_not_said_to_be_used() {
    let mut app = app(160, 50);
    press(&mut app, "Enter Enter");
    assert!(screen(&app).contains("5h limit 92%, anew in 1h00"), "{}", screen(&app));
    update(&mut app, Msg::Tick(Timestamp::from_millis(NOW.as_millis() + 7_200_000)));
    let later = screen(&app);
    assert!(later.contains("5h limit: new since 1h00 ago") && !later.contains("92%"), "{later}");
    let mut unknown = board();
    let row = unknown.sessions.iter_mut().find(|row| row.name == "w1").expect("w1");
    (row.context, row.tokens) = (None, None);
    update(&mut app, Msg::Board(Ok(unknown)));
    assert!(screen(&app).contains("context unknown"));
}

/// As for other frames: three times the bar, because test builds are slow and the machine may be busy.
#[test]
fn a_frame_of_ten_thousand_entries_is_quick() {
    let mut app = app(160, 50);
    press(&mut app, "Enter Enter");
    let text = "# Findings\n\n- the **parser** reads `tokens` in pieces\n- and keeps their offsets\n\n".repeat(4);
    let page = |from: i64| -> Vec<Entry> {
        let said = |id: i64| if id % 2 == 0 { Said::Agent(text.clone()) } else { run("cargo test", 0, &text) };
        (from..from + 1_000).map(|id| entry(id, 300, said(id))).collect()
    };
    update(&mut app, said("session-w1", Vec::new()));
    update(&mut app, said("session-w1", page(9_000)));
    for from in (0..9).rev().map(|page| page * 1_000) {
        let query = TalkQuery { before: Some(from + 1_000), limit: 1_000 };
        update(&mut app, Msg::Conversation("session-w1".into(), query, Ok(page(from))));
    }
    for keys in ["k", "PgUp", "g", "G", "["] {
        let quickest = (0..5)
            .map(|_| {
                let start = Instant::now();
                press(&mut app, keys);
                screen(&app);
                start.elapsed()
            })
            .min();
        assert!(quickest < Some(Duration::from_millis(48)), "{keys}: {quickest:?}");
    }
}

/// The Task screen with both conversations loaded.
pub fn pair(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "2");
    update(&mut app, said("session-w1", everything()));
    update(&mut app, said("session-m1", vec![entry(900, 12, Said::Agent("I will wait for the worker.".into()))]));
    app
}

#[test]
fn a_narrow_screen_shows_one_end_of_the_pair() {
    let mut narrow = pair(40, 20);
    insta::assert_snapshot!("pair_40x20", screen(&narrow));
    press(&mut narrow, "Tab Tab");
    assert!(screen(&narrow).contains("worker w1") && !screen(&narrow).contains("tasks"), "{}", screen(&narrow));
}

#[test]
fn both_ends_of_the_pair_are_loaded_and_the_one_with_the_keyboard_is_moved() {
    let mut app = app(160, 50);
    assert_eq!(lines(&press(&mut app, "2")), [format!("Conversation(\"session-w1\", {:?})", Talk::query(None))]);
    let effects = update(&mut app, said("session-w1", everything()));
    assert_eq!(lines(&effects), [format!("Conversation(\"session-m1\", {:?})", Talk::query(None))]);
    let long = (1..=60).map(|id| entry(id, 300, Said::Agent(format!("answer {id}")))).collect();
    update(&mut app, said("session-m1", long));
    assert_eq!(app.session().map(|row| row.name.as_str()), Some("w1"));
    press(&mut app, "Tab Tab Tab");
    assert_eq!(app.session().map(|row| row.name.as_str()), Some("m1"), "keys are about the one in focus");
    press(&mut app, "g");
    let frame = screen(&app);
    assert!(frame.contains("answer 1\n") && frame.contains("usage limit reached"), "only the manager moved: {frame}");
    press(&mut app, "Esc");
    assert_eq!(app.session().map(|row| row.name.as_str()), Some("w1"));
    let effects = press(&mut app, "p");
    assert!(lines(&effects).contains(&"Pane(\"session-w1\")".to_owned()), "{effects:?}");
    update(&mut app, Msg::Pane("session-w1".into(), Ok(Some(pane()))));
    assert!(screen(&app).contains("$ cargo test --workspace"), "{}", screen(&app));
}

#[test]
fn a_click_gives_the_keyboard_and_the_wheel_scrolls_what_is_under_it() {
    let mut app = pair(160, 50);
    let long = (1..=60).map(|id| entry(id, 300, Said::Agent(format!("answer {id}")))).collect();
    update(&mut app, said("session-m1", Vec::new()));
    update(&mut app, said("session-m1", long));
    assert!(screen(&app).contains("answer 60"));
    update(&mut app, Msg::Wheel(150, 30, false));
    assert!(!screen(&app).contains("answer 60"), "{}", screen(&app));
    update(&mut app, Msg::Click(150, 30));
    assert_eq!(app.session().map(|row| row.name.as_str()), Some("m1"));
    update(&mut app, Msg::Click(3, 2));
    assert_eq!(app.session().map(|row| row.name.as_str()), Some("w1"), "the list has it again");
}

#[test]
fn a_task_without_a_pair_has_all_the_room() {
    let mut app = pair(160, 50);
    press(&mut app, "j j");
    let frame = screen(&app);
    assert!(frame.contains("none: nobody works on it") && !frame.contains("worker w"), "{frame}");
    press(&mut app, "Tab Tab");
    assert!(screen(&app).contains("tasks"), "Tab finds no end of a pair");
}
