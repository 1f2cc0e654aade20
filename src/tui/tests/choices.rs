//! Forms: what letters do to a choice, a long list of names, and what is said before a form is submitted.

use super::{
    fake::{app, board, press, screen, write},
    forms::loose,
};
use crate::{
    model::{
        session::Registration,
        state::{Condition, Reading, Source},
        supervision::Permission,
    },
    tui::{
        app::{App, update},
        form::Form,
        layer::Layer,
        message::Msg,
    },
};

fn form(app: &App) -> &Form {
    match app.layers.last() {
        Some(Layer::Form(form)) => form,
        other => panic!("no form is open: {other:?}"),
    }
}

fn line(app: &App) -> String {
    form(app).lines()[0].shell_line()
}

#[test]
fn letters_choose_and_what_begins_no_choice_says_so() {
    let mut app = app(80, 24);
    press(&mut app, "+ Tab Tab Tab");
    write(&mut app, "dan");
    assert!(line(&app).contains("--sandbox=danger-full-access"), "{}", line(&app));
    write(&mut app, "q");
    assert!(line(&app).contains("--sandbox=danger-full-access"), "{}", line(&app));
    let frame = screen(&app);
    assert!(frame.contains("no choice begins with what you typed; Left and Right step"), "{frame}");
    // The letters of one field are no beginning in the next.
    press(&mut app, "Tab");
    write(&mut app, "n");
    assert!(line(&app).contains("--ask-for-approval=never"), "{}", line(&app));
    press(&mut app, "Space");
    assert!(!line(&app).contains("--ask-for-approval"), "a blank steps: {}", line(&app));
    press(&mut app, "Tab Tab");
    write(&mut app, "y");
    assert!(line(&app).contains("--accept-trust"), "{}", line(&app));
    write(&mut app, "x");
    assert!(line(&app).contains("--accept-trust") && screen(&app).contains("y and n choose here"), "{}", screen(&app));
    write(&mut app, "n");
    assert!(!line(&app).contains("--accept-trust"), "{}", line(&app));
}

#[test]
fn a_blank_within_a_name_that_is_typed_is_no_step() {
    let mut app = app(80, 24);
    press(&mut app, "2 P e Tab Tab Tab Tab Tab Tab Tab");
    assert_eq!(form(&app).entries[form(&app).focus].label, "acks");
    write(&mut app, "not required");
    assert!(line(&app).contains("--unset=require-acks"), "{}", line(&app));
}

/// Every permission is shown while one goes through them, and what is not on the screen is counted.
#[test]
fn a_long_list_of_names_says_how_many_more_there_are_and_shows_each() {
    for (width, height) in [(80, 24), (50, 20), (160, 50)] {
        let mut app = app(width, height);
        press(&mut app, "2 P e Shift-Tab Shift-Tab Shift-Tab Tab Tab Tab");
        assert_eq!(form(&app).entries[form(&app).focus].label, "permit");
        let names: Vec<String> = Permission::ALL.iter().map(ToString::to_string).collect();
        // A long one is cut on a narrow screen.
        let is = |word: &str, name: &str| word.strip_suffix('…').map_or(word == name, |cut| name.starts_with(cut));
        let shown = |app: &App| {
            let frame = screen(app);
            let listed = |name: &&String| frame.lines().any(|line| line.split_whitespace().any(|word| is(word, name)));
            let count = names.iter().filter(listed).count();
            let more = |whence: &str| {
                let line = frame.lines().find(|line| line.contains(&format!(" more {whence}")));
                line.map_or(0, |line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let at = words.iter().position(|word| *word == "more").unwrap();
                    words[at - 1].parse::<usize>().unwrap()
                })
            };
            assert_eq!(count + more("above") + more("below"), names.len(), "{frame}");
            (count, frame)
        };
        let (first, frame) = shown(&app);
        match height {
            50 => assert_eq!(first, names.len(), "{frame}"),
            24 => assert!(first >= 6, "{first}\n{frame}"),
            _ => assert!(first >= 3, "{first}\n{frame}"),
        }
        for _ in &names {
            press(&mut app, "Down");
            let (_, frame) = shown(&app);
            let sought = form(&app).entries[form(&app).focus].control.clone();
            let crate::tui::form::control::Control::Pick(picker) = sought else { panic!("a list of names") };
            let name = picker.offered()[picker.at.unwrap()].name.clone();
            let sought = frame.split_whitespace().collect::<Vec<_>>();
            assert!(sought.windows(2).any(|pair| pair[0] == ">" && is(pair[1], &name)), "{name}\n{frame}");
        }
    }
}

fn with(name: &str, condition: Condition, readings: Vec<Reading>) -> App {
    let mut app = loose(80, 24);
    let mut now = board();
    let row = now.sessions.iter_mut().find(|row| row.name == name).unwrap();
    (row.judgement.condition, row.judgement.readings) = (condition, readings);
    let id = row.id.clone();
    update(&mut app, Msg::Board(Ok(now)));
    app.select(Some(id), &mut Vec::new());
    app
}

fn reading(source: Source, condition: Condition, rule: &str) -> Reading {
    Reading { source, condition, rule: rule.into(), reason: "as seen".into(), at: None, byte_offset: None }
}

fn said(app: &App) -> String {
    form(app).warning(app).unwrap_or_default()
}

#[test]
fn an_interruption_of_what_does_not_run_says_so_beforehand() {
    for (condition, says) in [
        (Condition::Busy, ""),
        (Condition::Idle, "no turn runs in w1"),
        (Condition::Done, "no turn runs in w1"),
        (Condition::Aborted, "no turn runs in w1"),
        (Condition::Unknown, "Whether a turn runs in w1 is not known"),
        (Condition::Blocked, "w1 asks something, and is not interrupted"),
    ] {
        let mut app = with("w1", condition, Vec::new());
        press(&mut app, "!");
        assert!(said(&app).contains(says) && said(&app).is_empty() == says.is_empty(), "{condition}: {}", said(&app));
    }
    let mut app = with("w1", Condition::Idle, Vec::new());
    press(&mut app, "!");
    assert!(screen(&app).contains("As far as is known no turn runs in w1 (idle): nothing will be"), "{}", screen(&app));
    assert!(said(&app).contains("A message written here goes to it all the same"), "{}", said(&app));
}

#[test]
fn what_still_runs_is_not_resumed_and_the_form_says_so() {
    let lives = || vec![reading(Source::Process, Condition::Unknown, "process_alive")];
    // One whose last turn failed may have ended: what shows life says whether it has.
    let mut app = with("w1", Condition::Aborted, lives());
    press(&mut app, "Z");
    assert!(said(&app).contains("w1 has not ended (failed), and is not resumed"), "{}", screen(&app));
    let mut app = with("w1", Condition::Aborted, Vec::new());
    press(&mut app, "Z");
    assert!(line(&app).contains("w1") && said(&app).is_empty(), "nobody sees it run: {}", line(&app));
    // It is seen to run while its form is open.
    let now = with("w1", Condition::Aborted, lives()).board().unwrap().clone();
    update(&mut app, Msg::Board(Ok(now)));
    assert!(said(&app).contains("w1 is still there") && said(&app).contains("this is refused"), "{}", said(&app));
    // One that works is not among those to choose from: why stands there.
    let mut app = with("w1", Condition::Busy, lives());
    let mut now = board();
    now.sessions.iter_mut().find(|row| row.name == "w4").unwrap().registration = Registration::Gone;
    now.sessions.iter_mut().find(|row| row.name == "w1").unwrap().judgement.condition = Condition::Busy;
    update(&mut app, Msg::Board(Ok(now)));
    press(&mut app, "Z");
    assert!(said(&app).contains("w1 has not ended (working), and is not resumed"), "{}", said(&app));
}

#[test]
fn a_compaction_says_what_it_waits_for() {
    for (condition, says) in [
        (Condition::Busy, "w1 is working: this waits until its turn has ended"),
        (Condition::Blocked, "w1 asks something: this waits until that is answered"),
        (Condition::Done, ""),
    ] {
        let mut app = with("w1", condition, Vec::new());
        press(&mut app, "C");
        assert!(said(&app).contains(says) && said(&app).is_empty() == says.is_empty(), "{condition}: {}", said(&app));
        // A message does not wait for the end of the turn.
        press(&mut app, "Tab");
        write(&mut app, "nothing");
        assert_eq!(said(&app), "", "{condition}");
    }
}
