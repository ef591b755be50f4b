//! Where *now* comes from. Production asks the broker's own clock, so that workers whose clocks differ cannot expire
//! each other's leases; tests hold the hand of the clock themselves.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: microseconds since 1970 UTC. Shown and serialised as RFC 3339 with microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This machine's time.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// The instant `span` later; saturates.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long until this instant, seen from `now`; zero if it has passed.
    pub fn until_from(self, now: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(now.0).max(0).unsigned_abs())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at:.6}"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let at = jiff::Timestamp::deserialize(deserializer)?;
        Ok(Self(at.as_microsecond()))
    }
}

/// The clock a broker uses.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The broker's own: Redis's `TIME`, or this machine's for the embedded one.
    #[default]
    Broker,
    /// One that stands still until a test moves it.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until it is moved.
    pub fn manual(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// Moves a manual clock on by `span`; nothing for the broker's own.
    pub fn advance(&self, span: Duration) {
        if let Self::Manual(at) = self {
            at.fetch_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// The instant a test has set, or `None` for the broker's own clock.
    pub fn fixed(&self) -> Option<Timestamp> {
        match self {
            Self::Broker => None,
            Self::Manual(at) => Some(Timestamp(at.load(Ordering::SeqCst))),
        }
    }
}
