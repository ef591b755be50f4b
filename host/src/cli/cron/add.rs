//! `afresh cron add`: adds a periodic job, or changes it, and says when it is due.

use std::process::ExitCode;
use std::time::Duration;

use afresh_queue::job::{DEFAULT_QUEUE, millis};
use afresh_queue::schedule::DEFAULT_TIMEZONE;
use afresh_queue::{Cron, JobOptions, Missed, Timestamp};
use bytesize::ByteSize;
use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;

use super::page::{self, Due};
use super::{Handle, Session, Usage, block_on, known};
use crate::cli::payload::Payload;

/// A periodic job. What its jobs ask for has the names of `enqueue`; but for what tells one job from another.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Its name, one in the broker
    name: String,
    /// When it is due: minute, hour, day, month and weekday, with seconds before them if there are six; or @daily and its
    /// like
    #[arg(value_name = "CRON LINE", allow_hyphen_values = true)]
    schedule: String,
    /// The task to run
    task: String,
    /// The payload: text, @FILE, or - for standard input [default: empty]
    #[arg(allow_negative_numbers = true)]
    payload: Option<Payload>,
    /// The time zone that the cron line is meant in, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = DEFAULT_TIMEZONE, env = "AFRESH_TIMEZONE")]
    timezone: String,
    /// What becomes of times at which no worker served the queue
    #[arg(long, value_enum, default_value_t = WhenMissed::Skip, env = "AFRESH_MISSED")]
    missed: WhenMissed,
    /// The queue its jobs go to
    #[arg(long, value_name = "NAME", default_value = DEFAULT_QUEUE, env = "AFRESH_QUEUE")]
    queue: String,
    /// How many attempts of a job may start
    #[arg(long, value_name = "N", env = "AFRESH_MAX_ATTEMPTS", allow_negative_numbers = true)]
    max_attempts: Option<u32>,
    /// The shortest wait before a retry
    #[arg(long, value_name = "DURATION", env = "AFRESH_MIN_BACKOFF", value_parser = humantime::parse_duration)]
    min_backoff: Option<Duration>,
    /// The longest wait before a retry
    #[arg(long, value_name = "DURATION", env = "AFRESH_MAX_BACKOFF", value_parser = humantime::parse_duration)]
    max_backoff: Option<Duration>,
    /// The time one attempt may take
    #[arg(long, value_name = "DURATION", env = "AFRESH_TIMEOUT", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// The linear memory one attempt may have, such as 64MiB
    #[arg(long, value_name = "SIZE", env = "AFRESH_MEMORY")]
    memory: Option<ByteSize>,
    /// Higher goes first, from -1000 to 1000
    #[arg(long, value_name = "N", default_value_t = 0, env = "AFRESH_PRIORITY", allow_negative_numbers = true)]
    priority: i32,
    /// Whom its jobs are for, such as customer:42: limits and fair queues go by it
    #[arg(long, visible_alias = "concurrency-key", value_name = "KEY", env = "AFRESH_KEY")]
    key: Option<String>,
}

/// What becomes of times that were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WhenMissed {
    /// Nothing
    Skip,
    /// One job for all of them, as soon as a worker serves the queue again
    RunOnce,
}

/// A periodic job that was added or changed, for programs.
#[derive(Serialize)]
struct Added {
    added: bool,
    #[serde(flatten)]
    due: Due,
}

/// Adds it, or changes it.
///
/// # Errors
/// [`Usage`] where it cannot be; else the broker's own, or what was wrong with the payload.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    let payload = args.payload.clone();
    let mut cron = args.cron();
    // Checked before the payload is read: what is wrong here is how the command was called.
    cron.check().map_err(Usage)?;
    if let Some(payload) = payload {
        cron.payload = payload.read(session.config.max_payload)?;
    }
    block_on(async {
        let handle = Handle::open(session).await?;
        let added = handle.ask(handle.broker.add_cron(&cron)).await?;
        let now = Timestamp::now();
        let due = Due::new(known(&handle, &cron.name).await?, 3, now);
        session.output.value(&Added { added, due }, |Added { added, due }| {
            let did = if *added { "added" } else { "changed" };
            format!("{did} {}\n{}", cron.name, page::times(due, now))
        })?;
        Ok(ExitCode::SUCCESS)
    })
}

impl Args {
    /// What is asked for, without its payload.
    fn cron(self) -> Cron {
        Cron {
            name: self.name,
            schedule: self.schedule,
            timezone: self.timezone,
            missed: match self.missed {
                WhenMissed::Skip => Missed::Skip,
                WhenMissed::RunOnce => Missed::RunOnce,
            },
            queue: self.queue,
            task: self.task,
            payload: Vec::new(),
            options: JobOptions {
                priority: self.priority,
                max_attempts: self.max_attempts,
                min_backoff_ms: self.min_backoff.map(millis),
                max_backoff_ms: self.max_backoff.map(millis),
                timeout_ms: self.timeout.map(millis),
                memory: self.memory.map(|memory| memory.as_u64()),
            },
            key: self.key,
        }
    }
}
