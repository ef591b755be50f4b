//! What compiling one module may take.

use std::time::Duration;

use bytesize::ByteSize;

use crate::config::WorkerConfig;

/// Bytes of compiled code that are taken from a child. A whole CPython (30 MiB) makes less than a quarter of it.
pub const MAX_CODE_BYTES: u64 = 512 << 20;

/// Processor time within which most modules are compiled. What takes more waits in a lane of its own.
const HASTY_PROCESSOR_TIME: Duration = Duration::from_secs(5);

/// The same by the clock on the wall, for a machine that is busy.
const HASTY_WALL_TIME: Duration = Duration::from_secs(20);

/// What compiling one module may take. What the code may take is [`MAX_CODE_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Processor time, of all threads together; the system counts whole seconds.
    pub processor_time: Duration,
    /// Time by the clock on the wall.
    pub wall_time: Duration,
    /// Bytes of memory.
    pub memory: u64,
}

/// A bound that compiling a module went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Bounds::processor_time`].
    ProcessorTime,
    /// [`Bounds::wall_time`].
    WallTime,
    /// [`Bounds::memory`].
    Memory,
    /// [`MAX_CODE_BYTES`].
    Code,
}

impl Bounds {
    /// What the operator says.
    pub fn of(worker: &WorkerConfig) -> Self {
        Self {
            processor_time: worker.compile_cpu,
            wall_time: worker.compile_time,
            memory: worker.compile_memory.as_u64(),
        }
    }

    /// The same, for a module that is not to hold up others.
    pub fn hasty(self) -> Self {
        Self {
            processor_time: self.processor_time.min(HASTY_PROCESSOR_TIME),
            wall_time: self.wall_time.min(HASTY_WALL_TIME),
            ..self
        }
    }

    /// Whether with `other` it would not have been over this limit yet.
    pub fn is_tighter(&self, limit: Limit, other: Self) -> bool {
        match limit {
            Limit::ProcessorTime => self.processor_seconds() < other.processor_seconds(),
            Limit::WallTime => self.wall_time < other.wall_time,
            Limit::Memory => self.memory < other.memory,
            Limit::Code => false,
        }
    }

    /// Processor time in whole seconds, as the system counts it.
    pub fn processor_seconds(&self) -> u64 {
        self.processor_time.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
    }

    /// The sentence for a module that went over one of these.
    pub fn sentence(&self, limit: Limit) -> String {
        let (took, key) = match limit {
            Limit::ProcessorTime => (
                format!(
                    "{} of processor time",
                    humantime::format_duration(Duration::from_secs(self.processor_seconds()))
                ),
                "worker.compile_cpu",
            ),
            Limit::WallTime => (humantime::format_duration(self.wall_time).to_string(), "worker.compile_time"),
            Limit::Memory => (format!("{} of memory", ByteSize(self.memory)), "worker.compile_memory"),
            Limit::Code => {
                let most = ByteSize(MAX_CODE_BYTES);
                return format!("it makes more than {most} of code, the limit; split the module into smaller ones");
            }
        };
        format!(
            "compiling it took more than {took}, the limit ({key}); split the module into smaller ones, or raise the limit"
        )
    }
}
