//! What becomes of batches: how brokers accept, show and cancel them. A batch waits for its members to end and for no
//! person: a dead member has ended.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::broker::{BrokerError, Enqueued};
use crate::chain::Link;
use crate::clock::Timestamp;
use crate::job::JobId;
use crate::state::State;

/// Accepts, shows and cancels batches. A batch whose members have all ended is kept for a day, as a cancelled job is.
#[async_trait]
pub trait Flows {
    /// Accepts a batch: all of it, in one atomic step, or nothing. Idempotent by its id within its queue: a batch that is
    /// there already stays as it was.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] if it cannot be, or one of its jobs' ids or unique keys is taken; else the broker's own,
    /// here and below.
    async fn enqueue_batch(&self, batch: &Batch) -> Result<Enqueued, BrokerError>;

    /// One batch, or `None`.
    async fn batch(&self, id: &JobId) -> Result<Option<BatchView>, BrokerError>;

    /// The jobs that belong to a batch, and not to one that stands in it, as far as they are kept: in the order in which
    /// they were accepted, the callback and what followed others among them.
    async fn batch_jobs(&self, id: &JobId) -> Result<Vec<BatchJob>, BrokerError>;

    /// The batches that stand in no other, newest first: by the time they were accepted, then by id and queue, all
    /// downwards; at most so many.
    async fn batches(&self, limit: usize) -> Result<Vec<BatchView>, BrokerError>;

    /// Cancels a batch and those that stand in it: what waits is cancelled at once, the workers of what runs are told to
    /// end it, and neither a callback nor what was to follow is enqueued. `None` if there is no open batch of this id.
    async fn cancel_batch(&self, id: &JobId) -> Result<Option<BatchCancelled>, BrokerError>;
}

/// A batch as people and other programs see it. A contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchView {
    /// Its id.
    pub id: JobId,
    /// The queue it is in.
    pub queue: String,
    /// The batch it stands in.
    pub parent: Option<JobId>,
    /// Where it stands.
    pub state: BatchState,
    /// How many members it has; a chain is one, and a nested batch too.
    pub total: u64,
    /// Of those, how many have not ended.
    pub pending: u64,
    /// How many succeeded; of a chain all jobs, of a nested batch all members and its callback.
    pub succeeded: u64,
    /// How many are dead, or a nested batch that did not succeed.
    pub dead: u64,
    /// How many were cancelled.
    pub cancelled: u64,
    /// How many were not started in time.
    pub expired: u64,
    /// How many a person removed.
    pub removed: u64,
    /// When it was accepted.
    pub enqueued_at: Timestamp,
    /// When it had ended, with its callback.
    pub finished_at: Option<Timestamp>,
    /// The callback.
    pub callback: Option<Link>,
    /// The batches that stand in it.
    pub batches: Vec<JobId>,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Some of its members, or its callback, have not ended.
    Open,
    /// All have.
    Finished,
    /// Somebody cancelled it; it may be that some of its jobs still run.
    Cancelled,
}

impl BatchState {
    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this word, if it is one.
    pub(crate) fn of(word: &str) -> Option<Self> {
        [Self::Open, Self::Finished, Self::Cancelled].into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for BatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A job of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchJob {
    /// Its id.
    pub id: JobId,
    /// The task it runs.
    pub task: String,
    /// Where it stands.
    pub state: State,
}

/// What cancelling a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BatchCancelled {
    /// Jobs that were cancelled at once.
    pub cancelled: u64,
    /// Jobs that run, whose workers were asked to end them.
    pub asked: u64,
}

/// How a member of a batch, or its callback, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Succeeded,
    Dead,
    Cancelled,
    Expired,
    Removed,
}

impl Ending {
    /// What is counted by it, as brokers and callbacks call it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Removed => "removed",
        }
    }

    /// How a job in this state has ended; `None` while it has not.
    pub(crate) fn of(state: State) -> Option<Self> {
        match state {
            State::Succeeded => Some(Self::Succeeded),
            State::Dead => Some(Self::Dead),
            State::Cancelled => Some(Self::Cancelled),
            State::Expired => Some(Self::Expired),
            State::Scheduled | State::Queued | State::Running => None,
        }
    }
}

/// Why a batch was not accepted: something of it is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Job(String),
    Batch(String),
    Unique { key: String, holder: String },
}

impl Taken {
    /// The error that says so.
    pub(crate) fn error(&self, batch: &Batch) -> BrokerError {
        let (id, queue) = (&batch.id, &batch.queue);
        BrokerError::Invalid(match self {
            Self::Job(job) => format!(
                "batch {id}: there is a job {job} in the queue {queue} already, so nothing was enqueued: give the batch's \
                 jobs other ids"
            ),
            Self::Batch(nested) => format!(
                "batch {id}: there is a batch {nested} in the queue {queue} already, so nothing was enqueued: give the \
                 nested batch another id"
            ),
            Self::Unique { key, holder } => format!(
                "batch {id}: the job {holder} holds the unique key {key}, so nothing was enqueued: try again when it has \
                 ended"
            ),
        })
    }
}
