//! Messages: writing one, its way, the emergency stop, and what an operator decides.

use serde_json::json;

use super::fake::{
    NOW, PID, ago, app, app_with_messages, board, busy, dispatcher, finish, lines, nudge, pause, press, quiet, screen,
    write,
};
use crate::{
    actions::{Deliveries, DispatcherHost, Report},
    base::{Error, Kind, Timestamp},
    engine::Notice,
    model::{
        delivery::{ItemState, Phase},
        session::Registration,
        task::{TaskEnd, TaskState},
    },
    tui::{
        app::{App, Screen, update},
        layer::Layer,
        message::{Effect, Load, Msg},
    },
};

fn deliver(app: &mut App, phase: Phase, change: impl FnOnce(&mut crate::model::deliveries::CommandRow)) {
    let mut row = nudge(5, phase, 2, "Run the tests.");
    change(&mut row);
    let mut deliveries = quiet();
    deliveries.commands = vec![row];
    update(app, Msg::Deliveries(Ok(deliveries)));
}

fn last_line_but_one(app: &App) -> String {
    screen(app).lines().rev().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_nudge_by_keys_is_the_command_line_that_is_shown() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    assert!(screen(&app).contains(" nudge w1 "), "{}", screen(&app));
    assert!(write(&mut app, "qSn4 it's done?").is_empty(), "keys are letters now");
    let shown = r"conveyor session-nudge --no-wait '--expires=1800' -- w1 'qSn4 it'\''s done?'";
    let first_line = shown.split(" it'").next().unwrap();
    assert!(screen(&app).contains(first_line), "{}", screen(&app));
    assert_eq!(lines(&press(&mut app, "Enter")), [shown]);
    assert!(app.layers.is_empty());
    assert_eq!(app.receipts.running(), 1);
    assert!(press(&mut app, "Enter").is_empty(), "a second Enter sends nothing more");
}

#[test]
fn esc_keeps_what_was_typed_and_a_paste_may_have_lines() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    update(&mut app, Msg::Paste("first\r\nsecond\tx\u{1b}[31m".into()));
    press(&mut app, "Ctrl-J");
    write(&mut app, "third one");
    press(&mut app, "Ctrl-Left Ctrl-Left Backspace Home Delete End Ctrl-W");
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { panic!("the message is open") };
    assert_eq!(nudge.field.text(), "first\necond    xthird ");
    press(&mut app, "Esc n");
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { panic!("the message is open") };
    assert_eq!(nudge.field.text(), "first\necond    xthird ");
    // For another session it is another message.
    press(&mut app, "Esc j n");
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { panic!("the message is open") };
    assert_eq!(nudge.field.text(), "");
    press(&mut app, "Esc k n Ctrl-U");
    let Some(Layer::Nudge(nudge)) = app.layers.last_mut() else { panic!("the message is open") };
    nudge.field.clear();
    assert!(press(&mut app, "Enter").is_empty());
    assert!(screen(&app).contains("nothing is typed yet"));
    update(&mut app, Msg::Paste("x".repeat(40_000)));
    assert!(screen(&app).contains("more than 32768 bytes do not fit here"), "{}", screen(&app));
}

#[test]
fn who_cannot_be_nudged_is_told_why() {
    let mut app = app(80, 24);
    app.fleet.list.id = Some("task-docs".into());
    assert!(press(&mut app, "n").is_empty());
    assert!(app.layers.is_empty() && screen(&app).contains("no session is selected"), "{}", screen(&app));
    app.fleet.list.id = Some("session-w1".into());
    let mut gone = board();
    gone.sessions[1].registration = Registration::Gone;
    update(&mut app, Msg::Board(Ok(gone)));
    press(&mut app, "n");
    assert!(screen(&app).contains("w1 is gone"), "{}", screen(&app));
}

#[test]
fn an_operator_speaks_to_anybody_bound_or_not() {
    for (id, name) in [("session-w3", "w3"), ("session-m1", "m1")] {
        let mut app = app(80, 24);
        app.fleet.list.id = Some(id.into());
        press(&mut app, "n");
        write(&mut app, "x");
        let sent = lines(&press(&mut app, "Enter"));
        assert_eq!(sent, [format!("conveyor session-nudge --no-wait '--expires=1800' -- {name} x")]);
    }
}

#[test]
fn a_session_that_has_become_another_one_meanwhile_gets_no_message() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    write(&mut app, "x");
    let mut other = board();
    other.sessions[1].id = "session-other".into();
    update(&mut app, Msg::Board(Ok(other)));
    assert!(press(&mut app, "Enter").is_empty());
    assert!(screen(&app).contains("w1 is gone, or another one meanwhile"), "{}", screen(&app));
}

#[test]
fn a_message_that_was_refused_can_be_opened_again() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    write(&mut app, "run it");
    press(&mut app, "Enter");
    finish(&mut app, Err(Error::refused("10000 messages wait for \"w1\" already")));
    // It lies below the receipt, and is there again after it was left.
    for keys in ["Esc", "Esc n"] {
        press(&mut app, keys);
        let Some(Layer::Nudge(nudge)) = app.layers.last() else { panic!("the message is open after {keys}") };
        assert_eq!(nudge.field.text(), "run it");
        assert_eq!(nudge.error.is_some(), keys == "Esc", "{:?}", nudge.error);
    }
}

/// A second Enter for the receipt must not send the message below it once more.
#[test]
fn the_first_enter_over_a_message_that_came_back_sends_nothing() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    write(&mut app, "run it");
    press(&mut app, "Enter");
    finish(&mut app, Err(Error::refused("10000 messages wait for \"w1\" already")));
    press(&mut app, "Esc");
    assert!(screen(&app).contains("Enter read on"), "{}", screen(&app));
    assert!(press(&mut app, "Enter").is_empty());
    let frame = screen(&app);
    assert!(frame.contains("messages wait for") && frame.contains("Enter queue"), "{frame}");
    assert_eq!(lines(&press(&mut app, "Enter")).len(), 1);
}

#[test]
fn a_chosen_set_is_listed_and_each_gets_a_command_of_its_own() {
    let mut app = app(80, 24);
    // w1, w2, w3 and m1 in the order of the list; the task is no session.
    press(&mut app, "Space j Space j Space j Space");
    assert_eq!(app.fleet.chosen.len(), 4);
    press(&mut app, "k Space");
    let mut now = board();
    now.sessions.iter_mut().find(|row| row.name == "w2").unwrap().registration = Registration::Gone;
    update(&mut app, Msg::Board(Ok(now)));
    let frame = screen(&app);
    assert!(frame.contains("3 chosen") && frame.contains("+ w1"), "{frame}");
    press(&mut app, "n");
    write(&mut app, "stop that");
    let frame = screen(&app);
    assert!(frame.contains("nudge 2 sessions"), "{frame}");
    assert!(frame.contains("not to w2: it is gone: nothing can reach it"), "{frame}");
    assert!(frame.contains("runs (and 1 more, one for each)"), "{frame}");
    let sent = lines(&press(&mut app, "Enter"));
    let line = |name: &str| format!("conveyor session-nudge --no-wait '--expires=1800' -- {name} 'stop that'");
    assert_eq!(sent.len(), 2);
    assert!(sent.contains(&line("w1")) && sent.contains(&line("m1")), "{sent:?}");
    assert!(app.fleet.chosen.is_empty());
    assert!(screen(&app).contains("receipts: 1 of 2"), "{}", screen(&app));
}

#[test]
fn what_the_filter_hides_is_left_out_and_esc_lets_the_chosen_go() {
    let mut app = app(80, 24);
    press(&mut app, "Space j Space /");
    write(&mut app, "w2");
    press(&mut app, "Enter n");
    let frame = screen(&app);
    assert!(frame.contains("nudge w2") && frame.contains("not to w1: it is hidden by the filter"), "{frame}");
    press(&mut app, "Esc Esc");
    assert!(app.fleet.chosen.is_empty() && !app.filter_text.is_empty());
}

#[test]
fn a_receipt_climbs_as_the_ledger_does() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    write(&mut app, "x");
    press(&mut app, "Enter");
    let report = Report {
        json: json!({"command_id": "command-5", "phase": "queued"}),
        prose: "queued nudge_worker command command-5\n".into(),
        exit_code: 0,
        handover: None,
    };
    finish(&mut app, Ok(report));
    let effects = update(&mut app, Msg::Board(Ok(board())));
    assert!(effects.contains(&Effect::Load(Load::Deliveries(Some("command-5".into())))), "{effects:?}");
    assert!(screen(&app).contains("looking how far it has come"));

    assert!(screen(&app).contains("queued nudge_worker command"), "what it said, until more is known");

    deliver(&mut app, Phase::Queued, |_| {});
    assert!(screen(&app).contains("waits      for its turn"), "{}", screen(&app));
    assert!(heading(&app).contains(" nudge to w1: queued "), "{}", heading(&app));
    assert!(!screen(&app).contains("queued nudge_worker command"), "how it stood then is over: {}", screen(&app));
    deliver(&mut app, Phase::Started, |_| {});
    assert!(heading(&app).contains(" nudge to w1: on its way, not proven yet "), "{}", heading(&app));
    deliver(&mut app, Phase::Delivered, |_| {});
    let frame = screen(&app);
    assert!(frame.contains("into w1's inbox") && frame.contains("this version types nothing into panes"), "{frame}");
    assert!(frame.contains("not yet: w1 has not confirmed it"), "{frame}");
    deliver(&mut app, Phase::Done, |row| {
        let item = row.item.as_mut().unwrap();
        (item.read_at, item.consumed_at) = (Some(ago(1)), Some(NOW));
    });
    let frame = screen(&app);
    assert!(frame.contains("read       1s ago") && frame.contains("its reader has confirmed it"), "{frame}");
    deliver(&mut app, Phase::Expired, |_| {});
    assert!(screen(&app).contains("its time ran out before it was delivered"), "{}", screen(&app));
    deliver(&mut app, Phase::Failed, |row| row.reason = Some("its task was stopped".into()));
    assert!(screen(&app).contains("given up   2s ago: its task was stopped"), "{}", screen(&app));
    assert!(heading(&app).contains(" nudge to w1: given up "), "{}", heading(&app));
    let frame = screen(&app);
    assert!(frame.contains("you can    on the Dispatch screen (5) R queues it again"), "{frame}");
}

/// The line of the box that says what it is about.
fn heading(app: &App) -> String {
    screen(app).lines().find(|line| line.contains('┌')).unwrap_or_default().to_owned()
}

#[test]
fn a_message_that_waits_says_why_what_comes_next_and_what_can_be_done() {
    let mut app = app(80, 24);
    press(&mut app, "n");
    write(&mut app, "x");
    press(&mut app, "Enter");
    let json = json!({"command_id": "command-5", "phase": "queued"});
    finish(&mut app, Ok(Report { json, prose: "said".into(), exit_code: 0, handover: None }));
    deliver(&mut app, Phase::Queued, |row| {
        row.reason = Some("its queue cannot be reached: no room".into());
        row.next_try_at = Some(Timestamp::from_millis(NOW.as_millis() + 4_000));
    });
    let frame = screen(&app);
    for part in [
        "waits      its queue cannot be reached: no room",
        "next       tried again in 4s; given up if it has not gone out in 29m",
        "to go on   y on w1 answers it",
        "you can    on the Dispatch screen (5) X takes it back",
    ] {
        assert!(frame.contains(part), "{part}: {frame}");
    }
    // Whatever stands in its way, no line promises something that does not follow.
    let stands: [fn(&mut crate::actions::Deliveries); 4] = [
        |_| {},
        |deliveries| deliveries.health.paused = true,
        |deliveries| deliveries.health.pauses = vec![pause(Some("parser"))],
        |deliveries| deliveries.health.dispatchers.clear(),
    ];
    for (index, change) in stands.iter().enumerate() {
        let mut deliveries = quiet();
        deliveries.commands = vec![nudge(5, Phase::Queued, 2, "x"), nudge(4, Phase::Submitted, 9, "before it")];
        change(&mut deliveries);
        update(&mut app, Msg::Deliveries(Ok(deliveries)));
        for (width, height) in [(80, 24), (50, 20), (160, 50)] {
            update(&mut app, Msg::Resized(ratatui::layout::Size::new(width, height)));
            let frame = screen(&app);
            assert!(frame.contains("waits      ") && frame.contains("to go on   "), "{index}: {frame}");
            assert!(
                !frame.lines().any(|line| line.trim_end_matches([' ', '│', '…']).ends_with(':')),
                "{index}: {frame}"
            );
        }
    }
    update(&mut app, Msg::Resized(ratatui::layout::Size::new(80, 24)));
    for phase in [Phase::Queued, Phase::Submitted, Phase::Failed, Phase::Ambiguous, Phase::Cancelled] {
        deliver(&mut app, phase, |row| row.reason = Some(String::new()));
        let frame = screen(&app);
        assert!(!frame.lines().any(|line| line.trim_end_matches([' ', '│']).ends_with(':')), "{phase}: {frame}");
    }
}

#[test]
fn the_emergency_stop_works_at_once_and_going_on_is_asked_for() {
    let mut app = app(80, 24);
    assert_eq!(lines(&press(&mut app, "S")), ["conveyor dispatch pause --all"]);
    let mut paused = busy();
    paused.health.paused = true;
    paused.health.pauses = vec![pause(None)];
    update(&mut app, Msg::Deliveries(Ok(paused)));
    assert!(press(&mut app, "S").is_empty());
    let frame = screen(&app);
    assert!(frame.contains("Deliver again? 1 message waits") && frame.contains("dispatch resume --all"), "{frame}");
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor dispatch resume --all"]);
    // While it is not known how things stand, the key stops.
    update(&mut app, Msg::Deliveries(Err(Error::new(Kind::Ledger, "broken"))));
    assert_eq!(lines(&press(&mut app, "S")), ["conveyor dispatch pause --all"]);
}

#[test]
fn who_dispatches_is_said_on_every_screen() {
    for keys in ["1", "2", "3", "4"] {
        let mut app = app(80, 24);
        press(&mut app, keys);
        assert!(last_line_but_one(&app).starts_with(" dispatch: this cockpit"), "{}", screen(&app));
        let mut other = quiet();
        other.health.dispatchers = vec![dispatcher(DispatcherHost::Watch, 77)];
        update(&mut app, Msg::Deliveries(Ok(other.clone())));
        assert!(last_line_but_one(&app).starts_with(" dispatch: dispatch --watch (pid 77)"), "{}", screen(&app));
        // One pass delivers now and will not later.
        other.health.dispatchers = vec![dispatcher(DispatcherHost::Once, 78)];
        update(&mut app, Msg::Deliveries(Ok(other.clone())));
        assert!(last_line_but_one(&app).starts_with(" nobody dispatches"), "{}", screen(&app));
        other.health.dispatchers =
            vec![dispatcher(DispatcherHost::Cockpit, PID), dispatcher(DispatcherHost::Watch, 77)];
        other.health.pauses = vec![pause(Some("parser"))];
        (other.health.waiting, other.health.ambiguous) = (3, 1);
        update(&mut app, Msg::Deliveries(Ok(other)));
        update(&mut app, Msg::Resized(ratatui::layout::Size::new(160, 50)));
        let text =
            "dispatch: this cockpit + dispatch --watch (pid 77), 3 wait, 1 uncertain (see 4), task parser is paused";
        assert!(last_line_but_one(&app).contains(text), "{}", screen(&app));
        update(&mut app, Msg::Deliveries(Err(Error::new(Kind::Ledger, "broken"))));
        assert!(last_line_but_one(&app).contains("who dispatches is not known: broken"), "{}", screen(&app));
    }
}

#[test]
fn neither_a_notice_nor_trouble_hides_that_deliveries_are_stopped() {
    let mut app = app(80, 24);
    let mut paused = quiet();
    paused.health.paused = true;
    paused.health.waiting = 2;
    update(&mut app, Msg::Deliveries(Ok(paused)));
    update(&mut app, Msg::Notice(Notice::Trouble { task: "dispatch", message: "the ledger is busy".into() }));
    let banner = last_line_but_one(&app);
    assert!(banner.contains("DISPATCH PAUSED") && banner.contains("dispatch: the ledger is busy"), "{banner}");
    press(&mut app, "M");
    let banner = last_line_but_one(&app);
    assert!(banner.contains("DISPATCH PAUSED") && banner.contains("mouse:"), "{banner}");
}

#[test]
fn what_was_given_up_is_queued_again_and_what_waits_is_taken_back_after_a_question() {
    let mut app = app_with_messages(80, 24);
    press(&mut app, "4");
    assert_eq!(app.screen, Screen::Inbox);
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("command-3"), "what has to be decided stands first");
    assert!(press(&mut app, "R").is_empty());
    assert!(screen(&app).contains("Queue the nudge to w1 again? Its time ran out before"), "{}", screen(&app));
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor dispatch retry -- command-3"]);
    assert!(press(&mut app, "X").is_empty());
    assert!(screen(&app).contains("only what is queued can be taken back"));
    press(&mut app, "j j");
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("command-4"));
    press(&mut app, "X");
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor dispatch cancel -- command-4"]);
    assert_eq!(lines(&press(&mut app, "Y")), ["copy conveyor commands --attempts '--limit=200'"]);
    press(&mut app, "G");
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("item-7"));
    let frame = screen(&app);
    assert!(frame.contains("worker_task_complete of w1") && frame.contains("it says    accepted"), "{frame}");
    press(&mut app, "R");
    assert!(screen(&app).contains("select a message that was given up"));
    press(&mut app, "/");
    write(&mut app, "role:manager");
    press(&mut app, "Enter g");
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("item-8"), "{}", screen(&app));
}

#[test]
fn leaving_the_only_dispatcher_asks_while_messages_wait() {
    let mut app = app_with_messages(80, 24);
    assert!(press(&mut app, "q").is_empty());
    assert!(screen(&app).contains("nobody but this cockpit delivers"), "{}", screen(&app));
    assert!(press(&mut app, "n").is_empty());
    let mut two = busy();
    two.health.dispatchers.push(dispatcher(DispatcherHost::Watch, 77));
    update(&mut app, Msg::Deliveries(Ok(two)));
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
}

#[test]
fn deliveries_are_asked_for_with_each_board_and_one_at_a_time() {
    let mut app = app(80, 24);
    let asked = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Load(Load::Deliveries(_))));
    assert!(asked(&update(&mut app, Msg::Board(Ok(board())))));
    assert!(!asked(&update(&mut app, Msg::Board(Ok(board())))));
    assert!(asked(&update(&mut app, Msg::Deliveries(Ok(quiet())))), "the question that waited");
    assert!(!asked(&update(&mut app, Msg::Deliveries(Ok(quiet())))));
    let mut later = busy();
    later.taken_at = Timestamp::from_millis(NOW.as_millis() + 1_000);
    update(&mut app, Msg::Deliveries(Ok(later)));
    assert_eq!(
        app.changed_at,
        Some(Timestamp::from_millis(NOW.as_millis() + 1_000)),
        "a message that moves is a change"
    );
}

#[test]
fn what_is_uncertain_is_decided_by_the_operator_after_a_question() {
    let mut app = app_with_messages(80, 24);
    let mut deliveries = busy();
    let mut uncertain = nudge(9, Phase::Ambiguous, 5, "Did this arrive?");
    uncertain.reason = Some("the machine was booted anew".into());
    deliveries.commands.insert(0, uncertain);
    update(&mut app, Msg::Deliveries(Ok(deliveries)));
    press(&mut app, "4 g");
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("command-9"), "{}", screen(&app));
    assert!(screen(&app).contains("V it arrived; X it did not; R send it again"), "{}", screen(&app));
    let reason = "'--reason=decided in the cockpit' -- command-9";
    for (key, words, decision) in [
        ("V", "recorded as your word", "delivered"),
        ("X", "You say that it did not arrive", "not-delivered"),
        ("R", "It may arrive twice", "rearm"),
    ] {
        assert!(press(&mut app, key).is_empty());
        let frame = screen(&app);
        assert!(frame.contains(words) && frame.contains("dispatch resolve"), "{frame}");
        assert!(press(&mut app, "n").is_empty());
        press(&mut app, key);
        assert_eq!(lines(&press(&mut app, "y")), [format!("conveyor dispatch resolve '--as={decision}' {reason}")]);
    }
    press(&mut app, "G");
    press(&mut app, "V");
    assert!(screen(&app).contains("select an uncertain message"), "{}", screen(&app));
}

#[test]
fn those_chosen_in_the_fleet_are_not_written_to_from_another_screen() {
    let mut app = app_with_messages(80, 24);
    app.fleet.list.id = Some("session-w2".into());
    press(&mut app, "Space");
    app.fleet.list.id = Some("session-w3".into());
    press(&mut app, "Space");
    app.fleet.list.id = Some("session-w1".into());
    press(&mut app, "2 n");
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { panic!("a message is open") };
    assert_eq!(nudge.to, [("session-w1".to_owned(), "w1".to_owned())]);
    press(&mut app, "Esc 1 n");
    let Some(Layer::Nudge(nudge)) = app.layers.last() else { panic!("a message is open") };
    assert_eq!(nudge.to.len(), 2, "the chosen ones");
}

#[test]
fn what_only_the_operator_can_clear_away_is_not_said_to_clear_by_itself() {
    let shown = |session: &str, commands: Vec<crate::model::deliveries::CommandRow>| {
        let mut app = app(120, 30);
        press(&mut app, "n");
        write(&mut app, "x");
        press(&mut app, "Enter");
        let json = json!({"command_id": "command-5", "phase": "queued"});
        finish(&mut app, Ok(Report { json, prose: "said".into(), exit_code: 0, handover: None }));
        let mut deliveries = quiet();
        deliveries.commands = commands;
        for row in &mut deliveries.commands {
            (row.target, row.target_id) = (session.to_owned(), format!("session-{session}"));
        }
        update(&mut app, Msg::Deliveries(Ok(deliveries)));
        screen(&app)
    };
    let because = |number, reason: Option<&str>| {
        let mut row = nudge(number, Phase::Queued, 2, "x");
        row.reason = reason.map(str::to_owned);
        row
    };
    let draft = Some("the composer holds text that somebody has typed");
    let frame = shown("w1", vec![because(5, Some("an approval waits for an answer"))]);
    assert!(frame.contains("to go on   y on w1 answers it"), "{frame}");
    // What stands before it counts for it too.
    for commands in [vec![because(5, draft)], vec![because(5, None), because(4, draft)]] {
        let frame = shown("w3", commands);
        assert!(frame.contains("to go on   a on w3 shows its pane"), "{frame}");
    }
    for commands in [vec![because(5, None)], vec![because(5, draft), because(4, None)]] {
        let frame = shown("w3", commands);
        assert!(frame.contains("to go on   nothing has to be done"), "{frame}");
    }
    let frame = shown("nobody", vec![because(5, draft)]);
    assert!(frame.contains("waits      the composer") && !frame.contains("nothing has to be done"), "{frame}");
}

#[test]
fn the_list_of_receipts_says_what_each_is_about_however_narrow_it_is() {
    let mut app = app(50, 20);
    press(&mut app, "c n");
    write(&mut app, "x");
    press(&mut app, "Enter L");
    let frame = screen(&app);
    assert!(frame.contains("session-nudge w1: conveyor") && frame.contains("cycle parser: conveyor"), "{frame}");
    let json = json!({"command_id": "command-5", "phase": "queued"});
    finish(&mut app, Ok(Report { json, prose: "said".into(), exit_code: 0, handover: None }));
    deliver(&mut app, Phase::Queued, |_| {});
    assert!(screen(&app).contains("nudge to w1: conveyor"), "{}", screen(&app));
}

#[test]
fn a_message_of_a_stopped_task_says_what_happened_when_and_by_whom() {
    let mut app = app(100, 30);
    let mut stopped = board();
    let task = stopped.tasks.iter_mut().find(|row| row.task.name == "parser").unwrap();
    task.task.state = TaskState::Failed;
    task.task.end = Some(TaskEnd { at: ago(120), by: "the operator".into(), reason: "no use".into() });
    update(&mut app, Msg::Board(Ok(stopped)));
    let mut item = busy().items.remove(0);
    (item.facts.read_at, item.facts.state) = (None, ItemState::Suppressed);
    item.error = Some("its task was stopped by the operator".into());
    update(&mut app, Msg::Deliveries(Ok(Deliveries { items: vec![item.clone()], ..quiet() })));
    press(&mut app, "4 Tab");
    let one_line = |app: &App| {
        let lines = screen(app);
        let right = lines.lines().filter_map(|line| line.split('\u{2502}').nth(1)).map(str::trim);
        right.collect::<Vec<_>>().join(" ")
    };
    let shown = one_line(&app);
    assert!(shown.contains("put away 2m ago: its task was stopped by the operator"), "{shown}");
    // An end from before that was there is not what put it away.
    item.created_at = ago(60);
    update(&mut app, Msg::Deliveries(Ok(Deliveries { items: vec![item], ..quiet() })));
    let shown = one_line(&app);
    assert!(shown.contains("put away: its task was stopped by the operator"), "{shown}");
}

#[test]
fn what_can_be_decided_about_a_message_stands_first_among_the_keys() {
    for (width, height) in [(80, 24), (50, 20)] {
        for screen_key in ["4", "5"] {
            let mut app = app_with_messages(width, height);
            press(&mut app, screen_key);
            let mut seen = 0;
            for _ in 0..12 {
                let phase = crate::tui::screen::selected_command(&app).map(|row| row.phase);
                let frame = screen(&app);
                let footer = frame.lines().last().unwrap_or_default();
                match phase {
                    Some(Phase::Queued) => assert!(footer.starts_with(" X take back "), "{frame}"),
                    Some(phase) if phase.is_dead_letter() => assert!(footer.starts_with(" R retry "), "{frame}"),
                    _ => continue_down(&mut app),
                }
                seen += usize::from(phase.is_some());
                press(&mut app, "j");
            }
            assert!(seen > 1, "{screen_key} at {width}");
        }
    }
}

fn continue_down(app: &mut App) {
    assert!(!screen(app).lines().last().unwrap_or_default().contains("take back"), "{}", screen(app));
}
