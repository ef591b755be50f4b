//! The limit: what wasmtime alone takes for an attempt, on the same module and with the same engine settings. A store, an
//! instance, one call; host functions that do the least with which the guest takes the same way; and no walls at all.
//!
//! It shares nothing with the sandbox: a limit that goes through our own code would be none.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use wasmparser::WasmFeatures;
use wasmtime::{
    Caller, Config, Enabled, Engine, Extern, InstanceAllocationStrategy, InstancePre, Linker, Module, OptLevel,
    PoolingAllocationConfig, Result, Store, bail,
};

use crate::guests::ENVIRONMENT;

/// Keep resident, slots and the most memory, as the sandbox beside it has them.
pub(crate) struct Settings {
    pub(crate) slots: u32,
    pub(crate) max_memory: usize,
    pub(crate) keep_resident: usize,
    /// The sandbox's own; with other settings for code this would be the limit of something else.
    pub(crate) compatibility: u64,
}

/// Wasmtime with nothing round it.
pub(crate) struct Bare {
    engine: Engine,
    linker: Linker<World>,
}

/// A module that is ready to run.
pub(crate) struct BareModule(InstancePre<World>);

/// What a guest reads and writes.
struct World {
    payload: &'static [u8],
    read: usize,
    reply: Vec<u8>,
}

impl Bare {
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let engine = Engine::new(&config(settings))?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        if hasher.finish() != settings.compatibility {
            bail!("the sandbox's engine has other settings than this limit; let `config` follow `engine.rs`");
        }
        let mut linker = Linker::new(&engine);
        link_sdk(&mut linker)?;
        link_wasi(&mut linker)?;
        Ok(Self { engine, linker })
    }

    /// Compiles and links.
    pub(crate) fn load(&self, wasm: &[u8]) -> Result<BareModule> {
        self.link(&Module::new(&self.engine, wasm)?)
    }

    /// Compiles into bytes for [`Bare::load_compiled`].
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        self.engine.precompile_module(wasm)
    }

    /// Loads what [`Bare::compile`] made.
    ///
    /// # Safety
    /// It is run as native code, so it must be just that.
    #[expect(unsafe_code, reason = "loading native code; the caller vouches for where it comes from")]
    pub(crate) unsafe fn load_compiled(&self, compiled: &[u8]) -> Result<BareModule> {
        // SAFETY: passed on to our caller.
        self.link(&unsafe { Module::deserialize(&self.engine, compiled) }?)
    }

    fn link(&self, module: &Module) -> Result<BareModule> {
        let mut linker = self.linker.clone();
        linker.define_unknown_imports_as_traps(module)?;
        linker.instantiate_pre(module).map(BareModule)
    }
}

impl BareModule {
    /// One attempt; answers the reply.
    pub(crate) fn run(&self, payload: &'static [u8]) -> Result<Vec<u8>> {
        let world = World { payload, read: 0, reply: Vec::new() };
        let mut store = Store::new(self.0.module().engine(), world);
        // Nothing advances the epoch here; but code that looks at it ends at once where no deadline is set.
        store.set_epoch_deadline(1);
        let instance = self.0.instantiate(&mut store)?;
        instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
        Ok(store.into_data().reply)
    }
}

/// As `base` and `pool` of `engine.rs` have it.
fn config(settings: &Settings) -> Config {
    let instances = settings.slots.max(128);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances)
        .max_unused_warm_slots(0)
        .total_tables(instances)
        .total_stacks(0)
        .max_memories_per_module(1)
        .table_elements(100_000)
        .max_memory_size(settings.max_memory)
        .linear_memory_keep_resident(settings.keep_resident)
        .table_keep_resident(16 << 10)
        .decommit_batch_size(1)
        .pagemap_scan(Enabled::No);
    let mut config = Config::new();
    config
        .wasm_features(WasmFeatures::all().difference(FEATURES), false)
        .wasm_features(FEATURES, true)
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false)
        .memory_init_cow(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::EXTENDED_CONST);

fn link_sdk(linker: &mut Linker<World>) -> Result<()> {
    linker
        .func_wrap("afresh_v1", "payload_len", |guest: Guest<'_>| guest.data().payload.len() as u32)?
        .func_wrap("afresh_v1", "payload_read", |mut guest: Guest<'_>, ptr: u32, len: u32, offset: u32| {
            let (memory, world) = parts(&mut guest);
            let rest = &world.payload[offset as usize..];
            let count = rest.len().min(len as usize);
            memory[ptr as usize..][..count].copy_from_slice(&rest[..count]);
            count as u32
        })?
        .func_wrap("afresh_v1", "reply_write", |mut guest: Guest<'_>, ptr: u32, len: u32| {
            let (memory, world) = parts(&mut guest);
            world.reply.extend_from_slice(&memory[ptr as usize..][..len as usize]);
        })?;
    Ok(())
}

fn link_wasi(linker: &mut Linker<World>) -> Result<()> {
    const WASI: &str = "wasi_snapshot_preview1";
    linker
        .func_wrap(WASI, "environ_sizes_get", |mut guest: Guest<'_>, count: u32, bytes: u32| {
            let (memory, _) = parts(&mut guest);
            put(memory, count, ENVIRONMENT.len() as u32);
            put(
                memory,
                bytes,
                ENVIRONMENT.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>() as u32,
            );
            0
        })?
        .func_wrap(WASI, "environ_get", |mut guest: Guest<'_>, mut pointer: u32, mut at: u32| {
            let (memory, _) = parts(&mut guest);
            for (name, value) in ENVIRONMENT {
                put(memory, pointer, at);
                pointer += 4;
                for part in [name, "=", value, "\0"] {
                    memory[at as usize..][..part.len()].copy_from_slice(part.as_bytes());
                    at += part.len() as u32;
                }
            }
            0
        })?
        .func_wrap(WASI, "fd_read", |mut guest: Guest<'_>, _: u32, buffers: u32, count: u32, read: u32| {
            let (memory, world) = parts(&mut guest);
            let mut total = 0;
            for buffer in (0..count).map(|n| buffers + 8 * n) {
                let (ptr, len) = (get(memory, buffer), get(memory, buffer + 4));
                let rest = &world.payload[world.read..];
                let taken = rest.len().min(len as usize);
                memory[ptr as usize..][..taken].copy_from_slice(&rest[..taken]);
                world.read += taken;
                total += taken as u32;
            }
            put(memory, read, total);
            0
        })?
        .func_wrap(WASI, "fd_write", |mut guest: Guest<'_>, _: u32, buffers: u32, count: u32, written: u32| {
            let (memory, world) = parts(&mut guest);
            let mut total = 0;
            for buffer in (0..count).map(|n| buffers + 8 * n) {
                let (ptr, len) = (get(memory, buffer), get(memory, buffer + 4));
                world.reply.extend_from_slice(&memory[ptr as usize..][..len as usize]);
                total += len;
            }
            put(memory, written, total);
            0
        })?;
    Ok(())
}

type Guest<'a> = Caller<'a, World>;

fn parts<'a>(guest: &'a mut Guest<'_>) -> (&'a mut [u8], &'a mut World) {
    match guest.get_export("memory") {
        Some(Extern::Memory(memory)) => memory.data_and_store_mut(guest),
        _ => unreachable!("the guests of this bench export their memory"),
    }
}

fn get(memory: &[u8], at: u32) -> u32 {
    u32::from_le_bytes(memory[at as usize..][..4].try_into().expect("four bytes"))
}

fn put(memory: &mut [u8], at: u32, value: u32) {
    memory[at as usize..][..4].copy_from_slice(&value.to_le_bytes());
}
