//! Settles what was decided of ended attempts ([`super::verdict`]), many at once, each queue's by themselves. Off the slots'
//! threads, so that a slow broker never holds a slot; what waits here is bounded by the leases the worker may hold.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Broker, BrokerError, Settle, Settled, Settlement, steps};
use tokio::sync::mpsc;

use super::agenda::Agenda;
use super::backoff::Backoff;
use super::in_flight::InFlight;
use super::lanes;
use super::notes::Notes;
use super::verdict::{Arrivals, MANY, Verdict};

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

    /// Settles what arrives until nobody hands anything on any more.
    pub async fn run(self, arrivals: Arrivals) {
        let settler = Arc::new(self);
        let lane = |verdicts| settler.clone().run_one(verdicts);
        lanes::by_queue(arrivals, |verdict: &Verdict| &verdict.settle.lease.queue, lane).await;
    }

    /// The same for one queue.
    async fn run_one(self: Arc<Self>, mut arrivals: mpsc::UnboundedReceiver<Verdict>) {
        let mut batch = Vec::with_capacity(MANY);
        while arrivals.recv_many(&mut batch, MANY).await > 0 {
            let (settles, shares): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|Verdict { settle, share }| (settle, share)).unzip();
            self.notes.finish(settles.iter().map(|settle| &settle.lease)).await;
            steps::reached("decided");
            self.settle(&settles).await;
            // What they held goes first, then their room.
            drop(settles);
            drop(shares);
        }
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
