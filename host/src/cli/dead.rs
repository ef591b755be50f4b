//! `afresh dead`: the jobs that have no more attempts. They wait here for a person, who retries or removes them.

use std::process::ExitCode;

use afresh_queue::{JobId, Timestamp};
use clap::builder::BoolishValueParser;
use clap::{ArgGroup, Args as ClapArgs, Subcommand};

use self::which::{Which, groups};
use super::act::Act;
use super::handle::Handle;
use super::job::{self, Limit};
use super::page::{cell, seen_from};
use super::selection::Selection;
use super::{Session, block_on};

mod which;

/// Looks at dead jobs, and retries or removes them.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  afresh dead ls --group                       what fails, most often first
  afresh dead ls --fingerprint 3fa1            the jobs of one group
  afresh dead retry --fingerprint 3fa1         run them again, once the cause is mended
  afresh dead purge --search 'no such user'    forget those that will never do")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List dead jobs, newest first, or with --group what they failed of
    Ls {
        /// List groups of jobs that failed alike, the largest first: numbers, ids and quoted words make no difference
        #[arg(long, env = "AFRESH_GROUP", value_parser = BoolishValueParser::new())]
        group: bool,
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
        .args(["ids", "all", "task", "kind", "queue", "fingerprint", "search"]))]
    Retry {
        /// These jobs
        #[arg(value_name = "ID", 
            conflicts_with_all = ["all", "task", "kind", "queue", "fingerprint", "search"])]
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

/// Whether a person has agreed beforehand.
#[derive(ClapArgs, Debug)]
pub(super) struct Yes {
    /// Do not ask
    #[arg(short, long, env = "AFRESH_YES", value_parser = BoolishValueParser::new())]
    pub(super) yes: bool,
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
            Verb::Ls { group: true, which, limit } => {
                list_groups(session, &handle, &which.find(&handle).await?, limit.jobs()).await
            }
            Verb::Ls { which, limit, .. } => {
                job::list(session, &handle, &which.find(&handle).await?, limit.jobs()).await
            }
            Verb::Show { id } => job::show(session, &handle, &id).await,
            Verb::Retry { ids, .. } if !ids.is_empty() => Act::Retry.on_each(&handle, output, ids).await,
            Verb::Retry { which, yes, .. } => {
                Act::Retry.on_all(&handle, output, &which.find(&handle).await?, yes.yes).await
            }
            Verb::Purge { which, yes, .. } => {
                Act::Remove.on_all(&handle, output, &which.find(&handle).await?, yes.yes).await
            }
        }
    })
}

/// Lists what dead jobs failed of.
async fn list_groups(
    session: &Session,
    handle: &Handle,
    selection: &Selection,
    limit: usize,
) -> anyhow::Result<ExitCode> {
    let groups = groups(handle, selection, limit).await?;
    if groups.is_empty() && !session.output.is_json() {
        eprintln!("no such jobs in {}", handle.url());
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let headings = ["JOBS", "TASK", "KIND", "FINGERPRINT", "NEWEST", "MESSAGE"];
    session.output.listing(&groups, &headings, |group| {
        let fingerprint = if group.fingerprint.is_empty() { "-" } else { &group.fingerprint };
        vec![
            group.jobs.to_string(),
            cell(&group.task),
            group.kind.to_string(),
            cell(fingerprint),
            seen_from(now, group.newest_at),
            cell(group.message.lines().next().unwrap_or_default()),
        ]
    })?;
    if groups.len() == limit && !session.output.is_json() {
        eprintln!("note: these are the largest {limit}; --limit shows more");
    }
    Ok(ExitCode::SUCCESS)
}
