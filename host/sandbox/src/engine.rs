//! How wasmtime is set up. Why each setting is as it is stands in the design notes on the sandbox; the short form is:
//! defaults where security bugs needed something else, off where no task needs it.

use wasmparser::WasmFeatures;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, Linker, OptLevel, PoolingAllocationConfig};

use crate::check::{FEATURES, MAX_TABLE_ELEMENTS, MAX_TABLES};
use crate::error::{SandboxError, bounded};
use crate::state::State;
use crate::{abi, wasi};

/// The engine that runs guests, and its version: what an operator compares with an advisory.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// How a sandbox is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Attempts that may run at a time; further ones wait.
    pub slots: usize,
    /// Bytes of linear memory no attempt may exceed, whatever its limits say; at most 4 GiB. Costs address space only.
    pub max_memory: u64,
    /// Bytes of each slot that are wiped in place after an attempt instead of being given back to the system: no page
    /// faults for small tasks, at the price of that much memory per slot.
    pub keep_resident: usize,
}

impl Default for SandboxConfig {
    /// One slot per core, 1 GiB, 256 KiB kept per slot.
    fn default() -> Self {
        Self {
            slots: std::thread::available_parallelism().map_or(1, usize::from),
            max_memory: 1 << 30,
            keep_resident: 256 << 10,
        }
    }
}

/// Whether guests count their instructions. That is compiled into their code, so each answer needs an engine of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metering {
    Off,
    Fuel,
}

/// An engine and what its modules may import.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    /// Why instances are made one by one instead of coming from a pool, where it is so.
    pub(crate) on_demand: Option<String>,
}

impl Core {
    /// An engine with a pool of instances; where the pool cannot be reserved, one that makes them on demand.
    pub(crate) fn new(config: &SandboxConfig, metering: Metering) -> Result<Self, SandboxError> {
        let (engine, on_demand) = match Engine::new(base(metering).allocation_strategy(pool(config))) {
            Ok(engine) => (engine, None),
            Err(refused) => {
                let engine = Engine::new(&base(metering)).map_err(engine_error)?;
                (engine, Some(bounded(refused)))
            }
        };
        let mut linker = Linker::new(&engine);
        wasi::link(&mut linker).map_err(engine_error)?;
        abi::link(&mut linker).map_err(engine_error)?;
        Ok(Self { engine, linker, on_demand })
    }
}

fn base(metering: Metering) -> Config {
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all().difference(FEATURES), false)
        .wasm_features(FEATURES, true)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .consume_fuel(metering == Metering::Fuel)
        .max_wasm_stack(512 << 10)
        // A backtrace quotes names out of the module, of any length.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false)
        // A module's data is copied in, instead of mapping an image of it: then a memory that was just wiped, and is still in
        // a core's cache, serves whichever module comes next. With images each change of module costs two mappings and the
        // page faults that follow, and two threads wait for each other there: 100 µs for an attempt instead of 16 µs where a
        // thousand modules take turns. It also saves a file of the system's for each module.
        .memory_init_cow(false);
    config
}

/// Wasmtime divides a pool among the threads, each of which then finds what it has just left, if it is of so many at least:
/// <https://github.com/bytecodealliance/wasmtime/pull/13840>.
const DIVIDED: u32 = 128;

fn pool(config: &SandboxConfig) -> InstanceAllocationStrategy {
    let slots = u32::try_from(config.slots).unwrap_or(u32::MAX).max(1);
    // How many attempts run at a time is limited elsewhere; more here is address space.
    let instances = if slots == 1 { 1 } else { slots.max(DIVIDED) };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances)
        // Rather one that was just wiped than one that never served; which module it served does not matter.
        .max_unused_warm_slots(0)
        .total_tables(instances.saturating_mul(MAX_TABLES))
        // For guests that run asynchronously, which none does: a thousand mappings of 2 MiB each. (That there can be any
        // comes with wasmtime-wasi.)
        .total_stacks(0)
        .max_memories_per_module(1)
        .max_tables_per_module(MAX_TABLES)
        .table_elements(MAX_TABLE_ELEMENTS as usize)
        .max_memory_size(usize::try_from(config.max_memory.min(4 << 30)).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(config.keep_resident)
        .table_keep_resident(16 << 10)
        // More would leave a failed guest's pages resident in a queue.
        .decommit_batch_size(1)
        // wasmtime#14357: a page that was swapped out is neither reset nor given back, so the next guest would read it.
        .pagemap_scan(Enabled::No);
    InstanceAllocationStrategy::Pooling(pool)
}

fn engine_error(error: wasmtime::Error) -> SandboxError {
    SandboxError::Engine(bounded(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_version_is_the_lock_files() {
        let lock = include_str!("../../../Cargo.lock");
        let (_, entry) = lock.split_once("name = \"wasmtime\"\nversion = \"").expect("wasmtime is in the lock file");
        let version = entry.split('"').next().unwrap_or_default();
        assert_eq!(ENGINE, format!("wasmtime {version}"));
    }
}
