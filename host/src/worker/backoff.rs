//! Patience with a broker that does not answer: ever longer pauses with full jitter, one line when it begins, one a
//! minute while it lasts, one when it is over.

use std::fmt::Display;
use std::time::{Duration, Instant};

use rand::RngExt as _;

const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Patience with a broker that does not answer.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
    said: Option<Instant>,
}

impl Backoff {
    /// Notes a failure, says so where that is news, and answers how long to wait. Jitter keeps a fleet from coming back
    /// all at once.
    pub fn pause(&mut self, what: &str, error: &dyn Display) -> Duration {
        self.failures = self.failures.saturating_add(1);
        if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            self.said = Some(Instant::now());
            tracing::error!("{what}: {error}; trying again until it works");
        }
        let ceiling = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        SHORTEST + (ceiling - SHORTEST).mul_f64(rand::rng().random::<f64>())
    }

    /// Notes that it works; says so if that is news.
    pub fn over(&mut self, news: &str) {
        if self.said.is_some() {
            tracing::info!("{news}");
        }
        *self = Self::default();
    }
}
