//! Watches a registry's folder, and scans it again when something in it changed, or may have.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use notify::{RecursiveMode, Watcher as _};

use super::Registry;

/// Changes come in bursts (a compiler writes, then renames): wait until it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(50);

/// Look at least this often, with nothing announced: a folder that was replaced as a whole, or lies on a network, sends
/// no events. A look costs one reading of the folder; files that did not change are not read.
const AT_LEAST_EVERY: Duration = Duration::from_secs(2);

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
        let mut readable = true;
        loop {
            // First of all, for what changed between the first scan and the watching.
            readable = rescan(&registry, readable);
            match changed.recv_timeout(AT_LEAST_EVERY) {
                // A folder in which something is always written must not put the scan off for ever.
                Ok(()) => {
                    let latest = Instant::now() + AT_LEAST_EVERY;
                    while Instant::now() < latest && changed.recv_timeout(QUIET).is_ok() {}
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    })?;
    Ok(watcher)
}

/// Scans; that the folder cannot be read is news only if it could be before.
fn rescan(registry: &Registry, readable: bool) -> bool {
    let error = match registry.scan() {
        Ok(()) => return true,
        Err(error) => error,
    };
    if readable {
        let folder = registry.folder().display();
        tracing::error!("failed to read the tasks folder {folder}: {error}; the modules that are loaded go on serving");
    }
    false
}
