//! What becomes of an attempt that has ended. It is decided, and written out, on the thread that the attempt ended on: of
//! these there are as many as slots, and the one that talks to the broker is the busiest of all. Settling it, which waits
//! for the broker, is not theirs ([`super::settler`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use afresh_protocol::OutcomeKind;
use afresh_queue::{Settle, Settlement};
use tokio::sync::{Notify, mpsc};

use super::budget::Share;
use super::in_flight::InFlight;
use super::lanes;
use crate::attempt::Ended;

/// So many are worth a round trip to the broker.
pub const MANY: usize = 128;

/// How long to gather what ends where attempts end by the dozen: to wake the settler for each costs the slots more than the
/// wait costs anybody. It ends at once when there are many, or a slot has nothing else to do.
const GATHER: Duration = Duration::from_millis(1);

/// What is to be settled.
pub struct Verdict {
    /// For the broker.
    pub settle: Settle,
    /// What it takes of the memory budget until it is settled.
    pub share: Option<Share>,
}

/// Hands verdicts to the settler. Clones hand them to the same one.
#[derive(Clone)]
pub struct Verdicts {
    sender: mpsc::UnboundedSender<Verdict>,
    in_flight: Arc<InFlight>,
    gathered: Arc<Gathered>,
    // Dropped after the sender: told of the end before it is there, the settler would look too early, and never again.
    _end: End,
}

/// The settler ends with the last sender, so it has to look when one goes.
#[derive(Clone)]
struct End(Arc<Gathered>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.news.notify_one();
    }
}

/// Takes verdicts, many at once.
pub struct Arrivals {
    receiver: mpsc::UnboundedReceiver<Verdict>,
    in_flight: Arc<InFlight>,
    gathered: Arc<Gathered>,
}

/// What waits for the settler.
#[derive(Default)]
struct Gathered {
    count: AtomicUsize,
    /// The first has come; or there is no reason to wait for more.
    news: Notify,
}

impl Verdicts {
    /// A way to the settler, and its end.
    pub fn new(in_flight: Arc<InFlight>) -> (Self, Arrivals) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let gathered = Arc::<Gathered>::default();
        let arrivals = Arrivals { receiver, in_flight: in_flight.clone(), gathered: gathered.clone() };
        (Self { sender, in_flight, _end: End(gathered.clone()), gathered }, arrivals)
    }

    /// Decides what becomes of an attempt, and hands that on. False if nobody settles any more.
    pub fn on(&self, ended: Ended) -> bool {
        self.hand(decide(ended, &self.in_flight))
    }

    fn hand(&self, verdict: Verdict) -> bool {
        // Before it can be taken, so that the count is never too low.
        let count = self.gathered.count.fetch_add(1, Ordering::SeqCst) + 1;
        if self.sender.send(verdict).is_err() {
            return false;
        }
        if count == 1 || count == MANY {
            self.gathered.news.notify_one();
        }
        true
    }

    /// Nobody need wait for more from this thread: it has nothing to do.
    pub fn flush(&self) {
        if self.gathered.count.load(Ordering::SeqCst) > 0 {
            self.gathered.news.notify_one();
        }
    }
}

impl lanes::Arrivals<Verdict> for Arrivals {
    /// Soon after the first has come.
    async fn next(&mut self) -> Vec<Verdict> {
        let mut arrived = Vec::new();
        loop {
            let over = self.take(&mut arrived);
            if over || !arrived.is_empty() {
                return arrived;
            }
            self.gathered.news.notified().await;
            if self.in_flight.is_brisk() && self.gathered.count.load(Ordering::SeqCst) < MANY {
                // Running out of time is an answer like any other.
                let _ = tokio::time::timeout(GATHER, self.gathered.news.notified()).await;
            }
        }
    }
}

impl Arrivals {
    /// Takes what is there; true if that was all there will ever be.
    fn take(&mut self, into: &mut Vec<Verdict>) -> bool {
        let over = loop {
            match self.receiver.try_recv() {
                Ok(verdict) => into.push(verdict),
                Err(end) => break end == mpsc::error::TryRecvError::Disconnected,
            }
        };
        // What came after this look was not the first, so nobody has told of it.
        if self.gathered.count.fetch_sub(into.len(), Ordering::SeqCst) > into.len() {
            self.gathered.news.notify_one();
        }
        over
    }
}

fn decide(ended: Ended, in_flight: &InFlight) -> Verdict {
    let Ended { lease, outcome, record, retry, not_before, log, jobs, late_us, share } = ended;
    if record.usage.wall_us > 0 {
        in_flight.learn(record.usage.wall_us);
    }
    // Handed back before it started: nothing happened that history should tell.
    let traceless = outcome.kind() == OutcomeKind::Interrupted && record.started_at.is_none();
    let reference = lease.reference();
    let mut history = lease.job.history;
    let kind = outcome.kind();
    let (before, mut random) = (lease.job.counters, rand::rng());
    let (mut settlement, counters) = match &lease.previous_worker {
        Some(vanished) => retry.decide_lost(vanished.begun, before, &mut random),
        None => retry.decide(outcome, before, &mut random),
    };
    if let (Settlement::Release, Some(delay)) = (&settlement, not_before) {
        // Released as it is, it would be leased again at once, by this very worker.
        settlement = Settlement::Retry { delay };
    }
    for line in log {
        tracing::debug!(job = %reference.id, task = lease.job.task, level = ?line.level, "guest: {}", line.text.escape_debug());
    }
    match not_before {
        Some(_) => tracing::debug!(job = %reference.id, task = lease.job.task, "its module is still being compiled"),
        None => say(&reference.id, &lease.job.task, &record, &settlement, late_us),
    }
    if !traceless {
        history.push(record);
    }
    let settle = Settle { lease: reference, settlement, counters, history: history.into(), outcome: kind, jobs };
    Verdict { settle, share }
}

/// The line an operator reads: what became of an attempt, and what happens next.
fn say(
    job: &afresh_queue::JobId,
    task: &str,
    record: &afresh_queue::AttemptRecord,
    settlement: &Settlement,
    late_us: i64,
) {
    let next_in_ms = match settlement {
        Settlement::Retry { delay } => Some(delay.as_secs_f64() * 1e3),
        _ => None,
    };
    // Of a long error the log takes a line; the whole record is in the job's history.
    let error: Option<String> = record.error.as_ref().map(|error| error.message.escape_debug().take(300).collect());
    let usage = &record.usage;
    if super::is_news(record.outcome) || tracing::enabled!(tracing::Level::DEBUG) {
        tracing::info!(
            %job,
            task,
            attempt = record.number,
            outcome = record.outcome.as_str(),
            error,
            wall_us = usage.wall_us,
            cpu_us = usage.cpu_us,
            peak_memory_bytes = usage.peak_memory_bytes,
            started_at = record.started_at.map(|at| at.to_string()),
            late_us,
            next_in_ms,
            "attempt finished"
        );
    }
    if *settlement == Settlement::Bury {
        tracing::error!(%job, task, "the job is dead: look with `afresh dead show {job}`, run it again with `afresh dead retry {job}`");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::task::{Context, Waker};
    use std::time::Instant;

    use afresh_queue::{Counters, LeaseRef, Written};

    use super::lanes::Arrivals as _;
    use super::*;

    fn verdict(token: u64) -> Verdict {
        let settle = Settle {
            lease: LeaseRef { queue: "q".into(), id: "a".parse().unwrap(), token },
            settlement: Settlement::Release,
            counters: Counters::default(),
            history: Written::default(),
            outcome: OutcomeKind::Interrupted,
            jobs: Vec::new(),
        };
        Verdict { settle, share: None }
    }

    /// Two hand one on each while the settler takes: whatever falls between its look and its wait has to be told of, since
    /// nobody flushes.
    #[tokio::test]
    async fn every_verdict_arrives_and_then_the_end() {
        const ROUNDS: u64 = 50_000;
        let (verdicts, mut arrivals) = Verdicts::new(Arc::new(InFlight::new(2)));
        let round = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (verdicts, round) = (verdicts.clone(), round.clone());
                std::thread::spawn(move || {
                    for now in 1..=ROUNDS {
                        while round.load(Ordering::SeqCst) < now {
                            std::thread::yield_now();
                        }
                        verdicts.hand(verdict(now));
                    }
                    verdicts
                })
            })
            .collect();
        for now in 1..=ROUNDS {
            round.store(now, Ordering::SeqCst);
            let mut arrived = 0;
            while arrived < 2 {
                let next = tokio::time::timeout(Duration::from_secs(20), arrivals.next()).await;
                let next = next.unwrap_or_else(|_| panic!("nobody told of {} verdicts of round {now}", 2 - arrived));
                assert!(next.iter().all(|verdict| verdict.settle.lease.token == now));
                arrived += next.len();
            }
        }
        drop((verdicts, threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()));
        assert!(arrivals.next().await.is_empty(), "nobody hands on any more");
    }

    /// The settler looks as often as it can while the last of them goes.
    #[test]
    fn the_end_is_told_of_when_it_is_there_to_be_seen() {
        for round in 0..20_000 {
            let (verdicts, mut arrivals) = Verdicts::new(Arc::new(InFlight::new(1)));
            let last = std::thread::spawn(move || drop(verdicts));
            let (mut next, mut waker) = (std::pin::pin!(arrivals.next()), Context::from_waker(Waker::noop()));
            let began = Instant::now();
            while next.as_mut().poll(&mut waker).is_pending() {
                assert!(began.elapsed() < Duration::from_secs(20), "nobody told of the end in round {round}");
            }
            last.join().unwrap();
        }
    }
}
