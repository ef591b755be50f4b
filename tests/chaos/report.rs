//! What a run came to, as tables in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::faults::Kind;
use crate::run::Report;

/// The faults, the account, and what took longest.
pub fn page(reports: &[Report]) -> String {
    let mut page = String::new();
    faults(&mut page, reports);
    accounts(&mut page, reports);
    again(&mut page, reports);
    page
}

fn faults(page: &mut String, reports: &[Report]) {
    // How often, for how long in all, and the longest recovery, of each kind.
    let mut kinds = BTreeMap::<Kind, (u64, i64, i64)>::new();
    for report in reports {
        for fault in &report.faults {
            let kind = kinds.entry(fault.kind).or_default();
            (kind.0, kind.1) = (kind.0 + 1, kind.1 + fault.until - fault.from);
        }
        for (kind, span) in &report.recoveries {
            let kind = kinds.entry(*kind).or_default();
            kind.2 = kind.2.max(*span);
        }
    }
    // Writing to a string cannot fail, here and below.
    let _ =
        writeln!(page, "| fault | times | seconds in all | longest until a job was settled |\n|---|---:|---:|---:|");
    for (kind, (times, lasted, recovery)) in &kinds {
        let recovery = if kind.is_done() { format!("{:.2} s", seconds(*recovery)) } else { String::new() };
        let _ = writeln!(page, "| {kind} | {times} | {:.0} | {recovery} |", seconds(*lasted));
    }
    let done = kinds.iter().filter(|(kind, _)| kind.is_done());
    let done: u64 = done.map(|(_, (times, ..))| times).sum();
    let longest = reports.iter().flat_map(|report| &report.recoveries).max_by_key(|(_, span)| span);
    if let Some((kind, span)) = longest {
        let _ = writeln!(page, "\n{done} faults; the longest recovery took {:.2} s, after: {kind}.", seconds(*span));
    }
}

fn accounts(page: &mut String, reports: &[Report]) {
    let _ = writeln!(
        page,
        "\n| store | jobs | a second | succeeded | dead | dead, lost with workers | of these never run | gone with a store’s newest writes | lost | runs | calls repeated |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for Report { store, account, repeats, took, .. } in reports {
        let _ = writeln!(
            page,
            "| {store} | {} | {:.0} | {} | {} | {} | {} | {} | 0 | {} | {repeats} |",
            account.jobs,
            account.jobs as f64 / took.as_secs_f64(),
            account.succeeded,
            account.dead,
            account.dead_lost,
            account.dead_unseen,
            account.lost_in_a_tail,
            account.runs,
        );
    }
    let jobs: u64 = reports.iter().map(|report| report.account.jobs).sum();
    let _ = writeln!(page, "\n{jobs} jobs are accounted for; none was lost.");
}

fn again(page: &mut String, reports: &[Report]) {
    let mut causes = BTreeMap::<Kind, u64>::new();
    for (kind, times) in reports.iter().flat_map(|report| &report.account.again) {
        *causes.entry(*kind).or_default() += times;
    }
    let all: u64 = causes.values().sum();
    let _ = writeln!(page, "\n{all} effects were there again, after:\n\n| fault | effects |\n|---|---:|");
    for (kind, times) in &causes {
        let _ = writeln!(page, "| {kind} | {times} |");
    }
}

fn seconds(span: i64) -> f64 {
    span as f64 / 1e6
}
