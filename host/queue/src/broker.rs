//! The one trait through which every change of a job's state goes: each method is one atomic step a batch, and nothing
//! else writes job state. [`Inspect`] is for people and screens.

use std::time::Duration;

use async_trait::async_trait;

use crate::checkup::Checkup;
use crate::clock::Timestamp;
use crate::control::Control;
use crate::cron::Crons;
use crate::fleet::Fleet;
use crate::flow::Flows;
use crate::history::Written;
use crate::job::{JobId, JobView, NewJob};
use crate::lease::{Beat, Extended, Lease, LeaseRef, LeaseRequest};
use crate::log::JobLog;
use crate::policy::{Counters, Settlement};
use crate::state::State;
use afresh_protocol::OutcomeKind;

/// What went wrong on our side of a broker. Each message fits behind "failed to …: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The broker cannot be reached, or the connection broke. Trying again is right.
    #[error("{0}")]
    Unavailable(String),
    /// The broker answered that it cannot take writes now (read-only replica, out of memory, full disk). Trying again
    /// is right, once somebody has mended it; the message says what.
    #[error("{0}")]
    Refused(String),
    /// The broker can never serve: too old, wrong kind, wrong URL, no permission.
    #[error("{0}")]
    Unusable(String),
    /// The caller asked for something that cannot be; the message says what is allowed.
    #[error("{0}")]
    Invalid(String),
}

impl BrokerError {
    /// Whether the same call may succeed later without anybody changing the call.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Refused(_))
    }
}

/// What became of one job handed to [`Broker::enqueue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The job's id; where another job holds its unique key, that one's.
    pub id: JobId,
    /// False where a job with this id was there already, or another holds its unique key; that job is left as it was.
    pub created: bool,
}

/// One settlement, as handed to [`Broker::settle`]. The lease fences it; counters and history are written as they are.
#[derive(Clone, Debug)]
pub struct Settle {
    /// The lease under which the attempt ran.
    pub lease: LeaseRef,
    /// What is to be done.
    pub settlement: Settlement,
    /// The job's counters from now on.
    pub counters: Counters,
    /// The job's attempts from now on.
    pub history: Written,
    /// What the newest attempt came to, for listings of the dead by kind.
    pub outcome: OutcomeKind,
    /// Jobs that the attempt enqueued: accepted in the same step, if the settlement is carried out. In other queues than
    /// the job's own they may appear a moment later.
    pub jobs: Vec<NewJob>,
}

/// What became of one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was carried out.
    Done,
    /// The lease was no longer the job's: nothing was changed.
    Stale,
}

/// A store of jobs. Batches in every verb; every method is one atomic step for each queue it touches.
#[async_trait]
pub trait Broker: Inspect + Control + Crons + Flows + Fleet + Checkup + Send + Sync {
    /// Where this broker is, without credentials, for the first line a worker prints.
    fn describe(&self) -> String;

    /// Checks that the broker can serve: reachable, new enough, writable.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] while it cannot be reached, [`BrokerError::Unusable`] if it never can serve.
    async fn check(&self) -> Result<(), BrokerError>;

    /// As [`Broker::check`], for a worker: besides, that it may do everything that work takes.
    ///
    /// # Errors
    /// As for [`Broker::check`].
    async fn check_to_work(&self) -> Result<(), BrokerError> {
        self.check().await
    }

    /// Accepts jobs. Idempotent by id within a queue: a job that is there already stays as it was. Jobs of one queue
    /// are accepted all together or not at all. A `run_at` that has passed is now. A job takes its place in a queue at
    /// the moment it becomes queued: here, when it is promoted, or when it is retried.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] (nothing was accepted) or the broker's own.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, BrokerError>;

    /// Hands out up to `max` jobs that are queued, highest priority first, then first in first out, or in a fair queue key
    /// by key. Counts a start. A job that a limit or a pause keeps from starting is held, and in nobody's way, as is one that
    /// a newer version of Afresh wrote; one that is past its `expires_at` and was never started expires.
    ///
    /// # Errors
    /// The broker's own; nothing was leased, or the leases will expire as lost. A queue that cannot be served while others
    /// are is passed over.
    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError>;

    /// Extends leases to `duration` from now, and notes which attempts have begun; in the same order.
    ///
    /// # Errors
    /// The broker's own; some leases may stand as they stood. Where one queue cannot be served, those of the others are
    /// extended.
    async fn extend(&self, leases: &[Beat], duration: Duration) -> Result<Vec<Extended>, BrokerError>;

    /// Waits until somebody asks to cancel running jobs; answers their leases, whoever holds them. May answer none: then
    /// something may have been missed, and [`Broker::extend`] knows. Answers as soon as it is called where requests are
    /// waiting.
    async fn cancellations(&self) -> Vec<LeaseRef>;

    /// Notes how far attempts are and what they logged, each only if its token is still the job's.
    ///
    /// # Errors
    /// The broker's own. Noting the same again is harmless: a line is known by its number.
    async fn note(&self, notes: &[Note]) -> Result<(), BrokerError>;

    /// Carries settlements out, each only if its token is still the job's; in the same order. A job that somebody asked to
    /// cancel does not run again: instead of being retried or released it is cancelled. When a job succeeds, the one that is
    /// to follow it is accepted, and when the last member of a batch ends, its callback, all in the same step.
    ///
    /// # Errors
    /// The broker's own. Settling the same again is harmless: what was carried out answers [`Settled::Stale`]. Where one
    /// queue cannot be served, those of the others are carried out: hand over one queue's at a time to tell which.
    async fn settle(&self, settlements: &[Settle]) -> Result<Vec<Settled>, BrokerError>;

    /// Makes available what has become due (a time that is now has come): the jobs of periodic ones, scheduled jobs, the
    /// earliest first, and jobs that a limit held. Expires jobs that were not started in time, and removes records whose time to live is over. Answers
    /// how many scheduled jobs moved, and how long until there is something to do in these queues again.
    ///
    /// # Errors
    /// The broker's own. A queue that cannot be served while others are is passed over.
    async fn promote(&self, queues: &[String], retention: &Retention) -> Result<Promoted, BrokerError>;

    /// Takes over leases that have expired, at most `max`: each with a new token for `worker` and `duration`, without
    /// counting a start, with the vanished worker in [`Lease::previous_worker`]. The caller decides and settles them as
    /// *lost*, like any other outcome. Those of jobs that a newer version of Afresh wrote are left to its workers.
    ///
    /// # Errors
    /// The broker's own.
    async fn reap(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError>;

    /// Waits until there may be something to lease or to promote in these queues, or `at_most` has passed. May return
    /// early. A worker calls it after a lease that came back short: what was enqueued since then ends the wait at once, and
    /// so does what has become due earlier than the last promote told.
    async fn wait(&self, queues: &[String], at_most: Duration) -> Waited;
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// There may be something to lease, or time ran out.
    Ready,
    /// Besides, something may be due that the last promote did not tell of: only another one finds it.
    Due,
}

/// How far an attempt is, and what it logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The lease under which it runs.
    pub lease: LeaseRef,
    /// From 0 to 1; `None` leaves it as it was.
    pub progress: Option<f64>,
    /// Lines to add to the job's, whose oldest go where there is no room.
    pub log: JobLog,
}

/// How long dead jobs are kept, in each queue; the oldest go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For so long.
    pub dead_for: Duration,
    /// While their payloads and histories together have at most so many bytes.
    pub dead_bytes: u64,
}

impl Default for Retention {
    /// 90 days, 1 GiB.
    fn default() -> Self {
        Self { dead_for: Duration::from_secs(90 * 24 * 3600), dead_bytes: 1 << 30 }
    }
}

/// What [`Broker::promote`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promoted {
    /// Jobs that are queued now.
    pub moved: usize,
    /// How long until a scheduled, held or periodic job is due, a job or a lease expires; `None` if there is nothing to wait for.
    pub next: Option<Duration>,
}

/// Which jobs a listing wants.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In this queue.
    pub queue: Option<String>,
    /// Of this task.
    pub task: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Whose newest attempt came to this.
    pub outcome: Option<OutcomeKind>,
    /// Dead with an error of this [fingerprint](crate::fingerprint).
    pub fingerprint: Option<String>,
    /// At most so many, newest first.
    pub limit: usize,
}

/// How many jobs of a queue stand where.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct QueueCounts {
    /// The queue.
    pub queue: String,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that wait for a worker, held ones included.
    pub queued: u64,
    /// Of those, jobs that a limit, a pause, or a record that only a newer worker knows keeps from starting.
    pub held: u64,
    /// Jobs under a lease.
    pub running: u64,
    /// Jobs that succeeded and are still kept.
    pub succeeded: u64,
    /// Dead jobs.
    pub dead: u64,
    /// Cancelled jobs that are still kept.
    pub cancelled: u64,
    /// Jobs that were not started in time and are still kept.
    pub expired: u64,
    /// Since when the job that is next to be leased is due.
    pub oldest_queued_at: Option<Timestamp>,
}

/// Dead jobs that failed alike: of one task, one kind and one [fingerprint](crate::fingerprint).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Failures {
    /// The task.
    pub task: String,
    /// What the last attempt came to.
    pub kind: OutcomeKind,
    /// The fingerprint of its error; empty where there is none.
    pub fingerprint: String,
    /// How many there are.
    pub jobs: u64,
    /// The one that died last.
    pub newest: JobId,
    /// When it died.
    pub newest_at: Timestamp,
    /// Its error's message.
    pub message: String,
}

/// What became of a request to cancel a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled.
    Done,
    /// It runs; its worker was asked to end the attempt, and does within milliseconds.
    Asked,
    /// It has ended, or there is none.
    Refused,
}

/// For people and screens: looking, and the few things a person may do by hand. Where one id is in several queues, the
/// first queue by name is meant.
#[async_trait]
pub trait Inspect {
    /// One job, or `None`.
    ///
    /// # Errors
    /// The broker's own, here and below.
    async fn job(&self, id: &JobId) -> Result<Option<JobView>, BrokerError>;

    /// A job's payload, or `None`.
    async fn payload(&self, id: &JobId) -> Result<Option<Vec<u8>>, BrokerError>;

    /// The result of a job that succeeded, while it is kept.
    async fn result(&self, id: &JobId) -> Result<Option<Vec<u8>>, BrokerError>;

    /// The newest lines that a job's attempts have logged, oldest first; none for a job that is not there.
    async fn log(&self, id: &JobId) -> Result<JobLog, BrokerError>;

    /// The dead jobs that match, in groups that failed alike, the largest first (then by task, kind and fingerprint); at
    /// most the filter's limit of groups.
    async fn failures(&self, filter: &JobFilter) -> Result<Vec<Failures>, BrokerError>;

    /// The jobs that match, newest first: by the time they were accepted, then by id and queue, all downwards.
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, BrokerError>;

    /// Every queue that ever had a job, by name.
    async fn queues(&self) -> Result<Vec<QueueCounts>, BrokerError>;

    /// Cancels jobs: one that is scheduled or queued at once; of one that runs, its worker is told to end the attempt.
    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Cancelled>, BrokerError>;

    /// Queues dead, cancelled or expired jobs again, to run now, with fresh counters and their history, and never to expire.
    /// False for each that is neither.
    async fn retry(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError>;

    /// Removes jobs that are not running, with their results. False for each that is unknown or running.
    async fn remove(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError>;

    /// Removes every scheduled and queued job of a queue, callbacks of batches that end by this included; answers how many.
    async fn purge(&self, queue: &str) -> Result<u64, BrokerError>;
}
