//! Programs that a bench starts: run to their end, or ended with all their children.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};

/// A process and all its children, killed together when dropped.
pub(crate) struct Group(Child);

impl Group {
    /// Starts `command` at the head of a group of its own.
    ///
    /// # Errors
    /// If it cannot be run.
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.process_group(0).spawn().with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self(child))
    }

    /// The process at its head.
    pub(crate) fn head(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.0.id().cast_signed()) {
            // Its head may have ended by itself; its children are killed all the same.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// Runs `command` to its end and answers what it printed.
///
/// # Errors
/// If it cannot be run or does not end with 0; then the message carries what it said.
pub(crate) fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
