//! A lease: the right to run a job until an instant. Its token fences every later write: a stale attempt can never
//! settle a job.

use std::hash::{Hash, Hasher};
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
    /// Who held the lease before, where this one was taken from a worker that vanished.
    pub previous_worker: Option<Vanished>,
}

/// Who held a lease that expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// The worker.
    pub worker: String,
    /// Whether its attempt had begun.
    pub begun: Begun,
}

/// Whether the attempt under a lease has begun, as far as the broker was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Begun {
    /// The job is held ahead of the worker's slots.
    No,
    /// It was leased for a slot that has nothing to do. Whether the lease ever arrived there nobody has said.
    Presumed,
    /// Its worker said so.
    Known,
}

impl Begun {
    /// As brokers keep it; what is no number of ours is that nothing is known.
    pub(crate) fn of_number(number: u8) -> Self {
        match number {
            1 => Self::Presumed,
            2 => Self::Known,
            _ => Self::No,
        }
    }

    /// The other way.
    pub(crate) fn as_number(self) -> u8 {
        self as u8
    }
}

impl Lease {
    /// What names this lease in a broker.
    pub fn reference(&self) -> LeaseRef {
        LeaseRef { queue: self.job.queue.clone(), id: self.job.id.clone(), token: self.token }
    }
}

/// What names a lease in a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRef {
    /// The job's queue.
    pub queue: String,
    /// The job.
    pub id: JobId,
    /// The fencing token.
    pub token: u64,
}

impl Hash for LeaseRef {
    /// The token alone, which hardly two leases have in common; each is looked up several times.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.token.hash(state);
    }
}

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// The queues to take from, in this order: the next one only when the one before is empty.
    pub queues: Vec<String>,
    /// At most so many jobs.
    pub max: usize,
    /// So many of them are for slots that have nothing to do, and are presumed to begin; the others are held ahead.
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
