//! Watches a registry's folder, and scans it again when something in it changed.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};

use super::{Change, Registry};

/// Changes come in bursts (a compiler writes, then renames): wait until it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(50);

/// Scans the folder again whenever it changes, on a thread of its own, for as long as the answer lives.
///
/// # Errors
/// When the system cannot watch the folder.
pub fn watch(registry: Arc<Registry>) -> notify::Result<impl Drop> {
    let (sender, changed) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and must not lead to reading it again.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = sender.send(());
        }
    })?;
    watcher.watch(registry.folder(), RecursiveMode::NonRecursive)?;
    std::thread::Builder::new().name("afresh-registry".into()).spawn(move || {
        while changed.recv().is_ok() {
            while changed.recv_timeout(QUIET).is_ok() {}
            rescan(&registry);
        }
    })?;
    Ok(watcher)
}

fn rescan(registry: &Registry) {
    match registry.scan() {
        Ok(changes) => changes.iter().for_each(report),
        Err(error) => tracing::error!(
            "failed to read the tasks folder {}: {error}; the modules that are loaded go on serving",
            registry.folder().display()
        ),
    }
}

/// Says in the log what a scan found.
pub fn report(change: &Change) {
    match change {
        Change::Loaded { file, digest, tasks } => {
            tracing::info!(file = %file.display(), digest, tasks = tasks.join(","), "module loaded");
        }
        Change::Refused { file, why, keeps_old: true } => {
            tracing::error!(file = %file.display(), "module refused, the one loaded before goes on serving: {why}");
        }
        Change::Refused { file, why, keeps_old: false } => {
            tracing::error!(file = %file.display(), "module refused: {why}");
        }
        Change::Removed { file } => tracing::info!(file = %file.display(), "module removed"),
        Change::Clash { task, serves, hidden } => {
            let (serves, hidden) = (serves.display(), hidden.display());
            tracing::error!(task, "two modules hold this task: {serves} serves it, {hidden} does not; rename one");
        }
    }
}
