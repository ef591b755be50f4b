//! The flags for the walls of an attempt, on the verbs that run one themselves.

use std::time::Duration;

use afresh_sandbox::Limits;
use bytesize::ByteSize;

/// The flags.
#[derive(clap::Args, Debug)]
pub(super) struct Walls {
    /// The time an attempt may take, such as 500ms or 2m
    #[arg(long, value_name = "DURATION", env = "AFRESH_TIMEOUT", value_parser = humantime::parse_duration)]
    pub(super) timeout: Option<Duration>,
    /// The linear memory it may have, such as 64MiB
    #[arg(long, value_name = "SIZE", env = "AFRESH_MEMORY")]
    pub(super) memory: Option<ByteSize>,
    /// The fuel it may use: about one unit for each instruction
    #[arg(long, value_name = "N", env = "AFRESH_FUEL")]
    pub(super) fuel: Option<u64>,
}

impl Walls {
    /// What the flags say, else these.
    pub(super) fn over(&self, limits: Limits) -> Limits {
        Limits {
            memory: self.memory.map_or(limits.memory, |memory| memory.as_u64()),
            timeout: self.timeout.unwrap_or(limits.timeout),
            fuel: self.fuel.or(limits.fuel),
            ..limits
        }
    }
}
