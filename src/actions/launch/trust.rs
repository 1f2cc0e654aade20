//! What Codex's configuration says about the trust in a folder.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What is said about the folder, or else about the repository it belongs to; none when nothing is said about
/// either. A doubt is none: then Codex itself has to ask.
pub(super) fn level<'l>(levels: &'l BTreeMap<String, String>, folder: &Path) -> Option<&'l str> {
    // Codex writes down real paths.
    let folder = fs::canonicalize(folder).ok()?;
    let said = |path: &Path| levels.get(path.to_str()?).map(String::as_str);
    said(&folder).or_else(|| said(&repository(&folder)?))
}

/// The main folder of the repository that a folder lies in: Codex trusts a repository with all its worktrees.
fn repository(folder: &Path) -> Option<PathBuf> {
    let root = folder.ancestors().find(|folder| folder.join(".git").exists())?;
    let git = root.join(".git");
    if git.is_dir() {
        // An empty folder of this name makes no repository.
        return git.join("HEAD").exists().then(|| root.to_owned());
    }
    let link = fs::read_to_string(git).ok()?;
    let own = fs::canonicalize(root.join(link.strip_prefix("gitdir:")?.trim())).ok()?;
    let worktrees = own.parent().filter(|folder| folder.ends_with(".git/worktrees"))?;
    // It has to point back, or any file could name a repository that is trusted.
    let back = fs::read_to_string(own.join("gitdir")).ok()?;
    let points_back = fs::canonicalize(back.trim()).ok()? == fs::canonicalize(root.join(".git")).ok()?;
    worktrees.parent()?.parent().filter(|_| points_back).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(folders: &[(&Path, &str)]) -> BTreeMap<String, String> {
        folders.iter().map(|(path, level)| (path.display().to_string(), (*level).to_owned())).collect()
    }

    #[test]
    fn a_folder_has_the_trust_of_itself_or_of_its_repository() {
        let temporary = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temporary.path()).unwrap();
        let make = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let (main, inner, plain) = (make("main"), make("main/a/b"), make("plain/c"));
        let (tree, liar) = (make("tree/d"), make("liar"));
        let own = make("main/.git/worktrees/tree");
        fs::write(root.join("main/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(own.join("gitdir"), format!("{}\n", root.join("tree/.git").display())).unwrap();
        for linked in ["tree", "liar"] {
            fs::write(root.join(linked).join(".git"), format!("gitdir: {}\n", own.display())).unwrap();
        }

        let trusted = levels(&[(&main, "trusted"), (&root.join("plain"), "trusted")]);
        assert_eq!(level(&trusted, &main), Some("trusted"));
        assert_eq!(level(&trusted, &inner), Some("trusted"));
        assert_eq!(level(&trusted, &tree), Some("trusted"), "a worktree");
        assert_eq!(level(&trusted, &liar), None, "a link that the repository does not know");
        assert_eq!(level(&trusted, &plain), None, "nothing is inherited outside a repository");
        assert_eq!(level(&trusted, &root.join("missing")), None);
        let own = levels(&[(&main, "trusted"), (&inner, "untrusted")]);
        assert_eq!(level(&own, &inner), Some("untrusted"));
        assert_eq!(level(&BTreeMap::new(), &main), None);
    }
}
