//! A broker, a folder of tasks and the workers on them: what every test has for itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use afresh_harness::worker::Builder;
use afresh_harness::{RedisServer, SOON, Worker, wait_until};
use afresh_queue::{
    Batch, BatchView, Broker, BrokerError, BrokerUrl, Cancelled, Client, Clock, JobFilter, JobId, JobLog, JobOptions,
    JobView, Limit, NewJob, Scope, State, WorkerView,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::guests;

/// A broker and a folder.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) redis: Option<RedisServer>,
    runtime: Runtime,
    broker: Arc<dyn Broker>,
}

/// Makes of a test over a [`Site`] two tests, one for each broker.
macro_rules! on_each_broker {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            #[test]
            fn on_sqlite() {
                super::$test(&mut crate::site::Site::sqlite());
            }

            #[test]
            fn on_redis() {
                super::$test(&mut crate::site::Site::redis(&[]));
            }
        }
    )+};
}
pub(crate) use on_each_broker;

impl Site {
    /// On a SQLite file.
    pub(crate) fn sqlite() -> Self {
        let folder = TempDir::with_prefix("afresh-worker-").unwrap();
        let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        Self::at(folder, url, None)
    }

    /// On an empty Redis with these options.
    pub(crate) fn redis(options: &[&str]) -> Self {
        let redis = RedisServer::start_with(options);
        Self::at(TempDir::with_prefix("afresh-worker-").unwrap(), redis.url(), Some(redis))
    }

    /// On the servers at this URL, which the test keeps.
    pub(crate) fn on(url: &str) -> Self {
        Self::at(TempDir::with_prefix("afresh-worker-").unwrap(), url.to_owned(), None)
    }

    fn at(folder: TempDir, url: String, redis: Option<RedisServer>) -> Self {
        std::fs::create_dir(folder.path().join("tasks")).unwrap();
        let runtime = Runtime::new().unwrap();
        let place: BrokerUrl = url.parse().unwrap();
        let broker = runtime.block_on(afresh_queue::open(&place, Clock::Broker)).unwrap();
        Self { folder, url, redis, runtime, broker }
    }

    /// A worker on this broker with the tasks of this folder, not started yet.
    pub(crate) fn worker(&self) -> Builder {
        self.worker_with(&self.path("tasks"))
    }

    /// A worker on this broker with the tasks of another folder, not started yet.
    pub(crate) fn worker_with(&self, tasks: &Path) -> Builder {
        afresh_harness::worker(env!("CARGO_BIN_EXE_afresh")).folder(self.folder.path()).tasks(tasks).broker(&self.url)
    }

    /// A path in this site's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The worker's configuration file.
    pub(crate) fn config(&self, text: &str) {
        std::fs::write(self.path("afresh.toml"), text).unwrap();
    }

    /// Puts a task into the folder, as a careful deploy does: whole, under its name, at once.
    pub(crate) fn task(&self, name: &str, text: &str) {
        self.module(&format!("tasks/{name}.wasm"), &guests::wasm(text));
    }

    /// Puts a file of any content in its place at once.
    pub(crate) fn module(&self, file: &str, content: &[u8]) {
        let file = self.path(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file.with_extension("new"), content).unwrap();
        std::fs::rename(file.with_extension("new"), file).unwrap();
    }

    /// Hands a job over.
    pub(crate) fn enqueue(&self, job: NewJob) -> JobId {
        self.enqueue_all(vec![job]).remove(0)
    }

    /// Hands many jobs over at once.
    pub(crate) fn enqueue_all(&self, jobs: Vec<NewJob>) -> Vec<JobId> {
        let client = Client::from_broker(self.broker.clone());
        let enqueued = self.ask(async || client.enqueue_all(jobs.clone()).await);
        enqueued.into_iter().map(|job| job.id).collect()
    }

    /// Hands a batch over.
    pub(crate) fn enqueue_batch(&self, batch: &Batch) {
        let client = Client::from_broker(self.broker.clone());
        self.ask(async || client.enqueue_batch(batch).await);
    }

    /// The batch as it is now.
    pub(crate) fn batch(&self, id: &JobId) -> BatchView {
        self.ask(async || self.broker.batch(id).await).expect("the batch is kept")
    }

    /// Stops a worker between two of its writes: a process that is stopped within a transaction keeps a SQLite file
    /// locked for everybody, which no queue can help.
    #[track_caller]
    pub(crate) fn pause(&self, worker: &Worker) {
        let client = Client::from_broker(self.broker.clone());
        let paused = wait_until(SOON, || {
            worker.pause();
            let write = client.enqueue(NewJob::new("nothing", "").queue("nobody-serves-this"));
            let moment = Duration::from_millis(500);
            let taken = self.runtime.block_on(async { tokio::time::timeout(moment, write).await });
            if !matches!(taken, Ok(Ok(_))) {
                worker.resume();
            }
            matches!(taken, Ok(Ok(_)))
        });
        assert!(paused, "the worker writes all the time:\n{}", worker.log());
    }

    /// The job as it is now.
    pub(crate) fn job(&self, id: &JobId) -> JobView {
        self.find(id).expect("the job is kept")
    }

    /// The job as it is now, if there is one.
    pub(crate) fn find(&self, id: &JobId) -> Option<JobView> {
        self.ask(async || self.broker.job(id).await)
    }

    /// Every job there is, the newest first.
    pub(crate) fn jobs(&self) -> Vec<JobView> {
        let all = JobFilter { limit: 10_000, ..JobFilter::default() };
        self.ask(async || self.broker.jobs(&all).await)
    }

    /// What the job's attempts logged, as far as it is kept.
    pub(crate) fn log(&self, id: &JobId) -> JobLog {
        self.ask(async || self.broker.log(id).await)
    }

    /// Asks for jobs to be cancelled, as a person does from another process.
    pub(crate) fn cancel(&self, ids: &[JobId]) -> Vec<Cancelled> {
        self.ask(async || self.broker.cancel(ids).await)
    }

    /// Pauses part of the queue `default`, or lets it go on.
    pub(crate) fn set_paused(&self, scope: &Scope, paused: bool) {
        assert!(self.ask(async || self.broker.set_paused("default", scope, paused).await), "it is so already");
    }

    /// Sets a limit in the queue `default`.
    pub(crate) fn set_limit(&self, scope: &Scope, limit: Limit) {
        self.ask(async || self.broker.set_limit("default", scope, &limit).await);
    }

    /// Runs the program itself with these arguments on this broker; answers what it printed.
    #[track_caller]
    pub(crate) fn program(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// The program itself with these arguments on this broker, not run yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_afresh"));
        program.args(arguments).args(["--broker", &self.url]).current_dir(self.folder.path());
        program
    }

    /// The workers on this broker, as people see them.
    pub(crate) fn workers(&self) -> Vec<WorkerView> {
        self.ask(async || self.broker.workers().await)
    }

    /// The job's result.
    pub(crate) fn result(&self, id: &JobId) -> Option<String> {
        self.ask(async || self.broker.result(id).await).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Asks the broker, again where it has only just come back.
    fn ask<T>(&self, call: impl AsyncFn() -> Result<T, BrokerError>) -> T {
        let mut answer = Err(BrokerError::Unavailable("nobody asked".to_owned()));
        let _ = wait_until(SOON, || {
            answer = self.runtime.block_on(call());
            !answer.as_ref().is_err_and(BrokerError::is_transient)
        });
        answer.unwrap()
    }

    /// Waits until the job is as it should be.
    #[track_caller]
    pub(crate) fn wait(&self, id: &JobId, what: &str, is_so: impl Fn(&JobView) -> bool) -> JobView {
        let so = wait_until(SOON, || is_so(&self.job(id)));
        assert!(so, "job {id} is not {what}: {:#?}", self.job(id));
        self.job(id)
    }

    /// Waits until the job runs.
    #[track_caller]
    pub(crate) fn runs(&self, id: &JobId) {
        self.wait(id, "running", |job| job.state == State::Running);
    }

    /// Waits until the job succeeded; answers its result.
    #[track_caller]
    pub(crate) fn succeeds(&self, id: &JobId) -> String {
        self.wait(id, "ended", |job| job.state.is_terminal());
        let job = self.job(id);
        assert_eq!(job.state, State::Succeeded, "{job:#?}");
        self.result(id).expect("its result is kept")
    }

    /// Waits until the job is dead.
    #[track_caller]
    pub(crate) fn dies(&self, id: &JobId) -> JobView {
        let job = self.wait(id, "ended", |job| job.state.is_terminal());
        assert_eq!(job.state, State::Dead, "{job:#?}");
        job
    }

    /// The Redis server.
    pub(crate) fn server(&mut self) -> &mut RedisServer {
        self.redis.as_mut().expect("this site is on Redis")
    }
}

/// Options for a job whose retries come at once.
pub(crate) fn hasty(max_attempts: u32) -> JobOptions {
    JobOptions {
        max_attempts: Some(max_attempts),
        min_backoff_ms: Some(1),
        max_backoff_ms: Some(5),
        ..JobOptions::default()
    }
}

/// Options with a time-out.
pub(crate) fn timeout(time: Duration) -> JobOptions {
    JobOptions { timeout_ms: Some(afresh_queue::job::millis(time)), ..hasty(1) }
}

/// The outcomes of a job's attempts, oldest first.
pub(crate) fn outcomes(job: &JobView) -> Vec<&'static str> {
    job.attempts.iter().rev().map(|attempt| attempt.outcome.as_str()).collect()
}
