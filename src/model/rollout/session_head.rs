//! The line that says whose a rollout is: `session_meta`, or the header of Codex 0.25.

use super::{
    dialect::{Meaning, clean_word, word},
    envelope::WORD_CHARS,
    fact::{Fact, Head, SessionSource},
    scan::Json,
    summary::{FIELD_CHARS, Summary, brief},
};
use crate::base::Timestamp;

/// The first line of a rollout in the wrapped dialects; none when it does not say whose it is.
pub(super) fn session_meta(body: Json<'_>) -> Option<Meaning> {
    let [id, session_id, cwd, version, originator, source, forked, timestamp, mode, parent] = body.pick([
        "id",
        "session_id",
        "cwd",
        "cli_version",
        "originator",
        "source",
        "forked_from_id",
        "timestamp",
        "history_mode",
        "parent_thread_id",
    ]);
    Some(head(Head {
        thread_id: word(id)?,
        session_id: word(session_id),
        cwd: cwd.and_then(|cwd| cwd.excerpt(FIELD_CHARS)),
        version: word(version),
        originator: word(originator),
        source: session_source(source, word(parent)),
        forked_from: word(forked),
        started_at: moment(timestamp),
        history_mode: word(mode),
    }))
}

/// The first line of Codex 0.25, which says neither version nor directory.
pub(super) fn header(body: Json<'_>) -> Option<Meaning> {
    let [id, timestamp] = body.pick(["id", "timestamp"]);
    Some(head(Head {
        thread_id: word(id)?,
        session_id: None,
        cwd: None,
        version: None,
        originator: None,
        source: SessionSource::Unsaid,
        forked_from: None,
        started_at: moment(timestamp),
        history_mode: None,
    }))
}

fn head(head: Head) -> Meaning {
    let source = match &head.source {
        SessionSource::Cli => Some("cli"),
        SessionSource::Vscode => Some("vscode"),
        SessionSource::Exec => Some("exec"),
        SessionSource::SubAgent { .. } => Some("subagent"),
        SessionSource::Other(text) => Some(text.as_str()),
        SessionSource::Unsaid => None,
    };
    let parent = match &head.source {
        SessionSource::SubAgent { parent, .. } => parent.as_deref(),
        SessionSource::Cli
        | SessionSource::Vscode
        | SessionSource::Exec
        | SessionSource::Other(_)
        | SessionSource::Unsaid => None,
    };
    let summary = Summary::new()
        .text("cli_version", head.version.as_deref())
        .text("cwd", head.cwd.as_deref())
        .text("forked_from_id", head.forked_from.as_deref())
        .text("history_mode", head.history_mode.as_deref())
        .text("id", Some(&head.thread_id))
        .text("originator", head.originator.as_deref())
        .text("parent_thread_id", parent)
        .text("session_id", head.session_id.as_deref())
        .text("source", source);
    let line = match (&head.version, &head.cwd) {
        (Some(version), Some(cwd)) => brief(&format!("Codex {version} in {cwd}")),
        (Some(version), None) => brief(&format!("Codex {version}")),
        (None, _) => "session".to_owned(),
    };
    Meaning::new(Fact::SessionHead(Box::new(head)), line, summary)
}

fn session_source(source: Option<Json<'_>>, parent: Option<String>) -> SessionSource {
    let Some(source) = source else {
        return if parent.is_some() { SessionSource::SubAgent { parent, path: None } } else { SessionSource::Unsaid };
    };
    if let Some(text) = source.word(WORD_CHARS) {
        return match text.as_str() {
            "cli" => SessionSource::Cli,
            "vscode" => SessionSource::Vscode,
            "exec" => SessionSource::Exec,
            _ => SessionSource::Other(text),
        };
    }
    match source.get("subagent") {
        Some(subagent) => {
            let [spawner, path] = subagent
                .get("thread_spawn")
                .map_or([None, None], |spawn| spawn.pick(["parent_thread_id", "agent_path"]));
            SessionSource::SubAgent { parent: word(spawner).or(parent), path: word(path) }
        }
        None => match source.members().next() {
            Some((key, _)) => SessionSource::Other(clean_word(&key)),
            None => SessionSource::Unsaid,
        },
    }
}

fn moment(value: Option<Json<'_>>) -> Option<Timestamp> {
    value.and_then(Json::plain).and_then(|text| text.parse().ok())
}
