//! What more of everything costs: jobs a second with more jobs queued, more modules, more slots, more keys with limits, each
//! over its smallest case. One worker with default settings, no-op jobs of the SDK's with 100 bytes.
//!
//! `cargo bench --workspace --bench scale [-- --json] [--only modules]`. All cases of a kind are set up first, each on a
//! broker of its own with its own worker, which waits in a paused queue while another is measured. Then each round measures
//! them one after the other, as many jobs in each, and what counts is the median of the ratios within a round.

mod case;
#[path = "../shared/program.rs"]
mod program;

use std::path::PathBuf;

use afresh_bench_kit::guest::Guests;
use afresh_bench_kit::{Kind, median};
use clap::{Parser, ValueEnum};
use serde::Serialize;

use case::{Case, Site};

/// Measures what more of everything costs.
#[derive(Parser)]
struct Args {
    /// Jobs that are measured in each case and round; on SQLite a third
    #[arg(long, default_value_t = 60_000)]
    jobs: usize,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only this
    #[arg(long)]
    only: Option<What>,
    /// Only cases up to this size
    #[arg(long, default_value_t = usize::MAX)]
    up_to: usize,
    /// The `afresh` to measure, instead of building this checkout's in release
    #[arg(long, value_name = "PROGRAM")]
    afresh: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What there is more of.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    /// Jobs that are queued
    Queued,
    /// Modules, all of which have run before
    Modules,
    /// Slots
    Slots,
    /// Keys, each with a limit of 64 jobs at a time
    Keys,
}

impl What {
    const ALL: [Self; 4] = [Self::Queued, Self::Modules, Self::Slots, Self::Keys];

    /// The first is what the others are compared with.
    fn sizes(self) -> &'static [usize] {
        match self {
            Self::Queued => &[1_000, 10_000, 100_000, 1_000_000],
            Self::Modules => &[1, 10, 100, 1_000],
            Self::Slots => &[1, 4, 16, 64, 256],
            Self::Keys => &[10, 100, 1_000, 10_000],
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What was measured of one case.
#[derive(Serialize)]
struct Finding {
    broker: &'static str,
    what: What,
    size: usize,
    /// The median.
    jobs_a_second: f64,
    /// Over the smallest case, within a round; the median.
    ratio: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let program = program::given_or_built(args.afresh.clone())?;
    let site = Site { guests: Guests::build(&program)?, program, cache: tempfile::tempdir()? };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut findings = Vec::new();
    for kind in Kind::ALL {
        for what in What::ALL.into_iter().filter(|what| args.only.is_none_or(|only| only == *what)) {
            eprintln!("{}: {} …", kind.name(), what.name());
            findings.extend(runtime.block_on(measure(&site, kind, what, &args))?);
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
        return Ok(());
    }
    println!(
        "median of {} rounds\n\n| broker | what | of it | jobs/s | of the smallest |\n|---|---|--:|--:|--:|",
        args.rounds
    );
    for Finding { broker, what, size, jobs_a_second, ratio } in findings {
        println!("| {broker} | {} | {size} | {jobs_a_second:.0} | {ratio:.2} |", what.name());
    }
    Ok(())
}

async fn measure(site: &Site, kind: Kind, what: What, args: &Args) -> anyhow::Result<Vec<Finding>> {
    let jobs = if kind == Kind::Redis { args.jobs } else { args.jobs / 3 };
    let mut cases = Vec::new();
    for &size in what.sizes().iter().filter(|size| **size <= args.up_to) {
        cases.push(Case::start(site, kind, what, size).await?);
    }
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let mut round = Vec::new();
        for case in &cases {
            round.push(case.rate(jobs).await?);
        }
        rounds.push(round);
    }
    let finding = |(n, case): (usize, &Case)| Finding {
        broker: kind.name(),
        what,
        size: case.size,
        jobs_a_second: median(rounds.iter().map(|round| round[n])),
        ratio: median(rounds.iter().map(|round| round[n] / round[0])),
    };
    Ok(cases.iter().enumerate().map(finding).collect())
}
