//! What a task said to a test, and what the test set.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::time::Duration;

use afresh_protocol::abi::LogLevel;

/// What a task said to a test, and what the test set.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) lines: RefCell<Vec<String>>,
    pub(crate) progress: Cell<Option<f64>>,
    pub(crate) deadline_left: Cell<Option<Duration>>,
}

impl Heard {
    pub(crate) fn new() -> Self {
        Self { lines: RefCell::default(), progress: Cell::default(), deadline_left: Cell::default() }
    }

    pub(crate) fn log(&self, level: LogLevel, line: &dyn Display) {
        self.lines.borrow_mut().push(format!("{level}: {line}"));
    }

    /// A new attempt has said nothing yet.
    pub(crate) fn forget(&self) {
        self.lines.take();
        self.progress.take();
    }
}
