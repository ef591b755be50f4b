//! One run of one contender: a broker of its own, a worker, a second of quiet, the job, and so many seconds of attempts.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use afresh_harness::RedisServer;
use anyhow::Context as _;

use crate::afresh;
use crate::contender::{Attempt, Contender};
use crate::sample::{self, BrokerSample, Ms, Sampler, WorkerSample};
use crate::scenario::Scenario;

/// The quiet second before the job, in which the worker's own memory is seen.
const QUIET: Duration = Duration::from_secs(1);
/// How long the first attempt may take to start; the window of the run begins with it.
const FIRST: Duration = Duration::from_secs(2);

/// Everything that was seen of one run. Samples and attempts are those of its window.
pub struct Recording {
    /// Whose run.
    pub name: String,
    /// How it looks for work.
    pub polling: Option<&'static str>,
    /// What it was asked to do.
    pub scenario: Scenario,
    /// The window's length.
    pub seconds: u64,
    /// When the first attempt started: the window's begin.
    pub begin: Ms,
    /// The worker's memory before the first attempt, in bytes.
    pub before: u64,
    /// The kernel's high-water mark of the worker's memory, in bytes: no peak between two samples escapes it.
    pub peak: u64,
    /// The worker, every 50 ms.
    pub worker: Vec<WorkerSample>,
    /// The broker, every 100 ms.
    pub broker: Vec<BrokerSample>,
    /// The attempts that started.
    pub attempts: Vec<Attempt>,
}

impl Recording {
    /// Whether this is ours, for which there are promises to keep.
    pub fn is_afresh(&self) -> bool {
        self.name == afresh::NAME
    }

    /// A name for files and columns, such as `dramatiq-2.0.0-stock-10-ms-text`.
    pub fn slug(&self) -> String {
        slug(&self.name, self.polling, self.scenario)
    }
}

/// Runs one contender.
///
/// # Errors
/// If it cannot be started, or starts no attempt.
pub fn record(contender: &dyn Contender, scenario: Scenario, seconds: u64, out: &Path) -> anyhow::Result<Recording> {
    let redis = RedisServer::start_with(&["--save", "", "--appendonly", "no"]);
    let log = out.join(format!("{}.log", slug(contender.name(), contender.polling(), scenario)));
    let mut running = contender.start(scenario, &redis.url(), &log)?;
    let pid = running.pid();
    let stop = AtomicBool::new(false);

    let (worker, broker, peak) = std::thread::scope(|scope| {
        let sampler = Sampler::start(scope, pid, &redis, &stop);
        let mut whole_run = || {
            sleep(QUIET);
            sample::reset_high_water_mark(pid)?;
            running.enqueue()?;
            sleep(FIRST + Duration::from_secs(seconds));
            sample::memory(pid, "VmHWM")
        };
        let peak = whole_run();
        stop.store(true, Ordering::Relaxed);
        let (worker, broker) = sampler.finish()?;
        anyhow::Ok((worker, broker, peak?))
    })?;

    let attempts = running.stop()?;
    let begin = attempts.first().with_context(|| format!("no attempt started; see {}", log.display()))?.started;
    let end = begin + seconds as f64 * 1000.0;
    let window = |at: Ms| (begin..=end).contains(&at);
    Ok(Recording {
        name: contender.name().to_owned(),
        polling: contender.polling(),
        scenario,
        seconds,
        begin,
        before: worker.iter().rfind(|sample| sample.at < begin).map_or(0, |sample| sample.rss),
        peak,
        worker: worker.into_iter().filter(|sample| window(sample.at)).collect(),
        broker: broker.into_iter().filter(|sample| window(sample.at)).collect(),
        attempts: attempts.into_iter().filter(|attempt| window(attempt.started)).collect(),
    })
}

fn slug(name: &str, polling: Option<&str>, scenario: Scenario) -> String {
    let words = [name, polling.unwrap_or_default(), scenario.word()].join(" ");
    words.to_lowercase().split([' ', ',']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}
