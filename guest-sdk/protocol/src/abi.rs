//! Names and numbers of the guest ABI, version 1. `ABI.md` beside this crate is the same for people; a test holds the
//! two together.
//!
//! The style is *pull*: the guest calls the host, the host never calls back into the guest and keeps no guest pointer.

use std::fmt;

/// Namespace of the host functions an SDK module imports; it carries the version.
pub const NAMESPACE: &str = "afresh_v1";

/// Namespace of the WASI functions every module may import.
pub const WASI_NAMESPACE: &str = "wasi_snapshot_preview1";

/// Custom section in which an SDK module declares its tasks: one JSON object ([`crate::TaskPolicy`]) per line.
pub const TASKS_SECTION: &str = "afresh.tasks";

/// The host functions of [`NAMESPACE`], with their core Wasm signatures.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("payload_len", "() -> i32"),
    ("payload_read", "(ptr: i32, len: i32, offset: i32) -> i32"),
    ("reply_write", "(ptr: i32, len: i32)"),
    ("error_write", "(ptr: i32, len: i32)"),
    ("verdict", "(verdict: i32, delay_ms: i64)"),
    ("log", "(level: i32, ptr: i32, len: i32)"),
    ("progress", "(fraction: f64)"),
    ("deadline_left_us", "() -> i64"),
    ("enqueue", "(spec_ptr: i32, spec_len: i32, payload_ptr: i32, payload_len: i32) -> i32"),
];

/// What a guest says of itself through `verdict`. The last call wins; a guest that says nothing and exits with 0 has
/// succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// The task failed; another attempt may succeed. `delay_ms` ≥ 0 asks for at least that long a wait.
    Failed = 1,
    /// The task failed and would fail again: no retry.
    Rejected = 2,
    /// Not now: come back after `delay_ms`. Costs no attempt.
    Snoozed = 3,
    /// The task panicked.
    Panicked = 4,
    /// The payload is not what the task expects: no retry. The error's kind is `bad_payload`.
    BadPayload = 5,
}

impl Verdict {
    /// The verdict of that number, or `None` for a number this version does not know.
    pub fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Failed,
            2 => Self::Rejected,
            3 => Self::Snoozed,
            4 => Self::Panicked,
            5 => Self::BadPayload,
            _ => return None,
        })
    }
}

/// Why `enqueue` did not take a job. Where it did, it answers [`TAKEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Refusal {
    /// The operator has not granted it.
    NotAllowed = 1,
    /// Too many jobs for one attempt, or too many bytes.
    OverLimit = 2,
    /// The spec cannot be read, or says something that no job can have.
    NotAJob = 3,
}

/// What `enqueue` answers where it took the job.
pub const TAKEN: i32 = 0;

impl Refusal {
    /// The number that stands for an answer of `enqueue`.
    pub fn code_of(answer: Result<(), Self>) -> i32 {
        answer.map_or_else(|refusal| refusal as i32, |()| TAKEN)
    }

    /// The answer a number of `enqueue` stands for.
    ///
    /// # Errors
    /// The refusal. A number this version does not know is [`Refusal::NotAllowed`]: whatever it means, nothing was taken.
    pub fn answer_of(code: i32) -> Result<(), Self> {
        match code {
            TAKEN => Ok(()),
            2 => Err(Self::OverLimit),
            3 => Err(Self::NotAJob),
            _ => Err(Self::NotAllowed),
        }
    }
}

/// Levels of a log line, as numbers of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// For the author, while writing the task.
    Debug = 0,
    /// Worth reading in normal operation.
    Info = 1,
    /// Unexpected, survived.
    Warn = 2,
    /// Something failed.
    Error = 3,
}

impl LogLevel {
    /// The level of that number; anything unknown is [`LogLevel::Info`], since a log line is never worth a failure.
    pub fn from_code(code: i32) -> Self {
        match code {
            0 => Self::Debug,
            2 => Self::Warn,
            3 => Self::Error,
            _ => Self::Info,
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// Environment variables every guest gets.
pub mod env {
    /// The task's name (also `argv[0]`).
    pub const TASK: &str = "AFRESH_TASK";
    /// The job's id.
    pub const JOB_ID: &str = "AFRESH_JOB_ID";
    /// This attempt's number, from 1.
    pub const ATTEMPT: &str = "AFRESH_ATTEMPT";
    /// How many attempts the job may start.
    pub const MAX_ATTEMPTS: &str = "AFRESH_MAX_ATTEMPTS";
    /// The queue the job came from.
    pub const QUEUE: &str = "AFRESH_QUEUE";
}

/// Exit codes of a plain command that mean something; any other code but 0 is a failure that may be retried.
pub mod exit {
    /// Succeeded.
    pub const OK: i32 = 0;
    /// `EX_DATAERR` of sysexits.h: rejected, no retry.
    pub const REJECTED: i32 = 65;
    /// `EX_TEMPFAIL` of sysexits.h: failed, retry.
    pub const TEMPORARY: i32 = 75;
}
