//! `afresh fuzz`: looks for payloads that break a task.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use afresh_fuzz::{Again, Flaw, Folder, Fuzzer, Oracle, Plan, Subject};
use afresh_sandbox::Cancel;
use anyhow::Context as _;

use super::module_file::{ModuleFile, no_task};
use super::run::cancel_on_interrupt;
use super::walls::Walls;
use super::{Session, Usage};
use crate::grants::listing::Comparison;
use crate::machine;
use crate::terms::Terms;

mod page;
mod watcher;

/// Look for payloads that make a task trap, panic, run into a limit, or answer twice in two ways
///
/// Runs the task on one payload after another, without a queue, under the limits that a worker with this configuration
/// would set. It is granted nothing, though: a task that needs a folder, a secret or to enqueue may only ever fail.
/// Payloads are changed as bytes and as JSON, with the words of the module; one that ends in a new way, or uses more
/// fuel than those before it, is changed further. What is found is made as small as it goes and written to a file. Ctrl-C
/// ends it, and there is still a report. Exit code 1 means that something was found.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The task module
    #[arg(value_name = "MODULE.wasm")]
    module: PathBuf,
    /// The task's name; may be left out where the module has one task
    task: Option<String>,
    /// A folder of payloads to begin with; in the end, those that ended in a new way or got furthest are added to it
    #[arg(long, value_name = "DIR", env = "AFRESH_CORPUS")]
    corpus: Option<PathBuf>,
    /// The folder for what is found; payloads found earlier are tried first, all of them, even with `--seconds 0`
    #[arg(long, value_name = "DIR", default_value = "fuzz-findings", env = "AFRESH_FINDINGS")]
    findings: PathBuf,
    /// How long to look
    #[arg(long, value_name = "N", default_value_t = 60, env = "AFRESH_SECONDS")]
    seconds: u64,
    /// Take this for the task's right: trapped, panicked, out_of_memory, out_of_fuel, timed_out, over_limit or
    /// non_deterministic; several with commas
    #[arg(long, value_name = "KIND", value_delimiter = ',', env = "AFRESH_ALLOW")]
    allow: Vec<Flaw>,
    #[command(flatten)]
    walls: Walls,
    /// Attempts at a time [default: the cores]
    #[arg(long, value_name = "N", env = "AFRESH_JOBS", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where chance begins [default: somewhere new each time]
    #[arg(long, value_name = "N", env = "AFRESH_SEED")]
    seed: Option<u64>,
}

/// Looks, and reports: 0 when nothing was found, 1 when something was.
///
/// # Errors
/// When there is nothing that could be run, a folder cannot be read or written, or the sandbox itself fails.
pub(super) fn run(session: &Session, args: &Args) -> anyhow::Result<ExitCode> {
    let file = ModuleFile::open(&args.module)?;
    let task = choose(&file.names(), args.task.as_deref())?.to_owned();
    let policy = file.policy(&task);
    let wishes = Comparison::of(&policy, session.config.granted(&task, &args.module));
    let limits = args.walls.over(Terms::of(&policy, &Default::default(), &session.config).limits);

    let (corpus, findings) = (args.corpus.as_ref().map(Folder::new), Folder::new(&args.findings));
    let max = usize::try_from(session.config.max_payload.as_u64()).unwrap_or(usize::MAX);
    let mut skipped = 0;
    let mut read = |folder: &Folder| {
        // Now, and not when the first payload is to be written, which may be after an hour.
        folder
            .probe()
            .with_context(|| format!("failed to write into {}; choose another folder", folder.path().display()))?;
        let payloads =
            folder.read(max).with_context(|| format!("failed to read the payloads in {}", folder.path().display()))?;
        skipped += payloads.skipped;
        anyhow::Ok(payloads.read.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>())
    };
    let earlier = read(&findings)?;
    let seeds = corpus.as_ref().map_or(Ok(Vec::new()), read)?;
    if skipped > 0 && !session.common.quiet {
        eprintln!(
            "{skipped} files are left out: too many, more than 64 MiB in one folder, or longer than `max_payload` ({})",
            session.config.max_payload
        );
    }

    let jobs = args.jobs.map_or_else(machine::cores, usize::from);
    let longest = earlier.iter().chain(&seeds).map(|seed| seed.len() * 2).max().unwrap_or(0);
    let plan = Plan {
        runs: None,
        time: Some(Duration::from_secs(args.seconds)),
        jobs,
        seed: args.seed.unwrap_or_else(rand::random),
        longest: longest.max(Plan::default().longest).min(max),
        ..Plan::default()
    };
    let subject = Subject::new(&file.wasm, task, limits, jobs)
        .with_context(|| format!("{} cannot be fuzzed", args.module.display()))?;
    let mut oracle = Oracle::default();
    args.allow.iter().for_each(|flaw| oracle.allow(*flaw));

    let cancel = Cancel::new();
    cancel_on_interrupt(cancel.clone())?;
    let is_quiet = session.common.quiet || session.output.is_json();
    let watcher = watcher::Watcher::new(&plan, &findings, is_quiet, cancel.clone());
    let fuzzer = Fuzzer {
        subject: &subject,
        oracle: &oracle,
        plan: plan.clone(),
        earlier: earlier.clone(),
        cancel,
        listener: &watcher,
    };
    let summary = fuzzer.run(seeds.clone()).context("failed to run an attempt")?;
    watcher.finish()?;
    if let Some(corpus) = &corpus {
        add(corpus, &earlier, &seeds, &summary.corpus)?;
    }

    let again = Again {
        module: args.module.clone(),
        task: subject.task().to_owned(),
        memory: args.walls.memory.map(|memory| memory.as_u64()),
        timeout: args.walls.timeout,
        fuel: args.walls.fuel,
        config: session.common.config.clone(),
    };
    let page = page::Page::of(&again, &file.info.digest, plan.seed, &wishes, &summary, |flaw, payload| {
        // It is there already: this answers where.
        findings.keep(flaw.as_str(), payload).context("failed to write what was found")
    })?;
    session.output.value(&page, page::Page::for_people)?;
    Ok(if summary.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Adds what is worth beginning with to the corpus, unless it came from a folder. Not before the end: most of what is new
/// at some time gives way to something that gets further, and would stay in the folder for ever.
fn add(corpus: &Folder, earlier: &[Vec<u8>], seeds: &[Vec<u8>], kept: &[Vec<u8>]) -> anyhow::Result<()> {
    let known: HashSet<_> = earlier.iter().chain(seeds).collect();
    for payload in kept.iter().filter(|payload| !known.contains(payload)) {
        let written = corpus.keep("", payload);
        written.with_context(|| format!("failed to write a payload into {}", corpus.path().display()))?;
    }
    Ok(())
}

fn choose<'a>(tasks: &[&'a str], named: Option<&str>) -> Result<&'a str, Usage> {
    match (named, tasks) {
        (None, [only]) => Ok(only),
        _ => tasks.iter().copied().find(|task| Some(*task) == named).ok_or_else(|| no_task(named, tasks)),
    }
}
