//! What one job may ask for: the flags of `afresh enqueue`, and the same names in a line of `--jsonl`.

use std::time::Duration;

use afresh_queue::job::millis;
use afresh_queue::{JobId, JobOptions, NewJob, Timestamp};
use bytesize::ByteSize;
use clap::Args as ClapArgs;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// What one job may ask for; everything absent is the task's, then the worker's default.
#[derive(ClapArgs, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Wishes {
    /// The queue it goes to [default: default]
    #[arg(long, value_name = "NAME", env = "AFRESH_QUEUE")]
    queue: Option<String>,
    /// Not before this time, such as 2026-12-24T18:00:00Z
    #[arg(long, value_name = "RFC3339", conflicts_with = "delay", value_parser = instant)]
    #[serde(deserialize_with = "written_instant")]
    at: Option<jiff::Timestamp>,
    /// Not before so long from now, such as 90s or 2h
    #[arg(long = "in", value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[serde(rename = "in", with = "humantime_serde::option")]
    delay: Option<Duration>,
    /// How many attempts may start
    #[arg(long, value_name = "N", env = "AFRESH_MAX_ATTEMPTS", allow_negative_numbers = true)]
    max_attempts: Option<u32>,
    /// The shortest wait before a retry
    #[arg(long, value_name = "DURATION", env = "AFRESH_MIN_BACKOFF", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    min_backoff: Option<Duration>,
    /// The longest wait before a retry
    #[arg(long, value_name = "DURATION", env = "AFRESH_MAX_BACKOFF", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    max_backoff: Option<Duration>,
    /// The time one attempt may take
    #[arg(long, value_name = "DURATION", env = "AFRESH_TIMEOUT", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    timeout: Option<Duration>,
    /// The linear memory one attempt may have, such as 64MiB
    #[arg(long, value_name = "SIZE", env = "AFRESH_MEMORY")]
    memory: Option<ByteSize>,
    /// Higher goes first, from -1000 to 1000 [default: 0]
    #[arg(long, value_name = "N", env = "AFRESH_PRIORITY", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// The job's id: the same id again in one queue is the same job [default: a fresh one]
    #[arg(long)]
    id: Option<JobId>,
}

impl Wishes {
    /// The job with all that is wished for.
    pub(super) fn job(&self, job: NewJob) -> NewJob {
        let delayed = self.delay.map(|delay| Timestamp::now().after(delay));
        NewJob {
            id: self.id.clone().unwrap_or(job.id),
            queue: self.queue.clone().unwrap_or(job.queue),
            run_at: self.at.map(|at| Timestamp(at.as_microsecond())).or(delayed),
            options: JobOptions {
                priority: self.priority.unwrap_or_default(),
                max_attempts: self.max_attempts,
                min_backoff_ms: self.min_backoff.map(millis),
                max_backoff_ms: self.max_backoff.map(millis),
                timeout_ms: self.timeout.map(millis),
                memory: self.memory.map(|memory| memory.as_u64()),
            },
            ..job
        }
    }

    /// These wishes, and where they say nothing, those.
    pub(super) fn or(self, those: &Self) -> Self {
        let timed = self.at.is_some() || self.delay.is_some();
        Self {
            queue: self.queue.or_else(|| those.queue.clone()),
            at: self.at.or(those.at.filter(|_| !timed)),
            delay: self.delay.or(those.delay.filter(|_| !timed)),
            max_attempts: self.max_attempts.or(those.max_attempts),
            min_backoff: self.min_backoff.or(those.min_backoff),
            max_backoff: self.max_backoff.or(those.max_backoff),
            timeout: self.timeout.or(those.timeout),
            memory: self.memory.or(those.memory),
            priority: self.priority.or(those.priority),
            id: self.id.or_else(|| those.id.clone()),
        }
    }

    /// Checks what the command line's parser checks of flags.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.at.is_some() && self.delay.is_some() {
            return Err("`at` and `in` exclude each other: keep one".to_owned());
        }
        Ok(())
    }
}

/// Reads an instant as people and programs write it.
fn instant(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|_| format!("`{}` is not a time: write it like 2026-12-24T18:00:00Z", text.escape_debug()))
}

fn written_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| instant(&text)).transpose().map_err(D::Error::custom)
}
