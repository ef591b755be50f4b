//! `afresh job`: look at jobs, and do by hand what can be done to them.

use std::process::ExitCode;

use afresh_queue::{JobFilter, JobId, JobView, State, Timestamp};
use anyhow::anyhow;
use clap::{Args as ClapArgs, Subcommand};

use super::act::{self, Act};
use super::handle::Handle;
use super::output::print_reply;
use super::selection::Selection;
use super::{Session, block_on, cancel, hold, log, page};

/// Looks at jobs, and cancels, retries or removes them.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  afresh job ls --state running
  afresh job show ID        where it stands, what holds it, and what to do
  afresh job log ID         what its attempts logged
  afresh job cancel ID      ends it, also where it runs")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List jobs, newest first
    Ls(Listing),
    /// Show all that is known of a job: state, times, attempts, errors, and what to do
    Show {
        /// The job
        id: JobId,
    },
    /// Print a job's result, byte for byte
    Result {
        /// The job
        id: JobId,
    },
    /// Print what a job's attempts logged, as far as it is kept
    Log {
        /// The job
        id: JobId,
    },
    /// Cancel jobs: those that wait at once, those that run by asking their workers to end them
    Cancel(cancel::Args),
    /// Queue dead, cancelled or expired jobs again, with fresh attempts
    Retry(Ids),
    /// Remove jobs that are not running, with their results
    Rm(Ids),
}

#[derive(ClapArgs, Debug)]
struct Ids {
    /// The jobs
    #[arg(required = true, value_name = "ID")]
    ids: Vec<JobId>,
}

#[derive(ClapArgs, Debug)]
struct Listing {
    /// Only jobs of this queue
    #[arg(long, value_name = "NAME", env = "AFRESH_QUEUE")]
    queue: Option<String>,
    /// Only jobs of this task
    #[arg(long, value_name = "NAME", env = "AFRESH_TASK")]
    task: Option<String>,
    /// Only jobs in this state: scheduled, queued, running, succeeded, dead, cancelled or expired
    #[arg(long, env = "AFRESH_STATE")]
    state: Option<State>,
    #[command(flatten)]
    limit: Limit,
}

/// How long a listing may be.
#[derive(ClapArgs, Debug)]
pub(super) struct Limit {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, env = "AFRESH_LIMIT", allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

impl Limit {
    /// The number.
    pub(super) fn jobs(&self) -> usize {
        self.limit as usize
    }
}

/// Runs the verb.
///
/// # Errors
/// When the broker cannot be reached, or there is no such job.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let handle = Handle::open(session).await?;
        match args.verb {
            Verb::Ls(Listing { queue, task, state, limit }) => {
                let filter = JobFilter { queue, task, state, ..JobFilter::default() };
                list(session, &handle, &Selection { filter, search: None }, limit.jobs()).await
            }
            Verb::Show { id } => show(session, &handle, &id).await,
            Verb::Result { id } => result(&handle, &id).await,
            Verb::Log { id } => log::run(&handle, session.output, &id).await,
            Verb::Cancel(args) => cancel::run(&handle, session.output, args).await,
            Verb::Retry(Ids { ids }) => Act::Retry.on_each(&handle, session.output, ids).await,
            Verb::Rm(Ids { ids }) => Act::Remove.on_each(&handle, session.output, ids).await,
        }
    })
}

/// Lists the jobs that match.
///
/// # Errors
/// The broker's own.
pub(super) async fn list(
    session: &Session,
    handle: &Handle,
    selection: &Selection,
    limit: usize,
) -> anyhow::Result<ExitCode> {
    let (jobs, more) = selection.jobs(handle, limit).await?;
    if jobs.is_empty() && !session.output.is_json() {
        eprintln!("no such jobs in {}", handle.url());
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    session.output.listing(&jobs, &page::HEADINGS, |job| page::row(job, now))?;
    if more && !session.output.is_json() {
        eprintln!("note: these are the newest {limit}; --limit shows more");
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows one job.
///
/// # Errors
/// When there is none of this id, or the broker fails.
pub(super) async fn show(session: &Session, handle: &Handle, id: &JobId) -> anyhow::Result<ExitCode> {
    let job = known(handle, id).await?;
    let rules = handle.ask(handle.broker.rules()).await?;
    let hold = hold::of(&job, &rules);
    session.output.value(&job, |job| page::page(job, hold.as_ref(), Timestamp::now()))?;
    Ok(ExitCode::SUCCESS)
}

async fn result(handle: &Handle, id: &JobId) -> anyhow::Result<ExitCode> {
    if let Some(bytes) = handle.ask(handle.broker.result(id)).await? {
        print_reply(&bytes)?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(match known(handle, id).await?.state {
        State::Succeeded => anyhow!("job {id} succeeded, but its result is no longer kept"),
        state if state.is_terminal() => {
            anyhow!("job {id} is {state} and has no result: `afresh job show {id}` says what happened")
        }
        state => anyhow!("job {id} is {state} and has no result yet: ask again later"),
    })
}

/// The job of this id.
///
/// # Errors
/// When there is none, or the broker fails.
pub(super) async fn known(handle: &Handle, id: &JobId) -> anyhow::Result<JobView> {
    handle.ask(handle.broker.job(id)).await?.ok_or_else(|| anyhow!(act::unknown(handle, id)))
}
