//! Jobs that arrive at a steady rate, whatever became of those before: at each tick of a millisecond those that are due, in
//! one call. A job's time begins with its tick, even where the producer is late.

use std::time::Duration;

use afresh_bench_kit::{Stage, drain};
use afresh_harness::SOON;
use afresh_queue::{Client, Timestamp};
use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::sample::{Sample, job};

const TICK: Duration = Duration::from_millis(1);

/// At each of so many ticks, one job's result is waited for. More who wait would be a load of their own.
const WAITED_FOR: usize = 10;

/// Jobs whose records are read when all is over.
const READ: usize = 10_000;

/// `rate` jobs a second.
pub(crate) async fn measure(stage: &Stage, rate: f64, seconds: f64) -> anyhow::Result<Sample> {
    let client = Client::from_broker(stage.broker.clone());
    let mut sample = Sample::default();
    let (mut handed, mut calls) = (Vec::new(), JoinSet::new());
    let (began, origin) = (Instant::now(), Timestamp::now());
    // One that comes late is followed by the next at once.
    let mut ticks = tokio::time::interval_at(began + TICK, TICK);
    for tick in 1..=(seconds / TICK.as_secs_f64()) as usize {
        let due = ticks.tick().await;
        let (after, at) = (due - began, origin.after(due - began));
        let jobs: Vec<_> = (handed.len()..(after.as_secs_f64() * rate) as usize).map(job).collect();
        let Some(first) = jobs.first().map(|job| job.id.clone()) else { continue };
        handed.extend(jobs.iter().map(|job| (job.id.clone(), at)));
        let client = client.clone();
        let waits = (tick % WAITED_FOR == 0).then_some(first);
        calls.spawn(async move {
            client.enqueue_all(jobs).await?;
            let Some(first) = waits else { return Ok(None) };
            client.wait_for_result(&first, SOON).await?.context("a job does not end")?;
            anyhow::Ok(Some(due.elapsed()))
        });
    }
    while let Some(call) = calls.join_next().await {
        sample.result.extend(call??);
    }
    drain::until_empty(stage).await?;
    for (id, at) in handed.iter().step_by(handed.len().div_ceil(READ).max(1)) {
        let job = stage.broker.job(id).await?.context("a job is gone")?;
        sample.add(*at, &job, stage.broker.result(id).await?.as_deref())?;
    }
    Ok(sample)
}
