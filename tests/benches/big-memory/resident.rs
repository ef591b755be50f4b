//! What this process has of the machine's memory.

use std::fs;

use anyhow::Context as _;

/// Resident memory before, at its most during, and after something, in MiB.
///
/// # Errors
/// Where the kernel does not tell, or it fails itself.
pub(crate) fn around(what: &dyn Fn() -> anyhow::Result<()>) -> anyhow::Result<[f64; 3]> {
    let before = read("VmRSS:")?;
    // Lets the most begin anew; see proc_pid_clear_refs(5).
    fs::write("/proc/self/clear_refs", "5").context("failed to reset the most memory there was")?;
    what()?;
    Ok([before, read("VmHWM:")?, read("VmRSS:")?])
}

fn read(name: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
    let kib: f64 = kib.and_then(|kib| kib.parse().ok()).with_context(|| format!("the kernel tells no {name}"))?;
    Ok(kib / 1024.0)
}
