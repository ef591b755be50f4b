//! A queue of many jobs over many keys, leased and settled 64 at a time until it is empty, with and without limits.

use std::time::{Duration, Instant};

use afresh_queue::{Limit, NewJob, Rate, Retention, Scope};
use anyhow::ensure;

use crate::site::{QUEUE, Site};

/// Jobs leased in one call, as a busy worker does.
const BATCH: usize = 64;

/// A way to drain.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    limit: Option<Limit>,
    /// Whether the jobs of a key stand together, so that most of them are held for a while.
    bunched: bool,
}

/// The first is what the others are compared with.
pub(crate) const CASES: [Case; 4] = [
    Case { name: "no limits", limit: None, bunched: false },
    Case { name: "4 at once a key", limit: Some(AT_ONCE), bunched: false },
    Case { name: "the same, keys in a row", limit: Some(AT_ONCE), bunched: true },
    Case { name: "4 at once, and a rate", limit: Some(BOTH), bunched: false },
];

const AT_ONCE: Limit = Limit { concurrency: Some(4), rate: None };

/// A rate that is looked at for each job and holds none for long.
const BOTH: Limit =
    Limit { concurrency: Some(4), rate: Some(Rate { every: Duration::from_micros(10), burst: 100_000 }) };

/// Seconds.
pub(crate) struct Times {
    /// In calls that lease.
    pub(crate) leasing: f64,
    /// From the first lease to the last settlement.
    pub(crate) all: f64,
}

pub(crate) async fn run(site: &Site, case: &Case, jobs: usize, keys: usize) -> anyhow::Result<Times> {
    let key = |n: usize| if case.bunched { n / (jobs / keys).max(1) } else { n % keys };
    site.enqueue((0..jobs).map(|n| NewJob::new("t", vec![0; 100]).key(format!("key-{}", key(n)))).collect()).await?;
    if let Some(limit) = &case.limit {
        site.broker.set_limit(QUEUE, &Scope::EachKey, limit).await?;
    }
    let (began, mut leasing, mut done) = (Instant::now(), Duration::ZERO, 0);
    while done < jobs {
        let asked = Instant::now();
        let leases = site.lease(BATCH).await?;
        leasing += asked.elapsed();
        if leases.is_empty() {
            // As a worker does that finds nothing: what is due is made available.
            site.broker.promote(&[QUEUE.to_owned()], &Retention::default()).await?;
            ensure!(began.elapsed() < Duration::from_secs(600), "the queue is stuck with {done} of {jobs} jobs done");
        }
        done += leases.len();
        site.complete(&leases).await?;
    }
    Ok(Times { leasing: leasing.as_secs_f64(), all: began.elapsed().as_secs_f64() })
}
