//! Opening a rollout without being led astray, and what the opened file is.
//!
//! The last path component is never followed when it is a link, and anything that is no regular file is refused
//! without blocking on it. All later questions are asked of the open handle, not of the path.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, FileTypeExt},
    path::{Path, PathBuf},
};

use super::{
    anchor::{Anchor, Verdict},
    lines::{Limits, Lines},
};
use crate::text_enum;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

text_enum! {
    /// What stands at a path instead of a file.
    pub enum FileKind {
        /// A directory.
        Directory => "directory",
        /// A named pipe.
        Pipe => "pipe",
        /// A socket.
        Socket => "socket",
        /// A block or character device.
        Device => "device",
        /// Something else.
        Other => "other",
    }
}

/// Why a rollout cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// Nothing is there.
    #[error("rollout file does not exist: {}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Codex has compressed it; resuming the thread brings it back.
    #[error("rollout is compressed and dormant: {}", compressed.display())]
    Dormant {
        /// The path of the plain file that is gone.
        path: PathBuf,
        /// The compressed file.
        compressed: PathBuf,
    },
    /// A link, which is not followed.
    #[error("rollout is a symbolic link: {}", path.display())]
    Symlink {
        /// The path.
        path: PathBuf,
    },
    /// Something that has no lines.
    #[error("rollout is no file but a {kind}: {}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: FileKind,
    },
    /// Not for us to read.
    #[error("no permission to read {}", path.display())]
    Permission {
        /// The path.
        path: PathBuf,
    },
    /// The system said no.
    #[error("cannot read {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RolloutError {
    /// What an error of the system means for the rollout at `path`.
    #[must_use]
    pub fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing { path },
            io::ErrorKind::PermissionDenied => Self::Permission { path },
            _ => Self::Io { path, source },
        }
    }
}

/// An open rollout.
#[derive(Debug)]
pub struct RolloutFile {
    file: File,
    path: PathBuf,
}

impl RolloutFile {
    /// Opens a regular file, not following a link at the end of `path` and never blocking.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub fn open(path: &Path) -> Result<Self, RolloutError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let owned = || path.to_owned();
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::LOOP | Errno::MLINK) => return Err(RolloutError::Symlink { path: owned() }),
            // Sockets cannot be opened at all.
            Err(Errno::NXIO | Errno::OPNOTSUPP) => {
                return Err(RolloutError::NotAFile { path: owned(), kind: FileKind::Socket });
            }
            Err(Errno::NOENT) => {
                let compressed = compressed_path(path);
                return Err(match compressed.symlink_metadata() {
                    Ok(found) if found.is_file() => RolloutError::Dormant { path: owned(), compressed },
                    _ => RolloutError::Missing { path: owned() },
                });
            }
            Err(errno) => return Err(RolloutError::io(path, errno.into())),
        };
        let kind = file.metadata().map_err(|error| RolloutError::io(path, error))?.file_type();
        let not_a_file = |kind| Err(RolloutError::NotAFile { path: owned(), kind });
        if kind.is_file() {
            Ok(Self { file, path: owned() })
        } else if kind.is_dir() {
            not_a_file(FileKind::Directory)
        } else if kind.is_fifo() {
            not_a_file(FileKind::Pipe)
        } else if kind.is_block_device() || kind.is_char_device() {
            not_a_file(FileKind::Device)
        } else {
            not_a_file(FileKind::Other)
        }
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the open file now, in bytes.
    ///
    /// # Errors
    /// When the handle cannot be asked.
    pub fn size(&self) -> Result<u64, RolloutError> {
        self.file.metadata().map(|about| about.len()).map_err(|error| self.io(error))
    }

    /// Whether the file still begins and goes on up to `anchor.offset` as it did when the anchor was taken.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn verify(&self, anchor: &Anchor) -> Result<Verdict, RolloutError> {
        let size = self.size()?;
        anchor.verify(&self.file, size).map_err(|error| self.io(error))
    }

    /// Reads lines from byte `from`, which must be the beginning of a line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn lines(&self, from: u64, limits: Limits) -> Result<Lines<&File>, RolloutError> {
        Lines::new(&self.file, from, limits).map_err(|error| self.io(error))
    }

    /// The bytes of one line that was read before, at most [`super::MAX_LINE_BYTES`] of them.
    ///
    /// # Errors
    /// When the file cannot be read or no longer reaches that far.
    pub fn read_line_at(&self, offset: u64, len: u64) -> Result<Vec<u8>, RolloutError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(super::MAX_LINE_BYTES);
        // A wrong length must not cost memory that the file does not have.
        let left = self.size()?.saturating_sub(offset);
        if left < len as u64 {
            return Err(self.io(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before the line")));
        }
        let mut line = vec![0; len];
        self.file.read_exact_at(&mut line, offset).map_err(|error| self.io(error))?;
        Ok(line)
    }

    pub(super) fn handle(&self) -> &File {
        &self.file
    }

    pub(super) fn io(&self, source: io::Error) -> RolloutError {
        RolloutError::io(&self.path, source)
    }
}

/// Where Codex puts the compressed form of a rollout.
pub(super) fn compressed_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".zst");
    PathBuf::from(name)
}
