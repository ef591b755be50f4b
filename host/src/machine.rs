//! What this machine has to give: memory and cores, as the cgroup sees them where there is one.

use std::fs;

/// Bytes of memory this process may use: the smallest of the machine's and every enclosing cgroup's (version 2).
pub fn memory() -> u64 {
    let machine =
        fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text, "MemTotal:")).unwrap_or(u64::MAX);
    cgroup_limits("memory.max").chain([machine]).min().unwrap_or(machine)
}

/// Bytes of swap this process may be moved to; 0 where there is none, and on systems that do not tell.
pub fn swap() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text, "SwapTotal:")).unwrap_or(0);
    cgroup_limits("memory.swap.max").chain([machine]).min().unwrap_or(machine)
}

/// The kernel's `vm.overcommit_memory`, where there is such a setting.
pub fn overcommit() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/vm/overcommit_memory").ok()?.trim().to_owned())
}

/// What this machine calls itself: letters, digits and dashes, at most 40 of them.
pub fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect()
}

/// How many threads can run at the same time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn total_of(meminfo: &str, name: &str) -> Option<u64> {
    let kib: u64 = meminfo.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn cgroup_limits(kind: &str) -> impl Iterator<Item = u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default().to_owned();
    let depth = path.split('/').filter(|part| !part.is_empty()).count();
    (0..=depth).filter_map(move |levels| {
        let folder: Vec<_> = path.split('/').filter(|part| !part.is_empty()).take(levels).collect();
        let file = format!("/sys/fs/cgroup/{}/{kind}", folder.join("/"));
        // `max` is no number, and no limit.
        fs::read_to_string(file).ok()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory() {
        let meminfo = "MemTotal:       24046520 kB\nMemFree: 1 kB\nSwapTotal:  7 kB\n";
        assert_eq!(total_of(meminfo, "MemTotal:"), Some(24_046_520 * 1024));
        assert_eq!((total_of(meminfo, "SwapTotal:"), total_of("", "SwapTotal:")), (Some(7 * 1024), None));
        assert!((1 << 20..u64::MAX).contains(&memory()));
    }
}
