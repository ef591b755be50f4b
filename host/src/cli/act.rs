//! What a person does by hand to jobs that do not run: retry, remove; to some by their ids, or to many by a filter. Many
//! are counted first, and then a person is asked.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use afresh_queue::{Broker, BrokerError, JobId};
use serde::Serialize;

use super::handle::Handle;
use super::output::print_line;
use super::selection::{BULK, Selection};
use super::{Output, Usage};

/// The most jobs one call to the broker carries.
const CHUNK: usize = 500;

/// What is done to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// To be run again.
    Retry,
    /// To be forgotten.
    Remove,
}

/// What became of one job, for programs.
#[derive(Serialize)]
struct Done<'a> {
    id: &'a JobId,
    done: bool,
}

/// What became of a bulk action, for programs.
#[derive(Serialize)]
struct DoneMany {
    matched: usize,
    done: usize,
}

impl Act {
    fn past(self) -> &'static str {
        match self {
            Self::Retry => "retried",
            Self::Remove => "removed",
        }
    }

    /// Whom it can be done to.
    fn rule(self) -> &'static str {
        match self {
            Self::Retry => "only one that is dead, cancelled or expired can be retried",
            Self::Remove => "cancel it first, or let it end",
        }
    }

    async fn carry_out(self, broker: &dyn Broker, ids: &[JobId]) -> Result<Vec<bool>, BrokerError> {
        match self {
            Self::Retry => broker.retry(ids).await,
            Self::Remove => broker.remove(ids).await,
        }
    }

    /// Does it to these jobs, and says of each that could not be why.
    ///
    /// # Errors
    /// The broker's own. A job that could not be is no error here, but makes the exit code 1.
    pub(super) async fn on_each(self, handle: &Handle, output: Output, ids: Vec<JobId>) -> anyhow::Result<ExitCode> {
        let ids = each_once(ids);
        let done = handle.ask(self.carry_out(&*handle.broker, &ids)).await?;
        for (id, done) in ids.iter().zip(&done) {
            if *done && !output.is_json() {
                print_line(&format!("{} {id}", self.past()))?;
            } else if !done {
                eprintln!("error: {}", self.refusal(handle, id).await?);
            }
        }
        if output.is_json() {
            let rows: Vec<_> = ids.iter().zip(&done).map(|(id, &done)| Done { id, done }).collect();
            output.value(&rows, |_| String::new())?;
        }
        Ok(if done.iter().all(|&done| done) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Does it to every job that matches, once a person has said yes to their number.
    ///
    /// # Errors
    /// The broker's own, and [`Usage`] where nobody can be asked.
    pub(super) async fn on_all(
        self,
        handle: &Handle,
        output: Output,
        selection: &Selection,
        yes: bool,
    ) -> anyhow::Result<ExitCode> {
        let (jobs, more) = selection.jobs(handle, BULK).await?;
        let ids: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
        if !ids.is_empty() && !confirmed(&format!("{} will be {}", count(ids.len()), self.past()), yes)? {
            return Ok(ExitCode::FAILURE);
        }
        let mut done = 0;
        for chunk in ids.chunks(CHUNK) {
            let answers = handle.ask(self.carry_out(&*handle.broker, chunk)).await?;
            done += answers.into_iter().filter(|&done| done).count();
        }
        output.value(&DoneMany { matched: ids.len(), done }, |many| format!("{} {}", self.past(), count(many.done)))?;
        if more {
            eprintln!("note: one call takes the newest {BULK}; there may be more, so call it again");
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn refusal(self, handle: &Handle, id: &JobId) -> anyhow::Result<String> {
        Ok(match handle.ask(handle.broker.job(id)).await? {
            Some(job) => format!("job {id} is {}: {}", job.state, self.rule()),
            None => unknown(handle, id),
        })
    }
}

/// The same ids in the same order, each once.
pub(super) fn each_once(mut ids: Vec<JobId>) -> Vec<JobId> {
    let mut seen = std::collections::BTreeSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    ids
}

/// The sentence for an id that nobody knows.
pub(super) fn unknown(handle: &Handle, id: &JobId) -> String {
    format!("there is no job {id} in {}: it was never enqueued there, or is no longer kept", handle.url())
}

/// `1 job`, `2 jobs`.
pub(super) fn count(jobs: usize) -> String {
    format!("{jobs} job{}", if jobs == 1 { "" } else { "s" })
}

/// Says what is going to happen and asks whether it may.
///
/// # Errors
/// [`Usage`] where there is nobody to ask and no `--yes`.
pub(super) fn confirmed(what: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Usage(format!("{what}: there is no terminal to ask on, so say --yes if that is right")).into());
    }
    eprint!("{what}. Go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        eprintln!("nothing was changed");
    }
    Ok(agreed)
}
