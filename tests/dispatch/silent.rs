//! One that cannot be served now holds up nobody else: a server that says nothing, a rollout that cannot be read.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::Message;

use super::Pair;
use crate::support::wait_for;

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

/// A server that has every thread, idle, and takes what it is given.
fn idle_server(codex_home: &Path) {
    let listener = UnixListener::bind(socket(codex_home)).unwrap();
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
                        Some("turn/start") => json!({"turn": {"id": "turn-1"}}),
                        _ => continue,
                    };
                    let answer = json!({"id": asked["id"], "result": result});
                    socket.send(Message::text(answer.to_string())).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_server_of_our_own_that_does_not_start_is_tried_twice_and_then_another_way_is_taken() {
    let first = Pair::new();
    let pair = Pair::of("lexer", "w2", "m2", first.env);
    let home = pair.env.codex_home();
    let locks = home.join("thread-writer-locks");
    fs::create_dir_all(&locks).unwrap();
    // Somebody works on both threads, so that they take from their queues.
    let threads = pair.env.sh("sessions --json").ok().json();
    let held: Vec<fs::File> = threads["sessions"]
        .as_array()
        .or(threads.as_array())
        .unwrap()
        .iter()
        .map(|session| {
            let lock = locks.join(format!("{}.lock", session["codex_session_id"].as_str().unwrap()));
            let file = fs::File::create(lock).unwrap();
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
            file
        })
        .collect();
    let (codex, starts) = (pair.env.cwd().join("codex"), pair.env.cwd().join("starts"));
    let text = pair.env.cwd().join("text");
    fs::write(&text, format!("#!/bin/sh\necho one >> {}\necho no room >&2\nexit 1\n", starts.display())).unwrap();
    // Another process writes the program: were it open for writing here, a child that another test starts at this
    // moment would inherit that, and running the program would fail with "text file busy".
    assert!(Command::new("install").args(["-m", "755"]).args([&text, &codex]).status().unwrap().success());
    let ids: Vec<String> = ["parser", "lexer"]
        .map(|task| {
            let queued = pair.env.run(["enqueue-nudge-worker", task, "--json", "--message", "x"]).ok().json();
            queued["command_id"].as_str().unwrap().to_owned()
        })
        .to_vec();
    let mut watch = pair.env.command();
    watch.args(["dispatch", "--watch", "--interval", "0.1", "--type", "nudge_worker"]).env("CONVEYOR_CODEX", &codex);
    let mut watch = watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let waits = |id: &String| pair.stands(id).1.filter(|why| why.starts_with("its queue cannot be reached"));
    wait_for("the reason", || waits(&ids[0]), || format!("{:?}", pair.stands(&ids[0])));
    wait_for(
        "another way",
        || ids.iter().all(|id| pair.stands(id).0 == "delivered").then_some(()),
        || format!("{:?}", ids.iter().map(|id| pair.stands(id)).collect::<Vec<_>>()),
    );
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert_eq!(fs::read_to_string(starts).unwrap().lines().count(), 2, "once, and once more after two seconds");
    drop(held);
}

#[test]
fn a_session_is_not_pushed_more_than_sixty_messages_a_minute() {
    let pair = Pair::new();
    idle_server(&pair.env.codex_home());
    let ids: Vec<String> = (0..61).map(|number| pair.nudge(&format!("number {number}"))).collect();
    // Sixty went out just now.
    let uptime: f64 = fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
    let gone = "update commands set phase = 'done', state = 'succeeded', begun_uptime = ?1 where id <> ?2";
    let begun = (uptime * 1_000.0) as i64 - 100;
    pair.sql().execute(gone, (begun, &ids[60])).unwrap();
    pair.env.sh("dispatch").ok();
    let (phase, reason) = pair.stands(&ids[60]);
    assert_eq!(phase, "queued");
    assert!(reason.as_deref().is_some_and(|why| why.starts_with("sixty messages were pushed")), "{reason:?}");
    // A minute later.
    pair.sql().execute("update commands set available_uptime = 0, begun_uptime = begun_uptime - 60000", []).unwrap();
    pair.env.sh("dispatch").ok();
    assert_eq!(pair.stands(&ids[60]).0, "submitted");
}

#[test]
fn a_compaction_of_a_worker_whose_rollout_cannot_be_read_ends_no_pass() {
    let pair = Pair::new();
    idle_server(&pair.env.codex_home());
    fs::remove_file(&pair.rollout).unwrap();
    let id = pair.nudge("stands for a request to compact");
    pair.sql().execute("update commands set type = 'request_worker_compact' where id = ?1", [&id]).unwrap();
    let pass = pair.env.sh("dispatch --json");
    assert_eq!(pass.code, 0, "{pass}");
    let (phase, reason) = pair.stands(&id);
    assert_eq!(phase, "queued");
    assert!(reason.as_deref().unwrap_or_default().starts_with("its rollout cannot be read"), "{reason:?}");
}
