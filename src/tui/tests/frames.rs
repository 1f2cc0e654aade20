//! Every screen and everything that can lie over one, at the sizes that people use, in Unicode and in ASCII, in colours
//! and without. A place that keys have, a form, a use of the input line or a kind of text that is missing here fails.

use ratatui::{Terminal, backend::TestBackend, style::Color};

use super::{
    answers::{asks, plain},
    criteria::opened,
    diff,
    fake::{
        app, app_with_messages, app_with_questions, board, busy, checkup, dispatcher, empty, events, exchange,
        explanation, finish, left_over, no_policy, no_record, nudge, pane, pause, policy, press, quiet, record, review,
        reviewed, said, screen, settings, shown_criteria, unregistered, write,
    },
    forms::loose,
    marks, talk,
};
use crate::{
    actions::{DispatcherHost, Report},
    base::{Error, Kind},
    model::{delivery::Phase, question::Verdict, session::Registration},
    tui::{
        app::{App, BoardState, Screen, update},
        form::{self, Subject},
        keymap::Place,
        layer::{About, Layer, Purpose},
        message::Msg,
        screen::draw,
        theme::{Part, ThemeName},
    },
};

/// The sizes.
pub const SIZES: [(u16, u16); 3] = [(80, 24), (50, 20), (160, 50)];

/// A frame: its name, and the cockpit that shows it in this size.
type Frame = (&'static str, fn(u16, u16) -> App);

/// All of them.
const FRAMES: &[Frame] = &[
    ("fleet", app),
    ("fleet_peek", |width, height| keys(app(width, height), "Enter")),
    ("fleet_full", |width, height| keys(app(width, height), "Enter Enter")),
    ("fleet_pane", |width, height| {
        let mut app = keys(app(width, height), "p");
        update(&mut app, Msg::Pane("session-w1".into(), Ok(Some(pane()))));
        app
    }),
    ("fleet_marked", |width, height| marks::with(marks::marked(), width, height)),
    ("fleet_gone", |width, height| {
        let mut app = app(width, height);
        let mut now = board();
        now.sessions[2].attention = crate::model::board::Attention::Gone;
        update(&mut app, Msg::Board(Ok(now)));
        app
    }),
    ("fleet_unread", app_with_messages),
    ("fleet_asked", app_with_questions),
    ("fleet_question", |width, height| {
        let mut app = app(width, height);
        let mut now = board();
        now.sessions[1].asks = Some("Which folder shall I clean first, the one of the build or the other?".into());
        update(&mut app, Msg::Board(Ok(now)));
        app
    }),
    ("fleet_task", |width, height| keys(app(width, height), "j j j j")),
    ("fleet_filtered_away", |width, height| {
        let mut app = keys(app(width, height), "/");
        write(&mut app, "task:nothing");
        keys(app, "Enter")
    }),
    ("inbox_filtered", |width, height| {
        let mut app = keys(app_with_messages(width, height), "4 /");
        write(&mut app, "session:w1");
        keys(app, "Enter")
    }),
    ("events_narrowed", |width, height| keys(with_events(width, height), "t / p a r Enter")),
    ("task", |width, height| keys(app(width, height), "2")),
    ("task_detail", |width, height| keys(app(width, height), "2 Tab")),
    ("task_messages", |width, height| keys(app_with_messages(width, height), "2")),
    ("task_pair", talk::pair),
    ("task_worker", |width, height| keys(talk::pair(width, height), "Tab Tab")),
    ("task_manager", |width, height| keys(talk::pair(width, height), "Tab Tab Tab")),
    ("task_proofs", |width, height| {
        let mut app = keys(app(width, height), "2 Tab");
        update(&mut app, Msg::Criteria("task-parser".into(), Ok(shown_criteria())));
        app
    }),
    ("finish_looking", |width, height| keys(app(width, height), "2 F")),
    ("finish_open", |width, height| {
        let mut app = keys(app(width, height), "2 F");
        reviewed(&mut app, Ok(review(false)));
        app
    }),
    ("finish_left", |width, height| {
        let mut app = keys(app(width, height), "2 F");
        reviewed(&mut app, Ok(review(true)));
        update(&mut app, Msg::Deliveries(Ok(left_over())));
        app
    }),
    ("finish_notice", |width, height| {
        let mut app = keys(app(width, height), "2 F");
        reviewed(&mut app, Ok(review(true)));
        let what = "nothing is stopped: w1 was bound to another task a moment ago; look at it there, and stop it with its own key";
        app.say(Part::Warning, what);
        app
    }),
    ("finish_met", |width, height| {
        let mut app = keys(app(width, height), "2 F");
        reviewed(&mut app, Ok(review(true)));
        keys(app, "w")
    }),
    ("policy_looking", |width, height| keys(app(width, height), "2 P")),
    ("policy", |width, height| {
        let mut app = keys(app(width, height), "2 P");
        update(&mut app, Msg::Policy("task-parser".into(), Ok(policy())));
        app
    }),
    ("policy_none", |width, height| {
        let mut app = keys(app(width, height), "2 P");
        update(&mut app, Msg::Policy("task-parser".into(), Ok(no_policy())));
        app
    }),
    ("record_looking", |width, height| keys(app(width, height), "2 R")),
    ("record", |width, height| with_record(width, height, "")),
    ("record_end", |width, height| with_record(width, height, "PgDn PgDn PgDn PgDn PgDn PgDn")),
    ("record_none", |width, height| {
        let mut app = keys(app(width, height), "2 R");
        update(&mut app, Msg::Record("task-parser".into(), Ok(no_record())));
        app
    }),
    ("form_judge", |width, height| with_record(width, height, "v")),
    ("confirm_judge", |width, height| {
        let mut app = with_record(width, height, "v Space Space Tab Space Tab");
        write(&mut app, "Both can be done.");
        keys(app, "Ctrl-S")
    }),
    ("form_have_judged", |width, height| with_record(width, height, "b")),
    ("form_forget_reviewer", |width, height| with_form(width, height, Subject::ForgetReviewer)),
    ("form_propose", |width, height| with_record(width, height, "p Space Space Tab")),
    ("form_worker_ack", |width, height| {
        let mut app = with_record(width, height, "w");
        write(&mut app, "every file parses");
        press(&mut app, "Tab");
        write(&mut app, "the tests pass");
        press(&mut app, "Ctrl-J");
        write(&mut app, "no warning is left");
        app
    }),
    ("form_manager_ack", |width, height| with_record(width, height, "m")),
    ("form_handoff", |width, height| with_record(width, height, "h")),
    ("form_decide", |width, height| with_record(width, height, "d")),
    ("task_unbound", |width, height| keys(app(width, height), "2 G Tab")),
    ("events", with_events),
    ("events_back", |width, height| keys(with_events(width, height), "k k k")),
    ("inbox", |width, height| keys(app_with_messages(width, height), "4")),
    ("inbox_detail", |width, height| keys(app_with_messages(width, height), "4 Tab")),
    ("inbox_asked", |width, height| keys(app_with_questions(width, height), "4 g")),
    ("inbox_asked_detail", |width, height| keys(app_with_questions(width, height), "4 g Tab")),
    ("inbox_uncertain", |width, height| keys(uncertain(width, height), "4 g")),
    ("inbox_empty", |width, height| keys(app(width, height), "4")),
    ("dispatch", dispatch),
    ("dispatch_detail", |width, height| keys(dispatch(width, height), "Enter")),
    ("dispatch_nobody", nobody_delivers),
    ("doctor", doctor),
    ("doctor_looking", |width, height| keys(app(width, height), "8")),
    ("doctor_detail", |width, height| keys(doctor(width, height), "Tab")),
    ("paused", |width, height| {
        let mut app = app(width, height);
        let mut paused = busy();
        paused.health.paused = true;
        paused.health.pauses = vec![pause(None)];
        update(&mut app, Msg::Deliveries(Ok(paused)));
        app
    }),
    ("loading", empty),
    ("error", broken),
    ("first_start", first_start),
    ("first_start_checked", |width, height| {
        let mut app = first_start(width, height);
        update(&mut app, Msg::Checkup(Ok(checkup())));
        app
    }),
    ("help", |width, height| keys(app(width, height), "?")),
    ("help_searched", |width, height| {
        let mut app = keys(app(width, height), "?");
        write(&mut app, "scroll");
        app
    }),
    ("input_filter", |width, height| {
        let mut app = keys(app(width, height), "/");
        write(&mut app, "role:worker age>1m");
        app
    }),
    ("input_fault", |width, height| {
        let mut app = keys(app(width, height), "/");
        write(&mut app, "state:sleeping");
        app
    }),
    ("input_search", |width, height| keys(with_events(width, height), "/ p a r")),
    ("input_jump", |width, height| keys(with_events(width, height), "@ 1 0 x Enter")),
    ("nudge", |width, height| {
        let mut app = keys(app(width, height), "n");
        write(&mut app, "Run the tests again; it's");
        press(&mut app, "Ctrl-J");
        write(&mut app, "the parser's that fail.");
        app
    }),
    ("nudge_empty", |width, height| keys(app(width, height), "n Enter")),
    ("nudge_several", to_several),
    ("explain", |width, height| {
        let mut app = keys(app(width, height), "x");
        update(&mut app, Msg::Explained("session-w1".into(), Ok(explanation())));
        app
    }),
    ("diff", diff::open),
    ("event", |width, height| keys(with_events(width, height), "k k Enter")),
    ("receipt", |width, height| {
        let mut app = keys(app(width, height), "c");
        finish(&mut app, Ok(report("parser: blocked (approval)\n")));
        app
    }),
    ("receipt_failed", |width, height| {
        let mut app = keys(app(width, height), "c");
        let error = Error::refused("the rollout is gone").hint("run `conveyor db-doctor --live`");
        finish(&mut app, Err(error));
        app
    }),
    ("receipt_running", |width, height| keys(app(width, height), "c L Enter")),
    ("receipt_message", |width, height| {
        let mut app = sent(width, height);
        let mut deliveries = quiet();
        deliveries.commands = vec![nudge(5, Phase::Done, 2, "Run the tests again")];
        update(&mut app, Msg::Deliveries(Ok(deliveries)));
        app
    }),
    ("receipts", |width, height| {
        let mut app = keys(sent(width, height), "Esc c");
        finish(&mut app, Err(Error::refused("the rollout is gone")));
        keys(app, "Esc c L")
    }),
    ("confirm_stop", |width, height| keys(app(width, height), "K")),
    ("confirm_unbind", |width, height| keys(app(width, height), "U")),
    ("confirm_quit", |width, height| keys(app(width, height), "c q")),
    ("confirm_retry", |width, height| keys(app_with_messages(width, height), "4 g R")),
    ("confirm_take_back", |width, height| keys(uncertain(width, height), "4 g X")),
    ("confirm_settle", |width, height| {
        let mut app = settling(width, height);
        press(&mut app, "Ctrl-S");
        app
    }),
    ("confirm_arrived", |width, height| keys(uncertain(width, height), "4 g V")),
    ("confirm_deliver_again", |width, height| {
        let mut app = app(width, height);
        let mut paused = busy();
        paused.health.paused = true;
        update(&mut app, Msg::Deliveries(Ok(paused)));
        keys(app, "S")
    }),
    ("answer_looking", |width, height| keys(app(width, height), "y")),
    ("answer", |width, height| {
        let mut app = keys(app(width, height), "y");
        let views = vec![asks("make install", Verdict::ALL), asks("rm -rf /", &[Verdict::Decline, Verdict::Cancel])];
        update(&mut app, Msg::Questions("session-w1".into(), Ok(views)));
        app
    }),
    ("answer_gone", |width, height| {
        let mut app = keys(app(width, height), "y");
        for command in ["make install", "rm -rf /"] {
            update(&mut app, Msg::Questions("session-w1".into(), Ok(vec![asks(command, Verdict::ALL)])));
        }
        app
    }),
    ("answer_plain", |width, height| {
        let mut app = keys(app(width, height), "y");
        update(&mut app, Msg::Questions("session-w1".into(), Ok(vec![plain()])));
        app
    }),
    ("answer_sure", |width, height| {
        let mut app = keys(app(width, height), "y");
        update(&mut app, Msg::Questions("session-w1".into(), Ok(vec![asks("make install", Verdict::ALL)])));
        keys(app, "1")
    }),
    ("answer_nothing", |width, height| {
        let mut app = keys(app(width, height), "y");
        update(&mut app, Msg::Questions("session-w1".into(), Ok(Vec::new())));
        app
    }),
    ("palette", |width, height| {
        let mut app = keys(app(width, height), ":");
        write(&mut app, "w1");
        app
    }),
    ("palette_nothing", |width, height| {
        let mut app = keys(app(width, height), ":");
        write(&mut app, "zzzz");
        app
    }),
    ("snooze", |width, height| keys(app(width, height), "s j")),
    ("form_filled", |width, height| {
        let mut app = keys(app(width, height), "+");
        write(&mut app, "w9");
        press(&mut app, "Tab");
        write(&mut app, "Read the docs, then say");
        press(&mut app, "Ctrl-J");
        write(&mut app, "what is missing.");
        keys(app, "Tab Tab Space")
    }),
    ("form_refused", |width, height| keys(app(width, height), "T Ctrl-S")),
    ("form_pick", |width, height| keys(app(width, height), "B Shift-Tab Ctrl-U Down")),
    ("form_create_task", |width, height| with_form(width, height, Subject::CreateTask)),
    ("form_start_worker", |width, height| with_form(width, height, Subject::StartWorker)),
    ("form_start_manager", |width, height| with_form(width, height, Subject::StartManager)),
    ("form_pair", |width, height| with_form(width, height, Subject::Pair)),
    ("form_register_worker", |width, height| with_form(width, height, Subject::RegisterWorker)),
    ("form_register_manager", |width, height| with_form(width, height, Subject::RegisterManager)),
    ("form_adopt", |width, height| {
        let mut app = with_form(width, height, Subject::Adopt);
        update(&mut app, Msg::Unregistered(Ok(unregistered())));
        keys(app, "Down Space")
    }),
    ("form_bind", |width, height| with_form(width, height, Subject::Bind)),
    ("form_compact", |width, height| with_form(width, height, Subject::Compact)),
    ("form_clear", |width, height| with_form(width, height, Subject::Clear)),
    ("form_interrupt", |width, height| with_form(width, height, Subject::Interrupt)),
    ("form_resume", |width, height| with_form(width, height, Subject::Resume)),
    ("form_deregister", |width, height| with_form(width, height, Subject::Deregister)),
    ("form_budget", |width, height| with_form(width, height, Subject::Budget)),
    ("form_settle_open", |width, height| keys(app_with_questions(width, height), "4 g Enter")),
    ("form_terms", |width, height| with_form(width, height, Subject::Terms)),
    ("form_permissions", |width, height| {
        let mut app = keys(app(width, height), "2 P");
        update(&mut app, Msg::Policy("task-parser".into(), Ok(policy())));
        keys(app, "e Tab Tab Tab Down Down Down Down Down Down Down")
    }),
    ("form_contract", |width, height| with_form(width, height, Subject::Contract)),
    ("form_step", |width, height| with_form(width, height, Subject::Step)),
    ("form_reviewer", |width, height| with_form(width, height, Subject::Reviewer)),
    ("form_settle", settling),
    ("criteria", |width, height| keys(opened(width, height), "j")),
    ("criteria_none", |width, height| {
        let mut app = keys(app(width, height), "2 G");
        update(&mut app, Msg::Criteria("task-docs".into(), Ok(Vec::new())));
        keys(app, "e")
    }),
    ("form_add_criterion", |width, height| keys(opened(width, height), "+")),
    ("form_accept_criterion", |width, height| keys(opened(width, height), "a")),
    ("form_satisfy_criterion", |width, height| keys(opened(width, height), "j s")),
    ("form_defer_criterion", |width, height| keys(opened(width, height), "j d")),
    ("form_reject_criterion", |width, height| keys(opened(width, height), "j x")),
    ("form_finish_task", |width, height| {
        let mut app = keys(app(width, height), "2 F");
        reviewed(&mut app, Ok(review(true)));
        let mut app = keys(app, "d Tab");
        write(&mut app, "7");
        keys(app, "Tab Space")
    }),
    ("form_stop_task", stopping),
    ("confirm_stop_task", |width, height| {
        let mut app = stopping(width, height);
        write(&mut app, "the format is dropped");
        keys(app, "Ctrl-S")
    }),
];

fn keys(mut app: App, keys: &str) -> App {
    press(&mut app, keys);
    app
}

/// What was said about a task, and keys over it.
fn with_record(width: u16, height: u16, then: &str) -> App {
    let mut app = keys(app(width, height), "2 R");
    update(&mut app, Msg::Record("task-parser".into(), Ok(record())));
    keys(app, then)
}

/// A task whose gates are not met is stopped.
fn stopping(width: u16, height: u16) -> App {
    let mut app = keys(app(width, height), "2 F");
    reviewed(&mut app, Ok(review(false)));
    keys(app, "x")
}

/// A question to the operator is answered with a note.
fn settling(width: u16, height: u16) -> App {
    let mut app = keys(app_with_questions(width, height), "4 g Enter Space Space Tab");
    write(&mut app, "the worker's plan, but keep the old reader");
    app
}

fn report(prose: &str) -> Report {
    Report { json: serde_json::Value::Null, prose: prose.into(), exit_code: 0, handover: None }
}

fn with_events(width: u16, height: u16) -> App {
    let mut app = keys(app(width, height), "3");
    let query = app.events.query(None);
    update(&mut app, Msg::Events("session-w1".into(), query, Ok(events(40))));
    app
}

fn uncertain(width: u16, height: u16) -> App {
    let mut app = app_with_messages(width, height);
    let mut deliveries = busy();
    let mut uncertain = nudge(9, Phase::Ambiguous, 5, "Did this arrive?");
    uncertain.reason = Some("the machine was booted anew".into());
    deliveries.commands.insert(0, uncertain);
    deliveries.health.ambiguous = 1;
    update(&mut app, Msg::Deliveries(Ok(deliveries)));
    app
}

/// The Dispatch screen on the command that was given up, with what belongs to it.
pub fn dispatch(width: u16, height: u16) -> App {
    let mut app = keys(app_with_messages(width, height), "5 g j j j j");
    update(&mut app, Msg::Exchange("command-1".into(), Ok(exchange())));
    app
}

fn nobody_delivers(width: u16, height: u16) -> App {
    let mut app = app(width, height);
    let mut alone = quiet();
    alone.health.running = false;
    alone.health.waiting = 2;
    let mut silent = dispatcher(DispatcherHost::Watch, 977);
    silent.alive = false;
    silent.heartbeat_at = super::fake::ago(90);
    silent.last_error = Some("the ledger is in use".into());
    alone.health.dispatchers = vec![silent];
    update(&mut app, Msg::Deliveries(Ok(alone)));
    keys(app, "5")
}

pub fn doctor(width: u16, height: u16) -> App {
    let mut app = keys(app(width, height), "8");
    update(&mut app, Msg::Checkup(Ok(checkup())));
    app
}

fn broken(width: u16, height: u16) -> App {
    let mut app = empty(width, height);
    let error = Error::new(Kind::Ledger, "the ledger has schema version 120, newer than this program's 100")
        .hint("use the newer conveyor; this one leaves the ledger untouched");
    update(&mut app, Msg::Board(Err(error)));
    app
}

fn first_start(width: u16, height: u16) -> App {
    let mut app = empty(width, height);
    update(&mut app, Msg::Board(Err(Error::not_found("there is no ledger at .codex-workers/workerctl.db"))));
    app
}

fn to_several(width: u16, height: u16) -> App {
    let mut app = keys(app(width, height), "Space j Space");
    let mut now = board();
    now.sessions.iter_mut().find(|row| row.name == "w2").expect("w2").registration = Registration::Gone;
    update(&mut app, Msg::Board(Ok(now)));
    let mut app = keys(app, "k k n");
    write(&mut app, "Stop for today.");
    app
}

/// A message was sent, and its receipt is shown.
fn sent(width: u16, height: u16) -> App {
    let mut app = keys(app(width, height), "n");
    write(&mut app, "Run the tests again");
    press(&mut app, "Enter");
    let json = serde_json::json!({"command_id": "command-5", "phase": "submitted"});
    finish(&mut app, Ok(Report { json, ..report("sent") }));
    app
}

fn with_form(width: u16, height: u16, subject: Subject) -> App {
    let mut app = loose(width, height);
    app.select(Some("session-w1".into()), &mut Vec::new());
    form::keys::open(&mut app, subject, &mut Vec::new());
    update(&mut app, Msg::Resized(ratatui::layout::Size::new(width, height)));
    app
}

/// The same in ASCII; conversations are the workers' own words and stay out of it.
fn ascii(mut app: App) -> App {
    app.settings = settings(ThemeName::Mono, true);
    for name in ["w1", "w2", "w3", "m1", "m2"] {
        update(&mut app, said(&format!("session-{name}"), Vec::new()));
    }
    app
}

fn at_sizes(make: impl Fn(u16, u16) -> App) -> String {
    let at_size = |(width, height)| format!("{width}x{height}\n{}", screen(&make(width, height)));
    SIZES.map(at_size).join("\n")
}

#[test]
fn frames() {
    for (name, make) in FRAMES {
        insta::assert_snapshot!(*name, at_sizes(make));
    }
}

#[test]
fn frames_in_ascii() {
    for (name, make) in FRAMES {
        let text = at_sizes(|width, height| ascii(make(width, height)));
        assert!(text.is_ascii(), "{name}\n{text}");
        insta::assert_snapshot!(format!("{name}_ascii"), text);
    }
}

#[test]
fn mono_says_the_same_and_has_no_colour() {
    for (name, make) in FRAMES {
        let normal = screen(&make(80, 24));
        let mut app = make(80, 24);
        app.settings = settings(ThemeName::Mono, false);
        assert_eq!(screen(&app), normal, "{name}");
        // A pane has the colours of its program.
        if *name == "fleet_pane" {
            continue;
        }
        // What is laid out already keeps its styles; no theme is changed while the cockpit runs.
        update(&mut app, said("session-w1", Vec::new()));
        update(&mut app, said("session-m1", Vec::new()));
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a test terminal");
        terminal.draw(|frame| draw(&app, frame)).expect("a frame");
        for cell in terminal.backend().buffer().content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}: {cell:?}");
        }
    }
}

/// What a frame is about, so that nothing is left out.
#[test]
fn every_screen_and_every_layer_has_a_frame() {
    let apps: Vec<App> = FRAMES.iter().map(|(_, make)| make(80, 24)).collect();
    for place in Place::ALL {
        let general = matches!(place, Place::Always | Place::Screen);
        assert!(general || apps.iter().any(|app| app.places()[0] == *place), "no frame of {place}");
    }
    for screen in Screen::ALL {
        assert!(apps.iter().any(|app| app.screen == *screen && app.layers.is_empty()), "no frame of {screen}");
    }
    let layers = || apps.iter().flat_map(|app| &app.layers);
    for subject in Subject::ALL {
        let has = layers().any(|layer| matches!(layer, Layer::Form(form) if form.subject == *subject));
        assert!(has, "no frame of the form {subject}");
    }
    for purpose in [Purpose::Filter, Purpose::Search, Purpose::Jump] {
        // Without a wildcard: a new purpose has to be listed.
        match purpose {
            Purpose::Filter | Purpose::Search | Purpose::Jump => {}
        }
        let has = layers().any(|layer| matches!(layer, Layer::Input(input) if input.purpose == purpose));
        assert!(has, "no frame of {purpose:?}");
    }
    let about = |kind: fn(&About) -> bool| layers().any(|layer| matches!(layer, Layer::Reader(it) if kind(&it.about)));
    for (kind, has) in [
        ("an explanation", about(|about| matches!(about, About::Explain(_)))),
        ("a diff", about(|about| matches!(about, About::Diff(_)))),
        ("a receipt", about(|about| matches!(about, About::Receipt(_)))),
        ("a text", about(|about| matches!(about, About::Message))),
    ] {
        assert!(has, "no frame of {kind}");
    }
    let boards: [fn(&BoardState) -> bool; 4] = [
        |board| matches!(board, BoardState::Loading),
        |board| matches!(board, BoardState::Ready(_)),
        |board| matches!(board, BoardState::Missing(_)),
        |board| matches!(board, BoardState::Failed(_)),
    ];
    for (index, is_so) in boards.iter().enumerate() {
        assert!(apps.iter().any(|app| is_so(&app.board)), "no frame of board {index}");
    }
}

/// Every frame of the table, for other tests.
pub fn all(width: u16, height: u16) -> impl Iterator<Item = (&'static str, App)> {
    FRAMES.iter().map(move |(name, make)| (*name, make(width, height)))
}
