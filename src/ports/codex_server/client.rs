//! The calls, and the bookkeeping that tells replies from notifications and from questions of the server.
//!
//! Each call has a time limit. A call that runs out of time leaves the connection usable: its late reply is
//! recognised by its number and dropped.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use super::{
    approval::{self, OpenApprovals},
    connection::{Connection, Limit, Reach, Transport},
    error::{CallFailure, ServerError},
    notification::{self, Notification, RequestId, Waiting},
    pipes::PipeConnection,
    socket::SocketConnection,
    thread::{ThreadInfo, ThreadStatus},
};
use crate::{
    ports::codex_cli::{CodexCli, CodexVersion},
    text_enum,
};

/// The longest message taken, in bytes; Codex itself sends none that is longer.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// How long to gather notifications that follow the first one closely.
const GATHER: Duration = Duration::from_millis(2);

/// The most pages of one listing; a server that never stops giving cursors must not hold us.
const MAX_PAGES: usize = 100;

/// Threads per page of a listing.
const PAGE: usize = 100;

/// Streams of small pieces that are of no use here and would crowd out the rest.
const UNWANTED: &[&str] = &[
    "command/exec/outputDelta",
    "item/agentMessage/delta",
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/plan/delta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "process/outputDelta",
    "turn/diff/updated",
];

/// How long we wait for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the socket, the WebSocket upgrade and the first exchange, each.
    pub connect: Duration,
    /// For each call; a listing of several pages is one call.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(2), call: Duration::from_secs(5) }
    }
}

text_enum! {
    /// What commands of a thread may touch without asking.
    pub enum Sandbox {
        /// Read files.
        ReadOnly => "read-only",
        /// Write below the thread's directory.
        WorkspaceWrite => "workspace-write",
        /// Everything.
        DangerFullAccess => "danger-full-access",
    }
}

text_enum! {
    /// When a thread asks for approval.
    pub enum ApprovalPolicy {
        /// Before all but commands known as harmless.
        Untrusted => "untrusted",
        /// When the model wants to leave the sandbox.
        OnRequest => "on-request",
        /// Never; what the sandbox forbids fails.
        Never => "never",
    }
}

/// What a new thread is like.
#[derive(Debug, Clone, Copy)]
pub struct NewThread<'a> {
    /// The directory it works in, absolute.
    pub cwd: &'a Path,
    /// What its commands may touch.
    pub sandbox: Sandbox,
    /// When it asks.
    pub approval: ApprovalPolicy,
    /// Its model; none takes the configured one.
    pub model: Option<&'a str>,
    /// Folders that its commands may write to, with a sandbox that may write; none takes the configured ones.
    pub writable: &'a [PathBuf],
}

/// Which stored threads to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadFilter<'a> {
    /// At most this many, the ones that changed last.
    pub most: usize,
    /// Only those that work in exactly this directory.
    pub cwd: Option<&'a Path>,
}

/// Where the server of a Codex home listens.
#[must_use]
pub fn socket_path(codex_home: &Path) -> PathBuf {
    codex_home.join("app-server-control").join("app-server-control.sock")
}

/// A connection to Codex's server. Dropping it changes nothing for the server's threads.
///
/// As long as it is open, the server reports every change of status of every thread it has loaded. For a thread
/// started here it also sends everything else, and its questions.
pub struct CodexServer {
    connection: Connection,
    limits: Timeouts,
    last_id: i64,
    waiting: Waiting,
    approvals: OpenApprovals,
    version: Option<CodexVersion>,
}

impl fmt::Debug for CodexServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodexServer").field("version", &self.version).finish_non_exhaustive()
    }
}

/// One message from the server.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    id: Option<RequestId>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<No>,
    emitted_at_ms: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct No {
    code: i64,
    #[serde(default)]
    message: String,
}

/// What a message is once notifications and questions have been put aside.
pub(super) enum Step {
    Kept,
    Reply { id: RequestId, outcome: Result<Box<RawValue>, No> },
}

#[derive(Deserialize)]
struct ThreadReply {
    thread: ThreadInfo,
}

/// A turn as the server describes it.
#[derive(Deserialize)]
struct Turn {
    id: String,
    status: Option<String>,
}

/// What is read of the configuration.
#[derive(Deserialize)]
struct Configuration {
    projects: Option<BTreeMap<String, Project>>,
    sandbox_workspace_write: Option<WorkspaceWrite>,
}

#[derive(Deserialize)]
struct Project {
    trust_level: Option<String>,
}

#[derive(Deserialize, Default)]
struct WorkspaceWrite {
    writable_roots: Option<Vec<PathBuf>>,
}

/// A page of a listing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

impl CodexServer {
    /// Connects to the server of `codex_home` and introduces us.
    ///
    /// # Errors
    /// [`ServerError::NotRunning`] at once when there is no server; the others within the limits.
    pub fn connect(codex_home: &Path, limits: Timeouts) -> Result<Self, ServerError> {
        Self::connect_to(&socket_path(codex_home), limits, MAX_MESSAGE)
    }

    /// As [`Self::connect`], with a socket and a bound for messages in bytes.
    pub(super) fn connect_to(socket: &Path, limits: Timeouts, max_message: usize) -> Result<Self, ServerError> {
        let socket = SocketConnection::open(socket, max_message, Limit::starting_now(limits.connect))?;
        Self::greet(Transport::Socket(Box::new(socket)), limits)
    }

    /// Starts a server of our own for the calls that reach threads of other processes: the listings, reading, and
    /// the queue. It holds no thread, and ends when this is dropped, which takes up to a second.
    ///
    /// `codex queue` puts messages into the same queue, but under a `client_id` that it invents and does not print (it
    /// prints the entry's id, which no rollout has). Here the id is ours, and with it the receipt.
    ///
    /// # Errors
    /// [`ServerError::Io`] when the program cannot be run; others when it does not greet within the limit for
    /// connecting. Starting it takes some tenths of a second, on a busy machine more.
    pub fn start_own(codex: &CodexCli, limits: Timeouts) -> Result<Self, ServerError> {
        let mut command = Command::new(&codex.program);
        command.arg("app-server");
        if let Some(home) = &codex.codex_home {
            command.env("CODEX_HOME", home);
        }
        Self::start_with(command, limits, MAX_MESSAGE)
    }

    /// As [`Self::start_own`], with a command line and a bound for messages in bytes.
    pub(super) fn start_with(command: Command, limits: Timeouts, max_message: usize) -> Result<Self, ServerError> {
        Self::greet(Transport::Pipes(PipeConnection::start(command, max_message)?), limits)
    }

    /// Introduces us to whoever is at the other end.
    fn greet(transport: Transport, limits: Timeouts) -> Result<Self, ServerError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Initialized {
            user_agent: String,
        }

        let mut server = Self {
            connection: Connection::new(transport),
            limits,
            last_id: 0,
            waiting: Waiting::default(),
            approvals: OpenApprovals::default(),
            version: None,
        };
        let params = json!({
            "clientInfo": { "name": "conveyor", "title": "Conveyor", "version": env!("CARGO_PKG_VERSION") },
            "capabilities": { "experimentalApi": true, "optOutNotificationMethods": UNWANTED },
        });
        let limit = Limit::starting_now(limits.connect);
        let reply: Result<Initialized, _> = server.request_within("initialize", &params, limit);
        let reply = reply.map_err(|error| server.connection.explained(error))?;
        // `conveyor/0.169.0 (Debian 12.0.0; x86_64) ...`: our name, then the server's version.
        server.version = reply
            .user_agent
            .split_once('/')
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .and_then(|version| version.parse().ok());
        server.send("initialized", &json!({ "method": "initialized" }), limit).map_err(|failure| failure.error)?;
        Ok(server)
    }

    /// The server's version, which can differ from that of the `codex` on the path.
    #[must_use]
    pub fn version(&self) -> Option<CodexVersion> {
        self.version
    }

    /// The ids of the threads the server has loaded, hidden helper threads included.
    ///
    /// # Errors
    /// When the server does not answer as it should in time.
    pub fn loaded_threads(&mut self) -> Result<Vec<String>, ServerError> {
        self.pages("thread/loaded/list", usize::MAX, &json!({}))
    }

    /// Stored threads of every source and provider, the one that changed last first.
    ///
    /// The answer comes from the server's index; a rollout it has not indexed is not listed.
    ///
    /// # Errors
    /// When the server does not answer as it should in time.
    pub fn list_threads(&mut self, filter: &ThreadFilter<'_>) -> Result<Vec<ThreadInfo>, ServerError> {
        let params = json!({
            // Left out, these two mean "interactive ones only" and "of the configured provider only".
            "sourceKinds": ["cli", "vscode", "exec", "appServer", "subAgent", "unknown"],
            "modelProviders": [],
            "sortKey": "updated_at",
            // Otherwise the server reads every rollout it has before it answers.
            "useStateDbOnly": true,
            "cwd": filter.cwd.map(sendable_path).transpose()?,
        });
        self.pages("thread/list", filter.most, &params)
    }

    /// One thread, loaded or only stored.
    ///
    /// # Errors
    /// [`ServerError::Rpc`] when the server does not know the id.
    pub fn read_thread(&mut self, id: &str) -> Result<ThreadInfo, ServerError> {
        let reply: ThreadReply = self.request("thread/read", &json!({ "threadId": id, "includeTurns": false }))?;
        Ok(reply.thread)
    }

    /// Starts a thread without any input. Its id and the path of its rollout are final.
    ///
    /// With a sandbox that may write, the server writes down that the repository of a folder is trusted when the
    /// configuration says nothing about it, and asks nobody; see [`Self::trust_levels`].
    ///
    /// Until it has a name or an input there is no file at that path, `codex resume` refuses the id, and about a
    /// minute after the last client has gone the server forgets the thread. So name it before showing it.
    ///
    /// # Errors
    /// [`ServerError::Timeout`] leaves open whether there is a new thread; other errors mean there is none or that
    /// the server went away while making it.
    pub fn start_thread(&mut self, new: &NewThread<'_>) -> Result<ThreadInfo, ServerError> {
        let mut params = json!({
            "cwd": sendable_path(new.cwd)?,
            "sandbox": new.sandbox,
            "approvalPolicy": new.approval,
        });
        if let Some(model) = new.model {
            params["model"] = model.into();
        }
        if !new.writable.is_empty() {
            let folders: Vec<&str> = new.writable.iter().map(|path| sendable_path(path)).collect::<Result<_, _>>()?;
            params["config"] = json!({ "sandbox_workspace_write.writable_roots": folders });
        }
        let reply: ThreadReply = self.request("thread/start", &params)?;
        Ok(reply.thread)
    }

    /// What the configuration says about the trust in folders, by path: `trusted` or `untrusted`.
    ///
    /// # Errors
    /// When the server does not answer as it should in time.
    pub fn trust_levels(&mut self) -> Result<BTreeMap<String, String>, ServerError> {
        let projects = self.configuration()?.projects.unwrap_or_default();
        Ok(projects.into_iter().filter_map(|(path, project)| Some((path, project.trust_level?))).collect())
    }

    /// The folders that the configuration lets commands write to.
    ///
    /// # Errors
    /// When the server does not answer as it should in time.
    pub fn writable_roots(&mut self) -> Result<Vec<PathBuf>, ServerError> {
        Ok(self.configuration()?.sandbox_workspace_write.unwrap_or_default().writable_roots.unwrap_or_default())
    }

    /// The configuration. Without a folder no project's own has a say in it.
    fn configuration(&mut self) -> Result<Configuration, ServerError> {
        #[derive(Deserialize)]
        struct Reply {
            config: Configuration,
        }

        let reply: Reply = self.request("config/read", &json!({ "includeLayers": false }))?;
        Ok(reply.config)
    }

    /// Gives a thread its name, which also writes its rollout's first line.
    ///
    /// # Errors
    /// [`ServerError::Rpc`] when the server does not know the id or dislikes the name.
    pub fn name_thread(&mut self, id: &str, name: &str) -> Result<(), ServerError> {
        let _: Value = self.request("thread/name/set", &json!({ "threadId": id, "name": name }))?;
        Ok(())
    }

    /// Interrupts whichever turn of a thread is open; whether one was.
    ///
    /// # Errors
    /// [`ServerError::Rpc`] when the server does not know the id, or the turn has just ended.
    pub fn interrupt_turn(&mut self, id: &str) -> Result<bool, ServerError> {
        if !matches!(self.read_thread(id)?.status, ThreadStatus::Active { .. }) {
            return Ok(false);
        }
        // A thread can be active a moment before its turn is listed.
        if let Some(turn) = self.listed_open_turn(id)? {
            let _: Value = self.request("turn/interrupt", &json!({ "threadId": id, "turnId": turn }))?;
        }
        Ok(true)
    }

    /// Puts a thread away: the server lets go of it, and its rollout moves to the archived ones.
    ///
    /// # Errors
    /// [`ServerError::Rpc`] when the server does not know the id or has nothing of it to move.
    pub fn archive_thread(&mut self, id: &str) -> Result<(), ServerError> {
        let _: Value = self.request("thread/archive", &json!({ "threadId": id }))?;
        Ok(())
    }

    /// What the server has said on its own since the last call; waits at most `timeout` for the first word.
    ///
    /// # Errors
    /// [`ServerError::Closed`] and the like when nothing is left to hand out and the connection is gone.
    pub fn poll_notifications(&mut self, timeout: Duration) -> Result<Vec<Notification>, ServerError> {
        const TO: &str = "nothing in particular";
        if self.waiting.is_empty() {
            match self.step(TO, Limit::starting_now(timeout.max(GATHER))) {
                Ok(_) => {}
                Err(ServerError::Timeout { .. }) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let limit = Limit::starting_now(GATHER);
        loop {
            match self.step(TO, limit) {
                // A reply to a call that was given up.
                Ok(Step::Kept | Step::Reply { .. }) => {}
                Err(ServerError::Timeout { .. }) => return Ok(self.waiting.take()),
                Err(error) if self.waiting.is_empty() => return Err(error),
                // The connection remembers that it is closed and says so next time.
                Err(_) => return Ok(self.waiting.take()),
            }
        }
    }

    /// The newest turn that the server lists for a thread, if it is open.
    pub(super) fn listed_open_turn(&mut self, id: &str) -> Result<Option<String>, ServerError> {
        let params = json!({ "threadId": id, "limit": 1, "sortDirection": "desc" });
        let turns: Page<Turn> = self.request("thread/turns/list", &params)?;
        let newest = turns.data.into_iter().next();
        let is_open = |turn: &Turn| turn.status.as_deref().is_none_or(|status| status == "inProgress");
        Ok(newest.filter(is_open).map(|turn| turn.id))
    }

    /// Takes in what has arrived, without waiting for more.
    pub(super) fn hear_what_waits(&mut self) -> Result<(), ServerError> {
        let limit = Limit::starting_now(GATHER);
        loop {
            match self.step("nothing in particular", limit) {
                Ok(_) => {}
                Err(ServerError::Timeout { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn approvals(&self) -> &OpenApprovals {
        &self.approvals
    }

    pub(super) fn call_limit(&self) -> Duration {
        self.limits.call
    }

    /// Collects the pages of a listing until there are `most` entries or no more pages.
    pub(super) fn pages<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        most: usize,
        params: &Value,
    ) -> Result<Vec<T>, ServerError> {
        let limit = Limit::starting_now(self.limits.call);
        let mut all = Vec::new();
        let mut params = params.clone();
        for _ in 0..MAX_PAGES {
            params["limit"] = (most - all.len()).min(PAGE).into();
            let page: Page<T> = self.request_within(method, &params, limit)?;
            all.extend(page.data);
            match page.next_cursor {
                Some(cursor) if all.len() < most => params["cursor"] = cursor.into(),
                _ => break,
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// One call within the usual limit.
    pub(super) fn request<R: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<R, ServerError> {
        self.request_within(method, params, Limit::starting_now(self.limits.call))
    }

    fn request_within<R: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: &impl Serialize,
        limit: Limit,
    ) -> Result<R, ServerError> {
        self.call(method, params, limit).map_err(|failure| failure.error)
    }

    /// One call, with a word on how far it got when it failed.
    pub(super) fn call<R: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: &impl Serialize,
        limit: Limit,
    ) -> Result<R, CallFailure> {
        #[derive(Serialize)]
        struct Request<'a, P> {
            id: i64,
            method: &'a str,
            params: &'a P,
        }

        let sent = |error: ServerError| CallFailure { error, reach: Reach::Sent };
        self.last_id += 1;
        let own = RequestId::Number(self.last_id);
        self.send(method, &Request { id: self.last_id, method, params }, limit)?;
        loop {
            match self.step(method, limit).map_err(sent)? {
                Step::Reply { id, outcome } if id == own => {
                    let result = outcome.map_err(|no| sent(ServerError::refusal(method, no.code, &no.message)))?;
                    return serde_json::from_str(result.get()).map_err(|e| sent(ServerError::unexpected(method, e)));
                }
                Step::Kept | Step::Reply { .. } => {}
            }
        }
    }

    pub(super) fn send(
        &mut self,
        method: &'static str,
        message: &impl Serialize,
        limit: Limit,
    ) -> Result<(), CallFailure> {
        let text = serde_json::to_string(message).map_err(|e| CallFailure {
            error: ServerError::Io { doing: "writing a call", source: e.into() },
            reach: Reach::NotSent,
        })?;
        self.connection.send(text, method, limit)
    }

    /// Takes one message from the connection and puts notifications and questions aside.
    pub(super) fn step(&mut self, to: &'static str, limit: Limit) -> Result<Step, ServerError> {
        let text = self.connection.receive(to, limit)?;
        let message: Message<'_> = serde_json::from_str(&text).map_err(|error| {
            self.connection.give_up();
            ServerError::unexpected(to, error)
        })?;
        let kept = match (message.method, message.id) {
            // The server numbers its questions as it likes, so the method decides, not the id.
            (Some(method), Some(id)) => {
                let params = message.params.map_or("", RawValue::get);
                match approval::read(&id, &method, params) {
                    Some(approval) => {
                        self.approvals.asked(approval.clone());
                        Notification::Approval(Box::new(approval))
                    }
                    None => Notification::Request { id, method, params: params.to_owned() },
                }
            }
            (Some(method), None) => {
                notification::read(method, message.params, message.emitted_at_ms.and_then(|at| at.as_i64()))
            }
            (None, Some(id)) => {
                let outcome = match message.error {
                    Some(refusal) => Err(refusal),
                    // An absent result and `null` are the same to us.
                    None => Ok(message.result.unwrap_or(RawValue::NULL).to_owned()),
                };
                return Ok(Step::Reply { id, outcome });
            }
            (None, None) => {
                self.connection.give_up();
                return Err(ServerError::unexpected(to, "a message that is neither reply nor notification"));
            }
        };
        if let Notification::Resolved { request, .. } = &kept {
            self.approvals.resolved(request);
        }
        self.waiting.keep(kept, text.len());
        Ok(Step::Kept)
    }
}

/// JSON has no words for a path that is not UTF-8.
fn sendable_path(path: &Path) -> Result<&str, ServerError> {
    path.to_str().ok_or_else(|| ServerError::Io {
        doing: "writing a call",
        source: io::Error::new(io::ErrorKind::InvalidInput, format!("the path {} is not UTF-8", path.display())),
    })
}
