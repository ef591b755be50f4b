//! What a contender must be able to do, and what it tells of its attempts. Everything else is measured from outside.

use std::path::Path;

use crate::sample::Ms;
use crate::scenario::Scenario;

/// A task executor that can be given the bomb.
pub trait Contender {
    /// Its name in tables and plots, and its release.
    fn name(&self) -> &str;

    /// How it looks for work, where that was set: `default` or `10 ms`.
    fn polling(&self) -> Option<&'static str>;

    /// Starts one worker with one slot; comes back when it is ready for work. What it writes goes to `log`.
    fn start(&self, scenario: Scenario, redis: &str, log: &Path) -> anyhow::Result<Box<dyn Running>>;
}

/// A worker under way.
pub trait Running {
    /// The process that runs the attempts.
    fn pid(&self) -> u32;

    /// Enqueues the one job.
    fn enqueue(&mut self) -> anyhow::Result<()>;

    /// Kills the worker; answers its attempts in order.
    fn stop(self: Box<Self>) -> anyhow::Result<Vec<Attempt>>;
}

/// How long after its end an attempt may still let go of its memory, in milliseconds, the same for everybody: a sample in
/// that time counts as inside. The shortest backoff is twice as long.
const LETTING_GO_MS: f64 = 5.0;

/// One attempt, as the contender's own log tells it. Memory is resident bytes of the worker.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// When it started.
    pub started: Ms,
    /// The worker's memory then, where it can tell by itself.
    pub rss_before: Option<u64>,
    /// The worker's memory once everything was allocated and touched, where it can tell by itself.
    pub rss_allocated: Option<u64>,
    /// When it was over: for Dramatiq with its retry written, for Afresh before that.
    pub ended: Option<Ms>,
    /// How long after the end of its backoff it started, in milliseconds; the first had none.
    pub late: Option<f64>,
    /// What the guest itself had at its peak, in bytes, where the contender can tell.
    pub guest_peak: Option<u64>,
}

impl Attempt {
    /// Whether that instant lies in the attempt, or so shortly after it that it may still let go.
    pub fn contains(&self, at: Ms) -> bool {
        self.started <= at && self.ended.is_none_or(|ended| at <= ended + LETTING_GO_MS)
    }
}
