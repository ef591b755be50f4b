//! A process with all that it has started, and what they all take.

use std::fs;

use crate::process::memory;

/// Resident bytes of a process and all its descendants together; pages that they share count for each. Nothing of those that
/// are gone.
pub(crate) fn resident(root: u32) -> u64 {
    let (mut bytes, mut waiting) = (0, vec![root]);
    while let Some(pid) = waiting.pop() {
        bytes += memory(pid, "VmRSS").unwrap_or(0);
        waiting.extend(children(pid));
    }
    bytes
}

/// The kernel keeps the children of each thread.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}
