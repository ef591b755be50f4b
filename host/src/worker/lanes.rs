//! Lanes: what is done for each queue by itself, since in a cluster one may not be served while the others are.

use std::collections::HashMap;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// Hands what arrives to the lane of its queue, until nobody sends any more and every lane has ended. Lanes end with it
/// where it is dropped.
pub async fn by_queue<T, F>(
    mut arrivals: UnboundedReceiver<T>,
    queue: impl Fn(&T) -> &str,
    lane: impl Fn(UnboundedReceiver<T>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut lanes = HashMap::<String, UnboundedSender<T>>::new();
    while let Some(item) = arrivals.recv().await {
        let lane = lanes.entry(queue(&item).to_owned()).or_insert_with(|| {
            let (sender, items) = unbounded_channel();
            running.spawn(lane(items));
            sender
        });
        // A lane ends only after this.
        let _ = lane.send(item);
    }
    drop(lanes);
    running.join_all().await;
}
