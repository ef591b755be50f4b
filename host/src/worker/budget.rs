//! The worker's memory budget: an attempt is admitted when its memory limit fits into what is left, so that what all
//! guests may take never exceeds what the machine has. First come, first served, so that a large one is not starved.
//! What an ended attempt leaves, its reply above all, counts until it is settled: else the replies that wait for a broker
//! which does not answer would come on top. Settling needs no share, so nobody waits for himself.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use afresh_sandbox::{Cancel, Reason};

/// How often a waiting attempt looks whether it was cancelled. Waiting for memory is rare, and nobody notices 20 ms.
const LOOK_UP: Duration = Duration::from_millis(20);

/// The memory that guests may take together.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: u64,
    next_ticket: u64,
    waiting: VecDeque<u64>,
}

/// A share of the budget; it goes back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Self {
        let state = State { free: total, next_ticket: 0, waiting: VecDeque::new() };
        Self { total, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for a share of `bytes`; one that is larger than the whole budget waits for the whole.
    ///
    /// # Errors
    /// The reason, if the attempt is cancelled while it waits.
    pub fn admit(self: &Arc<Self>, bytes: u64, cancel: &Cancel) -> Result<Share, Reason> {
        let bytes = bytes.min(self.total);
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        loop {
            let reason = cancel.reason();
            let my_turn = state.waiting.front() == Some(&ticket) && state.free >= bytes;
            if reason.is_some() || my_turn {
                state.waiting.retain(|other| *other != ticket);
                self.tell(&state);
            }
            match reason {
                Some(reason) => return Err(reason),
                None if my_turn => {
                    state.free -= bytes;
                    return Ok(Share { budget: self.clone(), bytes });
                }
                None => {}
            }
            state = self.changed.wait_timeout(state, LOOK_UP).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Bytes of the whole budget.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that are not given out.
    pub fn free(&self) -> u64 {
        self.lock().free
    }

    /// Something has changed; nobody is told where nobody waits, which is nearly always, and a system call each time.
    fn tell(&self, state: &State) {
        if !state.waiting.is_empty() {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Integers and a queue of integers: whole after every line of this file.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Gives back what is more than `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let rest = self.bytes.saturating_sub(bytes);
        self.bytes -= rest;
        let mut state = self.budget.lock();
        state.free += rest;
        self.budget.tell(&state);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_all_come_back() {
        let budget = Arc::new(Budget::new(100));
        let most = Mutex::new(0);
        std::thread::scope(|scope| {
            for bytes in [60, 60, 10, 100, 250, 30, 1, 99] {
                let (budget, most) = (&budget, &most);
                scope.spawn(move || {
                    for _ in 0..50 {
                        let _share = budget.admit(bytes, &Cancel::new()).unwrap();
                        let taken = 100 - budget.free();
                        let mut most = most.lock().unwrap();
                        *most = taken.max(*most);
                    }
                });
            }
        });
        assert!(*most.lock().unwrap() <= 100);
        assert_eq!(budget.free(), 100);
    }

    #[test]
    fn a_share_shrinks_to_what_is_still_held_and_never_grows() {
        let budget = Arc::new(Budget::new(100));
        let mut share = budget.admit(60, &Cancel::new()).unwrap();
        share.shrink_to(10);
        share.shrink_to(30);
        assert_eq!(budget.free(), 90);
        drop(share);
        assert_eq!(budget.free(), 100);
    }

    #[test]
    fn a_cancelled_attempt_stops_waiting_and_lets_the_next_one_in() {
        let budget = Arc::new(Budget::new(10));
        let all = budget.admit(10, &Cancel::new()).unwrap();
        let cancelled = Cancel::new();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.admit(10, &cancelled).map(drop));
            let behind = scope.spawn(|| budget.admit(5, &Cancel::new()).map(drop));
            cancelled.cancel(Reason::Shutdown);
            assert_eq!(waiting.join().unwrap(), Err(Reason::Shutdown));
            drop(all);
            assert_eq!(behind.join().unwrap(), Ok(()));
        });
        assert_eq!(budget.free(), 10);
    }
}
