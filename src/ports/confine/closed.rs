//! What a confined program could not read of what it is given: told before it is begun, since such a program can only
//! judge what it does not know.

use std::{
    fmt, fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The most files and folders that are looked at below what is given.
const MOST: usize = 4_096;

/// The user that a confined program runs as where this program runs as root.
const NOBODY: u32 = 65_534;

/// A file or folder that the user of confined programs may not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The file or folder.
    pub path: PathBuf,
    /// Its mode.
    mode: u32,
}

impl Closed {
    /// That it cannot be read, and why.
    #[must_use]
    pub fn fault(&self) -> String {
        format!(
            "the reviewer cannot read {} (mode {:04o}): started by root, it runs as the user nobody",
            self.path.display(),
            self.mode
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        let path = self.path.display().to_string();
        format!(
            "let everybody read it (`chmod -R o+rX {}`), name a copy that everybody may read, or run conveyor as another \
             user than root",
            shell_words::quote(&path)
        )
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.fault(), self.remedy())
    }
}

/// What is closed to a confined program, of its program and of the files and folders that it is given: first those that are
/// named, then what lies in them. Nothing where it runs as the user that this program runs as.
#[must_use]
pub fn closed(program: &Path, read: &[PathBuf]) -> Vec<Closed> {
    if !cfg!(target_os = "linux") || !rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    let (mut named, mut inside) = (Vec::new(), Vec::new());
    named.extend(closed_program(program));
    let mut left = MOST;
    for path in read {
        match closed_one(path) {
            Some(closed) => named.push(closed),
            None => walk(path, &mut left, &mut inside),
        }
    }
    named.extend(inside);
    named
}

/// Which bits of a mode are those of nobody.
fn bits(about: &fs::Metadata) -> u32 {
    let mode = about.permissions().mode();
    if about.uid() == NOBODY {
        mode >> 6
    } else if about.gid() == NOBODY {
        mode >> 3
    } else {
        mode
    }
}

fn shut(path: &Path, about: &fs::Metadata) -> Closed {
    Closed { path: path.to_owned(), mode: about.permissions().mode() & 0o7777 }
}

/// A program is begun, and one that is a script is read, too.
fn closed_program(path: &Path) -> Option<Closed> {
    let about = path.metadata().ok()?;
    let mut first = [0; 2];
    let is_script = fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *b"#!";
    let wanted = if is_script { 0o5 } else { 0o1 };
    (bits(&about) & wanted != wanted).then(|| shut(path, &about))
}

fn closed_one(path: &Path) -> Option<Closed> {
    let about = path.metadata().ok()?;
    let wanted = if about.is_dir() { 0o5 } else { 0o4 };
    (bits(&about) & wanted != wanted).then(|| shut(path, &about))
}

/// What is closed below a folder. Links are not followed: they lead to what was not given, or to what is looked at anyway.
fn walk(folder: &Path, left: &mut usize, found: &mut Vec<Closed>) {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            if *left == 0 {
                return;
            }
            *left -= 1;
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() || !(kind.is_dir() || kind.is_file()) {
                continue;
            }
            match closed_one(&path) {
                Some(closed) => found.push(closed),
                None if kind.is_dir() => waiting.push(path),
                None => {}
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_only_root_may_read_is_closed_to_a_program_of_nobodys() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (open, own, shown) = (make("open", 0o755), make("own", 0o700), make("shown", 0o644));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let paths = |found: Vec<Closed>| found.into_iter().map(|one| one.path).collect::<Vec<_>>();
        assert_eq!(paths(closed(&open, std::slice::from_ref(&shown))), [] as [PathBuf; 0]);
        assert_eq!(paths(closed(&own, &[])), std::slice::from_ref(&own));
        assert_eq!(paths(closed(&shown, &[])), [shown], "nobody may begin it");
        assert_eq!(paths(closed(&open, &[folder.path().to_owned()])), [own], "what lies in a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let told = closed(&open, &[folder.path().to_owned()]);
        assert_eq!(paths(told.clone()), [folder.path()]);
        assert!(
            told[0].to_string().contains("mode 0700") && told[0].to_string().contains("chmod -R o+rX"),
            "{}",
            told[0]
        );
    }
}
