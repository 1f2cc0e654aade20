//! Notices commits of any process by `PRAGMA data_version`, which costs some microseconds.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Notice, Parts, Trouble, blocking};
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
                let before = last.replace(mark);
                if before.is_some_and(|before| mark.is_of_another_file(before)) {
                    // A full channel means that nobody reads.
                    let _ = parts.notices.try_send(Notice::Replaced { task: "changes" });
                }
                if before != Some(mark) {
                    parts.announce();
                }
            }
            Ok(Err(error)) => trouble.update(&parts, Some(error.to_string())),
            Err(error) => trouble.update(&parts, Some(error)),
        }
    }
}
