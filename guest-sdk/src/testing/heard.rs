//! What a task said to a test, and what the test answers.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::{Duration, SystemTime};

use afresh_protocol::abi::{LogLevel, Refusal};
use afresh_protocol::enqueue::Request;

use super::enqueued::Enqueued;

/// The clock of a test that sets none, in seconds: the start of the year 2000, so that a test is the same on every day.
const THEN: Duration = Duration::from_secs(946_684_800);

/// What a task said to a test, and what the test answers.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) lines: RefCell<Vec<String>>,
    pub(crate) progress: Cell<Option<f64>>,
    pub(crate) enqueued: RefCell<Vec<Enqueued>>,
    pub(crate) now: Cell<SystemTime>,
    pub(crate) deadline_left: Cell<Option<Duration>>,
    /// The answer to every job, where it is not to be taken.
    pub(crate) refusal: Cell<Option<Refusal>>,
    /// How many jobs are taken.
    pub(crate) limit: Cell<usize>,
}

impl Heard {
    pub(crate) fn new() -> Self {
        Self {
            lines: RefCell::default(),
            progress: Cell::default(),
            enqueued: RefCell::default(),
            now: Cell::new(SystemTime::UNIX_EPOCH + THEN),
            deadline_left: Cell::default(),
            refusal: Cell::default(),
            limit: Cell::new(usize::MAX),
        }
    }

    pub(crate) fn log(&self, level: LogLevel, line: &dyn Display) {
        self.lines.borrow_mut().push(format!("{level}: {line}"));
    }

    pub(crate) fn enqueue(&self, request: &Request, payload: &[u8]) -> Result<(), Refusal> {
        let mut enqueued = self.enqueued.borrow_mut();
        match self.refusal.get() {
            Some(refusal) => return Err(refusal),
            None if enqueued.len() >= self.limit.get() => return Err(Refusal::OverLimit),
            None => enqueued.push(Enqueued::new(request, payload)),
        }
        Ok(())
    }

    /// Time passes; a deadline does not move.
    pub(crate) fn advance(&self, span: Duration) {
        self.now.set(self.now.get().checked_add(span).unwrap_or(self.now.get()));
        self.deadline_left.set(self.deadline_left.get().map(|left| left.saturating_sub(span)));
    }

    /// A new attempt has said nothing yet; the clock goes on.
    pub(crate) fn forget(&self) {
        self.lines.take();
        self.progress.take();
        self.enqueued.take();
    }
}
