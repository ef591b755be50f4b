//! What a guest asks as it starts: its arguments, its environment, the time, whether it has folders. All of these are
//! ours, since wasmtime-wasi needs a context of its own to answer, and to make that takes longer than to make an instance.
//! So an attempt has one only if its guest asks for more than this.

use std::ops::Range;
use std::time::SystemTime;

use afresh_protocol::abi::WASI_NAMESPACE;
use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;

use super::errno::{BADF, SUCCESS};
use super::nanoseconds;
use super::page::ask;
use crate::abi::{Guest, parts};
use crate::environment::Strings;
use crate::state::{End, State, Stop};

/// Puts these calls over those of wasmtime-wasi.
pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker
        .func_wrap(WASI_NAMESPACE, "args_sizes_get", |guest: Guest<'_>, count: u32, bytes: u32| {
            sizes(guest, "args_sizes_get", |state| &state.arguments, count, bytes)
        })?
        .func_wrap(WASI_NAMESPACE, "args_get", |guest: Guest<'_>, pointers: u32, bytes: u32| {
            strings(guest, "args_get", |state| &state.arguments, pointers, bytes)
        })?
        .func_wrap(WASI_NAMESPACE, "environ_sizes_get", |guest: Guest<'_>, count: u32, bytes: u32| {
            sizes(guest, "environ_sizes_get", |state| &state.environment, count, bytes)
        })?
        .func_wrap(WASI_NAMESPACE, "environ_get", |guest: Guest<'_>, pointers: u32, bytes: u32| {
            strings(guest, "environ_get", |state| &state.environment, pointers, bytes)
        })?
        .func_wrap(WASI_NAMESPACE, "clock_time_get", clock_time_get)?
        .func_wrap(WASI_NAMESPACE, "fd_prestat_get", fd_prestat_get)?;
    Ok(())
}

/// How many strings there are, and their bytes.
fn sizes(mut guest: Guest<'_>, function: &str, of: fn(&State) -> &Strings, count: u32, bytes: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    let strings = of(state);
    // The length fits: the guest must find room for it in its 32 bits.
    let sizes = [(count, strings.count()), (bytes, strings.bytes().len() as u32)];
    for (ptr, size) in sizes {
        let range = state.aligned(function, memory, ptr, 4, 4)?;
        memory[range].copy_from_slice(&size.to_le_bytes());
    }
    Ok(SUCCESS)
}

/// The strings, and a pointer to each.
fn strings(mut guest: Guest<'_>, function: &str, of: fn(&State) -> &Strings, list: u32, bytes: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    let (count, len) = (of(state).count(), of(state).bytes().len() as u32);
    let list = state.aligned(function, memory, list, count * 4, 4)?;
    let block = state.range(function, memory, bytes, len)?;
    let strings = of(state);
    memory[block].copy_from_slice(strings.bytes());
    let mut at = bytes;
    for (pointer, string) in memory[list].as_chunks_mut().0.iter_mut().zip(strings.iter()) {
        *pointer = at.to_le_bytes();
        // The last may end where 32 bits do.
        at = at.wrapping_add(string.len() as u32);
    }
    Ok(SUCCESS)
}

fn clock_time_get(mut guest: Guest<'_>, clock: u32, _precision: u64, ptr: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    let now = match clock {
        0 => SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
        1 => state.started.elapsed(),
        // Those of processor time.
        2 | 3 => return Ok(BADF),
        _ => {
            return Err(state
                .stop(End::Misuse(format!("called `clock_time_get` with {clock}, which is no clock")))
                .into());
        }
    };
    let range = state.aligned("clock_time_get", memory, ptr, 8, 8)?;
    memory[range].copy_from_slice(&nanoseconds(now).to_le_bytes());
    Ok(SUCCESS)
}

fn fd_prestat_get(mut guest: Guest<'_>, fd: u32, ptr: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    match state.files {
        // Programs ask as they start, whether they need a file or not.
        None => Ok(BADF),
        Some(_) => ask(memory, state, async |wasi, memory| {
            p1::fd_prestat_get(wasi, memory, fd.cast_signed(), ptr.cast_signed())
        }),
    }
}

impl State {
    /// Like [`State::range`], for numbers of `size` bytes: WASI wants them aligned.
    fn aligned(&mut self, function: &str, memory: &[u8], ptr: u32, len: u32, size: u32) -> Result<Range<usize>, Stop> {
        if !ptr.is_multiple_of(size) {
            return Err(self.stop(End::Misuse(format!("called `{function}` with pointer {ptr}, which is not aligned"))));
        }
        self.range(function, memory, ptr, len)
    }
}
