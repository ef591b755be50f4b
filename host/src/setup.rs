//! Puts a worker together: sandbox, compiler, registry, budget. What `afresh worker` and `afresh dev` share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use afresh_sandbox::{Sandbox, SandboxConfig};
use anyhow::Context as _;

use crate::attempt::Workshop;
use crate::compiler::Compiler;
use crate::compiler::bounds::Bounds;
use crate::config::Config;
use crate::grants::GrantBook;
use crate::machine;
use crate::registry::Registry;
use crate::worker::budget::Budget;
use crate::worker::unique_name;

/// Of the machine's memory, what guests may take together where nobody says otherwise.
const BUDGET_PERCENT: u64 = 80;

/// How long a worker's start waits for modules that are new to it. A slow one comes later, and holds up nobody.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// How many slots a configuration means.
pub fn slots(config: &Config) -> usize {
    match config.worker.concurrency {
        0 => machine::cores(),
        slots => slots,
    }
}

/// The sandbox a configuration means.
///
/// # Errors
/// When this machine cannot run one.
pub fn sandbox(config: &Config) -> anyhow::Result<Sandbox> {
    let sandbox = Sandbox::new(&sandbox_config(config)).map_err(|error| anyhow::anyhow!("failed to {error}"))?;
    if let Some(why) = sandbox.on_demand() {
        tracing::warn!("instances are made one by one, which is slower: {why}");
    }
    Ok(sandbox)
}

/// How the sandbox of a configuration is set up.
pub fn sandbox_config(config: &Config) -> SandboxConfig {
    SandboxConfig { slots: slots(config), max_memory: config.limits.memory.as_u64(), ..SandboxConfig::default() }
}

/// The bytes that guests may take together under a configuration.
pub fn memory_budget(config: &Config) -> u64 {
    match config.worker.memory_budget.as_u64() {
        0 => machine::memory() / 100 * BUDGET_PERCENT,
        bytes => bytes,
    }
}

/// Everything the slots of a worker share, with the folder's modules loaded. Proves first that a module that loops for
/// ever is stopped here.
///
/// # Errors
/// When the folder is missing, what tasks are granted is not there, the cache cannot be private, or this machine cannot stop a looping module.
pub fn workshop(config: &Config, tasks: &Path) -> anyhow::Result<Workshop> {
    anyhow::ensure!(
        tasks.is_dir(),
        "the tasks folder {} is not there; build tasks into it (`afresh build --out {}`), or name another with --tasks",
        tasks.display(),
        tasks.display()
    );
    let grants = GrantBook::open(config)?;
    let sandbox = sandbox(config)?;
    sandbox.self_test().map_err(|error| anyhow::anyhow!("failed to {error}"))?;
    let worker = &config.worker;
    let compiler = Compiler::new(sandbox.clone(), &worker.cache, Bounds::of(worker))?;
    let registry = Registry::new(tasks, compiler, config.clone()).context("failed to start the compiling threads")?;
    registry.scan().with_context(|| format!("failed to read the tasks folder {}", tasks.display()))?;
    if !registry.settled(SETTLES_WITHIN) {
        tracing::warn!("some modules are still being compiled; their jobs wait, the others are served");
    }
    let budget = Arc::new(Budget::new(memory_budget(config)));
    Ok(Workshop { worker: unique_name(), sandbox, registry, budget, grants })
}
