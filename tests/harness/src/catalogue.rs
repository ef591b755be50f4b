//! The guests of `tests/guests`: each does one thing, and says in its first line what must become of it.
//!
//! ```text
//! ;; OUTCOME key=value key="a text" …
//! ```
//! * what it is given: `timeout_ms`, `memory` (bytes), `fuel`, `payload`, `grants` (a queue it may enqueue into; only a worker
//!   can grant that). All else is the same for all: [`OUTPUT`], [`ERROR`], [`LOG`].
//! * what must be found: `says` (part of the error's message), `kind` (of the error; the outcome where it is not given),
//!   `error_bytes`, `reply`, `reply_bytes`, `retry_after_ms`, `log` (part of it), `progress`, `jobs` (how many it enqueued).
//!
//! A guest without an expectation, and one whose expectation is misspelt or can never be looked at, is a fault of the whole
//! folder: nothing would hold it to anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Bytes of a reply that every guest may write.
pub const OUTPUT: usize = 1 << 10;

/// Bytes of an error's text that are kept of every guest.
pub const ERROR: usize = 1 << 10;

/// Bytes of log that are kept of every guest.
pub const LOG: usize = 4 << 10;

/// The time limit of a guest that names none, in milliseconds: none of them needs it.
const TIMEOUT_MS: u64 = 30_000;

/// What a first line may have, by what its value is.
const TEXTS: [&str; 6] = ["payload", "grants", "says", "kind", "reply", "log"];
const WHOLE_NUMBERS: [&str; 7] =
    ["timeout_ms", "memory", "fuel", "error_bytes", "reply_bytes", "retry_after_ms", "jobs"];
const FRACTIONS: [&str; 1] = ["progress"];

/// One guest and what is expected of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name of its file, without `.wat`.
    pub name: String,
    /// The module.
    pub wasm: Vec<u8>,
    /// What must become of an attempt, by the name that history has for it.
    pub outcome: String,
    values: BTreeMap<String, String>,
}

/// The guests that mean harm, by name.
///
/// # Panics
/// If the folder is empty, or one of its files is not a guest with an expectation; the message names them all.
pub fn hostile() -> Vec<Case> {
    read(&guests("hostile")).unwrap_or_else(|faults| panic!("tests/guests/hostile: {faults}"))
}

/// The guests that do not, by name.
///
/// # Panics
/// As for [`hostile`].
pub fn plain() -> Vec<Case> {
    read(&guests("plain")).unwrap_or_else(|faults| panic!("tests/guests/plain: {faults}"))
}

/// The worker's configuration in which these guests have the walls of the catalogue, and what they are granted. A guest that
/// asks to wait is dead at once.
pub fn config(cases: &[Case]) -> String {
    let mut config = format!("[limits]\nwaits = 0\noutput = \"{OUTPUT}B\"\nerror = \"{ERROR}B\"\nlog = \"{LOG}B\"\n");
    for case in cases {
        if let Some(queue) = case.text("grants") {
            // Writing to a string cannot fail.
            let _ = writeln!(config, "[tasks.{}]\nenqueue = [\"{queue}\"]", case.name);
        }
    }
    config
}

impl Case {
    /// A value of its first line.
    pub fn text(&self, key: &str) -> Option<&str> {
        assert!(is_key(key), "no guest can have a `{key}`");
        self.values.get(key).map(String::as_str)
    }

    /// A whole number of its first line.
    pub fn number(&self, key: &str) -> Option<u64> {
        assert!(WHOLE_NUMBERS.contains(&key), "`{key}` is not a whole number");
        self.text(key).map(|text| text.parse().expect("a number was parsed when the line was read"))
    }

    /// Its time limit in milliseconds.
    pub fn timeout_ms(&self) -> u64 {
        self.number("timeout_ms").unwrap_or(TIMEOUT_MS)
    }

    /// The kind that the record of its error has.
    pub fn error_kind(&self) -> &str {
        self.text("kind").unwrap_or(&self.outcome)
    }

    /// What of a value of its first line is not so, where the line has it.
    ///
    /// # Errors
    /// A sentence with both.
    pub fn same(&self, key: &str, found: &dyn ToString) -> Result<(), String> {
        match self.text(key) {
            Some(wanted) if wanted != found.to_string() => {
                Err(format!("{key} is {:?}, not {wanted:?}", found.to_string()))
            }
            _ => Ok(()),
        }
    }
}

fn guests(folder: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests").join(folder)
}

fn read(folder: &Path) -> Result<Vec<Case>, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder's entry can be read").path()).collect();
    paths.sort();
    if paths.is_empty() {
        return Err("there is no guest in it".to_owned());
    }
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for path in &paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).map_err(|error| error.to_string());
        match text.and_then(|text| parse(&name, &text)) {
            Ok(case) => cases.push(case),
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    if faults.is_empty() { Ok(cases) } else { Err(faults.join("\n")) }
}

fn parse(name: &str, text: &str) -> Result<Case, String> {
    let line = text.lines().next().and_then(|line| line.strip_prefix(";; "));
    let line = line.ok_or("its first line does not say what must become of it: `;; OUTCOME key=value …`")?;
    let (outcome, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut values = BTreeMap::new();
    while !rest.trim_start().is_empty() {
        let (key, after) = rest.trim_start().split_once('=').ok_or_else(|| format!("`{rest}` is not key=value"))?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a closing quote is missing")?,
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        check(outcome, key, value)?;
        if values.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("its first line has `{key}` twice"));
        }
        rest = after;
    }
    let wasm = wat::parse_str(text).map_err(|error| error.to_string())?;
    Ok(Case { name: name.to_owned(), wasm, outcome: outcome.to_owned(), values })
}

fn is_key(key: &str) -> bool {
    [&TEXTS[..], &WHOLE_NUMBERS, &FRACTIONS].iter().any(|keys| keys.contains(&key))
}

/// What is wrong with one value of a first line.
fn check(outcome: &str, key: &str, value: &str) -> Result<(), String> {
    if !is_key(key) {
        return Err(format!("its first line has `{key}`, which nobody looks at"));
    }
    let is_number = !WHOLE_NUMBERS.contains(&key) || value.parse::<u64>().is_ok();
    let is_fraction = !FRACTIONS.contains(&key) || value.parse::<f64>().is_ok();
    if !is_number || !is_fraction {
        return Err(format!("`{key}={value}` is not a number"));
    }
    let looked_at = match key {
        "says" | "kind" | "error_bytes" => !["succeeded", "snoozed"].contains(&outcome),
        "reply" | "reply_bytes" => outcome == "succeeded",
        "retry_after_ms" => ["failed", "snoozed"].contains(&outcome),
        _ => true,
    };
    if looked_at {
        Ok(())
    } else {
        Err(format!("its first line has `{key}`, which nobody looks at where it {outcome}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_has_an_expectation() {
        assert!(hostile().len() > 100 && plain().len() > 10);
    }

    #[test]
    fn a_first_line_is_an_outcome_and_values() {
        let case = parse("a", ";; timed_out timeout_ms=50 says=\"limit of 50 ms\"\n(module)").unwrap();
        assert_eq!((case.outcome.as_str(), case.timeout_ms(), case.text("kind")), ("timed_out", 50, None));
        assert_eq!((case.text("says"), case.error_kind()), (Some("limit of 50 ms"), "timed_out"));
        assert_eq!(case.same("says", &"x").unwrap_err(), "says is \"x\", not \"limit of 50 ms\"");
    }

    #[test]
    fn a_folder_with_nothing_or_with_a_guest_that_expects_nothing_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap_err(), "there is no guest in it");
        fs::write(folder.path().join("good.wat"), ";; succeeded\n(module)").unwrap();
        assert_eq!(read(folder.path()).unwrap().len(), 1);
        for (text, fault) in [
            ("(module)", "does not say what must become of it"),
            (";; succeeded sais=x\n(module)", "`sais`, which nobody looks at"),
            (";; succeeded reply\n(module)", "not key=value"),
            (";; failed memory=2MiB\n(module)", "`memory=2MiB` is not a number"),
            (";; failed progress=half\n(module)", "`progress=half` is not a number"),
            (";; succeeded says=x\n(module)", "`says`, which nobody looks at where it succeeded"),
            (";; trapped reply_bytes=0\n(module)", "`reply_bytes`, which nobody looks at"),
            (";; failed says=x says=y\n(module)", "`says` twice"),
            (";; succeeded\n(modul)", "modul"),
        ] {
            fs::write(folder.path().join("bad.wat"), text).unwrap();
            let faults = read(folder.path()).unwrap_err();
            assert!(faults.starts_with("bad: ") && faults.contains(fault), "{faults}");
        }
    }
}
