//! `session-inbox`, `manager-inbox`, `worker-inbox`, `receive`: list, wait for, or take what lies in an inbox.
//!
//! Whoever waits holds no transaction: it asks SQLite's change counter at short intervals and looks only when
//! somebody has committed, when a hand-out has run out, or when the worker's rollout has grown.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    super::{Action, Argv, Context, Format, Outcome, caller, lookup},
    ItemView, News, actor, check_caller,
    settle::{self, Confirmed},
};
use crate::{
    base::{Kind, Moment, Result},
    model::{
        session::{Role, Session},
        task::{Binding, BindingState, Task},
    },
    store::{
        ChangeMark, Read, Store, Write,
        inbox::{self, Counts, Inbox, Item, Shelf},
    },
};

/// The longest hand-out, in seconds.
const MAX_VISIBILITY: i64 = 12 * 60 * 60;
/// The longest wait, in seconds.
const MAX_WAIT: f64 = 7.0 * 24.0 * 60.0 * 60.0;

/// Dead letters that are shown where nothing else is listed.
const DEAD_SHOWN: u32 = 10;

/// How long is waited, and how often is looked.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct WaitArgs {
    /// Wait until there is a message
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = timeout)]
    pub timeout: f64,
    /// How often to ask whether the ledger has changed
    #[arg(long, value_name = "SECONDS", default_value_t = 0.1, value_parser = interval)]
    pub interval: f64,
}

impl WaitArgs {
    fn argv(&self, argv: Argv) -> Argv {
        let Self { wait, timeout, interval } = self;
        argv.switch("--wait", *wait).option("--timeout", Some(timeout)).option("--interval", Some(interval))
    }
}

fn timeout(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a non-negative number".to_owned())?;
    match seconds {
        seconds if !seconds.is_finite() || seconds < 0.0 => Err("it must be a non-negative number".to_owned()),
        seconds if seconds > MAX_WAIT => Err("it must not be more than a week".to_owned()),
        seconds => Ok(seconds),
    }
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number above zero".to_owned())?;
    match seconds {
        seconds if !seconds.is_finite() || seconds <= 0.0 => Err("it must be above zero".to_owned()),
        seconds if seconds > MAX_WAIT => Err("it must not be more than a week".to_owned()),
        seconds => Ok(seconds),
    }
}

/// What the inbox commands take beside the name.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct InboxArgs {
    /// Take the oldest message for good; a reader that dies before it has read the answer loses it
    #[arg(long, conflicts_with_all = ["receive", "consumed"])]
    pub consume_next: bool,
    /// Be handed the oldest message with a token, to be confirmed with `ack`; it comes again otherwise
    #[arg(long, conflicts_with = "consumed")]
    pub receive: bool,
    /// With --receive: how long nobody else gets it
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "receive",
        value_parser = clap::value_parser!(i64).range(1..=MAX_VISIBILITY))]
    pub visibility: i64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub wait: WaitArgs,
    /// How many messages to list at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: u32,
    /// List the messages that were confirmed, the last ones
    #[arg(long, conflicts_with = "wait")]
    pub consumed: bool,
    /// First put back what was given up, as if it had never been handed out
    #[arg(long)]
    pub revive: bool,
}

impl InboxArgs {
    fn argv(&self, name: &str, place: &str) -> Argv {
        let Self { consume_next, receive, visibility, wait, limit, consumed, revive } = self;
        wait.argv(Argv::new(name).switch("--consume-next", *consume_next).switch("--receive", *receive))
            .option("--visibility", receive.then_some(visibility))
            .option("--limit", Some(limit))
            .switch("--consumed", *consumed)
            .switch("--revive", *revive)
            .end_of_options()
            .word(place)
    }

    fn asked(self) -> Asked {
        let take = match (self.consume_next, self.receive) {
            (true, _) => Take::Consume,
            (false, true) => Take::Lease { millis: self.visibility.saturating_mul(1_000) },
            (false, false) => Take::Nothing,
        };
        // Nothing at all cannot be asked for: the answer would say nothing.
        Asked { take, wait: self.wait, limit: self.limit.max(1), history: self.consumed, revive: self.revive }
    }
}

/// Show or take the messages that wait for a session
///
/// Lists them, the oldest first. `--receive` hands the oldest one out with a token and keeps it from others for
/// `--visibility` seconds; `ack` confirms it, and without that it comes again. After ten hand-outs it is given up: a
/// dead letter, listed until `--revive`, and an exit code of 1 whenever no message was taken. `--consume-next` takes
/// and confirms in one step: at most once.
///
/// Before a manager's inbox is looked at, what its worker has done since is taken from the rollout.
///
/// Example: `conveyor session-inbox m1 --receive --wait --timeout 60`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct SessionInbox {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: InboxArgs,
}

/// Show or take the messages that wait for a task's manager
///
/// As `session-inbox`, for the manager of the task's binding. When the binding has ended, what is left of the task's
/// own messages can still be read.
///
/// Example: `conveyor manager-inbox parser --receive --wait --timeout 60`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ManagerInbox {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: InboxArgs,
}

/// Show or take the messages that wait for a task's worker
///
/// As `session-inbox`, for the worker of the task's binding. When the binding has ended, what is left of the task's
/// own messages can still be read.
///
/// Example: `conveyor worker-inbox parser --receive --wait --timeout 60`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct WorkerInbox {
    /// Task name or id
    #[arg(value_name = "TASK")]
    pub task: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub args: InboxArgs,
}

/// Take the next message for a session, to be confirmed with `ack`
///
/// The short form of `session-inbox --receive`, without the list of what else waits. The token proves that you hold
/// the message: `conveyor ack TOKEN` confirms it, `conveyor ack TOKEN --release` gives it back. Without either it is
/// handed out again after `--visibility` seconds.
///
/// Example: `conveyor receive m1 --wait --timeout 60 --json`
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Receive {
    /// Session name
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// How long nobody else gets it
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(i64).range(1..=MAX_VISIBILITY))]
    pub visibility: i64,
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields are the documentation")]
    pub wait: WaitArgs,
}

impl Action for SessionInbox {
    const NAME: &'static str = "session-inbox";
    const FORMAT: Format = Format::Prose;
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        Reader::new(cx, &store, Place { session, task: None }, self.args.asked())?.read()
    }

    fn argv(&self) -> Argv {
        let Self { session, args } = self;
        args.argv(Self::NAME, session)
    }
}

impl Action for ManagerInbox {
    const NAME: &'static str = "manager-inbox";
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let place = store.read(|r| Place::of_task(r, &self.task, Role::Manager))?;
        Reader::new(cx, &store, place, self.args.asked())?.read()
    }

    fn argv(&self) -> Argv {
        let Self { task, args } = self;
        args.argv(Self::NAME, task)
    }
}

impl Action for WorkerInbox {
    const NAME: &'static str = "worker-inbox";
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let place = store.read(|r| Place::of_task(r, &self.task, Role::Worker))?;
        Reader::new(cx, &store, place, self.args.asked())?.read()
    }

    fn argv(&self) -> Argv {
        let Self { task, args } = self;
        args.argv(Self::NAME, task)
    }
}

impl Action for Receive {
    const NAME: &'static str = "receive";
    type Output = InboxReport;

    fn run(self, cx: &Context) -> Result<InboxReport> {
        let store = cx.ledger_to_change()?;
        let session = store.read(|r| lookup::session(r, &self.session))?;
        let take = Take::Lease { millis: self.visibility.saturating_mul(1_000) };
        let asked = Asked { take, wait: self.wait, limit: 0, history: false, revive: false };
        Reader::new(cx, &store, Place { session, task: None }, asked)?.read()
    }

    fn argv(&self) -> Argv {
        let Self { session, visibility, wait } = self;
        wait.argv(Argv::new(Self::NAME).option("--visibility", Some(visibility))).end_of_options().word(session)
    }
}

/// Whose inbox it is.
struct Place {
    session: Session,
    task: Option<(Task, Binding)>,
}

impl Place {
    fn of_task(r: Read<'_>, reference: &str, role: Role) -> Result<Self> {
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
struct Asked {
    take: Take,
    wait: WaitArgs,
    limit: u32,
    history: bool,
    revive: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    Nothing,
    Lease { millis: i64 },
    Consume,
}

/// What a reader got, all of one moment.
#[derive(Default)]
struct Contents {
    taken: Option<Item>,
    items: Vec<Item>,
    dead: Vec<Item>,
    history: Vec<Item>,
    counts: Counts,
    revived: Vec<i64>,
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
struct Reader<'c> {
    cx: &'c Context,
    store: &'c Store,
    place: Place,
    asked: Asked,
    /// The session that this command runs in.
    caller: Option<Session>,
    boot_id: String,
    news: News,
}

impl<'c> Reader<'c> {
    fn new(cx: &'c Context, store: &'c Store, place: Place, asked: Asked) -> Result<Self> {
        let caller = caller::session(cx, store)?;
        if asked.take != Take::Nothing || asked.revive {
            check_caller(caller.as_ref(), &place.session)?;
        }
        let news = News::of(&place.session);
        Ok(Self { cx, store, place, asked, caller, boot_id: cx.moment().boot_id, news })
    }

    fn read(mut self) -> Result<InboxReport> {
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
        if !changes && !self.asked.revive {
            let contents = self.store.read(|r| self.shelves(r, &self.now()))?;
            if contents.items.iter().all(|item| item.read_at.is_some()) || !self.reads_for_itself() {
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
        let actor = actor(self.cx, self.caller.as_ref());
        let revived = if self.asked.revive { settle::revive(w, inbox, actor, &now)? } else { Vec::new() };
        settle::give_up(w, inbox, &now)?;
        let token = || self.cx.fresh_id("receipt");
        let taken = match self.asked.take {
            Take::Nothing => None,
            Take::Lease { millis } => inbox::lease_next(w, inbox, &token(), millis, &now)?,
            Take::Consume => match inbox::lease_next(w, inbox, &token(), 0, &now)? {
                Some(item) => {
                    settle::confirm(w, &item, Confirmed::Consumed, actor, now.wall)?;
                    inbox::by_id(w.read(), item.id, &now)?
                }
                None => None,
            },
        };
        let mut contents = Contents { taken, revived, ..self.shelves(w.read(), &now)? };
        if let Some(taken) = &contents.taken {
            contents.items.retain(|item| item.id != taken.id);
        }
        if self.reads_for_itself() {
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

    /// Whether what is shown counts as read: not when it is another session that looks in.
    fn reads_for_itself(&self) -> bool {
        check_caller(self.caller.as_ref(), &self.place.session).is_ok()
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

/// What an inbox holds, and what was taken from it.
#[derive(Debug, Serialize)]
pub struct InboxReport {
    /// Taken for good.
    consumed: Option<ItemView>,
    counts: Counts,
    dead_letters: Vec<ItemView>,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<ItemView>>,
    /// Why the worker's rollout could not be read before.
    ingest_error: Option<String>,
    /// What waits besides.
    items: Vec<ItemView>,
    /// Handed out, to be confirmed.
    received: Option<ItemView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    revived: Vec<i64>,
    session: SessionBrief,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<TaskBrief>,
    wait: WaitBrief,
}

#[derive(Debug, Serialize)]
struct SessionBrief {
    id: String,
    name: String,
    role: Role,
}

#[derive(Debug, Serialize)]
struct TaskBrief {
    binding_id: String,
    binding_state: BindingState,
    id: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct WaitBrief {
    elapsed_seconds: f64,
    enabled: bool,
    interval_seconds: f64,
    /// How often the inbox was looked at.
    poll_count: u64,
    timed_out: bool,
    timeout_seconds: f64,
}

impl Outcome for InboxReport {
    fn human(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "inbox of {}", self.session.name)?;
        match &self.task {
            Some(task) if task.binding_state == BindingState::Active => writeln!(out, " on {}", task.name)?,
            Some(task) => writeln!(out, " on {} (the binding is over; only what belongs to the task)", task.name)?,
            None => writeln!(out)?,
        }
        if let Some(error) = &self.ingest_error {
            writeln!(out, "the worker's rollout could not be read: {error}")?;
        }
        if !self.revived.is_empty() {
            let all: Vec<String> = self.revived.iter().map(|id| format!("#{id}")).collect();
            writeln!(out, "{}put back: {}", self.would(), all.join(" "))?;
        }
        if let Some(item) = &self.consumed {
            writeln!(out, "{}consumed:", self.would())?;
            item.human(out)?;
        }
        if let Some(item) = &self.received {
            match item.held_until() {
                Some(until) => writeln!(out, "{}received, yours until {until}:", self.would())?,
                None => writeln!(out, "{}received:", self.would())?,
            }
            item.human(out)?;
            writeln!(out, "confirm it: conveyor ack {}", item.token().unwrap_or_default())?;
        }
        let Some(history) = &self.history else { return self.human_waiting(out) };
        writeln!(out, "consumed: {}", none_or(history.len() as u64))?;
        history.iter().try_for_each(|item| item.human(out))?;
        self.human_dead(out)
    }

    fn exit_code(&self) -> u8 {
        u8::from(self.counts.dead_letters > 0 && self.consumed.is_none() && self.received.is_none())
    }
}

impl InboxReport {
    fn would(&self) -> &'static str {
        if self.dry_run { "would be " } else { "" }
    }

    fn human_waiting(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "pending: {}", none_or(self.counts.waiting))?;
        self.items.iter().try_for_each(|item| item.human(out))?;
        self.human_dead(out)
    }

    fn human_dead(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        if self.counts.dead_letters > 0 {
            writeln!(out, "dead letters: {} (--revive puts them back)", self.counts.dead_letters)?;
            self.dead_letters.iter().try_for_each(|item| item.human(out))?;
        }
        Ok(())
    }
}

fn none_or(number: u64) -> String {
    if number == 0 { "none".to_owned() } else { number.to_string() }
}
