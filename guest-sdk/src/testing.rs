//! A context for native tests, which remembers what the task says.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::ops::Deref;
use std::time::Duration;

use afresh_protocol::abi::LogLevel;

use crate::context::{Context, Listener};

/// A [`Context`] for native tests, made by [`Context::test`]; `&TestContext` goes where a task takes `&Context`.
///
/// It is the first attempt of one, of the job `test` in the queue `default`, without a deadline.
#[derive(Debug)]
pub struct TestContext(Context);

/// What a task said to a test.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) lines: RefCell<Vec<String>>,
    pub(crate) progress: Cell<Option<f64>>,
    pub(crate) deadline_left: Option<Duration>,
}

impl TestContext {
    pub(crate) fn new() -> Self {
        Self(Context {
            task: "test".to_owned(),
            job_id: "test".to_owned(),
            queue: "default".to_owned(),
            attempt: 1,
            max_attempts: 1,
            listener: Listener::Test(Heard::default()),
        })
    }

    /// The same with another task's name.
    #[must_use]
    pub fn with_task(mut self, task: impl Into<String>) -> Self {
        self.0.task = task.into();
        self
    }

    /// The same with another job's id.
    #[must_use]
    pub fn with_job_id(mut self, id: impl Into<String>) -> Self {
        self.0.job_id = id.into();
        self
    }

    /// The same with another queue.
    #[must_use]
    pub fn with_queue(mut self, queue: impl Into<String>) -> Self {
        self.0.queue = queue.into();
        self
    }

    /// The same as that attempt, counted from 1; the job may start as many at least.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.0.attempt = attempt;
        self.0.max_attempts = self.0.max_attempts.max(attempt);
        self
    }

    /// The same with so many attempts that the job may start.
    #[must_use]
    pub fn with_max_attempts(mut self, max: u32) -> Self {
        self.0.max_attempts = max;
        self
    }

    /// The same with so much time left.
    #[must_use]
    pub fn with_deadline_left(mut self, left: Duration) -> Self {
        if let Listener::Test(heard) = &mut self.0.listener {
            heard.deadline_left = Some(left);
        }
        self
    }

    /// The lines logged so far, each as `level: text`.
    pub fn logs(&self) -> Vec<String> {
        self.heard().map(|heard| heard.lines.borrow().clone()).unwrap_or_default()
    }

    /// The progress reported last.
    pub fn last_progress(&self) -> Option<f64> {
        self.heard().and_then(|heard| heard.progress.get())
    }

    fn heard(&self) -> Option<&Heard> {
        match &self.0.listener {
            Listener::Test(heard) => Some(heard),
            Listener::Host => None,
        }
    }
}

impl Deref for TestContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

impl Heard {
    pub(crate) fn log(&self, level: LogLevel, line: &dyn Display) {
        self.lines.borrow_mut().push(format!("{level}: {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_sees_what_the_task_said() {
        fn task(ctx: &Context) {
            ctx.warn(format_args!("attempt {} of {}", ctx.attempt(), ctx.max_attempts()));
            ctx.progress(7.0);
            ctx.progress(f64::NAN);
        }
        let ctx = Context::test().with_attempt(2).with_max_attempts(5);
        task(&ctx);
        assert_eq!(ctx.logs(), ["warn: attempt 2 of 5"]);
        assert_eq!(ctx.last_progress(), Some(1.0));
    }
}
