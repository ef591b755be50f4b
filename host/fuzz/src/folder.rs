//! Payloads in files, each named by its hash, so that two never share a name and none is written over.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The most files that are read from one folder, and bytes of them together.
const MOST: usize = 100_000;
const MOST_BYTES: usize = 64 << 20;

/// A folder of payloads.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// What was read from a folder.
#[derive(Clone, Debug, Default)]
pub struct Payloads {
    /// The payloads, with the files they are in, by name.
    pub read: Vec<(PathBuf, Vec<u8>)>,
    /// How many files were left out: longer than a payload may be, or more than are read of one folder.
    pub skipped: usize,
}

impl Folder {
    /// A folder, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The payloads of at most `longest` bytes in it, by their names, and of all together at most 64 MiB; none where the
    /// folder is not there. Folders and hidden files in it are passed over.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn read(&self, longest: usize) -> io::Result<Payloads> {
        let mut files = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Payloads::default()),
            entries => entries?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?,
        };
        let is_hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        files.retain(|path| path.is_file() && !is_hidden(path));
        files.sort();
        let mut payloads = Payloads { read: Vec::new(), skipped: files.len().saturating_sub(MOST) };
        let mut room = MOST_BYTES;
        for path in files.into_iter().take(MOST) {
            let (mut bytes, most) = (Vec::new(), longest.min(room));
            fs::File::open(&path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
            if bytes.len() > most {
                payloads.skipped += 1;
            } else {
                room -= bytes.len();
                payloads.read.push((path, bytes));
            }
        }
        Ok(payloads)
    }

    /// Looks whether it can be written into, or be made where it is not there, and leaves nothing behind.
    ///
    /// # Errors
    /// When it cannot.
    pub fn probe(&self) -> io::Result<()> {
        // A relative path ends at the empty one, which is the folder we are in.
        let there = self.0.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        tempfile::tempfile_in(there).map(drop)
    }

    /// Writes a payload into it, unless it is there already; `kind`, if not empty, begins the file's name.
    ///
    /// # Errors
    /// When the folder cannot be made or the file not be written.
    pub fn keep(&self, kind: &str, payload: &[u8]) -> io::Result<PathBuf> {
        let hash: String = Sha256::digest(payload).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let path = self.0.join(if kind.is_empty() { hash } else { format!("{kind}-{hash}") });
        if !path.exists() {
            fs::create_dir_all(&self.0)?;
            let mut file = tempfile::Builder::new().prefix(".").tempfile_in(&self.0)?;
            file.write_all(payload)?;
            file.persist(&path)?;
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_too_long_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path().join("a/b"));
        assert!(folder.read(10).unwrap().read.is_empty());
        let short = folder.keep("trapped", b"short").unwrap();
        assert!(short.file_name().unwrap().to_string_lossy().starts_with("trapped-"));
        assert_eq!(folder.keep("trapped", b"short").unwrap(), short);
        folder.keep("", b"longer than ten").unwrap();
        fs::write(folder.path().join(".hidden"), "").unwrap();
        let payloads = folder.read(10).unwrap();
        assert_eq!((payloads.read, payloads.skipped), (vec![(short, b"short".to_vec())], 1));
    }

    #[test]
    fn whether_it_can_be_written_is_known_before_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        Folder::new(&path).probe().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        Folder::new("not/there").probe().unwrap();
        fs::write(dir.path().join("a"), "a file").unwrap();
        Folder::new(&path).probe().unwrap_err();
    }

    #[test]
    fn of_a_folder_that_is_too_large_the_first_files_that_fit_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a", MOST_BYTES - 10), ("b", 11), ("c", 10), ("d", 1)] {
            fs::File::create(dir.path().join(name)).unwrap().set_len(bytes as u64).unwrap();
        }
        let payloads = Folder::new(dir.path()).read(MOST_BYTES).unwrap();
        let read: Vec<_> = payloads.read.iter().map(|(path, _)| path.file_name().unwrap()).collect();
        assert_eq!((read, payloads.skipped), (vec!["a".as_ref(), "c".as_ref()], 2));
    }
}
