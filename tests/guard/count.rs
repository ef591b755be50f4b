//! A case, run under valgrind.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::cases::{Case, MEASURED};

/// A `redis-server` that is counted; it asks the variable where to put what it found.
const REDIS_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/guard/counted-redis-server");
const FOUND: &str = "AFRESH_GUARD_FOUND";

/// Tells glibc to be the same on every machine: which of its many ways to copy and compare it takes depends on the
/// processor.
const PLAIN_GLIBC: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512VL,-AVX512BW,-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM");

/// The instructions of a case with so many jobs.
///
/// # Errors
/// If it cannot be run, or does not end well; with what it said.
pub(crate) fn instructions(case: Case, jobs: usize) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let found = folder.path().join("callgrind.out");
    let this = std::env::current_exe()?;
    let mut command = match case {
        Case::Redis => Command::new(this),
        Case::Attempt | Case::Sqlite => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", found.display()));
            if case == Case::Attempt {
                // The sandbox's clock ticks in a thread of its own, by the time and not by the jobs.
                valgrind.arg(format!("--toggle-collect=*{MEASURED}*"));
            }
            valgrind.arg(this);
            valgrind
        }
    };
    command.args(["--run", case.name(), "--jobs", &jobs.to_string()]);
    command.env("AFRESH_REDIS_SERVER", REDIS_SERVER).env(FOUND, &found).env(PLAIN_GLIBC.0, PLAIN_GLIBC.1);
    let output = command.output().with_context(|| format!("failed to run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed ({}): {said}", case.name(), output.status);
    totals(&found).with_context(|| format!("failed to count {}: {said}", case.name()))
}

/// What callgrind wrote down of a whole run.
fn totals(found: &Path) -> anyhow::Result<u64> {
    let text = fs::read_to_string(found).with_context(|| format!("failed to read {}", found.display()))?;
    let totals = text.lines().filter_map(|line| line.strip_prefix("totals: "));
    let totals: Vec<u64> = totals.map(|total| total.trim().parse()).collect::<Result<_, _>>()?;
    ensure!(totals.iter().sum::<u64>() > 0, "nothing was counted");
    Ok(totals.iter().sum())
}
