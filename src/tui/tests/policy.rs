//! The terms of a task in plain words, and the form that changes them.

use super::fake::{app, lines, no_policy, policy, press, screen, write};
use crate::{
    base::Error,
    tui::{
        app::update,
        form::Subject,
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
        "may repo: open_pr",
        "may not repo: merge_green_pr, monitor_ci, push_branch, resolve_conflicts",
        "may worker_session: compact",
        "may not worker_session: clear, interrupt, stop",
        "may not verification: run_cargo",
        "nudges: 3 of 20 used, 17 left",
        "no reviewer is set, so you are asked (auto-review)",
        "acknowledgements: required",
        "worker: said 1h40 ago, does not hold: said about other terms",
        "manager: nothing was said",
        "run-tools",
        "test_output",
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
fn the_form_changes_them_and_shows_its_command_line() {
    let mut app = app(100, 30);
    press(&mut app, "2 P");
    update(&mut app, Msg::Policy(TASK.into(), Ok(policy())));
    press(&mut app, "e");
    assert!(matches!(app.layers.as_slice(), [Layer::Form(form)] if form.subject == Subject::Terms));
    press(&mut app, "Tab Tab Tab Space Space Space Tab");
    write(&mut app, "repo.push_branch");
    press(&mut app, "Tab Space Tab");
    write(&mut app, "12");
    let shown = screen(&app);
    assert!(shown.contains("--mode=strict") && shown.contains("--permit=repo.push_branch"), "{shown}");
    assert_eq!(
        lines(&press(&mut app, "Ctrl-S")),
        ["conveyor manager-config '--mode=strict' '--permit=repo.push_branch' \
             '--permissions-json={\"communication.comment_on_pr\":false}' '--max-nudges=12' -- parser"]
    );
}
