//! `afresh inspect`: what a module says of itself, without running it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use afresh_sandbox::{ModuleKind, TaskPolicy};
use bytesize::ByteSize;
use serde::Serialize;

use super::Session;
use super::module_file::ModuleFile;
use super::output::table;
use super::page::cell;
use crate::config::Config;
use crate::grants::listing::{Comparison, Listing};

/// Show a module's tasks, what they ask for and are granted here, its imports and exports, digest and size
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The task module
    #[arg(value_name = "MODULE.wasm")]
    module: PathBuf,
}

/// What is shown of a module.
#[derive(Serialize)]
struct Inspection {
    digest: String,
    kind: &'static str,
    size: usize,
    initial_memory_bytes: u64,
    tasks: Vec<Task>,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// One of its tasks.
#[derive(Serialize)]
struct Task {
    /// What it asks for.
    #[serde(flatten)]
    asked: TaskPolicy,
    /// What the configuration in force grants it.
    granted: Listing,
    #[serde(skip)]
    comparison: Comparison,
}

impl Task {
    fn new(asked: TaskPolicy, file: &Path, config: &Config) -> Self {
        let section = config.granted(&asked.task, file);
        let (granted, comparison) = (section.map(Listing::from).unwrap_or_default(), Comparison::of(&asked, section));
        Self { asked, granted, comparison }
    }
}

/// Reads, checks, prints.
///
/// # Errors
/// When the file cannot be read, or is not a task module.
pub(super) fn run(session: &Session, args: Args) -> anyhow::Result<ExitCode> {
    let file = ModuleFile::open(&args.module)?;
    let inspection = Inspection {
        digest: file.info.digest,
        kind: match file.info.kind {
            ModuleKind::Command => "command",
            ModuleKind::Sdk => "sdk",
        },
        size: file.info.size,
        initial_memory_bytes: file.info.initial_memory,
        tasks: file.tasks.into_iter().map(|task| Task::new(task, &args.module, &session.config)).collect(),
        imports: file.info.imports,
        exports: file.info.exports,
    };
    session.output.value(&inspection, for_people)?;
    Ok(ExitCode::SUCCESS)
}

fn for_people(module: &Inspection) -> String {
    let kind = match module.kind {
        "sdk" => "sdk (built with the guest SDK)",
        _ => "command (payload on stdin, reply on stdout, log lines on stderr)",
    };
    let memory = ByteSize(module.initial_memory_bytes);
    let tasks = table(
        &["TASK", "TIMEOUT", "MEMORY", "FUEL", "ATTEMPTS", "BACKOFF"],
        module.tasks.iter().map(|task| asks_for(&task.asked)),
    );
    let grants: Vec<_> = module.tasks.iter().flat_map(|task| rows(&task.comparison)).collect();
    let grants = match grants.is_empty() {
        true => String::new(),
        false => format!("\n\n{}", table(&["TASK", "GRANT", "NAME", "ASKED FOR", "GRANTED"], grants)),
    };
    format!(
        "digest          {}\nkind            {kind}\nsize            {}\ninitial memory  {memory}\nimports         {}\n\
         exports         {}\n\n{tasks}{grants}",
        module.digest,
        ByteSize(module.size as u64),
        list(&module.imports),
        list(&module.exports),
    )
}

/// A task's rows: each thing that it asks for or is granted.
fn rows(task: &Comparison) -> impl Iterator<Item = Vec<String>> {
    let yes = |it: bool| if it { "yes" } else { "no" }.to_owned();
    task.items.iter().map(move |item| {
        vec![cell(&task.task), item.kind.to_owned(), cell(&item.name), yes(item.asked), yes(item.granted)]
    })
}

/// Names out of a module are the guest's text.
fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { cell(&names.join(", ")) }
}

/// One task's row; `-` where it leaves the choice to the host.
fn asks_for(task: &TaskPolicy) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let span = |ms: Option<u64>| ms.map(|ms| humantime::format_duration(Duration::from_millis(ms)).to_string());
    let backoff = match (span(task.min_backoff_ms), span(task.max_backoff_ms)) {
        (None, None) => None,
        (min, max) => Some(format!("{} to {}", or_dash(min), or_dash(max))),
    };
    vec![
        cell(&task.task),
        or_dash(span(task.timeout_ms)),
        or_dash(task.memory.map(|bytes| ByteSize(bytes).to_string())),
        or_dash(task.fuel.map(|fuel| fuel.to_string())),
        or_dash(task.max_attempts.map(|attempts| attempts.to_string())),
        or_dash(backoff),
    ]
}
