//! What a worker with 16 slots holds in memory while it runs a million jobs.

use std::collections::BTreeMap;

use afresh_bench_kit::guest::noop;
use afresh_bench_kit::{Kind, Stage, drain};
use serde::Serialize;

use crate::{Site, process};

const JOBS: usize = 1_000_000;
const SLOTS: usize = 16;

/// Jobs between two looks.
const STEP: usize = 100_000;

/// Resident memory, in MiB.
#[derive(Serialize)]
struct Findings {
    /// After so many jobs.
    resident: BTreeMap<usize, f64>,
    /// The most there ever was.
    peak: f64,
}

pub(crate) async fn run(site: &Site, json: bool) -> anyhow::Result<()> {
    let stage = Stage::start(Kind::Redis, &site.wasm).await?;
    let workers = stage.warm_workers(1, || stage.worker(&site.program).slots(SLOTS)).await?;
    let of = |field| anyhow::Ok(process::memory(workers[0].pid(), field)? as f64 / f64::from(1 << 20));
    stage.pause(true).await?;
    stage.enqueue((0..JOBS).map(noop)).await?;
    let mut resident = BTreeMap::from([(0, of("VmRSS")?)]);
    stage.pause(false).await?;
    for done in (STEP..=JOBS).step_by(STEP) {
        drain::until(&stage, (JOBS - done) as u64, |_| ()).await?;
        resident.insert(done, of("VmRSS")?);
    }
    let findings = Findings { resident, peak: of("VmHWM")? };
    if json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
        return Ok(());
    }
    println!("a worker with {SLOTS} slots\n\n| jobs | resident, MiB |\n|--:|--:|");
    for (jobs, resident) in &findings.resident {
        println!("| {jobs} | {resident:.1} |");
    }
    println!("| peak | {:.1} |", findings.peak);
    Ok(())
}
