//! Where programs are looked for whose word counts as evidence of a task: `git`, `gh`, the tools of its terms.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    actions::{Context, caller::Origin},
    base::{Error, Kind, Result},
    ports::{env::find_program, tools},
    store::{self, Read, Write, audit},
};

/// Where a system keeps its own programs: what counts for a session as long as nobody knows where a person has theirs.
const OF_SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";

/// The search path of a command that works on a task.
///
/// A person's own. A session says where programs are looked for as little as it says what evidence is: for its commands
/// the path counts that the operator had when they last set the terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::actions) struct Programs {
    path: Option<OsString>,
    /// It is the path of whoever runs the command.
    is_own: bool,
}

impl Programs {
    pub(in crate::actions) fn of(cx: &Context, r: Read<'_>, origin: &Origin, task_id: &str) -> Result<Self> {
        let is_own = *origin == Origin::Operator;
        let path = match origin {
            Origin::Operator => cx.env().path.clone(),
            Origin::Session(_) | Origin::Hidden => {
                let known = store::manager_configs::search_path(r, task_id)?;
                Some(known.unwrap_or_else(|| OF_SYSTEM.to_owned()).into())
            }
        };
        Ok(Self { path, is_own })
    }

    /// What is kept of it with the terms: a person's own.
    pub(super) fn kept<'a>(cx: &'a Context, origin: &Origin) -> Option<&'a str> {
        let path = cx.env().path.as_deref().filter(|_| *origin == Origin::Operator);
        path.and_then(OsStr::to_str)
    }

    /// Keeps it beside terms that are set again as they are, and says so in the audit trail.
    pub(super) fn keep(cx: &Context, w: &Write<'_>, origin: &Origin, task_id: &str) -> Result<()> {
        let Some(path) = Self::kept(cx, origin) else { return Ok(()) };
        if store::manager_configs::keep_search_path(w, task_id, path)? {
            let about = audit::About { task_id: Some(task_id), session_id: None };
            let payload = json!({ "origin": origin.words() });
            audit::append(w, cx.now(), origin.actor(cx), "search_path_recorded", about, &payload)?;
        }
        Ok(())
    }

    pub(in crate::actions) fn find(&self, name: &str) -> Option<PathBuf> {
        find_program(self.path.as_deref(), name)
    }

    /// Why nothing can be told without this program.
    pub(super) fn without(&self, name: &str) -> Error {
        if self.is_own {
            return Error::new(Kind::MissingTool, format!("{name} is not installed")).hint(format!("install {name}"));
        }
        let words = format!("{name} is not where the operator who set the terms looks for programs");
        Error::new(Kind::MissingTool, words)
            .hint("an operator runs this, or sets the terms again in a shell that has it on its PATH")
    }

    /// The program of a tool: a path is taken from the folder.
    pub(super) fn of_tool(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        tools::program(self.path.as_deref(), folder, name)
    }

    /// The path itself, for what looks for further programs.
    pub(super) fn path(&self) -> Option<&OsStr> {
        self.path.as_deref()
    }
}
