//! A conversation as it is held and scrolled: pages of entries, what of them fits on the screen, what is open.
//!
//! Entries are laid out when they come on screen, and kept as lines for one width. A window that does not hang at the
//! end is held by the entry at its top, so that nothing moves under the reader when more is said.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ratatui::text::Line;

use super::{
    markdown::Paint,
    message::Failure,
    screen::talk::{Block, block},
};
use crate::{
    actions::TalkQuery,
    model::conversation::{Entry, Said, joined},
};

/// Entries of the newest page.
const PAGE: usize = 200;

/// Entries of an older page.
const LONG_PAGE: usize = 1_000;

/// Entries held at most.
pub const HELD: usize = 10_000;

/// Text held at most, in bytes; a page of entries may go over it.
const HELD_BYTES: usize = 16 << 20;

/// Laid out entries kept at most.
const LAID_OUT: usize = 2_000;

/// Further than any conversation is long.
const FAR: isize = isize::MAX / 8;

/// A conversation, or what of it is loaded.
#[derive(Debug, Default)]
pub struct Talk {
    /// One for each line, the oldest first.
    lines: Vec<Arc<Entry>>,
    /// As they are shown.
    entries: Vec<Arc<Entry>>,
    bytes: usize,
    loaded: bool,
    complete: bool,
    failure: Option<Failure>,
    /// The line at the top of the window; none while it hangs at the end.
    top: Option<Place>,
    chosen: Option<i64>,
    open: HashSet<i64>,
    laid_out: HashMap<(i64, i64, bool), Arc<Block>>,
    width: usize,
    window: Window,
}

/// A line of an entry; line 0 is its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    id: i64,
    line: usize,
}

/// What is on screen: the entry and line that it begins with.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    index: usize,
    line: usize,
    height: usize,
}

/// A line of the window.
pub enum Row<'a> {
    /// The head of an entry; whether it is the chosen one.
    Head(&'a Entry, bool),
    /// A line below it.
    Line(Line<'static>),
}

impl Talk {
    /// The question for a page.
    #[must_use]
    pub fn query(before: Option<i64>) -> TalkQuery {
        TalkQuery { before, limit: if before.is_some() { LONG_PAGE } else { PAGE } }
    }

    /// Takes a page.
    pub fn arrived(&mut self, query: TalkQuery, page: Result<Vec<Entry>, Failure>) {
        let page = match page {
            Ok(page) => page,
            Err(failure) => {
                self.failure = Some(failure);
                return;
            }
        };
        self.failure = None;
        self.loaded = true;
        // A line that tells nothing is counted by the ledger and not given.
        let short = page.len() * 4 < query.limit * 3;
        let page: Vec<Arc<Entry>> = page.into_iter().map(Arc::new).collect();
        match query.before {
            Some(before) => self.take_older(before, page, short),
            None => self.take_newest(page, short),
        }
        self.bytes = self.lines.iter().map(|entry| size(entry)).sum();
        self.entries = joined(&self.lines);
    }

    fn take_older(&mut self, before: i64, page: Vec<Arc<Entry>>, short: bool) {
        // What was asked for belongs before what was held then; that may be another conversation by now.
        if self.lines.first().is_none_or(|first| first.id != before) {
            return;
        }
        self.complete = short;
        let mut lines = page;
        lines.retain(|entry| entry.id < before);
        lines.append(&mut self.lines);
        self.lines = lines;
    }

    /// Joins the newest page to what is held. Where there is a gap, whoever reads older entries keeps them.
    fn take_newest(&mut self, page: Vec<Arc<Entry>>, short: bool) {
        let newest = self.lines.last().map(|entry| entry.id);
        // In a ledger that has taken the place of another one, a number means another line.
        let same = |a: &Entry, b: &Entry| (a.id, a.byte_offset, a.at) == (b.id, b.byte_offset, b.at);
        let joins = self.lines.last().is_some_and(|newest| page.iter().any(|entry| same(entry, newest)));
        if joins {
            self.lines.extend(page.into_iter().filter(|entry| newest.is_none_or(|newest| entry.id > newest)));
            self.drop_oldest();
        } else if self.top.is_none() || self.lines.is_empty() {
            self.lines = page;
            self.complete = short;
            self.laid_out.clear();
            self.open.clear();
            self.chosen = None;
        }
    }

    fn drop_oldest(&mut self) {
        let mut bytes: usize = self.lines.iter().map(|entry| size(entry)).sum();
        let mut count = self.lines.len();
        let surplus = self.lines.iter().take_while(|entry| {
            let goes = count > HELD || bytes > HELD_BYTES;
            bytes = bytes.saturating_sub(size(entry));
            count -= usize::from(goes);
            goes
        });
        let surplus = surplus.count();
        if surplus > 0 {
            self.lines.drain(..surplus);
            self.complete = false;
        }
    }

    /// Why the last page did not come.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether an answer has come.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether there is anything to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the newest is loaded and in the window.
    #[must_use]
    pub fn shows_the_end(&self) -> bool {
        self.loaded && self.failure.is_none() && self.follows()
    }

    /// Whether the window hangs at the end.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.top.is_none()
    }

    /// Brings what is laid out in line with the room that there is.
    pub fn settle(&mut self, height: usize, paint: Paint) {
        if self.width != paint.width || self.laid_out.len() > LAID_OUT {
            self.laid_out.clear();
            self.width = paint.width;
        }
        self.window.height = height;
        if self.entries.is_empty() {
            self.top = None;
            self.window = Window { height, ..Window::default() };
            return;
        }
        if let Some(top) = self.top {
            let index = self.index_of(top.id);
            let line = if self.entries[index].id == top.id { top.line } else { 0 };
            let line = line.min(self.height_of(index, paint) - 1);
            if self.fills(index, line, height, paint) {
                self.window = Window { index, line, height };
                return;
            }
            self.top = None;
        }
        let (index, line) = self.back_from_end(height, paint);
        self.window = Window { index, line, height };
    }

    /// The lines on screen.
    pub fn rows(&self, paint: Paint) -> Vec<Row<'_>> {
        let mut rows = Vec::with_capacity(self.window.height);
        let mut skip = self.window.line;
        for entry in self.entries.iter().skip(self.window.index) {
            if rows.len() >= self.window.height {
                break;
            }
            if skip == 0 {
                rows.push(Row::Head(entry, self.chosen == Some(entry.id)));
            }
            let is_open = self.open.contains(&entry.id);
            let known = self.laid_out.get(&(entry.id, entry.last_id, is_open)).filter(|_| paint.width == self.width);
            let block = known.cloned().unwrap_or_else(|| Arc::new(block(entry, is_open, paint)));
            let room = self.window.height - rows.len();
            rows.extend(block.lines.iter().skip(skip.saturating_sub(1)).take(room).cloned().map(Row::Line));
            skip = 0;
        }
        rows
    }

    /// Scrolls by so many lines; the entry before which older ones are needed for that.
    pub fn scroll(&mut self, by: isize, paint: Paint) -> Option<i64> {
        if self.entries.is_empty() {
            return None;
        }
        let Window { mut index, mut line, .. } = self.window;
        index = index.min(self.entries.len() - 1);
        if by >= FAR {
            self.top = None;
            return None;
        }
        if by <= -FAR {
            (index, line) = (0, 0);
        } else if by < 0 {
            let mut left = by.unsigned_abs();
            while left > line && index > 0 {
                left -= line;
                index -= 1;
                line = self.height_of(index, paint);
            }
            line = line.saturating_sub(left);
        } else {
            let mut left = by.unsigned_abs();
            loop {
                let height = self.height_of(index, paint);
                if line + left < height || index + 1 == self.entries.len() {
                    line = (line + left).min(height - 1);
                    break;
                }
                left -= height - line;
                (index, line) = (index + 1, 0);
            }
        }
        self.top = Some(Place { id: self.entries[index].id, line });
        (by < 0 && index == 0 && line == 0).then(|| self.wants_older()).flatten()
    }

    /// The entry before which older ones are there to be loaded.
    fn wants_older(&self) -> Option<i64> {
        let room = self.lines.len() < HELD && self.bytes < HELD_BYTES;
        self.lines.first().filter(|_| !self.complete && room).map(|entry| entry.id)
    }

    /// Chooses the next or previous entry, beginning with what is on screen; the entry before which older ones are
    /// needed for that.
    pub fn choose(&mut self, by: isize, height: usize, paint: Paint) -> Option<i64> {
        let last = self.entries.len().checked_sub(1)?;
        let from = self.chosen.map(|id| self.index_of(id));
        let index = match from {
            Some(index) => index.saturating_add_signed(by).min(last),
            None if by < 0 => self.last_on_screen(height, paint),
            None => self.window.index,
        };
        self.chosen = Some(self.entries[index].id);
        let seen = self.window.index + usize::from(self.window.line > 0)..=self.last_on_screen(height, paint);
        if !seen.contains(&index) {
            let top = if index > self.window.index { self.showing_whole(index, height, paint) } else { (index, 0) };
            self.top = Some(Place { id: self.entries[top.0].id, line: top.1 });
        }
        (by < 0 && index == 0).then(|| self.wants_older()).flatten()
    }

    /// Gives up the choice; whether there was one.
    pub fn choose_none(&mut self) -> bool {
        self.chosen.take().is_some()
    }

    /// Opens or closes the chosen entry, else the last one on screen of which something is hidden; whether there is one.
    pub fn toggle(&mut self, height: usize, paint: Paint) -> bool {
        let index = match self.chosen {
            Some(id) => Some(self.index_of(id)).filter(|index| self.entries.get(*index).is_some_and(|e| e.id == id)),
            None if self.entries.is_empty() => None,
            None => {
                let last = self.last_on_screen(height, paint);
                (self.window.index..=last).rev().find(|index| self.block_of(*index, paint).folds)
            }
        };
        let Some(index) = index.filter(|index| self.block_of(*index, paint).folds) else { return false };
        let id = self.entries[index].id;
        if !self.open.remove(&id) {
            self.open.insert(id);
        }
        self.chosen = Some(id);
        // What was opened is read from its head.
        self.top = Some(Place { id, line: 0 });
        true
    }

    /// Whether anything on screen can be opened or closed.
    #[must_use]
    pub fn can_toggle(&self) -> bool {
        let mut seen = 0;
        for entry in self.entries.iter().skip(self.window.index) {
            let is_open = self.open.contains(&entry.id);
            if let Some(block) = self.laid_out.get(&(entry.id, entry.last_id, is_open)) {
                if block.folds {
                    return true;
                }
                seen += 1 + block.lines.len();
            }
            if seen > self.window.height + self.window.line {
                return false;
            }
        }
        false
    }

    fn index_of(&self, id: i64) -> usize {
        self.entries.partition_point(|entry| entry.id < id).min(self.entries.len().saturating_sub(1))
    }

    fn block_of(&mut self, index: usize, paint: Paint) -> Arc<Block> {
        let entry = &self.entries[index];
        let is_open = self.open.contains(&entry.id);
        let key = (entry.id, entry.last_id, is_open);
        Arc::clone(self.laid_out.entry(key).or_insert_with(|| Arc::new(block(entry, is_open, paint))))
    }

    /// Lines of an entry, its head included.
    fn height_of(&mut self, index: usize, paint: Paint) -> usize {
        1 + self.block_of(index, paint).lines.len()
    }

    /// Whether the window is full when it begins there.
    fn fills(&mut self, index: usize, line: usize, height: usize, paint: Paint) -> bool {
        let mut seen = 0;
        for index in index..self.entries.len() {
            seen += self.height_of(index, paint);
            if seen >= height + line {
                return true;
            }
        }
        false
    }

    /// Where the window begins that ends with the newest line.
    fn back_from_end(&mut self, height: usize, paint: Paint) -> (usize, usize) {
        let last = self.entries.len() - 1;
        self.showing_whole(last, height, paint)
    }

    /// Where the window begins that ends with the last line of an entry; at its head, when it does not fit.
    fn showing_whole(&mut self, index: usize, height: usize, paint: Paint) -> (usize, usize) {
        let mut seen = 0;
        for at in (0..=index).rev() {
            seen += self.height_of(at, paint);
            if seen >= height {
                return (at, seen - height);
            }
        }
        (0, 0)
    }

    fn last_on_screen(&mut self, height: usize, paint: Paint) -> usize {
        let mut seen = 0;
        let last = self.entries.len().saturating_sub(1);
        for index in self.window.index..=last {
            seen += self.height_of(index, paint);
            if seen >= height + self.window.line {
                return index;
            }
        }
        last
    }
}

/// About how much memory an entry takes.
fn size(entry: &Entry) -> usize {
    let text = match &entry.said {
        Said::User { text, .. }
        | Said::Agent(text)
        | Said::Note(text)
        | Said::Plan(text)
        | Said::Thought(text)
        | Said::Codex(text)
        | Said::Error(text)
        | Said::Unreadable(text)
        | Said::Unknown { text, .. }
        | Said::Call { arguments: text, .. } => text.len(),
        Said::Command(run) => run.command.len() + run.outcome.output.len(),
        Said::Change { files, .. } => {
            files.iter().map(|file| file.lines.iter().map(|line| line.len() + 24).sum::<usize>()).sum()
        }
        Said::Tool { arguments, output, .. } => arguments.len() + output.len(),
        Said::Output { outcome, .. } => outcome.output.len(),
        Said::SubAgent { .. } | Said::TurnStarted { .. } | Said::TurnEnded { .. } | Said::TurnAborted { .. } => 0,
    };
    text + 128
}
