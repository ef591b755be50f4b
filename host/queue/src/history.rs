//! The record of a job's attempts: the newest few, bounded in bytes, so that a job that fails for ever takes no more
//! room than one that failed ten times. The broker stores it as opaque bytes; only this file reads and writes them.

use std::borrow::Cow;

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

    /// The bytes a broker stores: JSON, and in it values without their names, since every job that succeeds leaves some.
    pub fn encode(&self) -> Vec<u8> {
        let kept: Vec<_> = self.0.iter().map(Kept::of).collect();
        // Strings and integers only: this always serialises.
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// Reads what [`History::encode`] wrote, or an earlier version, which wrote the names; anything else, including
    /// nothing, is an empty history: a record that cannot be read must not keep its job from running.
    pub fn decode(bytes: &[u8]) -> Self {
        let kept = serde_json::from_slice::<Vec<Kept>>(bytes);
        let attempts = kept.map(|kept| kept.into_iter().map(AttemptRecord::from).collect());
        Self(attempts.or_else(|_| serde_json::from_slice(bytes)).unwrap_or_default())
    }
}

/// An attempt as it is stored: number, worker, module, when it began and ended in µs since 1970 UTC, outcome, error, and
/// what it took (wall and processor time in µs, the most memory, reply and log in bytes, fuel).
#[derive(Serialize, Deserialize)]
struct Kept<'a>(
    u32,
    Cow<'a, str>,
    Option<Cow<'a, str>>,
    Option<i64>,
    i64,
    OutcomeKind,
    Option<Cow<'a, ErrorRecord>>,
    [u64; 5],
    Option<u64>,
);

impl<'a> Kept<'a> {
    fn of(attempt: &'a AttemptRecord) -> Self {
        let AttemptRecord { number, worker, module, started_at, finished_at, outcome, error, usage } = attempt;
        let Usage { wall_us, cpu_us, peak_memory_bytes, output_bytes, log_bytes, fuel } = *usage;
        Self(
            *number,
            worker.into(),
            module.as_ref().map(Cow::from),
            started_at.map(|at| at.0),
            finished_at.0,
            *outcome,
            error.as_ref().map(Cow::Borrowed),
            [wall_us, cpu_us, peak_memory_bytes, output_bytes, log_bytes],
            fuel,
        )
    }
}

impl From<Kept<'_>> for AttemptRecord {
    fn from(kept: Kept<'_>) -> Self {
        let Kept(number, worker, module, started_at, finished_at, outcome, error, usage, fuel) = kept;
        let [wall_us, cpu_us, peak_memory_bytes, output_bytes, log_bytes] = usage;
        Self {
            number,
            worker: worker.into_owned(),
            module: module.map(Cow::into_owned),
            started_at: started_at.map(Timestamp),
            finished_at: Timestamp(finished_at),
            outcome,
            error: error.map(Cow::into_owned),
            usage: Usage { wall_us, cpu_us, peak_memory_bytes, output_bytes, log_bytes, fuel },
        }
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

    #[test]
    fn all_of_an_attempt_is_kept_and_what_an_earlier_version_kept_is_read() {
        let usage = Usage { wall_us: 1, cpu_us: 2, peak_memory_bytes: 3, output_bytes: 4, log_bytes: 5, fuel: Some(6) };
        let whole = AttemptRecord {
            number: 7,
            worker: "w".into(),
            module: Some("sha256:ab".into()),
            started_at: Some(Timestamp(1_764_300_000_000_001)),
            finished_at: Timestamp(1_764_300_000_000_002),
            outcome: OutcomeKind::Failed,
            error: Some(ErrorRecord::new("failed", "no")),
            usage,
        };
        let bare =
            AttemptRecord { module: None, started_at: None, error: None, usage: Usage::default(), ..whole.clone() };
        let history = History(vec![whole, bare]);
        assert_eq!(History::decode(&history.encode()), history);
        assert_eq!(History::decode(&serde_json::to_vec(&history.0).unwrap()), history);
    }
}
