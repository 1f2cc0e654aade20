//! Six ingesters that are killed at random moments, one writer: nothing is missing, nothing is there twice.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{event_rows, file_row, oracle};
use crate::support::TestEnv;

const INGESTERS: u64 = 6;
const LINES_PER_SECOND: u64 = 2_000;
const SECONDS: u64 = 3;
/// Lines that stand there already: more than one transaction takes.
const BACKLOG: u64 = 5_000;
/// How many ingesters have to be killed, and how many have to finish, for the test to prove anything.
const KILLED: u64 = 10;
const FINISHED: u64 = 5;

fn line(number: u64) -> String {
    oracle::said(Some(number), &format!("line {number}"))
}

/// Appends at the pace, in pieces that end anywhere in a line.
fn write(mut file: File) -> u64 {
    let started = Instant::now();
    let (mut number, mut rest) = (BACKLOG, Vec::new());
    while number < BACKLOG + LINES_PER_SECOND * SECONDS {
        let due = BACKLOG + LINES_PER_SECOND * started.elapsed().as_millis() as u64 / 1_000;
        let until = due.min(BACKLOG + LINES_PER_SECOND * SECONDS);
        while number < until {
            number += 1;
            rest.extend_from_slice(line(number).as_bytes());
            rest.push(b'\n');
        }
        let piece = rest.len() - (number as usize * 31) % (rest.len() / 2 + 1);
        file.write_all(&rest[..piece]).unwrap();
        rest.drain(..piece);
        thread::sleep(Duration::from_millis(5));
    }
    file.write_all(&rest).unwrap();
    number
}

#[test]
fn killed_ingesters_leave_every_line_exactly_once() {
    let env = TestEnv::live();
    let path = env.cwd().join("w.jsonl");
    let mut file = File::create(&path).unwrap();
    file.write_all(&oracle::file(&[oracle::head(&oracle::thread(1))])).unwrap();
    file.write_all(&oracle::file(&(1..=BACKLOG).map(line).collect::<Vec<_>>())).unwrap();
    env.run(["register-worker", "--name", "w", "--codex-session", path.to_str().unwrap()]).ok();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let (over, killed, finished) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let commands: Vec<_> = (0..INGESTERS).map(|_| env.command()).collect();
    let lines = thread::scope(|scope| {
        for (number, mut command) in commands.into_iter().enumerate() {
            let (over, killed, finished) = (&over, &killed, &finished);
            scope.spawn(move || {
                let mut dice = u64::from(seed) + number as u64 * 7_919;
                command.args(["ingest", "w"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
                while !over.load(Ordering::SeqCst) {
                    let mut child = command.spawn().unwrap();
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    if (dice >> 33) % 10 < 7 {
                        thread::sleep(Duration::from_micros((dice >> 40) % 40_000));
                        // Its own process, by its handle; one that has ended is not harmed.
                        child.kill().unwrap();
                    }
                    let output = child.wait_with_output().unwrap();
                    match output.status.code() {
                        Some(0) => finished.fetch_add(1, Ordering::SeqCst),
                        None => killed.fetch_add(1, Ordering::SeqCst),
                        Some(code) => panic!("exit {code}: {}", String::from_utf8_lossy(&output.stderr)),
                    };
                }
            });
        }
        let lines = write(OpenOptions::new().append(true).open(&path).unwrap());
        // A machine with much else to do kills and finishes few in the writer's time: they go on until it was enough.
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline
            && (killed.load(Ordering::SeqCst) < KILLED || finished.load(Ordering::SeqCst) < FINISHED)
        {
            thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Ordering::SeqCst);
        lines
    });
    let (killed, finished) = (killed.into_inner(), finished.into_inner());
    crate::support::say(&format!("{lines} lines, {finished} ingesters finished, {killed} killed"));
    assert!(killed >= KILLED && finished >= FINISHED, "the test proves nothing: {killed} killed, {finished} finished");
    env.run(["ingest", "w"]).ok();

    let sql = rusqlite::Connection::open(env.ledger()).unwrap();
    let check: String = sql.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let bytes = std::fs::read(&path).unwrap();
    let events = event_rows(&sql, "w");
    assert_eq!(events.len() as u64, lines + 1, "one row for each line");
    assert!(events.iter().all(|event| event.seen == 1), "no line was taken twice");
    assert_eq!(oracle::stored(&events), oracle::rows(&bytes));
    super::assert_places(&bytes, &events);
    let file = file_row(&sql, "w");
    assert_eq!((file.generation, file.next_offset, file.pending_bytes), (1, bytes.len() as u64, 0));
    assert_eq!(file.next_line, lines + 1);
}
