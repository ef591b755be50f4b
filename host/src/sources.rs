//! Watches the source files of tasks, for `afresh dev`.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::watch;

/// Changes to the sources below a folder. Many changes before somebody looks are one.
pub struct Changes {
    _watcher: notify::RecommendedWatcher,
    changed: watch::Receiver<()>,
}

impl Changes {
    /// Waits for the next change.
    pub async fn recv(&mut self) {
        // The sender lives in the watcher, which lives as long as this.
        let _ = self.changed.changed().await;
    }
}

/// Watches a folder's sources: everything but what is built, and what is hidden.
///
/// # Errors
/// When the system cannot watch the folder.
pub fn watch(folder: &Path) -> anyhow::Result<Changes> {
    let (sender, changed) = watch::channel(());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| is_source(path))) {
            sender.send_replace(());
        }
    })?;
    let failed = || format!("failed to watch {}", folder.display());
    watcher.watch(folder, RecursiveMode::NonRecursive).with_context(failed)?;
    for path in source_folders(folder).with_context(failed)? {
        watcher.watch(&path, RecursiveMode::Recursive).with_context(failed)?;
    }
    Ok(Changes { _watcher: watcher, changed })
}

/// The folders in `folder` that may hold sources. Watched one by one, since `target` alone has thousands.
fn source_folders(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for item in std::fs::read_dir(folder)? {
        let path = item?.path();
        if path.is_dir() && !is_product(&path) {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// Whether a change at this path may change what there is to run.
fn is_source(path: &Path) -> bool {
    !is_product(path) && !is_own_output(path)
}

/// Whether this program's own output goes to that file: each round would be a change, and lead to the next round.
fn is_own_output(path: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    let file = identity(path);
    file.is_some() && ["/proc/self/fd/1", "/proc/self/fd/2"].iter().any(|output| identity(Path::new(output)) == file)
}

/// Whether a path is something that a build or a worker writes.
fn is_product(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "target" || name == "Cargo.lock" || name.starts_with('.') || name.ends_with('~')
}
