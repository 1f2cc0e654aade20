//! A running session as it is printed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{KnownBy, Running};
use crate::model::session::{Parting, Registration, Role, Session};

/// A running session as printed.
#[derive(Debug, Serialize)]
pub struct RunningView {
    codex_session_id: Option<String>,
    codex_session_path: Option<String>,
    codex_version: Option<String>,
    cwd: Option<String>,
    /// What told which thread it is; empty when nothing did.
    known_by: Vec<KnownBy>,
    /// Name in the ledger, also of a registration that was given up.
    pub(in crate::actions::discover) known_as: Option<String>,
    name: Option<String>,
    /// How a registration was left that is not in force.
    #[serde(skip)]
    pub(in crate::actions::discover) parting: Option<Parting>,
    pid: Option<u32>,
    preview: Option<String>,
    /// Name of the registration, when it has one.
    pub(in crate::actions::discover) registered_as: Option<String>,
    /// Role in the ledger.
    role: Option<Role>,
    tmux_pane_id: Option<String>,
    tmux_session: Option<String>,
    tmux_socket: Option<String>,
    /// Codex's server has it loaded, but no turn is open and no terminal shows it: it is not adopted.
    pub(in crate::actions::discover) unattended: bool,
}

impl RunningView {
    pub(in crate::actions::discover) fn of(running: &Running, known: Option<&Session>) -> Self {
        let text = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        Self {
            codex_session_id: running.thread_id.clone(),
            codex_session_path: text(&running.rollout),
            codex_version: running.version.clone(),
            cwd: text(&running.cwd),
            known_by: running.ways.iter().copied().collect(),
            known_as: known.map(|known| known.name.clone()),
            name: running.name.clone(),
            parting: None,
            pid: running.process.map(|process| process.pid),
            preview: running.preview.clone(),
            registered_as: known.filter(|known| known.state == Registration::Active).map(|known| known.name.clone()),
            role: known.map(|known| known.role),
            tmux_pane_id: running.pane.as_ref().map(|pane| pane.id.to_string()),
            tmux_session: running.pane.as_ref().map(|pane| pane.session_name.clone()),
            tmux_socket: running.pane.as_ref().map(|pane| pane.socket.clone()),
            unattended: running.unattended,
        }
    }

    /// Whether it runs in this folder or below it.
    pub(in crate::actions::discover) fn is_in(&self, folder: &Path) -> bool {
        self.cwd.as_ref().is_some_and(|cwd| Path::new(cwd).starts_with(folder))
    }

    /// Whether both run in the same pane.
    pub(in crate::actions::discover) fn is_beside(&self, other: &Self) -> bool {
        self.tmux_pane_id.is_some()
            && (&self.tmux_pane_id, &self.tmux_socket) == (&other.tmux_pane_id, &other.tmux_socket)
    }

    /// Whether this is another look at the same session: under the same name, of the same thread or in the same pane, and
    /// nothing says otherwise. A terminal that tells no thread and a thread that tells no terminal are two: the name alone
    /// does not say that one shows the other now.
    pub(in crate::actions::discover) fn is_same(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        fn tells<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_some() && one == other
        }
        self.known_as.is_some()
            && self.known_as == other.known_as
            && (tells(&self.codex_session_id, &other.codex_session_id)
                || tells(&self.tmux_pane_id, &other.tmux_pane_id))
            && agree(&self.codex_session_id, &other.codex_session_id)
            && agree(&self.tmux_pane_id, &other.tmux_pane_id)
            && agree(&self.tmux_socket, &other.tmux_socket)
    }

    /// Takes over what another look at the same session knows.
    pub(in crate::actions::discover) fn merge(&mut self, more: Self) {
        let fill = |known: &mut Option<String>, more: Option<String>| *known = known.take().or(more);
        fill(&mut self.codex_session_id, more.codex_session_id);
        fill(&mut self.codex_session_path, more.codex_session_path);
        fill(&mut self.codex_version, more.codex_version);
        fill(&mut self.cwd, more.cwd);
        fill(&mut self.name, more.name);
        fill(&mut self.preview, more.preview);
        fill(&mut self.tmux_pane_id, more.tmux_pane_id);
        fill(&mut self.tmux_session, more.tmux_session);
        fill(&mut self.tmux_socket, more.tmux_socket);
        self.pid = self.pid.or(more.pid);
        self.unattended &= more.unattended;
        self.known_by.extend(more.known_by);
        self.known_by.sort_unstable();
        self.known_by.dedup();
    }

    /// Its thread, terminal and folder.
    pub(in crate::actions::discover) fn place(&self) -> String {
        let nowhere = if self.unattended { "no terminal" } else { "no pane" };
        let place = match (&self.tmux_session, &self.tmux_pane_id) {
            (Some(session), Some(pane)) => format!("{session} {pane}"),
            (Some(place), None) | (None, Some(place)) => place.clone(),
            (None, None) => nowhere.to_owned(),
        };
        let id = self.codex_session_id.as_deref().unwrap_or("thread not known");
        format!("{id}  {place}  {}", self.cwd.as_deref().unwrap_or("?"))
    }

    /// One line for people.
    pub(in crate::actions::discover) fn line(&self) -> String {
        let what = self.name.as_deref().or(self.preview.as_deref()).unwrap_or("");
        let role = self.role.map(|role| format!(" ({role})")).unwrap_or_default();
        let registered = match (&self.registered_as, &self.known_as) {
            (Some(name), _) => format!("is {name}{role}"),
            (None, Some(name)) => format!(
                "was {name}{role}{}",
                match self.parting {
                    Some(Parting::GivenUp) => ", deregistered",
                    Some(Parting::Stopped) => ", stopped",
                    None => "",
                }
            ),
            (None, None) => "not registered".to_owned(),
        };
        format!("{}  {registered}  {what}", self.place()).trim_end().to_owned()
    }
}
