//! A thread that Codex's server makes but cannot name is put away again, and the session starts without the server.

use std::{
    fs,
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
};

use conveyor::ports::codex_server::socket_path;
use serde_json::{Value, json};
use tungstenite::Message;

use super::world::World;

const THREAD: &str = "01a1fc3a-3b09-7df2-b96c-e87b3a576808";

/// A server that refuses every name. Notes the calls about threads.
fn serve(world: &World, calls: &Arc<Mutex<Vec<String>>>, archives: bool) {
    let socket = socket_path(&world.codex_home());
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(socket).unwrap();
    let (calls, cwd) = (Arc::clone(calls), world.cwd());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (calls, projects) =
                (Arc::clone(&calls), json!({ cwd.to_str().unwrap(): { "trust_level": "trusted" } }));
            thread::spawn(move || answer(stream.unwrap(), &calls, &projects, archives));
        }
    });
}

fn answer(stream: UnixStream, calls: &Mutex<Vec<String>>, projects: &Value, archives: bool) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    while let Ok(message) = socket.read() {
        let Ok(call) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else { continue };
        let method = call["method"].as_str().unwrap_or_default().to_owned();
        if call["id"].is_null() {
            continue;
        }
        if method.starts_with("thread/") {
            let about = call["params"]["threadId"].as_str().unwrap_or_default();
            calls.lock().unwrap().push(format!("{method} {about}").trim_end().to_owned());
        }
        let refused = json!({"id": call["id"], "error": {"code": -32603, "message": "no such luck"}});
        let thread = json!({"thread": {"id": THREAD, "status": {"type": "idle"}, "path": "/nowhere/rollout.jsonl"}});
        let reply = match method.as_str() {
            "initialize" => json!({"id": call["id"], "result": {"userAgent": "conveyor/0.169.0 (Debian)"}}),
            "config/read" => json!({"id": call["id"], "result": {"config": {"projects": projects}}}),
            "thread/start" | "thread/read" => json!({"id": call["id"], "result": thread}),
            "thread/archive" if archives => json!({"id": call["id"], "result": {}}),
            _ => refused,
        };
        if socket.send(Message::text(reply.to_string())).is_err() {
            return;
        }
    }
}

#[test]
fn a_thread_that_cannot_be_named_is_put_away() {
    let Some(world) = World::start() else { return };
    let sim = shell_words::join([env!("CARGO_BIN_EXE_conveyor"), "sim", "codex", "--no-daemon"]);
    world.script(
        "codex",
        &format!(
            "case \"$1\" in\nfeatures) echo 'daemon_auto_start stable true'; exit;;\n\
             app-server) echo '{{\"status\":\"alreadyRunning\"}}'; exit;;\nesac\nexec {sim} \"$@\""
        ),
    );
    for (name, archives) in [("w1", true), ("w2", false)] {
        let calls = Arc::default();
        serve(&world, &calls, archives);
        let started = world.run(&["start-worker", "--name", name, "--task", "Look {{say Seen.}}"]).ok().json();
        let reason = started["without_server"].as_str().unwrap().to_owned();
        assert!(reason.contains("could not be named") && reason.contains("no such luck"), "{started:#}");
        assert_ne!(started["codex_session_id"], THREAD, "another thread, without the server");
        world.wait_for_condition(name, "done");
        let put_away = format!("thread/archive {THREAD}");
        let calls = calls.lock().unwrap().clone();
        assert_eq!(calls.iter().filter(|call| **call == put_away).count(), 1, "{calls:?}");
    }
}
