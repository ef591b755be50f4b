//! Extends the leases while their attempts run, three times in a lease's life. One that is no longer ours ends its
//! attempt: somebody else has the job.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Beat, Broker, BrokerError, Extended};
use afresh_sandbox::Reason;
use tokio::time::MissedTickBehavior;

use super::backoff::Backoff;
use super::in_flight::InFlight;

/// Extends leases.
pub struct Heartbeat {
    broker: Arc<dyn Broker>,
    in_flight: Arc<InFlight>,
    lease: Duration,
}

impl Heartbeat {
    /// A heartbeat for leases of this duration.
    pub fn new(broker: Arc<dyn Broker>, in_flight: Arc<InFlight>, lease: Duration) -> Self {
        Self { broker, in_flight, lease }
    }

    /// Beats until it is dropped.
    pub async fn run(self) {
        let mut trouble = Backoff::default();
        let mut beat = tokio::time::interval(self.lease / 3);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            match self.tick().await {
                Ok(()) => trouble.over("leases are extended again"),
                Err(error) => {
                    // Not at the next beat: leases may end before that.
                    let pause = trouble.pause("failed to extend leases", &error);
                    tokio::time::sleep(pause.min(self.lease / 10)).await;
                    beat.reset_immediately();
                }
            }
        }
    }

    /// One beat.
    async fn tick(&self) -> Result<(), BrokerError> {
        let leases = self.in_flight.leases();
        if leases.is_empty() {
            return Ok(());
        }
        let beats: Vec<_> = leases.iter().map(|lease| Beat { lease: lease.clone(), begun: true }).collect();
        let extended = self.broker.extend(&beats, self.lease).await?;
        for (lease, extended) in leases.iter().zip(extended) {
            match extended {
                Extended::Held => {}
                Extended::Cancelling => self.in_flight.cancel(lease, Reason::Cancelled),
                // Settled between the question and the answer, or lost; only in the second case is it still held.
                Extended::Lost => self.in_flight.cancel(lease, Reason::LeaseLost),
            }
        }
        Ok(())
    }
}
