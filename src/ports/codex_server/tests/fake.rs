//! The server inside the test: one socket, one client, and whatever a test wants it to do.

use std::{
    fs,
    os::unix::net::{UnixListener, UnixStream},
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::ports::codex_server::{CodexServer, ServerError, Timeouts, socket_path};

/// Limits that a test can afford to run into.
pub(super) const QUICK: Timeouts = Timeouts { connect: Duration::from_millis(300), call: Duration::from_millis(300) };

/// The server's end of a connection.
pub(super) type Socket = WebSocket<UnixStream>;

/// What a server does with its end at last, and its name in failures.
pub(super) type End = (&'static str, fn(&mut Socket));

/// A socket in a Codex home of its own, served by one thread for one client.
pub(super) struct Fake {
    pub(super) home: tempfile::TempDir,
    server: JoinHandle<()>,
}

impl Fake {
    /// A server that is given the bare connection.
    pub(super) fn raw(serve: impl FnOnce(UnixStream) + Send + 'static) -> Self {
        Self::at(tempfile::tempdir().unwrap(), serve)
    }

    /// A server that upgrades and greets, and then is given the WebSocket.
    pub(super) fn greeting(serve: impl FnOnce(&mut Socket) + Send + 'static) -> Self {
        Self::raw(greeted(serve))
    }

    /// Waits until this server has ended, and puts another, greeting one in its place.
    pub(super) fn replaced(self, serve: impl FnOnce(&mut Socket) + Send + 'static) -> Self {
        self.server.join().unwrap();
        fs::remove_file(socket_path(self.home.path())).unwrap();
        Self::at(self.home, greeted(serve))
    }

    fn at(home: tempfile::TempDir, serve: impl FnOnce(UnixStream) + Send + 'static) -> Self {
        let socket = socket_path(home.path());
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        let server = thread::spawn(move || serve(listener.accept().unwrap().0));
        Self { home, server }
    }

    pub(super) fn connect(&self) -> Result<CodexServer, ServerError> {
        CodexServer::connect(self.home.path(), QUICK)
    }

    /// Waits for the server, which may have failed an assertion of its own.
    pub(super) fn finish(self) {
        self.server.join().unwrap();
    }
}

/// Upgrades and greets, then goes on with the WebSocket.
fn greeted(serve: impl FnOnce(&mut Socket) + Send + 'static) -> impl FnOnce(UnixStream) + Send {
    |stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        let hello = hear(&mut socket);
        assert_eq!(hello["method"], "initialize");
        say(&mut socket, &json!({"id": hello["id"], "result": {"userAgent": "conveyor/0.169.0 (Debian)"}}));
        assert_eq!(hear(&mut socket), json!({"method": "initialized"}));
        serve(&mut socket);
    }
}

/// The next message of the client.
pub(super) fn hear(socket: &mut Socket) -> Value {
    serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap()
}

/// Says something to the client.
pub(super) fn say(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).unwrap();
}

/// What the server says when a thread becomes idle.
pub(super) fn status_change(thread: &str, at: i64) -> Value {
    json!({
        "method": "thread/status/changed",
        "params": {"threadId": thread, "status": {"type": "idle"}},
        "emittedAtMs": at,
    })
}

/// Keeps the connection open until the client has gone.
pub(super) fn until_gone(socket: &mut Socket) {
    while socket.read().is_ok() {}
}
