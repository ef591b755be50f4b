//! The task modules of one folder: checked, compiled once, found by task, and taken up again when a file changes.
//! Attempts under way hold the module they started with; a bad new file keeps the old module and says so.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use afresh_protocol::TaskPolicy;
use afresh_sandbox::TaskModule;
use afresh_sandbox::check::MAX_MODULE_BYTES;

use crate::compiler::Compiler;
use crate::config::Config;
use crate::grants::listing::Comparison;

mod watch;

pub use watch::{report, watch};

/// A task and the module that holds it.
pub struct Entry {
    /// The module.
    pub module: TaskModule,
    /// What the task asks for.
    pub policy: TaskPolicy,
    /// The file it came from.
    pub file: PathBuf,
}

/// What a task's name leads to.
pub enum Found {
    /// A module that can be run.
    Ready(Arc<Entry>),
    /// Nothing that can be run, and the sentence that says why.
    Missing(String),
}

impl Found {
    /// What the task asks for; of a task that is missing nobody knows, so it asks for nothing.
    pub fn policy(&self) -> TaskPolicy {
        match self {
            Self::Ready(entry) => entry.policy.clone(),
            Self::Missing(_) => TaskPolicy::default(),
        }
    }
}

/// The task modules of one folder.
pub struct Registry {
    folder: PathBuf,
    compiler: Compiler,
    config: Config,
    shelves: RwLock<Shelves>,
    scanning: Mutex<()>,
}

#[derive(Default)]
struct Shelves {
    files: BTreeMap<PathBuf, Shelf>,
    tasks: HashMap<String, Arc<Entry>>,
}

/// One file of the folder.
#[derive(Clone)]
struct Shelf {
    /// What told it apart when it was read: the same again is not read again.
    stamp: Stamp,
    /// The newest module of it that could be loaded.
    module: Option<TaskModule>,
    /// What is wrong with the file as it is now.
    fault: Option<String>,
}

/// What tells one state of a file from another. Not its time of modification: copies, archives and image builds carry
/// that over, and then a new module of the same length would never be noticed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    length: u64,
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino(), changed: (meta.ctime(), meta.ctime_nsec()), length: meta.len() }
    }
}

/// What a scan of the folder found new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A module was loaded, for the first time or again.
    Loaded {
        /// The file.
        file: PathBuf,
        /// Its digest.
        digest: String,
        /// Its tasks, with what they ask for and are granted.
        tasks: Vec<Comparison>,
    },
    /// A file cannot be loaded; the module it held before, if any, stays.
    Refused {
        /// The file.
        file: PathBuf,
        /// Why, in a sentence.
        why: String,
        /// Whether an older module of this file goes on serving.
        keeps_old: bool,
    },
    /// A file is gone, and its tasks with it.
    Removed {
        /// The file.
        file: PathBuf,
    },
    /// Two files hold a task of the same name; the first by file name serves it.
    Clash {
        /// The task.
        task: String,
        /// The file that serves it.
        serves: PathBuf,
        /// The file whose task of that name is not reached.
        hidden: PathBuf,
    },
}

impl Registry {
    /// A registry over `folder`, empty until [`Registry::scan`].
    pub fn new(folder: impl Into<PathBuf>, compiler: Compiler, config: Config) -> Self {
        Self { folder: folder.into(), compiler, config, shelves: RwLock::default(), scanning: Mutex::default() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The operator's configuration, which terms are made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The module that holds a task.
    pub fn find(&self, task: &str) -> Found {
        let shelves = self.read();
        if let Some(entry) = shelves.tasks.get(task) {
            return Found::Ready(entry.clone());
        }
        let stem = |file: &Path| file.file_stem().is_some_and(|stem| stem == task);
        let broken = shelves.files.iter().find(|(file, shelf)| stem(file) && shelf.fault.is_some());
        Found::Missing(match broken {
            Some((file, shelf)) => format!("{}: {}", file.display(), shelf.fault.as_deref().unwrap_or_default()),
            None => format!(
                "there is no task `{task}` in {}; put its module there (`afresh build --out {}`), or correct the name",
                self.folder.display(),
                self.folder.display()
            ),
        })
    }

    /// Every task's name, sorted.
    pub fn tasks(&self) -> Vec<String> {
        let mut names: Vec<_> = self.read().tasks.keys().cloned().collect();
        names.sort();
        names
    }

    /// Looks at the folder, loads what is new or changed, forgets what is gone.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn scan(&self) -> std::io::Result<Vec<Change>> {
        // One at a time: else a scan that began before a change could put its older modules over the newer ones.
        let _scanning = self.scanning.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut changes = Vec::new();
        let before = self.read().files.clone();
        let mut files = BTreeMap::new();
        for (file, stamp) in modules_in(&self.folder)? {
            let known = before.get(&file);
            let shelf = match known {
                Some(shelf) if shelf.stamp == stamp => shelf.clone(),
                _ => self.load(&file, stamp, known, &mut changes),
            };
            files.insert(file, shelf);
        }
        let gone = before.keys().filter(|file| !files.contains_key(*file));
        changes.extend(gone.map(|file| Change::Removed { file: file.clone() }));
        let restamped = files.iter().any(|(file, shelf)| before.get(file).is_none_or(|old| old.stamp != shelf.stamp));
        if restamped || !changes.is_empty() {
            let tasks = index(&files, &mut changes);
            *self.shelves.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Shelves { files, tasks };
        }
        Ok(changes)
    }

    fn load(&self, file: &Path, stamp: Stamp, known: Option<&Shelf>, changes: &mut Vec<Change>) -> Shelf {
        let old = known.and_then(|shelf| shelf.module.clone());
        let loaded = read_bounded(file)
            .map_err(|error| format!("failed to read it: {error}"))
            .and_then(|wasm| self.compiler.load(&wasm).map_err(|error| format!("{error:#}")));
        match loaded {
            Ok(module) => {
                let info = module.info();
                let same = old.as_ref().is_some_and(|old| old.info().digest == info.digest);
                if !same || known.is_some_and(|shelf| shelf.fault.is_some()) {
                    let granted = |task: &TaskPolicy| Comparison::of(task, self.config.tasks.get(&task.task));
                    let tasks = policies_of(&module, file).iter().map(granted).collect();
                    changes.push(Change::Loaded { file: file.to_owned(), digest: info.digest.clone(), tasks });
                }
                Shelf { stamp, module: Some(module), fault: None }
            }
            Err(why) => {
                let keeps_old = old.is_some();
                changes.push(Change::Refused { file: file.to_owned(), why: why.clone(), keeps_old });
                Shelf { stamp, module: old, fault: Some(why) }
            }
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Shelves> {
        // Replaced as a whole, so a panic elsewhere cannot leave it half-written.
        self.shelves.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The `.wasm` files of a folder by name, with what tells them apart.
fn modules_in(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut files = BTreeMap::new();
    for item in std::fs::read_dir(folder)? {
        let path = item?.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // A file that vanished since, or a link to nowhere, is simply not there.
        if let Ok(meta) = std::fs::metadata(&path)
            && meta.is_file()
        {
            files.insert(path, Stamp::from(&meta));
        }
    }
    Ok(files)
}

/// The bytes of a file; of one that is too large no more than it takes to know.
pub fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    std::fs::File::open(file)?.take(MAX_MODULE_BYTES as u64 + 1).read_to_end(&mut wasm)?;
    Ok(wasm)
}

/// The tasks of a module: what it declares, or the file's stem.
fn policies_of(module: &TaskModule, file: &Path) -> Vec<TaskPolicy> {
    let info = module.info();
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match info.tasks.is_empty() {
        true => vec![TaskPolicy { task: stem, ..TaskPolicy::default() }],
        false => info.tasks.clone(),
    }
}

fn index(files: &BTreeMap<PathBuf, Shelf>, changes: &mut Vec<Change>) -> HashMap<String, Arc<Entry>> {
    let mut tasks: HashMap<String, Arc<Entry>> = HashMap::new();
    for (file, module) in files.iter().filter_map(|(file, shelf)| Some((file, shelf.module.as_ref()?))) {
        for policy in policies_of(module, file) {
            if let Some(first) = tasks.get(&policy.task) {
                let (task, serves) = (policy.task, first.file.clone());
                changes.push(Change::Clash { task, serves, hidden: file.clone() });
                continue;
            }
            let entry = Entry { module: module.clone(), policy: policy.clone(), file: file.clone() };
            tasks.insert(policy.task, Arc::new(entry));
        }
    }
    tasks
}
