//! Files and folders that are this user's alone: what is in them may be run as native code.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

/// Creates the folder with access for this user only, or checks that it is so; `setting` names another one.
///
/// # Errors
/// When it cannot be made, or is not this user's alone.
pub fn folder(folder: &Path, setting: &str) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Not made private now: whatever others put there before would be run as native code.
    match not_private(folder)? {
        Some(why) => anyhow::bail!("{why}; remove it, or name another folder with {setting}"),
        None => Ok(()),
    }
}

/// Why a folder is not this user's alone; `None` where it is.
///
/// # Errors
/// When it is not there, or cannot be looked at.
pub fn not_private(folder: &Path) -> io::Result<Option<&'static str>> {
    let meta = fs::symlink_metadata(folder)?;
    Ok(judge(&meta, meta.is_dir()))
}

/// Opens a file, and sees that it is an ordinary one of this user's alone. A link is not followed, and nothing that has
/// another kind can make this wait.
///
/// # Errors
/// When it cannot be opened, or is not private; the sentence says why.
pub fn open(file: &Path, options: &mut OpenOptions) -> io::Result<(File, Metadata)> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file =
        options.mode(0o600).custom_flags(flags).open(file).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => io::Error::other("it is a link"),
            _ => error,
        })?;
    // Of what was opened, not of the name, which may lead elsewhere by now.
    let meta = file.metadata()?;
    match judge(&meta, meta.is_file()) {
        Some(why) => Err(io::Error::other(why)),
        None => Ok((file, meta)),
    }
}

fn judge(meta: &Metadata, right_kind: bool) -> Option<&'static str> {
    let ours = right_kind && meta.uid() == geteuid().as_raw();
    let private = meta.permissions().mode() & 0o077 == 0;
    match (ours, private) {
        (false, _) => Some("it belongs to another user, or is a link"),
        (true, false) => Some("others may look into it or write to it"),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_made_private_or_refused() {
        let place = tempfile::tempdir().unwrap();
        let cache = place.path().join("a/cache");
        folder(&cache, "worker.cache").unwrap();
        assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
        folder(&cache, "worker.cache").unwrap();

        fs::set_permissions(&cache, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(folder(&cache, "worker.cache").unwrap_err().to_string().contains("others may look"));
        let link = place.path().join("link");
        symlink(place.path().join("a"), &link).unwrap();
        assert!(folder(&link, "worker.cache").unwrap_err().to_string().contains("is a link"));
    }

    #[test]
    fn only_an_ordinary_file_of_ones_own_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let read = |name: &str| open(&path(name), OpenOptions::new().read(true)).map(drop).map_err(|e| e.to_string());
        open(&path("file"), OpenOptions::new().write(true).create(true)).unwrap();
        assert_eq!(read("file"), Ok(()));
        symlink(path("file"), path("link")).unwrap();
        assert!(read("link").unwrap_err().contains("is a link"));
        assert!(read(".").unwrap_err().contains("is a link"));
        fs::set_permissions(path("file"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read("file").unwrap_err().contains("others may look"));
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(path("pipe")).status().unwrap();
        assert!(made.success() && read("pipe").is_err(), "a pipe without a writer neither opens nor waits");
    }
}
