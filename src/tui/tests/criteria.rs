//! Criteria by keys: each act is a form with its command line, and what cannot be done is not offered.

use super::fake::{app, finish, lines, press, review, reviewed, screen, shown_criteria, write};
use crate::{
    actions::{EndArgs, Report},
    base::Error,
    model::{supervision::CriteriaSummary, task::TaskState},
    tui::{
        app::{App, update},
        layer::Layer,
        message::{Effect, Load, Msg},
    },
};

/// The task that is selected first.
const TASK: &str = "task-parser";

/// The box over the criteria of [`shown_criteria`], the first one selected.
pub fn opened(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    press(&mut app, "2");
    update(&mut app, Msg::Criteria(TASK.into(), Ok(shown_criteria())));
    press(&mut app, "e");
    app
}

/// What the line of keys offers.
fn footer(app: &App) -> String {
    screen(app).lines().last().unwrap_or_default().to_owned()
}

#[test]
fn where_nothing_is_asked_for_the_screen_names_the_key_and_the_command() {
    let mut app = app(160, 50);
    press(&mut app, "2 G");
    update(&mut app, Msg::Criteria("task-docs".into(), Ok(Vec::new())));
    let shown = screen(&app).replace(['\n', '│', ' '], "");
    assert!(shown.contains("criteria:none") && shown.contains("eopensthem,+addsonethere"), "{}", screen(&app));
    assert!(screen(&app).contains(" e criteria "), "{}", screen(&app));
    press(&mut app, "e");
    let shown = screen(&app);
    for text in ["nothing is asked for", "+ adds the first one", "conveyor criteria docs --add --criterion TEXT"] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(footer(&app).contains("+ add") && !footer(&app).contains("satisfy"), "{}", footer(&app));
    press(&mut app, "+");
    assert!(screen(&app).contains("not yet: criterion is missing"), "{}", screen(&app));
    write(&mut app, "every file parses");
    let sent = lines(&press(&mut app, "Ctrl-S"));
    assert_eq!(
        sent,
        [
            "conveyor criteria --add '--criterion=every file parses' '--source=user_requested' '--status=accepted' -- docs"
        ]
    );
    assert!(matches!(app.layers.last(), Some(Layer::Criteria(_))), "the box is still there");
    finish(
        &mut app,
        Ok(Report { json: serde_json::Value::Null, prose: "#1 accepted".into(), exit_code: 0, handover: None }),
    );
    assert!(screen(&app).contains("#1 accepted"), "the receipt: {}", screen(&app));
}

#[test]
fn each_act_is_offered_for_the_criterion_that_takes_it_and_runs_for_that_one() {
    // Those of the fake: 1 satisfied, 2 accepted, 3 proposed, 4 satisfied.
    let offered = [
        ("", "a accept", ["s satisfy", "d defer", "x reject"]),
        ("j", "s satisfy", ["a accept", "", ""]),
        ("j j", "a accept", ["s satisfy", "", ""]),
    ];
    for (keys, works, not) in offered {
        let mut app = opened(100, 30);
        press(&mut app, keys);
        let footer = footer(&app);
        assert!(footer.contains(works), "{keys}: {footer}");
        for word in not.into_iter().filter(|word| !word.is_empty()) {
            assert!(!footer.contains(word), "{keys}: {word}: {footer}");
        }
    }
    // The first one is satisfied, and is not satisfied again; a key that is not offered says why.
    let mut app = opened(100, 30);
    press(&mut app, "s");
    assert!(matches!(app.layers.last(), Some(Layer::Criteria(_))));
    assert!(screen(&app).contains("#1 is satisfied, and cannot be satisfied"), "{}", screen(&app));

    let run = |keys: &str, text: &str, then: &str| {
        let mut app = opened(100, 30);
        press(&mut app, keys);
        write(&mut app, text);
        lines(&press(&mut app, then))
    };
    assert_eq!(run("j j a", "", "Enter"), ["conveyor criteria '--accept=3' -- parser"]);
    assert_eq!(run("j d", "later", "Ctrl-S y"), ["conveyor criteria '--defer=2' '--rationale=later' -- parser"]);
    assert_eq!(run("j x", "no use", "Ctrl-S y"), ["conveyor criteria '--reject=2' '--rationale=no use' -- parser"]);
    assert_eq!(
        run("j s", "out/a b.txt", "Ctrl-S"),
        ["conveyor criteria '--satisfy=2' '--artifact=out/a b.txt' -- parser"]
    );
    // What was satisfied is taken up again with a reason only.
    assert!(run("a", "", "Ctrl-S").is_empty());
    assert_eq!(run("a", "broken", "Ctrl-S"), ["conveyor criteria '--accept=1' '--rationale=broken' -- parser"]);
}

#[test]
fn what_is_satisfied_names_what_shows_it() {
    let mut app = opened(100, 30);
    press(&mut app, "j s");
    let shown = screen(&app);
    assert!(shown.contains("that it shows this is your word"), "{shown}");
    assert!(shown.contains("criterion 2  accepted: the docs tell of every error"), "{shown}");
    press(&mut app, "Tab Tab Tab Tab");
    write(&mut app, "I looked at it");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("name what shows it: a file, a commit, a byte or an event"), "{}", screen(&app));
    write(&mut app, "report.txt");
    assert_eq!(
        lines(&press(&mut app, "Ctrl-S")),
        ["conveyor criteria '--satisfy=2' '--proof=I looked at it' '--artifact=report.txt' -- parser"]
    );
}

#[test]
fn the_selected_criterion_is_always_in_sight_however_low_the_screen() {
    let mut app = opened(50, 14);
    for id in ["#2 accepted", "#3 proposed", "#4 satisfied"] {
        press(&mut app, "j");
        let shown = screen(&app);
        assert!(shown.contains(&format!("> {id}")), "{id}\n{shown}");
    }
    press(&mut app, "k k k");
    assert!(screen(&app).contains("> #1 satisfied"), "{}", screen(&app));
}

#[test]
fn what_only_the_operator_says_is_shown_as_their_word() {
    let app = opened(100, 30);
    let shown = screen(&app);
    assert!(shown.contains("#4 satisfied on the operator's word: the report is readable"), "{shown}");
    assert!(shown.contains("operator's word: file report.txt"), "{shown}");
    assert!(shown.contains("#1 satisfied: every recorded file") && shown.contains("proof: `cargo test`"), "{shown}");
}

#[test]
fn a_box_stays_with_its_task_when_another_one_is_selected() {
    let mut app = opened(100, 30);
    press(&mut app, "j");
    // The selection passes to another task, and its criteria come.
    app.task_view.list.id = Some("task-cli".into());
    let mut others = shown_criteria();
    others.iter_mut().for_each(|one| one.text = "of another task".into());
    update(&mut app, Msg::Criteria("task-cli".into(), Ok(others)));
    // Its detail behind the box may show them.
    let shown = screen(&app);
    assert!(!shown.lines().any(|line| line.starts_with("  │") && line.contains("of another task")), "{shown}");
    update(&mut app, Msg::Criteria(TASK.into(), Ok(shown_criteria())));
    assert!(screen(&app).contains("> #2 accepted: the docs tell"), "{}", screen(&app));
    press(&mut app, "s");
    write(&mut app, "report.txt");
    assert_eq!(
        lines(&press(&mut app, "Ctrl-S")),
        ["conveyor criteria '--satisfy=2' '--artifact=report.txt' -- parser"]
    );
}

#[test]
fn nothing_is_dropped_or_put_off_without_a_yes() {
    for (key, flag, asks) in
        [("x", "--reject=2", "Reject criterion #2 of parser?"), ("d", "--defer=2", "Defer criterion")]
    {
        let mut app = opened(100, 30);
        press(&mut app, "j");
        press(&mut app, key);
        assert!(press(&mut app, "Enter").is_empty());
        assert!(screen(&app).contains(asks), "{}", screen(&app));
        assert_eq!(lines(&press(&mut app, "y")), [format!("conveyor criteria '{flag}' -- parser")]);
    }
    // `r` looks again, as everywhere.
    let mut app = opened(100, 30);
    assert_eq!(press(&mut app, "r"), [Effect::Load(Load::Criteria(TASK.into()))]);
}

#[test]
fn a_task_that_has_ended_shows_its_criteria_and_takes_no_other() {
    let mut app = opened(100, 30);
    let mut now = app.board().unwrap().clone();
    now.tasks.iter_mut().find(|row| row.task.id == TASK).unwrap().task.state = TaskState::Done;
    update(&mut app, Msg::Board(Ok(now)));
    press(&mut app, "j");
    let footer = footer(&app);
    for word in ["add", "accept", "satisfy", "defer", "reject"] {
        assert!(!footer.contains(word), "{footer}");
    }
    press(&mut app, "+");
    assert!(screen(&app).contains("parser has ended: it is done"), "{}", screen(&app));
    assert!(matches!(app.layers.last(), Some(Layer::Criteria(_))));
}

#[test]
fn the_gates_lead_to_the_criteria_and_are_looked_at_again_afterwards() {
    let mut app = app(100, 34);
    press(&mut app, "2 F");
    update(&mut app, Msg::Criteria(TASK.into(), Ok(shown_criteria())));
    reviewed(&mut app, Ok(review(false)));
    let shown = screen(&app);
    for text in [
        "next: press e: satisfy, accept, defer or reject them there",
        "conveyor criteria parser --satisfy 2 --artifact FILE",
        "`conveyor epilogue parser --step run-tools`",
        "Or end the task without being done: press x",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(footer(&app).contains("e criteria") && footer(&app).contains("x stop"), "{}", footer(&app));
    assert!(!footer(&app).contains("y finish"), "{}", footer(&app));
    press(&mut app, "e");
    assert!(screen(&app).contains("criteria of parser"), "{}", screen(&app));
    assert_eq!(press(&mut app, "Esc"), [Effect::Load(Load::Review(2, TASK.into(), EndArgs::default()))]);
    assert!(screen(&app).contains("looking at every gate"));
    assert!(
        press(&mut app, "x").is_empty() && matches!(app.layers.last(), Some(Layer::Finish(_))),
        "nothing known yet"
    );
    // Met gates lead to the end, and its other form stays.
    reviewed(&mut app, Ok(review(true)));
    assert!(footer(&app).contains("y finish") && footer(&app).contains("x stop"), "{}", footer(&app));
}

#[test]
fn a_task_that_cannot_be_finished_is_stopped_from_there_after_a_question() {
    let mut app = app(100, 34);
    press(&mut app, "2 F");
    reviewed(&mut app, Err(Error::refused("git is stuck")));
    press(&mut app, "x");
    assert!(screen(&app).contains("stop a task that is not done"), "{}", screen(&app));
    assert!(press(&mut app, "Ctrl-S").is_empty(), "a reason is wanted");
    write(&mut app, "the format is dropped");
    press(&mut app, "Tab Space Ctrl-S");
    let asked = screen(&app);
    assert!(
        asked.contains("Stop parser, which is not done?") && asked.contains("Its worker's session is stopped"),
        "{asked}"
    );
    assert!(asked.contains("stop-task"), "{asked}");
    assert_eq!(
        lines(&press(&mut app, "y")),
        ["conveyor stop-task '--reason=the format is dropped' --stop-worker '--expect=none' -- parser"]
    );
    assert!(app.layers.is_empty());
}

#[test]
fn the_footer_of_a_form_says_what_enter_and_space_do_in_the_field_with_the_keyboard() {
    let mut app = app(80, 24);
    press(&mut app, "+");
    assert!(footer(&app).starts_with(" Enter/Tab next ") && !footer(&app).contains("Space"), "{}", footer(&app));
    press(&mut app, "Tab Tab Tab");
    assert!(footer(&app).contains("Enter/Tab next") && footer(&app).contains("Space choose"), "{}", footer(&app));
    press(&mut app, "Tab Tab Tab");
    assert!(
        footer(&app).contains("Enter/Ctrl-S start") && footer(&app).contains("Space yes or no"),
        "{}",
        footer(&app)
    );
    press(&mut app, "Esc T Tab Tab");
    assert!(
        footer(&app).contains("Enter/Ctrl-S create") && footer(&app).contains("Ctrl-J new line"),
        "{}",
        footer(&app)
    );
    // A name that Enter would complete first is not sent by it.
    press(&mut app, "Esc :");
    write(&mut app, "deregister");
    press(&mut app, "Enter Ctrl-U");
    write(&mut app, "2");
    assert!(footer(&app).contains("Enter complete"), "{}", footer(&app));
    press(&mut app, "Enter");
    assert!(footer(&app).contains("Enter/Ctrl-S deregister"), "{}", footer(&app));
}

#[test]
fn counted_criteria_are_no_reason_to_say_how_one_is_added() {
    let mut app = app(160, 50);
    let mut now = app.board().unwrap().clone();
    now.tasks.iter_mut().for_each(|row| row.criteria = CriteriaSummary { accepted: 1, ..CriteriaSummary::default() });
    update(&mut app, Msg::Board(Ok(now)));
    press(&mut app, "2");
    assert!(!screen(&app).contains("adds one there"), "{}", screen(&app));
}

#[test]
fn why_one_was_rejected_stands_below_it() {
    for (width, height) in [(80, 24), (50, 20), (160, 50)] {
        let mut app = opened(width, height);
        press(&mut app, "j j j j");
        let shown = screen(&app);
        assert!(
            shown.contains("#5 rejected: it reads the old format") && shown.contains("why: the old format"),
            "{shown}"
        );
    }
}
