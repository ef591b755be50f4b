//! What was measured, as a table.

use std::fmt::Write as _;

use crate::{Findings, Row};

pub(crate) fn of(findings: &Findings) -> String {
    let load: Vec<_> = findings.load.iter().map(|(broker, rate)| format!("{rate:.0} jobs/s on {broker}")).collect();
    let mut table = format!(
        "median of {} rounds, milliseconds; loaded: {}\n\n| worker | from enqueue to | p50 | p99 | p99.9 |\n|---|---|--:|--:|--:|\n",
        findings.rounds,
        load.join(", ")
    );
    for Row { condition, what, milliseconds } in &findings.rows {
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {condition} | {what} | {:.2} | {:.2} | {:.2} |",
            milliseconds.p50, milliseconds.p99, milliseconds.p99_9
        );
    }
    table
}
