//! Shutdown as a value: everybody who loops holds one and looks at it.

use tokio::sync::watch;

/// Tells whoever holds it that the program is to end.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The other end: begins the shutdown.
#[derive(Clone, Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Shutdown {
    /// A shutdown that has not begun, and what begins it.
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it begins; for ever, if nobody is left who could begin it.
    pub async fn begun(&mut self) {
        if self.0.wait_for(|begun| *begun).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// A shutdown that begins with SIGTERM, Ctrl-C or the trigger; a second signal ends the process at once, with 130.
    ///
    /// # Errors
    /// When the signals cannot be listened for.
    pub fn on_signals() -> std::io::Result<(Trigger, Self)> {
        use tokio::signal::unix::{SignalKind, signal};

        let (trigger, shutdown) = Self::new();
        let on_signal = trigger.clone();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = interrupt.recv() => "SIGINT",
                    _ = terminate.recv() => "SIGTERM",
                };
                if *on_signal.0.borrow() {
                    tracing::warn!("a second {name}: ending at once");
                    std::process::exit(130);
                }
                tracing::info!("{name}: no new jobs; attempts may finish, a second signal ends at once");
                on_signal.begin();
            }
        });
        Ok((trigger, shutdown))
    }
}

impl Trigger {
    /// Begins the shutdown.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}
