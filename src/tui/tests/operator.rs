//! What is put to the operator: where it stands, what is shown of it, and the answer by keys.

use super::fake::{
    app, app_with_messages, app_with_questions, asking, board, busy, finish, lines, press, quiet, screen, write,
};
use crate::{
    actions::Report,
    base::Error,
    model::board::Attention,
    tui::{
        app::{App, Screen, update},
        layer::Layer,
        message::Msg,
        screen::fleet,
    },
};

fn names(app: &App) -> Vec<String> {
    fleet::rows(app).iter().map(|row| row.name().to_owned()).collect()
}

#[test]
fn a_question_counts_among_what_needs_the_operator_and_lifts_the_rows_of_its_task() {
    let mut app = app_with_messages(160, 50);
    let before = names(&app);
    assert!(screen(&app).contains("! 1 needs you") && app.title().starts_with("!1 "), "{}", screen(&app));
    update(&mut app, Msg::Deliveries(Ok(asking())));
    let shown = screen(&app);
    assert!(shown.contains("! 3 need you") && app.title().starts_with("!3 "), "{shown}");
    // w1 asks by itself, m1 is of the same task, and nobody works on docs.
    assert_eq!(names(&app)[..3].iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    let mut first = names(&app)[..3].to_vec();
    first.sort();
    assert_eq!(first, ["docs", "m1", "w1"], "{shown}");
    assert!(shown.contains("worker and manager do not agree"), "{shown}");
    assert!(shown.contains("asks whether it may run"), "what it asks by itself stays: {shown}");
    // It is answered.
    update(&mut app, Msg::Deliveries(Ok(busy())));
    assert_eq!(names(&app), before);
    assert!(screen(&app).contains("! 1 needs you"));
}

#[test]
fn what_is_gone_stays_gone_and_what_is_put_aside_stays_there() {
    let mut app = app_with_questions(80, 24);
    let mut now = board();
    let m1 = now.sessions.iter_mut().find(|row| row.name == "m1").unwrap();
    m1.marks.snoozed_until = Some(super::fake::ago(-1_000));
    update(&mut app, Msg::Board(Ok(now.clone())));
    let m1_wants = |app: &App| fleet::rows(app).iter().any(|row| row.name() == "m1" && row.wants_look(app));
    assert!(!m1_wants(&app));
    now.sessions.iter_mut().find(|row| row.name == "m1").unwrap().marks.snoozed_until = None;
    update(&mut app, Msg::Board(Ok(now.clone())));
    assert!(m1_wants(&app));
    now.sessions.iter_mut().find(|row| row.name == "m1").unwrap().attention = Attention::Gone;
    update(&mut app, Msg::Board(Ok(now)));
    assert!(!m1_wants(&app));
}

#[test]
fn the_next_that_needs_you_is_the_inbox_when_no_row_stands_for_a_question() {
    let mut app = app(80, 24);
    let mut now = board();
    now.sessions.retain(|row| row.name == "w3");
    now.sessions[0].attention = Attention::Idle;
    now.sessions[0].marks.unread = false;
    now.tasks.clear();
    update(&mut app, Msg::Board(Ok(now)));
    press(&mut app, "w");
    assert_eq!(app.screen, Screen::Fleet);
    update(&mut app, Msg::Deliveries(Ok(asking())));
    press(&mut app, "w");
    assert_eq!(app.screen, Screen::Inbox);
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("question-3"));
}

#[test]
fn questions_are_a_section_of_their_own_above_the_messages() {
    let mut app = app_with_questions(100, 30);
    press(&mut app, "4 g");
    let shown = screen(&app);
    let line =
        |text: &str| shown.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}\n{shown}"));
    assert!(line("2 questions to you") < line("asks you"), "{shown}");
    let heading = shown.lines().position(|line| line.starts_with("─ messages")).expect("a heading");
    assert!(line("task docs") < heading, "{shown}");
    // A click on the second heading selects nothing, one below it the first message.
    let row = u16::try_from(heading).unwrap();
    let selected = app.inbox_view.list.id.clone();
    update(&mut app, Msg::Click(3, row));
    assert_eq!(app.inbox_view.list.id, selected);
    update(&mut app, Msg::Click(3, row + 1));
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("command-3"), "{shown}");
    update(&mut app, Msg::Click(3, row - 1));
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("question-5"));
    // Every row is reached, however low the screen.
    let mut low = app_with_questions(80, 12);
    press(&mut low, "4 G");
    let last = low.inbox_view.list.id.clone().expect("a row");
    assert!(last.starts_with("item-"), "{last}");
    assert!(screen(&low).lines().nth(1).unwrap().contains("messages"), "{}", screen(&low));
    // Without questions there is one heading.
    update(&mut app, Msg::Deliveries(Ok(busy())));
    assert!(!screen(&app).contains("questions to you"));
    // A question alone has no second heading.
    let mut alone = quiet();
    alone.questions = asking().questions;
    update(&mut app, Msg::Deliveries(Ok(alone)));
    assert!(!screen(&app).contains("messages") && screen(&app).contains("2 questions to you"), "{}", screen(&app));
}

#[test]
fn what_others_wrote_stands_behind_a_mark() {
    let mut app = app_with_questions(160, 50);
    press(&mut app, "4 g");
    let shown = screen(&app);
    for text in [
        "the worker proposes",
        "| next: rewrite the lexer",
        "| and drop the old reader",
        "the manager proposes",
        "| next: mend the two tests, then stop",
        "the reviewer judges: divergent, amend",
        "| The worker's plan goes beyond the goal. Operator: run",
        "| Keep the old reader.",
        "nothing of it is an instruction",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn a_question_is_answered_by_keys_after_its_command_line_was_asked_about() {
    let mut app = app_with_questions(100, 30);
    press(&mut app, "4 g Enter");
    // No answer is chosen by itself.
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("answer is missing"), "{}", screen(&app));
    press(&mut app, "Space Space Tab");
    write(&mut app, "keep the old reader");
    let line = "conveyor operator-inbox '--settle=3' '--answer=amend' '--note=keep the old reader'";
    assert!(screen(&app).contains("--settle=3"), "{}", screen(&app));
    assert!(press(&mut app, "Ctrl-S").is_empty(), "it is asked about first");
    let shown = screen(&app);
    assert!(shown.contains("Answer \"amend\"?") && shown.contains(line), "{shown}");
    // A no leads back to the form with what was typed.
    assert!(press(&mut app, "n").is_empty());
    assert!(matches!(app.layers.as_slice(), [Layer::Form(_)]));
    press(&mut app, "Ctrl-S");
    assert_eq!(lines(&press(&mut app, "y")), [line]);
    assert!(app.layers.is_empty(), "the form is done with");
    finish(
        &mut app,
        Ok(Report {
            json: serde_json::Value::Null,
            prose: "parser: round-2 answered: amend\n".into(),
            exit_code: 0,
            handover: None,
        }),
    );
    assert!(screen(&app).contains("round-2 answered: amend"), "{}", screen(&app));
}

#[test]
fn an_answer_that_failed_can_be_mended() {
    let mut app = app_with_questions(100, 30);
    press(&mut app, "4 g Enter Space Tab");
    write(&mut app, "go on");
    press(&mut app, "Ctrl-S y");
    finish(&mut app, Err(Error::refused("the ledger is in use")));
    press(&mut app, "Esc Enter");
    let shown = screen(&app);
    assert!(shown.contains("go on") && shown.contains("proceed"), "{shown}");
}

#[test]
fn the_answer_is_about_the_selected_question_and_enter_means_nothing_elsewhere() {
    let mut app = app_with_questions(100, 30);
    press(&mut app, "4 g j y");
    assert!(screen(&app).contains("--settle=5"), "{}", screen(&app));
    press(&mut app, "Esc j");
    assert!(app.inbox_view.list.id.as_deref().is_some_and(|id| id.starts_with("command-")));
    assert!(!screen(&app).lines().last().unwrap().contains("decide"), "{}", screen(&app));
    assert!(press(&mut app, "Enter").is_empty() && app.layers.is_empty());
    // Nobody asks anything: nothing opens.
    update(&mut app, Msg::Deliveries(Ok(busy())));
    assert!(press(&mut app, "Enter").is_empty() && app.layers.is_empty());
}

#[test]
fn a_row_that_needs_the_operator_for_its_task_is_answered_where_it_stands() {
    let mut app = app_with_questions(100, 30);
    let m1 = board().sessions.iter().find(|row| row.name == "m1").map(|row| row.id.clone());
    app.fleet.list.id = m1;
    press(&mut app, "y");
    assert!(
        matches!(app.layers.as_slice(), [Layer::Form(_)]) && screen(&app).contains("--settle=3"),
        "{}",
        screen(&app)
    );
    // Who asks by himself is answered first.
    press(&mut app, "Esc");
    app.fleet.list.id = board().sessions.iter().find(|row| row.name == "w1").map(|row| row.id.clone());
    press(&mut app, "y");
    assert!(matches!(app.layers.last(), Some(Layer::Answer(_))), "{}", screen(&app));
}

#[test]
fn the_inbox_begins_with_what_is_put_to_the_operator() {
    let mut app = app_with_questions(100, 30);
    press(&mut app, "4 G");
    assert!(app.inbox_view.list.id.as_deref().is_some_and(|id| !id.starts_with("question-")));
    press(&mut app, "1 4");
    assert_eq!(app.inbox_view.list.id.as_deref(), Some("question-3"), "{}", screen(&app));
}

#[test]
fn a_message_that_only_lies_selected_takes_no_task_and_no_session_along() {
    let mut app = app_with_messages(100, 30);
    press(&mut app, "2 G");
    let (task, session) = (app.task_view.list.id.clone(), app.fleet.list.id.clone());
    assert!(task.is_some());
    for glance in ["4 2", "5 2"] {
        press(&mut app, glance);
        assert_eq!(app.task_view.list.id, task, "{glance}: {}", screen(&app));
    }
    press(&mut app, "3 4 3");
    assert_eq!(app.fleet.list.id, session);
    // One that was gone to does.
    press(&mut app, "4");
    let other = |app: &App| app.session().map(|row| row.id.clone()).filter(|id| Some(id) != session.as_ref());
    let went_to = (0..20).find_map(|_| {
        press(&mut app, "j");
        other(&app)
    });
    assert!(went_to.is_some(), "{}", screen(&app));
    press(&mut app, "1");
    assert_eq!(app.fleet.list.id, went_to);
}

#[test]
fn a_question_that_the_filter_hides_is_counted_and_one_that_it_shows_is_gone_to() {
    let mut app = app_with_questions(80, 24);
    press(&mut app, "/ z z z Enter w");
    assert_eq!(app.screen, Screen::Fleet);
    assert!(screen(&app).contains("the filter hides"), "{}", screen(&app));
    assert!(screen(&app).contains("that need"), "{}", screen(&app));
}
