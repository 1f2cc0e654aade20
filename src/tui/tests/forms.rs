//! Forms by keys: what is typed becomes a command line, what is wrong is said, and nothing typed is lost.

use serde_json::json;

use super::fake::{
    ago, app, app_with_questions, asking, board, finish, lines, press, screen, shown_criteria, unregistered, write,
};
use crate::{
    actions::{Command, Report, UnknownPlace, Unregistered},
    base::{Error, Kind},
    model::{
        session::Registration,
        task::{TaskEnd, TaskState},
    },
    tui::{
        app::{App, update},
        form::{Form, Subject, fresh},
        layer::Layer,
        message::{Effect, Load, Msg},
    },
};

fn form(app: &App) -> &Form {
    match app.layers.last() {
        Some(Layer::Form(form)) => form,
        other => panic!("no form is open: {other:?}"),
    }
}

fn done() -> Report {
    Report { json: json!({}), prose: "done".into(), exit_code: 0, handover: None }
}

/// A board with a worker, a manager and a task that nothing ties together, and a session that is gone.
pub fn loose(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    let mut loose = board();
    let m3 = loose.sessions.iter().find(|row| row.name == "m2").unwrap().clone();
    loose.sessions.push(crate::model::board::SessionRow {
        id: "session-m3".into(),
        name: "m3".into(),
        task: None,
        task_id: None,
        partner: None,
        ..m3
    });
    loose.sessions.iter_mut().find(|row| row.name == "w4").unwrap().registration = Registration::Gone;
    update(&mut app, Msg::Board(Ok(loose)));
    app
}

#[test]
fn a_task_is_recorded_by_keys_and_the_command_line_grows_with_them() {
    let mut app = app(80, 24);
    press(&mut app, "T");
    assert!(screen(&app).contains("new task") && screen(&app).contains("not yet: name is missing"), "{}", screen(&app));
    write(&mut app, "lexer");
    assert!(screen(&app).contains("so far: conveyor tasks '--create=lexer'"), "{}", screen(&app));
    press(&mut app, "Tab");
    write(&mut app, "It's fast");
    press(&mut app, "Ctrl-J");
    write(&mut app, "Sand correct");
    assert!(screen(&app).contains(r"runs: conveyor tasks '--create=lexer' '--goal=It'\''s fast"), "{}", screen(&app));
    let sent = lines(&press(&mut app, "Ctrl-S"));
    assert_eq!(sent, ["conveyor tasks '--create=lexer' '--goal=It'\\''s fast\nSand correct'"]);
    assert!(app.layers.is_empty());
}

#[test]
fn enter_goes_from_field_to_field_and_does_it_in_the_last() {
    let mut app = app(80, 24);
    press(&mut app, "T");
    write(&mut app, "lexer");
    press(&mut app, "Enter");
    write(&mut app, "goal");
    press(&mut app, "Enter");
    assert_eq!(form(&app).focus, 2);
    assert_eq!(lines(&press(&mut app, "Enter")), ["conveyor tasks '--create=lexer' '--goal=goal'"]);
}

#[test]
fn what_is_wrong_is_said_where_it_is_and_nothing_is_sent() {
    let mut app = app(80, 24);
    press(&mut app, "T");
    write(&mut app, "no name");
    press(&mut app, "Tab");
    write(&mut app, "g");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    let (at, refused) = (form(&app).focus, form(&app).refused.clone().expect("a reason"));
    assert_eq!((at, refused.entry), (0, Some(0)), "{refused:?}");
    assert!(screen(&app).contains("a name starts with"), "{}", screen(&app));
    press(&mut app, "Ctrl-U");
    assert!(form(&app).refused.is_none());
    write(&mut app, "-");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("means standard input, which a form has not"), "{}", screen(&app));

    let mut app = self::app(80, 24);
    press(&mut app, "B");
    write(&mut app, "many");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(form(&app).refused.as_ref().is_some_and(|fault| fault.entry == Some(1)), "{:?}", form(&app).refused);
    press(&mut app, "Ctrl-U");
    write(&mut app, "12");
    assert_eq!(lines(&press(&mut app, "Ctrl-S")), ["conveyor manager-config '--max-nudges=12' -- parser"]);
}

#[test]
fn a_worker_is_started_with_what_was_chosen() {
    let mut app = app(80, 24);
    press(&mut app, "+");
    write(&mut app, "w9");
    press(&mut app, "Tab");
    write(&mut app, "Read the docs");
    press(&mut app, "Tab Tab Right Tab Left Tab");
    write(&mut app, "gpt x");
    press(&mut app, "Tab Space");
    let frame = screen(&app);
    assert!(frame.contains("[x] yes") && frame.contains("read-only") && frame.contains("never"), "{frame}");
    assert_eq!(
        lines(&press(&mut app, "Enter")),
        ["conveyor start-worker '--name=w9' '--task=Read the docs' '--sandbox=read-only' '--ask-for-approval=never' \
          '--model=gpt x' --accept-trust"]
    );
}

#[test]
fn binding_picks_from_what_is_free_and_completes_names() {
    let mut app = loose(80, 24);
    app.fleet.list.id = Some("task-docs".into());
    press(&mut app, "b");
    // One task, one worker and one manager are free: nothing has to be typed.
    let shown = form(&app).lines()[0].shell_line();
    assert_eq!(shown, "bind '--task=docs' '--worker=w3' '--manager=m3'");
    press(&mut app, "Tab Ctrl-U");
    write(&mut app, "3");
    assert!(screen(&app).contains("w3  worker, done, /home/me/project"), "{}", screen(&app));
    press(&mut app, "Tab");
    press(&mut app, "Ctrl-U");
    write(&mut app, "w1");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("there is no \"w1\" to choose here"), "{}", screen(&app));
    assert!(press(&mut app, "Ctrl-U Down Enter").is_empty());
    assert_eq!(form(&app).lines()[0].shell_line(), "bind '--task=docs' '--worker=w3' '--manager=m3'", "shown first");
    press(&mut app, "Enter");
    assert!(app.layers.is_empty());
    let line = &app.receipts.list()[0].line;
    assert_eq!(line, "conveyor bind '--task=docs' '--worker=w3' '--manager=m3'");
}

#[test]
fn what_was_typed_comes_back_after_esc_and_after_a_failure() {
    let mut app = app(80, 24);
    press(&mut app, "T");
    write(&mut app, "lexer");
    press(&mut app, "Tab");
    write(&mut app, "goal");
    press(&mut app, "Esc");
    assert!(app.layers.is_empty());
    press(&mut app, "T");
    assert_eq!(form(&app).lines()[0].shell_line(), "tasks '--create=lexer' '--goal=goal'");
    press(&mut app, "Ctrl-S");
    finish(&mut app, Err(Error::conflict("there is a task lexer already")));
    assert!(screen(&app).contains("there is a task lexer already"), "{}", screen(&app));
    // Below the receipt lies the form, with what was typed and what was wrong with it.
    press(&mut app, "Esc");
    assert_eq!(form(&app).lines()[0].shell_line(), "tasks '--create=lexer' '--goal=goal'");
    assert!(screen(&app).contains("there is a task lexer already"), "{}", screen(&app));
    press(&mut app, "Esc");
    assert!(app.layers.is_empty());
    press(&mut app, "T");
    assert_eq!(form(&app).lines()[0].shell_line(), "tasks '--create=lexer' '--goal=goal'");
    press(&mut app, "Ctrl-S");
    finish(&mut app, Ok(done()));
    press(&mut app, "Esc T");
    assert_eq!(form(&app).lines()[0].shell_line(), "tasks", "it is done");
    write(&mut app, "x");
    press(&mut app, "Ctrl-R");
    assert_eq!(form(&app).lines()[0].shell_line(), "tasks");
}

#[test]
fn a_failure_that_nobody_waited_for_is_said_when_its_form_is_opened_again() {
    let mut app = app(80, 24);
    press(&mut app, "B");
    write(&mut app, "12");
    press(&mut app, "Ctrl-S j");
    finish(&mut app, Ok(Report { exit_code: 3, prose: "blocked: --max-nudges is not yours".into(), ..done() }));
    assert!(app.layers.is_empty(), "who has gone on is not called back");
    press(&mut app, "k B");
    assert_eq!(form(&app).refused.as_ref().and_then(|fault| fault.entry), Some(1), "{:?}", form(&app).refused);
    assert!(screen(&app).contains("blocked: --max-nudges is not yours"), "{}", screen(&app));
    press(&mut app, "Ctrl-U");
    assert!(!screen(&app).contains("is not yours"));
}

#[test]
fn a_criterion_whose_act_failed_comes_back_as_its_form_and_not_as_the_box() {
    let mut app = app(80, 24);
    press(&mut app, "2");
    update(&mut app, Msg::Criteria("task-parser".into(), Ok(shown_criteria())));
    press(&mut app, "e +");
    write(&mut app, "it is fast");
    press(&mut app, "Ctrl-S");
    finish(&mut app, Err(Error::refused("--rationale is missing")));
    press(&mut app, "Esc");
    assert_eq!(form(&app).entries[form(&app).focus].label, "why");
    assert!(screen(&app).contains("it is fast"), "{}", screen(&app));
    press(&mut app, "Esc");
    assert!(matches!(app.layers.last(), Some(Layer::Criteria(_))));
}

#[test]
fn a_draft_is_about_what_was_selected() {
    let mut app = app(80, 24);
    press(&mut app, "B");
    write(&mut app, "12");
    press(&mut app, "Esc");
    app.fleet.list.id = Some("session-w2".into());
    press(&mut app, "B");
    assert_eq!(form(&app).lines()[0].shell_line(), "manager-config -- cli");
    press(&mut app, "Esc");
    app.fleet.list.id = Some("session-w1".into());
    press(&mut app, "B");
    assert_eq!(form(&app).lines()[0].shell_line(), "manager-config '--max-nudges=12' -- parser");
}

#[test]
fn a_name_that_is_completed_is_seen_before_it_is_sent() {
    for submit in ["Enter", "Ctrl-S"] {
        let mut app = app(80, 24);
        press(&mut app, ":");
        write(&mut app, "deregister");
        press(&mut app, "Enter Ctrl-U");
        write(&mut app, "2");
        assert!(press(&mut app, submit).is_empty(), "{submit}");
        let shown = form(&app).lines()[0].shell_line();
        assert!(shown == "deregister -- w2" || shown == "deregister -- m2", "{shown}");
        let sent = shown.replace(" -- ", " '--expect=none' -- ");
        assert!(screen(&app).contains(&format!("runs: conveyor {sent}")), "{}", screen(&app));
        assert!(press(&mut app, submit).is_empty(), "it asks first");
        assert!(screen(&app).contains("It runs on, but nobody watches it"), "{}", screen(&app));
        assert_eq!(lines(&press(&mut app, "y")), [format!("conveyor {sent}")]);
    }
}

#[test]
fn a_context_is_cleared_only_after_its_danger_was_told() {
    let mut app = app(80, 24);
    press(&mut app, ":");
    write(&mut app, "clear");
    assert!(screen(&app).contains("clear a worker's context: it forgets all of it"), "{}", screen(&app));
    press(&mut app, "Enter");
    let line = "request-worker-compact --clear --no-wait -- parser";
    assert_eq!(form(&app).lines()[0].shell_line(), line);
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("It forgets everything") && screen(&app).contains("undone"), "{}", screen(&app));
    assert!(press(&mut app, "n").is_empty(), "its form is there again");
    assert_eq!(form(&app).lines()[0].shell_line(), line);
    let sent = lines(&press(&mut app, "Ctrl-S y"));
    assert!(sent.len() == 1 && sent[0].starts_with("conveyor request-worker-compact --clear --no-wait"), "{sent:?}");
    // To ask for a handoff first clears nothing, and asks nothing.
    press(&mut app, ":");
    write(&mut app, "clear");
    press(&mut app, "Enter Tab Space");
    let sent = lines(&press(&mut app, "Enter"));
    assert!(sent.len() == 1 && sent[0].contains("--prompt-only"), "{sent:?}");
}

#[test]
fn a_draft_of_a_binding_is_about_the_task_that_was_selected() {
    let mut app = loose(80, 24);
    let mut two = app.board().unwrap().clone();
    let mut spare = two.tasks.iter().find(|row| row.task.name == "docs").unwrap().clone();
    (spare.task.id, spare.task.name) = ("task-spare".into(), "spare".into());
    two.tasks.push(spare);
    update(&mut app, Msg::Board(Ok(two)));
    app.fleet.list.id = Some("task-docs".into());
    press(&mut app, "b Tab Ctrl-U");
    write(&mut app, "nobody");
    press(&mut app, "Esc");
    app.fleet.list.id = Some("task-spare".into());
    press(&mut app, "b");
    assert_eq!(form(&app).lines()[0].shell_line(), "bind '--task=spare' '--worker=w3' '--manager=m3'");
    press(&mut app, "Esc");
    app.fleet.list.id = Some("task-docs".into());
    press(&mut app, "b");
    assert_eq!(form(&app).lines()[0].shell_line(), "bind '--task=docs' '--worker=nobody' '--manager=m3'");
}

#[test]
fn adopting_lists_what_runs_and_takes_what_is_checked() {
    let mut app = app(100, 30);
    let effects = press(&mut app, "D");
    assert_eq!(effects, [Effect::Load(Load::Unregistered)]);
    assert!(screen(&app).contains("looking"));
    assert!(press(&mut app, "Ctrl-S").is_empty());
    update(&mut app, Msg::Unregistered(Ok(unregistered())));
    let frame = screen(&app);
    assert!(frame.contains("[ ] /home/me/lexer  Make the lexer faster"), "{frame}");
    assert!(frame.contains("tmux work") && frame.contains("found by its open rollout, its screen"), "{frame}");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("nothing is checked"), "{}", screen(&app));
    press(&mut app, "Down Space");
    let of = |id: &str| {
        format!(
            "conveyor discover '--limit=10' --adopt '--thread=019a2b3c-0000-7000-8000-00000000000{id}' '--role=manager'"
        )
    };
    press(&mut app, "Tab Space");
    assert!(screen(&app).contains("'--role=manager'"), "{}", screen(&app));
    press(&mut app, "Esc");
    press(&mut app, "D");
    update(&mut app, Msg::Unregistered(Ok(unregistered())));
    assert!(screen(&app).contains("[x] /home/me/docs"), "kept: {}", screen(&app));
    press(&mut app, "Shift-Tab Ctrl-A");
    assert_eq!(lines(&press(&mut app, "Ctrl-S")), [of("a"), of("b")]);

    press(&mut app, "D");
    update(
        &mut app,
        Msg::Unregistered(Ok(Unregistered { sessions: Vec::new(), unknown: vec![UnknownPlace::default()] })),
    );
    let frame = screen(&app);
    assert!(frame.contains("nothing runs here unregistered; one runs whose thread nobody tells"), "{frame}");
}

#[test]
fn a_form_is_offered_when_there_is_something_to_fill_in() {
    let empty = super::fake::empty(80, 24);
    let mut broken = app(80, 24);
    update(&mut broken, Msg::Board(Err(Error::new(crate::base::Kind::Ledger, "broken"))));
    let mut offered = 0;
    for app in [empty, broken, app(80, 24), loose(80, 24), app_with_questions(80, 24)] {
        for subject in Subject::ALL {
            let is_there = fresh(&app, *subject).is_ok();
            assert_eq!(crate::tui::form::is_offered(&app, *subject), is_there, "{subject}");
            offered += usize::from(is_there);
        }
    }
    assert!(offered > 25, "{offered}");
}

#[test]
fn what_cannot_be_filled_in_does_not_open_and_says_why() {
    let mut app = app(80, 24);
    for (key, why) in [("b", "no manager is free"), ("K", "no session is selected"), ("U", "nobody is bound to docs")] {
        app.fleet.list.id = Some("task-docs".into());
        assert!(press(&mut app, key).is_empty());
        assert!(app.layers.is_empty() && screen(&app).contains(why), "{key}: {}", screen(&app));
    }
}

#[test]
fn stopping_and_unbinding_name_their_target_and_ask() {
    let mut app = app(80, 24);
    for (key, words, line) in [
        ("K", "Stop w1? What it asks is cancelled.", "conveyor stop -- w1"),
        ("U", "End the binding of w1 and m1 to parser?", "conveyor unbind '--task=parser' '--expect=none'"),
    ] {
        assert!(press(&mut app, key).is_empty());
        let frame = screen(&app);
        assert!(frame.contains(words) && frame.contains(line), "{frame}");
        assert!(press(&mut app, "n").is_empty() && app.layers.is_empty());
        press(&mut app, key);
        assert_eq!(lines(&press(&mut app, "y")), [line]);
    }
}

/// Every form that opens can be submitted, and its command line means what was filled in.
#[test]
fn every_form_leads_to_the_command_that_its_line_says() {
    let mut app = loose(100, 30);
    app.fleet.list.id = Some("session-w1".into());
    update(&mut app, Msg::Deliveries(Ok(asking())));
    update(&mut app, Msg::Criteria("task-parser".into(), Ok(shown_criteria())));
    for subject in Subject::ALL {
        let mut form = fresh(&app, *subject).unwrap_or_else(|why| panic!("{subject}: {why}"));
        for entry in &mut form.entries {
            let text = match entry.label {
                "nudges" | "seconds" | "byte" | "event" | "cycle" | "terms" => "5",
                "decision" => "6",
                "steps" => "run-tools",
                "pane" => "%7",
                "process" => "4711",
                "more" => r#"{"ticket": 12}"#,
                _ => "text",
            };
            if let Some(field) = entry.control.field()
                && field.text().is_empty()
            {
                field.insert(text, 100);
            }
            if let crate::tui::form::control::Control::Choice(choice) = &mut entry.control
                && entry.required
            {
                choice.step(true);
            }
            if let crate::tui::form::control::Control::Checks(checks) = &mut entry.control {
                checks.rows = Some(vec![crate::tui::form::control::Check {
                    value: "thread".into(),
                    lines: Vec::new(),
                    on: true,
                }]);
            }
        }
        // What one may pick is picked; another name is refused before this.
        for entry in &mut form.entries {
            if let crate::tui::form::control::Control::Pick(picker) = &mut entry.control
                && !picker.is_known()
            {
                let name = picker.candidates.first().expect("something to pick").name.clone();
                picker.set(&name);
            }
        }
        let commands = form.commands().unwrap_or_else(|fault| panic!("{subject}: {fault:?} {:?}", form.lines()));
        let again: Vec<Command> =
            commands.iter().map(|command| Command::parse(&command.argv().words).expect("its own line")).collect();
        assert_eq!(again, commands, "{subject}");
    }
}

#[test]
fn a_form_fits_into_every_size() {
    for (width, height) in [(160, 50), (80, 24), (50, 20), (40, 10), (30, 8)] {
        for key in ["T", "+", "D", "B", "C"] {
            let mut app = loose(width, height);
            app.fleet.list.id = Some("session-w1".into());
            press(&mut app, key);
            if key == "D" {
                update(&mut app, Msg::Unregistered(Ok(unregistered())));
            }
            for _ in 0..9 {
                write(&mut app, "a long text that has to be cut somewhere, whatever the width");
                let cursor_and_frame = screen(&app);
                assert!(width < 80 || cursor_and_frame.contains('>'), "{key} {width}x{height}\n{cursor_and_frame}");
                press(&mut app, "Tab");
            }
        }
    }
}

#[test]
fn what_others_will_see_is_asked_about() {
    let open = |words: &str| {
        let mut app = app(100, 30);
        press(&mut app, "2 :");
        write(&mut app, words);
        press(&mut app, "Enter");
        app
    };
    let mut app = open("closing step");
    press(&mut app, "Space Space Ctrl-S");
    assert!(app.layers.is_empty(), "a draft is nobody's but ours: {}", screen(&app));
    let mut app = open("closing step");
    assert!(press(&mut app, "Space Space Tab Tab Space Ctrl-S").is_empty());
    assert!(screen(&app).contains("Open a pull request for parser? Others will see it."), "{}", screen(&app));
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor epilogue '--step=draft-pr' --open -- parser"]);
}

#[test]
fn a_name_that_an_ended_task_had_is_told_before_it_is_taken_again() {
    let mut app = app(80, 24);
    let mut ended = board();
    let docs = ended.tasks.iter_mut().find(|row| row.task.name == "docs").unwrap();
    docs.task.state = TaskState::Failed;
    docs.task.end = Some(TaskEnd { at: ago(60), by: "operator".into(), reason: "no use".into() });
    update(&mut app, Msg::Board(Ok(ended)));
    press(&mut app, "T");
    write(&mut app, "doc");
    assert!(!screen(&app).contains("there is a task"), "{}", screen(&app));
    write(&mut app, "s");
    let frame = screen(&app);
    assert!(frame.contains("there is a task docs that is stopped already") && frame.contains("task-docs"), "{frame}");
    // An open one of the name is refused when it is created; that is another matter.
    press(&mut app, "Ctrl-U");
    write(&mut app, "parser");
    assert!(!screen(&app).contains("there is a task"), "{}", screen(&app));
    press(&mut app, "Esc 2");
    let row = screen(&app).lines().find(|line| line.contains("docs")).unwrap_or_default().to_owned();
    assert!(row.contains("stopped") && !row.contains("failed"), "{row}");
}

#[test]
fn what_has_happened_in_part_is_not_given_back_to_be_done_again() {
    let interrupted = |outcome: &str, exit_code| {
        let json = json!({"outcome": outcome, "followup": {"queued": false, "command": null}});
        Ok(Report { json, prose: format!("{outcome}: the follow-up was not queued"), exit_code, handover: None })
    };
    let stopped =
        |end| Ok(Report { json: json!({ "end": end }), prose: "parser: exit 1".into(), exit_code: 1, handover: None });
    let kind = |kind| Err(Error::new(kind, "no answer"));
    let end = json!({"at": "now", "by": "operator", "reason": "no use"});
    let cases = [
        (Subject::Interrupt, interrupted("interrupted", 1), false),
        (Subject::Interrupt, interrupted("ended_by_itself", 1), false),
        (Subject::Interrupt, interrupted("unknown", 5), false),
        (Subject::Interrupt, interrupted("refused", 1), true),
        (Subject::Interrupt, kind(Kind::Ambiguous), false),
        (Subject::Interrupt, kind(Kind::Unconfirmed), false),
        (Subject::Interrupt, kind(Kind::Busy), true),
        (Subject::StopTask, stopped(end), false),
        (Subject::StopTask, stopped(json!(null)), true),
    ];
    for (subject, result, comes_back) in cases {
        let told = match &result {
            Ok(report) => format!("{subject}: {}", report.json),
            Err(error) => format!("{subject}: {:?}", error.kind()),
        };
        let mut app = app(100, 40);
        crate::tui::form::keys::open(&mut app, subject, &mut Vec::new());
        write(&mut app, "no use");
        press(&mut app, "Ctrl-S");
        if subject == Subject::StopTask {
            press(&mut app, "y");
        }
        assert!(app.layers.is_empty(), "{told}: {}", screen(&app));
        finish(&mut app, result);
        assert!(matches!(app.layers.last(), Some(Layer::Reader(_))), "its receipt is shown: {told}");
        press(&mut app, "Esc");
        assert_eq!(matches!(app.layers.last(), Some(Layer::Form(_))), comes_back, "{told}");
        assert_eq!(
            app.drafts.of(subject, fresh(&app, subject).unwrap().about.as_deref()).is_some(),
            comes_back,
            "{told}"
        );
    }
}

#[test]
fn an_enter_that_was_meant_for_the_receipt_sends_nothing() {
    let mut app = app(100, 40);
    press(&mut app, "B");
    write(&mut app, "12");
    assert_eq!(lines(&press(&mut app, "Enter")).len(), 1);
    finish(&mut app, Err(Error::refused("--max-nudges is not yours")));
    press(&mut app, "Esc");
    assert!(press(&mut app, "Enter").is_empty(), "the first Enter");
    assert!(screen(&app).contains("--max-nudges is not yours"), "{}", screen(&app));
    assert_eq!(lines(&press(&mut app, "Enter")).len(), 1, "a second one is meant");
    finish(&mut app, Err(Error::refused("--max-nudges is not yours")));
    press(&mut app, "Esc");
    assert_eq!(lines(&press(&mut app, "Ctrl-S")).len(), 1, "so is the key that sends");
}

#[test]
fn in_the_place_of_the_selected_task_no_other_is_filled_in() {
    for subject in [Subject::WorkerAck, Subject::Decide, Subject::Clear, Subject::StopTask, Subject::Handoff] {
        let mut app = app(110, 40);
        let mut board = board();
        let mut other = board.tasks.iter().find(|row| row.task.id == "task-parser").unwrap().clone();
        other.task.id = "task-other".into();
        other.task.name = "other".into();
        board.tasks.retain(|row| row.task.id == "task-parser");
        board.tasks[0].task.state = TaskState::Done;
        board.tasks.push(other);
        update(&mut app, Msg::Board(Ok(board)));
        press(&mut app, "2");
        let selected = crate::tui::form::selected_task(&app).map(|row| row.task.name.clone());
        assert_eq!(selected.as_deref(), Some("parser"), "{subject}");
        let form = fresh(&app, subject).unwrap();
        assert_eq!((form.entries[0].label, form.entries[0].control.value()), ("task", ""), "{subject}");
        assert_eq!(form.focus, 0, "the keyboard begins there");
    }
}
