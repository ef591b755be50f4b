//! Room for so many attempts at a time: the pool has a fixed number of instances, and an attempt that finds none waits
//! instead of failing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cancel::{Cancel, Reason};

/// How late an attempt that waits for a slot may learn that it was cancelled.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One slot, given back when this is dropped.
pub(crate) struct Slot<'a>(&'a Slots);

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Waits for a free slot, or for a reason to stop waiting.
    pub(crate) fn take(&self, cancel: &Cancel) -> Result<Slot<'_>, Reason> {
        let mut free = self.free();
        while *free == 0 {
            if let Some(reason) = cancel.reason() {
                return Err(reason);
            }
            free = self.freed.wait_timeout(free, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        Ok(Slot(self))
    }

    /// Slots that nobody has.
    pub(crate) fn free(&self) -> MutexGuard<'_, usize> {
        // A number cannot be left half-written.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free() += 1;
        self.0.freed.notify_one();
    }
}
