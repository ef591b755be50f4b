//! What a task asks for. `#[task]` writes one such line per task into the module's [`crate::abi::TASKS_SECTION`]; the
//! operator's configuration can only tighten it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::grants;

/// What a task asks for; everything absent is the host's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskPolicy {
    /// The task's name.
    pub task: String,
    /// How many attempts a job may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Milliseconds one attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Bytes of linear memory one attempt may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Fuel one attempt may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Milliseconds of the shortest wait before a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_backoff_ms: Option<u64>,
    /// Milliseconds of the longest wait before a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backoff_ms: Option<u64>,
    /// Environment variables it wants to be granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Secrets it wants to be granted: environment variables as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Folders it wants to read, by the paths it knows them by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<String>,
    /// Bytes it wants to write into a scratch folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<u64>,
    /// Queues it wants to enqueue into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enqueue: Vec<String>,
}

/// The most bytes a tasks section may have: a section is read before anything else is known of the module.
pub const MAX_SECTION_BYTES: usize = 64 * 1024;

/// The most bytes a task's name may have.
pub const MAX_NAME_BYTES: usize = 128;

impl TaskPolicy {
    /// The time one attempt may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    /// The tasks that a section's bytes declare, in their order.
    ///
    /// # Errors
    /// A sentence that says what is wrong: too long, not UTF-8, a line that is not such an object, a name that is not
    /// one, a task declared twice, a grant that cannot be.
    pub fn parse_section(bytes: &[u8]) -> Result<Vec<Self>, String> {
        if bytes.len() > MAX_SECTION_BYTES {
            return Err(format!("its tasks section has {} bytes, the limit is {MAX_SECTION_BYTES}", bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "its tasks section is not UTF-8".to_owned())?;
        let mut tasks: Vec<Self> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let task: Self =
                serde_json::from_str(line).map_err(|e| format!("its tasks section cannot be read: {e}"))?;
            task.check()?;
            if tasks.iter().any(|other| other.task == task.task) {
                return Err(format!("it declares the task `{}` twice", task.task));
            }
            tasks.push(task);
        }
        Ok(tasks)
    }

    /// Checks the names in it. What it asks to be granted is only asked for: the operator's configuration grants.
    ///
    /// # Errors
    /// A sentence about the first that cannot be.
    pub fn check(&self) -> Result<(), String> {
        check_name(&self.task)?;
        grants::check_variables(&words(&self.env), &words(&self.secrets))?;
        grants::check_folders(&words(&self.folders))?;
        grants::check_queues(&words(&self.enqueue))?;
        self.scratch.map_or(Ok(()), grants::check_scratch)
    }

    /// The line that stands for this task in a section, with its line end.
    pub fn to_line(&self) -> String {
        // A struct of strings and integers always serialises.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

fn words(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Checks that a name can be a task's or a queue's: 1 to 128 of `a–z A–Z 0–9 _ - .`, not starting with a dot.
///
/// # Errors
/// A sentence that says what a name is.
pub fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.starts_with('.') || !name.chars().all(fine) {
        let shown: String = name.chars().take(40).collect();
        return Err(format!(
            "`{}` is not a name: use 1 to {MAX_NAME_BYTES} letters, digits, `_`, `-` or `.`, not starting with a dot",
            shown.escape_debug()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_round_trips() {
        let a = TaskPolicy { task: "a".into(), max_attempts: Some(5), timeout_ms: Some(30_000), ..Default::default() };
        let b = TaskPolicy { task: "b".into(), memory: Some(64 << 20), ..Default::default() };
        let c = TaskPolicy {
            task: "c".into(),
            env: vec!["LANG".into()],
            secrets: vec!["API_KEY".into()],
            folders: vec!["/models".into()],
            scratch: Some(1 << 20),
            enqueue: vec!["mail".into()],
            ..Default::default()
        };
        let section = a.to_line() + &b.to_line() + &c.to_line();
        assert_eq!(TaskPolicy::parse_section(section.as_bytes()), Ok(vec![a, b, c]));
    }

    #[test]
    fn a_bad_section_is_refused_with_a_reason() {
        let twice = "{\"task\":\"a\"}\n{\"task\":\"a\"}\n";
        for (bytes, reason) in [
            (twice.as_bytes(), "twice"),
            (b"{\"task\":\"a\",\"speed\":9}".as_slice(), "unknown field `speed`"),
            (b"{\"task\":\"../a\"}", "not a name"),
            (b"{\"task\":\"a\",\"env\":[\"A=B\"]}", "does not name a variable"),
            (b"{\"task\":\"a\",\"env\":[\"A\"],\"secrets\":[\"A\"]}", "a variable and a secret"),
            (b"{\"task\":\"a\",\"folders\":[\"/a/../b\"]}", "no folder for a guest"),
            (b"{\"task\":\"a\",\"scratch\":0}", "from 4 KiB"),
            (b"{\"task\":\"a\",\"enqueue\":[\"a b\"]}", "not a name"),
            (b"\xff", "UTF-8"),
            (&[b' '; MAX_SECTION_BYTES + 1], "limit"),
        ] {
            let error = TaskPolicy::parse_section(bytes).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
    }
}
