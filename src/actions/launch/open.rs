//! `open`, `open-worker`, `open-manager`: show a session's pane in this terminal.
//!
//! Outside tmux this terminal attaches; inside tmux on the same server the client switches, or a split or a popup
//! shows the pane. A split is made only when the session keeps at least 60 columns and 15 rows in it.
//! Nothing is done here: the words for it are handed to whoever owns the terminal, with the keys that lead back.

use std::fmt;

use serde::Serialize;

use crate::{
    actions::{Action, Argv, Context, Format, Outcome, fail, lookup},
    base::{Error, Kind, Result},
    model::session::{Role, Session},
    ports::tmux::{PaneId, SplitDirection, Tmux},
    store, text_enum,
};

/// What a Codex screen needs to stay readable.
const LEAST_WIDTH: u16 = 60;
const LEAST_HEIGHT: u16 = 15;

/// How long the pane's terminal says how to come back, in milliseconds.
const SAID: &str = "3000";

text_enum! {
    /// How the pane is shown.
    pub enum Way {
        /// This terminal attaches.
        Attach => "attach",
        /// This tmux client switches to it.
        SwitchClient => "switch-client",
        /// A split beside the present pane.
        Split => "split",
        /// A popup over the present window.
        Popup => "popup",
    }
}

/// How a session is to be shown.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct OpenArgs {
    /// Inside tmux: a split beside this pane, if there is room, else a popup
    #[arg(long, conflicts_with = "popup")]
    pub split: bool,
    /// Inside tmux: a popup over this window
    #[arg(long)]
    pub popup: bool,
}

impl OpenArgs {
    fn argv(&self, argv: Argv) -> Argv {
        let Self { split, popup } = self;
        argv.switch("--split", *split).switch("--popup", *popup)
    }
}

/// Show a session's pane in this terminal
///
/// Inside tmux the client switches to it; `--split` and `--popup` keep the present window in view. With `--json` or
/// without a terminal only the command is printed.
///
/// Example: `conveyor open w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Open {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub how: OpenArgs,
}

/// Show the worker of a task in this terminal
///
/// Example: `conveyor open-worker parser --popup`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct OpenWorker {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub how: OpenArgs,
}

/// Show the manager of a task in this terminal
///
/// Example: `conveyor open-manager parser`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct OpenManager {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub how: OpenArgs,
}

/// How the pane is shown.
#[derive(Debug, Serialize)]
pub struct Opened {
    attach_command: String,
    /// The keys that lead back; none when tmux does not tell, or there is nothing to come back from.
    back: Option<String>,
    /// The words that show it here, in the way told.
    command: String,
    /// Why it is shown in another way than asked for, or cannot be.
    note: Option<String>,
    session: String,
    tmux_pane_id: String,
    tmux_session: Option<String>,
    way: Way,
    #[serde(skip)]
    handover: Vec<String>,
}

impl Action for Open {
    const NAME: &'static str = "open";
    type Output = Opened;

    fn run(self, cx: &Context) -> Result<Opened> {
        let session = cx.ledger()?.read(|r| lookup::session(r, &self.session))?;
        open(cx, &session, &self.how)
    }

    fn argv(&self) -> Argv {
        let Self { session, how } = self;
        how.argv(Argv::new(Self::NAME)).end_of_options().word(session)
    }
}

impl Action for OpenWorker {
    const NAME: &'static str = "open-worker";
    const FORMAT: Format = Format::Prose;
    type Output = Opened;

    fn run(self, cx: &Context) -> Result<Opened> {
        open(cx, &session_of_task(cx, &self.task, Role::Worker)?, &self.how)
    }

    fn argv(&self) -> Argv {
        let Self { task, how } = self;
        how.argv(Argv::new(Self::NAME)).end_of_options().word(task)
    }
}

impl Action for OpenManager {
    const NAME: &'static str = "open-manager";
    type Output = Opened;

    fn run(self, cx: &Context) -> Result<Opened> {
        open(cx, &session_of_task(cx, &self.task, Role::Manager)?, &self.how)
    }

    fn argv(&self) -> Argv {
        let Self { task, how } = self;
        how.argv(Argv::new(Self::NAME)).end_of_options().word(task)
    }
}

fn session_of_task(cx: &Context, task: &str, role: Role) -> Result<Session> {
    cx.ledger()?.read(|r| {
        let task = lookup::task(r, task)?;
        let binding = lookup::active_binding(r, &task)?;
        let id = match role {
            Role::Worker => &binding.worker_session_id,
            Role::Manager => &binding.manager_session_id,
        };
        store::sessions::by_id(r, id)?
            .ok_or_else(|| Error::new(Kind::Bug, format!("the binding names the unknown session {id}")))
    })
}

/// A visit to a session's pane by a program that goes on afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The words that lead there. They also say there how to come back.
    pub argv: Vec<String>,
    /// How the pane is shown.
    pub way: Way,
    /// The keys that lead back, as `Ctrl-b d`; none when tmux does not tell.
    pub back: Option<String>,
}

/// How a program that has this terminal shows a session's pane: as `open` does.
///
/// # Errors
/// When the session has no pane, or its pane is gone.
pub fn visit(cx: &Context, session_id: &str) -> Result<Visit> {
    let session = cx.ledger()?.read(|r| store::sessions::by_id(r, session_id))?;
    let session = session.ok_or_else(|| Error::not_found(format!("no session with id {session_id}")))?;
    let Opened { mut handover, way, back, .. } = open(cx, &session, &OpenArgs { split: false, popup: false })?;
    if way == Way::SwitchClient {
        let (tmux, pane) = pane_of(cx, &session)?;
        if let Some(error) = nobody_looks(&*tmux, &tmux.attach_argv(pane))? {
            return Err(error);
        }
    }
    if let Some(keys) = &back {
        let text = format!("{keys} comes back").replace('#', "##").replace('%', "%%");
        handover.extend([";", "display-message", "-d", SAID, &text].map(str::to_owned));
    }
    Ok(Visit { argv: handover, way, back })
}

fn pane_of(cx: &Context, session: &Session) -> Result<(std::sync::Arc<dyn Tmux>, PaneId)> {
    let Some(pane) = session.tmux_pane_id.as_deref() else {
        return Err(Error::refused(format!("session \"{}\" has no tmux pane", session.name)));
    };
    let pane: PaneId = pane.parse().map_err(fail::tmux)?;
    let tmux = cx.tmux(session.tmux_socket.as_deref());
    let info = tmux.pane(pane).map_err(fail::tmux)?;
    let ours = info.is_some_and(|info| session.pane_pid.is_none_or(|pid| pid == i64::from(info.pid)));
    if ours {
        Ok((tmux, pane))
    } else {
        Err(Error::refused(format!("the pane {pane} of session \"{}\" is gone", session.name))
            .hint(format!("`conveyor resume {}` opens its Codex session in a new one", session.name)))
    }
}

fn open(cx: &Context, session: &Session, how: &OpenArgs) -> Result<Opened> {
    let (tmux, pane) = pane_of(cx, session)?;
    let attach = tmux.attach_argv(pane);
    // A nested client must not think that it runs inside tmux.
    let nested: Vec<String> =
        ["env", "-u", "TMUX"].into_iter().map(str::to_owned).chain(attach.iter().cloned()).collect();
    let mut note = None;
    let (way, handover) = match cx.env().tmux_pane.as_deref().and_then(|pane| pane.parse::<PaneId>().ok()) {
        None => (Way::Attach, attach.clone()),
        Some(here) => {
            let own = cx.tmux(None);
            let split = how.split.then(|| room_for_split(&*own, here)).flatten();
            if let Some(direction) = split {
                let side = match direction {
                    SplitDirection::Right => "-h",
                    SplitDirection::Below => "-v",
                };
                let (here, cwd) = (here.to_string(), cx.env().cwd.display().to_string());
                let words = ["split-window", "-d", side, "-t", &here, "-c", &cwd, "--"];
                (Way::Split, client(&*own, pane, &words).into_iter().chain(nested).collect())
            } else if how.popup || how.split {
                if how.split {
                    note = Some(format!(
                        "a split would leave the session less than {LEAST_WIDTH}x{LEAST_HEIGHT}, so it is a popup"
                    ));
                }
                (Way::Popup, own.popup_argv(&cx.env().cwd, &nested).map_err(fail::tmux)?)
            } else if inside_same_server(cx, session) {
                // To be told is enough for who only asks how.
                note = nobody_looks(&*tmux, &attach)?.map(|error| {
                    [Some(error.message()), error.hint_text()].into_iter().flatten().collect::<Vec<_>>().join("; ")
                });
                (Way::SwitchClient, client(&*tmux, pane, &["switch-client", "-t", &pane.to_string()]))
            } else {
                note = Some("this terminal is inside another tmux server".to_owned());
                (Way::Attach, nested)
            }
        }
    };
    Ok(Opened {
        attach_command: shell_words::join(&attach),
        back: back(cx, &*tmux, pane, way),
        command: shell_words::join(&handover),
        note,
        session: session.name.clone(),
        tmux_pane_id: pane.to_string(),
        tmux_session: session.tmux_session.clone(),
        way,
        handover,
    })
}

/// Why no client of this server can be switched: no terminal shows anything of it. With what can be done instead.
fn nobody_looks(tmux: &dyn Tmux, attach: &[String]) -> Result<Option<Error>> {
    let sessions = tmux.sessions().map_err(fail::tmux)?;
    let is_shown = sessions.iter().any(|session| session.attached > 0);
    Ok((!is_shown).then(|| {
        Error::refused("no terminal shows this tmux server now, so none can be switched to the session")
            .hint(format!("in a terminal outside tmux: `{}`", shell_words::join(attach)))
    }))
}

/// The keys that lead back from a pane, as tmux has them when nobody has bound others.
fn back(cx: &Context, theirs: &dyn Tmux, pane: PaneId, way: Way) -> Option<String> {
    let prefix = |tmux: &dyn Tmux| Some(key_name(&tmux.server_settings().ok()?.prefix?));
    let here = || cx.env().tmux_pane.as_deref()?.parse::<PaneId>().ok();
    let their_prefix = prefix(theirs)?;
    Some(match way {
        // The tmux around this one takes its own prefix; pressed twice it passes it on.
        Way::Attach if here().is_some() && prefix(&*cx.tmux(None)).as_ref() == Some(&their_prefix) => {
            format!("{their_prefix} {their_prefix} d")
        }
        Way::Attach | Way::Popup => format!("{their_prefix} d"),
        Way::SwitchClient => {
            let here = theirs.pane(here()?).ok()??;
            let there = theirs.pane(pane).ok()??;
            let key = match here.session == there.session {
                false => "L",
                true if here.window_active && there.window_active => ";",
                true => "l",
            };
            format!("{their_prefix} {key}")
        }
        // This pane keeps the keyboard.
        Way::Split => return None,
    })
}

/// A key of tmux as the rest of the program writes it: `C-b` is `Ctrl-b`.
fn key_name(key: &str) -> String {
    match (key.strip_prefix("C-"), key.strip_prefix("M-")) {
        (Some(rest), _) => format!("Ctrl-{rest}"),
        (_, Some(rest)) => format!("Alt-{rest}"),
        _ => key.to_owned(),
    }
}

/// The words that show a program beside this pane, or over this window, and why it is not as asked for.
///
/// A split is made only when both sides keep room enough; else it becomes a popup.
///
/// # Errors
/// When this does not run inside tmux.
pub fn beside(cx: &Context, wants_split: bool, argv: &[String]) -> Result<(Vec<String>, Option<String>)> {
    let Some(here) = cx.env().tmux_pane.as_deref().and_then(|pane| pane.parse::<PaneId>().ok()) else {
        return Err(Error::refused("splits and popups exist inside tmux only, and this terminal is not inside tmux")
            .hint("run it without --split and --popup, or inside `tmux new-session`"));
    };
    let own = cx.tmux(None);
    let split = wants_split.then(|| room_for_split(&*own, here)).flatten();
    if let Some(direction) = split {
        let side = match direction {
            SplitDirection::Right => "-h",
            SplitDirection::Below => "-v",
        };
        let (pane, cwd) = (here.to_string(), cx.env().cwd.display().to_string());
        let words = ["split-window", side, "-t", &pane, "-c", &cwd, "--"];
        return Ok((client(&*own, here, &words).into_iter().chain(argv.iter().cloned()).collect(), None));
    }
    let note = wants_split
        .then(|| format!("a split would leave one side less than {LEAST_WIDTH}x{LEAST_HEIGHT}, so it is a popup"));
    Ok((own.popup_argv(&cx.env().cwd, argv).map_err(fail::tmux)?, note))
}

/// A command line for the server behind `tmux`: the words that attach, with others in place of the command.
fn client(tmux: &dyn Tmux, pane: PaneId, words: &[&str]) -> Vec<String> {
    let attach = tmux.attach_argv(pane).into_iter().take_while(|word| word != "attach-session");
    attach.chain(words.iter().map(|word| (*word).to_owned())).collect()
}

/// Whether this command runs inside the tmux server that holds the session.
fn inside_same_server(cx: &Context, session: &Session) -> bool {
    let ours = cx.env().tmux.as_deref().and_then(|tmux| tmux.split(',').next());
    match (ours, session.tmux_socket.as_deref()) {
        (Some(ours), Some(theirs)) => ours == theirs,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The side on which a half of this pane is large enough.
fn room_for_split(tmux: &dyn Tmux, here: PaneId) -> Option<SplitDirection> {
    let size = tmux.pane(here).ok()??.size;
    // One column or row goes to the border.
    if (size.width.saturating_sub(1)) / 2 >= LEAST_WIDTH && size.height >= LEAST_HEIGHT {
        Some(SplitDirection::Right)
    } else if size.width >= LEAST_WIDTH && (size.height.saturating_sub(1)) / 2 >= LEAST_HEIGHT {
        Some(SplitDirection::Below)
    } else {
        None
    }
}

impl Outcome for Opened {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if let Some(note) = &self.note {
            writeln!(out, "{note}")?;
        }
        writeln!(out, "{}: {}", self.way, self.command)?;
        self.back.iter().try_for_each(|keys| writeln!(out, "back: {keys}"))
    }

    fn handover(&self) -> Option<&[String]> {
        Some(&self.handover)
    }
}
