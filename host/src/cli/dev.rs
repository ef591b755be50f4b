//! `afresh dev`: build, run every case, watch; broker and worker in one process.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use afresh_queue::{Broker, Client, JobView};
use afresh_toolchain::Reporter;
use anyhow::Context as _;
use bytesize::ByteSize;
use tokio::task::JoinHandle;

use super::output::{escaped, json, print_line, table};
use super::page::cell;
use super::{Session, block_on, worker};
use crate::build;
use crate::examples::{self, Case};
use crate::registry::Registry;
use crate::shutdown::{Shutdown, Trigger};
use crate::worker::Worker;
use crate::{registry, setup, sources};

/// How often a job is asked whether it is over.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// How long the modules that were built may take to compile before the cases are run without them.
const COMPILED_WITHIN: Duration = Duration::from_secs(600);

/// Build tasks, run each on its examples, and again when a file changes; broker and worker in one process
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The folder of a crate, or of a workspace of them
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Run everything once and end: 0 if all was as expected
    #[arg(long, env = "AFRESH_ONCE")]
    once: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the tasks do not build, or the worker cannot start.
pub(super) fn run(session: &Session, args: &Args) -> anyhow::Result<ExitCode> {
    let reporter = Reporter::new(session.common.quiet);
    let out = build::default_out(&args.path);
    build::build(&args.path, Some(&out), &reporter)?;

    let shop = Arc::new(setup::workshop(&session.config, &out)?);
    let _watcher = registry::watch(shop.registry.clone()).context("failed to watch the built modules")?;
    block_on(async {
        let (trigger, shutdown) = Shutdown::on_signals().context("failed to listen for signals")?;
        let broker = session.open_broker().await?;
        broker.check().await.context("failed to use the broker")?;
        reporter.say(format_args!(
            "worker: {} slots, jobs come from {}",
            setup::slots(&session.config),
            broker.describe()
        ));
        let registry = shop.registry.clone();
        let host = Worker::new(broker.clone(), shop, worker::settings(&session.config, false));
        let host = tokio::spawn(host.run(shutdown.clone()));
        let dev = Dev { path: &args.path, out: &out, registry, broker, session, reporter: &reporter };
        dev.run(args.once, trigger, shutdown, host).await
    })
}

/// What a round of `dev` works with.
struct Dev<'a> {
    path: &'a Path,
    out: &'a Path,
    registry: Arc<Registry>,
    broker: Arc<dyn Broker>,
    session: &'a Session,
    reporter: &'a Reporter,
}

impl Dev<'_> {
    async fn run(
        self,
        once: bool,
        trigger: Trigger,
        mut shutdown: Shutdown,
        mut host: JoinHandle<anyhow::Result<()>>,
    ) -> anyhow::Result<ExitCode> {
        let mut changes = sources::watch(self.path)?;
        loop {
            let fine = tokio::select! {
                fine = self.round() => fine,
                ended = &mut host => return ended?.map(|()| ExitCode::SUCCESS),
            };
            if once || fine.is_err() {
                // The worker gives back what it holds: the queue may have other jobs than ours.
                trigger.begin();
                host.await??;
                return fine.map(|fine| if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            self.reporter.say("watching; Ctrl-C ends");
            loop {
                tokio::select! {
                    _ = changes.recv() => {}
                    () = shutdown.begun() => return host.await?.map(|()| ExitCode::SUCCESS),
                    ended = &mut host => return ended?.map(|()| ExitCode::SUCCESS),
                }
                if self.rebuild().await {
                    break;
                }
            }
        }
    }

    /// Runs every case, prints the table; whether all was as expected.
    async fn round(&self) -> anyhow::Result<bool> {
        let cases = examples::cases_in(self.path)?;
        if cases.is_empty() {
            self.reporter.say(
                "no example.toml here, so nothing was run; try `afresh enqueue TASK PAYLOAD --wait` in another terminal",
            );
            return Ok(true);
        }
        // The watching thread would do this too, a moment later.
        let registry = self.registry.clone();
        let ready = move || registry.scan().map(|()| registry.settled(COMPILED_WITHIN));
        tokio::task::spawn_blocking(ready).await?.context("failed to read the built modules")?;
        let known = self.registry.tasks();
        let (cases, absent): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| known.contains(&case.task));

        // One that the worker serves, whatever the configuration says.
        let queue = &self.session.config.worker.queues[0].name;
        let client = Client::from_broker(self.broker.clone());
        let enqueued = client
            .enqueue_all(cases.iter().map(|case| case.job().queue(queue)).collect())
            .await
            .context("failed to enqueue")?;
        let mut rows: Vec<_> = absent.iter().map(Row::skipped).collect();
        let mut wrong = Vec::new();
        for (case, job) in cases.iter().zip(enqueued) {
            let view = loop {
                let view = self.broker.job(&job.id).await?.context("a job that was enqueued is gone")?;
                if view.state.is_terminal() {
                    break view;
                }
                tokio::time::sleep(ASK_EVERY).await;
            };
            let reply = self.broker.result(&job.id).await?;
            let differs = case.compare(&view, reply.as_deref());
            rows.push(row(case, &view, reply.as_deref(), differs.is_empty()));
            if !differs.is_empty() {
                wrong.push(format!("{} ({}): {differs}", case.task, case.name));
            }
        }
        self.print(rows, &wrong)?;
        Ok(wrong.is_empty())
    }

    fn print(&self, rows: Vec<Row>, wrong: &[String]) -> anyhow::Result<()> {
        if self.session.output.is_json() {
            return print_line(&json(&rows)?);
        }
        let ran = rows.iter().filter(|row| row.as_expected.is_some()).count();
        let headings = ["TASK", "CASE", "OUTCOME", "ATTEMPTS", "WALL TIME", "PEAK MEMORY", "REPLY", "AS EXPECTED"];
        print_line(&table(&headings, rows.into_iter().map(Row::cells)).to_string())?;
        match wrong {
            [] => print_line(&format!("all {ran} cases went as expected")),
            wrong => print_line(&format!("{} of {ran} cases differ:\n  {}", wrong.len(), escaped(&wrong.join("\n  ")))),
        }
    }

    /// Builds again; whether there is something new to run.
    async fn rebuild(&self) -> bool {
        let (path, out) = (self.path.to_owned(), self.out.to_owned());
        let reporter = *self.reporter;
        reporter.say("a file changed: building again");
        let built = tokio::task::spawn_blocking(move || build::build(&path, Some(&out), &reporter)).await;
        match built.map_err(anyhow::Error::from).flatten() {
            Ok(_) => true,
            Err(error) => {
                eprintln!("error: {}; the modules built before go on serving", escaped(&format!("{error:#}")));
                false
            }
        }
    }
}

/// One line of the table.
#[derive(serde::Serialize)]
struct Row {
    task: String,
    case: String,
    outcome: String,
    attempts: u32,
    wall_us: u64,
    peak_memory_bytes: u64,
    reply_bytes: Option<usize>,
    /// Absent where the case was skipped.
    as_expected: Option<bool>,
}

fn row(case: &Case, job: &JobView, reply: Option<&[u8]>, as_expected: bool) -> Row {
    let usages = || job.attempts.iter().map(|attempt| attempt.usage);
    Row {
        task: case.task.clone(),
        case: case.name.clone(),
        outcome: job.attempts.first().map_or(job.state.as_str(), |last| last.outcome.as_str()).to_owned(),
        attempts: job.attempts_started,
        wall_us: usages().map(|usage| usage.wall_us).sum(),
        peak_memory_bytes: usages().map(|usage| usage.peak_memory_bytes).max().unwrap_or(0),
        reply_bytes: reply.map(<[u8]>::len),
        as_expected: Some(as_expected),
    }
}

impl Row {
    /// A case whose task was not built, for a reason the build has told.
    fn skipped(case: &Case) -> Self {
        Self {
            task: case.task.clone(),
            case: case.name.clone(),
            outcome: "skipped".to_owned(),
            attempts: 0,
            wall_us: 0,
            peak_memory_bytes: 0,
            reply_bytes: None,
            as_expected: None,
        }
    }

    fn cells(self) -> Vec<String> {
        vec![
            cell(&self.task),
            cell(&self.case),
            self.outcome,
            self.attempts.to_string(),
            format!("{:.1} ms", self.wall_us as f64 / 1e3),
            ByteSize::b(self.peak_memory_bytes).display().iec().to_string(),
            self.reply_bytes.map_or("–".to_owned(), |bytes| ByteSize::b(bytes as u64).display().iec().to_string()),
            self.as_expected.map_or("–", |fine| if fine { "yes" } else { "NO" }).to_owned(),
        ]
    }
}
