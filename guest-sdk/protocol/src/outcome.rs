//! What became of one attempt. `Outcome` speaks of the guest; what goes wrong on our side is an `Err` and never this.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ErrorRecord;

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The task returned; this is its reply.
    Succeeded(Vec<u8>),
    /// The task returned an error; another attempt may succeed.
    Failed {
        /// What it said.
        error: ErrorRecord,
        /// The least wait it asked for before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The task returned an error that another attempt would not cure.
    Rejected(ErrorRecord),
    /// The task asked to be run later; costs no attempt.
    Snoozed(Duration),
    /// The task panicked.
    Panicked(ErrorRecord),
    /// The guest trapped: a bad access, a division by zero, the end of its stack, a misuse of the ABI.
    Trapped(ErrorRecord),
    /// The guest wanted more memory than its limit and could not go on without.
    OutOfMemory(ErrorRecord),
    /// The guest used up its fuel.
    OutOfFuel(ErrorRecord),
    /// The guest ran past its deadline.
    TimedOut(ErrorRecord),
    /// The guest went through another wall: its reply was too long, its start too large.
    OverLimit(ErrorRecord),
    /// There was nothing to run: the module is missing, refused, or does not compile.
    BadModule(ErrorRecord),
    /// Somebody cancelled the job while it ran.
    Cancelled,
    /// The worker shut down; costs no attempt.
    Interrupted,
    /// The worker vanished, or lost its lease.
    Lost(ErrorRecord),
}

impl Outcome {
    /// The outcome's one word.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Succeeded(_) => OutcomeKind::Succeeded,
            Self::Failed { .. } => OutcomeKind::Failed,
            Self::Rejected(_) => OutcomeKind::Rejected,
            Self::Snoozed(_) => OutcomeKind::Snoozed,
            Self::Panicked(_) => OutcomeKind::Panicked,
            Self::Trapped(_) => OutcomeKind::Trapped,
            Self::OutOfMemory(_) => OutcomeKind::OutOfMemory,
            Self::OutOfFuel(_) => OutcomeKind::OutOfFuel,
            Self::TimedOut(_) => OutcomeKind::TimedOut,
            Self::OverLimit(_) => OutcomeKind::OverLimit,
            Self::BadModule(_) => OutcomeKind::BadModule,
            Self::Cancelled => OutcomeKind::Cancelled,
            Self::Interrupted => OutcomeKind::Interrupted,
            Self::Lost(_) => OutcomeKind::Lost,
        }
    }

    /// What is kept of the error, where there is one.
    pub fn error(&self) -> Option<&ErrorRecord> {
        match self {
            Self::Failed { error, .. }
            | Self::Rejected(error)
            | Self::Panicked(error)
            | Self::Trapped(error)
            | Self::OutOfMemory(error)
            | Self::OutOfFuel(error)
            | Self::TimedOut(error)
            | Self::OverLimit(error)
            | Self::BadModule(error)
            | Self::Lost(error) => Some(error),
            Self::Succeeded(_) | Self::Snoozed(_) | Self::Cancelled | Self::Interrupted => None,
        }
    }
}

/// The words for outcomes: the same in code, in the broker, on the command line and in the docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// See [`Outcome::Succeeded`].
    Succeeded,
    /// See [`Outcome::Failed`].
    Failed,
    /// See [`Outcome::Rejected`].
    Rejected,
    /// See [`Outcome::Snoozed`].
    Snoozed,
    /// See [`Outcome::Panicked`].
    Panicked,
    /// See [`Outcome::Trapped`].
    Trapped,
    /// See [`Outcome::OutOfMemory`].
    OutOfMemory,
    /// See [`Outcome::OutOfFuel`].
    OutOfFuel,
    /// See [`Outcome::TimedOut`].
    TimedOut,
    /// See [`Outcome::OverLimit`].
    OverLimit,
    /// See [`Outcome::BadModule`].
    BadModule,
    /// See [`Outcome::Cancelled`].
    Cancelled,
    /// See [`Outcome::Interrupted`].
    Interrupted,
    /// See [`Outcome::Lost`].
    Lost,
}

impl OutcomeKind {
    /// Every kind, in the order of the docs.
    pub const ALL: [Self; 14] = [
        Self::Succeeded,
        Self::Failed,
        Self::Rejected,
        Self::Snoozed,
        Self::Panicked,
        Self::Trapped,
        Self::OutOfMemory,
        Self::OutOfFuel,
        Self::TimedOut,
        Self::OverLimit,
        Self::BadModule,
        Self::Cancelled,
        Self::Interrupted,
        Self::Lost,
    ];

    /// The word itself, such as `timed_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Snoozed => "snoozed",
            Self::Panicked => "panicked",
            Self::Trapped => "trapped",
            Self::OutOfMemory => "out_of_memory",
            Self::OutOfFuel => "out_of_fuel",
            Self::TimedOut => "timed_out",
            Self::OverLimit => "over_limit",
            Self::BadModule => "bad_module",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for OutcomeKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("`{word}` is not an outcome; the outcomes are {}", words.join(", "))
        })
    }
}
