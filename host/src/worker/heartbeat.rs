//! Extends the leases while their attempts run, three times in a lease's life. One that is no longer ours ends its
//! attempt: somebody else has the job. So does one whose job was cancelled, should nobody have heard of that.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Broker, BrokerError, Extended, steps};
use afresh_sandbox::Reason;
use tokio::sync::Notify;

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
            match extend(&*self.broker, &self.in_flight, self.lease).await {
                Ok(()) => {
                    trouble.over("leases are extended again");
                    tokio::select! {
                        () = tokio::time::sleep(spread(self.lease / 3)) => {}
                        () = self.early.notified() => {}
                    }
                }
                Err(error) => tokio::time::sleep(trouble.pause("failed to extend leases", &error)).await,
            }
        }
    }
}

/// One beat: extends every lease that is held to this length from now.
///
/// # Errors
/// The broker's own; the leases stand as they stood.
pub async fn extend(broker: &dyn Broker, in_flight: &InFlight, length: Duration) -> Result<(), BrokerError> {
    let beats = in_flight.beats();
    if beats.is_empty() {
        return Ok(());
    }
    let asked = Moment::now();
    let extended = broker.extend(&beats, length).await?;
    steps::reached("extended");
    for (beat, extended) in beats.iter().zip(extended) {
        match extended {
            Extended::Held => in_flight.extend(&beat.lease, asked, length),
            Extended::Cancelling => {
                in_flight.extend(&beat.lease, asked, length);
                in_flight.cancel(&beat.lease, Reason::Cancelled);
            }
            // Settled between the question and the answer, or lost; only in the second case is it still held.
            Extended::Lost => in_flight.cancel(&beat.lease, Reason::LeaseLost),
        }
    }
    Ok(())
}
