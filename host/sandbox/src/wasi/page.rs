//! How a call is handed on to wasmtime-wasi.

use wasmtime::Result;
use wasmtime_wasi::p1::WasiP1Ctx;
// Made by wasmtime-wasi's macro from WASI's definition, as are the functions that are called: its own linker uses them.
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, run_in_dummy_executor};

use super::array;
use crate::state::State;

/// Bytes that wasmtime-wasi may copy in one of these calls: a chunk, paths, lists.
const FUEL: usize = 1 << 20;

/// A call of wasmtime-wasi's.
pub(super) trait Call: AsyncFnOnce(&mut WasiP1Ctx, &mut GuestMemory<'_>) -> Result<i32> {}
impl<F: AsyncFnOnce(&mut WasiP1Ctx, &mut GuestMemory<'_>) -> Result<i32>> Call for F {}

/// Makes a call of wasmtime-wasi's with this memory, the guest's or a [`Page`]; answers the errno.
pub(super) fn ask(memory: &mut [u8], state: &mut State, call: impl Call) -> Result<u32> {
    let wasi = state.wasi.context();
    wasi.set_hostcall_fuel(FUEL);
    let mut memory = GuestMemory::Unshared(memory);
    // They may block this thread, so they are done at once: there is no need of an executor, and its threads.
    run_in_dummy_executor(call(wasi, &mut memory))?.map(i32::cast_unsigned)
}

/// A little memory of the host's, for calls whose answer is for the host: room for the answer, then one buffer (pointer
/// and length), then its bytes.
pub(super) struct Page {
    room: Vec<u8>,
    /// Where in the room it begins: wasmtime-wasi wants numbers aligned.
    begin: usize,
}

impl Page {
    pub(super) const ANSWER: i32 = 0;
    pub(super) const BUFFER: i32 = 64;
    pub(super) const BYTES: i32 = 72;

    pub(super) fn new(bytes: usize) -> Self {
        let room = vec![0; 8 + Self::BYTES as usize + bytes];
        let begin = room.as_ptr().align_offset(8).min(8);
        let mut page = Self { room, begin };
        let buffer = Self::BUFFER as usize;
        page.memory()[buffer..buffer + 4].copy_from_slice(&Self::BYTES.to_le_bytes());
        page.memory()[buffer + 4..buffer + 8].copy_from_slice(&(bytes as u32).to_le_bytes());
        page
    }

    pub(super) fn memory(&mut self) -> &mut [u8] {
        let end = self.room.len() - 8 + self.begin;
        &mut self.room[self.begin..end]
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory()[Self::BYTES as usize..]
    }

    /// The number that was answered.
    pub(super) fn count(&mut self) -> usize {
        u32::from_le_bytes(array(self.memory(), 0)) as usize
    }
}
