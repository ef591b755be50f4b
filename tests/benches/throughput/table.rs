//! What was measured, as a table.

use std::fmt::Write as _;

use crate::{Case, Findings};

pub(crate) fn of(findings: &Findings) -> String {
    let Findings { rounds, limit, cases } = findings;
    let mut table =
        format!("median of {rounds} rounds\n\n| what | jobs/s | of the probe | of Redis |\n|---|--:|--:|--:|\n");
    for (name, rate) in [
        ("probe without instances, 4 fetchers", limit.bare),
        ("probe with instances, 2 fetchers", limit.two),
        ("probe with instances, 4 fetchers", limit.four),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {name} | {rate:.0} | | |");
    }
    for Case { broker, workers, jobs_a_second, of_probe, of_redis } in cases {
        let s = if *workers == 1 { "" } else { "s" };
        let _ = writeln!(
            table,
            "| Afresh, {broker}, {workers} worker{s} | {jobs_a_second:.0} | {of_probe:.2} | {of_redis:.2} |"
        );
    }
    table
}
