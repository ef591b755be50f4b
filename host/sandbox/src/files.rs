//! Files, where a task was granted some: folders to read, and a scratch folder to write. Paths are resolved by
//! wasmtime-wasi and by nobody else; here are the walls around it. Without a grant nothing of this is reached.
//!
//! Every call is bounded in time and memory: it moves at most a bounded chunk, opens nothing that could park the guest,
//! lists no folder of a size nobody meant, and never waits for a disk to flush what will be gone with the attempt.

use std::path::PathBuf;

use afresh_protocol::grants::SCRATCH;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::error::SandboxError;

/// A folder that a guest may read, and everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where the guest finds it: a plain absolute path.
    pub guest: String,
    /// Where it is.
    pub host: PathBuf,
}

/// A folder that a guest may write.
///
/// It must be empty and this attempt's alone. Who made it removes it once the attempt is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scratch {
    /// Where it is.
    pub host: PathBuf,
    /// Bytes that its files may grow by together, however often they are emptied again. A hole counts as what it seems
    /// to be, and each entry that is made counts [`ENTRY_BYTES`] more.
    pub bytes: u64,
}

/// What an entry of a scratch folder counts besides its bytes.
pub const ENTRY_BYTES: u64 = 4 << 10;

/// Entries that may be made in a scratch folder: what can be removed again in a moment.
pub const MAX_ENTRIES: u32 = 1 << 16;

/// How many of them may be folders: to remove one takes some filesystems three milliseconds.
pub const MAX_FOLDERS: u32 = 1 << 10;

/// Descriptors that may be open at the same time, beside the three every guest has.
pub const MAX_OPEN: u32 = 64;

/// The most bytes the host holds meanwhile for an attempt that has files: a listing of such a folder, with long names.
pub const HOST_BYTES: u64 = 8 << 20;

/// Bytes of a path.
pub(crate) const MAX_PATH: u32 = 4096;

/// Bytes that one call moves at most; a guest that wants more calls again.
pub(crate) const CHUNK: u32 = 256 << 10;

/// Bytes a folder itself may have and still be listed: room for some five thousand names. A listing is made as a whole, on
/// the host.
pub const MAX_FOLDER_BYTES: u64 = 256 << 10;

/// What is known of the files of one attempt.
pub(crate) struct Files {
    /// What may still be written, where there is a scratch folder.
    quota: Option<Quota>,
    /// Descriptors that are open, beside 0, 1 and 2.
    pub(crate) open: u32,
}

impl Files {
    /// Opens what was granted.
    pub(crate) fn open(
        builder: &mut WasiCtxBuilder,
        folders: &[Folder],
        scratch: Option<&Scratch>,
    ) -> Result<Self, SandboxError> {
        // The thread is the guest's own: it may as well wait itself, and then no other thread works for a guest.
        builder.allow_blocking_current_thread(true);
        let read = folders.iter().map(|folder| (&folder.host, folder.guest.as_str(), FsPerms::ReadOnly));
        let write = scratch.map(|scratch| (&scratch.host, SCRATCH, FsPerms::ReadWrite));
        for (host, guest, permissions) in read.chain(write) {
            let opened = builder.preopened_dir(host, guest, permissions);
            opened.map_err(|error| SandboxError::Folder {
                folder: host.clone(),
                reason: error.root_cause().to_string(),
            })?;
        }
        let open = folders.len() + usize::from(scratch.is_some());
        let quota = scratch.map(|scratch| Quota::new(scratch.bytes));
        Ok(Self { quota, open: open as u32 })
    }

    /// Whether one more file may be made. Without a scratch folder wasmtime-wasi has the answer.
    pub(crate) fn has_room_for_file(&self) -> bool {
        self.quota.as_ref().is_none_or(|quota| quota.entries > 0 && quota.bytes >= ENTRY_BYTES)
    }

    /// Whether one more folder may be made.
    pub(crate) fn has_room_for_folder(&self) -> bool {
        self.has_room_for_file() && self.quota.as_ref().is_none_or(|quota| quota.folders > 0)
    }

    /// A file was made, for which there was room.
    pub(crate) fn made_file(&mut self) {
        if let Some(quota) = &mut self.quota {
            quota.entries = quota.entries.saturating_sub(1);
            quota.bytes = quota.bytes.saturating_sub(ENTRY_BYTES);
        }
    }

    /// A folder was made, for which there was room.
    pub(crate) fn made_folder(&mut self) {
        self.made_file();
        if let Some(quota) = &mut self.quota {
            quota.folders = quota.folders.saturating_sub(1);
        }
    }

    /// A file is about to grow by so much; false where that is too much.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let Some(quota) = &mut self.quota else { return false };
        let left = quota.bytes.checked_sub(bytes);
        quota.bytes = left.unwrap_or(quota.bytes);
        left.is_some()
    }
}

/// What is left of a scratch folder. It only ever shrinks: what is removed is not given back, so that no order of calls
/// can find more room than there was.
struct Quota {
    bytes: u64,
    entries: u32,
    folders: u32,
}

impl Quota {
    fn new(bytes: u64) -> Self {
        Self { bytes, entries: MAX_ENTRIES, folders: MAX_FOLDERS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_run_out_however_many_bytes_there_are() {
        let mut files = Files { quota: Some(Quota::new(u64::MAX)), open: 0 };
        for _ in 0..MAX_FOLDERS {
            assert!(files.has_room_for_folder());
            files.made_folder();
        }
        assert!(!files.has_room_for_folder());
        for _ in MAX_FOLDERS..MAX_ENTRIES {
            assert!(files.has_room_for_file());
            files.made_file();
        }
        assert!(!files.has_room_for_file());
        assert!(files.grow(1 << 40) && !files.grow(u64::MAX));
    }
}
