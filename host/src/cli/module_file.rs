//! `MODULE.wasm` on the command line: a file, read within bounds and checked.

use std::path::Path;

use afresh_sandbox::{ModuleInfo, TaskPolicy};
use anyhow::Context as _;

use super::Usage;
use crate::registry;

/// A file that is a task module.
pub(super) struct ModuleFile {
    /// Its bytes.
    pub(super) wasm: Vec<u8>,
    /// What is known of it.
    pub(super) info: ModuleInfo,
    /// Its tasks, of which there is at least one.
    pub(super) tasks: Vec<TaskPolicy>,
}

impl ModuleFile {
    /// Reads and checks it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let wasm =
            registry::read_bounded(path).with_context(|| format!("failed to read the module {}", path.display()))?;
        let info = afresh_sandbox::check(&wasm).with_context(|| format!("{} cannot be run", path.display()))?;
        let tasks = info.tasks_in(path);
        Ok(Self { wasm, info, tasks })
    }

    /// The names of its tasks.
    pub(super) fn names(&self) -> Vec<&str> {
        self.tasks.iter().map(|task| task.task.as_str()).collect()
    }

    /// What the task of this name asks for.
    pub(super) fn policy(&self, task: &str) -> TaskPolicy {
        self.tasks.iter().find(|policy| policy.task == task).cloned().unwrap_or_default()
    }
}

/// Says that no task was named, or none of these, which the module has.
pub(super) fn no_task(named: Option<&str>, tasks: &[&str]) -> Usage {
    let wrong = named.map_or("name a task".to_owned(), |word| {
        let word: String = word.escape_debug().take(80).collect();
        format!("`{word}` is not a task of this module")
    });
    Usage(format!("{wrong}; its tasks are: {}", tasks.join(", ")))
}
