//! Time and ids, passed in so that tests can fix both.
//!
//! The ledger, JSON and screens know one form of time: UTC with milliseconds and `Z`.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in milliseconds since 1970-01-01 UTC. It always has a text form, and no two are so far apart that their
/// distance overflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The first and last moment that `jiff` can write from milliseconds.
const FIRST_MILLIS: i64 = -377_705_023_201_000;
const LAST_MILLIS: i64 = 253_402_207_200_000;

impl Timestamp {
    /// The moment `millis` milliseconds after 1970-01-01 UTC. Numbers come from rollouts and other programs: one
    /// beyond the years -9999 to 9999 gives the first or last moment in them.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < FIRST_MILLIS {
            Self(FIRST_MILLIS)
        } else if millis > LAST_MILLIS {
            Self(LAST_MILLIS)
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds from `self` until `now`; zero when `self` lies in the future.
    #[must_use]
    pub fn age_seconds(self, now: Timestamp) -> i64 {
        ((now.0 - self.0) / 1000).max(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).expect("it lies within the calendar");
        write!(f, "{moment:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads any RFC 3339 time with an offset, at any precision.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|moment| Self::from_millis(moment.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A moment on the two clocks: the wall's, which people read and anybody can set, and the machine's since it was
/// booted, which leases and deadlines go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Wall time.
    pub wall: Timestamp,
    /// Which boot of the machine; a stored uptime means nothing in another one.
    pub boot_id: String,
    /// Milliseconds since that boot, sleep included.
    pub uptime: i64,
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Milliseconds since the machine was booted, sleep included. Never goes back.
    fn uptime_millis(&self) -> i64;

    /// Waits.
    fn sleep(&self, span: Duration) {
        thread::sleep(span);
    }
}

/// Where fresh ids come from.
pub trait Ids: Send + Sync {
    /// A new id, `<prefix>-<uuid>`.
    fn fresh(&self, prefix: &str) -> String;
}

/// The machine's wall clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_millisecond())
    }

    fn uptime_millis(&self) -> i64 {
        // On macOS the monotonic clock goes on while the machine sleeps.
        #[cfg(not(target_os = "linux"))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        #[cfg(target_os = "linux")]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        let since_boot = rustix::time::clock_gettime(CLOCK);
        since_boot.tv_sec * 1_000 + since_boot.tv_nsec / 1_000_000
    }
}

/// Random ids (uuid version 4, as the predecessor wrote them).
#[derive(Debug, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn fresh(&self, prefix: &str) -> String {
        format!("{prefix}-{}", uuid::Uuid::new_v4())
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct FixedClock {
    wall: AtomicI64,
    uptime: AtomicI64,
}

impl FixedClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self { wall: AtomicI64::new(start.as_millis()), uptime: AtomicI64::new(3_600_000) }
    }

    /// Lets time pass: both clocks move.
    pub fn advance_millis(&self, millis: i64) {
        self.wall.fetch_add(millis, Ordering::SeqCst);
        self.uptime.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the wall clock, as an operator or a time server does: no time passes.
    pub fn set_wall(&self, now: Timestamp) {
        self.wall.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
    }

    fn uptime_millis(&self) -> i64 {
        self.uptime.load(Ordering::SeqCst)
    }

    /// Waits, so that others get on, and takes the time to have passed since the boot. The wall clock stands still.
    fn sleep(&self, span: Duration) {
        thread::sleep(span);
        self.uptime.fetch_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

/// Ids that count: `task-00000000-0000-4000-8000-000000000001` and so on.
#[derive(Debug, Default)]
pub struct CountedIds(AtomicU64);

impl CountedIds {
    /// Ids whose first number is `first + 1`, so that two processes of one test do not collide.
    #[must_use]
    pub fn after(first: u64) -> Self {
        Self(AtomicU64::new(first))
    }
}

impl Ids for CountedIds {
    fn fresh(&self, prefix: &str) -> String {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        format!("{prefix}-00000000-0000-4000-8000-{number:012}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_has_milliseconds_and_z() {
        let moment: Timestamp = "2026-11-21T02:14:16.5+01:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-21T01:14:16.500Z");
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_the_last_one_on_it() {
        let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        assert_eq!(first.to_string(), "-009999-01-02T01:59:59.000Z");
        assert_eq!(last.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!([first.to_string().parse(), last.to_string().parse()].map(Result::ok), [Some(first), Some(last)]);
        assert_eq!("9999-12-30T22:00:00.999Z".parse().ok(), Some(last));
        assert_eq!(first.age_seconds(last), 631_107_230_401);
    }

    #[test]
    fn age_is_never_negative() {
        let now = Timestamp::from_millis(10_000);
        assert_eq!(Timestamp::from_millis(4_001).age_seconds(now), 5);
        assert_eq!(Timestamp::from_millis(20_000).age_seconds(now), 0);
    }
}
