//! What every contender is asked to do: one job that allocates, touches and fails, again and again.

use std::fmt;

/// What the task allocates in each attempt, in bytes.
pub const BYTES: u64 = 128 * 1024 * 1024;
/// How often the job may be tried: never reached.
pub const MAX_ATTEMPTS: u64 = 1_000_000;
/// The least wait before a retry, in milliseconds.
pub const MIN_BACKOFF_MS: u64 = 10;
/// The longest wait before a retry, in milliseconds.
pub const MAX_BACKOFF_MS: u64 = 100;

/// Where the failing attempt puts what it allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The error has a short text and holds the data.
    Holds,
    /// The error's text is the data.
    Text,
}

impl Scenario {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Holds, Self::Text];

    /// One word, for the names of files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "the error holds the data",
            Self::Text => "the error’s text is the data",
        })
    }
}
