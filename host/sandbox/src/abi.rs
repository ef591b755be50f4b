//! The host functions of `afresh_v1`. Each does one checked range test on what the guest hands in, and keeps no guest
//! pointer.

use std::ops::Range;
use std::time::Duration;

use afresh_protocol::abi::{LogLevel, NAMESPACE, Refusal, Verdict};
use wasmtime::{Caller, Extern, Linker, Result};

use crate::state::{End, State, Stop};

/// A host function's view of its caller.
pub(crate) type Guest<'a> = Caller<'a, State>;

/// Adds the functions of [`NAMESPACE`].
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker
        .func_wrap(NAMESPACE, "payload_len", |guest: Guest<'_>| guest.data().payload.len() as u32)?
        .func_wrap(NAMESPACE, "payload_read", payload_read)?
        .func_wrap(NAMESPACE, "reply_write", reply_write)?
        .func_wrap(NAMESPACE, "error_write", error_write)?
        .func_wrap(NAMESPACE, "verdict", verdict)?
        .func_wrap(NAMESPACE, "log", log)?
        .func_wrap(NAMESPACE, "progress", |mut guest: Guest<'_>, fraction: f64| {
            guest.data_mut().set_progress(fraction);
        })?
        .func_wrap(NAMESPACE, "deadline_left_us", |guest: Guest<'_>| {
            i64::try_from(guest.data().left().as_micros()).unwrap_or(i64::MAX)
        })?
        .func_wrap(NAMESPACE, "enqueue", enqueue)?;
    Ok(())
}

fn payload_read(mut guest: Guest<'_>, ptr: u32, len: u32, offset: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    let range = state.range("payload_read", memory, ptr, len)?;
    let payload = state.payload.get(offset as usize..).unwrap_or_default();
    let count = payload.len().min(range.len());
    memory[range][..count].copy_from_slice(&payload[..count]);
    Ok(count as u32)
}

fn reply_write(mut guest: Guest<'_>, ptr: u32, len: u32) -> Result<()> {
    let (memory, state) = parts(&mut guest);
    let range = state.range("reply_write", memory, ptr, len)?;
    Ok(state.write_reply(&memory[range])?)
}

fn error_write(mut guest: Guest<'_>, ptr: u32, len: u32) -> Result<()> {
    let (memory, state) = parts(&mut guest);
    let range = state.range("error_write", memory, ptr, len)?;
    Ok(state.write_error(&memory[range])?)
}

fn verdict(mut guest: Guest<'_>, code: i32, delay_ms: i64) -> Result<()> {
    let state = guest.data_mut();
    let Some(verdict) = Verdict::from_code(code) else {
        return Err(state.stop(End::Misuse(format!("called `verdict` with {code}, which is not a verdict"))).into());
    };
    state.verdict = Some((verdict, u64::try_from(delay_ms).ok().map(Duration::from_millis)));
    Ok(())
}

fn log(mut guest: Guest<'_>, level: i32, ptr: u32, len: u32) -> Result<()> {
    let (memory, state) = parts(&mut guest);
    let range = state.range("log", memory, ptr, len)?;
    state.log.line(LogLevel::from_code(level), &memory[range]);
    Ok(())
}

fn enqueue(mut guest: Guest<'_>, spec: u32, spec_len: u32, payload: u32, payload_len: u32) -> Result<i32> {
    let (memory, state) = parts(&mut guest);
    let spec = state.range("enqueue", memory, spec, spec_len)?;
    let payload = state.range("enqueue", memory, payload, payload_len)?;
    Ok(Refusal::code_of(state.gate.put(&memory[spec], &memory[payload])))
}

/// The guest's memory and the state of its attempt.
pub(crate) fn parts<'a>(guest: &'a mut Guest<'_>) -> (&'a mut [u8], &'a mut State) {
    let known = guest.data().linear;
    match known.or_else(|| guest.get_export("memory").and_then(Extern::into_memory)) {
        Some(memory) => memory.data_and_store_mut(guest),
        // Cannot be: the module was checked for it. An empty memory makes every access a misuse.
        None => (&mut [], guest.data_mut()),
    }
}

impl State {
    /// The range that a guest's pointer and length name, where it lies within the memory.
    pub(crate) fn range(&mut self, function: &str, memory: &[u8], ptr: u32, len: u32) -> Result<Range<usize>, Stop> {
        let end = u64::from(ptr) + u64::from(len);
        if end <= memory.len() as u64 {
            // Both fit: they are at most the memory's length.
            return Ok(ptr as usize..end as usize);
        }
        Err(self.stop(End::Misuse(format!(
            "called `{function}` with pointer {ptr} and length {len}, which is outside its memory of {} bytes",
            memory.len()
        ))))
    }
}
