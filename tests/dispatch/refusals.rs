//! A Codex server that refuses a message again and again: proven not delivered, so another way takes it.

use std::{
    fs,
    os::unix::net::{UnixListener, UnixStream},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tungstenite::Message;

use super::Pair;
use crate::support::wait_for;

/// Serves every connection until the test ends: threads are idle, and every turn is refused with `code`.
fn refusing(pair: &Pair, code: i64, words: &'static str) {
    let folder = pair.env.codex_home().join("app-server-control");
    fs::create_dir_all(&folder).unwrap();
    let listener = UnixListener::bind(folder.join("app-server-control.sock")).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(stream, code, words));
        }
    });
}

fn serve(stream: UnixStream, code: i64, words: &str) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    while let Ok(message) = socket.read() {
        let Ok(call) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else { continue };
        let answer = match call["method"].as_str() {
            Some("initialize") => json!({"id": call["id"], "result": {"userAgent": "conveyor/0.169.0 (Debian)"}}),
            Some("thread/read") => {
                let thread = json!({"id": call["params"]["threadId"], "status": {"type": "idle"}});
                json!({"id": call["id"], "result": {"thread": thread}})
            }
            Some("turn/start") => json!({"id": call["id"], "error": {"code": code, "message": words}}),
            _ => continue,
        };
        if socket.send(Message::text(answer.to_string())).is_err() {
            return;
        }
    }
}

#[test]
fn a_message_that_the_server_keeps_refusing_goes_into_the_inbox() {
    for (code, words) in [(-32_600, "unknown variant `turn/start`, expected one of"), (-32_600, "not today")] {
        let pair = Pair::new();
        pair.env.sh("manager-config parser --max-nudges 5").ok();
        refusing(&pair, code, words);
        let id = pair.nudge("by whatever way");
        let mut last = Value::Null;
        wait_for(
            "the message to be handed over",
            || {
                let pass = pair.env.sh("dispatch --json").ok().json();
                if pass["processed_count"] != 0 {
                    last = pass["processed"][0].clone();
                }
                thread::sleep(Duration::from_millis(50));
                (pair.stands(&id).0 == "delivered").then_some(())
            },
            || format!("{:?}", pair.stands(&id)),
        );
        assert_eq!((&last["state"], &last["error"]), (&"pull_required".into(), &Value::Null), "{last}");
        let command = pair.env.sh("commands --attempts --json").ok().json()[0].clone();
        assert_eq!((&command["lane"], &command["attempts"]), (&"inbox".into(), &6.into()), "{command}");
        assert!(command["lane_reason"].as_str().unwrap().starts_with("refused 5 times, the last time: "), "{command}");
        let tries = command["attempt_history"].as_array().unwrap();
        let states: Vec<_> = tries.iter().map(|one| one["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["abandoned", "abandoned", "abandoned", "abandoned", "abandoned", "succeeded"]);
        assert_eq!(pair.inbox().len(), 1);
        let budget = pair.env.sh("manager-config parser").ok().json()["budget"].clone();
        assert_eq!(budget["nudges_used"], 1, "what was refused cost nothing");
    }
}
