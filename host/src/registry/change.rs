//! What becomes of the files of a tasks folder, as people hear of it.

use std::path::{Path, PathBuf};

use afresh_protocol::TaskPolicy;
use afresh_protocol::text::escaped_line;

use crate::config::Config;
use crate::grants::listing::Comparison;

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A module was loaded, for the first time or again.
    Loaded {
        /// The file.
        file: PathBuf,
        /// Its digest.
        digest: String,
        /// Its tasks, with what they ask for.
        tasks: Vec<TaskPolicy>,
    },
    /// A file cannot be loaded; the module it held before, if any, stays.
    Refused {
        /// The file.
        file: PathBuf,
        /// Why, in a sentence.
        why: String,
        /// Whether an older module of this file goes on serving.
        keeps_old: bool,
    },
    /// A file is gone, and its tasks with it.
    Removed {
        /// The file.
        file: PathBuf,
    },
    /// Two files hold a task of the same name; the first by file name serves it.
    Clash {
        /// The task.
        task: String,
        /// The file that serves it.
        serves: PathBuf,
        /// The file whose task of that name is not reached.
        hidden: PathBuf,
    },
    /// A task that is for another module alone.
    Foreign {
        /// The task.
        task: String,
        /// The files that hold it, and do not serve it.
        files: Vec<PathBuf>,
    },
}

impl Change {
    /// Says it in the log, with what this configuration grants. Names of files and of tasks are whatever somebody called
    /// them.
    pub fn report(&self, config: &Config) {
        let shown = |file: &Path| escaped_line(&file.to_string_lossy());
        let list = |files: &[PathBuf]| files.iter().map(|file| shown(file)).collect::<Vec<_>>().join(", ");
        match self {
            Self::Loaded { file, digest, tasks } => {
                let names: Vec<_> = tasks.iter().map(|task| task.task.as_str()).collect();
                tracing::info!(file = %shown(file), digest, tasks = %escaped_line(&names.join(",")), "module loaded");
                for task in tasks {
                    Comparison::of(task, config.granted(&task.task, file)).report();
                }
            }
            Self::Refused { file, why, keeps_old: true } => {
                tracing::error!(file = %shown(file), "module refused, the one loaded before goes on serving: {why}");
            }
            Self::Refused { file, why, keeps_old: false } => {
                tracing::error!(file = %shown(file), "module refused: {why}");
            }
            Self::Removed { file } => tracing::info!(file = %shown(file), "module removed"),
            Self::Clash { task, serves, hidden } => {
                let (serves, hidden, task) = (shown(serves), shown(hidden), escaped_line(task));
                tracing::error!(task, "two modules hold this task: {serves} serves it, {hidden} does not; rename one");
            }
            Self::Foreign { task, files } => {
                let (files, task) = (list(files), escaped_line(task));
                tracing::error!(
                    task,
                    "{files} may not serve this task, to which something is granted: under [tasks.{task}], `module` says \
                     which file may; where it is not there, that is {task}.wasm"
                );
            }
        }
    }
}
