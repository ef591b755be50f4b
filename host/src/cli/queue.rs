//! `afresh queue`: which queues there are, how full they are and what is set about them; pausing and emptying one.

use std::process::ExitCode;

use afresh_queue::{Limit, QueueCounts, QueueRules, Rule, Scope, Timestamp};
use anyhow::anyhow;
use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use super::act::{confirmed, count};
use super::dead::Yes;
use super::handle::Handle;
use super::page::{cell, seen_from};
use super::scope::quoted;
use super::{Session, block_on, pause};

/// Looks at queues, pauses and empties them.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  afresh queue pause mail                     nothing of it starts; what runs goes on
  afresh queue pause default --task import    one task only
  afresh queue resume mail
  afresh queue fair default                   nobody's thousand jobs make another's wait")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List every queue with the number of its jobs in each state, and since when the next one to start waits
    Ls,
    /// Show one queue
    Show {
        /// The queue
        name: String,
    },
    /// Start nothing more of a queue, or of one task or key in it, on any worker; what runs goes on
    Pause(pause::What),
    /// Let a queue, or a task or key in it, go on
    Resume(pause::What),
    /// Let the keys of a queue take turns, or with off start its jobs first in, first out
    Fair(pause::Fairness),
    /// Remove every job of a queue that has not begun: scheduled and queued
    Purge {
        /// The queue
        name: String,
        #[command(flatten)]
        yes: Yes,
    },
}

/// A queue as it is shown: its jobs, and what is set about it.
#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    counts: QueueCounts,
    /// Whether the whole queue is paused; tasks and keys of it may be as well.
    paused: bool,
    /// Whether its keys take turns.
    fair: bool,
    /// Its limits and pauses.
    rules: Vec<Rule>,
    /// Held jobs that wait for a worker of a newer version.
    newer: u64,
}

impl View {
    fn new(counts: QueueCounts, all: &[QueueRules]) -> Self {
        let of_queue = all.iter().find(|rules| rules.queue == counts.queue);
        let (fair, rules) = of_queue.map_or((false, Vec::new()), |rules| (rules.fair, rules.rules.clone()));
        let newer = of_queue.map_or(0, |rules| rules.newer);
        let paused = rules.iter().any(|rule| rule.scope == Scope::Queue && rule.paused);
        Self { counts, paused, fair, rules, newer }
    }

    /// What is set about it, in a few words.
    fn settings(&self) -> String {
        let limits = self.rules.iter().any(|rule| rule.limit != Limit::default());
        let parts = self.rules.iter().any(|rule| rule.scope != Scope::Queue && rule.paused);
        let words = [
            (self.paused, "paused"),
            (!self.paused && parts, "partly paused"),
            (limits, "limited"),
            (self.fair, "fair"),
            (self.newer > 0, "waits for a newer worker"),
        ];
        let words: Vec<_> = words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect();
        if words.is_empty() { "-".to_owned() } else { words.join(", ") }
    }
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
    match args.verb {
        Verb::Ls => block_on(async { list(session, &Handle::open(session).await?).await }),
        Verb::Show { name } => block_on(async { show(session, &Handle::open(session).await?, &name).await }),
        Verb::Pause(what) => pause::set(session, what, true),
        Verb::Resume(what) => pause::set(session, what, false),
        Verb::Fair(fairness) => pause::set_fair(session, fairness),
        Verb::Purge { name, yes } => {
            block_on(async { purge(session, &Handle::open(session).await?, &name, yes.yes).await })
        }
    }
}

async fn list(session: &Session, handle: &Handle) -> anyhow::Result<ExitCode> {
    let queues = handle.ask(handle.broker.queues()).await?;
    if queues.is_empty() && !session.output.is_json() {
        eprintln!("{} has no queues yet: the first job makes one", handle.url());
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let rules = handle.ask(handle.broker.rules()).await?;
    let queues: Vec<_> = queues.into_iter().map(|counts| View::new(counts, &rules)).collect();
    let columns: Vec<Column> = COLUMNS.into_iter().filter(|column| column.is_shown(&queues)).collect();
    let headings: Vec<_> = columns.iter().map(|column| column.heading).collect();
    session
        .output
        .listing(&queues, &headings, |queue| columns.iter().map(|column| (column.of)(queue, now)).collect())?;
    Ok(ExitCode::SUCCESS)
}

async fn show(session: &Session, handle: &Handle, name: &str) -> anyhow::Result<ExitCode> {
    let queue = View::new(known(handle, name).await?, &handle.ask(handle.broker.rules()).await?);
    session.output.value(&queue, |queue| page(queue, Timestamp::now()))?;
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

/// Says so where a queue has had no job yet: it may be a slip of the pen.
///
/// # Errors
/// The broker's own.
pub(super) async fn note_if_new(handle: &Handle, name: &str) -> anyhow::Result<()> {
    let queues = handle.ask(handle.broker.queues()).await?;
    if !queues.iter().any(|queue| queue.queue == name) {
        eprintln!("note: the queue {} has had no job yet", cell(name));
    }
    Ok(())
}

fn page(queue: &View, now: Timestamp) -> String {
    let mut lines = vec![format!("queue {}", cell(&queue.counts.queue))];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<13} {value}"));
    for (state, jobs) in counts(&queue.counts) {
        line(state, jobs.to_string());
    }
    line("oldest queued", oldest(&queue.counts, now));
    line("settings", queue.settings());
    let (name, limits) = (quoted(&queue.counts.queue), !queue.rules.is_empty());
    let resume = queue.paused.then(|| format!("  afresh queue resume {name}   let it go on"));
    let look = limits.then(|| format!("  afresh limit ls --queue {name}   see its limits and pauses"));
    let upgrade = (queue.newer > 0)
        .then(|| format!("  afresh workers   see which versions work here: {} for a newer one", waiting(queue.newer)));
    let todo: Vec<_> = resume.into_iter().chain(look).chain(upgrade).collect();
    if !todo.is_empty() {
        lines.push("\nwhat to do".to_owned());
    }
    lines.extend(todo);
    lines.join("\n")
}

fn waiting(jobs: u64) -> String {
    format!("{jobs} {}", if jobs == 1 { "job waits" } else { "jobs wait" })
}

/// A column of the listing.
struct Column {
    heading: &'static str,
    of: fn(&View, Timestamp) -> String,
    /// Whether it is shown also where no queue has anything in it: all of them together are wider than a terminal.
    always: bool,
}

impl Column {
    fn is_shown(&self, queues: &[View]) -> bool {
        self.always || queues.iter().any(|queue| !matches!((self.of)(queue, Timestamp::default()).as_str(), "0" | "-"))
    }
}

const COLUMNS: [Column; 11] = [
    Column { heading: "QUEUE", of: |queue, _| cell(&queue.counts.queue), always: true },
    Column { heading: "SCHEDULED", of: |queue, _| queue.counts.scheduled.to_string(), always: true },
    Column { heading: "QUEUED", of: |queue, _| queue.counts.queued.to_string(), always: true },
    Column { heading: "HELD", of: |queue, _| queue.counts.held.to_string(), always: false },
    Column { heading: "RUNNING", of: |queue, _| queue.counts.running.to_string(), always: true },
    Column { heading: "SUCCEEDED", of: |queue, _| queue.counts.succeeded.to_string(), always: true },
    Column { heading: "DEAD", of: |queue, _| queue.counts.dead.to_string(), always: true },
    Column { heading: "CANCELLED", of: |queue, _| queue.counts.cancelled.to_string(), always: false },
    Column { heading: "EXPIRED", of: |queue, _| queue.counts.expired.to_string(), always: false },
    Column { heading: "OLDEST", of: |queue, now| oldest(&queue.counts, now), always: true },
    Column { heading: "SETTINGS", of: |queue, _| queue.settings(), always: false },
];

fn counts(queue: &QueueCounts) -> [(&'static str, u64); 8] {
    [
        ("scheduled", queue.scheduled),
        ("queued", queue.queued),
        ("held", queue.held),
        ("running", queue.running),
        ("succeeded", queue.succeeded),
        ("dead", queue.dead),
        ("cancelled", queue.cancelled),
        ("expired", queue.expired),
    ]
}

fn oldest(queue: &QueueCounts, now: Timestamp) -> String {
    queue.oldest_queued_at.map_or_else(|| "-".to_owned(), |at| seen_from(now, at))
}
