//! One attempt, from a lease to what is to be settled: the one file in which what a sandbox reports becomes what a queue
//! records.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_protocol::abi::env;
use afresh_protocol::{ErrorRecord, Outcome, OutcomeKind, Usage};
use afresh_queue::history::MAX_HISTORY_BYTES;
use afresh_queue::{
    AttemptRecord, Begun, Counters, Job, JobLog, Lease, LoggedLine, NewJob, Note, RetryPolicy, RunningJob, Timestamp,
    is_failure,
};
use afresh_sandbox::{Call, Cancel, Environment, LogLine, Reason, Report, Sandbox, Watch};

use crate::config::Config;
use crate::effects;
use crate::grants::GrantBook;
use crate::outbox::Enqueuing;
use crate::registry::{Entry, Found, Registry};
use crate::terms::Terms;
use crate::worker::begins::Begin;
use crate::worker::budget::{Budget, Share};
use crate::worker::until::Until;

/// A job whose module is still being compiled waits about as long again as that has taken, within these.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// See [`SHORTEST_PAUSE`].
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A leased job that waits for a slot.
#[derive(Debug)]
pub struct Attempt {
    /// The right to run it.
    pub lease: Lease,
    /// Ends it from outside.
    pub cancel: Cancel,
    /// What it says while it runs can be seen through this.
    pub watch: Watch,
    /// How long it may begin.
    pub until: Until,
    /// When the lease arrived here: with [`Lease::since`] this gives the broker's time without asking it again.
    pub arrived: Instant,
}

/// An attempt that is over. The instance it ran in is gone.
#[derive(Debug)]
pub struct Ended {
    /// The lease it ran under.
    pub lease: Lease,
    /// What became of it.
    pub outcome: Outcome,
    /// What is kept of it.
    pub record: AttemptRecord,
    /// What the guest logged.
    pub log: Vec<LogLine>,
    /// The jobs it enqueued; none, unless it succeeded.
    pub jobs: Vec<NewJob>,
    /// How its job is retried.
    pub retry: RetryPolicy,
    /// If it was handed back before it started: how long its job is better not leased again.
    pub not_before: Option<Duration>,
    /// Microseconds between the instant the job was due and the start of this attempt.
    pub late_us: i64,
    /// What it still takes of the memory budget.
    pub share: Option<Share>,
}

/// What every slot of a worker shares.
pub struct Workshop {
    /// The worker's name, as history shows it.
    pub worker: String,
    /// Where guests run.
    pub sandbox: Sandbox,
    /// Where task modules are found.
    pub registry: Arc<Registry>,
    /// What guests may take together.
    pub budget: Arc<Budget>,
    /// What tasks are granted.
    pub grants: GrantBook,
}

impl Attempt {
    /// Runs the job's task once, as soon as there is memory for it. Blocks this thread; by the time it returns the guest's
    /// memory is gone.
    pub fn run(mut self, shop: &Workshop, begin: &Begin) -> Ended {
        let found = shop.registry.find(&self.lease.job.task);
        let terms = Terms::of(&found.policy(&self.lease.job.task), &self.lease.job.options, shop.registry.config());
        let module = match found {
            Found::Ready(entry) => Ok(entry),
            Found::Missing(why) => Err(why),
            // Not an outcome of its module, good or bad: nothing is known of that yet.
            Found::Compiling(since, _) => {
                let not_before = Some(since.clamp(SHORTEST_PAUSE, LONGEST_PAUSE));
                return Ended { not_before, ..Ended::without_run(self.lease, Outcome::Interrupted, shop) };
            }
        };
        if module.is_ok() && terms.retry.is_too_many(self.lease.job.counters) {
            return Ended::spent(self.lease, terms.retry, shop);
        }
        let (task, payload) = (&self.lease.job.task, self.lease.job.payload.len());
        let needed = match &module {
            Ok(_) => {
                terms.limits.most_bytes(payload, may_enqueue(task, shop)).saturating_add(shop.grants.host_bytes(task))
            }
            Err(_) => 0,
        };
        let mut share = match shop.budget.admit(needed, &self.cancel) {
            Ok(share) => share,
            Err(reason) => return Ended::without_run(self.lease, never_started(reason), shop),
        };
        let job = &self.lease.job;
        if module.is_ok()
            && let Err(reason) = begin.attempt(&self.lease, is_told_first(job, &terms.retry), &self.cancel, &self.until)
        {
            return Ended::without_run(self.lease, never_started(reason), shop);
        }
        // It may have waited long, and the machine may have slept meanwhile: others may have the job by now.
        if self.until.is_over() {
            tracing::warn!(job = %job.id, task = job.task, "the lease ended before the attempt could start; the job goes back");
            return Ended::without_run(self.lease, Outcome::Interrupted, shop);
        }
        // What waits has not started: neither its history nor its lateness begins before this.
        let started = self.now();
        let late_us = started.0.saturating_sub(job.run_at.0);
        tracing::debug!(job = %job.id, task = job.task, attempt = job.counters.starts, late_us, "attempt started");

        let outbox = Arc::new(outbox(&job.task, shop.registry.config()));
        // It is the guest's now: nobody else asks for it, and the broker may be a long time taking the rest.
        let payload = mem::take(&mut self.lease.job.payload);
        let (digest, report) = match &module {
            Ok(entry) => (
                Some(entry.module.info().digest.clone()),
                self.run_module(entry, &terms, shop, payload, outbox.clone()),
            ),
            Err(why) => (None, ended(Outcome::BadModule(ErrorRecord::new("bad_module", why.clone())))),
        };
        let Report { outcome, usage, log, .. } = report;
        let jobs = if matches!(outcome, Outcome::Succeeded(_)) { outbox.jobs(self.now()) } else { Vec::new() };

        let record = AttemptRecord {
            number: self.lease.job.counters.starts,
            worker: shop.worker.clone(),
            module: digest,
            started_at: Some(started),
            finished_at: self.now(),
            outcome: outcome.kind(),
            error: outcome.error().cloned(),
            usage,
        };
        share.shrink_to(left(&outcome, &log, &jobs));
        let (retry, share) = (terms.retry, Some(share));
        Ended { lease: self.lease, outcome, record, log, jobs, retry, not_before: None, late_us, share }
    }

    /// What people see of it while it runs.
    pub fn as_running(&self) -> RunningJob {
        let job = &self.lease.job;
        RunningJob { job: job.id.clone(), task: job.task.clone(), queue: job.queue.clone(), since: self.now() }
    }

    /// The broker's time, without asking it.
    fn now(&self) -> Timestamp {
        self.lease.since.after(self.arrived.elapsed())
    }

    fn run_module(
        &self,
        entry: &Entry,
        terms: &Terms,
        shop: &Workshop,
        payload: Vec<u8>,
        outbox: Arc<Enqueuing>,
    ) -> Report {
        let job = &self.lease.job;
        let mut environment = Environment::default();
        environment.set(env::TASK, &entry.policy.task);
        environment.set(env::JOB_ID, &job.id);
        environment.set(env::ATTEMPT, job.counters.starts);
        environment.set(env::MAX_ATTEMPTS, terms.retry.max_attempts);
        environment.set(env::QUEUE, &job.queue);
        let mut call = Call {
            task: entry.policy.task.clone(),
            payload,
            env: environment,
            watch: Some(self.watch.clone()),
            outbox: Some(outbox),
            ..Call::default()
        };
        // Its scratch folder is there for as long as this is held, however the attempt ends.
        let _scratch = match shop.grants.hand(&job.task, &mut call) {
            Ok(scratch) => scratch,
            Err(error) => return self.not_run(&format!("{error:#}")),
        };
        effects::started(&self.lease, &shop.worker);
        let report = shop.sandbox.run(&entry.module, call, &terms.limits, &self.cancel);
        let report = report.unwrap_or_else(|error| self.not_run(&format!("failed to {error}")));
        effects::ended(&self.lease, &shop.worker, &report.outcome);
        report
    }

    /// Ours, not the guest's: it costs no attempt, and the operator hears of it. But it waits, and not for ever: handed
    /// back as it is, the job would be leased again at once, and fail again, in a hot loop.
    fn not_run(&self, error: &str) -> Report {
        let job = &self.lease.job;
        tracing::error!(job = %job.id, task = %job.task, "{error}");
        ended(Outcome::BadModule(ErrorRecord::new("not_run", format!("the worker {error}"))))
    }

    /// Gives the job back without running it: the worker shuts down.
    pub fn give_back(self, shop: &Workshop) -> Ended {
        let reason = self.cancel.reason().unwrap_or(Reason::Shutdown);
        Ended::without_run(self.lease, never_started(reason), shop)
    }
}

impl Ended {
    /// The end of an attempt that did not run here: given back, or lost with the worker that had it.
    pub fn without_run(mut lease: Lease, outcome: Outcome, shop: &Workshop) -> Self {
        lease.job.payload = Vec::new();
        let policy = shop.registry.find(&lease.job.task).policy(&lease.job.task);
        let record = AttemptRecord {
            number: lease.job.counters.starts,
            worker: lease.previous_worker.as_ref().map_or(&shop.worker, |vanished| &vanished.worker).clone(),
            module: None,
            started_at: None,
            finished_at: lease.since,
            outcome: outcome.kind(),
            error: outcome.error().cloned(),
            usage: Usage::default(),
        };
        let retry = Terms::of(&policy, &lease.job.options, shop.registry.config()).retry;
        let (log, jobs) = (Vec::new(), Vec::new());
        Self { lease, outcome, record, log, jobs, retry, not_before: None, late_us: 0, share: None }
    }

    /// The end of an attempt that must not run, because its job had none left under these terms. It ends as what it was.
    pub fn spent(lease: Lease, retry: RetryPolicy, shop: &Workshop) -> Self {
        let counters = lease.job.counters;
        let (starts, lost) = (counters.starts.saturating_sub(1), counters.lost);
        let error = ErrorRecord::new(
            "no_attempt_left",
            format!(
                "no attempt was left, so this one did not run: {starts} of {} had started, and {lost} of {} were lost with \
                 their workers",
                retry.max_attempts, retry.max_lost
            ),
        );
        let mut earlier = lease.job.history.attempts().iter().map(|attempt| attempt.outcome);
        let outcome = match earlier.find(|&outcome| is_failure(outcome)) {
            Some(OutcomeKind::Lost) => Outcome::Lost(error),
            _ => Outcome::Failed { error, retry_after: None },
        };
        let mut ended = Self { retry, ..Self::without_run(lease, outcome, shop) };
        // It counts neither as a start nor, once it is decided, as a failure.
        ended.lease.job.counters = Counters { starts, failures: counters.failures.saturating_sub(1), ..counters };
        ended
    }

    /// The end of an attempt whose worker vanished: `lease` was taken over from it.
    pub fn lost(lease: Lease, shop: &Workshop) -> Self {
        let (worker, begun) = match &lease.previous_worker {
            Some(vanished) => (vanished.worker.as_str(), vanished.begun),
            None => ("unknown", Begun::No),
        };
        let when = match begun {
            Begun::Known => "when this attempt had begun, or was about to",
            Begun::Presumed | Begun::No => "before this attempt is known to have begun",
        };
        let text = format!("the lease expired: worker {worker} vanished, or could not reach the broker, {when}");
        Self::without_run(lease, Outcome::Lost(ErrorRecord::new("lost", text)), shop)
    }
}

/// What an attempt says while it runs, as a queue keeps it.
#[derive(Debug)]
pub struct Voice {
    watch: Watch,
    lease: afresh_queue::LeaseRef,
    attempt: u32,
    lines: u64,
}

impl Voice {
    /// The voice of the attempt that will run under this lease; it keeps at most so many bytes of lines between two looks.
    pub fn new(lease: &Lease, room: usize) -> Self {
        Self { watch: Watch::new(room), lease: lease.reference(), attempt: lease.job.counters.starts, lines: 0 }
    }

    /// What the attempt speaks into.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// What it has said since the last look; `None` if that is nothing.
    pub fn note(&mut self) -> Option<Note> {
        let glimpse = self.watch.take()?;
        self.lines += glimpse.missed;
        let at = Timestamp::now();
        let mut log = JobLog::default();
        log.extend(glimpse.lines.into_iter().map(|line| {
            self.lines += 1;
            let (attempt, number) = (self.attempt, self.lines);
            LoggedLine { attempt, number, at, level: line.level.to_string(), text: line.text }
        }));
        Some(Note { lease: self.lease.clone(), progress: glimpse.progress, log })
    }
}

/// Whether the broker has to know that an attempt begins before its guest runs: a last one, and one of a job that was lost
/// before, so that whichever job takes workers down is found out.
fn is_told_first(job: &Job, retry: &RetryPolicy) -> bool {
    let was_lost = job.history.attempts().iter().any(|attempt| attempt.outcome == OutcomeKind::Lost);
    was_lost || retry.is_last(job.counters)
}

/// Whether the operator lets this task enqueue anywhere.
fn may_enqueue(task: &str, shop: &Workshop) -> bool {
    shop.registry.config().tasks.get(task).is_some_and(|task| !task.enqueue.is_empty())
}

/// The outbox of an attempt of this task: nothing goes into it that the operator has not allowed.
fn outbox(task: &str, config: &Config) -> Enqueuing {
    let queues = config.tasks.get(task).map(|task| task.enqueue.clone()).unwrap_or_default();
    Enqueuing::new(queues, usize::try_from(config.max_payload.as_u64()).unwrap_or(usize::MAX))
}

fn ended(outcome: Outcome) -> Report {
    Report { outcome, usage: Usage::default(), log: Vec::new(), progress: None }
}

/// About how many bytes of an attempt are left until it is settled.
fn left(outcome: &Outcome, log: &[LogLine], jobs: &[NewJob]) -> u64 {
    let said = match outcome {
        Outcome::Succeeded(reply) => reply.capacity(),
        other => other.error().map_or(0, |error| 2 * error.message.len()),
    };
    let logged: usize = log.iter().map(|line| size_of::<LogLine>() + line.text.len()).sum();
    let enqueued: usize = jobs.iter().map(|job| size_of::<NewJob>() + job.payload.len()).sum();
    (MAX_HISTORY_BYTES + said + logged + enqueued) as u64
}

fn never_started(reason: Reason) -> Outcome {
    match reason {
        Reason::Cancelled => Outcome::Cancelled,
        // Where the lease is lost this settles nothing; and if it is not, the attempt costs nothing.
        Reason::Shutdown | Reason::LeaseLost => Outcome::Interrupted,
    }
}
