//! WASI preview 1: an empty world (arguments, environment and clocks; no sockets; files only where some were granted). The
//! functions that move bytes or take time are ours, so that they are bounded by the attempt's limits and wake when it is
//! cancelled; so are those that most guests call, for speed; everything else is wasmtime-wasi's.
//!
//! * `world`: what every guest asks as it starts
//! * `files`: the calls on files; `look`: what they want to know before; `page`: how they are handed on to wasmtime-wasi

use std::time::{Duration, SystemTime};

use afresh_protocol::abi::WASI_NAMESPACE;
use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use crate::abi::{Guest, parts};
use crate::check::ModuleKind;
use crate::error::SandboxError;
use crate::files::Files;
use crate::report::Call;
use crate::state::{State, Stop};

mod errno;
mod files;
mod look;
mod page;
mod world;

use errno::{BADF, INVAL, NOTSOCK, SUCCESS};

/// Buffers one read or write may name, as on Unix; more is `EINVAL`.
const MAX_BUFFERS: u32 = 1024;

/// Subscriptions one `poll_oneoff` may have; more is `EINVAL`.
const MAX_SUBSCRIPTIONS: u32 = 1024;

/// What wasmtime-wasi has of one attempt. To make that takes as long as to make an instance, and most guests ask only what is
/// answered here; so it is made when a guest first asks for more.
#[derive(Default)]
pub(crate) struct Wasi {
    context: Option<Box<WasiP1Ctx>>,
    called: bool,
}

impl Wasi {
    /// Opens the files that were granted, if any.
    ///
    /// # Errors
    /// When a folder cannot be opened.
    pub(crate) fn open(call: &Call) -> Result<(Self, Option<Files>), SandboxError> {
        if call.folders.is_empty() && call.scratch.is_none() {
            return Ok((Self::default(), None));
        }
        let mut builder = WasiCtxBuilder::new();
        let files = Files::open(&mut builder, &call.folders, call.scratch.as_ref())?;
        Ok((Self { context: Some(Box::new(builder.build_p1())), called: false }, Some(files)))
    }

    /// For a call of wasmtime-wasi's.
    fn context(&mut self) -> &mut WasiP1Ctx {
        self.called = true;
        self.context.get_or_insert_with(|| Box::new(WasiCtxBuilder::new().build_p1()))
    }

    /// Whether the guest has called a function of wasmtime-wasi: then an error may be its doing.
    pub(crate) fn was_called(&self) -> bool {
        self.called
    }
}

/// Adds preview 1.
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    p1::add_to_linker_sync(linker, |state| state.wasi.context())?;
    linker.allow_shadowing(true);
    linker
        .func_wrap(WASI_NAMESPACE, "fd_read", fd_read)?
        .func_wrap(WASI_NAMESPACE, "fd_write", fd_write)?
        .func_wrap(WASI_NAMESPACE, "poll_oneoff", poll_oneoff)?
        .func_wrap(WASI_NAMESPACE, "random_get", random_get)?
        // wasmtime-wasi writes a warning to the host's log at each call of these four.
        .func_wrap(WASI_NAMESPACE, "sock_accept", |_: Guest<'_>, _: u32, _: u32, _: u32| NOTSOCK)?
        .func_wrap(WASI_NAMESPACE, "sock_recv", |_: Guest<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| NOTSOCK)?
        .func_wrap(WASI_NAMESPACE, "sock_send", |_: Guest<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| NOTSOCK)?
        .func_wrap(WASI_NAMESPACE, "sock_shutdown", |_: Guest<'_>, _: u32, _: u32| NOTSOCK)?
        .func_wrap(WASI_NAMESPACE, "proc_exit", |_: Guest<'_>, code: i32| -> Result<()> {
            // wasmtime-wasi takes codes up to 125 only, but `exit(255)` is common.
            Err(I32Exit(code).into())
        })?;
    world::link(linker)?;
    files::link(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn fd_read(mut guest: Guest<'_>, fd: u32, buffers: u32, count: u32, read: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    match fd {
        0 => {}
        1 | 2 => return Ok(BADF),
        _ => return files::read(memory, state, fd, (buffers, count), None, read),
    }
    if count > MAX_BUFFERS {
        return Ok(INVAL);
    }
    let mut total = 0;
    for index in 0..count {
        let (ptr, len) = state.buffer("fd_read", memory, buffers, index)?;
        let range = state.range("fd_read", memory, ptr, len)?;
        let rest = match state.kind {
            ModuleKind::Command => &state.payload[state.read..],
            ModuleKind::Sdk => &[],
        };
        let taken = rest.len().min(range.len());
        memory[range][..taken].copy_from_slice(&rest[..taken]);
        state.read += taken;
        // At most the payload's length, which fits into a guest.
        total += taken as u32;
    }
    state.write_u32("fd_read", memory, read, total)?;
    Ok(SUCCESS)
}

fn fd_write(mut guest: Guest<'_>, fd: u32, buffers: u32, count: u32, written: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    let write = match fd {
        1 => State::write_stdout,
        2 => State::write_stderr,
        0 => return Ok(BADF),
        _ => return files::write(memory, state, fd, (buffers, count), None, written),
    };
    if count > MAX_BUFFERS {
        return Ok(INVAL);
    }
    let mut total = 0_u32;
    for index in 0..count {
        let (ptr, len) = state.buffer("fd_write", memory, buffers, index)?;
        let Some(sum) = total.checked_add(len) else { break };
        let range = state.range("fd_write", memory, ptr, len)?;
        write(state, &memory[range])?;
        total = sum;
    }
    state.write_u32("fd_write", memory, written, total)?;
    Ok(SUCCESS)
}

fn random_get(mut guest: Guest<'_>, ptr: u32, len: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    let range = state.range("random_get", memory, ptr, len)?;
    state.fill_random(&mut memory[range])?;
    Ok(SUCCESS)
}

/// Sizes and places of the structures of `poll_oneoff`, from WASI's witx.
const SUBSCRIPTION: u32 = 48;
const EVENT: u32 = 32;

fn poll_oneoff(mut guest: Guest<'_>, subscriptions: u32, events: u32, count: u32, happened: u32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Ok(INVAL);
    }
    let range = state.range("poll_oneoff", memory, subscriptions, count * SUBSCRIPTION)?;
    let out = state.range("poll_oneoff", memory, events, count * EVENT)?;
    // Our streams are always ready, so a guest that waits for one as well does not sleep at all.
    let waits: Vec<Wait> = memory[range].chunks_exact(SUBSCRIPTION as usize).map(|s| Wait::parse(s, state)).collect();
    let shortest = waits.iter().map(|wait| wait.span).min().unwrap_or_default();
    if !shortest.is_zero() {
        state.pause(shortest)?;
    }
    let due: Vec<_> = waits.iter().filter(|wait| wait.span <= shortest).collect();
    for (wait, event) in due.iter().zip(memory[out].chunks_exact_mut(EVENT as usize)) {
        wait.write_event(event);
    }
    state.write_u32("poll_oneoff", memory, happened, due.len() as u32)?;
    Ok(SUCCESS)
}

/// One subscription: what the guest waits for, and for how long.
struct Wait {
    userdata: [u8; 8],
    /// 0 clock, 1 read, 2 write.
    what: u8,
    span: Duration,
    error: u32,
    bytes: u64,
}

impl Wait {
    fn parse(subscription: &[u8], state: &State) -> Self {
        let u32_at = |at: usize| u32::from_le_bytes(array(subscription, at));
        let mut wait = Self {
            userdata: array(subscription, 0),
            what: subscription[8],
            span: Duration::ZERO,
            error: SUCCESS,
            bytes: 0,
        };
        match (wait.what, u32_at(16)) {
            (0, clock @ (0 | 1)) => {
                let timeout = u64::from_le_bytes(array(subscription, 24));
                let absolute = u16::from_le_bytes(array(subscription, 40)) & 1 == 1;
                let now = match (absolute, clock) {
                    (false, _) => 0,
                    (true, 0) => nanoseconds(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()),
                    (true, _) => nanoseconds(state.started.elapsed()),
                };
                wait.span = Duration::from_nanos(timeout.saturating_sub(now));
            }
            (1, 0) => wait.bytes = (state.payload.len() - state.read) as u64,
            (2, 1 | 2) => wait.bytes = 1 << 16,
            (1 | 2, _) => wait.error = BADF,
            _ => wait.error = INVAL,
        }
        wait
    }

    fn write_event(&self, event: &mut [u8]) {
        event.fill(0);
        event[..8].copy_from_slice(&self.userdata);
        event[8] = self.error as u8;
        event[10] = self.what;
        event[16..24].copy_from_slice(&self.bytes.to_le_bytes());
    }
}

impl State {
    /// Pointer and length of the `index`th buffer of a list.
    fn buffer(&mut self, function: &str, memory: &[u8], list: u32, index: u32) -> Result<(u32, u32), Stop> {
        // The list is tested buffer by buffer; a pointer that leaves the 32 bits is as wrong as one past the memory.
        let range = self.range(function, memory, list.saturating_add(index * 8), 8)?;
        let pair = &memory[range];
        Ok((u32::from_le_bytes(array(pair, 0)), u32::from_le_bytes(array(pair, 4))))
    }

    fn write_u32(&mut self, function: &str, memory: &mut [u8], ptr: u32, value: u32) -> Result<(), Stop> {
        let range = self.range(function, memory, ptr, 4)?;
        memory[range].copy_from_slice(&value.to_le_bytes());
        Ok(())
    }
}

/// `N` bytes of a slice that is known to have them.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
