//! What one attempt takes, beside its limit: bare wasmtime that makes a store and an instance of the same module, calls it,
//! and does nothing else.
//!
//! `cargo bench --workspace --bench attempt [-- --json]`
//!
//! * `guests`: what runs, a task of the SDK and a plain command, and what it is given
//! * `site`: ours and the limit, set up alike
//! * `cases`: how they are measured, one right after the other
//! * `table`: how it is written
//! * `bare`: the limit
//!
//! *Warm* is the attempt alone: its module is compiled and linked, its slot has run it before. *Cold* is the first attempt
//! after a start: compiled code as the cache holds it is loaded and linked, then run once, in a slot that ran another module
//! before. Figures of shared machines wander. So each round measures ours and bare one right after the other, and what
//! counts is the median of the ratios within a round.

mod bare;
mod cases;
mod guests;
mod site;
mod table;

use clap::Parser;

/// Measures attempts.
#[derive(Parser)]
struct Args {
    /// Rounds, of which the median counts
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Milliseconds that each measurement lasts, about
    #[arg(long, default_value_t = 50)]
    millis: u64,
    /// Only the cases whose names hold this, such as `SDK, 0.1 KB, warm`
    #[arg(long, default_value = "")]
    only: String,
    /// Instead, make so many attempts of ours in each case, and measure nothing: for a profiler
    #[arg(long, value_name = "ATTEMPTS")]
    profile: Option<usize>,
    /// With --profile, let bare wasmtime make them
    #[arg(long, requires = "profile")]
    bare: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let findings = cases::measure(&args)?;
    if args.profile.is_some() {
        return Ok(());
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&findings)?),
        false => print!("{}", table::of(&findings)),
    }
    Ok(())
}
