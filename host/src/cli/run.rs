//! `afresh run`: one attempt, no queue.

use std::path::PathBuf;
use std::process::ExitCode;

use afresh_protocol::abi::env;
use afresh_sandbox::{Call, Cancel, Environment, Reason, Sandbox, SandboxConfig};
use anyhow::Context as _;
use clap::builder::BoolishValueParser;

use super::module_file::{ModuleFile, no_task};
use super::payload::Payload;
use super::walls::Walls;
use super::{Session, Usage, report};
use crate::grants::Grants;
use crate::grants::scratch::ScratchFolders;
use crate::terms::Terms;

/// Run one attempt of a task, without a queue
///
/// The reply goes to stdout as it is, the guest's log lines and what became of the attempt to stderr. Exit code 0 means
/// succeeded. Limits and grants are those of a worker with this configuration; the flags win over the limits.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The task module
    #[arg(value_name = "MODULE.wasm")]
    module: PathBuf,
    /// The task's name; may be left out where the module has one task. A word that is no task's name is the payload then
    task: Option<String>,
    /// Text, @FILE, or - for standard input; nothing is an empty payload
    payload: Option<String>,
    #[command(flatten)]
    walls: Walls,
    /// The number of the attempt that the task is told
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: u32,
    /// Print the whole outcome as JSON instead: outcome, error, usage, reply, log (--json does the same)
    #[arg(long, env = "AFRESH_REPORT", value_parser = BoolishValueParser::new())]
    report: bool,
}

/// Runs the attempt: 0 when it succeeded, 1 when it did not.
///
/// # Errors
/// When there is nothing that could be run, or the sandbox itself fails.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    let file = ModuleFile::open(&args.module)?;
    let (task, payload) = choose(&file.names(), args.task.as_deref(), args.payload.as_deref())?;
    let terms = Terms::of(&file.policy(task), &Default::default(), &session.config);
    let limits = args.walls.over(terms.limits.clone());
    let grants = Grants::of(session.config.granted(task, &args.module), task)?;
    let mut call = Call {
        task: task.to_owned(),
        payload: payload.map_or(Ok(Vec::new()), |payload| payload.read(session.config.max_payload))?,
        env: environment(&terms, task, args.attempt),
        ..Call::default()
    };

    let place = &session.config.worker.scratch;
    let folders = grants.has_scratch().then(|| ScratchFolders::open(place)).transpose()?;
    let _scratch = grants.hand(&mut call, folders.as_ref())?;

    let config = SandboxConfig::default();
    let config = SandboxConfig { slots: 1, max_memory: config.max_memory.max(limits.memory), ..config };
    let sandbox = Sandbox::new(&config).context("failed to start the sandbox")?;
    let module = if limits.fuel.is_some() { sandbox.load_metered(&file.wasm) } else { sandbox.load(&file.wasm) };
    let module = module.with_context(|| format!("{} cannot be run", args.module.display()))?;
    let cancel = Cancel::new();
    cancel_on_interrupt(cancel.clone())?;
    let report = sandbox.run(&module, call, &limits, &cancel).context("failed to run the attempt")?;

    if args.report || session.output.is_json() {
        report::print_json(&file.info.digest, task, &report)?;
    } else {
        report::print(&report, session.common.quiet)?;
    }
    let succeeded = matches!(report.outcome, afresh_sandbox::Outcome::Succeeded(_));
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Which task, with which payload: the words after the module, told apart by the module's tasks.
fn choose<'a>(
    tasks: &[&'a str],
    first: Option<&str>,
    second: Option<&str>,
) -> Result<(&'a str, Option<Payload>), Usage> {
    let named = first.and_then(|word| tasks.iter().find(|task| **task == word));
    let payload = |word: Option<&str>| word.map(Payload::of);
    match (named, tasks, second) {
        (Some(task), _, payload_word) => Ok((task, payload(payload_word))),
        (None, [only], None) => Ok((only, payload(first))),
        _ => Err(no_task(first, tasks)),
    }
}

/// What a worker would tell the guest of its job.
fn environment(terms: &Terms, task: &str, attempt: u32) -> Environment {
    let mut environment = Environment::default();
    environment.set(env::TASK, task);
    environment.set(env::JOB_ID, "local");
    environment.set(env::ATTEMPT, attempt);
    environment.set(env::MAX_ATTEMPTS, terms.retry.max_attempts.max(attempt));
    environment.set(env::QUEUE, "default");
    environment
}

/// Ctrl-C ends the guest, so that there is still a report; a second one ends the program.
pub(super) fn cancel_on_interrupt(cancel: Cancel) -> anyhow::Result<()> {
    const INTERRUPTED: i32 = 130;
    let listen = async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel(Reason::Cancelled);
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(INTERRUPTED);
            }
        }
        Ok(())
    };
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(|| super::block_on(listen))
        .context("failed to start the thread that waits for Ctrl-C")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_one_task_its_name_may_be_left_out() {
        let text = |text: &str| Some(Payload::Text(text.to_owned()));
        assert_eq!(choose(&["a"], None, None).unwrap(), ("a", None));
        assert_eq!(choose(&["a"], Some("a"), None).unwrap(), ("a", None));
        assert_eq!(choose(&["a"], Some("b"), None).unwrap(), ("a", text("b")));
        assert_eq!(choose(&["a"], Some("a"), Some("a")).unwrap(), ("a", text("a")));
        assert_eq!(choose(&["a", "b"], Some("b"), Some("c")).unwrap(), ("b", text("c")));
    }

    #[test]
    fn a_task_that_is_not_there_is_answered_with_those_that_are() {
        for (tasks, first, second) in
            [(["a", "b"].as_slice(), None, None), (&["a", "b"], Some("c"), None), (&["a"], Some("c"), Some("payload"))]
        {
            let error = choose(tasks, first, second).unwrap_err().to_string();
            assert!(error.ends_with(&format!("its tasks are: {}", tasks.join(", "))), "{error}");
        }
    }
}
