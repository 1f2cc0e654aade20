//! What each effectful call says about its effect, whatever the server does and whenever it goes.

use std::{
    io::{Read, Write},
    sync::mpsc,
};

use serde_json::{Value, json};
use tungstenite::Message;

use super::{
    super::{connection::Reach, error::CallFailure},
    fake::{End, Fake, Socket, hear, say, status_change, until_gone},
};
use crate::ports::codex_server::{CodexServer, Delivery, Outcome, QueuedMessage, Refusal, ServerError, TakenBy};

const MESSAGE: Delivery<'static> = Delivery { thread: "t", text: "!go", client_id: "m-1" };

/// A call, and what it came to as text.
type Call = (&'static str, fn(&mut CodexServer, &Delivery<'_>) -> Outcome<String>);

/// Every call that changes a session, with its method. Each outcome is shown as text, so that they fit one table.
const CALLS: &[Call] = &[
    ("turn/start", |server, message| shown(server.start_turn(message))),
    ("turn/steer", |server, message| shown(server.steer_turn(message, "u"))),
    ("turn/interrupt", |server, message| shown(server.interrupt_expected_turn(message.thread, message.text))),
    ("thread/queue/add", |server, message| shown(server.queue_add(message))),
    ("thread/queue/delete", |server, message| shown(server.queue_remove(message.thread, message.text))),
];

fn shown<T: std::fmt::Debug>(outcome: Outcome<T>) -> Outcome<String> {
    outcome.map(|taken| format!("{taken:?}"))
}

/// A reply that each of the calls takes for a success.
fn yes(call: &Value) -> Value {
    let queued = json!({"id": "e", "clientUserMessageId": "m-1", "input": [{"type": "text", "text": "a\u{7}b"}]});
    json!({"id": call["id"], "result": {
        "turn": {"id": "u", "items": [], "status": "inProgress"}, "turnId": "u", "deleted": true, "queuedSubmission": queued,
    }})
}

fn no(call: &Value, code: i64, message: &str) -> Value {
    json!({"id": call["id"], "error": {"code": code, "message": message}})
}

/// Makes `call` against a server that answers it with `answer`, and one more that must not be harmed.
fn answered(call: &Call, answer: impl Fn(&Value) -> Value + Send + 'static) -> Outcome<String> {
    let (method, make) = *call;
    let fake = Fake::greeting(move |socket| {
        let heard = hear(socket);
        assert_eq!(heard["method"], method);
        say(socket, &status_change("t", 1));
        say(socket, &answer(&heard));
        until_gone(socket);
    });
    let outcome = make(&mut fake.connect().unwrap(), &MESSAGE);
    fake.finish();
    outcome
}

#[test]
fn an_accepted_message_names_its_turn_or_its_place_in_the_queue() {
    let fake = Fake::greeting(|socket| {
        let input = json!([{"type": "text", "text": "!go"}]);
        for params in [
            json!({"threadId": "t", "input": input, "clientUserMessageId": "m-1"}),
            json!({"threadId": "t", "input": input, "clientUserMessageId": "m-1", "expectedTurnId": "u"}),
            json!({"threadId": "t", "input": input, "clientUserMessageId": "m-1"}),
            json!({"threadId": "t", "queuedSubmissionId": "e"}),
            json!({"threadId": "t", "turnId": "u"}),
        ] {
            let call = hear(socket);
            assert_eq!(call["params"], params);
            say(socket, &yes(&call));
        }
    });
    let mut server = fake.connect().unwrap();
    let taken = TakenBy { turn_id: "u".into() };
    let queued = QueuedMessage { entry_id: "e".into(), client_id: "m-1".into(), text: "ab".into() };
    assert!(matches!(server.start_turn(&MESSAGE), Outcome::Accepted(by) if by == taken));
    assert!(matches!(server.steer_turn(&MESSAGE, "u"), Outcome::Accepted(by) if by == taken));
    assert!(matches!(server.queue_add(&MESSAGE), Outcome::Accepted(entry) if entry == queued));
    assert!(matches!(server.queue_remove("t", "e"), Outcome::Accepted(true)));
    assert!(matches!(server.interrupt_expected_turn("t", "u"), Outcome::Accepted(())));
    fake.finish();
}

#[test]
fn a_refusal_before_any_effect_is_proof_and_an_internal_error_is_none() {
    for call in CALLS {
        for code in [-32600, -32602, -32001] {
            let outcome = answered(call, move |heard| no(heard, code, "not\n\u{1b}[1mtoday"));
            let Outcome::Refused(Refusal::Said { code: said, message }) = outcome else {
                panic!("{} {code}: {outcome:?}", call.0)
            };
            assert_eq!((said, message.as_str()), (code, "not today"));
        }
        let outcome = answered(call, |heard| no(heard, -32601, "Method not found"));
        assert!(matches!(&outcome, Outcome::Refused(Refusal::TooOld { method }) if *method == call.0), "{outcome:?}");
        for code in [-32603, -32000, 0, 1] {
            let outcome = answered(call, move |heard| no(heard, code, "failed to start turn"));
            assert!(matches!(outcome, Outcome::Unknown(ServerError::Rpc { .. })), "{} {code}: {outcome:?}", call.0);
        }
    }
}

#[test]
fn the_servers_words_give_the_reason_of_a_refusal() {
    let refused = |message: &'static str| match answered(&CALLS[1], move |heard| no(heard, -32600, message)) {
        Outcome::Refused(refusal) => refusal,
        other => panic!("{message}: {other:?}"),
    };
    assert!(matches!(refused("no active turn to steer"), Refusal::NoOpenTurn));
    assert!(matches!(refused("no active turn to interrupt"), Refusal::NoOpenTurn));
    assert!(matches!(refused("cannot steer a compact turn"), Refusal::NotSteerable));
    assert!(matches!(refused("thread not found: t"), Refusal::NoThread));
    for message in ["expected active turn id `u` but found `v`", "expected active turn id u but found v"] {
        assert!(matches!(refused(message), Refusal::OtherTurn { open: Some(open) } if open == "v"));
    }
    assert!(matches!(refused("expected active turn id `u`"), Refusal::OtherTurn { open: None }));
    assert!(matches!(refused("input must not be empty"), Refusal::Said { code: -32600, .. }));
}

#[test]
fn a_success_that_cannot_be_read_is_unknown() {
    for call in CALLS.iter().filter(|(method, _)| *method != "turn/interrupt") {
        for result in [json!(null), json!({}), json!([1]), json!({"turn": 7, "turnId": [], "deleted": "yes"})] {
            let outcome = answered(call, move |heard| json!({"id": heard["id"], "result": result}));
            assert!(
                matches!(outcome, Outcome::Unknown(ServerError::UnexpectedReply { .. })),
                "{}: {outcome:?}",
                call.0
            );
        }
    }
    // This one promises nothing in its reply.
    let interrupt = CALLS.iter().find(|(method, _)| *method == "turn/interrupt").unwrap();
    assert!(matches!(answered(interrupt, |heard| json!({"id": heard["id"], "result": null})), Outcome::Accepted(_)));
}

#[test]
fn whatever_ends_a_call_that_was_heard_leaves_its_effect_unknown() {
    for (method, make) in CALLS {
        let ends: [End; 6] = [
            ("gone", |_| {}),
            ("closed", |socket| {
                socket.close(None).unwrap();
                until_gone(socket);
            }),
            ("hung", until_gone),
            ("garbage", |socket| {
                socket.send(Message::text("hello")).unwrap();
                until_gone(socket);
            }),
            ("no message", |socket| {
                say(socket, &json!({"result": {}}));
                until_gone(socket);
            }),
            ("half an answer", |socket| {
                socket.get_mut().write_all(&[0x81, 0x7e, 0x03, 0xe8, b'{', b'"']).unwrap();
            }),
        ];
        for (name, end) in ends {
            let fake = Fake::greeting(move |socket| {
                hear(socket);
                end(socket);
            });
            let mut server = fake.connect().unwrap();
            let outcome = make(&mut server, &MESSAGE);
            assert!(matches!(outcome, Outcome::Unknown(_)), "{method}, {name}: {outcome:?}");
            drop(server);
            fake.finish();
        }
    }
}

#[test]
fn a_call_that_never_left_as_a_whole_is_proven_to_have_had_no_effect() {
    for (method, make) in CALLS {
        // The server has gone before.
        let fake = Fake::greeting(|_| {});
        let mut server = fake.connect().unwrap();
        fake.finish();
        let outcome = make(&mut server, &MESSAGE);
        assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(ServerError::Closed))), "{method}: {outcome:?}");
        let outcome = make(&mut server, &MESSAGE);
        assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(ServerError::Closed))), "{method}: {outcome:?}");

        // It does not read, and the message is larger than what the system holds for it.
        let (done, wait) = mpsc::channel::<()>();
        let fake = Fake::greeting(move |_| {
            let _ = wait.recv();
        });
        let mut server = fake.connect().unwrap();
        let text = "x".repeat(8 * 1024 * 1024);
        let outcome = make(&mut server, &Delivery { text: &text, ..MESSAGE });
        let timed_out = matches!(outcome, Outcome::Refused(Refusal::NotSent(ServerError::Timeout { .. })));
        assert!(timed_out, "{method}: {outcome:?}");
        // The rest must not follow: that would be the effect after all.
        let outcome = make(&mut server, &MESSAGE);
        assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(ServerError::Closed))), "{method}: {outcome:?}");
        drop(done);
        fake.finish();
    }
}

#[test]
fn one_byte_decides_whether_a_message_can_have_arrived() {
    let reach = |left| CallFailure::after(left, 10, ServerError::Closed).reach;
    assert_eq!([0, 9, 10, 16].map(reach), [Reach::NotSent, Reach::NotSent, Reach::Sent, Reach::Sent]);
    // A closing brace is the last byte of every message, so nine of ten bytes are no message.
    assert!(serde_json::from_str::<Value>(r#"{"id": 1}"#.split_at(8).0).is_err());
}

#[test]
fn what_reached_a_server_that_did_not_read_it_all_is_no_message() {
    let (tell, told) = mpsc::channel::<()>();
    let fake = Fake::greeting(move |socket| {
        let _ = told.recv();
        let stream = socket.get_mut();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        // The frame says how long it is, and is not.
        assert!(bytes.len() < 8 * 1024 * 1024, "{}", bytes.len());
    });
    let mut server = fake.connect().unwrap();
    let text = "x".repeat(8 * 1024 * 1024);
    let outcome = server.start_turn(&Delivery { text: &text, ..MESSAGE });
    assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(_))), "{outcome:?}");
    drop(server);
    drop(tell);
    fake.finish();
}

#[test]
fn a_late_answer_is_not_taken_for_the_answer_to_the_next_call() {
    let fake = Fake::greeting(|socket| {
        let slow = hear(socket);
        let next = hear(socket);
        say(socket, &yes(&slow));
        say(socket, &no(&next, -32600, "no active turn to steer"));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    assert!(matches!(server.start_turn(&MESSAGE), Outcome::Unknown(ServerError::Timeout { .. })));
    assert!(matches!(server.steer_turn(&MESSAGE, "u"), Outcome::Refused(Refusal::NoOpenTurn)));
    drop(server);
    fake.finish();
}

#[test]
fn a_replaced_server_takes_the_message_of_a_new_connection_only() {
    let fake = Fake::greeting(|socket| {
        hear(socket);
    });
    let mut old = fake.connect().unwrap();
    assert!(matches!(old.start_turn(&MESSAGE), Outcome::Unknown(ServerError::Closed)));
    let fake = fake.replaced(|socket| {
        let call = hear(socket);
        say(socket, &yes(&call));
    });
    assert!(matches!(old.start_turn(&MESSAGE), Outcome::Refused(Refusal::NotSent(ServerError::Closed))));
    let mut new = fake.connect().unwrap();
    assert!(matches!(new.start_turn(&MESSAGE), Outcome::Accepted(_)));
    fake.finish();
}

#[test]
fn a_thread_that_the_queue_cannot_find_is_proof_as_well() {
    let message = "failed to read thread: invalid thread-store request: no rollout found for thread id t";
    let outcome = answered(&CALLS[3], move |heard| no(heard, -32603, message));
    assert!(matches!(outcome, Outcome::Refused(Refusal::NoThread)), "{outcome:?}");
    // Of other calls, and in other words, it proves nothing.
    let outcome = answered(&CALLS[0], move |heard| no(heard, -32603, message));
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    let outcome = answered(&CALLS[3], |heard| no(heard, -32603, "failed to add queued turn: disk I/O error"));
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[test]
fn only_an_idle_thread_is_compacted() {
    /// Answers the question for the status, and says whether a compaction was asked for.
    fn compacting(status: Value, end: fn(&mut Socket, &Value)) -> (Outcome<()>, bool) {
        let (tell, told) = mpsc::channel();
        let fake = Fake::greeting(move |socket| {
            let call = hear(socket);
            assert_eq!(call["method"], "thread/read");
            say(socket, &json!({"id": call["id"], "result": {"thread": {"id": "t", "status": status}}}));
            if let Ok(next) = socket.read() {
                let call: Value = serde_json::from_str(next.to_text().unwrap()).unwrap_or_default();
                tell.send(call["method"] == "thread/compact/start" && call["params"] == json!({"threadId": "t"}))
                    .unwrap();
                end(socket, &call);
            }
        });
        let outcome = fake.connect().unwrap().compact_thread("t");
        fake.finish();
        (outcome, told.try_recv().unwrap_or(false))
    }

    let answer: fn(&mut Socket, &Value) = |socket, call| say(socket, &json!({"id": call["id"], "result": {}}));
    for status in [json!({"type": "idle"}), json!({"type": "systemError"})] {
        assert!(matches!(compacting(status, answer), (Outcome::Accepted(()), true)));
    }
    for status in [json!({"type": "active", "activeFlags": ["waitingOnApproval"]}), json!({"type": "new"})] {
        assert!(matches!(compacting(status, answer), (Outcome::Refused(Refusal::Busy { .. }), false)));
    }
    let (outcome, asked) = compacting(json!({"type": "notLoaded"}), answer);
    assert!(matches!(outcome, Outcome::Refused(Refusal::NoThread)) && !asked, "{outcome:?}");
    let (outcome, asked) = compacting(json!({"type": "idle"}), |_, _| {});
    assert!(matches!(outcome, Outcome::Unknown(ServerError::Closed)) && asked, "{outcome:?}");
    // What cannot be asked is not tried.
    let (outcome, asked) = compacting(json!("idle"), answer);
    assert!(matches!(outcome, Outcome::Refused(Refusal::NotSent(_))) && !asked, "{outcome:?}");
}

#[test]
fn a_message_is_found_among_the_newest_items() {
    let fake = Fake::greeting(|socket| {
        for _ in 0..2 {
            let mut more = json!(null);
            for page in 0..2 {
                let call = hear(socket);
                assert_eq!(
                    (&call["method"], &call["params"]["sortDirection"]),
                    (&json!("thread/items/list"), &json!("desc"))
                );
                assert_eq!((&call["params"]["limit"], &call["params"]["cursor"]), (&json!([50, 10][page]), &more));
                let item = json!({"turnId": format!("u{page}"), "item": {"type": "userMessage", "clientId": format!("m-{page}")}});
                let other = json!({"turnId": "v", "item": {"type": "commandExecution", "clientId": "m-2"}});
                more = json!("more");
                let mut data = vec![other; [49, 9][page]];
                data.push(item);
                say(socket, &json!({"id": call["id"], "result": {"data": data, "nextCursor": more}}));
            }
        }
    });
    let mut server = fake.connect().unwrap();
    assert_eq!(server.find_message("t", "m-1", 60).unwrap(), Some(TakenBy { turn_id: "u1".into() }));
    assert_eq!(server.find_message("t", "m-2", 60).unwrap(), None);
    fake.finish();
}

#[test]
fn the_queue_is_listed_page_by_page() {
    let fake = Fake::greeting(|socket| {
        for (cursor, next) in [(json!(null), json!("more")), (json!("more"), json!(null))] {
            let call = hear(socket);
            assert_eq!((&call["method"], &call["params"]["threadId"]), (&json!("thread/queue/list"), &json!("t")));
            assert_eq!(call["params"]["cursor"], cursor);
            let entry = json!({"id": "e", "clientUserMessageId": "m-1", "input": [
                {"type": "image", "url": "x"}, {"type": "text", "text": "one"}, {"type": "text", "text": "two"}]});
            say(socket, &json!({"id": call["id"], "result": {"data": [entry], "nextCursor": next}}));
        }
    });
    let mut server = fake.connect().unwrap();
    let entry = QueuedMessage { entry_id: "e".into(), client_id: "m-1".into(), text: "one two".into() };
    assert_eq!(server.queue_list("t").unwrap(), [entry.clone(), entry]);
    fake.finish();
}
