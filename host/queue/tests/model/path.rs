//! One path of the model on its way: each step is carried out through [`Broker`] and [`RetryPolicy`], and after each the
//! store says of every job what the model says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use afresh_protocol::{ErrorRecord, Outcome};
use afresh_queue::{
    Beat, Broker, Extended, JobId, Lease, LeaseRequest, NewJob, QueueCounts, Retention, RetryPolicy, Settle, Settled,
    Settlement, State as Standing, Written,
};
use rand::rngs::StdRng;

use crate::protocol::{At, Protocol, Step};
use crate::real::{Divergence, Real, same};
use crate::server::Redis;
use crate::state::{Counters, End, Stage, State};

const LEASE: Duration = Duration::from_secs(30);

/// Every backoff.
const BACKOFF: Duration = Duration::from_secs(1);

const MICRO: Duration = Duration::from_micros(1);

/// One path on its way.
pub(crate) struct Path<'a> {
    real: &'a mut Real,
    protocol: &'a Protocol,
    policy: RetryPolicy,
    jobs: Vec<JobId>,
    /// Every lease that was given, by job and number.
    leases: HashMap<(u8, u8), Lease>,
    random: &'a mut StdRng,
}

impl<'a> Path<'a> {
    /// With its jobs enqueued.
    pub(crate) async fn begin(real: &'a mut Real, protocol: &'a Protocol, random: &'a mut StdRng) -> Self {
        let jobs: Vec<JobId> =
            (0..protocol.jobs).map(|job| format!("{}-{job}", real.paths).parse().expect("an id")).collect();
        let new = jobs.iter().map(|id| NewJob::new("t", "payload").id(id.clone())).collect();
        real.brokers[0].enqueue(new).await.expect("the broker takes jobs");
        let policy = RetryPolicy {
            max_attempts: protocol.max_attempts.into(),
            max_waits: protocol.max_waits.into(),
            max_lost: protocol.max_lost.into(),
            min_backoff: BACKOFF,
            max_backoff: BACKOFF,
            ..RetryPolicy::default()
        };
        Self { real, protocol, policy, jobs, leases: HashMap::new(), random }
    }

    /// Takes a step, and compares what comes of it.
    pub(crate) async fn take(&mut self, step: Step, before: &State, after: &State) -> Result<(), Divergence> {
        match step {
            Step::Lease { worker, ahead, .. } => {
                let request = request(worker, 1, usize::from(!ahead));
                let leases = self.broker(worker).lease(&request).await.expect("the broker leases");
                self.given(leases, before.store.next().as_slice(), before, after)?;
            }
            Step::Reap { worker, .. } => {
                let leases = self.broker(worker).reap(&request(worker, 64, 0)).await.expect("the broker reaps");
                self.given(leases, &self.protocol.expired(worker, before), before, after)?;
            }
            Step::Begin { at, .. } => self.extend(at, true, before).await?,
            Step::Beat { at } => self.extend(at, before.held(at).ran, before).await?,
            Step::Settle { at, .. } => self.settle(at, before).await?,
            Step::Promote => {
                self.pass(BACKOFF, None, before).await;
                let queues = ["default".to_owned()];
                let promoted = self.real.brokers[0].promote(&queues, &Retention::default()).await;
                same("promoted", promoted.expect("the broker promotes").moved, before.count(Standing::Scheduled))?;
            }
            Step::Expire { job } => self.pass(LEASE, Some(job), before).await,
            Step::Save => self.server().save(),
            Step::LoseTail => {
                self.server().lose_tail();
                // The time was not lost: leases that came back, and that the model does not let end, are to go on.
                self.pass(Duration::ZERO, None, after).await;
            }
            // The store hears nothing of these.
            Step::Run { .. }
            | Step::Finish { .. }
            | Step::Interrupt { .. }
            | Step::Kill { .. }
            | Step::Shutdown { .. } => {}
        }
        self.compare(after).await
    }

    /// Leases of these jobs came, as the model has them.
    fn given(&mut self, leases: Vec<Lease>, jobs: &[u8], before: &State, after: &State) -> Result<(), Divergence> {
        let mut expected = jobs.to_vec();
        for lease in leases {
            let job = (0..).zip(&self.jobs).find(|(_, id)| **id == lease.job.id).map(|(job, _)| job);
            let Some(job) = job.filter(|job| expected.contains(job)) else {
                return Err(format!("the broker gave a lease of {}, the model gives {jobs:?}", lease.job.id));
            };
            expected.retain(|&other| other != job);
            let (was, is) = (&before.store.jobs[usize::from(job)], &after.store.jobs[usize::from(job)]);
            let vanished = lease.previous_worker.as_ref().map(|vanished| (vanished.worker.clone(), vanished.begun));
            same("the counters of a lease", lease.job.counters, is.counters.into())?;
            same("who vanished", vanished, was.worker.map(|worker| (name(worker), was.begun)))?;
            if self.leases.values().any(|other| other.token == lease.token) {
                return Err(format!("the token {} was given twice", lease.token));
            }
            self.leases.insert((job, after.truth[usize::from(job)].leases), lease);
        }
        if expected.is_empty() {
            Ok(())
        } else {
            Err(format!("the broker gave no lease of {expected:?}, the model did"))
        }
    }

    async fn extend(&self, at: At, begun: bool, before: &State) -> Result<(), Divergence> {
        let own = before.store.jobs[usize::from(at.job)].token == Some(before.held(at).token);
        let beat = Beat { lease: self.lease(at.job, at.lease).reference(), begun };
        let extended = self.broker(at.worker).extend(&[beat], LEASE).await.expect("the broker extends");
        same("extended", extended, vec![if own { Extended::Held } else { Extended::Lost }])
    }

    async fn settle(&mut self, at: At, before: &State) -> Result<(), Divergence> {
        let (Stage::Over(end) | Stage::Half(end)) = before.held(at).stage else {
            unreachable!("an attempt is settled once it is over")
        };
        let lease = self.lease(at.job, at.lease).clone();
        let (outcome, before_it) = (outcome(end), lease.job.counters);
        let kind = outcome.kind();
        let (settlement, counters) = match end {
            End::Lost { .. } => {
                let vanished = lease.previous_worker.as_ref().expect("a lost lease was somebody's");
                self.policy.decide_lost(vanished.begun, before_it, self.random)
            }
            _ => self.policy.decide(outcome, before_it, self.random),
        };
        let lease = lease.reference();
        let settle = Settle { lease, settlement, counters, history: Written::default(), outcome: kind, jobs: vec![] };
        let settled = self.broker(at.worker).settle(&[settle]).await.expect("the broker settles");
        let lets_it = self.protocol.lets_settle(before.held(at), before);
        same("settled", settled, vec![if lets_it { Settled::Done } else { Settled::Stale }])
    }

    /// Time passes, and of the leases that have not ended only that of `ends` does.
    async fn pass(&self, span: Duration, ends: Option<u8>, state: &State) {
        let running = state.jobs().filter(|(_, record, _)| record.is(Standing::Running) && !record.over);
        let others = running.filter(|(job, ..)| Some(*job) != ends).filter_map(|(job, record, _)| {
            Some(Beat { lease: self.lease(job, record.open?).reference(), begun: false })
        });
        let others: Vec<_> = others.collect();
        self.real.brokers[0].extend(&others, span + LEASE).await.expect("the broker extends");
        self.real.clock.advance(span);
    }

    /// The store's side of the model, against the store.
    async fn compare(&self, model: &State) -> Result<(), Divergence> {
        let broker = &self.real.brokers[0];
        for ((job, record, _), id) in model.jobs().zip(&self.jobs) {
            let view = broker.job(id).await.expect("the broker shows jobs");
            let seen = view.map(|view| (view.state, view.attempts_started));
            let expected = record.standing.map(|standing| (standing, record.counters.starts.into()));
            same(&format!("state and starts of job {job}"), seen, expected)?;
            if let Some(redis) = &self.real.redis {
                let token = |lease: u8| self.lease(job, lease).token;
                redis.compare(id, record, record.open.map(token))?;
            }
        }
        let counts = broker.queues().await.expect("the broker counts").remove(0);
        let QueueCounts { scheduled, queued, running, succeeded, dead, .. } = counts;
        let states = [Standing::Scheduled, Standing::Queued, Standing::Running, Standing::Succeeded, Standing::Dead];
        let expected = states.map(|standing| model.count(standing) as u64);
        same(&format!("jobs that are {states:?}"), [scheduled, queued, running, succeeded, dead], expected)?;
        // No two steps at one instant, so that what falls due later comes later.
        self.real.clock.advance(MICRO);
        Ok(())
    }

    /// Leaves nothing for the next path.
    pub(crate) async fn clear(&self, last: &State) {
        let broker = &self.real.brokers[0];
        let running = last.jobs().filter_map(|(job, record, _)| Some(self.lease(job, record.open?)));
        let cancelled = running.map(|lease| Settle {
            lease: lease.reference(),
            settlement: Settlement::Cancel,
            counters: lease.job.counters,
            history: Written::default(),
            outcome: Outcome::Cancelled.kind(),
            jobs: vec![],
        });
        let cancelled: Vec<_> = cancelled.collect();
        broker.settle(&cancelled).await.expect("the broker settles");
        broker.remove(&self.jobs).await.expect("the broker removes what does not run");
    }

    fn broker(&self, worker: u8) -> &Arc<dyn Broker> {
        &self.real.brokers[usize::from(worker)]
    }

    fn server(&mut self) -> &mut Redis {
        self.real.redis.as_mut().expect("only Redis loses its tail")
    }

    fn lease(&self, job: u8, lease: u8) -> &Lease {
        &self.leases[&(job, lease)]
    }
}

/// Every worker's request.
fn request(worker: u8, max: usize, begin: usize) -> LeaseRequest {
    let (queues, worker) = (vec!["default".to_owned()], name(worker));
    LeaseRequest { queues, max, begin, max_bytes: usize::MAX, worker, duration: LEASE }
}

pub(crate) fn name(worker: u8) -> String {
    format!("worker-{worker}")
}

fn outcome(end: End) -> Outcome {
    let error = ErrorRecord::new("kind", "why");
    match end {
        End::Succeeded => Outcome::Succeeded(b"reply".to_vec()),
        End::Failed => Outcome::Failed { error, retry_after: None },
        End::Interrupted => Outcome::Interrupted,
        End::LeaseLost | End::Lost { .. } => Outcome::Lost(error),
    }
}

impl From<Counters> for afresh_queue::Counters {
    fn from(counters: Counters) -> Self {
        let Counters { starts, failures, waits, lost } = counters;
        Self { starts: starts.into(), failures: failures.into(), waits: waits.into(), lost: lost.into() }
    }
}
