//! One job at a time, handed over to a worker that has nothing else to do.

use std::time::{Duration, Instant};

use afresh_bench_kit::Stage;
use afresh_harness::SOON;
use afresh_queue::{Client, Timestamp};
use anyhow::Context as _;

use crate::sample::{Sample, job};

pub(crate) async fn measure(stage: &Stage, jobs: usize, pause: Duration) -> anyhow::Result<Sample> {
    let client = Client::from_broker(stage.broker.clone());
    let mut sample = Sample::default();
    for n in 0..jobs {
        let job = job(n);
        let id = job.id.clone();
        tokio::time::sleep(pause).await;
        let (began, at) = (Instant::now(), Timestamp::now());
        client.enqueue(job).await?;
        let finished = client.wait_for_result(&id, SOON).await?.context("a job does not end")?;
        sample.result.push(began.elapsed());
        sample.add(at, &finished.job, finished.reply.as_deref())?;
    }
    Ok(sample)
}
