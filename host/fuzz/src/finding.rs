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
    /// Payloads that are kept to be changed further: of each way to end and each length, the one that used most fuel.
    pub kept: usize,
    /// Findings so far.
    pub findings: usize,
    /// The one that took the most memory.
    pub peak_memory: Notable,
    /// The one that took the most time; of one that ran into its limit nobody knows how much it would have taken.
    pub slowest: Notable,
    /// Whether that one ran into the limit of its time.
    is_endless: bool,
}

impl Tally {
    /// Counts an attempt.
    pub(crate) fn count(&mut self, payload: &[u8], kind: OutcomeKind, usage: &Usage) {
        self.runs += 1;
        *self.outcomes.entry(kind.as_str()).or_default() += 1;
        if usage.peak_memory_bytes > self.peak_memory.usage.peak_memory_bytes {
            self.peak_memory = Notable { payload: payload.to_vec(), usage: *usage };
        }
        let is_endless = kind == OutcomeKind::TimedOut;
        if (is_endless, usage.wall_us) > (self.is_endless, self.slowest.usage.wall_us) {
            self.slowest = Notable { payload: payload.to_vec(), usage: *usage };
            self.is_endless = is_endless;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_took_the_most_time_whatever_its_fuel_and_one_without_an_end_is_slower_still() {
        let mut tally = Tally::default();
        let mut count = |payload: &[u8], kind, wall_us, fuel| {
            tally.count(payload, kind, &Usage { wall_us, fuel: Some(fuel), ..Usage::default() });
            tally.slowest.payload.clone()
        };
        assert_eq!(count(b"busy", OutcomeKind::Succeeded, 10, 1_000), b"busy");
        assert_eq!(count(b"idle", OutcomeKind::Failed, 1_000, 10), b"idle");
        // The time an attempt gets becomes shorter once one ran out of it.
        assert_eq!(count(b"endless", OutcomeKind::TimedOut, 100, 1), b"endless");
        assert_eq!(count(b"long", OutcomeKind::Succeeded, 2_000, 2_000), b"endless");
    }
}
