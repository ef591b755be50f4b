//! How soon a job starts, is settled, and its result is known, from the moment a producer hands it over: to a worker that
//! has nothing else to do, one job at a time; and at half of what the worker can do, with arrivals that wait for nobody.
//!
//! `cargo bench --workspace --bench latency [-- --json]`. A start is told by the guest itself, which answers with the time of
//! its clock, and so comes after the instance was made; a settlement by the job's record; a result by `Client`'s wait. All
//! clocks are this machine's. Beside it stands what Redis alone does, in the same round. What is printed is the median of the
//! rounds' percentiles.

mod idle;
mod loaded;
#[path = "../shared/program.rs"]
mod program;
mod sample;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use afresh_bench_kit::guest::{Guests, noop};
use afresh_bench_kit::{Kind, Stage, drain, median};
use clap::Parser;
use serde::Serialize;

use sample::{Percentiles, Sample};

/// Measures how soon jobs start and end.
#[derive(Parser)]
struct Args {
    /// Jobs that are handed over one at a time, in each round
    #[arg(long, default_value_t = 2_000)]
    jobs: usize,
    /// Seconds of load, in each round
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// The load, of what the worker can do
    #[arg(long, default_value_t = 0.5)]
    load: f64,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
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

/// What was measured.
#[derive(Serialize)]
struct Findings {
    rounds: usize,
    /// Jobs a second under load, on each broker; the median.
    load: Vec<(&'static str, f64)>,
    rows: Vec<Row>,
}

/// One time, under one condition.
#[derive(Serialize)]
struct Row {
    condition: String,
    what: &'static str,
    milliseconds: Percentiles,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let program = program::given_or_built(args.afresh.clone())?;
    let wasm = Guests::build(&program)?.noop;
    let mut samples = Vec::new();
    for n in 1..=args.rounds {
        eprintln!("round {n} of {} …", args.rounds);
        samples.push(round(&args, &program, &wasm)?);
    }
    let findings = Findings::of(&samples);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        print!("{}", table::of(&findings));
    }
    Ok(())
}

/// One round.
struct Round {
    /// One for each of [`Kind::ALL`].
    ours: Vec<Ours>,
    ping: Vec<Duration>,
    wake_up: Vec<Duration>,
}

/// What a worker did on one broker.
struct Ours {
    idle: Sample,
    /// Jobs a second.
    load: f64,
    loaded: Sample,
}

/// Between two jobs of an idle worker, so that it is: no worker is busy with a job for so long.
const PAUSE: Duration = Duration::from_millis(10);

fn round(args: &Args, program: &Path, wasm: &[u8]) -> anyhow::Result<Round> {
    // One at a time is handed over by one thread, as most programs would: to wake another one of the producer's takes as long
    // as a good part of what is measured.
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut round = Round { ours: Vec::new(), ping: Vec::new(), wake_up: Vec::new() };
    for kind in Kind::ALL {
        let idle = one.block_on(idle(args, kind, program, wasm, &mut round))?;
        let (load, loaded) = many.block_on(loaded(args, kind, program, wasm))?;
        round.ours.push(Ours { idle, load, loaded });
    }
    Ok(round)
}

/// A worker that has nothing else to do; and what Redis alone does.
async fn idle(args: &Args, kind: Kind, program: &Path, wasm: &[u8], round: &mut Round) -> anyhow::Result<Sample> {
    let stage = Stage::start(kind, wasm).await?;
    let _worker = stage.warm_workers(1, || stage.worker(program)).await?;
    let sample = idle::measure(&stage, args.jobs, PAUSE).await?;
    if let Some(url) = stage.redis_url() {
        round.ping = afresh_probe::round_trips(&url, args.jobs).await?;
        round.wake_up = afresh_probe::wake_ups(&url, args.jobs, PAUSE).await?;
    }
    Ok(sample)
}

/// A worker under a part of the load that it can bear: how much that is, in jobs a second, and what it did.
async fn loaded(args: &Args, kind: Kind, program: &Path, wasm: &[u8]) -> anyhow::Result<(f64, Sample)> {
    let stage = Stage::start(kind, wasm).await?;
    let _worker = stage.warm_workers(1, || stage.worker(program)).await?;
    let jobs = if kind == Kind::Redis { 60_000 } else { 20_000 };
    let load = args.load * drain(&stage, (0..jobs).map(noop)).await?.rate();
    Ok((load, loaded::measure(&stage, load, args.seconds).await?))
}

/// A name, and the part of something that has it.
type Part<Whole, Of> = (&'static str, fn(&Whole) -> &Of);

/// How busy the worker was.
const CONDITIONS: [Part<Ours, Sample>; 2] = [("idle", |ours| &ours.idle), ("loaded", |ours| &ours.loaded)];

/// What is measured of a job.
const TIMES: [Part<Sample, Vec<Duration>>; 3] =
    [("start", |sample| &sample.start), ("settled", |sample| &sample.settled), ("result", |sample| &sample.result)];

impl Findings {
    fn of(rounds: &[Round]) -> Self {
        let row = |condition: String, what, times: &dyn Fn(&Round) -> &Vec<Duration>| Row {
            condition,
            what,
            milliseconds: Percentiles::median(rounds.iter().map(|round| Percentiles::of(times(round)))),
        };
        let (mut load, mut rows) = (Vec::new(), Vec::new());
        for (n, broker) in Kind::ALL.map(Kind::name).into_iter().enumerate() {
            load.push((broker, median(rounds.iter().map(|round| round.ours[n].load))));
            for (condition, sample) in CONDITIONS {
                for (what, times) in TIMES {
                    rows.push(row(format!("{broker}, {condition}"), what, &|round| times(sample(&round.ours[n]))));
                }
            }
        }
        rows.push(row("Redis alone".to_owned(), "PING", &|round| &round.ping));
        rows.push(row("Redis alone".to_owned(), "LPUSH to BRPOP", &|round| &round.wake_up));
        Self { rounds: rounds.len(), load, rows }
    }
}
