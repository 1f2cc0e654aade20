//! Finishing a task by keys: every gate is shown first, and nothing is done while one is not met.

use serde_json::json;

use super::fake::{
    app, finish, lines, nudge, press, put, quiet, record, review, reviewed, screen, shown_criteria, write,
};
use crate::{
    actions::{Command, Deliveries, EndArgs, PutToOperator, Report, TaskReview},
    base::{Error, Timestamp},
    model::{
        counts::Counts,
        deliveries::{CommandRow, LeftOver},
        delivery::Phase,
        session::Registration,
        state::{Condition, Judgement, Source},
        supervision::{DecisionFault, Gate, GateCheck, Standing, Wants},
    },
    tui::{
        app::update,
        ending::{left_over, questions_left, turns},
        layer::Layer,
        message::{Effect, Load, Msg},
    },
};

/// The task that is selected first.
const TASK: &str = "task-parser";

/// The question of this number how the task stands that ends without more being said.
fn asks(number: u64) -> Effect {
    Effect::Load(Load::Review(number, TASK.into(), EndArgs::default()))
}

fn answer(app: &mut crate::tui::app::App, is_met: bool) {
    reviewed(app, Ok(review(is_met)));
}

#[test]
fn a_task_is_finished_only_when_every_gate_was_shown_as_met() {
    let mut app = app(80, 24);
    let effects = press(&mut app, "2 F");
    assert!(effects.contains(&asks(1)), "{effects:?}");
    assert!(screen(&app).contains("looking at every gate"));
    // Nothing is known yet, then something is in the way.
    assert!(press(&mut app, "y").is_empty());
    answer(&mut app, false);
    let shown = screen(&app);
    for text in
        ["criteria: not met", "#2 is open", "acknowledgements: not met", "manager: nothing was said", "permission: ok"]
    {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert!(press(&mut app, "PgDn PgDn y").is_empty());
    assert!(screen(&app).contains("not every gate is met"));
    // What is not offered does nothing that would be seen only later.
    press(&mut app, "w m");
    // Looked at again, all is well.
    assert_eq!(press(&mut app, "r"), [asks(2)]);
    assert!(press(&mut app, "y").is_empty(), "what was seen before does not count");
    answer(&mut app, true);
    press(&mut app, "w m m");
    assert!(screen(&app).contains("conveyor finish-task --stop-worker '--expect=none' -- parser"), "{}", screen(&app));
    let effects = press(&mut app, "PgDn y");
    let [Effect::Submit(Command::FinishTask(finish))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((finish.task.as_str(), finish.end.stop_worker, finish.end.stop_manager), ("parser", true, false));
    assert!(app.layers.is_empty());
}

#[test]
fn a_missing_acknowledgement_is_made_from_the_gates() {
    let mut app = app(80, 24);
    press(&mut app, "2 F");
    answer(&mut app, false);
    let shown = screen(&app).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("press R, and there w for the worker or m for the manager"), "{shown}");
    assert_eq!(press(&mut app, "R"), [Effect::Load(Load::Record(TASK.into()))]);
    update(&mut app, Msg::Record(TASK.into(), Ok(record())));
    press(&mut app, "m");
    assert!(screen(&app).contains("acknowledge the terms for the manager"), "{}", screen(&app));
    // Back at the gates they are looked at anew.
    assert_eq!(press(&mut app, "Esc Esc"), [asks(2)]);
    assert!(matches!(app.layers.last(), Some(Layer::Finish(_))), "{:?}", app.layers);
}

/// A code says nothing to who has not read the program.
#[test]
fn a_gate_that_is_not_met_says_so_in_words_and_names_the_key_that_leads_on() {
    let mut app = app(160, 50);
    press(&mut app, "2 F");
    let gate = |gate, code: &str, words: &str| {
        GateCheck::worded(gate, Wants::Terms, vec![(code.to_owned(), words.to_owned())])
    };
    let fault = DecisionFault::NotFound;
    let gates = vec![
        gate(Gate::Decision, fault.as_str(), fault.words()),
        gate(
            Gate::Epilogue,
            "record-handoff: stale_worker_handoff",
            "record-handoff: the handoff is from another binding",
        ),
        gate(Gate::Permission, "moved", "the binding was changed while it was looked at"),
    ];
    reviewed(&mut app, Ok(TaskReview { gates }));
    let shown = screen(&app);
    for words in [
        "there is no decision of this number",
        "press R, and there d to decide that it stops; then name that decision's number here",
        "press R, and there h to hand over for the worker",
        "press r: it is looked at again",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    assert!(!shown.contains("decision_not_found") && !shown.contains("stale_worker_handoff"), "{shown}");
    // The step itself is chosen in the palette.
    reviewed(&mut app, Ok(TaskReview { gates: vec![gate(Gate::Epilogue, "never", "run-tools: it was never run")] }));
    assert!(screen(&app).contains("then : and choose: run a closing step of a task"), "{}", screen(&app));
}

#[test]
fn a_gate_at_which_nothing_was_asked_for_says_so_and_a_session_that_has_ended_does_not_go_on() {
    let mut app = app(160, 50);
    press(&mut app, "2 F");
    let mut seen = review(true);
    seen.gates[1] = seen.gates[1].clone().unopposed(Standing::NothingAsked);
    reviewed(&mut app, Ok(seen));
    let shown = screen(&app);
    assert!(shown.contains("criteria: none asked for") && shown.contains("permission: ok"), "{shown}");
    assert!(shown.contains("Worker w1 goes on, manager m1 goes on."), "{shown}");
    let mut board = super::fake::board();
    let worker = board.sessions.iter_mut().find(|row| row.name == "w1").unwrap();
    worker.registration = Registration::Gone;
    update(&mut app, Msg::Board(Ok(board)));
    assert!(screen(&app).contains("Worker w1 is gone already, manager m1 goes"), "{}", screen(&app));
}

#[test]
fn who_leaves_the_gates_has_done_nothing_and_an_answer_that_comes_late_is_dropped() {
    let mut app = app(80, 24);
    press(&mut app, "2 F");
    assert!(press(&mut app, "Esc").is_empty() && app.layers.is_empty());
    answer(&mut app, true);
    assert!(app.layers.is_empty());
    press(&mut app, "F");
    reviewed(&mut app, Err(Error::refused("git is stuck")));
    assert!(screen(&app).contains("git is stuck"));
    assert!(press(&mut app, "y").is_empty());
    assert!(matches!(app.layers.last(), Some(Layer::Finish(_))));
}

#[test]
fn nobody_finishes_a_task_on_a_screen_that_does_not_show_it_all() {
    let mut app = app(50, 12);
    press(&mut app, "2 F");
    answer(&mut app, true);
    assert!(press(&mut app, "y").is_empty(), "{}", screen(&app));
    assert!(screen(&app).contains("works at the end"), "{}", screen(&app));
    assert_eq!(press(&mut app, "PgDn PgDn PgDn PgDn PgDn PgDn y").len(), 1);
}

#[test]
fn the_task_screen_asks_for_proofs_when_another_task_is_shown_and_shows_them() {
    let mut app = app(160, 50);
    let asks =
        |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Load(Load::Criteria(_)))).count();
    let effects = press(&mut app, "2");
    assert_eq!(asks(&effects), 1, "{effects:?}");
    assert_eq!(asks(&press(&mut app, "Tab Tab")), 0, "once");
    press(&mut app, "Tab Tab");
    update(&mut app, Msg::Criteria(TASK.into(), Ok(shown_criteria())));
    let shown = screen(&app);
    for text in [
        "criteria and proofs",
        "#1 satisfied: every recorded file parses",
        "proof: `cargo test` ended",
        "claim: event 41",
    ] {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    // What belongs to another task is not shown.
    update(&mut app, Msg::Criteria("task-other".into(), Ok(shown_criteria())));
    assert!(!screen(&app).contains("criteria and proofs"));
}

#[test]
fn over_a_yes_deliveries_are_stopped_and_not_let_go_on() {
    let paused = |keys: &str| {
        let mut app = app(160, 50);
        press(&mut app, keys);
        answer(&mut app, true);
        let mut deliveries = super::fake::busy();
        deliveries.health.paused = true;
        update(&mut app, Msg::Deliveries(Ok(deliveries)));
        app
    };
    for keys in ["2 F", "K"] {
        let mut app = paused(keys);
        let depth = app.layers.len();
        let footer = screen(&app).lines().last().unwrap_or_default().to_owned();
        assert!(!footer.contains("pause all") && !footer.contains("deliver again"), "{footer}");
        assert!(press(&mut app, "S Ctrl-X").is_empty() && app.layers.len() == depth, "{:?}", app.layers);
        assert!(screen(&app).contains("to go on close this first"), "{}", screen(&app));
    }
    // Everywhere else the key says what it does.
    for keys in ["2 P", "2 e", "x"] {
        let mut app = paused(keys);
        let frame = screen(&app);
        assert!(frame.contains("S deliver again") && !frame.contains("pause all"), "{keys}: {frame}");
        assert!(press(&mut app, "S").is_empty() && screen(&app).contains("Deliver again?"), "{keys}");
    }
}

/// So many messages wait for the task, of which these are named.
fn left(taken_back: u64, examples: Vec<CommandRow>) -> Deliveries {
    let left = LeftOver { task_id: TASK.into(), taken_back, examples, ..LeftOver::default() };
    Deliveries { left: vec![left], ..quiet() }
}

#[test]
fn the_end_of_a_task_says_which_messages_it_takes_back_before_it_does() {
    let mut app = app(80, 24);
    press(&mut app, "2 F");
    answer(&mut app, true);
    assert!(screen(&app).contains("No message waits for it."), "{}", screen(&app));
    // It reads on while it is open.
    let one = left(1, vec![nudge(1, Phase::Queued, 5, "one")]);
    update(&mut app, Msg::Deliveries(Ok(one)));
    let told = |app: &crate::tui::app::App| left_over(app, TASK);
    assert_eq!(told(&app), "1 message still waits and is taken back, never to arrive: nudge to w1 from you.");
    assert!(screen(&app).contains("1 message still waits and is taken back"), "{}", screen(&app));
    let manager = CommandRow { created_by: "manager".into(), ..nudge(4, Phase::Claimed, 2, "four") };
    // As many as are counted, whatever is named or listed; another task's do not count.
    let mut several = left(263, vec![nudge(1, Phase::Queued, 5, "one"), nudge(2, Phase::Queued, 5, "two"), manager]);
    (several.left[0].reports, several.left[0].under_way) = (2, 1);
    several.left.push(LeftOver { task_id: "task-cli".into(), taken_back: 9, ..LeftOver::default() });
    update(&mut app, Msg::Deliveries(Ok(several)));
    let wanted = "263 messages still wait and are taken back, never to arrive: nudge to w1 from you, nudge to w1 from you, \
                  nudge to w1 and 260 more. 2 reports that nobody has read are put away. 1 message is on the way already \
                  and may still arrive.";
    assert_eq!(told(&app), wanted);
    update(&mut app, Msg::Deliveries(Err(Error::refused("no"))));
    assert!(told(&app).contains("is not known now"));
}

#[test]
fn the_end_of_a_task_says_which_questions_to_the_operator_stay_open() {
    let mut app = app(80, 24);
    press(&mut app, "2 F");
    answer(&mut app, true);
    assert!(!screen(&app).contains("question"), "{}", screen(&app));
    update(&mut app, Msg::Deliveries(Ok(Deliveries { questions: vec![put()], ..quiet() })));
    press(&mut app, "PgDn");
    assert!(screen(&app).contains("1 question to you about it stays open"), "{}", screen(&app));
    let another = PutToOperator { id: 9, ..put() };
    let elsewhere = PutToOperator { id: 10, task_id: "task-cli".into(), ..put() };
    let questions = vec![put(), another, elsewhere];
    update(&mut app, Msg::Deliveries(Ok(Deliveries { questions, ..quiet() })));
    let told = questions_left(&app, TASK).unwrap();
    assert!(told.starts_with("2 questions to you about it stay open"), "{told}");
    press(&mut app, "Esc F");
    answer(&mut app, false);
    press(&mut app, "x");
    super::fake::write(&mut app, "no use");
    press(&mut app, "Ctrl-S");
    let Some(Layer::Confirm { question, .. }) = app.layers.last() else { panic!("{}", screen(&app)) };
    assert!(question.contains("2 questions to you about it stay open"), "{question}");
}

#[test]
fn the_end_of_a_binding_counts_what_it_gives_up_and_counts_on() {
    let mut app = app(80, 24);
    press(&mut app, "2 U");
    let shown = |app: &crate::tui::app::App| match app.layers.last() {
        Some(Layer::Confirm { question, .. }) => question.clone(),
        _ => panic!("{}", screen(app)),
    };
    let asked = shown(&app);
    assert!(asked.starts_with("End the binding of w1 and m1 to parser? No message waits to go through it."), "{asked}");
    let mut waiting = left(0, Vec::new());
    waiting.left[0].bound = 262;
    update(&mut app, Msg::Deliveries(Ok(waiting)));
    assert!(shown(&app).contains("262 messages that wait to go through it are given up."), "{}", shown(&app));
    assert!(press(&mut app, "y").is_empty(), "a yes on its way was meant for what stood there before");
    update(&mut app, Msg::Deliveries(Err(Error::refused("no"))));
    assert!(shown(&app).contains("how many that are is not known now"), "{}", shown(&app));
}

/// A newcomer's reason for stopping was taken for keys, and the task was finished as done.
#[test]
fn a_task_whose_gates_are_met_can_be_stopped_undone_too() {
    let mut app = app(80, 24);
    press(&mut app, "2 F");
    answer(&mut app, true);
    assert!(screen(&app).contains("x stop the task instead"), "{}", screen(&app));
    press(&mut app, "x");
    super::fake::write(&mut app, "not needed");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    assert!(screen(&app).contains("recorded as stopped, not as done"), "{}", screen(&app));
}

#[test]
fn a_task_is_stopped_after_the_same_words() {
    let mut app = app(80, 24);
    let waiting = left(1, vec![nudge(1, Phase::Queued, 5, "one")]);
    update(&mut app, Msg::Deliveries(Ok(waiting)));
    press(&mut app, "2 F");
    answer(&mut app, false);
    press(&mut app, "x");
    super::fake::write(&mut app, "no use");
    assert!(press(&mut app, "Ctrl-S").is_empty());
    let frame = screen(&app);
    assert!(frame.contains("recorded as stopped, not as done") && frame.contains("1 message still waits"), "{frame}");
}

#[test]
fn the_question_of_a_stop_counts_on_while_it_is_shown() {
    let mut app = app(80, 24);
    update(&mut app, Msg::Deliveries(Ok(quiet())));
    press(&mut app, "2 F");
    answer(&mut app, false);
    press(&mut app, "x");
    super::fake::write(&mut app, "no use");
    press(&mut app, "Ctrl-S");
    assert!(screen(&app).contains("No message waits"), "{}", screen(&app));
    let waiting = left(1, vec![nudge(1, Phase::Queued, 5, "one")]);
    update(&mut app, Msg::Deliveries(Ok(waiting)));
    let shown = screen(&app);
    assert!(shown.contains("1 message still waits") && !shown.contains("No message waits"), "{shown}");
    // A yes on its way was meant for what stood there before.
    assert!(press(&mut app, "y").is_empty());
    let later = Timestamp::from_millis(app.now.as_millis() + 1_000);
    update(&mut app, Msg::Tick(later));
    let sent = lines(&press(&mut app, "y"));
    assert!(sent.len() == 1 && sent[0].starts_with("conveyor stop-task"), "{sent:?}");
}

/// A second passes.
fn wait(app: &mut crate::tui::app::App) {
    update(app, Msg::Tick(Timestamp::from_millis(app.now.as_millis() + 1_000)));
}

#[test]
fn a_yes_at_the_gates_is_about_the_messages_that_were_shown() {
    let mut app = app(80, 40);
    press(&mut app, "2 F");
    answer(&mut app, true);
    update(&mut app, Msg::Deliveries(Ok(left(1, vec![nudge(1, Phase::Queued, 5, "one")]))));
    wait(&mut app);
    update(&mut app, Msg::Deliveries(Ok(left(2, vec![nudge(1, Phase::Queued, 5, "one")]))));
    let shown = screen(&app);
    assert!(shown.contains("2 messages still wait") && shown.contains("y finish, in a moment"), "{shown}");
    assert!(press(&mut app, "y").is_empty(), "it was meant for one message");
    wait(&mut app);
    let sent = lines(&press(&mut app, "y"));
    assert_eq!(sent, ["conveyor finish-task '--expect=taken_back=2' -- parser"]);
}

/// The count changed between the screen and the ledger: the command says so, and the gates come up again.
#[test]
fn an_end_that_is_refused_because_its_counts_changed_is_asked_about_again() {
    let changed = || Err(Error::conflict("nothing was done: what goes with task \"parser\" has changed meanwhile"));
    let mut app = app(100, 40);
    press(&mut app, "2 F");
    answer(&mut app, true);
    press(&mut app, "w y");
    let effects = finish(&mut app, changed());
    let end = EndArgs { stop_worker: true, ..EndArgs::default() };
    assert!(effects.contains(&Effect::Load(Load::Review(2, TASK.into(), end))), "{effects:?}");
    assert!(screen(&app).contains("has changed meanwhile; look again"), "{}", screen(&app));
    assert!(matches!(app.layers.as_slice(), [Layer::Finish(_)]), "{:?}", app.layers);
    press(&mut app, "Esc");
    // Its other questions likewise; what is asked then is drawn from the newest counts.
    press(&mut app, "U y");
    finish(&mut app, changed());
    let mut waiting = left(0, Vec::new());
    waiting.left[0].bound = 3;
    update(&mut app, Msg::Deliveries(Ok(waiting)));
    assert!(screen(&app).contains("3 messages that wait to go through it are given up"), "{}", screen(&app));
    assert!(press(&mut app, "y").is_empty(), "nobody has read it yet");
    wait(&mut app);
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor unbind '--task=parser' '--expect=given_up=3'"]);
    // A refusal for another reason is a failure like any other.
    finish(&mut app, Err(Error::refused("no active binding for task \"parser\"")));
    assert!(matches!(app.layers.as_slice(), [Layer::Reader(_)]), "{:?}", app.layers);
}

#[test]
fn a_stop_that_is_refused_because_its_counts_changed_is_asked_about_again_and_its_reason_is_kept() {
    let mut app = app(100, 40);
    press(&mut app, "2 F");
    answer(&mut app, false);
    press(&mut app, "x");
    write(&mut app, "no use");
    press(&mut app, "Ctrl-S y");
    finish(&mut app, Err(Error::conflict("nothing was done: what goes with it has changed meanwhile")));
    assert!(screen(&app).contains("recorded as stopped, not as done"), "{}", screen(&app));
    wait(&mut app);
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor stop-task '--reason=no use' '--expect=none' -- parser"]);
}

#[test]
fn where_no_count_is_known_none_is_expected() {
    let mut app = app(80, 24);
    update(&mut app, Msg::Deliveries(Err(Error::refused("no"))));
    press(&mut app, "2 U");
    assert_eq!(lines(&press(&mut app, "y")), ["conveyor unbind '--task=parser'"]);
}

/// Two looks are under way, and the older one is answered last.
#[test]
fn an_older_answer_does_not_take_the_place_of_a_newer_one() {
    let mut app = app(80, 24);
    press(&mut app, "2 F r");
    update(&mut app, Msg::Review(2, Ok(review(false))));
    update(&mut app, Msg::Review(1, Ok(review(true))));
    assert!(screen(&app).contains("criteria: not met"), "{}", screen(&app));
    // Nor does one that was asked for by a box that is closed.
    press(&mut app, "Esc F");
    update(&mut app, Msg::Review(2, Ok(review(true))));
    assert!(screen(&app).contains("looking at every gate"), "{}", screen(&app));
}

#[test]
fn a_reason_that_was_typed_for_the_end_comes_back_until_the_end_is_accepted() {
    let typed = || {
        let mut app = app(100, 40);
        press(&mut app, "2 F");
        answer(&mut app, true);
        press(&mut app, "d");
        write(&mut app, "it parses");
        press(&mut app, "Ctrl-S");
        answer(&mut app, true);
        app
    };
    let form = |app: &mut crate::tui::app::App| {
        press(app, "F");
        answer(app, true);
        press(app, "d");
        screen(app).contains("--reason=it parses")
    };
    // Left at the gates.
    let mut left = typed();
    press(&mut left, "Esc");
    assert!(form(&mut left), "{}", screen(&left));
    // Refused: the form lies below the receipt, to be mended.
    let mut refused = typed();
    press(&mut refused, "PgDn y");
    let gates =
        Report { json: json!({"end": null}), prose: "parser is not finished:".into(), exit_code: 3, handover: None };
    finish(&mut refused, Ok(gates));
    press(&mut refused, "Esc");
    assert!(screen(&refused).contains("--reason=it parses"), "{}", screen(&refused));
    // Accepted: it is done with.
    let mut done = typed();
    press(&mut done, "PgDn y");
    finish(
        &mut done,
        Ok(Report { json: json!({"end": {}}), prose: "parser is finished".into(), exit_code: 0, handover: None }),
    );
    press(&mut done, "Esc");
    assert!(!form(&mut done), "{}", screen(&done));
}

#[test]
fn the_end_says_what_runs_and_the_question_of_a_stop_says_it_too() {
    let mut app = app(100, 44);
    press(&mut app, "2 F");
    answer(&mut app, true);
    let plain =
        |app: &crate::tui::app::App| screen(app).replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(turns(&app, TASK, [false, false]).unwrap().contains("Worker w1 asks something (for 3m, by its screen)"));
    let mut board = super::fake::board();
    let worker = board.sessions.iter_mut().find(|row| row.name == "w1").unwrap();
    worker.judgement = board_working(&worker.judgement);
    update(&mut app, Msg::Board(Ok(board)));
    let told = turns(&app, TASK, [false, false]).unwrap();
    assert!(told.starts_with("Worker w1 is in the middle of a turn (for 3m, by its rollout): that goes on."), "{told}");
    assert!(plain(&app).contains("Worker w1 is in the middle of a turn"), "{}", screen(&app));
    press(&mut app, "w");
    assert!(turns(&app, TASK, [true, false]).unwrap().contains("stopping it interrupts that turn."));
    wait(&mut app);
    press(&mut app, "x");
    write(&mut app, "no use");
    press(&mut app, "Tab Space Ctrl-S");
    let Some(Layer::Confirm { question, .. }) = app.layers.last() else { panic!("{}", screen(&app)) };
    assert!(question.contains("Worker w1 is in the middle of a turn"), "{question}");
    assert!(question.contains("stopping it interrupts that turn"), "{question}");
}

fn board_working(asks: &Judgement) -> Judgement {
    Judgement { condition: Condition::Busy, source: Some(Source::Rollout), ..asks.clone() }
}

/// The decision behind an end is named in a form, and the gates are looked at with it before anything is asked.
#[test]
fn the_decision_behind_an_end_is_named_at_the_gates_and_looked_at_with_them() {
    let mut app = app(100, 40);
    press(&mut app, "2 F");
    answer(&mut app, true);
    press(&mut app, "w d");
    let form = screen(&app);
    assert!(form.contains("finish a task: why, and by which decision"), "{form}");
    write(&mut app, "it parses");
    press(&mut app, "Tab");
    write(&mut app, "seven");
    assert!(press(&mut app, "Ctrl-S").is_empty(), "no number");
    let refused = screen(&app);
    assert!(
        refused.contains("it parses") && refused.contains("seven") && refused.contains("a whole number"),
        "{refused}"
    );
    press(&mut app, "Ctrl-U 7 Tab Space");
    assert!(screen(&app).contains("--decision-id=7"), "{}", screen(&app));
    let asked = press(&mut app, "Ctrl-S");
    let end = EndArgs {
        reason: Some("it parses".into()),
        stop_worker: true,
        stop_manager: false,
        decision_id: Some(7),
        strict_decisions: true,
        expect: None,
    };
    assert_eq!(asked, [Effect::Load(Load::Review(2, TASK.into(), end.clone()))], "nothing ends yet");
    // What was asked before the decision was named says nothing of it.
    update(&mut app, Msg::Review(1, Ok(review(true))));
    assert!(screen(&app).contains("looking at every gate") && press(&mut app, "y").is_empty(), "{}", screen(&app));
    answer(&mut app, true);
    let shown = screen(&app);
    assert!(shown.contains("--strict-decisions") && shown.contains("--decision-id=7"), "{shown}");
    // It stands in the form when it is opened again.
    press(&mut app, "d");
    assert!(screen(&app).contains("it parses") && screen(&app).contains("--strict-decisions"), "{}", screen(&app));
    press(&mut app, "Esc");
    let effects = press(&mut app, "PgDn PgDn y");
    let [Effect::Submit(Command::FinishTask(finish))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(finish.end, EndArgs { expect: Some(Counts::default()), ..end });
}

/// Who has the gates on the screen is told when somebody else ends the task, and is asked nothing more.
#[test]
fn a_task_that_ends_while_its_gates_are_shown_says_so_and_takes_no_yes() {
    let mut app = app(80, 24);
    press(&mut app, "2 F");
    answer(&mut app, true);
    let mut now = app.board().unwrap().clone();
    let row = now.tasks.iter_mut().find(|row| row.task.id == TASK).unwrap();
    row.task.state = crate::model::task::TaskState::Done;
    update(&mut app, Msg::Board(Ok(now)));
    let shown = screen(&app);
    assert!(shown.contains("parser has ended meanwhile (done)") && !shown.contains("y finish"), "{shown}");
    for key in ["y", "PgDn y", "x", "d", "w"] {
        assert!(press(&mut app, key).is_empty(), "{key}");
        assert!(matches!(app.layers.last(), Some(Layer::Finish(_))), "{key}: {:?}", app.layers);
    }
    press(&mut app, "Esc");
    assert!(app.layers.is_empty());
}
