//! `afresh batch`: jobs that belong together, with a callback when all of them have ended.

use std::path::PathBuf;
use std::process::ExitCode;

use afresh_queue::{BatchCancelled, BatchView, JobId, Timestamp};
use anyhow::{anyhow, bail};
use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use self::page::Shown;
use super::enqueue::client;
use super::handle::Handle;
use super::job::Limit;
use super::{Output, Session, block_on};

pub(super) mod document;
mod page;

/// Enqueues, shows and cancels batches: jobs that belong together, with a callback when all of them have ended.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  afresh batch enqueue nightly.json
  afresh batch show ID        how many of its members have ended, and how; and where its jobs stand
  afresh batch cancel ID      ends what is left, and calls nobody back

A batch is one JSON document. Its jobs are like a line of `afresh enqueue --jsonl`, chains, or batches of their own:
  {\"id\": \"nightly\", \"queue\": \"default\",
   \"jobs\": [{\"task\": \"export\", \"payload\": \"ann\"},
            {\"task\": \"export\", \"payload\": \"bob\", \"then\": [{\"task\": \"mail\"}]},
            {\"jobs\": [{\"task\": \"tidy\"}], \"then\": {\"task\": \"index\"}}],
   \"then\": {\"task\": \"report\", \"payload\": {\"to\": \"ops\"}}}")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Enqueue a batch, all of it or nothing, and print its id
    Enqueue {
        /// The JSON document, or - for standard input
        #[arg(value_name = "FILE|-")]
        file: PathBuf,
    },
    /// Show a batch: its counts, its jobs, its callback, and the batches in it
    Show {
        /// The batch
        id: JobId,
    },
    /// List batches, newest first
    Ls(Limit),
    /// Cancel what is left of a batch: what waits at once, what runs by asking the workers to end it
    Cancel {
        /// The batch
        id: JobId,
    },
}

/// A batch that was handed over, for programs.
#[derive(Serialize)]
struct Accepted<'a> {
    id: &'a JobId,
    created: bool,
}

/// A batch that was cancelled, for programs.
#[derive(Serialize)]
struct Done<'a> {
    id: &'a JobId,
    #[serde(flatten)]
    jobs: BatchCancelled,
}

/// Runs the verb.
///
/// # Errors
/// When the broker cannot be reached, the batch cannot be, or there is none to show or cancel.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    let output = session.output;
    match args.verb {
        Verb::Enqueue { file } => enqueue(session, &file),
        Verb::Show { id } => block_on(async { show(&Handle::open(session).await?, output, &id).await }),
        Verb::Ls(limit) => block_on(async { list(&Handle::open(session).await?, output, limit.jobs()).await }),
        Verb::Cancel { id } => block_on(async { cancel(&Handle::open(session).await?, output, &id).await }),
    }
}

fn enqueue(session: &Session, file: &std::path::Path) -> anyhow::Result<ExitCode> {
    // Read before the broker is touched.
    let batch = document::read(file)?;
    let most = usize::try_from(session.config.max_payload.as_u64()).unwrap_or(usize::MAX);
    batch.validate(most).map_err(|reason| anyhow!("{reason}; nothing was enqueued"))?;
    block_on(async {
        let handle = Handle::open(session).await?;
        let created = handle.ask(client(session, &handle).enqueue_batch(&batch)).await?.created;
        if !created {
            eprintln!("note: batch {} was there already and stays as it was", batch.id);
        }
        session.output.value(&Accepted { id: &batch.id, created }, |accepted| accepted.id.to_string())?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn show(handle: &Handle, output: Output, id: &JobId) -> anyhow::Result<ExitCode> {
    let batch = known(handle, id).await?;
    let shown = whole(handle, batch).await?;
    output.value(&shown, |shown| page::page(shown, Timestamp::now()))?;
    Ok(ExitCode::SUCCESS)
}

/// The batch with all that is in it, as far as it is kept.
async fn whole(handle: &Handle, batch: BatchView) -> anyhow::Result<Shown> {
    let jobs = handle.ask(handle.broker.batch_jobs(&batch.id)).await?;
    let mut nested = Vec::with_capacity(batch.batches.len());
    for id in &batch.batches {
        if let Some(inner) = handle.ask(handle.broker.batch(id)).await? {
            nested.push(Box::pin(whole(handle, inner)).await?);
        }
    }
    Ok(Shown { batch, jobs, nested })
}

async fn list(handle: &Handle, output: Output, limit: usize) -> anyhow::Result<ExitCode> {
    let batches = handle.ask(handle.broker.batches(limit)).await?;
    if batches.is_empty() && !output.is_json() {
        eprintln!("no batches in {}: `afresh batch --help` shows how to enqueue one", handle.url());
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    output.listing(&batches, &page::HEADINGS, |batch| page::row(batch, now))?;
    Ok(ExitCode::SUCCESS)
}

async fn cancel(handle: &Handle, output: Output, id: &JobId) -> anyhow::Result<ExitCode> {
    let Some(jobs) = handle.ask(handle.broker.cancel_batch(id)).await? else {
        let state = known(handle, id).await?.state;
        bail!("batch {id} is {state} already: only one that is open can be cancelled");
    };
    output.value(&Done { id, jobs }, |Done { jobs: BatchCancelled { cancelled, asked }, .. }| {
        format!("cancelled the batch {id}: {cancelled} cancelled at once, {asked} asked to end")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The batch of this id.
async fn known(handle: &Handle, id: &JobId) -> anyhow::Result<BatchView> {
    handle.ask(handle.broker.batch(id)).await?.ok_or_else(|| {
        anyhow!("there is no batch {id} in {}: it was never enqueued there, or is no longer kept", handle.url())
    })
}
