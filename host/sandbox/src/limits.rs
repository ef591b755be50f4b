//! The walls of one attempt.

use std::time::Duration;

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
