//! The calls on files: each tests the walls of [`crate::files`], then hands on to wasmtime-wasi, which alone resolves
//! paths and asks the system. The standard streams are the host's own, so descriptors 0, 1 and 2 never come here.

use afresh_protocol::abi::WASI_NAMESPACE;
use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;

use super::MAX_BUFFERS;
use super::errno::{
    BADF, INVAL, LOOP, MFILE, NAMETOOLONG, NOENT, NOSPC, NOTDIR, NOTSUP, OVERFLOW, PERM, SPIPE, SUCCESS,
};
use super::look::{FIRST_FILE, FOLDER, REGULAR_FILE, SYMBOLIC_LINK};
use super::page::{Call, Page, ask};
use crate::abi::{Guest, parts};
use crate::files::{Files, MAX_FOLDER_BYTES, MAX_OPEN, MAX_PATH};
use crate::state::State;

/// The flag that makes a file which is not there.
const CREATE: u32 = 1;

/// Puts these calls over those of wasmtime-wasi.
pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker
        .func_wrap(WASI_NAMESPACE, "fd_pread", fd_pread)?
        .func_wrap(WASI_NAMESPACE, "fd_pwrite", fd_pwrite)?
        .func_wrap(WASI_NAMESPACE, "fd_filestat_set_size", fd_filestat_set_size)?
        .func_wrap(WASI_NAMESPACE, "fd_readdir", fd_readdir)?
        .func_wrap(WASI_NAMESPACE, "fd_close", fd_close)?
        .func_wrap(WASI_NAMESPACE, "fd_renumber", fd_renumber)?
        .func_wrap(WASI_NAMESPACE, "fd_allocate", |_: Guest<'_>, _: u32, _: u64, _: u64| NOTSUP)?
        // No disk need be waited for: what is read was there before, and what is written will be gone.
        .func_wrap(WASI_NAMESPACE, "fd_advise", |guest: Guest<'_>, fd: u32, _: u64, _: u64, _: u32| no_wait(guest, fd))?
        .func_wrap(WASI_NAMESPACE, "fd_datasync", no_wait)?
        .func_wrap(WASI_NAMESPACE, "fd_sync", no_wait)?;
    link_looks(linker)?;
    link_paths(linker)
}

/// Of these nothing is tested. But by wasmtime-wasi's own way to make them each process would get an executor, with a
/// thread for each core, as soon as a guest asks whether its stdout is a terminal.
fn link_looks(linker: &mut Linker<State>) -> Result<()> {
    linker
        .func_wrap(WASI_NAMESPACE, "fd_fdstat_get", |mut guest: Guest<'_>, fd: i32, stat: i32| {
            let (memory, state) = parts(&mut guest);
            ask(memory, state, async |wasi, memory| p1::fd_fdstat_get(wasi, memory, fd, stat).await)
        })?
        .func_wrap(WASI_NAMESPACE, "fd_filestat_get", |mut guest: Guest<'_>, fd: i32, stat: i32| {
            let (memory, state) = parts(&mut guest);
            ask(memory, state, async |wasi, memory| p1::fd_filestat_get(wasi, memory, fd, stat).await)
        })?
        .func_wrap(WASI_NAMESPACE, "fd_filestat_set_times", |mut guest: Guest<'_>, fd, accessed, modified, flags| {
            let (memory, state) = parts(&mut guest);
            ask(memory, state, async |wasi, memory| {
                p1::fd_filestat_set_times(wasi, memory, fd, accessed, modified, flags).await
            })
        })?
        .func_wrap(WASI_NAMESPACE, "fd_seek", |mut guest: Guest<'_>, fd, offset, whence, position| {
            let (memory, state) = parts(&mut guest);
            ask(memory, state, async |wasi, memory| p1::fd_seek(wasi, memory, fd, offset, whence, position).await)
        })?;
    Ok(())
}

fn link_paths(linker: &mut Linker<State>) -> Result<()> {
    linker
        .func_wrap(WASI_NAMESPACE, "path_open", path_open)?
        .func_wrap(WASI_NAMESPACE, "path_create_directory", path_create_directory)?
        .func_wrap(WASI_NAMESPACE, "path_rename", path_rename)?
        .func_wrap(WASI_NAMESPACE, "path_filestat_set_times", path_filestat_set_times)?
        // A link could name what a path must not, and would be one more thing to follow when the folder is removed.
        .func_wrap(WASI_NAMESPACE, "path_symlink", |guest: Guest<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| {
            no_links(&guest)
        })?
        .func_wrap(
            WASI_NAMESPACE,
            "path_link",
            |guest: Guest<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| no_links(&guest),
        )?
        .func_wrap(WASI_NAMESPACE, "path_filestat_get", |guest: Guest<'_>, dir, follow, path, len: u32, stat| {
            on_path(guest, len, async |wasi, memory| {
                p1::path_filestat_get(wasi, memory, dir, follow, path, len.cast_signed(), stat).await
            })
        })?
        .func_wrap(WASI_NAMESPACE, "path_readlink", |guest: Guest<'_>, dir, path, len: u32, buf, room, used| {
            on_path(guest, len, async |wasi, memory| {
                p1::path_readlink(wasi, memory, dir, path, len.cast_signed(), buf, room, used).await
            })
        })?
        .func_wrap(WASI_NAMESPACE, "path_remove_directory", |guest: Guest<'_>, dir, path, len: u32| {
            on_path(guest, len, async |wasi, memory| {
                p1::path_remove_directory(wasi, memory, dir, path, len.cast_signed()).await
            })
        })?
        .func_wrap(WASI_NAMESPACE, "path_unlink_file", |guest: Guest<'_>, dir, path, len: u32| {
            on_path(guest, len, async |wasi, memory| {
                p1::path_unlink_file(wasi, memory, dir, path, len.cast_signed()).await
            })
        })?;
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "they are WASI's")]
fn path_open(
    mut guest: Guest<'_>,
    dir: i32,
    follow: i32,
    path: u32,
    len: u32,
    flags: u32,
    rights: i64,
    inherited: i64,
    fd_flags: i32,
    opened: i32,
) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    match &state.files {
        None => return Ok(BADF),
        Some(files) if files.open >= MAX_OPEN => return Ok(MFILE),
        Some(_) if len > MAX_PATH => return Ok(NAMETOOLONG),
        Some(_) => {}
    }
    // To open a pipe waits for somebody at its other end, so this looks before. Nobody changes what is there meanwhile:
    // no guest can make a pipe or a link, and its thread is here.
    let name = state.range("path_open", memory, path, len)?;
    let found = state.stat_at(dir, follow, &memory[name])?;
    let makes = match found {
        Ok(FOLDER | REGULAR_FILE) => false,
        Ok(SYMBOLIC_LINK) => return Ok(LOOP),
        Ok(_) => return Ok(PERM),
        Err(NOENT) => flags & CREATE != 0,
        Err(errno) => return Ok(errno),
    };
    if makes && !state.has_room(Files::has_room_for_file) {
        return Ok(NOSPC);
    }
    let (path, len, flags) = (path.cast_signed(), len.cast_signed(), flags.cast_signed());
    let errno = ask(memory, state, async |wasi, memory| {
        p1::path_open(wasi, memory, dir, follow, path, len, flags, rights, inherited, fd_flags, opened).await
    })?;
    if let (SUCCESS, Some(files)) = (errno, &mut state.files) {
        files.open += 1;
        if makes {
            files.made_file();
        }
    }
    Ok(errno)
}

fn path_create_directory(mut guest: Guest<'_>, dir: i32, path: i32, len: u32) -> Result<u32> {
    if !guest.data().has_room(Files::has_room_for_folder) {
        return Ok(NOSPC);
    }
    let errno = on_path_of(&mut guest, len, async |wasi, memory| {
        p1::path_create_directory(wasi, memory, dir, path, len.cast_signed()).await
    })?;
    if let (SUCCESS, Some(files)) = (errno, &mut guest.data_mut().files) {
        files.made_folder();
    }
    Ok(errno)
}

fn path_rename(guest: Guest<'_>, dir: i32, path: i32, len: u32, to_dir: i32, to: i32, to_len: u32) -> Result<u32> {
    on_path(guest, len.max(to_len), async |wasi, memory| {
        let (len, to_len) = (len.cast_signed(), to_len.cast_signed());
        p1::path_rename(wasi, memory, dir, path, len, to_dir, to, to_len).await
    })
}

#[expect(clippy::too_many_arguments, reason = "they are WASI's")]
fn path_filestat_set_times(
    guest: Guest<'_>,
    dir: i32,
    follow: i32,
    path: i32,
    len: u32,
    accessed: i64,
    modified: i64,
    flags: i32,
) -> Result<u32> {
    on_path(guest, len, async |wasi, memory| {
        let len = len.cast_signed();
        p1::path_filestat_set_times(wasi, memory, dir, follow, path, len, accessed, modified, flags).await
    })
}

/// A call on a path, or on two, the longer of which has so many bytes.
fn on_path(mut guest: Guest<'_>, len: u32, call: impl Call) -> Result<u32> {
    on_path_of(&mut guest, len, call)
}

fn on_path_of(guest: &mut Guest<'_>, len: u32, call: impl Call) -> Result<u32> {
    let (memory, state) = parts(guest);
    match state.files {
        None => Ok(BADF),
        Some(_) if len > MAX_PATH => Ok(NAMETOOLONG),
        Some(_) => ask(memory, state, call),
    }
}

fn no_links(guest: &Guest<'_>) -> u32 {
    if guest.data().files.is_some() { PERM } else { BADF }
}

/// `fd_read` of a file: the first buffer that has room.
pub(super) fn read(
    memory: &mut [u8],
    state: &mut State,
    fd: u32,
    (buffers, count): (u32, u32),
    at: Option<i64>,
    read: u32,
) -> Result<u32> {
    if state.files.is_none() {
        return Ok(BADF);
    }
    if count > MAX_BUFFERS {
        return Ok(INVAL);
    }
    let range = state.first_buffer("fd_read", memory, buffers, count)?;
    let mut page = Page::new(range.len());
    let errno = ask(page.memory(), state, async |wasi, memory| {
        let fd = fd.cast_signed();
        match at {
            Some(at) => p1::fd_pread(wasi, memory, fd, Page::BUFFER, 1, at, Page::ANSWER).await,
            None => p1::fd_read(wasi, memory, fd, Page::BUFFER, 1, Page::ANSWER).await,
        }
    })?;
    if errno == SUCCESS {
        let count = page.count().min(range.len());
        memory[range][..count].copy_from_slice(&page.bytes()[..count]);
        state.write_u32("fd_read", memory, read, count as u32)?;
    }
    Ok(errno)
}

/// `fd_write` to a file: the first buffer that holds something.
pub(super) fn write(
    memory: &mut [u8],
    state: &mut State,
    fd: u32,
    (buffers, count): (u32, u32),
    at: Option<i64>,
    written: u32,
) -> Result<u32> {
    if count > MAX_BUFFERS {
        return Ok(INVAL);
    }
    let range = state.first_buffer("fd_write", memory, buffers, count)?;
    let fd = fd.cast_signed();
    let file = match state.writable(fd)? {
        Ok(file) => file,
        Err(errno) => return Ok(errno),
    };
    let end = file.start(at).saturating_add(range.len() as u64);
    if !range.is_empty() && !state.grow(end.saturating_sub(file.size)) {
        return Ok(NOSPC);
    }
    let mut page = Page::new(range.len());
    page.bytes().copy_from_slice(&memory[range]);
    let errno = ask(page.memory(), state, async |wasi, memory| match at {
        Some(at) => p1::fd_pwrite(wasi, memory, fd, Page::BUFFER, 1, at, Page::ANSWER).await,
        None => p1::fd_write(wasi, memory, fd, Page::BUFFER, 1, Page::ANSWER).await,
    })?;
    if errno == SUCCESS {
        state.write_u32("fd_write", memory, written, page.count() as u32)?;
    }
    Ok(errno)
}

fn fd_pread(mut guest: Guest<'_>, fd: u32, buffers: u32, count: u32, offset: i64, done: u32) -> Result<u32> {
    if fd < FIRST_FILE {
        return Ok(SPIPE);
    }
    let (memory, state) = parts(&mut guest);
    read(memory, state, fd, (buffers, count), Some(offset), done)
}

fn fd_pwrite(mut guest: Guest<'_>, fd: u32, buffers: u32, count: u32, offset: i64, done: u32) -> Result<u32> {
    if fd < FIRST_FILE {
        return Ok(SPIPE);
    }
    let (memory, state) = parts(&mut guest);
    write(memory, state, fd, (buffers, count), Some(offset), done)
}

fn fd_filestat_set_size(mut guest: Guest<'_>, fd: i32, size: i64) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    let grown = match state.writable(fd)? {
        Ok(file) => size.cast_unsigned().saturating_sub(file.size),
        Err(errno) => return Ok(errno),
    };
    if !state.grow(grown) {
        return Ok(NOSPC);
    }
    ask(memory, state, async |wasi, memory| p1::fd_filestat_set_size(wasi, memory, fd, size).await)
}

fn fd_readdir(mut guest: Guest<'_>, fd: i32, buf: i32, len: i32, cookie: i64, used: i32) -> Result<u32> {
    let (memory, state) = parts(&mut guest);
    match state.stat(fd)? {
        Ok((FOLDER, bytes)) if bytes > MAX_FOLDER_BYTES => Ok(OVERFLOW),
        Ok((FOLDER, _)) => {
            ask(memory, state, async |wasi, memory| p1::fd_readdir(wasi, memory, fd, buf, len, cookie, used).await)
        }
        Ok(_) => Ok(NOTDIR),
        Err(errno) => Ok(errno),
    }
}

/// Closing a standard stream does nothing: its number must not become a file's.
fn fd_close(mut guest: Guest<'_>, fd: u32) -> Result<u32> {
    if fd < FIRST_FILE {
        return Ok(SUCCESS);
    }
    let (memory, state) = parts(&mut guest);
    if state.files.is_none() {
        return Ok(BADF);
    }
    let errno = ask(memory, state, async |wasi, memory| p1::fd_close(wasi, memory, fd.cast_signed()).await)?;
    state.closed_if(errno == SUCCESS);
    Ok(errno)
}

fn fd_renumber(mut guest: Guest<'_>, from: u32, to: u32) -> Result<u32> {
    if from < FIRST_FILE || to < FIRST_FILE {
        return Ok(NOTSUP);
    }
    let (memory, state) = parts(&mut guest);
    if state.files.is_none() {
        return Ok(BADF);
    }
    let (old, new) = (from.cast_signed(), to.cast_signed());
    let errno = ask(memory, state, async |wasi, memory| p1::fd_renumber(wasi, memory, old, new).await)?;
    state.closed_if(errno == SUCCESS && from != to);
    Ok(errno)
}

/// Succeeds for a file, and does nothing.
fn no_wait(mut guest: Guest<'_>, fd: u32) -> Result<u32> {
    let state = parts(&mut guest).1;
    if state.files.is_none() || fd < FIRST_FILE {
        return Ok(BADF);
    }
    Ok(state.position(fd.cast_signed())?.err().unwrap_or(SUCCESS))
}

impl State {
    fn has_room(&self, room: fn(&Files) -> bool) -> bool {
        self.files.as_ref().is_none_or(room)
    }

    fn grow(&mut self, bytes: u64) -> bool {
        self.files.as_mut().is_some_and(|files| files.grow(bytes))
    }

    fn closed_if(&mut self, closed: bool) {
        if let Some(files) = &mut self.files {
            files.open -= u32::from(closed && files.open > 0);
        }
    }
}
