//! One random history, carried out on two brokers with one clock: whatever can be observed must be the same, after every
//! step. Only the values of tokens may differ.
//!
//! The seed stands in the message of a failure. `AFRESH_SEED` repeats a history, `AFRESH_STEPS` makes it longer.

use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Duration;

use afresh_protocol::{ErrorRecord, OutcomeKind};
use afresh_queue::{
    AttemptRecord, Beat, Counters, JobFilter, JobId, JobLog, JobOptions, Lease, LeaseRequest, Limit, LoggedLine,
    NewJob, Note, Rate, Retention, Scope, Settle, Settlement, State, Unique, UniqueScope,
};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use crate::subject::{Subject, attempt, id};

/// Calls one verb on both sides, and compares what they answer.
macro_rules! both {
    ($history:ident, $broker:ident => $call:expr) => {{
        let left = {
            let $broker = &$history.left.broker;
            $call.await
        };
        let right = {
            let $broker = &$history.right.broker;
            $call.await
        };
        $history.same(&left.unwrap(), &right.unwrap())
    }};
}

mod batches;

const QUEUES: [&str; 3] = ["default", "bulk", "mail"];

/// Few, so that histories meet the same job again and again.
const IDS: usize = 30;

async fn compare(left: &Subject, right: &Subject) {
    let from_env = |name| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
    let seed: u64 = from_env("AFRESH_SEED").unwrap_or_else(rand::random);
    let steps: u64 = from_env("AFRESH_STEPS").unwrap_or(10_000);
    println!("AFRESH_SEED={seed} AFRESH_STEPS={steps}");
    let mut history = History {
        left,
        right,
        random: StdRng::seed_from_u64(seed),
        held: Vec::new(),
        tokens: HashSet::new(),
        step: String::new(),
    };
    for number in 0..steps {
        history.step(number).await;
    }
}

/// Two brokers on their way through one history.
struct History<'a> {
    left: &'a Subject,
    right: &'a Subject,
    random: StdRng,
    /// Leases that were given, on either side; most are stale by now.
    held: Vec<(Lease, Lease)>,
    /// Every token that was given.
    tokens: HashSet<u64>,
    /// What was done last, for the message of a failure.
    step: String,
}

impl History<'_> {
    async fn step(&mut self, number: u64) {
        match self.random.random_range(0..100) {
            0..16 => self.enqueue(number).await,
            16..20 => self.enqueue_batch().await,
            20..38 => self.lease().await,
            38..60 => self.settle().await,
            60..65 => self.extend().await,
            65..74 => self.promote().await,
            74..79 => self.reap().await,
            79..85 => self.by_hand().await,
            85..91 => self.rule().await,
            91..93 => self.note().await,
            93 => self.cancel_batch().await,
            _ => self.advance(),
        }
        self.observe().await;
    }

    fn same<T: PartialEq + Debug + Clone>(&self, left: &T, right: &T) -> T {
        assert!(left == right, "after {}:\n left: {left:#?}\nright: {right:#?}", self.step);
        left.clone()
    }

    async fn enqueue(&mut self, number: u64) {
        let jobs = self.some_jobs(number);
        self.step = format!("enqueue {jobs:?}");
        both!(self, broker => broker.enqueue(jobs.clone()));
    }

    async fn lease(&mut self) {
        let request = self.request();
        self.step = format!("lease {request:?}");
        let left = self.left.broker.lease(&request).await.unwrap();
        let right = self.right.broker.lease(&request).await.unwrap();
        self.hold(left, right);
    }

    async fn reap(&mut self) {
        let request = self.request();
        self.step = format!("reap {request:?}");
        let left = self.left.broker.reap(&request).await.unwrap();
        let right = self.right.broker.reap(&request).await.unwrap();
        self.hold(left, right);
    }

    /// Leases must be the same but for their tokens, and no token may come twice.
    fn hold(&mut self, left: Vec<Lease>, right: Vec<Lease>) {
        let without_token = |lease: &Lease| Lease { token: 0, ..lease.clone() };
        let shown = |leases: &[Lease]| leases.iter().map(without_token).collect::<Vec<_>>();
        self.same(&shown(&left), &shown(&right));
        for pair in left.into_iter().zip(right) {
            for token in [pair.0.token, pair.1.token] {
                assert!(self.tokens.insert(token), "after {}: the token {token} was given before", self.step);
            }
            self.held.push(pair);
        }
        if self.held.len() > 40 {
            let surplus = self.held.len() - 40;
            self.held.drain(..surplus);
        }
    }

    async fn settle(&mut self) {
        let chosen = self.some_held();
        let mut left = Vec::new();
        let mut right = Vec::new();
        for (on_left, on_right) in chosen {
            let settle = self.settlement_of(&on_left);
            right.push(Settle { lease: on_right.reference(), ..settle.clone() });
            left.push(settle);
        }
        self.step = format!("settle {left:?}");
        let left = self.left.broker.settle(&left).await.unwrap();
        let right = self.right.broker.settle(&right).await.unwrap();
        self.same(&left, &right);
    }

    async fn extend(&mut self) {
        let some = self.some_held();
        let beats = some.iter().map(|(left, right)| {
            let begun = self.random.random_bool(0.5);
            (Beat { lease: left.reference(), begun }, Beat { lease: right.reference(), begun })
        });
        let (left, right): (Vec<_>, Vec<_>) = beats.unzip();
        let duration = self.span();
        self.step = format!("extend by {duration:?} {left:?}");
        let left = self.left.broker.extend(&left, duration).await.unwrap();
        let right = self.right.broker.extend(&right, duration).await.unwrap();
        self.same(&left, &right);
    }

    async fn promote(&mut self) {
        let queues = self.queues();
        let retention = Retention {
            dead_for: *[Duration::from_secs(60), Duration::from_secs(9_999_999)].choose(&mut self.random).unwrap(),
            dead_bytes: *[500, 2_000, u64::MAX >> 12].choose(&mut self.random).unwrap(),
        };
        self.step = format!("promote {queues:?} {retention:?}");
        both!(self, broker => broker.promote(&queues, &retention));
    }

    async fn by_hand(&mut self) {
        let ids: Vec<JobId> = (0..self.random.random_range(0..8)).map(|_| self.id()).collect();
        match self.random.random_range(0..10) {
            0..3 => {
                self.step = format!("cancel {ids:?}");
                both!(self, broker => broker.cancel(&ids));
            }
            3..7 => {
                self.step = format!("retry {ids:?}");
                both!(self, broker => broker.retry(&ids));
            }
            7..9 => {
                self.step = format!("remove {ids:?}");
                both!(self, broker => broker.remove(&ids));
            }
            _ => {
                let queue = self.queue();
                self.step = format!("purge {queue}");
                both!(self, broker => broker.purge(queue));
            }
        }
    }

    async fn rule(&mut self) {
        let queue = self.queue();
        let scope = match self.random.random_range(0..8) {
            0 => Scope::Queue,
            1..4 => Scope::Task(self.task().to_owned()),
            4..7 => Scope::Key(self.key().to_owned()),
            _ => Scope::EachKey,
        };
        match self.random.random_range(0..10) {
            0..6 => {
                let rate = Rate {
                    every: Duration::from_micros(self.random.random_range(1..9_000_000)),
                    burst: self.random.random_range(1..4),
                };
                let limit = Limit {
                    concurrency: self.random.random_bool(0.5).then(|| self.random.random_range(1..4)),
                    rate: self.random.random_bool(0.4).then_some(rate),
                };
                self.step = format!("limit {queue} {scope} to {limit:?}");
                both!(self, broker => broker.set_limit(queue, &scope, &limit));
            }
            6..9 => {
                // Often resumed, so that most of the history is not a standstill.
                let paused = self.random.random_bool(0.3);
                self.step = format!("pause {queue} {scope}: {paused}");
                both!(self, broker => broker.set_paused(queue, &scope, paused));
            }
            _ => {
                let fair = self.random.random_bool(0.6);
                self.step = format!("make {queue} fair: {fair}");
                both!(self, broker => broker.set_fair(queue, fair));
            }
        }
    }

    async fn note(&mut self) {
        let mut left = Vec::new();
        let mut right = Vec::new();
        for (on_left, on_right) in self.some_held() {
            let mut log = JobLog::default();
            log.extend([LoggedLine {
                attempt: on_left.job.counters.starts,
                number: self.random.random_range(1..1_000),
                at: on_left.since,
                level: "info".to_owned(),
                text: "é".repeat(self.random.random_range(0..900)),
            }]);
            let note = Note {
                lease: on_left.reference(),
                progress: self.random.random_bool(0.7).then(|| self.random.random::<f64>()),
                log,
            };
            right.push(Note { lease: on_right.reference(), ..note.clone() });
            left.push(note);
        }
        self.step = format!("note {left:?}");
        self.left.broker.note(&left).await.unwrap();
        self.right.broker.note(&right).await.unwrap();
    }

    fn advance(&mut self) {
        let span = self.span();
        self.step = format!("advance by {span:?}");
        self.left.advance(span);
        self.right.advance(span);
    }

    /// Everything there is to see.
    async fn observe(&mut self) {
        both!(self, broker => broker.queues());
        both!(self, broker => broker.rules());
        let all = JobFilter { limit: 10_000, ..JobFilter::default() };
        let left = self.left.broker.jobs(&all).await.unwrap();
        let right = self.right.broker.jobs(&all).await.unwrap();
        // One by one, so that a failure shows the job that differs and not the hundred that do not.
        let jobs: Vec<_> = left.iter().zip(&right).map(|(left, right)| self.same(left, right)).collect();
        self.same(&left.len(), &right.len());
        let of_dead = JobFilter { limit: 100, ..JobFilter::default() };
        let groups = both!(self, broker => broker.failures(&of_dead));
        let fingerprint = groups.choose(&mut self.random).map(|group| group.fingerprint.clone());
        let filter = JobFilter {
            fingerprint: fingerprint.filter(|_| self.random.random_bool(0.1)),
            queue: self.random.random_bool(0.3).then(|| self.queue().to_owned()),
            task: self.random.random_bool(0.3).then(|| "t".to_owned()),
            state: self.random.random_bool(0.5).then(|| *State::ALL.choose(&mut self.random).unwrap()),
            outcome: self.random.random_bool(0.3).then(|| *OutcomeKind::ALL.choose(&mut self.random).unwrap()),
            limit: self.random.random_range(0..20),
        };
        both!(self, broker => broker.jobs(&filter));
        self.observe_batches().await;
        let one = self.id();
        let any = jobs.choose(&mut self.random).map_or_else(|| self.id(), |job| job.id.clone());
        for id in [&one, &any] {
            both!(self, broker => broker.job(id));
            both!(self, broker => broker.payload(id));
            both!(self, broker => broker.result(id));
            both!(self, broker => broker.log(id));
        }
    }

    fn settlement_of(&mut self, lease: &Lease) -> Settle {
        let outcome = *OutcomeKind::ALL.choose(&mut self.random).unwrap();
        let settlement = match self.random.random_range(0..12) {
            0..4 => Settlement::Complete { reply: vec![b'r'; self.random.random_range(0..50)], keep: self.span() },
            4..7 => Settlement::Retry { delay: self.span() },
            7..9 => Settlement::Bury,
            9..11 => Settlement::Release,
            _ => Settlement::Cancel,
        };
        let before = lease.job.counters;
        let counters = Counters {
            starts: before.starts.saturating_sub(self.random.random_range(0..2)),
            failures: before.failures + self.random.random_range(0..2),
            waits: self.random.random_range(0..3),
            lost: before.lost + self.random.random_range(0..2),
        };
        let mut history = lease.job.history.clone();
        let error = ErrorRecord::new("failed", "é ".repeat(self.random.random_range(0..4)));
        history.push(AttemptRecord { error: Some(error), ..attempt(before.starts, outcome) });
        // In its own queue: in others they appear a moment later, on one broker.
        let mut jobs = if self.random.random_bool(0.2) { self.some_jobs(lease.token) } else { Vec::new() };
        jobs.iter_mut().for_each(|job| job.queue.clone_from(&lease.job.queue));
        let history = history.into();
        Settle { lease: lease.reference(), settlement, counters, history, outcome, jobs }
    }

    fn some_jobs(&mut self, number: u64) -> Vec<NewJob> {
        let now = self.left.clock.fixed().unwrap();
        (0..self.random.random_range(1..6))
            .map(|_| {
                let size = self.random.random_range(0..200);
                let mut payload = format!("{number} ").into_bytes();
                payload.extend((0..size).map(|_| self.random.random::<u8>()));
                if self.random.random_bool(0.1) {
                    payload.clear();
                }
                let task = self.task();
                let mut job = NewJob::new(task, payload).id(self.id()).queue(self.queue()).options(self.options());
                let mut soon = || afresh_queue::Timestamp(now.0 + self.random.random_range(-5_000_000..60_000_000));
                let (run_at, expires_at) = (soon(), soon());
                job.run_at = self.random.random_bool(0.4).then_some(run_at);
                job.expires_at = self.random.random_bool(0.2).then_some(expires_at);
                job.key = self.random.random_bool(0.6).then(|| self.key().to_owned());
                job.unique = self.random.random_bool(0.3).then(|| self.unique());
                job.then = self.links();
                job.then.retain(|link| link.id != job.id);
                job
            })
            .collect()
    }

    /// A few leases that were given, the newest more often than the others, sometimes one twice.
    fn some_held(&mut self) -> Vec<(Lease, Lease)> {
        let newest = &self.held[self.held.len().saturating_sub(12)..];
        let mut some: Vec<_> = newest.iter().filter(|_| self.random.random_bool(0.4)).cloned().collect();
        some.extend(self.held.choose(&mut self.random).cloned());
        some.shuffle(&mut self.random);
        some
    }

    fn request(&mut self) -> LeaseRequest {
        LeaseRequest {
            queues: self.queues(),
            max: self.random.random_range(0..7),
            begin: self.random.random_range(0..7),
            max_bytes: *[0, 300, 10_000, usize::MAX].choose(&mut self.random).unwrap(),
            worker: format!("worker-{}", self.random.random_range(0..3)),
            duration: self.span(),
        }
    }

    fn options(&mut self) -> JobOptions {
        JobOptions {
            priority: *[0, 0, 0, 1, -1, 1000, -1000].choose(&mut self.random).unwrap(),
            max_attempts: self.random.random_bool(0.3).then_some(3),
            timeout_ms: self.random.random_bool(0.3).then_some(1_000),
            ..JobOptions::default()
        }
    }

    fn queues(&mut self) -> Vec<String> {
        let mut queues = QUEUES.map(str::to_owned).to_vec();
        queues.shuffle(&mut self.random);
        queues.truncate(self.random.random_range(1..=QUEUES.len()));
        queues
    }

    fn queue(&mut self) -> &'static str {
        QUEUES.choose(&mut self.random).unwrap()
    }

    fn task(&mut self) -> &'static str {
        ["t", "u"].choose(&mut self.random).unwrap()
    }

    fn key(&mut self) -> &'static str {
        ["ann", "bob", "é:7"].choose(&mut self.random).unwrap()
    }

    fn unique(&mut self) -> Unique {
        let scope = match self.random.random_range(0..3) {
            0 => UniqueScope::Queued,
            1 => UniqueScope::Unfinished,
            _ => UniqueScope::For(Duration::from_millis(self.random.random_range(1..60_000))),
        };
        Unique { key: self.key().to_owned(), scope }
    }

    fn id(&mut self) -> JobId {
        id(&format!("job-{}", self.random.random_range(0..IDS)))
    }

    /// From nothing to a few leases' length; now and then a day.
    fn span(&mut self) -> Duration {
        match self.random.random_range(0..10) {
            0 => Duration::ZERO,
            1 => Duration::from_micros(1),
            2..9 => Duration::from_micros(self.random.random_range(0..40_000_000)),
            _ => Duration::from_secs(24 * 3600),
        }
    }
}

#[tokio::test]
async fn sqlite_and_redis_never_differ() {
    compare(&Subject::sqlite_in_memory().await, &Subject::redis().await).await;
}
