//! The numbers that are committed, and how they compare with those that were found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/guard/numbers.toml");

const HEAD: &str =
    "# The instructions a job costs, and the versions they were counted with: written by `scripts/guard --write`.\n\n";

/// By how much a number may differ, in percent. Repeated counts differ by up to 1.2 (seeds of hash tables, what the server
/// does by the clock); the rest is for processors that other code is made for.
const MARGIN: f64 = 5.0;

/// Instructions, and what they were counted with.
#[derive(Deserialize, Serialize)]
pub(crate) struct Numbers {
    pub(crate) versions: BTreeMap<String, String>,
    /// A job, by case.
    pub(crate) instructions: BTreeMap<String, u64>,
}

impl Numbers {
    /// None yet, with the versions of what is on this machine.
    pub(crate) fn of_this_machine() -> anyhow::Result<Self> {
        let programs = ["rustc", "valgrind", "redis-server"];
        let mut versions = programs
            .iter()
            .map(|program| Ok(((*program).to_owned(), version(program)?)))
            .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        let engine = afresh_sandbox::ENGINE.split_once(' ').context("the engine has no version")?;
        versions.insert(engine.0.to_owned(), engine.1.to_owned());
        Ok(Self { versions, instructions: BTreeMap::new() })
    }

    pub(crate) fn committed() -> anyhow::Result<Self> {
        let text = fs::read_to_string(FILE).with_context(|| format!("failed to read {FILE}"))?;
        toml::from_str(&text).with_context(|| format!("failed to understand {FILE}"))
    }

    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = toml::to_string(self).context("failed to write the numbers as TOML")?;
        fs::write(FILE, format!("{HEAD}{text}")).with_context(|| format!("failed to write {FILE}"))
    }

    /// A table for people, and what is not as it was.
    pub(crate) fn compare(&self, found: &Self) -> (String, Vec<String>) {
        let mut table = format!("{:<10} {:>12} {:>12} {:>8}\n", "a job of", "instructions", "committed", "");
        let mut faults = Vec::new();
        let other = self.other_versions(found);
        for (case, &now) in &found.instructions {
            let Some(&before) = self.instructions.get(case) else {
                let _ = writeln!(table, "{case:<10} {now:>12} {:>12} {:>8}", "none", "");
                faults.push(format!("`{case}` has no number yet: commit what `scripts/guard --write` writes"));
                continue;
            };
            let percent = (now as f64 / before as f64 - 1.0) * 100.0;
            let _ = writeln!(table, "{case:<10} {now:>12} {before:>12} {percent:>+7.1}%");
            if percent > MARGIN {
                faults.push(format!(
                    "a job of `{case}` costs {percent:.1} % more instructions than it did{other}: look for what has \
                     become slower; where that is meant, commit what `scripts/guard --write` writes, and say why"
                ));
            } else if percent < -MARGIN {
                faults.push(format!(
                    "a job of `{case}` costs {:.1} % fewer instructions than it did{other}: keep that, and commit what \
                     `scripts/guard --write` writes",
                    -percent
                ));
            }
        }
        (table, faults)
    }

    /// What the numbers were counted with, where that is something else here: it may be the reason.
    fn other_versions(&self, found: &Self) -> String {
        let changed = |(name, before): (&String, &String)| {
            let now = found.versions.get(name).filter(|now| *now != before)?;
            Some(format!("{name} {before}, here it is {now}"))
        };
        let changed: Vec<_> = self.versions.iter().filter_map(changed).collect();
        if changed.is_empty() { String::new() } else { format!(" (with {})", changed.join("; ")) }
    }
}

/// The first word that looks like a version in what a program says of itself: `v=7.0.15`, `valgrind-3.19.0`, `1.95.0`.
fn version(program: &str) -> anyhow::Result<String> {
    let output = Command::new(program).arg("--version").output().with_context(|| format!("failed to run {program}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{program} does not tell its version: {said}");
    let words = said.split_whitespace().map(|word| word.trim_start_matches(|c: char| !c.is_ascii_digit()));
    let version = words.into_iter().find(|word| word.contains('.'));
    version.map(str::to_owned).with_context(|| format!("{program} tells no version: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(redis: &str, sqlite: u64) -> Numbers {
        Numbers {
            versions: [("redis-server".to_owned(), redis.to_owned())].into(),
            instructions: [("sqlite".to_owned(), sqlite)].into(),
        }
    }

    #[test]
    fn what_costs_more_than_the_margin_is_a_fault_and_so_is_what_costs_less() {
        let committed = numbers("7.0.15", 1_000);
        for (now, says) in [(1_049, ""), (1_051, "5.1 % more"), (951, ""), (949, "5.1 % fewer")] {
            let (table, faults) = committed.compare(&numbers("7.0.15", now));
            assert!(table.contains(&now.to_string()), "{table}");
            assert_eq!(faults.len(), usize::from(!says.is_empty()), "{now}: {faults:?}");
            assert!(faults.iter().all(|fault| fault.contains(says) && !fault.contains("7.0.15")), "{faults:?}");
        }
    }

    #[test]
    fn a_fault_names_the_versions_that_are_others() {
        let (_, faults) = numbers("7.0.15", 1_000).compare(&numbers("8.0.0", 2_000));
        assert!(faults[0].contains("redis-server 7.0.15, here it is 8.0.0"), "{faults:?}");
    }
}
