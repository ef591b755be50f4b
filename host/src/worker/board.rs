//! What each slot runs now, for people who ask. A slot writes its own line and nobody else's, so that it never waits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use afresh_queue::RunningJob;

/// One line for each slot.
#[derive(Debug)]
pub struct Board(Vec<Mutex<Option<RunningJob>>>);

impl Board {
    /// A board for so many slots, all of them free.
    pub fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| Mutex::default()).collect())
    }

    /// How many slots it has lines for.
    pub fn slots(&self) -> usize {
        self.0.len()
    }

    /// The slot of this number has begun with a job.
    pub fn begin(&self, slot: usize, job: RunningJob) {
        self.set(slot, Some(job));
    }

    /// The slot of this number is free.
    pub fn end(&self, slot: usize) {
        self.set(slot, None);
    }

    /// What runs now, the longest running first.
    pub fn running(&self) -> Vec<RunningJob> {
        let mut running: Vec<_> = self.0.iter().filter_map(|line| lock(line).clone()).collect();
        running.sort_by_key(|job| job.since);
        running
    }

    fn set(&self, slot: usize, job: Option<RunningJob>) {
        if let Some(line) = self.0.get(slot) {
            *lock(line) = job;
        }
    }
}

fn lock(line: &Mutex<Option<RunningJob>>) -> MutexGuard<'_, Option<RunningJob>> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
