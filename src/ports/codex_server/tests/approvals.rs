//! Questions of the server and our answers: only to what is open, only over the connection it came by.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use super::fake::{End, Fake, Socket, hear, say, until_gone};
use crate::{
    base::Timestamp,
    ports::codex_server::{
        Action, Approval, CodexServer, Decision, Notification, Outcome, Refusal, RequestId, ServerError,
    },
};

/// As Codex 0.169.0 asks, shortened.
fn ask(socket: &mut Socket, number: i64, item: &str, command: &str) {
    let params = json!({
        "kind": "command", "threadId": "t", "turnId": "u", "itemId": item, "startedAtMs": 7, "command": command,
        "cwd": "/srv/project", "reason": "needed\u{1b}[1m", "availableDecisions": ["accept", "cancel"], "new": {},
    });
    say(socket, &json!({"id": number, "method": "item/commandExecution/requestApproval", "params": params}));
}

fn resolve(socket: &mut Socket, number: i64) {
    let params = json!({"threadId": "t", "requestId": number});
    say(socket, &json!({"method": "serverRequest/resolved", "params": params, "emittedAtMs": 8}));
}

#[track_caller]
fn heard(server: &mut CodexServer) -> Vec<Notification> {
    server.poll_notifications(Duration::from_secs(5)).unwrap()
}

#[test]
fn an_approval_is_read_whole_and_answered_by_its_number() {
    let fake = Fake::greeting(|socket| {
        ask(socket, 4, "i", "rm -r build");
        for decision in ["accept", "decline", "cancel"] {
            assert_eq!(hear(socket), json!({"id": 4, "result": {"decision": decision}}));
            resolve(socket, 4);
            ask(socket, 4, "i", "rm -r build");
        }
    });
    let mut server = fake.connect().unwrap();
    let approval = Approval {
        id: RequestId::Number(4),
        thread_id: "t".into(),
        turn_id: "u".into(),
        item_id: "i".into(),
        action: Action::Command {
            command: Some("rm -r build".into()),
            cwd: Some(Path::new("/srv/project").to_owned()),
        },
        reason: Some("needed".into()),
        asked_at: Some(Timestamp::from_millis(7)),
        approval_id: None,
        beyond: None,
        is_exact: true,
    };
    assert_eq!(heard(&mut server), [Notification::Approval(Box::new(approval.clone()))]);
    for decision in [Decision::Accept, Decision::Decline, Decision::Cancel] {
        let outcome = server.answer(&approval, decision);
        assert!(matches!(outcome, Outcome::Accepted(())), "{outcome:?}");
        heard(&mut server);
        assert_eq!(server.open_approvals().collect::<Vec<_>>(), [&approval]);
    }
    fake.finish();
}

#[test]
fn a_change_of_files_is_an_approval_and_other_questions_are_none() {
    let fake = Fake::greeting(|socket| {
        let params = json!({"threadId": "t", "turnId": "u", "itemId": "i", "startedAtMs": 7});
        say(socket, &json!({"id": "f", "method": "item/fileChange/requestApproval", "params": params}));
        say(socket, &json!({"id": 2, "method": "item/permissions/requestApproval", "params": params}));
        say(socket, &json!({"id": 3, "method": "item/fileChange/requestApproval", "params": {"threadId": "t"}}));
        say(socket, &json!({"id": 4, "method": "item/tool/requestUserInput"}));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    let heard = heard(&mut server);
    let [Notification::Approval(approval), rest @ ..] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((&approval.id, &approval.action), (&RequestId::Text("f".into()), &Action::FileChange));
    assert!(rest.iter().all(|item| matches!(item, Notification::Request { .. })) && rest.len() == 3, "{rest:?}");
    assert_eq!(server.open_approvals().count(), 1);
    drop(server);
    fake.finish();
}

#[test]
fn what_another_client_has_answered_is_refused_without_a_word() {
    let fake = Fake::greeting(|socket| {
        ask(socket, 0, "i", "ls");
        // Heard only when we are about to answer.
        let call = hear(socket);
        resolve(socket, 0);
        say(socket, &json!({"id": call["id"], "result": {"data": []}}));
        assert!(socket.read().is_err(), "nothing must be sent");
    });
    let mut server = fake.connect().unwrap();
    heard(&mut server);
    let approval = server.open_approvals().next().cloned().unwrap();
    server.loaded_threads().unwrap();
    assert!(matches!(server.answer(&approval, Decision::Accept), Outcome::Refused(Refusal::NotOpen)));
    assert_eq!(heard(&mut server), [Notification::Resolved { thread_id: "t".into(), request: RequestId::Number(0) }]);
    drop(server);
    fake.finish();
}

#[test]
fn the_number_of_a_former_server_approves_nothing() {
    let fake = Fake::greeting(|socket| ask(socket, 0, "i", "ls"));
    let mut old = fake.connect().unwrap();
    heard(&mut old);
    let approval = old.open_approvals().next().cloned().unwrap();
    let fake = fake.replaced(|socket| {
        ask(socket, 0, "j", "rm -rf /");
        assert!(socket.read().is_err(), "nothing must be sent");
    });
    assert!(matches!(old.answer(&approval, Decision::Accept), Outcome::Refused(Refusal::NotSent(ServerError::Closed))));
    let mut new = fake.connect().unwrap();
    heard(&mut new);
    assert!(matches!(new.answer(&approval, Decision::Accept), Outcome::Refused(Refusal::NotOpen)));
    drop(new);
    fake.finish();
}

#[test]
fn an_answer_the_server_does_not_confirm_is_unknown() {
    let ends: [End; 2] = [("hung", until_gone), ("gone", |_| {})];
    for (name, end) in ends {
        let fake = Fake::greeting(move |socket| {
            ask(socket, 1, "i", "ls");
            assert_eq!(hear(socket)["id"], 1);
            // Another question's end confirms nothing.
            resolve(socket, 2);
            end(socket);
        });
        let mut server = fake.connect().unwrap();
        heard(&mut server);
        let approval = server.open_approvals().next().cloned().unwrap();
        let outcome = server.answer(&approval, Decision::Cancel);
        assert!(matches!(outcome, Outcome::Unknown(_)), "{name}: {outcome:?}");
        drop(server);
        fake.finish();
    }
}

#[test]
fn a_flood_of_questions_is_bounded() {
    let fake = Fake::greeting(|socket| {
        for number in 0..300 {
            ask(socket, number, "i", "ls");
        }
        let call: Value = hear(socket);
        say(socket, &json!({"id": call["id"], "result": {"data": []}}));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    server.loaded_threads().unwrap();
    assert_eq!(server.open_approvals().count(), 256);
    assert_eq!(server.open_approvals().next().unwrap().id, RequestId::Number(44));
    drop(server);
    fake.finish();
}
