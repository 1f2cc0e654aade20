//! Interrupting and answering by keys: nothing happens at one key, and what happens is quoted first.

use serde_json::json;

use super::fake::{ago, app, board, finish, lines, press, screen, visit, write};
use crate::{
    actions::{QuestionView, Report},
    base::Error,
    model::{
        pane::Prompt,
        question::{Question, Verdict},
        state::{Condition, Source},
    },
    tui::{
        app::{App, update},
        keymap::{BINDINGS, Place},
        layer::Layer,
        message::{Effect, Load, Msg},
    },
};

pub fn asks(command: &str, answers: &[Verdict]) -> QuestionView {
    QuestionView {
        question: Question {
            id: Question::id_of(&[command]),
            source: Source::Server,
            kind: Prompt::ApprovalCommand,
            asks: Some(command.to_owned()),
            cwd: Some("/srv/project".to_owned()),
            files: Vec::new(),
            reason: Some("needs the network".to_owned()),
            since: None,
            choices: Vec::new(),
            answers: answers.to_vec(),
            not_approvable: (!answers.contains(&Verdict::Approve)).then(|| "it is cut off".to_owned()),
        },
        age_seconds: 65,
        seen_seconds_ago: 1,
    }
}

fn arrive(app: &mut App, views: Vec<QuestionView>) {
    assert!(update(app, Msg::Questions("session-w1".into(), Ok(views))).is_empty());
}

#[test]
fn an_interruption_is_a_form_with_what_is_to_be_said_afterwards() {
    for keys in ["!", "i"] {
        let mut app = app(80, 24);
        assert!(press(&mut app, keys).is_empty(), "one key does nothing");
        let frame = screen(&app);
        assert!(
            frame.contains("w1") && frame.contains("runs: conveyor session-interrupt '--wait=10' -- w1"),
            "{frame}"
        );
        assert!(press(&mut app, "Esc").is_empty() && app.layers.is_empty());
        press(&mut app, keys);
        assert_eq!(lines(&press(&mut app, "Ctrl-S")), ["conveyor session-interrupt '--wait=10' -- w1"]);
        press(&mut app, keys);
        write(&mut app, "Report, and stop.");
        let line = "conveyor session-interrupt '--followup=Report, and stop.' '--wait=10' -- w1";
        assert_eq!(lines(&press(&mut app, "Enter")), [line]);
    }
    // It stays about the session that was selected, whatever comes to stand first.
    let mut app = app(80, 24);
    press(&mut app, "! Esc j !");
    assert!(screen(&app).contains("session-interrupt '--wait=10' -- w2"), "{}", screen(&app));
}

#[test]
fn a_session_that_asks_is_not_interrupted_and_the_form_says_which_key_leads_on() {
    let mut app = app(80, 24);
    press(&mut app, "!");
    let frame = screen(&app);
    for part in ["w1 asks something, and is not interrupted", "this; then y shows what it asks. 3 there says no"] {
        assert!(frame.contains(part), "{part}\n{frame}");
    }
    press(&mut app, "Esc j !");
    assert!(!screen(&app).contains("asks something"), "{}", screen(&app));
}

#[test]
fn a_no_that_ends_the_turn_says_so_before_it_is_given() {
    let mut app = app(100, 30);
    let mut on_screen = asks("make install", Verdict::ALL);
    on_screen.question.source = Source::Screen;
    press(&mut app, "y");
    arrive(&mut app, vec![on_screen]);
    assert!(screen(&app).contains("2 decline, ends the turn"), "{}", screen(&app));
    press(&mut app, "2");
    assert!(screen(&app).contains("That ends the turn as well"), "{}", screen(&app));
    press(&mut app, "n y");
    arrive(&mut app, vec![asks("make install", Verdict::ALL)]);
    assert!(screen(&app).contains("2 decline  3 cancel"), "{}", screen(&app));
    press(&mut app, "2");
    assert!(screen(&app).contains("Decline this? The turn goes on without it."), "{}", screen(&app));
}

#[test]
fn an_approval_takes_three_keys_and_quotes_what_it_approves() {
    let mut app = app(100, 30);
    assert_eq!(press(&mut app, "y"), [Effect::Load(Load::Questions("session-w1".into()))]);
    assert!(press(&mut app, "y 1 y").is_empty(), "while nothing is shown nothing can be answered");
    assert!(!screen(&app).contains("1 approve"), "and no key says that it can\n{}", screen(&app));
    arrive(&mut app, vec![asks("make install", Verdict::ALL), asks("rm -rf /", Verdict::ALL)]);
    for part in ["asks: make install", "in: /srv/project", "reason: needs the network", "open for 1m", "asks: rm -rf /"]
    {
        assert!(screen(&app).contains(part), "{part}\n{}", screen(&app));
    }
    assert!(press(&mut app, "y Enter N").is_empty(), "no other key answers");
    assert!(press(&mut app, "1").is_empty());
    assert!(screen(&app).contains("Approve exactly this, this once?") && screen(&app).contains("make install"));
    assert!(!screen(&app).contains("rm -rf /"), "{}", screen(&app));
    let id = Question::id_of(&["make install"]);
    let line = format!("conveyor session-answer '--decision=approve' '--question={id}' '--wait=10' -- w1");
    assert_eq!(lines(&press(&mut app, "y")), [line]);
    assert!(app.layers.is_empty());

    press(&mut app, "N");
    arrive(&mut app, vec![asks("make install", Verdict::ALL), asks("rm -rf /", Verdict::ALL)]);
    press(&mut app, "j 2");
    let id = Question::id_of(&["rm -rf /"]);
    let line = format!("conveyor session-answer '--decision=decline' '--question={id}' '--wait=10' -- w1");
    assert_eq!(lines(&press(&mut app, "y")), [line]);
}

#[test]
fn what_cannot_be_approved_says_why_and_a_late_answer_moves_nothing() {
    let mut app = app(100, 30);
    press(&mut app, "y");
    arrive(&mut app, vec![asks("a long one", &[Verdict::Decline, Verdict::Cancel])]);
    assert!(screen(&app).contains("cannot be approved from here: it is cut off"), "{}", screen(&app));
    assert!(press(&mut app, "1").is_empty());
    assert!(matches!(app.layers.last(), Some(Layer::Answer(_))), "it asks nothing");
    // The question that was meant stays meant when others come in front of it.
    let (first, second) = (asks("make one", Verdict::ALL), asks("make two", Verdict::ALL));
    arrive(&mut app, vec![first.clone()]);
    press(&mut app, "j");
    arrive(&mut app, vec![second, first]);
    press(&mut app, "3");
    assert!(screen(&app).contains("make one") && !screen(&app).contains("make two"), "{}", screen(&app));
    press(&mut app, "n");
    assert!(update(&mut app, Msg::Questions("session-w1".into(), Err(Error::refused("gone")))).is_empty());
    press(&mut app, "y");
    update(&mut app, Msg::Questions("session-w1".into(), Err(Error::refused("nothing tells"))));
    assert!(screen(&app).contains("nothing tells"), "{}", screen(&app));
    press(&mut app, "Esc");
    assert!(app.layers.is_empty());
}

#[test]
fn no_key_of_a_screen_approves() {
    let at_once = BINDINGS.iter().filter(|row| row.intent.as_str() == "approve" && row.place != Place::Answer);
    assert_eq!(at_once.count(), 0);
}

/// A question of the agent that takes words or a choice.
pub fn plain() -> QuestionView {
    let mut view = asks("Which folder shall I clean first?", &[]);
    view.question.kind = Prompt::Question;
    view.question.source = Source::Screen;
    (view.question.cwd, view.question.reason) = (None, None);
    view.question.choices = ["build", "dist", "None of the above"].map(str::to_owned).to_vec();
    view.question.not_approvable = Some("its kind of dialog is not answered by keys: answer it in its pane".to_owned());
    view
}

#[test]
fn a_plain_question_says_what_it_is_and_leads_to_its_pane() {
    let mut app = app(80, 24);
    press(&mut app, "y");
    arrive(&mut app, vec![plain()]);
    let frame = screen(&app);
    for part in [
        "it asks you a question",
        "asks: Which folder shall I clean first?",
        "offers: dist",
        "a choice or words of yours, not a yes or no",
        "own pane: press a.",
        "a attach  Esc leave",
    ] {
        assert!(frame.contains(part), "{part}\n{frame}");
    }
    assert!(!frame.contains("approve"), "no key says that it can be approved\n{frame}");
    for key in ["1", "2", "3", "Enter"] {
        assert!(press(&mut app, key).is_empty() && matches!(app.layers.last(), Some(Layer::Answer(_))), "{key}");
    }
    assert_eq!(lines(&press(&mut app, "a")), ["Attach(\"session-w1\")"]);
    assert!(app.layers.is_empty(), "it may be answered there");
    update(&mut app, Msg::Attach(Ok(visit(&["tmux"]))));
    assert_eq!(lines(&update(&mut app, Msg::Returned(Ok(())))), ["look mark --seen -- w1", "Board"]);
}

#[test]
fn where_no_pane_is_known_none_is_offered() {
    let mut app = app(80, 24);
    let mut board = super::fake::board();
    board.sessions.iter_mut().for_each(|row| row.tmux_pane_id = None);
    update(&mut app, Msg::Board(Ok(board)));
    press(&mut app, "y");
    arrive(&mut app, vec![plain()]);
    let frame = screen(&app);
    assert!(frame.contains("no pane of it") && !frame.contains("a attach"), "{frame}");
    assert!(press(&mut app, "a").is_empty() && matches!(app.layers.last(), Some(Layer::Answer(_))), "{frame}");
}

#[test]
fn the_pane_is_a_key_away_from_an_approval_too_and_it_means_the_same_as_on_the_screen() {
    let mut app = app(80, 24);
    press(&mut app, "j y");
    update(&mut app, Msg::Questions("session-w2".into(), Ok(vec![asks("make install", Verdict::ALL)])));
    assert!(screen(&app).contains("1 approve  2 decline  3 cancel  a attach  Esc leave"), "{}", screen(&app));
    assert_eq!(lines(&press(&mut app, "a")), ["Attach(\"session-w2\")"]);
    let keys_of = |intent: &str| {
        let rows = BINDINGS.iter().filter(|row| row.intent.as_str() == intent);
        rows.map(|row| row.keys.first().map(|key| key.name())).collect::<Vec<_>>()
    };
    assert_eq!(keys_of("attach"), [Some("a".to_owned()), Some("a".to_owned())]);
}

#[test]
fn the_age_of_what_is_asked_goes_on() {
    let mut app = app(80, 24);
    press(&mut app, "y");
    arrive(&mut app, vec![asks("make install", Verdict::ALL)]);
    assert!(screen(&app).contains("open for 1m"), "{}", screen(&app));
    update(&mut app, Msg::Tick(ago(-120)));
    assert!(screen(&app).contains("open for 3m"), "{}", screen(&app));
}

#[test]
fn nobody_approves_an_end_that_was_not_shown() {
    let mut app = app(80, 24);
    let long = (0..400).map(|n| format!("echo {n}; ")).collect::<String>() + "rm -rf the-end";
    press(&mut app, "y");
    arrive(&mut app, vec![asks(&long, Verdict::ALL)]);
    assert!(!screen(&app).contains("rm -rf the-end") && screen(&app).contains("reads on"), "{}", screen(&app));
    assert!(screen(&app).contains("1 approve"), "the keys stay: {}", screen(&app));
    press(&mut app, "j PgDn PgDn PgDn PgDn PgDn");
    assert!(screen(&app).contains("rm -rf the-end"), "{}", screen(&app));
    press(&mut app, "1");
    assert!(screen(&app).contains("Approve exactly this") && screen(&app).contains("y works at the end"));
    let mut shown = String::new();
    for _ in 0..9 {
        shown += &screen(&app);
        if screen(&app).contains("--decision=approve") {
            break;
        }
        assert!(press(&mut app, "y").is_empty(), "{}", screen(&app));
        assert!(matches!(app.layers.last(), Some(Layer::Confirm { .. })));
        press(&mut app, "PgDn");
    }
    for n in 0..400 {
        assert!(shown.contains(&format!("{n};")), "{n} was passed over");
    }
    assert!(shown.contains("rm -rf the-end") && !screen(&app).contains("reads on"), "{}", screen(&app));
    press(&mut app, "k");
    assert!(press(&mut app, "y").is_empty());
    press(&mut app, "Down");
    update(&mut app, Msg::Resized(ratatui::layout::Size::new(80, 7)));
    press(&mut app, "PgDn PgDn PgDn PgDn PgDn PgDn PgDn PgDn PgDn");
    for _ in 0..70 {
        assert!(press(&mut app, "Down y").is_empty(), "nothing is drawn in so small a terminal");
    }
    update(&mut app, Msg::Resized(ratatui::layout::Size::new(80, 24)));
    assert_eq!(lines(&press(&mut app, "y")).len(), 1);
}

#[test]
fn the_question_that_is_meant_is_in_sight() {
    let mut app = app(80, 24);
    press(&mut app, "y");
    let long = "word ".repeat(300);
    arrive(&mut app, vec![asks(&long, Verdict::ALL), asks("make two", Verdict::ALL)]);
    assert!(!screen(&app).contains("make two"));
    press(&mut app, "j");
    assert!(screen(&app).contains("asks: make two"), "{}", screen(&app));
    press(&mut app, "k");
    assert!(!screen(&app).contains("make two"));
}

#[test]
fn what_was_answered_elsewhere_is_not_shown_as_open() {
    let load = Effect::Load(Load::Questions("session-w1".into()));
    let mut app = app(100, 30);
    let board = |app: &mut App, seconds: i64| {
        update(app, Msg::Tick(ago(-seconds)));
        update(app, Msg::Board(Ok(super::fake::board()))).contains(&load)
    };
    press(&mut app, "y");
    let (one, two) = (asks("make one", Verdict::ALL), asks("make two", Verdict::ALL));
    assert!(!board(&mut app, 5), "it is being looked at");
    arrive(&mut app, vec![one.clone(), two.clone()]);
    assert!(!board(&mut app, 6), "a look is announced itself, and is no reason for the next one at once");
    assert!(update(&mut app, Msg::Tick(ago(-7))).contains(&load), "but it is not forgotten");
    arrive(&mut app, vec![two.clone()]);
    let frame = screen(&app);
    assert!(frame.contains("What you looked at is answered or gone.") && !frame.contains("make one"), "{frame}");
    assert!(frame.contains("j choose  Esc leave it open") && !frame.contains("1 approve"), "{frame}");
    assert!(press(&mut app, "1 2 3 y").is_empty());
    assert!(matches!(app.layers.as_slice(), [Layer::Answer(_)]), "no key is about another one: {:?}", app.layers);
    // Nor when the next look finds something else.
    assert!(board(&mut app, 20));
    arrive(&mut app, Vec::new());
    assert!(screen(&app).contains("nothing is asked now: what was asked is answered or gone"), "{}", screen(&app));
    assert!(board(&mut app, 30));
    arrive(&mut app, vec![two]);
    assert!(press(&mut app, "1 y").is_empty() && matches!(app.layers.as_slice(), [Layer::Answer(_)]));
    press(&mut app, "j 1");
    assert!(screen(&app).contains("Approve exactly this") && screen(&app).contains("make two"), "{}", screen(&app));
    press(&mut app, "n");
    assert!(!board(&mut app, 40), "nothing is shown any more");
}

#[test]
fn who_reads_is_left_where_he_reads_when_it_is_looked_at_again() {
    let mut app = app(80, 24);
    press(&mut app, "y");
    let all = vec![asks(&"word ".repeat(300), Verdict::ALL), asks("make two", Verdict::ALL)];
    arrive(&mut app, all.clone());
    press(&mut app, "PgDn");
    let before = screen(&app);
    arrive(&mut app, all);
    assert_eq!(screen(&app), before);
}

#[test]
fn the_keys_say_which_question_they_are_about_wherever_one_reads() {
    let mut app = app(100, 24);
    press(&mut app, "y");
    let long = "word ".repeat(400);
    arrive(&mut app, vec![asks(&long, Verdict::ALL), asks("make two", Verdict::ALL)]);
    press(&mut app, "PgDn PgDn PgDn");
    assert!(screen(&app).contains("make two"), "{}", screen(&app));
    assert!(screen(&app).contains("question 1 of 2: 1 approve"), "{}", screen(&app));
    press(&mut app, "j");
    update(&mut app, Msg::Wheel(40, 12, false));
    assert!(screen(&app).contains("question 2 of 2: 1 approve"), "{}", screen(&app));
    arrive(&mut app, vec![asks("make two", Verdict::ALL)]);
    assert!(!screen(&app).contains("question "), "{}", screen(&app));
}

#[test]
fn a_narrow_screen_shows_the_way_out() {
    let mut app = app(50, 20);
    press(&mut app, "y");
    arrive(&mut app, vec![asks("make install", Verdict::ALL)]);
    let frame = screen(&app);
    assert!(frame.contains("Esc leave it open"), "{frame}");
    assert!(frame.lines().last().is_some_and(|line| line.contains("Esc close")), "{frame}");
}

#[test]
fn the_receipt_of_an_answer_follows_what_the_session_does() {
    let mut app = app(100, 30);
    press(&mut app, "y");
    arrive(&mut app, vec![asks("make install", Verdict::ALL)]);
    press(&mut app, "1 y");
    let answered = |outcome: &str| Report {
        json: json!({"decision": "approve", "outcome": outcome, "session": "w1"}),
        prose: "answered approve: its dialog has closed; right after that w1 needed you: it asks\n".into(),
        exit_code: 0,
        handover: None,
    };
    finish(&mut app, Ok(answered("answered")));
    assert!(matches!(app.layers.last(), Some(Layer::Reader(_))), "{:?}", app.layers);
    // The board is older than the answer, and tells of the question that is gone.
    assert!(!screen(&app).contains("now: w1"), "{}", screen(&app));
    let mut more = board();
    let row = more.sessions.iter_mut().find(|row| row.name == "w1").unwrap();
    (row.judgement.since, row.asks) = (Some(ago(-1)), Some("rm -rf build".into()));
    update(&mut app, Msg::Board(Ok(more)));
    assert!(screen(&app).contains("now: w1 needs you"), "another question is told: {}", screen(&app));
    let mut goes_on = board();
    let row = goes_on.sessions.iter_mut().find(|row| row.name == "w1").unwrap();
    (row.judgement.condition, row.judgement.since) = (Condition::Busy, Some(ago(7)));
    row.judgement.reason = "its turn runs".into();
    update(&mut app, Msg::Board(Ok(goes_on)));
    let shown = screen(&app);
    assert!(shown.contains("now: w1 is working since 7s: its turn runs") && !shown.contains("w1 needs you"), "{shown}");
    // Where the answer has ended the turn, that is its outcome: no failure that came afterwards.
    press(&mut app, "Esc y");
    arrive(&mut app, vec![asks("make install", Verdict::ALL)]);
    press(&mut app, "1 y");
    let mut ended = answered("answered");
    ended.json["proof"] = json!({"turn_aborted": {"byte_offset": 7}});
    finish(&mut app, Ok(ended));
    assert!(!screen(&app).contains("now: w1"), "{}", screen(&app));
    // What was not answered is followed nowhere.
    press(&mut app, "Esc y");
    arrive(&mut app, vec![asks("make install", Verdict::ALL)]);
    press(&mut app, "1 y");
    finish(&mut app, Ok(answered("not_open")));
    assert!(!screen(&app).contains("now: w1"), "{}", screen(&app));
}
