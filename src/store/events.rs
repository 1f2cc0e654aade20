//! Rows of `codex_events`: one per rollout line, with the bounded text that screens need and the place where the
//! whole line stands.

use rusqlite::{Row, named_params};

use super::{Error, Read, Result, Write, convert, rollouts::Cursor};

/// Marks of a stored line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(i64);

impl Flags {
    /// History that a fork or resume copied in; it proves nothing about this thread.
    pub const INHERITED: Self = Self(1);
    /// Bytes that were no UTF-8 were replaced.
    pub const LOSSY: Self = Self(2);
    /// The line began with a torn record; the whole one behind it was stored.
    pub const TORN_PREFIX: Self = Self(4);
    /// The line is no record.
    pub const BAD_LINE: Self = Self(8);
    /// The line is too long to be held; only its head was read.
    pub const HUGE: Self = Self(16);
    /// Another record with the same ordinal exists.
    pub const ORDINAL_CONFLICT: Self = Self(32);
    /// The ordinal is the line's number, not the record's own.
    pub const LINE_NUMBERED: Self = Self(64);

    /// It is an entry of the conversation.
    pub const SPOKEN: Self = Self(128);

    const NAMED: &'static [(Self, &'static str)] = &[
        (Self::INHERITED, "inherited"),
        (Self::LOSSY, "lossy"),
        (Self::TORN_PREFIX, "torn_prefix"),
        (Self::BAD_LINE, "bad_line"),
        (Self::HUGE, "huge"),
        (Self::ORDINAL_CONFLICT, "ordinal_conflict"),
    ];

    /// `self` with `other` added when `on`.
    #[must_use]
    pub fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }

    /// Whether `other` is set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the marks worth showing.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        Self::NAMED.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, name)| *name).collect()
    }
}

/// A line to be stored.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// The record's own time, as given; the time of ingest when it has none.
    pub timestamp: &'a str,
    /// Line type.
    pub kind: &'a str,
    /// Payload type.
    pub subtype: Option<&'a str>,
    /// Item type.
    pub item: Option<&'a str>,
    /// A short text, cleaned.
    pub brief: &'a str,
    /// The bounded payload.
    pub payload_json: &'a str,
    /// First byte of the line.
    pub byte_offset: u64,
    /// Length without the line feed.
    pub byte_length: u64,
    /// The record's number, or the line's.
    pub ordinal: u64,
    /// First eight bytes of the line's SHA-256.
    pub record_hash: i64,
    /// Marks.
    pub flags: Flags,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Stored.
    New,
    /// It stood there already; the row was brought up to date.
    SeenBefore,
}

/// Stores one line of `file`, or recognises it. A line of an older generation moves to the place it has now, in
/// the file and among the ids: the ids of a generation are in the order of its lines.
///
/// # Errors
/// SQLite's own error.
pub fn append(w: &Write<'_>, file: &Cursor, event: &NewEvent<'_>, now: &str) -> Result<Appended> {
    let inserted = w
        .connection
        .prepare_cached(
            "insert into codex_events (session_id, file_id, generation, timestamp, type, subtype, item, brief,
                payload_json, byte_offset, byte_length, ordinal, record_hash, flags, ingested_at)
             values (:session_id, :file_id, :generation, :timestamp, :type, :subtype, :item, :brief,
                :payload_json, :byte_offset, :byte_length, :ordinal, :record_hash, :flags, :now)
             on conflict (file_id, ordinal, record_hash) do nothing",
        )?
        .execute(named_params! {
            ":session_id": file.session_id,
            ":file_id": file.id,
            ":generation": file.generation,
            ":timestamp": event.timestamp,
            ":type": event.kind,
            ":subtype": event.subtype,
            ":item": event.item,
            ":brief": event.brief,
            ":payload_json": event.payload_json,
            ":byte_offset": convert::stored(event.byte_offset)?,
            ":byte_length": convert::stored(event.byte_length)?,
            ":ordinal": convert::stored(event.ordinal)?,
            ":record_hash": event.record_hash,
            ":flags": event.flags.0,
            ":now": now,
        })?;
    if inserted == 1 {
        return Ok(Appended::New);
    }
    w.connection
        .prepare_cached(
            "update codex_events set
                seen_count = case when generation = :generation then seen_count + 1 else 1 end,
                flags = case when generation = :generation then flags | :flags else :flags end,
                byte_offset = case when generation = :generation then byte_offset else :byte_offset end,
                id = case when generation = :generation then id else (select max(id) + 1 from codex_events) end,
                generation = :generation
             where file_id = :file_id and ordinal = :ordinal and record_hash = :record_hash",
        )?
        .execute(named_params! {
            ":generation": file.generation,
            ":byte_offset": convert::stored(event.byte_offset)?,
            ":file_id": file.id,
            ":ordinal": convert::stored(event.ordinal)?,
            ":record_hash": event.record_hash,
            ":flags": event.flags.0,
        })?;
    Ok(Appended::SeenBefore)
}

/// Whether another record of this generation has the same ordinal; marks both when it has.
///
/// # Errors
/// SQLite's own error.
pub fn mark_ordinal_conflict(w: &Write<'_>, file: &Cursor, ordinal: u64, record_hash: i64) -> Result<bool> {
    let changed = w
        .connection
        .prepare_cached(
            "update codex_events set flags = flags | :flag
             where file_id = :file_id and ordinal = :ordinal and record_hash <> :hash and generation = :generation
                and flags & :line_numbered = 0",
        )?
        .execute(named_params! {
            ":flag": Flags::ORDINAL_CONFLICT.0,
            ":line_numbered": Flags::LINE_NUMBERED.0,
            ":file_id": file.id,
            ":ordinal": convert::stored(ordinal)?,
            ":hash": record_hash,
            ":generation": file.generation,
        })?;
    Ok(changed > 0)
}

/// A stored line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Row id; grows with the order of ingest.
    pub id: i64,
    /// The record's own time, as given.
    pub timestamp: String,
    /// Line type.
    pub kind: String,
    /// Payload type.
    pub subtype: Option<String>,
    /// Item type.
    pub item: Option<String>,
    /// A short text.
    pub brief: String,
    /// The bounded payload.
    pub payload_json: String,
    /// First byte of the line.
    pub byte_offset: u64,
    /// Length without the line feed.
    pub byte_length: u64,
    /// First eight bytes of the line's SHA-256.
    pub record_hash: i64,
    /// How often the line was found in the file.
    pub seen_count: i64,
    /// Marks.
    pub flags: Flags,
    /// The rollout it stands in.
    pub path: String,
}

fn event(row: &Row<'_>) -> rusqlite::Result<StoredEvent> {
    Ok(StoredEvent {
        id: row.get("id")?,
        timestamp: row.get("timestamp")?,
        kind: row.get("type")?,
        subtype: row.get("subtype")?,
        item: row.get("item")?,
        brief: row.get("brief")?,
        payload_json: row.get("payload_json")?,
        byte_offset: convert::count(row, "byte_offset")?,
        byte_length: convert::count(row, "byte_length")?,
        record_hash: row.get("record_hash")?,
        seen_count: row.get("seen_count")?,
        flags: Flags(row.get("flags")?),
        path: row.get("path")?,
    })
}

/// Which stored lines are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only this payload type.
    pub subtype: Option<&'a str>,
    /// Only rows with a smaller id.
    pub before: Option<i64>,
    /// Only rows whose short text, type or item contains this (ASCII case does not matter).
    pub text: Option<&'a str>,
    /// Only rows whose line type, payload type or item type is one of these; empty means all.
    pub kinds: &'a [String],
}

const COLUMNS: &str = "id, timestamp, type, subtype, item, brief, payload_json, byte_offset, byte_length, record_hash,
    seen_count, flags, :path as path";

/// The newest stored lines of a session that its files still hold, the newest first.
///
/// # Errors
/// SQLite's own error.
pub fn newest(r: Read<'_>, session_id: &str, filter: Filter<'_>, limit: u32) -> Result<Vec<StoredEvent>> {
    let sql = format!(
        "select {COLUMNS} from codex_events
         where file_id = :file_id and generation = :generation
           and (:subtype is null or subtype = :subtype)
           and id < coalesce(:before, 9223372036854775807)
           and (:text is null or instr(lower(brief || ' ' || type || ' ' || coalesce(subtype, '') || ' '
                || coalesce(item, '')), lower(:text)) > 0)
           and (:kinds = '[]' or exists (select 1 from json_each(:kinds) where value in (type, subtype, item)))
         order by id desc
         limit :limit"
    );
    let kinds = serde_json::to_string(filter.kinds).map_err(|source| Error::Json { table: "codex_events", source })?;
    let mut found = Vec::new();
    // File by file: each is walked backwards along its own index, so a long history costs nothing.
    for file in files(r, session_id)? {
        let mut statement = r.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(
            named_params! {
                ":file_id": file.id,
                ":generation": file.generation,
                ":path": file.path,
                ":subtype": filter.subtype,
                ":before": filter.before,
                ":text": filter.text,
                ":kinds": kinds,
                ":limit": limit,
            },
            event,
        )?;
        found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    found.sort_by_key(|event| std::cmp::Reverse(event.id));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// The newest stored lines of the current rollout that belong to its conversation, the newest first; only such with a
/// smaller id than `before`.
///
/// # Errors
/// SQLite's own error.
pub fn conversation(r: Read<'_>, session_id: &str, before: Option<i64>, limit: u32) -> Result<Vec<StoredEvent>> {
    let Some(file) = files(r, session_id)?.into_iter().find(|file| file.current) else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "select {COLUMNS} from codex_events
         where file_id = :file_id and generation = :generation and flags & 128 <> 0
           and id < coalesce(:before, 9223372036854775807)
         order by id desc
         limit :limit"
    );
    let mut statement = r.connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        named_params! {
            ":file_id": file.id,
            ":generation": file.generation,
            ":path": file.path,
            ":before": before,
            ":limit": limit,
        },
        event,
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

struct FileRow {
    id: i64,
    generation: i64,
    path: String,
    current: bool,
}

fn files(r: Read<'_>, session_id: &str) -> Result<Vec<FileRow>> {
    let mut statement = r.connection.prepare_cached(
        "select id, generation, path, current from rollout_files where session_id = :session_id order by id",
    )?;
    let rows = statement.query_map(named_params! { ":session_id": session_id }, |row| {
        Ok(FileRow {
            id: row.get("id")?,
            generation: row.get("generation")?,
            path: row.get("path")?,
            current: row.get("current")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::Flags;

    #[test]
    fn the_flag_in_the_index_is_the_one_of_conversations() {
        assert_eq!(Flags::SPOKEN.0, 128);
        assert!(include_str!("sql/100.sql").contains("where flags & 128 <> 0"));
    }
}
