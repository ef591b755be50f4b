//! A broker under test with its manual clock, and the short words the tests are written in.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use afresh_harness::{RedisCluster, RedisServer};
use afresh_protocol::OutcomeKind;
use afresh_queue::{
    Beat, Broker, BrokerUrl, Clock, Counters, Enqueued, History, JobFilter, JobId, JobView, Lease, LeaseRequest,
    NewJob, QueueCounts, Retention, Settle, Settled, Settlement, State, Timestamp, open,
};

/// 2026-01-01, when every manual clock starts.
pub(crate) const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// How long a lease of [`Subject::lease`] lasts.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Servers on which one subject after the other is tested.
pub(crate) struct Site(RedisCluster);

impl Site {
    pub(crate) fn redis_cluster() -> Self {
        Self(RedisCluster::start())
    }
}

/// A broker under test.
pub(crate) struct Subject {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Clock,
    /// The server or the folder behind it, which lives as long.
    _parts: Box<dyn Any + Send + Sync>,
}

impl Subject {
    pub(crate) async fn sqlite_in_memory() -> Self {
        Self::new(BrokerUrl::memory(), ()).await
    }

    pub(crate) async fn sqlite_file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::new(BrokerUrl::file(folder.path().join("new/jobs.db")), folder).await
    }

    pub(crate) async fn redis() -> Self {
        let server = RedisServer::start();
        let url = server.url().parse().unwrap();
        Self::new(url, server).await
    }

    /// An empty broker on these servers.
    pub(crate) async fn on(site: &Site) -> Self {
        site.0.flush();
        Self::new(site.0.url().parse().unwrap(), ()).await
    }

    async fn new(url: BrokerUrl, parts: impl Any + Send + Sync) -> Self {
        let clock = Clock::manual(START);
        let broker = open(&url, clock.clone()).await.unwrap();
        Self { broker, clock, _parts: Box::new(parts) }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub(crate) async fn enqueue(&self, jobs: Vec<NewJob>) -> Vec<Enqueued> {
        self.broker.enqueue(jobs).await.unwrap()
    }

    pub(crate) async fn lease(&self, max: usize) -> Vec<Lease> {
        self.broker.lease(&request("default", max)).await.unwrap()
    }

    /// Leases the one job that must be there.
    pub(crate) async fn lease_one(&self) -> Lease {
        let mut leases = self.lease(1).await;
        assert_eq!(leases.len(), 1, "there is no job to lease");
        leases.remove(0)
    }

    pub(crate) async fn reap(&self, max: usize) -> Vec<Lease> {
        let request = LeaseRequest { worker: "reaper".into(), ..request("default", max) };
        self.broker.reap(&request).await.unwrap()
    }

    /// Settles one lease, with the counters it has.
    pub(crate) async fn settle(&self, lease: &Lease, settlement: Settlement) -> Settled {
        let settled = self.broker.settle(&[settle(lease, settlement)]).await.unwrap();
        assert_eq!(settled.len(), 1);
        settled[0]
    }

    /// Promotes the default queue; answers how many jobs moved.
    pub(crate) async fn promote(&self) -> usize {
        self.broker.promote(&["default".into()], &Retention::default()).await.unwrap().moved
    }

    /// How long until something is due in the default queue.
    pub(crate) async fn due(&self) -> Option<Duration> {
        self.broker.promote(&["default".into()], &Retention::default()).await.unwrap().next
    }

    pub(crate) async fn job(&self, name: &str) -> Option<JobView> {
        self.broker.job(&id(name)).await.unwrap()
    }

    /// A job's state; `None` where it is gone.
    pub(crate) async fn state(&self, name: &str) -> Option<State> {
        self.job(name).await.map(|job| job.state)
    }

    pub(crate) async fn list(&self, filter: JobFilter) -> Vec<String> {
        let jobs = self.broker.jobs(&JobFilter { limit: 100, ..filter }).await.unwrap();
        jobs.into_iter().map(|job| job.id.to_string()).collect()
    }

    /// The counts of the default queue.
    pub(crate) async fn counts(&self) -> QueueCounts {
        let queues = self.broker.queues().await.unwrap();
        queues.into_iter().find(|counts| counts.queue == "default").expect("the default queue had jobs")
    }
}

pub(crate) fn id(name: &str) -> JobId {
    name.parse().unwrap()
}

/// A job by name, of task `t`, in the default queue.
pub(crate) fn job(name: &str) -> NewJob {
    NewJob::new("t", format!("payload of {name}")).id(id(name))
}

pub(crate) fn jobs<const N: usize>(names: [&str; N]) -> Vec<NewJob> {
    names.into_iter().map(job).collect()
}

pub(crate) fn request(queue: &str, max: usize) -> LeaseRequest {
    LeaseRequest {
        queues: vec![queue.to_owned()],
        max,
        begin: max,
        max_bytes: usize::MAX,
        worker: "worker".into(),
        duration: LEASE,
    }
}

/// A settlement of a lease as it stands, with a history and an outcome that fit.
pub(crate) fn settle(lease: &Lease, settlement: Settlement) -> Settle {
    let outcome = match &settlement {
        Settlement::Complete { .. } => OutcomeKind::Succeeded,
        Settlement::Retry { .. } | Settlement::Bury => OutcomeKind::Failed,
        Settlement::Release => OutcomeKind::Interrupted,
        Settlement::Cancel => OutcomeKind::Cancelled,
    };
    let (counters, history) = (lease.job.counters, (&lease.job.history).into());
    Settle { lease: lease.reference(), settlement, counters, history, outcome, jobs: Vec::new() }
}

/// A lease that is to be extended, its attempt begun.
pub(crate) fn beat(lease: &Lease) -> Beat {
    Beat { lease: lease.reference(), begun: true }
}

pub(crate) fn complete(reply: &str, keep: Duration) -> Settlement {
    Settlement::Complete { reply: reply.into(), keep }
}

pub(crate) fn retry_in(delay: Duration) -> Settlement {
    Settlement::Retry { delay }
}

pub(crate) fn names(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.job.id.as_str()).collect()
}

pub(crate) fn starts(starts: u32) -> Counters {
    Counters { starts, ..Counters::default() }
}

/// A history of one attempt that came to this.
pub(crate) fn history(outcome: OutcomeKind) -> History {
    let mut history = History::default();
    history.push(attempt(1, outcome));
    history
}

pub(crate) fn attempt(number: u32, outcome: OutcomeKind) -> afresh_queue::AttemptRecord {
    afresh_queue::AttemptRecord {
        number,
        worker: "worker".into(),
        module: None,
        started_at: Some(START),
        finished_at: START,
        outcome,
        error: None,
        usage: Default::default(),
    }
}
