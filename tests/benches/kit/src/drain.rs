//! How long workers take for what is queued.
//!
//! The jobs are handed over while the queue is paused. What is timed is the time from the pause's end, of which workers that
//! wait hear at once, until no job is queued or runs: so it begins with the first lease and ends with the last settlement,
//! and neither the start of a process nor the loading of a module is in it. The broker is asked for its counts, rarely while
//! much is left and often towards the end, so that asking disturbs nobody.

use std::time::{Duration, Instant};

use afresh_queue::{NewJob, QueueCounts};
use anyhow::ensure;

use crate::stage::Stage;

/// The shortest and the longest time between two looks at the counts.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// Longer than any drain takes.
const TOO_LONG: Duration = Duration::from_secs(900);

/// A drain that is over.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Jobs that were run.
    pub jobs: usize,
    /// From the first lease to the last settlement.
    pub took: Duration,
}

impl Drain {
    /// Jobs a second.
    pub fn rate(&self) -> f64 {
        self.jobs as f64 / self.took.as_secs_f64()
    }
}

/// Hands these jobs over, lets the workers that are on the stage have them, and waits until all have succeeded.
///
/// # Errors
/// If the broker fails, one of the jobs dies, or they are not done in a quarter of an hour.
pub async fn drain(stage: &Stage, jobs: impl IntoIterator<Item = NewJob>) -> anyhow::Result<Drain> {
    stage.pause(true).await?;
    stage.enqueue(jobs).await?;
    let before = stage.counts().await?;
    stage.pause(false).await?;
    let began = Instant::now();
    let after = until_empty(stage).await?;
    let took = began.elapsed();
    ensure!(after.dead == before.dead, "{} of the jobs died", after.dead - before.dead);
    Ok(Drain { jobs: usize::try_from(before.queued)?, took })
}

/// Waits until no job is queued or runs.
///
/// # Errors
/// As for [`drain`].
pub async fn until_empty(stage: &Stage) -> anyhow::Result<QueueCounts> {
    until(stage, 0, |_| ()).await
}

/// Waits until no more than `most` jobs are queued or run; `look` is shown how many it are at each look.
///
/// # Errors
/// As for [`drain`].
pub async fn until(stage: &Stage, most: u64, mut look: impl FnMut(u64)) -> anyhow::Result<QueueCounts> {
    let began = Instant::now();
    let mut first = None;
    loop {
        let counts = stage.counts().await?;
        let left = counts.queued + counts.scheduled + counts.running;
        look(left);
        if left <= most {
            return Ok(counts);
        }
        let done = first.get_or_insert(left).saturating_sub(left);
        ensure!(began.elapsed() < TOO_LONG, "the queue is stuck with {left} jobs: {counts:?}");
        // A quarter of what it will take from here on, as far as it can be told.
        let pause = began.elapsed().mul_f64((left - most) as f64 / done.max(1) as f64 / 4.0);
        tokio::time::sleep(pause.clamp(LOOKS.0, LOOKS.1)).await;
    }
}
