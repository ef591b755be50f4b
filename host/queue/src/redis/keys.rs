//! The name of every key that this program spells; scripts are given the queue's and add the same names
//! (`scripts/common.lua`). All keys of a queue carry its name as the hash tag, so that a queue lives on one slot of a
//! cluster. What each key holds is in `docs/queue-protocol.md`.

use crate::job::JobId;

/// The set of queues that ever had a job. It lives on a slot of its own, so no script touches it.
pub(super) const QUEUES: &str = "afresh:queues";

/// What workers say of themselves, and when each is forgotten. They belong to no queue, but together on one slot.
pub(super) const WORKERS: [&str; 2] = ["afresh:workers:{workers}", "afresh:workers:{workers}:forgotten"];

/// What [`super::RedisBroker`] writes to find out whether it may write.
pub(super) const CHECK: &str = "afresh:check";

/// What [`super::link`] subscribes to: the wake channels of all queues, and those that ask to cancel running jobs.
pub(super) const CHANNELS: [&str; 2] = ["afresh:{*}:wake", "afresh:{*}:cancel"];

/// The keys of one queue.
pub(super) struct Keys {
    queue: String,
}

impl Keys {
    pub(super) fn of(queue: &str) -> Self {
        Self { queue: queue.to_owned() }
    }

    /// What every script is given: the queue, of which all other keys are made.
    pub(super) fn queue(&self) -> String {
        format!("afresh:{{{}}}", self.queue)
    }

    /// The rules of its limits, by name.
    pub(super) fn limits(&self) -> String {
        self.key("limits")
    }

    /// How many jobs run under each limit.
    pub(super) fn busy(&self) -> String {
        self.key("busy")
    }

    /// The sorted set of all held jobs.
    pub(super) fn all_held(&self) -> String {
        self.key("held")
    }

    /// The sorted set of the jobs that one limit holds.
    pub(super) fn held(&self, limit: &str) -> String {
        self.key(&format!("held:{limit}"))
    }

    /// The limits that hold jobs, and the versions of records that do.
    pub(super) fn again(&self) -> String {
        self.key("again")
    }

    /// What is kept of its periodic jobs, by name.
    pub(super) fn cron(&self) -> String {
        self.key("cron")
    }

    /// When they are due next.
    pub(super) fn cron_due(&self) -> String {
        self.key("cron-due")
    }

    /// Whether the queue is fair, and the turns that were leased last.
    pub(super) fn fair(&self) -> String {
        self.key("fair")
    }

    /// The hash that is a batch.
    pub(super) fn batch(&self, id: &JobId) -> String {
        format!("{}:{id}", self.key("batch"))
    }

    /// The sorted set of the jobs that belong to a batch, by when they came.
    pub(super) fn batch_jobs(&self, id: &JobId) -> String {
        format!("{}:{id}", self.key("batch-jobs"))
    }

    /// The sorted set of its batches that stand in no other, by when they came.
    pub(super) fn batches(&self) -> String {
        self.key("batches")
    }

    /// The hash that is a job's record, unless that is a short one.
    pub(super) fn record(&self, id: &str) -> String {
        format!("{}:{id}", self.key("job"))
    }

    /// The sorted set of the jobs in a state.
    pub(super) fn index(&self, state: crate::State) -> String {
        self.key(state.as_str())
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.queue())
    }
}

/// What a channel is for, and its queue.
pub(super) fn channel(name: &[u8]) -> Option<(Channel, &str)> {
    let (queue, kind) = std::str::from_utf8(name).ok()?.strip_prefix("afresh:{")?.rsplit_once("}:")?;
    match kind {
        "wake" => Some((Channel::Wake, queue)),
        "cancel" => Some((Channel::Cancel, queue)),
        _ => None,
    }
}

/// What a message in a channel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// There may be something to do in the queue.
    Wake,
    /// A running job of the queue is to be cancelled: its id, a space, its token.
    Cancel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_names_its_queue() {
        assert_eq!(channel(b"afresh:{mail.v2}:wake"), Some((Channel::Wake, "mail.v2")));
        assert_eq!(channel(b"afresh:{mail.v2}:cancel"), Some((Channel::Cancel, "mail.v2")));
        assert_eq!(channel(b"afresh:{mail.v2}:queued"), None);
    }

    /// The scripts make keys of the queue's, as `K.name`; what this file spells must be among them.
    #[test]
    fn scripts_and_this_file_spell_the_same_names() {
        let common = [
            include_str!("scripts/common.lua"),
            include_str!("scripts/limits.lua"),
            include_str!("scripts/ends.lua"),
            include_str!("scripts/cron.lua"),
            include_str!("scripts/flow.lua"),
            include_str!("scripts/batch.lua"),
        ]
        .concat();
        let keys = Keys::of("q");
        assert_eq!(keys.queue(), "afresh:{q}");
        for (key, spelled) in [
            (keys.limits(), "K.limits"),
            (keys.busy(), "K.busy"),
            (keys.all_held(), "K.held"),
            (keys.held("task:t"), "K['held:' .. name]"),
            (keys.again(), "K.again"),
            (keys.fair(), "K.fair"),
            (keys.cron(), "K.cron"),
            (keys.cron_due(), "K['cron-due']"),
            (keys.batch(&"b".parse().unwrap()), "K['batch:' .. batch]"),
            (keys.batch_jobs(&"b".parse().unwrap()), "K['batch-jobs:' .. batch]"),
            (keys.batches(), "K.batches"),
            (keys.index(crate::State::Queued), "K.queued"),
            (keys.index(crate::State::Scheduled), "K.scheduled"),
            (keys.index(crate::State::Running), "K.running"),
        ] {
            let name = key.strip_prefix("afresh:{q}:").unwrap().split(':').next().unwrap();
            assert!(spelled.contains(name) && common.contains(spelled), "{key} is not {spelled}");
        }
        assert!(common.contains("KEYS[1] .. ':' .. name") && common.contains("KEYS[1] .. ':job:'"));
        assert_eq!(keys.record("1"), "afresh:{q}:job:1");
    }
}
