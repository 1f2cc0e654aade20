//! Pins, snoozes, and what counts as looked at.

use serde_json::json;

use super::fake::{NOW, ago, app, board, conversation, crowd, empty, lines, press, screen, visit};
use crate::{
    actions::{Report, Visit, Way},
    base::{Error, Kind},
    model::{
        board::{Attention, Board},
        marks::MarksView,
    },
    tui::{
        app::{App, Look, update},
        message::Msg,
        screen::fleet,
        talk::Talk,
    },
};

/// The fleet with one row of each mark: w2 (failed) pinned, w1 (needs you) put aside, m2 (idle) unread by hand.
pub fn marked() -> Board {
    let mut board = board();
    for row in &mut board.sessions {
        match row.name.as_str() {
            "w2" => row.marks.pinned = true,
            "w1" => row.marks.snoozed_until = Some(ago(-1_700)),
            "m2" => row.marks.unread = true,
            _ => {}
        }
    }
    board.tasks[2].marks.pinned = true;
    board
}

pub fn with(board: Board, width: u16, height: u16) -> App {
    let mut app = app(width, height);
    update(&mut app, Msg::Board(Ok(board)));
    update(&mut app, Msg::Conversation("session-w1".into(), Talk::query(None), Ok(conversation())));
    app
}

fn order(app: &App) -> Vec<String> {
    fleet::rows(app).iter().map(|row| row.name().to_owned()).collect()
}

fn select(app: &mut App, name: &str) {
    app.select(Some(format!("session-{name}")), &mut Vec::new());
    update(app, Msg::Conversation(format!("session-{name}"), Talk::query(None), Ok(conversation())));
}

#[test]
fn pinned_rows_float_and_snoozed_ones_sink_within_their_tier_until_they_wake() {
    let mut all_need = board();
    for row in &mut all_need.sessions {
        row.attention = Attention::NeedsYou;
        row.marks = MarksView::default();
    }
    // By age alone: w2, m2, w1, w3, m1, w4.
    all_need.sessions.iter_mut().find(|row| row.name == "m1").unwrap().marks.pinned = true;
    let aside = all_need.sessions.iter_mut().find(|row| row.name == "w2").unwrap();
    aside.marks = MarksView { pinned: true, snoozed_until: Some(ago(-60)), ..MarksView::default() };
    let mut app = with(all_need, 80, 24);
    assert_eq!(order(&app), ["m1", "m2", "w1", "w3", "w4", "w2", "docs"]);
    update(&mut app, Msg::Tick(ago(-59)));
    assert_eq!(order(&app)[5], "w2");
    update(&mut app, Msg::Tick(ago(-60)));
    assert_eq!(order(&app)[..2], ["w2", "m1"], "it wakes by itself, without a new board");
}

#[test]
fn w_passes_by_what_is_put_aside_or_was_seen() {
    let mut app = with(marked(), 80, 24);
    let mut visited = Vec::new();
    for _ in 0..4 {
        press(&mut app, "w");
        visited.push(app.fleet.list.id.clone().unwrap_or_default());
    }
    assert_eq!(visited, ["session-w2", "session-w3", "session-m2", "session-w2"], "w1 sleeps, m2 is unread by hand");
    assert!(screen(&app).contains("! 0 (1 snoozed)"), "the header does not count it: {}", screen(&app));
    let mut seen = board();
    seen.sessions.iter_mut().for_each(|row| row.marks.unread = false);
    let mut app = with(seen, 80, 24);
    press(&mut app, "w w w");
    assert_eq!(app.fleet.list.id.as_deref(), Some("session-w1"), "only an open question is left");
}

#[test]
fn a_session_that_is_marked_unread_shows_it_at_once_and_the_receipt_says_what_it_means() {
    for name in ["w3", "w4", "m2"] {
        let mut app = with(board(), 100, 24);
        select(&mut app, name);
        let row = |app: &App| {
            screen(app).lines().find(|line| line.chars().take(8).collect::<String>().contains(name)).map(str::to_owned)
        };
        assert!(!row(&app).unwrap_or_default().contains('\u{2022}'), "{}", screen(&app));
        assert_eq!(lines(&press(&mut app, "u")), [format!("note mark --unread -- {name}")]);
        let line = format!("conveyor mark --unread -- {name}");
        let prose = format!("{name}: unread until you look at it, not pinned, not snoozed\n");
        let json = json!({"session": name, "unread": true});
        let report = Report { json, prose, exit_code: 0, handover: None };
        update(&mut app, Msg::Noted { line, by_key: true, result: Ok(report) });
        assert!(row(&app).unwrap_or_default().contains('\u{2022}'), "{name}: {}", screen(&app));
        let said = format!("\u{2022} {name}: unread until you look at it");
        assert!(screen(&app).contains(&said), "{}", screen(&app));
    }
}

#[test]
fn pin_and_unread_are_command_lines_with_a_receipt_in_a_line() {
    let mut app = app(80, 24);
    assert_eq!(lines(&press(&mut app, "P")), ["note mark --pin -- w1"]);
    let line = "conveyor mark --pin -- w1".to_owned();
    let report = Report { json: json!({}), prose: "w1: pinned, not snoozed\n".into(), exit_code: 0, handover: None };
    update(&mut app, Msg::Noted { line: line.clone(), by_key: true, result: Ok(report) });
    assert!(app.layers.is_empty() && screen(&app).contains("w1: pinned, not snoozed  (conveyor mark --pin -- w1)"));
    let error = Error::new(Kind::Busy, "the ledger is in use");
    update(&mut app, Msg::Noted { line, by_key: true, result: Err(error) });
    assert!(screen(&app).contains("the ledger is in use"), "{}", screen(&app));
    let mut app = with(marked(), 80, 24);
    press(&mut app, "w");
    assert_eq!(lines(&press(&mut app, "P")), ["note mark --unpin -- w2"]);
    press(&mut app, "Enter");
    assert_eq!(lines(&press(&mut app, "u")), ["note mark --unread -- w2"]);
    assert_eq!(app.fleet.look, Look::List, "a preview that stayed open would undo it");
    app.fleet.list.id = Some("task-docs".into());
    assert_eq!(lines(&press(&mut app, "P")), ["note mark '--task=task-docs' --unpin"]);
    assert!(press(&mut app, "u").is_empty(), "a task is not looked at");
}

#[test]
fn a_snooze_is_chosen_and_shows_what_it_runs() {
    let mut app = app(80, 24);
    press(&mut app, "s j");
    assert!(screen(&app).contains("runs: conveyor mark '--snooze=1h' -- w1"), "{}", screen(&app));
    assert_eq!(lines(&press(&mut app, "Enter")), ["note mark '--snooze=1h' -- w1"]);
    assert!(app.layers.is_empty());
    assert!(press(&mut app, "s Esc").is_empty() && app.layers.is_empty());
    let mut app = with(marked(), 80, 24);
    select(&mut app, "w1");
    assert_eq!(lines(&press(&mut app, "s Enter")), ["note mark --unsnooze -- w1"]);
}

#[test]
fn a_look_is_told_once_with_the_byte_that_was_shown() {
    let mut app = app(80, 24);
    select(&mut app, "w3");
    let look = "look mark --seen '--upto=184220' -- w3";
    assert_eq!(lines(&press(&mut app, "Enter")), [look]);
    assert!(press(&mut app, "k k").is_empty(), "told already");
    update(&mut app, Msg::Board(Ok(board())));
    assert!(press(&mut app, "k").is_empty(), "also while the answer is out");
    // Somebody else marks it unread again: closing and opening the preview is a new look.
    press(&mut app, "Esc");
    assert_eq!(lines(&press(&mut app, "Enter")), [look]);
}

#[test]
fn nothing_is_seen_that_was_not_on_the_screen() {
    let mut app = app(80, 24);
    app.select(Some("session-w3".into()), &mut Vec::new());
    assert!(press(&mut app, "Enter").is_empty(), "its conversation is still to come");
    let shown = Msg::Conversation("session-w3".into(), Talk::query(None), Ok(conversation()));
    assert_eq!(lines(&update(&mut app, shown)).len(), 1);
    let mut listed = self::app(80, 24);
    select(&mut listed, "w3");
    assert!(
        press(&mut listed, "p p Tab Tab")
            .iter()
            .all(|effect| !lines(std::slice::from_ref(effect))[0].starts_with("note"))
    );
    let mut listed = self::app(80, 24);
    select(&mut listed, "w3");
    assert!(
        !lines(&press(&mut listed, "x Esc 3 1")).iter().any(|line| line.starts_with("look")),
        "no preview was open"
    );
}

#[test]
fn what_ends_while_nobody_is_there_is_seen_with_the_next_key() {
    let mut working = board();
    let w3 = working.sessions.iter_mut().find(|row| row.name == "w3").unwrap();
    w3.attention = Attention::Working;
    w3.marks.unread = false;
    let mut app = with(working, 80, 24);
    select(&mut app, "w3");
    assert!(press(&mut app, "Enter").is_empty());
    update(&mut app, Msg::Tick(ago(-61)));
    update(&mut app, Msg::Board(Ok(board())));
    let shown = Msg::Conversation("session-w3".into(), Talk::query(None), Ok(conversation()));
    assert!(lines(&update(&mut app, shown)).iter().all(|line| !line.starts_with("look")), "the chair may be empty");
    assert_eq!(lines(&press(&mut app, "k")), ["look mark --seen '--upto=184220' -- w3"]);
}

#[test]
fn an_attached_session_was_seen_when_the_terminal_is_back() {
    let mut app = app(80, 24);
    press(&mut app, "a");
    update(&mut app, Msg::Attach(Ok(visit(&["tmux"]))));
    assert_eq!(lines(&update(&mut app, Msg::Returned(Ok(())))), ["look mark --seen -- w1", "Board"]);
    assert!(!screen(&app).contains("comes back"), "it is back already");
    press(&mut app, "a");
    let switch = Visit { way: Way::SwitchClient, back: Some("Ctrl-b L".into()), ..visit(&["tmux"]) };
    update(&mut app, Msg::Attach(Ok(switch)));
    update(&mut app, Msg::Returned(Ok(())));
    assert!(screen(&app).contains("tmux shows w1; Ctrl-b L comes back here"), "{}", screen(&app));
    press(&mut app, "a");
    let failed = update(&mut app, Msg::Returned(Err(Error::io("tmux did not attach"))));
    assert!(failed.is_empty(), "it was never shown: {:?}", lines(&failed));
}

#[test]
fn the_gone_are_folded_into_a_line_unless_they_are_asked_for() {
    let mut app = empty(80, 24);
    update(&mut app, Msg::Board(Ok(crowd(14))));
    let gone = |app: &App| order(app).iter().filter(|name| *name == "w006" || *name == "w013").count();
    assert_eq!((gone(&app), order(&app).len()), (0, 13), "12 sessions and the task nobody works on");
    press(&mut app, "G");
    assert!(screen(&app).contains("2 gone (H shows)"), "{}", screen(&app));
    press(&mut app, "H");
    assert_eq!(gone(&app), 2);
    press(&mut app, "H / s t a t e : g o n e Enter");
    assert_eq!(order(&app), ["w013", "w006"], "a filter that asks for them shows them");
    let mut all_gone = board();
    all_gone.tasks.clear();
    all_gone.sessions.iter_mut().for_each(|row| row.attention = Attention::Gone);
    let mut app = empty(80, 24);
    update(&mut app, Msg::Board(Ok(all_gone)));
    assert!(screen(&app).contains("every session is gone") && screen(&app).contains("6 gone (H shows)"));
    assert!(app.session().is_none(), "no key is about what is not shown");
    assert_eq!(NOW, app.now);
}

#[test]
fn what_the_filter_hides_and_what_is_folded_are_counted_apart() {
    for (width, height) in [(80, 24), (50, 20)] {
        let mut app = empty(width, height);
        update(&mut app, Msg::Board(Ok(crowd(14))));
        press(&mut app, "/ w 0 0 6 Enter");
        let frame = screen(&app);
        // Of 15 rows and sessions two are gone; one of them passes.
        assert!(frame.contains("13 rows and 1 gone hidden"), "{frame}");
        assert!(frame.contains("1 gone that pass (H shows)"), "{frame}");
        assert!(frame.contains("only sessions that are gone"), "{frame}");
        press(&mut app, "H");
        let frame = screen(&app);
        assert!(frame.contains("14 rows hidden") && !frame.contains("gone that pass"), "{frame}");
        press(&mut app, "H Esc");
        assert!(screen(&app).contains("2 gone (H shows)") || height == 20, "{}", screen(&app));
    }
}

#[test]
fn who_looks_for_work_is_told_truly_what_the_filter_hides() {
    let mut app = empty(80, 24);
    let mut now = board();
    now.sessions.iter_mut().for_each(|row| {
        row.marks.unread = row.name == "w3";
        if row.attention == Attention::NeedsYou {
            row.attention = Attention::Idle;
        }
    });
    update(&mut app, Msg::Board(Ok(now.clone())));
    press(&mut app, "/ m 1 Enter w");
    // It only was not looked at.
    assert!(screen(&app).contains("the filter hides 1 unread"), "{}", screen(&app));
    // It goes with its cause, without a key.
    now.sessions.iter_mut().for_each(|row| row.marks.unread = false);
    update(&mut app, Msg::Board(Ok(now.clone())));
    assert!(!screen(&app).contains("the filter hides"), "{}", screen(&app));
    press(&mut app, "w");
    assert!(screen(&app).contains("nobody needs you, and nothing is unread"), "{}", screen(&app));
    now.sessions[0].attention = Attention::NeedsYou;
    (now.sessions[0].marks.unread, app.filter_text) = (true, String::new());
    app.filter = crate::model::filter::Filter::default();
    update(&mut app, Msg::Board(Ok(now)));
    assert!(!screen(&app).contains("nothing is unread"), "{}", screen(&app));
}
