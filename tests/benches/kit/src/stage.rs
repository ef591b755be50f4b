//! A broker of one's own, and real workers on it.

use std::path::Path;
use std::sync::Arc;

use afresh_harness::worker::Builder;
use afresh_harness::{RedisServer, Worker};
use afresh_queue::{Broker, BrokerUrl, Clock, NewJob, QueueCounts, Scope, open};
use anyhow::Context as _;
use tempfile::TempDir;

use crate::drain;
use crate::guest::noop;

/// The queue of all measurements.
pub const QUEUE: &str = "default";

/// Jobs handed over in one call.
const CHUNK: usize = 1_000;

/// Jobs that a worker runs before anything is measured.
const WARM_UP: usize = 2_000;

/// Which broker.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `redis-server` that keeps nothing on disk.
    Redis,
    /// The embedded broker, in a file.
    Sqlite,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Sqlite];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Sqlite => "SQLite",
        }
    }
}

/// A fresh broker, and a folder of task modules for the workers on it. All of it goes when it is dropped.
pub struct Stage {
    /// The broker, as a producer has it.
    pub broker: Arc<dyn Broker>,
    url: BrokerUrl,
    folder: TempDir,
    redis: Option<RedisServer>,
}

impl Stage {
    /// A broker, and a folder with this module in it, which is that of [`noop`].
    ///
    /// # Errors
    /// If the folder or the broker's file cannot be made.
    pub async fn start(kind: Kind, wasm: &[u8]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let redis = (kind == Kind::Redis).then(RedisServer::start);
        let url = match &redis {
            Some(server) => server.url().parse().map_err(anyhow::Error::msg)?,
            None => BrokerUrl::file(folder.path().join("jobs.db")),
        };
        std::fs::create_dir(folder.path().join("tasks"))?;
        let stage = Self { broker: open(&url, Clock::Broker).await?, url, folder, redis };
        stage.add_module("noop", wasm)?;
        Ok(stage)
    }

    /// Puts another module into the folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_module(&self, name: &str, wasm: &[u8]) -> anyhow::Result<()> {
        Ok(std::fs::write(self.folder.path().join("tasks").join(format!("{name}.wasm")), wasm)?)
    }

    /// Has the workers keep compiled modules in this folder, where those of other stages find them; they make it.
    ///
    /// # Errors
    /// If the configuration cannot be written.
    pub fn keep_compiled_in(&self, cache: &Path) -> anyhow::Result<()> {
        let config = format!("[worker]\ncache = '{}'\n", cache.display());
        Ok(std::fs::write(self.folder.path().join("afresh.toml"), config)?)
    }

    /// Where the broker's server is, if it is one.
    pub fn redis_url(&self) -> Option<String> {
        self.redis.as_ref().map(RedisServer::url)
    }

    /// A worker with the settings that are its defaults, and a log that tells what an operator sees by default.
    pub fn worker(&self, program: &Path) -> Builder {
        let worker = afresh_harness::worker(program).folder(self.folder.path()).broker(&self.url.to_string());
        worker.tasks(&self.folder.path().join("tasks")).env("AFRESH_LOG", "info,redis=off")
    }

    /// Starts workers one after the other. Each has run some jobs when this returns, so that it has loaded the module.
    ///
    /// # Errors
    /// If the broker fails, or the jobs are not run.
    pub async fn warm_workers(&self, count: usize, start: impl Fn() -> Builder) -> anyhow::Result<Vec<Worker>> {
        let mut workers = Vec::new();
        for _ in 0..count {
            let worker = start().start();
            worker.says("worker started");
            workers.push(worker);
            self.enqueue((0..WARM_UP).map(noop)).await?;
            drain::until_empty(self).await?;
        }
        Ok(workers)
    }

    /// Hands jobs over.
    ///
    /// # Errors
    /// The broker's.
    pub async fn enqueue(&self, jobs: impl IntoIterator<Item = NewJob>) -> anyhow::Result<()> {
        let mut jobs = jobs.into_iter().peekable();
        while jobs.peek().is_some() {
            self.broker.enqueue(jobs.by_ref().take(CHUNK).collect()).await?;
        }
        Ok(())
    }

    /// Keeps all jobs from starting, or lets them go on.
    ///
    /// # Errors
    /// The broker's.
    pub async fn pause(&self, paused: bool) -> anyhow::Result<()> {
        self.broker.set_paused(QUEUE, &Scope::Queue, paused).await?;
        Ok(())
    }

    /// How many jobs stand where.
    ///
    /// # Errors
    /// The broker's, or where there never was a job.
    pub async fn counts(&self) -> anyhow::Result<QueueCounts> {
        let queues = self.broker.queues().await?;
        queues.into_iter().find(|counts| counts.queue == QUEUE).context("no job was ever enqueued")
    }
}
