//! What a run of the fuzzer found, and its numbers on the way.

use std::collections::BTreeMap;

use afresh_protocol::{OutcomeKind, Usage};

use crate::oracle::Flaw;

/// A payload that shows a flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it does.
    pub flaw: Flaw,
    /// What the guest or the host says of it; of at most 2 KiB. It may be the guest's text: escape it before a person
    /// sees it.
    pub message: String,
    /// The smallest payload that does it.
    pub payload: Vec<u8>,
    /// Bytes of the payload that was found first.
    pub found_bytes: usize,
}

/// A payload that is remarkable, though not wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notable {
    /// The payload.
    pub payload: Vec<u8>,
    /// What the attempt on it took.
    pub usage: Usage,
}

/// The numbers of a run so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Attempts, without those that made findings smaller.
    pub runs: u64,
    /// How they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Payloads that made the guest do something new.
    pub kept: usize,
    /// Findings so far.
    pub findings: usize,
    /// The one that took the most memory.
    pub peak_memory: Notable,
    /// The one that took the most fuel.
    pub slowest: Notable,
}

impl Tally {
    /// Counts an attempt.
    pub(crate) fn count(&mut self, payload: &[u8], kind: OutcomeKind, usage: &Usage) {
        self.runs += 1;
        *self.outcomes.entry(kind.as_str()).or_default() += 1;
        if usage.peak_memory_bytes > self.peak_memory.usage.peak_memory_bytes {
            self.peak_memory = Notable { payload: payload.to_vec(), usage: *usage };
        }
        if usage.fuel > self.slowest.usage.fuel {
            self.slowest = Notable { payload: payload.to_vec(), usage: *usage };
        }
    }
}
