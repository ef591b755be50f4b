//! The record of a job's attempts: the newest few, bounded in bytes, so that a job that fails for ever takes no more
//! room than one that failed ten times. The broker stores it as opaque bytes; only this file reads and writes them.

use afresh_protocol::{ErrorRecord, OutcomeKind, Usage};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::fingerprint::fingerprint;

/// The most attempts that are kept.
pub const MAX_ATTEMPTS_KEPT: usize = 10;

/// The most bytes an attempt's error message has in a broker.
pub const MAX_ERROR_BYTES: usize = 4 * 1024;

/// The most bytes a whole history has in a broker.
pub const MAX_HISTORY_BYTES: usize = 16 * 1024;

/// What is kept of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number, from 1.
    pub number: u32,
    /// The worker that ran it.
    pub worker: String,
    /// The module it ran, as `sha256:…`; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// When the worker began; absent where nobody knows (a lost attempt).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What became of it.
    pub outcome: OutcomeKind,
    /// What is kept of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
    /// What it took.
    #[serde(default)]
    pub usage: Usage,
}

/// The newest attempts of a job, newest first, within [`MAX_HISTORY_BYTES`] when written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<AttemptRecord>);

impl History {
    /// The attempts, newest first.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.0
    }

    /// The attempts, newest first.
    pub fn into_attempts(self) -> Vec<AttemptRecord> {
        self.0
    }

    /// Puts a new attempt in front, cuts its error to size, and drops the oldest until the bound is kept.
    pub fn push(&mut self, mut attempt: AttemptRecord) {
        attempt.error = attempt.error.map(|error| error.shortened(MAX_ERROR_BYTES));
        self.0.insert(0, attempt);
        self.0.truncate(MAX_ATTEMPTS_KEPT);
        // Most are far below it, and writing them out only to see that costs every attempt.
        if self.0.iter().map(at_most).sum::<usize>() <= MAX_HISTORY_BYTES {
            return;
        }
        while self.0.len() > 1 && self.encode().len() > MAX_HISTORY_BYTES {
            self.0.pop();
        }
        // One attempt alone is over it only if its text is written with escapes: a control character takes six bytes.
        if self.encode().len() > MAX_HISTORY_BYTES {
            let newest = self.0[0].error.take();
            self.0[0].error = newest.map(|error| error.shortened(MAX_ERROR_BYTES / 2));
        }
    }

    /// The bytes a broker stores.
    pub fn encode(&self) -> Vec<u8> {
        // Strings and integers only: this always serialises.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    /// Reads what [`History::encode`] wrote; anything else, including nothing, is an empty history: a record that
    /// cannot be read must not keep its job from running.
    pub fn decode(bytes: &[u8]) -> Self {
        Self(serde_json::from_slice(bytes).unwrap_or_default())
    }
}

/// A history as a broker is handed it: encoded by whoever has the time for that, which is not the thread that talks to the
/// broker.
#[derive(Clone, Debug)]
pub struct Written {
    /// What [`History::encode`] makes of it.
    pub bytes: Vec<u8>,
    /// What the newest attempt's error has in common with others: see [`fingerprint`].
    pub fingerprint: String,
}

impl From<&History> for Written {
    fn from(history: &History) -> Self {
        Self { bytes: history.encode(), fingerprint: fingerprint(history) }
    }
}

impl From<History> for Written {
    fn from(history: History) -> Self {
        Self::from(&history)
    }
}

impl Default for Written {
    fn default() -> Self {
        Self::from(&History::default())
    }
}

/// A bound of an attempt's bytes when written: in the worst text every byte takes six, and the rest is words and numbers.
fn at_most(attempt: &AttemptRecord) -> usize {
    let error = attempt.error.as_ref().map_or(0, |error| error.kind.len() + error.message.len() + error.sha256.len());
    640 + 6 * (attempt.worker.len() + attempt.module.as_ref().map_or(0, String::len) + error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_stays_within_its_bounds() {
        let mut history = History::default();
        for number in 1..=200 {
            // A control character takes six bytes in JSON: the worst text there is.
            let error = ErrorRecord::new("failed", "\u{1}".repeat(100_000));
            history.push(AttemptRecord {
                number,
                worker: "w".into(),
                module: None,
                started_at: None,
                finished_at: Timestamp(0),
                outcome: OutcomeKind::Failed,
                error: Some(error),
                usage: Usage::default(),
            });
            assert_eq!(history.attempts()[0].number, number);
            assert!(history.attempts().len() <= MAX_ATTEMPTS_KEPT);
            assert!(history.encode().len() <= MAX_HISTORY_BYTES, "{}", history.encode().len());
        }
        assert_eq!(History::decode(&history.encode()), history);
    }
}
