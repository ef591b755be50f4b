//! Who works: what each worker says of itself, for people. Nothing here decides anything about a job: whoever holds a
//! job is told by its lease alone.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::broker::BrokerError;
use crate::clock::Timestamp;
use crate::job::JobId;

/// The most running jobs that are kept of what one worker says: enough for any machine, and bounded in a broker.
pub const MOST_LISTED: usize = 256;

/// How long a worker that is gone is still shown, so that a person who comes to look finds out.
pub const KEEP_GONE: Duration = Duration::from_secs(15 * 60);

/// A job that an attempt runs now. Never its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningJob {
    /// The job.
    pub job: JobId,
    /// The task it runs.
    pub task: String,
    /// The queue it is in.
    pub queue: String,
    /// Since when a slot has it, by the broker's clock.
    pub since: Timestamp,
}

/// What a worker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its name: unique to one start of one process, the same as in a job's history.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// When it started, by its machine's clock.
    pub started_at: Timestamp,
    /// Whether it was asked to end: it takes no new jobs.
    pub stopping: bool,
    /// The queues it serves, as they are written: `mail` or `mail=3`.
    pub queues: Vec<String>,
    /// How many attempts it runs at the same time.
    pub slots: usize,
    /// Bytes of its memory budget that the attempts of now may take.
    pub memory_used_bytes: u64,
    /// Bytes that guests may take together.
    pub memory_budget_bytes: u64,
    /// How many jobs it runs.
    pub running_total: usize,
    /// The jobs it runs; of very many, the first [`MOST_LISTED`].
    pub running: Vec<RunningJob>,
}

/// A worker as people and other programs see it: `workers --json`. A contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// What it said last.
    #[serde(flatten)]
    pub info: WorkerInfo,
    /// When it said that, by the broker's clock.
    pub last_seen: Timestamp,
    /// Whether it has been silent for longer than it meant to be: it was killed, or cannot reach the broker.
    pub gone: bool,
}

/// Where workers announce themselves.
#[async_trait]
pub trait Fleet {
    /// Notes what a worker says of itself. It counts for `keep`: after that the worker is shown as gone, and
    /// [`KEEP_GONE`] later no longer.
    ///
    /// # Errors
    /// The broker's own, here and below.
    async fn announce(&self, worker: &WorkerInfo, keep: Duration) -> Result<(), BrokerError>;

    /// Forgets the worker of this name, which ends. One that nobody knows is no error.
    async fn withdraw(&self, name: &str) -> Result<(), BrokerError>;

    /// The workers, the one that started first at the top.
    async fn workers(&self) -> Result<Vec<WorkerView>, BrokerError>;
}

impl WorkerInfo {
    /// What a broker keeps: bounded, whatever the worker says.
    pub(crate) fn encode(&self) -> String {
        let mut kept = self.clone();
        kept.running_total = kept.running_total.max(kept.running.len());
        kept.running.truncate(MOST_LISTED);
        // Numbers and text: this always serialises.
        serde_json::to_string(&kept).unwrap_or_default()
    }
}

/// What is known of a worker in a broker: what it said, when, and until when that counts.
pub(crate) struct Announced {
    pub(crate) seen: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) info: Vec<u8>,
}

/// The workers that are to be shown at `now`, in their order. What cannot be read is another version's, and left out.
pub(crate) fn views(announced: impl IntoIterator<Item = Announced>, now: Timestamp) -> Vec<WorkerView> {
    let shown = announced.into_iter().filter(|worker| worker.until.after(KEEP_GONE) > now);
    let mut views: Vec<_> = shown
        .filter_map(|Announced { seen, until, info }| {
            let info = serde_json::from_slice(&info).ok()?;
            Some(WorkerView { info, last_seen: seen, gone: until <= now })
        })
        .collect();
    views.sort_by(|a, b| (a.info.started_at, &a.info.name).cmp(&(b.info.started_at, &b.info.name)));
    views
}
