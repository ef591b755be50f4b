//! What an attempt took, measured by the host from outside the guest.

use serde::{Deserialize, Serialize};

/// What one attempt took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Microseconds from guest entry to the attempt's end.
    pub wall_us: u64,
    /// Microseconds of processor time of the slot's thread in that span.
    pub cpu_us: u64,
    /// The most linear memory the guest had, in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes of the reply the guest wrote.
    pub output_bytes: u64,
    /// Bytes the guest logged, kept or not.
    pub log_bytes: u64,
    /// Fuel used, where the task runs with fuel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
}
