//! Until when a lease lasts for sure, by this machine's own clock. A worker that was stopped, or on a laptop that slept,
//! finds out by it what it no longer may run, before anybody can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A clock that goes on while the process is stopped and while the machine sleeps; that of [`std::time::Instant`] may not.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// A moment by that clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    us: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let now = clock_gettime(CLOCK);
        Self { us: (now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).cast_unsigned() }
    }

    /// So much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self { us: self.us.saturating_add(us) }
    }

    /// How much later it is than another; nothing if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.us.saturating_sub(earlier.us))
    }
}

/// Until when a lease lasts for sure: shared by who runs under it and who extends it.
#[derive(Clone, Debug)]
pub struct Until(Arc<AtomicU64>);

impl Until {
    /// Of a lease of this length. `asked` is a moment before the broker was: it counts from a later one, so that the lease
    /// never ends before this does.
    pub fn new(asked: Moment, length: Duration) -> Self {
        Self(Arc::new(AtomicU64::new(asked.after(length).us)))
    }

    /// The broker has extended the lease to this length from when it was asked.
    pub fn extend(&self, asked: Moment, length: Duration) {
        self.0.fetch_max(asked.after(length).us, Ordering::Relaxed);
    }

    /// Whether the lease may have ended.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= Moment::now().us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_its_length_after_it_was_asked_for_unless_it_is_extended() {
        let minute = Duration::from_secs(60);
        let now = Moment::now();
        let before = |duration: Duration| Moment { us: now.us - u64::try_from(duration.as_micros()).unwrap() };
        let until = Until::new(before(minute), minute);
        assert!(until.is_over());
        assert!(!Until::new(now, minute).is_over());
        let shared = until.clone();
        shared.extend(before(minute / 2), minute);
        assert!(!until.is_over(), "who runs under it knows that it was extended");
        until.extend(before(minute * 2), minute);
        assert!(!until.is_over(), "an answer that comes late shortens nothing");
    }
}
