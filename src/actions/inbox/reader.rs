//! One reading of an inbox: what is listed, handed out or taken, and waiting for it.
//!
//! Whoever waits holds no transaction: it asks SQLite's change counter at short intervals and looks only when
//! somebody has committed, when a hand-out has run out, or when the worker's rollout has grown.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    super::{
        Context,
        caller::{self, Origin},
        lookup,
        supervise::blind,
    },
    ItemView, News, check_caller,
    listing::WaitArgs,
    reads,
    report::{InboxReport, SessionBrief, TaskBrief, WaitBrief},
    settle::{self, By, Confirmed},
};
use crate::{
    base::{Kind, Moment, Result},
    model::{
        session::{Role, Session},
        task::{Binding, Task},
    },
    store::{
        ChangeMark, Read, Store, Write,
        inbox::{self, Counts, Inbox, Item, Shelf},
    },
};

/// Dead letters that are shown where nothing else is listed.
const DEAD_SHOWN: u32 = 10;

/// Whose inbox it is.
pub(super) struct Place {
    pub(super) session: Session,
    pub(super) task: Option<(Task, Binding)>,
}

impl Place {
    pub(super) fn of_task(r: Read<'_>, reference: &str, role: Role) -> Result<Self> {
        let task = lookup::task(r, reference)?;
        let binding = lookup::newest_binding(r, &task)?;
        let id = match role {
            Role::Manager => &binding.manager_session_id,
            Role::Worker => &binding.worker_session_id,
        };
        let session = lookup::bound_session(r, id)?;
        Ok(Self { session, task: Some((task, binding)) })
    }

    /// All of the session's inbox. Once the binding has ended the session may work on something else: then only what
    /// belongs to the task.
    fn inbox(&self) -> Inbox<'_> {
        let over = self.task.as_ref().filter(|(_, binding)| !binding.is_in_force());
        Inbox { session_id: &self.session.id, task_id: over.map(|(task, _)| task.id.as_str()) }
    }
}

/// What a reader wants.
pub(super) struct Asked {
    pub(super) take: Take,
    pub(super) wait: WaitArgs,
    pub(super) limit: u32,
    pub(super) history: bool,
    pub(super) revive: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    Nothing,
    Lease { millis: i64 },
    Consume,
}

/// What a reader got, all of one moment.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) taken: Option<Item>,
    pub(super) items: Vec<Item>,
    pub(super) dead: Vec<Item>,
    pub(super) history: Vec<Item>,
    pub(super) counts: Counts,
    pub(super) revived: Vec<i64>,
}

/// What waits for a session, shown beside something else.
#[derive(Debug, Serialize)]
pub struct Mail {
    counts: Counts,
    dead_letters: Vec<ItemView>,
    items: Vec<ItemView>,
}

/// Shows what waits for a session, its texts included, and takes nothing.
pub fn show(cx: &Context, store: &Store, session: &Session, limit: u32) -> Result<Mail> {
    let wait = WaitArgs { wait: false, timeout: 0.0, interval: 1.0 };
    let asked = Asked { take: Take::Nothing, wait, limit, history: false, revive: false };
    let reader = Reader::new(cx, store, Place { session: session.clone(), task: None }, asked)?;
    let contents = reader.contents(/*changes*/ false)?;
    let views = |items: Vec<Item>| items.into_iter().map(ItemView::of).collect();
    Ok(Mail { counts: contents.counts, dead_letters: views(contents.dead), items: views(contents.items) })
}

impl Mail {
    /// The same without the texts, for a record that is kept.
    pub fn in_short(&self) -> serde_json::Value {
        let numbers = |items: &[ItemView]| items.iter().map(ItemView::id).collect::<Vec<_>>();
        serde_json::json!({
            "counts": self.counts,
            "dead_letters": numbers(&self.dead_letters),
            "items": numbers(&self.items),
        })
    }

    /// The head line and the messages; nothing when there are none.
    pub fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if self.counts.waiting > 0 {
            writeln!(out, "waiting for the manager: {}", self.counts.waiting)?;
            self.items.iter().try_for_each(|item| item.human(out))?;
        }
        if self.counts.dead_letters > 0 {
            writeln!(out, "dead letters: {} (`manager-inbox --revive` puts them back)", self.counts.dead_letters)?;
        }
        Ok(())
    }
}

/// One reading of an inbox.
pub(super) struct Reader<'c> {
    cx: &'c Context,
    store: &'c Store,
    place: Place,
    asked: Asked,
    /// Who gave this command.
    caller: Origin,
    boot_id: String,
    news: News,
}

impl<'c> Reader<'c> {
    pub(super) fn new(cx: &'c Context, store: &'c Store, place: Place, asked: Asked) -> Result<Self> {
        let caller = caller::origin(cx, store)?;
        if asked.take != Take::Nothing || asked.revive {
            check_caller(&caller, &place.session)?;
        }
        let news = News::of(&place.session);
        Ok(Self { cx, store, place, asked, caller, boot_id: cx.moment().boot_id, news })
    }

    pub(super) fn read(mut self) -> Result<InboxReport> {
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs_f64(self.asked.wait.timeout);
        let mut looks = 0;
        let contents = loop {
            // Taken before the look, so that a commit between the two is noticed.
            let mut mark = self.store.change_mark().ok();
            let is_last = !self.asked.wait.wait || Instant::now() >= deadline;
            looks += 1;
            let next_expiry = match self.look(is_last) {
                Ok(Looked::Found(contents)) => break *contents,
                Ok(Looked::Nothing { next_expiry }) => next_expiry,
                // Somebody holds the ledger; there is time. What was not seen now is looked for again.
                Err(error) if error.kind() == Kind::Busy && !is_last => {
                    mark = None;
                    None
                }
                Err(error) => return Err(error),
            };
            self.sleep(mark, next_expiry, deadline);
        };
        Ok(self.report(contents, looks, begun.elapsed()))
    }

    /// Looks once. With nothing to be had the answer is given all the same when it is the `last` look.
    fn look(&mut self, last: bool) -> Result<Looked> {
        self.news.take(self.cx, self.store);
        let now = self.now();
        let outlook = self.store.read(|r| inbox::outlook(r, self.place.inbox(), &now))?;
        let found = match self.asked.take {
            Take::Nothing => outlook.any,
            Take::Lease { .. } | Take::Consume => outlook.free,
        };
        if found || last || outlook.worn_out || self.asked.revive {
            let contents = self.contents(outlook.worn_out || (found && self.asked.take != Take::Nothing))?;
            self.asked.revive = false;
            if last || contents.taken.is_some() || (self.asked.take == Take::Nothing && !contents.items.is_empty()) {
                return Ok(Looked::Found(Box::new(contents)));
            }
        }
        Ok(Looked::Nothing { next_expiry: outlook.next_expiry })
    }

    /// Everything that was asked for, in one transaction: what was taken can no longer be lost by a later failure.
    /// Where nothing is to be changed, nobody who writes is waited for.
    fn contents(&self, changes: bool) -> Result<Contents> {
        let mut contents = self.unveiled(changes)?;
        let Contents { taken, items, dead, history, .. } = &mut contents;
        for item in taken.iter_mut().chain(items).chain(dead).chain(history) {
            if let Some(source) = &item.source_session_id
                && let Some(round) = blind::holds_for(self.store, &self.caller, source)?
            {
                round.veil(&mut item.payload);
            }
        }
        Ok(contents)
    }

    fn unveiled(&self, changes: bool) -> Result<Contents> {
        if !changes && !self.asked.revive {
            let contents = self.store.read(|r| self.shelves(r, &self.now()))?;
            if contents.items.iter().all(|item| item.read_at.is_some()) || !reads(&self.caller, &self.place.session) {
                return Ok(contents);
            }
        }
        match self.asked.take {
            // What is answered as taken for good must not come again after a power cut, nor get lost.
            Take::Consume => self.store.write_durably(|w| self.change(w)),
            Take::Nothing | Take::Lease { .. } => self.store.write(|w| self.change(w)),
        }
    }

    fn change(&self, w: &Write<'_>) -> Result<Contents> {
        // The transaction may have been waited for.
        let now = self.now();
        let inbox = self.place.inbox();
        let by = By::of(self.cx, &self.caller);
        let revived = if self.asked.revive { settle::revive(w, inbox, &by, &now)? } else { Vec::new() };
        settle::give_up(w, inbox, &now)?;
        let token = || self.cx.fresh_id("receipt");
        let taken = match self.asked.take {
            Take::Nothing => None,
            Take::Lease { millis } => inbox::lease_next(w, inbox, &token(), millis, &now)?,
            Take::Consume => match inbox::lease_next(w, inbox, &token(), 0, &now)? {
                Some(item) => {
                    settle::confirm(w, &item, Confirmed::Consumed, &by, now.wall)?;
                    inbox::by_id(w.read(), item.id, &now)?
                }
                None => None,
            },
        };
        let mut contents = Contents { taken, revived, ..self.shelves(w.read(), &now)? };
        if let Some(taken) = &contents.taken {
            contents.items.retain(|item| item.id != taken.id);
        }
        if reads(&self.caller, &self.place.session) {
            let unread: Vec<i64> =
                contents.items.iter().filter(|item| item.read_at.is_none()).map(|item| item.id).collect();
            inbox::mark_read(w, &unread, now.wall)?;
            for item in contents.items.iter_mut().filter(|item| unread.contains(&item.id)) {
                item.read_at = Some(now.wall);
            }
            contents.counts = inbox::count(w.read(), inbox, &now)?;
        }
        Ok(contents)
    }

    /// Everything that is shown, as it lies there.
    fn shelves(&self, r: Read<'_>, now: &Moment) -> Result<Contents> {
        let (inbox, limit) = (self.place.inbox(), self.asked.limit);
        let shelf = |shelf, limit| inbox::list(r, inbox, shelf, limit, now);
        let items = if self.asked.history { Vec::new() } else { shelf(Shelf::Waiting, limit)? };
        Ok(Contents {
            taken: None,
            items,
            dead: shelf(Shelf::Dead, if limit == 0 { DEAD_SHOWN } else { limit })?,
            history: if self.asked.history { shelf(Shelf::Consumed, limit)? } else { Vec::new() },
            counts: inbox::count(r, inbox, now)?,
            revived: Vec::new(),
        })
    }

    fn now(&self) -> Moment {
        let clock = self.cx.clock();
        Moment { wall: clock.now(), boot_id: self.boot_id.clone(), uptime: clock.uptime_millis() }
    }

    /// Sleeps until there may be something new, or the time is over.
    fn sleep(&self, mark: Option<ChangeMark>, next_expiry: Option<i64>, deadline: Instant) {
        let interval = Duration::from_secs_f64(self.asked.wait.interval);
        let clock = self.cx.clock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(interval.min(left));
            // A mark that cannot be had is news: the look will say why.
            let changed = self.store.change_mark().ok() != mark || mark.is_none();
            let runs_out = next_expiry.is_some_and(|at| clock.uptime_millis() >= at);
            if changed || runs_out || self.news.are_there() {
                return;
            }
        }
    }

    fn report(self, contents: Contents, looks: u64, waited: Duration) -> InboxReport {
        let views = |items: Vec<Item>| items.into_iter().map(ItemView::of).collect::<Vec<_>>();
        let found = contents.taken.is_some() || (self.asked.take == Take::Nothing && !contents.items.is_empty());
        let wait = &self.asked.wait;
        let waited = if wait.wait { waited } else { Duration::ZERO };
        let (consumed, received) = match self.asked.take {
            Take::Consume => (contents.taken, None),
            Take::Nothing | Take::Lease { .. } => (None, contents.taken),
        };
        let Place { session, task } = self.place;
        InboxReport {
            consumed: consumed.map(ItemView::of),
            counts: contents.counts,
            dead_letters: views(contents.dead),
            dry_run: self.cx.dry_run(),
            history: self.asked.history.then(|| views(contents.history)),
            ingest_error: self.news.error().map(str::to_owned),
            items: views(contents.items),
            received: received.map(ItemView::held),
            revived: contents.revived,
            session: SessionBrief { id: session.id, name: session.name, role: session.role },
            task: task.map(|(task, binding)| TaskBrief {
                binding_id: binding.id,
                binding_state: binding.state,
                id: task.id,
                name: task.name,
            }),
            wait: WaitBrief {
                elapsed_seconds: (waited.as_secs_f64() * 1_000.0).round() / 1_000.0,
                enabled: wait.wait,
                interval_seconds: wait.interval,
                poll_count: looks,
                timed_out: wait.wait && !found,
                timeout_seconds: wait.timeout,
            },
        }
    }
}

enum Looked {
    Found(Box<Contents>),
    Nothing { next_expiry: Option<i64> },
}
