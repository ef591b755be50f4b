//! `afresh worker`: the executor.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Broker, BrokerError, Retention};
use anyhow::Context as _;
use bytesize::ByteSize;

use super::{Session, Usage};
use crate::attempt::Workshop;
use crate::config::Config;
use crate::shutdown::Shutdown;
use crate::worker::backoff::Backoff;
use crate::worker::turns::Served;
use crate::worker::{Worker, WorkerSettings};
use crate::{registry, setup};

/// Take jobs and run them, each attempt in a fresh instance
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The folder of task modules (*.wasm); it is watched
    #[arg(long, value_name = "DIR", env = "AFRESH_TASKS")]
    tasks: Option<PathBuf>,
    /// The queues to serve, each with its weight: a full one gets that share of the jobs taken [default: default]
    #[arg(long, value_name = "NAME[=WEIGHT],…", value_delimiter = ',', env = "AFRESH_QUEUES")]
    queues: Option<Vec<Served>>,
    /// Serve the queues in this order: the next one only while those before it are empty
    #[arg(long, env = "AFRESH_STRICT")]
    strict: bool,
    /// Slots: attempts at the same time [default: the cores]
    #[arg(long, value_name = "N", env = "AFRESH_CONCURRENCY")]
    concurrency: Option<usize>,
    /// What guests may take together [default: 80 % of the cgroup's or machine's memory]
    #[arg(long, value_name = "SIZE", env = "AFRESH_MEMORY_BUDGET")]
    memory_budget: Option<ByteSize>,
    /// How long a lease lasts without a heartbeat [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, env = "AFRESH_LEASE")]
    lease: Option<Duration>,
    /// How long attempts may go on after SIGTERM or Ctrl-C [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, env = "AFRESH_SHUTDOWN_TIMEOUT")]
    shutdown_timeout: Option<Duration>,
    /// End with 0 once nothing is queued, scheduled or running
    #[arg(long, env = "AFRESH_BURST")]
    burst: bool,
    /// End with 1 if the broker cannot be reached at the start, instead of trying until it can
    #[arg(long, env = "AFRESH_REQUIRE_BROKER")]
    require_broker: bool,
}

impl Args {
    /// The configuration with these flags laid over it.
    fn over(&self, config: &Config) -> anyhow::Result<Config> {
        let mut config = config.clone();
        let worker = &mut config.worker;
        if let Some(tasks) = &self.tasks {
            worker.tasks.clone_from(tasks);
        }
        if let Some(queues) = &self.queues {
            worker.queues.clone_from(queues);
        }
        worker.strict |= self.strict;
        worker.concurrency = self.concurrency.unwrap_or(worker.concurrency);
        worker.memory_budget = self.memory_budget.unwrap_or(worker.memory_budget);
        worker.lease = self.lease.unwrap_or(worker.lease);
        worker.shutdown_timeout = self.shutdown_timeout.unwrap_or(worker.shutdown_timeout);
        // The file by itself was checked before.
        config.check().map_err(|error| Usage(format!("{error:#}")))?;
        Ok(config)
    }
}

/// Runs the verb.
///
/// # Errors
/// When the worker cannot start, or the broker can never serve.
pub(super) fn run(session: &Session, args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.over(&session.config)?;
    let settings = settings(&config, args.burst);
    let shop = Arc::new(setup::workshop(&config, &config.worker.tasks)?);
    let _watcher = registry::watch(shop.registry.clone())
        .with_context(|| format!("failed to watch the tasks folder {}", config.worker.tasks.display()))?;
    super::block_on(async {
        let (_, mut shutdown) = Shutdown::on_signals().context("failed to listen for signals")?;
        let Some(broker) = open(session, args.require_broker, &mut shutdown).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        announce(&*broker, &shop, &settings);
        if reach(&*broker, args.require_broker, &mut shutdown).await? {
            Worker::new(broker, shop, settings).run(shutdown).await?;
        }
        tracing::info!("worker stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// How a worker of this configuration works.
pub(super) fn settings(config: &Config, burst: bool) -> WorkerSettings {
    WorkerSettings {
        queues: config.worker.queues.clone(),
        strict: config.worker.strict,
        slots: setup::slots(config),
        lease: config.worker.lease,
        shutdown_timeout: config.worker.shutdown_timeout,
        burst,
        retention: Retention { dead_for: config.retention.dead_for, dead_bytes: config.retention.dead_bytes.as_u64() },
    }
}

fn announce(broker: &dyn Broker, shop: &Workshop, settings: &WorkerSettings) {
    let tasks = shop.registry.tasks();
    let queues: Vec<_> = settings.queues.iter().map(ToString::to_string).collect();
    tracing::info!(
        worker = shop.worker,
        slots = settings.slots,
        queues = queues.join(","),
        strict = settings.strict,
        memory_budget = %ByteSize::b(shop.budget.free()),
        tasks = tasks.join(","),
        "worker started, jobs come from {}",
        broker.describe()
    );
    if tasks.is_empty() && shop.registry.settled(Duration::ZERO) {
        let folder = shop.registry.folder().display();
        tracing::warn!("the tasks folder {folder} holds no task module yet; it is watched, so put one there any time");
    }
}

/// Opens the broker, and waits where it is only kept locked for the moment; `None` if the shutdown came first.
async fn open(session: &Session, required: bool, shutdown: &mut Shutdown) -> anyhow::Result<Option<Arc<dyn Broker>>> {
    let mut trouble = Backoff::default();
    loop {
        let error = tokio::select! {
            opened = session.open_broker() => match opened {
                Ok(broker) => return Ok(Some(broker)),
                Err(error) => error,
            },
            () = shutdown.begun() => return Ok(None),
        };
        let transient = error.downcast_ref::<BrokerError>().is_some_and(BrokerError::is_transient);
        if required || !transient {
            return Err(error);
        }
        let pause = trouble.pause("cannot start yet", &format_args!("{error:#}"));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.begun() => return Ok(None),
        }
    }
}

/// Waits until the broker serves; false if the shutdown came first.
async fn reach(broker: &dyn Broker, required: bool, shutdown: &mut Shutdown) -> anyhow::Result<bool> {
    let mut trouble = Backoff::default();
    loop {
        let checked = tokio::select! {
            checked = broker.check_to_work() => checked,
            () = shutdown.begun() => return Ok(false),
        };
        match checked {
            Ok(()) => {
                trouble.over("the broker answers");
                return Ok(true);
            }
            // It is there, but takes no writes. The worker's own loop waits that out, and takes what can be had: a Redis
            // that is full is drained by workers, so none of them may stay outside.
            Err(error @ BrokerError::Refused(_)) if !required => {
                tracing::error!("the broker takes no writes: {error}; going on with what it does take");
                return Ok(true);
            }
            Err(error) if error.is_transient() && !required => {
                let pause = trouble.pause("failed to reach the broker", &error);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.begun() => return Ok(false),
                }
            }
            Err(error) => return Err(error).context("failed to use the broker"),
        }
    }
}
