//! `afresh enqueue`: one job from the command line, or many from a file of lines. Prints their ids.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use afresh_queue::{Client, Enqueued, JobId, Link, NewJob, steps};
use clap::Args as ClapArgs;
use serde::Serialize;

pub(super) use self::lines::{object, read_job};
use self::wait::FOR_EVER;
pub(super) use self::wishes::Wishes;
use super::handle::Handle;
use super::payload::Payload;
use super::{Session, Usage, block_on};

mod follows;
mod lines;
mod wait;
mod wishes;

/// Hands a job to a queue and prints its id.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  afresh enqueue thumbnail @picture.png --wait
  afresh enqueue sync '{\"customer\":42}' --key customer:42      limits go by the key
  afresh enqueue index --unique-key i                          no second one until it has ended
  afresh enqueue index --unique-key i --unique-while queued    or until it has started
  afresh enqueue digest --unique-key ann --unique-for 1d       one a day
  afresh enqueue alarm 'door open' --expires-in 5m             of no use later
  afresh enqueue fetch URL --then resize --then store          each gets the reply of the one before
  afresh enqueue --jsonl jobs.jsonl                            {\"task\": …, \"payload\": …, \"key\": …}")]
pub(super) struct Args {
    /// The task to run
    #[arg(required_unless_present = "jsonl")]
    task: Option<String>,
    /// The payload: text, @FILE, or - for standard input [default: empty]
    #[arg(conflicts_with = "file", allow_negative_numbers = true)]
    payload: Option<Payload>,
    /// Take the payload from a file, or with - from standard input
    #[arg(long, value_name = "FILE|-")]
    file: Option<PathBuf>,
    /// What follows when the job has succeeded: this task gets its reply. Again for one that follows that; their ids are
    /// the job's with .then1, .then2 and so on
    #[arg(long, value_name = "TASK", conflicts_with = "wait")]
    then: Vec<String>,
    #[command(flatten)]
    wishes: Wishes,
    /// Wait until the job has ended, then print its reply; exit code 1 if it did not succeed. Meanwhile its progress and its
    /// log lines go to stderr. With --json only the job as it ended is printed
    #[arg(long)]
    wait: bool,
    /// How long --wait waits, such as 30s or 5m [default: as long as it takes]
    #[arg(long, value_name = "DURATION", env = "AFRESH_WAIT_TIMEOUT", value_parser = humantime::parse_duration)]
    wait_timeout: Option<Duration>,
    /// Enqueue one job for each line of a file, or with - of standard input: {"task": …, "payload": …} and the names
    /// of the flags; a payload that is no string is handed over as JSON. Other flags hold for every line that says
    /// nothing else
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["task", "payload", "file", "id", "then", "wait"])]
    jsonl: Option<PathBuf>,
}

/// A job that was handed over, for programs.
#[derive(Serialize)]
pub(super) struct Accepted<'a> {
    id: &'a JobId,
    created: bool,
}

impl<'a> From<&'a Enqueued> for Accepted<'a> {
    fn from(enqueued: &'a Enqueued) -> Self {
        Self { id: &enqueued.id, created: enqueued.created }
    }
}

/// Runs the verb.
///
/// # Errors
/// When a job cannot be, the broker cannot be reached, or a job waited for did not succeed.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    match (&args.jsonl, &args.task) {
        (Some(file), _) => {
            args.wishes.check().map_err(Usage)?;
            lines::run(session, file, &args.wishes)
        }
        (None, Some(task)) => one(session, task, &args),
        (None, None) => Err(Usage("name a task, or a file of jobs with --jsonl".to_owned()).into()),
    }
}

fn one(session: &Session, task: &str, args: &Args) -> anyhow::Result<ExitCode> {
    let wished = args.wishes.check().and_then(|()| args.wishes.job(NewJob::new(task, "")));
    let mut job = wished.map_err(Usage)?;
    for (place, task) in args.then.iter().enumerate() {
        job.then.push(Link::new(follows::id(&job.id, place).map_err(Usage)?, task));
    }
    // Checked before the payload is read: what is wrong here is how the command was called.
    job.validate(0).map_err(Usage)?;
    job.payload = match (&args.payload, &args.file) {
        (Some(payload), _) => payload.clone().read(session.config.max_payload)?,
        (None, Some(file)) => from_file(file).read(session.config.max_payload)?,
        (None, None) => Vec::new(),
    };
    block_on(async {
        let handle = Handle::open(session).await?;
        let client = client(session, &handle);
        let id = job.id.clone();
        let enqueued = handle.ask(client.enqueue(job)).await?;
        steps::reached("enqueued");
        say_if_there(&id, &enqueued);
        if args.wait {
            let limit = args.wait_timeout.unwrap_or(FOR_EVER).min(FOR_EVER);
            return wait::run(session, &client, &enqueued.id, limit).await;
        }
        session.output.value(&Accepted::from(&enqueued), |accepted| accepted.id.to_string())?;
        Ok(ExitCode::SUCCESS)
    })
}

/// A client with the session's limit for payloads.
pub(super) fn client(session: &Session, handle: &Handle) -> Client {
    let max = usize::try_from(session.config.max_payload.as_u64()).unwrap_or(usize::MAX);
    Client::from_broker(handle.broker.clone()).max_payload(max)
}

/// Says why a job that was to have this id was not enqueued.
fn say_if_there(id: &JobId, enqueued: &Enqueued) {
    match enqueued {
        Enqueued { created: true, .. } => {}
        Enqueued { id: there, .. } if there == id => eprintln!("note: job {id} was there already and stays as it was"),
        Enqueued { id: there, .. } => eprintln!("note: job {there} holds the unique key, so nothing was enqueued"),
    }
}

/// `-` is standard input, as everywhere on this command line.
fn from_file(path: &std::path::Path) -> Payload {
    if path.as_os_str() == "-" { Payload::Stdin } else { Payload::File(path.to_owned()) }
}
