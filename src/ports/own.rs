//! This program's own files: the ledger and what lies beside it.
//!
//! A process that opens and closes a file loses all its locks on it, also those of SQLite's open connections. So nothing
//! that walks through a worker's folder may open them; and as they change all the time, they are no part of its work.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// What SQLite adds to a ledger's name for the files that go with it.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Where this program's own files are.
#[derive(Debug, Clone)]
pub struct OwnFiles {
    /// Folders that hold nothing else.
    state_roots: Vec<PathBuf>,
    /// The ledger and the files that go with it, there or not.
    ledger: Vec<PathBuf>,
}

impl OwnFiles {
    /// Those of this ledger and these state roots, links followed.
    #[must_use]
    pub fn of<'a>(state_roots: impl IntoIterator<Item = &'a Path>, ledger: &Path) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let ledger = real(ledger);
        let beside = |end: &str| {
            let mut path = ledger.clone().into_os_string();
            path.push(end);
            PathBuf::from(path)
        };
        Self { state_roots: state_roots.into_iter().map(real).collect(), ledger: BESIDE.map(beside).into() }
    }

    /// Whether the file at `path` below `tree` is one of them, whatever it is called there. Nothing is opened. Of a tree
    /// that itself lies in the state root, only the ledger's files are.
    #[must_use]
    pub fn hold(&self, tree: &Path, path: &Path) -> bool {
        let is_same = |a: &Path, b: &Path| a == b || identity(a).is_some_and(|one| identity(b) == Some(one));
        self.ledger.iter().any(|own| is_same(own, path))
            || path
                .ancestors()
                .take_while(|folder| *folder != tree)
                .any(|folder| self.state_roots.iter().any(|root| is_same(root, folder)))
    }

    /// Where they are, from `tree` on, as far as they lie in it.
    #[must_use]
    pub fn below(&self, tree: &Path) -> Vec<PathBuf> {
        let own = self.state_roots.iter().chain(&self.ledger);
        let inside = own.filter_map(|path| path.strip_prefix(tree).ok()).filter(|path| !path.as_os_str().is_empty());
        inside.map(Path::to_owned).collect()
    }
}

/// Device and number of what a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_hides_that_a_file_is_one_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().canonicalize().unwrap();
        let state = tree.join(".state");
        fs::create_dir(&state).unwrap();
        for name in ["l.db", "l.db-shm", "log"] {
            fs::write(state.join(name), "x").unwrap();
        }
        fs::write(tree.join("work"), "x").unwrap();
        fs::hard_link(state.join("l.db-shm"), tree.join("hard")).unwrap();
        std::os::unix::fs::symlink(state.join("l.db"), tree.join("soft")).unwrap();
        std::os::unix::fs::symlink(&state, tree.join("folder")).unwrap();
        let own = OwnFiles::of([&*state], &state.join("l.db"));
        for name in [".state/l.db", ".state/log", ".state/none", ".state/l.db-wal", "hard", "soft", "folder/log"] {
            assert!(own.hold(&tree, &tree.join(name)), "{name}");
        }
        assert!(!own.hold(&tree, &tree.join("work")) && !own.hold(&tree, &tree.join("none")));
        assert_eq!(own.below(&tree)[0], Path::new(".state"));
        // A tree in the state root is still somebody's work.
        assert!(!own.hold(&state, &state.join("log")) && own.hold(&state, &state.join("l.db")));
        assert_eq!(own.below(&state)[..2], [PathBuf::from("l.db"), PathBuf::from("l.db-wal")]);
    }
}
