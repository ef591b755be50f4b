//! How long a call may take: a moment, and the time that its bytes take on a slow link. Else a large settlement would run
//! out of time there, be sent again, and run out of time again, for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::job::PAYLOAD_CEILING;

/// How long a server may take to answer, whatever is carried. Longer than a hiccup of its disk, shorter than a usual
/// lease. A call that ran into it may have been carried out nonetheless: every verb is safe to repeat.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The slowest link that is reckoned with.
const BYTES_PER_SECOND: usize = 1 << 20;

/// The largest answer that is reckoned with at first.
const LARGE: usize = 8 << 20;

/// How often the time for large answers is doubled.
const MOST_DOUBLINGS: u32 = 6;

/// How long that is remembered: a server that hung once is not waited for so long for ever.
const REMEMBERED: Duration = Duration::from_mins(10);

/// What is under way on one link.
#[derive(Default)]
pub(super) struct Load {
    bytes: AtomicUsize,
    /// How often a large answer has not come in time, and when that was last. One job comes whatever its size, so nobody
    /// knows how large an answer may be; but the next one gets twice the time, until one has come that needed it.
    late: Mutex<Option<(u32, Instant)>>,
}

/// A call that is under way, until this is dropped.
pub(super) struct Carried<'a> {
    load: &'a Load,
    bytes: usize,
    large: bool,
    limit: Duration,
}

impl Load {
    /// A call begins that sends so many bytes and is answered with up to so many. It waits behind those that are under way.
    pub(super) fn carry(&self, sent: usize, answered: usize) -> Carried<'_> {
        let answered = answered.min(LARGE).saturating_mul(1 << self.doublings()).min(PAYLOAD_CEILING);
        let bytes = sent.saturating_add(answered).min(2 * PAYLOAD_CEILING);
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = RESPONSE_TIMEOUT + Duration::from_secs_f64(all as f64 / BYTES_PER_SECOND as f64);
        Carried { load: self, bytes, large: answered > 0, limit }
    }

    fn doublings(&self) -> u32 {
        self.late().filter(|(_, last)| last.elapsed() < REMEMBERED).map_or(0, |(times, _)| times)
    }

    fn late(&self) -> MutexGuard<'_, Option<(u32, Instant)>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carried<'_> {
    /// How long it may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// It has been answered. That may have been next to nothing, and then says nothing of the next large answer.
    pub(super) fn came_after(&self, time: Duration) {
        if self.large && time > RESPONSE_TIMEOUT {
            *self.load.late() = None;
        }
    }

    /// It has not been answered within its time.
    pub(super) fn was_late(&self) {
        if self.large {
            let times = self.load.doublings() + 1;
            *self.load.late() = Some((times.min(MOST_DOUBLINGS), Instant::now()));
        }
    }
}

impl Drop for Carried<'_> {
    fn drop(&mut self) {
        self.load.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn seconds(carried: &Carried<'_>) -> u64 {
        carried.limit().as_secs()
    }

    #[test]
    fn a_call_has_time_for_its_bytes_and_for_those_before_it() {
        let load = Load::default();
        assert_eq!(seconds(&load.carry(100, 0)), 5);
        let large = load.carry(8 * MIB, 0);
        assert_eq!((seconds(&large), seconds(&load.carry(100, 0))), (13, 13));
        drop(large);
        assert_eq!(seconds(&load.carry(100, 0)), 5);
    }

    #[test]
    fn a_large_answer_that_is_late_has_twice_the_time_until_one_comes_that_needed_it() {
        let load = Load::default();
        for limit in [9, 13, 21] {
            let lease = load.carry(0, 4 * MIB);
            assert_eq!(seconds(&lease), limit);
            lease.was_late();
            load.carry(100, 0).came_after(Duration::from_secs(6));
            load.carry(0, 4 * MIB).came_after(Duration::from_secs(1));
        }
        load.carry(0, 4 * MIB).came_after(Duration::from_secs(30));
        assert_eq!(seconds(&load.carry(0, 4 * MIB)), 9);
        assert_eq!(seconds(&load.carry(0, usize::MAX)), 13, "whatever it may be, that is not waited for at first");
    }
}
