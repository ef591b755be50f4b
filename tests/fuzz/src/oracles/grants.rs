//! What an attempt is granted beside its payload. It changes nothing but its scratch folder, writes no more there than it
//! may, and its secret is in nothing that people read.
//!
//! ```text
//! o               what nobody is granted
//! folder/         what it may read: a, d/b, and two links that lead out: out -> ../o, up -> ..
//! scratches/*/    what it may write; a new one for each attempt
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use afresh_sandbox::files::ENTRY_BYTES;
use afresh_sandbox::{Call, ErrorRecord, Folder, LogLine, Scratch, Secret, Secrets};
use tempfile::TempDir;

use crate::counts::count;
use crate::generators::trial::Grants;

/// What it is told, and nobody else.
const SECRET: &str = "correct horse battery";

/// What it has been granted.
pub(super) struct Granted {
    grants: Grants,
    scratch: Option<(TempDir, u64)>,
}

impl Granted {
    pub(super) fn new(grants: Grants) -> Self {
        let scratch = grants.scratch.map(|bytes| {
            let folder = PLACE.with(|place| TempDir::new_in(place.at("scratches")));
            (folder.expect("a temporary folder"), bytes)
        });
        Self { grants, scratch }
    }

    /// A call with all of it but the outbox.
    pub(super) fn call(&self) -> Call {
        let folder = || Folder { guest: "/folder".to_owned(), host: PLACE.with(|place| place.at("folder")) };
        let secret = || {
            count("with a secret");
            vec![("SECRET".to_owned(), Secret::new(SECRET).expect("a secret"))]
        };
        Call {
            folders: self.grants.folder.then(folder).into_iter().collect(),
            scratch: self.scratch.as_ref().map(|(folder, bytes)| Scratch { host: folder.path().into(), bytes: *bytes }),
            secrets: Secrets::new(self.grants.secret.then(secret).unwrap_or_default()).expect("one secret"),
            ..Call::default()
        }
    }

    /// Neither in the log nor in the error is there the secret.
    pub(super) fn assert_secret_kept(&self, log: &[LogLine], error: Option<&ErrorRecord>) {
        // Whoever was told none may have made up the same words: libFuzzer finds them in this comparison.
        if !self.grants.secret {
            return;
        }
        let texts = log.iter().map(|line| &line.text).chain(error.map(|error| &error.message));
        for text in texts {
            assert!(!text.contains(SECRET), "a secret is told: {text:?}");
            if text.contains("[secret SECRET]") {
                count("secrets kept back");
            }
        }
    }

    /// Nothing has changed but the scratch folder, which holds no more than it may.
    pub(super) fn assert_files_kept(self) {
        if !self.grants.folder && self.scratch.is_none() {
            return;
        }
        count("with files");
        PLACE.with(|place| {
            assert_eq!(snapshot(&place.root), place.before, "it changed what it may not");
            let scratches = fs::read_dir(place.at("scratches")).expect("the folder is there").count();
            assert_eq!(scratches, usize::from(self.scratch.is_some()), "it made something beside its scratch folder");
        });
        let Some((folder, limit)) = self.scratch else { return };
        let mut entries = BTreeMap::new();
        look(folder.path(), &mut entries);
        let bytes: u64 = entries.values().map(|entry| entry.content.len() as u64 + ENTRY_BYTES).sum();
        assert!(bytes <= limit, "it wrote {bytes} bytes, and may write {limit}: {:?}", entries.keys());
        if !entries.is_empty() {
            count("wrote files");
        }
    }
}

thread_local! {
    /// Made once. libFuzzer ends the process by `exit`, which drops what belongs to the main thread.
    static PLACE: Place = Place::new();
}

struct Place {
    root: TempDir,
    before: BTreeMap<PathBuf, Entry>,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::with_prefix("afresh-fuzz-").expect("a temporary folder");
        let make = || {
            let at = |name: &str| root.path().join(name);
            fs::create_dir_all(at("folder/d"))?;
            fs::create_dir(at("scratches"))?;
            fs::write(at("o"), "nobody is granted this")?;
            fs::write(at("folder/a"), "a file")?;
            fs::write(at("folder/d/b"), "another")?;
            symlink("../o", at("folder/out"))?;
            symlink("..", at("folder/up"))
        };
        make().expect("files can be made in a temporary folder");
        Self { before: snapshot(&root), root }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

/// What a file, a folder or a link is, but for when it was last read.
#[derive(Debug, PartialEq)]
struct Entry {
    mode: u32,
    links: u64,
    modified: (i64, i64),
    /// Of a link, where it leads; of a folder, nothing.
    content: Vec<u8>,
}

/// All there is but the scratch folders.
fn snapshot(root: &TempDir) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    for name in ["o", "folder"] {
        entries.insert(root.path().join(name), Entry::of(&root.path().join(name)));
    }
    look(&root.path().join("folder"), &mut entries);
    let names = fs::read_dir(root.path()).expect("the folder is there").count();
    assert_eq!(names, 3, "it made something beside its folders");
    entries
}

/// All that is in a folder.
fn look(folder: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
    for entry in fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("an entry of a folder").path();
        let entry = Entry::of(&path);
        entries.insert(path.clone(), entry);
        if path.is_dir() && !path.is_symlink() {
            look(&path, entries);
        }
    }
}

impl Entry {
    fn of(path: &Path) -> Self {
        let meta = path.symlink_metadata().expect("an entry that is there");
        let content = if meta.is_symlink() {
            fs::read_link(path).expect("a link").into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            fs::read(path).expect("a file can be read")
        } else {
            Vec::new()
        };
        Self { mode: meta.mode(), links: meta.nlink(), modified: (meta.mtime(), meta.mtime_nsec()), content }
    }
}
