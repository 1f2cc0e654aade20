//! Notices commits of any process by `PRAGMA data_version`, which costs some microseconds.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Parts, Trouble, blocking};
use crate::actions::live;

const INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn run(parts: Parts) {
    let mut trouble = Trouble::new("changes");
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = None;
    loop {
        tokio::select! {
            () = parts.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let cx = parts.cx.clone();
        match blocking(move || live::change_mark(&cx)).await {
            Ok(Ok(mark)) => {
                trouble.update(&parts, None);
                if last.replace(mark) != Some(mark) {
                    parts.announce();
                }
            }
            Ok(Err(error)) => trouble.update(&parts, Some(error.to_string())),
            Err(error) => trouble.update(&parts, Some(error)),
        }
    }
}
