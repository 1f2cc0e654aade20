//! Looks at panes, processes and Codex's server once a second.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Parts, Trouble, blocking};
use crate::{
    actions::live::{self, Observer},
    base::Kind,
};

const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(parts: Parts) {
    let mut trouble = Trouble::new("observe");
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut observer = Some(Observer::default());
    loop {
        tokio::select! {
            () = parts.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let (cx, stop) = (parts.cx.clone(), parts.stop.clone());
        let mut seeing = observer.take().unwrap_or_default();
        let step = blocking(move || {
            let result = live::observe(&cx, &mut seeing, &|| !stop.is_cancelled());
            (seeing, result)
        });
        match step.await {
            Ok((seeing, result)) => {
                observer = Some(seeing);
                match result {
                    Ok(round) => {
                        trouble.update(&parts, round.trouble());
                        if round.news {
                            parts.announce();
                        }
                    }
                    // Who shows the board says so; a moment after the first ledger has come it would be untrue.
                    Err(error) if error.kind() == Kind::NotFound => trouble.update(&parts, None),
                    Err(error) => trouble.update(&parts, Some(error.to_string())),
                }
            }
            Err(error) => trouble.update(&parts, Some(error)),
        }
    }
}
