//! Whether the machine stands still, or the store does: then leases end that nobody has done anything to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use afresh_queue::Broker;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::faults::{Fault, Kind};
use crate::ledger::{Us, now};
use crate::load::waiting;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(50);

/// A look that takes so much longer means that the machine or its disk stood still, or had no time for anybody.
const LATE: Duration = Duration::from_millis(500);

/// Somebody who looks at clock and store.
pub struct Watch {
    stop: oneshot::Sender<()>,
    seen: mpsc::UnboundedReceiver<Fault>,
}

impl Watch {
    /// Looks from now on.
    pub fn start(runtime: &Handle, broker: Arc<dyn Broker>) -> Self {
        let ((stop, mut stopped), (tell, seen)) = (oneshot::channel(), mpsc::unbounded_channel());
        runtime.spawn(async move {
            while stopped.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                let last = Instant::now();
                tokio::time::sleep(EVERY).await;
                // What it says does not matter here.
                let _ = waiting(&*broker).await;
                let passed = last.elapsed();
                if passed > LATE {
                    let until = now();
                    let from = until - Us::try_from(passed.as_micros()).unwrap_or(0);
                    let _ = tell.send(Fault { kind: Kind::Stall, from, until, life: None, tail: 0 });
                }
            }
        });
        Self { stop, seen }
    }

    /// Ends, and answers when they stood still.
    pub fn stop(mut self) -> Vec<Fault> {
        let _ = self.stop.send(());
        std::iter::from_fn(|| self.seen.blocking_recv()).collect()
    }
}
