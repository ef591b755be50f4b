//! When the worker has to look after its queues next: the earliest of what it knows.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The instant of the next look.
#[derive(Debug)]
pub struct Agenda {
    next: Mutex<Instant>,
    earlier: Notify,
}

impl Default for Agenda {
    /// The first look is now.
    fn default() -> Self {
        Self { next: Mutex::new(Instant::now()), earlier: Notify::new() }
    }
}

impl Agenda {
    /// Whether it is time to look.
    pub fn is_due(&self) -> bool {
        *self.lock() <= Instant::now()
    }

    /// How long until it is time to look.
    pub fn until(&self) -> Duration {
        self.lock().saturating_duration_since(Instant::now())
    }

    /// A look begins now; the next one is `at_most` from now.
    pub fn begin_round(&self, at_most: Duration) {
        *self.lock() = Instant::now() + at_most;
    }

    /// The next look is no later than `from_now`; wakes whoever waits for a later one.
    pub fn at_latest(&self, from_now: Duration) {
        let at = Instant::now() + from_now.min(Duration::from_secs(3600));
        let mut next = self.lock();
        if at < *next {
            *next = at;
            self.earlier.notify_one();
        }
    }

    /// Waits until the next look became earlier.
    pub async fn changed(&self) {
        self.earlier.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
