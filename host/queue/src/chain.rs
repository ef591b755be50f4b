//! Chains: what is to follow when a job has succeeded. Each that follows gets the reply of the one before as its payload,
//! and is accepted in the same step that settles that one; until then it does not exist. How brokers store what is to
//! follow is here too: a line of JSON for each, so that the rest of a chain is the rest of a text.

use std::collections::HashSet;

use afresh_protocol::policy::check_name;
use serde::{Deserialize, Serialize};

use crate::job::{JobId, JobOptions};
use crate::unique::check_key;

/// The most jobs that may follow one.
pub const MAX_LINKS: usize = 100;

/// A job that is to follow another: what a job is, without payload and time. It goes to the same queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its id.
    pub id: JobId,
    /// The task to run.
    pub task: String,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it asks for.
    #[serde(flatten)]
    pub options: JobOptions,
}

impl Link {
    /// A job for `task` that is to follow.
    pub fn new(id: JobId, task: impl Into<String>) -> Self {
        Self { id, task: task.into(), key: None, options: JobOptions::default() }
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.task).map_err(|reason| format!("its task: {reason}"))?;
        if let Some(key) = &self.key {
            check_key(key).map_err(|reason| format!("its key: {reason}"))?;
        }
        self.options.check()
    }
}

/// Checks what is to follow the job `first`.
///
/// # Errors
/// A fragment that says what is wrong and what is allowed.
pub(crate) fn check(first: &JobId, then: &[Link]) -> Result<(), String> {
    if then.len() > MAX_LINKS {
        return Err(format!("{} jobs are to follow it, at most {MAX_LINKS} may", then.len()));
    }
    let mut seen = HashSet::from([first]);
    for link in then {
        if !seen.insert(&link.id) {
            return Err(format!("the job {} comes after itself: give each job of a chain an id of its own", link.id));
        }
        link.check().map_err(|reason| format!("the job {} that is to follow: {reason}", link.id))?;
    }
    Ok(())
}

/// What brokers store: a line for each.
pub(crate) fn encode(then: &[Link]) -> String {
    // Strings and numbers only: this always serialises, and JSON has no line end inside.
    let lines: Vec<_> = then.iter().map(|link| serde_json::to_string(link).unwrap_or_default()).collect();
    lines.join("\n")
}

/// Reads what [`encode`] wrote; a line that cannot be read is left out.
pub(crate) fn decode(lines: &str) -> Vec<Link> {
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The first that is to follow, if it can be read, and the lines of the others; `None` where nothing is to follow.
pub(crate) fn split(lines: &str) -> Option<(Option<Link>, &str)> {
    let (first, rest) = lines.split_once('\n').unwrap_or((lines, ""));
    (!first.is_empty()).then(|| (serde_json::from_str(first).ok(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(id: &str) -> Link {
        let options = JobOptions { priority: -7, memory: Some(1 << 40), ..JobOptions::default() };
        Link { key: Some("a\"b\\é".into()), options, ..Link::new(id.parse().unwrap(), "t") }
    }

    #[test]
    fn what_is_stored_is_read_back_one_by_one() {
        let chain = [link("a"), Link::new("b".parse().unwrap(), "u"), link("c")];
        let lines = encode(&chain);
        assert_eq!(decode(&lines), chain);
        let (first, rest) = split(&lines).unwrap();
        assert_eq!((first, decode(rest)), (Some(chain[0].clone()), chain[1..].to_vec()));
        assert_eq!(split(""), None);
        assert_eq!(split("{}\nx"), Some((None, "x")), "what another program wrote is known to be something");
    }

    #[test]
    fn a_chain_that_cannot_be_is_refused_with_a_sentence() {
        let first = "first".parse().unwrap();
        let many: Vec<_> = (0..=MAX_LINKS).map(|n| link(&format!("l{n}"))).collect();
        for (then, reason) in [
            (vec![link("a"), link("first")], "the job first comes after itself"),
            (vec![link("a"), link("b"), link("a")], "the job a comes after itself"),
            (many, "101 jobs are to follow it, at most 100 may"),
            (vec![Link { task: "../t".into(), ..link("a") }], "the job a that is to follow: its task: `../t` is not"),
            (vec![Link { key: Some(String::new()), ..link("a") }], "its key: `` is not a key"),
            (
                vec![Link { options: JobOptions { priority: 1001, ..JobOptions::default() }, ..link("a") }],
                "its priority is 1001",
            ),
        ] {
            let error = check(&first, &then).unwrap_err();
            assert!(error.contains(reason), "{error:?} does not say {reason:?}");
        }
        assert_eq!(check(&first, &[link("a"), link("b")]), Ok(()));
    }
}
