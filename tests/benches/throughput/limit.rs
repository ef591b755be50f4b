//! The probe's drains, beside which ours stand.

use std::sync::Arc;

use afresh_bench_kit::{guest, median};
use afresh_harness::RedisServer;
use afresh_probe::{Guest, Queue};
use serde::Serialize;

/// Tasks that lease, run and acknowledge at the same time. More than these two numbers made nothing faster.
const FETCHERS: [usize; 2] = [2, 4];

/// Jobs a second.
#[derive(Serialize)]
pub(crate) struct Rates {
    /// Without instances, with 4 fetchers.
    pub(crate) bare: f64,
    /// With instances, with 2 fetchers.
    pub(crate) two: f64,
    /// With instances, with 4 fetchers.
    pub(crate) four: f64,
}

impl Rates {
    /// With instances: the faster of the two.
    pub(crate) fn instances(&self) -> f64 {
        self.two.max(self.four)
    }

    pub(crate) fn median<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let of = |figure: fn(&Self) -> f64| median(all.clone().map(figure));
        Self { bare: of(|rates| rates.bare), two: of(|rates| rates.two), four: of(|rates| rates.four) }
    }
}

/// The probe.
pub(crate) struct Limit(Arc<Guest>);

impl Limit {
    pub(crate) fn new(wasm: &[u8]) -> anyhow::Result<Self> {
        let guest = Guest::new(wasm, FETCHERS[1] as u32)?;
        // A guest that does not work takes no time.
        let reply = guest.run(guest::payload(0))?;
        anyhow::ensure!(reply.is_empty(), "the no-op answered {}", String::from_utf8_lossy(&reply));
        Ok(Self(Arc::new(guest)))
    }

    pub(crate) async fn measure(&self, jobs: usize) -> anyhow::Result<Rates> {
        let guest = || Some(self.0.clone());
        Ok(Rates {
            bare: rate(jobs, FETCHERS[1], None).await?,
            two: rate(jobs, FETCHERS[0], guest()).await?,
            four: rate(jobs, FETCHERS[1], guest()).await?,
        })
    }
}

async fn rate(jobs: usize, fetchers: usize, guest: Option<Arc<Guest>>) -> anyhow::Result<f64> {
    let server = RedisServer::start();
    let queue = Queue::new(&server.url())?;
    queue.fill(jobs, &guest::payload(0), 1, 500).await?;
    Ok(jobs as f64 / queue.drain(jobs, fetchers, guest).await?.as_secs_f64())
}
