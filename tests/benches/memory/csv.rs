//! Every sample and every attempt, as three CSV files. Times are milliseconds since the run's first attempt. Where a worker
//! cannot tell its own memory before and after an allocation, the last sample before and the largest inside stand for it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::recording::Recording;

/// Writes `worker.csv`, `broker.csv` and `attempts.csv`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(recordings: &[Recording], out: &Path) -> anyhow::Result<()> {
    let mut worker = String::from("run,at_ms,rss_bytes,in_attempt\n");
    let mut broker = String::from("run,at_ms,used_bytes,keys_bytes,received_bytes,sent_bytes\n");
    let mut attempts = String::from("run,started_ms,ended_ms,late_ms,rss_before_bytes,rss_allocated_bytes\n");
    for run in recordings {
        let (name, since) = (run.slug(), |at: f64| at - run.begin);
        for s in &run.worker {
            let in_attempt = run.attempts.iter().any(|attempt| attempt.contains(s.at));
            let _ = writeln!(worker, "{name},{:.1},{},{in_attempt}", since(s.at), s.rss);
        }
        for s in &run.broker {
            let _ = writeln!(broker, "{name},{:.1},{},{},{},{}", since(s.at), s.used, s.keys, s.received, s.sent);
        }
        for a in &run.attempts {
            let seen_before = run.worker.iter().rfind(|s| s.at < a.started).map_or(run.before, |s| s.rss);
            let seen_inside = run.worker.iter().filter(|s| a.contains(s.at)).map(|s| s.rss).max();
            let before = a.rss_before.unwrap_or(seen_before);
            let allocated = cell(a.rss_allocated.or(seen_inside).map(|bytes| bytes as f64), 0);
            let (ended, late) = (cell(a.ended.map(since), 1), cell(a.late, 3));
            let _ = writeln!(attempts, "{name},{:.1},{ended},{late},{before},{allocated}", since(a.started));
        }
    }
    for (file, text) in [("worker.csv", worker), ("broker.csv", broker), ("attempts.csv", attempts)] {
        std::fs::write(out.join(file), text).with_context(|| format!("failed to write {file}"))?;
    }
    Ok(())
}

/// Empty where there is nothing to tell.
fn cell(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.decimals$}"))
}
