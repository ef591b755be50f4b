//! What a task knows about its attempt, and what it says while it runs.

use std::cell::Cell;
use std::env;
use std::fmt::Display;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use afresh_protocol::abi::{LogLevel, env as names};

use crate::host;
use crate::stream::stream;
use crate::testing::{Heard, TestContext};

/// What a task knows about its attempt, and what it says while it runs. Natively, [`Context::test`] makes one.
#[derive(Debug)]
pub struct Context {
    pub(crate) task: String,
    pub(crate) job_id: String,
    pub(crate) queue: String,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    /// How many jobs this attempt has enqueued.
    pub(crate) enqueued: Cell<u32>,
    pub(crate) listener: Listener,
}

/// Who hears what the task says.
#[derive(Debug)]
pub(crate) enum Listener {
    Host,
    Test(Rc<Heard>),
}

impl Context {
    /// A context for a native test, which remembers what the task says.
    ///
    /// ```
    /// # use afresh::Context;
    /// let ctx = Context::test().with_attempt(3);
    /// ctx.info("third time lucky");
    /// assert_eq!((ctx.attempt(), ctx.logs()), (3, vec!["info: third time lucky".to_owned()]));
    /// ```
    pub fn test() -> TestContext {
        TestContext::new()
    }

    /// The context of the attempt this process is; on a laptop, of the first of one.
    pub(crate) fn of_host(task: &str) -> Self {
        let text = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        let number = |name| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        Self {
            task: task.to_owned(),
            job_id: text(names::JOB_ID, "local"),
            queue: text(names::QUEUE, "default"),
            attempt: number(names::ATTEMPT),
            max_attempts: number(names::MAX_ATTEMPTS),
            enqueued: Cell::new(0),
            listener: Listener::Host,
        }
    }

    /// The task's name.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The job's id: the same in all of its attempts, so it makes a good idempotency key.
    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    /// The queue the job came from.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// This attempt's number, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How many attempts the job may start.
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// The wall clock. In a test it stands still until the test moves it, so a task that asks here can be tested.
    pub fn now(&self) -> SystemTime {
        match &self.listener {
            Listener::Host => SystemTime::now(),
            Listener::Test(heard) => heard.now.get(),
        }
    }

    /// The time left until the host ends this attempt, or `None` where there is no deadline (natively).
    pub fn deadline_left(&self) -> Option<Duration> {
        match &self.listener {
            Listener::Host => host::deadline_left(),
            Listener::Test(heard) => heard.deadline_left.get(),
        }
    }

    /// How far the task is, from 0 to 1; anything beyond is cut, and what is not a number is ignored.
    pub fn progress(&self, fraction: f64) {
        if fraction.is_nan() {
            return;
        }
        let fraction = fraction.clamp(0.0, 1.0);
        match &self.listener {
            Listener::Host => host::progress(fraction),
            Listener::Test(heard) => heard.progress.set(Some(fraction)),
        }
    }

    /// Logs for the author, while writing the task.
    pub fn debug(&self, line: impl Display) {
        self.log(LogLevel::Debug, &line);
    }

    /// Logs what is worth reading in normal operation.
    pub fn info(&self, line: impl Display) {
        self.log(LogLevel::Info, &line);
    }

    /// Logs what is unexpected, and survived.
    pub fn warn(&self, line: impl Display) {
        self.log(LogLevel::Warn, &line);
    }

    /// Logs that something failed.
    pub fn error(&self, line: impl Display) {
        self.log(LogLevel::Error, &line);
    }

    /// Logging allocates nothing. Many fragments of more than 4 KiB together become several lines; one fragment,
    /// however long, stays one.
    fn log(&self, level: LogLevel, line: &dyn Display) {
        match &self.listener {
            Listener::Host => {
                let mut pieces = 0;
                stream(line, |piece| {
                    pieces += 1;
                    host::log(level, piece);
                });
                // An empty line is a line as well.
                if pieces == 0 {
                    host::log(level, b"");
                }
            }
            Listener::Test(heard) => heard.log(level, line),
        }
    }
}
