//! The load: producers that hand over jobs of every kind in batches, again and again until each batch is acknowledged, and
//! wait while the backlog is long enough. What they mean to send, and what they were told, stands in a file.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use afresh_harness::SOON;
use afresh_queue::{Broker, Client, Clock, JobOptions, Link, NewJob, Timestamp};
use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::guests::Task;
use crate::ledger::{Asked, Said, now};

/// The queues of every run, as a worker is told of them.
pub const QUEUES: [&str; 3] = ["first", "second", "third"];

/// Producers at work at the same time.
const PRODUCERS: usize = 3;

/// Jobs in one call.
const BATCH: u64 = 100;

/// No more are handed over while so many wait.
const BACKLOG: u64 = 4_000;

/// How long it takes before what failed is repeated, and before a producer looks again whether there is room.
pub const PAUSE: Duration = Duration::from_millis(100);

/// A crowd of producers at work.
pub struct Load {
    shared: Arc<Shared>,
    producers: JoinSet<anyhow::Result<()>>,
}

struct Shared {
    broker: Arc<dyn Broker>,
    ledger: Mutex<File>,
    stop: AtomicBool,
    /// Jobs that were handed over.
    sent: AtomicU64,
    /// How many there are to be, spread over how long, from when on.
    most: u64,
    span: Duration,
    began: Instant,
    repeats: AtomicU64,
}

impl Load {
    /// Starts producers that hand over at most so many jobs in such a time, which `seed` decides on; what they do goes into
    /// `file`.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn start(broker: Arc<dyn Broker>, file: &Path, seed: u64, most: u64, span: Duration) -> anyhow::Result<Self> {
        let ledger = Mutex::new(File::options().create_new(true).append(true).open(file)?);
        let (sent, repeats) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared {
            broker,
            ledger,
            stop: AtomicBool::new(false),
            sent,
            most,
            span,
            began: Instant::now(),
            repeats,
        });
        let mut producers = JoinSet::new();
        for number in 0..PRODUCERS {
            let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
            producers.spawn(shared.clone().produce(random));
        }
        Ok(Self { shared, producers })
    }

    /// How many jobs were handed over so far, those that follow others not counted.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// How many calls were repeated so far.
    pub fn repeats(&self) -> u64 {
        self.shared.repeats.load(Ordering::Relaxed)
    }

    /// Whether all jobs there are to be were handed over.
    pub fn is_done(&self) -> bool {
        self.sent() >= self.shared.most
    }

    /// Lets no further batch begin, and waits until those that have begun are acknowledged.
    ///
    /// # Errors
    /// If one was refused for good, or is not acknowledged soon although there are no faults any more.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let end = tokio::time::Instant::now() + SOON;
        while let Some(done) = tokio::time::timeout_at(end, self.producers.join_next()).await.transpose() {
            done.context("a batch is not acknowledged, however often it is sent")?.context("a producer panicked")??;
        }
        Ok(())
    }
}

impl Shared {
    async fn produce(self: Arc<Self>, mut random: StdRng) -> anyhow::Result<()> {
        let client = Client::from_broker(self.broker.clone());
        while !self.stop.load(Ordering::Relaxed) {
            if self.is_early() || waiting(&*self.broker).await.is_none_or(|waiting| waiting > BACKLOG) {
                sleep(PAUSE).await;
                continue;
            }
            let first = self.sent.fetch_add(BATCH, Ordering::Relaxed);
            if first >= self.most {
                return Ok(());
            }
            let jobs: Vec<_> = (first..first + BATCH).map(|number| job(number, &mut random)).collect();
            self.say(&Said::Asked(jobs.iter().flat_map(asked).collect()))?;
            let ids = jobs.iter().map(|job| job.id.to_string()).collect();
            while let Err(error) = client.enqueue_all(jobs.clone()).await {
                anyhow::ensure!(error.is_transient(), "a batch was refused for good: {error}");
                self.repeats.fetch_add(1, Ordering::Relaxed);
                sleep(PAUSE).await;
            }
            self.say(&Said::Acknowledged { at: now(), ids })?;
        }
        Ok(())
    }

    /// Whether more were handed over than a constant rate would have by now.
    fn is_early(&self) -> bool {
        let share = self.began.elapsed().as_secs_f64() / self.span.as_secs_f64();
        self.sent.load(Ordering::Relaxed) as f64 > share * self.most as f64
    }

    fn say(&self, said: &Said) -> anyhow::Result<()> {
        let mut file = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(format!("{}\n", serde_json::to_string(said)?).as_bytes())?;
        Ok(file.sync_data()?)
    }
}

/// How many jobs have not ended; `None` while the broker does not say.
pub async fn waiting(broker: &dyn Broker) -> Option<u64> {
    let queues = broker.queues().await.ok()?;
    Some(queues.iter().map(|queue| queue.scheduled + queue.queued + queue.running).sum())
}

/// A broker of a producer's own.
///
/// # Errors
/// If it can never serve.
pub async fn open(url: &afresh_queue::BrokerUrl) -> anyhow::Result<Arc<dyn Broker>> {
    Ok(afresh_queue::open(url, Clock::Broker).await?)
}

/// The job of this number.
fn job(number: u64, random: &mut StdRng) -> NewJob {
    let task = Task::any(random);
    let mut job = NewJob::new(task.to_string(), format!("payload of {number}")).id(id(&format!("j{number}")));
    job.queue = QUEUES[random.random_range(0..QUEUES.len())].to_owned();
    job.options = options(task, random);
    if random.random_ratio(1, 20) {
        job.run_at = Some(Timestamp::now().after(Duration::from_millis(random.random_range(0..3_000))));
    }
    if random.random_ratio(1, 100) {
        let links = 1..=random.random_range(1..=2);
        let link = |place| Link {
            options: options(Task::Quick, random),
            ..Link::new(id(&format!("j{number}.{place}")), "quick")
        };
        job.then = links.map(link).collect();
    }
    job
}

fn options(task: Task, random: &mut StdRng) -> JobOptions {
    let max_attempts = match task {
        Task::Trapped => 2,
        Task::Quick | Task::Sleeper if random.random_ratio(1, 20) => 1,
        _ => 6,
    };
    JobOptions {
        priority: if random.random_ratio(1, 5) { random.random_range(-5..=5) } else { 0 },
        max_attempts: Some(max_attempts),
        min_backoff_ms: Some(20),
        max_backoff_ms: Some(500),
        ..JobOptions::default()
    }
}

/// It, and what is to follow it, as the ledger has them.
fn asked(job: &NewJob) -> Vec<Asked> {
    let task = *Task::ALL.iter().find(|task| task.to_string() == job.task).expect("a task of ours");
    let attempts = |options: &JobOptions| options.max_attempts.expect("ours say it");
    let mut chain = vec![Asked { id: job.id.to_string(), task, max_attempts: attempts(&job.options), after: None }];
    for link in &job.then {
        let after = chain.last().map(|before| before.id.clone());
        chain.push(Asked { id: link.id.to_string(), task: Task::Quick, max_attempts: attempts(&link.options), after });
    }
    chain
}

fn id(text: &str) -> afresh_queue::JobId {
    text.parse().expect("a job's id")
}
