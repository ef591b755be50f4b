//! `MODULE.wasm` on the command line: a file, read within bounds and checked.

use std::path::Path;

use afresh_sandbox::ModuleInfo;
use anyhow::Context as _;

use crate::registry;

/// A file that is a task module.
pub(super) struct ModuleFile {
    /// The file's stem: the name of a plain command's task.
    pub(super) stem: String,
    /// Its bytes.
    pub(super) wasm: Vec<u8>,
    /// What is known of it.
    pub(super) info: ModuleInfo,
}

impl ModuleFile {
    /// Reads and checks it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let wasm =
            registry::read_bounded(path).with_context(|| format!("failed to read the module {}", path.display()))?;
        let info = afresh_sandbox::check(&wasm).with_context(|| format!("{} cannot be run", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { stem, wasm, info })
    }

    /// The names of its tasks: those it declares, or for a plain command its file's stem.
    pub(super) fn tasks(&self) -> Vec<&str> {
        crate::build::task_names(&self.info, &self.stem)
    }
}
