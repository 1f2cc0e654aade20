//! The terms of a task in plain words, and the form that changes them.

use serde_json::json;

use super::fake::{ago, app, finish, lines, no_policy, policy, press, screen, write};
use crate::{
    actions::{Report, TaskPolicy},
    base::Error,
    model::{
        supervision::{NudgeOnCompletion, Permission},
        task::TaskState,
    },
    tui::{
        app::update,
        form::{Subject, fresh},
        layer::Layer,
        message::{Effect, Load, Msg},
    },
};

const TASK: &str = "task-parser";

#[test]
fn the_terms_in_force_are_told_in_plain_words() {
    let mut app = app(160, 50);
    let effects = press(&mut app, "2 P");
    assert!(effects.contains(&Effect::Load(Load::Policy(TASK.into()))), "{effects:?}");
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    let shown = screen(&app);
    for text in [
        "terms of revision 4, changed 1h56 ago by the operator's shell",
        "mode: strict",
        "recipe: ship-it-loop",
        "  speak with its worker, always",
        "  open a pull request (repo.open_pr)",
        "  have its worker compact its context (worker_session.compact)",
        "  repo: merge_green_pr, monitor_ci, push_branch, resolve_conflicts",
        "  worker_session: clear, interrupt, stop",
        "  verification: run_cargo",
        "nudges: 3 of 20 used, 17 left",
        "when the worker has finished: a reviewer judges the proposals (auto-review)",
        "reviewer: /usr/bin/python3 /opt/review.py, confined, for at most 300 s",
        "it reads /opt/review.py; reaches api.example.org:443; is given MODEL_KEY of your variables",
        "acknowledgements: required",
        "worker: said 1h40 ago, does not hold: said about other terms",
        "manager: nothing was said",
        "to finish the task (F on the Task screen shows how each stands)",
        "closing step: run-tools",
        "evidence: test_output",
        "satisfied: every recorded file parses",
        "recorded the decision to stop",
        "cargo test",
        "conveyor manager-config -- parser",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'));
    assert_eq!(lines(&press(&mut app, "Y")), ["copy conveyor manager-config -- parser"]);
    assert_eq!(press(&mut app, "r"), [Effect::Load(Load::Policy(TASK.into()))]);
    assert!(press(&mut app, "Esc").is_empty() && app.layers.is_empty());
    // An answer that comes late is dropped.
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    assert!(app.layers.is_empty());
}

#[test]
fn the_lists_of_the_terms_are_written_a_line_each() {
    let mut app = app(100, 40);
    press(&mut app, "2 P");
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    press(&mut app, "w Tab Tab Tab Tab");
    write(&mut app, "cargo test");
    press(&mut app, "Ctrl-J");
    write(&mut app, "cargo clippy");
    press(&mut app, "Tab");
    write(&mut app, "run-all");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("invalid value 'run-all' for '--epilogue"), "{}", screen(&app));
    press(&mut app, "Ctrl-U");
    write(&mut app, "run-tools");
    press(&mut app, "Tab Tab Space");
    let sent = lines(&press(&mut app, "Ctrl-S"));
    assert_eq!(sent.len(), 1, "{sent:?}");
    for words in ["'--tool=cargo test' '--tool=cargo clippy'", "--epilogue=run-tools", "--unset=objective", "-- parser"]
    {
        assert!(sent[0].contains(words), "{words}: {sent:?}");
    }
    // What stands there now is not sent again: an acceptance text would be asked for anew.
    assert!(!sent[0].contains("--acceptance") && !sent[0].contains("--guideline"), "{sent:?}");
}

#[test]
fn that_nothing_was_set_or_cannot_be_known_is_said() {
    let mut app = app(80, 24);
    press(&mut app, "2 P");
    update(&mut app, Msg::Policy("task-other".into(), Ok(policy())));
    assert!(screen(&app).contains("looking"), "{}", screen(&app));
    update(&mut app, Msg::Policy(TASK.into(), Ok(no_policy())));
    assert!(screen(&app).contains("no terms were set"), "{}", screen(&app));
    update(&mut app, Msg::Policy(TASK.into(), Err(Error::refused("the ledger is gone"))));
    assert!(screen(&app).contains("the ledger is gone"), "{}", screen(&app));
}

#[test]
fn a_low_screen_shows_all_of_them_in_pages() {
    let mut app = app(50, 20);
    press(&mut app, "2 P");
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    assert!(!screen(&app).contains("the same headless"));
    press(&mut app, "PgDn PgDn PgDn PgDn PgDn PgDn");
    assert!(screen(&app).contains("the same headless"), "{}", screen(&app));
    press(&mut app, "PgUp PgUp PgUp PgUp PgUp PgUp");
    assert!(screen(&app).contains("terms of revision 4"), "{}", screen(&app));
}

#[test]
fn who_judges_is_said_as_it_will_be() {
    let told = |change: &dyn Fn(&mut TaskPolicy)| {
        let mut app = app(160, 50);
        press(&mut app, "2 P");
        let mut known = policy();
        change(&mut known);
        update(&mut app, Msg::Policy(TASK.into(), Ok(known)));
        screen(&app)
    };
    let shown = told(&|known| known.reviewer = None);
    assert!(shown.contains("a reviewer judges the proposals; no reviewer is set"), "{shown}");
    assert!(shown.contains("reviewer: none"), "{shown}");
    let shown = told(&|known| known.terms.permissions = [Permission::OpenPr].into_iter().collect());
    assert!(shown.contains("context.spawn_reviewer is not"), "{shown}");
    let shown = told(&|known| known.reviewer = Some(Err("no field `timeout`".into())));
    assert!(shown.contains("cannot be read, so you are asked: no field `timeout`"), "{shown}");
    let shown = told(&|known| known.terms.nudge_on_completion = NudgeOnCompletion::Off);
    assert!(shown.contains("nothing follows (off)"), "{shown}");
    let shown = told(&|known| known.terms.permissions = Permission::ALL.iter().copied().collect());
    assert!(!shown.contains("may not"), "{shown}");
}

#[test]
fn what_is_shown_is_looked_up_anew_when_the_ledger_or_a_command_says_so() {
    let mut app = app(80, 24);
    let load = Effect::Load(Load::Policy(TASK.into()));
    press(&mut app, "2 P");
    let board = super::fake::board();
    let asked = |effects: Vec<Effect>| effects.contains(&load);
    // An answer to an older question may be from before the change: it is asked again, once.
    for _ in 0..2 {
        assert!(!asked(update(&mut app, Msg::Board(Ok(board.clone())))), "it is being looked up");
    }
    assert!(asked(update(&mut app, Msg::Policy(TASK.into(), Ok(policy())))));
    assert!(!asked(update(&mut app, Msg::Policy(TASK.into(), Ok(policy())))));
    assert!(asked(update(&mut app, Msg::Board(Ok(board.clone())))));
    update(&mut app, Msg::Policy(TASK.into(), Ok(no_policy())));
    assert!(screen(&app).contains("no terms were set"), "{}", screen(&app));
    // Below a form, too.
    press(&mut app, "e");
    assert!(asked(update(&mut app, Msg::Board(Ok(board.clone())))));
    press(&mut app, "Esc Esc");
    assert!(app.layers.is_empty());
    assert!(!asked(update(&mut app, Msg::Board(Ok(board)))));
}

#[test]
fn the_terms_of_a_task_that_has_ended_are_shown_and_not_changed() {
    let mut app = app(80, 24);
    let mut ended = super::fake::board();
    ended.tasks.iter_mut().find(|row| row.task.id == TASK).unwrap().task.state = TaskState::Done;
    update(&mut app, Msg::Board(Ok(ended)));
    press(&mut app, "2 P");
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    let shown = screen(&app);
    assert!(shown.contains("terms of revision 4") && !shown.contains("e change"), "{shown}");
    press(&mut app, "e");
    assert!(matches!(app.layers.as_slice(), [Layer::Policy(_)]), "no form");
}

fn report(exit_code: u8, json: serde_json::Value) -> Report {
    Report { json, prose: "Selected recipe: ...".into(), exit_code, handover: None }
}

#[test]
fn a_recipe_is_stored_after_a_yes_to_what_it_comes_to() {
    let asks = json!({"confirmation": {"locked_summary": "Mode: strict\nNudges: 20\nUser confirmed: no"}});
    let submitted = |more: Option<&str>| {
        let mut app = app(100, 30);
        press(&mut app, "2 P");
        update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
        press(&mut app, "e Tab Space Ctrl-S");
        if let Some(key) = more {
            press(&mut app, key);
        }
        finish(&mut app, Ok(report(3, asks.clone())));
        update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
        app
    };
    let mut app = submitted(None);
    let shown = screen(&app);
    for text in ["Store these terms for parser?", "Mode: strict", "Nudges: 20", "--confirm -- parser"] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(!shown.contains("User confirmed"), "{shown}");
    // It came by itself: a key that was on its way to something else is no yes.
    assert!(shown.contains("y works in a moment"), "{shown}");
    assert!(press(&mut app, "y").is_empty() && matches!(app.layers.last(), Some(Layer::Confirm { .. })));
    assert!(screen(&app).contains("has only just come up"), "{}", screen(&app));
    update(&mut app, Msg::Tick(ago(-1)));
    assert!(screen(&app).contains("y yes"), "{}", screen(&app));
    let sent = lines(&press(&mut app, "y"));
    assert!(
        sent.len() == 1 && sent[0].contains("--confirm") && sent[0].contains("--recipe"),
        "{sent:?}\n{}",
        screen(&app)
    );
    // Its receipt lies above the terms, which are looked up anew.
    let effects = finish(&mut app, Ok(report(0, json!({}))));
    assert!(effects.contains(&Effect::Load(Load::Policy(TASK.into()))), "{effects:?}");
    assert!(matches!(app.layers.as_slice(), [Layer::Policy(_), Layer::Reader(_)]), "{:?}", app.layers);
    // A no stores nothing, and the form comes back as it was.
    let mut app = submitted(None);
    assert!(press(&mut app, "n").is_empty());
    press(&mut app, "e");
    assert!(screen(&app).contains("'--recipe="), "{}", screen(&app));
    // Nobody who does something else meanwhile says yes by accident.
    let mut app = submitted(Some("j"));
    assert!(!app.layers.iter().any(|layer| matches!(layer, Layer::Confirm { .. })), "{:?}", app.layers);
    assert!(press(&mut app, "y").is_empty());
    // That is no failure: its receipt says what it waits for, and asks when it is opened.
    assert!(!screen(&app).contains("failed:"), "{}", screen(&app));
    assert_eq!(app.receipts.unseen_failures(super::fake::NOW), 0);
    press(&mut app, "Esc L");
    assert!(screen(&app).contains("waits for your yes"), "{}", screen(&app));
    press(&mut app, "Enter");
    assert!(screen(&app).contains("Store these terms for parser?"), "{}", screen(&app));
    let sent = lines(&press(&mut app, "y"));
    assert!(sent.len() == 1 && sent[0].contains("--confirm"), "{sent:?}");
    assert!(screen(&app).contains("you said yes"), "{}", screen(&app));
    press(&mut app, "j Enter");
    assert!(matches!(app.layers.last(), Some(Layer::Reader(_))), "it is not asked twice: {:?}", app.layers);
}

#[test]
fn what_the_form_would_change_is_shown_as_it_is_now() {
    let mut app = app(100, 30);
    press(&mut app, "2 P");
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    press(&mut app, "e");
    let shown = screen(&app);
    for now in ["recipe    as it is: ship-it-loop", "mode      as it is: strict", "nudges    as it is: 20"] {
        assert!(shown.contains(now), "{now}\n{shown}");
    }
    // What is chosen stands there alone.
    press(&mut app, "Tab Tab Space");
    assert!(screen(&app).contains("< light >"), "{}", screen(&app));
    // From elsewhere they are looked up, and belong to their task alone.
    let mut app = super::fake::app(100, 30);
    press(&mut app, "2");
    let mut effects = Vec::new();
    crate::tui::form::keys::open(&mut app, Subject::Terms, &mut effects);
    assert!(effects.contains(&Effect::Load(Load::Policy(TASK.into()))), "{effects:?}");
    assert!(!screen(&app).contains("as it is: strict"));
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    assert!(screen(&app).contains("as it is: strict"), "{}", screen(&app));
    press(&mut app, "Ctrl-U");
    write(&mut app, "cli");
    assert!(!screen(&app).contains("as it is: strict"), "{}", screen(&app));
}

#[test]
fn the_form_changes_them_and_shows_its_command_line() {
    let mut app = app(100, 30);
    press(&mut app, "2 P");
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    press(&mut app, "e");
    assert!(matches!(app.layers.as_slice(), [Layer::Policy(_), Layer::Form(form)] if form.subject == Subject::Terms));
    press(&mut app, "Tab Tab Space Space Space Tab");
    // What it may do already is not offered first.
    assert!(!screen(&app).contains("allowed now"), "{}", screen(&app));
    write(&mut app, "repo.push_branch");
    press(&mut app, "Tab");
    assert!(screen(&app).contains("context.spawn_reviewer  allowed now"), "{}", screen(&app));
    write(&mut app, "compact");
    press(&mut app, "Tab");
    write(&mut app, "12");
    press(&mut app, "Tab Tab Space Space");
    let shown = screen(&app);
    assert!(shown.contains("--mode=strict") && shown.contains("--permit=repo.push_branch"), "{shown}");
    assert_eq!(
        lines(&press(&mut app, "Ctrl-S")),
        ["conveyor manager-config '--mode=strict' '--permit=repo.push_branch' \
             '--permissions-json={\"worker_session.compact\":false}' '--max-nudges=12' '--unset=require-acks' -- parser"]
    );
}

/// What the interview of `manager-config --questions` asks can be said in the forms over the terms.
#[test]
fn every_question_of_the_interview_has_a_field() {
    let app = app(160, 50);
    let entries = [Subject::Terms, Subject::Contract].map(|subject| fresh(&app, subject).unwrap().entries);
    let flags: Vec<String> = entries.iter().flatten().map(|entry| format!("{:?}", entry.flag)).collect();
    for flag in ["--mode", "--objective", "--guideline", "--acceptance", "--permit", "--permissions-json"] {
        assert!(flags.iter().any(|known| known.contains(&format!("\"{flag}\""))), "{flag} is in no form: {flags:?}");
    }
}
