//! What a box says that it runs is what runs, to the letter.

use std::collections::BTreeSet;

use super::{
    fake::{app, lines, press, screen, write},
    frames,
};
use crate::tui::{
    app::App,
    field::Field,
    form::{Form, Subject, control::Control},
    layer::Layer,
};

/// The text of the box with this title, without what only sets it.
fn boxed(app: &App, title: &str) -> String {
    let frame = screen(app);
    let rows: Vec<Vec<char>> = frame.lines().map(|line| line.chars().collect()).collect();
    let top = frame.lines().position(|line| line.contains(&format!("┌ {title}"))).expect("the box");
    let left = rows[top].iter().position(|c| *c == '┌').expect("its corner");
    let right = rows[top].iter().rposition(|c| *c == '┐').expect("its other corner");
    let inner = rows[top + 1..].iter().take_while(|row| row.get(left) == Some(&'│'));
    inner.flat_map(|row| &row[left + 1..right]).filter(|c| !c.is_whitespace()).collect()
}

fn flat(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Fills in what must not stay empty; with something that changes what is there.
fn complete(form: &mut Form) {
    let changes = matches!(form.subject, Subject::Terms | Subject::Contract);
    for entry in &mut form.entries {
        let is_empty = entry.control.value().is_empty();
        match &mut entry.control {
            Control::Line(field) if entry.label == "byte" => *field = Field::of("7"),
            Control::Line(field) | Control::Text(field) if is_empty && (entry.required || changes) => {
                *field = Field::of(if entry.label == "steps" { "run-tools" } else { "7" });
            }
            Control::Choice(choice) if is_empty && entry.required => choice.at = 1,
            Control::Checks(checks) => checks.rows.iter_mut().flatten().for_each(|row| row.on = true),
            Control::Pick(picker) if is_empty && entry.required => {
                let name = picker.candidates.first().map_or_else(|| "w9".to_owned(), |one| one.name.clone());
                picker.set(&name);
            }
            _ => {}
        }
    }
}

#[test]
fn every_form_runs_the_line_that_it_shows() {
    let mut seen = BTreeSet::new();
    for (name, mut app) in frames::all(160, 50) {
        // What others wrote is wide, and would shift the columns.
        for session in ["w1", "w2", "w3", "m1", "m2"] {
            crate::tui::app::update(&mut app, super::fake::said(&format!("session-{session}"), Vec::new()));
        }
        let Some(Layer::Form(form)) = app.layers.last_mut() else { continue };
        complete(form);
        let (subject, title) = (form.subject, form.subject.title());
        assert!(form.commands().is_ok(), "{name} cannot be completed: {:?}", form.commands());
        form.focus = 0;
        let shown = boxed(&app, title);
        let mut sent = lines(&press(&mut app, "Ctrl-S"));
        match app.layers.last() {
            Some(Layer::Confirm { question, .. }) => {
                let question = question.clone();
                app.size.height = 200;
                sent = lines(&press(&mut app, "y"));
                assert!(question.ends_with(&sent[0]), "{name}: {question}\n{sent:?}");
            }
            // Its gates come first; what runs then stands there.
            Some(Layer::Finish(finishing)) => {
                assert_eq!(subject, Subject::FinishTask);
                let line = format!("conveyor {}", finishing.command(&app).argv().shell_line());
                assert!(shown.contains(&flat(&format!("after its gates: {line}"))), "{name}: {line}\n{shown}");
                seen.insert(subject.as_str());
                continue;
            }
            _ => {}
        }
        let sent: Vec<&String> = sent.iter().filter(|line| line.starts_with("conveyor ")).collect();
        assert!(!sent.is_empty(), "{name}: nothing was sent\n{}", screen(&app));
        for line in sent {
            assert!(shown.contains(&flat(&format!("runs: {line}"))), "{name} runs {line}\nand shows {shown}");
        }
        seen.insert(subject.as_str());
    }
    let missing: Vec<&str> =
        Subject::ALL.iter().map(|one| one.as_str()).filter(|subject| !seen.contains(subject)).collect();
    assert!(missing.is_empty(), "not looked at: {missing:?}");
}

#[test]
fn a_yes_runs_the_line_that_the_question_shows() {
    let mut count = 0;
    for (name, mut app) in frames::all(160, 50) {
        let Some(Layer::Confirm { question, .. }) = app.layers.last() else { continue };
        let question = question.clone();
        let sent = lines(&press(&mut app, "y"));
        if name == "confirm_quit" {
            continue;
        }
        assert!(question.ends_with(&sent[0]), "{name} runs {sent:?}\nand shows {question}");
        count += 1;
    }
    assert!(count > 8, "{count}");
}

#[test]
fn a_message_and_a_snooze_run_what_they_show() {
    let mut app = app(160, 50);
    press(&mut app, "n");
    write(&mut app, "Run the tests again");
    let shown = boxed(&app, "nudge w1");
    let sent = lines(&press(&mut app, "Enter"));
    assert!(shown.contains(&flat(&format!("runs: {}", sent[0]))), "{shown}\n{sent:?}");
    let mut app = super::fake::app(160, 50);
    press(&mut app, "s j");
    let shown = boxed(&app, "put w1 aside");
    let sent = lines(&press(&mut app, "Enter"));
    let line = sent[0].replacen("note ", "conveyor ", 1);
    assert!(shown.contains(&flat(&format!("runs: {line}"))), "{shown}\n{sent:?}");
}

/// What is said while a message is written, before it is sent: it is too long to be typed.
#[test]
fn a_message_that_is_too_long_to_be_typed_says_so_while_it_is_written() {
    for (width, height) in frames::SIZES {
        let mut app = app(width, height);
        press(&mut app, "n");
        // Who speaks, the header and the marker are typed as well.
        write(&mut app, &"a".repeat(840));
        assert!(!flat(&screen(&app)).contains("goesintotheinbox"), "{}", screen(&app));
        write(&mut app, &"a".repeat(60));
        let said = boxed(&app, "nudge w1");
        assert!(said.contains("goesintotheinboxinstead") && said.contains("atmost900aretyped"), "{}", screen(&app));
        press(&mut app, "Ctrl-U");
        assert!(!flat(&screen(&app)).contains("goesintotheinbox"), "{}", screen(&app));
    }
}

#[test]
fn a_form_that_changes_nothing_says_so_and_runs_nothing() {
    for open in ["e", "w"] {
        let mut app = app(100, 30);
        press(&mut app, "2 P");
        crate::tui::app::update(
            &mut app,
            crate::tui::message::Msg::Policy("task-parser".into(), Ok(super::fake::policy())),
        );
        press(&mut app, open);
        let Some(Layer::Form(form)) = app.layers.last() else { panic!("no form: {}", screen(&app)) };
        assert!(matches!(form.subject, Subject::Terms | Subject::Contract));
        assert!(screen(&app).contains("not yet: nothing is changed: nothing runs"), "{}", screen(&app));
        assert!(press(&mut app, "Ctrl-S").is_empty());
        assert!(app.receipts.list().is_empty() && matches!(app.layers.last(), Some(Layer::Form(_))));
        assert!(screen(&app).contains("nothing is changed: nothing runs"), "{}", screen(&app));
    }
}
