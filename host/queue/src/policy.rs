//! What becomes of a job after an attempt. Pure: outcome and counters in, settlement out, no clock and no I/O.

use std::time::Duration;

use afresh_protocol::{Outcome, OutcomeKind};
use rand::{Rng, RngExt};

use crate::lease::Begun;

/// How often a job was started, failed, and put off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Attempts started that count: a lease counts one, and what costs no attempt gives it back.
    pub starts: u32,
    /// Attempts that ended in a failure.
    pub failures: u32,
    /// Waits that cost no attempt: snoozes, missing or bad modules, and last attempts that were lost before they began.
    /// Bounded too, so that no job waits for ever.
    pub waits: u32,
    /// Attempts that had begun, or are presumed to have, when their worker vanished.
    pub lost: u32,
}

impl Counters {
    /// One more attempt that took its worker down, if it had begun.
    fn lose(self, begun: Begun) -> Self {
        Self { lost: self.lost.saturating_add(u32::from(begun != Begun::No)), ..self }
    }

    fn fail(self) -> Self {
        Self { failures: self.failures.saturating_add(1), ..self }
    }

    /// An attempt that does not count.
    fn give_back(self) -> Self {
        Self { starts: self.starts.saturating_sub(1), ..self }
    }

    fn wait(self) -> Self {
        Self { waits: self.waits.saturating_add(1), ..self.give_back() }
    }
}

/// How long expired jobs are kept: a day, as cancelled ones are.
pub const KEEP_EXPIRED: Duration = KEEP_CANCELLED;

/// How long a batch is kept after it has ended.
pub const KEEP_BATCH: Duration = KEEP_CANCELLED;

/// How long cancelled jobs are kept: a day, so that a person still finds what was cancelled.
pub const KEEP_CANCELLED: Duration = Duration::from_secs(24 * 3600);

/// The longest wait before a retry, whatever a task or a producer asks for: a year. A guest that asks for a thousand has
/// not found a way to hide its job for ever.
pub const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

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
    /// How many [waits](Counters::waits) that cost no attempt a job may have.
    pub max_waits: u32,
    /// How many attempts may take their worker down (or be lost with it), whatever `max_attempts` says: a job that kills
    /// its worker shall not go round the fleet.
    pub max_lost: u32,
    /// How long the result of a job that succeeded is kept.
    pub keep_result: Duration,
}

impl Default for RetryPolicy {
    /// Twenty-five attempts from 1 s to 1 h apart (about 17 hours in all), 100 waits, 3 lost workers, results kept for an hour.
    fn default() -> Self {
        Self {
            max_attempts: 25,
            min_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(3600),
            factor: 2.0,
            max_waits: 100,
            max_lost: 3,
            keep_result: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// What becomes of a job whose attempt ended in `outcome`, and its counters from then on. `counters.starts` counts
    /// the attempt that has just ended.
    pub fn decide(&self, outcome: Outcome, counters: Counters, random: &mut impl Rng) -> (Settlement, Counters) {
        match outcome {
            Outcome::Succeeded(reply) => (Settlement::Complete { reply, keep: self.keep_result }, counters),
            Outcome::Rejected(_) => (Settlement::Bury, counters.fail()),
            Outcome::Cancelled => (Settlement::Cancel, counters),
            Outcome::Interrupted => (Settlement::Release, counters.give_back()),
            Outcome::Snoozed(delay) => self.put_off(counters, Some(delay), random),
            Outcome::BadModule(_) => self.put_off(counters, None, random),
            Outcome::Failed { retry_after, .. } => self.try_again(counters, retry_after, random),
            _ => self.try_again(counters, None, random),
        }
    }

    /// The same where the lease expired and was taken over. A job is not dead of a last attempt that nobody saw: who runs
    /// one has it known before ([`RetryPolicy::is_last`]), so the start of one that is not known to have begun is given back;
    /// and it counts as a wait, so that a job whose very lease takes workers down does not go round for ever.
    pub fn decide_lost(&self, begun: Begun, counters: Counters, random: &mut impl Rng) -> (Settlement, Counters) {
        if begun != Begun::Known && self.is_last(counters) {
            return self.put_off(counters, None, random);
        }
        self.try_again(counters.lose(begun), None, random)
    }

    /// Whether no attempt follows the one that `counters.starts` counts, should its worker vanish. Its guest may run only once
    /// the broker knows that it has begun.
    pub fn is_last(&self, counters: Counters) -> bool {
        self.is_spent(counters.lose(Begun::Known))
    }

    /// Whether the attempt that `counters.starts` counts is one too many, because whoever decided after the one before went by
    /// other terms: it had not the task's module, or the operator has changed the limits since.
    pub fn is_too_many(&self, counters: Counters) -> bool {
        self.is_spent(counters.give_back())
    }

    fn is_spent(&self, counters: Counters) -> bool {
        counters.starts >= self.max_attempts || counters.lost >= self.max_lost
    }

    /// After what costs no attempt, in `delay` or by the backoff, unless there were too many waits.
    fn put_off(&self, counters: Counters, delay: Option<Duration>, random: &mut impl Rng) -> (Settlement, Counters) {
        let waited = counters.wait();
        if waited.waits > self.max_waits {
            return (Settlement::Bury, waited);
        }
        let delay = delay.map(|delay| delay.min(MAX_DELAY));
        let delay = delay.unwrap_or_else(|| self.backoff(waited.waits, None, random));
        (Settlement::Retry { delay }, waited)
    }

    /// After a failure, unless that was the last attempt.
    fn try_again(&self, counters: Counters, after: Option<Duration>, random: &mut impl Rng) -> (Settlement, Counters) {
        let failed = counters.fail();
        if self.is_spent(failed) {
            return (Settlement::Bury, failed);
        }
        (Settlement::Retry { delay: self.backoff(failed.failures, after, random) }, failed)
    }

    /// The wait before the next attempt after `failures` failures: full jitter above the floor, so that what the task
    /// asked for is never undercut.
    fn backoff(&self, failures: u32, retry_after: Option<Duration>, random: &mut impl Rng) -> Duration {
        let longest = self.max_backoff.min(MAX_DELAY);
        let floor = retry_after.unwrap_or(self.min_backoff.min(longest)).min(MAX_DELAY);
        // Bounded, because nothing times infinity is not a number: a policy without a wait must stay without one.
        let growth = self.factor.powf(f64::from(failures.saturating_sub(1))).min(f64::MAX);
        let grown = Duration::try_from_secs_f64(self.min_backoff.as_secs_f64() * growth).unwrap_or(longest);
        let ceiling = grown.min(longest).max(floor);
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

#[cfg(test)]
mod tests;
