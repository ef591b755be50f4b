//! A context for native tests, which remembers what the task says and whose clock the test moves.
//!
//! * `heard`: what it remembers, and what it answers
//! * `enqueued`: a job that a task enqueued

mod enqueued;
mod heard;

use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use afresh_protocol::abi::Refusal;

use crate::context::{Context, Listener};
use crate::error::TaskError;
use crate::run::Declared;

pub use enqueued::Enqueued;
pub(crate) use heard::Heard;

/// A [`Context`] for native tests, made by [`Context::test`]; `&TestContext` goes where a task takes `&Context`.
///
/// It is the first attempt of one, of the job `test` in the queue `default`, without a deadline, at the start of the year
/// 2000. Its clock stands still until the test moves it. A panic of the task is a panic of the test.
#[derive(Debug)]
pub struct TestContext {
    context: Context,
    heard: Rc<Heard>,
}

impl TestContext {
    pub(crate) fn new() -> Self {
        let heard = Rc::new(Heard::new());
        let context = Context {
            task: "test".to_owned(),
            job_id: "test".to_owned(),
            queue: "default".to_owned(),
            attempt: 1,
            max_attempts: 1,
            enqueued: 0.into(),
            listener: Listener::Test(heard.clone()),
        };
        Self { context, heard }
    }

    /// The same with another task's name.
    #[must_use]
    pub fn with_task(mut self, task: impl Into<String>) -> Self {
        self.context.task = task.into();
        self
    }

    /// The same with another job's id.
    #[must_use]
    pub fn with_job_id(mut self, id: impl Into<String>) -> Self {
        self.context.job_id = id.into();
        self
    }

    /// The same with another queue.
    #[must_use]
    pub fn with_queue(mut self, queue: impl Into<String>) -> Self {
        self.context.queue = queue.into();
        self
    }

    /// The same as that attempt, counted from 1; the job may start as many at least.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.context.attempt = attempt;
        self.context.max_attempts = self.context.max_attempts.max(attempt);
        self
    }

    /// The same with so many attempts that the job may start.
    #[must_use]
    pub fn with_max_attempts(mut self, max: u32) -> Self {
        self.context.max_attempts = max;
        self
    }

    /// The same with so much time left.
    #[must_use]
    pub fn with_deadline_left(self, left: Duration) -> Self {
        self.heard.deadline_left.set(Some(left));
        self
    }

    /// The same at that time.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use afresh::Context;
    /// let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    /// assert_eq!(Context::test().with_now(then).now(), then);
    /// ```
    #[must_use]
    pub fn with_now(self, now: SystemTime) -> Self {
        self.heard.now.set(now);
        self
    }

    /// The same as a host that refuses every job the task enqueues, such as one that has not allowed it.
    ///
    /// ```
    /// # use afresh::{Context, NewJob, Refusal};
    /// let ctx = Context::test().with_enqueue_refused(Refusal::NotAllowed);
    /// let error = ctx.enqueue(NewJob::raw("resize", "a.png")).unwrap_err();
    /// assert!(error.is_rejected());
    /// ```
    #[must_use]
    pub fn with_enqueue_refused(self, refusal: Refusal) -> Self {
        self.heard.refusal.set(Some(refusal));
        self
    }

    /// The same as a host that takes so many jobs of one attempt and refuses the others as over its limit.
    ///
    /// ```
    /// # use afresh::{Context, NewJob};
    /// let ctx = Context::test().with_enqueue_limit(1);
    /// assert!(ctx.enqueue(NewJob::raw("resize", "a.png")).is_ok());
    /// assert!(ctx.enqueue(NewJob::raw("resize", "b.png")).is_err());
    /// ```
    #[must_use]
    pub fn with_enqueue_limit(self, jobs: usize) -> Self {
        self.heard.limit.set(jobs);
        self
    }

    /// Lets time pass: the clock goes forward, and of a deadline less is left.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use afresh::Context;
    /// let ctx = Context::test().with_deadline_left(Duration::from_secs(30));
    /// let start = ctx.now();
    /// ctx.advance(Duration::from_secs(20));
    /// assert_eq!(ctx.now().duration_since(start).unwrap(), Duration::from_secs(20));
    /// assert_eq!(ctx.deadline_left(), Some(Duration::from_secs(10)));
    /// ```
    pub fn advance(&self, span: Duration) {
        self.heard.advance(span);
    }

    /// Runs a task as a host would: the payload's bytes go in; the reply's bytes, or the error that says the verdict,
    /// come out. It is named by its function, which has to be a `#[task]`.
    ///
    /// Each call is an attempt of its own, under the task's name: what was logged, reported and enqueued before is
    /// forgotten, and what a task enqueued that then failed is dropped.
    ///
    /// ```
    /// use afresh::{Context, Verdict, task};
    ///
    /// #[task]
    /// fn double(number: i64) -> i64 {
    ///     2 * number
    /// }
    ///
    /// let ctx = Context::test();
    /// assert_eq!(ctx.run::<double>("21").unwrap(), b"42");
    /// assert_eq!(ctx.run::<double>("many").unwrap_err().verdict(), Verdict::BadPayload);
    /// ```
    ///
    /// # Errors
    /// The task's own, or a rejection of a payload that is not what it expects.
    pub fn run<T: Declared>(&self, payload: impl Into<Vec<u8>>) -> Result<Vec<u8>, TaskError> {
        self.heard.forget();
        let context = Context {
            task: T::TASK.name.to_owned(),
            job_id: self.context.job_id.clone(),
            queue: self.context.queue.clone(),
            attempt: self.context.attempt,
            max_attempts: self.context.max_attempts,
            enqueued: 0.into(),
            listener: Listener::Test(self.heard.clone()),
        };
        let ended = (T::TASK.run)(payload.into(), &context);
        if ended.is_err() {
            self.heard.enqueued.take();
        }
        ended
    }

    /// The lines logged so far, each as `level: text`.
    pub fn logs(&self) -> Vec<String> {
        self.heard.lines.borrow().clone()
    }

    /// The progress reported last.
    pub fn last_progress(&self) -> Option<f64> {
        self.heard.progress.get()
    }

    /// The jobs enqueued so far, in their order.
    pub fn enqueued(&self) -> Vec<Enqueued> {
        self.heard.enqueued.borrow().clone()
    }
}

impl Deref for TestContext {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
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

    #[test]
    fn the_clock_stands_until_it_is_moved_and_a_deadline_ends_at_nothing() {
        let ctx = Context::test().with_deadline_left(Duration::from_secs(1));
        let start = ctx.now();
        assert_eq!(start.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() % 86_400, 0);
        assert_eq!(ctx.now(), start);
        ctx.advance(Duration::from_secs(2));
        assert_eq!((ctx.now(), ctx.deadline_left()), (start + Duration::from_secs(2), Some(Duration::ZERO)));
        ctx.advance(Duration::MAX);
        assert_eq!(ctx.now(), start + Duration::from_secs(2), "the end of time is not passed");
    }
}
