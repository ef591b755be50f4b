//! Passes on what attempts say while they run: progress and log lines, for whoever waits for the job or looks at it.

use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Broker, LeaseRef, Note};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;

use super::in_flight::InFlight;

/// How often running attempts are looked at: often enough for a person who watches, and next to nothing for the broker,
/// since attempts that said nothing cost no call.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Passes on what attempts say.
pub struct Notes {
    broker: Arc<dyn Broker>,
    in_flight: Arc<InFlight>,
    /// Held from the look until what was seen is written: what is said last must be written before the settlement, and
    /// not be on its way while that overtakes it.
    writing: Mutex<()>,
}

impl Notes {
    /// Nothing was said yet.
    pub fn new(broker: Arc<dyn Broker>, in_flight: Arc<InFlight>) -> Self {
        Self { broker, in_flight, writing: Mutex::default() }
    }

    /// Looks until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.tick().await;
        }
    }

    /// One look at all of them.
    async fn tick(&self) {
        let _writing = self.writing.lock().await;
        self.write(self.in_flight.notes()).await;
    }

    /// The last look at attempts that are about to be settled.
    pub async fn finish(&self, leases: impl Iterator<Item = &LeaseRef>) {
        let _writing = self.writing.lock().await;
        self.write(self.in_flight.notes_of(leases)).await;
    }

    async fn write(&self, notes: Vec<Note>) {
        if notes.is_empty() {
            return;
        }
        // A log is worth no settlement's delay: what cannot be written now is gone.
        if let Err(error) = self.broker.note(&notes).await {
            tracing::debug!("failed to note what {} attempts said: {error}", notes.len());
        }
    }
}
