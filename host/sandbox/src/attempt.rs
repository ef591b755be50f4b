//! One attempt: store, limits, instance, `_start`, report.

use std::time::Duration;

use afresh_protocol::Usage;
use cpu_time::ThreadTime;
use wasmtime::error::Context as _;
use wasmtime::{Extern, Store, UpdateDeadline};

use crate::cancel::{Cancel, Reason};
use crate::classify::{classify, host_ended};
use crate::error::{SandboxError, bounded};
use crate::limits::Limits;
use crate::module::TaskModule;
use crate::report::{Call, Report};
use crate::state::State;

/// Runs `module` once in a fresh instance. When this returns, the instance and its memory are gone.
pub(crate) fn run(module: &TaskModule, call: Call, limits: &Limits, cancel: &Cancel) -> Result<Report, SandboxError> {
    if limits.fuel.is_some() && !module.is_metered() {
        return Err(SandboxError::NotMetered);
    }
    let state = State::new(module.info().kind, call, limits, cancel)?;
    let cpu = ThreadTime::now();
    let mut store = Store::new(module.pre().module().engine(), state);
    arm(&mut store, module, limits)?;
    let result = enter(&mut store, module);
    let (wall, cpu) = (store.data().started.elapsed(), cpu.elapsed());

    let fuel = limits.fuel.and_then(|given| Some(given - store.get_fuel().ok()?));
    // This drops the store, and with it the guest's memory, before anybody hears of the outcome.
    let mut state = store.into_data();
    state.finish_texts();
    let usage = Usage {
        wall_us: micros(wall),
        cpu_us: micros(cpu),
        peak_memory_bytes: state.memory.peak as u64,
        output_bytes: state.reply_bytes,
        log_bytes: state.log.total(),
        fuel,
    };
    let progress = state.progress;
    let log = state.log.take_lines();
    Ok(Report { outcome: classify(result, state, wall)?, usage, log, progress })
}

/// The report of an attempt that was cancelled before it had a slot.
pub(crate) fn never_started(reason: Reason) -> Report {
    Report { outcome: host_ended(reason), usage: Usage::default(), log: Vec::new(), progress: None }
}

/// Puts up all walls. Instantiation runs guest code (start functions), so this comes first.
fn arm(store: &mut Store<State>, module: &TaskModule, limits: &Limits) -> Result<(), SandboxError> {
    store.limiter(|state| &mut state.memory);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        store.data_mut().check()?;
        Ok(UpdateDeadline::Continue(1))
    });
    // The most one host call may copy, for the functions that are wasmtime-wasi's: names and lists.
    store.set_hostcall_fuel(1 << 20);
    if module.is_metered() {
        let fuel = limits.fuel.unwrap_or(u64::MAX);
        store.set_fuel(fuel).map_err(|e| SandboxError::Instantiate(bounded(e)))?;
    }
    Ok(())
}

/// From the first guest instruction to the last.
fn enter(store: &mut Store<State>, module: &TaskModule) -> Result<(), Ended> {
    store.data_mut().check().map_err(|stop| Ended::Guest(stop.into()))?;
    let instance = module.pre().instantiate(&mut *store).map_err(Ended::Instantiation)?;
    let exports = module.exports();
    let memory = instance.get_module_export(&mut *store, &exports.memory).and_then(Extern::into_memory);
    if let Some(memory) = memory {
        let (base, bytes) = (memory.data_ptr(&*store), memory.data_size(&*store));
        store.data_mut().has_memory(memory, base, bytes);
    }
    let start = instance.get_module_export(&mut *store, &exports.start).and_then(Extern::into_func);
    let start = start.context("`_start` is no function").and_then(|start| start.typed::<(), ()>(&*store));
    start.map_err(Ended::Instantiation)?.call(store, ()).map_err(Ended::Guest)
}

/// What wasmtime says of an attempt that did not return from `_start`. Not to be formatted without a bound.
pub(crate) enum Ended {
    /// While the instance was made.
    Instantiation(wasmtime::Error),
    /// While the guest ran.
    Guest(wasmtime::Error),
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
