//! The client of Codex's server against the real one, with a terminal beside it.

use std::time::{Duration, Instant};

use conveyor::{
    model::state::{Condition, Source},
    ports::{
        codex_cli::ServerStart,
        codex_server::{
            ApprovalPolicy, CodexServer, NewThread, Notification, Sandbox, ServerError, ThreadFilter, ThreadStatus,
            Timeouts,
        },
    },
};

use rustix::process::Signal;

use super::pane::{PATIENCE, Pane};
use crate::support::codex_lab::{CodexLab, skipped, within};

const BUSY: ThreadStatus = ThreadStatus::Active { waiting_on_approval: false, waiting_on_user_input: false };
const ASKS: ThreadStatus = ThreadStatus::Active { waiting_on_approval: true, waiting_on_user_input: false };

/// Collects notifications until one says that `thread` is `wanted`.
#[track_caller]
fn wait_for_status(server: &mut CodexServer, thread: &str, wanted: &ThreadStatus, pane: &Pane) -> Vec<Notification> {
    let mut heard = Vec::new();
    let arrived = within(PATIENCE, || {
        heard.extend(server.poll_notifications(Duration::from_millis(200)).expect("the server keeps talking"));
        heard.iter().any(|item| {
            matches!(item, Notification::Status(change) if change.thread_id == thread && change.status == *wanted)
        })
    });
    assert!(arrived, "{wanted:?} never came:\n{heard:#?}\n{}", pane.screen());
    heard
}

#[test]
fn a_thread_made_through_the_server_is_followed_while_a_terminal_shows_it() {
    let Some(lab) = CodexLab::start(&["tmux"]) else { return };
    let cli = lab.cli();
    let version = cli.version().unwrap();
    if !cli.has_server().unwrap() {
        return skipped("codex 0.162 or later");
    }

    // Nobody has started the server yet.
    let started = Instant::now();
    let refused = CodexServer::connect(&lab.home(), Timeouts::default());
    assert!(matches!(refused, Err(ServerError::NotRunning { .. })), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(cli.ensure_server(Duration::from_secs(60)).unwrap(), ServerStart::Started);
    assert_eq!(cli.ensure_server(Duration::from_secs(60)).unwrap(), ServerStart::AlreadyRunning);

    // Id and rollout are known before there is a terminal or a file.
    let mut server = CodexServer::connect(&lab.home(), Timeouts::default()).unwrap();
    assert_eq!(server.version(), Some(version));
    let project = lab.project();
    let new = NewThread {
        cwd: &project,
        sandbox: Sandbox::WorkspaceWrite,
        approval: ApprovalPolicy::OnRequest,
        model: None,
        writable: &[],
    };
    let thread = server.start_thread(&new).unwrap();
    let rollout = thread.rollout.clone().unwrap();
    assert!(rollout.starts_with(lab.home().join("sessions")) && rollout.to_string_lossy().contains(&thread.id));
    assert!(!rollout.exists());
    server.name_thread(&thread.id, "lab worker").unwrap();
    assert!(rollout.exists(), "a name is what makes a rollout");
    let known = server.read_thread(&thread.id).unwrap();
    assert_eq!((known.status.clone(), known.name.as_deref()), (ThreadStatus::Idle, Some("lab worker")));
    assert_eq!((known.cwd, known.rollout), (Some(project.clone()), Some(rollout.clone())));
    assert_eq!(server.loaded_threads().unwrap(), std::slice::from_ref(&thread.id));

    let pane = Pane::open(&lab.command_line(&["resume", &thread.id]), &project);
    pane.wait_for("Ask Codex to do anything");

    // A turn that lasts as long as we want.
    lab.rule("^hold the line", "{{hold line}} {{say Held.}}");
    pane.say("hold the line");
    wait_for_status(&mut server, &thread.id, &BUSY, &pane);
    let busy = server.read_thread(&thread.id).unwrap().status.reading(None);
    assert_eq!((busy.source, busy.condition), (Source::Server, Condition::Busy));
    lab.release("line");
    wait_for_status(&mut server, &thread.id, &ThreadStatus::Idle, &pane);

    // An approval: the status says so, we are asked too, and nothing happens until the terminal answers.
    let proof = project.join("proof");
    lab.rule("^touch it", &format!("{{{{shell-esc touch {}}}}} {{{{say Touched.}}}}", proof.display()));
    pane.say("touch it");
    let mut heard = wait_for_status(&mut server, &thread.id, &ASKS, &pane);
    assert_eq!(server.read_thread(&thread.id).unwrap().status.reading(None).condition, Condition::Blocked);
    pane.wait_for("Would you like to run the following command?");
    heard.extend(server.poll_notifications(Duration::from_millis(200)).unwrap());
    let is_question =
        |item: &Notification| matches!(item, Notification::Approval(asked) if asked.thread_id == thread.id);
    assert!(heard.iter().any(is_question), "{heard:#?}");
    assert!(!proof.exists(), "nobody has approved anything");
    pane.tmux(&["send-keys", "-t", "s", "y"]);
    wait_for_status(&mut server, &thread.id, &ThreadStatus::Idle, &pane);
    assert!(proof.exists());

    // A failed turn.
    lab.reset();
    lab.rule("^fail now", "{{http 429 usage_limit}}");
    pane.say("fail now");
    wait_for_status(&mut server, &thread.id, &ThreadStatus::SystemError, &pane);
    let listed = server.list_threads(&ThreadFilter { most: 10, cwd: Some(&project) }).unwrap();
    let [listed] = listed.as_slice() else { panic!("{listed:#?}") };
    assert_eq!((listed.id.as_str(), listed.status.reading(None).condition), (thread.id.as_str(), Condition::Aborted));
    let unknown = server.read_thread("01a1fc39-6e9e-7540-a0f0-843c7e6a0827").unwrap_err();
    assert!(matches!(unknown, ServerError::Rpc { .. }), "{unknown}");

    // A server that hangs costs the limit, and nothing else.
    let quick = Timeouts { connect: Duration::from_millis(300), call: Duration::from_secs(5) };
    lab.signal_server(Signal::STOP);
    let started = Instant::now();
    let hung = CodexServer::connect(&lab.home(), quick);
    assert!(matches!(hung, Err(ServerError::Timeout { .. })), "{hung:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
    lab.signal_server(Signal::CONT);
    assert_eq!(server.read_thread(&thread.id).unwrap().status, ThreadStatus::SystemError);

    // A server that dies leaves its socket behind.
    drop(pane);
    lab.signal_server(Signal::KILL);
    let end =
        within(PATIENCE, || matches!(server.poll_notifications(Duration::from_millis(200)), Err(ServerError::Closed)));
    assert!(end, "the end of the server was not noticed");
    // Its connections end one after the other, and the socket it listens on may be the last.
    let is_gone =
        || matches!(CodexServer::connect(&lab.home(), Timeouts::default()), Err(ServerError::NotRunning { .. }));
    assert!(within(PATIENCE, is_gone), "{:?}", CodexServer::connect(&lab.home(), Timeouts::default()));
}
