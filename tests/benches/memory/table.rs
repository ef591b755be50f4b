//! The figures as Markdown tables, one for each scenario, and the promises as another.

use std::fmt::Write as _;

use crate::promises::Promise;
use crate::scenario::Scenario;
use crate::summary::{Spread, Summary};

const MIB: f64 = 1024.0 * 1024.0;

/// What stands at the head of a row, and a figure of it.
type Row = (&'static str, fn(&Summary) -> String);

const ROWS: [Row; 14] = [
    ("attempts", |sum| sum.attempts.to_string()),
    ("attempts a second", |sum| format!("{:.2}", sum.per_second)),
    ("start to start, p50 / p95, ms", |sum| pair(sum.gap)),
    ("late after the backoff, p50 / p95, ms", |sum| pair(sum.late)),
    ("worker: before the first attempt", |sum| mib(sum.before)),
    ("worker: min", |sum| mib(sum.rss.min)),
    ("worker: mean", |sum| mib(sum.rss.mean)),
    ("worker: max", |sum| mib(sum.peak)),
    ("worker: growth (max − min)", |sum| mib(sum.peak - sum.rss.min)),
    ("left between attempts, p50", |sum| mib(sum.between.p50 - sum.before)),
    ("left between attempts, max", |sum| mib(sum.between.max - sum.before)),
    ("Redis: used, median / max", |sum| format!("{} / {}", mib(sum.broker.p50), mib(sum.broker.max))),
    ("Redis: the job’s keys, max", |sum| mib(sum.keys.max)),
    ("Redis: in / out an attempt", |sum| {
        let attempts = sum.attempts as f64;
        format!("{} / {}", mib(sum.received / attempts), mib(sum.sent / attempts))
    }),
];

/// One table for each scenario, a column for each contender. Memory is in MiB.
pub fn figures(summaries: &[Summary]) -> String {
    let mut text = String::new();
    for scenario in Scenario::ALL {
        let columns: Vec<&Summary> = summaries.iter().filter(|sum| sum.scenario == scenario).collect();
        let _ = writeln!(text, "Where {scenario} (memory in MiB):\n");
        line(&mut text, "", columns.iter().map(|sum| head(sum)));
        line(&mut text, "---", columns.iter().map(|_| "--:".to_owned()));
        for (what, figure) in ROWS {
            line(&mut text, what, columns.iter().map(|sum| figure(sum)));
        }
        text.push('\n');
    }
    text
}

fn line(text: &mut String, head: &str, cells: impl Iterator<Item = String>) {
    let _ = writeln!(text, "| {head} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn head(sum: &Summary) -> String {
    match sum.polling {
        None | Some("default") => sum.name.clone(),
        Some(polling) => format!("{}, poll {polling}", sum.name),
    }
}

/// What Afresh must show, and whether it did.
pub fn promises(promises: &[Promise]) -> String {
    if promises.is_empty() {
        return String::new();
    }
    let mut text = String::from("| scenario | what | at most | was | kept |\n|---|---|--:|--:|---|\n");
    for Promise { scenario, what, at_most, figure, kept } in promises {
        let kept = if *kept { "yes" } else { "**NO**" };
        let _ = writeln!(text, "| {scenario} | {what} | {at_most} | {figure} | {kept} |");
    }
    text
}

fn mib(bytes: f64) -> String {
    match bytes / MIB {
        mib if mib.is_nan() => "–".to_owned(),
        mib if mib.abs() < 0.095 => format!("{mib:.3}"),
        mib => format!("{mib:.1}"),
    }
}

fn pair(spread: Spread) -> String {
    if spread.p50.is_nan() { "–".to_owned() } else { format!("{:.1} / {:.1}", spread.p50, spread.p95) }
}
