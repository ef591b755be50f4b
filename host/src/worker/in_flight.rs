//! The leases this worker holds: from the lease until the settlement is written, so that what waits to be settled is
//! bounded too.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use afresh_queue::{Beat, LeaseRef, Note};
use afresh_sandbox::{Cancel, Reason};
use tokio::sync::Notify;

use super::until::{Moment, Until};
use crate::attempt::Voice;

/// Hold no more jobs ahead of the slots than these finish in so long: enough that no slot waits for the broker, little
/// enough that another worker gets its share.
const AHEAD: Duration = Duration::from_millis(20);

/// Never hold more than so many jobs ahead of the slots.
const MOST_AHEAD: usize = 512;

/// Attempts of this length are short beside a round trip to the broker.
const BRISK: Duration = Duration::from_micros(250);

/// A request to cancel may overtake the answer that brings its lease: so long it is remembered.
const OVERTAKEN: Duration = Duration::from_secs(10);

/// Never remember more than so many; the heartbeat tells of the others.
const MOST_REMEMBERED: usize = 10_000;

/// The leases this worker holds.
#[derive(Debug)]
pub struct InFlight {
    slots: usize,
    held: Mutex<Held>,
    changed: Notify,
    emptied: Notify,
    /// Running mean of the attempts' wall time in microseconds; 0 while nobody knows.
    mean_us: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    leases: HashMap<LeaseRef, Running>,
    /// Requests to cancel leases that are not held here, and since when they are remembered.
    overtaken: VecDeque<(Instant, LeaseRef)>,
}

impl Held {
    fn forget_old_requests(&mut self) {
        while self.overtaken.front().is_some_and(|(since, _)| since.elapsed() > OVERTAKEN) {
            self.overtaken.pop_front();
        }
    }
}

#[derive(Debug)]
struct Running {
    cancel: Cancel,
    voice: Option<Voice>,
    until: Until,
    /// Whether its guest runs, or it waits for a slot, for memory, or for the broker to know.
    begun: bool,
}

impl InFlight {
    /// None yet, for so many slots.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            held: Mutex::default(),
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

    /// How many of these begin at once: the slots that have nothing to do.
    pub fn idle_slots(&self) -> usize {
        self.slots.saturating_sub(self.len())
    }

    /// Whether attempts are so short that several end in a moment, where there are several.
    pub fn is_brisk(&self) -> bool {
        let mean_us = self.mean_us.load(Ordering::Relaxed);
        mean_us > 0 && mean_us <= BRISK.as_micros() as u64
    }

    /// Takes an attempt's wall time into account. Of two threads that do so at the same time one may be overlooked.
    pub fn learn(&self, wall_us: u64) {
        let mean = self.mean_us.load(Ordering::Relaxed);
        let next = if mean == 0 { wall_us } else { (mean * 7 + wall_us) / 8 };
        self.mean_us.store(next.max(1), Ordering::Relaxed);
    }

    /// Attempts are not what they were: takes no job ahead of the slots until it is known again how long they last.
    pub fn forget_mean(&self) {
        self.mean_us.store(0, Ordering::Relaxed);
    }

    /// A lease was taken; one whose attempt will run has a voice.
    pub fn add(&self, lease: LeaseRef, cancel: Cancel, voice: Option<Voice>, until: Until) {
        let mut held = self.lock();
        held.forget_old_requests();
        if held.overtaken.iter().any(|(_, asked)| *asked == lease) {
            cancel.cancel(Reason::Cancelled);
        }
        held.leases.insert(lease, Running { cancel, voice, until, begun: false });
    }

    /// The attempt's guest runs from now on.
    pub fn begin(&self, lease: &LeaseRef) {
        if let Some(running) = self.lock().leases.get_mut(lease) {
            running.begun = true;
        }
    }

    /// The broker has extended a lease, to this length from when it was asked.
    pub fn extend(&self, lease: &LeaseRef, asked: Moment, length: Duration) {
        if let Some(running) = self.lock().leases.get(lease) {
            running.until.extend(asked, length);
        }
    }

    /// Leases were settled, or are no longer ours.
    pub fn remove<'a>(&self, leases: impl IntoIterator<Item = &'a LeaseRef>) {
        let mut held = self.lock();
        for lease in leases {
            held.leases.remove(lease);
        }
        let empty = held.leases.is_empty();
        drop(held);
        self.changed.notify_one();
        if empty {
            self.emptied.notify_one();
        }
    }

    /// The leases that are held, as they are extended.
    pub fn beats(&self) -> Vec<Beat> {
        let held = self.lock();
        held.leases.iter().map(|(lease, running)| Beat { lease: lease.clone(), begun: running.begun }).collect()
    }

    /// What attempts have said since the last look.
    pub fn notes(&self) -> Vec<Note> {
        let mut held = self.lock();
        held.leases.values_mut().filter_map(|running| running.voice.as_mut()?.note()).collect()
    }

    /// The same of these attempts.
    pub fn notes_of<'a>(&self, leases: impl IntoIterator<Item = &'a LeaseRef>) -> Vec<Note> {
        let mut held = self.lock();
        leases.into_iter().filter_map(|lease| held.leases.get_mut(lease)?.voice.as_mut()?.note()).collect()
    }

    /// Ends one attempt.
    pub fn cancel(&self, lease: &LeaseRef, reason: Reason) {
        if let Some(running) = self.lock().leases.get(lease) {
            running.cancel.cancel(reason);
        }
    }

    /// Ends attempts whose jobs were cancelled. Those that are not held here are another worker's, or about to arrive.
    pub fn cancel_asked(&self, leases: Vec<LeaseRef>) {
        let (mut held, now) = (self.lock(), Instant::now());
        held.forget_old_requests();
        for lease in leases {
            match held.leases.get(&lease) {
                Some(running) => running.cancel.cancel(Reason::Cancelled),
                None if held.overtaken.len() < MOST_REMEMBERED => held.overtaken.push_back((now, lease)),
                None => {}
            }
        }
    }

    /// Ends every attempt; answers how many there were.
    pub fn cancel_all(&self, reason: Reason) -> usize {
        let held = self.lock();
        held.leases.values().for_each(|running| running.cancel.cancel(reason));
        held.leases.len()
    }

    /// How many leases are held.
    pub fn len(&self) -> usize {
        self.lock().leases.len()
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

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(token: u64) -> LeaseRef {
        LeaseRef { queue: "q".into(), id: "a".parse().unwrap(), token }
    }

    fn a_minute() -> Until {
        Until::new(Moment::now(), Duration::from_secs(60))
    }

    #[test]
    fn a_request_to_cancel_that_overtakes_its_lease_is_not_lost() {
        let in_flight = InFlight::new(1);
        in_flight.cancel_asked(vec![lease(2)]);
        let (another, cancel) = (Cancel::new(), Cancel::new());
        in_flight.add(lease(1), another.clone(), None, a_minute());
        in_flight.add(lease(2), cancel.clone(), None, a_minute());
        assert_eq!((another.reason(), cancel.reason()), (None, Some(Reason::Cancelled)));
    }

    #[test]
    fn what_a_slot_runs_has_begun() {
        let in_flight = InFlight::new(3);
        in_flight.add(lease(1), Cancel::new(), None, a_minute());
        in_flight.add(lease(2), Cancel::new(), None, a_minute());
        in_flight.begin(&lease(2));
        assert_eq!(in_flight.idle_slots(), 1);
        let mut beats = in_flight.beats();
        beats.sort_by_key(|beat| beat.lease.token);
        assert_eq!(beats.iter().map(|beat| beat.begun).collect::<Vec<_>>(), [false, true]);
    }
}
