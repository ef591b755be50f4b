//! What is counted.

use std::hint::black_box;
use std::time::Duration;

use afresh_harness::{RedisServer, SOON, catalogue, wait_until};
use afresh_queue::{
    AttemptRecord, BrokerUrl, Clock, Lease, LeaseRequest, NewJob, Settle, Settled, Settlement, Timestamp, open,
};
use afresh_sandbox::{Call, Cancel, Limits, OutcomeKind, Sandbox, SandboxConfig, Usage};
use anyhow::{Context as _, ensure};

/// Jobs of one call.
const BATCH: usize = 64;

/// Bytes of a payload.
const PAYLOAD: usize = 100;

/// A guest of `tests/guests/plain` that does next to nothing: it replies its payload.
const GUEST: &str = "echo_sdk";

/// Part of the name of the function in which attempts are counted.
pub(crate) const MEASURED: &str = "attempts_that_are_counted";

/// A case.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    Attempt,
    Sqlite,
    Redis,
}

impl Case {
    pub(crate) const ALL: [Self; 3] = [Self::Attempt, Self::Sqlite, Self::Redis];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Sqlite => "sqlite",
            Self::Redis => "redis",
        }
    }

    /// Jobs it runs with, and with twice as many.
    pub(crate) fn jobs(self) -> usize {
        match self {
            Self::Attempt => 200,
            Self::Sqlite | Self::Redis => 20 * BATCH,
        }
    }

    /// Runs it. Whoever calls this counts.
    ///
    /// # Errors
    /// If anything is not as it should be: what is counted must be what was meant.
    pub(crate) fn run(self, jobs: usize) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Attempt => attempts(jobs),
            Self::Sqlite => {
                let folder = tempfile::tempdir()?;
                runtime.block_on(rounds(&BrokerUrl::file(folder.path().join("jobs.db")), jobs))
            }
            Self::Redis => {
                let mut server = RedisServer::start();
                let url = server.url().parse().map_err(anyhow::Error::msg)?;
                runtime.block_on(rounds(&url, jobs))?;
                // It answers nothing, but ends, and only then is written down what was counted.
                let _ = server.try_command("SHUTDOWN NOSAVE");
                ensure!(wait_until(SOON, || !server.is_up()), "redis-server does not end");
                Ok(())
            }
        }
    }
}

fn attempts(jobs: usize) -> anyhow::Result<()> {
    let sandbox = Sandbox::new(&SandboxConfig { slots: 1, ..SandboxConfig::default() })?;
    ensure!(sandbox.on_demand().is_none(), "there is no pool of instances here: {:?}", sandbox.on_demand());
    let guest = catalogue::plain().into_iter().find(|case| case.name == GUEST).context("the guest was renamed")?;
    let module = sandbox.load(&guest.wasm)?;
    // Time passes slowly under valgrind.
    let limits = Limits { timeout: Duration::from_secs(600), ..Limits::default() };
    let attempt = || {
        let call = Call { task: "noop".to_owned(), payload: vec![b'x'; PAYLOAD], ..Call::default() };
        let report = sandbox.run(&module, call, &limits, &Cancel::new())?;
        ensure!(report.outcome.kind() == OutcomeKind::Succeeded, "an attempt ended as {}", report.outcome.kind());
        Ok(())
    };
    // Once before, to be warm.
    attempt()?;
    attempts_that_are_counted(jobs, attempt)
}

/// Without a closure of its own, whose name would have this one in it: counting would end where it is called.
#[inline(never)]
fn attempts_that_are_counted(jobs: usize, attempt: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    for _ in 0..black_box(jobs) {
        attempt()?;
    }
    Ok(())
}

async fn rounds(url: &BrokerUrl, jobs: usize) -> anyhow::Result<()> {
    let broker = open(url, Clock::Broker).await?;
    for _ in 0..jobs / BATCH {
        let jobs = (0..BATCH).map(|_| NewJob::new("noop", vec![b'x'; PAYLOAD])).collect();
        broker.enqueue(jobs).await?;
        let request = LeaseRequest {
            queues: vec!["default".to_owned()],
            max: BATCH,
            begin: BATCH,
            max_bytes: usize::MAX,
            worker: "guard".to_owned(),
            duration: Duration::from_secs(3600),
        };
        let leases = broker.lease(&request).await?;
        ensure!(leases.len() == BATCH, "{} jobs were leased", leases.len());
        let settlements: Vec<_> = leases.into_iter().map(success).collect();
        let settled = broker.settle(&settlements).await?;
        ensure!(settled.iter().all(|settled| *settled == Settled::Done), "a lease was lost");
    }
    Ok(())
}

/// What a worker settles of a job that succeeded at once.
fn success(lease: Lease) -> Settle {
    let (reference, mut history) = (lease.reference(), lease.job.history);
    history.push(AttemptRecord {
        number: 1,
        worker: "guard".to_owned(),
        module: Some(format!("sha256:{}", "0123456789abcdef".repeat(4))),
        started_at: Some(Timestamp(lease.since.0)),
        finished_at: Timestamp(lease.since.0 + 10),
        outcome: OutcomeKind::Succeeded,
        error: None,
        usage: Usage::default(),
    });
    Settle {
        lease: reference,
        settlement: Settlement::Complete { reply: vec![b'y'; 10], keep: Duration::from_secs(3600) },
        counters: lease.job.counters,
        history: history.into(),
        outcome: OutcomeKind::Succeeded,
        jobs: Vec::new(),
    }
}
