//! The embedded broker: one SQLite file, which survives `kill -9` and may be used by several processes at once.
//!
//! * `store`: the one thread that touches the file
//! * `file`: the file itself: opened, configured, made new, or refused
//! * `schema/`: the tables, a step a version
//! * `verbs`: the verbs of [`Broker`] that move jobs between states, each as one transaction
//! * `leasing`: those that give leases
//! * `inspect`: what people ask, and do by hand
//! * `fleet`: who works
//! * `checkup`: what a person should know of the file
//! * `record`: a row, read as a job
//! * `errors`: what SQLite says, in a sentence

mod checkup;
mod errors;
mod file;
mod fleet;
mod inspect;
mod leasing;
mod record;
mod store;
mod verbs;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::broker::{Broker, BrokerError, Enqueued, Inspect, JobFilter, Promoted, QueueCounts, Settle, Settled};
use crate::clock::Clock;
use crate::job::{JobId, JobView, NewJob, PAYLOAD_CEILING};
use crate::lease::{Lease, LeaseRef, LeaseRequest};
use crate::policy::Settlement;
use store::Store;

/// How often an idle worker looks whether another process has written. SQLite tells nobody, so looking is the only way;
/// one look is a read of one number in shared memory, some microseconds long, and no disk is touched.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A broker in one file, or in memory.
pub struct SqliteBroker {
    store: Store,
    /// Told whenever this process has written what a waiting worker may take.
    written: Notify,
}

impl SqliteBroker {
    /// Opens the broker in the file at `path`, and creates it and its folder where they are missing.
    ///
    /// # Errors
    /// [`BrokerError::Unusable`] if the file cannot be opened, is not ours, or is of a newer version;
    /// [`BrokerError::Refused`] if the disk cannot take it; [`BrokerError::Unavailable`] if another process keeps it
    /// locked.
    pub async fn open(path: impl Into<PathBuf>, clock: Clock) -> Result<Self, BrokerError> {
        Ok(Self { store: Store::open(Some(path.into()), clock).await?, written: Notify::new() })
    }

    /// A new and empty broker in memory, gone when it is dropped.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] if the system gives no thread.
    pub async fn in_memory(clock: Clock) -> Result<Self, BrokerError> {
        Ok(Self { store: Store::open(None, clock).await?, written: Notify::new() })
    }

    /// Waits until a worker may take or promote something in these queues.
    async fn readied(&self, queues: &[String]) -> Result<(), BrokerError> {
        loop {
            // Listening begins, and the number is read, before the look: what is written after the look wakes us.
            let mut written = std::pin::pin!(self.written.notified());
            written.as_mut().enable();
            let before = self.store.foreign_writes().await?;
            let of = queues.to_vec();
            let ready = self.store.read(move |view, now| verbs::ready(view, now, &of)).await?;
            let due = match ready {
                Some(Duration::ZERO) => return Ok(()),
                Some(wait) => Instant::now() + wait,
                None => Instant::now() + Duration::from_secs(3600),
            };
            tokio::select! {
                () = written => {}
                () = sleep_until(due) => {}
                changed = self.foreign_write(before) => changed?,
            }
        }
    }

    /// Waits until another process has written since that number was read.
    async fn foreign_write(&self, before: i64) -> Result<(), BrokerError> {
        while self.store.foreign_writes().await? == before {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Broker for SqliteBroker {
    fn describe(&self) -> String {
        format!("SQLite, {}", self.store.place())
    }

    async fn check(&self) -> Result<(), BrokerError> {
        // Taking the writer's lock fails where the file cannot be written.
        self.store.write(|_, _| Ok(())).await
    }

    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, BrokerError> {
        for job in &jobs {
            job.validate(PAYLOAD_CEILING).map_err(BrokerError::Invalid)?;
        }
        let enqueued = self.store.write(move |file, now| verbs::enqueue(file, now, &jobs)).await?;
        self.written.notify_waiters();
        Ok(enqueued)
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        let request = request.clone();
        self.store.write(move |file, now| leasing::lease(file, now, &request)).await
    }

    async fn extend(&self, leases: &[LeaseRef], duration: Duration) -> Result<Vec<bool>, BrokerError> {
        let leases = leases.to_vec();
        self.store.write(move |file, now| leasing::extend(file, &leases, now.after(duration))).await
    }

    async fn settle(&self, settlements: &[Settle]) -> Result<Vec<Settled>, BrokerError> {
        let back = |settle: &Settle| matches!(settle.settlement, Settlement::Retry { .. } | Settlement::Release);
        let any_back = settlements.iter().any(back);
        let settlements = settlements.to_vec();
        let settled = self.store.write(move |file, now| verbs::settle(file, now, &settlements)).await?;
        if any_back {
            self.written.notify_waiters();
        }
        Ok(settled)
    }

    async fn promote(&self, queues: &[String]) -> Result<Promoted, BrokerError> {
        let queues = queues.to_vec();
        let promoted = self.store.write(move |file, now| verbs::promote(file, now, &queues)).await?;
        if promoted.moved > 0 {
            self.written.notify_waiters();
        }
        Ok(promoted)
    }

    async fn reap(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        let request = request.clone();
        self.store.write(move |file, now| leasing::reap(file, now, &request)).await
    }

    async fn wait(&self, queues: &[String], at_most: Duration) {
        let deadline = Instant::now() + at_most;
        if let Ok(Err(error)) = timeout_at(deadline, self.readied(queues)).await {
            // The next call will say so to somebody who can act on it; until then there is no hurry.
            tracing::debug!(%error, "cannot look for jobs");
            sleep_until(deadline.min(Instant::now() + Duration::from_millis(250))).await;
        }
    }
}

#[async_trait]
impl Inspect for SqliteBroker {
    async fn job(&self, id: &JobId) -> Result<Option<JobView>, BrokerError> {
        let id = id.clone();
        self.store.read(move |view, _| inspect::job(view, &id)).await
    }

    async fn payload(&self, id: &JobId) -> Result<Option<Vec<u8>>, BrokerError> {
        let id = id.clone();
        self.store.read(move |view, _| inspect::payload(view, &id)).await
    }

    async fn result(&self, id: &JobId) -> Result<Option<Vec<u8>>, BrokerError> {
        let id = id.clone();
        self.store.read(move |view, _| inspect::result(view, &id)).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, BrokerError> {
        let filter = filter.clone();
        self.store.read(move |view, _| inspect::jobs(view, &filter)).await
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>, BrokerError> {
        self.store.read(|view, _| inspect::queues(view)).await
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        let ids = ids.to_vec();
        self.store.write(move |file, now| inspect::cancel(file, now, &ids)).await
    }

    async fn retry(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        let ids = ids.to_vec();
        let retried = self.store.write(move |file, now| inspect::retry(file, now, &ids)).await?;
        self.written.notify_waiters();
        Ok(retried)
    }

    async fn remove(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        let ids = ids.to_vec();
        self.store.write(move |file, _| inspect::remove(file, &ids)).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        let queue = queue.to_owned();
        self.store.write(move |file, _| inspect::purge(file, &queue)).await
    }
}
