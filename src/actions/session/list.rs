//! `sessions`, and how a session is printed wherever one is.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    actions::{Action, Argv, Context, Format, Outcome},
    base::{Error, Result, Timestamp},
    model::{
        filter::Filter,
        session::{Communication, Registration, Role, Session},
    },
    store::{self, Read},
};

/// The contract's communication block: [`Communication`] plus how the session gets its messages.
#[derive(Debug, Serialize)]
pub struct CommunicationView {
    ack_command_template: &'static str,
    #[serde(flatten)]
    communication: Communication,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_command: Option<String>,
    poll_command_template: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    receive_command: Option<String>,
    receive_command_template: String,
}

impl CommunicationView {
    pub(in crate::actions) fn of(session: &Session) -> Self {
        let role = session.role;
        Self {
            ack_command_template: "conveyor ack <token> --json",
            communication: Communication::of(session),
            poll_command: None,
            poll_command_template: format!("conveyor {role}-inbox <task> --consume-next --wait --timeout 60 --json"),
            receive_command: None,
            receive_command_template: format!("conveyor {role}-inbox <task> --receive --wait --timeout 60 --json"),
        }
    }

    /// The same with the commands of one task, on the ledger at `path`.
    pub(in crate::actions) fn with_task(self, role: Role, task: &str, path: &str) -> Self {
        let (task, path) = (shell_words::quote(task), shell_words::quote(path));
        let command =
            |take: &str| Some(format!("conveyor {role}-inbox {task} {take} --wait --timeout 60 --path {path} --json"));
        Self { poll_command: command("--consume-next"), receive_command: command("--receive"), ..self }
    }

    pub(in crate::actions) fn poll_command(&self) -> &str {
        self.poll_command.as_deref().unwrap_or(&self.poll_command_template)
    }

    pub(in crate::actions) fn receive_command(&self) -> &str {
        self.receive_command.as_deref().unwrap_or(&self.receive_command_template)
    }

    pub(in crate::actions) fn communication(&self) -> &Communication {
        &self.communication
    }
}

/// Which registrations `sessions` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StateFilter {
    /// In force.
    Active,
    /// Deregistered, stopped or lost.
    Gone,
    /// Both.
    All,
}

/// List the registered sessions
///
/// Without `--state` only sessions in force are listed, in the order of their registration.
///
/// Example: `conveyor sessions --role worker --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Sessions {
    /// Only this role
    #[arg(long, value_name = "ROLE")]
    pub role: Option<Role>,
    /// Only registrations in this state
    #[arg(long, value_name = "STATE", value_enum)]
    pub state: Option<StateFilter>,
    /// Only this session; may be given several times
    #[arg(long, value_name = "NAME")]
    pub name: Vec<String>,
    /// Show identity tokens, which prove a session's identity in prompts; they are redacted otherwise
    #[arg(long, conflicts_with = "redact_identity_token")]
    pub show_identity_token: bool,
    /// Redact identity tokens; this is the default
    #[arg(long)]
    pub redact_identity_token: bool,
    /// Only what matches, in the filter language: "state:blocked age>10m"; `state:gone` needs no --state
    #[arg(long, value_name = "FILTER", value_parser = Filter::of_sessions)]
    pub filter: Option<Filter>,
    /// Accepted for older scripts; app sessions are always listed
    #[arg(long, hide = true)]
    pub include_legacy: bool,
}

/// One session as printed.
#[derive(Debug, Serialize)]
pub struct SessionView {
    codex_app_thread_id: Option<String>,
    codex_app_thread_title: Option<String>,
    codex_session_id: Option<String>,
    codex_session_path: Option<String>,
    codex_version: Option<String>,
    communication: CommunicationView,
    cwd: String,
    id: String,
    identity_token: String,
    last_heartbeat_at: Option<Timestamp>,
    last_ingest_offset: Option<i64>,
    name: String,
    pid: Option<i64>,
    registered_at: Timestamp,
    role: Role,
    state: Registration,
    tmux_pane_id: Option<String>,
    tmux_session: Option<String>,
}

impl SessionView {
    /// Whether this is its name.
    pub(in crate::actions) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    /// One line for people.
    pub(in crate::actions) fn line(&self) -> String {
        let place = self.tmux_session.as_deref().or(self.tmux_pane_id.as_deref()).unwrap_or("no pane");
        format!("{}\t{}\t{}\t{}\t{}", self.name, self.role, self.state, place, self.cwd)
    }

    pub(in crate::actions) fn of(session: Session, show_token: bool) -> Self {
        let communication = CommunicationView::of(&session);
        Self {
            codex_app_thread_id: session.codex_app_thread_id,
            codex_app_thread_title: session.codex_app_thread_title,
            codex_session_id: session.codex_session_id,
            codex_session_path: session.codex_session_path,
            codex_version: session.codex_version,
            communication,
            cwd: session.cwd,
            id: session.id,
            identity_token: if show_token { session.identity_token } else { "[REDACTED]".to_owned() },
            last_heartbeat_at: session.last_heartbeat_at,
            last_ingest_offset: session.last_ingest_offset,
            name: session.name,
            pid: session.pid,
            registered_at: session.registered_at,
            role: session.role,
            state: session.state,
            tmux_pane_id: session.tmux_pane_id,
            tmux_session: session.tmux_session,
        }
    }
}

/// The listed sessions.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SessionList(Vec<SessionView>);

impl Action for Sessions {
    const NAME: &'static str = "sessions";
    const FORMAT: Format = Format::Json;
    type Output = SessionList;

    fn run(self, cx: &Context) -> Result<SessionList> {
        let filter = self.filter.unwrap_or_default();
        let (sessions, passing) = cx.ledger()?.read(|r| {
            let passing = if filter.is_empty() { None } else { Some(passing(r, &filter, cx.now())?) };
            Ok::<_, store::Error>((store::sessions::list(r)?, passing))
        })?;
        if let Some(unknown) = self.name.iter().find(|name| !sessions.iter().any(|session| session.name == **name)) {
            return Err(Error::not_found(format!("no session registered with name \"{unknown}\""))
                .hint("`conveyor sessions --state all` lists the names"));
        }
        let usual = if filter.asks_for_gone() { StateFilter::All } else { StateFilter::Active };
        let state = self.state.unwrap_or(usual);
        let wanted = |session: &Session| {
            let in_state = match state {
                StateFilter::All => true,
                StateFilter::Active => session.state == Registration::Active,
                StateFilter::Gone => session.state == Registration::Gone,
            };
            in_state
                && passing.as_ref().is_none_or(|ids| ids.contains(&session.id))
                && self.role.is_none_or(|role| role == session.role)
                && (self.name.is_empty() || self.name.contains(&session.name))
        };
        Ok(SessionList(
            sessions
                .into_iter()
                .filter(wanted)
                .map(|session| SessionView::of(session, self.show_identity_token))
                .collect(),
        ))
    }

    fn argv(&self) -> Argv {
        let Self { role, state, name, show_identity_token, redact_identity_token, filter, include_legacy } = self;
        let state = state.map(|state| match state {
            StateFilter::Active => "active",
            StateFilter::Gone => "gone",
            StateFilter::All => "all",
        });
        let argv = Argv::new(Self::NAME).option("--role", *role).option("--state", state);
        name.iter()
            .fold(argv, |argv, name| argv.option("--name", Some(name)))
            .switch("--show-identity-token", *show_identity_token)
            .switch("--redact-identity-token", *redact_identity_token)
            .option("--filter", filter.as_ref())
            .switch("--include-legacy", *include_legacy)
    }
}

/// The ids of the sessions that pass: what they are doing stands on the board.
fn passing(r: Read<'_>, filter: &Filter, now: Timestamp) -> Result<BTreeSet<String>, store::Error> {
    let board = store::board::load(r, "", now)?;
    Ok(board.sessions.into_iter().filter(|row| filter.matches_session(row, now)).map(|row| row.id).collect())
}

impl Outcome for SessionList {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.0.iter().try_for_each(|session| writeln!(out, "{}", session.line()))
    }
}
