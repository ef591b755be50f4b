//! The imports of an SDK module, and the only `unsafe` of the SDK. `ABI.md` in `afresh-protocol` says what each does.

use std::env;
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

use afresh_protocol::abi::{LogLevel, Refusal, Verdict, env as names};

use crate::error::TaskError;
use crate::run::{Task, find};
use crate::stream::stream;

/// The raw functions. Those that take a pointer are `unsafe`: the host reads or writes there.
#[expect(unsafe_code, reason = "functions of another module can only be declared so")]
mod raw {
    #[link(wasm_import_module = "afresh_v1")]
    unsafe extern "C" {
        pub(super) safe fn payload_len() -> i32;
        pub(super) fn payload_read(ptr: *mut u8, len: usize, offset: usize) -> i32;
        pub(super) fn reply_write(ptr: *const u8, len: usize);
        pub(super) fn error_write(ptr: *const u8, len: usize);
        pub(super) safe fn verdict(verdict: i32, delay_ms: i64);
        pub(super) fn log(level: i32, ptr: *const u8, len: usize);
        pub(super) safe fn progress(fraction: f64);
        pub(super) safe fn deadline_left_us() -> i64;
        pub(super) fn enqueue(spec: *const u8, spec_len: usize, payload: *const u8, payload_len: usize) -> i32;
    }
}

/// Makes a panic tell the host its message and place. What follows it is an abort, in this target always.
pub(crate) fn start() {
    panic::set_hook(Box::new(report_panic));
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    verdict(Verdict::Panicked, None);
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    match panic.location() {
        Some(place) => stream(&format_args!("{message}, at {place}"), error),
        None => stream(&message, error),
    }
}

/// `main` returns, so the exit code is 0; the verdict has said the rest.
pub(crate) fn end() {}

/// The task the host asks for.
pub(crate) fn chosen(tasks: &[Task]) -> Result<&Task, TaskError> {
    let name = env::var(names::TASK).ok().or_else(|| env::args().next()).unwrap_or_default();
    find(tasks, &name)
}

#[expect(unsafe_code, reason = "the host writes into the buffer")]
pub(crate) fn payload() -> Vec<u8> {
    let mut payload = vec![0; usize::try_from(raw::payload_len()).unwrap_or(0)];
    // SAFETY: the host writes at most `len` bytes from `ptr` on, all of them inside the vector, and only during the
    // call, while nothing else can reach the vector.
    let copied = unsafe { raw::payload_read(payload.as_mut_ptr(), payload.len(), 0) };
    payload.truncate(usize::try_from(copied).unwrap_or(0));
    payload
}

#[expect(unsafe_code, reason = "the host reads the bytes")]
pub(crate) fn reply(bytes: &[u8]) {
    // SAFETY: the host reads `len` bytes from `ptr` on, which are the slice, and only during the call.
    unsafe { raw::reply_write(bytes.as_ptr(), bytes.len()) }
}

#[expect(unsafe_code, reason = "the host reads the bytes")]
pub(crate) fn error(bytes: &[u8]) {
    // SAFETY: as in `reply`.
    unsafe { raw::error_write(bytes.as_ptr(), bytes.len()) }
}

#[expect(unsafe_code, reason = "the host reads the bytes")]
pub(crate) fn log(level: LogLevel, line: &[u8]) {
    // SAFETY: as in `reply`.
    unsafe { raw::log(level as i32, line.as_ptr(), line.len()) }
}

pub(crate) fn verdict(verdict: Verdict, delay: Option<Duration>) {
    // Rounded up: who asks for 1.5 ms is not to be back after 1.
    let millis = |delay: Duration| i64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    raw::verdict(verdict as i32, delay.map_or(-1, millis));
}

pub(crate) fn progress(fraction: f64) {
    raw::progress(fraction);
}

pub(crate) fn deadline_left() -> Option<Duration> {
    u64::try_from(raw::deadline_left_us()).ok().map(Duration::from_micros)
}

#[expect(unsafe_code, reason = "the host reads the bytes")]
pub(crate) fn enqueue(spec: &[u8], payload: &[u8]) -> Result<(), Refusal> {
    // SAFETY: as in `reply`, for both slices.
    Refusal::answer_of(unsafe { raw::enqueue(spec.as_ptr(), spec.len(), payload.as_ptr(), payload.len()) })
}
