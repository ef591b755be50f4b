//! No-op jobs end to end, with everything on that a worker does by default: leases, fencing, history, results. The task is
//! the SDK's, its payload JSON of 100 bytes; workers are real processes of the release build with default settings.
//!
//! `cargo bench --workspace --bench throughput [-- --json]`. The limit beside it is the probe (`tests/benches/probe`): the
//! least that pops jobs from Redis in the same batches, runs each in a fresh instance of the same module, and acknowledges
//! them. Figures of shared machines wander, so each round measures all cases one after the other, and what counts is the
//! median of the ratios within a round. `kit/src/drain.rs` says what is timed.
//!
//! `-- --million`: the resident memory of a worker with 16 slots at each 100,000 of a million jobs, instead.

mod limit;
mod million;
#[path = "../shared/process.rs"]
pub mod process;
#[path = "../shared/program.rs"]
mod program;
mod table;

use std::path::PathBuf;

use afresh_bench_kit::guest::{Guests, noop};
use afresh_bench_kit::{Kind, Stage, drain, median};
use clap::Parser;
use serde::Serialize;

/// Measures no-op jobs end to end.
#[derive(Parser)]
struct Args {
    /// Jobs in a drain on Redis, ours and the probe's
    #[arg(long, default_value_t = 200_000)]
    jobs: usize,
    /// Jobs in a drain on SQLite
    #[arg(long, default_value_t = 60_000)]
    embedded_jobs: usize,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure the memory of a worker over a million jobs instead
    #[arg(long)]
    million: bool,
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

/// How many processes work.
const WORKERS: [usize; 2] = [1, 2];

/// Jobs a second in one round.
struct Round {
    limit: limit::Rates,
    /// One for each broker and each of [`WORKERS`].
    ours: Vec<f64>,
}

/// What was measured.
#[derive(Serialize)]
struct Findings {
    rounds: usize,
    limit: limit::Rates,
    cases: Vec<Case>,
}

/// One broker with so many workers.
#[derive(Serialize)]
struct Case {
    broker: &'static str,
    workers: usize,
    /// Jobs a second; the median.
    jobs_a_second: f64,
    /// Over the probe with instances, within a round; the median.
    of_probe: f64,
    /// Over one worker on Redis, within a round; the median.
    of_redis: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let program = program::given_or_built(args.afresh.clone())?;
    let site = Site { wasm: Guests::build(&program)?.noop, program };
    // Two threads, as the probe is to have; of ours, only the producer and who watches are here.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if args.million {
            return million::run(&site, args.json).await;
        }
        let findings = measure(&site, &args).await?;
        if args.json {
            println!("{}", serde_json::to_string_pretty(&findings)?);
        } else {
            print!("{}", table::of(&findings));
        }
        Ok(())
    })
}

/// What is measured: the program, and the module it runs.
struct Site {
    program: PathBuf,
    wasm: Vec<u8>,
}

async fn measure(site: &Site, args: &Args) -> anyhow::Result<Findings> {
    let probe = limit::Limit::new(&site.wasm)?;
    let mut rounds = Vec::new();
    for n in 1..=args.rounds {
        eprintln!("round {n} of {} …", args.rounds);
        let limit = probe.measure(args.jobs).await?;
        let mut ours = Vec::new();
        for (kind, workers) in cases() {
            let jobs = if kind == Kind::Redis { args.jobs } else { args.embedded_jobs };
            ours.push(one(site, kind, workers, jobs).await?);
        }
        rounds.push(Round { limit, ours });
    }
    let case = |(n, (kind, workers)): (usize, (Kind, usize))| Case {
        broker: kind.name(),
        workers,
        jobs_a_second: median(rounds.iter().map(|round| round.ours[n])),
        of_probe: median(rounds.iter().map(|round| round.ours[n] / round.limit.instances())),
        of_redis: median(rounds.iter().map(|round| round.ours[n] / round.ours[0])),
    };
    Ok(Findings {
        rounds: args.rounds,
        limit: limit::Rates::median(rounds.iter().map(|round| &round.limit)),
        cases: cases().enumerate().map(case).collect(),
    })
}

/// The first is what the others are compared with.
fn cases() -> impl Iterator<Item = (Kind, usize)> {
    Kind::ALL.into_iter().flat_map(|kind| WORKERS.map(|workers| (kind, workers)))
}

/// Jobs a second of so many workers on a fresh broker.
async fn one(site: &Site, kind: Kind, workers: usize, jobs: usize) -> anyhow::Result<f64> {
    let stage = Stage::start(kind, &site.wasm).await?;
    let _workers = stage.warm_workers(workers, || stage.worker(&site.program)).await?;
    Ok(drain(&stage, (0..jobs).map(noop)).await?.rate())
}
