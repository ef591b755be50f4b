//! What limits and fairness cost, and what they give: 100,000 jobs over 1,000 keys are leased and settled with and without
//! a limit on each key; and one job of a tenant waits behind 100,000 of another, in a queue that is fair and in one that is
//! not. No guest runs: this is about the queue.
//!
//! `cargo bench -p afresh-tests --bench queue [-- --json]`. Figures of shared machines wander, so each round measures all
//! cases one after the other, and what counts is the median of the ratios within a round.

mod drain;
mod fairness;
mod site;

use afresh_bench_kit::median;
use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;

use site::{Kind, Site};

/// Measures limits and fairness.
#[derive(Parser)]
struct Args {
    /// Jobs in a queue
    #[arg(long, default_value_t = 100_000)]
    jobs: usize,
    /// Keys they are spread over
    #[arg(long, default_value_t = 1_000)]
    keys: usize,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What was measured on one broker.
#[derive(Serialize)]
struct Findings {
    broker: &'static str,
    cases: Vec<Case>,
    fairness: fairness::Findings,
}

/// One way to drain the queue.
#[derive(Serialize)]
struct Case {
    name: &'static str,
    /// Jobs leased a second of leasing; the median.
    leased_a_second: f64,
    /// Jobs leased and settled a second; the median.
    drained_a_second: f64,
    /// The time of leasing over that without limits, within a round; the median.
    lease_ratio: f64,
    /// The time of leasing and settling over that without limits, within a round; the median.
    drain_ratio: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut all = Vec::new();
    for kind in [Kind::Redis, Kind::Sqlite] {
        all.push(measure(kind, &args).await.with_context(|| format!("failed on {}", kind.name()))?);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("{} jobs over {} keys, median of {} rounds", args.jobs, args.keys, args.rounds);
    for Findings { broker, cases, fairness } in all {
        println!("\n{broker:<26}  leased/s  drained/s  lease time  drain time");
        for case in cases {
            println!(
                "  {:<24} {:>9.0}  {:>9.0}  {:>8.2} ×  {:>8.2} ×",
                case.name, case.leased_a_second, case.drained_a_second, case.lease_ratio, case.drain_ratio
            );
        }
        println!(
            "  tenant B's only job, with {} of tenant A's ahead: starts after {} of them in a fair queue, after {} else",
            fairness.ahead, fairness.fair, fairness.unfair
        );
    }
    Ok(())
}

async fn measure(kind: Kind, args: &Args) -> anyhow::Result<Findings> {
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let mut times = Vec::new();
        for case in drain::CASES {
            // A fresh broker for each, so that none pays for another's records.
            let site = Site::start(kind).await?;
            times.push(drain::run(&site, &case, args.jobs, args.keys).await?);
        }
        rounds.push(times);
    }
    let of = |case: usize, figure: &dyn Fn(&drain::Times, &drain::Times) -> f64| {
        median(rounds.iter().map(|times| figure(&times[case], &times[0])))
    };
    let cases = drain::CASES.iter().enumerate().map(|(n, case)| Case {
        name: case.name,
        leased_a_second: of(n, &|own, _| args.jobs as f64 / own.leasing),
        drained_a_second: of(n, &|own, _| args.jobs as f64 / own.all),
        lease_ratio: of(n, &|own, plain| own.leasing / plain.leasing),
        drain_ratio: of(n, &|own, plain| own.all / plain.all),
    });
    let cases = cases.collect();
    Ok(Findings { broker: kind.name(), cases, fairness: fairness::run(kind, args.jobs).await? })
}
