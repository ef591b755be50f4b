//! What a process takes, as the kernel has it in `/proc`.

use anyhow::Context as _;

/// A field of `/proc/PID/status`, in bytes: `VmRSS` is resident now, `VmHWM` the most that ever was.
///
/// # Errors
/// If the process is gone.
pub fn memory(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the worker is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: u64 = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok()).context("the worker is gone")?;
    Ok(kib * 1024)
}
