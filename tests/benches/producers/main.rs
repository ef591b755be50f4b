//! How many jobs a second producers hand over: one job a call, by one producer and by 16 at the same time, and a thousand a
//! call. Nobody works meanwhile. The payload has 100 bytes.
//!
//! `cargo bench --workspace --bench producers [-- --json]`. The limit beside it, in the same round and on a Redis of its own:
//! the same bytes by a plain `HSET` and `LPUSH` in one pipeline, as many jobs a call and as many producers.

use std::time::Instant;

use afresh_bench_kit::guest::{noop, payload};
use afresh_bench_kit::{Kind, Stage, median};
use afresh_harness::RedisServer;
use afresh_probe::Queue;
use afresh_queue::Client;
use clap::Parser;
use serde::Serialize;
use tokio::task::JoinSet;

/// Measures how fast jobs are handed over.
#[derive(Parser)]
struct Args {
    /// Jobs of one producer with one job a call; the others hand over ten times as many, and on SQLite, where each call is
    /// on the disk when it returns, one job a call is measured with a tenth
    #[arg(long, default_value_t = 10_000)]
    jobs: usize,
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

/// A way to hand jobs over.
struct Way {
    producers: usize,
    /// Jobs a call.
    call: usize,
    /// Times as many jobs as a producer hands over one by one.
    times: usize,
}

const WAYS: [Way; 3] = [
    Way { producers: 1, call: 1, times: 1 },
    Way { producers: 16, call: 1, times: 10 },
    Way { producers: 1, call: 1_000, times: 10 },
];

/// What was measured of one way on one broker; medians.
#[derive(Serialize)]
struct Case {
    broker: &'static str,
    producers: usize,
    jobs_a_call: usize,
    jobs_a_second: f64,
    /// The same by plain Redis, of the same round.
    plain_a_second: f64,
    /// Ours over that, within a round.
    ratio: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cases = runtime.block_on(measure(&args))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&cases)?);
        return Ok(());
    }
    println!("median of {} rounds\n", args.rounds);
    println!("| broker | producers | jobs a call | jobs/s | plain Redis | ratio |\n|---|--:|--:|--:|--:|--:|");
    for Case { broker, producers, jobs_a_call, jobs_a_second, plain_a_second, ratio } in cases {
        println!("| {broker} | {producers} | {jobs_a_call} | {jobs_a_second:.0} | {plain_a_second:.0} | {ratio:.2} |");
    }
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Vec<Case>> {
    let mut rounds = Vec::new();
    for n in 1..=args.rounds {
        eprintln!("round {n} of {} …", args.rounds);
        let mut round = Vec::new();
        for way in &WAYS {
            let jobs = args.jobs * way.times;
            let embedded = if way.call == 1 { jobs.div_ceil(10) } else { jobs };
            round.push((
                plain(way, jobs).await?,
                [ours(Kind::Redis, way, jobs).await?, ours(Kind::Sqlite, way, embedded).await?],
            ));
        }
        rounds.push(round);
    }
    let mut cases = Vec::new();
    for (broker, kind) in Kind::ALL.into_iter().enumerate() {
        for (n, way) in WAYS.iter().enumerate() {
            cases.push(Case {
                broker: kind.name(),
                producers: way.producers,
                jobs_a_call: way.call,
                jobs_a_second: median(rounds.iter().map(|round| round[n].1[broker])),
                plain_a_second: median(rounds.iter().map(|round| round[n].0)),
                ratio: median(rounds.iter().map(|round| round[n].1[broker] / round[n].0)),
            });
        }
    }
    Ok(cases)
}

async fn plain(way: &Way, jobs: usize) -> anyhow::Result<f64> {
    let server = RedisServer::start();
    let took = Queue::new(&server.url())?.fill(jobs, &payload(0), way.producers, way.call).await?;
    Ok(jobs as f64 / took.as_secs_f64())
}

async fn ours(kind: Kind, way: &Way, jobs: usize) -> anyhow::Result<f64> {
    let stage = Stage::start(kind, b"").await?;
    let (client, each) = (Client::from_broker(stage.broker.clone()), jobs / way.producers);
    let began = Instant::now();
    let mut producers = JoinSet::new();
    for _ in 0..way.producers {
        let (client, call) = (client.clone(), way.call);
        producers.spawn(async move {
            for from in (0..each).step_by(call) {
                client.enqueue_all((from..each.min(from + call)).map(noop).collect()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(producer) = producers.join_next().await {
        producer??;
    }
    let took = began.elapsed();
    let queued = stage.counts().await?.queued as usize;
    anyhow::ensure!(queued == each * way.producers, "{queued} jobs are queued");
    Ok(queued as f64 / took.as_secs_f64())
}
