//! The screens about the program itself: Dispatch and Doctor.

use super::{
    fake::{ago, app, app_with_messages, busy, checkup, empty, exchange, lines, nudge, press, quiet, screen},
    frames::{dispatch, doctor},
};
use crate::{
    actions::Checkup,
    base::{Error, Kind},
    model::delivery::Phase,
    tui::{
        app::update,
        message::{Effect, Load, Msg},
    },
};

#[test]
fn a_command_is_asked_about_when_it_is_selected_and_when_something_moved() {
    let mut app = app_with_messages(100, 30);
    app.dispatch.view.list.id = None;
    assert_eq!(lines(&press(&mut app, "5")), [r#"Exchange("command-3")"#], "the newest that has to be decided");
    update(&mut app, Msg::Exchange("command-3".into(), Ok(exchange())));
    assert_eq!(lines(&press(&mut app, "g")), [""; 0], "who delivers has no exchange");
    assert_eq!(lines(&press(&mut app, "j j")), [r#"Exchange("command-4")"#], "the first in line of w1");
    // One question at a time; the newest waits.
    assert_eq!(lines(&press(&mut app, "j j")), [""; 0]);
    let next = update(&mut app, Msg::Exchange("command-4".into(), Ok(exchange())));
    assert_eq!(lines(&next), [r#"Exchange("command-1")"#]);
    update(&mut app, Msg::Exchange("command-1".into(), Ok(exchange())));
    let after = update(&mut app, Msg::Deliveries(Ok(busy())));
    assert_eq!(lines(&after), [r#"Exchange("command-1")"#]);
    // An answer about another one is not shown as this one's.
    update(&mut app, Msg::Exchange("command-9".into(), Ok(exchange())));
    assert!(screen(&app).contains("looking for its tries"), "{}", screen(&app));
    update(&mut app, Msg::Exchange("command-1".into(), Err(Error::new(Kind::Ledger, "the ledger is damaged"))));
    assert!(screen(&app).contains("its exchange is not known"), "{}", screen(&app));
}

#[test]
fn retry_cancel_and_resolve_work_on_the_dispatch_screen() {
    let mut deliveries = busy();
    deliveries.commands[1].phase = Phase::Ambiguous;
    let ask = |keys: &str| {
        let mut app = app_with_messages(100, 30);
        update(&mut app, Msg::Deliveries(Ok(deliveries.clone())));
        press(&mut app, "5 g j");
        press(&mut app, keys);
        let shown = screen(&app);
        (lines(&press(&mut app, "y")), shown)
    };
    // w1: 4 waits, 3 is uncertain, 1 was given up, 2 is delivered.
    let (sent, shown) = ask("j X");
    assert_eq!(sent, ["conveyor dispatch cancel -- command-4"], "{shown}");
    assert!(shown.contains("Take the nudge to w1 back?") && shown.contains("dispatch cancel"), "{shown}");
    let (sent, shown) = ask("j j V");
    assert!(sent[0].starts_with("conveyor dispatch resolve") && sent[0].contains("--as=delivered"), "{sent:?} {shown}");
    let (sent, _) = ask("j j j R");
    assert_eq!(sent, ["conveyor dispatch retry -- command-1"]);
    let (sent, shown) = ask("j j j j R");
    assert!(!sent[0].contains("dispatch"), "what was delivered is not sent again: {sent:?} {shown}");
}

#[test]
fn the_headless_twin_of_what_is_shown_is_copied() {
    let mut app = dispatch(100, 30);
    assert_eq!(lines(&press(&mut app, "Y")), ["copy conveyor chain -- command-1"]);
    assert_eq!(lines(&press(&mut app, "g Y")), ["copy conveyor dispatch status"]);
    let mut app = doctor(100, 30);
    assert_eq!(lines(&press(&mut app, "G g j j Enter")), ["copy tmux set -s escape-time 10"]);
    assert_eq!(lines(&press(&mut app, "Y")), ["copy conveyor doctor"]);
}

#[test]
fn doctor_looks_when_its_screen_is_opened_and_when_it_is_told_to() {
    let mut app = app(80, 24);
    assert_eq!(lines(&press(&mut app, "8")), ["Checkup"]);
    assert!(screen(&app).contains("looking at tools, ledger and records"), "{}", screen(&app));
    assert_eq!(lines(&press(&mut app, "r")).iter().filter(|line| *line == "Checkup").count(), 0, "one at a time");
    let again = update(&mut app, Msg::Checkup(Ok(checkup())));
    assert_eq!(lines(&again), ["Checkup"], "it was asked for while the first look was under way");
    update(&mut app, Msg::Checkup(Ok(checkup())));
    assert!(!lines(&press(&mut app, "j")).contains(&"Checkup".to_owned()), "moving on it asks for nothing");
    press(&mut app, "1");
    assert!(lines(&press(&mut app, "8")).contains(&"Checkup".to_owned()), "what was found is as old as the last look");
    let frame = screen(&app);
    assert!(frame.contains("doctor: looking again; 1 problem"), "it says so, and keeps what was found: {frame}");
    update(&mut app, Msg::Checkup(Ok(checkup())));
    assert!(!screen(&app).contains("looking again"), "{}", screen(&app));
    assert!(lines(&press(&mut app, "r")).contains(&"Checkup".to_owned()));
    // A change of the ledger is no reason to run every tool.
    assert!(!lines(&update(&mut app, Msg::Changed)).contains(&"Checkup".to_owned()));
    update(&mut app, Msg::Checkup(Err(Error::io("no working directory"))));
    assert!(screen(&app).contains("cannot look: no working directory"), "{}", screen(&app));
}

#[test]
fn the_first_screen_shows_what_doctor_found_and_what_can_be_adopted() {
    let mut app = empty(80, 24);
    let error = || Error::not_found("there is no ledger at .codex-workers/workerctl.db");
    assert!(lines(&update(&mut app, Msg::Board(Err(error())))).contains(&"Checkup".to_owned()));
    update(&mut app, Msg::Checkup(Ok(checkup())));
    assert!(!lines(&update(&mut app, Msg::Board(Err(error())))).contains(&"Checkup".to_owned()), "once");
    assert!(screen(&app).contains("conveyor resume w4"), "{}", screen(&app));
}

#[test]
fn the_doctor_screen_works_when_the_ledger_does_not() {
    let mut app = empty(80, 24);
    update(&mut app, Msg::Board(Err(Error::new(Kind::Ledger, "the ledger is damaged"))));
    press(&mut app, "8");
    update(&mut app, Msg::Checkup(Ok(checkup())));
    assert!(screen(&app).contains("conveyor resume w4"), "{}", screen(&app));
}

#[test]
fn what_runs_unregistered_is_adopted_by_choice_and_headless_by_its_thread() {
    let mut app = doctor(160, 50);
    let id = checkup().adoptable[0].thread_id.clone().expect("a thread");
    app.doctor.view.select(id.clone());
    app.doctor.view.detail = true;
    let frame = screen(&app);
    assert!(frame.contains("D lists what runs unregistered, in every folder"), "{frame}");
    assert!(!frame.contains("discover --adopt --") && frame.contains(&format!("'--thread={id}'")), "{frame}");
    let words = ["discover", "--adopt", &format!("--thread={id}")].map(str::to_owned);
    assert!(crate::actions::Command::parse(&words).is_ok());
}

#[test]
fn what_waits_is_as_old_as_since_it_was_queued() {
    let mut deliveries = quiet();
    // Queued eleven minutes ago, tried ten seconds ago.
    deliveries.commands = vec![nudge(3, Phase::Queued, 10, "first"), nudge(4, Phase::Submitted, 10, "second")];
    deliveries.commands.iter_mut().for_each(|row| row.created_at = ago(665));
    for key in ["5", "4"] {
        let mut app = app(100, 30);
        update(&mut app, Msg::Deliveries(Ok(deliveries.clone())));
        press(&mut app, key);
        for text in ["first", "second"] {
            let frame = screen(&app);
            let row = frame.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{frame}"));
            assert!(row.contains("queued 11m") && !row.contains("10s"), "{frame}");
        }
    }
}

#[test]
fn dispatch_begins_at_the_message_that_one_comes_for() {
    let mut app = app_with_messages(100, 30);
    press(&mut app, "5");
    assert_eq!(app.dispatch.view.list.id.as_deref(), Some("command-3"), "the newest that has to be decided");
    // Without one the newest; and who has chosen one stays there.
    let mut deliveries = busy();
    deliveries.commands.retain(|row| !row.phase.is_dead_letter());
    let mut app = super::fake::app(100, 30);
    press(&mut app, "5");
    assert_eq!(app.dispatch.view.list.id.as_deref(), Some("dispatcher-dispatcher-4242"), "there is no message yet");
    press(&mut app, "1");
    update(&mut app, Msg::Deliveries(Ok(deliveries)));
    press(&mut app, "5");
    assert_eq!(app.dispatch.view.list.id.as_deref(), Some("command-4"));
    press(&mut app, "j 1 5");
    assert_eq!(app.dispatch.view.list.id.as_deref(), Some("command-2"));
}

#[test]
fn enter_shows_the_whole_message_on_the_whole_screen_and_its_keys_work_there() {
    let mut app = app_with_messages(80, 24);
    press(&mut app, "5 g j j");
    assert!(!screen(&app).contains("1 try"), "the pane beside the list shows how it stands");
    press(&mut app, "Enter");
    update(&mut app, Msg::Exchange("command-4".into(), Ok(exchange())));
    let frame = screen(&app);
    for part in [
        "nudge to w1",
        "waits ",
        "next ",
        "to go on",
        "X takes it back",
        "Then write the change down.",
        "In the changelog.",
        "1 try",
        "command-4",
    ] {
        assert!(frame.contains(part), "{part}: {frame}");
    }
    assert!(!frame.contains("who delivers") && !frame.contains("Enter whole"), "it has the whole screen: {frame}");
    press(&mut app, "X");
    assert!(screen(&app).contains("Take the nudge to w1 back?"), "{}", screen(&app));
    press(&mut app, "n Esc");
    assert!(screen(&app).contains("who delivers"), "{}", screen(&app));
    assert!(!app.dispatch.view.detail && !app.dispatch.view.whole);
}

#[test]
fn a_repair_of_ours_is_run_after_a_question_and_any_other_is_copied() {
    let mut app = doctor(100, 30);
    let footer = |app: &crate::tui::app::App| screen(app).lines().last().unwrap_or_default().to_owned();
    assert!(footer(&app).contains("Enter repair"), "{}", screen(&app));
    // What was found may be mended already: it is looked at first.
    assert_eq!(lines(&press(&mut app, "Enter")), ["Checkup"]);
    assert!(app.layers.is_empty() && screen(&app).contains("that was found 40s ago"), "{}", screen(&app));
    let fresh = || Checkup { taken_at: ago(3), ..checkup() };
    update(&mut app, Msg::Checkup(Ok(fresh())));
    assert!(press(&mut app, "Enter").is_empty());
    let shown = screen(&app);
    assert!(shown.contains("looked less than a minute ago: w4: its pane %9 is gone; its process 812"), "{shown}");
    assert!(
        screen(&app).contains("Run what mends it?") && screen(&app).contains("conveyor resume"),
        "{}",
        screen(&app)
    );
    let sent = lines(&press(&mut app, "y"));
    assert!(sent.len() == 1 && sent[0].starts_with("conveyor resume ") && sent[0].ends_with(" -- w4"), "{sent:?}");
    let after = super::fake::finish(&mut app, Err(Error::refused("w4 is still there")));
    assert!(after.contains(&Effect::Load(Load::Checkup)), "what was found is looked at again: {after:?}");
    let mut app = doctor(100, 30);
    press(&mut app, "j j");
    assert!(footer(&app).contains("Enter copy") && !footer(&app).contains("repair"), "{}", screen(&app));
    // What has to be filled in first is not run as it stands.
    let mut blanks = checkup();
    blanks.findings[0].remedy = Some("`conveyor bind --task parser --worker WORKER --manager MANAGER`".into());
    update(&mut app, Msg::Checkup(Ok(blanks)));
    let copied = lines(&press(&mut app, "g Enter"));
    assert_eq!(copied, ["copy conveyor bind --task parser --worker WORKER --manager MANAGER"]);
}

/// Doctor with one finding that is mended so, just found.
fn mended_by(remedy: &str) -> Checkup {
    let mut one = Checkup { taken_at: ago(3), ..checkup() };
    one.findings[0].remedy = Some(remedy.into());
    one
}

#[test]
fn a_repair_asks_what_its_own_key_asks() {
    for (remedy, words) in [
        ("`conveyor deregister w4`", "nobody watches it here any more"),
        ("`conveyor unbind --task parser`", "End the binding of w1 and m1 to parser? No message waits"),
    ] {
        let mut app = doctor(100, 30);
        update(&mut app, Msg::Checkup(Ok(mended_by(remedy))));
        assert!(press(&mut app, "g Enter").is_empty());
        let shown = screen(&app);
        assert!(
            shown.contains(words) && shown.contains("looked less than a minute ago: w4: its pane %9 is gone"),
            "{shown}"
        );
    }
    for shows in ["conveyor status m1", "conveyor unbind --task parser && conveyor deregister w4"] {
        let mut app = doctor(100, 30);
        update(&mut app, Msg::Checkup(Ok(mended_by(&format!("`{shows}`")))));
        assert_eq!(lines(&press(&mut app, "g Enter")), [format!("copy {shows}")]);
    }
}

/// What a question says anew has been read.
fn wait(app: &mut crate::tui::app::App) {
    let later = crate::base::Timestamp::from_millis(app.now.as_millis() + 1_000);
    update(app, Msg::Tick(later));
}

#[test]
fn a_yes_to_a_repair_holds_as_long_as_it_is_called_for() {
    let asked = || {
        let mut app = doctor(100, 30);
        update(&mut app, Msg::Checkup(Ok(mended_by("`conveyor deregister w4`"))));
        press(&mut app, "g Enter");
        app
    };
    let mut app = asked();
    update(&mut app, Msg::Checkup(Ok(mended_by("`conveyor resume w4`"))));
    // It is told at once, and a yes on its way was meant for what stood there before.
    let shown = screen(&app);
    assert!(shown.contains("Doctor does not ask for it any more") && shown.contains("a yes runs nothing"), "{shown}");
    assert!(press(&mut app, "y").is_empty(), "{}", screen(&app));
    wait(&mut app);
    assert_eq!(lines(&press(&mut app, "y")), ["Checkup"]);
    assert!(screen(&app).contains("nothing was run: the newest look"), "{}", screen(&app));
    let mut app = asked();
    update(&mut app, Msg::Checkup(Ok(mended_by("`conveyor deregister w4`"))));
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor deregister '--expect=none' -- w4"]);
    let mut app = asked();
    let mut old = mended_by("`conveyor deregister w4`");
    old.taken_at = ago(91);
    update(&mut app, Msg::Checkup(Ok(old)));
    wait(&mut app);
    assert_eq!(lines(&press(&mut app, "y")), ["Checkup"]);
}

#[test]
fn the_first_screen_says_how_many_problems_it_leaves_out() {
    let mut many = checkup();
    let problem = many.findings[0].clone();
    many.findings.splice(0..0, (0..4).map(|_| problem.clone()));
    let mut app = empty(100, 40);
    update(&mut app, Msg::Board(Err(Error::new(Kind::NotFound, "there is no ledger"))));
    update(&mut app, Msg::Checkup(Ok(many)));
    assert!(screen(&app).contains("5 problems"), "{}", screen(&app));
    assert!(screen(&app).contains("and 2 more: 8 shows all"), "{}", screen(&app));
}
