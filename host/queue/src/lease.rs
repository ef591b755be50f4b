//! A lease: the right to run a job until an instant. Its token fences every later write: a stale attempt can never
//! settle a job.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::job::{Job, JobId};

/// The right to run one job until an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job, with its counters as they are now and its earlier attempts.
    pub job: Job,
    /// The fencing token: no other lease of the job ever had it.
    pub token: u64,
    /// When the right ends, by the broker's clock.
    pub until: Timestamp,
    /// When it was given, by the broker's clock.
    pub since: Timestamp,
    /// Whether its attempt counts as begun: the lease was asked for a slot that has nothing to do, or the attempt is
    /// [known to have begun](Vanished::begun) with the worker that vanished.
    pub begun: bool,
    /// Who held the lease before, where this one was taken from a worker that vanished.
    pub previous_worker: Option<Vanished>,
}

/// Who held a lease that expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// The worker.
    pub worker: String,
    /// Whether the attempt is known to have begun: not where the job was only held ahead of the worker's slots.
    pub begun: bool,
}

impl Lease {
    /// What names this lease in a broker.
    pub fn reference(&self) -> LeaseRef {
        LeaseRef { queue: self.job.queue.clone(), id: self.job.id.clone(), token: self.token }
    }
}

/// What names a lease in a broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseRef {
    /// The job's queue.
    pub queue: String,
    /// The job.
    pub id: JobId,
    /// The fencing token.
    pub token: u64,
}

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// The queues to take from, in this order: the next one only when the one before is empty.
    pub queues: Vec<String>,
    /// At most so many jobs.
    pub max: usize,
    /// So many of them begin at once; the others are held ahead.
    pub begin: usize,
    /// At most so many bytes of payloads and histories (the first job is given whatever its size).
    pub max_bytes: usize,
    /// Who asks: unique to one start of one worker process.
    pub worker: String,
    /// How long the lease is to last.
    pub duration: Duration,
}

/// A lease that is to be extended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Beat {
    /// The lease.
    pub lease: LeaseRef,
    /// Whether its attempt has begun.
    pub begun: bool,
}

/// What became of a lease that was to be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// It is ours for longer.
    Held,
    /// It is, and somebody asked to cancel the job: the attempt is to be ended.
    Cancelling,
    /// It is no longer ours.
    Lost,
}
