//! Lines of a growing file, with exact offsets and bounded memory.
//!
//! Only lines that end in a line feed are given; what stands behind the last one is still being written and is
//! left for the next time. Lines that are too long to hold are passed over in a stream: their beginning and
//! their hash are kept.

use std::{fs::File, io, os::unix::fs::FileExt};

use sha2::{Digest, Sha256};

use super::anchor::{Anchor, PREFIX_BYTES, TAIL_BYTES, read_up_to};

/// How much is read at once.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// The longest line that is held.
pub const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;
/// How much of a longer line is kept.
pub const HEAD_BYTES: usize = 4096;

/// Something that can be read at an offset: a file, or a slice in tests.
pub trait ReadAt {
    /// Reads up to `buffer.len()` bytes at `offset`; zero means the end.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for &File {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(*self, buffer, offset)
    }
}

impl<S: ReadAt> ReadAt for &mut S {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }
}

/// How far to read in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// No line is begun after this many bytes were consumed.
    pub budget_bytes: u64,
    /// Longest line that is held; longer ones are [`Body::Huge`].
    pub max_line_bytes: usize,
    /// How much is read at once.
    pub chunk_bytes: usize,
}

impl Default for Limits {
    /// Everything, in chunks of [`CHUNK_BYTES`], lines up to [`MAX_LINE_BYTES`].
    fn default() -> Self {
        Self { budget_bytes: u64::MAX, max_line_bytes: MAX_LINE_BYTES, chunk_bytes: CHUNK_BYTES }
    }
}

/// One complete line.
#[derive(Debug, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its length without the line feed.
    pub len: u64,
    /// Its bytes.
    pub body: Body<'a>,
}

/// The bytes of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// All of them, without the line feed.
    Whole(&'a [u8]),
    /// The line is too long to hold.
    Huge {
        /// Its first [`HEAD_BYTES`] bytes.
        head: &'a [u8],
        /// SHA-256 of all of it.
        sha256: [u8; 32],
    },
}

impl RawLine<'_> {
    /// The line's hash, as stored with its event (see [`record_hash`]).
    #[must_use]
    pub fn hash(&self) -> i64 {
        match &self.body {
            Body::Whole(bytes) => record_hash(bytes),
            Body::Huge { sha256, .. } => first_eight(sha256),
        }
    }
}

/// The first eight bytes of a line's SHA-256, big-endian: equal lines have equal hashes, and the ledger can
/// index a number.
#[must_use]
pub fn record_hash(line: &[u8]) -> i64 {
    first_eight(&Sha256::digest(line))
}

fn first_eight(sha256: &[u8]) -> i64 {
    sha256.iter().take(8).fold(0, |hash: i64, byte| hash << 8 | i64::from(*byte))
}

/// Why no more lines come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The file's end; see [`Lines::pending_bytes`].
    EndOfFile,
    /// The byte budget is used up.
    Budget,
}

/// Reads the complete lines of a file, one after the other.
#[derive(Debug)]
pub struct Lines<S> {
    source: S,
    limits: Limits,
    from: u64,
    /// Bytes of the file from `base`: first up to [`TAIL_BYTES`] consumed ones, then what is to come.
    buffer: Vec<u8>,
    /// Where a chunk is read to, before it joins the buffer: never touched beyond what a read fills.
    chunk: Vec<u8>,
    base: u64,
    /// The first byte in `buffer` that is not consumed.
    start: usize,
    /// No line feed stands between `start` and here.
    scanned: usize,
    /// The beginning of the file, for the anchor.
    beginning: Vec<u8>,
    huge_head: Vec<u8>,
    stop: Option<Stop>,
    pending: u64,
}

impl<S: ReadAt> Lines<S> {
    /// A reader that begins at byte `from`, which must be the beginning of a line.
    ///
    /// # Errors
    /// When the bytes before `from` cannot be read.
    pub fn new(mut source: S, from: u64, limits: Limits) -> io::Result<Self> {
        let known = usize::try_from(from).unwrap_or(usize::MAX);
        let history = known.min(TAIL_BYTES);
        let base = from - history as u64;
        let buffer = read_up_to(&mut source, base, history)?;
        if buffer.len() < history {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than the offset"));
        }
        let beginning = read_up_to(&mut source, 0, known.min(PREFIX_BYTES))?;
        Ok(Self {
            source,
            limits,
            chunk: vec![0; limits.chunk_bytes.max(1)],
            from,
            start: buffer.len(),
            scanned: buffer.len(),
            buffer,
            base,
            beginning,
            huge_head: Vec::new(),
            stop: None,
            pending: 0,
        })
    }

    /// The next complete line; none when there is no more for now (see [`Lines::stop`]).
    ///
    /// # Errors
    /// When the file cannot be read. The lines so far stand; [`Lines::offset`] tells how far they reach.
    pub fn next_line(&mut self) -> io::Result<Option<RawLine<'_>>> {
        if self.stop.is_some() {
            return Ok(None);
        }
        if self.offset() - self.from >= self.limits.budget_bytes {
            return Ok(self.stop_because(Stop::Budget));
        }
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
                let end = self.scanned + found;
                if end - self.start > self.limits.max_line_bytes {
                    return self.next_huge();
                }
                return Ok(Some(self.consume(end)));
            }
            self.scanned = self.buffer.len();
            if self.buffer.len() - self.start > self.limits.max_line_bytes {
                return self.next_huge();
            }
            if self.fill()? == 0 {
                self.pending = (self.buffer.len() - self.start) as u64;
                return Ok(self.stop_because(Stop::EndOfFile));
            }
        }
    }

    /// The first byte that was not consumed: where to go on next time.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Why [`Lines::next_line`] gave no line; none while there may be more.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Length of the unfinished line at the end of the file; zero until the end was reached.
    #[must_use]
    pub fn pending_bytes(&self) -> u64 {
        self.pending
    }

    /// The anchor at [`Lines::offset`], made of bytes that were read anyway.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor::of(self.offset(), &self.beginning, &self.buffer[..self.start])
    }

    fn stop_because<T>(&mut self, stop: Stop) -> Option<T> {
        self.stop = Some(stop);
        None
    }

    /// Takes the line up to the line feed at `end`.
    fn consume(&mut self, end: usize) -> RawLine<'_> {
        let start = self.start;
        let offset = self.base + start as u64;
        self.start = end + 1;
        self.scanned = self.start;
        RawLine { offset, len: (end - start) as u64, body: Body::Whole(&self.buffer[start..end]) }
    }

    /// Reads one chunk behind the buffer and drops consumed bytes before it. Gives the number of bytes read.
    fn fill(&mut self) -> io::Result<usize> {
        let useless = self.start.saturating_sub(TAIL_BYTES);
        if useless > 0 {
            self.buffer.drain(..useless);
            self.base += useless as u64;
            self.start -= useless;
            self.scanned -= useless;
        }
        let held = self.buffer.len();
        let at = self.base + held as u64;
        let read = read_once(&mut self.source, &mut self.chunk, at)?;
        self.buffer.extend_from_slice(&self.chunk[..read]);
        if at == self.beginning.len() as u64 && self.beginning.len() < PREFIX_BYTES {
            let wanted = (PREFIX_BYTES - self.beginning.len()).min(read);
            self.beginning.extend_from_slice(&self.buffer[held..held + wanted]);
        }
        Ok(read)
    }

    /// Passes over the line at `start`, which is longer than can be held.
    fn next_huge(&mut self) -> io::Result<Option<RawLine<'_>>> {
        let offset = self.offset();
        let mut hasher = Sha256::new();
        let mut passed = 0u64;
        let line = &self.buffer[self.start..];
        self.huge_head.clear();
        self.huge_head.extend_from_slice(&line[..line.len().min(HEAD_BYTES)]);
        // From here on the buffer is a window that moves over the line; `seen` is its part that is hashed.
        let mut window_from = self.start;
        loop {
            let window = &self.buffer[window_from..];
            if let Some(end) = memchr::memchr(b'\n', window) {
                hasher.update(&window[..end]);
                passed += end as u64;
                self.start = window_from + end + 1;
                self.scanned = self.start;
                let sha256 = hasher.finalize().into();
                let head = &self.huge_head[..];
                return Ok(Some(RawLine { offset, len: passed, body: Body::Huge { head, sha256 } }));
            }
            hasher.update(window);
            passed += window.len() as u64;
            let keep = self.buffer.len().min(TAIL_BYTES);
            let gone = self.buffer.len() - keep;
            self.buffer.drain(..gone);
            self.base += gone as u64;
            window_from = keep;
            let at = self.base + keep as u64;
            let read = read_once(&mut self.source, &mut self.chunk, at);
            if let Ok(length @ 1..) = read {
                self.buffer.extend_from_slice(&self.chunk[..length]);
            } else {
                // The line is unfinished (or unreadable): it stays where it is, unconsumed. The bytes before it
                // have left the buffer, and the anchor needs them.
                let known = usize::try_from(offset).unwrap_or(usize::MAX).min(TAIL_BYTES);
                self.base = offset - known as u64;
                self.buffer = read_up_to(&mut self.source, self.base, known)?;
                if self.buffer.len() < known {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file shrank while it was read"));
                }
                self.start = known;
                self.scanned = known;
                self.pending = passed;
                self.stop = Some(Stop::EndOfFile);
                read?;
                return Ok(None);
            }
        }
    }
}

fn read_once<S: ReadAt>(source: &mut S, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match source.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
