//! Rows of `sensor_readings`: what each live sensor said last about a session.

use rusqlite::{Row, named_params};
use serde::{Deserialize, Serialize};

use super::{Error, Read, Result, Write, convert};
use crate::{
    base::Timestamp,
    model::{
        judge::Sighting,
        state::{Condition, Readiness, Reading, Source},
    },
};

/// What a sensor saw besides its reading.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Detail {
    /// Whether text could be submitted.
    pub ready: Option<Readiness>,
    /// Which dialog was open.
    pub prompt: Option<String>,
    /// An error line near the composer.
    pub notice: Option<String>,
    /// Hash of what was seen, to notice changes.
    pub content_sha256: Option<String>,
}

/// One sensor's last word about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensorRow {
    /// The session.
    pub session_id: String,
    /// The sensor.
    pub source: Source,
    /// When it was asked.
    pub observed_at: Timestamp,
    /// When its content changed last.
    pub changed_at: Timestamp,
    /// What it said; none when it could not tell.
    pub reading: Option<Reading>,
    /// What it saw besides.
    pub detail: Detail,
    /// Why it could not be asked.
    pub error: Option<String>,
}

impl SensorRow {
    /// The part that a judgement needs.
    #[must_use]
    pub fn sighting(&self) -> Sighting {
        Sighting {
            observed_at: self.observed_at,
            reading: self.reading.clone(),
            ready: self.detail.ready.unwrap_or(Readiness::Unknown),
            prompt: self.detail.prompt.clone(),
        }
    }
}

struct Raw {
    row: SensorRow,
    reading: Option<String>,
    detail: String,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let mut columns = convert::Columns::of(row);
    let row = SensorRow {
        session_id: columns.next("session_id")?,
        source: columns.next("source")?,
        observed_at: columns.next("observed_at")?,
        changed_at: columns.next("changed_at")?,
        reading: None,
        detail: Detail::default(),
        error: columns.next("error")?,
    };
    Ok(Raw { row, reading: columns.next("reading_json")?, detail: columns.next("detail_json")? })
}

fn parsed(raw: Raw) -> Result<SensorRow> {
    let unreadable = |source| Error::Json { table: "sensor_readings", source };
    let mut row = raw.row;
    row.reading = raw.reading.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?;
    row.detail = serde_json::from_str(&raw.detail).map_err(unreadable)?;
    Ok(row)
}

/// The last word of every sensor about a session, or about all.
///
/// # Errors
/// SQLite's own error.
pub fn list(r: Read<'_>, session_id: Option<&str>) -> Result<Vec<SensorRow>> {
    let mut statement = r.connection.prepare_cached(
        "select session_id, source, observed_at, changed_at, error, reading_json, detail_json
         from sensor_readings
         where :session_id is null or session_id = :session_id",
    )?;
    let rows = statement.query_map(named_params! { ":session_id": session_id }, raw)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(parsed).collect()
}

/// Whether `new` says something else than what is known.
#[must_use]
pub fn is_news(known: &SensorRow, new: &SensorRow) -> bool {
    known.detail != new.detail
        || known.error != new.error
        || known.reading.as_ref().map(told) != new.reading.as_ref().map(told)
}

/// Stores a sensor's word; true when it is news.
///
/// A reading that says the same as before keeps the time since when it says so, and `changed_at` stays while the
/// content is the same.
///
/// # Errors
/// SQLite's own error.
pub fn save(w: &Write<'_>, row: &SensorRow) -> Result<bool> {
    let unreadable = |source| Error::Json { table: "sensor_readings", source };
    let known = list(w.read(), Some(&row.session_id))?.into_iter().find(|known| known.source == row.source);
    let mut row = row.clone();
    let news = known.as_ref().is_none_or(|known| is_news(known, &row));
    if let Some(known) = known {
        if known.detail.content_sha256 == row.detail.content_sha256 {
            row.changed_at = known.changed_at;
        }
        if let (Some(before), Some(reading)) = (&known.reading, &mut row.reading)
            && told(before) == told(reading)
        {
            reading.at = before.at;
        }
    }
    w.connection
        .prepare_cached(
            "insert into sensor_readings
                (session_id, source, observed_at, changed_at, reading_json, detail_json, error)
             values (:session_id, :source, :observed_at, :changed_at, :reading, :detail, :error)
             on conflict (session_id, source) do update set
                observed_at = excluded.observed_at,
                changed_at = excluded.changed_at,
                reading_json = excluded.reading_json,
                detail_json = excluded.detail_json,
                error = excluded.error",
        )?
        .execute(named_params! {
            ":session_id": row.session_id,
            ":source": row.source,
            ":observed_at": row.observed_at,
            ":changed_at": row.changed_at,
            ":reading": row.reading.as_ref().map(serde_json::to_string).transpose().map_err(unreadable)?,
            ":detail": serde_json::to_string(&row.detail).map_err(unreadable)?,
            ":error": row.error,
        })?;
    Ok(news)
}

/// Forgets what was seen of a session: another pane or process has taken its place.
///
/// # Errors
/// SQLite's own error.
pub fn forget(w: &Write<'_>, session_id: &str) -> Result<()> {
    w.connection
        .prepare_cached("delete from sensor_readings where session_id = :session_id")?
        .execute(named_params! { ":session_id": session_id })?;
    Ok(())
}

/// The part of a reading that makes news when it changes; its time moves with every look.
fn told(reading: &Reading) -> (Condition, &str, &str) {
    (reading.condition, &reading.rule, &reading.reason)
}
