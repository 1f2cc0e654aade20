//! The ingest, proved on real recordings, on hostile bytes and on every way a rollout can change under it.
//!
//! What is expected is worked out here from the files alone, with other means than the program's own parser.

mod bytes;
mod concurrent;
mod generations;
mod huge;
mod inherit;
mod oracle;
mod recordings;
mod sequences;

use std::{
    fs,
    path::{Path, PathBuf},
};

use conveyor::{
    actions::Context,
    app::{self, Word},
    base::{Error, Timestamp},
    cli::Global,
    store::{Access, Opening, Safety, Store},
};
use rusqlite::Connection;
use serde_json::Value;

/// A ledger file of its own and a folder for rollouts; actions run inside this process.
struct World {
    folder: tempfile::TempDir,
    context: Context,
}

/// What the ledger holds of one session's current rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileRow {
    generation: i64,
    next_offset: u64,
    next_line: u64,
    pending_bytes: u64,
}

/// One stored line of the current generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EventRow {
    id: i64,
    kind: String,
    subtype: Option<String>,
    item: Option<String>,
    offset: u64,
    length: u64,
    ordinal: u64,
    hash: i64,
    seen: u64,
    flags: i64,
    payload: String,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = context_at(&folder.path().join("ledger.db"), /*dry_run*/ false);
        // Every later opening finds the schema in place.
        let opening =
            Opening { access: Access::Create, safety: Safety::Checked, now: Timestamp::from_millis(1_795_000_000_000) };
        drop(Store::open(&folder.path().join("ledger.db"), opening).unwrap());
        Self { folder, context }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ledger(&self) -> PathBuf {
        self.path("ledger.db")
    }

    /// A context of its own over the same ledger, as another process would have.
    fn other_context(&self, dry_run: bool) -> Context {
        context_at(&self.ledger(), dry_run)
    }

    fn sql(&self) -> Connection {
        Connection::open(self.ledger()).unwrap()
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Value {
        run(&self.context, words).unwrap_or_else(|error| panic!("{words:?}: {error}: {:?}", error.causes()))
    }

    fn try_run(&self, words: &[&str]) -> Result<Value, Error> {
        run(&self.context, words)
    }

    /// Writes `bytes` as a rollout and registers it as worker `name`.
    #[track_caller]
    fn worker(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(&format!("{name}.jsonl"));
        fs::write(&path, bytes).unwrap();
        self.register(name, &path);
        path
    }

    #[track_caller]
    fn register(&self, name: &str, path: &Path) {
        self.run(&["register-worker", "--name", name, "--codex-session", path.to_str().unwrap()]);
    }

    #[track_caller]
    fn ingest(&self, name: &str) -> Value {
        self.run(&["ingest", name])
    }

    fn file(&self, name: &str) -> FileRow {
        file_row(&self.sql(), name)
    }

    fn events(&self, name: &str) -> Vec<EventRow> {
        event_rows(&self.sql(), name)
    }
}

fn context_at(ledger: &Path, dry_run: bool) -> Context {
    app::context(&Global { path: Some(ledger.to_owned()), dry_run, ..Global::default() }).unwrap()
}

/// Runs a command line (without the program's name) inside this process; its JSON.
fn run(context: &Context, words: &[&str]) -> Result<Value, Error> {
    let root = app::parse(["conveyor"].iter().chain(words)).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    match root.word {
        Some(Word::Action(command)) => command.run(context).map(|report| report.json),
        other => panic!("{words:?} is no action: {other:?}"),
    }
}

fn count(row: &rusqlite::Row<'_>, column: &str) -> u64 {
    u64::try_from(row.get::<_, i64>(column).unwrap()).unwrap()
}

fn file_row(sql: &Connection, name: &str) -> FileRow {
    sql.query_row(
        "select f.* from rollout_files f join sessions s on s.id = f.session_id where s.name = ?1 and f.current = 1",
        [name],
        |row| {
            Ok(FileRow {
                generation: row.get("generation")?,
                next_offset: count(row, "next_offset"),
                next_line: count(row, "next_line"),
                pending_bytes: count(row, "pending_bytes"),
            })
        },
    )
    .unwrap()
}

/// The stored lines of the current generation, by their place in the file.
fn event_rows(sql: &Connection, name: &str) -> Vec<EventRow> {
    sql.prepare_cached(
        "select e.* from sessions s
         join rollout_files f on f.session_id = s.id and f.current = 1
         join codex_events e on e.file_id = f.id and e.generation = f.generation
         where s.name = ?1 order by e.byte_offset",
    )
    .unwrap()
    .query_map([name], |row| {
        Ok(EventRow {
            id: row.get("id")?,
            kind: row.get("type")?,
            subtype: row.get("subtype")?,
            item: row.get("item")?,
            offset: count(row, "byte_offset"),
            length: count(row, "byte_length"),
            ordinal: count(row, "ordinal"),
            hash: row.get("record_hash")?,
            seen: count(row, "seen_count"),
            flags: row.get("flags")?,
            payload: row.get("payload_json")?,
        })
    })
    .unwrap()
    .map(Result::unwrap)
    .collect()
}

/// The events of the audit trail of one kind, as their payloads.
fn audit(sql: &Connection, kind: &str) -> Vec<Value> {
    sql.prepare("select payload_json from events where type = ?1 order by id")
        .unwrap()
        .query_map([kind], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|text| serde_json::from_str(&text.unwrap()).unwrap())
        .collect()
}

/// Checks that each stored line still stands in `bytes` where the ledger says.
#[track_caller]
fn assert_places(bytes: &[u8], events: &[EventRow]) {
    for event in events {
        let (from, to) = (event.offset as usize, (event.offset + event.length) as usize);
        assert!(to < bytes.len() && bytes[to] == b'\n', "the line at {from} ends with a line feed at {to}");
        assert_eq!(oracle::hash(&bytes[from..to]), event.hash, "the line at {from} is another one");
    }
}
