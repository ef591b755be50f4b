//! Whether the machine stands still: then leases end that nobody has done anything to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::faults::{Fault, Kind};
use crate::ledger::{Us, now};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(20);

/// A look that comes so much too late means that the machine stood still, or had no time for anybody.
const LATE: Duration = Duration::from_millis(700);

/// A thread that looks at the clock.
pub struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Fault>>>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Looks from now on.
    pub fn start() -> Self {
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<Fault>>>::default());
        let (own_stop, own_seen) = (stop.clone(), seen.clone());
        let thread = thread::spawn(move || {
            let mut last = Instant::now();
            while !own_stop.load(Ordering::Relaxed) {
                thread::sleep(EVERY);
                let passed = last.elapsed();
                last = Instant::now();
                if passed > LATE {
                    let until = now();
                    let from = until - Us::try_from(passed.as_micros()).unwrap_or(0);
                    let stall = Fault { kind: Kind::Stall, from, until, life: None, tail: 0 };
                    own_seen.lock().unwrap_or_else(PoisonError::into_inner).push(stall);
                }
            }
        });
        Self { stop, seen, thread }
    }

    /// Ends, and answers when the machine stood still.
    pub fn stop(self) -> Vec<Fault> {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
