//! One case: a broker with so much of something, and the worker on it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use afresh_bench_kit::guest::{Guests, noop, numbered, payload};
use afresh_bench_kit::{Kind, QUEUE, Stage, drain};
use afresh_harness::Worker;
use afresh_queue::{JobId, Limit, NewJob, Scope};
use tempfile::TempDir;

use crate::What;

/// What is measured: the program, and the modules it runs.
pub(crate) struct Site {
    pub(crate) program: PathBuf,
    pub(crate) guests: Guests,
    /// Where all workers keep what they have compiled: a thousand modules take minutes.
    pub(crate) cache: TempDir,
}

pub(crate) struct Case {
    pub(crate) size: usize,
    what: What,
    // Before the stage: it ends first.
    _workers: Vec<Worker>,
    stage: Stage,
    /// How many jobs were enqueued whose ids are numbers.
    numbered: AtomicUsize,
}

/// Jobs that are taken off a queue, which is so much longer at first.
const TAKEN_OFF: usize = 20_000;

/// Who takes longer than this for them has stopped.
const TOO_LONG: Duration = Duration::from_secs(120);

/// Between two looks at whether a job has ended.
const LOOK: Duration = Duration::from_millis(5);

impl Case {
    /// Sets it up: the worker has run every module, and waits.
    pub(crate) async fn start(site: &Site, kind: Kind, what: What, size: usize) -> anyhow::Result<Self> {
        let stage = Stage::start(kind, &site.guests.noop).await?;
        stage.keep_compiled_in(&site.cache.path().join("compiled"))?;
        if what == What::Modules {
            for n in 0..size {
                stage.add_module(&numbered(n), &site.guests.numbered(n))?;
            }
        }
        let worker = || match what {
            What::Slots => stage.worker(&site.program).slots(size),
            _ => stage.worker(&site.program),
        };
        let workers = stage.warm_workers(1, worker).await?;
        let case = Self { size, what, _workers: workers, stage, numbered: AtomicUsize::new(0) };
        match what {
            What::Modules => drop(drain(&case.stage, case.jobs(size)).await?),
            What::Keys => {
                let limit = Limit { concurrency: Some(64), rate: None };
                case.stage.broker.set_limit(QUEUE, &Scope::EachKey, &limit).await?;
            }
            What::Queued | What::Slots => {}
        }
        case.stage.pause(true).await?;
        if what == What::Queued {
            case.enqueue_numbered(size).await?;
        }
        Ok(case)
    }

    /// Jobs a second, over so many.
    pub(crate) async fn rate(&self, jobs: usize) -> anyhow::Result<f64> {
        match self.what {
            What::Queued => self.taken_off().await,
            _ => Ok(drain(&self.stage, self.jobs(jobs)).await?.rate()),
        }
    }

    /// The same while so many more are queued than are measured. Jobs leave the queue in the order in which they came, so
    /// one tells when those before it have; to count them would have SQLite walk a million entries again and again, on
    /// the worker's cores.
    async fn taken_off(&self) -> anyhow::Result<f64> {
        let counts = self.stage.counts().await?;
        let before = self.size + TAKEN_OFF;
        self.enqueue_numbered(before - (counts.queued + counts.running) as usize).await?;
        let last = numbered_id(self.numbered.load(Ordering::Relaxed) - before + TAKEN_OFF - 1);
        self.stage.pause(false).await?;
        let began = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let job = self.stage.broker.job(&last).await?;
            if job.is_some_and(|job| job.state.is_terminal()) {
                break;
            }
            anyhow::ensure!(began.elapsed() < TOO_LONG, "the worker has stopped before the job {last}");
        }
        let rate = TAKEN_OFF as f64 / began.elapsed().as_secs_f64();
        self.stage.pause(true).await?;
        Ok(rate)
    }

    async fn enqueue_numbered(&self, count: usize) -> anyhow::Result<()> {
        let first = self.numbered.fetch_add(count, Ordering::Relaxed);
        self.stage.enqueue((first..first + count).map(|n| noop(n).id(numbered_id(n)))).await
    }

    fn jobs(&self, count: usize) -> impl Iterator<Item = NewJob> {
        let (what, size) = (self.what, self.size);
        (0..count).map(move |n| match what {
            What::Modules => NewJob::new(numbered(n % size), payload(n)),
            What::Keys => noop(n).key(format!("key-{}", n % size)),
            What::Queued | What::Slots => noop(n),
        })
    }
}

/// An id of the usual length, and as usual a later one is the larger.
fn numbered_id(n: usize) -> JobId {
    format!("{n:026}").parse().expect("digits are an id")
}
