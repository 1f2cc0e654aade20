//! What a thread asks, gathered in one go.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{Fake, Socket, hear, say, until_gone};
use crate::ports::codex_server::{Action, Outcome, Refusal, RequestId};

fn ask(socket: &mut Socket, number: i64, method: &str, rest: Value) {
    let mut params = json!({"threadId": "t", "turnId": "u", "itemId": format!("i{number}"), "startedAtMs": 7});
    if let (Some(params), Value::Object(rest)) = (params.as_object_mut(), rest) {
        params.extend(rest);
    }
    say(socket, &json!({"id": number, "method": method, "params": params}));
}

/// Answers `thread/resume`.
fn resumed(socket: &mut Socket) {
    let call = hear(socket);
    assert_eq!(call["method"], "thread/resume", "{call:#}");
    let thread = json!({"id": "t", "status": {"type": "active", "activeFlags": ["waitingOnApproval"]}});
    say(socket, &json!({"id": call["id"], "result": {"thread": thread}}));
}

#[test]
fn everything_that_is_open_is_told_and_what_is_resolved_is_not() {
    let fake = Fake::greeting(|socket| {
        resumed(socket);
        ask(socket, 1, "item/commandExecution/requestApproval", json!({"command": "make", "kind": "command"}));
        ask(socket, 2, "item/commandExecution/requestApproval", json!({"command": "gone"}));
        ask(socket, 3, "item/fileChange/requestApproval", json!({}));
        ask(socket, 4, "item/tool/requestUserInput", json!({"questions": [{"question": "Which\u{1b}[1m one?"}]}));
        ask(socket, 5, "item/tool/requestUserInput", json!({"threadId": "other"}));
        say(socket, &json!({"method": "serverRequest/resolved", "params": {"threadId": "t", "requestId": 2}}));
        let call = hear(socket);
        assert_eq!(call["method"], "thread/items/list", "{call:#}");
        let items = json!([
            {"turnId": "u", "item": {"type": "agentMessage", "id": "x"}},
            {"turnId": "u", "item": {"type": "fileChange", "id": "i3", "changes": [{"path": "/srv/a\nb", "diff": ""}]}},
        ]);
        say(socket, &json!({"id": call["id"], "result": {"data": items, "nextCursor": null}}));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    let open = server.open_questions("t", Duration::from_secs(5)).unwrap();
    let ids: Vec<&RequestId> = open.approvals.iter().map(|approval| &approval.id).collect();
    assert_eq!(ids, [&RequestId::Number(1), &RequestId::Number(3)]);
    let [other] = open.others.as_slice() else { panic!("{:?}", open.others) };
    assert_eq!((other.method.as_str(), other.text.as_deref()), ("item/tool/requestUserInput", Some("Which one?")));
    assert_eq!(server.files_of(&open.approvals[0]).unwrap(), None, "a command is about no files");
    assert_eq!(open.approvals[1].action, Action::FileChange);
    assert_eq!(server.files_of(&open.approvals[1]).unwrap(), Some(vec!["/srv/a b".to_owned()]));
    drop(server);
    fake.finish();
}

#[test]
fn what_a_yes_would_give_besides_is_told() {
    let fake = Fake::greeting(|socket| {
        resumed(socket);
        let method = "item/commandExecution/requestApproval";
        ask(socket, 1, method, json!({"command": "make", "networkApprovalContext": {"host": "h"}}));
        ask(socket, 2, method, json!({"command": "make", "additionalPermissions": {}, "kind": "stdin"}));
        ask(socket, 3, method, json!({"command": "ma\u{202e}ke"}));
        ask(socket, 4, method, json!({"command": "x".repeat(5_000)}));
        ask(socket, 5, "item/fileChange/requestApproval", json!({"grantRoot": "/"}));
        ask(socket, 6, method, json!({"command": "make\n\tall", "additionalPermissions": null, "approvalId": "a"}));
        until_gone(socket);
    });
    let mut server = fake.connect().unwrap();
    let open = server.open_questions("t", Duration::from_secs(5)).unwrap();
    let told: Vec<(Option<&str>, bool)> =
        open.approvals.iter().map(|approval| (approval.beyond.as_deref(), approval.is_exact)).collect();
    assert_eq!(
        told,
        [
            (Some("network access"), true),
            (Some("input to a running program, more permissions"), true),
            (None, false),
            (None, false),
            (Some("writing below a folder for the rest of the session"), true),
            (None, true),
        ]
    );
    drop(server);
    fake.finish();
}

#[test]
fn a_question_of_the_same_number_with_other_words_is_not_answered() {
    let fake = Fake::greeting(|socket| {
        resumed(socket);
        ask(socket, 0, "item/commandExecution/requestApproval", json!({"command": "make"}));
        // Asked while nobody listens: the same number and item, other words.
        let call = hear(socket);
        ask(socket, 0, "item/commandExecution/requestApproval", json!({"command": "rm -rf /"}));
        say(socket, &json!({"id": call["id"], "result": {"data": []}}));
        assert!(socket.read().is_err(), "nothing must be sent");
    });
    let mut server = fake.connect().unwrap();
    let open = server.open_questions("t", Duration::from_secs(5)).unwrap();
    server.loaded_threads().unwrap();
    let outcome = server.answer(&open.approvals[0], crate::ports::codex_server::Decision::Accept);
    assert!(matches!(outcome, Outcome::Refused(Refusal::NotOpen)), "{outcome:?}");
    drop(server);
    fake.finish();
}
