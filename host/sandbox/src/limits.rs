//! The walls of one attempt.

use std::time::Duration;

use crate::check::{MAX_TABLE_ELEMENTS, MAX_TABLES};

/// The walls of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory: u64,
    /// From guest entry to the end, host calls included.
    pub timeout: Duration,
    /// A deterministic budget of instructions; `None` for no such wall.
    pub fuel: Option<u64>,
    /// Bytes of the reply. One more ends the attempt as *over limit*.
    pub output: usize,
    /// Bytes kept of an error's text: its head and its tail.
    pub error: usize,
    /// Bytes kept of what the guest logs: the newest; more is counted and dropped.
    pub log: usize,
    /// How many requests an attempt may put into its outbox; further ones are refused.
    pub requests: u32,
    /// Bytes of all these requests together, specs and payloads; what would go over is refused.
    pub outbox: usize,
}

impl Limits {
    /// The most bytes that one attempt takes of the machine: the guest's memory and tables, and what the host holds for it
    /// meanwhile. That is its payload, of `payload` bytes and held twice, its reply, error and log, and where it `may_enqueue` its outbox.
    pub fn most_bytes(&self, payload: usize, may_enqueue: bool) -> u64 {
        // What grows piece by piece may have twice the room it needs; a log is kept for the report and for who looks on.
        let said = [self.output, self.error, self.log].map(|bytes| (bytes as u64).saturating_mul(2));
        let outbox = if may_enqueue { self.outbox as u64 } else { 0 };
        [self.memory, TABLES, (payload as u64).saturating_mul(2), outbox]
            .into_iter()
            .chain(said)
            .fold(0, u64::saturating_add)
    }
}

/// Bytes of the tables that a guest may have: a pointer an element.
const TABLES: u64 = MAX_TABLES as u64 * MAX_TABLE_ELEMENTS * size_of::<usize>() as u64;

impl Default for Limits {
    /// 128 MiB, 60 s, no fuel limit, 1 MiB of reply, 16 KiB of error, 64 KiB of log, 1,000 requests of 4 MiB together.
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            timeout: Duration::from_secs(60),
            fuel: None,
            output: 1 << 20,
            error: 16 << 10,
            log: 64 << 10,
            requests: 1_000,
            outbox: 4 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_takes_its_memory_and_what_the_host_holds_for_it() {
        let limits = Limits { memory: 100 << 20, output: 10, error: 20, log: 30, outbox: 1 << 20, ..Limits::default() };
        assert_eq!(limits.most_bytes(7, false), (100 << 20) + TABLES + 2 * (7 + 10 + 20 + 30));
        assert_eq!(limits.most_bytes(7, true), limits.most_bytes(7, false) + (1 << 20));
        assert!(Limits::default().most_bytes(1 << 20, true) < (128 << 20) + (12 << 20), "the memory is most of it");
        let endless = Limits { memory: u64::MAX, ..limits };
        assert_eq!(endless.most_bytes(0, true), u64::MAX);
    }
}
