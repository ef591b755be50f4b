//! What a task asks for and what it is granted, side by side, for people: names, never a value.

use afresh_protocol::TaskPolicy;
use bytesize::ByteSize;
use serde::Serialize;

use crate::config::TaskCeilings;

/// Names of what is asked for, or of what is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Environment variables.
    pub env: Vec<String>,
    /// Environment variables whose values are secret.
    pub secrets: Vec<String>,
    /// Folders, by the guest's paths.
    pub folders: Vec<String>,
    /// Bytes of a scratch folder.
    pub scratch: Option<u64>,
    /// Queues.
    pub enqueue: Vec<String>,
}

impl From<&TaskPolicy> for Listing {
    /// What a task asks for.
    fn from(task: &TaskPolicy) -> Self {
        Self {
            env: task.env.clone(),
            secrets: task.secrets.clone(),
            folders: task.folders.clone(),
            scratch: task.scratch,
            enqueue: task.enqueue.clone(),
        }
    }
}

impl From<&TaskCeilings> for Listing {
    /// What a task is granted.
    fn from(task: &TaskCeilings) -> Self {
        Self {
            env: task.env.keys().cloned().collect(),
            secrets: task.secrets.keys().cloned().collect(),
            folders: task.folders.keys().cloned().collect(),
            scratch: task.scratch.map(|size| size.as_u64()),
            enqueue: task.enqueue.clone(),
        }
    }
}

/// One thing that a task asks for, is granted, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its kind, in the words of the configuration.
    pub kind: &'static str,
    /// Its name; of a scratch folder, its size.
    pub name: String,
    /// Whether the task asks for it.
    pub asked: bool,
    /// Whether it is granted.
    pub granted: bool,
}

/// What a task asks for and what it is granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The task.
    pub task: String,
    /// Each thing once.
    pub items: Vec<Item>,
}

impl Comparison {
    /// Puts what a task asks for beside what its section of the configuration grants.
    pub fn of(task: &TaskPolicy, section: Option<&TaskCeilings>) -> Self {
        let asked = Listing::from(task);
        let granted = section.map(Listing::from).unwrap_or_default();
        let mut items = Vec::new();
        for (kind, asked, granted) in [
            ("env", &asked.env, &granted.env),
            ("secrets", &asked.secrets, &granted.secrets),
            ("folders", &asked.folders, &granted.folders),
            ("enqueue", &asked.enqueue, &granted.enqueue),
        ] {
            let more = granted.iter().filter(|name| !asked.contains(name));
            items.extend(asked.iter().chain(more).map(|name| Item {
                kind,
                name: name.clone(),
                asked: asked.contains(name),
                granted: granted.contains(name),
            }));
        }
        items.extend(scratch(asked.scratch, granted.scratch));
        Self { task: task.task.clone(), items }
    }

    /// Says in the log what is granted, and warns of what is asked for and is not.
    pub fn report(&self) {
        let list = |is_it: fn(&Item) -> bool| {
            let items = self.items.iter().filter(|item| is_it(item));
            items.map(|item| format!("{} {}", item.kind, item.name)).collect::<Vec<_>>().join(", ")
        };
        let (granted, missing) = (list(|item| item.granted), list(|item| item.asked && !item.granted));
        if !granted.is_empty() {
            tracing::info!(task = self.task, granted, "the task is granted what its section of the configuration says");
        }
        if !missing.is_empty() {
            tracing::warn!(
                task = self.task,
                missing,
                "the task asks for what it is not granted; grant it under [tasks.{}], or see that the task can do without",
                self.task
            );
        }
    }
}

/// Sizes are compared, not names: less than was asked for is not what was asked for.
fn scratch(asked: Option<u64>, granted: Option<u64>) -> Vec<Item> {
    let item = |bytes, asked, granted| Item { kind: "scratch", name: ByteSize(bytes).to_string(), asked, granted };
    match (asked, granted) {
        (None, None) => vec![],
        (Some(asked), None) => vec![item(asked, true, false)],
        (None, Some(granted)) => vec![item(granted, false, true)],
        (Some(asked), Some(granted)) if granted < asked => {
            vec![item(asked, true, false), item(granted, false, true)]
        }
        (Some(_), Some(granted)) => vec![item(granted, true, true)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_listed_once_with_who_wants_and_who_has_it() {
        let policy = TaskPolicy {
            task: "a".into(),
            env: vec!["LANG".into()],
            secrets: vec!["KEY".into(), "TOKEN".into()],
            scratch: Some(2 << 20),
            ..TaskPolicy::default()
        };
        let config = crate::config::Config::parse(
            "[tasks.a]\nenv = { TZ = \"UTC\" }\nsecrets = { KEY = \"env:K\" }\nscratch = \"1 MiB\"\nenqueue = [\"mail\"]",
        )
        .unwrap();
        let lines: Vec<_> = Comparison::of(&policy, config.tasks.get("a"))
            .items
            .into_iter()
            .map(|item| format!("{} {} {} {}", item.kind, item.name, item.asked, item.granted))
            .collect();
        assert_eq!(
            lines,
            [
                "env LANG true false",
                "env TZ false true",
                "secrets KEY true true",
                "secrets TOKEN true false",
                "enqueue mail false true",
                "scratch 2.0 MiB true false",
                "scratch 1.0 MiB false true",
            ]
        );
        assert!(Comparison::of(&TaskPolicy::default(), None).items.is_empty());
    }
}
