//! `ack`: confirm a message that was received, or give it back.

use std::fmt;

use serde::Serialize;

use super::{
    super::{Action, Argv, Context, Format, Outcome, caller, lookup},
    ItemView, check_caller,
    settle::{self, By, Confirmed},
};
use crate::{
    base::{Error, Moment, Result, text},
    model::delivery::ItemState,
    store::{
        Read,
        inbox::{self, Item},
    },
};

/// Confirm a message that was received, or give it back
///
/// The token is the one that `receive` printed. A confirmed message is never handed out again, and the command behind
/// it is done. Confirming twice is no failure. A token is good until the message is handed out again, also after its
/// time is over; then `late` is true. `--release` gives the message back at once: it is handed out again, and this
/// token is void.
///
/// Example: `conveyor ack receipt-0d7c0b5e-8a53-4a5f-9d0c-1f6c2b7a9e11-7`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Ack {
    /// Token of the message
    #[arg(value_name = "TOKEN")]
    pub token: String,
    /// Give it back unread, for the next reader
    #[arg(long)]
    pub release: bool,
}

/// What became of the message.
#[derive(Debug, Serialize)]
pub struct Acked {
    /// It was confirmed before, with the same token.
    already: bool,
    dry_run: bool,
    /// The hand-out was over, but nobody else had got it.
    late: bool,
    notification: ItemView,
    released: bool,
}

impl Action for Ack {
    const NAME: &'static str = "ack";
    const FORMAT: Format = Format::Json;
    type Output = Acked;

    fn run(self, cx: &Context) -> Result<Acked> {
        let store = cx.ledger_to_change()?;
        let caller = caller::origin(cx, &store)?;
        store.write_durably(|w| {
            let now = cx.moment();
            let Some(item) = inbox::by_token(w.read(), &self.token, &now)? else {
                return Err(void(w.read(), &self.token, &now)?);
            };
            check_caller(&caller, &lookup::bound_session(w.read(), &item.target_session_id)?)?;
            if item.state == ItemState::Failed {
                return Err(Error::refused(format!(
                    "message {} was given up: {}",
                    item.id,
                    item.error.as_deref().unwrap_or("it was never confirmed")
                ))
                .hint(format!("`conveyor session-inbox {} --revive` puts it back", item.target_session_name)));
            }
            let (already, late) = (item.consumed_at.is_some(), !item.is_leased && item.consumed_at.is_none());
            if self.release && already {
                return Err(Error::refused(format!("message {} is confirmed already", item.id))
                    .hint("what is confirmed is not handed out again"));
            }
            if self.release {
                inbox::give_back(w, &item)?;
            } else if !already {
                settle::confirm(w, &item, Confirmed::Acked, &By::of(cx, &caller), now.wall)?;
            }
            let item = inbox::by_id(w.read(), item.id, &now)?.unwrap_or(item);
            Ok(Acked { already, dry_run: cx.dry_run(), late, notification: ItemView::of(item), released: self.release })
        })
    }

    fn argv(&self) -> Argv {
        let Self { token, release } = self;
        Argv::new(Self::NAME).switch("--release", *release).end_of_options().word(token)
    }
}

/// Why a token is worth nothing. Its end is the number of its message.
fn void(r: Read<'_>, token: &str, now: &Moment) -> Result<Error> {
    let shown = text::bounded(token, 80);
    let number = token.strip_prefix("receipt-").and_then(|rest| rest.rsplit_once('-')?.1.parse::<i64>().ok());
    let item = match number {
        Some(number) => inbox::by_id(r, number, now)?,
        None => None,
    };
    Ok(match item {
        Some(item) if item.delivery_count > 0 => overtaken(&item, &shown),
        _ => Error::not_found(format!("no message was handed out with the token \"{shown}\""))
            .hint("`conveyor receive SESSION` hands one out and prints its token"),
    })
}

fn overtaken(item: &Item, shown: &str) -> Error {
    let what = match (item.consumed_at, &item.lease_token) {
        (Some(_), _) => "was confirmed by somebody else",
        (None, None) => "was given back",
        (None, Some(_)) => "was handed out again",
    };
    Error::refused(format!("the token \"{shown}\" is void: message {} {what} since", item.id))
        .hint(format!("`conveyor receive {}` hands out what still waits", item.target_session_name))
}

impl Outcome for Acked {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let id = self.notification.id();
        let verb = match (self.dry_run, self.released) {
            (false, false) => "confirmed",
            (false, true) => "gave back",
            (true, false) => "would confirm",
            (true, true) => "would give back",
        };
        let note = match (self.already, self.late) {
            (true, _) => " (it was before)",
            (_, true) => " (late, but nobody else had it)",
            _ => "",
        };
        writeln!(out, "{verb} message {id}{note}")
    }
}
