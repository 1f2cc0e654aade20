//! What it costs that 200 readers wait for messages.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Bench, PROGRAM, mb, share, size_row};

const READERS: usize = 200;
const SESSIONS: usize = 50;

/// Until all of them have started and wait.
const START: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(20);

struct Readers(Vec<Child>);

impl Drop for Readers {
    fn drop(&mut self) {
        for reader in &mut self.0 {
            // It may have ended; then there is nothing to end.
            let _ = reader.kill();
            let _ = reader.wait();
        }
    }
}

impl Readers {
    /// Processor time of all of them so far. Ticks would miss whoever runs for less than one.
    fn cpu(&self) -> Duration {
        let spent = |reader: &Child| -> u64 {
            let schedule = fs::read_to_string(format!("/proc/{}/schedstat", reader.id())).unwrap();
            schedule.split(' ').next().unwrap().parse().unwrap()
        };
        Duration::from_nanos(self.0.iter().map(spent).sum())
    }

    /// The largest of a line of `/proc/PID/FILE`, in bytes.
    fn largest(&self, file: &str, line: &str) -> u64 {
        self.0.iter().map(|reader| super::proc_bytes(reader.id(), file, line)).max().unwrap()
    }
}

pub(super) fn run(bench: &Bench) {
    for number in 0..SESSIONS {
        bench.run(&format!("register-worker --name s{number} --codex-app-thread-id s{number}"));
    }
    let start = |number: usize| {
        let line = format!("session-inbox s{} --wait --timeout 600", number % SESSIONS);
        Command::new(PROGRAM)
            .args(line.split(' '))
            .env_clear()
            .env("HOME", bench.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(bench.root.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut readers = Readers((0..READERS).map(start).collect());
    thread::sleep(START);
    let (before, begun) = (readers.cpu(), Instant::now());
    thread::sleep(LOOK);
    let spent = readers.cpu() - before;
    assert!(readers.0.iter_mut().all(|reader| reader.try_wait().unwrap().is_none()), "all of them wait");
    println!("{READERS} waiting readers");
    share("all of them", spent.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0, 50.0);
    // What one costs the machine: the program's file is there once for all of them.
    size_row("memory of one, with its part of what they share", readers.largest("smaps_rollup", "Pss"), 8.0);
    println!("  its own: {:.1} MB", mb(readers.largest("status", "RssAnon")));
    println!("  resident, with all that is shared: {:.1} MB", mb(readers.largest("status", "VmRSS")));
}
