//! `ingest`: take new rollout lines into the ledger, once each, whoever else is reading.
//!
//! Lines are read and understood outside any transaction; one immediate transaction then checks that the cursor
//! still stands where it was read from, stores the lines and moves the cursor. Whoever loses that race has done
//! nothing. Long files are taken in batches, so that nobody waits behind a first ingest.

use std::{fmt, path::Path};

use serde::Serialize;
use serde_json::json;

use super::{
    Action, Argv, Context, Format, Outcome,
    echo::{self, Place},
    fail, lookup,
};
use crate::{
    base::{Error, Result, Timestamp},
    model::{
        delivery::{CommandKind, Phase, SignalKind},
        progress::{Progress, TurnEnd},
        rollout::{self, Fact, Record},
        session::{Registration, Role, Session},
    },
    ports::rollout::{Anchor, Body, Limits, RawLine, RolloutError, RolloutFile, Stop, Verdict},
    store::{
        self, Store, audit,
        events::{Appended, Flags, NewEvent},
        rollouts::Cursor,
    },
};

/// Lines and bytes of one transaction: some ten milliseconds of writing.
const BATCH_LINES: usize = 2_000;
const BATCH_BYTES: u64 = 4 << 20;

/// Take new rollout lines of a session into the ledger
///
/// Safe to run at any time, also while others ingest the same session.
///
/// Example: `conveyor ingest w1`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Ingest {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ingested {
    /// Nothing to read yet: Codex writes its rollout with the first prompt.
    pub awaiting_first_prompt: bool,
    /// Nothing was stored; only the next batch of lines was looked at.
    pub dry_run: bool,
    /// The file turned out to be another one than before and was read again from its start.
    pub file_replaced: bool,
    /// Lines stored.
    pub new_events: u64,
    /// First byte not yet taken.
    pub new_offset: u64,
    /// Bytes of an unfinished last line.
    pub pending_bytes: u64,
    /// The session.
    pub session: String,
    /// Complete lines that are no records; each is stored as `bad_line`.
    pub skipped_lines: u64,
}

impl Action for Ingest {
    const NAME: &'static str = "ingest";
    const FORMAT: Format = Format::Json;
    type Output = Ingested;

    fn run(self, cx: &Context) -> Result<Ingested> {
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        ingest_while(cx, &store, &session, &|| true)
    }

    fn argv(&self) -> Argv {
        let Self { session } = self;
        Argv::new(Self::NAME).end_of_options().word(session)
    }
}

impl Outcome for Ingested {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if self.awaiting_first_prompt {
            return writeln!(out, "{}: awaiting its first prompt; there is no rollout yet", self.session);
        }
        let taken = if self.dry_run { "bytes would be taken" } else { "bytes taken" };
        write!(out, "{}: {} new events, {} {taken}", self.session, self.new_events, self.new_offset)?;
        if self.skipped_lines > 0 {
            write!(out, ", {} bad lines", self.skipped_lines)?;
        }
        if self.pending_bytes > 0 {
            write!(out, ", {} bytes of an unfinished line wait", self.pending_bytes)?;
        }
        writeln!(out)
    }
}

/// Takes what is complete in the session's rollout now, batch by batch, as long as `go_on` says yes.
///
/// # Errors
/// When the session is gone, or its rollout cannot be read; the reason is also noted on the session.
pub(super) fn ingest_while(
    cx: &Context,
    store: &Store,
    session: &Session,
    go_on: &dyn Fn() -> bool,
) -> Result<Ingested> {
    if session.state != Registration::Active {
        return Err(Error::refused(format!(
            "session \"{}\" is in state \"{}\"; re-register it before ingesting",
            session.name, session.state
        )));
    }
    let mut total = Ingested {
        awaiting_first_prompt: false,
        dry_run: cx.dry_run(),
        file_replaced: false,
        new_events: 0,
        new_offset: 0,
        pending_bytes: 0,
        session: session.name.clone(),
        skipped_lines: 0,
    };
    loop {
        let Some(cursor) = store.read(|r| store::rollouts::current(r, &session.id))? else {
            total.awaiting_first_prompt = true;
            return Ok(total);
        };
        let batch = match read_batch(&cursor) {
            Ok(batch) => batch,
            Err(error) => {
                store.write(|w| store::rollouts::note_error(w, &session.id, error.message()))?;
                return Err(error);
            }
        };
        let now = cx.now();
        if let Some(new_events) = store.write(|w| take(w, session.role, &cursor, &batch, now))? {
            total.new_events += new_events;
            total.skipped_lines += batch.bad_lines();
            total.file_replaced |= batch.replaced.is_some();
            total.new_offset = batch.next.next_offset;
            total.pending_bytes = batch.next.pending_bytes;
            // A rehearsal rolls back, so the next batch would be the same again.
            if batch.at_end || cx.dry_run() || !go_on() {
                return Ok(total);
            }
        }
    }
}

/// Lines read from the file, and the cursor behind them.
struct Batch {
    lines: Vec<Line>,
    next: Cursor,
    /// Why the file is no longer the one the cursor knew.
    replaced: Option<Verdict>,
    at_end: bool,
}

struct Line {
    offset: u64,
    length: u64,
    ordinal: u64,
    hash: i64,
    flags: Flags,
    repeated_ordinal: bool,
    /// The turn that this line ended.
    turn_end: Option<TurnEnd>,
    /// First byte of the turn of a compaction that somebody asked for, when this line records one.
    compacted_from: Option<u64>,
    content: Content,
}

enum Content {
    Record(Box<Record>),
    Bad { reason: String },
}

impl Batch {
    fn bad_lines(&self) -> u64 {
        self.lines.iter().filter(|line| line.flags.has(Flags::BAD_LINE)).count() as u64
    }
}

/// Reads what follows the cursor. A file that is not the one the cursor knows is begun again as a new generation.
fn read_batch(cursor: &Cursor) -> Result<Batch> {
    let path = Path::new(&cursor.path);
    let unreadable = |error: RolloutError| fail::rollout(error);
    let file = RolloutFile::open(path).map_err(unreadable)?;
    let known: Option<Anchor> = serde_json::from_str(&cursor.anchor_json).unwrap_or_default();
    let verdict = match &known {
        Some(anchor) => file.verify(anchor).map_err(unreadable)?,
        None => Verdict::Same,
    };
    let replaced = (verdict != Verdict::Same).then_some(verdict);
    let mut next = cursor.clone();
    if replaced.is_some() {
        check_owner(cursor, &file)?;
        next.generation += 1;
        next.next_offset = 0;
        next.next_line = 0;
        next.progress = Progress::default();
        next.anchor_json = "null".to_owned();
    }
    let limits = Limits { budget_bytes: BATCH_BYTES, ..Limits::default() };
    let mut reader = file.lines(next.next_offset, limits).map_err(unreadable)?;
    let reading = |source| fail::rollout(RolloutError::Io { path: path.to_owned(), source });
    let mut lines = Vec::new();
    while lines.len() < BATCH_LINES {
        let Some(raw) = reader.next_line().map_err(reading)? else { break };
        lines.push(understand(&mut next, &raw));
    }
    if cursor.next_offset == 0 && replaced.is_none() && !lines.is_empty() {
        // No anchor proves yet that this is the file that was registered.
        check_owner(cursor, &file)?;
    }
    next.next_offset = reader.offset();
    next.pending_bytes = reader.pending_bytes();
    next.anchor_json = serde_json::to_string(&reader.anchor()).unwrap_or_else(|_| "null".to_owned());
    Ok(Batch { lines, next, replaced, at_end: reader.stop() == Some(Stop::EndOfFile) })
}

/// A file that no anchor knows may be taken only when it is the same thread's.
fn check_owner(cursor: &Cursor, file: &RolloutFile) -> Result<()> {
    let path = file.path();
    match file.head() {
        Ok(head) if head.thread_id == cursor.thread_id => Ok(()),
        Ok(head) => Err(Error::refused(format!(
            "the rollout {} now belongs to the Codex session {}, not to {}",
            path.display(),
            head.thread_id,
            cursor.thread_id
        ))
        .hint("register the session again with the right --codex-session")),
        Err(error) => Err(fail::head(path, error)),
    }
}

/// Parses one line and folds it into the progress.
fn understand(next: &mut Cursor, raw: &RawLine<'_>) -> Line {
    let line_number = next.next_line;
    next.next_line += 1;
    let (parsed, mut flags) = match &raw.body {
        Body::Whole(bytes) => match rollout::parse(bytes) {
            Ok(record) => (Ok(record), Flags::default()),
            Err(bad) => match rollout::recover_torn(bytes) {
                Some((_, record)) => (Ok(record), Flags::TORN_PREFIX),
                None => (Err(bad.to_string()), Flags::BAD_LINE),
            },
        },
        Body::Huge { head, .. } => match rollout::parse_huge(head) {
            Ok(record) => (Ok(record), Flags::HUGE),
            Err(bad) => (Err(format!("too long to be held, and its beginning is no record: {bad}")), Flags::BAD_LINE),
        },
    };
    let mut repeated_ordinal = false;
    let mut turn_end = None;
    let mut compacted_from = None;
    let mut ordinal = line_number;
    let content = match parsed {
        Ok(record) => {
            flags = flags
                .with(Flags::LOSSY, record.lossy)
                .with(Flags::INHERITED, next.progress.is_inherited(&record))
                .with(Flags::LINE_NUMBERED, record.ordinal.is_none())
                .with(Flags::SPOKEN, rollout::is_spoken(&record));
            if let Some(own) = record.ordinal {
                ordinal = own;
                repeated_ordinal = next.progress.max_ordinal.is_some_and(|max| own <= max);
            }
            next.progress.apply(&record, raw.offset);
            compacted_from = if flags.has(Flags::INHERITED) {
                // The turns around it are not followed either: its own place has to do.
                matches!(record.fact, Fact::Compacted).then_some(raw.offset)
            } else {
                asked_for(&record, &next.progress, raw.offset)
            };
            turn_end = next.progress.last_end.as_ref().filter(|end| end.byte_offset == raw.offset).cloned();
            if let (Some(end), Fact::TurnEnded { last_message: Some(text), .. }) = (&mut turn_end, &record.fact) {
                // The progress keeps its beginning only.
                end.last_message = Some(text.clone());
            }
            Content::Record(Box::new(record))
        }
        Err(reason) => {
            // That there is a line which nobody can read belongs to what is shown.
            flags = flags.with(Flags::LINE_NUMBERED, true).with(Flags::SPOKEN, true);
            next.progress.apply_bad_line();
            Content::Bad { reason }
        }
    };
    let (offset, length, hash) = (raw.offset, raw.len, raw.hash());
    Line { offset, length, ordinal, hash, flags, repeated_ordinal, turn_end, compacted_from, content }
}

/// Stores a batch if the cursor still stands where it was read: how many lines were new, or none when another
/// reader was faster.
fn take(w: &store::Write<'_>, role: Role, from: &Cursor, batch: &Batch, now: Timestamp) -> Result<Option<u64>> {
    if !store::rollouts::advance(w, from, &batch.next, now)? {
        return Ok(None);
    }
    if let Some(verdict) = batch.replaced {
        let about = audit::About { task_id: None, session_id: Some(&from.session_id) };
        let kind = if verdict == Verdict::Truncated { "rollout_truncated" } else { "rollout_replaced" };
        let payload = json!({
            "generation": batch.next.generation,
            "path": from.path,
            "previous_offset": from.next_offset,
            "verdict": format!("{verdict:?}"),
        });
        audit::append(w, now, audit::Actor::Conveyor, kind, about, &payload)?;
    }
    let ingested_at = now.to_string();
    let mut new_events = 0;
    for line in &batch.lines {
        let conflict =
            line.repeated_ordinal && store::events::mark_ordinal_conflict(w, &batch.next, line.ordinal, line.hash)?;
        let flags = line.flags.with(Flags::ORDINAL_CONFLICT, conflict);
        let bad_payload;
        let record_time;
        let (timestamp, kind, subtype, item, brief, payload_json) = match &line.content {
            Content::Record(record) => {
                record_time = record.timestamp.map(|time| time.to_string());
                (
                    record_time.as_deref().unwrap_or(&ingested_at),
                    record.kind.as_ref(),
                    record.subtype.as_deref(),
                    record.item.as_deref(),
                    record.brief.as_str(),
                    record.payload.as_str(),
                )
            }
            Content::Bad { reason } => {
                bad_payload = json!({"reason": reason}).to_string();
                (ingested_at.as_str(), "bad_line", None, None, "unreadable line", bad_payload.as_str())
            }
        };
        let event = NewEvent {
            timestamp,
            kind,
            subtype,
            item,
            brief,
            payload_json,
            byte_offset: line.offset,
            byte_length: line.length,
            ordinal: line.ordinal,
            record_hash: line.hash,
            flags,
        };
        if store::events::append(w, &batch.next, &event, &ingested_at)? == Appended::New {
            new_events += 1;
        }
        if let Content::Record(record) = &line.content
            && let Fact::UserMessage { text, client_id, injected } = &record.fact
        {
            let is_inherited = flags.has(Flags::INHERITED);
            let place = Place { cursor: from, byte_offset: line.offset, hash: line.hash, is_inherited };
            if let Some(id) = client_id {
                echo::confirm(w, &place, id, now)?;
            }
            if !injected {
                echo::of_typed(w, &place, text, now)?;
            }
        }
        if let Some(begun_at) = line.compacted_from {
            confirm_compaction(w, &batch.next, line, begun_at, now)?;
        }
        if role == Role::Worker
            && let Some(end) = &line.turn_end
        {
            record_signal(w, from, line.hash, end, now)?;
        }
    }
    Ok(Some(new_events))
}

/// Where the compaction began that a record tells of. None when Codex did it by itself: then it is part of a turn that
/// something else began, or that has a message already, while one that was asked for is a turn of its own. Codex 0.150
/// and older does not say what began a turn, so that one before a turn's first message looks as if it was asked for.
fn asked_for(record: &Record, progress: &Progress, offset: u64) -> Option<u64> {
    if !matches!(record.fact, Fact::Compacted) {
        return None;
    }
    match &progress.open_turn {
        Some(turn) if turn.trigger.is_some() || turn.user_messages > 0 => None,
        Some(turn) => Some(turn.byte_offset),
        // Up to 0.98 the rollout tells of no turns.
        None => Some(offset),
    }
}

/// A compaction was recorded: it ends the request for one that was made in this very file before it began. Behind that
/// place nothing is a copy from another thread, whatever time the line has: the wall clock may have been set back.
fn confirm_compaction(w: &store::Write<'_>, at: &Cursor, line: &Line, begun_at: u64, now: Timestamp) -> Result<()> {
    let kind = CommandKind::RequestWorkerCompact;
    let Some(command) = store::commands::on_its_way(w.read(), &at.session_id, kind)? else { return Ok(()) };
    // What is typed may stand in the composer, and have been submitted there by a person, before its dispatcher writes
    // that down. And whoever compacts after the request has done what it asks for.
    let is_under_way = matches!(command.phase, Phase::Started | Phase::Staged | Phase::Submitted);
    let Some(begun) = command.result.as_ref().filter(|_| is_under_way) else { return Ok(()) };
    let is_later = begun["from_offset"].as_u64().is_some_and(|from| begun_at >= from);
    let same_file = begun["rollout"] == json!({"generation": at.generation, "path": at.path});
    if is_later && same_file && begun["thread_id"] == at.thread_id.as_str() {
        let place = Place { cursor: at, byte_offset: line.offset, hash: line.hash, is_inherited: false };
        echo::confirm(w, &place, &command.id, now)?;
    }
    Ok(())
}

/// Records how a turn of a worker ended, for its manager. The turn is known by its id, or else by the line that ended
/// it: the same end in a file that is read again is the same signal.
fn record_signal(w: &store::Write<'_>, from: &Cursor, hash: i64, end: &TurnEnd, now: Timestamp) -> Result<()> {
    let Some(kind) = SignalKind::of(end.kind) else { return Ok(()) };
    let turn = end.turn_id.clone().unwrap_or_else(|| format!("line {hash:016x}"));
    let detail = end.error.as_ref().map(|error| error.message.as_str()).or(end.reason.as_deref());
    let new = store::signals::NewSignal {
        session_id: &from.session_id,
        dedupe_key: &format!("{}:{}:{turn}", from.session_id, from.thread_id),
        kind,
        turn_id: end.turn_id.as_deref(),
        at: end.at,
        path: &from.path,
        byte_offset: end.byte_offset,
        last_message: end.last_message.as_deref(),
        detail,
    };
    Ok(store::signals::record(w, &new, now)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Every compaction of a recording: true when it was asked for.
    fn compactions(recording: &str) -> Vec<bool> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rollouts").join(recording);
        let bytes = fs::read(path).expect("the recording");
        let (mut progress, mut found, mut offset) = (Progress::default(), Vec::new(), 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let record = rollout::parse(line).expect("a record");
            progress.apply(&record, offset);
            if matches!(record.fact, Fact::Compacted) {
                found.push(asked_for(&record, &progress, offset).is_some());
            }
            offset += line.len() as u64;
        }
        found
    }

    #[test]
    fn a_compaction_that_was_asked_for_is_told_from_one_of_codex_itself() {
        assert_eq!(compactions("compacted_manually.jsonl"), [true, true]);
        // One by hand, and one before the message of a turn; each is told by two lines.
        assert_eq!(compactions("compacted_automatically.jsonl"), [true, true, false, false]);
        assert_eq!(compactions("v0.150.1_series.jsonl"), [true, true]);
    }
}
