//! What this machine has left, and who may look into its files: disk space, file watches, permissions.
//!
//! Everything is asked at the moment of the call and nothing is changed. What the system does not tell is none,
//! never zero.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Process id of this program.
#[must_use]
pub fn own_pid() -> u32 {
    std::process::id()
}

/// The user of this program.
#[must_use]
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Which boot of the machine this is; an empty text when the system does not tell, which is then the same for all.
#[must_use]
pub fn boot_id() -> String {
    #[cfg(target_os = "linux")]
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).ok();
    // The first process starts with the boot.
    #[cfg(not(target_os = "linux"))]
    let id = super::process::Processes::identify(&super::process::SystemProcesses, 1)
        .ok()
        .map(|first| first.start_ticks.to_string());
    id.unwrap_or_default()
}

/// The file of this program; none when the system does not tell.
#[must_use]
pub fn own_program() -> Option<PathBuf> {
    env::current_exe().ok()
}

/// The operating system, by the name that scripts know it under (`linux`, `darwin`).
#[must_use]
pub fn platform() -> &'static str {
    match env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// `path`, or the nearest folder above it that exists.
#[must_use]
pub fn nearest_existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.exists())
}

/// Bytes that this user can still write to the file system of `path`, which need not exist yet.
#[must_use]
pub fn free_space(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(nearest_existing(path)?).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

/// Permission bits (`0o600`) of a file or folder, links not followed; none when it cannot be looked at.
#[must_use]
pub fn mode(path: &Path) -> Option<u32> {
    path.symlink_metadata().ok().map(|about| about.mode() & 0o7777)
}

/// Whether users other than the owner can read the file: by its own bits, and through every folder above it.
#[must_use]
pub fn is_readable_by_others(file: &Path) -> bool {
    let Some(mode) = mode(file) else { return false };
    let (mut group, mut world) = (mode & 0o040 != 0, mode & 0o004 != 0);
    for folder in file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        // A folder that we cannot look at closes nothing for certain.
        let Ok(about) = fs::metadata(folder) else { continue };
        group &= about.mode() & 0o010 != 0;
        world &= about.mode() & 0o001 != 0;
    }
    group || world
}

/// How many file watches of this user are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchUse {
    /// Watchers of the processes that we can look into.
    pub instances: u64,
    /// The most that the user may have.
    pub max_instances: u64,
    /// Files and folders that they watch.
    pub watches: u64,
    /// The most that the user may watch.
    pub max_watches: u64,
    /// One more watcher could not be had just now.
    pub is_exhausted: bool,
}

impl WatchUse {
    /// Whether less than a tenth is left of either.
    #[must_use]
    pub fn is_nearly_used_up(self) -> bool {
        let nearly = |used: u64, most: u64| used.saturating_mul(10) >= most.saturating_mul(9);
        self.is_exhausted || nearly(self.instances, self.max_instances) || nearly(self.watches, self.max_watches)
    }
}

/// The use of file watches; none where the system has no such limit or does not tell.
#[cfg(target_os = "linux")]
#[must_use]
pub fn watch_use() -> Option<WatchUse> {
    use rustix::{fs::inotify as watching, io::Errno};

    let limit = |name: &str| {
        let text = fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let mut found = WatchUse {
        instances: 0,
        max_instances: limit("max_user_instances")?,
        watches: 0,
        max_watches: limit("max_user_watches")?,
        // Processes that are hidden from us count against the same limit, so a trial tells more than a sum.
        is_exhausted: matches!(watching::init(watching::CreateFlags::CLOEXEC), Err(Errno::MFILE)),
    };
    let us = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        if !is_process || !entry.metadata().is_ok_and(|about| about.uid() == us) {
            continue;
        }
        for open in fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            if fs::read_link(open.path()).is_ok_and(|target| target == Path::new("anon_inode:inotify")) {
                let info = fs::read_to_string(entry.path().join("fdinfo").join(open.file_name())).unwrap_or_default();
                found.instances += 1;
                found.watches += info.lines().filter(|line| line.starts_with("inotify ")).count() as u64;
            }
        }
    }
    Some(found)
}

/// The use of file watches; none where the system has no such limit or does not tell.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn watch_use() -> Option<WatchUse> {
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_closed_folder_protects_what_lies_in_it() {
        let root = tempfile::Builder::new().prefix("machine-").tempdir_in("/tmp").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let (folder, file) = (root.path().join("f"), root.path().join("f/x"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "").unwrap();
        let readable = |root_mode, folder_mode, file_mode| {
            set(root.path(), root_mode);
            set(&folder, folder_mode);
            set(&file, file_mode);
            is_readable_by_others(&file)
        };
        assert!(readable(0o755, 0o755, 0o644));
        assert!(!readable(0o700, 0o755, 0o644), "closed above");
        assert!(!readable(0o755, 0o755, 0o600));
        assert!(!readable(0o710, 0o755, 0o604), "the group may pass, but not read");
        assert!(readable(0o710, 0o750, 0o640), "the group may pass and read");
    }

    #[test]
    fn space_is_told_for_places_that_do_not_exist_yet() {
        assert!(free_space(Path::new("/tmp/not/there/yet")).is_some_and(|bytes| bytes > 0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn watches_are_counted() {
        use rustix::fs::inotify as watching;
        let folder = tempfile::tempdir().unwrap();
        let watcher = watching::init(watching::CreateFlags::CLOEXEC).unwrap();
        watching::add_watch(&watcher, folder.path(), watching::WatchFlags::CREATE).unwrap();
        let used = watch_use().unwrap();
        assert!(used.instances >= 1 && used.watches >= 1, "{used:?}");
        assert!(WatchUse { instances: 90, max_instances: 100, ..used }.is_nearly_used_up());
        let idle = WatchUse { instances: 9, max_instances: 100, watches: 9, max_watches: 100, is_exhausted: false };
        assert!(!idle.is_nearly_used_up());
        assert!(WatchUse { is_exhausted: true, ..idle }.is_nearly_used_up());
    }
}
