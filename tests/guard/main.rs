//! The guard of speed: how many instructions a job costs, against the numbers that are committed here. Times wander with the
//! machine and who else is on it; instructions, as valgrind counts them, do not.
//!
//! `scripts/guard [--check | --write]`. Three cases, all with no-op jobs of 100 bytes:
//! * `attempt`: warm attempts in the sandbox, on one thread
//! * `sqlite`: jobs enqueued, leased and settled in a file, 64 at a time: all that the process does for them
//! * `redis`: the same on Redis: what they cost the server
//!
//! Each runs with so many jobs and with twice as many: the difference is what jobs cost, without all that happens once. The
//! programs are those that `scripts/test` has built already, so our own crates are not optimised, but for what they stand
//! on: the numbers are for comparing with each other, and say nothing of time.

mod cases;
mod count;
mod numbers;

use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;

use cases::Case;
use numbers::Numbers;

/// Counts the instructions that a job costs.
#[derive(Parser)]
#[command(name = "scripts/guard")]
struct Args {
    /// Fail if a job costs more than it did, by more than the margin
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the numbers down, to be committed
    #[arg(long)]
    write: bool,
    /// Only run a case, to be counted
    #[arg(long, hide = true, requires = "jobs")]
    run: Option<Case>,
    /// With so many jobs
    #[arg(long, hide = true)]
    jobs: Option<usize>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let (Some(case), Some(jobs)) = (args.run, args.jobs) {
        case.run(jobs)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut found = Numbers::of_this_machine()?;
    for case in Case::ALL {
        let jobs = case.jobs();
        let (once, twice) = (count::instructions(case, jobs)?, count::instructions(case, 2 * jobs)?);
        let Some(more) = twice.checked_sub(once) else { bail!("{} costs less with more jobs", case.name()) };
        found.instructions.insert(case.name().to_owned(), more / jobs as u64);
    }
    if args.write {
        found.write()?;
    }
    let (table, faults) = Numbers::committed()?.compare(&found);
    print!("{table}");
    faults.iter().for_each(|fault| println!("\n{fault}"));
    Ok(if args.check && !faults.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
