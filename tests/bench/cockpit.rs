//! The cockpit, measured from outside: it runs on a terminal of this program's own, which presses keys and notes when
//! the frames come.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use nix::pty::{Winsize, openpty};

use super::{Bench, PROGRAM, millis, proc_bytes, row, share, size_row};

/// What ends a frame: the terminal may show it.
const END_OF_FRAME: &[u8] = b"\x1b[?2026l";

/// Keys that are pressed; the time between them is long enough that no frame waits for the one before it.
const KEYS: usize = 400;
const BETWEEN_KEYS: Duration = Duration::from_millis(60);

/// How long the cockpit is left alone when its rest is measured.
const REST: Duration = Duration::from_secs(40);

/// Synthetic events of a day: one in ten seconds for each of 50 sessions, an hour at a time.
const HOURS: usize = 24;
const EVENTS_PER_HOUR: usize = 360;

struct Cockpit {
    child: Child,
    terminal: File,
    output: Receiver<(Instant, Vec<u8>)>,
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cockpit {
    fn start(bench: &Bench) -> Self {
        let size = Winsize { ws_row: 50, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        let slave = || Stdio::from(pty.slave.as_fd().try_clone_to_owned().unwrap());
        let child = Command::new(PROGRAM)
            .args(["--theme", "dark"])
            .env_clear()
            .env("HOME", bench.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .current_dir(bench.root.path())
            .stdin(slave())
            .stdout(slave())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let terminal = File::from(pty.master);
        let mut reader = terminal.try_clone().unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send((Instant::now(), bytes[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
        let cockpit = Self { child, terminal, output };
        cockpit.settle(Duration::from_secs(3));
        cockpit
    }

    /// Lets everything that is under way come out.
    fn settle(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let _ = self.output.recv_timeout(Duration::from_millis(50));
        }
    }

    /// The time from a key to the end of the frame that follows it.
    fn press(&mut self, key: &[u8]) -> Duration {
        while self.output.try_recv().is_ok() {}
        let pressed = Instant::now();
        self.terminal.write_all(key).unwrap();
        let mut seen = Vec::new();
        loop {
            match self.output.recv_timeout(Duration::from_secs(5)) {
                Ok((at, bytes)) => {
                    seen.extend(bytes);
                    if seen.windows(END_OF_FRAME.len()).any(|window| window == END_OF_FRAME) {
                        return at.saturating_duration_since(pressed);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("no frame after a key"),
            }
        }
    }

    /// Presses keys that move the selection, and tells how long their frames take.
    fn keys(&mut self, screen: &str) {
        let mut times: Vec<Duration> = (0..KEYS)
            .map(|number| {
                let took = self.press(if number / 40 % 2 == 0 { b"j" } else { b"k" });
                thread::sleep(BETWEEN_KEYS);
                took
            })
            .collect();
        println!("  {screen}: key to the end of its frame, p50: {:.1} ms", millis(percentile(&mut times, 50)));
        // 30 ms are allowed for it; but the frame is a part of it, and of that 16 ms are asked.
        row(&format!("{screen}: key to the end of its frame, p99"), percentile(&mut times, 99), 16.0);
        println!("    slowest {:.1} ms", millis(percentile(&mut times, 100)));
    }

    /// CPU time of the process and of what it has run so far.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name in parentheses may hold anything; the numbers come after it.
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory, in bytes.
    fn resident(&self) -> u64 {
        proc_bytes(self.child.id(), "status", "VmRSS")
    }

    /// Share of one core that it takes while nobody does anything, in percent.
    fn rest(&self) -> f64 {
        let before = self.cpu();
        self.settle(REST);
        (self.cpu() - before).as_secs_f64() / REST.as_secs_f64() * 100.0
    }
}

/// The time that so many percent of all keys took at most.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// 50 sessions with 1,000,000 events: frames, rest, memory, a day of events, and 50 panes beside them.
pub(super) fn run(bench: &Bench) {
    let events = bench.fleet();
    println!("cockpit, 50 sessions, {events} events, 160x50");
    let mut cockpit = Cockpit::start(bench);
    for (screen, digit) in [("Fleet", b"1"), ("Events", b"3"), ("Dispatch", b"5")] {
        cockpit.press(digit);
        cockpit.settle(Duration::from_secs(1));
        cockpit.keys(screen);
    }
    cockpit.press(b"1");
    let written = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                bench.append_everywhere(written.fetch_add(1, Ordering::Relaxed), 1);
                thread::sleep(Duration::from_secs(1));
            }
        });
        cockpit.keys("Fleet, each session writing a line in a second");
        is_over.store(true, Ordering::Relaxed);
    });
    let written = written.into_inner();
    cockpit.press(b"1");
    cockpit.settle(Duration::from_secs(12));
    share("at rest, no panes", cockpit.rest(), 0.5);
    size_row("resident memory", cockpit.resident(), 80.0);

    let mut after = Vec::new();
    let started = Instant::now();
    for hour in 0..HOURS {
        bench.append_everywhere(written + hour * EVENTS_PER_HOUR, EVENTS_PER_HOUR);
        bench.wait_until_read(&|| cockpit.settle(Duration::from_millis(200)));
        after.push(cockpit.resident());
    }
    println!("  a day of events, {} in {:.0} s", HOURS * EVENTS_PER_HOUR * 50, started.elapsed().as_secs_f64());
    size_row("resident memory after the first two hours", after[1], 80.0);
    size_row("resident memory after the day", after[HOURS - 1], 80.0);
    // What grows with events grows by a multiple of this; the allocator moves by some hundred kB.
    size_row("growth after the first two hours", after[HOURS - 1].saturating_sub(after[1]), 2.0);
    drop(cockpit);

    if Path::new("/usr/bin/tmux").exists() {
        let _panes = bench.panes();
        let cockpit = Cockpit::start(bench);
        cockpit.settle(Duration::from_secs(12));
        share("at rest, 50 panes", cockpit.rest(), 1.5);
        size_row("resident memory with 50 panes", cockpit.resident(), 80.0);
    }
}
