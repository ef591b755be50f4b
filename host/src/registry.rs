//! The task modules of one folder: checked, compiled once, found by task, and taken up again when a file changes.
//! Attempts under way hold the module they started with; a bad new file, or one that is still being compiled, keeps the
//! old module.
//!
//! * `claims`: which module serves a task
//! * `change`: what becomes of files, as people hear of it
//! * `lanes`: the threads that have modules compiled, so that a slow one holds up nobody
//! * `watch`: looks again when something in the folder changed

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use afresh_protocol::TaskPolicy;
use afresh_sandbox::check::MAX_MODULE_BYTES;
use afresh_sandbox::{ModuleError, ModuleInfo, TaskModule};

use crate::compiler::{Compiler, Known};
use crate::config::Config;

mod change;
mod claims;
mod lanes;
mod watch;

pub use change::Change;
use claims::{Holder, index};
use lanes::{Lanes, Order};
pub use watch::watch;

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
    /// A module that is being compiled, for so long already, and what the task asks for.
    Compiling(Duration, Box<TaskPolicy>),
    /// Nothing that can be run, and the sentence that says why.
    Missing(String),
}

impl Found {
    /// What the task asks for, which is called `task`; of one that is not there nobody knows, so it asks for nothing.
    pub fn policy(&self, task: &str) -> TaskPolicy {
        match self {
            Self::Ready(entry) => entry.policy.clone(),
            Self::Compiling(_, policy) => policy.as_ref().clone(),
            Self::Missing(_) => TaskPolicy { task: task.to_owned(), ..TaskPolicy::default() },
        }
    }
}

/// The task modules of one folder.
pub struct Registry {
    folder: PathBuf,
    compiler: Compiler,
    config: Config,
    shelves: RwLock<Shelves>,
    /// Held by whoever is about to change the shelves.
    changing: Mutex<()>,
    changed: Condvar,
    lanes: Lanes,
}

#[derive(Default)]
struct Shelves {
    files: BTreeMap<PathBuf, Shelf>,
    tasks: HashMap<String, Holder>,
    clashes: Vec<Change>,
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
    /// The file as it is now, while it is being compiled, and since when.
    compiling: Option<(ModuleInfo, Instant)>,
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

impl Registry {
    /// A registry over `folder`, empty until [`Registry::scan`].
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(folder: impl Into<PathBuf>, compiler: Compiler, config: Config) -> std::io::Result<Arc<Self>> {
        let (lanes, entrances) = Lanes::new();
        let (shelves, changing, changed) = Default::default();
        let registry = Arc::new(Self { folder: folder.into(), compiler, config, shelves, changing, changed, lanes });
        entrances.open(&registry)?;
        Ok(registry)
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
        match shelves.tasks.get(task) {
            Some(Holder::Ready(entry)) => return Found::Ready(entry.clone()),
            Some(Holder::Compiling(since, policy)) => return Found::Compiling(since.elapsed(), policy.clone()),
            Some(Holder::Nobody(why)) => return Found::Missing(why.clone()),
            None => {}
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
        let shelves = self.read();
        let ready = shelves.tasks.iter().filter(|(_, holder)| matches!(holder, Holder::Ready(_)));
        let mut names: Vec<_> = ready.map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Whether every module of the folder that was last looked at can be run or is refused; waits so long for those that
    /// are still being compiled.
    pub fn settled(&self, within: Duration) -> bool {
        let busy = |_: &mut ()| self.read().files.values().any(|shelf| shelf.compiling.is_some());
        let waited = self.changed.wait_timeout_while(self.change(), within, busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Looks at the folder, takes up what is new or changed, forgets what is gone, and says so in the log. What has to be
    /// compiled first comes later.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn scan(&self) -> std::io::Result<()> {
        // One at a time: else a scan that began before a change could put its older modules over the newer ones.
        let changing = self.change();
        let before = self.read().files.clone();
        let (mut files, mut changes, mut orders) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (file, stamp) in modules_in(&self.folder)? {
            let known = before.get(&file);
            let shelf = match known {
                Some(shelf) if shelf.stamp == stamp => shelf.clone(),
                _ => self.take_up(&file, stamp, known, &mut changes),
            };
            if let Some((info, _)) = &shelf.compiling
                && known.is_none_or(|known| known.stamp != stamp)
            {
                orders.push(Order { file: file.clone(), stamp, info: info.clone() });
            }
            files.insert(file, shelf);
        }
        let gone = before.keys().filter(|file| !files.contains_key(*file));
        changes.extend(gone.map(|file| Change::Removed { file: file.clone() }));
        if !changes.is_empty()
            || files.iter().any(|(file, shelf)| before.get(file).is_none_or(|old| old.stamp != shelf.stamp))
        {
            self.replace(&changing, files, changes);
        }
        drop(changing);
        orders.into_iter().for_each(|order| self.lanes.take(order));
        Ok(())
    }

    /// What can be said of a new file at once.
    fn take_up(&self, file: &Path, stamp: Stamp, known: Option<&Shelf>, changes: &mut Vec<Change>) -> Shelf {
        let shelf = Shelf { stamp, module: known.and_then(|shelf| shelf.module.clone()), fault: None, compiling: None };
        // These are a stranger's bytes, and the thread is one that nobody else can do without.
        let look = || read_module(file).and_then(|wasm| self.compiler.look(&wasm));
        match catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| Err(lanes::PANICKED.to_owned())) {
            // The same as before under a new stamp, and no longer kept anywhere.
            Ok(Known::New(info)) if shelf.module.as_ref().is_some_and(|module| module.info().digest == info.digest) => {
                shelf
            }
            Ok(Known::New(info)) => Shelf { compiling: Some((info, Instant::now())), ..shelf },
            Ok(Known::Ready(module)) => {
                shelf.with(file, Ok(module), known.is_some_and(|old| old.fault.is_some()), changes)
            }
            Err(why) => shelf.with(file, Err(why), false, changes),
        }
    }

    /// Whether a file is still the one that was to be compiled.
    fn awaits(&self, order: &Order) -> bool {
        self.read().files.get(&order.file).is_some_and(|shelf| shelf.stamp == order.stamp && shelf.compiling.is_some())
    }

    /// Takes up what was compiled, unless the file has changed meanwhile.
    fn put(&self, order: &Order, made: Result<TaskModule, String>) {
        let changing = self.change();
        if self.awaits(order) {
            let (mut files, mut changes) = (self.read().files.clone(), Vec::new());
            if let Some(shelf) = files.remove(&order.file) {
                files.insert(order.file.clone(), shelf.with(&order.file, made, true, &mut changes));
            }
            self.replace(&changing, files, changes);
        }
    }

    fn replace(&self, _changing: &MutexGuard<'_, ()>, files: BTreeMap<PathBuf, Shelf>, changes: Vec<Change>) {
        let (tasks, clashes) = index(&files, &self.config, &self.read().tasks);
        let known = self.read().clashes.clone();
        let new = clashes.iter().filter(|clash| !known.contains(clash)).cloned();
        let news: Vec<_> = changes.into_iter().chain(new).collect();
        *self.shelves.write().unwrap_or_else(PoisonError::into_inner) = Shelves { files, tasks, clashes };
        self.changed.notify_all();
        // Not before it is so.
        news.iter().for_each(|change| change.report(&self.config));
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Shelves> {
        // Replaced as a whole, so a panic elsewhere cannot leave it half-written.
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// The same with what became of its file. That a module is the one it was before is only news after something else.
    fn with(self, file: &Path, made: Result<TaskModule, String>, is_news: bool, changes: &mut Vec<Change>) -> Self {
        let old = self.module;
        match made {
            Ok(module) => {
                let digest = &module.info().digest;
                if is_news || old.is_none_or(|old| old.info().digest != *digest) {
                    let tasks = module.info().tasks_in(file);
                    changes.push(Change::Loaded { file: file.to_owned(), digest: digest.clone(), tasks });
                }
                Self { module: Some(module), fault: None, compiling: None, ..self }
            }
            Err(why) => {
                changes.push(Change::Refused { file: file.to_owned(), why: why.clone(), keeps_old: old.is_some() });
                Self { module: old, fault: Some(why), compiling: None, ..self }
            }
        }
    }
}

/// The modules of a folder by name, with what tells them apart. Compiled ones are among them, to be refused aloud.
fn modules_in(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, Stamp>> {
    let mut files = BTreeMap::new();
    for item in std::fs::read_dir(folder)? {
        let path = item?.path();
        if path.extension().is_none_or(|extension| extension != "wasm" && extension != "cwasm") {
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

/// The bytes of a module's file, or the sentence that says why it is not even read.
fn read_module(file: &Path) -> Result<Vec<u8>, String> {
    if file.extension().is_some_and(|extension| extension == "cwasm") {
        return Err(ModuleError::Native.to_string());
    }
    read_bounded(file).map_err(|error| format!("failed to read it: {error}"))
}

/// The bytes of a file that may be a module. Of one that is too large it reads nothing, and says so.
///
/// # Errors
/// When it cannot be read, or is too large.
pub fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let (file, most) = (std::fs::File::open(file)?, MAX_MODULE_BYTES as u64);
    let length = file.metadata()?.len();
    if length > most {
        let error = ModuleError::TooLarge(format!("{length} bytes, the limit is {most}"));
        return Err(std::io::Error::other(error));
    }
    let mut wasm = Vec::new();
    // It may grow meanwhile.
    file.take(most + 1).read_to_end(&mut wasm)?;
    Ok(wasm)
}
