//! Scratch folders: one for each attempt that was granted one, private, empty, and gone with the attempt.
//!
//! Each worker has a folder for its own, and a file beside it that is locked for as long as the worker lives. So what a
//! killed worker left behind can be told from what another one uses, without asking who is alive.

use std::ffi::{CStr, CString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, renameat, unlinkat};

use crate::compiler::private::{self, not_private};

/// How the file beside a worker's folder ends.
const LOCK: &str = "lock";

/// The place of one worker's scratch folders.
#[derive(Debug)]
pub struct ScratchFolders {
    folder: PathBuf,
    /// Locked until this process ends, however it does.
    _lock: File,
    made: AtomicU64,
}

impl ScratchFolders {
    /// A place of its own for this worker, in this folder.
    ///
    /// # Errors
    /// When it cannot be made, or is not this user's alone.
    pub fn open(place: &Path) -> anyhow::Result<Self> {
        let failed = || format!("failed to make a place for scratch folders in {}", place.display());
        private::folder(place, "worker.scratch").with_context(failed)?;
        let name = afresh_queue::JobId::fresh().to_string();
        let folder = place.join(&name);
        // Locked before it has the name that a sweep looks for.
        let new = tempfile::NamedTempFile::new_in(place).with_context(failed)?;
        new.as_file().try_lock().map_err(io::Error::from).with_context(failed)?;
        let lock = new.persist(folder.with_extension(LOCK)).with_context(failed)?;
        make_private(&folder).with_context(failed)?;
        Ok(Self { folder, _lock: lock, made: AtomicU64::new(0) })
    }

    /// A new folder, which is removed when the answer is dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(&self) -> anyhow::Result<ScratchFolder> {
        let folder = self.folder.join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        make_private(&folder).with_context(|| format!("failed to make the scratch folder {}", folder.display()))?;
        Ok(ScratchFolder(folder))
    }
}

impl Drop for ScratchFolders {
    fn drop(&mut self) {
        remove(&self.folder);
        let _ = std::fs::remove_file(self.folder.with_extension(LOCK));
    }
}

/// The scratch folder of one attempt.
#[derive(Debug)]
pub struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes what killed workers have left in this place.
pub fn sweep(place: &Path) {
    // What is not this user's alone may be anybody's, and hold anything.
    if !matches!(not_private(place), Ok(None)) {
        return;
    }
    let Ok(entries) = std::fs::read_dir(place) else { return };
    let locks = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == LOCK));
    for path in locks {
        // Whoever gets the lock has it to himself: the worker is gone, and no other sweep is at it.
        let Ok(lock) = File::open(&path) else { continue };
        if lock.try_lock().is_ok() {
            let folder = path.with_extension("");
            remove(&folder);
            let _ = std::fs::remove_file(&path);
            tracing::info!(folder = %folder.display(), "removed the scratch folders that a killed worker left behind");
        }
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)
}

/// Removes a folder and everything in it; says in the log where that fails.
fn remove(folder: &Path) {
    match remove_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::error!("failed to remove the scratch folder {}: {error}", folder.display()),
    }
}

/// Removes a folder and everything in it, following no link.
///
/// A guest can nest folders deeper than a path is long, a stack is high or a process has descriptors. So each folder that
/// is found is first moved into one beside the first, under a name no guest can have taken: two descriptors are enough for
/// any depth.
fn remove_all(folder: &Path) -> io::Result<()> {
    let bin = folder.with_extension("removing");
    match make_private(&bin) {
        // From a worker that was killed in the middle of this.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let bin_folder = open_folder(CWD, &bin)?;
    let move_into_bin = |from: &OwnedFd, name: &CStr| {
        let fresh = afresh_queue::JobId::fresh();
        renameat(from, name, &bin_folder, fresh.as_str())
    };
    let missing = std::fs::rename(folder, bin.join("0")).err();
    loop {
        let folders = remove_files(&bin_folder)?;
        if folders.is_empty() {
            break;
        }
        for name in folders {
            let inner = open_folder(&bin_folder, &name)?;
            for deeper in remove_files(&inner)? {
                move_into_bin(&inner, &deeper)?;
            }
            unlinkat(&bin_folder, &name, AtFlags::REMOVEDIR)?;
        }
    }
    std::fs::remove_dir(bin)?;
    missing.map_or(Ok(()), Err)
}

/// Removes everything but the folders in a folder; answers their names.
fn remove_files(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_folder = match entry.file_type() {
            FileType::Unknown => unlinkat(folder, name, AtFlags::empty()).is_err(),
            kind => kind == FileType::Directory,
        };
        if is_folder {
            folders.push(name.to_owned());
        } else if entry.file_type() != FileType::Unknown {
            unlinkat(folder, name, AtFlags::empty())?;
        }
    }
    Ok(folders)
}

fn open_folder(at: impl std::os::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_folder_is_private_and_empty_and_gone_when_it_is_dropped() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("stays"), "").unwrap();
        let folders = ScratchFolders::open(&place.path().join("scratch")).unwrap();
        let (one, two) = (folders.make().unwrap(), folders.make().unwrap());
        assert_ne!(one.path(), two.path());
        assert_eq!(std::fs::metadata(one.path()).unwrap().permissions().mode() & 0o777, 0o700);
        symlink(&outside, one.path().join("link")).unwrap();
        symlink("../../../outside", one.path().join("relative")).unwrap();
        std::fs::create_dir_all(one.path().join("a/b/c")).unwrap();
        std::fs::write(one.path().join("a/b/c/file"), "x").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && two.path().exists() && outside.join("stays").exists());
        drop((two, folders));
        assert_eq!(std::fs::read_dir(place.path().join("scratch")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_deeper_than_a_path_is_long_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let folders = ScratchFolders::open(&place.path().join("scratch")).unwrap();
        let folder = folders.make().unwrap();
        let mut at = open_folder(CWD, folder.path()).unwrap();
        for _ in 0..1_100 {
            rustix::fs::mkdirat(&at, "deeper", Mode::RWXU).unwrap();
            at = open_folder(&at, "deeper").unwrap();
        }
        drop(at);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists() && !path.with_extension("removing").exists());
    }

    #[test]
    fn a_removal_that_was_broken_off_is_gone_on_with() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("DEAD.removing/A/b/c")).unwrap();
        std::fs::create_dir_all(place.path().join("DEAD/b/c")).unwrap();
        remove(&place.path().join("DEAD"));
        std::fs::create_dir_all(place.path().join("LATE.removing/A/b/c")).unwrap();
        remove(&place.path().join("LATE"));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_place_that_others_may_look_into_is_refused() {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = format!("{:#}", ScratchFolders::open(place.path()).unwrap_err());
        assert!(error.contains("others may look") && error.contains("worker.scratch"), "{error}");
    }

    #[test]
    fn a_folder_is_gone_when_its_attempt_panicked() {
        let place = tempfile::tempdir().unwrap();
        let folders = ScratchFolders::open(&place.path().join("scratch")).unwrap();
        let folder = folders.make().unwrap();
        let path = folder.path().to_owned();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _scratch = folder;
            panic!("as a bug of ours would");
        }));
        assert!(panicked.is_err() && !path.exists());
    }

    #[test]
    fn a_sweep_removes_what_dead_workers_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("scratch");
        let alive = ScratchFolders::open(&place).unwrap();
        let kept = alive.make().unwrap();
        std::fs::create_dir_all(place.join("DEAD/7/a")).unwrap();
        std::fs::write(place.join("DEAD.lock"), "").unwrap();
        std::fs::create_dir(place.join("somebody-elses")).unwrap();
        sweep(&place);
        assert!(!place.join("DEAD").exists() && !place.join("DEAD.lock").exists());
        assert!(kept.path().exists() && place.join("somebody-elses").exists());
        sweep(&place.join("not there"));

        std::fs::create_dir(place.join("DEAD")).unwrap();
        std::fs::write(place.join("DEAD.lock"), "").unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).unwrap();
        sweep(&place);
        assert!(place.join("DEAD").exists(), "where others may write it is not ours to remove");
    }
}
