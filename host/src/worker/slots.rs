//! The threads that guests run on. They wait for nothing else: no timer, no broker, no heartbeat shares a thread with a
//! guest, so a guest can keep its own thread busy and nothing more. What becomes of an attempt they decide themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use afresh_queue::steps;
use afresh_sandbox::InUse;
use crossbeam_channel::{Receiver, Sender};

use super::begins::Begin;
use super::board::Board;
use super::in_flight::InFlight;
use super::verdict::Verdicts;
use crate::attempt::{Attempt, Ended, Workshop};

/// Stack of a slot's thread in bytes: 512 KiB for the guest, the rest for host functions.
const STACK: usize = 2 << 20;

/// A worker's slots.
pub struct Slots {
    attempts: Sender<Attempt>,
    /// The slots' own way in, here for what no slot has taken when the shutdown begins.
    slot: Slot,
    threads: Vec<JoinHandle<()>>,
}

impl Slots {
    /// Starts one thread for each slot of the board; what becomes of each attempt goes to `verdicts`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(
        shop: Arc<Workshop>,
        board: Arc<Board>,
        in_flight: Arc<InFlight>,
        begin: Begin,
        verdicts: Verdicts,
    ) -> std::io::Result<Self> {
        // Unbounded, but never long: the worker leases no more than it has room for.
        let (attempts, waiting) = crossbeam_channel::unbounded();
        let slot = Slot { waiting, draining: Arc::default(), shop, board, in_flight, begin, verdicts };
        let threads = (0..slot.board.slots())
            .map(|number| {
                let slot = slot.clone();
                std::thread::Builder::new()
                    .name(format!("afresh-slot-{number}"))
                    .stack_size(STACK)
                    .spawn(move || slot.run(number))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { attempts, slot, threads })
    }

    /// Hands an attempt to the next free slot.
    pub fn hand(&self, attempt: Attempt) {
        // The threads only go away in `stop`, which takes this away too.
        let _ = self.attempts.send(attempt);
    }

    /// Gives attempts back that have not started, and from now on every one that comes. Not left to the slots, which may
    /// all have long to go: another worker can have these jobs now.
    pub fn drain(&self) {
        self.slot.draining.store(true, Ordering::Relaxed);
        for attempt in self.slot.waiting.try_iter() {
            // Nobody to tell means nobody to settle it: then it will come back as lost.
            self.slot.verdicts.on(attempt.give_back(&self.slot.shop));
        }
        self.slot.verdicts.flush();
    }

    /// Gives attempts back that no slot has taken for this long; answers how many.
    pub fn give_back_older_than(&self, age: Duration) -> usize {
        let waiting: Vec<_> = self.slot.waiting.try_iter().collect();
        let (old, young): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|attempt| attempt.arrived.elapsed() > age);
        young.into_iter().for_each(|attempt| self.hand(attempt));
        let count = old.len();
        for attempt in old {
            self.slot.verdicts.on(attempt.give_back(&self.slot.shop));
        }
        self.slot.verdicts.flush();
        count
    }

    /// Ends the threads that have nothing to run. One that still runs a guest is left to its end, which the guest's
    /// deadline bounds.
    pub fn stop(self) {
        drop(self.attempts);
        for thread in self.threads.into_iter().filter(JoinHandle::is_finished) {
            // A panic has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

/// One slot.
#[derive(Clone)]
struct Slot {
    waiting: Receiver<Attempt>,
    draining: Arc<AtomicBool>,
    shop: Arc<Workshop>,
    board: Arc<Board>,
    in_flight: Arc<InFlight>,
    begin: Begin,
    verdicts: Verdicts,
}

impl Slot {
    fn run(self, number: usize) {
        while let Some(attempt) = self.next() {
            let lease = attempt.lease.reference();
            self.board.begin(number, attempt.as_running());
            // A bug of ours must cost neither the slot nor the lease: let go of, it expires, and the job comes back as lost.
            let ended = catch_unwind(AssertUnwindSafe(|| self.end(attempt)));
            self.board.end(number);
            // For who wants to know that nothing of an attempt is left behind; counted for nobody else.
            if tracing::enabled!(tracing::Level::DEBUG) {
                let InUse { slots, instances, memories } = self.shop.sandbox.in_use();
                tracing::debug!(job = %lease.id, slots, instances, memories, "attempt left the sandbox");
            }
            let handed_on = ended.and_then(|ended| {
                steps::reached("run");
                catch_unwind(AssertUnwindSafe(|| self.verdicts.on(ended)))
            });
            match handed_on {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => {
                    tracing::error!(job = %lease.id, "the worker panicked; this is a bug in afresh, please report it");
                    self.in_flight.remove([&lease]);
                }
            }
        }
    }

    /// The next attempt; none once there will be no more.
    fn next(&self) -> Option<Attempt> {
        self.waiting.try_recv().ok().or_else(|| {
            self.verdicts.flush();
            self.waiting.recv().ok()
        })
    }

    fn end(&self, attempt: Attempt) -> Ended {
        if self.draining.load(Ordering::Relaxed) || attempt.cancel.reason().is_some() {
            attempt.give_back(&self.shop)
        } else {
            attempt.run(&self.shop, &self.begin)
        }
    }
}
