//! `afresh queue`: which queues there are, how full they are, and emptying one.

use std::process::ExitCode;

use afresh_queue::{QueueCounts, Timestamp};
use anyhow::anyhow;
use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::act::{confirmed, count};
use super::dead::Yes;
use super::handle::Handle;
use super::page::{cell, seen_from};
use super::{Session, block_on};

/// Looks at queues, and empties them.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List every queue with the number of its jobs in each state
    Ls,
    /// Show one queue
    Show {
        /// The queue
        name: String,
    },
    /// Remove every job of a queue that has not begun: scheduled and queued
    Purge {
        /// The queue
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
}

/// What became of a purge, for programs.
#[derive(Serialize)]
struct Purged {
    removed: u64,
}

/// Runs the verb.
///
/// # Errors
/// When the broker cannot be reached, there is no such queue, or nobody can be asked.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let handle = Handle::open(session).await?;
        match args.verb {
            Verb::Ls => list(session, &handle).await,
            Verb::Show { name } => {
                let queue = known(&handle, &name).await?;
                session.output.value(&queue, |queue| page(queue, Timestamp::now()))?;
                Ok(ExitCode::SUCCESS)
            }
            Verb::Purge { name, yes } => purge(session, &handle, &name, yes.yes).await,
        }
    })
}

async fn list(session: &Session, handle: &Handle) -> anyhow::Result<ExitCode> {
    let queues = handle.ask(handle.broker.queues()).await?;
    if queues.is_empty() && !session.output.is_json() {
        eprintln!("{} has no queues yet: the first job makes one", handle.url());
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let headings = ["QUEUE", "SCHEDULED", "QUEUED", "RUNNING", "SUCCEEDED", "DEAD", "CANCELLED", "OLDEST QUEUED"];
    session.output.listing(&queues, &headings, |queue| {
        let mut row = vec![cell(&queue.queue)];
        row.extend(counts(queue).map(|(_, jobs)| jobs.to_string()));
        row.push(oldest(queue, now));
        row
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn purge(session: &Session, handle: &Handle, name: &str, yes: bool) -> anyhow::Result<ExitCode> {
    let queue = known(handle, name).await?;
    let waiting = usize::try_from(queue.scheduled + queue.queued).unwrap_or(usize::MAX);
    if waiting > 0 && !confirmed(&format!("{} of the queue {name} will be removed", count(waiting)), yes)? {
        return Ok(ExitCode::FAILURE);
    }
    let removed = handle.ask(handle.broker.purge(name)).await?;
    session.output.value(&Purged { removed }, |_| format!("removed {}", count(removed as usize)))?;
    Ok(ExitCode::SUCCESS)
}

async fn known(handle: &Handle, name: &str) -> anyhow::Result<QueueCounts> {
    let queues = handle.ask(handle.broker.queues()).await?;
    queues.into_iter().find(|queue| queue.queue == name).ok_or_else(|| {
        anyhow!("there is no queue {} in {}: `afresh queue ls` shows which there are", cell(name), handle.url())
    })
}

fn page(queue: &QueueCounts, now: Timestamp) -> String {
    let mut lines = vec![format!("queue {}", cell(&queue.queue))];
    lines.extend(counts(queue).map(|(state, jobs)| format!("  {state:<13} {jobs}")));
    lines.push(format!("  {:<13} {}", "oldest queued", oldest(queue, now)));
    lines.join("\n")
}

fn counts(queue: &QueueCounts) -> [(&'static str, u64); 6] {
    [
        ("scheduled", queue.scheduled),
        ("queued", queue.queued),
        ("running", queue.running),
        ("succeeded", queue.succeeded),
        ("dead", queue.dead),
        ("cancelled", queue.cancelled),
    ]
}

fn oldest(queue: &QueueCounts, now: Timestamp) -> String {
    queue.oldest_queued_at.map_or_else(|| "-".to_owned(), |at| seen_from(now, at))
}
