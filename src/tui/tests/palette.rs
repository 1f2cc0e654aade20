//! The palette and the receipts: what works now by name, and what became of what was submitted.

use serde_json::json;

use super::fake::{app, app_with_messages, finish, lines, nudge, press, quiet, screen, write};
use crate::{
    actions::Report,
    base::Error,
    model::delivery::Phase,
    tui::{
        app::{App, Screen, update},
        layer::Layer,
        message::Msg,
        palette,
    },
};

fn titles(app: &App, typed: &str) -> Vec<String> {
    palette::found(app, typed).into_iter().map(|item| item.title).collect()
}

fn report(json: serde_json::Value) -> Report {
    Report { json, prose: "said".into(), exit_code: 0, handover: None }
}

#[test]
fn the_palette_lists_what_works_for_the_selection_and_runs_it() {
    let mut app = app(80, 24);
    press(&mut app, ":");
    write(&mut app, "cycl");
    let frame = screen(&app);
    assert!(frame.contains("> cycle parser") && frame.contains("runs: conveyor cycle"), "{frame}");
    assert!(lines(&press(&mut app, "Enter"))[0].starts_with("conveyor cycle"));
    assert!(app.layers.is_empty());
    press(&mut app, "Ctrl-P");
    write(&mut app, "stop w1");
    assert!(screen(&app).contains("runs: conveyor stop -- w1"), "{}", screen(&app));
    assert!(press(&mut app, "Enter").is_empty(), "it asks");
    assert!(matches!(app.layers.last(), Some(Layer::Confirm { .. })));
}

#[test]
fn nothing_that_would_do_nothing_is_listed() {
    let mut app = app(80, 24);
    assert!(titles(&app, "").contains(&"nudge w1".to_owned()));
    app.fleet.list.id = Some("task-docs".into());
    let all = titles(&app, "");
    for missing in ["nudge", "interrupt", "answer", "cycle", "explain", "attach", "bind worker", "unbind", "receipts"] {
        assert!(!all.iter().any(|title| title.starts_with(missing)), "{missing}: {all:?}");
    }
    assert!(all.contains(&"new task".to_owned()) && all.contains(&"go to session w2".to_owned()), "{all:?}");
}

#[test]
fn every_row_of_the_palette_can_be_chosen() {
    let mut started = app_with_messages(80, 24);
    press(&mut started, "4");
    let count = palette::found(&started, "").len();
    assert!(count > 25, "{count}");
    for index in 0..count {
        let mut app = app_with_messages(80, 24);
        press(&mut app, "4 :");
        for _ in 0..index {
            press(&mut app, "Down");
        }
        let chosen = palette::found(&app, "").swap_remove(index);
        let effects = press(&mut app, "Enter");
        assert!(!matches!(app.layers.last(), Some(Layer::Palette(_))), "{chosen:?}");
        let notice = app.notice.as_ref().map_or("", |notice| notice.text.as_str());
        let did = !effects.is_empty() || !app.layers.is_empty() || app.screen != Screen::Inbox || !notice.is_empty();
        let is_where_it_was = chosen.title == format!("choose {}", app.session().map_or("", |row| &row.name));
        assert!(did || is_where_it_was, "nothing came of {chosen:?}");
    }
}

#[test]
fn sessions_and_tasks_are_gone_to_even_when_a_filter_hides_them() {
    let mut app = app(80, 24);
    press(&mut app, "/");
    write(&mut app, "w2");
    press(&mut app, "Enter :");
    write(&mut app, "session w3");
    press(&mut app, "Enter");
    assert_eq!((app.session().map(|row| row.name.as_str()), app.filter_text.as_str()), (Some("w3"), ""));
    press(&mut app, ":");
    write(&mut app, "task docs");
    press(&mut app, "Enter");
    assert_eq!(app.selected_task().map(|row| row.task.name.as_str()), Some("docs"));
    press(&mut app, ":");
    write(&mut app, "go to inbox");
    press(&mut app, "Enter");
    assert_eq!(app.screen, Screen::Inbox);
}

#[test]
fn a_receipt_is_live_and_can_be_opened_again() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    write(&mut app, "x");
    press(&mut app, "Enter");
    press(&mut app, "L");
    assert!(screen(&app).contains("* running"), "{}", screen(&app));
    press(&mut app, "Enter");
    assert!(screen(&app).contains("its result appears here"), "{}", screen(&app));
    finish(&mut app, Ok(report(json!({"command_id": "command-5", "phase": "queued"}))));
    assert!(screen(&app).contains("looking how far it has come"), "the open one is filled in: {}", screen(&app));
    press(&mut app, "Esc Esc");
    let mut deliveries = quiet();
    for phase in [Phase::Staged, Phase::Submitted, Phase::Done] {
        deliveries.commands = vec![nudge(5, phase, 2, "x")];
        update(&mut app, Msg::Deliveries(Ok(deliveries.clone())));
    }
    press(&mut app, "L");
    let frame = screen(&app);
    assert!(frame.contains("queued -> staged -> submitted -> confirmed at byte 40960"), "{frame}");
    press(&mut app, "Enter");
    assert!(screen(&app).contains("queued     7s ago by operator"), "{}", screen(&app));
}

#[test]
fn a_result_does_not_take_the_keyboard_from_whoever_types() {
    let mut app = app(80, 24);
    press(&mut app, "c n");
    write(&mut app, "half a sen");
    finish(&mut app, Ok(report(json!({}))));
    assert!(matches!(app.layers.last(), Some(Layer::Nudge(_))));
    assert!(screen(&app).contains("done: conveyor cycle"), "{}", screen(&app));
    write(&mut app, "tence");
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { panic!("the message is open") };
    assert_eq!(nudge.field.text(), "half a sentence");
}

#[test]
fn what_failed_stays_until_it_was_seen() {
    let mut app = app(120, 24);
    press(&mut app, "c j");
    finish(&mut app, Err(Error::refused("the rollout is gone")));
    update(&mut app, Msg::Tick(super::fake::ago(-60)));
    assert!(screen(&app).contains("a command failed: L shows it"), "{}", screen(&app));
    press(&mut app, "L");
    assert!(screen(&app).contains("x failed: the rollout is gone"), "{}", screen(&app));
    press(&mut app, "Esc");
    assert!(!screen(&app).contains("a command failed"), "{}", screen(&app));
    // A message that is given up later counts again.
    press(&mut app, "n");
    write(&mut app, "x");
    press(&mut app, "Enter");
    finish(&mut app, Ok(report(json!({"command_id": "command-5", "phase": "queued"}))));
    press(&mut app, "Esc");
    let mut deliveries = quiet();
    deliveries.commands = vec![nudge(5, Phase::Expired, 2, "x")];
    update(&mut app, Msg::Deliveries(Ok(deliveries)));
    assert!(screen(&app).contains("a command failed: L shows it"), "{}", screen(&app));
}

#[test]
fn the_emergency_stop_works_over_everything_that_is_open() {
    for (keys, stop) in [
        ("x", "S"),
        ("K", "S"),
        ("y", "S"),
        ("?", "Ctrl-X"),
        ("/", "Ctrl-X"),
        ("n", "Ctrl-X"),
        ("T", "Ctrl-X"),
        (":", "Ctrl-X"),
    ] {
        let mut app = app(80, 24);
        press(&mut app, keys);
        assert_eq!(lines(&press(&mut app, stop)), ["conveyor dispatch pause --all"], "{keys}");
        assert_eq!(app.layers.len(), 1, "{keys}: what is open stays open");
        finish(&mut app, Ok(report(json!({}))));
        assert_eq!(app.layers.len(), 1, "{keys}: its result does not cover it");
    }
}

#[test]
fn a_board_that_arrives_does_not_change_what_enter_does() {
    let mut app = app(80, 24);
    press(&mut app, ":");
    write(&mut app, "go to session");
    press(&mut app, "Down");
    let shown = titles(&app, "go to session")[1].clone();
    let mut more = super::fake::board();
    let mut first = more.sessions[0].clone();
    (first.id, first.name) = ("session-a0".into(), "a0".into());
    more.sessions.insert(0, first);
    update(&mut app, Msg::Board(Ok(more)));
    assert_ne!(titles(&app, "go to session")[1], shown, "the rows have moved");
    assert!(screen(&app).contains(&format!("> {shown}")), "{}", screen(&app));
    press(&mut app, "Enter");
    assert_eq!(app.session().map(|row| format!("go to session {}", row.name)), Some(shown));

    // What is there no longer is not replaced by what stands in its place.
    press(&mut app, "g :");
    write(&mut app, "nudge");
    assert!(titles(&app, "nudge")[0] == "nudge w1" && app.session().unwrap().name == "w1");
    let mut less = super::fake::board();
    less.sessions.retain(|row| row.name != "w1");
    update(&mut app, Msg::Board(Ok(less)));
    assert_eq!(titles(&app, "nudge")[0], "nudge w2");
    assert!(press(&mut app, "Enter").is_empty());
    assert!(matches!(app.layers.last(), Some(Layer::Palette(_))), "it says so and does nothing");
    press(&mut app, "Down Enter");
    assert!(screen(&app).contains(" nudge w2 "), "{}", screen(&app));
}

#[test]
fn the_palette_has_the_diff_the_alarm_and_the_pane_as_it_is_shown() {
    let mut app = app(80, 24);
    let all = titles(&app, "");
    assert!(all.contains(&"show what w1 has changed".to_owned()) && all.contains(&"alarm".to_owned()), "{all:?}");
    press(&mut app, "p");
    assert!(titles(&app, "").contains(&"show the conversation of w1".to_owned()));
    press(&mut app, "2");
    assert!(titles(&app, "").contains(&"show the pane of w1".to_owned()), "the pair's is another switch");
    press(&mut app, "p");
    assert!(titles(&app, "").contains(&"show the conversation of w1".to_owned()));
}
