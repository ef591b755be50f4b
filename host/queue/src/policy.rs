//! What becomes of a job after an attempt. Pure: outcome and counters in, settlement out, no clock and no I/O.

use std::time::Duration;

use afresh_protocol::{Outcome, OutcomeKind};
use rand::{Rng, RngExt};

/// How often a job was started, failed, and put off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Attempts started that count: a lease counts one, and what costs no attempt gives it back.
    pub starts: u32,
    /// Attempts that ended in a failure.
    pub failures: u32,
    /// Waits that cost no attempt: snoozes, and missing or bad modules. Bounded too, so that no job waits for ever.
    pub waits: u32,
}

/// How long cancelled jobs are kept: a day, so that a person still finds what was cancelled.
pub const KEEP_CANCELLED: Duration = Duration::from_secs(24 * 3600);

/// What is to be done with a job after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done: keep the reply for so long.
    Complete {
        /// The task's reply.
        reply: Vec<u8>,
        /// How long it and the job's record are kept; with zero, both are gone at once.
        keep: Duration,
    },
    /// Run again, not before this long from now (by the broker's clock); with zero, queued at once, behind the others.
    Retry {
        /// The wait.
        delay: Duration,
    },
    /// No more attempts: keep it for a person to look at.
    Bury,
    /// Back to the place in its queue that it had, as if it had never been leased.
    Release,
    /// Cancelled; kept for [`KEEP_CANCELLED`].
    Cancel,
}

/// How a job's attempts are retried.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts may start.
    pub max_attempts: u32,
    /// The shortest wait before a retry.
    pub min_backoff: Duration,
    /// The longest wait before a retry, unless the task itself asks for more.
    pub max_backoff: Duration,
    /// By how much the wait grows with every failure.
    pub factor: f64,
    /// How many waits that cost no attempt (snoozes, bad modules) a job may have.
    pub max_waits: u32,
    /// How long the result of a job that succeeded is kept.
    pub keep_result: Duration,
}

impl Default for RetryPolicy {
    /// Twenty-five attempts from 1 s to 1 h apart (about 17 hours in all), 100 waits, results kept for an hour.
    fn default() -> Self {
        Self {
            max_attempts: 25,
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(3600),
            factor: 2.0,
            max_waits: 100,
            keep_result: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// What becomes of a job whose attempt ended in `outcome`, and its counters from then on. `counters.starts` counts
    /// the attempt that has just ended.
    pub fn decide(&self, outcome: Outcome, counters: Counters, random: &mut impl Rng) -> (Settlement, Counters) {
        let unspent = Counters { starts: counters.starts.saturating_sub(1), ..counters };
        let failed = Counters { failures: counters.failures.saturating_add(1), ..counters };
        let waited = Counters { waits: counters.waits.saturating_add(1), ..unspent };
        match outcome {
            Outcome::Succeeded(reply) => (Settlement::Complete { reply, keep: self.keep_result }, counters),
            Outcome::Rejected(_) => (Settlement::Bury, failed),
            Outcome::Cancelled => (Settlement::Cancel, counters),
            Outcome::Interrupted => (Settlement::Release, unspent),
            Outcome::Snoozed(_) | Outcome::BadModule(_) if waited.waits > self.max_waits => (Settlement::Bury, waited),
            Outcome::Snoozed(delay) => (Settlement::Retry { delay }, waited),
            Outcome::BadModule(_) => (Settlement::Retry { delay: self.backoff(waited.waits, None, random) }, waited),
            _ if failed.starts >= self.max_attempts => (Settlement::Bury, failed),
            Outcome::Failed { retry_after, .. } => {
                (Settlement::Retry { delay: self.backoff(failed.failures, retry_after, random) }, failed)
            }
            _ => (Settlement::Retry { delay: self.backoff(failed.failures, None, random) }, failed),
        }
    }

    /// The wait before the next attempt after `failures` failures: full jitter above the floor, so that what the task
    /// asked for is never undercut.
    fn backoff(&self, failures: u32, retry_after: Option<Duration>, random: &mut impl Rng) -> Duration {
        let floor = retry_after.unwrap_or(self.min_backoff.min(self.max_backoff));
        let exponent = f64::from(failures.saturating_sub(1));
        let grown = self.min_backoff.as_secs_f64() * self.factor.powf(exponent);
        let ceiling = Duration::try_from_secs_f64(grown).unwrap_or(Duration::MAX).min(self.max_backoff).max(floor);
        floor + (ceiling - floor).mul_f64(random.random::<f64>())
    }
}

/// Whether an outcome is a failure of the attempt (and not of the deploy, nor a person's wish).
pub fn is_failure(kind: OutcomeKind) -> bool {
    !matches!(
        kind,
        OutcomeKind::Succeeded
            | OutcomeKind::Snoozed
            | OutcomeKind::Cancelled
            | OutcomeKind::Interrupted
            | OutcomeKind::BadModule
    )
}
