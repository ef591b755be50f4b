//! Requests to cancel running jobs, as they are heard: a script sends one with the job's id and token. What is missed while
//! the connection is broken, `extend` tells.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::lease::LeaseRef;

/// The most requests that wait for somebody to take them; of more, the flag in the job's record is what is left.
const MOST: usize = 10_000;

/// Requests that were heard and not taken yet.
#[derive(Default)]
pub(super) struct Requests {
    waiting: Mutex<Waiting>,
    bell: Notify,
}

#[derive(Default)]
struct Waiting {
    leases: Vec<LeaseRef>,
    /// Some may not have been heard.
    missed: bool,
}

impl Requests {
    /// A message in a queue's channel: an id, a space, a token.
    pub(super) fn hear(&self, queue: &str, message: &[u8]) {
        let lease = std::str::from_utf8(message).ok().and_then(|text| {
            let (id, token) = text.split_once(' ')?;
            Some(LeaseRef { queue: queue.to_owned(), id: id.parse().ok()?, token: token.parse().ok()? })
        });
        let mut waiting = self.lock();
        match lease {
            Some(lease) if waiting.leases.len() < MOST => waiting.leases.push(lease),
            _ => waiting.missed = true,
        }
        drop(waiting);
        self.bell.notify_one();
    }

    /// Some may have been missed.
    pub(super) fn miss(&self) {
        self.lock().missed = true;
        self.bell.notify_one();
    }

    /// Waits for requests, and takes them; none, if some were missed. For one waiter.
    pub(super) async fn wait(&self) -> Vec<LeaseRef> {
        loop {
            let Waiting { leases, missed } = std::mem::take(&mut *self.lock());
            if missed || !leases.is_empty() {
                return leases;
            }
            self.bell.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_heard_is_taken_once_and_what_was_missed_is_told() {
        let requests = Requests::default();
        requests.hear("mail", b"job-1 7");
        requests.hear("mail", b"job-2 8");
        let taken = requests.wait().await;
        let names: Vec<_> = taken.iter().map(|lease| (lease.queue.as_str(), lease.id.as_str(), lease.token)).collect();
        assert_eq!(names, [("mail", "job-1", 7), ("mail", "job-2", 8)]);
        for unreadable in [&b"job-1"[..], b"job-1 x", b"\xff 1", b" 1"] {
            requests.hear("mail", unreadable);
            assert_eq!(requests.wait().await, [], "somebody speaks another language: look");
        }
        requests.miss();
        assert_eq!(requests.wait().await, []);
    }
}
