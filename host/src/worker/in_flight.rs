//! The leases this worker holds: from the lease until the settlement is written, so that what waits to be settled is
//! bounded too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use afresh_queue::LeaseRef;
use afresh_sandbox::{Cancel, Reason};
use tokio::sync::Notify;

/// Hold no more jobs ahead of the slots than these finish in so long: enough that no slot waits for the broker, little
/// enough that another worker gets its share.
const AHEAD: Duration = Duration::from_millis(20);

/// Never hold more than so many jobs ahead of the slots.
const MOST_AHEAD: usize = 128;

/// The leases this worker holds.
#[derive(Debug)]
pub struct InFlight {
    slots: usize,
    leases: Mutex<HashMap<LeaseRef, Cancel>>,
    changed: Notify,
    emptied: Notify,
    /// Running mean of the attempts' wall time in microseconds; 0 while nobody knows.
    mean_us: AtomicU64,
}

impl InFlight {
    /// None yet, for so many slots.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            leases: Mutex::default(),
            changed: Notify::new(),
            emptied: Notify::new(),
            mean_us: AtomicU64::new(0),
        }
    }

    /// How many more leases to take: one for each slot, and what short attempts let the slots finish soon.
    pub fn room(&self) -> usize {
        let mean_us = u128::from(self.mean_us.load(Ordering::Relaxed));
        let soon = AHEAD.as_micros().checked_div(mean_us).unwrap_or(0);
        let ahead = self.slots.saturating_mul(usize::try_from(soon).unwrap_or(usize::MAX)).min(MOST_AHEAD);
        (self.slots + ahead).saturating_sub(self.len())
    }

    /// Takes an attempt's wall time into account.
    pub fn learn(&self, wall_us: u64) {
        let mean = self.mean_us.load(Ordering::Relaxed);
        let next = if mean == 0 { wall_us } else { (mean * 7 + wall_us) / 8 };
        self.mean_us.store(next.max(1), Ordering::Relaxed);
    }

    /// Attempts are not what they were: takes no job ahead of the slots until it is known again how long they last.
    pub fn forget_mean(&self) {
        self.mean_us.store(0, Ordering::Relaxed);
    }

    /// A lease was taken.
    pub fn add(&self, lease: LeaseRef, cancel: Cancel) {
        self.lock().insert(lease, cancel);
    }

    /// Leases were settled, or are no longer ours.
    pub fn remove<'a>(&self, leases: impl IntoIterator<Item = &'a LeaseRef>) {
        let mut held = self.lock();
        for lease in leases {
            held.remove(lease);
        }
        let empty = held.is_empty();
        drop(held);
        self.changed.notify_one();
        if empty {
            self.emptied.notify_one();
        }
    }

    /// The leases that are held.
    pub fn leases(&self) -> Vec<LeaseRef> {
        self.lock().keys().cloned().collect()
    }

    /// Ends one attempt.
    pub fn cancel(&self, lease: &LeaseRef, reason: Reason) {
        if let Some(cancel) = self.lock().get(lease) {
            cancel.cancel(reason);
        }
    }

    /// Ends every attempt; answers how many there were.
    pub fn cancel_all(&self, reason: Reason) -> usize {
        let held = self.lock();
        held.values().for_each(|cancel| cancel.cancel(reason));
        held.len()
    }

    /// How many leases are held.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until leases were settled.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until none is held. For one waiter.
    pub async fn emptied(&self) {
        while !self.is_empty() {
            self.emptied.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LeaseRef, Cancel>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
