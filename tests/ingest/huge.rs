//! Huge lines and huge files: memory stays bounded, and what stands behind them is intact.
//!
//! `CONVEYOR_TEST_HUGE_MB` sets the size of the large file (300 without it, 1024 for the nightly run).

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use super::{event_rows, file_row, oracle};
use crate::support::TestEnv;

/// What the program may hold at its peak, in KiB; the pages of its own file, which grow with the debug build, are not
/// counted.
const MEMORY: u64 = 48 * 1024;
const HUGE: i64 = 16;
const LOSSY: i64 = 2;

/// Runs `ingest w` in a process of its own; the peak of its memory in KiB.
fn ingest(env: &TestEnv) -> u64 {
    let mut child = env.command().args(["ingest", "w"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak_of(&child).unwrap_or(peak);
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    peak
}

#[cfg(target_os = "linux")]
fn peak_of(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let of = |name: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
    };
    Some(of("VmHWM:")?.saturating_sub(of("RssFile:")?))
}

#[cfg(not(target_os = "linux"))]
fn peak_of(_: &Child) -> Option<u64> {
    None
}

fn assert_bounded(peak: u64, what: &str) {
    if cfg!(target_os = "linux") {
        assert!(peak > 0, "the memory of the program was seen");
        assert!(peak <= MEMORY, "{what}: {peak} KiB at the peak");
    }
    crate::support::say(&format!("{what}: {peak} KiB at the peak"));
}

/// A registered worker whose rollout `write` writes behind the head.
fn worker(write: impl FnOnce(&mut BufWriter<File>)) -> (TestEnv, std::path::PathBuf) {
    let env = TestEnv::live();
    let path = env.cwd().join("w.jsonl");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).unwrap());
    writeln!(file, "{}", oracle::head(&oracle::thread(1))).unwrap();
    write(&mut file);
    file.into_inner().unwrap();
    env.run(["register-worker", "--name", "w", "--codex-session", path.to_str().unwrap()]).ok();
    (env, path)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// A message of about this many MiB, without the line feed.
fn long_line(file: &mut impl std::io::Write, mebibytes: usize, filler: &[u8]) {
    file.write_all(
        br#"{"timestamp":"2026-11-21T02:00:01.000Z","type":"event_msg","payload":{"type":"agent_message","message":""#,
    )
    .unwrap();
    let block = filler.repeat((1 << 20) / filler.len());
    for _ in 0..mebibytes {
        file.write_all(&block).unwrap();
    }
    file.write_all(br#""}}"#).unwrap();
}

#[test]
fn a_line_of_100_mb_is_passed_over_and_the_next_one_is_whole() {
    let last = oracle::said(Some(7), "behind it");
    let (env, path) = worker(|file| {
        long_line(file, 100, b"x");
        writeln!(file, "\n{last}").unwrap();
    });
    assert_bounded(ingest(&env), "a line of 100 MB");
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let events = event_rows(&sql, "w");
    assert_eq!(events.len(), 3);
    let (huge, behind) = (&events[1], &events[2]);
    assert_eq!((huge.kind.as_str(), huge.subtype.as_deref()), ("event_msg", Some("agent_message")));
    assert!(huge.flags & HUGE != 0 && huge.length > 100 << 20 && huge.payload.len() < 16_384);
    assert_eq!((behind.ordinal, behind.hash), (7, oracle::hash(last.as_bytes())));
    assert_eq!(file_row(&sql, "w").next_offset, size(&path));
}

#[test]
fn a_growing_huge_line_is_pending_and_taken_when_it_is_whole() {
    let (env, path) = worker(|file| long_line(file, 20, b"x"));
    assert_bounded(ingest(&env), "an unfinished line of 20 MB");
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let before = file_row(&sql, "w");
    assert_eq!((before.next_line, before.next_offset + before.pending_bytes), (1, size(&path)));
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    writeln!(file, "\n{}", oracle::said(None, "behind it")).unwrap();
    ingest(&env);
    assert_eq!((event_rows(&sql, "w").len(), file_row(&sql, "w").next_offset), (3, size(&path)));
}

#[test]
fn the_costliest_lines_that_are_held_stay_within_the_memory() {
    // Just below the limit of a held line: bytes that are no text and grow when they are replaced, with a raw
    // control byte that makes the text to be mended.
    let (env, path) = worker(|file| {
        for filler in [&b"\xff"[..], b"\xff\x01", b"\\u0041", b"[{\"a\":"] {
            long_line(file, 7, filler);
            file.write_all(b"\n").unwrap();
        }
        let mut line = Vec::new();
        long_line(&mut line, 7, b"\xff");
        let middle = line.len() / 2;
        line[middle] = 1;
        file.write_all(&line).unwrap();
        file.write_all(b"\n").unwrap();
    });
    assert_bounded(ingest(&env), "lines of 7 MB that are no text");
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let events = event_rows(&sql, "w");
    let lossy: Vec<bool> = events.iter().map(|event| event.flags & LOSSY != 0).collect();
    assert_eq!(lossy, [false, true, true, false, false, true]);
    assert_eq!(file_row(&sql, "w").next_offset, size(&path));
}

#[test]
fn a_large_file_is_taken_within_the_memory() {
    let mebibytes = std::env::var("CONVEYOR_TEST_HUGE_MB").map_or(300, |text| text.parse().unwrap());
    let mut small = 0;
    let (env, path) = worker(|file| {
        for number in 0..mebibytes / 10 {
            // As real ones are: most bytes stand in few lines.
            long_line(file, 9 - number % 3, b"y");
            file.write_all(b"\n").unwrap();
            for _ in 0..100 {
                small += 1;
                writeln!(file, "{}", oracle::said(Some(small), &format!("small {small}"))).unwrap();
            }
            long_line(file, 1 + number % 3, b"z");
            file.write_all(b"\n").unwrap();
        }
    });
    assert_bounded(ingest(&env), &format!("a file of {} MB", size(&path) >> 20));
    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let events = event_rows(&sql, "w");
    assert_eq!(events.len(), 1 + small as usize + 2 * (mebibytes / 10));
    assert_eq!(file_row(&sql, "w").next_offset, size(&path));
    let mut end = 0;
    for event in &events {
        assert_eq!(event.offset, end, "no line is missing");
        end = event.offset + event.length + 1;
    }
    let last = oracle::said(Some(small), &format!("small {small}"));
    assert_eq!(events.iter().filter(|event| event.hash == oracle::hash(last.as_bytes())).count(), 1);
}
