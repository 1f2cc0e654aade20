//! Dispatchers that race and are killed while messages come in.

use std::{
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};

use super::world::World;
use crate::support::say;

/// Commands of one target that may wait before no more are sent: below where they are refused.
const WAITING: i64 = 40;

/// What is done to whom.
pub struct Chaos {
    /// Texts to send to the worker of the task `parser`.
    pub texts: Vec<String>,
    /// Dispatchers at once.
    pub dispatchers: usize,
    /// None lives longer.
    pub longest_life: Duration,
    /// The end, whatever is still open then.
    pub limit: Duration,
}

/// What came of it.
pub struct Result {
    /// The commands, in the order in which they were accepted.
    pub ids: Vec<String>,
    /// Dispatchers that were killed while they ran.
    pub kills: usize,
}

struct Racers {
    running: Vec<(Child, Instant)>,
    dice: u64,
    kills: usize,
}

impl Racers {
    /// Ends those whose time has come, by their own handles.
    fn cull(&mut self, all: bool) {
        let now = Instant::now();
        let kills = &mut self.kills;
        self.running.retain_mut(|(child, until)| {
            if !all && *until > now {
                return true;
            }
            child.kill().expect("it is killed");
            *kills += usize::from(child.wait().expect("it ends").code().is_none());
            false
        });
    }
}

impl Drop for Racers {
    fn drop(&mut self) {
        for (child, _) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Chaos {
    /// Sends all texts while dispatchers come and are killed, until every command is settled or the time is over.
    pub fn run(self, world: &World) -> Result {
        let begun = Instant::now();
        let mut racers = Racers { running: Vec::new(), dice: 4_711, kills: 0 };
        let mut ids: Vec<String> = Vec::new();
        let mut texts = self.texts.iter();
        let mut left = texts.len();
        while (left > 0 || open(world) > 0) && begun.elapsed() < self.limit {
            if left > 0
                && (ids.is_empty() || open(world) < WAITING)
                && let Some(text) = texts.next()
            {
                let words = ["enqueue-nudge-worker", "parser", "--json", "--message", text];
                let queued = world.run(&words).ok().json();
                ids.push(queued["command_id"].as_str().expect("an id").to_owned());
                left -= 1;
            }
            while racers.running.len() < self.dispatchers {
                let mut command = world.command();
                command.args(["dispatch", "--watch", "--type", "nudge_worker", "--interval", "0.05"]);
                let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
                racers.dice =
                    racers.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let life =
                    30 + (racers.dice >> 33) % u64::try_from(self.longest_life.as_millis()).expect("it is short");
                racers.running.push((child.expect("it starts"), Instant::now() + Duration::from_millis(life)));
            }
            thread::sleep(Duration::from_millis(10));
            racers.cull(/*all*/ false);
        }
        racers.cull(/*all*/ true);
        say(&format!("{} kills, {} messages, {:?}, {} open", racers.kills, ids.len(), begun.elapsed(), open(world)));
        Result { ids, kills: racers.kills }
    }
}

/// Commands that are not settled.
fn open(world: &World) -> i64 {
    let sql = Connection::open_with_flags(world.ledger(), OpenFlags::SQLITE_OPEN_READ_WRITE).expect("the ledger");
    sql.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    sql.query_row("select count(*) from commands where phase <> 'done'", [], |row| row.get(0)).expect("the ledger")
}
