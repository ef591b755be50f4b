//! The table, as `docs/speed.md` has it.

use std::fmt::Write as _;

use crate::cases::Finding;

/// What was found, for people.
pub(crate) fn of(findings: &[Finding]) -> String {
    let mut table = "| guest | payload, KB | | µs an attempt | bare, µs | ratio | ratio on two threads | two threads over one | bare |\n\
         |---|--:|---|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for Finding { kind, payload_bytes, cold, ours_us, bare_us, ratio, ratio_of_two, scale, bare_scale } in findings {
        let (kb, cold) = (*payload_bytes as f64 / 1000.0, if *cold { "cold" } else { "warm" });
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {kind} | {kb} | {cold} | {ours_us:.1} | {bare_us:.1} | {ratio:.2} | {ratio_of_two:.2} | {scale:.2} | {bare_scale:.2} |"
        );
    }
    table
}
