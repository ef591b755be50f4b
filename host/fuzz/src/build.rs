//! The module of a crate: built once for all tests of a process, in a target folder that no other cargo holds.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use afresh_sandbox::TaskPolicy;
use afresh_toolchain::{Reporter, cargo};
use anyhow::{Context as _, bail, ensure};

/// A compiled module.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) path: PathBuf,
    pub(crate) wasm: Vec<u8>,
    pub(crate) tasks: Vec<TaskPolicy>,
}

impl Module {
    /// Reads and checks a file.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let wasm = fs::read(path).with_context(|| format!("failed to read the module {}", path.display()))?;
        let info = afresh_sandbox::check(&wasm).with_context(|| format!("{} cannot be run", path.display()))?;
        Ok(Self { path: path.to_owned(), wasm, tasks: info.tasks_in(path) })
    }

    /// Builds the crate in `dir` and answers its module: the one that has `task`, or the only one.
    pub(crate) fn built(dir: &Path, task: Option<&str>) -> anyhow::Result<Self> {
        let mut modules = build_once(dir)?.iter().map(|path| Self::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(task) = task {
            modules.retain(|module| module.tasks.iter().any(|known| known.task == task));
            ensure!(!modules.is_empty(), "no program of {} has the task `{task}`", dir.display());
        }
        match <[Self; 1]>::try_from(modules) {
            Ok([module]) => Ok(module),
            Err(modules) if modules.is_empty() => {
                bail!("{} holds no program: a task module needs a `src/main.rs`", dir.display())
            }
            Err(modules) => {
                let tasks = modules.iter().flat_map(|module| names(&module.tasks)).collect::<Vec<_>>().join(", ");
                bail!("{} has several programs; choose a task of one: {tasks}", dir.display())
            }
        }
    }
}

/// The names of tasks.
pub(crate) fn names(tasks: &[TaskPolicy]) -> Vec<&str> {
    tasks.iter().map(|task| task.task.as_str()).collect()
}

/// What cargo built of a folder, or why not.
type Built = Result<Vec<PathBuf>, String>;

fn build_once(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    static BUILT: Mutex<Option<HashMap<PathBuf, Built>>> = Mutex::new(None);
    // Held while cargo runs: who comes second waits for what the first builds.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default().entry(dir.to_owned()).or_insert_with(|| {
        // Quiet, since a test is: cargo still says what is wrong.
        cargo::build(dir, Some(&target_folder(dir)), &Reporter::new(true)).map_err(|error| format!("{error:#}"))
    });
    built.clone().map_err(anyhow::Error::msg)
}

/// Beside what the outer cargo compiles: that one may hold its own target folder, and a nested one would wait for ever.
fn target_folder(dir: &Path) -> PathBuf {
    // A test is a file in `target/PROFILE/deps`.
    let program = std::env::current_exe().unwrap_or_default();
    let deps = program.parent().filter(|folder| folder.ends_with("deps"));
    let outer = deps.and_then(|deps| deps.ancestors().nth(2));
    outer.map_or_else(|| dir.join("target"), Path::to_owned).join("afresh-fuzz")
}
