//! Which module serves a task. Its name is whatever a module says, so that alone gives nobody what an operator granted to
//! that name.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use afresh_protocol::TaskPolicy;

use super::{Change, Entry, Shelf};
use crate::config::Config;

/// Who serves a task.
pub(super) enum Holder {
    /// A module that can be run.
    Ready(Arc<Entry>),
    /// A module that is being compiled, since then, and what the task asks for.
    Compiling(Instant, Box<TaskPolicy>),
    /// Nobody, and the sentence that says why.
    Nobody(String),
}

/// A file that holds a task.
struct Claim<'a> {
    file: &'a Path,
    holder: Holder,
}

/// Who serves each task of these files, and what people should hear of it.
///
/// Of several files that hold a task the first by name serves it, also while it is being compiled, unless another one of
/// them served it `before`. But where the operator named a file or granted anything, it is that file and no other.
pub(super) fn index(
    files: &BTreeMap<PathBuf, Shelf>,
    config: &Config,
    before: &HashMap<String, Holder>,
) -> (HashMap<String, Holder>, Vec<Change>) {
    let mut claims = BTreeMap::<String, Vec<Claim<'_>>>::new();
    for (file, shelf) in files {
        for (task, holder) in held_by(file, shelf) {
            claims.entry(task).or_default().push(Claim { file, holder });
        }
    }
    let (mut holders, mut clashes) = (HashMap::new(), Vec::new());
    for (task, claims) in claims {
        let section = config.tasks.get(&task);
        let (mut may, others): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|claim| section.is_none_or(|section| section.is_for(&task, claim.file)));
        // Else a stranger's module that takes for ever to compile would take the task from one that runs.
        if let (Some(Holder::Compiling(..)), Some(Holder::Ready(served))) =
            (may.first().map(|first| &first.holder), before.get(&task))
            && let Some(at) = may.iter().position(|claim| claim.file == served.file && claim.is_ready())
        {
            may.swap(0, at);
        }
        if !others.is_empty() {
            let files = others.iter().map(|claim| claim.file.to_owned()).collect();
            clashes.push(Change::Foreign { task: task.clone(), files });
        }
        let mut may = may.into_iter();
        let holder = match may.next() {
            Some(first) => {
                let clash = |hidden: Claim<'_>| Change::Clash {
                    task: task.clone(),
                    serves: first.file.to_owned(),
                    hidden: hidden.file.to_owned(),
                };
                clashes.extend(may.map(clash));
                first.holder
            }
            None => {
                let file = section.and_then(|section| section.file_of(&task)).unwrap_or_default();
                Holder::Nobody(format!(
                    "only {file} may serve the task `{task}`, and it does not hold it; deploy that module, or say which \
                     one may by `module` under [tasks.{task}]"
                ))
            }
        };
        holders.insert(task, holder);
    }
    (holders, clashes)
}

impl Claim<'_> {
    fn is_ready(&self) -> bool {
        matches!(self.holder, Holder::Ready(_))
    }
}

/// The tasks of one file: those of the module that can be run, and those that will be there once it is compiled.
fn held_by(file: &Path, shelf: &Shelf) -> BTreeMap<String, Holder> {
    let mut held = BTreeMap::new();
    if let Some((info, since)) = &shelf.compiling {
        held.extend(
            info.tasks_in(file)
                .into_iter()
                .map(|policy| (policy.task.clone(), Holder::Compiling(*since, Box::new(policy)))),
        );
    }
    if let Some(module) = &shelf.module {
        held.extend(module.info().tasks_in(file).into_iter().map(|policy| {
            let entry = Entry { module: module.clone(), policy: policy.clone(), file: file.to_owned() };
            (policy.task, Holder::Ready(Arc::new(entry)))
        }));
    }
    held
}
