//! What was compiled, and what was refused, kept in a private folder for the next start.
//!
//! What is in a file of code is run, so each file proves that this user's worker wrote it, here: it holds a code of
//! authentication over its name and content, under a key that lies beside it. The key counts together with the place of
//! its file on this machine (device, inode, time of change), so that a folder that was copied, unpacked or prepared by
//! somebody else proves nothing, and is filled anew. Workers may share the folder: files come whole, by renaming.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::Rng as _;
use sha2::Sha256;
use tempfile::NamedTempFile;

use super::bounds::{Bounds, MAX_CODE_BYTES};
use super::private;

/// The most bytes that are kept. The files that were used last stay.
const MOST_BYTES: u64 = 2 << 30;

/// The most files that are kept.
const MOST_FILES: usize = 1_000;

/// What names of unfinished files begin with.
const DRAFT: &str = "draft-";

/// An unfinished file that is older, and that no living worker holds, was left behind by one that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(60);

/// The file of the key.
const KEY: &str = "key";

/// Bytes of the key, and of a code of authentication.
const KEY_BYTES: usize = 32;

/// What a file begins with, so that it is known for compiled code wherever it turns up, and the version of this format. Its
/// code of authentication follows.
const TAG: [u8; 7] = *b"afresh\x02";

/// Bytes in front of the content.
const HEADER: usize = TAG.len() + KEY_BYTES;

/// The folder.
pub struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    /// Part of every name, so that another version of this program finds nothing of ours.
    build: String,
}

/// The content of a file that was proved.
pub struct Proved(Vec<u8>);

impl Proved {
    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.0[HEADER..]
    }
}

impl Cache {
    /// Opens the folder, or makes it, with its key. `compatibility` tells builds apart that cannot use each other's code.
    ///
    /// # Errors
    /// When folder or key are not this user's alone, or cannot be had.
    pub fn open(folder: &Path, compatibility: u64) -> anyhow::Result<Self> {
        private::folder(folder, "worker.cache")
            .with_context(|| format!("failed to make a private folder {}", folder.display()))?;
        let file = folder.join(KEY);
        let key = key(&file).with_context(|| {
            format!("failed to use the key {}; remove it, or name another folder with worker.cache", file.display())
        })?;
        let build = format!("{}-{compatibility:016x}", env!("CARGO_PKG_VERSION"));
        let cache = Self { folder: folder.to_owned(), key, build };
        cache.tidy();
        Ok(cache)
    }

    /// The code of a module, if it is there and proves that it was made here.
    pub fn code(&self, digest: &str) -> Option<Proved> {
        self.read(&self.name(digest, "code"), MAX_CODE_BYTES)
    }

    /// Why a module was refused that was given this much.
    pub fn refusal(&self, digest: &str, bounds: Bounds) -> Option<String> {
        let content = self.read(&self.name(digest, "refused"), 16 << 10)?;
        let (given, why) = std::str::from_utf8(content.bytes()).ok()?.split_once('\n')?;
        (given == format!("{bounds:?}")).then(|| why.to_owned())
    }

    /// Keeps why a module was refused that was given this much.
    pub fn refuse(&self, digest: &str, bounds: Bounds, why: &str) {
        let written = self.draft().and_then(|mut draft| {
            draft.0.write_all(format!("{bounds:?}\n{why}").as_bytes())?;
            self.finish(draft, &self.name(digest, "refused"))
        });
        if let Err(error) = written {
            tracing::warn!("failed to keep in {} why a module was refused: {error}", self.folder.display());
        }
    }

    /// A file to be filled from now on.
    ///
    /// # Errors
    /// When the folder takes none.
    pub fn draft(&self) -> io::Result<Draft> {
        let mut file = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&self.folder)?;
        // Held for as long as we, or a child that fills it, live: so that others know.
        file.as_file().lock()?;
        file.seek(SeekFrom::Start(HEADER as u64))?;
        Ok(Draft(file))
    }

    /// Proves a file and gives it its name.
    fn finish(&self, draft: Draft, name: &str) -> io::Result<Proved> {
        let mut content = Vec::new();
        let mut file = draft.0.as_file();
        file.seek(SeekFrom::Start(0))?;
        file.take(MAX_CODE_BYTES).read_to_end(&mut content)?;
        let proved = content.get(HEADER..).map(|bytes| self.mac(name, bytes).finalize().into_bytes());
        let proof = proved.ok_or_else(|| io::Error::other("it is empty"))?;
        file.write_all_at(&[TAG.as_slice(), proof.as_slice()].concat(), 0)?;
        if let Err(error) = draft.0.persist(self.folder.join(name)) {
            tracing::warn!("failed to keep {name} in {}: {error}; it works all the same", self.folder.display());
        }
        self.tidy();
        Ok(Proved(content))
    }

    fn read(&self, name: &str, most: u64) -> Option<Proved> {
        let path = self.folder.join(name);
        let refuse = |why: &dyn std::fmt::Display| {
            tracing::warn!("the kept file {} is removed, its module is compiled again: {why}", path.display());
            let _ = fs::remove_file(&path);
            None
        };
        let (file, _) = match private::open(&path, OpenOptions::new().read(true)) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return refuse(&error),
        };
        let mut content = Vec::new();
        if let Err(error) = (&file).take(most).read_to_end(&mut content) {
            return refuse(&error);
        }
        let proved = content.split_at_checked(HEADER).is_some_and(|(head, bytes)| {
            head.starts_with(&TAG) && self.mac(name, bytes).verify_slice(&head[TAG.len()..]).is_ok()
        });
        if !proved {
            return refuse(&"it is damaged, or was changed, copied or put there by somebody else");
        }
        // The files that were used last are kept longest.
        let _ = file.set_modified(SystemTime::now());
        Some(Proved(content))
    }

    fn mac(&self, name: &str, content: &[u8]) -> Hmac<Sha256> {
        keyed(&self.key).chain_update(name).chain_update([0]).chain_update(content)
    }

    fn name(&self, digest: &str, kind: &str) -> String {
        format!("{}-{}.{kind}", digest.replace(':', "-"), self.build)
    }

    /// Removes what is too much, and what killed workers left behind.
    fn tidy(&self) {
        if let Err(error) = tidy(&self.folder, MOST_BYTES, MOST_FILES) {
            tracing::warn!("failed to tidy the folder {}: {error}", self.folder.display());
        }
    }
}

/// A file that is being filled; gone when this goes, unless it was kept.
pub struct Draft(NamedTempFile);

impl Draft {
    /// What a child writes the code to.
    ///
    /// # Errors
    /// When this process may open no more files.
    pub fn output(&self) -> io::Result<File> {
        self.0.as_file().try_clone()
    }

    /// Keeps what was written as the code of a module, and answers it. That it cannot be kept is no error.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn keep_as(self, cache: &Cache, digest: &str) -> io::Result<Proved> {
        cache.finish(self, &cache.name(digest, "code"))
    }
}

/// The key in this file, made if there is none, together with where the file lies.
fn key(path: &Path) -> anyhow::Result<[u8; KEY_BYTES]> {
    let (mut file, _) = private::open(path, OpenOptions::new().read(true).write(true).create(true))?;
    // Another worker may be about to make it.
    file.lock()?;
    let mut random = Vec::new();
    (&file).take(KEY_BYTES as u64 + 1).read_to_end(&mut random)?;
    if random.is_empty() {
        random.resize(KEY_BYTES, 0);
        rand::rng().fill_bytes(&mut random);
        file.write_all(&random)?;
    }
    anyhow::ensure!(random.len() == KEY_BYTES, "it has not the length of a key");
    let meta = file.metadata()?;
    let place = format!("{} {} {} {}", meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec());
    Ok(keyed(&random).chain_update(place).finalize().into_bytes().into())
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key may have any length")
}

fn tidy(folder: &Path, most_bytes: u64, most_files: usize) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        // What another worker removed meanwhile is as it should be.
        let Ok(meta) = entry.metadata() else { continue };
        let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if name.as_encoded_bytes().starts_with(DRAFT.as_bytes()) {
            let old = changed.elapsed().is_ok_and(|age| age > LEFT_BEHIND);
            if old && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = fs::remove_file(entry.path());
            }
        } else if name.as_encoded_bytes().starts_with(b"sha256-") {
            kept.push((changed, meta.len(), entry.path()));
        }
    }
    kept.sort_by_key(|(changed, ..)| std::cmp::Reverse(*changed));
    let mut bytes = 0;
    for (number, (_, length, path)) in kept.into_iter().enumerate() {
        bytes += length;
        if number >= most_files || bytes > most_bytes {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use afresh_sandbox::check::COMPILED;

    use super::*;

    const BOUNDS: Bounds = Bounds { processor_time: LEFT_BEHIND, wall_time: LEFT_BEHIND, memory: 1 << 30 };

    fn keep(cache: &Cache, digest: &str, code: &[u8]) {
        let draft = cache.draft().unwrap();
        draft.output().unwrap().write_all(code).unwrap();
        assert_eq!(draft.keep_as(cache, digest).unwrap().bytes(), code);
    }

    fn code(cache: &Cache, digest: &str) -> Option<Vec<u8>> {
        cache.code(digest).map(|code| code.bytes().to_owned())
    }

    #[test]
    fn what_is_kept_is_found_by_its_digest_by_every_worker_of_this_build() {
        let folder = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
        let place = folder.path().join("cache");
        let (one, two) = (Cache::open(&place, 1).unwrap(), Cache::open(&place, 1).unwrap());
        keep(&one, "sha256:aa", b"code");
        keep(&two, "sha256:aa", b"code");
        assert_eq!(code(&one, "sha256:aa").as_deref(), Some(b"code".as_slice()));
        assert_eq!(code(&two, "sha256:aa").as_deref(), Some(b"code".as_slice()));
        assert_eq!(code(&one, "sha256:bb"), None);
        assert_eq!(code(&Cache::open(&place, 2).unwrap(), "sha256:aa"), None, "another build");
        assert!(TAG.starts_with(COMPILED), "a kept file is told from a module");
    }

    #[test]
    fn a_refusal_counts_for_what_the_module_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache"), 1).unwrap();
        cache.refuse("sha256:aa", BOUNDS, "too much\nof it");
        assert_eq!(cache.refusal("sha256:aa", BOUNDS).as_deref(), Some("too much\nof it"));
        assert_eq!(cache.refusal("sha256:aa", Bounds { memory: 2 << 30, ..BOUNDS }), None);
        assert_eq!(cache.refusal("sha256:bb", BOUNDS), None);
    }

    #[test]
    fn the_files_used_last_are_kept_and_unfinished_ones_of_the_dead_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cache");
        let cache = Cache::open(&place, 1).unwrap();
        for (age, digest) in [(3, "sha256:aa"), (2, "sha256:bb"), (1, "sha256:cc")] {
            keep(&cache, digest, &[7; 1_000]);
            let file = File::open(place.join(cache.name(digest, "code"))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age * 100)).unwrap();
        }
        code(&cache, "sha256:aa").unwrap();
        tidy(&place, 2_500, 10).unwrap();
        let kept =
            || ["sha256:aa", "sha256:bb", "sha256:cc"].map(|digest| place.join(cache.name(digest, "code")).exists());
        assert_eq!(kept(), [true, false, true]);
        tidy(&place, u64::MAX, 1).unwrap();
        assert_eq!(kept(), [true, false, false]);

        let held = cache.draft().unwrap();
        let left = place.join("draft-left");
        for file in [&File::create(&left).unwrap(), held.0.as_file()] {
            file.set_modified(SystemTime::now() - 2 * LEFT_BEHIND).unwrap();
        }
        tidy(&place, u64::MAX, 10).unwrap();
        assert_eq!((left.exists(), held.0.path().exists()), (false, true));
        assert!(place.join(KEY).exists());
    }
}
