//! A job as a native test sees it after a task enqueued it.

use std::time::Duration;

use afresh_protocol::enqueue::Request;
use serde::de::DeserializeOwned;

use crate::codec::decode;
use crate::error::TaskError;

/// A job that a task enqueued on a [`TestContext`](crate::TestContext).
///
/// ```
/// # use afresh::{Context, NewJob};
/// let ctx = Context::test();
/// ctx.enqueue(NewJob::new("resize", &("a.png", 100)).unwrap().queue("slow")).unwrap();
/// let job = &ctx.enqueued()[0];
/// assert_eq!((job.task.as_str(), job.queue.as_str(), job.id.as_str()), ("resize", "slow", "test.1"));
/// assert_eq!(job.payload::<(String, u32)>().unwrap(), ("a.png".to_owned(), 100));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// Its id: the task's own choice, or the job's id with a number.
    pub id: String,
    /// The task it runs.
    pub task: String,
    /// The queue it goes to; `default` where the task named none.
    pub queue: String,
    /// The wait before it may run; zero where the task asked for none.
    pub delay: Duration,
    /// Its priority; 0 where the task named none.
    pub priority: i32,
    /// How many attempts may start.
    pub max_attempts: Option<u32>,
    /// The shortest wait before a retry.
    pub min_backoff: Option<Duration>,
    /// The longest wait before a retry.
    pub max_backoff: Option<Duration>,
    /// The time one attempt may take.
    pub timeout: Option<Duration>,
    /// Bytes of linear memory one attempt may have.
    pub memory: Option<u64>,
    /// What it is about.
    pub key: Option<String>,
    /// After how long it is not worth starting any more.
    pub expires_in: Option<Duration>,
    /// The payload as it is; [`payload`](Self::payload) reads it.
    pub bytes: Vec<u8>,
}

impl Enqueued {
    pub(super) fn new(request: &Request, payload: &[u8]) -> Self {
        let request = request.clone();
        Self {
            id: request.id.unwrap_or_default(),
            task: request.task,
            queue: request.queue.unwrap_or_else(|| "default".to_owned()),
            delay: Duration::from_millis(request.delay_ms.unwrap_or_default()),
            priority: request.priority.unwrap_or_default(),
            max_attempts: request.max_attempts,
            min_backoff: request.min_backoff_ms.map(Duration::from_millis),
            max_backoff: request.max_backoff_ms.map(Duration::from_millis),
            timeout: request.timeout_ms.map(Duration::from_millis),
            memory: request.memory,
            key: request.key,
            expires_in: request.expires_in_ms.map(Duration::from_millis),
            bytes: payload.to_vec(),
        }
    }

    /// The payload, read as a task that takes a `T` would read it.
    ///
    /// # Errors
    /// The rejection that such a task would end with.
    pub fn payload<T: DeserializeOwned + 'static>(&self) -> Result<T, TaskError> {
        decode(self.bytes.clone())
    }
}
