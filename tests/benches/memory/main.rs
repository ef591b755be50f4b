//! The memory bench: what a task that allocates 128 MB and fails, again and again, leaves in its worker and in its broker.
//!
//! `cargo bench -p afresh-tests --bench memory -- --seconds 30 [--dramatiq] [--out DIR]` runs the real `afresh` on a real
//! Redis, and with `--dramatiq` the real Dramatiq beside it. It prints a table and what was promised, each with its figure;
//! it writes the table, every sample (CSV) and plots (SVG and PNG). It ends with 1 if a promise is broken.
//!
//! * [`scenario`]: what every contender is asked to do
//! * [`contender`]: what one must be able to do; [`afresh`] and [`dramatiq`] are the two
//! * [`recording`]: one run of one contender, with its [`sample`]s taken from outside
//! * [`summary`]: the figures of a run; [`promises`] holds Afresh's against what it must show
//! * [`table`], [`csv`], [`plot`]: the same for people

#![expect(unreachable_pub, reason = "in a program `pub` says that another module uses it")]

mod afresh;
#[path = "../shared/child.rs"]
mod child;
mod contender;
mod csv;
mod dramatiq;
mod plot;
#[path = "../shared/process.rs"]
mod process;
#[path = "../shared/program.rs"]
mod program;
mod promises;
#[path = "../shared/python.rs"]
mod python;
mod recording;
mod sample;
mod scenario;
mod summary;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use contender::Contender;
use recording::Recording;
use scenario::Scenario;
use summary::Summary;

/// What a task that allocates 128 MB and fails leaves behind, in its worker and in its broker.
#[derive(Parser, Debug)]
struct Args {
    /// How long each run lasts, from its first attempt
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Run the same on the real Dramatiq, from PyPI
    #[arg(long)]
    dramatiq: bool,
    /// The Python that Dramatiq runs on
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Run only the contenders whose name contains this
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// Where table, samples and plots are written
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/memory"))]
    out: PathBuf,
    /// The `afresh` to measure, instead of building this checkout's in release
    #[arg(long)]
    afresh: Option<PathBuf>,
    /// Cargo says this to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    run(&Args::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Success if every promise is kept.
fn run(args: &Args) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.out).with_context(|| format!("failed to make the folder {}", args.out.display()))?;
    let recordings = record_all(args, &contenders(args)?)?;
    let summaries: Vec<Summary> = recordings.iter().map(Summary::of).collect();

    csv::write(&recordings, &args.out)?;
    plot::write(&recordings, &args.out)?;
    let promises: Vec<_> = recordings.iter().filter(|run| run.is_afresh()).flat_map(promises::of).collect();
    let report = format!("{}{}", table::figures(&summaries), table::promises(&promises));
    std::fs::write(args.out.join("memory.md"), &report)?;
    println!("{report}\nTable, samples and plots are in {}", args.out.display());
    Ok(if promises.iter().all(|promise| promise.kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn contenders(args: &Args) -> anyhow::Result<Vec<Box<dyn Contender>>> {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let mut contenders: Vec<Box<dyn Contender>> = Vec::new();
    if afresh::NAME.contains(&args.only) {
        contenders.push(Box::new(afresh::Afresh::build(args.afresh.clone(), &cache)?));
    }
    if args.dramatiq {
        contenders.extend(dramatiq::contenders(&args.python, &cache));
    }
    contenders.retain(|contender| contender.name().contains(&args.only));
    anyhow::ensure!(!contenders.is_empty(), "there is no contender to run whose name contains {:?}", args.only);
    Ok(contenders)
}

/// One after the other, since they would disturb each other.
fn record_all(args: &Args, contenders: &[Box<dyn Contender>]) -> anyhow::Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    for scenario in Scenario::ALL {
        for contender in contenders {
            eprintln!("{} · {scenario} · {} s …", contender.name(), args.seconds);
            recordings.push(
                recording::record(contender.as_ref(), scenario, args.seconds, &args.out)
                    .with_context(|| format!("failed to run {} where {scenario}", contender.name()))?,
            );
        }
    }
    Ok(recordings)
}
