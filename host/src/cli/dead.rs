//! `afresh dead`: the jobs that have no more attempts. They wait here for a person, who retries or removes them.

use std::process::ExitCode;

use afresh_protocol::OutcomeKind;
use afresh_queue::{JobFilter, JobId, State};
use clap::builder::BoolishValueParser;
use clap::{ArgGroup, Args as ClapArgs, Subcommand};

use super::act::Act;
use super::handle::Handle;
use super::job::{self, Limit};
use super::{Session, block_on};

/// Looks at dead jobs, and retries or removes them.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List dead jobs, newest first
    Ls {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show all that is known of a job: attempts, errors, and what to do
    Show {
        /// The job
        id: JobId,
    },
    /// Queue dead jobs again, with fresh attempts: by their ids, or all that match
    #[command(group = ArgGroup::new("selection").required(true).multiple(true)
        .args(["ids", "all", "task", "kind", "queue"]))]
    Retry {
        /// These jobs
        #[arg(value_name = "ID", conflicts_with_all = ["all", "task", "kind", "queue"])]
        ids: Vec<JobId>,
        /// All dead jobs
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        yes: Yes,
    },
    /// Remove all dead jobs, or those that match
    Purge {
        /// All dead jobs, as when nothing else is said
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        yes: Yes,
    },
}

// What is retried or removed is said on the command line alone: a forgotten variable must not choose it.
#[derive(ClapArgs, Debug)]
struct Which {
    /// Only jobs of this task
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only jobs whose last attempt came to this, such as failed, rejected, timed_out or out_of_memory
    #[arg(long, value_name = "OUTCOME")]
    kind: Option<OutcomeKind>,
    /// Only jobs of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
}

/// Whether a person has agreed beforehand.
#[derive(ClapArgs, Debug)]
pub(super) struct Yes {
    /// Do not ask
    #[arg(short, long, env = "AFRESH_YES", value_parser = BoolishValueParser::new())]
    pub(super) yes: bool,
}

impl Which {
    fn filter(self, limit: usize) -> JobFilter {
        let Self { task, kind, queue } = self;
        JobFilter { queue, task, state: Some(State::Dead), outcome: kind, limit, ..JobFilter::default() }
    }
}

/// Runs the verb.
///
/// # Errors
/// When the broker cannot be reached, there is no such job, or nobody can be asked.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let handle = Handle::open(session).await?;
        let output = session.output;
        match args.verb {
            Verb::Ls { which, limit } => job::list(session, &handle, which.filter(limit.jobs())).await,
            Verb::Show { id } => job::show(session, &handle, &id).await,
            Verb::Retry { ids, .. } if !ids.is_empty() => Act::Retry.on_each(&handle, output, ids).await,
            Verb::Retry { which, yes, .. } => Act::Retry.on_all(&handle, output, which.filter(0), yes.yes).await,
            Verb::Purge { which, yes, .. } => Act::Remove.on_all(&handle, output, which.filter(0), yes.yes).await,
        }
    })
}
