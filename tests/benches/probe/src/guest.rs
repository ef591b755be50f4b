//! A module in a pool of instances: one store, one instance, one call for each job, and nothing else. The engine is set up
//! as Afresh's is (`host/sandbox/src/engine.rs`), so that both run the same code in the same memory.

use wasmtime::{
    Caller, Config, Enabled, Engine, Extern, InstanceAllocationStrategy, InstancePre, Linker, Memory, Module, OptLevel,
    PoolingAllocationConfig, Store,
};

/// What a guest finds in its environment, as each attempt in Afresh does.
const ENVIRONMENT: [&str; 5] = [
    "AFRESH_TASK=noop",
    "AFRESH_JOB_ID=01JDQ4T7ZK5N8W2R6V9XBCDEFG",
    "AFRESH_ATTEMPT=1",
    "AFRESH_MAX_ATTEMPTS=25",
    "AFRESH_QUEUE=default",
];

const ARGUMENTS: [&str; 1] = ["noop"];

/// A module, compiled and linked.
pub struct Guest(InstancePre<Job>);

/// What the host knows of one run.
struct Job {
    payload: Vec<u8>,
    reply: Vec<u8>,
}

impl Guest {
    /// Compiles a module of the SDK's, for so many instances at a time.
    ///
    /// # Errors
    /// If the machine has no room for the pool, or the module is no task of the SDK's.
    pub fn new(wasm: &[u8], instances: u32) -> anyhow::Result<Self> {
        Self::compile(wasm, instances).map_err(explain)
    }

    /// Runs it in a fresh instance, which is gone when this returns; answers its reply.
    ///
    /// # Errors
    /// If the guest traps.
    pub fn run(&self, payload: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        self.call(payload).map_err(explain)
    }

    fn compile(wasm: &[u8], instances: u32) -> wasmtime::Result<Self> {
        let engine = Engine::new(&config(instances))?;
        let module = Module::new(&engine, wasm)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        linker.define_unknown_imports_as_traps(&module)?;
        Ok(Self(linker.instantiate_pre(&module)?))
    }

    fn call(&self, payload: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        let mut store = Store::new(self.0.module().engine(), Job { payload, reply: Vec::new() });
        // Nothing makes time pass here.
        store.set_epoch_deadline(1);
        let instance = self.0.instantiate(&mut store)?;
        instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
        Ok(store.into_data().reply)
    }
}

fn config(instances: u32) -> Config {
    let instances = instances.max(128);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances)
        .max_unused_warm_slots(0)
        .total_tables(instances)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .max_memory_size(1 << 30)
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        .decommit_batch_size(1)
        .pagemap_scan(Enabled::No);
    let mut config = Config::new();
    config
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

/// The functions that a task of the SDK calls when all goes well.
fn link(linker: &mut Linker<Job>) -> wasmtime::Result<()> {
    const WASI: &str = "wasi_snapshot_preview1";
    const AFRESH: &str = "afresh_v1";
    linker
        .func_wrap(AFRESH, "payload_len", |guest: Caller<'_, Job>| guest.data().payload.len() as u32)?
        .func_wrap(AFRESH, "payload_read", payload_read)?
        .func_wrap(AFRESH, "reply_write", reply_write)?
        .func_wrap(WASI, "args_sizes_get", |guest: Caller<'_, Job>, count: u32, bytes: u32| {
            sizes(guest, &ARGUMENTS, count, bytes)
        })?
        .func_wrap(WASI, "args_get", |guest: Caller<'_, Job>, list: u32, texts: u32| {
            texts_at(guest, &ARGUMENTS, list, texts)
        })?
        .func_wrap(WASI, "environ_sizes_get", |guest: Caller<'_, Job>, count: u32, bytes: u32| {
            sizes(guest, &ENVIRONMENT, count, bytes)
        })?
        .func_wrap(WASI, "environ_get", |guest: Caller<'_, Job>, list: u32, texts: u32| {
            texts_at(guest, &ENVIRONMENT, list, texts)
        })?;
    Ok(())
}

fn payload_read(mut guest: Caller<'_, Job>, at: u32, length: u32, offset: u32) -> wasmtime::Result<u32> {
    let memory = memory(&mut guest)?;
    let (memory, job) = memory.data_and_store_mut(&mut guest);
    let payload = job.payload.get(offset as usize..).unwrap_or_default();
    let count = payload.len().min(length as usize);
    slice(memory, at, count)?.copy_from_slice(&payload[..count]);
    Ok(count as u32)
}

fn reply_write(mut guest: Caller<'_, Job>, at: u32, length: u32) -> wasmtime::Result<()> {
    let memory = memory(&mut guest)?;
    let (memory, job) = memory.data_and_store_mut(&mut guest);
    job.reply.extend_from_slice(slice(memory, at, length as usize)?);
    Ok(())
}

/// How many texts there are, and how many bytes they take.
fn sizes(mut guest: Caller<'_, Job>, texts: &[&str], count: u32, bytes: u32) -> wasmtime::Result<i32> {
    let memory = memory(&mut guest)?.data_mut(&mut guest);
    let length: usize = texts.iter().map(|text| text.len() + 1).sum();
    slice(memory, count, 4)?.copy_from_slice(&(texts.len() as u32).to_le_bytes());
    slice(memory, bytes, 4)?.copy_from_slice(&(length as u32).to_le_bytes());
    Ok(0)
}

/// The texts, each with a zero at its end, and where each begins.
fn texts_at(mut guest: Caller<'_, Job>, texts: &[&str], mut list: u32, mut at: u32) -> wasmtime::Result<i32> {
    let memory = memory(&mut guest)?.data_mut(&mut guest);
    for text in texts {
        slice(memory, list, 4)?.copy_from_slice(&at.to_le_bytes());
        let place = slice(memory, at, text.len() + 1)?;
        place[..text.len()].copy_from_slice(text.as_bytes());
        place[text.len()] = 0;
        list += 4;
        at += text.len() as u32 + 1;
    }
    Ok(0)
}

fn memory(guest: &mut Caller<'_, Job>) -> wasmtime::Result<Memory> {
    let memory = guest.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| wasmtime::Error::msg("it exports no memory"))
}

fn slice(memory: &mut [u8], at: u32, length: usize) -> wasmtime::Result<&mut [u8]> {
    let place = memory.get_mut(at as usize..).and_then(|rest| rest.get_mut(..length));
    place.ok_or_else(|| wasmtime::Error::msg("it names a place outside its memory"))
}

fn explain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("the probe's guest: {error:#}")
}
