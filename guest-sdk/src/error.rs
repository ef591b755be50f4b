//! How a task fails. The error itself is held, not its text: the text is rendered into the host at the very end.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use afresh_protocol::abi::Verdict;

use crate::host;
use crate::stream::stream;

/// How a task fails: retry, reject, or come back later.
///
/// `?` turns any `std::error::Error` into a failure that may be retried. For what is not one (a text, an
/// `anyhow::Error`, a boxed error) and for a rejection there is `map_err`:
///
/// ```
/// use afresh::TaskError;
///
/// fn width(text: &str) -> Result<u32, TaskError> {
///     text.trim().parse().map_err(TaskError::reject)
/// }
/// assert!(width("wide").unwrap_err().is_rejected());
/// ```
///
/// The error is told with its sources: `cannot read the page: connection reset by peer`. Its text is written straight
/// into the host, which keeps a bounded part, so an error may hold, or even be, all of the guest's memory.
pub struct TaskError {
    kind: Kind,
    error: Option<Box<dyn Error>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Failed { retry_after: Option<Duration> },
    Rejected,
    Snoozed(Duration),
    BadPayload,
}

impl TaskError {
    /// The task failed; another attempt may succeed. When that is, the job's backoff decides.
    pub fn retry(error: impl Into<Box<dyn Error>>) -> Self {
        Self { kind: Kind::Failed { retry_after: None }, error: Some(error.into()) }
    }

    /// The task failed and would fail again: no retry.
    pub fn reject(error: impl Into<Box<dyn Error>>) -> Self {
        Self { kind: Kind::Rejected, error: Some(error.into()) }
    }

    /// Not now: run the job again after `delay`. Costs no attempt.
    pub fn snooze(delay: Duration) -> Self {
        Self { kind: Kind::Snoozed(delay), error: None }
    }

    /// The payload is not what the task expects: no retry.
    pub(crate) fn bad_payload(error: impl Into<Box<dyn Error>>) -> Self {
        Self { kind: Kind::BadPayload, error: Some(error.into()) }
    }

    /// Asks for at least `delay` before the next attempt, as a server's `Retry-After` does. What is rejected or snoozed
    /// stays as it is.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        if let Kind::Failed { retry_after } = &mut self.kind {
            *retry_after = Some(delay);
        }
        self
    }

    /// Whether there is to be no retry.
    pub fn is_rejected(&self) -> bool {
        matches!(self.kind, Kind::Rejected | Kind::BadPayload)
    }

    /// What the host is told.
    pub fn verdict(&self) -> Verdict {
        match self.kind {
            Kind::Failed { .. } => Verdict::Failed,
            Kind::Rejected => Verdict::Rejected,
            Kind::Snoozed(_) => Verdict::Snoozed,
            Kind::BadPayload => Verdict::BadPayload,
        }
    }

    /// The wait that is asked for: of a snooze, or by [`retry_after`](Self::retry_after).
    pub fn delay(&self) -> Option<Duration> {
        match self.kind {
            Kind::Failed { retry_after } => retry_after,
            Kind::Snoozed(delay) => Some(delay),
            Kind::Rejected | Kind::BadPayload => None,
        }
    }

    /// Tells the host. The verdict goes first, so that it stands even if the text's `Display` runs out of memory.
    pub(crate) fn report(&self) {
        host::verdict(self.verdict(), self.delay());
        stream(self, host::error);
    }
}

impl<E: Error + 'static> From<E> for TaskError {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Kind::Snoozed(delay) = self.kind {
            return write!(f, "not now, but in {delay:?}");
        }
        if let Kind::BadPayload = self.kind {
            f.write_str("the payload is not what the task expects: ")?;
        }
        let mut next = self.error.as_deref();
        while let Some(error) = next {
            write!(f, "{error}")?;
            next = error.source();
            if next.is_some() {
                f.write_str(": ")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskError({:?}: {self})", self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot read the page")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_question_mark_makes_a_retry_that_tells_its_sources() {
        fn task() -> Result<(), TaskError> {
            Err(Outer(io::Error::other("connection reset")))?
        }
        let error = task().unwrap_err();
        assert_eq!((error.verdict(), error.delay()), (Verdict::Failed, None));
        assert_eq!(error.to_string(), "cannot read the page: connection reset");
    }

    #[test]
    fn a_wait_is_asked_for_by_a_retry_and_by_a_snooze_only() {
        let wait = Duration::from_secs(7);
        assert_eq!(TaskError::retry("busy").retry_after(wait).delay(), Some(wait));
        assert_eq!(TaskError::reject("no").retry_after(wait).delay(), None);
        assert_eq!(TaskError::snooze(wait).retry_after(Duration::ZERO).delay(), Some(wait));
    }
}
