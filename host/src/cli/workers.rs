//! `afresh workers`: who is alive, and what each is running.

use std::process::ExitCode;

use afresh_queue::{RunningJob, Timestamp, WorkerView};
use bytesize::ByteSize;

use super::handle::Handle;
use super::output::table;
use super::page::{cell, seen_from};
use super::{Session, block_on};

/// Shows who is alive, and what each worker is running
#[derive(clap::Args, Debug)]
pub(super) struct Args {}

/// Runs the verb.
///
/// # Errors
/// When the broker cannot be reached.
pub(super) fn run(session: &Session, Args {}: &Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let handle = Handle::open(session).await?;
        let workers = handle.ask(handle.broker.workers()).await?;
        if workers.is_empty() && !session.output.is_json() {
            eprintln!("no worker serves {}: start one with `afresh worker`", handle.url());
            return Ok(ExitCode::SUCCESS);
        }
        session.output.value(&workers, |workers| page(workers, Timestamp::now()))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The workers as a table, and below it what they run as another.
fn page(workers: &[WorkerView], now: Timestamp) -> String {
    let headings = ["WORKER", "STATE", "SLOTS", "MEMORY", "QUEUES", "VERSION", "HOST", "PID", "STARTED", "LAST SEEN"];
    let mut page = table(&headings, workers.iter().map(|worker| row(worker, now))).to_string();
    let jobs = |worker: &WorkerView| -> Vec<_> {
        worker.info.running.iter().map(|job| job_row(&worker.info.name, job, now)).collect()
    };
    let rows: Vec<_> = workers.iter().flat_map(jobs).collect();
    if !rows.is_empty() {
        page += &format!("\n\n{}", table(&["RUNS", "TASK", "QUEUE", "SINCE", "WORKER"], rows));
    }
    for worker in workers {
        let more = worker.info.running_total.saturating_sub(worker.info.running.len());
        if more > 0 {
            page += &format!("\n{} runs {more} more", cell(&worker.info.name));
        }
    }
    page
}

fn row(WorkerView { info, last_seen, gone }: &WorkerView, now: Timestamp) -> Vec<String> {
    let state = match (gone, info.stopping) {
        (true, _) => "gone",
        (false, true) => "stopping",
        (false, false) => "alive",
    };
    vec![
        cell(&info.name),
        state.to_owned(),
        format!("{} of {}", info.running_total, info.slots),
        format!("{} of {}", ByteSize(info.memory_used_bytes), ByteSize(info.memory_budget_bytes)),
        cell(&info.queues.join(",")),
        cell(&info.version),
        cell(&info.host),
        info.pid.to_string(),
        seen_from(now, info.started_at),
        seen_from(now, *last_seen),
    ]
}

fn job_row(worker: &str, job: &RunningJob, now: Timestamp) -> Vec<String> {
    vec![job.job.to_string(), cell(&job.task), cell(&job.queue), seen_from(now, job.since), cell(worker)]
}
