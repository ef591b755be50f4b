//! Hears that jobs are to be cancelled, and ends their attempts here. What it may have missed the heartbeat asks for.

use std::sync::Arc;

use afresh_queue::Broker;
use tokio::sync::Notify;

use super::in_flight::InFlight;

/// Ends attempts of jobs that are cancelled.
pub struct Canceller {
    broker: Arc<dyn Broker>,
    in_flight: Arc<InFlight>,
    missed: Arc<Notify>,
}

impl Canceller {
    /// A canceller that says through `missed` when something may have been missed.
    pub fn new(broker: Arc<dyn Broker>, in_flight: Arc<InFlight>, missed: Arc<Notify>) -> Self {
        Self { broker, in_flight, missed }
    }

    /// Listens until it is dropped.
    pub async fn run(self) {
        loop {
            self.tick().await;
        }
    }

    /// Waits for the next requests, and carries them out.
    async fn tick(&self) {
        let leases = self.broker.cancellations().await;
        if leases.is_empty() {
            self.missed.notify_one();
        }
        self.in_flight.cancel_asked(leases);
    }
}
