//! A session's conversation for screens: read again from the rollout itself, because the ledger keeps only a little of
//! each line.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{Context, supervise::blind, tail::WHOLE_LINE};
use crate::{
    base::Result,
    model::{
        conversation::{Entry, Said, Sender, typed_body},
        rollout::{self, Fact},
    },
    ports::rollout::{RolloutFile, record_hash},
    store::{self, Read, events::StoredEvent},
};

/// Which entries a screen wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TalkQuery {
    /// Only entries older than this one.
    pub before: Option<i64>,
    /// At most so many lines, the newest ones.
    pub limit: usize,
}

/// A page of a session's conversation, oldest first. A line that the rollout no longer holds, or that is too long to be
/// shown, is told in the words that the ledger has of it.
///
/// # Errors
/// When the ledger cannot be read, or a session asks that must not see yet what this one says.
pub fn conversation(cx: &Context, session_id: &str, query: TalkQuery) -> Result<Vec<Entry>> {
    let limit = u32::try_from(query.limit).unwrap_or(u32::MAX);
    let store = cx.ledger()?;
    blind::check(cx, &store, session_id)?;
    let events = store.read(|r| store::events::conversation(r, session_id, query.before, limit))?;
    let mut files: HashMap<PathBuf, Option<RolloutFile>> = HashMap::new();
    let mut entries = Vec::with_capacity(events.len());
    let mut given: Vec<(usize, Given)> = Vec::new();
    for event in events.iter().rev() {
        let path = Path::new(&event.path);
        let file = files.entry(path.to_owned()).or_insert_with(|| RolloutFile::open(path).ok());
        let (said, by) = told(event, file.as_ref());
        let Some(said) = said else { continue };
        if let Some(by) = by {
            given.push((entries.len(), by));
        }
        let at = event.timestamp.parse().ok();
        entries.push(Entry { id: event.id, last_id: event.id, at, byte_offset: event.byte_offset, said });
    }
    if !given.is_empty() {
        store.read(|r| name_senders(r, &mut entries, &given))?;
    }
    Ok(entries)
}

/// By what a message may name the command that brought it.
struct Given {
    /// The id that its sender gave it; a terminal of Codex gives one of its own to each.
    client_id: Option<String>,
    /// The marker at its end.
    marker: Option<String>,
}

fn told(event: &StoredEvent, file: Option<&RolloutFile>) -> (Option<Said>, Option<Given>) {
    let label = || event.item.as_deref().or(event.subtype.as_deref()).unwrap_or(&event.kind);
    let instead = |why: &str| {
        let about = if event.brief.is_empty() { String::new() } else { format!(": {}", event.brief) };
        (Some(Said::Unreadable(format!("{} ({why}){about}", label()))), None)
    };
    if event.byte_length > WHOLE_LINE {
        return instead(&format!("a line of {} bytes", event.byte_length));
    }
    let line = file.and_then(|file| file.read_line_at(event.byte_offset, event.byte_length).ok());
    let Some(line) = line.filter(|line| record_hash(line) == event.record_hash) else {
        return instead("the rollout no longer holds this line");
    };
    let (start, record) = match rollout::parse(&line) {
        Ok(record) => (0, record),
        Err(bad) => match rollout::recover_torn(&line) {
            Some(found) => found,
            None => return instead(&bad.to_string()),
        },
    };
    let by = match &record.fact {
        Fact::UserMessage { text, client_id, .. } => {
            let marker = typed_body(text).map(|(_, marker)| marker.to_string());
            Some(Given { client_id: client_id.clone(), marker })
        }
        _ => None,
    };
    (rollout::said(&record, &line[start..]), by)
}

/// Says of messages that Conveyor brought who sent them.
fn name_senders(r: Read<'_>, entries: &mut [Entry], given: &[(usize, Given)]) -> Result<()> {
    let mut names: HashMap<String, Option<String>> = HashMap::new();
    for (index, by) in given {
        let typed = match &by.marker {
            Some(marker) => store::typed::by_marker(r, marker)?.map(|typed| typed.command_id),
            None => None,
        };
        for command in [typed.as_ref(), by.client_id.as_ref()].into_iter().flatten() {
            let name = match names.get(command) {
                Some(name) => name.clone(),
                None => names.entry(command.clone()).or_insert(sender(r, command)?).clone(),
            };
            if let Some(name) = name
                && let Said::User { sender, text } = &mut entries[*index].said
            {
                // A nudge says in its first line for whom it speaks.
                let first = text.lines().next().unwrap_or_default();
                let told = first.strip_prefix("From ").and_then(|line| line.strip_suffix(':'));
                let told = told.map(|told| told.strip_prefix("the ").unwrap_or(told));
                let name = match told.filter(|told| told.starts_with(&name)).map(str::to_owned) {
                    Some(told) => {
                        *text = text[first.len()..].trim_start().to_owned();
                        told
                    }
                    None => name,
                };
                *sender = Sender::Conveyor(Some(name));
                break;
            }
        }
    }
    Ok(())
}

/// Who sent a command; none when it is no command of this ledger.
fn sender(r: Read<'_>, command_id: &str) -> Result<Option<String>> {
    let Some(command) = store::commands::by_id(r, command_id)? else { return Ok(None) };
    let session = match command.source_session_id.as_deref() {
        Some(id) => store::sessions::by_id(r, id)?,
        None => None,
    };
    Ok(Some(match session {
        Some(session) => format!("{} {}", session.role, session.name),
        None => command.created_by,
    }))
}
