//! Everything an action may touch: ledger, clock, ids, places, who asks.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use crate::store::audit::Actor;

use crate::{
    base::{Clock, Ids, Moment, Result, Timestamp},
    ports::{
        codex_server::CodexServers,
        env::Env,
        process::Processes,
        tmux::{RealTmux, Tmux, TmuxServer},
    },
    store::{Access, Opening, Safety, Store},
};

/// Hands out tmux servers by their socket; none is the server of the environment.
pub trait TmuxServers: Send + Sync {
    /// The server behind this socket.
    fn at(&self, socket: Option<&str>) -> Arc<dyn Tmux>;

    /// The same for whoever has others to serve: it gives up sooner.
    fn quick(&self, socket: Option<&str>) -> Arc<dyn Tmux> {
        self.at(socket)
    }
}

/// How long a call may take for which others wait.
const QUICK: Duration = Duration::from_secs(2);

/// The installed tmux.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstalledTmux;

impl TmuxServers for InstalledTmux {
    fn at(&self, socket: Option<&str>) -> Arc<dyn Tmux> {
        Arc::new(RealTmux::new(address(socket)))
    }

    fn quick(&self, socket: Option<&str>) -> Arc<dyn Tmux> {
        Arc::new(RealTmux::new(address(socket)).with_limit(QUICK))
    }
}

fn address(socket: Option<&str>) -> TmuxServer {
    socket.map_or(TmuxServer::Default, |path| TmuxServer::Socket(path.to_owned()))
}

/// What a [`Context`] is made of.
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Places and settings.
    pub env: Env,
    /// tmux.
    pub tmux: Arc<dyn TmuxServers>,
    /// Codex's background servers.
    pub servers: Arc<dyn CodexServers>,
    /// The process table.
    pub processes: Arc<dyn Processes>,
    /// Who asks.
    pub actor: Actor,
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// Whether the ledger may lie on an unsafe file system.
    pub safety: Safety,
}

/// The world as an action sees it. Cheap to clone; the ledger is opened when first needed.
#[derive(Clone)]
pub struct Context {
    parts: Arc<Parts>,
    ledger: Arc<Ledger>,
    /// Says whether somebody wants it to end.
    interrupted: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

#[derive(Default)]
struct Ledger {
    /// Reads get a connection of their own.
    with_reader: bool,
    store: Mutex<Option<Arc<Store>>>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Store>>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// A context over `parts`, with no ledger open yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), ledger: Arc::default(), interrupted: None }
    }

    /// A context over `parts` whose ledger is `store`.
    #[must_use]
    pub fn with_store(parts: Parts, store: Store) -> Self {
        let context = Self::new(parts);
        *context.ledger.lock() = Some(Arc::new(store));
        context
    }

    /// A context over `parts` whose ledger is shared with others.
    #[cfg(test)]
    pub(crate) fn sharing(parts: Parts, store: &Arc<Store>) -> Self {
        let context = Self::new(parts);
        *context.ledger.lock() = Some(Arc::clone(store));
        context
    }

    /// The same for whoever watches while background tasks write: reads do not wait behind them, and
    /// [`Store::change_mark`] notices the commits of this process. A ledger that is open already stays as it is.
    #[must_use]
    pub fn with_reader(self) -> Self {
        if self.ledger.lock().is_some() {
            return self;
        }
        Self { ledger: Arc::new(Ledger { with_reader: true, ..Ledger::default() }), ..self }
    }

    /// The same for actions that take back what they have begun when `interrupted` says so.
    #[must_use]
    pub fn until(self, interrupted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { interrupted: Some(Arc::new(interrupted)), ..self }
    }

    /// Whether the action is to end, and to take back what it has begun.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted.as_ref().is_some_and(|interrupted| interrupted())
    }

    /// The ledger for looking; it must exist. One that was removed or replaced since it was opened is opened anew.
    ///
    /// # Errors
    /// When there is none, or it cannot be used.
    pub fn ledger(&self) -> Result<Arc<Store>> {
        self.open(Access::Read)
    }

    /// The ledger for changing something that is already in it.
    ///
    /// # Errors
    /// As [`Context::ledger`].
    pub fn ledger_to_change(&self) -> Result<Arc<Store>> {
        self.open(Access::Write)
    }

    /// The ledger for adding the first thing: created when there is none.
    ///
    /// # Errors
    /// When it cannot be created or used. A dry run never creates one.
    pub fn ledger_or_create(&self) -> Result<Arc<Store>> {
        self.open(Access::Create)
    }

    fn open(&self, access: Access) -> Result<Arc<Store>> {
        let mut open = self.ledger.lock();
        if let Some(store) = open.as_ref().filter(|store| store.is_in_place()) {
            return Ok(Arc::clone(store));
        }
        // SQLite would go on reading and writing a file that nobody else can see.
        *open = None;
        let path = &self.parts.env.ledger;
        let dry_run = self.parts.dry_run;
        // A rehearsal neither creates nor upgrades anything.
        let blank = || fs::metadata(path).map_or(true, |metadata| metadata.is_file() && metadata.len() == 0);
        let store = if dry_run && access == Access::Create && blank() {
            Store::memory()?
        } else {
            let access = if dry_run { Access::Rehearse } else { access };
            let opening = Opening { access, safety: self.parts.safety, now: self.now() };
            let store = Store::open(path, opening)?;
            if self.ledger.with_reader { store.with_reader(opening)? } else { store }
        };
        let store = Arc::new(if dry_run { store.rehearse() } else { store });
        Ok(Arc::clone(open.insert(store)))
    }

    /// Whether the ledger may lie on an unsafe file system.
    #[must_use]
    pub fn safety(&self) -> Safety {
        self.parts.safety
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// The present moment on both clocks.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let clock = &self.parts.clock;
        Moment { wall: clock.now(), boot_id: self.parts.processes.boot_id(), uptime: clock.uptime_millis() }
    }

    /// The clock itself, for whoever needs the time between actions.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.parts.clock)
    }

    /// A fresh id, `<prefix>-<uuid>`.
    #[must_use]
    pub fn fresh_id(&self, prefix: &str) -> String {
        self.parts.ids.fresh(prefix)
    }

    /// Places and settings.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.parts.env
    }

    /// The tmux server behind this socket; none is the server of the environment.
    #[must_use]
    pub fn tmux(&self, socket: Option<&str>) -> Arc<dyn Tmux> {
        self.parts.tmux.at(socket)
    }

    /// As [`Self::tmux`], for whoever has others to serve: it gives up sooner.
    #[must_use]
    pub fn quick_tmux(&self, socket: Option<&str>) -> Arc<dyn Tmux> {
        self.parts.tmux.quick(socket)
    }

    /// Codex's background servers.
    #[must_use]
    pub fn servers(&self) -> &dyn CodexServers {
        &*self.parts.servers
    }

    /// The process table.
    #[must_use]
    pub fn processes(&self) -> &dyn Processes {
        &*self.parts.processes
    }

    /// Who asks.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.parts.actor
    }

    /// Whether nothing may be changed.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.parts.dry_run
    }
}
