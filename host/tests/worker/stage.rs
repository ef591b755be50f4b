//! A site on which workers die at one step, and the account of every job there is afterwards.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;

use afresh_harness::worker::Builder;
use afresh_harness::{SOON, Worker, wait_until};
use afresh_protocol::OutcomeKind;
use afresh_queue::{JobId, JobOptions, JobView, NewJob, State};

use crate::effects::Effects;
use crate::guests;
use crate::site::{Site, hasty};

const SIGKILL: i32 = 9;

/// How long a lease lasts here: as short as may be.
const LEASE: &str = "1s";

/// A site on which workers die at one step.
pub(crate) struct Stage {
    pub(crate) site: Site,
    step: &'static str,
    /// What each worker so far has run.
    pub(crate) effects: Vec<Effects>,
    /// The names of those that died.
    dead: Vec<String>,
}

impl Stage {
    /// A site with the tasks that scenarios use.
    pub(crate) fn new(site: Site, step: &'static str) -> Self {
        site.task("echo", &guests::echo());
        site.task("nap", &guests::nap(1_500, "rested"));
        Self { site, step, effects: Vec::new(), dead: Vec::new() }
    }

    /// Hands over so many jobs of this task, with attempts to spare.
    pub(crate) fn jobs(&self, count: usize, task: &str, queue: &str) -> Vec<JobId> {
        // No wait, so that all are queued again together.
        let options = JobOptions { min_backoff_ms: Some(0), max_backoff_ms: Some(0), ..hasty(25) };
        let job = || NewJob::new(task, "x").queue(queue).options(options.clone());
        self.site.enqueue_all((0..count).map(|_| job()).collect())
    }

    /// A worker that dies when it reaches the step.
    pub(crate) fn armed(&mut self) -> Builder {
        self.armed_after(0)
    }

    /// A worker that dies when it has reached the step so often, and reaches it again.
    pub(crate) fn armed_after(&mut self, times: usize) -> Builder {
        let points = format!("{}={times}*off->return", self.step);
        self.worker().env("FAILPOINTS", points)
    }

    /// A worker that nothing happens to.
    pub(crate) fn worker(&mut self) -> Builder {
        let effects = Effects::at(self.site.path(&format!("effects-{}", self.effects.len())));
        self.effects.push(effects.clone());
        self.site.worker().env("AFRESH_EFFECTS", effects.path()).lease(LEASE).shutdown_timeout("200ms")
    }

    /// Waits until this worker has died of its step.
    pub(crate) fn dies(&mut self, mut worker: Worker) {
        assert_eq!(worker.dies(), SIGKILL, "{}", worker.log());
        self.killed(&worker);
    }

    /// This worker was killed by the test itself.
    pub(crate) fn killed(&mut self, worker: &Worker) {
        self.dead.push(worker.says("worker started").field("worker"));
    }

    /// Lets two workers die, the second one with what the first has left.
    pub(crate) fn two_die(&mut self, with: impl Fn(Builder) -> Builder) {
        for _ in 0..2 {
            let worker = with(self.armed()).start();
            self.dies(worker);
        }
    }

    /// Runs the program with these arguments; it is to die at the step.
    pub(crate) fn program_dies(&self, arguments: &[&str], times: usize) {
        let mut program = self.site.command(arguments);
        let Output { status, stderr, .. } =
            program.env("FAILPOINTS", format!("{}={times}*off->return", self.step)).output().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL), "{status}: {}", String::from_utf8_lossy(&stderr));
    }

    /// What a job's guests came to, on all workers.
    pub(crate) fn ran(&self, job: &JobId) -> Vec<String> {
        self.effects.iter().flat_map(|effects| effects.outcomes(job)).collect()
    }

    /// How often a guest of this job was about to run, on all workers.
    pub(crate) fn started(&self, job: &JobId) -> usize {
        self.effects.iter().map(|effects| effects.starts(job)).sum()
    }

    /// A last worker, to which nothing happens, does what is left of these jobs; then every job is accounted for.
    pub(crate) fn ends_well(mut self, queues: &str, count: usize) -> Vec<JobView> {
        let jobs = self.end(queues, count);
        jobs.iter().for_each(|job| self.account(job));
        jobs
    }

    /// A last worker, to which nothing happens, does what is left of these jobs.
    pub(crate) fn end(&mut self, queues: &str, count: usize) -> Vec<JobView> {
        let mut last = self.worker().queues(queues).start();
        // There may be nothing left for it to do, and a signal must find it listening.
        last.says("worker started");
        let ended = || self.site.jobs().iter().filter(|job| job.state.is_terminal()).count();
        assert!(wait_until(SOON, || ended() == count), "{:#?}\n{}", self.site.jobs(), last.log());
        last.terminate();
        assert_eq!(last.ends(), 0);
        let jobs = self.site.jobs();
        assert_eq!(jobs.len(), count, "a job is missing, or there twice: {jobs:#?}");
        jobs
    }

    /// Ended well, run at least once, and again only where an attempt was lost with a worker that died or was
    /// interrupted by its shutdown; and the latter cost no attempt.
    pub(crate) fn account(&self, job: &JobView) {
        let of = |kind: OutcomeKind| job.attempts.iter().filter(move |attempt| attempt.outcome == kind);
        let (lost, interrupted) = (of(OutcomeKind::Lost).count(), of(OutcomeKind::Interrupted).count());
        let (started, ran) = (self.started(&job.id), self.ran(&job.id));
        assert_eq!(job.state, State::Succeeded, "{job:#?}");
        assert!(ran.iter().any(|outcome| outcome == "succeeded"), "no worker tells of {}: {ran:?}", job.id);
        assert!(started <= 1 + lost + interrupted, "it ran {started} times, and nobody knows why: {job:#?}");
        assert_eq!(job.attempts_started as usize, 1 + lost, "{job:#?}");
        for attempt in of(OutcomeKind::Lost) {
            assert!(self.dead.contains(&attempt.worker), "{} lives: {job:#?}", attempt.worker);
        }
    }
}
