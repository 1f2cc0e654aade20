//! The client against a server inside the test, which misbehaves in every way a real one could.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::Message;

use super::{
    super::notification::Waiting,
    fake::{Fake, QUICK, hear, say, status_change, until_gone},
};
use crate::{
    base::Timestamp,
    model::state::{Condition, Source},
    ports::codex_server::{
        ApprovalPolicy, CodexServer, NewThread, Notification, RequestId, Sandbox, ServerError, StatusChange,
        ThreadFilter, ThreadInfo, ThreadStatus, Timeouts, socket_path,
    },
};

#[test]
fn the_greeting_names_us_and_learns_the_servers_version() {
    let fake = Fake::raw(|stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        let hello = hear(&mut socket);
        assert_eq!(hello["method"], "initialize");
        assert_eq!(hello["params"]["clientInfo"]["name"], "conveyor");
        assert_eq!(hello["params"]["capabilities"]["experimentalApi"], true);
        assert!(hello.get("jsonrpc").is_none());
        say(&mut socket, &json!({"id": hello["id"], "result": {"userAgent": "conveyor/0.169.0 (Debian 12; x86_64)"}}));
        assert_eq!(hear(&mut socket), json!({"method": "initialized"}));
    });
    let server = fake.connect().unwrap();
    assert_eq!(server.version(), "0.169.0".parse().ok());
    fake.finish();
}

#[test]
fn replies_are_found_among_notifications_and_questions() {
    let fake = Fake::greeting(|socket| {
        let call = hear(socket);
        say(socket, &status_change("t1", 1_795_230_676_879));
        // The server numbers its questions on its own; this number is also our call's.
        say(socket, &json!({"id": call["id"], "method": "item/commandExecution/requestApproval", "params": {"a": 1}}));
        say(socket, &json!({"method": "brand/new", "params": ["anything", {"x": null}]}));
        say(socket, &json!({"method": "no/parameters"}));
        say(socket, &json!({"id": 999, "result": "a reply to nobody"}));
        say(socket, &json!({"id": call["id"], "result": {"data": ["t1", "t2"], "nextCursor": null}}));
        // Nothing must be answered to the question.
        assert!(socket.read().is_err());
    });
    let mut server = fake.connect().unwrap();
    assert_eq!(server.loaded_threads().unwrap(), ["t1", "t2"]);
    let heard = server.poll_notifications(Duration::ZERO).unwrap();
    let other = |method: &str, params: &str| Notification::Other { method: method.into(), params: params.into() };
    assert_eq!(
        heard,
        [
            Notification::Status(StatusChange {
                thread_id: "t1".into(),
                status: ThreadStatus::Idle,
                at: Some(Timestamp::from_millis(1_795_230_676_879)),
            }),
            Notification::Request {
                id: RequestId::Number(2),
                method: "item/commandExecution/requestApproval".into(),
                params: r#"{"a":1}"#.into(),
            },
            other("brand/new", r#"["anything",{"x":null}]"#),
            other("no/parameters", ""),
        ]
    );
    assert_eq!(server.poll_notifications(Duration::ZERO).unwrap(), []);
    drop(server);
    fake.finish();
}

#[test]
fn a_status_change_of_an_unknown_shape_is_opaque() {
    let fake = Fake::greeting(|socket| {
        say(socket, &json!({"method": "thread/status/changed", "params": {"thread": 1}, "emittedAtMs": "soon"}));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    let heard = server.poll_notifications(Duration::from_secs(5)).unwrap();
    assert!(matches!(heard.as_slice(), [Notification::Other { .. }]), "{heard:?}");
    drop(server);
    fake.finish();
}

#[test]
fn a_refusal_is_told_apart_from_an_unknown_call() {
    let fake = Fake::greeting(|socket| {
        let call = hear(socket);
        say(socket, &json!({"id": call["id"], "error": {"code": -32600, "message": "thread not\n\u{1b}[1mloaded: x"}}));
        let call = hear(socket);
        let unknown = "Invalid request: unknown variant `thread/name/set`, expected one of `initialize`";
        say(socket, &json!({"id": call["id"], "error": {"code": -32600, "message": unknown}}));
        let call = hear(socket);
        say(socket, &json!({"id": call["id"], "result": {"thread": "not an object"}}));
        let call = hear(socket);
        say(socket, &json!({"id": call["id"], "result": {}}));
    });
    let mut server = fake.connect().unwrap();
    let refused = server.read_thread("x").unwrap_err();
    assert_eq!(refused.to_string(), "codex server refused `thread/read`: thread not loaded: x (code -32600)");
    assert!(matches!(server.name_thread("x", "n"), Err(ServerError::TooOld { method: "thread/name/set" })));
    assert!(matches!(server.read_thread("x"), Err(ServerError::UnexpectedReply { .. })));
    // None of these harms the connection.
    server.name_thread("x", "n").unwrap();
    fake.finish();
}

#[test]
fn a_silent_server_costs_the_limit_and_its_late_reply_is_dropped() {
    let fake = Fake::greeting(|socket| {
        let slow = hear(socket);
        let next = hear(socket);
        say(socket, &json!({"id": slow["id"], "result": {"data": ["late"]}}));
        say(socket, &json!({"id": next["id"], "result": {"data": ["in time"]}}));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    let started = Instant::now();
    let error = server.loaded_threads().unwrap_err();
    assert!(matches!(error, ServerError::Timeout { to: "thread/loaded/list", .. }), "{error}");
    let waited = started.elapsed();
    assert!(waited >= QUICK.call && waited < QUICK.call * 5, "{waited:?}");
    assert_eq!(server.loaded_threads().unwrap(), ["in time"]);
    drop(server);
    fake.finish();
}

#[test]
fn a_reply_torn_by_the_limit_is_put_together_later() {
    let fake = Fake::greeting(|socket| {
        let text = status_change("torn", 1).to_string();
        let stream = socket.get_mut();
        stream.write_all(&[0x81, 0x7e, 0, u8::try_from(text.len()).unwrap()]).unwrap();
        stream.write_all(&text.as_bytes()[..20]).unwrap();
        thread::sleep(Duration::from_millis(200));
        stream.write_all(&text.as_bytes()[20..]).unwrap();
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    assert_eq!(server.poll_notifications(Duration::from_millis(50)).unwrap(), []);
    let heard = server.poll_notifications(Duration::from_secs(5)).unwrap();
    assert!(matches!(heard.as_slice(), [Notification::Status(_)]), "{heard:?}");
    drop(server);
    fake.finish();
}

#[test]
fn neither_trickled_bytes_nor_pings_nor_notifications_prolong_a_wait() {
    fn end_of(fake: &Fake) -> ServerError {
        let started = Instant::now();
        let error = fake.connect().and_then(|mut server| server.loaded_threads()).unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
        error
    }
    let pause = Duration::from_millis(20);

    let upgrade = Fake::raw(move |mut stream| {
        while stream.write_all(b"H").is_ok() {
            thread::sleep(pause)
        }
    });
    assert!(matches!(end_of(&upgrade), ServerError::UnexpectedReply { .. } | ServerError::Timeout { .. }));

    let slow_header = Fake::raw(move |mut stream| {
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nX: ").unwrap();
        while stream.write_all(b"y").is_ok() {
            thread::sleep(pause);
        }
    });
    assert!(matches!(end_of(&slow_header), ServerError::Timeout { .. }));

    let pings = Fake::greeting(move |socket| {
        while socket.send(Message::Ping(Vec::new().into())).is_ok() {
            thread::sleep(pause);
        }
    });
    assert!(matches!(end_of(&pings), ServerError::Timeout { .. }));

    let flood = Fake::greeting(|socket| while socket.send(Message::Ping(vec![0; 100].into())).is_ok() {});
    assert!(matches!(end_of(&flood), ServerError::Timeout { .. }));

    let chatter = Fake::greeting(move |socket| {
        while socket.send(Message::text(status_change("t", 1).to_string())).is_ok() {
            thread::sleep(pause);
        }
    });
    assert!(matches!(end_of(&chatter), ServerError::Timeout { .. }));
}

#[test]
fn a_server_that_stops_reading_does_not_hold_a_call() {
    let fake = Fake::greeting(|socket| thread::sleep(if socket.can_read() { QUICK.call * 3 } else { QUICK.call }));
    let mut server = fake.connect().unwrap();
    let name = "n".repeat(8 * 1024 * 1024);
    let error = server.name_thread("t", &name).unwrap_err();
    assert!(matches!(error, ServerError::Timeout { .. }), "{error}");
    // Half of the call is out, so the connection is of no more use.
    assert!(matches!(server.loaded_threads(), Err(ServerError::Closed)));
    fake.finish();
}

#[test]
fn a_server_that_dies_within_a_reply_closes_the_connection() {
    let fake = Fake::greeting(|socket| {
        hear(socket);
        // A frame of 1000 bytes that ends after two.
        socket.get_mut().write_all(&[0x81, 0x7e, 0x03, 0xe8, b'{', b'"']).unwrap();
    });
    let mut server = fake.connect().unwrap();
    assert!(matches!(server.loaded_threads(), Err(ServerError::Closed)));
    assert!(matches!(server.loaded_threads(), Err(ServerError::Closed)));
    assert!(matches!(server.poll_notifications(Duration::ZERO), Err(ServerError::Closed)));
    fake.finish();
}

#[test]
fn what_was_said_before_the_end_is_handed_out_before_the_error() {
    let fake = Fake::greeting(|socket| {
        say(socket, &status_change("t1", 1));
        socket.close(None).unwrap();
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    let heard = server.poll_notifications(Duration::from_secs(5)).unwrap();
    assert_eq!(heard.len(), 1);
    assert!(matches!(server.poll_notifications(Duration::from_secs(5)), Err(ServerError::Closed)));
    drop(server);
    fake.finish();
}

#[test]
fn a_message_above_the_bound_is_refused_by_its_length() {
    let fake = Fake::greeting(|socket| {
        hear(socket);
        // The header of a message of four gigabytes, of which nothing follows.
        socket.get_mut().write_all(&[0x81, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    let error = server.loaded_threads().unwrap_err();
    assert!(matches!(error, ServerError::UnexpectedReply { .. }), "{error}");
    assert!(matches!(server.loaded_threads(), Err(ServerError::Closed)));
    drop(server);
    fake.finish();
}

#[test]
fn fragments_count_together_against_the_bound() {
    let fake = Fake::greeting(|socket| {
        hear(socket);
        // A message that never ends, in pieces of 100 bytes.
        let mut piece = vec![0x01, 100];
        piece.extend([b'x'; 100]);
        while socket.get_mut().write_all(&piece).is_ok() {
            piece[0] = 0x00;
        }
    });
    let mut server = CodexServer::connect_to(&socket_path(fake.home.path()), QUICK, 4096).unwrap();
    let error = server.loaded_threads().unwrap_err();
    assert!(matches!(error, ServerError::UnexpectedReply { .. }), "{error}");
    drop(server);
    fake.finish();
}

#[test]
fn other_programs_are_not_mistaken_for_the_server() {
    let answers: [(&[u8], &str); 4] = [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n", "garbage"),
        (&[0xff; 300], "binary garbage"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "a plain web server"),
        (b"{\"id\":1,\"result\":{}}\n\n", "JSON lines"),
    ];
    for (answer, name) in answers {
        let fake = Fake::raw(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer).unwrap();
        });
        let error = fake.connect().unwrap_err();
        assert!(matches!(error, ServerError::UnexpectedReply { .. }), "{name}: {error:?}");
        fake.finish();
    }

    let speaks_something_else = Fake::greeting(|socket| {
        hear(socket);
        socket.send(Message::text("hello")).unwrap();
        until_gone(socket);
    });
    let mut server = speaks_something_else.connect().unwrap();
    assert!(matches!(server.loaded_threads(), Err(ServerError::UnexpectedReply { .. })));
    assert!(matches!(server.loaded_threads(), Err(ServerError::Closed)));
    drop(server);
    speaks_something_else.finish();
}

#[test]
fn a_server_that_hangs_up_at_once_is_closed() {
    let fake = Fake::raw(drop);
    assert!(matches!(fake.connect(), Err(ServerError::Closed)));
    fake.finish();
}

#[test]
fn nobody_listening_is_known_at_once() {
    let assert_not_running = |home: &Path, case: &str| {
        let started = Instant::now();
        let result = CodexServer::connect(home, Timeouts::default());
        assert!(matches!(result, Err(ServerError::NotRunning { .. })), "{case}: {result:?}");
        assert!(started.elapsed() < Duration::from_millis(500), "{case}");
    };
    let home = tempfile::tempdir().unwrap();
    let socket = socket_path(home.path());
    assert_not_running(home.path(), "no folder");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    assert_not_running(home.path(), "no socket");
    drop(UnixListener::bind(&socket).unwrap());
    assert_not_running(home.path(), "a socket left behind");
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "").unwrap();
    assert_not_running(home.path(), "a file");
    fs::remove_file(&socket).unwrap();
    symlink(home.path().join("gone"), &socket).unwrap();
    assert_not_running(home.path(), "a link to nowhere");
    assert_not_running(&home.path().join("x".repeat(150)), "a long path to nowhere");
}

// Elsewhere a full queue refuses like a socket that nobody listens on.
#[cfg(target_os = "linux")]
#[test]
fn a_full_queue_of_clients_does_not_hold_us() {
    let home = tempfile::tempdir().unwrap();
    let path = socket_path(home.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    // A client that nobody accepts fills it.
    let _queued = UnixStream::connect(&path).unwrap();
    let started = Instant::now();
    let error = CodexServer::connect(home.path(), QUICK).unwrap_err();
    assert!(matches!(error, ServerError::Timeout { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_home_too_deep_for_a_socket_address_works_through_its_link() {
    let fake = Fake::greeting(until_gone);
    let deep = fake.home.path().join("d".repeat(120));
    let link = socket_path(&deep);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(socket_path(fake.home.path()), &link).unwrap();
    drop(CodexServer::connect(&deep, QUICK).unwrap());
    fake.finish();
}

#[test]
fn a_listing_is_collected_page_by_page_and_ends() {
    let fake = Fake::greeting(|socket| {
        for number in 0..3 {
            let call = hear(socket);
            assert_eq!(call["params"]["limit"], [5, 3, 1][number]);
            assert_eq!(call["params"]["cursor"], [json!(null), json!("more"), json!("more")][number]);
            assert_eq!(call["params"]["cwd"], "/srv/project");
            let thread = json!({"id": "t", "status": {"type": "idle"}});
            say(socket, &json!({"id": call["id"], "result": {"data": [thread, thread], "nextCursor": "more"}}));
        }
        // A server without end: the limit of the call holds for all pages together.
        while let Ok(Message::Text(text)) = socket.read() {
            let call: Value = serde_json::from_str(text.as_str()).unwrap();
            thread::sleep(Duration::from_millis(50));
            let _ = socket.send(Message::text(
                json!({"id": call["id"], "result": {"data": [], "nextCursor": "more"}}).to_string(),
            ));
        }
    });
    let mut server = fake.connect().unwrap();
    let filter = ThreadFilter { most: 5, cwd: Some(Path::new("/srv/project")) };
    assert_eq!(server.list_threads(&filter).unwrap().len(), 5);
    assert!(matches!(server.list_threads(&filter), Err(ServerError::Timeout { .. })));
    drop(server);
    fake.finish();
}

#[test]
fn a_thread_is_started_with_what_was_asked_for() {
    let fake = Fake::greeting(|socket| {
        let call = hear(socket);
        assert_eq!(
            call["params"],
            json!({"cwd": "/srv/project", "sandbox": "workspace-write", "approvalPolicy": "on-request", "model": "m"})
        );
        // As Codex 0.169.0 answers, shortened.
        say(
            socket,
            &json!({"id": call["id"], "result": {"thread": {
                "id": "01a1fc3a-3b09-7df2-b96c-e87b3a576808", "environments": [], "preview": "", "ephemeral": false,
                "createdAt": 1_795_233_037, "updatedAt": 1_795_233_038, "status": {"type": "idle"},
                "path": "/home/user/.codex/sessions/2026/11/21/rollout-2026-11-21T03-50-37-01a1fc3a.jsonl",
                "cwd": "/srv/project", "cliVersion": "0.169.0", "originator": "conveyor", "source": "vscode",
                "model": "gpt-6.1-sol", "name": null, "parentThreadId": null, "turns": []
            }, "sandbox": {"type": "workspaceWrite"}}}),
        );
    });
    let mut server = fake.connect().unwrap();
    let new = NewThread {
        cwd: Path::new("/srv/project"),
        sandbox: Sandbox::WorkspaceWrite,
        approval: ApprovalPolicy::OnRequest,
        model: Some("m"),
        writable: &[],
    };
    assert_eq!(
        server.start_thread(&new).unwrap(),
        ThreadInfo {
            id: "01a1fc3a-3b09-7df2-b96c-e87b3a576808".into(),
            status: ThreadStatus::Idle,
            cwd: Some("/srv/project".into()),
            rollout: Some(PathBuf::from(
                "/home/user/.codex/sessions/2026/11/21/rollout-2026-11-21T03-50-37-01a1fc3a.jsonl"
            )),
            name: None,
            preview: None,
            source: Some("vscode".into()),
            parent_id: None,
            ephemeral: false,
            model: Some("gpt-6.1-sol".into()),
            codex_version: Some("0.169.0".into()),
            created_at: Some(Timestamp::from_millis(1_795_233_037_000)),
            updated_at: Some(Timestamp::from_millis(1_795_233_038_000)),
        }
    );
    fake.finish();
}

#[test]
fn a_turn_is_interrupted_by_its_id_and_only_when_one_is_open() {
    let fake = Fake::greeting(|socket| {
        let mut answer = |method: &str, result: Value| {
            let call = hear(socket);
            assert_eq!((&call["method"], &call["params"]["threadId"]), (&json!(method), &json!("t")));
            say(socket, &json!({"id": call["id"], "result": result}));
            call["params"].clone()
        };
        answer("thread/read", json!({"thread": {"id": "t", "status": {"type": "active", "activeFlags": []}}}));
        let params = answer("thread/turns/list", json!({"data": [{"id": "u", "status": "inProgress", "items": []}]}));
        assert_eq!((&params["limit"], &params["sortDirection"]), (&json!(1), &json!("desc")));
        assert_eq!(answer("turn/interrupt", json!({}))["turnId"], "u");
        // Active, and the newest turn is still the one before.
        answer("thread/read", json!({"thread": {"id": "t", "status": {"type": "active", "activeFlags": []}}}));
        answer("thread/turns/list", json!({"data": [{"id": "u", "status": "interrupted", "items": []}]}));
        answer("thread/read", json!({"thread": {"id": "t", "status": {"type": "idle"}}}));
        answer("thread/archive", json!({}));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    assert!(server.interrupt_turn("t").unwrap());
    assert!(server.interrupt_turn("t").unwrap());
    assert!(!server.interrupt_turn("t").unwrap());
    server.archive_thread("t").unwrap();
    drop(server);
    fake.finish();
}

#[test]
fn a_thread_of_a_sub_agent_is_read_and_its_texts_are_cleaned() {
    let thread: ThreadInfo = serde_json::from_value(json!({
        "id": "t", "status": {"type": "active", "activeFlags": []}, "name": "a\u{1b}[31m\nb\u{202e}",
        "source": {"subAgent": {"thread_spawn": {"depth": 1}}}, "parentThreadId": "p", "somethingNew": [1]
    }))
    .unwrap();
    assert_eq!(thread.name.as_deref(), Some("a b"));
    assert_eq!(thread.source.as_deref(), Some("subAgent"));
    assert_eq!(thread.parent_id.as_deref(), Some("p"));
}

#[test]
fn each_status_gives_its_reading_and_an_unknown_one_gives_unknown() {
    let at = Some(Timestamp::from_millis(7));
    let reading = |status: Value| serde_json::from_value::<ThreadStatus>(status).unwrap().reading(at);
    let active = |flags: &[&str]| json!({"type": "active", "activeFlags": flags});
    for (status, condition, rule) in [
        (json!({"type": "idle"}), Condition::Idle, "server_idle"),
        (json!({"type": "notLoaded"}), Condition::Unknown, "server_not_loaded"),
        (json!({"type": "systemError"}), Condition::Aborted, "server_system_error"),
        (active(&[]), Condition::Busy, "server_active"),
        (json!({"type": "active"}), Condition::Busy, "server_active"),
        (active(&["waitingOnApproval"]), Condition::Blocked, "server_approval"),
        (active(&["waitingOnUserInput"]), Condition::Blocked, "server_user_input"),
        (active(&["somethingNew", "waitingOnUserInput"]), Condition::Blocked, "server_user_input"),
        (active(&["waitingOnTheMoon"]), Condition::Unknown, "server_unknown_status"),
        (json!({"type": "hibernating", "until": 3}), Condition::Unknown, "server_unknown_status"),
    ] {
        let reading = reading(status.clone());
        assert_eq!((reading.condition, reading.rule.as_str()), (condition, rule), "{status}");
        assert_eq!((reading.source, reading.at), (Source::Server, at));
    }
    assert!(reading(json!({"type": "hibernating"})).reason.contains("hibernating"));
}

#[test]
fn uncollected_notifications_are_bounded_and_the_loss_is_told() {
    let other = || Notification::Other { method: "item/started".into(), params: String::new() };
    let status = Notification::Status(StatusChange { thread_id: "t".into(), status: ThreadStatus::Idle, at: None });

    // In number: the status change is the oldest and stays.
    let mut waiting = Waiting::default();
    waiting.keep(status.clone(), 100);
    for _ in 0..2000 {
        waiting.keep(other(), 100);
    }
    let heard = waiting.take();
    assert_eq!(heard[..2], [Notification::Missed(2001 - 1024), status.clone()]);
    assert_eq!(heard.len(), 1025);
    assert!(waiting.is_empty());

    // In bytes.
    for _ in 0..10 {
        waiting.keep(other(), 3 * 1024 * 1024);
    }
    waiting.keep(other(), usize::MAX);
    assert_eq!(waiting.take(), [Notification::Missed(9), other(), other()]);

    // Status changes alone.
    for _ in 0..1030 {
        waiting.keep(status.clone(), 100);
    }
    assert_eq!(waiting.take().first(), Some(&Notification::Missed(6)));
}
