//! A limit on memory that the kernel holds: whoever goes over it is killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A control group of one's own, of either version. Gone when it is dropped, for which its processes must have ended.
pub(crate) struct Cgroup {
    folder: PathBuf,
    /// The file that counts kills.
    events: &'static str,
}

impl Cgroup {
    /// A group whose processes may have so many bytes of memory together.
    ///
    /// # Errors
    /// Where this process may not make one: mostly for want of privileges.
    pub(crate) fn with_memory(bytes: u64) -> io::Result<Self> {
        let name = format!("afresh-test-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let (folder, limit, events) = if root.join("memory").is_dir() {
            (root.join("memory").join(name), "memory.limit_in_bytes", "memory.oom_control")
        } else {
            (root.join(name), "memory.max", "memory.events")
        };
        fs::create_dir(&folder)?;
        let group = Self { folder, events };
        fs::write(group.folder.join(limit), bytes.to_string())?;
        group.kills()?;
        Ok(group)
    }

    /// Puts a process into the group.
    pub(crate) fn add(&self, pid: u32) {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string()).expect("a process can be put into our own group");
    }

    /// How many of its processes the kernel has killed for memory.
    pub(crate) fn kills(&self) -> io::Result<u64> {
        let events = fs::read_to_string(self.folder.join(self.events))?;
        let line = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.and_then(|count| count.trim().parse().ok()).ok_or_else(|| io::Error::other("the kernel counts no kills"))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A leftover is an empty folder of the kernel's; it goes with the next boot.
        let _ = fs::remove_dir(&self.folder);
    }
}
