//! The tables, in the words of `docs/hostile.md`.

use std::fmt::Write as _;

use crate::kills::Kill;
use crate::neighbours::Felt;

/// What was felt of each guest.
pub(crate) fn neighbours(felt: &[Felt]) -> String {
    let mut table = "| attack | outcome | attempts | small jobs beside it, p99 quiet / loud, ms | ratio | worker's memory before / after, MiB | \
         end after the deadline, median / p99, ms |\n|---|---|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for Felt { guest, outcome, attempts, quiet, loud, ratio, resident, ends } in felt {
        let ends = match ends.count() {
            0 => "–".to_owned(),
            _ => format!("{:.1} / {:.1}", ends.median(), ends.p99()),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {guest} | `{outcome}` | {attempts} | {:.1} / {:.1} | {ratio:.2} | {:.1} / {:.1} | {ends} |",
            quiet.p99(),
            loud.p99(),
            resident.0,
            resident.1
        );
    }
    table
}

/// How soon attempts were ended.
pub(crate) fn kills(kills: &[Kill]) -> String {
    let mut table =
        "| attack | ended by | times | median, ms | p99, ms | slowest, ms |\n|---|---|--:|--:|--:|--:|\n".to_owned();
    for Kill { guest, why, times } in kills {
        let _ = writeln!(
            table,
            "| {guest} | {why} | {} | {:.2} | {:.2} | {:.2} |",
            times.count(),
            times.median(),
            times.p99(),
            times.percentile(100)
        );
    }
    table
}
