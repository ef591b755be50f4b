//! Lanes: what is done for each queue by itself, since in a cluster one may not be served while the others are.

use std::collections::HashMap;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// The most that is handed on in one look.
const MOST_AT_ONCE: usize = 256;

/// What comes in, for all queues.
pub trait Arrivals<T>: Send {
    /// What has come, as soon as there is some; nothing once no more can come.
    fn next(&mut self) -> impl Future<Output = Vec<T>> + Send;
}

impl<T: Send> Arrivals<T> for UnboundedReceiver<T> {
    async fn next(&mut self) -> Vec<T> {
        let mut items = Vec::new();
        self.recv_many(&mut items, MOST_AT_ONCE).await;
        items
    }
}

/// Hands what arrives to the lane of its queue, until no more can come and every lane has ended. Lanes end with it where
/// it is dropped.
pub async fn by_queue<T, F>(
    mut arrivals: impl Arrivals<T>,
    queue: impl Fn(&T) -> &str,
    lane: impl Fn(UnboundedReceiver<T>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut lanes = HashMap::<String, UnboundedSender<T>>::new();
    loop {
        let items = arrivals.next().await;
        if items.is_empty() {
            break;
        }
        for item in items {
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
    }
    drop(lanes);
    running.join_all().await;
}
