//! Decides what becomes of ended attempts, and settles them many at once, each queue's by themselves. Off the slots'
//! threads, so that a slow broker never holds a slot; what waits here is bounded by the leases the worker may hold.

use std::sync::Arc;
use std::time::Duration;

use afresh_protocol::OutcomeKind;
use afresh_queue::{Broker, BrokerError, Settle, Settled, Settlement, steps};
use tokio::sync::mpsc;

use super::agenda::Agenda;
use super::backoff::Backoff;
use super::budget::Share;
use super::in_flight::InFlight;
use super::lanes;
use super::notes::Notes;
use crate::attempt::Ended;

/// The most settlements in one round trip.
const BATCH: usize = 128;

/// How long to gather what ends where attempts end by the dozen: to be woken for each costs the slots more than the wait
/// costs anybody.
const GATHER: Duration = Duration::from_millis(1);

/// Settles ended attempts.
pub struct Settler {
    broker: Arc<dyn Broker>,
    in_flight: Arc<InFlight>,
    agenda: Arc<Agenda>,
    notes: Arc<Notes>,
}

impl Settler {
    /// A settler that has nothing to do yet.
    pub fn new(broker: Arc<dyn Broker>, in_flight: Arc<InFlight>, agenda: Arc<Agenda>, notes: Arc<Notes>) -> Self {
        Self { broker, in_flight, agenda, notes }
    }

    /// Settles what arrives until nobody sends any more.
    pub async fn run(self, arrivals: mpsc::UnboundedReceiver<Ended>) {
        let settler = Arc::new(self);
        let (in_flight, lane) = (settler.in_flight.clone(), |ended| settler.clone().run_one(ended));
        let pause = || in_flight.is_brisk().then_some(GATHER);
        lanes::by_queue(arrivals, |ended: &Ended| &ended.lease.job.queue, pause, lane).await;
    }

    /// The same for one queue.
    async fn run_one(self: Arc<Self>, mut arrivals: mpsc::UnboundedReceiver<Ended>) {
        let mut batch = Vec::with_capacity(BATCH);
        while arrivals.recv_many(&mut batch, BATCH).await > 0 {
            let (settles, shares): (Vec<_>, Vec<_>) = batch.drain(..).map(|ended| self.decide(ended)).unzip();
            self.notes.finish(settles.iter().map(|settle| &settle.lease)).await;
            steps::reached("decided");
            self.settle(&settles).await;
            // What they held goes first, then their room.
            drop(settles);
            drop(shares);
        }
    }

    /// What is to be settled, and what of the memory budget that takes until it is.
    fn decide(&self, ended: Ended) -> (Settle, Option<Share>) {
        let Ended { lease, outcome, record, retry, not_before, log, jobs, late_us, share } = ended;
        if record.usage.wall_us > 0 {
            self.in_flight.learn(record.usage.wall_us);
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
            Some(_) => {
                tracing::debug!(job = %reference.id, task = lease.job.task, "its module is still being compiled")
            }
            None => say(&reference.id, &lease.job.task, &record, &settlement, late_us),
        }
        if !traceless {
            history.push(record);
        }
        (Settle { lease: reference, settlement, counters, history, outcome: kind, jobs }, share)
    }

    /// Writes settlements, for as long as it takes. Repeating one that was carried out is harmless: it is stale then.
    async fn settle(&self, settles: &[Settle]) {
        let mut trouble = Backoff::default();
        loop {
            match self.broker.settle(settles).await {
                Ok(settled) => {
                    steps::reached("settled");
                    trouble.over("the broker takes settlements again");
                    self.note(settles, &settled);
                    return;
                }
                Err(error) if error.is_transient() => {
                    tokio::time::sleep(trouble.pause("failed to settle attempts", &error)).await;
                }
                Err(error) => return self.settle_one_by_one(settles, &error).await,
            }
        }
    }

    /// One bad settlement must not hold the others back: each is tried by itself, and what cannot be written is left to
    /// its lease, which will expire as *lost*.
    async fn settle_one_by_one(&self, settles: &[Settle], error: &BrokerError) {
        let mut trouble = Backoff::default();
        for settle in settles {
            let one = std::slice::from_ref(settle);
            let mut result = self.broker.settle(one).await;
            while let Err(own) = &result
                && own.is_transient()
            {
                tokio::time::sleep(trouble.pause("failed to settle an attempt", own)).await;
                result = self.broker.settle(one).await;
            }
            match result {
                Ok(settled) => self.note(one, &settled),
                Err(own) => {
                    let error = if settles.len() == 1 { error } else { &own };
                    tracing::error!(job = %settle.lease.id, "failed to settle an attempt, it will come back as lost: {error}");
                    self.in_flight.remove([&settle.lease]);
                }
            }
        }
    }

    fn note(&self, settles: &[Settle], settled: &[Settled]) {
        for (settle, settled) in settles.iter().zip(settled) {
            match (settled, &settle.settlement) {
                (Settled::Stale, _) => {
                    tracing::warn!(job = %settle.lease.id, "an attempt ended after its lease was lost; it changed nothing");
                }
                (Settled::Done, Settlement::Retry { delay }) => self.agenda.at_latest(*delay),
                // Jobs for other queues may be on their way: promote brings them there.
                (Settled::Done, _) if !settle.jobs.is_empty() => self.agenda.at_latest(Duration::ZERO),
                (Settled::Done, _) => {}
            }
        }
        self.in_flight.remove(settles.iter().map(|settle| &settle.lease));
    }
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
