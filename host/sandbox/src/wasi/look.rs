//! What the calls on files want to know before they are made.

use std::ops::Range;

use wasmtime::Result;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;

use super::array;
use super::errno::{BADF, ILSEQ, PERM, SUCCESS};
use super::page::{Page, ask};
use crate::files::CHUNK;
use crate::state::{State, Stop};

/// The standard streams: below this number a descriptor is no file.
pub(super) const FIRST_FILE: u32 = 3;

/// Types of WASI's definition,
pub(super) const FOLDER: u8 = 3;
pub(super) const REGULAR_FILE: u8 = 4;
pub(super) const SYMBOLIC_LINK: u8 = 7;
/// and flags.
const APPEND: u16 = 1;
const RIGHT_TO_WRITE: u64 = 1 << 6;

/// A file that may be written through its descriptor.
pub(super) struct Writable {
    pub(super) size: u64,
    position: u64,
    appends: bool,
}

impl Writable {
    /// Where a write begins: at this offset, or where the descriptor is.
    pub(super) fn start(&self, at: Option<i64>) -> u64 {
        match at {
            _ if self.appends => self.size,
            Some(at) => at.cast_unsigned(),
            None => self.position,
        }
    }
}

/// What the calls want to know of a file. In an answer the inner error is an errno.
impl State {
    pub(super) fn writable(&mut self, fd: i32) -> Result<Result<Writable, u32>> {
        if self.files.is_none() || fd.cast_unsigned() < FIRST_FILE {
            return Ok(Err(BADF));
        }
        let mut page = Page::new(0);
        let errno =
            ask(page.memory(), self, async |wasi, memory| p1::fd_fdstat_get(wasi, memory, fd, Page::ANSWER).await)?;
        let flags = u16::from_le_bytes(array(page.memory(), 2));
        let rights = u64::from_le_bytes(array(page.memory(), 8));
        match (errno, self.stat(fd)?, self.position(fd)?) {
            (SUCCESS, Ok((REGULAR_FILE, size)), Ok(position)) if rights & RIGHT_TO_WRITE != 0 => {
                Ok(Ok(Writable { size, position, appends: flags & APPEND != 0 }))
            }
            _ => Ok(Err(BADF)),
        }
    }

    /// Type and size of what a descriptor stands for.
    pub(super) fn stat(&mut self, fd: i32) -> Result<Result<(u8, u64), u32>> {
        if self.files.is_none() {
            return Ok(Err(BADF));
        }
        let mut page = Page::new(0);
        let errno =
            ask(page.memory(), self, async |wasi, memory| p1::fd_filestat_get(wasi, memory, fd, Page::ANSWER).await)?;
        let size = u64::from_le_bytes(array(page.memory(), 32));
        Ok(if errno == SUCCESS { Ok((page.memory()[16], size)) } else { Err(errno) })
    }

    /// Type of what a path leads to.
    pub(super) fn stat_at(&mut self, dir: i32, follow: i32, path: &[u8]) -> Result<Result<u8, u32>> {
        if std::str::from_utf8(path).is_err() {
            return Ok(Err(ILSEQ));
        }
        let mut page = Page::new(path.len());
        page.bytes().copy_from_slice(path);
        let len = path.len() as i32;
        let asked = ask(page.memory(), self, async |wasi, memory| {
            p1::path_filestat_get(wasi, memory, dir, follow, Page::BYTES, len, Page::ANSWER).await
        });
        // The memory is ours, so this is no pointer of the guest's: it stumbled over a socket.
        let Ok(errno) = asked else { return Ok(Err(PERM)) };
        Ok(if errno == SUCCESS { Ok(page.memory()[16]) } else { Err(errno) })
    }

    pub(super) fn position(&mut self, fd: i32) -> Result<Result<u64, u32>> {
        let mut page = Page::new(0);
        let errno = ask(page.memory(), self, async |wasi, memory| p1::fd_tell(wasi, memory, fd, Page::ANSWER))?;
        Ok(if errno == SUCCESS { Ok(u64::from_le_bytes(array(page.memory(), 0))) } else { Err(errno) })
    }

    /// Of a list of buffers the first that is not empty, cut to what one call moves; empty where there is none.
    pub(super) fn first_buffer(
        &mut self,
        function: &str,
        memory: &[u8],
        list: u32,
        count: u32,
    ) -> Result<Range<usize>, Stop> {
        for index in 0..count {
            let (ptr, len) = self.buffer(function, memory, list, index)?;
            let range = self.range(function, memory, ptr, len)?;
            if !range.is_empty() {
                return Ok(range.start..range.end.min(range.start + CHUNK as usize));
            }
        }
        Ok(0..0)
    }
}
