//! A broker of one's own for a measurement, and the words for what is done with it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use afresh_harness::RedisServer;
use afresh_queue::{Broker, BrokerUrl, Clock, Lease, LeaseRequest, NewJob, Settle, Settlement, Written, open};

/// The queue of all measurements.
pub(crate) const QUEUE: &str = "default";

/// Jobs handed over in one call.
const CHUNK: usize = 1_000;

/// Which broker.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Redis,
    Sqlite,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Sqlite => "SQLite",
        }
    }
}

/// A fresh broker; the server or folder behind it goes with it.
pub(crate) struct Site {
    pub(crate) broker: Arc<dyn Broker>,
    _parts: Box<dyn Any>,
}

impl Site {
    pub(crate) async fn start(kind: Kind) -> anyhow::Result<Self> {
        let (url, parts): (BrokerUrl, Box<dyn Any>) = match kind {
            Kind::Redis => {
                let server = RedisServer::start();
                (server.url().parse().map_err(anyhow::Error::msg)?, Box::new(server))
            }
            Kind::Sqlite => {
                let folder = tempfile::tempdir()?;
                (BrokerUrl::file(folder.path().join("jobs.db")), Box::new(folder))
            }
        };
        Ok(Self { broker: open(&url, Clock::Broker).await?, _parts: parts })
    }

    pub(crate) async fn enqueue(&self, jobs: Vec<NewJob>) -> anyhow::Result<()> {
        for chunk in jobs.chunks(CHUNK) {
            self.broker.enqueue(chunk.to_vec()).await?;
        }
        Ok(())
    }

    pub(crate) async fn lease(&self, max: usize) -> anyhow::Result<Vec<Lease>> {
        let request = LeaseRequest {
            queues: vec![QUEUE.to_owned()],
            max,
            begin: max,
            max_bytes: usize::MAX,
            worker: "bench".to_owned(),
            duration: Duration::from_secs(600),
        };
        Ok(self.broker.lease(&request).await?)
    }

    /// Settles them as succeeded, with nothing kept.
    pub(crate) async fn complete(&self, leases: &[Lease]) -> anyhow::Result<()> {
        let settles: Vec<_> = leases
            .iter()
            .map(|lease| Settle {
                lease: lease.reference(),
                settlement: Settlement::Complete { reply: Vec::new(), keep: Duration::ZERO },
                counters: lease.job.counters,
                history: Written::default(),
                outcome: "succeeded".parse().expect("an outcome"),
                jobs: Vec::new(),
            })
            .collect();
        self.broker.settle(&settles).await?;
        Ok(())
    }
}
