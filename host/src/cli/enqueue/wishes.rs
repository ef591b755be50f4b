//! What one job may ask for: the flags of `afresh enqueue`, and the same names in a line of `--jsonl`.

use std::time::Duration;

use afresh_queue::job::millis;
use afresh_queue::{JobId, JobOptions, NewJob, Timestamp, Unique, UniqueScope};
use bytesize::ByteSize;
use clap::{Args as ClapArgs, ValueEnum};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::cli::page::seen_from;

/// What one job may ask for; everything absent is the task's, then the worker's default.
#[derive(ClapArgs, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Wishes {
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
    /// Whom the job is for, such as customer:42: limits and fair queues go by it
    #[arg(long, visible_alias = "concurrency-key", value_name = "KEY", env = "AFRESH_KEY")]
    #[serde(alias = "concurrency-key")]
    key: Option<String>,
    /// If the job has not started so long from now, it expires and never runs
    #[arg(long, value_name = "DURATION", env = "AFRESH_EXPIRES_IN", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    expires_in: Option<Duration>,
    // What says that a job is another one's double is said for each job: a forgotten variable must not swallow jobs.
    /// The job's id: the same id again in one queue is the same job [default: a fresh one]
    #[arg(long)]
    id: Option<JobId>,
    /// While a job of the queue holds this key, enqueue nothing and print the id of that job
    #[arg(long, value_name = "KEY")]
    unique_key: Option<String>,
    /// Hold the unique key for so long from now, whatever becomes of the job
    #[arg(long, value_name = "DURATION", conflicts_with = "unique_while", value_parser = humantime::parse_duration)]
    #[serde(with = "humantime_serde::option")]
    unique_for: Option<Duration>,
    /// Hold the unique key until the job first starts, or until it has ended [default: unfinished]
    #[arg(long, value_name = "STATE")]
    unique_while: Option<UniqueWhile>,
}

/// How long a unique key is held that is not held for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UniqueWhile {
    /// Until the job first starts.
    Queued,
    /// Until the job has ended.
    Unfinished,
}

impl Wishes {
    /// The job with all that is wished for.
    ///
    /// # Errors
    /// A sentence, where one wish makes no sense without another, or rules it out.
    pub(super) fn job(&self, job: NewJob) -> Result<NewJob, String> {
        let now = Timestamp::now();
        let run_at = self.at().or(self.delay.map(|delay| now.after(delay)));
        let expires_at = self.expires_in.map(|span| now.after(span));
        if run_at.zip(expires_at).is_some_and(|(run_at, expires_at)| expires_at <= run_at) {
            return Err("the job would expire before its time has come: give it a longer `expires-in`".to_owned());
        }
        Ok(NewJob {
            id: self.id.clone().unwrap_or(job.id),
            queue: self.queue.clone().unwrap_or(job.queue),
            run_at,
            options: JobOptions {
                priority: self.priority.unwrap_or_default(),
                max_attempts: self.max_attempts,
                min_backoff_ms: self.min_backoff.map(millis),
                max_backoff_ms: self.max_backoff.map(millis),
                timeout_ms: self.timeout.map(millis),
                memory: self.memory.map(|memory| memory.as_u64()),
            },
            key: self.key.clone(),
            unique: self.unique()?,
            expires_at,
            ..job
        })
    }

    fn at(&self) -> Option<Timestamp> {
        self.at.map(|at| Timestamp(at.as_microsecond()))
    }

    fn unique(&self) -> Result<Option<Unique>, String> {
        let scope = match (self.unique_for, self.unique_while) {
            (Some(span), _) => Some(UniqueScope::For(span)),
            (None, Some(UniqueWhile::Queued)) => Some(UniqueScope::Queued),
            (None, Some(UniqueWhile::Unfinished)) => Some(UniqueScope::Unfinished),
            (None, None) => None,
        };
        match (&self.unique_key, scope) {
            (Some(key), scope) => {
                Ok(Some(Unique { key: key.clone(), scope: scope.unwrap_or(UniqueScope::Unfinished) }))
            }
            (None, None) => Ok(None),
            (None, Some(_)) => {
                Err("`unique-for` and `unique-while` say how long a `unique-key` is held: give one, or neither of them"
                    .to_owned())
            }
        }
    }

    /// These wishes, for this queue.
    pub(in crate::cli) fn in_queue(self, queue: &str) -> Self {
        Self { queue: Some(queue.to_owned()), ..self }
    }

    /// These wishes, with this id.
    pub(in crate::cli) fn named(self, id: JobId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// These wishes, and where they say nothing, those.
    pub(super) fn or(self, those: &Self) -> Self {
        let timed = self.at.is_some() || self.delay.is_some();
        let held = self.unique_for.is_some() || self.unique_while.is_some();
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
            key: self.key.or_else(|| those.key.clone()),
            expires_in: self.expires_in.or(those.expires_in),
            id: self.id.or_else(|| those.id.clone()),
            unique_key: self.unique_key.or_else(|| those.unique_key.clone()),
            unique_for: self.unique_for.or(those.unique_for.filter(|_| !held)),
            unique_while: self.unique_while.or(those.unique_while.filter(|_| !held)),
        }
    }

    /// Checks what can be wrong with the flags, or with a line, by themselves.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn check(&self) -> Result<(), String> {
        // The command line's parser has seen to these two where they are flags.
        if self.at.is_some() && self.delay.is_some() {
            return Err("`at` and `in` exclude each other: keep one".to_owned());
        }
        if self.unique_for.is_some() && self.unique_while.is_some() {
            return Err("`unique-for` and `unique-while` exclude each other: keep one".to_owned());
        }
        let now = Timestamp::now();
        if let Some(at) = self.at().filter(|&at| at < now) {
            return Err(format!("its `at`, {at}, was {}: leave `at` away to run it now", seen_from(now, at)));
        }
        if self.expires_in.is_some_and(|span| span.is_zero()) {
            return Err("its `expires-in` is 0, it must be more: the job would never start".to_owned());
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
