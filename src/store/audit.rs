//! The append-only audit trail (`events`): who did what, when.

use rusqlite::{OptionalExtension as _, Row, named_params};
use serde::Serialize;

use super::{Error, Read, Result, Write};
use crate::text_enum;
use crate::{
    base::{Moment, Timestamp, json},
    model::{
        interruption::{self, By, Deed, End, InterruptOutcome, Noted, OnPurpose},
        question::Verdict,
        session::{Parting, Registration, Session},
        state::Source,
    },
};

text_enum! {
    /// Who acts.
    pub enum Actor {
        /// A person, by key or by command.
        Operator => "operator",
        /// A manager session.
        Manager => "manager",
        /// A worker session.
        Worker => "worker",
        /// This program by itself.
        Conveyor => "conveyor",
    }
}

/// What an audit event is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The task.
    pub task_id: Option<&'a str>,
    /// The session.
    pub session_id: Option<&'a str>,
}

/// Appends one event.
///
/// # Errors
/// SQLite's own error.
pub fn append(
    w: &Write<'_>,
    now: Timestamp,
    actor: Actor,
    kind: &str,
    about: About<'_>,
    payload: &impl Serialize,
) -> Result<i64> {
    let payload = json::compact(payload).map_err(|source| Error::Json { table: "events", source })?;
    w.connection
        .prepare_cached(
            "insert into events (created_at, actor, task_id, session_id, type, payload_json)
             values (:now, :actor, :task_id, :session_id, :type, :payload)",
        )?
        .execute(named_params! {
            ":now": now,
            ":actor": actor.as_str(),
            ":task_id": about.task_id,
            ":session_id": about.session_id,
            ":type": kind,
            ":payload": payload,
        })?;
    Ok(w.connection.last_insert_rowid())
}

/// Whose trail is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A session, by id.
    Session(String),
    /// A task, by id.
    Task(String),
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// When.
    pub created_at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub kind: String,
    /// Details.
    pub payload_json: String,
}

// One statement for each subject: a condition that covers both would keep SQLite from using either index.
const OF_SESSION: &str = "select id, created_at, actor, type, payload_json
    from events
    where session_id = :id and (:type is null or type = :type)
    order by id desc
    limit case when :limit = 0 then -1 else :limit end";

const OF_TASK: &str = "select id, created_at, actor, type, payload_json
    from events
    where task_id = :id and (:type is null or type = :type)
    order by id desc
    limit case when :limit = 0 then -1 else :limit end";

/// The newest `limit` events (0: all) of a trail, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>, subject: &Subject, kind: Option<&str>, limit: u32) -> Result<Vec<AuditRow>> {
    let (sql, id) = match subject {
        Subject::Session(id) => (OF_SESSION, id),
        Subject::Task(id) => (OF_TASK, id),
    };
    let mut statement = r.connection.prepare_cached(sql)?;
    let rows = statement.query_map(named_params! { ":id": id, ":type": kind, ":limit": limit }, |row| {
        Ok(AuditRow {
            id: row.get("id")?,
            created_at: row.get("created_at")?,
            actor: row.get("actor")?,
            kind: row.get("type")?,
            payload_json: row.get("payload_json")?,
        })
    })?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.reverse();
    Ok(rows)
}

// The words stand here as they stand in the index, which SQLite takes only for its own condition.
const TURNS_ENDED: &str = "select created_at, type, actor, payload_json ->> '$.caller' as caller,
      case type
        when 'session_answered' then payload_json ->> '$.proof.turn_aborted.turn_id'
        else payload_json ->> '$.turn_id'
      end as turn_id,
      payload_json ->> '$.outcome' as outcome, payload_json ->> '$.decision' as decision,
      payload_json ->> '$.lane' as lane, payload_json ->> '$.proof.turn_aborted.byte_offset' as byte_offset,
      payload_json ->> '$.boot_id' as boot_id, payload_json ->> '$.uptime' as uptime,
      payload_json ->> '$.question.id' as question
    from events
    where session_id = :id
      and type in ('session_interrupt_begun', 'session_interrupted', 'session_answer_begun', 'session_answered')
      and coalesce(payload_json ->> '$.decision', '') <> 'approve'
    order by id desc
    limit :limit";

/// Of what ended turns of a session so many lines are looked at: those of its last turn are among them.
const LOOKED_AT: u32 = 32;

/// Who ended a turn of a session on purpose, and how; none when this program has no record of it.
///
/// # Errors
/// SQLite's own error.
pub fn on_purpose(r: Read<'_>, session_id: &str, end: End<'_>) -> Result<Option<OnPurpose>> {
    let mut statement = r.connection.prepare_cached(TURNS_ENDED)?;
    let rows = statement.query_map(named_params! { ":id": session_id, ":limit": LOOKED_AT }, noted)?;
    let noted = rows.filter_map(rusqlite::Result::transpose).collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(interruption::by(end, &noted))
}

/// A line about the end of a turn; none when it ended none.
fn noted(row: &Row<'_>) -> rusqlite::Result<Option<Noted>> {
    let actor: String = row.get("actor")?;
    let by = match row.get("caller")? {
        Some(caller) => By::Session(caller),
        None if actor == Actor::Operator.as_str() => By::Operator,
        None => By::Session(actor),
    };
    let word = |column: &str| row.get::<_, Option<String>>(column);
    let outcome = word("outcome")?;
    let deed = match word("type")?.as_deref() {
        Some("session_interrupt_begun") => Some(Deed::Interrupt(None)),
        // A word that a newer program wrote is no proof that anything ended.
        Some("session_interrupted") => {
            Some(Deed::Interrupt(Some(outcome.and_then(|word| word.parse().ok()).unwrap_or(InterruptOutcome::Refused))))
        }
        // It counts when its end was seen, and not before.
        Some("session_answered") if outcome.as_deref() == Some("answered") => {
            let verdict = word("decision")?.and_then(|word| word.parse::<Verdict>().ok());
            let source = word("lane")?.and_then(|word| word.parse::<Source>().ok());
            let ended = verdict.zip(source).filter(|(verdict, source)| verdict.ends_turn(*source));
            let byte = row.get::<_, Option<i64>>("byte_offset")?.and_then(|byte| u64::try_from(byte).ok());
            ended.zip(byte).map(|((verdict, _), byte_offset)| Deed::Answer { verdict, byte_offset })
        }
        _ => None,
    };
    let (at, turn_id) = (row.get("created_at")?, row.get("turn_id")?);
    Ok(deed.map(|deed| Noted { at, by, turn_id, deed }))
}

/// Whether somebody says no to a question of this session just now, so that nobody can tell yet why a turn of it has
/// ended.
///
/// # Errors
/// SQLite's own error.
pub fn is_answering(r: Read<'_>, session_id: &str, now: &Moment) -> Result<bool> {
    let mut statement = r.connection.prepare_cached(TURNS_ENDED)?;
    let mut rows = statement.query(named_params! { ":id": session_id, ":limit": LOOKED_AT })?;
    let mut answered: Vec<Option<String>> = Vec::new();
    while let Some(row) = rows.next()? {
        let question: Option<String> = row.get("question")?;
        match row.get::<_, String>("type")?.as_str() {
            "session_answered" => answered.push(question),
            "session_answer_begun" if !answered.contains(&question) => {
                let uptime: Option<i64> = row.get("uptime")?;
                let is_fresh = uptime.is_some_and(|uptime| now.uptime - uptime < super::questions::CLAIM_MILLIS);
                if is_fresh && row.get::<_, Option<String>>("boot_id")?.as_deref() == Some(now.boot_id.as_str()) {
                    return Ok(true);
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

const PARTING: &str = "select type, created_at from events
    where session_id = :id and type in ('session_deregistered', 'session_stopped')
    order by id desc
    limit 1";

/// How a session was left that is gone, and when; none when that is not on record.
///
/// # Errors
/// SQLite's own error.
pub fn parting(r: Read<'_>, session_id: &str) -> Result<Option<(Parting, Timestamp)>> {
    let mut statement = r.connection.prepare_cached(PARTING)?;
    let left = statement.query_row(named_params! { ":id": session_id }, |row| {
        let kind: String = row.get("type")?;
        let how = if kind == "session_deregistered" { Parting::GivenUp } else { Parting::Stopped };
        Ok((how, row.get("created_at")?))
    });
    Ok(left.optional()?)
}

/// The command that brings back a session that is gone; none when it is not, or when nothing leads to it.
///
/// # Errors
/// SQLite's own error.
pub fn way_back(r: Read<'_>, session: &Session) -> Result<Option<String>> {
    if session.state != Registration::Gone {
        return Ok(None);
    }
    let how = parting(r, &session.id)?.map_or(Parting::Stopped, |(how, _)| how);
    Ok(session.way_back(how))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_trail_is_found_by_its_index() {
        let store = Store::memory().unwrap();
        let search = |index: &str, key: &str| vec![format!("SEARCH events USING INDEX {index} ({key}=?)")];
        assert_eq!(store.plan(OF_SESSION), search("events_session_id", "session_id"));
        assert_eq!(store.plan(OF_TASK), search("events_task_id", "task_id"));
        let ended = TURNS_ENDED.replace("limit :limit", "limit case when :type is null then :limit end");
        assert_eq!(store.plan(&ended), search("events_turns_ended", "session_id"));
    }
}
