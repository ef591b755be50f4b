//! A worker with two slots on a Redis of its own, with all hostile guests as its tasks.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use afresh_harness::catalogue::{self, Case};
use afresh_harness::{RedisServer, SOON, Worker};
use afresh_queue::{Broker, Clock, JobId, JobOptions, JobView, NewJob, open};
use anyhow::{Context as _, ensure};
use tempfile::TempDir;

/// The queue of the small jobs, and that of the hostile ones.
pub(crate) const QUEUES: [&str; 2] = ["default", "hostile"];

/// A task that returns at once.
const SMALL: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\x0a\x04\x01\x02\0\x0b";

pub(crate) struct Site {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) worker: Worker,
    _folder: TempDir,
    _redis: RedisServer,
}

impl Site {
    pub(crate) async fn start(program: &Path, cases: &[Case]) -> anyhow::Result<Self> {
        let (folder, redis) = (tempfile::tempdir()?, RedisServer::start());
        let tasks = folder.path().join("tasks");
        fs::create_dir(&tasks)?;
        fs::write(tasks.join("small.wasm"), SMALL)?;
        for case in cases {
            fs::write(tasks.join(format!("{}.wasm", case.name)), &case.wasm)?;
        }
        fs::write(folder.path().join("afresh.toml"), catalogue::config(cases))?;
        let worker = afresh_harness::worker(program).folder(folder.path()).tasks(&tasks).broker(&redis.url());
        let worker = worker.queues(&QUEUES.join(",")).slots(2).start();
        worker.says("worker started");
        let broker = open(&redis.url().parse().map_err(anyhow::Error::msg)?, Clock::Broker).await?;
        Ok(Self { broker, worker, _folder: folder, _redis: redis })
    }

    /// Hands over a small job.
    pub(crate) async fn small(&self) -> anyhow::Result<JobId> {
        self.enqueue(NewJob::new("small", "")).await
    }

    /// Hands over a hostile one, with this time limit.
    pub(crate) async fn hostile(&self, case: &Case, timeout_ms: u64) -> anyhow::Result<JobId> {
        let options = JobOptions {
            timeout_ms: Some(timeout_ms),
            memory: case.number("memory"),
            max_attempts: Some(1),
            ..JobOptions::default()
        };
        self.enqueue(NewJob::new(case.name.as_str(), "").queue(QUEUES[1]).options(options)).await
    }

    async fn enqueue(&self, job: NewJob) -> anyhow::Result<JobId> {
        let id = job.id.clone();
        self.broker.enqueue(vec![job]).await?;
        Ok(id)
    }

    /// The job, once it is as it should be.
    pub(crate) async fn wait(&self, id: &JobId, is_so: impl Fn(&JobView) -> bool) -> anyhow::Result<JobView> {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let job = self.broker.job(id).await?.context("a job is gone")?;
            if is_so(&job) {
                return Ok(job);
            }
            ensure!(tokio::time::Instant::now() < deadline, "job {id} does not get on: {job:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn ends(&self, id: &JobId) -> anyhow::Result<JobView> {
        self.wait(id, |job| job.state.is_terminal()).await
    }

    /// Resident memory of the worker in MiB.
    pub(crate) fn resident(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.worker.pid()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kib.and_then(|kib| kib.parse::<f64>().ok()).context("the kernel tells no VmRSS")? / 1024.0)
    }
}
