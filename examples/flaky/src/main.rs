//! A task that fails in every way the SDK knows; the payload says how, and until which attempt.

use std::fmt;
use std::time::{Duration, SystemTime};

use afresh::{Context, TaskError, task};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Wish {
    how: How,
    /// The first attempt that succeeds; absent, none does.
    fail_until: Option<u32>,
    /// How long to wait where `how` is `retry_after`.
    #[serde(default)]
    after_ms: u64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    /// An ordinary error: retried after the backoff.
    Error,
    /// An error that says when to come back: retried, but not earlier.
    RetryAfter,
    /// An error that would come again: not retried.
    Reject,
    /// A bug: retried.
    Panic,
    /// Not now: come back later, at no cost. Open in every odd second, closed in every even one.
    Snooze,
}

#[derive(Serialize, Debug, PartialEq)]
struct Done {
    attempt: u32,
}

#[task(max_attempts = 3, timeout = "5s", memory = "16MiB", min_backoff = "10ms", max_backoff = "100ms")]
fn flaky(wish: Wish, ctx: &Context) -> Result<Done, TaskError> {
    ctx.info(format_args!("attempt {} of {}", ctx.attempt(), ctx.max_attempts()));
    let done = Done { attempt: ctx.attempt() };
    if wish.fail_until.is_some_and(|first| ctx.attempt() >= first) {
        return Ok(done);
    }
    match wish.how {
        How::Error => Err(LineDown { attempt: ctx.attempt() })?,
        How::RetryAfter => {
            Err(TaskError::retry("the server is busy").retry_after(Duration::from_millis(wish.after_ms)))
        }
        How::Reject => Err(TaskError::reject("the account is closed")),
        How::Panic => panic!("attempt {} hit a bug", ctx.attempt()),
        How::Snooze => match until_open(SystemTime::now()) {
            Some(wait) => Err(TaskError::snooze(wait)),
            None => Ok(done),
        },
    }
}

/// Any `std` error will do; `?` turns it into a `TaskError`.
#[derive(Debug)]
struct LineDown {
    attempt: u32,
}

impl fmt::Display for LineDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line is down (attempt {})", self.attempt)
    }
}

impl std::error::Error for LineDown {}

/// The time until the next odd second, or `None` within one. The clock must be asked: a snooze costs no attempt, so the
/// attempt's number stays the same, and a fresh instance remembers nothing.
fn until_open(now: SystemTime) -> Option<Duration> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let closed = now.as_secs().is_multiple_of(2);
    closed.then(|| Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into()))
}

fn main() {
    afresh::run!(flaky)
}

#[cfg(test)]
mod tests {
    use afresh::Verdict;

    use super::*;

    fn wish(how: How, fail_until: Option<u32>) -> Wish {
        Wish { how, fail_until, after_ms: 200 }
    }

    #[test]
    fn it_succeeds_from_the_attempt_that_was_named() {
        let error = flaky(wish(How::Error, Some(3)), &Context::test().with_attempt(2)).unwrap_err();
        assert_eq!(error.to_string(), "the line is down (attempt 2)");
        assert_eq!(error.verdict(), Verdict::Failed);
        let ctx = Context::test().with_attempt(3);
        assert_eq!(flaky(wish(How::Error, Some(3)), &ctx).unwrap(), Done { attempt: 3 });
        assert_eq!(ctx.logs(), ["info: attempt 3 of 3"]);
    }

    #[test]
    fn it_can_ask_for_a_wait_and_refuse_a_retry() {
        let busy = flaky(wish(How::RetryAfter, None), &Context::test()).unwrap_err();
        assert_eq!(busy.delay(), Some(Duration::from_millis(200)));
        assert!(flaky(wish(How::Reject, None), &Context::test()).unwrap_err().is_rejected());
    }

    #[test]
    #[should_panic(expected = "attempt 1 hit a bug")]
    fn it_can_panic() {
        let _ = flaky(wish(How::Panic, None), &Context::test());
    }

    #[test]
    fn it_is_open_in_odd_seconds_only() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(until_open(at(2_250)), Some(Duration::from_millis(750)));
        assert_eq!(until_open(at(3_000)), None);
        assert_eq!(until_open(at(3_999)), None);
    }
}
