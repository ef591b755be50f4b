//! `afresh job cancel`: what waits is cancelled at once; of what runs, its worker is asked to end the attempt.

use std::process::ExitCode;
use std::time::Duration;

use afresh_queue::{Cancelled, Client, JobId, State};
use clap::Args as ClapArgs;
use clap::builder::BoolishValueParser;
use serde::Serialize;
use tokio::time::Instant;

use super::Output;
use super::act::{each_once, unknown};
use super::handle::Handle;
use super::output::print_line;

/// How long all running attempts together may take to end before a person is told that they have not.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The jobs
    #[arg(required = true, value_name = "ID")]
    ids: Vec<JobId>,
    /// Do not wait (up to 5 s) until running jobs have ended: having asked their workers is enough
    #[arg(long, env = "AFRESH_NO_WAIT", value_parser = BoolishValueParser::new())]
    no_wait: bool,
}

/// What became of one job, for programs.
#[derive(Serialize)]
struct Done<'a> {
    id: &'a JobId,
    /// It is cancelled.
    done: bool,
    /// It still runs, and its worker was asked to end it.
    asked: bool,
}

/// Cancels these jobs, and says of each that could not be why.
///
/// # Errors
/// The broker's own. A job that could not be cancelled is no error here, but makes the exit code 1.
pub(super) async fn run(handle: &Handle, output: Output, args: Args) -> anyhow::Result<ExitCode> {
    let ids = each_once(args.ids);
    let answers = handle.ask(handle.broker.cancel(&ids)).await?;
    let deadline = Instant::now() + if args.no_wait { Duration::ZERO } else { PATIENCE };
    let mut rows = Vec::with_capacity(ids.len());
    let mut refused = false;
    for (id, answer) in ids.iter().zip(answers) {
        let (done, asked) = match answer {
            Cancelled::Done => (true, false),
            Cancelled::Asked => match ended(handle, id, deadline).await? {
                Some(State::Cancelled) => (true, false),
                Some(state) => {
                    eprintln!("error: job {id} is {state}: it ended before its worker could cancel it");
                    (false, false)
                }
                None => (false, true),
            },
            Cancelled::Refused => {
                eprintln!("error: {}", refusal(handle, id).await?);
                (false, false)
            }
        };
        refused |= !done && !asked;
        if !output.is_json() && (done || asked) {
            print_line(&if done { format!("cancelled {id}") } else { format!("asked the worker of {id} to end it") })?;
        }
        if asked && !args.no_wait {
            eprintln!("note: job {id} has not ended yet: `afresh job show {id}` says where it stands");
        }
        rows.push(Done { id, done, asked });
    }
    if output.is_json() {
        output.value(&rows, |_| String::new())?;
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The state in which a running job ended, or `None` if it has not by then.
async fn ended(handle: &Handle, id: &JobId, deadline: Instant) -> anyhow::Result<Option<State>> {
    let left = deadline.saturating_duration_since(Instant::now());
    let client = Client::from_broker(handle.broker.clone());
    let finished = handle.ask(client.wait_for_result(id, left)).await?;
    Ok(finished.map(|finished| finished.job.state))
}

async fn refusal(handle: &Handle, id: &JobId) -> anyhow::Result<String> {
    Ok(match handle.ask(handle.broker.job(id)).await? {
        Some(job) => {
            format!("job {id} is {}: only one that is scheduled, queued or running can be cancelled", job.state)
        }
        None => unknown(handle, id),
    })
}
