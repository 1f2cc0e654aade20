//! Requests to end this process (SIGINT, SIGTERM, SIGHUP), noticed instead of died of, so that what was begun can be
//! cleaned up.

use std::io;

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Listens from its making on. The signals stay harmless for the rest of the process, also when it is dropped.
pub struct Signals {
    raised: watch::Receiver<bool>,
    /// Listens as long as it lives.
    _runtime: Runtime,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system gives no thread or no handler.
    pub fn listen() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (raise, raised) = watch::channel(false);
        let entered = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        drop(entered);
        runtime.spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            let _ = raise.send(true);
            // The handlers stay while their streams do, so a second signal is no surprise to anybody.
            std::future::pending::<()>().await;
        });
        Ok(Self { raised, _runtime: runtime })
    }

    /// Whether one has come.
    #[must_use]
    pub fn raised(&self) -> bool {
        *self.raised.borrow()
    }

    /// Waits until one has come.
    pub async fn wait(&self) {
        if self.raised.clone().wait_for(|raised| *raised).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
