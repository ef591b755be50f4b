//! What a task says of a job before it enqueues it.

use std::time::Duration;

use afresh_protocol::enqueue::Request;
use serde::Serialize;

use crate::error::TaskError;

/// A job to be enqueued with [`Context::enqueue`](crate::Context::enqueue): a request to run a task with a payload.
///
/// What it does not ask for is the task's, then the host's default.
///
/// ```
/// # use std::time::Duration;
/// # use afresh::{Context, NewJob, TaskError, task};
/// #[derive(serde::Serialize)]
/// struct Resize {
///     image: String,
///     width: u32,
/// }
///
/// fn gallery(images: Vec<String>, ctx: &Context) -> Result<(), TaskError> {
///     for image in images {
///         ctx.enqueue(NewJob::new("resize", &Resize { image, width: 100 })?.queue("slow").priority(3))?;
///     }
///     ctx.enqueue(NewJob::raw("publish", "gallery").delay(Duration::from_secs(60)))?;
///     Ok(())
/// }
/// # gallery(vec![], &Context::test()).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct NewJob {
    pub(crate) request: Request,
    pub(crate) payload: Vec<u8>,
}

impl NewJob {
    /// A job for `task`, which may be of any module, with the payload as JSON. For bytes there is [`raw`](Self::raw): a
    /// `Vec<u8>` would become a list of numbers here.
    ///
    /// # Errors
    /// A rejection when the payload cannot be written as JSON.
    pub fn new(task: impl Into<String>, payload: &(impl Serialize + ?Sized)) -> Result<Self, TaskError> {
        let task = task.into();
        match serde_json::to_vec(payload) {
            Ok(payload) => Ok(Self::raw(task, payload)),
            Err(e) => Err(TaskError::reject(format!("the payload for `{task}` cannot be written as JSON: {e}"))),
        }
    }

    /// A job for `task` with the payload as it is; `""` for a task that takes none.
    pub fn raw(task: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { request: Request { task: task.into(), ..Request::default() }, payload: payload.into() }
    }

    /// In this queue; else in `default`.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.request.queue = Some(queue.into());
        self
    }

    /// With this id: 1 to 128 letters, digits, `_`, `-`, `.` or `:`. The same id again in one queue is the same job, so a
    /// good one comes from what the job is about, and is the same in each attempt.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.request.id = Some(id.into());
        self
    }

    /// Not before so long from now. Rounded up to milliseconds, as all durations here.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.request.delay_ms = Some(millis(delay));
        self
    }

    /// Higher goes first, from -1000 to 1000; else 0.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.request.priority = Some(priority);
        self
    }

    /// With so many attempts that may start, at least 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.request.max_attempts = Some(attempts);
        self
    }

    /// With this shortest wait before a retry.
    #[must_use]
    pub fn min_backoff(mut self, wait: Duration) -> Self {
        self.request.min_backoff_ms = Some(millis(wait));
        self
    }

    /// With this longest wait before a retry.
    #[must_use]
    pub fn max_backoff(mut self, wait: Duration) -> Self {
        self.request.max_backoff_ms = Some(millis(wait));
        self
    }

    /// With so long for one attempt.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout_ms = Some(millis(timeout));
        self
    }

    /// With so many bytes of linear memory for one attempt.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.request.memory = Some(bytes);
        self
    }

    /// For this key, such as `customer:42`: limits and fairness go by it. 1 to 128 bytes without white space.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.request.key = Some(key.into());
        self
    }

    /// Not worth starting any more after so long.
    #[must_use]
    pub fn expires_in(mut self, span: Duration) -> Self {
        self.request.expires_in_ms = Some(millis(span));
        self
    }
}

/// Rounded up: what is to wait 1.5 ms must not run after 1.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
