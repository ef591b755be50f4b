//! A limit on memory that the kernel holds: whoever goes over it is killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::geteuid;

/// A control group of one's own, of either version. Gone when it is dropped, for which its processes must have ended.
pub(crate) struct Cgroup {
    folder: PathBuf,
    /// The file that counts kills.
    events: &'static str,
}

impl Cgroup {
    /// A group whose processes may have so many bytes of memory together. The name is part of the group's: tests that run
    /// in one process need one each.
    ///
    /// # Errors
    /// Why nobody can make one here: for want of privileges, or of a kernel that counts memory.
    ///
    /// # Panics
    /// If one could be made and was not.
    pub(crate) fn with_memory(name: &str, bytes: u64) -> Result<Self, String> {
        let (parent, limit, events) = parent()?;
        let folder = parent.join(format!("afresh-test-{}-{name}", std::process::id()));
        // Left by a test that was killed, whose process had the same number.
        let _ = fs::remove_dir(&folder);
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("{} cannot be made: {error}", folder.display()));
        let group = Self { folder, events };
        let limit = group.folder.join(limit);
        fs::write(&limit, bytes.to_string()).unwrap_or_else(|error| panic!("{}: {error}", limit.display()));
        group.kills().expect("the kernel counts kills");
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

/// Where groups that limit memory can be made, and their files for the limit and for what became of it.
fn parent() -> Result<(PathBuf, &'static str, &'static str), String> {
    if !geteuid().is_root() {
        return Err("only root can make a memory cgroup".to_owned());
    }
    let root = Path::new("/sys/fs/cgroup");
    let first = root.join("memory");
    let (parent, limit, events) = if first.is_dir() {
        (first, "memory.limit_in_bytes", "memory.oom_control")
    } else {
        let given = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
        if !given.split_whitespace().any(|controller| controller == "memory") {
            return Err("no cgroup here can limit memory".to_owned());
        }
        (root.to_owned(), "memory.max", "memory.events")
    };
    access(&parent, Access::WRITE_OK).map_err(|error| format!("{} is not for writing: {error}", parent.display()))?;
    Ok((parent, limit, events))
}
