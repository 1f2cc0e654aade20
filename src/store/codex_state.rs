//! Codex's own state database, read and never written: what it knows of threads besides their rollouts.
//!
//! Its form changes between versions, so only the columns that are there are read, and any trouble means "nothing
//! known": the database belongs to another program.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, types::ValueRef};

/// What Codex's database says about a thread. Texts are untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodexThread {
    /// The thread.
    pub id: String,
    /// Its rollout; may be stale after a folder was moved.
    pub rollout_path: Option<PathBuf>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Its name.
    pub name: Option<String>,
    /// The beginning of its first message.
    pub preview: Option<String>,
    /// Version of the Codex that made it.
    pub cli_version: Option<String>,
}

const PATIENCE: Duration = Duration::from_millis(200);

/// The threads with these ids, as far as the newest `state_N.sqlite` of `codex_home` knows them.
#[must_use]
pub fn threads(codex_home: &Path, ids: &[String]) -> Vec<CodexThread> {
    let Some(path) = newest(codex_home) else { return Vec::new() };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(path, flags) else { return Vec::new() };
    if connection.busy_timeout(PATIENCE).is_err() {
        return Vec::new();
    }
    ids.iter().filter_map(|id| thread(&connection, id).ok().flatten()).collect()
}

/// The database of the highest generation.
fn newest(codex_home: &Path) -> Option<PathBuf> {
    let generation = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("state_")?.strip_suffix(".sqlite")?.parse::<u32>().ok()
    };
    let files = fs::read_dir(codex_home).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter_map(|path| Some((generation(&path)?, path))).max().map(|(_, path)| path)
}

fn thread(connection: &Connection, id: &str) -> rusqlite::Result<Option<CodexThread>> {
    let mut statement = connection.prepare_cached("select * from threads where id = ?1")?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let text = |name: &str| {
        let index = columns.iter().position(|column| column == name)?;
        match row.get_ref(index).ok()? {
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty()).map(str::to_owned),
            _ => None,
        }
    };
    Ok(Some(CodexThread {
        id: id.to_owned(),
        rollout_path: text("rollout_path").map(PathBuf::from),
        cwd: text("cwd").map(PathBuf::from),
        name: text("name"),
        preview: text("preview").or_else(|| text("first_user_message")),
        cli_version: text("cli_version"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        assert!(threads(home.path(), &["a".to_owned()]).is_empty(), "no database");
        fs::write(home.path().join("state_9.sqlite"), "junk").unwrap();
        assert!(threads(home.path(), &["a".to_owned()]).is_empty(), "an unreadable one");
        let connection = Connection::open(home.path().join("state_12.sqlite")).unwrap();
        connection
            .execute_batch(
                "create table threads (id text, cwd text, name text, tokens_used integer);
                insert into threads values ('a', '/p', '', 3), ('b', '/q', 'two', 4)",
            )
            .unwrap();
        let found = threads(home.path(), &["b".to_owned(), "a".to_owned(), "missing".to_owned()]);
        let two = CodexThread {
            id: "b".to_owned(),
            cwd: Some("/q".into()),
            name: Some("two".to_owned()),
            ..CodexThread::default()
        };
        assert_eq!(found[0], two, "the highest generation counts");
        assert_eq!((found.len(), found[1].name.as_deref()), (2, None));
    }
}
