//! The same no-op drain on Afresh and on the queues that people use: Dramatiq, Celery, RQ, BullMQ, apalis and rusty-sidekiq,
//! each from its registry in the release that a file beside it names, with the settings that are recommended for production.
//!
//! `cargo bench --workspace --bench peers [-- --json --only NAME,… --jobs N --rounds N]`. One whose runtime is missing is
//! skipped by name; one that cannot be installed, or fails, is an error by name, and the others go on.
//!
//! How it is timed, the same for all. Each drain has a fresh Redis without persistence; jobs of 100 bytes are enqueued, then
//! the worker is started, whose handler returns at once. From outside, Redis is asked every other millisecond how many jobs
//! are *left*: not taken yet, or taken and not acknowledged. The clock starts at the look that first sees one gone, so that
//! no start of a runtime counts, and ends at the look that sees the last twentieth; the jobs that went between the two, over
//! that time, are the rate. Then the rest must go too. Where Redis keeps no count of what runs, a job is gone when it is
//! taken. Figures of shared machines wander, so everybody has a turn in each round, and what counts is the median of the
//! ratios within one.
//!
//! * [`contender`]: what one must be able to do and tell; [`peer`] is one that is a program of another queue, and each queue
//!   has a file
//! * [`installed`]: the programs (`programs`, `rust`), with what they need, under `target/peers`
//! * [`drain`]: one drain of one contender; [`look`] asks its Redis, [`tree`] looks at its processes
//! * [`findings`]: the figures of all rounds; [`table`] prints them

mod afresh;
mod apalis;
mod bullmq;
mod celery;
#[path = "../shared/child.rs"]
mod child;
mod contender;
mod drain;
mod dramatiq;
mod findings;
mod installed;
mod look;
mod peer;
#[expect(unreachable_pub, reason = "chaos hands on what is in it")]
#[path = "../shared/process.rs"]
mod process;
#[path = "../shared/program.rs"]
mod program;
#[path = "../shared/python.rs"]
mod python;
mod rq;
mod sidekiq;
mod table;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use contender::Contender;
use findings::{Absent, Findings};
use installed::Missing;

/// Measures Afresh beside other queues.
#[derive(Parser)]
struct Args {
    /// Only those whose name contains one of these; without Afresh there are no ratios
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// The most jobs of one drain, for a quick look; else as many as take some seconds
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    jobs: usize,
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The Python that runs what is Python
    #[arg(long, default_value = "python3")]
    python: PathBuf,
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

/// A peer by name, and how to make it ready: a contender for each of its settings.
type Peer = (&'static str, fn(&Args) -> anyhow::Result<Vec<Box<dyn Contender>>>);

const PEERS: [Peer; 7] = [
    ("Afresh", |args| afresh::contenders(args.afresh.clone())),
    ("apalis", |_| apalis::contenders()),
    ("rusty-sidekiq", |_| sidekiq::contenders()),
    ("BullMQ", |_| bullmq::contenders()),
    ("Dramatiq", |args| dramatiq::contenders(&args.python)),
    ("Celery", |args| celery::contenders(&args.python)),
    ("RQ", |args| rq::contenders(&args.python)),
];

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let (mut contenders, mut absent) = (Vec::new(), Vec::new());
    for (name, make) in PEERS.into_iter().filter(|(name, _)| args.wants(name)) {
        eprintln!("making {name} ready …");
        match make(&args) {
            Ok(ready) => contenders.extend(ready.into_iter().map(|contender| (contender, Vec::new()))),
            Err(error) => absent.push(because(name.to_owned(), &error)),
        }
    }
    anyhow::ensure!(!contenders.is_empty() || !absent.is_empty(), "no queue's name contains one of {:?}", args.only);
    for round in 1..=args.rounds {
        // Who fails has no further turn, and no row.
        contenders.retain_mut(|(contender, drains)| {
            let facts = contender.facts();
            eprintln!("round {round} of {}: {facts} …", args.rounds);
            let drained = drain::run(contender.as_ref(), facts.jobs.min(args.jobs));
            drained
                .map(|drained| drains.push(drained))
                .map_err(|error| absent.push(because(facts.to_string(), &error)))
                .is_ok()
        });
    }
    let findings = Findings::of(&contenders, absent);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        println!("{}", table::of(&findings, args.rounds));
    }
    Ok(if findings.absent.iter().all(|absent| absent.skipped) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.only.is_empty() || self.only.iter().any(|only| name.contains(&only.to_lowercase()))
    }
}

/// Why somebody has no row; said at once, because a run takes minutes.
fn because(name: String, error: &anyhow::Error) -> Absent {
    let absent = Absent { name, skipped: error.is::<Missing>(), why: format!("{error:#}") };
    eprintln!("{absent}");
    absent
}
