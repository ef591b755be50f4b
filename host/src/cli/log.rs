//! What a job logged, as a person sees it: one line each, so that none can pass for another.

use std::process::ExitCode;

use afresh_queue::{JobId, LoggedLine};

use super::handle::Handle;
use super::output::print_line;
use super::page::cell;
use super::{Output, job};

/// Prints the lines of a job that are kept, oldest first.
///
/// # Errors
/// When there is no such job, or the broker fails.
pub(super) async fn run(handle: &Handle, output: Output, id: &JobId) -> anyhow::Result<ExitCode> {
    let log = handle.ask(handle.broker.log(id)).await?;
    if log.is_empty() {
        // A job that is not there has no lines either.
        job::known(handle, id).await?;
    }
    if output.is_json() {
        output.value(&log, |_| String::new())?;
    } else if log.is_empty() {
        eprintln!("job {id} has logged nothing");
    }
    for line in log.lines().filter(|_| !output.is_json()) {
        print_line(&format!("{} attempt {} {}", line.at, line.attempt, said(line)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A line with its level.
pub(super) fn said(line: &LoggedLine) -> String {
    format!("[{}] {}", cell(&line.level), cell(&line.text))
}
