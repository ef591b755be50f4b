//! What a worker takes of its machine, as the kernel counts it.

use std::fs;

use afresh_harness::{SOON, Worker, wait_until};

/// What a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Felt {
    /// Resident memory in KiB.
    pub(crate) resident: u64,
    pub(crate) threads: u64,
    /// Open files.
    pub(crate) descriptors: u64,
}

/// What a process may have more than before, and be where it was: a page of the allocator's here and there, a thread of
/// the runtime's that waits for more to do, a connection that is being replaced.
const SLACK: Felt = Felt { resident: 16 << 10, threads: 2, descriptors: 2 };

impl Felt {
    /// What the worker has now.
    pub(crate) fn of(worker: &Worker) -> Self {
        let (status, pid) = (status(worker), worker.pid());
        Self {
            resident: number(&status, "VmRSS:"),
            threads: number(&status, "Threads:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).expect("the worker lives").count() as u64,
        }
    }

    /// Waits until the worker has no more than this again, but for the slack. What an attempt took may be on its way back;
    /// that it comes back is what counts.
    #[track_caller]
    pub(crate) fn is_back(self, worker: &Worker, after: &str) {
        let mut now = self;
        let back = wait_until(SOON, || {
            now = Self::of(worker);
            now.resident <= self.resident + SLACK.resident
                && now.threads <= self.threads + SLACK.threads
                && now.descriptors <= self.descriptors + SLACK.descriptors
        });
        assert!(back, "after {after} the worker has {now:?}, before it had {self:?}");
    }
}

/// The most memory that the worker ever had, in bytes.
pub(crate) fn peak(worker: &Worker) -> u64 {
    number(&status(worker), "VmHWM:") * 1024
}

fn status(worker: &Worker) -> String {
    fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("the worker lives")
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("the kernel does not tell {name} of a process:\n{status}"))
}
