//! One drain of one contender: jobs, then a worker, and its clock (see `main.rs`).

use std::fs::File;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use afresh_harness::{RedisServer, SOON};
use anyhow::{Context as _, ensure};

use crate::child::Group;
use crate::contender::Contender;
use crate::look::Look;
use crate::tree;

/// How often Redis is asked what is left.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How often memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(50);

/// One of so many jobs is not timed: the last. Who acknowledges many together, or by a timer, is not judged by how long he
/// waits for more.
const REST: u64 = 20;

/// How long a drain may take that is meant to take some seconds.
const AT_MOST: Duration = Duration::from_secs(300);

/// What was seen of a drain.
pub(crate) struct Drained {
    /// How many there were.
    pub(crate) jobs: usize,
    pub(crate) jobs_a_second: f64,
    /// The most resident bytes of the worker's processes together.
    pub(crate) peak: u64,
}

/// # Errors
/// If it does not take these jobs, or does not do them all; with the end of what its worker said.
pub(crate) fn run(contender: &dyn Contender, jobs: usize) -> anyhow::Result<Drained> {
    let redis = RedisServer::start_with(&["--save", "", "--appendonly", "no"]);
    contender.enqueue(&redis.url(), jobs).context("failed to enqueue")?;
    let mut look = Look::at(redis.address())?;
    let accepted = look.sum(contender.facts().left)?;
    ensure!(accepted == jobs as u64, "{jobs} jobs were enqueued, and Redis has {accepted}");

    let log = redis.folder().join("worker.log");
    let mut worker = contender.worker(&redis.url());
    worker.stdin(Stdio::null()).stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
    let mut group = Group::spawn(&mut worker)?;
    let drained = watch(group.head(), &mut look, contender.facts().left).with_context(|| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        format!("its worker said last: {:?}", last.into_iter().rev().collect::<Vec<_>>())
    })?;
    let failed = look.sum(contender.facts().failed)?;
    ensure!(failed == 0, "{failed} of {jobs} jobs failed");
    Ok(drained)
}

/// From the look that first sees a job gone to that which sees [`REST`] left; then until none is left, which is not timed.
fn watch(worker: &mut Child, look: &mut Look, left: &[&str]) -> anyhow::Result<Drained> {
    let (started, mut peak, mut looked) = (Instant::now(), 0, None);
    let all = look.sum(left)?;
    let (mut first, mut jobs_a_second) = (None, None);
    loop {
        let now = (Instant::now(), look.sum(left)?);
        if now.1 < all {
            let (began, begun) = *first.get_or_insert(now);
            if now.1 <= all / REST && jobs_a_second.is_none() {
                ensure!(begun > now.1, "nearly all of {all} jobs were gone at the first look: there were too few");
                jobs_a_second = Some((begun - now.1) as f64 / (now.0 - began).as_secs_f64());
            }
        }
        if let (Some(jobs_a_second), 0) = (jobs_a_second, now.1) {
            return Ok(Drained { jobs: all as usize, jobs_a_second, peak });
        }
        if looked.is_none_or(|at: Instant| at.elapsed() >= MEMORY_EVERY) {
            peak = peak.max(tree::resident(worker.id()));
            looked = Some(Instant::now());
        }
        if let Some(status) = worker.try_wait()? {
            // One that ends when nothing is left may have ended since this look.
            ensure!(look.sum(left)? == 0, "its worker ended ({status}) with {} jobs left", now.1);
        }
        ensure!(first.is_some() || started.elapsed() < SOON, "no job is done after {SOON:?}");
        ensure!(started.elapsed() < AT_MOST, "{} jobs are left after {AT_MOST:?}", now.1);
        sleep(LOOK_EVERY);
    }
}
