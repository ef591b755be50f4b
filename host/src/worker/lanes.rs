//! Lanes: what is done for each queue by itself, since in a cluster one may not be served while the others are.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// The most that is handed on in one look.
const MOST_AT_ONCE: usize = 256;

/// Hands what arrives to the lane of its queue, until nobody sends any more and every lane has ended. Lanes end with it
/// where it is dropped. After each look it pauses for as long as `pause` says: what arrives meanwhile wakes nobody.
pub async fn by_queue<T, F>(
    mut arrivals: UnboundedReceiver<T>,
    queue: impl Fn(&T) -> &str,
    pause: impl Fn() -> Option<Duration>,
    lane: impl Fn(UnboundedReceiver<T>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut lanes = HashMap::<String, UnboundedSender<T>>::new();
    let mut items = Vec::new();
    while arrivals.recv_many(&mut items, MOST_AT_ONCE).await > 0 {
        for item in items.drain(..) {
            let name = queue(&item);
            if !lanes.contains_key(name) {
                let (sender, items) = unbounded_channel();
                running.spawn(lane(items));
                lanes.insert(name.to_owned(), sender);
            }
            if let Some(lane) = lanes.get(name) {
                // A lane ends only after this.
                let _ = lane.send(item);
            }
        }
        if let Some(pause) = pause() {
            tokio::time::sleep(pause).await;
        }
    }
    drop(lanes);
    running.join_all().await;
}
