//! Times that were measured, and what is said of them.

use std::time::Duration;

use afresh_bench_kit::guest::{CLOCK, payload};
use afresh_bench_kit::{median, percentile};
use afresh_queue::{JobView, NewJob, State, Timestamp};
use anyhow::{Context as _, ensure};
use serde::Serialize;

/// From the moment a job was handed over.
#[derive(Default)]
pub(crate) struct Sample {
    /// Until its guest ran.
    pub(crate) start: Vec<Duration>,
    /// Until it was settled.
    pub(crate) settled: Vec<Duration>,
    /// Until who waited had its result.
    pub(crate) result: Vec<Duration>,
}

impl Sample {
    /// Takes in what the record and the reply of one job tell, which was handed over at `at`.
    pub(crate) fn add(&mut self, at: Timestamp, job: &JobView, reply: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(job.state == State::Succeeded, "a job came to {:?}", job.attempts);
        let reply = std::str::from_utf8(reply.context("a job has no result")?)?;
        let ran = Timestamp(reply.parse().with_context(|| format!("{reply} is no time"))?);
        self.start.push(ran.until_from(at));
        self.settled.push(job.finished_at.context("a job has no end")?.until_from(at));
        Ok(())
    }
}

/// A job whose reply tells when it ran.
pub(crate) fn job(n: usize) -> NewJob {
    NewJob::new(CLOCK, payload(n))
}

/// Milliseconds.
#[derive(Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
}

impl Percentiles {
    pub(crate) fn of(times: &[Duration]) -> Self {
        let of = |percent| percentile(times.iter().map(|time| time.as_secs_f64() * 1e3), percent);
        Self { p50: of(50.0), p99: of(99.0), p99_9: of(99.9) }
    }

    pub(crate) fn median(all: impl Iterator<Item = Self>) -> Self {
        let all: Vec<_> = all.collect();
        let of = |figure: fn(&Self) -> f64| median(all.iter().map(figure));
        Self { p50: of(|each| each.p50), p99: of(|each| each.p99), p99_9: of(|each| each.p99_9) }
    }
}
