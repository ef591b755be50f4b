//! A job: a request to run a task with a payload. Its options, and the JSON that people and programs see.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use afresh_protocol::enqueue::{MAX_ID_BYTES, PRIORITIES};
use afresh_protocol::policy::check_name;
use serde::{Deserialize, Serialize};

use crate::chain::{self, Link};
use crate::clock::Timestamp;
use crate::history::{AttemptRecord, History};
use crate::policy::Counters;
use crate::state::State;
use crate::unique::{Unique, check_key};

/// The queue of a job that names none.
pub const DEFAULT_QUEUE: &str = "default";

/// The most bytes a payload may have where nobody says otherwise: 1 MiB.
pub const DEFAULT_MAX_PAYLOAD: usize = 1024 * 1024;

/// The most bytes a payload may have in any broker, whatever a client allows: 256 MiB.
pub const PAYLOAD_CEILING: usize = 256 * 1024 * 1024;

/// Numbers of a job are less than this, which is what Redis's scripts hold exactly.
const MAX_NUMBER: u64 = 1 << 53;

/// The end of time, 2200: later instants are slips of the pen, and need more digits than a broker's index has.
pub const LATEST_RUN_AT: Timestamp = Timestamp(7_258_118_400_000_000);

/// A job's identity: a fresh ULID, or the producer's own word, which makes enqueueing idempotent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Arc<str>);

impl JobId {
    /// A fresh id, sortable by time.
    pub fn fresh() -> Self {
        Self(ulid::Ulid::generate().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for JobId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if text.is_empty() || text.len() > MAX_ID_BYTES || !text.chars().all(fine) {
            return Err(format!("a job's id is 1 to {MAX_ID_BYTES} letters, digits, `_`, `-`, `.` or `:`"));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for JobId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.as_str().to_owned()
    }
}

/// What a producer may ask for one job; everything absent is the task's, then the host's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    /// Higher first; first in, first out among equals. Between −1000 and 1000.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: i32,
    /// How many attempts may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Milliseconds of the shortest wait before a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_backoff_ms: Option<u64>,
    /// Milliseconds of the longest wait before a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backoff_ms: Option<u64>,
    /// Milliseconds one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Bytes of linear memory one attempt may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A job as a producer hands it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its id; the same id twice in one queue is one job.
    pub id: JobId,
    /// The queue it goes to.
    pub queue: String,
    /// The task to run.
    pub task: String,
    /// Opaque bytes: nobody between producer and guest parses them.
    pub payload: Vec<u8>,
    /// Not before this instant; `None` is now.
    pub run_at: Option<Timestamp>,
    /// What this job asks for.
    pub options: JobOptions,
    /// Whom it is for, such as `customer:42`: limits and fairness go by it.
    pub key: Option<String>,
    /// Not to be accepted while another job holds this unique key.
    pub unique: Option<Unique>,
    /// If it has not started by then, it expires. By the broker's clock.
    pub expires_at: Option<Timestamp>,
    /// What follows in the same queue when it has succeeded, one after the other, each with the reply of the one before.
    pub then: Vec<Link>,
}

impl NewJob {
    /// A job for `task` in the default queue, to run now.
    pub fn new(task: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            id: JobId::fresh(),
            queue: DEFAULT_QUEUE.to_owned(),
            task: task.into(),
            payload: payload.into(),
            run_at: None,
            options: JobOptions::default(),
            key: None,
            unique: None,
            expires_at: None,
            then: Vec::new(),
        }
    }

    /// The same job with this id.
    #[must_use]
    pub fn id(mut self, id: JobId) -> Self {
        self.id = id;
        self
    }

    /// The same job in this queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = queue.into();
        self
    }

    /// The same job, not before this instant.
    #[must_use]
    pub fn run_at(mut self, at: Timestamp) -> Self {
        self.run_at = Some(at);
        self
    }

    /// The same job with these options.
    #[must_use]
    pub fn options(mut self, options: JobOptions) -> Self {
        self.options = options;
        self
    }

    /// The same job for this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same job, as the only one with a key.
    #[must_use]
    pub fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// The same job, to expire if it has not started by then.
    #[must_use]
    pub fn expires_at(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The same job, with these to follow.
    #[must_use]
    pub fn then(mut self, then: Vec<Link>) -> Self {
        self.then = then;
        self
    }

    /// Checks that any broker can accept this job, with a payload of at most `max_payload` bytes (and never more than
    /// [`PAYLOAD_CEILING`]).
    ///
    /// # Errors
    /// A sentence that names the job, what is wrong with it and what is allowed.
    pub fn validate(&self, max_payload: usize) -> Result<(), String> {
        self.check(max_payload.min(PAYLOAD_CEILING)).map_err(|reason| format!("job {}: {reason}", self.id))
    }

    /// The same, in a fragment that names no job.
    pub(crate) fn check(&self, max_payload: usize) -> Result<(), String> {
        check_name(&self.task).map_err(|reason| format!("its task: {reason}"))?;
        check_name(&self.queue).map_err(|reason| format!("its queue: {reason}"))?;
        if self.payload.len() > max_payload {
            return Err(format!(
                "its payload has {} bytes, the limit is {max_payload}: store it elsewhere and pass a reference",
                self.payload.len()
            ));
        }
        for (what, at) in [("run", self.run_at), ("expire", self.expires_at)] {
            if let Some(at) = at
                && at > LATEST_RUN_AT
            {
                return Err(format!("it is to {what} at {at}, the latest is {LATEST_RUN_AT}"));
            }
        }
        if let Some(key) = &self.key {
            check_key(key).map_err(|reason| format!("its key: {reason}"))?;
        }
        if let Some(unique) = &self.unique {
            unique.check()?;
        }
        chain::check(&self.id, &self.then)?;
        self.options.check()
    }
}

impl JobOptions {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !PRIORITIES.contains(&self.priority) {
            let (low, high) = (PRIORITIES.start(), PRIORITIES.end());
            return Err(format!("its priority is {}, it must be from {low} to {high}", self.priority));
        }
        if self.max_attempts == Some(0) {
            return Err("its max_attempts is 0, it must be at least 1".to_owned());
        }
        if let (Some(min), Some(max)) = (self.min_backoff_ms, self.max_backoff_ms)
            && min > max
        {
            return Err(format!("its min_backoff of {min} ms is longer than its max_backoff of {max} ms"));
        }
        if self.timeout_ms == Some(0) {
            return Err("its timeout is 0, it must be at least 1 ms".to_owned());
        }
        if self.memory == Some(0) {
            return Err("its memory is 0 bytes, it must be more".to_owned());
        }
        let numbers = [
            ("min_backoff", self.min_backoff_ms),
            ("max_backoff", self.max_backoff_ms),
            ("timeout", self.timeout_ms),
            ("memory", self.memory),
        ];
        match numbers.into_iter().find(|(_, number)| number.is_some_and(|number| number >= MAX_NUMBER)) {
            Some((name, _)) => Err(format!("its {name} is more than any broker can keep: leave it away for no limit")),
            None => Ok(()),
        }
    }
}

/// A job as a worker gets it with a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The queue it came from.
    pub queue: String,
    /// The task to run.
    pub task: String,
    /// Opaque bytes for the guest.
    pub payload: Vec<u8>,
    /// When it was accepted.
    pub enqueued_at: Timestamp,
    /// When it was to run: the end of its last backoff or delay, or when it was accepted.
    pub run_at: Timestamp,
    /// What it asks for.
    pub options: JobOptions,
    /// How often it was started, failed and snoozed; the lease at hand is counted in `starts`.
    pub counters: Counters,
    /// Its earlier attempts.
    pub history: History,
}

/// A job as people and other programs see it: `job show --json`, the dashboard, the API. A contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// The task it runs.
    pub task: String,
    /// The queue it is in.
    pub queue: String,
    /// Where it stands.
    pub state: State,
    /// Higher first.
    pub priority: i32,
    /// When it was accepted.
    pub enqueued_at: Timestamp,
    /// When it was, or is, to run.
    pub run_at: Timestamp,
    /// When it reached a terminal state.
    pub finished_at: Option<Timestamp>,
    /// Length of its payload.
    pub payload_bytes: u64,
    /// How many attempts may start, where the job itself says so.
    pub max_attempts: Option<u32>,
    /// How many attempts that count were started.
    pub attempts_started: u32,
    /// Whom it is for.
    pub key: Option<String>,
    /// The unique key it was enqueued with.
    pub unique_key: Option<String>,
    /// When it expires, if it has not started by then.
    pub expires_at: Option<Timestamp>,
    /// What keeps it from starting: the limit or pause of `task:NAME` or `key:KEY`, or `record:VERSION` where a newer
    /// version of Afresh wrote it, whose workers it waits for.
    pub held_by: Option<String>,
    /// How far its newest attempt is, or came, from 0 to 1.
    pub progress: Option<f64>,
    /// Whether it runs, and its worker was asked to end it.
    pub cancelling: bool,
    /// The newest attempts, newest first.
    pub attempts: Vec<AttemptRecord>,
    /// Length of the result that is kept.
    pub result_bytes: Option<u64>,
    /// The batch it belongs to.
    pub batch: Option<JobId>,
    /// What was to follow when it has succeeded.
    pub then: Vec<Link>,
}

/// A duration as whole milliseconds, saturating.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_cannot_be_is_refused_with_a_sentence() {
        let with = |options| NewJob::new("t", "").options(options);
        let none = JobOptions::default();
        for (job, reason) in [
            (NewJob::new("../t", ""), "its task: `../t` is not a name"),
            (NewJob::new("t", "").queue(""), "its queue: `` is not a name"),
            (NewJob::new("t", "12345"), "5 bytes, the limit is 4"),
            (with(JobOptions { priority: 1001, ..none.clone() }), "priority is 1001, it must be from -1000 to 1000"),
            (with(JobOptions { priority: -1001, ..none.clone() }), "priority is -1001"),
            (NewJob::new("t", "").run_at(Timestamp(i64::MAX)), "the latest is 2200-01-01T00:00:00.000000Z"),
            (with(JobOptions { max_attempts: Some(0), ..none.clone() }), "max_attempts is 0"),
            (with(JobOptions { timeout_ms: Some(0), ..none.clone() }), "timeout is 0"),
            (with(JobOptions { memory: Some(0), ..none.clone() }), "memory is 0"),
            (with(JobOptions { memory: Some(1 << 53), ..none.clone() }), "memory is more than any broker can keep"),
            (with(JobOptions { timeout_ms: Some(u64::MAX), ..none.clone() }), "timeout is more than any broker"),
            (
                with(JobOptions { min_backoff_ms: Some(2), max_backoff_ms: Some(1), ..none.clone() }),
                "min_backoff of 2 ms is longer than its max_backoff of 1 ms",
            ),
        ] {
            let error = job.validate(4).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
            assert!(error.contains(job.id.as_str()), "{error:?} does not name the job");
        }
        assert_eq!(NewJob::new("t", "1234").validate(4), Ok(()));
    }
}
