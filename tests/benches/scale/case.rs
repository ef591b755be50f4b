//! One case: a broker with so much of something, and the worker on it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use afresh_bench_kit::guest::{Guests, noop, numbered, payload};
use afresh_bench_kit::{Kind, QUEUE, Stage, drain};
use afresh_harness::Worker;
use afresh_queue::{Limit, NewJob, Scope};
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
}

/// Jobs that are queued besides, where their number is kept up: what the worker does while the producer is not looking.
const RESERVE: usize = 4_000;

/// Between two looks at how many jobs are left, where their number is kept up.
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
        let case = Self { size, what, _workers: workers, stage };
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
            case.stage.enqueue(case.jobs(size + RESERVE)).await?;
        }
        Ok(case)
    }

    /// Jobs a second, over so many.
    pub(crate) async fn rate(&self, jobs: usize) -> anyhow::Result<f64> {
        match self.what {
            What::Queued => self.kept_up(jobs).await,
            _ => Ok(drain(&self.stage, self.jobs(jobs)).await?.rate()),
        }
    }

    /// The same with about as many queued all the time: as many are handed over as are done, in every case by the same
    /// producer at the same pace.
    async fn kept_up(&self, jobs: usize) -> anyhow::Result<f64> {
        self.stage.pause(false).await?;
        let (began, mut done) = (Instant::now(), 0);
        while done < jobs {
            tokio::time::sleep(LOOK).await;
            let counts = self.stage.counts().await?;
            let missing = (self.size + RESERVE).saturating_sub((counts.queued + counts.running) as usize);
            anyhow::ensure!(counts.queued > 0, "the queue ran dry: the producer is slower than the worker");
            self.stage.enqueue(self.jobs(missing)).await?;
            done += missing;
        }
        let rate = done as f64 / began.elapsed().as_secs_f64();
        self.stage.pause(true).await?;
        Ok(rate)
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
