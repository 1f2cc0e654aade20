//! Programs of ours that go on without this one: started apart from the terminal, writing into a log of bounded size.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A log that has grown to so many bytes is put aside; one such is kept.
const MAX_LOG: u64 = 1 << 20;

/// A program that was just started in the background.
#[derive(Debug)]
pub struct Started(Child);

impl Started {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended already.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Lets it go its way. Its end is noted, so that nothing of it stays behind.
    pub fn let_go(mut self) {
        std::thread::spawn(move || drop(self.0.wait()));
    }

    /// Ends it, when it did not begin as it should.
    pub fn abandon(mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `program` without input, its output and errors going into `log`. It still belongs to this terminal until it
/// calls [`leave_terminal`].
///
/// # Errors
/// When the log cannot be written or the program not be started.
pub fn start(program: &Path, arguments: &[OsString], log: &Path) -> io::Result<Started> {
    let out = open(log)?;
    let errors = out.try_clone()?;
    Command::new(program).args(arguments).stdin(Stdio::null()).stdout(out).stderr(errors).spawn().map(Started)
}

/// Makes this process the first of a session of its own: no terminal can hang it up, and no shell's signals reach it.
///
/// # Errors
/// When it leads a group of processes already.
pub fn leave_terminal() -> io::Result<()> {
    rustix::process::setsid().map(drop).map_err(io::Error::from)
}

/// Opens a log for appending, readable by its owner only. Links are not followed.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let no_links = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(no_links).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.nlink() > 1 {
        return Err(io::Error::other("it is no plain file of its own"));
    }
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A log whose size is bounded: what is full is put aside as `NAME.1`, in the place of the one before. Clones write to
/// the same. A line that cannot be written is lost, and nobody ends because of it: the log only repeats what is on
/// record elsewhere.
#[derive(Debug, Clone)]
pub struct BoundedLog(Arc<Mutex<Log>>);

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    most: u64,
}

impl BoundedLog {
    /// Opens it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::bounded(path, MAX_LOG)
    }

    fn bounded(path: &Path, most: u64) -> io::Result<Self> {
        let file = open(path)?;
        let size = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Log { path: path.to_owned(), file, size, most }))))
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn turn_over(&mut self) {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".1");
        // Somebody may have removed it.
        let _ = fs::rename(&self.path, &aside);
        match open(&self.path) {
            Ok(file) => self.file = file,
            // What is bounded stays bounded.
            Err(_) => drop(self.file.set_len(0)),
        }
        self.size = 0;
    }
}

impl Write for BoundedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.lock();
        if log.size > 0 && log.size.saturating_add(bytes.len() as u64) > log.most {
            log.turn_over();
        }
        // Whole, so that a line is never split between two files.
        if log.file.write_all(bytes).is_ok() {
            log.size += bytes.len() as u64;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_put_aside_and_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/x.log");
        let mut log = BoundedLog::bounded(&path, 100).unwrap();
        for number in 0..50 {
            writeln!(log.clone(), "{}", format_args!("line number {number:02}")).unwrap();
        }
        log.flush().unwrap();
        let (now, before) =
            (fs::read_to_string(&path).unwrap(), fs::read_to_string(path.with_extension("log.1")).unwrap());
        assert!(now.len() <= 100 && before.len() <= 100, "{} {}", now.len(), before.len());
        assert!(now.ends_with("line number 49\n"), "{now}");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_that_was_removed_is_begun_anew_and_keeps_nobody_from_going_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/x.log");
        let mut log = BoundedLog::bounded(&path, 20).unwrap();
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        for number in 0..5 {
            writeln!(log, "{}", format_args!("line number {number}")).unwrap();
        }
        log.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "line number 4\n");
    }

    #[test]
    fn a_log_that_leads_elsewhere_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link, twin) = (folder.path().join("t"), folder.path().join("l"), folder.path().join("h"));
        fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(BoundedLog::open(&link).is_err());
        fs::hard_link(&target, &twin).unwrap();
        assert!(BoundedLog::open(&twin).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    }
}
