//! Whatever happened to a queue: in the end every job that was accepted has come to one end, what was to follow it has
//! followed, no attempt was started that should not have been, and everything that was lent is back.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use afresh_host::attempt::Workshop;
use afresh_host::compiler::Compiler;
use afresh_host::compiler::bounds::Bounds;
use afresh_host::config::Config;
use afresh_host::grants::GrantBook;
use afresh_host::registry::Registry;
use afresh_host::shutdown::{Shutdown, Trigger};
use afresh_host::worker::budget::Budget;
use afresh_host::worker::{Worker, WorkerSettings, unique_name};
use afresh_queue::sqlite::SqliteBroker;
use afresh_queue::{
    Batch, BatchState, BatchView, Broker, Clock, JobId, JobView, Limit, Member, NewJob, Retention, Scope, State,
};
use afresh_sandbox::{InUse, OutcomeKind};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::attempt::sandbox;
use crate::counts::count;
use crate::generators::habits;
use crate::generators::history::{Happening, MOST_ATTEMPTS, QUEUE};

/// How long a lease lasts here without a heartbeat.
const LEASE: Duration = Duration::from_millis(50);

/// The memory of all guests of a worker: of two or three that ask for much.
const BUDGET: u64 = 1 << 20;

/// Waits are short, so that a history ends soon; the jobs themselves ask for the rest.
const CONFIG: &str = "
[limits]
waits = 3
[defaults]
min_backoff = \"0s\"
max_backoff = \"2ms\"
[tasks.enqueue]
enqueue = [\"default\"]
";

/// How long anything may take that takes no time, on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(60);

/// Lets it all happen, then everything come to its end, and looks.
///
/// # Panics
/// Where something does not hold.
pub fn replay(history: Vec<Happening>) {
    let mut site = Site::new();
    for happening in history {
        site.happen(happening);
    }
    site.settle_down();
    site.look();
}

/// A broker, its workers, and what was asked of them.
struct Site {
    runtime: Runtime,
    broker: Arc<dyn Broker>,
    workers: Vec<Running>,
    shops: Vec<Arc<Workshop>>,
    /// Whether one vanished, and its leases stand.
    vanished: bool,
    scopes: Vec<Scope>,
    jobs: Vec<JobId>,
    chains: Vec<Chain>,
    batches: Vec<JobId>,
}

/// Jobs of which each follows the one before, once that succeeded; mostly only one.
struct Chain {
    jobs: Vec<JobId>,
    batch: Option<JobId>,
    /// Whether the first of them follows the batch, once that ended.
    callback: bool,
}

/// A worker with a runtime of its own: to drop that one is to kill it.
struct Running {
    runtime: Runtime,
    shutdown: Trigger,
    handle: JoinHandle<anyhow::Result<()>>,
}

impl Site {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let broker = runtime.block_on(SqliteBroker::in_memory(Clock::Broker)).expect("a broker in memory");
        Self {
            runtime,
            broker: Arc::new(broker),
            workers: Vec::new(),
            shops: Vec::new(),
            vanished: false,
            scopes: Vec::new(),
            jobs: Vec::new(),
            chains: Vec::new(),
            batches: Vec::new(),
        }
    }

    fn happen(&mut self, happening: Happening) {
        let broker = self.broker.clone();
        match happening {
            Happening::Job(job) => {
                self.note_job(&job, None);
                self.runtime.block_on(broker.enqueue(vec![job])).expect("the job is accepted");
            }
            Happening::Batch(batch) => {
                self.note_batch(&batch);
                self.runtime.block_on(broker.enqueue_batch(&batch)).expect("the batch is accepted");
            }
            Happening::Cancel(back) => {
                let Some(id) = self.jobs.iter().rev().nth(back) else { return };
                self.runtime.block_on(broker.cancel(std::slice::from_ref(id))).expect("the broker answers");
            }
            Happening::CancelBatch => {
                let Some(id) = self.batches.last() else { return };
                self.runtime.block_on(broker.cancel_batch(id)).expect("the broker answers");
            }
            Happening::Pause(scope, paused) => {
                // Each key by itself cannot be paused.
                if scope != Scope::EachKey {
                    self.runtime.block_on(broker.set_paused(QUEUE, &scope, paused)).expect("the broker answers");
                    self.scopes.push(scope);
                }
            }
            Happening::Limit(scope, limit) => {
                self.runtime.block_on(broker.set_limit(QUEUE, &scope, &limit)).expect("the broker answers");
                self.scopes.push(scope);
            }
            Happening::Start(slots, shutdown) if self.workers.len() < 3 => self.start(slots, false, shutdown),
            Happening::Start(..) => {}
            Happening::ShutDown | Happening::Vanish if self.workers.is_empty() => {}
            Happening::ShutDown => self.workers.remove(0).shut_down(),
            Happening::Vanish => {
                self.workers.remove(0).runtime.shutdown_background();
                self.vanished = true;
            }
            Happening::Pass(span) => std::thread::sleep(span),
        }
    }

    fn note_job(&mut self, job: &NewJob, batch: Option<&JobId>) {
        count("jobs");
        self.jobs.push(job.id.clone());
        self.note_chain(job, batch, false);
    }

    fn note_chain(&mut self, first: &NewJob, batch: Option<&JobId>, callback: bool) {
        let jobs = std::iter::once(&first.id).chain(first.then.iter().map(|link| &link.id));
        self.chains.push(Chain { jobs: jobs.cloned().collect(), batch: batch.cloned(), callback });
    }

    fn note_batch(&mut self, batch: &Batch) {
        count("batches");
        for member in &batch.jobs {
            match member {
                Member::Job(job) => self.note_job(job, Some(&batch.id)),
                Member::Batch(batch) => self.note_batch(batch),
            }
        }
        if let Some(callback) = &batch.then {
            self.note_chain(callback, Some(&batch.id), true);
        }
        self.batches.push(batch.id.clone());
    }

    fn start(&mut self, slots: usize, burst: bool, shutdown_timeout: Duration) {
        count("workers");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let shop = Arc::new(Workshop {
            worker: unique_name(),
            sandbox: sandbox().clone(),
            registry: registry(),
            budget: Arc::new(Budget::new(BUDGET)),
            grants: GrantBook::default(),
        });
        self.shops.push(shop.clone());
        let settings = WorkerSettings {
            queues: vec![QUEUE.parse().expect("a queue")],
            strict: false,
            slots,
            lease: LEASE,
            shutdown_timeout,
            burst,
            retention: Retention::default(),
        };
        let (shutdown, begun) = Shutdown::new();
        let handle = runtime.spawn(Worker::new(self.broker.clone(), shop, settings).run(begun));
        self.workers.push(Running { runtime, shutdown, handle });
    }

    /// Nobody interferes any more, and workers work until nothing is left.
    fn settle_down(&mut self) {
        for worker in self.workers.drain(..) {
            worker.shut_down();
        }
        for scope in std::mem::take(&mut self.scopes) {
            self.runtime.block_on(self.broker.set_limit(QUEUE, &scope, &Limit::default())).expect("the broker answers");
            if scope != Scope::EachKey {
                self.runtime.block_on(self.broker.set_paused(QUEUE, &scope, false)).expect("the broker answers");
            }
        }
        if self.vanished {
            // Now its leases expire.
            std::thread::sleep(LEASE);
        }
        self.start(2, true, SOON);
        for worker in self.workers.drain(..) {
            worker.finish();
        }
        let start = Instant::now();
        while sandbox().in_use() != InUse::default() || self.shops.iter().any(|shop| shop.budget.free() != BUDGET) {
            assert!(start.elapsed() < SOON, "{:?} is not given back", sandbox().in_use());
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn look(&self) {
        for chain in &self.chains {
            self.look_at(chain);
        }
        for id in &self.batches {
            let batch = self.batch(id);
            assert_ne!(batch.state, BatchState::Open, "{batch:?}");
            let ended = batch.succeeded + batch.dead + batch.cancelled + batch.expired + batch.removed;
            if batch.state == BatchState::Finished {
                assert_eq!((batch.pending, ended), (0, batch.total), "{batch:?}");
            }
        }
    }

    /// Each of them was enqueued and has ended, if and only if the one before succeeded.
    fn look_at(&self, chain: &Chain) {
        let cancelled = chain.batch.as_ref().is_some_and(|id| self.batch(id).state == BatchState::Cancelled);
        let mut due = true;
        for (index, id) in chain.jobs.iter().enumerate() {
            let follows = index > 0 || chain.callback;
            let Some(job) = self.runtime.block_on(self.broker.job(id)).expect("the broker answers") else {
                // In a batch that was cancelled nothing follows any more.
                assert!(!due || follows && cancelled, "the job {id} is not there, of {:?}", chain.jobs);
                due = false;
                continue;
            };
            assert!(due, "the one before did not succeed: {job:?}");
            if follows {
                count(if index > 0 { "links" } else { "callbacks" });
            }
            count_ends(&job);
            assert_ended(&job);
            due = job.state == State::Succeeded;
        }
    }

    fn batch(&self, id: &JobId) -> BatchView {
        let batch = self.runtime.block_on(self.broker.batch(id)).expect("the broker answers");
        batch.unwrap_or_else(|| panic!("the batch {id} is gone"))
    }
}

impl Running {
    fn shut_down(self) {
        self.shutdown.begin();
        self.finish();
    }

    fn finish(self) {
        let ended = self.runtime.block_on(async { tokio::time::timeout(SOON, self.handle).await });
        ended.expect("the worker ends").expect("the worker does not panic").expect("the worker does not fail");
    }
}

fn count_ends(job: &JobView) {
    count(job.state.as_str());
    // What is a state as well was counted.
    let attempts = job.attempts.iter().map(|attempt| attempt.outcome);
    attempts
        .filter(|outcome| !matches!(outcome, OutcomeKind::Succeeded | OutcomeKind::Cancelled))
        .for_each(|outcome| count(outcome.as_str()));
}

/// One end, and the attempts that belong to it.
fn assert_ended(job: &JobView) {
    let succeeded = job.attempts.iter().filter(|attempt| attempt.outcome == OutcomeKind::Succeeded).count();
    match job.state {
        State::Succeeded => assert_eq!(succeeded, 1, "{job:?}"),
        State::Dead | State::Cancelled | State::Expired => assert_eq!(succeeded, 0, "{job:?}"),
        State::Scheduled | State::Queued | State::Running => panic!("it never ended: {job:?}"),
    }
    assert!(job.attempts_started <= job.max_attempts.unwrap_or(MOST_ATTEMPTS), "{job:?}");
}

/// The habits as a folder of task modules, compiled once, by children of this process.
fn registry() -> Arc<Registry> {
    static REGISTRY: LazyLock<(Arc<Registry>, TempDir)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in habits::ALL {
            let wasm = wat::parse_str(text).expect("a habit is a module");
            std::fs::write(folder.path().join(format!("{name}.wasm")), wasm).expect("a temporary file");
        }
        let cache = folder.path().join("cache");
        let compiler = Compiler::new(sandbox().clone(), &cache, Bounds::of(&config().worker)).expect("a compiler");
        let registry = Registry::new(folder.path(), compiler, config()).expect("threads that compile");
        registry.scan().expect("the folder is there");
        assert!(registry.settled(Duration::from_secs(60)), "a habit does not compile");
        assert_eq!(registry.tasks().len(), habits::ALL.len());
        (registry, folder)
    });
    REGISTRY.0.clone()
}

fn config() -> Config {
    Config::parse(CONFIG).expect("a configuration")
}
