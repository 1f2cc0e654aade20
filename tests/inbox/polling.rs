//! T-POLL: 200 processes wait for messages at once. What it costs is told; that nothing is lost or doubled, and that
//! nobody waits long, is held to.

#![cfg(target_os = "linux")]

use std::{
    collections::BTreeMap,
    fs,
    process::Child,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use super::{Post, end, message, start, until_it_looks};
use crate::support::{TestEnv, say};
use conveyor::base::Timestamp;

const POLLERS: usize = 200;
const MESSAGES: usize = 700;
/// What a reader asks for with `--interval`, in milliseconds.
const INTERVAL: i64 = 100;
/// The bar is the interval and this; the machine may be busy with other tests, so three times as much is allowed.
const GRACE: i64 = 50;

/// Resident memory in kB, and processor time in nanoseconds: ticks miss whoever runs for less than one.
fn cost(child: &Child) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident = resident.trim().trim_end_matches(" kB").parse().ok()?;
    let schedule = fs::read_to_string(format!("/proc/{}/schedstat", child.id())).ok()?;
    Some((resident, schedule.split(' ').next()?.parse().ok()?))
}

/// One round: as many readers as messages, each waiting before the first message is put there.
fn round(env: &TestEnv, post: &Post, sessions: &[String], first: usize, count: usize, seen: &mut Seen) {
    let readers: Vec<Child> = (0..count)
        .map(|number| {
            let name = format!("s{}", (first + number) % sessions.len());
            start(env, &format!("session-inbox {name} --consume-next --wait --timeout 120 --json"))
        })
        .collect();
    readers.iter().for_each(|reader| until_it_looks(env, reader));
    thread::sleep(Duration::from_millis(500));
    seen.measure(&readers);
    let told = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for reader in readers {
            let told = &told;
            scope.spawn(move || {
                let answer = end(reader).ok().json();
                told.lock().unwrap().push(answer);
            });
        }
        for number in 0..count {
            let target = &sessions[(first + number) % sessions.len()];
            post.put(target, &format!("{}", first + number));
            thread::sleep(Duration::from_millis(25));
        }
    });
    for told in told.into_inner().unwrap() {
        let item = &told["consumed"];
        assert!(item.is_object(), "a reader came back with nothing: {told:#}");
        let at = |field: &str| item[field].as_str().unwrap().parse::<Timestamp>().unwrap().as_millis();
        seen.latencies.push(at("consumed_at") - at("delivered_at"));
        *seen.messages.entry(message(item).to_owned()).or_default() += 1;
    }
}

#[derive(Default)]
struct Seen {
    messages: BTreeMap<String, u32>,
    latencies: Vec<i64>,
    largest: u64,
    share: f64,
}

impl Seen {
    /// What readers cost that wait.
    fn measure(&mut self, readers: &[Child]) {
        let costs = || -> Vec<(u64, u64)> { readers.iter().filter_map(cost).collect() };
        let (before, begun) = (costs(), Instant::now());
        thread::sleep(Duration::from_secs(2));
        let (after, passed) = (costs(), begun.elapsed().as_secs_f64());
        assert_eq!(after.len(), readers.len(), "all of them wait");
        let nanoseconds = |costs: &[(u64, u64)]| costs.iter().map(|(_, spent)| *spent).sum::<u64>();
        let cores = (nanoseconds(&after) - nanoseconds(&before)) as f64 / 1e9 / passed;
        self.share = self.share.max(cores * POLLERS as f64 / readers.len() as f64);
        self.largest = self.largest.max(after.iter().map(|(resident, _)| *resident).max().unwrap_or(0));
    }
}

#[test]
fn two_hundred_waiting_readers_get_seven_hundred_messages_once_and_soon() {
    let env = TestEnv::live();
    // Half of the readers have an inbox of their own, the others share one with a second reader.
    let sessions = POLLERS * 3 / 4;
    for number in 0..sessions {
        env.sh(&format!("register-worker --name s{number} --codex-app-thread-id s{number}")).ok();
    }
    let post = Post::open(&env);
    let sessions: Vec<String> = (0..sessions).map(|number| post.session_id(&format!("s{number}"))).collect();
    let mut seen = Seen::default();
    let mut first = 0;
    while first < MESSAGES {
        let count = POLLERS.min(MESSAGES - first);
        round(&env, &post, &sessions, first, count, &mut seen);
        first += count;
    }
    assert_eq!((seen.messages.len(), seen.latencies.len()), (MESSAGES, MESSAGES));
    assert!(seen.messages.values().all(|times| *times == 1), "{:?}", seen.messages);
    seen.latencies.sort_unstable();
    let worst = seen.latencies[MESSAGES - 1];
    let (half, most) = (seen.latencies[MESSAGES / 2], seen.latencies[MESSAGES * 99 / 100]);
    say(&format!(
        "inbox: {POLLERS} waiting readers, {MESSAGES} messages: p50 {half} ms, p99 {most} ms, worst {worst} ms; \
         {:.2} cores while they wait; largest {} kB",
        seen.share, seen.largest
    ));
    assert!(most <= 3 * (INTERVAL + GRACE), "p99 {most} ms");
    assert!(worst <= 10 * (INTERVAL + GRACE), "worst {worst} ms");
}
