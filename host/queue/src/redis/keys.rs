//! The name of every key, in one place; no script and no other file spells one. All keys of a queue carry its name as
//! the hash tag, so that a queue lives on one slot of a cluster. What each key holds is in `docs/queue-protocol.md`.

use crate::job::JobId;

/// The set of queues that ever had a job. It lives on a slot of its own, so no script touches it.
pub(super) const QUEUES: &str = "afresh:queues";

/// What workers say of themselves, and when each is forgotten. They belong to no queue, but together on one slot.
pub(super) const WORKERS: [&str; 2] = ["afresh:workers:{workers}", "afresh:workers:{workers}:forgotten"];

/// What [`super::RedisBroker`] writes to find out whether it may write.
pub(super) const CHECK: &str = "afresh:check";

/// What [`super::link`] subscribes to: the wake channels of all queues.
pub(super) const WAKE_PATTERN: &str = "afresh:{*}:wake";

/// The keys of one queue.
pub(super) struct Keys {
    queue: String,
}

impl Keys {
    pub(super) fn of(queue: &str) -> Self {
        Self { queue: queue.to_owned() }
    }

    /// What `enqueue` is given: job · queued · scheduled · seq · wake.
    pub(super) fn for_enqueue(&self) -> [String; 5] {
        ["job", "queued", "scheduled", "seq", "wake"].map(|name| self.key(name))
    }

    /// What every other script is given: the five of `enqueue`, then running · succeeded · dead · cancelled.
    pub(super) fn all(&self) -> [String; 9] {
        ["job", "queued", "scheduled", "seq", "wake", "running", "succeeded", "dead", "cancelled"]
            .map(|name| self.key(name))
    }

    /// The hash that is a job's record.
    pub(super) fn job(&self, id: &JobId) -> String {
        self.record(id.as_str())
    }

    /// The same for an id as it stands in an index.
    pub(super) fn record(&self, id: &str) -> String {
        format!("{}:{id}", self.key("job"))
    }

    /// The sorted set of the jobs in a state.
    pub(super) fn index(&self, state: crate::State) -> String {
        self.key(state.as_str())
    }

    fn key(&self, name: &str) -> String {
        format!("afresh:{{{}}}:{name}", self.queue)
    }
}

/// The queue whose wake channel this is.
pub(super) fn queue_of_wake(channel: &[u8]) -> Option<&str> {
    std::str::from_utf8(channel).ok()?.strip_prefix("afresh:{")?.strip_suffix("}:wake")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_channel_names_its_queue() {
        let [.., wake] = Keys::of("mail.v2").for_enqueue();
        assert_eq!(wake, "afresh:{mail.v2}:wake");
        assert_eq!(queue_of_wake(wake.as_bytes()), Some("mail.v2"));
        assert_eq!(queue_of_wake(b"afresh:{mail.v2}:queued"), None);
    }
}
