//! `doctor-self`: can the Codex that runs this shell be registered, and with which command?
//!
//! The environment alone proves nothing: Codex's background server passes the `TMUX_PANE` of the terminal that once
//! started it to the shells of every session. So the pane counts only when this shell runs below its process.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::{
    check::{
        self, Check,
        Weight::{Advice, Required},
    },
    tools::{INSTALL_CODEX, Tools},
};
use crate::{
    actions::{
        Action, Argv, Context, Format, Outcome, RegisterArgs, RegisterWorker,
        caller::ancestors,
        discover::{
            self,
            running::{self, Running},
        },
        fail,
    },
    base::Name,
    model::session::Session,
    ports::{
        machine,
        process::{CodexProcessKind, CodexScope},
        tmux::{PaneId, PaneInfo, ServerInfo, Tmux, TmuxError},
    },
    store,
};

/// Check whether the Codex that runs this shell can register itself
///
/// To be run by a Codex session. Says which tmux pane it runs in and which command registers it, and if that cannot
/// be told, why not. The exit code is 1 then.
///
/// Example: `conveyor doctor-self --text`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct DoctorSelf {
    /// The tmux session to look at, instead of the one this shell runs in
    #[arg(long, visible_alias = "tmux-session", value_name = "NAME")]
    pub session: Option<String>,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct OwnSession {
    checks: Vec<Check>,
    command_context_note: String,
    command_template: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_session: Option<String>,
    follow_up: Vec<String>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_as: Option<String>,
    supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tmux_pane_id: Option<String>,
    why_or_why_not: String,
    workerctl_invocation: Option<String>,
}

/// The pane in question, and the server it is in.
struct Place {
    socket: String,
    pane: PaneId,
    session_name: String,
}

impl Action for DoctorSelf {
    const NAME: &'static str = "doctor-self";
    const FORMAT: Format = Format::Json;
    type Output = OwnSession;

    fn run(self, cx: &Context) -> crate::base::Result<OwnSession> {
        let tools = Tools::find(cx);
        let mut checks = tools.ours().to_vec();
        checks.extend([
            tools.tmux_on_path("tmux_on_path"),
            match &tools.codex {
                Ok(path) => Check::pass(Advice, "codex_on_path", path.display().to_string()),
                Err(error) => Check::fail(Advice, "codex_on_path", error.message(), INSTALL_CODEX),
            },
        ]);
        let place = if tools.tmux.is_some() { place(cx, self.session.as_deref(), &mut checks) } else { None };
        let found = place.as_ref().and_then(|place| codex_in(cx, place, &mut checks));
        let sessions = cx.ledger().ok().and_then(|store| store.read(store::sessions::list).ok()).unwrap_or_default();
        let registered_as = found.as_ref().and_then(|found| discover::registered_as(found, &sessions, &[]));
        let supported = place.is_some() && found.is_some() && check::all_required(&checks);
        let program = tools.conveyor.as_ref().map_or_else(machine::own_program, |_| Some(PathBuf::from("conveyor")));
        let invocation = program.map(|program| shell_words::quote(&program.display().to_string()).into_owned());
        let command_template = command(invocation.as_deref(), place.as_ref(), registered_as.as_deref(), &sessions);
        Ok(OwnSession {
            command_context_note: format!(
                "the session is registered in the ledger {}; run the command where that is the one you mean, or add --path",
                cx.env().ledger.display()
            ),
            current_session: place.as_ref().map(|place| place.session_name.clone()),
            follow_up: follow_up(supported, &checks, registered_as.as_deref(), &command_template),
            why_or_why_not: why(supported, &checks, place.as_ref(), registered_as.as_deref()),
            ok: supported,
            tmux_pane_id: place.as_ref().map(|place| place.pane.to_string()),
            checks,
            command_template,
            registered_as,
            supported,
            workerctl_invocation: invocation,
        })
    }

    fn argv(&self) -> Argv {
        let Self { session } = self;
        Argv::new(Self::NAME).option("--session", session.as_ref())
    }
}

/// The pane this shell runs in, or the one of the named session.
fn place(cx: &Context, named: Option<&str>, checks: &mut Vec<Check>) -> Option<Place> {
    if named.is_none()
        && let Some(server) = codex_server_above(cx)
    {
        return place_by_folder(cx, server, checks);
    }
    // `socket,server pid,session number`; only the socket may hold a comma itself.
    let inside = cx.env().tmux.as_deref().and_then(|tmux| tmux.rsplitn(3, ',').nth(2)).map(str::to_owned);
    let pane = cx.env().tmux_pane.as_deref().and_then(|pane| pane.parse::<PaneId>().ok());
    if named.is_none() && (inside.is_none() || pane.is_none()) {
        checks.push(outside());
        return None;
    }
    let tmux = cx.tmux(inside.as_deref());
    let (server, panes) = match look(&*tmux) {
        Ok(seen) => seen,
        Err(error) => {
            checks.push(Check::failed(Required, "tmux_access", &fail::tmux(error), "see what `tmux ls` prints"));
            return None;
        }
    };
    let info = match named {
        Some(name) => panes.iter().find(|info| info.session_name == name && info.window_active && info.active),
        None => panes.iter().find(|info| Some(info.id) == pane),
    };
    let session = |check: Check, name: &str| check.fact("session", name.to_owned());
    let Some(info) = info.filter(|info| !info.dead) else {
        let what = match (named, pane) {
            (Some(name), _) => format!("there is no tmux session {name}"),
            (None, Some(pane)) => format!("the tmux server has no live pane {pane}"),
            (None, None) => "the pane is not known".to_owned(),
        };
        let remedy = "`tmux list-panes -a` lists the panes; name a session with --session";
        checks.push(Check::fail(Required, "current_tmux_session_live", what, remedy));
        return None;
    };
    if named.is_none() {
        checks.push(session(below(cx, info), &info.session_name));
    }
    let live = Check::pass(Required, "current_tmux_session_live", format!("pane {} is live", info.id));
    checks.push(session(live, &info.session_name));
    Some(Place { socket: server.socket, pane: info.id, session_name: info.session_name.clone() })
}

fn look(tmux: &dyn Tmux) -> Result<(ServerInfo, Vec<PaneInfo>), TmuxError> {
    Ok((tmux.server_info()?, tmux.panes()?))
}

/// Whether this shell runs below the pane's process.
fn below(cx: &Context, pane: &PaneInfo) -> Check {
    const NAME: &str = "inside_tmux";
    if ancestors(cx).contains(&pane.pid) {
        let message = format!("this shell runs in pane {} of session {}", pane.id, pane.session_name);
        return Check::pass(Required, NAME, message);
    }
    if cx.processes().identify(pane.pid).is_err() {
        // A sandbox with a process table of its own.
        let message =
            format!("TMUX_PANE says {}, but its process cannot be seen from here: a sandbox hides it", pane.id);
        return Check::fail(Required, NAME, message, "run it again outside the sandbox");
    }
    let message = format!("TMUX_PANE says {}, but this shell does not run below that pane", pane.id);
    Check::fail(Required, NAME, message, "run it in the pane itself, or name its session with --session")
}

fn outside() -> Check {
    Check::fail(
        Required,
        "inside_tmux",
        "this shell does not run inside tmux (TMUX and TMUX_PANE are not set)",
        "start Codex in a tmux pane, or register an app session: \
         `conveyor register-worker --name NAME --codex-session FILE`",
    )
}

/// Codex's background server, when this shell runs below it.
fn codex_server_above(cx: &Context) -> Option<u32> {
    let above = ancestors(cx);
    let all = cx.processes().codex_processes(CodexScope::All).ok()?;
    let server =
        all.iter().find(|process| process.kind == CodexProcessKind::Server && above.contains(&process.id.pid))?;
    Some(server.id.pid)
}

/// Below Codex's server nothing tells whose shell this is, but the folder, when only one session works there.
fn place_by_folder(cx: &Context, server: u32, checks: &mut Vec<Check>) -> Option<Place> {
    let here = running::scan(cx).into_iter().filter(|running| running.cwd.as_deref() == Some(cx.env().cwd.as_path()));
    let mut panes: Vec<_> = here.filter_map(|running| running.pane).collect();
    let why = format!(
        "this shell runs below Codex's background server ({server}), whose TMUX_PANE may be that of another session"
    );
    if panes.len() != 1 {
        let message = format!("{why}; {} sessions with a pane work in this folder", panes.len());
        let remedy = "`conveyor discover` lists the running sessions; name the tmux session with --session";
        checks.push(Check::fail(Required, "inside_tmux", message, remedy));
        return None;
    }
    let pane = panes.remove(0);
    let message = format!("{why}; pane {} of {} is the only one in this folder", pane.id, pane.session_name);
    checks.push(Check::pass(Required, "inside_tmux", message).fact("session", pane.session_name.clone()));
    Some(Place { socket: pane.socket, pane: pane.id, session_name: pane.session_name })
}

/// The Codex in the pane, and whether its thread is known.
fn codex_in(cx: &Context, place: &Place, checks: &mut Vec<Check>) -> Option<Running> {
    let found = match running::of_pane(cx, Some(&place.socket), place.pane) {
        Ok(found) => found,
        Err(error) => {
            let remedy = "bring the one that is meant to the foreground there, or end the other one";
            checks.push(Check::fail(Required, "codex_in_pane", error.to_string(), remedy));
            return None;
        }
    };
    let Some(found) = found.filter(|running| running.process.is_some()) else {
        let message = format!("no Codex runs in pane {}", place.pane);
        checks.push(Check::fail(Required, "codex_in_pane", message, "start `codex` in it, or `conveyor start-worker`"));
        return None;
    };
    let pid = found.process.map_or(0, |process| process.pid);
    checks.push(Check::pass(Required, "codex_in_pane", format!("pid {pid}")).fact("pid", pid));
    checks.push(match &found.thread_id {
        Some(thread) => {
            let by: Vec<&str> = found.ways.iter().map(|way| way.as_str()).collect();
            Check::pass(Advice, "thread_known", format!("{thread} (by {})", by.join(", ")))
                .fact("value", thread.clone())
        }
        None => Check::fail(
            Advice,
            "thread_known",
            "not yet: Codex tells it with the first prompt",
            "register now all the same; the thread is taken up when it shows",
        ),
    });
    Some(found)
}

/// The command that registers the session.
fn command(invocation: Option<&str>, place: Option<&Place>, known: Option<&str>, sessions: &[Session]) -> String {
    let free = || {
        let mut names = (1..).map(|number| format!("w{number}"));
        names.find(|name| !sessions.iter().any(|session| session.name == *name))
    };
    let invocation = invocation.unwrap_or("conveyor");
    let name = known.map(str::to_owned).or_else(free).and_then(|name| name.parse::<Name>().ok());
    let (Some(place), Some(name)) = (place, name) else {
        return format!("{invocation} register-worker --name=NAME --tmux-pane=PANE");
    };
    let register = RegisterWorker {
        args: RegisterArgs {
            name,
            codex_session: None,
            pid: None,
            cwd: None,
            tmux_session: None,
            tmux_pane: Some(place.pane.to_string()),
            tmux_socket: Some(PathBuf::from(&place.socket)),
            codex_app_thread_id: None,
            codex_app_thread_title: None,
        },
    };
    format!("{invocation} {}", register.argv().shell_line())
}

fn why(supported: bool, checks: &[Check], place: Option<&Place>, known: Option<&str>) -> String {
    let wrong = checks.iter().find(|check| !check.ok && check.is_required());
    match (wrong, place, known) {
        (None, Some(place), Some(name)) if supported => {
            format!("the Codex in pane {} of {} is registered as {name}", place.pane, place.session_name)
        }
        (None, Some(place), None) if supported => {
            format!("the Codex in pane {} of {} can be registered", place.pane, place.session_name)
        }
        (Some(check), ..) => check.message.clone(),
        (None, ..) => "nothing tells which Codex this is".to_owned(),
    }
}

fn follow_up(supported: bool, checks: &[Check], known: Option<&str>, command: &str) -> Vec<String> {
    if !supported {
        let wrong = checks.iter().filter(|check| !check.ok && check.is_required());
        return wrong.filter_map(|check| check.remedy.clone()).collect();
    }
    match known {
        Some(name) => vec![format!("`conveyor status {name}`")],
        None => vec![
            format!("`{command}`"),
            "a supervisor is registered with `register-manager` and the same options".to_owned(),
            "`conveyor sessions` shows it afterwards".to_owned(),
        ],
    }
}

impl Outcome for OwnSession {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        check::write(out, &self.checks)?;
        check::paragraph(out, if self.supported { "yes: " } else { "no: " }, 4, &self.why_or_why_not)?;
        self.follow_up.iter().try_for_each(|step| check::paragraph(out, "next: ", 6, step))
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.supported)
    }
}
