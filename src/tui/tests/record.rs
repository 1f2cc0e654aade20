//! What was said about a task, and the forms that add to it.

use super::fake::{app, finish, lines, no_record, press, record, screen, write};
use crate::{
    actions::{Command, Report, TaskRecord},
    base::Error,
    model::task::TaskState,
    tui::{
        app::{App, update},
        form::Subject,
        keymap::Intent,
        layer::Layer,
        message::{Effect, Load, Msg},
        works::works,
    },
};

const TASK: &str = "task-parser";

fn with(change: impl Fn(&mut TaskRecord)) -> App {
    let mut app = app(160, 50);
    press(&mut app, "2 R");
    let mut known = record();
    change(&mut known);
    update(&mut app, Msg::Record(TASK.into(), Ok(known)));
    app
}

fn opened() -> App {
    with(|_| {})
}

/// The command lines that the yes to the question on top would run.
fn runs(app: &App) -> Command {
    match app.layers.last() {
        Some(Layer::Confirm { then: Effect::Submit(command), .. }) => command.clone(),
        _ => panic!("no question: {}", screen(app)),
    }
}

#[test]
fn the_record_tells_what_was_said_when_by_whom_and_whether_it_holds() {
    let mut app = app(160, 60);
    let effects = press(&mut app, "2 R");
    assert!(effects.contains(&Effect::Load(Load::Record(TASK.into()))), "{effects:?}");
    assert!(screen(&app).contains("looking"));
    update(&mut app, Msg::Record("task-other".into(), Ok(record())));
    assert!(screen(&app).contains("looking"), "another task's");
    update(&mut app, Msg::Record(TASK.into(), Ok(record())));
    let shown = screen(&app);
    for text in [
        "on record: parser",
        "not to proceed: the manager has not proposed in r2",
        "the worker proposed 15m ago",
        "| next: rewrite the lexer",
        "| next: mend the two tests",
        "the reviewer judged 11m ago: divergent, amend",
        "| They do not want the same.",
        "| Tests first.",
        "question 3 to you is open: the proposals diverge",
        "the manager has not; until then nobody is shown what is proposed",
        "and 2 older",
        "acknowledgements of the terms: required",
        "worker: revision 2, about terms 3, said 1h40 ago by the operator for the worker, does not",
        "hold: said about other terms",
        "| goal_restatement: every file parses",
        "manager: nothing was said",
        "number 4, 20m ago by the operator for the worker, holds",
        "| 14 of 20 files parse.",
        "| next: nested quotes",
        "12 nudge, by operator 3m ago, can be named for 12m more",
        "11 inspect, by m1 2h00 ago, too old to be named",
        "conveyor continuation --list --include-payload -- parser",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'));
    assert_eq!(lines(&press(&mut app, "Y")), ["copy conveyor continuation --list --include-payload -- parser"]);
    assert_eq!(press(&mut app, "r"), [Effect::Load(Load::Record(TASK.into()))]);
    // What changes while one looks is looked up anew, once for each change.
    assert!(press(&mut app, "r").is_empty(), "it is being looked up");
    assert_eq!(update(&mut app, Msg::Record(TASK.into(), Ok(no_record()))), [Effect::Load(Load::Record(TASK.into()))]);
    assert!(screen(&app).contains("nobody has proposed anything"), "{}", screen(&app));
    update(&mut app, Msg::Record(TASK.into(), Err(Error::refused("the ledger is gone"))));
    assert!(screen(&app).contains("the ledger is gone"));
    assert!(press(&mut app, "Esc").is_empty() && app.layers.is_empty());
    update(&mut app, Msg::Record(TASK.into(), Ok(record())));
    assert!(app.layers.is_empty(), "nobody waits for it any more");
}

#[test]
fn a_verdict_is_an_object_about_the_newest_round_in_which_both_have_proposed() {
    let mut app = opened();
    press(&mut app, "v");
    let form = screen(&app);
    assert!(form.contains("judge what worker and manager propose") && form.contains("r1  question 3 to you"), "{form}");
    // The keyboard begins at what is left to be said.
    press(&mut app, "Space Space Tab Space Space Tab");
    assert!(screen(&app).contains("not yet: why is missing"), "{}", screen(&app));
    write(&mut app, "Say \"no\" to");
    press(&mut app, "Ctrl-J");
    write(&mut app, "the rewrite");
    press(&mut app, "Tab");
    write(&mut app, "tests first");
    press(&mut app, "Ctrl-S");
    assert!(screen(&app).contains("Judge round r1 of parser: amend?"), "{}", screen(&app));
    let Command::Continuation(action) = runs(&app) else { panic!("another command") };
    assert!(action.review && action.task == "parser" && action.correlation_id.as_deref() == Some("r1"));
    let given: serde_json::Value = serde_json::from_str(action.from_stdin.unwrap().get().unwrap()).unwrap();
    let wanted = serde_json::json!({
        "addendum": "tests first", "agreement": "compatible", "rationale": "Say \"no\" to\nthe rewrite", "verdict": "amend",
    });
    assert_eq!(given, wanted);
    // A no leads back to the form, Esc to the record, and what was typed comes back.
    press(&mut app, "n");
    assert!(matches!(app.layers.last(), Some(Layer::Form(form)) if form.subject == Subject::Judge));
    press(&mut app, "Esc");
    assert!(matches!(app.layers.as_slice(), [Layer::Record(_)]));
    press(&mut app, "v Ctrl-S y");
    assert!(matches!(app.layers.as_slice(), [Layer::Record(_)]), "{}", screen(&app));
    assert_eq!(app.receipts.running(), 1);
    let report =
        Report { json: serde_json::json!({}), prose: "parser: review 4\n".into(), exit_code: 0, handover: None };
    let effects = finish(&mut app, Ok(report));
    assert!(effects.contains(&Effect::Load(Load::Record(TASK.into()))), "{effects:?}");
    assert!(matches!(app.layers.as_slice(), [Layer::Record(_), Layer::Reader(_)]), "its receipt lies above it");
    assert!(app.drafts.of(Subject::Judge, Some("round r1 of parser")).is_none(), "what is done is not filled in again");
}

#[test]
fn a_draft_of_a_verdict_is_about_its_round() {
    let mut app = opened();
    press(&mut app, "v Space Tab Space Tab");
    write(&mut app, "about the first");
    press(&mut app, "Esc");
    let mut known = record();
    known.rounds[1].round = "r7".into();
    update(&mut app, Msg::Record(TASK.into(), Ok(known)));
    press(&mut app, "v");
    let form = screen(&app);
    assert!(form.contains("--correlation-id=r7") && !form.contains("about the first"), "{form}");
}

#[test]
fn a_proposal_for_the_manager_needs_the_round_of_the_worker() {
    let mut app = opened();
    press(&mut app, "p Space");
    assert!(!screen(&app).contains("--correlation-id"), "it is the worker's own: {}", screen(&app));
    press(&mut app, "Space Tab");
    assert!(screen(&app).contains("--correlation-id=r2"), "the open round is filled in: {}", screen(&app));
    press(&mut app, "Tab");
    write(&mut app, "mend the tests");
    press(&mut app, "Shift-Tab Ctrl-U Ctrl-S");
    assert!(screen(&app).contains("name the round in which the worker has proposed"), "{}", screen(&app));
    press(&mut app, "Shift-Tab Left Ctrl-S");
    assert!(screen(&app).contains("Propose for the worker of parser?"), "{}", screen(&app));
    let Command::Continuation(action) = runs(&app) else { panic!("another command") };
    assert_eq!(action.from_stdin.unwrap().get().unwrap(), r#"{"next":"mend the tests"}"#);
    assert_eq!(action.correlation_id, None);
}

#[test]
fn acknowledgements_a_handoff_and_a_decision_are_command_lines() {
    let cases: [(&str, &[&str], &str); 6] = [
        (
            "w",
            &["every file parses", "Tab", "tests pass", "Ctrl-J", "no warning", "Tab", "Tab", "cargo", "Tab", "Tab"],
            r#"conveyor worker-ack '--expect-version=4' '--from-stdin={"expected_tools":["cargo"],"goal_restatement":"every file parses","proposed_criteria":{"must_have":["tests pass","no warning"]}}' -- parser"#,
        ),
        (
            "m",
            &["as agreed", "Tab", "Space"],
            r#"conveyor manager-ack '--expect-version=4' '--from-stdin={"supervision_contract":"as agreed","will_not_edit_project_files":true}' -- parser"#,
        ),
        (
            "m",
            &["as agreed", "Tab", "Space", "Space"],
            r#"conveyor manager-ack '--expect-version=4' '--from-stdin={"supervision_contract":"as agreed","will_not_edit_project_files":false}' -- parser"#,
        ),
        // Nothing is promised that nobody has said.
        (
            "m",
            &["as agreed"],
            r#"conveyor manager-ack '--expect-version=4' '--from-stdin={"supervision_contract":"as agreed"}' -- parser"#,
        ),
        (
            "h",
            &["lexer done", "Tab", "nested quotes", "Ctrl-J", "Ctrl-J", "-the manual"],
            "conveyor handoff '--summary=lexer done' '--next-step=nested quotes' '--next-step=-the manual' -- parser",
        ),
        (
            "d",
            &["Space", "Space", "Tab", "the tests were not run"],
            "conveyor record-decision '--reason=the tests were not run' -- parser nudge",
        ),
    ];
    for (key, typed, wanted) in cases {
        let mut app = opened();
        press(&mut app, key);
        for word in typed {
            match *word {
                "Tab" | "Space" | "Ctrl-J" => drop(press(&mut app, word)),
                text => drop(write(&mut app, text)),
            }
        }
        let effects = press(&mut app, "Ctrl-S");
        assert_eq!(lines(&effects), [wanted], "{}", screen(&app));
        assert!(matches!(app.layers.as_slice(), [Layer::Record(_)]));
    }
    // What is missing is said before anything runs.
    for (key, fault) in [("w", "goal is missing"), ("m", "contract is missing"), ("h", "done is missing")] {
        let mut app = opened();
        assert!(press(&mut app, &format!("{key} Ctrl-S")).is_empty());
        assert!(screen(&app).contains(fault), "{}", screen(&app));
    }
    let mut app = opened();
    press(&mut app, "d Ctrl-S");
    assert!(screen(&app).contains("decision is missing"), "{}", screen(&app));
    press(&mut app, "Space Tab");
    write(&mut app, "why");
    press(&mut app, "Tab");
    write(&mut app, "seven");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("invalid value 'seven' for '--cycle-id"), "{}", screen(&app));
}

/// An object for programs goes with it; what is none is refused at its field, and the form stays filled in.
#[test]
fn what_else_belongs_to_a_handoff_or_a_decision_is_an_object_or_refused() {
    let cases = [
        ("h", "Tab Tab", r#"conveyor handoff '--summary=why' '--payload-json={"ticket": 12}' -- parser"#),
        ("d", "Tab Tab", r#"conveyor record-decision '--reason=why' '--payload-json={"ticket": 12}' -- parser wait"#),
    ];
    for (key, to_object, wanted) in cases {
        let mut app = opened();
        press(&mut app, key);
        if key == "d" {
            press(&mut app, "Space Tab");
        }
        write(&mut app, "why");
        press(&mut app, to_object);
        for wrong in ["[12]", "{\"ticket\": 12", "ticket 12"] {
            write(&mut app, wrong);
            assert!(press(&mut app, "Ctrl-S").is_empty(), "{wrong}");
            let shown = screen(&app);
            assert!(shown.contains("more must be a JSON object, such as {\"ticket\": 12}"), "{shown}");
            assert!(shown.contains("why") && shown.contains(wrong), "it stays filled in: {shown}");
            press(&mut app, "Ctrl-U");
        }
        write(&mut app, "{\"ticket\": 12}");
        assert_eq!(lines(&press(&mut app, "Ctrl-S")), [wanted], "{}", screen(&app));
    }
}

#[test]
fn keys_of_the_record_work_where_what_they_say_can_be_said() {
    let acts = [
        Intent::Judge,
        Intent::HaveJudged,
        Intent::Propose,
        Intent::WorkerAck,
        Intent::ManagerAck,
        Intent::Handoff,
        Intent::Decide,
    ];
    let works_of = |app: &App| acts.map(|intent| works(app, intent));
    assert_eq!(works_of(&opened()), [true; 7]);
    // Nothing to judge, and nobody that would.
    let mut app = with(|known| known.rounds.truncate(1));
    assert_eq!(works_of(&app), [false, false, true, true, true, true, true]);
    press(&mut app, "v");
    assert!(screen(&app).contains("there is no round in which both have proposed"), "{}", screen(&app));
    let mut app = with(|known| known.has_reviewer = false);
    assert_eq!(works_of(&app), [true, false, true, true, true, true, true]);
    press(&mut app, "b");
    assert!(screen(&app).contains("no program is set that judges"), "{}", screen(&app));
    // Without a pair only a decision can be recorded; of a task that has ended nothing.
    let of_board = |change: &dyn Fn(&mut crate::model::board::TaskRow)| {
        let mut app = opened();
        let mut board = super::fake::board();
        change(board.tasks.iter_mut().find(|row| row.task.id == TASK).unwrap());
        update(&mut app, Msg::Board(Ok(board)));
        update(&mut app, Msg::Record(TASK.into(), Ok(record())));
        app
    };
    let mut app = of_board(&|row| row.bindings.clear());
    assert_eq!(works_of(&app), [true, true, false, false, false, false, true]);
    press(&mut app, "h");
    assert!(screen(&app).contains("parser has no worker and no manager bound to it"), "{}", screen(&app));
    let mut app = of_board(&|row| row.task.state = TaskState::Done);
    assert_eq!(works_of(&app), [false; 7]);
    press(&mut app, "d");
    assert!(screen(&app).contains("parser has ended: it is done"), "{}", screen(&app));
    assert!(matches!(app.layers.as_slice(), [Layer::Record(_)]), "no form about another task");
}

#[test]
fn a_low_screen_shows_all_of_it_in_pages() {
    let mut app = app(50, 20);
    press(&mut app, "2 R");
    update(&mut app, Msg::Record(TASK.into(), Ok(record())));
    assert!(!screen(&app).contains("proposals headless"));
    press(&mut app, "PgDn PgDn PgDn PgDn PgDn PgDn PgDn PgDn");
    assert!(screen(&app).contains("continuation --list"), "{}", screen(&app));
    press(&mut app, "PgUp PgUp PgUp PgUp PgUp PgUp PgUp PgUp");
    assert!(screen(&app).contains("what comes next:"), "{}", screen(&app));
}

#[test]
fn what_takes_the_place_of_the_workers_own_proposal_says_so() {
    let mut app = opened();
    press(&mut app, "p Space Tab Tab");
    write(&mut app, "mine instead");
    press(&mut app, "Shift-Tab");
    for (round, wanted, words) in [
        ("r2", Some("r2"), "It takes the place of the worker's proposal in r2."),
        ("r9", Some("r9"), "proposal in r9, if there is one."),
        ("", None, "Propose for the worker of parser?"),
    ] {
        press(&mut app, "Ctrl-U");
        write(&mut app, round);
        press(&mut app, "Ctrl-S");
        let Some(Layer::Confirm { question, .. }) = app.layers.last() else { panic!("{}", screen(&app)) };
        assert!(question.contains(words), "{words}\n{question}");
        let Command::Continuation(action) = runs(&app) else { panic!("another command") };
        assert_eq!(action.correlation_id.as_deref(), wanted);
        press(&mut app, "n");
    }
}

#[test]
fn a_round_that_is_not_the_newest_any_more_does_not_come_back() {
    for key in ["p", "b"] {
        let mut app = opened();
        press(&mut app, key);
        if key == "p" {
            press(&mut app, "Space Space");
        }
        press(&mut app, "Esc");
        let mut known = record();
        known.rounds[0].round = "r8".into();
        known.rounds[1].round = "r7".into();
        update(&mut app, Msg::Record(TASK.into(), Ok(known)));
        press(&mut app, key);
        if key == "p" {
            press(&mut app, "Space Space");
        }
        let shown = screen(&app);
        let newest = if key == "p" { "r8" } else { "r7" };
        assert!(shown.contains(&format!("--correlation-id={newest}")), "{key}: {shown}");
    }
}

#[test]
fn what_is_acknowledged_is_what_was_shown() {
    let mut app = opened();
    press(&mut app, "w");
    write(&mut app, "every file parses");
    press(&mut app, "Esc");
    let mut known = record();
    known.terms = 5;
    update(&mut app, Msg::Record(TASK.into(), Ok(known)));
    assert!(screen(&app).contains("they are of revision 5"), "{}", screen(&app));
    press(&mut app, "w");
    let shown = screen(&app);
    assert!(shown.contains("--expect-version=5") && shown.contains("every file parses"), "{shown}");
    // Where none were shown it is asked which ones are meant.
    let app = super::fake::app(100, 40);
    let form = crate::tui::form::fresh(&app, Subject::ManagerAck).unwrap();
    assert_eq!((form.entries[1].label, form.entries[1].control.value()), ("terms", ""));
    assert_eq!(form.focus, 1);
}

#[test]
fn what_the_operator_has_said_for_a_side_is_not_shown_as_that_sides_word() {
    let app = opened();
    let shown = screen(&app);
    for text in [
        "the worker proposed 15m ago",
        "proposed 13m ago by the operator for the manager",
        "said 1h40 ago by the operator for the worker",
        "number 4, 20m ago by the operator for the worker, holds",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(!shown.contains("the manager proposed"), "{shown}");
}
