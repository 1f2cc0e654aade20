//! A message that its way refuses again and again goes into its target's inbox: a lane hands over only what is proven
//! to have had no effect.

use super::{
    around::{Around, Verdict},
    into_inbox::put_into_inbox,
    pass::{Orders, Paused},
};
use crate::{
    base::{Moment, Result},
    model::delivery::{AttemptState, Command, Phase},
    store::{self, Store, commands::Step},
};

/// Ends a refused try and puts the message into the inbox, all or nothing. What may not be delivered at this moment
/// waits in the queue instead, and the next pass decides.
///
/// # Errors
/// When the ledger fails; the try then stands as it was.
pub(super) fn to_inbox(store: &Store, orders: &Orders, command: &Command, refusal: &str, now: &Moment) -> Result<()> {
    let why = format!("refused {} times, the last time: {refusal}", command.attempts);
    store.write_durably(|w| {
        let step = Step { reason: Some(refusal), ..Step::default() };
        if !store::commands::advance(w, command, Phase::Queued, step, now.wall)? {
            // Somebody else has moved it since, and the try that runs may be theirs.
            return Ok(());
        }
        store::attempts::end(w, &command.id, AttemptState::Abandoned, false, None, Some(refusal), now.wall)?;
        let Some(queued) = store::commands::by_id(w.read(), &command.id)? else { return Ok(()) };
        let around = Around::of(w.read(), &queued)?;
        let is_paused = Paused::of(w.read())?.covers(queued.task_id.as_deref());
        if !is_paused && matches!(around.verdict(&queued), Verdict::Deliver) {
            put_into_inbox(w, orders, &queued, &around, &why, false, now)?;
        }
        Ok(())
    })
}
