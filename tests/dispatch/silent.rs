//! One that cannot be served now holds up nobody else: a server that says nothing, a rollout that cannot be read.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::Message;

use super::Pair;

fn socket(codex_home: &Path) -> PathBuf {
    let folder = codex_home.join("app-server-control");
    fs::create_dir_all(&folder).unwrap();
    folder.join("app-server-control.sock")
}

#[test]
fn a_server_that_says_nothing_is_waited_for_once_and_not_for_each_session() {
    let first = Pair::new();
    let second = Pair::of("lexer", "w2", "m2", first.env);
    let pair = Pair::of("printer", "w3", "m3", second.env);
    let _server = UnixListener::bind(socket(&pair.env.codex_home())).unwrap();
    for task in ["parser", "lexer", "printer"] {
        pair.env.run(["enqueue-nudge-worker", task, "--message", "x"]).ok();
        pair.env.run(["enqueue-notify-manager", task, "--message", "x"]).ok();
    }
    let begun = Instant::now();
    pair.env.sh("dispatch --type nudge_worker").ok();
    pair.env.sh("dispatch --type notify_manager").ok();
    assert!(begun.elapsed() < Duration::from_secs(4), "twice a second, not six times: {:?}", begun.elapsed());
    let waits = "select count(*) from commands where phase = 'queued' and reason is not null";
    assert_eq!(pair.sql().query_row(waits, [], |row| row.get::<_, i64>(0)).unwrap(), 6, "each waits with its reason");
}

#[test]
fn a_compaction_of_a_worker_whose_rollout_cannot_be_read_ends_no_pass() {
    let pair = Pair::new();
    let listener = UnixListener::bind(socket(&pair.env.codex_home())).unwrap();
    // Every thread is idle.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut socket = tungstenite::accept(stream).unwrap();
                while let Ok(message) = socket.read() {
                    let Ok(asked) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else {
                        continue;
                    };
                    let result = match asked["method"].as_str() {
                        Some("initialize") => json!({"userAgent": "conveyor/0.169.0 (Debian)"}),
                        Some("thread/read") => {
                            json!({"thread": {"id": asked["params"]["threadId"], "status": {"type": "idle"}}})
                        }
                        _ => continue,
                    };
                    let answer = json!({"id": asked["id"], "result": result});
                    socket.send(Message::text(answer.to_string())).unwrap();
                }
            });
        }
    });
    fs::remove_file(&pair.rollout).unwrap();
    let id = pair.nudge("stands for a request to compact");
    pair.sql().execute("update commands set type = 'request_worker_compact' where id = ?1", [&id]).unwrap();
    let pass = pair.env.sh("dispatch --json");
    assert_eq!(pass.code, 0, "{pass}");
    let (phase, reason) = pair.stands(&id);
    assert_eq!(phase, "queued");
    assert!(reason.as_deref().unwrap_or_default().starts_with("its rollout cannot be read"), "{reason:?}");
}
