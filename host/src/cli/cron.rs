//! `afresh cron`: periodic jobs, kept in the broker; whichever worker serves the queue makes their jobs.

use std::process::ExitCode;

use afresh_queue::{CronView, Schedule, Timestamp};
use anyhow::anyhow;
use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;

use self::page::Due;
use super::enqueue::{Accepted, client};
use super::handle::Handle;
use super::output::print_line;
use super::page::cell;
use super::{Session, Usage, block_on};

mod add;
mod page;

const EXAMPLES: &str = "\
Examples:
  afresh cron add tidy '*/5 * * * *' tidy                      every five minutes
  afresh cron add report '30 7 * * 1-5' report @report.json --timezone Europe/Berlin
  afresh cron add bill '0 0 1 * *' bill --missed run-once      also after a night without workers
  afresh cron add beat '*/10 * * * * *' beat                   six fields begin with the seconds
  afresh cron run report                                       once now, besides its times

Quote the cron line, or the shell makes file names of its asterisks.";

/// Makes jobs at the times a cron line says.
#[derive(ClapArgs, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List periodic jobs, and when each is due
    Ls,
    /// Show one periodic job, and the next times it is due
    Show {
        /// The periodic job
        name: String,
    },
    /// Add a periodic job, or change the one of this name; one that is paused stays paused
    #[command(after_help = EXAMPLES)]
    Add(Box<add::Args>),
    /// Remove periodic jobs; the jobs they made stay
    Rm(Names),
    /// Make no more jobs of periodic ones, until they are resumed
    Pause(Names),
    /// Let periodic jobs go on, from their next time after now
    Resume(Names),
    /// Enqueue a job of a periodic one now, besides its times, also where it is paused; prints the job's id
    Run {
        /// The periodic job
        name: String,
    },
}

#[derive(ClapArgs, Debug)]
struct Names {
    /// The periodic jobs
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// What is done to a periodic job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Remove,
    Pause(bool),
}

/// What became of one periodic job, for programs.
#[derive(Serialize)]
struct Done {
    name: String,
    done: bool,
}

/// Runs the verb.
///
/// # Errors
/// [`Usage`] where a periodic job cannot be; when the broker cannot be reached, or there is none of this name.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Add(args) => add::run(session, *args),
        Verb::Ls => block_on(async { list(session, &Handle::open(session).await?).await }),
        Verb::Show { name } => block_on(async { show(session, &Handle::open(session).await?, &name).await }),
        Verb::Rm(names) => block_on(Act::Remove.on_each(session, names)),
        Verb::Pause(names) => block_on(Act::Pause(true).on_each(session, names)),
        Verb::Resume(names) => block_on(Act::Pause(false).on_each(session, names)),
        Verb::Run { name } => block_on(async { make(session, &Handle::open(session).await?, &name).await }),
    }
}

async fn list(session: &Session, handle: &Handle) -> anyhow::Result<ExitCode> {
    let crons = handle.ask(handle.broker.crons()).await?;
    if crons.is_empty() && !session.output.is_json() {
        eprintln!("no periodic jobs in {}: `afresh cron add --help` shows how to add one", handle.url());
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    session.output.listing(&crons, &page::HEADINGS, |cron| page::row(cron, now))?;
    Ok(ExitCode::SUCCESS)
}

async fn show(session: &Session, handle: &Handle, name: &str) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let due = Due::new(known(handle, name).await?, 5, now);
    session.output.value(&due, |due| page::page(due, now))?;
    Ok(ExitCode::SUCCESS)
}

async fn make(session: &Session, handle: &Handle, name: &str) -> anyhow::Result<ExitCode> {
    let job = known(handle, name).await?.cron.job_now();
    let enqueued = handle.ask(client(session, handle).enqueue(job)).await?;
    session.output.value(&Accepted::from(&enqueued), |_| enqueued.id.to_string())?;
    Ok(ExitCode::SUCCESS)
}

impl Act {
    /// Does it to these, and says of each that nobody knows.
    async fn on_each(self, session: &Session, Names { mut names }: Names) -> anyhow::Result<ExitCode> {
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let handle = Handle::open(session).await?;
        let before = handle.ask(handle.broker.crons()).await?;
        let mut rows = Vec::with_capacity(names.len());
        for name in names {
            let is_so = before.iter().any(|view| view.cron.name == name && Self::Pause(view.paused) == self);
            let done = match self {
                Self::Remove => handle.ask(handle.broker.remove_cron(&name)).await?,
                Self::Pause(paused) => handle.ask(handle.broker.pause_cron(&name, paused)).await?,
            };
            if !done {
                eprintln!("error: {}", unknown(&handle, &name));
            } else if !session.output.is_json() {
                print_line(&self.said(&name, is_so))?;
            }
            rows.push(Done { name, done });
        }
        if session.output.is_json() {
            session.output.value(&rows, |_| String::new())?;
        }
        Ok(if rows.iter().all(|row| row.done) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// What was done, or that it was so already.
    fn said(self, name: &str, is_so: bool) -> String {
        match (self, is_so) {
            (Self::Remove, _) => format!("removed {name}: the jobs it made stay"),
            (Self::Pause(true), false) => format!("paused {name}: it makes no jobs until `afresh cron resume {name}`"),
            (Self::Pause(true), true) => format!("{name} is paused already"),
            (Self::Pause(false), false) => format!("resumed {name}"),
            (Self::Pause(false), true) => format!("{name} is not paused"),
        }
    }
}

/// The periodic job of this name.
///
/// # Errors
/// When there is none, or the broker fails.
async fn known(handle: &Handle, name: &str) -> anyhow::Result<CronView> {
    let crons = handle.ask(handle.broker.crons()).await?;
    crons.into_iter().find(|view| view.cron.name == name).ok_or_else(|| anyhow!(unknown(handle, name)))
}

fn unknown(handle: &Handle, name: &str) -> String {
    format!("there is no periodic job {} in {}: `afresh cron ls` shows which there are", cell(name), handle.url())
}
