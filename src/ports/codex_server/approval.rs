//! Approvals the server asks for, and the answers to them.
//!
//! The server takes the first answer of any client, by nothing but the question's number, and numbers its questions
//! from zero when it starts. So an answer here names the whole question and is sent only while exactly that question
//! is open on this very connection: the number of a former server could be another command today.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::notification::RequestId;
use crate::{
    base::{Timestamp, text},
    text_enum,
};

/// The longest command or reason that is kept, in characters.
const MAX_TEXT: usize = 4000;

/// The most questions that are remembered as open.
const MAX_OPEN: usize = 256;

/// A question of the server: may this be done?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The question's number on this server.
    pub id: RequestId,
    /// The thread that waits.
    pub thread_id: String,
    /// Its open turn.
    pub turn_id: String,
    /// The item that waits.
    pub item_id: String,
    /// What is to be done. Texts are cleaned and cut, so this is for people and rules, not for running.
    pub action: Action,
    /// Why, in the agent's words.
    pub reason: Option<String>,
    /// Since when it waits.
    pub asked_at: Option<Timestamp>,
    /// Several questions can belong to one item; this tells them apart.
    pub approval_id: Option<String>,
    /// What a yes would give beyond what `action` says, in our words; such a question needs its own screen.
    pub beyond: Option<String>,
    /// The texts are shown as the server sent them: nothing was cut off or cleaned away.
    pub is_exact: bool,
}

/// What an approval is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To run a command.
    Command {
        /// The command line; none for the kinds of question that have none (network access, input to a program).
        command: Option<String>,
        /// Where it would run.
        cwd: Option<PathBuf>,
    },
    /// To change files. Which ones says the item of the same id.
    FileChange,
}

text_enum! {
    /// An answer to an approval. All three hold for this one question only.
    pub enum Decision {
        /// Do it.
        Accept => "accept",
        /// Do not; the agent is told and the turn goes on.
        Decline => "decline",
        /// Do not, and interrupt the turn.
        Cancel => "cancel",
    }
}

/// Reads a question. None for other questions (to the person, of an MCP server, for permissions), which are not ours
/// to answer.
pub(super) fn read(id: &RequestId, method: &str, params: &str) -> Option<Approval> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        thread_id: String,
        turn_id: String,
        item_id: String,
        command: Option<String>,
        cwd: Option<PathBuf>,
        reason: Option<String>,
        started_at_ms: Option<i64>,
        approval_id: Option<String>,
        kind: Option<String>,
        network_approval_context: Option<Value>,
        additional_permissions: Option<Value>,
        grant_root: Option<Value>,
    }

    let is_command = match method {
        "item/commandExecution/requestApproval" => true,
        "item/fileChange/requestApproval" => false,
        _ => return None,
    };
    let wire: Wire = serde_json::from_str(params).ok()?;
    let shown = |words: Option<String>| words.map(|words| text::bounded(&text::clean(&words), MAX_TEXT));
    let is_exact = wire.command == shown(wire.command.clone());
    let beyond = [
        (wire.kind.as_deref().is_some_and(|kind| kind != "command"), "input to a running program"),
        (wire.network_approval_context.is_some(), "network access"),
        (wire.additional_permissions.is_some(), "more permissions"),
        (wire.grant_root.is_some(), "writing below a folder for the rest of the session"),
    ];
    let beyond: Vec<&str> = beyond.iter().filter(|(is_so, _)| *is_so).map(|(_, what)| *what).collect();
    Some(Approval {
        id: id.clone(),
        thread_id: wire.thread_id,
        turn_id: wire.turn_id,
        item_id: wire.item_id,
        action: if is_command {
            Action::Command { command: shown(wire.command), cwd: wire.cwd }
        } else {
            Action::FileChange
        },
        reason: shown(wire.reason),
        asked_at: wire.started_at_ms.map(Timestamp::from_millis),
        approval_id: wire.approval_id,
        beyond: (!beyond.is_empty()).then(|| beyond.join(", ")),
        is_exact,
    })
}

/// The questions of this connection that nobody has answered yet.
#[derive(Debug, Default)]
pub(super) struct OpenApprovals {
    open: BTreeMap<RequestId, Approval>,
}

impl OpenApprovals {
    pub(super) fn asked(&mut self, approval: Approval) {
        // A flood of questions costs the oldest ones, which can then only be answered elsewhere.
        while self.open.len() >= MAX_OPEN && !self.open.contains_key(&approval.id) {
            self.open.pop_first();
        }
        self.open.insert(approval.id.clone(), approval);
    }

    pub(super) fn resolved(&mut self, id: &RequestId) {
        self.open.remove(id);
    }

    pub(super) fn is_open(&self, approval: &Approval) -> bool {
        self.open.get(&approval.id) == Some(approval)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Approval> {
        self.open.values()
    }
}
