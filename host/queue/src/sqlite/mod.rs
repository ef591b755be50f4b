//! The embedded broker: one SQLite file, which survives `kill -9` and may be used by several processes at once.
//!
//! * `store`: the one thread that touches the file
//! * `file`: the file itself: opened, configured, made new, or refused
//! * `schema/`: the tables, a step a version
//! * `verbs`, `leasing`, `settling`, `reaping`, `promoting`: the verbs of [`Broker`], each as one transaction
//! * `inspect`, `by_hand`, `control`: what people ask, do by hand, and set
//! * `queue`: a queue within one call; what can be done to it is in `turns` (places and fairness), `limits` and `holding`
//!   (what holds jobs back), `uniques` (unique keys), `accepting` and `ends` (how jobs come
//!   and leave)
//! * `cron`: periodic jobs
//! * `batches`, `flows`: batches, and what becomes of them and of chains when a job ends
//! * `fleet`, `checkup`: who works, and what a person should know of the file
//! * `waiting`: how an idle worker waits
//! * `record`: a row, read as a job; `rows`: many rows, written at once
//! * `errors`: what SQLite says, in a sentence

mod accepting;
mod batches;
mod by_hand;
mod checkup;
mod control;
mod cron;
mod ends;
mod errors;
mod file;
mod fleet;
mod flows;
mod holding;
mod inspect;
mod leasing;
mod limits;
mod promoting;
mod queue;
mod reaping;
mod record;
mod rows;
mod settling;
mod store;
mod turns;
mod uniques;
mod verbs;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::broker::{
    Broker, BrokerError, Cancelled, Enqueued, Failures, Inspect, JobFilter, Note, Promoted, QueueCounts, Retention,
    Settle, Settled, Waited,
};
use crate::clock::Clock;
use crate::job::{JobId, JobView, NewJob, PAYLOAD_CEILING};
use crate::lease::{Beat, Extended, Lease, LeaseRef, LeaseRequest};
use crate::log::JobLog;
use crate::tokens::Tokens;
use queue::Queues;
use settling::Settling;
use store::Store;
use waiting::Told;

/// How long a file that cannot be read is left alone before the next look.
const TROUBLE: Duration = Duration::from_millis(250);

/// A broker in one file, or in memory.
pub struct SqliteBroker {
    store: Store,
    /// Told whenever this process has written what a waiting worker may take or promote.
    written: Notify,
    /// Told whenever this process has asked to cancel a running job.
    asked: Notify,
    told: Told,
    tokens: Arc<Tokens>,
}

impl SqliteBroker {
    /// Opens the broker in the file at `path`, and creates it and its folder where they are missing.
    ///
    /// # Errors
    /// [`BrokerError::Unusable`] if the file cannot be opened, is not ours, or is of a newer version;
    /// [`BrokerError::Refused`] if the disk cannot take it; [`BrokerError::Unavailable`] if another process keeps it
    /// locked.
    pub async fn open(path: impl Into<PathBuf>, clock: Clock) -> Result<Self, BrokerError> {
        Ok(Self::of(Store::open(Some(path.into()), clock).await?))
    }

    /// A new and empty broker in memory, gone when it is dropped.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] if the system gives no thread.
    pub async fn in_memory(clock: Clock) -> Result<Self, BrokerError> {
        Ok(Self::of(Store::open(None, clock).await?))
    }

    fn of(store: Store) -> Self {
        Self {
            store,
            written: Notify::new(),
            asked: Notify::new(),
            told: Told::default(),
            tokens: Arc::new(Tokens::new()),
        }
    }

    /// Carries out what changes jobs, in one transaction, and wakes who waits for that.
    async fn change<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut Queues<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let work = move |file: &rusqlite::Transaction<'_>, now| {
            let mut queues = Queues::new(file, now);
            let answer = work(&mut queues)?;
            Ok((answer, queues.close()?))
        };
        let (answer, wake) = self.store.write(work).await?;
        if wake {
            self.written.notify_waiters();
        }
        Ok(answer)
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
        self.change(move |queues| verbs::enqueue(queues, &jobs)).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        let (request, tokens) = (request.clone(), self.tokens.clone());
        self.change(move |queues| leasing::lease(queues, &request, &tokens)).await
    }

    async fn extend(&self, leases: &[Beat], duration: Duration) -> Result<Vec<Extended>, BrokerError> {
        let leases = leases.to_vec();
        self.change(move |queues| reaping::extend(queues, &leases, queues.now.after(duration))).await
    }

    async fn cancellations(&self) -> Vec<LeaseRef> {
        match self.asked_to_cancel().await {
            Ok(leases) => leases,
            Err(error) => {
                // The next call will say so to somebody who can act on it.
                tracing::debug!(%error, "cannot look for requests to cancel");
                sleep(TROUBLE).await;
                Vec::new()
            }
        }
    }

    async fn note(&self, notes: &[Note]) -> Result<(), BrokerError> {
        let notes = notes.to_vec();
        self.change(move |queues| verbs::note(queues, &notes)).await
    }

    async fn settle(&self, settlements: &[Settle]) -> Result<Vec<Settled>, BrokerError> {
        let settlements: Vec<_> = settlements.iter().map(Settling::new).collect();
        self.change(move |queues| settling::settle(queues, &settlements)).await
    }

    async fn promote(&self, queues: &[String], retention: &Retention) -> Result<Promoted, BrokerError> {
        let (names, retention) = (queues.to_vec(), *retention);
        self.change(move |queues| promoting::promote(queues, &names, &retention)).await
    }

    async fn reap(&self, request: &LeaseRequest) -> Result<Vec<Lease>, BrokerError> {
        let (request, tokens) = (request.clone(), self.tokens.clone());
        self.change(move |queues| reaping::reap(queues, &request, &tokens)).await
    }

    async fn wait(&self, queues: &[String], at_most: Duration) -> Waited {
        let deadline = Instant::now() + at_most;
        if let Ok(Err(error)) = timeout_at(deadline, self.readied(queues)).await {
            // The next call will say so to somebody who can act on it; until then there is no hurry.
            tracing::debug!(%error, "cannot look for jobs");
            sleep_until(deadline.min(Instant::now() + TROUBLE)).await;
        }
        // Nobody said what was written; and to look costs little.
        Waited::Due
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

    async fn log(&self, id: &JobId) -> Result<JobLog, BrokerError> {
        let id = id.clone();
        self.store.read(move |view, _| inspect::log(view, &id)).await
    }

    async fn failures(&self, filter: &JobFilter) -> Result<Vec<Failures>, BrokerError> {
        let filter = filter.clone();
        self.store.read(move |view, _| inspect::failures(view, &filter)).await
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobView>, BrokerError> {
        let filter = filter.clone();
        self.store.read(move |view, _| inspect::jobs(view, &filter)).await
    }

    async fn queues(&self) -> Result<Vec<QueueCounts>, BrokerError> {
        self.store.read(|view, _| inspect::queues(view)).await
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Cancelled>, BrokerError> {
        let ids = ids.to_vec();
        let (cancelled, asked) = self.change(move |queues| by_hand::cancel(queues, &ids)).await?;
        if asked {
            self.asked.notify_waiters();
        }
        Ok(cancelled)
    }

    async fn retry(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        let ids = ids.to_vec();
        self.change(move |queues| by_hand::retry(queues, &ids)).await
    }

    async fn remove(&self, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        let ids = ids.to_vec();
        self.change(move |queues| by_hand::remove(queues, &ids)).await
    }

    async fn purge(&self, queue: &str) -> Result<u64, BrokerError> {
        let queue = queue.to_owned();
        self.change(move |queues| by_hand::purge(queues, &queue)).await
    }
}
