//! Keys in, effects and state out.

use ratatui::layout::Size;

use super::fake::{
    NOW, ago, app, board, conversation, crowd, empty, explanation, finish, lines, press, said, screen, visit, write,
};
use crate::{
    actions::Report,
    base::{Error, Kind, Timestamp},
    engine::Notice,
    model::{board::Attention, filter::Filter, session::Registration},
    tui::{
        app::{App, BoardState, Look, Screen, update},
        backend::EventQuery,
        layer::Layer,
        message::{Effect, Load, Msg},
        screen::fleet,
        talk::Talk,
    },
};

fn selected(app: &App) -> &str {
    app.fleet.list.id.as_deref().unwrap_or("")
}

fn asks(session: &str) -> String {
    format!("Conversation({session:?}, {:?})", Talk::query(None))
}

fn order(app: &App) -> Vec<String> {
    let name = |row: &fleet::Row<'_>| row.id().split_once('-').map_or("", |(_, name)| name).to_owned();
    fleet::rows(app).iter().map(name).collect()
}

#[test]
fn the_most_urgent_stand_first_and_the_longest_wait_before_the_rest() {
    let mut app = app(80, 24);
    assert_eq!(order(&app), ["w1", "w2", "w3", "m1", "docs", "m2", "w4"]);
    assert_eq!(selected(&app), "session-w1");
    let mut later = board();
    for row in &mut later.sessions {
        row.attention = Attention::NeedsYou;
    }
    update(&mut app, Msg::Board(Ok(later)));
    // Since 4000, 900, 190, 61, 12 seconds, and unknown.
    assert_eq!(order(&app), ["w2", "m2", "w1", "w3", "m1", "w4", "docs"]);
    assert_eq!(selected(&app), "session-w1", "rows move, the selection does not");
}

#[test]
fn a_session_that_is_stopped_and_resumed_stays_the_selected_one() {
    let mut app = app(80, 24);
    press(&mut app, "j K");
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor stop -- w2"]);
    let mut stopped = board();
    let row = stopped.sessions.iter_mut().find(|row| row.name == "w2").unwrap();
    (row.attention, row.registration) = (Attention::Gone, Registration::Gone);
    update(&mut app, Msg::Board(Ok(stopped)));
    assert_eq!((selected(&app), app.session().map(|row| row.name.as_str())), ("session-w2", Some("w2")));
    assert!(screen(&app).contains("w2 \u{2194} m2"), "{}", screen(&app));
    assert!(!screen(&app).contains("1 gone"), "it is not folded: {}", screen(&app));
    press(&mut app, "Z");
    assert!(screen(&app).contains("conveyor resume") && screen(&app).contains("-- w2"), "{}", screen(&app));
    press(&mut app, "Esc");
    update(&mut app, Msg::Board(Ok(board())));
    assert_eq!(selected(&app), "session-w2");
    // Who goes on to another one lets it go.
    let mut stopped = board();
    stopped.sessions.iter_mut().find(|row| row.name == "w2").unwrap().attention = Attention::Gone;
    update(&mut app, Msg::Board(Ok(stopped)));
    press(&mut app, "g");
    assert!(!order(&app).contains(&"w2".to_owned()) && screen(&app).contains("1 gone"), "{}", screen(&app));
    press(&mut app, "H G H");
    assert!(!order(&app).contains(&"w2".to_owned()), "who folds them folds the selected one too");
}

#[test]
fn acts_are_command_lines() {
    let mut app = app(80, 24);
    assert_eq!(lines(&press(&mut app, "c")), ["conveyor cycle '--busy-wait-seconds=90' -- parser"]);
    assert_eq!(lines(&press(&mut app, "x")), ["Explain(\"session-w1\")"]);
    assert_eq!(lines(&press(&mut app, "Y")), ["copy conveyor explain -- w1"]);
    press(&mut app, "Esc");
    assert_eq!(lines(&press(&mut app, "a")), ["Attach(\"session-w1\")"]);
    let attach = visit(&["tmux", "attach", "-t", "%3"]);
    assert_eq!(lines(&update(&mut app, Msg::Attach(Ok(attach)))), ["tmux attach -t %3"]);
    assert_eq!(lines(&update(&mut app, Msg::Returned(Ok(())))), ["look mark --seen -- w1", "Board"]);
    assert_eq!(lines(&press(&mut app, "M Ctrl-L Ctrl-Z")), ["mouse false", "Repaint", "Suspend"]);
}

#[test]
fn a_command_may_want_the_terminal() {
    let mut app = app(80, 24);
    let handover = Some(vec!["tmux".to_owned(), "attach".to_owned()]);
    let report = Report { json: serde_json::Value::Null, prose: String::new(), exit_code: 0, handover };
    let effects = update(&mut app, Msg::Done("conveyor open w1".into(), Ok(report)));
    assert_eq!(lines(&effects), ["tmux attach", "Board"]);
    assert!(app.layers.is_empty());
}

#[test]
fn trouble_in_the_background_stays_until_it_is_over() {
    let mut app = app(80, 24);
    update(&mut app, Msg::Notice(Notice::Trouble { task: "tail", message: "cannot read the rollout".into() }));
    update(&mut app, Msg::Tick(ago(-60)));
    assert!(screen(&app).contains("tail: cannot read the rollout"));
    update(&mut app, Msg::Notice(Notice::Recovered { task: "tail" }));
    assert!(screen(&app).contains("ingest ok"));
    update(&mut app, Msg::Notice(Notice::Died { task: "observe" }));
    assert!(screen(&app).contains("observe: ended by itself"));
}

#[test]
fn a_session_without_task_is_not_cycled() {
    let mut app = app(80, 24);
    app.fleet.list.id = Some("session-w3".into());
    assert_eq!(lines(&press(&mut app, "c")), Vec::<String>::new());
    assert!(screen(&app).contains("bind the session to a task first"));
}

#[test]
fn moving_loads_what_the_preview_shows_once_per_kind() {
    let mut app = app(80, 24);
    assert_eq!(lines(&press(&mut app, "j")), [asks("session-w2")]);
    // The answer is still out: the next questions wait, and only the newest is asked then.
    assert_eq!(lines(&press(&mut app, "j j")), Vec::<String>::new());
    let answer = said("session-w2", Vec::new());
    assert_eq!(lines(&update(&mut app, answer)), [asks("session-m1")]);
    press(&mut app, "G");
    assert_eq!(selected(&app), "session-w4");
    press(&mut app, "g");
    assert_eq!(selected(&app), "session-w1");
    press(&mut app, "PgDn k");
    assert_eq!(selected(&app), "session-m2");
}

#[test]
fn enter_looks_closer_and_esc_backs_out() {
    let mut app = app(80, 24);
    press(&mut app, "Enter");
    assert_eq!(app.fleet.look, Look::Peek);
    press(&mut app, "Enter");
    assert_eq!(app.fleet.look, Look::Full);
    press(&mut app, "k k");
    assert_eq!(selected(&app), "session-w1", "keys scroll the preview now");
    press(&mut app, "Esc");
    assert_eq!(app.fleet.look, Look::Peek);
    press(&mut app, "Esc Tab");
    assert_eq!(app.fleet.look, Look::Peek);
    press(&mut app, "Tab");
    assert_eq!(app.fleet.look, Look::List);
    assert!(press(&mut app, "Esc").is_empty());
}

#[test]
fn the_preview_scrolls_to_its_first_line_and_no_further() {
    let mut app = app(80, 14);
    press(&mut app, "Enter");
    assert!(!screen(&app).contains("Make the parser"));
    press(&mut app, "g");
    assert!(screen(&app).contains("Make the parser"), "{}", screen(&app));
    let top = screen(&app);
    press(&mut app, "k PgUp");
    assert_eq!(screen(&app), top);
    press(&mut app, "j");
    assert_ne!(screen(&app), top, "one step back takes one key");
    press(&mut app, "G");
    assert!(screen(&app).contains("中断されました"));
}

#[test]
fn w_goes_round_those_who_need_someone() {
    let mut app = app(80, 24);
    let mut seen = Vec::new();
    for _ in 0..4 {
        press(&mut app, "w");
        seen.push(selected(&app).to_owned());
    }
    assert_eq!(seen, ["session-w2", "session-w3", "session-w1", "session-w2"]);
    press(&mut app, "W W");
    assert_eq!(selected(&app), "session-w3");
}

#[test]
fn w_on_the_task_screen_loads_what_the_fleet_shows_then() {
    let mut app = app(80, 24);
    let mut one = board();
    one.sessions.retain(|row| row.name == "w1" || row.name == "m1");
    update(&mut app, Msg::Board(Ok(one)));
    update(&mut app, said("session-w1", conversation()));
    let effects = press(&mut app, "2 w");
    assert_eq!((app.screen, selected(&app)), (Screen::Fleet, "session-w1"));
    assert_eq!(lines(&effects), [asks("session-w1")], "what was loaded before is old by now");
}

#[test]
fn no_key_is_about_a_session_that_the_filter_hides() {
    let mut app = app(80, 24);
    press(&mut app, "/");
    write(&mut app, "zzz");
    press(&mut app, "Enter");
    assert!(order(&app).is_empty() && app.session().is_none());
    for key in ["c", "x", "n", "a"] {
        assert!(press(&mut app, key).is_empty(), "{key} does nothing");
        assert!(app.layers.is_empty(), "{key} opens nothing");
    }
    assert!(screen(&app).contains("no session is selected"));
}

#[test]
fn a_filter_works_while_it_is_typed() {
    let mut app = app(80, 24);
    press(&mut app, "/");
    assert!(screen(&app).lines().last().is_some_and(|line| line.ends_with("Enter keeps it  Esc undoes it")));
    write(&mut app, "role:man");
    assert!(screen(&app).contains("`man` is no role; roles are worker, manager"));
    assert_eq!(order(&app).len(), 7, "a filter with a fault changes nothing");
    press(&mut app, "Enter");
    assert!(matches!(app.layers.last(), Some(Layer::Input(_))), "nor is it taken");
    write(&mut app, "ager");
    assert_eq!(order(&app), ["m1", "m2"]);
    press(&mut app, "Enter");
    assert!(app.layers.is_empty());
    assert_eq!(selected(&app), "session-m1", "a hidden selection passes to a visible row");
    press(&mut app, "w");
    assert!(screen(&app).contains("the filter hides 1 that needs you and 2 unread"), "{}", screen(&app));
    press(&mut app, "Esc");
    assert!(!screen(&app).contains("hides"), "nothing is hidden any more: {}", screen(&app));
    assert_eq!(order(&app).len(), 7);
    press(&mut app, "j /");
    write(&mut app, "role:manager zzz");
    press(&mut app, "Esc");
    assert_eq!(order(&app).len(), 7, "Esc leaves the filter as it was");
    assert_eq!(selected(&app), "session-docs".replace("session", "task"), "and the selection");
}

#[test]
fn q_in_an_input_line_is_a_letter() {
    let mut app = app(80, 24);
    press(&mut app, "/");
    assert!(write(&mut app, "qxca?").is_empty());
    update(&mut app, Msg::Paste("two\r\nlines\u{1b}[31m".into()));
    let Some(Layer::Input(input)) = app.layers.last() else { panic!("the input line is open") };
    assert_eq!(input.text, "qxca?two lines");
    assert_eq!(press(&mut app, "Ctrl-C"), [Effect::Quit], "Ctrl-C leaves from everywhere");
}

#[test]
fn pastes_make_no_line_longer_than_it_may_be() {
    let mut app = app(80, 24);
    press(&mut app, "/");
    for _ in 0..3 {
        update(&mut app, Msg::Paste("é".repeat(400)));
    }
    let Some(Layer::Input(input)) = app.layers.last() else { panic!("the input line is open") };
    assert_eq!(input.text.chars().count(), 500);
    press(&mut app, "Esc ?");
    for _ in 0..3 {
        update(&mut app, Msg::Paste("é".repeat(400)));
    }
    let Some(Layer::Help { filter, .. }) = app.layers.last() else { panic!("the help is open") };
    assert_eq!(filter.chars().count(), 500);
}

#[test]
fn a_paste_on_a_screen_runs_no_keys() {
    let mut app = app(80, 24);
    assert!(update(&mut app, Msg::Paste("qcxa".into())).is_empty());
    assert!(app.layers.is_empty());
}

#[test]
fn quitting_asks_while_a_command_runs() {
    let mut app = app(80, 24);
    press(&mut app, "c");
    assert!(press(&mut app, "q").is_empty());
    assert!(press(&mut app, "n").is_empty());
    assert_eq!(press(&mut app, "q y"), [Effect::Quit]);
    finish(&mut app, Err(Error::refused("no")));
    assert_eq!(press(&mut app, "Esc q"), [Effect::Quit]);
}

#[test]
fn an_explanation_that_nobody_waits_for_is_dropped() {
    let mut app = app(80, 24);
    press(&mut app, "x Esc");
    update(&mut app, Msg::Explained("session-w1".into(), Ok(explanation())));
    assert!(app.layers.is_empty());
    press(&mut app, "x");
    update(&mut app, Msg::Explained("session-w2".into(), Ok(explanation())));
    assert!(screen(&app).contains("looking"), "another session's explanation is not shown");
    update(&mut app, Msg::Explained("session-w1".into(), Ok(explanation())));
    assert!(screen(&app).contains("the sensors disagree"));
}

#[test]
fn an_explanation_goes_on_with_each_board_and_its_ages_with_the_clock() {
    let mut app = app(80, 12);
    assert_eq!(lines(&press(&mut app, "x")), ["Explain(\"session-w1\")"]);
    assert!(!lines(&update(&mut app, Msg::Board(Ok(board())))).contains(&"Explain(\"session-w1\")".to_owned()), "one");
    let asked = update(&mut app, Msg::Explained("session-w1".into(), Ok(explanation())));
    assert_eq!(lines(&asked), ["Explain(\"session-w1\")"], "what waited is asked then");
    update(&mut app, Msg::Explained("session-w1".into(), Ok(explanation())));
    press(&mut app, "j j");
    let at = |app: &App| match app.layers.last() {
        Some(Layer::Reader(reader)) => reader.scroll,
        other => panic!("{other:?}"),
    };
    let (before, frame) = (at(&app), screen(&app));
    update(&mut app, Msg::Tick(ago(-60)));
    assert_ne!(screen(&app), frame, "ages go on");
    let mut changed = explanation();
    changed.judgement.readings[0].reason = "it asks no more".into();
    assert!(lines(&update(&mut app, Msg::Board(Ok(board())))).contains(&"Explain(\"session-w1\")".to_owned()));
    update(&mut app, Msg::Explained("session-w1".into(), Ok(changed)));
    assert_eq!((before, at(&app)), (2, 2), "who reads is left where he reads");
    assert!(screen(&app).contains("it asks no more"), "{}", screen(&app));
    let mut short = explanation();
    (short.judgement.readings, short.lines) = (Vec::new(), Vec::new());
    press(&mut app, "G");
    update(&mut app, Msg::Explained("session-w1".into(), Ok(short)));
    let end = at(&app);
    press(&mut app, "k");
    assert!(end == 0 || at(&app) == end - 1, "the next key moves it");
    press(&mut app, "Esc");
    assert!(!lines(&update(&mut app, Msg::Board(Ok(board())))).contains(&"Explain(\"session-w1\")".to_owned()));
}

#[test]
fn a_broken_ledger_is_said_and_tried_again_every_second() {
    let mut app = app(80, 24);
    press(&mut app, "r");
    let broken = || Error::new(Kind::Ledger, "the ledger is damaged").hint("run `conveyor db-doctor`");
    update(&mut app, Msg::Board(Err(broken())));
    assert!(matches!(app.board, BoardState::Failed(_)));
    let later = |seconds: i64| Timestamp::from_millis(NOW.as_millis() + seconds * 1000);
    update(&mut app, Msg::Conversation("session-w1".into(), Talk::query(None), Err(broken())));
    assert_eq!(update(&mut app, Msg::Tick(later(1))), [Effect::Load(Load::Board)]);
    assert!(update(&mut app, Msg::Tick(later(2))).is_empty(), "one question at a time");
    assert_eq!(selected(&app), "session-w1", "the selection outlives the failure");
    update(&mut app, Msg::Board(Ok(board())));
    assert!(screen(&app).contains("w1"));
}

#[test]
fn a_ledger_that_does_not_answer_is_said() {
    let later = |seconds: i64| Timestamp::from_millis(NOW.as_millis() + seconds * 1000);
    let mut app = empty(80, 24);
    assert!(!screen(&app).contains("no answer"));
    update(&mut app, Msg::Tick(later(3)));
    assert!(screen(&app).contains("no answer for 3s: another program may hold it"), "{}", screen(&app));
    // The second question goes out with the first answer.
    update(&mut app, Msg::Board(Ok(board())));
    assert!(screen(&app).contains("ingest ok"), "{}", screen(&app));
    update(&mut app, Msg::Tick(later(8)));
    assert!(screen(&app).contains("the ledger has not answered for 5s"), "{}", screen(&app));
    update(&mut app, Msg::Board(Ok(board())));
    assert!(screen(&app).contains("ingest ok"), "{}", screen(&app));
}

#[test]
fn changes_while_a_board_is_loading_lead_to_one_more() {
    let mut app = empty(80, 24);
    assert!(update(&mut app, Msg::Changed).is_empty());
    assert!(update(&mut app, Msg::Changed).is_empty());
    let effects = update(&mut app, Msg::Board(Ok(board())));
    assert_eq!(effects.iter().filter(|effect| **effect == Effect::Load(Load::Board)).count(), 1);
    assert!(!update(&mut app, Msg::Board(Ok(board()))).contains(&Effect::Load(Load::Board)));
}

#[test]
fn the_passing_of_time_is_no_change() {
    let mut app = app(80, 24);
    let before = app.changed_at;
    let mut aged = board();
    aged.taken_at = Timestamp::from_millis(NOW.as_millis() + 7_000);
    for row in &mut aged.sessions {
        row.judgement.age_seconds = row.judgement.age_seconds.map(|age| age + 7);
        row.last_heartbeat_at = Some(aged.taken_at);
    }
    update(&mut app, Msg::Board(Ok(aged.clone())));
    assert_eq!(app.changed_at, before);
    aged.sessions[0].judgement.reason.push('!');
    update(&mut app, Msg::Board(Ok(aged.clone())));
    assert_eq!(app.changed_at, Some(aged.taken_at));
}

#[test]
fn a_vanished_row_passes_the_selection_to_its_successor() {
    let mut app = app(80, 24);
    press(&mut app, "j");
    let mut smaller = board();
    smaller.sessions.retain(|row| row.name != "w2");
    update(&mut app, Msg::Board(Ok(smaller)));
    assert_eq!(selected(&app), "session-w3");
    let mut nobody = board();
    nobody.sessions.clear();
    nobody.tasks.clear();
    update(&mut app, Msg::Board(Ok(nobody)));
    update(&mut app, Msg::Board(Ok(board())));
    assert_eq!(selected(&app), "session-w3");
}

#[test]
fn a_resize_storm_keeps_the_selection_visible() {
    let mut app = app(80, 24);
    update(&mut app, Msg::Board(Ok(crowd(60))));
    press(&mut app, "PgDn PgDn j");
    let before = selected(&app).to_owned();
    let name = before.trim_start_matches("session-").to_owned();
    for size in [(20, 5), (300, 100), (0, 0), (49, 9), (79, 12), (1, 1), (160, 50), (80, 24)] {
        update(&mut app, Msg::Resized(Size::new(size.0, size.1)));
        assert_eq!(selected(&app), before);
        if size.0 >= 30 && size.1 >= 8 {
            assert!(screen(&app).contains(&name), "{size:?}\n{}", screen(&app));
        }
    }
}

#[test]
fn screens_take_the_selection_along() {
    let mut app = app(80, 24);
    press(&mut app, "j 2");
    assert_eq!(app.task_view.list.id.as_deref(), Some("task-cli"));
    assert_eq!(app.session().map(|row| row.name.as_str()), Some("w2"));
    press(&mut app, "k");
    assert_eq!(app.task_view.list.id.as_deref(), Some("task-parser"));
    let effects = press(&mut app, "3");
    assert_eq!(selected(&app), "session-w1");
    let query = EventQuery { limit: 300, ..EventQuery::default() };
    assert_eq!(effects, [Effect::Load(Load::Events("session-w1".into(), query))]);
    press(&mut app, "Esc");
    assert_eq!(app.screen, Screen::Fleet);
    press(&mut app, "2 Enter");
    assert_eq!((app.screen, selected(&app)), (Screen::Fleet, "session-w1"));
    app.fleet.list.id = Some("task-docs".into());
    press(&mut app, "2");
    assert_eq!(app.task_view.list.id.as_deref(), Some("task-docs"), "a task that nobody works on as well");
}

/// Answers what is asked until nothing more is; the sessions whose conversation was asked for.
fn conversations_asked(app: &mut App, mut effects: Vec<Effect>) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some(Effect::Load(Load::Conversation(session, _))) = effects.pop() {
        effects.extend(update(app, said(&session, conversation())));
        asked.push(session);
    }
    asked
}

#[test]
fn a_task_that_is_gone_to_shows_what_its_pair_says() {
    let mut app = app(160, 50);
    let effects = press(&mut app, "2");
    conversations_asked(&mut app, effects);
    let effects = press(&mut app, "j");
    assert_eq!(conversations_asked(&mut app, effects), ["session-w2", "session-m2"]);
    let effects = update(&mut app, Msg::Click(2, 2));
    assert_eq!(conversations_asked(&mut app, effects), ["session-w1", "session-m1"], "a click does the same");
}

#[test]
fn clicks_select_and_the_wheel_scrolls() {
    let mut app = app(80, 24);
    // Header, heading, then two lines a row.
    update(&mut app, Msg::Click(3, 4));
    assert_eq!(selected(&app), "session-w2");
    update(&mut app, Msg::Click(3, 22));
    assert_eq!(selected(&app), "session-w2", "below the rows nothing is selected");
    update(&mut app, Msg::Resized(Size::new(80, 9)));
    update(&mut app, Msg::Click(3, 6));
    assert_eq!(selected(&app), "session-w2", "nor where half a row would fit");
    update(&mut app, Msg::Resized(Size::new(80, 24)));
    update(&mut app, Msg::Wheel(3, 5, true));
    assert_eq!(selected(&app), "session-w3");
    update(&mut app, Msg::Click(60, 5));
    assert_eq!(app.fleet.look, Look::Peek);
    press(&mut app, "?");
    update(&mut app, Msg::Click(3, 4));
    assert_eq!(selected(&app), "session-w3", "a layer hides the screen from clicks");
}

#[test]
fn the_pane_is_looked_at_every_second_while_it_is_shown() {
    let mut app = app(80, 24);
    let effects = press(&mut app, "p");
    assert!(effects.contains(&Effect::Load(Load::Pane("session-w1".into()))), "{effects:?}");
    update(&mut app, Msg::Pane("session-w1".into(), Ok(None)));
    assert!(update(&mut app, Msg::Tick(NOW)).contains(&Effect::Load(Load::Pane("session-w1".into()))));
    update(&mut app, Msg::Pane("session-w1".into(), Ok(None)));
    press(&mut app, "p");
    assert!(update(&mut app, Msg::Tick(NOW)).is_empty());
}

#[test]
fn live_sensors_grow_stale_and_records_do_not() {
    let board = board();
    let row = |name: &str| board.sessions.iter().find(|row| row.name == name).expect("a row");
    assert!(fleet::is_stale(row("m2"), NOW), "its title was last seen 95 s ago");
    assert!(!fleet::is_stale(row("w1"), NOW));
    let mut recorded = row("w3").clone();
    recorded.last_heartbeat_at = Some(ago(9_999));
    assert!(!fleet::is_stale(&recorded, NOW), "a rollout is a record");
    recorded.ingest_error = Some("gone".into());
    assert!(fleet::is_stale(&recorded, NOW));
}

#[test]
fn whoever_goes_to_a_session_is_shown_it_and_no_other() {
    for (keys, then) in [("2", "Enter"), ("2", "1"), ("2", "3"), ("4", "1"), ("4", "3"), ("", ": w1")] {
        for (is_gone, filter) in [(true, ""), (false, "w3"), (true, "w3")] {
            // The rows of the inbox obey the filter themselves.
            if keys == "4" && !filter.is_empty() {
                continue;
            }
            let mut app = super::fake::app_with_messages(80, 24);
            press(&mut app, keys);
            let mut board = board();
            if is_gone {
                board.sessions.iter_mut().find(|row| row.name == "w1").unwrap().attention = Attention::Gone;
            }
            if keys.is_empty() {
                app.fleet.list.id = Some("session-w3".into());
            }
            update(&mut app, Msg::Board(Ok(board)));
            let on = app.session().unwrap().id.clone();
            assert_eq!(on, if keys.is_empty() { "session-w3" } else { "session-w1" });
            (app.filter, app.filter_text) = (Filter::of_board(filter).unwrap(), filter.to_owned());
            match then.strip_prefix(": ") {
                Some(name) => {
                    press(&mut app, ":");
                    write(&mut app, &format!("go to session {name}"));
                    press(&mut app, "Enter");
                }
                None => drop(press(&mut app, then)),
            }
            let case = format!("{keys:?} {then:?} gone {is_gone} filter {filter:?}");
            assert_eq!(selected(&app), "session-w1", "{case}");
            assert_eq!(app.session().map(|row| row.name.as_str()), Some("w1"), "{case}");
            assert_eq!(app.filter_text, "", "{case}");
            let notice = app.notice.as_ref().map_or("", |notice| &notice.text);
            assert_eq!(notice.contains("the filter is cleared: it hid w1"), !filter.is_empty(), "{case}: {notice}");
        }
    }
}

#[test]
fn a_filter_that_hides_nothing_stays_when_one_goes_to_who_needs_a_look() {
    let mut app = app(80, 24);
    press(&mut app, "2");
    (app.filter, app.filter_text) = (Filter::of_board("w3").unwrap(), "w3".to_owned());
    press(&mut app, "w");
    assert_eq!((selected(&app), app.filter_text.as_str()), ("session-w3", "w3"));
}

#[test]
fn a_session_that_is_gone_has_no_pane_and_no_key_for_one() {
    for keys in ["H G", "2 1 H G"] {
        let mut app = app(160, 50);
        let mut now = board();
        let row = now.sessions.iter_mut().find(|row| row.name == "w3").unwrap();
        (row.registration, row.attention) = (Registration::Gone, Attention::Gone);
        row.judgement = crate::model::state::Judgement::unknown("deregistered", "it was stopped");
        row.judgement.since = Some(ago(300));
        update(&mut app, Msg::Board(Ok(now)));
        press(&mut app, keys);
        assert_eq!(selected(&app), "session-w3");
        let frame = screen(&app);
        let footer = frame.lines().last().unwrap_or_default();
        assert!(!footer.contains(" a ") && !footer.contains(" p "), "{footer}");
        assert!(frame.contains("gone 5m: it was stopped"), "{frame}");
        assert!(frame.contains("gone · on record · since 5m") && frame.contains("pane      none"), "{frame}");
        for key in ["a", "p"] {
            assert!(press(&mut app, key).is_empty(), "{key} asks for nothing");
            assert!(screen(&app).contains("w3 is gone: there is no pane of it to show"), "{}", screen(&app));
        }
    }
}

/// Its Codex may run on behind a server, or have died: what is not there is not offered.
#[test]
fn a_pane_that_was_seen_to_be_gone_has_no_key() {
    let mut app = app(160, 50);
    let mut now = board();
    let row = now.sessions.iter_mut().find(|row| row.name == "w1").unwrap();
    row.judgement.readings.push(crate::model::state::Reading {
        source: crate::model::state::Source::Screen,
        condition: crate::model::state::Condition::Unknown,
        rule: crate::model::state::PANE_GONE.into(),
        reason: "its pane %1 is gone".into(),
        at: Some(ago(3)),
        byte_offset: None,
    });
    assert!(footer_of(&app).contains(" a ") && footer_of(&app).contains(" p "), "{}", footer_of(&app));
    update(&mut app, Msg::Board(Ok(now)));
    assert_eq!(selected(&app), "session-w1");
    assert!(!footer_of(&app).contains(" a ") && !footer_of(&app).contains(" p "), "{}", footer_of(&app));
    for key in ["a", "p"] {
        assert!(press(&mut app, key).is_empty(), "{key} asks for nothing");
        assert!(screen(&app).contains("the pane of w1 is gone: there is nothing to show"), "{}", screen(&app));
    }
}

fn footer_of(app: &App) -> String {
    screen(app).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_head_of_a_task_follows_what_is_recorded_about_it() {
    let mut app = app(100, 30);
    press(&mut app, "2");
    assert!(screen(&app).contains("last act 5m ago"), "{}", screen(&app));
    let mut now = board();
    let act = crate::model::board::DecisionRow {
        at: ago(2),
        actor: "operator".into(),
        kind: "acceptance_criterion_added".into(),
    };
    now.tasks[0].decisions.insert(0, act);
    update(&mut app, Msg::Board(Ok(now)));
    assert!(screen(&app).contains("last act 2s ago"), "{}", screen(&app));
}
