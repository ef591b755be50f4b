//! How somebody outside ends an attempt. One `Cancel` belongs to one attempt, so it can never hit a neighbour.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why an attempt is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A person or a program cancelled the job.
    Cancelled,
    /// The worker shuts down.
    Shutdown,
    /// The lease was lost: somebody else has the job now.
    LeaseLost,
}

/// A flag that ends one attempt, wherever the guest is: in a loop (seen at the next epoch) or parked in a host call
/// (woken at once). The first reason stands.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    reason: Mutex<Option<Reason>>,
    changed: Condvar,
}

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the attempt; does nothing if a reason was given before.
    pub fn cancel(&self, reason: Reason) {
        self.lock().get_or_insert(reason);
        self.0.changed.notify_all();
    }

    /// The reason given, if any.
    pub fn reason(&self) -> Option<Reason> {
        *self.lock()
    }

    /// Sleeps for `span`, or until a reason is given, and answers that reason.
    pub fn sleep(&self, span: Duration) -> Option<Reason> {
        let guard = self.lock();
        let (guard, _) = self
            .0
            .changed
            .wait_timeout_while(guard, span, |reason| reason.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reason>> {
        // Nothing under this lock can panic, and an `Option` cannot be left half-written.
        self.0.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
