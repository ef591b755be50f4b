//! Extends the leases while their attempts run, three times in a lease's life; the worker does so too before it takes over
//! those of others. One that is no longer ours ends its attempt: somebody else has the job. So does one whose job was
//! cancelled, should nobody have heard of that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Beat, Broker, BrokerError, Extended, steps};
use afresh_sandbox::Reason;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::backoff::{Backoff, spread};
use super::in_flight::InFlight;
use super::until::Moment;

/// Extends leases.
pub struct Heartbeat {
    broker: Arc<dyn Broker>,
    in_flight: Arc<InFlight>,
    lease: Duration,
    early: Arc<Notify>,
}

impl Heartbeat {
    /// A heartbeat for leases of this duration, which beats at once when `early` says so.
    pub fn new(broker: Arc<dyn Broker>, in_flight: Arc<InFlight>, lease: Duration, early: Arc<Notify>) -> Self {
        Self { broker, in_flight, lease, early }
    }

    /// Beats until it is dropped.
    pub async fn run(self) {
        // Not as late as the next beat: leases may end before that.
        let mut trouble = Backoff::at_most(self.lease / 10);
        loop {
            match extend(&self.broker, &self.in_flight, self.lease).await.first() {
                None => {
                    trouble.over("leases are extended again");
                    tokio::select! {
                        () = tokio::time::sleep(spread(self.lease / 3)) => {}
                        () = self.early.notified() => {}
                    }
                }
                Some((_, error)) => tokio::time::sleep(trouble.pause("failed to extend leases", error)).await,
            }
        }
    }
}

/// One beat: extends every lease that is held to this length from now, each queue's by themselves, since in a cluster one
/// may not be served, or hang, while the others are. Answers the queues whose leases stand as they stood, and why.
pub async fn extend(
    broker: &Arc<dyn Broker>,
    in_flight: &Arc<InFlight>,
    length: Duration,
) -> Vec<(String, BrokerError)> {
    let mut queues = HashMap::<String, Vec<Beat>>::new();
    for beat in in_flight.beats() {
        queues.entry(beat.lease.queue.clone()).or_default().push(beat);
    }
    let mut calls = JoinSet::new();
    for (queue, beats) in queues {
        let (broker, in_flight) = (broker.clone(), in_flight.clone());
        calls.spawn(async move {
            let extended = extend_these(&*broker, &in_flight, &beats, length).await;
            extended.err().map(|error| (queue, error))
        });
    }
    calls.join_all().await.into_iter().flatten().collect()
}

async fn extend_these(
    broker: &dyn Broker,
    in_flight: &InFlight,
    beats: &[Beat],
    length: Duration,
) -> Result<(), BrokerError> {
    let asked = Moment::now();
    let extended = broker.extend(beats, length).await?;
    steps::reached("extended");
    for (beat, extended) in beats.iter().zip(extended) {
        if extended != Extended::Lost {
            in_flight.extend(&beat.lease, asked, length);
        }
        match extended {
            Extended::Held => {}
            Extended::Cancelling => in_flight.cancel(&beat.lease, Reason::Cancelled),
            // Settled between the question and the answer, or lost; only in the second case is it still held.
            Extended::Lost => in_flight.cancel(&beat.lease, Reason::LeaseLost),
        }
    }
    Ok(())
}
