//! The figures as Markdown tables, one for each scenario, and the promises as another.

use std::fmt::Write as _;

use crate::promises::Promise;
use crate::scenario::Scenario;
use crate::summary::{Spread, Summary};

const MIB: f64 = 1024.0 * 1024.0;

/// A head, and what stands under it.
type Column = (&'static str, fn(&Summary) -> String);

const COLUMNS: [Column; 13] = [
    ("attempts", |sum| sum.attempts.to_string()),
    ("a second", |sum| format!("{:.2}", sum.per_second)),
    ("worker: before", |sum| mib(sum.before)),
    ("min", |sum| mib(sum.rss.min)),
    ("mean", |sum| mib(sum.rss.mean)),
    ("max", |sum| mib(sum.rss.max)),
    ("peak", |sum| mib(sum.peak)),
    ("left between attempts, p50 / max", |sum| left(sum)),
    ("growth", |sum| mib(sum.growth)),
    ("start to start, p50 / p95 ms", |sum| pair(sum.gap)),
    ("late, p50 / p95 ms", |sum| pair(sum.late)),
    ("broker: median / max", |sum| format!("{} / {}", mib(sum.broker.p50), mib(sum.broker.max))),
    ("in / out", |sum| format!("{} / {}", mib(sum.received), mib(sum.sent))),
];

/// One table for each scenario, memory in MiB.
pub fn figures(summaries: &[Summary]) -> String {
    let mut text = String::new();
    for scenario in Scenario::ALL {
        let heads: Vec<&str> = COLUMNS.iter().map(|(head, _)| *head).collect();
        let _ = writeln!(text, "**Where {scenario}** (memory in MiB)\n");
        let _ = writeln!(text, "| | poll | {} |\n|---|---{}|", heads.join(" | "), "|--:".repeat(COLUMNS.len()));
        for sum in summaries.iter().filter(|sum| sum.scenario == scenario) {
            let cells: Vec<String> = COLUMNS.iter().map(|(_, cell)| cell(sum)).collect();
            let _ = writeln!(text, "| {} | {} | {} |", sum.name, sum.polling.unwrap_or("–"), cells.join(" | "));
        }
        text.push('\n');
    }
    text
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
    if bytes.is_nan() { "–".to_owned() } else { format!("{:.1}", bytes / MIB) }
}

/// What the attempts before left in the worker.
fn left(sum: &Summary) -> String {
    format!("{} / {}", mib(sum.between.p50 - sum.before), mib(sum.between.max - sum.before))
}

fn pair(spread: Spread) -> String {
    if spread.p50.is_nan() { "–".to_owned() } else { format!("{:.1} / {:.1}", spread.p50, spread.p95) }
}
