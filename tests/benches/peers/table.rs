//! The findings for people.

use std::fmt::Write as _;

use crate::contender::Recovery;
use crate::findings::{Findings, Row};

/// A table in Markdown, then the fastest, then who is absent.
pub(crate) fn of(findings: &Findings, rounds: usize) -> String {
    let mut text = format!("A no-op drain, median of {rounds} rounds\n\n");
    text += "| queue | settings | brought back by | acked | retried | memory of its own | jobs | jobs/s | Afresh is | peak, MiB |\n";
    text += "|---|---|---|---|---|---|--:|--:|--:|--:|\n";
    for row in &findings.rows {
        text += &line(row);
    }
    // Writing to a string cannot fail.
    for fastest in &findings.fastest {
        let _ = write!(text, "\nThe fastest of {} is {}: ", fastest.of, fastest.peer);
        let _ = writeln!(text, "Afresh is {:.2} × as fast.", fastest.afresh_ratio);
    }
    for absent in &findings.absent {
        let _ = writeln!(text, "\n{absent}");
    }
    text
}

fn line(row: &Row) -> String {
    let guarantees = &row.guarantees;
    let recovery = match guarantees.recovery {
        Recovery::Job(what) => what.to_owned(),
        Recovery::Worker(what) => format!("worker's {what}"),
        Recovery::Nothing => "nothing".to_owned(),
    };
    let yes = |is_so| if is_so { "yes" } else { "no" };
    format!(
        "| {} | {} | {recovery} | {} | {} | {} | {} | {:.0} | {} | {:.0} |\n",
        row.peer,
        row.settings,
        yes(guarantees.acknowledged),
        yes(guarantees.retried),
        guarantees.own_memory.unwrap_or("no"),
        row.jobs,
        row.jobs_a_second,
        row.afresh_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2} ×")),
        row.peak_bytes / 1024.0 / 1024.0,
    )
}
