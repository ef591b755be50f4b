//! Tells the broker that this worker is there and what it runs, so that people see it. Nothing waits for it: a broker
//! that does not take it costs a line in the log, and no job.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Broker, BrokerError, Timestamp, WorkerInfo};

use super::WorkerSettings;
use super::backoff::{Backoff, spread};
use super::board::Board;
use crate::attempt::Workshop;
use crate::machine;
use crate::shutdown::Shutdown;

/// The longest time between two announcements. People wait no longer than this to see what a worker runs.
const AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// A worker counts as gone when so many announcements in a row did not come.
const MISSED: u32 = 3;

/// How long a broker may take to hear that the worker ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// Announces this worker.
pub struct Presence {
    broker: Arc<dyn Broker>,
    shop: Arc<Workshop>,
    board: Arc<Board>,
    /// What does not change while the worker lives.
    info: WorkerInfo,
    every: Duration,
}

impl Presence {
    /// The presence of a worker with these settings, which starts now.
    pub fn new(broker: Arc<dyn Broker>, shop: Arc<Workshop>, board: Arc<Board>, settings: &WorkerSettings) -> Self {
        let info = WorkerInfo {
            name: shop.worker.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: machine::hostname(),
            pid: std::process::id(),
            started_at: Timestamp::now(),
            queues: settings.queues.iter().map(ToString::to_string).collect(),
            slots: settings.slots,
            memory_budget_bytes: shop.budget.total(),
            ..WorkerInfo::default()
        };
        Self { broker, shop, board, info, every: AT_LEAST_EVERY.min(settings.lease / MISSED) }
    }

    /// Announces until it is dropped: again and again, and at once when the shutdown begins.
    pub async fn run(self, mut shutdown: Shutdown) {
        let mut trouble = Backoff::default();
        let mut stopping = false;
        loop {
            match self.tick(stopping).await {
                Ok(()) => trouble.over("the broker takes what this worker says of itself again"),
                // Those who need the broker say that it is not there; this would only say it again.
                Err(error @ BrokerError::Unavailable(_)) => {
                    tracing::debug!("this worker is not announced now: {error}")
                }
                Err(error) => {
                    let pause = trouble.pause("failed to announce this worker (its jobs do not need that)", &error);
                    tokio::time::sleep(pause).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(spread(self.every)) => {}
                () = shutdown.begun(), if !stopping => stopping = true,
            }
        }
    }

    /// One announcement.
    async fn tick(&self, stopping: bool) -> Result<(), BrokerError> {
        let running = self.board.running();
        let info = WorkerInfo {
            stopping,
            memory_used_bytes: self.shop.budget.total() - self.shop.budget.free(),
            running_total: running.len(),
            running,
            ..self.info.clone()
        };
        self.broker.announce(&info, self.every * MISSED).await
    }
}

/// The worker of this name ends: it is shown no more. Where the broker does not hear it in time, it is shown as gone.
pub async fn withdraw(broker: &dyn Broker, name: &str) {
    match tokio::time::timeout(GOODBYE, broker.withdraw(name)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("failed to withdraw this worker: {error}"),
        Err(_) => tracing::debug!("failed to withdraw this worker in time"),
    }
}
