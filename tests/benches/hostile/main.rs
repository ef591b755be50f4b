//! What hostile guests cost those beside them, and how soon they are ended.
//!
//! `cargo bench -p afresh-tests --bench hostile [-- --write]`; with `--write` the tables of `docs/hostile.md` are replaced.
//!
//! * `kills`: how long after its deadline, a cancel or a lost lease an attempt has ended, in the sandbox alone
//! * `neighbours`: what a stream of small jobs feels of a guest on the worker's other slot, beside quiet times of the same
//!   minute; and how soon a real worker ends what runs for too long
//! * `site`: the worker and its broker
//! * `figures`, `table`: medians, and how all of it is written
//!
//! Figures of shared machines wander. So quiet and loud times take turns, and what counts is their ratio.

mod figures;
mod kills;
mod neighbours;
#[path = "../shared/program.rs"]
mod program;
mod site;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Measures hostile guests.
#[derive(Parser)]
struct Args {
    /// The `afresh` to measure, instead of building this checkout's in release
    #[arg(long, value_name = "PROGRAM")]
    afresh: Option<PathBuf>,
    /// Attempts that are ended, for each guest and each reason
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Seconds that each quiet and each loud time lasts
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Quiet and loud times, in turn, for each guest
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// Only the guests whose names hold this
    #[arg(long, default_value = "")]
    only: String,
    /// Write the tables into docs/hostile.md
    #[arg(long)]
    write: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    run(&Args::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Success if every figure is within its bound.
fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let program = program::given_or_built(args.afresh.clone())?;
    eprintln!("ending attempts in the sandbox …");
    let mut kills = kills::measure(args.kills, &args.only)?;
    let neighbours = neighbours::measure(&program, args)?;
    kills.extend(neighbours.kills);
    let tables = format!("{}\n{}", table::neighbours(&neighbours.felt), table::kills(&kills));
    println!("{tables}");
    if args.write {
        write(&Path::new(ROOT).join("docs/hostile.md"), &tables)?;
    }
    let kept = neighbours.felt.iter().all(|felt| felt.is_kept()) && kills.iter().all(|kill| kill.is_kept());
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replaces what stands between the two marks of a page.
fn write(page: &Path, tables: &str) -> anyhow::Result<()> {
    const MARKS: [&str; 2] = ["<!-- the bench writes from here -->\n", "<!-- to here -->"];
    let text = std::fs::read_to_string(page).with_context(|| format!("failed to read {}", page.display()))?;
    let parts = text.split_once(MARKS[0]).zip(text.split_once(MARKS[1]));
    let ((before, _), (_, after)) = parts.with_context(|| format!("{} has no marks", page.display()))?;
    let new = format!("{before}{}\n{tables}\n{}{after}", MARKS[0], MARKS[1]);
    std::fs::write(page, new).with_context(|| format!("failed to write {}", page.display()))
}
