//! What an attempt takes that touches much memory, beside a native program that maps, touches and unmaps as much: once with
//! the pages that the sandbox has for such a guest, which is the limit, and once with small ones, to see what pages cost.
//!
//! `cargo bench --workspace --bench big-memory [-- --json]`
//!
//! * `guest`: the guest in its sandbox
//! * `native`: the same without one
//! * `resident`: what this process has of the machine's memory
//!
//! Figures of shared machines wander. So each round measures all three one right after the other, and what counts is the
//! median of the ratios within a round.

mod guest;
mod native;
mod resident;

use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;

use guest::Guest;
use native::Pages;

/// MiB that are touched, and the pages that the sandbox has for that: huge ones where a guest has grown past 2 MiB.
const CASES: [(usize, Pages); 3] = [(1, Pages::Small), (16, Pages::Huge), (128, Pages::Huge)];

/// Measures large guests.
#[derive(Parser)]
struct Args {
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Milliseconds that each measurement lasts, about
    #[arg(long, default_value_t = 100)]
    millis: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What was measured of one size; each figure is a median over the rounds.
#[derive(Serialize)]
struct Finding {
    touched_mib: usize,
    /// Milliseconds an attempt.
    ours_ms: f64,
    /// Milliseconds of the native program with the pages that the sandbox has.
    native_ms: f64,
    /// Ours over native, within a round.
    ratio: f64,
    /// Milliseconds of the native program with pages of 4 KiB.
    native_small_ms: f64,
    /// Resident memory of the process before, at its most during, and after an attempt, in MiB.
    resident_mib: [f64; 3],
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut findings = Vec::new();
    for (mib, pages) in CASES {
        eprintln!("{mib} MiB …");
        findings.push(measure(&args, mib, pages)?);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
        return Ok(());
    }
    println!(
        "| MiB touched | ms an attempt | native, same pages, ms | ratio | native, 4 KiB pages, ms | resident before / most / after, MiB |"
    );
    println!("|--:|--:|--:|--:|--:|--:|");
    for Finding { touched_mib, ours_ms, native_ms, ratio, native_small_ms, resident_mib: [before, most, after] } in
        findings
    {
        println!(
            "| {touched_mib} | {ours_ms:.2} | {native_ms:.2} | {ratio:.2} | {native_small_ms:.2} | {before:.1} / {most:.1} / {after:.1} |"
        );
    }
    Ok(())
}

fn measure(args: &Args, mib: usize, pages: Pages) -> anyhow::Result<Finding> {
    let (guest, bytes) = (Guest::new(mib)?, mib << 20);
    let ours = || guest.run();
    let first = time(2, &ours)?;
    let resident_mib = resident::around(&ours)?;
    let count = ((args.millis as f64 / first) as usize).max(1);
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let native = |pages| time(count, &|| Ok(native::touch(bytes, pages)?));
        rounds.push((time(count, &ours)?, native(pages)?, native(Pages::Small)?));
    }
    let median = |figure: fn(&(f64, f64, f64)) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Ok(Finding {
        touched_mib: mib,
        ours_ms: median(|round| round.0),
        native_ms: median(|round| round.1),
        ratio: median(|round| round.0 / round.1),
        native_small_ms: median(|round| round.2),
        resident_mib,
    })
}

/// Does it so many times, and answers how many milliseconds it takes.
fn time(count: usize, what: &dyn Fn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    (0..count).try_for_each(|_| what())?;
    Ok(began.elapsed().div_duration_f64(Duration::from_millis(1)) / count as f64)
}
