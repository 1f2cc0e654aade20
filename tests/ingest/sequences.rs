//! Random histories of a rollout against a model: whatever happens to the file and to its readers, the ledger holds
//! the complete lines of the file as it is now, each once, where they stand, and nothing it ever took is lost.
//!
//! `CONVEYOR_TEST_SEED=<number>` replays one history and prints its steps; `CONVEYOR_TEST_SEQUENCES` sets how many
//! run. The anchor proves a file by its first 4 KiB and the 256 bytes before the offset, so every line here ends
//! in a number of its own.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use conveyor::{
    actions::{Action as _, Context, Ingest},
    base::Error,
};
use rusqlite::Connection;
use serde_json::Value;

use super::{FileRow, World, event_rows, file_row, oracle};

const SEQUENCES: u64 = 1_000;
const STEPS: u64 = 16;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a thread that runs sequences shares between them.
struct Bench {
    world: World,
    /// Reads and understands, but never commits: an ingester that dies in between.
    dying: Context,
    other: Context,
    sql: Connection,
}

impl Bench {
    fn new() -> Self {
        let world = World::new();
        Self { dying: world.other_context(true), other: world.other_context(false), sql: world.sql(), world }
    }
}

/// What the ledger must know by now.
#[derive(Default)]
struct Known {
    generation: i64,
    /// The bytes up to the offset, when they were taken.
    taken: Vec<u8>,
    pending: u64,
    /// Ordinal and hash of every line that was ever taken.
    ever: BTreeSet<(u64, i64)>,
}

/// How many events were new.
fn ingest(context: &Context, session: &str) -> Result<u64, Error> {
    Ingest { session: session.to_owned() }.run(context).map(|taken| taken.new_events)
}

struct Sequence<'b> {
    bench: &'b Bench,
    dice: Dice,
    log: String,
    name: String,
    thread: String,
    path: PathBuf,
    /// The file as it is now; none while it is gone.
    disk: Option<Vec<u8>>,
    hidden: Vec<u8>,
    known: Known,
    ordinal: u64,
    serial: u64,
    /// Whether lines carry ordinals: never, always, now and then.
    dialect: u64,
}

impl<'b> Sequence<'b> {
    fn new(bench: &'b Bench, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let dialect = dice.below(3);
        let name = format!("w{seed:016x}");
        let thread = format!("{:08x}-0000-7000-8000-{:012x}", seed >> 48, seed & 0xffff_ffff_ffff);
        let path = bench.world.path(&format!("{name}.jsonl"));
        let disk = oracle::file(&[oracle::head(&thread)]);
        fs::write(&path, &disk).unwrap();
        bench.world.register(&name, &path);
        Self {
            bench,
            dice,
            log: String::new(),
            name,
            thread,
            path,
            disk: Some(disk),
            hidden: Vec::new(),
            known: Known { generation: 1, ..Known::default() },
            ordinal: 1,
            serial: 0,
            dialect,
        }
    }

    fn note(&mut self, step: &str) {
        let size = self.disk.as_ref().map_or(0, Vec::len);
        let _ = writeln!(self.log, "{step} (file {size}, taken {})", self.known.taken.len());
    }

    /// A line of its own, sometimes long.
    fn line(&mut self) -> String {
        self.serial += 1;
        let counted = match self.dialect {
            0 => false,
            1 => true,
            _ => self.dice.chance(50),
        };
        let ordinal = counted.then_some(self.ordinal);
        self.ordinal += u64::from(counted);
        let length = if self.dice.chance(10) { self.dice.below(6_000) } else { self.dice.below(80) };
        oracle::said(ordinal, &format!("{} no {}", "x".repeat(length as usize), self.serial))
    }

    fn lines(&mut self, most: u64) -> Vec<u8> {
        let lines: Vec<String> = (0..=self.dice.below(most)).map(|_| self.line()).collect();
        oracle::file(&lines)
    }

    fn append(&mut self, bytes: &[u8]) {
        let Some(disk) = &mut self.disk else { return };
        disk.extend_from_slice(bytes);
        OpenOptions::new().append(true).open(&self.path).unwrap().write_all(bytes).unwrap();
    }

    /// Same inode, shorter.
    fn cut(&mut self, length: usize) {
        let Some(disk) = &mut self.disk else { return };
        disk.truncate(length);
        OpenOptions::new().write(true).open(&self.path).unwrap().set_len(length as u64).unwrap();
    }

    /// Another inode under the same name.
    fn replace(&mut self, bytes: Vec<u8>) {
        let beside = self.path.with_extension("new");
        fs::write(&beside, &bytes).unwrap();
        fs::rename(&beside, &self.path).unwrap();
        self.disk = Some(bytes);
    }

    fn step(&mut self) {
        let Some(disk) = self.disk.clone() else {
            self.note("the file comes back");
            let hidden = std::mem::take(&mut self.hidden);
            return self.replace(hidden);
        };
        match self.dice.below(100) {
            0..=19 => {
                self.note("append");
                let bytes = self.lines(5);
                self.append(&bytes);
            }
            20..=29 => {
                self.note("append a part of a line");
                let line = self.line();
                let part = self.dice.below(line.len() as u64) as usize;
                self.append(&line.as_bytes()[..part]);
                if self.dice.chance(50) {
                    if self.dice.chance(50) {
                        self.ingest();
                    }
                    self.note("append the rest of it");
                    self.append(&line.as_bytes()[part..]);
                    self.append(b"\n");
                }
            }
            30..=34 => {
                self.note("a torn record and the whole one behind it");
                let line = self.line();
                let part = 1 + self.dice.below(line.len() as u64 - 1) as usize;
                self.append(&line.as_bytes()[..part]);
                self.append(line.as_bytes());
                self.append(b"\n");
            }
            35..=38 => {
                self.note("junk lines");
                let junk: &[&[u8]] =
                    &[b"\n", b"  \n", b"{\n", b"[1]\n", b"\0\0\0\n", b"\xff\xfe\n", b"{\"no\":\"type\"}\n", b"null\n"];
                for _ in 0..=self.dice.below(3) {
                    let at = self.dice.below(junk.len() as u64) as usize;
                    self.append(junk[at]);
                }
            }
            39..=43 => {
                self.note("truncate");
                let length = self.dice.below(disk.len() as u64 + 1) as usize;
                self.cut(length);
            }
            44..=50 => {
                self.note("truncate at a line and grow again, past the offset");
                let ends: Vec<usize> = oracle::lines(&disk).iter().map(|(at, line)| at + line.len() + 1).collect();
                if let Some(end) = ends.get(self.dice.below(ends.len() as u64) as usize) {
                    self.cut(*end);
                    while self.disk.as_ref().is_some_and(|now| now.len() <= disk.len()) {
                        let bytes = self.lines(3);
                        self.append(&bytes);
                    }
                }
            }
            51..=54 => {
                self.note("the file is renamed away");
                fs::rename(&self.path, self.path.with_extension("away")).unwrap();
                self.hidden = disk;
                self.disk = None;
            }
            55..=59 => {
                self.note("another inode with the same bytes");
                self.replace(disk);
            }
            60..=63 => {
                self.note("another beginning of the same thread, some lines kept");
                let head = oracle::head(&self.thread).replace("codex-tui", &format!("codex-{}", self.serial));
                self.serial += 1;
                let mut bytes = oracle::file(&[head]);
                for (_, line) in oracle::lines(&disk).into_iter().skip(1) {
                    if self.dice.chance(70) {
                        bytes.extend_from_slice(line);
                        bytes.push(b'\n');
                    }
                }
                self.replace(bytes);
            }
            64..=69 => {
                self.note("a second writer with ordinals of its own");
                let ordinal = self.dice.below(self.ordinal);
                self.serial += 1;
                let line = oracle::said(Some(ordinal), &format!("second {}", self.serial));
                self.append(&oracle::file(&[line]));
            }
            70..=74 => {
                self.note("a line once more");
                let lines = oracle::lines(&disk);
                if let Some((_, line)) = lines.get(1 + self.dice.below(lines.len() as u64) as usize) {
                    let again = [line, &b"\n"[..]].concat();
                    self.append(&again);
                }
            }
            75..=78 => {
                self.note("another thread's file, for a while");
                let mut foreign = oracle::file(&[oracle::head(&oracle::thread(self.serial))]);
                foreign.extend(self.lines(4));
                self.replace(foreign);
                self.ingest();
                self.note("its own file again");
                self.replace(disk);
            }
            79..=84 => {
                self.note("an ingester that dies between reading and committing");
                let _ = ingest(&self.bench.dying, &self.name);
                self.check();
            }
            85..=88 => {
                self.note("the ledger is busy for a moment");
                self.busy();
            }
            89..=92 => {
                self.note("two ingesters");
                let (bench, name) = (self.bench, self.name.clone());
                let other = &bench.other;
                let mut outcomes = Vec::new();
                thread::scope(|scope| {
                    let second = scope.spawn(|| ingest(other, &name));
                    outcomes.push(ingest(&bench.world.context, &name));
                    outcomes.push(second.join().unwrap());
                });
                let new: u64 = outcomes.iter().flatten().sum();
                self.expect(outcomes.iter().all(Result::is_ok), Some(new));
            }
            _ => self.note("nothing"),
        }
        if self.dice.chance(45) {
            self.ingest();
        }
    }

    fn busy(&mut self) {
        let (bench, name) = (self.bench, self.name.clone());
        let other = &bench.other;
        let holder = bench.world.sql();
        holder.execute_batch("begin immediate").unwrap();
        let taken = thread::scope(|scope| {
            let ingester = scope.spawn(|| ingest(other, &name));
            thread::sleep(Duration::from_millis(3));
            holder.execute_batch("rollback").unwrap();
            ingester.join().unwrap()
        });
        self.expect(taken.is_ok(), taken.ok());
    }

    fn ingest(&mut self) {
        self.note("ingest");
        let taken = ingest(&self.bench.world.context, &self.name);
        self.expect(taken.is_ok(), taken.ok());
    }

    /// Works out what an ingest had to do, and compares.
    fn expect(&mut self, succeeded: bool, new_events: Option<u64>) {
        let refused = match &self.disk {
            None => true,
            Some(disk) => {
                let same = disk.starts_with(&self.known.taken);
                let anything = !self.known.taken.is_empty() || oracle::complete(disk) > 0;
                let refused = (!same || self.known.taken.is_empty()) && anything && !self.owns(disk);
                if !refused {
                    let rows = oracle::rows(disk);
                    let before = self.known.ever.len();
                    self.known.ever.extend(rows.iter().map(|row| (row.ordinal, row.hash)));
                    let fresh = (self.known.ever.len() - before) as u64;
                    assert_eq!(new_events, Some(fresh), "new events\n{}", self.log);
                    self.known.generation += i64::from(!same);
                    self.known.taken = disk[..oracle::complete(disk)].to_vec();
                    self.known.pending = (disk.len() - self.known.taken.len()) as u64;
                }
                refused
            }
        };
        assert_eq!(succeeded, !refused, "whether it succeeds\n{}", self.log);
        self.check();
    }

    /// Whether the file says that it is this thread's; a head without its line feed says it too.
    fn owns(&self, disk: &[u8]) -> bool {
        let first = disk.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // A hole that a crash left behind the line is no part of it.
        let first = first.iter().rposition(|byte| *byte != 0).map_or(&first[..0], |last| &first[..=last]);
        serde_json::from_slice::<Value>(first).is_ok_and(|head| head["payload"]["id"] == *self.thread)
    }

    /// Compares everything the ledger holds with what it must hold.
    fn check(&self) {
        let Known { generation, taken, pending, ever } = &self.known;
        let file = FileRow {
            generation: *generation,
            next_offset: taken.len() as u64,
            next_line: oracle::lines(taken).len() as u64,
            pending_bytes: *pending,
        };
        assert_eq!(file_row(&self.bench.sql, &self.name), file, "the cursor\n{}", self.log);
        let events = event_rows(&self.bench.sql, &self.name);
        assert!(events.is_sorted_by_key(|event| event.id), "ids in the order of the lines\n{}", self.log);
        let stored = oracle::stored(&events);
        assert_eq!(stored, oracle::rows(taken), "the lines of the present file\n{}", self.log);
        let all: Vec<(i64, i64)> = self
            .bench
            .sql
            .prepare_cached(
                "select e.ordinal, e.record_hash from sessions s join rollout_files f on f.session_id = s.id
                 join codex_events e on e.file_id = f.id where s.name = ?1",
            )
            .unwrap()
            .query_map([&self.name], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let set: BTreeSet<(u64, i64)> = all.iter().map(|(ordinal, hash)| (*ordinal as u64, *hash)).collect();
        assert_eq!(set.len(), all.len(), "a line is stored twice\n{}", self.log);
        assert_eq!(&set, ever, "lines that were taken once\n{}", self.log);
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        if self.disk.is_none() {
            self.step();
        }
        self.note("at last");
        self.ingest();
        self.ingest();
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn random_histories_of_a_file_come_to_what_a_model_says() {
    if let Some(seed) = number("CONVEYOR_TEST_SEED") {
        let bench = Bench::new();
        let mut sequence = Sequence::new(&bench, seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sequence.play()));
        crate::support::say(&sequence.log);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        return;
    }
    // A line cut behind its last brace, with NULs written over the cut: a whole record, and a lossy one.
    Sequence::new(&Bench::new(), 1_795_241_956_478_909_615).play();
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let sequences = number("CONVEYOR_TEST_SEQUENCES").unwrap_or(SEQUENCES);
    crate::support::say(&format!("{sequences} sequences from CONVEYOR_TEST_SEED={first}"));
    let workers = 2;
    thread::scope(|scope| {
        for worker in 0..workers {
            scope.spawn(move || {
                let bench = Bench::new();
                for seed in (first + worker..first + sequences).step_by(workers as usize) {
                    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        Sequence::new(&bench, seed).play();
                    }));
                    if let Err(panic) = played {
                        crate::support::say(&format!("replay it with CONVEYOR_TEST_SEED={seed}"));
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}
