//! One attempt, from a lease to what is to be settled: the one file in which what a sandbox reports becomes what a queue
//! records.

use std::sync::Arc;
use std::time::Instant;

use afresh_protocol::abi::env;
use afresh_protocol::{ErrorRecord, Outcome, Usage};
use afresh_queue::{AttemptRecord, Lease, RetryPolicy, RunningJob, Timestamp};
use afresh_sandbox::{Call, Cancel, LogLine, Reason, Report, Sandbox};

use crate::registry::{Entry, Found, Registry};
use crate::terms::Terms;
use crate::worker::budget::Budget;

/// A leased job that waits for a slot.
#[derive(Debug)]
pub struct Attempt {
    /// The right to run it.
    pub lease: Lease,
    /// Ends it from outside.
    pub cancel: Cancel,
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
    /// How its job is retried.
    pub retry: RetryPolicy,
    /// Microseconds between the instant the job was due and the start of this attempt.
    pub late_us: i64,
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
    pub budget: Budget,
}

impl Attempt {
    /// Runs the job's task once, as soon as there is memory for it. Blocks this thread; by the time it returns the guest's
    /// memory is gone.
    pub fn run(self, shop: &Workshop) -> Ended {
        let found = shop.registry.find(&self.lease.job.task);
        let terms = Terms::of(&found.policy(), &self.lease.job.options, shop.registry.config());
        let needed = match &found {
            Found::Ready(_) => terms.limits.memory,
            Found::Missing(_) => 0,
        };
        let share = match shop.budget.admit(needed, &self.cancel) {
            Ok(share) => share,
            Err(reason) => return Ended::without_run(self.lease, never_started(reason), shop),
        };
        // What waits for memory has not started: neither its history nor its lateness begins before this.
        let started = self.now();
        let job = &self.lease.job;
        let late_us = started.0 - job.run_at.0;
        tracing::debug!(job = %job.id, task = job.task, attempt = job.counters.starts, late_us, "attempt started");

        let (digest, report) = match &found {
            Found::Missing(why) => (None, ended(Outcome::BadModule(ErrorRecord::new("bad_module", why.clone())))),
            Found::Ready(entry) => (Some(entry.module.info().digest.clone()), self.run_module(entry, &terms, shop)),
        };
        drop(share);
        let Report { outcome, usage, log, .. } = report;

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
        Ended { lease: self.lease, outcome, record, log, retry: terms.retry, late_us }
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

    fn run_module(&self, entry: &Entry, terms: &Terms, shop: &Workshop) -> Report {
        let job = &self.lease.job;
        let call = Call {
            task: entry.policy.task.clone(),
            payload: job.payload.clone(),
            env: vec![
                (env::TASK.into(), entry.policy.task.clone()),
                (env::JOB_ID.into(), job.id.to_string()),
                (env::ATTEMPT.into(), job.counters.starts.to_string()),
                (env::MAX_ATTEMPTS.into(), terms.retry.max_attempts.to_string()),
                (env::QUEUE.into(), job.queue.clone()),
            ],
            ..Call::default()
        };
        shop.sandbox.run(&entry.module, call, &terms.limits, &self.cancel).unwrap_or_else(|error| {
            // Ours, not the guest's: it costs no attempt, and the operator hears of it. But it waits, and not for ever:
            // handed back as it is, the job would be leased again at once, and fail again, in a hot loop.
            tracing::error!(job = %job.id, task = %job.task, "failed to {error}");
            ended(Outcome::BadModule(ErrorRecord::new("not_run", format!("the worker failed to {error}"))))
        })
    }

    /// Gives the job back without running it: the worker shuts down.
    pub fn give_back(self, shop: &Workshop) -> Ended {
        let reason = self.cancel.reason().unwrap_or(Reason::Shutdown);
        Ended::without_run(self.lease, never_started(reason), shop)
    }
}

impl Ended {
    /// The end of an attempt that did not run here: given back, or lost with the worker that had it.
    pub fn without_run(lease: Lease, outcome: Outcome, shop: &Workshop) -> Self {
        let policy = shop.registry.find(&lease.job.task).policy();
        let record = AttemptRecord {
            number: lease.job.counters.starts,
            worker: lease
                .previous_worker
                .as_ref()
                .map_or_else(|| shop.worker.clone(), |vanished| vanished.worker.clone()),
            module: None,
            started_at: None,
            finished_at: lease.since,
            outcome: outcome.kind(),
            error: outcome.error().cloned(),
            usage: Usage::default(),
        };
        let retry = Terms::of(&policy, &lease.job.options, shop.registry.config()).retry;
        Self { lease, outcome, record, log: Vec::new(), retry, late_us: 0 }
    }

    /// The end of an attempt whose worker vanished: `lease` was taken over from it.
    pub fn lost(lease: Lease, shop: &Workshop) -> Self {
        let worker = lease.previous_worker.as_ref().map_or("unknown", |vanished| &vanished.worker);
        let text = format!(
            "the lease expired: worker {worker} vanished, or could not reach the broker, while it ran this attempt"
        );
        Self::without_run(lease, Outcome::Lost(ErrorRecord::new("lost", text)), shop)
    }
}

fn ended(outcome: Outcome) -> Report {
    Report { outcome, usage: Usage::default(), log: Vec::new(), progress: None }
}

fn never_started(reason: Reason) -> Outcome {
    match reason {
        Reason::Cancelled => Outcome::Cancelled,
        Reason::Shutdown => Outcome::Interrupted,
        Reason::LeaseLost => Outcome::Lost(ErrorRecord::new("lost", "the lease was lost before the attempt started")),
    }
}
