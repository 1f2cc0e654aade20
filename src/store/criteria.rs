//! Rows of `acceptance_criteria` and of their history: what a worker has to deliver, how it stands, and who said so.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde_json::Value;

use super::{Read, Result, Write, convert};
use crate::{
    base::Timestamp,
    model::supervision::{CriteriaSummary, CriterionSource, CriterionStatus},
};

/// A criterion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Criterion {
    /// When it was added.
    pub created_at: Timestamp,
    /// What is to be delivered.
    pub criterion: String,
    /// What shows that it is; `links` names what the program has looked up.
    pub evidence: Value,
    /// Its number.
    pub id: i64,
    /// What is said to prove it.
    pub proof: Option<String>,
    /// Why it stands where it stands.
    pub rationale: Option<String>,
    /// Where it comes from.
    pub source: CriterionSource,
    /// Where it stands.
    pub status: CriterionStatus,
    /// The task.
    pub task_id: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Grows by one with every change.
    pub version: u64,
}

/// One change of a criterion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriterionChange {
    /// Who changed it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// The evidence from then on.
    pub evidence: Value,
    /// Where it stood; none when it was added.
    pub from: Option<CriterionStatus>,
    /// Who it was, in words.
    pub origin: String,
    /// The proof from then on.
    pub proof: Option<String>,
    /// The reason from then on.
    pub rationale: Option<String>,
    /// Where it stands since.
    pub to: CriterionStatus,
    /// The version that it became.
    pub version: u64,
}

const COLUMNS: &str = "id, task_id, criterion, status, source, proof, rationale, evidence_json, version, created_at,
    updated_at";

fn criterion(row: &Row<'_>) -> rusqlite::Result<Criterion> {
    Ok(Criterion {
        created_at: row.get("created_at")?,
        criterion: row.get("criterion")?,
        evidence: convert::json(row, "evidence_json")?,
        id: row.get("id")?,
        proof: row.get("proof")?,
        rationale: row.get("rationale")?,
        source: row.get("source")?,
        status: row.get("status")?,
        task_id: row.get("task_id")?,
        updated_at: row.get("updated_at")?,
        version: convert::count(row, "version")?,
    })
}

/// A criterion to be added.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of a criterion")]
pub struct NewCriterion<'a> {
    pub task_id: &'a str,
    pub criterion: &'a str,
    pub source: CriterionSource,
    pub status: CriterionStatus,
    pub proof: Option<&'a str>,
    pub rationale: Option<&'a str>,
    pub evidence: &'a Value,
}

/// Who changes something.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// In the words of the audit trail.
    pub actor: &'a str,
    /// In words.
    pub origin: &'a str,
}

/// Adds a criterion.
///
/// # Errors
/// [`super::Error::Unique`] when the task has one with this text from this source.
pub fn add(w: &Write<'_>, new: &NewCriterion<'_>, by: By<'_>, now: Timestamp) -> Result<Criterion> {
    let sql = format!(
        "insert into acceptance_criteria
            (task_id, criterion, status, source, proof, rationale, evidence_json, version, created_at, updated_at)
         values (:task_id, :criterion, :status, :source, :proof, :rationale, :evidence, 1, :now, :now)
         returning {COLUMNS}"
    );
    let added = w.connection.prepare_cached(&sql)?.query_row(
        named_params! {
            ":task_id": new.task_id,
            ":criterion": new.criterion,
            ":status": new.status,
            ":source": new.source,
            ":proof": new.proof,
            ":rationale": new.rationale,
            ":evidence": convert::json_text(new.evidence)?,
            ":now": now,
        },
        criterion,
    )?;
    note(w, None, &added, by)?;
    Ok(added)
}

/// Stores a criterion as it is now, when nobody else has changed it since it was read with `changed.version`. None when
/// somebody has.
///
/// # Errors
/// SQLite's own error.
pub fn change(
    w: &Write<'_>,
    from: CriterionStatus,
    changed: &Criterion,
    by: By<'_>,
    now: Timestamp,
) -> Result<Option<Criterion>> {
    let sql = format!(
        "update acceptance_criteria set status = :status, proof = :proof, rationale = :rationale,
            evidence_json = :evidence, version = version + 1, updated_at = :now
         where id = :id and version = :version and status = :from
         returning {COLUMNS}"
    );
    let stored = w
        .connection
        .prepare_cached(&sql)?
        .query_row(
            named_params! {
                ":id": changed.id,
                ":version": convert::stored(changed.version)?,
                ":from": from,
                ":status": changed.status,
                ":proof": changed.proof,
                ":rationale": changed.rationale,
                ":evidence": convert::json_text(&changed.evidence)?,
                ":now": now,
            },
            criterion,
        )
        .optional()?;
    if let Some(stored) = &stored {
        note(w, Some(from), stored, by)?;
    }
    Ok(stored)
}

fn note(w: &Write<'_>, from: Option<CriterionStatus>, now: &Criterion, by: By<'_>) -> Result<()> {
    w.connection
        .prepare_cached(
            "insert into acceptance_criteria_history
                (criterion_id, version, actor, origin, from_status, to_status, proof, rationale, evidence_json, at)
             values (:criterion, :version, :actor, :origin, :from, :to, :proof, :rationale, :evidence, :at)",
        )?
        .execute(named_params! {
            ":criterion": now.id,
            ":version": convert::stored(now.version)?,
            ":actor": by.actor,
            ":origin": by.origin,
            ":from": from,
            ":to": now.status,
            ":proof": now.proof,
            ":rationale": now.rationale,
            ":evidence": convert::json_text(&now.evidence)?,
            ":at": now.updated_at,
        })?;
    Ok(())
}

/// The criterion of this number.
///
/// # Errors
/// SQLite's own error.
pub fn by_id(r: Read<'_>, id: i64) -> Result<Option<Criterion>> {
    let sql = format!("select {COLUMNS} from acceptance_criteria where id = :id");
    Ok(r.connection.prepare_cached(&sql)?.query_row(named_params! { ":id": id }, criterion).optional()?)
}

/// The criterion of a task with this text; from this source when one is given.
///
/// # Errors
/// SQLite's own error.
pub fn by_text(r: Read<'_>, task_id: &str, text: &str, source: Option<CriterionSource>) -> Result<Option<Criterion>> {
    let sql = format!(
        "select {COLUMNS} from acceptance_criteria
         where task_id = :task_id and criterion = :text and (:source is null or source = :source)
         order by id limit 1"
    );
    let values = named_params! { ":task_id": task_id, ":text": text, ":source": source };
    Ok(r.connection.prepare_cached(&sql)?.query_row(values, criterion).optional()?)
}

/// The criteria of a task, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn of_task(r: Read<'_>, task_id: &str) -> Result<Vec<Criterion>> {
    let sql = format!("select {COLUMNS} from acceptance_criteria where task_id = :task_id order by id");
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! { ":task_id": task_id }, criterion)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How the criteria of a task stand.
///
/// # Errors
/// SQLite's own error.
pub fn summary(r: Read<'_>, task_id: &str) -> Result<CriteriaSummary> {
    let mut statement = r.connection.prepare_cached(
        "select status, count(*) as number from acceptance_criteria where task_id = :task_id group by status",
    )?;
    let mut rows = statement.query(named_params! { ":task_id": task_id })?;
    let mut summary = CriteriaSummary::default();
    while let Some(row) = rows.next()? {
        summary.count(row.get("status")?, convert::count(row, "number")?);
    }
    Ok(summary)
}

/// How the criteria of all tasks stand, by the task's id; nothing of a task that has none.
///
/// # Errors
/// SQLite's own error.
pub fn summaries(r: Read<'_>) -> Result<HashMap<String, CriteriaSummary>> {
    let mut statement = r.connection.prepare_cached(
        "select task_id, status, count(*) as number from acceptance_criteria group by task_id, status",
    )?;
    let mut rows = statement.query([])?;
    let mut summaries: HashMap<String, CriteriaSummary> = HashMap::new();
    while let Some(row) = rows.next()? {
        let of_task = summaries.entry(row.get("task_id")?).or_default();
        of_task.count(row.get("status")?, convert::count(row, "number")?);
    }
    Ok(summaries)
}

/// Every change of a criterion, the oldest first.
///
/// # Errors
/// SQLite's own error.
pub fn history(r: Read<'_>, id: i64) -> Result<Vec<CriterionChange>> {
    let mut statement = r.connection.prepare_cached(
        "select version, actor, origin, from_status, to_status, proof, rationale, evidence_json, at
         from acceptance_criteria_history where criterion_id = :id order by version",
    )?;
    let rows = statement.query_map(named_params! { ":id": id }, |row| {
        Ok(CriterionChange {
            actor: row.get("actor")?,
            at: row.get("at")?,
            evidence: convert::json(row, "evidence_json")?,
            from: row.get("from_status")?,
            origin: row.get("origin")?,
            proof: row.get("proof")?,
            rationale: row.get("rationale")?,
            to: row.get("to_status")?,
            version: convert::count(row, "version")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Since when a criterion counts: when it was added, or taken up again after it had been settled or put off.
///
/// # Errors
/// SQLite's own error.
pub fn counts_since(r: Read<'_>, id: i64) -> Result<Option<Timestamp>> {
    let mut statement = r.connection.prepare_cached(
        "select at from acceptance_criteria_history
         where criterion_id = :id
            and (from_status is null
                or (to_status = 'accepted' and from_status in ('satisfied', 'rejected', 'deferred')))
         order by version desc limit 1",
    )?;
    Ok(statement.query_row(named_params! { ":id": id }, |row| row.get(0)).optional()?)
}

/// Who made the newest change of a criterion, in the words of the audit trail.
///
/// # Errors
/// SQLite's own error.
pub fn settled_by(r: Read<'_>, id: i64) -> Result<Option<String>> {
    let mut statement = r.connection.prepare_cached(
        "select actor from acceptance_criteria_history where criterion_id = :id order by version desc limit 1",
    )?;
    Ok(statement.query_row(named_params! { ":id": id }, |row| row.get(0)).optional()?)
}

/// An event of the audit trail that may show something.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Its type.
    pub kind: String,
    /// When it was written.
    pub at: Timestamp,
    /// Its details.
    pub payload: Value,
}

/// An event of the audit trail that is about a task.
///
/// # Errors
/// SQLite's own error.
pub fn audit_event(r: Read<'_>, id: i64, task_id: &str) -> Result<Option<Witness>> {
    let mut statement = r
        .connection
        .prepare_cached("select type, created_at, payload_json from events where id = :id and task_id = :task_id")?;
    let found = statement.query_row(named_params! { ":id": id, ":task_id": task_id }, |row| {
        Ok(Witness { kind: row.get("type")?, at: row.get("created_at")?, payload: convert::json(row, "payload_json")? })
    });
    Ok(found.optional()?)
}

/// What the rollout of a session holds at a byte.
#[derive(Debug, Clone)]
pub struct LineFound {
    /// The number of the stored line.
    pub id: i64,
    /// The file.
    pub path: String,
    /// When, as the line says; none when it says nothing.
    pub at: Option<Timestamp>,
    /// What kind of line it is: the item, else the type below the line's.
    pub what: Option<String>,
    /// What it holds, bounded.
    pub payload: Value,
    /// A fork or a resume has copied it in.
    pub is_inherited: bool,
}

/// What the rollout of a session holds at a byte.
///
/// # Errors
/// SQLite's own error.
pub fn line_at(r: Read<'_>, session_id: &str, byte_offset: i64) -> Result<Option<LineFound>> {
    let mut statement = r.connection.prepare_cached(
        "select e.id, f.path, nullif(e.timestamp, e.ingested_at) as timestamp, coalesce(e.item, e.subtype) as what, e.payload_json, e.flags & 1 as inherited
         from rollout_files as f
         join codex_events as e on e.file_id = f.id and e.generation = f.generation
         where f.session_id = :session_id and e.byte_offset = :byte_offset
         order by f.current desc, e.id desc limit 1",
    )?;
    let values = named_params! { ":session_id": session_id, ":byte_offset": byte_offset };
    let found = statement.query_row(values, |row| {
        Ok(LineFound {
            id: row.get("id")?,
            path: row.get("path")?,
            // A line without a time of its own has that of its ingest, and may be older.
            at: row.get::<_, Option<String>>("timestamp")?.and_then(|at| at.parse().ok()),
            what: row.get("what")?,
            payload: convert::json(row, "payload_json")?,
            is_inherited: row.get("inherited")?,
        })
    });
    Ok(found.optional()?)
}
