//! Which module serves a task. Its name is whatever a module says, so that alone gives nobody what an operator granted to
//! that name.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::{Change, Entry, Shelf, policies_of};
use crate::config::{Config, TaskCeilings};

/// Who serves a task.
pub(super) enum Holder {
    /// A module that can be run.
    Ready(Arc<Entry>),
    /// A module that is being compiled, since then.
    Compiling(Instant),
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
/// Of several files that hold a task the first by name serves it, also while it is being compiled; but where the operator
/// named a file (`module`) that one and no other; and where something is granted and no file is named, none does.
pub(super) fn index(files: &BTreeMap<PathBuf, Shelf>, config: &Config) -> (HashMap<String, Holder>, Vec<Change>) {
    let mut claims = BTreeMap::<String, Vec<Claim<'_>>>::new();
    for (file, shelf) in files {
        for (task, holder) in held_by(file, shelf) {
            claims.entry(task).or_default().push(Claim { file, holder });
        }
    }
    let (mut holders, mut clashes) = (HashMap::new(), Vec::new());
    for (task, claims) in claims {
        let section = config.tasks.get(&task);
        let (may, others): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|claim| section.is_none_or(|section| section.is_for(claim.file)));
        let names = |claims: &[Claim<'_>]| claims.iter().map(|claim| claim.file.to_owned()).collect::<Vec<_>>();
        let (may_names, other_names) = (names(&may), names(&others));
        let is_contested = may.len() > 1 && section.is_some_and(TaskCeilings::grants);
        let holder = match may.into_iter().next() {
            Some(first) if !is_contested => {
                let hidden = may_names[1..].iter().chain(&other_names).cloned();
                let clash = |hidden| Change::Clash { task: task.clone(), serves: first.file.to_owned(), hidden };
                clashes.extend(hidden.map(clash));
                first.holder
            }
            Some(_) => {
                clashes.push(Change::Contested { task: task.clone(), files: may_names });
                Holder::Nobody(format!(
                    "several modules hold the task `{task}`, to which something is granted; say which one may serve it, by \
                     `module` under [tasks.{task}], or remove the others"
                ))
            }
            None => {
                clashes.push(Change::Foreign { task: task.clone(), files: other_names });
                let named = section.and_then(|section| section.module.as_deref()).unwrap_or_default();
                Holder::Nobody(format!(
                    "[tasks.{task}] says that {named} alone serves this task, and it does not hold it; deploy that module, \
                     or correct `module`"
                ))
            }
        };
        holders.insert(task, holder);
    }
    (holders, clashes)
}

/// The tasks of one file: those of the module that can be run, and those that will be there once it is compiled.
fn held_by(file: &Path, shelf: &Shelf) -> BTreeMap<String, Holder> {
    let mut held = BTreeMap::new();
    if let Some((info, since)) = &shelf.compiling {
        held.extend(policies_of(info, file).into_iter().map(|policy| (policy.task, Holder::Compiling(*since))));
    }
    if let Some(module) = &shelf.module {
        held.extend(policies_of(module.info(), file).into_iter().map(|policy| {
            let entry = Entry { module: module.clone(), policy: policy.clone(), file: file.to_owned() };
            (policy.task, Holder::Ready(Arc::new(entry)))
        }));
    }
    held
}
