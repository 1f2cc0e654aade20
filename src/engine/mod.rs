//! Background tasks: tail rollouts, look at panes and processes, notice changes of the ledger, dispatch.
//!
//! Tokio lives from here up. Each task selects, handles, responds; the blocking part of a step runs on the
//! blocking pool and is never cut off half-way: tasks look for the end between steps.

mod changes;
mod dispatch;
mod observe;
mod signals;
mod tail;

use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use dispatch::Dispatching;
pub use signals::Signals;

use crate::actions::{Context, DispatchItem, Dispatcher};

/// How long [`Engine::stop`] waits for the tasks.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Something worth telling whoever looks at the screen now; losing one is harmless, the ledger has the fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A task could not do its work; the text says why. It goes on trying.
    Trouble {
        /// The task.
        task: &'static str,
        /// Why.
        message: String,
    },
    /// The trouble of this task is over.
    Recovered {
        /// The task.
        task: &'static str,
    },
    /// Another file lies at the ledger's path; it is the ledger from now on.
    Replaced {
        /// The task that noticed it.
        task: &'static str,
    },
    /// A task ended by itself, which is a fault in this program.
    Died {
        /// The task.
        task: &'static str,
    },
}

/// The running tasks.
pub struct Engine {
    parts: Parts,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    changed: watch::Receiver<u64>,
    notices: Option<mpsc::Receiver<Notice>>,
}

/// What every task gets.
#[derive(Clone)]
struct Parts {
    cx: Context,
    stop: CancellationToken,
    changed: watch::Sender<u64>,
    notices: mpsc::Sender<Notice>,
}

impl Parts {
    /// Says that the ledger has changed. Coalesces by nature: the number carries nothing.
    fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Reports trouble once when it begins and once when it ends.
struct Trouble {
    task: &'static str,
    current: Option<String>,
}

impl Trouble {
    fn new(task: &'static str) -> Self {
        Self { task, current: None }
    }

    fn update(&mut self, parts: &Parts, error: Option<String>) {
        if self.current == error {
            return;
        }
        let task = self.task;
        let notice = match &error {
            Some(message) => Notice::Trouble { task, message: message.clone() },
            None => Notice::Recovered { task },
        };
        // A full channel means that nobody reads; the fact is in the ledger too.
        let _ = parts.notices.try_send(notice);
        self.current = error;
    }
}

impl Engine {
    /// Starts the tasks on `runtime`; without `dispatching` this process only watches.
    #[must_use]
    pub fn start(cx: &Context, runtime: &Handle, dispatching: Option<Dispatching>) -> Self {
        let mut engine = Self::dispatch_only(cx, runtime, dispatching);
        let parts = engine.parts.clone();
        engine.tasks.push(("observe", spawn("observe", &parts, runtime, observe::run(parts.clone()))));
        engine
    }

    /// The same without looking at panes and processes.
    fn dispatch_only(cx: &Context, runtime: &Handle, dispatching: Option<Dispatching>) -> Self {
        let (changed, changes) = watch::channel(0);
        let (notices, notice_queue) = mpsc::channel(64);
        let parts = Parts { cx: cx.clone(), stop: CancellationToken::new(), changed, notices };
        let mut tasks = vec![
            ("changes", spawn("changes", &parts, runtime, changes::run(parts.clone()))),
            ("tail", spawn("tail", &parts, runtime, tail::run(parts.clone()))),
        ];
        if let Some(dispatching) = dispatching {
            let task = spawn(dispatch::TASK, &parts, runtime, dispatch::run(parts.clone(), dispatching));
            tasks.push((dispatch::TASK, task));
        }
        Self { parts, tasks, changed: changes, notices: Some(notice_queue) }
    }

    /// Moves whenever the ledger may have changed, by this process or another.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Transient facts for the screen; the first caller gets them.
    pub fn notices(&mut self) -> Option<mpsc::Receiver<Notice>> {
        self.notices.take()
    }

    /// Ends the tasks: each finishes the step it is in. The names of those that did not end in time.
    pub async fn stop(self) -> Vec<&'static str> {
        self.parts.stop.cancel();
        let mut late = Vec::new();
        for (name, task) in self.tasks {
            if timeout(STOP_PATIENCE, task).await.is_err() {
                late.push(name);
            }
        }
        late
    }
}

/// Why [`run_until`] or [`dispatch_until`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// What was waited for has come.
    Over,
    /// The time is up.
    Late,
    /// Somebody asked this process to end.
    Signal,
    /// The dispatcher ended by a fault in this program.
    Died,
}

/// Runs the tasks until `is_over` says so, a signal comes, or `limit` has passed. Blocks; for commands that watch
/// without a screen.
///
/// # Errors
/// When the runtime cannot be built.
pub fn run_until(
    cx: &Context,
    limit: Duration,
    signals: &Signals,
    is_over: impl Fn() -> bool,
) -> std::io::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async {
        let engine = Engine::start(cx, &Handle::current(), None);
        let mut changed = engine.changed();
        let deadline = tokio::time::sleep(limit);
        tokio::pin!(deadline);
        let ended = loop {
            tokio::select! {
                () = &mut deadline => break Ended::Late,
                () = signals.wait() => break Ended::Signal,
                Ok(()) = changed.changed() => {
                    if is_over() {
                        break Ended::Over;
                    }
                }
            }
        };
        engine.stop().await;
        ended
    });
    runtime.shutdown_timeout(STOP_PATIENCE);
    Ok(ended)
}

/// Dispatches until a signal comes, the dispatcher is asked to end, or it has made `passes` passes. Blocks; every item
/// and every trouble is told on this thread as it happens, and an error from there ends it.
///
/// # Errors
/// When the runtime cannot be built, or what `tell` returns.
pub fn dispatch_until(
    cx: &Context,
    dispatcher: Dispatcher,
    interval: Duration,
    passes: Option<u64>,
    signals: &Signals,
    tell: &mut dyn FnMut(Told) -> std::io::Result<()>,
) -> std::io::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(async {
        let (send, mut items) = mpsc::unbounded_channel();
        let over = CancellationToken::new();
        let dispatching = Dispatching {
            dispatcher: Some(dispatcher),
            id: None,
            interval,
            passes,
            tell: Box::new(move |item| {
                // Nobody listens any more: what was done stands in the ledger.
                let _ = send.send(item);
            }),
            over: over.clone(),
        };
        let mut engine = Engine::dispatch_only(cx, &Handle::current(), Some(dispatching));
        let mut notices = engine.notices();
        let ended = loop {
            let told = tokio::select! {
                // What is committed is told before anything else.
                biased;
                Some(item) = items.recv() => tell(Told::Item(Box::new(item))),
                Some(notice) = next(&mut notices) => {
                    let died = matches!(notice, Notice::Died { task: dispatch::TASK });
                    let told = tell(Told::Notice(notice));
                    if died {
                        break told.map(|()| Ended::Died);
                    }
                    told
                }
                () = over.cancelled() => break Ok(Ended::Over),
                () = signals.wait() => break Ok(Ended::Signal),
            };
            if let Err(error) = told {
                break Err(error);
            }
        };
        engine.stop().await;
        while let Ok(item) = items.try_recv() {
            tell(Told::Item(Box::new(item)))?;
        }
        ended
    });
    runtime.shutdown_timeout(STOP_PATIENCE);
    ended
}

async fn next(notices: &mut Option<mpsc::Receiver<Notice>>) -> Option<Notice> {
    match notices {
        Some(notices) => notices.recv().await,
        None => None,
    }
}

/// What [`dispatch_until`] tells.
pub enum Told {
    /// Something was moved.
    Item(Box<DispatchItem>),
    /// A task has trouble, or no longer.
    Notice(Notice),
}

fn spawn(
    name: &'static str,
    parts: &Parts,
    runtime: &Handle,
    task: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    let (stop, notices) = (parts.stop.clone(), parts.notices.clone());
    let inner = runtime.spawn(task);
    runtime.spawn(async move {
        let result = inner.await;
        if result.is_err() || !stop.is_cancelled() {
            let _ = notices.try_send(Notice::Died { task: name });
        }
    })
}

/// Runs a blocking step. A panic inside it becomes an error text.
async fn blocking<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(step).await.map_err(|error| format!("a background step failed: {error}"))
}
