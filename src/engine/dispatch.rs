//! Delivers and routes in the background: a pass whenever the ledger changes, and one in every interval.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Parts, Trouble, blocking};
use crate::{
    actions::{Context, DispatchItem, Dispatcher},
    base::{Kind, Result},
};

/// How long the ledger of a dispatcher may be missing. Whoever puts another one in its place needs less.
const GONE: Duration = Duration::from_secs(10);

/// Name of the task.
pub(super) const TASK: &str = "dispatch";

/// How a dispatcher is hosted.
pub struct Dispatching {
    /// The dispatcher, on record already; none makes one for everything as soon as there is a ledger.
    pub dispatcher: Option<Dispatcher>,
    /// The id of the one that is made; none is a fresh one.
    pub id: Option<String>,
    /// Between passes when nothing else wakes it.
    pub interval: Duration,
    /// Ends after so many passes; none goes on until it is asked to end.
    pub passes: Option<u64>,
    /// Hears of every item as soon as it is committed.
    pub tell: Box<dyn FnMut(DispatchItem) + Send>,
    /// Cancelled by the task when it has ended by itself.
    pub over: CancellationToken,
}

impl Dispatching {
    /// One dispatcher for everything, as the cockpit hosts it.
    #[must_use]
    pub fn hosted() -> Self {
        Self {
            dispatcher: None,
            id: None,
            interval: Duration::from_secs(2),
            passes: None,
            tell: Box::new(drop),
            over: CancellationToken::new(),
        }
    }

    /// One pass; true when the dispatcher was asked to end.
    fn pass(&mut self, cx: &Context, go_on: &dyn Fn() -> bool) -> Result<bool> {
        let dispatcher = match &mut self.dispatcher {
            Some(dispatcher) => dispatcher,
            none => match Dispatcher::hosted_as(cx, self.id.as_deref()) {
                Ok(dispatcher) => none.insert(dispatcher),
                // Nothing can wait for delivery before there is a ledger.
                Err(error) if error.kind() == Kind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        dispatcher.pass(&mut self.tell, go_on)
    }
}

pub(super) async fn run(parts: Parts, mut dispatching: Dispatching) {
    let mut trouble = Trouble::new(TASK);
    let mut tick = interval(dispatching.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut changed = parts.changed.subscribe();
    let mut passes = 0;
    // The cockpit waits for a ledger to come; a dispatcher on record has lost its own.
    let is_on_record = dispatching.dispatcher.is_some();
    let mut gone_since = None;
    loop {
        tokio::select! {
            () = parts.stop.cancelled() => break,
            Ok(()) = changed.changed() => {}
            _ = tick.tick() => {}
        }
        let id = dispatching.dispatcher.as_ref().map(|dispatcher| dispatcher.id().to_owned());
        let (cx, stop) = (parts.cx.clone(), parts.stop.clone());
        let step = blocking(move || {
            let passed = dispatching.pass(&cx, &|| !stop.is_cancelled());
            (dispatching, passed)
        });
        let passed = match step.await {
            Ok((back, passed)) => {
                dispatching = back;
                passed
            }
            Err(error) => {
                // The step panicked and took the dispatcher with it. Its process lives on: without a word nobody would
                // look after what it left.
                trouble.update(&parts, Some(error));
                if let Some(id) = id {
                    let cx = parts.cx.clone();
                    let _ = blocking(move || Dispatcher::bury(&cx, &id)).await;
                }
                return;
            }
        };
        passes += 1;
        let asked = *passed.as_ref().unwrap_or(&false);
        let is_gone = is_on_record && passed.as_ref().is_err_and(|error| error.kind() == Kind::NotFound);
        gone_since = is_gone.then(|| gone_since.unwrap_or_else(Instant::now));
        trouble.update(&parts, passed.err().map(|error| error.to_string()));
        let is_lost = gone_since.is_some_and(|since| since.elapsed() >= GONE);
        if asked || is_lost || dispatching.passes.is_some_and(|most| passes >= most) {
            break;
        }
    }
    let over = dispatching.over.clone();
    let ended = blocking(move || dispatching.dispatcher.as_ref().map_or(Ok(()), Dispatcher::end)).await;
    let error = ended.and_then(|ended| ended.map_err(|error| error.to_string())).err();
    trouble.update(&parts, error);
    over.cancel();
    parts.stop.cancelled().await;
}
