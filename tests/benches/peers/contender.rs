//! What a contender must be able to do, and what it tells of itself. Everything else is measured from outside.

use std::fmt;
use std::process::Command;

use serde::Serialize;

/// A queue with certain settings.
pub(crate) trait Contender {
    fn facts(&self) -> &Facts;

    /// Hands over so many jobs as its own producers do, each with a payload of 100 bytes as JSON: `{"n":100000,"x":"…"}` with
    /// 81 characters.
    ///
    /// # Errors
    /// If they are not all accepted.
    fn enqueue(&self, redis: &str, jobs: usize) -> anyhow::Result<()>;

    /// Its worker, which is not started yet.
    fn worker(&self, redis: &str) -> Command;
}

/// What is known of a contender.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Its name and its release.
    pub(crate) peer: String,
    /// What was set.
    pub(crate) settings: String,
    pub(crate) guarantees: Guarantees,
    /// Jobs of one drain: what takes it some seconds on two cores.
    pub(crate) jobs: usize,
    /// Commands whose answers add up to the jobs that are left. A job passes these places in this order, so that one that
    /// moves between two commands is counted twice and never missed.
    pub(crate) left: &'static [&'static str],
    /// Commands whose answers add up to the jobs that failed: there must be none.
    pub(crate) failed: &'static [&'static str],
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.peer, self.settings)
    }
}

/// What is promised of a job.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Guarantees {
    /// What brings it back if its worker dies.
    pub(crate) recovery: Recovery,
    /// Whether it is kept until its end is written down.
    pub(crate) acknowledged: bool,
    /// Whether it is tried again when it fails.
    pub(crate) retried: bool,
    /// What gives an attempt memory of its own, where something does.
    pub(crate) own_memory: Option<&'static str>,
}

/// What brings a job back if its worker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "by", content = "what")]
pub(crate) enum Recovery {
    /// A lease or a lock of that job.
    Job(&'static str),
    /// The silence of the worker that has it.
    Worker(&'static str),
    /// Nothing: it is lost.
    Nothing,
}

impl Guarantees {
    /// Whether no job is lost when its worker dies, nor when it fails.
    pub(crate) fn lose_nothing(&self) -> bool {
        self.recovery != Recovery::Nothing && self.acknowledged && self.retried
    }

    /// Whether it is so by a lease or a lock of each job, as with Afresh.
    pub(crate) fn are_ours(&self) -> bool {
        self.lose_nothing() && matches!(self.recovery, Recovery::Job(_))
    }
}
