//! Room for so many attempts at a time: the pool has a fixed number of instances, and an attempt that finds none waits
//! instead of failing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cancel::{Cancel, Reason};

/// How late an attempt that waits for a slot may learn that it was cancelled.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct Slots {
    room: Mutex<Room>,
    freed: Condvar,
    count: usize,
}

struct Room {
    free: usize,
    /// Who waits for a slot. Where nobody does, nobody need be told: that is a call of the system's for each attempt.
    waiting: usize,
}

/// One slot, given back when this is dropped.
pub(crate) struct Slot<'a>(&'a Slots);

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self { room: Mutex::new(Room { free: count, waiting: 0 }), freed: Condvar::new(), count }
    }

    /// Waits for a free slot, or for a reason to stop waiting.
    pub(crate) fn take(&self, cancel: &Cancel) -> Result<Slot<'_>, Reason> {
        let mut room = self.room();
        while room.free == 0 {
            if let Some(reason) = cancel.reason() {
                return Err(reason);
            }
            room.waiting += 1;
            room = self.freed.wait_timeout(room, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            room.waiting -= 1;
        }
        room.free -= 1;
        Ok(Slot(self))
    }

    /// Slots that somebody has.
    pub(crate) fn taken(&self) -> usize {
        self.count - self.room().free
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Two numbers cannot be left half-written.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut room = self.0.room();
        room.free += 1;
        if room.waiting > 0 {
            drop(room);
            self.0.freed.notify_one();
        }
    }
}
