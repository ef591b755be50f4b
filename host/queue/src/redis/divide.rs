//! What a caller hands over at once, divided into what one script call carries: of one queue, and not too many bytes.

use std::collections::BTreeMap;

use super::{BATCH, BATCH_BYTES};
use crate::broker::Settle;
use crate::policy::Settlement;

/// The places in `items` of what belongs to each queue.
pub(super) fn by_queue<T>(items: &[T], queue: impl Fn(&T) -> &String) -> BTreeMap<&str, Vec<usize>> {
    let mut queues = BTreeMap::<&str, Vec<usize>>::new();
    for (place, item) in items.iter().enumerate() {
        queues.entry(queue(item)).or_default().push(place);
    }
    queues
}

/// Puts answers where the questions stood.
pub(super) fn put<T>(all: &mut [T], places: &[usize], answers: Vec<T>) {
    for (&place, answer) in places.iter().zip(answers) {
        all[place] = answer;
    }
}

/// The places in order, in chunks that one script call can carry.
pub(super) fn chunks(mut places: &[usize], bytes: impl Fn(usize) -> usize) -> Vec<&[usize]> {
    let mut chunks = Vec::new();
    while !places.is_empty() {
        let mut sum = 0_usize;
        let fits = places.iter().take(BATCH).take_while(|&&place| {
            sum = sum.saturating_add(bytes(place));
            sum <= BATCH_BYTES
        });
        let (chunk, rest) = places.split_at(fits.count().max(1));
        chunks.push(chunk);
        places = rest;
    }
    chunks
}

pub(super) fn carried_bytes(settle: &Settle) -> usize {
    let reply = match &settle.settlement {
        Settlement::Complete { reply, .. } => reply.len(),
        _ => 0,
    };
    reply + settle.jobs.iter().map(|job| job.payload.len()).sum::<usize>()
}
