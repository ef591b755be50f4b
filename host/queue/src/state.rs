//! Where a job stands: the words of the state machine, the same in code, in brokers and on screens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a job stands. The drawing is in `docs/queue-protocol.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Done; its result is kept for a while.
    Succeeded,
    /// No more attempts; kept with its history for a person to look at.
    Dead,
    /// Cancelled by a person or a program.
    Cancelled,
    /// Not started in time.
    Expired,
}

impl State {
    /// Every state, in the order of the docs.
    pub const ALL: [Self; 7] =
        [Self::Scheduled, Self::Queued, Self::Running, Self::Succeeded, Self::Dead, Self::Cancelled, Self::Expired];

    /// The word itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether a job in this state will not run again by itself.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled | Self::Expired)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|state| state.as_str()).collect();
            format!("`{word}` is not a state; the states are {}", words.join(", "))
        })
    }
}
